package udk

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/vector"
	"github.com/cloudsigner/cloudsigner/signer"
)

const (
	token  = "eyJ.planted.token"
	tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47"

	second, minute, hour, day = time.Second, time.Minute, time.Hour, 24 * time.Hour
)

// A fake is the service behind a Client. It answers after a while, and remembers what it was asked and when.
type fake struct {
	latency time.Duration
	answer  func(n int, body string) (status int, answer string) // n counts from 0; nil gives keys
	header  http.Header                                          // of every answer

	mu       sync.Mutex
	start    time.Time
	requests []seen
	ended    []time.Duration // when requests were given up
}

type seen struct {
	*http.Request
	body string
	at   time.Duration
}

func newFake() *fake { return &fake{start: time.Now()} }

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body.Close()
	f.mu.Lock()
	n := len(f.requests)
	f.requests = append(f.requests, seen{r, string(body), time.Since(f.start)})
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
		answer = gives
	}
	status, text := answer(n, string(body))
	if status < 0 {
		return nil, errors.New(text)
	}
	return &http.Response{StatusCode: status, Header: f.header.Clone(), Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

func (f *fake) times() (at []time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		at = append(at, r.at)
	}
	return at
}

// gives answers with a key for the times that were asked for. The n-th key is 32 times the byte n.
func gives(n int, body string) (int, string) {
	within := func(tag string) string {
		_, rest, _ := strings.Cut(body, "<"+tag+">")
		text, _, _ := strings.Cut(rest, "</"+tag+">")
		return text
	}
	return 200, answerOf(within("Start"), within("Expiry"), within("DelegatedUserTid"), bytes.Repeat([]byte{byte(n)}, 32))
}

func answerOf(start, expiry, delegated string, value []byte) string {
	if delegated != "" {
		delegated = "<SignedDelegatedUserTid>" + delegated + "</SignedDelegatedUserTid>"
	}
	return "\ufeff" + `<?xml version="1.0" encoding="utf-8"?><UserDelegationKey><SignedOid>f27c2809-dfd7-4dbc-b5ed-b8b3b9341335</SignedOid><SignedTid>` + tenant +
		`</SignedTid><SignedStart>` + start + `</SignedStart><SignedExpiry>` + expiry + `</SignedExpiry><SignedService>b</SignedService><SignedVersion>2020-12-06</SignedVersion>` +
		delegated + `<Value>` + base64.StdEncoding.EncodeToString(value) + `</Value></UserDelegationKey>`
}

// fails answers with one status after the other (-1: no connection; 200: a key), and with keys after the last.
func fails(answers ...int) func(int, string) (int, string) {
	return func(n int, body string) (int, string) {
		if n < len(answers) && answers[n] != 200 {
			return answers[n], "connection reset"
		}
		return gives(n, body)
	}
}

func fixedToken(context.Context) (string, time.Time, error) { return token, time.Time{}, nil }

func config(f *fake) Config {
	return Config{Account: "myaccount", Token: fixedToken, Client: &http.Client{Transport: f}}
}

// newSource makes the source of c with whole pauses instead of random ones.
func newSource(t testing.TB, c Config) *source {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	s.(*source).client.Jitter = func(d time.Duration) time.Duration { return d }
	return s.(*source)
}

