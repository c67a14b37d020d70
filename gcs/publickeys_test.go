package gcs

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

const keysAccount = "signer@proj.iam.gserviceaccount.com"

// A keyHost is where public keys are published.
type keyHost struct {
	latency time.Duration
	status  int // -1: no connection
	header  http.Header
	body    string

	start time.Time
	mu    sync.Mutex
	at    []time.Duration
	urls  []string
}

func (h *keyHost) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	h.at, h.urls = append(h.at, time.Since(h.start)), append(h.urls, r.Method+" "+r.URL.String())
	h.mu.Unlock()
	time.Sleep(h.latency)
	if h.status < 0 {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: h.status, Header: h.header.Clone(), Body: io.NopCloser(strings.NewReader(h.body)), Request: r}, nil
}

func newKeyHost(body string) *keyHost { return &keyHost{status: 200, body: body, start: time.Now()} }

func (h *keyHost) keys(t testing.TB, edit ...func(*PublicKeysConfig)) func(context.Context, string) ([]crypto.PublicKey, error) {
	t.Helper()
	c := PublicKeysConfig{Client: &http.Client{Transport: h}}
	for _, e := range edit {
		e(&c)
	}
	keys, err := PublicKeys(c)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func newRSA(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func jwk(k *rsa.PublicKey) map[string]string {
	b64 := base64.RawURLEncoding
	return map[string]string{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "key1", "n": b64.EncodeToString(k.N.Bytes()), "e": b64.EncodeToString(big.NewInt(int64(k.E)).Bytes())}
}

func jwks(keys ...map[string]string) string {
	text, _ := json.Marshal(map[string]any{"keys": keys})
	return string(text)
}

func certificate(t testing.TB, public, private any) string {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func object(pairs ...string) string {
	m := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	text, _ := json.Marshal(m)
	return string(text)
}

func TestPublicKeys(t *testing.T) {
	a, b := newRSA(t), newRSA(t)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		body string
		want []*rsa.PublicKey
	}{
		"JWKs":                    {jwks(jwk(&a.PublicKey), jwk(&b.PublicKey)), []*rsa.PublicKey{&a.PublicKey, &b.PublicKey}},
		"an EC key among them":    {jwks(map[string]string{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, jwk(&b.PublicKey)), []*rsa.PublicKey{&b.PublicKey}},
		"certificates":            {object("1", certificate(t, &a.PublicKey, a), "2", certificate(t, &b.PublicKey, b)), []*rsa.PublicKey{&a.PublicKey, &b.PublicKey}},
		"an EC certificate among": {object("1", certificate(t, &ec.PublicKey, ec), "2", certificate(t, &b.PublicKey, b)), []*rsa.PublicKey{&b.PublicKey}},
	} {
		h := newKeyHost(tt.body)
		keys, err := h.keys(t)(t.Context(), keysAccount)
		equal := slices.EqualFunc(keys, tt.want, func(got crypto.PublicKey, want *rsa.PublicKey) bool { return want.Equal(got) })
		if err != nil || !equal {
			t.Errorf("%s: got %v, %v", name, keys, err)
		}
		if want := "GET https://www.googleapis.com/service_accounts/v1/metadata/jwk/" + keysAccount; len(h.urls) != 1 || h.urls[0] != want {
			t.Errorf("%s: got %v, want %s", name, h.urls, want)
		}
	}
}

// They are what a Verifier needs.
func TestVerifierWithPublicKeys(t *testing.T) {
	private := newRSA(t)
	key, err := RSAKey(keysAccount, private)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Bucket: "photos", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	h := newKeyHost(jwks(jwk(&newRSA(t).PublicKey), jwk(&private.PublicKey)))
	v, err := NewVerifier(VerifierConfig{Accounts: []string{keysAccount}, Keys: h.keys(t)})
	if err != nil {
		t.Fatal(err)
	}
	verify := func(key string) error {
		p, err := s.Presign(t.Context(), signer.Request{Key: key, Expires: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		req, err := p.NewRequest(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(t.Context(), req)
		return err
	}
	if err := verify("cat.jpg"); err != nil {
		t.Error(err)
	}
	h.body = jwks(jwk(&newRSA(t).PublicKey))
	if err := verify("dog.jpg"); err != nil || len(h.at) != 1 {
		t.Errorf("with kept keys: %v after %d requests", err, len(h.at))
	}
	if v, err = NewVerifier(VerifierConfig{Accounts: []string{keysAccount}, Keys: h.keys(t)}); err != nil {
		t.Fatal(err)
	}
	if err := verify("cat.jpg"); !errors.Is(err, signer.ErrMismatch) {
		t.Errorf("with other keys: %v", err)
	}
	h.status = 404
	if v, err = NewVerifier(VerifierConfig{Accounts: []string{keysAccount}, Keys: h.keys(t)}); err != nil {
		t.Fatal(err)
	}
	if err := verify("cat.jpg"); !errors.Is(err, signer.ErrUnknownKey) {
		t.Errorf("without the account: %v", err)
	}
}

func TestPublicKeysEndpoint(t *testing.T) {
	body := jwks(jwk(&newRSA(t).PublicKey))
	for endpoint, want := range map[string]string{
		"https://www.googleapis.com/service_accounts/v1/metadata/x509/": "GET https://www.googleapis.com/service_accounts/v1/metadata/x509/" + keysAccount,
		"http://127.0.0.1:8080": "GET http://127.0.0.1:8080/" + keysAccount,
	} {
		u, err := url.Parse(endpoint)
		if err != nil {
			t.Fatal(err)
		}
		h := newKeyHost(body)
		if _, err := h.keys(t, func(c *PublicKeysConfig) { c.Endpoint = u })(t.Context(), keysAccount); err != nil || h.urls[0] != want {
			t.Errorf("got %v, %v; want %s", h.urls, err, want)
		}
	}
	for _, endpoint := range []string{"http://www.googleapis.com", "ftp://h", "https://h/?a=b", "https://u:p@h", "http://127.0.0.1.example.com", "http://169.254.169.254"} {
		u, err := url.Parse(endpoint)
		if err != nil {
			t.Fatal(err)
		}
		if keys, err := PublicKeys(PublicKeysConfig{Endpoint: u}); keys != nil || !errors.Is(err, signer.ErrRequest) {
			t.Errorf("%s: got %v", endpoint, err)
		}
	}
	if keys, err := PublicKeys(PublicKeysConfig{Clock: learnedFrom{clock.System()}}); keys != nil || !errors.Is(err, signer.ErrRequest) {
		t.Errorf("a learned clock: %v", err)
	}
}

// learnedFrom is a clock that a server could have set.
type learnedFrom struct{ clock.Clock }

func (c learnedFrom) Read(string) (time.Time, time.Duration) { return c.Now(), 0 }

// What is no address never becomes a path.
func TestPublicKeysAccount(t *testing.T) {
	h := newKeyHost(jwks(jwk(&newRSA(t).PublicKey)))
	keys := h.keys(t)
	for _, account := range []string{"", "x", "../x@y", "a@b/../c", "a@b c", "a@", "@b", "a@b\n"} {
		if got, err := keys(t.Context(), account); got != nil || !errors.Is(err, signer.ErrUnknownKey) || len(h.urls) != 0 {
			t.Errorf("%q: got %v, %v after %v", account, got, err, h.urls)
		}
	}
	for account, path := range map[string]string{"a@b?c": "/a@b%3Fc", "a@b#c": "/a@b%23c", "a@b%2Fc": "/a@b%252Fc", "..@b": "/..@b"} {
		h.urls = nil
		keys(t.Context(), account)
		if len(h.urls) != 1 || !strings.HasSuffix(h.urls[0], "/jwk"+path) {
			t.Errorf("%q: asked for %v", account, h.urls)
		}
	}
}

// Keys are kept as long as the answer says, but 1 to 15 minutes.
func TestPublicKeysAreKept(t *testing.T) {
	body := jwks(jwk(&newRSA(t).PublicKey))
	for name, tt := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"nothing said":   {nil, 15 * time.Minute},
		"five minutes":   {http.Header{"Cache-Control": {"public, max-age=300, must-revalidate"}}, 5 * time.Minute},
		"in capitals":    {http.Header{"Cache-Control": {"PUBLIC,MAX-AGE=300"}}, 5 * time.Minute},
		"two headers":    {http.Header{"Cache-Control": {"public", "max-age=300"}}, 5 * time.Minute},
		"hours":          {http.Header{"Cache-Control": {"public, max-age=22141"}}, 15 * time.Minute},
		"for ever":       {http.Header{"Cache-Control": {"max-age=99999999999999999999"}}, 15 * time.Minute},
		"seconds":        {http.Header{"Cache-Control": {"max-age=2"}}, time.Minute},
		"negative":       {http.Header{"Cache-Control": {"max-age=-5"}}, 15 * time.Minute},
		"no-store":       {http.Header{"Cache-Control": {"max-age=300, no-store"}}, time.Minute},
		"from a cache":   {http.Header{"Cache-Control": {"max-age=300"}, "Age": {"120"}}, 3 * time.Minute},
		"an old cache":   {http.Header{"Cache-Control": {"max-age=300"}, "Age": {"86400"}}, time.Minute},
		"another s-word": {http.Header{"Cache-Control": {"s-maxage=300"}}, 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newKeyHost(body)
				h.header = tt.header
				keys := h.keys(t)
				for _, at := range []time.Duration{0, tt.want - 1, tt.want} {
					time.Sleep(at - time.Since(h.start))
					if got, err := keys(t.Context(), keysAccount); len(got) != 1 || err != nil {
						t.Fatalf("got %v, %v", got, err)
					}
				}
				if !slices.Equal(h.at, []time.Duration{0, tt.want}) {
					t.Errorf("fetched at %v, want 0 and %v", h.at, tt.want)
				}
			})
		})
	}
}

// While the service is down keys are good for an hour more, and it is asked every five seconds at most.
func TestPublicKeysWhileDown(t *testing.T) {
	for name, status := range map[string]int{"no connection": -1, "500": 500, "403": 403, "a redirect": 302, "another page": 200} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newKeyHost(jwks(jwk(&newRSA(t).PublicKey)))
				h.header = http.Header{"Location": {"https://evil.example/"}}
				keys := h.keys(t)
				get := func(at time.Duration) ([]crypto.PublicKey, error) {
					time.Sleep(at - time.Since(h.start))
					return keys(t.Context(), keysAccount)
				}
				get(0)
				body := h.body
				h.status, h.body = status, "<html>"
				for _, at := range []time.Duration{15 * time.Minute, 30 * time.Minute, 75*time.Minute - 10*time.Second} {
					if got, err := get(at); len(got) != 1 || err != nil {
						t.Errorf("at %v: got %v, %v", at, got, err)
					}
				}
				got, err := get(75 * time.Minute)
				if got != nil || !errors.Is(err, signer.ErrRemote) || errors.Is(err, signer.ErrUnknownKey) || strings.Contains(err.Error(), "evil") {
					t.Errorf("after an hour: got %v, %v", got, err)
				}
				asked := len(h.at)
				if _, err := get(time.Since(h.start) + 4*time.Second); err == nil || len(h.at) != asked {
					t.Errorf("four seconds later: %v after %d requests more", err, len(h.at)-asked)
				}
				h.status, h.body = 200, body
				if got, err := get(time.Since(h.start) + time.Second); len(got) != 1 || err != nil {
					t.Errorf("back again: got %v, %v", got, err)
				}
			})
		})
	}
}

