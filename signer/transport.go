package signer

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/refusal"
)

// A Transport is a RoundTripper that signs each request, and sends it once more if the service refused it for its time:
//
//	source := clock.NewSource(nil, clock.Options{})
//	s, err := s3.New(s3.Config{ /* ... */ Clock: source})
//	client := &http.Client{Transport: signer.Transport{Signer: s, Clock: source}}
//
// The caller's request stays as it is; a copy is signed and sent. What it is refused for is Signer's error, and nothing was
// sent then. A request that a redirect led to another origin goes there without a signature, as net/http itself does with
// an Authorization header: two of the schemes do not sign the host, so that a stranger could use what he gets.
//
// The second attempt is made when the answer says that the time was wrong, and the Source has learned another one from it;
// or when it says that the signature is wrong, or nothing at all, and the time was wrong by more than 4 minutes. A request
// with a body needs GetBody for that, which http.NewRequest sets for bodies in memory; without it the refusal is returned.
// There is no third attempt.
//
// It is safe for concurrent use if its fields are.
type Transport struct {
	// Signer signs. It should read Clock.
	Signer RequestSigner

	// Clock learns from every answer; nil means that nothing is learned and nothing sent twice.
	Clock *clock.Source

	Base http.RoundTripper // nil means http.DefaultTransport
}

// RoundTrip signs and sends a copy of req.
func (t Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	base := learning(t.Clock, t.Base)
	if elsewhere(req) {
		return base.RoundTrip(req)
	}
	before := offset(t.Clock, req.URL) // while Sign calls a key service, another request may learn
	signed, err := t.sign(req, req.Body)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := base.RoundTrip(signed)
	if err != nil {
		return nil, err
	}
	resp.Request = req // without the signature
	kind := kindOf(resp)
	moved := (offset(t.Clock, req.URL) - before).Abs()
	if (kind != refusal.Time || moved == 0) && (kind != refusal.Mismatch || moved <= refusal.MismatchSkew) {
		return resp, nil
	}
	body, ok := rewind(req)
	if !ok {
		return resp, nil
	}
	if signed, err = t.sign(req, body); err != nil {
		if body != nil {
			body.Close()
		}
		return resp, nil
	}
	resp.Body.Close()
	if resp, err = base.RoundTrip(signed); err != nil {
		return nil, err
	}
	resp.Request = req
	return resp, nil
}

func (t Transport) sign(req *http.Request, body io.ReadCloser) (*http.Request, error) {
	signed := req.Clone(req.Context())
	signed.Body = body
	if signed.Header == nil {
		signed.Header = make(http.Header)
	}
	return signed, t.Signer.Sign(req.Context(), signed)
}

// CloseIdleConnections is what http.Client calls by that name.
func (t Transport) CloseIdleConnections() { closeIdle(t.Base) }

// A RefreshTransport is a RoundTripper for requests with signed URLs, which may be older than their signatures live: a
// download that a user resumes, a queue that was stuck. It signs the URL of a request again before it sends it if the URL
// has less than 10 seconds left; and after the service refused it for its time, or for its signature when a Source has learned
// from the answer that the time was wrong by more than 4 minutes; once per request.
//
//	client := &http.Client{Transport: signer.RefreshTransport{
//		Resign: func(ctx context.Context, req *http.Request) (*signer.Presigned, error) {
//			return s.Presign(ctx, signer.Request{Method: req.Method, Key: keyOf(req.URL), Expires: time.Minute})
//		},
//	}}
//
// Only what may be sent twice is: GET, HEAD, OPTIONS, TRACE, PUT and DELETE (RFC 9110, section 9.2.2), without a body or
// with one that GetBody returns again. Everything else, and what a redirect led to, passes as it is. When URLs end is read
// from what the schemes of this module write into them; one that does not say it is signed again only when it was refused.
// The caller's request stays as it is, and so does the URL in it: if Resign is costly, let it remember, or use a Window.
//
// It is safe for concurrent use if its fields are.
type RefreshTransport struct {
	// Resign returns a fresh URL for what req asks for, with the same Method. It must not change req. Its error is returned,
	// wrapped.
	Resign func(ctx context.Context, req *http.Request) (*Presigned, error)

	// Clock says what time it is; nil means clock.System(). A Source is asked for the URL's host, and learns from answers.
	Clock clock.Clock

	Base http.RoundTripper // nil means http.DefaultTransport
}

// refreshAhead is what a request may need to reach the service.
const refreshAhead = 10 * time.Second

