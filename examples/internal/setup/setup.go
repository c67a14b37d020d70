// Package setup makes the examples' signers from flags and the usual environment variables.
package setup

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/cloudsigner/cloudsigner/signer"
)

// Options say where to sign for. What is empty comes from the environment.
type Options struct {
	Provider string
	Bucket   string
	Region   string
	Endpoint string
	Account  string // Azure's
	KeyName  string // of Cloud CDN
	KeyFile  string // of Cloud CDN
}

// AddFlags defines a flag for each option.
func (o *Options) AddFlags(fs *flag.FlagSet) {
	fs.StringVar(&o.Provider, "provider", o.Provider, "whose scheme to sign with: `"+strings.Join(Providers(), ", ")+"`")
	fs.StringVar(&o.Bucket, "bucket", "", "the bucket, or the container")
	fs.StringVar(&o.Region, "region", "", "the region (s3, oss)")
	fs.StringVar(&o.Endpoint, "endpoint", "", "the `URL` of the service if it is not the provider's own; for cdn that of the CDN")
	fs.StringVar(&o.Account, "account", "", "the storage account (azure)")
	fs.StringVar(&o.KeyName, "key-name", "", "the name of the key (cdn)")
	fs.StringVar(&o.KeyFile, "key-file", "", "the `file` with the key, as gcloud compute sign-url takes it (cdn)")
}

// Misplaced is an error if a flag is given that means nothing to the provider. Of a provider that is not known it says nothing.
func (o Options) Misplaced() error {
	if !slices.Contains(Providers(), o.Provider) {
		return nil
	}
	var errs []error
	for _, f := range [...]struct{ name, value, providers string }{
		{"-region", o.Region, "s3, oss"},
		{"-account", o.Account, "azure"},
		{"-key-name", o.KeyName, "cdn"},
		{"-key-file", o.KeyFile, "cdn"},
	} {
		if f.value != "" && !slices.Contains(strings.Split(f.providers, ", "), o.Provider) {
			errs = append(errs, fmt.Errorf("%s is for %s, and -provider is %s; leave it out, or choose the provider", f.name, f.providers, o.Provider))
		}
	}
	return errors.Join(errs...)
}

// Providers are those that there are.
func Providers() []string { return []string{"s3", "gcs", "cdn", "azure", "oss"} }

// Environment is the part of a usage text that says which variables are read: those of the providers' own tools.
const Environment = `  s3     AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY; AWS_SESSION_TOKEN for temporary ones;
         AWS_REGION or AWS_DEFAULT_REGION for -region, AWS_ENDPOINT_URL for -endpoint
  gcs    GOOGLE_APPLICATION_CREDENTIALS, the file of a service account's key, or
         GS_ACCESS_KEY_ID, GS_SECRET_ACCESS_KEY, an HMAC key; STORAGE_EMULATOR_HOST for -endpoint
  azure  AZURE_STORAGE_KEY; AZURE_STORAGE_ACCOUNT for -account, AZURE_STORAGE_SERVICE_ENDPOINT for -endpoint
  oss    OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET; OSS_SESSION_TOKEN for temporary ones;
         OSS_REGION for -region, OSS_ENDPOINT for -endpoint
  cdn    none: -endpoint, -key-name and -key-file say all
A flag comes before its variable, AWS_REGION before AWS_DEFAULT_REGION, and GOOGLE_APPLICATION_CREDENTIALS before an HMAC key.
`

// ErrProvider is the error for a provider that the examples do not know.
type ErrProvider string

func (e ErrProvider) Error() string {
	return fmt.Sprintf("-provider %q is not known; there are %s", string(e), strings.Join(Providers(), ", "))
}

// NewSigner makes the signer of o.Provider. All that is wrong is reported, joined.
func NewSigner(o Options, getenv func(string) string) (s signer.Signer, about string, err error) {
	in := &inputs{Options: o, getenv: getenv}
	in.endpoint()
	switch o.Provider {
	case "s3":
		s, err = in.s3()
	case "gcs":
		s, err = in.gcs()
	case "cdn":
		s, err = in.cdn()
	case "azure":
		s, err = in.azure()
	case "oss":
		s, err = in.oss()
	default:
		return nil, "", ErrProvider(o.Provider)
	}
	if err := errors.Join(append(in.errs, err)...); err != nil {
		return nil, "", err
	}
	return s, in.about(), nil
}

// inputs are the options, the environment, and what is found wrong with both. What is missing gets a stand-in, for the backend's New to
// look at the rest.
type inputs struct {
	Options
	getenv func(string) string
	url    *url.URL // nil for the provider's own
	errs   []error
}

func (in *inputs) wrong(format string, args ...any) {
	in.errs = append(in.errs, fmt.Errorf(format, args...))
}

// or returns the option, or the first variable that is set.
func (in *inputs) or(option string, variables ...string) string {
	for _, name := range variables {
		if option == "" {
			option = in.getenv(name)
		}
	}
	return option
}

func (in *inputs) bucket() string {
	if in.Bucket == "" {
		in.wrong("-bucket is missing; name one")
		return "stand-in"
	}
	return in.Bucket
}

// pair returns an id and a secret, which go together.
func (in *inputs) pair(idName, secretName, more string) (id string, secret signer.Secret) {
	id, text := in.getenv(idName), in.getenv(secretName)
	if id == "" || text == "" {
		in.wrong("%w: set %s and %s%s", signer.ErrCredentials, idName, secretName, more)
		id, text = "stand-in", "stand-in-for-a-secret"
	}
	return id, signer.NewSecret([]byte(text))
}

// file reads a file that an option or a variable names; nil if it cannot.
func (in *inputs) file(name, path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		in.wrong("%w: %s: %w", signer.ErrCredentials, name, err)
		return nil
	}
	return text
}

// EndpointFrom returns the endpoint as it was written, "" for the provider's own, and the name of the flag or variable that holds
// it.
func (o Options) EndpointFrom(getenv func(string) string) (value, name string) {
	variable := map[string]string{"s3": "AWS_ENDPOINT_URL", "gcs": "STORAGE_EMULATOR_HOST", "azure": "AZURE_STORAGE_SERVICE_ENDPOINT", "oss": "OSS_ENDPOINT"}[o.Provider]
	switch {
	case o.Endpoint != "" || variable == "":
		return o.Endpoint, "-endpoint"
	case variable == "STORAGE_EMULATOR_HOST" && getenv(variable) != "" && !strings.Contains(getenv(variable), "://"):
		return "http://" + getenv(variable), variable // as Google's clients read it
	}
	return getenv(variable), variable
}

func (in *inputs) endpoint() {
	value, name := in.EndpointFrom(in.getenv)
	if value == "" {
		return
	}
	var err error
	if in.url, err = parseEndpoint(name, value); err != nil {
		in.errs = append(in.errs, err)
		in.url = &url.URL{Scheme: "https", Host: "stand-in.invalid"}
	}
}

// about says where the signer is for.
func (in *inputs) about() string {
	where := map[string]string{"s3": "Amazon S3", "gcs": "Google Cloud Storage", "azure": "Azure", "oss": "Alibaba Cloud OSS"}[in.Provider]
	if in.url != nil {
		where = in.url.Redacted()
	}
	about := "bucket " + in.Bucket + ", "
	if in.Region != "" {
		about += "region " + in.Region + ", "
	}
	if in.Account != "" {
		about += "account " + in.Account + ", "
	}
	return about + "at " + where
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
