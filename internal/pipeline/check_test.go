package pipeline

import (
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/cloudsigner/cloudsigner/signer"
)

func TestCheckRequest(t *testing.T) {
	good := signer.Request{Key: "a/b c+%2F/é.txt", Query: url.Values{"versionId": {"1"}, "x-id": {""}},
		Header: http.Header{"Content-Type": {"text/plain"}, "x-amz-meta-a": {" two  words "}}}
	for _, tt := range []struct {
		name  string
		edit  func(r *signer.Request)
		field string // "" for no error
	}{
		{"as it is", func(r *signer.Request) {}, ""},
		{"the zero Request reads the bucket", func(r *signer.Request) { *r = signer.Request{} }, ""},
		{"HEAD on the bucket", func(r *signer.Request) { r.Key, r.Method = "", "HEAD" }, ""},
		{"a key of one slash", func(r *signer.Request) { r.Key = "/" }, ""},
		{"three dots are a name", func(r *signer.Request) { r.Key = "a/.../b" }, ""},
		{"a line feed in a key can be encoded", func(r *signer.Request) { r.Key = "a\nb" }, ""},
		{"overrides on GET", func(r *signer.Request) { r.Response.ContentType = "text/html" }, ""},
		{"Content-Length", func(r *signer.Request) { r.Header = http.Header{"Content-Length": {"0"}} }, ""},
		{"Accept-Encoding if it must be", func(r *signer.Request) { r.Header.Set("Accept-Encoding", "gzip") }, ""},

		{"method in lower case", func(r *signer.Request) { r.Method = "get" }, "Method"},
		{"method with a space", func(r *signer.Request) { r.Method = "GET /" }, "Method"},
		{"PUT on the bucket", func(r *signer.Request) { r.Key, r.Method = "", "PUT" }, "Key"},
		{"DELETE on the bucket", func(r *signer.Request) { r.Key, r.Method = "", "DELETE" }, "Key"},
		{"NUL in the key", func(r *signer.Request) { r.Key = "a\x00b" }, "Key"},
		{"invalid UTF-8 in the key", func(r *signer.Request) { r.Key = "a\xff" }, "Key"},
		{"key ..", func(r *signer.Request) { r.Key = ".." }, "Key"},
		{"key with a first ..", func(r *signer.Request) { r.Key = "../a" }, "Key"},
		{"key with an inner .", func(r *signer.Request) { r.Key = "a/./b" }, "Key"},
		{"key with a last ..", func(r *signer.Request) { r.Key = "a/.." }, "Key"},
		{"parameter without a name", func(r *signer.Request) { r.Query = url.Values{"": {"1"}} }, "Query"},
		{"control character in a parameter's name", func(r *signer.Request) { r.Query = url.Values{"a\n": {"1"}} }, "Query"},
		{"control character in a parameter's value", func(r *signer.Request) { r.Query = url.Values{"a": {"1\x7f"}} }, "Query"},
		{"X-Amz-Date", func(r *signer.Request) { r.Query = url.Values{"X-Amz-Date": {"1"}} }, "Query"},
		{"x-amz-signature", func(r *signer.Request) { r.Query = url.Values{"x-amz-signature": {"1"}} }, "Query"},
		{"X-GOOG-CREDENTIAL", func(r *signer.Request) { r.Query = url.Values{"X-GOOG-CREDENTIAL": {"1"}} }, "Query"},
		{"x-oss-additional-headers", func(r *signer.Request) { r.Query = url.Values{"x-oss-additional-headers": {"1"}} }, "Query"},
		{"sig", func(r *signer.Request) { r.Query = url.Values{"sig": {"1"}} }, "Query"},
		{"Signature", func(r *signer.Request) { r.Query = url.Values{"Signature": {"1"}} }, "Query"},
		{"AWSAccessKeyId", func(r *signer.Request) { r.Query = url.Values{"AWSAccessKeyId": {"1"}} }, "Query"},
		{"header name with a space", func(r *signer.Request) { r.Header = http.Header{"a b": {"1"}} }, "Header"},
		{"no header name", func(r *signer.Request) { r.Header = http.Header{"": {"1"}} }, "Header"},
		{"line feed in a header", func(r *signer.Request) { r.Header = http.Header{"A": {"1\nB: 2"}} }, "Header"},
		{"tab in a header", func(r *signer.Request) { r.Header = http.Header{"A": {"1\t2"}} }, "Header"},
		{"parameter without a value", func(r *signer.Request) { r.Query = url.Values{"acl": nil} }, "Query"},
		{"header without a value", func(r *signer.Request) { r.Header = http.Header{"X-Amz-Acl": {}} }, "Header"},
		{"Host", func(r *signer.Request) { r.Header = http.Header{"Host": {"h"}} }, "Header"},
		{"host in lower case", func(r *signer.Request) { r.Header = http.Header{"host": {"h"}} }, "Header"},
		{"Authorization", func(r *signer.Request) { r.Header = http.Header{"Authorization": {"Bearer x"}} }, "Header"},
		{"Transfer-Encoding", func(r *signer.Request) { r.Header = http.Header{"Transfer-Encoding": {"chunked"}} }, "Header"},
		{"x-amz-date as a header", func(r *signer.Request) { r.Header = http.Header{"X-Amz-Date": {"x"}} }, "Header"},
		{"x-amz-security-token as a header", func(r *signer.Request) { r.Header = http.Header{"x-amz-security-token": {"x"}} }, "Header"},
		{"Content-Length that is no number", func(r *signer.Request) { r.Header = http.Header{"content-length": {"-1"}} }, "Header"},
		{"Content-Length with zeros in front", func(r *signer.Request) { r.Header = http.Header{"content-length": {"007"}} }, "Header"},
		{"overrides on PUT", func(r *signer.Request) { r.Method, r.Response.ContentType = "PUT", "text/html" }, "Response"},
		{"control character in an override", func(r *signer.Request) { r.Response.ContentDisposition = "a\r\nb" }, "Response.ContentDisposition"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := good
			r.Header, r.Query = good.Header.Clone(), url.Values(http.Header(good.Query).Clone())
			tt.edit(&r)
			method := r.Method
			if method == "" {
				method = "GET"
			}
			err := CheckRequest(op, &r, method)
			checkField(t, err, tt.field)
		})
	}
}

