package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	dead = "https://photos.s3.eu-west-1.amazonaws.com/cat.jpg?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20261101%2Feu-west-1%2Fs3%2Faws4_request" +
		"&X-Amz-Date=20261101T120000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2"
	signature = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2"
	expired   = `<Error><Code>AccessDenied</Code><Message>Request has expired</Message><ServerTime>2026-11-26T12:00:00Z</ServerTime></Error>`
	mismatch  = "<Error><Code>SignatureDoesNotMatch</Code><CanonicalRequest>GET\n/cat.jpg\nX-Amz-Date=20261101T120000Z&amp;utm_source=mail\nhost:h\n\nhost\nUNSIGNED-PAYLOAD</CanonicalRequest></Error>"
	canonical = "GET\n/cat.jpg\nX-Amz-Date=20261101T120000Z\nhost:h\n\nhost\nUNSIGNED-PAYLOAD"
)

func TestRun(t *testing.T) {
	signed := filepath.Join(t.TempDir(), "signed.txt")
	if err := os.WriteFile(signed, []byte(canonical), 0o600); err != nil {
		t.Fatal(err)
	}
	answer := "HTTP/1.1 307 Temporary Redirect\r\nLocation: /x\r\n\r\nHTTP/1.1 403 Forbidden\r\nDate: Thu, 26 Nov 2026 12:00:00 GMT\r\nContent-Type: application/xml\r\n\r\n" + expired
	for _, c := range []struct {
		name  string
		args  []string
		stdin string
		code  int
		want  string // in what is printed
	}{
		{"a URL alone", []string{"-url", dead}, "", 0, "expired (proved)"},
		{"a body", []string{"-url", dead}, expired, 0, "expired (proved)"},
		{"an answer", []string{"-url", dead, "-response"}, answer, 0, "403 AccessDenied"},
		{"with what was signed", []string{"-signed", signed}, mismatch, 0, `the parameter "utm_source" was added`},
		{"JSON", []string{"-url", dead, "-json"}, "", 0, `"id": "expired"`},
		{"another method", []string{"-url", "https://a.blob.core.windows.net/c/b?sv=2020-12-06&sr=b&sp=r&se=2099-01-01T00:00:00Z&sig=QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE%3D", "-method", "delete"}, "", 1, "permission (likely)"},
		{"nothing proved", []string{"-status", "403"}, "<Error><Code>SignatureDoesNotMatch</Code></Error>", 1, "wrong-secret (possible)"},
		{"nothing at all", nil, "", 2, "neither a URL nor"},
		{"no answer", []string{"-response"}, "<Error/>", 2, "does not begin with a status line"},
		{"a flag that is none", []string{"-nonsense"}, "", 2, "nonsense"},
		{"a URL without -url", []string{dead}, "", 2, "behind -url"},
		{"a missing file", []string{"-url", dead, "-signed", signed + "x"}, "", 2, "no such file"},
		{"help", []string{"-h"}, "", 0, "-serve"},
		{"not on loopback", []string{"-serve", "0.0.0.0:0"}, "", 2, "for this machine alone"},
		{"no address", []string{"-serve", "nonsense"}, "", 2, "for this machine alone"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), c.args, strings.NewReader(c.stdin), &stdout, &stderr)
		out := stdout.String() + stderr.String()
		if code != c.code || !strings.Contains(out, c.want) || strings.Contains(out, signature) {
			t.Errorf("%s: exit status %d, want %d and %q:\n%s", c.name, code, c.code, c.want, out)
		}
		if slices.Contains(c.args, "-json") && !json.Valid(stdout.Bytes()) {
			t.Errorf("%s: %s", c.name, out)
		}
	}
}

func post(t *testing.T, p *page, form url.Values, edit func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8085/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func TestPage(t *testing.T) {
	p, err := newPage("127.0.0.1:8085")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		form url.Values
		want string
	}{
		{"a URL", url.Values{"url": {dead}}, "expired"},
		{"a body", url.Values{"url": {dead}, "answer": {expired}}, "12:00:00Z"},
		{"an answer", url.Values{"answer": {"HTTP/1.1 403 Forbidden\r\n\r\n" + expired}}, "403 AccessDenied"},
		{"a status and a body", url.Values{"answer": {"400 <Error><Code>InvalidDigest</Code></Error>"}}, "400 InvalidDigest"},
		{"what was signed", url.Values{"answer": {mismatch}, "signed": {canonical}}, "query-added"},
		{"nothing", url.Values{}, "neither a URL nor"},
		{"a script", url.Values{"url": {`https://h/<script>alert(1)</script>`}, "answer": {`<Error><Code>SignatureDoesNotMatch</Code><Message><![CDATA[<script>]]></Message></Error>`}}, "wrong-secret"},
	} {
		w := post(t, p, c.form, nil)
		body := w.Body.String()
		if w.Code != http.StatusOK || !strings.Contains(body, c.want) || strings.Contains(body, "<script") {
			t.Errorf("%s: %d, want %q:\n%s", c.name, w.Code, c.want, body)
		}
		h := w.Header()
		if !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", c.name, h)
		}
		if _, report, _ := strings.Cut(body, `id="report"`); strings.Contains(report, signature) {
			t.Errorf("%s: the report has the signature", c.name)
		}
	}
}

// Strangers get nothing: pages whose name resolves to us, forms of other pages, other paths, forms without an end.
func TestPageRefuses(t *testing.T) {
	p, err := newPage("127.0.0.1:8085")
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"url": {dead}}
	for name, c := range map[string]struct {
		edit func(*http.Request)
		want int
	}{
		"another name":      {func(r *http.Request) { r.Host = "rebound.example.com:8085" }, http.StatusMisdirectedRequest},
		"another port":      {func(r *http.Request) { r.Host = "127.0.0.1:80" }, http.StatusMisdirectedRequest},
		"another page":      {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
		"another path":      {func(r *http.Request) { r.URL.Path = "/favicon.ico" }, http.StatusNotFound},
		"another method":    {func(r *http.Request) { r.Method = http.MethodPut }, http.StatusMethodNotAllowed},
		"too much":          {func(r *http.Request) { r.Body = http.NoBody; *r = *tooLarge(r) }, http.StatusBadRequest},
		"from its own page": {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin"); r.Host = "localhost:8085" }, http.StatusOK},
	} {
		if w := post(t, p, form, c.edit); w.Code != c.want {
			t.Errorf("%s: %d, want %d", name, w.Code, c.want)
		}
	}
}

func tooLarge(r *http.Request) *http.Request {
	large := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8085/", strings.NewReader("url="+strings.Repeat("x", 4<<20)))
	large.Header = r.Header
	return large
}

// The program serves until it is told to stop.
func TestServe(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var out lockedBuffer
	done := make(chan int)
	go func() {
		done <- run(ctx, []string{"-serve", "127.0.0.1:0"}, strings.NewReader(""), &out, &out)
	}()
	address := ""
	for address == "" {
		select {
		case code := <-done:
			t.Fatalf("exit status %d: %s", code, out.String())
		case <-time.After(5 * time.Millisecond):
			_, rest, _ := strings.Cut(out.String(), "http://")
			address, _, _ = strings.Cut(rest, "/")
		}
	}
	resp, err := http.Get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s", resp.Status)
	}
	stop()
	if code := <-done; code != 0 {
		t.Errorf("exit status %d: %s", code, out.String())
	}
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
