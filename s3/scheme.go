package s3

import (
	"strconv"
	"strings"

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
func appendCanonicalRequest(dst []byte, method string, path, query []byte, headers []sigv4.Header, payload string) []byte {
	dst = append(dst, method...)
	dst = append(dst, '\n')
	if len(path) == 0 {
		dst = append(dst, '/')
	}
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
	AppendCredential(dst []byte, id string, scope sigv4.Scope, terminator string) []byte
	AppendToken(dst []byte, token signer.Secret) []byte
}

// appendStringToSign appends the text that the signing key signs.
func appendStringToSign(dst []byte, stamp sigv4.Stamp, sc *scope, canonicalRequest []byte) []byte {
	return sigv4.AppendStringToSign(dst, sc.algorithm(), stamp, &sc.Scope, terminator, canonicalRequest)
}

// appendAuthParams appends the parameters of a presigned URL but the signature, in their canonical order.
func appendAuthParams(dst []byte, id string, key signingKey, token signer.Secret, stamp sigv4.Stamp, sc *scope, expires int64, headers []sigv4.Header) []byte {
	dst = append(dst, "X-Amz-Algorithm="...)
	dst = append(dst, sc.algorithm()...)
	dst = append(dst, "&X-Amz-Credential="...)
	dst = key.AppendCredential(dst, id, sc.Scope, terminator)
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
	return sigv4.AppendSignedHeaders(dst, headers, "%3B")
}

// appendAuthorization appends the value of the Authorization header.
func appendAuthorization(dst []byte, id string, sc *scope, headers []sigv4.Header, key signingKey, stringToSign []byte) []byte {
	dst = append(dst, sc.algorithm()...)
	dst = append(dst, " Credential="...)
	dst = append(dst, id...)
	dst = append(dst, '/')
	dst = sc.Append(dst, "/", terminator)
	dst = append(dst, ",SignedHeaders="...)
	dst = sigv4.AppendSignedHeaders(dst, headers, ";")
	dst = append(dst, ",Signature="...)
	return key.AppendSignature(dst, stringToSign)
}

// payloadOf returns the hash, or the word in its place, that x-amz-content-sha256 announces among the signed headers.
func payloadOf(op pipeline.Op, headers []sigv4.Header) (string, error) {
	for i := range headers {
		if string(headers[i].Name) != contentSHA256 {
			continue
		}
		value := string(headers[i].Value)
		if value != unsignedPayload && !strings.HasPrefix(value, streaming) && (len(value) != 64 || !pipeline.LowerHex(value)) {
			return "", op.Errorf(signer.ErrRequest, "X-Amz-Content-Sha256", "it is neither a SHA-256 in lower-case hex nor %s; HashBody sets it", unsignedPayload)
		}
		return value, nil
	}
	return unsignedPayload, nil
}

const contentSHA256 = "x-amz-content-sha256"
