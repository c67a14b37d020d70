package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Faults collects everything that is wrong with a signature.
type Faults struct {
	Op   Op
	Code string // of Add and Malformed
	Errs []error
}

// Add adds a fault, unless there are many already.
func (f *Faults) Add(sentinel error, field, format string, args ...any) {
	const most = 32 // a megabyte of faults helps nobody but who sent it
	if len(f.Errs) >= most {
		return
	}
	f.Errs = append(f.Errs, f.Op.Refusal(sentinel, field, f.Code, format, args...))
}

// Malformed adds a fault of form.
func (f *Faults) Malformed(field, format string, args ...any) {
	f.Add(signer.ErrMalformed, field, format, args...)
}

// Err joins the faults, nil if there are none.
func (f *Faults) Err() error { return errors.Join(f.Errs...) }

// CanonicalNames returns req with the names of its headers in the spelling of net/http, which never delivers others; adapters
// from other servers may. A name in two spellings is refused: one could be signed and the other be acted on.
func CanonicalNames(op Op, req *http.Request, code string) (*http.Request, error) {
	if req == nil {
		return nil, op.Errorf(signer.ErrMalformed, "", "there is no request")
	}
	canonical := true
	for name := range req.Header {
		canonical = canonical && http.CanonicalHeaderKey(name) == name && token(name)
	}
	if canonical {
		return req, nil
	}
	h := make(http.Header, len(req.Header))
	for name, values := range req.Header {
		key := http.CanonicalHeaderKey(name)
		if _, twice := h[key]; twice || !token(name) {
			return nil, op.Refusal(signer.ErrMalformed, "Header", code, "the name of a header is none, or is there in two spellings")
		}
		h[key] = values
	}
	r := *req // the caller's request stays as it is
	r.Header = h
	return &r, nil
}

// maxParams is how many parameters a verified request can have: what a stranger sends is read, sorted and kept before its key is known.
const maxParams = 1000

// RequestTarget returns path and query as they came over the wire. code is the provider's for a URL that is none.
func RequestTarget(op Op, req *http.Request, code string) (path, rawQuery string, err error) {
	path, rawQuery = requestTarget(req)
	switch {
	case path == "" || path[0] != '/':
		return "", "", op.Refusal(signer.ErrMalformed, "URL", code, "its path must begin with a slash")
	case strings.Count(rawQuery, "&") >= maxParams:
		return "", "", op.Refusal(signer.ErrMalformed, "URL", code, "its query has more than %d parameters", maxParams)
	}
	return path, rawQuery, nil
}

// requestTarget is RequestTarget without its checks.
func requestTarget(req *http.Request) (path, rawQuery string) {
	if req.RequestURI == "" {
		if req.URL == nil {
			return "", ""
		}
		path = req.URL.EscapedPath()
		if path == "" {
			path = "/"
		}
		return path, req.URL.RawQuery
	}
	target := req.RequestURI
	if target[0] != '/' { // a request to a proxy
		if scheme, rest, absolute := strings.Cut(target, "://"); absolute && (scheme == "http" || scheme == "https") {
			host, _, _ := strings.Cut(rest, "/")
			if len(host) == len(rest) || strings.IndexByte(host, '?') >= 0 {
				return "", ""
			}
			target = rest[len(host):]
		}
	}
	path, rawQuery, _ = strings.Cut(target, "?")
	return path, rawQuery
}

// Word is the beginning of a text as far as it looks like a key: what follows may be a signature.
func Word(s string) string {
	end := 0
	for end < len(s) && end < 24 && (s[end] == '-' || 'A' <= s[end] && s[end] <= 'Z' || 'a' <= s[end] && s[end] <= 'z') {
		end++
	}
	return s[:end]
}

// Shown is a stranger's text for a log, if it is as short and plain as a name; what is not may be a secret or a signature in
// the wrong place.
func Shown(s string) string {
	const most = 24
	for i := range len(s) {
		c := s[i]
		if i >= most || !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._:*", c) >= 0) {
			return "(" + strconv.Itoa(len(s)) + " characters)"
		}
	}
	return strconv.Quote(s)
}