func parse(t testing.TB, rawURL string) *url.URL {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// number is which of the fake's keys k is, -1 for none.
func number(k azure.Key) int {
	if value := k.Secret().Reveal(); len(value) > 0 {
		return int(value[0])
	}
	return -1
}

// keyAt asks at a time from the fake's start on, for a SAS of the life given, and says which key came.
func keyAt(t *testing.T, s *source, f *fake, at, life time.Duration) int {
	t.Helper()
	time.Sleep(at - time.Since(f.start))
	k, err := s.Key(t.Context(), time.Now().Add(life))
	if err != nil {
		t.Fatalf("at %v: %v", at, err)
	}
	return number(k)
}

// checkError holds an error to what all have in common.
func checkError(t *testing.T, err error) {
	t.Helper()
	var e *signer.Error
	if !errors.As(err, &e) || e.Backend != "azure" || e.Op != "get user delegation key" || !errors.Is(err, signer.ErrRemote) {
		t.Errorf("%#v is no error of fetching a key", err)
		return
	}
	if text := strings.ToLower(err.Error()); strings.Contains(text, "planted") || strings.Contains(text, "%!") || strings.Contains(text, "userdelegationkey&") {
		t.Errorf("the error holds what it must not: %s", text)
	}
}

func TestVectors(t *testing.T) {
	vector.Run(t, "testdata/vectors/*.txt", func(t *testing.T, v *vector.Vector) {
		switch v.Kind {
		case "request":
			f := newFake()
			for _, tt := range []struct{ account, endpoint, url string }{
				{v.Get(t, "account"), "", v.Get(t, "url")},
				{v.Get(t, "emulator-account"), v.Get(t, "emulator-endpoint"), v.Get(t, "emulator url")},
			} {
				c := config(f)
				if c.Account = tt.account; tt.endpoint != "" {
					c.Endpoint = parse(t, tt.endpoint)
				}
				if _, err := Fetch(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				r := f.requests[len(f.requests)-1]
				start, expiry, _ := strings.Cut(r.body, "</Start><Expiry>")
				body := start[:strings.LastIndex(start, ">")+1] + "START</Start><Expiry>EXPIRY" + expiry[strings.Index(expiry, "<"):]
				if r.Method != v.Get(t, "method") || r.URL.String() != tt.url || body != v.Get(t, "body") {
					t.Errorf("got %s %s\n%s", r.Method, r.URL, r.body)
				}
			}
		case "user-delegation-key":
			start, err1 := time.Parse(time.RFC3339, v.Get(t, "start"))
			expiry, err2 := time.Parse(time.RFC3339, v.Get(t, "expiry"))
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			if got := string(keyInfo(start, expiry, "")); !strings.HasSuffix(got, "?>"+v.Get(t, "key info")) {
				t.Errorf("got %s", got)
			}
			h, err := parseKey(opFetch(), []byte(v.Get(t, "input answer")))
			if err != nil {
				t.Fatal(err)
			}
			k := h.fields
			for _, field := range []struct{ name, got string }{
				{"SignedOid", k.SignedOID}, {"SignedTid", k.SignedTID}, {"SignedStart", k.SignedStart}, {"SignedExpiry", k.SignedExpiry},
				{"SignedService", k.SignedService}, {"SignedVersion", k.SignedVersion}, {"Value", base64.StdEncoding.EncodeToString(k.Value.Reveal())},
			} {
				if !strings.Contains(v.Get(t, "input answer"), fmt.Sprintf("<%s>%s</%[1]s>", field.name, field.got)) {
					t.Errorf("%s: got %s", field.name, field.got)
				}
			}
			if !h.Start.Equal(start) || !h.End.Equal(expiry) || k.SignedDelegatedUserTID != "" {
				t.Errorf("got %v to %v, for %q", h.Start, h.End, k.SignedDelegatedUserTID)
			}
		default:
			t.Fatalf("kind %s", v.Kind)
		}
	})
}

// What goes over the wire, to the letter. The bubble's clock begins with the year 2000.
func TestRequest(t *testing.T) {
	for name, tt := range map[string]struct {
		edit          func(*Config)
		version, body string
	}{
		"as it is": {func(*Config) {}, "2020-12-06",
			`<KeyInfo><Start>1999-12-31T23:40:00Z</Start><Expiry>2000-01-07T23:40:00Z</Expiry></KeyInfo>`},
		"half an hour": {func(c *Config) { c.Life = 30 * minute }, "2020-12-06",
			`<KeyInfo><Start>1999-12-31T23:40:00Z</Start><Expiry>2000-01-01T00:10:00Z</Expiry></KeyInfo>`},
		"a delegated user": {func(c *Config) { c.DelegatedUserTID = tenant }, "2025-07-05",
			`<KeyInfo><Start>1999-12-31T23:40:00Z</Start><Expiry>2000-01-07T23:40:00Z</Expiry><DelegatedUserTid>` + tenant + `</DelegatedUserTid></KeyInfo>`},
		"an older version": {func(c *Config) { c.Version = "2018-11-09" }, "2018-11-09",
			`<KeyInfo><Start>1999-12-31T23:40:00Z</Start><Expiry>2000-01-07T23:40:00Z</Expiry></KeyInfo>`},
		"another clock and zone": {func(c *Config) {
			c.Clock = clock.Fixed(time.Date(2026, 11, 25, 1, 0, 0, 987654321, time.FixedZone("", 3600)))
		}, "2020-12-06", `<KeyInfo><Start>2026-11-24T23:40:00Z</Start><Expiry>2026-12-01T23:40:00Z</Expiry></KeyInfo>`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				c := config(f)
				tt.edit(&c)
				if _, err := newSource(t, c).Key(t.Context(), time.Now()); err != nil {
					t.Fatal(err)
				}
				r := f.requests[0]
				if want := `<?xml version="1.0" encoding="utf-8"?>` + tt.body; r.body != want || r.ContentLength != int64(len(want)) {
					t.Errorf("got %d bytes %s", r.ContentLength, r.body)
				}
				want := http.Header{"Authorization": {"Bearer " + token}, "X-Ms-Version": {tt.version}, "Content-Type": {"application/xml"}}
				if fmt.Sprint(r.Header) != fmt.Sprint(want) {
					t.Errorf("got %v", r.Header)
				}
			})
		})
	}
}

