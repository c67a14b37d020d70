package storefake

import (
	"context"
	"errors"
	"hash/crc64"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

// ossDialect is what Alibaba Cloud OSS says to PUT, GET, HEAD and DELETE of an object, to its upload in parts and its copy, and to
// LIST and DELETE of many in a bucket. Whatever else a request asks for is NotImplemented, never passed over.
//
// https://help.aliyun.com/en/oss/developer-reference/list-of-operations-by-function
type ossDialect struct{ xmlAPI }

func newOSS(store *Store) (*ossDialect, error) {
	d := &ossDialect{xmlAPI{
		store:        store,
		vendor:       "x-oss-",
		storageClass: "Standard",
		contentType:  "application/octet-stream",
		requestID:    "X-Oss-Request-Id",
		maxMeta:      8 << 10,
		minPart:      min(store.minPart, 100<<10),
		digests:      checkMD5,
		receipt:      func(h http.Header, _ *http.Request, data content) { h.Set(crcHeader, crc64Of(data)) },
		about: func(h http.Header, o *object) {
			h.Set(crcHeader, crc64Of(o.data))
			h.Set("X-Oss-Object-Type", "Normal")
			h.Set("X-Oss-Storage-Class", "Standard")
		},
	}}
	_, err := d.verifier("127.0.0.1")
	return d, err
}

// verifier is for requests that came to this host. OSS signs the host only if it is asked to, and its verifier wants to know it.
func (d *ossDialect) verifier(host string) (signer.Verifier, error) {
	return oss.NewVerifier(oss.VerifierConfig{
		Region:     d.store.Region,
		Endpoint:   &url.URL{Scheme: "http", Host: host},
		Addressing: signer.AddressingPath,
		Clock:      d.store.Clock,
		Lookup: func(_ context.Context, id string) (oss.Credentials, error) {
			if id != d.store.OSS.AccessKeyID {
				return oss.Credentials{}, signer.ErrUnknownKey
			}
			return d.store.OSS, nil
		},
	})
}

func (d *ossDialect) Verify(ctx context.Context, r *http.Request) (*signer.Grant, error) {
	v, err := d.verifier(r.Host)
	if err != nil {
		return nil, err
	}
	return v.Verify(ctx, r)
}

// operations come with the more particular ones first.
func (d *ossDialect) operations() []operation {
	overrides := []string{"response-cache-control", "response-content-disposition", "response-content-encoding",
		"response-content-language", "response-content-type", "response-expires"}
	const once = "x-oss-forbid-overwrite"
	encoding := []string{"encoding-type"}
	return []operation{
		{do: d.uploadPart, method: "PUT", by: []string{"partNumber", "uploadId"}},
		{do: d.copy, method: "PUT", header: "X-Oss-Copy-Source", headers: []string{"x-oss-copy-source", "x-oss-metadata-directive", "x-oss-meta-", once}},
		{do: d.put, method: "PUT", headers: []string{"x-oss-meta-", once}},
		{do: d.listParts, method: "GET", by: []string{"uploadId"}, params: append(encoding, "max-parts", "part-number-marker")},
		{do: d.get, method: "GET", params: overrides, headers: []string{rangeBehavior}},
		{do: d.get, method: "HEAD", params: overrides, headers: []string{rangeBehavior}},
		{do: d.initiate, method: "POST", by: []string{"uploads"}, params: encoding, headers: []string{"x-oss-meta-"}},
		{do: d.complete, method: "POST", by: []string{"uploadId"}, params: encoding, headers: []string{once}},
		{do: d.abort, method: "DELETE", by: []string{"uploadId"}},
		{do: d.remove, method: "DELETE"},

		{do: d.location, method: "GET", bucket: true, by: []string{"location"}},
		{do: d.listUploads, method: "GET", bucket: true, by: []string{"uploads"}, params: []string{"prefix", "delimiter", "encoding-type"}},
		{do: d.list, method: "GET", bucket: true, params: []string{"list-type", "prefix", "delimiter", "max-keys", "start-after",
			"continuation-token", "encoding-type", "fetch-owner"}},
		{do: d.removeGuarded, method: "POST", bucket: true, by: []string{"delete"}, params: encoding},
	}
}

func (d *ossDialect) addressed(r *http.Request) bool { return mentions(r, d.vendor) }

func (d *ossDialect) serve(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	d.greet(w)
	if err := d.store.place(g); err != nil {
		return err
	}
	return perform(d.operations(), []string{"x-oss-date", "x-oss-content-sha256", "x-oss-security-token"}, w, r, g)
}

func (d *ossDialect) unsigned(w http.ResponseWriter, r *http.Request, err error) error { return err }

func (d *ossDialect) post(w http.ResponseWriter, r *http.Request, f *form) error {
	d.greet(w)
	v, err := d.verifier(r.Host)
	if err != nil {
		return err
	}
	return d.postObject(w, r, v.(signer.PostVerifier), f)
}

// greet sets what all answers have.
func (d *ossDialect) greet(w http.ResponseWriter) {
	requestID(w, d.requestID)
	w.Header().Set("X-Oss-Server-Time", "1") // milliseconds that it took, and no clock
}

const rangeBehavior = "x-oss-range-behavior"

// get forgives a range that the object does not have, unless the request asks for the standard's way: it sends all of it.
//
// https://help.aliyun.com/en/oss/developer-reference/getobject
func (d *ossDialect) get(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	asked := r.Header.Get("Range")
	switch behavior := r.Header.Get(rangeBehavior); {
	case behavior != "" && behavior != "standard":
		return badArgument{rangeBehavior, behavior, "The only behavior with a name is standard."}
	case strings.Contains(asked, ","):
		r.Header.Del("Range") // of several ranges there is none
	}
	err := d.xmlAPI.get(w, r, g)
	if errors.As(err, new(badRange)) && r.Header.Get(rangeBehavior) == "" {
		r.Header.Del("Range")
		return d.xmlAPI.get(w, r, g)
	}
	return err
}

func (d *ossDialect) location(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	writeXML(w, http.StatusOK, location{d.name("LocationConstraint"), "oss-" + d.store.Region})
	return nil
}

// removeGuarded deletes many, and wants a digest of their list.
func (d *ossDialect) removeGuarded(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	if r.Header.Get("Content-Md5") == "" {
		return badRequest("Missing Some Required Arguments.")
	}
	return d.removeMany(w, r, g)
}

const crcHeader = "X-Oss-Hash-Crc64ecma"

func crc64Of(data content) string {
	crc := crc64.New(crc64.MakeTable(crc64.ECMA))
	add(crc, data)
	return strconv.FormatUint(crc.Sum64(), 10)
}
