package signer

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"
)

// A Verifier decides whether a request was signed as its scheme demands, and says what the signature grants.
//
// It is safe for concurrent use, does not change req and does not read its body. A signature can be used any number
// of times while it lives: a Verifier does not stop replay (Grant.Fingerprint helps a caller who must).
//
// A request with more than 1,000 parameters in its URL is ErrMalformed: what a stranger sends is read before its key is known.
//
// Trailers come with the body, after Verify: fields in req.Trailer that were not announced in the header are not verified.
//
// Errors are *Error values (possibly joined) that wrap one of the sentinels for verifying; an error of the key
// lookup that is not ErrUnknownKey is returned as it is.
type Verifier interface {
	Verify(ctx context.Context, req *http.Request) (*Grant, error)
}

// A VerifierFunc is a function as a Verifier, such as one that calls another Verifier and logs why it refuses.
type VerifierFunc func(ctx context.Context, req *http.Request) (*Grant, error)

// Verify calls f.
func (f VerifierFunc) Verify(ctx context.Context, req *http.Request) (*Grant, error) {
	return f(ctx, req)
}

// Inbound is a request's origin as the client saw it. Behind a proxy only its operator knows where to read it.
type Inbound struct {
	Scheme   string     // "http" or "https"
	Host     string     // as the client sent it, with the port if it sent one
	ClientIP netip.Addr // zero when unknown
}

// A Grant is what a verified signature allows. Act on its fields, never on the request's URL or signed headers again: they
// are decoded once, from the bytes that were verified.
//
// Key is a name, not a path: whoever may sign can sign ".." and a leading slash, and "" is the bucket. Open files by it
// through an os.Root. Where the host is the bucket, Bucket is the host's name.
type Grant struct {
	Backend, Scheme string // "s3", "AWS4-HMAC-SHA256"
	KeyID           string
	Method          string
	Bucket, Key     string     // a name, not a path
	Query           url.Values // the signed parameters, without those of the signature

	// Response holds the overrides among the signed parameters: headers that the one who signed wants in the answer to GET and
	// HEAD, a name to save under perhaps. A server sets them with Response.Apply, or they are lost.
	Response ResponseHeaders

	SignedAt, NotBefore, ExpiresAt time.Time

	SignedHeaders []string // lower case, sorted

	// Header holds the signed headers but Host as they were signed: a signature does not tell several lines of one name from
	// one line with commas, nor, in most schemes, one blank from several, so each has one value here, with single blanks. Tokens,
	// encryption keys and cookies are left out. Nil where there is none.
	Header http.Header

	Payload     string // the signed SHA-256 of the body in hex, or the signed word for a body in chunks; "" where none is signed
	Permissions string // where the scheme has them (Azure)
	Prefix      string // where the signature covers all names with one beginning (Azure directories, Cloud CDN)

	// Fingerprint is a hash of the signature, for logs and replay caches.
	Fingerprint string

	// Chunks decodes and verifies a body that is signed in chunks; nil for others. Body calls it.
	Chunks func(io.ReadCloser) io.ReadCloser `json:"-"`
}

// Body returns a reader of the bytes of r that fails before the last of them if they are not those that were signed
// (ErrMismatch). Where no hash is signed it returns r. Whoever acts on a body before its end acts on unverified bytes.
//
// Call it once; behind Require the request's body is wrapped already. A body in chunks is decoded, and each chunk is verified
// before its bytes are handed on; ErrMalformed is for one that does not follow the encoding.
func (g *Grant) Body(r io.ReadCloser) io.ReadCloser {
	switch {
	case g.Payload == "" || r == nil:
		return r
	case g.Chunks != nil:
		return g.Chunks(r)
	}
	return &verifiedBody{src: r, buf: bufio.NewReaderSize(r, 32<<10), hash: sha256.New(), want: g.Payload, backend: g.Backend}
}

// A verifiedBody hashes a body. It hands on the last bytes only once it knows that they are the last and that the hash is
// right: decoders that stop where a value is complete would not see an error behind them.
type verifiedBody struct {
	src           io.ReadCloser
	buf           *bufio.Reader
	hash          hash.Hash
	want, backend string
	err           error
}

