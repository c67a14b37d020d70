package s3_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

func lookup(known ...s3.Credentials) func(context.Context, string) (s3.Credentials, error) {
	return func(_ context.Context, id string) (s3.Credentials, error) {
		for _, c := range known {
			if c.AccessKeyID == id {
				return c, nil
			}
		}
		return s3.Credentials{}, fmt.Errorf("%w: %s", signer.ErrUnknownKey, id)
	}
}

func newVerifier(t testing.TB, edits ...func(*s3.VerifierConfig)) *s3.Verifier {
	t.Helper()
	c := s3.VerifierConfig{Region: "eu-west-1", Lookup: lookup(creds()), Clock: clock.Fixed(now)}
	for _, edit := range edits {
		edit(&c)
	}
	v, err := s3.NewVerifier(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// received is a presigned request as a server sees it.
func received(t testing.TB, p *signer.Presigned, body io.Reader) *http.Request {
	t.Helper()
	sent, err := p.NewRequest(ctx, body)
	if err != nil {
		t.Fatal(err)
	}
	return arrive(sent)
}

// arrive turns a client's request into the server's view of it.
func arrive(sent *http.Request) *http.Request {
	r := httptest.NewRequest(sent.Method, sent.URL.String(), sent.Body)
	r.RequestURI = sent.URL.RequestURI()
	r.ContentLength = sent.ContentLength
	r.Header = sent.Header.Clone()
	if r.Host = sent.Host; r.Host == "" {
		r.Host = sent.URL.Host
	}
	if sent.URL.Scheme == "https" {
		r.TLS = new(tls.ConnectionState)
	}
	return r
}

// What a Verifier keeps of one URL must not show in its verdict on the next: that is a new Verifier's.
func TestVerifiedBefore(t *testing.T) {
	s, at := newSigner(t), now
	known := newVerifier(t, func(c *s3.VerifierConfig) { c.Clock = clock.Func(func() time.Time { return at }) })
	presigned := func(r signer.Request) *http.Request {
		r.Expires = time.Minute
		p, err := s.Presign(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		return received(t, p, nil)
	}
	edited := func(edit func(*http.Request)) *http.Request {
		r := presigned(signer.Request{Key: "cat.jpg"})
		edit(r)
		return r
	}
	last := func(r *http.Request) (rest, digit string) {
		return r.RequestURI[:len(r.RequestURI)-1], r.RequestURI[len(r.RequestURI)-1:]
	}
	for what, next := range map[string]*http.Request{
		"the same":           presigned(signer.Request{Key: "cat.jpg"}),
		"another key":        presigned(signer.Request{Key: "dog.jpg"}),
		"another method":     presigned(signer.Request{Method: "PUT", Key: "cat.jpg"}),
		"a header":           presigned(signer.Request{Key: "cat.jpg", Header: http.Header{"X-Amz-Meta-A": {"b"}}}),
		"a parameter":        presigned(signer.Request{Key: "cat.jpg", Query: url.Values{"versionId": {"1"}}}),
		"another path":       edited(func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "cat", "dog", 1) }),
		"a life too long":    edited(func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "Expires=", "Expires=9999999", 1) }),
		"a parameter added":  edited(func(r *http.Request) { r.RequestURI += "&versionId=1" }),
		"a second signature": edited(func(r *http.Request) { r.RequestURI += r.RequestURI[strings.LastIndex(r.RequestURI, "&"):] }),
		"no signature":       edited(func(r *http.Request) { r.RequestURI = r.RequestURI[:strings.LastIndex(r.RequestURI, "=")+1] }),
		"half a signature":   edited(func(r *http.Request) { r.RequestURI = r.RequestURI[:len(r.RequestURI)-32] }),
		"a signature in capitals": edited(func(r *http.Request) {
			at := strings.LastIndex(r.RequestURI, "=")
			r.RequestURI = r.RequestURI[:at] + strings.ToUpper(r.RequestURI[at:])
		}),
		"an escaped digit": edited(func(r *http.Request) { rest, digit := last(r); r.RequestURI = fmt.Sprintf("%s%%%X", rest, digit) }),
		"a broken escape":  edited(func(r *http.Request) { rest, _ := last(r); r.RequestURI = rest + "%" }),
		"another digit":    edited(func(r *http.Request) { rest, digit := last(r); r.RequestURI = rest + string("10"[digit[0]&1]) }),
		"Authorization":    edited(func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x") }),
		"X-Amz-Date":       edited(func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261124T235949Z") }),
		"a payload":        edited(func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "x") }),
		"the first again":  presigned(signer.Request{Key: "cat.jpg"}),
	} {
		for _, at = range []time.Time{now, now.Add(time.Hour)} {
			known.Verify(ctx, presigned(signer.Request{Key: "cat.jpg"}))
			want, fresh := newVerifier(t, func(c *s3.VerifierConfig) { c.Clock = clock.Fixed(at) }).Verify(ctx, next)
			for _, before := range []string{"the first", "itself"} {
				got, err := known.Verify(ctx, next)
				if fmt.Sprint(err) != fmt.Sprint(fresh) || !reflect.DeepEqual(got, want) {
					t.Errorf("%s after %s, at %v: %+v, %v, by a new Verifier %+v, %v", what, before, at, got, err, want, fresh)
				}
				if err == nil { // a Grant is its holder's
					got.SignedHeaders[0] = "spoiled"
					got.Query.Del("versionId")
				}
			}
		}
	}

	at = now
	life := regexp.MustCompile("X-Amz-Expires=[0-9]+&")
	lifeLast := edited(func(r *http.Request) { // the order of parameters is not signed
		r.RequestURI = life.ReplaceAllString(r.RequestURI, "") + "&" + strings.TrimSuffix(life.FindString(r.RequestURI), "&")
	})
	lifeless := edited(func(r *http.Request) { r.RequestURI = life.ReplaceAllString(r.RequestURI, "") })
	if _, err := known.Verify(ctx, lifeLast); err != nil {
		t.Fatal(err)
	}
	if _, err := known.Verify(ctx, lifeless); !errors.Is(err, signer.ErrMalformed) {
		t.Errorf("the same without what stood behind its signature: %v", err)
	}
}

