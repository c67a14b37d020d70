package oss

import (
	"crypto/sha256"
	"slices"
	"strconv"

	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is OSS signature version 4, top to bottom: the canonical request, the string to sign, the signature, and the two
// places where it can stand, a URL's query and the Authorization header. It is AWS4 with other ideas: the bucket is always in
// the path, an empty parameter is its bare name, the provider's headers are signed without being listed and others only when
// they are, and no hash of the body is signed.
//
// https://help.aliyun.com/en/oss/developer-reference/recommend-to-use-signature-version-4
// https://help.aliyun.com/en/oss/developer-reference/add-signatures-to-urls

const (
	algorithm  = "OSS4-HMAC-SHA256"
	keyPrefix  = "aliyun_v4"
	terminator = "aliyun_v4_request"

	maxExpires    = 7 * 24 * 60 * 60 // seconds
	maxExpiresSTS = 12 * 60 * 60     // the same for a URL that carries a security token

	unsignedPayload = "UNSIGNED-PAYLOAD" // OSS takes nothing else
)

// family returns what OSS4 puts at the ends of the key chain.
func family() sigv4.Family { return sigv4.Family{Prefix: keyPrefix, Terminator: terminator} }

// appendCanonicalRequest appends the text whose hash is signed: method, bucket and key wherever they stand in the URL, query,
// headers, the names of those that are not signed by default, and the word for a body that is not signed. Key and query are
// encoded.
func appendCanonicalRequest(dst []byte, method, bucket string, key, query []byte, headers []sigv4.Header) []byte {
	dst = append(dst, method...)
	dst = append(dst, '\n', '/')
	if bucket != "" {
		dst = append(dst, bucket...)
		dst = append(dst, '/')
		dst = append(dst, key...)
	}
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
	dst = appendAdditional(dst, headers, ";")
	dst = append(dst, '\n')
	return append(dst, unsignedPayload...)
}

// appendAdditional appends the names of the headers that are not signed by default, joined with sep: ";", or "%3B" for a query,
// where the names are encoded too.
func appendAdditional(dst []byte, headers []sigv4.Header, sep string) []byte {
	start := len(dst)
	for _, h := range headers {
		if signedByDefault(h.Name) {
			continue
		}
		if len(dst) > start {
			dst = append(dst, sep...)
		}
		if sep == ";" {
			dst = append(dst, h.Name...)
		} else {
			dst = wire.AppendEscape(dst, h.Name)
		}
	}
	return dst
}

// signedByDefault reports whether OSS signs a header, in any spelling of its name, wherever it is there.
func signedByDefault[T string | []byte](name T) bool {
	return hasPrefixFold(name, "x-oss-") ||
		len(name) == len("content-type") && hasPrefixFold(name, "content-type") ||
		len(name) == len("content-md5") && hasPrefixFold(name, "content-md5")
}

// hasPrefixFold reports whether s begins with prefix, which is in lower case, but for the case of letters.
func hasPrefixFold[T string | []byte](s T, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}

// appendStringToSign appends the text that the signing key signs. The timestamp is that of x-oss-date, or as it stands in Date.
func appendStringToSign(dst, timestamp []byte, sc *sigv4.Scope, canonicalRequest []byte) []byte {
	dst = append(dst, algorithm...)
	dst = append(dst, '\n')
	dst = append(dst, timestamp...)
	dst = append(dst, '\n')
	dst = sc.Append(dst, "/", terminator)
	dst = append(dst, '\n')
	sum := sha256.Sum256(canonicalRequest)
	return wire.AppendHex(dst, sum[:])
}

// The parameters of a presigned URL.
const (
	paramAdditional = "x-oss-additional-headers"
	paramCredential = "x-oss-credential"
	paramDate       = "x-oss-date"
	paramExpires    = "x-oss-expires"
	paramToken      = "x-oss-security-token"
	paramSignature  = "x-oss-signature"
	paramVersion    = "x-oss-signature-version"
)

// appendQuery appends the query of a presigned URL but the signature, in canonical order: the caller's parameters, sorted, with
// those of the signature in their places among them, each behind an '&'.
func appendQuery(dst []byte, callers []wire.Param, id string, key *sigv4.Key, token signer.Secret, stamp sigv4.Stamp, sc *sigv4.Scope, expires int64, headers []sigv4.Header) []byte {
	if slices.ContainsFunc(headers, func(h sigv4.Header) bool { return !signedByDefault(h.Name) }) { // OSS refuses an empty list
		dst, callers = appendName(dst, callers, "&"+paramAdditional+"=")
		dst = appendAdditional(dst, headers, "%3B")
	}
	dst, callers = appendName(dst, callers, "&"+paramCredential+"=")
	dst = key.AppendCredential(dst, id, *sc, terminator)
	dst, callers = appendName(dst, callers, "&"+paramDate+"=")
	dst = append(dst, stamp[:]...)
	dst, callers = appendName(dst, callers, "&"+paramExpires+"=")
	dst = strconv.AppendInt(dst, expires, 10)
	if !token.IsZero() {
		dst, callers = appendName(dst, callers, "&"+paramToken+"=")
		dst = key.AppendToken(dst, token)
	}
	dst, callers = appendName(dst, callers, "&"+paramVersion+"=")
	dst = append(dst, algorithm...)
	for _, p := range callers {
		dst = appendParam(append(dst, '&'), p)
	}
	return dst
}

// appendName appends the name of a parameter, with what stands around it, behind those of the caller's parameters that come before
// it. It returns the others.
func appendName(dst []byte, callers []wire.Param, name string) ([]byte, []wire.Param) {
	for len(callers) > 0 && string(callers[0].Name) < name[1:len(name)-1] {
		dst = appendParam(append(dst, '&'), callers[0])
		callers = callers[1:]
	}
	return append(dst, name...), callers
}

// appendParams appends a query.
func appendParams(dst []byte, list []wire.Param) []byte {
	for i, p := range list {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = appendParam(dst, p)
	}
	return dst
}

// appendParam appends a parameter. One with an empty value is its bare name.
func appendParam(dst []byte, p wire.Param) []byte {
	dst = append(dst, p.Name...)
	if len(p.Value) > 0 {
		dst = append(append(dst, '='), p.Value...)
	}
	return dst
}

// appendAuthorization appends the value of the Authorization header.
func appendAuthorization(dst []byte, id string, sc *sigv4.Scope, headers []sigv4.Header, key *sigv4.Key, stringToSign []byte) []byte {
	dst = append(dst, algorithm+" Credential="...)
	dst = append(dst, id...)
	dst = append(dst, '/')
	dst = sc.Append(dst, "/", terminator)
	const list = ",AdditionalHeaders="
	dst = append(dst, list...)
	before := len(dst)
	if dst = appendAdditional(dst, headers, ";"); len(dst) == before {
		dst = dst[:before-len(list)] // OSS refuses an empty list
	}
	dst = append(dst, ",Signature="...)
	return key.AppendSignature(dst, stringToSign)
}
