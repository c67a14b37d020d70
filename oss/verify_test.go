package oss_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

func lookup(known ...oss.Credentials) func(context.Context, string) (oss.Credentials, error) {
	return func(_ context.Context, id string) (oss.Credentials, error) {
		for _, c := range known {
			if c.AccessKeyID == id {
				return c, nil
			}
		}
		return oss.Credentials{}, fmt.Errorf("%w: %s", signer.ErrUnknownKey, id)
	}
}

func newVerifier(t testing.TB, edits ...func(*oss.VerifierConfig)) *oss.Verifier {
	t.Helper()
	c := oss.VerifierConfig{Region: "cn-hangzhou", Lookup: lookup(creds(), tokenCreds()), Clock: clock.Fixed(now)}
	for _, edit := range edits {
		edit(&c)
	}
	v, err := oss.NewVerifier(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func acceptV1(c *oss.VerifierConfig) { c.AcceptV1 = true }

// received is a presigned request as a server sees it.
func received(t testing.TB, p *signer.Presigned, body io.Reader) *http.Request {
	t.Helper()
	sent, err := p.NewRequest(ctx, body)
	if err != nil {
		t.Fatal(err)
	}
	return arrive(sent)
}

// arrive turns a client's request into the server's view of it.
func arrive(sent *http.Request) *http.Request {
	r := httptest.NewRequest(sent.Method, sent.URL.String(), sent.Body)
	r.RequestURI = sent.URL.RequestURI()
	r.ContentLength = sent.ContentLength
	r.Header = sent.Header.Clone()
	if r.Host = sent.Host; r.Host == "" {
		r.Host = sent.URL.Host
	}
	if sent.URL.Scheme == "https" {
		r.TLS = new(tls.ConnectionState)
	}
	return r
}

func TestNewVerifierErrors(t *testing.T) {
	good := oss.VerifierConfig{Region: "cn-hangzhou", Lookup: lookup()}
	for _, tt := range []struct {
		name  string
		edit  func(*oss.VerifierConfig)
		field string
	}{
		{"no region", func(c *oss.VerifierConfig) { c.Region = "" }, "Region"},
		{"the name of an endpoint", func(c *oss.VerifierConfig) { c.Region = "oss-cn-hangzhou" }, "Region"},
		{"unknown product", func(c *oss.VerifierConfig) { c.Product = "s3" }, "Product"},
		{"no lookup", func(c *oss.VerifierConfig) { c.Lookup = nil }, "Lookup"},
		{"endpoint", func(c *oss.VerifierConfig) { c.Endpoint = &url.URL{Host: "h"} }, "Endpoint"},
		{"bucket host without endpoint", func(c *oss.VerifierConfig) { c.Addressing = signer.AddressingBucketHost }, "Addressing"},
		{"bucket host without bucket", func(c *oss.VerifierConfig) {
			c.Endpoint, c.Addressing = mustURL(t, "https://img.example"), signer.AddressingBucketHost
		}, "Bucket"},
		{"bucket host with a bucket that is none", func(c *oss.VerifierConfig) {
			c.Endpoint, c.Addressing, c.Bucket = mustURL(t, "https://img.example"), signer.AddressingBucketHost, "A/B"
		}, "Bucket"},
		{"bucket that URLs tell", func(c *oss.VerifierConfig) { c.Bucket = "photos" }, "Bucket"},
		{"learned clock", func(c *oss.VerifierConfig) { c.Clock = learned{clock.System(), t, ""} }, "Clock"},
		{"negative leeway", func(c *oss.VerifierConfig) { c.Leeway = -1 }, "Leeway"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.edit(&c)
			_, err := oss.NewVerifier(c)
			wantError(t, err, signer.ErrRequest, tt.field)
		})
	}
}

// What is signed is granted, in every form and at every place, with names decoded as they were meant.
func TestVerifyGrants(t *testing.T) {
	for _, place := range places(t) {
		for _, token := range []bool{false, true} {
			c := config(place.edits...)
			if token {
				c.Credentials = tokenCreds()
			}
			s, err := oss.New(c)
			if err != nil {
				t.Fatal(err)
			}
			v := newVerifier(t, func(vc *oss.VerifierConfig) {
				vc.Region, vc.Product, vc.Endpoint, vc.Addressing = c.Region, c.Product, c.Endpoint, c.Addressing
				if c.Addressing == signer.AddressingBucketHost {
					vc.Bucket = c.Bucket
				}
			})
			for _, key := range []string{"k", "a/b c+d%2Fe~.jpg", "/leading", "a//b", "é😀", "trailing/", strings.Repeat("long/", 200) + "x", "%", "a\nb", "!$&'()*,;=:@[]?#", `back\slash`} {
				name := fmt.Sprintf("%s %.20q", place.url, key)
				p, err := s.Presign(ctx, signer.Request{Method: "PUT", Key: key, Expires: time.Minute,
					Query: url.Values{"partNumber": {"1"}, "uploadId": {"a+b c"}, "acl": {""}}, Header: http.Header{"X-Oss-Meta-A": {" 2  3"}, "Cache-Control": {"no-store"}}})
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				in := received(t, p, strings.NewReader("body"))
				g, err := v.Verify(ctx, in)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				at := now.Truncate(time.Second)
				if g.Bucket != c.Bucket || g.Key != key || g.Method != "PUT" || g.Scheme != "OSS4-HMAC-SHA256" || g.Backend != "oss" || g.Payload != "" ||
					fmt.Sprint(g.Query) != "map[acl:[] partNumber:[1] uploadId:[a+b c]]" || !slices.Equal(g.SignedHeaders, []string{"cache-control", "x-oss-meta-a"}) ||
					!g.SignedAt.Equal(at) || !g.ExpiresAt.Equal(at.Add(time.Minute)) || g.Header.Get("X-Oss-Meta-A") != "2  3" || len(g.Fingerprint) != 32 {
					t.Errorf("%s: granted %+v", name, g)
				}

				bare, _, _ := strings.Cut(p.URL, "?")
				req := newRequest(t, "GET", bare+"?acl&x=a%2Fb")
				req.Header.Set("X-Oss-Meta-A", "1")
				if err := s.Sign(ctx, req); err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				g, err = v.Verify(ctx, arrive(req))
				if err != nil || g.Bucket != c.Bucket || g.Key != key || fmt.Sprint(g.Query) != "map[acl:[] x:[a/b]]" {
					t.Errorf("%s: %+v, %v", name, g, err)
				}
				if g != nil && g.Header.Get("X-Oss-Security-Token") != "" {
					t.Error("a token in the grant")
				}
			}
		}
	}
}

// All names of the service are the service: a host that is not signed may change among them, and one that is may not.
func TestVerifyHosts(t *testing.T) {
	for _, additional := range [][]string{nil, {"host"}} {
		s := newSigner(t, func(c *oss.Config) { c.AdditionalHeaders = additional })
		p, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"photos.oss-cn-hangzhou-internal.aliyuncs.com", "photos.cn-hangzhou.oss.aliyuncs.com", "photos.oss-accelerate.aliyuncs.com"} {
			in := received(t, p, nil)
			in.Host = host
			_, err := newVerifier(t).Verify(ctx, in)
			if additional == nil && err != nil || additional != nil && !errors.Is(err, signer.ErrMismatch) {
				t.Errorf("%s, signed are %q: %v", host, additional, err)
			}
		}
		for host, class := range map[string]error{"photos.oss-cn-shenzhen.aliyuncs.com": signer.ErrScope, "oss-cn-hangzhou.aliyuncs.com": nil, "videos.oss-cn-hangzhou.aliyuncs.com": signer.ErrMismatch,
			"photos.oss-cn-hangzhou.aliyuncs.com.evil.example": signer.ErrScope, "a.photos.oss-cn-hangzhou.aliyuncs.com": signer.ErrScope} {
			in := received(t, p, nil)
			in.Host = host
			if class == nil {
				in.RequestURI = "/photos" + in.RequestURI // the same bucket, in the path
				if class = signer.ErrMismatch; additional == nil {
					class = nil
				}
			}
			if _, err := newVerifier(t).Verify(ctx, in); !errors.Is(err, class) {
				t.Errorf("%s: %v, want %v", host, err, class)
			}
		}
	}
}

