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
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// s3Dialect is what Amazon S3 says to PUT, GET, HEAD and DELETE of an object, and to HEAD and LIST of a bucket. Whatever
// else a request asks for is NotImplemented, never passed over.
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
	s3MaxList = 1000 // entries on a page
)

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
	type operation struct {
		do      func(http.ResponseWriter, *http.Request, *signer.Grant) error
		params  []string
		headers []string
	}
	overrides := []string{"response-cache-control", "response-content-disposition", "response-content-encoding",
		"response-content-language", "response-content-type", "response-expires"}
	reading := []string{"x-amz-checksum-mode"} // asks for checksums, if there are any
	operations := map[string]operation{
		"PUT":    {d.put, nil, []string{"x-amz-meta-", "x-amz-checksum-", "x-amz-sdk-checksum-algorithm", "x-amz-decoded-content-length", "x-amz-trailer"}},
		"GET":    {d.get, overrides, reading},
		"HEAD":   {d.get, overrides, reading},
		"DELETE": {d.delete, nil, nil},
	}
	if g.Key == "" {
		operations = map[string]operation{
			"GET":  {d.list, []string{"list-type", "prefix", "delimiter", "max-keys", "start-after", "continuation-token", "encoding-type", "fetch-owner"}, nil},
			"HEAD": {d.headBucket, nil, nil},
		}
	}
	op, ok := operations[g.Method]
	if !ok {
		return errNoMethod
	}
	for name := range g.Query {
		custom := strings.HasPrefix(name, "x-") && !strings.HasPrefix(name, "x-amz-") // S3 only logs these
		if !custom && !slices.Contains(op.params, name) {
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
	return op.do(w, r, g)
}

// s3Headers are those that the signature itself brings along.
func s3Headers() []string {
	return []string{"x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-region-set"}
}

func (d *s3Dialect) put(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	for _, name := range [...]string{"If-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if r.Header.Get(name) != "" {
			return notImplemented{header: name}
		}
	}
	fresh := r.Header.Get("If-None-Match") == "*"
	if !fresh && r.Header.Get("If-None-Match") != "" {
		return notImplemented{header: "If-None-Match"}
	}
	size := r.ContentLength
	if strings.HasPrefix(g.Payload, "STREAMING-") { // Content-Length counts the encoding, too
		size, _ = strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64) // Verify has read it
	}
	switch {
	case size < 0:
		return errLength
	case size > d.store.maxObject:
		return tooLarge{size, d.store.maxObject}
	}
	header, err := storedHeader(r.Header)
	if err != nil {
		return err
	}
	data, release, err := d.store.objects.read(w, g.Body(r.Body), size)
	if errors.Is(err, signer.ErrMismatch) && len(g.Payload) == 2*sha256.Size {
		return otherBody{err, g.Payload, sha256.Sum256(data)}
	}
	if err != nil {
		return err
	}
	obj := &object{key: g.Key, data: data, header: header, md5: md5.Sum(data), modified: d.store.Clock.Now()}
	if err = checkDigests(r.Header, obj); err == nil {
		err = d.store.objects.put(obj, fresh)
	}
	if err != nil {
		release()
		return err
	}
	w.Header().Set("ETag", obj.etag())
	w.WriteHeader(http.StatusOK)
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

// checkDigests holds the body to Content-MD5 and to the checksums that the request names.
func checkDigests(h http.Header, obj *object) error {
	if value := h.Get("Content-Md5"); value != "" {
		sum, err := base64.StdEncoding.DecodeString(value)
		if err != nil || len(sum) != md5.Size {
			return errDigestForm
		}
		if [md5.Size]byte(sum) != obj.md5 {
			return errDigest
		}
	}
	for name, values := range h {
		algorithm, ok := strings.CutPrefix(strings.ToLower(name), "x-amz-checksum-")
		if !ok {
			continue
		}
		var sum hash.Hash
		switch algorithm {
		case "crc32":
			sum = crc32.NewIEEE()
		case "crc32c":
			sum = crc32.New(crc32.MakeTable(crc32.Castagnoli))
		case "crc64nvme":
			sum = crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5))
		case "sha1":
			sum = sha1.New()
		case "sha256":
			sum = sha256.New()
		default:
			return notImplemented{header: name}
		}
		sum.Write(obj.data)
		if base64.StdEncoding.EncodeToString(sum.Sum(nil)) != strings.Join(values, ",") {
			return otherChecksum{strings.ToUpper(algorithm)}
		}
	}
	return nil
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
	shown.send(w, r)
	return nil
}

