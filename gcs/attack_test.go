package gcs_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Attacks that work on verifiers of others, or could work on this one.

// byHand signs a GET without the Signer, so that a test can sign what it never would: any header block, any list of names, any
// spelling of the parameters (rename). It returns the request's target.
func byHand(t testing.TB, key gcs.Key, path, headers, names string, rename func(string) string) string {
	t.Helper()
	if rename == nil {
		rename = func(name string) string { return name }
	}
	params := []string{
		rename("X-Goog-Algorithm") + "=" + string(key.Algorithm()),
		rename("X-Goog-Credential") + "=" + url.QueryEscape(key.ID()+"/20261124/auto/storage/goog4_request"),
		rename("X-Goog-Date") + "=20261124T235949Z",
		rename("X-Goog-Expires") + "=60",
		rename("X-Goog-SignedHeaders") + "=" + url.QueryEscape(names),
	}
	slices.Sort(params)
	query := strings.Join(params, "&")
	signature := signText(t, key, "GET\n"+path+"\n"+query+"\n"+headers+"\n"+names+"\nUNSIGNED-PAYLOAD")
	return path + "?" + query + "&" + rename("X-Goog-Signature") + "=" + signature
}

// byHandInHeader is byHand for the value of Authorization.
func byHandInHeader(t testing.TB, key gcs.Key, path, headers, names, payload string) string {
	t.Helper()
	return string(key.Algorithm()) + " Credential=" + key.ID() + "/20261124/auto/storage/goog4_request,SignedHeaders=" + names +
		",Signature=" + signText(t, key, "GET\n"+path+"\n\n"+headers+"\n"+names+"\n"+payload)
}

func signText(t testing.TB, key gcs.Key, canonicalRequest string) string {
	t.Helper()
	hash := sha256.Sum256([]byte(canonicalRequest))
	s, err := key.Sign(ctx, []byte(string(key.Algorithm())+"\n20261124T235949Z\n20261124/auto/storage/goog4_request\n"+hex.EncodeToString(hash[:])))
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(s.Bytes)
}

// textbook is an RSA PKCS #1 v1.5 signature (RFC 8017, 8.2) of a key of any length, with which crypto/rsa would not sign.
func textbook(k *rsa.PrivateKey, toSign []byte) []byte {
	digest := sha256.Sum256(toSign)
	info := append([]byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}, digest[:]...)
	em := append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, k.Size()-len(info)-3)...)
	em = append(append(em, 0), info...)
	s := new(big.Int).Exp(new(big.Int).SetBytes(em), k.D, k.N)
	return s.FillBytes(make([]byte, k.Size()))
}

// Go's zero time is a date of the year 1; it must not pass for no date at all.
func TestAttackDateOfTheYearOne(t *testing.T) {
	v := newVerifier(t)
	r := httptest.NewRequest("GET", "https://storage.googleapis.com/photos/k?X-Goog-Algorithm=GOOG4-HMAC-SHA256&X-Goog-Credential="+hmacID+"%2F00010101%2Fauto%2Fstorage%2Fgoog4_request"+
		"&X-Goog-Date=00010101T000000Z&X-Goog-Expires=60&X-Goog-SignedHeaders=host&X-Goog-Signature="+strings.Repeat("0", 64), nil)
	if _, err := v.Verify(ctx, r); !errors.Is(err, signer.ErrMalformed) {
		t.Errorf("in the query: %v", err)
	}
	r = httptest.NewRequest("GET", "https://storage.googleapis.com/photos/k", nil)
	r.Header = http.Header{"X-Goog-Date": {"00010101T000000Z"}, "X-Goog-Content-Sha256": {"UNSIGNED-PAYLOAD"},
		"Authorization": {"GOOG4-HMAC-SHA256 Credential=" + hmacID + "/00010101/auto/storage/goog4_request,SignedHeaders=host;x-goog-content-sha256;x-goog-date,Signature=" + strings.Repeat("0", 64)}}
	if _, err := v.Verify(ctx, r); !errors.Is(err, signer.ErrMalformed) {
		t.Errorf("in the header: %v", err)
	}
}

