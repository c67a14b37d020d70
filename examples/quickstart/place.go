package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/examples/internal/setup"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A place is where a tour goes: a provider's store, and all that differs from one provider to the next.
type place struct {
	provider, about string
	client          http.RoundTripper
	signer          signer.Signer
	bucket          signer.Signer // uploads and deletes: signer, unless its URLs cannot
	steps           []step

	list  func(prefix string) signer.Request // what lists the names that begin with prefix
	names func(body []byte) ([]string, error)
	// reason reads a refusal: its code, "" if the provider has none, and more words.
	reason func(resp *http.Response, body []byte) (code, message string)

	mismatch, notAllowed, expired string // what refusals say to a changed URL, another method, and a late one
	headersLoose                  bool   // the signature does not cover all that a URL can ask for

	life time.Duration                                              // of the URL that is to expire
	pass func(ctx context.Context, d time.Duration) (string, error) // lets d pass on the store's clock, and says how
}

// A world is the places of one run.
type world struct {
	places []*place
	store  *storefake.Server // the embedded one, nil for a real service
	moved  time.Duration     // how far its clock is ahead
}

// newPlace is a place but for where it is.
func newPlace(provider string) *place {
	p := &place{
		provider: provider,
		client:   http.DefaultTransport, // follows no redirect: a signature is for one host
		steps:    usualSteps(),
		list: func(prefix string) signer.Request {
			r, _ := setup.List(provider, prefix) // an error is for those who have no such step
			return r
		},
		names:      namesXML,
		reason:     reasonXML,
		mismatch:   "SignatureDoesNotMatch",
		notAllowed: "SignatureDoesNotMatch",
		expired:    "expired",
		life:       2 * time.Second,
		pass:       wait,
	}
	switch provider {
	case "azure": // a SAS grants permissions, and signs no headers
		p.names, p.headersLoose = namesAzure, true
		const noSignature = "failed to authenticate" // one message for all causes, and not everybody adds which
		p.mismatch, p.notAllowed, p.expired = noSignature, "AuthorizationPermissionMismatch", noSignature
		p.steps[0].title = "upload one object"
		p.steps[5] = step{"an upload URL for text and nothing else", (*tour).unsignable}
		p.steps = slices.Delete(p.steps, 6, 7) // it has no forms
	case "cdn": // which serves what is in a bucket, and refuses in few words
		p.reason, p.headersLoose = reasonPlain, true
		p.mismatch, p.notAllowed, p.expired = "403", "403", "403"
		p.steps = cdnSteps()
	}
	return p
}

// open finds the service that the flags and the environment name, or starts the embedded store if they name none.
func open(o setup.Options, getenv func(string) string) (*world, error) {
	endpoint, from := o.EndpointFrom(getenv)
	if o.Provider == "" || o.Bucket == "" && endpoint == "" && o.KeyFile == "" && o.Account == "" {
		return embed(o)
	}
	p := newPlace(o.Provider)
	s, where, err := setup.NewSigner(o, getenv)
	p.signer, p.bucket = s, s
	if err == nil && o.Provider == "cdn" { // uploads go to the bucket itself
		behind := o
		behind.Provider, behind.Endpoint = "gcs", ""
		if p.bucket, _, err = setup.NewSigner(behind, getenv); err != nil {
			err = fmt.Errorf("the bucket behind the CDN: %w", err)
		}
	}
	if err != nil {
		if errors.As(err, new(setup.ErrProvider)) {
			return nil, err
		}
		what := "the provider's own service, for want of an -endpoint"
		if endpoint != "" {
			what = "the service that " + from + " names"
		}
		return nil, errors.Join(err, fmt.Errorf("this was to be %s; %s", what, embedded(o, getenv)))
	}
	p.about = where
	if endpoint == "" {
		p.about += ", for want of an -endpoint"
	}
	return &world{places: []*place{p}}, nil
}

