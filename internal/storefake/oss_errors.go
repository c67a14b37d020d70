package storefake

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// The errors of OSS have a code of a second kind, EC, which tells causes apart that share a code. Not all are documented: an answer
// has one only where it is known.
//
// https://help.aliyun.com/en/oss/support/http-status-codes

func (d *ossDialect) refuse(w http.ResponseWriter, r *http.Request, err error, trace *signer.Trace) {
	f := d.storeFault(r, err)
	if f == nil {
		f = d.signatureFault(r, err, trace)
	}
	allow(w, f.fault)
	d.greet(w)
	details := f.Elements
	f.Elements = nil
	f.with("RequestId", requestID(w, d.requestID)).with("HostId", r.Host)
	f.Elements = append(f.Elements, details...)
	if f.ec != "" {
		f.with("EC", f.ec).with("RecommendDoc", "https://api.aliyun.com/troubleshoot?q="+f.ec)
		w.Header().Set("X-Oss-Ec", f.ec)
	}
	if r.Method != http.MethodHead {
		writeXML(w, f.status, f.fault)
		return
	}
	var body bytes.Buffer // which HEAD has not
	io.WriteString(&body, xml.Header)
	xml.NewEncoder(&body).Encode(f.fault)
	w.Header().Set("X-Oss-Err", base64.StdEncoding.EncodeToString(body.Bytes()))
	w.WriteHeader(f.status)
}

// An ossFault is an error with its EC, "" if that is not known.
type ossFault struct {
	*fault
	ec string
}

