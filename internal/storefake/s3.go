package storefake

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// s3Dialect is what Amazon S3 says to PUT, GET, HEAD and DELETE of an object, to its upload in parts and its copy, and to
// HEAD, LIST and DELETE of many in a bucket. Whatever else a request asks for is NotImplemented, never passed over.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
type s3Dialect struct {
	signer.Verifier
	store *Store
}

func newS3(store *Store) (*s3Dialect, error) {
	v, err := s3.NewVerifier(s3.VerifierConfig{
		Region:     store.Region,
		Addressing: signer.AddressingPath, // under any host: which ones are ours is decided before
		Clock:      store.Clock,
		Lookup: func(_ context.Context, id string) (s3.Credentials, error) {
			if id != store.Credentials.AccessKeyID {
				return s3.Credentials{}, signer.ErrUnknownKey
			}
			return store.Credentials, nil
		},
	})
	return &s3Dialect{v, store}, err
}

const (
	s3MaxKey  = 1024 // bytes of UTF-8
	s3MaxMeta = 2048 // bytes of names and values
	s3MaxList = 1000 // entries on a page, and in a request to delete
	s3MaxXML  = 4 << 20
)

// An s3Operation is one thing that S3 does.
type s3Operation struct {
	do      func(w http.ResponseWriter, r *http.Request, g *signer.Grant) error
	method  string
	bucket  bool     // to the bucket, not to an object
	by      []string // parameters that call for it
	header  string   // a header that calls for it
	params  []string // parameters that it knows besides
	headers []string // headers of S3's own that it knows besides; "x-amz-meta-" stands for all that begin so
}

// operations come with the more particular ones first.
func (d *s3Dialect) operations() []s3Operation {
	overrides := []string{"response-cache-control", "response-content-disposition", "response-content-encoding",
		"response-content-language", "response-content-type", "response-expires", "partNumber"}
	body := []string{"x-amz-checksum-", "x-amz-sdk-checksum-algorithm", "x-amz-decoded-content-length", "x-amz-trailer"}
	reading := []string{"x-amz-checksum-mode"} // asks for checksums, if any are kept
	return []s3Operation{
		{do: d.uploadPart, method: "PUT", by: []string{"partNumber", "uploadId"}, headers: body},
		{do: d.copy, method: "PUT", header: "X-Amz-Copy-Source", headers: []string{"x-amz-copy-source", "x-amz-metadata-directive", "x-amz-meta-"}},
		{do: d.put, method: "PUT", headers: append(body, "x-amz-meta-")},
		{do: d.listParts, method: "GET", by: []string{"uploadId"}, params: []string{"max-parts", "part-number-marker"}},
		{do: d.get, method: "GET", params: overrides, headers: reading},
		{do: d.get, method: "HEAD", params: overrides, headers: reading},
		{do: d.initiate, method: "POST", by: []string{"uploads"}, headers: []string{"x-amz-meta-", "x-amz-checksum-algorithm", "x-amz-checksum-type"}},
		{do: d.complete, method: "POST", by: []string{"uploadId"}, headers: append(body, "x-amz-mp-object-size")},
		{do: d.abort, method: "DELETE", by: []string{"uploadId"}},
		{do: d.delete, method: "DELETE"},

		{do: d.location, method: "GET", bucket: true, by: []string{"location"}},
		{do: d.listUploads, method: "GET", bucket: true, by: []string{"uploads"}, params: []string{"prefix", "delimiter", "encoding-type"}},
		{do: d.list, method: "GET", bucket: true, params: []string{"list-type", "prefix", "delimiter", "max-keys", "start-after",
			"continuation-token", "encoding-type", "fetch-owner"}},
		{do: d.headBucket, method: "HEAD", bucket: true},
		{do: d.deleteMany, method: "POST", bucket: true, by: []string{"delete"}, headers: body},
	}
}

func (d *s3Dialect) serve(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	requestID(w)
	if g.Bucket == "" { // the list of buckets
		return notImplemented{}
	}
	if g.Bucket != d.store.Bucket {
		return errNoBucket
	}
	if len(g.Key) > s3MaxKey {
		return errKeyTooLong
	}
	for _, op := range d.operations() {
		missing := func(param string) bool { return !g.Query.Has(param) }
		if op.method != g.Method || op.bucket != (g.Key == "") || slices.ContainsFunc(op.by, missing) ||
			op.header != "" && r.Header.Get(op.header) == "" {
			continue
		}
		if err := op.check(r, g); err != nil {
			return err
		}
		return op.do(w, r, g)
	}
	return errNoMethod
}

