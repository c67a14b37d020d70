package e2e

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/cloudsigner/cloudsigner/s3"
)

// This file is examples/upload in a browser that is used with the keyboard alone: large files to the stores of its own, to versitygw and to
// Azurite, over connections that break. The page is of one origin and the stores of others: they are told by CORS rules, which are
// set with signed requests. The connections break in a relay of TCP, to which the browser alone is led, by its --host-resolver-rules: it
// goes on writing the store's own address into Host, which is signed.

// A relay passes connections on to a store, until it is told to do otherwise.
type relay struct {
	net.Listener
	store string // the address

	mu      sync.Mutex
	left    int64         // bytes from clients until all of them wait
	hold    chan struct{} // for this to be closed; nil if there is no such plan
	puts    int           // requests to come until there is trouble; 0 if none is planned
	late    time.Duration // how long one of them waits, and its URL expires
	victim  string        // the first line of the one that is broken
	broken  int           // how often that has been
	refused int           // answers of the store with status 400 or 403
}

func newRelay(t *testing.T, store string) *relay {
	r := &relay{Listener: must(net.Listen("tcp4", "127.0.0.1:0"))(t), store: store}
	t.Cleanup(func() { r.Close() })
	go func() {
		for {
			c, err := r.Accept()
			if err != nil {
				return
			}
			go r.pass(c.(*net.TCPConn))
		}
	}()
	return r
}

func (r *relay) pass(client *net.TCPConn) {
	defer client.Close()
	var server net.Conn
	answered := make(chan struct{})
	buf := make([]byte, 64<<10)
	sent, most := int64(0), int64(0) // of this request
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		late := false
		if head, _, _ := bytes.Cut(buf[:n], []byte("\r\n")); bytes.HasPrefix(head, []byte("PUT ")) {
			sent = 0
			most, late = r.put(string(head))
		}
		if sent += int64(n); most > 0 && sent > most {
			client.SetLinger(0) // a reset, in the middle of a request
			return
		}
		r.count(int64(n))
		if server == nil { // not before: a store closes a connection that is silent for as long as a request may be held up
			if server, err = net.Dial("tcp4", r.store); err != nil {
				return
			}
			defer server.Close()
			go func() {
				defer close(answered)
				io.Copy(client, io.TeeReader(server, r))
				client.CloseWrite()
			}()
		}
		if _, err := server.Write(buf[:n]); err != nil { // the store has answered, and does not want the rest
			<-answered
			io.Copy(io.Discard, client)
			return
		}
		// A store that refuses closes the connection, and what it has said is lost where it is sent more before that is read.
		for wait := 0; late && wait < 60; wait++ {
			if _, refused := r.was(); refused > 0 {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// Write sees what the store says.
func (r *relay) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("HTTP/1.1 400 ")) || bytes.HasPrefix(p, []byte("HTTP/1.1 403 ")) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.refused++
	}
	return len(p), nil
}

// put sees a request to upload a part begin. It returns how many bytes of it pass, 0 for all, and whether it has been held up.
func (r *relay) put(head string) (most int64, late bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.puts > 0 {
		if r.puts--; r.puts == 0 {
			r.victim = head
		}
		if r.puts == 2 {
			r.mu.Unlock()
			time.Sleep(r.late)
			r.mu.Lock()
			late = true
		}
	}
	// The browser sends a request once more by itself, and in silence, if its connection had been used before.
	if head == r.victim && r.broken < 5 {
		r.broken++
		return uploadPart / 2, late
	}
	return 0, late
}

// trouble plans that the second of the next requests comes so late, and that the fourth is broken off in the middle.
func (r *relay) trouble(late time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.puts, r.late, r.victim, r.broken, r.refused = 4, late, "", 0, 0
}

// was says what came of the trouble.
func (r *relay) was() (broken, refused int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.broken, r.refused
}

// count counts what clients send, and holds them up if that is planned.
func (r *relay) count(n int64) {
	r.mu.Lock()
	r.left -= n
	due, hold := r.left < 0, r.hold
	r.mu.Unlock()
	if hold != nil && due {
		<-hold
	}
}

