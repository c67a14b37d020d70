package signer

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// redactMark stands where a secret stood.
const redactMark = "REDACTED"

// RedactURL returns rawURL with every signature, token and credential replaced by REDACTED, fit for a log.
// Scheme, host, path, other parameters and their order, expiry and dates stay byte for byte.
//
// It knows the parameters of S3 (Signature V4, V4a and V2, S3 Express), CloudFront, Cloud Storage (V4 and V2),
// Azure SAS (the sig and the identities behind a user delegation), Alibaba Cloud OSS (V4, V2 and V1), Cloud CDN and
// Media CDN (its tokens in the path too), upload ids, customer-provided encryption keys, and what is usually called a
// token, key, password or secret. Names match in any case, however often they are percent-encoded, with or without
// dashes, in the query, in the fragment and in a URL that is itself a parameter. Userinfo (RFC 3986, section 3.2.1) loses
// its password, or all of itself if there is no password, for then the name is the token.
//
// Two secrets keep a part that a reader needs. A credential (X-Amz-Credential and its kin) keeps its scope, because a
// wrong region or day is the usual mistake, and loses the access key id. A signature of 32 characters or more becomes
// "REDACTED-" and the first 8 hex digits of the SHA-256 of its decoded value, so that log lines about one URL can be
// joined. That gives nothing away: those 32 bits fit a vast number of signatures, and each guess at one still has to
// be tried against the service. Shorter values, which might be guessed, become plain REDACTED. A digest of an encryption
// key (…-key-MD5, …-key-SHA256), KeyName and URLPrefix are not secret and stay.
//
// rawURL may be anything, also what url.Parse refuses: broken escapes, spaces, control characters, HTML or JSON
// escapes of the ampersand. When in doubt more is hidden, never less. Redacting twice changes nothing.
// It expects one URL, or a query string; for a URL within a message see RedactError.
func RedactURL(rawURL string) string {
	clean, _ := redactURL(rawURL)
	for clean != rawURL {
		// What was hidden may have held a delimiter, so that the rest reads differently now.
		rawURL = clean
		clean, _ = redactURL(rawURL)
	}
	return clean
}

// RedactHeader returns a copy of h, fit for a log; h stays as it is, and nil stays nil.
//
// Authorization headers (RFC 9110, section 11.6) keep the scheme, and those of AWS4, GOOG4 and OSS4 their scope and
// list of signed headers. Cookies (RFC 6265) keep their names, Set-Cookie its attributes. Security tokens, API keys and
// customer-provided encryption keys are hidden by the rules for parameter names of RedactURL, and headers that hold URLs
// (Location, Referer, Link, the copy sources of all providers) go through RedactURL itself. Names match in any case,
// also where the map holds them in a non-canonical form.
func RedactHeader(h http.Header) http.Header {
	clean := h.Clone()
	for name, values := range clean {
		for i, value := range values {
			values[i] = redactHeaderValue(name, value)
		}
	}
	return clean
}

// RedactError returns an error whose text holds no signed URL, fit for a log. net/http puts the whole URL, signature
// and all, into the *url.Error of every failed request.
//
// nil stays nil, and an error with nothing to hide is returned as it is. Otherwise each *url.Error in the chain is
// replaced by a copy with a redacted URL, and texts that repeat the URL, or only its secrets, are cleaned too, as are
// other URLs in them. errors.Is and errors.As find everything that they found before, through errors.Join and other
// multiple wraps also; Timeout and Temporary answer as before. As hands out the redacted copy when asked for a *url.Error
// or for an interface that it implements, such as net.Error; a wrapper of another concrete type is handed out as it is,
// so log the result of RedactError and not what As took out of it.
func RedactError(err error) error {
	if err == nil {
		return nil
	}
	found := map[string]string{}
	collectSecrets(err, found)
	// Longest first: a whole URL must win over a shorter one that it begins with, and over its own parts.
	longestFirst := slices.SortedFunc(maps.Keys(found), func(a, b string) int {
		return cmp.Or(len(b)-len(a), cmp.Compare(a, b))
	})
	var pairs []string
	for _, old := range longestFirst {
		pairs = append(pairs, old, found[old])
	}
	clean, _ := errorRedactor{strings.NewReplacer(pairs...)}.redact(err)
	return clean
}

