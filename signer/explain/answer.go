package explain

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/refusal"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A rule adds the causes that it sees. Rules do not look at each other's, but for those in the order in which they stand: of causes
// that are equally certain the earlier one is named first.
type rule func(context.Context, *file)

// rules are all of them: what the service says by itself, what two strings say beside each other, what can be seen in the URL, and
// what is left.
func rules() []rule {
	return []rule{answerTime, answerCode, answerECs, answerAzure, answerRequired, differences, sentAndSigned, byKeys, inURL, inTimes, leftover}
}

// answerTime reads refusals for the time.
func answerTime(_ context.Context, f *file) {
	r := f.refusal
	if r.Kind() != refusal.Time && !(f.provider == "oss" && (f.ec() == "0002-00000236" || f.ec() == "0002-00000069")) {
		return
	}
	text := r.Message + " " + f.detail()
	signed, server := f.signedAt, r.ServerTime
	if t := anyTime(r.Text("RequestTime")); !t.IsZero() {
		signed = t
	}
	start, end := f.start, f.end
	if t := httpTime(between(text, "Start [", "]")); !t.IsZero() {
		start = t
	}
	if t := httpTime(between(text, "Expiry [", "]")); !t.IsZero() {
		end = t
	}
	if t := anyTime(r.Text("Expires")); !t.IsZero() {
		end = t
	}
	if server.IsZero() {
		server = f.server
	}
	switch {
	case strings.Contains(text, "key time frame"):
		f.found(Expired, Proved, "the user delegation key is outside of its own time, whatever the SAS says: "+f.quote(between(text, "key time frame:", "")),
			"fetch a new user delegation key, from 20 minutes before now on; package azure/udk does")
	case r.Code == "RequestTimeTooSkewed", strings.Contains(text, "date header too old"):
		why := "the service compares the request's date with its clock, and they are more than 15 minutes apart"
		if !signed.IsZero() && !server.IsZero() {
			why = fmt.Sprintf("the request is dated %s and the service's clock says %s: the signer's clock is %s", instant(signed), instant(server), offset(signed.Sub(server)))
		}
		certainty := Proved
		if f.form == "URL" { // some stores measure the age of a URL in this way
			certainty = Likely
			f.found(Expired, Possible, "some stores take a URL for no longer than 15 minutes, whatever its life is", "presign when it is used, or bring the store up to date")
		}
		f.found(ClockSkew, certainty, why, "correct the machine's clock (NTP), or give the signer a clock.Source, which learns the offset from such answers")
	case strings.Contains(text, "not yet valid"), strings.Contains(text, "not valid yet"), !start.IsZero() && !server.IsZero() && start.After(server):
		f.found(NotYetValid, Proved, fmt.Sprintf("it starts at %s, and the service's clock says %s", instant(start), instant(server)), "wait, or sign with a right clock")
		if !start.IsZero() && !server.IsZero() {
			f.found(ClockSkew, Likely, fmt.Sprintf("URLs start at the signer's now or before it; its clock is ahead by %s at least", start.Sub(server).Round(time.Second)),
				"correct the machine's clock (NTP), or give the signer a clock.Source")
		}
	default:
		why := "the service says so"
		if !end.IsZero() && !server.IsZero() {
			why = fmt.Sprintf("it ended at %s, and the service's clock says %s: %s late", instant(end), instant(server), server.Sub(end).Round(time.Second))
		}
		f.found(Expired, Proved, why, "presign again when it is used; signer.RefreshTransport does, and Request.Expires says how long a URL must work")
		if !f.signedAt.IsZero() && !f.end.IsZero() && !f.Now.IsZero() && f.Now.Before(f.end) {
			f.found(ClockSkew, Likely, fmt.Sprintf("by the local clock (%s) it is still good", instant(f.Now)), "correct the machine's clock (NTP), or give the signer a clock.Source")
		}
	}
}

// What signer.Require answers where it does not name the class of the Verifier's error.
const (
	malformed   = "malformed signature"
	unsupported = "unsupported signature"
	unchecked   = "signature could not be checked"
)