func checkField(t *testing.T, err error, field string) {
	t.Helper()
	if field == "" {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	var e *signer.Error
	if !errors.As(err, &e) || !errors.Is(err, signer.ErrRequest) || e.Field != field || e.Backend != "test" {
		t.Errorf("got %v, want ErrRequest about %s", err, field)
	}
}

func TestCheckRequestReportsAllThatIsWrong(t *testing.T) {
	err := CheckRequest(op, &signer.Request{Key: "..", Query: url.Values{"sig": {"1"}}, Header: http.Header{"Host": {"h"}}}, "put")
	for _, field := range []string{"Method", "Key", "Query", "Header"} {
		if !strings.Contains(err.Error(), "test: presign: "+field+": ") {
			t.Errorf("nothing about %s in\n%v", field, err)
		}
	}
}

// Whatever names a signature in one backend's URLs must be refused in all.
func TestSchemeOf(t *testing.T) {
	for _, ordinary := range []string{"", "versionId", "x-amz-acl", "x-amz-meta-sig", "response-expires", "snapshot", "versionid", "x-oss-process",
		"X-Amz-Content-Sha256", "signed", "sign", strings.Repeat("x-amz-date", 9)} {
		if s := SchemeOf(ordinary); s != "" {
			t.Errorf("%q belongs to %s", ordinary, s)
		}
	}
}

func TestCheckHTTPRequest(t *testing.T) {
	for _, tt := range []struct {
		name  string
		req   func() *http.Request
		field string
	}{
		{"good", request("PUT", "https://h:9000/a//b/../c%2F?x=1&x&&y=%20+;"), ""},
		{"no method is GET", request("", "http://[::1]:9000/"), ""},
		{"nil", func() *http.Request { return nil }, "URL"},
		{"nil URL", func() *http.Request { return &http.Request{} }, "URL"},
		{"relative", request("GET", "/a"), "URL"},
		{"no host", request("GET", "https:///a"), "URL"},
		{"opaque", request("GET", "https:a"), "URL"},
		{"another protocol", request("GET", "ftp://h/a"), "URL"},
		{"method", request("get", "https://h/a"), "Method"},
		{"user", request("GET", "https://u:p@h/a"), "URL"},
		{"fragment", request("GET", "https://h/a#b"), "URL"},
		{"broken escape in the query", request("GET", "https://h/a?b=%zz"), "URL"},
		{"control character in the query", request("GET", "https://h/a?b=%0a"), "URL"},
		{"number sign in the query", func() *http.Request {
			r := request("GET", "https://h/")()
			r.URL.RawQuery = "a=b#c"
			return r
		}, "URL"},
		{"NUL in the path", request("GET", "https://h/a%00"), "URL"},
		{"invalid UTF-8 in the path", request("GET", "https://h/a%ff"), "URL"},
		{"host with a blank", func() *http.Request { return &http.Request{URL: &url.URL{Scheme: "https", Host: "h /", Path: "/"}} }, "URL"},
		{"international host", func() *http.Request {
			return &http.Request{URL: &url.URL{Scheme: "https", Host: "bücher.example", Path: "/"}}
		}, "URL"},
		{"path without a slash", func() *http.Request { return &http.Request{URL: &url.URL{Scheme: "https", Host: "h", Path: "a"}} }, "URL"},
		{"Host", func() *http.Request {
			r := request("GET", "https://h/")()
			r.Host = "evil.example/"
			return r
		}, "Host"},
		{"header", func() *http.Request {
			r := request("GET", "https://h/")()
			r.Header["X-A"] = []string{"a\r\nb"}
			return r
		}, "Header"},
	} {
		t.Run(tt.name, func(t *testing.T) { checkField(t, CheckHTTPRequest(op, tt.req()), tt.field) })
	}
}

func request(method, rawURL string) func() *http.Request {
	return func() *http.Request {
		u, err := url.Parse(rawURL)
		if err != nil {
			panic(err)
		}
		return &http.Request{Method: method, URL: u, Header: make(http.Header)}
	}
}

func TestCheckBucket(t *testing.T) {
	for _, bucket := range []string{"", ".", "..", "evil.example/", `a\b`, "a?b", "a#b", "user@host", "host:80", "a%2e", "a b", "a\nb", "a\x7f"} {
		checkField(t, CheckBucket(op, "Bucket", bucket), "Bucket")
	}
	for _, bucket := range []string{"photos", "my.photos", "My_Photos", "$root", "..a"} {
		checkField(t, CheckBucket(op, "Bucket", bucket), "")
	}
	// A function has an argument, no Config.
	if err := CheckBucket(op, "bucket", ""); err == nil || strings.Contains(err.Error(), "Config") {
		t.Errorf("got %v", err)
	}
}

func TestCheckEndpoint(t *testing.T) {
	for raw, field := range map[string]string{
		"https://h": "", "http://127.0.0.1:9000": "", "https://gw/s3/": "", "http://[::1]:9000/a/b": "",
		"h:9000": "Endpoint", "ftp://h": "Endpoint", "https://": "Endpoint", "https://u:p@h": "Endpoint", "https://h/?a=b": "Endpoint",
		"https://h/?": "Endpoint", "https://h/#f": "Endpoint", "https://h/a/../b": "Endpoint", "https://h/%00": "Endpoint",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(raw, func(t *testing.T) { checkField(t, CheckEndpoint(op, u), field) })
	}
	checkField(t, CheckEndpoint(op, nil), "")
	if err := CheckEndpoint(op, &url.URL{Path: "storage.example.com"}); err == nil || strings.Contains(err.Error(), "continue the host") {
		t.Errorf("without a host: %v", err)
	}
	checkField(t, CheckEndpoint(op, &url.URL{Scheme: "https", Host: "h.example", Path: ".evil.example/x"}), "Endpoint")
}

func TestForeignSignature(t *testing.T) {
	for query, want := range map[string]string{
		"": "", "a=b": "", "X-Amz-Signature=1": "", "X-Goog-Signature=1": "GOOG4", "a&x%2Doss-signature=1": "OSS4", "sig=a": "Azure SAS",
		"se=1&sp=r": "", "%zz&Signature=1": "Cloud CDN or version 2",
	} {
		if got, _ := ForeignSignature(query, "AWS4"); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
}

// Overrides must list every field of ResponseHeaders, or a backend would drop one silently.
func TestOverridesListsEveryField(t *testing.T) {
	var h signer.ResponseHeaders
	v := reflect.ValueOf(&h).Elem()
	for i := range v.NumField() {
		v.Field(i).SetString(v.Type().Field(i).Name)
	}
	seen := make(map[string]bool)
	for _, o := range Overrides(&h) {
		if o.Field != o.Value {
			t.Errorf("%s has the value of %s", o.Field, o.Value)
		}
		seen[o.Field] = true
	}
	if len(seen) != v.NumField() {
		t.Errorf("%d of %d fields", len(seen), v.NumField())
	}
}

// Where a scheme is forgotten, url.Parse takes a password for something else.
func TestCheckEndpointHidesPasswords(t *testing.T) {
	for _, text := range []string{"minio:s3cr3t@storage.example.com:9000", "https:minio:s3cr3t@h", "https:///minio:s3cr3t@h", "https://minio:s3cr3t@h"} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckEndpoint(Op{"s3", "new"}, u); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
