package storefake_test

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

// newOSSFixture is a store whose requests are signed for OSS.
func newOSSFixture(t *testing.T, edits ...func(*storefake.Config)) *fixture {
	t.Helper()
	f := newFixture(t, edits...)
	f.other = f.newOSS()
	return f
}

func (f *fixture) newOSS(edits ...func(*oss.Config)) *oss.Signer {
	f.Helper()
	c := oss.Config{Region: f.Region, Bucket: f.Bucket, Endpoint: f.Endpoint(), Credentials: f.OSS, Clock: clock.Fixed(start)}
	for _, edit := range edits {
		edit(&c)
	}
	s, err := oss.New(c)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// wantOSS sends a request that must be answered with this error of OSS's, whose RequestId and HostId go without saying.
func (f *fixture) wantOSS(status int, req *http.Request, want map[string]string) {
	f.Helper()
	h, body := f.want(status, req)
	got := elements(f.T, body)
	if got["RequestId"] == "" || got["RequestId"] != h.Get("X-Oss-Request-Id") || got["HostId"] != f.Endpoint().Host ||
		h.Get("Content-Type") != "application/xml" || h.Get("X-Oss-Server-Time") == "" {
		f.Errorf("%v with %v", got, h)
	}
	if ec := want["EC"]; ec != h.Get("X-Oss-Ec") || ec != "" && got["RecommendDoc"] != "https://api.aliyun.com/troubleshoot?q="+ec {
		f.Errorf("EC %q, %q, with %v", ec, got["RecommendDoc"], h)
	}
	for _, name := range []string{"RequestId", "HostId", "RecommendDoc"} {
		delete(got, name)
	}
	f.sameElements(got, want)
}

func TestOSSRoundTrip(t *testing.T) {
	f := newOSSFixture(t)
	for _, key := range []string{"k", "a/b c+d%2Fe~.jpg", "/leading", "a//b", "é😀", "trailing/", "%", "!$&'()*,;=:@[]?#"} {
		h, _ := f.want(200, f.request(signer.Request{Method: "PUT", Key: key, Header: http.Header{
			"Content-Type": {"text/plain"}, "X-Oss-Meta-Color": {"red"}}}, "123456789"))
		const crc = "11051210869376104954" // CRC-64/XZ's own test value, 995dc9bbdf1939fa
		if h.Get("X-Oss-Hash-Crc64ecma") != crc || h.Get("X-Oss-Request-Id") == "" || h.Get("X-Oss-Server-Time") == "" {
			t.Errorf("%q: PUT answers with %v", key, h)
		}
		for _, method := range []string{"GET", "HEAD"} {
			h, got := f.want(200, f.request(signer.Request{Method: method, Key: key, Response: signer.ResponseHeaders{CacheControl: "no-store"}}, ""))
			if method == "GET" && got != "123456789" || method == "HEAD" && got != "" {
				t.Errorf("%q: %s gives %q", key, method, got)
			}
			for header, want := range map[string]string{"Content-Type": "text/plain", "X-Oss-Meta-Color": "red", "X-Oss-Hash-Crc64ecma": crc,
				"X-Oss-Object-Type": "Normal", "X-Oss-Storage-Class": "Standard", "Content-Length": "9", "Cache-Control": "no-store"} {
				if h.Get(header) != want {
					t.Errorf("%q: %s has %s %q, want %q", key, method, header, h.Get(header), want)
				}
			}
		}
		f.want(204, f.request(signer.Request{Method: "DELETE", Key: key}, ""))
		f.want(204, f.request(signer.Request{Method: "DELETE", Key: key}, "")) // again
	}
	f.want(200, f.sign("PUT", "/k", "hello")) // in the header
	if _, body := f.want(200, f.sign("GET", "/k", "")); body != "hello" {
		t.Errorf("%q", body)
	}
	// A copy has no body, whether or not its length is announced.
	copied := func(body string) *http.Request {
		req := f.sign("PUT", "/copy", "", "X-Oss-Copy-Source", "/demo/k")
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), -1
		return req
	}
	f.want(200, copied(""))
	f.refused(400, "InvalidArgument", copied("x"))
	// With the host under the signature, which OSS leaves out.
	f.other = f.newOSS(func(c *oss.Config) { c.AdditionalHeaders = []string{"host"} })
	f.want(200, f.request(signer.Request{Key: "k"}, ""))
	req := f.request(signer.Request{Key: "k"}, "")
	req.Host = "localhost:" + f.Endpoint().Port()
	f.refused(403, "SignatureDoesNotMatch", req)
}

