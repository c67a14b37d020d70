package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// What everybody here is after.
const (
	photo   = "2026/cat.jpg"
	inPhoto = "a cat\n"
)

// A tour goes through the steps and writes down what happens. It prints no URL with a signature, and no token.
type tour struct {
	*cloud
	out   io.Writer
	via   http.RoundTripper
	steps int
}

// all takes every step and stops at the first that does not do as it says.
func (t *tour) all(ctx context.Context) error {
	fmt.Fprintf(t.out, "API http://%s, CDN http://%s and a private bucket behind it, all at %s\n",
		apiHost, cdnHost, t.listener.Addr())
	for _, step := range [...]func(context.Context) error{
		t.fails, t.fills, t.works, t.failsAgain,
		t.refused, t.handedOver, t.checked, t.withCookie, t.elsewhere, t.stripped,
		t.fromCache,
	} {
		t.steps++
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (t *tour) say(format string, args ...any) {
	fmt.Fprintf(t.out, "\n%d. %s\n", t.steps, fmt.Sprintf(format, args...))
}

// program returns a client that shows the API its token, as most programs do.
func (t *tour) program() *http.Client { return &http.Client{Transport: t.via} }

// browser returns a client that shows the API its cookie, which was set for the API's host and goes nowhere else.
func (t *tour) browser() (*http.Client, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	jar.SetCookies(&url.URL{Scheme: "http", Host: apiHost, Path: "/"}, []*http.Cookie{{Name: "session", Value: t.session}})
	return &http.Client{Transport: t.via, Jar: jar}, nil
}

// An answer is what a client got in the end, and what the CDN was asked for it.
type answer struct {
	*http.Response
	body string
	cdn  *question
}

// ask asks the API at path, with the token unless the client has cookies, and follows where that leads.
func (t *tour) ask(ctx context.Context, client *http.Client, path string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+apiHost+path, nil)
	if err != nil {
		return answer{}, err
	}
	if client.Jar == nil {
		req.Header.Set("Authorization", "Bearer "+t.token)
	}
	return t.send(client, req)
}

func (t *tour) send(client *http.Client, req *http.Request) (answer, error) {
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	const most = 1 << 20
	body, err := io.ReadAll(io.LimitReader(resp.Body, most))
	a := answer{Response: resp, body: string(body)}
	for _, e := range t.cdns {
		if q := e.question(); q != nil {
			a.cdn = q
		}
	}
	return a, err
}

// expect asks, writes down what happens, and compares it with what was said.
func (t *tour) expect(ctx context.Context, client *http.Client, path string, status int, want question) error {
	a, err := t.ask(ctx, client, path)
	if err != nil {
		return err
	}
	return t.check(a, status, &want)
}

func (t *tour) check(a answer, status int, want *question) error {
	if a.StatusCode != status {
		return fmt.Errorf("the answer was to be %d, and is %d %s", status, a.StatusCode, firstLine(a.body))
	}
	if got := a.cdn.String(); got != want.String() {
		return fmt.Errorf("the CDN: %s; expected: %s", got, want)
	}
	if status == http.StatusOK && a.body != inPhoto {
		return errors.New("other bytes came back")
	}
	fmt.Fprintf(t.out, "   CDN     %s\n   answer  %d %s\n", a.cdn, a.StatusCode, firstLine(a.body))
	return nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

var (
	miss               = question{}
	missWithAuthorized = question{authorized: true}
	hitWithAuthorized  = question{hit: true, authorized: true}
)

func (t *tour) fails(ctx context.Context) error {
	t.say("The fault: a program is redirected to the signed URL, at a subdomain, and net/http sends its token along")
	return t.expect(ctx, t.program(), "/naive/"+photo, http.StatusUnauthorized, missWithAuthorized)
}

func (t *tour) fills(ctx context.Context) error {
	t.say("Somebody looks at the photo in a browser, which has a cookie and no token")
	browser, err := t.browser()
	if err != nil {
		return err
	}
	return t.expect(ctx, browser, "/naive/"+photo, http.StatusOK, miss)
}

func (t *tour) works(ctx context.Context) error {
	t.say("The program does the same as in step 1, and it works")
	return t.expect(ctx, t.program(), "/naive/"+photo, http.StatusOK, hitWithAuthorized)
}

func (t *tour) failsAgain(ctx context.Context) error {
	t.say("When the cache has forgotten the photo it fails again: that looks random")
	t.clock.move(cacheLife)
	return t.expect(ctx, t.program(), "/naive/"+photo, http.StatusUnauthorized, missWithAuthorized)
}

func (t *tour) refused(ctx context.Context) error {
	t.say("Cure: the API refuses to redirect a request with Authorization, so it fails each time, and says why")
	a, err := t.ask(ctx, t.program(), "/refuse/"+photo)
	if err != nil {
		return err
	}
	return t.check(a, http.StatusBadRequest, nil)
}

func (t *tour) handedOver(ctx context.Context) error {
	t.say("Cure: the API answers such a request with the URL as JSON, and the program uses that without its token")
	a, err := t.ask(ctx, t.program(), "/json/"+photo)
	if err != nil {
		return err
	}
	if a.StatusCode != http.StatusOK || a.cdn != nil {
		return fmt.Errorf("the API answers %d, and the CDN was %s", a.StatusCode, a.cdn)
	}
	var grant struct {
		Method, URL string
		Headers     map[string]string
	}
	if err := json.Unmarshal([]byte(a.body), &grant); err != nil {
		return fmt.Errorf("the API's answer is no JSON: %w", err)
	}
	fmt.Fprintf(t.out, "   API     %d %s, %s\n", a.StatusCode, a.Header.Get("Content-Type"), a.Header.Get("Cache-Control"))
	req, err := http.NewRequestWithContext(ctx, grant.Method, grant.URL, nil)
	if err != nil {
		return err
	}
	for name, value := range grant.Headers {
		req.Header.Set(name, value)
	}
	if a, err = t.send(t.program(), req); err != nil {
		return err
	}
	return t.check(a, http.StatusOK, &miss)
}

func (t *tour) checked(ctx context.Context) error {
	t.say("Cure: the API redirects anyway, and the program has signer.CheckRedirect")
	t.cdns[cdnHost].purge()
	client := t.program()
	client.CheckRedirect = signer.CheckRedirect
	return t.expect(ctx, client, "/anyway/"+photo, http.StatusOK, miss)
}

func (t *tour) withCookie(ctx context.Context) error {
	t.say("Cure: the program asks with a cookie of the API's host, which stays there")
	t.cdns[cdnHost].purge()
	client, err := t.browser()
	if err != nil {
		return err
	}
	return t.expect(ctx, client, "/refuse/"+photo, http.StatusOK, miss)
}

func (t *tour) elsewhere(ctx context.Context) error {
	t.say("Cure for some: the CDN is no subdomain (http://%s). net/http, curl and fetch drop the token, "+
		"Python's urllib does not", elsewhereHost)
	return t.expect(ctx, t.program(), "/elsewhere/"+photo, http.StatusOK, miss)
}

func (t *tour) stripped(ctx context.Context) error {
	t.say("Cure at the CDN, if it can: it drops Authorization on the way to the bucket. It still gets the token")
	return t.expect(ctx, t.program(), "/stripping/"+photo, http.StatusOK, missWithAuthorized)
}

func (t *tour) fromCache(ctx context.Context) error {
	t.say("A browser keeps redirects. One by the Redirector ends before its URL, which lives for %.0f minutes", urlLife.Minutes())
	for _, tt := range []struct {
		way    string
		status int // that the redirect leads to at the end of its life in the cache
	}{{"refuse", http.StatusOK}, {"naive", http.StatusForbidden}} {
		client, err := t.browser()
		if err != nil {
			return err
		}
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		a, err := t.ask(ctx, client, "/"+tt.way+"/"+photo)
		if err != nil {
			return err
		}
		var seconds int
		control := a.Header.Get("Cache-Control")
		if _, err := fmt.Sscanf(control, "private, max-age=%d", &seconds); err != nil || a.StatusCode != http.StatusFound {
			return fmt.Errorf("/%s/ answers %d with Cache-Control: %q, expected 302 with a max-age for private caches",
				tt.way, a.StatusCode, control)
		}
		age := time.Duration(seconds) * time.Second
		t.clock.move(age)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Header.Get("Location"), nil)
		if err != nil {
			return err
		}
		b, err := t.send(client, req)
		if err != nil {
			return err
		}
		if b.StatusCode != tt.status {
			return fmt.Errorf("after %v the redirect of /%s/ leads to %d, expected %d", age, tt.way, b.StatusCode, tt.status)
		}
		fmt.Fprintf(t.out, "   /%s/ says %s; %v later it leads to %d %s\n", tt.way, control, age, b.StatusCode, firstLine(b.body))
	}
	return nil
}
