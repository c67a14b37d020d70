package gcs

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// VerifierConfig says what a Verifier accepts: service accounts (Accounts and Keys), HMAC keys (Secret), or both.
type VerifierConfig struct {
	// Accounts lists the e-mail addresses of the service accounts that may sign. A URL names an account and no key, so without
	// the list every service account in the world would pass.
	Accounts []string

	// Keys returns the public keys of a listed account, each an *rsa.PublicKey; PublicKeys fetches them from Google. All of
	// them are tried. For an account that has none it returns an error wrapping signer.ErrUnknownKey; Verify returns any other
	// error as it is.
	Keys func(ctx context.Context, account string) ([]crypto.PublicKey, error)

	// Secret returns the secret of an HMAC key. For an access ID that it does not know, compared to the letter, it returns an
	// error wrapping signer.ErrUnknownKey; Verify returns any other error as it is.
	Secret func(ctx context.Context, accessID string) (signer.Secret, error)

	// Location is what the credential scope must name; "" takes any, as Google does.
	Location string

	// Endpoint is the address under which clients reach the service, as in Config, whose scheme does not count; nil means
	// https://storage.googleapis.com. A request for another host is ErrScope, unless Addressing is AddressingPath and Endpoint
	// nil: then any host will do.
	Endpoint *url.URL

	// Addressing says where the bucket stands in a URL; AddressingAuto takes virtual host and path.
	Addressing signer.Addressing

	// Inbound tells scheme, host and client of a request as the client sent it; nil takes r.TLS, r.Host and
	// r.RemoteAddr. Set it behind a proxy that rewrites Host.
	Inbound func(*http.Request) (signer.Inbound, error)

	// Clock is the verifier's clock; nil means clock.System(). A clock.Learned is refused.
	Clock clock.Clock

	// Leeway is how early a URL may be used, and how far the date of a header signature may be off, either way; 0 means
	// 15 minutes, as with Google. A URL's end has none.
	Leeway time.Duration
}

// A Verifier checks requests that were signed with V4, in the query or in the header. It is safe for concurrent use.
type Verifier struct {
	accounts []string
	publics  func(context.Context, string) ([]crypto.PublicKey, error)
	secret   func(context.Context, string) (signer.Secret, error)
	location string
	places   pipeline.Locations
	inbound  func(*http.Request) (signer.Inbound, error)
	clock    clock.Clock
	leeway   time.Duration
	keys     *sigv4.Cache[sigv4.Scope, *sigv4.Key]
	scratch  sync.Pool // of *sigv4.Scratch
}

var _ signer.Verifier = (*Verifier)(nil)

