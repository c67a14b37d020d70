// Package loopback serves the examples' pages: to this machine alone, and to nobody who only looks as if.
package loopback

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"
)

// Listen listens on a loopback address, which the flag of that name has.
func Listen(flag, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || (ip == nil || !ip.IsLoopback()) && host != "localhost" {
		return nil, fmt.Errorf("%s: the page is for this machine alone; 127.0.0.1:8085 is an address", flag)
	}
	return net.Listen("tcp", address)
}

// Serve answers until ctx ends.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}

// A Guard stands in front of a page.
type Guard struct {
	hosts  []string // that the page answers for: another name is one that a stranger's page resolves to us (DNS rebinding)
	policy string   // the Content-Security-Policy
}

// NewGuard makes the guard of a page at an address.
func NewGuard(address, policy string) (Guard, error) {
	_, port, err := net.SplitHostPort(address)
	return Guard{[]string{address, "127.0.0.1:" + port, "localhost:" + port, "[::1]:" + port}, policy}, err
}

// Allow sets the headers that all answers have, and reports whether the request may pass. If not, it has answered.
func (g Guard) Allow(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	h.Set("Content-Security-Policy", g.policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	from := r.Header.Get("Sec-Fetch-Site")
	switch {
	case !slices.Contains(g.hosts, r.Host):
		http.Error(w, "this page answers for its own address only", http.StatusMisdirectedRequest)
		return false
	case r.Method != http.MethodGet && r.Method != http.MethodHead && from != "" && from != "same-origin":
		http.Error(w, "send this from the page itself", http.StatusForbidden)
		return false
	}
	return true
}
