package awscreds

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// Each environment names one source, in the SDKs' order, and that is asked where the environment says.
func TestFromEnvironment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("file-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		env  map[string]string
		id   string
		want string // the first request begins with it
	}{
		"keys":           {map[string]string{"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "secret"}, "AKIAENV", ""},
		"keys first":     {map[string]string{"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "t", "AWS_PROFILE": "x", "AWS_WEB_IDENTITY_TOKEN_FILE": file}, "AKIAENV", ""},
		"web identity":   {map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": file, "AWS_ROLE_ARN": roleARN, "AWS_REGION": "eu-west-1", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/x"}, "ASIASTS", "POST https://sts.eu-west-1.amazonaws.com/ "},
		"default region": {map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": file, "AWS_ROLE_ARN": roleARN, "AWS_ROLE_SESSION_NAME": "pod", "AWS_DEFAULT_REGION": "us-gov-west-1"}, "ASIASTS", "POST https://sts.us-gov-west-1.amazonaws.com/ "},
		"ECS":            {map[string]string{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/1", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/x"}, "ASIA1", "GET http://169.254.170.2/v2/credentials/1 Accept=application/json"},
		"EKS":            {map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": file, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "planted"}, "ASIA1", "GET http://169.254.170.23/v1/credentials Accept=application/json Authorization=file-token"},
		"a token":        {map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/x", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Basic abc"}, "ASIA1", "GET http://127.0.0.1/x Accept=application/json Authorization=Basic abc"},
		"nothing":        {nil, "ASIA1", askToken},
		"not disabled":   {map[string]string{"AWS_EC2_METADATA_DISABLED": "false"}, "ASIA1", askToken},
		"IPv6":           {map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv6"}, "ASIA1", "PUT http://[fd00:ec2::254]/latest/api/token "},
		"an endpoint":    {map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv6", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://localhost:1338/"}, "ASIA1", "PUT http://localhost:1338/latest/api/token "},
	} {
		s := ec2(func() string { return credentials(1, time.Now().Add(time.Hour)) })
		instance := s.answer
		s.answer = func(n int, r *http.Request, body string) (int, string) {
			switch {
			case r.Method == http.MethodPost:
				return 200, session(time.Now().Add(time.Hour))
			case strings.HasPrefix(r.URL.Path, "/latest/"):
				return instance(n, r, body)
			}
			return 200, credentials(1, time.Now().Add(time.Hour))
		}
		source, err := FromEnvironment(func(name string) string { return tt.env[name] }, s.options())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := source.Credentials(t.Context(), time.Now())
		if err != nil || got.AccessKeyID != tt.id {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
		if asked := append(s.asked, "")[0]; !strings.HasPrefix(asked, tt.want) || tt.want == "" && asked != "" {
			t.Errorf("%s: asked %q, want %q", name, asked, tt.want)
		}
		if tt.env["AWS_ROLE_SESSION_NAME"] != "" && !strings.Contains(s.asked[0], "RoleSessionName=pod&") {
			t.Errorf("%s: asked %q", name, s.asked)
		}
		if tt.env["AWS_SESSION_TOKEN"] != string(got.SessionToken.Reveal()) && tt.id == "AKIAENV" {
			t.Errorf("%s: the session token is %q", name, got.SessionToken.Reveal())
		}
	}
}

func TestFromEnvironmentRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		env   map[string]string
		field string
		want  error
	}{
		"half a key":      {map[string]string{"AWS_ACCESS_KEY_ID": "planted"}, "AWS_SECRET_ACCESS_KEY", signer.ErrCredentials},
		"the other half":  {map[string]string{"AWS_SECRET_ACCESS_KEY": "planted"}, "AWS_ACCESS_KEY_ID", signer.ErrCredentials},
		"a profile":       {map[string]string{"AWS_PROFILE": "planted", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/x"}, "AWS_PROFILE", signer.ErrCredentials},
		"no role":         {map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "/x", "AWS_REGION": "eu-west-1"}, "RoleARN", signer.ErrRequest},
		"no region":       {map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "/x", "AWS_ROLE_ARN": roleARN}, "Region", signer.ErrRequest},
		"another host":    {map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://10.1.2.3/x"}, "Endpoint", signer.ErrRequest},
		"no URL":          {map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "planted"}, "AWS_CONTAINER_CREDENTIALS_FULL_URI", signer.ErrCredentials},
		"a host, no path": {map[string]string{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": ".evil.example/"}, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", signer.ErrCredentials},
		"disabled":        {map[string]string{"AWS_EC2_METADATA_DISABLED": "TRUE"}, "", signer.ErrCredentials},
		"no endpoint":     {map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT": "planted"}, "AWS_EC2_METADATA_SERVICE_ENDPOINT", signer.ErrCredentials},
	} {
		source, err := FromEnvironment(func(name string) string { return tt.env[name] }, Options{})
		var e *signer.Error
		if source != nil || !errors.Is(err, tt.want) || !errors.As(err, &e) || e.Field != tt.field || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: got %v, %v", name, source, err)
		}
	}
	_, err := Environment(func(string) string { return "" })
	if !errors.Is(err, signer.ErrCredentials) || !slices.Contains(strings.Fields(err.Error()), "AWS_SECRET_ACCESS_KEY") {
		t.Errorf("got %v", err)
	}
	_, err = Environment(nil)
	source, err2 := FromEnvironment(nil, Options{})
	for _, err := range []error{err, err2} {
		if source != nil || !errors.Is(err, signer.ErrRequest) || !strings.Contains(err.Error(), "os.Getenv") {
			t.Errorf("without getenv: %v, %v", source, err)
		}
	}
}