func TestOSSWriteOnce(t *testing.T) {
	f := newOSSFixture(t)
	put := func(value string) *http.Request {
		return f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"X-Oss-Forbid-Overwrite": {value}}}, "x")
	}
	f.want(200, put("true"))
	f.wantOSS(409, put("true"), map[string]string{"Code": "FileAlreadyExists", "Message": "The object you specified already exists and can not be overwritten."})
	f.want(200, put("false"))
	f.refused(400, "InvalidArgument", put("perhaps"))
	f.refused(501, "NotImplemented", f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"If-None-Match": {"*"}}}, "x"))
	get := f.request(signer.Request{Key: "k"}, "")
	get.Header.Set("If-Match", `"other"`)
	f.wantOSS(412, get, map[string]string{"Code": "PreconditionFailed", "Message": "At least one of the pre-conditions you specified did not hold.", "Condition": "If-Match"})
}

// OSS sends all of the object for a range that it has not, unless it is told to keep to the standard.
func TestOSSRanges(t *testing.T) {
	f := newOSSFixture(t)
	f.put("k", "0123456789")
	get := func(asked, behavior string) *http.Request {
		r := signer.Request{Key: "k"}
		if behavior != "" {
			r.Header = http.Header{"X-Oss-Range-Behavior": {behavior}}
		}
		req := f.request(r, "")
		req.Header.Set("Range", asked)
		return req
	}
	if h, body := f.want(206, get("bytes=2-4", "")); body != "234" || h.Get("Content-Range") != "bytes 2-4/10" {
		t.Errorf("%q %v", body, h)
	}
	for _, asked := range []string{"bytes=10-", "bytes=0-1,3-4"} {
		if h, body := f.want(200, get(asked, "")); body != "0123456789" || h.Get("Content-Length") != "10" {
			t.Errorf("%s: %q %v", asked, body, h)
		}
	}
	f.wantOSS(416, get("bytes=10-", "standard"), map[string]string{"Code": "InvalidRange", "Message": "The requested range cannot be satisfied.",
		"ActualObjectSize": "10", "RangeRequested": "bytes=10-"})
	f.refused(400, "InvalidArgument", get("bytes=0-1", "other"))
}

