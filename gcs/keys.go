package gcs

import (
	"context"
	"crypto"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/signer"
)

// An Algorithm is a signature algorithm by the name that it has in a URL. There is no default.
//
// https://docs.cloud.google.com/storage/docs/authentication/signatures
type Algorithm string

const (
	RSASHA256  Algorithm = "GOOG4-RSA-SHA256"  // the key of a service account
	HMACSHA256 Algorithm = "GOOG4-HMAC-SHA256" // an HMAC key (interoperability key)
)

// A Key signs for one service account or HMAC key. It must be safe for concurrent use.
//
// A Key may have a method Life() time.Duration: how long after the signature Google is sure to know the key that made it.
// URLs then die no later. 0 means for ever.
type Key interface {
	// ID is the account's e-mail address or the HMAC key's access ID.
	ID() string
	Algorithm() Algorithm
	// Sign signs a string to sign, or the policy of a form: RSA PKCS #1 v1.5 over its SHA-256, or its HMAC-SHA256.
	Sign(ctx context.Context, stringToSign []byte) (Signature, error)
}

// A Signature is what a Key made.
type Signature struct {
	Bytes []byte
	KeyID string // which of the account's keys made it, if the Key knows
}

// ServiceAccountKey makes a Key of the JSON file of a service account's key: of its content, not its path. The file names type,
// client_email and private_key; files of other types (authorized_user, external_account, ...) hold no private key and are ErrCredentials,
// with what to do instead.
func ServiceAccountKey(file []byte) (Key, error) {
	op := opKey("service account key")
	var f struct {
		Type         string `json:"type"`
		Email        string `json:"client_email"`
		PrivateKey   string `json:"private_key"`
		PrivateKeyID string `json:"private_key_id"`
		Impersonates string `json:"service_account_impersonation_url"`
	}
	if err := json.Unmarshal(file, &f); err != nil {
		if isPath(strings.TrimSpace(string(file))) {
			return nil, op.Errorf(signer.ErrCredentials, "", "it looks like the path of a file; give the file's content, which os.ReadFile returns")
		}
		return nil, op.Errorf(signer.ErrCredentials, "", "it is not the JSON file of a key; PEMKey takes a bare PEM") // err may quote the key
	}
	const keyless = "sign with the package gcs/iam, as a service account on which the caller has roles/iam.serviceAccountTokenCreator"
	switch f.Type {
	case "service_account":
	case "":
		return nil, op.Errorf(signer.ErrCredentials, "type", `the file has none; a key's file has "service_account"`)
	case "authorized_user":
		return nil, op.Errorf(signer.ErrCredentials, "type", "authorized_user is a person's login (gcloud auth application-default login), which has no key; %s", keyless)
	case "external_account", "external_account_authorized_user", "impersonated_service_account":
		as := ""
		if email := impersonated(f.Impersonates); email != "" {
			as = " (here perhaps " + email + ")"
		}
		return nil, op.Errorf(signer.ErrCredentials, "type", "%s has no key in its file; %s%s", f.Type, keyless, as)
	default:
		return nil, op.Errorf(signer.ErrCredentials, "type", `%s is not "service_account"; only such files hold a private key`, pipeline.Shown(f.Type))
	}
	if f.PrivateKey == "" {
		return nil, op.Errorf(signer.ErrCredentials, "private_key", "the file has none; make a key for the account, or sign without one with the package gcs/iam")
	}
	k, err := pemKey(op, "private_key", f.Email, []byte(f.PrivateKey))
	if err != nil {
		return nil, err
	}
	k.keyID = f.PrivateKeyID
	return k, nil
}

