package oss

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/policy"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is uploads by an HTML form. What is signed is a policy, which says what the form may hold: the string to sign is its
// base64, the key that of every signature of version 4.
//
// https://help.aliyun.com/en/oss/developer-reference/signature-version-4-recommend
// https://help.aliyun.com/en/oss/developer-reference/postobject

// paramType is the field that decides the type of an object.
const paramType = "x-oss-content-type"

var (
	_ signer.PostSigner   = (*Signer)(nil)
	_ signer.PostVerifier = (*Verifier)(nil)
)

// dialect is how OSS has policies. Its error codes are described at https://help.aliyun.com/en/oss/user-guide/0006-00000201 and so
// on.
func dialect() *policy.Dialect {
	return &policy.Dialect{
		Signature:   paramSignature,
		ContentType: "content-type",
		Layout:      "2006-01-02T15:04:05.000Z",
		Dollar:      true,
		Lists:       true,
		MaxFields:   8 << 20,

		CodeMalformed: "0006-00000201",
		CodeExpired:   "0006-00000213",
		CodeUnmet:     "0006-00000227",
	}
}

// PresignPost signs a form for uploads from a browser. See signer.Policy for what can be asked; OSS alone has the conditions "in"
// and "not-in".
//
// OSS takes the type of the object from the field x-oss-content-type, then from the file's part, which browsers write, and only then from
// Content-Type. A ContentType, and a Content-Type among Fields, is therefore in the form under both names. A ContentTypePrefix, and a
// condition on Content-Type, bind nothing else than that field; put a condition on x-oss-content-type, and let the page send it.
//
// The form works for at most seven days, and for at most twelve hours with a security token, like a URL (ErrLifetime).
func (s *Signer) PresignPost(ctx context.Context, p signer.Policy) (*signer.Form, error) {
	op := pipeline.Op{Backend: "oss", Name: "presign post"}
	d := dialect()
	bucket := p.Bucket
	if bucket == "" {
		bucket = s.bucket
	}
	fixType(&p)
	t, err := s.endpoint.target(op, bucket)
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
	sc := s.endpoint.scope(stamp)
	auth := []signer.Field{
		{Name: paramVersion, Value: algorithm},
		{Name: paramCredential, Value: creds.AccessKeyID + "/" + string(sc.Append(nil, "/", terminator))},
		{Name: paramDate, Value: string(stamp[:])},
	}
	if !creds.SecurityToken.IsZero() {
		auth = append(auth, signer.Field{Name: paramToken, Value: string(creds.SecurityToken.Reveal())})
	}
	fields, err := d.Compose(op, &p, t.bucket, pipeline.Time(w.Plan.End), auth)
	if err != nil {
		return nil, err
	}
	toSign := fields[len(fields)-1].Value // the policy
	signature := s.keys.Key(creds.AccessKeySecret, sc).AppendSignature(nil, []byte(toSign))
	url, _, _, _ := t.appendURL(nil, "")
	return &signer.Form{
		URL:       string(url),
		Fields:    append(fields, signer.Field{Name: paramSignature, Value: string(signature)}),
		ExpiresAt: pipeline.Time(w.Plan.End),
		LimitedBy: w.Plan.LimitedBy,
	}, nil
}

// fixType says an exact type once more, in the field that goes before all others. If there is such a field with another type, the policy
// has it twice, and is refused for it.
func fixType(p *signer.Policy) {
	exact := p.ContentType
	for _, f := range p.Fields {
		if strings.EqualFold(f.Name, "content-type") {
			exact = f.Value
		}
	}
	same := func(f signer.Field) bool { return strings.EqualFold(f.Name, paramType) && f.Value == exact }
	if exact != "" && !slices.ContainsFunc(p.Fields, same) {
		p.Fields = append(slices.Clone(p.Fields), signer.Field{Name: paramType, Value: exact})
	}
}

