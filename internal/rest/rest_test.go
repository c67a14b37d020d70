package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The requests of Client, with their retries and bounds, are tested where they are sent: in gcs and gcs/iam.

func TestLoopback(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "localhost", "LocalHost"} {
		if !Loopback(host) {
			t.Errorf("%q is loopback", host)
		}
	}
	for _, host := range []string{"", "128.0.0.1", "::2", "localhost.example.com", "127.0.0.1.example.com", "127.1", "0.0.0.0", "169.254.169.254", "::ffff:8.8.8.8"} {
		if Loopback(host) {
			t.Errorf("%q is not loopback", host)
		}
	}
}

func TestFlightShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Flight[string, int64]
		var all sync.WaitGroup
		var calls atomic.Int64
		for range 50 {
			for _, key := range []string{"a", "b"} {
				all.Go(func() {
					got, err := f.Do(t.Context(), key, func(context.Context) (int64, error) {
						calls.Add(1)
						time.Sleep(time.Second)
						return calls.Load(), nil
					})
					if got != 2 || err != nil { // one call for each key
						t.Errorf("%s: got %d, %v", key, got, err)
					}
				})
			}
			synctest.Wait()
		}
		all.Wait()
		if calls.Load() != 2 || len(f.calls) != 0 {
			t.Errorf("%d calls, %d left", calls.Load(), len(f.calls))
		}
		if _, err := f.Do(t.Context(), "a", func(context.Context) (int64, error) { return 0, errors.New("third") }); err == nil || err.Error() != "third" {
			t.Errorf("the next call: %v", err)
		}
	})
}

type contextKey struct{}

// The call's context has the values of the first caller's and neither its deadline nor its end, and ends with the call.
func TestFlightContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Flight[int, int]
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), contextKey{}, "value"), time.Second)
		defer cancel()
		var shared context.Context
		ended := false
		call := func(ctx context.Context) (int, error) {
			shared = ctx
			time.Sleep(2 * time.Second)
			ended = ctx.Err() != nil
			return 1, nil
		}
		go f.Do(ctx, 1, call)
		synctest.Wait()
		if got, err := f.Do(t.Context(), 1, call); got != 1 || err != nil || ended {
			t.Errorf("got %d, %v; ended: %v", got, err, ended)
		}
		if _, has := shared.Deadline(); has || shared.Value(contextKey{}) != "value" || shared.Err() == nil {
			t.Errorf("deadline %v, value %v, %v", has, shared.Value(contextKey{}), shared.Err())
		}
	})
}

// A call that was given up and ends late does not end the sharing of the next.
func TestFlightGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Flight[int, int]
		var all sync.WaitGroup
		var calls atomic.Int64
		for _, caller := range []struct {
			from, patience time.Duration
			want           int
		}{{0, 10 * time.Millisecond, 0}, {20 * time.Millisecond, time.Minute, 2}, {1500 * time.Millisecond, time.Minute, 2}} {
			all.Go(func() {
				time.Sleep(caller.from)
				ctx, cancel := context.WithTimeout(t.Context(), caller.patience)
				defer cancel()
				got, _ := f.Do(ctx, 1, func(context.Context) (int, error) {
					n := calls.Add(1)
					time.Sleep(time.Duration(n) * time.Second)
					return int(n), nil
				})
				if got != caller.want {
					t.Errorf("who came at %v got the result of call %d, want %d", caller.from, got, caller.want)
				}
			})
		}
		all.Wait()
		if calls.Load() != 2 {
			t.Errorf("%d calls", calls.Load())
		}
	})
}

// Who comes when its context has ended calls nobody.
func TestFlightEnded(t *testing.T) {
	var f Flight[int, int]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Do(ctx, 1, func(context.Context) (int, error) { t.Error("called"); return 0, nil }); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}

type hangs struct{ n int }

func (h *hangs) RoundTrip(r *http.Request) (*http.Response, error) {
	h.n++
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// The end of ctx within the last attempt is ctx's error too.
func TestDoContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(hangs)
		c := NewClient(&http.Client{Transport: h}, 10*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 35*time.Second)
		defer cancel()
		if _, err := c.Do(ctx, Request{Method: "GET", URL: "https://h/"}); err != context.DeadlineExceeded || h.n != 4 {
			t.Errorf("got %v after %d requests", err, h.n)
		}
	})
}

// A panic reaches those who called, where a server can recover from it, and an exit of the call's goroutine is an error.
func TestFlightPanics(t *testing.T) {
	var f Flight[int, int]
	func() {
		defer func() {
			if got := recover(); got != "out of range" {
				t.Errorf("recovered %v", got)
			}
		}()
		f.Do(t.Context(), 1, func(context.Context) (int, error) { panic("out of range") })
	}()
	if _, err := f.Do(t.Context(), 1, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil }); err == nil {
		t.Error("a call that never returned gave no error")
	}
	if got, err := f.Do(t.Context(), 1, func(context.Context) (int, error) { return 1, nil }); got != 1 || err != nil {
		t.Errorf("afterwards: %d, %v", got, err)
	}
}

