package storefake_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// start is when every test begins.
var start = time.Date(2026, 11, 22, 6, 24, 7, 0, time.UTC)

// A fixture is a running store, and a signer that has its credentials and a clock of its own.
type fixture struct {
	*testing.T
	*storefake.Server
	signer *s3.Signer
	other  signer.Signer // of another provider; what is presigned is presigned by it
}

func newFixture(t *testing.T, edits ...func(*storefake.Config)) *fixture {
	t.Helper()
	c := storefake.Config{Clock: clock.Fixed(start)}
	for _, edit := range edits {
		edit(&c)
	}
	server, err := storefake.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	f := &fixture{T: t, Server: server}
	f.signer = f.newSigner()
	return f
}

// eachXML runs a test of what S3 and those that are like it have in common.
func eachXML(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Run("s3", func(t *testing.T) { test(t, newFixture(t)) })
	t.Run("gcs", func(t *testing.T) { test(t, newGCSFixture(t)) })
	t.Run("oss", func(t *testing.T) { test(t, newOSSFixture(t)) })
}

func (f *fixture) newSigner(edits ...func(*s3.Config)) *s3.Signer {
	f.Helper()
	c := s3.Config{Region: f.Region, Bucket: f.Bucket, Endpoint: f.Endpoint(), Credentials: f.Credentials, Clock: clock.Fixed(start), Backdate: -1}
	for _, edit := range edits {
		edit(&c)
	}
	s, err := s3.New(c)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

func (f *fixture) presigner() signer.Signer {
	if f.other != nil {
		return f.other
	}
	return f.signer
}

func (f *fixture) presign(r signer.Request) *signer.Presigned {
	f.Helper()
	if r.Expires == 0 {
		r.Expires = time.Minute
	}
	p, err := f.presigner().Presign(f.Context(), r)
	if err != nil {
		f.Fatal(err)
	}
	return p
}

func (f *fixture) request(r signer.Request, body string) *http.Request {
	f.Helper()
	return f.requestOf(f.presign(r), body)
}

func (f *fixture) requestOf(p *signer.Presigned, body string) *http.Request {
	f.Helper()
	var from io.Reader
	if body != "" || p.Method == http.MethodPut {
		from = strings.NewReader(body)
	}
	req, err := p.NewRequest(f.Context(), from)
	if err != nil {
		f.Fatal(err)
	}
	return req
}

// do sends a request and reads the answer.
func (f *fixture) do(req *http.Request) (*http.Response, string) {
	f.Helper()
	by := http.DefaultTransport
	if req.URL.Host == f.CDNBase().Host {
		by = f.Transport()
	}
	resp, err := by.RoundTrip(req)
	if err != nil {
		f.Fatal(signer.RedactError(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		f.Fatal(err)
	}
	return resp, string(body)
}

// want sends a request that must be answered with status.
func (f *fixture) want(status int, req *http.Request) (http.Header, string) {
	f.Helper()
	resp, body := f.do(req)
	if resp.StatusCode != status {
		f.Fatalf("%s %s: status %d, want %d; %s", req.Method, req.URL.Path, resp.StatusCode, status, body)
	}
	return resp.Header, body
}

func (f *fixture) put(key, body string) {
	f.Helper()
	f.want(200, f.request(signer.Request{Method: "PUT", Key: key}, body))
}

func TestRoundTrip(t *testing.T) {
	f := newFixture(t)
	f.want(200, f.request(signer.Request{Method: "PUT", Key: "custom", Query: url.Values{"x-note": {"only logged"}}}, ""))
	for _, key := range []string{"k", "a/b c+d%2Fe~.jpg", "/leading", "a//b", "é😀", "trailing/", strings.Repeat("k", 1024), "%", "!$&'()*,;=:@[]?#"} {
		const body = "some bytes"
		h, _ := f.want(200, f.request(signer.Request{Method: "PUT", Key: key, Header: http.Header{
			"Content-Type": {"text/plain"}, "Cache-Control": {"no-cache"}, "X-Amz-Meta-Color": {"red"}, "X-Amz-Meta-Two": {"1", "2"},
		}}, body))
		sum := md5.Sum([]byte(body))
		etag := `"` + hex.EncodeToString(sum[:]) + `"`
		if h.Get("ETag") != etag || h.Get("X-Amz-Request-Id") == "" || h.Get("Date") != start.Format(http.TimeFormat) {
			t.Errorf("%.20q: PUT answers with %v", key, h)
		}
		for _, method := range []string{"GET", "HEAD"} {
			h, got := f.want(200, f.request(signer.Request{Method: method, Key: key}, ""))
			if method == "GET" && got != body || method == "HEAD" && got != "" {
				t.Errorf("%.20q: %s gives %q", key, method, got)
			}
			for name, want := range map[string]string{"Content-Type": "text/plain", "Cache-Control": "no-cache", "X-Amz-Meta-Color": "red",
				"X-Amz-Meta-Two": "1,2", "Etag": etag, "Content-Length": "10", "Last-Modified": start.Format(http.TimeFormat)} {
				if h.Get(name) != want {
					t.Errorf("%.20q: %s has %s %q, want %q", key, method, name, h.Get(name), want)
				}
			}
		}
		f.want(204, f.request(signer.Request{Method: "DELETE", Key: key}, ""))
		f.want(404, f.request(signer.Request{Key: key}, ""))
		f.want(204, f.request(signer.Request{Method: "DELETE", Key: key}, "")) // again
	}
	f.want(200, f.request(signer.Request{Method: "HEAD"}, ""))
}

func TestEmptyObject(t *testing.T) {
	f := newFixture(t)
	f.put("empty", "")
	h, body := f.want(200, f.request(signer.Request{Key: "empty"}, ""))
	if body != "" || h.Get("Content-Type") != "binary/octet-stream" || h.Get("Content-Length") != "0" {
		t.Errorf("%q %v", body, h)
	}
}

func TestOverridesAndRange(t *testing.T) {
	f := newFixture(t)
	f.put("k", "0123456789")
	h, _ := f.want(200, f.request(signer.Request{Key: "k", Response: signer.ResponseHeaders{
		ContentType: "text/x", ContentDisposition: signer.Attachment("ü.txt"), CacheControl: "no-store", ContentLanguage: "de", Expires: "never"}}, ""))
	for name, want := range map[string]string{"Content-Type": "text/x", "Content-Disposition": signer.Attachment("ü.txt"),
		"Cache-Control": "no-store", "Content-Language": "de", "Expires": "never"} {
		if h.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, h.Get(name), want)
		}
	}
	if h, _ := f.want(200, f.request(signer.Request{Key: "k"}, "")); h.Get("Content-Language") != "" {
		t.Errorf("an override was kept: %v", h)
	}
	req := f.request(signer.Request{Key: "k"}, "")
	req.Header.Set("Range", "bytes=2-4")
	if h, body := f.want(206, req); body != "234" || h.Get("Content-Range") != "bytes 2-4/10" {
		t.Errorf("%q %v", body, h)
	}
	req = f.request(signer.Request{Key: "k"}, "")
	req.Header.Set("If-None-Match", `"`+fmt.Sprintf("%x", md5.Sum([]byte("0123456789")))+`"`)
	f.want(304, req)
}

// Requests signed in their header are served like presigned ones.
func TestSigned(t *testing.T) {
	f := newFixture(t)
	sign := func(method, path, body string) *http.Request {
		req, err := http.NewRequest(method, f.URL+path, strings.NewReader(body))
		if err == nil {
			err = s3.HashBody(req)
		}
		if err == nil {
			err = f.signer.Sign(t.Context(), req)
		}
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	f.want(200, sign("PUT", "/demo/k", "hello"))
	if _, body := f.want(200, sign("GET", "/demo/k", "")); body != "hello" {
		t.Errorf("%q", body)
	}

	// Another body than the signed one is refused at its end, and nothing of it stays.
	req := sign("PUT", "/demo/other", "hello")
	req.Body = io.NopCloser(strings.NewReader("HELLO"))
	f.wantRefusal(400, req, map[string]string{
		"Code": "XAmzContentSHA256Mismatch", "Message": "The provided 'x-amz-content-sha256' header does not match what was computed.",
		"ClientComputedContentSHA256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
		"S3ComputedContentSHA256":     "3733cd977ff8eb18b987357e22ced99f46097f31ecb239e878ae63760e83e4d5",
	})
	f.want(404, f.request(signer.Request{Key: "other"}, ""))
	// Nor does it replace what was there.
	req = sign("PUT", "/demo/k", "hullo")
	req.Body = io.NopCloser(strings.NewReader("HULLO"))
	f.want(400, req)
	if _, body := f.want(200, sign("GET", "/demo/k", "")); body != "hello" {
		t.Errorf("%q", body)
	}
}

// The same with a body that tells its end apart from its last byte, as a reader may.
func TestLateEnd(t *testing.T) {
	f := newFixture(t)
	for body, status := range map[string]int{"hello": 200, "HELLO": 400} {
		req, err := http.NewRequest("PUT", f.URL+"/demo/late", strings.NewReader("hello"))
		if err == nil {
			err = s3.HashBody(req)
		}
		if err == nil {
			err = f.signer.Sign(t.Context(), req)
		}
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("PUT", req.URL.String(), iotest.OneByteReader(strings.NewReader(body)))
		r.RequestURI, r.Header, r.ContentLength = req.URL.RequestURI(), req.Header, 5
		addr, err := net.ResolveTCPAddr("tcp", req.URL.Host)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, addr)))
		if w.Code != status {
			t.Errorf("%s: status %d, want %d: %s", body, w.Code, status, w.Body)
		}
	}
}

