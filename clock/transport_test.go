package clock_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
)

// startServer starts a server whose clock is ahead by skew, and returns its URL and its authority.
func startServer(t *testing.T, skew time.Duration, handler http.HandlerFunc) (rawURL, authority string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, strings.TrimPrefix(server.URL, "http://")
}

func ok(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "content") }

func get(t *testing.T, client *http.Client, rawURL string) string {
	t.Helper()
	resp, err := client.Get(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestTransportLearns(t *testing.T) {
	rawURL, authority := startServer(t, time.Hour, ok)
	s := clock.NewSource(nil, clock.Options{})
	client := &http.Client{Transport: s.Transport(nil)}
	for range 2 {
		if got := get(t, client, rawURL); got != "content" {
			t.Errorf("the caller reads %q", got)
		}
	}
	if e := s.Estimate(authority); e.Samples != 2 || !near(e.Offset, time.Hour) || e.High-e.Low > 3*time.Second {
		t.Errorf("after two answers: %+v", e)
	}
	client.CloseIdleConnections()
}

// The answer's Request is the caller's, and nothing is added to that.
func TestTransportLeavesTheRequest(t *testing.T) {
	rawURL, _ := startServer(t, 0, ok)
	s := clock.NewSource(nil, clock.Options{})
	req, _ := http.NewRequest(http.MethodGet, rawURL, nil)
	before := req.Context()
	resp, err := s.Transport(nil).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Request != req || req.Context() != before || len(req.Header) != 0 {
		t.Error("the request was changed")
	}
}

// A refusal counts once its body was read, or closed.
func TestTransportReadsRefusals(t *testing.T) {
	refuse := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") == "" && r.URL.Path == "/early" {
			w.WriteHeader(http.StatusEarlyHints)
		}
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, xml("RequestTimeTooSkewed", "", "")+strings.Repeat(" ", 100<<10))
	}
	for _, c := range []struct {
		name string
		path string
		use  func(io.ReadCloser)
	}{
		{"read", "", func(b io.ReadCloser) { io.Copy(io.Discard, b) }},
		{"read and closed", "", func(b io.ReadCloser) { io.Copy(io.Discard, b); b.Close() }},
		{"half read, and closed", "", func(b io.ReadCloser) { io.ReadFull(b, make([]byte, 1000)); b.Close() }},
		{"after an interim answer", "/early", func(b io.ReadCloser) { io.Copy(io.Discard, b) }},
	} {
		rawURL, authority := startServer(t, time.Hour, refuse)
		s := clock.NewSource(nil, clock.Options{})
		resp, err := (&http.Client{Transport: s.Transport(nil)}).Get(rawURL + c.path)
		if err != nil {
			t.Fatal(err)
		}
		if got := offsetAt(s, authority); got != 0 {
			t.Errorf("%s: corrected by %v before the body was read", c.name, got)
		}
		c.use(resp.Body)
		if got := offsetAt(s, authority); !near(got, time.Hour) {
			t.Errorf("%s: corrected by %v", c.name, got)
		}
		if e := s.Estimate(authority); e.Samples != 1 {
			t.Errorf("%s: %d answers", c.name, e.Samples)
		}
		resp.Body.Close()
	}
}

// Readers may close a body while they read it.
func TestTransportBodyClosedWhileRead(t *testing.T) {
	rawURL, _ := startServer(t, time.Hour, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, strings.Repeat(" ", 1<<20))
	})
	s := clock.NewSource(nil, clock.Options{})
	resp, err := (&http.Client{Transport: s.Transport(nil)}).Get(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(io.Discard, resp.Body)
	}()
	resp.Body.Close()
	<-done
}

// What a redirect led to elsewhere says nothing: a stranger may have sent us there to be believed.
func TestTransportRedirect(t *testing.T) {
	target, targetAuthority := startServer(t, time.Hour, ok)
	var elsewhere atomic.Bool
	from, authority := startServer(t, time.Hour, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/done":
			ok(w, r)
		case elsewhere.Load():
			http.Redirect(w, r, target, http.StatusTemporaryRedirect)
		default:
			http.Redirect(w, r, "/done", http.StatusTemporaryRedirect)
		}
	})
	s := clock.NewSource(nil, clock.Options{})
	client := &http.Client{Transport: s.Transport(nil)}
	get(t, client, from)
	if e := s.Estimate(authority); e.Samples != 2 {
		t.Errorf("a redirect within an authority: %d answers", e.Samples)
	}
	elsewhere.Store(true)
	get(t, client, from)
	get(t, client, from)
	if e := s.Estimate(targetAuthority); e.Samples != 0 {
		t.Errorf("a redirect to another authority: %d answers", e.Samples)
	}
}

