package clock

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a Source. The zero value is what most programs want. A duration of 0 means its default, and one below 0
// counts as none at all.
type Options struct {
	// Threshold is how far the machine must be off before it is corrected: 2 s. Services forgive minutes, and a correction
	// of a healthy machine would change URLs for nothing.
	Threshold time.Duration

	// MaxForward and MaxBackward bound the correction: 24 h and 30 days. Answers beyond are not believed. Whoever can
	// answer us chooses the time within these bounds: a link that ends at an absolute time (Azure, Cloud CDN) may live
	// longer by MaxForward, while going backward only makes links that are dead.
	MaxForward, MaxBackward time.Duration

	// MaxWidth is how vague an answer may be: 10 s. An upload of a minute tells the time to a minute.
	MaxWidth time.Duration

	// MaxAge is how long an answer counts: 1 h. After that time without answers the machine's own clock is back in force.
	// A program that sends no requests calls Sync more often, or sets this higher.
	MaxAge time.Duration

	// Voters are the domains whose servers decide, by https, on the time where nothing is known about an authority. Each
	// registrable name (example.co.uk) has one vote, and at least two and a majority must agree. nil means the domains of
	// AWS, Google Cloud, Azure and Alibaba Cloud.
	Voters []string

	// PlainHTTP believes answers over http from other machines, which anyone on the way can forge. They do not vote.
	PlainHTTP bool

	// Newest takes the last answer for the truth, by the time of its arrival, as AWS's SDKs do: no bounds, no agreement. It
	// is for comparing, and for those who must behave as they do; Threshold -1 and a MaxWidth of 15 minutes and 1.5 seconds complete it.
	Newest bool

	// Off makes the Source tell what its base tells, and learn nothing.
	Off bool

	// OnChange is called after a correction changed, and after an answer was out of bounds, by whoever observed it: it must
	// be quick and safe for concurrent use. A correction that ends by age is not announced.
	OnChange func(Change)
}

// A Change is what OnChange is told.
type Change struct {
	// Why is Accepted when answers agreed on something new. OutOfBounds: New is what was claimed, and it was not believed.
	// Stepped: the machine's clock was set, or it slept, and everything that had been learned is forgotten.
	Why Verdict

	// Authority is the narrowest one whose time changed, those above it may have changed with it; "" is the shared time.
	Authority string

	Old, New time.Duration
	Samples  int // how many agreed: answers, or for the shared time votes
}

// An Estimate is what a Source knows about the time at an authority.
type Estimate struct {
	// Low and High are the bounds between which the server's time minus the machine's lies, if its Date is at most 250 ms old.
	Low, High time.Duration

	// Offset is the correction in force.
	Offset time.Duration

	// Samples is how many answers agreed on the bounds: 0 if nothing is known, and then all else is 0, too. Where nothing
	// is known about the authority itself, it is the votes for the shared time.
	Samples int
}

// A Source learns from the answers of services how far the machine's clock is from theirs, and tells their time. It is a
// Learned, safe for concurrent use, and made once for all signers of a program:
//
//	source := clock.NewSource(nil, clock.Options{})
//	client := &http.Client{Transport: source.Transport(nil)}   // learns from what the program does anyway
//	_, err := source.Sync(ctx, nil, "https://s3.eu-west-1.amazonaws.com")   // or asks
//	s, err := s3.New(s3.Config{ /* ... */ Clock: source})
//
// An answer is an interval: the server read its clock between the request and the answer, and Date tells that reading
// to the second. Several must agree before they count, and as long as they leave it possible that the machine is right,
// nothing is corrected.
//
// What an authority says holds for itself and its parent domains, because buckets are subdomains: what
// photos.s3.amazonaws.com says is known at s3.amazonaws.com, but neither at minio.example.com nor at docs.s3.amazonaws.com.
// Everybody else gets the shared time, on which Options.Voters must have agreed. A domain whose hosts distrust each other is no
// authority to ask for.
type Source struct {
	base    Clock
	ticks   Clock // monotonic, if the base's own readings do not serve
	start   time.Time
	started time.Time // on ticks
	wall    int64     // of start, in nanoseconds since 1970
	options Options

	state atomic.Pointer[state]

	mu     sync.Mutex // for what follows, and to store state
	series map[string]*series
	votes  map[string]*series // by registrable name
}

var _ Learned = (*Source)(nil)

// A state is what readers see. It never changes.
type state struct {
	epoch       int           // counts the steps of the machine's clock
	drift       time.Duration // of the machine's clock against the monotonic one
	shared      known
	authorities map[string]known
}

type known struct {
	Estimate
	at, until time.Duration // on the monotonic clock
}

