package signer_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A provider is one column of the README's table: a Signer at noon, and what verifies at any time.
type provider struct {
	signer   signer.Signer
	verifier func(at time.Time) signer.Verifier
}

func midday() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

// providers are the columns of the README's table, as package internal/matrix makes them.
func providers(t *testing.T) map[string]provider {
	must := func(v signer.Verifier, err error) signer.Verifier {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	fixed := clock.Fixed(midday())
	secret := signer.NewSecret([]byte("a secret of sixteen bytes and more"))
	all := make(map[string]provider)
	add := func(name string, s signer.Signer, err error, v func(clock.Clock) (signer.Verifier, error)) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		all[name] = provider{s, func(at time.Time) signer.Verifier { return must(v(clock.Fixed(at))) }}
	}
	aws := s3.Credentials{AccessKeyID: "A", SecretKey: secret}
	s, err := s3.New(s3.Config{Region: "eu-west-1", Bucket: "photos", Credentials: aws, Clock: fixed})
	add("s3", s, err, func(c clock.Clock) (signer.Verifier, error) {
		return s3.NewVerifier(s3.VerifierConfig{Region: "eu-west-1", Clock: c, Lookup: func(context.Context, string) (s3.Credentials, error) { return aws, nil }})
	})
	key, err := gcs.HMACKey("GOOG1EXAMPLE", secret)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gcs.New(gcs.Config{Bucket: "photos", Key: key, Clock: fixed})
	add("gcs", g, err, func(c clock.Clock) (signer.Verifier, error) {
		return gcs.NewVerifier(gcs.VerifierConfig{Clock: c, Secret: func(context.Context, string) (signer.Secret, error) { return secret, nil }})
	})
	ali := oss.Credentials{AccessKeyID: "A", AccessKeySecret: secret}
	o, err := oss.New(oss.Config{Region: "cn-hangzhou", Bucket: "photos", Credentials: ali, Clock: fixed})
	add("oss", o, err, func(c clock.Clock) (signer.Verifier, error) {
		return oss.NewVerifier(oss.VerifierConfig{Region: "cn-hangzhou", Clock: c, Lookup: func(context.Context, string) (oss.Credentials, error) { return ali, nil }})
	})
	shared, err := azure.SharedKey("myaccount", "bm90IGEgc2VjcmV0")
	if err != nil {
		t.Fatal(err)
	}
	a, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: shared, Clock: fixed})
	add("azure", a, err, func(c clock.Clock) (signer.Verifier, error) {
		return azure.NewVerifier(azure.VerifierConfig{Account: "myaccount", Clock: c, AccountKeys: func(context.Context) ([]signer.Secret, error) { return []signer.Secret{shared.Secret()}, nil }})
	})
	delegated := azure.UserDelegationKey{SignedOID: "11111111-2222-3333-4444-555555555555", SignedTID: "66666666-7777-8888-9999-000000000000",
		SignedStart: "2026-11-24T11:00:00Z", SignedExpiry: "2026-12-01T12:00:00Z", SignedService: "b", SignedVersion: "2026-04-06", Value: secret}
	d, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: delegated, Version: "2026-04-06", Clock: fixed})
	add("azure, user delegation", d, err, func(c clock.Clock) (signer.Verifier, error) {
		return azure.NewVerifier(azure.VerifierConfig{Account: "myaccount", Clock: c, DelegationKey: func(context.Context, azure.UserDelegationKey) (signer.Secret, error) { return secret, nil }})
	})
	media := cdn.Key{Name: "k", Secret: signer.NewSecret(make([]byte, 16))}
	base := &url.URL{Scheme: "https", Host: "media.example.com"}
	e, err := cdn.New(cdn.Config{BaseURL: base, Bucket: "photos", Key: media, Clock: fixed})
	add("cdn", e, err, func(c clock.Clock) (signer.Verifier, error) {
		return cdn.NewVerifier(cdn.VerifierConfig{BaseURL: base, Bucket: "photos", Keys: []cdn.Key{media}, Clock: c})
	})
	return all
}

// inbound is the request that the holder of a URL sends, as a server gets it.
func inbound(p *signer.Presigned) *http.Request {
	r := httptest.NewRequest(p.Method, p.URL, nil)
	for name, values := range p.Header {
		r.Header[name] = slices.Clone(values)
	}
	if length := p.Header.Get("Content-Length"); length != "" {
		r.ContentLength = int64(len(length)) // of one digit each here
	}
	return r
}

