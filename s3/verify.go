package s3

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io"
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
	// Region and Service are what the credential scope must name; Service "" means "s3".
	Region, Service string

	// Lookup returns the credentials of an access key id. It must compare the id to the letter: a header does not sign it. Credentials
	// of another id, or without a secret, are none; for an id that it does not know Lookup returns an error wrapping
	// signer.ErrUnknownKey. Verify returns any other error as it is.
	Lookup func(ctx context.Context, accessKeyID string) (Credentials, error)

	// Endpoint is the address under which clients reach the service, as in Config, whose scheme does not count; nil means
	// AWS's own hosts. A request
	// for another host is ErrScope, unless Addressing is AddressingPath and Endpoint nil: then any host will do.
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
	hosts    []string // under which the endpoint answers
	lookup   func(context.Context, string) (Credentials, error)
	inbound  func(*http.Request) (signer.Inbound, error)
	clock    clock.Clock
	leeway   time.Duration
	keys     *sigv4.Cache[sigv4.Scope, *sigv4.Key]
	keys4a   func() *sigv4.Cache[keyID, *key4a] // made when it is first needed
	scratch  sync.Pool                          // of *scratch
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
		inbound = pipeline.DirectInbound
	}
	return &Verifier{endpoint: e, hosts: e.hosts(), lookup: c.Lookup, inbound: inbound, clock: clk, leeway: leeway,
		keys: sigv4.NewCache(family().NewKey), keys4a: sync.OnceValue(newCache4a)}, nil
}

// claim is what a request says about its signature, in either form.
type claim struct {
	presignedQuery
	presigned bool
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
	f := faults{op: pipeline.Op{Backend: "s3", Name: "verify"}}
	now := v.clock.Now()
	req, err := canonicalNames(f.op, req)
	if err != nil {
		return nil, err
	}
	in, err := v.inbound(req)
	if err != nil {
		return nil, err
	}
	path, rawQuery, ok := requestTarget(req)
	if !ok {
		return nil, f.op.Refusal(signer.ErrMalformed, "URL", "InvalidURI", "its path must begin with a slash")
	}

	c, err := f.claim(req, rawQuery)
	if err != nil {
		return nil, err
	}
	v.checkScope(&f, &c)
	v.checkTimes(&f, &c, now)
	f.checkVendorHeaders(&c, req)
	bucket, key, err := v.object(f.op, in.Host, path)
	if err != nil {
		f.errs = append(f.errs, err)
	}
	if err := f.err(); err != nil {
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
		return nil, f.op.Refusal(signer.ErrUnknownKey, "Credential", "InvalidAccessKeyId", "no key has the id %s", shown(c.AccessKeyID))
	}
	if err != nil {
		return nil, err
	}
	if err := checkToken(f.op, &c, &creds, now); err != nil {
		return nil, err
	}

	w := takeScratch(&v.scratch)
	defer w.release(&v.scratch)
	missing, err := w.canonicalise(f.op, &c, req, in, path, rawQuery)
	if err != nil {
		return nil, err
	}
	stamp := sigv4.StampOf(c.date.Unix())
	sc := scope{Scope: sigv4.Scope{Date: stamp.Date(), Region: c.Region, Service: c.Service}, regionSet: c.regionSet}
	w.toSign = appendStringToSign(w.toSign[:0], stamp, &sc, w.canonical)
	w.trace(ctx)
	if missing != "" {
		return nil, f.op.Refusal(signer.ErrMismatch, missing, "SignatureDoesNotMatch", "the header was signed and is not in the request; send it as it was signed")
	}
	k := v.matches(&creds, &sc, w.toSign, c.Signature)
	if k == nil {
		return nil, f.op.Refusal(signer.ErrMismatch, "Signature", "SignatureDoesNotMatch",
			"another method, path, query or header than was signed, or another secret; compare the canonical requests (signer.WithTrace)")
	}
	g := v.grant(&c, req, bucket, key, w.toSign)
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
	identity := append(toSign, c.Signature...)
	if c.Algorithm == algorithm4a {
		identity = append(append(toSign, '\n'), c.AccessKeyID...) // whoever has an ECDSA signature can make a second one of it
	}
	sum := sha256.Sum256(identity)
	var fingerprint [32]byte
	hex.Encode(fingerprint[:], sum[:len(fingerprint)/2])
	g := &signer.Grant{
		Backend: "s3", Scheme: c.Algorithm, KeyID: c.AccessKeyID,
		Method: methodOf(req.Method), Bucket: bucket, Key: key, Query: c.others,
		SignedAt: c.date, NotBefore: c.date, ExpiresAt: c.date.Add(c.expires),
		SignedHeaders: c.SignedHeaders,
		Fingerprint:   string(fingerprint[:]),
	}
	if c.payload != unsignedPayload {
		g.Payload = c.payload
	}
	for _, name := range c.SignedHeaders {
		secret := name == "x-amz-security-token" || strings.HasSuffix(name, "-customer-key") // not for a Grant, which is logged
		if name = http.CanonicalHeaderKey(name); !secret && req.Header[name] != nil {
			setHeader(&g.Header, name, []string{strings.Join(req.Header[name], ",")})
		}
	}
	if !c.presigned {
		g.NotBefore, g.ExpiresAt = c.date.Add(-v.leeway), c.date.Add(v.leeway)
	}
	return g
}

