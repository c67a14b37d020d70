package signer_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

func TestEnumStrings(t *testing.T) {
	for got, want := range map[string]string{
		signer.Limit(0).String():              "unknown limit", // nothing is decided by default
		signer.LimitRequest.String():          "request",
		signer.LimitCredentials.String():      "credentials",
		signer.LimitScheme.String():           "scheme",
		signer.Addressing(0).String():         "auto",
		signer.AddressingVirtualHost.String(): "virtual host",
		signer.AddressingPath.String():        "path",
		signer.AddressingBucketHost.String():  "bucket host",
		signer.Addressing(-1).String():        "unknown addressing",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if signer.AddressingAuto != 0 || signer.LimitRequest == 0 {
		t.Error("the zero Addressing must be auto, the zero Limit none")
	}
	if signer.Limit(4).String() != "unknown limit" || signer.Addressing(4).String() != "unknown addressing" {
		t.Error("values beyond the last have names")
	}
}

// onlyPresigns has no capability beyond the interface.
type onlyPresigns struct{}

func (onlyPresigns) Presign(context.Context, signer.Request) (*signer.Presigned, error) {
	return nil, errors.ErrUnsupported
}

// wraps is a wrapper as users write them: for metrics, for a default.
type wraps struct{ signer.Signer }

func (w wraps) Unwrap() signer.Signer { return w.Signer }

// wrapsAndSigns has a capability of its own in front of the wrapped one.
type wrapsAndSigns struct{ wraps }

func (wrapsAndSigns) Sign(context.Context, *http.Request) error { return nil }

// hides embeds a Signer but has no Unwrap: what is inside cannot be seen.
type hides struct{ signer.Signer }

// posts presigns forms.
type posts struct {
	onlyPresigns
	got *signer.Policy
}

func (p posts) PresignPost(_ context.Context, policy signer.Policy) (*signer.Form, error) {
	*p.got = policy
	return &signer.Form{URL: "https://h/"}, signer.ErrLifetime
}

func TestAs(t *testing.T) {
	s := newS3Signer(t)
	outer := wrapsAndSigns{wraps{s}}
	for _, tt := range []struct {
		name string
		s    signer.Signer
		want signer.RequestSigner // nil: not found
	}{
		{"itself", s, s},
		{"behind a wrapper", wraps{s}, s},
		{"behind a pointer to one", &wraps{s}, s},
		{"behind three", wraps{&wraps{wraps{s}}}, s},
		{"of the outermost that has it", wraps{outer}, outer},
		{"none", onlyPresigns{}, nil},
		{"none behind a wrapper", wraps{onlyPresigns{}}, nil},
		{"wrapper of nothing", wraps{nil}, nil},
		{"wrapper without Unwrap", hides{s}, nil},
		{"nil", nil, nil},
	} {
		got, ok := signer.As[signer.RequestSigner](tt.s)
		if got != tt.want || ok != (tt.want != nil) {
			t.Errorf("%s: got %T, %v", tt.name, got, ok)
		}
	}

	// Any type will do, not only those of this package.
	if got, ok := signer.As[*s3.Signer](wraps{wraps{s}}); got != s || !ok {
		t.Errorf("the concrete type: got %v, %v", got, ok)
	}
	if got, ok := signer.As[interface {
		signer.RequestSigner
		signer.RequestPresigner
	}](wraps{s}); got != s || !ok {
		t.Errorf("two capabilities at once: got %v, %v", got, ok)
	}
	if got, ok := signer.As[signer.Signer](outer); got != outer || !ok {
		t.Errorf("a Signer is the signer itself: got %v, %v", got, ok)
	}
}

func TestPresignPost(t *testing.T) {
	for name, s := range map[string]signer.Signer{"without": onlyPresigns{}, "wrapped": wraps{onlyPresigns{}}, "nil": nil} {
		form, err := signer.PresignPost(ctx, s, signer.Policy{Key: "k"})
		var e *signer.Error
		if form != nil || !errors.Is(err, signer.ErrUnsupported) || !errors.As(err, &e) || e.Op != "presign post" {
			t.Errorf("%s: got %v, %v, want ErrUnsupported", name, form, err)
		} else if !strings.Contains(err.Error(), "presign a PUT") {
			t.Errorf("%s: %q does not say what to do", name, err)
		}
	}

	var got signer.Policy
	policy := signer.Policy{KeyPrefix: "in/", Expires: time.Minute, MaxBytes: 1 << 20}
	form, err := signer.PresignPost(ctx, wraps{posts{got: &got}}, policy)
	if form == nil || form.URL != "https://h/" || err != signer.ErrLifetime || got.KeyPrefix != "in/" || got.MaxBytes != 1<<20 {
		t.Errorf("the wrapped signer was asked for %+v and answered %v, %v", got, form, err)
	}
}
