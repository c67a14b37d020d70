package signertest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// toy is as unlike SigV4 as a scheme of this module gets: its URLs have an end and no beginning and no longest life, headers
// cannot be signed, GET and HEAD are one, there is one bucket, no signature in a header and nothing that is replaced. What
// it signs is the URL as it stands.
type toy struct {
	clock  pipeline.Clock
	bucket string
	secret signer.Secret
}

const (
	toyBase   = "https://toy.example"
	toyScheme = "Cloud CDN or version 2" // as pipeline.SchemeOf names its parameters
	toyFirst  = "the first secret of the toy scheme"
	toySecond = "the second secret of the toy scheme"
)

func toyHarness() Harness {
	secret := func(o Options) signer.Secret {
		switch {
		case o.NoCredentials:
			return signer.Secret{}
		case o.Rotated():
			return signer.NewSecret([]byte(toySecond))
		}
		return signer.NewSecret([]byte(toyFirst))
	}
	op := pipeline.Op{Backend: "toy", Name: "new"}
	return Harness{
		New: func(o Options) (signer.Signer, error) {
			if secret(o).IsZero() {
				return nil, op.Errorf(signer.ErrCredentials, "Secret", "there is none")
			}
			if err := pipeline.CheckBucket(op, "Bucket", o.Bucket); err != nil {
				return nil, err
			}
			return &toy{pipeline.NewClock(o.Clock, "toy.example"), o.Bucket, secret(o)}, nil
		},
		NewVerifier: func(o Options) (signer.Verifier, error) {
			c, err := pipeline.VerifierClock(op, o.Clock)
			return &toyVerifier{c, "bucket-of-toy", secret(o)}, err
		},
		Bucket:      "bucket-of-toy",
		Params:      []string{"Expires", "KeyName", "Signature"},
		Methods:     []string{"GET HEAD"},
		Unsupported: append([]string{"Bucket", "Header", "SourceIP", "Backdate", "CredentialsExpire", "Rotated", "Sign", "Replace"}, toyOverrides()...),
		Secrets:     []string{toyFirst, toySecond},
	}
}

func toyOverrides() []string {
	return []string{"Response.ContentType", "Response.ContentDisposition", "Response.CacheControl", "Response.ContentEncoding", "Response.ContentLanguage", "Response.Expires"}
}

func (s *toy) Presign(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
	op := pipeline.Op{Backend: "toy", Name: "presign"}
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	if err := pipeline.CheckRequest(op, &r, method); err != nil {
		return nil, err
	}
	var loose []string
	switch {
	case r.Bucket != "" && r.Bucket != s.bucket:
		return nil, op.Errorf(signer.ErrUnsupported, "Bucket", "%q is not the bucket of this host", r.Bucket)
	case r.Response != signer.ResponseHeaders{}:
		return nil, op.Errorf(signer.ErrUnsupported, "Response", "the scheme has no overrides")
	case len(r.Header) > 0:
		loose = append(loose, "Header")
	}
	if r.SourceIP.IsValid() {
		loose = append(loose, "SourceIP")
	}
	if loose != nil && !r.BestEffort {
		return nil, op.Errorf(signer.ErrUnsupported, loose[0], "the scheme does not sign it")
	}
	var params wire.Params
	for name, values := range r.Query {
		for _, v := range values {
			params.Add(name, v)
		}
	}
	params.Sort()
	raw := toyBase + "/" + string(wire.AppendEscapePath(nil, r.Key))
	if len(params.List) > 0 {
		raw += "?" + string(wire.AppendParams(nil, params.List))
	}
	p, err := s.sign(op, method, raw, &pipeline.Ask{Expires: r.Expires, Window: r.Window, Spread: r.Spread, Bucket: s.bucket, Key: r.Key, AllowShorter: r.AllowShorter})
	if err == nil {
		p.NotEnforced, p.Header = loose, r.Header.Clone()
	}
	return p, err
}

