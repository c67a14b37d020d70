package oss_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

var ctx = context.Background()

// now is ten seconds and a half before midnight.
var now = time.Date(2026, 11, 24, 23, 59, 49, 500e6, time.UTC)

const keyID, secretText = "LTAI5tExampleExampleExam", "jtWgeXtExampleExampleExampleFi"

func creds() oss.Credentials {
	return oss.Credentials{AccessKeyID: keyID, AccessKeySecret: signer.NewSecret([]byte(secretText))}
}

// tokenCreds are credentials from STS.
func tokenCreds() oss.Credentials {
	c := creds()
	c.AccessKeyID, c.SecurityToken = "STS.NExampleExample", signer.NewSecret([]byte("CAISa+token/with=signs"))
	return c
}

// config is a Config that works, after edits.
func config(edits ...func(*oss.Config)) oss.Config {
	c := oss.Config{Region: "cn-hangzhou", Bucket: "photos", Credentials: creds(), Clock: clock.Fixed(now)}
	for _, edit := range edits {
		edit(&c)
	}
	return c
}

func newSigner(t testing.TB, edits ...func(*oss.Config)) *oss.Signer {
	t.Helper()
	s, err := oss.New(config(edits...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustURL(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func newRequest(t testing.TB, method, rawURL string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, rawURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func wantError(t *testing.T, err, class error, field string) {
	t.Helper()
	var e *signer.Error
	if !errors.Is(err, class) || !errors.As(err, &e) || e.Field != field || e.Backend != "oss" || e.Op == "" {
		t.Errorf("got %v, want %q about %q", err, class, field)
	}
	if err != nil && (strings.Contains(err.Error(), secretText[:8]) || strings.Contains(err.Error(), "CAISa")) {
		t.Errorf("a secret is in %v", err)
	}
}

func TestNewErrors(t *testing.T) {
	at := func(raw string) *url.URL { return mustURL(t, raw) }
	for _, tt := range []struct {
		name  string
		edit  func(*oss.Config)
		class error
		field string
		says  string
	}{
		{"no region", func(c *oss.Config) { c.Region = "" }, signer.ErrRequest, "Region", "like cn-hangzhou"},
		{"the name of an endpoint", func(c *oss.Config) { c.Region = "oss-cn-hangzhou" }, signer.ErrRequest, "Region", `the region is "cn-hangzhou"`},
		{"the name of an internal endpoint", func(c *oss.Config) { c.Region = "oss-cn-hangzhou-internal" }, signer.ErrRequest, "Region", `the region is "cn-hangzhou"`},
		{"an internal region", func(c *oss.Config) { c.Region = "cn-beijing-internal" }, signer.ErrRequest, "Region", `the region is "cn-beijing", and for its internal network Endpoint is https://oss-cn-beijing-internal.aliyuncs.com`},
		{"a city", func(c *oss.Config) { c.Region = "beijing" }, signer.ErrRequest, "Region", `"cn-beijing"`},
		{"region in capitals", func(c *oss.Config) { c.Region = "CN-HANGZHOU" }, signer.ErrRequest, "Region", "like cn-hangzhou"},
		{"region that is a host", func(c *oss.Config) { c.Region = "evil.example/" }, signer.ErrRequest, "Region", "no region id"},
		{"acceleration without a region", func(c *oss.Config) { c.Region, c.Endpoint = "", at("https://oss-accelerate.aliyuncs.com") }, signer.ErrRequest, "Region", "acceleration endpoint does not tell it"},
		{"endpoint of another region", func(c *oss.Config) { c.Endpoint = at("https://oss-cn-shenzhen.aliyuncs.com") }, signer.ErrRequest, "Region", `an endpoint of "cn-shenzhen"`},
		{"internal endpoint of another region", func(c *oss.Config) { c.Endpoint = at("https://oss-cn-shenzhen-internal.aliyuncs.com") }, signer.ErrRequest, "Region", `an endpoint of "cn-shenzhen"`},
		{"dual-stack endpoint of another region", func(c *oss.Config) { c.Endpoint = at("https://cn-shenzhen.oss.aliyuncs.com") }, signer.ErrRequest, "Region", `an endpoint of "cn-shenzhen"`},
		{"endpoint with the bucket", func(c *oss.Config) { c.Endpoint = at("https://photos.oss-cn-hangzhou.aliyuncs.com") }, signer.ErrRequest, "Endpoint", "names a bucket too"},
		{"unknown product", func(c *oss.Config) { c.Product = "s3" }, signer.ErrRequest, "Product", "oss-cloudbox"},
		{"CloudBox without endpoint", func(c *oss.Config) { c.Product, c.Region = "oss-cloudbox", "cb-123" }, signer.ErrRequest, "Endpoint", "https://cb-123.REGION.oss-cloudbox.aliyuncs.com"},
		{"CloudBox without product", func(c *oss.Config) {
			c.Region, c.Endpoint = "cb-123", at("https://cb-123.cn-hangzhou.oss-cloudbox.aliyuncs.com")
		}, signer.ErrRequest, "Product", "set Product to oss-cloudbox"},
		{"CloudBox with its region", func(c *oss.Config) {
			c.Product, c.Endpoint = "oss-cloudbox", at("https://cb-123.cn-hangzhou.oss-cloudbox.aliyuncs.com")
		}, signer.ErrRequest, "Region", "the id that its Endpoint begins with"},
		{"no CloudBox", func(c *oss.Config) {
			c.Product, c.Endpoint = "oss-cloudbox", at("https://oss-cn-hangzhou.aliyuncs.com")
		}, signer.ErrRequest, "Endpoint", "no CloudBox"},
		{"custom domain without a bucket", func(c *oss.Config) {
			c.Bucket, c.Endpoint, c.Addressing = "", at("https://img.example"), signer.AddressingBucketHost
		}, signer.ErrRequest, "Bucket", "name the one behind img.example"},
		{"bucket host without endpoint", func(c *oss.Config) { c.Addressing = signer.AddressingBucketHost }, signer.ErrRequest, "Addressing", "Endpoint"},
		{"unknown addressing", func(c *oss.Config) { c.Addressing = 9 }, signer.ErrRequest, "Addressing", "no addressing"},
		{"address as a virtual host", func(c *oss.Config) {
			c.Endpoint, c.Addressing = at("http://[::1]:9000"), signer.AddressingVirtualHost
		}, signer.ErrRequest, "Addressing", "AddressingPath"},
		{"relative endpoint", func(c *oss.Config) { c.Endpoint = at("localhost:9000") }, signer.ErrRequest, "Endpoint", "https://HOST"},
		{"endpoint with a query", func(c *oss.Config) { c.Endpoint = at("http://localhost:9000/?a=b") }, signer.ErrRequest, "Endpoint", "query"},
		{"endpoint with a user", func(c *oss.Config) { c.Endpoint = at("http://u:p@localhost") }, signer.ErrRequest, "Endpoint", "user name"},
		{"bucket that becomes a host", func(c *oss.Config) { c.Bucket = "evil.example/" }, signer.ErrRequest, "Bucket", "no bucket name"},
		{"bucket with a dot", func(c *oss.Config) { c.Bucket = "my.photos" }, signer.ErrRequest, "Bucket", "3 to 63"},
		{"bucket in capitals", func(c *oss.Config) { c.Bucket = "Photos" }, signer.ErrRequest, "Bucket", "3 to 63"},
		{"short bucket", func(c *oss.Config) { c.Bucket = "ab" }, signer.ErrRequest, "Bucket", "3 to 63"},
		{"unicode bucket", func(c *oss.Config) { c.Bucket = "照片照片" }, signer.ErrRequest, "Bucket", "3 to 63"},
		{"additional header that is signed anyway", func(c *oss.Config) { c.AdditionalHeaders = []string{"Content-Type"} }, signer.ErrRequest, "AdditionalHeaders", "signed wherever"},
		{"additional header of OSS's", func(c *oss.Config) { c.AdditionalHeaders = []string{"X-Oss-Meta-A"} }, signer.ErrRequest, "AdditionalHeaders", "signed wherever"},
		{"additional header with an underscore", func(c *oss.Config) { c.AdditionalHeaders = []string{"x_y"} }, signer.ErrRequest, "AdditionalHeaders", "underscore"},
		{"additional header that changes", func(c *oss.Config) { c.AdditionalHeaders = []string{"User-Agent"} }, signer.ErrRequest, "AdditionalHeaders", "changes on the way"},
		{"additional header twice", func(c *oss.Config) { c.AdditionalHeaders = []string{"host", "Host"} }, signer.ErrRequest, "AdditionalHeaders", "twice"},
		{"empty additional header", func(c *oss.Config) { c.AdditionalHeaders = []string{""} }, signer.ErrRequest, "AdditionalHeaders", "no header name"},
		{"additional header with a semicolon", func(c *oss.Config) { c.AdditionalHeaders = []string{"host;range"} }, signer.ErrRequest, "AdditionalHeaders", "no header name"},
		{"no credentials", func(c *oss.Config) { c.Credentials = nil }, signer.ErrCredentials, "Credentials", "there are none"},
		{"no key id", func(c *oss.Config) { c.Credentials = oss.Credentials{AccessKeySecret: creds().AccessKeySecret} }, signer.ErrCredentials, "Credentials", "id is empty"},
		{"no secret", func(c *oss.Config) { c.Credentials = oss.Credentials{AccessKeyID: "LTAI"} }, signer.ErrCredentials, "Credentials", "secret is empty"},
		{"key id with a line feed", func(c *oss.Config) { k := creds(); k.AccessKeyID += "\n"; c.Credentials = k }, signer.ErrCredentials, "Credentials", "copied whole"},
		{"key id with a slash", func(c *oss.Config) { k := creds(); k.AccessKeyID = "a/b"; c.Credentials = k }, signer.ErrCredentials, "Credentials", "copied whole"},
		{"secret with a space", func(c *oss.Config) {
			k := creds()
			k.AccessKeySecret = signer.NewSecret([]byte(" secret"))
			c.Credentials = k
		}, signer.ErrCredentials, "Credentials", "trim it"},
		{"token with a line feed", func(c *oss.Config) {
			k := creds()
			k.SecurityToken = signer.NewSecret([]byte("t\n"))
			c.Credentials = k
		}, signer.ErrCredentials, "Credentials", "copied whole"},
		{"temporary key without token", func(c *oss.Config) { k := creds(); k.AccessKeyID = "STS.N"; c.Credentials = k }, signer.ErrCredentials, "Credentials", "SecurityToken"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := oss.New(config(tt.edit))
			if wantError(t, err, tt.class, tt.field); err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v\ndoes not say %q", err, tt.says)
			}
			if s != nil {
				t.Error("a Signer beside the error")
			}
		})
	}
}

func TestNewReportsAllThatIsWrong(t *testing.T) {
	_, err := oss.New(oss.Config{AdditionalHeaders: []string{"a_b", "content-md5"}})
	for _, fault := range []string{"Region: ", "Credentials: ", "AdditionalHeaders: bad request: \"a_b\"", "AdditionalHeaders: bad request: content-md5"} {
		if err == nil || !strings.Contains(err.Error(), "oss: new: "+fault) {
			t.Errorf("nothing about %s in\n%v", fault, err)
		}
	}
}

// places are where a bucket can stand, with the URL of the object k and what is signed in its place.
func places(t *testing.T) []place {
	type edit = func(*oss.Config)
	at := func(raw string) edit { return func(c *oss.Config) { c.Endpoint = mustURL(t, raw) } }
	region := func(r string) edit { return func(c *oss.Config) { c.Region = r } }
	how := func(a signer.Addressing) edit { return func(c *oss.Config) { c.Addressing = a } }
	bucket := func(b string) edit { return func(c *oss.Config) { c.Bucket = b } }
	product := func(p string) edit { return func(c *oss.Config) { c.Product = p } }
	const alias = "photos-b3d00d2e63d8c3b0e3a4f7c1b2ossalias"
	return []place{
		{nil, "https://photos.oss-cn-hangzhou.aliyuncs.com/k", "/photos/k", "cn-hangzhou/oss"},
		{[]edit{region("us-east-1")}, "https://photos.oss-us-east-1.aliyuncs.com/k", "/photos/k", "us-east-1/oss"},
		{[]edit{region("rg-china-mainland")}, "https://photos.oss-rg-china-mainland.aliyuncs.com/k", "/photos/k", "rg-china-mainland/oss"},
		{[]edit{at("https://oss-cn-hangzhou-internal.aliyuncs.com")}, "https://photos.oss-cn-hangzhou-internal.aliyuncs.com/k", "/photos/k", "cn-hangzhou/oss"},
		{[]edit{at("https://cn-hangzhou.oss.aliyuncs.com")}, "https://photos.cn-hangzhou.oss.aliyuncs.com/k", "/photos/k", "cn-hangzhou/oss"},
		{[]edit{at("https://oss-accelerate.aliyuncs.com")}, "https://photos.oss-accelerate.aliyuncs.com/k", "/photos/k", "cn-hangzhou/oss"},
		{[]edit{at("https://oss-accelerate-overseas.aliyuncs.com/")}, "https://photos.oss-accelerate-overseas.aliyuncs.com/k", "/photos/k", "cn-hangzhou/oss"},
		{[]edit{at("http://oss-cn-hangzhou.aliyuncs.com:8080")}, "http://photos.oss-cn-hangzhou.aliyuncs.com:8080/k", "/photos/k", "cn-hangzhou/oss"},
		{[]edit{at("https://oss-internal.aliyuncs.com")}, "https://photos.oss-internal.aliyuncs.com/k", "/photos/k", "cn-hangzhou/oss"},
		{[]edit{at("https://oss.aliyuncs.com")}, "https://photos.oss.aliyuncs.com/k", "/photos/k", "cn-hangzhou/oss"},
		{[]edit{region("cn-hangzhou-finance"), at("https://oss-cn-hzfinance.aliyuncs.com")}, "https://photos.oss-cn-hzfinance.aliyuncs.com/k", "/photos/k", "cn-hangzhou-finance/oss"},
		{[]edit{region("cn-shenzhen-finance-1"), at("https://oss-cn-shenzhen-finance-1-pub.aliyuncs.com")}, "https://photos.oss-cn-shenzhen-finance-1-pub.aliyuncs.com/k", "/photos/k", "cn-shenzhen-finance-1/oss"},
		{[]edit{bucket(alias)}, "https://" + alias + ".oss-cn-hangzhou.aliyuncs.com/k", "/" + alias + "/k", "cn-hangzhou/oss"},
		{[]edit{region("cb-123"), product("oss-cloudbox"), at("https://cb-123.cn-hangzhou.oss-cloudbox.aliyuncs.com")}, "https://photos.cb-123.cn-hangzhou.oss-cloudbox.aliyuncs.com/k", "/photos/k", "cb-123/oss-cloudbox"},
		{[]edit{at("https://img.example"), how(signer.AddressingBucketHost)}, "https://img.example/k", "/photos/k", "cn-hangzhou/oss"},
		{[]edit{at("https://photos.oss-cn-hangzhou.aliyuncs.com"), how(signer.AddressingBucketHost)}, "https://photos.oss-cn-hangzhou.aliyuncs.com/k", "/photos/k", "cn-hangzhou/oss"},
		{[]edit{at("http://127.0.0.1:9000")}, "http://127.0.0.1:9000/photos/k", "/photos/k", "cn-hangzhou/oss"},
		{[]edit{at("http://[::1]:9000/base/x%20y/")}, "http://[::1]:9000/base/x%20y/photos/k", "/photos/k", "cn-hangzhou/oss"},
		{[]edit{at("https://GW.Example:443"), how(signer.AddressingVirtualHost)}, "https://photos.gw.example/k", "/photos/k", "cn-hangzhou/oss"},
		{[]edit{how(signer.AddressingPath)}, "https://oss-cn-hangzhou.aliyuncs.com/photos/k", "/photos/k", "cn-hangzhou/oss"},
	}
}

type place struct {
	edits             []func(*oss.Config)
	url, signs, scope string
}

// Wherever the bucket stands, it is signed in the path. A finished URL of the place is signed alike.
func TestAddressing(t *testing.T) {
	for _, tt := range places(t) {
		s := newSigner(t, tt.edits...)
		var trace signer.Trace
		traced := signer.WithTrace(ctx, &trace)
		p, err := s.Presign(traced, signer.Request{Key: "k", Expires: time.Minute})
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		base, _, _ := strings.Cut(p.URL, "?")
		credential := mustURL(t, p.URL).Query().Get("x-oss-credential")
		if base != tt.url || credential != keyID+"/20261124/"+tt.scope+"/aliyun_v4_request" {
			t.Errorf("got %s in %s, want %s in %s", base, credential, tt.url, tt.scope)
		}
		uri := strings.Split(string(trace.CanonicalRequest), "\n")[1]
		if uri != tt.signs {
			t.Errorf("%s: signed is %s, want %s", tt.url, uri, tt.signs)
		}
		finished, err := s.PresignRequest(ctx, newRequest(t, "GET", tt.url), signer.Options{Expires: time.Minute})
		if err != nil || finished.URL != p.URL {
			t.Errorf("PresignRequest: %v, %v", finished, err)
		}
		if err := s.Sign(traced, newRequest(t, "GET", tt.url)); err != nil || strings.Split(string(trace.CanonicalRequest), "\n")[1] != tt.signs {
			t.Errorf("Sign: %v, signed is %s", err, trace.CanonicalRequest)
		}
	}
}

// The bucket itself is signed with a slash behind it, and the service as one slash.
func TestBucketAndService(t *testing.T) {
	for raw, signs := range map[string]string{
		"https://photos.oss-cn-hangzhou.aliyuncs.com":              "/photos/",
		"https://photos.oss-cn-hangzhou.aliyuncs.com/?list-type=2": "/photos/",
		"https://oss-cn-hangzhou.aliyuncs.com/":                    "/",
		"https://OSS-cn-hangzhou.aliyuncs.com:443":                 "/",
	} {
		var trace signer.Trace
		if err := newSigner(t).Sign(signer.WithTrace(ctx, &trace), newRequest(t, "GET", raw)); err != nil || strings.Split(string(trace.CanonicalRequest), "\n")[1] != signs {
			t.Errorf("%s: %v, signed is\n%s", raw, err, trace.CanonicalRequest)
		}
	}
	p, err := newSigner(t, func(c *oss.Config) { c.Endpoint = mustURL(t, "http://127.0.0.1:9000") }).Presign(ctx, signer.Request{Expires: time.Minute})
	if err != nil || !strings.HasPrefix(p.URL, "http://127.0.0.1:9000/photos/?x-oss-credential=") {
		t.Errorf("%v, %v", p, err)
	}
}

func TestPresignErrors(t *testing.T) {
	good := signer.Request{Key: "k", Expires: time.Minute}
	failing := func(c *oss.Config) {
		c.Credentials = sourceFunc(func() (oss.Credentials, error) { return oss.Credentials{}, errSource })
	}
	dying := func(c *oss.Config) { k := creds(); k.Expires = now.Add(30 * time.Second); c.Credentials = k }
	sts := func(c *oss.Config) { c.Credentials = tokenCreds() }
	header := func(name string, values ...string) func(*signer.Request) {
		return func(r *signer.Request) { r.Header = http.Header{name: values} }
	}
	query := func(name string, values ...string) func(*signer.Request) {
		return func(r *signer.Request) { r.Query = url.Values{name: values} }
	}
	for _, tt := range []struct {
		name  string
		conf  func(*oss.Config)
		edit  func(*signer.Request)
		class error
		field string
	}{
		{"zero expiry", nil, func(r *signer.Request) { r.Expires = 0 }, signer.ErrLifetime, "Expires"},
		{"over seven days", nil, func(r *signer.Request) { r.Expires = 7*24*time.Hour + 1 }, signer.ErrLifetime, "Expires"},
		{"over twelve hours with a token", sts, func(r *signer.Request) { r.Expires = 12*time.Hour + 1 }, signer.ErrLifetime, "Expires"},
		{"twelve hours and a window with a token", sts, func(r *signer.Request) { r.Expires, r.Window = 12*time.Hour, time.Minute }, signer.ErrLifetime, "Expires"},
		{"dying credentials", dying, nil, signer.ErrCredentials, "Credentials"},
		{"source fails", failing, nil, signer.ErrCredentials, "Credentials"},
		{"no bucket", func(c *oss.Config) { c.Bucket = "" }, nil, signer.ErrRequest, "Bucket"},
		{"bucket that becomes a host", nil, func(r *signer.Request) { r.Bucket = "evil.example/" }, signer.ErrRequest, "Bucket"},
		{"bucket beside a bucket's host", func(c *oss.Config) {
			c.Endpoint, c.Addressing = mustURL(t, "https://img.example"), signer.AddressingBucketHost
		}, func(r *signer.Request) { r.Bucket = "videos" }, signer.ErrRequest, "Bucket"},
		{"a parameter of the signature", nil, query("x-oss-expires", "1"), signer.ErrRequest, "Query"},
		{"a parameter of the signature in capitals", nil, query("X-OSS-Signature", "1"), signer.ErrRequest, "Query"},
		{"a parameter twice", nil, query("a", "1", "2"), signer.ErrRequest, "Query"},
		{"a parameter twice with one value", nil, query("a", "1", "1"), signer.ErrRequest, "Query"},
		{"an override twice", nil, func(r *signer.Request) {
			r.Query, r.Response.ContentType = url.Values{"response-content-type": {"a"}}, "b"
		}, signer.ErrRequest, "Query"},
		{"a parameter that contradicts a header", nil, func(r *signer.Request) {
			r.Query, r.Header = url.Values{"x-oss-meta-a": {"1"}}, http.Header{"X-Oss-Meta-A": {"2"}}
		}, signer.ErrRequest, "Query"},
		{"a header with two values", nil, header("X-Oss-Meta-A", "1", "2"), signer.ErrRequest, "Header"},
		{"an empty header", nil, header("Content-Type", " "), signer.ErrRequest, "Header"},
		{"a header with an underscore", nil, header("My_Header", "1"), signer.ErrRequest, "Header"},
		{"a header in two spellings", nil, func(r *signer.Request) {
			r.Header = http.Header{"Content-Type": {"a"}, "content-type": {"b"}}
		}, signer.ErrRequest, "Header"},
		{"a payload hash", nil, header("X-Oss-Content-Sha256", strings.Repeat("0", 64)), signer.ErrRequest, "x-oss-content-sha256"},
		{"a listed header that is missing", func(c *oss.Config) { c.AdditionalHeaders = []string{"range"} }, nil, signer.ErrRequest, "AdditionalHeaders"},
		{"source address", nil, func(r *signer.Request) { r.SourceIP = netip.MustParsePrefix("192.0.2.0/24") }, signer.ErrUnsupported, "SourceIP"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.conf == nil {
				tt.conf = func(*oss.Config) {}
			}
			r := good
			if tt.edit != nil {
				tt.edit(&r)
			}
			s := newSigner(t, tt.conf)
			p, err := s.Presign(ctx, r)
			if p != nil {
				t.Errorf("a URL beside the error: %v", p)
			}
			wantError(t, err, tt.class, tt.field)
			got, dies, appendErr := s.AppendURL(ctx, []byte("before"), r)
			if string(got) != "before" || !dies.IsZero() || appendErr == nil || err == nil || appendErr.Error() != err.Error() {
				t.Errorf("AppendURL: %q, %v, %v", got, dies, appendErr)
			}
		})
	}
	for _, r := range []signer.Request{{Key: "k", Expires: time.Minute, AllowShorter: true}, {Key: "k", Expires: time.Minute, BestEffort: true}} {
		_, _, err := newSigner(t).AppendURL(ctx, nil, r)
		wantError(t, err, signer.ErrRequest, "AllowShorter, BestEffort")
	}
}

var errSource = errors.New("the metadata service is away")

// sourceFunc is a CredentialSource.
type sourceFunc func() (oss.Credentials, error)

func (f sourceFunc) Credentials(context.Context, time.Time) (oss.Credentials, error) { return f() }

// Keys are names. What the URL shows of them and what is signed is one encoding of their bytes; aliyun-oss-go-sdk writes %2F for
// the slash, which is signed alike.
func TestKeys(t *testing.T) {
	long := strings.Repeat("a", 1024)
	for key, path := range map[string]string{
		"k":           "k",
		"/leading":    "/leading",
		"a//b/":       "a//b/",
		`back\slash`:  "back%5Cslash",
		"a+b c":       "a%2Bb%20c",
		"a%2Fb":       "a%252Fb",
		"a~-._!$&'()": "a~-._%21%24%26%27%28%29",
		"*,;=:@?#[]":  "%2A%2C%3B%3D%3A%40%3F%23%5B%5D",
		"照片.jpg":      "%E7%85%A7%E7%89%87.jpg",
		"a\nb":        "a%0Ab",
		long:          long,
	} {
		var trace signer.Trace
		p, err := newSigner(t).Presign(signer.WithTrace(ctx, &trace), signer.Request{Key: key, Expires: time.Minute})
		if err != nil {
			t.Errorf("%.30q: %v", key, err)
			continue
		}
		uri := strings.Split(string(trace.CanonicalRequest), "\n")[1]
		if !strings.HasPrefix(p.URL, "https://photos.oss-cn-hangzhou.aliyuncs.com/"+path+"?") || uri != "/photos/"+path {
			t.Errorf("%.30q: %v, signed is %.60s", key, p, uri)
		}
	}
	var signatures []string
	for _, path := range []string{"a/(b)!*'", "a%2Fb%29!*'", "a%2f%28b)%21%2A%27"} {
		var trace signer.Trace
		if _, err := newSigner(t).PresignRequest(signer.WithTrace(ctx, &trace), newRequest(t, "GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/"+path), signer.Options{Expires: time.Minute}); err != nil {
			t.Fatal(err)
		}
		signatures = append(signatures, strings.Split(string(trace.CanonicalRequest), "\n")[1])
	}
	if want := "/photos/a/%28b%29%21%2A%27"; signatures[0] != want || signatures[2] != want || signatures[1] == want {
		t.Errorf("signed are %q, want %q for the first and the last", signatures, want)
	}
}

// The query is sorted by its encoded names, an empty value is a bare name, and OSS's own parameters stand among the signature's.
func TestCanonicalQuery(t *testing.T) {
	var trace signer.Trace
	q := url.Values{"param1": {"a+b/c d"}, "+param1": {""}, "|param1": {"0"}, "Acl": {""}, "acl": {""}, "zone": {"é"}, "x-oss-process": {"image/resize,w_100"},
		"x-oss-traffic-limit": {"819200"}}
	p, err := newSigner(t, func(c *oss.Config) { c.Credentials = tokenCreds() }).Presign(signer.WithTrace(ctx, &trace),
		signer.Request{Key: "k", Query: q, Response: signer.ResponseHeaders{ContentType: "image/png", Expires: "0"}, Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	want := "%2Bparam1&%7Cparam1=0&Acl&acl&param1=a%2Bb%2Fc%20d&response-content-type=image%2Fpng&response-expires=0" +
		"&x-oss-credential=STS.NExampleExample%2F20261124%2Fcn-hangzhou%2Foss%2Faliyun_v4_request&x-oss-date=20261124T235949Z&x-oss-expires=60" +
		"&x-oss-process=image%2Fresize%2Cw_100&x-oss-security-token=CAISa%2Btoken%2Fwith%3Dsigns&x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-traffic-limit=819200&zone=%C3%A9"
	if got := strings.Split(string(trace.CanonicalRequest), "\n")[2]; got != want {
		t.Errorf("signed is\n%s, want\n%s", got, want)
	}
	_, query, _ := strings.Cut(p.URL, "?")
	if before, signature, _ := strings.Cut(query, "&x-oss-signature="); before != want || len(signature) != 64 {
		t.Errorf("sent is\n%s", before)
	}
	// However it is written, a query is signed alike.
	for _, raw := range []string{"acl&b=1", "b=1&acl=", "&b=%31&&acl"} {
		err := newSigner(t).Sign(signer.WithTrace(ctx, &trace), newRequest(t, "GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/k?"+raw))
		if got := strings.Split(string(trace.CanonicalRequest), "\n")[2]; err != nil || got != "acl&b=1" {
			t.Errorf("%s: signed is %s, %v", raw, got, err)
		}
	}
}

// What OSS signs by default needs no list, everything else of a Request is listed, and Host is signed only when it is asked for.
func TestSignedHeaders(t *testing.T) {
	for _, tt := range []struct {
		additional []string
		header     http.Header
		list       string
		signs      string
	}{
		{nil, nil, "", ""},
		{[]string{"Host"}, nil, "host", "host:photos.oss-cn-hangzhou.aliyuncs.com\n"},
		{nil, http.Header{"Content-Type": {"text/plain"}, "Content-Md5": {"x=="}, "X-Oss-Meta-A": {"  two  words "}}, "", "content-md5:x==\ncontent-type:text/plain\nx-oss-meta-a:two  words\n"},
		{nil, http.Header{"Range": {"bytes=0-1"}, "cache-control": {"no-store"}}, "cache-control;range", "cache-control:no-store\nrange:bytes=0-1\n"},
		{[]string{"host", "content-length"}, http.Header{"Content-Length": {"5"}, "X-Oss-Meta_b": {"1"}}, "content-length;host",
			"content-length:5\nhost:photos.oss-cn-hangzhou.aliyuncs.com\nx-oss-meta_b:1\n"},
	} {
		var trace signer.Trace
		s := newSigner(t, func(c *oss.Config) { c.AdditionalHeaders = tt.additional })
		p, err := s.Presign(signer.WithTrace(ctx, &trace), signer.Request{Method: "PUT", Key: "k", Header: tt.header, Expires: time.Minute})
		if err != nil {
			t.Errorf("%v: %v", tt.header, err)
			continue
		}
		lines := strings.Split(string(trace.CanonicalRequest), "\n")
		if got := strings.Join(lines[3:], "\n"); got != tt.signs+"\n"+tt.list+"\nUNSIGNED-PAYLOAD" {
			t.Errorf("signed is\n%s", got)
		}
		q := mustURL(t, p.URL).Query()
		if q.Get("x-oss-additional-headers") != tt.list || q.Has("x-oss-additional-headers") != (tt.list != "") {
			t.Errorf("the URL lists %q, want %q", q["x-oss-additional-headers"], tt.list)
		}
		if len(p.Header) != len(tt.header) {
			t.Errorf("to be sent is %v, asked for was %v", p.Header, tt.header)
		}
	}
}

// Of a finished request the headers that are signed by default are, and those that the Config lists. Others are named.
func TestRequestHeaders(t *testing.T) {
	s := newSigner(t, func(c *oss.Config) { c.AdditionalHeaders = []string{"host", "Content-Length", "range"} })
	req := newRequest(t, "PUT", "https://photos.oss-cn-hangzhou.aliyuncs.com/k")
	req.Header = http.Header{"Content-Type": {"text/plain"}, "Range": {"bytes=0-1"}, "Cookie": {"a=b"}, "User-Agent": {"curl"}, "X-Oss-Meta-A": {"1"}, "If-Match": {`"e"`}}
	req.ContentLength, req.Body = 5, http.NoBody
	p, err := s.PresignRequest(ctx, req, signer.Options{Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(p.Header))
	if !slices.Equal(names, []string{"Content-Length", "Content-Type", "Cookie", "If-Match", "Range", "X-Oss-Meta-A"}) || !slices.Equal(p.NotEnforced, []string{"Header.Cookie", "Header.If-Match"}) {
		t.Errorf("to be sent are %q, not enforced %q", names, p.NotEnforced)
	}
	if list := mustURL(t, p.URL).Query().Get("x-oss-additional-headers"); list != "content-length;host;range" {
		t.Errorf("listed is %q", list)
	}
	if err := s.Sign(ctx, req); err != nil {
		t.Fatal(err)
	}
	a, err := oss.ParseAuthorization(req.Header.Get("Authorization"))
	if err != nil || !slices.Equal(a.AdditionalHeaders, []string{"content-length", "host", "range"}) {
		t.Errorf("%+v, %v", a, err)
	}
	req.Header.Del("Range")
	was := fmt.Sprint(req.Header)
	err = s.Sign(ctx, req)
	wantError(t, err, signer.ErrRequest, "AdditionalHeaders")
	if fmt.Sprint(req.Header) != was {
		t.Error("the request has changed")
	}
}

func TestSign(t *testing.T) {
	for _, c := range []oss.Credentials{creds(), tokenCreds()} {
		s := newSigner(t, func(conf *oss.Config) { conf.Credentials, conf.Backdate = c, time.Hour })
		req := newRequest(t, "GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/k?acl")
		for range 2 { // a second time it replaces the first
			if err := s.Sign(ctx, req); err != nil {
				t.Fatal(err)
			}
		}
		h := req.Header
		if h.Get("X-Oss-Date") != "20261124T235949Z" || h.Get("X-Oss-Content-Sha256") != "UNSIGNED-PAYLOAD" || h.Get("X-Oss-Security-Token") != string(c.SecurityToken.Reveal()) {
			t.Errorf("headers %v", signer.RedactHeader(h))
		}
		auth := h.Get("Authorization")
		if want := "OSS4-HMAC-SHA256 Credential=" + c.AccessKeyID + "/20261124/cn-hangzhou/oss/aliyun_v4_request,Signature="; !strings.HasPrefix(auth, want) || len(auth) != len(want)+64 {
			t.Errorf("Authorization is %s", auth)
		}
	}
}

// A URL without a path is that of the root, which is the bucket, or the service under the base path of an endpoint.
func TestPresignRequestOfTheRoot(t *testing.T) {
	base := func(c *oss.Config) { c.Endpoint = mustURL(t, "http://[::1]:9000/base") }
	for _, tt := range []struct {
		s          *oss.Signer
		url, signs string
	}{
		{newSigner(t), "https://photos.oss-cn-hangzhou.aliyuncs.com", "/photos/"},
		{newSigner(t, base), "http://[::1]:9000/base", "/"},
		{newSigner(t, base), "http://[::1]:9000/base/photos", "/photos/"},
	} {
		var trace signer.Trace
		p, err := tt.s.PresignRequest(signer.WithTrace(ctx, &trace), newRequest(t, "GET", tt.url), signer.Options{Expires: time.Minute})
		if err != nil || strings.Split(string(trace.CanonicalRequest), "\n")[1] != tt.signs {
			t.Errorf("%s: %v, signed is %q", tt.url, err, trace.CanonicalRequest)
		}
		if err == nil && mustURL(t, p.URL).Path == "" {
			t.Errorf("%s: no slash in %v", tt.url, p)
		}
	}
	_, err := newSigner(t, base).PresignRequest(ctx, newRequest(t, "GET", "http://[::1]:9000/other/photos/k"), signer.Options{Expires: time.Minute})
	wantError(t, err, signer.ErrRequest, "URL")
}

// What only one of the two forms refuses.
func TestRequestErrorsOfOneForm(t *testing.T) {
	req := newRequest(t, "GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/k?x-oss-meta-a=1")
	req.Header.Set("X-Oss-Meta-A", "2")
	_, err := newSigner(t).PresignRequest(ctx, req, signer.Options{Expires: time.Minute})
	wantError(t, err, signer.ErrRequest, "Query")

	failing := newSigner(t, func(c *oss.Config) {
		c.Credentials = sourceFunc(func() (oss.Credentials, error) { return oss.Credentials{}, errSource })
	})
	was := fmt.Sprint(req)
	if err := failing.Sign(ctx, req); !errors.Is(err, errSource) || !errors.Is(err, signer.ErrCredentials) || fmt.Sprint(req) != was {
		t.Errorf("%v", err)
	}
	for _, name := range []string{"Authorization", "X-Oss-Date", "X-Oss-Security-Token"} {
		req := newRequest(t, "GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/k")
		req.Header.Set(name, "OSS4-HMAC-SHA256 x")
		_, err := newSigner(t).PresignRequest(ctx, req, signer.Options{Expires: time.Minute})
		wantError(t, err, signer.ErrConflict, name)
	}
}

// What is left of an earlier signature goes, in any spelling: a token that the new key does not have, a date.
func TestSignReplaces(t *testing.T) {
	req, fresh := newRequest(t, "GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/k"), newRequest(t, "GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/k")
	if err := newSigner(t, func(c *oss.Config) { c.Credentials = tokenCreds() }).Sign(ctx, req); err != nil {
		t.Fatal(err)
	}
	req.Header["x-oss-security-token"], req.Header["x-oss-date"], req.Header["authorization"] = []string{"old"}, []string{"old"}, []string{"OSS4-HMAC-SHA256 old"}
	for _, r := range []*http.Request{req, fresh} {
		if err := newSigner(t).Sign(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(req.Header) != fmt.Sprint(fresh.Header) {
		t.Errorf("signed twice it has %q", slices.Sorted(maps.Keys(req.Header)))
	}
}

func TestRequestErrors(t *testing.T) {
	const good = "https://photos.oss-cn-hangzhou.aliyuncs.com/k"
	for _, tt := range []struct {
		name  string
		url   string
		edit  func(*http.Request)
		class error
		field string
	}{
		{"another host", "https://photos.oss-cn-shenzhen.aliyuncs.com/k", nil, signer.ErrRequest, "Host"},
		{"a custom domain", "https://img.example/k", nil, signer.ErrRequest, "Host"},
		{"a Host that is not the endpoint's", good, func(r *http.Request) { r.Host = "img.example" }, signer.ErrRequest, "Host"},
		{"a bucket that is none", "https://a.b.oss-cn-hangzhou.aliyuncs.com/k", nil, signer.ErrRequest, "URL"},
		{"a parameter twice", good + "?a=1&a=2", nil, signer.ErrRequest, "Query"},
		{"a parameter without a name", good + "?=&a", nil, signer.ErrRequest, "Query"},
		{"a parameter twice in two encodings", good + "?a=1&%61=1", nil, signer.ErrRequest, "Query"},
		{"a header twice", good, func(r *http.Request) { r.Header["X-Oss-Meta-A"] = []string{"1", "2"} }, signer.ErrRequest, "Header"},
		{"an empty header", good, func(r *http.Request) { r.Header["Content-Type"] = []string{""} }, signer.ErrRequest, "Header"},
		{"a payload hash", good, func(r *http.Request) { r.Header.Set("X-Oss-Content-Sha256", "00") }, signer.ErrRequest, "x-oss-content-sha256"},
		{"a signature of version 1", good + "?OSSAccessKeyId=a&Expires=1&Signature=b", nil, signer.ErrConflict, "URL"},
		{"a signature of version 2", good + "?x-oss-access-key-id=a&x-oss-expires=1&x-oss-signature=b&x-oss-signature-version=OSS2", nil, signer.ErrConflict, "URL"},
		{"a signature of AWS", good + "?X-Amz-Signature=b", nil, signer.ErrConflict, "URL"},
		{"an Authorization of version 1", good, func(r *http.Request) { r.Header.Set("Authorization", "OSS a:b") }, signer.ErrConflict, "Authorization"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSigner(t)
			for op, do := range map[string]func(*http.Request) error{
				"PresignRequest": func(r *http.Request) error {
					_, err := s.PresignRequest(ctx, r, signer.Options{Expires: time.Minute})
					return err
				},
				"Sign": func(r *http.Request) error { return s.Sign(ctx, r) },
			} {
				req := newRequest(t, "GET", tt.url)
				if tt.edit != nil {
					tt.edit(req)
				}
				was := fmt.Sprint(req)
				if wantError(t, do(req), tt.class, tt.field); fmt.Sprint(req) != was {
					t.Errorf("%s changed the request", op)
				}
			}
		})
	}
}

// A URL with a security token lives for twelve hours at most, whatever the clock's backdate.
func TestSecurityToken(t *testing.T) {
	for _, backdate := range []time.Duration{0, 5 * time.Minute} {
		s := newSigner(t, func(c *oss.Config) { c.Credentials, c.Backdate = tokenCreds(), backdate })
		for _, tt := range []struct {
			expires time.Duration
			shorter bool
			lives   time.Duration
			starts  time.Duration // before now
			limit   signer.Limit
		}{
			{time.Hour, false, time.Hour, backdate, signer.LimitRequest},
			{12*time.Hour - time.Minute, false, 12*time.Hour - time.Minute, min(backdate, time.Minute), signer.LimitRequest},
			{12 * time.Hour, false, 12 * time.Hour, 0, signer.LimitRequest},
			{7 * 24 * time.Hour, true, 12 * time.Hour, 0, signer.LimitScheme},
			{8 * 24 * time.Hour, true, 12 * time.Hour, 0, signer.LimitScheme},
		} {
			p, err := s.Presign(ctx, signer.Request{Key: "k", Expires: tt.expires, AllowShorter: tt.shorter})
			if err != nil {
				t.Errorf("%v: %v", tt.expires, err)
				continue
			}
			at := now.Truncate(time.Second)
			if !p.ExpiresAt.Equal(at.Add(tt.lives)) || !p.NotBefore.Equal(at.Add(-tt.starts)) || p.LimitedBy != tt.limit {
				t.Errorf("%v with backdate %v: from %v to %v by %v", tt.expires, backdate, p.NotBefore, p.ExpiresAt, p.LimitedBy)
			}
		}
	}
	// A source is asked for what the request needs, which is not known to be too long before the token is there.
	var asked []time.Time
	s := newSigner(t, func(c *oss.Config) {
		c.Credentials = untilFunc(func(until time.Time) (oss.Credentials, error) {
			asked = append(asked, until)
			k := tokenCreds()
			k.Expires = now.Add(time.Hour)
			return k, nil
		})
	})
	p, err := s.Presign(ctx, signer.Request{Key: "k", Expires: 24 * time.Hour, AllowShorter: true})
	if err != nil || p.LimitedBy != signer.LimitCredentials || !p.ExpiresAt.Equal(now.Add(time.Hour).Truncate(time.Second)) ||
		!slices.Equal(asked, []time.Time{now.Truncate(time.Second).Add(24 * time.Hour)}) {
		t.Errorf("%v, %v, asked for %v", p, err, asked)
	}
}

// untilFunc is a CredentialSource that is told until when.
type untilFunc func(time.Time) (oss.Credentials, error)

func (f untilFunc) Credentials(_ context.Context, until time.Time) (oss.Credentials, error) {
	return f(until)
}

func TestBestEffort(t *testing.T) {
	p, err := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute, BestEffort: true, SourceIP: netip.MustParsePrefix("192.0.2.0/24")})
	if err != nil || !slices.Equal(p.NotEnforced, []string{"SourceIP"}) || p.Header != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

// learned corrects the time at one host.
type learned struct {
	clock.Clock
	t         testing.TB
	authority string
}

func (l learned) Read(authority string) (time.Time, time.Duration) {
	if authority != l.authority {
		l.t.Errorf("asked for the time at %q, want %q", authority, l.authority)
	}
	return now, time.Hour
}

func TestLearnedClockIsAskedForTheEndpoint(t *testing.T) {
	s := newSigner(t, func(c *oss.Config) { c.Clock = learned{clock.System(), t, "oss-cn-hangzhou.aliyuncs.com"} })
	p, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	if err != nil || p.ClockOffset != time.Hour || !p.NotBefore.Equal(now.Truncate(time.Second)) {
		t.Errorf("%+v, %v", p, err)
	}
}

// Credentials without a secret are none that a ring could hold.
func TestRetirement(t *testing.T) {
	whole := creds()
	if id, at := whole.Retirement(); id != keyID || !at.Equal(whole.Expires) {
		t.Errorf("%q, %v", id, at)
	}
	for _, c := range []oss.Credentials{{}, {AccessKeyID: keyID}, {AccessKeySecret: whole.AccessKeySecret}} {
		if id, _ := c.Retirement(); id != "" {
			t.Errorf("%+v has the id %q", c, id)
		}
		if _, err := signer.NewKeyRing(whole, c); !errors.Is(err, signer.ErrCredentials) {
			t.Errorf("%+v is in a ring: %v", c, err)
		}
	}
}

// Whatever credentials signed before, a Signer signs with those in force.
func TestRotatedSecret(t *testing.T) {
	var current oss.Credentials
	s := newSigner(t, func(c *oss.Config) {
		c.Credentials = sourceFunc(func() (oss.Credentials, error) { return current, nil })
	})
	r := signer.Request{Key: "k", Expires: time.Minute}
	seen := make(map[string]bool)
	for what, change := range map[string]func(*oss.Credentials){
		"nothing":       func(*oss.Credentials) {},
		"the secret":    func(c *oss.Credentials) { c.AccessKeySecret = signer.NewSecret([]byte("another secret key")) },
		"the id":        func(c *oss.Credentials) { c.AccessKeyID = "another" },
		"the token":     func(c *oss.Credentials) { c.SecurityToken = signer.NewSecret([]byte("a token")) },
		"another token": func(c *oss.Credentials) { c.SecurityToken = signer.NewSecret([]byte("another token")) },
	} {
		current = creds()
		before, _ := s.Presign(ctx, r)
		change(&current)
		got, _ := s.Presign(ctx, r)
		appended, _, _ := s.AppendURL(ctx, nil, r)
		fresh, err := newSigner(t, func(c *oss.Config) { c.Credentials = current }).Presign(ctx, r)
		if err != nil || got.URL != fresh.URL || string(appended) != fresh.URL || seen[got.URL] || (got.URL == before.URL) != (what == "nothing") {
			t.Errorf("%s: before %v, after the rotation %v, from a new signer %v, %v", what, before.URL, got.URL, fresh.URL, err)
		}
		seen[got.URL] = true
	}
}
