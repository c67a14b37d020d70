// Package setup makes the examples' signers from flags and the usual environment variables.
package setup

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strings"

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

// Environment is the part of a usage text that says which variables S3 reads.
const Environment = `  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY  the credentials
  AWS_SESSION_TOKEN                         for temporary ones
  AWS_REGION, AWS_DEFAULT_REGION            where there is no -region
  AWS_ENDPOINT_URL                          where there is no -endpoint
`

// ErrProvider is the error for a provider that the examples do not know.
type ErrProvider string

func (e ErrProvider) Error() string {
	return fmt.Sprintf("-provider %q is not known; there is s3", string(e))
}

// NewSigner makes the signer of o.Provider.
func NewSigner(o Options, getenv func(string) string) (signer.Signer, error) {
	switch o.Provider {
	case "s3":
		s, _, err := S3(o, getenv)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	return nil, ErrProvider(o.Provider)
}

// S3 makes a signer for o.Bucket, which is required. What o leaves open comes from the variables that AWS's own tools read.
// All that is wrong is reported, joined: what is found wrong here gets a stand-in, for s3.New to look at the rest.
func S3(o Options, getenv func(string) string) (*s3.Signer, s3.Config, error) {
	c := s3.Config{
		Bucket: o.Bucket,
		Region: cmp.Or(o.Region, getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION")),
	}
	var errs []error
	if o.Bucket == "" {
		errs = append(errs, errors.New("-bucket is missing; name one"))
	}
	if value, name := o.EndpointFrom(getenv); value != "" {
		u, err := parseEndpoint(name, value)
		if err != nil {
			errs, u = append(errs, err), &url.URL{Scheme: "https", Host: "stand-in.invalid"}
		}
		c.Endpoint = u
	}
	id, secret := getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY")
	if id == "" || secret == "" {
		errs = append(errs, fmt.Errorf("%w: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN for temporary ones", signer.ErrCredentials))
		id, secret = "stand-in", "stand-in"
	}
	c.Credentials = s3.Credentials{
		AccessKeyID:  id,
		SecretKey:    signer.NewSecret([]byte(secret)),
		SessionToken: signer.NewSecret([]byte(getenv("AWS_SESSION_TOKEN"))),
	}
	s, err := s3.New(c)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, s3.Config{}, err
	}
	return s, c, nil
}

// EndpointFrom returns the endpoint as it was written, "" for AWS's own, and the name of the flag or variable that holds it.
func (o Options) EndpointFrom(getenv func(string) string) (value, name string) {
	if o.Endpoint != "" {
		return o.Endpoint, "-endpoint"
	}
	return getenv("AWS_ENDPOINT_URL"), "AWS_ENDPOINT_URL"
}

// parseEndpoint wants http:// or https:// in front: without it url.Parse fails, or takes the host for a scheme or a path.
func parseEndpoint(name, value string) (*url.URL, error) {
	u, err := url.Parse(value)
	switch {
	case err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		return u, nil
	case !strings.Contains(value, "/"):
		with := signer.RedactURL("http://" + value)
		return nil, fmt.Errorf("%s has no scheme; write %s, or https:// if it speaks TLS", name, with)
	case err != nil:
		return nil, fmt.Errorf("%s is no URL; write it like http://127.0.0.1:9000: %w", name, signer.RedactError(err))
	}
	return nil, fmt.Errorf("%s is %q; write it like http://127.0.0.1:9000", name, signer.RedactURL(value))
}

// Complain writes err for the user of program, each of its lines by its own.
func Complain(w io.Writer, program string, err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(w, "%s: %s\n", program, line)
	}
}
