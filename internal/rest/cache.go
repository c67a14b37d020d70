package rest

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// A Cache keeps what was fetched, and fetches it again when it is no longer fresh: once for all who ask. A hit takes no lock.
type Cache[K comparable, V any] struct {
	now   func() time.Time
	most  int
	pause time.Duration

	flight  Flight[K, V]
	mu      sync.Mutex                     // of who changes entries
	entries atomic.Pointer[map[K]Entry[V]] // never changed, but replaced
}

// An Entry is a value, or the error that stands in its place. Until Fresh it is served as it is, and a value until Usable
// if no newer one can be had.
type Entry[V any] struct {
	Value         V
	Err           error
	Fresh, Usable time.Time
}

// NewCache returns a Cache of up to most entries, which reads the time from now. After a fetch has failed, no other is
// tried for the time pause.
func NewCache[K comparable, V any](now func() time.Time, most int, pause time.Duration) *Cache[K, V] {
	c := &Cache[K, V]{now: now, most: most, pause: pause}
	c.entries.Store(&map[K]Entry[V]{})
	return c
}

// Get returns the value of key, from fetch if there is no fresh one. An error of fetch is one that may pass; an Entry with Err
// is an answer.
func (c *Cache[K, V]) Get(ctx context.Context, key K, fetch func(context.Context) (Entry[V], error)) (V, error) {
	if e, ok := c.fresh(key); ok {
		return e.Value, e.Err
	}
	return c.flight.Do(ctx, key, func(ctx context.Context) (V, error) {
		old, ok := c.fresh(key) // a call may have ended after the look above
		if ok {
			return old.Value, old.Err
		}
		stale := old.Err == nil && c.now().Before(old.Usable)
		e, err := c.fetch(ctx, stale, fetch)
		if err != nil && ctx.Err() != nil { // nobody waits, and nothing was learned
			return e.Value, err
		}
		if err != nil {
			now := c.now()
			if stale && now.Before(old.Usable) {
				e = old
			} else {
				e = Entry[V]{Err: err}
			}
			e.Fresh = now.Add(c.pause)
		}
		c.store(key, e)
		return e.Value, e.Err
	})
}

// patience is how long callers wait for a new value while an old one is good.
const patience = 2 * time.Second

func (c *Cache[K, V]) fetch(ctx context.Context, stale bool, fetch func(context.Context) (Entry[V], error)) (Entry[V], error) {
	if stale {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	return fetch(ctx)
}

// Drop forgets the value of key if it is one that was found to be bad.
func (c *Cache[K, V]) Drop(key K, bad func(V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries := *c.entries.Load()
	if e, ok := entries[key]; ok && bad(e.Value) {
		entries = maps.Clone(entries)
		delete(entries, key)
		c.entries.Store(&entries)
	}
}

func (c *Cache[K, V]) fresh(key K) (Entry[V], bool) {
	e, ok := (*c.entries.Load())[key]
	return e, ok && c.now().Before(e.Fresh)
}

func (c *Cache[K, V]) store(key K, e Entry[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries := maps.Clone(*c.entries.Load())
	if _, ok := entries[key]; !ok && len(entries) >= c.most {
		var stalest K
		var at time.Time
		for k, other := range entries {
			if at.IsZero() || other.Fresh.Before(at) {
				stalest, at = k, other.Fresh
			}
		}
		delete(entries, stalest)
	}
	entries[key] = e
	c.entries.Store(&entries)
}
