package awscreds

import (
	"context"
	"net/url"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Environment reads an access key from the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, which getenv
// (os.Getenv) looks up. It is read once; a session token's key ends, and when is not said there. If there is none, or half of one, the
// error is signer.ErrCredentials; without a getenv it is signer.ErrRequest.
func Environment(getenv func(string) string) (s3.Credentials, error) {
	if getenv == nil {
		return s3.Credentials{}, noGetenv()
	}
	id, secret := getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY")
	switch {
	case id == "" && secret == "":
		return s3.Credentials{}, opEnvironment().Errorf(signer.ErrCredentials, "AWS_ACCESS_KEY_ID", "it is not set, and neither is AWS_SECRET_ACCESS_KEY")
	case id == "":
		return s3.Credentials{}, opEnvironment().Errorf(signer.ErrCredentials, "AWS_ACCESS_KEY_ID", "it is not set, and AWS_SECRET_ACCESS_KEY is")
	case secret == "":
		return s3.Credentials{}, opEnvironment().Errorf(signer.ErrCredentials, "AWS_SECRET_ACCESS_KEY", "it is not set, and AWS_ACCESS_KEY_ID is")
	}
	return s3.Credentials{
		AccessKeyID:  id,
		SecretKey:    signer.NewSecret([]byte(secret)),
		SessionToken: signer.NewSecret([]byte(getenv("AWS_SESSION_TOKEN"))),
	}, nil
}

// FromEnvironment makes the source that the environment names, by the variables that AWS sets and its SDKs read, in their order:
//
//	AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN                  Environment
//	AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN, AWS_ROLE_SESSION_NAME, AWS_REGION WebIdentity
//	AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, or ..._FULL_URI, with
//	AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, or ..._TOKEN                         Container
//	AWS_EC2_METADATA_SERVICE_ENDPOINT, ..._ENDPOINT_MODE                         Instance, unless AWS_EC2_METADATA_DISABLED=true
//
// getenv is os.Getenv, or another look-up. Files in ~/.aws are not read: with AWS_PROFILE and no key in the environment the
// program would sign as somebody else than it was told, and that is signer.ErrCredentials. Errors are those of the source's own function.
func FromEnvironment(getenv func(string) string, o Options) (s3.CredentialSource, error) {
	if getenv == nil {
		return nil, noGetenv()
	}
	op := opEnvironment()
	switch {
	case getenv("AWS_ACCESS_KEY_ID") != "" || getenv("AWS_SECRET_ACCESS_KEY") != "":
		c, err := Environment(getenv)
		if err != nil {
			return nil, err
		}
		return c, nil
	case getenv("AWS_PROFILE") != "":
		return nil, op.Errorf(signer.ErrCredentials, "AWS_PROFILE", "it names a profile in a file, which is not read here; use the package s3/awssdk")
	case getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "":
		region := getenv("AWS_REGION")
		if region == "" {
			region = getenv("AWS_DEFAULT_REGION")
		}
		return WebIdentity(WebIdentityConfig{RoleARN: getenv("AWS_ROLE_ARN"), SessionName: getenv("AWS_ROLE_SESSION_NAME"),
			Token: TokenFile(getenv("AWS_WEB_IDENTITY_TOKEN_FILE")), Region: region, Options: o})
	}
	name, address := "AWS_CONTAINER_CREDENTIALS_FULL_URI", getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
	if path := getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); path != "" {
		if !strings.HasPrefix(path, "/") { // it would become a part of the host
			return nil, op.Errorf(signer.ErrCredentials, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "it does not begin with a slash")
		}
		name, address = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "http://169.254.170.2"+path
	}
	if address != "" {
		u, err := parseURL(op, name, address)
		if err != nil {
			return nil, err
		}
		c := ContainerConfig{URL: u, Options: o}
		if file, token := getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"), getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN"); file != "" {
			c.Token = TokenFile(file)
		} else if token != "" {
			c.Token = func(context.Context) (string, error) { return token, nil }
		}
		return Container(c)
	}
	if strings.EqualFold(getenv("AWS_EC2_METADATA_DISABLED"), "true") {
		return nil, op.Errorf(signer.ErrCredentials, "", "no variable names credentials, and AWS_EC2_METADATA_DISABLED forbids to ask the instance's metadata service")
	}
	c := InstanceConfig{Options: o}
	if address := getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"); address != "" {
		u, err := parseURL(op, "AWS_EC2_METADATA_SERVICE_ENDPOINT", address)
		if err != nil {
			return nil, err
		}
		c.Endpoint = u
	} else if strings.EqualFold(getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"), "IPv6") {
		c.Endpoint = &url.URL{Scheme: "http", Host: "[fd00:ec2::254]"}
	}
	return Instance(c)
}

func parseURL(op pipeline.Op, name, address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" { // err would quote it
		return nil, op.Errorf(signer.ErrCredentials, name, "it is no URL with a scheme and a host")
	}
	return u, nil
}

func opEnvironment() pipeline.Op {
	return pipeline.Op{Backend: "s3", Name: "credentials of the environment"}
}

func noGetenv() error {
	return opEnvironment().Errorf(signer.ErrRequest, "getenv", "it is nil; give it os.Getenv")
}
