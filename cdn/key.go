package cdn

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A Key is a signed request key of a backend bucket or backend service. It is its own KeySource.
type Key struct {
	// Name is what the key is called there: 1 to 63 letters, digits, hyphens and underscores.
	Name string

	// Secret is the key: 16 bytes, decoded. ParseKey makes it of the text that Google Cloud stores.
	Secret signer.Secret

	// Expires is the key's retirement, the instant at which it will be deleted from the backend; zero if none is planned. No
	// URL is signed to live longer, and a Verifier refuses the key from then on.
	Expires time.Time
}

// A KeySource gives the key for one signature. It must be safe for concurrent use. A signer.KeyRing[Key] is one.
//
// until is the instant to which the signature shall work. A key that is retired earlier is not wrong; the signer then
// shortens the URL if it may, or reports ErrCredentials. As long as the key is the same, return the same Secret: the signer
// knows it by identity.
type KeySource interface {
	Key(ctx context.Context, until time.Time) (Key, error)
}

// Key returns k.
func (k Key) Key(ctx context.Context, until time.Time) (Key, error) { return k, nil }

// Retirement returns Name and Expires, for signer.KeyRing; an empty id where there is no Secret.
func (k Key) Retirement() (id string, at time.Time) {
	if k.Secret.IsZero() {
		return "", k.Expires
	}
	return k.Name, k.Expires
}

// ParseKey returns a Key of its name and of its text as gcloud's key file has it: 16 bytes in base64url (RFC 4648, section 5),
// with or without padding, and with or without the end of a line. Terraform's random_id writes it without padding. The last
// character carries four bits too many, which need not be zero. Anything else is ErrCredentials.
//
// https://docs.cloud.google.com/cdn/docs/using-signed-urls#creatingkeys
func ParseKey(name, base64url string) (Key, error) {
	op := pipeline.Op{Backend: "cdn", Name: "parse key"}
	text := strings.TrimRight(base64url, "\r\n")
	encoding := base64.RawURLEncoding
	if strings.HasSuffix(text, "=") {
		encoding = base64.URLEncoding
	}
	secret, err := encoding.DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which the decoder passes over
		return Key{}, op.Errorf(signer.ErrCredentials, "Secret", "it is not base64url (letters, digits, - and _, not + and /); check that it was copied whole")
	}
	k := Key{Name: name, Secret: signer.NewSecret(secret)}
	if err := k.check(op); err != nil {
		return Key{}, err
	}
	return k, nil
}

// check refuses keys that cannot make a signature.
func (k *Key) check(op pipeline.Op) error {
	switch {
	case k.Secret.IsZero():
		return op.Errorf(signer.ErrCredentials, "Key", "there is none; make one with ParseKey")
	case !plainName(k.Name):
		return op.Errorf(signer.ErrCredentials, "Key", "its name must be 1 to 63 letters, digits, hyphens and underscores")
	case k.Secret.Len() != keySize:
		return op.Errorf(signer.ErrCredentials, "Key", "it has %d bytes, expecting %d; give ParseKey the text that Google Cloud stores", k.Secret.Len(), keySize)
	}
	return nil
}

// plainName reports whether a key can have a name. The documentation of signed URLs allows more than that of the Compute API,
// which wants lower case.
func plainName(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return name != "" && len(name) <= 63
}
