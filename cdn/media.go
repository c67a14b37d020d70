package cdn

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// MediaConfig says for what a MediaSigner signs, and with what. BaseURL and Key are required.
type MediaConfig struct {
	// BaseURL is where clients reach Media CDN: scheme, host without a port, and the path below which the objects stand, if
	// they do not stand at the top. Signatures are for what is below it.
	BaseURL *url.URL

	// Bucket is the name of the bucket behind BaseURL. It is not signed: a Request may leave its Bucket empty or give the same.
	Bucket string

	// Key is a private key, or for tokens on a route that takes them a shared one.
	Key MediaKey

	// TokenParameter is the query parameter of tokens: the route's tokenQueryParameter. "" means edge-cache-token, which is
	// Media CDN's default too.
	TokenParameter string

	// Clock is the signer's clock; nil means clock.System(). One that has learned is asked for the time at BaseURL's host.
	Clock clock.Clock
}

// A MediaSigner makes signed URLs, prefixes and tokens for Google's Media CDN. It is safe for concurrent use.
//
// Media CDN serves GET and HEAD (and OPTIONS) with one signature, and no header can be demanded but with a token.
type MediaSigner struct {
	base   base
	bucket string
	key    MediaKey
	token  string // the query parameter
	clock  pipeline.Clock
}

var (
	_ signer.Signer           = (*MediaSigner)(nil)
	_ signer.Capable          = (*MediaSigner)(nil)
	_ signer.RequestPresigner = (*MediaSigner)(nil)
)

// NewMedia returns a MediaSigner. It reports all that is wrong with c, joined.
func NewMedia(c MediaConfig) (*MediaSigner, error) {
	op := pipeline.Op{Backend: "cdn", Name: "new media"}
	b, errBase := newBase(op, c.BaseURL)
	token, errToken := mediaTokenParameter(op, c.TokenParameter)
	var errBucket, errKey error
	if c.Bucket != "" {
		errBucket = pipeline.CheckBucket(op, "Bucket", c.Bucket)
	}
	switch {
	case c.Key.algorithm == 0:
		errKey = op.Errorf(signer.ErrCredentials, "Key", "there is none; make one with ParseMediaPrivateKey")
	case c.Key.sign == nil:
		errKey = op.Errorf(signer.ErrCredentials, "Key", "it is a public key, which only verifies; make one with ParseMediaPrivateKey")
	}
	if err := errors.Join(errBase, errBucket, errKey, errToken); err != nil {
		return nil, err
	}
	return &MediaSigner{base: b, bucket: c.Bucket, key: c.Key, token: token, clock: pipeline.NewClock(c.Clock, b.host)}, nil
}

func mediaTokenParameter(op pipeline.Op, name string) (string, error) {
	if name == "" {
		return mediaComponent, nil
	}
	if !mediaKeyName(name) || pipeline.SchemeOf(name) != "" {
		return "", op.Errorf(signer.ErrRequest, "TokenParameter",
			"%q cannot be one: 1 to 64 letters, digits, dashes and underscores, and no parameter of a signature", name)
	}
	return name, nil
}

// Capabilities implements signer.Capable. It is what Presign can do; Token holds its holder to headers and addresses, too.
func (s *MediaSigner) Capabilities() signer.Capabilities {
	return signer.Capabilities{Backend: "cdn", Methods: []string{http.MethodGet, http.MethodHead}, Query: true, Prefix: true}
}

// Presign returns a URL for GET and HEAD of an object, or with Key "" of BaseURL itself. See signer.Signer for its contract,
// and signer.Request for what can be asked.
//
// The URL has no beginning, so that NotBefore is zero, and no longest life but the route's (signedRequestMaximumExpirationTtl).
// What cannot be enforced is ErrUnsupported: Header, Response and SourceIP, of which Token can do the first and the last. With
// BestEffort overrides of the answer's headers are sent as the parameters response-content-type and so on, which are signed,
// but what becomes of them is the origin's affair.
func (s *MediaSigner) Presign(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
	op := opPresignMedia()
	method := pipeline.MethodOf(r.Method)
	if err := pipeline.CheckRequest(op, &r, method); err != nil {
		return nil, err
	}
	if r.Bucket != "" && r.Bucket != s.bucket {
		return nil, wrongBucket(op, s.bucket)
	}
	var d draft
	if err := errors.Join(checkMethod(op, method), d.addUnenforced(op, &r, "demand it with a token (MediaSigner.Token), ")); err != nil {
		return nil, err
	}
	for name, values := range r.Query {
		if s.isToken(name) {
			return nil, op.Errorf(signer.ErrRequest, "Query", "%q carries a token; leave it out", name)
		}
		for _, v := range values {
			d.params.Add(name, v)
		}
	}
	d.params.Sort() // one request has one URL
	d.url = append(wire.AppendEscapePath([]byte(s.base.url), r.Key), '?')
	if len(d.params.List) > 0 {
		d.url = append(wire.AppendParams(d.url, d.params.List), '&')
	}
	p, err := s.presign(ctx, op, method, string(d.url), &pipeline.Ask{Expires: r.Expires, Window: r.Window, Spread: r.Spread,
		Bucket: s.bucket, Key: r.Key, AllowShorter: r.AllowShorter})
	if err != nil {
		return nil, err
	}
	p.NotEnforced = d.loose
	p.Header = pipeline.CopyHeader(r.Header)
	return p, nil
}

