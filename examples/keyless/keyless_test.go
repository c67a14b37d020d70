package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
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

func TestDemonstration(t *testing.T) {
	var out, errs bytes.Buffer
	if status := run(t.Context(), nil, noEnv, &out, &errs); status != 0 || errs.Len() > 0 {
		t.Fatalf("status %d, %s\n%s", status, &errs, &out)
	}
	account := out.String()
	for _, want := range []string{
		"\n1. ", "\n11. ", "account   " + ambient, "signed    GET https://storage.googleapis.com/photos/2026/cat.jpg?REDACTED until ",
		"verified  PUT photos/in/new.jpg, signed by " + other, "refused   502: ", "iam.serviceAccounts.signBlob",
		"gcloud iam service-accounts add-iam-policy-binding " + other, "given up  by the caller", "refused   400: ",
	} {
		if !strings.Contains(account, want) {
			t.Errorf("the account lacks %q:\n%s", want, account)
		}
	}
	lines := strings.Split(strings.TrimSpace(account), "\n")
	if last := lines[len(lines)-1]; last != "OK: all 11 steps did as they say." {
		t.Errorf("the verdict is %q", last)
	}
	if found := regexp.MustCompile(`(?i)[0-9a-f]{64}|X-Goog-[a-z]+=|ya29|Bearer`).FindString(account); found != "" {
		t.Errorf("the account holds %q:\n%s", found, account)
	}
}

// Each step notices when things are not as it says, and the exit status tells.
func TestSpoiledDemonstration(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*standIn)
		want  string
	}{
		"another key signs": {func(g *standIn) {
			g.spoiled = func(path string, body []byte) []byte {
				if strings.HasPrefix(path, "/service_accounts/") {
					return swapKey(t, body)
				}
				return body
			}
		}, "FAILED: step 2: the URL does not verify"},
		"no signature": {func(g *standIn) {
			g.spoiled = func(path string, body []byte) []byte {
				if strings.HasSuffix(path, ":signBlob") {
					return []byte("{}")
				}
				return body
			}
		}, "FAILED: step 2: the service was to sign, and answers 502"},
		"no token": {func(g *standIn) {
			g.spoiled = func(path string, body []byte) []byte {
				if strings.HasSuffix(path, "/token") {
					return []byte("{}")
				}
				return body
			}
		}, "FAILED: step 2: the service was to sign, and answers 502"},
		"the role is there already": {func(g *standIn) { g.grant(other) }, "FAILED: step 5: the service was to answer 502"},
		"a fault is noted":          {func(g *standIn) { g.faults = []string{"planted"} }, "FAILED: step 1: the stand-in was asked something else than Google documents: planted"},
		"another account":           {func(g *standIn) { delete(g.keys, ambient) }, "is not a service account"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			status := demonstrate(t.Context(), &out, &errs, tt.spoil)
			if status != 1 || !strings.Contains(out.String(), tt.want) {
				t.Errorf("status %d, want 1 and %q\n%s", status, tt.want, &out)
			}
		})
	}
}

// swapKey puts another modulus into a set of JWKs.
func swapKey(t *testing.T, body []byte) []byte {
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		t.Error(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Error(err)
	}
	set.Keys[0]["n"] = base64URL(key.N.Bytes())
	swapped, _ := json.Marshal(set)
	return swapped
}

// The stand-in is as strict as it says.
func TestStandIn(t *testing.T) {
	g, err := startStandIn(ambient)
	if err != nil {
		t.Fatal(err)
	}
	defer g.server.Close()
	const good = `{"payload":"R09PRzQtUlNBLVNIQTI1Ngo="}` // GOOG4-RSA-SHA256 and a line feed
	path := "/v1/projects/-/serviceAccounts/" + ambient + ":signBlob?alt=json&prettyPrint=false"
	for name, tt := range map[string]struct {
		method, path, body string
		header             http.Header
		status             int
		fault              bool
	}{
		"as documented":         {"POST", path, good, nil, 200, false},
		"a line feed more":      {"POST", path, good + "\n", nil, 400, true},
		"a member more":         {"POST", path, `{"delegates":[],"payload":"R09PRzQtUlNBLVNIQTI1Ngo="}`, nil, 400, true},
		"another text":          {"POST", path, `{"payload":"AAAA"}`, nil, 400, true},
		"no JSON":               {"POST", path, `x`, nil, 400, true},
		"another verb":          {"POST", strings.Replace(path, "signBlob", "signJwt", 1), good, nil, 400, true},
		"another query":         {"POST", strings.TrimSuffix(path, "false") + "true", good, nil, 400, true},
		"another type":          {"POST", path, good, http.Header{"Content-Type": {"text/plain"}}, 400, true},
		"another token":         {"POST", path, good, http.Header{"Authorization": {"Bearer x"}}, 401, false},
		"no token":              {"POST", path, good, http.Header{"Authorization": nil}, 401, false},
		"another account":       {"POST", strings.Replace(path, ambient, other, 1), good, nil, 404, false},
		"another method":        {"GET", path, "", nil, 405, false},
		"metadata by a browser": {"GET", "/computeMetadata/v1/instance/service-accounts/default/token", "", nil, 400, true},
		"another host":          {"POST", path, good, http.Header{"Host": {"evil.example"}}, 421, false},
		"keys of a stranger":    {"GET", "/service_accounts/v1/metadata/jwk/x@y", "", nil, 404, false},
	} {
		g.faults = nil
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+g.host+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Authorization": {"Bearer " + g.token}, "Content-Type": {"application/json"}}
		for name, values := range tt.header {
			req.Header[name] = values
		}
		req.Host = req.Header.Get("Host")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.status || (g.wrong() != nil) != tt.fault {
			t.Errorf("%s: got %d, %v; want %d", name, resp.StatusCode, g.wrong(), tt.status)
		}
	}
}

