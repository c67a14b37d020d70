package gcs_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/signer"
)

var errLookup = errors.New("the metadata service is away")

// verifierConfig takes the HMAC key and the RSA key of these tests.
func verifierConfig(edits ...func(*gcs.VerifierConfig)) gcs.VerifierConfig {
	secret := signer.NewSecret([]byte(hmacSecret))
	c := gcs.VerifierConfig{
		Accounts: []string{account},
		Keys: func(context.Context, string) ([]crypto.PublicKey, error) {
			return []crypto.PublicKey{testKeys()[0].Public()}, nil
		},
		Secret: func(_ context.Context, id string) (signer.Secret, error) {
			if id != hmacID {
				return signer.Secret{}, fmt.Errorf("%w: %s", signer.ErrUnknownKey, id)
			}
			return secret, nil
		},
		Clock: clock.Fixed(now),
	}
	for _, edit := range edits {
		edit(&c)
	}
	return c
}

func newVerifier(t testing.TB, edits ...func(*gcs.VerifierConfig)) *gcs.Verifier {
	t.Helper()
	v, err := gcs.NewVerifier(verifierConfig(edits...))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// received is a presigned request as a server sees it.
func received(t testing.TB, p *signer.Presigned, body io.Reader) *http.Request {
	t.Helper()
	sent, err := p.NewRequest(ctx, body)
	if err != nil {
		t.Fatal(err)
	}
	return arrive(sent)
}

// arrive turns a client's request into the server's view of it.
func arrive(sent *http.Request) *http.Request {
	r := httptest.NewRequest(sent.Method, sent.URL.String(), sent.Body)
	r.RequestURI = sent.URL.RequestURI()
	r.ContentLength = sent.ContentLength
	r.Header = sent.Header.Clone()
	if r.Host = sent.Host; r.Host == "" {
		r.Host = sent.URL.Host
	}
	if sent.URL.Scheme == "https" {
		r.TLS = new(tls.ConnectionState)
	}
	return r
}

func readAll(r io.Reader) (string, error) {
	b, err := io.ReadAll(r)
	return string(b), err
}

func wantRefusal(t *testing.T, g *signer.Grant, err, class error, code string) {
	t.Helper()
	var e *signer.Error
	if g != nil || !errors.Is(err, class) || !errors.As(err, &e) || e.Code != code || e.Op != "verify" || e.Backend != "gcs" {
		t.Errorf("grant %v, error %+v, want %q with code %q", g, err, class, code)
	}
}

func TestNewVerifierErrors(t *testing.T) {
	for _, tt := range []struct {
		name  string
		edit  func(*gcs.VerifierConfig)
		field string
	}{
		{"neither kind of key", func(c *gcs.VerifierConfig) { c.Keys, c.Secret, c.Accounts = nil, nil, nil }, "Keys, Secret"},
		{"keys of everybody", func(c *gcs.VerifierConfig) { c.Accounts = nil }, "Accounts"},
		{"accounts without keys", func(c *gcs.VerifierConfig) { c.Keys = nil }, "Keys"},
		{"an empty account", func(c *gcs.VerifierConfig) { c.Accounts = []string{""} }, "Accounts"},
		{"an account that is none", func(c *gcs.VerifierConfig) { c.Accounts = []string{account, "*"} }, "Accounts"},
		{"location", func(c *gcs.VerifierConfig) { c.Location = "A" }, "Location"},
		{"endpoint", func(c *gcs.VerifierConfig) { c.Endpoint = &url.URL{Host: "h"} }, "Endpoint"},
		{"a host where a URL is meant", func(c *gcs.VerifierConfig) { c.Endpoint = mustURL(t, "localhost:4443") }, "Endpoint"},
		{"unknown addressing", func(c *gcs.VerifierConfig) { c.Addressing = 9 }, "Addressing"},
		{"bucket host without endpoint", func(c *gcs.VerifierConfig) { c.Addressing = signer.AddressingBucketHost }, "Addressing"},
		{"learned clock", func(c *gcs.VerifierConfig) { c.Clock = learned{clock.System(), t, ""} }, "Clock"},
		{"negative leeway", func(c *gcs.VerifierConfig) { c.Leeway = -1 }, "Leeway"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := gcs.NewVerifier(verifierConfig(tt.edit))
			wantError(t, err, signer.ErrRequest, tt.field)
			if v != nil {
				t.Error("a Verifier beside the error")
			}
		})
	}
	_, err := gcs.NewVerifier(gcs.VerifierConfig{Location: "A", Leeway: -1, Clock: learned{clock.System(), t, ""}})
	for _, field := range []string{"Location", "Leeway", "Clock", "Keys, Secret"} {
		if err == nil || !strings.Contains(err.Error(), "gcs: new verifier: "+field+": ") {
			t.Errorf("nothing about %s in\n%v", field, err)
		}
	}
}

