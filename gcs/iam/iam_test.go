package iam

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/internal/vector"
	"github.com/cloudsigner/cloudsigner/signer"
)

const (
	account = "signer@proj.iam.gserviceaccount.com"
	token   = "ya29.planted-token"
)

// A fake is the service behind a Client. It answers after a while, and remembers what it was asked and when.
type fake struct {
	latency time.Duration
	answer  func(n int, r *http.Request, body []byte) (status int, answer string) // n counts from 0; nil signs
	header  http.Header                                                           // of every answer

	mu       sync.Mutex
	requests []seen
	start    time.Time
	ended    []time.Duration // when requests were given up
}

type seen struct {
	*http.Request
	body []byte
	at   time.Duration
}

func newFake() *fake { return &fake{start: time.Now()} }

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body.Close()
	}
	f.mu.Lock()
	n := len(f.requests)
	f.requests = append(f.requests, seen{r, body, time.Since(f.start)})
	f.mu.Unlock()
	select {
	case <-time.After(f.latency):
	case <-r.Context().Done():
		f.mu.Lock()
		f.ended = append(f.ended, time.Since(f.start))
		f.mu.Unlock()
		return nil, r.Context().Err()
	}
	answer := f.answer
	if answer == nil {
		answer = signs
	}
	status, text := answer(n, r, body)
	if status < 0 {
		return nil, errors.New(text)
	}
	return &http.Response{StatusCode: status, Header: f.header.Clone(), Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

func (f *fake) times() (at []time.Duration) {
	for _, r := range f.requests {
		at = append(at, r.at)
	}
	return at
}

// signs answers with the payload's SHA-256 as the signature: not one, but one for each payload.
func signs(_ int, _ *http.Request, body []byte) (int, string) {
	var r struct{ Payload []byte }
	if err := json.Unmarshal(body, &r); err != nil {
		return 400, ""
	}
	hash := sha256.Sum256(r.Payload)
	answer, _ := json.Marshal(map[string]any{"keyId": "key1", "signedBlob": hash[:]})
	return 200, string(answer)
}

// script answers with one status after the other, and then signs.
func script(answers ...int) func(int, *http.Request, []byte) (int, string) {
	return func(n int, r *http.Request, body []byte) (int, string) {
		if n < len(answers) && answers[n] != 200 {
			return answers[n], "connection reset"
		}
		return signs(n, r, body)
	}
}

func config(f *fake) Config {
	return Config{Account: account, Client: &http.Client{Transport: f}, Token: fixedToken}
}

func fixedToken(context.Context) (string, time.Time, error) {
	return token, time.Now().Add(time.Hour), nil
}

// newKey makes the key of c without its wrapper, with whole pauses instead of random ones.
func newKey(t testing.TB, c Config) *key {
	t.Helper()
	s, err := newService(opTest(), c)
	if err != nil {
		t.Fatal(err)
	}
	s.client.Jitter = func(d time.Duration) time.Duration { return d }
	return &key{service: s}
}

func mustNew(t testing.TB, c Config) gcs.Key {
	t.Helper()
	k, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestVectors(t *testing.T) {
	vector.Run(t, "testdata/vectors/*.txt", func(t *testing.T, v *vector.Vector) {
		if v.Kind != "signblob" {
			t.Fatalf("kind %s", v.Kind)
		}
		f := newFake()
		blob := v.Get(t, "signed-blob")
		f.answer = func(int, *http.Request, []byte) (int, string) {
			answer, _ := json.Marshal(map[string]any{"keyId": "planted", "signedBlob": []byte(blob)})
			return 200, string(answer)
		}
		c := config(f)
		c.Account = v.Get(t, "account")
		k := mustNew(t, c)
		signature, err := k.Sign(t.Context(), []byte(v.Get(t, "input string to sign")))
		if err != nil || string(signature.Bytes) != blob || signature.KeyID != "planted" {
			t.Errorf("got %q of %q, %v", signature.Bytes, signature.KeyID, err)
		}
		if len(f.requests) != 1 {
			t.Fatalf("%d requests", len(f.requests))
		}
		r := f.requests[0]
		target, query, _ := strings.Cut(r.URL.String(), "?")
		for _, part := range []struct{ name, got string }{
			{"request method", r.Method},
			{"request url", target},
			{"request query", query},
			{"request content type", r.Header.Get("Content-Type")},
			{"request body", string(r.body)},
		} {
			if want := v.Get(t, part.name); part.got != want {
				t.Errorf("%s\n got %s\nwant %s", part.name, part.got, want)
			}
		}
		if got := r.Header.Get("Authorization"); got != "Bearer "+token {
			t.Errorf("Authorization: %s", got)
		}
		if r.ContentLength != int64(len(r.body)) {
			t.Errorf("Content-Length: %d", r.ContentLength)
		}
	})
}

// What Presign makes is what the SDK sent, for the URL whose vector package gcs has.
func TestPresignOnTheWire(t *testing.T) {
	want := vector.Load(t, "testdata/vectors/signblob-go-storage.txt")[0]
	url := vector.Load(t, "../testdata/vectors/signblob-presigned-url.txt")[0]
	f := newFake()
	f.answer = func(int, *http.Request, []byte) (int, string) {
		return 200, `{"keyId":"k","signedBlob":"ZmFrZV9zaWduYXR1cmU="}`
	}
	c := config(f)
	c.Account = want.Get(t, "account")
	at, err := time.Parse("20060102T150405Z", url.Get(t, "time"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := gcs.New(gcs.Config{Bucket: url.Get(t, "bucket"), Key: mustNew(t, c), Clock: clock.Fixed(at)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Presign(t.Context(), signer.Request{Key: url.Get(t, "key"), Expires: 900 * time.Second})
	if err != nil || !strings.HasSuffix(p.URL, "&X-Goog-Signature="+url.Get(t, "signature")) {
		t.Errorf("got %v, %v", p, err)
	}
	if got := string(f.requests[0].body); got != want.Get(t, "request body") {
		t.Errorf("got %s", got)
	}
}

// The delegates are resource names in the caller's order, whichever way they were written, and the account's in the path.
func TestDelegates(t *testing.T) {
	f := newFake()
	c := config(f)
	c.Delegates = []string{"first@proj.iam.gserviceaccount.com", "projects/-/serviceAccounts/second@proj.iam.gserviceaccount.com", "123456789012345678901"}
	if _, err := mustNew(t, c).Sign(t.Context(), []byte("text")); err != nil {
		t.Fatal(err)
	}
	want := `{"delegates":["projects/-/serviceAccounts/first@proj.iam.gserviceaccount.com","projects/-/serviceAccounts/second@proj.iam.gserviceaccount.com",` +
		`"projects/-/serviceAccounts/123456789012345678901"],"payload":"dGV4dA=="}`
	if r := f.requests[0]; string(r.body) != want || !strings.HasSuffix(r.URL.Path, "/serviceAccounts/"+account+":signBlob") {
		t.Errorf("%s\n got %s\nwant %s", r.URL, r.body, want)
	}
}

func TestEndpoint(t *testing.T) {
	for endpoint, want := range map[string]string{
		"":                                     "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/",
		"https://iamcredentials.example.goog/": "https://iamcredentials.example.goog/v1/projects/-/serviceAccounts/",
		"http://127.0.0.1:8080/base":           "http://127.0.0.1:8080/base/v1/projects/-/serviceAccounts/",
		"http://[::1]:8080":                    "http://[::1]:8080/v1/projects/-/serviceAccounts/",
		"http://localhost":                     "http://localhost/v1/projects/-/serviceAccounts/",
	} {
		f := newFake()
		c := config(f)
		if endpoint != "" {
			c.Endpoint = parse(t, endpoint)
		}
		if _, err := mustNew(t, c).Sign(t.Context(), []byte("text")); err != nil {
			t.Fatal(err)
		}
		if got, _, _ := strings.Cut(f.requests[0].URL.String(), account); got != want {
			t.Errorf("%q: got %s, want %s", endpoint, got, want)
		}
	}
}

func parse(t testing.TB, rawURL string) *url.URL {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestNewRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		edit  func(*Config)
		field string
	}{
		"no account":                      {func(c *Config) { c.Account = "" }, "Account"},
		"no address":                      {func(c *Config) { c.Account = "signer" }, "Account"},
		"a path in the address":           {func(c *Config) { c.Account = "a/../b@proj.iam.gserviceaccount.com" }, "Account"},
		"a query in the address":          {func(c *Config) { c.Account = "a@proj?x=y" }, "Account"},
		"a fragment in the address":       {func(c *Config) { c.Account = "a@proj#x" }, "Account"},
		"an escape in the address":        {func(c *Config) { c.Account = "a%2Fb@proj.iam.gserviceaccount.com" }, "Account"},
		"another verb in the address":     {func(c *Config) { c.Account = "a@proj:generateAccessToken" }, "Account"},
		"a command in the address":        {func(c *Config) { c.Account = "a@proj.com;reboot" }, "Account"},
		"an option as the address":        {func(c *Config) { c.Account = "--x@proj.com" }, "Account"},
		"a line feed in the address":      {func(c *Config) { c.Account = "a@proj.com\n" }, "Account"},
		"two at signs":                    {func(c *Config) { c.Account = "a@b@proj.com" }, "Account"},
		"a pool of GKE":                   {func(c *Config) { c.Account = "proj.svc.id.goog" }, "Account"},
		"a delegate that is none":         {func(c *Config) { c.Delegates = []string{account, "x"} }, "Delegates"},
		"a delegate of a project":         {func(c *Config) { c.Delegates = []string{"projects/proj/serviceAccounts/" + account} }, "Delegates"},
		"an empty delegate":               {func(c *Config) { c.Delegates = []string{""} }, "Delegates"},
		"an empty delegate after prefix":  {func(c *Config) { c.Delegates = []string{resource} }, "Delegates"},
		"no token":                        {func(c *Config) { c.Token = nil }, "Token"},
		"http to elsewhere":               {func(c *Config) { c.Endpoint = parse(t, "http://iamcredentials.googleapis.com") }, "Endpoint"},
		"http to what begins as loopback": {func(c *Config) { c.Endpoint = parse(t, "http://127.0.0.1.example.com") }, "Endpoint"},
		"http to link-local":              {func(c *Config) { c.Endpoint = parse(t, "http://169.254.169.254") }, "Endpoint"},
		"http to localhost's subdomain":   {func(c *Config) { c.Endpoint = parse(t, "http://localhost.example.com") }, "Endpoint"},
		"a password":                      {func(c *Config) { c.Endpoint = parse(t, "https://user:pass@host") }, "Endpoint"},
		"a query":                         {func(c *Config) { c.Endpoint = parse(t, "https://host/?a=b") }, "Endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(newFake())
			tt.edit(&c)
			k, err := New(c)
			var e *signer.Error
			if k != nil || !errors.As(err, &e) || e.Field != tt.field || e.Backend != "gcs" {
				t.Errorf("got %v, %v; want an error about %s", k, err, tt.field)
			}
			if f, err := ImpersonatedToken(c); f != nil || err == nil {
				t.Errorf("ImpersonatedToken takes it: %v", err)
			}
		})
	}
	_, err := New(Config{Delegates: []string{"x"}, Endpoint: &url.URL{}})
	for _, field := range []string{"Account", "Delegates", "Token", "Endpoint"} {
		if !strings.Contains(err.Error(), ": "+field+": ") {
			t.Errorf("nothing about %s in\n%v", field, err)
		}
	}
}

// What a Key must tell the Signer.
func TestKey(t *testing.T) {
	k := mustNew(t, config(newFake()))
	l, ok := k.(interface{ Life() time.Duration })
	if k.ID() != account || k.Algorithm() != gcs.RSASHA256 || !ok || l.Life() != 12*time.Hour {
		t.Errorf("%s, %s, %v", k.ID(), k.Algorithm(), k)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(verb, k); strings.Contains(text, token) {
			t.Errorf("%s prints the token: %s", verb, text)
		}
	}
}

func newSigner(t testing.TB, k gcs.Key) *gcs.Signer {
	t.Helper()
	s, err := gcs.New(gcs.Config{Bucket: "photos", Key: k})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// 200 who presign one object within one second share one call: those who wait for it, and those who come after.
func TestOneCallForOneObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.latency = 50 * time.Millisecond
		s := newSigner(t, mustNew(t, config(f)))
		urls := make([]string, 200)
		var all sync.WaitGroup
		for i := range urls {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Second / 200)
				p, err := s.Presign(t.Context(), signer.Request{Key: "cat.jpg", Expires: time.Hour})
				if err != nil {
					t.Error(err)
					return
				}
				urls[i] = p.URL
			})
		}
		all.Wait()
		if len(f.requests) != 1 {
			t.Errorf("%d calls", len(f.requests))
		}
		if slices.Sort(urls); urls[0] == "" || urls[0] != urls[199] {
			t.Errorf("the URLs differ:\n%s\n%s", urls[0], urls[199])
		}
		if took := time.Since(f.start); took != 995*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

// And of 200 objects, a pool of 20 signs 20 at a time.
func TestManyObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.latency = 50 * time.Millisecond
		s := newSigner(t, mustNew(t, config(f)))
		work := make(chan int)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				for i := range work {
					if _, err := s.Presign(t.Context(), signer.Request{Key: fmt.Sprint(i), Expires: time.Hour, Window: time.Minute}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range 200 {
			work <- i
		}
		close(work)
		all.Wait()
		if took := time.Since(f.start); took != 500*time.Millisecond || len(f.requests) != 200 {
			t.Errorf("it took %v and %d calls", took, len(f.requests))
		}
	})
}

// A Window makes one call of its presigns.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := newSigner(t, mustNew(t, config(f)))
		for range 60 {
			if _, err := s.Presign(t.Context(), signer.Request{Key: "cat.jpg", Expires: 6 * time.Hour, Window: 3 * time.Hour}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
		}
		if at := f.times(); !slices.Equal(at, []time.Duration{0}) { // the Signer remembers the signature for the window
			t.Errorf("calls at %v", at)
		}
	})
}

