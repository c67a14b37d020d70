package signer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Limits bound what a restricted Signer signs.
type Limits struct {
	// MaxExpires is the longest life of a URL or form, Expires and Window together. It is required.
	MaxExpires time.Duration

	// Methods are those that a URL may be for, "POST" for forms. It is required. A scheme may not tell all methods apart (see
	// Presigned): GET and HEAD are one permission of Azure's.
	Methods []string

	// Buckets are those that may be named, "" for a Request that leaves Bucket empty and so means the Config's own; nil allows that alone.
	Buckets []string

	// KeyPrefixes are beginnings of the names that may be signed for; nil allows all, and the bucket itself, which GET lists.
	KeyPrefixes []string

	// Params are the names of Request.Query that may be there, as they are written; nil allows none. Some are operations of their own
	// (acl, policy, uploads), and x-oss-process can write to another bucket. Package signer/upload asks for uploads, uploadId, partNumber
	// and part-number-marker, at Azure for comp, blockid and blocklisttype.
	Params []string

	// Headers are those that PUT, POST and PATCH must have, and the values of which they must have one: {"Content-Type": {"image/png",
	// "image/jpeg"}}. No values at all allow every one. They must be enforced, not only sent. A form has fields for them. Others may be
	// there too, but those that give somebody else access (x-amz-acl and the like) only if they are named here.
	Headers http.Header

	// Audit, if it is there, is told of everything that is asked for, whether it is signed or not, before the caller is. It must not
	// be slow, and must be safe for concurrent use.
	Audit func(ctx context.Context, a Audit)
}

// An Audit is what was asked of a restricted Signer. It holds no secret: neither the URL nor a query, but the names of bucket and
// object, which some keep to themselves.
type Audit struct {
	Op, Method, Bucket, Key string    // "presign", or "presign post", whose Key may be a beginning; Bucket "" is the Config's own
	ExpiresAt               time.Time // zero if nothing was signed
	Err                     error     // why it was not signed; nil if it was
}

// LogValue is a group with what is there.
func (a Audit) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("op", a.Op), slog.String("method", a.Method), slog.String("bucket", a.Bucket), slog.String("key", a.Key)}
	if a.Err != nil {
		return slog.GroupValue(append(attrs, slog.String("error", a.Err.Error()))...)
	}
	return slog.GroupValue(append(attrs, slog.Time("expiresAt", a.ExpiresAt))...)
}

// Restrict returns a Signer that signs with s within limits, for code that shall not do all that s can. What is beyond them is
// ErrForbidden, and s is not asked.
//
// It does not unwrap to s: As finds PostSigner and ParallelSigner on it if s has them, and nothing else. There is no way to presign
// finished URLs or to sign requests, whose buckets and names only the backend reads. Headers that make a request read another object
// (x-amz-copy-source and the like) are refused, because they lead around Buckets and KeyPrefixes.
//
// It reports all that is wrong with l, joined: Limits that allow nothing, an empty list among them, or hold a name that is none are
// ErrRequest, and Headers that s can hold no upload to (Capabilities) ErrUnsupported.
func Restrict(s Signer, l Limits) (Signer, error) {
	if err := l.check(s); err != nil {
		return nil, err
	}
	l.Methods, l.KeyPrefixes, l.Params, l.Headers = slices.Clone(l.Methods), slices.Clone(l.KeyPrefixes), slices.Clone(l.Params), l.Headers.Clone()
	if l.Buckets = slices.Clone(l.Buckets); l.Buckets == nil {
		l.Buckets = []string{""}
	}
	r := restricted{signer: s, limits: l}
	if posts, ok := As[PostSigner](s); ok {
		return &restrictedPost{r, posts}, nil
	}
	return &r, nil
}

