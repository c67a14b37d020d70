package azure_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/signer"
)

// The same work as in internal/difftest, where the floor and the peers stand beside it: GET of a blob for 15 minutes, with an
// account key and with a user delegation key.
//
//	go test ./azure -run '^$' -bench 'Presign|AppendURL|Sign|Verify'

const benchKey = "photos/2026/11/holiday picture+1.jpg"

type work struct {
	name    string
	keys    azure.KeySource
	request signer.Request
}

func works(t testing.TB) []work {
	get := signer.Request{Key: benchKey, Expires: 15 * time.Minute}
	put := get
	put.Method = http.MethodPut
	return []work{{"get", key(t), get}, {"delegation", delegation(), get}, {"put", key(t), put}}
}

func benchSigner(b testing.TB, keys azure.KeySource) *azure.Signer {
	return newSigner(b, func(c *azure.Config) { c.Keys = keys })
}

// rotation gives a hundred keys in turn.
type rotation struct {
	list []azure.Key
	next *atomic.Uint32
}

func newRotation(t testing.TB) rotation {
	r := rotation{next: new(atomic.Uint32)}
	for n := range 100 {
		k := delegation()
		k.Value = signer.NewSecret(fmt.Appendf(nil, "0123456789abcdef0123456789abc%03d", n))
		whole, err := k.Key(ctx, now)
		if err != nil {
			t.Fatal(err)
		}
		r.list = append(r.list, whole)
	}
	return r
}

func (r rotation) Key(context.Context, time.Time) (azure.Key, error) {
	return r.list[int(r.next.Add(1))%len(r.list)], nil
}

func BenchmarkPresign(b *testing.B) {
	presign := func(b *testing.B, s *azure.Signer, r signer.Request) {
		if _, err := s.Presign(ctx, r); err != nil {
			b.Fatal(err)
		}
	}
	all := works(b)
	for _, w := range all {
		s := benchSigner(b, w.keys)
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				presign(b, s, w.request)
			}
		})
	}
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			presign(b, benchSigner(b, all[0].keys), all[0].request)
		}
	})
	b.Run("100 keys", func(b *testing.B) {
		s := benchSigner(b, newRotation(b))
		b.ReportAllocs()
		for b.Loop() {
			presign(b, s, all[0].request)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		s := benchSigner(b, all[0].keys)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				presign(b, s, all[0].request)
			}
		})
	})
}

func BenchmarkAppendURL(b *testing.B) {
	for _, w := range works(b) {
		s := benchSigner(b, w.keys)
		b.Run(w.name, func(b *testing.B) {
			dst := make([]byte, 0, 2048)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := s.AppendURL(ctx, dst, w.request); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	s := benchSigner(b, key(b))
	req, err := http.NewRequest("GET", "https://myaccount.blob.core.windows.net/photos/2026/11/holiday%20picture%2B1.jpg", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Sign(ctx, req); err != nil { // again and again: the signature is replaced
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	v := newVerifier(b)
	for _, w := range works(b) {
		p, err := benchSigner(b, w.keys).Presign(ctx, w.request)
		if err != nil {
			b.Fatal(err)
		}
		req := received(b, p, nil)
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(ctx, req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestAllocations holds the hot paths to their budgets, exactly.
func TestAllocations(t *testing.T) {
	if raceEnabled() {
		t.Skip("the race detector empties pools at random")
	}
	check := func(name string, budget float64, f func()) {
		t.Helper()
		if got := testing.AllocsPerRun(200, f); got > budget {
			t.Errorf("%s: %v allocations, the budget is %v", name, got, budget)
		}
	}
	for i, w := range works(t) {
		s, dst := benchSigner(t, w.keys), make([]byte, 0, 2048)
		check("Presign "+w.name, []float64{2, 2, 5}[i], func() {
			if _, err := s.Presign(ctx, w.request); err != nil {
				t.Fatal(err)
			}
		})
		var last []byte
		check("AppendURL "+w.name, 0, func() {
			var err error
			if last, _, err = s.AppendURL(ctx, dst, w.request); err != nil {
				t.Fatal(err)
			}
		})
		if p, err := s.Presign(ctx, w.request); err != nil || !bytes.Equal(last, []byte(p.URL)) {
			t.Errorf("%s: the two differ", w.name)
		}
	}
}

// raceEnabled reports whether the test was built with -race.
func raceEnabled() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
