package signertest

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// StoreOptions say what a Store is like. The zero value is good.
type StoreOptions struct {
	Bucket string // "" means "demo"
	Region string // of S3 and OSS; "" means "us-east-1"

	// Clock is where the store's clock starts from, before Advance; nil means clock.System(). A clock.Learned is refused.
	Clock clock.Clock

	// Temporary makes credentials for S3 and OSS that have a session token and die after this long; 0 makes ones that do neither.
	Temporary time.Duration

	// Origin is the one origin ("http://127.0.0.1:8080") whose pages may call the store from a browser; "" is none.
	Origin string

	// MaxObject is the size of the largest object, MaxBytes that of all together with the uploads under way, MaxObjects
	// their number, MaxUploads that of the uploads in parts; 0 means 16 MiB, 64 MiB, 1000 and 100.
	MaxObject, MaxBytes    int64
	MaxObjects, MaxUploads int

	// MinPart is the size of the smallest part of an upload that may be followed by another; 0 means 5 MiB, as at S3. OSS takes
	// 100 KiB if that is less. A test of one's own uploads is faster with less.
	MinPart int64
}

// A Store is an object store for tests of code that works with signed requests. It listens on a loopback address, holds one
// bucket in memory, and believes nobody: each request is verified, and refused with the provider's own error if it is not
// exactly what was signed, or is late.
//
// It is S3, Google Cloud Storage (its XML API), OSS and Azure Blob Storage at once, each as far as clients need it to upload (in one
// piece or in several), download, list and delete; and Cloud CDN, before the same objects. Whose scheme a request is signed with
// decides who answers. What it does not know is answered with the provider's error for that and never passed over.
//
//	s3.New(s3.Config{Endpoint: store.Endpoint(), Region: store.Region, Bucket: store.Bucket, Credentials: store.Credentials})
//	gcs.New(gcs.Config{Endpoint: store.Endpoint(), Bucket: store.Bucket, Key: store.GCSKey})
//	oss.New(oss.Config{Endpoint: store.Endpoint(), Region: store.Region, Bucket: store.Bucket, Credentials: store.OSS})
//	azure.New(azure.Config{Endpoint: store.Endpoint(), Account: store.AzureAccount, Container: store.Bucket, Keys: store.AzureKey})
//	cdn.New(cdn.Config{BaseURL: store.CDNBase(), Bucket: store.Bucket, Key: store.CDNKey}) // and store.Client() for its URLs
//
// A Store is safe for concurrent use; its fields are not to be changed.
type Store struct {
	URL    string // "http://127.0.0.1:" and a port
	Bucket string
	Region string

	// The keys were made for this store.
	Credentials     s3.Credentials          // for S3
	GCSKey          gcs.Key                 // for Cloud Storage: an HMAC key; GCSKeyFile is a service account's
	GCSSecret       signer.Secret           // of GCSKey, whose access ID is GCSKey.ID()
	OSS             oss.Credentials         // for OSS
	AzureAccount    string                  // the storage account, which stands first in the path
	AzureKey        azure.Key               // the account's key
	AzureDelegation azure.UserDelegationKey // a user delegation key, which works for a week
	CDNKey          cdn.Key                 // for Cloud CDN

	// Clock is the store's clock. A signer that has it keeps in step when Advance moves it; one with a clock of its own
	// stays behind, and what it signed dies.
	Clock clock.Clock

	server *storefake.Server
	t      testing.TB

	mu       sync.Mutex
	refusals []*Refusal
}

// NewStore starts a store that lives until the test and its subtests are over. Nothing of it is left then: no listener, no
// connection, no goroutine. If o is wrong, the test fails at once.
//
// When a test fails, the log of its refusals is added to its output.
func NewStore(t testing.TB, o StoreOptions) *Store {
	t.Helper()
	s := &Store{t: t}
	server, err := storefake.Start(storefake.Config{
		Bucket: o.Bucket, Region: o.Region, Clock: o.Clock, Temporary: o.Temporary, Origin: o.Origin,
		MaxObject: o.MaxObject, MaxBytes: o.MaxBytes, MaxObjects: o.MaxObjects, MaxUploads: o.MaxUploads, MinPart: o.MinPart,
		Refused: s.refused,
	})
	if err != nil {
		t.Fatalf("signertest: NewStore: %v", err)
	}
	s.URL, s.Bucket, s.Region, s.Clock, s.server = server.URL, server.Bucket, server.Region, server.Clock, server
	s.Credentials, s.OSS, s.CDNKey = server.Credentials, server.OSS, server.CDNKey
	s.GCSKey, s.GCSSecret = server.GCSKey, server.GCSSecret
	s.AzureAccount, s.AzureKey, s.AzureDelegation = server.AzureAccount, server.AzureKey, server.AzureDelegation
	t.Cleanup(func() {
		server.Close()
		if t.Failed() {
			for _, r := range s.Refusals() {
				t.Logf("the store refused %v", r)
			}
		}
	})
	return s
}