func (b *verifiedBody) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	n, err := b.buf.Read(p)
	b.hash.Write(p[:n])
	if err == nil {
		_, err = b.buf.Peek(1)
	}
	if err == io.EOF {
		got := hex.EncodeToString(b.hash.Sum(nil))
		if subtle.ConstantTimeCompare([]byte(got), []byte(b.want)) != 1 {
			n, err = 0, &Error{Backend: b.backend, Op: "verify", Field: "body", Code: "XAmzContentSHA256Mismatch",
				Err: fmt.Errorf("%w: the body is not the one whose SHA-256 was signed", ErrMismatch)}
		}
	}
	b.err = err
	return n, err
}

func (b *verifiedBody) Close() error { return b.src.Close() }

// AnyOf returns a Verifier for several schemes: the first of v whose scheme the request shows decides, whatever it
// says. A request that shows none is ErrUnsigned.
func AnyOf(v ...Verifier) Verifier { return anyOf(slices.Clone(v)) }

type anyOf []Verifier

func (vs anyOf) Verify(ctx context.Context, req *http.Request) (*Grant, error) {
	for _, v := range vs {
		g, err := v.Verify(ctx, req)
		if !errors.Is(err, ErrUnsigned) {
			return g, err
		}
	}
	return nil, &Error{Op: "verify", Err: fmt.Errorf("%w by any of %d schemes", ErrUnsigned, len(vs))}
}

type grantKey struct{}

// Require lets only verified requests through to next, which finds the grant with GrantFrom and reads a body that
// fails at its end if it is not the signed one. A body in chunks arrives decoded, with ContentLength -1; the headers of the
// encoding (Content-Length, Content-Encoding: aws-chunked, X-Amz-Decoded-Content-Length) stay as they came. Signed headers
// have one value each, that of Grant.Header.
//
// To log why requests are refused, hand it a VerifierFunc that calls yours and logs the error. Refusals are 401 for no
// signature, 400 for a malformed one, 403 for one that does not hold and 500 when v could not decide; the answer names the
// class of the refusal and no more.
func Require(v Verifier, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g, err := v.Verify(r.Context(), r)
		if err != nil {
			w.Header().Set("Cache-Control", "no-store")
			if errors.Is(err, ErrUnsigned) {
				w.Header().Set("WWW-Authenticate", "Signature") // RFC 9110 wants a challenge with a 401; no registered scheme fits
			}
			status, text := answerTo(err)
			http.Error(w, text, status)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), grantKey{}, g))
		if g.Header != nil {
			r.Header = r.Header.Clone()
			maps.Copy(r.Header, g.Header)
		}
		r.Body = g.Body(r.Body)
		if g.Chunks != nil {
			r.ContentLength = -1 // the header counts the encoding too
		}
		next.ServeHTTP(w, r)
	})
}

// answerTo maps an error to a status and a text that tells nothing a stranger should not know.
func answerTo(err error) (int, string) {
	switch {
	case errors.Is(err, ErrUnsigned):
		return http.StatusUnauthorized, ErrUnsigned.Error()
	case errors.Is(err, ErrConflict):
		return http.StatusBadRequest, ErrConflict.Error()
	case errors.Is(err, ErrMalformed):
		return http.StatusBadRequest, "malformed signature"
	case errors.Is(err, ErrUnsupported):
		return http.StatusBadRequest, "unsupported signature"
	}
	for _, class := range [...]error{ErrMismatch, ErrExpired, ErrNotYetValid, ErrUnknownKey, ErrScope, ErrPolicy} {
		if errors.Is(err, class) {
			return http.StatusForbidden, "signature: " + class.Error()
		}
	}
	return http.StatusInternalServerError, "signature could not be checked"
}

// GrantFrom returns the grant of the request that Require let through, or nil.
func GrantFrom(ctx context.Context) *Grant {
	g, _ := ctx.Value(grantKey{}).(*Grant)
	return g
}
