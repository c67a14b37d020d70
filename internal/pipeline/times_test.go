package pipeline

import (
	"errors"
	"fmt"
	"hash/fnv"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

const day = 24 * time.Hour

var op = Op{Backend: "test", Name: "presign"}

// at is midnight minus 10 s, plus half a second: 2026-11-24T23:59:50.5Z.
func at(offset time.Duration) time.Time {
	return time.Date(2026, 11, 24, 23, 59, 50, 500e6, time.UTC).Add(offset)
}

func TestPlanTimes(t *testing.T) {
	week := int64(7 * day / time.Second)
	base := at(0).Unix()
	windowStart := base - base%900 // 23:45:00
	for _, tt := range []struct {
		name       string
		ask        Ask
		limits     Limits
		start, end int64 // relative to base
		stable     int64 // relative to base; 0 for none
		limit      signer.Limit
	}{
		{"plain", Ask{Expires: 15 * time.Minute}, Limits{Max: week, Backdate: 30}, -30, 900, 0, signer.LimitRequest},
		{"no backdate", Ask{Expires: 15 * time.Minute}, Limits{Max: week}, 0, 900, 0, signer.LimitRequest},
		{"no maximum", Ask{Expires: 365 * day}, Limits{Backdate: 900}, -900, 365 * 86400, 0, signer.LimitRequest},
		{"0.9 s round up", Ask{Expires: 900 * time.Millisecond}, Limits{Max: week}, 0, 1, 0, signer.LimitRequest},
		{"1 ns rounds up", Ask{Expires: 1}, Limits{Max: week}, 0, 1, 0, signer.LimitRequest},
		{"1.9 s round up", Ask{Expires: 1900 * time.Millisecond}, Limits{Max: week}, 0, 2, 0, signer.LimitRequest},
		{"7 days leave no room to backdate", Ask{Expires: 7 * day}, Limits{Max: week, Backdate: 30}, 0, week, 0, signer.LimitRequest},
		{"7 days less 10 s leave 10 s", Ask{Expires: 7*day - 10*time.Second}, Limits{Max: week, Backdate: 30}, -10, week - 10, 0, signer.LimitRequest},
		{"8 days cut", Ask{Expires: 8 * day, AllowShorter: true}, Limits{Max: week, Backdate: 30}, 0, week, 0, signer.LimitScheme},
		{"window", Ask{Expires: time.Hour, Window: 15 * time.Minute}, Limits{Max: week},
			windowStart - base, windowStart - base + 900 + 3600, windowStart - base + 900, signer.LimitRequest},
		{"window, backdated from its start", Ask{Expires: time.Hour, Window: 15 * time.Minute}, Limits{Max: week, Backdate: 30},
			windowStart - base - 30, windowStart - base + 900 + 3600, windowStart - base + 900, signer.LimitRequest},
		{"window of half the life", Ask{Expires: 2 * time.Second, Window: time.Second}, Limits{Max: week}, 0, 3, 1, signer.LimitRequest},
		{"window and a life that fill the maximum", Ask{Expires: 7*day - 15*time.Minute, Window: 15 * time.Minute}, Limits{Max: week, Backdate: 30},
			windowStart - base, windowStart - base + week, windowStart - base + 900, signer.LimitRequest},
		{"window and a life over it, cut", Ask{Expires: 7 * day, Window: 15 * time.Minute, AllowShorter: true}, Limits{Max: week, Backdate: 30},
			windowStart - base, windowStart - base + week, windowStart - base + 900, signer.LimitScheme},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := PlanTimes(op, at(0), &tt.ask, tt.limits)
			if err != nil {
				t.Fatal(err)
			}
			stable := p.StableUntil
			if stable != 0 {
				stable -= base
			}
			if p.Now != base || p.Start-base != tt.start || p.End-base != tt.end || stable != tt.stable || p.LimitedBy != tt.limit {
				t.Errorf("now %+d start %+d end %+d stable %+d by %v, want start %+d end %+d stable %+d by %v",
					p.Now-base, p.Start-base, p.End-base, stable, p.LimitedBy, tt.start, tt.end, tt.stable, tt.limit)
			}
			if tt.limits.Max > 0 && p.End-p.Start > tt.limits.Max {
				t.Errorf("%d s from start to end, over the maximum", p.End-p.Start)
			}
		})
	}
}

