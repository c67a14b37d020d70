package storefake_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/signer"
)

// newGCSFixture is a store whose requests are signed for Cloud Storage, with the HMAC key.
func newGCSFixture(t *testing.T, edits ...func(*storefake.Config)) *fixture {
	t.Helper()
	f := newFixture(t, edits...)
	f.other = f.newGCS()
	return f
}

func (f *fixture) newGCS(edits ...func(*gcs.Config)) *gcs.Signer {
	f.Helper()
	c := gcs.Config{Bucket: f.Bucket, Key: f.GCSKey, Endpoint: f.Endpoint(), Clock: clock.Fixed(start)}
	for _, edit := range edits {
		edit(&c)
	}
	s, err := gcs.New(c)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// wantGCS sends a request that must be answered with this error of Google's.
func (f *fixture) wantGCS(status int, req *http.Request, want map[string]string) {
	f.Helper()
	h, body := f.want(status, req)
	if h.Get("X-Guploader-Uploadid") == "" || h.Get("Content-Type") != "application/xml" || h.Get("Date") == "" {
		f.Errorf("%v", h)
	}
	f.sameElements(elements(f.T, body), want)
}

func TestGCSRoundTrip(t *testing.T) {
	f := newGCSFixture(t)
	file, err := f.GCSKeyFile()
	if err != nil {
		t.Fatal(err)
	}
	account, err := gcs.ServiceAccountKey(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*gcs.Signer{"HMAC": f.newGCS(), "RSA": f.newGCS(func(c *gcs.Config) { c.Key = account })} {
		f.other = s
		for _, key := range []string{"k", "a/b c+d%2Fe~.jpg", "/leading", "a//b", "é😀", "trailing/", strings.Repeat("k", 1024), "!$&'()*,;=:@[]?#"} {
			h, _ := f.want(200, f.request(signer.Request{Method: "PUT", Key: key, Header: http.Header{
				"Content-Type": {"text/plain"}, "Cache-Control": {"no-cache"}, "X-Goog-Meta-Color": {"red"}}}, "hello"))
			const sums = "crc32c=mnG7TA==,md5=XUFAKrxLKna5cZ2REBfFkg==" // as other programs compute them
			if h.Get("ETag") != `"5d41402abc4b2a76b9719d911017c592"` || h.Get("X-Goog-Hash") != sums || h.Get("X-Goog-Generation") == "" {
				t.Errorf("%s, %.20q: PUT answers with %v", name, key, h)
			}
			for _, method := range []string{"GET", "HEAD"} {
				h, got := f.want(200, f.request(signer.Request{Method: method, Key: key}, ""))
				if method == "GET" && got != "hello" || method == "HEAD" && got != "" {
					t.Errorf("%s, %.20q: %s gives %q", name, key, method, got)
				}
				for header, want := range map[string]string{"Content-Type": "text/plain", "Cache-Control": "no-cache", "X-Goog-Meta-Color": "red",
					"X-Goog-Hash": sums, "X-Goog-Stored-Content-Length": "5", "X-Amz-Meta-Color": "", "Content-Length": "5"} {
					if h.Get(header) != want {
						t.Errorf("%s, %.20q: %s has %s %q, want %q", name, key, method, header, h.Get(header), want)
					}
				}
			}
			f.want(204, f.request(signer.Request{Method: "DELETE", Key: key}, ""))
			f.wantGCS(404, f.request(signer.Request{Method: "DELETE", Key: key}, ""),
				map[string]string{"Code": "NoSuchKey", "Message": "The specified key does not exist."})
		}
	}
	f.want(200, f.request(signer.Request{Method: "HEAD"}, ""))
	f.want(200, f.sign("PUT", "/k", "hello")) // in the header
	if _, body := f.want(200, f.sign("GET", "/k", "")); body != "hello" {
		t.Errorf("%q", body)
	}
}

// The file is what Google would hand out, the same at each call, and another in each store.
func TestGCSKeyFile(t *testing.T) {
	a, b := newFixture(t), newFixture(t)
	first, err := a.GCSKeyFile()
	if err != nil {
		t.Fatal(err)
	}
	again, _ := a.GCSKeyFile()
	other, _ := b.GCSKeyFile()
	var shape struct {
		Type  string `json:"type"`
		Email string `json:"client_email"`
	}
	if err := json.Unmarshal(first, &shape); err != nil || shape.Type != "service_account" || !strings.HasSuffix(shape.Email, ".iam.gserviceaccount.com") {
		t.Errorf("%v: %+v", err, shape)
	}
	if !bytes.Equal(first, again) || bytes.Equal(first, other) {
		t.Error("the file changes, or two stores have the same")
	}
	// Before it is asked for, nobody can sign as the account.
	fresh := newFixture(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := gcs.RSAKey(shape.Email, key)
	if err != nil {
		t.Fatal(err)
	}
	fresh.other = fresh.newGCS(func(c *gcs.Config) { c.Key = forged })
	fresh.refused(403, "AccessDenied", fresh.request(signer.Request{Key: "k"}, ""))
	a.other = a.newGCS(func(c *gcs.Config) { c.Key = forged })
	a.refused(403, "SignatureDoesNotMatch", a.request(signer.Request{Key: "k"}, ""))
}

// Objects are the same whoever speaks; their metadata have each provider's name.
func TestProvidersShare(t *testing.T) {
	f := newFixture(t)
	f.want(200, f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"X-Amz-Meta-Color": {"red"}}}, "x"))
	f.other = f.newGCS()
	if h, body := f.want(200, f.request(signer.Request{Key: "k"}, "")); body != "x" || h.Get("X-Goog-Meta-Color") != "red" || h.Get("X-Amz-Meta-Color") != "" {
		t.Errorf("%q %v", body, h)
	}
	if _, h, _ := f.Get("k"); h.Get("X-Amz-Meta-Color") != "red" {
		t.Errorf("%v", h)
	}
}

