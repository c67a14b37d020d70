package storefake

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

func (d *s3Dialect) refuse(w http.ResponseWriter, r *http.Request, err error, trace *signer.Trace) {
	f := d.storeFault(r, err)
	if f == nil {
		f = d.signatureFault(r, err, trace)
	}
	allow(w, f)
	f.with("RequestId", requestID(w, d.requestID))
	writeXML(w, f.status, f) // of which net/http sends only the header in answer to HEAD
}

func s3Faults() []knownFault {
	return []knownFault{
		{errNoBucket, 404, "NoSuchBucket", "The specified bucket does not exist"},
		{errNoObject, 404, "NoSuchKey", "The specified key does not exist."},
		{errNoMethod, 405, "MethodNotAllowed", "The specified method is not allowed against this resource."},
		{errFull, 403, "QuotaExceeded", "The store is full: delete something, or start it with higher limits."}, // Ceph's; S3 has no end
		{errLength, 411, "MissingContentLength", "You must provide the Content-Length HTTP header."},
		{errIncomplete, 400, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header"},
		{errKeyTooLong, 400, "KeyTooLongError", "Your key is too long"},
		{errMetaTooLarge, 400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size"},
		{errDigest, 400, "BadDigest", "The Content-MD5 you specified did not match what we received."},
		{errNoUpload, 404, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."},
		{errPartOrder, 400, "InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number."},
		{errXML, 400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"},
		{errForm, 400, "MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data."},
		{errFormFields, 400, "MaxPostPreDataLengthExceeded", "Your POST request fields preceding the upload file were too large."},
		{errFormFile, 400, "InvalidArgument", "POST requires exactly one file upload per request."},
		{errDigestForm, 400, "InvalidDigest", "The Content-MD5 you specified was invalid."},
		{errLocked, 501, "NotImplemented", "The object was stored with a key of its own, by another provider's API, which alone can read it here."},
	}
}

// storeFault puts what went wrong behind the verifier into S3's words; nil if nothing did.
func (d *s3Dialect) storeFault(r *http.Request, err error) *fault {
	if f := find(s3Faults(), err); f != nil {
		switch f.Code {
		case "MethodNotAllowed":
			f.with("Method", r.Method)
		case "InvalidArgument": // of a form
			f.with("ArgumentName", "file").with("ArgumentValue", "0")
		case "NoSuchUpload", "InvalidPartOrder":
			f.with("UploadId", r.URL.Query().Get("uploadId"))
		}
		return f
	}
	switch e := err.(type) {
	case tooLarge:
		f := &fault{status: 400, Code: "EntityTooLarge", Message: "Your proposed upload exceeds the maximum allowed size"}
		return f.with("ProposedSize", strconv.FormatInt(e.size, 10)).with("MaxSizeAllowed", strconv.FormatInt(e.most, 10))
	case otherSize:
		f := &fault{status: 400, Code: e.code(), Message: "Your proposed upload exceeds the maximum allowed size"}
		if !e.over() {
			f.Message = "Your proposed upload is smaller than the minimum allowed size"
			return f.with("ProposedSize", strconv.FormatInt(e.size, 10)).with("MinSizeAllowed", strconv.FormatInt(e.least, 10))
		}
		return f.with("ProposedSize", strconv.FormatInt(e.size, 10)).with("MaxSizeAllowed", strconv.FormatInt(e.most, 10))
	case notImplemented:
		f := &fault{status: 501, Code: "NotImplemented", Message: "A header or parameter you provided implies functionality that is not implemented"}
		if e.message != "" {
			f.Message = e.message
		}
		return f.with("Header", e.header).with("Parameter", e.param)
	case badArgument:
		f := &fault{status: 400, Code: "InvalidArgument", Message: e.message}
		return f.with("ArgumentName", e.name).with("ArgumentValue", e.value)
	case badRequest:
		return &fault{status: 400, Code: "InvalidRequest", Message: string(e)}
	case failed:
		f := &fault{status: 412, Code: "PreconditionFailed", Message: "At least one of the pre-conditions you specified did not hold"}
		return f.with("Condition", string(e))
	case badRange:
		f := &fault{status: 416, Code: "InvalidRange", Message: "The requested range is not satisfiable"}
		return f.with("RangeRequested", e.asked).with("ActualObjectSize", strconv.FormatInt(e.size, 10))
	case badPartNumber:
		f := &fault{status: 416, Code: "InvalidPartNumber", Message: "The requested partnumber is not satisfiable"}
		return f.with("PartNumberRequested", strconv.Itoa(e.asked)).with("ActualPartCount", strconv.Itoa(e.count))
	case badPart:
		if e.least > 0 {
			f := &fault{status: 400, Code: "EntityTooSmall", Message: "Your proposed upload is smaller than the minimum allowed size"}
			f.with("ProposedSize", strconv.FormatInt(e.size, 10)).with("MinSizeAllowed", strconv.FormatInt(e.least, 10))
			return f.with("PartNumber", strconv.Itoa(e.number)).with("ETag", strings.Trim(e.etag, `"`))
		}
		f := &fault{status: 400, Code: "InvalidPart", Message: "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."}
		return f.with("UploadId", r.URL.Query().Get("uploadId")).with("PartNumber", strconv.Itoa(e.number)).with("ETag", strings.Trim(e.etag, `"`))
	case otherChecksum:
		return &fault{status: 400, Code: "BadDigest", Message: "The " + e.algorithm + " you specified did not match the calculated checksum."}
	case otherBody:
		f := &fault{status: 400, Code: "XAmzContentSHA256Mismatch", Message: "The provided 'x-amz-content-sha256' header does not match what was computed."}
		return f.with("ClientComputedContentSHA256", e.signed).with("S3ComputedContentSHA256", fmt.Sprintf("%x", e.got))
	}
	return nil
}

// signatureFault puts a Verifier's refusal into S3's words. The code is the Verifier's; the elements say what a
// client needs to find its mistake, and nothing that it did not send or could not compute: never what the signature should
// have been.
func (d *s3Dialect) signatureFault(r *http.Request, err error, trace *signer.Trace) *fault {
	if errors.Is(err, signer.ErrUnsigned) {
		return &fault{status: 403, Code: "AccessDenied", Message: "Access Denied"}
	}
	e := refusal(err)
	if e == nil || e.Code == "" {
		return &fault{status: 500, Code: "InternalError", Message: "We encountered an internal error. Please try again."}
	}
	if form := (refusedForm{}); errors.As(err, &form) {
		return formFaultS3(form, e)
	}
	c := claimOf(r)
	now := d.store.Clock.Now().UTC().Format(time.RFC3339)
	f := &fault{status: 403, Code: e.Code, Message: e.Error()}
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
