package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// This file is how a signed URL is used by those who have nothing but the URL: Go's client, curl, and fetch in Node. Node signs
// as well, for the tests of providers whose SDK is there.

// A call is a request before anyone sends it. The URL goes out to the byte as it stands here.
type call struct {
	method, url string
	header      http.Header
	body        []byte
}

// A sender sends a call. It follows no redirect.
type sender func(t *testing.T, c call) answer

// senders are all of them. The last two are missing where their programs are.
var senders = []struct {
	name string
	send sender
}{{"Go", sendGo}, {"curl", sendCurl}, {"fetch", sendFetch}}

var goClient = sync.OnceValue(func() *http.Client {
	return &http.Client{
		Timeout:       30 * time.Second,
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
})

func sendGo(t *testing.T, c call) answer {
	t.Helper()
	return (&server{client: goClient()}).send(t, c.request(t))
}

// request is what net/http takes.
func (c call) request(t *testing.T) *http.Request {
	t.Helper()
	var body io.Reader
	if c.body != nil {
		body = bytes.NewReader(c.body)
	}
	req := must(http.NewRequest(c.method, c.url, body))(t)
	req.Header = c.header.Clone()
	if req.Header == nil {
		req.Header = make(http.Header)
	}
	return req
}

func sendCurl(t *testing.T, c call) answer {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		lacking(t, err)
	}
	args := []string{"--disable", "--noproxy", "*", "--silent", "--show-error", "--max-time", "60", "--include", "--raw",
		"--globoff", "--path-as-is", "--header", "Expect:"}
	switch c.method {
	case http.MethodHead:
		args = append(args, "--head")
	case http.MethodPut, http.MethodPost:
		args = append(args, "--request", c.method, "--data-binary", "@-")
		if c.header.Get("Content-Type") == "" {
			args = append(args, "--header", "Content-Type:") // or it says that this is a form
		}
	default:
		args = append(args, "--request", c.method)
	}
	for name, values := range c.header {
		for _, value := range values {
			args = append(args, "--header", name+": "+value)
		}
	}
	cmd := exec.Command("curl", append(args, "--url", c.url)...)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(c.body), &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("curl: %v: %s", err, said.Bytes())
	}
	resp := must(http.ReadResponse(bufio.NewReader(bytes.NewReader(out)), c.request(t)))(t)
	defer resp.Body.Close()
	return answered(resp, must(io.ReadAll(resp.Body))(t))
}

func sendFetch(t *testing.T, c call) answer {
	t.Helper()
	headers := make(map[string]string)
	for name, values := range c.header {
		headers[name] = strings.Join(values, ",")
	}
	var said struct {
		Status  int
		Headers [][2]string
		Body    []byte
	}
	nodeProcess(t).do(t, map[string]any{"fetch": map[string]any{"method": c.method, "url": c.url, "headers": headers, "body": c.body}}, &said)
	resp := &http.Response{StatusCode: said.Status, Header: make(http.Header), Request: c.request(t)}
	for _, h := range said.Headers {
		resp.Header.Add(h[0], h[1])
	}
	return answered(resp, said.Body)
}

func answered(resp *http.Response, body []byte) answer {
	a := answer{Response: resp, body: body}
	var e struct{ Code string }
	if resp.StatusCode >= 300 && xml.Unmarshal(body, &e) == nil {
		a.code = e.Code
	}
	return a
}

// A node is a process that runs node/signer.mjs.
type node struct {
	mu  sync.Mutex
	in  *json.Encoder
	out *json.Decoder
}

var startedNode = sync.OnceValues(startNode)

// nodeProcess returns the process, which all tests share.
func nodeProcess(t *testing.T) *node {
	t.Helper()
	n, err := startedNode()
	if err != nil {
		lacking(t, err)
	}
	return n
}

// lacking passes over a test for want of a program. CI must have it.
func lacking(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}

func startNode() (*node, error) {
	dir, err := npmPackages("node")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("node", filepath.Join("node", "signer.mjs"), dir)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "STORAGE_EMULATOR_HOST=") }) // gets into URLs
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	cleanups = append(cleanups, func() { stdin.Close(); cmd.Wait() })
	n := &node{in: json.NewEncoder(stdin), out: json.NewDecoder(stdout)}
	var hello struct{}
	if err := errors.Join(n.in.Encode(hello), n.out.Decode(&hello)); err != nil { // it ends at once where a package is missing
		stdin.Close()
		cmd.Wait()
		return nil, fmt.Errorf("node does not run signer.mjs: %w", err)
	}
	return n, nil
}

// do has one task done.
func (n *node) do(t *testing.T, task, result any) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	var said json.RawMessage
	if err := errors.Join(n.in.Encode(task), n.out.Decode(&said)); err != nil {
		t.Fatalf("node: %v", err)
	}
	var failed struct{ Error string }
	if err := json.Unmarshal(said, &failed); err != nil || failed.Error != "" {
		t.Fatalf("node: %v %s", err, failed.Error)
	}
	if err := json.Unmarshal(said, result); err != nil {
		t.Fatalf("node: %v", err)
	}
}
