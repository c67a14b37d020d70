package signer_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
	_ "github.com/cloudsigner/cloudsigner/signer/explain" // so that the test runs anew when it changes
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Each block of Go in the README compiles by itself, with what stands around it in a program of the reader's.
func TestReadmeCompiles(t *testing.T) {
	const head = `package readme

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	alioss "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/azure/azuresdk"
	"github.com/cloudsigner/cloudsigner/azure/udk"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/gcs/googlesdk"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/oss/aliyunsdk"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/s3/awscreds"
	"github.com/cloudsigner/cloudsigner/s3/awssdk"
	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/explain"
)

var _ = []any{awss3.New, azuresdk.Token, udk.New, googlesdk.Default, aliyunsdk.Credentials, awscreds.FromEnvironment, awssdk.Config, json.NewEncoder, fmt.Println, io.Copy, slog.Error, url.Parse, os.Getenv, time.Hour,
	azure.New, cdn.New, clock.System, gcs.New, oss.New, s3.New, explain.Explain}
`
	// What a block takes from elsewhere, and what it may leave unused.
	const frame = `
func block%d(ctx context.Context, w http.ResponseWriter, req *http.Request, resp *http.Response, endpoint, baseURL *url.URL, file, secret, body []byte,
	id, base64Key string, credentials, creds s3.Credentials, old, next cdn.Key, trace signer.Trace, cfg aws.Config, credential azcore.TokenCredential, provider alioss.CredentialsProvider,
	s signer.Signer, v signer.Verifier, p *signer.Presigned, client *http.Client, presign any, until time.Time, known bool) error {
	{
%s
		_, _, _, _, _, _, _ = s, v, p, client, presign, until, known
	}
	return nil
}
`
	blocks := regexp.MustCompile("(?s)\n```go\n(.*?)\n```").FindAllStringSubmatch(readme(t), -1)
	if len(blocks) < 10 {
		t.Fatalf("%d blocks of Go are found", len(blocks))
	}
	source := head
	for i, b := range blocks {
		source += fmt.Sprintf(frame, i, b[1])
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	name, overlay := filepath.Join(dir, "readme.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(name, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "signer", "internal", "readme", "readme.go"): name}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "./signer/internal/readme")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The README's table says what each provider's signer refuses: what it calls refused is ErrUnsupported, and the rest is signed.
func TestReadmeTable(t *testing.T) {
	rows := make(map[string][]string)
	_, table, _ := strings.Cut(readme(t), "\n| in a `Request` |")
	table, _, _ = strings.Cut(table, "\n\n")
	lines := strings.Split(table, "\n")
	for _, line := range lines[2:] {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		rows[cells[0]] = cells[1:]
	}
	providers := strings.Split(strings.Trim(lines[0], "| "), " | ")
	if fmt.Sprint(providers) != "[`s3` `gcs` `oss` `azure` `cdn`]" || len(rows) != 7 {
		t.Fatalf("%q, %d rows", providers, len(rows))
	}
	signers := readmeSigners(t)

	check := func(row, provider, cell string, signed bool, r signer.Request) {
		t.Helper()
		if r.Expires == 0 {
			r.Expires = time.Hour
		}
		r.Key = "cat.jpg"
		p, err := signers[provider].Presign(t.Context(), r)
		if signed && (err != nil || p.NotEnforced != nil) || !signed && !errors.Is(err, signer.ErrUnsupported) {
			t.Errorf("%s, %s %s: the table says %q, Presign says %v", row, provider, r.Method, cell, err)
		}
	}
	for i, provider := range providers {
		cell := func(row string) string {
			if len(rows[row]) != len(providers) {
				t.Fatalf("%q has the cells %q", row, rows[row])
			}
			return rows[row][i]
		}
		refused := func(row string) bool { return strings.HasPrefix(cell(row), "refused") }

		row := "`Method`"
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "POST", "PATCH"} {
			check(row, provider, cell(row), cell(row) == "every" || strings.Contains(cell(row), method), signer.Request{Method: method})
		}
		row = "`Header`: the type of an upload"
		method := http.MethodPut
		if provider == "`cdn`" { // which has no uploads
			method = http.MethodGet
		}
		check(row, provider, cell(row), !refused(row), signer.Request{Method: method, Header: http.Header{"Content-Type": {"image/jpeg"}}})
		row = "`Query`"
		for _, name := range []string{"tagging", "snapshot", "versionid"} {
			check(row, provider, cell(row), cell(row) == "signed" || strings.Contains(cell(row), name), signer.Request{Query: url.Values{name: {"2026-11-24T12:00:00.0000000Z"}}})
		}
		row = "`Response`: a name to save under"
		check(row, provider, cell(row), !refused(row), signer.Request{Response: signer.ResponseHeaders{ContentDisposition: signer.Attachment("cat.jpg")}})
		row = "`Response`: `CacheControl`"
		check(row, provider, cell(row), !refused(row), signer.Request{Response: signer.ResponseHeaders{CacheControl: "no-store"}})
		row = "`SourceIP`"
		check(row, provider, cell(row), !refused(row), signer.Request{SourceIP: netip.MustParsePrefix("192.0.2.0/24")})
		if cell(row) == "IPv4" {
			check(row, provider, cell(row), false, signer.Request{SourceIP: netip.MustParsePrefix("2001:db8::/32")})
		}

		row = "longest `Expires`"
		longest, bounded := 10*365*24*time.Hour, false
		if strings.HasPrefix(cell(row), "7 days") {
			longest, bounded = 7*24*time.Hour, true
		} else if !strings.HasPrefix(cell(row), "none") {
			t.Errorf("%s, %s: %q", row, provider, cell(row))
		}
		check(row, provider, cell(row), true, signer.Request{Expires: longest})
		if _, err := signers[provider].Presign(t.Context(), signer.Request{Key: "k", Expires: longest + time.Second}); bounded != errors.Is(err, signer.ErrLifetime) {
			t.Errorf("%s, %s: the table says %q, Presign says %v", row, provider, cell(row), err)
		}
	}
}

// readmeSigners are signers as the README makes them.
func readmeSigners(t *testing.T) map[string]signer.Signer {
	t.Helper()
	noon := clock.Fixed(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	must := func(s signer.Signer, err error) signer.Signer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	secret := signer.NewSecret([]byte("a secret of sixteen bytes and more"))
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	account, err := gcs.RSAKey("signer@my-project.iam.gserviceaccount.com", private)
	if err != nil {
		t.Fatal(err)
	}
	shared, err := azure.SharedKey("myaccount", base64.StdEncoding.EncodeToString(secret.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	key, err := cdn.ParseKey("my-key", "nZtRohdNF9m3cKM24IcK4w==")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]signer.Signer{
		"`s3`":    must(s3.New(s3.Config{Region: "eu-west-1", Bucket: "photos", Credentials: s3.Credentials{AccessKeyID: "A", SecretKey: secret}, Clock: noon})),
		"`gcs`":   must(gcs.New(gcs.Config{Bucket: "photos", Key: account, Clock: noon})),
		"`oss`":   must(oss.New(oss.Config{Region: "cn-hangzhou", Bucket: "photos", Credentials: oss.Credentials{AccessKeyID: "A", AccessKeySecret: secret}, Clock: noon})),
		"`azure`": must(azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: shared, Clock: noon})),
		"`cdn`":   must(cdn.New(cdn.Config{BaseURL: &url.URL{Scheme: "https", Host: "media.example.com"}, Key: key, Clock: noon})),
	}
}
