package storefake

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// The errors of the XML API have a code, words that depend on little else than the status, and Details. Not all of their words are
// documented: what is not known is the Verifier's.
//
// https://docs.cloud.google.com/storage/docs/xml-api/reference-status

func (d *gcsDialect) refuse(w http.ResponseWriter, r *http.Request, err error, trace *signer.Trace) {
	f := d.storeFault(err)
	if f == nil {
		f = d.signatureFault(r, err, trace)
	}
	allow(w, f)
	requestID(w, d.requestID)
	writeXML(w, f.status, f)
}

func gcsFaults() []knownFault {
	return []knownFault{
		{errNoBucket, 404, "NoSuchBucket", "The specified bucket does not exist."},
		{errNoObject, 404, "NoSuchKey", "The specified key does not exist."},
		{errNoMethod, 405, "MethodNotAllowed", "The specified method is not allowed against this resource."},
		{errFull, 403, "QuotaExceeded", "The store is full: delete something, or start it with higher limits."}, // Cloud Storage has no end
		{errLength, 411, "MissingContentLength", "You must provide the Content-Length HTTP header."},
		{errIncomplete, 400, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header."},
		{errKeyTooLong, 400, "KeyTooLong", "The specified key is too long."},
		{errMetaTooLarge, 400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size."},
		{errDigest, 400, "BadDigest", "The Content-MD5 you specified did not match what we received."},
		{errDigestForm, 400, "InvalidDigest", "The Content-MD5 you specified was invalid."},
		{errNoUpload, 404, "NoSuchUpload", "The specified upload does not exist."},
		{errPartOrder, 400, "InvalidPartOrder", "The list of parts was not in ascending order."},
		{errXML, 400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema."},
		{errForm, 400, "MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data."},
		{errFormFields, 400, "MaxPostPreDataLengthExceededError", "Your POST request fields preceding the upload file were too large."},
		{errFormFile, 400, "IncorrectNumberOfFilesInPostRequest", "POST requires exactly one file upload per request."},
		{errLocked, 400, "ResourceIsEncryptedWithCustomerEncryptionKey", "The resource is encrypted with a customer encryption key."},
	}
}

// storeFault puts what went wrong behind the verifier into the words of the XML API; nil if nothing did.
func (d *gcsDialect) storeFault(err error) *fault {
	if f := find(gcsFaults(), err); f != nil {
		return f
	}
	switch e := err.(type) {
	case tooLarge:
		return &fault{status: 400, Code: "EntityTooLarge", Message: "Your proposed upload exceeds the maximum allowed object size."}
	case otherSize:
		return d.storeFault(outOfRange{e.over()})
	case outOfRange:
		if e.over {
			f := &fault{status: 400, Code: "EntityTooLarge", Message: "Your proposed upload is larger than the maximum object size specified in your Policy Document."}
			return f.with("Details", "Content-length exceeds upper bound on range")
		}
		f := &fault{status: 400, Code: "EntityTooSmall", Message: "Your proposed upload is smaller than the minimum object size specified in your Policy Document."}
		return f.with("Details", "Content-length smaller than lower bound on range")
	case notImplemented:
		f := &fault{status: 501, Code: "NotImplemented", Message: "A header or query you provided requested a function that is not implemented."}
		return f.with("Details", e.header+e.param+e.message)
	case badArgument:
		f := &fault{status: 400, Code: "InvalidArgument", Message: "Invalid argument."}
		return f.with("Details", e.name+": "+e.message)
	case badRequest:
		f := &fault{status: 400, Code: "InvalidArgument", Message: "Invalid argument."}
		return f.with("Details", string(e))
	case failed:
		f := &fault{status: 412, Code: "PreconditionFailed", Message: "At least one of the pre-conditions you specified did not hold."}
		return f.with("Details", string(e))
	case badRange:
		f := &fault{status: 416, Code: "InvalidRange", Message: "The requested range cannot be satisfied."}
		return f.with("Details", e.asked)
	case badPartNumber:
		return &fault{status: 416, Code: "InvalidRange", Message: "The requested range cannot be satisfied."}
	case badPart:
		if e.least > 0 {
			return &fault{status: 400, Code: "EntityTooSmall", Message: "Your proposed upload is smaller than the minimum allowed object size."}
		}
		return &fault{status: 400, Code: "InvalidPart", Message: "One or more of the specified parts could not be found."}
	case otherChecksum:
		f := &fault{status: 400, Code: "BadDigest", Message: "The x-goog-hash you specified did not match what we received."}
		return f.with("Details", e.algorithm)
	case otherBody:
		f := &fault{status: 400, Code: "BadDigest", Message: "The body is not the one whose SHA-256 was signed."}
		return f.with("Details", "x-goog-content-sha256")
	case badKey:
		return &fault{status: 400, Code: e.code, Message: e.message}
	}
	return nil
}

// signatureFault puts a Verifier's refusal into the words of the XML API. The elements say what a client needs to find its mistake,
// and never what the signature should have been.
func (d *gcsDialect) signatureFault(r *http.Request, err error, trace *signer.Trace) *fault {
	if errors.Is(err, signer.ErrUnsigned) {
		if r.Header.Get("Authorization") != "" {
			return &fault{status: 401, Code: "AuthenticationRequired", Message: "Authentication required."}
		}
		f := &fault{status: 403, Code: "AccessDenied", Message: "Access denied."}
		return f.with("Details", "Anonymous caller does not have storage.objects.get access to the Google Cloud Storage object. Permission 'storage.objects.get' denied on resource (or it may not exist).")
	}
	e := refusal(err)
	if e == nil || e.Code == "" {
		return &fault{status: 500, Code: "InternalError", Message: "We encountered an internal error. Please try again."}
	}
	if form := (refusedForm{}); errors.As(err, &form) {
		return formFaultGCS(form, e)
	}
	f := &fault{status: 400, Code: e.Code, Message: "Invalid argument."}
	switch e.Code {
	case "SignatureDoesNotMatch":
		f.status, f.Message = 403, "Access denied."
		f.with("Details", "The request signature we calculated does not match the signature you provided. Check your Google secret key and signing method.")
		return f.with("StringToSign", string(trace.StringToSign)).with("CanonicalRequest", string(trace.CanonicalRequest))
	case "ExpiredToken":
		return f.with("Details", "The provided token has expired. Request signature expired at: "+d.ends(r))
	case "MissingSecurityHeader":
		f.Message = "Your request was missing a required header."
		return f.with("Details", strings.ToLower(e.Field))
	case "MalformedSecurityHeader":
		f.Message = "Your request has a malformed header."
		return gcsMalformed(f, e)
	case "AccessDenied":
		f.status, f.Message = 403, "Access denied."
	case "AuthenticationRequired":
		f.status, f.Message = 401, "Authentication required."
	case "RequestTimeTooSkewed":
		f.status, f.Message = 403, "The difference between the request time and the server's time is too large."
	}
	return f.with("Details", e.Error())
}

// gcsMalformed names the header or parameter at fault, and says what is wrong with it in Google's words where they are known.
func gcsMalformed(f *fault, e *signer.Error) *fault {
	name, details := strings.ToLower(e.Field), e.Error()
	switch {
	case errors.Is(e, signer.ErrMismatch) && strings.Contains(details, "was signed and is not in the request"):
		details = "Header was included in signedheaders, but not in the request."
	case errors.Is(e, signer.ErrMismatch):
		name, _, _ = strings.Cut(name, ",") // one of those that are not signed
		details = "Header must be signed."
	case strings.Contains(details, "host is not among them"):
		return f.with("Details", "Host header not signed")
	case e.Field == "X-Goog-Date":
		name, details = "Date", "Date not in valid ISO 8601 format."
	case e.Field == "X-Goog-Expires":
		name, details = "Expires", "Expires must be between 1 and 604800."
	}
	return f.with("ParameterName", name).with("Details", details)
}

// ends is the instant at which a URL dies.
func (d *gcsDialect) ends(r *http.Request) string {
	value := func(name string) string {
		for n, values := range r.URL.Query() {
			if strings.EqualFold(n, name) {
				return values[0]
			}
		}
		return ""
	}
	date, err1 := time.Parse("20060102T150405Z", value("X-Goog-Date"))
	life, err2 := time.ParseDuration(value("X-Goog-Expires") + "s")
	if err1 != nil || err2 != nil {
		return ""
	}
	return date.Add(life).Format("2006-01-02T15:04:05-07:00")
}
