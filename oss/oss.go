// Package oss signs and verifies requests to Alibaba Cloud OSS with its signature version 4, OSS4-HMAC-SHA256.
//
//	s, err := oss.New(oss.Config{
//		Region: "cn-hangzhou",
//		Bucket: "photos",
//		Credentials: oss.Credentials{
//			AccessKeyID:     id,
//			AccessKeySecret: signer.NewSecret(secret),
//		},
//	})
//	p, err := s.Presign(ctx, signer.Request{Key: "2026/cat.jpg", Expires: 15 * time.Minute})
//
// A Signer presigns from bucket and key (Presign, AppendURL), presigns a finished URL (PresignRequest) and signs requests in
// their Authorization header (Sign). A Verifier checks both forms on the server's side, and signatures of version 1 if it is told
// to; nothing here makes those.
//
// Uploads from a web page can be bounded further than by a presigned PUT: PresignPost signs an HTML form whose policy says how large
// the file may be, of which type, and what its name must begin with. VerifyPost is for the server's side.
//
// # What the signature covers
//
// Method, bucket, key and all parameters, and of the headers Content-Type, Content-MD5 and those that begin with x-oss-. All
// other headers, Host among them, are covered only when they are listed, see Config.AdditionalHeaders. The body is never
// covered: Content-MD5 is what protects it.
//
// The specification is https://help.aliyun.com/en/oss/developer-reference/recommend-to-use-signature-version-4 for headers and
// https://help.aliyun.com/en/oss/developer-reference/add-signatures-to-urls for URLs.
package oss

