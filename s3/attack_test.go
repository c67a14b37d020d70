package s3_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Attacks that once worked, or that work on verifiers of others.

// Go's zero time is a date of the year 1; it must not pass for no date at all.
func TestAttackDateOfTheYearOne(t *testing.T) {
	v := newVerifier(t)
	r := httptest.NewRequest("GET", "https://photos.s3.eu-west-1.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F00010101%2Feu-west-1%2Fs3%2Faws4_request"+
		"&X-Amz-Date=00010101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature="+strings.Repeat("0", 64), nil)
	if _, err := v.Verify(ctx, r); !errors.Is(err, signer.ErrMalformed) {
		t.Errorf("in the query: %v", err)
	}
	r = httptest.NewRequest("GET", "https://photos.s3.eu-west-1.amazonaws.com/k", nil)
	r.Header = http.Header{"Date": {"Mon, 01 Jan 0001 00:00:00 GMT"}, "X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"},
		"Authorization": {"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/00010101/eu-west-1/s3/aws4_request,SignedHeaders=date;host;x-amz-content-sha256,Signature=" + strings.Repeat("0", 64)}}
	if _, err := v.Verify(ctx, r); !errors.Is(err, signer.ErrMalformed) {
		t.Errorf("in the header: %v", err)
	}
}

// Of one name in two spellings, one could be signed and the other be acted on. net/http delivers no such map; adapters may.
func TestAttackTwoSpellings(t *testing.T) {
	p, _ := newSigner(t).Presign(ctx, signer.Request{Method: "PUT", Key: "k", Expires: time.Minute, Header: http.Header{"X-Amz-Acl": {"private"}}})
	for _, h := range []http.Header{
		{"x-amz-acl": {"private"}, "X-Amz-Acl": {"public-read"}},
		{"X-AMZ-ACL": {"public-read"}, "x-Amz-Acl": {"private"}},
		{"X-Amz-Acl": {"private"}, " X-Amz-Acl": {"public-read"}},
	} {
		r := received(t, p, nil)
		r.Header = h
		if g, err := newVerifier(t).Verify(ctx, r); err == nil {
			t.Errorf("%q: %+v", h, g)
		}
	}
	r := received(t, p, nil)
	r.Header = http.Header{"x-amz-acl": {"private"}}
	if g, err := newVerifier(t).Verify(ctx, r); err != nil || g.Header.Get("X-Amz-Acl") != "private" || map[string][]string(r.Header)["x-amz-acl"] == nil {
		t.Errorf("one spelling: %+v, %v, the request has %q", g, err, r.Header)
	}
	r = received(t, p, nil)
	r.Trailer = http.Header{"X-Amz-Copy-Source": nil}
	if _, err := newVerifier(t).Verify(ctx, r); !errors.Is(err, signer.ErrMismatch) {
		t.Errorf("in a trailer: %v", err)
	}
}

// One line with a comma and two lines have one signature. Whoever acts on the Grant, or stands behind Require, sees one value.
func TestAttackSplitHeader(t *testing.T) {
	p, _ := newSigner(t, func(c *s3.Config) { c.Endpoint = mustURL(t, "http://h") }).Presign(ctx, signer.Request{Method: "PUT", Key: "k", Expires: time.Minute,
		Header: http.Header{"X-Amz-Copy-Source": {"/photos/secret,public"}}})
	r := received(t, p, nil)
	r.Header["X-Amz-Copy-Source"] = []string{"/photos/secret", "public"}
	v := newVerifier(t, func(c *s3.VerifierConfig) { c.Endpoint = mustURL(t, "http://h") })
	var seen []string
	signer.Require(v, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen = r.Header["X-Amz-Copy-Source"] })).
		ServeHTTP(httptest.NewRecorder(), r)
	if !slices.Equal(seen, []string{"/photos/secret,public"}) {
		t.Errorf("the handler sees %q", seen)
	}
	if len(r.Header["X-Amz-Copy-Source"]) != 2 {
		t.Error("the request itself was changed")
	}
}

