package explain

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"html"
	"slices"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/refusal"
)

// This file finds the service's answer in what people paste: the document behind the header of the answer, in a log's JSON, escaped
// for HTML, in base64 (OSS's x-oss-err), or the line that an SDK made of it.

// readAnswer reads the body of an answer.
func readAnswer(body []byte) *refusal.Refusal {
	body = body[:min(len(body), refusal.MaxBody)]
	if r := refusal.Parse(body); r.Code != "" {
		return r
	}
	text := string(body)
	if decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil {
		text = string(decoded)
	}
	if !strings.Contains(text, "\n") || strings.Contains(text, `\"`) { // a string of JSON
		text = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&", `\"`, `"`, `\/`, "/", `\n`, "\n").Replace(text)
	}
	if !strings.Contains(text, "<Error>") && strings.Contains(text, "&lt;Error&gt;") {
		text = html.UnescapeString(text)
	}
	if at := strings.Index(text, "<Error>"); at >= 0 {
		return refusal.Parse([]byte(text[at:]))
	}
	if code := codeIn(text); code != "" {
		return document(code, text)
	}
	return &refusal.Refusal{}
}

// codeIn finds the service's code in the text of an SDK, behind the marks that they write, or by the service's own sentence.
func codeIn(text string) string {
	for _, mark := range []string{
		"api error ",            // AWS's for Go
		"An error occurred (",   // for Python
		"Error Code: ",          // for Java
		"ErrorCode=",            // OSS's for Go
		"'Code': '",             // for Python
		"ServiceCode=",          // azcopy
		"ERROR CODE: ",          // Azure's for Go
		"ErrorCode: ",           // for .NET
		"ErrorCode:",            // for Python
		`"code": "`, `"code":"`, // for JavaScript
		"", // AWS's older ones for Go and JavaScript begin with it
	} {
		if _, rest, ok := strings.Cut(text, mark); ok {
			end := strings.IndexFunc(rest+".", func(r rune) bool { return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') })
			if slices.Contains(codes(), rest[:end]) {
				return rest[:end]
			}
		}
	}
	for _, s := range sentences() {
		if strings.Contains(text, s.text) {
			return s.code
		}
	}
	return ""
}

// codes are those that rules look at.
func codes() []string {
	return []string{
		"AccessDenied", "AuthenticationFailed", "AuthenticationRequired", "AuthorizationFailure", "AuthorizationHeaderMalformed",
		"AuthorizationPermissionMismatch", "AuthorizationProtocolMismatch", "AuthorizationQueryParametersError",
		"AuthorizationResourceTypeMismatch", "AuthorizationServiceMismatch", "AuthorizationSourceIPMismatch", "BadDigest",
		"EntityTooLarge", "EntityTooSmall", "ExpiredRequest", "ExpiredToken", "IllegalLocationConstraintException", "IncorrectEndpoint",
		"InvalidAccessKeyId", "InvalidArgument", "InvalidAuthenticationInfo", "InvalidDigest", "InvalidRequest", "InvalidSecurityToken",
		"InvalidToken", "KeyBasedAuthenticationNotPermitted", "MalformedSecurityHeader", "MissingRequiredHeader", "MissingSecurityHeader",
		"NoAuthenticationInformation", "PermanentRedirect", "PublicAccessNotPermitted", "RequestExpired", "RequestTimeTooSkewed",
		"SecurityTokenExpired", "SignatureDoesNotMatch", "TemporaryRedirect", "XAmzContentSHA256Mismatch",
	}
}

// sentences are what services say under a code that was lost on the way.
func sentences() []struct{ text, code string } {
	return []struct{ text, code string }{
		{"Signature not valid in the specified", "AuthenticationFailed"},
		{"String to sign used was", "AuthenticationFailed"},
		{"MAC signature found in the HTTP request", "AuthenticationFailed"},
		{"Signature fields not well formed", "AuthenticationFailed"},
		{"to perform this operation using this permission", "AuthorizationPermissionMismatch"},
		{"to perform this operation using this resource type", "AuthorizationResourceTypeMismatch"},
		{"is wrong; expecting", "AuthorizationHeaderMalformed"},
		{"The difference between the request time and", "RequestTimeTooSkewed"},
		{"request signature we calculated does not match", "SignatureDoesNotMatch"},
		{"Please use AWS4-HMAC-SHA256", "InvalidRequest"},
		{"does not exist in our records", "InvalidAccessKeyId"},
		{"The provided token has expired", "ExpiredToken"},
		{"Request has expired", "AccessDenied"},
		{"must be addressed using the specified endpoint", "AccessDenied"},
		{"Anonymous caller", "AccessDenied"},
	}
}

// document writes the answer that a text tells of, as far as it is told.
func document(code, text string) *refusal.Refusal {
	var b bytes.Buffer
	element := func(name, value string) {
		b.WriteString("<" + name + ">")
		xml.EscapeText(&b, []byte(value))
		b.WriteString("</" + name + ">")
	}
	b.WriteString("<Error>")
	element("Code", code)
	element("Message", text[:min(len(text), refusal.MaxBody/8)]) // escaping makes it up to five times longer
	if endpoint := first(between(text, "'Endpoint': '", "'"), between(text, ", Endpoint=", ",")); endpoint != "" {
		element("Endpoint", endpoint)
	}
	b.WriteString("</Error>")
	return refusal.Parse(b.Bytes())
}
