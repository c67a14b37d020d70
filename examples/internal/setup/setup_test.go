package setup

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/cloudsigner/cloudsigner/signer"
)

// An endpoint without a scheme, or with another one, is never taken for AWS, and the error holds no password.
func TestEndpoint(t *testing.T) {
	for value, want := range map[string]string{
		"127.0.0.1:9000":             "write http://127.0.0.1:9000",
		"localhost:9000":             "write http://localhost:9000",
		"minio":                      "write http://minio",
		"user:password@minio":        "has no scheme",
		"ftp://user:password@minio":  `"ftp://`,
		"minio:9000/base":            `"minio:9000/base"`,
		"http:///base":               `"http:///base"`,
		"http://user:password@a b/c": "is no URL",
	} {
		u, err := parseEndpoint("-endpoint", value)
		if u != nil || err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "-endpoint ") || strings.Contains(err.Error(), "password") {
			t.Errorf("%q: %v, %v; want %q", value, u, err, want)
		}
	}
	for _, value := range []string{"http://127.0.0.1:9000", "HTTPS://s3.example.com/base"} {
		if u, err := parseEndpoint("-endpoint", value); err != nil || u.Host == "" {
			t.Errorf("%q: %v, %v", value, u, err)
		}
	}
}

// Everything that is wrong is told at once, and the stand-ins are not seen.
func TestS3Errors(t *testing.T) {
	getenv := func(name string) string {
		return map[string]string{"AWS_ENDPOINT_URL": "127.0.0.1:9000"}[name]
	}
	s, c, err := S3(Options{}, getenv)
	if s != nil || c.Credentials != nil || !errors.Is(err, signer.ErrCredentials) {
		t.Fatalf("%v, %v, %v", s, c.Credentials, err)
	}
	var out bytes.Buffer
	Complain(&out, "program", err)
	for _, want := range []string{
		"program: -bucket is missing", "program: AWS_ENDPOINT_URL has no scheme", "program: no usable credentials: set AWS_ACCESS_KEY_ID", "program: s3: new: Region: ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if n := strings.Count(out.String(), "\n"); n != 4 || strings.Contains(out.String(), "stand-in") {
		t.Errorf("%d lines:\n%s", n, &out)
	}
}
