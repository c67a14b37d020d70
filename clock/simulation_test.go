package clock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/clocksim"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// TestSimulatedAccuracy measures how far the estimate is from the truth, beside the two formulas that SDKs use: the Date minus
// the time of arrival (AWS), or minus the middle of the exchange (.NET).
func TestSimulatedAccuracy(t *testing.T) {
	runs := 4000
	if testing.Short() || raceEnabled() {
		runs = 200
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	if testing.Verbose() {
		defer table.Flush()
	}
	fmt.Fprintln(table, "95th percentile of the error, s\tsamples\tarrival\tmiddle\tSource\tits bounds are apart\t")
	small := func(w *clocksim.World) (out, back time.Duration) {
		return w.Between(30*time.Millisecond, 50*time.Millisecond), w.Between(30*time.Millisecond, 50*time.Millisecond)
	}
	for _, c := range []struct {
		name     string
		ppm      float64
		exchange func(w *clocksim.World) (out, back time.Duration)
		ask      func(w *clocksim.World, s *clocksim.Server, out, back time.Duration) clock.Observation
		needs    int           // samples; 0 if nothing is ever learned, and rightly
		want     time.Duration // at the 95th percentile, after 10 samples and more
	}{
		{"small requests", 0, small, (*clocksim.World).Ask, 2, 300 * time.Millisecond},
		{"slow answers", 0, func(w *clocksim.World) (out, back time.Duration) {
			return w.Between(10*time.Millisecond, 30*time.Millisecond), w.Between(300*time.Millisecond, 700*time.Millisecond)
		}, (*clocksim.World).Ask, 2, 500 * time.Millisecond},
		{"any network", 0, (*clocksim.World).RoundTrip, (*clocksim.World).Ask, 2, 300 * time.Millisecond},
		{"drift of 100 ppm", 100, (*clocksim.World).RoundTrip, (*clocksim.World).Ask, 2, 300 * time.Millisecond},
		{"refusals, to the millisecond", 0, small, (*clocksim.World).Refuse, 1, 20 * time.Millisecond},
		{"uploads of 10 minutes", 0, func(w *clocksim.World) (out, back time.Duration) {
			return 10 * time.Minute, w.Between(30*time.Millisecond, 50*time.Millisecond)
		}, (*clocksim.World).Ask, 0, 0},
	} {
		type errs struct{ arrival, middle, source, width []time.Duration }
		at := map[int]*errs{1: {}, 10: {}, 30: {}}
		for run := range runs {
			w := clocksim.New(uint64(run), -7*time.Minute, c.ppm)
			server := clocksim.NewServer("minio.example.com", 0)
			s := clock.NewSource(w, clock.Options{})
			for n := 1; n <= 30; n++ {
				w.Pass(w.Between(time.Second, 20*time.Second))
				out, back := c.exchange(w)
				o := c.ask(w, server, out, back)
				s.Observe(o)
				e := at[n]
				if e == nil {
					continue
				}
				date, _ := http.ParseTime(o.Header.Get("Date"))
				truth := -w.Off()
				e.arrival = append(e.arrival, (date.Sub(o.Received) - truth).Abs())
				e.middle = append(e.middle, (date.Sub(o.Sent.Add(o.Received.Sub(o.Sent)/2)) - truth).Abs())
				if k := s.Estimate("minio.example.com"); k.Samples > 0 {
					if truth < k.Low || truth > k.High {
						t.Errorf("%s, run %d: after %d samples the truth is outside of [%v, %v]", c.name, run, n, k.Low-truth, k.High-truth)
					}
					e.source = append(e.source, (k.Low + (k.High-k.Low)/2 - truth).Abs())
					e.width = append(e.width, k.High-k.Low)
				}
			}
		}
		for _, n := range []int{1, 10, 30} {
			e := at[n]
			fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\t\n", c.name, n, percentile(e.arrival), percentile(e.middle), percentile(e.source), percentile(e.width))
			switch {
			case c.needs == 0 || n < c.needs:
				if len(e.source) > 0 {
					t.Errorf("%s: an estimate after %d samples", c.name, n)
				}
			case len(e.source) != runs:
				t.Errorf("%s: after %d samples %d machines of %d know nothing", c.name, n, runs-len(e.source), runs)
			case n >= 10 && p95(e.source) > c.want:
				t.Errorf("%s: after %d samples the error is %v, want %v", c.name, n, p95(e.source), c.want)
			}
		}
	}
}

// raceEnabled reports whether the test was built with -race, which makes these tests ten times slower.
func raceEnabled() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

func p95(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)*95/100]
}

