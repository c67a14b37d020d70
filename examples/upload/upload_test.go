package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/examples/internal/setup"
)

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

func TestRun(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"help", []string{"-h"}, 0, "-s3-endpoint"},
		{"no flag", []string{"-nonsense"}, 2, "nonsense"},
		{"an argument", []string{"file"}, 2, "nothing but flags"},
		{"URLs without a life", []string{"-url-life", "0s"}, 2, "a second or longer"},
		{"no size", []string{"-part-size", "-1"}, 2, "positive"},
		{"not on loopback", []string{"-listen", "0.0.0.0:0"}, 1, "for this machine alone"},
		{"no credentials", []string{"-listen", "127.0.0.1:0", "-s3-endpoint", "http://127.0.0.1:1"}, 1, "AWS_ACCESS_KEY_ID"},
		{"no key", []string{"-listen", "127.0.0.1:0", "-azure-endpoint", "127.0.0.1:1"}, 1, "AZURE_STORAGE_KEY"},
	} {
		var stderr bytes.Buffer
		if code := run(t.Context(), c.args, env(), &stderr); code != c.code || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%s: exit status %d, want %d and %q:\n%s", c.name, code, c.code, c.want, &stderr)
		}
	}
}

// The program serves its page until it is told to stop.
func TestServe(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var out lockedBuffer
	done := make(chan int)
	go func() { done <- run(ctx, []string{"-listen", "127.0.0.1:0"}, env(), &out) }()
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

const address = "127.0.0.1:8086"

func newTestServer(t *testing.T) *server {
	t.Helper()
	o := options{life: time.Minute, partSize: 5 << 20, formLimit: 100, s3: setup.Options{Provider: "s3"}, azure: setup.Options{Provider: "azure"}}
	stores, closeStores, err := openStores(o, "http://"+address, env())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeStores)
	s, err := newServer(address, o, stores)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends a request to the server and reads its JSON.
func ask(t *testing.T, s *server, method, path string, body any, want int, edits ...func(*http.Request)) map[string]any {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, "http://"+address+path, bytes.NewReader(text))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, edit := range edits {
		edit(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var answer map[string]any
	json.Unmarshal(w.Body.Bytes(), &answer)
	if w.Code != want {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, w.Code, want, w.Body)
	}
	if words, _ := answer["error"].(string); want >= 400 && (strings.Contains(words, "Signature") || strings.Contains(words, "?")) {
		t.Errorf("%s %s: %q", method, path, words)
	}
	return answer
}

// exchange does what the page does with a request that it is handed.
func exchange(t *testing.T, request any, body []byte) int {
	t.Helper()
	p := request.(map[string]any)
	r, err := http.NewRequest(p["method"].(string), p["url"].(string), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range p["headers"].(map[string]any) {
		r.Header.Set(name, value.(string))
	}
	r.Header.Set("Origin", "http://"+address)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Access-Control-Allow-Origin"); got != "http://"+address {
		t.Errorf("a page may not read the answer: %q", got)
	}
	return resp.StatusCode
}

func fetch(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Disposition"), "attachment") {
		t.Fatalf("%s, %v, %v", resp.Status, resp.Header, err)
	}
	return body
}

// TestParts does what the page does, with each of the built-in stores.
func TestParts(t *testing.T) {
	s := newTestServer(t)
	data := bytes.Repeat([]byte("0123456789"), 1_100_000)
	if len(s.stores) != 4 {
		t.Fatalf("%d stores", len(s.stores))
	}
	for _, st := range s.stores {
		t.Run(st.ID, func(t *testing.T) {
			begun := ask(t, s, "POST", "/uploads", wish{Store: st.ID, Name: `C:\films\ü & <cat>.bin`, Size: int64(len(data)), Type: "video/x"}, 200)
			at := "/uploads/" + begun["id"].(string)
			if parts := begun["plan"].(map[string]any)["parts"]; parts != 3.0 {
				t.Fatalf("%v parts", parts)
			}
			part := func(n int) {
				t.Helper()
				bytes := data[(n-1)*5<<20 : min(n*5<<20, len(data))]
				sum := md5.Sum(bytes)
				about := map[string]string{"md5": base64.StdEncoding.EncodeToString(sum[:])}
				status := exchange(t, ask(t, s, "POST", fmt.Sprint(at, "/parts/", n), about, 200), bytes)
				if status > 201 && status != 308 {
					t.Fatalf("part %d: status %d", n, status)
				}
			}
			part(1)
			part(2)
			if have := ask(t, s, "GET", at, nil, 200)["have"]; fmt.Sprint(have) != "[1 2]" {
				t.Errorf("the store has %v", have)
			}
			ask(t, s, "POST", at+"/complete", nil, 409)
			part(3)
			done := ask(t, s, "POST", at+"/complete", nil, 200)
			if got := fetch(t, done["url"].(string)); !bytes.Equal(got, data) || !strings.HasSuffix(done["key"].(string), "/ü & <cat>.bin") {
				t.Errorf("%d bytes as %q", len(got), done["key"])
			}
			ask(t, s, "GET", at, nil, 404)

			again := ask(t, s, "POST", "/uploads", wish{Store: st.ID, Name: "x", Size: 1}, 200)
			at = "/uploads/" + again["id"].(string)
			ask(t, s, "DELETE", at, nil, 200)
			ask(t, s, "DELETE", at, nil, 404)
		})
	}
}

