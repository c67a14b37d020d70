// Package awscreds gets the credentials that AWS gives to programs that run on it, for package s3, with the standard library only:
// those of an EC2 instance, of a container on ECS or EKS, of a Kubernetes service account by web identity, and those in the
// environment. They are renewed while they are used.
//
// A program that runs wherever it is put takes what its environment says, which it passes in:
//
//	creds, err := awscreds.FromEnvironment(os.Getenv, awscreds.Options{})
//	if err != nil {
//		return err
//	}
//	s, err := s3.New(s3.Config{Region: os.Getenv("AWS_REGION"), Bucket: "photos", Credentials: creds})
//
// One that knows where it runs says so, and nothing of the environment has a part in it:
//
//	creds, err := awscreds.Instance(awscreds.InstanceConfig{})
//
// Profiles, single sign-on and the files in ~/.aws are the SDK's: see package s3/awssdk.
//
// # Renewal
//
// A source keeps credentials and asks for the next when half of their life is over, in the background; the old ones serve to their
// end, whatever happens to the service. A URL that would outlive them makes the source ask at once, though not more than once a
// minute: AWS gives instances and containers new ones hours before the old ones end. What it cannot get is not insisted on, and the
// signer reports signer.ErrCredentials, or shortens the URL with AllowShorter. All who wait share one request.
//
// Nothing is sent before the first signature. Failures are signer.ErrRemote, within the signer's signer.ErrCredentials.
package awscreds

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/rest"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Options are common to all sources. The zero Options are what most programs want.
type Options struct {
	// Client sends the requests. nil means http.DefaultClient for STS. What is next door is asked without a proxy, unless Client has a
	// Transport. Redirects are not followed, whatever it says.
	Client *http.Client

	// Clock says when credentials end; nil means clock.System().
	Clock clock.Clock
}

func (o *Options) now() func() time.Time {
	clk := pipeline.NewClock(o.Clock, "")
	return func() time.Time { t, _ := clk.Read(); return t }
}

// InstanceConfig says how the credentials of an EC2 instance are asked for. The zero value is what most programs want.
type InstanceConfig struct {
	// Role is the name of the instance's role; "" asks for it.
	Role string

	// Endpoint is the instance metadata service's; nil means http://169.254.169.254. http://[fd00:ec2::254] is where it is in IPv6.
	Endpoint *url.URL

	Options
}

// Instance makes a source of the credentials of the role that an EC2 instance runs as, from its metadata service. It goes by the
// service's version 2 only: a token comes first, and without one nothing is asked, as version 1 would be. In a container, tokens
// arrive only if the instance's hop limit is 2 or more.
//
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html
func Instance(c InstanceConfig) (s3.CredentialSource, error) {
	op := pipeline.Op{Backend: "s3", Name: "instance credentials"}
	endpoint := c.Endpoint
	if endpoint == nil {
		endpoint = &url.URL{Scheme: "http", Host: "169.254.169.254"}
	}
	if err := rest.CheckMetadata(op, endpoint, "fd00:ec2::254"); err != nil {
		return nil, err
	}
	if c.Role != "" && !rest.RoleName(c.Role) {
		return nil, op.Errorf(signer.ErrRequest, "Role", "%q is no role's name, which has letters, digits and +=,.@_- only", c.Role)
	}
	scheme, host, base := pipeline.Locate(endpoint)
	service := &rest.Instance{
		Base:      scheme + "://" + host + base,
		TTLHeader: "X-Aws-Ec2-Metadata-Token-Ttl-Seconds",
		Header:    "X-Aws-Ec2-Metadata-Token",
		Hint: "is this an EC2 instance? In a container, it needs a hop limit of 2 " +
			"(aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2 --http-endpoint enabled)",
		Client: rest.NewClient(rest.Direct(c.Client), rest.MetadataTimeout),
	}
	return newSource(op, &c.Options, func(ctx context.Context) (s3.Credentials, error) {
		answer, err := service.Role(ctx, op, "/latest/meta-data/iam/security-credentials/", c.Role)
		if err != nil {
			return s3.Credentials{}, err
		}
		return parse(op, answer)
	}), nil
}

// ContainerConfig says how the credentials of a container are asked for.
type ContainerConfig struct {
	// URL is where they are: AWS_CONTAINER_CREDENTIALS_FULL_URI, or http://169.254.170.2 and AWS_CONTAINER_CREDENTIALS_RELATIVE_URI
	// behind it. https, or http to this machine or its link.
	URL *url.URL

	// Token returns what is sent as Authorization, at each request: the content of the file that
	// AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names, which changes (TokenFile reads it), or AWS_CONTAINER_AUTHORIZATION_TOKEN. nil sends
	// none.
	Token func(ctx context.Context) (string, error)

	Options
}

