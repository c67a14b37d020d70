// Package storefake is an object store in memory that believes nobody: every request passes through the library's own
// Verifier, and a refusal is the provider's own error, in the provider's own format. It speaks as S3, Google Cloud Storage, OSS and
// Azure Blob Storage do, and as Cloud CDN before them, all on one address and over the same objects: whose signature a request shows
// decides. The examples run against it where they are given no real service.
//
//	store, err := storefake.Start(storefake.Config{})
//	defer store.Close()
//	s, err := s3.New(s3.Config{Endpoint: store.Endpoint(), Region: store.Region, Bucket: store.Bucket, Credentials: store.Credentials})
//	// ... presign, use net/http ...
//	store.Clock.Advance(time.Hour) // everything presigned for less is dead
//
// It is for demonstrations on one machine: it answers on loopback addresses only, with credentials made for the run, and
// forgets everything at the end of it. It acts on the Grant, never on the request's URL.
package storefake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Config says what a Store holds and how much. Its zero value is good.
type Config struct {
	Bucket string // "" means "demo"
	Region string // of S3 and OSS; "" means "us-east-1"

	// Clock is what Store.Clock starts from; nil means clock.System(). A clock.Learned is refused.
	Clock clock.Clock

	// Temporary makes credentials for S3 and OSS that have a session token and die after this long; 0 makes ones that do neither.
	Temporary time.Duration

	// Origin is the one origin ("http://127.0.0.1:8080") whose pages may call the store from a browser; "" is none.
	Origin string

	// MaxObject is the size of the largest object, MaxBytes that of all together with the uploads under way, MaxObjects
	// their number, MaxUploads that of the uploads in several pieces, of each kind; 0 means 16 MiB, 64 MiB, 1000 and 100.
	MaxObject, MaxBytes    int64
	MaxObjects, MaxUploads int

	// MinPart is the size of the smallest part that may be followed by another; 0 means 5 MiB, as at S3. OSS takes 100 KiB, if
	// that is less.
	MinPart int64

	// Dir is a directory of the store's own in which it keeps the bytes, one file for each body, so that large objects need no memory;
	// "" is memory. Files go when nothing needs them any more; the directory is for its owner to remove, after Close.
	Dir string

	// Refused is told why a signature was not accepted; nil tells nobody. The error is the Verifier's or that of a body which
	// is not the signed one. Refused is called by many goroutines at once.
	Refused func(r *http.Request, err error)
}

// A Store is an object store as an http.Handler. It is safe for concurrent use; its fields are not to be changed.
type Store struct {
	Bucket string
	Region string
	Clock  *Clock

	Credentials     s3.Credentials          // for S3
	GCSKey          gcs.Key                 // for Cloud Storage: an HMAC key; GCSKeyFile is a service account's
	GCSSecret       signer.Secret           // of GCSKey, whose access ID is GCSKey.ID()
	OSS             oss.Credentials         // for OSS
	AzureAccount    string                  // the storage account, which stands first in the path
	AzureKey        azure.Key               // the account's key
	AzureDelegation azure.UserDelegationKey // a user delegation key, which works for a week less a quarter of an hour
	CDNKey          cdn.Key                 // for Cloud CDN, which stands before the bucket at CDNBase

	account   *serviceAccount
	origin    string
	dir       string
	maxObject int64
	minPart   int64
	refused   func(*http.Request, error)
	objects   objects
	dialects  []dialect // the first speaks to those who show no signature at all
}

// A dialect is how one provider verifies, answers and refuses.
type dialect interface {
	signer.Verifier

	// addressed reports whether a request that shows no signature is plainly for this provider.
	addressed(r *http.Request) bool

	// unsigned does what a request without a signature may all the same: a session was begun by a request that was signed. For others
	// it returns err. If it returns an error, it has written nothing.
	unsigned(w http.ResponseWriter, r *http.Request, err error) error

	// serve does what was granted. If it returns an error, it has written nothing.
	serve(w http.ResponseWriter, r *http.Request, g *signer.Grant) error

	// refuse answers with the provider's error for err, which comes from Verify or from above. trace is what Verify computed.
	refuse(w http.ResponseWriter, r *http.Request, err error, trace *signer.Trace)
}