// An upload tells the time only as well as it takes; the connection is no part of it.
func TestTransportTimesTheExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(27 * 365 * 24 * time.Hour)
		for _, c := range []struct {
			name string
			slow slow
			want int
		}{
			{"an ordinary request", slow{send: 100 * time.Millisecond}, 2},
			{"a slow connection", slow{dial: time.Minute, send: 100 * time.Millisecond}, 2},
			{"an upload of a minute", slow{send: time.Minute}, 0},
			{"an interim answer a minute before", slow{interim: time.Minute}, 0},
			{"a transport that does not say when", slow{send: 100 * time.Millisecond, silent: true}, 2},
			{"the same, slow", slow{dial: time.Minute, silent: true}, 0},
		} {
			s := clock.NewSource(nil, clock.Options{})
			client := &http.Client{Transport: s.Transport(c.slow)}
			get(t, client, minioURL)
			get(t, client, minioURL)
			if e := s.Estimate("minio.example.com"); e.Samples != c.want {
				t.Errorf("%s: %d answers", c.name, e.Samples)
			}
		}
	})
}

// slow is a network in which the server is an hour ahead.
type slow struct {
	dial, send, interim time.Duration
	silent              bool
}

func (n slow) RoundTrip(req *http.Request) (*http.Response, error) {
	trace := httptrace.ContextClientTrace(req.Context())
	if n.silent {
		trace = &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {}, GotFirstResponseByte: func() {}}
	}
	time.Sleep(n.dial)
	trace.GotConn(httptrace.GotConnInfo{})
	time.Sleep(n.send)
	if n.interim > 0 {
		trace.GotFirstResponseByte()
		trace.Got1xxResponse(http.StatusContinue, nil)
		time.Sleep(n.interim)
	}
	date := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	if n.interim == 0 {
		trace.GotFirstResponseByte()
		if !n.silent {
			time.Sleep(time.Minute) // until somebody looks at the answer
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Date": {date}}, Body: http.NoBody, Request: req}, nil
}

func TestTransportSwitchedOff(t *testing.T) {
	rawURL, authority := startServer(t, time.Hour, ok)
	s := clock.NewSource(nil, clock.Options{Off: true})
	client := &http.Client{Transport: s.Transport(nil)}
	get(t, client, rawURL)
	get(t, client, rawURL)
	if e := s.Estimate(authority); e != (clock.Estimate{}) || offsetAt(s, authority) != 0 {
		t.Errorf("switched off, and yet %+v", e)
	}
}

// Who wraps a Transport into a Transport learns once from each answer.
func TestTransportTwice(t *testing.T) {
	rawURL, authority := startServer(t, time.Hour, ok)
	s := clock.NewSource(nil, clock.Options{})
	client := &http.Client{Transport: s.Transport(s.Transport(nil))}
	get(t, client, rawURL)
	if got := offsetAt(s, authority); got != 0 {
		t.Errorf("one answer, and corrected by %v", got)
	}
}

func TestTransportPassesErrors(t *testing.T) {
	s := clock.NewSource(nil, clock.Options{})
	broken := errors.New("broken")
	_, err := (&http.Client{Transport: s.Transport(roundTripper(func(*http.Request) (*http.Response, error) { return nil, broken }))}).Get(minioURL)
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSync(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusForbidden, http.StatusTemporaryRedirect} {
		var methods []string
		rawURL, authority := startServer(t, -time.Hour, func(w http.ResponseWriter, r *http.Request) {
			methods = append(methods, r.Method+" "+r.URL.String())
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		})
		s := clock.NewSource(nil, clock.Options{})
		e, err := s.Sync(t.Context(), nil, rawURL+"/bucket?x=y")
		if err != nil || e.Samples != 2 || !near(e.Offset, -time.Hour) || e != s.Estimate(authority) && e.Offset != s.Estimate(authority).Offset {
			t.Errorf("%d: %+v, %v", status, e, err)
		}
		if got := strings.Join(methods, ", "); got != "HEAD /bucket?x=y, HEAD /bucket?x=y" {
			t.Errorf("%d: sent %s", status, got)
		}
	}
}

// What Sync hears goes before what was heard earlier.
func TestSyncBelievesTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(27 * 365 * 24 * time.Hour)
		skew := time.Hour
		client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Date": {time.Now().Add(skew).UTC().Format(http.TimeFormat)}}, Body: http.NoBody, Request: r}, nil
		})}
		s := clock.NewSource(nil, clock.Options{})
		for range 10 {
			get(t, &http.Client{Transport: s.Transport(client.Transport)}, minioURL)
			time.Sleep(10 * time.Second)
		}
		skew = 0
		e, err := s.Sync(t.Context(), client, minioURL)
		if err != nil || e.Offset != 0 || offsetAt(s, "minio.example.com") != 0 {
			t.Errorf("the machine was mended without a step that could be seen: %+v, %v", e, err)
		}
	})
}

func TestSyncFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(27 * 365 * 24 * time.Hour)
		tries := 0
		answers := func(dates ...string) *http.Client {
			tries = 0
			return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				date := dates[min(tries, len(dates)-1)]
				tries++
				if date == "broken" {
					return nil, errors.New("no route to host")
				}
				return &http.Response{StatusCode: 200, Header: http.Header{"Date": {date}}, Body: http.NoBody, Request: r}, nil
			})}
		}
		now := func(skew time.Duration) string { return time.Now().Add(skew).UTC().Format(http.TimeFormat) }
		s := clock.NewSource(nil, clock.Options{})
		off := clock.NewSource(nil, clock.Options{Off: true})
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		soon, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		for _, c := range []struct {
			name   string
			source *clock.Source
			ctx    context.Context
			client *http.Client
			url    string
			want   string
			tries  int
		}{
			{"no URL", s, t.Context(), answers(now(0)), "minio.example.com", "no URL with http or https", 0},
			{"another scheme", s, t.Context(), answers(now(0)), "ftp://minio.example.com", "no URL with http or https", 0},
			{"what is none", s, t.Context(), answers(now(0)), "https://minio.example.com/%zz?sig=secret", "no URL with http or https", 0},
			{"switched off", off, t.Context(), answers(now(0)), minioURL, "switched off", 0},
			{"no dates", s, t.Context(), answers(""), minioURL, "minio.example.com: no time in the answer", 3},
			{"not in bounds", s, t.Context(), answers(now(48 * time.Hour)), minioURL, "minio.example.com: out of bounds", 3},
			{"three that disagree", s, t.Context(), answers(now(time.Hour), now(2*time.Hour), now(3*time.Hour)), minioURL, "minio.example.com: the answers disagree", 3},
			{"no answer", s, t.Context(), answers("broken"), minioURL + "?sig=secret", "minio.example.com: no route to host", 3},
			{"http from afar", s, t.Context(), answers(now(0)), "http://minio.example.com", "minio.example.com: over http from another machine", 3},
			{"canceled", s, canceled, answers(now(0)), minioURL, context.Canceled.Error(), 1},
			{"canceled between two", s, soon, answers(now(0)), minioURL, context.DeadlineExceeded.Error(), 1},
		} {
			tries = 0
			e, err := c.source.Sync(c.ctx, c.client, c.url)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") || e != (clock.Estimate{}) {
				t.Errorf("%s: %+v, error %v, want %q", c.name, e, err, c.want)
			}
			if tries != c.tries {
				t.Errorf("%s: %d tries", c.name, tries)
			}
		}
		// A third answer decides between two.
		if e, err := s.Sync(t.Context(), answers(now(time.Hour), now(2*time.Hour), now(2*time.Hour)), "https://third.example.com"); err != nil || !near(e.Offset, 2*time.Hour-time.Second) {
			t.Errorf("the third agrees with the second: %+v, %v", e, err)
		}
	})
}

// An answer whose question was asked before the machine's clock was set says nothing about the clock as it is now.
func TestStepDuringAnExchange(t *testing.T) {
	var shift atomic.Int64
	base := clock.Func(func() time.Time { return time.Now().Add(time.Duration(shift.Load())) })
	s := clock.NewSource(base, clock.Options{})
	rawURL, authority := startServer(t, 0, func(w http.ResponseWriter, r *http.Request) {
		shift.Add(int64(-5 * time.Second))
		ok(w, r)
	})
	client := &http.Client{Transport: s.Transport(nil)}
	get(t, client, rawURL)
	get(t, client, rawURL)
	if e := s.Estimate(authority); e.Samples != 0 {
		t.Errorf("%+v", e)
	}
}

// A program that presigns for a server of its own, whose clock is its own business.
func ExampleSource_Sync() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(-20*time.Minute).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()

	source := clock.NewSource(nil, clock.Options{})
	estimate, err := source.Sync(context.Background(), nil, server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(estimate.Offset.Round(time.Minute))
	// Output: -20m0s
}

// The client learns from what the program does anyway.
func ExampleSource_Transport() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(20*time.Minute).UTC().Format(http.TimeFormat))
	}))
	defer server.Close()

	source := clock.NewSource(nil, clock.Options{OnChange: func(c clock.Change) {
		fmt.Println(c.Why, c.New.Round(time.Minute), c.Samples)
	}})
	client := &http.Client{Transport: source.Transport(nil)}
	for range 3 {
		if resp, err := client.Get(server.URL); err == nil {
			resp.Body.Close()
		}
	}
	// Output: accepted 20m0s 2
}
