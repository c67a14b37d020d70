package cdn

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A MediaPass opens many URLs: it is a signed prefix or a token of Media CDN, to be attached to each of them in the query, in
// the path, or once for all in a cookie. It is a bearer secret, and does not print.
//
// A request that carries it in its URL is judged by that alone, and its cookies do not count.
type MediaPass struct {
	// NotBefore is when it starts to work, zero for at once, and ExpiresAt when it dies, on the provider's clock.
	NotBefore, ExpiresAt time.Time

	// LimitedBy, StableUntil and ClockOffset are those of a signer.Presigned.
	LimitedBy   signer.Limit
	StableUntil time.Time
	ClockOffset time.Duration

	signer        *MediaSigner
	scope         mediaScope
	query, cookie signer.Secret
	component     signer.Secret // the prefix with its signature behind it; zero for a token
}

// Query returns the parameters to append to the query of a URL, as they stand: do not encode them again.
func (p *MediaPass) Query() string { return string(p.query.Reveal()) }

// URL returns rawURL, whose bytes are kept, with the pass in its query. A URL that the pass does not open is ErrRequest, and
// one that is signed ErrConflict.
func (p *MediaPass) URL(rawURL string) (string, error) {
	u, err := p.opens(pipeline.Op{Backend: "cdn", Name: "media URL"}, rawURL)
	if err != nil {
		return "", err
	}
	return string(append(append(appendURL(nil, u), separator(u)), p.query.Reveal()...)), nil
}

// PathURL returns rawURL with the pass as a segment of its path, behind the signed prefix: what a manifest at that URL names
// by relative references inherits it. A URL that the pass does not open is ErrRequest, one that is signed ErrConflict, and a
// token, which does not go into paths, ErrUnsupported.
func (p *MediaPass) PathURL(rawURL string) (string, error) {
	op := pipeline.Op{Backend: "cdn", Name: "media path URL"}
	if p.component.IsZero() {
		return "", op.Errorf(signer.ErrUnsupported, "",
			"a token goes into a query or a cookie; PresignPrefix makes what goes into paths")
	}
	if _, err := p.opens(op, rawURL); err != nil {
		return "", err
	}
	return string(p.component.Reveal()) + rawURL[len(p.scope.prefix):], nil
}

// Cookie returns the pass as a cookie: Secure if BaseURL is https, HttpOnly, for the host, and for the prefix's path or the
// whole host if there is no prefix. The server that sets it must have the host's name or be told another Domain. A token
// with a comma, which lists several Headers, is ErrUnsupported: net/http would quote it.
func (p *MediaPass) Cookie() (*http.Cookie, error) {
	value := string(p.cookie.Reveal())
	if strings.Contains(value, ",") {
		op := pipeline.Op{Backend: "cdn", Name: "media cookie"}
		return nil, op.Errorf(signer.ErrUnsupported, "Headers",
			"there are several, and the comma between them does not go into a cookie; sign one, or use URL")
	}
	c := &http.Cookie{Name: mediaCookie, Value: value, Domain: p.signer.base.host, Path: "/",
		Expires: p.ExpiresAt, Secure: p.signer.base.scheme == "https", HttpOnly: true}
	if strings.HasPrefix(c.Domain, "[") { // an IPv6 address is no domain; the cookie is then for the host that sets it
		c.Domain = ""
	}
	if p.scope.prefix != "" {
		path, _, _ := strings.Cut(p.scope.prefix[len(p.signer.base.scheme+"://"+p.signer.base.host):], ";")
		c.Path = path[:strings.LastIndexByte(path, '/')+1] // a semicolon would end the attribute
	}
	return c, nil
}

// opens refuses URLs that the pass does not open, or that clients would change.
func (p *MediaPass) opens(op pipeline.Op, rawURL string) (*url.URL, error) {
	u, err := p.signer.parse(op, rawURL)
	if err == nil && !p.scope.covers(rawURL, u.EscapedPath()) {
		err = op.Errorf(signer.ErrRequest, "URL", "the pass does not open it; it is for %s", p.scope.String())
	}
	return u, err
}

// String says what a scope opens.
func (s *mediaScope) String() string {
	switch {
	case s.prefix != "":
		return s.prefix
	case s.globs != nil:
		return strings.Join(s.globs, " and ")
	}
	return s.path
}

// String returns what the pass opens and until when.
func (p MediaPass) String() string {
	return "[pass] for " + p.scope.String() + " until " + p.ExpiresAt.UTC().Format(time.RFC3339)
}

// Format prints String for every verb.
func (p MediaPass) Format(f fmt.State, verb rune) { io.WriteString(f, p.String()) }

// LogValue is String.
func (p MediaPass) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalText is String: what is encoded cannot be decoded again.
func (p MediaPass) MarshalText() ([]byte, error) { return []byte(p.String()), nil }
