package s3_test

import (
	"bytes"
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
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

var ctx = context.Background()

// now is ten seconds and a half before midnight.
var now = time.Date(2026, 11, 24, 23, 59, 49, 500e6, time.UTC)

func creds() s3.Credentials {
	return s3.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretKey: signer.NewSecret([]byte("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))}
}

// config is a Config that works, after edits.
func config(edits ...func(*s3.Config)) s3.Config {
	c := s3.Config{Region: "eu-west-1", Bucket: "photos", Credentials: creds(), Clock: clock.Fixed(now)}
	for _, edit := range edits {
		edit(&c)
	}
	return c
}

func newSigner(t testing.TB, edits ...func(*s3.Config)) *s3.Signer {
	t.Helper()
	s, err := s3.New(config(edits...))
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

func wantError(t *testing.T, err, class error, field string) {
	t.Helper()
	var e *signer.Error
	if !errors.Is(err, class) || !errors.As(err, &e) || e.Field != field || e.Backend != "s3" || e.Op == "" {
		t.Errorf("got %v, want %q about %q", err, class, field)
	}
	if err != nil && strings.Contains(err.Error(), "wJalr") {
		t.Errorf("the secret is in %v", err)
	}
}

func TestNewErrors(t *testing.T) {
	for _, tt := range []struct {
		name  string
		edit  func(*s3.Config)
		class error
		field string
	}{
		{"no region", func(c *s3.Config) { c.Region = "" }, signer.ErrRequest, "Region"},
		{"region that is a host", func(c *s3.Config) { c.Region = "evil.example/" }, signer.ErrRequest, "Region"},
		{"region in capitals", func(c *s3.Config) { c.Region = "EU-WEST-1" }, signer.ErrRequest, "Region"},
		{"region with a slash at an own endpoint", func(c *s3.Config) { c.Region, c.Endpoint = "a/b", mustURL(t, "http://h") }, signer.ErrRequest, "Region"},
		{"service with a slash", func(c *s3.Config) { c.Service = "s3/x" }, signer.ErrRequest, "Service"},
		{"R2 without its endpoint", func(c *s3.Config) { c.Region = "auto" }, signer.ErrRequest, "Region"},
		{"address as a virtual host", func(c *s3.Config) {
			c.Endpoint, c.Addressing = mustURL(t, "http://[::1]:9000"), signer.AddressingVirtualHost
		}, signer.ErrRequest, "Addressing"},
		{"secret with the end of a line", func(c *s3.Config) {
			k := creds()
			k.SecretKey = signer.NewSecret([]byte("secret\n"))
			c.Credentials = k
		}, signer.ErrCredentials, "Credentials"},
		{"temporary key without token", func(c *s3.Config) { k := creds(); k.AccessKeyID = "ASIAIOSFODNN7EXAMPLE"; c.Credentials = k }, signer.ErrCredentials, "Credentials"},
		{"no credentials", func(c *s3.Config) { c.Credentials = nil }, signer.ErrCredentials, "Credentials"},
		{"no key id", func(c *s3.Config) { c.Credentials = s3.Credentials{SecretKey: creds().SecretKey} }, signer.ErrCredentials, "Credentials"},
		{"no secret", func(c *s3.Config) { c.Credentials = s3.Credentials{AccessKeyID: "AKIA"} }, signer.ErrCredentials, "Credentials"},
		{"key id with a line feed", func(c *s3.Config) { k := creds(); k.AccessKeyID += "\n"; c.Credentials = k }, signer.ErrCredentials, "Credentials"},
		{"key id with a slash", func(c *s3.Config) { k := creds(); k.AccessKeyID = "a/b"; c.Credentials = k }, signer.ErrCredentials, "Credentials"},
		{"token with a line feed", func(c *s3.Config) {
			k := creds()
			k.SessionToken = signer.NewSecret([]byte("t\n"))
			c.Credentials = k
		}, signer.ErrCredentials, "Credentials"},
		{"relative endpoint", func(c *s3.Config) { c.Endpoint = mustURL(t, "localhost:9000") }, signer.ErrRequest, "Endpoint"},
		{"endpoint with a query", func(c *s3.Config) { c.Endpoint = mustURL(t, "http://localhost:9000/?a=b") }, signer.ErrRequest, "Endpoint"},
		{"endpoint with a user", func(c *s3.Config) { c.Endpoint = mustURL(t, "http://u:p@localhost") }, signer.ErrRequest, "Endpoint"},
		{"endpoint with FIPS", func(c *s3.Config) { c.Endpoint, c.FIPS = mustURL(t, "http://localhost"), true }, signer.ErrRequest, "Endpoint"},
		{"bucket host without endpoint", func(c *s3.Config) { c.Addressing = signer.AddressingBucketHost }, signer.ErrRequest, "Addressing"},
		{"unknown addressing", func(c *s3.Config) { c.Addressing = 9 }, signer.ErrRequest, "Addressing"},
		{"accelerate with path", func(c *s3.Config) { c.Accelerate, c.Addressing = true, signer.AddressingPath }, signer.ErrRequest, "Accelerate"},
		{"accelerate with FIPS", func(c *s3.Config) { c.Accelerate, c.FIPS = true, true }, signer.ErrRequest, "Accelerate"},
		{"accelerate a dotted bucket", func(c *s3.Config) { c.Accelerate, c.Bucket = true, "my.photos" }, signer.ErrRequest, "Bucket"},
		{"bucket that becomes a host", func(c *s3.Config) { c.Bucket = "evil.example/" }, signer.ErrRequest, "Bucket"},
		{"bucket that cannot be a host", func(c *s3.Config) { c.Bucket, c.Addressing = "My_Photos", signer.AddressingVirtualHost }, signer.ErrRequest, "Bucket"},
		{"bucket like an address", func(c *s3.Config) { c.Bucket, c.Addressing = "192.168.0.1", signer.AddressingVirtualHost }, signer.ErrRequest, "Bucket"},
		{"unicode bucket", func(c *s3.Config) { c.Bucket = "фото" }, signer.ErrRequest, "Bucket"},
		{"directory bucket", func(c *s3.Config) { c.Bucket = "photos--usw2-az1--x-s3" }, signer.ErrUnsupported, "Bucket"},
		{"short ARN", func(c *s3.Config) { c.Bucket = "arn:aws:s3:eu-west-1" }, signer.ErrRequest, "Bucket"},
		{"ARN of another service", func(c *s3.Config) { c.Bucket = "arn:aws:sqs:eu-west-1:123456789012:accesspoint/ap" }, signer.ErrRequest, "Bucket"},
		{"ARN of a bucket", func(c *s3.Config) { c.Bucket = "arn:aws:s3:::photos" }, signer.ErrRequest, "Bucket"},
		{"ARN of another region", func(c *s3.Config) { c.Bucket = "arn:aws:s3:us-east-1:123456789012:accesspoint/ap" }, signer.ErrRequest, "Bucket"},
		{"ARN with a host in it", func(c *s3.Config) { c.Bucket = "arn:aws:s3:eu-west-1:123456789012:accesspoint/evil.example/" }, signer.ErrRequest, "Bucket"},
		{"ARN at an own endpoint", func(c *s3.Config) {
			c.Bucket, c.Endpoint = "arn:aws:s3:eu-west-1:123456789012:accesspoint/ap", mustURL(t, "http://h")
		}, signer.ErrRequest, "Bucket"},
		{"ARN for several regions that is none", func(c *s3.Config) { c.Bucket = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw" }, signer.ErrRequest, "Bucket"},
		{"ARN for several regions with FIPS", func(c *s3.Config) { c.Bucket, c.FIPS = mrapARN, true }, signer.ErrUnsupported, "Bucket"},
		{"ARN of an outpost with dual stack", func(c *s3.Config) { c.Bucket, c.DualStack = outpostARN, true }, signer.ErrUnsupported, "Bucket"},
		{"ARN of an outpost in another region", func(c *s3.Config) { c.Bucket, c.Region = outpostARN, "us-east-1" }, signer.ErrRequest, "Bucket"},
		{"ARN of an outpost without access point", func(c *s3.Config) { c.Bucket = "arn:aws:s3-outposts:eu-west-1:123456789012:outpost/op-1" }, signer.ErrRequest, "Bucket"},
		{"empty region set", func(c *s3.Config) { c.RegionSet = []string{} }, signer.ErrRequest, "RegionSet"},
		{"all regions and one", func(c *s3.Config) { c.RegionSet = []string{"*", "eu-west-1"} }, signer.ErrRequest, "RegionSet"},
		{"one region twice", func(c *s3.Config) { c.RegionSet = []string{"eu-west-1", "eu-west-1"} }, signer.ErrRequest, "RegionSet"},
		{"region set with a comma", func(c *s3.Config) { c.RegionSet = []string{"eu-west-1,*"} }, signer.ErrRequest, "RegionSet"},
		{"region set for a bucket of one region", func(c *s3.Config) { c.RegionSet = []string{"*"} }, signer.ErrRequest, "RegionSet"},
		{"region set for an access point of one region", func(c *s3.Config) {
			c.RegionSet, c.Bucket = []string{"*"}, "arn:aws:s3:eu-west-1:123456789012:accesspoint/ap"
		}, signer.ErrRequest, "Bucket"},
		{"FIPS with no region", func(c *s3.Config) { c.RegionSet, c.Region, c.FIPS = []string{"*"}, "", true }, signer.ErrRequest, "RegionSet"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := s3.New(config(tt.edit))
			wantError(t, err, tt.class, tt.field)
			if s != nil {
				t.Error("a Signer beside the error")
			}
		})
	}
}

const (
	mrapARN    = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap"
	outpostARN = "arn:aws:s3-outposts:eu-west-1:123456789012:outpost/op-01ac5d28a6a232904/accesspoint/ap"
)

func TestNewReportsAllThatIsWrong(t *testing.T) {
	_, err := s3.New(s3.Config{})
	for _, field := range []string{"Region", "Credentials"} {
		if err == nil || !strings.Contains(err.Error(), "s3: new: "+field+": ") {
			t.Errorf("nothing about %s in\n%v", field, err)
		}
	}
}

// The hosts that aws-sdk-go-v2 service/s3 v1.114.8 uses; see also internal/difftest.
func TestAddressing(t *testing.T) {
	type edit = func(*s3.Config)
	set := func(region, bucket string) edit {
		return func(c *s3.Config) { c.Region, c.Bucket = region, bucket }
	}
	dual, fips, accelerate := func(c *s3.Config) { c.DualStack = true }, func(c *s3.Config) { c.FIPS = true }, func(c *s3.Config) { c.Accelerate = true }
	how := func(a signer.Addressing) edit { return func(c *s3.Config) { c.Addressing = a } }
	at := func(raw string) edit { return func(c *s3.Config) { c.Endpoint = mustURL(t, raw) } }
	const arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/my-ap"
	for _, tt := range []struct {
		edits []edit
		url   string
		scope string
	}{
		{[]edit{set("eu-west-1", "photos")}, "https://photos.s3.eu-west-1.amazonaws.com/k", "eu-west-1/s3"},
		{[]edit{set("eu-west-1", "photos"), how(signer.AddressingPath)}, "https://s3.eu-west-1.amazonaws.com/photos/k", "eu-west-1/s3"},
		{[]edit{set("eu-west-1", "photos"), dual}, "https://photos.s3.dualstack.eu-west-1.amazonaws.com/k", "eu-west-1/s3"},
		{[]edit{set("eu-west-1", "photos"), dual, how(signer.AddressingPath)}, "https://s3.dualstack.eu-west-1.amazonaws.com/photos/k", "eu-west-1/s3"},
		{[]edit{set("us-east-1", "photos"), fips}, "https://photos.s3-fips.us-east-1.amazonaws.com/k", "us-east-1/s3"},
		{[]edit{set("us-east-1", "photos"), fips, dual}, "https://photos.s3-fips.dualstack.us-east-1.amazonaws.com/k", "us-east-1/s3"},
		{[]edit{set("eu-west-1", "photos"), accelerate}, "https://photos.s3-accelerate.amazonaws.com/k", "eu-west-1/s3"},
		{[]edit{set("eu-west-1", "photos"), accelerate, dual}, "https://photos.s3-accelerate.dualstack.amazonaws.com/k", "eu-west-1/s3"},
		{[]edit{set("eu-west-1", "my.photos")}, "https://s3.eu-west-1.amazonaws.com/my.photos/k", "eu-west-1/s3"},
		{[]edit{set("eu-west-1", "my.photos"), how(signer.AddressingVirtualHost)}, "https://my.photos.s3.eu-west-1.amazonaws.com/k", "eu-west-1/s3"},
		{[]edit{set("us-east-1", "My_Photos")}, "https://s3.us-east-1.amazonaws.com/My_Photos/k", "us-east-1/s3"},
		{[]edit{set("us-east-1", "ab")}, "https://s3.us-east-1.amazonaws.com/ab/k", "us-east-1/s3"},
		{[]edit{set("us-east-1", "192.168.0.1")}, "https://s3.us-east-1.amazonaws.com/192.168.0.1/k", "us-east-1/s3"},
		{[]edit{set("us-east-1", "-photos")}, "https://s3.us-east-1.amazonaws.com/-photos/k", "us-east-1/s3"},
		{[]edit{set("aws-global", "photos")}, "https://photos.s3.amazonaws.com/k", "us-east-1/s3"},
		{[]edit{set("aws-global", "photos"), fips}, "https://photos.s3-fips.us-east-1.amazonaws.com/k", "us-east-1/s3"},
		{[]edit{set("cn-north-1", "photos")}, "https://photos.s3.cn-north-1.amazonaws.com.cn/k", "cn-north-1/s3"},
		{[]edit{set("us-gov-west-1", "photos")}, "https://photos.s3.us-gov-west-1.amazonaws.com/k", "us-gov-west-1/s3"},
		{[]edit{set("eusc-de-east-1", "photos")}, "https://photos.s3.eusc-de-east-1.amazonaws.eu/k", "eusc-de-east-1/s3"},
		{[]edit{set("us-iso-east-1", "photos")}, "https://photos.s3.us-iso-east-1.c2s.ic.gov/k", "us-iso-east-1/s3"},
		{[]edit{set("us-isob-east-1", "photos")}, "https://photos.s3.us-isob-east-1.sc2s.sgov.gov/k", "us-isob-east-1/s3"},
		{[]edit{set("eu-west-1", "my-ap-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias")}, "https://my-ap-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias.s3.eu-west-1.amazonaws.com/k", "eu-west-1/s3"},
		{[]edit{set("eu-west-1", arn)}, "https://my-ap-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/k", "eu-west-1/s3"},
		{[]edit{set("eu-west-1", strings.Replace(arn, "/my-ap", ":my-ap", 1))}, "https://my-ap-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/k", "eu-west-1/s3"},
		{[]edit{set("eu-west-1", arn), dual}, "https://my-ap-123456789012.s3-accesspoint.dualstack.eu-west-1.amazonaws.com/k", "eu-west-1/s3"},
		{[]edit{set("eu-west-1", arn), fips, dual}, "https://my-ap-123456789012.s3-accesspoint-fips.dualstack.eu-west-1.amazonaws.com/k", "eu-west-1/s3"},
		{[]edit{set("cn-north-1", "arn:aws-cn:s3:cn-north-1:123456789012:accesspoint/my-ap")}, "https://my-ap-123456789012.s3-accesspoint.cn-north-1.amazonaws.com.cn/k", "cn-north-1/s3"},
		{[]edit{set("eu-west-1", "arn:aws:s3-object-lambda:eu-west-1:123456789012:accesspoint/my-olap")}, "https://my-olap-123456789012.s3-object-lambda.eu-west-1.amazonaws.com/k", "eu-west-1/s3-object-lambda"},
		{[]edit{set("us-east-1", "photos"), at("http://127.0.0.1:9000")}, "http://127.0.0.1:9000/photos/k", "us-east-1/s3"},
		{[]edit{set("us-east-1", "photos"), at("http://[::1]:9000")}, "http://[::1]:9000/photos/k", "us-east-1/s3"},
		{[]edit{set("us-east-1", "photos"), at("https://H.Example:443/")}, "https://h.example/photos/k", "us-east-1/s3"},
		{[]edit{set("us-east-1", "photos"), at("http://h.example:443")}, "http://h.example:443/photos/k", "us-east-1/s3"},
		{[]edit{set("us-east-1", "photos"), at("https://gw.example/s3/x y/")}, "https://gw.example/s3/x%20y/photos/k", "us-east-1/s3"},
		{[]edit{set("us-east-1", "photos"), at("http://localhost:9000"), how(signer.AddressingVirtualHost)}, "http://photos.localhost:9000/k", "us-east-1/s3"},
		{[]edit{set("us-east-1", ""), at("https://cdn.example"), how(signer.AddressingBucketHost)}, "https://cdn.example/k", "us-east-1/s3"},
		{[]edit{set("us-east-1", "photos"), at("https://cdn.example"), how(signer.AddressingBucketHost)}, "https://cdn.example/k", "us-east-1/s3"},
		{[]edit{set("auto", "photos"), at("https://0123456789abcdef.r2.cloudflarestorage.com")}, "https://0123456789abcdef.r2.cloudflarestorage.com/photos/k", "auto/s3"},
		{[]edit{set("some_region", "photos"), at("https://ceph.example")}, "https://ceph.example/photos/k", "some_region/s3"},
	} {
		s := newSigner(t, tt.edits...)
		p, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		base, _, _ := strings.Cut(p.URL, "?")
		credential := mustURL(t, p.URL).Query().Get("X-Amz-Credential")
		if base != tt.url || credential != "AKIAIOSFODNN7EXAMPLE/20261124/"+tt.scope+"/aws4_request" {
			t.Errorf("got %s in %s, want %s in %s", base, credential, tt.url, tt.scope)
		}
	}
}

// The bucket itself has no slash behind it in a path, and a path of one slash in a host of its own.
func TestBucketURL(t *testing.T) {
	for addressing, want := range map[signer.Addressing]string{
		signer.AddressingVirtualHost: "https://photos.s3.eu-west-1.amazonaws.com/?X-Amz-Algorithm=AWS4",
		signer.AddressingPath:        "https://s3.eu-west-1.amazonaws.com/photos?X-Amz-Algorithm=AWS4",
	} {
		p, err := newSigner(t, func(c *s3.Config) { c.Addressing = addressing }).
			Presign(ctx, signer.Request{Query: url.Values{"list-type": {"2"}}, Expires: time.Minute})
		if err != nil || !strings.HasPrefix(p.URL, want) {
			t.Errorf("%v: %v, %v", addressing, p, err)
		}
	}
}

func TestPresignErrors(t *testing.T) {
	good := signer.Request{Key: "k", Expires: time.Minute}
	dying := func(after time.Duration) func(*s3.Config) {
		return func(c *s3.Config) {
			k := creds()
			k.Expires = now.Add(after)
			c.Credentials = k
		}
	}
	failing := func(c *s3.Config) {
		c.Credentials = sourceFunc(func() (s3.Credentials, error) { return s3.Credentials{}, errSource })
	}
	empty := func(c *s3.Config) {
		c.Credentials = sourceFunc(func() (s3.Credentials, error) { return s3.Credentials{}, nil })
	}
	for _, tt := range []struct {
		name  string
		conf  func(*s3.Config)
		edit  func(*signer.Request)
		class error
		field string
	}{
		{"zero expiry", nil, func(r *signer.Request) { r.Expires = 0 }, signer.ErrLifetime, "Expires"},
		{"negative expiry", nil, func(r *signer.Request) { r.Expires = -time.Second }, signer.ErrLifetime, "Expires"},
		{"8 days", nil, func(r *signer.Request) { r.Expires = 8 * 24 * time.Hour }, signer.ErrLifetime, "Expires"},
		{"window", nil, func(r *signer.Request) { r.Window = 31 * time.Second }, signer.ErrLifetime, "Window"},
		{"spread", nil, func(r *signer.Request) { r.Spread = true }, signer.ErrRequest, "Spread"},
		{"NUL in the key", nil, func(r *signer.Request) { r.Key = "a\x00" }, signer.ErrRequest, "Key"},
		{"invalid UTF-8", nil, func(r *signer.Request) { r.Key = "\xff" }, signer.ErrRequest, "Key"},
		{"dot segment", nil, func(r *signer.Request) { r.Key = "a/../b" }, signer.ErrRequest, "Key"},
		{"no bucket", func(c *s3.Config) { c.Bucket = "" }, nil, signer.ErrRequest, "Bucket"},
		{"bucket that becomes a host", nil, func(r *signer.Request) { r.Bucket = "evil.example/" }, signer.ErrRequest, "Bucket"},
		{"bucket with a user", nil, func(r *signer.Request) { r.Bucket = "evil.example@" }, signer.ErrRequest, "Bucket"},
		{"X-Amz-Date in the query", nil, func(r *signer.Request) { r.Query = url.Values{"X-Amz-Date": {"1"}} }, signer.ErrRequest, "Query"},
		{"x-amz-signature in the query", nil, func(r *signer.Request) { r.Query = url.Values{"x-amz-signature": {"1"}} }, signer.ErrRequest, "Query"},
		{"X-Amz-Foo in the query", nil, func(r *signer.Request) { r.Query = url.Values{"X-Amz-Foo": {"1"}} }, signer.ErrRequest, "Query"},
		{"an override twice", nil, func(r *signer.Request) {
			r.Query, r.Response.ContentType = url.Values{"response-content-type": {"a"}}, "b"
		}, signer.ErrRequest, "Query"},
		{"bucket beside a bucket's host", func(c *s3.Config) {
			c.Endpoint, c.Addressing = mustURL(t, "https://cdn.example"), signer.AddressingBucketHost
		}, func(r *signer.Request) { r.Bucket = "videos" }, signer.ErrRequest, "Bucket"},
		{"a payload hash that is none", nil, func(r *signer.Request) { r.Header = http.Header{"X-Amz-Content-Sha256": {"zz"}} }, signer.ErrRequest, "X-Amz-Content-Sha256"},
		{"a header in two spellings", nil, func(r *signer.Request) {
			r.Header = http.Header{"Content-Type": {"a"}, "content-type": {"b"}}
		}, signer.ErrRequest, "Header"},
		{"source address", nil, func(r *signer.Request) { r.SourceIP = netip.MustParsePrefix("192.0.2.0/24") }, signer.ErrUnsupported, "SourceIP"},
		{"dead credentials", dying(-time.Second), nil, signer.ErrCredentials, "Credentials"},
		{"dead credentials, shorter allowed", dying(-time.Second), func(r *signer.Request) { r.AllowShorter = true }, signer.ErrCredentials, "Credentials"},
		{"dying credentials", dying(30 * time.Second), nil, signer.ErrCredentials, "Credentials"},
		{"source fails", failing, nil, signer.ErrCredentials, "Credentials"},
		{"source has none", empty, nil, signer.ErrCredentials, "Credentials"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.conf == nil {
				tt.conf = func(*s3.Config) {}
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
			if r.AllowShorter {
				return
			}
			dst := []byte("before")
			got, dies, appendErr := s.AppendURL(ctx, dst, r)
			if string(got) != "before" || !dies.IsZero() || appendErr == nil || appendErr.Error() != err.Error() {
				t.Errorf("AppendURL: %q, %v, %v", got, dies, appendErr)
			}
		})
	}
}

var errSource = errors.New("the metadata service is away")

// sourceFunc is a CredentialSource.
type sourceFunc func() (s3.Credentials, error)

func (f sourceFunc) Credentials(context.Context, time.Time) (s3.Credentials, error) { return f() }

func TestSourceErrorIsWrapped(t *testing.T) {
	s := newSigner(t, func(c *s3.Config) {
		c.Credentials = sourceFunc(func() (s3.Credentials, error) { return creds(), errSource })
	})
	if _, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Minute}); !errors.Is(err, errSource) {
		t.Errorf("%v", err)
	}
}

func TestAppendURLHasNoWayToTellWhatItGaveUp(t *testing.T) {
	for _, r := range []signer.Request{{Key: "k", Expires: time.Minute, AllowShorter: true}, {Key: "k", Expires: time.Minute, BestEffort: true}} {
		_, _, err := newSigner(t).AppendURL(ctx, nil, r)
		if !errors.Is(err, signer.ErrRequest) {
			t.Errorf("%v", err)
		}
	}
}

// A source is asked once for each URL, with the end that the URL shall have.
func TestSourceIsAskedForTheEnd(t *testing.T) {
	var asked []time.Time
	source := &recordingSource{creds(), &asked}
	s := newSigner(t, func(c *s3.Config) { c.Credentials = source })
	if _, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Hour, Window: 15 * time.Minute}); err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 11, 25, 1, 0, 0, 0, time.UTC); len(asked) != 1 || !asked[0].Equal(want) {
		t.Errorf("asked for %v, want %v", asked, want)
	}
}