// A URL dies with the key that Google may drop 12 hours after it signed.
func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := newSigner(t, mustNew(t, config(f)))
		r := signer.Request{Key: "cat.jpg", Expires: 13 * time.Hour}
		if _, err := s.Presign(t.Context(), r); !errors.Is(err, signer.ErrCredentials) || len(f.requests) != 0 {
			t.Errorf("got %v after %d calls", err, len(f.requests))
		}
		r.AllowShorter = true
		p, err := s.Presign(t.Context(), r)
		if err != nil || p.LimitedBy != signer.LimitCredentials || !p.ExpiresAt.Equal(f.start.Add(12*time.Hour)) {
			t.Errorf("got %v by %v, %v", p, p.LimitedBy, err)
		}
	})
}

// What is given out belongs to who gets it.
func TestSignatureIsACopy(t *testing.T) {
	f := newFake()
	k := mustNew(t, config(f))
	want := sha256.Sum256([]byte("text"))
	for range 3 {
		s, err := k.Sign(t.Context(), []byte("text"))
		if err != nil || !bytes.Equal(s.Bytes, want[:]) || s.KeyID != "key1" {
			t.Fatalf("got %x, %v", s.Bytes, err)
		}
		clear(s.Bytes)
	}
	if len(f.requests) != 1 {
		t.Errorf("%d calls", len(f.requests))
	}
	text := []byte("text")
	if allocs := testing.AllocsPerRun(100, func() { k.Sign(context.Background(), text) }); allocs > 1 {
		t.Errorf("a signature that is kept takes %v allocations, want the copy", allocs)
	}
}

