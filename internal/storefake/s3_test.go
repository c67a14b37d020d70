package storefake_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// elements parses an S3 error: the text of each element by name.
func elements(t *testing.T, body string) map[string]string {
	t.Helper()
	var e struct {
		XMLName xml.Name `xml:"Error"`
		List    []struct {
			XMLName xml.Name
			Text    string `xml:",chardata"`
		} `xml:",any"`
	}
	if err := xml.Unmarshal([]byte(body), &e); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	m := make(map[string]string)
	for _, el := range e.List {
		if _, ok := m[el.XMLName.Local]; ok {
			t.Errorf("%s is there twice", el.XMLName.Local)
		}
		m[el.XMLName.Local] = el.Text
	}
	return m
}

// wantRefusal sends a request that must be answered with this error, RequestId apart. A text that ends in … is the beginning of
// what is wanted: words of the Verifier that are not S3's.
func (f *fixture) wantRefusal(status int, req *http.Request, want map[string]string) {
	f.Helper()
	h, body := f.want(status, req)
	got := elements(f.T, body)
	if got["RequestId"] == "" || got["RequestId"] != h.Get("X-Amz-Request-Id") || h.Get("Content-Type") != "application/xml" {
		f.Errorf("RequestId %q with %v", got["RequestId"], h)
	}
	delete(got, "RequestId")
	f.sameElements(got, want)
}

// sameElements compares the elements of an error.
func (f *fixture) sameElements(got, want map[string]string) {
	f.Helper()
	for name := range want {
		if begin, open := strings.CutSuffix(want[name], "…"); got[name] != want[name] && (!open || !strings.HasPrefix(got[name], begin)) {
			f.Errorf("%s is %q, want %q", name, got[name], want[name])
		}
		delete(got, name)
	}
	if len(got) > 0 {
		f.Errorf("more than was wanted: %v", got)
	}
}

func spaced(s string) string { return fmt.Sprintf("% x", s) }

const mismatch = "The request signature we calculated does not match the signature you provided. Check your key and signing method."

// Every part of a presigned request is under the signature. The store's canonical request is that of the request as it
// came, so that comparing it with the signer's shows the difference.
func TestTampering(t *testing.T) {
	f := newFixture(t)
	f.put("k", "x")
	var trace signer.Trace
	p, err := f.signer.Presign(signer.WithTrace(t.Context(), &trace), signer.Request{Method: "PUT", Key: "k", Expires: time.Minute,
		Query: url.Values{"x-note": {"a b"}}, Header: http.Header{"Content-Type": {"text/plain"}}})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	signature := u.Query().Get("X-Amz-Signature")
	for _, tt := range []struct {
		part     string
		old, new string              // in the URL
		edit     func(*http.Request) // in the request
		from, to string              // in the canonical request
	}{
		{part: "nothing but the signature", old: signature, new: strings.Repeat("0", 64)},
		{part: "key", old: "/demo/k", new: "/demo/l", from: "/demo/k", to: "/demo/l"},
		{part: "bucket", old: "/demo/k", new: "/other/k", from: "/demo/k", to: "/other/k"},
		{part: "life", old: "X-Amz-Expires=60", new: "X-Amz-Expires=61", from: "X-Amz-Expires=60", to: "X-Amz-Expires=61"},
		{part: "date", old: "Date=20261122T062407Z", new: "Date=20261122T062408Z", from: "Date=20261122T062407Z", to: "Date=20261122T062408Z"},
		{part: "parameter's value", old: "x-note=a%20b", new: "x-note=a%20c", from: "x-note=a%20b", to: "x-note=a%20c"},
		{part: "parameter added", old: "&X-Amz-Signature", new: "&z=1&X-Amz-Signature", from: "x-note=a%20b\n", to: "x-note=a%20b&z=1\n"},
		{part: "method", edit: func(r *http.Request) { r.Method = "DELETE" }, from: "PUT\n", to: "DELETE\n"},
		{part: "header's value", edit: func(r *http.Request) { r.Header.Set("Content-Type", "text/html") }, from: "text/plain", to: "text/html"},
	} {
		t.Run(tt.part, func(t *testing.T) {
			f := &fixture{T: t, Server: f.Server, signer: f.signer}
			q := *p
			q.URL = strings.Replace(q.URL, tt.old, tt.new, 1)
			req := f.requestOf(&q, "y")
			if tt.edit != nil {
				tt.edit(req)
			}
			canonical := strings.Replace(string(trace.CanonicalRequest), tt.from, tt.to, 1)
			h, body := f.want(403, req)
			got := elements(t, body)
			if got["CanonicalRequest"] != canonical {
				t.Errorf("canonical request\n%s\nwant\n%s", got["CanonicalRequest"], canonical)
			}
			if tt.part == "nothing but the signature" {
				f.wantRefusal(403, f.requestOf(&q, "y"), map[string]string{
					"Code": "SignatureDoesNotMatch", "Message": mismatch, "AWSAccessKeyId": f.Credentials.AccessKeyID,
					"StringToSign": string(trace.StringToSign), "StringToSignBytes": spaced(string(trace.StringToSign)),
					"CanonicalRequest": canonical, "CanonicalRequestBytes": spaced(canonical),
					"SignatureProvided": strings.Repeat("0", 64),
				})
			}
			if strings.Contains(body, signature) != (got["SignatureProvided"] == signature) || h.Get("Date") == "" {
				t.Errorf("the answer holds the right signature, or no date: %s", body)
			}
		})
	}
	// Nothing came of it.
	if _, body := f.want(200, f.request(signer.Request{Key: "k"}, "")); body != "x" {
		t.Errorf("%q", body)
	}
	f.want(404, f.request(signer.Request{Key: "l"}, ""))
	// As it was signed it is served.
	f.want(200, f.requestOf(p, "y"))
}

