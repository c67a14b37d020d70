package difftest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ossv2 "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	ossv2credentials "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
	ossv2signer "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/signer"
	ossv1 "github.com/aliyun/aliyun-oss-go-sdk/oss"

	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

// An ossPeer is one of Alibaba Cloud's SDKs: its whole client, unmodified, which sends to a transport that keeps the request.
type ossPeer interface {
	presign(c *ossCase) (rawURL string, err error)
	send(c *ossCase) (*http.Request, error) // signed in its header
}

// kept is the transport: it answers 200 to everything.
type kept struct{ request *http.Request }

func (k *kept) RoundTrip(req *http.Request) (*http.Response, error) {
	k.request = req
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

func (k *kept) Do(req *http.Request) (*http.Response, error) { return k.RoundTrip(req) }

// peerV1 is aliyun-oss-go-sdk.
type peerV1 struct {
	client *ossv1.Client
	bucket string
	kept   *kept
}

func newPeerV1(s ossSite, i ossIdentity, list []string) (ossPeer, error) {
	k := new(kept)
	options := []ossv1.ClientOption{ossv1.AuthVersion(ossv1.AuthV4), ossv1.Region(s.config.Region), ossv1.SecurityToken(i.token), ossv1.AdditionalHeaders(list),
		ossv1.UseCname(s.cname), ossv1.ForcePathStyle(s.path), ossv1.VerifyObjectStrict(false), ossv1.HTTPClient(&http.Client{Transport: k})}
	if s.cloudBox != "" {
		options = append(options, ossv1.CloudBoxId(s.cloudBox))
	}
	c, err := ossv1.New(s.endpoint, i.id, i.secret, options...)
	return &peerV1{c, s.config.Bucket, k}, err
}

func (p *peerV1) presign(c *ossCase) (string, error) {
	b, err := p.client.Bucket(p.bucket)
	if err != nil {
		return "", err
	}
	var options []ossv1.Option
	for name, value := range c.header {
		options = append(options, ossv1.SetHeader(name, value))
	}
	for name, value := range c.query {
		options = append(options, ossv1.AddParam(name, value))
	}
	return b.SignURL(c.key, ossv1.HTTPMethod(c.method), int64(c.expires/time.Second), options...)
}

func (p *peerV1) send(c *ossCase) (*http.Request, error) {
	params := make(map[string]any)
	for name, value := range c.query {
		params[name] = value
	}
	_, err := p.client.Conn.Do(c.method, p.bucket, c.key, params, c.header, nil, 0, nil)
	return p.kept.request, err
}

// peerV2 is alibabacloud-oss-go-sdk-v2.
type peerV2 struct {
	client *ossv2.Client
	bucket string
	kept   *kept
}

func newPeerV2(s ossSite, i ossIdentity, list []string) (ossPeer, error) {
	k := new(kept)
	cfg := ossv2.LoadDefaultConfig().WithRegion(s.config.Region).WithEndpoint(s.endpoint).WithUsePathStyle(s.path).WithUseCName(s.cname).WithHttpClient(&http.Client{Transport: k}).
		WithCredentialsProvider(ossv2credentials.NewStaticCredentialsProvider(i.id, i.secret, i.token)).WithAdditionalHeaders(list)
	if s.cloudBox != "" {
		cfg.WithCloudBoxId(s.cloudBox)
	}
	return &peerV2{ossv2.NewClient(cfg), s.config.Bucket, k}, nil
}

func (p *peerV2) input(c *ossCase) *ossv2.OperationInput {
	input := &ossv2.OperationInput{OpName: "Operation", Method: c.method, Bucket: &p.bucket, Headers: c.header, Parameters: c.query}
	if c.key != "" {
		input.Key = &c.key
	}
	return input
}

func (p *peerV2) presign(c *ossCase) (string, error) {
	input := p.input(c)
	input.OpMetadata.Set(ossv2signer.SignTime, time.Now().Add(c.expires))
	_, err := p.client.InvokeOperation(context.Background(), input, func(o *ossv2.Options) { o.AuthMethod = ossv2.Ptr(ossv2.AuthMethodQuery) })
	if err != nil {
		return "", err
	}
	return p.kept.request.URL.String(), nil
}

func (p *peerV2) send(c *ossCase) (*http.Request, error) {
	_, err := p.client.InvokeOperation(context.Background(), p.input(c))
	return p.kept.request, err
}

type newPeer = func(ossSite, ossIdentity, []string) (ossPeer, error)

// ossPair is both sides at one site with one identity, and a verifier of the site. All read the clock of the bubble they are in.
type ossPair struct {
	ossSite
	ossIdentity
	ours     *oss.Signer
	theirs   ossPeer
	verifier *oss.Verifier
	list     []string // of additional headers
	round    int
}

// host is where the object is, for the header Host that an SDK signs only if it is told it.
func (p *ossPair) host() string {
	u, _ := url.Parse(p.endpoint)
	if p.path || p.cname {
		return u.Host
	}
	return p.config.Bucket + "." + u.Host
}

func newOSSPair(t *testing.T, s ossSite, i ossIdentity, list []string, peer newPeer) *ossPair {
	t.Helper()
	p := &ossPair{ossSite: s, ossIdentity: i, list: list}
	p.config.Credentials, p.config.AdditionalHeaders = i.ours, list
	var err error
	if p.ours, err = oss.New(p.config); err != nil {
		t.Fatal(err)
	}
	if p.theirs, err = peer(s, i, list); err != nil {
		t.Fatal(err)
	}
	c := oss.VerifierConfig{Region: p.config.Region, Product: p.config.Product, Endpoint: p.config.Endpoint, Addressing: p.config.Addressing,
		Lookup: func(context.Context, string) (oss.Credentials, error) { return i.ours, nil }}
	if s.cname {
		c.Bucket = p.config.Bucket
	}
	if p.verifier, err = oss.NewVerifier(c); err != nil {
		t.Fatal(err)
	}
	return p
}

// told is the case as an SDK wants it: with Host in the header's map if it is to be signed.
func (p *ossPair) told(c *ossCase) *ossCase {
	if !slices.Contains(p.list, "Host") {
		return c
	}
	with := *c
	with.header = maps.Clone(c.header)
	with.header["Host"] = p.host()
	return &with
}

// forOSSSeeds runs test n times for each of six seeds, in a bubble whose clock goes on between the cases, with each of the SDKs
// in turn.
func forOSSSeeds(t *testing.T, n int, test func(t *testing.T, g gen, p *ossPair, peer string)) {
	if testing.Short() {
		n /= 20
	}
	for name, peer := range map[string]newPeer{"v1": newPeerV1, "v2": newPeerV2} {
		for _, seed := range []uint64{1, 2, 3, 1117, 20241203, 1 << 63} {
			t.Run(fmt.Sprintf("%s/seed=%d", name, seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					g := newGen(seed)
					var p *ossPair
					for i := range n {
						if i%25 == 0 {
							list := []string{}
							if g.chance(2) {
								list = append(list, "Host")
							}
							for _, header := range append([]string{"Content-Length"}, ossAdditional...) {
								if g.chance(6) {
									list = append(list, header)
								}
							}
							p = newOSSPair(t, pick(g, ossSites()), g.ossIdentity(i), list, peer)
						}
						p.round = i
						pause := time.Duration(g.Int64N(int64(time.Minute)))
						if g.chance(10) { // on to another day
							pause = time.Duration(g.Int64N(int64(100 * 24 * time.Hour)))
						}
						time.Sleep(pause)
						test(t, g, p, name)
					}
				})
			})
		}
	}
}

