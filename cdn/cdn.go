// Package cdn signs and verifies URLs and cookies for Google Cloud CDN (HMAC-SHA1), and for Media CDN.
//
//	key, err := cdn.ParseKey("my-key", "nZtRohdNF9m3cKM24IcK4w==")
//	if err != nil {
//		return err
//	}
//	s, err := cdn.New(cdn.Config{BaseURL: base, Key: key}) // base: https://media.example.com
//	if err != nil {
//		return err
//	}
//	p, err := s.Presign(ctx, signer.Request{Key: "2026/cat.jpg", Expires: 15 * time.Minute})
//
// A Signer presigns from a key (Presign, AppendURL), presigns a finished URL (PresignRequest), and signs for all URLs with one
// beginning (PresignPrefix), which go into a query or a cookie. A Verifier checks all three on the side of the origin, which
// must: the CDN lets requests without a signature through.
//
// # What a signature covers
//
// A signed URL is signed to the last byte of its query, with scheme and host: whoever holds it can change nothing, and neither
// may proxies. Beside the URL nothing is signed. It allows GET and HEAD, and no header can be demanded with it. A URL has an
// end and no beginning, so Presigned.NotBefore is the zero time, and there is no longest life. A prefix covers no query.
//
// # Keys
//
// A backend of Cloud CDN has up to three keys, so that they can be rotated: a signer.KeyRing signs with one, bounds its URLs by
// the key's retirement, and knows from when on nobody misses it. For Cloud CDN to read a private bucket, its service account
// needs the role Storage Object Viewer; the account exists from the first key on.
//
// # Trying it locally
//
// There is no emulator, and BaseURL has no port, because the CDN signs none. A server on another address and port verifies if its
// Inbound tells the BaseURL's scheme and host in place of its own, and if URLs are sent to it: with their origin exchanged (see
// the example of VerifierConfig), or for an http BaseURL by curl --connect-to media.example.com:80:127.0.0.1:8080 URL, which
// needs no Inbound.
//
// # Redirects
//
// A client that follows a redirect to a signed URL may send its Authorization header on. The CDN passes it to the bucket, which
// refuses it with a 401, but only when the object is not in the cache, so that the failures look random. signer.CheckRedirect
// cures clients and signer.Redirector servers.
//
// # Media CDN
//
// MediaSigner and MediaVerifier do the same for Media CDN, which signs with Ed25519 and has tokens besides.
//
// The specification is https://docs.cloud.google.com/cdn/docs/using-signed-urls.
package cdn