func TestGCSOverrides(t *testing.T) {
	f := newGCSFixture(t)
	f.put("k", "0123456789")
	r := signer.Request{Key: "k", Response: signer.ResponseHeaders{ContentType: "text/x", ContentDisposition: signer.Attachment("ü.txt")}}
	req := f.request(r, "")
	req.Header.Set("Range", "bytes=2-4")
	h, body := f.want(206, req)
	if body != "234" || h.Get("Content-Type") != "text/x" || h.Get("Content-Disposition") != signer.Attachment("ü.txt") {
		t.Errorf("%q %v", body, h)
	}
	f.wantGCS(501, f.request(signer.Request{Key: "k", Query: url.Values{"response-cache-control": {"x"}}}, ""), map[string]string{"Code": "NotImplemented",
		"Message": "A header or query you provided requested a function that is not implemented.", "Details": "response-cache-control"})
}

// A generation is a condition: 0 writes once.
func TestGCSGenerations(t *testing.T) {
	f := newGCSFixture(t, func(c *storefake.Config) { c.MaxBytes = 2 })
	put := func(generation string) *http.Request {
		return f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"X-Goog-If-Generation-Match": {generation}}}, "x")
	}
	failed := map[string]string{"Code": "PreconditionFailed", "Message": "At least one of the pre-conditions you specified did not hold.",
		"Details": "X-Goog-If-Generation-Match"}
	f.wantGCS(412, put("1"), failed)
	h, _ := f.want(200, put("0"))
	f.wantGCS(412, put("0"), failed)
	first := h.Get("X-Goog-Generation")
	h, _ = f.want(200, put(first))
	if h.Get("X-Goog-Generation") <= first {
		t.Errorf("%s after %s", h.Get("X-Goog-Generation"), first)
	}
	f.wantGCS(412, put(first), failed)
	f.refused(400, "InvalidArgument", put("x"))
	f.refused(400, "InvalidArgument", put("00"))
	remove := func(generation string) *http.Request {
		return f.request(signer.Request{Method: "DELETE", Key: "k", Header: http.Header{"X-Goog-If-Generation-Match": {generation}}}, "")
	}
	f.wantGCS(412, remove(first), failed)
	f.want(204, remove(h.Get("X-Goog-Generation")))
}

