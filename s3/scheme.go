package s3

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is AWS Signature Version 4, top to bottom: the canonical request, the string to sign, the signature, and the
// two places where it can stand, a URL's query and the Authorization header. What SigV4a does otherwise is in sigv4a.go.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	maxExpires = 7 * 24 * 60 * 60 // seconds

	unsignedPayload = "UNSIGNED-PAYLOAD"
)

// family returns what AWS4 puts at the ends of the key chain.
func family() sigv4.Family { return sigv4.Family{Prefix: "AWS4", Terminator: terminator} }

// appendCanonicalRequest appends the text whose hash is signed: method, path, query, headers, the list of their names,
// and the hash of the payload or a word in its place. Path and query are in their canonical encoding.
func appendCanonicalRequest(dst []byte, method string, path, query []byte, headers []header, payload string) []byte {
	dst = append(dst, method...)
	dst = append(dst, '\n')
	if len(path) == 0 {
		dst = append(dst, '/')
	}
	dst = append(dst, path...)
	dst = append(dst, '\n')
	dst = append(dst, query...)
	dst = append(dst, '\n')
	for _, h := range headers {
		dst = append(dst, h.name...)
		dst = append(dst, ':')
		dst = append(dst, h.value...)
		dst = append(dst, '\n')
	}
	dst = append(dst, '\n')
	dst = appendSignedHeaders(dst, headers, ";")
	dst = append(dst, '\n')
	return append(dst, payload...)
}

// A scope says what a signature is good for: a day, a service, and one region (SigV4) or a set of them (SigV4a).
type scope struct {
	sigv4.Scope
	regionSet string // as it is signed; "" for SigV4
}

// algorithm names the algorithm that goes with the scope.
func (s *scope) algorithm() string {
	if s.regionSet != "" {
		return algorithm4a
	}
	return algorithm
}

// A signingKey is a *sigv4.Key or a *key4a.
type signingKey interface {
	AppendSignature(dst, stringToSign []byte) []byte
	Verify(stringToSign []byte, signature string) bool
	AppendToken(dst []byte, token signer.Secret) []byte
}

// appendStringToSign appends the text that the signing key signs.
func appendStringToSign(dst []byte, stamp sigv4.Stamp, sc *scope, canonicalRequest []byte) []byte {
	return sigv4.AppendStringToSign(dst, sc.algorithm(), stamp, &sc.Scope, terminator, canonicalRequest)
}

// appendAuthParams appends the parameters of a presigned URL but the signature, in their canonical order.
func appendAuthParams(dst []byte, id string, key signingKey, token signer.Secret, stamp sigv4.Stamp, sc *scope, expires int64, headers []header) []byte {
	dst = append(dst, "X-Amz-Algorithm="...)
	dst = append(dst, sc.algorithm()...)
	dst = append(dst, "&X-Amz-Credential="...)
	dst = wire.AppendEscape(dst, id)
	dst = append(dst, "%2F"...)
	dst = sc.Append(dst, "%2F", terminator)
	dst = append(dst, "&X-Amz-Date="...)
	dst = append(dst, stamp[:]...)
	dst = append(dst, "&X-Amz-Expires="...)
	dst = strconv.AppendInt(dst, expires, 10)
	if sc.regionSet != "" {
		dst = append(dst, "&X-Amz-Region-Set="...)
		dst = wire.AppendEscape(dst, sc.regionSet)
	}
	if !token.IsZero() {
		dst = append(dst, "&X-Amz-Security-Token="...)
		dst = key.AppendToken(dst, token)
	}
	dst = append(dst, "&X-Amz-SignedHeaders="...)
	return appendSignedHeaders(dst, headers, "%3B")
}

// appendAuthorization appends the value of the Authorization header.
func appendAuthorization(dst []byte, id string, sc *scope, headers []header, key signingKey, stringToSign []byte) []byte {
	dst = append(dst, sc.algorithm()...)
	dst = append(dst, " Credential="...)
	dst = append(dst, id...)
	dst = append(dst, '/')
	dst = sc.Append(dst, "/", terminator)
	dst = append(dst, ",SignedHeaders="...)
	dst = appendSignedHeaders(dst, headers, ";")
	dst = append(dst, ",Signature="...)
	return key.AppendSignature(dst, stringToSign)
}

// A header is a signed header in its canonical form: the name in lower case, the value folded.
type header struct{ name, value []byte }

