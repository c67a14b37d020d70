// Package signer holds what is common to all providers: the Signer interface, the requests that go in, the URLs that
// come out, the grants that a Verifier reads from a signed request, the errors, and the types that keep secrets
// out of logs.
//
// A backend (s3, gcs, cdn, azure, oss) makes a Signer:
//
//	s, err := s3.New(s3.Config{Region: "eu-west-1", Bucket: "photos", Credentials: creds})
//	p, err := s.Presign(ctx, signer.Request{Key: "2026/cat.jpg", Expires: 15 * time.Minute})
//	// p.Method, p.URL and p.Header are what the client must send; p.ExpiresAt is when the URL really dies.
//
// # What a Signer promises
//
// Whatever is asked for is put under the signature, or is an error: an option is never dropped. No credentials is
// an error, never an unsigned URL. The URL carries the scheme's parameters and the caller's, nothing else. What is
// passed in is not changed.
//
// # Secrets
//
// Keys and session tokens are a Secret, which no formatting verb, logger, encoder or test diff prints. A presigned
// URL is a secret too, for as long as it lives: a Presigned hides its query when printed or logged, and RedactURL,
// RedactHeader and RedactError clean what other code prints. CheckRedirect and Redirector keep it so across redirects.
package signer

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Signer presigns requests to one provider with one source of credentials.
//
// It is safe for concurrent use. It reads its clock once per call; every timestamp, scope date and expiry comes
// from that instant. It never drops what it was asked for: the method is granted as narrowly as the scheme can, and
// a parameter, header or override that the scheme cannot put under the signature is ErrUnsupported, or with
// Request.BestEffort is sent and named in Presigned.NotEnforced. It does not change or keep r.Query and r.Header.
//
// Errors are *Error values (possibly joined) that wrap ErrRequest, ErrLifetime, ErrCredentials, ErrUnsupported or
// ErrRemote, or the context's error.
type Signer interface {
	Presign(ctx context.Context, r Request) (*Presigned, error)
}

// A RequestPresigner presigns a URL that is ready for the wire: its bytes are kept, and the signature's parameters
// are added. The headers of req are signed, except those that change on the way: hop-by-hop headers, Authorization,
// Accept-Encoding, User-Agent, Expect, traceparent, tracestate and baggage. A signature of the same scheme is
// replaced; one of another scheme, or one in a header, is ErrConflict. req is not changed.
//
// Every backend has it; oss signs its default set and the configured additional headers, and names the others in
// NotEnforced. The method is req.Method; Expires and the other options mean what they mean in a Request.
type RequestPresigner interface {
	PresignRequest(ctx context.Context, req *http.Request, o Options) (*Presigned, error)
}

// A RequestSigner signs a request in its headers, in place: it sets Authorization and the headers that go with it.
// On an error req is unchanged. The body is not read. All backends have it but cdn, whose scheme signs URLs only.
type RequestSigner interface {
	Sign(ctx context.Context, req *http.Request) error
}

// A PostSigner signs a policy for uploads by an HTML form. s3, gcs and oss have it; PresignPost finds it.
type PostSigner interface {
	PresignPost(ctx context.Context, p Policy) (*Form, error)
}

// A Request is what a URL shall allow.
type Request struct {
	// Method is the HTTP method that the URL allows; "" means GET. HEAD is a method of its own.
	Method string

	// Bucket is the bucket or container; "" means the one in the backend's Config. With AddressingBucketHost it is the
	// endpoint's host (for oss: what the Config names), and another name here is ErrRequest.
	Bucket string

	// Key is the name of the object as users know it: raw UTF-8, never percent-encoded. A leading slash is part of it:
	// "/cat.jpg" is another object than "cat.jpg". NUL, and "." and ".." between slashes, are ErrRequest; the provider's
	// limit of length (S3: 1024 bytes) is not checked. "" is the bucket itself and goes with GET and HEAD only.
	Key string

	// Query holds further parameters to sign: versionId, partNumber, uploadId and so on. Those of a signature
	// (X-Amz-Date, sig, ...) are ErrRequest.
	Query url.Values

	// Header holds headers that the holder of the URL must send, with these values. All are signed, also those that
	// PresignRequest would pass over.
	Header http.Header

	// Response overrides headers of the answer.
	Response ResponseHeaders

	// Expires is the least time the URL must work, counted from now. It is required and positive; fractions of a
	// second round up. The number in the URL is larger by the Config's Backdate, because it counts from the URL's start.
	Expires time.Duration

	// Window makes the URL stable: calls within one window return the same bytes, so that caches hit. It is whole
	// seconds, at least one, and at most half of Expires; the URL lives up to one Window longer for it. 0 means
	// that each second has its own URL.
	Window time.Duration

	// Spread shifts the window by a hash of bucket and key, so that the URLs of one page do not all change at once.
	Spread bool

	// AllowShorter accepts a URL that dies before Expires, with its credentials or at the scheme's maximum, where
	// otherwise that is an error. Presigned.ExpiresAt and LimitedBy tell.
	AllowShorter bool

	// BestEffort sends what the scheme cannot enforce instead of refusing it. Presigned.NotEnforced names it.
	BestEffort bool

	// SourceIP limits who may use the URL, where the scheme can (Azure, IPv4).
	SourceIP netip.Prefix
}