// Bodies in chunks are stored as they were before, without a trace of the encoding.
func TestChunked(t *testing.T) {
	f := newFixture(t, func(c *storefake.Config) { c.MaxObject, c.MaxBytes = 20<<10, 50<<10 })
	body := strings.Repeat("0123456789abcdef", 1280) // 20 KiB
	put := func(key, body string) *http.Request {
		req, err := http.NewRequest("PUT", f.URL+"/demo/"+key, strings.NewReader(body))
		if err == nil {
			req.Header.Set("Content-Encoding", "br")
			err = f.signer.SignChunked(t.Context(), req, s3.Chunked{Checksum: s3.ChecksumCRC32C, ChunkSize: 8 << 10})
		}
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	f.want(200, put("k", body))
	if h, got := f.want(200, f.request(signer.Request{Key: "k"}, "")); got != body || h.Get("Content-Encoding") != "br" {
		t.Errorf("%d bytes, %v", len(got), h)
	}
	f.want(400, put("large", body+"x")) // the limit is on what is stored
	req := put("changed", body)
	encoded, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	req.Body = io.NopCloser(bytes.NewReader(bytes.Replace(encoded, []byte("f0"), []byte("F0"), 1)))
	if resp, answer := f.do(req); resp.StatusCode/100 != 4 {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
	f.want(404, f.request(signer.Request{Key: "changed"}, ""))
}

// A connection that breaks off in the middle of a body leaves no object, and gives back what it had reserved.
func TestHalfABody(t *testing.T) {
	f := newFixture(t, func(c *storefake.Config) { c.MaxBytes = 12 })
	p := f.presign(signer.Request{Method: "PUT", Key: "half"})
	u, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 10\r\n\r\nhalf", u.RequestURI(), u.Host)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(conn) // the server has seen the end when it closes
	conn.Close()
	if !strings.Contains(string(answer), "<Code>IncompleteBody</Code>") {
		t.Errorf("the answer is %q", answer)
	}
	f.want(404, f.request(signer.Request{Key: "half"}, ""))
	f.put("whole", "0123456789")
}

// A refusal reaches a client that sends all of its body before it reads.
func TestRefusalWhileSending(t *testing.T) {
	const size = 8 << 20
	f := newFixture(t)
	p := f.presign(signer.Request{Method: "PUT", Key: "k"})
	u, err := url.Parse(strings.Replace(p.URL, "/demo/k", "/demo/l", 1))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		u.RequestURI(), u.Host, size, strings.Repeat("x", size))
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || !strings.Contains(string(answer), "<Code>SignatureDoesNotMatch</Code>") {
		t.Errorf("%v: %s", err, answer)
	}
}

func TestCaps(t *testing.T) {
	f := newFixture(t, func(c *storefake.Config) { c.MaxObject, c.MaxBytes, c.MaxObjects = 10, 25, 3 })
	put := func(key string, size int) *http.Request {
		return f.request(signer.Request{Method: "PUT", Key: key}, strings.Repeat("x", size))
	}
	full := map[string]string{"Code": "QuotaExceeded", "Message": "The store is full: delete something, or start it with higher limits."}

	f.wantRefusal(400, put("a", 11), map[string]string{"Code": "EntityTooLarge",
		"Message": "Your proposed upload exceeds the maximum allowed size", "ProposedSize": "11", "MaxSizeAllowed": "10"})
	f.want(200, put("a", 10))
	f.want(200, put("b", 10))
	f.wantRefusal(403, put("c", 6), full) // bytes
	f.want(200, put("c", 5))
	f.wantRefusal(403, put("d", 0), full) // objects
	f.want(204, f.request(signer.Request{Method: "DELETE", Key: "b"}, ""))
	f.want(200, put("d", 10))
	f.want(200, put("c", 0)) // replacing gives back
	f.want(200, put("c", 5))
	f.wantRefusal(403, put("c", 6), full) // both versions are there for a moment

	req := put("a", 1)
	req.ContentLength, req.Body = -1, io.NopCloser(strings.NewReader("x"))
	f.wantRefusal(411, req, map[string]string{"Code": "MissingContentLength", "Message": "You must provide the Content-Length HTTP header."})
	f.wantRefusal(400, f.request(signer.Request{Method: "PUT", Key: strings.Repeat("k", 1025)}, ""),
		map[string]string{"Code": "KeyTooLongError", "Message": "Your key is too long"})
	f.wantRefusal(400, f.request(signer.Request{Method: "PUT", Key: "a", Header: http.Header{"X-Amz-Meta-A": {strings.Repeat("m", 2048)}}}, ""),
		map[string]string{"Code": "MetadataTooLarge", "Message": "Your metadata headers exceed the maximum allowed metadata size"})
}

// The last byte of the last place is given once.
func TestConcurrentUse(t *testing.T) {
	const workers, rounds, size = 16, 20, 100
	f := newFixture(t, func(c *storefake.Config) { c.MaxBytes, c.MaxObjects = 8*size, 8 })
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			key := fmt.Sprintf("k%d", i)
			body := strings.Repeat(string(rune('a'+i)), size)
			for range rounds {
				switch resp, got := f.do(f.request(signer.Request{Method: "PUT", Key: key}, body)); resp.StatusCode {
				case 403:
					if !strings.Contains(got, "QuotaExceeded") {
						t.Errorf("%s", got)
					}
					continue
				case 200:
				default:
					t.Errorf("PUT %s: %d %s", key, resp.StatusCode, got)
				}
				if _, got := f.do(f.request(signer.Request{Key: key}, "")); got != body {
					t.Errorf("GET %s: %q", key, got)
				}
				f.do(f.request(signer.Request{Query: url.Values{"list-type": {"2"}}}, ""))
				f.do(f.request(signer.Request{Method: "DELETE", Key: key}, ""))
			}
		})
	}
	wg.Wait()
	// All was given back.
	for i := range 8 {
		f.put(fmt.Sprintf("after%d", i), strings.Repeat("x", size))
	}
}

