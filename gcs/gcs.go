// Package gcs signs and verifies requests to Google Cloud Storage with its V4 signing process.
//
//	key, err := gcs.ServiceAccountKey(file) // the file's content; or without one, with IAM: the package gcs/iam
//	if err != nil {
//		return err
//	}
//	s, err := gcs.New(gcs.Config{Bucket: "photos", Key: key})
//	if err != nil {
//		return err
//	}
//	p, err := s.Presign(ctx, signer.Request{Key: "2026/cat.jpg", Expires: 15 * time.Minute})
//
// A Signer presigns from bucket and key (Presign, AppendURL), presigns a finished URL (PresignRequest) and signs requests
// in their Authorization header (Sign). A Verifier checks both forms on the server's side.
//
// # Keys
//
// Who signs is a service account, with its RSA key: in a file (ServiceAccountKey, PEMKey), in a KMS, an HSM or a TPM (RSAKey),
// or kept by Google and used through IAM's signBlob (gcs/iam, RemoteKey). An HMAC key (HMACKey) signs a thousand times
// faster. With a Window, the others sign a URL once and remember the signature: up to 4096 of them for each Signer, 8 MiB at
// most, until others take their place. What a URL can do is what its account may do when the URL is used.
//
// # Uploads
//
// A resumable upload begins with a POST that has the header x-goog-resumable: start; the answer's Location is then used
// without a signature. The header x-goog-content-length-range: 0,1048576 bounds the size of an upload. Both go into
// Request.Header:
//
//	signer.Request{Method: "POST", Key: "film.mp4", Header: http.Header{"X-Goog-Resumable": {"start"}}, Expires: time.Hour}
//
// PresignPost signs an HTML form, whose policy says how large the file may be, of which type, and what its name must begin with.
//
// The specification is https://docs.cloud.google.com/storage/docs/authentication/signatures.
package gcs

