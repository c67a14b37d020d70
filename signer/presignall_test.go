package signer_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// A toy presigns with a function; parallel is what it says of itself, if it is not 0.
type toy func(ctx context.Context, r signer.Request) (*signer.Presigned, error)

func (t toy) Presign(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
	return t(ctx, r)
}

type parallelToy struct {
	toy
	parallel int
}

func (t parallelToy) Parallel() int { return t.parallel }

// ways are a signer as it is, and as one that may be called several times at once, behind a wrapper too.
func ways(f toy) map[string]signer.Signer {
	return map[string]signer.Signer{"in line": f, "one by one": parallelToy{f, 0}, "four at once": parallelToy{f, 4},
		"wrapped": wraps{parallelToy{f, 3}}}
}

// keysTo yields requests for the keys 0 to n-1.
func keysTo(n int) iter.Seq[signer.Request] {
	return func(yield func(signer.Request) bool) {
		for i := range n {
			if !yield(signer.Request{Key: fmt.Sprint(i)}) {
				return
			}
		}
	}
}

func echo(_ context.Context, r signer.Request) (*signer.Presigned, error) {
	return &signer.Presigned{URL: r.Key}, nil
}

// Pairs come in the order of the requests, whichever signature is ready first.
func TestPresignAllOrder(t *testing.T) {
	for name, s := range ways(func(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
		time.Sleep(time.Duration(7-len(r.Key)*5%7) * time.Second)
		return echo(ctx, r)
	}) {
		synctest.Test(t, func(t *testing.T) {
			for _, n := range []int{0, 1, 4, 25} {
				i := 0
				for p, err := range signer.PresignAll(context.Background(), s, keysTo(n)) {
					if err != nil || p.URL != fmt.Sprint(i) {
						t.Fatalf("%s: the pair %d of %d is %v, %v", name, i, n, p, err)
					}
					i++
				}
				if i != n {
					t.Errorf("%s: %d pairs for %d requests", name, i, n)
				}
			}
		})
	}
}

// An error has its place, keeps its text, field and causes, does not end the iteration, and belongs to the signer: it is not changed.
func TestPresignAllErrors(t *testing.T) {
	fault := func(field string) error {
		return &signer.Error{Backend: "toy", Op: "presign", Field: field, Err: signer.ErrRequest}
	}
	plain := errors.New("no error of ours")
	kept := map[string]error{"1": fault("Key"), "2": errors.Join(fault("Key"), errors.Join(fault("Query"), plain)), "4": plain,
		"5": fmt.Errorf("a wrapper: %w", fault("Key")), "6": fmt.Errorf("%w: because of %w", signer.ErrRemote, fault("Key")), "7": context.Canceled}
	for name, s := range ways(func(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
		if err := kept[r.Key]; err != nil {
			return nil, err
		}
		return echo(ctx, r)
	}) {
		i := 0
		for p, err := range signer.PresignAll(context.Background(), s, keysTo(9)) {
			want := kept[fmt.Sprint(i)]
			if (err == nil) != (want == nil) || (p == nil) != (want != nil) {
				t.Fatalf("%s: the pair %d is %v, %v, want %v", name, i, p, err, want)
			}
			var e *signer.Error
			if want != nil && (!errors.As(err, &e) || e.Index != i || err.Error() != want.Error()) {
				t.Errorf("%s: the error %d is %#v %q, want %q", name, i, err, err, want)
			}
			for _, cause := range []error{signer.ErrRequest, signer.ErrRemote, plain, context.Canceled} {
				if want != nil && errors.Is(err, cause) != errors.Is(want, cause) {
					t.Errorf("%s: errors.Is(%q, %q) is %v", name, err, cause, errors.Is(err, cause))
				}
			}
			if i == 1 && e.Field != "Key" {
				t.Errorf("%s: the field is %q", name, e.Field)
			}
			i++
		}
		if i != 9 {
			t.Errorf("%s: %d pairs for 9 requests", name, i)
		}
	}
	var e *signer.Error
	if errors.As(kept["1"], &e); e.Index != 0 {
		t.Error("the signer's own error was changed")
	}
	// Each of several joined errors has the place.
	s := toy(func(context.Context, signer.Request) (*signer.Presigned, error) { return nil, kept["2"] })
	places := 0
	for _, err := range signer.PresignAll(context.Background(), s, keysTo(3)) {
		for _, one := range err.(interface{ Unwrap() []error }).Unwrap() {
			if errors.As(one, &e) && e.Index == places {
				places++
				break
			}
		}
	}
	if places != 3 {
		t.Errorf("%d places, want 3", places)
	}
}