// An entry is served while it is fresh, and while it is usable if there is no better.
func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := NewCache[string, int](time.Now, 8, time.Second)
		var fetched []time.Duration
		fails := false
		fetch := func(context.Context) (Entry[int], error) {
			at := time.Since(start)
			fetched = append(fetched, at)
			if fails {
				return Entry[int]{}, errors.New("down")
			}
			return Entry[int]{Value: int(at / time.Second), Fresh: time.Now().Add(10 * time.Second), Usable: time.Now().Add(20 * time.Second)}, nil
		}
		for _, step := range []struct {
			at    time.Duration
			fails bool
			want  int // -1: an error
		}{
			{0, false, 0}, {10*time.Second - 1, false, 0}, {10 * time.Second, false, 10},
			{20 * time.Second, true, 10}, {20500 * time.Millisecond, true, 10}, {21 * time.Second, true, 10},
			{30*time.Second - 1, true, 10}, {30*time.Second + 1, true, 10}, // within the pause of the try before
			{31 * time.Second, true, -1}, {31500 * time.Millisecond, false, -1}, {32 * time.Second, false, 32},
		} {
			time.Sleep(step.at - time.Since(start))
			fails = step.fails
			got, err := c.Get(t.Context(), "a", fetch)
			if err != nil {
				got = -1
			}
			if got != step.want {
				t.Errorf("at %v: got %d, %v; want %d", step.at, got, err, step.want)
			}
		}
		want := []time.Duration{0, 10 * time.Second, 20 * time.Second, 21 * time.Second, 30*time.Second - 1, 31 * time.Second, 32 * time.Second}
		if !slices.Equal(fetched, want) {
			t.Errorf("fetched at %v, want %v", fetched, want)
		}
	})
}

// While an old value is good, nobody waits long for a service that hangs, and not every caller waits.
func TestCacheHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache[string, int](time.Now, 8, 5*time.Second)
		hang := func(ctx context.Context) (Entry[int], error) { <-ctx.Done(); return Entry[int]{}, ctx.Err() }
		fetch := func(context.Context) (Entry[int], error) {
			return Entry[int]{Value: 7, Fresh: time.Now().Add(time.Minute), Usable: time.Now().Add(time.Hour)}, nil
		}
		if _, err := c.Get(t.Context(), "a", fetch); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		for _, want := range []time.Duration{patience, 0, 0} {
			began := time.Now()
			if got, err := c.Get(t.Context(), "a", hang); got != 7 || err != nil || time.Since(began) != want {
				t.Errorf("got %d, %v after %v; want 7 after %v", got, err, time.Since(began), want)
			}
		}
		time.Sleep(2 * time.Hour) // now it is no longer good
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, err := c.Get(ctx, "a", hang); err == nil {
			t.Error("a value that is over was served")
		}
	})
}

// What was given up because nobody waited is not remembered as a failure.
func TestCacheGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache[string, int](time.Now, 8, time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Get(ctx, "a", func(ctx context.Context) (Entry[int], error) { <-ctx.Done(); return Entry[int]{}, ctx.Err() }); err != context.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		got, err := c.Get(t.Context(), "a", func(context.Context) (Entry[int], error) { return Entry[int]{Value: 1}, nil })
		if got != 1 || err != nil {
			t.Errorf("then got %d, %v", got, err)
		}
	})
}

// A full cache gives up what is stale first.
func TestCacheIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache[string, int](time.Now, 8, time.Second)
		fetched := 0
		get := func(i int) {
			c.Get(t.Context(), fmt.Sprint(i), func(context.Context) (Entry[int], error) {
				fetched++
				return Entry[int]{Value: i, Fresh: time.Now().Add(time.Hour)}, nil
			})
			time.Sleep(time.Second)
		}
		for i := range 100 {
			get(i)
		}
		for i := range 8 {
			get(99 - i)
		}
		if n := len(*c.entries.Load()); n != 8 || fetched != 100 {
			t.Errorf("%d entries, %d fetched", n, fetched)
		}
		get(0)
		if n := len(*c.entries.Load()); n != 8 || fetched != 101 {
			t.Errorf("%d entries, %d fetched", n, fetched)
		}
	})
}

func TestCacheDrop(t *testing.T) {
	c := NewCache[string, int](time.Now, 8, time.Second)
	fetched := 0
	get := func() int {
		got, _ := c.Get(t.Context(), "a", func(context.Context) (Entry[int], error) {
			fetched++
			return Entry[int]{Value: fetched, Fresh: time.Now().Add(time.Hour)}, nil
		})
		return got
	}
	get()
	c.Drop("a", func(v int) bool { return v == 7 })
	c.Drop("b", func(int) bool { return true })
	if got := get(); got != 1 {
		t.Errorf("got %d, which was not found bad", got)
	}
	c.Drop("a", func(v int) bool { return v == 1 })
	if got := get(); got != 2 {
		t.Errorf("got %d, which was dropped", got)
	}
}
