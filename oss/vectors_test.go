package oss

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/vector"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// inputs are the fields that vectors of version 4 have.
type inputs struct {
	id, secret, region, product string
	time                        time.Time
	stamp                       sigv4.Stamp
	scope                       sigv4.Scope
	method, url, host           string
	bucket, key                 string
	headers                     [][2]string
	additional                  []string
}

func readInputs(t *testing.T, v *vector.Vector) inputs {
	t.Helper()
	in := inputs{
		id: v.Get(t, "access-key-id"), region: v.Get(t, "region"), product: v.Get(t, "product"),
		time: unix(t, v, "time-unix"), method: v.Get(t, "method"), bucket: v.Get(t, "bucket"), key: v.Get(t, "key"),
		headers: v.Pairs(t, "header", ": "), additional: v.All("additional-header"),
	}
	in.secret, _ = v.Lookup(t, "access-key-secret")
	in.host = in.bucket + ".oss-" + in.region + ".aliyuncs.com"
	if host, ok := v.Lookup(t, "host"); ok && (host != in.host || v.Get(t, "scheme") != "https" || v.Get(t, "addressing") != "virtual") {
		t.Fatalf("host %s, want %s", host, in.host)
	}
	in.url = "https://" + in.host + "/" + in.key
	in.stamp = sigv4.StampOf(in.time.Unix())
	if string(in.stamp[:]) != v.Get(t, "time") {
		t.Fatalf("stamp %s, the vector says %s", in.stamp, v.Get(t, "time"))
	}
	in.scope = sigv4.Scope{Date: in.stamp.Date(), Region: in.region, Service: in.product}
	return in
}