func (d *s3Dialect) delete(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	d.store.objects.remove(g.Key)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (d *s3Dialect) headBucket(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	w.Header().Set("X-Amz-Bucket-Region", d.store.Region)
	w.WriteHeader(http.StatusOK)
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
	most := s3MaxList
	if q.Has("max-keys") {
		n, err := strconv.ParseInt(q.Get("max-keys"), 10, 32)
		if err != nil || n < 0 {
			return badArgument{"max-keys", q.Get("max-keys"), "Provided max-keys not an integer or within integer range"}
		}
		most = min(int(n), s3MaxList)
	}
	token, err := base64.RawURLEncoding.DecodeString(q.Get("continuation-token"))
	if err != nil || q.Has("continuation-token") && len(token) == 0 {
		return badArgument{"continuation-token", q.Get("continuation-token"), "The continuation token provided is incorrect"}
	}
	encode := func(s string) string { return s }
	switch encoding := q.Get("encoding-type"); {
	case encoding == "url":
		encode = func(s string) string { return string(wire.AppendEscapePath(nil, s)) }
	case q.Has("encoding-type"):
		return badArgument{"encoding-type", encoding, "Invalid Encoding Method specified in Request"}
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
		answer.Contents = append(answer.Contents, s3Entry{encode(o.key), o.modified.UTC().Format("2006-01-02T15:04:05.000Z"),
			o.etag(), int64(len(o.data)), "STANDARD"})
	}
	for _, prefix := range p.prefixes {
		answer.CommonPrefixes = append(answer.CommonPrefixes, s3Prefix{encode(prefix)})
	}
	writeXML(w, http.StatusOK, answer)
	return nil
}

// Errors that only S3's elements need the details of.
type (
	notImplemented struct{ header, param string }
	badArgument    struct{ name, value, message string }
	otherChecksum  struct{ algorithm string }
	otherBody      struct {
		error
		signed string
		got    [sha256.Size]byte
	}
)

func (e notImplemented) Error() string { return "not implemented" }
func (e badArgument) Error() string    { return e.message }
func (e otherChecksum) Error() string  { return "the checksum is not that of the body" }

// An s3Fault is an error as S3 writes it.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
type s3Fault struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	Details   []s3Detail
	RequestID string `xml:"RequestId"`
	status    int
}

type s3Detail struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
}

// with adds an element; one that is not known is left out.
func (f *s3Fault) with(name, value string) *s3Fault {
	if value != "" {
		f.Details = append(f.Details, s3Detail{xml.Name{Local: name}, value})
	}
	return f
}

func (d *s3Dialect) refuse(w http.ResponseWriter, r *http.Request, err error, trace *signer.Trace) {
	f := d.storeFault(r, err)
	if f == nil {
		f = d.signatureFault(r, err, trace)
	}
	f.RequestID = requestID(w)
	if f.Code == "MethodNotAllowed" {
		w.Header().Set("Allow", "GET, HEAD, PUT, DELETE")
	}
	writeXML(w, f.status, f) // of which net/http sends only the header in answer to HEAD
}

