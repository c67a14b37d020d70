package storefake

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// What can go wrong with Azure's operations alone.
var (
	errOverwrite = errors.New("the permissions create blobs and do not overwrite them")
	errBlockID   = errors.New("the ids of a blob's blocks have the same length")
	errBlockList = errors.New("the list names a block that is not there")
)

// A missingHeader is one that the operation needs.
type missingHeader string

func (e missingHeader) Error() string { return "the header " + string(e) + " is missing" }

// The message of AuthenticationFailed is the same for every cause; AuthenticationErrorDetail names it. All messages end in the identity
// of the answer and the time.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/status-and-error-codes2
// https://learn.microsoft.com/en-us/rest/api/storageservices/sas-error-codes

func (d *azureDialect) refuse(w http.ResponseWriter, r *http.Request, err error, trace *signer.Trace) {
	f := d.storeFault(err)
	if f == nil {
		f = d.signatureFault(r, err, trace)
	}
	d.greet(w, r)
	allow(w, f)
	h := w.Header()
	f.Message += fmt.Sprintf("\nRequestId:%s\nTime:%s", h.Get("X-Ms-Request-Id"), d.store.Clock.Now().UTC().Format("2006-01-02T15:04:05.0000000Z"))
	h.Set("X-Ms-Error-Code", f.Code)
	if f.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer authorization_uri=https://login.microsoftonline.com/common/oauth2/authorize resource_id=https://storage.azure.com")
	}
	h.Set("Content-Type", "application/xml")
	w.WriteHeader(f.status)
	io.WriteString(w, "\uFEFF<?xml version=\"1.0\" encoding=\"utf-8\"?>") // Azure's documents begin with this mark
	xml.NewEncoder(w).Encode(f)
}