// VerifyPost checks a form. See signer.PostVerifier for its contract.
//
// It is stricter than OSS, which lets a form have fields, a key even, of which its policy says nothing; forms that PresignPost signs have
// none. A form may be used from Leeway before its x-oss-date until its policy ends, and for seven days at most. Forms that are signed
// with version 1 are ErrUnsupported, whatever VerifierConfig.AcceptV1 says.
func (v *Verifier) VerifyPost(ctx context.Context, p signer.Post) (*signer.PostGrant, error) {
	f := faults{pipeline.Faults{Op: pipeline.Op{Backend: "oss", Name: "verify post"}}, postCodes()}
	now := v.clock.Now()
	fields, err := policy.FieldsOf(p.Fields)
	if err != nil {
		return nil, f.Op.Refusal(signer.ErrMalformed, "Fields", "InvalidArgument", "%w", err)
	}
	c, err := f.form(fields)
	if err != nil {
		return nil, err
	}
	if c.Region != "" && c.Region != v.endpoint.region {
		f.add(signer.ErrScope, ecPostRegion, paramCredential, "the region %s is wrong; expecting %q: sign for that, or set VerifierConfig.Region", pipeline.Shown(c.Region), v.endpoint.region)
	}
	if c.Product != "" && c.Product != v.endpoint.product {
		f.add(signer.ErrScope, ecPostProduct, paramCredential, "the product %s is wrong; expecting %q", pipeline.Shown(c.Product), v.endpoint.product)
	}
	v.checkTimes(&f, &c, now)
	if err := f.Err(); err != nil {
		return nil, err
	}
	creds, err := v.credentials(ctx, f.Op, c.AccessKeyID, c.token, now)
	if err != nil {
		return nil, err
	}
	toSign := []byte(fields["policy"])
	sc := sigv4.Scope{Date: sigv4.StampOf(c.date.Unix()).Date(), Region: c.Region, Service: c.Product}
	if !v.keys.Verify(creds.AccessKeySecret, sc, func(k *sigv4.Key) bool { return k.Verify(toSign, c.Signature) }) {
		return nil, f.Op.Refusal(signer.ErrMismatch, paramSignature, ecPostMismatch, "the policy is not the one that was signed, or was signed with another secret")
	}
	g, err := dialect().Grant(f.Op, now, &p, fields)
	if err != nil {
		return nil, err
	}
	g.Scheme, g.KeyID = algorithm, c.AccessKeyID
	g.SignedAt, g.NotBefore = c.date, c.date
	if last := c.date.Add(c.expires); last.Before(g.ExpiresAt) {
		g.ExpiresAt = last
	}
	g.Fingerprint = pipeline.Fingerprint(append(toSign, c.Signature...))
	return g, nil
}

// Error codes (EC) of forms, described at https://help.aliyun.com/en/oss/user-guide/0002-00000701 and so on.
const (
	ecPostVersion     = "0002-00000701"
	ecPostNoPolicy    = "0002-00000702"
	ecPostNoSignature = "0002-00000703"
	ecPostMismatch    = "0002-00000705"
	ecPostRegion      = "0002-00000715" // described at the address of 716
	ecPostProduct     = "0002-00000716"
)

func postCodes() codes {
	return codes{keyID: "0002-00000708", date: "0002-00000709", terminator: "0002-00000710", emptySignature: "0002-00000704"}
}

// form reads the fields of a signature.
func (f *faults) form(fields policy.Fields) (c claim, err error) {
	switch {
	case fields["policy"] == "" && fields[paramSignature] == "":
		return c, f.Op.Refusal(signer.ErrUnsigned, "", codeNotAccepted, "the form has neither a policy nor %s", paramSignature)
	case fields["signature"] != "" || fields["ossaccesskeyid"] != "":
		return c, f.Op.Refusal(signer.ErrUnsupported, "Signature", ecPostVersion, "it is of version 1 (HMAC-SHA1); sign with %s", algorithm)
	}
	c.presigned, c.expires = true, maxExpires*time.Second
	for _, name := range [...]string{"key", "policy", paramVersion, paramCredential, paramDate, paramSignature} {
		value, there := fields[name]
		switch {
		case value == "" && name == "policy":
			f.malformed(ecPostNoPolicy, name, "the form needs such a field, in front of its file")
		case name == paramSignature && there:
			f.signature(&c.Authorization, name, value)
		case name == paramSignature:
			f.malformed(ecPostNoSignature, name, "the form needs such a field, in front of its file")
		case value == "":
			f.malformed(ecUnknown, name, "the form needs such a field, in front of its file")
		case name == paramVersion && value != algorithm:
			f.malformed(ecPostVersion, name, "it is not %s", algorithm)
		case name == paramCredential:
			f.credential(&c.Authorization, name, value)
		case name == paramDate:
			c.stamp = value
			if c.date, err = sigv4.ParseStamp(value); err != nil {
				f.malformed(ecUnknown, name, "%w", err)
			} else if c.Date != "" && c.Date != value[:8] {
				f.add(signer.ErrScope, postCodes().date, paramCredential, "its date is %s, the day of %s %s", c.Date, paramDate, value[:8])
			}
		}
	}
	c.token = fields[paramToken]
	return c, nil
}
