package clock

import (
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/refusal"
)

// An Observation is one answer of a server. Transport and Sync make them; make them yourself if requests go out in
// another way.
type Observation struct {
	// URL is the request's. Its scheme and host say who answered.
	URL *url.URL

	// Sent is an instant before the request was written, and Received one after the answer arrived, on the Source's base
	// clock. The closer, the better. Observe at once: readings from before the machine's clock was set are recognised only
	// while nobody has read the Source since.
	Sent, Received time.Time

	// Redirected says that another authority sent us to this one.
	Redirected bool

	Status int
	Header http.Header // of the answer

	// Body is the beginning of an error's body; nil if there is none.
	Body []byte
}

// A Verdict is what became of an Observation. Each but Accepted means that nothing was learned.
type Verdict int

const (
	_           Verdict = iota
	Accepted            // it counts
	Off                 // the Source is switched off
	NoTime              // neither a Date nor a server's time in the body
	Cached              // Age or a warning says that a cache answered
	Gateway             // 502 and 504 come from something in front of the server
	Redirected          // the answer came through a redirect from another authority
	Insecure            // http, from another machine
	Implausible         // a date before this code was written, or an answer that came before its question
	TooWide             // see Options.MaxWidth
	TooOld              // see Options.MaxAge
	OutOfBounds         // see Options.MaxForward and MaxBackward
	Stepped             // the machine's clock was set meanwhile
)

func (v Verdict) String() string {
	if v <= 0 || v > Stepped {
		return "no verdict"
	}
	return [...]string{"", "accepted", "switched off", "no time in the answer", "answered by a cache", "answered by a gateway",
		"redirected from another authority", "over http from another machine", "implausible times", "too vague", "too old",
		"out of bounds", "the machine's clock was set meanwhile"}[v]
}

const (
	slack      = 250 * time.Millisecond // servers reuse the string of Date
	driftRate  = 10_000                 // clocks part by 1/driftRate: 100 ppm
	deadBand   = 500 * time.Millisecond // a correction in force stays while it is wrong by less
	maxSamples = 8                      // of one authority
	maxSeries  = 256                    // authorities
)

// Observe learns from one answer.
func (s *Source) Observe(o Observation) Verdict {
	_, v := s.observe(o, s.state.Load().epoch, false)
	return v
}

// observe learns from an answer whose question was asked in the given epoch. A fresh one is believed more than older ones.
func (s *Source) observe(o Observation, epoch int, fresh bool) (sample, Verdict) {
	if s.options.Off {
		return sample{}, Off
	}
	now, st := s.current()
	if st.epoch != epoch {
		return sample{}, Stepped
	}
	x, v := s.sample(&o, now, st)
	if v == OutOfBounds {
		s.options.OnChange(Change{Why: v, Authority: Authority(o.URL), Old: st.at(Authority(o.URL), now.elapsed).Offset, New: x.middle()})
	}
	if v != Accepted {
		return x, v
	}
	x.fresh = x.proof || fresh
	s.mu.Lock()
	if s.state.Load().epoch != epoch {
		s.mu.Unlock()
		return x, Stepped
	}
	changes := s.learn(o.URL, x, now)
	s.mu.Unlock()
	for _, c := range changes {
		s.options.OnChange(c)
	}
	return x, Accepted
}

// sample makes an interval of an answer: the server read its clock between Sent and Received, and what it told is cut to
// the second, or finer in the bodies of some errors. The time is measured against the machine's clock and never against the
// corrected one, or a correction would feed on itself.
func (s *Source) sample(o *Observation, now instant, st *state) (sample, Verdict) {
	if v := trustworthy(o, s.options.PlainHTTP); v != Accepted {
		return sample{}, v
	}
	told, precision, kind := serverTime(o)
	if told.IsZero() {
		return sample{}, NoTime
	}
	x := sample{
		interval: interval{told.Sub(o.Received) - slack, told.Add(precision).Sub(o.Sent) + slack},
		at:       now.elapsed - max(now.now.Sub(o.Received), 0),
	}
	inForce := st.at(Authority(o.URL), now.elapsed).Offset
	x.proof = kind == refusal.Time || kind == refusal.Mismatch && x.distance(inForce) > refusal.MismatchSkew
	switch {
	case told.Year() < 2026 || o.Received.Before(o.Sent):
		return x, Implausible
	case x.high-x.low > s.options.MaxWidth:
		return x, TooWide
	case now.elapsed-x.at >= s.options.MaxAge:
		return x, TooOld
	case x.low < -s.options.MaxBackward || x.high > s.options.MaxForward:
		return x, OutOfBounds
	}
	if s.options.Newest {
		arrival := told.Sub(o.Received)
		x.interval, x.proof = interval{arrival, arrival}, true
	}
	return x, Accepted
}

