package gcs_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/signer"
)

const account = "signer@proj.iam.gserviceaccount.com"

// pkcs8 is a private key as Google's files have it.
func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func pkcs1(k *rsa.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)})
}

// keyFile is the JSON file of a service account's key, after edits.
func keyFile(t testing.TB, edits map[string]any) []byte {
	t.Helper()
	file := map[string]any{
		"type":           "service_account",
		"project_id":     "proj",
		"private_key_id": "0123456789abcdef0123456789abcdef01234567",
		"private_key":    string(pkcs8(t, testKeys()[0])),
		"client_email":   account,
		"token_uri":      "https://oauth2.googleapis.com/token",
	}
	for name, value := range edits {
		if file[name] = value; value == nil {
			delete(file, name)
		}
	}
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func rsaKey(t testing.TB) gcs.Key {
	t.Helper()
	k, err := gcs.RSAKey(account, testKeys()[0])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeysAreRead(t *testing.T) {
	k := testKeys()[0]
	text := pkcs8(t, k)
	crlf := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) }
	fromPEM := func(b []byte) func() (gcs.Key, error) {
		return func() (gcs.Key, error) { return gcs.PEMKey(account, b) }
	}
	fromJSON := func(edits map[string]any) func() (gcs.Key, error) {
		return func() (gcs.Key, error) { return gcs.ServiceAccountKey(keyFile(t, edits)) }
	}
	want, err := newSigner(t, func(c *gcs.Config) { c.Key = rsaKey(t) }).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func() (gcs.Key, error){
		"PKCS #8":                        fromPEM(text),
		"PKCS #1":                        fromPEM(pkcs1(k)),
		"PKCS #1 under PKCS #8's name":   fromPEM(bytes.ReplaceAll(pkcs1(k), []byte("RSA PRIVATE"), []byte("PRIVATE"))),
		"lines that end in CR LF":        fromPEM(crlf(text)),
		"no newline at the end":          fromPEM(bytes.TrimSpace(text)),
		"CR LF and no newline":           fromPEM(bytes.TrimSpace(crlf(pkcs1(k)))),
		"text around it":                 fromPEM(append([]byte("Bag Attributes\n  friendlyName: privatekey\n\n"), append(text, "\ntrailing text\n"...)...)),
		"JSON":                           fromJSON(nil),
		"JSON, PKCS #1, CR LF":           fromJSON(map[string]any{"private_key": string(crlf(pkcs1(k)))}),
		"JSON, no newline at the end":    fromJSON(map[string]any{"private_key": strings.TrimSpace(string(text))}),
		"JSON without private_key_id":    fromJSON(map[string]any{"private_key_id": nil}),
		"JSON, of another universe":      fromJSON(map[string]any{"universe_domain": "example.goog"}),
		"crypto.Signer":                  func() (gcs.Key, error) { return gcs.RSAKey(account, k) },
		"crypto.Signer of a KMS":         func() (gcs.Key, error) { return gcs.RSAKey(account, &kms{Signer: k}) },
		"a key that was not precomputed": func() (gcs.Key, error) { return gcs.RSAKey(account, bareKey(k)) },
	} {
		key, err := read()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if key.ID() != account || key.Algorithm() != gcs.RSASHA256 {
			t.Errorf("%s: a key of %s for %s", name, key.ID(), key.Algorithm())
		}
		p, err := newSigner(t, func(c *gcs.Config) { c.Key = key }).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
		if err != nil || p.URL != want.URL {
			t.Errorf("%s: another URL, error %v", name, err)
		}
	}
	for id, edits := range map[string]map[string]any{"0123456789abcdef0123456789abcdef01234567": nil, "": {"private_key_id": nil}} {
		key, err := gcs.ServiceAccountKey(keyFile(t, edits))
		if err != nil {
			t.Fatal(err)
		}
		if s, err := key.Sign(ctx, []byte("text")); err != nil || s.KeyID != id {
			t.Errorf("the signature is by key %q, want %q, %v", s.KeyID, id, err)
		}
	}
}

