package storefake

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// An xmlAPI is what S3, the XML API of Cloud Storage and OSS have in common: operations on objects and on the bucket, whose answers
// are the same documents. What differs is told here.
type xmlAPI struct {
	store        *Store
	vendor       string // what the names of its headers begin with: "x-amz-"
	namespace    string // of its documents
	storageClass string // of all objects
	contentType  string // of an object that came without
	requestID    string // the header with the identity of an answer
	maxMeta      int    // bytes of names and values
	minPart      int64  // bytes of a part that others follow

	conditions []string                                             // standard headers that it takes for conditions on what is written
	digests    func(h http.Header, body content) error              // holds a body to what the request says of it
	receipt    func(h http.Header, r *http.Request, stored content) // tells of bytes that were stored
	about      func(h http.Header, o *object)                       // tells of an object
}

const (
	maxKey  = 1024    // bytes of UTF-8
	maxList = 1000    // entries on a page, and in a request to delete
	maxXML  = 4 << 20 // bytes
)

// place says whether the grant is for something that is here.
func (s *Store) place(g *signer.Grant) error {
	switch {
	case g.Bucket == "": // the list of buckets
		return notImplemented{}
	case g.Bucket != s.Bucket:
		return errNoBucket
	case len(g.Key) > maxKey:
		return errKeyTooLong
	}
	return nil
}

func (a *xmlAPI) condition(r *http.Request) (condition, error) {
	c, err := writeCondition(r, a.conditions...)
	if err != nil {
		return c, err
	}
	if value := r.Header.Get("X-Goog-If-Generation-Match"); value != "" {
		if _, err := strconv.ParseUint(value, 10, 63); err != nil || value[0] == '0' && value != "0" {
			return c, badArgument{"x-goog-if-generation-match", value, "It is no generation."}
		}
		c.generation = value
	}
	switch value := r.Header.Get("X-Oss-Forbid-Overwrite"); value {
	case "", "false":
	case "true":
		c.fresh = true
	default:
		return c, badArgument{"x-oss-forbid-overwrite", value, "It is neither true nor false."}
	}
	return c, nil
}

func (a *xmlAPI) storedHeader(h http.Header) (http.Header, error) {
	return storedHeader(h, a.vendor, a.contentType, a.maxMeta)
}

func (a *xmlAPI) put(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	cond, err := a.condition(r)
	if err != nil {
		return err
	}
	header, err := a.storedHeader(r.Header)
	if err != nil {
		return err
	}
	data, release, err := a.store.body(w, r, g, a.digests)
	if err != nil {
		return err
	}
	obj := newObject(g.Key, data, header, a.store.Clock.Now())
	if err := a.store.save(obj, cond, release); err != nil {
		return err
	}
	a.receipt(w.Header(), r, data)
	a.about(w.Header(), obj)
	w.Header().Set("ETag", obj.etag)
	w.WriteHeader(http.StatusOK)
	return nil
}

// copied is the answer of CopyObject.
type copied struct {
	XMLName      xml.Name
	LastModified string
	ETag         string
}