// holdAfter lets so many bytes through, and the others when the function is called that it returns.
func (r *relay) holdAfter(n int64) (release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	hold := make(chan struct{})
	r.left, r.hold = n, hold
	return func() {
		r.mu.Lock()
		r.hold = nil
		r.mu.Unlock()
		close(hold)
	}
}

// randomFile makes a file of so many bytes that repeat nothing, and returns its hash.
func randomFile(t *testing.T, name string, size int64) (path string, sum [sha256.Size]byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	f := must(os.Create(path))(t)
	defer f.Close()
	hash := sha256.New()
	must(io.CopyN(io.MultiWriter(f, hash), rand.NewChaCha8([32]byte{byte(size)}), size))(t)
	return path, [sha256.Size]byte(hash.Sum(nil))
}

// An uploader is the page in a browser, and what happened in it.
type uploader struct {
	*testing.T
	ctx     context.Context
	page    string
	process *os.Process
	relays  map[string]*relay // by the name of the store, up to the hyphen

	broken atomic.Int64 // requests
	chosen atomic.Pointer[string]
}

const (
	uploadLife = 4 * time.Second // of a part's URL
	uploadPart = 5 << 20
	formLimit  = 1_000_000
)

// openUploader starts the example with all stores, and opens its page.
func openUploader(t *testing.T) *uploader {
	t.Helper()
	versity, azurite := must(versitygw())(t), plainAzurite(t)
	u := &uploader{T: t, relays: map[string]*relay{"s3": newRelay(t, versity.endpoint.Host), "azure": newRelay(t, azurite.endpoint.Host)}}
	u.page, u.process = startProgramWith(t, []string{"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey, "AWS_SESSION_TOKEN=", "AZURE_STORAGE_KEY=" + azuriteKey},
		"upload", "-listen", "127.0.0.1:0", "-url-life", uploadLife.String(), "-part-size", strconv.Itoa(uploadPart), "-form-limit", strconv.Itoa(formLimit),
		"-s3-endpoint", versity.endpoint.String(), "-s3-bucket", bucket, "-azure-endpoint", azurite.endpoint.String(), "-azure-container", azuriteContainer)
	allowOrigin(t, u.page, versity, azurite)

	resp := must(http.Get(u.page + "/"))(t)
	resp.Body.Close()
	policy := resp.Header.Get("Content-Security-Policy")
	_, own, _ := strings.Cut(policy, "connect-src 'self' http://")
	own, _, _ = strings.Cut(own, " ")
	u.relays["fake"] = newRelay(t, own)
	var rules []string
	for _, r := range u.relays {
		rules = append(rules, "MAP "+r.store+" "+r.Addr().String())
	}
	// versitygw says nothing of origins where it refuses a signature, so that the page only sees that the request failed.
	u.ctx = openBrowserWith(t, 8*time.Minute, func(e *log.Entry) bool {
		return e.Source == log.SourceNetwork || strings.Contains(e.Text, "blocked by CORS")
	},
		chromedp.Flag("host-resolver-rules", strings.Join(rules, ", ")))
	chromedp.ListenTarget(u.ctx, func(event any) {
		switch e := event.(type) {
		case *network.EventLoadingFailed:
			if !e.Canceled {
				u.broken.Add(1)
			}
		case *page.EventFileChooserOpened:
			file := *u.chosen.Load()
			go chromedp.Run(u.ctx, dom.SetFileInputFiles([]string{file}).WithBackendNodeID(e.BackendNodeID))
		}
	})
	u.run(network.Enable(), page.SetInterceptFileChooserDialog(true), chromedp.Navigate(u.page+"/"))
	return u
}

// allowOrigin tells the stores whose pages may call them.
func allowOrigin(t *testing.T, origin string, versity *server, azurite *azurite) {
	t.Helper()
	cors := "<CORSConfiguration><CORSRule><AllowedOrigin>" + origin + "</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedMethod>POST</AllowedMethod>" +
		"<AllowedHeader>*</AllowedHeader></CORSRule></CORSConfiguration>"
	req := must(http.NewRequest(http.MethodPut, versity.url("").String()+"?cors", strings.NewReader(cors)))(t)
	digest := md5.Sum([]byte(cors))
	req.Header.Set("Content-MD5", base64.StdEncoding.EncodeToString(digest[:]))
	if err := s3.HashBody(req); err != nil {
		t.Fatal(err)
	}
	if err := versity.signer(t).Sign(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	versity.send(t, req).want(t, "200")

	properties := "<StorageServiceProperties><Cors><CorsRule><AllowedOrigins>" + origin + "</AllowedOrigins><AllowedMethods>PUT</AllowedMethods>" +
		"<MaxAgeInSeconds>60</MaxAgeInSeconds><ExposedHeaders></ExposedHeaders><AllowedHeaders>*</AllowedHeaders></CorsRule></Cors></StorageServiceProperties>"
	req = must(http.NewRequest(http.MethodPut, azurite.endpoint.String()+"/"+azuriteAccount+"?restype=service&comp=properties", strings.NewReader(properties)))(t)
	if err := azurite.signer(t).Sign(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	azurite.send(t, req).want(t, "202")
}

func (u *uploader) run(actions ...chromedp.Action) {
	u.Helper()
	if err := chromedp.Run(u.ctx, actions...); err != nil {
		u.Fatalf("%v; the page says %q, %q", err, u.text("#status"), u.text("#error"))
	}
}

// text is what an element says.
func (u *uploader) text(selector string) (text string) {
	ctx, cancel := context.WithTimeout(u.ctx, 10*time.Second)
	defer cancel()
	chromedp.Run(ctx, chromedp.Evaluate(`document.querySelector("`+selector+`").textContent`, &text))
	return text
}

// focused says what has the focus: an id, or the name of a group and what is chosen of it.
func (u *uploader) focused() (what string) {
	u.Helper()
	u.run(chromedp.Evaluate(`(e => e.id || (e.type == "radio" ? e.name + " " + e.value : e.tagName))(document.activeElement)`, &what))
	return what
}

// tabTo presses Tab until something has the focus.
func (u *uploader) tabTo(what string) {
	u.Helper()
	for range 20 {
		if at := u.focused(); at == what || strings.HasPrefix(at, what+" ") {
			return
		}
		u.run(chromedp.KeyEvent(kb.Tab))
	}
	u.Fatalf("Tab does not lead to %s, but to %s", what, u.focused())
}

// choose goes to a group and presses the arrow until that is chosen.
func (u *uploader) choose(group, value string) {
	u.Helper()
	u.tabTo(group)
	for range 10 {
		if u.focused() == group+" "+value {
			return
		}
		u.run(chromedp.KeyEvent(kb.ArrowDown))
	}
	u.Fatalf("the arrows do not lead to %s", value)
}

// open chooses a file: Enter on the field opens the dialog.
func (u *uploader) open(file string) {
	u.Helper()
	u.chosen.Store(&file)
	u.tabTo("file")
	u.run(chromedp.KeyEvent(kb.Enter))
	u.until("the file is chosen", `document.querySelector("#hint").textContent.startsWith("`+filepath.Base(file)+`")`)
}

// until waits for the page.
func (u *uploader) until(what, condition string) {
	u.Helper()
	ctx, cancel := context.WithTimeout(u.ctx, 3*time.Minute)
	defer cancel()
	if err := chromedp.Run(ctx, chromedp.Poll(condition, nil, chromedp.WithPollingTimeout(0), chromedp.WithPollingInterval(50*time.Millisecond))); err != nil {
		u.Fatalf("%s: %v; the page says %q, %q", what, err, u.text("#status"), u.text("#error"))
	}
}

// peak is the most memory that the page's server has had, in bytes.
func (u *uploader) peak() int64 {
	u.Helper()
	if runtime.GOOS != "linux" {
		u.Skip("the memory of another process is read from /proc")
	}
	status := must(os.ReadFile(fmt.Sprintf("/proc/%d/status", u.process.Pid)))(u.T)
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	return must(strconv.ParseInt(string(found[1]), 10, 64))(u.T) << 10
}

// TestUploadPage uploads files to each store, with the keyboard. Two fifths in, the page is loaded again, and goes on with the parts that
// the store has. Then one part comes so late that its URL has expired when the store sees it, and the connection of another is reset in the
// middle.
func TestUploadPage(t *testing.T) {
	const large, small = 200_000_000, 40_000_000
	u := openUploader(t)
	before := u.peak()
	for _, c := range []struct {
		store string
		size  int64
	}{{"fake-s3", large}, {"s3", large}, {"azure", large}, {"fake-gcs", small}, {"fake-oss", small}, {"fake-azure", small}} {
		t.Run(c.store, func(t *testing.T) {
			u.T = t
			name, _, _ := strings.Cut(c.store, "-")
			relay := u.relays[name]
			file, sum := randomFile(t, "film "+c.store+".bin", c.size)
			began := time.Now()
			u.broken.Store(0)

			release := relay.holdAfter(c.size * 2 / 5)
			u.run(chromedp.Navigate(u.page + "/"))
			u.choose("store", c.store)
			u.open(file)
			u.tabTo("start")
			u.run(chromedp.KeyEvent(kb.Enter))
			u.until("a quarter is sent", `document.querySelector("#status").textContent.startsWith("25 percent")`)
			if at := u.focused(); at != "pause" {
				t.Errorf("the focus is on %s", at)
			}

			u.run(chromedp.Navigate(u.page + "/"))
			release()
			if says := u.text("#status"); !strings.Contains(says, "was interrupted. Choose the same file to go on.") {
				t.Errorf("after the reload: %q", says)
			}
			relay.trouble(uploadLife + 2*time.Second)
			u.open(file)
			u.tabTo("start")
			if says := u.text("#start"); says != "Go on" {
				t.Errorf("the button says %q", says)
			}
			u.run(chromedp.KeyEvent(kb.Enter))
			u.until("the file has arrived", `!document.querySelector("#result").hidden || document.querySelector("#error").textContent`)
			if says := u.text("#error"); says != "" {
				t.Fatalf("the page says %q", says)
			}
			var resumed, retries, link string
			u.run(chromedp.Evaluate(`document.body.dataset.resumed`, &resumed), chromedp.Evaluate(`document.body.dataset.retries`, &retries),
				chromedp.Evaluate(`document.querySelector("#link").href`, &link))
			if n, err := strconv.Atoi(resumed); err != nil || n < 1 || n > int(c.size/uploadPart) {
				t.Errorf("went on with %q parts", resumed)
			}
			broken, refused := relay.was()
			if broken == 0 || u.broken.Load() == 0 || retries == "0" {
				t.Errorf("%d connections broke, of which the page has seen %d; %s retries", broken, u.broken.Load(), retries)
			}
			if expires := c.store != "fake-gcs"; expires != (refused > 0) { // a session of Cloud Storage has no URLs that expire
				t.Errorf("%d requests were refused", refused)
			}
			resp := must(http.Get(link))(t)
			defer resp.Body.Close()
			hash := sha256.New()
			if n := must(io.Copy(hash, resp.Body))(t); n != c.size || [sha256.Size]byte(hash.Sum(nil)) != sum || resp.StatusCode != http.StatusOK {
				t.Errorf("%s, %d bytes, %x, want %d, %x", resp.Status, n, hash.Sum(nil), c.size, sum)
			}
			t.Logf("%d bytes in %v; went on with %s parts; %s retries, %d broken, %d refused; the server has had %d MB of memory, %d before",
				c.size, time.Since(began).Round(time.Millisecond), resumed, retries, broken, refused, u.peak()>>20, before>>20)
		})
	}
	u.T = t
	if grown := u.peak() - before; grown > 32<<20 { // 720 MB have been uploaded, most of it to a store in the same process
		t.Errorf("the server's memory has grown by %d MB", grown>>20)
	}
}

// TestUploadButtons pauses an upload, goes on with it, gives another one up, and takes a file that is dropped.
func TestUploadButtons(t *testing.T) {
	u := openUploader(t)
	file, _ := randomFile(t, "film.bin", 40_000_000)
	begin := func() (release func()) {
		t.Helper()
		release = u.relays["fake"].holdAfter(16_000_000)
		u.tabTo("start")
		u.run(chromedp.KeyEvent(kb.Enter))
		u.until("a quarter is sent", `document.querySelector("#status").textContent.startsWith("25 percent")`)
		return release
	}
	says := func(status, focus, button string) {
		t.Helper()
		u.until(status, `document.querySelector("#status").textContent == "`+status+`"`)
		if at, text, wrong := u.focused(), u.text("#start"), u.text("#error"); at != focus || text != button || wrong != "" {
			t.Errorf("%s the focus is on %s, the button says %q, and the error is %q", status, at, text, wrong)
		}
	}
	u.open(file)
	release := begin()
	u.run(chromedp.KeyEvent(kb.Enter)) // the focus is on Pause
	says("Paused.", "start", "Go on")
	release()
	u.run(chromedp.KeyEvent(kb.Enter))
	says("film.bin has arrived.", "start", "Upload")

	release = begin()
	u.tabTo("cancel")
	u.run(chromedp.KeyEvent(kb.Enter))
	says("Cancelled.", "start", "Upload")
	release()
	u.run(chromedp.KeyEvent(kb.Enter))
	says("film.bin has arrived.", "start", "Upload")

	var link, text string
	u.run(chromedp.Evaluate(`(() => {
		const dropped = new DataTransfer();
		dropped.items.add(new File(["hello"], "dropped.txt"));
		document.querySelector("#drop").dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
		return document.querySelector("#hint").textContent;
	})()`, &text))
	if text != "dropped.txt, 5 bytes" {
		t.Errorf("the hint is %q", text)
	}
	u.run(chromedp.KeyEvent(kb.Enter))
	says("dropped.txt has arrived.", "start", "Upload")
	u.run(chromedp.Evaluate(`document.querySelector("#link").href`, &link))
	resp := must(http.Get(link))(t)
	defer resp.Body.Close()
	if body := must(io.ReadAll(resp.Body))(t); string(body) != "hello" {
		t.Errorf("%s, %q", resp.Status, body)
	}
}

// TestUploadForm uploads by forms: one that is within the policy's length arrives, and a larger one is refused, in words that are
// read out.
func TestUploadForm(t *testing.T) {
	u := openUploader(t)
	small, sum := randomFile(t, "small.bin", formLimit)
	large, _ := randomFile(t, "large.bin", formLimit+1)
	for _, store := range []string{"fake-s3", "fake-gcs", "fake-oss", "s3"} {
		t.Run(store, func(t *testing.T) {
			u.T = t
			upload := func(file string) {
				t.Helper()
				u.run(chromedp.Navigate(u.page + "/"))
				u.choose("store", store)
				u.choose("way", "form")
				u.open(file)
				u.tabTo("start")
				u.run(chromedp.KeyEvent(kb.Enter))
				u.until("the store has answered", `!document.querySelector("#result").hidden || document.querySelector("#error").textContent`)
			}
			upload(large)
			if says := u.text("[role=alert][aria-live=assertive]"); says != "The store refused the file: it is larger than the 1.0 MB that the form allows. Send it in parts." {
				t.Errorf("the page says %q", says)
			}
			upload(small)
			if says := u.text("#error"); says != "" {
				t.Fatalf("the page says %q", says)
			}
			var link string
			u.run(chromedp.Evaluate(`document.querySelector("#link").href`, &link))
			resp := must(http.Get(link))(t)
			defer resp.Body.Close()
			if body := must(io.ReadAll(resp.Body))(t); sha256.Sum256(body) != sum {
				t.Errorf("%s, %d bytes", resp.Status, len(body))
			}
		})
	}
	u.T = t
	for _, c := range []struct{ store, file, want string }{
		{"azure", small, "This store takes no forms; send the file in parts."},
		{"fake-s3", "", "Choose a file first."},
	} {
		u.run(chromedp.Navigate(u.page + "/"))
		u.choose("store", c.store)
		u.choose("way", "form")
		if c.file != "" {
			u.open(c.file)
		}
		u.tabTo("start")
		u.run(chromedp.KeyEvent(kb.Enter))
		u.until("an error", `document.querySelector("#error").textContent`)
		if says := u.text("#error"); says != c.want {
			t.Errorf("%s: the page says %q, want %q", c.store, says, c.want)
		}
	}
	var picture []byte
	u.run(chromedp.FullScreenshot(&picture, 100))
	if dir := os.Getenv("E2E_SCREENSHOTS"); dir != "" && len(picture) > 0 {
		if err := os.WriteFile(filepath.Join(dir, "upload.png"), bytes.Clone(picture), 0o600); err != nil {
			t.Error(err)
		}
	}
}