// differs fails with both results and our canonical request.
func (p *ossPair) differs(t *testing.T, c *ossCase, what, ours, theirs string, again func(context.Context)) {
	t.Helper()
	var trace signer.Trace
	again(signer.WithTrace(context.Background(), &trace))
	t.Fatalf("request %d at %s: %+v\n%s\nours   %q\ntheirs %q\n\nours\n%s", p.round, p.endpoint, c, what, ours, theirs, trace.CanonicalRequest)
}

// sameOSSURL compares what two URLs say: scheme, host, the decoded path, and all parameters with the signature. The SDKs write
// them in another order, version 1 writes %2F for the slash, version 2 "acl=" for "acl".
func sameOSSURL(t *testing.T, a, b string) bool {
	t.Helper()
	ua, err := url.Parse(a)
	if err != nil {
		t.Fatal(err)
	}
	ub, err := url.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return ua.Scheme == ub.Scheme && ua.Host == ub.Host && strings.TrimSuffix(ua.Path, "/") == strings.TrimSuffix(ub.Path, "/") &&
		slices.Equal(parameters(t, ua.RawQuery), parameters(t, ub.RawQuery))
}

// verify has our verifier judge a request that an SDK signed, and one with a thing changed.
func (p *ossPair) verify(t *testing.T, g gen, c *ossCase, req *http.Request) {
	t.Helper()
	in := httptest.NewRequest(req.Method, "http://x.invalid/", nil)
	in.Header, in.Host, in.RequestURI, in.ContentLength = req.Header.Clone(), req.URL.Host, req.URL.RequestURI(), req.ContentLength
	in.Header.Del("Host")
	if length := c.header["Content-Length"]; length != "" { // there is no body behind it
		in.ContentLength, _ = strconv.ParseInt(length, 10, 64)
	}
	grant, err := p.verifier.Verify(context.Background(), in)
	if err != nil {
		t.Fatalf("request %d at %s: %+v\nwhat the SDK signed is refused: %v", p.round, p.endpoint, c, err)
	}
	if grant.Key != c.key || grant.Bucket != p.config.Bucket || grant.Method != c.method || len(grant.Query) != len(c.query) {
		t.Fatalf("request %d: %+v\nis granted as %+v", p.round, c, grant)
	}
	for name, value := range c.query {
		if got := grant.Query[name]; len(got) != 1 || got[0] != value {
			t.Fatalf("request %d: the parameter %q is granted as %q, was %q", p.round, name, got, value)
		}
	}
	switch g.IntN(4) {
	case 0:
		in.Method = map[bool]string{true: "PUT", false: "GET"}[in.Method != "PUT"]
	case 1:
		in.Header.Set("X-Oss-Added", "1")
	case 2:
		path, query, _ := strings.Cut(in.RequestURI, "?")
		in.RequestURI = path + "x?" + query
	case 3:
		in.RequestURI += map[bool]string{true: "&more=1", false: "?more=1"}[strings.Contains(in.RequestURI, "?")]
	}
	if _, err := p.verifier.Verify(context.Background(), in); !errors.Is(err, signer.ErrMismatch) && !errors.Is(err, signer.ErrScope) {
		t.Fatalf("request %d: tampered with, %s %s: %v", p.round, in.Method, signer.RedactURL(in.RequestURI), err)
	}
}