// What is signed is granted, by each kind of key, in each form and addressing, with names decoded as they were meant.
func TestVerifyGrants(t *testing.T) {
	for _, place := range []struct {
		endpoint   string
		addressing signer.Addressing
		bucket     string // of the grant
	}{
		{"", signer.AddressingAuto, "photos"},
		{"", signer.AddressingPath, "photos"},
		{"", signer.AddressingVirtualHost, "photos"},
		{"http://127.0.0.1:4443", signer.AddressingAuto, "photos"},
		{"http://[::1]:4443/base/x%20y", signer.AddressingPath, "photos"},
		{"https://gw.example:8443", signer.AddressingVirtualHost, "photos"},
		{"https://cdn.example:8443", signer.AddressingBucketHost, "cdn.example"},
	} {
		var endpoint *url.URL
		if place.endpoint != "" {
			endpoint = mustURL(t, place.endpoint)
		}
		confS := func(c *gcs.Config) { c.Endpoint, c.Addressing = endpoint, place.addressing }
		v := newVerifier(t, func(c *gcs.VerifierConfig) { c.Endpoint, c.Addressing = endpoint, place.addressing })
		for i, key := range []string{"k", "a/b c+d%2Fe~.jpg", "/leading", "a//b", "é😀", "trailing/", strings.Repeat("long/", 180) + "x", "%", "a\nb", "!$&'()*,;=:@[]?#"} {
			id, scheme, withKey := hmacID, "GOOG4-HMAC-SHA256", func(*gcs.Config) {}
			if i%4 == 1 {
				id, scheme, withKey = account, "GOOG4-RSA-SHA256", func(c *gcs.Config) { c.Key = rsaKey(t) }
			}
			s := newSigner(t, confS, withKey)
			name := fmt.Sprintf("%s %v %.20q", place.endpoint, place.addressing, key)
			p := presign(t, s, signer.Request{Method: "PUT", Key: key, Expires: time.Minute,
				Query: url.Values{"partNumber": {"1"}, "uploadId": {"a+b c"}}, Header: http.Header{"X-Goog-Meta-A": {"1", " 2  3"}}})
			g, err := v.Verify(ctx, received(t, p, strings.NewReader("body")))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if g.Bucket != place.bucket || g.Key != key || g.Method != "PUT" || g.Query.Get("uploadId") != "a+b c" || len(g.Query) != 2 ||
				g.KeyID != id || g.Backend != "gcs" || g.Scheme != scheme || g.Payload != "" || len(g.Fingerprint) != 32 || g.Chunks != nil ||
				!g.SignedAt.Equal(p.NotBefore) || !g.ExpiresAt.Equal(p.ExpiresAt) || !g.NotBefore.Equal(p.NotBefore) ||
				strings.Join(g.SignedHeaders, " ") != "host x-goog-meta-a" || g.Header.Get("X-Goog-Meta-A") != "1,2 3" {
				t.Errorf("%s: the grant is %+v", name, g)
			}

			// The same request, signed in its header.
			bare, _, _ := strings.Cut(p.URL, "?")
			req, err := http.NewRequest("PUT", bare+"?partNumber=1&uploadId=a%2Bb+c", strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			if err := conformanceHashBody(req); err != nil {
				t.Fatal(err)
			}
			if err := s.Sign(ctx, req); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			in := arrive(req)
			g, err = v.Verify(ctx, in)
			if err != nil {
				t.Errorf("%s, in the header: %v", name, err)
				continue
			}
			if g.Bucket != place.bucket || g.Key != key || g.KeyID != id || g.Scheme != scheme || g.Query.Get("uploadId") != "a+b c" || len(g.Query) != 2 ||
				g.Payload != "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5" || // SHA-256 of "body"
				!g.ExpiresAt.Equal(g.SignedAt.Add(15*time.Minute)) || !g.NotBefore.Equal(g.SignedAt.Add(-15*time.Minute)) {
				t.Errorf("%s, in the header: the grant is %+v", name, g)
			}
			if body, err := readAll(g.Body(in.Body)); body != "body" || err != nil {
				t.Errorf("body %q, %v", body, err)
			}
		}
	}
}

// The body of a request whose hash is signed is that one or none.
func TestVerifyBody(t *testing.T) {
	req, _ := http.NewRequest("PUT", "https://storage.googleapis.com/photos/k", strings.NewReader("body"))
	if err := conformanceHashBody(req); err != nil {
		t.Fatal(err)
	}
	if err := newSigner(t).Sign(ctx, req); err != nil {
		t.Fatal(err)
	}
	for _, sent := range []string{"bodY", "bod", "", "body!"} {
		g, err := newVerifier(t).Verify(ctx, arrive(req))
		if err != nil {
			t.Fatal(err)
		}
		_, err = readAll(g.Body(io.NopCloser(strings.NewReader(sent))))
		var e *signer.Error
		if !errors.Is(err, signer.ErrMismatch) || !errors.As(err, &e) || e.Backend != "gcs" {
			t.Errorf("%q passes for the body: %v", sent, err)
		}
	}
}

// Whoever is not listed is refused before anybody is asked for keys.
func TestAccountsNotListedAreRefusedBeforeAnyFetch(t *testing.T) {
	fetched := map[string]int{}
	v := newVerifier(t, func(c *gcs.VerifierConfig) {
		c.Accounts = []string{"first@proj.iam.gserviceaccount.com", account}
		c.Keys = func(_ context.Context, account string) ([]crypto.PublicKey, error) {
			fetched[account]++
			return []crypto.PublicKey{testKeys()[0].Public()}, nil
		}
	})
	by := func(email string) *http.Request {
		key, err := gcs.RSAKey(email, testKeys()[0])
		if err != nil {
			t.Fatal(err)
		}
		return received(t, presign(t, newSigner(t, func(c *gcs.Config) { c.Key = key }), signer.Request{Key: "k", Expires: time.Minute}), nil)
	}
	for _, email := range []string{"evil@evil.iam.gserviceaccount.com", strings.ToUpper(account), strings.Replace(account, "s", "S", 1), "x" + account, account + ".evil.example",
		"first@proj.iam.gserviceaccount.co", "signer+@proj.iam.gserviceaccount.com"} {
		g, err := v.Verify(ctx, by(email))
		wantRefusal(t, g, err, signer.ErrUnknownKey, "AccessDenied")
		if len(fetched) != 0 {
			t.Fatalf("for %s the keys of %v were fetched", email, fetched)
		}
	}
	if g, err := v.Verify(ctx, by(account)); err != nil || g.KeyID != account || fetched[account] != 1 || len(fetched) != 1 {
		t.Errorf("%+v, %v, fetched %v", g, err, fetched)
	}
	// What is wrong in itself is refused before, too.
	r := by(account)
	r.RequestURI = strings.Replace(r.RequestURI, "X-Goog-Expires=60", "X-Goog-Expires=0", 1)
	if _, err := v.Verify(ctx, r); !errors.Is(err, signer.ErrMalformed) || fetched[account] != 1 {
		t.Errorf("%v, fetched %v", err, fetched)
	}
	// A list that the caller changes later is not ours.
	accounts := []string{account}
	v = newVerifier(t, func(c *gcs.VerifierConfig) { c.Accounts = accounts })
	accounts[0] = "evil@evil.iam.gserviceaccount.com"
	if _, err := v.Verify(ctx, by(accounts[0])); !errors.Is(err, signer.ErrUnknownKey) {
		t.Errorf("%v", err)
	}
}

// All keys of an account are tried, and only RSA keys of a safe length.
func TestVerifyTriesAllKeys(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small := smallKey(t, 512)
	ours, other := testKeys()[0].Public(), testKeys()[1].Public()
	p := presign(t, newSigner(t, func(c *gcs.Config) { c.Key = rsaKey(t) }), signer.Request{Key: "k", Expires: time.Minute})
	for _, tt := range []struct {
		name  string
		keys  []crypto.PublicKey
		err   error
		class error
		code  string
	}{
		{"the key", []crypto.PublicKey{ours}, nil, nil, ""},
		{"the key last", []crypto.PublicKey{ec.Public(), &small.PublicKey, nil, other, ours}, nil, nil, ""},
		{"the key first", []crypto.PublicKey{ours, other}, nil, nil, ""},
		{"another key", []crypto.PublicKey{other}, nil, signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"keys that are none", []crypto.PublicKey{nil, "key", ec.Public(), *testKeys()[0]}, nil, signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"nil pointers", []crypto.PublicKey{(*rsa.PublicKey)(nil), new(rsa.PublicKey)}, nil, signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"no keys", nil, nil, signer.ErrUnknownKey, "AccessDenied"},
		{"no such account", nil, fmt.Errorf("404: %w", signer.ErrUnknownKey), signer.ErrUnknownKey, "AccessDenied"},
		{"no such account, and keys", []crypto.PublicKey{ours}, signer.ErrUnknownKey, signer.ErrUnknownKey, "AccessDenied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newVerifier(t, func(c *gcs.VerifierConfig) {
				c.Keys = func(context.Context, string) ([]crypto.PublicKey, error) { return tt.keys, tt.err }
			})
			g, err := v.Verify(ctx, received(t, p, nil))
			if tt.class == nil {
				if err != nil || g.KeyID != account {
					t.Errorf("%+v, %v", g, err)
				}
				return
			}
			wantRefusal(t, g, err, tt.class, tt.code)
		})
	}
}

// Two keys of one account make two signatures of one request, which have two fingerprints.
func TestVerifyFingerprints(t *testing.T) {
	v := newVerifier(t, func(c *gcs.VerifierConfig) {
		c.Keys = func(context.Context, string) ([]crypto.PublicKey, error) {
			return []crypto.PublicKey{testKeys()[0].Public(), testKeys()[1].Public()}, nil
		}
	})
	var seen [2]string
	for i, private := range testKeys() {
		key, err := gcs.RSAKey(account, private)
		if err != nil {
			t.Fatal(err)
		}
		p := presign(t, newSigner(t, func(c *gcs.Config) { c.Key = key }), signer.Request{Key: "k", Expires: time.Minute})
		for range 2 {
			g, err := v.Verify(ctx, received(t, p, nil))
			if err != nil || seen[i] != "" && g.Fingerprint != seen[i] {
				t.Fatalf("%+v, %v, before it was %s", g, err, seen[i])
			}
			seen[i] = g.Fingerprint
		}
	}
	if seen[0] == seen[1] {
		t.Errorf("one fingerprint, %s", seen[0])
	}
}