// readRequired returns what signer.Require answers, without "signature: " in front of a class; "" for the answers of others.
func readRequired(body []byte) string {
	text := strings.TrimSpace(string(body[:min(len(body), 64)]))
	if class, ok := strings.CutPrefix(text, "signature: "); ok {
		for _, err := range [...]error{signer.ErrMismatch, signer.ErrExpired, signer.ErrNotYetValid, signer.ErrUnknownKey, signer.ErrScope, signer.ErrPolicy} {
			if class == err.Error() {
				return class
			}
		}
		return ""
	}
	switch text {
	case signer.ErrUnsigned.Error(), signer.ErrConflict.Error(), malformed, unsupported, unchecked:
		return text
	}
	return ""
}

// answerRequired reads the answers of signer.Require, which tell a stranger only the class of the Verifier's error. A mismatch is
// looked into as that of any service.
func answerRequired(_ context.Context, f *file) {
	said := "the service says " + strconv.Quote(f.required)
	const look = "; the service's log, or Evidence.Verifier with its keys, says which"
	switch f.required {
	case signer.ErrUnsigned.Error():
		f.unsigned()
	case signer.ErrConflict.Error():
		f.found(TwoSignatures, Proved, said+": in the URL and the Authorization header, or of two schemes", "send no Authorization header with a signed URL: clients carry it along in redirects (signer.CheckRedirect keeps them from it)")
	case malformed:
		f.found(Malformed, Proved, said+look, "presign anew, and use the URL as it is")
	case unsupported:
		f.found(Algorithm, Proved, said+look, "sign in a way that this service verifies")
	case signer.ErrExpired.Error():
		f.found(Expired, Proved, said+": the signature, or the key that made it, is past its end", "presign again when it is used; signer.RefreshTransport does, and Request.Expires says how long a URL must work")
		if !f.end.IsZero() && !f.Now.IsZero() && f.Now.Before(f.end) {
			f.found(ClockSkew, Likely, fmt.Sprintf("by the local clock (%s) it is still good", instant(f.Now)), "correct the machine's clock (NTP), or give the signer a clock.Source")
		}
	case signer.ErrNotYetValid.Error():
		f.found(NotYetValid, Proved, said, "wait, or sign with a right clock")
		f.found(ClockSkew, Likely, "URLs start at the signer's now or before it, so that its clock is ahead", "correct the machine's clock (NTP), or give the signer a clock.Source")
	case signer.ErrUnknownKey.Error():
		f.found(UnknownKey, Proved, said+f.keyed(), "sign with a key that the service has, or give it this one (VerifierConfig.Lookup)")
	case signer.ErrScope.Error():
		f.found(Scope, Proved, said+": the region, the service, the host or what is asked for is another than the signature's"+look, "sign for the region, the host and the bucket that the service's VerifierConfig has")
	case signer.ErrPolicy.Error():
		f.found(PolicyViolated, Proved, said+look, "send the fields as they were signed, and a file within the policy's limits")
	}
}

