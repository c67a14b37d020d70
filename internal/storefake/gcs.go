package storefake

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/signer"
)

// gcsDialect is what the XML API of Google Cloud Storage says to PUT, GET, HEAD and DELETE of an object, to its resumable upload, its
// upload in parts and its copy, and to HEAD and LIST of a bucket. Whatever else a request asks for is NotImplemented, never
// passed over.
//
// https://docs.cloud.google.com/storage/docs/xml-api/overview
type gcsDialect struct {
	signer.Verifier
	xmlAPI

	mu       sync.Mutex
	sessions map[string]*session // under way, by their ids
	done     map[string]*object  // what came of some that are not
}

func newGCS(store *Store) (*gcsDialect, error) {
	v, err := gcs.NewVerifier(gcs.VerifierConfig{
		Accounts:   []string{store.account.email},
		Keys:       store.account.publicKeys,
		Addressing: signer.AddressingPath, // under any host, as with S3
		Clock:      store.Clock,
		Secret: func(_ context.Context, id string) (signer.Secret, error) {
			if id != store.GCSKey.ID() {
				return signer.Secret{}, signer.ErrUnknownKey
			}
			return store.GCSSecret, nil
		},
	})
	return &gcsDialect{Verifier: v, sessions: make(map[string]*session), done: make(map[string]*object), xmlAPI: xmlAPI{
		store:        store,
		vendor:       "x-goog-",
		namespace:    "http://doc.s3.amazonaws.com/2006-03-01",
		storageClass: "STANDARD",
		contentType:  "application/octet-stream",
		requestID:    "X-Guploader-Uploadid",
		maxMeta:      8 << 10,
		minPart:      store.minPart,
		digests:      checkGoogleHash,
		receipt:      func(h http.Header, _ *http.Request, data content) { h.Set(googleHash, sumsOf(data)) },
		about: func(h http.Header, o *object) {
			h.Set(googleHash, sumsOf(o.data))
			h.Set("X-Goog-Generation", o.number())
			h.Set("X-Goog-Metageneration", "1")
			h.Set("X-Goog-Storage-Class", "STANDARD")
			h.Set("X-Goog-Stored-Content-Length", strconv.FormatInt(o.size(), 10))
			h.Set("X-Goog-Stored-Content-Encoding", "identity")
		},
	}}, err
}

// operations come with the more particular ones first.
func (d *gcsDialect) operations() []operation {
	overrides := []string{"response-content-disposition", "response-content-type"}
	key := []string{"x-goog-encryption-algorithm", "x-goog-encryption-key", "x-goog-encryption-key-sha256"}
	body := []string{"x-goog-hash"}
	writing := append([]string{"x-goog-meta-", "x-goog-if-generation-match", lengthRange}, key...)
	return []operation{
		{do: d.uploadPart, method: "PUT", by: []string{"partNumber", "uploadId"}, headers: body},
		{do: d.copy, method: "PUT", header: "X-Goog-Copy-Source", headers: []string{"x-goog-copy-source", "x-goog-metadata-directive",
			"x-goog-meta-", "x-goog-if-generation-match"}},
		{do: d.put, method: "PUT", headers: append(body, writing...)},
		{do: d.listParts, method: "GET", by: []string{"uploadId"}, params: []string{"max-parts", "part-number-marker"}},
		{do: d.get, method: "GET", params: overrides, headers: key},
		{do: d.get, method: "HEAD", params: overrides, headers: key},
		{do: d.initiate, method: "POST", by: []string{"uploads"}, headers: []string{"x-goog-meta-"}},
		{do: d.complete, method: "POST", by: []string{"uploadId"}},
		{do: d.resumable, method: "POST", header: "X-Goog-Resumable", headers: append([]string{"x-goog-resumable"}, writing...)},
		{do: d.abort, method: "DELETE", by: []string{"uploadId"}},
		{do: d.remove, method: "DELETE", headers: []string{"x-goog-if-generation-match"}},

		{do: d.location, method: "GET", bucket: true, by: []string{"location"}},
		{do: d.listUploads, method: "GET", bucket: true, by: []string{"uploads"}, params: []string{"prefix", "delimiter", "encoding-type"}},
		{do: d.list, method: "GET", bucket: true, params: []string{"list-type", "prefix", "delimiter", "max-keys", "start-after",
			"continuation-token", "encoding-type"}},
		{do: d.headBucket, method: "HEAD", bucket: true},
	}
}