// A signature that a weak key made is right, and refused: whoever factors the key signs with it.
func TestWeakKeysVerifyNothing(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0") // or crypto/rsa would refuse it for us
	for bits, class := range map[int]error{1024: nil, 1022: signer.ErrMismatch} {
		weak := smallKey(t, bits)
		key, err := gcs.RemoteKey(account, 0, func(_ context.Context, toSign []byte) (gcs.Signature, error) {
			return gcs.Signature{Bytes: textbook(weak, toSign)}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		p := presign(t, newSigner(t, func(c *gcs.Config) { c.Key = key }), signer.Request{Key: "k", Expires: time.Minute})
		v := newVerifier(t, func(c *gcs.VerifierConfig) {
			c.Keys = func(context.Context, string) ([]crypto.PublicKey, error) {
				return []crypto.PublicKey{&weak.PublicKey}, nil
			}
		})
		if _, err := v.Verify(ctx, received(t, p, nil)); !errors.Is(err, class) {
			t.Errorf("%d bits: %v", weak.N.BitLen(), err)
		}
	}
}

func TestSecretErrors(t *testing.T) {
	p := presign(t, newSigner(t), signer.Request{Key: "k", Expires: time.Minute})
	lookup := func(s signer.Secret, err error) *gcs.Verifier {
		return newVerifier(t, func(c *gcs.VerifierConfig) {
			c.Secret = func(context.Context, string) (signer.Secret, error) { return s, err }
		})
	}
	if _, err := lookup(signer.Secret{}, errLookup).Verify(ctx, received(t, p, nil)); err != errLookup {
		t.Errorf("an error of the lookup becomes %v", err)
	}
	if _, err := lookup(signer.NewSecret([]byte(hmacSecret)), errLookup).Verify(ctx, received(t, p, nil)); err != errLookup {
		t.Errorf("an error beside the secret becomes %v", err)
	}
	g, err := lookup(signer.NewSecret([]byte("another")), nil).Verify(ctx, received(t, p, nil))
	wantRefusal(t, g, err, signer.ErrMismatch, "SignatureDoesNotMatch")

	keys := newVerifier(t, func(c *gcs.VerifierConfig) {
		c.Keys = func(context.Context, string) ([]crypto.PublicKey, error) { return nil, errLookup }
	})
	byRSA := presign(t, newSigner(t, func(c *gcs.Config) { c.Key = rsaKey(t) }), signer.Request{Key: "k", Expires: time.Minute})
	if _, err := keys.Verify(ctx, received(t, byRSA, nil)); err != errLookup {
		t.Errorf("an error of Keys becomes %v", err)
	}

	// A verifier for one kind of key takes none of the other.
	onlyRSA := newVerifier(t, func(c *gcs.VerifierConfig) { c.Secret = nil })
	g, err = onlyRSA.Verify(ctx, received(t, p, nil))
	wantRefusal(t, g, err, signer.ErrUnknownKey, "AccessDenied")
	onlyHMAC := newVerifier(t, func(c *gcs.VerifierConfig) { c.Keys, c.Accounts = nil, nil })
	g, err = onlyHMAC.Verify(ctx, received(t, byRSA, nil))
	wantRefusal(t, g, err, signer.ErrUnknownKey, "AccessDenied")
}

// RequestURI is what came over the wire; a handler in front may have changed URL.
func TestVerifyTakesTheWirePath(t *testing.T) {
	p := presign(t, newSigner(t), signer.Request{Key: "a/b", Expires: time.Minute})
	r := received(t, p, nil)
	r.URL.Path = "/b" // http.StripPrefix
	if g, err := newVerifier(t).Verify(ctx, r); err != nil || g.Key != "a/b" {
		t.Errorf("%+v, %v", g, err)
	}
	r = received(t, p, nil)
	r.RequestURI = p.URL // as sent to a proxy
	if g, err := newVerifier(t).Verify(ctx, r); err != nil || g.Key != "a/b" {
		t.Errorf("in absolute form: %+v, %v", g, err)
	}
	for _, uri := range []string{"*", "a/b", "h:443"} {
		r.RequestURI = uri + "?" + r.URL.RawQuery
		g, err := newVerifier(t).Verify(ctx, r)
		wantRefusal(t, g, err, signer.ErrMalformed, "InvalidURI")
	}
}

// Other spellings of one path are one path, as the service has it.
func TestVerifyOtherSpellings(t *testing.T) {
	p := presign(t, newSigner(t), signer.Request{Key: "a+b~c", Expires: time.Minute})
	for _, path := range []string{"/photos/a+b~c", "/photos/a%2bb%7Ec", "/photos/%61%2Bb~c"} {
		r := received(t, p, nil)
		_, query, _ := strings.Cut(r.RequestURI, "?")
		r.RequestURI = path + "?" + query
		if g, err := newVerifier(t).Verify(ctx, r); err != nil || g.Key != "a+b~c" {
			t.Errorf("%s: %+v, %v", path, g, err)
		}
	}
}

func TestVerifyBehindAProxy(t *testing.T) {
	p := presign(t, newSigner(t), signer.Request{Key: "k", Expires: time.Minute})
	r := received(t, p, nil)
	r.Host, r.TLS = "10.0.0.7:8080", nil
	g, err := newVerifier(t).Verify(ctx, r)
	wantRefusal(t, g, err, signer.ErrScope, "InvalidRequest")
	v := newVerifier(t, func(c *gcs.VerifierConfig) {
		c.Inbound = func(r *http.Request) (signer.Inbound, error) {
			return signer.Inbound{Scheme: "https", Host: "storage.googleapis.com:443"}, nil
		}
	})
	if _, err := v.Verify(ctx, r); err != nil {
		t.Errorf("with the host that the client used: %v", err)
	}
	failing := newVerifier(t, func(c *gcs.VerifierConfig) {
		c.Inbound = func(r *http.Request) (signer.Inbound, error) { return signer.Inbound{}, errLookup }
	})
	if _, err := failing.Verify(ctx, r); err != errLookup {
		t.Errorf("%v", err)
	}
}

// The host is signed without its port by Google's libraries, and with it by others.
func TestVerifyHostWithPortAndWithout(t *testing.T) {
	for _, tt := range []struct {
		endpoint, host, signed string
		class                  error
	}{
		{"http://localhost:4443", "localhost:4443", "localhost", nil},
		{"http://localhost:4443", "localhost:4443", "localhost:4443", nil},
		{"http://localhost:4443", "localhost:4443", "localhost:80", signer.ErrMismatch},
		{"http://localhost:4443", "localhost:4443", "localhos", signer.ErrMismatch},
		{"http://localhost:4443", "localhost", "localhost", signer.ErrScope},
		{"http://localhost:4443", "localhost:4444", "localhost", signer.ErrScope},
		{"http://[::1]:4443", "[::1]:4443", "::1", nil},
		{"http://[::1]:4443", "[::1]:4443", "[::1]:4443", nil},
		{"https://h", "h:443", "h", nil},
		{"https://h", "h:443", "h:443", nil},
		{"https://h", "h", "h", nil},
		{"https://h", "h", "h:443", signer.ErrMismatch}, // the port was never sent
		{"https://h:443", "h:443", "h", nil},
		{"https://h:443", "h", "h", nil},
	} {
		for _, key := range []gcs.Key{hmacKey(t), rsaKey(t)} {
			v := newVerifier(t, func(c *gcs.VerifierConfig) { c.Endpoint = mustURL(t, tt.endpoint) })
			r := httptest.NewRequest("GET", "/photos/k", nil)
			r.Host = tt.host
			r.RequestURI = byHand(t, key, "/photos/k", "host:"+tt.signed+"\n", "host", nil)
			if g, err := v.Verify(ctx, r); !errors.Is(err, tt.class) || (err == nil) != (g != nil) {
				t.Errorf("at %s, %s asked for, %s signed: %v", tt.endpoint, tt.host, tt.signed, err)
			}
		}
	}
}

// Of the two forms that are tried, a Trace shows Google's.
func TestVerifyTracesTheHostWithoutPort(t *testing.T) {
	v := newVerifier(t, func(c *gcs.VerifierConfig) { c.Endpoint = mustURL(t, "http://localhost:4443") })
	r := httptest.NewRequest("GET", "/photos/k", nil)
	r.Host, r.RequestURI = "localhost:4443", byHand(t, hmacKey(t), "/photos/k", "host:elsewhere\n", "host", nil)
	var trace signer.Trace
	_, err := v.Verify(signer.WithTrace(ctx, &trace), r)
	if !errors.Is(err, signer.ErrMismatch) || !strings.Contains(string(trace.CanonicalRequest), "\nhost:localhost\n") || len(trace.StringToSign) == 0 {
		t.Errorf("%v, trace %s", err, trace.CanonicalRequest)
	}
}

// Names of parameters are those of the documentation or all in lower case, as gsutil writes them.
func TestVerifyParametersInLowerCase(t *testing.T) {
	v := newVerifier(t)
	verify := func(rename func(string) string) (*signer.Grant, error) {
		r := httptest.NewRequest("GET", "https://storage.googleapis.com/photos/k", nil)
		r.RequestURI = byHand(t, hmacKey(t), "/photos/k", "host:storage.googleapis.com\n", "host", rename)
		return v.Verify(ctx, r)
	}
	if g, err := verify(strings.ToLower); err != nil || g.Key != "k" || g.Query != nil || !g.ExpiresAt.Equal(now.Truncate(time.Second).Add(time.Minute)) {
		t.Errorf("all in lower case: %+v, %v", g, err)
	}
	for _, name := range []string{"X-Goog-Algorithm", "X-Goog-Credential", "X-Goog-Date", "X-Goog-Expires", "X-Goog-SignedHeaders", "X-Goog-Signature"} {
		for _, spelling := range []string{strings.ToUpper(name), "X-goog" + name[6:], "x-Goog-" + strings.ToLower(name[7:]), name[:len(name)-1] + strings.ToUpper(name[len(name)-1:])} {
			g, err := verify(func(n string) string {
				if n == name {
					return spelling
				}
				return n
			})
			wantRefusal(t, g, err, signer.ErrMalformed, "MalformedSecurityHeader")
		}
	}
	// Unicode has other letters that fold to these.
	for name, spelling := range map[string]string{"X-Goog-Signature": "x-goog-%C5%BFignature", "X-Goog-Expires": "x-goog-expire%C5%BF"} {
		if g, err := verify(func(n string) string {
			if n == name {
				return spelling
			}
			return n
		}); !errors.Is(err, signer.ErrMalformed) {
			t.Errorf("%s: %+v, %v", spelling, g, err)
		}
	}
}

func TestVerifyTimes(t *testing.T) {
	p := presign(t, newSigner(t), signer.Request{Key: "k", Expires: time.Hour})
	header, _ := http.NewRequest("GET", "https://storage.googleapis.com/photos/k", nil)
	if err := newSigner(t).Sign(ctx, header); err != nil {
		t.Fatal(err)
	}
	signedAt := now.Truncate(time.Second)
	for _, tt := range []struct {
		after       time.Duration
		leeway      time.Duration
		url, header error
	}{
		{0, 0, nil, nil},
		{-15 * time.Minute, 0, nil, nil},
		{-15*time.Minute - 1, 0, signer.ErrNotYetValid, signer.ErrNotYetValid},
		{15*time.Minute - 1, 0, nil, nil},
		{15 * time.Minute, 0, nil, signer.ErrExpired},
		{20 * time.Minute, 0, nil, signer.ErrExpired}, // the 15 minutes of headers do not cut URLs short
		{time.Hour - 1, 0, nil, signer.ErrExpired},
		{time.Hour, 0, signer.ErrExpired, signer.ErrExpired},
		{time.Hour, 2 * time.Hour, signer.ErrExpired, nil}, // no leeway beyond the end of a URL
		{-time.Hour, 2 * time.Hour, nil, nil},
		{-2 * time.Second, time.Second, signer.ErrNotYetValid, signer.ErrNotYetValid},
	} {
		v := newVerifier(t, func(c *gcs.VerifierConfig) { c.Clock, c.Leeway = clock.Fixed(signedAt.Add(tt.after)), tt.leeway })
		codes := map[error]string{signer.ErrNotYetValid: "RequestTimeTooSkewed", signer.ErrExpired: "ExpiredToken"}
		g, err := v.Verify(ctx, received(t, p, nil))
		if tt.url == nil && err != nil {
			t.Errorf("URL %v after signing, leeway %v: %v", tt.after, tt.leeway, err)
		} else if tt.url != nil {
			wantRefusal(t, g, err, tt.url, codes[tt.url])
		}
		g, err = v.Verify(ctx, arrive(header))
		if tt.header == nil && err != nil {
			t.Errorf("header %v after signing, leeway %v: %v", tt.after, tt.leeway, err)
		} else if tt.header != nil {
			wantRefusal(t, g, err, tt.header, "RequestTimeTooSkewed")
		}
	}
}

// A location is anything, or what the Verifier was told.
func TestVerifyLocation(t *testing.T) {
	for _, location := range []string{"auto", "us-central1", "eu"} {
		p := presign(t, newSigner(t, func(c *gcs.Config) { c.Location = location }), signer.Request{Key: "k", Expires: time.Minute})
		if _, err := newVerifier(t).Verify(ctx, received(t, p, nil)); err != nil {
			t.Errorf("%s, where any will do: %v", location, err)
		}
		v := newVerifier(t, func(c *gcs.VerifierConfig) { c.Location = "us-central1" })
		g, err := v.Verify(ctx, received(t, p, nil))
		if location == "us-central1" && err != nil {
			t.Errorf("%s: %v", location, err)
		} else if location != "us-central1" {
			wantRefusal(t, g, err, signer.ErrScope, "MalformedSecurityHeader")
		}
	}
}

// One thing changed after signing, in the URL form.
func TestVerifyRefusesURLs(t *testing.T) {
	query := func(edit func(q string) string) func(*http.Request) {
		return func(r *http.Request) {
			path, q, _ := strings.Cut(r.RequestURI, "?")
			r.RequestURI = path + "?" + edit(q)
		}
	}
	replace := func(from, to string) func(*http.Request) {
		return query(func(q string) string {
			if !strings.Contains(q, from) {
				t.Fatalf("no %s in the query", from)
			}
			return strings.Replace(q, from, to, 1)
		})
	}
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = []string{value} }
	}
	add := func(more string) func(*http.Request) { return query(func(q string) string { return q + more }) }
	const malformed, missing, mismatch = "MalformedSecurityHeader", "MissingSecurityHeader", "SignatureDoesNotMatch"
	for _, tt := range []struct {
		name  string
		edit  func(*http.Request)
		class error
		code  string
	}{
		{"method", func(r *http.Request) { r.Method = "GET" }, signer.ErrMismatch, mismatch},
		{"path", func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "/k", "/K", 1) }, signer.ErrMismatch, mismatch},
		{"path in double encoding", func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "/k", "/%256B", 1) }, signer.ErrMismatch, mismatch},
		{"bucket", func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "/photos/", "/photoz/", 1) }, signer.ErrMismatch, mismatch},
		{"bucket in front of the host", func(r *http.Request) { r.Host = "photos." + r.Host }, signer.ErrMismatch, mismatch},
		{"another host", func(r *http.Request) { r.Host = "evil.example" }, signer.ErrScope, "InvalidRequest"},
		{"no host", func(r *http.Request) { r.Host = "" }, signer.ErrScope, "InvalidRequest"},
		{"port", func(r *http.Request) { r.Host += ":444" }, signer.ErrScope, "InvalidRequest"},
		{"signature", query(func(q string) string { return q[:len(q)-1] + flip(q[len(q)-1:]) }), signer.ErrMismatch, mismatch},
		{"signature cut to an odd length", query(func(q string) string { return q[:len(q)-1] }), signer.ErrMalformed, malformed},
		{"signature cut by a byte", query(func(q string) string { return q[:len(q)-2] }), signer.ErrMismatch, mismatch},
		{"signature longer by a byte", add("00"), signer.ErrMismatch, mismatch},
		{"signature of a byte", query(func(q string) string { return q[:len(q)-62] }), signer.ErrMismatch, mismatch},
		{"signature of 2050 digits", add(strings.Repeat("0", 2050-64)), signer.ErrMalformed, malformed},
		{"signature in capitals", query(func(q string) string { return q[:len(q)-64] + strings.ToUpper(q[len(q)-64:]) }), signer.ErrMalformed, malformed},
		{"signature empty", query(func(q string) string { return q[:len(q)-64] }), signer.ErrMalformed, malformed},
		{"no signature", query(func(q string) string { return q[:strings.Index(q, "&X-Goog-Signature")] }), signer.ErrMalformed, missing},
		{"expiry stretched", replace("X-Goog-Expires=60", "X-Goog-Expires=600"), signer.ErrMismatch, mismatch},
		{"expiry 0", replace("X-Goog-Expires=60", "X-Goog-Expires=0"), signer.ErrMalformed, malformed},
		{"expiry negative", replace("X-Goog-Expires=60", "X-Goog-Expires=-1"), signer.ErrMalformed, malformed},
		{"expiry of eight days", replace("X-Goog-Expires=60", "X-Goog-Expires=691200"), signer.ErrMalformed, malformed},
		{"expiry with a plus", replace("X-Goog-Expires=60", "X-Goog-Expires=%2B60"), signer.ErrMalformed, malformed},
		{"expiry with a zero in front", replace("X-Goog-Expires=60", "X-Goog-Expires=060"), signer.ErrMalformed, malformed},
		{"expiry that overflows", replace("X-Goog-Expires=60", "X-Goog-Expires=99999999999999999999"), signer.ErrMalformed, malformed},
		{"expiry twice", add("&X-Goog-Expires=60"), signer.ErrMalformed, malformed},
		{"expiry twice, in another spelling", query(func(q string) string { return "x-goog-expires=60&" + q }), signer.ErrMalformed, malformed},
		{"expiry twice, escaped", add("&X-Goog-%45xpires=60"), signer.ErrMalformed, malformed},
		{"expiry in lower case", replace("X-Goog-Expires", "x-goog-expires"), signer.ErrMismatch, mismatch}, // its spelling is signed
		{"expired", func(r *http.Request) {
			replace("X-Goog-Expires=60", "X-Goog-Expires=1")(r)
			replace("20261124T235949Z", "20261124T235948Z")(r)
		}, signer.ErrExpired, "ExpiredToken"}, // looked at before the signature, as Google does
		{"date", replace("X-Goog-Date=20261124T235949Z", "X-Goog-Date=20261124T235948Z"), signer.ErrMismatch, mismatch},
		{"date of another day than the scope's", replace("X-Goog-Date=20261124T235949Z", "X-Goog-Date=20261125T000000Z"), signer.ErrScope, malformed},
		{"no date", replace("X-Goog-Date=20261124T235949Z&", ""), signer.ErrMalformed, missing},
		{"date that is none", replace("X-Goog-Date=20261124T235949Z", "X-Goog-Date=yesterday"), signer.ErrMalformed, malformed},
		{"algorithm", replace("GOOG4-HMAC-SHA256", "GOOG4-HMAC-SHA1"), signer.ErrMalformed, malformed},
		{"algorithm of AWS", replace("GOOG4-HMAC-SHA256", "AWS4-HMAC-SHA256"), signer.ErrMalformed, malformed},
		{"algorithm of the other kind of key", replace("GOOG4-HMAC-SHA256", "GOOG4-RSA-SHA256"), signer.ErrUnknownKey, "AccessDenied"},
		{"no algorithm", replace("X-Goog-Algorithm=GOOG4-HMAC-SHA256&", ""), signer.ErrMalformed, missing},
		{"location", replace("%2Fauto%2F", "%2Feu%2F"), signer.ErrMismatch, mismatch},
		{"service", replace("%2Fstorage%2F", "%2Fs3%2F"), signer.ErrMalformed, malformed},
		{"terminator", replace("goog4_request", "goog4_requesT"), signer.ErrMalformed, malformed},
		{"terminator of AWS", replace("goog4_request", "aws4_request"), signer.ErrMalformed, malformed},
		{"credential without a location", replace("%2Fauto", ""), signer.ErrMalformed, malformed},
		{"credential with an empty location", replace("%2Fauto%2F", "%2F%2F"), signer.ErrMalformed, malformed},
		{"credential with a date that is none", replace("%2F20261124%2F", "%2F20261324%2F"), signer.ErrMalformed, malformed},
		{"credential with an empty id", replace("Credential="+hmacID, "Credential="), signer.ErrMalformed, malformed},
		{"credential with a blank", replace("Credential="+hmacID, "Credential="+hmacID+"%20"), signer.ErrMalformed, malformed},
		{"no credential", replace("X-Goog-Credential=", "Xa="), signer.ErrMalformed, missing},
		{"unknown key", replace(hmacID, "GOOG1UNKNOWN"), signer.ErrUnknownKey, "AccessDenied"},
		{"key id in lower case", replace(hmacID, strings.ToLower(hmacID)), signer.ErrUnknownKey, "AccessDenied"},
		{"signed headers without host", replace("X-Goog-SignedHeaders=host%3Bx-goog-meta-a", "X-Goog-SignedHeaders=x-goog-meta-a"), signer.ErrMalformed, malformed},
		{"signed headers unsorted", replace("host%3Bx-goog-meta-a", "x-goog-meta-a%3Bhost"), signer.ErrMalformed, malformed},
		{"signed headers with a comma", replace("host%3Bx-goog-meta-a", "host,x-goog-meta-a"), signer.ErrMalformed, malformed},
		{"signed headers with an empty name", replace("host%3Bx", "host%3B%3Bx"), signer.ErrMalformed, malformed},
		{"signed headers in capitals", replace("x-goog-meta-a", "X-Goog-Meta-A"), signer.ErrMalformed, malformed},
		{"no signed headers", replace("&X-Goog-SignedHeaders=host%3Bx-goog-meta-a", ""), signer.ErrMalformed, missing},
		{"signed header not sent", func(r *http.Request) { delete(r.Header, "X-Goog-Meta-A") }, signer.ErrMismatch, malformed},
		{"signed header changed", set("X-Goog-Meta-A", "2"), signer.ErrMismatch, mismatch},
		{"copy source added", set("X-Goog-Copy-Source", "/secrets/all"), signer.ErrMismatch, malformed},
		{"copy source added in lower case", set("x-goog-copy-source", "/secrets/all"), signer.ErrMismatch, malformed},
		{"copy source added in the other dialect", set("X-Amz-Copy-Source", "/secrets/all"), signer.ErrMismatch, malformed},
		{"acl added", set("X-Goog-Acl", "public-read"), signer.ErrMismatch, malformed},
		{"a date added", set("X-Goog-Date", "20261124T235949Z"), signer.ErrMismatch, malformed},
		{"a payload hash of AWS added", set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), signer.ErrMismatch, malformed},
		{"x-oss header added", set("X-Oss-Acl", "public-read"), signer.ErrMismatch, malformed},
		{"acl in a trailer", func(r *http.Request) { r.Trailer = http.Header{"X-Goog-Acl": nil} }, signer.ErrMismatch, malformed},
		{"parameter added", add("&generation=1"), signer.ErrMismatch, mismatch},
		{"parameter added in front", query(func(q string) string { return "acl&" + q }), signer.ErrMismatch, mismatch},
		{"parameter of the service added", add("&X-Goog-Custom=1"), signer.ErrMismatch, mismatch},
		{"a broken escape", add("&a=%zz"), signer.ErrMalformed, malformed},
		{"Authorization too", set("Authorization", "GOOG4-HMAC-SHA256 x"), signer.ErrConflict, "AuthenticationRequired"},
		{"Authorization of another kind too", set("Authorization", "Bearer x"), signer.ErrConflict, "AuthenticationRequired"},
		{"an empty Authorization too", set("authorization", ""), signer.ErrConflict, "AuthenticationRequired"},
		{"a second signature", add("&X-Amz-Signature=00"), signer.ErrConflict, "InvalidArgument"},
		{"a second signature of version 2", add("&Signature=00"), signer.ErrConflict, "InvalidArgument"},
		{"a key with a NUL", func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "/k", "/k%00", 1) }, signer.ErrMalformed, "InvalidURI"},
		{"the query lost", query(func(string) string { return "" }), signer.ErrUnsigned, "AuthenticationRequired"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := presign(t, newSigner(t), signer.Request{Method: "PUT", Key: "k", Expires: time.Minute, Header: http.Header{"X-Goog-Meta-A": {"1"}}})
			v := newVerifier(t)
			if _, err := v.Verify(ctx, received(t, p, nil)); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			r := received(t, p, nil)
			tt.edit(r)
			g, err := v.Verify(ctx, r)
			wantRefusal(t, g, err, tt.class, tt.code)
		})
	}
}