// bareKey is a key of nothing but its numbers, as one is that was read by other code.
func bareKey(k *rsa.PrivateKey) *rsa.PrivateKey {
	return &rsa.PrivateKey{PublicKey: k.PublicKey, D: k.D, Primes: k.Primes}
}

// kms is a key that is kept elsewhere, and which looks at how it is asked.
type kms struct {
	crypto.Signer
	err   error
	made  []byte // instead of a signature
	asked []string
}

func (k *kms) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.asked = append(k.asked, fmt.Sprintf("%T %v of %d bytes", opts, opts.HashFunc(), len(digest)))
	if k.err != nil || k.made != nil {
		return k.made, k.err
	}
	return k.Signer.Sign(random, digest, opts)
}

func TestKMSIsAskedForPKCS1(t *testing.T) {
	k := &kms{Signer: testKeys()[0]}
	key, err := gcs.RSAKey(account, k)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newSigner(t, func(c *gcs.Config) { c.Key = key }).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if len(k.asked) != 1 || k.asked[0] != "crypto.Hash SHA-256 of 32 bytes" {
		t.Errorf("asked %q", k.asked)
	}
}

func TestKeyErrors(t *testing.T) {
	k := testKeys()[0]
	text := string(pkcs8(t, k))
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	agreement, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	torn := bareKey(k)
	torn.D = new(big.Int).Add(k.D, big.NewInt(2))
	const inModulus = len("-----BEGIN PRIVATE KEY-----\n") + 3*65
	other := "A"
	if text[inModulus] == 'A' {
		other = "B"
	}
	noPEM := strings.ReplaceAll(text, "\n", `\n`)
	const impersonation = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/target@proj.iam.gserviceaccount.com:generateAccessToken"

	file := func(edits map[string]any) func() (gcs.Key, error) {
		return func() (gcs.Key, error) { return gcs.ServiceAccountKey(keyFile(t, edits)) }
	}
	raw := func(text string) func() (gcs.Key, error) {
		return func() (gcs.Key, error) { return gcs.ServiceAccountKey([]byte(text)) }
	}
	fromPEM := func(text string) func() (gcs.Key, error) {
		return func() (gcs.Key, error) { return gcs.PEMKey(account, []byte(text)) }
	}
	fromSigner := func(email string, k crypto.Signer) func() (gcs.Key, error) {
		return func() (gcs.Key, error) { return gcs.RSAKey(email, k) }
	}
	hmacOf := func(id, secret string) func() (gcs.Key, error) {
		return func() (gcs.Key, error) { return gcs.HMACKey(id, signer.NewSecret([]byte(secret))) }
	}
	sign := func(context.Context, []byte) (gcs.Signature, error) { return gcs.Signature{}, nil }
	for _, tt := range []struct {
		name  string
		make  func() (gcs.Key, error)
		field string
		says  string // what to do, or what was found
	}{
		{"no file", raw(""), "", "not the JSON file"},
		{"a file cut short", raw(string(keyFile(t, nil)[:900])), "", "not the JSON file"},
		{"a bare PEM", raw(text), "", "PEMKey"},
		{"a path", raw("/run/secrets/key.json\n"), "", "give the file's content"},
		{"the name of a file", raw("key.json"), "", "give the file's content"},
		{"a path of Windows", raw(`C:\keys\signer`), "", "give the file's content"},
		{"a page that came in its place", raw("<html>/</html>"), "", "not the JSON file"},
		{"a file in base64", raw(base64.StdEncoding.EncodeToString(keyFile(t, nil))), "", "not the JSON file"},
		{"an array", raw("[]"), "", "not the JSON file"},
		{"null", raw("null"), "type", "service_account"},
		{"a number for a key", raw(`{"type":"service_account","private_key":31415926535897932384626}`), "", "not the JSON file"},
		{"no type", file(map[string]any{"type": nil}), "type", "service_account"},
		{"authorized_user", file(map[string]any{"type": "authorized_user"}), "type", "gcs/iam"},
		{"external_account", file(map[string]any{"type": "external_account"}), "type", "roles/iam.serviceAccountTokenCreator"},
		{"external_account that impersonates", file(map[string]any{"type": "external_account", "service_account_impersonation_url": impersonation}), "type", "target@proj.iam.gserviceaccount.com"},
		{"impersonated_service_account", file(map[string]any{"type": "impersonated_service_account", "service_account_impersonation_url": impersonation}), "type", "target@proj.iam.gserviceaccount.com"},
		{"a type that nobody knows", file(map[string]any{"type": "gdch_service_account"}), "type", "gdch_service_account"},
		{"a key for a type", file(map[string]any{"type": text}), "type", "characters"},
		{"no private_key", file(map[string]any{"private_key": nil}), "private_key", "gcs/iam"},
		{"private_key with \\n for newlines", file(map[string]any{"private_key": noPEM}), "private_key", "PEM"},
		{"private_key with a line lost", file(map[string]any{"private_key": text[:28] + text[28+65:]}), "private_key", "damaged"},
		{"private_key with a letter changed", file(map[string]any{"private_key": text[:inModulus] + other + text[inModulus+1:]}), "private_key", "damaged"},
		{"no client_email", file(map[string]any{"client_email": nil}), "Email", "iam.gserviceaccount.com"},
		{"client_email that is none", file(map[string]any{"client_email": "signer"}), "Email", "iam.gserviceaccount.com"},

		{"no PEM", fromPEM("key"), "PEM", "-----BEGIN PRIVATE KEY-----"},
		{"DER", fromPEM(string(x509.MarshalPKCS1PrivateKey(k))), "PEM", "-----BEGIN PRIVATE KEY-----"},
		{"a public key", fromPEM(strings.ReplaceAll(text, "PRIVATE", "PUBLIC")), "PEM", "private RSA key"},
		{"a certificate", fromPEM(strings.ReplaceAll(text, "PRIVATE KEY", "CERTIFICATE")), "PEM", "CERTIFICATE"},
		{"a key for the name of a PEM", fromPEM(strings.ReplaceAll(text, "PRIVATE KEY", "KEY "+text[40:80])), "PEM", "characters"},
		{"encrypted PKCS #8", fromPEM(strings.ReplaceAll(text, "PRIVATE KEY", "ENCRYPTED PRIVATE KEY")), "PEM", "openssl pkcs8"},
		{"encrypted PKCS #1", fromPEM(string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("encrypted"),
			Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,0123456789ABCDEF0123456789ABCDEF"}}))), "PEM", "openssl rsa"},
		{"an EC key", fromPEM(string(pkcs8(t, ec))), "PEM", "RSA keys"},
		{"an Ed25519 key", fromPEM(string(pkcs8(t, ed))), "PEM", "RSA keys"},
		{"a key that cannot sign", fromPEM(string(pkcs8(t, agreement))), "PEM", "private RSA key"},
		{"an RSA key of 512 bits", fromPEM(string(pkcs1(smallKey(t, 512)))), "PEM", "512 bits"},
		{"no e-mail", func() (gcs.Key, error) { return gcs.PEMKey("", []byte(text)) }, "Email", "empty"},

		{"no crypto.Signer", fromSigner(account, nil), "Key", "none"},
		{"a nil *rsa.PrivateKey", fromSigner(account, (*rsa.PrivateKey)(nil)), "Key", ""},
		{"an empty *rsa.PrivateKey", fromSigner(account, new(rsa.PrivateKey)), "Key", "0 bits"},
		{"an EC key as a crypto.Signer", fromSigner(account, ec), "Key", "*ecdsa.PublicKey"},
		{"a short key as a crypto.Signer", fromSigner(account, &kms{Signer: shortKey{512}}), "Key", "512 bits"},
		{"a key of 1023 bits", fromSigner(account, &kms{Signer: shortKey{1023}}), "Key", "1023 bits"},
		{"a key whose numbers do not fit", fromSigner(account, torn), "Key", "damaged"},
		{"an e-mail without a domain", fromSigner("signer@", k), "Email", "iam.gserviceaccount.com"},
		{"an e-mail without a name", fromSigner("@proj", k), "Email", "iam.gserviceaccount.com"},
		{"two e-mails", fromSigner("a@b@c", k), "Email", "iam.gserviceaccount.com"},
		{"an e-mail with a slash", fromSigner("a/b@c", k), "Email", "iam.gserviceaccount.com"},
		{"an e-mail with a line feed", fromSigner(account+"\n", k), "Email", "iam.gserviceaccount.com"},
		{"an e-mail with a comma", fromSigner("a,b@c", k), "Email", "iam.gserviceaccount.com"},
		{"an e-mail that is not ASCII", fromSigner("é@proj", k), "Email", "iam.gserviceaccount.com"},

		{"no access ID", hmacOf("", "secret"), "AccessID", "empty"},
		{"an access ID with a slash", hmacOf("GOOG/1", "secret"), "AccessID", "copied"},
		{"an access ID with a blank", hmacOf("GOOG1 ", "secret"), "AccessID", "copied"},
		{"an access ID with a DEL", hmacOf("GOOG1\x7f", "secret"), "AccessID", "copied"},
		{"an e-mail for an access ID", hmacOf(account, "secret"), "AccessID", "e-mail"},
		{"no secret", hmacOf("GOOG1EXAMPLE", ""), "Secret", "empty"},
		{"a secret with the end of a line", hmacOf("GOOG1EXAMPLE", hmacSecret+"\n"), "Secret", "trim"},
		{"a secret with a blank in front", hmacOf("GOOG1EXAMPLE", " "+hmacSecret), "Secret", "trim"},

		{"a remote key without e-mail", func() (gcs.Key, error) { return gcs.RemoteKey("", 0, sign) }, "Email", "empty"},
		{"a remote key with a negative life", func() (gcs.Key, error) { return gcs.RemoteKey(account, -1, sign) }, "Life", "negative"},
		{"a remote key without a function", func() (gcs.Key, error) { return gcs.RemoteKey(account, 0, nil) }, "Sign", "function"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, err := tt.make()
			wantError(t, err, signer.ErrCredentials, tt.field)
			if key != nil {
				t.Error("a Key beside the error")
			}
			if err == nil {
				return
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("nothing of %q in %v", tt.says, err)
			}
			var syntax *json.SyntaxError
			var kind *json.UnmarshalTypeError
			if strings.Contains(err.Error(), "31415926") || errors.As(err, &syntax) || errors.As(err, &kind) { // decoders quote what they read
				t.Errorf("a piece of the key may be in %v", err)
			}
		})
	}
}

// shortKey is a key that crypto/rsa would not make.
type shortKey struct{ bits uint }

func (k shortKey) Public() crypto.PublicKey {
	return &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), int(k.bits)-1, 1), E: 65537}
}