// addressed finds Cloud Storage's headers, and the one parameter of its own that does not begin as they do.
func (d *gcsDialect) addressed(r *http.Request) bool {
	return mentions(r, d.vendor) || r.URL.Query().Has(sessionParam)
}

func (d *gcsDialect) serve(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	requestID(w, d.requestID)
	if err := d.store.place(g); err != nil {
		return err
	}
	return perform(d.operations(), []string{"x-goog-date", "x-goog-content-sha256"}, w, r, g)
}

func (d *gcsDialect) unsigned(w http.ResponseWriter, r *http.Request, err error) error {
	requestID(w, d.requestID)
	if id := r.URL.Query().Get(sessionParam); id != "" {
		return d.resume(w, r, id)
	}
	return err
}

func (d *gcsDialect) post(w http.ResponseWriter, r *http.Request, f *form) error {
	requestID(w, d.requestID)
	return d.postObject(w, r, d.Verifier.(signer.PostVerifier), f)
}

// put stores an object of a size that the header allows, under a key of its own if there is one.
func (d *gcsDialect) put(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	t, err := d.terms(r)
	if err != nil {
		return err
	}
	if err := t.checkSize(r.ContentLength); err != nil {
		return err
	}
	data, release, err := d.store.body(w, r, g, d.digests)
	if err != nil {
		return err
	}
	obj := newObject(g.Key, data, t.header, d.store.Clock.Now())
	obj.lock = t.lock
	if err := d.store.save(obj, t.condition, release); err != nil {
		return err
	}
	d.stored(w, obj)
	return nil
}

// stored says that an object is there.
func (d *gcsDialect) stored(w http.ResponseWriter, obj *object) {
	d.about(w.Header(), obj)
	echoLock(w.Header(), obj.lock)
	w.Header().Set("ETag", obj.etag)
	w.WriteHeader(http.StatusOK)
}

// terms are what an upload begins with.
type terms struct {
	condition
	header      http.Header // what is stored with the object
	lock        string
	least, most int64 // bytes; most is -1 for any number
}

func (d *gcsDialect) terms(r *http.Request) (t *terms, err error) {
	t = &terms{most: -1}
	if t.condition, err = d.condition(r); err != nil {
		return nil, err
	}
	if t.header, err = d.storedHeader(r.Header); err != nil {
		return nil, err
	}
	if t.lock, err = lockOf(r.Header); err != nil {
		return nil, err
	}
	if value := r.Header.Get(lengthRange); value != "" {
		least, most, _ := strings.Cut(value, ",")
		low, err1 := strconv.ParseUint(strings.TrimSpace(least), 10, 62)
		high, err2 := strconv.ParseUint(strings.TrimSpace(most), 10, 62)
		if err1 != nil || err2 != nil || high < low {
			return nil, badArgument{lengthRange, value, "It must be two numbers of bytes, MIN,MAX."}
		}
		t.least, t.most = int64(low), int64(high)
	}
	return t, nil
}

const lengthRange = "x-goog-content-length-range"

// An outOfRange is a body of another size than X-Goog-Content-Length-Range allows.
type outOfRange struct{ over bool }

func (e outOfRange) Error() string {
	return "the body is not of the size that " + lengthRange + " allows"
}

func (t *terms) checkSize(size int64) error {
	switch {
	case size < 0: // said later
	case size < t.least:
		return outOfRange{}
	case t.most >= 0 && size > t.most:
		return outOfRange{over: true}
	}
	return nil
}

