package storefake

import (
	"cmp"
	"crypto/md5"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// What can go wrong with uploads in parts.
var (
	errNoUpload  = errors.New("there is no such upload; it may have been completed or aborted")
	errPartOrder = errors.New("the parts are not in ascending order")
)

// A badPart is one that completes no upload: it was not uploaded, has another ETag, or is too small to be followed by another.
type badPart struct {
	number      int
	etag        string
	size, least int64 // if it is too small
}

func (e badPart) Error() string { return fmt.Sprintf("part %d completes no upload", e.number) }

const maxParts = 10000 // of an upload; and here of all together, because an empty one costs memory too

// An upload is an object that comes in parts. Nobody sees anything of it before finish. Only its parts change.
type upload struct {
	id        string
	key       string
	header    http.Header
	initiated time.Time
	parts     map[int]*part
}

// A part does not change once it is stored; another of its number replaces it.
type part struct {
	number   int
	data     content
	md5      [md5.Size]byte
	modified time.Time
}

func newPart(number int, data content, now time.Time) *part {
	sum := md5.New()
	add(sum, data)
	return &part{number, data, [md5.Size]byte(sum.Sum(nil)), now}
}

func (p *part) etag() string { return quoted(p.md5[:]) }

func (p *part) size() int64 { return p.data.Size() }

// begin starts an upload and returns its id.
func (o *objects) begin(key string, header http.Header, now time.Time) (id string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.uploads) >= o.maxUploads {
		return "", errFull
	}
	id = rand.Text()
	o.uploads[id] = &upload{id, key, header, now, make(map[int]*part)}
	return id, nil
}

// upload finds an upload, for those who hold the lock. An id is good for its own key only.
func (o *objects) upload(key, id string) (*upload, error) {
	if u := o.uploads[id]; u != nil && u.key == key {
		return u, nil
	}
	return nil, errNoUpload
}

// addPart adds a part, whose bytes were reserved.
func (o *objects) addPart(key, id string, p *part) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	u, err := o.upload(key, id)
	if err != nil {
		return err
	}
	switch old := u.parts[p.number]; {
	case old != nil:
		o.bytes -= old.size()
	case o.parts >= maxParts:
		return errFull
	default:
		o.parts++
	}
	u.parts[p.number] = p
	return nil
}

// listParts returns the parts of an upload in ascending order.
func (o *objects) listParts(key, id string) ([]*part, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	u, err := o.upload(key, id)
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(u.parts), func(a, b *part) int { return a.number - b.number }), nil
}

// listUploads returns the uploads under way whose names begin with prefix, in the order of names and times.
func (o *objects) listUploads(prefix string) (list []*upload) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	for _, u := range o.uploads {
		if strings.HasPrefix(u.key, prefix) {
			list = append(list, u)
		}
	}
	slices.SortFunc(list, func(a, b *upload) int {
		return cmp.Or(strings.Compare(a.key, b.key), a.initiated.Compare(b.initiated), strings.Compare(a.id, b.id))
	})
	return list
}

// abort forgets an upload and its parts.
func (o *objects) abort(key, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	u, err := o.upload(key, id)
	if err != nil {
		return err
	}
	o.forget(u)
	return nil
}

func (o *objects) forget(u *upload) {
	for _, p := range u.parts {
		o.bytes -= p.size()
	}
	o.parts -= len(u.parts)
	delete(o.uploads, u.id)
}

// A partRef names one of the parts that make an object.
type partRef struct {
	number int
	etag   string
}

// pick finds the parts that are named, and what is to be stored with their object. All but the last need least bytes.
func (o *objects) pick(key, id string, refs []partRef, least int64) ([]*part, http.Header, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	u, err := o.upload(key, id)
	if err != nil {
		return nil, nil, err
	}
	if !slices.IsSortedFunc(refs, func(a, b partRef) int { return a.number - b.number }) {
		return nil, nil, errPartOrder
	}
	var parts []*part
	for i, ref := range refs {
		p := u.parts[ref.number]
		switch {
		case i > 0 && ref.number == refs[i-1].number:
			return nil, nil, errPartOrder
		case p == nil || strings.Trim(ref.etag, `"`) != strings.Trim(p.etag(), `"`):
			return nil, nil, badPart{number: ref.number, etag: ref.etag}
		case i < len(refs)-1 && p.size() < least:
			return nil, nil, badPart{number: ref.number, etag: ref.etag, size: p.size(), least: least}
		}
		parts = append(parts, p)
	}
	return parts, u.header, nil
}

// join makes an object of parts.
func join(key string, parts []*part, header http.Header, now time.Time) *object {
	data := new(joined)
	sums := md5.New()
	for _, p := range parts {
		data.add(p.data)
		sums.Write(p.md5[:])
	}
	return &object{key: key, data: data, header: header, etag: fmt.Sprintf(`"%x-%d"`, sums.Sum(nil), len(parts)), modified: now, ends: data.ends}
}

// finish replaces an upload by the object that was made of it, whose bytes were reserved.
func (o *objects) finish(id string, obj *object, c condition) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	u, err := o.upload(obj.key, id)
	if err != nil {
		return err
	}
	if err := o.replace(obj, c); err != nil {
		return err
	}
	o.forget(u)
	return nil
}
