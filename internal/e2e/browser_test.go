package e2e

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is what a real browser makes of our pages: Debian's Chromium, without a window.

// openBrowser starts a browser, and returns a context for chromedp. What the browser complains of fails the test.
func openBrowser(t *testing.T) context.Context {
	t.Helper()
	return openBrowserWith(t, 2*time.Minute, func(*log.Entry) bool { return false })
}

// openBrowserWith is openBrowser with further options, for as long as a test takes. The test may expect some complaints.
func openBrowserWith(t *testing.T, long time.Duration, expected func(*log.Entry) bool, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		lacking(t, fmt.Errorf("there is no Chromium; apt-get install chromium"))
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.WindowSize(1000, 900), chromedp.UserDataDir(profileDir(t)), chromedp.Flag("disable-dev-shm-usage", true))
	options = append(options, more...)
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, long)
	t.Cleanup(cancel)
	chromedp.ListenTarget(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("the page throws: %s", e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError && !strings.HasSuffix(e.Entry.URL, "/favicon.ico") && !expected(e.Entry) {
				t.Errorf("the browser complains: %s (%s)", e.Entry.Text, e.Entry.URL)
			}
		}
	})
	if err := chromedp.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// profileDir is a directory for a browser, whose processes go on writing for a moment when the first of them has ended.
func profileDir(t *testing.T) string {
	t.Helper()
	dir := must(os.MkdirTemp("", "e2e-browser-"))(t)
	t.Cleanup(func() {
		err := os.RemoveAll(dir)
		for deadline := time.Now().Add(20 * time.Second); err != nil && time.Now().Before(deadline); err = os.RemoveAll(dir) {
			time.Sleep(50 * time.Millisecond)
		}
		if err != nil {
			t.Error(err)
		}
	})
	return dir
}

// startProgram builds and starts one of the examples, and returns the URL that it says it serves.
func startProgram(t *testing.T, name string, args ...string) string {
	t.Helper()
	url, _ := startProgramWith(t, nil, name, args...)
	return url
}

// startProgramWith is startProgram with further variables in the environment. It returns the process, too.
func startProgramWith(t *testing.T, env []string, name string, args ...string) (string, *os.Process) {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	build := exec.Command("go", "build", "-o", program, "./examples/"+name)
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var said lockedBuffer
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, rest, ok := strings.Cut(said.String(), "http://"); ok && strings.ContainsAny(rest, "/\n") {
			return "http://" + rest[:strings.IndexAny(rest, "/\n")], cmd.Process
		}
	}
	t.Fatalf("%s says %q", name, said.String())
	return "", nil
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

