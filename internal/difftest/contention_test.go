package difftest

import (
	"context"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudsigner/cloudsigner/signer"
)

// TestNoLockOnTheHotPath presigns a million URLs in parallel with warm Signers, with and without allocation, and looks for this
// module in the profile of contended locks, at its highest rate.
func TestNoLockOnTheHotPath(t *testing.T) {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector empties pools at random")
	}
	n := 1_000_000
	if testing.Short() {
		n /= 50
	}
	ctx, r := context.Background(), signer.Request{Key: benchKey, Expires: benchLife}
	for name, s := range benchSigners(t) {
		presign := func([]byte) error {
			_, err := s.Presign(ctx, r)
			return err
		}
		require.NoError(t, presign(nil)) // derives the key
		t.Run(name+"/Presign", func(t *testing.T) { assert.Empty(t, withoutRuntime(contended(ours, inParallel(t, n, presign)))) })

		appender := s.(interface {
			AppendURL(context.Context, []byte, signer.Request) ([]byte, time.Time, error)
		})
		t.Run(name+"/AppendURL", func(t *testing.T) {
			assert.Empty(t, withoutRuntime(contended(ours, inParallel(t, n, func(dst []byte) error {
				_, _, err := appender.AppendURL(ctx, dst, r)
				return err
			}))))
		})
	}
}

// inParallel calls f n times from 64 goroutines, each with a buffer of its own.
func inParallel(t *testing.T, n int, f func([]byte) error) func() {
	return func() {
		var workers sync.WaitGroup
		for range 64 {
			workers.Go(func() {
				buffer := make([]byte, 0, 1024)
				for range n / 64 {
					if err := f(buffer); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		workers.Wait()
	}
}

// TestContentionIsSeen holds the test above to a lock that it must see.
func TestContentionIsSeen(t *testing.T) {
	var mu sync.Mutex
	var workers sync.WaitGroup
	assert.NotEmpty(t, contended(func(name string) bool { return strings.Contains(name, "TestContentionIsSeen") }, func() {
		for range 8 {
			workers.Go(func() {
				for range 2_000 {
					mu.Lock()
					runtime.Gosched() // with the lock held, so that another comes to wait
					mu.Unlock()
				}
			})
		}
		workers.Wait()
	}))
}

// ours are the functions of this module, but of its tests.
func ours(function string) bool {
	return strings.HasPrefix(function, "github.com/cloudsigner/cloudsigner/") && !strings.Contains(function, "/internal/difftest.")
}

// contended runs work and returns the new stacks in the profile of contended locks that have a frame of certain functions.
func contended(of func(string) bool, work func()) (stacks []string) {
	defer runtime.SetMutexProfileFraction(runtime.SetMutexProfileFraction(1))
	before := mutexProfile(of)
	work()
	for stack, cycles := range mutexProfile(of) {
		if cycles > before[stack] {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// withoutRuntime leaves out the locks for which every program has to wait at times: those of the allocator and
// of stacks that grow, and the one with which pools begin anew after a garbage collection.
func withoutRuntime(stacks []string) []string {
	return slices.DeleteFunc(stacks, func(stack string) bool {
		return strings.Contains(stack, "runtime.mallocgc\n") || strings.Contains(stack, "runtime.newstack\n") || strings.Contains(stack, "sync.(*Pool).pinSlow\n")
	})
}

func mutexProfile(of func(string) bool) map[string]int64 {
	var records []runtime.BlockProfileRecord
	for n, ok := runtime.MutexProfile(nil); !ok; n, ok = runtime.MutexProfile(records) {
		records = make([]runtime.BlockProfileRecord, n+64)
		if m, ok := runtime.MutexProfile(records); ok {
			records = records[:m]
			break
		}
	}
	cycles := make(map[string]int64)
	for _, r := range records {
		var stack strings.Builder
		counts := false
		frames := runtime.CallersFrames(r.Stack())
		for frame, more := frames.Next(); ; frame, more = frames.Next() {
			stack.WriteString(frame.Function + "\n")
			counts = counts || of(frame.Function)
			if !more {
				break
			}
		}
		if counts {
			cycles[stack.String()] += r.Cycles
		}
	}
	return cycles
}