import (
	"bytes"
	"context"
	"crypto/sha256"
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

// Config says for whom and where a Signer signs. Region and Credentials are required.
type Config struct {
	// Region is the id of the bucket's region, "cn-hangzhou", which is part of every signature: without the oss- and -internal
	// of host names. For a CloudBox it is the box's id, "cb-123".
	Region string

	// Product is the product in the credential scope; "" means "oss". It is "oss-cloudbox" for a CloudBox, which may refuse
	// presigned URLs: an older edition of EC 0002-00000034 says that it takes signatures in headers only.
	Product string

	// Bucket is used where a Request names none: a bucket or an access point's alias. AddressingBucketHost requires it.
	Bucket string

	// Endpoint is the service's address without the bucket, unless Addressing says so; nil means the public one of the region.
	// The internal network (https://oss-REGION-internal.aliyuncs.com), dual stack (https://REGION.oss.aliyuncs.com) and
	// acceleration (https://oss-accelerate.aliyuncs.com) are endpoints of their own. It is what the client will connect to,
	// which may be another address than the one that this process uses.
	Endpoint *url.URL

	// Addressing says where the bucket stands. AddressingAuto puts it into the host name of Alibaba Cloud's endpoints, and into
	// the path for others. A custom domain is AddressingBucketHost.
	Addressing signer.Addressing

	// AdditionalHeaders are headers to sign besides Content-Type, Content-MD5 and those that begin with x-oss-: "host" perhaps,
	// without which a URL holds under every name of the service. Each request must have them. What Presign is given in
	// Request.Header is signed in any case.
	AdditionalHeaders []string

	// Credentials gives the access key. Credentials{...} is its own source.
	Credentials CredentialSource

	// Clock is the signer's clock; nil means clock.System(). One that has learned is asked for the time at the endpoint's host.
	Clock clock.Clock

	// Backdate is how far before now a presigned URL starts. OSS takes a URL 15 minutes before its start, so 0 and negative mean
	// none. The URL still ends when it was to end. Sign does not backdate.
	Backdate time.Duration
}

// A Signer signs requests to OSS. It is safe for concurrent use. Make it once, it caches signing keys.
type Signer struct {
	config     Config
	endpoint   endpoint
	bucket     string
	home       *target          // for bucket; nil if there is none
	additional []string         // lower case
	creds      Credentials      // checked, if source is nil
	source     CredentialSource // of others
	clock      pipeline.Clock
	limits     pipeline.Limits
	keys       *sigv4.Cache[sigv4.Scope, *sigv4.Key]
	scratch    sync.Pool // of *sigv4.Scratch
}

var (
	_ signer.Signer           = (*Signer)(nil)
	_ signer.RequestPresigner = (*Signer)(nil)
	_ signer.Capable          = (*Signer)(nil)
	_ signer.RequestSigner    = (*Signer)(nil)
)

// New returns a Signer. It reports all that is wrong with c, joined.
func New(c Config) (*Signer, error) {
	op := pipeline.Op{Backend: "oss", Name: "new"}
	c.AdditionalHeaders = slices.Clone(c.AdditionalHeaders)
	s := &Signer{config: c, bucket: c.Bucket, source: c.Credentials, keys: sigv4.NewCache(family().NewKey),
		limits: pipeline.Limits{Max: maxExpires, Backdate: pipeline.Backdate(c.Backdate, 0)}}
	var errEndpoint, errBucket, errHeaders, errCredentials error
	s.endpoint, errEndpoint = newEndpoint(op, &c)
	if errEndpoint == nil && c.Bucket != "" {
		var home target
		home, errBucket = s.endpoint.target(op, c.Bucket)
		s.home = &home
	}
	s.additional, errHeaders = additionalHeaders(op, c.AdditionalHeaders)
	switch fixed, ok := c.Credentials.(Credentials); {
	case c.Credentials == nil:
		errCredentials = op.Errorf(signer.ErrCredentials, "Credentials", "there are none; set oss.Credentials or a source of them")
	case ok:
		errCredentials = fixed.checkFixed(op)
		s.creds, s.source = fixed, nil
	}
	if err := errors.Join(errEndpoint, errBucket, errHeaders, errCredentials); err != nil {
		return nil, err
	}
	s.clock = pipeline.NewClock(c.Clock, s.endpoint.host)
	return s, nil
}

// additionalHeaders returns the list in lower case.
func additionalHeaders(op pipeline.Op, names []string) (list []string, err error) {
	var errs []error
	for _, name := range names {
		bad := func(format string, args ...any) {
			errs = append(errs, op.Refusal(signer.ErrRequest, "AdditionalHeaders", ecHeaderAbsent, format, args...))
		}
		low := strings.ToLower(name)
		switch {
		case !pipeline.LowerToken(low):
			bad("%q is no header name", name)
		case strings.Contains(low, "_"):
			bad("%q holds an underscore, which OSS refuses there", name)
		case signedByDefault(low):
			bad("%s is signed wherever it is there; leave it out of the list", name)
		case pipeline.Unsignable(low):
			bad("%s changes on the way and cannot be signed; leave it out", name)
		case slices.Contains(list, low):
			bad("%s is there twice", name)
		default:
			list = append(list, low)
		}
	}
	return list, errors.Join(errs...)
}

// At returns a Signer that signs as s does for another endpoint: the public name, say, in front of a store which the service itself
// reaches by an internal one. Both mean what they mean in Config, a nil endpoint OSS's own. The error is that of New.
func (s *Signer) At(endpoint *url.URL, addressing signer.Addressing) (*Signer, error) {
	c := s.config
	c.Endpoint, c.Addressing = endpoint, addressing
	return New(c)
}

// Capabilities implements signer.Capable.
func (s *Signer) Capabilities() signer.Capabilities {
	return signer.Capabilities{Backend: "oss", ContentType: true, ContentLength: true, Checksum: true, Query: true,
		Response:  []string{"CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires"},
		NotBefore: true, MaxExpires: maxExpires * time.Second, Post: true}
}

// Presign returns a URL for one method on one object, or on the bucket. See signer.Signer for its contract, and signer.Request
// for what can be asked.
//
// The URL is valid for at most seven days, and for at most twelve hours with a security token (ErrLifetime). All of
// Request.Header is signed; a header with several values or an empty one is ErrRequest, and so is a parameter that is there
// twice, because OSS does not say what it signs then. Signed URLs can have no limit on addresses here: SourceIP is
// ErrUnsupported.
func (s *Signer) Presign(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
	w := sigv4.TakeScratch(&s.scratch)
	defer w.Release(&s.scratch)
	method := pipeline.MethodOf(r.Method)
	url, err := s.presign(ctx, w, w.URL[:0], method, &r)
	if err != nil {
		return nil, err
	}
	w.URL = url
	p := pipeline.Presigned(method, url, &w.Plan, w.Offset)
	p.Header = pipeline.CopyHeader(r.Header)
	if r.SourceIP.IsValid() {
		p.NotEnforced = append(p.NotEnforced, "SourceIP")
	}
	return p, nil
}

// AppendURL is Presign for hot loops: it appends the URL to dst and returns it with the instant at which it dies. It does not
// allocate if dst has room. A Request with AllowShorter or BestEffort is ErrRequest, because the result could not say what was
// given up. On an error dst is returned as it was.
func (s *Signer) AppendURL(ctx context.Context, dst []byte, r signer.Request) ([]byte, time.Time, error) {
	if err := pipeline.CheckAppend(opPresign(), &r); err != nil {
		return dst, time.Time{}, err
	}
	w := sigv4.TakeScratch(&s.scratch)
	defer w.Release(&s.scratch)
	url, err := s.presign(ctx, w, dst, pipeline.MethodOf(r.Method), &r)
	if err != nil {
		return dst, time.Time{}, err
	}
	return url, pipeline.Time(w.Plan.End), nil
}

// presign appends the presigned URL to dst. The canonical query is the wire query, and is cut from the URL.
func (s *Signer) presign(ctx context.Context, w *sigv4.Scratch, dst []byte, method string, r *signer.Request) ([]byte, error) {
	op := opPresign()
	if err := pipeline.CheckRequest(op, r, method); err != nil {
		return nil, err
	}
	if r.SourceIP.IsValid() && !r.BestEffort {
		return nil, op.Errorf(signer.ErrUnsupported, "SourceIP", "no documented parameter limits a URL to addresses; use a bucket policy, or set BestEffort to sign without it")
	}
	bucket := r.Bucket
	if bucket == "" {
		bucket = s.bucket
	}
	t := s.home
	if t == nil || bucket != s.bucket {
		other, err := s.endpoint.target(op, bucket)
		if err != nil {
			return nil, err
		}
		t = &other
	}
	creds, err := s.plan(ctx, op, w, &pipeline.Ask{Expires: r.Expires, Window: r.Window, Spread: r.Spread,
		Bucket: bucket, Key: r.Key, AllowShorter: r.AllowShorter})
	if err != nil {
		return nil, err
	}
	stamp := w.Stamp(w.Plan.Start)
	sc := s.endpoint.scope(stamp)
	key := s.keys.Key(creds.AccessKeySecret, sc)

	url, host, path, name := t.appendURL(dst, r.Key)
	end := len(url)
	plain := pipeline.Plain(r) && t == s.home
	var frame *sigv4.Frame[framed]
	var id framed
	if plain {
		frame, id = sigv4.Kept[sigv4.Frame[framed]](w), framed{w.Plan.Start, w.Plan.End, method, creds.AccessKeyID, creds.SecurityToken.Fingerprint()}
		if frame.Fits(id) {
			w.Canonical = sigv4.AppendSigned(w.Canonical[:0], frame, url[name:])
			w.ToSign = appendStringToSign(w.ToSign[:0], stamp[:], &sc, w.Canonical)
			w.Trace(ctx)
			return key.AppendSignature(append(frame.AppendQuery(url), "&"+paramSignature+"="...), w.ToSign), nil
		}
	}
	for name, values := range r.Header {
		if err := addHeader(op, w, name, values); err != nil {
			return nil, err
		}
	}
	for _, name := range s.additional {
		if name == "host" {
			w.AddHost(url[host:path])
		} else if pipeline.HeaderValues(r.Header, name) == nil {
			return nil, missingHeader(op, name)
		}
	}
	if err := w.SortHeaders(op); err != nil {
		return nil, err
	}
	if err := callersParams(op, w, r); err != nil {
		return nil, err
	}
	url = appendQuery(url, w.Params.List, creds.AccessKeyID, key, creds.SecurityToken, stamp, &sc, w.Plan.End-w.Plan.Start, w.Headers)
	url[end] = '?'

	w.Canonical = appendCanonicalRequest(w.Canonical[:0], method, bucket, url[name:end], url[end+1:], w.Headers)
	if plain {
		at := len(method) + len("\n/") + len(bucket) + len("/")
		frame.Keep(id, w.Canonical, at, at+end-name, url[end:])
	}
	w.ToSign = appendStringToSign(w.ToSign[:0], stamp[:], &sc, w.Canonical)
	w.Trace(ctx)
	return key.AppendSignature(append(url, "&"+paramSignature+"="...), w.ToSign), nil
}

// framed is what the frame of a canonical request follows from, if it is for an object of the Config's bucket and has no options.
type framed struct {
	start, end int64
	method, id string
	token      [sha256.Size]byte
}

// addHeader adds a header that is to be signed.
func addHeader(op pipeline.Op, w *sigv4.Scratch, name string, values []string) error {
	bad := func(format string, args ...any) error {
		return op.Errorf(signer.ErrRequest, "Header", format, append([]any{name}, args...)...)
	}
	if len(values) != 1 {
		return bad("%s has %d values, and OSS does not say which of them it signs; give it one, joined with commas if they are a list", len(values))
	}
	value := trimmed(values[0])
	switch {
	case value == "":
		return bad("%s is empty, and OSS does not say whether it signs such a header; leave it out")
	case strings.Contains(name, "_") && !signedByDefault(name):
		return op.Refusal(signer.ErrRequest, "Header", ecHeaderAbsent, "%s holds an underscore, which OSS refuses in the list of additional headers", name)
	case strings.EqualFold(name, contentSHA256) && value != unsignedPayload:
		return op.Refusal(signer.ErrRequest, contentSHA256, ecPayload, "OSS signs no hash of the body and takes only %s; use Content-MD5", unsignedPayload)
	}
	addTrimmed(w, name, value)
	return nil
}

// trimmed is a header's value as it is signed.
func trimmed(value string) string { return strings.Trim(value, " ") }

// addTrimmed adds a header with the blanks inside its value, which OSS keeps and AddHeader folds.
func addTrimmed(w *sigv4.Scratch, name, value string) {
	w.AddHeader(name, value)
	if h := &w.Headers[len(w.Headers)-1]; string(h.Value) != value {
		h.Value = []byte(value)
	}
}

const contentSHA256 = "x-oss-content-sha256"

func missingHeader(op pipeline.Op, name string) error {
	return op.Refusal(signer.ErrRequest, "AdditionalHeaders", ecHeaderAbsent, "%s is to be signed, and the request has none; set it", name)
}

// callersParams leaves Query and Response in w.Params, in canonical order.
func callersParams(op pipeline.Op, w *sigv4.Scratch, r *signer.Request) error {
	if len(r.Query) == 0 && !pipeline.Overriding(&r.Response) {
		return nil
	}
	for name, values := range r.Query {
		for _, v := range values {
			w.Params.Add(name, v)
		}
	}
	if pipeline.Overriding(&r.Response) {
		for i, o := range pipeline.Overrides(&r.Response) {
			if o.Value != "" {
				w.Params.Add([...]string{"response-cache-control", "response-content-disposition", "response-content-encoding",
					"response-content-language", "response-content-type", "response-expires"}[i], o.Value)
			}
		}
	}
	w.Params.Sort()
	if err := checkParams(op, w.Params.List); err != nil {
		return err
	}
	return checkContradiction(op, w)
}

// checkParams refuses sorted parameters of which one is there twice, or has no name and so leaves no trace in the canonical
// query.
func checkParams(op pipeline.Op, list []wire.Param) error {
	if len(list) > 0 && len(list[0].Name) == 0 {
		return op.Errorf(signer.ErrRequest, "Query", "a parameter has no name; leave it out")
	}
	for i := 1; i < len(list); i++ {
		if string(list[i].Name) == string(list[i-1].Name) {
			return op.Errorf(signer.ErrRequest, "Query", "%s is there twice, and OSS does not say which of them it signs; say it once", list[i].Name)
		}
	}
	return nil
}

// checkContradiction refuses a parameter of a URL that has the name of a signed header and another value. Both are sorted.
func checkContradiction(op pipeline.Op, w *sigv4.Scratch) error {
	rest := w.Params.List
	for _, h := range w.Headers {
		for len(rest) > 0 && bytes.Compare(rest[0].Name, h.Name) < 0 {
			rest = rest[1:]
		}
		if len(rest) > 0 && bytes.Equal(rest[0].Name, h.Name) && string(wire.AppendEscape(nil, h.Value)) != string(rest[0].Value) {
			return op.Errorf(signer.ErrRequest, "Query", "%s is a signed header too, with another value, which OSS refuses; say it once", h.Name)
		}
	}
	return nil
}

// plan lays out the life of a URL in w.Plan and gets the credentials for it.
func (s *Signer) plan(ctx context.Context, op pipeline.Op, w *sigv4.Scratch, ask *pipeline.Ask) (creds Credentials, err error) {
	now, offset := s.clock.Read()
	w.Offset = offset
	if err = w.Plan.Lay(op, now, ask, s.limits); err != nil {
		return creds, err
	}
	if creds, err = s.credentials(ctx, op, w.Plan.End); err != nil {
		return creds, err
	}
	if !creds.SecurityToken.IsZero() && w.Plan.End-w.Plan.Start > maxExpiresSTS {
		limits := s.limits
		limits.Max = maxExpiresSTS
		if err = w.Plan.Lay(op, now, ask, limits); err != nil {
			return creds, err
		}
	}
	return creds, w.Plan.Cap(op, creds.Expires, ask.AllowShorter, "Credentials", "the credentials")
}

// credentials asks the source for a key that lives until then.
func (s *Signer) credentials(ctx context.Context, op pipeline.Op, until int64) (Credentials, error) {
	if s.source == nil {
		return s.creds, nil
	}
	creds, err := s.source.Credentials(ctx, pipeline.Time(until))
	if err != nil {
		return creds, op.Errorf(signer.ErrCredentials, "Credentials", "their source failed: %w", signer.RedactError(err))
	}
	return creds, creds.check(op)
}

// PresignRequest presigns a finished URL, whose bytes are kept. See signer.RequestPresigner for its contract. The host must be
// one that the Config tells the bucket of: the endpoint's own, a bucket of it, or with AddressingBucketHost the bucket's.
//
// Signed are the headers that OSS signs by default, and Config.AdditionalHeaders. Others that do not change on the way are in the
// result's Header and NotEnforced.
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
	host := pipeline.HostOf(req)
	bucket, name, err := s.endpoint.locate(op, host, req.URL)
	if err != nil {
		return nil, err
	}
	creds, err := s.plan(ctx, op, w, &pipeline.Ask{Expires: o.Expires, Window: o.Window, AllowShorter: o.AllowShorter})
	if err != nil {
		return nil, err
	}
	stamp := w.Stamp(w.Plan.Start)
	sc := s.endpoint.scope(stamp)
	key := s.keys.Key(creds.AccessKeySecret, sc)

	if err := s.addRequestHeaders(op, w, req, req.Header, host); err != nil {
		return nil, err
	}
	w.URL = append(w.URL[:0], req.URL.Scheme+"://"+req.URL.Host...)
	if path := req.URL.EscapedPath(); path != "" {
		w.URL = append(w.URL, path...)
	} else {
		w.URL = append(w.URL, '/')
	}
	query := len(w.URL) + 1
	if kept := wire.Without(req.URL.RawQuery, isAuthParam); kept != "" {
		w.URL = append(append(w.URL, '&'), kept...)
	}
	w.URL = appendQuery(w.URL, nil, creds.AccessKeyID, key, creds.SecurityToken, stamp, &sc, w.Plan.End-w.Plan.Start, w.Headers)
	w.URL[query-1] = '?'

	if err := canonicalQuery(op, w, string(w.URL[query:])); err != nil {
		return nil, err
	}
	if err := checkContradiction(op, w); err != nil {
		return nil, err
	}
	method := pipeline.MethodOf(req.Method)
	w.Path = wire.AppendEscapePath(w.Path[:0], name)
	w.Canonical = appendCanonicalRequest(w.Canonical[:0], method, bucket, w.Path, w.Query, w.Headers)
	w.ToSign = appendStringToSign(w.ToSign[:0], stamp[:], &sc, w.Canonical)
	w.Trace(ctx)
	w.URL = append(w.URL, "&"+paramSignature+"="...)
	w.URL = key.AppendSignature(w.URL, w.ToSign)

	p := pipeline.Presigned(method, w.URL, &w.Plan, w.Offset)
	for name, values := range req.Header {
		switch {
		case strings.EqualFold(name, "Host") || strings.EqualFold(name, "Content-Length"): // net/http keeps them elsewhere
		case s.signs(name) && len(values) > 0:
			pipeline.SetHeader(&p.Header, name, values)
		case !pipeline.Unsignable(name) && len(values) > 0:
			pipeline.SetHeader(&p.Header, name, values)
			p.NotEnforced = append(p.NotEnforced, "Header."+http.CanonicalHeaderKey(name))
		}
	}
	slices.Sort(p.NotEnforced)
	if s.signs("content-length") {
		pipeline.SetHeader(&p.Header, "Content-Length", []string{contentLength(req)})
	}
	if host != req.URL.Host { // signed or not, it is where the bucket stands
		pipeline.SetHeader(&p.Header, "Host", []string{host})
	}
	return p, nil
}

