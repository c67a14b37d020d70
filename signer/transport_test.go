package signer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// dated signs with the date that its clock tells.
type dated struct {
	clock clock.Clock
	err   error // from the second time on, if there is a comma in it; see Sign
	calls *int
}

func (d dated) Sign(_ context.Context, req *http.Request) error {
	*d.calls++
	if d.err != nil && (*d.calls > 1 || !strings.Contains(d.err.Error(), "second")) {
		return d.err
	}
	now := d.clock.Now()
	if l, ok := d.clock.(clock.Learned); ok {
		now, _ = l.Read(clock.Authority(req.URL))
	}
	req.Header.Set("X-Date", now.UTC().Format(time.RFC3339))
	req.Header.Set("Authorization", "signed")
	return nil
}

// A service refuses requests whose date is off by more than 15 minutes, and tells its own.
type service struct {
	skew    time.Duration
	code    string // of refusals; "" is RequestTimeTooSkewed
	refuses int    // this many, whatever their date

	requests, bodies, auth []string
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.requests = append(s.requests, r.Method)
	s.bodies = append(s.bodies, string(body))
	s.auth = append(s.auth, r.Header.Get("Authorization"))
	now := time.Now().Add(s.skew)
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	date, err := time.Parse(time.RFC3339, r.Header.Get("X-Date"))
	if s.refuses--; s.refuses >= 0 || err != nil || date.Sub(now).Abs() > 15*time.Minute {
		w.WriteHeader(http.StatusForbidden)
		code := s.code
		if code == "" {
			code = "RequestTimeTooSkewed"
		}
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>about the request</Message></Error>", code)
		return
	}
	io.WriteString(w, "welcome")
}

func TestTransportRetriesOnce(t *testing.T) {
	base := func(shift time.Duration) clock.Clock {
		return clock.Func(func() time.Time { return time.Now().Add(shift) })
	}
	for _, c := range []struct {
		name     string
		service  service
		shift    time.Duration
		method   string
		body     io.Reader
		noSource bool
		want     int // status
		attempts int
	}{
		{"a right clock", service{}, 0, "GET", nil, false, 200, 1},
		{"three hours behind", service{}, -3 * time.Hour, "GET", nil, false, 200, 2},
		{"twenty minutes ahead", service{}, 20 * time.Minute, "GET", nil, false, 200, 2},
		{"within the service's tolerance", service{}, 10 * time.Minute, "GET", nil, false, 200, 1},
		{"without a Source", service{}, -3 * time.Hour, "GET", nil, true, 403, 1},
		{"no words, and far off", service{}, -3 * time.Hour, "HEAD", nil, false, 200, 2},
		{"no words, and not far off", service{refuses: 9}, 3 * time.Minute, "HEAD", nil, false, 403, 1},
		{"a wrong signature, and far off", service{code: "SignatureDoesNotMatch"}, time.Hour, "GET", nil, false, 200, 2},
		{"a wrong signature, and not far off", service{code: "SignatureDoesNotMatch", refuses: 9}, 3 * time.Minute, "GET", nil, false, 403, 1},
		{"another refusal", service{code: "AccessDenied"}, time.Hour, "GET", nil, false, 403, 1},
		{"refused for a time that is right", service{refuses: 9}, 0, "GET", nil, false, 403, 1},
		{"refused again", service{refuses: 9}, time.Hour, "GET", nil, false, 403, 2},
		{"a body in memory", service{}, time.Hour, "PUT", bytes.NewReader([]byte("body")), false, 200, 2},
		{"a body that cannot be had again", service{}, time.Hour, "PUT", io.MultiReader(strings.NewReader("body")), false, 403, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(&c.service)
			defer server.Close()
			source := clock.NewSource(base(c.shift), clock.Options{})
			calls := 0
			transport := signer.Transport{Signer: dated{clock: source, calls: &calls}, Clock: source}
			if c.noSource {
				transport.Clock = nil
			}
			req, err := http.NewRequest(c.method, server.URL+"/b/k", c.body)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := (&http.Client{Transport: transport}).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != c.want || len(c.service.requests) != c.attempts || calls != c.attempts {
				t.Errorf("%d after %d attempts, signed %d times", resp.StatusCode, len(c.service.requests), calls)
			}
			if c.method == "GET" && !strings.Contains(string(body), map[bool]string{true: "welcome", false: "about the request"}[c.want == 200]) {
				t.Errorf("the caller reads %q", body)
			}
			for _, sent := range c.service.bodies {
				if want := map[bool]string{true: "body"}[c.method == "PUT"]; sent != want {
					t.Errorf("sent %q", sent)
				}
			}
			if len(req.Header) != 0 || resp.Request.Header.Get("Authorization") != "" {
				t.Error("the caller's request was signed, or the answer shows the signature")
			}
		})
	}
}

