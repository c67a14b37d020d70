package e2e

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"
	"github.com/rclone/gofakes3/signature"

	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

const (
	region        = "us-east-1"
	bucket        = "e2e-bucket"
	accessKey     = "TESTACCESSKEY123"
	secretKey     = "testsecretkey1234567890"
	virtualDomain = "s3.local.test"

	versitygwVersion = "v1.8.0" // what the tests expect was seen with this one
)

// A server is an S3 server with one bucket, and how to reach it.
type server struct {
	name       string
	endpoint   *url.URL
	addressing signer.Addressing
	bucket     string
	creds      s3.Credentials
	client     *http.Client
	files      bool // keeps objects in files, whose names know no empty directories
}

// Each server is started when a test first wants it, and stopped by TestMain.
var (
	versitygw        = sync.OnceValues(func() (*server, error) { return startVersitygw("") })
	versitygwVirtual = sync.OnceValues(func() (*server, error) { return startVersitygw(virtualDomain) })
	gofakes3Server   = sync.OnceValues(startGofakes3)
	storefakeServer  = sync.OnceValues(startStorefake)
)

// servers are those that others wrote.
var servers = []func() (*server, error){versitygw, versitygwVirtual, gofakes3Server}

var cleanups []func()

func TestMain(m *testing.M) {
	code := m.Run()
	for _, stop := range cleanups {
		stop()
	}
	os.Exit(code)
}

// eachServer runs a test against each of the servers.
func eachServer(t *testing.T, servers []func() (*server, error), test func(t *testing.T, s *server)) {
	for _, start := range servers {
		s, err := start()
		if err != nil {
			t.Fatal(err)
		}
		t.Run(s.name, func(t *testing.T) { test(t, s) })
	}
}

// newServer makes a server of an address that listens already, and its bucket with a request signed by Sign.
func newServer(name, addr, domain string) (*server, error) {
	s := &server{
		name: name, addressing: signer.AddressingPath, bucket: bucket,
		endpoint: &url.URL{Scheme: "http", Host: addr},
		creds:    s3.Credentials{AccessKeyID: accessKey, SecretKey: signer.NewSecret([]byte(secretKey))},
		client:   clientFor(addr),
	}
	if domain != "" {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		s.addressing, s.endpoint.Host = signer.AddressingVirtualHost, net.JoinHostPort(domain, port)
	}
	sign, err := s3.New(s.config())
	if err != nil {
		return nil, err
	}
	// The server takes a moment to listen; after that, any answer but a success is final.
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		req, err := http.NewRequest(http.MethodPut, s.url("").String(), nil)
		if err != nil {
			return nil, err
		}
		if err := sign.Sign(context.Background(), req); err != nil {
			return nil, err
		}
		resp, err := s.client.Do(req)
		if err == nil {
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				body, _ := io.ReadAll(resp.Body)
				return nil, fmt.Errorf("%s: make the bucket: %s: %s", name, resp.Status, body)
			}
			return s, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%s does not answer: %w", name, err)
		}
	}
}

// clientFor dials addr whatever the host of the URL, and follows no redirect.
func clientFor(addr string) *http.Client {
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// startVersitygw starts the program on a free port, with its data in a directory that goes with it.
func startVersitygw(domain string) (_ *server, err error) {
	bin, err := findVersitygw()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "versitygw")
	if err != nil {
		return nil, err
	}
	cleanups = append(cleanups, func() { os.RemoveAll(dir) })
	data, iam, log := filepath.Join(dir, "data"), filepath.Join(dir, "iam"), filepath.Join(dir, "log")
	if err := errors.Join(os.Mkdir(data, 0o700), os.Mkdir(iam, 0o700)); err != nil {
		return nil, err
	}
	output, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	name, args := "versitygw", []string{bin, "--port", addr, "--iam-dir", iam}
	if domain != "" {
		name, args = "versitygw-virtual", append(args, "--virtual-domain", domain)
	}
	args = append(args, "posix", data)

	// The shell ends the server when its standard input ends, which it does even if this process is killed.
	cmd := exec.Command("sh", append([]string{"-c", `"$@" & cat >/dev/null; kill $!; wait`, "sh"}, args...)...)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
	cmd.Stdout, cmd.Stderr = output, output
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	// In front of the removal of its directory.
	cleanups = append([]func(){func() { stdin.Close(); cmd.Wait() }}, cleanups...)

	s, err := newServer(name, addr, domain)
	if err != nil {
		said, _ := os.ReadFile(log)
		return nil, fmt.Errorf("%w\n%s", err, said)
	}
	s.files = true
	return s, nil
}