// answerCode reads the codes of S3 and of those who speak like it, of GCS and of OSS.
func answerCode(_ context.Context, f *file) {
	r := f.refusal
	text := r.Message + " " + f.detail()
	if strings.Contains(r.Text("SignatureProvided"), " ") {
		f.found(PlusMangled, Proved, "the signature that arrived has a blank in it: a plus that was not written as %2B", "percent-encode the value once (url.QueryEscape), or better use the URL as it was made")
	}
	switch r.Code {
	case "InvalidAccessKeyId", "InvalidAccessKeyID":
		if f.ec() == "0002-00000904" {
			f.found(KeyDisabled, Proved, "the access key is switched off (EC 0002-00000904)", "switch it on, or sign with another key")
			return
		}
		certainty := Proved
		if strings.HasPrefix(f.keyID, "ASIA") || strings.HasPrefix(f.keyID, "STS.") || strings.HasPrefix(f.keyID, "TMP.") {
			if !f.hasToken() {
				f.found(TokenMissing, Proved, "the access key id is one of temporary credentials, and the request has no token of theirs", "give the signer the session token as well")
				return
			}
			f.found(TokenExpired, Likely, "some services know temporary keys no longer once they have expired", "get new credentials, and presign for no longer than they live")
			certainty = Likely
		}
		f.found(UnknownKey, certainty, "the service knows no access key "+f.quote(first(r.Text("AWSAccessKeyId"), r.Text("OSSAccessKeyId"), f.keyID)), "check the key's id, that it was not deleted, and that it belongs to this service and partition")
	case "InvalidToken", "InvalidTokenId", "InvalidSecurityToken":
		f.found(TokenInvalid, Proved, "the service does not accept the session token", "use the token that came with this access key, whole; a token of a global endpoint is not valid in opt-in regions")
	case "ExpiredToken", "SecurityTokenExpired", "TokenRefreshRequired":
		if r.Kind() != refusal.Time {
			f.found(TokenExpired, Proved, "the temporary credentials that signed have expired, and the URL with them", "get new credentials; this module refuses to sign a URL that would outlive its credentials, unless AllowShorter is set")
		}
	case "PermanentRedirect", "TemporaryRedirect", "Redirect":
		f.elsewhere(first(r.Text("Endpoint"), f.Header.Get("X-Amz-Bucket-Region")))
	case "IllegalLocationConstraintException", "IncorrectEndpoint":
		f.found(WrongRegion, Proved, "the service says that this is the endpoint of another region: "+f.quote(r.Message), "sign for the bucket's own region and host")
	case "KeyBasedAuthenticationNotPermitted":
		f.found(SharedKeyOff, Proved, "the storage account does not allow account keys", "sign with a user delegation key (package azure/udk), or allow shared key access")
	case "XAmzContentSHA256Mismatch":
		f.found(Payload, Proved, "the body's SHA-256 is "+f.quote(r.Text("S3ComputedContentSHA256"))+", and "+f.quote(r.Text("ClientComputedContentSHA256"))+" was signed", "send the body that was signed; something between changed it, a proxy that compresses perhaps")
	case "EntityTooLarge", "EntityTooSmall":
		f.found(PolicyViolated, Proved, "the body is larger or smaller than the form's policy, or the service, allows: "+f.quote(r.Message), "send a file within Policy.MinBytes and MaxBytes")
	case "InvalidDigest":
		f.found(Malformed, Likely, "the checksum that was sent is none: "+f.quote(r.Message), "send Content-MD5 in base64, of the 16 bytes of the sum and not of their hexadecimal digits")
	case "BadDigest", "XAmzContentChecksumMismatch":
		f.found(Payload, Proved, "the body does not have the checksum that was sent with it", "send the body that the checksum is of")
	case "MissingSecurityHeader":
		f.found(Truncated, Likely, "the service misses "+f.quote(first(f.detail(), r.Text("ParameterName"))), "quote the URL in a shell, and do not paste it as HTML: what stands behind the first & was lost")
	case "MalformedSecurityHeader":
		name := f.quote(first(r.Text("ParameterName"), f.detail()))
		switch {
		case strings.Contains(text, "not in the request"):
			f.found(HeaderMissing, Proved, "the header "+name+" is signed and did not arrive", "send every header of Presigned.Header, with that value")
		case strings.Contains(text, "must be signed"):
			f.found(HeaderAdded, Proved, "the header "+name+" arrived and is not signed", "put it into Request.Header when presigning, or do not send it")
		case strings.Contains(text, "must be between"):
			f.found(Lifetime, Proved, f.quote(text), "presign for 1 second to 7 days")
		default:
			f.found(Malformed, Likely, "the service finds fault with "+name+": "+f.quote(r.Message), "presign anew, and use the URL as it is")
		}
	case "AuthorizationQueryParametersError", "AuthorizationHeaderMalformed", "CredentialMismatch":
		f.malformedAWS(text)
	case "InvalidRequest", "InvalidArgument":
		f.twoSignatures(text)
		if strings.Contains(text, "access key has length") { // R2
			f.found(UnknownKey, Proved, "the access key id is none of this service's: "+f.quote(r.Message), "use the id and the secret of a key that was made for this service, and not the one in the other's place")
		}
		if strings.Contains(text, "is not supported. Please use AWS4") {
			f.found(Algorithm, Proved, "the service takes Signature Version 4 only", "sign with version 4; this module does")
		}
	case "AccessDenied":
		f.accessDenied(text)
	case "AuthenticationRequired", "NoAuthenticationInformation", "MissingAuthenticationToken", "PublicAccessNotPermitted":
		f.unsigned()
	case "UnauthorizedAccess", "Unauthorized":
		if f.family() == version2 { // Backblaze
			f.found(Algorithm, Likely, "the service does not know who signs with "+f.scheme, "sign with version 4; this module does")
		}
		f.found(Account, Possible, "the service says "+f.quote(r.Message), "give the key that signs the permission for this bucket")
	case "MissingRequiredHeader": // Azure
		name := first(r.Text("HeaderName"), "x-ms-blob-type")
		f.found(HeaderMissing, Proved, "the operation needs the header "+f.quote(name)+", and it did not arrive", "send every header of Presigned.Header; an upload to Azure needs x-ms-blob-type: BlockBlob")
	case "NotImplemented":
		f.found(Algorithm, Possible, "the service does not implement what was asked of it: "+f.quote(r.Message), "use a host and an operation that take signatures of this scheme")
	}
	if f.Status == http.StatusMisdirectedRequest {
		f.found(Host, Likely, "the service does not answer for the host "+f.quote(f.host), "send the request to the host that was signed: a proxy that rewrites Host must keep it")
	}
	if r.Code == "" && f.Status == http.StatusMovedPermanently || r.Code == "" && f.Status == http.StatusTemporaryRedirect {
		if region := f.Header.Get("X-Amz-Bucket-Region"); region != "" && region != f.region {
			f.found(WrongRegion, Proved, "the bucket is in the region "+f.quote(region)+", and the signature is for "+f.quote(f.region), "set Region to "+f.quote(region))
		} else {
			f.found(Redirect, Likely, "the service redirects to "+f.quote(hostOf(f.Header.Get("Location"))), "sign for that host")
		}
	}
	if region := f.Header.Get("X-Amz-Bucket-Region"); region != "" && f.region != "" && region != f.region && f.provider == "s3" {
		f.found(WrongRegion, Proved, "the bucket is in the region "+f.quote(region)+", and the signature is for "+f.quote(f.region), "set Region to "+f.quote(region))
	}
}