// Of one name in two spellings, one could be signed and the other be acted on. net/http delivers no such map; adapters may.
func TestAttackTwoSpellings(t *testing.T) {
	p := presign(t, newSigner(t), signer.Request{Method: "PUT", Key: "k", Expires: time.Minute, Header: http.Header{"X-Goog-Acl": {"private"}}})
	for _, h := range []http.Header{
		{"x-goog-acl": {"private"}, "X-Goog-Acl": {"public-read"}},
		{"X-GOOG-ACL": {"public-read"}, "x-Goog-Acl": {"private"}},
		{"X-Goog-Acl": {"private"}, " X-Goog-Acl": {"public-read"}},
	} {
		r := received(t, p, nil)
		r.Header = h
		g, err := newVerifier(t).Verify(ctx, r)
		wantRefusal(t, g, err, signer.ErrMalformed, "InvalidArgument")
	}
	r := received(t, p, nil)
	r.Header = http.Header{"x-goog-acl": {"private"}}
	if g, err := newVerifier(t).Verify(ctx, r); err != nil || g.Header.Get("X-Goog-Acl") != "private" || map[string][]string(r.Header)["x-goog-acl"] == nil {
		t.Errorf("one spelling: %+v, %v, the request has %q", g, err, r.Header)
	}
}

// One line with a comma and two lines have one signature. Whoever acts on the Grant, or stands behind Require, sees one value.
func TestAttackSplitHeader(t *testing.T) {
	p := presign(t, newSigner(t), signer.Request{Method: "PUT", Key: "k", Expires: time.Minute, Header: http.Header{"X-Goog-Copy-Source": {"/photos/secret,public"}}})
	r := received(t, p, nil)
	r.Header["X-Goog-Copy-Source"] = []string{"/photos/secret", "public"}
	var seen []string
	signer.Require(newVerifier(t), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen = r.Header["X-Goog-Copy-Source"] })).
		ServeHTTP(httptest.NewRecorder(), r)
	if !slices.Equal(seen, []string{"/photos/secret,public"}) {
		t.Errorf("the handler sees %q", seen)
	}
	if len(r.Header["X-Goog-Copy-Source"]) != 2 {
		t.Error("the request itself was changed")
	}
}

// Parameters of one name have the order of the signature: here that of the URL, which cannot be turned round.
func TestAttackReorderedParameters(t *testing.T) {
	p := presign(t, newSigner(t), signer.Request{Key: "k", Expires: time.Minute, Query: url.Values{"generation": {"1", "2"}}})
	r := received(t, p, nil)
	g, err := newVerifier(t).Verify(ctx, r)
	if err != nil || !slices.Equal(g.Query["generation"], []string{"1", "2"}) {
		t.Errorf("%+v, %v", g, err)
	}
	r.RequestURI = strings.Replace(r.RequestURI, "generation=1&generation=2", "generation=2&generation=1", 1)
	g, err = newVerifier(t).Verify(ctx, r)
	wantRefusal(t, g, err, signer.ErrMismatch, "SignatureDoesNotMatch")
	// Moving parameters of different names about changes nothing, and grants nothing else.
	path, query, _ := strings.Cut(received(t, p, nil).RequestURI, "?")
	parts := strings.Split(query, "&")
	r.RequestURI = path + "?" + parts[len(parts)-1] + "&" + strings.Join(parts[:len(parts)-1], "&")
	if g, err := newVerifier(t).Verify(ctx, r); err != nil || !slices.Equal(g.Query["generation"], []string{"1", "2"}) {
		t.Errorf("the signature in front: %+v, %v", g, err)
	}
}

// A lookup that finds nothing and says nothing must not make the empty key sign: anybody could.
func TestAttackEmptySecret(t *testing.T) {
	v := newVerifier(t, func(c *gcs.VerifierConfig) {
		c.Secret = func(context.Context, string) (signer.Secret, error) { return signer.Secret{}, nil }
	})
	g, err := v.Verify(ctx, received(t, presign(t, newSigner(t), signer.Request{Key: "k", Expires: time.Minute}), nil))
	wantRefusal(t, g, err, signer.ErrUnknownKey, "AccessDenied")
}

// An RSA public key is no HMAC secret: a verifier that takes the algorithm from the URL and the key from elsewhere can be made to
// use it as one.
func TestAttackPublicKeyAsSecret(t *testing.T) {
	asked := ""
	v := newVerifier(t, func(c *gcs.VerifierConfig) {
		c.Secret = func(_ context.Context, id string) (signer.Secret, error) {
			asked = id
			return signer.Secret{}, signer.ErrUnknownKey
		}
	})
	p := presign(t, newSigner(t, func(c *gcs.Config) { c.Key = rsaKey(t) }), signer.Request{Key: "k", Expires: time.Minute})
	r := received(t, p, nil)
	r.RequestURI = strings.Replace(r.RequestURI, "GOOG4-RSA-SHA256", "GOOG4-HMAC-SHA256", 1)
	g, err := v.Verify(ctx, r)
	wantRefusal(t, g, err, signer.ErrUnknownKey, "AccessDenied")
	if asked != account {
		t.Errorf("Secret was asked for %q", asked)
	}
}