// With -serve it serves until it is interrupted, and listens on loopback unless it is told otherwise.
func TestServe(t *testing.T) {
	g, err := startStandIn(ambient, other)
	if err != nil {
		t.Fatal(err)
	}
	defer g.server.Close()
	g.grant(other)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	r, w := io.Pipe()
	status := make(chan int, 1)
	go func() {
		status <- run(ctx, []string{"-serve", "-bucket", "photos", "-as", other, "-listen", "127.0.0.1:0", "-iam", g.url("").String()}, env("GCE_METADATA_HOST", g.host), w, w)
		w.Close()
	}()
	lines := bufio.NewScanner(r)
	lines.Scan()
	address, ok := strings.CutPrefix(lines.Text(), "keyless: signing as "+ambient+", on ")
	if !ok {
		t.Fatalf("it says %q", lines.Text())
	}
	go func() {
		for lines.Scan() {
		}
	}()
	post := func(host string, form url.Values) (int, http.Header, string) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/sign", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header, string(body)
	}
	for _, as := range []string{"", other} {
		code, header, body := post("", url.Values{"object": {"cat.jpg"}, "for": {"15m"}, "as": {as}})
		if code != 200 || header.Get("Cache-Control") != "no-store" || header.Get("Content-Type") != "application/json" || !strings.Contains(body, "https://storage.googleapis.com/photos/cat.jpg?") {
			t.Errorf("as %q: got %d %v %s", as, code, header, body)
		}
	}
	for name, tt := range map[string]struct {
		host string
		form url.Values
		want int
	}{
		"another host":    {"evil.example", url.Values{"object": {"cat.jpg"}, "for": {"15m"}}, 421},
		"no object":       {"", url.Values{"for": {"15m"}}, 400},
		"no life":         {"", url.Values{"object": {"cat.jpg"}}, 400},
		"a negative life": {"", url.Values{"object": {"cat.jpg"}, "for": {"-15m"}}, 400},
		"a bad object":    {"", url.Values{"object": {"../cat.jpg"}, "for": {"15m"}}, 400},
		"a bad method":    {"", url.Values{"object": {"cat.jpg"}, "for": {"15m"}, "method": {"get"}}, 400},
		"a stranger":      {"", url.Values{"object": {"cat.jpg"}, "for": {"15m"}, "as": {"x@y"}}, 403},
	} {
		if code, _, body := post(tt.host, tt.form); code != tt.want {
			t.Errorf("%s: got %d %s, want %d", name, code, body, tt.want)
		}
	}
	if err := g.wrong(); err != nil {
		t.Error(err)
	}
	interrupt()
	select {
	case got := <-status:
		if got != 0 {
			t.Errorf("interrupted, the status is %d", got)
		}
	case <-time.After(time.Minute):
		t.Error("interrupted, it goes on")
	}
}

func TestFailures(t *testing.T) {
	g, err := startStandIn(ambient)
	if err != nil {
		t.Fatal(err)
	}
	defer g.server.Close()
	here := env("GCE_METADATA_HOST", g.host)
	for name, tt := range map[string]struct {
		args   []string
		getenv func(string) string
		status int
		want   string
	}{
		"help":             {[]string{"-h"}, noEnv, 0, "usage: keyless"},
		"an argument":      {[]string{"x"}, noEnv, 2, "it takes flags only"},
		"an unknown flag":  {[]string{"-x"}, noEnv, 2, "-h lists the flags"},
		"no bucket":        {[]string{"-serve"}, noEnv, 2, "-bucket is missing"},
		"flags without it": {[]string{"-bucket", "photos"}, noEnv, 2, "flags go with -serve"},
		"a bad account":    {[]string{"-serve", "-bucket", "photos", "-as", "x"}, here, 1, "gcs: new iam key: Account: "},
		"http to IAM":      {[]string{"-serve", "-bucket", "photos", "-iam", "http://iam.example.com"}, here, 1, "it is http"},
		"no URL of IAM":    {[]string{"-serve", "-bucket", "photos", "-iam", "http://a b"}, here, 1, "-iam is no URL"},
		"a bad bucket":     {[]string{"-serve", "-bucket", "a/b"}, here, 1, "Bucket"},
		"a far server":     {[]string{"-serve", "-bucket", "photos"}, env("GCE_METADATA_HOST", "example.com"), 1, "neither link-local nor loopback"},
		"a bad address":    {[]string{"-serve", "-bucket", "photos", "-listen", "127.0.0.1:x"}, here, 1, "unknown port"},
		"a bad port":       {[]string{"-serve", "-bucket", "photos"}, env("GCE_METADATA_HOST", g.host, "K_SERVICE", "keyless", "PORT", "x"), 1, "listen tcp"},
	} {
		var out, errs bytes.Buffer
		if status := run(t.Context(), tt.args, tt.getenv, &out, &errs); status != tt.status || !strings.Contains(errs.String(), tt.want) {
			t.Errorf("%s: status %d, want %d and %q; it says %s%s", name, status, tt.status, tt.want, &out, &errs)
		}
	}
}