func (s *toy) PresignRequest(ctx context.Context, req *http.Request, o signer.Options) (*signer.Presigned, error) {
	op := pipeline.Op{Backend: "toy", Name: "presign"}
	if err := pipeline.CheckHTTPRequest(op, req); err != nil {
		return nil, err
	}
	if scheme, param := pipeline.ForeignSignature(req.URL.RawQuery, toyScheme); scheme != "" {
		return nil, op.Errorf(signer.ErrConflict, "URL", "it carries %s", param)
	}
	for name := range wire.Pairs(req.URL.RawQuery) {
		if name, _ := wire.UnescapeQuery(name); pipeline.SchemeOf(name) == toyScheme {
			return nil, op.Errorf(signer.ErrConflict, "URL", "it has a parameter %s", name)
		}
	}
	for name := range req.Header {
		if strings.EqualFold(name, "Authorization") {
			return nil, op.Errorf(signer.ErrConflict, "Authorization", "it is another signature")
		}
		if !pipeline.Unsignable(name) && !o.BestEffort {
			return nil, op.Errorf(signer.ErrUnsupported, "Header", "the scheme signs none")
		}
	}
	raw := req.URL.Scheme + "://" + req.URL.Host + req.URL.EscapedPath()
	if req.URL.RawQuery != "" {
		raw += "?" + req.URL.RawQuery
	}
	p, err := s.sign(op, req.Method, raw, &pipeline.Ask{Expires: o.Expires, Window: o.Window, AllowShorter: o.AllowShorter})
	if err == nil && req.Host != "" && req.Host != req.URL.Host {
		return nil, op.Errorf(signer.ErrRequest, "Host", "it is not the URL's")
	}
	return p, err
}

func (s *toy) sign(op pipeline.Op, method, raw string, ask *pipeline.Ask) (*signer.Presigned, error) {
	now, offset := s.clock.Read()
	plan, err := pipeline.PlanTimes(op, now, ask, pipeline.Limits{})
	if err != nil {
		return nil, err
	}
	if method != http.MethodGet && method != http.MethodHead {
		return nil, op.Errorf(signer.ErrUnsupported, "Method", "a URL allows GET and HEAD")
	}
	sep := "?"
	if strings.Contains(raw, "?") {
		sep = "&"
	}
	raw += sep + "Expires=" + strconv.FormatInt(plan.End, 10) + "&KeyName=toy"
	return &signer.Presigned{Method: method, URL: raw + "&Signature=" + toyMAC(s.secret, raw), ExpiresAt: pipeline.Time(plan.End), LimitedBy: plan.LimitedBy,
		StableUntil: pipeline.Time(plan.StableUntil), ClockOffset: offset}, nil
}

func toyMAC(secret signer.Secret, text string) string {
	mac := hmac.New(sha256.New, secret.Reveal())
	mac.Write([]byte(text))
	return base64.URLEncoding.EncodeToString(mac.Sum(nil))
}

type toyVerifier struct {
	clock  clock.Clock
	bucket string
	secret signer.Secret
}

func (v *toyVerifier) Verify(ctx context.Context, req *http.Request) (*signer.Grant, error) {
	op := pipeline.Op{Backend: "toy", Name: "verify"}
	now := v.clock.Now()
	target := req.RequestURI
	if target == "" {
		target = req.URL.RequestURI()
	}
	path, rawQuery, _ := strings.Cut(target, "?")
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, op.Errorf(signer.ErrMalformed, "URL", "its query does not parse")
	}
	signed, signature, ok := strings.Cut(target, "&Signature=")
	auth := hasHeader(req.Header, "Authorization")
	switch {
	case !query.Has("Signature") && !query.Has("KeyName"):
		return nil, op.Errorf(signer.ErrUnsigned, "", "it has no Signature")
	case auth:
		return nil, op.Errorf(signer.ErrConflict, "Authorization", "it is a second signature")
	case req.Host != "toy.example":
		return nil, op.Errorf(signer.ErrScope, "Host", "it is another")
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		return nil, op.Errorf(signer.ErrMismatch, "Method", "GET and HEAD are allowed")
	case !ok || subtle.ConstantTimeCompare([]byte(signature), []byte(toyMAC(v.secret, toyBase+signed))) != 1:
		return nil, op.Errorf(signer.ErrMismatch, "Signature", "it is another request's")
	}
	seconds, err := strconv.ParseInt(query.Get("Expires"), 10, 64)
	if err != nil || len(query["Expires"]) != 1 || len(query["KeyName"]) != 1 {
		return nil, op.Errorf(signer.ErrMalformed, "Expires", "it is no time")
	}
	end := time.Unix(seconds, 0).UTC()
	if !now.Before(end) {
		return nil, op.Errorf(signer.ErrExpired, "Expires", "it was %v", end)
	}
	for _, name := range []string{"Expires", "KeyName", "Signature"} {
		query.Del(name)
	}
	key, err := url.PathUnescape(strings.TrimPrefix(path, "/"))
	if err != nil {
		return nil, op.Errorf(signer.ErrMalformed, "URL", "its path does not parse")
	}
	sum := sha256.Sum256([]byte(signature))
	return &signer.Grant{Backend: "toy", Scheme: "toy", KeyID: "toy", Method: req.Method, Bucket: v.bucket, Key: key, Query: query, ExpiresAt: end,
		Fingerprint: hex.EncodeToString(sum[:])}, nil
}