// Sign signs req in its headers, in place, for hosts as PresignRequest does. Set the headers first: of those that are added
// later, OSS counts Content-Type, Content-MD5 and x-oss- headers as signed. It sets Authorization, X-Oss-Date,
// X-Oss-Content-Sha256 (to UNSIGNED-PAYLOAD, which is all that OSS takes) and X-Oss-Security-Token if the credentials have a
// token. See signer.RequestSigner for its contract.
//
// An earlier OSS4 signature in the headers is replaced. One in the URL, or an Authorization of another kind, is ErrConflict. The
// service takes the request for 15 minutes around its date.
func (s *Signer) Sign(ctx context.Context, req *http.Request) error {
	op := pipeline.Op{Backend: "oss", Name: "sign"}
	w := sigv4.TakeScratch(&s.scratch)
	defer w.Release(&s.scratch)
	if err := pipeline.CheckHTTPRequest(op, req); err != nil {
		return err
	}
	if err := checkConflict(op, req, true); err != nil {
		return err
	}
	host := pipeline.HostOf(req)
	bucket, name, err := s.endpoint.locate(op, host, req.URL)
	if err != nil {
		return err
	}
	now, _ := s.clock.Read()
	plan, err := pipeline.PlanTimes(op, now, &pipeline.Ask{Expires: time.Second}, pipeline.Limits{})
	if err != nil {
		return err
	}
	creds, err := s.credentials(ctx, op, plan.End)
	if err != nil {
		return err
	}
	if err := plan.Cap(op, creds.Expires, true, "Credentials", "the credentials"); err != nil {
		return err
	}
	stamp := sigv4.StampOf(plan.Now)
	sc := s.endpoint.scope(stamp)
	key := s.keys.Key(creds.AccessKeySecret, sc)

	h := req.Header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	pipeline.DeleteHeader(h, "authorization", "x-oss-date", "x-oss-security-token")
	h.Set("X-Oss-Date", string(stamp[:]))
	if pipeline.HeaderValues(h, "X-Oss-Content-Sha256") == nil {
		h.Set("X-Oss-Content-Sha256", unsignedPayload)
	}
	if !creds.SecurityToken.IsZero() {
		h.Set("X-Oss-Security-Token", string(creds.SecurityToken.Reveal()))
	}
	if err := s.addRequestHeaders(op, w, req, h, host); err != nil {
		return err
	}
	if err := canonicalQuery(op, w, req.URL.RawQuery); err != nil {
		return err
	}
	w.Path = wire.AppendEscapePath(w.Path[:0], name)
	w.Canonical = appendCanonicalRequest(w.Canonical[:0], pipeline.MethodOf(req.Method), bucket, w.Path, w.Query, w.Headers)
	w.ToSign = appendStringToSign(w.ToSign[:0], stamp[:], &sc, w.Canonical)
	w.Trace(ctx)
	w.URL = appendAuthorization(w.URL[:0], creds.AccessKeyID, &sc, w.Headers, key, w.ToSign)

	h.Set("Authorization", string(w.URL))
	req.Header = h
	if host != req.URL.Host {
		req.Host = host // without the scheme's default port, as it was signed
	}
	return nil
}

