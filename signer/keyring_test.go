package signer_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// An accountKey is as keys of backends are, less the secret, which a ring does not look at.
type accountKey struct {
	id   string
	ends time.Time
}

func (k accountKey) Retirement() (string, time.Time) { return k.id, k.ends }

// The interfaces through which backends ask for keys, whatever they call them.
var (
	_ interface {
		Key(context.Context, time.Time) (accountKey, error)
	} = (*signer.KeyRing[accountKey])(nil)
	_ interface {
		Credentials(context.Context, time.Time) (accountKey, error)
	} = (*signer.KeyRing[accountKey])(nil)
)

func ids(keys []accountKey) (ids []string) {
	for _, k := range keys {
		ids = append(ids, k.id)
	}
	return ids
}

func TestKeyRing(t *testing.T) {
	ctx, noon := context.Background(), time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	a, b, c := accountKey{id: "a"}, accountKey{id: "b"}, accountKey{id: "c", ends: noon.Add(time.Hour)}
	r, err := signer.NewKeyRing(a, b)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(want string, until time.Time) {
		t.Helper()
		for name, ask := range map[string]func(context.Context, time.Time) (accountKey, error){"Key": r.Key, "Credentials": r.Credentials} {
			if k, err := ask(ctx, until); err != nil || k.id != want {
				t.Errorf("%s: %q signs, %v, want %q", name, k.id, err, want)
			}
		}
	}
	issued := func(id string, want time.Time) {
		t.Helper()
		if got, known := r.Issued(id); !got.Equal(want) || !known {
			t.Errorf("Issued(%q) is %v, %v, want %v", id, got, known, want)
		}
	}
	issued("a", time.Time{})
	for _, id := range []string{"nobody", "A", ""} { // not to be taken for a key that may go
		if got, known := r.Issued(id); known || !got.IsZero() {
			t.Errorf("Issued(%q) is %v, %v of a key that never was", id, got, known)
		}
	}
	sign("a", noon)
	sign("a", noon.Add(time.Minute))
	sign("a", noon.Add(-time.Minute))
	issued("a", noon.Add(time.Minute))
	sign("a", noon.Add(time.Minute+1))
	issued("a", noon.Add(time.Minute+time.Second))
	issued("b", time.Time{})

	if err := r.Set(c, a); err != nil {
		t.Fatal(err)
	}
	sign("c", noon)
	issued("c", noon)
	sign("c", noon.Add(2*time.Hour)) // the signer cuts it, or refuses
	issued("c", noon.Add(time.Hour))
	issued("a", noon.Add(time.Minute+time.Second))
	if got := ids(r.Keys()); !reflect.DeepEqual(got, []string{"c", "a"}) {
		t.Errorf("Keys are %q", got)
	}
	for id, known := range map[string]bool{"a": true, "c": true, "b": false, "": false, "A": false} {
		k, err := r.Lookup(ctx, id)
		if known && (err != nil || k.id != id) || !known && !errors.Is(err, signer.ErrUnknownKey) {
			t.Errorf("Lookup(%q): %q, %v", id, k.id, err)
		}
	}

	if err := r.Set(b); err != nil {
		t.Fatal(err)
	}
	issued("a", noon.Add(time.Minute+time.Second)) // it is gone, and its URLs are not
	if err := r.Set(a, b); err != nil {
		t.Fatal(err)
	}
	sign("a", noon)
	issued("a", noon.Add(time.Minute+time.Second))
	r.Keys()[0] = b // a copy
	sign("a", noon)
}

func TestKeyRingErrors(t *testing.T) {
	a, none := accountKey{id: "a"}, accountKey{}
	for _, tt := range []struct {
		keys []accountKey
		want string
	}{
		{[]accountKey{none}, "the key at 0 has no id"}, {[]accountKey{a, none}, "the key at 1 has no id"},
		{[]accountKey{a, a}, `two keys have the id "a"`}, {[]accountKey{a, {id: "b"}, {id: "b"}}, `two keys have the id "b"`},
	} {
		r, err := signer.NewKeyRing(tt.keys[0], tt.keys[1:]...)
		var e *signer.Error
		if r != nil || !errors.Is(err, signer.ErrCredentials) || !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v", ids(tt.keys), err)
		}
	}
	r, err := signer.NewKeyRing(a)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Set(accountKey{id: "b"}, none); err == nil {
		t.Error("a key without an id is taken")
	}
	if k, _ := r.Key(context.Background(), time.Now()); k.id != "a" {
		t.Errorf("after a Set that failed %q signs", k.id)
	}
}