func azureFaults() []knownFault {
	return []knownFault{
		{errNoBucket, 404, "ContainerNotFound", "The specified container does not exist."},
		{errNoObject, 404, "BlobNotFound", "The specified blob does not exist."},
		{errNoMethod, 405, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb."},
		{errFull, 403, "QuotaExceeded", "The store is full: delete something, or start it with higher limits."}, // Azure's end is far away
		{errLength, 411, "MissingContentLengthHeader", "Content-Length HTTP header is required."},
		{errIncomplete, 400, "InvalidInput", "The body ended before its announced length."},
		{errKeyTooLong, 400, "InvalidResourceName", "The specified resource name length is not within the permissible limits."},
		{errMetaTooLarge, 400, "MetadataTooLarge", "The metadata specified exceeds the maximum permissible limit."},
		{errDigest, 400, "Md5Mismatch", "The MD5 value specified in the request did not match with the MD5 value calculated by the server."},
		{errDigestForm, 400, "InvalidMd5", "The MD5 value specified in the request is invalid. MD5 value must be 128 bits and base64 encoded."},
		{errXML, 400, "InvalidXmlDocument", "XML specified is not syntactically valid."},
		{errBlockID, 400, "InvalidBlobOrBlock", "The specified blob or block content is invalid."},
		{errBlockList, 400, "InvalidBlockList", "The specified block list is invalid."},
		{errOverwrite, 403, "UnauthorizedBlobOverwrite", "This request is not authorized to perform blob overwrites."},
		{errLocked, 501, "NotImplemented", "The object was stored with a key of its own, by another provider's API, which alone can read it here."},
	}
}

// storeFault puts what went wrong behind the verifier into Azure's words; nil if nothing did.
func (d *azureDialect) storeFault(err error) *fault {
	if f := find(azureFaults(), err); f != nil {
		return f
	}
	switch e := err.(type) {
	case tooLarge:
		f := &fault{status: 413, Code: "RequestBodyTooLarge", Message: "The request body is too large and exceeds the maximum permissible limit."}
		return f.with("MaxLimit", fmt.Sprint(e.most))
	case notImplemented:
		f := &fault{status: 501, Code: "NotImplemented", Message: "The requested operation is not implemented on the specified resource."}
		return f.with("HeaderName", strings.ToLower(e.header)).with("QueryParameterName", e.param)
	case missingHeader:
		f := &fault{status: 400, Code: "MissingRequiredHeader", Message: "An HTTP header that's mandatory for this request is not specified."}
		return f.with("HeaderName", string(e))
	case badArgument:
		if strings.HasPrefix(e.name, "x-ms-") {
			f := &fault{status: 400, Code: "InvalidHeaderValue", Message: "The value for one of the HTTP headers is not in the correct format."}
			return f.with("HeaderName", e.name).with("HeaderValue", e.value)
		}
		f := &fault{status: 400, Code: "InvalidQueryParameterValue", Message: "Value for one of the query parameters specified in the request URI is invalid."}
		return f.with("QueryParameterName", e.name).with("QueryParameterValue", e.value).with("Reason", e.message)
	case failed:
		if e == "If-None-Match" {
			return &fault{status: 409, Code: "BlobAlreadyExists", Message: "The specified blob already exists."}
		}
		return &fault{status: 412, Code: "ConditionNotMet", Message: "The condition specified using HTTP conditional header(s) is not met."}
	case badRange:
		return &fault{status: 416, Code: "InvalidRange", Message: "The range specified is invalid for the current size of the resource."}
	}
	return nil
}

// signatureFault puts a Verifier's refusal into Azure's words. The elements say what a client needs to find its mistake, and
// never what the signature should have been.
func (d *azureDialect) signatureFault(r *http.Request, err error, trace *signer.Trace) *fault {
	e := refusal(err)
	if e == nil || e.Code == "" {
		if errors.Is(err, signer.ErrUnsigned) {
			return &fault{status: 401, Code: "NoAuthenticationInformation", Message: "Server failed to authenticate the request. Please refer to the information in the www-authenticate header."}
		}
		return &fault{status: 500, Code: "InternalError", Message: "The server encountered an internal error. Please retry the request."}
	}
	const denied = "This request is not authorized to perform this operation"
	f := &fault{status: 403, Code: e.Code}
	switch e.Code {
	case "AuthorizationPermissionMismatch":
		f.Message = denied + " using this permission."
	case "AuthorizationProtocolMismatch":
		f.Message = denied + " using this protocol."
	case "AuthorizationSourceIPMismatch":
		f.Message = denied + " using this source IP."
		if in, err := pipeline.DirectInbound(r); err == nil {
			f.Message = denied + " using this source IP " + in.ClientIP.String() + "."
		}
	case "AuthorizationServiceMismatch":
		f.Message = denied + " using this service."
	case "AuthorizationFailure":
		f.Message = denied + "."
	case "InvalidAuthenticationInfo":
		f.status, f.Message = 400, "Authentication information is not given in the correct format. Check the value of Authorization header."
		if errors.Is(e, signer.ErrExpired) || errors.Is(e, signer.ErrNotYetValid) { // of Shared Key
			return d.authentication(r, e, trace)
		}
	case "AuthenticationFailed":
		return d.authentication(r, e, trace)
	case "AuthorizationResourceTypeMismatch":
		if e.Field == "sr" || e.Field == "sdd" { // an account SAS has srt
			return d.authentication(r, e, trace)
		}
		f.Message = denied + " using this resource type."
	default: // InvalidUri, InvalidResourceName, InvalidQueryParameterValue, InvalidHeaderValue
		f.status, f.Message = 400, e.Error()
	}
	return f
}

// authentication is AuthenticationFailed, with the detail that names the cause.
func (d *azureDialect) authentication(r *http.Request, e *signer.Error, trace *signer.Trace) *fault {
	f := &fault{status: 403, Code: "AuthenticationFailed",
		Message: "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature."}
	return f.with("AuthenticationErrorDetail", d.detail(r, e, trace))
}

func (d *azureDialect) detail(r *http.Request, e *signer.Error, trace *signer.Trace) string {
	q := r.URL.Query()
	now := azureTime(d.store.Clock.Now())
	at := func(param string) string {
		t, err := time.Parse(time.RFC3339, q.Get(param))
		if err != nil {
			return q.Get(param)
		}
		return azureTime(t)
	}
	text := e.Error()
	timed := errors.Is(e, signer.ErrExpired) || errors.Is(e, signer.ErrNotYetValid)
	switch {
	case errors.Is(e, signer.ErrMismatch) && e.Field == "sig":
		return "Signature did not match. String to sign used was " + string(trace.StringToSign)
	case errors.Is(e, signer.ErrMismatch) && e.Field == "Authorization":
		_, signature, _ := strings.Cut(r.Header.Get("Authorization"), ":")
		return fmt.Sprintf("The MAC signature found in the HTTP request '%s' is not the same as any computed signature. Server used following string to sign: '%s'.", signature, trace.StringToSign)
	case timed && (e.Field == "st" || e.Field == "se") && q.Has("st"):
		return fmt.Sprintf("Signature not valid in the specified time frame: Start [%s] - Expiry [%s] - Current [%s]", at("st"), at("se"), now)
	case timed && e.Field == "se":
		return fmt.Sprintf("Signed expiry time [%s] has to be after signed start time [%s]", at("se"), now)
	case timed && (e.Field == "skt" || e.Field == "ske"):
		return fmt.Sprintf("Signature not valid in the specified key time frame: Key start [%s] - Key expiry [%s] - Current [%s]", at("skt"), at("ske"), now)
	case timed:
		date := r.Header.Get("X-Ms-Date")
		if date == "" {
			date = r.Header.Get("Date")
		}
		return "Request date header too old: '" + date + "'"
	case e.Field == "se" && strings.Contains(text, "it is not after"):
		return fmt.Sprintf("Signed expiry time [%s] has to be after signed start time [%s]", at("se"), at("st"))
	case e.Field == "sv":
		return "SAS field 'sv' is not well formed."
	case e.Code == "AuthorizationResourceTypeMismatch":
		return "The specified signed resource is not allowed for the this resource level"
	case strings.HasSuffix(text, " needs it"):
		return e.Field + " is mandatory. Cannot be empty"
	case strings.Contains(text, "there and empty"):
		return e.Field + " is optional but cannot be empty"
	case errors.Is(e, signer.ErrMalformed):
		return "Signature fields not well formed."
	}
	return text
}

func azureTime(t time.Time) string { return t.UTC().Format(http.TimeFormat) }
