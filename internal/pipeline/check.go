package pipeline

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// CheckRequest refuses what no backend signs: see the rules beside each test. It reports all that is wrong.
func CheckRequest(op Op, r *signer.Request, method string) error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, op.Errorf(signer.ErrRequest, field, format, args...))
	}
	reading := method == http.MethodGet || method == http.MethodHead
	if !upperWord(method) {
		bad("Method", "%q is no method; write it in capitals, like GET", method)
	}
	if r.Key == "" && !reading {
		bad("Key", "it is empty, which means the bucket itself and goes with GET and HEAD only; name the object")
	}
	if problem := keyProblem(r.Key); problem != "" {
		bad("Key", "%s", problem)
	}
	if len(r.Query) > 0 {
		if err := checkQuery(op, r.Query); err != nil {
			errs = append(errs, err)
		}
	}
	if len(r.Header) > 0 {
		if err := checkHeader(op, r.Header, true); err != nil {
			errs = append(errs, err)
		}
	}
	if Overriding(&r.Response) {
		if !reading {
			bad("Response", "overrides are for answers to GET and HEAD, not %s", method)
		}
		for _, o := range Overrides(&r.Response) {
			if hasControl(o.Value) {
				bad("Response."+o.Field, "it holds a control character")
			}
		}
	}
	if errs == nil {
		return nil
	}
	return errors.Join(errs...)
}

// Plain reports whether a request is for an object and has nothing to be signed but that.
func Plain(r *signer.Request) bool {
	return r.Key != "" && len(r.Query)+len(r.Header) == 0 && !r.SourceIP.IsValid() && !Overriding(&r.Response)
}

// CheckAppend refuses what AppendURL cannot report.
func CheckAppend(op Op, r *signer.Request) error {
	if r.AllowShorter || r.BestEffort {
		return op.Errorf(signer.ErrRequest, "AllowShorter, BestEffort", "AppendURL has no way to say what was given up; use Presign")
	}
	return nil
}

// checkQuery refuses parameters that cannot be sent as they stand, or that belong to a signature.
func checkQuery(op Op, query url.Values) error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, op.Errorf(signer.ErrRequest, "Query", format, args...))
	}
	for name, values := range query {
		switch scheme := SchemeOf(name); {
		case name == "":
			bad("a parameter has no name")
		case hasControl(name):
			bad("the name %q holds a control character", name)
		case scheme != "":
			bad("%q belongs to a signature (%s), which the signer makes; leave it out", name, scheme)
		}
		if len(values) == 0 {
			bad("%q has no value, not even an empty one; give it one or leave it out", name)
		}
		for _, v := range values {
			if hasControl(v) {
				bad("the value of %q holds a control character", name)
			}
		}
	}
	return errors.Join(errs...)
}

// Overriding reports whether any header of the answer is to be replaced.
func Overriding(h *signer.ResponseHeaders) bool {
	return h.ContentType != "" || h.ContentDisposition != "" || h.CacheControl != "" || h.ContentEncoding != "" ||
		h.ContentLanguage != "" || h.Expires != ""
}

// An Override is a response header that is to be replaced.
type Override struct{ Field, Header, Value string }

// Overrides lists the fields of ResponseHeaders in alphabetical order of the headers' names.
func Overrides(h *signer.ResponseHeaders) [6]Override {
	return [...]Override{
		{"CacheControl", "Cache-Control", h.CacheControl},
		{"ContentDisposition", "Content-Disposition", h.ContentDisposition},
		{"ContentEncoding", "Content-Encoding", h.ContentEncoding},
		{"ContentLanguage", "Content-Language", h.ContentLanguage},
		{"ContentType", "Content-Type", h.ContentType},
		{"Expires", "Expires", h.Expires},
	}
}

