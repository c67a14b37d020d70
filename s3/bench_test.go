package s3_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// The same work as in internal/difftest, where the floor and the peers stand beside it: GET of an object for 15 minutes,
// the same with a session token, and PUT with one signed header and two parameters.
//
//	go test ./s3 -run '^$' -bench 'Presign|AppendURL|Sign|Verify'

const benchKey = "photos/2026/11/holiday picture+1.jpg"

type work struct {
	name    string
	token   bool
	request signer.Request
}

func works() []work {
	get := signer.Request{Key: benchKey, Expires: 15 * time.Minute}
	put := get
	put.Method = http.MethodPut
	put.Query = url.Values{"partNumber": {"7"}, "uploadId": {"VXBsb2FkIElEIGZvciA2aWWpbmcncyBteS1tb3ZpZS5tMnRzIHVwbG9hZA"}}
	put.Header = http.Header{"Content-Type": {"image/jpeg"}}
	return []work{{"get", false, get}, {"token", true, get}, {"put", false, put}}
}

// benchCreds returns the n-th of many credentials.
func benchCreds(n int, token bool) s3.Credentials {
	c := creds()
	c.SecretKey = signer.NewSecret(fmt.Appendf(nil, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLE%03d", n))
	if token {
		c.SessionToken = signer.NewSecret([]byte(strings.Repeat("IQoJb3JpZ2luX2VjEPr7sTqLw0Zx9YvKmN4B/+", 20) + "=="))
	}
	return c
}

func benchSigner(b testing.TB, source s3.CredentialSource) *s3.Signer {
	return newSigner(b, func(c *s3.Config) { c.Bucket, c.Region, c.Credentials = "examplebucket", "us-east-1", source })
}

// rotation gives a hundred credentials in turn, as a service that signs for many tenants would.
type rotation struct {
	list []s3.Credentials
	next *atomic.Uint32
}

func newRotation() rotation {
	r := rotation{next: new(atomic.Uint32)}
	for n := range 100 {
		r.list = append(r.list, benchCreds(n, false))
	}
	return r
}

func (r rotation) Credentials(context.Context, time.Time) (s3.Credentials, error) {
	return r.list[int(r.next.Add(1))%len(r.list)], nil
}

func BenchmarkPresign(b *testing.B) {
	presign := func(b *testing.B, s *s3.Signer, r signer.Request) {
		if _, err := s.Presign(ctx, r); err != nil {
			b.Fatal(err)
		}
	}
	for _, w := range works() {
		s := benchSigner(b, benchCreds(0, w.token))
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				presign(b, s, w.request)
			}
		})
	}
	get := works()[0].request
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		c := benchCreds(0, false)
		for b.Loop() {
			presign(b, benchSigner(b, c), get)
		}
	})
	b.Run("100 credentials", func(b *testing.B) {
		s := benchSigner(b, newRotation())
		b.ReportAllocs()
		for b.Loop() {
			presign(b, s, get)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		s := benchSigner(b, benchCreds(0, false))
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				presign(b, s, get)
			}
		})
	})
}

func BenchmarkAppendURL(b *testing.B) {
	appendURL := func(b *testing.B, dst []byte, s *s3.Signer, r signer.Request) {
		if _, _, err := s.AppendURL(ctx, dst, r); err != nil {
			b.Fatal(err)
		}
	}
	for _, w := range works() {
		s := benchSigner(b, benchCreds(0, w.token))
		b.Run(w.name, func(b *testing.B) {
			dst := make([]byte, 0, 2048)
			b.ReportAllocs()
			for b.Loop() {
				appendURL(b, dst, s, w.request)
			}
		})
	}
	get := works()[0].request
	b.Run("100 credentials", func(b *testing.B) {
		s, dst := benchSigner(b, newRotation()), make([]byte, 0, 2048)
		b.ReportAllocs()
		for b.Loop() {
			appendURL(b, dst, s, get)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		s := benchSigner(b, benchCreds(0, false))
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			dst := make([]byte, 0, 2048)
			for pb.Next() {
				appendURL(b, dst, s, get)
			}
		})
	})
}

// benchRequest is a request for Sign.
func benchRequest(b testing.TB) *http.Request {
	req, err := http.NewRequest("GET", "https://examplebucket.s3.us-east-1.amazonaws.com/photos/2026/11/holiday%20picture%2B1.jpg", nil)
	if err != nil {
		b.Fatal(err)
	}
	return req
}

func BenchmarkSign(b *testing.B) {
	for _, token := range []bool{false, true} {
		s, req := benchSigner(b, benchCreds(0, token)), benchRequest(b)
		b.Run(map[bool]string{false: "get", true: "token"}[token], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Sign(ctx, req); err != nil { // again and again: the signature is replaced
					b.Fatal(err)
				}
			}
		})
	}
}

// benchVerify returns a verifier and requests that it grants, by name: URLs as in works, and a header.
func benchVerify(b testing.TB) (v *s3.Verifier, names []string, requests map[string]*http.Request) {
	known := map[bool]s3.Credentials{false: benchCreds(0, false), true: benchCreds(0, true)}
	v, err := s3.NewVerifier(s3.VerifierConfig{
		Region: "us-east-1",
		Clock:  clock.Fixed(now),
		Lookup: func(_ context.Context, id string) (s3.Credentials, error) {
			if id == "AKIATOKENEXAMPLE" {
				return known[true], nil
			}
			return known[false], nil
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	withToken := known[true]
	withToken.AccessKeyID = "AKIATOKENEXAMPLE"
	known[true] = withToken
	requests = make(map[string]*http.Request)
	for _, w := range works() {
		p, err := benchSigner(b, known[w.token]).Presign(ctx, w.request)
		if err != nil {
			b.Fatal(err)
		}
		names = append(names, w.name)
		requests[w.name] = received(b, p, nil)
	}
	req := benchRequest(b)
	if err := benchSigner(b, known[false]).Sign(ctx, req); err != nil {
		b.Fatal(err)
	}
	names = append(names, "header")
	requests["header"] = arrive(req)
	for _, name := range names { // once, so that the keys are cached
		if _, err := v.Verify(ctx, requests[name]); err != nil {
			b.Fatal(name, err)
		}
	}
	return v, names, requests
}

func BenchmarkVerify(b *testing.B) {
	v, names, requests := benchVerify(b)
	for _, name := range names {
		req := requests[name]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(ctx, req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := v.Verify(ctx, requests["get"]); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
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
	for i, w := range works() {
		s, dst := benchSigner(t, benchCreds(0, w.token)), make([]byte, 0, 2048)
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
	v, _, requests := benchVerify(t)
	check("Verify get", 6, func() {
		if _, err := v.Verify(ctx, requests["get"]); err != nil {
			t.Fatal(err)
		}
	})
}

// raceEnabled reports whether the test was built with -race.
func raceEnabled() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
