package sigv4

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/cloudsigner/cloudsigner/signer"
)

const (
	cacheSets = 512
	cacheWays = 4
)

// A Cache remembers the signing keys that one Signer or Verifier derived from secrets, each for a scope of type S: up to
// cacheSets * cacheWays of them, so that a service that signs for thousands of tenants keeps its keys and its memory stays
// bounded.
//
// It is a set-associative table of atomic pointers. A key's set follows from the fingerprint of its secret; within the set
// it is found by scope and secret, never by key id, because a rotated secret keeps its id. A hit takes no lock and does not
// allocate. A full set gives up its oldest key, which is one of a day that is over, if any is.
//
// A Cache holds derived keys, but behind atomic pointers, into which reflection (and so no dump) can look.
type Cache[S comparable, K any] struct {
	derive func(signer.Secret, S) K
	sets   [cacheSets]atomic.Pointer[set[S, K]] // each is made when its first key is stored
	stored atomic.Uint64
}

type set[S comparable, K any] [cacheWays]atomic.Pointer[entry[S, K]]

type entry[S comparable, K any] struct {
	secret signer.Secret
	scope  S
	key    K
	born   uint64 // the cache's count of stores
}

// NewCache returns an empty cache of keys that derive makes.
func NewCache[S comparable, K any](derive func(signer.Secret, S) K) *Cache[S, K] {
	return &Cache[S, K]{derive: derive}
}

// Key returns the key for a secret and scope, derived now if it is not there.
func (c *Cache[S, K]) Key(secret signer.Secret, scope S) K {
	k, ok := c.Find(secret, scope)
	if !ok {
		k = c.derive(secret, scope)
		c.Store(secret, scope, k)
	}
	return k
}

// Verify hands the key to check and keeps it only if check says yes, so that strangers cannot push keys out.
func (c *Cache[S, K]) Verify(secret signer.Secret, scope S, check func(K) bool) bool {
	k, found := c.Find(secret, scope)
	if !found {
		k = c.derive(secret, scope)
	}
	ok := check(k)
	if ok && !found {
		c.Store(secret, scope, k)
	}
	return ok
}

// Find returns the key if it is there.
func (c *Cache[S, K]) Find(secret signer.Secret, scope S) (k K, ok bool) {
	if set := c.set(secret).Load(); set != nil {
		for i := range set {
			if e := set[i].Load(); e != nil && e.scope == scope && e.secret.Equal(secret) {
				return e.key, true
			}
		}
	}
	return k, false
}

// Store keeps a key.
func (c *Cache[S, K]) Store(secret signer.Secret, scope S, k K) {
	place := c.set(secret)
	place.CompareAndSwap(nil, new(set[S, K]))
	keys := place.Load()
	victim, oldest := 0, ^uint64(0)
	for i := range keys {
		e := keys[i].Load()
		if e == nil {
			victim = i
			break
		}
		if e.born < oldest {
			victim, oldest = i, e.born
		}
	}
	keys[victim].Store(&entry[S, K]{secret, scope, k, c.stored.Add(1)})
}

func (c *Cache[S, K]) set(secret signer.Secret) *atomic.Pointer[set[S, K]] {
	fingerprint := secret.Fingerprint()
	return &c.sets[binary.LittleEndian.Uint32(fingerprint[:])%cacheSets]
}
