package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// noSecrets fails the test if the account holds a signature or a token.
func noSecrets(t *testing.T, account string, secrets ...string) {
	t.Helper()
	if found := regexp.MustCompile(`(?i)signature=|expires=|bearer|session=`).FindString(account); found != "" {
		t.Errorf("the account holds %q:\n%s", found, account)
	}
	for _, secret := range secrets {
		if strings.Contains(account, secret) {
			t.Errorf("the account holds a token:\n%s", account)
		}
	}
}

// The fault comes and goes with the cache, and each cure works where the cache is empty.
func TestRun(t *testing.T) {
	var out, errs bytes.Buffer
	if status := run(t.Context(), nil, &out, &errs); status != 0 || errs.Len() > 0 {
		t.Fatalf("status %d, %s\n%s", status, &errs, &out)
	}
	account := out.String()
	noSecrets(t, account)
	var got []string
	events := regexp.MustCompile(`(?m)^(\d+)\. |^   (?:CDN     (not asked|cache \w+)|answer  (\d+)|API     (\d+)|/\w+/ .* leads to (\d+))`)
	for _, event := range events.FindAllStringSubmatch(account, -1) {
		got = append(got, strings.Join(event[1:], ""))
	}
	want := []string{
		"1", "cache miss", "401",
		"2", "cache miss", "200",
		"3", "cache hit", "200",
		"4", "cache miss", "401",
		"5", "not asked", "400",
		"6", "200", "cache miss", "200",
		"7", "cache miss", "200",
		"8", "cache miss", "200",
		"9", "cache miss", "200",
		"10", "cache miss", "200",
		"11", "200", "403",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the steps are\n%q, want\n%q\n%s", got, want, account)
	}
	if !strings.HasSuffix(account, "\nOK: all 11 steps did as they say.\n") {
		t.Errorf("the verdict is missing:\n%s", account)
	}
}

func TestArguments(t *testing.T) {
	for arg, want := range map[string]int{"-h": 0, "--help": 0, "-help": 0, "-x": 2, "x": 2} {
		var out, errs bytes.Buffer
		status := run(t.Context(), []string{arg}, &out, &errs)
		if status != want || out.Len() > 0 || !strings.Contains(errs.String(), "usage: redirect") {
			t.Errorf("%s: status %d, want %d\n%s%s", arg, status, want, &out, &errs)
		}
	}
}

func start(t *testing.T) *cloud {
	t.Helper()
	c, err := open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.close() })
	return c
}

// A via is a transport made of a function.
type via func(*http.Request) (*http.Response, error)

func (v via) RoundTrip(r *http.Request) (*http.Response, error) { return v(r) }

