// Adapters is how a service that has an interface of its own for links gets them from every provider. Four such interfaces, as
// well-known services have them, stand in adapters.go, each implemented in a few lines over signer.Signer; config.go makes the Signer
// of one configuration, for five providers, with a public endpoint that is not the internal one.
//
//	go run ./examples/adapters
//
// It puts an object into a store of its own, which verifies all signatures, asks each interface for links to it, and uses them.
package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/signer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "adapters:", signer.RedactError(err))
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	store, err := storefake.Start(storefake.Config{})
	if err != nil {
		return err
	}
	defer store.Close()
	for _, c := range configs(store) {
		fmt.Fprintf(out, "\n%s: the service at %v, its clients at %v\n", c.Provider, c.Internal, c.Public)
		if err := tour(ctx, out, store, c); err != nil {
			return fmt.Errorf("%s: %w", c.Provider, err)
		}
	}
	return nil
}

// configs are those of the embedded store. Clients know it as localhost, and the CDN before it by a name.
func configs(store *storefake.Server) []config {
	internal := store.Endpoint()
	public := &url.URL{Scheme: "http", Host: "localhost:" + internal.Port()}
	base := config{Bucket: store.Bucket, Region: store.Region, Internal: internal, Public: public, Life: 10 * time.Minute, Clock: store.Clock}
	var all []config
	for _, one := range []config{
		{Provider: "s3", ID: store.Credentials.AccessKeyID, Secret: store.Credentials.SecretKey},
		{Provider: "gcs", ID: store.GCSKey.ID(), Secret: store.GCSSecret},
		{Provider: "cdn", ID: store.CDNKey.Name, Secret: signer.NewSecret([]byte(base64.URLEncoding.EncodeToString(store.CDNKey.Secret.Reveal())))},
		{Provider: "azure", Account: store.AzureAccount, Secret: signer.NewSecret([]byte(base64.StdEncoding.EncodeToString(store.AzureKey.Secret().Reveal())))},
		{Provider: "oss", ID: store.OSS.AccessKeyID, Secret: store.OSS.AccessKeySecret},
	} {
		c := base
		c.Provider, c.ID, c.Secret, c.Account = one.Provider, one.ID, one.Secret, one.Account
		if c.Provider == "cdn" {
			c.Public = store.CDNBase()
		}
		all = append(all, c)
	}
	return all
}

const (
	object = "lake/docs/貓 +%41.txt"
	text   = "signed by one, used by another\n"
	saved  = "报告 2026 🐈.txt"
)

// tour asks each interface for links, and uses them.
func tour(ctx context.Context, out io.Writer, store *storefake.Server, c config) error {
	s, internal, err := open(c)
	if err != nil {
		return err
	}
	if internal == nil { // the bucket behind the CDN
		if internal, err = gcs.New(gcs.Config{Bucket: store.Bucket, Endpoint: c.Internal, Key: store.GCSKey, Clock: store.Clock}); err != nil {
			return err
		}
	}
	client := &http.Client{Transport: store.Transport()} // finds the CDN's name, too
	put, err := internal.Presign(ctx, signer.Request{Method: http.MethodPut, Key: object, Expires: time.Minute})
	if err != nil {
		return err
	}
	if _, err := use(ctx, client, put, text); err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Fprintf(out, "  "+format+"\n", args...) }

	link, err := s.GeneratePresignedUrl("/"+object, time.Hour)
	if err != nil {
		return err
	}
	if _, err := use(ctx, client, get(http.MethodGet, link), ""); err != nil {
		return err
	}
	say("media server    GeneratePresignedUrl: GET, an hour")

	for _, method := range []string{http.MethodHead, http.MethodGet} {
		req, err := http.NewRequestWithContext(ctx, method, "http://registry.example/v2/blobs/1", nil)
		if err != nil {
			return err
		}
		link, err := s.RedirectURL(req, "/"+object)
		if err != nil {
			return err
		}
		if _, err := use(ctx, client, get(method, link), ""); err != nil {
			return err
		}
	}
	say("registry        RedirectURL: HEAD, then GET")

	u, err := s.URL(object, saved, http.MethodGet, url.Values{"response-content-type": {"text/plain; charset=utf-8"}})
	switch {
	case errors.Is(err, errNoURL):
		say("git forge       URL: none with a name to save under; the forge sends the file itself")
	case err != nil:
		return err
	default:
		resp, err := use(ctx, client, get(http.MethodGet, u.String()), "")
		if err != nil {
			return err
		}
		if err := savedAs(resp, saved); err != nil {
			return err
		}
		say("git forge       URL: GET, saved as %s", saved)
	}

	pointer := objectPointer{"any://" + c.Bucket + "/lake/", strings.TrimPrefix(object, "lake/")}
	link, until, err := s.GetPreSignedURL(ctx, pointer, modeRead, "")
	if err != nil {
		return err
	}
	if _, err := use(ctx, client, get(http.MethodGet, link), ""); err != nil {
		return err
	}
	say("data lake       GetPreSignedURL: to read, until %s", until.Format(time.TimeOnly))
	link, until, err = s.GetPreSignedURL(ctx, pointer, modeWrite, "")
	switch {
	case errors.Is(err, errNoURL):
		say("data lake       GetPreSignedURL: none to write through a CDN")
	case err != nil:
		return err
	default:
		p := &signer.Presigned{Method: http.MethodPut, URL: link}
		if c.Provider == "azure" {
			p.Header = http.Header{"X-Ms-Blob-Type": {"BlockBlob"}}
		}
		if _, err := use(ctx, client, p, text); err != nil {
			return err
		}
		say("data lake       GetPreSignedURL: to write, until %s", until.Format(time.TimeOnly))
	}
	return nil
}

func get(method, link string) *signer.Presigned { return &signer.Presigned{Method: method, URL: link} }

// use sends a request. What it reads must be the object.
func use(ctx context.Context, client *http.Client, p *signer.Presigned, body string) (*http.Response, error) {
	req, err := p.NewRequest(ctx, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s", req.Method, req.URL.Host, resp.Status)
	}
	if p.Method == http.MethodGet && string(got) != text {
		return nil, fmt.Errorf("the object is %q", got)
	}
	return resp, nil
}

// savedAs checks under which name a browser would save the answer.
func savedAs(resp *http.Response, want string) error {
	_, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition"))
	if err != nil {
		return err
	}
	if params["filename"] != want {
		return fmt.Errorf("it would be saved as %q, not as %q", params["filename"], want)
	}
	return nil
}