// A form is held to the policy's length, by the store.
func TestForms(t *testing.T) {
	s := newTestServer(t)
	for _, st := range s.stores {
		want := wish{Store: st.ID, Name: "cat.txt", Size: 5, Type: "text/plain"}
		if !st.Forms() {
			if words := ask(t, s, "POST", "/forms", want, 400)["error"]; words != "this store takes no forms; send the file in parts" {
				t.Errorf("%s: %v", st.ID, words)
			}
			continue
		}
		for size, status := range map[int]int{1: 201, 100: 201, 101: 400, 0: 400} {
			answer := ask(t, s, "POST", "/forms", want, 200)
			form := answer["form"].(map[string]any)
			var body bytes.Buffer
			w := multipart.NewWriter(&body)
			for _, field := range form["fields"].([]any) {
				f := field.(map[string]any)
				w.WriteField(f["name"].(string), f["value"].(string))
			}
			file, _ := w.CreateFormFile("file", "cat.txt")
			file.Write(bytes.Repeat([]byte("x"), size))
			w.Close()
			resp, err := http.Post(form["url"].(string), w.FormDataContentType(), &body)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != status || size > 100 && !bytes.Contains(text, []byte("<Code>EntityTooLarge</Code>")) {
				t.Errorf("%s, %d bytes: %s\n%s", st.ID, size, resp.Status, text)
			}
			if status == 201 {
				if got := fetch(t, answer["arrived"].(map[string]any)["url"].(string)); len(got) != size {
					t.Errorf("%s: %d bytes, want %d", st.ID, len(got), size)
				}
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	s := newTestServer(t)
	good := wish{Store: "fake-s3", Name: "x", Size: 1}
	for name, c := range map[string]struct {
		method, path string
		body         any
		edit         func(*http.Request)
		want         int
	}{
		"another name":          {"GET", "/", nil, func(r *http.Request) { r.Host = "rebound.example.com:8086" }, 421},
		"another port":          {"POST", "/uploads", good, func(r *http.Request) { r.Host = "127.0.0.1:80" }, 421},
		"another page":          {"POST", "/uploads", good, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		"another page's DELETE": {"DELETE", "/uploads/x", nil, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, 403},
		"a form":                {"POST", "/uploads", good, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415},
		"localhost":             {"GET", "/", nil, func(r *http.Request) { r.Host = "localhost:8086" }, 303},
		"no JSON":               {"POST", "/uploads", "x", nil, 400},
		"too much":              {"POST", "/uploads", wish{Name: strings.Repeat("x", 1<<20)}, nil, 400},
		"no store":              {"POST", "/uploads", wish{Store: "x", Size: 1}, nil, 400},
		"an empty file":         {"POST", "/uploads", wish{Store: "fake-s3"}, nil, 400},
		"a negative file":       {"POST", "/uploads", wish{Store: "fake-s3", Size: -1}, nil, 400},
		"too large a file":      {"POST", "/uploads", wish{Store: "fake-s3", Size: maxFile + 1}, nil, 413},
		"no upload":             {"GET", "/uploads/x", nil, nil, 404},
		"no part's upload":      {"POST", "/uploads/x/parts/1", nil, nil, 404},
		"no such path":          {"GET", "/x", nil, nil, 404},
		"the page":              {"GET", "/", nil, nil, 200},
		"its script":            {"GET", "/page.js", nil, nil, 200},
	} {
		t.Run(name, func(t *testing.T) {
			edit := c.edit
			if edit == nil {
				edit = func(*http.Request) {}
			}
			ask(t, s, c.method, c.path, c.body, c.want, edit)
		})
	}
	begun := ask(t, s, "POST", "/uploads", good, 200)
	for _, n := range []string{"0", "2", "-1", "x", "99999999999999999999"} {
		ask(t, s, "POST", "/uploads/"+begun["id"].(string)+"/parts/"+n, map[string]string{"md5": "XUFAKrxLKna5cZ2REBfFkg=="}, 400)
	}
	for _, about := range []any{"x", map[string]string{}, map[string]string{"md5": "x"}, map[string]string{"md5": "eA=="}} {
		ask(t, s, "POST", "/uploads/"+begun["id"].(string)+"/parts/1", about, 400)
	}
}

// The page may load its own script and talk to the stores, and nothing else.
func TestPolicy(t *testing.T) {
	s := newTestServer(t)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "http://"+address+"/", nil))
	policy := w.Header().Get("Content-Security-Policy")
	want := "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' " + s.stores[0].origin + "; form-action 'none'"
	if !strings.HasPrefix(policy, want) || strings.Contains(policy, "unsafe") {
		t.Errorf("%s", policy)
	}
	if body := w.Body.String(); strings.Contains(body, "<style") || strings.Contains(body, " onclick") || !strings.Contains(body, `value="fake-azure" data-no-forms`) {
		t.Errorf("%s", body)
	}
}

// Of more uploads than are remembered, the oldest is forgotten.
func TestMaxUploads(t *testing.T) {
	s := newTestServer(t)
	s.order = make([]string, maxUploads)
	for i := range s.order {
		s.order[i] = fmt.Sprint(i)
		s.uploads[s.order[i]] = &running{}
	}
	begun := ask(t, s, "POST", "/uploads", wish{Store: "fake-azure", Name: "x", Size: 1}, 200)
	if len(s.uploads) != maxUploads || len(s.order) != maxUploads || s.uploads["0"] != nil || s.uploads[begun["id"].(string)] == nil {
		t.Errorf("%d uploads, %d in order", len(s.uploads), len(s.order))
	}
}

func TestFileName(t *testing.T) {
	for name, want := range map[string]string{
		"cat.jpg": "cat.jpg", "a/b/../cat.jpg": "cat.jpg", `C:\x\cat.jpg`: "cat.jpg", "": "file", "..": "file", "/": "file", "a\x00b\n.txt": "ab.txt", "ü é": "ü é",
		strings.Repeat("é", 150) + ".mp4": strings.Repeat("é", 98) + ".mp4",
	} {
		if got := fileName(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}
