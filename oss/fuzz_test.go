package oss_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// documented reports whether Verify may return err.
func documented(err error) bool {
	var e *signer.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, class := range []error{signer.ErrUnsigned, signer.ErrMalformed, signer.ErrMismatch, signer.ErrExpired, signer.ErrNotYetValid,
		signer.ErrConflict, signer.ErrUnknownKey, signer.ErrScope, signer.ErrUnsupported} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

// No query of a stranger's makes the verifier panic, accept, or answer with an undocumented error, in version 4 and in version 1.
func FuzzPresignedQuery(f *testing.F) {
	p, err := newSigner(f).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	if err != nil {
		f.Fatal(err)
	}
	_, query, _ := strings.Cut(p.URL, "?")
	good := query[strings.LastIndex(query, "=")+1:]
	goodV1 := signV1("GET\n\n\n1795564849\n/photos/k")
	f.Add(strings.Replace(query, good, strings.Repeat("0", 64), 1))
	f.Add("x-oss-signature=&X-OSS-Date&x-oss-expires=-1&x-oss-credential=////")
	f.Add("x-oss-date=%zz&x-oss-additional-headers=%3B")
	f.Add("OSSAccessKeyId=" + keyID + "&Expires=1795564849&Signature=a&acl&x-oss-a%26b=c")
	v := newVerifier(f, acceptV1)
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/k", nil)
		r.RequestURI = "/k?" + query
		g, err := v.Verify(ctx, r)
		if decoded, _ := url.QueryUnescape(query); err == nil && !strings.Contains(decoded, good) && !strings.Contains(decoded, goodV1) {
			t.Errorf("%q is granted %+v", query, g)
		}
		if err != nil && !documented(err) {
			t.Errorf("%q: undocumented error %v", query, err)
		}
	})
}

// What is signed is accepted and granted as it was asked for; one byte changed, it is refused or means the same.
func FuzzSignVerify(f *testing.F) {
	f.Add("a b/c+%2F.jpg", "versionId", "a+b", "1", uint8(0), uint16(60), uint8(1))
	f.Add("é//😀", "acl", "", " two  words ", uint8(1), uint16(40), uint8(255))
	f.Add("~!$&'()*", "x y", "%", "", uint8(2), uint16(300), uint8(32))
	f.Add(`back\slash`, "x-oss-process", "image/resize,w_1", "x", uint8(3), uint16(3), uint8(7))
	s, v := newSigner(f), newVerifier(f)
	f.Fuzz(func(t *testing.T, key, name, value, meta string, form uint8, at uint16, flip uint8) {
		r := signer.Request{Method: "PUT", Key: key, Expires: time.Minute, Query: url.Values{"0": {"2nd"}}}
		if name != "" {
			r.Query[name] = []string{value}
		}
		if meta != "" {
			r.Header = http.Header{"X-Oss-Meta-A": {meta}, "Cache-Control": {"no-store"}}
		}
		p, err := s.Presign(ctx, r)
		if err != nil {
			if !errors.Is(err, signer.ErrRequest) {
				t.Errorf("undocumented error %v", err)
			}
			return
		}
		in := httptest.NewRequest("PUT", "https://photos.oss-cn-hangzhou.aliyuncs.com/", nil)
		in.RequestURI = strings.TrimPrefix(p.URL, "https://photos.oss-cn-hangzhou.aliyuncs.com")
		for n, values := range p.Header {
			in.Header[n] = values
		}
		if form%2 == 1 { // the other form: the same request, signed in its header
			bare, _, _ := strings.Cut(p.URL, "?")
			req, err := http.NewRequest("PUT", bare, nil)
			if err != nil {
				t.Fatalf("our own URL: %v", err)
			}
			req.URL.RawQuery = r.Query.Encode()
			req.Header = p.Header.Clone()
			if err := s.Sign(ctx, req); err != nil {
				t.Fatal(err)
			}
			in = arrive(req)
		}
		g, err := v.Verify(ctx, in)
		if err != nil {
			t.Fatalf("%s is refused: %v", in.RequestURI, err)
		}
		if g.Bucket != "photos" || g.Key != key || g.Method != "PUT" || !reflect.DeepEqual(g.Query, r.Query) {
			t.Errorf("asked for %q %v, granted %q %v", key, r.Query, g.Key, g.Query)
		}

		// Change one byte of what went over the wire.
		if flip == 0 {
			return
		}
		wire := []byte(in.RequestURI)
		wire[int(at)%len(wire)] ^= flip
		in.RequestURI = string(wire)
		changed, err := v.Verify(ctx, in)
		if err != nil {
			if !documented(err) {
				t.Errorf("undocumented error %v", err)
			}
			return
		}
		if changed.Bucket != g.Bucket || changed.Key != g.Key || !reflect.DeepEqual(changed.Query, g.Query) || !changed.ExpiresAt.Equal(g.ExpiresAt) {
			t.Errorf("with one byte changed, %s is granted %+v", wire, changed)
		}
	})
}

// In version 1 too, what is granted is what was signed: the string to sign is rebuilt from the grant and must be the one string
// that has this signature, with the same bytes of bucket, key and parameters in it.
func FuzzVerifyV1(f *testing.F) {
	f.Add("/k", "acl", "/photos/k?acl")
	f.Add("/a%3Facl", "", "/photos/a?acl")
	f.Add("/a", "x-oss-a=1%26acl", "/photos/a?acl&x-oss-a=1")
	f.Add("/a", "x-oss-a=1%26acl", "/photos/a?x-oss-a=1&acl")
	f.Add("/a", "prefix=1&uploads", "/photos/a?uploads")
	v := newVerifier(f, acceptV1)
	f.Fuzz(func(t *testing.T, path, query, resource string) {
		r := httptest.NewRequest("GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/", nil)
		r.RequestURI = path + "?" + query + "&OSSAccessKeyId=" + keyID + "&Expires=1795564849&Signature=" + url.QueryEscape(signV1("GET\n\n\n1795564849\n"+resource))
		g, err := v.Verify(ctx, r)
		if err != nil {
			if !documented(err) {
				t.Errorf("undocumented error %v", err)
			}
			return
		}
		place, params, _ := strings.Cut(resource, "?")
		if place != "/"+g.Bucket+"/"+g.Key && !(g.Bucket == "" && place == "/") {
			t.Errorf("signed for %q, granted %q in %q", resource, g.Key, g.Bucket)
		}
		signed := 0
		for part := range strings.SplitSeq(params, "&") {
			if name, value, _ := strings.Cut(part, "="); name != "" {
				if signed++; g.Query.Get(name) != value || !g.Query.Has(name) {
					t.Errorf("signed for %q, granted %v", resource, g.Query)
				}
			}
		}
		if signed != len(g.Query) {
			t.Errorf("signed for %q, granted %v", resource, g.Query)
		}
	})
}
