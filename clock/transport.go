package clock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"sync"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/refusal"
)

// Transport returns a RoundTripper that sends requests through next (nil: http.DefaultTransport) and learns from the
// answers. It changes neither. From an error that may be about the time (400, 401, 403) it learns once the caller has read
// or closed the body, which often tells more than the Date.
func (s *Source) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{s, next}
}

type transport struct {
	source *Source
	next   http.RoundTripper
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.source.options.Off || req.Context().Value(exchangeKey{t.source}) != nil { // or observed already, further out
		return t.next.RoundTrip(req)
	}
	x := t.source.exchange()
	timed := req.WithContext(x.context(req.Context()))
	resp, err := t.next.RoundTrip(timed)
	if err != nil {
		return resp, err
	}
	if resp.Request == timed {
		resp.Request = req
	}
	o := x.observation(req, resp)
	if refusal.Possible(resp.StatusCode) && resp.Body != nil && resp.Body != http.NoBody {
		resp.Body = &refusalBody{ReadCloser: resp.Body, done: func(body []byte) {
			o.Body = body
			t.source.observe(o, x.epoch, false)
		}}
	} else {
		t.source.observe(o, x.epoch, false)
	}
	return resp, nil
}

// CloseIdleConnections is what http.Client calls by that name.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// refusalBody hands the beginning of a body to done when the reader has done with it.
type refusalBody struct {
	io.ReadCloser

	mu   sync.Mutex // readers may close while they read
	seen []byte
	done func(body []byte)
}

func (b *refusalBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	b.seen = append(b.seen, p[:min(n, refusal.MaxBody-len(b.seen))]...)
	b.mu.Unlock()
	if err != nil {
		b.finish()
	}
	return n, err
}

func (b *refusalBody) Close() error {
	err := b.ReadCloser.Close()
	b.finish()
	return err
}

func (b *refusalBody) finish() {
	b.mu.Lock()
	done, seen := b.done, b.seen
	b.done = nil
	b.mu.Unlock()
	if done != nil {
		done(seen)
	}
}

// An exchange times one request and its answer.
type exchange struct {
	source *Source
	epoch  int

	mu             sync.Mutex // hooks run in goroutines of the transport
	sent, received time.Time
	interim        bool
}

type exchangeKey struct{ source *Source }

func (s *Source) exchange() *exchange {
	now, st := s.current()
	return &exchange{source: s, epoch: st.epoch, sent: now.now}
}

// context has the hooks. The connection is ready before anything is written: that is never too late, as the hooks after
// writing may be, and leaves dialling out of the interval. The first byte is too early if it is that of a 100 Continue.
func (x *exchange) context(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, exchangeKey{x.source}, x)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) {
			now := x.source.base.Now()
			x.mu.Lock()
			defer x.mu.Unlock()
			x.sent, x.received, x.interim = now, time.Time{}, false
		},
		GotFirstResponseByte: func() {
			now := x.source.base.Now()
			x.mu.Lock()
			defer x.mu.Unlock()
			x.received = now
		},
		Got1xxResponse: func(int, textproto.MIMEHeader) error {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.interim = true
			return nil
		},
	})
}

// observation is what the answer to req says, which has just arrived.
func (x *exchange) observation(req *http.Request, resp *http.Response) Observation {
	now := x.source.base.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	o := Observation{URL: req.URL, Sent: x.sent, Received: x.received, Status: resp.StatusCode, Header: resp.Header}
	if x.interim || o.Received.IsZero() {
		o.Received = now
	}
	for from := req.Response; from != nil && from.Request != nil; from = from.Request.Response {
		o.Redirected = o.Redirected || Authority(from.Request.URL) != Authority(req.URL)
	}
	return o
}

// Sync asks a server for the time: up to three HEADs through c (nil: http.DefaultClient), half a second apart, until two
// of the answers agree. Credentials are not needed, a 403 tells the time as well. For programs that presign and send
// nothing themselves; what was learned counts for Options.MaxAge.
//
// If no two answers agree, the error says what became of the last.
func (s *Source) Sync(ctx context.Context, c *http.Client, rawURL string) (Estimate, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return Estimate{}, errors.New("clock: sync: this is no URL with http or https and a host")
	}
	if s.options.Off {
		return Estimate{}, errors.New("clock: sync: the source is switched off (Options.Off)")
	}
	if c == nil {
		c = http.DefaultClient
	}
	own := *c
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var seen []sample
	for n := range 3 {
		if n > 0 && !pause(ctx) {
			return Estimate{}, ctx.Err()
		}
		var x sample
		if x, err = s.probe(ctx, &own, u); ctx.Err() != nil {
			return Estimate{}, ctx.Err()
		} else if err != nil {
			continue
		}
		seen = append(seen, x)
		if agree(seen).count >= 2 {
			return s.Estimate(Authority(u)), nil
		}
		err = errors.New("the answers disagree")
	}
	return Estimate{}, fmt.Errorf("clock: sync: %s: %w", Authority(u), err)
}

// pause waits until the fraction of the second, which Date does not tell, lies on the other side.
func pause(ctx context.Context) bool {
	timer := time.NewTimer(500 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Source) probe(ctx context.Context, c *http.Client, u *url.URL) (sample, error) {
	x := s.exchange()
	req, err := http.NewRequestWithContext(x.context(ctx), http.MethodHead, u.String(), nil)
	if err != nil {
		return sample{}, err
	}
	resp, err := c.Do(req)
	if err != nil {
		if e := (*url.Error)(nil); errors.As(err, &e) { // it repeats the URL, which may be a signed one
			err = e.Err
		}
		return sample{}, err
	}
	defer resp.Body.Close()
	got, v := s.observe(x.observation(req, resp), x.epoch, true)
	if v != Accepted {
		return got, errors.New(v.String())
	}
	return got, nil
}