func (f *file) elsewhere(where string) {
	f.found(Redirect, Proved, "the bucket is elsewhere: "+f.quote(where), "set Region and Endpoint to that, and sign anew: a redirect that is followed breaks the signature")
}

func (f *file) malformedAWS(text string) {
	r := f.refusal
	region := r.Text("Region")
	if region == "" && strings.Contains(text, "region") {
		region = lastQuoted(text)
	}
	switch {
	case strings.Contains(text, "region") && strings.Contains(text, "wrong"), r.Text("Region") != "" && r.Text("Region") != f.region:
		f.found(WrongRegion, Proved, "the signature is for the region "+f.quote(first(f.region, "another one"))+", and the service expects "+f.quote(region), "set Region to "+f.quote(region)+" in the signer's Config")
	case strings.Contains(text, "incorrect service"), strings.Contains(text, "service") && strings.Contains(text, "wrong"):
		f.found(WrongService, Proved, "the signature is for the service "+f.quote(f.service)+": "+f.quote(r.Message), `sign for the service "s3"; another signer's default was left in`)
	case strings.Contains(text, "date") && strings.Contains(text, "X-Amz-Date"), strings.Contains(text, "Invalid credential date"):
		f.found(DateMismatch, Proved, "the credential scope and X-Amz-Date name different days: "+f.quote(r.Message), "take both from one reading of the clock")
	case strings.Contains(text, "requires the X-Amz-"):
		f.found(Truncated, Likely, "parameters of the signature are missing: "+f.quote(r.Message), "quote the URL in a shell, and do not paste it as HTML: what stands behind an & was lost")
	case strings.Contains(text, "X-Amz-Expires"), strings.Contains(text, "week"):
		f.found(Lifetime, Proved, f.quote(r.Message), "presign for 1 second to 7 days")
	case strings.Contains(text, "mal-formed"):
		f.found(Malformed, Proved, "the service cannot read the credential: "+f.quote(r.Message), "presign anew, and use the URL as it is")
	default:
		f.found(Malformed, Likely, "the service cannot read the signature: "+f.quote(r.Message), "presign anew, and use the URL as it is")
	}
}

func (f *file) twoSignatures(text string) {
	if strings.Contains(text, "nly one auth mechanism") || strings.Contains(text, "not both") {
		why := "the request has a signature in its URL and an Authorization header"
		f.found(TwoSignatures, Proved, why, "send no Authorization header with a signed URL: clients carry it along in redirects (signer.CheckRedirect keeps them from it)")
	}
}