// isPath reports whether a text that is no JSON is the name of a file rather.
func isPath(text string) bool {
	const most = 1024
	return len(text) <= most && !strings.ContainsAny(text, "{}[]<>\n") && (strings.ContainsAny(text, `/\`) || strings.HasSuffix(text, ".json"))
}

// impersonated is the account at the end of .../serviceAccounts/EMAIL:generateAccessToken, "" if it is not to be found.
func impersonated(url string) string {
	email, _, ok := strings.Cut(url[strings.LastIndexByte(url, '/')+1:], ":")
	if !ok || checkEmail(email) != "" {
		return ""
	}
	return email
}

// PEMKey makes a Key of a private RSA key in PEM, PKCS #8 or PKCS #1, without a password.
func PEMKey(email string, text []byte) (Key, error) {
	k, err := pemKey(opKey("pem key"), "PEM", email, text)
	if err != nil {
		return nil, err
	}
	return k, nil
}

func pemKey(op pipeline.Op, field, email string, text []byte) (*rsaKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, op.Errorf(signer.ErrCredentials, field, `there is no PEM block in it; it begins with "-----BEGIN PRIVATE KEY-----", on a line of its own`)
	}
	switch block.Type {
	case "PRIVATE KEY", "RSA PRIVATE KEY":
	case "ENCRYPTED PRIVATE KEY":
		return nil, op.Errorf(signer.ErrCredentials, field, "the key is encrypted; decrypt it first (openssl pkcs8)")
	default:
		return nil, op.Errorf(signer.ErrCredentials, field, "it is a %s; the private RSA key of the service account is needed", pipeline.Shown(block.Type))
	}
	if block.Headers["DEK-Info"] != "" {
		return nil, op.Errorf(signer.ErrCredentials, field, "the key is encrypted; decrypt it first (openssl rsa)")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		if key, err1 := x509.ParsePKCS1PrivateKey(block.Bytes); err1 == nil {
			parsed, err = key, nil
		}
	}
	if err != nil {
		return nil, op.Errorf(signer.ErrCredentials, field, "the key is damaged; copy it again, with all its lines")
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, op.Errorf(signer.ErrCredentials, field, "it is no signing key; the private RSA key of the service account is needed")
	}
	return newRSAKey(op, field, email, private)
}

// RSAKey makes a Key of a private RSA key that is in memory, or kept by a KMS, an HSM or a TPM behind k, whose public key is
// known to Google as one of the service account's. Its Sign is called with crypto.SHA256 for PKCS #1 v1.5.
func RSAKey(email string, k crypto.Signer) (Key, error) {
	key, err := newRSAKey(opKey("rsa key"), "Key", email, k)
	if err != nil {
		return nil, err
	}
	return key, nil
}

func newRSAKey(op pipeline.Op, field, email string, k crypto.Signer) (*rsaKey, error) {
	if problem := checkEmail(email); problem != "" {
		return nil, op.Errorf(signer.ErrCredentials, "Email", "%s", problem)
	}
	private, local := k.(*rsa.PrivateKey)
	if k == nil || local && private == nil {
		return nil, op.Errorf(signer.ErrCredentials, field, "there is none")
	}
	public, ok := k.Public().(*rsa.PublicKey)
	if !ok {
		return nil, op.Errorf(signer.ErrCredentials, field, "it is a key of another kind (%T); Google verifies RSA keys of service accounts only", k.Public())
	}
	if bits := bitLen(public); bits < minRSABits {
		return nil, op.Errorf(signer.ErrCredentials, field, "it has %d bits; Google's keys have %d, and fewer than %d are not safe", bits, 2048, minRSABits)
	}
	if local {
		if err := private.Validate(); err != nil {
			return nil, op.Errorf(signer.ErrCredentials, field, "the key is damaged: its numbers do not fit together")
		}
		own := *private
		own.Precompute() // a key without it signs in twice the time
		k = &own
	}
	return &rsaKey{email: email, sign: k.Sign, size: public.Size(), local: local}, nil
}

const minRSABits = 1024

// bitLen is the length of a key, 0 if there is none in it.
func bitLen(k *rsa.PublicKey) int {
	if k == nil || k.N == nil {
		return 0
	}
	return k.N.BitLen()
}

// rsaKey holds a method and not the key, because reflection cannot look into one, and no dump can print it.
type rsaKey struct {
	email, keyID string
	sign         func(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error)
	size         int
	local        bool // in memory, not in an HSM
}

func (k *rsaKey) ID() string           { return k.email }
func (k *rsaKey) Algorithm() Algorithm { return RSASHA256 }

func (k *rsaKey) Sign(ctx context.Context, stringToSign []byte) (Signature, error) {
	if err := ctx.Err(); err != nil {
		return Signature{}, err
	}
	digest := sha256.Sum256(stringToSign)
	signature, err := k.sign(rand.Reader, digest[:], crypto.SHA256)
	if err == nil && len(signature) != k.size {
		err = opKey("sign").Errorf(signer.ErrRemote, "Key", "it gave %d bytes, which is no signature of a key of %d; is it set to RSA PKCS #1 v1.5 with SHA-256?", len(signature), k.size)
	}
	return Signature{signature, k.keyID}, err
}

// HMACKey makes a Key of an HMAC key (interoperability key): its access ID and its secret as text, both as Google showed
// them.
//
// https://docs.cloud.google.com/storage/docs/authentication/hmackeys
func HMACKey(accessID string, s signer.Secret) (Key, error) {
	op := opKey("hmac key")
	switch text := string(s.Reveal()); {
	case accessID == "":
		return nil, op.Errorf(signer.ErrCredentials, "AccessID", "it is empty")
	case !plain(accessID):
		return nil, op.Errorf(signer.ErrCredentials, "AccessID", "it holds a character that the signature's grammar uses; check that it was copied whole and alone")
	case strings.Contains(accessID, "@"):
		return nil, op.Errorf(signer.ErrCredentials, "AccessID", "it is an e-mail address; the id of an HMAC key begins with GOOG")
	case text == "":
		return nil, op.Errorf(signer.ErrCredentials, "Secret", "it is empty")
	case strings.TrimSpace(text) != text:
		return nil, op.Errorf(signer.ErrCredentials, "Secret", "it begins or ends with white space, the end of a line perhaps; trim it")
	}
	if err := checkFIPS(op, s); err != nil {
		return nil, err
	}
	return &hmacKey{accessID, s, sigv4.NewCache(family().NewKey)}, nil
}

// checkFIPS refuses a secret of which HMAC would panic.
func checkFIPS(op pipeline.Op, s signer.Secret) error {
	const least = 14 // bytes, 112 bits
	if len(family().Prefix)+s.Len() < least && fips140.Enabled() {
		return op.Errorf(signer.ErrCredentials, "Secret", "it is too short for HMAC in FIPS 140 mode")
	}
	return nil
}

type hmacKey struct {
	accessID string
	secret   signer.Secret
	keys     *sigv4.Cache[sigv4.Scope, *sigv4.Key]
}

func (k *hmacKey) ID() string           { return k.accessID }
func (k *hmacKey) Algorithm() Algorithm { return HMACSHA256 }

// Sign reads the scope, for which the signing key is derived, from the string to sign, or from the policy.
func (k *hmacKey) Sign(ctx context.Context, stringToSign []byte) (Signature, error) {
	if err := ctx.Err(); err != nil {
		return Signature{}, err
	}
	var scope sigv4.Scope
	var ok bool
	if lines := strings.SplitN(string(stringToSign), "\n", 4); len(lines) == 4 {
		scope, ok = parseScope(lines[2])
	} else {
		scope, ok = scopeOfPolicy(stringToSign)
	}
	if !ok {
		return Signature{}, opKey("sign").Errorf(signer.ErrRequest, "", "this is neither a policy nor a string to sign, whose third line is DATE/LOCATION/storage/%s", terminator)
	}
	signature, err := hex.DecodeString(string(k.keys.Key(k.secret, scope).AppendSignature(nil, stringToSign)))
	return Signature{Bytes: signature}, err
}

// RemoteKey makes a Key of a service that signs for the service account: IAM's signBlob (the package gcs/iam has it ready), or one
// of your own. sign must be safe for concurrent use. life is how long after the signature Google is sure to know the key that made
// it; signBlob's is 12 hours. 0 means for ever, for keys that you rotate yourself.
//
// Errors of sign are wrapped in ErrRemote, unless they wrap it already or are the context's.
func RemoteKey(email string, life time.Duration, sign func(ctx context.Context, stringToSign []byte) (Signature, error)) (Key, error) {
	op := opKey("remote key")
	switch problem := checkEmail(email); {
	case problem != "":
		return nil, op.Errorf(signer.ErrCredentials, "Email", "%s", problem)
	case life < 0:
		return nil, op.Errorf(signer.ErrCredentials, "Life", "%v is negative", life)
	case sign == nil:
		return nil, op.Errorf(signer.ErrCredentials, "Sign", "there is no function that signs")
	}
	return &remoteKey{email, life, sign}, nil
}

type remoteKey struct {
	email string
	life  time.Duration
	sign  func(context.Context, []byte) (Signature, error)
}

func (k *remoteKey) ID() string           { return k.email }
func (k *remoteKey) Algorithm() Algorithm { return RSASHA256 }
func (k *remoteKey) Life() time.Duration  { return k.life }

func (k *remoteKey) Sign(ctx context.Context, stringToSign []byte) (Signature, error) {
	return k.sign(ctx, stringToSign)
}

// checkEmail says what is wrong with a service account's address, "" for nothing.
func checkEmail(email string) string {
	switch name, domain, _ := strings.Cut(email, "@"); {
	case email == "":
		return "it is empty; it is the address of the service account that signs, NAME@PROJECT.iam.gserviceaccount.com"
	case name == "" || domain == "" || strings.Contains(domain, "@") || !plain(email):
		return "it is not the address of a service account, NAME@PROJECT.iam.gserviceaccount.com"
	}
	return ""
}

// plain reports whether an id is printable ASCII that the signature's grammar does not use.
func plain(id string) bool {
	for i := range len(id) {
		switch c := id[i]; {
		case c <= ' ', c > '~', c == '/', c == ',', c == '=', c == '"':
			return false
		}
	}
	return true
}

func opKey(name string) pipeline.Op { return pipeline.Op{Backend: "gcs", Name: name} }
