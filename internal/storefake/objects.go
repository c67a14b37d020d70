package storefake

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
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
	errExists       = errors.New("the object exists already")
	errKeyTooLong   = errors.New("the name of the object is too long")
	errMetaTooLarge = errors.New("the metadata are too large")
	errDigest       = errors.New("Content-MD5 is not that of the body")
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
	data     []byte
	header   http.Header // what is sent back with it
	md5      [md5.Size]byte
	modified time.Time
}

func (o *object) etag() string { return `"` + hex.EncodeToString(o.md5[:]) + `"` }

// size is what counts against the store's limit.
func (o *object) size() int64 { return int64(len(o.data)) }

// objects holds the objects of the one bucket.
type objects struct {
	mu       sync.RWMutex
	byKey    map[string]*object
	bytes    int64 // stored, and reserved for uploads under way
	maxBytes int64
	maxCount int
}

// read takes in a body of exactly size bytes, which count from now on; release gives them back. Nothing of the
// body can be seen before put.
func (o *objects) read(w http.ResponseWriter, body io.ReadCloser, size int64) (data []byte, release func(), err error) {
	o.mu.Lock()
	full := size > o.maxBytes-o.bytes
	if !full {
		o.bytes += size
	}
	o.mu.Unlock()
	if full {
		return nil, nil, errFull
	}
	release = func() {
		o.mu.Lock()
		o.bytes -= size
		o.mu.Unlock()
	}
	// To the end and not to the last byte: the verdict on the body comes with its end.
	data, err = io.ReadAll(http.MaxBytesReader(w, body, size))
	if err == nil && int64(len(data)) < size || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errIncomplete
	}
	if err != nil {
		release()
		return data, nil, err
	}
	return data, release, nil
}

// put makes obj visible, whose bytes were counted by read. With fresh it must be the first of its name.
func (o *objects) put(obj *object, fresh bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	old := o.byKey[obj.key]
	switch {
	case fresh && old != nil:
		return errExists
	case old == nil && len(o.byKey) >= o.maxCount:
		return errFull
	case old != nil:
		o.bytes -= old.size()
	}
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

// remove forgets an object, if there is one.
func (o *objects) remove(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if obj := o.byKey[key]; obj != nil {
		o.bytes -= obj.size()
		delete(o.byKey, key)
	}
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

// send answers with the object, or the part of it that the request asks for.
func (obj *object) send(w http.ResponseWriter, r *http.Request) {
	maps.Copy(w.Header(), obj.header)
	w.Header().Set("ETag", obj.etag())
	http.ServeContent(w, r, "", obj.modified, bytes.NewReader(obj.data))
}