// Texts that fall on one place push each other out, and never get each other's signature.
func TestManySignatures(t *testing.T) {
	f := newFake()
	k := newKey(t, config(f))
	for range 2 {
		for i := range 3000 {
			text := []byte(fmt.Sprint(i))
			want := sha256.Sum256(text)
			if s, err := k.sign(t.Context(), text); err != nil || !bytes.Equal(s.Bytes, want[:]) {
				t.Fatalf("%s: got %x, %v", text, s.Bytes, err)
			}
		}
	}
	used := 0
	for i := range k.recent {
		if k.recent[i].Load() != nil {
			used++
		}
	}
	if used < 900 {
		t.Errorf("%d of %d places are used", used, len(k.recent))
	}
}

func TestRetries(t *testing.T) {
	ms := func(n ...int) (d []time.Duration) {
		for _, n := range n {
			d = append(d, time.Duration(n)*time.Millisecond)
		}
		return d
	}
	for name, tt := range map[string]struct {
		answers []int // -1: no connection
		header  http.Header
		at      []time.Duration
		fails   bool
	}{
		"none":                    {nil, nil, ms(0), false},
		"408":                     {[]int{408}, nil, ms(0, 100), false},
		"429":                     {[]int{429}, nil, ms(0, 100), false},
		"500":                     {[]int{500}, nil, ms(0, 100), false},
		"502":                     {[]int{502}, nil, ms(0, 100), false},
		"503":                     {[]int{503}, nil, ms(0, 100), false},
		"504":                     {[]int{504}, nil, ms(0, 100), false},
		"no connection":           {[]int{-1}, nil, ms(0, 100), false},
		"three times":             {[]int{503, -1, 429}, nil, ms(0, 100, 300, 700), false},
		"too often":               {[]int{503, 503, 503, 503}, nil, ms(0, 100, 300, 700), true},
		"no connection too often": {[]int{-1, -1, -1, -1}, nil, ms(0, 100, 300, 700), true},
		"400":                     {[]int{400}, nil, ms(0), true},
		"404":                     {[]int{404}, nil, ms(0), true},
		"409":                     {[]int{409}, nil, ms(0), true},
		"501":                     {[]int{501}, nil, ms(0), true},
		"403 once":                {[]int{403}, nil, ms(0, 100), false},
		"403 twice":               {[]int{403, 403}, nil, ms(0, 100), true},
		"403 between":             {[]int{503, 403, 503}, nil, ms(0, 100, 200, 300), false},
		"401 once":                {[]int{401}, nil, ms(0, 0), false},
		"401 twice":               {[]int{401, 401}, nil, ms(0, 0), true},
		"401 and 403":             {[]int{401, 403}, nil, ms(0, 0, 100), false},
		"Retry-After":             {[]int{429, 503}, http.Header{"Retry-After": {"2"}}, ms(0, 2100, 4300), false},
		"Retry-After at most":     {[]int{429}, http.Header{"Retry-After": {"10"}}, ms(0, 10100), false},
		"Retry-After too long":    {[]int{429}, http.Header{"Retry-After": {"11"}}, ms(0), true},
		"Retry-After far too":     {[]int{429}, http.Header{"Retry-After": {"99999999999"}}, ms(0, 100), false}, // no number of seconds
		"Retry-After a time":      {[]int{503}, http.Header{"Date": {"Sat, 01 Jan 2000 00:00:00 GMT"}, "Retry-After": {"Sat, 01 Jan 2000 00:00:03 GMT"}}, ms(0, 3100), false},
		"Retry-After in the past": {[]int{503}, http.Header{"Date": {"Sat, 01 Jan 2000 00:00:03 GMT"}, "Retry-After": {"Sat, 01 Jan 2000 00:00:00 GMT"}}, ms(0, 100), false},
		"Retry-After, no Date":    {[]int{503}, http.Header{"Retry-After": {"Sat, 01 Jan 2000 00:00:03 GMT"}}, ms(0, 100), false},
		"Retry-After on success":  {nil, http.Header{"Retry-After": {"5"}}, ms(0), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.answer, f.header = script(tt.answers...), tt.header
				_, err := newKey(t, config(f)).sign(t.Context(), []byte("text"))
				if at := f.times(); !slices.Equal(at, tt.at) {
					t.Errorf("requests at %v, want %v", at, tt.at)
				}
				if tt.fails != (err != nil) || err != nil && !errors.Is(err, signer.ErrRemote) {
					t.Errorf("got %v", err)
				}
				checkError(t, err)
			})
		})
	}
}