// PresignRequest presigns a finished URL under BaseURL, whose bytes are kept. See signer.RequestPresigner for its contract.
//
// Refused are a URL outside of BaseURL (to the letter), and one that has a token or Expires, KeyName, Signature or URLPrefix in
// any spelling: those are ordinary names, so nothing is replaced. Headers of req are ErrUnsupported, or with BestEffort named
// in NotEnforced, except those that a signature passes over.
func (s *MediaSigner) PresignRequest(ctx context.Context, req *http.Request, o signer.Options) (*signer.Presigned, error) {
	op := opPresignMedia()
	if err := pipeline.CheckHTTPRequest(op, req); err != nil {
		return nil, err
	}
	method := pipeline.MethodOf(req.Method)
	if err := errors.Join(checkMethod(op, method), s.checkBare(op, req.URL), s.base.check(op, req.URL)); err != nil {
		return nil, err
	}
	loose, err := unenforcedHTTP(op, req, o.BestEffort)
	if err != nil {
		return nil, err
	}
	url := append(appendURL(nil, req.URL), separator(req.URL))
	p, err := s.presign(ctx, op, method, string(url), mediaAsk(&o))
	if err != nil {
		return nil, err
	}
	for _, name := range loose {
		pipeline.SetHeader(&p.Header, name, pipeline.HeaderValues(req.Header, name))
		p.NotEnforced = append(p.NotEnforced, "Header."+name)
	}
	return p, nil
}

// presign signs a URL that ends in '?' or '&'.
func (s *MediaSigner) presign(ctx context.Context, op pipeline.Op, method, url string, a *pipeline.Ask) (*signer.Presigned, error) {
	if err := s.checkEd25519(op); err != nil {
		return nil, err
	}
	now, offset := s.clock.Read()
	plan, err := pipeline.PlanTimes(op, now, a, pipeline.Limits{})
	if err != nil {
		return nil, err
	}
	signed, whole := mediaSignature(&s.key, url, '&', plan.End)
	trace(ctx, []byte(signed))
	plan.Start = 0 // a signature has no beginning, and none is made up
	return pipeline.Presigned(method, []byte(whole), &plan, offset), nil
}

// PresignPrefix signs for all URLs that begin with prefix, a URL under BaseURL that ends in a slash, https://host/path/. One
// without it (.../data) would open what merely begins like it (.../database/secret); that is ErrRequest, and so are a query, a
// fragment, and a path with segments "." or "..". Expires and Window are those of a Request; AllowShorter and BestEffort have
// nothing to do.
func (s *MediaSigner) PresignPrefix(ctx context.Context, prefix string, o signer.Options) (*MediaPass, error) {
	op := pipeline.Op{Backend: "cdn", Name: "presign media prefix"}
	if err := errors.Join(s.checkPrefix(op, "URL", prefix), s.checkEd25519(op)); err != nil {
		return nil, err
	}
	p, expires, err := s.pass(op, o, mediaScope{prefix: prefix})
	if err != nil {
		return nil, err
	}
	encoded := mediaURLPrefix(prefix)
	signed, query := mediaSignature(&s.key, encoded+"&", '&', expires)
	_, cookie := mediaSignature(&s.key, encoded+":", ':', expires)
	_, component := mediaSignature(&s.key, prefix+mediaComponent+"=", '&', expires)
	trace(ctx, []byte(signed))
	p.query, p.cookie = signer.NewSecret([]byte(query)), signer.NewSecret([]byte(cookie))
	p.component = signer.NewSecret([]byte(component + "/"))
	return p, nil
}

