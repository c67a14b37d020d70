package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// home is a running gateway with a directory, who may sign for it, and its log.
type home struct {
	dir     string
	url     *url.URL
	client  *http.Client // resolves every name to the gateway
	signers map[string]signer.Signer
	secrets []string
	log     lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newHome(t *testing.T) *home {
	t.Helper()
	h := &home{dir: t.TempDir(), signers: map[string]signer.Signer{}}
	for _, bucket := range []string{"photos", "private"} {
		if err := os.Mkdir(filepath.Join(h.dir, bucket), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(h.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	if h.url, err = url.Parse(server.URL); err != nil {
		t.Fatal(err)
	}
	media := &url.URL{Scheme: "http", Host: "media.example.com"}
	h.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, h.url.Host)
	}}}
	t.Cleanup(h.client.CloseIdleConnections)

	plain, account, cdnKey := rand.Text(), base64.StdEncoding.EncodeToString([]byte(rand.Text()+rand.Text())), base64.URLEncoding.EncodeToString([]byte(rand.Text())[:16])
	h.secrets = []string{plain, account, cdnKey}
	text, err := json.Marshal(map[string]any{
		"s3":    map[string]any{"region": "eu-west-1", "keys": map[string]string{"AKIDEXAMPLE": plain}},
		"gcs":   map[string]any{"hmac": map[string]string{"GOOG1EXAMPLE": plain}},
		"cdn":   map[string]any{"url": media.String(), "bucket": "photos", "keys": map[string]string{"key-1": cdnKey}},
		"azure": map[string]any{"account": "myaccount", "keys": []string{account}},
		"oss":   map[string]any{"region": "cn-hangzhou", "keys": map[string]string{"LTAIEXAMPLE": plain}},
	})
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := newVerifier(text, h.url)
	if err != nil {
		t.Fatal(err)
	}
	handler = newHandler(slog.New(slog.NewTextHandler(&h.log, nil)), verifier, root)

	add := func(name string, s signer.Signer, err error) {
		if err != nil {
			t.Fatal(err)
		}
		h.signers[name] = s
	}
	secret := signer.NewSecret([]byte(plain))
	s, err := s3.New(s3.Config{Region: "eu-west-1", Bucket: "photos", Endpoint: h.url, Addressing: signer.AddressingPath, Credentials: s3.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretKey: secret}})
	add("s3", s, err)
	hmacKey, err := gcs.HMACKey("GOOG1EXAMPLE", secret)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gcs.New(gcs.Config{Bucket: "photos", Endpoint: h.url, Key: hmacKey})
	add("gcs", g, err)
	key, err := cdn.ParseKey("key-1", cdnKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cdn.New(cdn.Config{BaseURL: media, Bucket: "photos", Key: key})
	add("cdn", c, err)
	shared, err := azure.SharedKey("myaccount", account)
	if err != nil {
		t.Fatal(err)
	}
	a, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Endpoint: h.url, Addressing: signer.AddressingPath, Keys: shared})
	add("azure", a, err)
	o, err := oss.New(oss.Config{Region: "cn-hangzhou", Bucket: "photos", Endpoint: h.url, Addressing: signer.AddressingPath, Credentials: oss.Credentials{AccessKeyID: "LTAIEXAMPLE", AccessKeySecret: secret}})
	add("oss", o, err)
	return h
}

func (h *home) presign(t *testing.T, name string, r signer.Request) *signer.Presigned {
	t.Helper()
	r.Expires = time.Minute
	p, err := h.signers[name].Presign(t.Context(), r)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if u, err := url.Parse(p.URL); err == nil {
		for _, field := range []string{"X-Amz-Signature", "X-Goog-Signature", "x-oss-signature", "sig", "Signature"} {
			if s := u.Query().Get(field); s != "" {
				h.secrets = append(h.secrets, s)
			}
		}
	}
	return p
}

