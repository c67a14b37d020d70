package rest

import (
	"context"
	"errors"
	"sync"
)

// A Flight makes one call for all who ask for the same key while it runs. The zero Flight is ready.
type Flight[K comparable, V any] struct {
	mu    sync.Mutex
	calls map[K]*call[V]
}

type call[V any] struct {
	done     chan struct{} // closed when the fields below are set
	value    V
	err      error
	panicked any

	cancel  context.CancelFunc
	waiting int
}

// Do returns what fn returns, or ctx's error as soon as ctx ends. fn runs in a context with the values of who came first,
// which ends when nobody waits any more. A panic of fn reaches all who wait.
func (f *Flight[K, V]) Do(ctx context.Context, key K, fn func(context.Context) (V, error)) (V, error) {
	var none V
	if err := ctx.Err(); err != nil {
		return none, err
	}
	f.mu.Lock()
	c, ok := f.calls[key]
	if !ok {
		c = &call[V]{done: make(chan struct{}), err: errors.New("the call ended without a result")}
		var shared context.Context
		shared, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
		if f.calls == nil {
			f.calls = make(map[K]*call[V])
		}
		f.calls[key] = c
		go f.run(shared, key, c, fn)
	}
	c.waiting++
	f.mu.Unlock()

	select {
	case <-c.done:
		if c.panicked != nil {
			panic(c.panicked)
		}
		return c.value, c.err
	case <-ctx.Done():
		f.mu.Lock()
		if c.waiting--; c.waiting == 0 {
			f.remove(key, c) // who comes now must not wait for a call that is cancelled
			c.cancel()
		}
		f.mu.Unlock()
		return none, ctx.Err()
	}
}

func (f *Flight[K, V]) run(ctx context.Context, key K, c *call[V], fn func(context.Context) (V, error)) {
	defer func() {
		c.panicked = recover()
		f.mu.Lock()
		f.remove(key, c)
		f.mu.Unlock()
		c.cancel()
		close(c.done)
	}()
	c.value, c.err = fn(ctx)
}

func (f *Flight[K, V]) remove(key K, c *call[V]) {
	if f.calls[key] == c {
		delete(f.calls, key)
	}
}