// checkError holds an error to what all have in common.
func checkError(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var e *signer.Error
	if !errors.As(err, &e) || e.Backend != "gcs" || e.Op != "sign blob" {
		t.Errorf("%#v is no error of signing", err)
	}
	if text := err.Error(); strings.Contains(text, token) || strings.Contains(text, "Bearer") || strings.Contains(text, "dGV4dA==") {
		t.Errorf("the error holds what it must not: %s", text)
	}
}

// Pauses are cut by up to a half, at random.
func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lengths := make(map[time.Duration]bool)
		for range 100 {
			f := newFake()
			f.answer = script(503)
			if _, err := mustNew(t, config(f)).Sign(t.Context(), []byte("text")); err != nil {
				t.Fatal(err)
			}
			pause := f.times()[1]
			if pause < 50*time.Millisecond || pause > 100*time.Millisecond {
				t.Errorf("a pause of %v", pause)
			}
			lengths[pause] = true
		}
		if len(lengths) < 90 {
			t.Errorf("%d different pauses of 100", len(lengths))
		}
	})
}

// A service that hangs is given up after 10 s, and asked again.
func TestSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.latency = time.Hour
		_, err := newKey(t, config(f)).sign(t.Context(), []byte("text"))
		if want := []time.Duration{0, 10100 * time.Millisecond, 20300 * time.Millisecond, 30700 * time.Millisecond}; !slices.Equal(f.times(), want) {
			t.Errorf("requests at %v", f.times())
		}
		if !errors.Is(err, signer.ErrRemote) || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer within 10s") {
			t.Errorf("got %v", err)
		}
	})
}