// copy makes an object of another one. The header that names it is signed, as the Verifier demands of all of a provider's own.
func (a *xmlAPI) copy(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	sourceHeader := http.CanonicalHeaderKey(a.vendor + "copy-source")
	directiveHeader := http.CanonicalHeaderKey(a.vendor + "metadata-directive")
	cond, err := a.condition(r)
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
	case bucket != a.store.Bucket:
		return errNoBucket
	case directive != "" && directive != "COPY" && directive != "REPLACE":
		return badArgument{directiveHeader, directive, "Unknown metadata directive."}
	case hasBody(r):
		return badRequest("A copy has no body.")
	}
	from, err := a.store.open(key)
	if err != nil {
		return err
	}
	header := from.header
	if directive == "REPLACE" {
		if header, err = a.storedHeader(r.Header); err != nil {
			return err
		}
	} else if key == g.Key {
		return badRequest("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	release, err := a.store.objects.reserve(from.size())
	if err != nil {
		return err
	}
	obj := newObject(g.Key, from.data, header, a.store.Clock.Now())
	if err := a.store.save(obj, cond, release); err != nil {
		return err
	}
	writeXML(w, http.StatusOK, copied{XMLName: a.name("CopyObjectResult"), LastModified: xmlTime(obj.modified), ETag: obj.etag})
	return nil
}

func (a *xmlAPI) get(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	obj, err := a.store.open(g.Key)
	if err != nil {
		return err
	}
	return a.send(w, r, g, obj)
}

// send answers with an object.
func (a *xmlAPI) send(w http.ResponseWriter, r *http.Request, g *signer.Grant, obj *object) (err error) {
	shown := obj.shown(a.vendor)
	a.about(shown.header, obj)
	for name, values := range g.Query {
		if header, ok := strings.CutPrefix(name, "response-"); ok {
			shown.header.Set(header, strings.Join(values, ","))
		}
	}
	if g.Query.Has("partNumber") {
		if r, err = a.partRange(r, g.Query.Get("partNumber"), shown); err != nil {
			return err
		}
	}
	return shown.send(w, r)
}

// partRange makes a request for a part, as it was uploaded, one for a range.
func (a *xmlAPI) partRange(r *http.Request, number string, obj *object) (*http.Request, error) {
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
		obj.header.Set(a.vendor+"mp-parts-count", strconv.Itoa(len(ends)))
	}
	if n > len(ends) {
		return nil, badPartNumber{n, len(ends)}
	}
	start := int64(0)
	if n > 1 {
		start = ends[n-2]
	}
	if start == ends[n-1] { // a range without bytes cannot be asked for
		obj.data = new(joined)
		return r, nil
	}
	r = r.Clone(r.Context())
	r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", start, ends[n-1]-1))
	return r, nil
}

// remove answers alike whether there is such an object or not.
func (a *xmlAPI) remove(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	cond, err := writeCondition(r)
	if err != nil {
		return err
	}
	a.store.objects.remove(g.Key, cond)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// A listing is the answer of ListObjectsV2.
type listing struct {
	XMLName               xml.Name
	Name                  string
	Prefix                string
	Delimiter             string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	KeyCount              int
	MaxKeys               int
	EncodingType          string `xml:",omitempty"`
	IsTruncated           bool
	Contents              []listed
	CommonPrefixes        []listedPrefix
}

type listed struct {
	Key            string
	Generation     int64 `xml:",omitempty"` // and MetaGeneration: of Cloud Storage
	MetaGeneration int   `xml:",omitempty"`
	LastModified   string
	ETag           string
	Type           string `xml:",omitempty"` // of OSS
	Size           int64
	StorageClass   string
}

type listedPrefix struct{ Prefix string }

func (a *xmlAPI) list(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	q := g.Query
	if q.Get("list-type") != "2" { // the old listing
		return notImplemented{param: "list-type"}
	}
	most, err := count(q, "max-keys", maxList)
	if err != nil {
		return err
	}
	most = min(most, maxList)
	token, err := base64.RawURLEncoding.DecodeString(q.Get("continuation-token"))
	if err != nil || q.Has("continuation-token") && len(token) == 0 {
		return badArgument{"continuation-token", q.Get("continuation-token"), "The continuation token provided is incorrect"}
	}
	encode, err := keyEncoding(q)
	if err != nil {
		return err
	}
	p := a.store.objects.list(q.Get("prefix"), q.Get("delimiter"), q.Get("start-after"), string(token), most)
	answer := listing{
		XMLName:           a.name("ListBucketResult"),
		Name:              g.Bucket,
		Prefix:            encode(q.Get("prefix")),
		Delimiter:         encode(q.Get("delimiter")),
		StartAfter:        encode(q.Get("start-after")),
		ContinuationToken: q.Get("continuation-token"),
		KeyCount:          len(p.objects) + len(p.prefixes),
		MaxKeys:           most,
		EncodingType:      q.Get("encoding-type"),
		IsTruncated:       p.last != "",
	}
	if p.last != "" {
		answer.NextContinuationToken = base64.RawURLEncoding.EncodeToString([]byte(p.last))
	}
	for _, o := range p.objects {
		entry := listed{Key: encode(o.key), LastModified: xmlTime(o.modified), ETag: o.etag, Size: o.size(), StorageClass: a.storageClass}
		switch g.Backend {
		case "gcs":
			entry.Generation, entry.MetaGeneration = o.generation, 1
		case "oss":
			entry.Type = "Normal"
		}
		answer.Contents = append(answer.Contents, entry)
	}
	for _, prefix := range p.prefixes {
		answer.CommonPrefixes = append(answer.CommonPrefixes, listedPrefix{encode(prefix)})
	}
	writeXML(w, http.StatusOK, answer)
	return nil
}

// keyEncoding returns how a listing shall write names. As they are, XML cannot hold all of them.
func keyEncoding(q url.Values) (func(string) string, error) {
	switch encoding := q.Get("encoding-type"); {
	case encoding == "url":
		return func(s string) string { return string(wire.AppendEscapePath(nil, s)) }, nil
	case q.Has("encoding-type"):
		return nil, badArgument{"encoding-type", encoding, "Invalid Encoding Method specified in Request"}
	}
	return func(s string) string { return s }, nil
}

// deletion is the request of DeleteObjects.
type deletion struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool
	Object  []struct {
		Key  string
		Rest []element `xml:",any"`
	}
}