// embedded says how to come to the embedded store from here.
func embedded(o setup.Options, getenv func(string) string) string {
	var undo []string
	for _, flag := range []struct{ name, value string }{
		{"-bucket", o.Bucket}, {"-endpoint", o.Endpoint}, {"-account", o.Account}, {"-key-file", o.KeyFile},
	} {
		if flag.value != "" {
			undo = append(undo, "leave out "+flag.name)
		}
	}
	o.Endpoint = ""
	if value, variable := o.EndpointFrom(getenv); value != "" {
		undo = append(undo, "unset "+variable)
	}
	return "to use the embedded store, " + strings.Join(undo, " and ")
}

// embed starts the embedded store, which speaks to all providers' clients. Its clock can be moved, so nobody has to wait; the signers
// look at it too.
func embed(o setup.Options) (*world, error) {
	store, err := storefake.Start(storefake.Config{Region: o.Region})
	if err != nil {
		return nil, err
	}
	w := &world{store: store}
	chosen := setup.Providers()
	if o.Provider != "" {
		chosen = []string{o.Provider}
	}
	for _, provider := range chosen {
		p := newPlace(provider)
		p.client = store.Transport()
		p.life = time.Minute
		p.pass = func(_ context.Context, d time.Duration) (string, error) {
			store.Clock.Advance(d)
			w.moved += d
			return fmt.Sprintf("the store's clock is moved %v ahead", d), nil
		}
		p.about = fmt.Sprintf("bucket %s of the embedded store at %s", store.Bucket, store.URL)
		if err = p.signFor(store, store.Clock); err != nil {
			break
		}
		w.places = append(w.places, p)
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// signFor makes the signers for a store.
func (p *place) signFor(store *storefake.Server, clock clock.Clock) (err error) {
	switch p.provider {
	case "s3":
		p.signer, err = s3.New(s3.Config{Region: store.Region, Bucket: store.Bucket, Endpoint: store.Endpoint(), Credentials: store.Credentials, Clock: clock})
	case "gcs":
		p.signer, err = gcs.New(gcs.Config{Bucket: store.Bucket, Endpoint: store.Endpoint(), Key: store.GCSKey, Clock: clock})
	case "oss":
		p.signer, err = oss.New(oss.Config{Region: store.Region, Bucket: store.Bucket, Endpoint: store.Endpoint(), Credentials: store.OSS, Clock: clock})
	case "azure":
		p.signer, err = azure.New(azure.Config{Account: store.AzureAccount, Container: store.Bucket, Endpoint: store.Endpoint(), Keys: store.AzureKey, Clock: clock})
	case "cdn":
		p.about = fmt.Sprintf("%v, before the bucket of the embedded store at %s", store.CDNBase(), store.URL)
		p.signer, err = cdn.New(cdn.Config{BaseURL: store.CDNBase(), Bucket: store.Bucket, Key: store.CDNKey, Clock: clock})
		if err == nil {
			p.bucket, err = gcs.New(gcs.Config{Bucket: store.Bucket, Endpoint: store.Endpoint(), Key: store.GCSKey, Clock: clock})
		}
		return err
	default:
		return setup.ErrProvider(p.provider)
	}
	p.bucket = p.signer
	return err
}

func (w *world) close() error {
	if w.store == nil {
		return nil
	}
	return w.store.Close()
}

// keep readies the embedded store for others, and says how to use it.
func (w *world) keep(out io.Writer) {
	s := w.store
	s.Clock.Advance(-w.moved) // as the clock of others
	fmt.Fprint(out, "\nThe store runs until it is interrupted. In another shell:\n")
	for _, p := range w.places {
		fmt.Fprintln(out)
		switch p.provider {
		case "s3":
			fmt.Fprintf(out, "export AWS_ENDPOINT_URL=%s AWS_REGION=%s AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s\nunset AWS_SESSION_TOKEN\n",
				s.URL, s.Region, s.Credentials.AccessKeyID, s.Credentials.SecretKey.Reveal())
		case "gcs":
			fmt.Fprintf(out, "export STORAGE_EMULATOR_HOST=%s GS_ACCESS_KEY_ID=%s GS_SECRET_ACCESS_KEY=%s\nunset GOOGLE_APPLICATION_CREDENTIALS\n",
				s.URL, s.GCSKey.ID(), s.GCSSecret.Reveal())
		case "azure":
			fmt.Fprintf(out, "export AZURE_STORAGE_SERVICE_ENDPOINT=%s AZURE_STORAGE_ACCOUNT=%s AZURE_STORAGE_KEY=%s\n",
				s.URL, s.AzureAccount, base64.StdEncoding.EncodeToString(s.AzureKey.Secret().Reveal()))
		case "oss":
			fmt.Fprintf(out, "export OSS_ENDPOINT=%s OSS_REGION=%s OSS_ACCESS_KEY_ID=%s OSS_ACCESS_KEY_SECRET=%s\nunset OSS_SESSION_TOKEN\n",
				s.URL, s.Region, s.OSS.AccessKeyID, s.OSS.AccessKeySecret.Reveal())
		case "cdn": // whose name no name server knows
			fmt.Fprintf(out, "echo %s > cdn.key\n", base64.URLEncoding.EncodeToString(s.CDNKey.Secret.Reveal()))
			fmt.Fprintf(out, "curl --connect-to ::%s \"$(go run ./examples/presign -provider cdn -endpoint %v -key-name %s -key-file cdn.key get FILE)\"\n",
				s.Endpoint().Host, s.CDNBase(), s.CDNKey.Name)
			continue
		}
		fmt.Fprintf(out, "go run ./examples/presign -provider %s -bucket %s -curl put FILE\n", p.provider, s.Bucket)
	}
	fmt.Fprint(out, `
The credentials are random, made for this run, and good for this store alone, which no other machine can reach.
Never print those of a real one.
`)
}

// wait lets real time pass, and a second more for the servers that round.
func wait(ctx context.Context, d time.Duration) (string, error) {
	d += time.Second
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return fmt.Sprintf("%v later", d), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// namesXML reads a list of S3's, which Cloud Storage and OSS write too.
func namesXML(body []byte) (names []string, err error) {
	var list struct {
		XMLName  xml.Name `xml:"ListBucketResult"`
		Contents []struct{ Key string }
	}
	err = xml.Unmarshal(body, &list)
	for _, c := range list.Contents {
		names = append(names, c.Key)
	}
	return names, err
}

// namesAzure reads a list of Azure's.
func namesAzure(body []byte) (names []string, err error) {
	var list struct {
		XMLName xml.Name `xml:"EnumerationResults"`
		Names   []string `xml:"Blobs>Blob>Name"`
	}
	err = xml.Unmarshal(body, &list)
	return list.Names, err
}

// reasonPlain is for those who give none.
func reasonPlain(resp *http.Response, body []byte) (code, message string) {
	if code, message = reasonXML(resp, body); code == "" { // else it is the bucket that speaks
		message = http.StatusText(resp.StatusCode)
	}
	return code, message
}

// reasonXML reads an error document, of any provider that writes one.
func reasonXML(_ *http.Response, body []byte) (code, message string) {
	var e struct {
		XMLName       xml.Name `xml:"Error"`
		Code, Message string
		Details       string // Cloud Storage
		Detail        string `xml:"AuthenticationErrorDetail"` // Azure
	}
	if xml.Unmarshal(bytes.TrimPrefix(body, []byte("\uFEFF")), &e) != nil {
		return "", "it gives no reason"
	}
	message, _, _ = strings.Cut(e.Message, "\nRequestId:") // in Azure's there is more
	return e.Code, strings.TrimSuffix(strings.Join(strings.Fields(message+" "+e.Details+" "+e.Detail), " "), ".")
}
