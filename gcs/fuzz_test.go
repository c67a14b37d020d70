package gcs_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/gcs"
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
	_, query, _ := strings.Cut(presign(f, newSigner(f), signer.Request{Key: "k", Expires: time.Minute}).URL, "?")
	good := query[strings.LastIndex(query, "=")+1:]
	f.Add(strings.Replace(query, good, strings.Repeat("0", 64), 1))
	f.Add(strings.ToLower(query[:len(query)-64]))
	f.Add("X-Goog-Signature=&x-goog-date&X-Goog-Expires=-1&X-Goog-Credential=////")
	f.Add("X-Goog-Date=%zz&X-Goog-SignedHeaders=%3B&amp;X-Goog-Date=1")
	f.Add("X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=a%2F20261124%2Fauto%2Fstorage%2Fgoog4_request&X-Goog-Date=20261124T235949Z&X-Goog-Expires=60&X-Goog-Signature=0g&X-Goog-SignedHeaders=host")
	v := newVerifier(f)
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "https://storage.googleapis.com/photos/k", nil)
		r.RequestURI = "/photos/k?" + query
		g, err := v.Verify(ctx, r)
		if err == nil && !strings.Contains(query, good) {
			t.Errorf("%q is granted %+v", query, g)
		}
		if err != nil && !documented(err) {
			t.Errorf("%q: undocumented error %v", query, err)
		}
	})
}

// Nor does an Authorization header, a date or a hash beside it.
func FuzzAuthorizationHeader(f *testing.F) {
	req, _ := http.NewRequest("GET", "https://storage.googleapis.com/photos/k", nil)
	if err := newSigner(f).Sign(ctx, req); err != nil {
		f.Fatal(err)
	}
	auth := req.Header.Get("Authorization")
	good := auth[len(auth)-64:]
	f.Add(strings.Replace(auth, good, strings.Repeat("0", 64), 1), "20261124T235949Z", "UNSIGNED-PAYLOAD")
	f.Add("GOOG4-RSA-SHA256 Credential=a/20261124/auto/storage/goog4_request, SignedHeaders=host;x-goog-date,Signature=00", "00010101T000000Z", "")
	f.Add("GOOG4-HMAC-SHA256 a=b,,c,Signature=,Signature=", "x", "0g")
	v := newVerifier(f)
	f.Fuzz(func(t *testing.T, auth, date, hash string) {
		r := httptest.NewRequest("GET", "https://storage.googleapis.com/photos/k", nil)
		r.Header = http.Header{"Authorization": {auth}, "X-Goog-Date": {date}, "X-Goog-Content-Sha256": {hash}}
		g, err := v.Verify(ctx, r)
		if err == nil && !strings.Contains(auth, good) {
			t.Errorf("%q is granted %+v", auth, g)
		}
		if err != nil && !documented(err) {
			t.Errorf("%q: undocumented error %v", auth, err)
		}
		if err != nil && strings.Contains(err.Error(), good) {
			t.Errorf("a signature in %v", err)
		}
	})
}

// No file makes ServiceAccountKey panic, or return a key whose private half was in no file, or repeat what it read.
func FuzzServiceAccountKey(f *testing.F) {
	f.Add(string(keyFile(f, nil)))
	f.Add(string(keyFile(f, map[string]any{"type": "external_account", "service_account_impersonation_url": "https://h/a@b:c"})))
	f.Add(`{"type":"service_account","client_email":"a@b","private_key":"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"}`)
	f.Fuzz(func(t *testing.T, file string) {
		key, err := gcs.ServiceAccountKey([]byte(file))
		switch {
		case err != nil && key != nil:
			t.Errorf("a key beside the error %v", err)
		case err != nil && !errors.Is(err, signer.ErrCredentials):
			t.Errorf("undocumented error %v", err)
		case err == nil && (key.ID() == "" || key.Algorithm() != gcs.RSASHA256 || !strings.Contains(file, "PRIVATE KEY")):
			t.Errorf("a key for %q of %q", key.ID(), file)
		}
	})
}

// What is signed is accepted and granted as it was asked for; one byte changed, it is refused or means the same.
func FuzzSignVerify(f *testing.F) {
	f.Add("a b/c+%2F.jpg", "generation", "a+b", "1", uint8(0), uint16(60), uint8(1))
	f.Add("é//😀", "", "", " two  words ", uint8(1), uint16(40), uint8(255))
	f.Add("~!$&'()*", "x y", "%", "", uint8(2), uint16(300), uint8(32))
	f.Add("k", "ZZ", "", "", uint8(3), uint16(200), uint8(32))
	type place struct {
		s    *gcs.Signer
		base string
	}
	at := func(a signer.Addressing) *gcs.Signer { return newSigner(f, func(c *gcs.Config) { c.Addressing = a }) }
	places := []place{
		{at(signer.AddressingPath), "https://storage.googleapis.com"},
		{at(signer.AddressingVirtualHost), "https://photos.storage.googleapis.com"},
	}
	v := newVerifier(f)
	f.Fuzz(func(t *testing.T, key, name, value, meta string, form uint8, at uint16, flip uint8) {
		place := places[form/2%2]
		s := place.s
		r := signer.Request{Method: "PUT", Key: key, Expires: time.Minute}
		if name != "" {
			r.Query = url.Values{name: {value, "2nd", value}}
		}
		if meta != "" {
			r.Header = http.Header{"X-Goog-Meta-A": {meta}}
		}
		p, err := s.Presign(ctx, r)
		if err != nil {
			if !errors.Is(err, signer.ErrRequest) {
				t.Errorf("undocumented error %v", err)
			}
			return
		}
		in := httptest.NewRequest("PUT", place.base+"/", nil)
		in.RequestURI = strings.TrimPrefix(p.URL, place.base)
		maps.Copy(in.Header, p.Header)
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

// sameQuery compares parameters, of which those of one name have an order.
func sameQuery(a, b url.Values) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}
