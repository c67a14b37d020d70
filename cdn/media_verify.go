package cdn

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// MediaVerifierConfig says what a MediaVerifier accepts. BaseURL and Keys are required.
type MediaVerifierConfig struct {
	// BaseURL is the address under which clients reach Media CDN, as in MediaConfig. A request for another scheme or host,
	// as Inbound tells them, is ErrScope.
	BaseURL *url.URL

	// Bucket is what grants name as the bucket behind BaseURL.
	Bucket string

	// Keys are those that are accepted, as on one route. Several may have one name, as in a keyset while keys change. Tokens
	// name no key: any of Keys that has the token's algorithm will do, and without a shared key HMAC is refused.
	Keys []MediaKey

	// TokenParameter is the query parameter of tokens; "" means edge-cache-token.
	TokenParameter string

	// Inbound tells scheme, host and client of a request as the client sent it; nil takes r.TLS, r.Host and r.RemoteAddr.
	// Set it behind a proxy, Media CDN itself among them: the client's address decides about IPRanges.
	Inbound func(*http.Request) (signer.Inbound, error)

	// Clock is the verifier's clock; nil means clock.System(). A clock.Learned is refused.
	Clock clock.Clock
}

// A MediaVerifier checks requests that carry a signature or a token of Media CDN, in the query, the path or a cookie. It is
// safe for concurrent use. The parameters of a signature are those of Cloud CDN too: choose between the two verifiers by host,
// not with signer.AnyOf.
type MediaVerifier struct {
	base    base
	origin  string // its scheme://host
	bucket  string
	keys    []MediaKey
	token   string
	inbound func(*http.Request) (signer.Inbound, error)
	clock   clock.Clock
}

var _ signer.Verifier = (*MediaVerifier)(nil)

// NewMediaVerifier returns a MediaVerifier. It reports all that is wrong with c, joined.
func NewMediaVerifier(c MediaVerifierConfig) (*MediaVerifier, error) {
	op := pipeline.Op{Backend: "cdn", Name: "new media verifier"}
	v := &MediaVerifier{bucket: c.Bucket, keys: slices.Clone(c.Keys), inbound: c.Inbound}
	var errBase, errToken, errClock, errBucket, errKeys error
	v.base, errBase = newBase(op, c.BaseURL)
	v.origin = v.base.scheme + "://" + v.base.host
	v.token, errToken = mediaTokenParameter(op, c.TokenParameter)
	v.clock, errClock = pipeline.VerifierClock(op, c.Clock)
	if c.Bucket != "" {
		errBucket = pipeline.CheckBucket(op, "Bucket", c.Bucket)
	}
	if len(c.Keys) == 0 || slices.ContainsFunc(c.Keys, func(k MediaKey) bool { return k.algorithm == 0 }) {
		errKeys = op.Errorf(signer.ErrCredentials, "Keys", "there are none, or one is empty; make them with ParseMediaPublicKey")
	}
	if err := errors.Join(errBase, errBucket, errKeys, errToken, errClock); err != nil {
		return nil, err
	}
	if v.inbound == nil {
		v.inbound = pipeline.DirectInbound
	}
	return v, nil
}

// A mediaClaim is what a request says about its signature.
type mediaClaim struct {
	signed    string   // the text that is signed
	fields    []string // of a token, without the signature; nil for signatures
	algorithm MediaAlgorithm
	keyName   string // "" for tokens
	signature []byte

	scope  mediaScope
	exact  bool   // the signature is for this URL alone, and not by its scope
	path   string // of the object, encoded as it was sent, without the signature
	url    string // the same with scheme, host and query
	params string // the signed part of the query

	starts, expires int64 // 0 for none
	sessionID, data string
	headers         []string // names, as the token has them
	ranges          []netip.Prefix
}

