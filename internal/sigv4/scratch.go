package sigv4

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A Header is a signed header in its canonical form: the name in lower case, the value folded.
type Header struct{ Name, Value []byte }

// AppendSignedHeaders appends the names of headers, joined with sep: ";", or "%3B" for a query, where the names are encoded too.
func AppendSignedHeaders(dst []byte, headers []Header, sep string) []byte {
	for i := range headers {
		h := &headers[i]
		if i > 0 {
			dst = append(dst, sep...)
		}
		if sep == ";" {
			dst = append(dst, h.Name...)
		} else {
			dst = wire.AppendEscape(dst, h.Name)
		}
	}
	return dst
}

// Scratch is the memory of one signature. It is pooled, so that signing allocates only what it returns.
type Scratch struct {
	Plan   pipeline.Plan // the life of the URL
	Offset time.Duration // the correction that its clock contains

	URL       []byte // the URL, of which path and query are parts
	Path      []byte // the canonical path, where the URL's is not
	Query     []byte // the canonical query, where the URL's is not
	Canonical []byte // the canonical request
	ToSign    []byte // the string to sign

	Headers []Header
	arena   []byte // the bytes of headers; append may move it, which leaves older slices valid
	Params  wire.Params

	stamps [2]struct { // the last two: a URL can have a start and an end
		unix  int64
		stamp Stamp
	}
	older int // of the two
	kept  any // see Kept
}

// TakeScratch takes memory from a pool.
func TakeScratch(pool *sync.Pool) *Scratch {
	if w, ok := pool.Get().(*Scratch); ok {
		return w
	}
	return new(Scratch)
}

// Release gives the memory back, unless a huge request made it huge.
func (w *Scratch) Release(pool *sync.Pool) {
	const most = 64 << 10
	if cap(w.URL) > most || cap(w.Canonical) > most || cap(w.arena) > most {
		return
	}
	w.Reset()
	pool.Put(w)
}

// Reset forgets headers and parameters.
func (w *Scratch) Reset() {
	clear(w.Headers)
	w.Headers, w.arena = w.Headers[:0], w.arena[:0]
	w.Params.Reset()
}

// Stamp is StampOf, which it does once for the URLs of one second.
func (w *Scratch) Stamp(unix int64) Stamp {
	for i := range w.stamps {
		if s := &w.stamps[i]; s.unix == unix && s.stamp[0] != 0 {
			w.older = 1 - i
			return s.stamp
		}
	}
	s := &w.stamps[w.older]
	s.unix, s.stamp = unix, StampOf(unix)
	w.older = 1 - w.older
	return s.stamp
}

// AddHost adds the Host header, which needs no folding. It keeps host until the next Reset.
func (w *Scratch) AddHost(host []byte) {
	start := len(w.arena)
	w.arena = append(w.arena, "host"...)
	w.Headers = append(w.Headers, Header{w.arena[start:len(w.arena):len(w.arena)], host[:len(host):len(host)]})
}

// AddHeader adds a header; the values are folded and joined with commas.
func (w *Scratch) AddHeader(name string, values ...string) {
	start := len(w.arena)
	w.arena = wire.AppendLower(w.arena, name)
	mid := len(w.arena)
	for i, v := range values {
		if i > 0 {
			w.arena = append(w.arena, ',')
		}
		w.arena = wire.AppendFolded(w.arena, v)
	}
	w.Headers = append(w.Headers, Header{w.arena[start:mid:mid], w.arena[mid:len(w.arena):len(w.arena)]})
}

// SortHeaders sorts by name. Two entries of one name (in an http.Header, two spellings) have no defined order, so they
// are an error.
func (w *Scratch) SortHeaders(op pipeline.Op) error {
	if len(w.Headers) < 2 {
		return nil
	}
	slices.SortFunc(w.Headers, func(a, b Header) int { return bytes.Compare(a.Name, b.Name) })
	for i := 1; i < len(w.Headers); i++ {
		if bytes.Equal(w.Headers[i-1].Name, w.Headers[i].Name) {
			return op.Errorf(signer.ErrRequest, "Header", "%s is there twice, in two spellings; use http.Header.Set", w.Headers[i].Name)
		}
	}
	return nil
}