// Where the bucket may stand is said once: a verifier for one form does not take the other.
func TestVerifyAddressing(t *testing.T) {
	for _, tt := range []struct {
		signs, takes signer.Addressing
		class        error
	}{
		{signer.AddressingPath, signer.AddressingPath, nil},
		{signer.AddressingPath, signer.AddressingAuto, nil},
		{signer.AddressingPath, signer.AddressingVirtualHost, signer.ErrScope},
		{signer.AddressingVirtualHost, signer.AddressingPath, signer.ErrScope},
		{signer.AddressingVirtualHost, signer.AddressingAuto, nil},
		{signer.AddressingVirtualHost, signer.AddressingVirtualHost, nil},
	} {
		p, err := newSigner(t, func(c *oss.Config) { c.Addressing = tt.signs }).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		_, err = newVerifier(t, func(c *oss.VerifierConfig) { c.Addressing = tt.takes }).Verify(ctx, received(t, p, nil))
		if !errors.Is(err, tt.class) {
			t.Errorf("%v read as %v: %v, want %v", tt.signs, tt.takes, err, tt.class)
		}
	}
}

func wantRefusal(t *testing.T, g *signer.Grant, err, class error, code string) {
	t.Helper()
	var e *signer.Error
	if g != nil || !errors.Is(err, class) || !errors.As(err, &e) || e.Code != code {
		t.Errorf("got %+v, %v, want %q with code %s", g, err, class, code)
	}
}