func TestGCSLengthRange(t *testing.T) {
	f := newGCSFixture(t)
	put := func(allowed, body string) *http.Request {
		return f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"X-Goog-Content-Length-Range": {allowed}}}, body)
	}
	f.want(200, put("2,4", "12"))
	f.want(200, put("2,4", "1234"))
	f.wantGCS(400, put("2,4", "12345"), map[string]string{"Code": "EntityTooLarge", "Details": "Content-length exceeds upper bound on range",
		"Message": "Your proposed upload is larger than the maximum object size specified in your Policy Document."})
	f.wantGCS(400, put("2,4", "1"), map[string]string{"Code": "EntityTooSmall", "Details": "Content-length smaller than lower bound on range",
		"Message": "Your proposed upload is smaller than the minimum object size specified in your Policy Document."})
	for _, bad := range []string{"2", "4,2", "-1,2", "a,b", "1,2,3"} {
		f.refused(400, "InvalidArgument", put(bad, "12"))
	}
	if _, body := f.want(200, f.request(signer.Request{Key: "k"}, "")); body != "1234" {
		t.Errorf("%q", body)
	}
}

// What a customer encrypts with a key of his own comes back for this key alone, and the key is nowhere in the answers.
func TestGCSCustomerKeys(t *testing.T) {
	f := newGCSFixture(t)
	keyOf := func(text string) http.Header {
		sum := sha256.Sum256([]byte(text))
		return http.Header{"X-Goog-Encryption-Algorithm": {"AES256"}, "X-Goog-Encryption-Key": {base64.StdEncoding.EncodeToString([]byte(text))},
			"X-Goog-Encryption-Key-Sha256": {base64.StdEncoding.EncodeToString(sum[:])}}
	}
	right, wrong := keyOf(strings.Repeat("k", 32)), keyOf(strings.Repeat("l", 32))
	h, _ := f.want(200, f.request(signer.Request{Method: "PUT", Key: "k", Header: right}, "hidden"))
	if h.Get("X-Goog-Encryption-Key-Sha256") != right.Get("X-Goog-Encryption-Key-Sha256") || h.Get("X-Goog-Encryption-Key") != "" {
		t.Errorf("%v", h)
	}
	h, body := f.want(200, f.request(signer.Request{Key: "k", Header: right}, ""))
	if body != "hidden" || h.Get("X-Goog-Encryption-Algorithm") != "AES256" || h.Get("X-Goog-Encryption-Key") != "" {
		t.Errorf("%q %v", body, h)
	}
	f.put("open", "x")
	edit := func(name, value string) http.Header {
		h := right.Clone()
		if h.Set(name, value); value == "" {
			h.Del(name)
		}
		return h
	}
	for code, req := range map[string]*http.Request{
		"ResourceIsEncryptedWithCustomerEncryptionKey":  f.request(signer.Request{Key: "k"}, ""),
		"CustomerEncryptionKeyIsIncorrect":              f.request(signer.Request{Key: "k", Header: wrong}, ""),
		"ResourceNotEncryptedWithCustomerEncryptionKey": f.request(signer.Request{Key: "open", Header: right}, ""),
		"CustomerEncryptionAlgorithmIsInvalid":          f.request(signer.Request{Key: "k", Header: edit("X-Goog-Encryption-Algorithm", "AES128")}, ""),
		"CustomerEncryptionKeyFormatIsInvalid":          f.request(signer.Request{Method: "PUT", Key: "k", Header: edit("X-Goog-Encryption-Key", "c2hvcnQ=")}, ""),
		"CustomerEncryptionKeySha256IsInvalid":          f.request(signer.Request{Method: "PUT", Key: "k", Header: edit("X-Goog-Encryption-Key-Sha256", "")}, ""),
	} {
		f.refused(400, code, req)
	}
	f.refused(400, "ResourceIsEncryptedWithCustomerEncryptionKey", f.sign("PUT", "/copy", "", "X-Goog-Copy-Source", "/demo/k"))
	f.refused(501, "NotImplemented", f.sign("PUT", "/copy", "", "X-Goog-Copy-Source", "/demo/open", "X-Goog-Acl", "public-read"))
	f.want(200, f.sign("PUT", "/copy", "", "X-Goog-Copy-Source", "/demo/open"))
	s3 := &fixture{T: t, Server: f.Server, signer: f.signer}
	s3.refused(501, "NotImplemented", s3.request(signer.Request{Key: "k"}, ""))
}