// An RSA signature has one spelling; another number that is the same modulo N, or more bytes, is none.
func TestAttackMalleableSignature(t *testing.T) {
	k := testKeys()[0]
	p := presign(t, newSigner(t, func(c *gcs.Config) { c.Key = rsaKey(t) }), signer.Request{Key: "k", Expires: time.Minute})
	at := strings.Index(p.URL, "&X-Goog-Signature=") + len("&X-Goog-Signature=")
	number, _ := new(big.Int).SetString(p.URL[at:], 16)
	plusN := new(big.Int).Add(number, k.N).Text(16)
	if len(plusN)%2 == 1 {
		plusN = "0" + plusN
	}
	for _, signature := range []string{"00" + p.URL[at:], p.URL[at:] + "00", plusN, "00", "01", strings.Repeat("0", 512), k.N.Text(16)} {
		r := received(t, p, nil)
		r.RequestURI = strings.Replace(r.RequestURI, p.URL[at:], signature, 1)
		g, err := newVerifier(t).Verify(ctx, r)
		wantRefusal(t, g, err, signer.ErrMismatch, "SignatureDoesNotMatch")
	}
}

// A name that holds a line feed could be a second header.
func TestAttackSignedHeaderNames(t *testing.T) {
	for _, names := range []string{"host\nx-goog-acl", "host;a b", "host;a:b", "host;a/b", "host;é", "Host;x", "host;\x00", "host;x;", ";host", "host;host"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host, r.RequestURI = "storage.googleapis.com", byHand(t, hmacKey(t), "/photos/k", "host:storage.googleapis.com\n", names, nil)
		g, err := newVerifier(t).Verify(ctx, r)
		wantRefusal(t, g, err, signer.ErrMalformed, "MalformedSecurityHeader")
	}
}

// Strange request targets are not guessed at.
func TestAttackRequestTargets(t *testing.T) {
	p := presign(t, newSigner(t), signer.Request{Key: "k", Expires: time.Minute})
	_, query, _ := strings.Cut(p.URL, "?")
	for _, target := range []string{"https://host?evil=1/photos/k?", "foo:bar?x=://h/photos/k?", "ftp://h/photos/k?", "photos/k?", "https://storage.googleapis.com?"} {
		r := received(t, p, nil)
		r.RequestURI = target + query
		g, err := newVerifier(t).Verify(ctx, r)
		wantRefusal(t, g, err, signer.ErrMalformed, "InvalidURI")
	}
	for path, host := range map[string]string{"/photos/k%00": "", "/photos/%ff": "", "//k": "", "/photos%2f..%2fk%00": "", "/k": ".storage.googleapis.com", "/%2e%2e/k": "", "/a%40b/k": "", "/a%3ab/k": ""} {
		r := received(t, p, nil)
		r.RequestURI = path + "?" + query
		if host != "" {
			r.Host = host
		}
		if _, err := newVerifier(t).Verify(ctx, r); !errors.Is(err, signer.ErrMalformed) && !errors.Is(err, signer.ErrScope) {
			t.Errorf("%s at %q: %v", path, host, err)
		}
	}
	if _, err := newVerifier(t).Verify(ctx, nil); !errors.Is(err, signer.ErrMalformed) {
		t.Errorf("no request: %v", err)
	}
}

// Dot segments are bytes of a name here, to signer and verifier alike; what a client resolves is another path.
func TestAttackDotSegments(t *testing.T) {
	req, _ := http.NewRequest("GET", "https://storage.googleapis.com/photos/public/../secret", nil)
	p, err := newSigner(t).PresignRequest(ctx, req, signer.Options{Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	r := received(t, p, nil)
	if g, err := newVerifier(t).Verify(ctx, r); err != nil || g.Key != "public/../secret" {
		t.Errorf("%+v, %v", g, err)
	}
	_, query, _ := strings.Cut(r.RequestURI, "?")
	for _, path := range []string{"/photos/secret", "/photos/public/%2e%2e%2fsecre", "/photos/public//../secret"} {
		r.RequestURI = path + "?" + query
		g, err := newVerifier(t).Verify(ctx, r)
		wantRefusal(t, g, err, signer.ErrMismatch, "SignatureDoesNotMatch")
	}
}

// A decoder that stops at the end of a value must not miss that the body is another one.
func TestAttackBodyOfTheSameForm(t *testing.T) {
	for name, use := range map[string]func(r *http.Request) error{
		"json":     func(r *http.Request) error { return json.NewDecoder(r.Body).Decode(new(any)) },
		"ReadFull": func(r *http.Request) error { _, err := io.ReadFull(r.Body, make([]byte, r.ContentLength)); return err },
		"ReadAll":  func(r *http.Request) error { _, err := io.ReadAll(r.Body); return err },
	} {
		req, _ := http.NewRequest("PUT", "https://storage.googleapis.com/photos/k", strings.NewReader(`{"amount":1}`))
		if err := conformanceHashBody(req); err != nil {
			t.Fatal(err)
		}
		if err := newSigner(t).Sign(ctx, req); err != nil {
			t.Fatal(err)
		}
		in := arrive(req)
		in.Body = io.NopCloser(strings.NewReader(`{"amount":9}`))
		called := false
		signer.Require(newVerifier(t), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			called = true
			if err := use(r); !errors.Is(err, signer.ErrMismatch) {
				t.Errorf("%s: %v", name, err)
			}
		})).ServeHTTP(httptest.NewRecorder(), in)
		if !called {
			t.Errorf("%s: the request was refused", name)
		}
	}
}

