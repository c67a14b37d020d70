package storefake_test

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/signer"
)

// upper is a body whose letters were changed on the way.
type upper struct{ io.ReadCloser }

func (u upper) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	copy(p[:n], bytes.ToUpper(p[:n]))
	return n, err
}

func TestRanges(t *testing.T) {
	testRanges(t, newFixture(t))
	testRanges(t, newGCSFixture(t)) // OSS has ways of its own
}

func testRanges(t *testing.T, f *fixture) {
	f.put("k", "0123456789")
	get := func(asked, method string) *http.Request {
		req := f.request(signer.Request{Method: method, Key: "k"}, "")
		req.Header.Set("Range", asked)
		return req
	}
	for asked, want := range map[string]string{"bytes=2-4": "234", "bytes=7-": "789", "bytes=-3": "789", "bytes=-30": "0123456789", "bytes=0-0": "0", "bytes=8-99": "89"} {
		h, body := f.want(206, get(asked, "GET"))
		if body != want || !strings.HasSuffix(h.Get("Content-Range"), "/10") || h.Get("Accept-Ranges") != "bytes" {
			t.Errorf("%s: %q %v", asked, body, h)
		}
		if h, _ := f.want(206, get(asked, "HEAD")); h.Get("Content-Length") != fmt.Sprint(len(want)) {
			t.Errorf("HEAD %s: %v", asked, h)
		}
	}
	h, body := f.want(206, get("bytes=0-1,4-5", "GET"))
	_, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(strings.NewReader(body), params["boundary"])
	for _, want := range []string{"01", "45"} {
		p, err := r.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(p); string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, asked := range []string{"bytes=10-", "bytes=99-100"} {
		if f.other == nil {
			f.wantRefusal(416, get(asked, "GET"), map[string]string{"Code": "InvalidRange", "Message": "The requested range is not satisfiable",
				"RangeRequested": asked, "ActualObjectSize": "10"})
		}
		f.refused(416, "InvalidRange", get(asked, "GET"))
		if _, body := f.want(416, get(asked, "HEAD")); body != "" {
			t.Errorf("%s", body)
		}
	}
}

func TestConditions(t *testing.T) {
	f := newFixture(t)
	f.put("k", "x")
	etag := fmt.Sprintf(`"%x"`, md5.Sum([]byte("x")))
	now, before, after := start.Format(http.TimeFormat), start.Add(-time.Second).Format(http.TimeFormat), start.Add(time.Second).Format(http.TimeFormat)
	for _, tt := range []struct {
		header []string
		status int
		failed string
	}{
		{[]string{"If-Match", etag}, 200, ""},
		{[]string{"If-Match", `"other"`}, 412, "If-Match"},
		{[]string{"If-None-Match", `"other"`}, 200, ""},
		{[]string{"If-None-Match", etag}, 304, ""},
		{[]string{"If-None-Match", "*"}, 304, ""},
		{[]string{"If-Modified-Since", before}, 200, ""},
		{[]string{"If-Modified-Since", now}, 304, ""},
		{[]string{"If-Unmodified-Since", after}, 200, ""},
		{[]string{"If-Unmodified-Since", before}, 412, "If-Unmodified-Since"},
		{[]string{"If-Match", etag, "If-Unmodified-Since", before}, 200, ""},
		{[]string{"If-None-Match", etag, "If-Modified-Since", before}, 304, ""},
		{[]string{"If-Range", `"other"`, "Range", "bytes=0-0"}, 200, ""},
		{[]string{"If-Range", etag, "Range", "bytes=0-0"}, 206, ""},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			req := f.request(signer.Request{Method: method, Key: "k", Response: signer.ResponseHeaders{ContentDisposition: "attachment"}}, "")
			for i := 0; i < len(tt.header); i += 2 {
				req.Header.Set(tt.header[i], tt.header[i+1])
			}
			resp, body := f.do(req)
			if resp.StatusCode != tt.status || tt.status < 412 && resp.Header.Get("ETag") != etag {
				t.Errorf("%s %q: %d, want %d; %v", method, tt.header, resp.StatusCode, tt.status, resp.Header)
			}
			if tt.status == 412 && (method == "GET" && elements(t, body)["Condition"] != tt.failed || resp.Header.Get("Content-Disposition") != "") {
				t.Errorf("%s %q: %s %v", method, tt.header, body, resp.Header)
			}
		}
	}

	put := func(key, name, value string) *http.Request {
		return f.request(signer.Request{Method: "PUT", Key: key, Header: http.Header{name: {value}}}, "y")
	}
	f.wantRefusal(412, put("k", "If-Match", `"other"`), map[string]string{"Code": "PreconditionFailed", "Condition": "If-Match",
		"Message": "At least one of the pre-conditions you specified did not hold"})
	f.refused(412, "PreconditionFailed", put("k", "If-None-Match", "*"))
	f.refused(404, "NoSuchKey", put("none", "If-Match", etag))
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
		f.refused(501, "NotImplemented", put("k", name, now))
	}
	if _, body := f.want(200, f.request(signer.Request{Key: "k"}, "")); body != "x" {
		t.Errorf("%q", body)
	}
	f.want(200, put("k", "If-Match", etag))
	f.want(200, put("new", "If-None-Match", "*"))

	// The same holds for an upload in parts.
	id := f.initiate("k")
	parts := [][3]string{{"1", f.part("k", id, 1, "z"), ""}}
	f.refused(412, "PreconditionFailed", f.complete("k", id, parts, "If-None-Match", "*"))
	f.refused(412, "PreconditionFailed", f.complete("k", id, parts, "If-Match", etag)) // it was replaced
	f.want(200, f.complete("k", id, parts, "If-Match", fmt.Sprintf(`"%x"`, md5.Sum([]byte("y")))))
}