func TestGCSDigests(t *testing.T) {
	f := newGCSFixture(t)
	put := func(name, value string) *http.Request {
		return f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{name: {value}}}, "hello")
	}
	f.want(200, put("Content-Md5", "XUFAKrxLKna5cZ2REBfFkg=="))
	f.want(200, put("X-Goog-Hash", "crc32c=mnG7TA==, md5=XUFAKrxLKna5cZ2REBfFkg=="))
	f.refused(400, "BadDigest", put("Content-Md5", "XUFAKrxLKna5cZ2REBfFkA=="))
	f.refused(400, "InvalidDigest", put("Content-Md5", "x"))
	f.wantGCS(400, put("X-Goog-Hash", "crc32c=mnG7TB=="), map[string]string{"Code": "BadDigest", "Details": "crc32c",
		"Message": "The x-goog-hash you specified did not match what we received."})
	f.refused(400, "InvalidArgument", put("X-Goog-Hash", "sha1=x"))
	// The signed hash of a body counts too.
	sum := sha256.Sum256([]byte("hello"))
	body := f.sign("PUT", "/k", "hello", "X-Goog-Content-Sha256", fmt.Sprintf("%x", sum))
	body.Body = upper{body.Body}
	f.wantGCS(400, body, map[string]string{"Code": "BadDigest", "Message": "The body is not the one whose SHA-256 was signed.", "Details": "x-goog-content-sha256"})
}

func TestGCSTampering(t *testing.T) {
	f := newGCSFixture(t)
	f.put("k", "x")
	var trace signer.Trace
	p, err := f.other.Presign(signer.WithTrace(t.Context(), &trace), signer.Request{Method: "PUT", Key: "k", Expires: time.Minute,
		Query: url.Values{"note": {"a b"}}, Header: http.Header{"Content-Type": {"text/plain"}}})
	if err != nil {
		t.Fatal(err)
	}
	_, signature, _ := strings.Cut(p.URL, "X-Goog-Signature=")
	for _, tt := range []struct {
		part     string
		old, new string              // in the URL
		edit     func(*http.Request) // in the request
		from, to string              // in the canonical request
	}{
		{part: "nothing but the signature", old: signature, new: strings.Repeat("0", 64)},
		{part: "key", old: "/demo/k", new: "/demo/l", from: "/demo/k", to: "/demo/l"},
		{part: "bucket", old: "/demo/k", new: "/other/k", from: "/demo/k", to: "/other/k"},
		{part: "life", old: "X-Goog-Expires=60", new: "X-Goog-Expires=61", from: "X-Goog-Expires=60", to: "X-Goog-Expires=61"},
		{part: "date", old: "Date=20261122T062407Z", new: "Date=20261122T062408Z", from: "Date=20261122T062407Z", to: "Date=20261122T062408Z"},
		{part: "parameter's value", old: "note=a%20b", new: "note=a%20c", from: "note=a%20b", to: "note=a%20c"},
		{part: "parameter added", old: "&X-Goog-Signature", new: "&z=1&X-Goog-Signature", from: "note=a%20b\n", to: "note=a%20b&z=1\n"},
		{part: "method", edit: func(r *http.Request) { r.Method = "DELETE" }, from: "PUT\n", to: "DELETE\n"},
		{part: "header's value", edit: func(r *http.Request) { r.Header.Set("Content-Type", "text/html") }, from: "text/plain", to: "text/html"},
	} {
		t.Run(tt.part, func(t *testing.T) {
			f := &fixture{T: t, Server: f.Server, other: f.other}
			q := *p
			q.URL = strings.Replace(q.URL, tt.old, tt.new, 1)
			req := f.requestOf(&q, "y")
			if tt.edit != nil {
				tt.edit(req)
			}
			_, body := f.want(403, req)
			got := elements(t, body)
			canonical := strings.Replace(string(trace.CanonicalRequest), tt.from, tt.to, 1)
			if got["CanonicalRequest"] != canonical {
				t.Errorf("canonical request\n%s\nwant\n%s", got["CanonicalRequest"], canonical)
			}
			if tt.part == "nothing but the signature" {
				f.sameElements(got, map[string]string{"Code": "SignatureDoesNotMatch", "Message": "Access denied.",
					"Details":      "The request signature we calculated does not match the signature you provided. Check your Google secret key and signing method.",
					"StringToSign": string(trace.StringToSign), "CanonicalRequest": canonical})
			}
			if strings.Contains(body, signature) {
				t.Error("the answer holds the right signature")
			}
		})
	}
	if _, body := f.want(200, f.request(signer.Request{Key: "k"}, "")); body != "x" {
		t.Errorf("%q", body)
	}
	f.refused(501, "NotImplemented", f.requestOf(p, "y")) // as it was signed: "note" is what is not known
}