func appendSignedHeaders(dst []byte, headers []header, sep string) []byte {
	for i, h := range headers {
		if i > 0 {
			dst = append(dst, sep...)
		}
		if sep == ";" {
			dst = append(dst, h.name...)
		} else {
			dst = wire.AppendEscape(dst, string(h.name))
		}
	}
	return dst
}

// scratch is the memory of one signature. It is pooled, so that signing allocates only what it returns.
type scratch struct {
	url       []byte // the URL, of which path and query are parts
	path      []byte // the canonical path, where the URL's is not
	query     []byte // the canonical query, where the URL's is not
	canonical []byte // the canonical request
	toSign    []byte // the string to sign

	headers []header
	arena   []byte // the bytes of headers; append may move it, which leaves older slices valid
	params  wire.Params
}

func takeScratch(pool *sync.Pool) *scratch {
	if w, ok := pool.Get().(*scratch); ok {
		return w
	}
	return new(scratch)
}

// release gives the memory back, unless a huge request made it huge.
func (w *scratch) release(pool *sync.Pool) {
	const most = 64 << 10
	if cap(w.url) > most || cap(w.canonical) > most || cap(w.arena) > most {
		return
	}
	w.reset()
	pool.Put(w)
}

func (w *scratch) reset() {
	clear(w.headers)
	w.headers, w.arena = w.headers[:0], w.arena[:0]
	w.params.Reset()
}

// addHost adds the Host header, which needs no folding.
func (w *scratch) addHost(host []byte) {
	start := len(w.arena)
	w.arena = append(append(w.arena, "host"...), host...)
	name, value := w.arena[start:start+len("host")], w.arena[start+len("host"):]
	w.headers = append(w.headers, header{name[:len(name):len(name)], value[:len(value):len(value)]})
}

// addHeader adds a header; the values are folded and joined with commas.
func (w *scratch) addHeader(name string, values ...string) {
	start := len(w.arena)
	w.arena = wire.AppendLower(w.arena, name)
	mid := len(w.arena)
	for i, v := range values {
		if i > 0 {
			w.arena = append(w.arena, ',')
		}
		w.arena = wire.AppendFolded(w.arena, v)
	}
	w.headers = append(w.headers, header{w.arena[start:mid:mid], w.arena[mid:len(w.arena):len(w.arena)]})
}

// sortHeaders sorts by name. Two entries of one name (in an http.Header, two spellings) have no defined order, so they
// are an error.
func (w *scratch) sortHeaders(op pipeline.Op) error {
	slices.SortFunc(w.headers, func(a, b header) int { return bytes.Compare(a.name, b.name) })
	for i := 1; i < len(w.headers); i++ {
		if bytes.Equal(w.headers[i-1].name, w.headers[i].name) {
			return op.Errorf(signer.ErrRequest, "Header", "%s is there twice, in two spellings; use http.Header.Set", w.headers[i].name)
		}
	}
	return nil
}

// addRequestHeaders adds the headers of a request that a signature covers. Host and Content-Length are what net/http sends,
// which is not what the map says.
func (w *scratch) addRequestHeaders(op pipeline.Op, h http.Header, length int64, host string) error {
	w.addHeader("host", host)
	if length > 0 {
		w.addHeader("content-length", strconv.FormatInt(length, 10))
	}
	for name, values := range h {
		switch {
		case strings.EqualFold(name, "Host") || strings.EqualFold(name, "Content-Length"):
		case pipeline.Unsignable(name) || len(values) == 0: // the latter is not sent
		default:
			w.addHeader(name, values...)
		}
	}
	return w.sortHeaders(op)
}

// payload returns the hash, or the word in its place, that x-amz-content-sha256 announces among the signed headers.
func (w *scratch) payload(op pipeline.Op) (string, error) {
	for _, h := range w.headers {
		if string(h.name) != contentSHA256 {
			continue
		}
		value := string(h.value)
		if value != unsignedPayload && !strings.HasPrefix(value, streaming) && (len(value) != 64 || !lowerHex(value)) {
			return "", op.Errorf(signer.ErrRequest, "X-Amz-Content-Sha256", "it is neither a SHA-256 in lower-case hex nor %s; HashBody sets it", unsignedPayload)
		}
		return value, nil
	}
	return unsignedPayload, nil
}

const contentSHA256 = "x-amz-content-sha256"