// Servers and clients that do something else than a step says are found out at that step.
func TestOtherWorlds(t *testing.T) {
	for _, tt := range []struct {
		what  string
		step  int
		say   string
		cloud func(*cloud)
		lie   func(step int, r *http.Request) *http.Response // in place of the answer; nil leaves it
		spoil func(step int, r *http.Request)                // before it is sent
	}{
		{what: "the bucket takes two authorizations", step: 1, say: "to be 401, and is 200",
			cloud: func(c *cloud) { c.cdns[cdnHost].strips = true }},
		{what: "net/http drops the token", step: 1, say: "to be 401, and is 200", spoil: func(_ int, r *http.Request) {
			if r.URL.Host == cdnHost {
				r.Header.Del("Authorization")
			}
		}},
		{what: "the cookie is unknown", step: 2, say: "to be 200, and is 401 who", cloud: func(c *cloud) { c.session += "x" }},
		{what: "the token is unknown", step: 1, say: "CDN: not asked", cloud: func(c *cloud) { c.token += "x" }},
		{what: "other bytes", step: 2, say: "other bytes", cloud: func(c *cloud) { c.cdns[cdnHost].bucket.objects[photo] = "a dog\n" }},
		{what: "the cache forgets", step: 3, say: "to be 200, and is 401", lie: func(step int, r *http.Request) *http.Response {
			return answerTo(step == 3 && r.URL.Host == cdnHost, http.StatusUnauthorized, nil, "")
		}},
		{what: "the cache never forgets", step: 4, say: "to be 401, and is 200",
			cloud: func(c *cloud) { c.cdns[cdnHost].clock = clock.Fixed(c.clock.Now()) }},
		{what: "the API redirects", step: 5, say: "to be 400, and is 401", spoil: func(step int, r *http.Request) {
			if step == 5 {
				r.URL.Path = strings.Replace(r.URL.Path, "refuse", "anyway", 1)
			}
		}},
		{what: "the API follows by itself", step: 6, say: "the CDN was cache miss", spoil: func(step int, r *http.Request) {
			if step == 6 {
				r.URL.Path = strings.Replace(r.URL.Path, "json", "stripping", 1)
			}
		}},
		{what: "no JSON", step: 6, say: "no JSON", lie: func(step int, r *http.Request) *http.Response {
			return answerTo(step == 6, http.StatusOK, nil, "<html>")
		}},
		{what: "the token comes along, JSON", step: 6, say: "to be 200, and is 401", spoil: addTo(6)},
		{what: "the token comes along, CheckRedirect", step: 7, say: "to be 200, and is 401", spoil: addTo(7)},
		{what: "the token comes along, cookie", step: 8, say: "to be 200, and is 401", spoil: addTo(8)},
		{what: "the token comes along, elsewhere", step: 9, say: "to be 200, and is 401", spoil: addTo(9)},
		{what: "nothing is stripped", step: 10, say: "to be 200, and is 401", cloud: func(c *cloud) { c.cdns[strippingHost].strips = false }},
		{what: "nothing is there to strip", step: 10, say: "no Authorization; expected", spoil: func(_ int, r *http.Request) {
			if r.URL.Host == strippingHost {
				r.Header.Del("Authorization")
			}
		}},
		{what: "cached for ever", step: 11, say: "max-age=1", lie: func(step int, r *http.Request) *http.Response {
			return answerTo(step == 11 && r.URL.Host == apiHost, http.StatusFound, http.Header{"Cache-Control": {"public, max-age=1"}}, "")
		}},
		{what: "cached too long", step: 11, say: "leads to 403, expected 200", spoil: func(step int, r *http.Request) {
			if step == 11 {
				r.URL.Path = strings.Replace(r.URL.Path, "refuse", "naive", 1)
			}
		}},
		{what: "cached as it should be", step: 11, say: "leads to 200, expected 403", spoil: func(step int, r *http.Request) {
			if step == 11 {
				r.URL.Path = strings.Replace(r.URL.Path, "naive", "refuse", 1)
			}
		}},
	} {
		c := start(t)
		if tt.cloud != nil {
			tt.cloud(c)
		}
		var out bytes.Buffer
		tour := &tour{cloud: c, out: &out}
		tour.via = via(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			if tt.spoil != nil {
				tt.spoil(tour.steps, r)
			}
			if tt.lie != nil {
				if resp := tt.lie(tour.steps, r); resp != nil {
					return resp, nil
				}
			}
			return c.transport().RoundTrip(r)
		})
		err := tour.all(t.Context())
		if err == nil || tour.steps != tt.step || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s: step %d says %v, want %q of step %d\n%s", tt.what, tour.steps, err, tt.say, tt.step, &out)
			continue
		}
		noSecrets(t, out.String()+signer.RedactError(err).Error(), c.token, c.session)
	}
}

func answerTo(these bool, status int, h http.Header, body string) *http.Response {
	if !these {
		return nil
	}
	w := httptest.NewRecorder()
	for name := range h {
		w.Header().Set(name, h.Get(name))
	}
	w.WriteHeader(status)
	w.WriteString(body)
	return w.Result()
}

// addTo adds Authorization to what the CDN is asked in one step.
func addTo(step int) func(int, *http.Request) {
	return func(now int, r *http.Request) {
		if now == step && r.URL.Host != apiHost {
			r.Header.Set("Authorization", "Bearer x")
		}
	}
}