func TestCopy(t *testing.T) {
	f := newFixture(t, func(c *storefake.Config) { c.MaxBytes = 10 })
	f.want(200, f.request(signer.Request{Method: "PUT", Key: "dir/ü +", Header: http.Header{"X-Amz-Meta-A": {"b"}, "Content-Type": {"text/x"}}}, "1234"))
	copied := func(key, source string, header ...string) *http.Request {
		return f.sign("PUT", "/"+key, "", append(header, "X-Amz-Copy-Source", source)...)
	}
	_, body := f.want(200, copied("k", "demo/dir/%C3%BC%20%2B"))
	if etag := fmt.Sprintf("&#34;%x&#34;", md5.Sum([]byte("1234"))); element(body, "ETag") != etag || element(body, "LastModified") != "2026-11-22T06:24:07.000Z" {
		t.Errorf("%s", body)
	}
	if h, body := f.want(200, f.request(signer.Request{Key: "k"}, "")); body != "1234" || h.Get("X-Amz-Meta-A") != "b" || h.Get("Content-Type") != "text/x" {
		t.Errorf("%q %v", body, h)
	}
	f.refused(403, "QuotaExceeded", copied("l", "/demo/k"))
	f.want(204, f.request(signer.Request{Method: "DELETE", Key: "dir/ü +"}, ""))
	f.want(200, copied("k", "/demo/k", "X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-C", "d"))
	if h, body := f.want(200, f.request(signer.Request{Key: "k"}, "")); body != "1234" || h.Get("X-Amz-Meta-A") != "" || h.Get("X-Amz-Meta-C") != "d" {
		t.Errorf("%q %v", body, h)
	}
	f.put("rest", "123456") // which is what is left

	for _, tt := range []struct {
		name   string
		req    *http.Request
		status int
		code   string
	}{
		{"onto itself", copied("k", "/demo/k"), 400, "InvalidRequest"},
		{"nothing", copied("l", "/demo/none"), 404, "NoSuchKey"},
		{"another bucket", copied("l", "/other/k"), 404, "NoSuchBucket"},
		{"no key", copied("l", "/demo"), 400, "InvalidArgument"},
		{"empty key", copied("l", "/demo/"), 400, "InvalidArgument"},
		{"broken escape", copied("l", "/demo/%zz"), 400, "InvalidArgument"},
		{"a version", copied("l", "/demo/k?versionId=1"), 501, "NotImplemented"},
		{"directive", copied("l", "/demo/k", "X-Amz-Metadata-Directive", "MOVE"), 400, "InvalidArgument"},
		{"metadata", copied("k", "/demo/k", "X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-A", strings.Repeat("m", 2048)), 400, "MetadataTooLarge"},
		{"condition", copied("k", "/demo/rest", "If-None-Match", "*"), 403, "QuotaExceeded"},
		{"condition on the source", copied("l", "/demo/k", "X-Amz-Copy-Source-If-Match", "x"), 501, "NotImplemented"},
		{"condition that is none", copied("l", "/demo/k", "If-Modified-Since", start.Format(http.TimeFormat)), 501, "NotImplemented"},
		{"a body", f.sign("PUT", "/l", "x", "X-Amz-Copy-Source", "/demo/k"), 400, "InvalidRequest"},
	} {
		t.Run(tt.name, func(t *testing.T) { (&fixture{T: t, Server: f.Server}).refused(tt.status, tt.code, tt.req) })
	}
	// Of a header on two lines the first is not what was signed.
	split := copied("l", "/demo/k,x")
	split.Header["X-Amz-Copy-Source"] = []string{"/demo/k", "x"}
	f.refused(404, "NoSuchKey", split)
	f.want(204, f.request(signer.Request{Method: "DELETE", Key: "k"}, ""))
	f.refused(404, "NoSuchKey", copied("l", "/demo/k"))
	f.put("a", "1")
	f.refused(412, "PreconditionFailed", copied("rest", "/demo/a", "If-None-Match", "*"))
	f.want(200, copied("b", "/demo/a"))
	f.want(200, copied("c", "/demo/a")) // 6 and 3: nothing was lost to refusals
	f.put("d", "1")
}
