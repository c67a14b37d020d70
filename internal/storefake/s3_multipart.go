package storefake

import (
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is S3's upload in parts.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html

// s3Initiated is the answer of CreateMultipartUpload.
type s3Initiated struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
	Bucket   string
	Key      string
	UploadId string
}

func (d *s3Dialect) initiate(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	header, err := storedHeader(r.Header)
	if err != nil {
		return err
	}
	id, err := d.store.objects.begin(g.Key, header, d.store.Clock.Now())
	if err != nil {
		return err
	}
	writeXML(w, http.StatusOK, s3Initiated{Bucket: g.Bucket, Key: g.Key, UploadId: id})
	return nil
}

// s3Uploads is the answer of ListMultipartUploads. All of them fit on one page.
type s3Uploads struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListMultipartUploadsResult"`
	Bucket       string
	Prefix       string
	EncodingType string `xml:",omitempty"`
	MaxUploads   int
	IsTruncated  bool
	Upload       []s3Upload
}

type s3Upload struct {
	Key          string
	UploadId     string
	StorageClass string
	Initiated    string
}

func (d *s3Dialect) listUploads(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	prefix := g.Query.Get("prefix")
	if g.Query.Get("delimiter") != "" {
		return notImplemented{param: "delimiter"}
	}
	encode, err := keyEncoding(g.Query)
	if err != nil {
		return err
	}
	uploads := d.store.objects.listUploads(prefix)
	answer := s3Uploads{Bucket: g.Bucket, Prefix: encode(prefix), EncodingType: g.Query.Get("encoding-type"), MaxUploads: max(s3MaxList, len(uploads))}
	for _, u := range uploads {
		answer.Upload = append(answer.Upload, s3Upload{encode(u.key), u.id, "STANDARD", s3Time(u.initiated)})
	}
	writeXML(w, http.StatusOK, answer)
	return nil
}

// partNumber reads the number of a part.
func partNumber(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxParts {
		return 0, badArgument{"partNumber", s, "Part number must be an integer between 1 and 10000, inclusive"}
	}
	return n, nil
}

func (d *s3Dialect) uploadPart(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	if _, err := s3Condition(r); err != nil {
		return err
	}
	id := g.Query.Get("uploadId")
	n, err := partNumber(g.Query.Get("partNumber"))
	if err != nil {
		return err
	}
	if _, err := d.store.objects.listParts(g.Key, id); err != nil {
		return err // before the body is read
	}
	data, release, err := d.body(w, r, g)
	if err != nil {
		return err
	}
	p := newPart(n, data, d.store.Clock.Now())
	if err := d.store.objects.addPart(g.Key, id, p); err != nil {
		release()
		return err
	}
	echoChecksums(w, r)
	w.Header().Set("ETag", p.etag())
	w.WriteHeader(http.StatusOK)
	return nil
}