// deleted is the answer.
type deleted struct {
	XMLName      xml.Name
	EncodingType string `xml:",omitempty"`
	Deleted      []deletedKey
}

type deletedKey struct{ Key string }

// removeMany deletes the objects of a list that is held to its digests.
func (a *xmlAPI) removeMany(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	encode, err := keyEncoding(g.Query)
	if err != nil {
		return err
	}
	var list deletion
	if err := a.store.readXML(w, r, g, a.digests, &list); err != nil {
		return err
	}
	if len(list.Object) == 0 || len(list.Object) > maxList {
		return errXML
	}
	for _, o := range list.Object {
		switch {
		case o.Key == "":
			return errXML
		case len(o.Key) > maxKey:
			return errKeyTooLong
		case len(o.Rest) > 0: // a version, or a condition
			return notImplemented{param: o.Rest[0].XMLName.Local}
		}
	}
	answer := deleted{XMLName: a.name("DeleteResult"), EncodingType: g.Query.Get("encoding-type")}
	for _, o := range list.Object {
		a.store.objects.remove(o.Key, condition{})
		if !list.Quiet {
			answer.Deleted = append(answer.Deleted, deletedKey{encode(o.Key)})
		}
	}
	writeXML(w, http.StatusOK, answer)
	return nil
}

// readXML reads a request that is a document, and holds it to its digests. Nothing of it is done unless all of it is what was
// signed. It does not count as stored: a store that is full can still delete.
func (s *Store) readXML(w http.ResponseWriter, r *http.Request, g *signer.Grant, check func(http.Header, content) error, v any) error {
	size, err := bodySize(r, g, maxXML)
	if err != nil {
		return err
	}
	data, err := s.readSigned(w, r, g, size)
	if err != nil {
		return err
	}
	if err := check(r.Header, data); err != nil {
		return err
	}
	if xml.NewDecoder(open(data)).Decode(v) != nil {
		return errXML
	}
	return nil
}

// location is the answer of GetBucketLocation.
type location struct {
	XMLName xml.Name
	Region  string `xml:",chardata"`
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

// name is that of a document.
func (a *xmlAPI) name(local string) xml.Name { return xml.Name{Space: a.namespace, Local: local} }

// xmlTime writes a time as listings do.
func xmlTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func writeXML(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	io.WriteString(w, xml.Header)
	xml.NewEncoder(w).Encode(v) // an error here is a client that is gone
}