// That an account does not exist is remembered for a minute, and ends the use of its keys at once.
func TestPublicKeysUnknownAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newKeyHost(jwks(jwk(&newRSA(t).PublicKey)))
		keys := h.keys(t)
		get := func(at time.Duration, n int) {
			time.Sleep(at - time.Since(h.start))
			got, err := keys(t.Context(), keysAccount)
			if len(got) != n || (n == 0) != errors.Is(err, signer.ErrUnknownKey) {
				t.Errorf("at %v: got %v, %v", at, got, err)
			}
		}
		get(0, 1)
		h.status = 404
		get(15*time.Minute, 0)
		h.status = 200
		get(16*time.Minute-1, 0)
		get(16*time.Minute, 1)
		h.body = `{"keys":[]}`
		get(31*time.Minute, 0)
		if want := []time.Duration{0, 15 * time.Minute, 16 * time.Minute, 31 * time.Minute}; !slices.Equal(h.at, want) {
			t.Errorf("fetched at %v, want %v", h.at, want)
		}
	})
}

// All who verify at the same time wait for one fetch, each no longer than it wants to.
func TestPublicKeysAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newKeyHost(jwks(jwk(&newRSA(t).PublicKey)))
		h.latency = 50 * time.Millisecond
		keys := h.keys(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := keys(ctx, keysAccount); err != context.DeadlineExceeded {
				t.Errorf("the first got %v", err)
			}
		})
		synctest.Wait()
		for range 100 {
			all.Go(func() {
				if got, err := keys(t.Context(), keysAccount); len(got) != 1 || err != nil {
					t.Errorf("got %v, %v", got, err)
				}
			})
		}
		all.Wait()
		if len(h.at) != 1 || time.Since(h.start) != 50*time.Millisecond {
			t.Errorf("%d fetches in %v", len(h.at), time.Since(h.start))
		}
	})
}