func TestWriteOnce(t *testing.T) {
	f := newFixture(t, func(c *storefake.Config) { c.MaxBytes = 2 }) // of which the refused one keeps nothing
	put := func() *http.Request {
		return f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"If-None-Match": {"*"}}}, "x")
	}
	f.want(200, put())
	f.wantRefusal(412, put(), map[string]string{"Code": "PreconditionFailed", "Condition": "If-None-Match",
		"Message": "At least one of the pre-conditions you specified did not hold"})
	f.put("l", "x")
}

func TestDigests(t *testing.T) {
	f := newFixture(t, func(c *storefake.Config) { c.MaxBytes = 10 }) // which refused uploads give back
	put := func(name, value string) *http.Request {
		return f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{name: {value}}}, "hello")
	}
	for name, value := range map[string]string{ // of "hello", as other programs compute it
		"Content-Md5":              "XUFAKrxLKna5cZ2REBfFkg==",
		"X-Amz-Checksum-Crc32":     "NhCmhg==",
		"X-Amz-Checksum-Crc32c":    "mnG7TA==",
		"X-Amz-Checksum-Sha1":      "qvTGHdzF6KLavt4PO0gs2a6pQ00=",
		"X-Amz-Checksum-Sha256":    "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
		"X-Amz-Checksum-Crc64nvme": "M3eFcAZSQlc=",
	} {
		if h, _ := f.want(200, put(name, value)); name != "Content-Md5" && h.Get(name) != value {
			t.Errorf("%s is not repeated: %v", name, h)
		}
		resp, body := f.do(put(name, value[:1]+"A"+value[2:]))
		if resp.StatusCode != 400 || !strings.Contains(body, "<Code>BadDigest</Code>") {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
	}
	f.wantRefusal(400, put("Content-Md5", "short"), map[string]string{"Code": "InvalidDigest", "Message": "The Content-MD5 you specified was invalid."})
}

