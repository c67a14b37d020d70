package s3

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/policy"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is uploads by an HTML form. What is signed is a policy, which says what the form may hold: the string to sign is its
// base64, the key that of every SigV4 signature.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html

var (
	_ signer.PostSigner   = (*Signer)(nil)
	_ signer.PostVerifier = (*Verifier)(nil)
)

// The fields of a signature.
const (
	fieldAlgorithm  = "x-amz-algorithm"
	fieldCredential = "x-amz-credential"
	fieldDate       = "x-amz-date"
	fieldToken      = "x-amz-security-token"
	fieldSignature  = "x-amz-signature"
)

// dialect is how S3 has policies.
func dialect() *policy.Dialect {
	return &policy.Dialect{
		Signature:   fieldSignature,
		ContentType: "Content-Type",
		Layout:      "2006-01-02T15:04:05.000Z",
		Dollar:      true,
		Everywhere:  true,
		Types:       true,
		MaxFields:   20 << 10,

		CodeMalformed: "InvalidPolicyDocument",
		CodeExpired:   "AccessDenied",
		CodeUnmet:     "AccessDenied",
	}
}

// PresignPost signs a form for uploads from a browser. See signer.Policy for what can be asked.
//
// The form works for at most seven days (ErrLifetime); versitygw 1.8.0 takes none that is older than an hour. Its fields and the
// policy have at most 20 KiB together (ErrRequest). Forms for several regions (SigV4a), and for the access point behind an ARN, are
// not documented, and ErrUnsupported. Not all services that speak S3's protocol take forms: Cloudflare R2 does not.
func (s *Signer) PresignPost(ctx context.Context, p signer.Policy) (*signer.Form, error) {
	op := pipeline.Op{Backend: "s3", Name: "presign post"}
	d := dialect()
	t, err := s.postTarget(op, p.Bucket)
	if err := errors.Join(d.Check(op, &p), err); err != nil {
		return nil, err
	}
	w := sigv4.TakeScratch(&s.scratch)
	defer w.Release(&s.scratch)
	creds, err := s.plan(ctx, op, w, &pipeline.Ask{Expires: p.Expires, AllowShorter: p.AllowShorter})
	if err != nil {
		return nil, err
	}
	stamp := sigv4.StampOf(w.Plan.Start)
	sc := t.scope(stamp)
	auth := []signer.Field{
		{Name: fieldAlgorithm, Value: sc.algorithm()},
		{Name: fieldCredential, Value: creds.AccessKeyID + "/" + string(sc.Append(nil, "/", terminator))},
		{Name: fieldDate, Value: string(stamp[:])},
	}
	if !creds.SessionToken.IsZero() {
		auth = append(auth, signer.Field{Name: fieldToken, Value: string(creds.SessionToken.Reveal())})
	}
	fields, err := d.Compose(op, &p, t.bucket, pipeline.Time(w.Plan.End), auth)
	if err != nil {
		return nil, err
	}
	toSign := fields[len(fields)-1].Value // the policy
	signature := s.key(&creds, &sc).AppendSignature(nil, []byte(toSign))
	url, _, _ := t.appendURL(nil, "")
	return &signer.Form{
		URL:       string(url),
		Fields:    append(fields, signer.Field{Name: fieldSignature, Value: string(signature)}),
		ExpiresAt: pipeline.Time(w.Plan.End),
		LimitedBy: w.Plan.LimitedBy,
	}, nil
}

// postTarget finds where to post to. The policy names the bucket, also where the host is the bucket.
func (s *Signer) postTarget(op pipeline.Op, bucket string) (*target, error) {
	if bucket == "" {
		bucket = s.bucket
	}
	if bucket == "" && s.endpoint.addressing == signer.AddressingBucketHost {
		bucket = pipeline.Hostname(s.endpoint.host) // as S3 has it
	}
	t, err := s.endpoint.target(op, bucket)
	switch {
	case err != nil:
		return nil, err
	case s.endpoint.addressing == signer.AddressingBucketHost && s.bucket != "" && bucket != s.bucket:
		return nil, op.Errorf(signer.ErrRequest, "Bucket", "with AddressingBucketHost the endpoint's host is the bucket %q; leave it empty", s.bucket)
	case strings.HasPrefix(bucket, "arn:"):
		return nil, op.Errorf(signer.ErrUnsupported, "Bucket", "what a policy names the bucket behind an ARN is not documented; use the access point's alias, or presign a PUT")
	case t.regionSet != "":
		return nil, op.Errorf(signer.ErrUnsupported, "RegionSet", "forms that are signed for several regions are not documented; make a signer for one region, or presign a PUT")
	}
	return &t, nil
}