// When the context ends, its error is the next pair and the last, and nothing is left running.
func TestPresignAllContext(t *testing.T) {
	for name, s := range ways(func(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
		select {
		case <-time.After(time.Second):
			return echo(ctx, r)
		case <-ctx.Done():
			return nil, fmt.Errorf("interrupted: %w", ctx.Err())
		}
	}) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 2500*time.Millisecond)
			defer cancel()
			var got []string
			for p, err := range signer.PresignAll(ctx, s, keysTo(1000)) {
				if err != nil {
					got = append(got, fmt.Sprint(p == nil, err == context.DeadlineExceeded))
				} else {
					got = append(got, p.URL)
				}
			}
			n := len(got) - 1
			if n < 2 || n > 12 || got[n] != "true true" || got[n-1] != fmt.Sprint(n-1) {
				t.Errorf("%s: %q", name, got)
			}
		})
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		n := 0
		for p, err := range signer.PresignAll(ended, s, keysTo(1000)) {
			if n++; p != nil || err != context.Canceled {
				t.Errorf("%s: the context has ended, and the pair is %v, %v", name, p, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: the context has ended, and there are %d pairs", name, n)
		}
	}
}

// A signer that does not look at the context does not hide its end.
func TestPresignAllContextUnseen(t *testing.T) {
	for name, s := range ways(echo) {
		ctx, cancel := context.WithCancel(context.Background())
		n := 0
		var last error
		for _, err := range signer.PresignAll(ctx, s, keysTo(1000)) {
			if n++; n == 3 {
				cancel()
			}
			last = err
		}
		cancel()
		if last != context.Canceled || n > 3+4+1 {
			t.Errorf("%s: after %d pairs the last error is %v", name, n, last)
		}
	}
}

