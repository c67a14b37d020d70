package setup

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/storefake"
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

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// Everything that is wrong is told at once, and the stand-ins are not seen.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.json")
	if err := os.WriteFile(broken, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		o      Options
		getenv func(string) string
		want   []string
	}{
		{"s3", Options{Provider: "s3"}, env("AWS_ENDPOINT_URL", "127.0.0.1:9000"), []string{"program: AWS_ENDPOINT_URL has no scheme",
			"program: no usable credentials: set AWS_ACCESS_KEY_ID", "program: -bucket is missing", "program: s3: new: Region: "}},
		{"gcs", Options{Provider: "gcs"}, env(), []string{"program: -bucket is missing", "program: no usable credentials: set GS_ACCESS_KEY_ID and GS_SECRET_ACCESS_KEY to an HMAC key, or GOOGLE_APPLICATION_CREDENTIALS"}},
		{"gcs, half a key", Options{Provider: "gcs", Bucket: "b"}, env("GS_ACCESS_KEY_ID", "GOOG1"), []string{"program: no usable credentials: set GS_ACCESS_KEY_ID and"}},
		{"gcs, no file", Options{Provider: "gcs", Bucket: "b"}, env("GOOGLE_APPLICATION_CREDENTIALS", dir+"/none"), []string{"program: no usable credentials: GOOGLE_APPLICATION_CREDENTIALS: open "}},
		{"gcs, another file", Options{Provider: "gcs", Bucket: "b"}, env("GOOGLE_APPLICATION_CREDENTIALS", broken), []string{"program: gcs: service account key: type: "}},
		{"gcs, bucket", Options{Provider: "gcs", Bucket: "B"}, env("GS_ACCESS_KEY_ID", "GOOG1", "GS_SECRET_ACCESS_KEY", "x"), []string{`program: gcs: new: Bucket: `}},
		{"azure", Options{Provider: "azure", Endpoint: "x"}, env(), []string{"program: -endpoint has no scheme", "program: -bucket is missing",
			"program: -account is missing", "program: no usable credentials: set AZURE_STORAGE_KEY"}},
		{"azure, key", Options{Provider: "azure", Bucket: "photos", Account: "account"}, env("AZURE_STORAGE_KEY", "!"), []string{"program: azure: shared key: Key: "}},
		{"oss", Options{Provider: "oss"}, env(), []string{"program: no usable credentials: set OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET", "program: -bucket is missing", "program: oss: new: Region: "}},
		{"cdn", Options{Provider: "cdn"}, env(), []string{"program: -endpoint is missing", "program: -key-name is missing", "program: -key-file is missing"}},
		{"cdn, no file", Options{Provider: "cdn", Endpoint: "https://cdn.example", KeyName: "k", KeyFile: dir + "/none"}, env(), []string{"program: no usable credentials: -key-file: open "}},
		{"cdn, another file", Options{Provider: "cdn", Endpoint: "https://cdn.example", KeyName: "k", KeyFile: broken}, env(), []string{"program: cdn: parse key: Secret: "}},
		{"none", Options{}, env(), []string{`program: -provider "" is not known; there are s3, gcs, cdn, azure, oss`}},
	} {
		s, _, err := NewSigner(tt.o, tt.getenv)
		if s != nil || err == nil {
			t.Errorf("%s: %v, %v", tt.name, s, err)
			continue
		}
		var out bytes.Buffer
		Complain(&out, "program", err)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		for _, want := range tt.want {
			if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, want) }) {
				t.Errorf("%s: no %q in\n%s", tt.name, want, &out)
			}
		}
		if len(lines) != len(tt.want) || strings.Contains(strings.ReplaceAll(out.String(), "stand-in.invalid", ""), "stand-in") {
			t.Errorf("%s: %d lines, want %d:\n%s", tt.name, len(lines), len(tt.want), &out)
		}
	}
}

