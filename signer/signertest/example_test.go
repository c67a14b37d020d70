package signertest_test

import (
	"context"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/signertest"
)

const (
	keyID  = "AKIAIOSFODNN7EXAMPLE"
	first  = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	second = "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"
)

// A source gives the credentials that the Options ask for, each time anew: they rotate while the program runs.
type source signertest.Options

func (o source) Credentials(context.Context, time.Time) (s3.Credentials, error) {
	c := s3.Credentials{AccessKeyID: keyID, SecretKey: signer.NewSecret([]byte(first)), Expires: o.CredentialsExpire}
	switch {
	case o.NoCredentials:
		c.SecretKey = signer.Secret{}
	case o.Rotated():
		c.SecretKey = signer.NewSecret([]byte(second))
	}
	return c, nil
}

// harness describes package s3; describe your own package like this.
func harness() signertest.Harness {
	return signertest.Harness{
		New: func(o signertest.Options) (signer.Signer, error) {
			return s3.New(s3.Config{Region: "eu-west-1", Bucket: o.Bucket, Clock: o.Clock, Backdate: o.Backdate, Credentials: source(o)})
		},
		NewVerifier: func(o signertest.Options) (signer.Verifier, error) {
			return s3.NewVerifier(s3.VerifierConfig{Region: "eu-west-1", Clock: o.Clock, Leeway: o.Leeway,
				Lookup: func(ctx context.Context, id string) (s3.Credentials, error) {
					if id != keyID {
						return s3.Credentials{}, signer.ErrUnknownKey
					}
					return source(o).Credentials(ctx, time.Time{})
				}})
		},
		Params:       []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"},
		HeaderPrefix: "X-Amz-",
		MaxExpires:   7 * 24 * time.Hour,
		Unsupported:  []string{"SourceIP"},
		Secrets:      []string{first, second},
		HashBody:     s3.HashBody,
	}
}

func ExampleRun() {
	var t *testing.T // that of func TestConformance

	signertest.Run(t, harness())
}
