package signertest_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/signertest"
)

// A service hands out URLs under which its users upload their pictures.
type service struct{ signer signer.Signer }

func (s *service) uploadURL(ctx context.Context, user string) (*signer.Presigned, error) {
	return s.signer.Presign(ctx, signer.Request{
		Method: "PUT", Key: "pictures/" + user, Header: http.Header{"Content-Type": {"image/png"}}, Expires: 5 * time.Minute,
	})
}

// A service that presigns uploads, and its test. The store is what the users' browsers upload to.
func Example_store() {
	test := func(t testing.TB) {
		store := signertest.NewStore(t, signertest.StoreOptions{})
		sign, err := s3.New(s3.Config{Endpoint: store.Endpoint(), Region: store.Region, Bucket: store.Bucket, Credentials: store.Credentials})
		if err != nil {
			t.Fatal(err)
		}
		service := &service{signer: sign}

		p, err := service.uploadURL(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		upload := func(picture string) int {
			req, err := p.NewRequest(t.Context(), strings.NewReader(picture))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(signer.RedactError(err))
			}
			resp.Body.Close()
			return resp.StatusCode
		}
		fmt.Println("uploaded:", upload("a picture"))
		if got, _ := store.Get("pictures/ann"); string(got) != "a picture" {
			t.Errorf("the store has %q", got)
		}
		fmt.Println("stored as", store.Header("pictures/ann").Get("Content-Type"))

		store.Advance(5 * time.Minute)
		fmt.Println("later:", upload("another picture"))
		if r := store.Refusals(); len(r) != 1 || !errors.Is(r[0], signer.ErrExpired) {
			t.Errorf("refused: %v", r)
		}
	}
	runExample(test) // or TestUpload(t *testing.T)

	// Output:
	// uploaded: 200
	// stored as image/png
	// later: 403
}

// runExample is a test of its own within an example.
func runExample(test func(testing.TB)) {
	g := new(guard)
	g.do(func() { test(g) })
	g.end()
	fmt.Print(g.log.String())
}

// A guard is a testing.TB that can fail without failing the test, and whose end comes when we say.
type guard struct {
	testing.TB
	cleanups []func()
	failed   bool
	log      strings.Builder
}

func (g *guard) Helper()                    {}
func (g *guard) Cleanup(f func())           { g.cleanups = append(g.cleanups, f) }
func (g *guard) Failed() bool               { return g.failed }
func (g *guard) Logf(f string, args ...any) { fmt.Fprintf(&g.log, f+"\n", args...) }
func (g *guard) Fatal(args ...any)          { g.Fatalf("%s", fmt.Sprint(args...)) }
func (g *guard) Errorf(f string, args ...any) {
	g.failed = true
	g.Logf(f, args...)
}
func (g *guard) Fatalf(f string, args ...any) {
	g.failed = true
	g.Logf(f, args...)
	runtime.Goexit()
}

func (g *guard) Context() context.Context { return context.Background() }

// do runs a part of the guarded test, which may end early.
func (g *guard) do(f func()) {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	<-done
}

// end is the end of the guarded test.
func (g *guard) end() {
	for _, f := range slices.Backward(g.cleanups) {
		f()
	}
}

func newStoreSigner(t *testing.T, s *signertest.Store, c clock.Clock) *s3.Signer {
	t.Helper()
	sign, err := s3.New(s3.Config{Region: s.Region, Bucket: s.Bucket, Endpoint: s.Endpoint(), Credentials: s.Credentials, Clock: c, Backdate: -1})
	if err != nil {
		t.Fatal(err)
	}
	return sign
}

