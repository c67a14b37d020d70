package azure_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/signer"
)

// documented reports whether Verify may return err.
func documented(err error) bool {
	for _, one := range flat(err) {
		var e *signer.Error
		if !errors.As(one, &e) {
			return false
		}
		known := false
		for _, class := range []error{signer.ErrUnsigned, signer.ErrMalformed, signer.ErrMismatch, signer.ErrExpired, signer.ErrNotYetValid,
			signer.ErrConflict, signer.ErrUnknownKey, signer.ErrScope, signer.ErrUnsupported} {
			known = known || errors.Is(one, class)
		}
		if !known {
			return false
		}
	}
	return true
}

// No query and no Authorization of a stranger's makes the verifier panic, accept, or answer with an undocumented error.
func FuzzVerify(f *testing.F) {
	p, err := newSigner(f).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	if err != nil {
		f.Fatal(err)
	}
	d, err := newSigner(f, delegated, version("2026-04-06")).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute, Header: http.Header{"A": {"b"}}})
	if err != nil {
		f.Fatal(err)
	}
	good := map[string]bool{}
	for _, u := range []string{p.URL, d.URL} {
		_, query, _ := strings.Cut(u, "?")
		head, sig, _ := strings.Cut(query, "&sig=")
		good[sig] = true
		f.Add("/photos/k?"+head+"&sig="+strings.Repeat("A", 43)+"%3D", "")
		f.Add("/photos/k?"+head+"&sig=&sig=+%252B", "")
	}
	f.Add("/photos?restype=container&comp=list&sv=2015-04-05&ss=b&srt=sco&sp=rwdl&st=%zz&se=1&sip=1-2-3&spr=ftp&sig=x", "")
	f.Add("/photos/a/../b?sv=2020-02-10&sr=d&sdd=-1&sp=zz&sig=%0A&comp=a&COMP=b", "")
	f.Add("/photos/k?a:b=c&=", "SharedKey myaccount:"+strings.Repeat("A", 43)+"=")
	f.Add("*", "SharedKeyLite :")
	v := newVerifier(f)
	f.Fuzz(func(t *testing.T, target, auth string) {
		r := httptest.NewRequest("GET", "https://myaccount.blob.core.windows.net/", nil)
		r.RequestURI = target
		r.Header = http.Header{"X-Ms-Date": {"Tue, 24 Nov 2026 23:59:49 GMT"}, "X-Ms-Version": {"2020-12-06"}, "A": {"b"}}
		if auth != "" {
			r.Header["Authorization"] = []string{auth}
		}
		g, err := v.Verify(ctx, r)
		if err == nil {
			known := false
			for sig := range good {
				known = known || strings.Contains(target, sig)
			}
			if !known {
				t.Errorf("%q, %q is granted %+v", target, auth, g)
			}
		} else if !documented(err) {
			t.Errorf("%q, %q: undocumented error %v", target, auth, err)
		}
	})
}

// What is signed is accepted and granted as it was asked for; one byte changed, it is refused or means the same.
func FuzzSignVerify(f *testing.F) {
	f.Add("a b/c+%2F.jpg", "attachment", "b", uint8(0), uint16(60), uint8(1))
	f.Add("é//😀", "", "v", uint8(1), uint16(40), uint8(255))
	f.Add("~!$&'()*", "%", " two  words ", uint8(2), uint16(300), uint8(32))
	f.Add("a/b/c", "a\nb", "x", uint8(3), uint16(30), uint8(4))
	f.Add("a\nb", "x y", "", uint8(4), uint16(3), uint8(2))
	f.Fuzz(func(t *testing.T, key, disposition, meta string, form uint8, at uint16, flip uint8) {
		s, v := newSigner(t), newVerifier(t)
		method := []string{"GET", "PUT"}[int(form)/8%2]
		var in *http.Request
		switch form % 4 {
		case 0, 1: // a URL, with either kind of key
			r := signer.Request{Method: method, Key: key, Expires: time.Minute}
			if method == "GET" {
				r.Response.ContentDisposition = disposition
			}
			if form%4 == 1 {
				s = newSigner(t, delegated, version("2026-04-06"))
				if meta != "" {
					r.Header = http.Header{"X-Ms-Meta-A": {meta}}
				}
			}
			p, err := s.Presign(ctx, r)
			if err != nil {
				allowed(t, err)
				return
			}
			in = received(t, p, nil)
		case 2: // the directory that the blob is in
			directory := key
			if i := strings.LastIndexByte(key, '/'); i >= 0 {
				directory = key[:i]
			}
			p, err := s.SAS(ctx, azure.SAS{Directory: directory, Permissions: "rw", Expires: time.Minute})
			if err != nil {
				allowed(t, err)
				return
			}
			if directory == "" { // the container
				return
			}
			in = received(t, p, nil)
			in.Method = method
			key = directory
		default: // a header
			if key == "" { // the list of the container, whose query is cut off here
				return
			}
			p, err := s.Presign(ctx, signer.Request{Method: method, Key: key, Expires: time.Minute})
			if err != nil {
				allowed(t, err)
				return
			}
			bare, _, _ := strings.Cut(p.URL, "?")
			req, err := http.NewRequest(method, bare, nil)
			if err != nil {
				t.Fatalf("our own URL: %v", err)
			}
			if meta != "" {
				req.Header.Set("X-Ms-Meta-A", meta)
			}
			if err := s.Sign(ctx, req); err != nil {
				allowed(t, err)
				return
			}
			in = arrive(req)
		}
		g, err := v.Verify(ctx, in)
		if err != nil {
			t.Fatalf("%s is refused: %v", in.RequestURI, err)
		}
		if g.Bucket != "photos" || g.Key != key || g.Method != method {
			t.Errorf("asked for %q, granted %q", key, g.Key)
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
		under := g.Prefix != "" && changed.Prefix == g.Prefix && strings.HasPrefix(changed.Key+"/", g.Prefix)
		if changed.Bucket != g.Bucket || changed.Key != g.Key && !under || changed.Permissions != g.Permissions || !changed.ExpiresAt.Equal(g.ExpiresAt) ||
			changed.Query.Get("rscd") != g.Query.Get("rscd") {
			t.Errorf("with one byte changed, %s is granted %+v", wire, changed)
		}
	})
}

// allowed checks that signing failed for a reason of the contract.
func allowed(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, signer.ErrRequest) && !errors.Is(err, signer.ErrUnsupported) {
		t.Errorf("undocumented error %v", err)
	}
}

// Every key of strangers' is one or an error.
func FuzzSharedKey(f *testing.F) {
	f.Add("myaccount", accountKey)
	f.Add("", "====")
	f.Fuzz(func(t *testing.T, account, text string) {
		k, err := azure.SharedKey(account, text)
		if err != nil != k.Secret().IsZero() || err != nil && !errors.Is(err, signer.ErrCredentials) {
			t.Errorf("%v, %v", k, err)
		}
		if err != nil && len(text) > 24 && strings.Contains(err.Error(), text) {
			t.Errorf("the key is in %v", err)
		}
	})
}
