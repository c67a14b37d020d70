package iam

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

func opTest() pipeline.Op { return pipeline.Op{Backend: "gcs", Name: "test"} }

// tokens is a source of numbered tokens.
type tokens struct {
	start time.Time
	life  time.Duration // 0: without an expiry
	wait  time.Duration
	fails bool
	at    []time.Duration
}

func (s *tokens) token(ctx context.Context) (string, time.Time, error) {
	s.at = append(s.at, time.Since(s.start))
	select {
	case <-time.After(s.wait):
	case <-ctx.Done():
		return "", time.Time{}, ctx.Err()
	}
	if s.fails {
		return "", time.Time{}, errors.New("out of order")
	}
	var expires time.Time
	if s.life != 0 {
		expires = time.Now().Add(s.life)
	}
	return fmt.Sprintf("token%d", len(s.at)), expires, nil
}

// used are the tokens that the service saw.
func (f *fake) used() (names []string) {
	for _, r := range f.requests {
		names = append(names, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	}
	return names
}

// signAt signs a new text at each time from the start on.
func signAt(t *testing.T, k *key, f *fake, times ...time.Duration) (errs []error) {
	for _, at := range times {
		time.Sleep(at - time.Since(f.start))
		_, err := k.sign(t.Context(), []byte(at.String()))
		errs = append(errs, err)
	}
	return errs
}

// A token is kept until 3:45 before its end, when the metadata server has a new one, or for three quarters of a short life.
func TestTokenIsKept(t *testing.T) {
	const hour, minute, second = time.Hour, time.Minute, time.Second
	for name, tt := range map[string]struct {
		life   time.Duration
		signAt []time.Duration
		asked  []time.Duration
	}{
		"an hour":     {hour, []time.Duration{0, minute, 56*minute + 14*second, 56*minute + 15*second, 57 * minute}, []time.Duration{0, 56*minute + 15*second}},
		"4 minutes":   {4 * minute, []time.Duration{0, 3*minute - 1, 3 * minute, 4 * minute}, []time.Duration{0, 3 * minute}},
		"not said":    {0, []time.Duration{0, second, 2 * second}, []time.Duration{0, second, 2 * second}},
		"in the past": {-minute, []time.Duration{0, second}, []time.Duration{0, second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				source := &tokens{start: f.start, life: tt.life}
				c := config(f)
				c.Token = source.token
				if err := errors.Join(signAt(t, newKey(t, c), f, tt.signAt...)...); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(source.at, tt.asked) {
					t.Errorf("asked at %v, want %v", source.at, tt.asked)
				}
				if last := f.used()[len(tt.signAt)-1]; last != fmt.Sprintf("token%d", len(tt.asked)) {
					t.Errorf("the last request has %s", last)
				}
			})
		})
	}
}

// By the clock of the Config, and not by another.
func TestTokenClock(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	asked := 0
	f := newFake()
	c := config(f)
	c.Clock = clock.Func(func() time.Time { return now })
	c.Token = func(context.Context) (string, time.Time, error) {
		asked++
		return token, now.Add(time.Hour), nil
	}
	k := newKey(t, c)
	for i, want := range []int{1, 1, 2} {
		if _, err := k.sign(t.Context(), []byte(fmt.Sprint(i))); err != nil || asked != want {
			t.Errorf("%v: asked %d times, want %d, %v", now, asked, want, err)
		}
		now = now.Add(30 * time.Minute)
	}
}