// echoLock tells the key that an object has, by its hash.
func echoLock(h http.Header, lock string) {
	if lock != "" {
		h.Set("X-Goog-Encryption-Algorithm", "AES256")
		h.Set("X-Goog-Encryption-Key-Sha256", lock)
	}
}

// lockOf reads the key that a customer brings along: three headers, all or none. It returns the key's hash.
//
// https://docs.cloud.google.com/storage/docs/encryption/customer-supplied-keys
func lockOf(h http.Header) (string, error) {
	algorithm, key, sum := h.Get("X-Goog-Encryption-Algorithm"), h.Get("X-Goog-Encryption-Key"), h.Get("X-Goog-Encryption-Key-Sha256")
	if algorithm == "" && key == "" && sum == "" {
		return "", nil
	}
	raw, err := base64.StdEncoding.DecodeString(key)
	switch {
	case algorithm != "AES256":
		return "", badKey{"CustomerEncryptionAlgorithmIsInvalid", "x-goog-encryption-algorithm must be AES256."}
	case err != nil || len(raw) != 32:
		return "", badKey{"CustomerEncryptionKeyFormatIsInvalid", "x-goog-encryption-key must be the base64 of 32 bytes."}
	}
	if got := sha256.Sum256(raw); base64.StdEncoding.EncodeToString(got[:]) != sum {
		return "", badKey{"CustomerEncryptionKeySha256IsInvalid", "x-goog-encryption-key-sha256 is not that of the key."}
	}
	return sum, nil
}

// A badKey is a customer's key that opens nothing.
type badKey struct{ code, message string }

func (e badKey) Error() string { return e.message }

// get wants the key that the object was stored with.
func (d *gcsDialect) get(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	obj, err := d.store.objects.get(g.Key)
	if err != nil {
		return err
	}
	lock, err := lockOf(r.Header)
	switch {
	case err != nil:
		return err
	case lock == "" && obj.lock != "":
		return errLocked
	case lock != "" && obj.lock == "":
		return badKey{"ResourceNotEncryptedWithCustomerEncryptionKey", "The object has no key of its own, and the request brings one."}
	case lock != obj.lock:
		return badKey{"CustomerEncryptionKeyIsIncorrect", "The object has another key than that of the request."}
	}
	open := *obj
	open.header = obj.header.Clone()
	echoLock(open.header, lock)
	return d.send(w, r, g, &open)
}

// remove does not forgive a missing object, as S3 does.
func (d *gcsDialect) remove(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	cond, err := d.condition(r)
	if err != nil {
		return err
	}
	if err := d.store.objects.remove(g.Key, cond); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (d *gcsDialect) headBucket(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	w.WriteHeader(http.StatusOK)
	return nil
}

func (d *gcsDialect) location(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	writeXML(w, http.StatusOK, location{d.name("LocationConstraint"), strings.ToUpper(d.store.Region)})
	return nil
}

const googleHash = "X-Goog-Hash"

// sumsOf is X-Goog-Hash of these bytes.
func sumsOf(data content) string {
	crc, sum := crc32.New(crc32.MakeTable(crc32.Castagnoli)), md5.New()
	add(crc, data)
	add(sum, data)
	return fmt.Sprintf("crc32c=%s,md5=%s", encodeSum(crc), encodeSum(sum))
}

// checkGoogleHash holds a body to Content-MD5 and X-Goog-Hash.
func checkGoogleHash(h http.Header, body content) error {
	if err := checkMD5(h, body); err != nil {
		return err
	}
	ours := strings.Split(sumsOf(body), ",")
	for _, value := range h.Values(googleHash) {
		for named := range strings.SplitSeq(value, ",") {
			algorithm, _, _ := strings.Cut(strings.TrimSpace(named), "=")
			switch algorithm {
			case "crc32c", "md5":
			default:
				return badArgument{"x-goog-hash", value, "It names neither crc32c nor md5."}
			}
			if named = strings.TrimSpace(named); named != ours[0] && named != ours[1] {
				return otherChecksum{algorithm}
			}
		}
	}
	return nil
}