// TestExplainPage pastes three refusals into the page of examples/explain.
func TestExplainPage(t *testing.T) {
	page := startProgram(t, "explain", "-serve", "127.0.0.1:0")
	ctx := openBrowser(t)
	const signature = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2"
	dead := "https://photos.s3.eu-west-1.amazonaws.com/cat.jpg?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20261101%2Feu-west-1%2Fs3%2Faws4_request" +
		"&X-Amz-Date=20261101T120000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=" + signature
	canonical := "GET\n/cat.jpg\nX-Amz-Date=20261101T120000Z\nhost:photos.s3.eu-west-1.amazonaws.com\n\nhost\nUNSIGNED-PAYLOAD"
	red, orange := color.RGBA{0xcf, 0x22, 0x2e, 0xff}, color.RGBA{0xbf, 0x87, 0x00, 0xff}
	for _, c := range []struct {
		name                string
		url, answer, signed string
		causes              string // the first
		rows                int    // that differ
		colours             []color.RGBA
	}{
		{"a URL that has expired", dead, "", "", "expiredproved", 0, []color.RGBA{red}},
		{"a proxy that adds a port", dead, "<Error><Code>SignatureDoesNotMatch</Code><CanonicalRequest>" +
			strings.ReplaceAll(strings.Replace(canonical, ".com\n", ".com:8443\n", 1), "&", "&amp;") + "</CanonicalRequest></Error>", canonical, "hostproved", 1, []color.RGBA{red}},
		{"a service that does not say", "https://a.blob.core.windows.net/c/b?sv=2020-12-06&sr=b&sp=r&se=2026-11-01T00%3A00%3A00Z&sig=QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE%3D",
			"<Error><Code>AuthorizationFailure</Code><Message>Server failed to authenticate the request. Make sure the value of the Authorization header is formed correctly including the signature.\nRequestId:1\nTime:" + time.Now().UTC().Format("2006-01-02T15:04:05.000Z") + "</Message></Error>",
			"", "expiredlikely", 0, []color.RGBA{orange}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var causes, report, border string
			var rows, over int
			var shot []byte
			paste := []chromedp.Action{chromedp.Navigate(page + "/")}
			for id, text := range map[string]string{"#url": c.url, "#answer": c.answer, "#signed": c.signed} {
				if text != "" {
					paste = append(paste, chromedp.SetValue(id, text, chromedp.ByID))
				}
			}
			err := chromedp.Run(ctx, append(paste,
				chromedp.Click("button", chromedp.ByQuery),
				chromedp.WaitVisible("#report", chromedp.ByID),
				chromedp.Evaluate(`document.querySelector("ol > li p").textContent`, &causes),
				chromedp.Evaluate(`document.querySelector("#report").textContent`, &report),
				chromedp.Evaluate(`getComputedStyle(document.querySelector("ol > li")).borderLeftWidth`, &border),
				chromedp.Evaluate(`document.querySelectorAll("#diff tr.different").length`, &rows),
				chromedp.Evaluate(`document.documentElement.scrollWidth - document.documentElement.clientWidth`, &over),
				chromedp.FullScreenshot(&shot, 100),
			)...)
			if err != nil {
				t.Fatal(err)
			}
			if causes != c.causes || rows != c.rows || over > 0 {
				t.Errorf("the first cause is %q, %d rows differ, %d pixels stick out", causes, rows, over)
			}
			if border != "6px" {
				t.Errorf("the border is %s wide: the style sheet is not in force", border)
			}
			if strings.Contains(report, signature) || strings.Contains(report, "QUFBQUFB") {
				t.Error("the page repeats the signature")
			}
			picture, err := png.Decode(bytes.NewReader(shot))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.colours {
				if n := pixels(picture, want); n < 100 {
					t.Errorf("%d pixels are %v", n, want)
				}
			}
			if dir := os.Getenv("E2E_SCREENSHOTS"); dir != "" {
				if err := os.WriteFile(filepath.Join(dir, strings.ReplaceAll(c.name, " ", "-")+".png"), shot, 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// pixels counts those of a colour.
func pixels(picture image.Image, want color.RGBA) (n int) {
	for y := picture.Bounds().Min.Y; y < picture.Bounds().Max.Y; y++ {
		for x := picture.Bounds().Min.X; x < picture.Bounds().Max.X; x++ {
			if r, g, b, _ := picture.At(x, y).RGBA(); uint8(r>>8) == want.R && uint8(g>>8) == want.G && uint8(b>>8) == want.B {
				n++
			}
		}
	}
	return n
}

// TestStableImages opens a page of images ten times. With a Window its URLs stay, and the browser fetches each image once; without
// one it fetches each ten times.
func TestStableImages(t *testing.T) {
	const images, visits = 5, 10
	store := must(storefake.Start(storefake.Config{Bucket: bucket, Region: region}))(t)
	t.Cleanup(func() { store.Close() })
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	for n := range images {
		if err := store.Put(fmt.Sprintf("%d.png", n), picture.Bytes(), http.Header{"Content-Type": {"image/png"}}); err != nil {
			t.Fatal(err)
		}
	}
	var now atomic.Int64 // seconds: every visit is one later
	now.Store(time.Now().Unix())
	s := must(s3.New(s3.Config{Region: region, Bucket: bucket, Endpoint: store.Endpoint(), Addressing: signer.AddressingPath, Credentials: store.Credentials,
		Clock: clock.Func(func() time.Time { return time.Unix(now.Load(), 0) })}))(t)
	var fetched atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/favicon.ico" {
			http.NotFound(w, r)
			return
		}
		if r.URL.Path != "/page" {
			fetched.Add(1)
			r.Host = store.Endpoint().Host // which is what was signed
			httputil.NewSingleHostReverseProxy(store.Endpoint()).ServeHTTP(w, r)
			return
		}
		window, _ := time.ParseDuration(r.URL.Query().Get("window"))
		io.WriteString(w, "<!doctype html><title>images</title>")
		for n := range images {
			p, err := s.Presign(r.Context(), signer.Request{Key: fmt.Sprintf("%d.png", n), Expires: time.Hour, Window: window,
				Response: signer.ResponseHeaders{CacheControl: "private, max-age=600"}})
			if err != nil {
				t.Error(err)
				return
			}
			u := must(url.Parse(p.URL))(t)
			fmt.Fprintf(w, `<img src="%s" alt="">`, html.EscapeString(u.RequestURI()))
		}
	}))
	t.Cleanup(front.Close)
	ctx := openBrowser(t)
	for _, c := range []struct {
		window string
		want   int64
	}{{"15m", images}, {"0s", images * visits}} {
		fetched.Store(0)
		for range visits {
			var loaded int
			err := chromedp.Run(ctx,
				chromedp.Navigate(front.URL+"/page?window="+c.window),
				chromedp.Evaluate(`[...document.images].filter(i => i.complete && i.naturalWidth == 8).length`, &loaded),
				chromedp.Navigate("about:blank"),
			)
			if err != nil || loaded != images {
				t.Fatalf("%d of %d images, %v", loaded, images, err)
			}
			now.Add(1)
		}
		if got := fetched.Load(); got != c.want {
			t.Errorf("with a window of %s, %d visits fetch %d images, want %d", c.window, visits, got, c.want)
		}
	}
}