func TestNewVerifierErrors(t *testing.T) {
	good := s3.VerifierConfig{Region: "eu-west-1", Lookup: lookup()}
	for _, tt := range []struct {
		name  string
		edit  func(*s3.VerifierConfig)
		field string
	}{
		{"no region", func(c *s3.VerifierConfig) { c.Region = "" }, "Region"},
		{"no lookup", func(c *s3.VerifierConfig) { c.Lookup = nil }, "Lookup"},
		{"endpoint", func(c *s3.VerifierConfig) { c.Endpoint = &url.URL{Host: "h"} }, "Endpoint"},
		{"bucket host without endpoint", func(c *s3.VerifierConfig) { c.Addressing = signer.AddressingBucketHost }, "Addressing"},
		{"learned clock", func(c *s3.VerifierConfig) { c.Clock = learned{clock.System(), t, ""} }, "Clock"},
		{"negative leeway", func(c *s3.VerifierConfig) { c.Leeway = -1 }, "Leeway"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.edit(&c)
			_, err := s3.NewVerifier(c)
			wantError(t, err, signer.ErrRequest, tt.field)
		})
	}
}

// What is signed is granted, in every form and addressing, with names decoded as they were meant.
func TestVerifyGrants(t *testing.T) {
	withToken := creds()
	withToken.SessionToken = signer.NewSecret([]byte("a+token/with=signs"))
	type signerEdit = func(*s3.Config)
	at := func(raw string, a signer.Addressing) (signerEdit, func(*s3.VerifierConfig)) {
		u := mustURL(t, raw)
		return func(c *s3.Config) { c.Endpoint, c.Addressing = u, a }, func(c *s3.VerifierConfig) { c.Endpoint, c.Addressing = u, a }
	}
	for _, place := range []struct {
		endpoint   string
		addressing signer.Addressing
		bucket     string // of the grant
	}{
		{"", signer.AddressingAuto, "photos"},
		{"", signer.AddressingPath, "photos"},
		{"http://127.0.0.1:9000", signer.AddressingAuto, "photos"},
		{"http://[::1]:9000/base/x%20y", signer.AddressingPath, "photos"},
		{"https://gw.example", signer.AddressingVirtualHost, "photos"},
		{"https://cdn.example:8443", signer.AddressingBucketHost, "cdn.example"},
	} {
		confS := func(c *s3.Config) { c.Addressing = place.addressing }
		confV := func(c *s3.VerifierConfig) { c.Addressing = place.addressing }
		if place.endpoint != "" {
			confS, confV = at(place.endpoint, place.addressing)
		}
		s := newSigner(t, confS, func(c *s3.Config) { c.Credentials = withToken })
		v := newVerifier(t, confV, func(c *s3.VerifierConfig) { c.Lookup = lookup(withToken) })
		for _, key := range []string{"k", "a/b c+d%2Fe~.jpg", "/leading", "a//b", "é😀", "trailing/", strings.Repeat("long/", 180) + "x", "%", "a\nb", "!$&'()*,;=:@[]?#"} {
			name := fmt.Sprintf("%s %v %.20q", place.endpoint, place.addressing, key)
			p, err := s.Presign(ctx, signer.Request{Method: "PUT", Key: key, Expires: time.Minute,
				Query: url.Values{"partNumber": {"1"}, "uploadId": {"a+b c"}}, Header: http.Header{"X-Amz-Meta-A": {"1", " 2  3"}}})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			g, err := v.Verify(ctx, received(t, p, strings.NewReader("body")))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if g.Bucket != place.bucket || g.Key != key || g.Method != "PUT" || g.Query.Get("uploadId") != "a+b c" || len(g.Query) != 2 ||
				g.KeyID != withToken.AccessKeyID || g.Backend != "s3" || g.Scheme != "AWS4-HMAC-SHA256" || g.Payload != "" || len(g.Fingerprint) != 32 ||
				!g.ExpiresAt.Equal(p.ExpiresAt) || !g.NotBefore.Equal(p.NotBefore) || strings.Join(g.SignedHeaders, " ") != "host x-amz-meta-a" {
				t.Errorf("%s: the grant is %+v", name, g)
			}

			// The same request, signed in its header.
			bare, _, _ := strings.Cut(p.URL, "?")
			req, err := http.NewRequest("PUT", bare+"?partNumber=1&uploadId=a%2Bb+c", strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			if err := s3.HashBody(req); err != nil {
				t.Fatal(err)
			}
			if err := s.Sign(ctx, req); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			in := arrive(req)
			g, err = v.Verify(ctx, in)
			if err != nil {
				t.Errorf("%s, in the header: %v", name, err)
				continue
			}
			if g.Bucket != place.bucket || g.Key != key || g.Query.Get("uploadId") != "a+b c" || g.Payload != "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5" ||
				!g.ExpiresAt.Equal(g.SignedAt.Add(15*time.Minute)) {
				t.Errorf("%s, in the header: the grant is %+v", name, g)
			}
			if body, err := io.ReadAll(g.Body(in.Body)); string(body) != "body" || err != nil {
				t.Errorf("body %q, %v", body, err)
			}
		}
	}
}

// RequestURI is what came over the wire; a handler in front may have changed URL.
func TestVerifyTakesTheWirePath(t *testing.T) {
	p, _ := newSigner(t).Presign(ctx, signer.Request{Key: "a/b", Expires: time.Minute})
	r := received(t, p, nil)
	r.URL.Path = "/b" // http.StripPrefix
	if g, err := newVerifier(t).Verify(ctx, r); err != nil || g.Key != "a/b" {
		t.Errorf("%+v, %v", g, err)
	}
	r = received(t, p, nil)
	r.RequestURI = p.URL // as sent to a proxy
	if g, err := newVerifier(t).Verify(ctx, r); err != nil || g.Key != "a/b" {
		t.Errorf("in absolute form: %+v, %v", g, err)
	}
	for _, uri := range []string{"*", "a/b", "h:443"} {
		r.RequestURI = uri + "?" + r.URL.RawQuery
		if _, err := newVerifier(t).Verify(ctx, r); !errors.Is(err, signer.ErrMalformed) {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

// Other spellings of one path are one path, as the service has it.
func TestVerifyOtherSpellings(t *testing.T) {
	p, _ := newSigner(t).Presign(ctx, signer.Request{Key: "a+b~c", Expires: time.Minute})
	for _, path := range []string{"/a+b~c", "/a%2bb%7Ec", "/%61%2Bb~c"} {
		r := received(t, p, nil)
		_, query, _ := strings.Cut(r.RequestURI, "?")
		r.RequestURI = path + "?" + query
		if g, err := newVerifier(t).Verify(ctx, r); err != nil || g.Key != "a+b~c" {
			t.Errorf("%s: %+v, %v", path, g, err)
		}
	}
}

func TestVerifyBehindAProxy(t *testing.T) {
	p, _ := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	r := received(t, p, nil)
	r.Host, r.TLS = "10.0.0.7:8080", nil
	if _, err := newVerifier(t).Verify(ctx, r); !errors.Is(err, signer.ErrScope) {
		t.Errorf("under another host: %v", err)
	}
	v := newVerifier(t, func(c *s3.VerifierConfig) {
		c.Inbound = func(r *http.Request) (signer.Inbound, error) {
			return signer.Inbound{Scheme: "https", Host: "photos.s3.eu-west-1.amazonaws.com:443"}, nil
		}
	})
	if _, err := v.Verify(ctx, r); err != nil {
		t.Errorf("with the host that the client used: %v", err)
	}
	failing := newVerifier(t, func(c *s3.VerifierConfig) {
		c.Inbound = func(r *http.Request) (signer.Inbound, error) { return signer.Inbound{}, errSource }
	})
	if _, err := failing.Verify(ctx, r); err != errSource {
		t.Errorf("%v", err)
	}
}

func TestVerifyTimes(t *testing.T) {
	p, _ := newSigner(t, func(c *s3.Config) { c.Backdate = -1 }).Presign(ctx, signer.Request{Key: "k", Expires: time.Hour})
	header, _ := http.NewRequest("GET", "https://photos.s3.eu-west-1.amazonaws.com/k", nil)
	if err := newSigner(t).Sign(ctx, header); err != nil {
		t.Fatal(err)
	}
	signedAt := now.Truncate(time.Second)
	for _, tt := range []struct {
		after       time.Duration
		leeway      time.Duration
		url, header error
	}{
		{0, 0, nil, nil},
		{-15 * time.Minute, 0, nil, nil},
		{-15*time.Minute - 1, 0, signer.ErrNotYetValid, signer.ErrNotYetValid},
		{15*time.Minute - 1, 0, nil, nil},
		{15 * time.Minute, 0, nil, signer.ErrExpired},
		{20 * time.Minute, 0, nil, signer.ErrExpired}, // the 15 minutes of headers do not cut URLs short
		{time.Hour - 1, 0, nil, signer.ErrExpired},
		{time.Hour, 0, signer.ErrExpired, signer.ErrExpired},
		{time.Hour, 2 * time.Hour, signer.ErrExpired, nil}, // no leeway beyond the end of a URL
		{-time.Hour, 2 * time.Hour, nil, nil},
		{-2 * time.Second, time.Second, signer.ErrNotYetValid, signer.ErrNotYetValid},
	} {
		v := newVerifier(t, func(c *s3.VerifierConfig) { c.Clock, c.Leeway = clock.Fixed(signedAt.Add(tt.after)), tt.leeway })
		if _, err := v.Verify(ctx, received(t, p, nil)); !errors.Is(err, tt.url) {
			t.Errorf("URL %v after signing, leeway %v: %v, want %v", tt.after, tt.leeway, err, tt.url)
		}
		if _, err := v.Verify(ctx, arrive(header)); !errors.Is(err, tt.header) {
			t.Errorf("header %v after signing, leeway %v: %v, want %v", tt.after, tt.leeway, err, tt.header)
		}
	}
}

// One thing changed after signing, in the URL form.
func TestVerifyRefusesURLs(t *testing.T) {
	withToken := creds()
	withToken.AccessKeyID = "ASIAIOSFODNN7EXAMPLE"
	withToken.SessionToken = signer.NewSecret([]byte("token"))
	dead := creds()
	dead.AccessKeyID, dead.Expires = "AKIADEAD", now
	query := func(edit func(q string) string) func(*http.Request) {
		return func(r *http.Request) {
			path, q, _ := strings.Cut(r.RequestURI, "?")
			r.RequestURI = path + "?" + edit(q)
		}
	}
	replace := func(from, to string) func(*http.Request) {
		return query(func(q string) string {
			if !strings.Contains(q, from) {
				t.Fatalf("no %s in the query", from)
			}
			return strings.Replace(q, from, to, 1)
		})
	}
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = []string{value} }
	}
	for _, tt := range []struct {
		name  string
		creds s3.Credentials
		edit  func(*http.Request)
		class error
		code  string
	}{
		{"method", creds(), func(r *http.Request) { r.Method = "GET" }, signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"path", creds(), func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "/k", "/K", 1) }, signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"path in double encoding", creds(), func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "/k", "/%256B", 1) }, signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"bucket in the host", creds(), func(r *http.Request) { r.Host = "other.s3.eu-west-1.amazonaws.com" }, signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"another host", creds(), func(r *http.Request) { r.Host = "evil.example" }, signer.ErrScope, "InvalidRequest"},
		{"port", creds(), func(r *http.Request) { r.Host += ":444" }, signer.ErrScope, "InvalidRequest"},
		{"signature", creds(), query(func(q string) string { return q[:len(q)-1] + flip(q[len(q)-1:]) }), signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"signature cut", creds(), query(func(q string) string { return q[:len(q)-1] }), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"signature extended", creds(), query(func(q string) string { return q + "0" }), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"signature empty", creds(), query(func(q string) string { return q[:len(q)-64] }), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"no signature", creds(), query(func(q string) string { return q[:strings.Index(q, "&X-Amz-Signature")] }), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"expiry stretched", creds(), replace("X-Amz-Expires=90", "X-Amz-Expires=900"), signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"expiry 0", creds(), replace("X-Amz-Expires=90", "X-Amz-Expires=0"), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"expiry negative", creds(), replace("X-Amz-Expires=90", "X-Amz-Expires=-1"), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"expiry of eight days", creds(), replace("X-Amz-Expires=90", "X-Amz-Expires=691200"), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"expiry with a plus", creds(), replace("X-Amz-Expires=90", "X-Amz-Expires=%2B90"), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"expiry with a zero in front", creds(), replace("X-Amz-Expires=90", "X-Amz-Expires=090"), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"expiry that overflows", creds(), replace("X-Amz-Expires=90", "X-Amz-Expires=99999999999999999999"), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"expiry twice", creds(), query(func(q string) string { return q + "&X-Amz-Expires=90" }), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"expiry twice, in another spelling", creds(), query(func(q string) string { return "x-amz-expires=90&" + q }), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"expiry in another spelling", creds(), replace("X-Amz-Expires", "x-amz-expires"), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"date", creds(), replace("X-Amz-Date=20261124T235919Z", "X-Amz-Date=20261124T235920Z"), signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"date of another day than the scope's", creds(), replace("X-Amz-Date=20261124T235919Z", "X-Amz-Date=20261125T000000Z"), signer.ErrScope, "AuthorizationQueryParametersError"},
		{"no date", creds(), replace("X-Amz-Date=20261124T235919Z&", ""), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"date that is none", creds(), replace("X-Amz-Date=20261124T235919Z", "X-Amz-Date=yesterday"), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"algorithm", creds(), replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"algorithm for several regions", creds(), replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"no algorithm", creds(), replace("X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"region", creds(), replace("eu-west-1", "eu-west-2"), signer.ErrScope, "AuthorizationQueryParametersError"},
		{"service", creds(), replace("%2Fs3%2F", "%2Fiam%2F"), signer.ErrScope, "AuthorizationQueryParametersError"},
		{"terminator", creds(), replace("aws4_request", "aws4_requesT"), signer.ErrScope, "AuthorizationQueryParametersError"},
		{"credential without a service", creds(), replace("%2Fs3", ""), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"credential with an empty id", creds(), replace("Credential=AKIAIOSFODNN7EXAMPLE", "Credential="), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"unknown key", creds(), replace("AKIAIOSFODNN7EXAMPLE", "AKIAUNKNOWN"), signer.ErrUnknownKey, "InvalidAccessKeyId"},
		{"signed headers without host", creds(), replace("X-Amz-SignedHeaders=host%3Bx-amz-meta-a", "X-Amz-SignedHeaders=x-amz-meta-a"), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"signed headers unsorted", creds(), replace("host%3Bx-amz-meta-a", "x-amz-meta-a%3Bhost"), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"signed headers with a comma", creds(), replace("host%3Bx-amz-meta-a", "host,x-amz-meta-a"), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"signed headers with an empty name", creds(), replace("host%3Bx", "host%3B%3Bx"), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"signed headers in capitals", creds(), replace("x-amz-meta-a", "X-Amz-Meta-A"), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"signed header not sent", creds(), func(r *http.Request) { delete(r.Header, "X-Amz-Meta-A") }, signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"signed header changed", creds(), set("X-Amz-Meta-A", "2"), signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"copy source added", creds(), set("X-Amz-Copy-Source", "/secrets/all"), signer.ErrMismatch, "AccessDenied"},
		{"copy source added in lower case", creds(), set("x-amz-copy-source", "/secrets/all"), signer.ErrMismatch, "AccessDenied"},
		{"x-goog header added", creds(), set("X-Goog-Acl", "public-read"), signer.ErrMismatch, "AccessDenied"},
		{"x-oss header added", creds(), set("X-Oss-Acl", "public-read"), signer.ErrMismatch, "AccessDenied"},
		{"payload hash added", creds(), set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), signer.ErrMismatch, "AccessDenied"},
		{"parameter added", creds(), query(func(q string) string { return q + "&versionId=1" }), signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"parameter added in front", creds(), query(func(q string) string { return "acl&" + q }), signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"a broken escape", creds(), query(func(q string) string { return q + "&a=%zz" }), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"Authorization too", creds(), set("Authorization", "AWS4-HMAC-SHA256 x"), signer.ErrConflict, "InvalidRequest"},
		{"Authorization of another kind too", creds(), set("Authorization", "Bearer x"), signer.ErrConflict, "InvalidRequest"},
		{"a second signature", creds(), query(func(q string) string { return q + "&X-Goog-Signature=00" }), signer.ErrConflict, "InvalidRequest"},
		{"token added", creds(), query(func(q string) string { return q + "&X-Amz-Security-Token=token" }), signer.ErrMismatch, "InvalidToken"},
		{"token left out", withToken, replace("&X-Amz-Security-Token=token", ""), signer.ErrMismatch, "InvalidToken"},
		{"token changed", withToken, replace("Token=token", "Token=tokem"), signer.ErrMismatch, "InvalidToken"},
		{"region set", creds(), query(func(q string) string { return q + "&X-Amz-Region-Set=%2A" }), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"payload hash as a parameter", creds(), query(func(q string) string { return q + "&X-Amz-Content-Sha256=" + strings.Repeat("0", 64) }), signer.ErrMalformed, "AuthorizationQueryParametersError"},
		{"dead credentials", dead, func(*http.Request) {}, signer.ErrExpired, "ExpiredToken"},
		{"the query lost", creds(), query(func(string) string { return "" }), signer.ErrUnsigned, "AccessDenied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			alive := tt.creds
			alive.Expires = time.Time{}
			p, err := newSigner(t, func(c *s3.Config) { c.Credentials = alive }).Presign(ctx, signer.Request{Method: "PUT", Key: "k", Expires: time.Minute,
				Header: http.Header{"X-Amz-Meta-A": {"1"}}})
			if err != nil {
				t.Fatal(err)
			}
			v := newVerifier(t, func(c *s3.VerifierConfig) { c.Lookup = lookup(tt.creds) })
			if _, err := v.Verify(ctx, received(t, p, nil)); err != nil && tt.creds.Expires.IsZero() {
				t.Fatalf("before the change: %v", err)
			}
			r := received(t, p, nil)
			tt.edit(r)
			g, err := v.Verify(ctx, r)
			wantRefusal(t, g, err, tt.class, tt.code)
		})
	}
}