// send uses a URL; edit changes the request.
func (h *home) send(t *testing.T, p *signer.Presigned, body string, edit func(*http.Request)) (int, string, http.Header) {
	t.Helper()
	var content io.Reader
	if p.Method == http.MethodPut {
		content = strings.NewReader(body)
	}
	req, err := p.NewRequest(t.Context(), content)
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(req)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

func TestFiveSchemes(t *testing.T) {
	h := newHome(t)
	for name := range h.signers {
		key := "2026/" + name + " ü+1.txt"
		content := "for " + name
		if name == "cdn" { // its URLs are for reading
			if err := os.MkdirAll(filepath.Join(h.dir, "photos/2026"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(h.dir, "photos", key), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		} else if status, text, _ := h.send(t, h.presign(t, name, signer.Request{Method: "PUT", Key: key}), content, nil); status != 200 && (status != 201 || name != "azure") {
			t.Fatalf("%s: PUT: %d %s", name, status, text)
		}
		if got, err := os.ReadFile(filepath.Join(h.dir, "photos", key)); err != nil || string(got) != content {
			t.Errorf("%s: the file is %q, %v", name, got, err)
		}

		get := h.presign(t, name, signer.Request{Key: key})
		if status, text, header := h.send(t, get, "", nil); status != 200 || text != content || !strings.HasPrefix(header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: GET: %d %q %v", name, status, text, header)
		}
		if status, text, _ := h.send(t, get, "", func(r *http.Request) { r.Header.Set("Range", "bytes=4-") }); status != 206 || text != name {
			t.Errorf("%s: a range: %d %q", name, status, text)
		}
		if status, _, _ := h.send(t, get, "", func(r *http.Request) { r.Method = "DELETE" }); status != 403 {
			t.Errorf("%s: DELETE by a URL for GET: %d", name, status)
		}
		if status, _, _ := h.send(t, get, "", func(r *http.Request) { r.URL.Path += "x"; r.URL.RawPath = "" }); status != 403 {
			t.Errorf("%s: another object: %d", name, status)
		}
		if status, _, _ := h.send(t, get, "", func(r *http.Request) { r.URL.RawQuery = "" }); status != 401 {
			t.Errorf("%s: unsigned: %d", name, status)
		}
		if status, _, _ := h.send(t, h.presign(t, name, signer.Request{Key: "missing"}), "", nil); status != 404 {
			t.Errorf("%s: what is not there: %d", name, status)
		}
		if status, _, _ := h.send(t, h.presign(t, name, signer.Request{Key: "2026"}), "", nil); status != 404 {
			t.Errorf("%s: a directory: %d", name, status)
		}
		if name == "cdn" {
			continue
		}
		if status, _, _ := h.send(t, h.presign(t, name, signer.Request{Method: "DELETE", Key: key}), "", nil); status != 204 {
			t.Errorf("%s: DELETE: %d", name, status)
		}
		if _, err := os.Stat(filepath.Join(h.dir, "photos", key)); !os.IsNotExist(err) {
			t.Errorf("%s: the file is still there: %v", name, err)
		}
	}
	log := h.log.String()
	for _, secret := range h.secrets {
		if strings.Contains(log, secret) || strings.Contains(log, url.QueryEscape(secret)) {
			t.Errorf("the log holds a secret or a signature:\n%s", log)
		}
	}
	if !strings.Contains(log, "level=WARN msg=refused") || !strings.Contains(log, "signature does not match") && !strings.Contains(log, "mismatch") {
		t.Errorf("the log does not say why something was refused:\n%s", log)
	}
}

// Names that would lead elsewhere are signed properly, and lead nowhere.
func TestNamesStayInTheirBucket(t *testing.T) {
	h := newHome(t)
	if err := os.WriteFile(filepath.Join(h.dir, "private", "k"), []byte("private"), 0o600); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(h.dir, "photos", "link")); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"../private/k", "a/../../private/k", "/k", "a//k", `..\private\k`, "link"} {
		for _, method := range []string{"GET", "PUT"} {
			p, err := h.signers["s3"].Presign(t.Context(), signer.Request{Method: method, Key: key, Expires: time.Minute})
			if err != nil {
				continue // the signer knows better
			}
			status, text, _ := h.send(t, p, "overwritten", nil)
			if status < 400 && !(method == "PUT" && key == "link") {
				t.Errorf("%s %q: %d %q", method, key, status, text)
			}
		}
	}
	for path, want := range map[string]string{filepath.Join(h.dir, "private", "k"): "private", outside: "outside"} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v", path, got, err)
		}
	}
}

