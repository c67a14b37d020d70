// Package clock is the one place where cloudsigner learns what time it is.
//
// Every Signer and Verifier has a Clock in its configuration and reads it once per operation; all timestamps,
// scope dates and expiries of that operation come from that one instant. Leave the field nil for the machine's
// own clock:
//
//	s3.Config{ /* ... */ }                                              // clock.System()
//	s3.Config{ /* ... */ Clock: clock.Fixed(t)}                         // golden tests: the same bytes every time
//	s3.Config{ /* ... */ Clock: clock.Func(func() time.Time { ... })}   // anything else
//
// A Clock that has learned how far the machine is from the services it talks to implements Learned as well.
// Signers ask it for the time at the host they sign for. Verifiers refuse such a clock: what a server says must
// not decide what we accept.
package clock

import "time"

// A Clock tells the time. It must be safe for concurrent use.
type Clock interface {
	Now() time.Time
}

// Func makes a Clock of a function. The function must be safe for concurrent use.
type Func func() time.Time

// Now calls the function.
func (f Func) Now() time.Time { return f() }

// Learned is a Clock that knows different times for different hosts: a service's clock and ours may disagree, and
// what counts for a signature is the service's.
type Learned interface {
	Clock

	// Read returns the corrected time at an authority ("host" or "host:port", lower case) and the correction
	// that it contains: now is the machine's time plus offset, and an offset of 0 means that nothing was
	// corrected. It does not allocate.
	Read(authority string) (now time.Time, offset time.Duration)
}

// System returns the machine's clock.
func System() Clock { return system{} }

type system struct{}

func (system) Now() time.Time { return time.Now() }

// Fixed returns a Clock that always tells t.
func Fixed(t time.Time) Clock { return fixed{t} }

type fixed struct{ t time.Time }

func (c fixed) Now() time.Time { return c.t }