// All who need a token wait for one.
func TestTokenIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		source := &tokens{start: f.start, life: time.Hour, wait: 30 * time.Millisecond}
		c := config(f)
		c.Token = source.token
		k := newKey(t, c)
		first, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := k.sign(first, []byte("first")); err != context.DeadlineExceeded {
				t.Errorf("the first got %v", err)
			}
		})
		synctest.Wait()
		for i := range 100 {
			all.Go(func() {
				if _, err := k.sign(t.Context(), []byte(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(source.at) != 1 || len(f.requests) != 100 || time.Since(f.start) != 30*time.Millisecond {
			t.Errorf("%d tokens for %d requests in %v", len(source.at), len(f.requests), time.Since(f.start))
		}
	})
}

// While no new one can be had the old one is used to its end, and the source is asked once a second at most.
func TestTokenSourceFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const minute, second = time.Minute, time.Second
		f := newFake()
		source := &tokens{start: f.start, life: time.Hour}
		c := config(f)
		c.Token = source.token
		k := newKey(t, c)
		signAt(t, k, f, 0)
		source.fails = true
		errs := signAt(t, k, f, 57*minute, 57*minute+second/2, 57*minute+second, 59*minute+49*second, 59*minute+50*second, 59*minute+50*second+second/2)
		if err := errors.Join(errs[:4]...); err != nil {
			t.Errorf("while the token lives: %v", err)
		}
		for _, err := range errs[4:] {
			if !errors.Is(err, signer.ErrRemote) || !strings.Contains(err.Error(), "Token: key service failed: there is no access token: out of order") {
				t.Errorf("after its end: %v", err)
			}
			checkError(t, err)
		}
		if want := []time.Duration{0, 57 * minute, 57*minute + second, 59*minute + 49*second, 59*minute + 50*second}; !slices.Equal(source.at, want) {
			t.Errorf("asked at %v, want %v", source.at, want)
		}
		source.fails = false
		if err := errors.Join(signAt(t, k, f, time.Hour)...); err != nil {
			t.Error(err)
		}
	})
}

// A token that the service refuses is forgotten.
func TestTokenIsRefused(t *testing.T) {
	f := newFake()
	f.answer = script(401)
	source := &tokens{start: f.start, life: time.Hour}
	c := config(f)
	c.Token = source.token
	k := newKey(t, c)
	for _, text := range []string{"a", "b"} {
		if _, err := k.sign(t.Context(), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"token1", "token2", "token2"}; !slices.Equal(f.used(), want) {
		t.Errorf("the service saw %v, want %v", f.used(), want)
	}
}

// What cannot stand in a header is no token, and is not printed.
func TestBadToken(t *testing.T) {
	for _, bad := range []string{"", "planted secret", "planted\nX-Evil: 1", "planted\x00", "planted\u00e9", "planted\x7f"} {
		f := newFake()
		c := config(f)
		c.Token = func(context.Context) (string, time.Time, error) { return bad, time.Now().Add(time.Hour), nil }
		_, err := newKey(t, c).sign(t.Context(), []byte("text"))
		if !errors.Is(err, signer.ErrRemote) || len(f.requests) != 0 || strings.Contains(err.Error(), "planted") {
			t.Errorf("%q: got %v after %d requests", bad, err, len(f.requests))
		}
	}
}

// The request is the documented one, and its token signs for another account.
func TestImpersonatedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const other = "other@proj.iam.gserviceaccount.com"
		f := newFake()
		f.answer = func(n int, r *http.Request, body []byte) (int, string) {
			if strings.HasSuffix(r.URL.Path, ":generateAccessToken") {
				return 200, `{"accessToken":"others-token","expireTime":"2000-01-01T01:00:00Z"}`
			}
			return signs(n, r, body)
		}
		c := config(f)
		c.Account = other
		c.Delegates = []string{account}
		impersonated, err := ImpersonatedToken(c)
		if err != nil {
			t.Fatal(err)
		}
		k := newKey(t, Config{Account: other, Client: c.Client, Token: impersonated})
		if err := errors.Join(signAt(t, k, f, 0, time.Minute, 57*time.Minute)...); err != nil {
			t.Fatal(err)
		}
		if want := []string{token, "others-token", "others-token", token, "others-token"}; !slices.Equal(f.used(), want) {
			t.Errorf("the service saw %v, want %v", f.used(), want)
		}
		r := f.requests[0]
		if want := "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/" + other + ":generateAccessToken?alt=json&prettyPrint=false"; r.URL.String() != want {
			t.Errorf("got %s, want %s", r.URL, want)
		}
		if want := `{"delegates":["projects/-/serviceAccounts/` + account + `"],"scope":["https://www.googleapis.com/auth/iam"]}`; string(r.body) != want {
			t.Errorf("got %s, want %s", r.body, want)
		}
	})
}