// TestCapabilities holds each yes to a verifier, which takes what was asked for and refuses it when it is changed, and each no to
// the signer, which refuses to sign it.
func TestCapabilities(t *testing.T) {
	for name, p := range providers(t) {
		t.Run(name, func(t *testing.T) {
			capable, ok := signer.As[signer.Capable](p.signer)
			if !ok {
				t.Fatal("it does not tell")
			}
			c := capable.Capabilities()
			if !strings.HasPrefix(name, c.Backend) || c.Backend == "" {
				t.Errorf("it is of backend %q", c.Backend)
			}
			h := held{t, p}

			for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "POST", "PATCH"} {
				h.check("method "+method, c.Methods == nil || slices.Contains(c.Methods, method), signer.Request{Method: method}, func(r *http.Request) {
					r.Method = map[bool]string{true: "PUT", false: "DELETE"}[method == "DELETE"]
				})
			}
			upload := http.MethodPut
			if c.Methods != nil && !slices.Contains(c.Methods, upload) {
				upload = http.MethodGet // it has none, and no headers for anything else either
			}
			for header, yes := range map[string]bool{"Content-Type": c.ContentType, "Content-Md5": c.Checksum} {
				ask := signer.Request{Method: upload, Header: http.Header{header: {"Q2hlY2sgSW50ZWdyaXR5IQ=="}}}
				h.check(header, yes, ask, func(r *http.Request) { r.Header.Set(header, "b3RoZXI=") })
				h.check(header+" left out", yes, ask, func(r *http.Request) { r.Header.Del(header) })
			}
			h.check("Content-Length", c.ContentLength, signer.Request{Method: upload, Header: http.Header{"Content-Length": {"1"}}}, func(r *http.Request) {
				r.ContentLength = 2
				r.Header.Set("Content-Length", "2")
			})
			h.check("parameter", c.Query, signer.Request{Query: url.Values{"shade": {"blue"}}}, replace("blue", "red"))
			for field, value := range map[string]signer.ResponseHeaders{
				"CacheControl": {CacheControl: "nnn"}, "ContentDisposition": {ContentDisposition: "nnn"}, "ContentEncoding": {ContentEncoding: "nnn"},
				"ContentLanguage": {ContentLanguage: "nnn"}, "ContentType": {ContentType: "nnn"}, "Expires": {Expires: "nnn"},
			} {
				h.check("Response."+field, slices.Contains(c.Response, field), signer.Request{Response: value}, replace("=nnn", "=mmm"))
			}
			from := netip.MustParsePrefix("192.0.2.0/28") // httptest's client is 192.0.2.1
			h.check("SourceIP", c.SourceIP, signer.Request{SourceIP: from}, func(r *http.Request) { r.RemoteAddr = "192.0.2.16:1234" })

			h.times(c)
			h.prefix(c.Prefix)
			h.post(c.Post)
		})
	}
}

func replace(old, new string) func(*http.Request) {
	return func(r *http.Request) {
		*r = *httptest.NewRequest(r.Method, strings.Replace(r.URL.String(), old, new, 1), nil)
	}
}

// held are the checks of one provider.
type held struct {
	*testing.T
	provider
}

// check presigns, lets the verifier judge it, and then a change. Without the capability it must not be signed, but by BestEffort, which says
// so.
func (h held) check(what string, yes bool, ask signer.Request, change func(*http.Request)) {
	h.Helper()
	ask.Key, ask.Expires = "cat.jpg", time.Hour
	p, err := h.signer.Presign(h.Context(), ask)
	if !yes {
		if !errors.Is(err, signer.ErrUnsupported) {
			h.Errorf("%s is a no, and Presign says %v", what, err)
		}
		ask.BestEffort = true
		if p, err := h.signer.Presign(h.Context(), ask); err == nil && len(p.NotEnforced) == 0 {
			h.Errorf("%s is a no, and BestEffort does not tell", what)
		}
		return
	}
	if err != nil || p.NotEnforced != nil {
		h.Errorf("%s is a yes, and Presign says %v, %v", what, p, err)
		return
	}
	v := h.verifier(midday())
	if _, err := v.Verify(h.Context(), inbound(p)); err != nil {
		h.Errorf("%s: %v", what, err)
	}
	r := inbound(p)
	change(r)
	if _, err := v.Verify(h.Context(), r); !errors.Is(err, signer.ErrMismatch) && !errors.Is(err, signer.ErrScope) {
		h.Errorf("%s was changed: %v", what, err)
	}
}

