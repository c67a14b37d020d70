package cdn

import (
	"bytes"
	"crypto/ed25519"
	"crypto/fips140"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// MediaAlgorithm is what a MediaKey signs with. Media CDN lets a route choose which of them its tokens may use.
type MediaAlgorithm int

const (
	// MediaEd25519 signs everything, and is what Google recommends.
	MediaEd25519 MediaAlgorithm = iota + 1
	// MediaHMACSHA256 signs short-duration tokens, on routes that exchange them for long-duration ones.
	MediaHMACSHA256
	// MediaHMACSHA1 is MediaHMACSHA256 for other CDNs' sake. A process in FIPS 140-only mode has no such keys.
	MediaHMACSHA1
)

// String names the algorithm as Google's documentation does.
func (a MediaAlgorithm) String() string {
	switch a {
	case MediaEd25519:
		return "Ed25519"
	case MediaHMACSHA256:
		return "HMAC-SHA256"
	case MediaHMACSHA1:
		return "HMAC-SHA1"
	}
	return "unknown algorithm"
}

// A MediaKey is one key of a keyset of Media CDN: an Ed25519 key pair, the public half of one, which only verifies, or a
// secret that is shared with the CDN. ParseMediaPrivateKey, ParseMediaPublicKey and ParseMediaSharedKey make them; the zero
// MediaKey is none. It cannot be printed: what it holds stands behind functions.
//
// https://docs.cloud.google.com/media-cdn/docs/reference/rest/v1/projects.locations.edgeCacheKeysets
type MediaKey struct {
	name      string
	algorithm MediaAlgorithm
	public    string                            // base64url; "" for a shared key
	sign      func(text []byte) []byte          // nil for a public key
	verify    func(text, signature []byte) bool // in constant time
}

// ParseMediaPrivateKey reads an Ed25519 private key in base64url (RFC 4648, section 5), padded or not: the seed of 32 bytes
// or the seed and the public key, 64 bytes. name is that of the keyset that holds the public key: 1 to 64 letters, digits,
// dashes and underscores. ErrCredentials says what to do with a key in another form.
//
// https://docs.cloud.google.com/media-cdn/docs/generate-signatures
func ParseMediaPrivateKey(name, base64url string) (MediaKey, error) {
	op := opMediaKey()
	raw, err := mediaKeyBytes(op, name, base64url, "openssl pkey -in FILE -outform DER | tail -c 32")
	if err != nil {
		return MediaKey{}, err
	}
	if len(raw) != ed25519.SeedSize && len(raw) != ed25519.PrivateKeySize {
		return MediaKey{}, op.Errorf(signer.ErrCredentials, "Key",
			"it has %d bytes; an Ed25519 private key has 32 (the seed) or 64 (seed and public key)", len(raw))
	}
	private := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
	if len(raw) == ed25519.PrivateKeySize && !bytes.Equal(private, raw) {
		return MediaKey{}, op.Errorf(signer.ErrCredentials, "Key",
			"its second half is not the public key of the first; it is damaged, or the halves are of two keys")
	}
	k := mediaPublicKey(name, ed25519.PublicKey(private[ed25519.SeedSize:]))
	k.sign = func(text []byte) []byte { return ed25519.Sign(private, text) }
	return k, nil
}

// ParseMediaPublicKey reads an Ed25519 public key as an EdgeCacheKeyset has it: 32 bytes in base64url, padded or not. It
// verifies what the private key signs. name is the keyset's, as in ParseMediaPrivateKey.
func ParseMediaPublicKey(name, base64url string) (MediaKey, error) {
	op := opMediaKey()
	raw, err := mediaKeyBytes(op, name, base64url, "openssl pkey -in FILE -pubout -outform DER | tail -c 32")
	if err != nil {
		return MediaKey{}, err
	}
	if len(raw) != ed25519.PublicKeySize {
		return MediaKey{}, op.Errorf(signer.ErrCredentials, "Key",
			"it has %d bytes; an Ed25519 public key has 32, the last 32 of a private key of 64", len(raw))
	}
	if smallOrder(raw) {
		return MediaKey{}, op.Errorf(signer.ErrCredentials, "Key", "it is no public key but a placeholder, under which anybody could sign; copy the key of the keyset")
	}
	return mediaPublicKey(name, raw), nil
}

// smallOrder reports whether a key is one of the few points under which a signature holds for many texts: those whose order is 1, 2, 4
// or 8, all zeros among them, by their y coordinates in every spelling.
//
// https://www.rfc-editor.org/rfc/rfc8032#section-5.1
func smallOrder(public ed25519.PublicKey) bool {
	y := bytes.Clone(public)
	y[len(y)-1] &= 0x7f // the rest is the sign of x
	switch hex.EncodeToString(y) {
	case "0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f":
		return true
	}
	return false
}

func mediaPublicKey(name string, public ed25519.PublicKey) MediaKey {
	return MediaKey{name: name, algorithm: MediaEd25519, public: base64.RawURLEncoding.EncodeToString(public),
		verify: func(text, signature []byte) bool { return ed25519.Verify(public, text, signature) }}
}

// ParseMediaSharedKey reads a secret of at least 16 bytes, in base64url, padded or not, that is shared with Media CDN for
// tokens (validationSharedKeys of the keyset). It holds for the one algorithm. name is the keyset's; tokens do not carry it.
//
// ErrUnsupported is HMAC-SHA1 in a process that runs in FIPS 140-only mode.
//
// https://docs.cloud.google.com/media-cdn/docs/use-dual-token-authentication
func ParseMediaSharedKey(name string, a MediaAlgorithm, base64url string) (MediaKey, error) {
	op := opMediaKey()
	newHash := sha256.New
	switch {
	case a == MediaHMACSHA1 && !mediaHasSHA1():
		return MediaKey{}, op.Errorf(signer.ErrUnsupported, "Algorithm",
			"this process runs in FIPS 140-only mode, which has no HMAC-SHA1; use HMAC-SHA256 or Ed25519")
	case a == MediaHMACSHA1:
		newHash = sha1.New
	case a != MediaHMACSHA256:
		return MediaKey{}, op.Errorf(signer.ErrRequest, "Algorithm",
			"%v has no shared keys; choose MediaHMACSHA256 or MediaHMACSHA1", a)
	}
	raw, err := mediaKeyBytes(op, name, base64url, "cat FILE")
	if err != nil {
		return MediaKey{}, err
	}
	const least = 16
	if len(raw) < least {
		return MediaKey{}, op.Errorf(signer.ErrCredentials, "Key",
			"it has %d bytes, and Media CDN takes none under %d; make another: openssl rand 32", len(raw), least)
	}
	sign := func(text []byte) []byte { return mediaMAC(newHash, raw, text) }
	return MediaKey{name: name, algorithm: a, sign: sign,
		verify: func(text, signature []byte) bool { return hmac.Equal(sign(text), signature) }}, nil
}

// mediaHasSHA1 reports whether HMAC-SHA1 can be used: GODEBUG=fips140=only makes it panic, and no function tells so before
// Go 1.26.
func mediaHasSHA1() (ok bool) {
	if !fips140.Enabled() {
		return true
	}
	defer func() { ok = recover() == nil }()
	mediaMAC(sha1.New, make([]byte, 16), nil)
	return true
}

func mediaMAC(h func() hash.Hash, key, text []byte) []byte {
	mac := hmac.New(h, key)
	mac.Write(text)
	return mac.Sum(nil)
}

// mediaKeyBytes decodes a key. convert is the command that makes the bytes of a key's file.
func mediaKeyBytes(op pipeline.Op, name, text, convert string) ([]byte, error) {
	if !mediaKeyName(name) {
		return nil, op.Errorf(signer.ErrCredentials, "Name",
			"%q is no name of a keyset: 1 to 64 letters, digits, dashes and underscores", name)
	}
	const encode = " | base64 | tr '+/' '-_'"
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return nil, op.Errorf(signer.ErrCredentials, "Key", "it is empty; give it in base64url")
	case strings.HasPrefix(text, "-----BEGIN"):
		return nil, op.Errorf(signer.ErrCredentials, "Key",
			"it is in PEM, and Media CDN has bare keys; convert it: %s%s", convert, encode)
	case strings.ContainsAny(text, "+/") && strings.Trim(text, mediaBase64+"+/=") == "":
		return nil, op.Errorf(signer.ErrCredentials, "Key", "it is in standard base64; write - for + and _ for /")
	}
	raw, err := mediaDecode(text, base64.RawURLEncoding) // the spare bits of a last digit are of no account in a key
	if err != nil {
		return nil, op.Errorf(signer.ErrCredentials, "Key",
			"it is not base64url (RFC 4648, section 5); if it is the key file itself, encode it: %s%s", convert, encode)
	}
	return raw, nil
}

const mediaBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// mediaDecode decodes base64url with all of its padding or none. What the alphabet does not have is an error; encoding/base64
// by itself passes over ends of lines.
func mediaDecode(text string, enc *base64.Encoding) ([]byte, error) {
	digits := strings.TrimRight(text, "=")
	pad := len(text) - len(digits)
	if bad := strings.Trim(digits, mediaBase64); bad != "" || pad != 0 && (pad > 2 || len(text)%4 != 0) {
		return nil, base64.CorruptInputError(len(digits))
	}
	return enc.DecodeString(digits)
}

// mediaKeyName reports whether s can be the name of a keyset.
func mediaKeyName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, mediaBase64) == ""
}

// Name is the name of the keyset.
func (k MediaKey) Name() string { return k.name }

// Algorithm is what the key signs with; 0 for the zero MediaKey.
func (k MediaKey) Algorithm() MediaAlgorithm { return k.algorithm }

// PublicKey is the public key in base64url, as an EdgeCacheKeyset takes it; "" for a shared key.
func (k MediaKey) PublicKey() string { return k.public }

// String tells the name and the algorithm.
func (k MediaKey) String() string { return k.name + " (" + k.algorithm.String() + ")" }

func opMediaKey() pipeline.Op { return pipeline.Op{Backend: "cdn", Name: "parse media key"} }