// A wrong secret makes the canonical requests agree, and the answer does not say what the right one would have made.
func TestWrongSecret(t *testing.T) {
	f := newFixture(t)
	good := f.presign(signer.Request{Key: "k"})
	wrong := f.newSigner(func(c *s3.Config) {
		c.Credentials = s3.Credentials{AccessKeyID: f.Credentials.AccessKeyID, SecretKey: signer.NewSecret([]byte("another secret"))}
	})
	var trace signer.Trace
	p, err := wrong.Presign(signer.WithTrace(t.Context(), &trace), signer.Request{Key: "k", Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	_, body := f.want(403, f.requestOf(p, ""))
	if got := elements(t, body); got["CanonicalRequest"] != string(trace.CanonicalRequest) || got["StringToSign"] != string(trace.StringToSign) {
		t.Errorf("%s", body)
	}
	_, signature, _ := strings.Cut(good.URL, "X-Amz-Signature=")
	if strings.Contains(body, signature) || strings.Contains(body, string(f.Credentials.SecretKey.Reveal())) {
		t.Error("the refusal tells the signature, or the secret")
	}
}

func TestRefusals(t *testing.T) {
	f := newFixture(t)
	f.put("k", "x")
	later := func(d time.Duration) *s3.Signer {
		return f.newSigner(func(c *s3.Config) { c.Clock = clock.Fixed(start.Add(d)) })
	}
	presignedBy := func(s *s3.Signer, edit func(*http.Request)) *http.Request {
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
	signedBy := func(s *s3.Signer, edit func(*http.Request)) *http.Request {
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
	elsewhere := f.newSigner(func(c *s3.Config) { c.Region = "eu-west-3" })
	stranger := f.newSigner(func(c *s3.Config) {
		c.Credentials = s3.Credentials{AccessKeyID: "NOBODY", SecretKey: signer.NewSecret([]byte("a secret"))}
	})
	twice := "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified"
	loose := "There were headers present in the request which were not signed"
	unknown := "A header or parameter you provided implies functionality that is not implemented"
	for _, tt := range []struct {
		name   string
		req    *http.Request
		status int
		want   map[string]string
	}{
		{"no signature", presignedBy(f.signer, func(r *http.Request) { r.URL.RawQuery = "" }), 403,
			map[string]string{"Code": "AccessDenied", "Message": "Access Denied"}},
		{"expired", presignedBy(later(-2*time.Hour), nil), 403,
			map[string]string{"Code": "AccessDenied", "Message": "Request has expired", "X-Amz-Expires": "60",
				"Expires": "2026-11-22T04:25:07Z", "ServerTime": "2026-11-22T06:24:07Z"}},
		{"not yet valid", presignedBy(later(20*time.Minute), nil), 403,
			map[string]string{"Code": "AccessDenied", "Message": "Request is not yet valid", "X-Amz-Date": "1795329847000",
				"Expires": "2026-11-22T06:45:07Z", "ServerTime": "2026-11-22T06:24:07Z"}},
		{"header late", signedBy(later(-20*time.Minute), nil), 403,
			map[string]string{"Code": "RequestTimeTooSkewed", "Message": "The difference between the request time and the current time is too large.",
				"RequestTime": "20261122T060407Z", "ServerTime": "2026-11-22T06:24:07Z", "MaxAllowedSkewMilliseconds": "900000"}},
		{"header early", signedBy(later(20*time.Minute), nil), 403,
			map[string]string{"Code": "RequestTimeTooSkewed", "Message": "The difference between the request time and the current time is too large.",
				"RequestTime": "20261122T064407Z", "ServerTime": "2026-11-22T06:24:07Z", "MaxAllowedSkewMilliseconds": "900000"}},
		{"region in the query", presignedBy(elsewhere, nil), 400,
			map[string]string{"Code": "AuthorizationQueryParametersError", "Region": "us-east-1",
				"Message": "Error parsing the X-Amz-Credential parameter; the region 'eu-west-3' is wrong; expecting 'us-east-1'"}},
		{"region in the header", signedBy(elsewhere, nil), 400,
			map[string]string{"Code": "AuthorizationHeaderMalformed", "Region": "us-east-1",
				"Message": "The authorization header is malformed; the region 'eu-west-3' is wrong; expecting 'us-east-1'"}},
		{"unknown key", presignedBy(stranger, nil), 403,
			map[string]string{"Code": "InvalidAccessKeyId", "AWSAccessKeyId": "NOBODY", "Message": "The AWS Access Key Id you provided does not exist in our records."}},
		{"token that is none", presignedBy(f.signer, query("&X-Amz-Signed", "&X-Amz-Security-Token=t&X-Amz-Signed")), 400,
			map[string]string{"Code": "InvalidToken", "Message": "The provided token is malformed or otherwise invalid."}},
		{"two signatures", presignedBy(f.signer, header("Authorization", signedBy(f.signer, nil).Header.Get("Authorization"))), 400,
			map[string]string{"Code": "InvalidRequest", "Message": twice}},
		{"copy source", func() *http.Request {
			req := f.request(signer.Request{Method: "PUT", Key: "copy"}, "")
			req.Header.Set("X-Amz-Copy-Source", "/demo/k")
			return req
		}(), 403, map[string]string{"Code": "AccessDenied", "Message": loose, "HeadersNotSigned": "x-amz-copy-source"}},
		{"two headers", presignedBy(f.signer, func(r *http.Request) { header("X-Amz-B", "1")(r); header("X-Goog-A", "2")(r) }), 403,
			map[string]string{"Code": "AccessDenied", "Message": loose, "HeadersNotSigned": "x-amz-b, x-goog-a"}},
		{"parameter twice", presignedBy(f.signer, query("X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Expires=61")), 400,
			map[string]string{"Code": "AuthorizationQueryParametersError", "Message": "s3: verify: X-Amz-Expires: malformed: it is there twice…"}},
		{"no expiry", presignedBy(f.signer, query("X-Amz-Expires=60", "")), 400,
			map[string]string{"Code": "AuthorizationQueryParametersError", "Message": "s3: verify: X-Amz-Expires: malformed: it is missing…"}},
		{"broken header", signedBy(f.signer, header("Authorization", "AWS4-HMAC-SHA256 x")), 400,
			map[string]string{"Code": "AuthorizationHeaderMalformed", "Message": `s3: verify: Authorization: malformed: "x" is no pair…`}},

		{"no object", f.request(signer.Request{Key: "none"}, ""), 404,
			map[string]string{"Code": "NoSuchKey", "Message": "The specified key does not exist."}},
		{"no bucket", f.request(signer.Request{Bucket: "other", Key: "k"}, ""), 404,
			map[string]string{"Code": "NoSuchBucket", "Message": "The specified bucket does not exist"}},
		{"method", f.request(signer.Request{Method: "POST", Key: "k"}, ""), 405,
			map[string]string{"Code": "MethodNotAllowed", "Message": "The specified method is not allowed against this resource.", "Method": "POST"}},
		{"parameter", f.request(signer.Request{Method: "PUT", Key: "k", Query: url.Values{"tagging": {""}}}, ""), 501,
			map[string]string{"Code": "NotImplemented", "Message": unknown, "Parameter": "tagging"}},
		{"header in the query", f.request(signer.Request{Method: "PUT", Key: "k", Query: url.Values{"x-amz-acl": {"public-read"}}}, ""), 501,
			map[string]string{"Code": "NotImplemented", "Message": unknown, "Parameter": "x-amz-acl"}},
		{"header", f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"X-Amz-Tagging": {"a=b"}}}, ""), 501,
			map[string]string{"Code": "NotImplemented", "Message": unknown, "Header": "X-Amz-Tagging"}},
		{"checksum", f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"X-Amz-Checksum-Md6": {"x"}}}, ""), 501,
			map[string]string{"Code": "NotImplemented", "Message": unknown, "Header": "X-Amz-Checksum-Md6"}},
		{"precondition", f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"If-Match": {"*"}}}, ""), 501,
			map[string]string{"Code": "NotImplemented", "Message": unknown, "Header": "If-Match"}},
		{"precondition of a deletion", f.request(signer.Request{Method: "DELETE", Key: "k", Header: http.Header{"If-Match": {`"x"`}}}, ""), 501,
			map[string]string{"Code": "NotImplemented", "Message": unknown, "Header": "If-Match"}},
		{"precondition of another object", f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"If-None-Match": {`"x"`}}}, ""), 501,
			map[string]string{"Code": "NotImplemented", "Message": unknown, "Header": "If-None-Match"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fixture{T: t, Server: f.Server, signer: f.signer}
			f.wantRefusal(tt.status, tt.req, tt.want)
		})
	}
	if _, body := f.want(200, f.request(signer.Request{Key: "k"}, "")); body != "x" {
		t.Errorf("%q", body)
	}
}

