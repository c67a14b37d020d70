package signer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// uploads are limits for a service that takes pictures.
func uploads() signer.Limits {
	return signer.Limits{
		MaxExpires:  time.Hour,
		Methods:     []string{"GET", "PUT", "POST"},
		KeyPrefixes: []string{"uploads/", "public/"},
		Headers:     http.Header{"Content-Type": {"image/png", "image/jpeg"}},
	}
}

func restrict(t *testing.T, s signer.Signer, l signer.Limits) signer.Signer {
	t.Helper()
	r, err := signer.Restrict(s, l)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRestrictAllows(t *testing.T) {
	for name, s := range fiveSigners(t) {
		if name == "azure" || name == "cdn" { // which sign no headers: see TestRestrictEnforces
			continue
		}
		r := restrict(t, s, uploads())
		for _, ask := range []signer.Request{
			{Key: "uploads/a.png", Expires: time.Hour},
			{Method: "GET", Key: "public/", Expires: 30 * time.Minute, Window: 15 * time.Minute},
			{Method: "PUT", Key: "uploads/a.png", Expires: time.Minute, Header: http.Header{"content-type": {"image/png"}, "X-Other": {"1"}}},
		} {
			want, err := s.Presign(t.Context(), ask)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.Presign(t.Context(), ask); err != nil || got.Method != want.Method || !got.ExpiresAt.Equal(want.ExpiresAt) {
				t.Errorf("%s %s: %v, %v", name, ask.Key, got, err)
			}
		}
		form, err := signer.PresignPost(t.Context(), r, signer.Policy{KeyPrefix: "uploads/7/", MaxBytes: 1, ContentType: "image/png", Expires: time.Minute})
		if err != nil || len(form.Fields) == 0 {
			t.Errorf("%s: %v, %v", name, form, err)
		}
	}
}

// Whatever is beyond one of the limits, in any disguise, is refused with its name, and the signer behind is not asked.
func TestRestrictRefuses(t *testing.T) {
	asked := 0
	s := signerFunc(func(context.Context, signer.Request) (*signer.Presigned, error) {
		asked++
		return new(signer.Presigned), nil
	})
	png := http.Header{"Content-Type": {"image/png"}}
	for _, tt := range []struct {
		what, field string
		limit       func(*signer.Limits)
		ask         signer.Request
	}{
		{"too long", "Expires", nil, signer.Request{Key: "uploads/a", Expires: time.Hour + 1}},
		{"too long by its window", "Expires", nil, signer.Request{Key: "uploads/a", Expires: time.Hour, Window: time.Second}},
		{"a window that makes it shorter", "Expires", nil, signer.Request{Key: "uploads/a", Expires: 2 * time.Hour, Window: -2 * time.Hour}},
		{"an overflow", "Expires", nil, signer.Request{Key: "uploads/a", Expires: 1<<63 - 1, Window: 1<<63 - 1}},
		{"another method", "Method", nil, signer.Request{Method: "DELETE", Key: "uploads/a", Expires: 1}},
		{"a method in small letters", "Method", nil, signer.Request{Method: "get", Key: "uploads/a", Expires: 1}},
		{"HEAD, which is no GET", "Method", nil, signer.Request{Method: "HEAD", Key: "uploads/a", Expires: 1}},
		{"the default method", "Method", func(l *signer.Limits) { l.Methods = []string{"PUT"} }, signer.Request{Key: "uploads/a", Expires: 1}},
		{"another bucket", "Bucket", nil, signer.Request{Bucket: "payroll", Key: "uploads/a", Expires: 1}},
		{"the Config's bucket where others are named", "Bucket", func(l *signer.Limits) { l.Buckets = []string{"photos"} }, signer.Request{Key: "uploads/a", Expires: 1}},
		{"another key", "Key", nil, signer.Request{Key: "secret/a", Expires: 1}},
		{"a key that holds the name", "Key", nil, signer.Request{Key: "/uploads/a", Expires: 1}},
		{"a key in other letters", "Key", nil, signer.Request{Key: "Uploads/a", Expires: 1}},
		{"the bucket itself", "Key", nil, signer.Request{Expires: 1}},
		{"a part of the name", "Key", nil, signer.Request{Key: "uploads", Expires: 1}},
		{"a parameter", "Query", nil, signer.Request{Key: "uploads/a", Expires: 1, Query: url.Values{"acl": {""}}}},
		{"a parameter in other letters", "Query", func(l *signer.Limits) { l.Params = []string{"versionId"} }, signer.Request{Key: "uploads/a", Expires: 1, Query: url.Values{"versionid": {"1"}}}},
		{"a copy of what may not be read", "Header", nil, signer.Request{Method: "PUT", Key: "uploads/a", Expires: 1,
			Header: http.Header{"Content-Type": {"image/png"}, "X-Amz-Copy-Source": {"/payroll/x"}}}},
		{"a copy in small letters", "Header", func(l *signer.Limits) { l.KeyPrefixes = nil }, signer.Request{Method: "PUT", Key: "uploads/a", Expires: 1,
			Header: http.Header{"Content-Type": {"image/png"}, "x-ms-copy-source": {"https://x"}}}},
		{"access for all", "Header", nil, signer.Request{Method: "PUT", Key: "uploads/a", Expires: 1,
			Header: http.Header{"Content-Type": {"image/png"}, "X-Amz-Acl": {"public-read"}}}},
		{"access for one, in small letters", "Header", nil, signer.Request{Method: "PUT", Key: "uploads/a", Expires: 1,
			Header: http.Header{"Content-Type": {"image/png"}, "x-amz-grant-full-control": {"id=x"}}}},
		{"other access than is named", "Header", func(l *signer.Limits) { l.Headers = http.Header{"x-oss-object-acl": {"private"}} },
			signer.Request{Method: "PUT", Key: "uploads/a", Expires: 1, Header: http.Header{"X-Oss-Object-Acl": {"public-read"}}}},
		{"a move", "Header", nil, signer.Request{Method: "PUT", Key: "uploads/a", Expires: 1,
			Header: http.Header{"Content-Type": {"image/png"}, "X-Ms-Rename-Source": {"/photos/secret/a"}}}},
		{"a link", "Header", nil, signer.Request{Method: "PUT", Key: "uploads/a", Expires: 1, Header: http.Header{"Content-Type": {"image/png"}, "X-Oss-Symlink-Target": {"secret/a"}}}},
		{"no type", "Header", nil, signer.Request{Method: "PUT", Key: "uploads/a", Expires: 1}},
		{"another type", "Header", nil, signer.Request{Method: "PUT", Key: "uploads/a", Expires: 1, Header: http.Header{"Content-Type": {"text/html"}}}},
		{"a second type", "Header", nil, signer.Request{Method: "PUT", Key: "uploads/a", Expires: 1, Header: http.Header{"Content-Type": {"image/png", "text/html"}}}},
		{"a second type in small letters", "Header", nil, signer.Request{Method: "PUT", Key: "uploads/a", Expires: 1, Header: http.Header{"Content-Type": {"image/png"}, "content-type": {"text/html"}}}},
		{"a type with more behind it", "Header", nil, signer.Request{Method: "PUT", Key: "uploads/a", Expires: 1, Header: http.Header{"Content-Type": {"image/png;text/html"}}}},
	} {
		var audits []signer.Audit
		l := uploads()
		l.Audit = func(_ context.Context, a signer.Audit) { audits = append(audits, a) }
		if tt.limit != nil {
			tt.limit(&l)
		}
		p, err := restrict(t, s, l).Presign(t.Context(), tt.ask)
		var e *signer.Error
		if p != nil || !errors.Is(err, signer.ErrForbidden) || !errors.As(err, &e) || e.Field != tt.field {
			t.Errorf("%s: %v, %v", tt.what, p, err)
		}
		if asked > 0 {
			t.Errorf("%s: the signer was asked", tt.what)
			asked = 0
		}
		if len(audits) != 1 || audits[0].Err == nil || audits[0].Key != tt.ask.Key {
			t.Errorf("%s: the audit is %+v", tt.what, audits)
		}
	}
	if _, err := restrict(t, s, uploads()).Presign(t.Context(), signer.Request{Method: "PUT", Key: "uploads/a", Expires: 1, Header: png}); err != nil || asked != 1 {
		t.Errorf("what all of these leave: %v, asked %d times", err, asked)
	}
	// All that is wrong is said at once.
	_, err := restrict(t, s, uploads()).Presign(t.Context(), signer.Request{Method: "DELETE", Bucket: "b", Key: "k", Expires: 2 * time.Hour})
	for _, field := range []string{"Method", "Bucket", "Key", "Expires"} {
		if !strings.Contains(fmt.Sprint(err), "presign: "+field+": not allowed") {
			t.Errorf("%s is not told: %v", field, err)
		}
	}
}

func TestRestrictRefusesForms(t *testing.T) {
	asked := 0
	s := postFunc{signerFunc(nil), func(context.Context, signer.Policy) (*signer.Form, error) {
		asked++
		return new(signer.Form), nil
	}}
	good := signer.Policy{KeyPrefix: "uploads/", MaxBytes: 1, ContentType: "image/png", Expires: time.Minute}
	for what, change := range map[string]func(*signer.Policy, *signer.Limits){
		"Expires":  func(p *signer.Policy, _ *signer.Limits) { p.Expires = time.Hour + 1 },
		"Bucket":   func(p *signer.Policy, _ *signer.Limits) { p.Bucket = "payroll" },
		"Key":      func(p *signer.Policy, _ *signer.Limits) { p.KeyPrefix = "" },
		"Key ":     func(p *signer.Policy, _ *signer.Limits) { p.KeyPrefix, p.Key = "", "secret/a" },
		"Key  ":    func(p *signer.Policy, _ *signer.Limits) { p.KeyPrefix, p.Key = "uploads/", "secret/" },
		"Method":   func(_ *signer.Policy, l *signer.Limits) { l.Methods = []string{"PUT"} },
		"Fields":   func(p *signer.Policy, _ *signer.Limits) { p.ContentType = "" },
		"Fields ":  func(p *signer.Policy, _ *signer.Limits) { p.ContentType, p.ContentTypePrefix = "", "image/" },
		"Fields  ": func(p *signer.Policy, _ *signer.Limits) { p.ContentType = "text/html" },
		"Fields   ": func(p *signer.Policy, _ *signer.Limits) {
			p.Fields = []signer.Field{{Name: "acl", Value: "public-read"}}
		},
		"Fields    ": func(p *signer.Policy, _ *signer.Limits) {
			p.Conditions = []signer.Condition{{Field: "X-Amz-Grant-Read", Op: "starts-with", Values: []string{""}}}
		},
	} {
		p, l := good, uploads()
		change(&p, &l)
		form, err := signer.PresignPost(t.Context(), restrict(t, s, l), p)
		var e *signer.Error
		if form != nil || !errors.Is(err, signer.ErrForbidden) || !errors.As(err, &e) || e.Field != strings.TrimSpace(what) || asked > 0 {
			t.Errorf("%s: %v, %v, asked %d times", what, form, err, asked)
		}
	}
	if _, err := signer.PresignPost(t.Context(), restrict(t, s, uploads()), good); err != nil || asked != 1 {
		t.Errorf("%v, asked %d times", err, asked)
	}
}

// What must be enforced is not satisfied by being sent.
func TestRestrictEnforces(t *testing.T) {
	signers := fiveSigners(t)
	for _, name := range []string{"azure"} {
		r := restrict(t, signerFunc(signers[name].Presign), uploads()) // one that does not tell what it can
		ask := signer.Request{Method: "PUT", Key: "uploads/a", Expires: time.Minute, Header: http.Header{"Content-Type": {"image/png"}}}
		if _, err := r.Presign(t.Context(), ask); !errors.Is(err, signer.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
		ask.BestEffort = true
		if p, err := r.Presign(t.Context(), ask); p != nil || !errors.Is(err, signer.ErrForbidden) {
			t.Errorf("%s, with BestEffort: %v, %v", name, p, err)
		}
	}
}

// Nothing of the signer behind can be reached but what is restricted.
func TestRestrictHides(t *testing.T) {
	for name, s := range fiveSigners(t) {
		l := uploads()
		if c, _ := signer.As[signer.Capable](s); !c.Capabilities().ContentType {
			l.Headers = nil
		}
		r := restrict(t, wrapped{s}, l)
		if _, ok := signer.As[signer.RequestPresigner](r); ok {
			t.Errorf("%s: finished URLs can be presigned", name)
		}
		if _, ok := signer.As[signer.RequestSigner](r); ok {
			t.Errorf("%s: requests can be signed", name)
		}
		if _, ok := signer.As[*s3.Signer](r); ok {
			t.Errorf("%s: the signer can be had", name)
		}
		if _, ok := r.(interface{ Unwrap() signer.Signer }); ok {
			t.Errorf("%s: it unwraps", name)
		}
		_, has := signer.As[signer.PostSigner](s)
		if _, ok := signer.As[signer.PostSigner](r); ok != has {
			t.Errorf("%s: forms: %v, and %v behind", name, ok, has)
		}
		p, has := signer.As[signer.ParallelSigner](s)
		if got, ok := signer.As[signer.ParallelSigner](r); !ok || has && got.Parallel() != p.Parallel() {
			t.Errorf("%s: not as many at once as it could", name)
		}
		// A restricted one can be restricted further, and not back.
		again := restrict(t, r, signer.Limits{MaxExpires: 24 * time.Hour, Methods: []string{"GET", "DELETE"}})
		if _, err := again.Presign(t.Context(), signer.Request{Method: "DELETE", Key: "uploads/a", Expires: time.Minute}); !errors.Is(err, signer.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The limits are those of the call, whatever becomes of what was passed.
func TestRestrictOwnsLimits(t *testing.T) {
	l := uploads()
	l.Params, l.Buckets = []string{"versionId"}, []string{""}
	r := restrict(t, signerFunc(func(context.Context, signer.Request) (*signer.Presigned, error) { return new(signer.Presigned), nil }), l)
	l.Methods[0], l.KeyPrefixes[0], l.Params[0], l.Buckets[0] = "DELETE", "", "acl", "payroll"
	l.Headers["Content-Type"][0] = "text/html"
	for _, ask := range []signer.Request{
		{Method: "DELETE", Key: "uploads/a"}, {Key: "x"}, {Key: "uploads/a", Query: url.Values{"acl": {""}}}, {Bucket: "payroll", Key: "uploads/a"},
		{Method: "PUT", Key: "uploads/a", Header: http.Header{"Content-Type": {"text/html"}}},
	} {
		ask.Expires = 1
		if _, err := r.Presign(t.Context(), ask); !errors.Is(err, signer.ErrForbidden) {
			t.Errorf("%+v: %v", ask, err)
		}
	}
}

func TestRestrictErrors(t *testing.T) {
	s := signerFunc(nil)
	for field, l := range map[string]signer.Limits{
		"MaxExpires": {Methods: []string{"GET"}}, "Methods": {MaxExpires: 1}, "Methods ": {MaxExpires: 1, Methods: []string{"get"}}, "Methods  ": {MaxExpires: 1, Methods: []string{""}},
		"Buckets":      {MaxExpires: 1, Methods: []string{"GET"}, Buckets: []string{}},
		"KeyPrefixes":  {MaxExpires: 1, Methods: []string{"GET"}, KeyPrefixes: []string{}},
		"KeyPrefixes ": {MaxExpires: 1, Methods: []string{"GET"}, KeyPrefixes: []string{"a/", ""}},
		"Headers":      {MaxExpires: 1, Methods: []string{"GET"}, Headers: http.Header{"Content Type": nil}},
		"Headers ":     {MaxExpires: 1, Methods: []string{"GET"}, Headers: http.Header{"": nil}},
	} {
		_, err := signer.Restrict(s, l)
		var e *signer.Error
		if !errors.Is(err, signer.ErrRequest) || !errors.As(err, &e) || e.Field != strings.TrimSpace(field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := signer.Restrict(nil, uploads()); !errors.Is(err, signer.ErrRequest) {
		t.Error(err)
	}
	_, err := signer.Restrict(nil, signer.Limits{KeyPrefixes: []string{}})
	for _, field := range []string{"Signer", "MaxExpires", "Methods", "KeyPrefixes"} {
		if err == nil || !strings.Contains(err.Error(), "restrict: "+field+":") {
			t.Errorf("%s is not in %v", field, err)
		}
	}
}

// A header that a scheme can hold no upload to would only let every upload fail, so that it is refused at once.
func TestRestrictUnenforceable(t *testing.T) {
	for name, s := range fiveSigners(t) {
		capable, _ := signer.As[signer.Capable](s)
		c := capable.Capabilities()
		for header, can := range map[string]bool{"Content-Type": c.ContentType, "content-length": c.ContentLength, "Content-MD5": c.Checksum, "X-Other": true} {
			l := signer.Limits{MaxExpires: time.Hour, Methods: []string{"GET", "PUT"}, Headers: http.Header{header: nil}}
			if _, err := signer.Restrict(s, l); (err == nil) != can || err != nil && !errors.Is(err, signer.ErrUnsupported) {
				t.Errorf("%s, %s: %v", name, header, err)
			}
			if l.Methods = []string{"GET"}; err(signer.Restrict(s, l)) != nil {
				t.Errorf("%s, %s: it matters to no GET", name, header)
			}
		}
	}
}

func err(_ signer.Signer, err error) error { return err }

// The audit holds what was asked and what came of it, and neither a URL nor a secret.
func TestAudit(t *testing.T) {
	for name, s := range fiveSigners(t) {
		var out bytes.Buffer
		log := slog.New(slog.NewJSONHandler(&out, nil))
		l := signer.Limits{MaxExpires: time.Hour, Methods: []string{"GET"}, Audit: func(ctx context.Context, a signer.Audit) { log.InfoContext(ctx, "signed", "audit", a) }}
		p, err := restrict(t, s, l).Presign(t.Context(), signer.Request{Key: "cat.jpg", Expires: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if got := out.String(); !strings.Contains(got, `"audit":{"op":"presign","method":"GET","bucket":"","key":"cat.jpg","expiresAt":"`+p.ExpiresAt.Format(time.RFC3339)+`"}`) ||
			strings.Contains(got, "?") || strings.Contains(got, "http") {
			t.Errorf("%s: %s", name, got)
		}
		out.Reset()
		if _, err := restrict(t, s, l).Presign(t.Context(), signer.Request{Method: "PUT", Key: "cat.jpg", Expires: time.Minute}); err == nil || !strings.Contains(out.String(), `"error":"presign: Method: not allowed`) {
			t.Errorf("%s: %v, %s", name, err, &out)
		}
	}
}

// A service that lets users upload pictures below their own prefix signs with no more than that.
func ExampleRestrict() {
	creds := s3.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretKey: signer.NewSecret([]byte("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))}
	s, err := s3.New(s3.Config{Region: "eu-west-1", Bucket: "photos", Credentials: creds})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := signer.Restrict(s, signer.Limits{
		MaxExpires:  15 * time.Minute,
		Methods:     []string{"PUT"},
		KeyPrefixes: []string{"users/7/"},
		Headers:     http.Header{"Content-Type": {"image/jpeg", "image/png"}},
		Audit:       func(_ context.Context, a signer.Audit) { fmt.Println("audit:", a.Method, a.Key, a.Err == nil) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = r.Presign(context.Background(), signer.Request{Method: "PUT", Key: "users/8/cat.jpg", Expires: time.Minute, Header: http.Header{"Content-Type": {"image/jpeg"}}})
	fmt.Println(err)
	// Output:
	// audit: PUT users/8/cat.jpg false
	// presign: Key: not allowed: "users/8/cat.jpg" begins with none of the names that may be signed for
}

type signerFunc func(context.Context, signer.Request) (*signer.Presigned, error)

func (f signerFunc) Presign(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
	return f(ctx, r)
}

type postFunc struct {
	signer.Signer
	post func(context.Context, signer.Policy) (*signer.Form, error)
}

func (f postFunc) PresignPost(ctx context.Context, p signer.Policy) (*signer.Form, error) {
	return f.post(ctx, p)
}

type wrapped struct{ signer.Signer }

func (w wrapped) Unwrap() signer.Signer { return w.Signer }

// A fickle context changes what was asked for, when it is asked itself: after it was looked at, and before it is signed.
type fickle struct {
	context.Context
	change func()
}

func (c fickle) Err() error {
	c.change()
	return c.Context.Err()
}

func TestRestrictSignsWhatItSaw(t *testing.T) {
	var header, query any
	s := postFunc{signerFunc(func(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		header, query = r.Header, r.Query
		return new(signer.Presigned), nil
	}), func(ctx context.Context, p signer.Policy) (*signer.Form, error) {
		return &signer.Form{Fields: p.Fields}, ctx.Err()
	}}
	l := uploads()
	l.Params = []string{"partNumber"}
	r := restrict(t, s, l)
	ask := signer.Request{Method: "PUT", Key: "uploads/a", Expires: time.Minute, Header: http.Header{"Content-Type": {"image/png"}}, Query: url.Values{"partNumber": {"1"}}}
	wantHeader, wantQuery := ask.Header.Clone(), url.Values{"partNumber": {"1"}}
	if _, err := r.Presign(fickle{t.Context(), func() {
		ask.Header["Content-Type"][0] = "text/html"
		ask.Header.Set("X-Amz-Copy-Source", "/payroll/x")
		ask.Query.Set("acl", "")
	}}, ask); err != nil || !reflect.DeepEqual(header, wantHeader) || !reflect.DeepEqual(query, wantQuery) {
		t.Errorf("signed %v and %v, %v", header, query, err)
	}
	policy := signer.Policy{Key: "uploads/a", MaxBytes: 1, Expires: time.Minute, Fields: []signer.Field{{Name: "Content-Type", Value: "image/png"}}}
	form, err := signer.PresignPost(fickle{t.Context(), func() { policy.Fields[0].Value = "text/html" }}, r, policy)
	if err != nil || form.Fields[0].Value != "image/png" {
		t.Errorf("signed %v, %v", form, err)
	}
}