func flip(digit string) string {
	if digit == "0" {
		return "1"
	}
	return "0"
}

// One thing changed after signing, in the header form.
func TestVerifyRefusesHeaders(t *testing.T) {
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = []string{value} }
	}
	auth := func(from, to string) func(*http.Request) {
		return func(r *http.Request) {
			a := r.Header.Get("Authorization")
			if !strings.Contains(a, from) {
				t.Fatalf("no %s in %s", from, a)
			}
			r.Header.Set("Authorization", strings.Replace(a, from, to, 1))
		}
	}
	const malformed, mismatch = "MalformedSecurityHeader", "SignatureDoesNotMatch"
	for _, tt := range []struct {
		name  string
		edit  func(*http.Request)
		class error
		code  string
	}{
		{"method", func(r *http.Request) { r.Method = "DELETE" }, signer.ErrMismatch, mismatch},
		{"path", func(r *http.Request) { r.RequestURI = "/photos/K?a=1" }, signer.ErrMismatch, mismatch},
		{"query", func(r *http.Request) { r.RequestURI = "/photos/k?a=2" }, signer.ErrMismatch, mismatch},
		{"length", func(r *http.Request) { r.ContentLength++ }, signer.ErrMismatch, mismatch},
		{"length unknown", func(r *http.Request) { r.ContentLength = -1 }, signer.ErrMismatch, malformed},
		{"payload hash", set("X-Goog-Content-Sha256", strings.Repeat("0", 64)), signer.ErrMismatch, mismatch},
		{"payload unsigned", set("X-Goog-Content-Sha256", "UNSIGNED-PAYLOAD"), signer.ErrMismatch, mismatch},
		{"payload hash empty", set("X-Goog-Content-Sha256", ""), signer.ErrMalformed, malformed},
		{"payload hash in capitals", set("X-Goog-Content-Sha256", strings.Repeat("A", 64)), signer.ErrMalformed, malformed},
		{"payload hash missing", func(r *http.Request) { r.Header.Del("X-Goog-Content-Sha256") }, signer.ErrMalformed, malformed},
		{"payload hash twice", func(r *http.Request) { r.Header.Add("X-Goog-Content-Sha256", "UNSIGNED-PAYLOAD") }, signer.ErrMalformed, malformed},
		{"streaming", set("X-Goog-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"), signer.ErrMalformed, malformed},
		{"date", set("X-Goog-Date", "20261124T235950Z"), signer.ErrMismatch, mismatch},
		{"date of another day", set("X-Goog-Date", "20261125T000000Z"), signer.ErrScope, malformed},
		{"date that is none", set("X-Goog-Date", "Tue, 24 Nov 2026 23:59:49 GMT"), signer.ErrMalformed, malformed},
		{"no date", func(r *http.Request) { r.Header.Del("X-Goog-Date") }, signer.ErrMalformed, malformed},
		{"date twice", func(r *http.Request) { r.Header.Add("X-Goog-Date", "20261124T235949Z") }, signer.ErrMalformed, malformed},
		{"date not signed", auth(";x-goog-date", ""), signer.ErrMismatch, malformed},
		{"copy source added", set("X-Goog-Copy-Source", "/a/b"), signer.ErrMismatch, malformed},
		{"copy source added in the other dialect", set("X-Amz-Copy-Source", "/a/b"), signer.ErrMismatch, malformed},
		{"signature in capitals", func(r *http.Request) {
			a := r.Header.Get("Authorization")
			r.Header.Set("Authorization", a[:len(a)-64]+strings.ToUpper(a[len(a)-64:]))
		}, signer.ErrMalformed, malformed},
		{"location", auth("/auto/", "/eu/"), signer.ErrMismatch, mismatch},
		{"service", auth("/storage/", "/s3/"), signer.ErrMalformed, malformed},
		{"signed header dropped", auth(";x-goog-meta-a", ""), signer.ErrMismatch, malformed},
		{"signed header replaced", auth("x-goog-meta-a", "x-goog-meta-b"), signer.ErrMismatch, malformed},
		{"an unknown key", auth(",Signature", ",UnknownKey=1,Signature"), signer.ErrMalformed, malformed},
		{"a key twice", auth(",Signature", ",SignedHeaders=host,Signature"), signer.ErrMalformed, malformed},
		{"no Signature", auth(",Signature=", ",Other="), signer.ErrMalformed, malformed},
		{"a comma at the end", func(r *http.Request) { r.Header["Authorization"][0] += "," }, signer.ErrMalformed, malformed},
		{"nothing but the algorithm", set("Authorization", "GOOG4-HMAC-SHA256"), signer.ErrMalformed, malformed},
		{"another algorithm", auth("GOOG4-HMAC-SHA256", "GOOG4-HMAC-SHA512"), signer.ErrMalformed, malformed},
		{"the other algorithm", auth("GOOG4-HMAC-SHA256", "GOOG4-RSA-SHA256"), signer.ErrUnknownKey, "AccessDenied"},
		{"Authorization twice", func(r *http.Request) { r.Header.Add("Authorization", "Bearer x") }, signer.ErrConflict, "AuthenticationRequired"},
		{"presigned too", func(r *http.Request) { r.RequestURI += "&X-Goog-Signature=00" }, signer.ErrConflict, "AuthenticationRequired"},
		{"presigned too, in another spelling", func(r *http.Request) { r.RequestURI += "&x%2Dgoog-expires=1" }, signer.ErrConflict, "AuthenticationRequired"},
		{"a second signature", func(r *http.Request) { r.RequestURI += "&sig=00" }, signer.ErrConflict, "InvalidArgument"},
		{"broken escape in the query", func(r *http.Request) { r.RequestURI += "&b=%" }, signer.ErrMalformed, malformed},
		{"broken escape in the path", func(r *http.Request) { r.RequestURI = "/photos/%" }, signer.ErrMalformed, "InvalidURI"},
		{"another kind of Authorization", set("Authorization", "Bearer x"), signer.ErrUnsigned, "AuthenticationRequired"},
		{"Authorization of AWS", set("Authorization", "AWS4-HMAC-SHA256 x"), signer.ErrUnsigned, "AuthenticationRequired"},
		{"no Authorization", func(r *http.Request) { r.Header.Del("Authorization") }, signer.ErrUnsigned, "AuthenticationRequired"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, _ := http.NewRequest("PUT", "https://storage.googleapis.com/photos/k?a=1", strings.NewReader("body"))
			req.Header.Set("X-Goog-Meta-A", "1")
			if err := conformanceHashBody(req); err != nil {
				t.Fatal(err)
			}
			if err := newSigner(t).Sign(ctx, req); err != nil {
				t.Fatal(err)
			}
			v := newVerifier(t)
			if _, err := v.Verify(ctx, arrive(req)); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			r := arrive(req)
			tt.edit(r)
			g, err := v.Verify(ctx, r)
			wantRefusal(t, g, err, tt.class, tt.code)
		})
	}
}