// signs reports whether a header of a finished request is signed where it is there.
func (s *Signer) signs(name string) bool {
	return signedByDefault(name) || slices.ContainsFunc(s.additional, func(a string) bool { return strings.EqualFold(a, name) })
}

// addRequestHeaders adds the headers of req that are signed, in place of whose headers stand h. Host and Content-Length are what
// net/http sends, which is not what the map says.
func (s *Signer) addRequestHeaders(op pipeline.Op, w *sigv4.Scratch, req *http.Request, h http.Header, host string) error {
	for name, values := range h {
		if strings.EqualFold(name, "Host") || strings.EqualFold(name, "Content-Length") || len(values) == 0 || !s.signs(name) {
			continue
		}
		if err := addHeader(op, w, name, values); err != nil {
			return err
		}
	}
	for _, name := range s.additional {
		length := contentLength(req)
		switch {
		case name == "host":
			w.AddHost([]byte(host))
		case name == "content-length" && length != "":
			w.AddHeader(name, length)
		case name == "content-length", len(pipeline.HeaderValues(h, name)) == 0:
			return missingHeader(op, name)
		}
	}
	return w.SortHeaders(op)
}

// contentLength is the Content-Length that net/http sends, "" for none.
func contentLength(req *http.Request) string {
	empty := req.Body == nil || req.Body == http.NoBody
	writes := req.Method == http.MethodPut || req.Method == http.MethodPost || req.Method == http.MethodPatch
	if req.ContentLength > 0 || req.ContentLength == 0 && empty && writes {
		return strconv.FormatInt(req.ContentLength, 10)
	}
	return ""
}