// Pairs reads what follows the algorithm in an Authorization header, Credential=...,SignedHeaders=...,Signature=..., with or without a
// space after a comma and in any order. It hands each pair to read, once.
func (f *Faults) Pairs(text string, read func(name, value string)) {
	names := [...]string{"Credential", "SignedHeaders", "Signature"}
	var seen [len(names)]bool
	for pair := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimPrefix(pair, " "), "=")
		switch i := slices.Index(names[:], name); {
		case !ok:
			f.Malformed("Authorization", "%q is no pair; write key=value", Word(name))
		case i < 0:
			f.Malformed(Word(name), "the header has no such key; it has Credential, SignedHeaders and Signature")
		case seen[i]:
			f.Malformed(name, "it is there twice")
		default:
			seen[i] = true
			read(name, value)
		}
	}
	for i, name := range names {
		if !seen[i] {
			f.Malformed(name, "it is missing")
		}
	}
}

// SignedHeaders reads a list of signed headers: names in lower case, sorted, joined with semicolons, host among them.
func (f *Faults) SignedHeaders(field, value string) []string {
	names := strings.Split(value, ";")
	for i, name := range names {
		switch {
		case name == "":
			f.Malformed(field, "it has an empty name")
			return names
		case !LowerToken(name):
			f.Malformed(field, "%s is no header name in lower case", Shown(name))
			return names
		case i > 0 && names[i-1] >= name:
			f.Malformed(field, "it is not sorted, or has %s twice", Shown(name))
			return names
		}
	}
	if !slices.Contains(names, "host") {
		f.Malformed(field, "host is not among them; a signature that does not cover it would hold on every server")
	}
	return names
}

// LooseHeaders refuses headers of the vendors' that change what a request does and are not signed: a presigned PUT with
// x-amz-copy-source added would read any object. Those of a trailer count too where trailers are said to.
func (f *Faults) LooseHeaders(req *http.Request, signed []string, trailers bool, code string) {
	var loose []string
	add := func(name string) {
		if len(name) < len("x-amz-") || name[0]|0x20 != 'x' || name[1] != '-' {
			return
		}
		name = strings.ToLower(name)
		vendor := strings.HasPrefix(name, "x-amz-") || strings.HasPrefix(name, "x-goog-") || strings.HasPrefix(name, "x-oss-")
		if _, found := slices.BinarySearch(signed, name); vendor && !found {
			loose = append(loose, Clip(name))
		}
	}
	for name := range req.Header {
		add(name)
	}
	if trailers {
		for name := range req.Trailer {
			add(name)
		}
	}
	if loose != nil {
		const most = 32
		slices.Sort(loose)
		f.Errs = append(f.Errs, f.Op.Refusal(signer.ErrMismatch, strings.Join(loose[:min(len(loose), most)], ","), code,
			"there were headers present in the request which were not signed; sign them or do not send them"))
	}
}

// SignedHeader is Grant.Header: the signed headers of req but Host, each as the one value that was signed, nil if there are none.
// canonical is what the scheme makes of a value before it signs it; nil for nothing. Tokens, encryption keys and cookies are left
// out, because a Grant is logged.
func SignedHeader(req *http.Request, signed []string, canonical func(string) string) (h http.Header) {
	for _, name := range signed {
		if name == "host" || name == "cookie" || strings.HasSuffix(name, "-security-token") || strings.HasSuffix(name, "-customer-key") ||
			strings.HasSuffix(name, "-encryption-key") {
			continue
		}
		name = http.CanonicalHeaderKey(name)
		values := slices.Clone(req.Header[name])
		if name == "Content-Length" && req.ContentLength >= 0 {
			values = []string{strconv.FormatInt(req.ContentLength, 10)} // what is verified
		}
		if values == nil {
			continue
		}
		for i, v := range values {
			if canonical != nil {
				values[i] = canonical(v)
			}
		}
		SetHeader(&h, name, []string{strings.Join(values, ",")})
	}
	return h
}