// The pairs of an Authorization header come in any order, with a space after the comma or without.
func TestVerifyAuthorizationForms(t *testing.T) {
	req, _ := http.NewRequest("GET", "https://storage.googleapis.com/photos/k", nil)
	if err := newSigner(t).Sign(ctx, req); err != nil {
		t.Fatal(err)
	}
	algorithm, pairs, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	p := strings.Split(pairs, ",")
	for _, form := range []string{strings.Join(p, ", "), p[2] + "," + p[0] + ", " + p[1]} {
		req.Header.Set("Authorization", algorithm+" "+form)
		if _, err := newVerifier(t).Verify(ctx, arrive(req)); err != nil {
			t.Errorf("%v", err)
		}
	}
	for _, form := range []string{strings.Join(p, ",  "), strings.Join(p, ";"), " " + strings.Join(p, ","), strings.Join(p, " ,")} {
		req.Header.Set("Authorization", algorithm+" "+form)
		if _, err := newVerifier(t).Verify(ctx, arrive(req)); form[0] != ' ' && !errors.Is(err, signer.ErrMalformed) {
			t.Errorf("%v", err)
		}
	}
}

// A payload hash must be signed like every header of Google's, though Google lets a loose one pass in a URL: who acts on it would act
// on a stranger's word.
func TestVerifyUnsignedPayloadHeader(t *testing.T) {
	p := presign(t, newSigner(t), signer.Request{Method: "PUT", Key: "k", Expires: time.Minute})
	for _, value := range []string{"UNSIGNED-PAYLOAD", strings.Repeat("0", 64), "nonsense"} {
		r := received(t, p, nil)
		r.Header["X-Goog-Content-Sha256"] = []string{value}
		g, err := newVerifier(t).Verify(ctx, r)
		wantRefusal(t, g, err, signer.ErrMismatch, "MalformedSecurityHeader")
	}
	// Signed, it must be there, once, and be a hash.
	signed := presign(t, newSigner(t), signer.Request{Method: "PUT", Key: "k", Expires: time.Minute, Header: http.Header{"X-Goog-Content-Sha256": {strings.Repeat("0", 64)}}})
	r := received(t, signed, nil)
	r.Header.Del("X-Goog-Content-Sha256")
	g, err := newVerifier(t).Verify(ctx, r)
	wantRefusal(t, g, err, signer.ErrMismatch, "MalformedSecurityHeader")
	r = received(t, signed, nil)
	r.Header.Add("X-Goog-Content-Sha256", strings.Repeat("0", 64))
	g, err = newVerifier(t).Verify(ctx, r)
	wantRefusal(t, g, err, signer.ErrMalformed, "MalformedSecurityHeader")
	r = received(t, signed, nil)
	r.Header.Set("X-Goog-Content-Sha256", "UNSIGNED-PAYLOAD")
	g, err = newVerifier(t).Verify(ctx, r)
	wantRefusal(t, g, err, signer.ErrMismatch, "SignatureDoesNotMatch")

	// Beside Authorization too, where its value stands in the canonical request all the same.
	const digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	r = httptest.NewRequest("GET", "https://storage.googleapis.com/photos/k", nil)
	r.Header = http.Header{"X-Goog-Content-Sha256": {digest}, "X-Goog-Date": {"20261124T235949Z"}}
	r.Header["Authorization"] = []string{byHandInHeader(t, hmacKey(t), "/photos/k", "host:storage.googleapis.com\nx-goog-date:20261124T235949Z\n", "host;x-goog-date", digest)}
	g, err = newVerifier(t).Verify(ctx, r)
	wantRefusal(t, g, err, signer.ErrMismatch, "MalformedSecurityHeader")
}