// New returns an empty Store with credentials of its own. It reports all that is wrong with c, joined.
func New(c Config) (*Store, error) {
	op := pipeline.Op{Backend: "storefake", Name: "new"}
	s := &Store{Bucket: c.Bucket, Region: c.Region, origin: c.Origin, dir: c.Dir, maxObject: c.MaxObject, minPart: c.MinPart, refused: c.Refused}
	setDefault(&s.Bucket, "demo")
	setDefault(&s.Region, "us-east-1")
	setDefault(&s.maxObject, 16<<20)
	setDefault(&s.minPart, 5<<20)
	setDefault(&c.MaxBytes, 64<<20)
	setDefault(&c.MaxObjects, 1000)
	setDefault(&c.MaxUploads, 100)
	s.objects = objects{byKey: make(map[string]*object), uploads: make(map[string]*upload),
		maxBytes: c.MaxBytes, maxCount: c.MaxObjects, maxUploads: c.MaxUploads}

	var errCaps error
	if min(s.maxObject, s.minPart, c.MaxBytes, int64(c.MaxObjects), int64(c.MaxUploads), int64(c.Temporary)) < 0 {
		errCaps = op.Errorf(signer.ErrRequest, "Config", "a limit is negative; leave it 0 for the default")
	}
	base, errClock := pipeline.VerifierClock(op, c.Clock)
	if err := errors.Join(pipeline.CheckBucket(op, "Bucket", s.Bucket), errCaps, errClock); err != nil {
		return nil, err
	}
	s.Clock = &Clock{base: base}
	if err := s.makeKeys(c.Temporary); err != nil {
		return nil, err
	}
	amazon, errS3 := newS3(s)
	google, errGCS := newGCS(s)
	alibaba, errOSS := newOSS(s)
	microsoft, errAzure := newAzure(s)
	edge, errCDN := newCDN(s, google)
	if err := errors.Join(errS3, errGCS, errOSS, errAzure, errCDN); err != nil {
		return nil, err
	}
	s.dialects = []dialect{amazon, google, alibaba, microsoft, edge} // the CDN last: the names of its parameters are other schemes' too
	return s, nil
}

// GCSKeyFile returns the file of a service account's key for Cloud Storage, as gcs.ServiceAccountKey takes it. The key is made
// when it is first asked for, which takes a moment.
func (s *Store) GCSKeyFile() ([]byte, error) {
	file, err := s.account.file()
	return bytes.Clone(file), err
}

func setDefault[T comparable](v *T, def T) {
	if zero := *new(T); *v == zero {
		*v = def
	}
}

// ServeHTTP answers one request.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !slices.Contains(ownHosts(r), strings.ToLower(r.Host)) {
		// A page of a stranger's site whose name resolves to 127.0.0.1 would send its own name here.
		http.Error(w, "this store answers on loopback, to the address that it listens on, and to no other Host", http.StatusMisdirectedRequest)
		return
	}
	w.Header().Set("Date", s.Clock.Now().UTC().Format(http.TimeFormat)) // not net/http's, which knows no other clock
	if preflight := s.cors(w, r); preflight {
		return
	}
	var trace signer.Trace
	d, g, err := s.verify(signer.WithTrace(r.Context(), &trace), r)
	switch {
	case err == nil:
		err = d.serve(w, asSigned(r, g), g)
	case errors.Is(err, signer.ErrUnsigned) && isForm(r):
		d, err = s.post(w, r, d)
	case errors.Is(err, signer.ErrUnsigned):
		err = d.unsigned(w, r, err)
	}
	if err == nil {
		return
	}
	if e := (*signer.Error)(nil); s.refused != nil && errors.As(err, &e) {
		s.refused(r, err)
	}
	if r.Header.Get("Expect") == "" {
		io.CopyN(io.Discard, r.Body, s.maxObject) // a client that is still sending may not see an early answer
	}
	d.refuse(w, r, err, &trace)
}

// asSigned is the request with its signed headers as they were signed: a signature does not tell two lines from one with a comma,
// and whoever reads only the first would do something else.
func asSigned(r *http.Request, g *signer.Grant) *http.Request {
	r = r.WithContext(r.Context()) // a copy
	r.Header = r.Header.Clone()
	maps.Copy(r.Header, g.Header)
	return r
}

