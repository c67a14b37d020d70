package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// The names under which the servers stand. That the CDN's is a subdomain of the API's is what net/http trips over.
const (
	apiHost       = "example.test"
	cdnHost       = "cdn.example.test"
	strippingHost = "stripping.example.test" // a CDN that drops Authorization on the way to its bucket
	elsewhereHost = "cdn-of-example.test"    // no subdomain
)

// A cloud is all that runs: one listener on loopback, where the name in Host says who is meant.
type cloud struct {
	token, session string // that the API takes: a bearer token of programs, and a cookie of browsers
	clock          *movedClock
	cdns           map[string]*edge

	listener net.Listener
	server   *http.Server
}

// open starts everything, with keys and tokens made for this run.
func open() (*cloud, error) {
	secret := make([]byte, 16)
	rand.Read(secret)
	key := cdn.Key{Name: "key-of-this-run", Secret: signer.NewSecret(secret)}
	c := &cloud{token: rand.Text(), session: rand.Text(), clock: new(movedClock), cdns: make(map[string]*edge)}
	b := &bucket{filler: "Bearer " + rand.Text(), objects: map[string]string{photo: inPhoto}}

	signers := make(map[string]signer.Signer)
	hosts := make(map[string]http.Handler)
	for _, host := range []string{cdnHost, strippingHost, elsewhereHost} {
		base := &url.URL{Scheme: "http", Host: host} // a real one is https
		s, err := cdn.New(cdn.Config{BaseURL: base, Bucket: "photos", Key: key, Clock: c.clock})
		if err != nil {
			return nil, err
		}
		v, err := cdn.NewVerifier(cdn.VerifierConfig{BaseURL: base, Bucket: "photos", Keys: []cdn.Key{key}, Clock: c.clock})
		if err != nil {
			return nil, err
		}
		e := &edge{verifier: v, bucket: b, clock: c.clock, strips: host == strippingHost, cache: make(map[string]cached)}
		signers[host], hosts[host], c.cdns[host] = s, e, e
	}
	hosts[apiHost] = newAPI(c.token, c.session, signers, c.clock)

	var err error
	if c.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	c.server = &http.Server{
		Handler:           http.MaxBytesHandler(byHost(hosts), 1<<10),
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    64 << 10,
	}
	go c.server.Serve(c.listener)
	return c, nil
}

func (c *cloud) close() error { return c.server.Close() }

// transport resolves every name to the listener, and names no proxy.
func (c *cloud) transport() *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true, // nothing is left behind
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, c.listener.Addr().String())
		},
	}
}

// byHost hands a request to the one whom it names. A page of a stranger's site, whose name resolves to 127.0.0.1, names that.
func byHost(hosts map[string]http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, ok := hosts[r.Host]
		switch {
		case !ok:
			http.Error(w, "no such host here", http.StatusMisdirectedRequest)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			http.Error(w, "GET and HEAD only", http.StatusMethodNotAllowed)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// A bucket is private: it lets in the account with which the CDN fills its cache, and refuses a request that is authorized
// twice, as it cannot tell who is meant.
type bucket struct {
	filler  string            // the Authorization of that account
	objects map[string]string // never written to
}

func (b *bucket) get(key string, authorization []string) (status int, body string) {
	object, ok := b.objects[key]
	switch {
	case len(authorization) != 1 || subtle.ConstantTimeCompare([]byte(authorization[0]), []byte(b.filler)) != 1:
		return http.StatusUnauthorized, "AuthenticationRequired"
	case !ok:
		return http.StatusNotFound, "NoSuchKey"
	}
	return http.StatusOK, object
}

// An edge is a CDN: it verifies the signature, answers from its cache or asks its bucket.
type edge struct {
	verifier signer.Verifier
	bucket   *bucket
	clock    clock.Clock
	strips   bool

	mu    sync.Mutex
	cache map[string]cached // answers with 200 only, so not more than there are objects
	asked *question
}

type cached struct {
	body string
	end  time.Time
}

// A question is what a CDN was asked, for the account.
type question struct{ hit, authorized bool }

const cacheLife = time.Hour // Cloud CDN's default for signed URLs

func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Cloud CDN pays no attention to Authorization where there is a signature. Our Verifier, written for origins, refuses the
	// two together.
	signed := r.Clone(r.Context())
	signed.Header.Del("Authorization")
	g, err := e.verifier.Verify(r.Context(), signed)
	switch {
	case errors.Is(err, signer.ErrExpired):
		http.Error(w, "the URL has expired", http.StatusForbidden)
		return
	case err != nil:
		http.Error(w, "the URL is not signed as it must be", http.StatusForbidden)
		return
	}
	authorization := r.Header.Values("Authorization")
	q := &question{authorized: len(authorization) > 0}
	if e.strips {
		authorization = nil
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = q
	answer, ok := e.cache[g.Key] // the URL without its signature
	now := e.clock.Now()
	q.hit = ok && now.Before(answer.end)
	if !q.hit {
		status, body := e.bucket.get(g.Key, append(authorization[:len(authorization):len(authorization)], e.bucket.filler))
		if status != http.StatusOK {
			http.Error(w, body, status)
			return
		}
		answer = cached{body, now.Add(cacheLife)}
		e.cache[g.Key] = answer
	}
	io.WriteString(w, answer.body)
}

// purge empties the cache.
func (e *edge) purge() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.cache)
}

// question returns what the CDN was asked since the last call; nil if it was not.
func (e *edge) question() *question {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := e.asked
	e.asked = nil
	return q
}

func (q *question) String() string {
	if q == nil {
		return "not asked"
	}
	text := "cache miss, so the bucket is asked"
	if q.hit {
		text = "cache hit, the bucket is not asked"
	}
	if q.authorized {
		return fmt.Sprint(text, "; the client sent Authorization")
	}
	return fmt.Sprint(text, "; no Authorization")
}

// A movedClock is the machine's, and can be moved ahead, so that nobody has to wait.
type movedClock struct {
	mu    sync.Mutex
	moved time.Duration
}

func (c *movedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.moved)
}

func (c *movedClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved += d
}
