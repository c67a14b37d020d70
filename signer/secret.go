package signer

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// A Secret is a key, password or token that is not printed: not by any verb of fmt, not by log/slog, encoding/json
// or a failing test's diff, and not when it sits deep in an unexported field, where its methods cannot be called.
// That is why it holds a function: reflection cannot look into one.
//
// The zero Secret holds nothing. A Secret is made once and kept: signers recognise the same Secret without comparing
// bytes, so a credential source should return the same value until the key changes.
type Secret struct{ f func() *data }

type data struct {
	bytes       []byte
	fingerprint [sha256.Size]byte
	printable   bool
}

// NewSecret makes a Secret of a copy of b. Nil or empty gives the zero Secret.
func NewSecret(b []byte) Secret {
	if len(b) == 0 {
		return Secret{}
	}
	d := &data{bytes: bytes.Clone(b), fingerprint: sha256.Sum256(b), printable: printable(b)}
	return Secret{func() *data { return d }}
}

// Reveal returns a copy of the bytes, nil for the zero Secret. Search for its name to find who reads secrets.
func (s Secret) Reveal() []byte {
	if s.f == nil {
		return nil
	}
	return bytes.Clone(s.f().bytes)
}

// Equal reports whether both hold the same bytes, in constant time.
func (s Secret) Equal(t Secret) bool {
	if s.f == nil || t.f == nil {
		return s.f == nil && t.f == nil
	}
	a, b := s.f(), t.f()
	return a == b || subtle.ConstantTimeCompare(a.fingerprint[:], b.fingerprint[:]) == 1
}

// IsZero reports whether the Secret holds nothing.
func (s Secret) IsZero() bool { return s.f == nil }

// Len returns the number of bytes held.
func (s Secret) Len() int {
	if s.f == nil {
		return 0
	}
	return len(s.f().bytes)
}

// IsPrintable reports whether all bytes are printable ASCII, as a token must be that goes into a header.
func (s Secret) IsPrintable() bool { return s.f == nil || s.f().printable }

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// Fingerprint returns the SHA-256 of the bytes, computed once, so that caches need not hash a secret to look it up.
// It is not for logs: whoever sees it can test guesses of a weak secret. The zero Secret has the zero fingerprint.
func (s Secret) Fingerprint() [sha256.Size]byte {
	if s.f == nil {
		return [sha256.Size]byte{}
	}
	return s.f().fingerprint
}

// String tells only whether there is a secret.
func (s Secret) String() string {
	if s.f == nil {
		return "[no secret]"
	}
	return "[secret]"
}

// Format prints String for every verb.
func (s Secret) Format(f fmt.State, verb rune) { fmt.Fprint(f, s.String()) }

// LogValue is String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String: what is encoded cannot be decoded again.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