func (d *s3Dialect) abort(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	if _, err := s3Condition(r); err != nil {
		return err
	}
	if err := d.store.objects.abort(g.Key, g.Query.Get("uploadId")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// s3Parts is the answer of ListParts.
type s3Parts struct {
	XMLName              xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListPartsResult"`
	Bucket               string
	Key                  string
	UploadId             string
	PartNumberMarker     int
	NextPartNumberMarker int `xml:",omitempty"`
	MaxParts             int
	IsTruncated          bool
	StorageClass         string
	Part                 []s3Part
}

type s3Part struct {
	PartNumber   int
	LastModified string
	ETag         string
	Size         int64
}

func (d *s3Dialect) listParts(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	most, err := count(g.Query, "max-parts", s3MaxList)
	if err != nil {
		return err
	}
	marker, err := count(g.Query, "part-number-marker", 0)
	if err != nil {
		return err
	}
	most = min(most, s3MaxList)
	parts, err := d.store.objects.listParts(g.Key, g.Query.Get("uploadId"))
	if err != nil {
		return err
	}
	answer := s3Parts{Bucket: g.Bucket, Key: g.Key, UploadId: g.Query.Get("uploadId"), PartNumberMarker: marker, MaxParts: most, StorageClass: "STANDARD"}
	for _, p := range parts {
		if p.number <= marker {
			continue
		}
		if len(answer.Part) == most {
			answer.IsTruncated = true
			break
		}
		answer.Part = append(answer.Part, s3Part{p.number, s3Time(p.modified), p.etag(), p.size()})
		answer.NextPartNumberMarker = p.number
	}
	writeXML(w, http.StatusOK, answer)
	return nil
}

// s3Complete is the request of CompleteMultipartUpload.
type s3Complete struct {
	XMLName xml.Name `xml:"CompleteMultipartUpload"`
	Part    []struct {
		PartNumber int
		ETag       string
		Rest       []s3Detail `xml:",any"` // checksums
	}
}

// s3Completed is the answer.
type s3Completed struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
	Location string
	Bucket   string
	Key      string
	ETag     string
}

func (d *s3Dialect) complete(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	cond, err := s3Condition(r, "If-Match", "If-None-Match")
	if err != nil {
		return err
	}
	id := g.Query.Get("uploadId")
	var list s3Complete
	if err := readXML(w, r, g, checkMD5, &list); err != nil {
		return err
	}
	if len(list.Part) == 0 || len(list.Part) > maxParts {
		return errXML
	}
	var refs []partRef
	for _, p := range list.Part {
		refs = append(refs, partRef{p.PartNumber, p.ETag})
	}
	parts, header, err := d.store.objects.pick(g.Key, id, refs, d.store.minPart)
	if err != nil {
		return err
	}
	size := int64(0)
	for i, p := range parts {
		if err := checkPart(p, list.Part[i].Rest); err != nil {
			return err
		}
		size += p.size()
	}
	if size > d.store.maxObject {
		return tooLarge{size, d.store.maxObject}
	}
	if said := r.Header.Get("X-Amz-Mp-Object-Size"); said != "" && said != strconv.FormatInt(size, 10) {
		return badRequest("The provided 'x-amz-mp-object-size' header does not match what was computed.")
	}
	release, err := d.store.objects.reserve(size) // until the parts are gone they are there twice
	if err != nil {
		return err
	}
	obj := join(g.Key, parts, header, d.store.Clock.Now())
	if err = checkWhole(r.Header, obj, parts); err == nil {
		err = d.store.objects.finish(id, obj, cond)
	}
	if err != nil {
		release()
		return err
	}
	location := "http://" + r.Host + "/" + string(wire.AppendEscapePath(nil, g.Bucket+"/"+g.Key))
	writeXML(w, http.StatusOK, s3Completed{Location: location, Bucket: g.Bucket, Key: g.Key, ETag: obj.etag})
	return nil
}

// checkPart holds a part to the checksums that are named with it.
func checkPart(p *part, named []s3Detail) error {
	for _, e := range named {
		algorithm, ok := strings.CutPrefix(e.XMLName.Local, "Checksum")
		sum := checksum(strings.ToLower(algorithm))
		if !ok || sum == nil {
			return notImplemented{param: e.XMLName.Local}
		}
		sum.Write(p.data)
		if encodeSum(sum) != e.Value {
			return badPart{number: p.number, etag: p.etag()}
		}
	}
	return nil
}

// checkWhole holds an object to the checksums that are named in the request to complete it: of its bytes, or of the
// checksums of its parts, which S3 writes with the number of parts behind it and minio-go without. The request's own body has no checksums.
func checkWhole(h http.Header, obj *object, parts []*part) error {
	for algorithm, value := range checksums(h) {
		sum := checksum(algorithm)
		if sum == nil {
			return notImplemented{header: http.CanonicalHeaderKey(checksumPrefix + algorithm)}
		}
		value, number, counted := strings.Cut(value, "-")
		composite := counted || h.Get(checksumPrefix+"Type") == "COMPOSITE"
		if composite {
			for _, p := range parts {
				ofPart := checksum(algorithm)
				ofPart.Write(p.data)
				sum.Write(ofPart.Sum(nil))
			}
		} else {
			sum.Write(obj.data)
		}
		if encodeSum(sum) != value || counted && number != strconv.Itoa(len(parts)) {
			return otherChecksum{strings.ToUpper(algorithm)}
		}
	}
	return nil
}