func findVersitygw() (string, error) {
	candidates := []string{os.Getenv("VERSITYGW")}
	if candidates[0] == "" {
		gopath, err := exec.Command("go", "env", "GOPATH").Output()
		if err != nil {
			return "", fmt.Errorf("go env GOPATH: %w", err)
		}
		first := filepath.SplitList(strings.TrimSpace(string(gopath)))[0]
		candidates = []string{filepath.Join(first, "bin", "versitygw-"+versitygwVersion), filepath.Join(first, "bin", "versitygw")}
	}
	for _, path := range candidates {
		if _, err := exec.LookPath(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("versitygw is not installed at %s; these tests need it (a few minutes, once):\n"+
		"\tgo install github.com/versity/versitygw/cmd/versitygw@%s\nor set VERSITYGW to its path", strings.Join(candidates, " or "), versitygwVersion)
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// gofakes3Ahead is how far the clock of gofakes3 is ahead of ours, in nanoseconds.
var gofakes3Ahead atomic.Int64

// startGofakes3 starts rclone's server in this process.
func startGofakes3() (*server, error) {
	signature.TimeNow = func() time.Time { return time.Now().Add(time.Duration(gofakes3Ahead.Load())) }
	fake := gofakes3.New(s3mem.New(), gofakes3.WithV4Auth(map[string]string{accessKey: secretKey}))
	ts := httptest.NewServer(fake.Server())
	cleanups = append(cleanups, ts.Close)
	return newServer("gofakes3", ts.Listener.Addr().String(), "")
}

// startStorefake starts the store that the examples run against, with credentials of its own.
func startStorefake() (*server, error) {
	store, err := storefake.Start(storefake.Config{Bucket: bucket, Region: region})
	if err != nil {
		return nil, err
	}
	cleanups = append(cleanups, func() { store.Close() })
	return &server{name: "storefake", endpoint: store.Endpoint(), addressing: signer.AddressingPath, bucket: bucket,
		creds: store.Credentials, client: clientFor(store.Endpoint().Host)}, nil
}

// config is the configuration of a signer for the server.
func (s *server) config() s3.Config {
	return s3.Config{Region: region, Bucket: s.bucket, Endpoint: s.endpoint, Addressing: s.addressing, Credentials: s.creds}
}

// signer returns a signer for the server, whose configuration the edits have changed.
func (s *server) signer(t *testing.T, edits ...func(*s3.Config)) *s3.Signer {
	t.Helper()
	c := s.config()
	for _, edit := range edits {
		edit(&c)
	}
	return must(s3.New(c))(t)
}

// presign presigns r, for a minute unless r says otherwise.
func (s *server) presign(t *testing.T, r signer.Request, edits ...func(*s3.Config)) *signer.Presigned {
	t.Helper()
	if r.Expires == 0 {
		r.Expires = time.Minute
	}
	return must(s.signer(t, edits...).Presign(t.Context(), r))(t)
}

// url is the address of an object as net/url writes it, which is not how signers do.
func (s *server) url(key string) *url.URL {
	u := *s.endpoint
	if s.addressing == signer.AddressingVirtualHost {
		u.Host, u.Path = s.bucket+"."+u.Host, "/"+key
	} else {
		u.Path = "/" + s.bucket
		if key != "" {
			u.Path += "/" + key
		}
	}
	return &u
}

// request makes an unsigned request for an object.
func (s *server) request(t *testing.T, method, key string, body []byte) *http.Request {
	t.Helper()
	return must(http.NewRequest(method, s.url(key).String(), bytes.NewReader(body)))(t)
}

// signed is request, signed in the header.
func (s *server) signed(t *testing.T, method, key string, body []byte, edits ...func(*s3.Config)) *http.Request {
	t.Helper()
	req := s.request(t, method, key, body)
	if err := s.signer(t, edits...).Sign(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	return req
}

// use sends the request that p is for.
func (s *server) use(t *testing.T, p *signer.Presigned, body []byte) answer {
	t.Helper()
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	return s.send(t, must(p.NewRequest(t.Context(), r))(t))
}

// put stores an object.
func (s *server) put(t *testing.T, key string, body []byte) {
	t.Helper()
	s.use(t, s.presign(t, signer.Request{Method: http.MethodPut, Key: key}), body).want(t, "200")
}

// An answer is a response, read to its end.
type answer struct {
	*http.Response
	body []byte
	code string // of an error
}

func (s *server) send(t *testing.T, req *http.Request) answer {
	t.Helper()
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(signer.RedactError(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 32<<20))
	if err != nil {
		t.Fatal(err)
	}
	a := answer{Response: resp, body: body}
	if resp.StatusCode >= 300 {
		var e struct{ Code string }
		if err := xml.Unmarshal(body, &e); err == nil {
			a.code = e.Code
		}
	}
	return a
}

// String is the status, and the error's code if there is one.
func (a answer) String() string {
	return strings.TrimSpace(fmt.Sprint(a.StatusCode, " ", a.code))
}

// want fails the test unless the answer is as expected.
func (a answer) want(t *testing.T, want string) {
	t.Helper()
	if got := a.String(); got != want {
		t.Fatalf("%s %s: got %s, want %s\n%s", a.Request.Method, signer.RedactURL(a.Request.URL.String()), got, want, a.body)
	}
}

// must fails the test on an error: must(f())(t).
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