func TestGCSRefusals(t *testing.T) {
	f := newGCSFixture(t)
	f.put("k", "x")
	later := func(d time.Duration) signer.Signer {
		return f.newGCS(func(c *gcs.Config) { c.Clock = clock.Fixed(start.Add(d)) })
	}
	by := func(s signer.Signer, r signer.Request, edit func(*http.Request)) *http.Request {
		r.Key, r.Expires = "k", time.Minute
		p, err := s.Presign(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		req := f.requestOf(p, "")
		if edit != nil {
			edit(req)
		}
		return req
	}
	query := func(old, new string) func(*http.Request) {
		return func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, old, new, 1) }
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			if r.Header.Set(name, value); value == "" {
				r.Header.Del(name)
			}
		}
	}
	keyOf := func(id string, secret signer.Secret) signer.Signer {
		key, err := gcs.HMACKey(id, secret)
		if err != nil {
			t.Fatal(err)
		}
		return f.newGCS(func(c *gcs.Config) { c.Key = key })
	}
	put := signer.Request{Method: "PUT", Header: http.Header{"Content-Type": {"text/plain"}}}
	const malformed, missing, skewed = "Your request has a malformed header.", "Your request was missing a required header.", "The difference between the request time and the server's time is too large."
	for _, tt := range []struct {
		name   string
		req    *http.Request
		status int
		want   map[string]string
	}{
		{"no signature", by(f.other, signer.Request{}, func(r *http.Request) { r.URL.RawQuery = "generation=1"; r.Header.Set("X-Goog-User-Project", "p") }), 403,
			map[string]string{"Code": "AccessDenied", "Message": "Access denied.", "Details": "Anonymous caller does not have storage.objects.get access…"}},
		{"a header of another kind", by(f.other, signer.Request{}, func(r *http.Request) {
			r.URL.RawQuery = ""
			r.Header.Set("X-Goog-User-Project", "p")
			r.Header.Set("Authorization", "Bearer x")
		}), 401, map[string]string{"Code": "AuthenticationRequired", "Message": "Authentication required."}},
		{"expired", by(later(-2*time.Hour), signer.Request{}, nil), 400, map[string]string{"Code": "ExpiredToken", "Message": "Invalid argument.",
			"Details": "The provided token has expired. Request signature expired at: 2026-11-22T04:25:07+00:00"}},
		{"expired, which counts before the signature", by(later(-2*time.Hour), signer.Request{}, query("X-Goog-Expires=60", "X-Goog-Expires=1")), 400,
			map[string]string{"Code": "ExpiredToken", "Message": "Invalid argument.", "Details": "The provided token has expired. Request signature expired at: 2026-11-22T04:24:08+00:00"}},
		{"early", by(later(16*time.Minute), signer.Request{}, nil), 403, map[string]string{"Code": "RequestTimeTooSkewed", "Message": skewed, "Details": "gcs: verify: X-Goog-Date: …"}},
		{"a signed header left out", by(f.other, put, header("Content-Type", "")), 400, map[string]string{"Code": "MalformedSecurityHeader", "Message": malformed,
			"ParameterName": "content-type", "Details": "Header was included in signedheaders, but not in the request."}},
		{"a header too many", by(f.other, put, header("X-Goog-Content-Length-Range", "0,9")), 400, map[string]string{"Code": "MalformedSecurityHeader", "Message": malformed,
			"ParameterName": "x-goog-content-length-range", "Details": "Header must be signed."}},
		{"host not signed", by(f.other, put, query("SignedHeaders=content-type%3Bhost", "SignedHeaders=content-type")), 400,
			map[string]string{"Code": "MalformedSecurityHeader", "Message": malformed, "Details": "Host header not signed"}},
		{"no date", by(f.other, put, query("X-Goog-Date=2026", "X-Goog-Date=x")), 400, map[string]string{"Code": "MalformedSecurityHeader", "Message": malformed,
			"ParameterName": "Date", "Details": "Date not in valid ISO 8601 format."}},
		{"too long", by(f.other, put, query("X-Goog-Expires=60", "X-Goog-Expires=604801")), 400, map[string]string{"Code": "MalformedSecurityHeader", "Message": malformed,
			"ParameterName": "Expires", "Details": "Expires must be between 1 and 604800."}},
		{"cut", by(f.other, put, func(r *http.Request) {
			r.URL.RawQuery, _, _ = strings.Cut(r.URL.RawQuery, "&")
		}), 400, map[string]string{"Code": "MissingSecurityHeader", "Message": missing, "Details": "x-goog-credential"}},
		{"another scope", by(f.other, put, query("%2Fstorage%2Fgoog4", "%2Fs3%2Fgoog4")), 400,
			map[string]string{"Code": "MalformedSecurityHeader", "Message": malformed, "ParameterName": "x-goog-credential", "Details": "gcs: verify: X-Goog-Credential: …"}},
		{"unknown key", by(keyOf("GOOGNOBODY", f.GCSSecret), put, nil), 403, map[string]string{"Code": "AccessDenied", "Message": "Access denied.",
			"Details": `gcs: verify: Credential: unknown key: no HMAC key has the access ID "GOOGNOBODY"…`}},
		{"two signatures", by(f.other, put, header("Authorization", "Bearer x")), 401, map[string]string{"Code": "AuthenticationRequired", "Message": "Authentication required.", "Details": "gcs: verify: Authorization: …"}},
		{"no object", f.request(signer.Request{Key: "none"}, ""), 404, map[string]string{"Code": "NoSuchKey", "Message": "The specified key does not exist."}},
		{"no bucket", f.request(signer.Request{Bucket: "other", Key: "k"}, ""), 404, map[string]string{"Code": "NoSuchBucket", "Message": "The specified bucket does not exist."}},
		{"an acl", f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"X-Goog-Acl": {"public-read"}}}, ""), 501,
			map[string]string{"Code": "NotImplemented", "Message": "A header or query you provided requested a function that is not implemented.", "Details": "X-Goog-Acl"}},
		{"a header of another provider", f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"X-Amz-Meta-A": {"b"}}}, ""), 501,
			map[string]string{"Code": "NotImplemented", "Message": "A header or query you provided requested a function that is not implemented.", "Details": "X-Amz-Meta-A"}},
		{"method", f.request(signer.Request{Method: "POST", Key: "k"}, ""), 405, map[string]string{"Code": "MethodNotAllowed", "Message": "The specified method is not allowed against this resource."}},
		{"condition", f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"If-None-Match": {"*"}}}, ""), 501,
			map[string]string{"Code": "NotImplemented", "Message": "A header or query you provided requested a function that is not implemented.", "Details": "If-None-Match"}},
		{"range", by(f.other, signer.Request{}, header("Range", "bytes=5-")), 416, map[string]string{"Code": "InvalidRange", "Message": "The requested range cannot be satisfied.", "Details": "bytes=5-"}},
		{"metadata", f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"X-Goog-Meta-A": {strings.Repeat("m", 8<<10)}}}, ""), 400,
			map[string]string{"Code": "MetadataTooLarge", "Message": "Your metadata headers exceed the maximum allowed metadata size."}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			(&fixture{T: t, Server: f.Server}).wantGCS(tt.status, tt.req, tt.want)
		})
	}
	if _, body := f.want(200, f.request(signer.Request{Key: "k"}, "")); body != "x" {
		t.Errorf("%q", body)
	}
	// A wrong secret makes the canonical requests agree.
	_, body := f.want(403, by(keyOf(f.GCSKey.ID(), signer.NewSecret([]byte("another secret"))), put, nil))
	if strings.Contains(body, string(f.GCSSecret.Reveal())) || !strings.Contains(body, "SignatureDoesNotMatch") {
		t.Errorf("%s", body)
	}
}