func TestTemporaryCredentials(t *testing.T) {
	f := newFixture(t, func(c *storefake.Config) { c.Temporary = time.Hour })
	f.want(200, f.request(signer.Request{Method: "PUT", Key: "k"}, "x"))

	bare := f.newSigner(func(c *s3.Config) {
		c.Credentials = s3.Credentials{AccessKeyID: f.Credentials.AccessKeyID, SecretKey: f.Credentials.SecretKey}
	})
	p, err := bare.Presign(t.Context(), signer.Request{Key: "k", Expires: 2 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	invalid := map[string]string{"Code": "InvalidToken", "Message": "The provided token is malformed or otherwise invalid."}
	f.wantRefusal(400, f.requestOf(p, ""), invalid)
	p = f.presign(signer.Request{Key: "k", Expires: time.Hour})
	f.Clock.Advance(59 * time.Minute)
	f.want(200, f.requestOf(p, ""))

	// The credentials die before the URL of a signer that does not know when they do.
	c := f.Credentials
	c.Expires = time.Time{}
	long := f.newSigner(func(conf *s3.Config) { conf.Credentials = c })
	if p, err = long.Presign(t.Context(), signer.Request{Key: "k", Expires: 2 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	f.Clock.Advance(time.Minute)
	f.wantRefusal(400, f.requestOf(p, ""), map[string]string{"Code": "ExpiredToken", "Message": "The provided token has expired."})
}

// Whoever comes under another name than the store's own is a page that was sent here by a stranger's name server.
func TestHost(t *testing.T) {
	f := newFixture(t)
	f.put("k", "x")
	port := f.Endpoint().Port()
	for host, status := range map[string]int{
		"evil.example": 421, "evil.example:" + port: 421, "127.0.0.1": 421, "127.0.0.2:" + port: 421, "localhost.evil.example:" + port: 421,
		"localhost:" + port: 403, "127.0.0.1:" + port: 200, // 403: ours, but not the host that was signed
	} {
		req := f.request(signer.Request{Key: "k"}, "")
		req.Host = host
		resp, body := f.do(req)
		if resp.StatusCode != status || status == 421 && strings.Contains(body, "<") {
			t.Errorf("%s: %d %s", host, resp.StatusCode, body)
		}
	}
	local := f.newSigner(func(c *s3.Config) { c.Endpoint = &url.URL{Scheme: "http", Host: "localhost:" + port} })
	p, err := local.Presign(t.Context(), signer.Request{Key: "k", Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	req := f.requestOf(p, "")
	req.URL.Host, req.Host = f.Endpoint().Host, req.URL.Host // "localhost" may not resolve where tests run
	f.want(200, req)
}

// As a handler in another server it keeps to loopback addresses.
func TestHandler(t *testing.T) {
	store, err := storefake.New(storefake.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(store)
	defer server.Close()
	resp, err := http.Get(server.URL + "/demo/k")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Errorf("status %d", resp.StatusCode)
	}
	for _, addr := range []net.Addr{nil, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}} {
		r := httptest.NewRequest("GET", "http://192.0.2.1:80/demo/k", nil)
		if addr != nil {
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, addr))
		}
		w := httptest.NewRecorder()
		if store.ServeHTTP(w, r); w.Code != 421 {
			t.Errorf("at %v: status %d", addr, w.Code)
		}
	}
}

func TestCORS(t *testing.T) {
	const page = "http://127.0.0.1:8080"
	f := newFixture(t, func(c *storefake.Config) { c.Origin = page })
	preflight := func(origin string) *http.Request {
		req, err := http.NewRequest("OPTIONS", f.URL+"/demo/k", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", "PUT")
		req.Header.Set("Access-Control-Request-Headers", "content-type,x-amz-meta-a")
		return req
	}
	h, _ := f.want(204, preflight(page))
	if h.Get("Access-Control-Allow-Origin") != page || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "PUT") ||
		h.Get("Access-Control-Allow-Headers") != "content-type,x-amz-meta-a" || h.Get("Vary") != "Origin" {
		t.Errorf("%v", h)
	}
	for _, origin := range []string{"http://127.0.0.1:8081", "null", "", "http://evil.example"} {
		if h, _ := f.want(403, preflight(origin)); h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%q: %v", origin, h)
		}
	}
	for origin, want := range map[string]string{page: page, "http://evil.example": ""} {
		for _, key := range []string{"k", "none"} { // refusals are to be read, too
			req := f.request(signer.Request{Method: "PUT", Key: "k"}, "x")
			if key == "none" {
				req = f.request(signer.Request{Key: key}, "")
			}
			req.Header.Set("Origin", origin)
			if resp, _ := f.do(req); resp.Header.Get("Access-Control-Allow-Origin") != want {
				t.Errorf("%q: %v", origin, resp.Header)
			}
		}
	}
	closed := newFixture(t)
	closed.want(403, func() *http.Request {
		req := preflight("")
		req.URL.Host, req.Host = closed.Endpoint().Host, ""
		return req
	}())
}

func TestNewErrors(t *testing.T) {
	for name, c := range map[string]storefake.Config{
		"bucket":  {Bucket: "a/b"},
		"region":  {Region: "a/b"},
		"caps":    {MaxObject: -1},
		"life":    {Temporary: -1},
		"learned": {Clock: learned{clock.System()}},
	} {
		if _, err := storefake.New(c); !errors.Is(err, signer.ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := storefake.Start(c); err == nil {
			t.Errorf("%s: started", name)
		}
	}
}

type learned struct{ clock.Clock }

func (l learned) Read(string) (time.Time, time.Duration) { return l.Now(), 0 }

// Each run has credentials of its own, and printing the store shows none of them.
func TestCredentials(t *testing.T) {
	a, b := newFixture(t, func(c *storefake.Config) { c.Temporary = time.Hour }), newFixture(t)
	if a.Credentials.AccessKeyID == b.Credentials.AccessKeyID || a.Credentials.SecretKey.Equal(b.Credentials.SecretKey) ||
		a.GCSKey.ID() == b.GCSKey.ID() || a.GCSSecret.Equal(b.GCSSecret) || a.CDNKey.Name == b.CDNKey.Name || a.CDNKey.Secret.Equal(b.CDNKey.Secret) ||
		a.OSS.AccessKeyID == b.OSS.AccessKeyID || a.OSS.AccessKeySecret.Equal(b.OSS.AccessKeySecret) ||
		a.AzureAccount == b.AzureAccount || a.AzureKey.Secret().Equal(b.AzureKey.Secret()) || a.AzureDelegation.Value.Equal(b.AzureDelegation.Value) {
		t.Error("two stores have the same credentials")
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v", a.Store, a.Credentials, a.Store)
	for _, secret := range []signer.Secret{a.Credentials.SecretKey, a.Credentials.SessionToken, a.GCSSecret, a.CDNKey.Secret, a.OSS.AccessKeySecret, a.OSS.SecurityToken,
		a.AzureKey.Secret(), a.AzureDelegation.Value} {
		if secret.Len() < 16 || bytes.Contains(out.Bytes(), secret.Reveal()) {
			t.Errorf("a secret of %d bytes, or a printed one", secret.Len())
		}
	}
}

func TestClose(t *testing.T) {
	f := newFixture(t)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", f.Endpoint().Host); err == nil {
		t.Error("it still listens")
	}
}

// Close waits for requests that are being served.
func TestCloseWaits(t *testing.T) {
	serving, release := make(chan struct{}), make(chan struct{})
	f := newFixture(t, func(c *storefake.Config) {
		c.Refused = func(*http.Request, error) { close(serving); <-release }
	})
	go func() {
		if resp, err := http.DefaultTransport.RoundTrip(httptest.NewRequest("GET", f.URL+"/demo/k", nil)); err == nil {
			resp.Body.Close()
		}
	}()
	<-serving
	closed := make(chan struct{})
	go func() {
		f.Close()
		close(closed)
	}()
	select {
	case <-closed:
		t.Error("it did not wait")
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	<-closed
}