// redactKind says what a name makes of its value.
type redactKind int

const (
	redactNothing    redactKind = iota
	redactAll                   // a token or key
	redactSignature             // may leave a fingerprint
	redactCredential            // key id/scope: the scope stays
	redactContainer             // a token made of fields, of which only some are secret
)

// redactKindOf classifies the name of a parameter, field or header. Suffixes do most of the work, so that a provider's next
// prefix (X-Tos-Signature, X-Whatever-Token) is covered before anybody has heard of it.
func redactKindOf(name string) redactKind {
	// access_token, access-token and accessToken are one name.
	name = strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(name), "-", ""), "_", "")
	switch name {
	case "edgecachetoken", "edgecachecookie", "cloudcdncookie", "hdnts", "hdntl", "hdnea", "token":
		return redactContainer
	case "sig", "sign", "hmac":
		return redactSignature
	case "skoid", "sktid", "skdutid", "saoid", "suoid", "sduoid", "scid", // Azure user delegation
		"keypairid", "policy", // CloudFront
		"key", "code", "auth", "pass", "ticket": // Google API key, Azure Functions key, OAuth code
		return redactAll
	}
	for _, suffix := range [...]string{"continuationtoken", "pagetoken", "nexttoken"} {
		if strings.HasSuffix(name, suffix) {
			return redactNothing // where a listing goes on
		}
	}
	if strings.HasSuffix(name, "signature") {
		return redactSignature
	}
	if strings.HasSuffix(name, "credential") || strings.HasSuffix(name, "credentials") {
		return redactCredential
	}
	for _, suffix := range [...]string{
		"token", "secret", "password", "passwd", "passphrase", "pwd", "jwt", "assertion", "authorization",
		"accesskeyid", "accessid", "uploadid", "sessionid",
		"accesskey", "accountkey", "apikey", "authkey", "customerkey", "delegationkey", "encryptionkey", "privatekey",
		"secretkey", "sessionkey", "sharedkey", "signingkey", "subscriptionkey",
	} {
		if strings.HasSuffix(name, suffix) {
			return redactAll
		}
	}
	return redactNothing
}

// redactValue returns what to print for a value whose name is of this kind.
func redactValue(kind redactKind, value string) string {
	switch {
	case kind == redactNothing || value == "" || isRedacted(value):
		return value
	case kind == redactCredential:
		return redactMark + value[scopeStart(value):]
	case kind == redactSignature && len(value) >= 32:
		sum := sha256.Sum256([]byte(value))
		return redactMark + "-" + hex.EncodeToString(sum[:4])
	}
	return redactMark
}

// isRedacted reports whether value is the work of redactValue, so that a second pass leaves the fingerprint alone.
func isRedacted(value string) bool {
	rest, ok := strings.CutPrefix(value, redactMark)
	if !ok || rest == "" {
		return ok
	}
	return len(rest) == 9 && rest[0] == '-' && strings.Trim(rest[1:], "0123456789abcdef") == ""
}

// scopeStart returns where /date/region/service/..._request begins in a credential (SigV4a has no region), or the end.
// Anything that does not look like a scope is hidden: somebody may have swapped region and secret key, which has 40 characters.
func scopeStart(credential string) int {
	parts := strings.Split(credential, "/")
	for _, n := range [...]int{4, 3} {
		if len(parts) <= n {
			continue
		}
		scope := parts[len(parts)-n:]
		odd := slices.ContainsFunc(scope, func(word string) bool {
			return len(word) > 32 || strings.ContainsFunc(word, func(r rune) bool { return r > 0x7f || !isNameByte(byte(r)) })
		})
		day := scope[0]
		if !odd && len(day) >= 8 && strings.Trim(day[:8], "0123456789") == "" && strings.HasSuffix(scope[n-1], "_request") {
			return len(credential) - len(strings.Join(scope, "/")) - 1
		}
	}
	return len(credential)
}

// isNameByte reports whether c can be part of a parameter's name; anything else separates.
func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// urlText is a URL decoded as far as it goes. Every byte of text remembers where it stands in raw and how deeply it
// was encoded. So names are compared in the clear, what is not hidden keeps its bytes, and an encoded ampersand does
// not end a value that was itself encoded less.
type urlText struct {
	raw   string
	text  []byte
	start []int // in raw
	depth []int // 0 for a plain byte, 1 for %26, 2 for %2526
}