// Parameters of one name have one order, that of the signature.
func TestAttackReorderedParameters(t *testing.T) {
	p, _ := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute, Query: url.Values{"versionId": {"1", "2"}}})
	r := received(t, p, nil)
	r.RequestURI = strings.Replace(r.RequestURI, "versionId=1&versionId=2", "versionId=2&versionId=1", 1)
	g, err := newVerifier(t).Verify(ctx, r)
	if err != nil || g.Query.Get("versionId") != "1" {
		t.Errorf("%+v, %v", g, err)
	}
}

// An id that a lookup finds under another spelling is not that id.
func TestAttackKeyIDInAnotherCase(t *testing.T) {
	p, _ := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	v := newVerifier(t, func(c *s3.VerifierConfig) {
		c.Lookup = func(_ context.Context, id string) (s3.Credentials, error) {
			other := creds()
			other.AccessKeyID = strings.ToLower(other.AccessKeyID)
			return other, nil
		}
	})
	_, err := v.Verify(ctx, received(t, p, nil))
	wantRefusal(t, nil, err, signer.ErrUnknownKey, "InvalidAccessKeyId")
}

// Headers of the other form beside a presigned URL are refused even if they are signed.
func TestAttackTokenInHeader(t *testing.T) {
	for _, name := range []string{"X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Region-Set"} {
		p, _ := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
		r := received(t, p, nil)
		r.Header.Set(name, "20261124T235919Z")
		if _, err := newVerifier(t).Verify(ctx, r); !errors.Is(err, signer.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Strange request targets are not guessed at.
func TestAttackRequestTargets(t *testing.T) {
	p, _ := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	_, query, _ := strings.Cut(p.URL, "?")
	for _, target := range []string{"https://host?evil=1/k?", "foo:bar?x=://h/k?", "ftp://h/k?", "k?"} {
		r := received(t, p, nil)
		r.RequestURI = target + query
		if g, err := newVerifier(t).Verify(ctx, r); err == nil {
			t.Errorf("%s: %+v", target, g)
		}
	}
	for path, host := range map[string]string{"/k%00": "", "/%ff": "", "/k": ".s3.eu-west-1.amazonaws.com", "//k": "s3.eu-west-1.amazonaws.com"} {
		r := received(t, p, nil)
		r.RequestURI = path + "?" + query
		if host != "" {
			r.Host = host
		}
		if _, err := newVerifier(t).Verify(ctx, r); !errors.Is(err, signer.ErrMalformed) && !errors.Is(err, signer.ErrScope) {
			t.Errorf("%s at %q: %v", path, host, err)
		}
	}
	if _, err := newVerifier(t).Verify(ctx, nil); !errors.Is(err, signer.ErrMalformed) {
		t.Errorf("no request: %v", err)
	}
}

// A decoder that stops at the end of a value must not miss that the body is another one.
func TestAttackBodyOfTheSameForm(t *testing.T) {
	v := newVerifier(t, func(c *s3.VerifierConfig) { c.Endpoint = mustURL(t, "http://h") })
	for name, use := range map[string]func(r *http.Request) error{
		"json":     func(r *http.Request) error { return json.NewDecoder(r.Body).Decode(new(any)) },
		"ReadFull": func(r *http.Request) error { _, err := io.ReadFull(r.Body, make([]byte, r.ContentLength)); return err },
		"CopyN":    func(r *http.Request) error { _, err := io.CopyN(io.Discard, r.Body, r.ContentLength); return err },
		"ReadAll":  func(r *http.Request) error { _, err := io.ReadAll(r.Body); return err },
	} {
		for _, unsigned := range []bool{false, true} {
			const body = `{"amount":1}`
			req, _ := http.NewRequest("PUT", "http://h/photos/k", strings.NewReader(body))
			s := newSigner(t)
			var err error
			if unsigned {
				err = s.SignChunked(ctx, req, s3.Chunked{Unsigned: true, Checksum: s3.ChecksumCRC32})
			} else if err = s3.HashBody(req); err == nil {
				err = s.Sign(ctx, req)
			}
			if err != nil {
				t.Fatal(err)
			}
			wire, _ := io.ReadAll(req.Body)
			in := arrive(req)
			in.Body = io.NopCloser(strings.NewReader(strings.Replace(string(wire), `:1}`, `:9}`, 1)))
			signer.Require(v, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.ContentLength = int64(len(body))
				if err := use(r); !errors.Is(err, signer.ErrMismatch) {
					t.Errorf("%s, unsigned chunks %v: %v", name, unsigned, err)
				}
			})).ServeHTTP(httptest.NewRecorder(), in)
		}
	}
}

// What stands in the wrong place may be a secret.
func TestAttackErrorsDoNotRepeat(t *testing.T) {
	const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	const sig = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, header := range []string{
		"Credential=AK/20261124/eu-west-1/s3/aws4_request,SignedHeaders=host Signature=" + sig,
		"Credential=AK/20261124/eu-west-1/s3/aws4_request,SignedHeaders=host;Signature=" + sig,
		"Credential=AK/20261124/eu-west-1/s3/aws4_request Signature=" + sig + ",SignedHeaders=host",
		"Credential=AK/20261124/eu-west-1/s3/" + sig + ",SignedHeaders=host,Signature=" + sig,
		"Credential=AK/" + strings.ReplaceAll(secret, "/", "x") + "/eu-west-1/s3/aws4_request,SignedHeaders=host,Signature=" + sig,
		"Credential=" + strings.ReplaceAll(secret, "/", "x") + "/20261124/eu-west-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=" + sig,
		"Credential=AK/20261124/" + strings.ReplaceAll(secret, "/", "x") + "/s3/aws4_request,SignedHeaders=host,Signature=" + sig,
	} {
		r := httptest.NewRequest("GET", "https://photos.s3.eu-west-1.amazonaws.com/k", nil)
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 "+header)
		r.Header.Set("X-Amz-Date", "20261124T235949Z")
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		_, err := newVerifier(t).Verify(ctx, r)
		if err == nil || strings.Contains(err.Error(), "0123456789abc") || strings.Contains(err.Error(), "wJalrXUt") {
			t.Errorf("%s\n%v", header, err)
		}
	}
	failed := &url.Error{Op: "Get", URL: "https://h/?X-Amz-Signature=" + sig, Err: errSource}
	s := newSigner(t, func(c *s3.Config) {
		c.Credentials = sourceFunc(func() (s3.Credentials, error) { return creds(), failed })
	})
	if _, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Minute}); !errors.Is(err, errSource) || strings.Contains(err.Error(), sig) {
		t.Errorf("%v", err)
	}
	req, _ := http.NewRequest("PUT", "https://h/k", strings.NewReader("body"))
	if err := newSigner(t).SignChunked(ctx, req, s3.Chunked{}); err != nil {
		t.Fatal(err)
	}
	signature := req.Header.Get("Authorization")[len(req.Header.Get("Authorization"))-64:]
	if text := fmt.Sprintf("%s %q %v %+v", req.Body, req.Body, req.Body, req.Body); strings.Contains(text, signature) {
		t.Errorf("a body prints %s", text)
	}
}

// A request with very many headers costs no more for each of them: names are looked up, not searched for. Compare the
// nanoseconds per header.
func BenchmarkAttackManyHeaders(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		r := httptest.NewRequest("GET", "https://photos.s3.eu-west-1.amazonaws.com/k", nil)
		names := []string{"host"}
		for i := range n {
			names = append(names, fmt.Sprintf("x-amz-meta-%07d", i))
			r.Header[http.CanonicalHeaderKey(names[i+1])] = []string{"1"}
		}
		r.RequestURI = "/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261124%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20261124T235949Z&X-Amz-Expires=60" +
			"&X-Amz-SignedHeaders=" + strings.Join(names, "%3B") + "&X-Amz-Signature=" + strings.Repeat("0", 64)
		v := newVerifier(b)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if _, err := v.Verify(ctx, r); !errors.Is(err, signer.ErrMismatch) {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/header")
		})
	}
}