func (f *file) accessDenied(text string) {
	r := f.refusal
	if r.Kind() == refusal.Time {
		return
	}
	f.twoSignatures(text)
	if endpoint := r.Text("Endpoint"); endpoint != "" || strings.Contains(text, "must be addressed using the specified endpoint") {
		f.elsewhere(first(endpoint, "another endpoint"))
		return
	}
	switch names := first(r.Text("HeadersNotSigned"), r.Text("HeaderNotSigned")); {
	case names != "" || strings.Contains(text, "not signed"):
		if names == "host" {
			f.found(Malformed, Proved, "host is not among the signed headers", "sign host; every signer must")
			return
		}
		f.found(HeaderAdded, Proved, "the header "+f.quote(first(names, "of the provider"))+" arrived and is not signed", "put it into Request.Header when presigning, or do not send it")
	case strings.Contains(text, "according to Policy"):
		f.found(PolicyViolated, Proved, "the form does not meet its policy: "+f.quote(r.Message), "send the fields as they were signed, and the file last")
	case strings.Contains(text, "X-Amz-Expires must"):
		f.found(Lifetime, Proved, f.quote(r.Message), "presign for 1 second to 7 days")
	case strings.Contains(text, "nonymous caller"):
		f.unsigned()
	case strings.Contains(text, "is not authorized to perform"), strings.Contains(text, "does not have storage."):
		f.found(Account, Proved, "the service knows who signed, which is to say that the signature is right, and refuses the operation: "+f.quote(r.Message+" "+f.detail()),
			"give that account the permission, or take away what denies it")
	case strings.Contains(text, "bucket acl"), strings.Contains(text, "ucket policy"):
		f.found(Account, Likely, "the service says "+f.quote(r.Message), "give the account that signs the permission for this object")
		if f.form == "" {
			f.unsigned()
		}
	case f.ec() != "":
	case f.form == "" && f.raw != "" && f.auth == "":
		f.unsigned()
	case f.form != "" || f.raw == "":
		f.found(Account, Likely, "a wrong signature has other words; this is what services say if the signature is right, and who signed may not do it"+f.keyed(),
			"give the account that signs the permission for this operation on this object; a bucket policy or an encryption key may forbid it too")
	}
}

func (f *file) keyed() string {
	if f.keyID == "" {
		return ""
	}
	return ": " + f.quote(f.keyID)
}

func (f *file) unsigned() {
	switch {
	case f.auth != "" && f.form == "URL":
		f.found(TwoSignatures, Likely, "the URL is signed, and the request has an Authorization header, which the service looked at", "send no Authorization header with a signed URL; signer.CheckRedirect keeps clients from carrying it along")
	case f.form == "":
		f.found(Unsigned, Likely, "no signature arrived", "use the whole URL, in quotes: a shell cuts it at the first &, and a redirect or proxy may drop the query")
		f.found(Truncated, Possible, "a URL that is cut at its first & has no signature left", "quote the URL in a shell")
	default:
		f.found(Truncated, Possible, "the service saw no signature, and the URL has one: it was cut on the way", "quote the URL in a shell")
	}
}

// hasToken reports whether temporary credentials' token is there.
func (f *file) hasToken() bool {
	for _, name := range []string{"X-Amz-Security-Token", "x-oss-security-token", "X-Goog-Security-Token", "security-token"} {
		if f.get(name) != "" || f.headers.Get(name) != "" {
			return true
		}
	}
	return false
}

func (f *file) ec() string { return first(f.refusal.Text("EC"), f.Header.Get("X-Oss-Ec")) }