func flip(digit string) string {
	if digit == "0" {
		return "1"
	}
	return "0"
}

func wantRefusal(t *testing.T, g *signer.Grant, err, class error, code string) {
	t.Helper()
	var e *signer.Error
	if g != nil || !errors.Is(err, class) || !errors.As(err, &e) || e.Code != code || e.Op != "verify" {
		t.Errorf("grant %v, error %+v, want %q with code %q", g, err, class, code)
	}
}

// One thing changed after signing, in the header form.
func TestVerifyRefusesHeaders(t *testing.T) {
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = []string{value} }
	}
	auth := func(from, to string) func(*http.Request) {
		return func(r *http.Request) {
			a := r.Header.Get("Authorization")
			if !strings.Contains(a, from) {
				t.Fatalf("no %s in %s", from, a)
			}
			r.Header.Set("Authorization", strings.Replace(a, from, to, 1))
		}
	}
	for _, tt := range []struct {
		name  string
		edit  func(*http.Request)
		class error
		code  string
	}{
		{"method", func(r *http.Request) { r.Method = "DELETE" }, signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"path", func(r *http.Request) { r.RequestURI = "/K?a=1" }, signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"query", func(r *http.Request) { r.RequestURI = "/k?a=2" }, signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"length", func(r *http.Request) { r.ContentLength++ }, signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"length unknown", func(r *http.Request) { r.ContentLength = -1 }, signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"payload hash", set("X-Amz-Content-Sha256", strings.Repeat("0", 64)), signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"payload unsigned", set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"payload hash of another length", set("X-Amz-Content-Sha256", "00"), signer.ErrMalformed, "AuthorizationHeaderMalformed"},
		{"payload hash in capitals", set("X-Amz-Content-Sha256", strings.Repeat("A", 64)), signer.ErrMalformed, "AuthorizationHeaderMalformed"},
		{"payload hash missing", func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }, signer.ErrMalformed, "AuthorizationHeaderMalformed"},
		{"payload hash twice", func(r *http.Request) { r.Header.Add("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }, signer.ErrMalformed, "AuthorizationHeaderMalformed"},
		{"streaming", set("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"), signer.ErrMalformed, "AuthorizationHeaderMalformed"},
		{"streaming of an unknown kind", set("X-Amz-Content-Sha256", "STREAMING-AWS5"), signer.ErrUnsupported, "AuthorizationHeaderMalformed"},
		{"date", set("X-Amz-Date", "20261124T235950Z"), signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"date of another day", set("X-Amz-Date", "20261125T000000Z"), signer.ErrScope, "AuthorizationHeaderMalformed"},
		{"no date", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, signer.ErrMalformed, "AuthorizationHeaderMalformed"},
		{"date twice", func(r *http.Request) { r.Header.Add("X-Amz-Date", "20261124T235949Z") }, signer.ErrMalformed, "AuthorizationHeaderMalformed"},
		{"token added", set("X-Amz-Security-Token", "t"), signer.ErrMismatch, "AccessDenied"},
		{"copy source added", set("X-Amz-Copy-Source", "/a/b"), signer.ErrMismatch, "AccessDenied"},
		{"signature in capitals", func(r *http.Request) {
			a := r.Header.Get("Authorization")
			r.Header.Set("Authorization", a[:len(a)-64]+strings.ToUpper(a[len(a)-64:]))
		}, signer.ErrMalformed, "AuthorizationHeaderMalformed"},
		{"region", auth("eu-west-1", "us-east-1"), signer.ErrScope, "AuthorizationHeaderMalformed"},
		{"signed header dropped", auth("x-amz-meta-a", "x-amz-meta-b"), signer.ErrMismatch, "AccessDenied"},
		{"an unknown key", auth(",Signature", ",UnknownKey=1,Signature"), signer.ErrMalformed, "AuthorizationHeaderMalformed"},
		{"Authorization twice", func(r *http.Request) { r.Header.Add("Authorization", "Bearer x") }, signer.ErrConflict, "InvalidRequest"},
		{"presigned too", func(r *http.Request) { r.RequestURI += "&X-Amz-Signature=00" }, signer.ErrConflict, "InvalidRequest"},
		{"presigned too, in another spelling", func(r *http.Request) { r.RequestURI += "&x%2Damz-expires=1" }, signer.ErrConflict, "InvalidRequest"},
		{"a second signature", func(r *http.Request) { r.RequestURI += "&sig=00" }, signer.ErrConflict, "InvalidRequest"},
		{"broken escape in the query", func(r *http.Request) { r.RequestURI += "&b=%" }, signer.ErrMalformed, "AuthorizationHeaderMalformed"},
		{"broken escape in the path", func(r *http.Request) { r.RequestURI = "/%" }, signer.ErrMalformed, "InvalidURI"},
		{"algorithm for several regions", auth("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), signer.ErrMalformed, "AuthorizationHeaderMalformed"},
		{"another kind of Authorization", set("Authorization", "Bearer x"), signer.ErrUnsigned, "AccessDenied"},
		{"no Authorization", func(r *http.Request) { r.Header.Del("Authorization") }, signer.ErrUnsigned, "AccessDenied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, _ := http.NewRequest("PUT", "https://photos.s3.eu-west-1.amazonaws.com/k?a=1", strings.NewReader("body"))
			req.Header.Set("X-Amz-Meta-A", "1")
			if err := s3.HashBody(req); err != nil {
				t.Fatal(err)
			}
			if err := newSigner(t).Sign(ctx, req); err != nil {
				t.Fatal(err)
			}
			v := newVerifier(t)
			if _, err := v.Verify(ctx, arrive(req)); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			r := arrive(req)
			tt.edit(r)
			g, err := v.Verify(ctx, r)
			wantRefusal(t, g, err, tt.class, tt.code)
		})
	}
}

// A date may come in the Date header, in either form, if there is no X-Amz-Date.
func TestVerifyDateHeader(t *testing.T) {
	req, _ := http.NewRequest("GET", "https://photos.s3.eu-west-1.amazonaws.com/k", nil)
	for _, date := range []string{"20261124T235949Z", "Tue, 24 Nov 2026 23:59:49 GMT"} {
		if err := newSigner(t).Sign(ctx, req); err != nil {
			t.Fatal(err)
		}
		r := arrive(req)
		r.Header.Del("X-Amz-Date")
		r.Header.Set("Date", date)
		// The signature is for x-amz-date, so it does not match; but it is dated.
		a := strings.Replace(r.Header.Get("Authorization"), "host;x-amz-content-sha256;x-amz-date", "date;host;x-amz-content-sha256", 1)
		r.Header.Set("Authorization", a)
		_, err := newVerifier(t).Verify(ctx, r)
		wantRefusal(t, nil, err, signer.ErrMismatch, "SignatureDoesNotMatch")
	}
}

// What is missing does not keep the verifier from telling what it saw.
func TestVerifyTracesWithoutAHeader(t *testing.T) {
	p, _ := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute, Header: http.Header{"X-Amz-Meta-A": {"1"}}})
	r := received(t, p, nil)
	delete(r.Header, "X-Amz-Meta-A")
	var trace signer.Trace
	_, err := newVerifier(t).Verify(signer.WithTrace(ctx, &trace), r)
	wantRefusal(t, nil, err, signer.ErrMismatch, "SignatureDoesNotMatch")
	if canonical := string(trace.CanonicalRequest); !strings.Contains(canonical, "\nhost:photos.s3.eu-west-1.amazonaws.com\n\nhost\n") || len(trace.StringToSign) == 0 {
		t.Errorf("trace %q, %q", canonical, trace.StringToSign)
	}
}