// check reports what is wrong with limits for s.
func (l *Limits) check(s Signer) error {
	var errs []error
	bad := func(sentinel error, field, format string, args ...any) {
		errs = append(errs, &Error{Op: "restrict", Field: field, Err: fmt.Errorf("%w: "+format, append([]any{sentinel}, args...)...)})
	}
	if s == nil {
		bad(ErrRequest, "Signer", "it is nil")
	}
	if l.MaxExpires <= 0 {
		bad(ErrRequest, "MaxExpires", "it is required; a URL works for at least a second")
	}
	if len(l.Methods) == 0 {
		bad(ErrRequest, "Methods", "there are none; name those that may be signed")
	}
	for _, m := range l.Methods {
		if m == "" || m != strings.ToUpper(m) {
			bad(ErrRequest, "Methods", "%q: a method is written in capitals, like GET", m)
		}
	}
	if l.Buckets != nil && len(l.Buckets) == 0 {
		bad(ErrRequest, "Buckets", `the list is empty, which allows no bucket at all; leave it nil for the Config's own, or name some ("" is the Config's own)`)
	}
	if l.KeyPrefixes != nil && len(l.KeyPrefixes) == 0 {
		bad(ErrRequest, "KeyPrefixes", "the list is empty, which allows no name at all; leave it nil to allow all")
	}
	if slices.Contains(l.KeyPrefixes, "") {
		bad(ErrRequest, "KeyPrefixes", `"" is the beginning of every name; leave KeyPrefixes nil to allow all`)
	}
	for _, name := range slices.Sorted(maps.Keys(l.Headers)) {
		if name == "" || strings.ContainsAny(name, " \t\r\n:") {
			bad(ErrRequest, "Headers", "%q is no header name", name)
		}
		if s != nil && !enforces(s, l.Methods, name) {
			bad(ErrUnsupported, "Headers", "%s: this Signer can hold no upload to it, so that it could sign none; leave it out, or take a Signer whose Capabilities have it", name)
		}
	}
	return errors.Join(errs...)
}

// enforces reports whether an upload can be held to a header, as far as s tells.
func enforces(s Signer, methods []string, name string) bool {
	capable, ok := As[Capable](s)
	if !ok || !slices.Contains(methods, http.MethodPut) {
		return true
	}
	c := capable.Capabilities()
	switch strings.ToLower(name) {
	case "content-type":
		return c.ContentType
	case "content-length":
		return c.ContentLength
	case "content-md5":
		return c.Checksum
	}
	return true
}

// restricted is a Signer within limits.
type restricted struct {
	signer Signer
	limits Limits
}

// restrictedPost is one that signs forms too.
type restrictedPost struct {
	restricted
	posts PostSigner
}

// Presign implements Signer.
func (s *restricted) Presign(ctx context.Context, r Request) (*Presigned, error) {
	p, err := s.presign(ctx, r)
	a := Audit{Op: "presign", Method: cmp.Or(r.Method, http.MethodGet), Bucket: r.Bucket, Key: r.Key, Err: RedactError(err)}
	if p != nil {
		a.ExpiresAt = p.ExpiresAt
	}
	s.audit(ctx, a)
	return p, err
}

