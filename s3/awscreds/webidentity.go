package awscreds

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/rest"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// WebIdentityConfig says which role is assumed, and by whom. RoleARN, Token, and Region or Endpoint are required.
type WebIdentityConfig struct {
	// RoleARN is the role's: arn:aws:iam::123456789012:role/photos, AWS_ROLE_ARN on EKS.
	RoleARN string

	// SessionName is what the session is called in logs: 2 to 64 letters, digits and +=,.@_-; "" means "cloudsigner".
	SessionName string

	// Token returns the identity token (a JWT), at each request; TokenFile reads it from a file, which AWS_WEB_IDENTITY_TOKEN_FILE
	// names on EKS.
	Token func(ctx context.Context) (string, error)

	// Life is how long credentials live, from 15 minutes to the role's maximum, which is 12 hours at most; 0 means 1 hour. URLs die
	// with them.
	Life time.Duration

	// Region is whose STS is asked; Endpoint is its address, if it is another.
	Region   string
	Endpoint *url.URL

	Options
}

const (
	minSession = 15 * time.Minute
	maxSession = 12 * time.Hour
)

// WebIdentity makes a source of the credentials of a role that STS gives for an identity token: of a Kubernetes service account on EKS
// (IRSA), of GitHub Actions, or of another provider that the role trusts. The request is not signed.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
func WebIdentity(c WebIdentityConfig) (s3.CredentialSource, error) {
	op := pipeline.Op{Backend: "s3", Name: "web identity credentials"}
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, op.Errorf(signer.ErrRequest, field, format, args...))
	}
	if !strings.HasPrefix(c.RoleARN, "arn:") || !strings.Contains(c.RoleARN, ":role/") {
		bad("RoleARN", "%q is no role, which is like arn:aws:iam::123456789012:role/photos", c.RoleARN)
	}
	name := c.SessionName
	if name == "" {
		name = "cloudsigner"
	}
	if len(name) < 2 || !rest.RoleName(name) {
		bad("SessionName", "%q is not 2 to 64 letters, digits and +=,.@_-", name)
	}
	if c.Token == nil {
		bad("Token", "there is none; TokenFile reads it from a file")
	}
	life := c.Life
	if life == 0 {
		life = time.Hour
	}
	if life < minSession || life > maxSession {
		bad("Life", "%v is not from %v to %v", life, minSession, maxSession)
	}
	endpoint := c.Endpoint
	switch {
	case endpoint != nil:
		if err := rest.CheckEndpoint(op, endpoint); err != nil {
			errs = append(errs, err)
		}
	case !pipeline.HostLabel(c.Region):
		bad("Region", "%q is no region; name the one whose STS is asked, AWS_REGION on EKS", c.Region)
	default:
		endpoint = &url.URL{Scheme: "https", Host: "sts." + c.Region + "." + sigv4.PartitionSuffix(c.Region)}
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	scheme, host, base := pipeline.Locate(endpoint)
	address := scheme + "://" + host + base + "/"
	client := rest.NewClient(c.Client, 10*time.Second)
	return newSource(op, &c.Options, func(ctx context.Context) (s3.Credentials, error) {
		for retried := false; ; retried = true {
			token, err := readToken(ctx, op, c.Token)
			if err != nil {
				return s3.Credentials{}, err
			}
			form := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {c.RoleARN},
				"RoleSessionName": {name}, "WebIdentityToken": {token}, "DurationSeconds": {strconv.FormatInt(int64(life/time.Second), 10)}}
			answer, err := client.Do(ctx, rest.Request{Method: http.MethodPost, URL: address,
				Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"text/xml"}}, Body: []byte(form.Encode())})
			if err != nil {
				return s3.Credentials{}, rest.Remote(ctx, op, "", "STS gives no answer", err)
			}
			if answer.Status == http.StatusOK {
				return parseSession(op, answer.Body)
			}
			code := refusalCode(answer.Body)
			if retried || code != "IDPCommunicationError" { // STS did not reach who made the token, which passes
				return s3.Credentials{}, refuse(op, answer.Status, code, c.RoleARN)
			}
			if err := client.Pause(ctx, 1, 0); err != nil {
				return s3.Credentials{}, err
			}
		}
	}), nil
}

func parseSession(op pipeline.Op, answer []byte) (s3.Credentials, error) {
	var a struct {
		XMLName     xml.Name `xml:"AssumeRoleWithWebIdentityResponse"`
		Credentials struct {
			AccessKeyID     string `xml:"AccessKeyId"`
			SecretAccessKey string
			SessionToken    string
			Expiration      time.Time
		} `xml:"AssumeRoleWithWebIdentityResult>Credentials"`
	}
	err := xml.Unmarshal(answer, &a)
	c := &a.Credentials
	if err != nil || c.AccessKeyID == "" || c.SecretAccessKey == "" || c.SessionToken == "" || c.Expiration.IsZero() {
		return s3.Credentials{}, op.Errorf(signer.ErrRemote, "", "the answer holds no Credentials; is this the right endpoint?")
	}
	return s3.Credentials{
		AccessKeyID:  c.AccessKeyID,
		SecretKey:    signer.NewSecret([]byte(c.SecretAccessKey)),
		SessionToken: signer.NewSecret([]byte(c.SessionToken)),
		Expires:      c.Expiration,
	}, nil
}

// refusalCode is the code in a refusal of STS, if it is one word: it is shown.
func refusalCode(answer []byte) string {
	var a struct {
		XMLName xml.Name `xml:"ErrorResponse"`
		Code    string   `xml:"Error>Code"`
	}
	if xml.Unmarshal(answer, &a) != nil || pipeline.Word(a.Code) != a.Code {
		return ""
	}
	return a.Code
}

// refuse says what is missing and how to get it.
func refuse(op pipeline.Op, status int, code, role string) error {
	field, what := "", "STS gives no credentials"
	switch code {
	case "AccessDenied":
		field, what = "RoleARN", role+" does not trust this identity; its trust policy must name the token's issuer, and its subject and audience "+
			"(aws iam get-role --role-name "+role[strings.LastIndexByte(role, '/')+1:]+" --query Role.AssumeRolePolicyDocument)"
	case "ExpiredTokenException", "ExpiredToken":
		field, what = "Token", "the token has expired; Token must return one that lives"
	case "InvalidIdentityToken":
		field, what = "Token", "the token is of a provider that the role's account does not know, or its audience is another (aws iam list-open-id-connect-providers)"
	case "ValidationError":
		field, what = "Life", "STS does not take the request; is Life longer than the role's maximum session?"
	case "RegionDisabledException":
		field, what = "Region", "the role's account has not switched on this region's STS"
	case "IDPCommunicationError":
		what = "STS does not reach who made the token"
	}
	if code == "" {
		return op.Errorf(signer.ErrRemote, field, "%s (the answer is %d)", what, status)
	}
	return op.Refusal(signer.ErrRemote, field, code, "%s (the answer is %d %s)", what, status, code)
}
