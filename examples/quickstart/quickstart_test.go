package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/examples/internal/setup"
	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/signer"
)

func noEnv(string) string { return "" }

// env is an environment made of pairs.
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

// noSecrets fails the test if the account holds a signature or a parameter of one.
func noSecrets(t *testing.T, account string) {
	t.Helper()
	if found := regexp.MustCompile(`(?i)[0-9a-f]{64}|X-Amz-[a-z]+=|AWS4-HMAC`).FindString(account); found != "" {
		t.Errorf("the account holds %q:\n%s", found, account)
	}
}

func TestEmbedded(t *testing.T) {
	var out, errs bytes.Buffer
	if status := run(t.Context(), nil, noEnv, &out, &errs); status != 0 || errs.Len() > 0 {
		t.Fatalf("status %d, %s\n%s", status, &errs, &out)
	}
	account := out.String()
	noSecrets(t, account)
	for _, want := range []string{
		"embedded store at http://127.0.0.1:", "\n1. ", "\n8. ", "signed  PUT http://127.0.0.1:", "?REDACTED until ",
		greeting, "Gr%C3%BC%C3%9Fe.txt", "moved 1m0s ahead", "refused 403 AccessDenied: Request has expired", "404, it is gone",
	} {
		if !strings.Contains(account, want) {
			t.Errorf("the account lacks %q:\n%s", want, account)
		}
	}
	if n := strings.Count(account, "refused 403 SignatureDoesNotMatch"); n != 3 {
		t.Errorf("%d changed requests were refused, want 3:\n%s", n, account)
	}
	lines := strings.Split(strings.TrimSpace(account), "\n")
	if last := lines[len(lines)-1]; last != "OK: all 8 steps did as they say." {
		t.Errorf("the verdict is %q", last)
	}
}