// wrong is a toy Signer of which one thing is wrong.
type wrong struct {
	*toy
	presign result
}

func (w wrong) Presign(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
	p, err := w.toy.Presign(ctx, r)
	return w.presign(p, err, r)
}

// A result edits what the right toy Signer returns.
type result = func(p *signer.Presigned, err error, r signer.Request) (*signer.Presigned, error)

// A wrongSigner is a mistake that package s3 gives no room to make, and the rule that finds it.
type wrongSigner struct {
	rule    string
	presign result
}

func wrongSigners() map[string]wrongSigner {
	return map[string]wrongSigner{
		"panics": {"deterministic", func(*signer.Presigned, error, signer.Request) (*signer.Presigned, error) { panic("toy") }},
		"returns nothing": {"deterministic", func(*signer.Presigned, error, signer.Request) (*signer.Presigned, error) {
			return nil, nil
		}},
		"an error of its own kind": {"keys-refused", func(p *signer.Presigned, err error, _ signer.Request) (*signer.Presigned, error) {
			if err != nil {
				err = signer.ErrRequest
			}
			return p, err
		}},
		"an error of another class": {"keys-refused", func(p *signer.Presigned, err error, _ signer.Request) (*signer.Presigned, error) {
			if err != nil {
				err = &signer.Error{Op: "presign", Err: signer.ErrRemote}
			}
			return p, err
		}},
		"a URL beside the error": {"keys-refused", func(p *signer.Presigned, err error, _ signer.Request) (*signer.Presigned, error) {
			return new(signer.Presigned), err
		}},
		"an error that quotes the query": {"secrets", func(p *signer.Presigned, err error, r signer.Request) (*signer.Presigned, error) {
			if err != nil {
				err = fmt.Errorf("%w: %v", err, r.Query)
			}
			return p, err
		}},
		"a random parameter": {"deterministic", func(p *signer.Presigned, err error, _ signer.Request) (*signer.Presigned, error) {
			if err == nil {
				p.URL += fmt.Sprintf("&r=%p", p)
			}
			return p, err
		}},
		"demands a header that nobody asked for": {"headers", func(p *signer.Presigned, err error, _ signer.Request) (*signer.Presigned, error) {
			if err == nil {
				p.Header = http.Header{"X-Toy": {"1"}}
			}
			return p, err
		}},
		"has an empty header, where nothing is demanded": {"headers", func(p *signer.Presigned, err error, _ signer.Request) (*signer.Presigned, error) {
			if err == nil && p.Header == nil {
				p.Header = http.Header{}
			}
			return p, err
		}},
		"says nothing of what it lets through": {"unsupported", func(p *signer.Presigned, err error, _ signer.Request) (*signer.Presigned, error) {
			if err == nil {
				p.NotEnforced = nil
			}
			return p, err
		}},
		"says that everything is let through": {"unsupported", func(p *signer.Presigned, err error, _ signer.Request) (*signer.Presigned, error) {
			if err == nil {
				p.NotEnforced = []string{"Window", "Header", "SourceIP"}
			}
			return p, err
		}},
	}
}
