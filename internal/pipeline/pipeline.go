// Package pipeline holds the steps that all backends share, as leaves that a backend calls in this order:
//
//	CheckRequest or CheckHTTPRequest   what no name or value may hold      signer.ErrRequest
//	Clock.Read                         once
//	PlanTimes                          start, window and end               signer.ErrLifetime
//	  (the backend asks its credential source for something that lives until Plan.End)
//	Plan.Cap                           the URL dies with its credentials   signer.ErrCredentials
//	  (canonicalise, hash, sign)
//	  (commit: nothing of the caller's is changed until nothing can fail)
//
// They are leaves and not a driver that calls back, because a driver makes requests and credentials escape to the
// heap: three allocations for each URL.
package pipeline

import (
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Op names the backend and the operation in errors.
type Op struct{ Backend, Name string }

// Errorf returns a *signer.Error about a field ("" for the request as a whole) that wraps sentinel. Any %w in format
// is wrapped as well.
func (o Op) Errorf(sentinel error, field, format string, args ...any) error {
	return &signer.Error{Backend: o.Backend, Op: o.Name, Field: field,
		Err: fmt.Errorf("%w: "+format, append([]any{sentinel}, args...)...)}
}

// Refusal is Errorf with the code that the provider would answer with.
func (o Op) Refusal(sentinel error, field, code, format string, args ...any) error {
	err := o.Errorf(sentinel, field, format, args...)
	err.(*signer.Error).Code = code
	return err
}

// A Clock is a configured clock, asked for the time at one authority.
type Clock struct {
	clock     clock.Clock
	learned   clock.Learned // nil if the clock has learned nothing
	authority string
}

// NewClock returns the clock of a Config: c, or the machine's if c is nil.
func NewClock(c clock.Clock, authority string) Clock {
	if c == nil {
		c = clock.System()
	}
	learned, _ := c.(clock.Learned)
	return Clock{c, learned, authority}
}

// Read returns the time and the correction that it contains.
func (c *Clock) Read() (now time.Time, offset time.Duration) {
	if c.learned != nil {
		return c.learned.Read(c.authority)
	}
	return c.clock.Now(), 0
}

// VerifierClock returns the clock of a VerifierConfig. A clock that has learned from the network is an error: it would
// let whoever can answer us decide what we accept.
func VerifierClock(op Op, c clock.Clock) (clock.Clock, error) {
	if c == nil {
		return clock.System(), nil
	}
	if _, ok := c.(clock.Learned); ok {
		return nil, op.Errorf(signer.ErrRequest, "Clock",
			"this clock has learned its time from servers, which a verifier must not trust; give it clock.System()")
	}
	return c, nil
}

// DefaultLeeway is how far a client's clock may be ahead, or a header's date off, where a VerifierConfig does not say.
const DefaultLeeway = 15 * time.Minute

// Leeway returns the leeway of a VerifierConfig.
func Leeway(op Op, d time.Duration) (time.Duration, error) {
	switch {
	case d < 0:
		return 0, op.Errorf(signer.ErrRequest, "Leeway", "%v is negative; leave it 0 for %v", d, DefaultLeeway)
	case d == 0:
		return DefaultLeeway, nil
	}
	return d, nil
}

// DirectInbound is the origin of a request that no proxy stands in front of.
func DirectInbound(r *http.Request) (signer.Inbound, error) {
	in, err := DirectHost(r)
	if client, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		in.ClientIP = client.Addr()
	}
	return in, err
}

// DirectHost is DirectInbound without the client, for schemes that do not look at it.
func DirectHost(r *http.Request) (signer.Inbound, error) {
	in := signer.Inbound{Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		in.Scheme = "https"
	}
	return in, nil
}