import (
	"bytes"
	"context"
	"errors"
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

// Config says for what and with which key a Signer signs. BaseURL and one of Key and Keys are required.
type Config struct {
	// BaseURL is where clients reach the CDN: scheme, host without a port, and the path below which the objects stand, if
	// they do not stand at the top: https://media.example.com/videos. Nothing outside of it is signed.
	BaseURL *url.URL

	// Bucket is the name of the bucket behind BaseURL. It is not signed: a Request may leave its Bucket empty or give
	// the same, and "" means that the origin is not a bucket.
	Bucket string

	// Key signs. Set it if the key changes only when the program starts anew, as it is read from a file or a secret then.
	Key Key

	// Keys is asked for the key of each signature. Set it in place of Key if keys change while the program runs: a
	// signer.KeyRing[Key], or a source of your own.
	Keys KeySource

	// Clock is the signer's clock; nil means clock.System(). One that has learned is asked for the time at BaseURL's host.
	Clock clock.Clock
}

// A Signer signs URLs and prefixes for Cloud CDN. It is safe for concurrent use.
type Signer struct {
	base   base
	bucket string
	key    Key       // checked
	source KeySource // of other keys; nil if there is only this one
	clock  pipeline.Clock
	mac    *mac // of key
	macs   *sigv4.Cache[struct{}, *mac]
	drafts sync.Pool // of *draft
}

var (
	_ signer.Signer           = (*Signer)(nil)
	_ signer.RequestPresigner = (*Signer)(nil)
	_ signer.Capable          = (*Signer)(nil)
)

// New returns a Signer. It reports all that is wrong with c, joined. Where HMAC-SHA1 is forbidden (GODEBUG=fips140=only) it
// returns ErrUnsupported.
func New(c Config) (*Signer, error) {
	op := pipeline.Op{Backend: "cdn", Name: "new"}
	b, errBase := newBase(op, c.BaseURL)
	var errBucket, errKey error
	if c.Bucket != "" {
		errBucket = pipeline.CheckBucket(op, "Bucket", c.Bucket)
	}
	switch {
	case c.Keys == nil:
		errKey = c.Key.check(op)
	case c.Key.Name != "" || !c.Key.Secret.IsZero():
		errKey = op.Errorf(signer.ErrCredentials, "Key", "there is a source of keys, Keys, as well; set one of the two")
	}
	if err := errors.Join(errBase, errBucket, errKey, checkHMAC(op)); err != nil {
		return nil, err
	}
	return &Signer{base: b, bucket: c.Bucket, key: c.Key, source: c.Keys, clock: pipeline.NewClock(c.Clock, b.host),
		mac: newMAC(c.Key.Secret, struct{}{}), macs: sigv4.NewCache(newMAC)}, nil
}

// Capabilities implements signer.Capable.
func (s *Signer) Capabilities() signer.Capabilities {
	return signer.Capabilities{Backend: "cdn", Methods: []string{http.MethodGet, http.MethodHead}, Query: true, Prefix: true}
}

// Presign returns a URL for GET and HEAD of an object, or with Key "" of BaseURL itself. See signer.Signer for its contract,
// and signer.Request for what can be asked.
//
// What cannot be enforced is ErrUnsupported: Header, Response and SourceIP. With BestEffort overrides of the answer's headers
// are sent as the parameters response-content-type and so on, which are signed, but what becomes of them is the origin's
// affair. A Bucket other than the Config's and a Method other than GET and HEAD are always errors.
func (s *Signer) Presign(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
	d := s.take()
	defer s.release(d)
	url, err := s.presign(ctx, d, d.url[:0], &r)
	if err != nil {
		return nil, err
	}
	d.url = url
	p := d.presigned(pipeline.MethodOf(r.Method))
	p.NotEnforced, p.Header = d.loose, pipeline.CopyHeader(r.Header)
	return p, nil
}

// AppendURL is Presign for hot loops: it appends the URL to dst and returns it with the instant at which it dies. It
// does not allocate if dst has room. A Request with AllowShorter or BestEffort is ErrRequest, because the
// result could not say what was given up. On an error dst is returned as it was.
func (s *Signer) AppendURL(ctx context.Context, dst []byte, r signer.Request) ([]byte, time.Time, error) {
	if err := pipeline.CheckAppend(opPresign(), &r); err != nil {
		return dst, time.Time{}, err
	}
	d := s.take()
	defer s.release(d)
	url, err := s.presign(ctx, d, dst, &r)
	if err != nil {
		return dst, time.Time{}, err
	}
	return url, pipeline.Time(d.plan.End), nil
}

// presign appends the presigned URL to dst.
func (s *Signer) presign(ctx context.Context, d *draft, dst []byte, r *signer.Request) ([]byte, error) {
	op, method := opPresign(), pipeline.MethodOf(r.Method)
	if err := pipeline.CheckRequest(op, r, method); err != nil {
		return nil, err
	}
	if err := checkMethod(op, method); err != nil {
		return nil, err
	}
	if r.Bucket != "" && r.Bucket != s.bucket {
		return nil, wrongBucket(op, s.bucket)
	}
	if err := d.addUnenforced(op, r, ""); err != nil {
		return nil, err
	}
	if len(r.Query) > 0 {
		for name, values := range r.Query {
			for _, v := range values {
				d.params.Add(name, v)
			}
		}
		d.params.Sort() // one request has one URL
	}
	if err := s.plan(ctx, op, d, &pipeline.Ask{Expires: r.Expires, Window: r.Window, Spread: r.Spread, Bucket: s.bucket, Key: r.Key,
		AllowShorter: r.AllowShorter}); err != nil {
		return nil, err
	}
	url := wire.AppendEscapePath(append(dst, s.base.url...), r.Key)
	sep := byte('?')
	if len(d.params.List) > 0 {
		url = wire.AppendParams(append(url, '?'), d.params.List)
		sep = '&'
	}
	return s.sign(ctx, d, url, len(dst), sep), nil
}

// sign adds the signature to the URL that begins at start; sep is what stands between them.
func (s *Signer) sign(ctx context.Context, d *draft, url []byte, start int, sep byte) []byte {
	if d.expiryOf != d.plan.End || d.expiryKey != d.key.Name {
		d.expiry, d.expiryOf, d.expiryKey = appendExpiry(d.expiry[:0], '&', d.plan.End, d.key.Name), d.plan.End, d.key.Name
	}
	url = append(append(url, sep), d.expiry...)
	trace(ctx, url[start:])
	m := s.mac
	if s.source != nil {
		m = s.macs.Key(d.key.Secret, struct{}{})
	}
	return m.appendSignature(url, '&', url[start:])
}

// plan lays out the life of a signature and gets the key for it.
func (s *Signer) plan(ctx context.Context, op pipeline.Op, d *draft, ask *pipeline.Ask) (err error) {
	var now time.Time
	now, d.offset = s.clock.Read()
	if err = d.plan.Lay(op, now, ask, pipeline.Limits{}); err != nil {
		return err
	}
	d.key = s.key
	if s.source != nil {
		if d.key, err = s.source.Key(ctx, pipeline.Time(d.plan.End)); err != nil {
			return op.Errorf(signer.ErrCredentials, "Key", "its source failed: %w", signer.RedactError(err))
		}
		if err := d.key.check(op); err != nil {
			return err
		}
	}
	return d.plan.Cap(op, d.key.Expires, ask.AllowShorter, "Key", "the key in force")
}

// PresignRequest presigns a finished URL under BaseURL, whose bytes are kept. See signer.RequestPresigner for its contract.
//
// Refused are a URL outside of BaseURL (to the letter), one with a fragment, and one whose query has Expires, KeyName,
// Signature or URLPrefix in any spelling: those are ordinary names, so nothing is replaced. Headers of req are ErrUnsupported,
// or with BestEffort named in NotEnforced, except those that a signature passes over.
func (s *Signer) PresignRequest(ctx context.Context, req *http.Request, o signer.Options) (*signer.Presigned, error) {
	op := opPresign()
	if err := pipeline.CheckHTTPRequest(op, req); err != nil {
		return nil, err
	}
	method := pipeline.MethodOf(req.Method)
	if err := errors.Join(checkMethod(op, method), checkQuery(op, req.URL.RawQuery), s.base.check(op, req.URL)); err != nil {
		return nil, err
	}
	loose, err := unenforcedHTTP(op, req, o.BestEffort)
	if err != nil {
		return nil, err
	}
	d := s.take()
	defer s.release(d)
	if err := s.plan(ctx, op, d, &pipeline.Ask{Expires: o.Expires, Window: o.Window, AllowShorter: o.AllowShorter}); err != nil {
		return nil, err
	}
	d.url = s.sign(ctx, d, appendURL(d.url[:0], req.URL), 0, separator(req.URL))
	p := d.presigned(method)
	for _, name := range loose {
		pipeline.SetHeader(&p.Header, name, pipeline.HeaderValues(req.Header, name))
		p.NotEnforced = append(p.NotEnforced, "Header."+name)
	}
	return p, nil
}

func checkMethod(op pipeline.Op, method string) error {
	if method == http.MethodGet || method == http.MethodHead {
		return nil
	}
	return op.Errorf(signer.ErrUnsupported, "Method", "a signed URL allows GET and HEAD, not %s; upload to the bucket itself", method)
}

// wrongBucket is the error for a bucket that is not the configured one.
func wrongBucket(op pipeline.Op, configured string) error {
	if configured == "" {
		return op.Errorf(signer.ErrRequest, "Bucket", "the Config names no bucket behind BaseURL; leave it empty, or set Bucket there too")
	}
	return op.Errorf(signer.ErrRequest, "Bucket", "the bucket behind BaseURL is %q; leave it empty, or make a Signer for the other one", configured)
}

// addUnenforced collects what r asks for and a signature of the URL cannot hold anybody to. Overrides are sent all the same.
// instead is what else can demand headers and limit addresses, for the errors.
func (d *draft) addUnenforced(op pipeline.Op, r *signer.Request, instead string) error {
	if r.Header == nil && !pipeline.Overriding(&r.Response) && !r.SourceIP.IsValid() {
		return nil
	}
	for name := range r.Header {
		d.loose = append(d.loose, "Header."+http.CanonicalHeaderKey(name))
	}
	slices.Sort(d.loose)
	headers := len(d.loose)
	for _, o := range pipeline.Overrides(&r.Response) {
		if o.Value == "" {
			continue
		}
		name := "response-" + strings.ToLower(o.Header)
		if r.Query.Has(name) {
			return op.Errorf(signer.ErrRequest, "Query", "%q is in Query and in Response; say it once", name)
		}
		d.params.Add(name, o.Value)
		d.loose = append(d.loose, "Response."+o.Field)
	}
	overrides := len(d.loose)
	if r.SourceIP.IsValid() {
		d.loose = append(d.loose, "SourceIP")
	}
	if d.loose == nil || r.BestEffort {
		return nil
	}
	var errs []error
	refuse := func(fields []string, why string) {
		if len(fields) > 0 {
			errs = append(errs, op.Errorf(signer.ErrUnsupported, strings.Join(fields, ", "), "%s", why))
		}
	}
	refuse(d.loose[:headers], "a signature of a URL covers no headers; leave it out, "+instead+"or set BestEffort to sign without it")
	refuse(d.loose[headers:overrides], "the CDN overrides nothing; set it on the object, or set BestEffort to send it to the origin, which may heed it or not")
	refuse(d.loose[overrides:], "a signature of a URL is for every address; leave it out, "+instead+"or set BestEffort to sign without it")
	return errors.Join(errs...)
}

// unenforcedHTTP names the headers of req that nobody can be held to.
func unenforcedHTTP(op pipeline.Op, req *http.Request, bestEffort bool) (loose []string, err error) {
	if pipeline.HeaderValues(req.Header, "Authorization") != nil {
		return nil, op.Errorf(signer.ErrConflict, "Authorization", "the URL authorizes, and origins refuse two authorizations; remove the header")
	}
	if req.Host != "" && req.Host != req.URL.Host {
		return nil, op.Errorf(signer.ErrRequest, "Host", "it is not the URL's, which is signed")
	}
	if req.ContentLength > 0 {
		return nil, op.Errorf(signer.ErrRequest, "ContentLength", "GET and HEAD have no body here")
	}
	for name, values := range req.Header {
		if !pipeline.Unsignable(name) && len(values) > 0 {
			loose = append(loose, http.CanonicalHeaderKey(name))
		}
	}
	slices.Sort(loose)
	if loose != nil && !bestEffort {
		return nil, op.Errorf(signer.ErrUnsupported, "Header",
			"a signature of a URL covers no headers (%s); leave them out, or set BestEffort to sign without them", strings.Join(loose, ", "))
	}
	return loose, nil
}

// checkQuery refuses a query that carries a signature, or a part of one.
func checkQuery(op pipeline.Op, rawQuery string) error {
	if scheme, param := pipeline.ForeignSignature(rawQuery, family); scheme != "" {
		return op.Errorf(signer.ErrConflict, "URL", "it carries a signature of %s (%s); sign the bare URL", scheme, param)
	}
	for name := range wire.Pairs(rawQuery) {
		if name, err := wire.UnescapeQuery(name); err == nil && ours(name) {
			return op.Errorf(signer.ErrConflict, "URL",
				"it has a parameter %s, whose name belongs to the signature; sign the bare URL, or call the parameter something else", name)
		}
	}
	return nil
}

// family is what pipeline.SchemeOf calls our parameters.
const family = "Cloud CDN or version 2"

func ours(name string) bool { return pipeline.SchemeOf(name) == family }

// appendURL appends a URL as clients send it, which is what is signed.
func appendURL(dst []byte, u *url.URL) []byte {
	dst = append(dst, u.Scheme...)
	dst = append(dst, "://"...)
	dst = append(dst, u.Host...)
	dst = append(dst, u.EscapedPath()...)
	if u.RawQuery != "" {
		dst = append(dst, '?')
		dst = append(dst, u.RawQuery...)
	}
	return dst
}

// separator is what stands between a URL and the parameters that are added to it.
func separator(u *url.URL) byte {
	if u.RawQuery != "" {
		return '&'
	}
	return '?'
}

// A base is the place below which everything is signed and verified.
type base struct {
	scheme, host string
	path         string // decoded, with a slash at its end
	url          string // the three as they go on the wire
}

func newBase(op pipeline.Op, u *url.URL) (base, error) {
	if u == nil {
		return base{}, op.Errorf(signer.ErrRequest, "BaseURL", "there is none; set the address of the CDN, https://media.example.com perhaps")
	}
	if err := pipeline.CheckEndpoint(op, u); err != nil {
		return base{}, rename(err, "BaseURL") // what an Endpoint is elsewhere
	}
	if hasPort(u) {
		return base{}, op.Errorf(signer.ErrRequest, "BaseURL", portProblem)
	}
	scheme, host, path := pipeline.Locate(u)
	return base{scheme, host, strings.TrimRight(u.Path, "/") + "/", scheme + "://" + host + path + "/"}, nil
}

// rename makes errors speak of another field.
func rename(err error, field string) error {
	switch e := err.(type) {
	case *signer.Error:
		e.Field = field
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			_ = rename(one, field)
		}
	}
	return err
}

