package storefake

import (
	"encoding/xml"
	"net/http"
	"strconv"

	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is the upload in parts of an xmlAPI.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html

// initiated is the answer of CreateMultipartUpload.
type initiated struct {
	XMLName      xml.Name
	EncodingType string `xml:",omitempty"`
	Bucket       string
	Key          string
	UploadId     string
}

func (a *xmlAPI) initiate(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	encode, err := keyEncoding(g.Query)
	if err != nil {
		return err
	}
	header, err := a.storedHeader(r.Header)
	if err != nil {
		return err
	}
	id, err := a.store.objects.begin(g.Key, header, a.store.Clock.Now())
	if err != nil {
		return err
	}
	writeXML(w, http.StatusOK, initiated{
		XMLName:      a.name("InitiateMultipartUploadResult"),
		EncodingType: g.Query.Get("encoding-type"),
		Bucket:       g.Bucket,
		Key:          encode(g.Key),
		UploadId:     id,
	})
	return nil
}

// uploadList is the answer of ListMultipartUploads. All of them fit on one page.
type uploadList struct {
	XMLName      xml.Name
	Bucket       string
	Prefix       string
	EncodingType string `xml:",omitempty"`
	MaxUploads   int
	IsTruncated  bool
	Upload       []listedUpload
}

type listedUpload struct {
	Key          string
	UploadId     string
	StorageClass string
	Initiated    string
}

func (a *xmlAPI) listUploads(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	prefix := g.Query.Get("prefix")
	if g.Query.Get("delimiter") != "" {
		return notImplemented{param: "delimiter"}
	}
	encode, err := keyEncoding(g.Query)
	if err != nil {
		return err
	}
	uploads := a.store.objects.listUploads(prefix)
	answer := uploadList{
		XMLName:      a.name("ListMultipartUploadsResult"),
		Bucket:       g.Bucket,
		Prefix:       encode(prefix),
		EncodingType: g.Query.Get("encoding-type"),
		MaxUploads:   max(maxList, len(uploads)),
	}
	for _, u := range uploads {
		answer.Upload = append(answer.Upload, listedUpload{encode(u.key), u.id, a.storageClass, xmlTime(u.initiated)})
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

func (a *xmlAPI) uploadPart(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	if _, err := writeCondition(r); err != nil {
		return err
	}
	id := g.Query.Get("uploadId")
	n, err := partNumber(g.Query.Get("partNumber"))
	if err != nil {
		return err
	}
	if _, err := a.store.objects.listParts(g.Key, id); err != nil {
		return err // before the body is read
	}
	data, release, err := a.store.body(w, r, g, a.digests)
	if err != nil {
		return err
	}
	p := newPart(n, data, a.store.Clock.Now())
	if err := a.store.objects.addPart(g.Key, id, p); err != nil {
		release()
		return err
	}
	a.receipt(w.Header(), r, data)
	w.Header().Set("ETag", p.etag())
	w.WriteHeader(http.StatusOK)
	return nil
}

func (a *xmlAPI) abort(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	if _, err := writeCondition(r); err != nil {
		return err
	}
	if err := a.store.objects.abort(g.Key, g.Query.Get("uploadId")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// partList is the answer of ListParts.
type partList struct {
	XMLName              xml.Name
	EncodingType         string `xml:",omitempty"`
	Bucket               string
	Key                  string
	UploadId             string
	PartNumberMarker     int
	NextPartNumberMarker int `xml:",omitempty"`
	MaxParts             int
	IsTruncated          bool
	StorageClass         string
	Part                 []listedPart
}

type listedPart struct {
	PartNumber   int
	LastModified string
	ETag         string
	Size         int64
}

func (a *xmlAPI) listParts(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	most, err := count(g.Query, "max-parts", maxList)
	if err != nil {
		return err
	}
	marker, err := count(g.Query, "part-number-marker", 0)
	if err != nil {
		return err
	}
	encode, err := keyEncoding(g.Query)
	if err != nil {
		return err
	}
	most = min(most, maxList)
	parts, err := a.store.objects.listParts(g.Key, g.Query.Get("uploadId"))
	if err != nil {
		return err
	}
	answer := partList{
		XMLName:          a.name("ListPartsResult"),
		EncodingType:     g.Query.Get("encoding-type"),
		Bucket:           g.Bucket,
		Key:              encode(g.Key),
		UploadId:         g.Query.Get("uploadId"),
		PartNumberMarker: marker,
		MaxParts:         most,
		StorageClass:     a.storageClass,
	}
	for _, p := range parts {
		if p.number <= marker {
			continue
		}
		if len(answer.Part) == most {
			answer.IsTruncated = true
			break
		}
		answer.Part = append(answer.Part, listedPart{p.number, xmlTime(p.modified), p.etag(), p.size()})
		answer.NextPartNumberMarker = p.number
	}
	writeXML(w, http.StatusOK, answer)
	return nil
}

// completion is the request of CompleteMultipartUpload.
type completion struct {
	XMLName xml.Name `xml:"CompleteMultipartUpload"`
	Part    []struct {
		PartNumber int
		ETag       string
		Rest       []element `xml:",any"` // checksums
	}
}

// completed is the answer.
type completed struct {
	XMLName      xml.Name
	EncodingType string `xml:",omitempty"`
	Location     string
	Bucket       string
	Key          string
	ETag         string
}

func (a *xmlAPI) complete(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	cond, err := a.condition(r)
	if err != nil {
		return err
	}
	encode, err := keyEncoding(g.Query)
	if err != nil {
		return err
	}
	id := g.Query.Get("uploadId")
	var list completion
	if err := a.store.readXML(w, r, g, checkMD5, &list); err != nil {
		return err
	}
	if len(list.Part) == 0 || len(list.Part) > maxParts {
		return errXML
	}
	var refs []partRef
	for _, p := range list.Part {
		refs = append(refs, partRef{p.PartNumber, p.ETag})
	}
	parts, header, err := a.store.objects.pick(g.Key, id, refs, a.minPart)
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
	if size > a.store.maxObject {
		return tooLarge{size, a.store.maxObject}
	}
	if said := r.Header.Get("X-Amz-Mp-Object-Size"); said != "" && said != strconv.FormatInt(size, 10) {
		return badRequest("The provided 'x-amz-mp-object-size' header does not match what was computed.")
	}
	release, err := a.store.objects.reserve(size) // until the parts are gone they are there twice
	if err != nil {
		return err
	}
	obj := join(g.Key, parts, header, a.store.Clock.Now())
	if err = checkWhole(r.Header, obj, parts); err == nil {
		err = a.store.objects.finish(id, obj, cond)
	}
	if err != nil {
		release()
		return err
	}
	location := "http://" + r.Host + "/" + string(wire.AppendEscapePath(nil, g.Bucket+"/"+g.Key))
	writeXML(w, http.StatusOK, completed{XMLName: a.name("CompleteMultipartUploadResult"), EncodingType: g.Query.Get("encoding-type"),
		Location: location, Bucket: g.Bucket, Key: encode(g.Key), ETag: obj.etag})
	return nil
}