// Flags and environment point it at another server, where nobody can move the clock.
func TestAnotherServer(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a URL to expire")
	}
	store := start(t)
	var out, errs bytes.Buffer
	status := run(t.Context(), []string{"-bucket", "demo"}, env("AWS_ENDPOINT_URL", store.URL, "AWS_REGION", store.Region,
		"AWS_ACCESS_KEY_ID", store.Credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY", string(store.Credentials.SecretKey.Reveal())), &out, &errs)
	if status != 0 || errs.Len() > 0 || !strings.Contains(out.String(), "3s later") {
		t.Errorf("status %d, %s\n%s", status, &errs, &out)
	}
	noSecrets(t, out.String())
}

// A bucket alone is one of Amazon's, and the account begins with it.
func TestAmazon(t *testing.T) {
	p, err := open(setup.Options{Provider: "s3", Bucket: "photos", Region: "eu-west-1"}, env("AWS_ACCESS_KEY_ID", "KEYID", "AWS_SECRET_ACCESS_KEY", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "bucket photos, region eu-west-1, at Amazon S3, for want of an -endpoint"; p.about != want {
		t.Errorf("it says %q, want %q", p.about, want)
	}
}

// The embedded store takes the region, and with -keep serves others by what is printed, until it is interrupted.
func TestKeep(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	r, w := io.Pipe()
	status := make(chan int, 1)
	go func() {
		status <- run(ctx, []string{"-keep", "-region", "eu-west-1"}, noEnv, w, w)
		w.Close()
	}()
	variables := make(map[string]string)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if words, ok := strings.CutPrefix(lines.Text(), "export "); ok {
			for word := range strings.FieldsSeq(words) {
				name, value, _ := strings.Cut(word, "=")
				variables[name] = value
			}
		}
		if strings.HasPrefix(lines.Text(), "Never print") {
			break
		}
	}
	getenv := func(name string) string { return variables[name] }
	s, c, err := setup.S3(setup.Options{Bucket: "demo"}, getenv)
	if err != nil {
		t.Fatal(err)
	}
	if c.Region != "eu-west-1" {
		t.Errorf("the region is %q", c.Region)
	}
	p, err := s.Presign(ctx, signer.Request{Query: url.Values{"list-type": {"2"}}, Expires: 40 * time.Second}) // shorter than the tour moved the clock
	if err != nil {
		t.Fatal(err)
	}
	get := func() (int, error) {
		resp, err := http.Get(p.URL)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		return resp.StatusCode, nil
	}
	if code, err := get(); code != http.StatusOK {
		t.Errorf("the kept store answers %d, %v", code, signer.RedactError(err))
	}
	interrupt()
	if got := <-status; got != 0 {
		t.Errorf("interrupted, the status is %d", got)
	}
	if code, err := get(); err == nil {
		t.Errorf("interrupted, the store still answers: %d", code)
	}
}

func start(t *testing.T) *storefake.Server {
	t.Helper()
	store, err := storefake.Start(storefake.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func TestFailures(t *testing.T) {
	store := start(t)
	id, secret := store.Credentials.AccessKeyID, string(store.Credentials.SecretKey.Reveal())
	full := env("AWS_ACCESS_KEY_ID", id, "AWS_SECRET_ACCESS_KEY", secret)
	at := func(flags ...string) []string { return append([]string{"-endpoint", store.URL}, flags...) }
	for name, tt := range map[string]struct {
		args   []string
		getenv func(string) string
		status int
		want   string
	}{
		"no bucket":       {at("-bucket", "none", "-region", "us-east-1"), full, 1, "there is no such bucket; create it first"},
		"bucket not said": {at(), full, 1, "-bucket is missing"},
		"only a flag":     {at(), full, 1, "to use the embedded store, leave out -endpoint\n"},
		"only a variable": {nil, env("AWS_ENDPOINT_URL", store.URL), 1, "to use the embedded store, unset AWS_ENDPOINT_URL\n"},
		"flag, variable":  {at(), env("AWS_ENDPOINT_URL", "x"), 1, "leave out -endpoint and unset AWS_ENDPOINT_URL\n"},
		"only a bucket":   {[]string{"-bucket", "demo"}, noEnv, 1, "this was to be Amazon S3, for want of an -endpoint; to use the embedded store, leave out -bucket\n"},
		"only bad URL":    {[]string{"-endpoint", "127.0.0.1:9000"}, noEnv, 1, "write http://127.0.0.1:9000"},
		"embedded region": {[]string{"-region", "x_y"}, noEnv, 1, `"x_y" is no region`},
		"keep a real one": {at("-keep", "-bucket", "demo", "-region", "us-east-1"), full, 2, "-keep is for the embedded store"},
		"no credentials":  {at("-bucket", "demo", "-region", "us-east-1"), noEnv, 1, "set AWS_ACCESS_KEY_ID"},
		"no region":       {at("-bucket", "demo"), full, 1, "Region"},
		"other region":    {at("-bucket", "demo", "-region", "eu-west-1"), full, 1, "expecting 'us-east-1'"},
		"other secret":    {at("-bucket", "demo", "-region", "us-east-1"), env("AWS_ACCESS_KEY_ID", id, "AWS_SECRET_ACCESS_KEY", "x"), 1, "SignatureDoesNotMatch"},
		"no server":       {[]string{"-endpoint", "http://127.0.0.1:1", "-bucket", "demo", "-region", "us-east-1"}, full, 1, "refused"},
		"no URL":          {[]string{"-endpoint", "http://a b", "-bucket", "demo", "-region", "us-east-1"}, full, 1, "-endpoint"},
		"provider":        {[]string{"-provider", "ftp"}, full, 1, `"ftp" is not known`},
		"flag":            {[]string{"-nonsense"}, full, 2, "not defined"},
		"argument":        {[]string{"x"}, full, 2, "flags only"},
		"help":            {[]string{"-h"}, full, 0, "with Amazon S3\n"},
		"help, variables": {[]string{"-h"}, full, 0, "AWS_ACCESS_KEY_ID"},
		"help, flags":     {[]string{"-h"}, full, 0, "-keep\n"},
	} {
		var out bytes.Buffer
		if status := run(t.Context(), tt.args, tt.getenv, &out, &out); status != tt.status || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s: status %d, want %d and %q:\n%s", name, status, tt.status, tt.want, &out)
		}
		noSecrets(t, out.String())
		if strings.Contains(out.String(), secret) {
			t.Errorf("%s: the secret is printed", name)
		}
	}
}

// A server that does something else than a step says is found out at that step, and the object is deleted.
func TestOtherServers(t *testing.T) {
	p, err := open(setup.Options{Provider: "s3"}, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	tour := func(via http.RoundTripper, pass func(context.Context, time.Duration) (string, error)) (string, error) {
		place := *p
		if pass != nil {
			place.pass = pass
		}
		var out bytes.Buffer
		err := (&tour{place: &place, out: &out, via: via, name: "quickstart-test.txt"}).all(t.Context())
		noSecrets(t, out.String())
		return out.String(), err
	}
	deletes := 0
	for _, tt := range []struct {
		what, step string
		lie        func(*http.Request) (body string, ok bool) // what it answers 200 to, and with what
	}{
		{"other bytes", "step 2: other bytes", func(r *http.Request) (string, bool) {
			return "other bytes", r.URL.Query().Has("response-content-disposition")
		}},
		{"no name to save under", "step 2: the answer has Content-Disposition", func(r *http.Request) (string, bool) {
			return greeting, r.URL.Query().Has("response-content-disposition")
		}},
		{"another list", "step 3", func(r *http.Request) (string, bool) {
			return "<ListBucketResult><Contents><Key>other</Key></Contents></ListBucketResult>", r.URL.Query().Has("list-type")
		}},
		{"no list", "step 3", func(r *http.Request) (string, bool) { return "none", r.URL.Query().Has("list-type") }},
		{"believes names", "step 4", func(r *http.Request) (string, bool) { return "", strings.Contains(r.URL.Path, "quickstart-0") }},
		{"believes methods", "step 5", func(r *http.Request) (string, bool) { return "", r.Method == "DELETE" }},
		{"believes headers", "step 6", func(r *http.Request) (string, bool) { return "", r.Header.Get("Content-Type") == "text/html" }},
		{"deletes nothing", "step 8", func(r *http.Request) (string, bool) {
			if r.Method == "DELETE" {
				deletes++
			}
			return "", r.Method == "GET" && deletes == 2 // the first one was the refused one of step 5
		}},
	} {
		deletes = 0
		if account, err := tour(liar{tt.lie}, nil); err == nil || !strings.HasPrefix(err.Error(), tt.step) {
			t.Errorf("%s: %v\n%s", tt.what, err, account)
		}
	}
	for what, pass := range map[string]func(context.Context, time.Duration) (string, error){
		"time stands still": func(context.Context, time.Duration) (string, error) { return "", nil },
		"interrupted":       func(context.Context, time.Duration) (string, error) { return "", context.Canceled },
	} {
		account, err := tour(http.DefaultTransport, pass)
		if err == nil || !strings.HasPrefix(err.Error(), "step 7") || !strings.Contains(account, "404, it is gone") {
			t.Errorf("%s: %v\n%s", what, err, account)
		}
	}
}

// A liar answers 200 where lie says so, and passes the rest on.
type liar struct {
	lie func(*http.Request) (body string, ok bool)
}

func (l liar) RoundTrip(r *http.Request) (*http.Response, error) {
	if body, ok := l.lie(r); ok {
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "text/plain")
		w.WriteString(body)
		return w.Result(), nil
	}
	return http.DefaultTransport.RoundTrip(r)
}

func TestWait(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := wait(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