// CheckHTTPRequest refuses requests that cannot go on the wire as they stand, for PresignRequest and Sign.
func CheckHTTPRequest(op Op, req *http.Request) error {
	if req == nil || req.URL == nil {
		return op.Errorf(signer.ErrRequest, "URL", "there is none; make the request with http.NewRequest")
	}
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, op.Errorf(signer.ErrRequest, field, format, args...))
	}
	u := req.URL
	if req.Method != "" && !upperWord(req.Method) {
		bad("Method", "%q is no method; write it in capitals, like GET", req.Method)
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Opaque != "":
		bad("URL", "it must be absolute, https://host/path")
	default:
		if problem := hostProblem(u.Host); problem != "" {
			bad("URL", "%s", problem)
		}
		if req.Host != "" {
			if problem := hostProblem(req.Host); problem != "" {
				bad("Host", "%s", problem)
			}
		}
	}
	if u.User != nil {
		bad("URL", "it holds a user name, which is not sent; leave it out")
	}
	if u.Fragment != "" || u.RawFragment != "" {
		bad("URL", "it has a fragment, which is not sent; leave it out")
	}
	if path := u.EscapedPath(); path != "" && path[0] != '/' {
		bad("URL", "its path does not begin with a slash")
	}
	for i := range len(u.RawQuery) {
		if c := u.RawQuery[i]; c <= ' ' || c == 0x7f || c == '#' {
			bad("URL", "its query holds a byte that must be encoded")
			break
		}
	}
	if strings.IndexByte(u.Path, 0) >= 0 || !utf8.ValidString(u.Path) {
		bad("URL", "its path holds a NUL or invalid UTF-8")
	}
	for name, value := range wire.Pairs(u.RawQuery) {
		n, err1 := wire.UnescapeQuery(name)
		v, err2 := wire.UnescapeQuery(value)
		switch {
		case err1 != nil || err2 != nil:
			bad("URL", "its query has a broken escape: %w", wire.ErrEscape)
		case hasControl(n) || hasControl(v):
			bad("URL", "its query holds a control character")
		}
	}
	if err := checkHeader(op, req.Header, false); err != nil {
		errs = append(errs, err)
	}
	if errs == nil {
		return nil
	}
	return errors.Join(errs...)
}

// checkHeader refuses names and values that cannot be sent as they stand. chosen headers are those of a
// signer.Request, which are signed to the last; the headers of an *http.Request may hold others.
func checkHeader(op Op, h http.Header, chosen bool) error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, op.Errorf(signer.ErrRequest, "Header", format, args...))
	}
	for name, values := range h {
		if !token(name) {
			bad("%q is no header name", name)
		}
		for _, v := range values {
			if hasControl(v) {
				bad("the value of %s holds a control character", name)
			}
		}
		if chosen {
			if problem := chosenProblem(name, values); problem != "" {
				bad("%s %s", name, problem)
			}
		}
	}
	return errors.Join(errs...)
}

// chosenProblem says what is wrong with a header of a signer.Request, "" for nothing.
func chosenProblem(name string, values []string) string {
	if len(values) == 0 {
		return "has no value; give it one or leave it out"
	}
	var buf folded
	low := buf.fold(name)
	switch string(low) {
	case "host":
		return "is the endpoint's; configure it there"
	case "authorization":
		return "goes with a signature in the header, and a URL carries its own; leave it out"
	case "content-length":
		text := strings.Join(values, ",")
		if n, err := strconv.ParseInt(text, 10, 64); err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
			return "must be a number of bytes"
		}
		return ""
	case "accept-encoding", "user-agent", "expect": // it will likely fail, but may be asked for
		return ""
	case "x-amz-date", "x-amz-security-token", "x-amz-region-set", "x-goog-date", "x-oss-date", "x-oss-security-token", "x-ms-date":
		return "belongs to a signature, which the signer makes; leave it out"
	}
	if unsignable(low) {
		return "cannot be signed, because it changes on the way; leave it out"
	}
	return ""
}

// Unsignable reports whether a header is left out of signatures that cover a whole request: hop-by-hop headers, and
// those that clients, proxies and tracers change.
func Unsignable(name string) bool {
	var buf folded
	return unsignable(buf.fold(name))
}

func unsignable(low []byte) bool {
	switch string(low) {
	case "authorization", "accept-encoding", "user-agent", "expect", "traceparent", "tracestate", "baggage",
		"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
		"transfer-encoding", "upgrade", "x-amzn-trace-id":
		return true
	}
	return false
}

// SchemeOf names the scheme to whose signature a query parameter belongs, in any spelling of its name; "" for none.
func SchemeOf(name string) string {
	var buf folded
	switch string(buf.fold(name)) {
	case "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-region-set", "x-amz-security-token",
		"x-amz-s3session-token", "x-amz-signature", "x-amz-signedheaders":
		return "AWS4"
	case "x-goog-algorithm", "x-goog-credential", "x-goog-date", "x-goog-expires", "x-goog-signature", "x-goog-signedheaders":
		return "GOOG4"
	case "x-oss-additional-headers", "x-oss-credential", "x-oss-date", "x-oss-expires", "x-oss-security-token", "x-oss-signature",
		"x-oss-signature-version":
		return "OSS4"
	case "sig", "sv", "st", "se", "sp", "sr", "si", "sip", "spr", "ss", "srt", "ses", "sdd", "skoid", "sktid", "skt", "ske", "sks", "skv",
		"saoid", "suoid", "scid", "skdutid", "sduoid", "srh", "srq", "rscc", "rscd", "rsce", "rscl", "rsct":
		return "Azure SAS"
	case "expires", "keyname", "signature", "urlprefix":
		return "Cloud CDN or version 2"
	case "awsaccesskeyid", "googleaccessid", "ossaccesskeyid", "x-oss-access-key-id":
		return "version 1 or 2"
	}
	return ""
}