// trustworthy says whether the one who signed for the answer gave it.
func trustworthy(o *Observation, plainHTTP bool) Verdict {
	switch {
	case o.URL == nil || o.URL.Scheme != "https" && !plainHTTP && !loopback(o.URL.Hostname()):
		return Insecure
	case o.Redirected:
		return Redirected
	case o.Header.Get("Age") != "" || strings.HasPrefix(o.Header.Get("Warning"), "110"):
		return Cached
	case o.Status == http.StatusBadGateway || o.Status == http.StatusGatewayTimeout:
		return Gateway
	}
	return Accepted
}

// serverTime prefers the body's, which is what the server judged by: Date has been seen at 1970 beside a right one.
func serverTime(o *Observation) (told time.Time, precision time.Duration, kind refusal.Kind) {
	r, kind := refusal.Of(o.Status, o.Header, o.Body)
	if !r.ServerTime.IsZero() {
		return r.ServerTime, r.Precision, kind
	}
	told, _ = http.ParseTime(o.Header.Get("Date"))
	return told, time.Second, kind
}

// learn adds a sample to the authority, to its parents and to its vote, and publishes what follows.
func (s *Source) learn(u *url.URL, x sample, now instant) (changes []Change) {
	old := s.state.Load()
	next := &state{epoch: old.epoch, drift: s.drift(now), shared: old.shared, authorities: maps.Clone(old.authorities)}
	if next.authorities == nil {
		next.authorities = make(map[string]known)
	}
	for name := Authority(u); name != ""; name = parent(name) {
		region, ok := s.seriesOf(name, now.elapsed, next).add(x, now.elapsed, s.options.MaxAge)
		if !ok {
			continue
		}
		before := old.at(name, now.elapsed).Offset
		k := s.correct(region, before, now.elapsed)
		next.authorities[name] = k
		if len(changes) == 0 && k.Offset != before {
			changes = append(changes, Change{Accepted, name, before, k.Offset, k.Samples})
		}
	}
	if name := s.voter(u); name != "" {
		if s.votes[name] == nil {
			s.votes[name] = new(series)
		}
		s.votes[name].add(x, now.elapsed, s.options.MaxAge)
		if region, ok := s.election(now.elapsed); ok {
			before := old.at("", now.elapsed).Offset
			next.shared = s.correct(region, before, now.elapsed)
			if next.shared.Offset != before {
				changes = append(changes, Change{Accepted, "", before, next.shared.Offset, next.shared.Samples})
			}
		}
	}
	s.state.Store(next)
	return changes
}

// seriesOf returns the samples of an authority, for which the one that was silent for longest makes room.
func (s *Source) seriesOf(name string, elapsed time.Duration, next *state) *series {
	one := s.series[name]
	if one == nil {
		if len(s.series) >= maxSeries {
			oldest := ""
			for other, o := range s.series {
				if oldest == "" || o.seen < s.series[oldest].seen {
					oldest = other
				}
			}
			delete(s.series, oldest)
			delete(next.authorities, oldest)
		}
		one = new(series)
		s.series[name] = one
	}
	one.seen = elapsed
	return one
}

// election combines the votes: two at least, and the majority.
func (s *Source) election(elapsed time.Duration) (region, bool) {
	var votes []sample
	for _, v := range s.votes {
		if r, ok := v.estimate(elapsed, s.options.MaxAge); ok {
			votes = append(votes, sample{interval: r.interval, at: r.newest})
		}
	}
	r := agree(votes)
	if r.count < 2 || 2*r.count <= len(votes) {
		return r, false
	}
	r.newest = r.second // an agreement is as old as its second voice
	return r, true
}

// correct decides on the correction to be in force, with hysteresis: a jittering estimate must not change the bytes of
// URLs that are to be stable. What is in force stays while it is possible.
func (s *Source) correct(r region, inForce, elapsed time.Duration) known {
	k := known{Estimate{r.low, r.high, inForce, r.count}, elapsed, r.newest + s.options.MaxAge}
	middle := r.middle()
	switch off := r.distance(0); {
	case off == 0: // the machine may be right
		k.Offset = 0
	case inForce == 0 && off > s.options.Threshold, inForce != 0 && r.distance(inForce) > 0 && (middle-inForce).Abs() > deadBand:
		k.Offset = middle
	}
	return k
}