// slowBody is an answer that hangs halfway.
type slowBody struct{ ctx context.Context }

func (b slowBody) Read([]byte) (int, error) { <-b.ctx.Done(); return 0, b.ctx.Err() }
func (b slowBody) Close() error             { return nil }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := config(nil)
		c.Client = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: slowBody{r.Context()}, Request: r}, nil
		})}
		_, err := newKey(t, c).sign(t.Context(), []byte("text"))
		if took := time.Since(start); !errors.Is(err, signer.ErrRemote) || took != 40700*time.Millisecond {
			t.Errorf("got %v after %v", err, took)
		}
	})
}

// The end of a caller's context ends its wait at once, whatever the call is doing, with the context's error.
func TestContext(t *testing.T) {
	for name, answers := range map[string][]int{"in the call": nil, "in a pause": {503, 503, 503}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.answer = script(answers...)
				f.latency = 40 * time.Millisecond
				if answers == nil {
					f.latency = time.Minute
				}
				ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
				defer cancel()
				_, err := newKey(t, config(f)).sign(ctx, []byte("text"))
				if took := time.Since(f.start); err != context.DeadlineExceeded || took != 60*time.Millisecond {
					t.Errorf("got %v after %v", err, took)
				}
				synctest.Wait()
				if answers == nil && !slices.Equal(f.ended, []time.Duration{60 * time.Millisecond}) {
					t.Errorf("the request ended at %v", f.ended)
				}
				time.Sleep(time.Minute)
				if len(f.requests) != 1 {
					t.Errorf("%d requests", len(f.requests))
				}
			})
		})
	}
	f := newFake()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newKey(t, config(f)).sign(ctx, []byte("text")); err != context.Canceled || len(f.requests) != 0 {
		t.Errorf("before: got %v after %d calls", err, len(f.requests))
	}
}