// percentile is p95 for the table.
func percentile(d []time.Duration) string {
	if len(d) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", p95(d).Seconds())
}

// TestSimulatedHealth lets a healthy machine see a million answers. ntpd slews a clock by 500 ppm at most, and steps one that is
// off by more than 128 ms, so that far the machine may be off; servers are off by up to 0.9 s, and send a Date that is up to 1 s
// old. No correction must ever be in force, at any authority or in the shared time.
func TestSimulatedHealth(t *testing.T) {
	machines := 1000
	if testing.Short() || raceEnabled() {
		machines = 50
	}
	const answers = 1000
	authorities := []string{"s3.eu-west-1.amazonaws.com", "storage.googleapis.com", "account.blob.core.windows.net", "minio.example.com",
		"amazonaws.com", "example.com", ""} // the last have what the others say
	worst := time.Duration(0)
	for run := range machines {
		w := clocksim.New(uint64(run), 0, 0)
		s := clock.NewSource(w, clock.Options{OnChange: func(c clock.Change) { t.Errorf("machine %d: %+v", run, c) }})
		var servers []*clocksim.Server
		for _, host := range authorities[:4] {
			server := clocksim.NewServer(host, w.Between(-900*time.Millisecond, 900*time.Millisecond))
			server.Stale = time.Second
			servers = append(servers, server)
		}
		for n := range answers {
			w.Pass(w.Between(0, 20*time.Second))
			switch off := w.Off().Abs(); {
			case off > 128*time.Millisecond || n%50 == 0: // ntpd steps
				w.Set(w.Between(-128*time.Millisecond, 128*time.Millisecond))
			case n%10 == 0: // or slews
				w.Slew(float64(w.Rand.IntN(1001) - 500))
			}
			server := servers[w.Rand.IntN(len(servers))]
			out, back := w.RoundTrip()
			if v := s.Observe(w.Ask(server, out, back)); v != clock.Accepted {
				t.Fatalf("machine %d, answer %d: %v", run, n, v)
			}
			for _, a := range authorities {
				if offset := offsetAt(s, a); offset != 0 {
					t.Fatalf("machine %d, answer %d: corrected at %q by %v", run, n, a, offset)
				}
			}
			if e := s.Estimate(server.URL.Host); e.Samples > 0 {
				worst = max(worst, e.Low, -e.High)
			}
		}
		if e := s.Estimate(""); e.Samples < 2 {
			t.Errorf("machine %d: the test is blind: nobody voted", run)
		}
	}
	t.Logf("%d answers, no correction; at the worst the bounds were %.2f s off, where 2 s would have been one", machines*answers, worst.Seconds())
	if worst < time.Second {
		t.Error("the test is blind: these servers were no temptation")
	}
}

// TestSimulatedSteps has machines whose clocks are set by hours, slewed by 100 ppm, left alone for an hour, and whose monotonic
// clock stands still while they sleep. After a step or a sleep nothing is corrected, until two answers agree on the new time; and
// what is corrected is right to within its bounds.
func TestSimulatedSteps(t *testing.T) {
	machines := 100
	if testing.Short() || raceEnabled() {
		machines = 20
	}
	const answers, hour = 1000, time.Hour
	hosts := []string{"s3.eu-west-1.amazonaws.com", "storage.googleapis.com", "minio.example.com"}
	outside := time.Now()
	synctest.Test(t, func(t *testing.T) {
		steps, sleeps, corrected, worst := 0, 0, 0, time.Duration(0)
		for run := range machines {
			w := clocksim.New(uint64(run), 0, 0)
			w.Monotonic(outside)
			w.Set(w.Between(-3*hour, 3*hour))
			s := clock.NewSource(w, clock.Options{MaxAge: 1000 * hour})
			heard := map[string]int{} // since the clock was set
			for n := range answers {
				switch w.Rand.IntN(100) {
				case 0:
					before := w.Off()
					if w.Set(w.Between(-3*hour, 3*hour)); (w.Off() - before).Abs() < 2*time.Second {
						w.Set(before + time.Minute)
					}
					steps++
					clear(heard)
				case 1:
					w.Suspend(w.Between(2*time.Second, 8*hour))
					sleeps++
					clear(heard)
				case 2:
					w.Slew(float64(w.Rand.IntN(201) - 100))
				case 3:
					w.Pass(w.Between(0, hour))
				}
				host := hosts[w.Rand.IntN(len(hosts))]
				server := clocksim.NewServer(host, 0)
				server.Stale = 250 * time.Millisecond
				for _, a := range append(hosts, "") {
					e := s.Estimate(a)
					now, offset := s.Read(a)
					wrong := now.Sub(w.Truth).Abs()
					switch votes := min(heard[hosts[0]], heard[hosts[1]]); {
					case heard[a] < 2 && votes < 2:
						if offset != 0 || e.Samples != 0 {
							t.Fatalf("machine %d, answer %d: %q is corrected by %v after %d answers, %+v", run, n, a, offset, heard[a], e)
						}
					case e.Samples < 2 || w.Off() > -e.Low || w.Off() < -e.High:
						t.Fatalf("machine %d, answer %d: at %q the truth is %v, and outside of %+v", run, n, a, -w.Off(), e)
					case offset != 0:
						corrected++
						worst = max(worst, wrong-(e.High-e.Low))
					case wrong > 2*time.Second+e.High-e.Low:
						t.Fatalf("machine %d, answer %d: %q is off by %v and not corrected, %+v", run, n, a, wrong, e)
					}
				}
				out, back := w.RoundTrip()
				if v := s.Observe(w.Ask(server, out, back)); v != clock.Accepted {
					t.Fatalf("machine %d, answer %d: %v", run, n, v)
				}
				heard[host]++
				w.Pass(w.Between(0, 20*time.Second))
			}
		}
		t.Logf("%d answers, clocks set %d times, %d sleeps; of %d corrected readings the worst was wrong by %v more than the width of its bounds",
			machines*answers, steps, sleeps, corrected, worst)
		if worst > 500*time.Millisecond {
			t.Errorf("a correction was wrong by %v more than the width of its bounds", worst)
		}
	})
}

