package gcs_test

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/signertest"
)

// TestConformance holds gcs to the contract of signer.Signer and signer.Verifier, with each kind of key and at every kind of
// place. It uses nothing of the other test files, so that signertest can run it alone.
func TestConformance(t *testing.T) {
	for _, p := range conformancePlaces() {
		t.Run(p.name, func(t *testing.T) { signertest.Run(t, p.harness(t)) })
	}
}

// TestAttacks mounts the corpus of attacks on the Verifier, at every kind of place.
func TestAttacks(t *testing.T) {
	for _, p := range conformancePlaces() {
		t.Run(p.name, func(t *testing.T) { signertest.Attack(t, p.harness(t)) })
	}
}

func BenchmarkFlood(b *testing.B) { signertest.Flood(b, conformancePlaces()[0].harness(b)) }

func conformancePlaces() []conformancePlace {
	return []conformancePlace{
		{name: "HMAC", bare: "https://storage.googleapis.com/signertest/k"},
		{name: "HMAC, virtual host", rotates: true, addressing: signer.AddressingVirtualHost, bare: "https://signertest.storage.googleapis.com/k"},
		{name: "HMAC, emulator", rotates: true, endpoint: "http://127.0.0.1:4443/base", location: "us-central1", bare: "http://127.0.0.1:4443/base/signertest/k"},
		{name: "RSA", rsa: true, bare: "https://storage.googleapis.com/signertest/k"},
		{name: "RSA, bucket host", rsa: true, rotates: true, endpoint: "https://signertest:8443", addressing: signer.AddressingBucketHost, bare: "https://signertest:8443/k"},
	}
}

const (
	conformanceAccount  = "signer@proj.iam.gserviceaccount.com"
	conformanceAccessID = "GOOGTS7C7FUP3AIRVJTE2BCDKINBTES3HC2GY5CBFJDCQ2SYHV6A6XXVTJFSA"
	conformanceFirst    = "bGoa+V7g/yqDXvKRqq+JTFn4uQZbPiQJo4pf9RzJ"
	conformanceSecond   = "QJo4pf9RzJbGoa+V7g/yqDXvKRqq+JTFn4uQZbPi"
)

// testKeys are two RSA keys of the length that Google's have, made once.
var testKeys = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
	}
	return keys
})

// A conformancePlace is where requests go, and with what kind of key.
type conformancePlace struct {
	name, endpoint string
	addressing     signer.Addressing
	location       string // that the verifier demands, and the signer writes; "" for any
	rsa            bool
	rotates        bool   // through a Key of the test's own; otherwise through ours, which is fixed when it is made
	bare           string // the URL of the object k, for forge
}