// NewVerifier returns a Verifier. It reports all that is wrong with c, joined.
func NewVerifier(c VerifierConfig) (*Verifier, error) {
	op := pipeline.Op{Backend: "gcs", Name: "new verifier"}
	e, errEndpoint := newEndpoint(op, &Config{Endpoint: c.Endpoint, Addressing: c.Addressing, Location: c.Location})
	clk, errClock := pipeline.VerifierClock(op, c.Clock)
	leeway, errLeeway := pipeline.Leeway(op, c.Leeway)
	errs := []error{errEndpoint, errClock, errLeeway}
	switch {
	case c.Keys == nil && c.Secret == nil:
		errs = append(errs, op.Errorf(signer.ErrRequest, "Keys, Secret", "there is neither; Keys finds the keys of service accounts, Secret those of HMAC keys"))
	case c.Keys != nil && len(c.Accounts) == 0:
		errs = append(errs, op.Errorf(signer.ErrRequest, "Accounts", "it is empty; name the service accounts that may sign, or every one in the world could"))
	case c.Keys == nil && len(c.Accounts) > 0:
		errs = append(errs, op.Errorf(signer.ErrRequest, "Keys", "there is no function that finds the keys of the accounts; PublicKeys makes one"))
	}
	for _, account := range c.Accounts {
		if problem := checkEmail(account); problem != "" {
			errs = append(errs, op.Errorf(signer.ErrRequest, "Accounts", "%q: %s", account, problem))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	inbound := c.Inbound
	if inbound == nil {
		inbound = pipeline.DirectHost
	}
	return &Verifier{
		accounts: slices.Clone(c.Accounts),
		publics:  c.Keys,
		secret:   c.Secret,
		location: c.Location,
		places: pipeline.Locations{Scheme: e.scheme, Hosts: []string{pipeline.CanonicalHost(e.scheme, e.host)}, Base: e.base,
			AnyHost: c.Addressing == signer.AddressingPath && c.Endpoint == nil, Addressing: c.Addressing},
		inbound: inbound,
		clock:   clk,
		leeway:  leeway,
		keys:    sigv4.NewCache(family().NewKey),
	}, nil
}

// claim is what a request says about its signature, in either form.
type claim struct {
	signedQuery
	presigned bool
	payload   string // the last line of the canonical request
}

// Verify checks the signature of req. See signer.Verifier for its contract.
//
// The signature must cover host and every x-goog-, x-amz- and x-oss- header that is there (Google lets X-Goog-Content-Sha256
// be loose in a URL, where it then says nothing); parameters of a signature may not be repeated, nor stand beside an
// Authorization header. The host may be signed with its port or without, so with AddressingPath and no Endpoint any port is good.
// Path and query are taken from req.RequestURI if it is set. All faults of form, scope and time are reported, joined, before a
// key is looked up.
func (v *Verifier) Verify(ctx context.Context, req *http.Request) (*signer.Grant, error) {
	f := faults{pipeline.Faults{Op: pipeline.Op{Backend: "gcs", Name: "verify"}, Code: "MalformedSecurityHeader"}}
	now := v.clock.Now()
	req, err := pipeline.CanonicalNames(f.Op, req, "InvalidArgument")
	if err != nil {
		return nil, err
	}
	in, err := v.inbound(req)
	if err != nil {
		return nil, err
	}
	path, rawQuery, err := pipeline.RequestTarget(f.Op, req, "InvalidURI")
	if err != nil {
		return nil, err
	}

	c, err := f.claim(req, rawQuery)
	if err != nil {
		return nil, err
	}
	if c.scope.Region != "" && v.location != "" && c.scope.Region != v.location {
		f.Add(signer.ErrScope, "Credential", "the location %s is wrong; expecting %q", pipeline.Shown(c.scope.Region), v.location)
	}
	v.checkTimes(&f, &c, now)
	f.LooseHeaders(req, c.signedHeaders, true, f.Code)
	bucket, key, err := v.places.Object(f.Op, in.Host, path)
	if err != nil {
		f.Errs = append(f.Errs, err)
	}
	if err := f.Err(); err != nil {
		return nil, err
	}

	verify, err := v.verifier(ctx, f.Op, &c)
	if err != nil {
		return nil, err
	}
	w := sigv4.TakeScratch(&v.scratch)
	defer w.Release(&v.scratch)
	hosts := []string{string(withoutPort([]byte(in.Host))), in.Host}
	if hosts[0] == hosts[1] {
		hosts = hosts[:1]
	}
	for i := len(hosts) - 1; i >= 0; i-- { // Google's own form last: a Trace shows it
		missing, err := canonicaliseRequest(f.Op, w, &c, req, hosts[i], path, rawQuery)
		if err != nil {
			return nil, err
		}
		w.ToSign = appendStringToSign(w.ToSign[:0], c.algorithm, sigv4.StampOf(c.date.Unix()), &c.scope, w.Canonical)
		w.Trace(ctx)
		if missing != "" {
			return nil, f.Op.Refusal(signer.ErrMismatch, pipeline.Clip(missing), "MalformedSecurityHeader", "the header was signed and is not in the request; send it as it was signed")
		}
		if verify(w.ToSign) {
			return v.grant(&c, req, bucket, key, w.ToSign), nil
		}
		w.Reset()
	}
	return nil, f.Op.Refusal(signer.ErrMismatch, "Signature", "SignatureDoesNotMatch",
		"another method, path, query or header than was signed, or another key; compare the canonical requests (signer.WithTrace)")
}

// verifier finds the keys of the one who signed and returns what checks the signature with them.
func (v *Verifier) verifier(ctx context.Context, op pipeline.Op, c *claim) (func(toSign []byte) bool, error) {
	unknown := func(format string, args ...any) error {
		return op.Refusal(signer.ErrUnknownKey, "Credential", "AccessDenied", format, args...)
	}
	if c.algorithm == HMACSHA256 {
		if v.secret == nil {
			return nil, unknown("HMAC keys are not accepted here")
		}
		secret, err := v.secret(ctx, c.id)
		if errors.Is(err, signer.ErrUnknownKey) || err == nil && secret.IsZero() { // never an HMAC under the empty key
			return nil, unknown("no HMAC key has the access ID %s", pipeline.Shown(c.id))
		}
		if err == nil {
			err = checkFIPS(op, secret)
		}
		if err != nil {
			return nil, err
		}
		return func(toSign []byte) bool {
			return v.keys.Verify(secret, c.scope, func(k *sigv4.Key) bool { return k.Verify(toSign, c.signature) })
		}, nil
	}
	if !slices.Contains(v.accounts, c.id) {
		return nil, unknown("the service account is none of the %d that may sign; VerifierConfig.Accounts lists them", len(v.accounts))
	}
	publics, err := v.publics(ctx, c.id)
	if errors.Is(err, signer.ErrUnknownKey) || err == nil && len(publics) == 0 {
		return nil, unknown("the service account has no keys")
	}
	if err != nil {
		return nil, err
	}
	signature, err := hex.DecodeString(c.signature)
	if err != nil {
		return nil, err // unreachable: it was looked at
	}
	return func(toSign []byte) bool {
		digest := sha256.Sum256(toSign)
		for _, public := range publics {
			if k, ok := public.(*rsa.PublicKey); ok && bitLen(k) >= minRSABits && rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], signature) == nil {
				return true
			}
		}
		return false
	}, nil
}