// What is missing does not keep the verifier from telling what it saw.
func TestVerifyTracesWithoutAHeader(t *testing.T) {
	p := presign(t, newSigner(t), signer.Request{Key: "k", Expires: time.Minute, Header: http.Header{"X-Goog-Meta-A": {"1"}}})
	r := received(t, p, nil)
	delete(r.Header, "X-Goog-Meta-A")
	var trace signer.Trace
	_, err := newVerifier(t).Verify(signer.WithTrace(ctx, &trace), r)
	wantRefusal(t, nil, err, signer.ErrMismatch, "MalformedSecurityHeader")
	if canonical := string(trace.CanonicalRequest); !strings.Contains(canonical, "\nhost:storage.googleapis.com\n\nhost\n") || len(trace.StringToSign) == 0 {
		t.Errorf("trace %q, %q", canonical, trace.StringToSign)
	}
	var e *signer.Error
	if !errors.As(err, &e) || e.Field != "x-goog-meta-a" {
		t.Errorf("%v does not name the header", err)
	}
}

// A URL out of HTML or cut by a shell says so.
func TestVerifyHints(t *testing.T) {
	p := presign(t, newSigner(t), signer.Request{Key: "k", Expires: time.Minute})
	for _, tt := range []struct{ url, hint string }{
		{strings.ReplaceAll(p.URL, "&", "&amp;"), "copied out of HTML"},
		{p.URL[:strings.Index(p.URL, "&")], "was the URL cut"},
	} {
		g, err := newVerifier(t).Verify(ctx, httptest.NewRequest("GET", tt.url, nil))
		wantRefusal(t, g, err, signer.ErrMalformed, "MissingSecurityHeader")
		if err == nil || !strings.Contains(err.Error(), tt.hint) {
			t.Errorf("no %q in %v", tt.hint, err)
		}
	}
	if _, err := newVerifier(t).Verify(ctx, &http.Request{}); err == nil {
		t.Error("a request without URL is accepted")
	}
}

