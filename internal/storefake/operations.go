package storefake

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/cloudsigner/cloudsigner/signer"
)

// An operation is one thing that a provider does.
type operation struct {
	do      func(w http.ResponseWriter, r *http.Request, g *signer.Grant) error
	method  string
	bucket  bool     // to the bucket, not to an object
	by      []string // parameters that call for it
	header  string   // a header that calls for it
	params  []string // parameters that it knows besides
	headers []string // headers of the provider's own that it knows besides; "x-amz-meta-" stands for all that begin so
}

// vendors are what the headers of the providers begin with.
func vendors() []string { return []string{"x-amz-", "x-goog-", "x-oss-", "x-ms-"} }

// mentions reports whether a request has a header or a parameter that begins so, and is for that provider therefore.
func mentions(r *http.Request, vendor string) bool {
	begins := func(name string) bool { return strings.HasPrefix(strings.ToLower(name), vendor) }
	for name := range r.Header {
		if begins(name) {
			return true
		}
	}
	for name := range r.URL.Query() {
		if begins(name) {
			return true
		}
	}
	return false
}

// perform does the first operation of the list that the grant calls for. What an operation would pass over is refused.
func perform(list []operation, signed []string, w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	for _, op := range list {
		missing := func(param string) bool { return !g.Query.Has(param) }
		if op.method != g.Method || op.bucket != (g.Key == "") || slices.ContainsFunc(op.by, missing) ||
			op.header != "" && r.Header.Get(op.header) == "" {
			continue
		}
		if err := op.check(signed, r, g); err != nil {
			return err
		}
		return op.do(w, r, g)
	}
	return errNoMethod
}

// check refuses parameters that the operation does not know, and vendors' headers: all but those that go with the signature.
func (op *operation) check(signature []string, r *http.Request, g *signer.Grant) error {
	for name := range g.Query {
		custom := g.Backend == "s3" && strings.HasPrefix(name, "x-") && !strings.HasPrefix(name, "x-amz-") // S3 only logs these
		if !custom && !slices.Contains(op.by, name) && !slices.Contains(op.params, name) {
			return notImplemented{param: name}
		}
	}
	return op.checkHeaders(signature, r)
}

func (op *operation) checkHeaders(signature []string, r *http.Request) error {
	for name := range r.Header {
		lower := strings.ToLower(name)
		if !slices.ContainsFunc(vendors(), func(vendor string) bool { return strings.HasPrefix(lower, vendor) }) || slices.Contains(signature, lower) {
			continue
		}
		if !slices.ContainsFunc(op.headers, func(known string) bool {
			return lower == known || strings.HasSuffix(known, "-") && strings.HasPrefix(lower, known)
		}) {
			return notImplemented{header: name}
		}
	}
	return nil
}

// writeCondition reads the condition of an operation that writes. Of the standard headers it takes those that are known.
func writeCondition(r *http.Request, known ...string) (c condition, err error) {
	for _, name := range [...]string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		value := r.Header.Get(name)
		switch {
		case value == "":
		case !slices.Contains(known, name) || (value == "*") != (name == "If-None-Match"):
			return c, notImplemented{header: name}
		case name == "If-Match":
			c.etag = value
		default:
			c.fresh = true
		}
	}
	return c, nil
}

// body reads a body that is to be stored: its bytes count from before they come; release gives them back. Nothing of it can
// be seen before it is put somewhere. check holds it to what the request says of it.
func (s *Store) body(w http.ResponseWriter, r *http.Request, g *signer.Grant, check func(http.Header, content) error) (data content, release func(), err error) {
	size, err := bodySize(r, g, s.maxObject)
	if err != nil {
		return nil, nil, err
	}
	if release, err = s.objects.reserve(size); err != nil {
		return nil, nil, err
	}
	if data, err = s.readSigned(w, r, g, size); err == nil {
		err = check(r.Header, data)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return data, release, nil
}

// hasBody reports whether a request brings bytes. Some clients announce none, and not how many.
func hasBody(r *http.Request) bool {
	var first [1]byte
	n, _ := io.ReadFull(r.Body, first[:])
	return n > 0
}

// bodySize is the size of a body as it is announced.
func bodySize(r *http.Request, g *signer.Grant, most int64) (int64, error) {
	size := r.ContentLength
	if strings.HasPrefix(g.Payload, "STREAMING-") { // Content-Length counts the encoding, too
		size, _ = strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64) // Verify has read it
	}
	switch {
	case size < 0:
		return 0, errLength
	case size > most:
		return 0, tooLarge{size, most}
	}
	return size, nil
}