// HEAD says no more than the status, and GET URLs are not for HEAD.
func TestHead(t *testing.T) {
	f := newFixture(t)
	f.put("k", "x")
	req := f.request(signer.Request{Key: "k"}, "")
	req.Method = "HEAD"
	for status, req := range map[int]*http.Request{403: req, 404: f.request(signer.Request{Method: "HEAD", Key: "none"}, "")} {
		if h, body := f.want(status, req); body != "" || h.Get("X-Amz-Request-Id") == "" {
			t.Errorf("%q %v", body, h)
		}
	}
}

// Moving the store's clock makes URLs die, on the second that ExpiresAt says.
func TestExpiry(t *testing.T) {
	f := newFixture(t)
	f.put("k", "x")
	p := f.presign(signer.Request{Key: "k"})
	f.Clock.Advance(p.ExpiresAt.Sub(start) - time.Second)
	f.want(200, f.requestOf(p, ""))
	f.Clock.Advance(time.Second)
	h, body := f.want(403, f.requestOf(p, ""))
	if got := elements(t, body); got["ServerTime"] != got["Expires"] || got["Message"] != "Request has expired" {
		t.Errorf("%v", got)
	}
	if h.Get("Date") != p.ExpiresAt.Format(http.TimeFormat) {
		t.Errorf("Date is %s", h.Get("Date"))
	}
	f.Clock.Advance(-time.Second)
	f.want(200, f.requestOf(p, ""))
}