type recordingSource struct {
	creds s3.Credentials
	asked *[]time.Time
}

func (s *recordingSource) Credentials(_ context.Context, until time.Time) (s3.Credentials, error) {
	*s.asked = append(*s.asked, until)
	return s.creds, nil
}

func TestPresignedTimes(t *testing.T) {
	t0 := now.Truncate(time.Second)
	for _, tt := range []struct {
		name                   string
		edit                   func(*s3.Config)
		r                      signer.Request
		start, end, stable     time.Time
		limit                  signer.Limit
		date, expires, inScope string
	}{
		{"default backdate", nil, signer.Request{Expires: 15 * time.Minute},
			t0.Add(-30 * time.Second), t0.Add(15 * time.Minute), time.Time{}, signer.LimitRequest, "20261124T235919Z", "930", "20261124"},
		{"backdate over midnight", func(c *s3.Config) { c.Clock = clock.Fixed(now.Add(20 * time.Second)) }, signer.Request{Expires: time.Minute},
			t0.Add(-10 * time.Second), t0.Add(80 * time.Second), time.Time{}, signer.LimitRequest, "20261124T235939Z", "90", "20261124"},
		{"no backdate", func(c *s3.Config) { c.Backdate = -1 }, signer.Request{Expires: 900 * time.Millisecond},
			t0, t0.Add(time.Second), time.Time{}, signer.LimitRequest, "20261124T235949Z", "1", "20261124"},
		{"seven days", nil, signer.Request{Expires: 7 * 24 * time.Hour},
			t0, t0.Add(7 * 24 * time.Hour), time.Time{}, signer.LimitRequest, "20261124T235949Z", "604800", "20261124"},
		{"eight days, shorter allowed", nil, signer.Request{Expires: 8 * 24 * time.Hour, AllowShorter: true},
			t0, t0.Add(7 * 24 * time.Hour), time.Time{}, signer.LimitScheme, "20261124T235949Z", "604800", "20261124"},
		{"window", nil, signer.Request{Expires: time.Hour, Window: 15 * time.Minute},
			t0.Add(-14*time.Minute - 49*time.Second - 30*time.Second), t0.Add(time.Hour + 11*time.Second), t0.Add(11 * time.Second),
			signer.LimitRequest, "20261124T234430Z", "4530", "20261124"},
		{"credentials, shorter allowed", func(c *s3.Config) { k := creds(); k.Expires = t0.Add(40 * time.Second); c.Credentials = k },
			signer.Request{Expires: time.Hour, AllowShorter: true},
			t0.Add(-30 * time.Second), t0.Add(40 * time.Second), time.Time{}, signer.LimitCredentials, "20261124T235919Z", "70", "20261124"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.edit == nil {
				tt.edit = func(*s3.Config) {}
			}
			tt.r.Key = "k"
			p, err := newSigner(t, tt.edit).Presign(ctx, tt.r)
			if err != nil {
				t.Fatal(err)
			}
			if !p.NotBefore.Equal(tt.start) || !p.ExpiresAt.Equal(tt.end) || !p.StableUntil.Equal(tt.stable) || p.LimitedBy != tt.limit {
				t.Errorf("from %v to %v, stable until %v, limited by %v", p.NotBefore, p.ExpiresAt, p.StableUntil, p.LimitedBy)
			}
			q := mustURL(t, p.URL).Query()
			if q.Get("X-Amz-Date") != tt.date || q.Get("X-Amz-Expires") != tt.expires || !strings.Contains(q.Get("X-Amz-Credential"), "/"+tt.inScope+"/") {
				t.Errorf("date %s, expires %s, credential %s", q.Get("X-Amz-Date"), q.Get("X-Amz-Expires"), q.Get("X-Amz-Credential"))
			}
		})
	}
}