func decodeURL(raw string) urlText {
	u := urlText{raw: raw}
	for i := range len(raw) {
		u.text, u.start, u.depth = append(u.text, raw[i]), append(u.start, i), append(u.depth, 0)
		for u.merge(1, "%") || u.merge(0, `\u00`) { // JSON writes & as \u0026
		}
	}
	return u
}

// merge replaces an escape, prefix and two hex digits at the end of text, by the byte that it stands for.
func (u *urlText) merge(deeper int, prefix string) bool {
	n := len(u.text) - len(prefix) - 2
	if n < 0 || string(u.text[n:n+len(prefix)]) != prefix {
		return false
	}
	var c [1]byte
	if _, err := hex.Decode(c[:], u.text[n+len(prefix):]); err != nil {
		return false
	}
	depth := slices.Max(u.depth[n:]) + deeper
	u.text, u.start, u.depth = append(u.text[:n], c[0]), u.start[:n+1], append(u.depth[:n], depth)
	return true
}

// next returns the first index at or after from of one of chars, encoded no deeper than depth; or the end.
func (u *urlText) next(from, depth int, chars string) int {
	for i := from; i < len(u.text); i++ {
		if u.depth[i] <= depth && strings.IndexByte(chars, u.text[i]) >= 0 {
			return i
		}
	}
	return len(u.text)
}

// lastAt returns the last index in [from, to) of an @ encoded no deeper than depth, or -1.
func (u *urlText) lastAt(from, to, depth int) int {
	for i := to - 1; i >= from; i-- {
		if u.text[i] == '@' && u.depth[i] <= depth {
			return i
		}
	}
	return -1
}

// at returns the index in raw of the i-th byte of text.
func (u *urlText) at(i int) int {
	if i == len(u.text) {
		return len(u.raw)
	}
	return u.start[i]
}

// nameBefore returns where the name that the = at i ends begins, and the name: token[]= and "token"= are token.
func (u *urlText) nameBefore(i int) (start int, name string) {
	for i > 0 && strings.IndexByte(`[]"' +`, u.text[i-1]) >= 0 {
		i--
	}
	start = i
	for start > 0 && isNameByte(u.text[start-1]) {
		start--
	}
	return start, string(u.text[start:i])
}

// userinfo returns the part to hide of the authority that begins at from (RFC 3986, section 3.2); start == end if nothing is.
// broken says that a password which ends the authority early is to be looked for.
func (u *urlText) userinfo(from, depth int, broken bool) (start, end int) {
	stop := u.next(from, depth, `/\?#&=`)
	end = u.lastAt(from, stop, depth)
	if end < 0 && broken {
		// With a raw slash, question mark or hash in it, the begin of a password passes for a port that is no number.
		// A raw = or & does not belong to a host at all.
		host := string(u.text[from:stop])
		_, port, ok := strings.Cut(host[strings.LastIndexByte(host, ']')+1:], ":")
		if ok && (strings.Trim(port, "0123456789") != "" || stop < len(u.text) && strings.IndexByte("&=", u.text[stop]) >= 0) {
			end = u.lastAt(stop, len(u.text), depth)
		}
	}
	if end < 0 {
		return from, from
	}
	start = from
	if colon := u.next(from, depth, ":"); colon+1 < end && bytes.IndexByte(u.text[from:colon], '=') < 0 {
		start = colon + 1
	}
	return start, u.through(start, end)
}

// through moves the end of what is hidden to where the secret values that begin before it end too: the @ or the encoded &
// that ends one may be a plain character of another.
func (u *urlText) through(from, end int) int {
	const none = -1
	open := none // the depth of the open value that is encoded least, and so ends last
	i := from
	for ; i < len(u.text) && (i < end || open != none); i++ {
		switch u.text[i] {
		case '&', '#':
			if u.depth[i] <= open {
				open = none
				if i >= end {
					return i
				}
			}
		case '=':
			if _, name := u.nameBefore(i); redactKindOf(name) != redactNothing && (open == none || u.depth[i] < open) {
				open = u.depth[i]
			}
		}
	}
	return i
}