// SignedResponse is Grant.Response: the overrides among signed parameters, as AWS, Google and Alibaba name them.
func SignedResponse(q url.Values) (h signer.ResponseHeaders) {
	if len(q) == 0 {
		return h
	}
	return signer.ResponseHeaders{
		ContentType:        q.Get("response-content-type"),
		ContentDisposition: q.Get("response-content-disposition"),
		CacheControl:       q.Get("response-cache-control"),
		ContentEncoding:    q.Get("response-content-encoding"),
		ContentLanguage:    q.Get("response-content-language"),
		Expires:            q.Get("response-expires"),
	}
}

// Folded is wire.AppendFolded for SignedHeader.
func Folded(value string) string { return string(wire.AppendFolded(nil, value)) }

// Clip is the beginning of a header's name for a log: a stranger's may be long, or a signature in the wrong place.
func Clip(name string) string {
	const most = 48
	if len(name) > most {
		return name[:most] + "..."
	}
	return name
}

// Fingerprint is Grant.Fingerprint: half a SHA-256 of what identifies a signature, in hex.
func Fingerprint(identity []byte) string {
	sum := sha256.Sum256(identity)
	var text [sha256.Size]byte
	hex.Encode(text[:], sum[:len(text)/2])
	return string(text[:])
}

// Locations is where a Verifier's service answers.
type Locations struct {
	Scheme     string // of the endpoint: decides which port is none
	Hosts      []string
	AnyHost    bool   // the bucket is in the path, whatever the host
	Base       string // encoded path in front of every key, "" or "/base"
	Addressing signer.Addressing
}

// Object finds bucket and key, decoded, in a request's host and path as they came over the wire.
func (l *Locations) Object(op Op, host, path string) (bucket, key string, err error) {
	bucket, key, err = l.split(op, host, path)
	if err == nil && bucket == "" && key != "" || bucket != "" && CheckBucket(op, "URL", bucket) != nil {
		return "", "", op.Refusal(signer.ErrScope, "URL", "InvalidBucketName", "it names no bucket")
	}
	if !utf8.ValidString(key) || strings.IndexByte(key, 0) >= 0 {
		return "", "", op.Refusal(signer.ErrMalformed, "URL", "InvalidURI", "its key holds a NUL or invalid UTF-8")
	}
	return bucket, key, err
}

// split is Object without the checks of what comes out.
func (l *Locations) split(op Op, host, path string) (bucket, key string, err error) {
	path, err = wire.UnescapePath(path)
	if err != nil {
		return "", "", op.Refusal(signer.ErrMalformed, "URL", "InvalidURI", "its path: %w", err)
	}
	host = CanonicalHost(l.Scheme, strings.ToLower(host))
	base, err := wire.UnescapePath(l.Base)
	if err != nil {
		return "", "", err // unreachable: we encoded it
	}
	rest, ok := strings.CutPrefix(path, base+"/")
	if !ok && path == base {
		rest, ok = "", true
	}
	if !ok {
		return "", "", op.Refusal(signer.ErrScope, "URL", "InvalidURI", "its path is not under %q", base)
	}
	if l.AnyHost {
		for _, own := range l.Hosts {
			if strings.HasSuffix(host, "."+own) { // what was signed is a key of the bucket in the host
				return "", "", op.Refusal(signer.ErrScope, "Host", "InvalidRequest", "the bucket is in the host, and only in the path here")
			}
		}
		bucket, key, _ = strings.Cut(rest, "/")
		return bucket, key, nil
	}
	for _, own := range l.Hosts {
		if host == own {
			switch l.Addressing {
			case signer.AddressingBucketHost:
				return strings.ReplaceAll(Hostname(host), ":", "."), rest, nil // an IPv6 address has colons, a bucket none
			case signer.AddressingAuto, signer.AddressingPath:
				bucket, key, _ = strings.Cut(rest, "/")
				return bucket, key, nil
			}
		}
		if sub, ok := strings.CutSuffix(host, own); ok && strings.HasSuffix(sub, ".") &&
			(l.Addressing == signer.AddressingAuto || l.Addressing == signer.AddressingVirtualHost) {
			return sub[:len(sub)-1], rest, nil
		}
	}
	return "", "", op.Refusal(signer.ErrScope, "Host", "InvalidRequest", "%s is not the host of this service, %s; if clients use another address, set VerifierConfig.Endpoint to it, if a proxy rewrites Host, set Inbound", Shown(host), l.Hosts[0])
}
