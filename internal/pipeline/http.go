package pipeline

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// HeaderValues finds a header in any spelling of its name, quickest in the one that is given; nil if it is not there.
func HeaderValues(h http.Header, name string) []string {
	if values, ok := h[name]; ok {
		return values
	}
	for n, values := range h {
		if strings.EqualFold(n, name) {
			return values
		}
	}
	return nil
}

// DeleteHeader deletes headers in every spelling.
func DeleteHeader(h http.Header, names ...string) {
	for n := range h {
		if slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(n, name) }) {
			delete(h, n)
		}
	}
}

// SetHeader sets a header to a copy of values, and makes the map if there is none.
func SetHeader(h *http.Header, name string, values []string) {
	if *h == nil {
		*h = make(http.Header)
	}
	(*h)[http.CanonicalHeaderKey(name)] = append([]string(nil), values...)
}

// CopyHeader is h with canonical names, nil if there are none. The copies of all values share one array.
func CopyHeader(h http.Header) http.Header {
	if len(h) == 0 {
		return nil
	}
	copied, all := make(http.Header, len(h)), make([]string, 0, len(h))
	for name, values := range h {
		start := len(all)
		all = append(all, values...) // which may move them all, and leaves older slices as they are
		copied[http.CanonicalHeaderKey(name)] = all[start:len(all):len(all)]
	}
	return copied
}

// HostOf is the Host header that goes on the wire.
func HostOf(req *http.Request) string {
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	return CanonicalHost(req.URL.Scheme, host)
}

// CanonicalHost drops the port that the scheme implies, as clients do before they send Host.
func CanonicalHost(scheme, host string) string {
	if scheme == "https" {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// Hostname is a host without its port and brackets.
func Hostname(host string) string { return (&url.URL{Host: host}).Hostname() }

// Locate splits an endpoint into scheme, host and base path, each as it goes on the wire.
func Locate(u *url.URL) (scheme, host, base string) {
	base = string(wire.AppendEscapePath(nil, strings.TrimRight(u.Path, "/")))
	return u.Scheme, CanonicalHost(u.Scheme, strings.ToLower(u.Host)), base
}

// MethodOf is a method as it goes on the wire.
func MethodOf(m string) string {
	if m == "" {
		return http.MethodGet
	}
	return m
}

// Presigned makes the result; the URL is copied.
func Presigned(method string, url []byte, plan *Plan, offset time.Duration) *signer.Presigned {
	return &signer.Presigned{
		Method:      method,
		URL:         string(url),
		NotBefore:   Time(plan.Start),
		ExpiresAt:   Time(plan.End),
		LimitedBy:   plan.LimitedBy,
		StableUntil: Time(plan.StableUntil),
		ClockOffset: offset,
	}
}

// LowerHex reports whether s has only hexadecimal digits in lower case.
func LowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}

// LowerToken reports whether s is a header name in lower case.
func LowerToken(s string) bool {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return false
		}
	}
	return token(s)
}

// HostLabels reports whether a bucket can stand in a host name: 3 to 63 lower-case letters, digits, hyphens and dots, every
// label beginning and ending in a letter or digit, and not an IP address.
func HostLabels(s string) bool {
	if len(s) < 3 || len(s) > 63 {
		return false
	}
	letter := false
	start := 0
	for i := 0; i <= len(s); i++ {
		if i == len(s) || s[i] == '.' {
			if !HostLabel(s[start:i]) {
				return false
			}
			start = i + 1
		} else if s[i] > '9' {
			letter = true
		}
	}
	return letter || net.ParseIP(s) == nil
}

// HostLabel reports whether s is a host label: lower-case letters, digits and inner hyphens.
func HostLabel(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' && 0 < i && i < len(s)-1) {
			return false
		}
	}
	return s != "" && len(s) <= 63
}