// Verify checks the signature or token of req. See signer.Verifier for its contract.
//
// What is in the URL decides, and a cookie counts only if there is nothing; two in the URL are ErrConflict. No field of a
// signature may be there twice. Path and query are taken from req.RequestURI if it is set. The method must be GET, HEAD or
// OPTIONS. A grant for more than one URL does not open paths with a segment . or .., or a backslash, raw or encoded. Starts
// and Expires hold to the second, without leeway. Fields of a token may stand in any order, but those that are not in
// MediaToken, such as other CDNs' names for the same, are ErrMalformed.
//
// Grant.KeyID is the keyset's name. Grant.Query holds what is signed: the parameters of a URL that is signed by itself, and
// SessionID and Data of a token. Grant.Prefix is the beginning of all URLs that a prefix opens, with scheme and host.
func (v *MediaVerifier) Verify(ctx context.Context, req *http.Request) (*signer.Grant, error) {
	f := mediaFaults{pipeline.Faults{Op: pipeline.Op{Backend: "cdn", Name: "verify media"}}}
	now := v.clock.Now()
	req, err := pipeline.CanonicalNames(f.Op, req, "")
	if err != nil {
		return nil, err
	}
	in, err := v.inbound(req)
	if err != nil {
		return nil, err
	}
	path, rawQuery, err := pipeline.RequestTarget(f.Op, req, "")
	if err != nil {
		return nil, err
	}

	c, err := v.claim(&f, req, path, rawQuery)
	if err != nil {
		return nil, err
	}
	if got := in.Scheme + "://" + pipeline.CanonicalHost(in.Scheme, strings.ToLower(in.Host)); got != v.origin {
		f.Add(signer.ErrScope, "Host",
			"the request is for %s with %s, not for %s; behind a proxy, set Inbound",
			pipeline.Shown(in.Host), pipeline.Shown(in.Scheme), v.origin)
	}
	method := pipeline.MethodOf(req.Method)
	if method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions {
		f.Add(signer.ErrScope, "Method", "Media CDN's signatures are for GET, HEAD and OPTIONS")
	}
	f.times(&c, now)
	key := v.object(&f, c.path)
	query := f.query(c.params)
	headers := f.headers(&c, req)
	if err := f.Err(); err != nil {
		return nil, err
	}

	if c.fields != nil {
		c.signed = mediaSignedValue(c.fields, c.path, func(name string) string { return headers[name] })
	}
	trace(ctx, []byte(c.signed))
	k, err := v.match(f.Op, &c)
	if err != nil {
		return nil, err
	}
	v.checkScope(&f, &c, in.ClientIP)
	if err := f.Err(); err != nil {
		return nil, err
	}
	return v.grant(&c, k, req, key, query), nil
}

// claim finds the signature or token and reads it. Faults that leave something to check are collected in f; the error is for
// requests with none, or with several.
func (v *MediaVerifier) claim(f *mediaFaults, req *http.Request, path, rawQuery string) (c mediaClaim, err error) {
	component := strings.Index(path, "/"+mediaComponent+"=")
	signatures, tokens, places := 0, 0, 0
	for name := range wire.Pairs(rawQuery) {
		if name, err := wire.UnescapeQuery(name); err == nil && strings.EqualFold(name, "Signature") {
			signatures++
		} else if err == nil && strings.EqualFold(name, v.token) {
			tokens++
		}
	}
	for _, found := range [...]bool{component >= 0, signatures > 0, tokens > 0} {
		if found {
			places++
		}
	}
	cookies := req.CookiesNamed(mediaCookie)
	if places == 0 && len(cookies) == 0 {
		return c, f.Op.Errorf(signer.ErrUnsigned, "",
			"the request has no Signature or %s in its query, no segment %s= in its path, and no %s", v.token, mediaComponent, mediaCookie)
	}
	if scheme, param := pipeline.ForeignSignature(rawQuery, family); scheme != "" {
		return c, f.Op.Errorf(signer.ErrConflict, "URL",
			"beside Media CDN's signature it carries one of %s (%s)", scheme, param)
	}
	if req.Header["Authorization"] != nil {
		return c, f.Op.Errorf(signer.ErrConflict, "Authorization",
			"only one authorization is allowed; a client that follows a redirect to a signed URL must not send this header on")
	}
	if places > 1 {
		return c, f.Op.Errorf(signer.ErrConflict, "URL", "it carries several signatures or tokens; one is allowed")
	}
	c.path = path
	c.url = v.origin + path
	if rawQuery != "" {
		c.url += "?" + rawQuery
	}
	switch {
	case component >= 0:
		v.readComponent(f, &c, component+1)
	case signatures > 0:
		v.readQuery(f, &c, rawQuery)
	case tokens > 0:
		v.readToken(f, &c, rawQuery)
	case len(cookies) > 1:
		f.Malformed(mediaCookie, "the cookie is there twice")
	case strings.Contains(cookies[0].Value, "~"):
		f.token(&c, cookies[0].Value)
	default:
		fields := strings.Split(cookies[0].Value, ":")
		if f.signature(&c, fields, "URLPrefix", "Expires", "KeyName", "Signature") {
			c.signed = strings.Join(fields[:3], ":")
		}
	}
	return c, nil
}