// TestSimulatedJitter has a machine that is 20 minutes off, and an hour of answers every five seconds: the correction settles, so
// that URLs with a Window change when their window does and for no other reason.
func TestSimulatedJitter(t *testing.T) {
	for _, stale := range []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond} {
		changes, urls, windows := 0, 0, 0
		for run := range 100 {
			w := clocksim.New(uint64(run), 20*time.Minute, 0)
			server := clocksim.NewServer("minio.example.com", 0)
			server.Stale = stale
			settled := false
			s := clock.NewSource(w, clock.Options{OnChange: func(clock.Change) {
				if settled {
					changes++
				}
			}})
			b := must(s3.New(s3.Config{Region: "eu-west-1", Bucket: "b", Endpoint: server.URL, Clock: s,
				Credentials: s3.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretKey: signer.NewSecret([]byte("secret"))}}))(t)
			last, window := "", int64(0)
			for n := range 720 {
				out, back := w.RoundTrip()
				s.Observe(w.Ask(server, out, back))
				w.Pass(w.Between(4*time.Second, 6*time.Second))
				if settled = n >= 12; !settled { // the first minute
					continue
				}
				p := must(b.Presign(context.Background(), signer.Request{Key: "k", Expires: time.Hour, Window: 15 * time.Minute}))(t)
				if p.URL != last {
					urls++
					last = p.URL
				}
				if now := p.StableUntil.Unix(); now != window {
					windows++
					window = now
				}
			}
		}
		t.Logf("a Date up to %v old, 100 machines for an hour: %d windows, %d URLs, %d changes of the correction after the first minute", stale, windows, urls, changes)
		if urls != windows || windows > 500 {
			t.Errorf("%d URLs in %d windows", urls, windows)
		}
		if stale <= 250*time.Millisecond && changes > 100 { // once an hour at most, where servers are as fresh as is assumed of them
			t.Errorf("the correction changed %d times", changes)
		}
	}
}

// TestFaultRepairedClock is the fault of OSS's SDK for Go: it measures against the time that it has corrected, and never comes
// to rest once the machine was mended. Here it costs one request if the machine has no monotonic clock that would tell, and
// none if it has.
func TestFaultRepairedClock(t *testing.T) {
	outside := time.Now()
	synctest.Test(t, func(t *testing.T) {
		for _, monotonic := range []bool{false, true} {
			for _, off := range []time.Duration{-time.Hour, time.Hour} {
				w := clocksim.New(1, off, 0)
				want := 1
				if monotonic {
					w.Monotonic(outside)
					want = 0
				}
				server := clocksim.NewServer("minio.example.com", 0)
				s := clock.NewSource(w, clock.Options{MaxAge: 6 * time.Hour}) // without that clock, setting the other is time that goes by
				wrong := func() (n int) {
					for range 20 {
						ask := w.Ask
						if now, _ := s.Read("minio.example.com"); now.Sub(w.Truth).Abs() > 15*time.Minute {
							n, ask = n+1, w.Refuse
						}
						s.Observe(ask(server, 40*time.Millisecond, 40*time.Millisecond))
						w.Pass(10 * time.Second)
					}
					return n
				}
				if n := wrong(); n != 1 {
					t.Errorf("a machine that is off by %v: %d requests were wrong", off, n)
				}
				w.Set(0)
				if n := wrong(); n != want || offsetAt(s, "minio.example.com") != 0 {
					t.Errorf("a machine that was off by %v was mended: %d requests were wrong, want %d, and it is corrected by %v", off, n, want, offsetAt(s, "minio.example.com"))
				}
			}
		}
	})
}