// readSigned reads a body and holds it to what was signed.
func (s *Store) readSigned(w http.ResponseWriter, r *http.Request, g *signer.Grant, size int64) (content, error) {
	if len(g.Payload) != 2*sha256.Size {
		return s.read(w, g.Body(r.Body), size)
	}
	got := sha256.New() // of what came; an error tells it
	data, err := s.read(w, g.Body(hashed{r.Body, got}), size)
	if errors.Is(err, signer.ErrMismatch) {
		err = otherBody{err, g.Payload, got.Sum(nil)}
	}
	return data, err
}

// hashed hashes a body while it is read.
type hashed struct {
	io.ReadCloser
	hash hash.Hash
}

func (h hashed) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	h.hash.Write(p[:n])
	return n, err
}

// save makes an object visible whose bytes were reserved, or gives them back.
func (s *Store) save(obj *object, cond condition, release func()) error {
	err := s.objects.put(obj, cond)
	if err != nil {
		release()
	}
	return err
}

// open finds an object for those who have no key to show.
func (s *Store) open(key string) (*object, error) {
	obj, err := s.objects.get(key)
	if err == nil && obj.lock != "" {
		return nil, errLocked
	}
	return obj, err
}

// metaName is the beginning of the names under which objects keep their users' metadata. Each provider shows them as its own.
const metaName = "X-Amz-Meta-"

// storedHeader picks what is kept of an upload's headers and sent back with the object: the media type, which is one of these or
// contentType, what else describes the bytes, and up to most bytes of metadata.
func storedHeader(in http.Header, vendor, contentType string, most int) (http.Header, error) {
	out := http.Header{"Content-Type": {contentType}}
	meta := 0
	for name, values := range in {
		lower := strings.ToLower(name)
		user, isMeta := strings.CutPrefix(lower, vendor+"meta-")
		switch {
		case isMeta:
			value := strings.Join(values, ",")
			meta += len(user) + len(value)
			out[http.CanonicalHeaderKey(metaName+user)] = []string{value}
		case slices.Contains([]string{"content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires"}, lower):
			if value := strings.Join(values, ","); value != "" {
				out.Set(name, value)
			}
		}
	}
	if meta > most {
		return nil, errMetaTooLarge
	}
	// aws-chunked is how the body came and not how it is.
	if kept := strings.Trim(strings.Replace(out.Get("Content-Encoding"), "aws-chunked", "", 1), ", "); kept != "" {
		out.Set("Content-Encoding", kept)
	} else {
		out.Del("Content-Encoding")
	}
	return out, nil
}

// shown is the object with a header of its own, with the metadata as the provider calls them.
func (o *object) shown(vendor string) *object {
	shown := *o
	shown.header = make(http.Header, len(o.header))
	for name, values := range o.header {
		if user, ok := strings.CutPrefix(name, metaName); ok {
			name = http.CanonicalHeaderKey(vendor + "meta-" + user)
		}
		shown.header[name] = slices.Clone(values)
	}
	return &shown
}

// checkMD5 holds a body to Content-MD5.
func checkMD5(h http.Header, body content) error {
	value := h.Get("Content-Md5")
	if value == "" {
		return nil
	}
	sum, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(sum) != md5.Size {
		return errDigestForm
	}
	ofBody := md5.New()
	add(ofBody, body)
	if !bytes.Equal(sum, ofBody.Sum(nil)) {
		return errDigest
	}
	return nil
}

func encodeSum(sum hash.Hash) string { return base64.StdEncoding.EncodeToString(sum.Sum(nil)) }