// readComponent reads a signature that is a segment of the path, which begins at that index.
func (v *MediaVerifier) readComponent(f *mediaFaults, c *mediaClaim, at int) {
	prefix := v.origin + c.path[:at]
	segment, rest, ok := strings.Cut(c.path[at:], "/")
	fields := strings.Split(strings.TrimPrefix(segment, mediaComponent+"="), "&")
	if !ok || strings.Contains("/"+rest, "/"+mediaComponent+"=") {
		f.Malformed("URL", "one segment of its path is to be the signature, and something to follow it")
	}
	if f.signature(c, fields, "Expires", "KeyName", "Signature") {
		c.signed = prefix + mediaComponent + "=" + strings.Join(fields[:2], "&")
	}
	c.scope = mediaScope{prefix: prefix}
	c.path = c.path[:at] + rest
	c.url = prefix + rest
}

// readQuery reads a signature in the query: of the URL, in whose query it stands last, or of a prefix.
func (v *MediaVerifier) readQuery(f *mediaFaults, c *mediaClaim, rawQuery string) {
	parts := strings.Split(rawQuery, "&")
	seen := map[string]bool{}
	first := len(parts)
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		name, err := wire.UnescapeQuery(name)
		if err != nil || !ours(name) {
			continue
		}
		if name = strings.ToLower(name); seen[name] {
			f.Malformed(name, "it is there twice")
			return
		}
		seen[name] = true
		first = min(first, i)
	}
	names := []string{"Expires", "KeyName", "Signature"}
	if seen["urlprefix"] {
		names = slices.Insert(names, 0, "URLPrefix")
	}
	end := first + len(names)
	if end > len(parts) {
		f.Malformed("URL", "its query lacks one of %s", strings.Join(names, ", "))
		return
	}
	if !f.signature(c, parts[first:end], names...) {
		return
	}
	if seen["urlprefix"] {
		c.signed = strings.Join(parts[first:end-1], "&")
		c.url = v.urlWith(c.path, slices.Concat(parts[:first], parts[end:]))
		return
	}
	c.exact = true
	c.params = strings.Join(parts[:first], "&")
	c.signed = v.origin + c.path + "?" + strings.Join(parts[:end-1], "&")
	if end < len(parts) {
		f.Malformed("Signature", "parameters follow it, which it does not cover")
	}
}

// readToken reads a token from the query.
func (v *MediaVerifier) readToken(f *mediaFaults, c *mediaClaim, rawQuery string) {
	var token []string
	parts := slices.DeleteFunc(strings.Split(rawQuery, "&"), func(part string) bool {
		name, value, _ := strings.Cut(part, "=")
		name, err := wire.UnescapeQuery(name)
		if err != nil || !strings.EqualFold(name, v.token) {
			return false
		}
		if name != v.token {
			f.Malformed(v.token, "its name is written with other capitals")
		}
		token = append(token, value)
		return true
	})
	c.url = v.urlWith(c.path, parts)
	if len(token) != 1 {
		f.Malformed(v.token, "it is there twice")
		return
	}
	if !strings.Contains(token[0], "=") { // a client has encoded it as a whole
		decoded, err := wire.UnescapeQuery(token[0])
		if err != nil {
			f.Malformed(v.token, "%w", err)
			return
		}
		token[0] = decoded
	}
	f.token(c, token[0])
}

