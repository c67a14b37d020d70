package signer

import (
	"errors"
	"strings"
)

// Error is the error of every operation in this module. It wraps one of the Err variables, and the cause where
// there is one. Its text says what was wrong, what was expected and what to do, and holds no secret, signature or
// query string.
type Error struct {
	Backend string // "s3", "gcs", ...; "" for package signer
	Op      string // "new", "presign", "sign", "verify", "parse", ...
	Field   string // the field, header or parameter at fault; "" when it is the request as a whole
	Code    string // the code that the provider would answer with, where one is known: "SignatureDoesNotMatch"
	Index   int    // the place of the request where several are presigned at once, from 0
	Err     error
}

// Error joins the parts that are set: "s3: presign: Expires: ...".
func (e *Error) Error() string {
	var parts []string
	for _, part := range [...]string{e.Backend, e.Op, e.Field} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// What can go wrong while signing.
var (
	// ErrRequest means that the request or configuration cannot be signed as it stands.
	ErrRequest = errors.New("bad request")
	// ErrLifetime means that a URL cannot live as long, or as short, as was asked for.
	ErrLifetime = errors.New("bad lifetime")
	// ErrCredentials means that there are no credentials, or that they die too early.
	ErrCredentials = errors.New("no usable credentials")
	// ErrUnsupported means that the scheme cannot do or enforce what was asked for.
	ErrUnsupported = errors.New("unsupported")
	// ErrRemote means that a key service failed. The cause is wrapped beside it.
	ErrRemote = errors.New("key service failed")
	// ErrForbidden means that a restricted Signer was asked for what its Limits do not allow.
	ErrForbidden = errors.New("not allowed")
)

// Why a Verifier refuses a request.
var (
	// ErrUnsigned means that the request carries no signature of the verifier's scheme.
	ErrUnsigned = errors.New("not signed")
	// ErrMalformed means that the signature's parameters do not follow the scheme's grammar.
	ErrMalformed = errors.New("malformed")
	// ErrMismatch means that the request is not the one that was signed, or was signed with another key.
	ErrMismatch = errors.New("mismatch")
	// ErrExpired means that the signature, or the credential that made it, is no longer valid.
	ErrExpired = errors.New("expired")
	// ErrNotYetValid means that the signature is from the future.
	ErrNotYetValid = errors.New("not yet valid")
	// ErrConflict means that a request carries two signatures, or a second one was to be added. Signers report it too.
	ErrConflict = errors.New("conflicting signatures")
	// ErrUnknownKey means that the key id belongs to no key. A VerifierConfig's lookup function returns it.
	ErrUnknownKey = errors.New("unknown key")
	// ErrScope means that the signature is for another region, service, account or resource.
	ErrScope = errors.New("out of scope")
	// ErrPolicy means that a form does not meet the policy that was signed.
	ErrPolicy = errors.New("policy not met")
)
