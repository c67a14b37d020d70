package storefake

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"net/url"

	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

func (d *s3Dialect) headBucket(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	w.Header().Set("X-Amz-Bucket-Region", d.store.Region)
	w.WriteHeader(http.StatusOK)
	return nil
}

// s3Location is the answer of GetBucketLocation.
type s3Location struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
	Region  string   `xml:",chardata"`
}

func (d *s3Dialect) location(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	region := d.store.Region
	if region == "us-east-1" { // which is older than the others, and has no name here
		region = ""
	}
	writeXML(w, http.StatusOK, s3Location{Region: region})
	return nil
}

// s3List is the answer of ListObjectsV2.
type s3List struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
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
	Contents              []s3Entry
	CommonPrefixes        []s3Prefix
}

type s3Entry struct {
	Key          string
	LastModified string
	ETag         string
	Size         int64
	StorageClass string
}

type s3Prefix struct{ Prefix string }

func (d *s3Dialect) list(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	q := g.Query
	if q.Get("list-type") != "2" { // the old listing
		return notImplemented{param: "list-type"}
	}
	most, err := count(q, "max-keys", s3MaxList)
	if err != nil {
		return err
	}
	most = min(most, s3MaxList)
	token, err := base64.RawURLEncoding.DecodeString(q.Get("continuation-token"))
	if err != nil || q.Has("continuation-token") && len(token) == 0 {
		return badArgument{"continuation-token", q.Get("continuation-token"), "The continuation token provided is incorrect"}
	}
	encode, err := keyEncoding(q)
	if err != nil {
		return err
	}
	p := d.store.objects.list(q.Get("prefix"), q.Get("delimiter"), q.Get("start-after"), string(token), most)
	answer := s3List{
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
		answer.Contents = append(answer.Contents, s3Entry{encode(o.key), s3Time(o.modified),
			o.etag, int64(len(o.data)), "STANDARD"})
	}
	for _, prefix := range p.prefixes {
		answer.CommonPrefixes = append(answer.CommonPrefixes, s3Prefix{encode(prefix)})
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

// s3Delete is the request of DeleteObjects.
type s3Delete struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool
	Object  []struct {
		Key  string
		Rest []s3Detail `xml:",any"`
	}
}

// s3Deleted is the answer.
type s3Deleted struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
	Deleted []s3DeletedKey
}

type s3DeletedKey struct{ Key string }

func (d *s3Dialect) deleteMany(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	guarded := r.Header.Get("Content-Md5") != "" || r.Header.Get("X-Amz-Trailer") != "" // a trailer is checked by Grant.Body
	for range checksums(r.Header) {
		guarded = true
	}
	if !guarded {
		return badRequest("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	var list s3Delete
	if err := readXML(w, r, g, checkDigests, &list); err != nil {
		return err
	}
	if len(list.Object) == 0 || len(list.Object) > s3MaxList {
		return errXML
	}
	for _, o := range list.Object {
		switch {
		case o.Key == "":
			return errXML
		case len(o.Key) > s3MaxKey:
			return errKeyTooLong
		case len(o.Rest) > 0: // a version, or a condition
			return notImplemented{param: o.Rest[0].XMLName.Local}
		}
	}
	var answer s3Deleted
	for _, o := range list.Object {
		d.store.objects.remove(o.Key)
		if !list.Quiet {
			answer.Deleted = append(answer.Deleted, s3DeletedKey{o.Key})
		}
	}
	writeXML(w, http.StatusOK, answer)
	return nil
}

// readXML reads a request that is a document, and holds it to its digests. Nothing of it is done unless all of it is what was
// signed. It does not count as stored: a store that is full can still delete.
func readXML(w http.ResponseWriter, r *http.Request, g *signer.Grant, check func(http.Header, []byte) error, v any) error {
	size, err := bodySize(r, g, s3MaxXML)
	if err != nil {
		return err
	}
	data, err := readSigned(w, r, g, size)
	if err != nil {
		return err
	}
	if err := check(r.Header, data); err != nil {
		return err
	}
	if xml.Unmarshal(data, v) != nil {
		return errXML
	}
	return nil
}