// hostileSigners are a signer for a server of our own and one for a provider, by scheme, with a clock.
func hostileSigners(t *testing.T, c clock.Clock, base string) map[string]signer.Signer {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	a, err1 := azure.New(azure.Config{Account: "account", Container: "photos", Endpoint: u, Keys: must(azure.SharedKey("account", "c2VjcmV0LXNlY3JldC1zZWNyZXQ="))(t), Clock: c})
	d, err2 := cdn.New(cdn.Config{BaseURL: u, Key: must(cdn.ParseKey("key-1", "c2VjcmV0LXNlY3JldC0xNg=="))(t), Clock: c})
	b, err3 := s3.New(s3.Config{Region: "eu-west-1", Bucket: "b", Endpoint: u, Clock: c,
		Credentials: s3.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretKey: signer.NewSecret([]byte("secret"))}})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return map[string]signer.Signer{"azure": a, "cdn": d, "s3": b}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestFaultHostileServer tells us that it is 20 years, and then 23 hours, later: a link that was to live for 15 minutes must not
// live for years, and the signers of other services do not care.
func TestFaultHostileServer(t *testing.T) {
	for _, c := range []struct{ claim, most time.Duration }{
		{20 * 365 * 24 * time.Hour, 0},
		{23 * time.Hour, 24 * time.Hour},
		{-40 * 24 * time.Hour, 0},
	} {
		w := clocksim.New(1, 0, 0)
		s := clock.NewSource(w, clock.Options{})
		liar := clocksim.NewServer("liar.example.com", c.claim)
		for range 20 {
			o := w.Ask(liar, 40*time.Millisecond, 40*time.Millisecond)
			o.Status, o.Body = http.StatusForbidden, []byte(xml("RequestTimeTooSkewed", "", ""))
			s.Observe(o)
		}
		for base, most := range map[string]time.Duration{"https://liar.example.com": c.most, "https://honest.example.com": 0} {
			for scheme, b := range hostileSigners(t, s, base) {
				p, err := b.Presign(t.Context(), signer.Request{Key: "k", Expires: 15 * time.Minute})
				if err != nil {
					t.Fatal(err)
				}
				if over := p.ExpiresAt.Sub(w.Now().Add(15 * time.Minute)); over > most+time.Second || over < -time.Second {
					t.Errorf("%s at %s, told that it is %v later: the URL dies %v later than it should", scheme, base, c.claim, over)
				}
				if base == "https://liar.example.com" && c.most > 0 && p.ClockOffset == 0 {
					t.Errorf("%s: the test is blind: nothing was corrected", scheme)
				}
			}
		}
	}
}

// TestFaultUpload: the middle of an upload of ten minutes is 5 minutes from when the server looked at its clock.
func TestFaultUpload(t *testing.T) {
	w := clocksim.New(1, 0, 0)
	s := clock.NewSource(w, clock.Options{})
	server := clocksim.NewServer("minio.example.com", 0)
	for range 5 {
		if v := s.Observe(w.Ask(server, 10*time.Minute, 40*time.Millisecond)); v != clock.TooWide {
			t.Errorf("an upload: %v", v)
		}
	}
}

