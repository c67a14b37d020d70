package signertest

import (
	"fmt"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

func expiresMaximum(c *trial) {
	if c.MaxExpires == 0 {
		c.presign(c.signer(), c.request(expires(10*365*24*time.Hour))) // no limit: ten years are none
		return
	}
	c.refusesAll("expires-maximum")
	s := c.signer()
	if p := c.presign(s, c.request(expires(c.MaxExpires))); !p.ExpiresAt.Equal(second(evening()).Add(c.MaxExpires)) {
		c.errorf("a URL for the maximum of %v ends at %v, signed at %v", c.MaxExpires, p.ExpiresAt, evening())
	}
	o := signer.Options{Expires: c.MaxExpires + time.Second}
	_, err := c.requestPresigner(s).PresignRequest(ctx(), c.httpRequest(), o)
	c.wantError("PresignRequest: a second above the maximum", err, signer.ErrLifetime)
}

func expiresHonest(c *trial) {
	s := c.signer()
	for d, seconds := range map[time.Duration]int{1: 1, time.Millisecond: 1, 999999999: 1, time.Second: 1, time.Second + 1: 2, 1500 * time.Millisecond: 2,
		time.Minute: 60, time.Hour - 1: 3600, time.Hour: 3600} {
		want := second(evening()).Add(time.Duration(seconds) * time.Second)
		p := c.presign(s, c.request(expires(d)))
		if !p.ExpiresAt.Equal(want) || p.LimitedBy != signer.LimitRequest {
			c.errorf("Expires %v at %v: ExpiresAt is %v, limited by %v; want %v, limited by the request", d, evening(), p.ExpiresAt, p.LimitedBy, want)
		}
		if !p.StableUntil.IsZero() {
			c.errorf("StableUntil is %v without a Window", p.StableUntil)
		}
		if _, ok := signer.As[signer.RequestPresigner](s); ok {
			if p := c.presignRequest(s, c.httpRequest(), signer.Options{Expires: d}); !p.ExpiresAt.Equal(want) {
				c.errorf("PresignRequest, Expires %v at %v: ExpiresAt is %v, want %v", d, evening(), p.ExpiresAt, want)
			}
		}
		if c.NewVerifier != nil { // what is said is what is signed
			if g := c.accepts("a URL", c.verifier(at(second(evening()))), c.arrived(p)); !g.ExpiresAt.Equal(want) {
				c.errorf("Expires %v at %v: the URL ends at %v, want %v", d, evening(), g.ExpiresAt, want)
			}
		}
	}
}

func allowShorter(c *trial) {
	if c.MaxExpires == 0 {
		c.skip("the scheme has no maximum")
	}
	s := c.signer()
	for _, more := range []time.Duration{1, time.Second, 365 * 24 * time.Hour} {
		p := c.presign(s, c.request(func(r *signer.Request) { r.Expires, r.AllowShorter = c.MaxExpires+more, true }))
		c.limited(fmt.Sprintf("%v above the maximum", more), p, second(evening()).Add(c.MaxExpires), signer.LimitScheme)
	}
	p := c.presign(s, c.request(func(r *signer.Request) { r.Expires, r.AllowShorter = time.Hour, true }))
	c.limited("an hour with AllowShorter", p, second(evening()).Add(time.Hour), signer.LimitRequest)
	if _, ok := signer.As[signer.RequestPresigner](s); ok {
		p := c.presignRequest(s, c.httpRequest(), signer.Options{Expires: c.MaxExpires + time.Hour, AllowShorter: true})
		c.limited("PresignRequest, an hour above the maximum", p, second(evening()).Add(c.MaxExpires), signer.LimitScheme)
	}
	start := windowStart(evening(), 7*time.Minute)
	p = c.presign(s, c.request(func(r *signer.Request) { r.Expires, r.Window, r.AllowShorter = c.MaxExpires, 7*time.Minute, true }))
	c.limited("the maximum and a window", p, start.Add(c.MaxExpires), signer.LimitScheme)
}

// limited checks when a URL ends, why, and that a verifier agrees.
func (c *trial) limited(what string, p *signer.Presigned, end time.Time, by signer.Limit) {
	if !p.ExpiresAt.Equal(end) || p.LimitedBy != by {
		c.errorf("%s: ends at %v, limited by %v; want %v, limited by %v", what, p.ExpiresAt, p.LimitedBy, end, by)
	}
	if c.NewVerifier == nil {
		return
	}
	in := c.arrived(p)
	if g := c.accepts(what+", a nanosecond before its end", c.verifier(at(end.Add(-1))), in); !g.ExpiresAt.Equal(end) {
		c.errorf("%s: the URL itself ends at %v, want %v", what, g.ExpiresAt, end)
	}
	c.rejects(what+", at its end", c.verifier(at(end)), in, signer.ErrExpired)
}

func backdates(c *trial) {
	c.need("Backdate")
	for _, now := range []time.Time{evening(), evening().Add(20 * time.Second)} { // before midnight, and ten seconds after
		for _, tt := range []struct {
			expires, window, backdate, want time.Duration // want: how far before now, or before the window
		}{
			{time.Hour, 0, -1, 0},
			{time.Hour, 0, time.Second, time.Second},
			{time.Hour, 0, time.Minute, time.Minute},
			{time.Second, 0, time.Hour, time.Hour},
			{time.Hour, 7 * time.Minute, -1, 0},
			{time.Hour, 7 * time.Minute, time.Minute, time.Minute},
			{c.MaxExpires, 0, time.Minute, 0},
			{c.MaxExpires - 10*time.Second, 0, time.Minute, 10 * time.Second},
			{c.MaxExpires - 7*time.Minute, 7 * time.Minute, time.Minute, 0},
			{c.MaxExpires - 7*time.Minute - 3*time.Second, 7 * time.Minute, time.Minute, 3 * time.Second},
		} {
			if tt.expires <= 0 { // no maximum
				continue
			}
			what := fmt.Sprintf("Backdate %v, Expires %v, Window %v at %v", tt.backdate, tt.expires, tt.window, now)
			s := c.signer(at(now), backdate(tt.backdate))
			from, end := second(now), second(now).Add(tt.expires)
			if tt.window > 0 {
				from = windowStart(now, tt.window)
				end = from.Add(tt.window + tt.expires)
			}
			results := map[string]*signer.Presigned{"Presign": c.presign(s, c.request(func(r *signer.Request) { r.Expires, r.Window = tt.expires, tt.window }))}
			if _, ok := signer.As[signer.RequestPresigner](s); ok {
				results["PresignRequest"] = c.presignRequest(s, c.httpRequest(), signer.Options{Expires: tt.expires, Window: tt.window})
			}
			for by, p := range results {
				if start := from.Add(-tt.want); !p.NotBefore.Equal(start) || !p.ExpiresAt.Equal(end) {
					c.errorf("%s, %s: from %v to %v, want from %v to %v", by, what, p.NotBefore, p.ExpiresAt, start, end)
				}
				if c.NewVerifier == nil {
					continue
				}
				g := c.accepts(by+", "+what+": the URL, at its start", c.verifier(at(p.NotBefore)), c.arrived(p))
				if !g.NotBefore.Equal(p.NotBefore) || !g.ExpiresAt.Equal(p.ExpiresAt) {
					c.errorf("%s, %s: said to work from %v to %v, granted from %v to %v", by, what, p.NotBefore, p.ExpiresAt, g.NotBefore, g.ExpiresAt)
				}
			}
		}
	}
}

func window(c *trial) {
	day := c.atMost(24 * time.Hour)
	for _, w := range []time.Duration{time.Second, 7 * time.Minute, day / 24 * 11} { // not all divide a day: windows do not begin at midnight
		r := c.request(func(r *signer.Request) { r.Expires, r.Window = day, w })
		start := windowStart(evening(), w)
		end := start.Add(w)
		first := c.presign(c.signer(at(start)), r)
		for _, now := range []time.Time{start, start.Add(1), start.Add(w / 2), end.Add(-time.Second), end.Add(-1)} {
			p := c.presign(c.signer(at(now)), r)
			if p.URL != first.URL || !p.StableUntil.Equal(end) || !p.ExpiresAt.Equal(end.Add(r.Expires)) || !p.NotBefore.Equal(first.NotBefore) {
				c.errorf("Window %v at %v: same URL as at the window's start %v: %t; stable until %v, want %v; ends at %v, want %v",
					w, now, start, p.URL == first.URL, p.StableUntil, end, p.ExpiresAt, end.Add(r.Expires))
			}
			if p.LimitedBy != signer.LimitRequest {
				c.errorf("Window %v: limited by %v, want the request", w, p.LimitedBy)
			}
		}
		for _, now := range []time.Time{start.Add(-1), end} {
			if c.presign(c.signer(at(now)), r).URL == first.URL {
				c.errorf("Window %v from %v to %v: the same URL at %v, outside of it", w, start, end, now)
			}
		}
		s := c.signer(at(start))
		if _, ok := signer.As[signer.RequestPresigner](s); !ok {
			continue
		}
		o := signer.Options{Expires: r.Expires, Window: w}
		a, b := c.presignRequest(s, c.httpRequest(), o), c.presignRequest(c.signer(at(end.Add(-1))), c.httpRequest(), o)
		if a.URL != b.URL || !a.StableUntil.Equal(end) || c.presignRequest(c.signer(at(end)), c.httpRequest(), o).URL == a.URL {
			c.errorf("PresignRequest, Window %v: the URL does not hold from %v until %v", w, start, end)
		}
	}
}

// windowStart is the last multiple of w since 1970. Time.Truncate counts from the year 1.
func windowStart(now time.Time, w time.Duration) time.Time {
	zero := time.Unix(0, 0).UTC()
	return zero.Add(now.Sub(zero) / w * w)
}

func windowValid(c *trial) {
	s := c.signer()
	for _, w := range []time.Duration{-time.Second, 1, 999 * time.Millisecond, 1500 * time.Millisecond, time.Minute + 1, 30*time.Minute + time.Second, time.Hour, 2 * time.Hour} {
		c.refuses(fmt.Sprintf("Window %v, Expires 1h", w), s, c.request(func(r *signer.Request) { r.Window = w }), signer.ErrLifetime)
	}
	c.presign(s, c.request(func(r *signer.Request) { r.Window = 30 * time.Minute }))
	c.presign(s, c.request(func(r *signer.Request) { r.Expires, r.Window = 2*time.Second, time.Second }))
	if c.MaxExpires == 0 {
		return
	}
	fits := c.MaxExpires - 7*time.Minute
	c.presign(s, c.request(func(r *signer.Request) { r.Expires, r.Window = fits, 7*time.Minute }))
	c.refuses("a Window that goes a second above the maximum", s, c.request(func(r *signer.Request) { r.Expires, r.Window = fits+time.Second, 7*time.Minute }), signer.ErrLifetime)
}

func spread(c *trial) {
	const w = 7 * time.Minute
	c.refuses("Spread without a Window", c.signer(), c.request(func(r *signer.Request) { r.Spread = true }), signer.ErrRequest)
	ends := map[time.Time]bool{}
	const n = 32
	for i := range n {
		r := c.request(func(r *signer.Request) { r.Key, r.Window, r.Spread = fmt.Sprint("key ", i), w, true })
		p := c.presign(c.signer(), r)
		end := p.StableUntil
		ends[end] = true
		if !end.After(evening()) || end.After(evening().Add(w)) || !p.ExpiresAt.Equal(end.Add(r.Expires)) {
			c.errorf("%s with Spread at %v: stable until %v, ends at %v", describe(r), evening(), end, p.ExpiresAt)
			continue
		}
		for _, now := range []time.Time{end.Add(-w), end.Add(-1)} {
			if again := c.presign(c.signer(at(now)), r); again.URL != p.URL || !again.StableUntil.Equal(end) {
				c.errorf("%s with Spread: another URL at %v, in the window until %v", describe(r), now, end)
			}
		}
		if c.presign(c.signer(at(end)), r).URL == p.URL {
			c.errorf("%s with Spread: the same URL at the end of the window", describe(r))
		}
	}
	if len(ends) < n/2 {
		c.errorf("%d keys have %d different windows", n, len(ends))
	}
	if !c.has("Bucket") {
		return
	}
	for i := range n {
		r := c.request(func(r *signer.Request) { r.Key, r.Window, r.Spread = fmt.Sprint("key ", i), w, true })
		there := r
		there.Bucket = c.Bucket + "-2"
		if !c.presign(c.signer(), r).StableUntil.Equal(c.presign(c.signer(), there).StableUntil) {
			return
		}
	}
	c.errorf("%d keys have the same windows in two buckets", n)
}

func credentialsEnd(c *trial) {
	c.need("CredentialsExpire")
	now := second(evening())
	for _, tt := range []struct {
		name    string
		dies    time.Time
		window  time.Duration
		end     time.Time // of a URL for an hour; zero: an error
		shorter time.Time // the same with AllowShorter
		by      signer.Limit
	}{
		{"dead for a day", now.Add(-24 * time.Hour), 0, time.Time{}, time.Time{}, 0},
		{"dead since now", now, 0, time.Time{}, time.Time{}, 0},
		{"half an hour left", now.Add(30 * time.Minute), 0, time.Time{}, now.Add(30 * time.Minute), signer.LimitCredentials},
		{"half an hour and a bit left", now.Add(30*time.Minute + 900*time.Millisecond), 0, time.Time{}, now.Add(30 * time.Minute), signer.LimitCredentials},
		{"a second short of an hour left", now.Add(time.Hour - time.Second), 0, time.Time{}, now.Add(time.Hour - time.Second), signer.LimitCredentials},
		{"an hour left", now.Add(time.Hour), 0, now.Add(time.Hour), now.Add(time.Hour), signer.LimitRequest},
		{"a day left", now.Add(24 * time.Hour), 0, now.Add(time.Hour), now.Add(time.Hour), signer.LimitRequest},
		{"an hour left, of a window and an hour", now.Add(time.Hour), 7 * time.Minute, now.Add(time.Hour), now.Add(time.Hour), signer.LimitCredentials},
	} {
		for _, shorter := range []bool{false, true} {
			end := tt.end
			if shorter {
				end = tt.shorter
			}
			s, err := c.New(c.options(credentialsDie(tt.dies)))
			if err != nil {
				if end.IsZero() {
					c.wantError("New, credentials "+tt.name, err, signer.ErrCredentials)
					continue
				}
				c.fatalf("Harness.New: %v", err)
			}
			r := c.request(func(r *signer.Request) { r.Window, r.AllowShorter = tt.window, shorter })
			what := fmt.Sprintf("credentials %s, AllowShorter %t", tt.name, shorter)
			if end.IsZero() {
				c.refuses(what, s, r, signer.ErrCredentials)
				continue
			}
			p, err := s.Presign(ctx(), r)
			if err != nil {
				c.errorf("Presign, %s: %v", what, err)
				continue
			}
			c.limited(what, p, end, tt.by)
			if p.StableUntil.After(end) {
				c.errorf("%s: stable until %v, after the end", what, p.StableUntil)
			}
			if _, ok := signer.As[signer.RequestPresigner](s); ok {
				p := c.presignRequest(s, c.httpRequest(), signer.Options{Expires: time.Hour, Window: tt.window, AllowShorter: shorter})
				c.limited("PresignRequest, "+what, p, end, tt.by)
			}
		}
	}
	// A window is stable no longer than the credentials that sign it.
	soon := windowStart(evening(), 7*time.Minute).Add(7*time.Minute - time.Second)
	p := c.presign(c.signer(credentialsDie(soon)), c.request(func(r *signer.Request) { r.Window, r.AllowShorter = 7*time.Minute, true }))
	if !p.StableUntil.Equal(soon) {
		c.errorf("the credentials die at %v, within the window, and StableUntil is %v", soon, p.StableUntil)
	}
	if c.has("Sign") {
		if s, err := c.New(c.options(credentialsDie(now))); err == nil {
			c.wantError("Sign, credentials dead since now", c.requestSigner(s).Sign(ctx(), c.httpRequest()), signer.ErrCredentials)
		}
	}
}

func credentialsRequired(c *trial) {
	s, err := c.New(c.options(func(o *Options) { o.NoCredentials = true }))
	if err != nil {
		c.wantError("New without credentials", err, signer.ErrCredentials)
		return
	}
	c.refuses("no credentials", s, c.request(), signer.ErrCredentials)
	if rp, ok := signer.As[signer.RequestPresigner](s); ok {
		_, err := rp.PresignRequest(ctx(), c.httpRequest(), signer.Options{Expires: time.Hour})
		c.wantError("PresignRequest without credentials", err, signer.ErrCredentials)
	}
	if rs, ok := signer.As[signer.RequestSigner](s); ok {
		req := c.httpRequest()
		was := picture(req)
		c.wantError("Sign without credentials", rs.Sign(ctx(), req), signer.ErrCredentials)
		if picture(req) != was {
			c.errorf("Sign without credentials changed the request")
		}
	}
}

func rotation(c *trial) {
	r := c.request()
	old, fresh := c.presign(c.signer(), r), c.presign(c.signer(rotated), r)
	if old.URL == fresh.URL {
		c.fatalf("two secrets make one signature")
	}
	if c.has("Rotated") { // while the program runs
		now := false
		s := c.signer(func(o *Options) { o.Rotated = func() bool { return now } })
		if c.presign(s, r).URL != old.URL {
			c.errorf("before the rotation: another URL than with the first secret alone")
		}
		now = true
		if c.presign(s, r).URL != fresh.URL {
			c.errorf("after the rotation the Signer does not sign with the second secret")
		}
		now = false
		if c.presign(s, r).URL != old.URL {
			c.errorf("rotated back, the Signer does not sign with the first secret")
		}
	}
	if c.NewVerifier == nil {
		return
	}
	before, after := c.verifier(), c.verifier(rotated)
	c.accepts("a URL of the first secret, before the rotation", before, c.arrived(old))
	c.accepts("a URL of the second secret, after the rotation", after, c.arrived(fresh))
	c.rejects("a URL of the second secret, before the rotation", before, c.arrived(fresh))
	c.rejects("a URL of the first secret, after the rotation", after, c.arrived(old))
	if !c.has("Rotated") {
		return
	}
	now := false
	v := c.verifier(func(o *Options) { o.Rotated = func() bool { return now } })
	c.accepts("a URL of the first secret, before the rotation", v, c.arrived(old))
	now = true
	c.rejects("a URL of the first secret, after the rotation, by a Verifier that knew it", v, c.arrived(old))
	c.accepts("a URL of the second secret, after the rotation", v, c.arrived(fresh))
}