// answerECs reads OSS's error codes.
//
// https://help.aliyun.com/en/oss/support/0002
func answerECs(_ context.Context, f *file) {
	ec := f.ec()
	n, err := strconv.Atoi(strings.TrimPrefix(ec, "0002-"))
	if err != nil || !strings.HasPrefix(ec, "0002-") {
		return
	}
	said := fmt.Sprintf("OSS says so (EC %s): %s", ec, f.quote(f.refusal.Message))
	form := func(id ID, what, fix string) { f.found(id, Proved, what+"; "+said, fix) }
	write := "let the signer write the header: OSS4-HMAC-SHA256 Credential=ID/DATE/REGION/oss/aliyun_v4_request,Signature=HEX, with AdditionalHeaders between them if there are any"
	switch n {
	case 202:
		form(Malformed, "the Authorization header has not two or three pairs", write)
	case 203:
		form(Malformed, "a pair of the Authorization header has no =", write)
	case 204:
		form(Malformed, "the Authorization header has a key that OSS does not know", write+"; remove every other key")
	case 206, 207, 220: // the pages of their neighbours say so, theirs are not to be found
		f.found(Malformed, Likely, "a field of the signature is missing or empty; "+said, "presign anew, and use the URL as it is")
	case 205:
		form(Malformed, "the Authorization header has no Credential", write)
	case 208:
		form(Malformed, "the Authorization header has no Signature", write)
	case 209, 210:
		form(Malformed, "AdditionalHeaders is empty, or has an empty name", "leave it out if there are none")
	case 211:
		form(HeaderMissing, "AdditionalHeaders names a header that did not arrive", "send it, or do not list it")
	case 212, 223:
		form(Malformed, "the date of the credential is not of the form YYYYMMDD", "presign anew")
	case 213, 224:
		if strings.HasPrefix(f.scheme, "AWS4") || strings.HasSuffix(strings.Join(f.scope, "/"), "aws4_request") {
			form(Algorithm, "the credential is one of AWS4", "sign with OSS4: package oss, not s3")
			return
		}
		form(Malformed, "the credential does not end in aliyun_v4_request", "sign with OSS4: package oss")
	case 214:
		form(Payload, "x-oss-content-sha256 is not UNSIGNED-PAYLOAD", "OSS signs no hash of the body; set it to UNSIGNED-PAYLOAD")
	case 215, 216, 217, 218, 219, 67, 68, 65, 74:
		form(Truncated, "a parameter of the signature is missing or empty", "use the whole URL, in quotes")
	case 222:
		form(Malformed, "the access key id has characters that none has", "check that the id was copied whole")
	case 226, 228:
		form(WrongRegion, "the region of the signature, "+f.quote(f.region)+", is not the host's or is none", "set Region to the bucket's: the host's name without oss- and -internal")
	case 227:
		form(WrongService, "the product of the signature is not the host's", `it is "oss", or "oss-cloudbox" for a CloudBox`)
	case 232:
		form(Lifetime, "x-oss-expires is not between 1 and 604800", "presign for 1 second to 7 days, with temporary credentials 12 hours")
	case 502, 503, 70:
		form(Malformed, "the date is missing or of another form", "presign anew")
	case 66, 34, 61:
		if f.form == "URL" && (!f.has("x-oss-signature-version") || f.escapedHTML()) {
			f.found(Truncated, Likely, "the URL has no x-oss-signature-version; "+said, "use the whole URL, in quotes")
			return
		}
		form(Algorithm, "the signature is of a version that is not accepted here", "sign with OSS4: package oss")
	case 904: // said already
	default:
		switch {
		case n >= 300 && n < 500: // OSS takes those of AWS as well, and then this one was wrong
			f.found(Algorithm, Likely, "the signature is one of AWS's; "+said, "sign with OSS4 (package oss), or use OSS's S3-compatible endpoint with its own keys")
		case n >= 102 && n <= 118:
			form(Algorithm, "the signature is of version 2, which OSS has withdrawn", "sign with OSS4: package oss")
		}
	}
}