func (v *Verifier) grant(c *claim, req *http.Request, bucket, key string, toSign []byte) *signer.Grant {
	g := &signer.Grant{
		Backend: "gcs", Scheme: string(c.algorithm), KeyID: c.id,
		Method: pipeline.MethodOf(req.Method), Bucket: bucket, Key: key, Query: c.others,
		SignedAt: c.date, NotBefore: c.date, ExpiresAt: c.date.Add(c.expires),
		SignedHeaders: c.signedHeaders,
		Header:        pipeline.SignedHeader(req, c.signedHeaders, pipeline.Folded),
		Response:      pipeline.SignedResponse(c.others),
		Fingerprint:   pipeline.Fingerprint(append(toSign, c.signature...)),
	}
	if c.payload != unsignedPayload {
		g.Payload = c.payload
	}
	if !c.presigned {
		g.NotBefore, g.ExpiresAt = c.date.Add(-v.leeway), c.date.Add(v.leeway)
	}
	return g
}

// claim reads the signature from where it is. Faults that leave something to check are collected in f; the error is for
// requests without a signature of ours, or with two.
func (f *faults) claim(req *http.Request, rawQuery string) (c claim, err error) {
	auth := pipeline.HeaderValues(req.Header, "Authorization")
	for name := range wire.Pairs(rawQuery) {
		if name, err := wire.UnescapeQuery(name); err == nil && isAuthParam(name) {
			c.presigned = true
			break
		}
	}
	ours := len(auth) > 0 && strings.HasPrefix(auth[0], "GOOG4-")
	if !c.presigned && !ours {
		return c, f.Op.Refusal(signer.ErrUnsigned, "", "AuthenticationRequired", "the request has neither X-Goog-Signature in its query nor GOOG4-... in Authorization")
	}
	if scheme, param := pipeline.ForeignSignature(rawQuery, "GOOG4"); scheme != "" {
		return c, f.Op.Refusal(signer.ErrConflict, "URL", "InvalidArgument", "beside the GOOG4 signature it carries one of %s (%s)", scheme, param)
	}
	if c.presigned && len(auth) > 0 || len(auth) > 1 {
		return c, f.Op.Refusal(signer.ErrConflict, "Authorization", "AuthenticationRequired", "only one authorization is allowed, in the query or in one header")
	}
	if c.presigned {
		c.signedQuery = f.query(rawQuery)
	} else {
		c.authorization = f.header(auth[0])
		f.headerDate(&c, req)
		c.others = f.plainQuery(rawQuery)
	}
	f.payload(&c, req)
	return c, nil
}

// headerDate reads X-Goog-Date.
func (f *faults) headerDate(c *claim, req *http.Request) {
	values := req.Header["X-Goog-Date"]
	if len(values) != 1 {
		f.Malformed("X-Goog-Date", "the request needs one, of the form 20060102T150405Z")
		return
	}
	var err error
	if c.date, err = sigv4.ParseStamp(values[0]); err != nil {
		f.Malformed("X-Goog-Date", "%w", err)
		return
	}
	c.stamp = values[0]
	f.scopeDate(&c.authorization, "Credential")
}