func TestEndpoint(t *testing.T) {
	const query = "/?restype=service&comp=userdelegationkey"
	for _, tt := range []struct{ account, endpoint, want string }{
		{"myaccount", "", "https://myaccount.blob.core.windows.net" + query},
		{"myaccount", "https://myaccount.blob.core.chinacloudapi.cn/", "https://myaccount.blob.core.chinacloudapi.cn" + query},
		{"myaccount", "https://MyAccount.privatelink.blob.core.windows.net:443", "https://myaccount.privatelink.blob.core.windows.net" + query},
		{"onelake", "https://onelake.blob.fabric.microsoft.com", "https://onelake.blob.fabric.microsoft.com" + query},
		{"my-account", "https://storage.example.com/base/my-account", "https://storage.example.com/base/my-account" + query},
		{"devstoreaccount1", "http://127.0.0.1:10000/", "http://127.0.0.1:10000/devstoreaccount1" + query},
		{"devstoreaccount1", "https://127.0.0.1:10000/devstoreaccount1/", "https://127.0.0.1:10000/devstoreaccount1" + query},
		{"devstoreaccount1", "http://[::1]:10000", "http://[::1]:10000/devstoreaccount1" + query},
		{"devstoreaccount1", "http://localhost:10000", "http://localhost:10000/devstoreaccount1" + query},
		{"devstoreaccount1", "https://10.0.0.7:10000/", "https://10.0.0.7:10000/devstoreaccount1" + query},
		{"devstoreaccount1", "https://devstoreaccount1.blob.localhost:10000", "https://devstoreaccount1.blob.localhost:10000" + query},
	} {
		f := newFake()
		c := config(f)
		if c.Account = tt.account; tt.endpoint != "" {
			c.Endpoint = parse(t, tt.endpoint)
		}
		if _, err := newSource(t, c).Key(t.Context(), time.Now()); err != nil {
			t.Errorf("%s: %v", tt.endpoint, err)
		} else if got := f.requests[0].URL.String(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.endpoint, got, tt.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	endpoint := func(u string) func(*Config) { return func(c *Config) { c.Endpoint = parse(t, u) } }
	for name, tt := range map[string]struct {
		edit  func(*Config)
		field string
	}{
		"no account":                      {func(c *Config) { c.Account = "" }, "Account"},
		"the secondary":                   {func(c *Config) { c.Account = "myaccount-secondary"; endpoint("https://127.0.0.1")(c) }, "Account"},
		"capitals":                        {func(c *Config) { c.Account = "MyAccount" }, "Account"},
		"a short account":                 {func(c *Config) { c.Account = "my" }, "Account"},
		"a long account":                  {func(c *Config) { c.Account = strings.Repeat("a", 25) }, "Account"},
		"a hyphen":                        {func(c *Config) { c.Account = "my-account" }, "Account"},
		"another host as the account":     {func(c *Config) { c.Account = "evil.example/" }, "Account"},
		"a command in the account":        {func(c *Config) { c.Account = "a;reboot"; endpoint("https://127.0.0.1")(c) }, "Account"},
		"an option as the account":        {func(c *Config) { c.Account = "--name"; endpoint("https://127.0.0.1")(c) }, "Account"},
		"no token":                        {func(c *Config) { c.Token = nil }, "Token"},
		"a negative life":                 {func(c *Config) { c.Life = -1 }, "Life"},
		"a short life":                    {func(c *Config) { c.Life = 30*minute - 1 }, "Life"},
		"a long life":                     {func(c *Config) { c.Life = 7*day + 1 }, "Life"},
		"a long life for OneLake":         {func(c *Config) { c.Life = 61 * minute; endpoint("https://onelake.blob.fabric.microsoft.com")(c) }, "Life"},
		"a tenant by name":                {func(c *Config) { c.DelegatedUserTID = "contoso.onmicrosoft.com" }, "DelegatedUserTID"},
		"a tenant in braces":              {func(c *Config) { c.DelegatedUserTID = "{" + tenant + "}" }, "DelegatedUserTID"},
		"an element in the tenant":        {func(c *Config) { c.DelegatedUserTID = tenant[:9] + "</KeyInfo>" }, "DelegatedUserTID"},
		"a short tenant":                  {func(c *Config) { c.DelegatedUserTID = tenant[:35] }, "DelegatedUserTID"},
		"a long tenant":                   {func(c *Config) { c.DelegatedUserTID = tenant + "0" }, "DelegatedUserTID"},
		"no version":                      {func(c *Config) { c.Version = "latest" }, "Version"},
		"a version without keys":          {func(c *Config) { c.Version = "2018-03-28" }, "Version"},
		"a version without tenants":       {func(c *Config) { c.Version = "2025-05-05"; c.DelegatedUserTID = tenant }, "Version"},
		"Data Lake Storage":               {endpoint("https://myaccount.dfs.core.windows.net"), "Endpoint"},
		"http to elsewhere":               {endpoint("http://myaccount.blob.core.windows.net"), "Endpoint"},
		"http to what begins as loopback": {endpoint("http://127.0.0.1.example.com"), "Endpoint"},
		"http to localhost's subdomain":   {endpoint("http://localhost.example.com"), "Endpoint"},
		"a password":                      {endpoint("https://user:pass@host"), "Endpoint"},
		"a query":                         {endpoint("https://host/?a=b"), "Endpoint"},
		"no scheme":                       {func(c *Config) { c.Endpoint = &url.URL{Path: "127.0.0.1:10000"} }, "Endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			c := config(f)
			tt.edit(&c)
			s, err := New(c)
			var e *signer.Error
			if s != nil || !errors.As(err, &e) || e.Field != tt.field || e.Backend != "azure" {
				t.Errorf("got %v, %v; want an error about %s", s, err, tt.field)
			}
			if _, err := Fetch(t.Context(), c); err == nil || len(f.requests) > 0 {
				t.Errorf("Fetch takes it: %v", err)
			}
		})
	}
	_, err := New(Config{Endpoint: &url.URL{}, Life: 1, Version: "x", DelegatedUserTID: "x"})
	for _, field := range []string{"Account", "Token", "Endpoint", "Life", "Version", "DelegatedUserTID"} {
		if !strings.Contains(err.Error(), ": "+field+": ") {
			t.Errorf("nothing about %s in\n%v", field, err)
		}
	}
}

// Package azure signs with what the source gives, and its SAS die with the key.
func TestPresign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: newSource(t, config(f))})
		if err != nil {
			t.Fatal(err)
		}
		const longest = 7*day - 20*minute
		p, err := s.Presign(t.Context(), signer.Request{Key: "cat.jpg", Expires: longest})
		if err != nil || !p.ExpiresAt.Equal(f.start.Add(longest)) || p.LimitedBy != signer.LimitRequest {
			t.Fatalf("got %v by %v, %v", p, p.LimitedBy, err)
		}
		if !p.NotBefore.Equal(f.start.Add(-15 * minute)) {
			t.Errorf("it works from %v", p.NotBefore)
		}
		q := parse(t, p.URL).Query()
		for name, want := range map[string]string{"skoid": "f27c2809-dfd7-4dbc-b5ed-b8b3b9341335", "sktid": tenant, "skt": "1999-12-31T23:40:00Z",
			"ske": "2000-01-07T23:40:00Z", "sks": "b", "skv": "2020-12-06"} {
			if q.Get(name) != want {
				t.Errorf("%s: got %q, want %q", name, q.Get(name), want)
			}
		}
		r := signer.Request{Key: "cat.jpg", Expires: 7 * day}
		if _, err := s.Presign(t.Context(), r); !errors.Is(err, signer.ErrCredentials) {
			t.Errorf("got %v", err)
		}
		r.AllowShorter = true
		p, err = s.Presign(t.Context(), r)
		if err != nil || !p.ExpiresAt.Equal(f.start.Add(longest)) || p.LimitedBy != signer.LimitCredentials {
			t.Errorf("got %v by %v, %v", p, p.LimitedBy, err)
		}
		if len(f.requests) != 1 {
			t.Errorf("%d requests", len(f.requests))
		}

		v, err := azure.NewVerifier(azure.VerifierConfig{Account: "myaccount", DelegationKey: func(_ context.Context, k azure.UserDelegationKey) (signer.Secret, error) {
			return signer.NewSecret(make([]byte, 32)), nil // the fake's first
		}})
		if err != nil {
			t.Fatal(err)
		}
		req, err := p.NewRequest(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = req.URL.Host
		if g, err := v.Verify(t.Context(), req); err != nil || g.Key != "cat.jpg" {
			t.Errorf("got %+v, %v", g, err)
		}
	})
}