// What can be signed and is more than a file is refused, and so is a body that is not the signed one.
func TestMoreThanAFile(t *testing.T) {
	h := newHome(t)
	list := h.presign(t, "s3", signer.Request{Query: url.Values{"list-type": {"2"}}})
	part := h.presign(t, "s3", signer.Request{Method: "PUT", Key: "k", Query: url.Values{"partNumber": {"1"}, "uploadId": {"x"}}})
	copied := h.presign(t, "s3", signer.Request{Method: "PUT", Key: "k", Header: http.Header{"X-Amz-Copy-Source": {"/private/k"}}})
	for name, p := range map[string]*signer.Presigned{"a list": list, "a part": part, "a copy": copied} {
		if status, _, _ := h.send(t, p, "", nil); status != 501 {
			t.Errorf("%s: %d", name, status)
		}
	}
	signed, err := http.NewRequest("PUT", h.url.String()+"/photos/k", strings.NewReader("what was signed"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s3.HashBody(signed); err != nil {
		t.Fatal(err)
	}
	s, _ := signer.As[signer.RequestSigner](h.signers["s3"])
	if err := s.Sign(context.Background(), signed); err != nil {
		t.Fatal(err)
	}
	signed.Body = io.NopCloser(strings.NewReader("what was sent! "))
	resp, err := h.client.Do(signed)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	left, err := os.ReadDir(filepath.Join(h.dir, "photos"))
	if resp.StatusCode != 400 || err != nil || len(left) != 0 {
		t.Errorf("another body: %d, and the bucket holds %v, %v", resp.StatusCode, left, err)
	}
	if top, _ := os.ReadDir(h.dir); len(top) != 2 {
		t.Errorf("the directory holds %v", top)
	}
	if status, _, _ := h.send(t, h.presign(t, "s3", signer.Request{Method: "PUT", Bucket: "unknown", Key: "k"}), "x", nil); status != 404 {
		t.Errorf("an unknown bucket: %d", status)
	}
}

func TestDownloadName(t *testing.T) {
	h := newHome(t)
	if err := os.WriteFile(filepath.Join(h.dir, "photos", "k"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"s3", "gcs", "oss", "azure"} {
		p := h.presign(t, name, signer.Request{Key: "k", Response: signer.ResponseHeaders{ContentDisposition: signer.Attachment("cat.jpg"), ContentType: "image/jpeg"}})
		if status, _, header := h.send(t, p, "", nil); status != 200 || header.Get("Content-Type") != "image/jpeg" || !strings.Contains(header.Get("Content-Disposition"), "cat.jpg") {
			t.Errorf("%s: %d %v", name, status, header)
		}
	}
}

func TestKeysFile(t *testing.T) {
	endpoint, _ := url.Parse("http://127.0.0.1:8080")
	for text, want := range map[string]string{
		``:                     "EOF",
		`{}`:                   "names nobody",
		`{"s4": {}}`:           "s4",
		`{"s3": {"keys": {}}}`: "Region",
		`{"azure": {"account": "myaccount", "keys": ["!"]}}`:    "base64",
		`{"cdn": {"url": "https://h", "keys": {"key-1": "!"}}}`: "base64url",
		`{"cdn": {"url": "%zz"}}`:                               "no URL",
		`{"cdn": {"keys": {}}}`:                                 "BaseURL",
	} {
		if _, err := newVerifier([]byte(text), endpoint); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

// The program itself: it says what is missing, and serves until it is told to stop.
func TestRun(t *testing.T) {
	var out lockedBuffer
	for _, args := range [][]string{{}, {"-dir", "x"}, {"-nonsense"}, {"-dir", t.TempDir(), "-keys", "x", "more"}} {
		if got := run(t.Context(), args, &out); got != 2 {
			t.Errorf("%v: exit status %d", args, got)
		}
	}
	if got := run(t.Context(), []string{"-h"}, &out); got != 0 {
		t.Errorf("-h: exit status %d", got)
	}
	keysFile := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(keysFile, []byte(`{"s3": {"region": "eu-west-1", "keys": {"AKIDEXAMPLE": "secret"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"-dir", filepath.Join(t.TempDir(), "missing"), "-keys", keysFile},
		{"-dir", t.TempDir(), "-keys", keysFile + "x"},
		{"-dir", t.TempDir(), "-keys", keysFile, "-url", "nonsense"},
		{"-dir", t.TempDir(), "-keys", keysFile, "-listen", "nonsense"},
	} {
		if got := run(t.Context(), args, &out); got != 1 {
			t.Errorf("%v: exit status %d: %s", args, got, out.String())
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int)
	go func() {
		done <- run(ctx, []string{"-dir", t.TempDir(), "-keys", keysFile, "-listen", "127.0.0.1:0"}, &out)
	}()
	for !strings.Contains(out.String(), "listening") {
		select {
		case got := <-done:
			t.Fatalf("exit status %d: %s", got, out.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	stop()
	if got := <-done; got != 0 {
		t.Errorf("exit status %d: %s", got, out.String())
	}
}