// All faults of form are told at once.
func TestVerifyReportsAllFaults(t *testing.T) {
	r := httptest.NewRequest("GET", "https://evil.example/photos/k?X-Goog-Algorithm=x&X-Goog-Expires=0&X-Goog-Date=x&X-Goog-SignedHeaders=a&X-Goog-Signature=0&X-Goog-Credential=a/20261124/us-east-1/s3/x", nil)
	r.Header.Set("X-Goog-Acl", "private")
	_, err := newVerifier(t).Verify(ctx, r)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"X-Goog-Algorithm: malformed", "X-Goog-Expires: malformed", "X-Goog-Date: malformed", "X-Goog-SignedHeaders: malformed",
		"X-Goog-Signature: malformed", "X-Goog-Credential: malformed", "x-goog-acl: mismatch", `"evil.example" is not the host`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("nothing of %q in\n%v", part, err)
		}
	}
	r = httptest.NewRequest("GET", "https://storage.googleapis.com/photos/k", nil)
	r.Header = http.Header{"Authorization": {"GOOG4-X Credential=a,SignedHeaders=,Signature=g,Other=1,bare"}, "X-Goog-Date": {"x"}, "X-Goog-Content-Sha256": {"X"}}
	_, err = newVerifier(t).Verify(ctx, r)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"Authorization: malformed", "its algorithm is neither", "Credential: malformed", "SignedHeaders: malformed", "Signature: malformed", "Other: malformed", `"bare" is no pair`,
		"X-Goog-Date: malformed", "X-Goog-Content-Sha256: malformed"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("nothing of %q in\n%v", part, err)
		}
	}
}