// At most Parallel() calls run at once and as many requests are read ahead; without it one.
func TestPresignAllBound(t *testing.T) {
	for name, want := range map[string]int32{"in line": 1, "one by one": 1, "four at once": 4, "wrapped": 3} {
		synctest.Test(t, func(t *testing.T) {
			var running, most, read, seen atomic.Int32
			s := ways(func(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
				n := running.Add(1)
				defer running.Add(-1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				time.Sleep(time.Second)
				return echo(ctx, r)
			})[name]
			reqs := func(yield func(signer.Request) bool) {
				for r := range keysTo(20) {
					if ahead := read.Add(1) - seen.Load(); ahead > want+1 {
						t.Errorf("%s: %d requests were read ahead", name, ahead)
					}
					if !yield(r) {
						return
					}
				}
			}
			start := time.Now()
			for range signer.PresignAll(context.Background(), s, reqs) {
				seen.Add(1)
			}
			if most.Load() != want || time.Since(start) != time.Duration(20+want-1)/time.Duration(want)*time.Second {
				t.Errorf("%s: %d at once, in %v", name, most.Load(), time.Since(start))
			}
		})
	}
}

// Who stops asking gets no more signatures, and nothing is left running: synctest would tell.
func TestPresignAllBreak(t *testing.T) {
	for name := range ways(nil) {
		synctest.Test(t, func(t *testing.T) {
			var calls, running atomic.Int32
			s := ways(func(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
				calls.Add(1)
				running.Add(1)
				defer running.Add(-1)
				select {
				case <-time.After(time.Duration(len(r.Key)) * time.Minute):
				case <-ctx.Done():
					time.Sleep(time.Minute) // it takes its time
				}
				return echo(ctx, r)
			})[name]
			n := 0
			for range signer.PresignAll(context.Background(), s, keysTo(1000)) {
				if n++; n == 5 {
					break
				}
			}
			if calls.Load() > 9 || running.Load() != 0 {
				t.Errorf("%s: %d calls for 5 pairs, %d still running", name, calls.Load(), running.Load())
			}
		})
	}
}

// The caller may use one map for all of its requests.
func TestPresignAllOwnsRequests(t *testing.T) {
	reqs := func(yield func(signer.Request) bool) {
		r := signer.Request{Query: url.Values{"n": {""}}, Header: http.Header{"N": {""}}}
		for i := range 50 {
			r.Query["n"][0], r.Header["N"][0] = fmt.Sprint(i), fmt.Sprint(i)
			if !yield(r) {
				return
			}
		}
	}
	for name, s := range ways(func(_ context.Context, r signer.Request) (*signer.Presigned, error) {
		return &signer.Presigned{URL: r.Query.Get("n") + " " + r.Header.Get("N")}, nil
	}) {
		i := 0
		for p := range signer.PresignAll(context.Background(), s, reqs) {
			if want := fmt.Sprintf("%d %d", i, i); p.URL != want {
				t.Errorf("%s: %q, want %q", name, p.URL, want)
			}
			i++
		}
	}
}

// Nothing is kept of what was yielded, and no memory is taken for a request but its signer's.
func TestPresignAllMemory(t *testing.T) {
	p := new(signer.Presigned)
	s := toy(func(context.Context, signer.Request) (*signer.Presigned, error) { return p, nil })
	r := signer.Request{Key: "k"}
	reqs := func(yield func(signer.Request) bool) {
		for range 10000 {
			if !yield(r) {
				return
			}
		}
	}
	n := testing.AllocsPerRun(5, func() {
		for range signer.PresignAll(context.Background(), s, reqs) {
		}
	})
	if n > 20 {
		t.Errorf("%v allocations for 10,000 requests", n)
	}
}

// PresignAll signs what a page needs, in the order in which the page needs it.
func ExamplePresignAll() {
	s := exampleSigner()
	keys := []string{"cat.jpg", "dog.jpg", "../secret"}

	requests := func(yield func(signer.Request) bool) {
		for _, key := range keys {
			if !yield(signer.Request{Key: key, Expires: 15 * time.Minute}) {
				return
			}
		}
	}
	for p, err := range signer.PresignAll(context.Background(), s, requests) {
		if e := (*signer.Error)(nil); errors.As(err, &e) {
			fmt.Println(keys[e.Index], "is not signed:", e.Field)
			continue
		} else if err != nil {
			fmt.Println(err) // the context has ended
			break
		}
		fmt.Println(p)
	}
	// Output:
	// GET https://photos.s3.eu-west-1.amazonaws.com/cat.jpg?REDACTED until 2026-11-24T12:15:00Z
	// GET https://photos.s3.eu-west-1.amazonaws.com/dog.jpg?REDACTED until 2026-11-24T12:15:00Z
	// ../secret is not signed: Key
}

// A request that is no key of anything is told apart from the others of a batch.
func TestPresignAllS3(t *testing.T) {
	s := exampleSigner()
	var keys []string
	for i := range 100 {
		keys = append(keys, strings.Repeat("k", i)) // the first is the bucket
	}
	requests := func(yield func(signer.Request) bool) {
		for _, key := range keys {
			if !yield(signer.Request{Key: key, Method: http.MethodPut, Expires: time.Minute}) {
				return
			}
		}
	}
	var all []string
	for p, err := range signer.PresignAll(context.Background(), s, requests) {
		var e *signer.Error
		if len(all) == 0 {
			if !errors.As(err, &e) || e.Index != 0 || e.Field != "Key" {
				t.Errorf("a PUT of the bucket: %v", err)
			}
			all = append(all, "")
			continue
		}
		one, oneErr := s.Presign(context.Background(), signer.Request{Key: keys[len(all)], Method: http.MethodPut, Expires: time.Minute})
		if err != nil || oneErr != nil || p.URL != one.URL {
			t.Fatalf("%d: %v %v", len(all), err, oneErr)
		}
		all = append(all, p.URL)
	}
	if len(all) != 100 || len(slices.Compact(slices.Sorted(slices.Values(all)))) != 100 {
		t.Errorf("%d pairs", len(all))
	}
}