// Presign's error has the source's in it, with its cause and code.
func TestPresignFails(t *testing.T) {
	f := newFake()
	f.answer = func(int, string) (int, string) { return 403, denied }
	s, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: newSource(t, config(f))})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Presign(t.Context(), signer.Request{Key: "cat.jpg", Expires: hour})
	if !errors.Is(err, signer.ErrRemote) || !errors.Is(err, signer.ErrCredentials) || !strings.Contains(err.Error(), "Storage Blob Delegator") {
		t.Errorf("got %v", err)
	}
}

// Those who come while the first key is fetched share the request, and those who come later the key.
func TestOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.latency = 50 * time.Millisecond
		s := newSource(t, config(f))
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				if k, err := s.Key(t.Context(), time.Now().Add(hour)); err != nil || number(k) != 0 {
					t.Errorf("got %d, %v", number(k), err)
				}
			})
		}
		all.Wait()
		if len(f.requests) != 1 || time.Since(f.start) != 199*time.Millisecond {
			t.Errorf("%d requests in %v", len(f.requests), time.Since(f.start))
		}
	})
}

// A key that is kept costs nothing, nor does one that cannot be had better now.
func TestHitsAreFree(t *testing.T) {
	f := newFake()
	c := config(f)
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	c.Clock = clock.Func(func() time.Time { return now })
	s := newSource(t, c)
	ctx := context.Background()
	free := func(what string, until time.Time) {
		t.Helper()
		if allocs := testing.AllocsPerRun(100, func() { s.Key(ctx, until) }); allocs != 0 {
			t.Errorf("%s takes %v allocations", what, allocs)
		}
	}
	free("a key that is kept", now.Add(hour))
	free("one that is too short, and new,", now.Add(8*day))
	now = now.Add(6 * day)
	f.answer = func(int, string) (int, string) { return 403, "" }
	if k, err := s.Key(ctx, now.Add(6*day)); err != nil || number(k) != 0 {
		t.Fatalf("got %d, %v", number(k), err)
	}
	if len(f.requests) != 2 {
		t.Errorf("%d requests", len(f.requests))
	}
}

// After a renewal has failed, nothing is started for a minute.
func TestFailedRenewalRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		c := config(f)
		reads := 0
		c.Clock = clock.Func(func() time.Time { reads++; return time.Now() })
		s := newSource(t, c)
		keyAt(t, s, f, 0, hour)
		f.answer = fails(200, 403)
		keyAt(t, s, f, 4*day, hour)
		synctest.Wait()
		reads = 0
		for range 100 {
			keyAt(t, s, f, 4*day+59*second, hour)
			synctest.Wait()
		}
		if reads != 100 || len(f.requests) != 2 {
			t.Errorf("the clock was read %d times, %d requests", reads, len(f.requests))
		}
		keyAt(t, s, f, 4*day+minute, hour)
		synctest.Wait()
		if len(f.requests) != 3 {
			t.Errorf("%d requests", len(f.requests))
		}
	})
}

// A renewal that hangs is one, whoever comes meanwhile.
func TestRenewsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := newSource(t, config(f))
		keyAt(t, s, f, 0, hour)
		f.latency = hour
		before := runtime.NumGoroutine()
		for range 1000 {
			keyAt(t, s, f, 4*day, hour)
		}
		synctest.Wait()
		if more := runtime.NumGoroutine() - before; more > 10 || len(f.times()) != 2 {
			t.Errorf("%d goroutines, requests at %v", more, f.times())
		}
		time.Sleep(hour) // it ends
	})
}

