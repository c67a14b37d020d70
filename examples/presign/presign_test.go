package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/signer"
)

const secret = "a secret that nobody sees"

func env(name string) string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID": "KEYID", "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": "eu-west-1",
		"GS_ACCESS_KEY_ID": "GOOG1KEY", "GS_SECRET_ACCESS_KEY": secret,
		"AZURE_STORAGE_KEY": base64.StdEncoding.EncodeToString([]byte(secret)),
		"OSS_ACCESS_KEY_ID": "KEYID", "OSS_ACCESS_KEY_SECRET": secret,
	}[name]
}

func presign(t *testing.T, status int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if got := run(t.Context(), args, env, &out, &errs); got != status {
		t.Fatalf("%q: status %d, want %d: %s", args, got, status, &errs)
	}
	if strings.Contains(out.String()+errs.String(), secret) {
		t.Errorf("%q: the secret is printed", args)
	}
	return out.String(), errs.String()
}

// Standard output is the URL, one line, and what was asked for is in it.
func TestURL(t *testing.T) {
	keyFile := cdnKey(t, t.TempDir())
	for _, tt := range []struct {
		args  []string
		head  string // what the URL begins with
		query map[string]string
		sends string // what standard error says beyond the end
	}{
		{[]string{"-bucket", "photos", "get", "a b/ü"}, "https://photos.s3.eu-west-1.amazonaws.com/a%20b/%C3%BC?",
			map[string]string{"X-Amz-Expires": "930", "X-Amz-SignedHeaders": "host"}, ""}, // 15 minutes, and backdated
		{[]string{"-provider", "s3", "-bucket", "photos", "-region", "us-east-1", "-expires", "1h", "-window", "10m", "head", "k"},
			"https://photos.s3.us-east-1.amazonaws.com/k?", map[string]string{"X-Amz-Expires": "4230"}, ""},
		{[]string{"-bucket", "photos", "-expires", "169h", "-allow-shorter", "get", "k"}, "https://photos.s3.eu-west-1.amazonaws.com/k?",
			map[string]string{"X-Amz-Expires": "604800"}, "its end is that of the scheme\n"},
		{[]string{"-bucket", "photos", "-endpoint", "http://127.0.0.1:9000", "delete", "k"}, "http://127.0.0.1:9000/photos/k?", nil, ""},
		{[]string{"-bucket", "photos", "-attachment", "ü.txt", "-query", "versionId=1=2", "-query", "flag", "get", "k"}, "https://photos.s3.eu-west-1.amazonaws.com/k?",
			map[string]string{"response-content-disposition": signer.Attachment("ü.txt"), "versionId": "1=2", "flag": ""}, ""},
		{[]string{"-bucket", "photos", "-header", "content-type: text/plain", "-header", "X-Amz-Meta-A:1", "-header", "X-Amz-Meta-A: 2:3", "put", "k"},
			"https://photos.s3.eu-west-1.amazonaws.com/k?", map[string]string{"X-Amz-SignedHeaders": "content-type;host;x-amz-meta-a"},
			"send Content-Type: text/plain\nsend X-Amz-Meta-A: 1\nsend X-Amz-Meta-A: 2:3\n"},
		{[]string{"-bucket", "photos", "-query", "max-keys=5", "list", "dir/"}, "https://photos.s3.eu-west-1.amazonaws.com/?",
			map[string]string{"list-type": "2", "prefix": "dir/", "max-keys": "5"}, ""},
		{[]string{"-provider", "gcs", "-bucket", "photos", "-header", "x-goog-content-length-range: 0,9", "put", "a b"}, "https://storage.googleapis.com/photos/a%20b?",
			map[string]string{"X-Goog-Expires": "900", "X-Goog-SignedHeaders": "host;x-goog-content-length-range"}, "send X-Goog-Content-Length-Range: 0,9\n"},
		{[]string{"-provider", "gcs", "-bucket", "photos", "list", "dir/"}, "https://storage.googleapis.com/photos?", map[string]string{"list-type": "2", "prefix": "dir/"}, ""},
		{[]string{"-provider", "azure", "-account", "acc", "-bucket", "photos", "put", "k"}, "https://acc.blob.core.windows.net/photos/k?",
			map[string]string{"sp": "cw", "sr": "b"}, "send X-Ms-Blob-Type: BlockBlob\n"},
		{[]string{"-provider", "azure", "-account", "acc", "-bucket", "photos", "-best-effort", "list", "dir/"}, "https://acc.blob.core.windows.net/photos?",
			map[string]string{"sp": "l", "sr": "c", "comp": "list", "prefix": "dir/"}, "not enforced: Query.prefix\n"},
		{[]string{"-provider", "oss", "-bucket", "photos", "-region", "cn-hangzhou", "-window", "5m", "get", "k"}, "https://photos.oss-cn-hangzhou.aliyuncs.com/k?",
			map[string]string{"x-oss-expires": "1200"}, ""},
		{[]string{"-provider", "cdn", "-endpoint", "https://cdn.example", "-key-name", "my-key", "-key-file", keyFile, "get", "k"}, "https://cdn.example/k?",
			map[string]string{"KeyName": "my-key"}, ""},
		{[]string{"-bucket", "photos", "list"}, "https://photos.s3.eu-west-1.amazonaws.com/?", map[string]string{"list-type": "2"}, ""},
	} {
		out, errs := presign(t, 0, tt.args...)
		line, rest, _ := strings.Cut(out, "\n")
		u, err := url.Parse(line)
		if err != nil || rest != "" || !strings.HasPrefix(line, tt.head) {
			t.Errorf("%q: %v in %q", tt.args, err, out)
			continue
		}
		for name, want := range tt.query {
			if got := u.Query()[name]; len(got) != 1 || got[0] != want {
				t.Errorf("%q: %s is %q, want %q", tt.args, name, got, want)
			}
		}
		until, sends, _ := strings.Cut(errs, "\n")
		if _, stamp, _ := strings.Cut(until, " until "); stamp == "" || sends != tt.sends {
			t.Errorf("%q: %q", tt.args, errs)
		} else if _, err := time.Parse(time.RFC3339, stamp); err != nil {
			t.Error(err)
		}
	}
}

