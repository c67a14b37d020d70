package signertest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// evening is the time of most trials: ten seconds and a half before midnight, when days, seconds and zones are easily
// mistaken.
func evening() time.Time { return time.Date(2026, 11, 24, 23, 59, 49, 500e6, time.UTC) }

// second is t cut to the second, from where lives are counted.
func second(t time.Time) time.Time { return t.Truncate(time.Second) }

func ctx() context.Context { return context.Background() }

// An option changes the Options of one signer or verifier.
type option func(*Options)

func at(t time.Time) option             { return func(o *Options) { o.Clock = clock.Fixed(t) } }
func backdate(d time.Duration) option   { return func(o *Options) { o.Backdate = d } }
func leeway(d time.Duration) option     { return func(o *Options) { o.Leeway = d } }
func credentialsDie(t time.Time) option { return func(o *Options) { o.CredentialsExpire = t } }
func rotated(o *Options)                { o.Rotated = func() bool { return true } }

// options are those of most trials, changed.
func (c *trial) options(edits ...option) Options {
	o := Options{Clock: clock.Fixed(evening()), Bucket: c.Bucket, Rotated: func() bool { return false }}
	for _, edit := range edits {
		edit(&o)
	}
	return o
}

func (c *trial) signer(edits ...option) signer.Signer {
	s, err := c.New(c.options(edits...))
	if err != nil {
		c.fatalf("Harness.New: %v", err)
	}
	return s
}

func (c *trial) verifier(edits ...option) signer.Verifier {
	if c.NewVerifier == nil {
		c.skip("the harness has no verifier")
	}
	v, err := c.NewVerifier(c.options(edits...))
	if err != nil {
		c.fatalf("Harness.NewVerifier: %v", err)
	}
	return v
}

// metaHeader is a header that every scheme with headers signs by itself.
func (c *trial) metaHeader() string {
	if c.HeaderPrefix == "" {
		return "X-Color"
	}
	return http.CanonicalHeaderKey(c.HeaderPrefix + "meta-color")
}

// method returns the one that an element of Methods begins with.
func method(group string) string { return strings.Fields(group)[0] }

// writing is a method that has a body, "" if the scheme has none.
func (c *trial) writing() string {
	for _, group := range c.Methods {
		if m := method(group); m == http.MethodPut || m == http.MethodPost {
			return m
		}
	}
	return ""
}

// request asks for what a scheme usually has: an hour, and if it can a parameter and a header.
func (c *trial) request(edits ...func(*signer.Request)) signer.Request {
	r := signer.Request{Method: method(c.Methods[0]), Key: "a/b c+d.txt", Expires: time.Hour}
	if c.has("Query") {
		r.Query = url.Values{"shade": {"pale blue+"}}
	}
	if c.has("Header") {
		r.Header = http.Header{c.metaHeader(): {"blue"}}
	}
	for _, edit := range edits {
		edit(&r)
	}
	return r
}

func expires(d time.Duration) func(*signer.Request) {
	return func(r *signer.Request) { r.Expires = d }
}

func (c *trial) presign(s signer.Signer, r signer.Request) *signer.Presigned {
	p, err := s.Presign(ctx(), r)
	if err != nil {
		c.fatalf("Presign of %s: %v", describe(r), err)
	}
	if p == nil {
		c.fatalf("Presign of %s returns neither a result nor an error", describe(r))
	}
	return p
}

// describe names a request in a message, by what differs from case to case.
func describe(r signer.Request) string {
	text := fmt.Sprintf("%s %q for %v", r.Method, r.Key, r.Expires)
	if r.Window != 0 {
		text += fmt.Sprintf(", window %v", r.Window)
	}
	return text
}

// bare is the URL of an object, without a signature or a query.
func (c *trial) bare(key string) string {
	p := c.presign(c.signer(), signer.Request{Method: method(c.Methods[0]), Key: key, Expires: time.Hour})
	raw, _, _ := strings.Cut(p.URL, "?")
	return raw
}

// httpRequest is a request for a finished URL as the scheme can sign it whole: no parameters or headers where it has none.
func (c *trial) httpRequest(edits ...func(*http.Request)) *http.Request {
	raw := c.bare("a/b c+d.txt")
	if c.has("Query") {
		raw += "?shade=pale%20blue%2B"
	}
	req, err := http.NewRequest(method(c.Methods[0]), raw, nil)
	if err != nil {
		c.fatalf("the URL that Presign returns does not parse: %v", signer.RedactError(err))
	}
	if c.has("Header") {
		req.Header.Set(c.metaHeader(), "blue")
	}
	for _, edit := range edits {
		edit(req)
	}
	return req
}

// withBody gives a request a body, and a method that has one.
func (c *trial) withBody(body string) func(*http.Request) {
	return func(req *http.Request) {
		req.Method = c.writing()
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	}
}

func (c *trial) requestPresigner(s signer.Signer) signer.RequestPresigner {
	rp, ok := signer.As[signer.RequestPresigner](s)
	if !ok {
		c.skip("the signer has no PresignRequest, which the rule capabilities reports")
	}
	return rp
}

func (c *trial) presignRequest(s signer.Signer, req *http.Request, o signer.Options) *signer.Presigned {
	p, err := c.requestPresigner(s).PresignRequest(ctx(), req, o)
	if err != nil {
		c.fatalf("PresignRequest of %s: %v", signer.RedactURL(req.URL.String()), err)
	}
	return p
}

// requestSigner returns the capability, or skips the check for schemes without it.
func (c *trial) requestSigner(s signer.Signer) signer.RequestSigner {
	c.need("Sign")
	rs, ok := signer.As[signer.RequestSigner](s)
	if !ok {
		c.skip("the signer has no Sign, which the rule capabilities reports")
	}
	return rs
}

