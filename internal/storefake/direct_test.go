package storefake_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// The owner of a store needs no signature, but is held to its limits.
func TestDirect(t *testing.T) {
	f := newFixture(t, func(c *storefake.Config) { c.MaxObject, c.MaxBytes, c.MaxObjects = 10, 12, 2 })
	data := []byte("hello")
	if err := f.Put("k", data, http.Header{"Content-Type": {"text/x"}, "X-Amz-Meta-A": {"b"}, "Cookie": {"c"}}); err != nil {
		t.Fatal(err)
	}
	data[0] = 'j'
	if h, body := f.want(200, f.request(signer.Request{Key: "k"}, "")); body != "hello" || h.Get("Content-Type") != "text/x" || h.Get("X-Amz-Meta-A") != "b" {
		t.Errorf("%q %v", body, h)
	}
	got, h, ok := f.Get("k")
	if string(got) != "hello" || !ok || h.Get("Content-Type") != "text/x" || h.Get("Cookie") != "" || h.Get("ETag") != `"5d41402abc4b2a76b9719d911017c592"` {
		t.Errorf("%q %v", got, h)
	}
	got[0] = 'j'
	h.Set("Content-Type", "text/y")
	if got, h, _ := f.Get("k"); string(got) != "hello" || h.Get("Content-Type") != "text/x" {
		t.Errorf("%q %v", got, h)
	}
	if _, _, ok := f.Get("none"); ok {
		t.Error("found what is not there")
	}
	for what, err := range map[string]error{
		"no key":   f.Put("", nil, nil),
		"long key": f.Put(strings.Repeat("k", 1025), nil, nil),
		"large":    f.Put("l", make([]byte, 11), nil),
		"much":     f.Put("l", make([]byte, 8), nil),
		"metadata": f.Put("l", nil, http.Header{"X-Amz-Meta-A": {strings.Repeat("m", 2048)}}),
	} {
		if err == nil {
			t.Errorf("%s: stored", what)
		}
	}
	if err := f.Put("a", make([]byte, 6), nil); err != nil {
		t.Error(err)
	}
	if err := f.Put("b", []byte("x"), nil); err == nil {
		t.Error("a third one was stored")
	}
	if err := f.Put("a", []byte("x"), nil); err != nil { // the one byte that is left was given back
		t.Error(err)
	}
	if got := f.Keys(); len(got) != 2 || got[0] != "a" || got[1] != "k" {
		t.Errorf("%q", got)
	}
	f.Delete("a")
	f.Delete("none")
	if got := f.Keys(); len(got) != 1 || got[0] != "k" {
		t.Errorf("%q", got)
	}
}

// Refused hears of signatures that are not accepted, and of nothing else.
func TestRefused(t *testing.T) {
	var refused atomic.Pointer[error]
	f := newFixture(t, func(c *storefake.Config) {
		c.Refused = func(r *http.Request, err error) { refused.Store(&err) }
	})
	f.put("k", "x")
	changed := f.sign("PUT", "/k", "hello")
	changed.Body = upper{changed.Body}
	chunked, err := http.NewRequest("PUT", f.URL+"/demo/k", strings.NewReader("hello"))
	if err == nil {
		err = f.signer.SignChunked(t.Context(), chunked, s3.Chunked{})
	}
	if err != nil {
		t.Fatal(err)
	}
	chunked.Body = upper{chunked.Body}
	moved := f.request(signer.Request{Key: "k"}, "")
	moved.URL.Path = "/demo/l"
	unsigned, err := http.NewRequest("GET", f.URL+"/demo/k", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		req  *http.Request
		want error
	}{
		"good":          {f.request(signer.Request{Key: "k"}, ""), nil},
		"no object":     {f.request(signer.Request{Key: "none"}, ""), nil},
		"not known":     {f.request(signer.Request{Key: "k", Query: url.Values{"acl": {""}}}, ""), nil},
		"no signature":  {unsigned, signer.ErrUnsigned},
		"another key":   {moved, signer.ErrMismatch},
		"another body":  {changed, signer.ErrMismatch},
		"another chunk": {chunked, signer.ErrMalformed}, // its line is in capitals
	} {
		refused.Store(nil)
		f.do(tt.req)
		switch got := refused.Load(); {
		case got == nil && tt.want != nil, got != nil && tt.want == nil, got != nil && !errors.Is(*got, tt.want):
			t.Errorf("%s: %v", name, got)
		}
	}
}