func TestImpersonatedTokenFails(t *testing.T) {
	for _, answer := range []string{"", "{}", `{"accessToken":"planted"}`, `{"expireTime":"2000-01-01T01:00:00Z"}`,
		`{"accessToken":"planted x","expireTime":"2000-01-01T01:00:00Z"}`, `{"accessToken":"planted","expireTime":"soon"}`} {
		f := newFake()
		f.answer = func(int, *http.Request, []byte) (int, string) { return 200, answer }
		impersonated, err := ImpersonatedToken(config(f))
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := impersonated(t.Context())
		if got != "" || !errors.Is(err, signer.ErrRemote) || strings.Contains(err.Error(), "planted") {
			t.Errorf("%q: got %v", answer, err)
		}
	}
	f := newFake()
	f.answer = func(int, *http.Request, []byte) (int, string) { return 403, `{"error":{"status":"PERMISSION_DENIED"}}` }
	impersonated, err := ImpersonatedToken(config(f))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = impersonated(t.Context())
	if !errors.Is(err, signer.ErrRemote) || !strings.Contains(err.Error(), "iam.serviceAccounts.getAccessToken") || len(f.requests) != 2 {
		t.Errorf("got %v after %d requests", err, len(f.requests))
	}
}

// A metadata server answers with a text, and says who it is.
func metadataFake(text string) *fake {
	f := newFake()
	f.header = http.Header{"Metadata-Flavor": {"Google"}}
	f.answer = func(int, *http.Request, []byte) (int, string) { return 200, text }
	return f
}

func TestMetadataToken(t *testing.T) {
	f := metadataFake(`{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}`)
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	get := MetadataToken(&http.Client{Transport: f}, "", clock.Fixed(now))
	got, expires, err := get(t.Context())
	if err != nil || got != "ya29.x" || !expires.Equal(now.Add(3599*time.Second)) {
		t.Errorf("got %q, %v, %v", got, expires, err)
	}
	r := f.requests[0]
	if want := "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token"; r.Method != "GET" || r.URL.String() != want ||
		r.Header.Get("Metadata-Flavor") != "Google" || len(r.body) != 0 || r.Header.Get("Authorization") != "" {
		t.Errorf("got %s %s %v", r.Method, r.URL, r.Header)
	}
}

func TestMetadataEmail(t *testing.T) {
	f := metadataFake(account + "\n")
	got, err := MetadataEmail(t.Context(), &http.Client{Transport: f}, "metadata.google.internal:80")
	if err != nil || got != account {
		t.Errorf("got %q, %v", got, err)
	}
	if r := f.requests[0]; r.URL.String() != "http://metadata.google.internal:80/computeMetadata/v1/instance/service-accounts/default/email" || r.Header.Get("Metadata-Flavor") != "Google" {
		t.Errorf("got %s %v", r.URL, r.Header)
	}
	for answer, want := range map[string]string{
		"proj.svc.id.goog":                 "workload identity pool",
		"proj.svc.id.goog[ns/name]":        "not the address",
		"":                                 "it is empty",
		"a@b.com/../x":                     "not the address",
		"<html>" + strings.Repeat("x", 99): "not the address",
	} {
		got, err := MetadataEmail(t.Context(), &http.Client{Transport: metadataFake(answer)}, "")
		if got != "" || !errors.Is(err, signer.ErrRemote) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q, %v", answer, got, err)
		}
	}
}

// The server's host is one that http does not leave the machine for.
func TestMetadataHost(t *testing.T) {
	for _, host := range []string{"", "169.254.169.254", "169.254.169.254:80", "metadata.google.internal", "Metadata.Google.Internal", "127.0.0.1:8080", "localhost:1", "[::1]:1", "[fe80::1]"} {
		f := metadataFake(account)
		if _, err := MetadataEmail(t.Context(), &http.Client{Transport: f}, host); err != nil || len(f.requests) != 1 {
			t.Errorf("%q: got %v", host, err)
		}
	}
	for _, host := range []string{"10.0.0.1", "example.com", "metadata.google.internal.example.com", "127.0.0.1.example.com", "169.254.169.254@example.com", "example.com/",
		"127.0.0.1/x?", "127.0.0.1#", "a b", "http://127.0.0.1", "169.254.169.254.", "[fd20:ce::254]", "8.8.8.8:80"} {
		f := metadataFake(account)
		if _, err := MetadataEmail(t.Context(), &http.Client{Transport: f}, host); !errors.Is(err, signer.ErrRequest) || len(f.requests) != 0 {
			t.Errorf("%q: got %v after %d requests", host, err, len(f.requests))
		}
		if _, _, err := MetadataToken(&http.Client{Transport: f}, host, nil)(t.Context()); !errors.Is(err, signer.ErrRequest) || len(f.requests) != 0 {
			t.Errorf("%q: got %v after %d requests", host, err, len(f.requests))
		}
	}
}