// answerAzure reads Azure's codes and details.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-error-codes
func answerAzure(_ context.Context, f *file) {
	r := f.refusal
	detail := f.detail()
	has := func(text string) bool { return strings.Contains(detail, text) || strings.Contains(r.Message, text) }
	switch r.Code {
	case "AuthorizationPermissionMismatch":
		f.found(Permission, Proved, "the signature is right, and its permissions "+f.quote(f.get("sp"))+" do not allow "+first(f.method, "the operation"),
			"sign for the method that is used (Request.Method), or give SAS.Permissions its letter; with a user delegation key, the user needs the right as well")
	case "AuthorizationResourceTypeMismatch":
		f.found(Scope, Proved, "the account SAS is for the resource types "+f.quote(f.get("srt"))+", and this is another", "add s, c or o to AccountSAS.ResourceTypes")
	case "AuthorizationServiceMismatch":
		f.found(Scope, Proved, "the account SAS is for the services "+f.quote(f.get("ss"))+", and this is another", "add b to AccountSAS.Services")
	case "AuthorizationProtocolMismatch":
		f.found(Protocol, Proved, "the SAS is for https, and the request came over http", "use https")
	case "AuthorizationSourceIPMismatch":
		f.found(Address, Proved, "the SAS is for the addresses "+f.quote(f.get("sip"))+", and the client has another", "sign for the address that the service sees, which is a proxy's or NAT's perhaps")
	case "InvalidAuthenticationInfo":
		switch {
		case f.sasInHeader():
			f.found(SASInHeader, Proved, "the Authorization header holds a SAS", "append the SAS to the URL, behind a question mark")
		case has("Lifetime validation failed"):
			f.found(TokenExpired, Proved, "the bearer token has expired, and the service looked at it", "send no Authorization header with a SAS")
		default:
			f.found(Malformed, Likely, "the service cannot read the Authorization header", "send none with a SAS; for Shared Key it is SharedKey ACCOUNT:SIGNATURE")
		}
	case "AuthenticationFailed":
		switch {
		case has("Signature fields not well formed"), has("is not well formed"):
			if strings.Contains(f.get("sig"), " ") {
				f.found(PlusMangled, Proved, "sig holds a space: a plus that was not written as %2B", "use the URL as it is; who builds it from parts must percent-encode sig")
				return
			}
			f.found(Malformed, Proved, "a field of the SAS is not of its form: "+f.quote(detail), "sign anew, and use the SAS as it is: sig percent-encoded once, sp in order")
		case has("is mandatory"), has("is optional but cannot be empty"):
			f.found(Truncated, Likely, f.quote(detail), "use the whole SAS, in quotes: a shell cuts a URL at &")
		case has("be after signed start"):
			f.found(Expired, Likely, f.quote(detail), "sign anew; without st, the start is the service's now")
		case has("signed resource is not allowed"):
			f.found(Scope, Proved, "the SAS is for another kind of resource (sr="+f.get("sr")+") than the request", "sign for the container to list it, for the blob to read it")
		case has("SAS identifier cannot be found"), has("Error locating SAS identifier"):
			f.found(PolicyUnknown, Proved, "the stored access policy "+f.quote(f.get("si"))+" does not exist", "create it on the container, or wait: new ones take up to 30 seconds")
		case has("Policy violated by no signed start"):
			f.found(PolicyViolated, Proved, "the storage account has a SAS expiration policy, which demands a start (st)", "let the signer write st: Config.Backdate must not be negative")
		case has("associated with signature or SAS identifier"):
			f.found(PolicyViolated, Proved, "a field is in the SAS and in its stored access policy", "leave it out of the SAS")
		}
	}
	if f.sasInHeader() {
		f.found(SASInHeader, Proved, "the Authorization header holds a SAS", "append the SAS to the URL, behind a question mark")
	}
	if r.Code == "AuthorizationFailure" && !strings.Contains(r.Message, "failed to authenticate") {
		f.found(Account, Likely, "a firewall or network rule of the storage account, or an operation that no SAS allows", "look at the account's networking rules, and at the list of operations that a SAS allows")
	}
}

func (f *file) sasInHeader() bool {
	return f.auth != "" && (strings.Contains(f.auth, "sig=") || strings.HasPrefix(f.auth, "SharedAccessSignature"))
}

// lastQuoted returns the last word in quotes, which are of one kind at one service and of another elsewhere.
func lastQuoted(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(`'"‘’“”`, r) })
	for i := len(words) - 1; i > 0; i-- {
		if w := words[i]; w != "" && !strings.ContainsAny(w, " .;,") {
			return w
		}
	}
	return ""
}

func first(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

// anyTime reads the forms in which S3 and OSS write times.
func anyTime(s string) time.Time {
	if t := stamp(s); !t.IsZero() {
		return t
	}
	if t := isoTime(s); !t.IsZero() {
		return t
	}
	return httpTime(s)
}

func httpTime(s string) time.Time {
	t, err := http.ParseTime(s)
	if err != nil {
		return time.Time{}
	}
	return t
}

func instant(t time.Time) string {
	if t.IsZero() {
		return "an unknown time"
	}
	return t.UTC().Format(time.RFC3339)
}

// offset says how far a clock is off.
func offset(d time.Duration) string {
	if d < 0 {
		return d.Abs().Round(time.Second).String() + " behind"
	}
	return d.Round(time.Second).String() + " ahead"
}

func hostOf(location string) string {
	_, rest, ok := strings.Cut(location, "://")
	if !ok {
		return ""
	}
	host, _, _ := strings.Cut(rest, "/")
	return host
}