// What listens is on loopback, knows its names only, and takes no bodies.
func TestServers(t *testing.T) {
	c := start(t)
	if a, ok := c.listener.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		t.Fatalf("it listens at %v", c.listener.Addr())
	}
	signed := func(host, path string) string {
		req, err := http.NewRequest(http.MethodGet, "http://"+apiHost+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.AddCookie(&http.Cookie{Name: "session", Value: c.session})
		resp, err := c.transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		location := resp.Header.Get("Location")
		if u, err := url.Parse(location); err != nil || u.Host != host {
			t.Fatalf("%s leads to %s", path, signer.RedactURL(location))
		}
		return location
	}
	good := signed(cdnHost, "/anyway/"+photo)
	token, session := http.Header{"Authorization": {"Bearer " + c.token}}, http.Header{"Cookie": {"session=" + c.session}}
	for _, tt := range []struct {
		what, method, url string
		h                 http.Header
		status            int
	}{
		{"another host", "GET", "http://evil.example/anyway/" + photo, token, http.StatusMisdirectedRequest},
		{"its address", "GET", "http://" + c.listener.Addr().String() + "/anyway/" + photo, token, http.StatusMisdirectedRequest},
		{"a port", "GET", "http://" + apiHost + ":8080/anyway/" + photo, token, http.StatusMisdirectedRequest},
		{"upload to the API", "PUT", "http://" + apiHost + "/anyway/" + photo, token, http.StatusMethodNotAllowed},
		{"upload to the CDN", "PUT", good, nil, http.StatusMethodNotAllowed},
		{"nobody", "GET", "http://" + apiHost + "/anyway/" + photo, nil, http.StatusUnauthorized},
		{"another token", "GET", "http://" + apiHost + "/anyway/" + photo, http.Header{"Authorization": {"Bearer x"}}, http.StatusUnauthorized},
		{"another cookie", "GET", "http://" + apiHost + "/anyway/" + photo, http.Header{"Cookie": {"session=x"}}, http.StatusUnauthorized},
		{"no such way", "GET", "http://" + apiHost + "/other/" + photo, token, http.StatusNotFound},
		{"no key", "GET", "http://" + apiHost + "/refuse/", session, http.StatusFound},
		{"HEAD by cookie", "HEAD", "http://" + apiHost + "/json/" + photo, session, http.StatusFound},
		{"HEAD by token", "HEAD", "http://" + apiHost + "/json/" + photo, token, http.StatusMethodNotAllowed},
		{"no signature", "GET", "http://" + cdnHost + "/" + photo, nil, http.StatusForbidden},
		{"another signature", "GET", good + "x", nil, http.StatusForbidden},
		{"another CDN", "GET", strings.Replace(good, cdnHost, elsewhereHost, 1), nil, http.StatusForbidden},
		{"no such object", "GET", signed(cdnHost, "/anyway/dog.jpg"), nil, http.StatusNotFound},
		{"as signed", "GET", good, nil, http.StatusOK},
		{"HEAD", "HEAD", good, nil, http.StatusOK},
	} {
		req, err := http.NewRequest(tt.method, tt.url, strings.NewReader(strings.Repeat("x", 4<<10)))
		if err != nil {
			t.Fatal(err)
		}
		if tt.method != http.MethodPut {
			req.Body, req.ContentLength = nil, 0
		}
		for name, values := range tt.h {
			req.Header[name] = values
		}
		resp, err := c.transport().RoundTrip(req)
		if err != nil {
			t.Errorf("%s: %v", tt.what, signer.RedactError(err))
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tt.status {
			t.Errorf("%s: %d %s, want %d", tt.what, resp.StatusCode, body, tt.status)
		}
	}
	if n := len(c.cdns[cdnHost].cache); n != 1 {
		t.Errorf("there are %d answers in the cache", n)
	}
}

func TestEachRunHasItsKeys(t *testing.T) {
	a, b := start(t), start(t)
	if a.token == b.token || a.session == b.session || len(a.token) < 26 || len(a.session) < 26 {
		t.Error("two runs have one token")
	}
	if a.cdns[cdnHost].bucket.filler == b.cdns[cdnHost].bucket.filler {
		t.Error("two runs have one account")
	}
	// A URL of one run is nothing in the other.
	req := httptest.NewRequest(http.MethodGet, "http://"+apiHost+"/anyway/"+photo, nil)
	req.Header.Set("Authorization", "Bearer "+a.token)
	w := httptest.NewRecorder()
	a.server.Handler.ServeHTTP(w, req)
	r := httptest.NewRequest(http.MethodGet, w.Header().Get("Location"), nil)
	for c, want := range map[*cloud]int{a: http.StatusOK, b: http.StatusForbidden} {
		w := httptest.NewRecorder()
		c.server.Handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%d, want %d", w.Code, want)
		}
	}
}