import (
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Config says for whom and where a Signer signs. Key is required.
type Config struct {
	// Bucket is used where a Request names none.
	Bucket string

	// Key signs. It is parsed once, when it is made.
	Key Key

	// Endpoint is the service's address, without the bucket unless Addressing says so; nil means
	// https://storage.googleapis.com. Another universe's is https://storage.DOMAIN; an emulator's is what STORAGE_EMULATOR_HOST
	// would say, with http:// in front. Its port goes into the URL and not under the signature, as Google has it.
	Endpoint *url.URL

	// Addressing says where the bucket stands. AddressingAuto puts it into the path. AddressingBucketHost is for a domain that
	// is mapped to a bucket; over https that takes a load balancer.
	Addressing signer.Addressing

	// Location is part of the credential scope; "" means "auto". Google takes any.
	Location string

	// Clock is the signer's clock; nil means clock.System(). One that has learned is asked for the time at the endpoint's
	// host.
	Clock clock.Clock

	// Backdate is how far before now a presigned URL starts; 0 and negative mean not at all, because Google takes a URL from 15
	// minutes before its date. The URL still ends when it was to end. Sign does not backdate.
	Backdate time.Duration
}

// A Signer signs requests to Cloud Storage. It is safe for concurrent use.
type Signer struct {
	config   Config
	endpoint endpoint
	bucket   string
	home     *target // for bucket; nil if there is none
	key      Key
	life     time.Duration // of signatures; 0 for ever
	clock    pipeline.Clock
	limits   pipeline.Limits
	memory   *memory // nil for HMAC keys, which sign faster than it could find anything
	memo     sigv4.Memo
	scratch  sync.Pool // of *sigv4.Scratch
}

var (
	_ signer.Signer           = (*Signer)(nil)
	_ signer.RequestPresigner = (*Signer)(nil)
	_ signer.Capable          = (*Signer)(nil)
	_ signer.RequestSigner    = (*Signer)(nil)
	_ signer.ParallelSigner   = (*Signer)(nil)
)

// New returns a Signer. It reports all that is wrong with c, joined.
func New(c Config) (*Signer, error) {
	op := pipeline.Op{Backend: "gcs", Name: "new"}
	e, err := newEndpoint(op, &c)
	errs := []error{err}
	var home *target
	if err == nil && (c.Bucket != "" || e.addressing == signer.AddressingBucketHost) {
		t, err := e.target(op, c.Bucket)
		errs = append(errs, err)
		home = &t
	}
	var life time.Duration
	switch {
	case c.Key == nil:
		errs = append(errs, op.Errorf(signer.ErrCredentials, "Key", "there is none; ServiceAccountKey, PEMKey, RSAKey, HMACKey and RemoteKey make one"))
	case c.Key.Algorithm() != RSASHA256 && c.Key.Algorithm() != HMACSHA256:
		errs = append(errs, op.Errorf(signer.ErrCredentials, "Key", "%q is no algorithm", c.Key.Algorithm()))
	case c.Key.ID() == "" || !plain(c.Key.ID()):
		errs = append(errs, op.Errorf(signer.ErrCredentials, "Key", "its ID is empty or holds a character that the signature's grammar uses"))
	default:
		if k, ok := c.Key.(interface{ Life() time.Duration }); ok {
			life = k.Life()
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s := &Signer{
		config:   c,
		endpoint: e,
		bucket:   c.Bucket,
		home:     home,
		key:      c.Key,
		life:     life,
		clock:    pipeline.NewClock(c.Clock, e.host),
		limits:   pipeline.Limits{Max: maxExpires, Backdate: pipeline.Backdate(c.Backdate, 0)},
	}
	if _, ok := c.Key.(*hmacKey); !ok {
		s.memory = newMemory()
	}
	return s, nil
}

// At returns a Signer that signs as s does for another endpoint: the public name, say, in front of a store which the service itself
// reaches by an internal one. Both mean what they mean in Config, a nil endpoint Google's own. The error is that of New.
func (s *Signer) At(endpoint *url.URL, addressing signer.Addressing) (*Signer, error) {
	c := s.config
	c.Endpoint, c.Addressing = endpoint, addressing
	return New(c)
}

// Capabilities implements signer.Capable.
func (s *Signer) Capabilities() signer.Capabilities {
	c := signer.Capabilities{Backend: "gcs", ContentType: true, ContentLength: true, Checksum: true, Query: true,
		Response: []string{"ContentDisposition", "ContentType"}, NotBefore: true, MaxExpires: maxExpires * time.Second, Post: true}
	if s.life != 0 {
		c.MaxExpires = min(c.MaxExpires, s.life)
	}
	return c
}

// Presign returns a URL for one method on one object, or on the bucket. See signer.Signer for its contract, and
// signer.Request for what can be asked.
//
// The URL is valid for at most seven days (ErrLifetime), and with a remote key no longer than Google is sure to know the key: 12
// hours for IAM's signBlob (ErrCredentials; AllowShorter cuts the URL there). What V4 cannot enforce is SourceIP, and of
// the response's headers Google lets only Content-Type and Content-Disposition be overridden.
func (s *Signer) Presign(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
	w := sigv4.TakeScratch(&s.scratch)
	defer w.Release(&s.scratch)
	url, err := s.presign(ctx, w, w.URL[:0], &r)
	if err != nil {
		return nil, err
	}
	w.URL = url
	p := pipeline.Presigned(pipeline.MethodOf(r.Method), url, &w.Plan, w.Offset)
	p.Header = pipeline.CopyHeader(r.Header)
	p.NotEnforced = notEnforced(&r)
	return p, nil
}

// AppendURL is Presign for hot loops: it appends the URL to dst and returns it with the instant at which it dies. With an HMAC
// key it does not allocate if dst has room. A Request with AllowShorter or BestEffort is ErrRequest, because the
// result could not say what was given up. On an error dst is returned as it was.
func (s *Signer) AppendURL(ctx context.Context, dst []byte, r signer.Request) ([]byte, time.Time, error) {
	if err := pipeline.CheckAppend(opPresign(), &r); err != nil {
		return dst, time.Time{}, err
	}
	w := sigv4.TakeScratch(&s.scratch)
	defer w.Release(&s.scratch)
	url, err := s.presign(ctx, w, dst, &r)
	if err != nil {
		return dst, time.Time{}, err
	}
	return url, pipeline.Time(w.Plan.End), nil
}

// Parallel is how many URLs signer.PresignAll signs at once: with an HMAC key one, with an RSA key in memory as many as there are
// processors for Go, and with a key that is elsewhere 16.
func (s *Signer) Parallel() int {
	const remote = 16 // a page of images in a few round trips, and far below what IAM takes in a minute
	switch k := s.key.(type) {
	case *hmacKey:
		return 1
	case *rsaKey:
		if k.local {
			return runtime.GOMAXPROCS(0)
		}
	}
	return remote
}

// presign appends the presigned URL to dst. The canonical query is the wire query: path and query of the canonical request
// are cut from the URL.
func (s *Signer) presign(ctx context.Context, w *sigv4.Scratch, dst []byte, r *signer.Request) ([]byte, error) {
	op, method := opPresign(), pipeline.MethodOf(r.Method)
	if err := pipeline.CheckRequest(op, withoutOddHeaders(r), method); err != nil {
		return nil, err
	}
	if err := checkEnforced(op, r); err != nil {
		return nil, err
	}
	bucket := r.Bucket
	if bucket == "" {
		bucket = s.bucket
	}
	t := s.home
	if t == nil || bucket != s.bucket {
		other, err := s.endpoint.target(op, bucket)
		if err == nil && s.endpoint.addressing == signer.AddressingBucketHost {
			err = op.Errorf(signer.ErrRequest, "Bucket", "with AddressingBucketHost the endpoint's host is the bucket; leave it empty")
		}
		if err != nil {
			return nil, err
		}
		t = &other
	}
	if err := s.plan(op, w, &pipeline.Ask{Expires: r.Expires, Window: r.Window, Spread: r.Spread,
		Bucket: bucket, Key: r.Key, AllowShorter: r.AllowShorter}); err != nil {
		return nil, err
	}
	auth := s.auth(w)

	url, host, path := t.appendURL(dst, r.Key)
	query := len(url) + 1
	plain := pipeline.Plain(r) && t == s.home
	var frame *sigv4.Frame[framed]
	var id framed
	if plain {
		frame, id = sigv4.Kept[sigv4.Frame[framed]](w), framed{w.Plan.Start, w.Plan.End, method}
		if frame.Fits(id) {
			w.Canonical = sigv4.AppendSigned(w.Canonical[:0], frame, url[path:])
			return s.sign(ctx, op, w, append(frame.AppendQuery(url), "&X-Goog-Signature="...), &auth)
		}
	}
	w.AddHost(withoutPort(url[host:path]))
	for name, values := range r.Header {
		if strings.EqualFold(name, "x-goog-date") && (len(values) != 1 || values[0] != string(auth.stamp[:])) {
			return nil, op.Errorf(signer.ErrRequest, "Header", "%s belongs to a signature, which the signer makes; leave it out", name)
		}
		w.AddHeader(name, values...)
	}
	if err := w.SortHeaders(op); err != nil {
		return nil, err
	}
	payload, err := payloadOf(op, w.Headers)
	if err != nil {
		return nil, err
	}
	if err := addParams(op, &w.Params, r); err != nil {
		return nil, err
	}
	url = auth.appendQuery(url, w.Params.List, w.Headers)
	url[query-1] = '?'

	w.Canonical = appendCanonicalRequest(w.Canonical[:0], method, url[path:query-1], url[query:], w.Headers, payload)
	if plain {
		name := len(method) + len("\n")
		frame.Keep(id, w.Canonical, name, name+query-1-path, url[query-1:])
	}
	return s.sign(ctx, op, w, append(url, "&X-Goog-Signature="...), &auth)
}

// framed is what the frame of a canonical request follows from, if it is for an object of the Config's bucket and has no options.
type framed struct {
	start, end int64
	method     string
}

// withoutOddHeaders is r without the headers that are refused elsewhere and signed by Google's conformance suite: X-Goog-Date, and names
// with slashes, which no HTTP client sends.
func withoutOddHeaders(r *signer.Request) *signer.Request {
	odd := func(name string) bool {
		return strings.EqualFold(name, "x-goog-date") ||
			strings.IndexByte(name, '/') > 0 && pipeline.LowerToken(string(wire.AppendLower(nil, strings.ReplaceAll(name, "/", ""))))
	}
	for name := range r.Header {
		if odd(name) {
			usual := *r
			usual.Header = maps.Clone(r.Header)
			maps.DeleteFunc(usual.Header, func(name string, values []string) bool { return odd(name) && plainValues(values) })
			return &usual
		}
	}
	return r
}

func plainValues(values []string) bool {
	return len(values) > 0 && !slices.ContainsFunc(values, func(v string) bool {
		return strings.ContainsFunc(v, unicode.IsControl)
	})
}

// overrides names the parameters that replace headers of the answer, in the order of pipeline.Overrides; "" where Google has none.
//
// https://docs.cloud.google.com/storage/docs/xml-api/reference-headers
func overrides() [6]string {
	return [...]string{"", "response-content-disposition", "", "", "response-content-type", ""}
}

// checkEnforced refuses what neither the signature nor the service holds to.
func checkEnforced(op pipeline.Op, r *signer.Request) error {
	if r.BestEffort {
		return nil
	}
	var errs []error
	for _, field := range notEnforced(r) {
		if field == "SourceIP" {
			errs = append(errs, op.Errorf(signer.ErrUnsupported, field, "V4 has no limit on addresses; use IAM conditions or VPC service controls, or set BestEffort to sign without it"))
		} else {
			errs = append(errs, op.Errorf(signer.ErrUnsupported, field, "Google lets only Content-Type and Content-Disposition of the answer be overridden; set it on the object, or set BestEffort to send it all the same"))
		}
	}
	if errs == nil {
		return nil
	}
	return errors.Join(errs...)
}

// notEnforced names the fields of a Request that the service does not hold to.
func notEnforced(r *signer.Request) (fields []string) {
	if r.SourceIP.IsValid() {
		fields = append(fields, "SourceIP")
	}
	if pipeline.Overriding(&r.Response) {
		names := overrides()
		for i, o := range pipeline.Overrides(&r.Response) {
			if o.Value != "" && names[i] == "" {
				fields = append(fields, "Response."+o.Field)
			}
		}
	}
	return fields
}

// addParams collects Query and Response in canonical order.
func addParams(op pipeline.Op, params *wire.Params, r *signer.Request) error {
	if len(r.Query) == 0 && !pipeline.Overriding(&r.Response) {
		return nil
	}
	for name, values := range r.Query {
		for _, v := range values {
			params.Add(name, v)
		}
	}
	if pipeline.Overriding(&r.Response) {
		names := overrides()
		for i, o := range pipeline.Overrides(&r.Response) {
			if o.Value == "" {
				continue
			}
			name := names[i]
			if name == "" {
				name = "response-" + strings.ToLower(o.Header) // BestEffort
			}
			if r.Query.Has(name) {
				return op.Errorf(signer.ErrRequest, "Query", "%q is in Query and in Response; say it once", name)
			}
			params.Add(name, o.Value)
		}
	}
	params.SortNames()
	return nil
}

// plan lays out the life of a URL in w.Plan. A signature that a remote key makes dies with the key; to keep URLs of a Window alike, its
// life is counted from the window's beginning.
func (s *Signer) plan(op pipeline.Op, w *sigv4.Scratch, ask *pipeline.Ask) (err error) {
	now, offset := s.clock.Read()
	w.Offset = offset
	if err = w.Plan.Lay(op, now, ask, s.limits); err != nil || s.life == 0 {
		return err
	}
	signed := pipeline.Time(w.Plan.Now)
	if ask.Window != 0 {
		if !ask.AllowShorter && ask.Window+ask.Expires > s.life || ask.Window >= s.life { // all the time, not late in a window only
			return op.Errorf(signer.ErrCredentials, "Key", "Expires %v and a Window of %v are over the %v for which Google is sure to know the key; ask for less, or with a short Window set AllowShorter", ask.Expires, ask.Window, s.life)
		}
		signed = pipeline.Time(w.Plan.StableUntil).Add(-ask.Window)
	}
	return w.Plan.Cap(op, signed.Add(s.life), ask.AllowShorter, "Key", "signatures of a key that Google keeps")
}

// auth is what the signature will say of itself.
func (s *Signer) auth(w *sigv4.Scratch) authParams {
	stamp := w.Stamp(w.Plan.Start)
	return authParams{algorithm: s.key.Algorithm(), id: s.key.ID(), stamp: stamp, scope: s.endpoint.scope(stamp),
		expires: w.Plan.End - w.Plan.Start, memo: &s.memo}
}

// sign signs w.Canonical and appends the signature in hex. What is stable until some time is signed once: a canonical request names
// key, date and scope too, so that the same one has the same signature.
func (s *Signer) sign(ctx context.Context, op pipeline.Op, w *sigv4.Scratch, dst []byte, auth *authParams) ([]byte, error) {
	stable := w.Plan.StableUntil > 0 && s.memory != nil
	var known []byte
	if stable {
		known = s.memory.recall(w.Canonical)
	}
	if known == nil || signer.TraceFrom(ctx) != nil {
		w.ToSign = appendStringToSign(w.ToSign[:0], auth.algorithm, auth.stamp, &auth.scope, w.Canonical)
		w.Trace(ctx)
	}
	if known != nil {
		return append(dst, known...), nil
	}
	begin := len(dst)
	dst, err := s.appendSignature(ctx, op, dst, &auth.scope, w.ToSign)
	if stable && err == nil {
		s.memory.remember(w.Canonical, dst[begin:], w.Plan.StableUntil)
	}
	return dst, err
}

// appendSignature lets the key sign and appends the signature in hex.
func (s *Signer) appendSignature(ctx context.Context, op pipeline.Op, dst []byte, scope *sigv4.Scope, toSign []byte) ([]byte, error) {
	if k, ok := s.key.(*hmacKey); ok {
		return k.keys.Key(k.secret, *scope).AppendSignature(dst, toSign), nil
	}
	signature, err := s.key.Sign(ctx, toSign)
	switch {
	case err == nil && len(signature.Bytes) > 0:
		return hex.AppendEncode(dst, signature.Bytes), nil
	case err == nil:
		return dst, op.Errorf(signer.ErrRemote, "Key", "it gave an empty signature")
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return dst, err
	case errors.Is(err, signer.ErrRemote) || errors.Is(err, signer.ErrRequest):
		return dst, signer.RedactError(err)
	}
	return dst, op.Errorf(signer.ErrRemote, "Key", "it did not sign: %w", signer.RedactError(err))
}

// PresignRequest presigns a finished URL, whose bytes are kept. See signer.RequestPresigner for its contract. Bucket, Endpoint
// and Addressing of the Config have no part in it: whatever host the URL names is signed for.
//
// A header X-Goog-Content-Sha256 is signed, and its value stands for the body; without one the body is not signed.
func (s *Signer) PresignRequest(ctx context.Context, req *http.Request, o signer.Options) (*signer.Presigned, error) {
	op := opPresign()
	w := sigv4.TakeScratch(&s.scratch)
	defer w.Release(&s.scratch)
	if err := pipeline.CheckHTTPRequest(op, req); err != nil {
		return nil, err
	}
	if err := checkConflict(op, req, false); err != nil {
		return nil, err
	}
	if err := s.plan(op, w, &pipeline.Ask{Expires: o.Expires, Window: o.Window, AllowShorter: o.AllowShorter}); err != nil {
		return nil, err
	}
	auth := s.auth(w)

	host := pipeline.HostOf(req)
	if err := w.AddRequestHeaders(op, req.Header, req.ContentLength, string(withoutPort([]byte(host)))); err != nil {
		return nil, err
	}
	payload, err := payloadOf(op, w.Headers)
	if err != nil {
		return nil, err
	}
	w.URL = append(w.URL[:0], req.URL.Scheme+"://"+req.URL.Host...)
	path := req.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	w.URL = append(w.URL, path...)
	query := len(w.URL) + 1
	if kept := wire.Without(req.URL.RawQuery, isAuthParam); kept != "" {
		w.URL = append(append(w.URL, '&'), kept...)
	}
	w.URL = auth.appendQuery(w.URL, nil, w.Headers)
	w.URL[query-1] = '?'

	if err := canonicalise(op, w, path, string(w.URL[query:])); err != nil {
		return nil, err
	}
	method := pipeline.MethodOf(req.Method)
	w.Canonical = appendCanonicalRequest(w.Canonical[:0], method, w.Path, w.Query, w.Headers, payload)
	if w.URL, err = s.sign(ctx, op, w, append(w.URL, "&X-Goog-Signature="...), &auth); err != nil {
		return nil, err
	}

	return w.Presigned(method, req, host), nil
}

// Sign signs req in its headers, in place; like PresignRequest, for whatever host its URL names. Set the headers and the
// body first: what is added later is not covered, and Google refuses x-goog- headers that are not. It sets Authorization,
// X-Goog-Date, and X-Goog-Content-Sha256 to UNSIGNED-PAYLOAD unless the caller set it. See signer.RequestSigner for its contract
// and signer.RequestPresigner for the headers that are signed.
//
// An earlier GOOG4 signature in the headers is replaced. One in the URL, or an Authorization of another kind, is
// ErrConflict. Google takes the request for 15 minutes around its date.
func (s *Signer) Sign(ctx context.Context, req *http.Request) error {
	op := pipeline.Op{Backend: "gcs", Name: "sign"}
	w := sigv4.TakeScratch(&s.scratch)
	defer w.Release(&s.scratch)
	if err := pipeline.CheckHTTPRequest(op, req); err != nil {
		return err
	}
	if err := checkConflict(op, req, true); err != nil {
		return err
	}
	now, _ := s.clock.Read()
	plan, err := pipeline.PlanTimes(op, now, &pipeline.Ask{Expires: time.Second}, pipeline.Limits{})
	if err != nil {
		return err
	}
	w.Plan = plan
	auth := s.auth(w)

	h := req.Header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	pipeline.DeleteHeader(h, "authorization", "x-goog-date")
	h.Set("X-Goog-Date", string(auth.stamp[:]))
	if pipeline.HeaderValues(h, "X-Goog-Content-Sha256") == nil {
		h.Set("X-Goog-Content-Sha256", unsignedPayload)
	}
	host := pipeline.HostOf(req)
	if err := w.AddRequestHeaders(op, h, req.ContentLength, string(withoutPort([]byte(host)))); err != nil {
		return err
	}
	payload, err := payloadOf(op, w.Headers)
	if err != nil {
		return err
	}
	if payload != unsignedPayload && pipeline.HeaderValues(h, "X-Goog-Resumable") != nil {
		return op.Errorf(signer.ErrRequest, "X-Goog-Content-Sha256", "Google ignores it where a resumable upload starts; leave it out")
	}
	if err := canonicalise(op, w, req.URL.EscapedPath(), req.URL.RawQuery); err != nil {
		return err
	}
	w.Canonical = appendCanonicalRequest(w.Canonical[:0], pipeline.MethodOf(req.Method), w.Path, w.Query, w.Headers, payload)
	if w.URL, err = s.sign(ctx, op, w, auth.appendAuthorization(w.URL[:0], w.Headers), &auth); err != nil {
		return err
	}

	h.Set("Authorization", string(w.URL))
	req.Header = h
	return nil
}

// canonicalise leaves the canonical path and query of a finished URL in w.Path and w.Query.
func canonicalise(op pipeline.Op, w *sigv4.Scratch, path, rawQuery string) (err error) {
	if path == "" {
		path = "/"
	}
	if w.Path, err = wire.AppendCanonicalPath(w.Path[:0], path); err != nil {
		return op.Errorf(signer.ErrRequest, "URL", "its path: %w", err)
	}
	if err = w.Params.Parse(rawQuery); err != nil {
		return op.Errorf(signer.ErrRequest, "URL", "its query: %w", err)
	}
	w.Params.SortNames()
	w.Query = wire.AppendParams(w.Query[:0], w.Params.List)
	return nil
}

// payloadOf returns the last line of the canonical request: the hash that x-goog-content-sha256 announces, or a word in its
// place. Google's conformance suite has one of 63 digits, so the length is not looked at.
func payloadOf(op pipeline.Op, headers []sigv4.Header) (string, error) {
	for _, h := range headers {
		if string(h.Name) != contentSHA256 {
			continue
		}
		value := string(h.Value)
		if value != unsignedPayload && (value == "" || !pipeline.LowerHex(value)) {
			return "", op.Errorf(signer.ErrRequest, "X-Goog-Content-Sha256", "it is neither a SHA-256 in lower-case hex nor %s", unsignedPayload)
		}
		return value, nil
	}
	return unsignedPayload, nil
}

// checkConflict refuses to add a second signature: one of another scheme, or ours in the other form.
func checkConflict(op pipeline.Op, req *http.Request, inHeader bool) error {
	if scheme, param := pipeline.ForeignSignature(req.URL.RawQuery, "GOOG4"); scheme != "" {
		return op.Errorf(signer.ErrConflict, "URL", "it carries a signature of %s (%s); sign the bare URL", scheme, param)
	}
	auth := strings.Join(pipeline.HeaderValues(req.Header, "Authorization"), "")
	if inHeader {
		if auth != "" && !strings.HasPrefix(auth, "GOOG4-") {
			return op.Errorf(signer.ErrConflict, "Authorization", "the request has one of another kind; remove it first")
		}
		for name := range wire.Pairs(req.URL.RawQuery) {
			if name, err := wire.UnescapeQuery(name); err == nil && isAuthParam(name) {
				return op.Errorf(signer.ErrConflict, "URL", "it is presigned (%s), and services refuse two signatures; sign the bare URL", name)
			}
		}
		return nil
	}
	for _, name := range [...]string{"Authorization", "X-Goog-Date"} {
		if pipeline.HeaderValues(req.Header, name) != nil {
			return op.Errorf(signer.ErrConflict, name, "the header belongs to another signature, and services refuse two; remove it first")
		}
	}
	return nil
}

func isAuthParam(name string) bool { return pipeline.SchemeOf(name) == "GOOG4" }

func opPresign() pipeline.Op { return pipeline.Op{Backend: "gcs", Name: "presign"} }
