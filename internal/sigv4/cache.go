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

// A Cache remembers the signing keys of one Signer or Verifier: up to cacheSets * cacheWays of them, so that a service
// that signs for thousands of tenants keeps its keys and its memory stays bounded.
//
// It is a set-associative table of atomic pointers. A key's set follows from the fingerprint of its secret; within
// the set it is found by scope and secret, never by key id, because a rotated secret keeps its id. A hit takes no lock
// and does not allocate. A full set gives up one key: a day's that is over, or any.
//
// A Cache holds derived keys, but behind atomic pointers, into which reflection (and so no dump) can look.
type Cache struct {
	family Family
	sets   [cacheSets][cacheWays]atomic.Pointer[Key]
}

// NewCache returns an empty cache for keys of one family.
func NewCache(f Family) *Cache { return &Cache{family: f} }

// Key returns the key for a secret and scope, derived now if it is not there.
func (c *Cache) Key(secret signer.Secret, scope *Scope) *Key {
	if k := c.Find(secret, scope); k != nil {
		return k
	}
	k := c.Derive(secret, scope)
	c.Store(k)
	return k
}

// Find returns the key if it is there, or nil.
func (c *Cache) Find(secret signer.Secret, scope *Scope) *Key {
	set := c.set(secret)
	for i := range set {
		if k := set[i].Load(); k != nil && k.scope == *scope && k.secret.Equal(secret) {
			return k
		}
	}
	return nil
}

// Derive makes a key without keeping it. A Verifier stores it once a signature matched, so that strangers cannot
// push keys out.
func (c *Cache) Derive(secret signer.Secret, scope *Scope) *Key {
	return c.family.NewKey(secret, *scope)
}

// Store keeps a key.
func (c *Cache) Store(k *Key) {
	set := c.set(k.secret)
	fingerprint := k.secret.Fingerprint()
	victim := int(fingerprint[8]) % cacheWays
	for i := range set {
		old := set[i].Load()
		if old == nil {
			victim = i
			break
		}
		if old.scope.Date != k.scope.Date {
			victim = i
		}
	}
	set[victim].Store(k)
}

func (c *Cache) set(secret signer.Secret) *[cacheWays]atomic.Pointer[Key] {
	fingerprint := secret.Fingerprint()
	return &c.sets[binary.LittleEndian.Uint32(fingerprint[:])%cacheSets]
}