// While keys are set and used at once, no use is forgotten, and what is asked for is what was set together.
func TestKeyRingConcurrent(t *testing.T) {
	const rounds, signers = 300, 4
	start := time.Unix(1_800_000_000, 0)
	key := func(i int) accountKey { return accountKey{id: fmt.Sprint("key ", i%3)} }
	r, err := signer.NewKeyRing(key(0), key(1))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	latest := make([]map[string]time.Time, signers)
	for g := range signers {
		latest[g] = make(map[string]time.Time)
		wg.Go(func() {
			for i := range rounds {
				until := start.Add(time.Duration((i*7919+g*104729)%10007) * time.Second)
				k, err := r.Key(context.Background(), until)
				if err != nil {
					t.Error(err)
				}
				if until.After(latest[g][k.id]) {
					latest[g][k.id] = until
				}
				if keys := ids(r.Keys()); len(keys) != 2 || keys[0] == keys[1] {
					t.Errorf("Keys are %q", keys)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range rounds {
			if err := r.Set(key(i+1), key(i)); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	for i := range 3 {
		var want time.Time
		for _, m := range latest {
			if m[key(i).id].After(want) {
				want = m[key(i).id]
			}
		}
		// A Key that another Set overtook counts for the key that it gave up as well: late, as documented, and never early.
		if got, _ := r.Issued(key(i).id); got.Before(want) || got.After(start.Add(10007*time.Second)) {
			t.Errorf("%s: issued until %v, the ring says %v", key(i).id, want, got)
		}
	}
}

// Two who set keys at once do not make each other's forgotten.
func TestKeyRingSetAtOnce(t *testing.T) {
	r, err := signer.NewKeyRing(accountKey{id: "first"})
	if err != nil {
		t.Fatal(err)
	}
	until := time.Unix(1_800_000_000, 0)
	var wg sync.WaitGroup
	used := make([][]string, 4)
	for g := range used {
		wg.Go(func() {
			for i := range 100 {
				if err := r.Set(accountKey{id: fmt.Sprint(g, " ", i)}); err != nil {
					t.Error(err)
				}
				k, _ := r.Key(context.Background(), until)
				used[g] = append(used[g], k.id)
			}
		})
	}
	wg.Wait()
	for _, list := range used {
		for _, id := range list {
			if got, _ := r.Issued(id); !got.Equal(until) {
				t.Errorf("the use of %q is forgotten", id)
			}
		}
	}
}

// A slowKey lets Set happen while Key looks at it.
type slowKey struct {
	id    string
	while func()
}

func (k slowKey) Retirement() (string, time.Time) { k.while(); return k.id, time.Time{} }

// A key that is given out after another came in force would be needed after Issued said that it is not.
func TestKeyRingNeverEarly(t *testing.T) {
	ctx, until := context.Background(), time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	var r *signer.KeyRing[slowKey]
	replaced := false
	next := slowKey{"next", func() {}}
	old := slowKey{"old", func() {
		if r != nil && !replaced {
			replaced = true
			if err := r.Set(next); err != nil {
				t.Error(err)
			}
		}
	}}
	ring, err := signer.NewKeyRing(old)
	if err != nil {
		t.Fatal(err)
	}
	r = ring
	if k, err := r.Key(ctx, until); err != nil || !replaced || k.id != "next" {
		t.Errorf("%q signs, %v", k.id, err)
	}
	if got, _ := r.Issued("next"); !got.Equal(until) {
		t.Errorf("the next key is needed until %v", got)
	}
}

func TestKeyRingDoesNotAllocate(t *testing.T) {
	r, err := signer.NewKeyRing(accountKey{id: "a"})
	if err != nil {
		t.Fatal(err)
	}
	until := time.Unix(1_800_000_000, 0)
	if n := testing.AllocsPerRun(100, func() {
		until = until.Add(time.Second)
		if _, err := r.Key(context.Background(), until); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