func (v *MediaVerifier) urlWith(path string, query []string) string {
	if len(query) == 0 {
		return v.origin + path
	}
	return v.origin + path + "?" + strings.Join(query, "&")
}

// match finds the key that made the signature.
func (v *MediaVerifier) match(op pipeline.Op, c *mediaClaim) (MediaKey, error) {
	known := false
	for _, k := range v.keys {
		if k.algorithm == c.algorithm && (c.keyName == "" || k.name == c.keyName) {
			known = true
			if k.verify([]byte(c.signed), c.signature) {
				return k, nil
			}
		}
	}
	switch {
	case !known && c.keyName != "":
		return MediaKey{}, op.Errorf(signer.ErrUnknownKey, "KeyName", "no key is named %s", pipeline.Shown(c.keyName))
	case !known:
		return MediaKey{}, op.Errorf(signer.ErrUnknownKey, "Keys",
			"none is for %v, with which the token is signed", c.algorithm)
	}
	return MediaKey{}, op.Errorf(signer.ErrMismatch, "Signature",
		"another URL, field or header than was signed, or another key; compare the signed texts (signer.WithTrace)")
}

// checkScope holds the request to what the signature, which has been verified, opens.
func (v *MediaVerifier) checkScope(f *mediaFaults, c *mediaClaim, client netip.Addr) {
	if p := c.scope.prefix; p != "" && p != v.origin && !strings.HasPrefix(p, v.origin+"/") {
		f.Add(signer.ErrScope, "URLPrefix", "it does not begin with %s/", v.origin)
	}
	switch {
	case c.exact:
	case !c.scope.covers(c.url, c.path):
		f.Add(signer.ErrScope, "URL", "the signature is for other URLs")
	case c.scope.path == "" && climbs(c.path):
		f.Add(signer.ErrScope, "URL", "its path has a segment . or .., or a backslash; a grant for many paths does not open it")
	}
	in := func(r netip.Prefix) bool { return r.Contains(client.Unmap()) }
	switch {
	case c.ranges == nil || slices.ContainsFunc(c.ranges, in):
	case !client.IsValid():
		f.Add(signer.ErrScope, "IPRanges", "the client's address is not known; set Inbound")
	default:
		f.Add(signer.ErrScope, "IPRanges", "the client's address is in none of them")
	}
}

// object returns the key that an encoded path is for.
func (v *MediaVerifier) object(f *mediaFaults, path string) (key string) {
	decoded, err := wire.UnescapePath(path)
	if err != nil || !utf8.ValidString(decoded) || strings.IndexByte(decoded, 0) >= 0 {
		f.Malformed("URL", "its path has a broken escape, a NUL or invalid UTF-8")
		return ""
	}
	key, ok := strings.CutPrefix(decoded, v.base.path)
	if !ok {
		f.Add(signer.ErrScope, "URL", "its path is not under %q", v.base.path)
	}
	return key
}