// taught is a signer that takes so long that another request learns the time meanwhile.
type taught struct {
	source *clock.Source
	calls  int
}

func (s *taught) Sign(_ context.Context, req *http.Request) error {
	now, _ := s.source.Read(clock.Authority(req.URL))
	req.Header.Set("X-Date", now.UTC().Format(time.RFC3339))
	if s.calls++; s.calls == 1 {
		for range 2 {
			machine := time.Now().Add(-time.Hour)
			s.source.Observe(clock.Observation{URL: req.URL, Sent: machine, Received: machine, Status: 200, Header: http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}}})
		}
	}
	return nil
}

// What was signed before the Source learned is signed again, although nothing was learned from its own refusal.
func TestTransportLearnsWhileSigning(t *testing.T) {
	s := &service{}
	server := httptest.NewServer(s)
	defer server.Close()
	source := clock.NewSource(clock.Func(func() time.Time { return time.Now().Add(-time.Hour) }), clock.Options{})
	slow := &taught{source: source}
	resp, err := (&http.Client{Transport: signer.Transport{Signer: slow, Clock: source}}).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || slow.calls != 2 {
		t.Errorf("%s, signed %d times", resp.Status, slow.calls)
	}
}

// A refusal that is too long to be about the time reaches the caller whole.
func TestTransportLongRefusal(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, long)
	}))
	defer server.Close()
	source := clock.NewSource(nil, clock.Options{})
	calls := 0
	client := &http.Client{Transport: signer.Transport{Signer: dated{clock: source, calls: &calls}, Clock: source}}
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != long {
		t.Errorf("%d of %d bytes, %v", len(body), len(long), err)
	}
	client.CloseIdleConnections()
}

// What a Signer refuses is not sent, and its body is closed.
func TestTransportSignerFails(t *testing.T) {
	s := &service{}
	server := httptest.NewServer(s)
	defer server.Close()
	broken := errors.New("no credentials")
	calls := 0
	body := &closer{Reader: strings.NewReader("body")}
	req, _ := http.NewRequest(http.MethodPut, server.URL, body)
	_, err := signer.Transport{Signer: dated{err: broken, calls: &calls}}.RoundTrip(req)
	if !errors.Is(err, broken) || len(s.requests) != 0 || !body.closed {
		t.Errorf("error %v, %d requests, body closed: %v", err, len(s.requests), body.closed)
	}

	// If signing fails the second time, the first answer is the better one.
	calls = 0
	source := clock.NewSource(clock.Func(func() time.Time { return time.Now().Add(time.Hour) }), clock.Options{})
	client := &http.Client{Transport: signer.Transport{Signer: dated{clock: source, err: errors.New("the second time"), calls: &calls}, Clock: source}}
	resp, err := client.Post(server.URL, "text/plain", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 403 || !strings.Contains(string(text), "RequestTimeTooSkewed") || calls != 2 {
		t.Errorf("%d %s, signed %d times", resp.StatusCode, text, calls)
	}
}

type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

// A request that a redirect leads to another origin goes there without a signature.
func TestTransportRedirect(t *testing.T) {
	stranger := &service{}
	other := httptest.NewServer(stranger)
	defer other.Close()
	var auth []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		auth = append(auth, r.Header.Get("Authorization"))
		switch r.URL.Path {
		case "/near":
			http.Redirect(w, r, "/done", http.StatusTemporaryRedirect)
		case "/far":
			http.Redirect(w, r, other.URL+"/signed?sig=x", http.StatusTemporaryRedirect)
		case "/back":
			http.Redirect(w, r, other.URL+"/signed?sig=x", http.StatusTemporaryRedirect)
		}
	}))
	defer server.Close()
	calls := 0
	client := &http.Client{Transport: signer.Transport{Signer: dated{clock: clock.System(), calls: &calls}}}
	for _, path := range []string{"/near", "/far"} {
		resp, err := client.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if got := strings.Join(auth, ","); got != "signed,signed,signed" {
		t.Errorf("at home: %q", got)
	}
	if got := strings.Join(stranger.auth, ","); got != "" || len(stranger.requests) != 1 {
		t.Errorf("elsewhere: %q of %d requests", got, len(stranger.requests))
	}
}

