package s3

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is what SigV4a, a signature for several regions, has of its own: an ECDSA key that is derived from the secret
// and lasts as long as it, a credential scope without a region, and a region set that is signed beside it.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
// The derivation of the key is in AWS's library aws-c-auth, source/key_derivation.c.

const algorithm4a = "AWS4-ECDSA-P256-SHA256"

// A key4a signs for several regions. It is safe for concurrent use.
type key4a struct {
	sigv4.Memo
	private func() *ecdsa.PrivateKey // a function, so that no dump can look into it
}

// keyID is the scope of a derived key4a: it depends on nothing else than the secret and the id.
type keyID string

func newKey4a(secret signer.Secret, id keyID) *key4a {
	private := deriveKey4a(secret.Reveal(), string(id))
	return &key4a{private: func() *ecdsa.PrivateKey { return private }}
}

// deriveKey4a finds the private key in the first block of a counter-mode key derivation (NIST SP 800-108) that is below the
// order of the curve.
func deriveKey4a(secret []byte, accessKeyID string) *ecdsa.PrivateKey {
	// The order of P-256, less two.
	const highest = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc63254f"
	limit, _ := hex.DecodeString(highest)
	mac := hmac.New(sha256.New, append([]byte("AWS4A"), secret...))
	for counter := 1; counter <= 254; counter++ {
		mac.Reset()
		mac.Write([]byte{0, 0, 0, 1})
		mac.Write([]byte(algorithm4a))
		mac.Write([]byte{0})
		mac.Write([]byte(accessKeyID))
		mac.Write([]byte{byte(counter), 0, 0, 1, 0})
		candidate := mac.Sum(nil)
		if bytes.Compare(candidate, limit) > 0 {
			continue // one in four thousand million
		}
		for i := len(candidate) - 1; i >= 0; i-- { // plus one
			candidate[i]++
			if candidate[i] != 0 {
				break
			}
		}
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), candidate); err == nil {
			return key
		}
	}
	panic("s3: no SigV4a key in 254 blocks") // unreachable: a chance of one in 2 to the 8128th
}

func newCache4a() *sigv4.Cache[keyID, *key4a] { return sigv4.NewCache(newKey4a) }

// AppendSignature appends the signature of stringToSign: the DER encoding in hexadecimal digits. It is deterministic
// (RFC 6979), so that one request has one signature.
func (k *key4a) AppendSignature(dst, stringToSign []byte) []byte {
	digest := sha256.Sum256(stringToSign)
	signature, err := k.private().Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		panic("s3: " + err.Error()) // unreachable: the key is of P-256 and the digest of SHA-256
	}
	return hex.AppendEncode(dst, signature)
}

// Verify reports whether signature is one of stringToSign.
func (k *key4a) Verify(stringToSign []byte, signature string) bool {
	der, err := hex.DecodeString(signature)
	if err != nil {
		return false
	}
	digest := sha256.Sum256(stringToSign)
	return ecdsa.VerifyASN1(&k.private().PublicKey, digest[:], der)
}

// joinRegionSet checks a region set and writes it as it is signed.
func joinRegionSet(op pipeline.Op, set []string) (string, error) {
	switch {
	case set == nil:
		return "", nil
	case len(set) == 0:
		return "", op.Errorf(signer.ErrRequest, "RegionSet", `it is empty; name the regions, or "*" for all`)
	case len(set) > 1 && slices.Contains(set, "*"):
		return "", op.Errorf(signer.ErrRequest, "RegionSet", `"*" means all regions and stands alone`)
	}
	for i, region := range set {
		if region != "*" && !pipeline.HostLabel(region) {
			return "", op.Errorf(signer.ErrRequest, "RegionSet", `%q is no region; write it like "eu-west-1"`, region)
		}
		if slices.Contains(set[:i], region) {
			return "", op.Errorf(signer.ErrRequest, "RegionSet", "%q is in it twice", region)
		}
	}
	return strings.Join(set, ","), nil
}

// inRegionSet reports whether a signed region set covers a region.
func inRegionSet(set, region string) bool {
	for r := range strings.SplitSeq(set, ",") {
		if r = strings.TrimSpace(r); r == "*" || r == region {
			return true
		}
	}
	return false
}