func (shortKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("not to be called")
}

// smallKey makes an RSA key that crypto/rsa refuses to make.
func smallKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	one, e := big.NewInt(1), big.NewInt(65537)
	for {
		p, err1 := rand.Prime(rand.Reader, bits/2)
		q, err2 := rand.Prime(rand.Reader, bits-bits/2)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		if d := new(big.Int).ModInverse(e, phi); d != nil && p.Cmp(q) != 0 {
			return &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: d, Primes: []*big.Int{p, q}}
		}
	}
}

// All addresses that are service accounts' in one form or another.
func TestEmails(t *testing.T) {
	for _, email := range []string{account, "123456-compute@developer.gserviceaccount.com", "proj@appspot.gserviceaccount.com", "sa@proj.example.com.iam.gserviceaccount.com", "a.b+c@example.goog"} {
		if _, err := gcs.RSAKey(email, testKeys()[0]); err != nil {
			t.Errorf("%s: %v", email, err)
		}
	}
}

// A key that fails: nothing is returned beside the error, the cause is in its chain, and a URL in it is cleaned.
func TestKeyFailures(t *testing.T) {
	away := errors.New("the service is away")
	leaky := &url.Error{Op: "Post", URL: "https://kms.example/sign?X-Goog-Signature=0123456789abcdef0123", Err: away}
	ours := &signer.Error{Backend: "gcs", Op: "sign blob", Err: fmt.Errorf("%w: permission denied: %w", signer.ErrRemote, leaky)}
	remote := func(b []byte, err error) gcs.Key {
		k, err1 := gcs.RemoteKey(account, 0, func(context.Context, []byte) (gcs.Signature, error) { return gcs.Signature{Bytes: b}, err })
		if err1 != nil {
			t.Fatal(err1)
		}
		return k
	}
	hardware := func(k *kms) gcs.Key {
		k.Signer = testKeys()[0]
		key, err := gcs.RSAKey(account, k)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	for _, tt := range []struct {
		name         string
		key          gcs.Key
		class, cause error
		op, field    string
		says         string
	}{
		{"an error of a remote key", remote(nil, away), signer.ErrRemote, away, "", "Key", "did not sign"},
		{"an error beside a signature", remote([]byte("signature"), away), signer.ErrRemote, away, "", "Key", "did not sign"},
		{"an error with a URL", remote(nil, leaky), signer.ErrRemote, away, "", "Key", "did not sign"},
		{"an error that is ErrRemote", remote(nil, ours), signer.ErrRemote, away, "sign blob", "", "permission denied"},
		{"its own timeout", remote(nil, context.DeadlineExceeded), signer.ErrRemote, context.DeadlineExceeded, "", "Key", "did not sign"},
		{"an empty signature", remote([]byte{}, nil), signer.ErrRemote, signer.ErrRemote, "", "Key", "empty"},
		{"an error of a KMS", hardware(&kms{err: away}), signer.ErrRemote, away, "", "Key", "did not sign"},
		{"a signature of another length", hardware(&kms{made: make([]byte, 255)}), signer.ErrRemote, signer.ErrRemote, "sign", "Key", "255 bytes"},
		{"no signature of a KMS", hardware(&kms{made: []byte{}}), signer.ErrRemote, signer.ErrRemote, "sign", "Key", "PKCS #1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSigner(t, func(c *gcs.Config) { c.Key = tt.key })
			check := func(op string, err error) {
				t.Helper()
				if tt.op != "" {
					op = tt.op
				}
				var e *signer.Error
				if !errors.Is(err, tt.class) || !errors.Is(err, tt.cause) || !errors.As(err, &e) || e.Op != op || e.Field != tt.field || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%s: %+v", op, err)
				}
				if err != nil && strings.Contains(err.Error(), "0123456789abcdef") {
					t.Errorf("a signature in %v", err)
				}
			}
			p, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
			if check("presign", err); p != nil {
				t.Errorf("a URL beside the error: %v", p)
			}
			dst, dies, err := s.AppendURL(ctx, []byte("before"), signer.Request{Key: "k", Expires: time.Minute})
			if check("presign", err); string(dst) != "before" || !dies.IsZero() {
				t.Errorf("AppendURL: %q, %v", dst, dies)
			}
			req, _ := http.NewRequest("GET", "https://storage.googleapis.com/photos/k", nil)
			p, err = s.PresignRequest(ctx, req, signer.Options{Expires: time.Minute})
			if check("presign", err); p != nil {
				t.Errorf("a URL beside the error: %v", p)
			}
			if check("sign", s.Sign(ctx, req)); len(req.Header) != 0 {
				t.Errorf("Sign has left the header %v", req.Header)
			}
		})
	}
}

