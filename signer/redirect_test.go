package signer_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A web is a set of real servers on loopback that all names lead to: two with TLS, on the ports 443 and 8443, and one
// without, on 80. They redirect along a chain of URLs and keep what arrives.
type web struct {
	transport *http.Transport

	mu      sync.Mutex
	chain   []string
	status  int
	arrived []*http.Request
	bodies  []string
}

func newWeb(t *testing.T) *web {
	w := new(web)
	servers := map[string]*httptest.Server{
		"443": httptest.NewTLSServer(w), "8443": httptest.NewTLSServer(w), "80": httptest.NewServer(w),
	}
	roots := x509.NewCertPool()
	for _, s := range servers {
		t.Cleanup(s.Close)
		if s.Certificate() != nil {
			roots.AddCert(s.Certificate())
		}
	}
	w.transport = &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"}, // the one name of the certificate for all names
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil || servers[port] == nil {
				return nil, fmt.Errorf("there is no server at %s: %v", addr, err)
			}
			return new(net.Dialer).DialContext(ctx, network, servers[port].Listener.Addr().String())
		},
	}
	t.Cleanup(w.transport.CloseIdleConnections)
	return w
}

func (w *web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	w.arrived, w.bodies = append(w.arrived, r), append(w.bodies, string(body))
	if n := len(w.arrived); n < len(w.chain) {
		rw.Header().Set("Location", w.chain[n])
		rw.WriteHeader(w.status)
	}
}

type checkFunc = func(req *http.Request, via []*http.Request) error