// What the variables say is what is signed for, and flags come before them.
func TestNewSigner(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "cdn.key")
	if err := os.WriteFile(file, []byte("nZtRohdNF9m3cKM24IcK4w==\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := storefake.New(storefake.Config{})
	if err != nil {
		t.Fatal(err)
	}
	account, err := store.GCSKeyFile()
	if err != nil {
		t.Fatal(err)
	}
	accountFile := filepath.Join(dir, "account.json")
	if err := os.WriteFile(accountFile, account, 0o600); err != nil {
		t.Fatal(err)
	}
	aws := []string{"AWS_ACCESS_KEY_ID", "A", "AWS_SECRET_ACCESS_KEY", "s"}
	google := []string{"GS_ACCESS_KEY_ID", "GOOG1", "GS_SECRET_ACCESS_KEY", "s"}
	azure := []string{"AZURE_STORAGE_ACCOUNT", "account", "AZURE_STORAGE_KEY", "c2VjcmV0LXNlY3JldC1zZWNyZXQ="}
	alibaba := []string{"OSS_ACCESS_KEY_ID", "A", "OSS_ACCESS_KEY_SECRET", "s", "OSS_REGION", "cn-beijing"}
	for _, tt := range []struct {
		o     Options
		env   []string
		url   string // what a URL begins with
		holds string
		about string
	}{
		{Options{Provider: "s3"}, append(aws, "AWS_REGION", "eu-west-1", "AWS_DEFAULT_REGION", "x"), "https://bucket.s3.eu-west-1.amazonaws.com/k?", "X-Amz-Credential=A%2F", "Amazon S3"},
		{Options{Provider: "s3", Region: "us-east-1"}, append(aws, "AWS_REGION", "x", "AWS_ENDPOINT_URL", "http://127.0.0.1:9000", "AWS_SESSION_TOKEN", "token"),
			"http://127.0.0.1:9000/bucket/k?", "X-Amz-Security-Token=token", "http://127.0.0.1:9000"},
		{Options{Provider: "s3", Endpoint: "http://other:1"}, append(aws, "AWS_DEFAULT_REGION", "us-east-1", "AWS_ENDPOINT_URL", "x"), "http://other:1/bucket/k?", "us-east-1", "http://other:1"},
		{Options{Provider: "gcs"}, google, "https://storage.googleapis.com/bucket/k?", "X-Goog-Algorithm=GOOG4-HMAC-SHA256&X-Goog-Credential=GOOG1%2F", "Google Cloud Storage"},
		{Options{Provider: "gcs"}, append(google, "GOOGLE_APPLICATION_CREDENTIALS", accountFile, "STORAGE_EMULATOR_HOST", "localhost:4443"), "http://localhost:4443/bucket/k?", "GOOG4-RSA-SHA256", "http://localhost:4443"},
		{Options{Provider: "gcs"}, append(google, "STORAGE_EMULATOR_HOST", "https://localhost:4443"), "https://localhost:4443/bucket/k?", "GOOG1", "https://localhost:4443"},
		{Options{Provider: "azure"}, azure, "https://account.blob.core.windows.net/bucket/k?", "sig=", "Azure"},
		{Options{Provider: "azure"}, append(azure, "AZURE_STORAGE_SERVICE_ENDPOINT", "http://127.0.0.1:10000"), "http://127.0.0.1:10000/account/bucket/k?", "sp=r", "http://127.0.0.1:10000"},
		{Options{Provider: "azure", Account: "other"}, azure[2:], "https://other.blob.core.windows.net/bucket/k?", "sig=", "Azure"},
		{Options{Provider: "oss"}, alibaba, "https://bucket.oss-cn-beijing.aliyuncs.com/k?", "x-oss-credential=A%2F", "Alibaba Cloud OSS"},
		{Options{Provider: "oss", Region: "cn-hangzhou"}, append(alibaba, "OSS_SESSION_TOKEN", "token", "OSS_ENDPOINT", "http://127.0.0.1:1"), "http://127.0.0.1:1/bucket/k?", "x-oss-security-token=token", "http://127.0.0.1:1"},
		{Options{Provider: "cdn", Endpoint: "https://cdn.example/base", KeyName: "my-key", KeyFile: file}, nil, "https://cdn.example/base/k?", "KeyName=my-key", "https://cdn.example/base"},
	} {
		tt.o.Bucket = "bucket"
		s, about, err := NewSigner(tt.o, env(tt.env...))
		if err != nil {
			t.Errorf("%+v: %v", tt.o, err)
			continue
		}
		p, err := s.Presign(t.Context(), signer.Request{Key: "k", Expires: time.Minute})
		if err != nil {
			t.Errorf("%+v: %v", tt.o, err)
			continue
		}
		if !strings.HasPrefix(p.URL, tt.url) || !strings.Contains(p.URL, tt.holds) || !strings.HasPrefix(about, "bucket bucket, ") || !strings.HasSuffix(about, "at "+tt.about) {
			t.Errorf("%+v: %s, %q", tt.o, p.URL, about)
		}
	}
}

func TestList(t *testing.T) {
	for _, provider := range Providers() {
		r, err := List(provider, "dir/")
		if (err != nil) != (provider == "cdn") || err == nil && r.Query.Get("prefix") != "dir/" || r.Query.Has("list-type") == (provider == "azure") && err == nil {
			t.Errorf("%s: %v, %v", provider, r.Query, err)
		}
	}
	if r, err := List("s3", ""); err != nil || r.Query.Has("prefix") {
		t.Errorf("%v, %v", r.Query, err)
	}
}