func presignFor(t *testing.T, s signer.Signer, r signer.Request) *signer.Presigned {
	t.Helper()
	if r.Expires == 0 {
		r.Expires = time.Minute
	}
	p, err := s.Presign(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// useURL uses a URL and returns the status and the body of the answer.
func useURL(t *testing.T, p *signer.Presigned, body string) (int, string) {
	t.Helper()
	var r io.Reader
	if p.Method == "PUT" {
		r = strings.NewReader(body)
	}
	req, err := p.NewRequest(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(signer.RedactError(err))
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(got)
}

func TestStore(t *testing.T) {
	s := signertest.NewStore(t, signertest.StoreOptions{})
	if s.Bucket != "demo" || s.Region != "us-east-1" || s.URL != s.Endpoint().String() || s.Credentials.AccessKeyID == "" {
		t.Errorf("%q %q %q %v", s.Bucket, s.Region, s.URL, s.Endpoint())
	}
	sign := newStoreSigner(t, s, nil)
	data := []byte("hello")
	s.Put("in", data)
	data[0] = 'j'
	if status, body := useURL(t, presignFor(t, sign, signer.Request{Key: "in"}), ""); status != 200 || body != "hello" {
		t.Errorf("%d %s", status, body)
	}
	if status, body := useURL(t, presignFor(t, sign, signer.Request{Method: "PUT", Key: "out", Header: http.Header{"Content-Type": {"text/x"}}}), "there"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	got, ok := s.Get("out")
	if string(got) != "there" || !ok || !s.Has("out") || s.Header("out").Get("Content-Type") != "text/x" {
		t.Errorf("%q %t %v", got, ok, s.Header("out"))
	}
	got[0] = 'w'
	s.Header("out").Set("Content-Type", "text/y")
	if again, _ := s.Get("out"); string(again) != "there" || s.Header("out").Get("Content-Type") != "text/x" {
		t.Errorf("what Get or Header returned is the store's own: %q", again)
	}
	if got, ok := s.Get("none"); got != nil || ok || s.Has("none") || s.Header("none") != nil {
		t.Errorf("%q %t", got, ok)
	}
	if got := s.Keys(); !slices.Equal(got, []string{"in", "out"}) {
		t.Errorf("%q", got)
	}
	if status, _ := useURL(t, presignFor(t, sign, signer.Request{Key: "none"}), ""); status != 404 || len(s.Refusals()) != 0 {
		t.Errorf("%d, %v: what is not there is no refusal", status, s.Refusals())
	}
}

// The store holds all five schemes to what was signed, over the same objects.
func TestStoreProviders(t *testing.T) {
	s := signertest.NewStore(t, signertest.StoreOptions{})
	must := func(sign signer.Signer, err error) signer.Signer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return sign
	}
	account, err := gcs.ServiceAccountKey(s.GCSKeyFile())
	if err != nil {
		t.Fatal(err)
	}
	if key, err := gcs.HMACKey(s.GCSKey.ID(), s.GCSSecret); err != nil || key.ID() != s.GCSKey.ID() {
		t.Error(err)
	}
	storage := must(gcs.New(gcs.Config{Endpoint: s.Endpoint(), Bucket: s.Bucket, Key: s.GCSKey, Clock: s.Clock}))
	for _, tt := range []struct {
		name      string
		sign, put signer.Signer
	}{
		{"s3", newStoreSigner(t, s, s.Clock), nil},
		{"gcs", storage, nil},
		{"gcs, service account", must(gcs.New(gcs.Config{Endpoint: s.Endpoint(), Bucket: s.Bucket, Key: account, Clock: s.Clock})), nil},
		{"oss", must(oss.New(oss.Config{Endpoint: s.Endpoint(), Region: s.Region, Bucket: s.Bucket, Credentials: s.OSS, Clock: s.Clock})), nil},
		{"azure", must(azure.New(azure.Config{Endpoint: s.Endpoint(), Account: s.AzureAccount, Container: s.Bucket, Keys: s.AzureKey, Clock: s.Clock})), nil},
		{"azure, user delegation", must(azure.New(azure.Config{Endpoint: s.Endpoint(), Account: s.AzureAccount, Container: s.Bucket, Keys: s.AzureDelegation, Clock: s.Clock})), nil},
		{"cdn", must(cdn.New(cdn.Config{BaseURL: s.CDNBase(), Bucket: s.Bucket, Key: s.CDNKey, Clock: s.Clock})), storage},
	} {
		if tt.put == nil {
			tt.put = tt.sign
		}
		use := func(p *signer.Presigned, body string) (int, string) {
			t.Helper()
			req, err := p.NewRequest(t.Context(), strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := s.Client().Do(req)
			if err != nil {
				t.Fatal(signer.RedactError(err))
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, string(got)
		}
		before := len(s.Refusals())
		if status, body := use(presignFor(t, tt.put, signer.Request{Method: "PUT", Key: tt.name}), tt.name); status/100 != 2 {
			t.Errorf("%s: %d %s", tt.name, status, body)
		}
		if got, _ := s.Get(tt.name); string(got) != tt.name {
			t.Errorf("%s: stored is %q", tt.name, got)
		}
		p := presignFor(t, tt.sign, signer.Request{Key: tt.name})
		if status, body := use(p, ""); status != 200 || body != tt.name {
			t.Errorf("%s: %d %s", tt.name, status, body)
		}
		other := *p
		other.URL = strings.Replace(p.URL, "?", "x?", 1) // behind the key
		if status, body := use(&other, ""); status/100 != 4 {
			t.Errorf("%s: another key: %d %s", tt.name, status, body)
		}
		s.Advance(time.Minute)
		if status, body := use(p, ""); status/100 != 4 {
			t.Errorf("%s: late: %d %s", tt.name, status, body)
		}
		if r := s.Refusals()[before:]; len(r) != 2 || !errors.Is(r[0], signer.ErrMismatch) || !errors.Is(r[1], signer.ErrExpired) || r[0].Errors[0].Backend != strings.Split(tt.name, ",")[0] {
			t.Errorf("%s: %v", tt.name, r)
		}
	}
	if n := len(s.Keys()); n != 7 {
		t.Errorf("%d objects: %q", n, s.Keys())
	}
}

// Every option does something.
func TestStoreOptions(t *testing.T) {
	start := time.Date(2026, 11, 22, 6, 24, 7, 0, time.UTC)
	s := signertest.NewStore(t, signertest.StoreOptions{Bucket: "b", Region: "eu-west-1", Clock: clock.Fixed(start),
		Temporary: time.Hour, Origin: "http://page.example", MaxObject: 10, MaxBytes: 19, MaxObjects: 2, MaxUploads: 1, MinPart: 3})
	if s.Bucket != "b" || s.Region != "eu-west-1" || !s.Clock.Now().Equal(start) || !s.Credentials.Expires.Equal(start.Add(time.Hour)) {
		t.Errorf("%q %q %v %v", s.Bucket, s.Region, s.Clock.Now(), s.Credentials)
	}
	if n := reflect.TypeFor[signertest.StoreOptions]().NumField(); n != 10 {
		t.Errorf("there are %d options, and 10 are tried here", n)
	}
	sign := newStoreSigner(t, s, s.Clock)
	put := func(key, body string) string {
		status, answer := useURL(t, presignFor(t, sign, signer.Request{Method: "PUT", Key: key}), body)
		_, code, _ := strings.Cut(answer, "<Code>")
		code, _, _ = strings.Cut(code, "</Code>")
		return strings.TrimSpace(fmt.Sprint(status, " ", code))
	}
	post := func(query, body string) (int, string) {
		req, err := http.NewRequest("POST", s.URL+"/b/b?"+query, strings.NewReader(body))
		if err == nil {
			err = sign.Sign(t.Context(), req)
		}
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(answer)
	}
	for _, tt := range []struct{ key, body, want string }{
		{"a", "01234567890", "400 EntityTooLarge"},
		{"a", "0123456789", "200"},
		{"b", "0123456789", "403 QuotaExceeded"},
		{"b", "", "200"},
		{"c", "", "403 QuotaExceeded"},
	} {
		if got := put(tt.key, tt.body); got != tt.want {
			t.Errorf("%s %q: %s, want %s", tt.key, tt.body, got, tt.want)
		}
	}
	status, answer := post("uploads", "")
	if status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	_, id, _ := strings.Cut(answer, "<UploadId>")
	id, _, _ = strings.Cut(id, "<")
	if status, answer := post("uploads", ""); status != 403 {
		t.Errorf("a second upload: %d %s", status, answer)
	}
	for _, first := range []string{"12", "123"} {
		want := map[int]int{2: 400, 3: 200}[len(first)]
		var list strings.Builder
		for i, part := range []string{first, "4"} {
			p := presignFor(t, sign, signer.Request{Method: "PUT", Key: "b", Query: map[string][]string{"partNumber": {fmt.Sprint(i + 1)}, "uploadId": {id}}})
			if status, answer := useURL(t, p, part); status != 200 {
				t.Fatalf("%d %s", status, answer)
			}
			fmt.Fprintf(&list, "<Part><PartNumber>%d</PartNumber><ETag>%x</ETag></Part>", i+1, md5.Sum([]byte(part)))
		}
		status, answer := post("uploadId="+id, "<CompleteMultipartUpload>"+list.String()+"</CompleteMultipartUpload>")
		if status != want || strings.Contains(answer, "EntityTooSmall") != (want == 400) {
			t.Errorf("a part of %d bytes: %d %s", len(first), status, answer)
		}
	}
	req, err := http.NewRequest("OPTIONS", s.URL+"/b/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "http://page.example")
	req.Header.Set("Access-Control-Request-Method", "PUT")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Header.Get("Access-Control-Allow-Origin") != "http://page.example" {
		t.Errorf("%v", resp.Header)
	}
}

// The store's clock decides, and who shares it keeps in step.
func TestStoreClock(t *testing.T) {
	start := time.Date(2026, 11, 22, 6, 24, 7, 0, time.UTC)
	s := signertest.NewStore(t, signertest.StoreOptions{Clock: clock.Fixed(start)})
	s.Put("k", []byte("x"))
	sign := newStoreSigner(t, s, s.Clock)
	p := presignFor(t, sign, signer.Request{Key: "k"})
	for _, step := range []struct {
		d      time.Duration
		status int
	}{{0, 200}, {59 * time.Second, 200}, {time.Second, 403}, {-time.Second, 200}, {time.Hour, 403}} {
		s.Advance(step.d)
		if status, body := useURL(t, p, ""); status != step.status {
			t.Errorf("after %v: %d %s", step.d, status, body)
		}
	}
	if status, body := useURL(t, presignFor(t, sign, signer.Request{Key: "k"}), ""); status != 200 {
		t.Errorf("a new URL: %d %s", status, body)
	}
}

func TestStoreRefusals(t *testing.T) {
	s := signertest.NewStore(t, signertest.StoreOptions{Temporary: time.Hour})
	s.Put("k", []byte("x"))
	sign := newStoreSigner(t, s, s.Clock)
	changed := func(old, new string) {
		p := presignFor(t, sign, signer.Request{Key: "k"})
		p.URL = strings.Replace(p.URL, old, new, 1)
		useURL(t, p, "")
	}
	changed("/demo/k", "/demo/%6C")
	changed("us-east-1%2Fs3", "eu-west-1%2Fsqs")
	useURL(t, &signer.Presigned{Method: "GET", URL: s.URL + "/demo/k"}, "")
	p := presignFor(t, sign, signer.Request{Key: "k"})
	s.Advance(2 * time.Minute)
	useURL(t, p, "")
	body, err := http.NewRequest("PUT", s.URL+"/demo/k", strings.NewReader("hello"))
	if err == nil {
		err = s3.HashBody(body)
	}
	if err == nil {
		err = sign.Sign(t.Context(), body)
	}
	if err != nil {
		t.Fatal(err)
	}
	body.Body = io.NopCloser(strings.NewReader("HELLO"))
	resp, err := http.DefaultClient.Do(body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()

	got := s.Refusals()
	for i, want := range []struct {
		path   string
		class  error
		faults int
		code   string
	}{
		{"/demo/%6C", signer.ErrMismatch, 1, "SignatureDoesNotMatch"},
		{"/demo/k", signer.ErrScope, 2, "AuthorizationQueryParametersError"},
		{"/demo/k", signer.ErrUnsigned, 1, ""},
		{"/demo/k", signer.ErrExpired, 1, "AccessDenied"},
		{"/demo/k", signer.ErrMismatch, 1, "XAmzContentSHA256Mismatch"},
	} {
		if i >= len(got) {
			t.Fatalf("%d refusals", len(got))
		}
		r := got[i]
		var e *signer.Error
		if r.Path != want.path || !errors.Is(r, want.class) || len(r.Errors) != want.faults || !errors.As(r, &e) || r.Errors[0].Code != want.code {
			t.Errorf("%d: %v; %+v", i, r, r.Errors)
		}
		if !strings.HasPrefix(r.Error(), r.Method+" "+want.path+": ") || strings.Contains(fmt.Sprintf("%v %+v %#v", r, r.Errors, r), "X-Amz-Signature=") {
			t.Errorf("%d: %v", i, r)
		}
		for _, secret := range []signer.Secret{s.Credentials.SecretKey, s.Credentials.SessionToken} {
			if strings.Contains(fmt.Sprintf("%v %+v", r, r.Errors), string(secret.Reveal())) {
				t.Errorf("%d shows a secret", i)
			}
		}
	}
	if len(got) != 5 {
		t.Errorf("%d refusals: %v", len(got), got)
	}
	got[0] = nil
	if s.Refusals()[0] == nil {
		t.Error("the list that Refusals returned is the store's own")
	}
}

// What is wrong with the options, or with an object, ends the test. A failed test shows the refusals, a good one does not.
func TestStoreFailures(t *testing.T) {
	g := &guard{TB: t}
	g.do(func() {
		signertest.NewStore(g, signertest.StoreOptions{Bucket: "a/b", MaxBytes: -1})
		t.Error("it went on")
	})
	if got := g.log.String(); !g.failed || !strings.Contains(got, "Bucket") || !strings.Contains(got, "negative") || len(g.cleanups) != 0 {
		t.Errorf("%t %s", g.failed, got)
	}
	for what, object := range map[string]struct{ key, data string }{"no name": {"", "x"}, "long name": {strings.Repeat("k", 1025), ""}, "too large": {"k", "xxxxxxxxxxx"}, "too much": {"l", "xxx"}, "too many": {"m", ""}} {
		g := &guard{TB: t}
		g.do(func() {
			s := signertest.NewStore(g, signertest.StoreOptions{MaxObject: 10, MaxBytes: 12, MaxObjects: 1})
			s.Put("first", []byte("0123456789"))
			useURL(t, &signer.Presigned{Method: "GET", URL: s.URL + "/demo/k"}, "")
			if g.failed {
				t.Error(g.log.String())
			}
			s.Put(object.key, []byte(object.data))
			t.Errorf("%s: it was stored", what)
		})
		g.end()
		if got := g.log.String(); !g.failed || !strings.Contains(got, "Store.Put") || !strings.Contains(got, "refused GET /demo/k: verify: not signed") {
			t.Errorf("%s: %t %s", what, g.failed, got)
		}
	}
	g = &guard{TB: t}
	g.do(func() {
		s := signertest.NewStore(g, signertest.StoreOptions{})
		useURL(t, &signer.Presigned{Method: "GET", URL: s.URL + "/demo/k"}, "")
	})
	g.end()
	if g.log.Len() != 0 {
		t.Errorf("a test that is well prints %s", g.log.String())
	}
}

// At the end nothing is left, although connections are open, bodies half read and half sent.
func TestStoreEnds(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 10 {
		g := &guard{TB: t}
		s := signertest.NewStore(g, signertest.StoreOptions{})
		s.Put("k", bytes.Repeat([]byte("x"), 8<<20))
		sign := newStoreSigner(t, s, nil)
		transport := new(http.Transport)
		var wg sync.WaitGroup
		var open []io.Closer
		for i := range 4 {
			p := presignFor(t, sign, signer.Request{Key: "k"})
			req, err := p.NewRequest(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				wg.Go(func() { io.Copy(io.Discard, resp.Body); resp.Body.Close() })
			} else {
				open = append(open, resp.Body) // and nobody reads it
			}
		}
		put, err := net.Dial("tcp", s.Endpoint().Host)
		if err != nil {
			t.Fatal(err)
		}
		p := presignFor(t, sign, signer.Request{Method: "PUT", Key: "half"})
		fmt.Fprintf(put, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 10\r\n\r\nhalf", strings.TrimPrefix(p.URL, s.URL), s.Endpoint().Host)
		idle, err := net.Dial("tcp", s.Endpoint().Host)
		if err != nil {
			t.Fatal(err)
		}
		g.end()
		stacks := make([]byte, 1<<20)
		if stacks = stacks[:runtime.Stack(stacks, true)]; bytes.Contains(stacks, []byte("storefake.(*Store).ServeHTTP")) {
			t.Errorf("a request is still being served\n%s", stacks)
		}
		if s.Has("half") {
			t.Error("half an object is there")
		}
		wg.Wait()
		for _, body := range open {
			body.Close()
		}
		for _, c := range []net.Conn{put, idle} {
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := io.Copy(io.Discard, c); isTimeout(err) {
				t.Error("a connection is still open")
			}
			c.Close()
		}
		if c, err := net.Dial("tcp", s.Endpoint().Host); err == nil {
			c.Close()
			t.Error("it still listens")
		}
		transport.CloseIdleConnections()
	}
	for wait := time.Millisecond; ; wait *= 2 { // for the client's own, which see the end of their connections
		if n := runtime.NumGoroutine(); n <= before {
			return
		} else if wait > 2*time.Second {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before\n%s", n, before, stacks[:runtime.Stack(stacks, true)])
		}
		time.Sleep(wait)
	}
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
