package gcs_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/signer"
)

var ctx = context.Background()

// now is ten seconds and a half before midnight.
var now = time.Date(2026, 11, 24, 23, 59, 49, 500e6, time.UTC)

const (
	hmacID     = "GOOG1EXAMPLEACCESSID"
	hmacSecret = "bGoa+V7g/yqDXvKRqq+JTFn4uQZbPiQJo4pf9RzJ"
)

func hmacKey(t testing.TB) gcs.Key {
	t.Helper()
	k, err := gcs.HMACKey(hmacID, signer.NewSecret([]byte(hmacSecret)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// config is a Config that works, after edits. It needs a Key.
func config(edits ...func(*gcs.Config)) gcs.Config {
	c := gcs.Config{Bucket: "photos", Clock: clock.Fixed(now)}
	for _, edit := range edits {
		edit(&c)
	}
	return c
}

// newSigner signs with an HMAC key, unless edits say otherwise.
func newSigner(t testing.TB, edits ...func(*gcs.Config)) *gcs.Signer {
	t.Helper()
	withKey := func(c *gcs.Config) { c.Key = hmacKey(t) }
	s, err := gcs.New(config(append([]func(*gcs.Config){withKey}, edits...)...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func presign(t testing.TB, s *gcs.Signer, r signer.Request) *signer.Presigned {
	t.Helper()
	p, err := s.Presign(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustURL(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// wantError checks an error, and that it holds no piece of a key.
func wantError(t *testing.T, err, class error, field string) {
	t.Helper()
	var e *signer.Error
	if !errors.Is(err, class) || !errors.As(err, &e) || e.Field != field || e.Backend != "gcs" || e.Op == "" {
		t.Errorf("got %v, want %q about %q", err, class, field)
	}
	if err == nil {
		return
	}
	if strings.Contains(err.Error(), hmacSecret) {
		t.Errorf("the secret is in %v", err)
	}
	text := strings.Join(strings.Fields(string(pkcs8(t, testKeys()[0]))), "")
	for i := len("-----BEGINPRIVATEKEY-----"); i+12 <= len(text)-len("-----ENDPRIVATEKEY-----"); i += 6 {
		if strings.Contains(err.Error(), text[i:i+12]) {
			t.Errorf("a piece of the key is in %v", err)
		}
	}
}

// otherKey is a Key of a caller's own.
type otherKey struct{ id, algorithm string }

func (k otherKey) ID() string               { return k.id }
func (k otherKey) Algorithm() gcs.Algorithm { return gcs.Algorithm(k.algorithm) }
func (otherKey) Sign(context.Context, []byte) (gcs.Signature, error) {
	return gcs.Signature{Bytes: []byte("signature")}, nil
}

func TestNewErrors(t *testing.T) {
	endpoint := func(raw string) func(*gcs.Config) {
		return func(c *gcs.Config) { c.Endpoint = mustURL(t, raw) }
	}
	for _, tt := range []struct {
		name  string
		edit  func(*gcs.Config)
		class error
		field string
	}{
		{"no key", func(c *gcs.Config) { c.Key = nil }, signer.ErrCredentials, "Key"},
		{"no algorithm", func(c *gcs.Config) { c.Key = otherKey{"a@b", ""} }, signer.ErrCredentials, "Key"},
		{"an algorithm of AWS", func(c *gcs.Config) { c.Key = otherKey{"a@b", "AWS4-HMAC-SHA256"} }, signer.ErrCredentials, "Key"},
		{"a key without an ID", func(c *gcs.Config) { c.Key = otherKey{"", "GOOG4-RSA-SHA256"} }, signer.ErrCredentials, "Key"},
		{"an ID with a slash", func(c *gcs.Config) { c.Key = otherKey{"a/b", "GOOG4-RSA-SHA256"} }, signer.ErrCredentials, "Key"},
		{"an ID with a line feed", func(c *gcs.Config) { c.Key = otherKey{"a\n", "GOOG4-HMAC-SHA256"} }, signer.ErrCredentials, "Key"},

		{"a host where a URL is meant", endpoint("storage.googleapis.com"), signer.ErrRequest, "Endpoint"},
		{"host and port where a URL is meant", endpoint("localhost:4443"), signer.ErrRequest, "Endpoint"},
		{"host, port and path where a URL is meant", endpoint("localhost:4443/storage/v1"), signer.ErrRequest, "Endpoint"},
		{"a URL without a scheme", endpoint("//localhost:4443"), signer.ErrRequest, "Endpoint"},
		{"a URL without a host", endpoint("https:///photos"), signer.ErrRequest, "Endpoint"},
		{"a URL of another scheme", endpoint("gs://photos"), signer.ErrRequest, "Endpoint"},
		{"a URL where a host is meant", func(c *gcs.Config) { c.Endpoint = &url.URL{Scheme: "https", Host: "https://cdn.example"} }, signer.ErrRequest, "Endpoint"},
		{"a scheme in front of a URL", endpoint("https://https://cdn.example"), signer.ErrRequest, "Endpoint"},
		{"a scheme in front of a URL, as the bucket", func(c *gcs.Config) {
			c.Bucket, c.Endpoint, c.Addressing = "", mustURL(t, "https://https://cdn.example"), signer.AddressingBucketHost
		}, signer.ErrRequest, "Endpoint"},
		{"a user in the endpoint", endpoint("http://u:p@localhost"), signer.ErrRequest, "Endpoint"},
		{"a query in the endpoint", endpoint("http://localhost/?a=b"), signer.ErrRequest, "Endpoint"},
		{"a fragment in the endpoint", endpoint("http://localhost/#a"), signer.ErrRequest, "Endpoint"},
		{"a segment .. in the endpoint", endpoint("http://localhost/a/../b"), signer.ErrRequest, "Endpoint"},
		{"a host that is not ASCII", endpoint("http://höst"), signer.ErrRequest, "Endpoint"},
		{"a path that continues the host", func(c *gcs.Config) { c.Endpoint = &url.URL{Scheme: "https", Host: "h", Path: ".evil.example"} }, signer.ErrRequest, "Endpoint"},

		{"location that is a path", func(c *gcs.Config) { c.Location = "a/b" }, signer.ErrRequest, "Location"},
		{"location in capitals", func(c *gcs.Config) { c.Location = "EU" }, signer.ErrRequest, "Location"},
		{"bucket host without endpoint", func(c *gcs.Config) { c.Addressing = signer.AddressingBucketHost }, signer.ErrRequest, "Addressing"},
		{"unknown addressing", func(c *gcs.Config) { c.Addressing = 9 }, signer.ErrRequest, "Addressing"},
		{"negative addressing", func(c *gcs.Config) { c.Addressing = -1 }, signer.ErrRequest, "Addressing"},
		{"an address as a virtual host", func(c *gcs.Config) {
			c.Endpoint, c.Addressing = mustURL(t, "http://[::1]:4443"), signer.AddressingVirtualHost
		}, signer.ErrRequest, "Addressing"},
		{"bucket that becomes a host", func(c *gcs.Config) { c.Bucket = "evil.example/" }, signer.ErrRequest, "Bucket"},
		{"bucket that becomes a host, as the host", func(c *gcs.Config) {
			c.Bucket, c.Endpoint, c.Addressing = "evil.example/", mustURL(t, "https://h"), signer.AddressingBucketHost
		}, signer.ErrRequest, "Bucket"},
		{"bucket in capitals", func(c *gcs.Config) { c.Bucket = "Photos" }, signer.ErrRequest, "Bucket"},
		{"bucket with a plus", func(c *gcs.Config) { c.Bucket = "a+b" }, signer.ErrRequest, "Bucket"},
		{"unicode bucket", func(c *gcs.Config) { c.Bucket = "фото" }, signer.ErrRequest, "Bucket"},
		{"bucket of 223 letters", func(c *gcs.Config) { c.Bucket = strings.Repeat("a", 223) }, signer.ErrRequest, "Bucket"},
		{"bucket that cannot be a host", func(c *gcs.Config) { c.Bucket, c.Addressing = "my_photos", signer.AddressingVirtualHost }, signer.ErrRequest, "Bucket"},
		{"bucket like an address, as a host", func(c *gcs.Config) { c.Bucket, c.Addressing = "192.168.0.1", signer.AddressingVirtualHost }, signer.ErrRequest, "Bucket"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			withKey := func(c *gcs.Config) { c.Key = hmacKey(t) }
			s, err := gcs.New(config(withKey, tt.edit))
			wantError(t, err, tt.class, tt.field)
			if s != nil {
				t.Error("a Signer beside the error")
			}
		})
	}
}

func TestNewReportsAllThatIsWrong(t *testing.T) {
	_, err := gcs.New(gcs.Config{Location: "a/b", Endpoint: &url.URL{Host: "h"}, Addressing: 9})
	for _, field := range []string{"Location", "Endpoint", "Addressing", "Key"} {
		if err == nil || !strings.Contains(err.Error(), "gcs: new: "+field+": ") {
			t.Errorf("nothing about %s in\n%v", field, err)
		}
	}
	_, err = gcs.New(gcs.Config{Bucket: "Photos"})
	for _, field := range []string{"Bucket", "Key"} {
		if err == nil || !strings.Contains(err.Error(), "gcs: new: "+field+": ") {
			t.Errorf("nothing about %s in\n%v", field, err)
		}
	}
}

// The hosts that https://docs.cloud.google.com/storage/docs/request-endpoints names, and those of callers. The host is signed without
// its port.
func TestAddressing(t *testing.T) {
	type edit = func(*gcs.Config)
	how := func(a signer.Addressing) edit { return func(c *gcs.Config) { c.Addressing = a } }
	at := func(raw string) edit { return func(c *gcs.Config) { c.Endpoint = mustURL(t, raw) } }
	in := func(bucket string) edit { return func(c *gcs.Config) { c.Bucket = bucket } }
	for _, tt := range []struct {
		edits  []edit
		url    string
		signed string // the host
	}{
		{nil, "https://storage.googleapis.com/photos/k", "storage.googleapis.com"},
		{[]edit{how(signer.AddressingPath)}, "https://storage.googleapis.com/photos/k", "storage.googleapis.com"},
		{[]edit{how(signer.AddressingVirtualHost)}, "https://photos.storage.googleapis.com/k", "photos.storage.googleapis.com"},
		{[]edit{how(signer.AddressingVirtualHost), in("my.photos")}, "https://my.photos.storage.googleapis.com/k", "my.photos.storage.googleapis.com"},
		{[]edit{in("my_photos.example.com")}, "https://storage.googleapis.com/my_photos.example.com/k", "storage.googleapis.com"},
		{[]edit{in("192.168.0.1")}, "https://storage.googleapis.com/192.168.0.1/k", "storage.googleapis.com"},
		{[]edit{in(strings.Repeat("a", 222))}, "https://storage.googleapis.com/" + strings.Repeat("a", 222) + "/k", "storage.googleapis.com"},
		{[]edit{at("https://storage.example-universe.goog")}, "https://storage.example-universe.goog/photos/k", "storage.example-universe.goog"},
		{[]edit{at("https://storage.example-universe.goog"), how(signer.AddressingVirtualHost)}, "https://photos.storage.example-universe.goog/k", "photos.storage.example-universe.goog"},
		{[]edit{at("https://storage.googleapis.com:443")}, "https://storage.googleapis.com:443/photos/k", "storage.googleapis.com"},
		{[]edit{at("http://localhost:8080")}, "http://localhost:8080/photos/k", "localhost"},
		{[]edit{at("http://localhost:8080"), how(signer.AddressingVirtualHost)}, "http://photos.localhost:8080/k", "photos.localhost"},
		{[]edit{at("http://[::1]:4443")}, "http://[::1]:4443/photos/k", "::1"},
		{[]edit{at("http://GW.Example/x y/z/")}, "http://gw.example/x%20y/z/photos/k", "gw.example"},
		{[]edit{at("http://cdn.example"), how(signer.AddressingBucketHost), in("")}, "http://cdn.example/k", "cdn.example"},
		{[]edit{at("https://cdn.example:8443"), how(signer.AddressingBucketHost)}, "https://cdn.example:8443/k", "cdn.example"},
	} {
		var trace signer.Trace
		p, err := newSigner(t, tt.edits...).Presign(signer.WithTrace(ctx, &trace), signer.Request{Key: "k", Expires: time.Minute})
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		if base, _, _ := strings.Cut(p.URL, "?"); base != tt.url || !strings.Contains(string(trace.CanonicalRequest), "\nhost:"+tt.signed+"\n\nhost\n") {
			t.Errorf("got %s, want %s with the host %s in\n%s", base, tt.url, tt.signed, trace.CanonicalRequest)
		}
	}
}

// The bucket itself has no slash behind it in a path, and a path of one slash in a host of its own.
func TestBucketURL(t *testing.T) {
	for addressing, want := range map[signer.Addressing]string{
		signer.AddressingVirtualHost: "https://photos.storage.googleapis.com/?X-Goog-Algorithm=GOOG4-HMAC-SHA256&",
		signer.AddressingPath:        "https://storage.googleapis.com/photos?X-Goog-Algorithm=GOOG4-HMAC-SHA256&",
	} {
		p := presign(t, newSigner(t, func(c *gcs.Config) { c.Addressing = addressing }), signer.Request{Query: url.Values{"prefix": {"2"}}, Expires: time.Minute})
		if !strings.HasPrefix(p.URL, want) {
			t.Errorf("%v: %v", addressing, p.URL)
		}
		if g, err := newVerifier(t).Verify(ctx, received(t, p, nil)); err != nil || g.Bucket != "photos" || g.Key != "" {
			t.Errorf("%v: %+v, %v", addressing, g, err)
		}
	}
}

func TestLocation(t *testing.T) {
	for location, want := range map[string]string{"": "auto", "us-central1": "us-central1", "eu": "eu"} {
		p := presign(t, newSigner(t, func(c *gcs.Config) { c.Location = location }), signer.Request{Key: "k", Expires: time.Minute})
		if got := mustURL(t, p.URL).Query().Get("X-Goog-Credential"); got != hmacID+"/20261124/"+want+"/storage/goog4_request" {
			t.Errorf("location %q: %s", location, got)
		}
	}
}

func TestPresignErrors(t *testing.T) {
	good := signer.Request{Key: "k", Expires: time.Minute}
	header := func(name string, values ...string) func(*signer.Request) {
		return func(r *signer.Request) { r.Header = http.Header{name: values} }
	}
	for _, tt := range []struct {
		name  string
		conf  func(*gcs.Config)
		edit  func(*signer.Request)
		class error
		field string
	}{
		{"zero expiry", nil, func(r *signer.Request) { r.Expires = 0 }, signer.ErrLifetime, "Expires"},
		{"negative expiry", nil, func(r *signer.Request) { r.Expires = -time.Second }, signer.ErrLifetime, "Expires"},
		{"seven days and a second", nil, func(r *signer.Request) { r.Expires = 7*24*time.Hour + time.Second }, signer.ErrLifetime, "Expires"},
		{"window", nil, func(r *signer.Request) { r.Window = 31 * time.Second }, signer.ErrLifetime, "Window"},
		{"spread", nil, func(r *signer.Request) { r.Spread = true }, signer.ErrRequest, "Spread"},
		{"a clock before 1970", func(c *gcs.Config) { c.Clock = clock.Fixed(time.Time{}) }, nil, signer.ErrLifetime, "Clock"},
		{"NUL in the key", nil, func(r *signer.Request) { r.Key = "a\x00" }, signer.ErrRequest, "Key"},
		{"invalid UTF-8", nil, func(r *signer.Request) { r.Key = "\xff" }, signer.ErrRequest, "Key"},
		{"a segment ..", nil, func(r *signer.Request) { r.Key = "a/../b" }, signer.ErrRequest, "Key"},
		{"a segment .", nil, func(r *signer.Request) { r.Key = "a/./b" }, signer.ErrRequest, "Key"},
		{"no bucket", func(c *gcs.Config) { c.Bucket = "" }, nil, signer.ErrRequest, "Bucket"},
		{"bucket that becomes a host", nil, func(r *signer.Request) { r.Bucket = "evil.example/" }, signer.ErrRequest, "Bucket"},
		{"bucket in capitals", nil, func(r *signer.Request) { r.Bucket = "Photos" }, signer.ErrRequest, "Bucket"},
		{"bucket beside a bucket's host", func(c *gcs.Config) {
			c.Endpoint, c.Addressing = mustURL(t, "https://cdn.example"), signer.AddressingBucketHost
		}, func(r *signer.Request) { r.Bucket = "videos" }, signer.ErrRequest, "Bucket"},
		{"no key with PUT", nil, func(r *signer.Request) { r.Method, r.Key = "PUT", "" }, signer.ErrRequest, "Key"},
		{"no key where an upload starts", nil, func(r *signer.Request) { r.Method, r.Key = "POST", "" }, signer.ErrRequest, "Key"},
		{"X-Goog-Date in the query", nil, func(r *signer.Request) { r.Query = url.Values{"X-Goog-Date": {"1"}} }, signer.ErrRequest, "Query"},
		{"x-goog-signature in the query", nil, func(r *signer.Request) { r.Query = url.Values{"x-goog-signature": {"1"}} }, signer.ErrRequest, "Query"},
		{"GoogleAccessId in the query", nil, func(r *signer.Request) { r.Query = url.Values{"GoogleAccessId": {"1"}} }, signer.ErrRequest, "Query"},
		{"an override twice", nil, func(r *signer.Request) {
			r.Query, r.Response.ContentType = url.Values{"response-content-type": {"a"}}, "b"
		}, signer.ErrRequest, "Query"},
		{"a payload hash that is none", nil, header("X-Goog-Content-Sha256", "zz"), signer.ErrRequest, "X-Goog-Content-Sha256"},
		{"a payload hash in capitals", nil, header("X-Goog-Content-Sha256", strings.Repeat("AB", 32)), signer.ErrRequest, "X-Goog-Content-Sha256"},
		{"an empty payload hash", nil, header("X-Goog-Content-Sha256", ""), signer.ErrRequest, "X-Goog-Content-Sha256"},
		{"a header in two spellings", nil, func(r *signer.Request) {
			r.Header = http.Header{"Content-Type": {"a"}, "content-type": {"b"}}
		}, signer.ErrRequest, "Header"},

		// X-Goog-Date is the signature's, and so is what it says.
		{"X-Goog-Date of another second", nil, header("X-Goog-Date", "20261124T235950Z"), signer.ErrRequest, "Header"},
		{"X-Goog-Date that is none", nil, header("x-goog-date", "now"), signer.ErrRequest, "Header"},
		{"X-Goog-Date, empty", nil, header("X-Goog-Date", ""), signer.ErrRequest, "Header"},
		{"X-Goog-Date without a value", nil, header("X-Goog-Date"), signer.ErrRequest, "Header"},
		{"X-Goog-Date twice", nil, header("X-Goog-Date", "20261124T235949Z", "20261124T235949Z"), signer.ErrRequest, "Header"},
		{"X-Goog-Date in two spellings", nil, func(r *signer.Request) {
			r.Header = http.Header{"X-Goog-Date": {"20261124T235949Z"}, "x-goog-date": {"20261124T235949Z"}}
		}, signer.ErrRequest, "Header"},
		{"X-Goog-Date of now, of a URL that starts earlier", func(c *gcs.Config) { c.Backdate = time.Minute }, header("X-Goog-Date", "20261124T235949Z"), signer.ErrRequest, "Header"},

		// A slash in a name lets nothing else through.
		{"a name with a slash and a line feed", nil, header("a/b\nx-goog-acl:public-read\nc", "v"), signer.ErrRequest, "Header"},
		{"a name with a slash and a colon", nil, header("a/b:c", "v"), signer.ErrRequest, "Header"},
		{"a name with a slash and a semicolon", nil, header("a/b;c", "v"), signer.ErrRequest, "Header"},
		{"a name with a slash and a Kelvin sign", nil, header("a/\u212a", "v"), signer.ErrRequest, "Header"},
		{"a name that begins with a slash", nil, header("/a", "v"), signer.ErrRequest, "Header"},
		{"a value with a line feed under a name with a slash", nil, header("a/b", "v\nw"), signer.ErrRequest, "Header"},
		{"no value under a name with a slash", nil, header("a/b"), signer.ErrRequest, "Header"},
		{"one bad header beside odd ones", nil, func(r *signer.Request) {
			r.Header = http.Header{"a/b": {"v"}, "Host": {"evil.example"}}
		}, signer.ErrRequest, "Header"},

		// What Google does not hold to.
		{"source address", nil, func(r *signer.Request) { r.SourceIP = netip.MustParsePrefix("192.0.2.0/24") }, signer.ErrUnsupported, "SourceIP"},
		{"Cache-Control", nil, func(r *signer.Request) { r.Response.CacheControl = "no-store" }, signer.ErrUnsupported, "Response.CacheControl"},
		{"Content-Encoding", nil, func(r *signer.Request) { r.Response.ContentEncoding = "gzip" }, signer.ErrUnsupported, "Response.ContentEncoding"},
		{"Content-Language", nil, func(r *signer.Request) { r.Response.ContentLanguage = "de" }, signer.ErrUnsupported, "Response.ContentLanguage"},
		{"Expires", nil, func(r *signer.Request) { r.Response.Expires = "Thu, 01 Jan 2027 00:00:00 GMT" }, signer.ErrUnsupported, "Response.Expires"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.conf == nil {
				tt.conf = func(*gcs.Config) {}
			}
			r := good
			if tt.edit != nil {
				tt.edit(&r)
			}
			before := fmt.Sprint(r)
			s := newSigner(t, tt.conf)
			p, err := s.Presign(ctx, r)
			if p != nil {
				t.Errorf("a URL beside the error: %v", p)
			}
			wantError(t, err, tt.class, tt.field)
			dst := []byte("before")
			got, dies, appendErr := s.AppendURL(ctx, dst, r)
			if string(got) != "before" || !dies.IsZero() || appendErr == nil || appendErr.Error() != err.Error() {
				t.Errorf("AppendURL: %q, %v, %v", got, dies, appendErr)
			}
			if fmt.Sprint(r) != before {
				t.Error("the Request was changed")
			}
		})
	}
}

// Dot segments are refused with the reason.
func TestDotSegmentsAreExplained(t *testing.T) {
	_, err := newSigner(t).Presign(ctx, signer.Request{Key: "a/../b", Expires: time.Minute})
	if err == nil || !strings.Contains(err.Error(), "clients") || !strings.Contains(err.Error(), "PresignRequest") {
		t.Errorf("%v", err)
	}
	req, _ := http.NewRequest("GET", "https://storage.googleapis.com/photos/a/../b", nil)
	var trace signer.Trace
	p, err := newSigner(t).PresignRequest(signer.WithTrace(ctx, &trace), req, signer.Options{Expires: time.Minute})
	if err != nil || !strings.HasPrefix(p.URL, "https://storage.googleapis.com/photos/a/../b?") || !strings.HasPrefix(string(trace.CanonicalRequest), "GET\n/photos/a/../b\n") {
		t.Errorf("%v, %v", p, err)
	}
}

// All that Google does not hold to is named at once, and with BestEffort sent and named.
func TestBestEffort(t *testing.T) {
	r := signer.Request{Key: "k", Expires: time.Minute, SourceIP: netip.MustParsePrefix("192.0.2.0/24"), Response: signer.ResponseHeaders{
		ContentType: "text/plain", ContentDisposition: "inline", CacheControl: "no-store", ContentEncoding: "gzip", ContentLanguage: "de", Expires: "Thu, 01 Jan 2027 00:00:00 GMT"}}
	_, err := newSigner(t).Presign(ctx, r)
	fields := []string{"SourceIP", "Response.CacheControl", "Response.ContentEncoding", "Response.ContentLanguage", "Response.Expires"}
	for _, field := range fields {
		if err == nil || !strings.Contains(err.Error(), "gcs: presign: "+field+": ") {
			t.Errorf("nothing about %s in\n%v", field, err)
		}
	}
	r.BestEffort = true
	p := presign(t, newSigner(t), r)
	if !slices.Equal(p.NotEnforced, fields) {
		t.Errorf("not enforced: %q", p.NotEnforced)
	}
	q := mustURL(t, p.URL).Query()
	for name, want := range map[string]string{"response-content-type": "text/plain", "response-content-disposition": "inline", "response-cache-control": "no-store",
		"response-content-encoding": "gzip", "response-content-language": "de", "response-expires": "Thu, 01 Jan 2027 00:00:00 GMT"} {
		if q.Get(name) != want {
			t.Errorf("%s is %q", name, q.Get(name))
		}
	}
	if p := presign(t, newSigner(t), signer.Request{Key: "k", Expires: time.Minute, BestEffort: true}); p.NotEnforced != nil {
		t.Errorf("nothing to give up, and NotEnforced is %q", p.NotEnforced)
	}
}

func TestAppendURLHasNoWayToTellWhatItGaveUp(t *testing.T) {
	for _, r := range []signer.Request{{Key: "k", Expires: time.Minute, AllowShorter: true}, {Key: "k", Expires: time.Minute, BestEffort: true}} {
		dst, _, err := newSigner(t).AppendURL(ctx, []byte("before"), r)
		wantError(t, err, signer.ErrRequest, "AllowShorter, BestEffort")
		if string(dst) != "before" {
			t.Errorf("%q", dst)
		}
	}
}

// AppendURL is Presign without the Presigned.
func TestAppendURL(t *testing.T) {
	for _, key := range []gcs.Key{hmacKey(t), rsaKey(t)} {
		s := newSigner(t, func(c *gcs.Config) { c.Key = key })
		r := signer.Request{Method: "PUT", Key: "a b/é", Query: url.Values{"b": {"1"}, "A": {"2"}}, Header: http.Header{"X-Goog-Acl": {"private"}}, Expires: time.Hour}
		p := presign(t, s, r)
		got, dies, err := s.AppendURL(ctx, []byte("before "), r)
		if err != nil || string(got) != "before "+p.URL || !dies.Equal(p.ExpiresAt) {
			t.Errorf("%q, %v, %v", got, dies, err)
		}
	}
}

func TestPresignedTimes(t *testing.T) {
	t0 := now.Truncate(time.Second)
	const hour, day = time.Hour, 24 * time.Hour
	twelve := func(c *gcs.Config) { c.Key = remoteKey(t, 12*hour) }
	for _, tt := range []struct {
		name               string
		edit               func(*gcs.Config)
		r                  signer.Request
		start, end, stable time.Time
		limit              signer.Limit
		date, expires      string
	}{
		{"no backdate", nil, signer.Request{Expires: 15 * time.Minute}, t0, t0.Add(15 * time.Minute), time.Time{}, signer.LimitRequest, "20261124T235949Z", "900"},
		{"a fraction of a second", nil, signer.Request{Expires: 900 * time.Millisecond}, t0, t0.Add(time.Second), time.Time{}, signer.LimitRequest, "20261124T235949Z", "1"},
		{"backdate over midnight", func(c *gcs.Config) { c.Clock, c.Backdate = clock.Fixed(now.Add(20*time.Second)), 30*time.Second }, signer.Request{Expires: time.Minute},
			t0.Add(-10 * time.Second), t0.Add(80 * time.Second), time.Time{}, signer.LimitRequest, "20261124T235939Z", "90"},
		{"seven days", func(c *gcs.Config) { c.Backdate = time.Hour }, signer.Request{Expires: 7 * day}, t0, t0.Add(7 * day), time.Time{}, signer.LimitRequest, "20261124T235949Z", "604800"},
		{"eight days, shorter allowed", nil, signer.Request{Expires: 8 * day, AllowShorter: true}, t0, t0.Add(7 * day), time.Time{}, signer.LimitScheme, "20261124T235949Z", "604800"},
		{"window", nil, signer.Request{Expires: hour, Window: 15 * time.Minute},
			t0.Add(-14*time.Minute - 49*time.Second), t0.Add(hour + 11*time.Second), t0.Add(11 * time.Second), signer.LimitRequest, "20261124T234500Z", "4500"},

		{"a remote key for as long as Google knows it", twelve, signer.Request{Expires: 12 * hour}, t0, t0.Add(12 * hour), time.Time{}, signer.LimitRequest, "20261124T235949Z", "43200"},
		{"a remote key for 13 hours, shorter allowed", twelve, signer.Request{Expires: 13 * hour, AllowShorter: true},
			t0, t0.Add(12 * hour), time.Time{}, signer.LimitCredentials, "20261124T235949Z", "43200"},
		{"a remote key for 8 days, shorter allowed", twelve, signer.Request{Expires: 8 * day, AllowShorter: true},
			t0, t0.Add(12 * hour), time.Time{}, signer.LimitCredentials, "20261124T235949Z", "43200"},
		{"a remote key that lives for ever", func(c *gcs.Config) { c.Key = remoteKey(t, 0) }, signer.Request{Expires: 7 * day}, t0, t0.Add(7 * day), time.Time{}, signer.LimitRequest, "20261124T235949Z", "604800"},
		{"a remote key and a window", twelve, signer.Request{Expires: 11 * hour, Window: hour},
			t0.Add(-59*time.Minute - 49*time.Second), t0.Add(11*hour + 11*time.Second), t0.Add(11 * time.Second), signer.LimitRequest, "20261124T230000Z", "43200"},
		{"a remote key and a window, shorter allowed", twelve, signer.Request{Expires: 13 * hour, Window: hour, AllowShorter: true},
			t0.Add(-59*time.Minute - 49*time.Second), t0.Add(11*hour + 11*time.Second), t0.Add(11 * time.Second), signer.LimitCredentials, "20261124T230000Z", "43200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.edit == nil {
				tt.edit = func(*gcs.Config) {}
			}
			tt.r.Key = "k"
			s := newSigner(t, tt.edit)
			req, _ := http.NewRequest("GET", "https://storage.googleapis.com/photos/k", nil)
			fromURL, err := s.PresignRequest(ctx, req, signer.Options{Expires: tt.r.Expires, Window: tt.r.Window, AllowShorter: tt.r.AllowShorter})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range []*signer.Presigned{presign(t, s, tt.r), fromURL} {
				if !p.NotBefore.Equal(tt.start) || !p.ExpiresAt.Equal(tt.end) || !p.StableUntil.Equal(tt.stable) || p.LimitedBy != tt.limit {
					t.Errorf("from %v to %v, stable until %v, limited by %v", p.NotBefore, p.ExpiresAt, p.StableUntil, p.LimitedBy)
				}
				q := mustURL(t, p.URL).Query()
				if q.Get("X-Goog-Date") != tt.date || q.Get("X-Goog-Expires") != tt.expires || !strings.Contains(q.Get("X-Goog-Credential"), "/"+tt.date[:8]+"/auto/") {
					t.Errorf("date %s, expires %s, credential %s", q.Get("X-Goog-Date"), q.Get("X-Goog-Expires"), q.Get("X-Goog-Credential"))
				}
			}
		})
	}
}

// remoteKey signs like a service, with the test's RSA key.
func remoteKey(t testing.TB, life time.Duration) gcs.Key {
	t.Helper()
	k, err := gcs.RemoteKey(account, life, rsaKey(t).Sign)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Google is sure to know the key of a signBlob for 12 hours; a URL for 13 would die at some time before its end.
func TestRemoteKeyForThirteenHours(t *testing.T) {
	s := newSigner(t, func(c *gcs.Config) { c.Key = remoteKey(t, 12*time.Hour) })
	_, err := s.Presign(ctx, signer.Request{Key: "k", Expires: 13 * time.Hour})
	wantError(t, err, signer.ErrCredentials, "Key")
	_, _, err = s.AppendURL(ctx, nil, signer.Request{Key: "k", Expires: 12*time.Hour + time.Second})
	wantError(t, err, signer.ErrCredentials, "Key")
	req, _ := http.NewRequest("GET", "https://storage.googleapis.com/photos/k", nil)
	_, err = s.PresignRequest(ctx, req, signer.Options{Expires: 13 * time.Hour})
	wantError(t, err, signer.ErrCredentials, "Key")
	if err := s.Sign(ctx, req); err != nil { // a header lives for minutes
		t.Error(err)
	}
}

// Within a window the URLs of a remote key are the same, up to the last nanosecond, and what is too long is so all the time.
func TestRemoteKeyInAWindow(t *testing.T) {
	start := time.Date(2026, 11, 24, 23, 0, 0, 0, time.UTC)
	instants := []time.Time{start, start.Add(1), start.Add(30 * time.Minute), start.Add(time.Hour - 1)}
	at := func(at time.Time) *gcs.Signer {
		return newSigner(t, func(c *gcs.Config) { c.Clock, c.Key = clock.Fixed(at), remoteKey(t, 12*time.Hour) })
	}
	for _, r := range []signer.Request{
		{Key: "k", Expires: 11 * time.Hour, Window: time.Hour},
		{Key: "k", Expires: 12 * time.Hour, Window: time.Hour, AllowShorter: true},
		{Key: "k", Expires: 7 * 24 * time.Hour, Window: time.Hour, AllowShorter: true},
	} {
		first := presign(t, at(start), r)
		for _, now := range instants {
			if p := presign(t, at(now), r); p.URL != first.URL || !p.ExpiresAt.Equal(first.ExpiresAt) || !p.StableUntil.Equal(start.Add(time.Hour)) {
				t.Errorf("%v at %v: another URL than at %v, ends at %v, stable until %v", r.Expires, now, start, p.ExpiresAt, p.StableUntil)
			}
		}
		if presign(t, at(start.Add(time.Hour)), r).URL == first.URL {
			t.Errorf("%v: the window does not end", r.Expires)
		}
	}
	for _, now := range instants {
		_, err := at(now).Presign(ctx, signer.Request{Key: "k", Expires: 11*time.Hour + time.Second, Window: time.Hour})
		wantError(t, err, signer.ErrCredentials, "Key")
	}
}

// The URL's parameters are the scheme's and the caller's and no others, in order of their names, and what must be sent is in Header.
func TestNothingAddedNothingDropped(t *testing.T) {
	r := signer.Request{
		Method: "GET", Key: "a b/ü+%2F.jpg", Expires: time.Minute,
		Query:    url.Values{"generation": {"1 2"}, "dup": {"b", "a", ""}, "Aa": {"1"}, "X-Goog-Custom-Audit": {"x"}, "X-Goog-Dates": {"1"}, "Xa": {""}, "x-goog-user-project": {"p"}, "é": {"ü"}},
		Header:   http.Header{"x-goog-meta-A": {" two   words ", "next"}, "Range": {"bytes=0-9"}},
		Response: signer.ResponseHeaders{ContentType: "text/html; charset=utf-8", ContentDisposition: signer.Attachment("ü.jpg")},
	}
	before := fmt.Sprint(r)
	p := presign(t, newSigner(t), r)
	if fmt.Sprint(r) != before {
		t.Error("the Request was changed")
	}
	u := mustURL(t, p.URL)
	if u.EscapedPath() != "/photos/a%20b/%C3%BC%2B%252F.jpg" {
		t.Errorf("path %s", u.EscapedPath())
	}
	var names []string
	for part := range strings.SplitSeq(u.RawQuery, "&") {
		name, _, _ := strings.Cut(part, "=")
		names = append(names, name)
	}
	want := []string{"%C3%A9", "Aa", "X-Goog-Algorithm", "X-Goog-Credential", "X-Goog-Custom-Audit", "X-Goog-Date", "X-Goog-Dates", "X-Goog-Expires", "X-Goog-SignedHeaders", "Xa",
		"dup", "dup", "dup", "generation", "response-content-disposition", "response-content-type", "x-goog-user-project", "X-Goog-Signature"}
	if !slices.Equal(names, want) {
		t.Errorf("parameters\n got %q\nwant %q", names, want)
	}
	q := u.Query()
	if q.Get("X-Goog-SignedHeaders") != "host;range;x-goog-meta-a" || !slices.Equal(q["dup"], []string{"b", "a", ""}) || q.Get("response-content-type") != r.Response.ContentType ||
		q.Get("response-content-disposition") != r.Response.ContentDisposition {
		t.Errorf("query %v", q)
	}
	if strings.Contains(u.RawQuery, "+") {
		t.Errorf("a plus in %s", u.RawQuery)
	}
	if want := (http.Header{"X-Goog-Meta-A": {" two   words ", "next"}, "Range": {"bytes=0-9"}}); !reflect.DeepEqual(p.Header, want) {
		t.Errorf("header %v, want %v", p.Header, want)
	}
	if g, err := newVerifier(t).Verify(ctx, received(t, p, nil)); err != nil || g.Key != r.Key || !slices.Equal(slices.Sorted(maps.Keys(g.Query)), []string{"Aa", "X-Goog-Custom-Audit", "X-Goog-Dates", "Xa", "dup", "generation", "response-content-disposition", "response-content-type", "x-goog-user-project", "é"}) {
		t.Errorf("%+v, %v", g, err)
	}
}

func TestHeaderIsNilWhenThereIsNothingToSend(t *testing.T) {
	p := presign(t, newSigner(t), signer.Request{Key: "k", Expires: time.Minute})
	if p.Header != nil || p.NotEnforced != nil || !p.StableUntil.IsZero() || p.ClockOffset != 0 || p.Method != "GET" {
		t.Errorf("%+v", p)
	}
}

// Two headers of Google's conformance suite that our other backends refuse: the signature's own date, and a name with a slash.
func TestOddHeaders(t *testing.T) {
	h := http.Header{"X-Goog-Date": {"20261124T235949Z"}, "a/B": {"  v   w "}, "Content-Type": {"text/plain"}}
	var trace signer.Trace
	p, err := newSigner(t).Presign(signer.WithTrace(ctx, &trace), signer.Request{Key: "k", Header: h, Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if want := "\na/b:v w\ncontent-type:text/plain\nhost:storage.googleapis.com\nx-goog-date:20261124T235949Z\n\na/b;content-type;host;x-goog-date\n"; !strings.Contains(string(trace.CanonicalRequest), want) {
		t.Errorf("canonical request\n%s", trace.CanonicalRequest)
	}
	if !strings.Contains(p.URL, "&X-Goog-SignedHeaders=a%2Fb%3Bcontent-type%3Bhost%3Bx-goog-date&") || len(p.Header) != 3 || len(h) != 3 {
		t.Errorf("%s, header %v", p.URL, p.Header)
	}
}

// A resumable upload starts with a POST; the header that says so must be sent.
func TestResumableUpload(t *testing.T) {
	s, v := newSigner(t), newVerifier(t)
	p := presign(t, s, signer.Request{Method: "POST", Key: "film.mp4", Expires: time.Hour,
		Header: http.Header{"X-Goog-Resumable": {"start"}, "Content-Type": {"video/mp4"}, "X-Goog-Content-Length-Range": {"0,1048576"}}})
	if got := mustURL(t, p.URL).Query().Get("X-Goog-SignedHeaders"); got != "content-type;host;x-goog-content-length-range;x-goog-resumable" || p.Method != "POST" || p.Header.Get("X-Goog-Resumable") != "start" {
		t.Errorf("%s, signed %s, header %v", p.Method, got, p.Header)
	}
	g, err := v.Verify(ctx, received(t, p, nil))
	if err != nil || g.Method != "POST" || g.Header.Get("X-Goog-Resumable") != "start" || g.Header.Get("X-Goog-Content-Length-Range") != "0,1048576" {
		t.Errorf("%+v, %v", g, err)
	}
	for _, name := range []string{"X-Goog-Resumable", "Content-Type", "X-Goog-Content-Length-Range"} {
		r := received(t, p, nil)
		r.Header.Del(name)
		g, err := v.Verify(ctx, r)
		wantRefusal(t, g, err, signer.ErrMismatch, "MalformedSecurityHeader")
	}
	r := received(t, p, nil)
	r.Header.Set("X-Goog-Content-Length-Range", "0,10485760")
	g, err = v.Verify(ctx, r)
	wantRefusal(t, g, err, signer.ErrMismatch, "SignatureDoesNotMatch")

	// In the header: no hash, because Google does not look at one there.
	req, _ := http.NewRequest("POST", "https://storage.googleapis.com/photos/film.mp4", nil)
	req.Header.Set("x-goog-resumable", "start")
	if err := s.Sign(ctx, req); err != nil || req.Header.Get("X-Goog-Content-Sha256") != "UNSIGNED-PAYLOAD" {
		t.Errorf("%v, %v", req.Header, err)
	}
	for _, spelling := range []string{"X-Goog-Resumable", "x-goog-resumable"} {
		req, _ = http.NewRequest("POST", "https://storage.googleapis.com/photos/film.mp4", nil)
		req.Header = http.Header{spelling: {"start"}, "X-Goog-Content-Sha256": {strings.Repeat("0", 64)}}
		before := fmt.Sprint(req.Header)
		wantError(t, s.Sign(ctx, req), signer.ErrRequest, "X-Goog-Content-Sha256")
		if fmt.Sprint(req.Header) != before {
			t.Errorf("the request has the header %v", req.Header)
		}
	}
}

// A customer-supplied encryption key is signed and sent, and stands in no URL and in no Grant.
func TestCustomerSuppliedEncryptionKey(t *testing.T) {
	const key, digest = "bm90IGEgcmVhbCBrZXksIDMyIGJ5dGVzIGxvbmchISE=", "A1nbCgUbdBMTLdMmVyIVNZUbmvIJlYSGKJB8aVuBFnA="
	h := http.Header{"X-Goog-Encryption-Algorithm": {"AES256"}, "X-Goog-Encryption-Key": {key}, "X-Goog-Encryption-Key-Sha256": {digest}}
	p := presign(t, newSigner(t), signer.Request{Method: "PUT", Key: "k", Header: h, Expires: time.Minute})
	if !reflect.DeepEqual(p.Header, h) || strings.Contains(p.URL, url.QueryEscape(key)) {
		t.Errorf("%s, header %v", p.URL, p.Header)
	}
	g, err := newVerifier(t).Verify(ctx, received(t, p, nil))
	if err != nil || g.Header.Get("X-Goog-Encryption-Key-Sha256") != digest || strings.Contains(fmt.Sprintf("%+v", g), key) {
		t.Errorf("%+v, %v", g, err)
	}
	for name := range h {
		r := received(t, p, nil)
		r.Header[name] = []string{"another"}
		g, err := newVerifier(t).Verify(ctx, r)
		wantRefusal(t, g, err, signer.ErrMismatch, "SignatureDoesNotMatch")
		if strings.Contains(err.Error(), key) {
			t.Errorf("the key is in %v", err)
		}
	}
}

// A hash of the body that a URL signs stands in the canonical request, and binds the body.
func TestPresignedPayload(t *testing.T) {
	const hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // SHA-256 of "hello"
	var trace signer.Trace
	p, err := newSigner(t).Presign(signer.WithTrace(ctx, &trace), signer.Request{Method: "PUT", Key: "k", Header: http.Header{"X-Goog-Content-Sha256": {hello}}, Expires: time.Minute})
	if err != nil || !strings.HasSuffix(string(trace.CanonicalRequest), "\nhost;x-goog-content-sha256\n"+hello) {
		t.Errorf("%v, canonical request\n%s", err, trace.CanonicalRequest)
	}
	for body, want := range map[string]error{"hello": nil, "jello": signer.ErrMismatch} {
		r := received(t, p, strings.NewReader(body))
		g, err := newVerifier(t).Verify(ctx, r)
		if err != nil || g.Payload != hello {
			t.Fatalf("%+v, %v", g, err)
		}
		if got, err := readAll(g.Body(r.Body)); !errors.Is(err, want) || want == nil && got != "hello" {
			t.Errorf("body %q: %q, %v", body, got, err)
		}
	}
}

// learned corrects the time at one host.
type learned struct {
	clock.Clock
	t         *testing.T
	authority string
}

func (l learned) Read(authority string) (time.Time, time.Duration) {
	if authority != l.authority {
		l.t.Errorf("asked for the time at %q, want %q", authority, l.authority)
	}
	return l.Now().Add(time.Hour), time.Hour
}

func TestLearnedClockIsAskedForTheEndpoint(t *testing.T) {
	for raw, authority := range map[string]string{"": "storage.googleapis.com", "http://Emulator.example:4443": "emulator.example:4443"} {
		s := newSigner(t, func(c *gcs.Config) {
			if c.Clock = (learned{clock.Fixed(now), t, authority}); raw != "" {
				c.Endpoint = mustURL(t, raw)
			}
		})
		p := presign(t, s, signer.Request{Key: "k", Expires: time.Minute})
		if p.ClockOffset != time.Hour || !p.ExpiresAt.Equal(now.Truncate(time.Second).Add(time.Hour+time.Minute)) {
			t.Errorf("%+v", p)
		}
	}
}

// A Key is asked once for each URL.
func TestKeyIsAskedOnce(t *testing.T) {
	n := 0
	key, err := gcs.RemoteKey(account, 0, func(context.Context, []byte) (gcs.Signature, error) {
		n++
		return gcs.Signature{Bytes: []byte("signature")}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := newSigner(t, func(c *gcs.Config) { c.Key = key })
	req, _ := http.NewRequest("GET", "https://storage.googleapis.com/photos/k", nil)
	for name, do := range map[string]func() error{
		"Presign": func() error { _, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Minute}); return err },
		"AppendURL": func() error {
			_, _, err := s.AppendURL(ctx, nil, signer.Request{Key: "k", Expires: time.Minute})
			return err
		},
		"PresignRequest": func() error { _, err := s.PresignRequest(ctx, req, signer.Options{Expires: time.Minute}); return err },
		"Sign":           func() error { return s.Sign(ctx, req.Clone(ctx)) },
	} {
		n = 0
		if err := do(); err != nil || n != 1 {
			t.Errorf("%s asks the key %d times, %v", name, n, err)
		}
	}
	n = 0
	if _, err := s.Presign(ctx, signer.Request{Key: "..", Expires: time.Minute}); err == nil || n != 0 {
		t.Errorf("for a bad request the key was asked %d times", n)
	}
}

func TestPresignRequest(t *testing.T) {
	s := newSigner(t)
	req, _ := http.NewRequest("PUT", "http://h.example:9000/a%2fb//./c%7E+d?b=2&a=%41+&&flag&X-Goog-Signature=00&x-goog-credential=t&X-Goog-Date=x", strings.NewReader("12345"))
	req.Header = http.Header{"Content-Type": {"text/plain"}, "Cookie": {"c"}, "User-Agent": {"u"}, "Accept-Encoding": {"gzip"}, "Traceparent": {"t"}, "Connection": {"close"}}
	before := fmt.Sprint(req.URL, req.Header, req.Host, req.ContentLength)
	var trace signer.Trace
	p, err := s.PresignRequest(signer.WithTrace(ctx, &trace), req, signer.Options{Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(req.URL, req.Header, req.Host, req.ContentLength) != before {
		t.Error("the request was changed")
	}
	if want := "http://h.example:9000/a%2fb//./c%7E+d?b=2&a=%41+&&flag&X-Goog-Algorithm=GOOG4-HMAC-SHA256&"; !strings.HasPrefix(p.URL, want) {
		t.Errorf("the URL's bytes were not kept: %s", p.URL)
	}
	if got := mustURL(t, p.URL).Query(); got.Get("X-Goog-SignedHeaders") != "content-length;content-type;cookie;host" || len(got["X-Goog-Signature"]) != 1 || got.Has("x-goog-credential") {
		t.Errorf("query %v", got)
	}
	if want := (http.Header{"Content-Type": {"text/plain"}, "Cookie": {"c"}, "Content-Length": {"5"}}); !reflect.DeepEqual(p.Header, want) {
		t.Errorf("header %v, want %v", p.Header, want)
	}
	// The canonical query sorts by name and has %20 for the plus; the host has no port.
	lines := strings.Split(string(trace.CanonicalRequest), "\n")
	if lines[0] != "PUT" || lines[1] != "/a/b//./c~%2Bd" || !strings.HasPrefix(lines[2], "X-Goog-Algorithm=") || !strings.HasSuffix(lines[2], "&a=A%20&b=2&flag=") || !slices.Contains(lines, "host:h.example") {
		t.Errorf("canonical request %q", lines)
	}

	// Presigning what is presigned replaces the signature.
	again := req.Clone(ctx)
	again.URL = mustURL(t, p.URL)
	p2, err := s.PresignRequest(ctx, again, signer.Options{Expires: time.Minute})
	if err != nil || p2.URL != p.URL {
		t.Errorf("presigned again:\n%s\n%s\n%v", p.URL, p2.URL, err)
	}

	// From bucket and key, or from a finished URL: one signature. The path of a host alone is a slash.
	fromKey := presign(t, s, signer.Request{Key: "a b", Expires: time.Minute})
	req, _ = http.NewRequest("GET", "https://storage.googleapis.com/photos/a%20b", nil)
	if fromURL, err := s.PresignRequest(ctx, req, signer.Options{Expires: time.Minute}); err != nil || fromURL.URL != fromKey.URL {
		t.Errorf("%v\n%s\n%s", err, fromKey.URL, fromURL.URL)
	}
	req, _ = http.NewRequest("GET", "https://photos.storage.googleapis.com", nil)
	if p, err := s.PresignRequest(ctx, req, signer.Options{Expires: time.Minute}); err != nil || !strings.HasPrefix(p.URL, "https://photos.storage.googleapis.com/?X-Goog-") {
		t.Errorf("%v, %v", p, err)
	}
}

// A Host that is not the URL's is signed, without its port, and handed to the holder.
func TestPresignRequestHost(t *testing.T) {
	req, _ := http.NewRequest("GET", "http://10.0.0.1:9000/photos/k", nil)
	req.Host = "files.example:8080"
	var trace signer.Trace
	p, err := newSigner(t).PresignRequest(signer.WithTrace(ctx, &trace), req, signer.Options{Expires: time.Minute})
	if err != nil || p.Header.Get("Host") != "files.example:8080" || !strings.Contains(string(trace.CanonicalRequest), "\nhost:files.example\n") {
		t.Errorf("%+v, %v", p, err)
	}
	sent, err := p.NewRequest(ctx, nil)
	if err != nil || sent.Host != "files.example:8080" {
		t.Errorf("Host %q, %v", sent.Host, err)
	}
}

func TestRequestErrors(t *testing.T) {
	request := func(raw string, header ...string) func() *http.Request {
		return func() *http.Request {
			r := &http.Request{URL: mustURL(t, raw), Header: make(http.Header)}
			if len(header) == 2 {
				r.Header[header[0]] = []string{header[1]}
			}
			return r
		}
	}
	for _, tt := range []struct {
		name          string
		req           func() *http.Request
		presign, sign error
		field         string
	}{
		{"relative", request("/a"), signer.ErrRequest, signer.ErrRequest, "URL"},
		{"a host where a URL is meant", request("storage.googleapis.com/photos/k"), signer.ErrRequest, signer.ErrRequest, "URL"},
		{"no host", request("https:///a"), signer.ErrRequest, signer.ErrRequest, "URL"},
		{"fragment", request("https://h/a#f"), signer.ErrRequest, signer.ErrRequest, "URL"},
		{"nil", func() *http.Request { return nil }, signer.ErrRequest, signer.ErrRequest, "URL"},
		{"a broken escape", request("https://h/a?b=%zz"), signer.ErrRequest, signer.ErrRequest, "URL"},
		{"signed by AWS", request("https://h/a?X-Amz-Signature=1"), signer.ErrConflict, signer.ErrConflict, "URL"},
		{"signed by OSS", request("https://h/a?x-oss-signature=1"), signer.ErrConflict, signer.ErrConflict, "URL"},
		{"signed by Azure", request("https://h/a?sig=1"), signer.ErrConflict, signer.ErrConflict, "URL"},
		{"signed by version 2 or Cloud CDN", request("https://h/a?GoogleAccessId=a&Expires=1&Signature=1"), signer.ErrConflict, signer.ErrConflict, "URL"},
		{"presigned", request("https://h/a?X-Goog-Signature=1"), nil, signer.ErrConflict, "URL"},
		{"presigned in lower case", request("https://h/a?x%2Dgoog-expires=1"), nil, signer.ErrConflict, "URL"},
		{"Authorization of ours", request("https://h/a", "Authorization", "GOOG4-RSA-SHA256 x"), signer.ErrConflict, nil, "Authorization"},
		{"Authorization of another", request("https://h/a", "authorization", "Bearer x"), signer.ErrConflict, signer.ErrConflict, "Authorization"},
		{"X-Goog-Date", request("https://h/a", "X-Goog-Date", "x"), signer.ErrConflict, nil, "X-Goog-Date"},
		{"x-goog-date", request("https://h/a", "x-goog-date", "x"), signer.ErrConflict, nil, "X-Goog-Date"},
		{"a payload hash that is none", request("https://h/a", "x-goog-content-sha256", "zz"), signer.ErrRequest, signer.ErrRequest, "X-Goog-Content-Sha256"},
		{"header with a line feed", request("https://h/a", "X-A", "x\n"), signer.ErrRequest, signer.ErrRequest, "Header"},
		{"a header in two spellings", func() *http.Request {
			r := request("https://h/a", "X-A", "x")()
			r.Header["x-a"] = []string{"y"}
			return r
		}, signer.ErrRequest, signer.ErrRequest, "Header"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSigner(t)
			req := tt.req()
			before := fmt.Sprintf("%+v", req)
			p, err := s.PresignRequest(ctx, req, signer.Options{Expires: time.Minute})
			if tt.presign != nil {
				wantError(t, err, tt.presign, tt.field)
			} else if err != nil || p == nil {
				t.Errorf("presign: %v", err)
			}
			if fmt.Sprintf("%+v", req) != before {
				t.Error("the request was changed")
			}
			err = s.Sign(ctx, req)
			if tt.sign != nil {
				wantError(t, err, tt.sign, tt.field)
				if fmt.Sprintf("%+v", req) != before {
					t.Error("the request was changed beside the error")
				}
			} else if err != nil {
				t.Errorf("sign: %v", err)
			}
		})
	}
	if _, err := newSigner(t).PresignRequest(ctx, request("https://h/a")(), signer.Options{}); !errors.Is(err, signer.ErrLifetime) {
		t.Errorf("no expiry: %v", err)
	}
	late := newSigner(t, func(c *gcs.Config) { c.Clock = clock.Fixed(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)) })
	wantError(t, late.Sign(ctx, request("https://h/a")()), signer.ErrLifetime, "Clock")
}

func TestSign(t *testing.T) {
	req, _ := http.NewRequest("PUT", "https://h:443/k?x", strings.NewReader("12345"))
	req.Header = http.Header{"X-Goog-Meta-A": {"1"}, "user-agent": {"u"}, "Range": {"r"}}
	original := req.Header
	s := newSigner(t, func(c *gcs.Config) { c.Backdate = time.Hour }) // which Sign does not do
	if err := s.Sign(ctx, req); err != nil {
		t.Fatal(err)
	}
	if len(original) != 3 {
		t.Error("a header map that others may hold was written to")
	}
	want := "GOOG4-HMAC-SHA256 Credential=" + hmacID + "/20261124/auto/storage/goog4_request,SignedHeaders=content-length;host;range;x-goog-content-sha256;x-goog-date;x-goog-meta-a,Signature="
	if got := req.Header.Get("Authorization"); !strings.HasPrefix(got, want) || len(got) != len(want)+64 {
		t.Errorf("Authorization %s", got)
	}
	if req.Header.Get("X-Goog-Date") != "20261124T235949Z" || req.Header.Get("X-Goog-Content-Sha256") != "UNSIGNED-PAYLOAD" {
		t.Errorf("header %v", req.Header)
	}

	// Signed again, by another key, nothing of the first signature is left; in whatever spelling it was there.
	req.Header["x-goog-date"] = req.Header["X-Goog-Date"]
	delete(req.Header, "X-Goog-Date")
	if err := newSigner(t, func(c *gcs.Config) { c.Key = rsaKey(t) }).Sign(ctx, req); err != nil {
		t.Fatal(err)
	}
	if auth := req.Header["Authorization"]; len(auth) != 1 || !strings.HasPrefix(auth[0], "GOOG4-RSA-SHA256 Credential="+account+"/") || len(req.Header) != 6 {
		t.Errorf("header %v", req.Header)
	}
	req, _ = http.NewRequest("GET", "https://h/k", nil)
	req.Header = nil
	if err := s.Sign(ctx, req); err != nil || len(req.Header) != 3 {
		t.Errorf("header %v, %v", req.Header, err)
	}
}
