package storefake

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What can go wrong behind the verifier, whatever the dialect.
var (
	errNoBucket     = errors.New("there is no such bucket")
	errNoObject     = errors.New("there is no such object")
	errNoMethod     = errors.New("the method does not go with the resource")
	errFull         = errors.New("the store is full; delete something or start it with higher limits")
	errLength       = errors.New("the length of the body is not announced")
	errIncomplete   = errors.New("the body ended before its announced length")
	errKeyTooLong   = errors.New("the name of the object is too long")
	errMetaTooLarge = errors.New("the metadata are too large")
	errDigest       = errors.New("Content-MD5 is not that of the body")
	errLocked       = errors.New("the object has a key of its own, which must come with the request")
	errDigestForm   = errors.New("Content-MD5 is no MD5 in base64")
)

// tooLarge refuses a body for its announced size.
type tooLarge struct{ size, most int64 }

func (e tooLarge) Error() string {
	return fmt.Sprintf("the body has %d bytes, %d are allowed", e.size, e.most)
}

// An object does not change once it is stored; an upload replaces it.
type object struct {
	key      string
	data     content
	header   http.Header // what is sent back with it
	etag     string      // in quotes
	modified time.Time
	ends     []int64 // where each of its parts ends; nil if it came in one piece

	generation int64    // a number of its own, higher than that of every object before it
	lock       string   // the hash of the key that its reader must show, "" for none
	blockIDs   []string // of Azure's blocks, which end at ends; nil if it came otherwise
}

// newObject is an object that came in one piece.
func newObject(key string, data content, header http.Header, now time.Time) *object {
	sum := md5.New()
	add(sum, data)
	return &object{key: key, data: data, header: header, etag: quoted(sum.Sum(nil)), modified: now}
}

// quoted writes an MD5 as an ETag.
func quoted(sum []byte) string { return `"` + hex.EncodeToString(sum) + `"` }

// number is the generation as conditions have it: 0 for an object that is not there.
func (o *object) number() string {
	if o == nil {
		return "0"
	}
	return strconv.FormatInt(o.generation, 10)
}

// size is what counts against the store's limit.
func (o *object) size() int64 { return o.data.Size() }

// A condition is on what an upload replaces. Its zero value is none.
type condition struct {
	fresh      bool   // If-None-Match: * - there is nothing
	etag       string // If-Match - this is it; "" does not matter
	generation string // X-Goog-If-Generation-Match - this is it, "0" for nothing; "" does not matter
}

// A failed condition is named by its header.
type failed string

func (f failed) Error() string { return "the condition of " + string(f) + " does not hold" }

// check holds the condition to the object that is there, which may be nil.
func (c condition) check(old *object) error {
	switch {
	case c.fresh && old != nil:
		return failed("If-None-Match")
	case c.generation != "" && c.generation != old.number():
		return failed("X-Goog-If-Generation-Match")
	case c.etag != "" && old == nil:
		return errNoObject
	case c.etag != "" && strings.Trim(c.etag, `"`) != strings.Trim(old.etag, `"`):
		return failed("If-Match")
	}
	return nil
}

// objects holds the objects of the one bucket, and the uploads in parts that are to become some.
type objects struct {
	mu         sync.RWMutex
	byKey      map[string]*object
	uploads    map[string]*upload // by their ids
	parts      int                // of all uploads
	bytes      int64              // stored, in parts, and reserved for bodies that are coming in
	maxBytes   int64
	maxCount   int
	maxUploads int
	generation int64 // the last
}

// reserve counts bytes that are to be stored; release gives them back.
func (o *objects) reserve(size int64) (release func(), err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if size > o.maxBytes-o.bytes {
		return nil, errFull
	}
	o.bytes += size
	return func() { o.release(size) }, nil
}

// release gives back bytes that were reserved.
func (o *objects) release(size int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes -= size
}