// plainQuery decodes the query of a request that is signed in its header.
func (f *faults) plainQuery(rawQuery string) (q url.Values) {
	for rawName, rawValue := range wire.Pairs(rawQuery) {
		name, err1 := wire.UnescapeQuery(rawName)
		value, err2 := wire.UnescapeQuery(rawValue)
		if err1 != nil || err2 != nil {
			f.Malformed("URL", "its query has a broken escape: %w", wire.ErrEscape)
			return q
		}
		if q == nil {
			q = make(url.Values)
		}
		q[name] = append(q[name], value)
	}
	return q
}

// payload reads X-Goog-Content-Sha256, which counts in a URL if it is signed, and without which no header is signed.
func (f *faults) payload(c *claim, req *http.Request) {
	const field = "X-Goog-Content-Sha256"
	c.payload = unsignedPayload
	if c.presigned && !slices.Contains(c.signedHeaders, contentSHA256) {
		return
	}
	switch values := req.Header[field]; {
	case values == nil && c.presigned: // it was signed and is missing, which is said later
	case len(values) != 1:
		f.Malformed(field, "the request needs one: the SHA-256 of its body in hex, or %s", unsignedPayload)
	case values[0] != unsignedPayload && (values[0] == "" || !pipeline.LowerHex(values[0])):
		f.Malformed(field, "it is neither a SHA-256 in lower-case hex nor %s", unsignedPayload)
	default:
		c.payload = values[0]
	}
}

// checkTimes holds a URL to its own life and a header to the leeway. Google looks at the time before it looks at the signature.
func (v *Verifier) checkTimes(f *faults, c *claim, now time.Time) {
	if c.date.IsZero() {
		return // said already
	}
	code, ends := "ExpiredToken", c.date.Add(c.expires)
	if !c.presigned {
		code, ends = "RequestTimeTooSkewed", c.date.Add(v.leeway)
	}
	refuse := func(sentinel error, code, format string, args ...any) {
		f.Errs = append(f.Errs, f.Op.Refusal(sentinel, "X-Goog-Date", code, format, args...))
	}
	switch {
	case now.Before(c.date.Add(-v.leeway)):
		refuse(signer.ErrNotYetValid, "RequestTimeTooSkewed", "the request was signed for %s, and it is %s; correct the signer's clock", c.stamp, now.UTC().Format(time.RFC3339))
	case !now.Before(ends) && (!c.presigned || c.expires > 0):
		refuse(signer.ErrExpired, code, "the signature was good until %s, and it is %s", ends.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
}

// canonicaliseRequest leaves the canonical request in w.Canonical. It names a header that was signed and is missing; the canonical
// request is then that of what is there.
func canonicaliseRequest(op pipeline.Op, w *sigv4.Scratch, c *claim, req *http.Request, host, path, rawQuery string) (missing string, err error) {
	if w.Path, err = wire.AppendCanonicalPath(w.Path[:0], path); err != nil {
		return "", op.Refusal(signer.ErrMalformed, "URL", "InvalidURI", "its path: %w", err)
	}
	if err := w.Params.Parse(rawQuery); err != nil {
		return "", op.Refusal(signer.ErrMalformed, "URL", "InvalidURI", "its query: %w", err)
	}
	if c.presigned {
		w.Params.List = slices.DeleteFunc(w.Params.List, func(p wire.Param) bool { return strings.EqualFold(string(p.Name), "X-Goog-Signature") })
	}
	w.Params.SortNames()
	w.Query = wire.AppendParams(w.Query[:0], w.Params.List)
	for _, name := range c.signedHeaders {
		switch values := req.Header[http.CanonicalHeaderKey(name)]; {
		case name == "host":
			w.AddHeader(name, host)
		case name == "content-length" && req.ContentLength >= 0:
			w.AddHeader(name, strconv.FormatInt(req.ContentLength, 10))
		case values == nil:
			missing = name
		default:
			w.AddHeader(name, values...)
		}
	}
	w.Canonical = appendCanonicalRequest(w.Canonical[:0], pipeline.MethodOf(req.Method), w.Path, w.Query, w.Headers, c.payload)
	return missing, nil
}
