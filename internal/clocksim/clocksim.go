// Package clocksim is a world in which true time is known: a machine whose clock is off, servers whose clocks are off too, and
// a network between them. Tests hold clock.Source to it, and the picture in the README is drawn from it. The same seed makes
// the same world.
package clocksim

import (
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
)

// A World is one machine in true time. It is a clock.Clock that tells the machine's time.
type World struct {
	Rand  *rand.Rand
	Truth time.Time // now

	off    time.Duration // of the machine's clock when it was last set or slewed
	set    time.Time     // when that was, in true time
	drift  float64       // seconds that the machine's clock gains in a second
	bubble bool          // see Monotonic
}

// New returns a World whose machine is ahead of true time by off, and gains ppm microseconds in every second.
func New(seed uint64, off time.Duration, ppm float64) *World {
	start := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	return &World{Rand: rand.New(rand.NewPCG(seed, 8)), Truth: start, off: off, set: start, drift: ppm / 1e6}
}

// Off is how far the machine's clock is ahead of true time.
func (w *World) Off() time.Duration {
	return w.off + time.Duration(float64(w.Truth.Sub(w.set))*w.drift)
}

// Now is the machine's time.
func (w *World) Now() time.Time { return w.Truth.Add(w.Off()) }

// Pass lets time go by.
func (w *World) Pass(d time.Duration) {
	w.Truth = w.Truth.Add(d)
	if w.bubble {
		time.Sleep(d)
	}
}

// Suspend puts the machine to sleep: time goes by, and its monotonic clock stands still.
func (w *World) Suspend(d time.Duration) { w.Truth = w.Truth.Add(d) }

// Set sets the machine's clock: from now on it is ahead by off.
func (w *World) Set(off time.Duration) { w.off, w.set = off, w.Truth }

// Slew changes how fast the machine's clock goes: from now on it gains ppm microseconds in every second.
func (w *World) Slew(ppm float64) {
	w.Set(w.Off())
	w.drift = ppm / 1e6
}

// Monotonic gives the machine a monotonic clock, the one of the bubble of testing/synctest in which all that follows happens.
// Without it, setting the machine's clock is to a Source time that goes by. A Source looks for the monotonic part of readings,
// which those in a bubble lack: outside is a time.Now from outside, and lends its own.
func (w *World) Monotonic(outside time.Time) {
	w.Truth, w.bubble = outside.Add(w.Truth.Sub(outside)), true
}

// A Server tells its time to the second.
type Server struct {
	URL   *url.URL
	Ahead time.Duration // of true time
	Stale time.Duration // how old the string may be that it sends as Date
}

// NewServer returns a Server at https://host.
func NewServer(host string, ahead time.Duration) *Server {
	return &Server{URL: &url.URL{Scheme: "https", Host: host}, Ahead: ahead}
}

// Ask sends a request to s, which arrives after out, is answered at once, and the answer arrives after back.
func (w *World) Ask(s *Server, out, back time.Duration) clock.Observation {
	sent := w.Now()
	w.Pass(out)
	date := w.Truth.Add(s.Ahead)
	if s.Stale > 0 {
		date = date.Add(-time.Duration(w.Rand.Int64N(int64(s.Stale))))
	}
	w.Pass(back)
	return clock.Observation{URL: s.URL, Sent: sent, Received: w.Now(), Status: http.StatusOK,
		Header: http.Header{"Date": {date.UTC().Format(http.TimeFormat)}}}
}

// Refuse is Ask for a request that s refuses for its time. The body tells that of s to the millisecond.
func (w *World) Refuse(s *Server, out, back time.Duration) clock.Observation {
	told := w.Truth.Add(out + s.Ahead)
	o := w.Ask(s, out, back)
	o.Status = http.StatusForbidden
	o.Body = []byte("<Error><Code>RequestTimeTooSkewed</Code><ServerTime>" + told.UTC().Format("2006-01-02T15:04:05.000Z") + "</ServerTime></Error>")
	return o
}

// Between returns a duration from low to high, of which all are equally likely.
func (w *World) Between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.Rand.Int64N(int64(high-low)+1))
}

// RoundTrip returns how long a request and its answer are under way: log-normal about 60 ms, as networks are, from 1 ms to 5 s,
// and divided at random.
func (w *World) RoundTrip() (out, back time.Duration) {
	all := time.Duration(60e6 * math.Exp(1.2*w.Rand.NormFloat64()))
	all = min(max(all, time.Millisecond), 5*time.Second)
	out = w.Between(0, all)
	return out, all - out
}