// AddRequestHeaders adds the headers of a request that a signature covers. Host and Content-Length are what net/http sends,
// which is not what the map says.
func (w *Scratch) AddRequestHeaders(op pipeline.Op, h http.Header, length int64, host string) error {
	w.AddHeader("host", host)
	if length > 0 {
		w.AddHeader("content-length", strconv.FormatInt(length, 10))
	}
	for name, values := range h {
		switch {
		case strings.EqualFold(name, "Host") || strings.EqualFold(name, "Content-Length"):
		case pipeline.Unsignable(name) || len(values) == 0: // the latter is not sent
		default:
			w.AddHeader(name, values...)
		}
	}
	return w.SortHeaders(op)
}

// Presigned makes the result for w.URL, with the headers of req that w.Headers has, as they are sent.
func (w *Scratch) Presigned(method string, req *http.Request, host string) *signer.Presigned {
	p := pipeline.Presigned(method, w.URL, &w.Plan, w.Offset)
	for _, h := range w.Headers {
		switch name := string(h.Name); name {
		case "host":
			if host != req.URL.Host {
				pipeline.SetHeader(&p.Header, name, []string{host})
			}
		case "content-length":
			pipeline.SetHeader(&p.Header, name, []string{string(h.Value)})
		default:
			pipeline.SetHeader(&p.Header, name, pipeline.HeaderValues(req.Header, name))
		}
	}
	return p
}

// CanonicalPathAndQuery leaves them in w.Path and w.Query.
func (w *Scratch) CanonicalPathAndQuery(op pipeline.Op, path, rawQuery string) (err error) {
	if w.Path, err = wire.AppendCanonicalPath(w.Path[:0], path); err != nil {
		return op.Errorf(signer.ErrRequest, "URL", "its path: %w", err)
	}
	if err = w.Params.Parse(rawQuery); err != nil {
		return op.Errorf(signer.ErrRequest, "URL", "its query: %w", err)
	}
	w.Params.Sort()
	w.Query = wire.AppendParams(w.Query[:0], w.Params.List)
	return nil
}

// Trace hands the intermediate values to whoever asked for them.
func (w *Scratch) Trace(ctx context.Context) {
	if t := signer.TraceFrom(ctx); t != nil {
		t.CanonicalRequest = append([]byte(nil), w.Canonical...)
		t.StringToSign = append([]byte(nil), w.ToSign...)
	}
}

// Kept returns the one value that w keeps from one signature for the next, new if there is none.
func Kept[T any](w *Scratch) *T {
	v, ok := w.kept.(*T)
	if !ok {
		v = new(T)
		w.kept = v
	}
	return v
}

// A Frame is what signatures share that differ in nothing but a name, an object's: what is signed before the name and behind it, and
// the query of the URL. Keep the last one in a Scratch: a service which signs many URLs in a second puts it together once. An
// ID holds all that the frame follows from, so that it never serves another.
type Frame[ID comparable] struct {
	of                 ID
	text               []byte // what is signed before the name and behind it, and the query as far as the signature
	front, back, query int    // their lengths
}

// Fits reports whether f is the frame of id.
func (f *Frame[ID]) Fits(id ID) bool { return f.of == id && f.query > 0 }

// Keep makes f the frame of id, out of a text that is signed and has the name between two places.
func (f *Frame[ID]) Keep(id ID, signed []byte, from, to int, query []byte) {
	f.of, f.front, f.back, f.query = id, from, len(signed)-to, len(query)
	f.text = slices.Grow(f.text[:0], f.front+f.back+f.query)
	f.text = append(append(append(f.text, signed[:from]...), signed[to:]...), query...)
}

// AppendSigned appends what is signed with a name, which is given as it stands there.
func AppendSigned[ID comparable, Name string | []byte](dst []byte, f *Frame[ID], name Name) []byte {
	return append(append(append(dst, f.text[:f.front]...), name...), f.text[f.front:f.front+f.back]...)
}

// AppendQuery appends the query.
func (f *Frame[ID]) AppendQuery(dst []byte) []byte { return append(dst, f.text[f.front+f.back:]...) }
