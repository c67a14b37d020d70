// Package s3 signs and verifies requests to Amazon S3 and to everything that speaks its protocol (MinIO, Cloudflare R2,
// Ceph, ...) with AWS Signature Version 4.
//
//	s, err := s3.New(s3.Config{
//		Region: "eu-west-1",
//		Bucket: "photos",
//		Credentials: s3.Credentials{
//			AccessKeyID: id,
//			SecretKey:   signer.NewSecret(secret),
//		},
//	})
//	p, err := s.Presign(ctx, signer.Request{Key: "2026/cat.jpg", Expires: 15 * time.Minute})
//
// A Signer presigns from bucket and key (Presign, AppendURL), presigns a finished URL (PresignRequest) and signs requests
// in their Authorization header (Sign). A Verifier checks both forms on the server's side.
//
// Uploads from a web page can be bounded further than by a presigned PUT: PresignPost signs an HTML form whose policy says how
// large the file may be, of which type, and what its name must begin with. VerifyPost is for the server's side.
//
// The specification is https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html.
package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
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
	// Region is part of every signature and of AWS's host names: "eu-west-1". "auto" for Cloudflare R2, "us-east-1" for
	// a MinIO that was not told otherwise. "aws-global" is the old endpoint without a region.
	Region string

	// Service is the service in the credential scope; "" means "s3".
	Service string

	// Bucket is used where a Request names none: a bucket, an access point's alias, or its ARN. That of a multi-region access
	// point (arn:aws:s3::ACCOUNT:accesspoint/ALIAS.mrap) and of one on an outpost make signatures for several regions.
	Bucket string

	// RegionSet makes signatures that hold in several regions (SigV4a): their names, or "*" alone for all. Region may then be
	// empty. AWS takes them at multi-region access points and at Outposts, whose ARNs imply "*".
	RegionSet []string

	// Endpoint is the service's address, with a base path if it has one, and without the bucket unless Addressing says so; nil
	// means AWS's own. It is what the client will connect to, which may be another address than the one that this process
	// uses. Check the error of url.Parse: it returns nil for 127.0.0.1:9000 without http://.
	Endpoint *url.URL

	// Addressing says where the bucket stands. AddressingAuto puts it into AWS's host name if it is one label, and into
	// the path otherwise and for every other Endpoint.
	Addressing signer.Addressing

	// DualStack, FIPS and Accelerate choose among AWS's endpoints.
	DualStack, FIPS, Accelerate bool

	// Credentials gives the access key. Credentials{...} is its own source.
	Credentials CredentialSource

	// Clock is the signer's clock; nil means clock.System(). One that has learned is asked for the time at the endpoint's
	// host.
	Clock clock.Clock

	// Backdate is how far before now a presigned URL starts, for servers whose clock is behind: 0 means 30 s, negative
	// none. The URL still ends when it was to end. Sign does not backdate.
	Backdate time.Duration
}

// DefaultBackdate is Config.Backdate where that is 0.
const DefaultBackdate = 30 * time.Second

// A Signer signs requests to S3. It is safe for concurrent use. Make it once, it caches signing keys.
type Signer struct {
	config   Config
	endpoint endpoint
	bucket   string
	home     *target          // for bucket; nil if there is none
	creds    Credentials      // checked, if source is nil
	source   CredentialSource // of others
	clock    pipeline.Clock
	limits   pipeline.Limits
	keys     *sigv4.Cache[sigv4.Scope, *sigv4.Key]
	keys4a   func() *sigv4.Cache[keyID, *key4a] // made when it is first needed
	scratch  sync.Pool                          // of *sigv4.Scratch
}

var (
	_ signer.Signer           = (*Signer)(nil)
	_ signer.RequestPresigner = (*Signer)(nil)
	_ signer.Capable          = (*Signer)(nil)
	_ signer.RequestSigner    = (*Signer)(nil)
)