// follow sends req, whose URL is the first of chain, and returns what arrived at the others.
func (w *web) follow(req *http.Request, check checkFunc, status int, chain ...string) ([]*http.Request, error) {
	w.mu.Lock()
	w.chain, w.status, w.arrived, w.bodies = chain, status, nil, nil
	w.mu.Unlock()
	resp, err := (&http.Client{Transport: w.transport, CheckRedirect: check}).Do(req)
	if err == nil {
		resp.Body.Close()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.arrived[1:], err
}

const (
	secretAuthorization = "Bearer planted-authorization"
	secretVendor        = "planted-vendor-token"
	secretCookie        = "session=planted-cookie"

	signedQuery = "?X-Amz-Credential=K%2F20261124%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Expires=60&X-Amz-Signature=" + plantedSignature
	signedPath  = "/edge-cache-token=Expires=1795608000&KeyName=k&Signature=cGxhbnRlZA/cat.jpg"
)

func vendorHeaders() []string {
	return []string{"X-Amz-Security-Token", "X-Goog-User-Project", "X-Ms-Copy-Source-Authorization", "X-Oss-Security-Token",
		"X-Api-Key", "X-Auth-Token", "Api-Key"}
}

// harmless says what is asked for, and goes everywhere. Content-Type does too, where net/http keeps the body.
func harmless() http.Header {
	return http.Header{"Accept": {"image/*"}, "Accept-Language": {"de"}, "Content-Md5": {"eA=="},
		"If-None-Match": {`"x"`}, "If-Range": {`"x"`}, "Range": {"bytes=0-9"}, "User-Agent": {"test"}}
}

func redirected(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = harmless()
	req.Header.Set("Authorization", secretAuthorization)
	req.Header.Set("Cookie", secretCookie)
	for _, name := range vendorHeaders() {
		req.Header.Set(name, secretVendor)
	}
	return req
}

// carried writes down what arrived: A for Authorization, V for the vendor headers, C for Cookie, and of Referer R, or S if
// there is a signature in it.
func carried(t *testing.T, r *http.Request) (letters string) {
	t.Helper()
	if r.Header.Get("Authorization") == secretAuthorization {
		letters += "A"
	}
	vendor := 0
	for _, name := range vendorHeaders() {
		if r.Header.Get(name) == secretVendor {
			vendor++
		}
	}
	switch vendor {
	case 0:
	case len(vendorHeaders()):
		letters += "V"
	default:
		letters += "v(some)"
	}
	if r.Header.Get("Cookie") == secretCookie {
		letters += "C"
	}
	switch referer := r.Header.Get("Referer"); {
	case strings.Contains(referer, "Signature="):
		letters += "S"
	case referer != "":
		letters += "R"
	}
	for name, values := range harmless() {
		if !slices.Equal(r.Header[name], values) {
			t.Errorf("%s %s: %s arrives as %q, want %q", r.Host, r.URL.Path, name, r.Header[name], values)
		}
	}
	return letters
}

// TestRedirectTable has real servers write down what leaves a client with CheckRedirect, and a client of net/http alone.
// The second is asserted too, so that this says when net/http has changed; go test -v prints the table.
func TestRedirectTable(t *testing.T) {
	w := newWeb(t)
	const refused = "refused"
	var table strings.Builder
	line := func(where, hop string, ours, nets string) {
		fmt.Fprintf(&table, "\n%-44s %-4s", where, hop)
		for _, letters := range []string{ours, nets} {
			fmt.Fprint(&table, " |")
			for _, column := range []struct{ letters, title string }{
				{"A", "Authorization"}, {"V", "vendor headers"}, {"C", "Cookie"}, {"RS", "Referer"},
			} {
				cell := "-"
				switch {
				case letters == refused:
					cell = refused
				case strings.ContainsAny(letters, column.letters):
					cell = "sent"
				}
				if column.title == "Referer" && strings.Contains(letters, "S") {
					cell = "SIGNED"
				}
				fmt.Fprintf(&table, " %-*s", max(len(column.title), len(refused)), cell)
			}
		}
	}
	fmt.Fprintf(&table, "\n%-49s | signer.CheckRedirect %23s | net/http's default\n%-44s hop ", "", "", "to")
	for range 2 {
		fmt.Fprint(&table, " | Authorization vendor headers Cookie  Referer")
	}

	for _, tt := range []struct {
		where      string
		chain      []string
		ours, nets []string // what arrives at each hop after the first
	}{
		{"same host",
			[]string{"https://example.com/a", "https://example.com/b"}, []string{"AVCR"}, []string{"AVCR"}},
		{"other port",
			[]string{"https://example.com/a", "https://example.com:8443/b"}, []string{""}, []string{"AVCR"}},
		{"subdomain",
			[]string{"https://example.com/a", "https://cdn.example.com/b"}, []string{""}, []string{"AVCR"}},
		{"other host",
			[]string{"https://api.example.com/a", "https://cdn.example.com/b"}, []string{""}, []string{"VR"}},
		{"downgrade to http, same name",
			[]string{"https://example.com/a", "http://example.com/b"}, []string{refused}, []string{"AVC"}},
		{"two hops: other host, then a third",
			[]string{"https://api.example.com/a", "https://cdn.example.com/b", "https://third.example.net/c"},
			[]string{"", ""}, []string{"VR", "VR"}},
		{"two hops: same host, then a subdomain",
			[]string{"https://example.com/a", "https://example.com/b", "https://cdn.example.com/c"},
			[]string{"AVCR", ""}, []string{"AVCR", "AVCR"}},
		{"back to the first origin",
			[]string{"https://api.example.com/a", "https://cdn.example.com/b", "https://api.example.com/c"},
			[]string{"", ""}, []string{"VR", "VR"}},
		{"back to the first origin, by another port",
			[]string{"https://example.com/a", "https://example.com:8443/b", "https://example.com/c"},
			[]string{"", ""}, []string{"AVCR", "AVCR"}},
		{"back to the first origin, and on in it",
			[]string{"https://example.com/a", "https://example.com:8443/b", "https://example.com/c", "https://example.com/d"},
			[]string{"", "", ""}, []string{"AVCR", "AVCR", "AVCR"}},
		{"upgrade to https",
			[]string{"http://example.com/a", "https://example.com/b"}, []string{""}, []string{"AVCR"}},
		{"up, and down again",
			[]string{"http://example.com/a", "https://example.com/b", "http://example.com/c"},
			[]string{"", refused}, []string{"AVCR", "AVC"}},

		{"same host, signed",
			[]string{"https://example.com/a", "https://example.com/b" + signedQuery}, []string{""}, []string{"AVCR"}},
		{"same host, signed in the path",
			[]string{"https://example.com/a", "https://example.com" + signedPath}, []string{""}, []string{"AVCR"}},
		{"other port, signed",
			[]string{"https://example.com/a", "https://example.com:8443/b" + signedQuery}, []string{""}, []string{"AVCR"}},
		{"subdomain, signed",
			[]string{"https://example.com/a", "https://cdn.example.com/b" + signedQuery}, []string{""}, []string{"AVCR"}},
		{"other host, signed",
			[]string{"https://api.example.com/a", "https://cdn.example.com/b" + signedQuery}, []string{""}, []string{"VR"}},
		{"from a signed URL to the same host",
			[]string{"https://example.com/a" + signedQuery, "https://example.com/b"}, []string{""}, []string{"AVCS"}},
		{"from a signed URL to another host",
			[]string{"https://cdn.example.com/a" + signedQuery, "https://third.example.net/b"}, []string{""}, []string{"VS"}},
		{"from one signed in the path to another host",
			[]string{"https://cdn.example.com" + signedPath, "https://third.example.net/b"}, []string{""}, []string{"VS"}},
		{"same host, signed, and on to an unsigned one",
			[]string{"https://example.com/a", "https://example.com/b" + signedQuery, "https://example.com/c"},
			[]string{"", ""}, []string{"AVCR", "AVCS"}},
		{"from a signed URL, twice on",
			[]string{"https://example.com/a" + signedQuery, "https://example.com/b", "https://example.com/c"},
			[]string{"", ""}, []string{"AVCS", "AVCR"}},
		{"same host, signed, and twice on",
			[]string{"https://example.com/a", "https://example.com/b" + signedQuery, "https://example.com/c", "https://example.com/d"},
			[]string{"", "", ""}, []string{"AVCR", "AVCS", "AVCR"}},
	} {
		for name, check := range map[string]checkFunc{"ours": signer.CheckRedirect, "net/http": nil} {
			want := tt.ours
			if check == nil {
				want = tt.nets
			}
			first := redirected(t, tt.chain[0])
			before := first.Header.Clone()
			arrived, err := w.follow(first, check, http.StatusFound, tt.chain...)
			var got []string
			for _, r := range arrived {
				got = append(got, carried(t, r))
			}
			if err != nil {
				if !errors.Is(err, signer.ErrRequest) {
					t.Errorf("%s, %s: %v", tt.where, name, signer.RedactError(err))
				}
				got = append(got, refused)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, %s: what arrives is %q, want %q", tt.where, name, got, want)
			}
			if !maps.EqualFunc(before, first.Header, slices.Equal) {
				t.Errorf("%s, %s: the headers of the first request were changed", tt.where, name)
			}
		}
		for i := range tt.ours {
			line(tt.where, strconv.Itoa(i+1), tt.ours[i], tt.nets[i])
			tt.where = ""
		}
	}
	t.Log(table.String())
}

// What is not in the table goes by the same rule: whatever header there is, and the name and password that net/http makes an
// Authorization header of.
func TestCheckRedirectHeaders(t *testing.T) {
	w := newWeb(t)
	first := redirected(t, "https://example.com/a")
	for _, name := range []string{"Proxy-Authorization", "Www-Authenticate", "X-Forwarded-For", "Traceparent", "Acceptable",
		"Rangefinder", "Contents", "Iffy", "User-Agent-Token", "Origin", "Cookie2", "From", "Date"} {
		first.Header.Set(name, "planted")
	}
	first.Header["x-lower-case"] = []string{"planted"}
	for _, next := range []string{
		"https://cdn.example.com/b", "https://example.com/b" + signedQuery,
		"https://user:planted@cdn.example.com/b", "https://user:planted@example.com/b" + signedQuery,
	} {
		arrived, err := w.follow(first, signer.CheckRedirect, http.StatusFound, first.URL.String(), next)
		if err != nil {
			t.Fatal(signer.RedactError(err))
		}
		got := arrived[0].Header
		got.Del("Accept-Encoding") // by the Transport
		if want := harmless(); !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("to %s there goes\n%v, want\n%v", signer.RedactURL(next), got, want)
		}
	}

	// In the origin of the first URL its name and password stay.
	first = redirected(t, "https://user:password@example.com/a")
	first.Header.Del("Authorization")
	arrived, err := w.follow(first, signer.CheckRedirect, http.StatusFound, first.URL.String(), "/b")
	if err != nil {
		t.Fatal(signer.RedactError(err))
	}
	if user, password, _ := arrived[0].BasicAuth(); user != "user" || password != "password" {
		t.Errorf("a redirect within the origin has %q and %q", user, password)
	}
}

