package gcs

import (
	"bytes"
	"context"
	"encoding/hex"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/vector"
	"github.com/cloudsigner/cloudsigner/signer"
)

// canonicalHeaders are the headers of a vector as the scheme's functions take them. A name that repeats is one header with
// several values, as in an http.Header.
func canonicalHeaders(t *testing.T, v *vector.Vector) *sigv4.Scratch {
	t.Helper()
	h := http.Header{}
	for _, pair := range v.Pairs(t, "header", ": ") {
		h.Add(pair[0], pair[1])
	}
	var w sigv4.Scratch
	w.AddHeader("host", v.Get(t, "host"))
	for name, values := range h {
		w.AddHeader(name, values...)
	}
	if err := w.SortHeaders(pipeline.Op{}); err != nil {
		t.Fatal(err)
	}
	return &w
}

// stages compares each stage that was computed with the vector, which must have it.
func stages(t *testing.T, v *vector.Vector, got map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if want := v.Get(t, name); got[name] != want {
			t.Errorf("%s\n got %q\nwant %q", name, got[name], want)
		}
	}
}

// instant is the time of a vector, which says it twice.
func instant(t *testing.T, v *vector.Vector) (time.Time, sigv4.Stamp) {
	t.Helper()
	unix, err := strconv.ParseInt(v.Get(t, "time-unix"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	stamp := sigv4.StampOf(unix)
	if string(stamp[:]) != v.Get(t, "time") {
		t.Fatalf("stamp %s, the vector says %s", stamp, v.Get(t, "time"))
	}
	return time.Unix(unix, 0), stamp
}

// sum is the third line of a string to sign, its hash of the canonical request.
func sum(toSign []byte) string {
	return string(toSign[bytes.LastIndexByte(toSign, '\n')+1:])
}

func TestCanonicalRequestVector(t *testing.T) {
	vector.Run(t, "testdata/vectors/doc-canonical-request.txt", func(t *testing.T, v *vector.Vector) {
		w := canonicalHeaders(t, v)
		stages(t, v, map[string]string{"kind": "canonical-request", "canonical request": string(appendCanonicalRequest(nil, v.Get(t, "method"),
			[]byte(v.Get(t, "path")), nil, w.Headers, v.Get(t, "payload-hash")))})
	})
}

func TestCanonicalHeadersVector(t *testing.T) {
	vector.Run(t, "testdata/vectors/doc-canonical-headers.txt", func(t *testing.T, v *vector.Vector) {
		w := canonicalHeaders(t, v)
		block := func(canonicalRequest []byte) string {
			_, headers, _ := strings.Cut(string(canonicalRequest), "?\n")
			headers, _, _ = strings.Cut(headers, "\n\n")
			return headers
		}
		stages(t, v, map[string]string{
			"kind":              "canonical-headers",
			"canonical headers": block(appendCanonicalRequest(nil, "GET", []byte("/"), []byte("?"), w.Headers, unsignedPayload)),
			"signed headers":    string(sigv4.AppendSignedHeaders(nil, w.Headers, ";")),
		})

		// The same headers through the API, from a Request and from a request that was made elsewhere.
		h := http.Header{}
		for _, pair := range v.Pairs(t, "header", ": ") {
			h.Add(pair[0], pair[1])
		}
		key, err := HMACKey("GOOG1EXAMPLE", signer.NewSecret([]byte("secret")))
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(Config{Bucket: "bucket", Key: key})
		if err != nil {
			t.Fatal(err)
		}
		req := &http.Request{Method: "GET", URL: &url.URL{Scheme: "https", Host: v.Get(t, "host"), Path: "/bucket/k"}, Header: h}
		for name, presign := range map[string]func(context.Context) (*signer.Presigned, error){
			"Presign": func(ctx context.Context) (*signer.Presigned, error) {
				return s.Presign(ctx, signer.Request{Key: "k", Header: h, Query: url.Values{"a": {"?"}}, Expires: time.Minute})
			},
			"PresignRequest": func(ctx context.Context) (*signer.Presigned, error) {
				return s.PresignRequest(ctx, req, signer.Options{Expires: time.Minute})
			},
		} {
			var trace signer.Trace
			if _, err := presign(signer.WithTrace(context.Background(), &trace)); err != nil {
				t.Fatal(err)
			}
			if want := "\n" + v.Get(t, "canonical headers") + "\n\n" + v.Get(t, "signed headers") + "\n"; !strings.Contains(string(trace.CanonicalRequest), want) {
				t.Errorf("%s: the canonical request is\n%s\nwithout\n%s", name, trace.CanonicalRequest, want)
			}
		}
	})
}

func TestDerivedHMACVector(t *testing.T) {
	vector.Run(t, "testdata/vectors/derived-hmac.txt", func(t *testing.T, v *vector.Vector) {
		at, stamp := instant(t, v)
		secret := signer.NewSecret([]byte(v.Get(t, "secret")))
		scope := sigv4.Scope{Date: stamp.Date(), Region: v.Get(t, "location"), Service: v.Get(t, "service")}
		w := canonicalHeaders(t, v)
		canonical := appendCanonicalRequest(nil, v.Get(t, "method"), []byte(v.Get(t, "path")), nil, w.Headers, v.Get(t, "payload-hash"))
		toSign := appendStringToSign(nil, Algorithm(v.Get(t, "algorithm")), stamp, &scope, canonical)
		stages(t, v, map[string]string{
			"kind":                     "hmac-signature",
			"request-type":             terminator,
			"service":                  service,
			"algorithm":                string(HMACSHA256),
			"canonical request":        string(canonical),
			"canonical request sha256": sum(toSign),
			"string to sign":           string(toSign),
			"signing key":              hex.EncodeToString(family().DeriveKey(secret.Reveal(), scope)),
			"signature":                string(family().NewKey(secret, scope).AppendSignature(nil, toSign)),
		})

		// The API: a Key, a request signed in its header, verified.
		key, err := HMACKey(v.Get(t, "access-id"), secret)
		if err != nil {
			t.Fatal(err)
		}
		signature, err := key.Sign(context.Background(), []byte(v.Get(t, "string to sign")))
		if err != nil {
			t.Fatal(err)
		}
		stages(t, v, map[string]string{"signature": hex.EncodeToString(signature.Bytes)})
		s, err := New(Config{Key: key, Clock: clock.Fixed(at), Location: v.Get(t, "location")})
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequest(v.Get(t, "method"), "https://"+v.Get(t, "host")+v.Get(t, "path"), nil)
		for _, pair := range v.Pairs(t, "header", ": ") {
			req.Header.Set(pair[0], pair[1]) // x-goog-date is replaced
		}
		var trace signer.Trace
		if err := s.Sign(signer.WithTrace(context.Background(), &trace), req); err != nil {
			t.Fatal(err)
		}
		stages(t, v, map[string]string{"canonical request": string(trace.CanonicalRequest), "string to sign": string(trace.StringToSign)})
		if got, want := req.Header.Get("Authorization"), v.Get(t, "algorithm")+" Credential="+v.Get(t, "access-id")+"/20190301/auto/storage/goog4_request"+
			",SignedHeaders=host;x-goog-content-sha256;x-goog-date,Signature="+v.Get(t, "signature"); got != want {
			t.Errorf("Authorization\n got %s\nwant %s", got, want)
		}
		verifier, err := NewVerifier(VerifierConfig{Clock: clock.Fixed(at), Secret: func(context.Context, string) (signer.Secret, error) { return secret, nil }})
		if err != nil {
			t.Fatal(err)
		}
		g, err := verifier.Verify(context.Background(), req)
		if err != nil || g.Bucket != "example-bucket" || g.Key != "tabby.jpeg" || g.KeyID != v.Get(t, "access-id") || g.Payload != v.Get(t, "payload-hash") {
			t.Errorf("%+v, %v", g, err)
		}
		req.RequestURI = "/example-bucket/tiger.jpeg"
		if _, err := verifier.Verify(context.Background(), req); err == nil {
			t.Error("accepted with another path")
		}
	})
}

func TestSignBlobVector(t *testing.T) {
	vector.Run(t, "testdata/vectors/signblob-presigned-url.txt", func(t *testing.T, v *vector.Vector) {
		at, _ := instant(t, v)
		seconds, err := strconv.Atoi(v.Get(t, "expires"))
		if err != nil {
			t.Fatal(err)
		}
		key, err := RemoteKey(v.Get(t, "account"), 0, func(_ context.Context, toSign []byte) (Signature, error) {
			stages(t, v, map[string]string{"string to sign": string(toSign), "canonical request sha256": sum(toSign)})
			return Signature{Bytes: []byte(v.Get(t, "input signed blob"))}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(Config{Bucket: v.Get(t, "bucket"), Key: key, Clock: clock.Fixed(at), Location: v.Get(t, "location")})
		if err != nil {
			t.Fatal(err)
		}
		stages(t, v, map[string]string{"kind": "presigned-url", "addressing": signer.AddressingPath.String(), "service": service, "request-type": terminator, "algorithm": string(RSASHA256)})
		req, err := http.NewRequest(v.Get(t, "method"), v.Get(t, "scheme")+"://"+v.Get(t, "host")+v.Get(t, "path"), nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := url.Parse(v.Get(t, "url"))
		if err != nil {
			t.Fatal(err)
		}
		life := time.Duration(seconds) * time.Second
		for name, presign := range map[string]func(context.Context) (*signer.Presigned, error){
			"Presign": func(ctx context.Context) (*signer.Presigned, error) {
				return s.Presign(ctx, signer.Request{Method: v.Get(t, "method"), Key: v.Get(t, "key"), Expires: life})
			},
			"PresignRequest": func(ctx context.Context) (*signer.Presigned, error) {
				return s.PresignRequest(ctx, req, signer.Options{Expires: life})
			},
		} {
			var trace signer.Trace
			p, err := presign(signer.WithTrace(context.Background(), &trace))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(string(trace.CanonicalRequest), "\nhost\n"+v.Get(t, "payload-hash")) {
				t.Errorf("%s: the canonical request ends otherwise:\n%s", name, trace.CanonicalRequest)
			}
			got, err := url.Parse(p.URL)
			if err != nil {
				t.Fatal(err)
			}
			// The SDK has the signature before the list of headers; its place is not signed.
			if a, b := got.Query().Encode(), want.Query().Encode(); a != b || got.Host != want.Host || got.EscapedPath() != want.EscapedPath() || got.Scheme != want.Scheme {
				t.Errorf("%s\n got %s\nwant %s", name, p.URL, v.Get(t, "url"))
			}
			stages(t, v, map[string]string{"signature": got.Query().Get("X-Goog-Signature")})
		}
	})
}

// Each vector has a test.
func TestVectorsAreAllRead(t *testing.T) {
	var names []string
	for _, v := range vector.Load(t, "testdata/vectors/*.txt") {
		names = append(names, v.Name)
	}
	if want := []string{"derived-hmac", "doc-canonical-headers", "doc-canonical-request", "signblob-presigned-url"}; !slices.Equal(names, want) {
		t.Errorf("the vectors are %q, and tested are %q", names, want)
	}
}
