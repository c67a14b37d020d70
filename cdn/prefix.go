package cdn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A Prefix is a signature for all URLs that begin alike: the segments of a film, the pictures of an album. It covers no query:
// whoever holds it may ask for any URL under it, with any parameters. It is a bearer secret, and does not print.
type Prefix struct {
	// ExpiresAt is when it dies, on the provider's clock, and LimitedBy says what decided that.
	ExpiresAt time.Time
	LimitedBy signer.Limit

	// StableUntil is the end of the window, or of the key if that is earlier: until then the same prefix has the same
	// signature. Zero without a Window.
	StableUntil time.Time

	// ClockOffset is the correction in force: by the local clock the Prefix dies at ExpiresAt minus ClockOffset.
	ClockOffset time.Duration

	url           *url.URL
	raw           string        // url as it goes on the wire
	query, cookie signer.Secret // the two forms of the signature
}

// PresignPrefix signs for all URLs that begin with prefix, a URL under BaseURL that ends in a slash:
// https://media.example.com/videos/7/.
//
// Cloud CDN takes a prefix as plain text, so that one without the slash (.../data) would open what merely begins like it
// (.../database/secret). That is ErrRequest, and so are a query, a fragment, a port, and a path with segments "." or "..".
func (s *Signer) PresignPrefix(ctx context.Context, prefix string, o signer.Options) (*Prefix, error) {
	op := pipeline.Op{Backend: "cdn", Name: "presign prefix"}
	u, err := s.base.parse(op, prefix)
	if err != nil {
		return nil, err
	}
	if strings.Contains(prefix, "?") {
		return nil, op.Errorf(signer.ErrRequest, "URL", "it has a query, which a prefix cannot have")
	}
	raw := string(appendURL(nil, u))
	if !strings.HasSuffix(raw, "/") {
		return nil, op.Errorf(signer.ErrRequest, "URL", "it does not end in a slash, and would open every URL that only begins like it; write %s/", raw)
	}
	var d draft
	if err := s.plan(ctx, op, &d, &pipeline.Ask{Expires: o.Expires, Window: o.Window, AllowShorter: o.AllowShorter}); err != nil {
		return nil, err
	}
	m := s.macs.Key(d.key.Secret, struct{}{})
	sign := func(sep byte) signer.Secret {
		text := appendPrefix(nil, sep, raw, d.plan.End, d.key.Name)
		trace(ctx, text)
		return signer.NewSecret(m.appendSignature(text, sep, text))
	}
	p := d.presigned("")
	return &Prefix{ExpiresAt: p.ExpiresAt, LimitedBy: p.LimitedBy, StableUntil: p.StableUntil, ClockOffset: p.ClockOffset,
		url: u, raw: raw, cookie: sign(':'), query: sign('&')}, nil
}

// URL returns a URL under the prefix with the signature in its query. Its bytes are kept. A URL elsewhere, one that a port, a
// fragment or a segment "." or ".." leads elsewhere, and one that has parameters of a signature are errors. The result is a
// bearer secret.
func (p *Prefix) URL(rawURL string) (string, error) {
	op := pipeline.Op{Backend: "cdn", Name: "prefix URL"}
	under := base{url: p.raw}
	u, err := under.parse(op, rawURL)
	if err == nil {
		err = checkQuery(op, u.RawQuery)
	}
	if err != nil {
		return "", err
	}
	return string(append(append(appendURL(nil, u), separator(u)), p.query.Reveal()...)), nil
}

// String returns what the prefix opens and until when.
func (p Prefix) String() string {
	return "[prefix] for " + p.raw + " until " + p.ExpiresAt.UTC().Format(time.RFC3339)
}

// Format prints String for every verb.
func (p Prefix) Format(f fmt.State, verb rune) { io.WriteString(f, p.String()) }

// LogValue is String.
func (p Prefix) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalText is String: what is encoded cannot be decoded again.
func (p Prefix) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Query returns what a URL under the prefix needs in its query: four parameters, to be added behind '?' or '&' as they are, for
// players and scripts that put URLs together themselves. It is a bearer secret.
func (p *Prefix) Query() string { return string(p.query.Reveal()) }

// Cookie returns the signature as a cookie for the answer of a server under the prefix's host. Domain and Path are those of the
// prefix (Path as far as all clients compare it alike), it is not shown to scripts, sent over https alone if the prefix is for
// https, and kept until ExpiresAt.
//
// A server of another name can set it only for a domain that both share: with the login at www.example.com and the CDN at
// media.example.com, set Domain to "example.com". A page of another site that embeds the objects needs SameSite: None.
func (p *Prefix) Cookie() *http.Cookie {
	path := p.url.EscapedPath()
	if i := strings.IndexAny(path, "%;"); i >= 0 { // escapes are compared as they are or decoded, and a semicolon ends the attribute
		path = path[:strings.LastIndexByte(path[:i], '/')+1]
	}
	domain := p.url.Host
	if strings.HasPrefix(domain, "[") { // an IPv6 address is no domain; the cookie is then for the host that sets it
		domain = ""
	}
	return &http.Cookie{Name: cookieName, Value: string(p.cookie.Reveal()), Domain: domain, Path: path,
		Expires: p.ExpiresAt, Secure: p.url.Scheme == "https", HttpOnly: true}
}

// parse parses a URL that must stand below b, also when a server has resolved its path.
func (b *base) parse(op pipeline.Op, rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, op.Errorf(signer.ErrRequest, "URL", "it does not parse; percent-encode what is no part of a URL")
	}
	if err := pipeline.CheckHTTPRequest(op, &http.Request{URL: u}); err != nil {
		return nil, err
	}
	err = b.check(op, u)
	if strings.Contains(rawURL, "#") {
		err = errors.Join(err, op.Errorf(signer.ErrRequest, "URL", "it has a fragment, which is not sent; leave it out"))
	}
	if climbs(u.EscapedPath()) {
		err = errors.Join(err, op.Errorf(signer.ErrRequest, "URL",
			`its path has a segment "." or ".." or a backslash, which lead out of a prefix; write the path that they lead to`))
	}
	return u, err
}

// climbs reports whether an encoded path has a segment . or .., encoded or not, or a backslash, which some servers take for a
// slash: resolved, it may lead to where no signature is for.
func climbs(path string) bool {
	plain, err := wire.UnescapePath(path)
	if err != nil || strings.IndexByte(plain, '\\') >= 0 {
		return true
	}
	for segment := range strings.SplitSeq(plain, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}