// What stands in the wrong place may be a secret.
func TestAttackErrorsDoNotRepeat(t *testing.T) {
	secret := strings.NewReplacer("/", "x", "+", "y").Replace(hmacSecret)
	sig := strings.Repeat("0123456789abcdef", 32)
	for _, header := range []string{
		"Credential=ID/20261124/auto/storage/goog4_request,SignedHeaders=host Signature=" + sig,
		"Credential=ID/20261124/auto/storage/goog4_request,SignedHeaders=host;Signature=" + sig,
		"Credential=ID/20261124/auto/storage/goog4_request Signature=" + sig + ",SignedHeaders=host",
		"Credential=ID/20261124/auto/storage/" + sig + ",SignedHeaders=host,Signature=" + sig,
		"Credential=ID/" + secret + "/auto/storage/goog4_request,SignedHeaders=host,Signature=" + sig,
		"Credential=" + secret + "/20261124/auto/storage/goog4_request,SignedHeaders=host;x-goog-content-sha256;x-goog-date,Signature=" + sig,
		"Credential=ID/20261124/" + secret + "/storage/goog4_request,SignedHeaders=host;x-goog-content-sha256;x-goog-date,Signature=" + sig,
		"Credential=ID/20261124/auto/storage/goog4_request,SignedHeaders=" + secret + ",Signature=" + sig,
		secret + "," + sig,
		secret + "=1," + sig + "=2",
	} {
		r := httptest.NewRequest("GET", "https://storage.googleapis.com/photos/k", nil)
		r.Header.Set("Authorization", "GOOG4-HMAC-SHA256 "+header)
		r.Header.Set("X-Goog-Date", "20261124T235949Z")
		r.Header.Set("X-Goog-Content-Sha256", "UNSIGNED-PAYLOAD")
		v := newVerifier(t, func(c *gcs.VerifierConfig) { c.Location = "auto" })
		_, err := v.Verify(ctx, r)
		if err == nil || strings.Contains(err.Error(), "0123456789abc") || strings.Contains(err.Error(), secret[:12]) {
			t.Errorf("%s\n%v", header, err)
		}
		// The same in a query.
		q := url.Values{"X-Goog-Algorithm": {header}, "X-Goog-Credential": {header}, "X-Goog-Date": {header}, "X-Goog-Expires": {header}, "X-Goog-SignedHeaders": {header}, "X-Goog-Signature": {header}}
		_, err = v.Verify(ctx, httptest.NewRequest("GET", "https://storage.googleapis.com/photos/k?"+q.Encode()+"&a=%zz"+secret, nil))
		if err == nil || strings.Contains(err.Error(), "0123456789abc") || strings.Contains(err.Error(), secret[:12]) {
			t.Errorf("%s\n%v", header, err)
		}
	}
}