// canonicalNames returns req with the names of its headers in the spelling of net/http, which never delivers others; adapters
// from other servers may. A name in two spellings is refused: one could be signed and the other be acted on.
func canonicalNames(op pipeline.Op, req *http.Request) (*http.Request, error) {
	if req == nil {
		return nil, op.Errorf(signer.ErrMalformed, "", "there is no request")
	}
	canonical := true
	for name := range req.Header {
		canonical = canonical && http.CanonicalHeaderKey(name) == name && token(name)
	}
	if canonical {
		return req, nil
	}
	h := make(http.Header, len(req.Header))
	for name, values := range req.Header {
		key := http.CanonicalHeaderKey(name)
		if _, twice := h[key]; twice || !token(name) {
			return nil, op.Refusal(signer.ErrMalformed, "Header", "InvalidRequest", "the name of a header is none, or is there in two spellings")
		}
		h[key] = values
	}
	r := *req // the caller's request stays as it is
	r.Header = h
	return &r, nil
}

// requestTarget returns path and query as they came over the wire.
func requestTarget(req *http.Request) (path, rawQuery string, ok bool) {
	if req.RequestURI == "" {
		if req.URL == nil {
			return "", "", false
		}
		path = req.URL.EscapedPath()
		if path == "" {
			path = "/"
		}
		return path, req.URL.RawQuery, path[0] == '/'
	}
	target := req.RequestURI
	if scheme, rest, absolute := strings.Cut(target, "://"); absolute && (scheme == "http" || scheme == "https") { // a request to a proxy
		at := strings.IndexAny(rest, "/?")
		if at < 0 || rest[at] == '?' {
			return "", "", false
		}
		target = rest[at:]
	}
	path, rawQuery, _ = strings.Cut(target, "?")
	return path, rawQuery, path != "" && path[0] == '/'
}

// claim reads the signature from where it is. Faults that leave something to check are collected in f; the error is for
// requests without a signature of ours, or with two.
func (f *faults) claim(req *http.Request, rawQuery string) (c claim, err error) {
	auth := headerValues(req.Header, "Authorization")
	for name := range wire.Pairs(rawQuery) {
		if name, err := wire.UnescapeQuery(name); err == nil && isAuthParam(name) {
			c.presigned = true
			break
		}
	}
	ours := len(auth) > 0 && strings.HasPrefix(auth[0], "AWS4-")
	if !c.presigned && !ours {
		return c, f.op.Refusal(signer.ErrUnsigned, "", "AccessDenied", "the request has neither X-Amz-Signature in its query nor AWS4-HMAC-SHA256 in Authorization")
	}
	if scheme, param := pipeline.ForeignSignature(rawQuery, "AWS4"); scheme != "" {
		return c, f.op.Refusal(signer.ErrConflict, "URL", "InvalidRequest", "beside the AWS4 signature it carries one of %s (%s)", scheme, param)
	}
	if c.presigned && len(auth) > 0 || len(auth) > 1 {
		return c, f.op.Refusal(signer.ErrConflict, "Authorization", "InvalidRequest", "only one authorization is allowed, in the query or in one header")
	}
	if c.presigned {
		f.code = "AuthorizationQueryParametersError"
		c.presignedQuery = f.query(rawQuery)
		for _, name := range [...]string{"X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Region-Set"} {
			if req.Header[name] != nil {
				f.malformed(name, "the header goes with a signature in the header, and this one is in the query")
			}
		}
		f.payload(&c, req)
		return c, nil
	}
	f.code = "AuthorizationHeaderMalformed"
	c.Authorization = f.authorization(auth[0])
	regionSet := headerValues(req.Header, "X-Amz-Region-Set")
	c.regionSet = strings.Join(regionSet, ",")
	f.regionSet(c.Algorithm, regionSet != nil, c.regionSet)
	f.headerDate(&c, req)
	f.payload(&c, req)
	c.token = strings.Join(headerValues(req.Header, "X-Amz-Security-Token"), ",")
	for name, value := range wire.Pairs(rawQuery) { // the query of a request that is signed in its header
		if c.others == nil {
			c.others = make(url.Values)
		}
		n, err1 := wire.UnescapeQuery(name)
		v, err2 := wire.UnescapeQuery(value)
		if err1 != nil || err2 != nil {
			f.malformed("URL", "its query has a broken escape: %w", wire.ErrEscape)
			break
		}
		c.others[n] = append(c.others[n], v)
		slices.Sort(c.others[n])
	}
	return c, nil
}