// cdnKey writes a key of Cloud CDN into a file, as gcloud does.
func cdnKey(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(dir, "my-key.txt")
	if err := os.WriteFile(name, []byte("nZtRohdNF9m3cKM24IcK4w=="), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestJSON(t *testing.T) {
	out, _ := presign(t, 0, "-bucket", "b", "-header", "Content-Type: text/plain", "-json", "put", "k")
	var got struct {
		Method, URL string
		Headers     map[string]string
		ExpiresAt   time.Time
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Method != "PUT" || got.Headers["Content-Type"] != "text/plain" || got.ExpiresAt.IsZero() || !strings.Contains(out, got.URL) || strings.Count(out, "\n") != 1 {
		t.Errorf("%s", out)
	}
}

func TestErrors(t *testing.T) {
	keyFile := cdnKey(t, t.TempDir())
	for _, tt := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"get", "k"}, 1, "-bucket is missing"},
		{[]string{"-bucket", "b", "-expires", "169h", "get", "k"}, 1, "s3: -expires: bad lifetime: 169h0m0s is over the 168h0m0s that the scheme allows; ask for less, or set -allow-shorter"},
		{[]string{"-bucket", "b", "-expires", "-1s", "get", "k"}, 1, "-expires"},
		{[]string{"-bucket", "b", "-window", "1h", "get", "k"}, 1, "-window: bad lifetime: 1h0m0s with -expires 15m0s; it must be whole seconds, from 1s to half of -expires"},
		{[]string{"-bucket", "b", "-header", "Host: x", "get", "k"}, 1, "-header: bad request: Host"},
		{[]string{"-bucket", "b", "-header", "A: x\ny", "get", "k"}, 1, "control character"},
		{[]string{"-bucket", "b", "-query", "X-Amz-Date=1", "get", "k"}, 1, "X-Amz-Date"},
		{[]string{"-bucket", "b", "-attachment", "x", "put", "k"}, 1, "-attachment: bad request: overrides are for answers to GET and HEAD"},
		{[]string{"-bucket", "b", "-endpoint", "ftp://x", "get", "k"}, 1, "-endpoint"},
		{[]string{"-bucket", "b", "-endpoint", "127.0.0.1:9000", "get", "k"}, 1, "write http://127.0.0.1:9000"},
		{[]string{"-bucket", "b", "get", "a/../b"}, 1, "s3: KEY: bad request"},
		{[]string{"-bucket", "b", "-header", "x", "get", "k"}, 2, "'Name: value'"},
		{[]string{"-bucket", "b", "-expires", "900", "get", "k"}, 2, "-expires: write it like 15m or 48h"},
		{[]string{"-bucket", "b", "-window", "8d", "get", "k"}, 2, "-window: write it like 15m or 48h"},
		{[]string{"-nonsense", "get", "k"}, 2, "-nonsense"},
		{[]string{"-bucket", "b", "-json", "-curl", "get", "k"}, 2, "not both"},
		{[]string{"-bucket", "b", "get"}, 2, "one key"},
		{[]string{"-bucket", "b", "get", ""}, 2, "one key"},
		{[]string{"-bucket", "b", "get", "k", "l"}, 2, "one key"},
		{[]string{"-bucket", "b", "list", "k", "l"}, 2, "one prefix"},
		{[]string{"-bucket", "b", "list", "k", "-json"}, 2, "flags go before list"},
		{[]string{"-bucket", "b", "get", "k", "-expires", "1h"}, 2, "flags go before get"},
		{[]string{"-bucket", "b", "get", "-json", "k"}, 2, "flags go before get"},
		{[]string{"-bucket", "b", "post", "k"}, 2, `"post" is none of get, put, head, delete, list`},
		{[]string{"-bucket", "b", "GET", "k", "-json"}, 2, `"GET" is none of get, put, head, delete, list`},
		{[]string{"-bucket", "b"}, 2, "say what the URL is for: get, put"},
		{[]string{"-provider", "ftp", "get", "k"}, 2, `"ftp"`},
		{[]string{"-provider", "gcs", "-bucket", "b", "-expires", "169h", "get", "k"}, 1, "presign: gcs: -expires: bad lifetime"},
		{[]string{"-provider", "azure", "-account", "acc", "-bucket", "photos", "-header", "Content-Type: text/plain", "put", "k"}, 1, "presign: azure: -header: unsupported"},
		{[]string{"-provider", "azure", "-bucket", "photos", "get", "k"}, 1, "-account is missing"},
		{[]string{"-provider", "oss", "-bucket", "photos", "get", "k"}, 1, "presign: oss: -region: "},
		{[]string{"-provider", "cdn", "-endpoint", "https://cdn.example", "-key-name", "my-key", "-key-file", keyFile, "put", "k"}, 1, "presign: cdn: put: unsupported"},
		{[]string{"-provider", "cdn", "list"}, 2, "cdn lists nothing"},
		{[]string{"-provider", "azure", "-account", "acc", "-bucket", "photos", "list", "dir/"}, 1,
			"presign: azure: list: unsupported: prefix: a SAS signs headers and parameters from version 2026-04-06 on, with a user delegation key; leave it out, or set -best-effort to send it unsigned"},
		{[]string{"-provider", "cdn", "-endpoint", "https://cdn.example", "-key-name", "my-key", "-key-file", keyFile, "-header", "b: 1", "-header", "a: 1", "get", "k"}, 1,
			"presign: cdn: -header A, -header B: unsupported: a signature of a URL covers no headers; leave it out, or set -best-effort"},
		{[]string{"-provider", "cdn", "-endpoint", "https://cdn.example", "-key-name", "my-key", "-key-file", keyFile, "-attachment", "a", "get", "k"}, 1,
			"presign: cdn: -attachment: unsupported: "},
		{[]string{"-provider", "cdn", "-endpoint", "https://cdn.example:1", "-key-name", "my-key", "-key-file", keyFile, "get", "k"}, 1, "presign: cdn: -endpoint: bad request: it has a port"},
		{[]string{"-bucket", "b", "-account", "acc", "get", "k"}, 2, "presign: -account is for azure, and -provider is s3; leave it out"},
		{[]string{"-provider", "gcs", "-bucket", "b", "-region", "eu", "get", "k"}, 2, "-region is for s3, oss, and -provider is gcs"},
		{[]string{"-provider", "oss", "-region", "cn-hangzhou", "-bucket", "b", "-key-file", "k", "get", "k"}, 2, "-key-file is for cdn, and -provider is oss"},
		{[]string{"-provider", "azure", "-account", "acc", "-bucket", "b", "-key-name", "k", "get", "k"}, 2, "-key-name is for cdn, and -provider is azure"},
		{[]string{"-help"}, 0, "usage: presign"},
	} {
		out, errs := presign(t, tt.status, tt.args...)
		if out != "" || !strings.Contains(errs, tt.want) {
			t.Errorf("%q: %q, and %q on standard output", tt.args, errs, out)
		}
		if tt.status != 0 && strings.Count(errs, "\n") > 1 {
			t.Errorf("%q: more than one line for one mistake: %s", tt.args, errs)
		}
	}
	var errs bytes.Buffer
	if status := run(t.Context(), []string{"-bucket", "b", "get", "k"}, func(string) string { return "" }, &errs, &errs); status != 1 ||
		!strings.Contains(errs.String(), "set AWS_ACCESS_KEY_ID") {
		t.Errorf("without credentials: %d %s", status, &errs)
	}
	errs.Reset()
	temporary := func(name string) string {
		if name == "AWS_ACCESS_KEY_ID" {
			return "ASIAEXAMPLE"
		}
		return env(name)
	}
	if status := run(t.Context(), []string{"-bucket", "b", "get", "k"}, temporary, &errs, &errs); status != 1 ||
		!strings.Contains(errs.String(), "set AWS_SESSION_TOKEN") {
		t.Errorf("half of temporary credentials: %d %s", status, &errs)
	}
}