func TestOSSMultipart(t *testing.T) {
	f := newOSSFixture(t, small)
	id := f.initiate("k", "X-Oss-Meta-A", "b")
	one, two := f.part("k", id, 1, "begin"), f.part("k", id, 2, "end")
	f.want(200, f.complete("k", id, [][3]string{{"1", one, ""}, {"2", two, ""}}))
	if h, body := f.want(200, f.request(signer.Request{Key: "k"}, "")); body != "beginend" || h.Get("X-Oss-Meta-A") != "b" {
		t.Errorf("%q %v", body, h)
	}
	id = f.initiate("k")
	one, two = f.part("k", id, 1, "1"), f.part("k", id, 2, "2222")
	f.wantOSS(400, f.complete("k", id, [][3]string{{"1", one, ""}, {"2", two, ""}}), map[string]string{"Code": "EntityTooSmall",
		"Message": "Your proposed upload smaller than the minimum allowed size.", "ProposedSize": "1", "MinSizeAllowed": "4", "PartNumber": "1"})
	f.refused(400, "InvalidPart", f.complete("k", id, [][3]string{{"3", one, ""}}))
	f.refused(400, "InvalidPartOrder", f.complete("k", id, [][3]string{{"2", two, ""}, {"2", two, ""}}))
	f.refused(409, "FileAlreadyExists", f.complete("k", id, [][3]string{{"2", two, ""}}, "X-Oss-Forbid-Overwrite", "true"))
	f.want(204, f.sign("DELETE", "/k?uploadId="+id, ""))
	f.wantOSS(404, f.sign("DELETE", "/k?uploadId="+id, ""), map[string]string{"Code": "NoSuchUpload", "UploadId": id,
		"Message": "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."})
	// Names may come encoded, as the SDKs ask for them.
	_, body := f.want(200, f.sign("POST", "/a%20b?uploads&encoding-type=url", ""))
	if id = element(body, "UploadId"); element(body, "Key") != "a%20b" || element(body, "EncodingType") != "url" {
		t.Errorf("%s", body)
	}
	one = f.part("a b", id, 1, "1")
	if _, body := f.want(200, f.sign("GET", "/a%20b?encoding-type=url&uploadId="+id, "")); element(body, "Key") != "a%20b" {
		t.Errorf("%s", body)
	}
	req := f.sign("POST", "/a%20b?encoding-type=url&uploadId="+id, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+strings.Trim(one, `"`)+"</ETag></Part></CompleteMultipartUpload>")
	if _, body := f.want(200, req); element(body, "Key") != "a%20b" {
		t.Errorf("%s", body)
	}
	// The smallest part has 100 KiB.
	f = newOSSFixture(t)
	id = f.initiate("k")
	one, two = f.part("k", id, 1, strings.Repeat("x", 100<<10)), f.part("k", id, 2, strings.Repeat("x", 100<<10-1))
	f.refused(400, "EntityTooSmall", f.complete("k", id, [][3]string{{"2", two, ""}, {"3", f.part("k", id, 3, "x"), ""}}))
	f.want(200, f.complete("k", id, [][3]string{{"1", one, ""}, {"2", two, ""}}))
}

func TestOSSDeleteMany(t *testing.T) {
	f := newOSSFixture(t)
	for _, key := range []string{"a", "b", "c"} {
		f.put(key, key)
	}
	const list = "<Delete><Object><Key>a</Key></Object><Object><Key>c</Key></Object></Delete>"
	sum := md5.Sum([]byte(list))
	_, body := f.want(200, f.sign("POST", "?delete", list, "Content-Md5", base64.StdEncoding.EncodeToString(sum[:])))
	if strings.Count(body, "<Deleted>") != 2 || strings.Join(f.Keys(), "") != "b" {
		t.Errorf("%q, %s", f.Keys(), body)
	}
	f.refused(400, "InvalidArgument", f.sign("POST", "?delete", list))
	f.refused(400, "InvalidDigest", f.sign("POST", "?delete", list, "Content-Md5", "XUFAKrxLKna5cZ2REBfFkg=="))
	if _, body := f.want(200, f.sign("GET", "?location", "")); element(body, "LocationConstraint") != "oss-us-east-1" {
		t.Errorf("%s", body)
	}
}