// When half of a key's time is over, whoever comes starts a request for another and is not kept waiting by it.
func TestRenewsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := newSource(t, config(f))
		const half = (7*day - 20*minute) / 2
		for _, tt := range []struct {
			at  time.Duration
			key int
		}{{0, 0}, {half - 1, 0}, {half, 0}, {half + second, 0}, {half + 2*second, 1}, {half + hour, 1}, {2*half + hour, 1}, {2*half + hour + 3*second, 2}} {
			f.latency = 0
			if tt.at > 0 {
				f.latency = 1500 * time.Millisecond
			}
			if got := keyAt(t, s, f, tt.at, hour); got != tt.key {
				t.Errorf("at %v: got key %d, want %d", tt.at, got, tt.key)
			}
			if took := time.Since(f.start) - tt.at; took != 0 {
				t.Errorf("at %v: it took %v", tt.at, took)
			}
			synctest.Wait()
		}
		if want := []time.Duration{0, half, 2*half + hour}; !slices.Equal(f.times(), want) {
			t.Errorf("requests at %v, want %v", f.times(), want)
		}
	})
}

// Who needs a key that lives longer waits for one, but no more often than once a minute.
func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.latency = second
		s := newSource(t, config(f))
		const longest = 7*day - 20*minute
		for _, tt := range []struct {
			at, life time.Duration
			key      int
			waits    bool
		}{
			{0, hour, 0, true},
			{10 * second, longest - 10*second, 0, false},
			{20 * second, longest, 0, false}, // does not reach; a newer one would hardly
			{minute, longest, 0, false},
			{minute + second, longest - 2*minute, 0, false},
			{minute + second, longest, 1, true}, // the first was had a minute ago
			{2 * minute, 9 * day, 1, false},
			{day, 5 * day, 1, false},
			{day, longest - day + minute, 1, false},
			{day, longest - day + 62*second, 2, true},
			{day + 2*second, longest - hour, 2, false},
		} {
			if got := keyAt(t, s, f, tt.at, tt.life); got != tt.key {
				t.Errorf("at %v for %v: got key %d, want %d", tt.at, tt.life, got, tt.key)
			}
			if waited := time.Since(f.start) - tt.at; tt.waits != (waited == second) || !tt.waits && waited != 0 {
				t.Errorf("at %v for %v: it took %v", tt.at, tt.life, waited)
			}
		}
		if want := []time.Duration{0, minute + second, day}; !slices.Equal(f.times(), want) {
			t.Errorf("requests at %v, want %v", f.times(), want)
		}

		// All who need it wait for one, and others for nothing.
		var all sync.WaitGroup
		time.Sleep(day)
		for i := range 20 {
			all.Go(func() {
				life, want := longest, 3
				if i%2 == 0 {
					life, want = hour, 2
				}
				began := time.Now()
				k, err := s.Key(t.Context(), began.Add(life))
				if waited := time.Since(began); err != nil || number(k) != want || waited > 0 != (want == 3) {
					t.Errorf("for %v: got key %d after %v, %v", life, number(k), waited, err)
				}
			})
		}
		all.Wait()
		if len(f.requests) != 4 {
			t.Errorf("%d requests", len(f.requests))
		}
	})
}

// A service that is out of order costs nothing while the old key lives.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := newSource(t, config(f))
		if got := keyAt(t, s, f, 0, hour); got != 0 {
			t.Fatalf("got key %d", got)
		}
		f.answer = func(int, string) (int, string) { return 503, "" }
		const end = 7*day - 20*minute
		last := end - 3*minute
		for at := last; at < end; at += 10 * second {
			if got := keyAt(t, s, f, at, second); got != 0 {
				t.Errorf("at %v: got key %d", at, got)
			}
			if took := time.Since(f.start) - at; took != 0 {
				t.Errorf("at %v: it took %v", at, took)
			}
		}
		synctest.Wait()
		var groups []time.Duration // the first request of each attempt
		for i, at := range f.times()[1:] {
			if i%4 == 0 {
				groups = append(groups, at)
			}
		}
		// 700 ms of retries, then a minute, and then whoever comes.
		if want := []time.Duration{last, last + 70*second, last + 140*second}; !slices.Equal(groups, want) || len(f.requests) != 13 {
			t.Errorf("%d requests, attempts at %v, want %v", len(f.requests), groups, want)
		}

		// Its death is an error, with the cause.
		time.Sleep(end - time.Since(f.start))
		_, err := s.Key(t.Context(), time.Now())
		checkError(t, err)
		if err == nil || !strings.Contains(err.Error(), "503") {
			t.Errorf("got %v", err)
		}
		f.answer = nil
		if got := keyAt(t, s, f, time.Since(f.start), hour); got != 17 {
			t.Errorf("afterwards: got key %d", got)
		}
	})
}

// Who would wait for a longer key gets the old one when there is none, for a minute without waiting again.
func TestOutageUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := newSource(t, config(f))
		keyAt(t, s, f, 0, hour)
		f.answer = func(int, string) (int, string) { return 403, denied }
		f.latency = second
		for at, waits := range []bool{true, false, false, true} {
			at := day + time.Duration(at)*21*second
			if got := keyAt(t, s, f, at, 7*day-hour); got != 0 {
				t.Errorf("at %v: got key %d", at, got)
			}
			if took := time.Since(f.start) - at; took > 0 != waits {
				t.Errorf("at %v: it took %v", at, took)
			}
		}
		if want := []time.Duration{0, day, day + 63*second}; !slices.Equal(f.times(), want) {
			t.Errorf("requests at %v, want %v", f.times(), want)
		}
	})
}