// What is wrong is told at once, each in the words of the command line, and what is not the library's is left as it is.
func TestInFlags(t *testing.T) {
	c := &command{what: "get"}
	plain := fmt.Errorf("%w: %w", signer.ErrCredentials, os.ErrNotExist)
	err := errors.Join(plain, errors.Join(
		&signer.Error{Backend: "s3", Op: "presign", Field: "Expires", Err: errors.New("ask for a shorter Expires, or set AllowShorter")},
		&signer.Error{Backend: "s3", Op: "presign", Field: "Header.X-A, Header.X-B, SourceIP", Err: errors.New("set BestEffort")}))
	const want = "no usable credentials: file does not exist\ns3: -expires: ask for a shorter -expires, or set -allow-shorter\ns3: -header X-A, -header X-B, SourceIP: set -best-effort"
	if got := c.inFlags(err); got.Error() != want {
		t.Errorf("got  %v\nwant %s", got, want)
	}
}

// The examples in the usage work as they stand, and the variables are there.
func TestUsage(t *testing.T) {
	dir := t.TempDir()
	cdnKey(t, dir)
	t.Chdir(dir)
	_, help := presign(t, 0, "-h")
	examples := 0
	for line := range strings.SplitSeq(help, "\n") {
		if command, ok := strings.CutPrefix(line, "  presign "); ok {
			presign(t, 0, strings.Fields(command)...)
			examples++
		}
	}
	if examples != 7 || !strings.Contains(help, "A flag comes before its variable") || !strings.Contains(help, "AWS_SESSION_TOKEN") || !strings.Contains(help, "-expires") {
		t.Errorf("%d examples in\n%s", examples, help)
	}
}