// The window of a URL is its date less the leeway to its date and life, that of a header the leeway to both sides.
func TestVerifyTimes(t *testing.T) {
	at := now.Truncate(time.Second)
	for _, c := range []oss.Credentials{creds(), tokenCreds()} {
		s := newSigner(t, func(conf *oss.Config) { conf.Credentials = c })
		p, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		req := newRequest(t, "GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/k")
		if err := s.Sign(ctx, req); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			off          time.Duration
			url, header  error
			codeU, codeH string
		}{
			{-15*time.Minute - time.Second, signer.ErrNotYetValid, signer.ErrNotYetValid, "", "0002-00000504"},
			{-15 * time.Minute, nil, nil, "", ""},
			{15*time.Minute - time.Second, nil, nil, "", ""},
			{15 * time.Minute, nil, signer.ErrExpired, "", "0002-00000504"},
			{time.Hour - time.Second, nil, signer.ErrExpired, "", "0002-00000504"},
			{time.Hour, signer.ErrExpired, signer.ErrExpired, "0002-00000236", "0002-00000504"},
		} {
			v := newVerifier(t, func(vc *oss.VerifierConfig) { vc.Clock = clock.Fixed(at.Add(tt.off)) })
			for _, form := range []struct {
				in    *http.Request
				class error
				code  string
			}{{received(t, p, nil), tt.url, tt.codeU}, {arrive(req), tt.header, tt.codeH}} {
				g, err := v.Verify(ctx, form.in)
				if form.class != nil {
					wantRefusal(t, g, err, form.class, form.code)
				} else if err != nil {
					t.Errorf("after %v: %v", tt.off, err)
				}
			}
		}
	}
}

// A URL with a security token lives for twelve hours at most, another for seven days, whatever was signed.
func TestVerifyLongestLife(t *testing.T) {
	for _, tt := range []struct {
		creds   oss.Credentials
		expires string
		class   error
		code    string
	}{
		{tokenCreds(), "43200", signer.ErrMismatch, "0002-00000201"}, // well formed, and not what was signed
		{tokenCreds(), "43201", signer.ErrMalformed, "0002-00000232"},
		{creds(), "604800", signer.ErrMismatch, "0002-00000201"},
		{creds(), "604801", signer.ErrMalformed, "0002-00000232"},
		{creds(), "0", signer.ErrMalformed, "0002-00000232"},
		{creds(), "060", signer.ErrMalformed, "0002-00000232"},
	} {
		p, err := newSigner(t, func(c *oss.Config) { c.Credentials = tt.creds }).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		r := received(t, p, nil)
		r.RequestURI = strings.Replace(r.RequestURI, "x-oss-expires=60", "x-oss-expires="+tt.expires, 1)
		g, err := newVerifier(t).Verify(ctx, r)
		wantRefusal(t, g, err, tt.class, tt.code)
	}
}

// raw signs a request of version 4 in its header with whatever date it has, as the specification says: the date is signed as it
// stands.
func raw(t *testing.T, req *http.Request, timestamp, day string) {
	t.Helper()
	req.Header.Set("X-Oss-Content-Sha256", "UNSIGNED-PAYLOAD")
	var headers []string
	for name := range req.Header {
		if low := strings.ToLower(name); strings.HasPrefix(low, "x-oss-") || low == "content-type" || low == "content-md5" {
			headers = append(headers, low+":"+req.Header.Get(name)+"\n")
		}
	}
	slices.Sort(headers)
	canonical := req.Method + "\n/photos" + req.URL.EscapedPath() + "\n" + req.URL.RawQuery + "\n" + strings.Join(headers, "") + "\n\nUNSIGNED-PAYLOAD"
	hash := sha256.Sum256([]byte(canonical))
	key := []byte("aliyun_v4" + secretText)
	for _, part := range []string{day, "cn-hangzhou", "oss", "aliyun_v4_request",
		"OSS4-HMAC-SHA256\n" + timestamp + "\n" + day + "/cn-hangzhou/oss/aliyun_v4_request\n" + hex.EncodeToString(hash[:])} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	req.Header.Set("Authorization", "OSS4-HMAC-SHA256 Credential="+keyID+"/"+day+"/cn-hangzhou/oss/aliyun_v4_request, Signature="+hex.EncodeToString(key))
}