// An interval holds the server's time minus the machine's.
type interval struct{ low, high time.Duration }

func (i interval) middle() time.Duration { return i.low + (i.high-i.low)/2 }

// distance is how far d lies outside.
func (i interval) distance(d time.Duration) time.Duration { return max(i.low-d, d-i.high, 0) }

// widen lets an interval age.
func (i interval) widen(age time.Duration) interval {
	return interval{i.low - widening(age), i.high + widening(age)}
}

func widening(age time.Duration) time.Duration { return age / driftRate }

type sample struct {
	interval
	at    time.Duration // on the monotonic clock
	proof bool          // the server refused a request for its time: this one counts alone
	fresh bool          // older samples that contradict it no longer count
}

// series are the last samples of one authority.
type series struct {
	samples []sample
	seen    time.Duration
}

// add adds a sample, and combines.
func (v *series) add(x sample, elapsed, maxAge time.Duration) (region, bool) {
	if x.fresh {
		now := x.widen(elapsed - x.at)
		v.samples = slices.DeleteFunc(v.samples, func(y sample) bool {
			y.interval = y.widen(elapsed - y.at)
			return y.high < now.low || y.low > now.high
		})
	}
	if len(v.samples) == maxSamples {
		v.samples = slices.Delete(v.samples, 0, 1)
	}
	v.samples = append(v.samples, x)
	return v.estimate(elapsed, maxAge)
}

// estimate combines the samples that still count. It needs two that agree, or one by which a server refused a request, and
// a majority: one wrong server behind a balancer must not turn the clock back and forth.
func (v *series) estimate(elapsed, maxAge time.Duration) (region, bool) {
	v.samples = slices.DeleteFunc(v.samples, func(x sample) bool { return elapsed-x.at >= maxAge })
	var memory [maxSamples]sample
	aged := memory[:0]
	for _, x := range v.samples {
		x.interval = x.widen(elapsed - x.at)
		aged = append(aged, x)
	}
	r := agree(aged)
	return r, (r.count >= 2 || r.proof) && 2*r.count > len(aged)
}

// A region is what the largest number of intervals have in common.
type region struct {
	interval
	count          int
	proof          bool
	newest, second time.Duration // when the two newest were taken
}

// agree is Marzullo's algorithm, in the square of a small number. Where several regions are equally good, the answer
// reaches from the first to the last, since the truth may be in any of them.
func agree(all []sample) (best region) {
	for _, start := range all { // a region begins where one of its intervals does
		r := region{interval: interval{start.low, start.high}, newest: -1 << 63, second: -1 << 63}
		for _, x := range all {
			if x.low > start.low || start.low > x.high {
				continue
			}
			r.count++
			r.high = min(r.high, x.high)
			r.proof = r.proof || x.proof
			r.newest, r.second = max(r.newest, x.at), max(r.second, min(r.newest, x.at))
		}
		switch {
		case r.count > best.count:
			best = r
		case r.count == best.count:
			best.low, best.high = min(best.low, r.low), max(best.high, r.high)
		}
	}
	return best
}

// Authority is the name by which a Source knows who answers at a URL, and by which signers ask for the time there: its host
// in lower case, and the port if it is not the scheme's own.
func Authority(u *url.URL) string {
	port := ":80"
	if u.Scheme == "https" {
		port = ":443"
	}
	return strings.TrimSuffix(strings.ToLower(u.Host), port)
}

// parent is the domain above an authority, with its port; "" above the last, and above addresses.
func parent(authority string) string {
	if isAddress((&url.URL{Host: authority}).Hostname()) {
		return ""
	}
	_, above, _ := strings.Cut(authority, ".")
	return above
}

// voter returns the name under which an answer votes, "" if it does not: the registrable one, so that nobody votes twice
// by having many hosts.
func (s *Source) voter(u *url.URL) string {
	host := Authority(u)
	if u.Scheme != "https" || !slices.ContainsFunc(s.options.Voters, func(v string) bool { return host == v || strings.HasSuffix(host, "."+v) }) {
		return ""
	}
	if isAddress(host) {
		return host
	}
	labels := strings.Split(host, ".")
	n := 2
	if len(labels) > 2 && len(labels[len(labels)-1]) == 2 && secondLevel(labels[len(labels)-2]) {
		n = 3
	}
	return strings.Join(labels[max(0, len(labels)-n):], ".")
}

// secondLevel reports whether names are registered below this label of a country's domain: co.uk, com.cn.
func secondLevel(label string) bool {
	switch label {
	case "ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org":
		return true
	}
	return false
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}