func (v *MediaVerifier) grant(c *mediaClaim, k MediaKey, req *http.Request, key string, query url.Values) *signer.Grant {
	g := &signer.Grant{
		Backend: "cdn", Scheme: "Media-CDN-" + k.algorithm.String(), KeyID: k.name,
		Method: pipeline.MethodOf(req.Method), Bucket: v.bucket, Key: key, Query: query,
		Response:  pipeline.SignedResponse(query),
		NotBefore: pipeline.Time(c.starts), ExpiresAt: pipeline.Time(c.expires),
		Prefix:      c.scope.prefix,
		Fingerprint: pipeline.Fingerprint(append([]byte(c.signed), c.signature...)),
	}
	for _, field := range [...]signer.Field{{Name: "SessionID", Value: c.sessionID}, {Name: "Data", Value: c.data}} {
		if field.Value != "" {
			if g.Query == nil {
				g.Query = make(url.Values)
			}
			g.Query.Set(field.Name, field.Value)
		}
	}
	var shown []string // a Grant is logged
	for _, name := range c.headers {
		name = strings.ToLower(name)
		g.SignedHeaders = append(g.SignedHeaders, name)
		if name != "cookie" {
			shown = append(shown, name)
		}
	}
	slices.Sort(g.SignedHeaders)
	g.Header = pipeline.SignedHeader(req, shown, nil)
	return g
}

// mediaFaults collects what is wrong with a signature or token.
type mediaFaults struct{ pipeline.Faults }

// signature reads the fields of a signature, which must have these names in this order, the last one Signature.
func (f *mediaFaults) signature(c *mediaClaim, fields []string, names ...string) bool {
	if len(fields) != len(names) {
		f.Malformed("Signature", "its fields are to be %s, in this order", strings.Join(names, ", "))
		return false
	}
	for i, name := range names {
		value, ok := strings.CutPrefix(fields[i], name+"=")
		if !ok {
			f.Malformed("Signature", "its fields are to be %s, in this order and side by side", strings.Join(names, ", "))
			return false
		}
		switch name {
		case "URLPrefix":
			c.scope.prefix = f.base64(name, value)
		case "Expires":
			c.expires = f.unix(name, value)
		case "KeyName":
			if c.keyName = value; !mediaKeyName(value) {
				f.Malformed(name, "it is no name of a keyset: 1 to 64 letters, digits, dashes and underscores")
			}
		case "Signature":
			f.ed25519(c, value)
		}
	}
	return true
}

func (f *mediaFaults) ed25519(c *mediaClaim, value string) {
	c.algorithm, c.signature = MediaEd25519, []byte(f.base64("Signature", value))
	if len(c.signature) != ed25519.SignatureSize {
		f.Malformed("Signature", "it has %d bytes, expecting %d", len(c.signature), ed25519.SignatureSize)
	}
}

// token reads a token.
func (f *mediaFaults) token(c *mediaClaim, token string) {
	fields := strings.Split(token, "~")
	c.fields = fields[:len(fields)-1]
	name, value, _ := strings.Cut(fields[len(fields)-1], "=")
	switch {
	case name == "Signature":
		f.ed25519(c, value)
	case name != "hmac":
		f.Malformed("token", "its last field is neither Signature nor hmac; what stands behind them is not signed")
	case (len(value) != 40 && len(value) != 64) || !pipeline.LowerHex(value):
		f.Malformed(name, "it is no SHA-1 or SHA-256 in lower-case hex")
	default:
		c.algorithm = MediaHMACSHA256
		if len(value) == 40 {
			c.algorithm = MediaHMACSHA1
		}
		c.signature, _ = hex.DecodeString(value)
	}
	const known = 9
	if len(c.fields) > known {
		f.Malformed("token", "it has more fields than there are names")
		return
	}
	scopes := 0
	for i, field := range c.fields {
		name, value, has := strings.Cut(field, "=")
		if slices.ContainsFunc(c.fields[:i], func(other string) bool { return other == name || strings.HasPrefix(other, name+"=") }) {
			f.Malformed("token", "%s is there twice", pipeline.Word(name))
			continue
		}
		if has == (name == "FullPath") || has && value == "" {
			f.Malformed("token", "the field %s is empty, or has a value where it stands for the path", pipeline.Shown(name))
			continue
		}
		switch name {
		case "URLPrefix":
			scopes++
			c.scope.prefix = f.base64(name, value)
		case "PathGlobs":
			scopes++
			c.scope.globs = mediaGlobs(value)
		case "FullPath":
			scopes++
			if c.scope.path = c.path; strings.Contains(c.path, "~") {
				f.Add(signer.ErrMismatch, "URL",
					"its path holds a ~, which would read as another field; %%7E is sent in its place")
			}
		case "Starts":
			c.starts = f.unix(name, value)
		case "Expires":
			c.expires = f.unix(name, value)
		case "SessionID":
			c.sessionID = value
		case "Data":
			c.data = value
		case "Headers":
			c.headers = strings.Split(value, ",")
		case "IPRanges":
			c.ranges = f.ranges(value)
		default:
			f.Malformed("token", "it has a field %s, which is not known here", pipeline.Shown(name))
		}
	}
	if scopes != 1 {
		f.Malformed("token", "it has %d of URLPrefix, PathGlobs and FullPath; exactly one is to be there", scopes)
	}
	if c.expires == 0 {
		f.Malformed("Expires", "it is missing or zero")
	}
}