type listing struct {
	Name, Prefix, Delimiter, NextContinuationToken, EncodingType string
	KeyCount, MaxKeys                                            int
	IsTruncated                                                  bool
	Contents                                                     []struct {
		Key, ETag, LastModified, StorageClass string
		Size                                  int64
	}
	CommonPrefixes []struct{ Prefix string }
}

func (l *listing) keys() (keys []string) {
	for _, c := range l.Contents {
		keys = append(keys, c.Key)
	}
	return keys
}

func (l *listing) prefixes() (prefixes []string) {
	for _, p := range l.CommonPrefixes {
		prefixes = append(prefixes, p.Prefix)
	}
	return prefixes
}

func (f *fixture) list(query ...string) (l listing) {
	f.Helper()
	q := url.Values{"list-type": {"2"}}
	for i := 0; i < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	_, body := f.want(200, f.request(signer.Request{Query: q}, ""))
	if err := xml.Unmarshal([]byte(body), &l); err != nil {
		f.Fatalf("%v: %s", err, body)
	}
	if l.KeyCount != len(l.Contents)+len(l.CommonPrefixes) || l.IsTruncated != (l.NextContinuationToken != "") || l.Name != f.Bucket {
		f.Errorf("%v: %+v", query, l)
	}
	return l
}

func TestList(t *testing.T) { eachXML(t, testList) }

