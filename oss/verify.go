package oss

import (
	"context"
	"crypto/fips140"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// VerifierConfig says what a Verifier accepts. Region and Lookup are required.
type VerifierConfig struct {
	// Region and Product are what the credential scope must name, as in Config.
	Region, Product string

	// Bucket is the bucket behind Endpoint's host, for AddressingBucketHost, which requires it: the bucket is signed, and the
	// host does not tell it.
	Bucket string

	// Lookup returns the credentials of an access key id. It must compare the id to the letter: a header does not sign it.
	// Credentials of another id, or without a secret, are none; for an id that it does not know Lookup returns an error wrapping
	// signer.ErrUnknownKey. Verify returns any other error as it is.
	Lookup func(ctx context.Context, accessKeyID string) (Credentials, error)

	// Endpoint is the address under which clients reach the service, as in Config, whose scheme does not count; nil means the
	// region's public, internal, dual-stack and acceleration hosts. A request for another host is ErrScope.
	Endpoint *url.URL

	// Addressing says where the bucket stands in a URL; AddressingAuto takes virtual host and path.
	Addressing signer.Addressing

	// Inbound tells scheme, host and client of a request as the client sent it; nil takes r.TLS, r.Host and r.RemoteAddr. Set it
	// behind a proxy that rewrites Host.
	Inbound func(*http.Request) (signer.Inbound, error)

	// Clock is the verifier's clock; nil means clock.System(). A clock.Learned is refused.
	Clock clock.Clock

	// Leeway is how early a URL may be used, and how far the date of a header signature may be off, either way; 0 means 15
	// minutes, which is what OSS allows. A URL's end has none.
	Leeway time.Duration

	// AcceptV1 lets signatures of version 1 (HMAC-SHA1) pass too, with "OSS V1" as the Grant's Scheme, so that a gateway can
	// tell who still makes them. They cover neither region nor host, a URL of theirs lives for as long as its maker liked, and
	// of the parameters only some are signed: the others are not in Grant.Query. Without it they are ErrUnsupported.
	AcceptV1 bool
}

// A Verifier checks requests that were signed for OSS, in the query or in the header. It is safe for concurrent use.
type Verifier struct {
	endpoint endpoint
	lookup   func(context.Context, string) (Credentials, error)
	inbound  func(*http.Request) (signer.Inbound, error)
	clock    clock.Clock
	leeway   time.Duration
	acceptV1 bool
	keys     *sigv4.Cache[sigv4.Scope, *sigv4.Key]
	scratch  sync.Pool // of *sigv4.Scratch
}

var _ signer.Verifier = (*Verifier)(nil)

// NewVerifier returns a Verifier. It reports all that is wrong with c, joined.
func NewVerifier(c VerifierConfig) (*Verifier, error) {
	op := pipeline.Op{Backend: "oss", Name: "new verifier"}
	e, errEndpoint := newEndpoint(op, &Config{Region: c.Region, Product: c.Product, Bucket: c.Bucket, Endpoint: c.Endpoint, Addressing: c.Addressing})
	if errEndpoint == nil && c.Bucket != "" {
		if c.Addressing == signer.AddressingBucketHost {
			_, errEndpoint = e.target(op, c.Bucket)
		} else {
			errEndpoint = op.Errorf(signer.ErrRequest, "Bucket", "URLs tell it; leave it empty, or set AddressingBucketHost")
		}
	}
	clk, errClock := pipeline.VerifierClock(op, c.Clock)
	leeway, errLeeway := pipeline.Leeway(op, c.Leeway)
	var errLookup error
	if c.Lookup == nil {
		errLookup = op.Errorf(signer.ErrRequest, "Lookup", "there is none; it finds the credentials of an access key id")
	}
	var errV1 error
	if c.AcceptV1 && fips140.Enabled() {
		errV1 = op.Errorf(signer.ErrUnsupported, "AcceptV1", "version 1 is HMAC-SHA1, which FIPS 140 mode does not have")
	}
	if err := errors.Join(errEndpoint, errLookup, errClock, errLeeway, errV1); err != nil {
		return nil, err
	}
	inbound := c.Inbound
	if inbound == nil {
		inbound = pipeline.DirectHost
	}
	return &Verifier{endpoint: e, lookup: c.Lookup, inbound: inbound, clock: clk, leeway: leeway, acceptV1: c.AcceptV1,
		keys: sigv4.NewCache(family().NewKey)}, nil
}

// arrival is a request as it came over the wire.
type arrival struct {
	*http.Request
	signer.Inbound
	rawQuery    string
	bucket, key string
	now         time.Time
}

// claim is what a request says about its signature, in either form.
type claim struct {
	presignedQuery
	presigned bool
	timestamp string // as it is signed
}

// Verify checks the signature of req. See signer.Verifier for its contract.
//
// The signature covers every Content-Type, Content-MD5 and x-oss- header that is there, and those of AdditionalHeaders, which
// must be there; an x-amz- or x-goog- header must be among them. Parameters may not be repeated, nor those of a signature stand
// beside an Authorization header; the scope must name our region and product; a security token must be there exactly if the
// credentials have one. Path and query are taken from req.RequestURI if it is set. All faults of form, scope and time are
// reported, joined, before the key is looked up.
//
// Signatures of version 1 are ErrUnsupported unless VerifierConfig.AcceptV1 says otherwise, and those of version 2 always.
func (v *Verifier) Verify(ctx context.Context, req *http.Request) (*signer.Grant, error) {
	f := faults{pipeline.Faults{Op: pipeline.Op{Backend: "oss", Name: "verify"}}, headerCodes()}
	r := arrival{now: v.clock.Now()}
	var err error
	if r.Request, err = pipeline.CanonicalNames(f.Op, req, "InvalidArgument"); err != nil {
		return nil, err
	}
	if r.Inbound, err = v.inbound(req); err != nil {
		return nil, err
	}
	path, rawQuery, err := pipeline.RequestTarget(f.Op, req, "InvalidURI")
	if err != nil {
		return nil, err
	}
	r.rawQuery = rawQuery
	form, err := v.form(&f, &r)
	if err != nil {
		return nil, err
	}
	errPlace := v.place(f.Op, &r, path)
	if form == formV1Header || form == formV1Query {
		return v.verifyV1(ctx, &f, &r, form, errPlace)
	}

	c := f.claim(&r, form)
	v.checkScope(&f, &c)
	v.checkTimes(&f, &c, r.now)
	signed := f.signedHeaders(&r, &c)
	f.LooseHeaders(r.Request, signed, true, codeNotAccepted)
	if errPlace != nil {
		f.Errs = append(f.Errs, errPlace)
	}
	if err := f.Err(); err != nil {
		return nil, err
	}

	creds, err := v.credentials(ctx, f.Op, c.AccessKeyID, c.token, r.now)
	if err != nil {
		return nil, err
	}
	w := sigv4.TakeScratch(&v.scratch)
	defer w.Release(&v.scratch)
	if err := canonicalise(f.Op, w, &c, &r, signed); err != nil {
		return nil, err
	}
	sc := sigv4.Scope{Date: sigv4.StampOf(c.date.Unix()).Date(), Region: c.Region, Service: c.Product}
	w.ToSign = appendStringToSign(w.ToSign[:0], []byte(c.timestamp), &sc, w.Canonical)
	w.Trace(ctx)
	if !v.keys.Verify(creds.AccessKeySecret, sc, func(k *sigv4.Key) bool { return k.Verify(w.ToSign, c.Signature) }) {
		return nil, f.Op.Refusal(signer.ErrMismatch, "Signature", ecMismatch,
			"another method, bucket, key, parameter or header than was signed, or another secret; compare the canonical requests (signer.WithTrace)")
	}
	g := &signer.Grant{
		Backend: "oss", Scheme: algorithm, KeyID: c.AccessKeyID,
		Method: pipeline.MethodOf(r.Method), Bucket: r.bucket, Key: r.key, Query: c.others,
		SignedAt: c.date, NotBefore: c.date, ExpiresAt: c.date.Add(c.expires),
		SignedHeaders: signed,
		Header:        pipeline.SignedHeader(r.Request, signed, trimmed),
		Response:      pipeline.SignedResponse(c.others),
		Fingerprint:   pipeline.Fingerprint(append(w.ToSign[:0], c.Signature...)),
	}
	if !c.presigned {
		g.NotBefore, g.ExpiresAt = c.date.Add(-v.leeway), c.date.Add(v.leeway)
	}
	return g, nil
}

// A form is a version of the signature, and where it stands.
type form int

const (
	formHeader form = iota + 1
	formQuery
	formV1Header
	formV1Query
)

// form finds the signature. It is an error if there is none, if there are two, or if it is of a version that is not accepted.
func (v *Verifier) form(f *faults, r *arrival) (found form, err error) {
	auth := pipeline.HeaderValues(r.Header, "Authorization")
	own, v2 := "OSS4", false
	for rawName, rawValue := range wire.Pairs(r.rawQuery) {
		name, err := wire.UnescapeQuery(rawName)
		value, _ := wire.UnescapeQuery(rawValue)
		switch {
		case err != nil:
		case isAuthParam(name):
			found = formQuery
			v2 = v2 || strings.EqualFold(name, paramVersion) && value == "OSS2"
		case strings.EqualFold(name, paramKeyIDV1) && found == 0:
			found, own = formV1Query, pipeline.SchemeOf("Signature")
		}
	}
	if found == formQuery {
		own = "OSS4"
	}
	inQuery := found != 0
	if !inQuery && len(auth) > 0 {
		switch {
		case strings.HasPrefix(auth[0], "OSS4-"):
			found = formHeader
		case strings.HasPrefix(auth[0], "OSS2 "):
			found, v2 = formHeader, true
		case strings.HasPrefix(auth[0], "OSS "):
			found = formV1Header
		}
	}
	if found == 0 {
		return 0, f.Op.Refusal(signer.ErrUnsigned, "", codeNotAccepted, "the request has neither %s in its query nor %s in Authorization", paramSignature, algorithm)
	}
	if scheme, param := pipeline.ForeignSignature(r.rawQuery, own); scheme != "" {
		return 0, f.Op.Refusal(signer.ErrConflict, "URL", codeConflict, "beside the signature for OSS it carries one of %s (%s)", scheme, param)
	}
	switch {
	case inQuery && len(auth) > 0 || len(auth) > 1:
		return 0, f.Op.Refusal(signer.ErrConflict, "Authorization", codeConflict, "the signature stands in the query or in one Authorization header, not in both")
	case v2:
		return 0, f.Op.Refusal(signer.ErrUnsupported, "Signature", ecVersion, "it is of version 2, which OSS has withdrawn; sign with %s", algorithm)
	case (found == formV1Header || found == formV1Query) && !v.acceptV1:
		return 0, f.Op.Refusal(signer.ErrUnsupported, "Signature", codeNotAccepted, "it is of version 1 (HMAC-SHA1), which %s; sign with %s", phaseOutV1, algorithm)
	}
	return found, nil
}

// place finds bucket and key.
func (v *Verifier) place(op pipeline.Op, r *arrival, path string) error {
	decoded, err := wire.UnescapePath(path)
	if err != nil {
		return op.Refusal(signer.ErrMalformed, "URL", "InvalidURI", "its path: %w", err)
	}
	bucket, key, field, problem := v.endpoint.split(r.Inbound.Host, decoded)
	if problem != "" {
		return op.Refusal(signer.ErrScope, field, codeNotAccepted, "%s", problem)
	}
	if !utf8.ValidString(key) || strings.IndexByte(key, 0) >= 0 {
		return op.Refusal(signer.ErrMalformed, "URL", "InvalidURI", "its key holds a NUL or invalid UTF-8")
	}
	r.bucket, r.key = bucket, key
	return nil
}

// credentials looks a key up. It demands the security token exactly if the credentials have one, and refuses dead ones.
func (v *Verifier) credentials(ctx context.Context, op pipeline.Op, id, token string, now time.Time) (Credentials, error) {
	creds, err := v.lookup(ctx, id)
	if creds.AccessKeyID == "" {
		creds.AccessKeyID = id
	}
	if err == nil && (creds.AccessKeySecret.IsZero() || creds.AccessKeyID != id) {
		err = signer.ErrUnknownKey // never an HMAC under the empty key, nor a grant for an id in another spelling
	}
	switch {
	case errors.Is(err, signer.ErrUnknownKey):
		return creds, op.Refusal(signer.ErrUnknownKey, "Credential", codeUnknownKey, "no key has the id %s", pipeline.Shown(id))
	case err != nil:
		return creds, err
	case !creds.Expires.IsZero() && !now.Before(creds.Expires):
		return creds, op.Refusal(signer.ErrExpired, "Credential", codeUnknownKey, "the credentials died at %s", creds.Expires.UTC().Format(time.RFC3339))
	case subtle.ConstantTimeCompare([]byte(token), creds.SecurityToken.Reveal()) != 1:
		return creds, op.Refusal(signer.ErrMismatch, paramToken, codeUnknownKey, "the token is missing, superfluous, or not that of the access key")
	}
	return creds, nil
}

// claim reads a signature of version 4 from where it is.
func (f *faults) claim(r *arrival, found form) (c claim) {
	payload := pipeline.HeaderValues(r.Header, contentSHA256)
	if found == formQuery {
		f.codes = queryCodes()
		c.presigned = true
		c.presignedQuery = f.query(r.rawQuery)
		c.timestamp = c.stamp
		for _, name := range [...]string{"X-Oss-Date", "X-Oss-Security-Token"} {
			if r.Header[name] != nil {
				f.malformed(ecUnknown, name, "the header goes with a signature in the header, and this one is in the query")
			}
		}
	} else {
		c.Authorization = f.authorization(r.Header.Get("Authorization"))
		f.headerDate(&c, r.Header)
		c.token = strings.Join(r.Header["X-Oss-Security-Token"], ",")
		c.others = f.parameters(r.rawQuery)
		if payload == nil {
			f.malformed(ecPayload, contentSHA256, "the request needs one: %s", unsignedPayload)
		}
	}
	if payload != nil && (len(payload) != 1 || payload[0] != unsignedPayload) {
		f.malformed(ecPayload, contentSHA256, "OSS signs no hash of the body; it can only be %s", unsignedPayload)
	}
	return c
}

// parameters reads the query of a request that is signed in its header.
func (f *faults) parameters(rawQuery string) (all url.Values) {
	seen := make(map[string]bool)
	for rawName, rawValue := range wire.Pairs(rawQuery) {
		name, err1 := wire.UnescapeQuery(rawName)
		value, err2 := wire.UnescapeQuery(rawValue)
		if err1 != nil || err2 != nil {
			f.malformed(ecUnknown, "URL", "its query has a broken escape: %w", wire.ErrEscape)
			continue
		}
		if f.oneParam(seen, name) {
			if all == nil {
				all = make(url.Values)
			}
			all[name] = []string{value}
		}
	}
	return all
}

// headerDate reads X-Oss-Date, or Date if there is none; that is then signed as it stands.
func (f *faults) headerDate(c *claim, h http.Header) {
	field, values := "X-Oss-Date", h["X-Oss-Date"]
	if values == nil {
		field, values = "Date", h["Date"]
	}
	if len(values) != 1 {
		f.malformed(ecNoDate, "X-Oss-Date", "the request needs one, of the form 20060102T150405Z")
		return
	}
	var err error
	if field == "Date" {
		c.date, err = parseHTTPDate(values[0])
	} else {
		c.date, err = sigv4.ParseStamp(values[0])
	}
	if err != nil {
		f.malformed(ecDateForm, field, "%w", err)
		return
	}
	c.timestamp = values[0]
	stamp := sigv4.StampOf(c.date.Unix())
	if c.stamp = string(stamp[:]); c.Date != "" && c.Date != c.stamp[:8] {
		f.add(signer.ErrScope, ecUnknown, "Credential", "its date is %s, the day of %s %s", c.Date, field, c.stamp[:8])
	}
}

// parseHTTPDate reads the one form that OSS takes in Date.
func parseHTTPDate(s string) (time.Time, error) {
	t, err := time.Parse(http.TimeFormat, s)
	if err != nil || t.Unix() < 0 {
		return time.Time{}, errors.New("not a time of the form Mon, 02 Jan 2006 15:04:05 GMT")
	}
	return t, nil
}

func (v *Verifier) checkScope(f *faults, c *claim) {
	field := "Credential"
	if c.presigned {
		field = paramCredential
	}
	if c.Region != "" && c.Region != v.endpoint.region {
		f.add(signer.ErrScope, ecRegion, field, "the region %s is wrong; expecting %q: sign for that, or set VerifierConfig.Region", pipeline.Shown(c.Region), v.endpoint.region)
	}
	if c.Product != "" && c.Product != v.endpoint.product {
		f.add(signer.ErrScope, ecProduct, field, "the product %s is wrong; expecting %q", pipeline.Shown(c.Product), v.endpoint.product)
	}
}

// checkTimes holds a URL to its own life and a header to the leeway.
func (v *Verifier) checkTimes(f *faults, c *claim, now time.Time) {
	if c.date.IsZero() {
		return // said already
	}
	field, code, ends := paramDate, ecExpired, c.date.Add(c.expires)
	if !c.presigned {
		field, code, ends = "X-Oss-Date", ecSkew, c.date.Add(v.leeway)
	}
	switch {
	case now.Before(c.date.Add(-v.leeway)):
		if c.presigned {
			code = ecUnknown
		}
		f.add(signer.ErrNotYetValid, code, field, "the request was signed for %s, and it is %s; correct the signer's clock", c.stamp, now.UTC().Format(time.RFC3339))
	case !now.Before(ends) && (!c.presigned || c.expires > 0):
		f.add(signer.ErrExpired, code, field, "the signature was good until %s, and it is %s", ends.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
}

// signedHeaders are the names of the headers that the signature covers, sorted.
func (f *faults) signedHeaders(r *arrival, c *claim) (names []string) {
	for name := range r.Header {
		if signedByDefault(name) {
			names = append(names, strings.ToLower(name))
		}
	}
	for _, name := range c.AdditionalHeaders {
		if name == "" {
			continue // said already
		}
		there := r.Header[http.CanonicalHeaderKey(name)] != nil
		switch {
		case name == "host":
			there = r.Inbound.Host != ""
		case name == "content-length":
			there = there || r.ContentLength >= 0
		}
		if !there {
			f.malformed(ecHeaderAbsent, "AdditionalHeaders", "%s is in the list and not in the request; send it as it was signed", pipeline.Shown(name))
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	f.plainHeaders(r.Header, names)
	return names
}

// plainHeaders refuses signed headers that hold a control character: a line feed would make two lines of one. net/http delivers none,
// another server may.
func (f *faults) plainHeaders(h http.Header, names []string) {
	control := func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }
	for _, name := range names {
		for _, value := range h[http.CanonicalHeaderKey(name)] {
			if strings.ContainsFunc(value, control) {
				f.malformed(ecUnknown, "Header", "the value of %s holds a control character, so that one header could pass for two", pipeline.Shown(name))
			}
		}
	}
}

// headerValue is the value of a header as it is signed: those of several lines are joined, as they may be on the way.
func headerValue(values []string) string {
	trimmed := make([]string, len(values))
	for i, v := range values {
		trimmed[i] = strings.Trim(v, " ")
	}
	return strings.Join(trimmed, ",")
}

// canonicalise leaves the canonical request in w.Canonical.
func canonicalise(op pipeline.Op, w *sigv4.Scratch, c *claim, r *arrival, signed []string) error {
	if err := w.Params.Parse(r.rawQuery); err != nil {
		return op.Refusal(signer.ErrMalformed, "URL", "InvalidURI", "its query: %w", err)
	}
	if c.presigned {
		w.Params.List = slices.DeleteFunc(w.Params.List, func(p wire.Param) bool { return string(p.Name) == paramSignature })
	}
	w.Params.Sort()
	w.Query = appendParams(w.Query[:0], w.Params.List)
	for _, name := range signed {
		values := r.Header[http.CanonicalHeaderKey(name)]
		switch {
		case name == "host":
			w.AddHost([]byte(pipeline.CanonicalHost(r.Inbound.Scheme, r.Inbound.Host)))
		case name == "content-length" && r.ContentLength >= 0:
			w.AddHeader(name, strconv.FormatInt(r.ContentLength, 10))
		default:
			addTrimmed(w, name, headerValue(values))
		}
		if param := c.others[name]; c.presigned && param != nil && param[0] != string(w.Headers[len(w.Headers)-1].Value) {
			return op.Refusal(signer.ErrMalformed, "URL", codeConflict, "a parameter has the name of the signed header %s and another value", pipeline.Shown(name))
		}
	}
	w.Path = wire.AppendEscapePath(w.Path[:0], r.key)
	w.Canonical = appendCanonicalRequest(w.Canonical[:0], pipeline.MethodOf(r.Method), r.bucket, w.Path, w.Query, w.Headers)
	return nil
}
