package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/cdn"
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
	if found := regexp.MustCompile(`(?i)[0-9a-f]{64}|X-(Amz|Goog|Oss)-[a-z]+=|(AWS4|GOOG4|OSS4)-HMAC|sig(nature)?=`).FindString(account); found != "" {
		t.Errorf("the account holds %q:\n%s", found, account)
	}
}

func TestEmbedded(t *testing.T) {
	var out, errs bytes.Buffer
	env := env("AWS_ENDPOINT_URL", "http://127.0.0.1:1", "AWS_REGION", "x") // which is for those who ask for s3
	if status := run(t.Context(), nil, env, &out, &errs); status != 0 || errs.Len() > 0 {
		t.Fatalf("status %d, %s\n%s", status, &errs, &out)
	}
	account := out.String()
	noSecrets(t, account)
	for _, want := range []string{"\ns3: ", "\ngcs: ", "\ncdn: ", "\nazure: ", "\noss: ", "embedded store at http://127.0.0.1:",
		"400 ExpiredToken", "AuthorizationPermissionMismatch", "not signed: unsupported", "GET 200, and refused, 403"} {
		if !strings.Contains(account, want) {
			t.Errorf("the account lacks %q:\n%s", want, account)
		}
	}
	for what, want := range map[string]int{"\n 1  upload": 5, "GET 200, 65 bytes as Grüße.txt": 5, "GET 200, names it": 4, "SignatureDoesNotMatch": 9, "then GET 404": 5} {
		if n := strings.Count(account, what); n != want {
			t.Errorf("%q is there %d times, want %d:\n%s", what, n, want, account)
		}
	}
	lines := strings.Split(strings.TrimSpace(account), "\n")
	if last := lines[len(lines)-1]; last != "OK: all 42 steps did as they say." || len(lines) > 63 {
		t.Errorf("the verdict is %q, after %d lines", last, len(lines))
	}
}

// Each provider goes alone too, and -v tells all.
func TestProviders(t *testing.T) {
	for provider, wants := range map[string][]string{
		"s3":    {"refused  403 AccessDenied: Request has expired", "refused  403 SignatureDoesNotMatch: "},
		"gcs":   {"refused  400 ExpiredToken: Invalid argument. The provided token has expired. Request signature expired at: "},
		"cdn":   {"refused  403: Forbidden", "refused  403 AccessDenied: Access denied. Anonymous caller", "not enforced: Response.ContentDisposition"},
		"azure": {"Signature did not match", "Signature not valid in the specified time frame", "not enforced: Header.Content-Type", "error    azure: presign: Header: unsupported"},
		"oss":   {"refused  403 AccessDenied: Request has expired"},
	} {
		var out bytes.Buffer
		if status := run(t.Context(), []string{"-v", "-provider", provider}, noEnv, &out, &out); status != 0 {
			t.Errorf("%s: status %d\n%s", provider, status, &out)
		}
		noSecrets(t, out.String())
		for _, want := range append(wants, "?REDACTED until ", strings.TrimSpace(greeting), "Gr%C3%BC%C3%9Fe.txt", "moved 1m0s ahead", "404, it is gone") {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: the account lacks %q:\n%s", provider, want, &out)
			}
		}
	}
}