// TestOSSPresign compares URLs, from bucket and key and from finished URLs, with those of both SDKs' clients.
func TestOSSPresign(t *testing.T) {
	forOSSSeeds(t, 2_500, func(t *testing.T, g gen, p *ossPair, peer string) {
		c := g.ossCase(p.list, false, p.token != "")
		if c.key == "" && peer == "v1" {
			c.key = "k" // SignURL is for objects
		}
		want, err := p.theirs.presign(p.told(&c))
		if err != nil {
			t.Fatalf("request %d: theirs: %+v: %v", p.round, c, err)
		}
		ctx := context.Background()
		r := c.request()
		got, err := p.ours.Presign(ctx, r)
		if err != nil {
			t.Fatalf("request %d: ours: %+v: %v", p.round, c, err)
		}
		if !sameOSSURL(t, got.URL, want) {
			p.differs(t, &c, "Presign", got.URL, want, func(ctx context.Context) { p.ours.Presign(ctx, r) })
		}
		if appended, _, err := p.ours.AppendURL(ctx, nil, r); err != nil || string(appended) != got.URL {
			t.Fatalf("request %d: AppendURL: %v\n%s\nPresign\n%s", p.round, err, appended, got.URL)
		}
		place, _, _ := strings.Cut(want, "?") // in the SDK's spelling
		req, err := c.httpRequest(g, place)
		if err != nil {
			t.Fatal(err)
		}
		finished, err := p.ours.PresignRequest(ctx, req, signer.Options{Expires: c.expires})
		if err != nil {
			t.Fatalf("request %d: PresignRequest: %+v: %v", p.round, c, err)
		}
		if !sameOSSURL(t, finished.URL, want) {
			p.differs(t, &c, "PresignRequest", finished.URL, want, func(ctx context.Context) { p.ours.PresignRequest(ctx, req, signer.Options{Expires: c.expires}) })
		}
		holder, err := http.NewRequest(c.method, want, nil)
		if err != nil {
			t.Fatal(err)
		}
		holder.Header, holder.ContentLength = req.Header, req.ContentLength
		p.verify(t, g, &c, holder)
	})
}

// TestOSSSign compares signatures in headers. Version 1 signs the text of Date unless it is given an x-oss-date; its own
// requests go to our verifier, and for the comparison it is given one.
func TestOSSSign(t *testing.T) {
	forOSSSeeds(t, 2_500, func(t *testing.T, g gen, p *ossPair, peer string) {
		c := g.ossCase(p.list, true, p.token != "")
		if peer == "v1" {
			sent, err := p.theirs.send(p.told(&c))
			if err != nil {
				t.Fatalf("request %d: theirs: %+v: %v", p.round, c, err)
			}
			p.verify(t, g, &c, sent)
			c.header["X-Oss-Date"] = time.Now().UTC().Format("20060102T150405Z")
		}
		theirs, err := p.theirs.send(p.told(&c))
		if err != nil {
			t.Fatalf("request %d: theirs: %+v: %v", p.round, c, err)
		}
		delete(c.header, "X-Oss-Date")
		place, _, _ := strings.Cut(theirs.URL.String(), "?")
		req, err := c.httpRequest(g, place)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.ours.Sign(context.Background(), req); err != nil {
			t.Fatalf("request %d: ours: %+v: %v", p.round, c, err)
		}
		for _, name := range []string{"Authorization", "X-Oss-Date", "X-Oss-Content-Sha256", "X-Oss-Security-Token"} {
			if ours, theirs := req.Header.Get(name), theirs.Header.Get(name); ours != theirs {
				bare, _ := c.httpRequest(g, place)
				p.differs(t, &c, name, ours, theirs, func(ctx context.Context) { p.ours.Sign(ctx, bare) })
			}
		}
		p.verify(t, g, &c, theirs)
	})
}
