package storefake

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is Cloud Storage's resumable upload: a signed POST begins it, and its answer names a URL that takes the bytes without
// a signature, in one piece or in several.
//
// https://docs.cloud.google.com/storage/docs/performing-resumable-uploads

const (
	sessionParam = "upload_id"
	chunkUnit    = 256 << 10 // of a piece that others follow, only multiples are kept
)

// A session is an upload under way.
type session struct {
	id, key string
	terms   *terms

	mu   sync.Mutex // for the length of a request
	data joined     // reserved in the store
	over bool       // done or cancelled
}

func (d *gcsDialect) resumable(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	t, err := d.terms(r)
	switch {
	case err != nil:
		return err
	case r.Header.Get("X-Goog-Resumable") != "start":
		return badArgument{"x-goog-resumable", r.Header.Get("X-Goog-Resumable"), "It must be start."}
	case hasBody(r):
		return badRequest("The request that starts a resumable upload has no body.")
	}
	s := &session{id: rand.Text(), key: g.Key, terms: t}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.sessions) >= d.store.objects.maxUploads {
		return errFull
	}
	d.sessions[s.id] = s
	path := wire.AppendEscapePath([]byte("/"), g.Bucket+"/"+g.Key)
	w.Header().Set("Location", "http://"+r.Host+string(path)+"?"+sessionParam+"="+s.id)
	w.WriteHeader(http.StatusCreated)
	return nil
}

// resume takes bytes of a session, or tells how many there are. Whoever has its URL may.
func (d *gcsDialect) resume(w http.ResponseWriter, r *http.Request, id string) error {
	d.mu.Lock()
	s, done := d.sessions[id], d.done[id]
	d.mu.Unlock()
	switch {
	case done != nil && r.Method == http.MethodPut && r.URL.Path == "/"+d.store.Bucket+"/"+done.key:
		d.stored(w, done)
		return nil
	case s == nil || r.URL.Path != "/"+d.store.Bucket+"/"+s.key:
		return errNoUpload
	case len(r.URL.Query()) > 1:
		return notImplemented{message: "The URL of a session is used as it is."}
	}
	if err := new(operation).checkHeaders(nil, r); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return errNoUpload
	case r.Method == http.MethodPut:
		return d.receive(w, r, s)
	case r.Method == http.MethodDelete:
		d.end(s, nil)
		d.store.objects.release(s.data.Size())
		w.WriteHeader(499) // Google's word for a client that closed the request
		return nil
	}
	return errNoMethod
}

// receive takes what the request brings.
func (d *gcsDialect) receive(w http.ResponseWriter, r *http.Request, s *session) error {
	have := s.data.Size()
	again, size, total, err := pieceOf(r, have)
	switch {
	case err != nil:
		return err
	case have+size > d.store.maxObject:
		return tooLarge{have + size, d.store.maxObject}
	}
	// How large it will be, as far as that is known.
	if err := s.terms.checkSize(max(have+size, total)); err != nil && (total >= 0 || err.(outOfRange).over) {
		return err
	}
	release, err := d.store.objects.reserve(size)
	if err != nil {
		return err
	}
	_, err = io.CopyN(io.Discard, r.Body, again)
	var data content
	if err == nil {
		data, err = d.store.read(w, r.Body, size)
	}
	if err == nil && again == 0 {
		err = checkMD5(r.Header, data)
	}
	if err != nil {
		release()
		return err
	}
	if total != have+size { // others follow
		kept := size - size%chunkUnit
		d.store.objects.release(size - kept)
		data = io.NewSectionReader(data, 0, kept)
	}
	if data.Size() > 0 {
		s.data.add(data)
	}
	if have = s.data.Size(); have != total {
		if have > 0 {
			w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", have-1))
		}
		w.WriteHeader(http.StatusPermanentRedirect) // "Resume Incomplete"
		return nil
	}
	obj := newObject(s.key, &s.data, s.terms.header, d.store.Clock.Now())
	obj.lock = s.terms.lock
	if err := d.store.save(obj, s.terms.condition, func() { d.store.objects.release(have) }); err != nil {
		d.end(s, nil)
		return err
	}
	d.end(s, obj)
	d.stored(w, obj)
	return nil
}

// end forgets a session, and remembers for a while what came of it.
func (d *gcsDialect) end(s *session, obj *object) {
	s.over = true
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sessions, s.id)
	if len(d.done) >= d.store.objects.maxUploads {
		clear(d.done)
	}
	if obj != nil {
		d.done[s.id] = obj
	}
}

// pieceOf reads which bytes a request of a session brings, as Content-Range says: how many, and how many the object has, -1 for not known
// yet. They must follow those that are there; the first ones may be there already, and are sent again.
func pieceOf(r *http.Request, have int64) (again, size, total int64, err error) {
	size = r.ContentLength
	if size < 0 {
		return 0, 0, 0, errLength
	}
	value := r.Header.Get("Content-Range")
	bad := func(message string) (int64, int64, int64, error) {
		return 0, 0, 0, badArgument{"Content-Range", value, message}
	}
	if value == "" {
		if have > 0 {
			return bad("Bytes are there already; say where these belong.")
		}
		return 0, size, size, nil
	}
	piece, of, ok := strings.Cut(strings.TrimPrefix(value, "bytes "), "/")
	if total = -1; of != "*" {
		if total, err = strconv.ParseInt(of, 10, 62); err != nil || total < 0 {
			ok = false
		}
	}
	if !ok || !strings.HasPrefix(value, "bytes ") {
		return bad("Write bytes FIRST-LAST/TOTAL, or bytes */TOTAL to ask.")
	}
	if piece == "*" {
		if size != 0 || total >= 0 && total < have {
			return bad("It asks, and brings bytes, or has fewer than are there.")
		}
		return 0, 0, total, nil
	}
	first, last, _ := strings.Cut(piece, "-")
	from, err1 := strconv.ParseInt(first, 10, 62)
	to, err2 := strconv.ParseInt(last, 10, 62)
	switch {
	case err1 != nil || err2 != nil || from < 0 || to < from || total >= 0 && to >= total:
		return bad("Write bytes FIRST-LAST/TOTAL, or bytes */TOTAL to ask.")
	case to-from+1 != size:
		return bad("It does not have the size of the body.")
	case from > have:
		return bad(fmt.Sprintf("The next byte is %d.", have))
	}
	again = min(have-from, size)
	return again, size - again, total, nil
}