// A panic of Token reaches who waits for it, and in the background nobody.
func TestTokenPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		c := config(f)
		panics, called := false, 0
		c.Token = func(ctx context.Context) (string, time.Time, error) {
			if called++; panics {
				panic("out of range")
			}
			return fixedToken(ctx)
		}
		s := newSource(t, c)
		keyAt(t, s, f, 0, hour)
		panics = true
		for range 3 {
			if got := keyAt(t, s, f, 5*day, hour); got != 0 {
				t.Errorf("got key %d", got)
			}
			synctest.Wait()
		}
		if called != 2 {
			t.Errorf("Token was called %d times", called)
		}
		time.Sleep(10 * day)
		defer func() {
			if got := recover(); got != "out of range" {
				t.Errorf("recovered %v", got)
			}
		}()
		s.Key(t.Context(), time.Now())
	})
}

// The one whose request it is may go; the others get the key. When all have gone it is given up, and the next asks anew.
func TestCancelledFirstCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.latency = 50 * time.Millisecond
		s := newSource(t, config(f))
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := s.Key(ctx, time.Now()); err != context.Canceled {
				t.Errorf("the first got %v", err)
			}
		})
		synctest.Wait()
		for range 10 {
			all.Go(func() {
				if k, err := s.Key(t.Context(), time.Now()); err != nil || number(k) != 0 {
					t.Errorf("another got %d, %v", number(k), err)
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		cancel()
		all.Wait()
		if len(f.requests) != 1 || f.ended != nil || time.Since(f.start) != 50*time.Millisecond {
			t.Errorf("%d requests, given up at %v, ended after %v", len(f.requests), f.ended, time.Since(f.start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.latency = 50 * time.Millisecond
		s := newSource(t, config(f))
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(10+i)*time.Millisecond)
				defer cancel()
				if _, err := s.Key(ctx, time.Now()); err != context.DeadlineExceeded {
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		if _, err := s.Key(t.Context(), time.Now()); err != nil {
			t.Error(err)
		}
		if at := f.times(); !slices.Equal(at, []time.Duration{0, 12 * time.Millisecond}) || !slices.Equal(f.ended, []time.Duration{12 * time.Millisecond}) {
			t.Errorf("requests at %v, given up at %v", at, f.ended)
		}
	})
}

// The end of the context of who started a renewal does not end that.
func TestRenewalOutlivesCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := newSource(t, config(f))
		keyAt(t, s, f, 0, hour)
		f.latency = second
		time.Sleep(4 * day)
		ctx, cancel := context.WithCancel(t.Context())
		s.Key(ctx, time.Now())
		cancel()
		if got := keyAt(t, s, f, 4*day+2*second, hour); got != 1 || f.ended != nil {
			t.Errorf("got key %d, given up at %v", got, f.ended)
		}
	})
}

// The end of a caller's context is its error, whoever is slow.
func TestContext(t *testing.T) {
	for name, edit := range map[string]func(*Config, *fake){
		"the service": func(_ *Config, f *fake) { f.latency = hour },
		"a pause":     func(_ *Config, f *fake) { f.answer = fails(503, 503, 503) },
		"the token": func(c *Config, _ *fake) {
			c.Token = func(ctx context.Context) (string, time.Time, error) { <-ctx.Done(); return "", time.Time{}, ctx.Err() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				c := config(f)
				edit(&c, f)
				for _, get := range []func(context.Context) error{
					func(ctx context.Context) error { _, err := newSource(t, c).Key(ctx, time.Now()); return err },
					func(ctx context.Context) error { _, err := Fetch(ctx, c); return err },
				} {
					began := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), 40*time.Millisecond)
					if err := get(ctx); err != context.DeadlineExceeded || time.Since(began) != 40*time.Millisecond {
						t.Errorf("got %v after %v", err, time.Since(began))
					}
					cancel()
				}
			})
		})
	}
}

func TestRetries(t *testing.T) {
	for name, tt := range map[string]struct {
		answers []int
		header  http.Header
		at      []time.Duration // in milliseconds
		fails   bool
	}{
		"none":                 {nil, nil, []time.Duration{0}, false},
		"503, 429, none":       {[]int{503, 429, -1}, nil, []time.Duration{0, 100, 300, 700}, false},
		"503 too often":        {[]int{503, 503, 503, 503}, nil, []time.Duration{0, 100, 300, 700}, true},
		"Retry-After":          {[]int{503}, http.Header{"Retry-After": {"2"}}, []time.Duration{0, 2100}, false},
		"Retry-After too long": {[]int{503}, http.Header{"Retry-After": {"60"}}, []time.Duration{0}, true},
		"403":                  {[]int{403}, nil, []time.Duration{0}, true},
		"401":                  {[]int{401}, nil, []time.Duration{0}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.answer, f.header = fails(tt.answers...), tt.header
				_, err := newSource(t, config(f)).Key(t.Context(), time.Now())
				if tt.fails != (err != nil) {
					t.Errorf("got %v", err)
				}
				if err != nil {
					checkError(t, err)
				}
				for i := range tt.at {
					tt.at[i] *= time.Millisecond
				}
				if !slices.Equal(f.times(), tt.at) {
					t.Errorf("requests at %v, want %v", f.times(), tt.at)
				}
			})
		})
	}
}

// What one caller was refused is not kept for the next.
func TestFailureIsNotKept(t *testing.T) {
	f := newFake()
	f.answer = fails(403)
	s := newSource(t, config(f))
	_, err := s.Key(t.Context(), time.Now())
	checkError(t, err)
	if k, err := s.Key(t.Context(), time.Now()); err != nil || number(k) != 1 {
		t.Errorf("then got %d, %v", number(k), err)
	}
}

