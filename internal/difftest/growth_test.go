package difftest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// How the cost of a URL grows with what is asked. BENCHMARKS.md has the table and the chart.

// benchSigners are one Signer for each scheme, with keys that sign at the price of a hash.
func benchSigners(t testing.TB) map[string]signer.Signer {
	o, err := oss.New(oss.Config{Region: "cn-hangzhou", Bucket: benchBucket, Clock: clock.Fixed(benchTime()),
		Credentials: oss.Credentials{AccessKeyID: "LTAI5tEXAMPLE", AccessKeySecret: signer.NewSecret([]byte("an access key secret of 30 byt"))}})
	require.NoError(t, err)
	return map[string]signer.Signer{
		"s3": works()[0].signer(t), "gcs": gcsSigner(t, gcsHMACKey(t)), "oss": o, "azure": azureWorks()[0].signer(t), "cdn": cdnBenchSigner(t),
	}
}

func grow(b *testing.B, name string, s signer.Signer, r signer.Request) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Presign(context.Background(), r); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkGrowthKey: the key's length in bytes.
func BenchmarkGrowthKey(b *testing.B) {
	for name, s := range benchSigners(b) {
		for _, n := range []int{1, 4, 16, 64, 256, 1024} {
			grow(b, fmt.Sprintf("%s/%d", name, n), s, signer.Request{Key: strings.Repeat("k", n), Expires: benchLife})
		}
	}
}

// The schemes that sign any header and parameter.
func signAll(b *testing.B) map[string]signer.Signer {
	s := benchSigners(b)
	delete(s, "azure")
	delete(s, "cdn")
	return s
}

// BenchmarkGrowthHeaders: the number of signed headers.
func BenchmarkGrowthHeaders(b *testing.B) {
	for name, s := range signAll(b) {
		for _, n := range []int{1, 4, 16, 64} {
			h := make(http.Header)
			for i := range n {
				h.Set(fmt.Sprintf("X-%s-Meta-Name-%03d", map[string]string{"s3": "Amz", "gcs": "Goog", "oss": "Oss"}[name], i), "a value of 20 bytes ")
			}
			grow(b, fmt.Sprintf("%s/%d", name, n), s, signer.Request{Method: "PUT", Key: benchKey, Expires: benchLife, Header: h})
		}
	}
}

// BenchmarkGrowthParams: the number of signed parameters.
func BenchmarkGrowthParams(b *testing.B) {
	for name, s := range signAll(b) {
		for _, n := range []int{0, 1, 4, 16, 64, 256} {
			q := make(url.Values)
			for i := range n {
				q.Set(fmt.Sprintf("name-%03d", i), "a value of 20 bytes ")
			}
			grow(b, fmt.Sprintf("%s/%d", name, n), s, signer.Request{Key: benchKey, Expires: benchLife, Query: q})
		}
	}
}

// rotating are credentials of many tenants, each with its own secret, in turn.
type rotating struct {
	list []s3.Credentials
	next int
}

func (r *rotating) Credentials(context.Context, time.Time) (s3.Credentials, error) {
	r.next = (r.next + 1) % len(r.list)
	return r.list[r.next], nil
}

// BenchmarkGrowthCredentials: the number of live credentials. It reports what one Signer has come to hold, too.
func BenchmarkGrowthCredentials(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1_000, 10_000, 100_000} {
		source := &rotating{list: make([]s3.Credentials, n)}
		for i := range source.list {
			source.list[i] = s3.Credentials{AccessKeyID: fmt.Sprintf("AKIAIOSFODNN%08d", i), SecretKey: signer.NewSecret(fmt.Appendf(nil, "wJalrXUtnFEMI/K7MDENG/bPxRfi%012d", i))}
		}
		b.Run(fmt.Sprintf("s3/%d", n), func(b *testing.B) {
			before := heap()
			s, err := s3.New(s3.Config{Region: benchRegion, Bucket: benchBucket, Credentials: source, Clock: clock.Fixed(benchTime())})
			require.NoError(b, err)
			r := signer.Request{Key: benchKey, Expires: benchLife}
			for range n {
				if _, err := s.Presign(context.Background(), r); err != nil {
					b.Fatal(err)
				}
			}
			held := heap() - before
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Presign(context.Background(), r); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(held), "held-B")
			runtime.KeepAlive(s)
		})
	}
}

// heap is what is alive.
func heap() int64 {
	runtime.GC()
	runtime.GC() // pools give up in the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkGrowthGoroutines: how many sign with one Signer at once. Time is that of all, divided by the URLs.
func BenchmarkGrowthGoroutines(b *testing.B) {
	for name, s := range benchSigners(b) {
		for _, n := range []int{1, 2, 4, 16, 64} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				r := signer.Request{Key: benchKey, Expires: benchLife}
				var workers sync.WaitGroup
				for i := range n {
					workers.Go(func() {
						for range (b.N + i) / n {
							if _, err := s.Presign(context.Background(), r); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				workers.Wait()
			})
		}
	}
}

// BenchmarkOursS3PresignAll is one URL of very many.
func BenchmarkOursS3PresignAll(b *testing.B) {
	s := works()[0].signer(b)
	b.ReportAllocs()
	for _, err := range signer.PresignAll(context.Background(), s, func(yield func(signer.Request) bool) {
		for range b.N {
			if !yield(signer.Request{Key: benchKey, Expires: benchLife}) {
				return
			}
		}
	}) {
		if err != nil {
			b.Fatal(err)
		}
	}
}
