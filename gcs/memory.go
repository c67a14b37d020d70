package gcs

import (
	"bytes"
	"hash/maphash"
	"sync/atomic"
)

// A memory keeps the signatures of URLs that are to be stable. A signature by an RSA key costs milliseconds or a call to a
// service, and within a window the canonical request is the same, and so may the signature be. They are found by the request
// itself: to hash it as the signature wants it takes longer than all the rest.
//
// What is kept is bounded, and overwritten and not erased: a signature that has died may stay in memory until its Signer does.
// It takes no lock: who loses a race signs once more.
type memory struct {
	seed maphash.Seed
	sets [memorySets][memoryWays]atomic.Pointer[remembered]
}

const (
	memorySets    = 1024 // a power of two
	memoryWays    = 4
	maxRemembered = 2 << 10 // bytes of one canonical request and its signature; 4096 of them are 8 MiB
)

// remembered is the signature of one canonical request, in hex. It never changes.
type remembered struct {
	canonical, signature []byte
	until                int64 // when its window ends, in seconds since 1970
}

func newMemory() *memory { return &memory{seed: maphash.MakeSeed()} }

func (m *memory) set(canonical []byte) *[memoryWays]atomic.Pointer[remembered] {
	return &m.sets[maphash.Bytes(m.seed, canonical)%memorySets]
}

// recall returns the signature of a request, nil if it is not known.
func (m *memory) recall(canonical []byte) []byte {
	set := m.set(canonical)
	for way := range set {
		if r := set[way].Load(); r != nil && bytes.Equal(r.canonical, canonical) {
			return r.signature
		}
	}
	return nil
}

// remember keeps a signature, in the place of the one whose window ends first if there is no other.
func (m *memory) remember(canonical, signature []byte, until int64) {
	if len(canonical)+len(signature) > maxRemembered {
		return
	}
	set := m.set(canonical)
	place, first := 0, int64(1<<63-1)
	for way := range set {
		r := set[way].Load()
		if r == nil {
			place = way
			break
		}
		if r.until < first {
			place, first = way, r.until
		}
	}
	set[place].Store(&remembered{bytes.Clone(canonical), bytes.Clone(signature), until})
}