// Methods and bodies are net/http's to decide.
func TestCheckRedirectBody(t *testing.T) {
	w := newWeb(t)
	for _, tt := range []struct {
		status       int
		method, body string
	}{
		{http.StatusFound, http.MethodGet, ""},
		{http.StatusTemporaryRedirect, http.MethodPut, "hello"},
		{http.StatusPermanentRedirect, http.MethodPut, "hello"},
	} {
		first := redirected(t, "https://api.example.com/a")
		first.Method, first.ContentLength = http.MethodPut, 5
		first.Header.Set("Content-Type", "text/plain")
		first.Body = io.NopCloser(strings.NewReader("hello"))
		first.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("hello")), nil }
		arrived, err := w.follow(first, signer.CheckRedirect, tt.status, first.URL.String(), "https://cdn.example.com/b"+signedQuery)
		if err != nil {
			t.Fatal(signer.RedactError(err))
		}
		if got := arrived[0]; got.Method != tt.method || w.bodies[1] != tt.body {
			t.Errorf("%d: %s with body %q arrives", tt.status, got.Method, w.bodies[1])
		} else if contentType := got.Header.Get("Content-Type"); tt.body != "" && contentType != "text/plain" {
			t.Errorf("%d: the body arrives as %q", tt.status, contentType) // without a body it depends on Go's version
		}
	}
}

