package oss

import (
	"bytes"
	"context"
	"crypto/fips140"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Credentials are an access key. They are their own CredentialSource.
type Credentials struct {
	AccessKeyID     string
	AccessKeySecret signer.Secret
	SecurityToken   signer.Secret // from STS; zero for keys that do not expire
	Expires         time.Time     // when the service stops to accept the key; zero for never
}

// A CredentialSource gives the credentials for one signature. It must be safe for concurrent use.
//
// until is the instant to which the signature shall work (for Sign, the next second): a source that can refresh should return a
// key that lives that long. A key that dies earlier is not wrong; the signer then shortens the URL if it may, or reports
// ErrCredentials. As long as the key is the same, return the same Secret values: the signer's key cache knows them by identity.
type CredentialSource interface {
	Credentials(ctx context.Context, until time.Time) (Credentials, error)
}

// Credentials returns c.
func (c Credentials) Credentials(ctx context.Context, until time.Time) (Credentials, error) {
	return c, nil
}

// Retirement returns AccessKeyID and Expires, for signer.KeyRing; an empty id where there is no AccessKeySecret.
func (c Credentials) Retirement() (id string, at time.Time) {
	if c.AccessKeySecret.IsZero() {
		return "", c.Expires
	}
	return c.AccessKeyID, c.Expires
}

// checkFixed finds in credentials from a Config what need not be looked for at every signature.
func (c *Credentials) checkFixed(op pipeline.Op) error {
	if err := c.check(op); err != nil {
		return err
	}
	secret := c.AccessKeySecret.Reveal()
	switch {
	case len(bytes.TrimSpace(secret)) < len(secret):
		return op.Errorf(signer.ErrCredentials, "Credentials", "the access key secret begins or ends with white space, the end of a line perhaps; trim it")
	case strings.HasPrefix(c.AccessKeyID, "STS.") && c.SecurityToken.IsZero():
		return op.Errorf(signer.ErrCredentials, "Credentials", "an access key id that begins with STS. is temporary and has a security token; set SecurityToken")
	}
	return nil
}

// minFIPSSecret is the shortest secret that HMAC takes in FIPS 140 mode: 112 bits, less the nine bytes in front.
const minFIPSSecret = 14 - len(keyPrefix)

// check refuses credentials that cannot make a signature.
func (c *Credentials) check(op pipeline.Op) error {
	switch {
	case c.AccessKeyID == "":
		return op.Errorf(signer.ErrCredentials, "Credentials", "the access key id is empty; set AccessKeyID")
	case c.AccessKeySecret.IsZero():
		return op.Errorf(signer.ErrCredentials, "Credentials", "the access key secret is empty; set AccessKeySecret")
	case !plainID(c.AccessKeyID):
		return op.Errorf(signer.ErrCredentials, "Credentials", "the access key id holds a character that the signature's grammar uses; check that it was copied whole and alone")
	case c.AccessKeySecret.Len() < minFIPSSecret && fips140.Enabled():
		return op.Errorf(signer.ErrCredentials, "Credentials", "the access key secret has less than %d bytes, too few for HMAC in FIPS 140 mode", minFIPSSecret)
	case !c.SecurityToken.IsPrintable():
		return op.Errorf(signer.ErrCredentials, "Credentials", "the security token holds a control or non-ASCII character; check that it was copied whole")
	}
	return nil
}

// plainID reports whether an access key id is printable ASCII that the grammars of V4 and V1 do not use, and no escape.
func plainID(id string) bool {
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c > '~' || strings.IndexByte(`/,=:\`, c) >= 0 {
			return false
		}
	}
	return true
}
