package s3

import (
	"context"
	"crypto/subtle"
	"errors"
	"io"
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

// VerifierConfig says what a Verifier accepts. Region and Lookup are required.
type VerifierConfig struct {
	// Region and Service are what the credential scope must name; Service "" means "s3".
	Region, Service string

	// Lookup returns the credentials of an access key id. It must compare the id to the letter: a header does not sign it. Credentials
	// of another id, or without a secret, are none; for an id that it does not know Lookup returns an error wrapping
	// signer.ErrUnknownKey. Verify returns any other error as it is.
	Lookup func(ctx context.Context, accessKeyID string) (Credentials, error)

	// Endpoint is the address under which clients reach the service, as in Config, whose scheme does not count; nil means
	// AWS's own hosts. A request for another host is ErrScope, unless Addressing is AddressingPath and Endpoint nil: then any
	// host will do.
	Endpoint *url.URL

	// Addressing says where the bucket stands in a URL; AddressingAuto takes virtual host and path.
	Addressing signer.Addressing

	// Inbound tells scheme, host and client of a request as the client sent it; nil takes r.TLS, r.Host and
	// r.RemoteAddr. Set it behind a proxy that rewrites Host.
	Inbound func(*http.Request) (signer.Inbound, error)

	// Clock is the verifier's clock; nil means clock.System(). A clock.Learned is refused.
	Clock clock.Clock

	// Leeway is how early a URL may be used, and how far the date of a header signature may be off, either way; 0 means
	// 15 minutes. A URL's end has none.
	Leeway time.Duration
}

// A Verifier checks requests that were signed with SigV4, in the query or in the header. It is safe for concurrent use.
type Verifier struct {
	endpoint endpoint
	places   pipeline.Locations
	lookup   func(context.Context, string) (Credentials, error)
	inbound  func(*http.Request) (signer.Inbound, error)
	clock    clock.Clock
	leeway   time.Duration
	keys     *sigv4.Cache[sigv4.Scope, *sigv4.Key]
	keys4a   func() *sigv4.Cache[keyID, *key4a] // made when it is first needed
	scratch  sync.Pool                          // of *sigv4.Scratch
}

var _ signer.Verifier = (*Verifier)(nil)

// NewVerifier returns a Verifier. It reports all that is wrong with c, joined.
func NewVerifier(c VerifierConfig) (*Verifier, error) {
	op := pipeline.Op{Backend: "s3", Name: "new verifier"}
	addressing := c.Addressing
	if c.Endpoint == nil && addressing == signer.AddressingBucketHost {
		return nil, op.Errorf(signer.ErrRequest, "Addressing", "with the bucket as the host, Endpoint must name that host")
	}
	e, errEndpoint := newEndpoint(op, &Config{Region: c.Region, Service: c.Service, Endpoint: c.Endpoint, Addressing: addressing})
	clk, errClock := pipeline.VerifierClock(op, c.Clock)
	leeway, errLeeway := pipeline.Leeway(op, c.Leeway)
	var errLookup error
	if c.Lookup == nil {
		errLookup = op.Errorf(signer.ErrRequest, "Lookup", "there is none; it finds the credentials of an access key id")
	}
	if err := errors.Join(errEndpoint, errLookup, errClock, errLeeway); err != nil {
		return nil, err
	}
	inbound := c.Inbound
	if inbound == nil {
		inbound = pipeline.DirectHost
	}
	places := pipeline.Locations{Scheme: e.scheme, Hosts: e.hosts(), AnyHost: addressing == signer.AddressingPath && !e.custom,
		Base: e.base, Addressing: addressing}
	return &Verifier{endpoint: e, places: places, lookup: c.Lookup, inbound: inbound, clock: clk, leeway: leeway,
		keys: sigv4.NewCache(family().NewKey), keys4a: sync.OnceValue(newCache4a)}, nil
}

// claim is what a request says about its signature, in either form.
type claim struct {
	presignedQuery
	presigned bool
	known     bool   // the query is, but for its signature
	payload   string // the last line of the canonical request
	chunked   *chunkedPayload
}

// Verify checks the signature of req. See signer.Verifier for its contract.
//
// The signature must cover host and every x-amz-, x-goog- and x-oss- header that is there; parameters of a signature may
// not be repeated, nor stand beside an Authorization header; the scope must name our region and service; a session token
// must be there exactly if the credentials have one. Path and query are taken from req.RequestURI if it is set. All faults
// of form, scope and time are reported, joined, before the key is looked up.
func (v *Verifier) Verify(ctx context.Context, req *http.Request) (*signer.Grant, error) {
	f := faults{pipeline.Faults{Op: pipeline.Op{Backend: "s3", Name: "verify"}}}
	now := v.clock.Now()
	req, err := pipeline.CanonicalNames(f.Op, req, "InvalidRequest")
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

	w := sigv4.TakeScratch(&v.scratch)
	defer w.Release(&v.scratch)
	c, err := f.claim(w, req, rawQuery)
	if err != nil {
		return nil, err
	}
	v.checkScope(&f, &c)
	v.checkTimes(&f, &c, now)
	f.LooseHeaders(req, c.SignedHeaders, c.chunked == nil, "AccessDenied")
	bucket, key, err := v.places.Object(f.Op, in.Host, path)
	if err != nil {
		f.Errs = append(f.Errs, err)
	}
	if err := f.Err(); err != nil {
		return nil, err
	}

	creds, err := v.lookup(ctx, c.AccessKeyID)
	if creds.AccessKeyID == "" {
		creds.AccessKeyID = c.AccessKeyID
	}
	if err == nil && (creds.SecretKey.IsZero() || creds.AccessKeyID != c.AccessKeyID) {
		err = signer.ErrUnknownKey // never an HMAC under the empty key, nor a grant for an id in another spelling
	}
	if errors.Is(err, signer.ErrUnknownKey) {
		return nil, f.Op.Refusal(signer.ErrUnknownKey, "Credential", "InvalidAccessKeyId", "no key has the id %s", pipeline.Shown(c.AccessKeyID))
	}
	if err != nil {
		return nil, err
	}
	if err := checkToken(f.Op, &c, &creds, now); err != nil {
		return nil, err
	}

	missing, err := canonicalise(f.Op, w, &c, req, in, path)
	if err != nil {
		return nil, err
	}
	stamp := sigv4.Stamp([]byte(c.stamp))
	sc := scope{Scope: sigv4.Scope{Date: stamp.Date(), Region: c.Region, Service: c.Service}, regionSet: c.regionSet}
	w.ToSign = appendStringToSign(w.ToSign[:0], stamp, &sc, w.Canonical)
	w.Trace(ctx)
	if missing != "" {
		return nil, f.Op.Refusal(signer.ErrMismatch, pipeline.Clip(missing), "SignatureDoesNotMatch", "the header was signed and is not in the request; send it as it was signed")
	}
	k := v.matches(&creds, &sc, w.ToSign, c.Signature)
	if k == nil {
		return nil, f.Op.Refusal(signer.ErrMismatch, "Signature", "SignatureDoesNotMatch",
			"another method, path, query or header than was signed, or another secret; compare the canonical requests (signer.WithTrace)")
	}
	if c.presigned && !c.known { // only now: strangers cannot push it out
		sigv4.Kept[knownQuery](w).keep(rawQuery, &c.presignedQuery, w.Query)
	}
	g := v.grant(&c, req, bucket, key, w.ToSign)
	if p := c.chunked; p != nil {
		chunks := chunkSigner{key: k, stamp: stamp, scope: sc, previous: []byte(c.Signature)}
		g.Chunks = func(r io.ReadCloser) io.ReadCloser { return p.body(r, chunks) }
	}
	return g, nil
}

// matches returns the key that made a signature, or nil if the credentials' did not.
func (v *Verifier) matches(creds *Credentials, sc *scope, toSign []byte, signature string) (key signingKey) {
	matches := func(k signingKey) bool {
		key = k
		return k.Verify(toSign, signature)
	}
	var ok bool
	if sc.regionSet != "" {
		ok = v.keys4a().Verify(creds.SecretKey, keyID(creds.AccessKeyID), func(k *key4a) bool { return matches(k) })
	} else {
		ok = v.keys.Verify(creds.SecretKey, sc.Scope, func(k *sigv4.Key) bool { return matches(k) })
	}
	if !ok {
		return nil
	}
	return key
}

func (v *Verifier) grant(c *claim, req *http.Request, bucket, key string, toSign []byte) *signer.Grant {
	var identity []byte
	if c.Algorithm == algorithm4a {
		identity = append(append(toSign, '\n'), c.AccessKeyID...) // whoever has an ECDSA signature can make a second one of it
	} else {
		identity = append(toSign[:0], c.Signature...) // an HMAC belongs to one string
	}
	g := &signer.Grant{
		Backend: "s3", Scheme: c.Algorithm, KeyID: c.AccessKeyID,
		Method: pipeline.MethodOf(req.Method), Bucket: bucket, Key: key, Query: c.others,
		SignedAt: c.date, NotBefore: c.date, ExpiresAt: c.date.Add(c.expires),
		SignedHeaders: c.SignedHeaders,
		Fingerprint:   pipeline.Fingerprint(identity),
		Header:        pipeline.SignedHeader(req, c.SignedHeaders, pipeline.Folded),
		Response:      pipeline.SignedResponse(c.others),
	}
	if c.payload != unsignedPayload {
		g.Payload = c.payload
	}
	if !c.presigned {
		g.NotBefore, g.ExpiresAt = c.date.Add(-v.leeway), c.date.Add(v.leeway)
	}
	return g
}

// A knownQuery is the query of a presigned URL but the signature, and what it says. URLs of one second share it, and those of one
// Window, so that a Scratch keeps the last one: that of a page's images is read once. What it says is checked each time.
type knownQuery struct {
	text      string // as it came, as far as the signature's equals sign
	read      presignedQuery
	canonical []byte
}

// recall splits the signature from a query if all else is known.
func (k *knownQuery) recall(rawQuery string) (q presignedQuery, signature string, ok bool) {
	signature, ok = strings.CutPrefix(rawQuery, k.text)
	if !ok || k.text == "" || !pipeline.LowerHex(signature) { // what is encoded or goes on must be read
		return q, "", false
	}
	q = k.read
	q.SignedHeaders = slices.Clone(q.SignedHeaders) // the Grant's
	return q, signature, true
}

// keep keeps a query that was read, if the signature is its end and nothing in it belongs to the Grant.
func (k *knownQuery) keep(rawQuery string, read *presignedQuery, canonical []byte) {
	const most = 8 << 10
	text, ok := strings.CutSuffix(rawQuery, read.Signature)
	if ok && strings.HasSuffix(text, "&X-Amz-Signature=") && len(text) <= most && read.others == nil {
		k.text, k.read, k.canonical = strings.Clone(text), *read, append(k.canonical[:0], canonical...)
		k.read.SignedHeaders = slices.Clone(read.SignedHeaders)
	}
}

// claim reads the signature from where it is, and all parameters that it covers into w.Query. Faults that leave something to check are
// collected in f; the error is for requests without a signature of ours, or with two.
func (f *faults) claim(w *sigv4.Scratch, req *http.Request, rawQuery string) (c claim, err error) {
	auth := pipeline.HeaderValues(req.Header, "Authorization")
	known := sigv4.Kept[knownQuery](w)
	if read, signature, ok := known.recall(rawQuery); ok && len(auth) == 0 {
		c.presigned, c.known, c.presignedQuery = true, true, read
		w.Query = append(w.Query[:0], known.canonical...)
		f.Code = "AuthorizationQueryParametersError"
		f.signature(&c.Authorization, "X-Amz-Signature", signature)
		f.besideQuery(&c, req)
		return c, nil
	}
	query := readQuery(&w.Params, rawQuery)
	w.Params.Sort()
	w.Query = wire.AppendParams(w.Query[:0], w.Params.List)
	c.presigned = query.presigned()
	ours := len(auth) > 0 && strings.HasPrefix(auth[0], "AWS4-")
	if !c.presigned && !ours {
		return c, f.Op.Refusal(signer.ErrUnsigned, "", "AccessDenied", "the request has neither X-Amz-Signature in its query nor AWS4-HMAC-SHA256 in Authorization")
	}
	if scheme, param := query.foreign[0], query.foreign[1]; scheme != "" {
		return c, f.Op.Refusal(signer.ErrConflict, "URL", "InvalidRequest", "beside the AWS4 signature it carries one of %s (%s)", scheme, param)
	}
	if c.presigned && len(auth) > 0 || len(auth) > 1 {
		return c, f.Op.Refusal(signer.ErrConflict, "Authorization", "InvalidRequest", "only one authorization is allowed, in the query or in one header")
	}
	if c.presigned {
		f.Code = "AuthorizationQueryParametersError"
		c.presignedQuery = f.query(&query)
		f.besideQuery(&c, req)
		return c, nil
	}
	f.Code = "AuthorizationHeaderMalformed"
	c.Authorization = f.authorization(auth[0])
	regionSet := pipeline.HeaderValues(req.Header, "X-Amz-Region-Set")
	c.regionSet = strings.Join(regionSet, ",")
	f.regionSet(c.Algorithm, regionSet != nil, c.regionSet)
	f.headerDate(&c, req)
	f.payload(&c, req)
	c.token = strings.Join(pipeline.HeaderValues(req.Header, "X-Amz-Security-Token"), ",")
	if c.others = query.others; query.broken {
		f.Malformed("URL", "its query has a broken escape: %w", wire.ErrEscape)
	}
	sortValues(c.others)
	return c, nil
}

// besideQuery reads the headers that concern a signature in the query.
func (f *faults) besideQuery(c *claim, req *http.Request) {
	for _, name := range [...]string{"X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Region-Set"} {
		if req.Header[name] != nil {
			f.Malformed(name, "the header goes with a signature in the header, and this one is in the query")
		}
	}
	f.payload(c, req)
}

// headerDate reads X-Amz-Date, or Date if there is none.
func (f *faults) headerDate(c *claim, req *http.Request) {
	field, values := "X-Amz-Date", pipeline.HeaderValues(req.Header, "X-Amz-Date")
	if values == nil {
		field, values = "Date", pipeline.HeaderValues(req.Header, "Date")
	}
	if len(values) != 1 {
		f.Malformed(field, "the request needs one, of the form 20060102T150405Z")
		return
	}
	var err error
	if c.date, err = sigv4.ParseStamp(values[0]); err != nil && field == "Date" {
		c.date, err = http.ParseTime(values[0])
		if err == nil && c.date.Unix() < 0 {
			c.date, err = time.Time{}, errors.New("before 1970")
		}
	}
	if err != nil {
		f.Malformed(field, "it is not of the form 20060102T150405Z")
		return
	}
	stamp := sigv4.StampOf(c.date.Unix())
	if c.stamp = string(stamp[:]); c.Date != "" && c.Date != c.stamp[:8] {
		f.Add(signer.ErrScope, "Credential", "its date is %s, the day of %s %s", c.Date, field, c.stamp[:8])
	}
}

// payload reads X-Amz-Content-Sha256, which a header signature needs and a URL can do without.
func (f *faults) payload(c *claim, req *http.Request) {
	values := pipeline.HeaderValues(req.Header, "X-Amz-Content-Sha256")
	switch {
	case values == nil && c.presigned:
		c.payload = unsignedPayload
	case len(values) != 1:
		f.Malformed("X-Amz-Content-Sha256", "the request needs one: the SHA-256 of its body in hex, or %s", unsignedPayload)
	case strings.HasPrefix(values[0], streaming) && c.presigned:
		f.Add(signer.ErrUnsupported, "X-Amz-Content-Sha256", "a body in chunks goes with a signature in the header")
	case strings.HasPrefix(values[0], streaming):
		f.chunked(c, req, values[0])
	case values[0] != unsignedPayload && (len(values[0]) != 64 || !pipeline.LowerHex(values[0])):
		f.Malformed("X-Amz-Content-Sha256", "it is neither a SHA-256 in lower-case hex nor %s", unsignedPayload)
	default:
		c.payload = values[0]
	}
}

func (v *Verifier) checkScope(f *faults, c *claim) {
	field := "Credential"
	if c.presigned {
		field = "X-Amz-Credential"
	}
	if c.Algorithm == algorithm4a && c.regionSet != "" && !inRegionSet(c.regionSet, v.endpoint.region) {
		f.Add(signer.ErrScope, "X-Amz-Region-Set", "%s does not name the region %q", pipeline.Shown(c.regionSet), v.endpoint.region)
	}
	if c.Region != "" && c.Region != v.endpoint.region {
		f.Add(signer.ErrScope, field, "the region %s is wrong; expecting %q: sign for that, or set VerifierConfig.Region", pipeline.Shown(c.Region), v.endpoint.region)
	}
	if c.Service != "" && c.Service != v.endpoint.service {
		f.Add(signer.ErrScope, field, "the service %s is wrong; expecting %q", pipeline.Shown(c.Service), v.endpoint.service)
	}
}

// checkTimes holds a URL to its own life and a header to the leeway.
func (v *Verifier) checkTimes(f *faults, c *claim, now time.Time) {
	if c.date.IsZero() {
		return // said already
	}
	code, ends := "AccessDenied", c.date.Add(c.expires)
	if !c.presigned {
		code, ends = "RequestTimeTooSkewed", c.date.Add(v.leeway)
	}
	refuse := func(sentinel error, format string, args ...any) {
		f.Errs = append(f.Errs, f.Op.Refusal(sentinel, "X-Amz-Date", code, format, args...))
	}
	switch {
	case now.Before(c.date.Add(-v.leeway)):
		refuse(signer.ErrNotYetValid, "the request was signed for %s, and it is %s; correct the signer's clock", c.stamp, now.UTC().Format(time.RFC3339))
	case !now.Before(ends) && (!c.presigned || c.expires > 0):
		refuse(signer.ErrExpired, "the signature was good until %s, and it is %s", ends.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
}

// checkToken demands the session token exactly if the credentials have one, and refuses dead credentials.
func checkToken(op pipeline.Op, c *claim, creds *Credentials, now time.Time) error {
	switch {
	case !creds.Expires.IsZero() && !now.Before(creds.Expires):
		return op.Refusal(signer.ErrExpired, "Credential", "ExpiredToken", "the credentials died at %s", creds.Expires.UTC().Format(time.RFC3339))
	case subtle.ConstantTimeCompare([]byte(c.token), creds.SessionToken.Reveal()) != 1:
		return op.Refusal(signer.ErrMismatch, "X-Amz-Security-Token", "InvalidToken", "the token is missing, superfluous, or not that of the access key")
	}
	return nil
}

// canonicalise leaves the canonical request, for which claim has left the query in w.Query, in w.Canonical. It names a header that was
// signed and is missing; the canonical request is then that of what is there, as services show it.
func canonicalise(op pipeline.Op, w *sigv4.Scratch, c *claim, req *http.Request, in signer.Inbound, path string) (missing string, err error) {
	if w.Path, err = wire.AppendCanonicalPath(w.Path[:0], path); err != nil {
		return "", op.Refusal(signer.ErrMalformed, "URL", "InvalidURI", "its path: %w", err)
	}
	for _, name := range c.SignedHeaders {
		if name == "host" {
			w.AddHeader(name, pipeline.CanonicalHost(in.Scheme, in.Host))
			continue
		}
		switch values := req.Header[http.CanonicalHeaderKey(name)]; {
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

// hosts are the names under which the endpoint answers.
func (e *endpoint) hosts() []string {
	if e.custom {
		return []string{e.host}
	}
	return []string{
		e.host,
		awsHost("s3", e.region, false, false), awsHost("s3", e.region, true, false),
		awsHost("s3", e.region, false, true), awsHost("s3", e.region, true, true),
		"s3-accelerate.dualstack.amazonaws.com", "s3-accelerate.amazonaws.com", "s3.amazonaws.com",
		multiRegionDomain,
	}
}