// The cookies of a jar are added after CheckRedirect, and go where their domains say.
func TestCheckRedirectJar(t *testing.T) {
	w := newWeb(t)
	w.chain, w.status = []string{"https://example.com/a", "https://cdn.example.com/b"}, http.StatusFound
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	jar.SetCookies(&url.URL{Scheme: "https", Host: "cdn.example.com", Path: "/"}, []*http.Cookie{{Name: "cdn", Value: "1"}})
	jar.SetCookies(&url.URL{Scheme: "https", Host: "example.com", Path: "/"}, []*http.Cookie{{Name: "api", Value: "1"}})
	client := &http.Client{Transport: w.transport, CheckRedirect: signer.CheckRedirect, Jar: jar}
	resp, err := client.Do(redirected(t, w.chain[0]))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := w.arrived[1].Header.Get("Cookie"); got != "cdn=1" {
		t.Errorf("the Cookie that arrives is %q", got)
	}
}

// The end of a chain is where net/http has it; a URL has a length.
func TestCheckRedirectLimits(t *testing.T) {
	w := newWeb(t)
	loop := slices.Repeat([]string{"https://example.com/a"}, 20)
	for name, check := range map[string]checkFunc{"ours": signer.CheckRedirect, "net/http": nil} {
		arrived, err := w.follow(redirected(t, loop[0]), check, http.StatusFound, loop...)
		if err == nil || !strings.Contains(err.Error(), "stopped after 10 redirects") || len(arrived) != 9 {
			t.Errorf("%s follows a loop to %d more URLs: %v", name, len(arrived), err)
		}
		if arrived, err := w.follow(redirected(t, loop[0]), check, http.StatusFound, loop[:10]...); err != nil || len(arrived) != 9 {
			t.Errorf("%s follows a chain of 10 URLs to %d more: %v", name, len(arrived), err)
		}
	}

	const base, most = "https://example.com/b?", 16 << 10
	for n, ok := range map[int]bool{most: true, most + 1: false} {
		long := base + strings.Repeat("x", n-len(base))
		_, err := w.follow(redirected(t, loop[0]), signer.CheckRedirect, http.StatusFound, loop[0], long)
		if ok != (err == nil) || !ok && (!errors.Is(err, signer.ErrRequest) || !strings.Contains(err.Error(), "16385 bytes")) {
			t.Errorf("a URL of %d bytes: %.200v", n, err)
		}
	}
}

func TestCheckRedirectSchemes(t *testing.T) {
	for _, tt := range []struct {
		via  []string
		next string
		ok   bool
	}{
		{[]string{"http://a.example/"}, "http://b.example/", true},
		{[]string{"http://a.example/"}, "https://b.example/", true},
		{[]string{"https://a.example/"}, "http://a.example/", false},
		{[]string{"https://a.example/"}, "http://127.0.0.1/", false},
		{[]string{"http://a.example/", "https://a.example/"}, "http://a.example/", false},
		{[]string{"https://a.example/", "http://a.example/"}, "http://a.example/", false}, // judged by all, not by the last
		{[]string{"http://a.example/"}, "file:///etc/passwd", false},
		{[]string{"https://a.example/"}, "ftp://a.example/", false},
		{[]string{"http://a.example/"}, "gopher://a.example/", false},
		{nil, "http://a.example/", true},
	} {
		err := check(t, nil, tt.next, tt.via...)
		if tt.ok != (err == nil) || err != nil && !errors.Is(err, signer.ErrRequest) {
			t.Errorf("%v to %s: %v", tt.via, tt.next, err)
		}
		if err != nil && strings.Contains(err.Error(), "example") {
			t.Errorf("the error names the URL: %v", err)
		}
	}
}

// check calls CheckRedirect for a request with this header.
func check(t *testing.T, h http.Header, next string, via ...string) error {
	t.Helper()
	requests := make([]*http.Request, 0, len(via)+1)
	for _, u := range append(via, next) {
		req, err := http.NewRequest(http.MethodGet, u, nil)
		if err != nil {
			t.Fatal(err)
		}
		requests = append(requests, req)
	}
	last := requests[len(via)]
	last.Header = h
	return signer.CheckRedirect(last, requests[:len(via)])
}

// keeps reports whether Authorization goes on.
func keeps(t *testing.T, next string, via ...string) bool {
	t.Helper()
	h := http.Header{"Authorization": {secretAuthorization}}
	if err := check(t, h, next, via...); err != nil {
		t.Errorf("%v to %s: %v", via, next, err)
	}
	return h.Get("Authorization") != ""
}

func TestCheckRedirectOrigins(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		same     bool
	}{
		{"https://example.com/", "https://example.com:443/", true},
		{"http://example.com:80/", "http://example.com/", true},
		{"https://Example.com/", "https://eXample.COM/", true},
		{"https://[::1]:8443/", "https://[::1]:8443/x", true},
		{"https://example.com:80/", "https://example.com/", false},
		{"http://example.com:443/", "https://example.com/", false},
		{"https://example.com/", "https://example.com./", false},
		{"https://example.com/", "https://xexample.com/", false},
		{"https://cdn.example.com/", "https://example.com/", false},
		{"https://example.com/", "https://example.com@evil.example/", false},
		{"https://[::1]:8443/", "https://[::1]:8444/", false},
		{"https://[::1]/", "https://[::2]/", false},
	} {
		if keeps(t, tt.to, tt.from) != tt.same {
			t.Errorf("%s to %s: want %t", tt.from, tt.to, tt.same)
		}
	}
}

