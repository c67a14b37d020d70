package rest

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A granter gives leases of an hour, numbered, and remembers when.
type granter struct {
	mu      sync.Mutex
	start   time.Time
	latency time.Duration
	fails   bool
	at      []time.Duration
}

func (g *granter) fetch(ctx context.Context) (Lease[int], error) {
	g.mu.Lock()
	g.at = append(g.at, time.Since(g.start))
	n, fails := len(g.at), g.fails
	g.mu.Unlock()
	time.Sleep(g.latency)
	if fails {
		return Lease[int]{}, errors.New("down")
	}
	return Lease[int]{n, time.Now(), time.Now().Add(time.Hour)}, nil
}

func newGranter() (*granter, *Renewer[int]) {
	g := &granter{start: time.Now()}
	return g, NewRenewer(time.Now, g.fetch)
}

// The next is asked for at half time, at once where the old one does not last, and never twice in a minute while one lives.
func TestRenewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const minute, second = time.Minute, time.Second
		g, r := newGranter()
		for _, step := range []struct {
			at, life time.Duration
			fails    bool
			want     int // -1: an error
		}{
			{0, 0, false, 1}, {30*minute - 1, 0, false, 1},
			{30 * minute, 0, false, 1}, // in the background
			{30*minute + 1, 0, false, 2},
			{40 * minute, 51 * minute, false, 3}, // waited for
			{40 * minute, 9 * time.Hour, false, 3},
			{41*minute - 1, 9 * time.Hour, false, 3},
			{41 * minute, 9 * time.Hour, false, 4},
			{80 * minute, 0, true, 4}, {80*minute + 30*second, 0, true, 4},
			{90 * minute, 9 * time.Hour, true, 4}, // at a failure the old one serves
			{101*minute - 1, 0, true, 4}, {101 * minute, 0, true, -1}, {101 * minute, 0, true, -1},
			{102 * minute, 0, false, 10},
		} {
			time.Sleep(step.at - time.Since(g.start))
			g.fails = step.fails
			got, err := r.Get(t.Context(), time.Now().Add(step.life))
			if err != nil {
				got = -1
			}
			synctest.Wait()
			if got != step.want {
				t.Errorf("at %v: got %d, %v; want %d", step.at, got, err, step.want)
			}
		}
		want := []time.Duration{0, 30 * minute, 40 * minute, 41 * minute, 80 * minute, 90 * minute, 101*minute - 1, 101 * minute, 101 * minute, 102 * minute}
		if !slices.Equal(g.at, want) {
			t.Errorf("asked at %v, want %v", g.at, want)
		}
	})
}

// All who wait share one fetch, and who gives up does not end it for the others.
func TestRenewerShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, r := newGranter()
		g.latency = time.Second
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := r.Get(impatient, time.Now()); err != context.DeadlineExceeded {
				t.Errorf("the first got %v", err)
			}
		})
		synctest.Wait()
		for range 100 {
			all.Go(func() {
				if got, err := r.Get(t.Context(), time.Now()); got != 1 || err != nil {
					t.Errorf("got %d, %v", got, err)
				}
			})
		}
		all.Wait()
		if len(g.at) != 1 {
			t.Errorf("fetched at %v", g.at)
		}
	})
}

// Who looked before a fetch ended, and starts the next after it, gets the lease of the first.
func TestRenewerLateCaller(t *testing.T) {
	_, r := newGranter()
	for range 2 {
		if got, err := r.next(t.Context()); got != 1 || err != nil {
			t.Errorf("got %d, %v", got, err)
		}
	}
}

// A fetch that hangs in the background, where nobody's ctx ends it, ends nevertheless: who needs a lease later is not made to wait for it.
func TestRenewerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fetched := 0
		r := NewRenewer(time.Now, func(ctx context.Context) (Lease[int], error) {
			if fetched++; fetched == 2 {
				<-ctx.Done()
				return Lease[int]{}, ctx.Err()
			}
			return Lease[int]{fetched, time.Now(), time.Now().Add(time.Hour)}, nil
		})
		for _, at := range []time.Duration{0, 40 * time.Minute, 30 * time.Minute} {
			time.Sleep(at)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if got, err := r.Get(ctx, time.Now()); err != nil {
				t.Fatalf("%v after the last: %d, %v", at, got, err)
			}
			synctest.Wait()
		}
		if fetched != 3 {
			t.Errorf("fetched %d times", fetched)
		}
	})
}

func TestRenewerHitDoesNotAllocate(t *testing.T) {
	_, r := newGranter()
	get := func() {
		if _, err := r.Get(t.Context(), time.Time{}); err != nil {
			t.Error(err)
		}
	}
	get()
	if n := testing.AllocsPerRun(100, get); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNear(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "localhost", "::1", "169.254.169.254", "169.254.170.2", "fe80::1"} {
		if !Near(host) {
			t.Errorf("%q is near", host)
		}
	}
	for _, host := range []string{"", "169.253.1.1", "10.0.0.1", "100.100.100.200", "fd00:ec2::254", "169.254.169.254.example.com", "0.0.0.0", "metadata"} {
		if Near(host) {
			t.Errorf("%q is not near", host)
		}
	}
}

// What a metadata service says goes by no proxy of the environment, which http.DefaultTransport would ask, also with a Client that sets
// a timeout alone. One with a Transport of its own is left to that.
func TestDirect(t *testing.T) {
	given := &http.Client{Timeout: time.Second}
	for _, c := range []*http.Client{nil, given} {
		direct := Direct(c)
		if transport, ok := direct.Transport.(*http.Transport); !ok || transport.Proxy != nil || c != nil && direct.Timeout != c.Timeout {
			t.Errorf("%+v became %+v", c, direct)
		}
	}
	own := &http.Client{Transport: http.DefaultTransport}
	if Direct(own).Transport != http.DefaultTransport || given.Transport != nil {
		t.Error("the caller's client was changed")
	}
}
