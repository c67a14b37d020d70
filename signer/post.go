package signer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// A Policy says what an HTML form may upload. It is signed; the form's holder can choose only what it leaves open.
//
// Names of fields are alike in any case of their letters. No name and no value may hold a control character or "${filename}",
// which only KeyPrefix stands for. What is wrong with a Policy is ErrRequest, all of it joined.
type Policy struct {
	// Bucket is the bucket to upload to; "" means the one in the backend's Config.
	Bucket string

	// Key is the exact name of the object, KeyPrefix the beginning of the names that the form may choose. One of the two is
	// required. With KeyPrefix the form's field key is the prefix and "${filename}", which the provider replaces with the
	// name of the file; the page may write another name behind the prefix.
	Key, KeyPrefix string

	// Expires is how long the form must work, as in Request; seven days at most.
	Expires time.Duration

	// MinBytes and MaxBytes bound the size of the file. MaxBytes is required; -1 means no limit.
	MinBytes, MaxBytes int64

	// ContentType is the exact type, ContentTypePrefix the beginning of the types that the form may choose: "image/". The page
	// then adds a field Content-Type itself. With neither the form can have no such field, and the provider gives the object a
	// type of its own choice.
	ContentType, ContentTypePrefix string

	// Fields are further fields with exact values: success_action_redirect, success_action_status, acl, Cache-Control,
	// x-amz-meta-uuid and so on. They come back in Form.Fields.
	Fields []Field

	// Conditions are further conditions. A field that they alone name is not in Form.Fields: the page adds it, with a value of
	// its choice.
	Conditions []Condition

	// AllowShorter accepts a form that dies before Expires, as in Request.
	AllowShorter bool
}

// A Condition is a condition of a policy on one field of the form.
type Condition struct {
	Field  string   // without the dollar sign
	Op     string   // "eq", "starts-with", and for OSS "in" and "not-in"
	Values []string // one, or a list for "in" and "not-in"; "starts-with" and "" take any value
}

// A Form is a signed form: the URL to post to, as multipart/form-data, and the fields to send before the file. It is a bearer
// secret like a Presigned, and works as often as one likes until it dies.
type Form struct {
	URL       string
	Fields    []Field // in the order to post; behind them come fields of the page's own, and last of all the field "file"
	ExpiresAt time.Time
	LimitedBy Limit
}

// String returns the URL and the expiry, without the fields: the policy and its signature are a bearer secret.
func (f Form) String() string {
	return "POST " + RedactURL(f.URL) + " until " + f.ExpiresAt.UTC().Format(time.RFC3339)
}

// Format prints String for every verb.
func (f Form) Format(s fmt.State, verb rune) { io.WriteString(s, f.String()) }

// LogValue is String.
func (f Form) LogValue() slog.Value { return slog.StringValue(f.String()) }

// MarshalJSON returns {"method","url","fields","expiresAt"} for the page that posts the form, with a list of {"name","value"}. It
// carries the signature: send it to the one who shall use it, do not log it.
func (f Form) MarshalJSON() ([]byte, error) {
	type field struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	fields := make([]field, len(f.Fields))
	for i, f := range f.Fields {
		fields[i] = field(f)
	}
	return json.Marshal(struct {
		Method    string    `json:"method"`
		URL       string    `json:"url"`
		Fields    []field   `json:"fields"`
		ExpiresAt time.Time `json:"expiresAt"`
	}{"POST", f.URL, fields, f.ExpiresAt.UTC()})
}

// A Field is a field of a form.
type Field struct{ Name, Value string }

// PresignPost signs a form upload with s, if its scheme has one; otherwise it returns ErrUnsupported, with what to do instead.
func PresignPost(ctx context.Context, s Signer, p Policy) (*Form, error) {
	if ps, ok := As[PostSigner](s); ok {
		return ps.PresignPost(ctx, p)
	}
	return nil, &Error{Op: "presign post", Err: fmt.Errorf("%w: this backend has no form uploads; presign a PUT with the headers it "+
		"shall have (for Azure a SAS that allows to create, for Cloud CDN a PUT to its bucket)", ErrUnsupported)}
}

// A Post is a form as it came in: the part in front of its file.
type Post struct {
	Bucket   string  // to which it was posted
	Fields   []Field // all of them, as they came
	FileName string  // of the file, for "${filename}"
}

// A PostVerifier verifies forms. s3, gcs and oss have it.
//
// VerifyPost checks the signature, the times, the key and its token as Verify does, and only then reads the policy: every
// condition must hold, every field must be covered by one (but policy, the signature, file and x-ignore-...), bucket and key
// too. Errors are *Error values that wrap what Verify's wrap, or ErrPolicy for a form that the policy does not allow; that
// names the condition, and the field in Error.Field.
type PostVerifier interface {
	VerifyPost(ctx context.Context, p Post) (*PostGrant, error)
}

// A PostGrant is what a verified form allows. Key has the name of the file in it, Header the fields of the form besides key
// and those of the signature, and without encryption keys.
type PostGrant struct {
	Grant
	MinBytes, MaxBytes int64 // of the file; MaxBytes is -1 for no limit
}

// Body returns a reader of the file that fails with ErrPolicy where it is longer than the policy allows, or ends before it is
// as long as it must be. Whoever acts on it before its end acts on a file that may be refused.
func (g *PostGrant) Body(file io.ReadCloser) io.ReadCloser {
	return &rangedBody{src: file, least: g.MinBytes, most: g.MaxBytes, backend: g.Backend}
}

// A rangedBody counts the bytes of a file.
type rangedBody struct {
	src               io.ReadCloser
	size, least, most int64
	backend           string
	err               error
}

func (b *rangedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.src.Read(p)
	b.size += int64(n)
	switch {
	case b.most >= 0 && b.size > b.most:
		n -= int(min(b.size-b.most, int64(n)))
		err = b.refusal("EntityTooLarge", "the file is longer than the %d bytes that are allowed", b.most)
	case err == io.EOF && b.size < b.least:
		err = b.refusal("EntityTooSmall", "the file has %d bytes, and at least %d are demanded", b.size, b.least)
	}
	b.err = err
	return n, err
}

func (b *rangedBody) refusal(code, format string, args ...any) error {
	return &Error{Backend: b.backend, Op: "verify post", Field: "file", Code: code,
		Err: fmt.Errorf("%w: "+format, append([]any{ErrPolicy}, args...)...)}
}

func (b *rangedBody) Close() error { return b.src.Close() }