// ResponseHeaders are headers that the provider shall set in its answer, instead of those stored with the object.
// An empty field overrides nothing.
type ResponseHeaders struct {
	ContentType        string
	ContentDisposition string // Attachment makes one
	CacheControl       string
	ContentEncoding    string
	ContentLanguage    string
	Expires            string // an HTTP date
}

// Apply sets the headers that are overridden in the header of an answer, on the side of a server that serves a Grant. Call it
// after the headers that come with the object, and before WriteHeader.
func (r ResponseHeaders) Apply(h http.Header) {
	for _, o := range [...]struct{ name, value string }{
		{"Content-Type", r.ContentType},
		{"Content-Disposition", r.ContentDisposition},
		{"Cache-Control", r.CacheControl},
		{"Content-Encoding", r.ContentEncoding},
		{"Content-Language", r.ContentLanguage},
		{"Expires", r.Expires},
	} {
		if o.value != "" {
			h.Set(o.name, o.value)
		}
	}
}

// Attachment returns a Content-Disposition value that makes a browser save the response under filename (RFC 6266),
// fit for ResponseHeaders.ContentDisposition:
//
//	attachment; filename="ascii fallback"; filename*=UTF-8''percent-encoded
//
// filename* (RFC 8187) is there only if the fallback could not say all; clients prefer it, and those that do not
// know it take the fallback. The fallback holds no quote, backslash or percent sign: RFC 6266, appendix D, warns of the
// first two because some clients do not unescape, and of the third because some decode it. The result is always ASCII.
//
// filename may come from a user. Directories before the name are dropped, with / and \ alike; so are control
// characters, line separators, the bidirectional controls that make gpj.exe read as exe.jpg, and white space around the
// name. A byte that is not UTF-8 becomes an underscore. A name of more than 255 bytes, the limit of most file systems,
// is cut at a character and keeps its extension. If nothing is left, or only dots, the result is a plain "attachment".
func Attachment(filename string) string {
	name := attachmentName(filename)
	if name == "" {
		return "attachment"
	}
	fallback := strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII || r == '"' || r == '%' {
			return '_'
		}
		return r
	}, name)
	value := `attachment; filename="` + fallback + `"`
	if fallback != name {
		value += "; filename*=UTF-8''" + escapeExtValue(name)
	}
	return value
}

// attachmentName reduces filename to what is safe to save under.
func attachmentName(filename string) string {
	name := strings.ToValidUTF8(filename, "_")
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return -1
		}
		return r
	}, name)
	name = strings.TrimSpace(cutName(strings.TrimSpace(name), 255))
	if strings.Trim(name, ".") == "" {
		return ""
	}
	return name
}

// cutName shortens name to at most size bytes, keeping its extension and whole characters.
func cutName(name string, size int) string {
	if len(name) <= size {
		return name
	}
	extension := path.Ext(name)
	if len(extension) > 32 { // a dot in a sentence
		extension = ""
	}
	end := size - len(extension)
	for !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end] + extension
}

// escapeExtValue percent-encodes all but the attr-char of RFC 8187, section 3.2.1.
func escapeExtValue(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("!#$&+-.^_`|~", c) >= 0:
			out.WriteByte(c)
		default:
			out.WriteByte('%')
			out.WriteByte(hexDigits[c>>4])
			out.WriteByte(hexDigits[c&15])
		}
	}
	return out.String()
}

// Options are the parts of a Request that PresignRequest does not find in the *http.Request.
type Options struct {
	Expires, Window          time.Duration
	AllowShorter, BestEffort bool
}

// Addressing says where the bucket stands in a URL.
type Addressing int

const (
	// AddressingAuto is the provider's usual form: for AWS and Alibaba the bucket in the host name where it can stand
	// there, for Google and for other endpoints in the path.
	AddressingAuto Addressing = iota
	// AddressingVirtualHost puts the bucket in front of the endpoint's host name.
	AddressingVirtualHost
	// AddressingPath puts the bucket first in the path.
	AddressingPath
	// AddressingBucketHost means that the endpoint's host is the bucket (a CNAME, a custom domain). oss signs the bucket's
	// name too, which the Config must then have.
	AddressingBucketHost
)

// String names the form.
func (a Addressing) String() string {
	switch a {
	case AddressingAuto:
		return "auto"
	case AddressingVirtualHost:
		return "virtual host"
	case AddressingPath:
		return "path"
	case AddressingBucketHost:
		return "bucket host"
	}
	return "unknown addressing"
}

// Limit says what decided when a URL dies.
type Limit int

const (
	// LimitRequest means that the URL lives as long as was asked for.
	LimitRequest Limit = iota + 1
	// LimitCredentials means that the URL dies with the credentials that signed it.
	LimitCredentials
	// LimitScheme means that the URL dies at the longest life that the scheme allows.
	LimitScheme
)

// String names the limit.
func (l Limit) String() string {
	switch l {
	case LimitRequest:
		return "request"
	case LimitCredentials:
		return "credentials"
	case LimitScheme:
		return "scheme"
	}
	return "unknown limit"
}

// As finds a capability of s, also behind wrappers that have a method Unwrap() Signer:
//
//	if rs, ok := signer.As[signer.RequestSigner](s); ok { err = rs.Sign(ctx, req) }
func As[T any](s Signer) (T, bool) {
	for s != nil {
		if t, ok := s.(T); ok {
			return t, true
		}
		w, ok := s.(interface{ Unwrap() Signer })
		if !ok {
			break
		}
		s = w.Unwrap()
	}
	var none T
	return none, false
}