// A clock that is set back or forward moves the source to a key that lives by it.
func TestClockIsSet(t *testing.T) {
	f := newFake()
	c := config(f)
	start := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	now := start
	c.Clock = clock.Func(func() time.Time { return now })
	s := newSource(t, c)
	for _, tt := range []struct {
		at  time.Duration
		key int
	}{{0, 0}, {-20 * minute, 0}, {-20*minute - 1, 1}, {-hour, 2}, {3 * day, 2}, {8 * day, 3}, {0, 4}} {
		now = start.Add(tt.at)
		if k, err := s.Key(t.Context(), now.Add(minute)); err != nil || number(k) != tt.key {
			t.Errorf("at %v: got key %d, %v; want %d", tt.at, number(k), err, tt.key)
		}
	}
	now = start.Add(-minute) // tried in the future is not tried
	if k, err := s.Key(t.Context(), now.Add(7*day-20*minute)); err != nil || number(k) != 4 {
		t.Errorf("got key %d, %v", number(k), err)
	}
	if k, err := s.Key(t.Context(), now.Add(7*day)); err != nil || number(k) != 5 {
		t.Errorf("got key %d, %v", number(k), err)
	}
}

// learned is a clock that knows one host's time.
type learned struct{ clock.Clock }

func (l learned) Read(authority string) (time.Time, time.Duration) {
	offset := time.Duration(0)
	if authority == "myaccount.blob.core.windows.net" {
		offset = 90 * minute
	}
	return l.Now().Add(offset), offset
}

// A clock that has learned is asked for the service's time.
func TestLearnedClock(t *testing.T) {
	f := newFake()
	c := config(f)
	c.Clock = learned{clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))}
	k, err := Fetch(t.Context(), c)
	if err != nil || k.SignedStart != "2026-11-25T13:10:00Z" {
		t.Errorf("got %v, %v", k.SignedStart, err)
	}
}

// A key that works at another time than was asked for is of no use, and one for another user would fail where it is used.
func TestWrongKey(t *testing.T) {
	for name, tt := range map[string]struct {
		start, expiry, delegated, asked string
		want                            string // "" for none
	}{
		"right":             {"1999-12-31T23:40:00Z", "2000-01-07T23:40:00Z", "", "", ""},
		"other digits":      {"1999-12-31T23:40:00.0000000Z", "2000-01-07T23:40:00.0000000Z", "", "", ""},
		"dead":              {"1999-12-31T23:40:00Z", "2000-01-01T00:00:00Z", "", "", "works from 1999-12-31T23:40:00Z to 2000-01-01T00:00:00Z, and it is 2000-01-01T00:00:00Z; set the machine's clock"},
		"not yet alive":     {"2000-01-01T00:00:01Z", "2000-01-07T23:40:00Z", "", "", "set the machine's clock"},
		"dead before alive": {"2000-01-07T23:40:00Z", "1999-12-31T23:40:00Z", "", "", "SignedStart"},
		"a day":             {"1999-12-31", "2000-01-07", "", "", "times like"},
		"eight days":        {"1999-12-31T23:40:00Z", "2000-01-08T23:40:00Z", "", "", "longer than any does"},
		"for ever":          {"1999-12-31T23:40:00Z", "9999-12-31T23:59:59Z", "", "", "longer than any does"},
		"its tenant":        {"1999-12-31T23:40:00Z", "2000-01-07T23:40:00Z", strings.ToUpper(tenant), tenant, ""},
		"no tenant":         {"1999-12-31T23:40:00Z", "2000-01-07T23:40:00Z", "", tenant, "DelegatedUserTID"},
		"another tenant":    {"1999-12-31T23:40:00Z", "2000-01-07T23:40:00Z", "1" + tenant[1:], tenant, "DelegatedUserTID"},
		"a tenant unasked":  {"1999-12-31T23:40:00Z", "2000-01-07T23:40:00Z", tenant, "", "DelegatedUserTID"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.answer = func(int, string) (int, string) {
					return 200, answerOf(tt.start, tt.expiry, tt.delegated, []byte("planted key of thirty-two bytes."))
				}
				c := config(f)
				c.DelegatedUserTID = tt.asked
				k, err := Fetch(t.Context(), c)
				if tt.want == "" {
					if err != nil || k.SignedStart != tt.start || k.SignedExpiry != tt.expiry || k.SignedDelegatedUserTID != tt.delegated {
						t.Errorf("got %+v, %v", k, err)
					}
					return
				}
				checkError(t, err)
				if err == nil || !strings.Contains(err.Error(), tt.want) || len(f.requests) != 1 {
					t.Errorf("got %v after %d requests, want %s", err, len(f.requests), tt.want)
				}
			})
		})
	}
}

// OneLake's keys live an hour at most, and not longer than the token.
func TestOneLake(t *testing.T) {
	for expires, want := range map[time.Duration]time.Duration{-1: 40 * minute, 0: 40 * minute, 39 * minute: 39 * minute, 2 * hour: 40 * minute} {
		for endpoint, oneLake := range map[string]bool{"https://onelake.blob.fabric.microsoft.com": true, "https://myaccount.blob.core.windows.net": false} {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				c := config(f)
				c.Endpoint = parse(t, endpoint)
				c.Token = func(context.Context) (string, time.Time, error) {
					if expires <= 0 {
						return token, time.Time{}, nil
					}
					return token, time.Now().Add(expires), nil
				}
				k, err := Fetch(t.Context(), c)
				lives := want
				if !oneLake {
					lives = 7*day - 20*minute
				}
				if end := instant(f.start.Add(lives)); err != nil || k.SignedExpiry != end || k.SignedStart != "1999-12-31T23:40:00Z" {
					t.Errorf("%s, %v: got %s to %s, %v; want %s", endpoint, expires, k.SignedStart, k.SignedExpiry, err, end)
				}
			})
		}
	}
}