// Token makes a token for t: a short-duration token, which the CDN may exchange for a long-duration one, or the only token of
// a route that takes one. Expires and Window are those of a Request and count from now, not from t.Starts; AllowShorter and
// BestEffort have nothing to do. All that is wrong with t is reported, joined. For HLS a token goes into the query or a cookie,
// for DASH only into a cookie.
//
// https://docs.cloud.google.com/media-cdn/docs/generate-tokens
func (s *MediaSigner) Token(ctx context.Context, t MediaToken, o signer.Options) (*MediaPass, error) {
	op := pipeline.Op{Backend: "cdn", Name: "media token"}
	errs := t.check(op)
	if t.URLPrefix != "" {
		errs = append(errs, s.checkPrefix(op, "URLPrefix", t.URLPrefix))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p, expires, err := s.pass(op, o, mediaScope{prefix: t.URLPrefix, globs: slices.Clone(t.PathGlobs), path: t.FullPath})
	if err != nil {
		return nil, err
	}
	if !t.Starts.IsZero() {
		if t.Starts.Unix() >= expires {
			return nil, op.Errorf(signer.ErrLifetime, "Starts",
				"the token would die at %s, before it works; Expires counts from now, so ask for more", p.ExpiresAt.Format(time.RFC3339))
		}
		p.NotBefore = pipeline.Time(t.Starts.Unix())
	}
	fields := t.fields(expires)
	signed := mediaSignedValue(fields, t.FullPath, func(name string) string {
		for _, h := range t.Headers {
			if h.Name == name {
				return h.Value
			}
		}
		return "" // unreachable: the names are those of t.Headers
	})
	trace(ctx, []byte(signed))
	token := strings.Join(append(fields, mediaTokenSignature(&s.key, signed)), "~")
	p.query, p.cookie = signer.NewSecret([]byte(s.token+"="+token)), signer.NewSecret([]byte(token))
	return p, nil
}

// pass begins a MediaPass: its scope and its life.
func (s *MediaSigner) pass(op pipeline.Op, o signer.Options, scope mediaScope) (p *MediaPass, expires int64, err error) {
	now, offset := s.clock.Read()
	plan, err := pipeline.PlanTimes(op, now, mediaAsk(&o), pipeline.Limits{})
	if err != nil {
		return nil, 0, err
	}
	return &MediaPass{ExpiresAt: pipeline.Time(plan.End), LimitedBy: plan.LimitedBy, StableUntil: pipeline.Time(plan.StableUntil),
		ClockOffset: offset, signer: s, scope: scope}, plan.End, nil
}

func mediaAsk(o *signer.Options) *pipeline.Ask {
	return &pipeline.Ask{Expires: o.Expires, Window: o.Window, AllowShorter: o.AllowShorter}
}

func (s *MediaSigner) checkEd25519(op pipeline.Op) error {
	if s.key.algorithm != MediaEd25519 {
		return op.Errorf(signer.ErrUnsupported, "Key",
			"%v is for tokens alone; signatures are made with Ed25519, see ParseMediaPrivateKey", s.key.algorithm)
	}
	return nil
}

// checkPrefix refuses what is no beginning of URLs under BaseURL that ends between two segments.
func (s *MediaSigner) checkPrefix(op pipeline.Op, field, prefix string) error {
	u, err := s.parse(op, prefix)
	switch {
	case err != nil:
		return rename(err, field)
	case strings.Contains(prefix, "?"):
		return op.Errorf(signer.ErrRequest, field, "it has a query; a prefix ends in the path")
	case !strings.HasSuffix(u.EscapedPath(), "/"):
		return op.Errorf(signer.ErrRequest, field,
			"it does not end in a slash, and would open every URL that only begins like it; write %s/", prefix)
	}
	return nil
}

// parse parses a URL that a prefix or token may stand for or be attached to: under BaseURL, without a signature, and as clients
// send it.
func (s *MediaSigner) parse(op pipeline.Op, rawURL string) (*url.URL, error) {
	if !mediaURLBytes(rawURL) {
		return nil, op.Errorf(signer.ErrRequest, "URL", "it holds a blank, a control or a non-ASCII character; percent-encode it")
	}
	u, err := s.base.parse(op, rawURL)
	if err != nil {
		return nil, err
	}
	if string(appendURL(nil, u)) != strings.TrimSuffix(rawURL, "?") {
		return nil, op.Errorf(signer.ErrRequest, "URL", "clients send it in another spelling; percent-encode what is no part of a URL")
	}
	return u, s.checkBare(op, u)
}

// checkBare refuses URLs that carry a signature or a token.
func (s *MediaSigner) checkBare(op pipeline.Op, u *url.URL) error {
	if strings.Contains(u.EscapedPath(), "/"+mediaComponent+"=") {
		return op.Errorf(signer.ErrConflict, "URL", "it is signed already, in its path; sign the bare URL")
	}
	for name := range wire.Pairs(u.RawQuery) {
		if name, err := wire.UnescapeQuery(name); err == nil && s.isToken(name) {
			return op.Errorf(signer.ErrConflict, "URL", "it has a token already, in its query; sign the bare URL")
		}
	}
	return checkQuery(op, u.RawQuery)
}

// isToken reports whether a parameter carries tokens, in any spelling.
func (s *MediaSigner) isToken(name string) bool {
	return strings.EqualFold(name, s.token) || strings.EqualFold(name, mediaComponent)
}

func opPresignMedia() pipeline.Op { return pipeline.Op{Backend: "cdn", Name: "presign media"} }
