package cdn

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// VerifierConfig says what a Verifier accepts. BaseURL and one of Keys and Lookup are required.
type VerifierConfig struct {
	// BaseURL is where clients reach the CDN, as in Config. Its scheme and host are signed, so a request must have come to
	// just these.
	BaseURL *url.URL

	// Bucket is what grants name as their bucket.
	Bucket string

	// Keys are the keys that are accepted: Cloud CDN has up to three for each backend.
	Keys []Key

	// Lookup returns the key of a name, in place of Keys, where they change: KeyRing.Lookup is one. A name that it does not know
	// is an error wrapping signer.ErrUnknownKey. Verify returns any other error as it is.
	Lookup func(ctx context.Context, name string) (Key, error)

	// FromLoadBalancer says that requests come from Google's load balancer and from nobody else. It takes the signature
	// out of the URL and hands the URL as the client sent it on in the header X-Client-Request-Url, which is then read in
	// place of the request's own; host and path must be the same in both.
	//
	// The header proves nothing about who sent it: whoever can reach the origin directly can put any signed URL of this
	// host and path into it that is still alive, one that a cache or a log gave away perhaps. Let the origin's firewall
	// take the load balancer's addresses only.
	FromLoadBalancer bool

	// Inbound tells scheme, host and client of a request as the client sent it; nil takes r.TLS, r.Host and
	// r.RemoteAddr. Set it behind a proxy that rewrites Host or ends TLS.
	Inbound func(*http.Request) (signer.Inbound, error)

	// Clock is the verifier's clock; nil means clock.System(). A clock.Learned is refused.
	Clock clock.Clock
}

// A Verifier checks signed URLs, prefixes and cookies of Cloud CDN. It is safe for concurrent use.
type Verifier struct {
	base             base
	bucket           string
	lookup           func(context.Context, string) (Key, error)
	fromLoadBalancer bool
	inbound          func(*http.Request) (signer.Inbound, error)
	clock            clock.Clock
	macs             *sigv4.Cache[struct{}, *mac]
}

var _ signer.Verifier = (*Verifier)(nil)