func testList(t *testing.T, f *fixture) {
	if l := f.list(); l.KeyCount != 0 || l.MaxKeys != 1000 {
		t.Errorf("an empty store: %+v", l)
	}
	for _, key := range []string{"a/1", "a/2", "a/b/3", "a", "a-", "b", "é/ü +%", "😀", "z//y", "B"} {
		f.put(key, key)
	}
	all := []string{"B", "a", "a-", "a/1", "a/2", "a/b/3", "b", "z//y", "é/ü +%", "😀"} // in the order of bytes
	for _, tt := range []struct {
		query    []string
		keys     []string
		prefixes []string
	}{
		{nil, all, nil},
		{[]string{"prefix", "a"}, []string{"a", "a-", "a/1", "a/2", "a/b/3"}, nil},
		{[]string{"prefix", "a/"}, []string{"a/1", "a/2", "a/b/3"}, nil},
		{[]string{"prefix", "none"}, nil, nil},
		{[]string{"delimiter", "/"}, []string{"B", "a", "a-", "b", "😀"}, []string{"a/", "z/", "é/"}},
		{[]string{"delimiter", "/", "prefix", "a"}, []string{"a", "a-"}, []string{"a/"}},
		{[]string{"delimiter", "/", "prefix", "a/"}, []string{"a/1", "a/2"}, []string{"a/b/"}},
		{[]string{"delimiter", "/", "prefix", "z/"}, nil, []string{"z//"}},
		{[]string{"delimiter", "//"}, []string{"B", "a", "a-", "a/1", "a/2", "a/b/3", "b", "é/ü +%", "😀"}, []string{"z//"}},
		{[]string{"start-after", "b"}, []string{"z//y", "é/ü +%", "😀"}, nil},
		{[]string{"start-after", "a/1", "delimiter", "/"}, []string{"b", "😀"}, []string{"a/", "z/", "é/"}},
		{[]string{"encoding-type", "url", "prefix", "é/ü "}, []string{"%C3%A9/%C3%BC%20%2B%25"}, nil},
		{[]string{"encoding-type", "url", "prefix", "é", "delimiter", "/"}, nil, []string{"%C3%A9/"}},
		{[]string{"max-keys", "0"}, nil, nil},
		{[]string{"max-keys", "5000"}, all, nil},
	} {
		l := f.list(tt.query...)
		if !slices.Equal(l.keys(), tt.keys) || !slices.Equal(l.prefixes(), tt.prefixes) || l.IsTruncated {
			t.Errorf("%q: %q %q", tt.query, l.keys(), l.prefixes())
		}
	}
	if l := f.list("max-keys", "5000"); l.MaxKeys != 1000 {
		t.Errorf("MaxKeys is %d", l.MaxKeys)
	}
	l := f.list("prefix", "a/1")
	if c := l.Contents[0]; c.Size != 3 || c.ETag != `"32a390517fcc6e43df5fc5f2c94699e1"` || c.LastModified != "2026-11-22T06:24:07.000Z" || !strings.EqualFold(c.StorageClass, "STANDARD") {
		t.Errorf("%+v", c)
	}

	// Page by page it is the same, whatever the size of the pages.
	for _, delimiter := range []string{"", "/"} {
		whole := f.list("delimiter", delimiter)
		for size := 1; size <= len(all)+1; size++ {
			var keys, prefixes []string
			query := []string{"delimiter", delimiter, "max-keys", fmt.Sprint(size)}
			for pages := 0; ; pages++ {
				l := f.list(query...)
				keys, prefixes = append(keys, l.keys()...), append(prefixes, l.prefixes()...)
				if l.KeyCount > size || pages > len(all) {
					t.Fatalf("%d entries by %d, page %d", l.KeyCount, size, pages)
				}
				if !l.IsTruncated {
					break
				}
				query = append(query[:4:4], "continuation-token", l.NextContinuationToken)
			}
			if !slices.Equal(keys, whole.keys()) || !slices.Equal(prefixes, whole.prefixes()) {
				t.Errorf("delimiter %q by %d: %q %q", delimiter, size, keys, prefixes)
			}
		}
	}
}