// A stranger cannot fill memory with faults.
func TestVerifyBoundsFaults(t *testing.T) {
	for name, r := range map[string]*http.Request{
		"parameters": httptest.NewRequest("GET", "https://storage.googleapis.com/photos/k?"+strings.Repeat("X-Goog-Date=1&", 70000), nil),
		"escapes":    httptest.NewRequest("GET", "https://storage.googleapis.com/photos/k?X-Goog-Date=1&"+strings.Repeat("%zz&", 250000), nil),
		"pairs":      inHeader("GOOG4-HMAC-SHA256 " + strings.Repeat("Signature=,", 90000)),
		"words":      inHeader("GOOG4-HMAC-SHA256 " + strings.Repeat("a=b,c,", 160000)),
	} {
		_, err := newVerifier(t).Verify(ctx, r)
		if err == nil || len(err.Error()) > 10000 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

func inHeader(auth string) *http.Request {
	r := httptest.NewRequest("GET", "https://storage.googleapis.com/photos/k", nil)
	r.Header.Set("Authorization", auth)
	r.Header.Set("X-Goog-Date", "20261124T235949Z")
	r.Header.Set("X-Goog-Content-Sha256", "UNSIGNED-PAYLOAD")
	return r
}

// longRequests are requests of n parts of a stranger's choice, none of which is accepted.
func longRequests() map[string]func(n int) *http.Request {
	numbered := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	const auth = "X-Goog-Algorithm=GOOG4-HMAC-SHA256&X-Goog-Credential=" + hmacID + "%2F20261124%2Fauto%2Fstorage%2Fgoog4_request&X-Goog-Date=20261124T235949Z&X-Goog-Expires=60&X-Goog-Signature=00&X-Goog-SignedHeaders=host"
	return map[string]func(n int) *http.Request{
		"parameters": func(n int) *http.Request {
			return httptest.NewRequest("GET", "https://storage.googleapis.com/photos/k?"+auth+numbered(n, "&p%09d=1"), nil)
		},
		"parameters of one name": func(n int) *http.Request {
			return httptest.NewRequest("GET", "https://storage.googleapis.com/photos/k?"+auth+strings.Repeat("&parameter=1", n), nil)
		},
		"signed headers": func(n int) *http.Request {
			r := httptest.NewRequest("GET", "https://storage.googleapis.com/photos/k?"+auth+numbered(n, "%%3Bx-goog-meta-%07d"), nil)
			for i := range n {
				r.Header[fmt.Sprintf("X-Goog-Meta-%07d", i)] = []string{"1"}
			}
			return r
		},
		"unsigned headers": func(n int) *http.Request {
			r := httptest.NewRequest("GET", "https://storage.googleapis.com/photos/k?"+auth, nil)
			for i := range n {
				r.Header[fmt.Sprintf("X-Goog-Meta-%07d", i)] = []string{"1"}
			}
			return r
		},
		"pairs of Authorization": func(n int) *http.Request { return inHeader("GOOG4-HMAC-SHA256 " + numbered(n, "a%09d=b,")) },
		"a long path": func(n int) *http.Request {
			r := httptest.NewRequest("GET", "https://storage.googleapis.com/photos/k?"+auth, nil)
			r.RequestURI = "/photos/" + strings.Repeat("%2Fa", n) + "?" + auth
			return r
		},
	}
}

// A stranger's megabyte takes memory in proportion to its length: ten times the parts, hardly more than ten times the bytes, through
// all that is read, sorted and joined. BenchmarkAttackLongRequests has the same for time.
func TestAttackMemoryGrowsWithLength(t *testing.T) {
	v := newVerifier(t)
	for name, request := range longRequests() {
		cost := func(n int) uint64 {
			r := request(n)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			g, err := v.Verify(ctx, r)
			runtime.ReadMemStats(&after)
			if g != nil || !documented(err) {
				t.Fatalf("%s: %v, %v", name, g, err)
			}
			return after.TotalAlloc - before.TotalAlloc
		}
		if small, large := cost(8000), cost(80000); large > 15*small {
			t.Errorf("%s: 8,000 take %d bytes, 80,000 take %d", name, small, large)
		}
	}
}

// Compare the nanoseconds per part: they do not grow with the number of parts, but for what sorting adds.
func BenchmarkAttackLongRequests(b *testing.B) {
	for name, request := range longRequests() {
		for _, n := range []int{100, 1000, 10000, 80000} {
			v, r := newVerifier(b), request(n)
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					if _, err := v.Verify(ctx, r); err == nil {
						b.Fatal("accepted")
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/part")
			})
		}
	}
}

// Names of headers come from strangers: they are cut before they go into an error.
func TestAttackLongHeaderNames(t *testing.T) {
	p := presign(t, newSigner(t), signer.Request{Key: "k", Expires: time.Minute})
	long := "x-goog-" + strings.Repeat("a", 500_000)
	loose := received(t, p, nil)
	loose.Header[http.CanonicalHeaderKey(long)] = []string{"1"}
	missing := received(t, p, nil)
	missing.RequestURI = strings.Replace(missing.RequestURI, "SignedHeaders=host", "SignedHeaders=host%3B"+long, 1)
	for name, r := range map[string]*http.Request{"unsigned": loose, "missing": missing} {
		if _, err := newVerifier(t).Verify(ctx, r); err == nil || len(err.Error()) > 500 {
			t.Errorf("%s: an error of %d bytes", name, len(fmt.Sprint(err)))
		}
	}
}