// NewSource returns a Source that corrects base; nil means System(). The base must tell the machine's time, without any
// correction: a Source that measures itself would never come to rest.
func NewSource(base Clock, o Options) *Source {
	if base == nil {
		base = System()
	}
	s := &Source{base: base, options: o.withDefaults(), start: base.Now()}
	s.wall = s.start.UnixNano()
	// A clock made of the machine's, shifted or set by a test, carries a monotonic reading that was shifted with it.
	if _, own := base.(system); !own && s.start != s.start.Round(0) {
		s.ticks = System()
		s.started = s.ticks.Now()
	}
	s.forget(0, 0)
	return s
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.Threshold, 2 * time.Second},
		{&o.MaxForward, 24 * time.Hour},
		{&o.MaxBackward, 30 * 24 * time.Hour},
		{&o.MaxWidth, 10 * time.Second},
		{&o.MaxAge, time.Hour},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
		*d.field = max(*d.field, 0)
	}
	voters := o.Voters
	if voters == nil {
		voters = []string{"amazonaws.com", "amazonaws.com.cn", "googleapis.com", "core.windows.net",
			"core.usgovcloudapi.net", "core.chinacloudapi.cn", "aliyuncs.com"}
	}
	o.Voters = make([]string, len(voters))
	for i, v := range voters {
		o.Voters[i] = strings.ToLower(v)
	}
	if o.OnChange == nil {
		o.OnChange = func(Change) {}
	}
	return o
}

// Now returns the shared time: the machine's, unless the voters agreed that it is wrong.
func (s *Source) Now() time.Time {
	now, _ := s.Read("")
	return now
}

// Read returns the time at an authority, and the correction that it contains; see Learned. It takes no lock and does not
// allocate.
func (s *Source) Read(authority string) (now time.Time, offset time.Duration) {
	i, st := s.current()
	if offset = st.offset(authority, i.elapsed); offset == 0 {
		return i.now, 0
	}
	return i.now.Add(offset), offset
}

// At returns the clock of one authority, as Authority names it. It is a Learned, which asks for that authority whatever it
// is asked for.
func (s *Source) At(authority string) Clock { return place{s, strings.ToLower(authority)} }

type place struct {
	source    *Source
	authority string
}

func (p place) Now() time.Time {
	now, _ := p.source.Read(p.authority)
	return now
}

func (p place) Read(string) (time.Time, time.Duration) { return p.source.Read(p.authority) }

// Estimate returns what is known about the time at an authority; "" stands for the shared time.
func (s *Source) Estimate(authority string) Estimate {
	i, st := s.current()
	k := st.at(strings.ToLower(authority), i.elapsed)
	if k.Samples > 0 {
		w := widening(i.elapsed - k.at)
		k.Low, k.High = k.Low-w, k.High+w
	}
	return k.Estimate
}

// at returns what is known, and still counts: about the authority, or else in general.
func (st *state) at(authority string, elapsed time.Duration) known {
	if k, ok := st.authorities[authority]; ok && elapsed < k.until {
		return k
	}
	if elapsed < st.shared.until {
		return st.shared
	}
	return known{}
}

// offset is at's, at the price that Read may cost.
func (st *state) offset(authority string, elapsed time.Duration) time.Duration {
	if authority != "" && len(st.authorities) > 0 {
		if k, ok := st.authorities[authority]; ok && elapsed < k.until {
			return k.Offset
		}
	}
	if elapsed < st.shared.until {
		return st.shared.Offset
	}
	return 0
}

// An instant is one reading of the base. It is small enough for registers.
type instant struct {
	now     time.Time
	elapsed time.Duration // since the Source was made, whatever was done to the machine's clock
}

func (s *Source) instant() instant {
	now := s.base.Now()
	if s.ticks != nil {
		return instant{now, s.ticks.Now().Sub(s.started)}
	}
	return instant{now, now.Sub(s.start)}
}

// drift is by how much the machine's clock has gone further than the time that elapsed.
func (s *Source) drift(i instant) time.Duration {
	return time.Duration(i.now.UnixNano()-s.wall) - i.elapsed
}

// current reads the base, and returns the state that holds at that instant.
func (s *Source) current() (instant, *state) {
	i, st := s.instant(), s.state.Load()
	if s.stepped(i, st) {
		return s.step()
	}
	return i, st
}

// stepped reports whether somebody has set the machine's clock, or it slept: some systems stop the monotonic clock then.
func (s *Source) stepped(i instant, st *state) bool {
	d := s.drift(i) - st.drift
	return d > time.Second || d < -time.Second
}

// step forgets what was learned, because it was measured against a clock that was set since.
func (s *Source) step() (instant, *state) {
	s.mu.Lock()
	i, st := s.instant(), s.state.Load()
	if !s.stepped(i, st) { // another goroutine was first
		s.mu.Unlock()
		return i, st
	}
	learned := len(s.series) > 0
	now := s.forget(st.epoch+1, s.drift(i))
	s.mu.Unlock()
	if learned {
		s.options.OnChange(Change{Why: Stepped, Old: st.at("", i.elapsed).Offset})
	}
	return i, now
}

func (s *Source) forget(epoch int, drift time.Duration) *state {
	s.series, s.votes = make(map[string]*series), make(map[string]*series)
	st := &state{epoch: epoch, drift: drift}
	s.state.Store(st)
	return st
}