func TestCurl(t *testing.T) {
	for want, p := range map[string]*signer.Presigned{
		`curl --globoff 'https://h/k?a=b&c'`:                                  {Method: "GET", URL: "https://h/k?a=b&c"},
		`curl --globoff --head https://h/k`:                                   {Method: "HEAD", URL: "https://h/k"},
		`curl --globoff --request DELETE https://h/k`:                         {Method: "DELETE", URL: "https://h/k"},
		`curl --globoff --upload-file './-a'\''b c' 'https://h/d/-a%27b%20c'`: {Method: "PUT", URL: "https://h/d/-a%27b%20c"},
		`curl --globoff --upload-file ./file https://h/d/`:                    {Method: "PUT", URL: "https://h/d/"},
		`curl --globoff --upload-file ./k --header 'A: 1' --header 'A: it'\''s $HOME' --header 'B;' https://h/d/k`: {Method: "PUT", URL: "https://h/d/k",
			Header: http.Header{"B": {""}, "A": {"1", "it's $HOME"}}},
	} {
		if got := curl(p); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// What a shell makes of the quoted words is what was quoted.
func TestQuote(t *testing.T) {
	words := []string{"", "plain-1_./:", "a b", "it's", `"$HOME" \ $(id) !x`, "`id`;&|<>*?[a]{b}~#", "'", "''", "new\nline", "ü", "=x", "-n"}
	var quoted []string
	for _, w := range words {
		quoted = append(quoted, quote(w))
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		skip(t, "no shell")
	}
	out, err := exec.CommandContext(t.Context(), sh, "-c", `printf '%s\0' `+strings.Join(quoted, " ")).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !slices.Equal(got, words) {
		t.Errorf("the shell reads %q, want %q", got, words)
	}
}

// The printed curl commands work as they stand, where there is a curl.
func TestCurlCommands(t *testing.T) {
	sh, err1 := exec.LookPath("sh")
	_, err2 := exec.LookPath("curl")
	if err1 != nil || err2 != nil {
		skip(t, "no shell or no curl")
	}
	store, err := storefake.Start(storefake.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	dir := t.TempDir()
	const name, bytesOfIt = "it's [a] {b} ü.txt", "some bytes"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(bytesOfIt), 0o600); err != nil {
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
	for _, tt := range []struct {
		provider  string
		variables map[string]string
		meta      string // a header that is stored with an object
	}{
		{"s3", map[string]string{"AWS_ACCESS_KEY_ID": store.Credentials.AccessKeyID, "AWS_REGION": store.Region,
			"AWS_SECRET_ACCESS_KEY": string(store.Credentials.SecretKey.Reveal()), "AWS_ENDPOINT_URL": store.URL}, "X-Amz-Meta-Empty:"},
		{"gcs", map[string]string{"GS_ACCESS_KEY_ID": store.GCSKey.ID(), "GS_SECRET_ACCESS_KEY": string(store.GCSSecret.Reveal()), "STORAGE_EMULATOR_HOST": store.URL}, "X-Goog-Meta-Empty:"},
		{"gcs", map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": accountFile, "STORAGE_EMULATOR_HOST": strings.TrimPrefix(store.URL, "http://")}, "X-Goog-Meta-Empty:"},
		{"azure", map[string]string{"AZURE_STORAGE_ACCOUNT": store.AzureAccount, "AZURE_STORAGE_KEY": base64.StdEncoding.EncodeToString(store.AzureKey.Secret().Reveal()),
			"AZURE_STORAGE_SERVICE_ENDPOINT": store.URL}, "X-Ms-Meta-Empty:"},
		{"oss", map[string]string{"OSS_ACCESS_KEY_ID": store.OSS.AccessKeyID, "OSS_ACCESS_KEY_SECRET": string(store.OSS.AccessKeySecret.Reveal()),
			"OSS_REGION": store.Region, "OSS_ENDPOINT": store.URL}, "X-Oss-Meta-Full: 1"},
	} {
		var loose []string
		if tt.provider == "azure" { // which signs neither headers nor the prefix of a list
			loose = []string{"-best-effort"}
		}
		do := func(args ...string) string {
			t.Helper()
			var out, errs bytes.Buffer
			getenv := func(name string) string { return tt.variables[name] }
			if status := run(t.Context(), append(append(loose, "-provider", tt.provider, "-bucket", store.Bucket, "-curl"), args...), getenv, &out, &errs); status != 0 {
				t.Fatalf("%q: %s", args, &errs)
			}
			cmd := exec.CommandContext(t.Context(), sh, "-c", strings.TrimSpace(out.String())+" --silent --show-error --fail --noproxy '*'")
			cmd.Dir = dir
			answer, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%q: %v: %s", args, err, answer)
			}
			return string(answer)
		}
		do("-header", "Content-Type: text/x; note=\"it's\"", "-header", tt.meta, "put", "dir/"+name)
		if got := do("get", "dir/"+name); got != bytesOfIt {
			t.Errorf("%s: got %q", tt.provider, got)
		}
		if got := do("head", "dir/"+name); !strings.Contains(got, "Content-Type: text/x; note=\"it's\"") || !strings.Contains(got, tt.meta) {
			t.Errorf("%s: got %q", tt.provider, got)
		}
		if got := do("list", "dir/"); !strings.Contains(got, "ü.txt") {
			t.Errorf("%s: got %q", tt.provider, got)
		}
		do("delete", "dir/"+name)
		if got := do("list"); strings.Contains(got, "ü.txt") {
			t.Errorf("%s: got %q", tt.provider, got)
		}
	}

	// The CDN has a name that only the store knows.
	if err := store.Put("dir/"+name, []byte(bytesOfIt), nil); err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(dir, "cdn.key")
	if err := os.WriteFile(keyFile, []byte(base64.URLEncoding.EncodeToString(store.CDNKey.Secret.Reveal())), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if status := run(t.Context(), []string{"-provider", "cdn", "-endpoint", store.CDNBase().String(), "-key-name", store.CDNKey.Name, "-key-file", keyFile, "-curl", "get", "dir/" + name}, os.Getenv, &out, &errs); status != 0 {
		t.Fatalf("%s", &errs)
	}
	answer, err := exec.CommandContext(t.Context(), sh, "-c", strings.TrimSpace(out.String())+" --silent --show-error --fail --noproxy '*' --connect-to ::"+store.Endpoint().Host).CombinedOutput()
	if err != nil || string(answer) != bytesOfIt {
		t.Errorf("%v: %s", err, answer)
	}
}

// skip passes over a test for want of a program; CI, which installs it, must not.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}