func ossFaults() []knownFault {
	return []knownFault{
		{errNoBucket, 404, "NoSuchBucket", "The specified bucket does not exist."},
		{errNoObject, 404, "NoSuchKey", "The specified key does not exist."},
		{errNoMethod, 405, "MethodNotAllowed", "The specified method is not allowed against this resource."},
		{errFull, 403, "QuotaExceeded", "The store is full: delete something, or start it with higher limits."}, // OSS has no end
		{errLength, 411, "MissingContentLength", "You must provide the Content-Length HTTP header."},
		{errIncomplete, 400, "IncompleteBody", "The request body terminated unexpectedly."},
		{errKeyTooLong, 400, "InvalidObjectName", "The specified object is not valid."},
		{errMetaTooLarge, 400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size."},
		{errDigest, 400, "InvalidDigest", "The Content-MD5 you specified was invalid."},
		{errDigestForm, 400, "InvalidDigest", "The Content-MD5 you specified was invalid."},
		{errNoUpload, 404, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."},
		{errPartOrder, 400, "InvalidPartOrder", "The list of parts was not in ascending order. Parts list must specified in order by part number."},
		{errXML, 400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema."},
		{errForm, 400, "MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data."},
		{errFormFields, 400, "FieldItemTooLong", "Your POST request fields preceding the upload file were too large."},
		{errFormFile, 400, "IncorrectNumberOfFilesInPOSTRequest", "POST requires exactly one file upload per request."},
		{errLocked, 501, "NotImplemented", "The object was stored with a key of its own, by another provider's API, which alone can read it here."},
	}
}

// storeFault puts what went wrong behind the verifier into OSS's words; nil if nothing did.
func (d *ossDialect) storeFault(r *http.Request, err error) *ossFault {
	if f := find(ossFaults(), err); f != nil {
		f := &ossFault{fault: f}
		switch f.Code {
		case "NoSuchBucket":
			f.ec = "0015-00000101"
		case "NoSuchKey":
			f.ec = "0026-00000001"
			f.with("Key", strings.TrimPrefix(r.URL.Path, "/"+d.store.Bucket+"/"))
		case "NoSuchUpload":
			f.with("UploadId", r.URL.Query().Get("uploadId"))
		case "MethodNotAllowed":
			f.with("Method", r.Method)
		}
		return f
	}
	f := new(fault)
	switch e := err.(type) {
	case otherSize:
		*f = fault{status: 400, Code: e.code(), Message: "Your proposed upload exceeds the maximum allowed size."}
		ec := "0006-00000003"
		if !e.over() {
			f.Message, ec = "Your proposed upload is smaller than the minimum allowed size.", "0006-00000004"
		}
		return &ossFault{f, ec}
	case tooLarge:
		*f = fault{status: 400, Code: "EntityTooLarge", Message: "Your proposed upload exceeds the maximum allowed size."}
		f.with("ProposedSize", fmt.Sprint(e.size)).with("MaxSizeAllowed", fmt.Sprint(e.most))
	case notImplemented:
		*f = fault{status: 501, Code: "NotImplemented", Message: "A header you provided implies functionality that is not implemented."}
		if e.message != "" {
			f.Message = e.message
		}
		f.with("Header", e.header).with("Parameter", e.param)
	case badArgument:
		*f = fault{status: 400, Code: "InvalidArgument", Message: e.message}
		f.with("ArgumentName", e.name).with("ArgumentValue", e.value)
	case badRequest:
		*f = fault{status: 400, Code: "InvalidArgument", Message: string(e)}
	case failed:
		*f = fault{status: 412, Code: "PreconditionFailed", Message: "At least one of the pre-conditions you specified did not hold."}
		if e == "If-None-Match" && r.Header.Get("X-Oss-Forbid-Overwrite") != "" {
			*f = fault{status: 409, Code: "FileAlreadyExists", Message: "The object you specified already exists and can not be overwritten."}
			break
		}
		f.with("Condition", string(e))
	case badRange:
		*f = fault{status: 416, Code: "InvalidRange", Message: "The requested range cannot be satisfied."}
		f.with("ActualObjectSize", fmt.Sprint(e.size)).with("RangeRequested", e.asked)
	case badPart:
		if e.least > 0 {
			*f = fault{status: 400, Code: "EntityTooSmall", Message: "Your proposed upload smaller than the minimum allowed size."}
			f.with("ProposedSize", fmt.Sprint(e.size)).with("MinSizeAllowed", fmt.Sprint(e.least)).with("PartNumber", fmt.Sprint(e.number))
			break
		}
		*f = fault{status: 400, Code: "InvalidPart", Message: "One or more of the specified parts could not be found or the specified entity tag might not have matched the part's entity tag."}
		f.with("UploadId", r.URL.Query().Get("uploadId")).with("PartNumber", fmt.Sprint(e.number))
	default:
		return nil
	}
	return &ossFault{fault: f}
}

// signatureFault puts a Verifier's refusal into OSS's words. The elements say what a client needs to find its mistake, and
// never what the signature should have been.
func (d *ossDialect) signatureFault(r *http.Request, err error, trace *signer.Trace) *ossFault {
	e := refusal(err)
	if e == nil {
		return &ossFault{fault: &fault{status: 500, Code: "InternalError", Message: "We encountered an internal error. Please try again."}}
	}
	const ecPrefix = "0002-"
	f := &ossFault{fault: &fault{status: 400, Code: "InvalidArgument", Message: e.Error()}}
	if strings.HasPrefix(e.Code, ecPrefix) {
		f.ec = e.Code
	}
	if form := (refusedForm{}); errors.As(err, &form) {
		return formFaultOSS(form, e)
	}
	q := r.URL.Query()
	presigned := q.Has("x-oss-signature") || q.Has("x-oss-credential")
	id, signature := ossClaim(r)
	now := xmlTime(d.store.Clock.Now())
	denied := func(message string) *ossFault {
		f.status, f.Code, f.Message = 403, "AccessDenied", message
		return f
	}
	switch {
	case errors.Is(err, signer.ErrUnsigned):
		return denied("You have no right to access this object because of bucket acl.")
	case e.Code == "0002-00000201":
		f.status, f.Code = 403, "SignatureDoesNotMatch"
		f.Message = "The request signature we calculated does not match the signature you provided. Check your key and signing method."
		f.with("OSSAccessKeyId", id).with("SignatureProvided", signature).with("StringToSign", string(trace.StringToSign))
		f.with("StringToSignBytes", fmt.Sprintf("% X", trace.StringToSign))
	case e.Code == "0002-00000504":
		f.status, f.Code, f.Message = 403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."
		f.with("MaxAllowedSkewMilliseconds", "900000").with("RequestTime", ossDate(r)).with("ServerTime", now)
	case e.Code == "0002-00000236":
		denied("Request has expired.")
		f.with("Expires", ossEnd(r)).with("ServerTime", now)
	case errors.Is(e, signer.ErrNotYetValid):
		denied("Request is not yet valid.")
		f.with("ServerTime", now)
	case e.Code == "0002-00000502", e.Code == "0002-00000503":
		denied("OSS authentication requires a valid Date.")
	case e.Code == "InvalidAccessKeyId" && errors.Is(e, signer.ErrExpired):
		f.status, f.Code, f.Message = 403, "SecurityTokenExpired", "The security token you provided has expired."
	case e.Code == "InvalidAccessKeyId":
		f.status, f.Code, f.Message = 403, e.Code, "The OSS Access Key Id you provided does not exist in our records."
		f.with("OSSAccessKeyId", id)
	case e.Code == "AccessDenied":
		return denied(e.Error())
	case errors.Is(e, signer.ErrConflict):
		f.Message = "Either the Signature query string parameter or the Authorization header should be specified, not both."
	case e.Code == "0002-00000226" && !presigned:
		f.Message = "Invalid signing region in Authorization header."
	case e.Code == "0002-00000227" && !presigned:
		f.Message = "Invalid signing product in Authorization header."
	}
	if f.Code == "InvalidArgument" && !presigned {
		f.Elements = append(f.Elements, element{XMLName: xml.Name{Local: "Authorization"}}) // which OSS leaves empty
	}
	return f
}

// ossClaim is what a request says of its own signature, for the elements of errors. It decides nothing.
func ossClaim(r *http.Request) (id, signature string) {
	q := r.URL.Query()
	credential, signature := q.Get("x-oss-credential"), q.Get("x-oss-signature")
	if credential == "" {
		_, credential, _ = strings.Cut(r.Header.Get("Authorization"), "Credential=")
		_, signature, _ = strings.Cut(r.Header.Get("Authorization"), "Signature=")
		signature, _, _ = strings.Cut(signature, ",")
	}
	id, _, _ = strings.Cut(credential, "/")
	return id, signature
}

// ossDate is the time of a request that is signed in its header, as it says.
func ossDate(r *http.Request) string {
	date, err := time.Parse("20060102T150405Z", r.Header.Get("X-Oss-Date"))
	if err != nil {
		date, err = http.ParseTime(r.Header.Get("Date"))
	}
	if err != nil {
		return ""
	}
	return xmlTime(date)
}

// ossEnd is the instant at which a URL dies.
func ossEnd(r *http.Request) string {
	q := r.URL.Query()
	date, err1 := time.Parse("20060102T150405Z", q.Get("x-oss-date"))
	life, err2 := time.ParseDuration(q.Get("x-oss-expires") + "s")
	if err1 != nil || err2 != nil {
		return ""
	}
	return xmlTime(date.Add(life))
}
