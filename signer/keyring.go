package signer

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// A RingKey is a key that a KeyRing can hold: cdn.Key, s3.Credentials, oss.Credentials and azure.Key are, and so is every type
// with this method.
//
// A gcs.Key is none: its URLs name the account and not the key, and Google takes all keys that the account has, so a new key
// needs no more than a new Signer. Nor is a cdn.MediaKey: a keyset gives all its keys one name, and tokens name none;
// cdn.MediaVerifierConfig.Keys takes the old one and the new one side by side.
type RingKey interface {
	// Retirement returns the id of the key and the instant from which the service no longer accepts it; zero for never. The id
	// of a key without a secret is "".
	Retirement() (id string, at time.Time)
}

// A KeyRing rotates account keys without killing the URLs that are out: one key is in force and signs, others are still
// accepted. It is the key source of a Signer and the Lookup of a Verifier, and it knows how long each key is needed:
//
//	ring, err := signer.NewKeyRing(old)
//	s, err := cdn.New(cdn.Config{BaseURL: base, Keys: ring})
//	v, err := cdn.NewVerifier(cdn.VerifierConfig{BaseURL: base, Lookup: ring.Lookup})
//	// Later, when the service and all verifiers have the new key:
//	err = ring.Set(next, old)
//	// The old key may be deleted when the instant of ring.Issued(old.Name) is over, if that is so in every process.
//
// A key whose retirement is announced says so itself (Key.Expires, Credentials.Expires): no URL is signed to live longer. A
// KeyRing is safe for concurrent use, and takes no lock.
type KeyRing[K RingKey] struct {
	state atomic.Pointer[ringState[K]]
}

// A ringState is replaced as a whole. The counters go from one to the next.
type ringState[K RingKey] struct {
	keys   []K // the one in force first
	latest map[string]*atomic.Int64
}

// NewKeyRing returns a KeyRing with the key in force and those that are still accepted, or accepted already.
func NewKeyRing[K RingKey](inForce K, accepted ...K) (*KeyRing[K], error) {
	r := new(KeyRing[K])
	if err := r.Set(inForce, accepted...); err != nil {
		return nil, err
	}
	return r, nil
}

// Set replaces the keys, at once and for all users of the ring: inForce signs from now on, and no other than these is
// accepted. Call it again whenever the configuration is read. A key without an id or without a secret and two keys with one id
// are ErrCredentials, which leaves the ring as it was.
func (r *KeyRing[K]) Set(inForce K, accepted ...K) error {
	keys := append([]K{inForce}, accepted...)
	for {
		old := r.state.Load()
		next := &ringState[K]{keys, make(map[string]*atomic.Int64)}
		for i, k := range keys {
			id, _ := k.Retirement()
			if id == "" {
				return &Error{Op: "key ring", Field: "keys", Err: fmt.Errorf("%w: the key at %d has no id or no secret; it needs both", ErrCredentials, i)}
			}
			if next.latest[id] != nil {
				return &Error{Op: "key ring", Field: "keys", Err: fmt.Errorf("%w: two keys have the id %q; each needs its own, and is named once", ErrCredentials, id)}
			}
			next.latest[id] = new(atomic.Int64)
		}
		if old != nil {
			for id, latest := range old.latest {
				next.latest[id] = latest
			}
		}
		if r.state.CompareAndSwap(old, next) {
			return nil
		}
	}
}

// Key returns the key in force. until is the instant to which the signature shall work; Issued remembers it. It makes the
// ring the KeySource of package cdn and its like. There is no error.
func (r *KeyRing[K]) Key(ctx context.Context, until time.Time) (K, error) {
	for {
		s := r.state.Load()
		k := s.keys[0]
		id, retires := k.Retirement()
		end := until
		if !retires.IsZero() && retires.Before(end) {
			end = retires // where the signer cuts the URL, if it signs at all
		}
		raise(s.latest[id], end.Add(time.Second-1).Unix()) // not early
		if r.state.Load() == s {                           // or Issued could have answered in between that nobody needs the key
			return k, nil
		}
	}
}

// raise makes n at least v.
func raise(n *atomic.Int64, v int64) {
	for known := n.Load(); known < v && !n.CompareAndSwap(known, v); known = n.Load() {
	}
}

// Credentials is Key, under the name that the CredentialSource of package s3 and its like has.
func (r *KeyRing[K]) Credentials(ctx context.Context, until time.Time) (K, error) {
	return r.Key(ctx, until)
}

// Lookup returns an accepted key by its id, or ErrUnknownKey, as a VerifierConfig wants it. A key that is past its
// retirement is returned too: verifiers refuse it by what it says itself.
func (r *KeyRing[K]) Lookup(ctx context.Context, id string) (K, error) {
	for _, k := range r.state.Load().keys {
		if known, _ := k.Retirement(); known == id {
			return k, nil
		}
	}
	var none K
	return none, ErrUnknownKey
}

// Keys returns the keys, the one in force first.
func (r *KeyRing[K]) Keys() []K { return slices.Clone(r.state.Load().keys) }

// Issued returns the latest ExpiresAt of the URLs that were signed with a key, also of one that is no longer in the ring; the
// zero time if there are none. From then on nobody misses the key. It may be late, because a request that fails after its
// key was chosen counts, but never early. id is what the key's Retirement returns: a cdn.Key's Name, the AccessKeyID of
// Credentials, what Retirement made of an azure.Key. known is false for an id that the ring never held, misspelt perhaps, of
// which nothing can be said.
//
// It knows of this ring alone: what other processes issued, and this one before it was restarted, they must say themselves.
// Until every one has been asked, the longest Expires that the program ever asks for is the safe answer.
func (r *KeyRing[K]) Issued(id string) (until time.Time, known bool) {
	latest := r.state.Load().latest[id]
	if latest == nil {
		return time.Time{}, false
	}
	if until := latest.Load(); until != 0 {
		return time.Unix(until, 0).UTC(), true
	}
	return time.Time{}, true
}