func (s *restricted) presign(ctx context.Context, r Request) (*Presigned, error) {
	r.Query, r.Header = url.Values(http.Header(r.Query).Clone()), r.Header.Clone() // what is looked at is what is signed
	f := forbidden("presign")
	method := cmp.Or(r.Method, http.MethodGet)
	f.method(&s.limits, method)
	f.place(&s.limits, r.Bucket, r.Key)
	f.life(&s.limits, r.Expires, r.Window)
	for name := range r.Query {
		if !slices.Contains(s.limits.Params, name) {
			f.add("Query", "%q is not among the parameters that may be asked for", name)
		}
	}
	for name := range r.Header {
		if copySource(name) {
			f.add("Header", "%s would read another object", name)
		}
		if grants(name) && !has(s.limits.Headers, name) {
			f.add("Header", "%s would give others access, and is not among the headers that are named", name)
		}
	}
	for name, allowed := range s.limits.Headers {
		if method != http.MethodPut && method != http.MethodPost && method != http.MethodPatch {
			break
		}
		var values []string
		for n, v := range r.Header {
			if strings.EqualFold(n, name) {
				values = append(values, v...)
			}
		}
		if len(values) != 1 || len(allowed) > 0 && !slices.Contains(allowed, values[0]) {
			f.add("Header", "%s must be there once, %s", name, oneOf(allowed))
		}
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	p, err := s.signer.Presign(ctx, r)
	if err != nil {
		return nil, err
	}
	for _, loose := range p.NotEnforced {
		if name, ok := strings.CutPrefix(loose, "Header."); ok && has(s.limits.Headers, name) {
			f.add("Header", "%s must be enforced, and this scheme cannot; BestEffort does not help", name)
		}
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	return p, nil
}

// PresignPost implements PostSigner.
func (s *restrictedPost) PresignPost(ctx context.Context, p Policy) (*Form, error) {
	form, err := s.presignPost(ctx, p)
	a := Audit{Op: "presign post", Method: http.MethodPost, Bucket: p.Bucket, Key: p.Key + p.KeyPrefix, Err: RedactError(err)}
	if form != nil {
		a.ExpiresAt = form.ExpiresAt
	}
	s.audit(ctx, a)
	return form, err
}

func (s *restrictedPost) presignPost(ctx context.Context, p Policy) (*Form, error) {
	p.Fields, p.Conditions = slices.Clone(p.Fields), slices.Clone(p.Conditions)
	f := forbidden("presign post")
	f.method(&s.limits, http.MethodPost)
	f.place(&s.limits, p.Bucket, p.Key+p.KeyPrefix)
	f.life(&s.limits, p.Expires, 0)
	for _, name := range fieldNames(&p) {
		if grants(name) && !has(s.limits.Headers, name) {
			f.add("Fields", "%s would give others access, and is not among the headers that are named", name)
		}
	}
	for name, allowed := range s.limits.Headers {
		values := []string{}
		if p.ContentType != "" && strings.EqualFold(name, "Content-Type") {
			values = append(values, p.ContentType)
		}
		for _, field := range p.Fields {
			if strings.EqualFold(field.Name, name) {
				values = append(values, field.Value)
			}
		}
		if len(values) != 1 || len(allowed) > 0 && !slices.Contains(allowed, values[0]) {
			f.add("Fields", "%s must be there once, with a value that the form's holder cannot choose, %s", name, oneOf(allowed))
		}
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	return s.posts.PresignPost(ctx, p)
}

// Parallel implements ParallelSigner.
func (s *restricted) Parallel() int {
	if p, ok := As[ParallelSigner](s.signer); ok {
		return p.Parallel()
	}
	return 1
}

func (s *restricted) audit(ctx context.Context, a Audit) {
	if s.limits.Audit != nil {
		s.limits.Audit(ctx, a)
	}
}

// refusals collects what is beyond the limits.
type refusals struct {
	op   string
	errs []error
}

func forbidden(op string) *refusals { return &refusals{op: op} }

func (f *refusals) add(field, format string, args ...any) {
	f.errs = append(f.errs, &Error{Op: f.op, Field: field, Err: fmt.Errorf("%w: "+format, append([]any{ErrForbidden}, args...)...)})
}

func (f *refusals) err() error { return errors.Join(f.errs...) }

func (f *refusals) method(l *Limits, method string) {
	if !slices.Contains(l.Methods, method) {
		f.add("Method", "%q is not among %s", method, strings.Join(l.Methods, ", "))
	}
}

// place holds bucket and key, or the beginning of keys, to the limits.
func (f *refusals) place(l *Limits, bucket, key string) {
	if !slices.Contains(l.Buckets, bucket) {
		f.add("Bucket", "%q is not among those that may be signed for", bucket)
	}
	if l.KeyPrefixes != nil && !slices.ContainsFunc(l.KeyPrefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
		f.add("Key", "%q begins with none of the names that may be signed for", key)
	}
}

func (f *refusals) life(l *Limits, expires, window time.Duration) {
	if window < 0 || expires > l.MaxExpires-window {
		f.add("Expires", "%v, and a Window of %v, are over the %v that a URL may live", expires, window, l.MaxExpires)
	}
}

// copySource reports whether a header names an object that a request reads.
func copySource(name string) bool {
	low := strings.ToLower(name)
	return strings.HasSuffix(low, "-copy-source") || strings.HasSuffix(low, "-rename-source") || low == "x-oss-symlink-target"
}

// grants reports whether a header, or a field of a form, gives access to an object to others.
func grants(name string) bool {
	low := strings.ToLower(name)
	return low == "acl" || strings.HasSuffix(low, "-acl") || strings.Contains(low, "-grant-") || low == "x-ms-blob-public-access"
}

// fieldNames are those of the fields that a form has, or may have.
func fieldNames(p *Policy) (names []string) {
	for _, field := range p.Fields {
		names = append(names, field.Name)
	}
	for _, condition := range p.Conditions {
		names = append(names, strings.TrimPrefix(condition.Field, "$"))
	}
	return names
}

func oneOf(values []string) string {
	if len(values) == 0 {
		return "with any value"
	}
	return "with one of these values: " + strings.Join(values, ", ")
}

func has(h http.Header, name string) bool {
	for n := range h {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}