// Endpoint is URL, parsed anew for each call, for the Endpoint of a Config.
func (s *Store) Endpoint() *url.URL { return s.server.Endpoint() }

// CDNBase is the address of the Cloud CDN, for the BaseURL of a cdn.Config. It has a name, because Cloud CDN signs no ports, and Client
// alone knows where that is.
func (s *Store) CDNBase() *url.URL { return s.server.CDNBase() }

// Client returns a client that connects to the store, whatever host a URL names, and keeps no connections.
func (s *Store) Client() *http.Client { return &http.Client{Transport: s.server.Transport()} }

// GCSKeyFile returns the file of a service account's key, as gcs.ServiceAccountKey and Google's own clients take it. The key is made
// when it is first asked for, which takes a moment; call it from the test's own goroutine.
func (s *Store) GCSKeyFile() []byte {
	s.t.Helper()
	file, err := s.server.GCSKeyFile()
	if err != nil {
		s.t.Fatalf("signertest: Store.GCSKeyFile: %v", err)
	}
	return file
}

// Advance moves the store's clock ahead, or back if d is negative. URLs and temporary credentials die by it.
func (s *Store) Advance(d time.Duration) { s.server.Clock.Advance(d) }

// Put stores an object, without a request and without a signature. If the store cannot take it, the test fails at once; call
// it from the test's own goroutine.
func (s *Store) Put(key string, data []byte) {
	s.t.Helper()
	if err := s.server.Put(key, data, nil); err != nil {
		s.t.Fatalf("signertest: Store.Put: %q: %v", key, err)
	}
}

// Get returns a copy of an object's bytes, and whether there is such an object.
func (s *Store) Get(key string) (data []byte, ok bool) {
	data, _, ok = s.server.Get(key)
	return data, ok
}

// Header returns the headers that are stored with an object and sent with it (Content-Type, ETag and so on), or nil if there is no
// such object. Its metadata are called X-Amz-Meta-... here, whoever stored them.
func (s *Store) Header(key string) http.Header {
	_, header, _ := s.server.Get(key)
	return header
}

// Has reports whether there is an object of that name.
func (s *Store) Has(key string) bool {
	_, ok := s.Get(key)
	return ok
}

// Keys returns the names of all objects, in the order of their bytes.
func (s *Store) Keys() []string { return s.server.Keys() }

// A Refusal is a request whose signature was not accepted, and why. As an error it wraps the reasons:
//
//	if r := store.Refusals(); len(r) != 1 || !errors.Is(r[0], signer.ErrExpired) { ... }
//
// It holds no signature and no query, and can be logged.
type Refusal struct {
	Method string
	Path   string          // as it came, without the query
	Errors []*signer.Error // one for each fault that was found
}

// Error is the request and the reasons.
func (r *Refusal) Error() string {
	return r.Method + " " + r.Path + ": " + errors.Join(r.Unwrap()...).Error()
}

// Unwrap returns Errors.
func (r *Refusal) Unwrap() []error {
	errs := make([]error, len(r.Errors))
	for i, e := range r.Errors {
		errs[i] = e
	}
	return errs
}

// Refusals returns the refusals so far, in order. A request is there before its answer is sent. Requests that were signed well
// and failed for another reason, such as a missing object, are not among them.
func (s *Store) Refusals() []*Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refusals)
}

func (s *Store) refused(r *http.Request, err error) {
	refusal := &Refusal{Method: r.Method, Path: signer.RedactURL(r.URL.EscapedPath()), Errors: faults(err)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusals = append(s.refusals, refusal)
}

// faults finds the *signer.Errors in err: itself, what it wraps, or several that are joined.
func faults(err error) (found []*signer.Error) {
	switch e := err.(type) {
	case *signer.Error:
		return []*signer.Error{e}
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			found = append(found, faults(err)...)
		}
	case interface{ Unwrap() error }:
		return faults(e.Unwrap())
	}
	return found
}
