package pipeline

import (
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// Ask is what the caller wants of a URL's life.
type Ask struct {
	Expires, Window time.Duration
	Spread          bool
	Bucket, Key     string // what Spread hashes
	AllowShorter    bool
}

// Limits are the scheme's and the configuration's part, in whole seconds.
type Limits struct {
	Max      int64 // the longest time from start to end; 0 for no limit
	Backdate int64 // how far before now a URL starts
}

// Backdate turns a Config's Backdate into seconds: 0 means def, negative none, and a fraction rounds up.
func Backdate(d, def time.Duration) int64 {
	switch {
	case d < 0:
		return 0
	case d == 0:
		return ceilSeconds(def)
	}
	return ceilSeconds(d)
}

// Plan is the life of one URL, in seconds since 1970.
type Plan struct {
	Now         int64 // the clock, cut to the second
	Start       int64 // when the URL begins to work
	End         int64 // when it dies
	StableUntil int64 // 0 without a window
	LimitedBy   signer.Limit

	window   int64 // the beginning of the window, or Now
	promised int64 // the least end that the caller asked for
	limits   Limits
}

// The years that the schemes' timestamps can write.
const (
	minUnix = 0
	maxUnix = 253402300799 // 9999-12-31T23:59:59Z
)

// PlanTimes lays out a URL's life: with t the clock cut to the second and w the beginning of t's window (t itself
// without one), the URL ends at w + Window + Expires, so that it lives at least Expires from any instant in the window,
// and starts at w - Backdate. If that is longer than the scheme's maximum, Backdate shrinks first; what is still too long
// is ErrLifetime, or with AllowShorter ends at w plus the maximum.
func PlanTimes(op Op, now time.Time, ask *Ask, limits Limits) (p Plan, err error) {
	err = p.Lay(op, now, ask, limits)
	return p, err
}

// Lay is PlanTimes without a copy of the Plan.
func (p *Plan) Lay(op Op, now time.Time, ask *Ask, limits Limits) error {
	*p = Plan{Now: now.Unix(), LimitedBy: signer.LimitRequest, limits: limits}
	if p.Now < minUnix || p.Now > maxUnix {
		return op.Errorf(signer.ErrLifetime, "Clock", "it reads %v; set the machine's clock", now.UTC().Format(time.RFC3339))
	}
	if ask.Expires <= 0 {
		return op.Errorf(signer.ErrLifetime, "Expires", "%v is no time for a URL to live; say how long it must work, 15*time.Minute perhaps", ask.Expires)
	}
	expires := ceilSeconds(ask.Expires)
	p.window, p.promised = p.Now, p.Now+expires
	p.End = p.promised
	if ask.Window != 0 {
		if ask.Window < time.Second || ask.Window%time.Second != 0 || ask.Window > ask.Expires/2 {
			return op.Errorf(signer.ErrLifetime, "Window", "%v with Expires %v; it must be whole seconds, from 1s to half of Expires", ask.Window, ask.Expires)
		}
		window := int64(ask.Window / time.Second)
		var shift int64
		if ask.Spread {
			shift = spread(ask.Bucket, ask.Key, window)
		}
		p.window -= floorMod(p.Now-shift, window)
		p.StableUntil = p.window + window
		p.End = p.window + window + expires
	} else if ask.Spread {
		return op.Errorf(signer.ErrRequest, "Spread", "it shifts a Window, and there is none; set Window too")
	}
	if limits.Max > 0 && p.End-p.window > limits.Max {
		longest := time.Duration(limits.Max) * time.Second
		if !ask.AllowShorter {
			asked := ask.Expires.String() + " is"
			if ask.Window != 0 {
				asked = ask.Expires.String() + " and a Window of " + ask.Window.String() + " are"
			}
			return op.Errorf(signer.ErrLifetime, "Expires", "%s over the %v that the scheme allows; ask for less, or set AllowShorter", asked, longest)
		}
		p.End = p.window + limits.Max
		p.LimitedBy = signer.LimitScheme
		if p.End <= p.Now {
			return op.Errorf(signer.ErrLifetime, "Window", "%v is over the %v that a URL of this scheme can live; ask for less", ask.Window, longest)
		}
	}
	if p.End > maxUnix {
		return op.Errorf(signer.ErrLifetime, "Expires", "%v ends after the year 9999", ask.Expires)
	}
	p.start()
	return nil
}

// Cap ends the URL with the credentials that sign it. Dead credentials, and those that die before the URL has lived as
// long as was asked for, are ErrCredentials; the latter cut the end if shorter is allowed. field and what name in errors what
// limits the URL, in singular or plural: credentials, or signatures of a key that somebody else keeps. The zero time means that
// it does not die.
func (p *Plan) Cap(op Op, dies time.Time, allowShorter bool, field, what string) error {
	if dies.IsZero() {
		return nil
	}
	end := dies.Unix()
	switch {
	case end <= p.Now:
		return op.Errorf(signer.ErrCredentials, field, "%s died at %s; sign with what is alive", what, dies.UTC().Format(time.RFC3339))
	case end >= p.End:
		return nil
	case end < p.promised && !allowShorter:
		return op.Errorf(signer.ErrCredentials, field, "%s will die at %s, before the URL does; ask for a shorter Expires, set AllowShorter, or sign with what lives longer", what, dies.UTC().Format(time.RFC3339))
	}
	p.End = end
	p.LimitedBy = signer.LimitCredentials
	if p.StableUntil > end {
		p.StableUntil = end
	}
	p.start()
	return nil
}

// start backdates as far as the maximum leaves room.
func (p *Plan) start() {
	p.Start = max(p.window-p.limits.Backdate, minUnix)
	if p.limits.Max > 0 {
		p.Start = max(p.Start, p.End-p.limits.Max)
	}
}

// Time makes a time.Time, in UTC, of one of the plan's instants.
func Time(unix int64) time.Time {
	if unix == 0 {
		return time.Time{}
	}
	return time.Unix(unix, 0).UTC()
}

func ceilSeconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return s
}

// floorMod is a mod n for n > 0, never negative.
func floorMod(a, n int64) int64 {
	if m := a % n; m < 0 {
		return m + n
	} else {
		return m
	}
}

// spread returns a number of seconds in [0, window) from a hash (FNV-1a, 64 bits) of bucket, NUL and key: the same in every
// process and version, because processes must agree on their windows.
func spread(bucket, key string, window int64) int64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(bucket) {
		h = (h ^ uint64(bucket[i])) * prime
	}
	h *= prime // the NUL
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * prime
	}
	return int64(h % uint64(window))
}
