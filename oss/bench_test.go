package oss_test

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
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

// The same work as in internal/difftest, where the floor and the peers stand beside it: GET of an object for 15 minutes, the same
// with a security token, and PUT with one signed header and two parameters.
//
//	go test ./oss -run '^$' -bench 'Presign|AppendURL|Sign|Verify'

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
	put.Query = url.Values{"partNumber": {"7"}, "uploadId": {"0004B9894A22E5B1888A1E29F8236E2D"}}
	put.Header = http.Header{"Content-Type": {"image/jpeg"}}
	return []work{{"get", false, get}, {"token", true, get}, {"put", false, put}}
}

// benchCreds returns the n-th of many credentials.
func benchCreds(n int, token bool) oss.Credentials {
	c := creds()
	c.AccessKeySecret = signer.NewSecret(fmt.Appendf(nil, "jtWgeXtExampleExampleExampl%03d", n))
	if token {
		c.SecurityToken = signer.NewSecret([]byte(strings.Repeat("CAISzgJ1q6Ft5B2yfSjIr5eExample+a/Zx9Yv", 20) + "=="))
	}
	return c
}

func benchSigner(b testing.TB, source oss.CredentialSource) *oss.Signer {
	return newSigner(b, func(c *oss.Config) { c.Bucket, c.Credentials = "examplebucket", source })
}

// rotation gives a hundred credentials in turn, as a service that signs for many tenants would.
type rotation struct {
	list []oss.Credentials
	next *atomic.Uint32
}

func newRotation() rotation {
	r := rotation{next: new(atomic.Uint32)}
	for n := range 100 {
		r.list = append(r.list, benchCreds(n, false))
	}
	return r
}

func (r rotation) Credentials(context.Context, time.Time) (oss.Credentials, error) {
	return r.list[int(r.next.Add(1))%len(r.list)], nil
}

func BenchmarkPresign(b *testing.B) {
	presign := func(b *testing.B, s *oss.Signer, r signer.Request) {
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
	for _, w := range works() {
		s := benchSigner(b, benchCreds(0, w.token))
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

// benchRequest is a request for Sign.
func benchRequest(b testing.TB) *http.Request {
	return newRequest(b, "GET", "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/photos/2026/11/holiday%20picture%2B1.jpg")
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
func benchVerify(b testing.TB) (v *oss.Verifier, names []string, requests map[string]*http.Request) {
	known := map[bool]oss.Credentials{false: benchCreds(0, false), true: benchCreds(0, true)}
	withToken := known[true]
	withToken.AccessKeyID = "STS.NExampleExample"
	known[true] = withToken
	v = newVerifier(b, func(c *oss.VerifierConfig) {
		c.Clock = clock.Fixed(now)
		c.Lookup = func(_ context.Context, id string) (oss.Credentials, error) {
			return known[id == withToken.AccessKeyID], nil
		}
	})
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
	// A long name, a signed host, and a value whose header would be folded elsewhere.
	s, dst := newSigner(t, func(c *oss.Config) { c.AdditionalHeaders = []string{"host"} }), make([]byte, 0, 2048)
	r := works()[2].request
	r.Header = http.Header{"X-Oss-Server-Side-Encryption-Key-Id": {"9468da86-3509-4f8d-a61e-6eab1eac****"}, "If-Match": {`"x"`}}
	check("AppendURL with headers", 0, func() {
		if _, _, err := s.AppendURL(ctx, dst, r); err != nil {
			t.Fatal(err)
		}
	})
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
