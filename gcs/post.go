package gcs

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/policy"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is uploads by an HTML form. What is signed is a policy, which says what the form may hold: the key signs its base64.
//
// https://docs.cloud.google.com/storage/docs/xml-api/post-object-forms
// https://docs.cloud.google.com/storage/docs/authentication/signatures#policy-document

var (
	_ signer.PostSigner   = (*Signer)(nil)
	_ signer.PostVerifier = (*Verifier)(nil)
)

// The fields of a signature.
const (
	fieldAlgorithm  = "x-goog-algorithm"
	fieldCredential = "x-goog-credential"
	fieldDate       = "x-goog-date"
	fieldSignature  = "x-goog-signature"
)

// dialect is how Cloud Storage has policies.
func dialect() *policy.Dialect {
	return &policy.Dialect{
		Signature:   fieldSignature,
		ContentType: "content-type",
		Layout:      "2006-01-02T15:04:05Z",

		CodeMalformed: "InvalidPolicyDocument",
		CodeExpired:   "ExpiredToken",
		CodeUnmet:     "InvalidPolicyDocument",
	}
}

// PresignPost signs a form for uploads from a browser. See signer.Policy for what can be asked.
//
// The form works for at most seven days (ErrLifetime), as long as a signed URL, and with a remote key no longer than Google is
// sure to know the key (ErrCredentials; AllowShorter ends the form there).
func (s *Signer) PresignPost(ctx context.Context, p signer.Policy) (*signer.Form, error) {
	op := pipeline.Op{Backend: "gcs", Name: "presign post"}
	d := dialect()
	t, err := s.postTarget(op, p.Bucket)
	if err := errors.Join(d.Check(op, &p), err); err != nil {
		return nil, err
	}
	w := sigv4.TakeScratch(&s.scratch)
	defer w.Release(&s.scratch)
	if err := s.plan(op, w, &pipeline.Ask{Expires: p.Expires, AllowShorter: p.AllowShorter}); err != nil {
		return nil, err
	}
	auth := s.auth(w)
	fields, err := d.Compose(op, &p, t.bucket, pipeline.Time(w.Plan.End), []signer.Field{
		{Name: fieldDate, Value: string(auth.stamp[:])},
		{Name: fieldCredential, Value: auth.id + "/" + string(auth.scope.Append(nil, "/", terminator))},
		{Name: fieldAlgorithm, Value: string(auth.algorithm)},
	})
	if err != nil {
		return nil, err
	}
	toSign := fields[len(fields)-1].Value // the policy
	signature, err := s.appendSignature(ctx, op, nil, &auth.scope, []byte(toSign))
	if err != nil {
		return nil, err
	}
	url, _, _ := t.appendURL(nil, "")
	return &signer.Form{
		URL:       strings.TrimSuffix(string(url), "/") + "/",
		Fields:    append(fields, signer.Field{Name: fieldSignature, Value: string(signature)}),
		ExpiresAt: pipeline.Time(w.Plan.End),
		LimitedBy: w.Plan.LimitedBy,
	}, nil
}

// postTarget finds where to post to. The policy names the bucket, also where the host is the bucket.
func (s *Signer) postTarget(op pipeline.Op, bucket string) (*target, error) {
	own := s.endpoint.addressing == signer.AddressingBucketHost
	switch {
	case bucket == "":
		bucket = s.bucket
	case own && s.bucket != "" && bucket != s.bucket:
		return nil, op.Errorf(signer.ErrRequest, "Bucket", "with AddressingBucketHost the endpoint's host is the bucket %q; leave it empty", s.bucket)
	}
	if bucket == "" && own {
		return nil, op.Errorf(signer.ErrRequest, "Bucket", "the policy names the bucket, which its host does not tell; set it here or in the Config")
	}
	t, err := s.endpoint.target(op, bucket)
	return &t, err
}

// scopeOfPolicy finds the scope for which the key of an HMAC is derived in a policy.
func scopeOfPolicy(encoded []byte) (scope sigv4.Scope, ok bool) {
	var doc struct{ Conditions []json.RawMessage }
	text, err := base64.StdEncoding.DecodeString(string(encoded))
	if err != nil || json.Unmarshal(text, &doc) != nil {
		return scope, false
	}
	for _, raw := range slices.Backward(doc.Conditions) { // it stands near the end
		var exact map[string]string
		if json.Unmarshal(raw, &exact) == nil && exact[fieldCredential] != "" {
			_, text, _ := strings.Cut(exact[fieldCredential], "/")
			return parseScope(text)
		}
	}
	return scope, false
}

// VerifyPost checks a form. See signer.PostVerifier for its contract.
//
// A form may be used from Leeway before its x-goog-date until its policy ends.
func (v *Verifier) VerifyPost(ctx context.Context, p signer.Post) (*signer.PostGrant, error) {
	f := faults{pipeline.Faults{Op: pipeline.Op{Backend: "gcs", Name: "verify post"}, Code: "InvalidArgument"}}
	now := v.clock.Now()
	fields, err := policy.FieldsOf(p.Fields)
	if err != nil {
		return nil, f.Op.Refusal(signer.ErrMalformed, "Fields", f.Code, "%w", err)
	}
	c, err := f.form(fields)
	if err != nil {
		return nil, err
	}
	if c.scope.Region != "" && v.location != "" && c.scope.Region != v.location {
		f.Add(signer.ErrScope, fieldCredential, "the location %s is wrong; expecting %q", pipeline.Shown(c.scope.Region), v.location)
	}
	v.checkTimes(&f, &c, now)
	if err := f.Err(); err != nil {
		return nil, err
	}
	verify, err := v.verifier(ctx, f.Op, &c)
	if err != nil {
		return nil, err
	}
	toSign := []byte(fields["policy"])
	if !verify(toSign) {
		return nil, f.Op.Refusal(signer.ErrMismatch, fieldSignature, "SignatureDoesNotMatch", "the policy is not the one that was signed, or was signed with another key")
	}
	g, err := dialect().Grant(f.Op, now, &p, fields)
	if err != nil {
		return nil, err
	}
	g.Scheme, g.KeyID = string(c.algorithm), c.id
	g.SignedAt, g.NotBefore = c.date, c.date
	g.Fingerprint = pipeline.Fingerprint(append(toSign, c.signature...))
	return g, nil
}

// form reads the fields of a signature.
func (f *faults) form(fields policy.Fields) (c claim, err error) {
	if fields["policy"] == "" && fields[fieldSignature] == "" {
		return c, f.Op.Refusal(signer.ErrUnsigned, "", "AccessDenied", "the form has neither a policy nor %s", fieldSignature)
	}
	c.presigned = true // without a life of its own: the policy tells
	for _, name := range [...]string{"key", "policy", fieldAlgorithm, fieldCredential, fieldDate, fieldSignature} {
		value := fields[name]
		switch {
		case value == "":
			f.Malformed(name, "the form needs such a field, in front of its file")
		case name == fieldAlgorithm:
			f.algorithm(&c.authorization, name, value)
		case name == fieldCredential:
			f.credential(&c.authorization, name, value)
		case name == fieldDate:
			c.stamp = value
			if c.date, err = sigv4.ParseStamp(value); err != nil {
				f.Malformed(name, "%w", err)
			}
		case name == fieldSignature:
			f.signature(&c.authorization, name, value)
		}
	}
	f.scopeDate(&c.authorization, fieldCredential)
	return c, nil
}