// verify asks the dialect whose signature the request shows, and says which one that is. Without a signature it is the one that
// the request is addressed to.
func (s *Store) verify(ctx context.Context, r *http.Request) (dialect, *signer.Grant, error) {
	for _, d := range s.dialects {
		if g, err := d.Verify(ctx, r); !errors.Is(err, signer.ErrUnsigned) {
			return d, g, err
		}
	}
	speaks := s.dialects[0]
	for _, d := range slices.Backward(s.dialects) { // the CDN first: it has a host of its own
		if d.addressed(r) {
			speaks = d
			break
		}
	}
	return speaks, nil, &signer.Error{Op: "verify", Err: fmt.Errorf("%w by any of the schemes here", signer.ErrUnsigned)}
}

// ownHosts are the values of Host that mean this server: the address that the connection came in on, localhost, and the CDN's name. There
// are none unless that address is a loopback one.
func ownHosts(r *http.Request) []string {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok || !addr.IP.IsLoopback() {
		return nil
	}
	_, port, _ := net.SplitHostPort(addr.String())
	return []string{addr.String(), "localhost:" + port, cdnHost}
}

// cors lets pages of the allowed origin read the answer, and answers the question that a browser asks before.
func (s *Store) cors(w http.ResponseWriter, r *http.Request) (preflight bool) {
	h := w.Header()
	h.Add("Vary", "Origin")
	allowed := s.origin != "" && r.Header.Get("Origin") == s.origin
	if allowed {
		h.Set("Access-Control-Allow-Origin", s.origin)
		h.Set("Access-Control-Expose-Headers", "Date, ETag, Content-Range, Range, Location, "+
			"X-Amz-Request-Id, X-Goog-Generation, X-Goog-Hash, X-Guploader-Uploadid, X-Oss-Request-Id, X-Oss-Ec, X-Ms-Request-Id, X-Ms-Error-Code")
	}
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	if !allowed {
		http.Error(w, "this store is not for pages of that origin", http.StatusForbidden)
		return true
	}
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, PUT, POST, DELETE")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked) // which of them may come is up to the signature
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

// A Clock is the store's clock, which its owner can move. It is safe for concurrent use.
type Clock struct {
	base  clock.Clock
	ahead atomic.Int64
}

// Now returns the store's time.
func (c *Clock) Now() time.Time { return c.base.Now().Add(time.Duration(c.ahead.Load())) }

// Advance moves the clock ahead, or back if d is negative.
func (c *Clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

// A Server is a Store that listens.
type Server struct {
	*Store
	URL string // "http://127.0.0.1:" and a port

	server *http.Server
	serves sync.WaitGroup // until the last connection has ended
}

// Start starts a new Store on a free port of 127.0.0.1. Close it at the end.
func Start(c Config) (*Server, error) {
	store, err := New(c)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("storefake: start: %w", err)
	}
	s := &Server{
		Store: store,
		URL:   "http://" + l.Addr().String(),
		server: &http.Server{
			Handler:           store,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       30 * time.Second,
			WriteTimeout:      60 * time.Second,
			IdleTimeout:       30 * time.Second,
			MaxHeaderBytes:    64 << 10,
		},
	}
	s.server.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.serves.Add(1)
		case http.StateClosed:
			s.serves.Done()
		}
	}
	s.serves.Go(func() {
		s.server.Serve(l) // until Close; it has no other end that anyone could mend
		s.server.Close()  // for whoever was let in while it closed
	})
	return s, nil
}

// Endpoint is URL, parsed.
func (s *Server) Endpoint() *url.URL {
	return &url.URL{Scheme: "http", Host: strings.TrimPrefix(s.URL, "http://")}
}

// Transport returns a transport that connects to the server, whatever host a URL names, and leaves no connection behind.
func (s *Server) Transport() *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp4", s.Endpoint().Host)
		},
	}
}

// Close stops the server, drops its connections and waits until nothing of it runs any more.
func (s *Server) Close() error {
	err := s.server.Close()
	s.serves.Wait()
	return err
}