// storeFault puts what went wrong behind the verifier into S3's words; nil if nothing did.
func (d *s3Dialect) storeFault(r *http.Request, err error) *s3Fault {
	for _, known := range [...]struct {
		err     error
		status  int
		code    string
		message string
	}{
		{errNoBucket, 404, "NoSuchBucket", "The specified bucket does not exist"},
		{errNoObject, 404, "NoSuchKey", "The specified key does not exist."},
		{errNoMethod, 405, "MethodNotAllowed", "The specified method is not allowed against this resource."},
		{errFull, 403, "QuotaExceeded", "The store is full: delete something, or start it with higher limits."}, // Ceph's; S3 has no end
		{errLength, 411, "MissingContentLength", "You must provide the Content-Length HTTP header."},
		{errIncomplete, 400, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header"},
		{errExists, 412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"},
		{errKeyTooLong, 400, "KeyTooLongError", "Your key is too long"},
		{errMetaTooLarge, 400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size"},
		{errDigest, 400, "BadDigest", "The Content-MD5 you specified did not match what we received."},
		{errDigestForm, 400, "InvalidDigest", "The Content-MD5 you specified was invalid."},
	} {
		if errors.Is(err, known.err) {
			f := &s3Fault{status: known.status, Code: known.code, Message: known.message}
			switch known.err {
			case errNoMethod:
				f.with("Method", r.Method)
			case errExists:
				f.with("Condition", "If-None-Match")
			}
			return f
		}
	}
	switch e := err.(type) {
	case tooLarge:
		f := &s3Fault{status: 400, Code: "EntityTooLarge", Message: "Your proposed upload exceeds the maximum allowed size"}
		return f.with("ProposedSize", strconv.FormatInt(e.size, 10)).with("MaxSizeAllowed", strconv.FormatInt(e.most, 10))
	case notImplemented:
		f := &s3Fault{status: 501, Code: "NotImplemented", Message: "A header or parameter you provided implies functionality that is not implemented"}
		return f.with("Header", e.header).with("Parameter", e.param)
	case badArgument:
		f := &s3Fault{status: 400, Code: "InvalidArgument", Message: e.message}
		return f.with("ArgumentName", e.name).with("ArgumentValue", e.value)
	case otherChecksum:
		return &s3Fault{status: 400, Code: "BadDigest", Message: "The " + e.algorithm + " you specified did not match the calculated checksum."}
	case otherBody:
		f := &s3Fault{status: 400, Code: "XAmzContentSHA256Mismatch", Message: "The provided 'x-amz-content-sha256' header does not match what was computed."}
		return f.with("ClientComputedContentSHA256", e.signed).with("S3ComputedContentSHA256", fmt.Sprintf("%x", e.got))
	}
	return nil
}

// signatureFault puts a Verifier's refusal into S3's words. The code is the Verifier's; the elements say what a
// client needs to find its mistake, and nothing that it did not send or could not compute: never what the signature should
// have been.
func (d *s3Dialect) signatureFault(r *http.Request, err error, trace *signer.Trace) *s3Fault {
	if errors.Is(err, signer.ErrUnsigned) {
		return &s3Fault{status: 403, Code: "AccessDenied", Message: "Access Denied"}
	}
	var e *signer.Error // the first; S3 reports one
	if !errors.As(err, &e) || e.Code == "" {
		return &s3Fault{status: 500, Code: "InternalError", Message: "We encountered an internal error. Please try again."}
	}
	c := claimOf(r)
	now := d.store.Clock.Now().UTC().Format(time.RFC3339)
	f := &s3Fault{status: 403, Code: e.Code, Message: e.Error()}
	switch e.Code {
	case "SignatureDoesNotMatch":
		f.Message = "The request signature we calculated does not match the signature you provided. Check your key and signing method."
		f.with("AWSAccessKeyId", c.AccessKeyID).with("StringToSign", string(trace.StringToSign)).with("SignatureProvided", c.Signature)
		f.with("StringToSignBytes", spaced(trace.StringToSign))
		f.with("CanonicalRequest", string(trace.CanonicalRequest)).with("CanonicalRequestBytes", spaced(trace.CanonicalRequest))
	case "AccessDenied":
		switch {
		case errors.Is(e, signer.ErrExpired):
			f.Message = "Request has expired"
			f.with("X-Amz-Expires", c.expires).with("Expires", c.ends()).with("ServerTime", now)
		case errors.Is(e, signer.ErrNotYetValid):
			f.Message = "Request is not yet valid"
			f.with("X-Amz-Date", strconv.FormatInt(c.date.UnixMilli(), 10)).with("Expires", c.ends()).with("ServerTime", now)
		case errors.Is(e, signer.ErrMismatch):
			f.Message = "There were headers present in the request which were not signed"
			f.with("HeadersNotSigned", strings.ReplaceAll(e.Field, ",", ", "))
		}
	case "RequestTimeTooSkewed":
		f.Message = "The difference between the request time and the current time is too large."
		f.with("RequestTime", c.date.Format("20060102T150405Z")).with("ServerTime", now).with("MaxAllowedSkewMilliseconds", "900000")
	case "InvalidAccessKeyId":
		f.Message = "The AWS Access Key Id you provided does not exist in our records."
		f.with("AWSAccessKeyId", c.AccessKeyID)
	case "InvalidToken": // S3 repeats the token in Token-0; here it stays out of logs
		f.status, f.Message = 400, "The provided token is malformed or otherwise invalid."
	case "ExpiredToken":
		f.status, f.Message = 400, "The provided token has expired."
	case "InvalidRequest":
		f.status = 400
		if errors.Is(e, signer.ErrConflict) {
			f.Message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified"
		}
	case "AuthorizationQueryParametersError", "AuthorizationHeaderMalformed":
		f.status = 400
		if errors.Is(e, signer.ErrUnsupported) {
			f.status, f.Code = 501, "NotImplemented"
		}
		if errors.Is(e, signer.ErrScope) && c.Region != "" && c.Region != d.store.Region {
			f.Message = "The authorization header is malformed"
			if c.presigned {
				f.Message = "Error parsing the X-Amz-Credential parameter"
			}
			f.Message += fmt.Sprintf("; the region '%s' is wrong; expecting '%s'", c.Region, d.store.Region)
			f.with("Region", d.store.Region)
		}
	default: // InvalidURI, and what a chunk of a body was refused for
		f.status = 400
	}
	return f
}

// An s3Claim is what a request says of its own signature. It is for the elements of errors and decides nothing.
type s3Claim struct {
	s3.Authorization
	presigned bool
	date      time.Time
	expires   string // seconds
}

func claimOf(r *http.Request) s3Claim {
	q := r.URL.Query()
	c := s3Claim{presigned: q.Has("X-Amz-Credential"), expires: q.Get("X-Amz-Expires")}
	stamp := r.Header.Get("X-Amz-Date")
	if c.presigned {
		stamp = q.Get("X-Amz-Date")
		c.Authorization, _ = s3.ParseAuthorization(authorization(q))
	} else {
		c.Authorization, _ = s3.ParseAuthorization(r.Header.Get("Authorization"))
	}
	c.date, _ = time.Parse("20060102T150405Z", stamp)
	if c.date.IsZero() {
		c.date, _ = http.ParseTime(r.Header.Get("Date"))
	}
	return c
}

// authorization writes a query's signature as the header would.
func authorization(q url.Values) string {
	return fmt.Sprintf("%s Credential=%s,SignedHeaders=%s,Signature=%s", q.Get("X-Amz-Algorithm"), q.Get("X-Amz-Credential"),
		q.Get("X-Amz-SignedHeaders"), q.Get("X-Amz-Signature"))
}

// ends is the instant at which a URL dies.
func (c s3Claim) ends() string {
	seconds, _ := strconv.Atoi(c.expires)
	return c.date.Add(time.Duration(seconds) * time.Second).Format(time.RFC3339)
}

// spaced is b in hexadecimal, as in S3's ...Bytes elements.
func spaced(b []byte) string { return fmt.Sprintf("% x", b) }

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
