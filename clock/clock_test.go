package clock_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
)

func TestSystemFollowsTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.System()
		before := c.Now()
		time.Sleep(90 * time.Minute)
		if got := c.Now().Sub(before); got != 90*time.Minute {
			t.Errorf("the system clock moved %v while 1h30m passed", got)
		}
	})
}

func TestFixedStandsStill(t *testing.T) {
	at := time.Date(2013, 5, 24, 0, 0, 0, 999, time.UTC)
	synctest.Test(t, func(t *testing.T) {
		c := clock.Fixed(at)
		time.Sleep(time.Hour)
		if got := c.Now(); !got.Equal(at) {
			t.Errorf("Fixed told %v, want %v", got, at)
		}
	})
}

func TestFuncIsAskedEachTime(t *testing.T) {
	n := 0
	c := clock.Func(func() time.Time { n++; return time.Unix(int64(n), 0) })
	if a, b := c.Now(), c.Now(); a.Unix() != 1 || b.Unix() != 2 {
		t.Errorf("two readings: %d and %d, want 1 and 2", a.Unix(), b.Unix())
	}
}

func ExampleFixed() {
	c := clock.Fixed(time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC))
	fmt.Println(c.Now())
	// Output: 2013-05-24 00:00:00 +0000 UTC
}

// A clock that runs five minutes ahead of the machine, for servers known to do so.
func ExampleFunc() {
	machine := clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	ahead := clock.Func(func() time.Time { return machine.Now().Add(5 * time.Minute) })
	fmt.Println(ahead.Now().Format(time.TimeOnly))
	// Output: 12:05:00
}