func TestPlanTimesErrors(t *testing.T) {
	week := int64(7 * day / time.Second)
	for _, tt := range []struct {
		name  string
		now   time.Time
		ask   Ask
		class error
		field string
	}{
		{"zero", at(0), Ask{}, signer.ErrLifetime, "Expires"},
		{"negative", at(0), Ask{Expires: -time.Second}, signer.ErrLifetime, "Expires"},
		{"a second over the maximum", at(0), Ask{Expires: 7*day + time.Second}, signer.ErrLifetime, "Expires"},
		{"a nanosecond over", at(0), Ask{Expires: 7*day + 1}, signer.ErrLifetime, "Expires"},
		{"over with its window", at(0), Ask{Expires: 7 * day, Window: time.Second}, signer.ErrLifetime, "Expires"},
		{"window of a fraction", at(0), Ask{Expires: time.Hour, Window: 1500 * time.Millisecond}, signer.ErrLifetime, "Window"},
		{"window under a second", at(0), Ask{Expires: time.Hour, Window: time.Millisecond}, signer.ErrLifetime, "Window"},
		{"negative window", at(0), Ask{Expires: time.Hour, Window: -time.Minute}, signer.ErrLifetime, "Window"},
		{"window over half the life", at(0), Ask{Expires: time.Hour, Window: 30*time.Minute + time.Second}, signer.ErrLifetime, "Window"},
		{"window over the maximum", at(0), Ask{Expires: 400 * day, Window: 200 * day, AllowShorter: true}, signer.ErrLifetime, "Window"},
		{"spread without window", at(0), Ask{Expires: time.Hour, Spread: true}, signer.ErrRequest, "Spread"},
		{"a clock at zero", time.Time{}, Ask{Expires: time.Hour}, signer.ErrLifetime, "Clock"},
		{"a clock past the year 9999", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), Ask{Expires: time.Hour}, signer.ErrLifetime, "Clock"},
		{"an end past the year 9999", time.Date(9999, 12, 31, 23, 59, 0, 0, time.UTC), Ask{Expires: time.Hour}, signer.ErrLifetime, "Expires"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := PlanTimes(op, tt.now, &tt.ask, Limits{Max: week, Backdate: 30})
			var e *signer.Error
			if !errors.Is(err, tt.class) || !errors.As(err, &e) || e.Field != tt.field {
				t.Errorf("got %v, want %v about %s", err, tt.class, tt.field)
			}
		})
	}
}