// VerifyPost checks a form. See signer.PostVerifier for its contract.
//
// A form may be used from Leeway before its x-amz-date until its policy ends, and no longer than the seven days that a SigV4 key
// lives.
func (v *Verifier) VerifyPost(ctx context.Context, p signer.Post) (*signer.PostGrant, error) {
	f := faults{pipeline.Faults{Op: pipeline.Op{Backend: "s3", Name: "verify post"}, Code: "InvalidArgument"}}
	now := v.clock.Now()
	fields, err := policy.FieldsOf(p.Fields)
	if err != nil {
		return nil, f.Op.Refusal(signer.ErrMalformed, "Fields", f.Code, "%w", err)
	}
	c, err := f.form(fields)
	if err != nil {
		return nil, err
	}
	v.checkScope(&f, &c)
	v.checkTimes(&f, &c, now)
	if err := f.Err(); err != nil {
		return nil, err
	}

	creds, err := v.lookup(ctx, c.AccessKeyID)
	if err == nil && (creds.SecretKey.IsZero() || creds.AccessKeyID != "" && creds.AccessKeyID != c.AccessKeyID) {
		err = signer.ErrUnknownKey // as in Verify
	}
	if errors.Is(err, signer.ErrUnknownKey) {
		return nil, f.Op.Refusal(signer.ErrUnknownKey, fieldCredential, "InvalidAccessKeyId", "no key has the id %s", pipeline.Shown(c.AccessKeyID))
	}
	if err != nil {
		return nil, err
	}
	if err := checkToken(f.Op, &c, &creds, now); err != nil {
		return nil, err
	}
	toSign := []byte(fields["policy"])
	sc := scope{Scope: sigv4.Scope{Date: sigv4.StampOf(c.date.Unix()).Date(), Region: c.Region, Service: c.Service}}
	if v.matches(&creds, &sc, toSign, c.Signature) == nil {
		return nil, f.Op.Refusal(signer.ErrMismatch, fieldSignature, "SignatureDoesNotMatch", "the policy is not the one that was signed, or was signed with another secret")
	}
	g, err := dialect().Grant(f.Op, now, &p, fields)
	if err != nil {
		return nil, err
	}
	g.Scheme, g.KeyID = c.Algorithm, c.AccessKeyID
	g.SignedAt, g.NotBefore = c.date, c.date
	if keyDies := c.date.Add(c.expires); keyDies.Before(g.ExpiresAt) {
		g.ExpiresAt = keyDies
	}
	g.Fingerprint = pipeline.Fingerprint(append(toSign, c.Signature...))
	return g, nil
}

// form reads the fields of a signature.
func (f *faults) form(fields policy.Fields) (c claim, err error) {
	if fields["policy"] == "" && fields[fieldSignature] == "" {
		return c, f.Op.Refusal(signer.ErrUnsigned, "", "AccessDenied", "the form has neither a policy nor %s", fieldSignature)
	}
	c.presigned, c.expires = true, maxExpires*time.Second
	for _, name := range [...]string{"key", "policy", fieldAlgorithm, fieldCredential, fieldDate, fieldSignature} {
		value := fields[name]
		switch {
		case value == "":
			f.Malformed(name, "the form needs such a field, in front of its file")
		case name == fieldAlgorithm:
			if c.Algorithm = value; value != algorithm {
				f.Malformed(name, "it is not %s", algorithm)
			}
		case name == fieldCredential:
			f.credential(&c.Authorization, name, value)
		case name == fieldDate:
			c.stamp = value
			if c.date, err = sigv4.ParseStamp(value); err != nil {
				f.Malformed(name, "%w", err)
			} else if c.Date != "" && c.Date != value[:8] {
				f.Add(signer.ErrScope, fieldCredential, "its date is %s, the day of %s %s", c.Date, fieldDate, value[:8])
			}
		case name == fieldSignature:
			f.signature(&c.Authorization, name, value)
		}
	}
	c.token = fields[fieldToken]
	return c, nil
}