// Container makes a source of the credentials of a container: of an ECS task's role, or on EKS by Pod Identity.
//
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
func Container(c ContainerConfig) (s3.CredentialSource, error) {
	op := pipeline.Op{Backend: "s3", Name: "container credentials"}
	if c.URL == nil {
		return nil, op.Errorf(signer.ErrRequest, "URL", "there is none; it is in AWS_CONTAINER_CREDENTIALS_FULL_URI")
	}
	bare := *c.URL
	bare.RawQuery = ""
	if err := rest.CheckMetadata(op, &bare, "fd00:ec2::23"); err != nil {
		return nil, err
	}
	address := c.URL.String()
	client := rest.NewClient(rest.Direct(c.Client), 5*time.Second)
	return newSource(op, &c.Options, func(ctx context.Context) (s3.Credentials, error) {
		header := http.Header{"Accept": {"application/json"}}
		if c.Token != nil {
			token, err := readToken(ctx, op, c.Token)
			if err != nil {
				return s3.Credentials{}, err
			}
			header.Set("Authorization", token)
		}
		answer, err := client.Do(ctx, rest.Request{Method: http.MethodGet, URL: address, Header: header})
		switch {
		case err != nil:
			return s3.Credentials{}, rest.Remote(ctx, op, "", "the container's credentials endpoint gives no answer", err)
		case answer.Status != http.StatusOK:
			return s3.Credentials{}, op.Errorf(signer.ErrRemote, "", "the container's credentials endpoint answers %d; does the task, or the pod, have a role?", answer.Status)
		}
		return parse(op, answer.Body)
	}), nil
}

// TokenFile makes a function for ContainerConfig.Token and WebIdentityConfig.Token that reads a file, each time anew: Kubernetes
// replaces the tokens in it. White space around the token is left out.
func TokenFile(name string) func(ctx context.Context) (string, error) {
	return func(context.Context) (string, error) {
		text, err := os.ReadFile(name)
		return strings.TrimSpace(string(text)), err
	}
}

// readToken gets a token that can be sent. It is not shown if it cannot.
func readToken(ctx context.Context, op pipeline.Op, get func(context.Context) (string, error)) (string, error) {
	token, err := get(ctx)
	if err != nil {
		return "", rest.Remote(ctx, op, "Token", "there is no token", err)
	}
	for i := range len(token) {
		if token[i] < ' ' || token[i] > '~' {
			token = ""
			break
		}
	}
	if token == "" {
		return "", op.Errorf(signer.ErrRemote, "Token", "the token is empty, or holds a character that no header has")
	}
	return token, nil
}

// parse reads the JSON in which EC2 and containers' endpoints give credentials.
func parse(op pipeline.Op, answer []byte) (s3.Credentials, error) {
	var a struct {
		Code            string // on EC2, "Success"
		AccessKeyID     string
		SecretAccessKey string
		Token           string
		Expiration      time.Time
	}
	err := json.Unmarshal(answer, &a)
	switch {
	case err == nil && a.Code != "" && a.Code != "Success":
		return s3.Credentials{}, op.Refusal(signer.ErrRemote, "", pipeline.Word(a.Code), "the metadata service has no credentials: %s; can the instance assume its role?", pipeline.Shown(a.Code))
	case err != nil || a.AccessKeyID == "" || a.SecretAccessKey == "" || a.Token == "" || a.Expiration.IsZero(): // err may quote them
		return s3.Credentials{}, op.Errorf(signer.ErrRemote, "", "the answer holds no AccessKeyId with its SecretAccessKey, Token and Expiration; is this the right endpoint?")
	}
	return s3.Credentials{
		AccessKeyID:  a.AccessKeyID,
		SecretKey:    signer.NewSecret([]byte(a.SecretAccessKey)),
		SessionToken: signer.NewSecret([]byte(a.Token)),
		Expires:      a.Expiration,
	}, nil
}

// A source keeps credentials, and renews them.
type source struct {
	keys *rest.Renewer[s3.Credentials]
}

func newSource(op pipeline.Op, o *Options, fetch func(context.Context) (s3.Credentials, error)) *source {
	now := o.now()
	return &source{rest.NewRenewer(now, func(ctx context.Context) (rest.Lease[s3.Credentials], error) {
		c, err := fetch(ctx)
		if err != nil {
			return rest.Lease[s3.Credentials]{}, err
		}
		if now := now(); !now.Before(c.Expires) {
			return rest.Lease[s3.Credentials]{}, op.Errorf(signer.ErrRemote, "", "the credentials ended at %s, and it is %s; is the machine's clock right?",
				c.Expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
		}
		return rest.Lease[s3.Credentials]{Value: c, End: c.Expires}, nil
	})}
}

// Credentials implements s3.CredentialSource.
func (s *source) Credentials(ctx context.Context, until time.Time) (s3.Credentials, error) {
	return s.keys.Get(ctx, until)
}
