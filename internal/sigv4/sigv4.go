// Package sigv4 has what AWS4, GOOG4 and OSS4 share letter by letter: the timestamp, the credential scope, the chain of
// HMACs that derives a day's signing key, and a cache of those keys. What differs between them (canonical headers,
// empty query values, paths, ports) is written out in each backend.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"hash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A Stamp is an instant in the form 20060102T150405Z, in UTC.
type Stamp [16]byte

// A Date is the day of a Stamp, 20060102.
type Date [8]byte

// StampOf formats seconds since 1970; years 1970 to 9999.
func StampOf(unix int64) (s Stamp) {
	t := time.Unix(unix, 0).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	copy2(s[0:], year/100)
	copy2(s[2:], year%100)
	copy2(s[4:], int(month))
	copy2(s[6:], day)
	s[8] = 'T'
	copy2(s[9:], hour)
	copy2(s[11:], minute)
	copy2(s[13:], second)
	s[15] = 'Z'
	return s
}

func copy2(b []byte, n int) { b[0], b[1] = '0'+byte(n/10), '0'+byte(n%10) }

// Date returns the day.
func (s Stamp) Date() Date { return Date(s[:8]) }

// ParseStamp is the strict inverse of StampOf. A time before 1970 is no time: Go's zero time must not come out of it.
func ParseStamp(s string) (time.Time, error) {
	if len(s) == len(Stamp{}) && s[8] == 'T' && s[15] == 'Z' {
		day, ok := parseDate(s[:8])
		hour, minute, second := two(s[9:]), two(s[11:]), two(s[13:])
		if ok && 0 <= hour && hour < 24 && 0 <= minute && minute < 60 && 0 <= second && second < 60 {
			return day.Add(time.Duration(hour*3600+minute*60+second) * time.Second), nil
		}
	}
	return time.Time{}, errors.New("not a time of the form 20060102T150405Z")
}

// ValidDate reports whether s is a day of the form 20060102, from 1970 on.
func ValidDate(s string) bool {
	_, ok := parseDate(s)
	return ok
}

func parseDate(s string) (t time.Time, ok bool) {
	if len(s) != len(Date{}) {
		return t, false
	}
	century, year, month, day := two(s), two(s[2:]), two(s[4:]), two(s[6:])
	if min(century, year, month, day) < 0 {
		return t, false
	}
	t = time.Date(100*century+year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return t, t.Unix() >= 0 && t.Day() == day && t.Month() == time.Month(month) // it takes February 30 for March 2
}

// two reads the two digits at the beginning of s; negative if they are none.
func two(s string) int {
	if s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' {
		return -1
	}
	return 10*int(s[0]-'0') + int(s[1]-'0')
}

// A Scope says what a signing key is for. With the terminator of its family it is the credential scope. Region is ""
// where a scope has none (SigV4a).
type Scope struct {
	Date            Date
	Region, Service string
}

// Append appends date/region/service/terminator with sep between the parts, which must need no encoding.
func (s *Scope) Append(dst []byte, sep, terminator string) []byte {
	dst = append(dst, s.Date[:]...)
	dst = append(dst, sep...)
	if s.Region != "" {
		dst = append(dst, s.Region...)
		dst = append(dst, sep...)
	}
	dst = append(dst, s.Service...)
	dst = append(dst, sep...)
	return append(dst, terminator...)
}

// AppendStringToSign appends algorithm, stamp, scope and the hash of the canonical request, one a line.
func AppendStringToSign(dst []byte, algorithm string, stamp Stamp, scope *Scope, terminator string, canonicalRequest []byte) []byte {
	dst = append(dst, algorithm...)
	dst = append(dst, '\n')
	dst = append(dst, stamp[:]...)
	dst = append(dst, '\n')
	dst = scope.Append(dst, "/", terminator)
	dst = append(dst, '\n')
	sum := sha256.Sum256(canonicalRequest)
	return wire.AppendHex(dst, sum[:])
}

// A Family is one of the three schemes: what stands before the secret and what ends the chain.
type Family struct{ Prefix, Terminator string }

// DeriveKey returns the signing key for a scope.
func (f Family) DeriveKey(secret []byte, scope Scope) []byte {
	return Chain(append([]byte(f.Prefix), secret...), string(scope.Date[:]), scope.Region, scope.Service, f.Terminator)
}

// Chain takes the HMAC of the first part under key, of the next part under the result, and so on.
func Chain(key []byte, parts ...string) []byte {
	for _, part := range parts {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return key
}

// A Key is a signing key of one day and scope. It is safe for concurrent use.
type Key struct {
	Memo
	macs sync.Pool // of *mac: keyed states, so that a signature costs two blocks less and no allocation
}

type mac struct {
	hash.Hash
	sum [sha256.Size]byte
}

// NewKey derives a Key.
func (f Family) NewKey(secret signer.Secret, scope Scope) *Key {
	key := f.DeriveKey(secret.Reveal(), scope)
	return &Key{macs: sync.Pool{New: func() any {
		return &mac{Hash: hmac.New(sha256.New, key)}
	}}}
}

// AppendSignature appends the signature of stringToSign, 64 hexadecimal digits in lower case.
func (k *Key) AppendSignature(dst, stringToSign []byte) []byte {
	m := k.macs.Get().(*mac)
	m.Reset()
	m.Write(stringToSign)
	dst = wire.AppendHex(dst, m.Sum(m.sum[:0]))
	k.macs.Put(m)
	return dst
}

// Verify reports, in constant time, whether signature is that of stringToSign.
func (k *Key) Verify(stringToSign []byte, signature string) bool {
	var want [2 * sha256.Size]byte
	return hmac.Equal(k.AppendSignature(want[:0], stringToSign), []byte(signature))
}

// A Memo remembers the long texts that go with a key, the last of each, as they stand in a query. The zero value is ready.
type Memo struct {
	credential atomic.Pointer[escapedCredential]
	token      atomic.Pointer[escapedToken]
}

type escapedCredential struct {
	id, terminator string
	scope          Scope
	escaped        []byte
}

type escapedToken struct {
	token   signer.Secret
	escaped []byte
}

// AppendCredential appends ID/DATE/REGION/SERVICE/terminator, percent-encoded.
func (m *Memo) AppendCredential(dst []byte, id string, scope Scope, terminator string) []byte {
	c := m.credential.Load()
	if c == nil || c.id != id || c.scope != scope || c.terminator != terminator {
		escaped := append(wire.AppendEscape(nil, id), "%2F"...)
		c = &escapedCredential{id, terminator, scope, scope.Append(escaped, "%2F", terminator)}
		m.credential.Store(c)
	}
	return append(dst, c.escaped...)
}

// AppendToken appends a session token, percent-encoded.
func (m *Memo) AppendToken(dst []byte, token signer.Secret) []byte {
	t := m.token.Load()
	if t == nil || !t.token.Equal(token) {
		t = &escapedToken{token, wire.AppendEscape(nil, string(token.Reveal()))}
		m.token.Store(t)
	}
	return append(dst, t.escaped...)
}
