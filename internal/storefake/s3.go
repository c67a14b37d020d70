package storefake

import (
	"context"
	"crypto/rand"
	"net/http"

	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// s3Dialect is what Amazon S3 says to PUT, GET, HEAD and DELETE of an object, to its upload in parts and by a form and its copy, and
// to HEAD, LIST and DELETE of many in a bucket. Whatever else a request asks for is NotImplemented, never passed over.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
type s3Dialect struct {
	signer.Verifier
	xmlAPI
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
	return &s3Dialect{v, xmlAPI{
		store:        store,
		vendor:       "x-amz-",
		namespace:    "http://s3.amazonaws.com/doc/2006-03-01/",
		storageClass: "STANDARD",
		contentType:  "binary/octet-stream",
		requestID:    "X-Amz-Request-Id",
		maxMeta:      2 << 10,
		conditions:   []string{"If-Match", "If-None-Match"},
		minPart:      store.minPart,
		digests:      checkDigests,
		receipt:      echoChecksums,
		about:        func(http.Header, *object) {},
	}}, err
}

// operations come with the more particular ones first.
func (d *s3Dialect) operations() []operation {
	overrides := []string{"response-cache-control", "response-content-disposition", "response-content-encoding",
		"response-content-language", "response-content-type", "response-expires", "partNumber"}
	body := []string{"x-amz-checksum-", "x-amz-sdk-checksum-algorithm", "x-amz-decoded-content-length", "x-amz-trailer"}
	reading := []string{"x-amz-checksum-mode"} // asks for checksums, if any are kept
	return []operation{
		{do: d.uploadPart, method: "PUT", by: []string{"partNumber", "uploadId"}, headers: body},
		{do: d.copy, method: "PUT", header: "X-Amz-Copy-Source", headers: []string{"x-amz-copy-source", "x-amz-metadata-directive", "x-amz-meta-"}},
		{do: d.put, method: "PUT", headers: append(body, "x-amz-meta-")},
		{do: d.listParts, method: "GET", by: []string{"uploadId"}, params: []string{"max-parts", "part-number-marker"}},
		{do: d.get, method: "GET", params: overrides, headers: reading},
		{do: d.get, method: "HEAD", params: overrides, headers: reading},
		{do: d.initiate, method: "POST", by: []string{"uploads"}, headers: []string{"x-amz-meta-", "x-amz-checksum-algorithm", "x-amz-checksum-type"}},
		{do: d.complete, method: "POST", by: []string{"uploadId"}, headers: append(body, "x-amz-mp-object-size")},
		{do: d.abort, method: "DELETE", by: []string{"uploadId"}},
		{do: d.remove, method: "DELETE"},

		{do: d.location, method: "GET", bucket: true, by: []string{"location"}},
		{do: d.listUploads, method: "GET", bucket: true, by: []string{"uploads"}, params: []string{"prefix", "delimiter", "encoding-type"}},
		{do: d.list, method: "GET", bucket: true, params: []string{"list-type", "prefix", "delimiter", "max-keys", "start-after",
			"continuation-token", "encoding-type", "fetch-owner"}},
		{do: d.headBucket, method: "HEAD", bucket: true},
		{do: d.removeGuarded, method: "POST", bucket: true, by: []string{"delete"}, headers: body},
	}
}

// s3Signature are the headers that a signature itself brings along.
func s3Signature() []string {
	return []string{"x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-region-set"}
}

// addressed: without a sign of another provider, a request is for S3.
func (d *s3Dialect) addressed(r *http.Request) bool { return mentions(r, d.vendor) }

func (d *s3Dialect) serve(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	requestID(w, d.requestID)
	if err := d.store.place(g); err != nil {
		return err
	}
	return perform(d.operations(), s3Signature(), w, r, g)
}

func (d *s3Dialect) unsigned(w http.ResponseWriter, r *http.Request, err error) error { return err }

func (d *s3Dialect) post(w http.ResponseWriter, r *http.Request, f *form) error {
	requestID(w, d.requestID)
	return d.postObject(w, r, d.Verifier.(signer.PostVerifier), f)
}

// requestID returns the identity of the answer, made when it is first asked for.
func requestID(w http.ResponseWriter, header string) string {
	if w.Header().Get(header) == "" {
		w.Header().Set(header, rand.Text()[:16])
	}
	return w.Header().Get(header)
}

func (d *s3Dialect) headBucket(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	w.Header().Set("X-Amz-Bucket-Region", d.store.Region)
	w.WriteHeader(http.StatusOK)
	return nil
}

func (d *s3Dialect) location(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	region := d.store.Region
	if region == "us-east-1" { // which is older than the others, and has no name here
		region = ""
	}
	writeXML(w, http.StatusOK, location{d.name("LocationConstraint"), region})
	return nil
}

// removeGuarded deletes many, and wants a digest of their list.
func (d *s3Dialect) removeGuarded(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	guarded := r.Header.Get("Content-Md5") != "" || r.Header.Get("X-Amz-Trailer") != "" // a trailer is checked by Grant.Body
	for range checksums(r.Header) {
		guarded = true
	}
	if !guarded {
		return badRequest("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	return d.removeMany(w, r, g)
}