// The URL's parameters are the scheme's and the caller's and no others, and what must be sent is in Header.
func TestNothingAddedNothingDropped(t *testing.T) {
	token := creds()
	token.SessionToken = signer.NewSecret([]byte("to+ken/="))
	s := newSigner(t, func(c *s3.Config) { c.Credentials = token })
	r := signer.Request{
		Method: "GET", Key: "a b/ü+%2F.jpg", Expires: time.Minute,
		Query:  url.Values{"versionId": {"v 1"}, "dup": {"b", "a", ""}, "Aa": {"1"}, "x-amz-expected-bucket-owner": {"1"}},
		Header: http.Header{"x-amz-meta-A": {" two   words ", "next"}, "Range": {"bytes=0-9"}},
		Response: signer.ResponseHeaders{ContentType: "text/html; charset=utf-8", ContentDisposition: signer.Attachment("ü.jpg"), CacheControl: "no-store",
			ContentEncoding: "identity", ContentLanguage: "de", Expires: "Thu, 01 Jan 2027 00:00:00 GMT"},
	}
	before := fmt.Sprint(r)
	p, err := s.Presign(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(r) != before {
		t.Error("the Request was changed")
	}
	u := mustURL(t, p.URL)
	if u.Path != "/a b/ü+%2F.jpg" || u.EscapedPath() != "/a%20b/%C3%BC%2B%252F.jpg" {
		t.Errorf("path %s", u.EscapedPath())
	}
	q := u.Query()
	want := []string{"Aa", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-SignedHeaders",
		"dup", "response-cache-control", "response-content-disposition", "response-content-encoding", "response-content-language",
		"response-content-type", "response-expires", "versionId", "x-amz-expected-bucket-owner"}
	if got := slices.Sorted(maps.Keys(q)); !slices.Equal(got, want) {
		t.Errorf("parameters\n got %q\nwant %q", got, want)
	}
	if q.Get("X-Amz-Security-Token") != "to+ken/=" || q.Get("X-Amz-SignedHeaders") != "host;range;x-amz-meta-a" ||
		!slices.Equal(q["dup"], []string{"", "a", "b"}) || q.Get("response-content-type") != r.Response.ContentType {
		t.Errorf("query %v", q)
	}
	if strings.Contains(u.RawQuery, "+") {
		t.Errorf("a plus in %s", u.RawQuery)
	}
	if want := (http.Header{"X-Amz-Meta-A": {" two   words ", "next"}, "Range": {"bytes=0-9"}}); !reflect.DeepEqual(p.Header, want) {
		t.Errorf("header %v, want %v", p.Header, want)
	}
	p.Header["Range"][0] = "changed"
	if r.Header.Get("Range") != "bytes=0-9" {
		t.Error("the result shares memory with the Request")
	}
}

func TestHeaderIsNilWhenThereIsNothingToSend(t *testing.T) {
	p, err := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	if err != nil || p.Header != nil || p.NotEnforced != nil || !p.StableUntil.IsZero() || p.ClockOffset != 0 || p.Method != "GET" {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestBestEffort(t *testing.T) {
	p, err := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute, BestEffort: true, SourceIP: netip.MustParsePrefix("192.0.2.0/24")})
	if err != nil || !slices.Equal(p.NotEnforced, []string{"SourceIP"}) {
		t.Errorf("%+v, %v", p, err)
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
	s := newSigner(t, func(c *s3.Config) {
		c.Endpoint, c.Clock = mustURL(t, "http://MinIO.example:9000"), learned{clock.Fixed(now), t, "minio.example:9000"}
	})
	p, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	if err != nil || p.ClockOffset != time.Hour || !p.ExpiresAt.Equal(now.Truncate(time.Second).Add(time.Hour+time.Minute)) {
		t.Errorf("%+v, %v", p, err)
	}
}

// One reading of the clock for each operation.
func TestClockIsReadOnce(t *testing.T) {
	n := 0
	c := clock.Func(func() time.Time { n++; return now })
	s := newSigner(t, func(conf *s3.Config) { conf.Clock = c })
	req, _ := http.NewRequest("GET", "https://h/k", nil)
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
			t.Errorf("%s reads the clock %d times, %v", name, n, err)
		}
	}
}