// base64 decodes a value in base64url, padded or not, that stands for something.
func (f *mediaFaults) base64(name, value string) string {
	raw, err := mediaDecode(value, base64.RawURLEncoding.Strict())
	if err != nil || len(raw) == 0 {
		f.Malformed(name, "it is not base64url")
	}
	return string(raw)
}

// unix reads an instant in seconds since 1970.
func (f *mediaFaults) unix(name, value string) int64 {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n <= 0 || n > 253402300799 || strconv.FormatInt(n, 10) != value {
		f.Malformed(name, "it is no number of seconds since 1970, up to the year 9999")
		return 0
	}
	return n
}

// ranges reads the value of IPRanges.
func (f *mediaFaults) ranges(value string) []netip.Prefix {
	var ranges []netip.Prefix
	for text := range strings.SplitSeq(f.base64("IPRanges", value), ",") {
		r, err := netip.ParsePrefix(text)
		if err != nil {
			f.Malformed("IPRanges", "%s is no range of addresses; 203.0.113.0/24 and 2001:db8::/32 are", pipeline.Shown(text))
			continue
		}
		ranges = append(ranges, r)
	}
	return ranges
}

// times holds the signature to its life.
func (f *mediaFaults) times(c *mediaClaim, now time.Time) {
	if c.expires == 0 {
		return // said already
	}
	starts, ends := pipeline.Time(c.starts), pipeline.Time(c.expires)
	switch {
	case !starts.Before(ends):
		f.Malformed("Starts", "it is not before Expires")
	case now.Before(starts):
		f.Add(signer.ErrNotYetValid, "Starts",
			"the token works from %s on, and it is %s", starts.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case !now.Before(ends):
		f.Add(signer.ErrExpired, "Expires",
			"the signature was good until %s, and it is %s", ends.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
}

// query decodes the signed part of a query.
func (f *mediaFaults) query(rawQuery string) (query url.Values) {
	for name, value := range wire.Pairs(rawQuery) {
		n, err1 := wire.UnescapeQuery(name)
		v, err2 := wire.UnescapeQuery(value)
		if err1 != nil || err2 != nil {
			f.Malformed("URL", "its query has a broken escape: %w", wire.ErrEscape)
			return nil
		}
		if query == nil {
			query = make(url.Values)
		}
		query.Add(n, v)
	}
	return query
}

// headers finds the values of the headers that a token names. Several of one name are joined with commas, and one that is not
// there is empty, as the documentation has it.
func (f *mediaFaults) headers(c *mediaClaim, req *http.Request) map[string]string {
	values := make(map[string]string, len(c.headers))
	seen := make(map[string]bool, len(c.headers))
	for _, name := range c.headers {
		key := http.CanonicalHeaderKey(name)
		value := strings.Join(req.Header[key], ",")
		switch {
		case !mediaHeaderName(name) || seen[key]:
			f.Malformed("Headers", "%s is no header name, or is there twice", pipeline.Shown(name))
		case !mediaHeaderValue(value):
			f.Add(signer.ErrMismatch, name, "its value holds what would read as another field or header of the token")
		}
		seen[key] = true
		values[name] = value
	}
	return values
}
