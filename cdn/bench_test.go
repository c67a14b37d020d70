package cdn_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/signer"
)

// The same work as in internal/difftest, where the floor and a peer stand beside it: GET of an object for 15 minutes, and the
// same with two parameters.
//
//	go test ./cdn -run '^$' -bench 'Presign|AppendURL|Verify'

func works() map[string]signer.Request {
	get := signer.Request{Key: "photos/2026/11/holiday picture+1.jpg", Expires: 15 * time.Minute}
	params := get
	params.Query = url.Values{"width": {"640"}, "format": {"image/webp"}}
	return map[string]signer.Request{"get": get, "params": params}
}

func BenchmarkPresign(b *testing.B) {
	presign := func(b *testing.B, s *cdn.Signer, r signer.Request) {
		if _, err := s.Presign(ctx, r); err != nil {
			b.Fatal(err)
		}
	}
	for name, r := range works() {
		s := newSigner(b)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				presign(b, s, r)
			}
		})
	}
	b.Run("ring", func(b *testing.B) {
		s, r := newSigner(b, func(c *cdn.Config) { c.Key, c.Keys = cdn.Key{}, newRing(b, key("a")) }), works()["get"]
		b.ReportAllocs()
		for b.Loop() {
			presign(b, s, r)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		s, r := newSigner(b, func(c *cdn.Config) { c.Key, c.Keys = cdn.Key{}, newRing(b, key("a")) }), works()["get"]
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				presign(b, s, r)
			}
		})
	})
}

func BenchmarkAppendURL(b *testing.B) {
	for name, r := range works() {
		s, dst := newSigner(b), make([]byte, 0, 1024)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := s.AppendURL(ctx, dst, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	v := newVerifier(b)
	p, err := newSigner(b).Presign(ctx, works()["get"])
	if err != nil {
		b.Fatal(err)
	}
	prefix := newPrefix(b, "https://media.example.com/photos/")
	byCookie := httptest.NewRequest("GET", "https://media.example.com/photos/1.jpg", nil)
	byCookie.AddCookie(prefix.Cookie())
	for name, req := range map[string]*http.Request{
		"url":    httptest.NewRequest("GET", p.URL, nil),
		"prefix": httptest.NewRequest("GET", "https://media.example.com/photos/1.jpg?"+prefix.Query(), nil),
		"cookie": byCookie,
	} {
		b.Run(name, func(b *testing.B) {
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
	ring := func(c *cdn.Config) { c.Key, c.Keys = cdn.Key{}, newRing(t, key("a")) }
	for name, r := range works() {
		for source, edit := range map[string]func(*cdn.Config){"key": func(*cdn.Config) {}, "ring": ring} {
			s, dst := newSigner(t, edit), make([]byte, 0, 1024)
			check("Presign "+name+" "+source, 2, func() {
				if _, err := s.Presign(ctx, r); err != nil {
					t.Fatal(err)
				}
			})
			var last []byte
			check("AppendURL "+name+" "+source, 0, func() {
				var err error
				if last, _, err = s.AppendURL(ctx, dst, r); err != nil {
					t.Fatal(err)
				}
			})
			if p, err := s.Presign(ctx, r); err != nil || !bytes.Equal(last, []byte(p.URL)) {
				t.Errorf("%s: the two differ", name)
			}
		}
	}
}

// raceEnabled reports whether the test was built with -race.
func raceEnabled() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
