package azure

import (
	"context"
	"crypto/fips140"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"strings"
	"sync"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A KeySource gives the key for one signature. It must be safe for concurrent use.
//
// until is the instant to which the signature shall work (for Sign, the next second): a source that can refresh should return a
// key that lives that long. A key that dies earlier is not wrong; the signer then shortens the SAS if it may, or reports
// ErrCredentials. As long as the key is the same, return the same Key: it keeps keyed hashes.
type KeySource interface {
	Key(ctx context.Context, until time.Time) (Key, error)
}

// A Key is what a SAS or a request is signed with: an account key, from SharedKey, or a user delegation key, from the method Key
// of UserDelegationKey. It is its own KeySource. The zero Key is none.
type Key struct {
	account    string // whose key it is; "" for a user delegation key
	secret     signer.Secret
	macs       *macKey
	delegation *delegation // nil for an account key
}

// A delegation is a user delegation key that was checked.
type delegation struct {
	UserDelegationKey
	start, end time.Time
}

// SharedKey returns an account key: one of the two under "Access keys" in the portal, in base64 as it stands there. Who has it
// can do everything to the account; a user delegation key is the better choice where there is one. Errors are
// ErrCredentials.
//
// https://learn.microsoft.com/en-us/azure/storage/common/storage-account-keys-manage
func SharedKey(account, base64Key string) (Key, error) {
	op := pipeline.Op{Backend: "azure", Name: "shared key"}
	if account == "" {
		return Key{}, op.Errorf(signer.ErrCredentials, "Account", "it is empty; name the storage account that the key belongs to")
	}
	if base64Key == "" {
		return Key{}, op.Errorf(signer.ErrCredentials, "Key", "it is empty; take one of the account's access keys")
	}
	b, err := base64.StdEncoding.Strict().DecodeString(base64Key)
	switch {
	case strings.Contains(base64Key, "AccountKey="):
		return Key{}, op.Errorf(signer.ErrCredentials, "Key", "it is a connection string; give the value of its AccountKey alone")
	case strings.TrimSpace(base64Key) != base64Key:
		return Key{}, op.Errorf(signer.ErrCredentials, "Key", "it begins or ends with white space, the end of a line perhaps; trim it")
	case err != nil || strings.ContainsAny(base64Key, "\r\n"):
		return Key{}, op.Errorf(signer.ErrCredentials, "Key", "it is not base64; copy the access key whole and alone, with the = at its end")
	}
	secret := signer.NewSecret(b)
	k := Key{account: account, secret: secret, macs: newMACKey(secret, struct{}{})}
	return k, k.check(op)
}

// Key returns k.
func (k Key) Key(ctx context.Context, until time.Time) (Key, error) { return k, nil }

// Secret returns the key itself, decoded, as VerifierConfig.AccountKeys wants it.
func (k Key) Secret() signer.Secret { return k.secret }

// Retirement makes a Key one of a signer.KeyRing. Account keys have no names on the wire, so the id is the account's and a part
// of the key's hash: two keys of one account differ, and the same key has it everywhere. at is the end of a user delegation key.
// The zero Key has an empty id.
func (k Key) Retirement() (id string, at time.Time) {
	if k.secret.IsZero() {
		return "", time.Time{}
	}
	owner, fingerprint := k.account, k.secret.Fingerprint()
	if k.delegation != nil {
		owner, at = k.delegation.SignedOID, k.delegation.end
	}
	return owner + "/" + hex.EncodeToString(fingerprint[:4]), at
}

// A UserDelegationKey signs in the name of a user or of a service of Microsoft Entra ID, and lives for at most seven days. Get
// User Delegation Key returns one; package azure/udk asks for it. All fields are as they were returned, to the letter: they are
// signed, and the service makes the key anew from them.
//
// To keep one in a cache that processes share, store the fields and Value.Reveal(); Value itself does not print or encode. It is
// its own KeySource.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/get-user-delegation-key
type UserDelegationKey struct {
	SignedOID     string // whose key it is, skoid in a SAS
	SignedTID     string // the tenant, sktid
	SignedStart   string // when the key starts to work, "2026-11-24T23:39:49Z": skt
	SignedExpiry  string // when it dies: ske
	SignedService string // "b": sks
	SignedVersion string // the service version that made it, which need not be the signer's: skv

	// SignedDelegatedUserTID is the tenant of the one user who may use what is signed, skdutid; "" for most keys.
	SignedDelegatedUserTID string

	// Value is the key itself: the base64 of the answer's Value, decoded.
	Value signer.Secret
}

// Key returns k as a Key. A source that returns the same key again and again calls it once and keeps the Key. Errors are
// ErrCredentials.
func (k UserDelegationKey) Key(ctx context.Context, until time.Time) (Key, error) {
	op := pipeline.Op{Backend: "azure", Name: "user delegation key"}
	bad := func(field, format string, args ...any) (Key, error) {
		return Key{}, op.Errorf(signer.ErrCredentials, field, format, args...)
	}
	for _, f := range [...]struct{ name, value string }{
		{"SignedOID", k.SignedOID}, {"SignedTID", k.SignedTID}, {"SignedService", k.SignedService}, {"SignedVersion", k.SignedVersion},
	} {
		if f.value == "" || !printable(f.value) {
			return bad(f.name, "it is empty, or holds a control or non-ASCII character; fill in every field as the service returned it")
		}
	}
	start, ok1 := parseTime(k.SignedStart)
	end, ok2 := parseTime(k.SignedExpiry)
	value := k.Value.Reveal()
	_, err := base64.StdEncoding.DecodeString(string(value))
	switch {
	case !ok1 || !ok2 || !start.Before(end):
		return bad("SignedStart, SignedExpiry", "they are not two instants like 2026-11-24T23:39:49Z, one before the other; fill in every field as the service returned it")
	case !printable(k.SignedDelegatedUserTID):
		return bad("SignedDelegatedUserTID", "it holds a control or non-ASCII character; fill it in as the service returned it")
	case len(value) == base64.StdEncoding.EncodedLen(sha256.Size) && err == nil:
		return bad("Value", "it is still in base64; decode it")
	}
	key := Key{secret: k.Value, macs: newMACKey(k.Value, struct{}{}), delegation: &delegation{k, start, end}}
	return key, key.check(op)
}

// check refuses keys that cannot make a signature.
func (k *Key) check(op pipeline.Op) error {
	const minFIPS = 14 // bytes: HMAC takes no fewer in FIPS 140 mode
	switch {
	case k.secret.IsZero():
		return op.Errorf(signer.ErrCredentials, "Keys", "the Key is empty; did SharedKey return an error that was not looked at, or has the UserDelegationKey no Value?")
	case k.secret.Len() < minFIPS && fips140.Enabled():
		return op.Errorf(signer.ErrCredentials, "Keys", "the key has less than %d bytes, too few for HMAC in FIPS 140 mode", minFIPS)
	}
	return nil
}

// checkUse refuses what cannot be signed with the key: a SAS of another account, or a user delegation SAS in a version that has
// none.
func (k *Key) checkUse(op pipeline.Op, account, version string) error {
	if err := k.check(op); err != nil {
		return err
	}
	switch {
	case k.delegation != nil && version < v2018:
		return op.Errorf(signer.ErrRequest, "Version", "a user delegation SAS needs %s or later", v2018)
	case k.delegation != nil && k.delegation.SignedDelegatedUserTID != "" && version < v2025:
		return op.Errorf(signer.ErrRequest, "Version", "the key is for users of another tenant (SignedDelegatedUserTID), which needs %s or later", v2025)
	case k.delegation == nil && k.account != account:
		return op.Errorf(signer.ErrCredentials, "Keys", "the key is one of the account %q, and the signer is for %q", k.account, account)
	}
	return nil
}

// parseTime reads an instant in one of the forms that Azure Storage takes: a day, or a time with minutes, seconds or up to seven
// digits more, in UTC or with an offset. Before 1970 there is none: Go's zero time must not come out of it.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/formatting-datetime-values
func parseTime(s string) (time.Time, bool) {
	layout := time.DateOnly
	if len(s) > len("2006-01-02T15:04") && s[10] == 'T' && s[13] == ':' {
		layout = "2006-01-02T15:04Z07:00"
		if s[16] == ':' {
			layout = time.RFC3339
		}
	}
	_, fraction, _ := strings.Cut(s, ".")
	digits := len(fraction) - len(strings.TrimLeft(fraction, "0123456789"))
	t, err := time.Parse(layout, s)
	if err != nil || digits > 7 || t.Unix() < 0 || strings.IndexByte(s, ',') >= 0 {
		return time.Time{}, false
	}
	return t, true
}

// printable reports whether s is printable ASCII.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// A macKey makes signatures with one key. It is safe for concurrent use.
type macKey struct {
	macs sync.Pool // of *mac: keyed states, so that a signature costs two blocks less and no allocation
}

type mac struct {
	hash.Hash
	sum  [sha256.Size]byte
	text [44]byte // the sum in base64
}

// newMACKey makes a macKey; the struct is the scope of a cache that needs none.
func newMACKey(secret signer.Secret, _ struct{}) *macKey {
	key := secret.Reveal()
	return &macKey{macs: sync.Pool{New: func() any {
		return &mac{Hash: hmac.New(sha256.New, key)}
	}}}
}

// appendSignature appends the signature of a string to sign in base64.
func (k *macKey) appendSignature(dst, toSign []byte) []byte {
	m := k.sign(toSign)
	dst = append(dst, m.text[:]...)
	k.macs.Put(m)
	return dst
}

// appendEscaped is appendSignature for a URL.
func (k *macKey) appendEscaped(dst, toSign []byte) []byte {
	m := k.sign(toSign)
	dst = wire.AppendEscape(dst, m.text[:])
	k.macs.Put(m)
	return dst
}

// verify reports, in constant time, whether signature is that of toSign. Its text is compared, because base64 can write one value
// in several ways.
func (k *macKey) verify(toSign []byte, signature string) bool {
	m := k.sign(toSign)
	ok := hmac.Equal(m.text[:], []byte(signature))
	k.macs.Put(m)
	return ok
}

func (k *macKey) sign(toSign []byte) *mac {
	m := k.macs.Get().(*mac)
	m.Reset()
	m.Write(toSign)
	base64.StdEncoding.Encode(m.text[:], m.Sum(m.sum[:0]))
	return m
}