// aliyun-oss-go-sdk sends no x-oss-date and signs the text of Date.
func TestVerifyDateHeader(t *testing.T) {
	const date, stamp = "Tue, 24 Nov 2026 23:59:49 GMT", "20261124T235949Z"
	for _, tt := range []struct {
		name          string
		date, ossDate string
		signs         string
		class         error
		code          string
	}{
		{"Date alone", date, "", date, nil, ""},
		{"x-oss-date alone", "", stamp, stamp, nil, ""},
		{"both", "Tue, 24 Nov 2020 23:59:49 GMT", stamp, stamp, nil, ""},
		{"Date, but x-oss-date is signed", date, "", stamp, signer.ErrMismatch, "0002-00000201"},
		{"none", "", "", stamp, signer.ErrMalformed, "0002-00000503"},
		{"Date of another form", "Tuesday, 24-Nov-26 23:59:49 GMT", "", "Tuesday, 24-Nov-26 23:59:49 GMT", signer.ErrMalformed, "0002-00000502"},
		{"x-oss-date like Date", "", date, date, signer.ErrMalformed, "0002-00000502"},
		{"Date of the year 1", "Mon, 01 Jan 0001 00:00:00 GMT", "", date, signer.ErrMalformed, "0002-00000502"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := newRequest(t, "GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/k?acl")
			if tt.date != "" {
				req.Header.Set("Date", tt.date)
			}
			if tt.ossDate != "" {
				req.Header.Set("X-Oss-Date", tt.ossDate)
			}
			raw(t, req, tt.signs, "20261124")
			g, err := newVerifier(t).Verify(ctx, arrive(req))
			if tt.class != nil {
				wantRefusal(t, g, err, tt.class, tt.code)
			} else if err != nil || !g.SignedAt.Equal(now.Truncate(time.Second)) {
				t.Errorf("%+v, %v", g, err)
			}
		})
	}
}