// Any host will do where it is said so, and only there.
func TestVerifyAnyHost(t *testing.T) {
	p := presign(t, newSigner(t, func(c *gcs.Config) { c.Endpoint = mustURL(t, "http://localhost:8080") }), signer.Request{Key: "k", Expires: time.Minute})
	g, err := newVerifier(t).Verify(ctx, received(t, p, nil))
	wantRefusal(t, g, err, signer.ErrScope, "InvalidRequest")
	any := newVerifier(t, func(c *gcs.VerifierConfig) { c.Addressing = signer.AddressingPath })
	if g, err := any.Verify(ctx, received(t, p, nil)); err != nil || g.Bucket != "photos" || g.Key != "k" {
		t.Errorf("%+v, %v", g, err)
	}
	r := received(t, p, nil)
	r.Host = "evil.example"
	g, err = any.Verify(ctx, r)
	wantRefusal(t, g, err, signer.ErrMismatch, "SignatureDoesNotMatch")

	one := newVerifier(t, func(c *gcs.VerifierConfig) {
		c.Addressing, c.Endpoint = signer.AddressingPath, mustURL(t, "http://localhost:8081")
	})
	g, err = one.Verify(ctx, received(t, p, nil))
	wantRefusal(t, g, err, signer.ErrScope, "InvalidRequest")
}

// A path outside the endpoint's base is no request to it.
func TestVerifyBasePath(t *testing.T) {
	s := newSigner(t, func(c *gcs.Config) { c.Endpoint = mustURL(t, "http://h") })
	v := newVerifier(t, func(c *gcs.VerifierConfig) { c.Endpoint = mustURL(t, "http://h/base") })
	g, err := v.Verify(ctx, received(t, presign(t, s, signer.Request{Bucket: "bases", Key: "k", Expires: time.Minute}), nil))
	wantRefusal(t, g, err, signer.ErrScope, "InvalidURI")
	if g, err := v.Verify(ctx, received(t, presign(t, s, signer.Request{Bucket: "base", Expires: time.Minute}), nil)); err != nil || g.Bucket != "" || g.Key != "" {
		t.Errorf("the base itself: %+v, %v", g, err)
	}
}

func TestVerifyDoesNotChangeTheRequest(t *testing.T) {
	p := presign(t, newSigner(t), signer.Request{Key: "a b", Expires: time.Minute, Header: http.Header{"X-Goog-Meta-A": {" 1  2 "}}})
	r := received(t, p, strings.NewReader("body"))
	before := fmt.Sprint(r.URL, r.Header, r.Host, r.RequestURI, r.ContentLength)
	g, err := newVerifier(t).Verify(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	g.Header.Set("X-Goog-Meta-A", "changed")
	if fmt.Sprint(r.URL, r.Header, r.Host, r.RequestURI, r.ContentLength) != before {
		t.Error("it was changed")
	}
	if body, _ := readAll(r.Body); body != "body" {
		t.Errorf("the body was read: %q is left", body)
	}
}

// A secret that rotates under one id is the new one at once, for the verifier that knew the old one too.
func TestVerifyAfterRotation(t *testing.T) {
	current := signer.NewSecret([]byte(hmacSecret))
	v := newVerifier(t, func(c *gcs.VerifierConfig) {
		c.Secret = func(context.Context, string) (signer.Secret, error) { return current, nil }
	})
	r := signer.Request{Key: "k", Expires: time.Minute}
	old := presign(t, newSigner(t), r)
	if _, err := v.Verify(ctx, received(t, old, nil)); err != nil {
		t.Fatal(err)
	}
	current = signer.NewSecret([]byte("another secret key"))
	g, err := v.Verify(ctx, received(t, old, nil))
	wantRefusal(t, g, err, signer.ErrMismatch, "SignatureDoesNotMatch")
	key, err := gcs.HMACKey(hmacID, current)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(ctx, received(t, presign(t, newSigner(t, func(c *gcs.Config) { c.Key = key }), r), nil)); err != nil {
		t.Error(err)
	}
}

// What the one who signed wants in the answer is granted, also what Google's own servers would not heed.
func TestVerifyGrantsOverrides(t *testing.T) {
	want := signer.ResponseHeaders{ContentType: "text/plain", ContentDisposition: signer.Attachment("Zoë & co.jpg"), CacheControl: "no-store",
		ContentEncoding: "gzip", ContentLanguage: "de", Expires: "Thu, 01 Dec 1994 16:00:00 GMT"}
	for _, want := range []signer.ResponseHeaders{{}, {ContentDisposition: "attachment"}, want} {
		p, err := newSigner(t).Presign(ctx, signer.Request{Key: "cat.jpg", Expires: time.Minute, Response: want, BestEffort: true})
		if err != nil {
			t.Fatal(err)
		}
		g, err := newVerifier(t).Verify(ctx, received(t, p, nil))
		if err != nil || g.Response != want {
			t.Errorf("granted %+v, %v, want %+v", g, err, want)
		}
	}
}