// A URL out of HTML or cut by a shell says so.
func TestVerifyHints(t *testing.T) {
	p, _ := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	for _, tt := range []struct{ url, hint string }{
		{strings.ReplaceAll(p.URL, "&", "&amp;"), "copied out of HTML"},
		{p.URL[:strings.Index(p.URL, "&")], "was the URL cut"},
	} {
		_, err := newVerifier(t).Verify(ctx, httptest.NewRequest("GET", tt.url, nil))
		if err == nil || !strings.Contains(err.Error(), tt.hint) {
			t.Errorf("no %q in %v", tt.hint, err)
		}
	}
	if _, err := newVerifier(t).Verify(ctx, &http.Request{}); err == nil {
		t.Error("a request without URL is accepted")
	}
}

// All faults of form are told at once.
func TestVerifyReportsAllFaults(t *testing.T) {
	r := httptest.NewRequest("GET", "https://photos.s3.eu-west-1.amazonaws.com/k?X-Amz-Algorithm=x&X-Amz-Expires=0&X-Amz-Date=x&X-Amz-SignedHeaders=a&X-Amz-Signature=0&X-Amz-Credential=a/20261124/us-east-1/iam/x", nil)
	r.Header.Set("X-Amz-Acl", "private")
	_, err := newVerifier(t).Verify(ctx, r)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"X-Amz-Algorithm: malformed", "X-Amz-Expires: malformed", "X-Amz-Date: malformed", "X-Amz-SignedHeaders: malformed",
		"X-Amz-Signature: malformed", `the region "us-east-1" is wrong; expecting "eu-west-1"`, `the service "iam" is wrong`, `ends in "x"`, "x-amz-acl: mismatch"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("nothing of %q in\n%v", part, err)
		}
	}
}