func TestVerifyRefusesHeaders(t *testing.T) {
	signed := func(t *testing.T, c oss.Credentials, additional ...string) *http.Request {
		s := newSigner(t, func(conf *oss.Config) { conf.Credentials, conf.AdditionalHeaders = c, additional })
		req := newRequest(t, "PUT", "https://photos.oss-cn-hangzhou.aliyuncs.com/k?acl")
		req.Header.Set("Content-Type", "text/plain")
		req.Header.Set("Range", "bytes=0-1")
		if err := s.Sign(ctx, req); err != nil {
			t.Fatal(err)
		}
		return arrive(req)
	}
	replace := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			auth := r.Header.Get("Authorization")
			if !strings.Contains(auth, old) {
				t.Fatalf("no %s", old)
			}
			r.Header.Set("Authorization", strings.Replace(auth, old, new, 1))
		}
	}
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, tt := range []struct {
		name  string
		edit  func(*http.Request)
		class error
		code  string
	}{
		{"another method", func(r *http.Request) { r.Method = "GET" }, signer.ErrMismatch, "0002-00000201"},
		{"another key", func(r *http.Request) { r.RequestURI = "/l?acl" }, signer.ErrMismatch, "0002-00000201"},
		{"another parameter", func(r *http.Request) { r.RequestURI = "/k?cors" }, signer.ErrMismatch, "0002-00000201"},
		{"another Content-Type", set("Content-Type", "text/html"), signer.ErrMismatch, "0002-00000201"},
		{"a Content-MD5", set("Content-Md5", "x=="), signer.ErrMismatch, "0002-00000201"},
		{"a copy source", set("X-Oss-Copy-Source", "/photos/secret"), signer.ErrMismatch, "0002-00000201"},
		{"a copy source of Amazon's", set("X-Amz-Copy-Source", "/photos/secret"), signer.ErrMismatch, "AccessDenied"},
		{"another listed header", set("Range", "bytes=0-9"), signer.ErrMismatch, "0002-00000201"},
		{"a listed header less", func(r *http.Request) { r.Header.Del("Range") }, signer.ErrMalformed, "0002-00000211"},
		{"another list", replace("AdditionalHeaders=host;range,", "AdditionalHeaders=host,"), signer.ErrMismatch, "0002-00000201"},
		{"another date", set("X-Oss-Date", "20261124T235950Z"), signer.ErrMismatch, "0002-00000201"},
		{"a date of another day", set("X-Oss-Date", "20261125T000001Z"), signer.ErrScope, ""},
		{"two dates", func(r *http.Request) { r.Header.Add("X-Oss-Date", "20261124T235949Z") }, signer.ErrMalformed, "0002-00000503"},
		{"a hash of the body", set("X-Oss-Content-Sha256", strings.Repeat("0", 64)), signer.ErrMalformed, "0002-00000214"},
		{"no word for the body", func(r *http.Request) { r.Header.Del("X-Oss-Content-Sha256") }, signer.ErrMalformed, "0002-00000214"},
		{"another region", replace("/cn-hangzhou/", "/cn-shenzhen/"), signer.ErrScope, "0002-00000226"},
		{"the name of an endpoint", replace("/cn-hangzhou/", "/oss-cn-hangzhou/"), signer.ErrScope, "0002-00000226"},
		{"another product", replace("/oss/", "/oss-cloudbox/"), signer.ErrScope, "0002-00000227"},
		{"another terminator", replace("aliyun_v4_request", "aws4_request"), signer.ErrScope, "0002-00000213"},
		{"an unknown key", replace(keyID, "LTAIunknown"), signer.ErrUnknownKey, "InvalidAccessKeyId"},
		{"another signature", func(r *http.Request) {
			auth := r.Header.Get("Authorization")
			r.Header.Set("Authorization", auth[:len(auth)-64]+strings.Repeat("0", 64))
		}, signer.ErrMismatch, "0002-00000201"},
		{"a token too many", set("X-Oss-Security-Token", "t"), signer.ErrMismatch, "InvalidAccessKeyId"},
		{"a parameter twice", func(r *http.Request) { r.RequestURI = "/k?acl&acl" }, signer.ErrMalformed, ""},
		{"a broken escape", func(r *http.Request) { r.RequestURI = "/k?acl&%zz" }, signer.ErrMalformed, ""},
		{"a broken escape in the path", func(r *http.Request) { r.RequestURI = "/%zz?acl" }, signer.ErrMalformed, "InvalidURI"},
		{"a second Authorization", func(r *http.Request) { r.Header.Add("Authorization", "OSS a:b") }, signer.ErrConflict, "InvalidArgument"},
		{"a URL's signature too", func(r *http.Request) { r.RequestURI += "&x-oss-signature=00" }, signer.ErrConflict, "InvalidArgument"},
		{"a URL's signature of version 1 too", func(r *http.Request) { r.RequestURI += "&OSSAccessKeyId=a&Signature=b" }, signer.ErrConflict, "InvalidArgument"},
		{"version 2", set("Authorization", "OSS2 AccessKeyId:a,Signature:b"), signer.ErrUnsupported, "0002-00000066"},
		{"version 1", set("Authorization", "OSS a:b"), signer.ErrUnsupported, "AccessDenied"},
		{"no signature", func(r *http.Request) { r.Header.Del("Authorization") }, signer.ErrUnsigned, "AccessDenied"},
		{"a signature of Amazon's", set("Authorization", "AWS4-HMAC-SHA256 a"), signer.ErrUnsigned, "AccessDenied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := signed(t, creds(), "host", "range")
			if _, err := newVerifier(t).Verify(ctx, r); err != nil {
				t.Fatal(err)
			}
			tt.edit(r)
			g, err := newVerifier(t).Verify(ctx, r)
			wantRefusal(t, g, err, tt.class, tt.code)
		})
	}
	r := signed(t, tokenCreds())
	r.Header.Del("X-Oss-Security-Token")
	g, err := newVerifier(t).Verify(ctx, r)
	wantRefusal(t, g, err, signer.ErrMismatch, "InvalidAccessKeyId")
	dead := tokenCreds()
	dead.Expires = now
	g, err = newVerifier(t, func(c *oss.VerifierConfig) { c.Lookup = lookup(dead) }).Verify(ctx, signed(t, tokenCreds()))
	wantRefusal(t, g, err, signer.ErrExpired, "InvalidAccessKeyId")
}

// All faults of form, scope and time are told at once.
func TestVerifyReportsAllFaults(t *testing.T) {
	r := httptest.NewRequest("GET", "https://img.example/k", nil)
	r.Header.Set("Authorization", "OSS4-HMAC-SHA256 Credential=a/20261123/cn-shenzhen/s3/aliyun_v5_request,AdditionalHeaders=range,Signature=,SignedHeaders=host")
	r.Header.Set("X-Oss-Date", "20261124T220000Z")
	r.Header.Set("X-Oss-Content-Sha256", "00")
	_, err := newVerifier(t).Verify(ctx, r)
	for _, text := range []string{"has 4 pairs", "the region", "its product", "it ends in", "Signature: malformed: it is empty", "a key of AWS4", `its date is 20261123, the day of X-Oss-Date 20261124`,
		"X-Oss-Date: expired", "UNSIGNED-PAYLOAD", "not in the request", "oss: verify: Host: "} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("nothing about %q in\n%v", text, err)
		}
	}
}