// variables are the flags and the environment of a provider's clients for a store, as if it were a real service.
func variables(t *testing.T, store *storefake.Server, provider string) (flags []string, getenv func(string) string) {
	t.Helper()
	gcs := []string{"STORAGE_EMULATOR_HOST", store.URL, "GS_ACCESS_KEY_ID", store.GCSKey.ID(), "GS_SECRET_ACCESS_KEY", string(store.GCSSecret.Reveal())}
	flags = []string{"-provider", provider, "-bucket", "demo"}
	switch provider {
	case "s3":
		return flags, env("AWS_ENDPOINT_URL", store.URL, "AWS_REGION", store.Region,
			"AWS_ACCESS_KEY_ID", store.Credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY", string(store.Credentials.SecretKey.Reveal()))
	case "gcs":
		return flags, env(gcs...)
	case "azure":
		return flags, env("AZURE_STORAGE_SERVICE_ENDPOINT", store.URL, "AZURE_STORAGE_ACCOUNT", store.AzureAccount,
			"AZURE_STORAGE_KEY", base64.StdEncoding.EncodeToString(store.AzureKey.Secret().Reveal()))
	case "oss":
		return flags, env("OSS_ENDPOINT", store.URL, "OSS_REGION", store.Region, "OSS_ACCESS_KEY_ID", store.OSS.AccessKeyID,
			"OSS_ACCESS_KEY_SECRET", string(store.OSS.AccessKeySecret.Reveal()))
	case "cdn":
		file := filepath.Join(t.TempDir(), "cdn.key")
		if err := os.WriteFile(file, []byte(base64.URLEncoding.EncodeToString(store.CDNKey.Secret.Reveal())), 0o600); err != nil {
			t.Fatal(err)
		}
		return append(flags, "-endpoint", store.CDNBase().String(), "-key-name", store.CDNKey.Name, "-key-file", file), env(gcs...)
	}
	t.Fatal(provider)
	return nil, nil
}

// Flags and environment point it at another server, where nobody can move the clock.
func TestAnotherServer(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a URL to expire")
	}
	for _, provider := range setup.Providers() {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			store := start(t)
			flags, getenv := variables(t, store, provider)
			if provider == "cdn" { // only the store's own transport finds it
				w, err := open(setup.Options{Provider: provider, Bucket: "demo", Endpoint: flags[5], KeyName: flags[7], KeyFile: flags[9]}, getenv)
				if err != nil {
					t.Fatal(err)
				}
				p := w.places[0]
				p.client = store.Transport()
				var out bytes.Buffer
				if err := (&tour{place: p, out: &out, name: "quickstart-test.txt"}).all(t.Context()); err != nil {
					t.Errorf("%v\n%s", err, &out)
				}
				return
			}
			var out, errs bytes.Buffer
			status := run(t.Context(), append(flags, "-v"), getenv, &out, &errs)
			if status != 0 || errs.Len() > 0 || !strings.Contains(out.String(), "3s later") {
				t.Errorf("status %d, %s\n%s", status, &errs, &out)
			}
			noSecrets(t, out.String())
		})
	}
}