func TestGCSMultipart(t *testing.T) {
	f := newGCSFixture(t, small)
	id := f.initiate("k", "X-Goog-Meta-A", "b", "Content-Type", "text/x")
	one, two := f.part("k", id, 1, "begin"), f.part("k", id, 2, "end")
	f.want(200, f.complete("k", id, [][3]string{{"1", one, ""}, {"2", two, ""}}))
	if h, body := f.want(200, f.request(signer.Request{Key: "k"}, "")); body != "beginend" || h.Get("X-Goog-Meta-A") != "b" || h.Get("Content-Type") != "text/x" {
		t.Errorf("%q %v", body, h)
	}
	id = f.initiate("l")
	one = f.part("l", id, 1, "1")
	f.refused(400, "EntityTooSmall", f.complete("l", id, [][3]string{{"1", one, ""}, {"2", f.part("l", id, 2, "2"), ""}}))
	f.refused(400, "InvalidPart", f.complete("l", id, [][3]string{{"3", one, ""}}))
	four := f.part("l", id, 4, "four")
	f.refused(400, "InvalidPartOrder", f.complete("l", id, [][3]string{{"4", four, ""}, {"4", four, ""}}))
	f.want(204, f.sign("DELETE", "/l?uploadId="+id, ""))
	f.refused(404, "NoSuchUpload", f.sign("DELETE", "/l?uploadId="+id, ""))
}