// times holds start, end and longest life to the verifier's clock.
func (h held) times(c signer.Capabilities) {
	longest := c.MaxExpires
	if longest == 0 {
		longest = 10 * 365 * 24 * time.Hour
	}
	p, err := h.signer.Presign(h.Context(), signer.Request{Key: "k", Expires: longest})
	if err != nil {
		h.Fatal(err)
	}
	if got := p.ExpiresAt.Sub(midday()); got != longest {
		h.Errorf("it lives for %v, not %v", got, longest)
	}
	verify := func(at time.Time) error {
		_, err := h.verifier(at).Verify(h.Context(), inbound(p))
		return err
	}
	if err := verify(p.ExpiresAt.Add(-time.Second)); err != nil {
		h.Errorf("at its end: %v", err)
	}
	if err := verify(p.ExpiresAt.Add(time.Second)); !errors.Is(err, signer.ErrExpired) {
		h.Errorf("after its end: %v", err)
	}
	_, err = h.signer.Presign(h.Context(), signer.Request{Key: "k", Expires: longest + time.Second})
	if limited := errors.Is(err, signer.ErrLifetime) || errors.Is(err, signer.ErrCredentials); limited != (c.MaxExpires != 0) {
		h.Errorf("longer than the longest life, %v: %v", c.MaxExpires, err)
	}
	if err := verify(midday().AddDate(-1, 0, 0)); errors.Is(err, signer.ErrNotYetValid) != c.NotBefore || c.NotBefore == p.NotBefore.IsZero() {
		h.Errorf("a year before its start %v: %v", p.NotBefore, err)
	}
}

// prefix takes one signature for two names.
func (h held) prefix(yes bool) {
	var p *signer.Presigned
	switch s := h.signer.(type) {
	case *cdn.Signer:
		prefix, err := s.PresignPrefix(h.Context(), "https://media.example.com/a/", signer.Options{Expires: time.Hour})
		if err != nil {
			h.Fatal(err)
		}
		p = &signer.Presigned{Method: "GET", URL: "https://media.example.com/a/k?" + prefix.Query()}
	case *azure.Signer:
		var err error
		if p, err = s.SAS(h.Context(), azure.SAS{Directory: "a", Permissions: "r", Expires: time.Hour}); err != nil {
			h.Fatal(err)
		}
		p.Method, p.URL = "GET", strings.Replace(p.URL, "/photos/a?", "/photos/a/k?", 1)
	}
	if (p != nil) != yes {
		h.Fatalf("prefix is %v", yes)
	}
	if !yes {
		return
	}
	v := h.verifier(midday())
	for path, good := range map[string]bool{"/a/k?": true, "/a/b/c?": true, "/b/k?": false, "/ab?": false} {
		r := inbound(p)
		replace("/a/k?", path)(r)
		if _, err := v.Verify(h.Context(), r); (err == nil) != good || !good && !errors.Is(err, signer.ErrMismatch) && !errors.Is(err, signer.ErrScope) {
			h.Errorf("one signature for /a/, and %s: %v", path, err)
		}
	}
}

func (h held) post(yes bool) {
	form, err := signer.PresignPost(h.Context(), h.signer, signer.Policy{KeyPrefix: "a/", MaxBytes: 1, ContentType: "image/png", Expires: time.Hour})
	if !yes {
		if !errors.Is(err, signer.ErrUnsupported) {
			h.Errorf("forms are a no, and PresignPost says %v", err)
		}
		return
	}
	if err != nil {
		h.Fatal(err)
	}
	v, ok := h.verifier(midday()).(signer.PostVerifier)
	if !ok {
		h.Fatal("nobody verifies forms")
	}
	if _, err := v.VerifyPost(h.Context(), signer.Post{Bucket: "photos", Fields: form.Fields, FileName: "cat.png"}); err != nil {
		h.Error(err)
	}
	changed := slices.Clone(form.Fields)
	for i := range changed {
		if strings.EqualFold(changed[i].Name, "Content-Type") {
			changed[i].Value = "text/html"
		}
	}
	if _, err := v.VerifyPost(h.Context(), signer.Post{Bucket: "photos", Fields: changed, FileName: "cat.png"}); !errors.Is(err, signer.ErrPolicy) {
		h.Errorf("another type: %v", err)
	}
}