// A secret that rotates under the same id signs with the new one.
func TestRotatedSecret(t *testing.T) {
	var current s3.Credentials
	s := newSigner(t, func(c *s3.Config) { c.Credentials = sourceFunc(func() (s3.Credentials, error) { return current, nil }) })
	r := signer.Request{Key: "k", Expires: time.Minute}
	seen := make(map[string]bool)
	for what, change := range map[string]func(*s3.Credentials){
		"nothing":       func(*s3.Credentials) {},
		"the secret":    func(c *s3.Credentials) { c.SecretKey = signer.NewSecret([]byte("another secret key")) },
		"the id":        func(c *s3.Credentials) { c.AccessKeyID = "another" },
		"the token":     func(c *s3.Credentials) { c.SessionToken = signer.NewSecret([]byte("a token")) },
		"another token": func(c *s3.Credentials) { c.SessionToken = signer.NewSecret([]byte("another token")) },
	} {
		current = creds()
		before, _ := s.Presign(ctx, r)
		change(&current)
		got, _ := s.Presign(ctx, r)
		appended, _, _ := s.AppendURL(ctx, nil, r)
		fresh, err := newSigner(t, func(c *s3.Config) { c.Credentials = current }).Presign(ctx, r)
		if err != nil || got.URL != fresh.URL || string(appended) != fresh.URL || seen[got.URL] || (got.URL == before.URL) != (what == "nothing") {
			t.Errorf("%s: before %v, after the rotation %v, from a new signer %v, %v", what, before.URL, got.URL, fresh.URL, err)
		}
		seen[got.URL] = true
	}
}