// A caller who has gone away gets the context's error and no other.
func TestKeyUnderACancelledContext(t *testing.T) {
	dead, cancel := context.WithCancelCause(ctx)
	cancel(errors.New("the caller has hung up"))
	remote, err := gcs.RemoteKey(account, 0, func(ctx context.Context, _ []byte) (gcs.Signature, error) {
		return gcs.Signature{}, fmt.Errorf("asking: %w", ctx.Err())
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]gcs.Key{"a remote key": remote, "an RSA key": rsaKey(t)} {
		s := newSigner(t, func(c *gcs.Config) { c.Key = key })
		p, err := s.Presign(dead, signer.Request{Key: "k", Expires: time.Minute})
		if p != nil || !errors.Is(err, context.Canceled) || errors.Is(err, signer.ErrRemote) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	if _, err := hmacKey(t).Sign(dead, []byte("text")); !errors.Is(err, context.Canceled) {
		t.Errorf("an HMAC key: %v", err)
	}
}

// A Key of HMAC reads the scope from the string to sign, so that other code can sign with it.
func TestHMACKeySignsStringsToSignOnly(t *testing.T) {
	for _, text := range []string{"", "policy", "GOOG4-HMAC-SHA256\n20261124T235949Z\n20261124/auto/storage/goog4_request", "a\nb\n20261124/auto/s3/goog4_request\nd",
		"a\nb\n20261124/auto/storage/aws4_request\nd", "a\nb\n20261124//storage/goog4_request\nd", "a\nb\n2026112/auto/storage/goog4_request\nd", "a\nb\n20261124/auto/storage/goog4_request/x\nd"} {
		s, err := hmacKey(t).Sign(ctx, []byte(text))
		wantError(t, err, signer.ErrRequest, "")
		if s.Bytes != nil {
			t.Errorf("%q is signed", text)
		}
	}
}

// In FIPS 140 mode crypto/hmac takes no key under 112 bits; that is said where the key is made.
func TestHMACKeyInFIPSMode(t *testing.T) {
	if !fips140.Enabled() {
		if _, err := gcs.HMACKey("GOOG1EXAMPLE", signer.NewSecret([]byte("8 bytes!"))); err != nil {
			t.Errorf("outside of FIPS mode: %v", err)
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		child := exec.Command(self, "-test.run=^TestHMACKeyInFIPSMode$", "-test.v")
		child.Env = append(os.Environ(), "GODEBUG=fips140=on")
		if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestHMACKeyInFIPSMode") {
			t.Errorf("in FIPS mode: %v\n%s", err, out)
		}
		return
	}
	_, err := gcs.HMACKey("GOOG1EXAMPLE", signer.NewSecret([]byte("8 bytes!")))
	wantError(t, err, signer.ErrCredentials, "Secret")
	key, err := gcs.HMACKey("GOOG1EXAMPLE", signer.NewSecret([]byte("9 bytes!!")))
	if err != nil {
		t.Fatal(err)
	}
	p := presign(t, newSigner(t, func(c *gcs.Config) { c.Key = key }), signer.Request{Key: "k", Expires: time.Minute})

	// A verifier's lookup may return such a secret too.
	v := newVerifier(t, func(c *gcs.VerifierConfig) {
		c.Secret = func(context.Context, string) (signer.Secret, error) { return signer.NewSecret([]byte("x")), nil }
	})
	_, err = v.Verify(ctx, received(t, p, nil))
	wantError(t, err, signer.ErrCredentials, "Secret")
}

// printers are the ways in which a value gets into a log.
func printers() map[string]func(v any) string {
	all := map[string]func(v any) string{
		"json": func(v any) string { b, err := json.Marshal(v); return string(b) + fmt.Sprint(err) },
		"slog text": func(v any) string {
			var b strings.Builder
			slog.New(slog.NewTextHandler(&b, nil)).Info("value", "v", v)
			return b.String()
		},
		"slog JSON": func(v any) string {
			var b strings.Builder
			slog.New(slog.NewJSONHandler(&b, nil)).Info("value", "v", v)
			return b.String()
		},
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%o", "%08v"} {
		all[format] = func(v any) string { return fmt.Sprintf(format, v) }
	}
	return all
}

// planted are the spellings of every secret of these tests.
func planted(t testing.TB) []string {
	k := testKeys()[0]
	pem8 := string(pkcs8(t, k))
	all := []string{hmacSecret, hex.EncodeToString([]byte(hmacSecret)), base64.StdEncoding.EncodeToString([]byte(hmacSecret)), pem8[100:140], hex.EncodeToString([]byte(pem8[100:140]))}
	numbers := append([]*big.Int{k.D, k.Precomputed.Dp, k.Precomputed.Dq}, k.Primes...)
	for _, n := range numbers {
		digits := n.Text(16)
		all = append(all, n.Text(10), digits, strings.ToUpper(digits), base64.StdEncoding.EncodeToString(n.Bytes()))
		for _, base := range []int{2, 8, 10, 16} { // one word of it, as dumps of []big.Word have it
			word := new(big.Int).Rsh(n, uint(n.BitLen()/64-2)*64)
			word.And(word, new(big.Int).SetUint64(^uint64(0)))
			if text := word.Text(base); len(text) > 12 {
				all = append(all, text)
			}
		}
	}
	text := fmt.Sprint([]byte(hmacSecret))
	return append(all, text[1:len(text)-1])
}

// holders are all values of ours that hold a secret, used, so that what they cache is there.
func holders(t testing.TB) map[string]any {
	t.Helper()
	file, err := gcs.ServiceAccountKey(keyFile(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]gcs.Key{"hmac": hmacKey(t), "rsa": rsaKey(t), "file": file}
	all := map[string]any{}
	for name, key := range keys {
		c := config(func(c *gcs.Config) { c.Key = key })
		s, err := gcs.New(c)
		if err != nil {
			t.Fatal(err)
		}
		v := newVerifier(t)
		p, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(ctx, received(t, p, nil)); err != nil {
			t.Fatal(err)
		}
		for what, value := range map[string]any{"Key": key, "Config": c, "*Config": &c, "Signer": s, "Verifier": v, "VerifierConfig": verifierConfig()} {
			all[name+" "+what] = value
			all[name+" "+what+" in a struct"] = struct{ Field, field any }{value, value}
			all[name+" "+what+" in a map"] = map[string]any{"": value}
		}
	}
	return all
}

func TestSecretsAreNotPrinted(t *testing.T) {
	secrets := planted(t)
	shown := func(text string) bool {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				return true
			}
		}
		return false
	}
	for how, text := range printers() {
		for what, value := range holders(t) {
			if shown(text(value)) {
				t.Errorf("%s of %s prints a secret", how, what)
			}
		}
	}
	// The test itself sees a secret where there is one.
	for _, value := range []any{struct{ secret string }{hmacSecret}, struct{ d big.Int }{*testKeys()[0].D}, *testKeys()[0], []byte(hmacSecret), struct{ b []byte }{[]byte(hmacSecret)}} {
		if text := fmt.Sprintf("%+v", value); !shown(text) {
			t.Errorf("a secret in a %T is not found", value)
		}
	}
}

// Dumps that follow pointers, as debuggers and test libraries have them, find none either.
func TestSecretsAreOutOfReflectionsReach(t *testing.T) {
	k := testKeys()[0]
	secrets := [][]byte{[]byte(hmacSecret), []byte("GOOG4" + hmacSecret), k.D.Bytes(), k.Primes[0].Bytes(), k.Primes[1].Bytes(), k.Precomputed.Dp.Bytes(), pkcs8(t, k)[100:140]}
	reached := func(value any) (found bool) {
		walk(reflect.ValueOf(value), map[uintptr]bool{}, func(b []byte) {
			for _, secret := range secrets {
				found = found || bytes.Contains(b, secret)
			}
		})
		return found
	}
	for what, value := range holders(t) {
		if reached(value) {
			t.Errorf("a secret of %s can be reached", what)
		}
	}
	for _, value := range []any{&struct{ a any }{[]byte(hmacSecret)}, struct{ m map[string]string }{map[string]string{hmacSecret: ""}}, struct{ k *rsa.PrivateKey }{k}, struct{ n *big.Int }{k.Primes[1]}} {
		if !reached(value) {
			t.Errorf("a secret in a %T is not reached", value)
		}
	}
}

// walk hands over every string, and every slice or array of unsigned integers as big-endian bytes, that reflection reaches.
func walk(v reflect.Value, seen map[uintptr]bool, found func([]byte)) {
	switch v.Kind() {
	case reflect.String:
		found([]byte(v.String()))
	case reflect.Pointer:
		if !v.IsNil() && !seen[v.Pointer()] {
			seen[v.Pointer()] = true
			walk(v.Elem(), seen, found)
		}
	case reflect.Interface:
		walk(v.Elem(), seen, found)
	case reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), seen, found)
		}
	case reflect.Map:
		for iter := v.MapRange(); iter.Next(); {
			walk(iter.Key(), seen, found)
			walk(iter.Value(), seen, found)
		}
	case reflect.Slice, reflect.Array:
		if v.Len() > 0 && v.Index(0).CanUint() {
			number, bits := new(big.Int), v.Type().Elem().Bits()
			for i := range v.Len() {
				at := i // little-endian words
				if bits == 8 {
					at = v.Len() - 1 - i
				}
				word := new(big.Int).SetUint64(v.Index(i).Uint())
				number.Or(number, word.Lsh(word, uint(at*bits)))
			}
			found(number.Bytes())
			return
		}
		for i := range v.Len() {
			walk(v.Index(i), seen, found)
		}
	}
}

