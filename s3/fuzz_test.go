package s3_test

import (
	"errors"
	"fmt"
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

// No query of a stranger's makes the verifier panic, accept, or answer with an undocumented error.
func FuzzPresignedQuery(f *testing.F) {
	p, err := newSigner(f).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	if err != nil {
		f.Fatal(err)
	}
	_, query, _ := strings.Cut(p.URL, "?")
	good := query[strings.LastIndex(query, "=")+1:]
	f.Add(strings.Replace(query, good, strings.Repeat("0", 64), 1))
	f.Add("X-Amz-Signature=&x-amz-date&X-Amz-Expires=-1&X-Amz-Credential=////")
	f.Add("X-Amz-Date=%zz&X-Amz-SignedHeaders=%3B")
	f.Add(query[:len(query)-1] + "%30")
	f.Add(query + "&a")
	v := newVerifier(f)
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "https://photos.s3.eu-west-1.amazonaws.com/k", nil)
		r.RequestURI = strings.TrimPrefix(p.URL, "https://photos.s3.eu-west-1.amazonaws.com")
		if _, err := v.Verify(ctx, r); err != nil {
			t.Fatal(err)
		}
		r.RequestURI = "/k?" + query
		g, err := v.Verify(ctx, r)
		if _, fresh := newVerifier(t).Verify(ctx, r); fmt.Sprint(err) != fmt.Sprint(fresh) {
			t.Errorf("%q: after a good one %v, by a new Verifier %v", query, err, fresh)
		}
		if err == nil && !strings.Contains(query, good) {
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
	f.Add("é//😀", "", "", " two  words ", uint8(1), uint16(40), uint8(255))
	f.Add("~!$&'()*", "x y", "%", "", uint8(2), uint16(300), uint8(32))
	f.Fuzz(func(t *testing.T, key, name, value, meta string, form uint8, at uint16, flip uint8) {
		s := newSigner(t)
		v := newVerifier(t)
		r := signer.Request{Method: "PUT", Key: key, Expires: time.Minute}
		if name != "" {
			r.Query = url.Values{name: {value, "2nd"}}
		}
		if meta != "" {
			r.Header = http.Header{"X-Amz-Meta-A": {meta}}
		}
		p, err := s.Presign(ctx, r)
		if err != nil {
			if !errors.Is(err, signer.ErrRequest) {
				t.Errorf("undocumented error %v", err)
			}
			return
		}
		in := httptest.NewRequest("PUT", "https://photos.s3.eu-west-1.amazonaws.com/", nil)
		in.RequestURI = strings.TrimPrefix(p.URL, "https://photos.s3.eu-west-1.amazonaws.com")
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
		if g.Bucket != "photos" || g.Key != key || g.Method != "PUT" || !sameQuery(g.Query, r.Query) {
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
		if changed.Bucket != g.Bucket || changed.Key != g.Key || !sameQuery(changed.Query, g.Query) || !changed.ExpiresAt.Equal(g.ExpiresAt) {
			t.Errorf("with one byte changed, %s is granted %+v", wire, changed)
		}
	})
}

func sameQuery(a, b url.Values) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(sorted(a), sorted(b))
}

func sorted(q url.Values) map[string]string {
	m := make(map[string]string)
	for name, values := range q {
		set := make(map[string]int)
		for _, v := range values {
			set[v]++
		}
		for v := range set {
			m[name+"\x00"+v] = strings.Repeat("x", set[v])
		}
	}
	return m
}