// The one whose call it is may go; the others get their signature. When all have gone the call is given up, and the next
// makes its own.
func TestCancelledFirstCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.latency = 50 * time.Millisecond
		k := newKey(t, config(f))
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := k.sign(ctx, []byte("text")); err != context.Canceled {
				t.Errorf("the first got %v", err)
			}
		})
		synctest.Wait()
		for range 10 {
			all.Go(func() {
				if s, err := k.sign(t.Context(), []byte("text")); err != nil || s.KeyID != "key1" {
					t.Errorf("another got %v, %v", s, err)
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		cancel()
		all.Wait()
		if at := f.times(); !slices.Equal(at, []time.Duration{0}) || time.Since(f.start) != 50*time.Millisecond || f.ended != nil {
			t.Errorf("calls at %v, given up at %v, ended after %v", at, f.ended, time.Since(f.start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.latency = 50 * time.Millisecond
		k := newKey(t, config(f))
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(10+i)*time.Millisecond)
				defer cancel()
				if _, err := k.sign(ctx, []byte("text")); err != context.DeadlineExceeded {
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		if _, err := k.sign(t.Context(), []byte("text")); err != nil {
			t.Error(err)
		}
		if at := f.times(); !slices.Equal(at, []time.Duration{0, 12 * time.Millisecond}) || !slices.Equal(f.ended, []time.Duration{12 * time.Millisecond}) {
			t.Errorf("calls at %v, given up at %v", at, f.ended)
		}
	})
}

// What one caller was refused is not kept for the next.
func TestFailureIsNotKept(t *testing.T) {
	f := newFake()
	f.answer = script(404)
	k := newKey(t, config(f))
	if _, err := k.sign(t.Context(), []byte("text")); !errors.Is(err, signer.ErrRemote) {
		t.Errorf("got %v", err)
	}
	if s, err := k.sign(t.Context(), []byte("text")); err != nil || len(s.Bytes) == 0 {
		t.Errorf("then got %v, %v", s, err)
	}
}

// A signature from the future, of a clock that was set back, is not kept longer for that.
func TestClockSetBack(t *testing.T) {
	f := newFake()
	c := config(f)
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	c.Clock = clock.Func(func() time.Time { return now })
	k := newKey(t, c)
	for i, want := range []int{1, 2, 2} {
		if _, err := k.sign(t.Context(), []byte("text")); err != nil || len(f.requests) != want {
			t.Errorf("%d: %d calls, %v", i, len(f.requests), err)
		}
		if i == 0 {
			now = now.Add(-time.Hour)
		}
	}
}

// A redirect would carry the token elsewhere, whatever the caller's Client thinks of redirects.
func TestRedirect(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		f := newFake()
		f.header = http.Header{"Location": {"https://evil.example/"}}
		f.answer = script(status)
		c := config(f)
		c.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return nil }
		_, err := newKey(t, c).sign(t.Context(), []byte("text"))
		if !errors.Is(err, signer.ErrRemote) || !strings.Contains(err.Error(), "redirect") || strings.Contains(err.Error(), "evil") || len(f.requests) != 1 {
			t.Errorf("%d: got %v after %d requests", status, err, len(f.requests))
		}
		checkError(t, err)
	}
}

// endless counts what is read of it.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) { e.n += len(p); return len(p), nil }
func (e *endless) Close() error               { return nil }

func TestBody(t *testing.T) {
	body := new(endless)
	c := config(nil)
	c.Client = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: body, Request: r}, nil
	})}
	if _, err := newKey(t, c).sign(t.Context(), []byte("text")); !errors.Is(err, signer.ErrRemote) || !strings.Contains(err.Error(), "1048576 bytes") {
		t.Errorf("got %v", err)
	}
	if body.n > 1<<20+1024 {
		t.Errorf("%d bytes were read", body.n)
	}
	for size, fails := range map[int]bool{1 << 20: false, 1<<20 + 1: true, 2 << 20: true} {
		f := newFake()
		f.answer = func(n int, r *http.Request, b []byte) (int, string) {
			status, text := signs(n, r, b)
			return status, text + strings.Repeat(" ", size-len(text))
		}
		_, err := newKey(t, config(f)).sign(t.Context(), []byte("text"))
		if fails != (err != nil) || len(f.requests) != 1 {
			t.Errorf("%d bytes: got %v after %d requests", size, err, len(f.requests))
		}
	}
}

