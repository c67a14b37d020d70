// Package wire has the percent-encoding and the canonical query that the schemes of the AWS4 family share: unreserved
// bytes (RFC 3986) stay, everything else becomes %XX in upper case, a space is %20 and never a plus.
package wire

import (
	"errors"
	"strings"
)

// ErrEscape is the error for a percent sign that no two hexadecimal digits follow.
var ErrEscape = errors.New("percent sign without two hexadecimal digits")

const upperhex = "0123456789ABCDEF"

// class has a bit for each set of bytes that an encoding keeps as they are.
type class uint8

const (
	unreserved class = 1 << iota
	slash
)

var classes = func() (c [256]class) {
	for b := range c {
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', strings.IndexByte("-._~", byte(b)) >= 0:
			c[b] = unreserved
		case b == '/':
			c[b] = slash
		}
	}
	return
}()

// AppendEscape appends s with everything but unreserved bytes encoded.
func AppendEscape[T string | []byte](dst []byte, s T) []byte { return appendEscape(dst, s, unreserved) }

// AppendEscapePath is AppendEscape, but keeps slashes.
func AppendEscapePath(dst []byte, s string) []byte { return appendEscape(dst, s, unreserved|slash) }

func appendEscape[T string | []byte](dst []byte, s T, keep class) []byte {
	done := 0
	for i := range len(s) {
		if classes[s[i]]&keep == 0 {
			dst = append(dst, s[done:i]...)
			dst = append(dst, '%', upperhex[s[i]>>4], upperhex[s[i]&15])
			done = i + 1
		}
	}
	return append(dst, s[done:]...)
}

// AppendCanonicalPath appends an encoded path as the one encoding of the bytes that it stands for: "%2b" and "+"
// become "%2B", "%7E" becomes "~", "%2F" becomes "/".
func AppendCanonicalPath(dst []byte, path string) ([]byte, error) {
	return appendCanonical(dst, path, unreserved|slash, '+')
}

// appendCanonical decodes s, where a plus stands for the byte plus, and appends it encoded.
func appendCanonical(dst []byte, s string, keep class, plus byte) ([]byte, error) {
	done := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if classes[c]&keep != 0 {
			continue
		}
		next := i + 1
		switch c {
		case '%':
			b, ok := unhex(s[i:])
			if !ok {
				return dst, ErrEscape
			}
			if classes[b]&keep == 0 && s[i+1] < 'a' && s[i+2] < 'a' { // as it would be written
				i += 2
				continue
			}
			c, next = b, i+3
		case '+':
			c = plus
		}
		dst = append(dst, s[done:i]...)
		if classes[c]&keep != 0 {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upperhex[c>>4], upperhex[c&15])
		}
		done = next
		i = next - 1
	}
	return append(dst, s[done:]...), nil
}

// UnescapePath decodes an encoded path; a plus is a plus.
func UnescapePath(s string) (string, error) { return unescape(s, '+') }

// UnescapeQuery decodes a name or value of a query; a plus is a space.
func UnescapeQuery(s string) (string, error) { return unescape(s, ' ') }

func unescape(s string, plus byte) (string, error) {
	next := strings.IndexByte(s, '%')
	if plus != '+' && strings.IndexByte(s, '+') >= 0 {
		s = strings.ReplaceAll(s, "+", string(plus))
	}
	if next < 0 {
		return s, nil
	}
	var b strings.Builder
	b.Grow(len(s))
	for ; next >= 0; next = strings.IndexByte(s, '%') {
		c, ok := unhex(s[next:])
		if !ok {
			return "", ErrEscape
		}
		b.WriteString(s[:next])
		b.WriteByte(c)
		s = s[next+len("%XX"):]
	}
	b.WriteString(s)
	return b.String(), nil
}

// unhex decodes the escape at the beginning of s.
func unhex(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	hi, lo := hexDigit(s[1]), hexDigit(s[2])
	return hi<<4 | lo, hi|lo < 16
}

func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// AppendFolded appends a header value as canonical requests have it: without blanks around it, and with every run of
// blanks inside it as one space.
func AppendFolded(dst []byte, value string) []byte {
	if strings.IndexByte(value, ' ') < 0 && strings.IndexByte(value, '\t') < 0 {
		return append(dst, value...)
	}
	blank := false
	start := len(dst)
	for i := range len(value) {
		c := value[i]
		if c == ' ' || c == '\t' {
			blank = true
			continue
		}
		if blank && len(dst) > start {
			dst = append(dst, ' ')
		}
		blank = false
		dst = append(dst, c)
	}
	return dst
}

var hexPairs = func() (p [256][2]byte) {
	const lowerhex = "0123456789abcdef"
	for b := range p {
		p[b] = [2]byte{lowerhex[b>>4], lowerhex[b&15]}
	}
	return
}()

// AppendHex appends b as hexadecimal digits in lower case: encoding/hex, but by pairs of digits, which takes half the time.
func AppendHex(dst, b []byte) []byte {
	for _, c := range b {
		pair := &hexPairs[c]
		dst = append(dst, pair[0], pair[1])
	}
	return dst
}

// AppendLower appends s with its ASCII letters in lower case.
func AppendLower(dst []byte, s string) []byte {
	start := len(dst)
	dst = append(dst, s...)
	for i, c := range dst[start:] {
		if 'A' <= c && c <= 'Z' {
			dst[start+i] = c + 'a' - 'A'
		}
	}
	return dst
}
