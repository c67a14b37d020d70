package gcs

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// newCountingSigner returns a Signer whose key counts its signatures, at a time that the test moves.
func newCountingSigner(t testing.TB, now *time.Time, calls *atomic.Int64, size int) *Signer {
	t.Helper()
	key, err := RemoteKey("signer@project.iam.gserviceaccount.com", 0, func(_ context.Context, toSign []byte) (Signature, error) {
		n := calls.Add(1)
		signature := make([]byte, size)
		copy(signature, fmt.Sprint(n)) // another one each time, as a key with random padding would
		return Signature{Bytes: signature}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Bucket: "bucket", Key: key, Clock: clock.Func(func() time.Time { return *now })})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWindowIsSignedOnce(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	var calls atomic.Int64
	s := newCountingSigner(t, &now, &calls, 256)
	url := func(r signer.Request) string {
		t.Helper()
		p, err := s.Presign(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		appended, stable, err := s.AppendURL(t.Context(), nil, r)
		if err != nil || r.Window > 0 && (string(appended) != p.URL || stable.IsZero()) {
			t.Errorf("AppendURL gives another URL, or %v", err)
		}
		return p.URL
	}
	r := signer.Request{Key: "k", Expires: time.Hour, Window: 15 * time.Minute}
	first := url(r)
	now = now.Add(14 * time.Minute)
	if again := url(r); again != first || calls.Load() != 1 {
		t.Errorf("one window: %d signatures", calls.Load())
	}
	now = now.Add(time.Minute)
	if next := url(r); next == first || calls.Load() != 2 {
		t.Errorf("the next window: %d signatures", calls.Load())
	}
	other := r
	other.Key = "k2"
	head := r
	head.Method = http.MethodHead
	longer := r
	longer.Expires = 2 * time.Hour
	header := r
	header.Header = http.Header{"X-Goog-Meta-A": {"1"}}
	for n, r := range []signer.Request{other, head, longer, header} {
		if url(r); calls.Load() != int64(3+n) {
			t.Errorf("request %d that is another: %d signatures", n, calls.Load())
		}
	}
	calls.Store(0)
	r.Window = 0
	url(r)
	if calls.Load() != 2 {
		t.Errorf("without a window, Presign and AppendURL: %d signatures", calls.Load())
	}
}

func TestWindowIsSignedOnceForRequests(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	var calls atomic.Int64
	s := newCountingSigner(t, &now, &calls, 256)
	req, err := http.NewRequest(http.MethodGet, "https://storage.googleapis.com/bucket/k", nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.PresignRequest(t.Context(), req, signer.Options{Expires: time.Hour, Window: time.Minute}); err != nil {
			t.Fatal(err)
		}
	}
	if calls.Load() != 1 {
		t.Errorf("%d signatures", calls.Load())
	}
	for range 2 {
		if err := s.Sign(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	if calls.Load() != 3 {
		t.Errorf("two Authorization headers: %d signatures", calls.Load()-1)
	}
}

// What is remembered is bounded by count and bytes, the window that ends first makes room, and what is too large is not kept.
func TestMemoryIsBounded(t *testing.T) {
	m := newMemory()
	size := func() (count, bytes int, first int64) {
		first = 1 << 62
		for i := range m.sets {
			for j := range m.sets[i] {
				if r := m.sets[i][j].Load(); r != nil {
					count, bytes, first = count+1, bytes+len(r.canonical)+len(r.signature), min(first, r.until)
				}
			}
		}
		return count, bytes, first
	}
	m.remember(make([]byte, 200), make([]byte, maxRemembered-199), 1)
	if n, _, _ := size(); n != 0 {
		t.Errorf("too large, and kept")
	}
	for n := range 100_000 {
		m.remember(fmt.Appendf(nil, "%0200d", n), make([]byte, 512), int64(n))
	}
	if n, bytes, first := size(); n != memorySets*memoryWays || bytes != n*712 || first < 50_000 {
		t.Errorf("%d signatures, %d bytes, the oldest is %d", n, bytes, first)
	}
	if got := m.recall(fmt.Appendf(nil, "%0200d", 99_999)); len(got) != 512 {
		t.Error("the newest is forgotten")
	}
	if got := m.recall(fmt.Appendf(nil, "%0200d", 1)); got != nil {
		t.Error("the oldest is kept")
	}
}

// A page of as many images as are remembered at half load loses few of them.
func TestMemoryHoldsAPage(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	var calls atomic.Int64
	s := newCountingSigner(t, &now, &calls, 256)
	for range 3 {
		for n := range 1000 {
			if _, err := s.Presign(t.Context(), signer.Request{Key: fmt.Sprint(n), Expires: time.Hour, Window: time.Minute}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := calls.Load(); got < 1000 || got > 1100 {
		t.Errorf("1000 images, three times: %d signatures", got)
	}
}

func TestMemoryUnderConcurrency(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	var calls atomic.Int64
	s := newCountingSigner(t, &now, &calls, 256)
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) * 2 {
		group.Go(func() {
			for n := range 300 {
				r := signer.Request{Key: fmt.Sprint(n % 30), Expires: time.Hour, Window: time.Minute}
				if _, err := s.Presign(context.Background(), r); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if got := calls.Load(); got < 30 || got > int64(30*runtime.GOMAXPROCS(0)*2) {
		t.Errorf("30 images: %d signatures", got)
	}
}

// Who asks for a trace gets it, whether the signature is known or not.
func TestRememberedIsTraced(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	var calls atomic.Int64
	s := newCountingSigner(t, &now, &calls, 256)
	var traces [2]signer.Trace
	for i := range traces {
		r := signer.Request{Key: "k", Expires: time.Hour, Window: time.Minute}
		if _, err := s.Presign(signer.WithTrace(t.Context(), &traces[i]), r); err != nil {
			t.Fatal(err)
		}
	}
	if calls.Load() != 1 || len(traces[1].StringToSign) == 0 || !bytes.Equal(traces[0].StringToSign, traces[1].StringToSign) ||
		!bytes.Equal(traces[0].CanonicalRequest, traces[1].CanonicalRequest) {
		t.Errorf("%d signatures, traced as %q and %q", calls.Load(), traces[0].StringToSign, traces[1].StringToSign)
	}
}