func TestBadAnswer(t *testing.T) {
	for _, answer := range []string{
		"", "null", "[]", "{}", `{"keyId":"k"}`, `{"signedBlob":""}`, `{"signedBlob":null}`, `{"signedBlob":"!"}`, `{"signedBlob":[1]}`,
		`{"signedBlob":"AA==","keyId":1}`, `{"signedBlob":"AA=="`, `<html>`, `{"signedBlob":"` + strings.Repeat("A", 4096) + `"}`,
	} {
		f := newFake()
		f.answer = func(int, *http.Request, []byte) (int, string) { return 200, answer }
		_, err := newKey(t, config(f)).sign(t.Context(), []byte("text"))
		if !errors.Is(err, signer.ErrRemote) || !strings.Contains(err.Error(), "signedBlob") || len(f.requests) != 1 {
			t.Errorf("%q: got %v after %d requests", answer, err, len(f.requests))
		}
		checkError(t, err)
	}
}

// The caller's Client is left as it was.
func TestClientIsACopy(t *testing.T) {
	f := newFake()
	c := config(f)
	newKey(t, c)
	if c.Client.CheckRedirect != nil {
		t.Error("the Client's CheckRedirect was set")
	}
}

// A signature that was made with a real key verifies as the Signer's URL says.
func TestWithRealKey(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	f := newFake()
	f.answer = func(_ int, _ *http.Request, body []byte) (int, string) {
		var r struct{ Payload []byte }
		json.Unmarshal(body, &r)
		hash := sha256.Sum256(r.Payload)
		signature, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, hash[:])
		if err != nil {
			return -1, err.Error()
		}
		answer, _ := json.Marshal(map[string]any{"keyId": "key1", "signedBlob": signature})
		return 200, string(answer)
	}
	p, err := newSigner(t, mustNew(t, config(f))).Presign(t.Context(), signer.Request{Key: "cat.jpg", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	v, err := gcs.NewVerifier(gcs.VerifierConfig{
		Accounts: []string{account},
		Keys: func(context.Context, string) ([]crypto.PublicKey, error) {
			return []crypto.PublicKey{&private.PublicKey}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	req, err := p.NewRequest(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = req.URL.Host
	g, err := v.Verify(t.Context(), req)
	if err != nil || g.KeyID != account || g.Key != "cat.jpg" {
		t.Errorf("got %+v, %v", g, err)
	}
}

// A Token's error may be a *url.Error with the whole URL in it.
func TestTokenErrorsHideTheirURL(t *testing.T) {
	c := config(&fake{})
	c.Token = func(context.Context) (string, time.Time, error) {
		return "", time.Time{}, &url.Error{Op: "Post", URL: "https://sts.example/?X-Amz-Signature=5ec7e7", Err: errors.New("refused")}
	}
	_, err := mustNew(t, c).Sign(t.Context(), []byte("text"))
	if !errors.Is(err, signer.ErrRemote) || strings.Contains(err.Error(), "5ec7e7") {
		t.Errorf("%v", err)
	}
}