// check refuses what the operation would pass over.
func (op *s3Operation) check(r *http.Request, g *signer.Grant) error {
	for name := range g.Query {
		custom := strings.HasPrefix(name, "x-") && !strings.HasPrefix(name, "x-amz-") // S3 only logs these
		if !custom && !slices.Contains(op.by, name) && !slices.Contains(op.params, name) {
			return notImplemented{param: name}
		}
	}
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !slices.Contains(s3Headers(), lower) &&
			!slices.ContainsFunc(op.headers, func(known string) bool {
				return lower == known || strings.HasSuffix(known, "-") && strings.HasPrefix(lower, known)
			}) {
			return notImplemented{header: name}
		}
	}
	return nil
}

// serveForm is for form uploads, whose policies the store cannot judge yet.
func (d *s3Dialect) serveForm(w http.ResponseWriter, r *http.Request, f *form) error {
	requestID(w)
	return notImplemented{message: "This store does not take form uploads yet; presign a PUT."}
}

// s3Headers are those that the signature itself brings along.
func s3Headers() []string {
	return []string{"x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-region-set"}
}

// s3Condition reads the condition of an operation that writes. Where there is none, it is refused.
func s3Condition(r *http.Request, known ...string) (c condition, err error) {
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
// be seen before it is put somewhere.
func (d *s3Dialect) body(w http.ResponseWriter, r *http.Request, g *signer.Grant) (data []byte, release func(), err error) {
	size, err := bodySize(r, g, d.store.maxObject)
	if err != nil {
		return nil, nil, err
	}
	if release, err = d.store.objects.reserve(size); err != nil {
		return nil, nil, err
	}
	if data, err = readSigned(w, r, g, size); err == nil {
		err = checkDigests(r.Header, data)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return data, release, nil
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
func readSigned(w http.ResponseWriter, r *http.Request, g *signer.Grant, size int64) ([]byte, error) {
	if len(g.Payload) != 2*sha256.Size {
		return read(w, g.Body(r.Body), size)
	}
	got := sha256.New() // of what came; an error tells it
	data, err := read(w, g.Body(hashed{r.Body, got}), size)
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

func (d *s3Dialect) put(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	cond, err := s3Condition(r, "If-Match", "If-None-Match")
	if err != nil {
		return err
	}
	header, err := storedHeader(r.Header)
	if err != nil {
		return err
	}
	data, release, err := d.body(w, r, g)
	if err != nil {
		return err
	}
	obj := newObject(g.Key, data, header, d.store.Clock.Now())
	if err := d.store.objects.put(obj, cond); err != nil {
		release()
		return err
	}
	echoChecksums(w, r)
	w.Header().Set("ETag", obj.etag)
	w.WriteHeader(http.StatusOK)
	return nil
}

// s3Copied is the answer of CopyObject.
type s3Copied struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyObjectResult"`
	LastModified string
	ETag         string
}

// copy makes an object of another one. The header that names it is signed, as the Verifier demands of all of S3's own.
func (d *s3Dialect) copy(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	const sourceHeader, directiveHeader = "X-Amz-Copy-Source", "X-Amz-Metadata-Directive"
	cond, err := s3Condition(r, "If-Match", "If-None-Match")
	if err != nil {
		return err
	}
	source := r.Header.Get(sourceHeader)
	path, version, _ := strings.Cut(source, "?")
	if version != "" {
		return notImplemented{header: sourceHeader}
	}
	path, err = url.PathUnescape(path)
	bucket, key, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	directive := r.Header.Get(directiveHeader)
	switch {
	case err != nil || !ok || bucket == "" || key == "":
		return badArgument{sourceHeader, source, "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"}
	case bucket != d.store.Bucket:
		return errNoBucket
	case directive != "" && directive != "COPY" && directive != "REPLACE":
		return badArgument{directiveHeader, directive, "Unknown metadata directive."}
	case r.ContentLength != 0:
		return badRequest("A copy has no body.")
	}
	from, err := d.store.objects.get(key)
	if err != nil {
		return err
	}
	header := from.header
	if directive == "REPLACE" {
		if header, err = storedHeader(r.Header); err != nil {
			return err
		}
	} else if key == g.Key {
		return badRequest("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	release, err := d.store.objects.reserve(from.size())
	if err != nil {
		return err
	}
	obj := newObject(g.Key, from.data, header, d.store.Clock.Now())
	if err := d.store.objects.put(obj, cond); err != nil {
		release()
		return err
	}
	writeXML(w, http.StatusOK, s3Copied{LastModified: s3Time(obj.modified), ETag: obj.etag})
	return nil
}

// storedHeader picks what S3 keeps of an upload's headers and sends back with the object.
func storedHeader(in http.Header) (http.Header, error) {
	out := http.Header{"Content-Type": {"binary/octet-stream"}}
	meta := 0
	for name, values := range in {
		lower := strings.ToLower(name)
		user, isMeta := strings.CutPrefix(lower, "x-amz-meta-")
		switch {
		case isMeta:
			value := strings.Join(values, ",")
			meta += len(user) + len(value)
			out[http.CanonicalHeaderKey(name)] = []string{value}
		case slices.Contains([]string{"content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires"}, lower):
			if value := strings.Join(values, ","); value != "" {
				out.Set(name, value)
			}
		}
	}
	if meta > s3MaxMeta {
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

// checkDigests holds a body to Content-MD5 and to the checksums that the request names.
func checkDigests(h http.Header, body []byte) error {
	if err := checkMD5(h, body); err != nil {
		return err
	}
	for algorithm, value := range checksums(h) {
		sum := checksum(algorithm)
		if sum == nil {
			return notImplemented{header: http.CanonicalHeaderKey(checksumPrefix + algorithm)}
		}
		sum.Write(body)
		if encodeSum(sum) != value {
			return otherChecksum{strings.ToUpper(algorithm)}
		}
	}
	return nil
}

func checkMD5(h http.Header, body []byte) error {
	if value := h.Get("Content-Md5"); value != "" {
		sum, err := base64.StdEncoding.DecodeString(value)
		if err != nil || len(sum) != md5.Size {
			return errDigestForm
		}
		if [md5.Size]byte(sum) != md5.Sum(body) {
			return errDigest
		}
	}
	return nil
}

const checksumPrefix = "X-Amz-Checksum-"

// checksums are those that headers name, by their algorithms. Two headers of the kind only say what S3 shall keep and
// answer with, and the store keeps none.
func checksums(h http.Header) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for name, values := range h {
			algorithm, ok := strings.CutPrefix(http.CanonicalHeaderKey(name), checksumPrefix)
			algorithm = strings.ToLower(algorithm)
			if ok && algorithm != "algorithm" && algorithm != "type" && !yield(algorithm, strings.Join(values, ",")) {
				return
			}
		}
	}
}

// checksum returns the algorithm of a name, as a header ends in, or nil.
func checksum(algorithm string) hash.Hash {
	switch algorithm {
	case "crc32":
		return crc32.NewIEEE()
	case "crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "crc64nvme":
		return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5))
	case "sha1":
		return sha1.New()
	case "sha256":
		return sha256.New()
	}
	return nil
}

func encodeSum(sum hash.Hash) string { return base64.StdEncoding.EncodeToString(sum.Sum(nil)) }

// echoChecksums repeats the checksums that were found right; clients name those of the parts when they complete an upload.
func echoChecksums(w http.ResponseWriter, r *http.Request) {
	for algorithm, value := range checksums(r.Header) {
		w.Header().Set(checksumPrefix+algorithm, value)
	}
}

func (d *s3Dialect) get(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	obj, err := d.store.objects.get(g.Key)
	if err != nil {
		return err
	}
	shown := *obj
	shown.header = obj.header.Clone()
	for name, values := range g.Query {
		if header, ok := strings.CutPrefix(name, "response-"); ok {
			shown.header.Set(header, strings.Join(values, ","))
		}
	}
	if g.Query.Has("partNumber") {
		if r, err = partRange(r, g.Query.Get("partNumber"), &shown); err != nil {
			return err
		}
	}
	return shown.send(w, r)
}

// partRange makes a request for a part, as it was uploaded, one for a range.
func partRange(r *http.Request, number string, obj *object) (*http.Request, error) {
	n, err := partNumber(number)
	if err != nil {
		return nil, err
	}
	if r.Header.Get("Range") != "" {
		return nil, badRequest("Cannot specify both Range header and partNumber query parameter")
	}
	ends := obj.ends
	if ends == nil {
		ends = []int64{obj.size()}
	} else {
		obj.header.Set("X-Amz-Mp-Parts-Count", strconv.Itoa(len(ends)))
	}
	if n > len(ends) {
		return nil, badPartNumber{n, len(ends)}
	}
	start := int64(0)
	if n > 1 {
		start = ends[n-2]
	}
	if start == ends[n-1] { // a range without bytes cannot be asked for
		obj.data = nil
		return r, nil
	}
	r = r.Clone(r.Context())
	r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", start, ends[n-1]-1))
	return r, nil
}

func (d *s3Dialect) delete(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	if _, err := s3Condition(r); err != nil {
		return err
	}
	d.store.objects.remove(g.Key)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// count reads a number of entries.
func count(q url.Values, name string, unset int) (int, error) {
	if !q.Has(name) {
		return unset, nil
	}
	n, err := strconv.ParseInt(q.Get(name), 10, 32)
	if err != nil || n < 0 {
		return 0, badArgument{name, q.Get(name), "Provided " + name + " not an integer or within integer range"}
	}
	return int(n), nil
}

// s3Time writes a time as S3's listings do.
func s3Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// requestID returns the identity of the answer, made when it is first asked for.
func requestID(w http.ResponseWriter) string {
	const name = "X-Amz-Request-Id"
	if w.Header().Get(name) == "" {
		w.Header().Set(name, rand.Text()[:16])
	}
	return w.Header().Get(name)
}

func writeXML(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	io.WriteString(w, xml.Header)
	xml.NewEncoder(w).Encode(v) // an error here is a client that is gone
}
