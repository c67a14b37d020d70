// Package setup makes the examples' signers from flags and the usual environment variables.
package setup

import (
	"cmp"
	"flag"
	"fmt"
	"net/url"

	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Options say where to sign for. What is empty comes from the environment.
type Options struct {
	Provider string
	Bucket   string
	Region   string
	Endpoint string
}

// AddFlags defines a flag for each option.
func (o *Options) AddFlags(fs *flag.FlagSet) {
	fs.StringVar(&o.Provider, "provider", "s3", "whose scheme to sign with: `s3`")
	fs.StringVar(&o.Bucket, "bucket", "", "the bucket")
	fs.StringVar(&o.Region, "region", "", "the region, else $AWS_REGION or $AWS_DEFAULT_REGION")
	fs.StringVar(&o.Endpoint, "endpoint", "", "the service's `URL` if it is not AWS, else $AWS_ENDPOINT_URL")
}

// ErrProvider is the error for a provider that the examples do not know.
type ErrProvider string

func (e ErrProvider) Error() string {
	return fmt.Sprintf("-provider %q is not known; there is s3", string(e))
}

// NewSigner makes the signer of o.Provider.
func NewSigner(o Options, getenv func(string) string) (signer.Signer, error) {
	switch o.Provider {
	case "s3":
		c, err := S3(o, getenv)
		if err != nil {
			return nil, err
		}
		return s3.New(c)
	}
	return nil, ErrProvider(o.Provider)
}

// S3 fills in what o leaves open from the variables that AWS's own tools read.
func S3(o Options, getenv func(string) string) (s3.Config, error) {
	c := s3.Config{
		Bucket: o.Bucket,
		Region: cmp.Or(o.Region, getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION")),
	}
	id, secret := getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY")
	if id == "" || secret == "" {
		return c, fmt.Errorf("%w: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN for temporary ones", signer.ErrCredentials)
	}
	c.Credentials = s3.Credentials{
		AccessKeyID:  id,
		SecretKey:    signer.NewSecret([]byte(secret)),
		SessionToken: signer.NewSecret([]byte(getenv("AWS_SESSION_TOKEN"))),
	}
	if endpoint := cmp.Or(o.Endpoint, getenv("AWS_ENDPOINT_URL")); endpoint != "" {
		u, err := url.Parse(endpoint)
		if err != nil {
			return c, fmt.Errorf("-endpoint: write it like https://host:port: %w", signer.RedactError(err))
		}
		c.Endpoint = u
	}
	return c, nil
}
