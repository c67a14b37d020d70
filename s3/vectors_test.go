package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/vector"
	"github.com/cloudsigner/cloudsigner/signer"
)

// inputs are the fields that every SigV4 vector has.
type inputs struct {
	creds                           Credentials
	region, service                 string
	time                            time.Time
	stamp                           sigv4.Stamp
	scope                           scope
	method, scheme, host, path      string
	query, headers                  [][2]string
	payload, bucket, key, addressed string
}

func readInputs(t *testing.T, v *vector.Vector) inputs {
	t.Helper()
	in := inputs{
		creds: Credentials{
			AccessKeyID: v.Get(t, "access-key-id"),
			SecretKey:   signer.NewSecret([]byte(v.Get(t, "secret-access-key"))),
		},
		region: v.Get(t, "region"), service: v.Get(t, "service"),
		method: v.Get(t, "method"), scheme: v.Get(t, "scheme"), host: v.Get(t, "host"), path: v.Get(t, "path"),
		query: v.Pairs(t, "query", "="), headers: v.Pairs(t, "header", ": "),
		payload: v.Get(t, "payload-hash"),
	}
	in.bucket, _ = v.Lookup(t, "bucket")
	in.key, _ = v.Lookup(t, "key")
	in.addressed, _ = v.Lookup(t, "addressing")
	unix, err := strconv.ParseInt(v.Get(t, "time-unix"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	in.time = time.Unix(unix, 0)
	in.stamp = sigv4.StampOf(unix)
	if string(in.stamp[:]) != v.Get(t, "time") {
		t.Fatalf("stamp %s, the vector says %s", in.stamp, v.Get(t, "time"))
	}
	in.scope.Scope = sigv4.Scope{Date: in.stamp.Date(), Region: in.region, Service: in.service}
	if body, ok := v.Lookup(t, "body"); ok {
		sum := sha256.Sum256([]byte(body))
		if got := hex.EncodeToString(sum[:]); got != in.payload {
			t.Errorf("body hashes to %s, the vector says %s", got, in.payload)
		}
	}
	return in
}

// rawQuery is the query as a client would write it.
func (in *inputs) rawQuery() string {
	var q []string
	for _, p := range in.query {
		q = append(q, url.QueryEscape(p[0])+"="+url.QueryEscape(p[1]))
	}
	return strings.Join(q, "&")
}

// request is the request of a vector before it is signed.
func (in *inputs) request(t *testing.T) *http.Request {
	t.Helper()
	req, err := http.NewRequest(in.method, in.scheme+"://"+in.host+in.path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.URL.RawQuery = in.rawQuery()
	for _, h := range in.headers {
		if h[0] != "x-amz-date" && h[0] != "X-Amz-Date" { // the signer sets it
			req.Header.Set(h[0], h[1])
		}
	}
	return req
}

// canonical runs the functions of the scheme up to the canonical request, with these parameters in the query.
func (in *inputs) canonical(t *testing.T, w *sigv4.Scratch, rawQuery string) []byte {
	t.Helper()
	w.Reset()
	w.AddHeader("host", in.host)
	for _, h := range in.headers {
		w.AddHeader(h[0], h[1])
	}
	if err := w.SortHeaders(opPresign()); err != nil {
		t.Fatal(err)
	}
	if err := w.CanonicalPathAndQuery(opPresign(), in.path, rawQuery); err != nil {
		t.Fatal(err)
	}
	return appendCanonicalRequest(nil, in.method, w.Path, w.Query, w.Headers, in.payload)
}

// stages compares whatever stages the vector has.
func stages(t *testing.T, v *vector.Vector, got map[string]string) {
	t.Helper()
	for name, value := range got {
		if want, ok := v.Lookup(t, name); ok && value != want {
			t.Errorf("%s\n got %q\nwant %q", name, value, want)
		}
	}
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestPresignedURLVectors(t *testing.T) {
	found := 0
	vector.Run(t, "testdata/vectors/*-query-*.txt", func(t *testing.T, v *vector.Vector) {
		found++
		if v.Kind != "presigned-url" {
			t.Fatalf("kind %q", v.Kind)
		}
		in := readInputs(t, v)
		expires, err := strconv.ParseInt(v.Get(t, "expires"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}

		// The scheme's functions, with the vector's service and payload hash.
		var w sigv4.Scratch
		in.canonical(t, &w, "") // for w.Headers
		key := family().NewKey(in.creds.SecretKey, in.scope.Scope)
		params := string(appendAuthParams(nil, in.creds.AccessKeyID, key, signer.Secret{}, in.stamp, &in.scope, expires, w.Headers))
		query := params
		if len(in.query) > 0 {
			query = in.rawQuery() + "&" + params
		}
		canonical := in.canonical(t, &w, query)
		toSign := appendStringToSign(nil, in.stamp, &in.scope, canonical)
		signature := string(key.AppendSignature(nil, toSign))
		stages(t, v, map[string]string{
			"canonical request":        string(canonical),
			"canonical request sha256": hexSum(canonical),
			"string to sign":           string(toSign),
			"signature":                signature,
			"url":                      in.scheme + "://" + in.host + in.path + "?" + query + "&X-Amz-Signature=" + signature,
		})
		if in.service != "s3" {
			return // through the API such requests are signed with UNSIGNED-PAYLOAD, which only S3 takes
		}

		// The API: from bucket and key, from a finished URL, appended, and verified.
		addressing := signer.AddressingVirtualHost
		if in.addressed == "path" {
			addressing = signer.AddressingPath
		}
		s, err := New(Config{Region: "aws-global", Bucket: in.bucket, Addressing: addressing, Credentials: in.creds, Clock: clock.Fixed(in.time), Backdate: -1})
		if err != nil {
			t.Fatal(err)
		}
		life := time.Duration(expires) * time.Second
		fromKey, err := s.Presign(context.Background(), signer.Request{Key: in.key, Expires: life})
		if err != nil {
			t.Fatal(err)
		}
		fromURL, err := s.PresignRequest(context.Background(), in.request(t), signer.Options{Expires: life})
		if err != nil {
			t.Fatal(err)
		}
		appended, dies, err := s.AppendURL(context.Background(), []byte("before "), signer.Request{Key: in.key, Expires: life})
		if err != nil || !dies.Equal(in.time.Add(life)) {
			t.Errorf("AppendURL: dies %v, error %v", dies, err)
		}
		_, got, _ := strings.Cut(fromKey.URL, "&X-Amz-Signature=")
		stages(t, v, map[string]string{"url": fromKey.URL, "signature": got})
		if fromURL.URL != fromKey.URL || string(appended) != "before "+fromKey.URL {
			t.Errorf("three ways, three URLs:\n%s\n%s\n%s", fromKey.URL, fromURL.URL, appended)
		}
		verifyVector(t, in, httptest.NewRequest(in.method, fromKey.URL, nil))
	})
	if found != 3 {
		t.Errorf("%d vectors, want 3", found)
	}
}

func TestHeaderVectors(t *testing.T) {
	found := 0
	vector.Run(t, "testdata/vectors/*-header-[glp]*.txt", func(t *testing.T, v *vector.Vector) {
		found++
		if v.Kind != "authorization-header" {
			t.Fatalf("kind %q", v.Kind)
		}
		in := readInputs(t, v)
		var w sigv4.Scratch
		canonical := in.canonical(t, &w, in.rawQuery())
		toSign := appendStringToSign(nil, in.stamp, &in.scope, canonical)
		key := family().NewKey(in.creds.SecretKey, in.scope.Scope)
		if want, ok := v.Lookup(t, "signing key"); ok {
			if got := hex.EncodeToString(family().DeriveKey(in.creds.SecretKey.Reveal(), in.scope.Scope)); got != want {
				t.Errorf("signing key %s, want %s", got, want)
			}
		}
		authorization := string(appendAuthorization(nil, in.creds.AccessKeyID, &in.scope, w.Headers, key, toSign))
		published := v.Get(t, "authorization")
		stages(t, v, map[string]string{
			"canonical request":        string(canonical),
			"canonical request sha256": hexSum(canonical),
			"string to sign":           string(toSign),
			"signature":                string(key.AppendSignature(nil, toSign)),
		})
		if got, want := authorization, strings.ReplaceAll(published, ", ", ","); got != want { // both separators are published
			t.Errorf("authorization\n got %s\nwant %s", got, want)
		}
		if _, err := ParseAuthorization(published); err != nil {
			t.Errorf("the published header does not parse: %v", err)
		}
		if in.service != "s3" {
			return
		}
		s, err := New(Config{Region: in.region, Credentials: in.creds, Clock: clock.Fixed(in.time)})
		if err != nil {
			t.Fatal(err)
		}
		req := in.request(t)
		if err := s.Sign(context.Background(), req); err != nil {
			t.Fatal(err)
		}
		if got := req.Header.Get("Authorization"); got != published {
			t.Errorf("Sign\n got %s\nwant %s", got, published)
		}
		verifyVector(t, in, req)
	})
	if found != 5 {
		t.Errorf("%d vectors, want 5", found)
	}
}

// verifyVector verifies a vector as it stands and with its path changed.
func verifyVector(t *testing.T, in inputs, req *http.Request) {
	t.Helper()
	v, err := NewVerifier(VerifierConfig{
		Region: in.region, Clock: clock.Fixed(in.time),
		Lookup: func(context.Context, string) (Credentials, error) { return in.creds, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	g, err := v.Verify(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	if g.Bucket != in.bucket || g.Key != in.key || g.Method != in.method || g.KeyID != in.creds.AccessKeyID {
		t.Errorf("the grant is for %s %s/%s by %s", g.Method, g.Bucket, g.Key, g.KeyID)
	}
	req.URL.Path += "x"
	req.URL.RawPath, req.RequestURI = "", ""
	if _, err := v.Verify(context.Background(), req); err == nil {
		t.Error("accepted with another path")
	}
}

func TestSigningKeyVectors(t *testing.T) {
	found := 0
	vector.Run(t, "testdata/vectors/iam-signing-key-*.txt", func(t *testing.T, v *vector.Vector) {
		found++
		v.Ignore("access-key-id") // some have one; a key does not depend on it
		scope := sigv4.Scope{Date: sigv4.Date([]byte(v.Get(t, "date"))), Region: v.Get(t, "region"), Service: v.Get(t, "service")}
		secret := []byte(v.Get(t, "secret-access-key"))
		stages(t, v, map[string]string{
			"k secret":    hex.EncodeToString([]byte("AWS4" + string(secret))),
			"signing key": hex.EncodeToString(family().DeriveKey(secret, scope)),
		})
		secret = append([]byte("AWS4"), secret...)
		date, region := string(scope.Date[:]), scope.Region
		stages(t, v, map[string]string{
			"k date":    hex.EncodeToString(sigv4.Chain(secret, date)),
			"k region":  hex.EncodeToString(sigv4.Chain(secret, date, region)),
			"k service": hex.EncodeToString(sigv4.Chain(secret, date, region, scope.Service)),
		})
	})
	if found != 2 {
		t.Errorf("%d vectors, want 2", found)
	}
}

// A published value that nothing reproduces is a sample of the form, and parses as one.
func TestUnreproducibleVector(t *testing.T) {
	vector.Run(t, "testdata/vectors/*-unreproducible-*.txt", func(t *testing.T, v *vector.Vector) {
		if v.Kind != "unreproducible" {
			t.Fatalf("kind %q", v.Kind)
		}
		a, err := ParseAuthorization("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, " +
			"SignedHeaders=" + strings.Join(v.All("signed-header"), ";") + ", Signature=" + v.Get(t, "signature"))
		if err != nil || a.Signature != v.Get(t, "signature") {
			t.Errorf("%+v, %v", a, err)
		}
	})
}
