package oss_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Attacks that work on verifiers of others, or that this scheme invites: it signs neither the host nor what is not listed.

// Go's zero time is a date of the year 1; it must not pass for no date at all.
func TestAttackDateOfTheYearOne(t *testing.T) {
	r := httptest.NewRequest("GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/k?x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential="+keyID+"%2F00010101%2Fcn-hangzhou%2Foss%2Faliyun_v4_request"+
		"&x-oss-date=00010101T000000Z&x-oss-expires=60&x-oss-signature="+strings.Repeat("0", 64), nil)
	if _, err := newVerifier(t).Verify(ctx, r); !errors.Is(err, signer.ErrMalformed) {
		t.Errorf("in the query: %v", err)
	}
}

// What is not signed is added: each x-oss- header, Content-Type and Content-MD5 counts as signed where it is, in any spelling,
// and headers of other providers must be listed.
func TestAttackAddedHeaders(t *testing.T) {
	p, err := newSigner(t).Presign(ctx, signer.Request{Method: "PUT", Key: "k", Expires: time.Minute, Header: http.Header{"X-Oss-Object-Acl": {"private"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"X-Oss-Copy-Source", "x-oss-copy-source", "X-OSS-Symlink-Target", "X-Oss-", "Content-Type", "content-md5", "X-Amz-Copy-Source", "X-Goog-Copy-Source",
		"X-Oss-Content-Sha256", "X-Oss-Date", "X-Oss-Security-Token", "x-oss-object-acl", "X-Oss-Object-Acl "} {
		r := received(t, p, nil)
		r.Header[name] = []string{"public-read"}
		if g, err := newVerifier(t).Verify(ctx, r); err == nil {
			t.Errorf("%s: %+v", name, g)
		}
	}
	r := received(t, p, nil)
	r.Trailer = http.Header{"X-Oss-Copy-Source": nil}
	if _, err := newVerifier(t).Verify(ctx, r); !errors.Is(err, signer.ErrMismatch) {
		t.Errorf("in a trailer: %v", err)
	}
	r = received(t, p, nil)
	r.Header = http.Header{"x-oss-object-acl": {"private"}}
	if g, err := newVerifier(t).Verify(ctx, r); err != nil || g.Header.Get("X-Oss-Object-Acl") != "private" || map[string][]string(r.Header)["x-oss-object-acl"] == nil {
		t.Errorf("one spelling: %+v, %v, the request has %q", g, err, r.Header)
	}
}

// One line with a comma and two lines have one signature. Whoever acts on the Grant, or stands behind Require, sees one value.
func TestAttackSplitHeader(t *testing.T) {
	p, err := newSigner(t, func(c *oss.Config) { c.Endpoint = mustURL(t, "http://h") }).Presign(ctx, signer.Request{Method: "PUT", Key: "k", Expires: time.Minute,
		Header: http.Header{"X-Oss-Copy-Source": {"/photos/secret,public"}}})
	if err != nil {
		t.Fatal(err)
	}
	r := received(t, p, nil)
	r.Header["X-Oss-Copy-Source"] = []string{"/photos/secret", "public"}
	v := newVerifier(t, func(c *oss.VerifierConfig) { c.Endpoint = mustURL(t, "http://h") })
	var seen []string
	signer.Require(v, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen = r.Header["X-Oss-Copy-Source"] })).
		ServeHTTP(httptest.NewRecorder(), r)
	if !slices.Equal(seen, []string{"/photos/secret,public"}) {
		t.Errorf("the handler sees %q", seen)
	}
}

// A parameter without a name and a value leaves no trace in the canonical query.
func TestAttackNamelessParameter(t *testing.T) {
	p, err := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{"&=", "&=x", "&%"} {
		r := received(t, p, nil)
		r.RequestURI += more
		if _, err := newVerifier(t).Verify(ctx, r); !errors.Is(err, signer.ErrMalformed) {
			t.Errorf("%s: %v", more, err)
		}
	}
}

// The bucket is signed and the host is not, so the one must not be read from the other in two ways.
func TestAttackAnotherBucket(t *testing.T) {
	p, err := newSigner(t).Presign(ctx, signer.Request{Key: "videos/k", Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	_, query, _ := strings.Cut(p.URL, "?")
	for _, tt := range []struct{ host, path string }{
		{"photos.oss-cn-hangzhou.aliyuncs.com", "/videos/k"}, // as it was signed
		{"oss-cn-hangzhou.aliyuncs.com", "/photos/videos/k"}, // the same
		{"oss-cn-hangzhou.aliyuncs.com", "/photos%2Fvideos/k"},
		{"videos.oss-cn-hangzhou.aliyuncs.com", "/k"},
		{"videos.oss-cn-hangzhou.aliyuncs.com", "/photos/videos/k"},
		{"oss-cn-hangzhou.aliyuncs.com", "//photos/videos/k"},
		{"oss-cn-hangzhou.aliyuncs.com", "/videos/k"},
		{"photos.photos.oss-cn-hangzhou.aliyuncs.com", "/videos/k"},
		{"photos/videos.oss-cn-hangzhou.aliyuncs.com", "/k"},
		{"photos%2fvideos.oss-cn-hangzhou.aliyuncs.com", "/k"},
		{".oss-cn-hangzhou.aliyuncs.com", "/photos/videos/k"},
		{"photos.oss-cn-hangzhou.aliyuncs.com:8443", "/videos/k"},
	} {
		r := received(t, p, nil)
		r.Host, r.RequestURI = tt.host, tt.path+"?"+query
		if g, err := newVerifier(t).Verify(ctx, r); err == nil && (g.Bucket != "photos" || g.Key != "videos/k") {
			t.Errorf("%s %s: granted %s in %s", tt.host, tt.path, g.Key, g.Bucket)
		}
	}
}

// With a host that is the bucket, a verifier of another bucket refuses: the name is signed though the URL does not show it.
func TestAttackCustomDomain(t *testing.T) {
	s := newSigner(t, func(c *oss.Config) {
		c.Endpoint, c.Addressing = mustURL(t, "https://img.example"), signer.AddressingBucketHost
	})
	p, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for bucket, class := range map[string]error{"photos": nil, "videos": signer.ErrMismatch} {
		v := newVerifier(t, func(c *oss.VerifierConfig) {
			c.Endpoint, c.Addressing, c.Bucket = mustURL(t, "https://img.example"), signer.AddressingBucketHost, bucket
		})
		if _, err := v.Verify(ctx, received(t, p, nil)); !errors.Is(err, class) {
			t.Errorf("%s: %v", bucket, err)
		}
	}
}

// The names of the canonical request cannot be forged out of values.
func TestAttackCanonicalInjection(t *testing.T) {
	for _, r := range []signer.Request{
		{Key: "k\nacl\n", Expires: time.Minute},
		{Key: "k?acl", Expires: time.Minute},
		{Key: "k", Query: url.Values{"a": {"1&acl"}}, Expires: time.Minute},
		{Key: "k", Query: url.Values{"a=1&acl": {""}}, Expires: time.Minute},
		{Key: "k", Header: http.Header{"X-Oss-Meta-A": {"1;x-oss-object-acl:public-read"}}, Expires: time.Minute},
	} {
		p, err := newSigner(t).Presign(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		in := received(t, p, nil)
		g, err := newVerifier(t).Verify(ctx, in)
		if err != nil || g.Key != r.Key || len(g.Query) != len(r.Query) {
			t.Errorf("%+v, %v", g, err)
		}
		for _, change := range []func(string) string{
			func(s string) string { return strings.Replace(s, "%3Facl", "?acl&", 1) },
			func(s string) string { return strings.Replace(s, "%26acl", "&acl", 1) },
			func(s string) string { return strings.Replace(s, "%0Aacl%0A", "", 1) + "&acl" },
		} {
			changed := change(in.RequestURI)
			if changed == in.RequestURI {
				continue
			}
			r := received(t, p, nil)
			r.RequestURI = changed
			if g, err := newVerifier(t).Verify(ctx, r); err == nil {
				t.Errorf("%s is granted %+v", changed, g)
			}
		}
	}
}

// Strange request targets are not guessed at.
func TestAttackRequestTargets(t *testing.T) {
	p, err := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	_, query, _ := strings.Cut(p.URL, "?")
	for _, target := range []string{"https://host?evil=1/k?", "foo:bar?x=://h/k?", "ftp://h/k?", "k?", "/k%00?", "/%ff?", "/%zz?"} {
		r := received(t, p, nil)
		r.RequestURI = target + query
		if _, err := newVerifier(t).Verify(ctx, r); !errors.Is(err, signer.ErrMalformed) {
			t.Errorf("%s: %v", target, err)
		}
	}
	if _, err := newVerifier(t).Verify(ctx, nil); !errors.Is(err, signer.ErrMalformed) {
		t.Errorf("no request: %v", err)
	}
}

// What stands in the wrong place may be a secret.
func TestAttackErrorsDoNotRepeat(t *testing.T) {
	const sig = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	v := newVerifier(t, acceptV1)
	check := func(name string, err error) {
		t.Helper()
		if err == nil || strings.Contains(err.Error(), "0123456789abc") || strings.Contains(err.Error(), secretText) {
			t.Errorf("%s\n%v", name, err)
		}
	}
	for _, header := range []string{
		"OSS4-HMAC-SHA256 Credential=AK/20261124/cn-hangzhou/oss/aliyun_v4_request Signature=" + sig,
		"OSS4-HMAC-SHA256 Credential=AK/20261124/cn-hangzhou/oss/aliyun_v4_request,AdditionalHeaders=host;Signature=" + sig,
		"OSS4-HMAC-SHA256 Credential=AK/20261124/cn-hangzhou/oss/" + sig + ",Signature=" + sig,
		"OSS4-HMAC-SHA256 Credential=AK/" + secretText + "/" + secretText + "/" + secretText + "/" + secretText + ",Signature=" + sig,
		"OSS4-HMAC-SHA256 Credential=" + secretText + "/20261124/cn-hangzhou/oss/aliyun_v4_request,Signature=" + sig,
		"OSS4-HMAC-SHA256 " + secretText + "," + secretText + "=" + sig,
		"OSS " + secretText + ":" + sig,
		"OSS " + sig,
	} {
		r := httptest.NewRequest("GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/k", nil)
		r.Header.Set("Authorization", header)
		r.Header.Set("X-Oss-Date", "20261124T235949Z")
		r.Header.Set("X-Oss-Content-Sha256", "UNSIGNED-PAYLOAD")
		_, err := v.Verify(ctx, r)
		check(header, err)
	}
	for _, query := range []string{"x-oss-signature=" + sig + "0&x-oss-signature=" + sig, "x-oss-credential=" + sig + "&x-oss-additional-headers=" + sig + secretText, sig + "=" + sig + "&" + sig + "&x-oss-date=" + sig + "&x-oss-expires=" + sig,
		"OSSAccessKeyId=" + secretText + "&Signature=" + sig + "&Expires=" + sig} {
		_, err := v.Verify(ctx, httptest.NewRequest("GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/k?"+query, nil))
		check(query, err)
	}
	failed := &url.Error{Op: "Get", URL: "https://h/?x-oss-signature=" + sig, Err: errSource}
	s := newSigner(t, func(c *oss.Config) {
		c.Credentials = sourceFunc(func() (oss.Credentials, error) { return creds(), failed })
	})
	_, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	if check("a source", err); !errors.Is(err, errSource) {
		t.Errorf("%v", err)
	}
}

// A stranger cannot fill memory with faults.
func TestAttackManyFaults(t *testing.T) {
	r := httptest.NewRequest("GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/k", nil)
	r.Header.Set("Authorization", "OSS4-HMAC-SHA256 "+strings.Repeat("a=b,", 100_000))
	if _, err := newVerifier(t).Verify(ctx, r); err == nil || len(err.Error()) > 10_000 {
		t.Errorf("an error of %d bytes", len(fmt.Sprint(err)))
	}
}

// A request with very many headers costs no more for each of them. Compare the nanoseconds per header.
func BenchmarkAttackManyHeaders(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		r := httptest.NewRequest("GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/k", nil)
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("x-%07d", i))
			r.Header[http.CanonicalHeaderKey(names[i])] = []string{"1"}
			r.Header[fmt.Sprintf("X-Oss-%07d", i)] = []string{"1"}
		}
		r.RequestURI = "/k?x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential=" + keyID + "%2F20261124%2Fcn-hangzhou%2Foss%2Faliyun_v4_request&x-oss-date=20261124T235949Z&x-oss-expires=60" +
			"&x-oss-additional-headers=" + strings.Join(names, "%3B") + "&x-oss-signature=" + strings.Repeat("0", 64)
		v := newVerifier(b)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if _, err := v.Verify(ctx, r); !errors.Is(err, signer.ErrMismatch) {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/header")
		})
	}
}