func TestOSSTampering(t *testing.T) {
	f := newOSSFixture(t)
	f.put("k", "x")
	var trace signer.Trace
	p, err := f.other.Presign(signer.WithTrace(t.Context(), &trace), signer.Request{Method: "PUT", Key: "k", Expires: time.Minute,
		Query: url.Values{"note": {"a b"}}, Header: http.Header{"Content-Type": {"text/plain"}}})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	signature := u.Query().Get("x-oss-signature")
	for _, tt := range []struct {
		part     string
		old, new string              // in the URL
		edit     func(*http.Request) // in the request
	}{
		{part: "nothing but the signature", old: signature, new: strings.Repeat("0", 64)},
		{part: "key", old: "/demo/k", new: "/demo/l"},
		{part: "bucket", old: "/demo/k", new: "/other/k"},
		{part: "life", old: "x-oss-expires=60", new: "x-oss-expires=61"},
		{part: "date", old: "date=20261122T062407Z", new: "date=20261122T062408Z"},
		{part: "parameter's value", old: "note=a%20b", new: "note=a%20c"},
		{part: "parameter added", old: "?", new: "?z=1&"},
		{part: "method", edit: func(r *http.Request) { r.Method = "DELETE" }},
		{part: "header's value", edit: func(r *http.Request) { r.Header.Set("Content-Type", "text/html") }},
		{part: "header left out", edit: func(r *http.Request) { r.Header.Del("Content-Type") }},
		{part: "header added", edit: func(r *http.Request) { r.Header.Set("X-Oss-Meta-A", "b") }},
	} {
		t.Run(tt.part, func(t *testing.T) {
			f := &fixture{T: t, Server: f.Server}
			q := *p
			q.URL = strings.Replace(q.URL, tt.old, tt.new, 1)
			req := f.requestOf(&q, "y")
			if tt.edit != nil {
				tt.edit(req)
			}
			got := f.refused(403, "SignatureDoesNotMatch", req)
			same := tt.part == "nothing but the signature"
			if (got["StringToSign"] == string(trace.StringToSign)) != same || (got["SignatureProvided"] == signature) == same {
				t.Errorf("%v", got)
			}
			if same {
				f.wantOSS(403, f.requestOf(&q, "y"), map[string]string{"Code": "SignatureDoesNotMatch", "EC": "0002-00000201",
					"Message":        "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
					"OSSAccessKeyId": f.OSS.AccessKeyID, "SignatureProvided": strings.Repeat("0", 64), "StringToSign": string(trace.StringToSign),
					"StringToSignBytes": fmt.Sprintf("% X", trace.StringToSign)})
			}
		})
	}
	if _, body := f.want(200, f.request(signer.Request{Key: "k"}, "")); body != "x" {
		t.Errorf("%q", body)
	}
}