// headerDate reads X-Amz-Date, or Date if there is none.
func (f *faults) headerDate(c *claim, req *http.Request) {
	field, values := "X-Amz-Date", headerValues(req.Header, "X-Amz-Date")
	if values == nil {
		field, values = "Date", headerValues(req.Header, "Date")
	}
	if len(values) != 1 {
		f.malformed(field, "the request needs one, of the form 20060102T150405Z")
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
		f.malformed(field, "it is not of the form 20060102T150405Z")
		return
	}
	stamp := sigv4.StampOf(c.date.Unix())
	if c.stamp = string(stamp[:]); c.Date != "" && c.Date != c.stamp[:8] {
		f.add(signer.ErrScope, "Credential", "its date is %s, the day of %s %s", c.Date, field, c.stamp[:8])
	}
}

// payload reads X-Amz-Content-Sha256, which a header signature needs and a URL can do without.
func (f *faults) payload(c *claim, req *http.Request) {
	values := headerValues(req.Header, "X-Amz-Content-Sha256")
	switch {
	case values == nil && c.presigned:
		c.payload = unsignedPayload
	case len(values) != 1:
		f.malformed("X-Amz-Content-Sha256", "the request needs one: the SHA-256 of its body in hex, or %s", unsignedPayload)
	case strings.HasPrefix(values[0], streaming) && c.presigned:
		f.add(signer.ErrUnsupported, "X-Amz-Content-Sha256", "a body in chunks goes with a signature in the header")
	case strings.HasPrefix(values[0], streaming):
		f.chunked(c, req, values[0])
	case values[0] != unsignedPayload && (len(values[0]) != 64 || !lowerHex(values[0])):
		f.malformed("X-Amz-Content-Sha256", "it is neither a SHA-256 in lower-case hex nor %s", unsignedPayload)
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
		f.add(signer.ErrScope, "X-Amz-Region-Set", "%s does not name the region %q", shown(c.regionSet), v.endpoint.region)
	}
	if c.Region != "" && c.Region != v.endpoint.region {
		f.add(signer.ErrScope, field, "the region %s is wrong; expecting %q: sign for that, or set VerifierConfig.Region", shown(c.Region), v.endpoint.region)
	}
	if c.Service != "" && c.Service != v.endpoint.service {
		f.add(signer.ErrScope, field, "the service %s is wrong; expecting %q", shown(c.Service), v.endpoint.service)
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
		f.errs = append(f.errs, f.op.Refusal(sentinel, "X-Amz-Date", code, format, args...))
	}
	switch {
	case now.Before(c.date.Add(-v.leeway)):
		refuse(signer.ErrNotYetValid, "the request was signed for %s, and it is %s; correct the signer's clock", c.stamp, now.UTC().Format(time.RFC3339))
	case !now.Before(ends) && (!c.presigned || c.expires > 0):
		refuse(signer.ErrExpired, "the signature was good until %s, and it is %s", ends.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
}

// checkVendorHeaders refuses headers that change what a request does and are not signed: a presigned PUT with
// x-amz-copy-source added would read any object.
func (f *faults) checkVendorHeaders(c *claim, req *http.Request) {
	signed := func(name string) bool {
		_, found := slices.BinarySearch(c.SignedHeaders, name)
		return found
	}
	var loose []string
	for name := range req.Header {
		if len(name) < len("x-amz-") || name[0]|0x20 != 'x' || name[1] != '-' {
			continue
		}
		name = strings.ToLower(name)
		if (strings.HasPrefix(name, "x-amz-") || strings.HasPrefix(name, "x-goog-") || strings.HasPrefix(name, "x-oss-")) &&
			!signed(name) {
			loose = append(loose, name)
		}
	}
	for name := range req.Trailer {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && !signed(name) && c.chunked == nil {
			loose = append(loose, name)
		}
	}
	if loose != nil {
		const most = 32
		slices.Sort(loose)
		f.errs = append(f.errs, f.op.Refusal(signer.ErrMismatch, strings.Join(loose[:min(len(loose), most)], ","), "AccessDenied",
			"there were headers present in the request which were not signed; sign them or do not send them"))
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

// canonicalise leaves the canonical request in w.canonical. It names a header that was signed and is missing; the canonical
// request is then that of what is there, as services show it.
func (w *scratch) canonicalise(op pipeline.Op, c *claim, req *http.Request, in signer.Inbound, path, rawQuery string) (missing string, err error) {
	if w.path, err = wire.AppendCanonicalPath(w.path[:0], path); err != nil {
		return "", op.Refusal(signer.ErrMalformed, "URL", "InvalidURI", "its path: %w", err)
	}
	if err := w.params.Parse(rawQuery); err != nil {
		return "", op.Refusal(signer.ErrMalformed, "URL", "InvalidURI", "its query: %w", err)
	}
	if c.presigned {
		w.params.List = slices.DeleteFunc(w.params.List, func(p wire.Param) bool { return string(p.Name) == "X-Amz-Signature" })
	}
	w.params.Sort()
	w.query = wire.AppendParams(w.query[:0], w.params.List)
	for _, name := range c.SignedHeaders {
		switch values := req.Header[http.CanonicalHeaderKey(name)]; {
		case name == "host":
			w.addHeader(name, canonicalHost(in.Scheme, in.Host))
		case name == "content-length" && req.ContentLength >= 0:
			w.addHeader(name, strconv.FormatInt(req.ContentLength, 10))
		case values == nil:
			missing = name
		default:
			w.addHeader(name, values...)
		}
	}
	w.canonical = appendCanonicalRequest(w.canonical[:0], methodOf(req.Method), w.path, w.query, w.headers, c.payload)
	return missing, nil
}

// object finds bucket and key in a request's host and path, decoded. It is the inverse of target and appendURL.
func (v *Verifier) object(op pipeline.Op, host, path string) (bucket, key string, err error) {
	bucket, key, err = v.split(op, host, path)
	if err == nil && bucket == "" && key != "" || bucket != "" && pipeline.CheckBucket(op, "URL", bucket) != nil {
		return "", "", op.Refusal(signer.ErrScope, "URL", "InvalidBucketName", "it names no bucket")
	}
	if !utf8.ValidString(key) || strings.IndexByte(key, 0) >= 0 {
		return "", "", op.Refusal(signer.ErrMalformed, "URL", "InvalidURI", "its key holds a NUL or invalid UTF-8")
	}
	return bucket, key, err
}

// split is object without the checks of what comes out.
func (v *Verifier) split(op pipeline.Op, host, path string) (bucket, key string, err error) {
	e := &v.endpoint
	path, err = wire.UnescapePath(path)
	if err != nil {
		return "", "", op.Refusal(signer.ErrMalformed, "URL", "InvalidURI", "its path: %w", err)
	}
	host = canonicalHost(e.scheme, strings.ToLower(host))
	base, err := wire.UnescapePath(e.base)
	if err != nil {
		return "", "", err // unreachable: we encoded it
	}
	rest, ok := strings.CutPrefix(path, base+"/")
	if !ok && path == base {
		rest, ok = "", true
	}
	if !ok {
		return "", "", op.Refusal(signer.ErrScope, "URL", "InvalidURI", "its path is not under %q", base)
	}
	if e.addressing == signer.AddressingPath && !e.custom {
		bucket, key, _ = strings.Cut(rest, "/")
		return bucket, key, nil
	}
	for _, own := range v.hosts {
		if host == own {
			switch e.addressing {
			case signer.AddressingBucketHost:
				return strings.ReplaceAll(hostname(host), ":", "."), rest, nil // an IPv6 address has colons, a bucket none
			case signer.AddressingAuto, signer.AddressingPath:
				bucket, key, _ = strings.Cut(rest, "/")
				return bucket, key, nil
			}
		}
		if bucket, ok := strings.CutSuffix(host, "."+own); ok &&
			(e.addressing == signer.AddressingAuto || e.addressing == signer.AddressingVirtualHost) {
			return bucket, rest, nil
		}
	}
	return "", "", op.Refusal(signer.ErrScope, "Host", "InvalidRequest", "%s is not the host of this service, %s; if clients use another address, set VerifierConfig.Endpoint to it, if a proxy rewrites Host, set Inbound", shown(host), e.host)
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
