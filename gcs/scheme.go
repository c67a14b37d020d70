package gcs

import (
	"strconv"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/wire"
)

// This file is Google's V4 signing process, top to bottom: the canonical request, the string to sign, and the two places
// where the signature can stand, a URL's query and the Authorization header. It is AWS's scheme with other words, but for the
// host, which is signed without its port, and for who signs: the RSA key of a service account, or an HMAC key.
//
// https://docs.cloud.google.com/storage/docs/authentication/canonical-requests
// https://docs.cloud.google.com/storage/docs/authentication/signatures

const (
	service    = "storage"
	terminator = "goog4_request"
	maxExpires = 7 * 24 * 60 * 60 // seconds

	unsignedPayload = "UNSIGNED-PAYLOAD"
	contentSHA256   = "x-goog-content-sha256"
)

// family returns what GOOG4 puts at the ends of the chain that derives the signing key from an HMAC key's secret.
func family() sigv4.Family { return sigv4.Family{Prefix: "GOOG4", Terminator: terminator} }

// appendCanonicalRequest appends the text whose hash is signed: method, path, query, headers, the list of their names,
// and the hash of the payload or a word in its place. Path and query are in their canonical encoding.
func appendCanonicalRequest(dst []byte, method string, path, query []byte, headers []sigv4.Header, payload string) []byte {
	dst = append(dst, method...)
	dst = append(dst, '\n')
	dst = append(dst, path...)
	dst = append(dst, '\n')
	dst = append(dst, query...)
	dst = append(dst, '\n')
	for i := range headers {
		dst = append(dst, headers[i].Name...)
		dst = append(dst, ':')
		dst = append(dst, headers[i].Value...)
		dst = append(dst, '\n')
	}
	dst = append(dst, '\n')
	dst = sigv4.AppendSignedHeaders(dst, headers, ";")
	dst = append(dst, '\n')
	return append(dst, payload...)
}

// appendStringToSign appends the text that the key signs.
func appendStringToSign(dst []byte, a Algorithm, stamp sigv4.Stamp, scope *sigv4.Scope, canonicalRequest []byte) []byte {
	return sigv4.AppendStringToSign(dst, string(a), stamp, scope, terminator, canonicalRequest)
}

// A signature's parameters are what a signed URL has besides X-Goog-Signature.
type authParams struct {
	algorithm Algorithm
	id        string
	stamp     sigv4.Stamp
	scope     sigv4.Scope
	expires   int64       // seconds
	memo      *sigv4.Memo // of the credential
}

// appendQuery appends the canonical query, which is the query on the wire: the signature's parameters among the caller's, all
// sorted by name, each behind an '&'.
func (a *authParams) appendQuery(dst []byte, callers []wire.Param, headers []sigv4.Header) []byte {
	dst, callers = appendName(dst, callers, "&X-Goog-Algorithm=")
	dst = append(dst, a.algorithm...)
	dst, callers = appendName(dst, callers, "&X-Goog-Credential=")
	dst = a.memo.AppendCredential(dst, a.id, a.scope, terminator)
	dst, callers = appendName(dst, callers, "&X-Goog-Date=")
	dst = append(dst, a.stamp[:]...)
	dst, callers = appendName(dst, callers, "&X-Goog-Expires=")
	dst = strconv.AppendInt(dst, a.expires, 10)
	dst, callers = appendName(dst, callers, "&X-Goog-SignedHeaders=")
	dst = sigv4.AppendSignedHeaders(dst, headers, "%3B")
	if len(callers) > 0 {
		dst = wire.AppendParams(append(dst, '&'), callers)
	}
	return dst
}

// appendName appends the name of a parameter, with what stands around it, behind those of the caller's parameters that come before
// it. It returns the others.
func appendName(dst []byte, callers []wire.Param, name string) ([]byte, []wire.Param) {
	for len(callers) > 0 && string(callers[0].Name) < name[1:len(name)-1] {
		dst = wire.AppendParams(append(dst, '&'), callers[:1])
		callers = callers[1:]
	}
	return append(dst, name...), callers
}

// appendAuthorization appends the value of the Authorization header but the signature.
func (a *authParams) appendAuthorization(dst []byte, headers []sigv4.Header) []byte {
	dst = append(dst, a.algorithm...)
	dst = append(dst, " Credential="...)
	dst = append(dst, a.id...)
	dst = append(dst, '/')
	dst = a.scope.Append(dst, "/", terminator)
	dst = append(dst, ",SignedHeaders="...)
	dst = sigv4.AppendSignedHeaders(dst, headers, ";")
	return append(dst, ",Signature="...)
}

// parseScope reads DATE/LOCATION/storage/goog4_request.
func parseScope(s string) (scope sigv4.Scope, ok bool) {
	part := strings.Split(s, "/")
	if len(part) != 4 || len(part[0]) != len(scope.Date) || !pipeline.HostLabel(part[1]) || part[2] != service || part[3] != terminator {
		return scope, false
	}
	return sigv4.Scope{Date: sigv4.Date([]byte(part[0])), Region: part[1], Service: service}, true
}
