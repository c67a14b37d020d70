package signer_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

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
	"slices"
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
	"github.com/cloudsigner/cloudsigner/signer/upload"
)

var _ = []any{awss3.New, azuresdk.Token, udk.New, googlesdk.Default, aliyunsdk.Credentials, awscreds.FromEnvironment, awssdk.Config, json.NewEncoder, fmt.Println, io.Copy, slog.Error, url.Parse, os.Getenv, slices.Values[[]int], time.Hour,
	azure.New, cdn.New, clock.System, gcs.New, oss.New, s3.New, explain.Explain, upload.New}
`
	// What a block takes from elsewhere, and what it may leave unused.
	const frame = `
func block%d(ctx context.Context, w http.ResponseWriter, req *http.Request, resp *http.Response, endpoint, baseURL *url.URL, file, secret, body []byte,
	id, base64Key string, credentials, creds s3.Credentials, old, next cdn.Key, trace signer.Trace, cfg aws.Config, credential azcore.TokenCredential, provider alioss.CredentialsProvider,
	s signer.Signer, v signer.Verifier, p *signer.Presigned, client *http.Client, presign any, until time.Time, known bool, size int64,
	limited signer.Signer, get, head, part *signer.Presigned, etag string, requests []signer.Request) error {
	{
%s
		_, _, _, _, _ = limited, get, head, part, etag
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