func TestOSSRefusals(t *testing.T) {
	f := newOSSFixture(t)
	f.put("k", "x")
	later := func(d time.Duration) *oss.Signer {
		return f.newOSS(func(c *oss.Config) { c.Clock = clock.Fixed(start.Add(d)) })
	}
	presignedBy := func(s signer.Signer, edit func(*http.Request)) *http.Request {
		p, err := s.Presign(t.Context(), signer.Request{Key: "k", Expires: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		req := f.requestOf(p, "")
		if edit != nil {
			edit(req)
		}
		return req
	}
	signedBy := func(s *oss.Signer, edit func(*http.Request)) *http.Request {
		req, err := http.NewRequest("GET", f.URL+"/demo/k", nil)
		if err == nil {
			err = s.Sign(t.Context(), req)
		}
		if err != nil {
			t.Fatal(err)
		}
		if edit != nil {
			edit(req)
		}
		return req
	}
	query := func(old, new string) func(*http.Request) {
		return func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, old, new, 1) }
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	as := func(c oss.Credentials) *oss.Signer { return f.newOSS(func(conf *oss.Config) { conf.Credentials = c }) }
	stranger := as(oss.Credentials{AccessKeyID: "NOBODY", AccessKeySecret: f.OSS.AccessKeySecret})
	withToken := as(oss.Credentials{AccessKeyID: f.OSS.AccessKeyID, AccessKeySecret: f.OSS.AccessKeySecret, SecurityToken: signer.NewSecret([]byte("token"))})
	elsewhere := f.newOSS(func(c *oss.Config) { c.Region = "cn-hangzhou" })
	const unknown = "The OSS Access Key Id you provided does not exist in our records."
	const twice = "Either the Signature query string parameter or the Authorization header should be specified, not both."
	const skewed = "The difference between the request time and the current time is too large."
	const notDone = "A header you provided implies functionality that is not implemented."
	for _, tt := range []struct {
		name   string
		req    *http.Request
		status int
		want   map[string]string
	}{
		{"no signature", presignedBy(f.other, func(r *http.Request) { r.URL.RawQuery = "x-oss-process=x" }), 403,
			map[string]string{"Code": "AccessDenied", "Message": "You have no right to access this object because of bucket acl."}},
		{"expired", presignedBy(later(-2*time.Hour), nil), 403, map[string]string{"Code": "AccessDenied", "EC": "0002-00000236", "Message": "Request has expired.",
			"Expires": "2026-11-22T04:25:07.000Z", "ServerTime": "2026-11-22T06:24:07.000Z"}},
		{"early", presignedBy(later(16*time.Minute), nil), 403, map[string]string{"Code": "AccessDenied", "Message": "Request is not yet valid.", "ServerTime": "2026-11-22T06:24:07.000Z"}},
		{"header late", signedBy(later(-16*time.Minute), nil), 403, map[string]string{"Code": "RequestTimeTooSkewed", "EC": "0002-00000504", "Message": skewed,
			"MaxAllowedSkewMilliseconds": "900000", "RequestTime": "2026-11-22T06:08:07.000Z", "ServerTime": "2026-11-22T06:24:07.000Z"}},
		{"header early", signedBy(later(16*time.Minute), nil), 403, map[string]string{"Code": "RequestTimeTooSkewed", "EC": "0002-00000504", "Message": skewed,
			"MaxAllowedSkewMilliseconds": "900000", "RequestTime": "2026-11-22T06:40:07.000Z", "ServerTime": "2026-11-22T06:24:07.000Z"}},
		{"header without a date", signedBy(f.newOSS(), func(r *http.Request) { r.Header.Del("X-Oss-Date") }), 403,
			map[string]string{"Code": "AccessDenied", "EC": "0002-00000503", "Message": "OSS authentication requires a valid Date."}},
		{"region", signedBy(elsewhere, nil), 400, map[string]string{"Code": "InvalidArgument", "EC": "0002-00000226", "Message": "Invalid signing region in Authorization header.", "Authorization": ""}},
		{"region in the query", presignedBy(elsewhere, nil), 400, map[string]string{"Code": "InvalidArgument", "EC": "0002-00000226", "Message": "oss: verify: x-oss-credential: …"}},
		{"product", signedBy(f.newOSS(), func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "/oss/", "/s3/", 1))
		}), 400, map[string]string{"Code": "InvalidArgument", "EC": "0002-00000227", "Message": "Invalid signing product in Authorization header.", "Authorization": ""}},
		{"a life too long", presignedBy(f.other, query("x-oss-expires=60", "x-oss-expires=604801")), 400, map[string]string{"Code": "InvalidArgument", "EC": "0002-00000232", "Message": "oss: verify: x-oss-expires: …"}},
		{"no life", presignedBy(f.other, query("x-oss-expires=60&", "")), 400, map[string]string{"Code": "InvalidArgument", "EC": "0002-00000215", "Message": "oss: verify: x-oss-expires: …"}},
		{"another payload", signedBy(f.newOSS(), header("X-Oss-Content-Sha256", strings.Repeat("0", 64))), 400,
			map[string]string{"Code": "InvalidArgument", "EC": "0002-00000214", "Message": "oss: verify: x-oss-content-sha256: …", "Authorization": ""}},
		{"unknown key", presignedBy(stranger, nil), 403, map[string]string{"Code": "InvalidAccessKeyId", "Message": unknown, "OSSAccessKeyId": "NOBODY"}},
		{"unknown key in the header", signedBy(stranger, nil), 403, map[string]string{"Code": "InvalidAccessKeyId", "Message": unknown, "OSSAccessKeyId": "NOBODY"}},
		{"token that is none", presignedBy(withToken, nil), 403, map[string]string{"Code": "InvalidAccessKeyId", "Message": unknown, "OSSAccessKeyId": f.OSS.AccessKeyID}},
		{"two signatures", presignedBy(f.other, header("Authorization", "OSS4-HMAC-SHA256 x")), 400, map[string]string{"Code": "InvalidArgument", "Message": twice}},
		{"a header of another vendor", presignedBy(f.other, header("X-Amz-Acl", "private")), 403, map[string]string{"Code": "AccessDenied", "Message": "oss: verify: x-amz-acl: …"}},
		{"version 1", presignedBy(f.other, func(r *http.Request) { r.URL.RawQuery = "OSSAccessKeyId=a&Expires=1&Signature=b" }), 403,
			map[string]string{"Code": "AccessDenied", "Message": "oss: verify: Signature: unsupported: …"}},

		{"no object", f.request(signer.Request{Key: "none/x"}, ""), 404, map[string]string{"Code": "NoSuchKey", "Message": "The specified key does not exist.", "Key": "none/x", "EC": "0026-00000001"}},
		{"no bucket", f.request(signer.Request{Bucket: "other", Key: "k"}, ""), 404, map[string]string{"Code": "NoSuchBucket", "Message": "The specified bucket does not exist.", "EC": "0015-00000101"}},
		{"method", f.request(signer.Request{Method: "HEAD"}, ""), 405, nil},
		{"parameter", f.request(signer.Request{Key: "k", Query: url.Values{"x-oss-process": {"image/resize,w_1"}}}, ""), 501,
			map[string]string{"Code": "NotImplemented", "Message": notDone, "Parameter": "x-oss-process"}},
		{"header", f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"X-Oss-Object-Acl": {"public-read"}}}, ""), 501,
			map[string]string{"Code": "NotImplemented", "Message": notDone, "Header": "X-Oss-Object-Acl"}},
		{"digest", f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"Content-Md5": {"XUFAKrxLKna5cZ2REBfFkg=="}}}, "hullo"), 400,
			map[string]string{"Code": "InvalidDigest", "Message": "The Content-MD5 you specified was invalid."}},
		{"metadata", f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"X-Oss-Meta-A": {strings.Repeat("m", 8<<10)}}}, ""), 400,
			map[string]string{"Code": "MetadataTooLarge", "Message": "Your metadata headers exceed the maximum allowed metadata size."}},
		{"size", func() *http.Request {
			req := f.request(signer.Request{Method: "PUT", Key: "k"}, "x")
			req.ContentLength = -1
			return req
		}(), 411, map[string]string{"Code": "MissingContentLength", "Message": "You must provide the Content-Length HTTP header."}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fixture{T: t, Server: f.Server}
			if tt.want == nil {
				f.want(tt.status, tt.req)
				return
			}
			f.wantOSS(tt.status, tt.req, tt.want)
		})
	}
	if _, body := f.want(200, f.request(signer.Request{Key: "k"}, "")); body != "x" {
		t.Errorf("%q", body)
	}
}