func TestListFetchOwner(t *testing.T) {
	f := newFixture(t)
	f.put("k", "x")
	if l := f.list("fetch-owner", "false"); !slices.Equal(l.keys(), []string{"k"}) {
		t.Errorf("%q", l.keys())
	}
}

func TestListRefusals(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		query  url.Values
		status int
		want   map[string]string
	}{
		{url.Values{}, 501, map[string]string{"Code": "NotImplemented", "Parameter": "list-type"}},
		{url.Values{"list-type": {"2"}, "versions": {""}}, 501, map[string]string{"Code": "NotImplemented", "Parameter": "versions"}},
		{url.Values{"list-type": {"2"}, "max-keys": {"-1"}}, 400, map[string]string{"Code": "InvalidArgument", "ArgumentName": "max-keys", "ArgumentValue": "-1"}},
		{url.Values{"list-type": {"2"}, "max-keys": {"x"}}, 400, map[string]string{"Code": "InvalidArgument", "ArgumentName": "max-keys", "ArgumentValue": "x"}},
		{url.Values{"list-type": {"2"}, "continuation-token": {"!"}}, 400, map[string]string{"Code": "InvalidArgument", "ArgumentName": "continuation-token"}},
		{url.Values{"list-type": {"2"}, "continuation-token": {""}}, 400, map[string]string{"Code": "InvalidArgument", "ArgumentName": "continuation-token"}},
		{url.Values{"list-type": {"2"}, "encoding-type": {"utf"}}, 400, map[string]string{"Code": "InvalidArgument", "ArgumentName": "encoding-type"}},
	} {
		_, body := f.want(tt.status, f.request(signer.Request{Query: tt.query}, ""))
		got := elements(t, body)
		for name, want := range tt.want {
			if got[name] != want {
				t.Errorf("%v: %s is %q, want %q", tt.query, name, got[name], want)
			}
		}
	}
	req, err := http.NewRequestWithContext(context.Background(), "GET", f.URL+"/", nil)
	if err == nil {
		err = f.signer.Sign(t.Context(), req)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.want(501, req) // the list of buckets
}