// A URL out of HTML or cut by a shell says so.
func TestVerifyHints(t *testing.T) {
	p, err := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for hint, edit := range map[string]func(string) string{
		`write & for "&amp;"`:      func(s string) string { return strings.ReplaceAll(s, "&", "&amp;") },
		"not quoted in a shell":    func(s string) string { before, _, _ := strings.Cut(s, "&"); return before },
		"x-oss-signature-verion":   func(s string) string { return strings.Replace(s, "-version", "-verion", 1) },
		"it is a time, and has to": func(s string) string { return strings.Replace(s, "x-oss-expires=60", "x-oss-expires=1795564800", 1) },
	} {
		r := received(t, p, nil)
		r.RequestURI = edit(r.RequestURI)
		if _, err := newVerifier(t).Verify(ctx, r); !errors.Is(err, signer.ErrMalformed) || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: %v", hint, err)
		}
	}
}

func TestVerifyBehindAProxy(t *testing.T) {
	p, err := newSigner(t, func(c *oss.Config) { c.AdditionalHeaders = []string{"host"} }).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	r := received(t, p, nil)
	r.Host, r.TLS = "10.0.0.1:8080", nil
	r.Header.Set("X-Front-Host", "photos.oss-cn-hangzhou.aliyuncs.com:443")
	v := newVerifier(t, func(c *oss.VerifierConfig) {
		c.Inbound = func(r *http.Request) (signer.Inbound, error) {
			return signer.Inbound{Scheme: "https", Host: r.Header.Get("X-Front-Host")}, nil
		}
	})
	if _, err := v.Verify(ctx, r); err != nil {
		t.Error(err)
	}
	if _, err := newVerifier(t).Verify(ctx, r); !errors.Is(err, signer.ErrScope) {
		t.Errorf("without Inbound: %v", err)
	}
	v = newVerifier(t, func(c *oss.VerifierConfig) {
		c.Inbound = func(r *http.Request) (signer.Inbound, error) { return signer.Inbound{}, errSource }
	})
	if _, err := v.Verify(ctx, r); err != errSource {
		t.Errorf("a failing Inbound: %v", err)
	}
}

func TestLookupErrors(t *testing.T) {
	p, err := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		creds oss.Credentials
		err   error
		want  error
	}{
		{oss.Credentials{}, errSource, errSource},
		{oss.Credentials{}, nil, signer.ErrUnknownKey},
		{oss.Credentials{AccessKeyID: keyID}, nil, signer.ErrUnknownKey},
		{oss.Credentials{AccessKeyID: strings.ToLower(keyID), AccessKeySecret: creds().AccessKeySecret}, nil, signer.ErrUnknownKey},
		{oss.Credentials{AccessKeySecret: creds().AccessKeySecret}, nil, nil},
		{oss.Credentials{AccessKeySecret: signer.NewSecret([]byte("another"))}, nil, signer.ErrMismatch},
	} {
		v := newVerifier(t, func(c *oss.VerifierConfig) {
			c.Lookup = func(context.Context, string) (oss.Credentials, error) { return tt.creds, tt.err }
		})
		if _, err := v.Verify(ctx, received(t, p, nil)); !errors.Is(err, tt.want) || tt.err != nil && err != tt.err {
			t.Errorf("%+v, %v: got %v, want %v", tt.creds, tt.err, err, tt.want)
		}
	}
}