// HEAD has no body, and its error stands in a header.
func TestOSSHead(t *testing.T) {
	f := newOSSFixture(t)
	h, body := f.want(404, f.request(signer.Request{Method: "HEAD", Key: "none"}, ""))
	text, err := base64.StdEncoding.DecodeString(h.Get("X-Oss-Err"))
	if err != nil || body != "" {
		t.Fatalf("%v %q", err, body)
	}
	if got := elements(t, string(text)); got["Code"] != "NoSuchKey" || got["EC"] != h.Get("X-Oss-Ec") || got["RequestId"] != h.Get("X-Oss-Request-Id") {
		t.Errorf("%v", got)
	}
}

func TestOSSTemporary(t *testing.T) {
	f := newOSSFixture(t, func(c *storefake.Config) { c.Temporary = time.Hour })
	f.put("k", "x")
	bare := f.newOSS(func(c *oss.Config) {
		c.Credentials = oss.Credentials{AccessKeyID: f.OSS.AccessKeyID, AccessKeySecret: f.OSS.AccessKeySecret}
	})
	p, err := bare.Presign(t.Context(), signer.Request{Key: "k", Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	f.refused(403, "InvalidAccessKeyId", f.requestOf(p, ""))
	// The credentials die before the URL of a signer that does not know when they do.
	c := f.OSS
	c.Expires = time.Time{}
	long := f.newOSS(func(conf *oss.Config) { conf.Credentials = c })
	if p, err = long.Presign(t.Context(), signer.Request{Key: "k", Expires: 2 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	f.Clock.Advance(time.Hour - time.Second)
	f.want(200, f.requestOf(p, ""))
	f.Clock.Advance(time.Second)
	f.wantOSS(403, f.requestOf(p, ""), map[string]string{"Code": "SecurityTokenExpired", "Message": "The security token you provided has expired."})
}