// NewVerifier returns a Verifier. It reports all that is wrong with c, joined. Where HMAC-SHA1 is forbidden
// (GODEBUG=fips140=only) it returns ErrUnsupported.
func NewVerifier(c VerifierConfig) (*Verifier, error) {
	op := pipeline.Op{Backend: "cdn", Name: "new verifier"}
	b, errBase := newBase(op, c.BaseURL)
	clk, errClock := pipeline.VerifierClock(op, c.Clock)
	errs := []error{errBase, errClock, checkHMAC(op)}
	if c.Bucket != "" {
		errs = append(errs, pipeline.CheckBucket(op, "Bucket", c.Bucket))
	}
	keys := slices.Clone(c.Keys)
	for i, k := range keys {
		errs = append(errs, k.check(op))
		if slices.ContainsFunc(keys[:i], func(other Key) bool { return other.Name == k.Name }) {
			errs = append(errs, op.Errorf(signer.ErrCredentials, "Keys", "two keys have the name %q", k.Name))
		}
	}
	if (len(keys) == 0) == (c.Lookup == nil) {
		errs = append(errs, op.Errorf(signer.ErrCredentials, "Keys", "set one of Keys and Lookup"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	v := &Verifier{base: b, bucket: c.Bucket, lookup: c.Lookup, fromLoadBalancer: c.FromLoadBalancer, inbound: c.Inbound, clock: clk,
		macs: sigv4.NewCache(newMAC)}
	if v.lookup == nil {
		v.lookup = func(_ context.Context, name string) (Key, error) {
			for _, k := range keys {
				if k.Name == name {
					return k, nil
				}
			}
			return Key{}, signer.ErrUnknownKey
		}
	}
	if v.inbound == nil {
		v.inbound = pipeline.DirectHost
	}
	return v, nil
}

// A target is the URL of a request as the client sent it.
type target struct{ scheme, host, path, rawQuery string }

// claim is what a request says about its signature.
type claim struct {
	toSign             string
	prefix             string // "" for a signed URL
	keyName, signature string
	expires            time.Time
	query              url.Values // signed
}

// Verify checks the signature of req, a GET or HEAD. See signer.Verifier for its contract.
//
// The signature is looked for in the URL, and only if nothing of one is there in the cookie Cloud-CDN-Cookie: as at the CDN, a
// wrong signature in the URL is not made good by a right cookie. Its parameters must be there once each, in their order and
// spelling, a signed URL's at the end of the query. Path and query are taken from req.RequestURI if it is set, or with
// FromLoadBalancer from the load balancer's header. All faults of form, place and time are reported, joined, before the key is
// looked up.
//
// A prefix, in the URL or a cookie, is the beginning of a text, as at the CDN. It grants no path with a segment "." or ".." or
// a backslash, encoded or not. Grant.Prefix is the URL that it stands for, and Grant.Query is nil, because it signs none.
func (v *Verifier) Verify(ctx context.Context, req *http.Request) (*signer.Grant, error) {
	f := faults{pipeline.Faults{Op: pipeline.Op{Backend: "cdn", Name: "verify"}}}
	now := v.clock.Now()
	req, err := pipeline.CanonicalNames(f.Op, req, "")
	if err != nil {
		return nil, err
	}
	t, err := v.target(&f, req)
	if err != nil {
		return nil, err
	}
	c, err := f.claim(req, &t)
	if err != nil {
		return nil, err
	}
	method := pipeline.MethodOf(req.Method)
	if method != http.MethodGet && method != http.MethodHead {
		f.Add(signer.ErrMismatch, "Method", "a URL of Cloud CDN allows GET and HEAD")
	}
	key := v.object(&f, &t)
	if c.prefix != "" {
		f.checkPrefix(&c, &t)
	}
	if !c.expires.IsZero() && !now.Before(c.expires) {
		f.Add(signer.ErrExpired, "Expires", "the signature was good until %s, and it is %s", c.expires.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if err := f.Err(); err != nil {
		return nil, err
	}

	k, err := v.lookup(ctx, c.keyName)
	if err == nil && (k.Secret.IsZero() || k.Name != c.keyName) {
		err = signer.ErrUnknownKey // never an HMAC under the empty key, nor a grant for another name
	} else if err == nil {
		err = k.check(f.Op)
	}
	switch {
	case errors.Is(err, signer.ErrUnknownKey):
		return nil, f.Op.Errorf(signer.ErrUnknownKey, "KeyName", "no key has the name %s", pipeline.Shown(c.keyName))
	case err != nil:
		return nil, err
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return nil, f.Op.Errorf(signer.ErrExpired, "KeyName", "the key was retired at %s", k.Expires.UTC().Format(time.RFC3339))
	}
	toSign := []byte(c.toSign)
	trace(ctx, toSign)
	if !v.macs.Verify(k.Secret, struct{}{}, func(m *mac) bool { return m.verify(toSign, c.signature) }) {
		return nil, f.Op.Errorf(signer.ErrMismatch, "Signature", "another URL than was signed, or another key; compare the strings to sign (signer.WithTrace)")
	}
	return &signer.Grant{
		Backend: "cdn", Scheme: "Cloud-CDN-HMAC-SHA1", KeyID: k.Name,
		Method: method, Bucket: v.bucket, Key: key, Query: c.query,
		Response:    pipeline.SignedResponse(c.query),
		ExpiresAt:   c.expires,
		Prefix:      c.prefix,
		Fingerprint: pipeline.Fingerprint(append(toSign, c.signature...)),
	}, nil
}

// target finds the URL that the client sent.
func (v *Verifier) target(f *faults, req *http.Request) (target, error) {
	in, err := v.inbound(req)
	if err != nil {
		return target{}, err
	}
	path, rawQuery, err := pipeline.RequestTarget(f.Op, req, "")
	if err != nil {
		return target{}, err
	}
	t := target{in.Scheme, in.Host, path, rawQuery}
	client := req.Header["X-Client-Request-Url"]
	if !v.fromLoadBalancer || len(client) == 0 {
		return t.canonical(), nil
	}
	scheme, rest, ok := strings.Cut(client[0], "://")
	slash := strings.IndexByte(rest, '/')
	if !ok || slash < 0 || len(client) > 1 {
		return target{}, f.Op.Errorf(signer.ErrMalformed, "X-Client-Request-Url", "it must be there once, as a URL with scheme, host and path")
	}
	sent := target{scheme: scheme, host: rest[:slash]}
	sent.path, sent.rawQuery, _ = strings.Cut(rest[slash:], "?")
	if sent = sent.canonical(); sent.host != t.canonical().host || sent.path != t.path {
		return target{}, f.Op.Errorf(signer.ErrMismatch, "X-Client-Request-Url",
			"its host and path are not those of the request; if the load balancer rewrites them, let Inbound give the host and do not rewrite paths")
	}
	return sent, nil
}

// canonical returns t with the host as it is signed.
func (t target) canonical() target {
	t.host = pipeline.CanonicalHost(t.scheme, strings.ToLower(t.host))
	return t
}

// object finds the key of the object in a path, decoded. It is the inverse of what Presign makes of a key.
func (v *Verifier) object(f *faults, t *target) string {
	if t.scheme != v.base.scheme || t.host != v.base.host {
		f.Add(signer.ErrScope, "Host", "the request came to %s of %s, and the CDN is %s at %s; if a proxy rewrites Host or ends TLS, set Inbound",
			pipeline.Shown(t.scheme), pipeline.Shown(t.host), v.base.scheme, v.base.host)
	}
	path, err := wire.UnescapePath(t.path)
	if err != nil || !utf8.ValidString(path) || strings.IndexByte(path, 0) >= 0 {
		f.Malformed("URL", "its path has a broken escape, a NUL or invalid UTF-8")
		return ""
	}
	key, ok := strings.CutPrefix(path, v.base.path)
	if !ok {
		f.Add(signer.ErrScope, "URL", "its path is not under %q", v.base.path)
	}
	return key
}

// faults collects all that is wrong with a request.
type faults struct{ pipeline.Faults }

// claim reads the signature from where it is. Faults that leave something to check are collected in f; the error is for
// requests without a signature of ours, or with two.
func (f *faults) claim(req *http.Request, t *target) (c claim, err error) {
	inURL := false
	for name := range wire.Pairs(t.rawQuery) {
		name, err := wire.UnescapeQuery(name)
		if err == nil && ours(name) && !strings.EqualFold(name, "Expires") { // that alone is anybody's name
			inURL = true
			break
		}
	}
	cookies := req.CookiesNamed(cookieName)
	if !inURL && len(cookies) == 0 {
		return c, f.Op.Errorf(signer.ErrUnsigned, "", "the request has neither Signature in its query nor the cookie %s", cookieName)
	}
	if scheme, param := pipeline.ForeignSignature(t.rawQuery, family); scheme != "" {
		return c, f.Op.Errorf(signer.ErrConflict, "URL", "beside the signature of Cloud CDN it carries one of %s (%s)", scheme, param)
	}
	if req.Header["Authorization"] != nil {
		return c, f.Op.Errorf(signer.ErrConflict, "Authorization",
			"only one authorization is allowed; a client that follows a redirect to a signed URL must not send this header on")
	}
	if inURL {
		f.query(&c, t)
		return c, nil
	}
	if len(cookies) > 1 {
		return c, f.Op.Errorf(signer.ErrConflict, cookieName, "the cookie is there twice; give them paths that do not contain each other")
	}
	f.signature(&c, cookieName, strings.Split(cookies[0].Value, ":"), ":", true)
	return c, nil
}

// query reads a signed URL, or a prefix in the query of one.
func (f *faults) query(c *claim, t *target) {
	parts := strings.Split(t.rawQuery, "&")
	first, last := -1, 0 // of ours
	query := make(url.Values)
	for i, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		n, err1 := wire.UnescapeQuery(name)
		v, err2 := wire.UnescapeQuery(value)
		switch {
		case err1 == nil && ours(n): // as in claim, whatever its value
			if first < 0 {
				first = i
			}
			last = i
		case err1 != nil || err2 != nil:
			f.Malformed("URL", "its query has a broken escape: %w", wire.ErrEscape)
		case part != "":
			query[n] = append(query[n], v)
		}
	}
	if strings.HasPrefix(parts[first], "URLPrefix=") {
		f.signature(c, "URL", parts[first:last+1], "&", true)
		return
	}
	f.signature(c, "URL", parts[first:last+1], "&", false)
	if last != len(parts)-1 {
		f.Malformed("URL", "something stands behind Signature, where nothing is signed")
	}
	before := strings.TrimSuffix(strings.TrimSuffix(t.rawQuery, parts[last]), "&")
	c.toSign, c.query = t.scheme+"://"+t.host+t.path+"?"+before, query
}

// signature reads the fields of a signature: URLPrefix for a prefix, Expires, KeyName and Signature. where names the place of
// them all.
func (f *faults) signature(c *claim, where string, parts []string, sep string, prefix bool) {
	names := []string{"URLPrefix", "Expires", "KeyName", "Signature"}
	if !prefix {
		names = names[1:]
	}
	if len(parts) != len(names) {
		f.Malformed(where, "it needs %s, once each, in this order and with nothing between them", strings.Join(names, ", "))
		return
	}
	for i, part := range parts {
		name, value, found := strings.Cut(part, "=")
		if !found || name != names[i] {
			f.Malformed(where, "it needs %s, once each, in this order and with nothing between them", strings.Join(names, ", "))
			return
		}
		switch name {
		case "URLPrefix":
			// What is signed is the text, so both paddings are good.
			text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(value, "="))
			if c.prefix = string(text); err != nil || c.prefix == "" {
				f.Malformed("URLPrefix", "it is not base64url")
			}
		case "Expires":
			n, err := strconv.ParseInt(value, 10, 64)
			const year10000 = 253402300800
			if err != nil || n <= 0 || n >= year10000 || strconv.FormatInt(n, 10) != value {
				f.Malformed("Expires", "it is no number of seconds since 1970")
				continue
			}
			c.expires = time.Unix(n, 0).UTC()
		case "KeyName":
			if c.keyName = value; !plainName(value) {
				f.Malformed("KeyName", "it must be 1 to 63 letters, digits, hyphens and underscores")
			}
		case "Signature":
			if c.signature = value; len(value) != signatureSize {
				f.Malformed("Signature", "it must be %d characters of base64url, padded with =, not %%3D", signatureSize)
			}
		}
	}
	c.toSign = strings.Join(parts[:len(parts)-1], sep)
}

// checkPrefix holds a request to a prefix.
func (f *faults) checkPrefix(c *claim, t *target) {
	origin := t.scheme + "://" + t.host
	switch {
	case strings.ContainsAny(c.prefix, "?#"):
		f.Malformed("URLPrefix", "a prefix has no query and no fragment")
	case len(c.prefix) < len(origin) || !strings.HasPrefix(origin+t.path, c.prefix):
		f.Add(signer.ErrScope, "URLPrefix", "the request is not under the prefix that was signed")
	case climbs(t.path):
		f.Add(signer.ErrScope, "URL", `its path has a segment "." or ".." or a backslash, which lead out of a prefix`)
	}
}
