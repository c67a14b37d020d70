package signer

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// A Policy says what an HTML form may upload.
type Policy struct {
	Bucket string // "" means the one in the backend's Config

	// Key is the exact name of the object, KeyPrefix the beginning of the names that the form may choose. One of the
	// two is required.
	Key, KeyPrefix string

	Expires time.Duration // as in Request

	// MinBytes and MaxBytes bound the size of the file. MaxBytes is required; -1 means no limit.
	MinBytes, MaxBytes int64

	// ContentType is the exact type, ContentTypePrefix the beginning of the types that the form may choose.
	ContentType, ContentTypePrefix string

	Fields       []Field     // further fields with exact values: success_action_redirect, x-amz-meta-...
	Conditions   []Condition // further conditions on fields that the form chooses
	AllowShorter bool        // as in Request
}

// A Condition is a condition of a policy on one field of the form.
type Condition struct {
	Field  string // without the dollar sign
	Op     string // "eq", "starts-with", and for OSS "in" and "not-in"
	Values []string
}

// A Form is a signed form: the URL to post to and the fields to send before the file. It is a bearer secret like a
// Presigned.
type Form struct {
	URL       string
	Fields    []Field // in the order to post, the file last
	ExpiresAt time.Time
	LimitedBy Limit
}

// String returns the URL and the expiry, without the fields: the policy and its signature are a bearer secret.
func (f Form) String() string {
	return "POST " + RedactURL(f.URL) + " until " + f.ExpiresAt.UTC().Format(time.RFC3339)
}

// Format prints String for every verb.
func (f Form) Format(s fmt.State, verb rune) { io.WriteString(s, f.String()) }

// LogValue is String. JSON, which is for the browser, has all fields.
func (f Form) LogValue() slog.Value { return slog.StringValue(f.String()) }

// A Field is a field of a form.
type Field struct{ Name, Value string }

// PresignPost signs a form upload with s, if its scheme has one; otherwise it returns ErrUnsupported.
func PresignPost(ctx context.Context, s Signer, p Policy) (*Form, error) {
	if ps, ok := As[PostSigner](s); ok {
		return ps.PresignPost(ctx, p)
	}
	return nil, &Error{Op: "presign post", Err: fmt.Errorf(
		"%w: this backend has no form uploads; presign a PUT with the headers it shall have", ErrUnsupported)}
}