// A Host header of one's own is another site at the same address. net/http keeps it where a redirect is relative.
func TestCheckRedirectHostHeader(t *testing.T) {
	w := newWeb(t)
	for next, want := range map[string]string{"/b": "AVCR", "https://example.com/b": ""} {
		first := redirected(t, "https://example.com/a")
		first.Host = "other.example"
		arrived, err := w.follow(first, signer.CheckRedirect, http.StatusFound, first.URL.String(), next)
		if err != nil {
			t.Fatal(err)
		}
		if got := carried(t, arrived[0]); got != want {
			t.Errorf("%s at Host %s: %q arrives, want %q", next, arrived[0].Host, got, want)
		}
	}
}

// Every scheme's signature is known, in whatever case and spelling; what only looks like one does not cost an API its header.
func TestCheckRedirectKnowsSignedURLs(t *testing.T) {
	const host = "https://example.com"
	for target, signed := range map[string]bool{
		"/a?X-Amz-Signature=0123":                               true, // S3 and what speaks like it
		"/a?x=1&X-Goog-Signature=0123":                          true,
		"/a?x-oss-signature=AA%3D":                              true,
		"/a?OSSAccessKeyId=x&Expires=1&Signature=AA%3D":         true, // OSS V1, S3 V2, GCS V2
		"/a?Expires=1&KeyName=k&Signature=AA==":                 true, // Cloud CDN
		"/a?URLPrefix=aHR0&Expires=1&KeyName=k&Signature=AA":    true, // Media CDN, too
		"/a?sv=2022-11-02&sp=r&sig=AA%3D":                       true, // Azure
		"/a?Policy=x&Signature=y&Key-Pair-Id=z":                 true, // CloudFront
		"/a?X%2DAmz%2Dsignature=0123":                           true,
		"/a?%53IG=x":                                            true,
		"/a?%zz=1&sig=x":                                        true,
		"/a?sig=%zz":                                            true,
		"/a?hdnts=exp=1~acl=/*~hmac=00":                         true,
		"/a?edge-cache-token=Expires%3D1~FullPath~Signature%3D": true,
		"/a?mine=Expires%3D1~FullPath~Signature%3DAA":           true,
		"/a?edge-cache-token=Data=s~FullPath~Expires=1~hmac=ab": true, // fields in another order
		"/a?mine=Data=s~FullPath~Expires=1~Signature=AA":        true,
		signedPath:               true,
		"/x" + signedPath:        true,
		"/token=URLPrefix=aHR0/": true,

		"/a":                              false,
		"/a?":                             false,
		"/a?key=cat.jpg&token=abc&code=1": false,
		"/a?Signature=":                   false,
		"/a?sig":                          false,
		"/a?X-Amz-Credential=x":           false,
		"/a?page=X-Amz-Signature":         false,
		"/a?filter=Expires%3D2026":        false,
		"/a?to=https%3A%2F%2Fs3.example%2F%3FX-Amz-Signature%3D01": false, // another URL's
		"/signature=x/sig=y":    false,
		"/edge-cache-token=/":   false,
		"/token=abc":            false,
		"/a#X-Amz-Signature=01": false,
	} {
		if keeps(t, host+target, host+"/") == signed {
			t.Errorf("to %s: want signed %t", target, signed)
		}
		if keeps(t, host+"/", host+target) == signed {
			t.Errorf("from %s: want signed %t", target, signed)
		}
	}
	p, err := newS3Signer(t).Presign(t.Context(), signer.Request{Key: "cat.jpg", Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if u, _ := url.Parse(p.URL); keeps(t, p.URL, "https://"+u.Host+"/") {
		t.Error("a URL of s3 is not known as signed")
	}
}

// CheckRedirect leaves what it was given alone, but for the request that it judges.
func TestCheckRedirectChangesOneRequest(t *testing.T) {
	u, err := url.Parse("https://user:password@cdn.example.com/b" + signedQuery)
	if err != nil {
		t.Fatal(err)
	}
	before := *u
	req := &http.Request{URL: u, Header: http.Header{"Cookie": {"x"}}}
	via := []*http.Request{redirected(t, "https://example.com/a")}
	if err := signer.CheckRedirect(req, via); err != nil {
		t.Fatal(err)
	}
	if req.URL.User != nil || len(req.Header) != 0 {
		t.Errorf("%v has %v", req.URL.Redacted(), req.Header)
	}
	if *u != before {
		t.Error("a URL that others may hold was changed")
	}
	if carried(t, via[0]) != "AVC" {
		t.Error("via was changed")
	}
}

// redirectable is a URL without headers for its holder to send.
func redirectable(method string) *signer.Presigned {
	p := presigned()
	p.Method, p.Header = method, nil
	return p
}

// asks is a request as a server finds it.
func asks(method, authorization string) *http.Request {
	r := httptest.NewRequest(method, "https://api.example.com/photos/cat", nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

func TestRedirect(t *testing.T) {
	for method, status := range map[string]int{
		http.MethodGet: 302, http.MethodHead: 302, http.MethodPut: 307, http.MethodPost: 307, http.MethodDelete: 307,
	} {
		for _, tt := range []struct {
			on            signer.OnAuthorization
			authorization string
		}{{signer.RefuseAuthorization, ""}, {signer.JSONOnAuthorization, ""}, {signer.RedirectAnyway, ""}, {signer.RedirectAnyway, "Bearer x"}} {
			p := redirectable(method)
			w := httptest.NewRecorder()
			w.Header().Set("Cache-Control", "public, max-age=86400") // by a handler that says so for all its answers
			w.Header().Set("Vary", "Accept")
			d := signer.Redirector{OnAuthorization: tt.on, Clock: clock.Fixed(now.Add(5 * time.Minute))}
			if err := d.Redirect(w, asks(method, tt.authorization), p); err != nil {
				t.Errorf("%s, %v: %v", method, tt, err)
				continue
			}
			want := http.Header{"Location": {p.URL}, "Cache-Control": {"private, max-age=540"}, "Referrer-Policy": {"no-referrer"},
				"Vary": {"Accept", "Authorization"}}
			if w.Code != status || !maps.EqualFunc(w.Header(), want, slices.Equal) || w.Body.Len() > 0 {
				t.Errorf("%s, %v: %d %v %q, want %d %v and no body", method, tt, w.Code, w.Header(), w.Body, status, want)
			}
		}
	}
}

func TestRedirectAsJSON(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		p := redirectable(method)
		p.Header = http.Header{"Content-Type": {"image/jpeg"}} // no hindrance here
		for _, authorization := range []string{"Bearer x", "Basic eDp5", " "} {
			w := httptest.NewRecorder()
			w.Header().Set("Cache-Control", "public")
			w.Header().Set("Content-Type", "text/html")
			d := signer.Redirector{OnAuthorization: signer.JSONOnAuthorization, Clock: clock.Fixed(now)}
			if err := d.Redirect(w, asks(method, authorization), p); err != nil {
				t.Fatal(err)
			}
			want := http.Header{"Content-Type": {"application/json"}, "X-Content-Type-Options": {"nosniff"},
				"Cache-Control": {"no-store"}, "Vary": {"Authorization"}}
			if w.Code != http.StatusOK || !maps.EqualFunc(w.Header(), want, slices.Equal) {
				t.Errorf("%d %v, want %v", w.Code, w.Header(), want)
			}
			var got struct {
				Method, URL string
				Headers     map[string]string
				ExpiresAt   time.Time
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if got.Method != method || got.URL != p.URL || got.Headers["Content-Type"] != "image/jpeg" || !got.ExpiresAt.Equal(p.ExpiresAt) {
				t.Errorf("the body is %+v", got)
			}
		}
	}
}

// A silent writer must not be written to.
type silent struct {
	http.ResponseWriter
	t *testing.T
}

func (s silent) WriteHeader(int)             { s.t.Error("a status was written") }
func (s silent) Write(b []byte) (int, error) { s.t.Errorf("%q was written", b); return len(b), nil }

func TestRedirectErrors(t *testing.T) {
	type change = func(*signer.Presigned)
	to := func(url string) change { return func(p *signer.Presigned) { p.URL = url } }
	needs := func(h http.Header) change { return func(p *signer.Presigned) { p.Header = h } }
	signedFor := func(method string) change { return func(p *signer.Presigned) { p.Method = method } }
	endsAt := func(end time.Time) change { return func(p *signer.Presigned) { p.ExpiresAt = end } }
	none := signer.Redirector{}
	late := clock.Fixed(now.Add(15 * time.Minute))
	emptyAuthorization := asks("GET", "")
	emptyAuthorization.Header["Authorization"] = []string{""}
	const (
		refuse = signer.RefuseAuthorization
		asJSON = signer.JSONOnAuthorization
		anyway = signer.RedirectAnyway
	)
	for name, tt := range map[string]struct {
		d          signer.Redirector
		r          *http.Request
		change     change
		sentinel   error
		field, say string
	}{
		"Authorization":              {none, asks("GET", "Bearer x"), nil, signer.ErrConflict, "Authorization", "set JSONOnAuthorization"},
		"Authorization, empty":       {none, emptyAuthorization, nil, signer.ErrConflict, "Authorization", "a cookie"},
		"Authorization, and headers": {none, asks("GET", "Bearer x"), needs(http.Header{"X-A": {"b"}}), signer.ErrConflict, "Authorization", ""},

		"JSON for HEAD": {signer.Redirector{OnAuthorization: asJSON}, asks("HEAD", "Bearer x"), nil, signer.ErrUnsupported, "Method", "ask with GET"},
		"JSON for ever": {signer.Redirector{OnAuthorization: asJSON}, asks("GET", "Bearer x"),
			endsAt(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)), signer.ErrRequest, "ExpiresAt", "year"},

		"method":           {none, asks("HEAD", ""), signedFor("GET"), signer.ErrRequest, "Method", "sign it for that one"},
		"method, case":     {none, asks("GET", ""), signedFor("get"), signer.ErrRequest, "Method", ""},
		"method, and JSON": {signer.Redirector{OnAuthorization: asJSON}, asks("POST", "Bearer x"), signedFor("GET"), signer.ErrRequest, "Method", ""},

		"expired":           {signer.Redirector{Clock: late}, asks("GET", ""), nil, signer.ErrExpired, "ExpiresAt", "dead"},
		"expired, and JSON": {signer.Redirector{OnAuthorization: asJSON, Clock: late}, asks("GET", "Bearer x"), nil, signer.ErrExpired, "ExpiresAt", ""},
		"expired here": {none, asks("GET", ""),
			func(p *signer.Presigned) { p.ClockOffset = 15 * time.Minute }, signer.ErrExpired, "ExpiresAt", ""},
		"never lived": {none, asks("GET", ""), endsAt(time.Time{}), signer.ErrExpired, "ExpiresAt", ""},

		"headers": {none, asks("PUT", ""), needs(http.Header{"X-Ms-Blob-Type": {"BlockBlob"}, "Content-Type": {"a/b"}}),
			signer.ErrUnsupported, "Header", "Content-Type, X-Ms-Blob-Type; hand it the Presigned as JSON"},
		"headers, anyway": {signer.Redirector{OnAuthorization: anyway}, asks("PUT", "Bearer x"), needs(http.Header{"Host": {"x"}}),
			signer.ErrUnsupported, "Header", ""},

		"relative URL": {none, asks("GET", ""), to("/b" + signedQuery), signer.ErrRequest, "URL", "absolute"},
		"no host":      {none, asks("GET", ""), to("https:///b"), signer.ErrRequest, "URL", ""},
		"only a port":  {none, asks("GET", ""), to("https://:443/b"), signer.ErrRequest, "URL", ""},
		"no URL":       {none, asks("GET", ""), to(""), signer.ErrRequest, "URL", ""},
		"bad URL":      {none, asks("GET", ""), to("https://x/\r\nSet-Cookie: a=b" + signedQuery), signer.ErrRequest, "URL", ""},
		"script":       {none, asks("GET", ""), to("javascript://x/%0aalert(1)"), signer.ErrRequest, "URL", ""},

		"no such value": {signer.Redirector{OnAuthorization: anyway + 1}, asks("GET", ""), nil, signer.ErrRequest, "OnAuthorization", "3"},
		"nor this":      {signer.Redirector{OnAuthorization: refuse - 1}, asks("GET", ""), nil, signer.ErrRequest, "OnAuthorization", "-1"},
	} {
		if tt.d.Clock == nil {
			tt.d.Clock = clock.Fixed(now)
		}
		p := redirectable(tt.r.Method)
		if tt.change != nil {
			tt.change(p)
		}
		w := httptest.NewRecorder()
		w.Header().Set("Cache-Control", "public")
		err := tt.d.Redirect(silent{w, t}, tt.r, p)
		var e *signer.Error
		if !errors.Is(err, tt.sentinel) || !errors.As(err, &e) || e.Op != "redirect" || e.Field != tt.field ||
			!strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s: %v, want %v about %s that says %q", name, err, tt.sentinel, tt.field, tt.say)
			continue
		}
		if len(w.Header()) != 1 || w.Header().Get("Cache-Control") != "public" {
			t.Errorf("%s: an error, and these headers: %v", name, w.Header())
		}
		if form, found := shows(err.Error(), presignedForms()); found {
			t.Errorf("%s: the error shows %q", name, form)
		}
	}
}

// No cache holds the redirect at an instant when the URL is dead.
func TestRedirectCacheEndsBeforeTheURL(t *testing.T) {
	for _, offset := range []time.Duration{0, 3 * time.Minute, -3 * time.Minute} {
		p := redirectable(http.MethodGet)
		p.ClockOffset = offset
		end := p.ExpiresAt.Add(-offset)
		for left := time.Nanosecond; left <= 40*24*time.Hour; left = left*3/2 + 1 {
			w := httptest.NewRecorder()
			at := end.Add(-left)
			if err := (signer.Redirector{Clock: clock.Fixed(at)}).Redirect(w, asks("GET", ""), p); err != nil {
				t.Fatalf("%v before the end: %v", left, err)
			}
			control := w.Header().Get("Cache-Control")
			age, cached := strings.CutPrefix(control, "private, max-age=")
			seconds, err := strconv.Atoi(age)
			if !cached && control != "no-store" || cached && (err != nil || !at.Add(time.Duration(seconds)*time.Second).Before(end)) {
				t.Errorf("%v before the end: %s", left, control)
			}
			if left > time.Minute && !cached {
				t.Errorf("%v before the end it is not cached: %s", left, control)
			}
		}
	}
}

// learned has seen that the service is ahead of the machine, whose time is base.
type learned struct {
	t      *testing.T
	base   time.Time
	offset time.Duration
}

func (l learned) Now() time.Time { return l.base.AddDate(1, 0, 0) } // it is not asked
func (l learned) Read(authority string) (time.Time, time.Duration) {
	if authority != "photos.s3.eu-west-1.amazonaws.com" {
		l.t.Errorf("the clock is asked for the time at %s", authority)
	}
	return l.base.Add(l.offset), l.offset
}

// The machine's time counts, whatever was learned since: Presigned.ClockOffset has what was known when the URL was signed.
func TestRedirectLearnedClock(t *testing.T) {
	p := redirectable(http.MethodGet)
	p.URL = strings.Replace(p.URL, "photos", "Photos", 1)
	p.ClockOffset = 5 * time.Minute // here it dies at 10 minutes past now
	w := httptest.NewRecorder()
	if err := (signer.Redirector{Clock: learned{t, now, 7 * time.Minute}}).Redirect(w, asks("GET", ""), p); err != nil {
		t.Fatal(err)
	}
	if got := w.Header().Get("Cache-Control"); got != "private, max-age=540" {
		t.Errorf("with 10 minutes left: %s", got)
	}
}

// Who did not look at the error of Presign has no URL to redirect to.
func TestRedirectToNothing(t *testing.T) {
	w := httptest.NewRecorder()
	err := signer.Redirector{}.Redirect(silent{w, t}, asks("GET", ""), nil)
	var e *signer.Error
	if !errors.Is(err, signer.ErrRequest) || !errors.As(err, &e) || e.Op != "redirect" || len(w.Header()) > 0 {
		t.Errorf("%v, and the headers %v", err, w.Header())
	}
}

// The zero Redirector reads the machine's clock.
func TestRedirectZero(t *testing.T) {
	p := redirectable(http.MethodGet)
	for left, want := range map[time.Duration]error{time.Hour: nil, -time.Hour: signer.ErrExpired} {
		p.ExpiresAt = clock.System().Now().Add(left)
		if err := (signer.Redirector{}).Redirect(httptest.NewRecorder(), asks("GET", ""), p); !errors.Is(err, want) {
			t.Errorf("%v to live: %v", left, err)
		}
	}
}

// An API and a store that are real servers, and a client that follows: what the store gets is what was signed, and it verifies.
func TestRedirectVerifies(t *testing.T) {
	verifier := newS3Verifier(t)
	var verified []string
	store := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			http.Error(w, "two signatures", http.StatusBadRequest)
			return
		}
		g, err := verifier.Verify(r.Context(), r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		body, _ := io.ReadAll(r.Body)
		verified = append(verified, g.Method+" "+g.Key+" "+string(body))
	}))
	defer store.Close()
	s := newS3Signer(t)
	d := signer.Redirector{OnAuthorization: signer.RedirectAnyway, Clock: clock.Fixed(now)}
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := s.Presign(r.Context(), signer.Request{Method: r.Method, Key: r.URL.Path[1:], Expires: time.Minute})
		if err == nil {
			err = d.Redirect(w, r, p)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	defer api.Close()
	roots := x509.NewCertPool()
	roots.AddCert(store.Certificate())
	roots.AddCert(api.Certificate())
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if strings.HasSuffix(addr, ".amazonaws.com:443") {
				addr = store.Listener.Addr().String()
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: signer.CheckRedirect}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
		var body io.Reader
		if method == "PUT" {
			body = strings.NewReader("hello")
		}
		req, err := http.NewRequestWithContext(t.Context(), method, api.URL+"/cat.jpg", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", secretAuthorization)
		req.Header.Set("X-Amz-Meta-Owner", "me") // unsigned, so the verifier would refuse it
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(signer.RedactError(err))
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", method, resp.StatusCode, bytes.TrimSpace(text))
		}
	}
	if want := []string{"GET cat.jpg ", "HEAD cat.jpg ", "PUT cat.jpg hello", "DELETE cat.jpg "}; !slices.Equal(verified, want) {
		t.Errorf("the store verified %q", verified)
	}
}
