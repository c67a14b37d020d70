package s3

import (
	"bytes"
	"context"
	"crypto/fips140"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Credentials are an access key. They are their own CredentialSource, and a signer.KeyRing[Credentials] is one of keys that
// rotate.
type Credentials struct {
	AccessKeyID  string
	SecretKey    signer.Secret
	SessionToken signer.Secret // zero for keys that do not expire
	Expires      time.Time     // when the service stops to accept the key; zero for never
}

// checkFixed finds in credentials from a Config what need not be looked for at every signature.
func (c *Credentials) checkFixed(op pipeline.Op, aws bool) error {
	if err := c.check(op); err != nil {
		return err
	}
	secret := c.SecretKey.Reveal()
	switch {
	case len(bytes.TrimSpace(secret)) < len(secret):
		return op.Errorf(signer.ErrCredentials, "Credentials", "the secret key begins or ends with white space, the end of a line perhaps; trim it")
	case aws && strings.HasPrefix(c.AccessKeyID, "ASIA") && c.SessionToken.IsZero():
		return op.Errorf(signer.ErrCredentials, "Credentials", "an access key id that begins with ASIA is temporary and has a session token; set SessionToken")
	}
	return nil
}

// A CredentialSource gives the credentials for one signature. It must be safe for concurrent use.
//
// until is the instant to which the signature shall work (for Sign, the next second): a source that can refresh should return
// a key that lives that long. A key that dies earlier is not wrong; the signer then shortens the URL if it may, or reports
// ErrCredentials. As long as the key is the same, return the same Secret values: the signer's key cache knows them by identity.
type CredentialSource interface {
	Credentials(ctx context.Context, until time.Time) (Credentials, error)
}

// Credentials returns c.
func (c Credentials) Credentials(ctx context.Context, until time.Time) (Credentials, error) {
	return c, nil
}

// Retirement returns AccessKeyID and Expires, for signer.KeyRing; an empty id where there is no SecretKey.
func (c Credentials) Retirement() (id string, at time.Time) {
	if c.SecretKey.IsZero() {
		return "", c.Expires
	}
	return c.AccessKeyID, c.Expires
}

// minFIPSSecret is the shortest secret that HMAC takes in FIPS 140 mode: 112 bits, less the four bytes "AWS4" in front.
const minFIPSSecret = 14 - len("AWS4")

// check refuses credentials that cannot make a signature.
func (c *Credentials) check(op pipeline.Op) error {
	switch {
	case c.AccessKeyID == "":
		return op.Errorf(signer.ErrCredentials, "Credentials", "the access key id is empty; set AccessKeyID")
	case c.SecretKey.IsZero():
		return op.Errorf(signer.ErrCredentials, "Credentials", "the secret key is empty; set SecretKey")
	case !plainID(c.AccessKeyID):
		return op.Errorf(signer.ErrCredentials, "Credentials", "the access key id holds a character that the signature's grammar uses; check that it was copied whole and alone")
	case c.SecretKey.Len() < minFIPSSecret && fips140.Enabled():
		return op.Errorf(signer.ErrCredentials, "Credentials", "the secret key has less than %d bytes, too few for HMAC in FIPS 140 mode", minFIPSSecret)
	case !c.SessionToken.IsPrintable():
		return op.Errorf(signer.ErrCredentials, "Credentials", "the session token holds a control or non-ASCII character; check that it was copied whole")
	}
	return nil
}

// plainID reports whether an access key id is printable ASCII that the signature's grammar does not use.
func plainID(id string) bool {
	for i := range len(id) {
		switch c := id[i]; {
		case c <= ' ', c > '~', c == '/', c == ',', c == '=':
			return false
		}
	}
	return true
}