// expiring answers 200 to URLs that have more than the given life left, and otherwise refuses them for their time.
func expiring(t *testing.T, seen *[]string) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*seen = append(*seen, r.Method+" "+r.URL.Path+" "+string(body)+r.Header.Get("X-Signed")+r.Header.Get("Range"))
		if strings.HasSuffix(r.URL.Path, "/old") {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func TestRefreshTransport(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	refresh := errors.New("the database is down")
	for _, c := range []struct {
		name, method, url string
		body              io.Reader
		resign            error
		method2           string // of the fresh URL, if not the same
		want              string // what the service saw
		fails             error
	}{
		{"alive", "GET", "/k?X-Amz-Date=20261126T115900Z&X-Amz-Expires=900&X-Amz-Signature=x", nil, nil, "", "GET /k bytes=5-", nil},
		{"S3, dead", "GET", "/k?X-Amz-Date=20261126T110000Z&X-Amz-Expires=900&X-Amz-Signature=x", nil, nil, "", "GET /fresh yesbytes=5-", nil},
		{"S3, dead in 9 s", "GET", "/k?X-Amz-Date=20261126T115000Z&X-Amz-Expires=609&X-Amz-Signature=x", nil, nil, "", "GET /fresh yesbytes=5-", nil},
		{"S3, dead in 10 s", "GET", "/k?X-Amz-Date=20261126T115000Z&X-Amz-Expires=610&X-Amz-Signature=x", nil, nil, "", "GET /k bytes=5-", nil},
		{"GCS, dead", "GET", "/k?X-Goog-Date=20261126T110000Z&X-Goog-Expires=900&X-Goog-Signature=x", nil, nil, "", "GET /fresh yesbytes=5-", nil},
		{"OSS, dead", "GET", "/k?x-oss-date=20261126T110000Z&x-oss-expires=900&x-oss-signature=x", nil, nil, "", "GET /fresh yesbytes=5-", nil},
		{"Azure, dead", "GET", "/k?se=2026-11-26T11:59:59Z&sig=x", nil, nil, "", "GET /fresh yesbytes=5-", nil},
		{"Azure, alive", "GET", "/k?se=2026-11-26T12:01:00Z&sig=x", nil, nil, "", "GET /k bytes=5-", nil},
		{"Cloud CDN, dead", "GET", fmt.Sprintf("/k?Expires=%d&KeyName=k&Signature=x", now.Unix()-1), nil, nil, "", "GET /fresh yesbytes=5-", nil},
		{"Cloud CDN, alive", "GET", fmt.Sprintf("/k?Expires=%d&KeyName=k&Signature=x", now.Unix()+60), nil, nil, "", "GET /k bytes=5-", nil},
		{"a date without a signature's name", "GET", "/k?Expires=1", nil, nil, "", "GET /k bytes=5-", nil},
		{"refused for its time", "GET", "/old", nil, nil, "", "GET /old bytes=5-, GET /fresh yesbytes=5-", nil},
		{"refused, with a body", "PUT", "/old", strings.NewReader("body"), nil, "", "PUT /old bodybytes=5-, PUT /fresh bodyyesbytes=5-", nil},
		{"dead, with a body", "PUT", "/k?se=2026-11-26T11:00:00Z&sig=x", strings.NewReader("body"), nil, "", "PUT /fresh bodyyesbytes=5-", nil},
		{"a body that cannot be had again", "PUT", "/old", io.MultiReader(strings.NewReader("body")), nil, "", "PUT /old bodybytes=5-", nil},
		{"not to be sent twice", "POST", "/old", strings.NewReader("body"), nil, "", "POST /old bodybytes=5-", nil},
		{"no fresh URL", "GET", "/k?se=2026-11-26T11:00:00Z&sig=x", nil, refresh, "", "", refresh},
		{"no fresh URL after a refusal", "GET", "/old", nil, refresh, "", "GET /old bytes=5-", refresh},
		{"a fresh URL for something else", "GET", "/old", nil, nil, "PUT", "GET /old bytes=5-", signer.ErrRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			var seen []string
			server := expiring(t, &seen)
			client := &http.Client{Transport: signer.RefreshTransport{
				Clock: clock.Fixed(now),
				Resign: func(_ context.Context, req *http.Request) (*signer.Presigned, error) {
					method := c.method2
					if method == "" {
						method = req.Method
					}
					return &signer.Presigned{Method: method, URL: server.URL + "/fresh", Header: http.Header{"X-Signed": {"yes"}}}, c.resign
				},
			}}
			req, err := http.NewRequest(c.method, server.URL+c.url, c.body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Range", "bytes=5-")
			resp, err := client.Do(req)
			if !errors.Is(err, c.fails) {
				t.Errorf("error %v, want %v", err, c.fails)
			}
			if err == nil {
				resp.Body.Close()
			}
			if got := strings.Join(seen, ", "); got != c.want {
				t.Errorf("sent %q, want %q", got, c.want)
			}
			if req.URL.String() != server.URL+c.url || len(req.Header) != 1 {
				t.Error("the caller's request was changed")
			}
			client.CloseIdleConnections()
		})
	}
}

// A URL that was refused again is not signed a third time, and the clocks that a RefreshTransport takes are all read.
func TestRefreshTransportOnce(t *testing.T) {
	var seen []string
	server := expiring(t, &seen)
	for _, c := range []clock.Clock{nil, clock.NewSource(nil, clock.Options{}), clock.NewSource(nil, clock.Options{}).At("x")} {
		seen = nil
		resign := func(_ context.Context, req *http.Request) (*signer.Presigned, error) {
			return &signer.Presigned{Method: "GET", URL: server.URL + "/still/old"}, nil
		}
		resp, err := (&http.Client{Transport: signer.RefreshTransport{Clock: c, Resign: resign}}).Get(server.URL + "/old")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 403 || len(seen) != 2 {
			t.Errorf("%d after %v", resp.StatusCode, seen)
		}
		seen = nil
		resp, err = (&http.Client{Transport: signer.RefreshTransport{Clock: c, Resign: resign}}).Get(server.URL + "/x?se=2026-01-01T00:00:00Z&sig=x")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if len(seen) != 1 || !strings.Contains(seen[0], "/still/old") {
			t.Errorf("sent %v", seen)
		}
	}
}

// Where a redirect led is not ours to sign again.
func TestRefreshTransportRedirect(t *testing.T) {
	var seen []string
	other := expiring(t, &seen)
	server := httptest.NewServer(http.RedirectHandler(other.URL+"/old?se=2026-01-01T00:00:00Z&sig=x", http.StatusFound))
	defer server.Close()
	resp, err := (&http.Client{Transport: signer.RefreshTransport{Resign: func(context.Context, *http.Request) (*signer.Presigned, error) {
		return nil, errors.New("resigned")
	}}}).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if len(seen) != 1 || resp.StatusCode != 403 {
		t.Errorf("%d after %v", resp.StatusCode, seen)
	}
}

func TestRefreshTransportBadURL(t *testing.T) {
	transport := signer.RefreshTransport{Resign: func(context.Context, *http.Request) (*signer.Presigned, error) {
		return &signer.Presigned{Method: "GET", URL: "https://h/%zz?sig=secret"}, nil
	}}
	req, _ := http.NewRequest(http.MethodGet, "https://h/k?se=2026-01-01T00:00:00Z&sig=x", nil)
	if _, err := transport.RoundTrip(req); !errors.Is(err, signer.ErrRequest) || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
	transport.Resign = func(context.Context, *http.Request) (*signer.Presigned, error) { return nil, nil }
	if _, err := transport.RoundTrip(req); !errors.Is(err, signer.ErrRequest) {
		t.Errorf("nothing returned: error %v", err)
	}
	transport.Resign = func(context.Context, *http.Request) (*signer.Presigned, error) {
		return &signer.Presigned{Method: "GET", URL: "https://h/k", Header: http.Header{"Content-Length": {"9"}}}, nil
	}
	if _, err := transport.RoundTrip(req); !errors.Is(err, signer.ErrRequest) {
		t.Errorf("signed for another length: error %v", err)
	}
}