func TestPublicKeysBadAnswers(t *testing.T) {
	good, short := jwk(&newRSA(t).PublicKey), jwk(&rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 512, 1), E: 65537})
	with := func(name, value string) map[string]string {
		k := jwk(&newRSA(t).PublicKey)
		k[name] = value
		return k
	}
	even := new(big.Int).SetBit(new(big.Int), 1024, 1)
	for name, body := range map[string]string{
		"nothing":           "",
		"a page":            "<html>",
		"null":              "null",
		"a list":            "[]",
		"keys of a number":  `{"keys":1}`,
		"a short key":       jwks(good, short),
		"a long key":        jwks(jwk(&rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 20000, 1), E: 65537})),
		"an even modulus":   jwks(jwk(&rsa.PublicKey{N: even, E: 65537})),
		"no modulus":        jwks(with("n", "")),
		"a padded modulus":  jwks(with("n", good["n"]+"==")),
		"no exponent":       jwks(with("e", "")),
		"exponent 1":        jwks(with("e", "AQ")),
		"an even exponent":  jwks(with("e", "Ag")),
		"a long exponent":   jwks(with("e", strings.Repeat("A", 12)+"_____w")),
		"no PEM":            object("1", "planted"),
		"no certificate":    object("1", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
		"numbers":           `{"1":1}`,
		"a megabyte, a bit": `{"keys":[` + strings.Repeat(" ", 1<<20) + `]}`,
	} {
		h := newKeyHost(body)
		got, err := h.keys(t)(t.Context(), keysAccount)
		if got != nil || !errors.Is(err, signer.ErrRemote) || len(h.at) != 1 || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: got %v, %v after %d requests", name, got, err, len(h.at))
		}
	}
}

func FuzzPublicKeys(f *testing.F) {
	k, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(jwks(jwk(&k.PublicKey))))
	f.Add([]byte(object("1", certificate(f, &k.PublicKey, k))))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"","e":"AQAB"},null]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, err := parsePublicKeys(body)
		if err != nil && keys != nil {
			t.Errorf("got %v and %v", keys, err)
		}
		for _, key := range keys {
			if k, ok := key.(*rsa.PublicKey); !ok || !usable(k) {
				t.Errorf("got %v", key)
			}
		}
	})
}
