package pipeline

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// learned is a clock that runs an hour behind one authority.
type learned struct{ clock.Clock }

func (l learned) Read(authority string) (time.Time, time.Duration) {
	if authority == "slow.example" {
		return l.Now().Add(time.Hour), time.Hour
	}
	return l.Now(), 0
}

func TestClock(t *testing.T) {
	base := clock.Fixed(at(0))
	for _, tt := range []struct {
		c         clock.Clock
		authority string
		offset    time.Duration
	}{
		{base, "slow.example", 0}, {learned{base}, "slow.example", time.Hour}, {learned{base}, "other.example", 0},
	} {
		c := NewClock(tt.c, tt.authority)
		now, offset := c.Read()
		if offset != tt.offset || !now.Equal(at(offset)) {
			t.Errorf("%T at %s: %v, offset %v", tt.c, tt.authority, now, offset)
		}
	}
	system := NewClock(nil, "")
	if now, _ := system.Read(); time.Since(now) > time.Minute {
		t.Errorf("no clock reads %v", now)
	}
}

func TestVerifierClock(t *testing.T) {
	if c, err := VerifierClock(op, nil); err != nil || c != clock.System() {
		t.Errorf("nil: %v, %v", c, err)
	}
	if c, err := VerifierClock(op, clock.Fixed(at(0))); err != nil || !c.Now().Equal(at(0)) {
		t.Errorf("fixed: %v, %v", c, err)
	}
	if _, err := VerifierClock(op, learned{clock.System()}); !errors.Is(err, signer.ErrRequest) {
		t.Errorf("a clock that learned from servers: %v", err)
	}
}

func TestLeeway(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{0: 15 * time.Minute, time.Second: time.Second} {
		if got, err := Leeway(op, d); got != want || err != nil {
			t.Errorf("Leeway(%v) = %v, %v", d, got, err)
		}
	}
	if _, err := Leeway(op, -1); !errors.Is(err, signer.ErrRequest) {
		t.Errorf("negative: %v", err)
	}
}

func TestDirectInbound(t *testing.T) {
	r := httptest.NewRequest("GET", "http://h:80/", nil)
	r.RemoteAddr = "[2001:db8::1]:4711"
	in, err := DirectInbound(r)
	if err != nil || in.Scheme != "http" || in.Host != "h:80" || in.ClientIP.String() != "2001:db8::1" {
		t.Errorf("%+v, %v", in, err)
	}
	r.TLS, r.RemoteAddr = new(tls.ConnectionState), "a unix socket"
	if in, _ := DirectInbound(r); in.Scheme != "https" || in.ClientIP.IsValid() {
		t.Errorf("%+v", in)
	}
}

func TestErrorf(t *testing.T) {
	err := op.Errorf(signer.ErrRemote, "Key", "attempt %d: %w", 3, context.Canceled)
	if got, want := err.Error(), "test: presign: Key: key service failed: attempt 3: context canceled"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, signer.ErrRemote) || !errors.Is(err, context.Canceled) {
		t.Error("it does not wrap both")
	}
	var e *signer.Error
	if err := op.Refusal(signer.ErrExpired, "", "ExpiredToken", "late"); !errors.As(err, &e) || e.Code != "ExpiredToken" {
		t.Errorf("%v", err)
	}
}
