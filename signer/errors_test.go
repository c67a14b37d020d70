package signer_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/cloudsigner/cloudsigner/signer"
)

func TestErrorText(t *testing.T) {
	for _, tt := range []struct {
		err  signer.Error
		want string
	}{
		{signer.Error{Backend: "s3", Op: "presign", Field: "Expires", Err: signer.ErrLifetime}, "s3: presign: Expires: bad lifetime"},
		{signer.Error{Op: "presign", Field: "Expires", Err: signer.ErrLifetime}, "presign: Expires: bad lifetime"},
		{signer.Error{Backend: "s3", Field: "Expires", Err: signer.ErrLifetime}, "s3: Expires: bad lifetime"},
		{signer.Error{Backend: "s3", Op: "presign", Err: signer.ErrLifetime}, "s3: presign: bad lifetime"},
		{signer.Error{Err: signer.ErrLifetime}, "bad lifetime"},
		{signer.Error{Op: "verify", Code: "SignatureDoesNotMatch", Index: 3, Err: signer.ErrMismatch}, "verify: mismatch"},
		{signer.Error{Op: "sign", Err: fmt.Errorf("%w: %w", signer.ErrRemote, io.ErrUnexpectedEOF)}, "sign: key service failed: unexpected EOF"},
		{signer.Error{Op: "sign", Err: &signer.Error{Backend: "gcs", Err: io.EOF}}, "sign: gcs: EOF"},
		{signer.Error{}, ""},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// sentinels are all that this package defines.
var sentinels = map[string]error{
	"ErrRequest":     signer.ErrRequest,
	"ErrLifetime":    signer.ErrLifetime,
	"ErrCredentials": signer.ErrCredentials,
	"ErrUnsupported": signer.ErrUnsupported,
	"ErrRemote":      signer.ErrRemote,
	"ErrUnsigned":    signer.ErrUnsigned,
	"ErrMalformed":   signer.ErrMalformed,
	"ErrMismatch":    signer.ErrMismatch,
	"ErrExpired":     signer.ErrExpired,
	"ErrNotYetValid": signer.ErrNotYetValid,
	"ErrConflict":    signer.ErrConflict,
	"ErrUnknownKey":  signer.ErrUnknownKey,
	"ErrScope":       signer.ErrScope,
	"ErrPolicy":      signer.ErrPolicy,
}

// TestErrorIs finds each sentinel, and only that one, in every way that an Error carries it.
func TestErrorIs(t *testing.T) {
	texts := make(map[string]string)
	for name, sentinel := range sentinels {
		if other, ok := texts[sentinel.Error()]; ok {
			t.Errorf("%s and %s have one text, %q", name, other, sentinel)
		}
		texts[sentinel.Error()] = name
		for how, err := range map[string]error{
			"alone":         &signer.Error{Op: "x", Err: sentinel},
			"with a cause":  &signer.Error{Op: "x", Err: fmt.Errorf("%w: %w", sentinel, io.EOF)},
			"nested":        &signer.Error{Op: "x", Err: &signer.Error{Op: "y", Err: sentinel}},
			"wrapped":       fmt.Errorf("z: %w", &signer.Error{Op: "x", Err: sentinel}),
			"joined":        errors.Join(io.EOF, &signer.Error{Op: "x", Err: sentinel}),
			"joined inside": &signer.Error{Op: "x", Err: errors.Join(io.EOF, sentinel)},
		} {
			for otherName, other := range sentinels {
				if got, want := errors.Is(err, other), other == sentinel; got != want {
					t.Errorf("%s %s: errors.Is with %s is %v", name, how, otherName, got)
				}
			}
		}
	}
}

func TestErrorAs(t *testing.T) {
	inner := &signer.Error{Backend: "s3", Op: "verify", Field: "X-Amz-Date", Code: "AccessDenied", Err: signer.ErrExpired}
	for how, err := range map[string]error{
		"alone":   inner,
		"wrapped": fmt.Errorf("get: %w", inner),
		"joined":  errors.Join(io.EOF, inner, &signer.Error{Field: "second"}),
	} {
		var e *signer.Error
		if !errors.As(err, &e) || e != inner {
			t.Errorf("%s: errors.As finds %+v", how, e)
		}
	}
	if got := errors.Unwrap(inner); got != signer.ErrExpired {
		t.Errorf("Unwrap returns %v", got)
	}
	if cause := (&signer.Error{Err: fmt.Errorf("%w: %w", signer.ErrRemote, io.ErrUnexpectedEOF)}); !errors.Is(cause, io.ErrUnexpectedEOF) {
		t.Error("the cause beside the sentinel is not found")
	}
}