func (p conformancePlace) harness(t testing.TB) signertest.Harness {
	var endpoint *url.URL
	if p.endpoint != "" {
		var err error
		if endpoint, err = url.Parse(p.endpoint); err != nil {
			t.Fatal(err)
		}
	}
	var keys [2]gcs.Key
	secrets := [2]signer.Secret{signer.NewSecret([]byte(conformanceFirst)), signer.NewSecret([]byte(conformanceSecond))}
	for i := range keys {
		var err error
		if p.rsa {
			keys[i], err = gcs.RSAKey(conformanceAccount, &remembering{Signer: testKeys()[i]})
		} else {
			keys[i], err = gcs.HMACKey(conformanceAccessID, secrets[i])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	now := func(o signertest.Options) int {
		if o.Rotated() {
			return 1
		}
		return 0
	}
	h := signertest.Harness{
		New: func(o signertest.Options) (signer.Signer, error) {
			c := gcs.Config{Bucket: o.Bucket, Endpoint: endpoint, Addressing: p.addressing, Location: p.location, Clock: o.Clock, Backdate: o.Backdate}
			switch {
			case o.NoCredentials && p.rsa:
			case o.NoCredentials:
				if _, err := gcs.HMACKey(conformanceAccessID, signer.Secret{}); err != nil {
					return nil, err
				}
			case p.rotates:
				c.Key = conformanceKey{keys[0], func() gcs.Key { return keys[now(o)] }}
			default:
				c.Key = keys[now(o)]
			}
			return gcs.New(c)
		},
		NewVerifier: func(o signertest.Options) (signer.Verifier, error) {
			c := gcs.VerifierConfig{Endpoint: endpoint, Addressing: p.addressing, Location: p.location, Clock: o.Clock, Leeway: o.Leeway}
			if p.rsa {
				c.Accounts = []string{conformanceAccount}
				c.Keys = func(context.Context, string) ([]crypto.PublicKey, error) {
					return []crypto.PublicKey{testKeys()[now(o)].Public()}, nil
				}
			} else {
				c.Secret = func(_ context.Context, id string) (signer.Secret, error) {
					if id != conformanceAccessID {
						return signer.Secret{}, signer.ErrUnknownKey
					}
					return secrets[now(o)], nil
				}
			}
			return gcs.NewVerifier(c)
		},
		Params:       []string{"X-Goog-Algorithm", "X-Goog-Credential", "X-Goog-Date", "X-Goog-Expires", "X-Goog-SignedHeaders", "X-Goog-Signature"},
		HeaderPrefix: "X-Goog-",
		MaxExpires:   7 * 24 * time.Hour,
		Unsupported: []string{"CredentialsExpire", "SourceIP",
			"Response.CacheControl", "Response.ContentEncoding", "Response.ContentLanguage", "Response.Expires"}, // Google has two of the six
		Secrets:  []string{conformanceFirst, conformanceSecond},
		HashBody: conformanceHashBody,
		Forge:    p.forge,
		Faults: []string{"another service", "another terminator", "another day", "a scope with five parts",
			"another service, unsigned", "another terminator, unsigned", "another day, unsigned",
			"host not signed", "signed headers not sorted", "a signed header twice", "a header name in capitals", "a parameter twice",
			"a parameter twice, in lower case", "a parameter in a mixture of capitals", "another algorithm", "the other algorithm", "another scheme's signature too",
			"no life", "a life of eight days", "a life with a sign", "from the future", "over", "a header not signed", "a digest in capitals"},
	}
	if !p.rotates {
		h.Unsupported = append(h.Unsupported, "Rotated")
	}
	if p.addressing == signer.AddressingBucketHost {
		h.Unsupported = append(h.Unsupported, "Bucket")
	}
	if p.location != "" {
		h.Faults = append(h.Faults, "another location", "another location, unsigned")
	}
	if p.rsa {
		h.Secrets = nil
		for _, k := range testKeys() {
			der := x509.MarshalPKCS1PrivateKey(k)
			prime := k.Primes[0].Text(10)
			h.Secrets = append(h.Secrets, k.D.Text(10), k.D.Text(16), prime, prime[1:], base64.StdEncoding.EncodeToString(der), hex.EncodeToString(der))
		}
	}
	return h
}

// conformanceKey is a Key of a caller's own, whose secret changes while the program runs.
type conformanceKey struct {
	gcs.Key
	current func() gcs.Key
}

func (k conformanceKey) Sign(ctx context.Context, stringToSign []byte) (gcs.Signature, error) {
	return k.current().Sign(ctx, stringToSign)
}

// remembering is a key that does no work twice: PKCS #1 v1.5 has one signature for each digest, and the suite asks for most of
// them again and again.
type remembering struct {
	crypto.Signer
	signatures sync.Map // by digest
}

func (k *remembering) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if s, ok := k.signatures.Load(string(digest)); ok {
		return s.([]byte), nil
	}
	s, err := k.Signer.Sign(random, digest, opts)
	if err == nil {
		k.signatures.Store(string(digest), s)
	}
	return s, err
}

func conformanceHashBody(req *http.Request) error {
	body, err := req.GetBody()
	if err != nil {
		return err
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, body); err != nil {
		return err
	}
	req.Header.Set("X-Goog-Content-Sha256", hex.EncodeToString(hash.Sum(nil)))
	return nil
}

// forge is a second implementation of presigning, as the specification has it and without any of the signer's checks.
//
// https://docs.cloud.google.com/storage/docs/authentication/canonical-requests
func (p conformancePlace) forge(o signertest.Options, fault string) (*http.Request, error) {
	req, err := http.NewRequest(http.MethodGet, p.bare, nil)
	if err != nil {
		return nil, err
	}
	now := o.Clock.Now().UTC()
	algorithm, id, location := "GOOG4-HMAC-SHA256", conformanceAccessID, p.location
	if p.rsa {
		algorithm, id = "GOOG4-RSA-SHA256", conformanceAccount
	}
	if location == "" {
		location = "any-location"
	}
	life, expires, signed, more, payload := "60", "X-Goog-Expires", []string{"host", "x-goog-meta-a"}, "", "UNSIGNED-PAYLOAD"
	req.Header.Set("X-Goog-Meta-A", "1")
	stated, unsigned := strings.CutSuffix(fault, ", unsigned") // a scope that stands in X-Goog-Credential and was not signed
	switch stated {
	case "", "another location", "another service", "another terminator", "another day", "a scope with five parts":
	case "host not signed":
		signed = signed[1:]
	case "signed headers not sorted":
		slices.Reverse(signed)
	case "a signed header twice":
		signed = append(signed, "x-goog-meta-a")
	case "a header name in capitals":
		signed[1] = "x-goog-meta-A"
	case "a header not signed":
		req.Header.Set("X-Goog-Acl", "public-read")
	case "a digest in capitals":
		signed, payload = []string{"host", "x-goog-content-sha256", "x-goog-meta-a"}, strings.Repeat("AB", 32)
		req.Header.Set("X-Goog-Content-Sha256", payload)
	case "a parameter twice":
		more = "&X-Goog-Expires=60"
	case "a parameter twice, in lower case":
		more = "&x-goog-expires=60"
	case "a parameter in a mixture of capitals":
		expires = "x-goog-Expires"
	case "another algorithm":
		algorithm = strings.TrimSuffix(algorithm, "256") + "512"
	case "the other algorithm":
		algorithm = map[bool]string{true: "GOOG4-HMAC-SHA256", false: "GOOG4-RSA-SHA256"}[p.rsa]
	case "another scheme's signature too":
		more = "&X-Amz-Signature=00"
	case "no life":
		life = "0"
	case "a life of eight days":
		life = "691200"
	case "a life with a sign":
		life = "+60"
	case "from the future":
		now = now.Add(time.Hour)
	case "over":
		now = now.Add(-time.Hour)
	default:
		return nil, fmt.Errorf("no such fault: %s", fault)
	}
	stamp, day := now.Format("20060102T150405Z"), now.Format("20060102")
	right := []string{day, location, "storage", "goog4_request"}
	wrong := slices.Clone(right)
	switch stated {
	case "another location":
		wrong[1] = "us-central2"
	case "another service":
		wrong[2] = "s3"
	case "another terminator":
		wrong[3] = "goog5_request"
	case "another day":
		wrong[0] = now.AddDate(0, 0, -1).Format("20060102")
	case "a scope with five parts":
		wrong = append(wrong, "x")
	}
	scope := wrong
	if unsigned {
		scope = right
	}
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	params := strings.Split("X-Goog-Algorithm="+algorithm+"&X-Goog-Credential="+escape(id+"/"+strings.Join(wrong, "/"))+"&X-Goog-Date="+stamp+
		"&"+expires+"="+escape(life)+"&X-Goog-SignedHeaders="+escape(strings.Join(signed, ";"))+more, "&")
	slices.Sort(params)
	query := strings.Join(params, "&")

	var canonical strings.Builder
	canonical.WriteString(req.Method + "\n" + req.URL.EscapedPath() + "\n" + query + "\n")
	for _, name := range signed {
		value := req.Header.Get(name)
		if name == "host" {
			value = req.URL.Hostname()
		}
		canonical.WriteString(name + ":" + value + "\n")
	}
	canonical.WriteString("\n" + strings.Join(signed, ";") + "\n" + payload)
	hash := sha256.Sum256([]byte(canonical.String()))
	toSign := strings.Join([]string{algorithm, stamp, strings.Join(scope, "/"), hex.EncodeToString(hash[:])}, "\n")
	var signature []byte
	if p.rsa {
		digest := sha256.Sum256([]byte(toSign))
		if signature, err = rsa.SignPKCS1v15(nil, testKeys()[0], crypto.SHA256, digest[:]); err != nil {
			return nil, err
		}
	} else {
		signature = []byte("GOOG4" + conformanceFirst)
		for _, part := range slices.Concat(scope[:4], []string{toSign}) {
			mac := hmac.New(sha256.New, signature)
			mac.Write([]byte(part))
			signature = mac.Sum(nil)
		}
	}
	req.URL.RawQuery = query + "&X-Goog-Signature=" + hex.EncodeToString(signature)
	return req, nil
}
