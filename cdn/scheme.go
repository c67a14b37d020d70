package cdn

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"hash"
	"strconv"
	"sync"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is the scheme of Cloud CDN, top to bottom. There is no canonical request: what is signed is the beginning of what
// is sent, byte for byte. A signed URL is
//
//	https://media.example.com/cat.jpg?size=2&Expires=1795608000&KeyName=my-key&Signature=...
//	\________________________ string to sign ________________________________/
//
// A prefix signs no URL, but what its URLs begin with. It goes into their query, anywhere, or into a cookie with colons:
//
//	URLPrefix=aHR0cHM6Ly...&Expires=1795608000&KeyName=my-key&Signature=...
//
// https://docs.cloud.google.com/cdn/docs/using-signed-urls
// https://docs.cloud.google.com/cdn/docs/using-signed-cookies

const (
	keySize       = 16 // bytes
	signatureSize = 28 // characters: SHA-1 in base64url, padded
	cookieName    = "Cloud-CDN-Cookie"
)

// appendExpiry appends what says how long and under which key. sep is '&' in a URL and ':' in a cookie.
func appendExpiry(dst []byte, sep byte, expires int64, keyName string) []byte {
	dst = append(dst, "Expires="...)
	dst = strconv.AppendInt(dst, expires, 10)
	dst = append(dst, sep)
	dst = append(dst, "KeyName="...)
	return append(dst, keyName...)
}

// appendPrefix appends the string to sign of a prefix.
func appendPrefix(dst []byte, sep byte, prefix string, expires int64, keyName string) []byte {
	dst = append(dst, "URLPrefix="...)
	dst = base64.URLEncoding.AppendEncode(dst, []byte(prefix))
	dst = append(dst, sep)
	return appendExpiry(dst, sep, expires, keyName)
}

// appendSignature appends the signature of toSign, behind which it goes on the wire.
func (m *mac) appendSignature(dst []byte, sep byte, toSign []byte) []byte {
	dst = append(dst, sep)
	dst = append(dst, "Signature="...)
	return m.appendSum(dst, toSign)
}

// A mac makes HMAC-SHA1 under one key. It is safe for concurrent use.
type mac struct{ states sync.Pool } // keyed, so that a signature costs two blocks less and no allocation

type state struct {
	hash.Hash
	sum [sha1.Size]byte
}

func newMAC(secret signer.Secret, _ struct{}) *mac {
	key := secret.Reveal()
	return &mac{sync.Pool{New: func() any { return &state{Hash: hmac.New(sha1.New, key)} }}}
}

// appendSum appends the HMAC of text in base64url, padded.
func (m *mac) appendSum(dst, text []byte) []byte {
	s := m.states.Get().(*state)
	s.Reset()
	s.Write(text)
	dst = base64.URLEncoding.AppendEncode(dst, s.Sum(s.sum[:0]))
	m.states.Put(s)
	return dst
}

// verify reports, in constant time, whether signature is that of toSign.
func (m *mac) verify(toSign []byte, signature string) bool {
	var want [signatureSize]byte
	return hmac.Equal(m.appendSum(want[:0], toSign), []byte(signature))
}

// checkHMAC tries the algorithm: with GODEBUG=fips140=only, crypto/hmac panics when it is given SHA-1.
func checkHMAC(op pipeline.Op) (err error) {
	defer func() {
		if recover() != nil {
			err = op.Errorf(signer.ErrUnsupported, "", "Cloud CDN signs with HMAC-SHA1, which this process may not use (GODEBUG=fips140=only)")
		}
	}()
	newMAC(signer.NewSecret(make([]byte, keySize)), struct{}{}).appendSum(nil, nil)
	return nil
}