// An error speaks of what was asked for, and of a Window only where there is one.
func TestPlanTimesText(t *testing.T) {
	for want, ask := range map[string]Ask{
		"test: presign: Expires: bad lifetime: 192h0m0s is over the 168h0m0s that the scheme allows; ask for less, or set AllowShorter": {Expires: 8 * day},
		"test: presign: Expires: bad lifetime: 168h0m0s and a Window of 1h0m0s are over the 168h0m0s that the scheme allows; ask for less, or set AllowShorter": {
			Expires: 7 * day, Window: time.Hour},
	} {
		if _, err := PlanTimes(op, at(0), &ask, Limits{Max: int64(7 * day / time.Second)}); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// What limits a URL may be one thing or several, and credentials or signatures; the text fits them all.
func TestCapText(t *testing.T) {
	p, err := PlanTimes(op, at(0), &Ask{Expires: 13 * time.Hour}, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for want, dies := range map[string]time.Duration{
		"test: presign: Key: no usable credentials: signatures of a remote key will die at 2026-11-25T11:59:50Z, before the URL does; " +
			"ask for a shorter Expires, set AllowShorter, or sign with what lives longer": 12 * time.Hour,
		"test: presign: Key: no usable credentials: signatures of a remote key died at 2026-11-24T22:59:50Z; sign with what is alive": -time.Hour,
	} {
		if err := p.Cap(op, at(dies), false, "Key", "signatures of a remote key"); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// Any two instants of one window give one plan; the next second gives another. Each lives at least Expires.
func TestWindowIsStable(t *testing.T) {
	ask := Ask{Expires: time.Hour, Window: 15 * time.Minute, Bucket: "b", Key: "k"}
	limits := Limits{Max: int64(7 * day / time.Second), Backdate: 30}
	for _, spread := range []bool{false, true} {
		ask.Spread = spread
		first, err := PlanTimes(op, at(0), &ask, limits)
		if err != nil {
			t.Fatal(err)
		}
		began := first.StableUntil - 900
		for _, now := range []int64{began, began + 1, began + 450, began + 899} {
			p, _ := PlanTimes(op, time.Unix(now, 999999999), &ask, limits)
			if p.Start != first.Start || p.End != first.End || p.StableUntil != first.StableUntil {
				t.Errorf("spread %v: at %d s of the window it is %+v, at another %+v", spread, now-began, p, first)
			}
			if p.End-now < 3600 {
				t.Errorf("spread %v: at %d s of the window %d s are left of an hour", spread, now-began, p.End-now)
			}
		}
		for _, now := range []int64{began - 1, began + 900} {
			if p, _ := PlanTimes(op, time.Unix(now, 0), &ask, limits); p.End == first.End {
				t.Errorf("spread %v: %d s after the window began, still the same plan", spread, now-began)
			}
		}
	}
}

// Windows begin at multiples since 1970, unless they are spread: then at as many places as there are seconds.
func TestSpread(t *testing.T) {
	ask := Ask{Expires: time.Hour, Window: 15 * time.Minute}
	limits := Limits{Max: int64(7 * day / time.Second)}
	plain, _ := PlanTimes(op, at(0), &ask, limits)
	if plain.Start%900 != 0 {
		t.Errorf("a window begins at %d, no multiple of 900", plain.Start)
	}
	ask.Spread = true
	begins := make(map[int64]int)
	for i := range 2000 {
		ask.Bucket, ask.Key = "photos", fmt.Sprintf("page/%d.jpg", i)
		p, _ := PlanTimes(op, at(0), &ask, limits)
		begins[p.Start%900]++
	}
	if len(begins) < 700 { // 900 bins, 2000 balls: about 800 hit
		t.Errorf("2000 keys begin their windows at only %d of 900 seconds", len(begins))
	}
	// Processes and versions must agree for ever: it is FNV-1a of bucket, NUL and key.
	for _, key := range []string{"", "cat.jpg", "2026/11/ä b.jpg"} {
		h := fnv.New64a()
		h.Write([]byte("photos\x00" + key))
		if got, want := spread("photos", key, 900), int64(h.Sum64()%900); got != want {
			t.Errorf("%q is shifted by %d s, want %d", key, got, want)
		}
	}
}

func TestCap(t *testing.T) {
	limits := Limits{Max: int64(7 * day / time.Second), Backdate: 30}
	hour := Ask{Expires: time.Hour}
	windowed := Ask{Expires: time.Hour, Window: 15 * time.Minute} // 23:45 .. 00:00, ends 01:00; now 23:59:50
	for _, tt := range []struct {
		name    string
		ask     Ask
		dies    time.Duration // after now; 0 for never
		shorter bool
		err     error
		end     time.Duration // after now
		stable  time.Duration
		limit   signer.Limit
	}{
		{"never", hour, 0, false, nil, time.Hour, 0, signer.LimitRequest},
		{"long after", hour, 2 * time.Hour, false, nil, time.Hour, 0, signer.LimitRequest},
		{"at the end", hour, time.Hour, false, nil, time.Hour, 0, signer.LimitRequest},
		{"a second before the end", hour, time.Hour - time.Second, false, signer.ErrCredentials, 0, 0, 0},
		{"a second before the end, shorter allowed", hour, time.Hour - time.Second, true, nil, time.Hour - time.Second, 0, signer.LimitCredentials},
		{"dead", hour, -time.Second, true, signer.ErrCredentials, 0, 0, 0},
		{"dying now", hour, 1, true, signer.ErrCredentials, 0, 0, 0},
		{"window, credentials outlive it", windowed, 2 * time.Hour, false, nil, time.Hour + 10*time.Second, 10 * time.Second, signer.LimitRequest},
		{"window, credentials end between the promise and the end", windowed, time.Hour + 5*time.Second, false, nil, time.Hour + 5*time.Second, 10 * time.Second, signer.LimitCredentials},
		{"window that ends with the credentials", windowed, 10 * time.Second, true, nil, 10 * time.Second, 10 * time.Second, signer.LimitCredentials},
		{"window that outlives the credentials", windowed, 4 * time.Second, true, nil, 4 * time.Second, 4 * time.Second, signer.LimitCredentials},
		{"the same, shorter not allowed", windowed, 4 * time.Second, false, signer.ErrCredentials, 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := PlanTimes(op, at(0), &tt.ask, limits)
			if err != nil {
				t.Fatal(err)
			}
			var dies time.Time
			if tt.dies != 0 {
				dies = time.Unix(p.Now, 0).Add(tt.dies)
			}
			err = p.Cap(op, dies, tt.shorter, "Credentials", "the credentials")
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			var stable time.Duration
			if p.StableUntil != 0 {
				stable = time.Duration(p.StableUntil-p.Now) * time.Second
			}
			if end := time.Duration(p.End-p.Now) * time.Second; end != tt.end || stable != tt.stable || p.LimitedBy != tt.limit {
				t.Errorf("end %v stable %v by %v, want %v %v %v", end, stable, p.LimitedBy, tt.end, tt.stable, tt.limit)
			}
		})
	}
}

// What credentials cut from the end leaves room to backdate again.
func TestCapGivesBackdateRoom(t *testing.T) {
	week := int64(7 * day / time.Second)
	p, _ := PlanTimes(op, at(0), &Ask{Expires: 7 * day}, Limits{Max: week, Backdate: 30})
	if p.Start != p.Now {
		t.Fatalf("starts %d s before now", p.Now-p.Start)
	}
	if err := p.Cap(op, time.Unix(p.Now+3600, 0), true, "Credentials", "the credentials"); err != nil {
		t.Fatal(err)
	}
	if p.Start != p.Now-30 || p.End != p.Now+3600 {
		t.Errorf("start %+d end %+d, want -30 and +3600", p.Start-p.Now, p.End-p.Now)
	}
}

func TestBackdate(t *testing.T) {
	for _, tt := range []struct{ d, want time.Duration }{
		{0, 30 * time.Second}, {-1, 0}, {-time.Hour, 0}, {time.Minute, time.Minute}, {1500 * time.Millisecond, 2 * time.Second},
	} {
		if got := Backdate(tt.d, 30*time.Second); got != int64(tt.want/time.Second) {
			t.Errorf("Backdate(%v) is %d s, want %v", tt.d, got, tt.want)
		}
	}
}