func hasPort(u *url.URL) bool { return u.Port() != "" || strings.HasSuffix(u.Host, ":") }

const portProblem = "it has a port, and the CDN signs URLs without one; leave it out"

// check refuses a URL that does not stand below the base.
func (b *base) check(op pipeline.Op, u *url.URL) error {
	switch raw := string(appendURL(nil, u)); {
	case hasPort(u):
		return op.Errorf(signer.ErrRequest, "URL", portProblem)
	case u.Path == "":
		return op.Errorf(signer.ErrRequest, "URL", "it has no path, and the CDN signs none without; write %s://%s/", u.Scheme, u.Host)
	case !strings.HasPrefix(raw, b.url):
		return op.Errorf(signer.ErrRequest, "URL", "it does not begin with %s, to the letter", b.url)
	}
	return nil
}

// A draft is a URL in the making. Drafts are pooled for their memory, so that signing allocates only what it returns.
type draft struct {
	url    []byte
	params wire.Params
	loose  []string // what nobody is held to
	key    Key
	plan   pipeline.Plan
	offset time.Duration

	expiry    []byte // the last, which the URLs of one second share
	expiryOf  int64
	expiryKey string
}

func (s *Signer) take() *draft {
	if d, ok := s.drafts.Get().(*draft); ok {
		return d
	}
	return new(draft)
}

// release gives the memory back, unless a huge request made it huge.
func (s *Signer) release(d *draft) {
	if cap(d.url) > 64<<10 {
		return
	}
	d.params.Reset()
	d.loose = nil
	s.drafts.Put(d)
}

// presigned makes the result. The scheme has no beginning, and none is made up.
func (d *draft) presigned(method string) *signer.Presigned {
	p := pipeline.Presigned(method, d.url, &d.plan, d.offset)
	p.NotBefore = time.Time{}
	return p
}

// trace hands the string to sign to whoever asked for it.
func trace(ctx context.Context, toSign []byte) {
	if t := signer.TraceFrom(ctx); t != nil {
		t.CanonicalRequest, t.StringToSign = nil, bytes.Clone(toSign)
	}
}

func opPresign() pipeline.Op { return pipeline.Op{Backend: "cdn", Name: "presign"} }