// New returns a Signer. It reports all that is wrong with c, joined.
func New(c Config) (*Signer, error) {
	op := pipeline.Op{Backend: "s3", Name: "new"}
	e, err := newEndpoint(op, &c)
	errs := []error{err}
	var home *target
	if err == nil && (c.Bucket != "" || e.addressing == signer.AddressingBucketHost) {
		t, err := e.target(op, c.Bucket)
		errs = append(errs, err)
		home = &t
	}
	fixed, ok := c.Credentials.(Credentials)
	source := c.Credentials
	switch {
	case c.Credentials == nil:
		errs = append(errs, op.Errorf(signer.ErrCredentials, "Credentials", "there are none; set s3.Credentials or a source of them"))
	case ok:
		errs = append(errs, fixed.checkFixed(op, c.Endpoint == nil))
		source = nil
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c.RegionSet = slices.Clone(c.RegionSet)
	return &Signer{
		config:   c,
		endpoint: e,
		bucket:   c.Bucket,
		home:     home,
		creds:    fixed,
		source:   source,
		clock:    pipeline.NewClock(c.Clock, e.host),
		limits:   pipeline.Limits{Max: maxExpires, Backdate: pipeline.Backdate(c.Backdate, DefaultBackdate)},
		keys:     sigv4.NewCache(family().NewKey),
		keys4a:   sync.OnceValue(newCache4a),
	}, nil
}

// At returns a Signer that signs as s does for another endpoint: the public name, say, in front of a store which the service itself
// reaches by an internal one. Both mean what they mean in Config, a nil endpoint Amazon's own. The error is that of New.
func (s *Signer) At(endpoint *url.URL, addressing signer.Addressing) (*Signer, error) {
	c := s.config
	c.Endpoint, c.Addressing = endpoint, addressing
	return New(c)
}

// Capabilities implements signer.Capable.
func (s *Signer) Capabilities() signer.Capabilities {
	return signer.Capabilities{Backend: "s3", ContentType: true, ContentLength: true, Checksum: true, Query: true,
		Response:  []string{"CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires"},
		NotBefore: true, MaxExpires: maxExpires * time.Second, Post: true}
}

// Presign returns a URL for one method on one object, or on the bucket. See signer.Signer for its contract, and
// signer.Request for what can be asked.
//
// The URL is valid for at most seven days (ErrLifetime). What SigV4 cannot enforce is SourceIP. Names of Query that
// begin with "X-Amz-" must be written in lower case.
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

// AppendURL is Presign for hot loops: it appends the URL to dst and returns it with the instant at which it dies. It
// does not allocate if dst has room. A Request with AllowShorter or BestEffort is ErrRequest, because the
// result could not say what was given up. On an error dst is returned as it was.
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

// presign appends the presigned URL to dst. The canonical query is the wire query: path and query of the canonical request
// are cut from the URL.
func (s *Signer) presign(ctx context.Context, w *sigv4.Scratch, dst []byte, method string, r *signer.Request) ([]byte, error) {
	op := opPresign()
	if err := pipeline.CheckRequest(op, r, method); err != nil {
		return nil, err
	}
	if r.SourceIP.IsValid() && !r.BestEffort {
		return nil, op.Errorf(signer.ErrUnsupported, "SourceIP", "SigV4 has no limit on addresses; use a bucket policy, or set BestEffort to sign without it")
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
	creds, err := s.plan(ctx, op, w, &pipeline.Ask{Expires: r.Expires, Window: r.Window, Spread: r.Spread,
		Bucket: bucket, Key: r.Key, AllowShorter: r.AllowShorter})
	if err != nil {
		return nil, err
	}
	stamp := w.Stamp(w.Plan.Start)
	sc := t.scope(stamp)
	key := s.key(&creds, &sc)

	url, host, path := t.appendURL(dst, r.Key)
	query := len(url) + 1
	plain := pipeline.Plain(r) && t == s.home
	var frame *sigv4.Frame[framed]
	var id framed
	if plain {
		frame, id = sigv4.Kept[sigv4.Frame[framed]](w), framed{w.Plan.Start, w.Plan.End, method, creds.AccessKeyID, creds.SessionToken.Fingerprint()}
		if frame.Fits(id) {
			w.Canonical = sigv4.AppendSigned(w.Canonical[:0], frame, url[path:])
			w.ToSign = appendStringToSign(w.ToSign[:0], stamp, &sc, w.Canonical)
			w.Trace(ctx)
			return key.AppendSignature(append(frame.AppendQuery(url), "&X-Amz-Signature="...), w.ToSign), nil
		}
	}
	w.AddHost(url[host:path])
	for name, values := range r.Header {
		w.AddHeader(name, values...)
	}
	if err := w.SortHeaders(op); err != nil {
		return nil, err
	}
	payload, err := payloadOf(op, w.Headers)
	if err != nil {
		return nil, err
	}
	before, after, err := callersParams(op, w, r)
	if err != nil {
		return nil, err
	}
	url = append(url, '?')
	if len(before) > 0 {
		url = append(wire.AppendParams(url, before), '&')
	}
	url = appendAuthParams(url, creds.AccessKeyID, key, creds.SessionToken, stamp, &sc, w.Plan.End-w.Plan.Start, w.Headers)
	if len(after) > 0 {
		url = wire.AppendParams(append(url, '&'), after)
	}

	w.Canonical = appendCanonicalRequest(w.Canonical[:0], method, url[path:query-1], url[query:], w.Headers, payload)
	if plain {
		name := len(method) + len("\n")
		frame.Keep(id, w.Canonical, name, name+query-1-path, url[query-1:])
	}
	w.ToSign = appendStringToSign(w.ToSign[:0], stamp, &sc, w.Canonical)
	w.Trace(ctx)
	return key.AppendSignature(append(url, "&X-Amz-Signature="...), w.ToSign), nil
}

// framed is what the frame of a canonical request follows from, if it is for an object of the Config's bucket and has no options.
type framed struct {
	start, end int64
	method, id string
	token      [sha256.Size]byte
}

// callersParams collects Query and Response in canonical order, split where the signature's parameters go: all of those
// begin with "X-Amz-".
func callersParams(op pipeline.Op, w *sigv4.Scratch, r *signer.Request) (before, after []wire.Param, err error) {
	if len(r.Query) == 0 && !pipeline.Overriding(&r.Response) {
		return nil, nil, nil
	}
	for name, values := range r.Query {
		if strings.HasPrefix(name, "X-Amz-") {
			return nil, nil, op.Errorf(signer.ErrRequest, "Query", "%q: in a URL, headers of Amazon's are written in lower case", name)
		}
		for _, v := range values {
			w.Params.Add(name, v)
		}
	}
	if pipeline.Overriding(&r.Response) {
		for i, o := range pipeline.Overrides(&r.Response) {
			if o.Value == "" {
				continue
			}
			name := [...]string{"response-cache-control", "response-content-disposition", "response-content-encoding",
				"response-content-language", "response-content-type", "response-expires"}[i]
			if r.Query.Has(name) {
				return nil, nil, op.Errorf(signer.ErrRequest, "Query", "%q is in Query and in Response; say it once", name)
			}
			w.Params.Add(name, o.Value)
		}
	}
	w.Params.Sort()
	list := w.Params.List
	split := 0
	for split < len(list) && string(list[split].Name) < "X-Amz-" {
		split++
	}
	return list[:split], list[split:], nil
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
	return creds, w.Plan.Cap(op, creds.Expires, ask.AllowShorter, "Credentials", "the credentials")
}

// key returns the signing key for a scope.
func (s *Signer) key(creds *Credentials, sc *scope) signingKey {
	if sc.regionSet != "" {
		return s.keys4a().Key(creds.SecretKey, keyID(creds.AccessKeyID))
	}
	return s.keys.Key(creds.SecretKey, sc.Scope)
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

// PresignRequest presigns a finished URL, whose bytes are kept. See signer.RequestPresigner for its contract. Bucket, Endpoint
// and Addressing of the Config have no part in it: whatever host the URL names is signed for.
//
// A header X-Amz-Content-Sha256 is signed, and its value stands for the body, as in a signature in the header; without one the
// body is not signed. Whether a service takes a hash there depends on the service: MinIO does, versitygw 1.8.0 refuses the URL.
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
	if err := s.endpoint.checkRegionSet(op, req.URL.Host); err != nil {
		return nil, err
	}
	creds, err := s.plan(ctx, op, w, &pipeline.Ask{Expires: o.Expires, Window: o.Window, AllowShorter: o.AllowShorter})
	if err != nil {
		return nil, err
	}
	stamp := w.Stamp(w.Plan.Start)
	sc := s.endpoint.scopeAt(stamp, req.URL.Host)
	key := s.key(&creds, &sc)

	host := pipeline.HostOf(req)
	if err := w.AddRequestHeaders(op, req.Header, req.ContentLength, host); err != nil {
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
	w.URL = append(w.URL, '?')
	if kept := wire.Without(req.URL.RawQuery, isAuthParam); kept != "" {
		w.URL = append(append(w.URL, kept...), '&')
	}
	w.URL = appendAuthParams(w.URL, creds.AccessKeyID, key, creds.SessionToken, stamp, &sc, w.Plan.End-w.Plan.Start, w.Headers)

	if err := w.CanonicalPathAndQuery(op, path, string(w.URL[query:])); err != nil {
		return nil, err
	}
	method := pipeline.MethodOf(req.Method)
	w.Canonical = appendCanonicalRequest(w.Canonical[:0], method, w.Path, w.Query, w.Headers, payload)
	w.ToSign = appendStringToSign(w.ToSign[:0], stamp, &sc, w.Canonical)
	w.Trace(ctx)
	w.URL = append(w.URL, "&X-Amz-Signature="...)
	w.URL = key.AppendSignature(w.URL, w.ToSign)

	return w.Presigned(method, req, host), nil
}

// Sign signs req in its headers, in place; like PresignRequest, for whatever host its URL names. Set the headers and the body
// first: what is added later is not covered, and services refuse x-amz- headers that are not. It sets Authorization, X-Amz-Date,
// X-Amz-Security-Token if the credentials have a token, and X-Amz-Content-Sha256 to UNSIGNED-PAYLOAD unless the caller set it
// (HashBody does, and who encoded the body as chunks without signatures: STREAMING-UNSIGNED-PAYLOAD-TRAILER). See
// signer.RequestSigner for its contract and signer.RequestPresigner for the headers that are signed.
//
// An earlier AWS4 signature in the headers is replaced. One in the URL, or an Authorization of another kind, is
// ErrConflict. The service takes the request for 15 minutes around its date.
func (s *Signer) Sign(ctx context.Context, req *http.Request) error {
	op := pipeline.Op{Backend: "s3", Name: "sign"}
	if err := pipeline.CheckHTTPRequest(op, req); err != nil {
		return err
	}
	h := req.Header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	switch payload := pipeline.HeaderValues(h, "X-Amz-Content-Sha256"); {
	case payload == nil:
		h.Set("X-Amz-Content-Sha256", unsignedPayload)
	case strings.HasPrefix(payload[0], streaming) && payload[0] != streamingBytes:
		return op.Errorf(signer.ErrRequest, "X-Amz-Content-Sha256", "it announces a body of signed chunks; sign a fresh request with SignChunked")
	}
	_, err := s.sign(ctx, op, req, h, req.ContentLength)
	return err
}

// sign signs req with the headers h, which become its headers, and a body of that length on the wire. It returns what signs
// the chunks of the body.
func (s *Signer) sign(ctx context.Context, op pipeline.Op, req *http.Request, h http.Header, length int64) (chunkSigner, error) {
	w := sigv4.TakeScratch(&s.scratch)
	defer w.Release(&s.scratch)
	if err := checkConflict(op, req, true); err != nil {
		return chunkSigner{}, err
	}
	if err := s.endpoint.checkRegionSet(op, req.URL.Host); err != nil {
		return chunkSigner{}, err
	}
	now, _ := s.clock.Read()
	plan, err := pipeline.PlanTimes(op, now, &pipeline.Ask{Expires: time.Second}, pipeline.Limits{})
	if err != nil {
		return chunkSigner{}, err
	}
	creds, err := s.credentials(ctx, op, plan.End)
	if err != nil {
		return chunkSigner{}, err
	}
	if err := plan.Cap(op, creds.Expires, true, "Credentials", "the credentials"); err != nil {
		return chunkSigner{}, err
	}
	stamp := sigv4.StampOf(plan.Now)
	sc := s.endpoint.scopeAt(stamp, req.URL.Host)
	key := s.key(&creds, &sc)

	pipeline.DeleteHeader(h, "authorization", "x-amz-date", "x-amz-security-token", "x-amz-region-set")
	h.Set("X-Amz-Date", string(stamp[:]))
	if !creds.SessionToken.IsZero() {
		h.Set("X-Amz-Security-Token", string(creds.SessionToken.Reveal()))
	}
	if sc.regionSet != "" {
		h.Set("X-Amz-Region-Set", sc.regionSet)
	}
	host := pipeline.HostOf(req)
	if err := w.AddRequestHeaders(op, h, length, host); err != nil {
		return chunkSigner{}, err
	}
	payload, err := payloadOf(op, w.Headers)
	if err != nil {
		return chunkSigner{}, err
	}
	if err := w.CanonicalPathAndQuery(op, req.URL.EscapedPath(), req.URL.RawQuery); err != nil {
		return chunkSigner{}, err
	}
	w.Canonical = appendCanonicalRequest(w.Canonical[:0], pipeline.MethodOf(req.Method), w.Path, w.Query, w.Headers, payload)
	w.ToSign = appendStringToSign(w.ToSign[:0], stamp, &sc, w.Canonical)
	w.Trace(ctx)
	w.URL = appendAuthorization(w.URL[:0], creds.AccessKeyID, &sc, w.Headers, key, w.ToSign)

	h.Set("Authorization", string(w.URL))
	req.Header = h
	if host != req.URL.Host {
		req.Host = host // without the scheme's default port, as it was signed
	}
	signature := w.URL[bytes.LastIndexByte(w.URL, '=')+1:]
	return chunkSigner{key: key, stamp: stamp, scope: sc, previous: bytes.Clone(signature)}, nil
}

// HashBody sets X-Amz-Content-Sha256 to the SHA-256 of the body, so that Sign covers it and the service refuses another
// one. It reads a copy that req.GetBody gives (http.NewRequest sets it for bytes.Buffer, bytes.Reader and strings.Reader);
// a body without GetBody is ErrRequest. On an error req is unchanged.
func HashBody(req *http.Request) error {
	op := pipeline.Op{Backend: "s3", Name: "hash body"}
	if req == nil {
		return op.Errorf(signer.ErrRequest, "Body", "there is no request")
	}
	hash := sha256.New()
	if req.Body != nil && req.Body != http.NoBody {
		if req.GetBody == nil {
			return op.Errorf(signer.ErrRequest, "GetBody", "the body can be read only once; set req.GetBody, or sign without a hash")
		}
		body, err := req.GetBody()
		if err != nil {
			return op.Errorf(signer.ErrRequest, "GetBody", "%w", err)
		}
		_, err = io.Copy(hash, body)
		body.Close()
		if err != nil {
			return op.Errorf(signer.ErrRequest, "Body", "%w", err)
		}
	}
	pipeline.DeleteHeader(req.Header, contentSHA256)
	pipeline.SetHeader(&req.Header, contentSHA256, []string{hex.EncodeToString(hash.Sum(nil))})
	return nil
}

// checkConflict refuses to add a second signature: one of another scheme, or ours in the other form.
func checkConflict(op pipeline.Op, req *http.Request, inHeader bool) error {
	if scheme, param := pipeline.ForeignSignature(req.URL.RawQuery, "AWS4"); scheme != "" {
		return op.Errorf(signer.ErrConflict, "URL", "it carries a signature of %s (%s); sign the bare URL", scheme, param)
	}
	auth := strings.Join(pipeline.HeaderValues(req.Header, "Authorization"), "")
	if inHeader {
		if auth != "" && !strings.HasPrefix(auth, "AWS4-") {
			return op.Errorf(signer.ErrConflict, "Authorization", "the request has one of another kind; remove it first")
		}
		for name := range wire.Pairs(req.URL.RawQuery) {
			if name, err := wire.UnescapeQuery(name); err == nil && isAuthParam(name) {
				return op.Errorf(signer.ErrConflict, "URL", "it is presigned (%s), and services refuse two signatures; sign the bare URL", name)
			}
		}
		return nil
	}
	for _, name := range [...]string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Region-Set"} {
		if pipeline.HeaderValues(req.Header, name) != nil {
			return op.Errorf(signer.ErrConflict, name, "the header belongs to another signature, and services refuse two; remove it first")
		}
	}
	return nil
}

func isAuthParam(name string) bool { return pipeline.SchemeOf(name) == "AWS4" }

func opPresign() pipeline.Op { return pipeline.Op{Backend: "s3", Name: "presign"} }
