// Package rest is how light packages call a key service: over https, without following redirects, with a bound on every
// wait and on every answer; once for all who ask the same at the same time (Flight), and not again while the answer holds
// (Cache, Renewer).
package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

const (
	maxBody       = 1 << 20
	attempts      = 4
	firstPause    = 100 * time.Millisecond // doubled after each attempt
	maxRetryAfter = 10 * time.Second
)

// CheckEndpoint is pipeline.CheckEndpoint for a service that is sent a token, or whose answer decides what is accepted: https, or
// http to this machine. nil is fine.
func CheckEndpoint(op pipeline.Op, u *url.URL) error {
	if err := pipeline.CheckEndpoint(op, u); err != nil {
		return err
	}
	if u != nil && u.Scheme != "https" && !Loopback(u.Hostname()) {
		return op.Errorf(signer.ErrRequest, "Endpoint",
			"it is http, in which anyone on the way reads and changes what is said; use https, http is for loopback only")
	}
	return nil
}

// Loopback reports whether a host without a port is this machine.
func Loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// A Client sends Requests through an http.Client.
type Client struct {
	http    http.Client
	timeout time.Duration

	// Jitter shortens a pause at random, so that those who failed together do not come back together. Tests make it exact.
	Jitter func(time.Duration) time.Duration
}

// Near reports whether a host without a port is this machine, or an address of its link, which no router passes on. Those are the
// hosts of metadata services, which speak http only.
func Near(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLinkLocalUnicast() || Loopback(host)
}

// CheckMetadata is CheckEndpoint for a metadata service: https, or http to a host that is Near or one of more.
func CheckMetadata(op pipeline.Op, u *url.URL, more ...string) error {
	if err := pipeline.CheckEndpoint(op, u); err != nil {
		return err
	}
	if u.Scheme != "https" && !Near(u.Hostname()) && !slices.Contains(more, u.Hostname()) {
		return op.Errorf(signer.ErrRequest, "Endpoint", "it is http, and neither this machine nor on its link, where metadata services are; use https")
	}
	return nil
}

// Direct returns c if it has a Transport, and otherwise a client like it that goes by no proxy, as metadata services want to be asked:
// what a proxy is told about is another machine's, and it would read the credentials.
func Direct(c *http.Client) *http.Client {
	direct := new(http.Client)
	if c != nil {
		*direct = *c
	}
	if direct.Transport == nil {
		direct.Transport = &http.Transport{DisableKeepAlives: true}
	}
	return direct
}

// TokenOK reports whether a token can stand in a header (RFC 6750, 2.1, and a little more).
func TokenOK(token string) bool {
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return false
		}
	}
	return token != ""
}

// Remote wraps the cause of a failure in signer.ErrRemote, but leaves the end of ctx as it is.
func Remote(ctx context.Context, op pipeline.Op, field, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return op.Errorf(signer.ErrRemote, field, "%s: %w", what, signer.RedactError(err))
}

// NewClient returns a Client that sends through c (nil: http.DefaultClient), and waits up to timeout for each answer.
func NewClient(c *http.Client, timeout time.Duration) *Client {
	if c == nil {
		c = http.DefaultClient
	}
	own := &Client{http: *c, timeout: timeout, Jitter: jitter}
	own.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return own
}

func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// A Request is one that may be sent again.
type Request struct {
	Method, URL string
	Header      http.Header
	Body        []byte
}

// An Answer is what the service said, whole.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends r, again where the answer is 408, 429, 500, 502, 503 or 504, or none comes: up to four times, with pauses that
// double, and after what Retry-After asks for. Where that is more than ten seconds, the answer stands.
//
// Other answers are returned whatever their status, but a redirect is an error, and so is a body of more than 1 MiB. An
// error is ctx's own where ctx has ended.
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	for n := 1; ; n++ {
		a, again, err := c.once(ctx, r)
		after := a.retryAfter()
		if !again || n == attempts || after > maxRetryAfter {
			return a, err
		}
		if err := c.Pause(ctx, n, after); err != nil {
			return Answer{}, err
		}
	}
}

// Pause waits before attempt n+1, and at least for the time given.
func (c *Client) Pause(ctx context.Context, n int, least time.Duration) error {
	timer := time.NewTimer(least + c.Jitter(firstPause<<(n-1)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Client) once(ctx context.Context, r Request) (a Answer, again bool, err error) {
	attempt, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(attempt, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return a, false, err
	}
	req.Header = r.Header.Clone()
	resp, err := c.http.Do(req)
	if err == nil {
		defer resp.Body.Close()
		a = Answer{Status: resp.StatusCode, Header: resp.Header}
		a.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	}
	switch {
	case ctx.Err() != nil:
		return Answer{}, false, ctx.Err()
	case err != nil && attempt.Err() != nil: // hidden: to the caller it would look like the end of ctx
		return Answer{}, true, fmt.Errorf("no answer within %v", c.timeout)
	case err != nil:
		return Answer{}, true, signer.RedactError(err)
	case a.Status/100 == 3:
		return Answer{}, false, errors.New("the answer is a redirect, which is not followed; is this the right endpoint?")
	case len(a.Body) > maxBody:
		return Answer{}, false, fmt.Errorf("the answer has more than %d bytes", maxBody)
	}
	return a, transient(a.Status), nil
}

func transient(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryAfter reads both forms of Retry-After (RFC 9110, 10.2.3); a time counts from the answer's own Date.
func (a Answer) retryAfter() time.Duration {
	text := a.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	until, err1 := http.ParseTime(text)
	date, err2 := http.ParseTime(a.Header.Get("Date"))
	if err1 != nil || err2 != nil {
		return 0
	}
	return max(0, until.Sub(date))
}