// TestFaultSilence: answers without a Date, from a cache, or from 1970 change nothing, between good ones and before them (in the
// SDK of AWS, the next attempt is signed without any correction, or was by a cache's Date).
func TestFaultSilence(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(http.Header)
		want clock.Verdict
	}{
		{"no Date", func(h http.Header) { h.Del("Date") }, clock.NoTime},
		// https://github.com/aws/aws-sdk-go-v2/issues/3409
		{"a cache's Date", func(h http.Header) { h.Set("Age", "17280"); h.Set("Date", "Wed, 25 Nov 2026 19:12:00 GMT") }, clock.Cached},
		// https://github.com/aliyun/aliyun-oss-android-sdk/issues/167
		{"1970", func(h http.Header) { h.Set("Date", "Thu, 01 Jan 1970 00:00:00 GMT") }, clock.Implausible},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := clocksim.New(1, -time.Hour, 0)
			s := clock.NewSource(w, clock.Options{})
			server := clocksim.NewServer("minio.example.com", 0)
			ask := func(edit func(http.Header), want clock.Verdict) time.Duration {
				o := w.Ask(server, 40*time.Millisecond, 40*time.Millisecond)
				edit(o.Header)
				w.Pass(10 * time.Second)
				if v := s.Observe(o); v != want {
					t.Errorf("%v, want %v", v, want)
				}
				return offsetAt(s, "minio.example.com")
			}
			good := func(http.Header) {}
			for range 5 {
				if got := ask(c.edit, c.want); got != 0 {
					t.Errorf("nothing good was heard yet, and the machine is corrected by %v", got)
				}
			}
			ask(good, clock.Accepted)
			before := ask(good, clock.Accepted)
			for range 10 {
				if got := ask(c.edit, c.want); got != before || !near(got, time.Hour) {
					t.Errorf("the correction went from %v to %v", before, got)
				}
			}
			if got := ask(good, clock.Accepted); got != before {
				t.Errorf("the correction went from %v to %v after a good answer", before, got)
			}
		})
	}
}

// TestFaultDayBoundary: the machine is still in yesterday. Date, scope and expiry come from one corrected instant, and a
// Verifier with true time accepts the URL.
func TestFaultDayBoundary(t *testing.T) {
	w := clocksim.New(1, -20*time.Minute, 0) // true time is midnight
	s := clock.NewSource(w, clock.Options{})
	server := clocksim.NewServer("minio.example.com", 0)
	w.Pass(time.Minute)
	s.Observe(w.Ask(server, 0, 0))
	s.Observe(w.Ask(server, 0, 0))
	creds := s3.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretKey: signer.NewSecret([]byte("secret"))}
	b := must(s3.New(s3.Config{Region: "eu-west-1", Bucket: "b", Endpoint: server.URL, Clock: s, Credentials: creds}))(t)
	p := must(b.Presign(t.Context(), signer.Request{Key: "k", Expires: time.Minute}))(t)
	if !strings.Contains(p.URL, "%2F20261126%2F") || !strings.Contains(p.URL, "X-Amz-Date=20261126T0000") {
		t.Errorf("signed for %s", signer.RedactURL(p.URL))
	}
	v := must(s3.NewVerifier(s3.VerifierConfig{Region: "eu-west-1", Endpoint: server.URL, Clock: clock.Func(func() time.Time { return w.Truth }), Leeway: time.Second,
		Lookup: func(context.Context, string) (s3.Credentials, error) { return creds, nil },
		Inbound: func(r *http.Request) (signer.Inbound, error) {
			return signer.Inbound{Scheme: "https", Host: r.Host}, nil
		}}))(t)
	req := httptest.NewRequest(http.MethodGet, p.URL, bytes.NewReader(nil))
	if _, err := v.Verify(t.Context(), req); err != nil {
		t.Error(err)
	}
}

// TestFaultTwoServersDisagree: each has its own time, and the shared one is nobody's.
func TestFaultTwoServersDisagree(t *testing.T) {
	w := clocksim.New(1, 0, 0)
	s := clock.NewSource(w, clock.Options{})
	one, other := clocksim.NewServer("one.example.com", time.Hour), clocksim.NewServer("other.example.com", -time.Hour)
	for range 10 {
		s.Observe(w.Ask(one, 40*time.Millisecond, 40*time.Millisecond))
		s.Observe(w.Ask(other, 40*time.Millisecond, 40*time.Millisecond))
	}
	if a, b := offsetAt(s, "one.example.com"), offsetAt(s, "other.example.com"); !near(a, time.Hour) || !near(b, -time.Hour) || !s.Now().Equal(w.Now()) {
		t.Errorf("one is corrected by %v, the other by %v, the shared time by %v", a, b, s.Now().Sub(w.Now()))
	}
}

// TestFaultServersOfOneNameDisagree: several agree, and still none of the five times has the majority.
func TestFaultServersOfOneNameDisagree(t *testing.T) {
	w := clocksim.New(1, 0, 0)
	s := clock.NewSource(w, clock.Options{})
	for n := range 100 {
		server := clocksim.NewServer("minio.example.com", time.Duration(n%5)*time.Hour)
		s.Observe(w.Ask(server, 40*time.Millisecond, 40*time.Millisecond))
		if got := offsetAt(s, "minio.example.com"); got != 0 {
			t.Fatalf("after %d answers: corrected by %v", n+1, got)
		}
		w.Pass(10 * time.Second)
	}
}