func TestPresignRequest(t *testing.T) {
	s := newSigner(t)
	req, _ := http.NewRequest("PUT", "http://h.example:9000/a%2fb//./c%7E+d?b=2&a=%41+&&flag&X-Amz-Signature=00&x-amz-security-token=t&X-Amz-Date=x", strings.NewReader("12345"))
	req.Header = http.Header{"Content-Type": {"text/plain"}, "Cookie": {"c"}, "User-Agent": {"u"}, "Accept-Encoding": {"gzip"}, "Traceparent": {"t"}, "Connection": {"close"}}
	before := fmt.Sprint(req.URL, req.Header, req.Host, req.ContentLength)
	p, err := s.PresignRequest(ctx, req, signer.Options{Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(req.URL, req.Header, req.Host, req.ContentLength) != before {
		t.Error("the request was changed")
	}
	if want := "http://h.example:9000/a%2fb//./c%7E+d?b=2&a=%41+&&flag&X-Amz-Algorithm=AWS4-HMAC-SHA256&"; !strings.HasPrefix(p.URL, want) {
		t.Errorf("the URL's bytes were not kept: %s", p.URL)
	}
	if got := mustURL(t, p.URL).Query(); got.Get("X-Amz-SignedHeaders") != "content-length;content-type;cookie;host" || len(got["X-Amz-Signature"]) != 1 || got.Has("x-amz-security-token") {
		t.Errorf("query %v", got)
	}
	if want := (http.Header{"Content-Type": {"text/plain"}, "Cookie": {"c"}, "Content-Length": {"5"}}); !reflect.DeepEqual(p.Header, want) {
		t.Errorf("header %v, want %v", p.Header, want)
	}

	// Presigning what is presigned replaces the signature.
	again := req.Clone(ctx)
	again.URL = mustURL(t, p.URL)
	p2, err := s.PresignRequest(ctx, again, signer.Options{Expires: time.Minute})
	if err != nil || p2.URL != p.URL {
		t.Errorf("presigned again:\n%s\n%s\n%v", p.URL, p2.URL, err)
	}
}

// A Host that is not the URL's is signed, and handed to the holder.
func TestPresignRequestHost(t *testing.T) {
	req, _ := http.NewRequest("GET", "http://10.0.0.1:9000/k", nil)
	req.Host = "files.example:80"
	p, err := newSigner(t).PresignRequest(ctx, req, signer.Options{Expires: time.Minute})
	if err != nil || p.Header.Get("Host") != "files.example" {
		t.Errorf("%+v, %v", p, err)
	}
	sent, err := p.NewRequest(ctx, nil)
	if err != nil || sent.Host != "files.example" {
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
		{"no host", request("https:///a"), signer.ErrRequest, signer.ErrRequest, "URL"},
		{"fragment", request("https://h/a#f"), signer.ErrRequest, signer.ErrRequest, "URL"},
		{"nil", func() *http.Request { return nil }, signer.ErrRequest, signer.ErrRequest, "URL"},
		{"signed by GCS", request("https://h/a?X-Goog-Signature=1"), signer.ErrConflict, signer.ErrConflict, "URL"},
		{"signed by OSS", request("https://h/a?x-oss-signature=1"), signer.ErrConflict, signer.ErrConflict, "URL"},
		{"signed by Azure", request("https://h/a?sig=1"), signer.ErrConflict, signer.ErrConflict, "URL"},
		{"signed by Cloud CDN", request("https://h/a?Signature=1"), signer.ErrConflict, signer.ErrConflict, "URL"},
		{"presigned", request("https://h/a?X-Amz-Signature=1"), nil, signer.ErrConflict, "URL"},
		{"Authorization of ours", request("https://h/a", "Authorization", "AWS4-HMAC-SHA256 x"), signer.ErrConflict, nil, "Authorization"},
		{"Authorization of another", request("https://h/a", "authorization", "Bearer x"), signer.ErrConflict, signer.ErrConflict, "Authorization"},
		{"X-Amz-Date", request("https://h/a", "X-Amz-Date", "x"), signer.ErrConflict, nil, "X-Amz-Date"},
		{"a payload hash that is none", request("https://h/a", "x-amz-content-sha256", "zz"), signer.ErrRequest, signer.ErrRequest, "X-Amz-Content-Sha256"},
		{"header with a line feed", request("https://h/a", "X-A", "x\n"), signer.ErrRequest, signer.ErrRequest, "Header"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSigner(t)
			req := tt.req()
			p, err := s.PresignRequest(ctx, req, signer.Options{Expires: time.Minute})
			if tt.presign != nil {
				wantError(t, err, tt.presign, tt.field)
			} else if err != nil || p == nil {
				t.Errorf("presign: %v", err)
			}
			before := fmt.Sprintf("%+v", req)
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
}

func TestSign(t *testing.T) {
	withToken := creds()
	withToken.SessionToken = signer.NewSecret([]byte("token"))
	req, _ := http.NewRequest("PUT", "https://h:443/k?x", strings.NewReader("12345"))
	req.Header = http.Header{"X-Amz-Meta-A": {"1"}, "user-agent": {"u"}, "Range": {"r"}}
	original := req.Header
	if err := newSigner(t, func(c *s3.Config) { c.Credentials = withToken }).Sign(ctx, req); err != nil {
		t.Fatal(err)
	}
	if len(original) != 3 {
		t.Error("a header map that others may hold was written to")
	}
	a, err := s3.ParseAuthorization(req.Header.Get("Authorization"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"content-length", "host", "range", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-a", "x-amz-security-token"}; !slices.Equal(a.SignedHeaders, want) {
		t.Errorf("signed headers %q", a.SignedHeaders)
	}
	if req.Header.Get("X-Amz-Date") != "20261124T235949Z" || req.Header.Get("X-Amz-Content-Sha256") != "UNSIGNED-PAYLOAD" ||
		req.Header.Get("X-Amz-Security-Token") != "token" || req.Host != "h" {
		t.Errorf("header %v, host %q", req.Header, req.Host)
	}

	// Signed again, by other credentials without a token, nothing of the first signature is left.
	if err := newSigner(t).Sign(ctx, req); err != nil {
		t.Fatal(err)
	}
	if req.Header["X-Amz-Security-Token"] != nil || len(req.Header["Authorization"]) != 1 {
		t.Errorf("header %v", req.Header)
	}
}

func TestSignDoesNotBackdate(t *testing.T) {
	req, _ := http.NewRequest("GET", "https://h/k", nil)
	if err := newSigner(t, func(c *s3.Config) { c.Backdate = time.Hour }).Sign(ctx, req); err != nil {
		t.Fatal(err)
	}
	if got := req.Header.Get("X-Amz-Date"); got != "20261124T235949Z" {
		t.Errorf("dated %s", got)
	}
}

func TestSignErrors(t *testing.T) {
	dead := creds()
	dead.Expires = now
	for name, source := range map[string]s3.CredentialSource{
		"dead":   dead,
		"failed": sourceFunc(func() (s3.Credentials, error) { return creds(), errSource }),
		"none":   sourceFunc(func() (s3.Credentials, error) { return s3.Credentials{}, nil }),
	} {
		req, _ := http.NewRequest("GET", "https://h/k", nil)
		req.Header = nil
		err := newSigner(t, func(c *s3.Config) { c.Credentials = source }).Sign(ctx, req)
		wantError(t, err, signer.ErrCredentials, "Credentials")
		if req.Header != nil {
			t.Errorf("%s: the request got the header %v", name, req.Header)
		}
	}
}

func TestHashBody(t *testing.T) {
	const hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // FIPS 180 examples elsewhere: SHA-256 of "hello"
	req, _ := http.NewRequest("PUT", "https://h/k", strings.NewReader("hello"))
	req.Header["x-amz-content-sha256"] = []string{"an older one"}
	if err := s3.HashBody(req); err != nil {
		t.Fatal(err)
	}
	if got := req.Header; len(got) != 1 || got.Get("X-Amz-Content-Sha256") != hello {
		t.Errorf("header %v", got)
	}
	var left bytes.Buffer
	if left.ReadFrom(req.Body); left.String() != "hello" {
		t.Errorf("%q is left of the body", left.String())
	}
	req, _ = http.NewRequest("GET", "https://h/k", nil)
	req.Header = nil
	if err := s3.HashBody(req); err != nil || req.Header.Get("X-Amz-Content-Sha256") != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("no body: %v, %v", req.Header, err)
	}
	req, _ = http.NewRequest("PUT", "https://h/k", struct{ *strings.Reader }{strings.NewReader("hello")})
	wantError(t, s3.HashBody(req), signer.ErrRequest, "GetBody")
	if len(req.Header) != 0 {
		t.Errorf("header %v beside the error", req.Header)
	}
}

// A ring holds no key that cannot sign, and one that can is a source of credentials.
func TestKeyRing(t *testing.T) {
	second := creds()
	second.AccessKeyID = "AKIASECOND"
	for _, keys := range [][]s3.Credentials{{{AccessKeyID: "a"}}, {creds(), {AccessKeyID: "b"}}} {
		if r, err := signer.NewKeyRing(keys[0], keys[1:]...); r != nil || !errors.Is(err, signer.ErrCredentials) {
			t.Errorf("%q: %v", keys[0].AccessKeyID, err)
		}
	}
	ring, err := signer.NewKeyRing(creds(), second)
	if err != nil {
		t.Fatal(err)
	}
	s, v := newSigner(t, func(c *s3.Config) { c.Credentials = ring }), newVerifier(t, func(c *s3.VerifierConfig) { c.Lookup = ring.Lookup })
	for _, id := range []string{creds().AccessKeyID, second.AccessKeyID} {
		p, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if g, err := v.Verify(ctx, received(t, p, nil)); err != nil || g.KeyID != id {
			t.Errorf("%q signs: %+v, %v", id, g, err)
		}
		if until, known := ring.Issued(id); !known || !until.Equal(p.ExpiresAt) {
			t.Errorf("%s: a URL until %v, Issued says %v, %v", id, p.ExpiresAt, until, known)
		}
		if err := ring.Set(second, creds()); err != nil {
			t.Fatal(err)
		}
	}
}
