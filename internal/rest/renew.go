package rest

import (
	"context"
	"sync/atomic"
	"time"
)

// A Lease is a value that a service gives out for a time: it lives from Start until End.
type Lease[V any] struct {
	Value      V
	Start, End time.Time
}

// Lives reports whether the lease can be used.
func (l *Lease[V]) Lives(now time.Time) bool { return !now.Before(l.Start) && now.Before(l.End) }

// A Renewer keeps the newest lease and asks for the next when half of its time is over, while the old one goes on being used; a
// service that is out of order is not noticed before that one has died. A hit takes no lock.
type Renewer[V any] struct {
	now   func() time.Time
	fetch func(context.Context) (Lease[V], error)

	flight   Flight[struct{}, V]
	newest   atomic.Pointer[held[V]]
	renewing atomic.Bool // in the background
}

// held is a lease with its history. It is never changed, but replaced.
type held[V any] struct {
	Lease[V]
	renew time.Time // from then on a newer one is asked for
	tried time.Time // when that was done last
}

// retry is how long after one attempt at a newer lease the next is made.
const retry = time.Minute

// settled reports whether it is too early for another attempt.
func (h *held[V]) settled(now time.Time) bool {
	age := now.Sub(h.tried)
	return 0 <= age && age < retry
}

// NewRenewer returns a Renewer that reads the time from now. fetch must return a lease that lives.
func NewRenewer[V any](now func() time.Time, fetch func(context.Context) (Lease[V], error)) *Renewer[V] {
	return &Renewer[V]{now: now, fetch: fetch}
}

// Get returns the value of a lease that lives. Where it ends before until, a newer one is waited for, but asked for once a minute at
// most, and not insisted on. Who waits for the same fetch shares it; each waits with its own ctx, and it goes on while anyone does.
func (r *Renewer[V]) Get(ctx context.Context, until time.Time) (V, error) {
	now := r.now()
	h := r.newest.Load()
	switch {
	case h == nil, !h.Lives(now), h.End.Before(until) && !h.settled(now):
		return r.flight.Do(ctx, struct{}{}, r.next)
	case !now.Before(h.renew) && !h.settled(now) && r.renewing.CompareAndSwap(false, true):
		go r.renewAhead(context.WithoutCancel(ctx))
	}
	return h.Value, nil
}

// next fetches a lease. Where that fails it returns the old one, if it still lives.
func (r *Renewer[V]) next(ctx context.Context) (V, error) {
	old := r.newest.Load()
	if now := r.now(); old != nil && old.Lives(now) && old.settled(now) { // since the look above
		return old.Value, nil
	}
	l, err := r.fetch(ctx)
	switch now := r.now(); {
	case err == nil:
		r.newest.Store(&held[V]{Lease: l, tried: now, renew: now.Add(l.End.Sub(now) / 2)})
		return l.Value, nil
	case ctx.Err() == nil && old != nil && old.Lives(now):
		r.settle(old)
		return old.Value, nil
	}
	var none V
	return none, err
}

// patienceAhead is how long a fetch may take for which nobody waits: longer than all attempts of a Client. What a fetch calls besides,
// such as a caller's function for tokens, may know no end of its own.
const patienceAhead = 2 * time.Minute

// renewAhead renews the lease while the old one is used. Nobody waits for it, so a panic of fetch is kept for who asks when there is
// no lease any more.
func (r *Renewer[V]) renewAhead(ctx context.Context) {
	defer r.renewing.Store(false)
	defer func() {
		if recover() != nil {
			r.settle(r.newest.Load())
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, patienceAhead)
	defer cancel()
	_, _ = r.flight.Do(ctx, struct{}{}, r.next) // the result is in r.newest
}

// settle notes that an attempt at a newer lease than h was made.
func (r *Renewer[V]) settle(h *held[V]) {
	again := *h
	again.tried = r.now()
	r.newest.CompareAndSwap(h, &again)
}