// read takes in a body of exactly size bytes.
func (s *Store) read(w http.ResponseWriter, body io.ReadCloser, size int64) (content, error) {
	// To the end and not to the last byte: the verdict on the body comes with its end.
	data, err := s.keep(http.MaxBytesReader(w, body, size))
	if err == nil && data.Size() < size || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errIncomplete
	}
	return data, err
}

// put makes obj visible, whose bytes were reserved.
func (o *objects) put(obj *object, c condition) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.replace(obj, c)
}

// replace is put for those who hold the lock.
func (o *objects) replace(obj *object, c condition) error {
	old := o.byKey[obj.key]
	if err := c.check(old); err != nil {
		return err
	}
	switch {
	case old == nil && len(o.byKey) >= o.maxCount:
		return errFull
	case old != nil:
		o.bytes -= old.size()
	}
	o.generation = max(o.generation+1, obj.modified.UnixMicro())
	obj.generation = o.generation
	o.byKey[obj.key] = obj
	return nil
}

func (o *objects) get(key string) (*object, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if obj := o.byKey[key]; obj != nil {
		return obj, nil
	}
	return nil, errNoObject
}

// remove forgets an object. If there is none, that is errNoObject.
func (o *objects) remove(key string, c condition) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	obj := o.byKey[key]
	if err := c.check(obj); err != nil {
		return err
	}
	if obj == nil {
		return errNoObject
	}
	o.bytes -= obj.size()
	delete(o.byKey, key)
	return nil
}

// A page is one answer of a listing.
type page struct {
	objects  []*object
	prefixes []string // names up to the delimiter, each once
	last     string   // the last entry, from which to go on; "" at the end of the listing
}

// list returns at most most names that begin with prefix, in the order of their bytes. Names that hold delimiter behind
// prefix are folded into one entry. The page begins after the entry last of the page before, and with names above
// startAfter.
func (o *objects) list(prefix, delimiter, startAfter, last string, most int) (p page) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	entry := ""
	for _, key := range slices.Sorted(maps.Keys(o.byKey)) {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok || key <= startAfter || key <= last {
			continue
		}
		next, folded := key, false
		if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
			next, folded = key[:len(prefix)+i+len(delimiter)], true
		}
		switch {
		case folded && (next == entry || next == last):
			continue // is on this page or the one before
		case len(p.objects)+len(p.prefixes) == most:
			p.last = entry // which there is unless most is 0, and then nothing follows
			return p
		case folded:
			p.prefixes = append(p.prefixes, next)
		default:
			p.objects = append(p.objects, o.byKey[key])
		}
		entry = next
	}
	return p
}

// send answers with the object, or the part of it that the request asks for. Its header must be a copy. If it returns an error,
// it has written nothing.
func (o *object) send(w http.ResponseWriter, r *http.Request) error {
	a := &answer{w: w, header: o.header}
	a.header.Set("ETag", o.etag)
	http.ServeContent(a, r, "", o.modified, open(o.data))
	switch {
	case a.refused == http.StatusRequestedRangeNotSatisfiable:
		return badRange{r.Header.Get("Range"), o.size()}
	case a.refused == http.StatusPreconditionFailed && r.Header.Get("If-Match") != "":
		return failed("If-Match")
	case a.refused == http.StatusPreconditionFailed:
		return failed("If-Unmodified-Since")
	}
	return nil
}

// badRange refuses a range that the object, of this size, does not have.
type badRange struct {
	asked string
	size  int64
}

func (e badRange) Error() string { return "the object has no such range" }

// An answer lets through what net/http writes, but not its refusals: those are for the dialect to write.
type answer struct {
	w       http.ResponseWriter
	header  http.Header
	refused int // the status
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if status >= 400 {
		a.refused = status
		return
	}
	maps.Copy(a.w.Header(), a.header)
	a.w.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.refused != 0 {
		return len(p), nil
	}
	return a.w.Write(p)
}