func (c *trial) sign(s signer.Signer, req *http.Request) {
	if err := c.requestSigner(s).Sign(ctx(), req); err != nil {
		c.fatalf("Sign of %s: %v", signer.RedactURL(req.URL.String()), err)
	}
}

// wantError checks that an operation fails as it must: with one of the sentinels, in an *Error.
func (c *trial) wantError(what string, err error, sentinels ...error) {
	var e *signer.Error
	switch {
	case err == nil:
		c.errorf("%s: no error, want %q", what, errors.Join(sentinels...))
	case !slices.ContainsFunc(sentinels, func(s error) bool { return errors.Is(err, s) }):
		c.errorf("%s: the error is %q, want %q", what, err, errors.Join(sentinels...))
	case !errors.As(err, &e):
		c.errorf("%s: the error %q is no *signer.Error", what, err)
	}
}

// refuses checks that Presign fails with one of the sentinels and returns nothing beside the error.
func (c *trial) refuses(what string, s signer.Signer, r signer.Request, sentinels ...error) {
	p, err := s.Presign(ctx(), r)
	if p != nil && err != nil {
		c.errorf("%s: a URL beside the error", what)
	}
	c.wantError("Presign: "+what, err, sentinels...)
}

// refusal lists the sentinels of verifiers.
func refusal() []error {
	return []error{signer.ErrUnsigned, signer.ErrMalformed, signer.ErrMismatch, signer.ErrExpired, signer.ErrNotYetValid, signer.ErrConflict,
		signer.ErrUnknownKey, signer.ErrScope, signer.ErrPolicy, signer.ErrUnsupported}
}

// sent makes the request that a URL is for.
func (c *trial) sent(p *signer.Presigned) *http.Request {
	req, err := p.NewRequest(ctx(), nil)
	if err != nil {
		c.fatalf("Presigned.NewRequest: %v", err)
	}
	return req
}

// received is a request as its receiver sees it: written to the wire and read from there.
func (c *trial) received(req *http.Request) *http.Request {
	var b bytes.Buffer
	if err := req.Write(&b); err != nil {
		c.fatalf("the request cannot be sent: %v", signer.RedactError(err))
	}
	in, err := http.ReadRequest(bufio.NewReader(&b))
	if err != nil {
		c.fatalf("the request cannot be received: %v", signer.RedactError(err))
	}
	in.RemoteAddr = "192.0.2.1:40000"
	if req.URL.Scheme == "https" {
		in.TLS = new(tls.ConnectionState)
	}
	return in
}

// arrived is the request that a URL is for, as its receiver sees it.
func (c *trial) arrived(p *signer.Presigned) *http.Request { return c.received(c.sent(p)) }

// signed is the usual request, signed in its header, as its receiver sees it.
func (c *trial) signed(s signer.Signer, edits ...func(*http.Request)) *http.Request {
	req := c.httpRequest(edits...)
	c.sign(s, req)
	return c.received(req)
}

// accepts checks that a verifier takes a request and returns the grant.
func (c *trial) accepts(what string, v signer.Verifier, in *http.Request) *signer.Grant {
	g, err := v.Verify(ctx(), in)
	if err != nil {
		c.fatalf("%s is refused: %v", what, err)
	}
	if g == nil {
		c.fatalf("%s: Verify returns neither a grant nor an error", what)
	}
	return g
}

// rejects checks that a verifier refuses a request, with one of the sentinels if there are any.
func (c *trial) rejects(what string, v signer.Verifier, in *http.Request, sentinels ...error) {
	g, err := v.Verify(ctx(), in)
	if err == nil {
		c.errorf("%s is accepted", what)
		return
	}
	if g != nil {
		c.errorf("%s: a grant beside the error", what)
	}
	if len(sentinels) == 0 {
		sentinels = refusal()
	}
	c.wantError(what, err, sentinels...)
}

// edited is a copy of a received request, changed.
func edited(in *http.Request, edit func(*http.Request)) *http.Request {
	r := in.Clone(ctx())
	edit(r)
	return r
}

// retarget changes path and query as they came over the wire.
func retarget(r *http.Request, target string) {
	r.RequestURI = target
	if u, err := url.ParseRequestURI(target); err == nil {
		r.URL = u
	}
}

// param returns the value of a parameter as it stands in a URL.
func param(rawURL, name string) string {
	_, query, _ := strings.Cut(rawURL, "?")
	for part := range strings.SplitSeq(query, "&") {
		if value, ok := strings.CutPrefix(part, name+"="); ok {
			return value
		}
	}
	return ""
}

// isParam reports whether a parameter of a URL belongs to the scheme.
func (c *trial) isParam(name string) bool {
	own := func(p string) bool { return strings.EqualFold(p, name) }
	return slices.ContainsFunc(c.Params, own) || slices.ContainsFunc(c.WishParams, own)
}

// A snapshot is a copy of what a request refers to, to see later whether it was changed.
type snapshot struct {
	query  url.Values
	header http.Header
}

func snap(r signer.Request) snapshot {
	return snapshot{url.Values(http.Header(r.Query).Clone()), r.Header.Clone()}
}

func (s snapshot) same(r signer.Request) bool {
	return reflect.DeepEqual(s.query, r.Query) && reflect.DeepEqual(s.header, r.Header)
}

// picture is all of an *http.Request that signing could change, as text.
func picture(req *http.Request) string {
	if req == nil {
		return "none"
	}
	u := "none"
	if req.URL != nil {
		u = fmt.Sprintf("%+v", *req.URL)
	}
	return fmt.Sprintf("%q %s %v %t %q %q %d %v %v %v", req.Method, u, req.Header, req.Header == nil, req.Host, req.RequestURI, req.ContentLength,
		req.Trailer, req.TransferEncoding, req.Close)
}
