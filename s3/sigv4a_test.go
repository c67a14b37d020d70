package s3

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/vector"
	"github.com/cloudsigner/cloudsigner/signer"
)

func TestKey4aVectors(t *testing.T) {
	found := 0
	vector.Run(t, "testdata/vectors/sigv4a-key-*.txt", func(t *testing.T, v *vector.Vector) {
		found++
		key := deriveKey4a([]byte(v.Get(t, "secret-access-key")), v.Get(t, "access-key-id"))
		private, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		public, err := key.PublicKey.Bytes() // 4, x, y
		if err != nil {
			t.Fatal(err)
		}
		stages(t, v, map[string]string{
			"private key": hex.EncodeToString(private),
			"public x":    hex.EncodeToString(public[1:33]),
			"public y":    hex.EncodeToString(public[33:]),
		})
	})
	if found != 3 {
		t.Errorf("%d vectors, want 3", found)
	}
}

func TestCanonical4aVector(t *testing.T) {
	vector.Run(t, "testdata/vectors/sigv4a-s3-*.txt", func(t *testing.T, v *vector.Vector) {
		v.Ignore("region", "secret-access-key", "access-key-id", "time-unix", "trailer", "trailer hash", "trailer hashed string") // trailers: TestTrailerVectors
		w := new(sigv4.Scratch)
		w.AddHeader("host", v.Get(t, "host"))
		for _, h := range v.Pairs(t, "header", ": ") {
			w.AddHeader(h[0], h[1])
		}
		if err := w.SortHeaders(opPresign()); err != nil {
			t.Fatal(err)
		}
		if payload, err := payloadOf(opPresign(), w.Headers); err != nil || payload != v.Get(t, "payload-hash") {
			t.Errorf("payload %s", payload)
		}
		sc := scope{Scope: sigv4.Scope{Date: sigv4.Date([]byte(v.Get(t, "time")[:8])), Service: v.Get(t, "service")}, regionSet: v.Get(t, "region-set")}
		stages(t, v, map[string]string{
			"canonical request": string(appendCanonicalRequest(nil, v.Get(t, "method"), []byte(v.Get(t, "path")), nil, w.Headers, v.Get(t, "payload-hash"))),
			"credential scope":  string(sc.Append(nil, "/", terminator)),
		})
	})
}

var multi = struct {
	ctx   context.Context
	creds Credentials
	now   time.Time
}{context.Background(), Credentials{AccessKeyID: "AKIDEXAMPLE", SecretKey: signer.NewSecret([]byte("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")),
	SessionToken: signer.NewSecret([]byte("to/ken"))}, time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}

const mrap = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap"