// Headers are signed as lines, and those of OSS without a list of their names: one with a line feed in it would pass for two, and the
// other could be left out. net/http delivers none, but another server may.
func TestAttackHeaderMadeOfTwo(t *testing.T) {
	merge := func(r *http.Request) {
		r.Header["X-Oss-Meta-A"] = []string{"1\nx-oss-object-acl:private"}
		delete(r.Header, "X-Oss-Object-Acl")
	}
	p, err := newSigner(t).Presign(ctx, signer.Request{Method: "PUT", Key: "k", Expires: time.Minute, Header: http.Header{"X-Oss-Meta-A": {"1"}, "X-Oss-Object-Acl": {"private"}}})
	if err != nil {
		t.Fatal(err)
	}
	signed := newRequest(t, "PUT", "https://photos.oss-cn-hangzhou.aliyuncs.com/k")
	signed.Header = http.Header{"X-Oss-Meta-A": {"1"}, "X-Oss-Object-Acl": {"private"}}
	if err := newSigner(t).Sign(ctx, signed); err != nil {
		t.Fatal(err)
	}
	old := httptest.NewRequest("PUT", "https://photos.oss-cn-hangzhou.aliyuncs.com/k", nil)
	old.Header = http.Header{"X-Oss-Meta-A": {"1"}, "X-Oss-Object-Acl": {"private"}, "Date": {"Tue, 24 Nov 2026 23:59:49 GMT"}}
	old.Header.Set("Authorization", "OSS "+keyID+":"+signV1("PUT\n\n\nTue, 24 Nov 2026 23:59:49 GMT\nx-oss-meta-a:1\nx-oss-object-acl:private\n/photos/k"))
	for name, in := range map[string]*http.Request{"a URL": received(t, p, nil), "a header": arrive(signed), "version 1": old} {
		v := newVerifier(t, acceptV1)
		if _, err := v.Verify(ctx, in); err != nil {
			t.Fatalf("%s, as it was signed: %v", name, err)
		}
		merge(in)
		if g, err := v.Verify(ctx, in); !errors.Is(err, signer.ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
}