// ForeignSignature finds a signature that is not of the scheme own (as SchemeOf names it) in a raw query: the names of
// the scheme and of the parameter, or "".
func ForeignSignature(rawQuery, own string) (scheme, param string) {
	for name := range wire.Pairs(rawQuery) {
		name, err := wire.UnescapeQuery(name)
		if err != nil {
			continue
		}
		if scheme := SignatureOf(name); scheme != "" && scheme != own {
			return scheme, name
		}
	}
	return "", ""
}

// SignatureOf names the scheme whose signature a query parameter is, in any spelling of its name; "" for none.
func SignatureOf(name string) string {
	var buf folded
	switch string(buf.fold(name)) {
	case "x-amz-signature", "x-goog-signature", "x-oss-signature", "sig", "signature":
		return SchemeOf(name)
	}
	return ""
}

// CheckBucket refuses names that would become another host or another path.
func CheckBucket(op Op, field, bucket string) error {
	switch {
	case bucket == "" && field == "bucket": // a function's argument
		return op.Errorf(signer.ErrRequest, field, "it is empty; name the source's bucket")
	case bucket == "":
		return op.Errorf(signer.ErrRequest, field, "no bucket; name it in the Request or the Config")
	}
	if bucket == "." || bucket == ".." || strings.ContainsAny(bucket, "/\\?#@:% ") || hasControl(bucket) {
		return op.Errorf(signer.ErrRequest, field, `%q is no bucket name: it may hold none of / \ ? # @ : %% and no blank`, bucket)
	}
	return nil
}

// CheckEndpoint refuses endpoints that are more than scheme, host, port and base path.
func CheckEndpoint(op Op, u *url.URL) error {
	if u == nil {
		return nil
	}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, op.Errorf(signer.ErrRequest, "Endpoint", format, args...))
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Opaque != "" {
		shown := (&url.URL{Scheme: u.Scheme, Opaque: u.Opaque, Host: u.Host, Path: u.Path}).String() // no password, no query
		if strings.Contains(shown, "@") {
			shown = "it" // a user's name and password perhaps, where they are not taken for such
		}
		bad("%q does not begin with https://HOST or http://HOST", shown)
	} else if problem := hostProblem(u.Host); problem != "" {
		bad("%s", problem)
	}
	if u.Host != "" && u.Path != "" && u.Path[0] != '/' {
		bad("its path must begin with a slash, or it would continue the host")
	}
	if u.User != nil {
		bad("it holds a user name; credentials go in the Config")
	}
	if u.RawQuery != "" || u.ForceQuery {
		bad("it has a query; parameters go in Request.Query")
	}
	if u.Fragment != "" || u.RawFragment != "" {
		bad("it has a fragment")
	}
	if keyProblem(strings.Trim(u.Path, "/")) != "" {
		bad("its path holds a NUL, invalid UTF-8, or a segment . or ..; write the path that clients send")
	}
	return errors.Join(errs...)
}

// keyProblem says what is wrong with the name of an object, "" for nothing.
func keyProblem(key string) string {
	if !utf8.ValidString(key) {
		return "it is not valid UTF-8"
	}
	if strings.IndexByte(key, 0) >= 0 {
		return "it holds a NUL"
	}
	if !strings.HasPrefix(key, ".") && !strings.Contains(key, "/.") {
		return ""
	}
	for rest, more := key, true; more; {
		var segment string
		if segment, rest, more = strings.Cut(rest, "/"); segment == "." || segment == ".." {
			return dotProblem
		}
	}
	return ""
}

const dotProblem = `it has a segment "." or "..", which clients and proxies resolve before they send the URL, so that the signature fails; rename the object, or sign a finished URL with PresignRequest`

// hostProblem says what is wrong with a host with or without a port.
func hostProblem(host string) string {
	if strings.HasSuffix(host, ":") {
		return "its host ends in a colon; is there a second https:// in the URL?" // what url.Parse makes of it
	}
	for i := range len(host) {
		switch c := host[i]; {
		case c <= ' ' || c == 0x7f || strings.IndexByte(`/\?#@<>"^{}|`+"`", c) >= 0:
			return "its host holds a character that no host name has"
		case c >= utf8.RuneSelf:
			return "its host is not ASCII; write international names in punycode (xn--...)"
		}
	}
	return ""
}

func hasControl(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return true
		}
	}
	return false
}

func upperWord(s string) bool {
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return s != ""
}

// token reports whether s is a header name (RFC 9110, 5.6.2).
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', strings.IndexByte("!#$%&'*+.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// folded is memory for a name in lower case, as long as the longest that we know.
type folded [len("x-oss-additional-headers")]byte

// fold returns name in lower case, or nothing if it is longer than the names we know.
func (f *folded) fold(name string) []byte {
	if len(name) > len(f) {
		return nil
	}
	return wire.AppendLower(f[:0], name)
}