// Keys that take long are used several times at once by signer.PresignAll, and the URLs are those of one after the other.
func TestPresignAll(t *testing.T) {
	remote, err := gcs.RemoteKey(account, 0, rsaKey(t).Sign)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := gcs.RSAKey(account, struct{ crypto.Signer }{testKeys()[0]})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		key      gcs.Key
		parallel int
	}{
		"HMAC":            {hmacKey(t), 1},
		"RSA in memory":   {rsaKey(t), runtime.GOMAXPROCS(0)},
		"RSA in a KMS":    {kept, 16},
		"IAM's, perhaps":  {remote, 16},
		"somebody else's": {struct{ gcs.Key }{rsaKey(t)}, 16},
	} {
		s := newSigner(t, func(c *gcs.Config) { c.Key = tt.key })
		if n := s.Parallel(); n != tt.parallel {
			t.Errorf("%s: %d at once, want %d", name, n, tt.parallel)
		}
		i := 0
		for p, err := range signer.PresignAll(ctx, s, func(yield func(signer.Request) bool) {
			for i := range 20 {
				if !yield(signer.Request{Key: fmt.Sprint("k", i), Expires: time.Minute}) {
					return
				}
			}
		}) {
			one, oneErr := s.Presign(ctx, signer.Request{Key: fmt.Sprint("k", i), Expires: time.Minute})
			if err != nil || oneErr != nil || p.URL != one.URL {
				t.Fatalf("%s: the pair %d is %v, %v, want %v, %v", name, i, p, err, one, oneErr)
			}
			i++
		}
		if i != 20 {
			t.Errorf("%s: %d pairs", name, i)
		}
	}
}
