package storefake_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// newCDNFixture is a store with an object k, whose requests are signed for Cloud CDN.
func newCDNFixture(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t)
	if err := f.Put("dir/k é", []byte("0123456789"), http.Header{"Content-Type": {"text/x"}, "X-Amz-Meta-A": {"b"}}); err != nil {
		t.Fatal(err)
	}
	f.other = f.newCDN(func(*cdn.Config) {})
	return f
}

func (f *fixture) newCDN(edit func(*cdn.Config)) *cdn.Signer {
	f.Helper()
	c := cdn.Config{BaseURL: f.CDNBase(), Bucket: f.Bucket, Key: f.CDNKey, Clock: clock.Fixed(start)}
	edit(&c)
	s, err := cdn.New(c)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

func TestCDN(t *testing.T) {
	f := newCDNFixture(t)
	for _, method := range []string{"GET", "HEAD"} {
		h, body := f.want(200, f.request(signer.Request{Method: method, Key: "dir/k é"}, ""))
		if method == "GET" && body != "0123456789" || h.Get("Content-Type") != "text/x" || h.Get("X-Goog-Meta-A") != "b" || h.Get("Via") == "" || h.Get("Content-Length") != "10" {
			t.Errorf("%s: %q %v", method, body, h)
		}
	}
	req := f.request(signer.Request{Key: "dir/k é", BestEffort: true, Response: signer.ResponseHeaders{ContentDisposition: "attachment"}}, "")
	req.Header.Set("Range", "bytes=2-3")
	if h, body := f.want(206, req); body != "23" || h.Get("Content-Disposition") != "attachment" {
		t.Errorf("%q %v", body, h)
	}
	// What the bucket says, it says in its own words.
	f.wantGCS(404, f.request(signer.Request{Key: "none"}, ""), map[string]string{"Code": "NoSuchKey", "Message": "The specified key does not exist."})
	f.refused(405, "MethodNotAllowed", f.request(signer.Request{}, "")) // of the bucket itself
	f.refused(501, "NotImplemented", f.request(signer.Request{Key: "dir/k é", Query: map[string][]string{"size": {"2"}}}, ""))
	encrypted := f.request(signer.Request{Key: "dir/k é"}, "")
	encrypted.Header.Set("X-Goog-Encryption-Algorithm", "AES256")
	f.refused(501, "NotImplemented", encrypted)
}

// Every byte of the URL is signed. What does not fit is a plain 403.
func TestCDNRefusals(t *testing.T) {
	f := newCDNFixture(t)
	p := f.presign(signer.Request{Key: "dir/k é", Query: map[string][]string{"response-content-type": {"a"}}})
	edit := func(edit func(*http.Request)) *http.Request {
		req := f.requestOf(p, "")
		edit(req)
		return req
	}
	url := func(old, new string) *http.Request {
		q := *p
		if q.URL = strings.Replace(p.URL, old, new, 1); q.URL == p.URL {
			t.Fatalf("%s is not in the URL", old)
		}
		return f.requestOf(&q, "")
	}
	by := func(c func(*cdn.Config)) *http.Request {
		p, err := f.newCDN(c).Presign(t.Context(), signer.Request{Key: "dir/k é", Expires: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		return f.requestOf(p, "")
	}
	for name, req := range map[string]*http.Request{
		"key":           url("dir/k", "dir/l"),
		"spelling":      url("%C3%A9", "%c3%a9"),
		"parameter":     url("content-type=a", "content-type=b"),
		"one more":      url("&Expires", "&a=b&Expires"),
		"one behind":    url("Signature", "Signature=x&Signature"),
		"life":          url("Expires=17", "Expires=18"),
		"key name":      url("KeyName=store", "KeyName=other"),
		"signature":     url("&Signature=", "&Signature=A"),
		"no signature":  edit(func(r *http.Request) { r.URL.RawQuery, _, _ = strings.Cut(r.URL.RawQuery, "&Signature") }),
		"method":        edit(func(r *http.Request) { r.Method = "DELETE" }),
		"upload":        edit(func(r *http.Request) { r.Method = "PUT" }),
		"authorization": edit(func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }),
		"another host":  edit(func(r *http.Request) { r.URL.Host = f.Endpoint().Host; r.Host = "" }),
		"expired":       by(func(c *cdn.Config) { c.Clock = clock.Fixed(start.Add(-time.Minute)) }),
		"another key": by(func(c *cdn.Config) {
			c.Key = cdn.Key{Name: f.CDNKey.Name, Secret: signer.NewSecret([]byte("0123456789abcdef"))}
		}),
	} {
		if h, body := f.want(403, req); body != "Forbidden\n" || !strings.HasPrefix(h.Get("Content-Type"), "text/plain") || h.Get("Date") == "" {
			t.Errorf("%s: %q %v", name, body, h)
		}
	}
	f.want(200, f.requestOf(p, ""))
	f.Clock.Advance(59 * time.Second)
	f.want(200, f.requestOf(p, ""))
	f.Clock.Advance(time.Second)
	f.want(403, f.requestOf(p, ""))

	// The CDN lets a request without a signature through, and the bucket does not.
	bare := f.requestOf(p, "")
	bare.URL.RawQuery = ""
	f.refused(403, "AccessDenied", bare)
	bare.URL.RawQuery = "Expires=1" // anybody's parameter
	f.refused(403, "AccessDenied", bare)
	upload := f.requestOf(p, "")
	upload.Method, upload.URL.RawQuery = "PUT", "upload_id=x"
	f.refused(403, "AccessDenied", upload)
}

func TestCDNPrefix(t *testing.T) {
	f := newCDNFixture(t)
	f.store("other/k", "x")
	prefix, err := f.other.(*cdn.Signer).PresignPrefix(t.Context(), f.CDNBase().String()+"/dir/", signer.Options{Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	get := func(path, query string, cookie *http.Cookie) *http.Request {
		req, err := http.NewRequestWithContext(t.Context(), "GET", f.CDNBase().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if req.URL.RawQuery = query; cookie != nil {
			req.AddCookie(cookie)
		}
		return req
	}
	for name, req := range map[string]*http.Request{"query": get("/dir/k%20%C3%A9", prefix.Query(), nil), "cookie": get("/dir/k%20%C3%A9", "", prefix.Cookie())} {
		if _, body := f.want(200, req); body != "0123456789" {
			t.Errorf("%s: %q", name, body)
		}
	}
	f.want(404, get("/dir/none", prefix.Query(), nil))
	f.refused(501, "NotImplemented", get("/dir/k%20%C3%A9", prefix.Query()+"&a=b", nil))
	f.refused(501, "NotImplemented", get("/dir/k%20%C3%A9", "acl", prefix.Cookie()))
	f.want(403, get("/other/k", prefix.Query(), nil))
	f.want(403, get("/other/k", "", prefix.Cookie()))
	f.want(403, get("/dir/../other/k", prefix.Query(), nil))
	f.Clock.Advance(time.Minute)
	f.want(403, get("/dir/k%20%C3%A9", "", prefix.Cookie()))
}

// store stores without a request.
func (f *fixture) store(key, body string) {
	f.Helper()
	if err := f.Put(key, []byte(body), nil); err != nil {
		f.Fatal(err)
	}
}