// signV1 signs a string of version 1.
func signV1(text string) string {
	mac := hmac.New(sha1.New, []byte(secretText))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

const date = "Tue, 24 Nov 2026 23:59:49 GMT"

// v1Header is a request of version 1, signed in its header.
func v1Header(t *testing.T, target, resource string) *http.Request {
	r := httptest.NewRequest("PUT", "https://photos.oss-cn-hangzhou.aliyuncs.com"+target, nil)
	r.Header.Set("Date", date)
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("X-Oss-Meta-A", "1")
	r.Header.Set("X-Oss-Meta", "2")
	r.Header.Set("Authorization", "OSS "+keyID+":"+signV1("PUT\n\ntext/plain\n"+date+"\nx-oss-meta:2\nx-oss-meta-a:1\n"+resource))
	return r
}

// v1URL is a request with a presigned URL of version 1. The escaped path and query must stand for the resource.
func v1URL(t *testing.T, path, query, resource string) *http.Request {
	const expires = "1795564849" // an hour after now
	r := httptest.NewRequest("GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/", nil)
	r.RequestURI = path + "?" + strings.TrimPrefix(query+"&", "&") + "OSSAccessKeyId=" + keyID + "&Expires=" + expires + "&Signature=" + url.QueryEscape(signV1("GET\n\n\n"+expires+"\n"+resource))
	return r
}

func TestVerifyV1(t *testing.T) {
	v := newVerifier(t, acceptV1)
	for _, tt := range []struct {
		r     *http.Request
		key   string
		query string
	}{
		{v1Header(t, "/k", "/photos/k"), "k", "map[]"},
		{v1Header(t, "/a%20b%2Fc?acl", "/photos/a b/c?acl"), "a b/c", "map[acl:[]]"},
		{v1Header(t, "/?delete&max-keys=3&prefix=a", "/photos/?delete"), "", "map[delete:[]]"},
		{v1URL(t, "/k", "", "/photos/k"), "k", "map[]"},
		{v1URL(t, "/k", "uploadId=a%2Bb&partNumber=7&x-oss-process=style/a&foo=bar&response-content-type=a%20b", "/photos/k?partNumber=7&response-content-type=a b&uploadId=a+b&x-oss-process=style/a"),
			"k", "map[partNumber:[7] response-content-type:[a b] uploadId:[a+b] x-oss-process:[style/a]]"},
	} {
		g, err := v.Verify(ctx, tt.r)
		if err != nil {
			t.Errorf("%s: %v", tt.key, err)
			continue
		}
		if g.Scheme != "OSS V1" || g.Backend != "oss" || g.KeyID != keyID || g.Bucket != "photos" || g.Key != tt.key || fmt.Sprint(g.Query) != tt.query || len(g.Fingerprint) != 32 {
			t.Errorf("granted %+v", g)
		}
		if presigned := g.Method == "GET"; presigned != g.SignedAt.IsZero() || presigned && !g.ExpiresAt.Equal(time.Unix(1795564849, 0)) {
			t.Errorf("signed at %v, ends %v", g.SignedAt, g.ExpiresAt)
		}
		// Who does not want it learns which client is behind the times.
		_, err = newVerifier(t).Verify(ctx, tt.r)
		if !errors.Is(err, signer.ErrUnsupported) || !strings.Contains(err.Error(), "2025-03-01") || !strings.Contains(err.Error(), "2025-09-01") || !strings.Contains(err.Error(), "OSS4-HMAC-SHA256") {
			t.Errorf("not accepted: %v", err)
		}
	}

	// Browsers cannot set Date.
	r := v1Header(t, "/k", "")
	r.Header.Del("Date")
	r.Header.Set("X-Oss-Date", date)
	r.Header.Set("Authorization", "OSS "+keyID+":"+signV1("PUT\n\ntext/plain\n"+date+"\nx-oss-date:"+date+"\nx-oss-meta:2\nx-oss-meta-a:1\n/photos/k"))
	if _, err := v.Verify(ctx, r); err != nil {
		t.Error(err)
	}
	// The token stands in the header, or among the parameters.
	sts := func(c *oss.VerifierConfig) {
		k := creds()
		k.SecurityToken = signer.NewSecret([]byte("a/b+c"))
		c.Lookup = lookup(k)
	}
	g, err := newVerifier(t, acceptV1, sts).Verify(ctx, v1URL(t, "/k", "security-token=a%2Fb%2Bc", "/photos/k?security-token=a/b+c"))
	if err != nil || len(g.Query) != 0 {
		t.Errorf("%+v, %v", g, err)
	}
	if _, err := newVerifier(t, acceptV1, sts).Verify(ctx, v1URL(t, "/k", "", "/photos/k")); !errors.Is(err, signer.ErrMismatch) {
		t.Errorf("without its token: %v", err)
	}
}

func TestVerifyV1Refuses(t *testing.T) {
	header := func(edit func(*http.Request)) *http.Request {
		r := v1Header(t, "/k", "/photos/k")
		edit(r)
		return r
	}
	query := func(old, new string) *http.Request {
		r := v1URL(t, "/k", "acl", "/photos/k?acl")
		if !strings.Contains(r.RequestURI, old) {
			t.Fatalf("no %s", old)
		}
		r.RequestURI = strings.Replace(r.RequestURI, old, new, 1)
		return r
	}
	for _, tt := range []struct {
		name  string
		r     *http.Request
		class error
		code  string
	}{
		{"another method", header(func(r *http.Request) { r.Method = "GET" }), signer.ErrMismatch, "0002-00000040"},
		{"another key", header(func(r *http.Request) { r.RequestURI = "/l" }), signer.ErrMismatch, "0002-00000040"},
		{"another bucket", header(func(r *http.Request) { r.Host = "videos.oss-cn-hangzhou.aliyuncs.com" }), signer.ErrMismatch, "0002-00000040"},
		{"another Content-Type", header(func(r *http.Request) { r.Header.Set("Content-Type", "text/html") }), signer.ErrMismatch, "0002-00000040"},
		{"a copy source", header(func(r *http.Request) { r.Header.Set("X-Oss-Copy-Source", "/photos/secret") }), signer.ErrMismatch, "0002-00000040"},
		{"a copy source of Amazon's", header(func(r *http.Request) { r.Header.Set("X-Amz-Copy-Source", "/photos/secret") }), signer.ErrMismatch, "AccessDenied"},
		{"a signed parameter", header(func(r *http.Request) { r.RequestURI = "/k?acl" }), signer.ErrMismatch, "0002-00000040"},
		{"an old date", header(func(r *http.Request) { r.Header.Set("Date", "Tue, 24 Nov 2026 23:44:49 GMT") }), signer.ErrExpired, "0002-00000504"},
		{"a date to come", header(func(r *http.Request) { r.Header.Set("Date", "Wed, 25 Nov 2026 00:15:00 GMT") }), signer.ErrNotYetValid, "0002-00000504"},
		{"a date of another form", header(func(r *http.Request) { r.Header.Set("Date", "20261124T235949Z") }), signer.ErrMalformed, "0002-00000502"},
		{"no date", header(func(r *http.Request) { r.Header.Del("Date") }), signer.ErrMalformed, "0002-00000503"},
		{"no id", header(func(r *http.Request) { r.Header.Set("Authorization", "OSS :abc") }), signer.ErrMalformed, ""},
		{"no signature", header(func(r *http.Request) { r.Header.Set("Authorization", "OSS abc") }), signer.ErrMalformed, ""},
		{"a broken escape", header(func(r *http.Request) { r.RequestURI = "/k?%zz" }), signer.ErrMalformed, ""},
		{"an empty signature", header(func(r *http.Request) { r.Header.Set("Authorization", "OSS abc:") }), signer.ErrMalformed, "0002-00000065"},
		{"an empty signature in the URL", query("Signature=", "Signature=&x="), signer.ErrMalformed, ""},
		{"another host", header(func(r *http.Request) { r.Host = "img.example" }), signer.ErrScope, "AccessDenied"},
		{"an unknown key", query(keyID, "LTAIunknown"), signer.ErrUnknownKey, "InvalidAccessKeyId"},
		{"a parameter less", query("acl&", ""), signer.ErrMismatch, "0002-00000040"},
		{"a parameter twice", query("acl&", "acl&acl&"), signer.ErrMalformed, ""},
		{"another end", query("Expires=1795564849", "Expires=1795564850"), signer.ErrMismatch, "0002-00000040"},
		{"over", query("Expires=1795564849", "Expires=1795564789"), signer.ErrExpired, "0002-00000069"},
		{"an end with a sign", query("Expires=1795564849", "Expires=%2B1795564849"), signer.ErrMalformed, "0002-00000070"},
		{"an empty end", query("Expires=1795564849", "Expires="), signer.ErrMalformed, "0002-00000068"},
		{"no end", query("Expires=1795564849&", ""), signer.ErrMalformed, "0002-00000067"},
		{"no signature in the URL", query("&Signature=", "&Sig-nature="), signer.ErrMalformed, "0002-00000074"},
		{"a signature in lower case", query("&Signature=", "&signature="), signer.ErrMalformed, ""},
		{"an Authorization too", func() *http.Request {
			r := query("acl", "acl")
			r.Header.Set("Authorization", "OSS a:b")
			return r
		}(), signer.ErrConflict, "InvalidArgument"},
		{"a signature of Google's too", query("acl", "X-Goog-Signature=00&acl"), signer.ErrConflict, "InvalidArgument"},
		// One string to sign stands for several requests, and so for none.
		{"a question mark in the key", v1URL(t, "/k%3Facl", "", "/photos/k?acl"), signer.ErrMalformed, ""},
		{"an ampersand in a value", v1URL(t, "/k", "versionId=1%26acl", "/photos/k?versionId=1&acl"), signer.ErrMalformed, ""},
		{"an ampersand in a name", v1URL(t, "/k", "x-oss-a%26x-oss-b=1", "/photos/k?x-oss-a&x-oss-b=1"), signer.ErrMalformed, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := newVerifier(t, acceptV1).Verify(ctx, tt.r)
			wantRefusal(t, g, err, tt.class, tt.code)
		})
	}
}

// The overrides are where a server looks for them.
func TestVerifyResponse(t *testing.T) {
	want := signer.ResponseHeaders{ContentType: "text/plain", ContentDisposition: "inline", CacheControl: "no-store", ContentEncoding: "br", ContentLanguage: "de", Expires: "0"}
	p, err := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute, Response: want})
	if err != nil {
		t.Fatal(err)
	}
	if g, err := newVerifier(t).Verify(ctx, received(t, p, nil)); err != nil || g.Response != want {
		t.Errorf("%+v, %v", g, err)
	}
	in := v1URL(t, "/k", "response-content-type=a/b", "/photos/k?response-content-type=a/b")
	if g, err := newVerifier(t, acceptV1).Verify(ctx, in); err != nil || g.Response != (signer.ResponseHeaders{ContentType: "a/b"}) {
		t.Errorf("version 1: %+v, %v", g, err)
	}
}