func multiSigner(t *testing.T, edits ...func(*Config)) *Signer {
	t.Helper()
	c := Config{RegionSet: []string{"*"}, Bucket: mrap, Credentials: multi.creds, Clock: clock.Fixed(multi.now)}
	for _, edit := range edits {
		edit(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func multiVerifier(t *testing.T, region string, endpoint *url.URL) *Verifier {
	t.Helper()
	v, err := NewVerifier(VerifierConfig{Region: region, Endpoint: endpoint, Clock: clock.Fixed(multi.now),
		Lookup: func(context.Context, string) (Credentials, error) { return multi.creds, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPresign4a(t *testing.T) {
	p, err := multiSigner(t).Presign(multi.ctx, signer.Request{Key: "a b", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	const want = "https://mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com/a%20b?X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256" +
		"&X-Amz-Credential=AKIDEXAMPLE%2F20261125%2Fs3%2Faws4_request&X-Amz-Date=20261125T115930Z&X-Amz-Expires=3630" +
		"&X-Amz-Region-Set=%2A&X-Amz-Security-Token=to%2Fken&X-Amz-SignedHeaders=host&X-Amz-Signature="
	if !strings.HasPrefix(p.URL, want) {
		t.Errorf("got %s\nwant %s", p.URL, want)
	}
	again, _ := multiSigner(t).Presign(multi.ctx, signer.Request{Key: "a b", Expires: time.Hour})
	if again.URL != p.URL {
		t.Error("two signatures of one request: windows would not hold")
	}
	g, err := multiVerifier(t, "eu-west-1", nil).Verify(multi.ctx, httptest.NewRequest("GET", p.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	if g.Bucket != "mfzwi23gnjvgw.mrap" || g.Key != "a b" || g.Scheme != algorithm4a {
		t.Errorf("grant %+v", g)
	}
}

// Where a signature for several regions can go, and the hosts of ARNs that ask for one.
func TestAddressing4a(t *testing.T) {
	own, _ := url.Parse("http://127.0.0.1:9000")
	for _, tt := range []struct {
		edit      func(*Config)
		host      string
		scope     string
		regionSet string
	}{
		{func(c *Config) { c.RegionSet = nil }, "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com", "s3", "*"},
		{func(c *Config) { c.RegionSet, c.Region = nil, "eu-west-1" }, "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com", "s3", "*"},
		{func(c *Config) { c.RegionSet = []string{"eu-west-1", "us-east-1"} }, "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com", "s3", "eu-west-1,us-east-1"},
		{func(c *Config) {
			c.RegionSet, c.Region, c.Bucket = nil, "us-west-2", "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01ac5d28a6a232904/accesspoint/ap"
		}, "ap-123456789012.op-01ac5d28a6a232904.s3-outposts.us-west-2.amazonaws.com", "s3-outposts", "*"},
		{func(c *Config) {
			c.Bucket = "arn:aws:s3-outposts:us-west-2:123456789012:outpost:op-01ac5d28a6a232904:accesspoint:ap"
		},
			"ap-123456789012.op-01ac5d28a6a232904.s3-outposts.us-west-2.amazonaws.com", "s3-outposts", "*"},
		{func(c *Config) { c.Endpoint, c.Bucket = own, "photos" }, "127.0.0.1:9000", "s3", "*"},
	} {
		p, err := multiSigner(t, tt.edit).Presign(multi.ctx, signer.Request{Key: "k", Expires: time.Hour})
		if err != nil {
			t.Errorf("%s: %v", tt.host, err)
			continue
		}
		u, _ := url.Parse(p.URL)
		if q := u.Query(); u.Host != tt.host || q.Get("X-Amz-Credential") != "AKIDEXAMPLE/20261125/"+tt.scope+"/aws4_request" || q.Get("X-Amz-Region-Set") != tt.regionSet {
			t.Errorf("host %s, credential %s, region set %s", u.Host, q.Get("X-Amz-Credential"), q.Get("X-Amz-Region-Set"))
		}
	}
}

func TestSign4a(t *testing.T) {
	req, _ := http.NewRequest("PUT", "https://mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com/k?b=1", strings.NewReader("body"))
	req.Header.Set("X-Amz-Region-Set", "an older one")
	if err := HashBody(req); err != nil {
		t.Fatal(err)
	}
	if err := multiSigner(t).Sign(multi.ctx, req); err != nil {
		t.Fatal(err)
	}
	a, err := ParseAuthorization(req.Header.Get("Authorization"))
	if err != nil || a.Algorithm != algorithm4a || a.Region != "" || strings.Join(a.SignedHeaders, ";") != "content-length;host;x-amz-content-sha256;x-amz-date;x-amz-region-set;x-amz-security-token" ||
		req.Header.Get("X-Amz-Region-Set") != "*" {
		t.Errorf("%+v, %v, region set %s", a, err, req.Header.Get("X-Amz-Region-Set"))
	}
	if _, err := multiVerifier(t, "eu-west-1", nil).Verify(multi.ctx, req); err != nil {
		t.Error(err)
	}
}

// AWS's hosts of other services are signed for those services, in finished URLs too.
func TestServiceFollowsFromTheHost(t *testing.T) {
	lambda, err := New(Config{Region: "eu-west-1", Credentials: multi.creds, Clock: clock.Fixed(multi.now)})
	if err != nil {
		t.Fatal(err)
	}
	for host, tt := range map[string]struct {
		s       *Signer
		service string
	}{
		"ap-123456789012.s3-object-lambda.eu-west-1.amazonaws.com":          {lambda, "/s3-object-lambda/"},
		"photos.s3.eu-west-1.amazonaws.com":                                 {lambda, "/s3/"},
		"ap-123456789012.op-01ac5d28a6.s3-outposts.us-west-2.amazonaws.com": {multiSigner(t), "/s3-outposts/"},
	} {
		req, _ := http.NewRequest("GET", "https://"+host+"/k", nil)
		p, err := tt.s.PresignRequest(multi.ctx, req, signer.Options{Expires: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		u, _ := url.Parse(p.URL)
		if err := tt.s.Sign(multi.ctx, req); err != nil {
			t.Fatal(err)
		}
		if q, h := u.Query().Get("X-Amz-Credential"), req.Header.Get("Authorization"); !strings.Contains(q, tt.service) || !strings.Contains(h, tt.service) {
			t.Errorf("%s: %s, %s", host, q, h)
		}
	}
}

// A finished URL must be one of a service that takes the algorithm.
func TestRegionSetFitsTheHost(t *testing.T) {
	one, err := New(Config{Region: "eu-west-1", Credentials: multi.creds})
	if err != nil {
		t.Fatal(err)
	}
	for host, s := range map[string]*Signer{
		"photos.s3.eu-west-1.amazonaws.com":                                 multiSigner(t),
		"mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com":            one,
		"ap-123456789012.op-01ac5d28a6.s3-outposts.us-west-2.amazonaws.com": one,
	} {
		req, _ := http.NewRequest("GET", "https://"+host+"/k", nil)
		_, err := s.PresignRequest(multi.ctx, req, signer.Options{Expires: time.Minute})
		if signErr := s.Sign(multi.ctx, req); !errors.Is(err, signer.ErrRequest) || !errors.Is(signErr, signer.ErrRequest) || req.Header.Get("Authorization") != "" {
			t.Errorf("%s: presign %v, sign %v", host, err, signErr)
		}
	}
}

func TestVerify4aRefuses(t *testing.T) {
	endpoint, _ := url.Parse("http://127.0.0.1:9000")
	s := multiSigner(t, func(c *Config) {
		c.Endpoint, c.Bucket, c.RegionSet = endpoint, "photos", []string{"eu-west-1", "us-east-1"}
	})
	p, err := s.Presign(multi.ctx, signer.Request{Key: "k", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	signature := p.URL[strings.Index(p.URL, "X-Amz-Signature=")+len("X-Amz-Signature="):]
	for _, tt := range []struct {
		name, region, from, to string
		class                  error
	}{
		{"as it is", "us-east-1", "", "", nil},
		{"path", "us-east-1", "/k?", "/l?", signer.ErrMismatch},
		{"expiry", "us-east-1", "Expires=3630", "Expires=3631", signer.ErrMismatch},
		{"a region that is not in the set", "eu-west-2", "", "", signer.ErrScope},
		{"the set widened", "eu-west-2", "eu-west-1%2Cus-east-1", "%2A", signer.ErrMismatch},
		{"no set", "us-east-1", "&X-Amz-Region-Set=eu-west-1%2Cus-east-1", "", signer.ErrMalformed},
		{"an empty set", "us-east-1", "eu-west-1%2Cus-east-1", "", signer.ErrMalformed},
		{"another algorithm", "us-east-1", algorithm4a, algorithm, signer.ErrMalformed},
		{"a region in the scope", "us-east-1", "%2Fs3%2F", "%2Fus-east-1%2Fs3%2F", signer.ErrMalformed},
		{"the service", "us-east-1", "%2Fs3%2F", "%2Fs4%2F", signer.ErrScope},
		{"the signature cut", "us-east-1", signature, signature[:len(signature)-2], signer.ErrMismatch},
		{"half a byte cut", "us-east-1", signature, signature[:len(signature)-1], signer.ErrMalformed},
		{"the signature extended", "us-east-1", signature, signature + strings.Repeat("00", 40), signer.ErrMalformed},
		{"the signature in capitals", "us-east-1", signature, strings.ToUpper(signature), signer.ErrMalformed},
		{"the signature empty", "us-east-1", signature, "", signer.ErrMalformed},
		{"the signature of HMAC", "us-east-1", signature, strings.Repeat("ab", 32), signer.ErrMismatch},
	} {
		raw := p.URL
		if tt.from != "" {
			if raw = strings.Replace(p.URL, tt.from, tt.to, 1); raw == p.URL {
				t.Fatalf("%s: nothing was changed", tt.name)
			}
		}
		g, err := multiVerifier(t, tt.region, endpoint).Verify(multi.ctx, httptest.NewRequest("GET", raw, nil))
		if !errors.Is(err, tt.class) || (err == nil) != (g != nil) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.class)
		}
	}
}

// The twin of an ECDSA signature is another signature of the same request; a replay cache must not take it for another.
func TestFingerprint4aIsOfTheRequest(t *testing.T) {
	p, err := multiSigner(t).Presign(multi.ctx, signer.Request{Key: "k", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(p.URL, "X-Amz-Signature=") + len("X-Amz-Signature=")
	der, _ := hex.DecodeString(p.URL[at:])
	v := multiVerifier(t, "eu-west-1", nil)
	first, err := v.Verify(multi.ctx, httptest.NewRequest("GET", p.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	second, err := v.Verify(multi.ctx, httptest.NewRequest("GET", p.URL[:at]+hex.EncodeToString(twin(t, der)), nil))
	if err != nil {
		t.Fatal(err)
	}
	if first.Fingerprint != second.Fingerprint {
		t.Error("two fingerprints for one request")
	}
}

func TestRegionSetErrors(t *testing.T) {
	for _, set := range [][]string{{}, {""}, {"*", "*"}, {"eu-west-1", "*"}, {"EU"}, {"a b"}} {
		if _, err := joinRegionSet(opPresign(), set); !errors.Is(err, signer.ErrRequest) {
			t.Errorf("%q: %v", set, err)
		}
	}
}

func TestKey4aIsCached(t *testing.T) {
	s := multiSigner(t)
	sc := scope{regionSet: "*"}
	if a, b := s.key(&multi.creds, &sc), s.key(&multi.creds, &sc); a != b {
		t.Error("derived twice")
	}
	other := multi.creds
	other.AccessKeyID = "AKIDOTHER"
	text := []byte("text")
	if a, b := s.key(&multi.creds, &sc).AppendSignature(nil, text), s.key(&other, &sc).AppendSignature(nil, text); bytes.Equal(a, b) {
		t.Error("two key ids, one key")
	}
	if dump := fmt.Sprintf("%+v %#v", s, s.key(&multi.creds, &sc)); strings.Contains(dump, "wJalr") {
		t.Error("the secret is printed")
	}
}

// twin replaces s of a DER-encoded signature (r, s) by the order of the curve less s.
func twin(t *testing.T, der []byte) []byte {
	t.Helper()
	var sig struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &sig); err != nil || len(rest) != 0 {
		t.Fatalf("not DER: %v", err)
	}
	sig.S.Sub(elliptic.P256().Params().N, sig.S)
	out, err := asn1.Marshal(sig)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