func unix(t *testing.T, v *vector.Vector, name string) time.Time {
	t.Helper()
	seconds, err := strconv.ParseInt(v.Get(t, name), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(seconds, 0)
}

func (in *inputs) creds() Credentials {
	return Credentials{AccessKeyID: in.id, AccessKeySecret: signer.NewSecret([]byte(in.secret))}
}

// scratch has the headers of the vector and more.
func (in *inputs) scratch(t *testing.T, more ...[2]string) *sigv4.Scratch {
	t.Helper()
	w := new(sigv4.Scratch)
	for _, h := range append(more, in.headers...) {
		addTrimmed(w, h[0], h[1])
	}
	if slices.Contains(in.additional, "host") {
		w.AddHost([]byte(in.host))
	}
	if err := w.SortHeaders(opPresign()); err != nil {
		t.Fatal(err)
	}
	return w
}

// stages compares the stages of a signature, all of which the vector must have.
func (in *inputs) stages(t *testing.T, v *vector.Vector, query []byte, w *sigv4.Scratch, key []byte) (toSign []byte) {
	t.Helper()
	canonical := appendCanonicalRequest(nil, in.method, in.bucket, wire.AppendEscapePath(nil, in.key), query, w.Headers)
	sum := sha256.Sum256(canonical)
	toSign = appendStringToSign(nil, in.stamp[:], &in.scope, canonical)
	line := strings.Split(string(canonical), "\n")
	for name, got := range map[string]string{
		"canonical uri":            line[1],
		"canonical query":          line[2],
		"canonical headers":        strings.Join(line[3:len(line)-2], "\n"),
		"additional headers":       string(appendAdditional(nil, w.Headers, ";")),
		"canonical request":        string(canonical),
		"canonical request sha256": hex.EncodeToString(sum[:]),
		"string to sign":           string(toSign),
		"signature":                hex.EncodeToString(sigv4.Chain(key, string(toSign))),
	} {
		if want := v.Get(t, name); got != want {
			t.Errorf("%s\n got %q\nwant %q", name, got, want)
		}
	}
	return toSign
}

// signingKey is the vector's, which the secret must yield where one is printed.
func (in *inputs) signingKey(t *testing.T, v *vector.Vector) []byte {
	t.Helper()
	if in.secret == "" {
		key, err := hex.DecodeString(v.Get(t, "signing-key"))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	key := family().DeriveKey([]byte(in.secret), in.scope)
	if got, want := hex.EncodeToString(key), v.Get(t, "signing key"); got != want {
		t.Errorf("signing key %s, want %s", got, want)
	}
	return key
}

func TestHeaderVectors(t *testing.T) {
	found := 0
	vector.Run(t, "testdata/vectors/header-*.txt", func(t *testing.T, v *vector.Vector) {
		found++
		if v.Kind != "authorization-header" {
			t.Fatalf("kind %q", v.Kind)
		}
		in := readInputs(t, v)
		w := in.scratch(t, [2]string{"x-oss-date", string(in.stamp[:])}, [2]string{contentSHA256, unsignedPayload})
		key := in.signingKey(t, v)
		in.stages(t, v, nil, w, key)
		published := v.Get(t, "authorization")
		a, err := ParseAuthorization(published)
		if err != nil || a.AccessKeyID != in.id || a.Date != string(in.scope.Date[:]) || a.Region != in.region || a.Product != in.product ||
			!slices.Equal(a.AdditionalHeaders, in.additional) || a.Signature != v.Get(t, "signature") {
			t.Errorf("the published header parses as %+v, %v", a, err)
		}
		if in.secret == "" {
			return // the page prints a secret that does not belong to its signing key
		}

		// The API.
		s, err := New(Config{Region: in.region, Credentials: in.creds(), Clock: clock.Fixed(in.time), AdditionalHeaders: in.additional})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest(in.method, in.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range in.headers {
			if h[0] == "content-length" {
				req.Body = http.NoBody
				req.ContentLength, _ = strconv.ParseInt(h[1], 10, 64)
			} else {
				req.Header.Set(h[0], h[1])
			}
		}
		if err := s.Sign(context.Background(), req); err != nil {
			t.Fatal(err)
		}
		if got := req.Header.Get("Authorization"); got != published {
			t.Errorf("Sign\n got %s\nwant %s", got, published)
		}
		verifyVector(t, in, req)
	})
	if found != 3 {
		t.Errorf("%d vectors, want 3", found)
	}
}

func TestPresignedURLVectors(t *testing.T) {
	found := 0
	vector.Run(t, "testdata/vectors/presign-*.txt", func(t *testing.T, v *vector.Vector) {
		found++
		if v.Kind != "presigned-url" {
			t.Fatalf("kind %q", v.Kind)
		}
		in := readInputs(t, v)
		expires, err := strconv.ParseInt(v.Get(t, "expires"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		w := in.scratch(t)
		query := appendQuery(nil, nil, in.id, family().NewKey(in.creds().AccessKeySecret, in.scope), signer.Secret{}, in.stamp, &in.scope, expires, w.Headers)[1:]
		in.stages(t, v, query, w, in.signingKey(t, v))

		// The API: from bucket and key, from a finished URL, appended, and verified.
		s, err := New(Config{Region: in.region, Bucket: in.bucket, Credentials: in.creds(), Clock: clock.Fixed(in.time), AdditionalHeaders: in.additional})
		if err != nil {
			t.Fatal(err)
		}
		r := signer.Request{Method: in.method, Key: in.key, Header: http.Header{}, Expires: time.Duration(expires) * time.Second}
		for _, h := range in.headers {
			r.Header.Set(h[0], h[1])
		}
		fromKey, err := s.Presign(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest(in.method, in.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = r.Header
		fromURL, err := s.PresignRequest(context.Background(), req, signer.Options{Expires: r.Expires})
		if err != nil {
			t.Fatal(err)
		}
		appended, dies, err := s.AppendURL(context.Background(), []byte("before "), r)
		if err != nil || !dies.Equal(in.time.Add(r.Expires)) {
			t.Errorf("AppendURL: dies %v, error %v", dies, err)
		}
		if got, want := sortedQuery(fromKey.URL), v.Get(t, "url"); got != want {
			t.Errorf("url\n got %s\nwant %s", got, want)
		}
		if fromURL.URL != fromKey.URL || string(appended) != "before "+fromKey.URL {
			t.Errorf("three ways, three URLs:\n%s\n%s\n%s", fromKey.URL, fromURL.URL, appended)
		}
		arrived := httptest.NewRequest(in.method, fromKey.URL, nil)
		arrived.Header = fromKey.Header
		verifyVector(t, in, arrived)
	})
	if found != 1 {
		t.Errorf("%d vectors, want 1", found)
	}
}

// sortedQuery is a URL with its parameters in the documentation's order.
func sortedQuery(rawURL string) string {
	base, query, _ := strings.Cut(rawURL, "?")
	params := strings.Split(query, "&")
	slices.SortFunc(params, func(a, b string) int {
		nameA, _, _ := strings.Cut(a, "=")
		nameB, _, _ := strings.Cut(b, "=")
		return strings.Compare(nameA, nameB)
	})
	return base + "?" + strings.Join(params, "&")
}

func vectorVerifier(t *testing.T, in inputs) *Verifier {
	t.Helper()
	v, err := NewVerifier(VerifierConfig{
		Region: in.region, Clock: clock.Fixed(in.time), AcceptV1: true,
		Lookup: func(context.Context, string) (Credentials, error) { return in.creds(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// verifyVector verifies a vector as it stands and with its path changed.
func verifyVector(t *testing.T, in inputs, req *http.Request) {
	t.Helper()
	v := vectorVerifier(t, in)
	g, err := v.Verify(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	if g.Bucket != in.bucket || g.Key != in.key || g.Method != in.method || g.KeyID != in.id {
		t.Errorf("the grant is for %s %s/%s by %s", g.Method, g.Bucket, g.Key, g.KeyID)
	}
	req.URL.Path += "x"
	req.URL.RawPath, req.RequestURI = "", ""
	if _, err := v.Verify(context.Background(), req); !errors.Is(err, signer.ErrMismatch) {
		t.Errorf("with another path: %v", err)
	}
}

// v1Request is the request of a vector of version 1 or 2 without its signature, and the time at which it is good.
func v1Request(t *testing.T, v *vector.Vector) (inputs, *http.Request) {
	t.Helper()
	in := inputs{id: v.Get(t, "access-key-id"), secret: v.Get(t, "access-key-secret"), region: "cn-hangzhou",
		method: v.Get(t, "method"), bucket: v.Get(t, "bucket"), key: v.Get(t, "key")}
	req := httptest.NewRequest(in.method, "https://"+in.bucket+".oss-cn-hangzhou.aliyuncs.com/"+in.key, nil)
	for _, h := range v.Pairs(t, "header", ": ") {
		req.Header.Set(h[0], h[1])
	}
	if date := req.Header.Get("Date"); date != "" {
		var err error
		if in.time, err = http.ParseTime(date); err != nil {
			t.Fatal(err)
		}
	} else {
		in.time = unix(t, v, "expires-unix").Add(-time.Minute)
	}
	return in, req
}

func setQuery(req *http.Request, query url.Values) {
	req.URL.RawQuery = query.Encode()
	req.RequestURI = req.URL.RequestURI()
}

func TestV1Vectors(t *testing.T) {
	found := 0
	vector.Run(t, "testdata/vectors/v1-*.txt", func(t *testing.T, v *vector.Vector) {
		found++
		in, req := v1Request(t, v)
		var signature string
		switch v.Kind {
		case "v1-authorization-header":
			signature = v.Get(t, "signature")
			req.Header.Set("Authorization", "OSS "+in.id+":"+signature)
		case "v1-presigned-url":
			signature = v.Get(t, "computed signature") // the page prints a string to sign and none for this key
			setQuery(req, url.Values{"OSSAccessKeyId": {in.id}, "Expires": {v.Get(t, "expires-unix")}, "Signature": {signature}})
		default:
			t.Fatalf("kind %q", v.Kind)
		}
		if got := signatureV1(in.creds().AccessKeySecret, []byte(v.Get(t, "string to sign"))); got != signature {
			t.Errorf("signature %s, want %s", got, signature)
		}
		var trace signer.Trace
		g, err := vectorVerifier(t, in).Verify(signer.WithTrace(context.Background(), &trace), req)
		if err != nil {
			t.Fatal(err)
		}
		if g.Scheme != "OSS V1" || g.KeyID != in.id {
			t.Errorf("scheme %q, key %s", g.Scheme, g.KeyID)
		}
		if got, want := string(trace.StringToSign), v.Get(t, "string to sign"); got != want {
			t.Errorf("string to sign\n got %q\nwant %q", got, want)
		}
		verifyVector(t, in, req)
	})
	if found != 2 {
		t.Errorf("%d vectors, want 2", found)
	}
}

// Version 2 is told apart by its form, and its signature is not looked at.
func TestV2Vectors(t *testing.T) {
	found := 0
	vector.Run(t, "testdata/vectors/v2-*.txt", func(t *testing.T, v *vector.Vector) {
		found++
		v.Ignore("string to sign")
		in, req := v1Request(t, v)
		switch v.Kind {
		case "v2-authorization-header":
			additional := strings.Join(v.All("additional-header"), ";")
			if additional != "" {
				additional = ",AdditionalHeaders:" + additional
			}
			req.Header.Set("Authorization", "OSS2 AccessKeyId:"+in.id+additional+",Signature:"+v.Get(t, "signature"))
		case "v2-presigned-url":
			setQuery(req, url.Values{"x-oss-access-key-id": {in.id}, "x-oss-expires": {v.Get(t, "expires-unix")}, "x-oss-signature-version": {"OSS2"},
				"x-oss-signature": {v.Get(t, "signature")}})
		default:
			t.Fatalf("kind %q", v.Kind)
		}
		_, err := vectorVerifier(t, in).Verify(context.Background(), req)
		if !errors.Is(err, signer.ErrUnsupported) || !strings.Contains(err.Error(), "version 2") {
			t.Errorf("error %v, want one that says version 2", err)
		}
	})
	if found != 3 {
		t.Errorf("%d vectors, want 3", found)
	}
}

// The published signatures that nothing reproduces: for the secrets and ids that the documentation uses elsewhere, another one
// comes out. Where the form is that of a URL, it parses.
func TestUnreproducibleVectors(t *testing.T) {
	found := 0
	vector.Run(t, "testdata/vectors/unreproducible-*.txt", func(t *testing.T, v *vector.Vector) {
		found++
		if v.Kind != "unreproducible" {
			t.Fatalf("kind %q", v.Kind)
		}
		published := v.Get(t, "published signature")
		form, at := v.Get(t, "form"), unix(t, v, "time-unix")
		if form == "post-policy" {
			// No policy is published that its signature could be that of: there is nothing to compute but its form.
			v.Ignore("access-key-id", "region", "time")
			if len(published) != 64 || strings.Trim(published, "0123456789abcdef") != "" {
				t.Errorf("%q is no signature", published)
			}
			return
		}
		in := readInputs(t, v)
		life := v.Get(t, "expires")
		seconds, err := strconv.Atoi(life)
		if err != nil || form != "presigned-url" {
			t.Fatal(form, err)
		}
		for _, id := range []string{in.id, "accesskeyid", "testid", "44CF9590006BF252F707"} {
			for _, secret := range []string{"accesskeysecret", "yourAccessKeySecret", "OtxrzxIsfpFjA7SwPzILwy8Bw21TLhquhboDYROV", "testsecret"} {
				in.id, in.secret = id, secret
				s, err := New(Config{Region: in.region, Bucket: in.bucket, Credentials: in.creds(), Clock: clock.Fixed(at), AdditionalHeaders: in.additional})
				if err != nil {
					t.Fatal(err)
				}
				p, err := s.Presign(context.Background(), signer.Request{Method: in.method, Key: in.key, Expires: time.Duration(seconds) * time.Second})
				if err != nil {
					t.Fatal(err)
				}
				u, err := url.Parse(p.URL)
				if err != nil {
					t.Fatal(err)
				}
				if u.Query().Get("x-oss-signature") == published {
					t.Errorf("reproduced with id %s and secret %s: make it a vector", id, secret)
				}
				f := faults{codes: queryCodes()}
				q := u.Query()
				q.Set("x-oss-signature", published)
				if parsed := f.query(q.Encode()); f.Err() != nil || parsed.Signature != published {
					t.Errorf("parsed %+v, %v", parsed, f.Err())
				}
			}
		}
	})
	if found != 5 {
		t.Errorf("%d vectors, want 5", found)
	}
}

// refused returns the error codes with which a request is refused, each once, sorted; "" stands for a fault of which no page
// speaks.
func refused(t *testing.T, err error) (found []string) {
	t.Helper()
	if err == nil {
		t.Fatal("it is accepted")
	}
	joined, ok := err.(interface{ Unwrap() []error })
	errs := []error{err}
	if ok {
		errs = joined.Unwrap()
	}
	for _, err := range errs {
		var e *signer.Error
		if !errors.As(err, &e) {
			t.Fatalf("%v is no *signer.Error", err)
		}
		found = append(found, e.Code)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// maskedVerifier is one of cn-hangzhou, at the time of the examples. Its Lookup knows everybody, so that what is refused is
// refused for its form.
func maskedVerifier(t *testing.T, at time.Time) *Verifier {
	return vectorVerifier(t, inputs{id: "AK**ID", secret: "accesskeysecret", region: "cn-hangzhou", time: at})
}

// The pages of OSS's error codes show requests that are refused for it. Each must be refused with that code; what else is found
// must be what the vector says, or a slip that all the pages have: masked signatures and key ids ("" here), and regions of other
// hosts.
func TestRefusedHeaders(t *testing.T) {
	found := 0
	vector.Run(t, "testdata/refusals/header-*.txt", func(t *testing.T, v *vector.Vector) {
		found++
		v.Ignore("cause")
		if v.Kind != "refused-authorization-header" {
			t.Fatalf("kind %q", v.Kind)
		}
		req := httptest.NewRequest("GET", "https://x.invalid/exampleobject", nil)
		for _, h := range v.Pairs(t, "header", ": ") {
			if req.Header.Set(h[0], h[1]); h[0] == "host" {
				req.Host = h[1]
			}
		}
		req.Header.Del("Host")
		authorization := v.Get(t, "input authorization")
		req.Header.Set("Authorization", authorization)
		at, err := http.ParseTime(req.Header.Get("Date"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = maskedVerifier(t, at).Verify(context.Background(), req)
		codes := refused(t, err)
		want := append(v.All("also violates"), v.Get(t, "ec"))
		if i := slices.Index(want, "0002-00000228"); i >= 0 {
			want[i] = ecRegion // from the field: of these two codes for one fault, this is what comes for a header
		}
		for _, code := range want {
			if !slices.Contains(codes, code) {
				t.Errorf("codes %q, want %s among them", codes, code)
			}
		}
		if !strings.Contains(authorization, "/cn-hangzhou/") {
			want = append(want, ecRegion) // the Host is of cn-hangzhou
		}
		for _, code := range codes {
			if code != ecUnknown && !slices.Contains(want, code) {
				t.Errorf("codes %q, and %s is none of %q", codes, code, want)
			}
		}

		// What can be seen in the header alone, ParseAuthorization sees.
		_, err = ParseAuthorization(authorization)
		codes = nil
		if err != nil {
			codes = refused(t, err)
		}
		for _, code := range want {
			needsRequest := code == ecPayload || code == ecHeaderAbsent || code == ecRegion && !strings.Contains(authorization, "/InvalidRegion/")
			if slices.Contains(codes, code) == needsRequest {
				t.Errorf("ParseAuthorization: codes %q, and the header of the page violates %s", codes, code)
			}
		}
	})
	if found != 14 {
		t.Errorf("%d vectors, want 14", found)
	}
}

func TestRefusedURLs(t *testing.T) {
	found := 0
	vector.Run(t, "testdata/refusals/url-*.txt", func(t *testing.T, v *vector.Vector) {
		found++
		v.Ignore("cause")
		if v.Kind != "refused-presigned-url" {
			t.Fatalf("kind %q", v.Kind)
		}
		query := v.Get(t, "input query")
		req := httptest.NewRequest("GET", "https://x.invalid/exampleobject", nil)
		req.RequestURI = "/exampleobject?" + query
		for _, h := range v.Pairs(t, "header", ": ") {
			if h[0] != "host" {
				t.Fatal(h)
			}
			req.Host = h[1]
		}
		at := time.Unix(1703061018, 0) // 20231220T083018Z
		if _, ok := v.Lookup(t, "received"); ok {
			at = unix(t, v, "received-unix")
		}
		region, _, _ := strings.Cut(strings.TrimPrefix(req.Host, "oss-example.oss-"), ".")
		verifier := vectorVerifier(t, inputs{id: "AK**ID", secret: "accesskeysecret", region: region, time: at})
		_, err := verifier.Verify(context.Background(), req)
		codes := refused(t, err)
		want := append(v.All("also violates"), v.Get(t, "ec"))
		for _, code := range want {
			if !slices.Contains(codes, code) {
				t.Errorf("codes %q, want %s among them", codes, code)
			}
		}
		slips := []string{ecUnknown}
		if strings.Contains(query, "signature-verion=") {
			slips = append(slips, ecVersion)
		}
		if strings.Contains(query, "x-oss-expires=1141889120") {
			slips = append(slips, ecExpiresRange)
		}
		for _, code := range codes {
			if !slices.Contains(want, code) && !slices.Contains(slips, code) {
				t.Errorf("codes %q, and %s is none of %q", codes, code, want)
			}
		}
	})
	if found != 12 {
		t.Errorf("%d vectors, want 12", found)
	}
}

// The bodies of refusals come with the codes that the verifier gives for the same faults, and what they show of a string to sign
// is what it signs.
func TestErrorBodies(t *testing.T) {
	found := 0
	vector.Run(t, "testdata/refusals/body-*.txt", func(t *testing.T, v *vector.Vector) {
		found++
		v.Ignore("code", "message", "element") // for whoever reads answers
		if v.Kind != "error-body" {
			t.Fatalf("kind %q", v.Kind)
		}
		ec := v.Get(t, "ec")
		in := inputs{id: "id", secret: "secret", region: "cn-hangzhou", time: time.Unix(1684855495, 0)} // 2023-05-23T15:24:55Z
		req := httptest.NewRequest("PUT", "https://bucket.oss-cn-hangzhou.aliyuncs.com/?acl", nil)
		var trace signer.Trace
		verify := func() []string {
			t.Helper()
			_, err := vectorVerifier(t, in).Verify(signer.WithTrace(context.Background(), &trace), req)
			return refused(t, err)
		}
		switch ec {
		case ecMismatchV1:
			if v.Get(t, "signature-version") != "V1" {
				t.Error("not V1")
			}
			req.Header.Set("Authorization", "OSS id:AAAA")
			req.Header.Set("Date", "Tue, 23 May 2023 15:24:55 GMT")
			if codes := verify(); !slices.Equal(codes, []string{ec}) {
				t.Errorf("codes %q, want %s", codes, ec)
			}
			text := v.Get(t, "string to sign")
			if string(trace.StringToSign) != text {
				t.Errorf("string to sign %q, the body shows %q", trace.StringToSign, text)
			}
			decoded, err := hex.DecodeString(strings.ReplaceAll(v.Get(t, "string to sign bytes"), " ", ""))
			if err != nil || string(decoded) != v.Get(t, "decoded string to sign bytes") || string(decoded) == text {
				t.Errorf("the bytes are %q, %v", decoded, err)
			}
		case ecRegion:
			req.Header.Set("Authorization", "OSS4-HMAC-SHA256 Credential=id/20230523/cn-shenzhen/oss/aliyun_v4_request,Signature="+strings.Repeat("0", 64))
			req.Header.Set("X-Oss-Date", "20230523T152455Z")
			req.Header.Set(contentSHA256, unsignedPayload)
			if codes := verify(); !slices.Equal(codes, []string{ec}) {
				t.Errorf("codes %q, want %s", codes, ec)
			}
		case ecSkew:
			var at [2]time.Time
			for i, name := range []string{"request time", "server time"} {
				var err error
				if at[i], err = time.Parse(time.RFC3339, v.Get(t, name)); err != nil {
					t.Fatal(err)
				}
			}
			if got := strconv.Itoa(int(at[1].Sub(at[0]) / time.Second)); got != v.Get(t, "skew seconds") {
				t.Errorf("skew %s", got)
			}
			if got := strconv.Itoa(int(vectorVerifier(t, in).leeway / time.Millisecond)); got != v.Get(t, "max allowed skew milliseconds") {
				t.Errorf("leeway %s ms", got)
			}
			in.time = at[1]
			stamp := sigv4.StampOf(at[0].Unix())
			req.Header.Set("Authorization", "OSS4-HMAC-SHA256 Credential=id/"+string(stamp[:8])+"/cn-hangzhou/oss/aliyun_v4_request,Signature="+strings.Repeat("0", 64))
			req.Header.Set("X-Oss-Date", string(stamp[:]))
			req.Header.Set(contentSHA256, unsignedPayload)
			if codes := verify(); !slices.Equal(codes, []string{ec}) {
				t.Errorf("codes %q, want %s", codes, ec)
			}
		case "0002-00000715": // of a form
		default:
			t.Errorf("unknown code %s", ec)
		}
	})
	if found != 4 {
		t.Errorf("%d vectors, want 4", found)
	}
}