// A stranger cannot fill memory with faults.
func TestVerifyBoundsFaults(t *testing.T) {
	r := httptest.NewRequest("GET", "https://photos.s3.eu-west-1.amazonaws.com/k?"+strings.Repeat("X-Amz-Date=1&", 10000), nil)
	_, err := newVerifier(t).Verify(ctx, r)
	if err == nil || len(err.Error()) > 10000 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

func TestLookupErrors(t *testing.T) {
	p, _ := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	v := newVerifier(t, func(c *s3.VerifierConfig) {
		c.Lookup = func(context.Context, string) (s3.Credentials, error) { return s3.Credentials{}, errSource }
	})
	if _, err := v.Verify(ctx, received(t, p, nil)); err != errSource {
		t.Errorf("an error of the lookup becomes %v", err)
	}
	// A lookup that finds nothing and says nothing must not make the empty key sign.
	v = newVerifier(t, func(c *s3.VerifierConfig) {
		c.Lookup = func(context.Context, string) (s3.Credentials, error) { return s3.Credentials{}, nil }
	})
	_, err := v.Verify(ctx, received(t, p, nil))
	wantRefusal(t, nil, err, signer.ErrUnknownKey, "InvalidAccessKeyId")
}

// Any host will do where it is said so, and only there.
func TestVerifyAnyHost(t *testing.T) {
	p, _ := newSigner(t, func(c *s3.Config) { c.Endpoint = mustURL(t, "http://localhost:8080") }).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	_, err := newVerifier(t).Verify(ctx, received(t, p, nil))
	wantRefusal(t, nil, err, signer.ErrScope, "InvalidRequest")
	g, err := newVerifier(t, func(c *s3.VerifierConfig) { c.Addressing = signer.AddressingPath }).Verify(ctx, received(t, p, nil))
	if err != nil || g.Bucket != "photos" || g.Key != "k" {
		t.Errorf("%+v, %v", g, err)
	}
}

// A path outside the endpoint's base is no request to it.
func TestVerifyBasePath(t *testing.T) {
	s := newSigner(t, func(c *s3.Config) { c.Endpoint = mustURL(t, "http://h") })
	v := newVerifier(t, func(c *s3.VerifierConfig) { c.Endpoint = mustURL(t, "http://h/base") })
	p, _ := s.Presign(ctx, signer.Request{Bucket: "bases", Key: "k", Expires: time.Minute})
	_, err := v.Verify(ctx, received(t, p, nil))
	wantRefusal(t, nil, err, signer.ErrScope, "InvalidURI")
	p, _ = s.Presign(ctx, signer.Request{Bucket: "base", Expires: time.Minute})
	if g, err := v.Verify(ctx, received(t, p, nil)); err != nil || g.Bucket != "" || g.Key != "" {
		t.Errorf("the base itself: %+v, %v", g, err)
	}
}

func TestVerifyDoesNotChangeTheRequest(t *testing.T) {
	p, _ := newSigner(t).Presign(ctx, signer.Request{Key: "a b", Expires: time.Minute, Header: http.Header{"X-Amz-Meta-A": {" 1  2 "}}})
	r := received(t, p, strings.NewReader("body"))
	before := fmt.Sprint(r.URL, r.Header, r.Host, r.RequestURI, r.ContentLength)
	if _, err := newVerifier(t).Verify(ctx, r); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(r.URL, r.Header, r.Host, r.RequestURI, r.ContentLength) != before {
		t.Error("it was changed")
	}
	if body, _ := io.ReadAll(r.Body); string(body) != "body" {
		t.Errorf("the body was read: %q is left", body)
	}
}

// A stranger's wrong signatures do not enter the key cache: the right key still verifies, and so does its rotation.
func TestVerifyAfterRotation(t *testing.T) {
	current := creds()
	v := newVerifier(t, func(c *s3.VerifierConfig) {
		c.Lookup = func(context.Context, string) (s3.Credentials, error) { return current, nil }
	})
	r := signer.Request{Key: "k", Expires: time.Minute}
	old, _ := newSigner(t).Presign(ctx, r)
	if _, err := v.Verify(ctx, received(t, old, nil)); err != nil {
		t.Fatal(err)
	}
	current.SecretKey = signer.NewSecret([]byte("another secret key"))
	_, err := v.Verify(ctx, received(t, old, nil))
	wantRefusal(t, nil, err, signer.ErrMismatch, "SignatureDoesNotMatch")
	rotated, _ := newSigner(t, func(c *s3.Config) { c.Credentials = current }).Presign(ctx, r)
	if _, err := v.Verify(ctx, received(t, rotated, nil)); err != nil {
		t.Error(err)
	}
}

// What the one who signed wants in the answer is granted, and what nobody signed is not there to be taken for it.
func TestVerifyGrantsOverrides(t *testing.T) {
	want := signer.ResponseHeaders{ContentType: "text/plain; charset=utf-8", ContentDisposition: signer.Attachment("Zoë & co.jpg"),
		CacheControl: "no-store", ContentEncoding: "gzip", ContentLanguage: "de", Expires: "Thu, 01 Dec 1994 16:00:00 GMT"}
	for _, want := range []signer.ResponseHeaders{{}, {ContentDisposition: "attachment"}, want} {
		p, err := newSigner(t).Presign(ctx, signer.Request{Key: "cat.jpg", Expires: time.Minute, Response: want})
		if err != nil {
			t.Fatal(err)
		}
		g, err := newVerifier(t).Verify(ctx, received(t, p, nil))
		if err != nil || g.Response != want {
			t.Errorf("granted %+v, %v, want %+v", g, err, want)
		}
	}
}