// canonicalQuery leaves the canonical form of a query in w.Query.
func canonicalQuery(op pipeline.Op, w *sigv4.Scratch, rawQuery string) error {
	if err := w.Params.Parse(rawQuery); err != nil {
		return op.Errorf(signer.ErrRequest, "URL", "its query: %w", err)
	}
	w.Params.Sort()
	w.Query = appendParams(w.Query[:0], w.Params.List)
	return checkParams(op, w.Params.List)
}

// checkConflict refuses to add a second signature: one of another scheme or version, or ours in the other form.
func checkConflict(op pipeline.Op, req *http.Request, inHeader bool) error {
	if scheme, param := pipeline.ForeignSignature(req.URL.RawQuery, "OSS4"); scheme != "" {
		return op.Errorf(signer.ErrConflict, "URL", "it carries a signature of %s (%s); sign the bare URL", scheme, param)
	}
	for name := range wire.Pairs(req.URL.RawQuery) {
		switch name, _ := wire.UnescapeQuery(name); {
		case strings.EqualFold(name, "x-oss-access-key-id"):
			return op.Errorf(signer.ErrConflict, "URL", "it carries a signature of version 2 (%s); sign the bare URL", name)
		case inHeader && isAuthParam(name):
			return op.Errorf(signer.ErrConflict, "URL", "it is presigned (%s), and OSS refuses two signatures; sign the bare URL", name)
		}
	}
	auth := strings.Join(pipeline.HeaderValues(req.Header, "Authorization"), "")
	if inHeader {
		if auth != "" && !strings.HasPrefix(auth, "OSS4-") {
			return op.Errorf(signer.ErrConflict, "Authorization", "the request has one of another kind; remove it first")
		}
		return nil
	}
	for _, name := range [...]string{"Authorization", "X-Oss-Date", "X-Oss-Security-Token"} {
		if pipeline.HeaderValues(req.Header, name) != nil {
			return op.Errorf(signer.ErrConflict, name, "the header belongs to another signature, and OSS refuses two; remove it first")
		}
	}
	return nil
}

func isAuthParam(name string) bool { return pipeline.SchemeOf(name) == "OSS4" }

func opPresign() pipeline.Op { return pipeline.Op{Backend: "oss", Name: "presign"} }