// RoundTrip sends req, or a copy of it with a fresh URL.
func (t RefreshTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	source, _ := t.Clock.(*clock.Source)
	base := learning(source, t.Base)
	if !rewindable(req) || !idempotent(req.Method) || req.Response != nil {
		return base.RoundTrip(req)
	}
	if end := endOf(req.URL); !end.IsZero() && end.Before(t.now(req.URL).Add(refreshAhead)) {
		fresh, err := t.resign(req, req.Body)
		if err != nil {
			closeBody(req)
			return nil, err
		}
		return base.RoundTrip(fresh)
	}
	before := offset(source, req.URL)
	resp, err := base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	kind := kindOf(resp)
	moved := (offset(source, req.URL) - before).Abs()
	if kind != refusal.Time && (kind != refusal.Mismatch || moved <= refusal.MismatchSkew) {
		return resp, nil
	}
	body, ok := rewind(req)
	if !ok {
		return resp, nil
	}
	resp.Body.Close()
	fresh, err := t.resign(req, body)
	if err != nil {
		if body != nil {
			body.Close()
		}
		return nil, err
	}
	return base.RoundTrip(fresh)
}

func (t RefreshTransport) now(u *url.URL) time.Time {
	switch c := t.Clock.(type) {
	case nil:
		return clock.System().Now()
	case clock.Learned:
		now, _ := c.Read(clock.Authority(u))
		return now
	default:
		return c.Now()
	}
}

// resign returns a copy of req with a fresh URL and what must be sent with it.
func (t RefreshTransport) resign(req *http.Request, body io.ReadCloser) (*http.Request, error) {
	p, err := t.Resign(req.Context(), req)
	switch {
	case err != nil:
		return nil, fmt.Errorf("refresh: Resign: %w", err)
	case p == nil || p.Method != methodOf(req):
		return nil, &Error{Op: "refresh", Field: "Resign", Err: fmt.Errorf("%w: it must return a URL for the request's own method, which is %s", ErrRequest, methodOf(req))}
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		return nil, &Error{Op: "refresh", Field: "URL", Err: fmt.Errorf("%w: %w", ErrRequest, RedactError(err))}
	}
	fresh := req.Clone(req.Context())
	fresh.URL, fresh.Host, fresh.Body = u, u.Host, body
	if fresh.Header == nil {
		fresh.Header = make(http.Header)
	}
	return fresh, p.dress(fresh)
}

// CloseIdleConnections is what http.Client calls by that name.
func (t RefreshTransport) CloseIdleConnections() { closeIdle(t.Base) }

// learning is base, observed by the source if there is one.
func learning(source *clock.Source, base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	if source == nil {
		return base
	}
	return source.Transport(base)
}

func closeIdle(base http.RoundTripper) {
	if base == nil {
		base = http.DefaultTransport
	}
	if c, ok := base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// elsewhere reports whether a redirect led req to another origin than that of the first request.
func elsewhere(req *http.Request) bool {
	for from := req.Response; from != nil && from.Request != nil; from = from.Request.Response {
		if originOf(from.Request) != originOf(req) {
			return true
		}
	}
	return false
}

// offset is the correction in force at u.
func offset(source *clock.Source, u *url.URL) time.Duration {
	if source == nil {
		return 0
	}
	_, d := source.Read(clock.Authority(u))
	return d
}

// kindOf reads why resp refuses the request, if it does. A reader of resp sees what it would have seen. Reading to the end
// is what makes a Source's transport learn from the body.
func kindOf(resp *http.Response) refusal.Kind {
	if !refusal.Possible(resp.StatusCode) {
		return refusal.Other
	}
	var body []byte
	if resp.Body != nil && resp.Body != http.NoBody {
		body, _ = io.ReadAll(io.LimitReader(resp.Body, refusal.MaxBody+1)) // the reader finds the error again
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), resp.Body), resp.Body}
	}
	_, kind := refusal.Of(resp.StatusCode, resp.Header, body)
	return kind
}

func rewindable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

// rewind returns the request's body once more; not ok means that it cannot be had.
func rewind(req *http.Request) (body io.ReadCloser, ok bool) {
	if !rewindable(req) || req.GetBody == nil {
		return req.Body, rewindable(req)
	}
	body, err := req.GetBody()
	return body, err == nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

func methodOf(req *http.Request) string {
	return cmp.Or(req.Method, http.MethodGet)
}

func idempotent(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// endOf reads when a signed URL dies; the zero time if it does not say it in one of the ways that this module writes.
func endOf(u *url.URL) time.Time {
	q := u.Query()
	for _, scheme := range []string{"X-Amz-", "X-Goog-", "x-oss-"} {
		date, seconds := q.Get(scheme+"Date"), q.Get(scheme+"Expires")
		if scheme == "x-oss-" {
			date, seconds = q.Get("x-oss-date"), q.Get("x-oss-expires")
		}
		start, err := time.Parse("20060102T150405Z", date)
		n, err2 := strconv.ParseUint(seconds, 10, 32)
		if err == nil && err2 == nil {
			return start.Add(time.Duration(n) * time.Second)
		}
	}
	if q.Has("sig") { // Azure
		end, _ := time.Parse(time.RFC3339, q.Get("se"))
		return end
	}
	if n, err := strconv.ParseInt(q.Get("Expires"), 10, 64); err == nil && q.Has("Signature") { // Cloud CDN
		return time.Unix(n, 0)
	}
	return time.Time{}
}