// redactURL does one pass of RedactURL. secrets are the hidden values, as they stood in raw and decoded.
func redactURL(raw string) (clean string, secrets []string) {
	u := decodeURL(raw)
	var out strings.Builder
	copied := 0
	hide := func(from, to int, kind redactKind) {
		value := string(u.text[from:to])
		mark := redactValue(kind, value)
		if mark == value {
			return
		}
		if scope, ok := strings.CutPrefix(mark, redactMark+"/"); ok { // a credential: the scope keeps its bytes
			to -= len(scope) + 1
			value = value[:to-from]
			mark = redactMark
		}
		hidden := raw[u.at(from):u.at(to)]
		secrets = append(secrets, hidden, value)
		out.WriteString(raw[copied:u.at(from)] + mark)
		copied = u.at(to)
	}

	begin := len(raw) - len(strings.TrimLeftFunc(raw, func(r rune) bool { return r <= ' ' }))
	i := begin
	// user:password@host without a scheme
	if at := u.lastAt(begin, u.next(begin, 0, `/\?#&=`), 0); at >= 0 && u.next(begin, 0, ":") < at {
		start, end := u.userinfo(begin, 0, false)
		hide(start, end, redactAll)
		i = end
	}

	inPath := true   // until the first ? or #
	segment := -1    // where the path segment begins, once there was a slash
	slashed := false // there was a slash, of any depth
	inToken := false // the segment is edge-cache-token=..., which ends at the next slash
	for ; i < len(u.text); i++ {
		depth := u.depth[i]
		switch c := u.text[i]; c {
		case '?', '#':
			inPath = inPath && depth > 0
		case ':', '/', '\\':
			// An authority follows "://", also in a nested URL; clients forgive a missing or a wrong slash, so it is found there too.
			rest := bytes.TrimPrefix(u.text[i:], []byte(":"))
			slashes := len(rest) - len(bytes.TrimLeft(rest, `/\`))
			if slashes == 0 {
				continue
			}
			j := len(u.text) - len(rest) + slashes
			depth = u.depth[j-1]
			if slashes > 1 && (c == ':' || i == begin) || c == ':' && !slashed {
				start, end := u.userinfo(j, depth, !slashed)
				if start < end {
					hide(start, end, redactAll)
					j = end
				}
			}
			slashed = true
			if inPath && depth == 0 {
				segment, inToken = j, false
			}
			i = j - 1
		case '=':
			start, name := u.nameBefore(i)
			kind := redactKindOf(name)
			inSegment := inPath && start == segment
			if kind == redactContainer {
				inToken = inToken || inSegment
				if isFieldList(u.text[i+1:]) {
					continue // the fields are judged one by one
				}
				kind = redactAll
			}
			if kind == redactNothing {
				continue
			}
			ends := "&#"
			if start > 0 && u.text[start-1] == '~' {
				ends += "~"
			}
			if inSegment || inPath && inToken {
				ends += "/?"
			}
			end := u.through(i+1, u.next(i+1, depth, ends))
			hide(i+1, end, kind)
			i = end - 1
		}
	}
	out.WriteString(raw[copied:])
	return out.String(), secrets
}

// isFieldList reports whether a token begins like those of Media CDN and its kin, Expires=...~hmac=..., which hold one
// secret field among open ones. An opaque token does not begin so.
// https://docs.cloud.google.com/media-cdn/docs/generate-tokens
func isFieldList(token []byte) bool {
	begin := strings.ToLower(string(token[:min(len(token), 16)]))
	for _, field := range [...]string{
		"urlprefix=", "pathglobs=", "fullpath=", "fullpath~", "starts=", "expires=", "exp=", "st=", "acl=", "ip=",
	} {
		if strings.HasPrefix(begin, field) {
			return true
		}
	}
	return false
}

func redactHeaderValue(name, value string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	switch name {
	case "cookie":
		return redactCookies(value)
	case "set-cookie", "set-cookie2":
		return redactSetCookie(value)
	case "link":
		return redactLink(value)
	case "referer", "location", "content-location", "destination", "refresh",
		"x-amz-copy-source", "x-goog-copy-source", "x-oss-copy-source", "x-ms-copy-source", "x-ms-rename-source",
		"x-client-request-url", "x-original-url", "x-original-uri", "x-rewrite-url", "x-forwarded-uri":
		return RedactURL(value)
	}
	if strings.HasSuffix(name, "authorization") { // Proxy-, X-Ms-Copy-Source-, X-Serverless-
		return redactAuthorization(value)
	}
	if kind := redactKindOf(name); kind != redactNothing {
		return redactValue(kind, value)
	}
	if strings.Contains(value, "://") || strings.ContainsAny(value, "?&=") {
		return RedactURL(value) // user metadata, say
	}
	return value
}

// redactAuthorization keeps the scheme if it is a known one; an unknown first word may itself be the secret.
func redactAuthorization(value string) string {
	scheme, rest, ok := strings.Cut(value, " ")
	if !ok {
		return redactValue(redactAll, value)
	}
	switch strings.ToLower(scheme) {
	case "aws4-hmac-sha256", "aws4-ecdsa-p256-sha256", "goog4-hmac-sha256", "goog4-rsa-sha256", "oss4-hmac-sha256":
	case "basic", "bearer", "digest", "negotiate", "ntlm", "token", "apikey",
		"aws", "goog1", "oss", "oss2", "sharedkey", "sharedkeylite":
		return scheme + " " + redactMark
	default:
		return redactMark
	}
	fields := strings.Split(rest, ",")
	for i, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		switch strings.TrimSpace(name) {
		case "Credential":
			value = redactValue(redactCredential, strings.TrimSpace(value))
		case "Signature":
			value = redactValue(redactSignature, strings.TrimSpace(value))
		case "SignedHeaders", "AdditionalHeaders":
			if strings.ContainsAny(value, " =\t") { // a comma was forgotten, and the signature is in here
				value = redactMark
			}
		default:
			fields[i] = " " + redactMark
			continue
		}
		fields[i] = name + "=" + value
	}
	return scheme + " " + strings.TrimSpace(strings.Join(fields, ","))
}

// redactPair hides the value of name=value, and all of what is no pair.
func redactPair(pair string) string {
	name, _, ok := strings.Cut(strings.TrimSpace(pair), "=")
	if !ok {
		return redactValue(redactAll, name)
	}
	return name + "=" + redactMark
}

func redactCookies(value string) string {
	pairs := strings.Split(value, ";")
	for i, pair := range pairs {
		pairs[i] = redactPair(pair)
	}
	return strings.Join(pairs, "; ")
}

func redactSetCookie(value string) string {
	parts := strings.Split(value, ";")
	parts[0] = redactPair(parts[0])
	for i := 1; i < len(parts); i++ {
		attribute, _, _ := strings.Cut(parts[i], "=")
		switch strings.ToLower(strings.TrimSpace(attribute)) {
		case "expires", "max-age", "domain", "path", "secure", "httponly", "samesite", "partitioned", "":
		default:
			parts[i] = " " + redactMark // the tail of a value that held a semicolon
		}
	}
	return strings.Join(parts, ";")
}

// redactLink redacts each <URL> of a Link header (RFC 8288) by itself, so that the parameters between them stay.
func redactLink(value string) string {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(value, "<")
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		link, after, closed := strings.Cut(rest, ">")
		out.WriteString("<" + RedactURL(link))
		if !closed {
			return out.String()
		}
		out.WriteString(">")
		value = after
	}
}

// innerErrors returns what err wraps. One that only answers As, and does not unwrap, may hold a *url.Error too.
func innerErrors(err error) []error {
	var inner []error
	switch x := err.(type) {
	case interface{ Unwrap() error }:
		inner = append(inner, x.Unwrap())
	case interface{ Unwrap() []error }:
		inner = append(inner, x.Unwrap()...)
	}
	if x, ok := err.(interface{ As(any) bool }); ok {
		if u := new(url.Error); x.As(&u) && u != nil {
			inner = append(inner, u)
		}
	}
	return slices.DeleteFunc(slices.Clone(inner), func(err error) bool { return err == nil })
}

// collectSecrets adds to found what must not show of the URLs in err's chain, and what to print for it.
func collectSecrets(err error, found map[string]string) {
	u, ok := err.(*url.Error)
	if ok && u == nil {
		return
	}
	for _, inner := range innerErrors(err) {
		collectSecrets(inner, found)
	}
	if !ok {
		return
	}
	add := func(old, new string) {
		found[old] = new
		found[inQuotes(old)] = inQuotes(new) // as url.Error prints its URL
	}
	_, secrets := redactURL(u.URL)
	for _, secret := range secrets {
		if len(secret) >= 8 { // a shorter one is likely to be a part of some word
			add(secret, redactMark)
		}
	}
	if clean := RedactURL(u.URL); clean != u.URL {
		add(u.URL, clean)
	}
}

func inQuotes(s string) string {
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}

// errorRedactor redacts the errors of one chain, whose secrets it knows.
type errorRedactor struct{ known *strings.Replacer }

// redact returns err, or its redacted stand-in and true.
func (r errorRedactor) redact(err error) (error, bool) {
	if err == nil {
		return nil, false
	}
	if u, ok := err.(*url.Error); ok {
		if u == nil {
			return err, false
		}
		inner, changed := r.redact(u.Err)
		clean := RedactURL(u.URL)
		if !changed && clean == u.URL {
			return err, false
		}
		return &url.Error{Op: u.Op, URL: clean, Err: inner}, true
	}
	before := err.Error()
	text := r.text(before)
	changed := text != before
	for _, inner := range innerErrors(err) {
		_, c := r.redact(inner)
		changed = changed || c
	}
	if !changed {
		return err, false
	}
	stand := &redactedError{text, err, r}
	if n, ok := err.(net.Error); ok {
		return redactedNetError{stand, n}, true
	}
	return stand, true
}

// text cleans a message: of the known URLs and secrets, then of any other URL in it.
func (r errorRedactor) text(s string) string {
	s = r.known.Replace(s)
	var out strings.Builder
	for len(s) > 0 {
		end := strings.IndexAny(s, " \t\r\n\"<>`")
		if end < 0 {
			end = len(s)
		}
		word := strings.TrimRight(s[:end], `\'(),.;:]}`)
		if strings.ContainsAny(word, "?&") || strings.Contains(word, "://") || strings.Contains(word, "%") {
			out.WriteString(RedactURL(word))
		} else {
			out.WriteString(word)
		}
		after := min(end+1, len(s))
		out.WriteString(s[len(word):after])
		s = s[after:]
	}
	return withoutPort(out.String())
}

// withoutPort cuts what url.Parse took for a port: in https://user:pass/word@host it is the begin of the password.
func withoutPort(s string) string {
	const begin = `invalid port `
	before, rest, ok := strings.Cut(s, begin)
	if !ok {
		return s
	}
	if port, err := strconv.QuotedPrefix(rest); err == nil {
		rest = strconv.Quote(redactMark) + rest[len(port):]
	}
	return before + begin + withoutPort(rest)
}

// redactedError stands for an error whose text, or whose chain, held a secret.
// It does not unwrap: what walks the chain for its texts would find them.
type redactedError struct {
	text     string
	err      error
	redactor errorRedactor
}

func (e *redactedError) Error() string { return e.text }

// Format keeps fmt from printing the fields under verbs that do not call Error.
func (e *redactedError) Format(s fmt.State, verb rune) {
	fmt.Fprintf(s, fmt.FormatString(s, verb), e.text)
}

func (e *redactedError) Is(target error) bool { return errors.Is(e.err, target) }

func (e *redactedError) As(target any) bool {
	if !errors.As(e.err, target) {
		return false
	}
	// Of what was found, hand out the redacted stand-in wherever it fits.
	into := reflect.ValueOf(target).Elem()
	if found, ok := into.Interface().(error); ok {
		if clean, changed := e.redactor.redact(found); changed && reflect.TypeOf(clean).AssignableTo(into.Type()) {
			into.Set(reflect.ValueOf(clean))
		}
	}
	return true
}

// redactedNetError is a redactedError for what was a net.Error itself.
type redactedNetError struct {
	*redactedError
	net net.Error
}

func (e redactedNetError) Timeout() bool { return e.net.Timeout() }

//lint:ignore SA1019 net.Error demands it
func (e redactedNetError) Temporary() bool { return e.net.Temporary() }