// A URL where the host is meant is told as one.
func TestMetadataHostIsNoURL(t *testing.T) {
	for _, host := range []string{"http://169.254.169.254", "http://metadata.google.internal/computeMetadata/v1", "metadata.google.internal/"} {
		_, err := MetadataEmail(t.Context(), nil, host)
		_, _, err2 := MetadataToken(nil, host, nil)(t.Context())
		for _, err := range []error{err, err2} {
			if !errors.Is(err, signer.ErrRequest) || !strings.Contains(err.Error(), ": host: bad request: it is a URL or a path; write the host alone") {
				t.Errorf("%q: %v", host, err)
			}
		}
	}
}

func TestMetadataFails(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		header http.Header
		body   string
		asked  int
		want   string
	}{
		"another server":        {200, nil, `{"access_token":"planted","expires_in":3599}`, 1, "no metadata server"},
		"another flavor":        {200, http.Header{"Metadata-Flavor": {"Other"}}, `{"access_token":"planted","expires_in":3599}`, 1, "no metadata server"},
		"no account":            {404, http.Header{"Metadata-Flavor": {"Google"}}, "", 1, "must run as a service account"},
		"forbidden":             {403, http.Header{"Metadata-Flavor": {"Google"}}, "", 1, "answers 403"},
		"out of order":          {503, http.Header{"Metadata-Flavor": {"Google"}}, "", 4, "answers 503"},
		"not there":             {-1, nil, "no route to host", 4, "is this Google Cloud?"},
		"redirect":              {302, http.Header{"Metadata-Flavor": {"Google"}, "Location": {"/x"}}, "", 1, "redirect"},
		"no token":              {200, http.Header{"Metadata-Flavor": {"Google"}}, `{"expires_in":3599}`, 1, "access_token"},
		"no expiry":             {200, http.Header{"Metadata-Flavor": {"Google"}}, `{"access_token":"planted"}`, 1, "expires_in"},
		"a negative expiry":     {200, http.Header{"Metadata-Flavor": {"Google"}}, `{"access_token":"planted","expires_in":-1}`, 1, "expires_in"},
		"an expiry in years":    {200, http.Header{"Metadata-Flavor": {"Google"}}, `{"access_token":"planted","expires_in":99999999}`, 1, "expires_in"},
		"an expiry as a text":   {200, http.Header{"Metadata-Flavor": {"Google"}}, `{"access_token":"planted","expires_in":"3599"}`, 1, "expires_in"},
		"a token with a blank":  {200, http.Header{"Metadata-Flavor": {"Google"}}, `{"access_token":"planted x","expires_in":3599}`, 1, "access_token"},
		"a page instead of it":  {200, http.Header{"Metadata-Flavor": {"Google"}}, "<html>", 1, "access_token"},
		"a megabyte and a byte": {200, http.Header{"Metadata-Flavor": {"Google"}}, strings.Repeat(" ", 1<<20+1), 1, "1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.header = tt.header
				f.answer = func(int, *http.Request, []byte) (int, string) { return tt.status, tt.body }
				got, _, err := MetadataToken(&http.Client{Transport: f}, "", nil)(t.Context())
				if got != "" || !errors.Is(err, signer.ErrRemote) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "planted") {
					t.Errorf("got %q, %v", got, err)
				}
				if len(f.requests) != tt.asked {
					t.Errorf("%d requests, want %d", len(f.requests), tt.asked)
				}
			})
		})
	}
}

// The end of ctx is told as such, and not as the server's failure.
func TestMetadataContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := metadataFake(account)
		f.latency = time.Minute
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := MetadataEmail(ctx, &http.Client{Transport: f}, ""); err != context.DeadlineExceeded || time.Since(f.start) != time.Second || len(f.requests) != 1 {
			t.Errorf("got %v after %v and %d requests", err, time.Since(f.start), len(f.requests))
		}
	})
}