func TestToken(t *testing.T) {
	lost := errors.New("no managed identity here")
	for name, tt := range map[string]struct {
		token string
		err   error
	}{
		"an error":       {"", lost},
		"empty":          {"", nil},
		"with Bearer":    {"Bearer " + token, nil},
		"a line feed":    {token + "\nX-Planted: 1", nil},
		"not ASCII":      {token + "é", nil},
		"a control byte": {token + "\x7f", nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			c := config(f)
			c.Token = func(context.Context) (string, time.Time, error) { return tt.token, time.Time{}, tt.err }
			_, err := newSource(t, c).Key(t.Context(), time.Now())
			checkError(t, err)
			var e *signer.Error
			if errors.As(err, &e); e.Field != "Token" || len(f.requests) != 0 || tt.err != nil && !errors.Is(err, lost) {
				t.Errorf("got %v after %d requests", err, len(f.requests))
			}
		})
	}
	f := newFake()
	s := newSource(t, config(f))
	lease, err := s.lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if text := fmt.Sprintf(verb, lease) + fmt.Sprintf(verb, s.service); strings.Contains(text, token) || strings.Contains(text, "AAAAAAAA") || strings.Contains(text, "[0 0 0") {
			t.Errorf("%s prints the token or the key: %s", verb, text)
		}
	}
}

// A redirect would carry the token elsewhere, whatever the caller's Client thinks of redirects.
func TestRedirect(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		f := newFake()
		f.header = http.Header{"Location": {"https://planted.example/"}}
		f.answer = fails(status)
		c := config(f)
		c.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return nil }
		_, err := newSource(t, c).Key(t.Context(), time.Now())
		checkError(t, err)
		if !strings.Contains(err.Error(), "redirect") || len(f.requests) != 1 {
			t.Errorf("%d: got %v after %d requests", status, err, len(f.requests))
		}
	}
}

// The caller's Client is left as it was.
func TestClientIsACopy(t *testing.T) {
	c := config(newFake())
	newSource(t, c)
	if c.Client.CheckRedirect != nil {
		t.Error("the Client's CheckRedirect was set")
	}
}

func TestBody(t *testing.T) {
	for size, fails := range map[int]bool{1 << 20: false, 1<<20 + 1: true, 8 << 20: true} {
		f := newFake()
		f.answer = func(n int, body string) (int, string) {
			status, text := gives(n, body)
			return status, text + strings.Repeat(" ", size-len(text))
		}
		_, err := newSource(t, config(f)).Key(t.Context(), time.Now())
		if fails != (err != nil) || len(f.requests) != 1 {
			t.Errorf("%d bytes: got %v after %d requests", size, err, len(f.requests))
		}
		if fails {
			checkError(t, err)
		}
	}
}

func TestBadAnswer(t *testing.T) {
	_, good := gives(1, "<Start>2026-11-24T23:40:00Z</Start><Expiry>2026-12-01T23:40:00Z</Expiry>")
	if _, err := parseKey(opFetch(), []byte(good)); err != nil {
		t.Fatal(err)
	}
	replaced := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %s in %s", old, good)
		}
		return strings.Replace(good, old, new, 1)
	}
	value := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32))
	for name, answer := range map[string]string{
		"nothing":            "",
		"HTML":               "<html>planted",
		"JSON":               `{"planted":1}`,
		"another element":    strings.ReplaceAll(good, "UserDelegationKey", "Planted"),
		"an error":           denied,
		"cut":                good[:len(good)-3],
		"no Value":           replaced("<Value>"+value+"</Value>", ""),
		"an empty Value":     replaced(value, ""),
		"no base64":          replaced(value, "planted!"),
		"base64 of base64":   replaced(value, base64.StdEncoding.EncodeToString([]byte(value))),
		"no tenant":          replaced("<SignedTid>"+tenant+"</SignedTid>", ""),
		"no object":          replaced("<SignedOid>f27c2809-dfd7-4dbc-b5ed-b8b3b9341335</SignedOid>", ""),
		"a line feed":        replaced(tenant, tenant+"&#10;planted"),
		"a stranger's time":  replaced("2026-12-01T23:40:00Z", "planted"),
		"no start":           replaced("2026-11-24T23:40:00Z", ""),
		"the year 10000":     replaced("2026-12-01T23:40:00Z", "10000-12-01T23:40:00Z"),
		"another charset":    replaced(`encoding="utf-8"`, `encoding="utf-16"`),
		"an entity":          replaced(tenant, "&planted;"),
		"deep":               strings.Repeat("<a>", 1<<18),
		"deep within":        replaced("<SignedTid>", strings.Repeat("<a>", 1<<18)),
		"a document type":    "<!DOCTYPE a [<!ENTITY planted SYSTEM \"file:///etc/passwd\">]>" + replaced(tenant, "&planted;"),
		"padding bits in it": replaced(value, value[:42]+"F="),
	} {
		t.Run(name, func(t *testing.T) {
			h, err := parseKey(opFetch(), []byte(answer))
			if h != nil {
				t.Errorf("got %+v", h.fields)
			}
			checkError(t, err)
		})
	}
}