// A session needs no signature: who has its URL may upload, that one object and once.
func TestGCSResumable(t *testing.T) {
	const unit = 256 << 10
	f := newGCSFixture(t, func(c *storefake.Config) { c.MaxBytes, c.MaxObject, c.MaxUploads = 4*unit, 4*unit, 2 })
	begin := func(header ...string) string {
		t.Helper()
		h := http.Header{"X-Goog-Resumable": {"start"}, "Content-Type": {"text/x"}}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		got, _ := f.want(201, f.request(signer.Request{Method: "POST", Key: "dir/ü k", Header: h}, ""))
		if !strings.HasPrefix(got.Get("Location"), f.URL+"/demo/dir/%C3%BC%20k?upload_id=") {
			t.Fatalf("%v", got)
		}
		return got.Get("Location")
	}
	send := func(method, location, contentRange, body string) *http.Request {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, location, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if contentRange != "" {
			req.Header.Set("Content-Range", contentRange)
		}
		return req
	}
	put := func(location, contentRange, body string) *http.Request {
		return send("PUT", location, contentRange, body)
	}
	stored := func(want string) {
		t.Helper()
		if h, body := f.want(200, f.request(signer.Request{Key: "dir/ü k"}, "")); body != want || h.Get("Content-Type") != "text/x" {
			t.Errorf("%d bytes, want %d; %v", len(body), len(want), h)
		}
	}

	whole := begin()
	h, _ := f.want(200, put(whole, "", "whole"))
	if h.Get("X-Goog-Generation") == "" || h.Get("ETag") == "" {
		t.Errorf("%v", h)
	}
	stored("whole")
	f.want(200, put(whole, "bytes */5", "")) // whoever lost the answer asks again
	stored("whole")

	// In pieces, of which only multiples of 256 KiB are kept until the last.
	pieces := begin("X-Goog-If-Generation-Match", h.Get("X-Goog-Generation"))
	text := strings.Repeat("x", unit) + strings.Repeat("y", unit) + "end"
	total := len(text)
	h, _ = f.want(308, put(pieces, fmt.Sprintf("bytes */%d", total), ""))
	if h.Get("Range") != "" {
		t.Errorf("%v", h)
	}
	h, _ = f.want(308, put(pieces, fmt.Sprintf("bytes 0-%d/%d", unit+9, total), text[:unit+10]))
	if h.Get("Range") != fmt.Sprintf("bytes=0-%d", unit-1) {
		t.Errorf("%v", h)
	}
	f.refused(400, "InvalidArgument", put(pieces, fmt.Sprintf("bytes %d-%d/%d", unit+10, total-1, total), text[unit+10:]))
	stored("whole")
	// What is there already is passed over.
	h, _ = f.want(308, put(pieces, fmt.Sprintf("bytes 0-%d/%d", unit-1, total), strings.Repeat("z", unit)))
	if h.Get("Range") != fmt.Sprintf("bytes=0-%d", unit-1) {
		t.Errorf("%v", h)
	}
	h, _ = f.want(308, put(pieces, fmt.Sprintf("bytes %d-%d/*", unit-9, 2*unit-1), "zzzzzzzzz"+text[unit:2*unit]))
	if h.Get("Range") != fmt.Sprintf("bytes=0-%d", 2*unit-1) {
		t.Errorf("%v", h)
	}
	f.want(200, put(pieces, fmt.Sprintf("bytes %d-%d/%d", 2*unit, total-1, total), "end"))
	stored(text)

	for contentRange, body := range map[string]string{
		"bytes 0-4": "12345", "bytes 0-4/4": "12345", "bytes 0-3/5": "12345", "bytes 1-5/6": "12345", "0-4/5": "12345", "bytes x-4/5": "12345",
		"bytes 4-0/5": "12345", "bytes 0-4/x": "12345", "bytes */5": "12345", "bytes 0-0-0/5": "1",
	} {
		l := begin()
		f.refused(400, "InvalidArgument", put(l, contentRange, body))
		f.want(499, send("DELETE", l, "", ""))
		f.refused(404, "NoSuchUpload", put(l, "", "x"))
	}

	// What was signed for the upload holds for its bytes.
	f.refused(412, "PreconditionFailed", put(begin("X-Goog-If-Generation-Match", "0"), "", "x"))
	narrow := begin("X-Goog-Content-Length-Range", "2,4")
	f.refused(400, "EntityTooLarge", put(narrow, "", "12345"))
	f.refused(400, "EntityTooLarge", put(narrow, "bytes 0-0/5", "1"))
	f.refused(400, "EntityTooSmall", put(narrow, "", "1"))
	stored(text)
	f.want(200, put(narrow, "", "1234"))

	// A session is for its object, and bears no more than bytes.
	one, two := begin(), begin()
	f.refused(403, "QuotaExceeded", f.request(signer.Request{Method: "POST", Key: "k", Header: http.Header{"X-Goog-Resumable": {"start"}}}, ""))
	f.refused(404, "NoSuchUpload", put(strings.Replace(one, "dir/", "other/", 1), "", "x"))
	f.refused(404, "NoSuchUpload", put(one+"x", "", "x"))
	f.refused(501, "NotImplemented", put(one+"&acl", "", "x"))
	acl := put(one, "", "x")
	acl.Header.Set("X-Goog-Acl", "public-read")
	f.refused(501, "NotImplemented", acl)
	f.refused(405, "MethodNotAllowed", send("POST", one, "", "x"))
	f.refused(400, "BadDigest", func() *http.Request {
		req := put(one, "", "hello")
		req.Header.Set("Content-Md5", "XUFAKrxLKna5cZ2REBfFkA==")
		return req
	}())
	f.refused(403, "QuotaExceeded", put(one, "", strings.Repeat("x", 4*unit)))
	f.refused(400, "EntityTooLarge", put(one, "", strings.Repeat("x", 4*unit+1)))
	f.want(308, put(one, fmt.Sprintf("bytes 0-%d/*", unit-1), strings.Repeat("x", unit)))
	f.refused(400, "EntityTooLarge", put(one, fmt.Sprintf("bytes %d-%d/*", unit, 5*unit), strings.Repeat("x", 4*unit+1)))
	f.want(499, send("DELETE", one, "", ""))
	f.want(499, send("DELETE", two, "", ""))
	big := f.request(signer.Request{Method: "PUT", Key: "big"}, strings.Repeat("x", 4*unit-4))
	f.want(200, big) // nothing was lost to all these

	f.refused(400, "InvalidArgument", f.request(signer.Request{Method: "POST", Key: "k", Header: http.Header{"X-Goog-Resumable": {"stop"}}}, ""))
	late := begin()
	f.Clock.Advance(time.Hour) // the URL of the start is dead, that of the session is not
	f.want(499, send("DELETE", late, "", ""))
}

// Requests for one session do not get into each other's way: one of them brings it to its end, the others come too late.
func TestGCSResumableConcurrent(t *testing.T) {
	f := newGCSFixture(t)
	body := strings.Repeat("0123456789", 10_000)
	for range 20 {
		h, _ := f.want(201, f.request(signer.Request{Method: "POST", Key: "k", Header: http.Header{"X-Goog-Resumable": {"start"}}}, ""))
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				req, err := http.NewRequestWithContext(t.Context(), "PUT", h.Get("Location"), strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := http.DefaultTransport.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.StatusCode != 200 && resp.StatusCode != 404 { // over between the look and the lock
					t.Errorf("status %d", resp.StatusCode)
				}
			})
		}
		wg.Wait()
		if got, _, _ := f.Get("k"); string(got) != body {
			t.Errorf("%d bytes", len(got))
		}
		f.want(204, f.request(signer.Request{Method: "DELETE", Key: "k"}, ""))
	}
}