// A bucket alone is one of Amazon's, and the account begins with it.
func TestAmazon(t *testing.T) {
	w, err := open(setup.Options{Provider: "s3", Bucket: "photos", Region: "eu-west-1"}, env("AWS_ACCESS_KEY_ID", "KEYID", "AWS_SECRET_ACCESS_KEY", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	if want, got := "bucket photos, region eu-west-1, at Amazon S3, for want of an -endpoint", w.places[0].about; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
}

// The embedded store takes the region, and with -keep serves others by what is printed, until it is interrupted.
func TestKeep(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	r, w := io.Pipe()
	status := make(chan int, 1)
	go func() {
		status <- run(ctx, []string{"-keep", "-region", "eu-west-1"}, noEnv, w, w) // all providers
		w.Close()
	}()
	variables := make(map[string]string)
	var key, cdnFlags string
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line := lines.Text()
		if words, ok := strings.CutPrefix(line, "export "); ok {
			for word := range strings.FieldsSeq(words) {
				name, value, _ := strings.Cut(word, "=")
				variables[name] = value
			}
		}
		if rest, ok := strings.CutPrefix(line, "echo "); ok {
			key, _, _ = strings.Cut(rest, " ")
		}
		if _, rest, ok := strings.Cut(line, "-provider cdn "); ok {
			cdnFlags = rest
		}
		if strings.HasPrefix(line, "Never print") {
			break
		}
	}
	getenv := func(name string) string { return variables[name] }
	if _, about, err := setup.NewSigner(setup.Options{Provider: "s3", Bucket: "demo"}, getenv); err != nil || !strings.Contains(about, "eu-west-1") {
		t.Errorf("%q, %v", about, err)
	}
	for _, provider := range setup.Providers() {
		o := setup.Options{Provider: provider, Bucket: "demo"}
		if provider == "cdn" {
			if _, err := cdn.ParseKey("k", key); err != nil || !strings.HasPrefix(cdnFlags, "-endpoint http://cdn.store.test -key-name store-") {
				t.Errorf("%v, %q", err, cdnFlags)
			}
			continue
		}
		s, _, err := setup.NewSigner(o, getenv)
		if err != nil {
			t.Fatal(err)
		}
		// Shorter than the tour moved the clock.
		p, err := s.Presign(ctx, signer.Request{Key: "none", Expires: 40 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Get(p.URL)
		if err != nil {
			t.Fatal(signer.RedactError(err))
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: the kept store answers %d", provider, resp.StatusCode)
		}
	}
	s, _, err := setup.NewSigner(setup.Options{Provider: "s3", Bucket: "demo"}, getenv)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Presign(ctx, signer.Request{Query: url.Values{"list-type": {"2"}}, Expires: 40 * time.Second})
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
		"only a variable": {[]string{"-provider", "s3"}, env("AWS_ENDPOINT_URL", store.URL), 1, "to use the embedded store, unset AWS_ENDPOINT_URL\n"},
		"Google's":        {[]string{"-provider", "gcs"}, env("STORAGE_EMULATOR_HOST", "x"), 1, "to use the embedded store, unset STORAGE_EMULATOR_HOST\n"},
		"only an account": {[]string{"-provider", "azure", "-account", "a"}, noEnv, 1, "to use the embedded store, leave out -account\n"},
		"a CDN's bucket":  {[]string{"-provider", "cdn", "-bucket", "b"}, noEnv, 1, "-key-file is missing"},
		"flag, variable":  {at(), env("AWS_ENDPOINT_URL", "x"), 1, "leave out -endpoint and unset AWS_ENDPOINT_URL\n"},
		"only a bucket":   {[]string{"-bucket", "demo"}, noEnv, 1, "this was to be the provider's own service, for want of an -endpoint; to use the embedded store, leave out -bucket\n"},
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
		"another's flag":  {at("-bucket", "demo", "-account", "a"), full, 2, "-account is for azure, and -provider is s3"},
		"flag":            {[]string{"-nonsense"}, full, 2, "not defined"},
		"argument":        {[]string{"x"}, full, 2, "flags only"},
		"help":            {[]string{"-h"}, full, 0, "a real service"},
		"help, variables": {[]string{"-h"}, full, 0, "AWS_ACCESS_KEY_ID"},
		"help, flags":     {[]string{"-h"}, full, 0, "-keep\n"},
		"help, Azure's":   {[]string{"-h"}, full, 0, "AZURE_STORAGE_KEY"},
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
	for _, provider := range setup.Providers() {
		t.Run(provider, func(t *testing.T) { testOtherServers(t, provider) })
	}
}

func testOtherServers(t *testing.T, provider string) {
	w, err := open(setup.Options{Provider: provider}, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	p := w.places[0]
	tour := func(lie func(*http.Request) (string, bool), pass func(context.Context, time.Duration) (string, error)) (string, error) {
		place := *p
		place.client = liar{lie, p.client}
		if pass != nil {
			place.pass = pass
		}
		var out bytes.Buffer
		err := (&tour{place: &place, out: &out, verbose: true, name: "quickstart-test.txt"}).all(t.Context())
		noSecrets(t, out.String())
		return out.String(), err
	}
	// step is the number of the one that does this, 0 if there is none.
	step := func(title string) int {
		return 1 + slices.IndexFunc(p.steps, func(s step) bool { return strings.Contains(s.title, title) })
	}
	overrides := func(r *http.Request) bool {
		q := r.URL.Query()
		return q.Has("response-content-disposition") || q.Has("rscd")
	}
	lists := func(r *http.Request) bool {
		return strings.Trim(r.URL.Path, "/") != "" && !strings.Contains(r.URL.Path, "quickstart-")
	}
	cookie := func(r *http.Request) bool { return r.Header.Get("Cookie") != "" }
	deletes, posts := 0, 0
	for _, tt := range []struct {
		what string
		step int
		lie  func(*http.Request) (body string, ok bool) // what it answers 200 to, and with what
	}{
		{"other bytes", step("download it"), func(r *http.Request) (string, bool) { return "other bytes", overrides(r) }},
		{"no name to save under", step("download it"), func(r *http.Request) (string, bool) { return greeting, overrides(r) }},
		{"another list", step("list"), func(r *http.Request) (string, bool) {
			if provider == "azure" {
				return "<EnumerationResults><Blobs><Blob><Name>other</Name></Blob></Blobs></EnumerationResults>", lists(r)
			}
			return "<ListBucketResult><Contents><Key>other</Key></Contents></ListBucketResult>", lists(r)
		}},
		{"no list", step("list"), func(r *http.Request) (string, bool) { return "none", lists(r) }},
		{"believes names", step("another object's name"), func(r *http.Request) (string, bool) { return "", strings.Contains(r.URL.Path, "quickstart-0") }},
		{"believes methods", step("URL to delete"), func(r *http.Request) (string, bool) { return "", r.Method == "DELETE" }},
		{"believes headers", step("for a web page"), func(r *http.Request) (string, bool) { return "", r.Header.Get("Content-Type") == "text/html" }},
		{"wants no cookie", step("cookie"), func(r *http.Request) (string, bool) { return greeting, r.URL.RawQuery == "" && !cookie(r) }},
		{"takes any form", step("a form"), func(r *http.Request) (string, bool) {
			if r.Method == "POST" {
				posts++
			}
			return "", r.Method == "POST" && posts == 2 // the first one was good
		}},
		{"deletes nothing", len(p.steps), func(r *http.Request) (string, bool) {
			if r.Method == "DELETE" && strings.HasSuffix(r.URL.Path, ".txt") {
				deletes++
			}
			return "", r.Method == "GET" && deletes == 2 // the first one was the refused one
		}},
	} {
		deletes, posts = 0, 0
		want := fmt.Sprintf("step %d, ", tt.step)
		if account, err := tour(tt.lie, nil); tt.step > 0 && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: %v, want %s\n%s", tt.what, err, want, account)
		}
		if tt.step > 0 && tt.step < len(p.steps) && tt.what != "believes methods" && len(w.store.Keys()) > 0 {
			t.Errorf("%s: %q is left", tt.what, w.store.Keys())
		}
		for _, key := range w.store.Keys() {
			w.store.Delete(key)
		}
	}
	honest := func(*http.Request) (string, bool) { return "", false }
	for what, pass := range map[string]func(context.Context, time.Duration) (string, error){
		"time stands still": func(context.Context, time.Duration) (string, error) { return "", nil },
		"interrupted":       func(context.Context, time.Duration) (string, error) { return "", context.Canceled },
	} {
		account, err := tour(honest, pass)
		if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("step %d, ", step("after its end"))) || len(w.store.Keys()) > 0 {
			t.Errorf("%s: %v, %q\n%s", what, err, w.store.Keys(), account)
		}
	}
	if strings.Contains("s3 gcs oss azure", provider) != (step("list") > 0) || (provider == "cdn") != (step("cookie") > 0) {
		t.Error("a step is missing")
	}
}

// One provider that fails does not keep the others from theirs, and the status says so.
func TestOneFails(t *testing.T) {
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if status := run(ctx, nil, noEnv, &out, &out); status != 1 || strings.Count(out.String(), "FAILED: step 1") != 5 ||
		!strings.HasSuffix(out.String(), "FAILED with s3, gcs, cdn, azure, oss.\n") {
		t.Errorf("status %d\n%s", status, &out)
	}
}

// A liar answers 200 where lie says so, and passes the rest on.
type liar struct {
	lie    func(*http.Request) (body string, ok bool)
	honest http.RoundTripper
}

func (l liar) RoundTrip(r *http.Request) (*http.Response, error) {
	if body, ok := l.lie(r); ok {
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "text/plain")
		w.WriteString(body)
		return w.Result(), nil
	}
	return l.honest.RoundTrip(r)
}

func TestWait(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := wait(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
