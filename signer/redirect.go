package signer

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
)

const (
	maxRequests = 10       // as net/http
	maxURL      = 16 << 10 // bytes; servers are asked to take 8000 (RFC 9112, section 3)
)

// CheckRedirect is for the field of that name in an http.Client that meets signed URLs: it keeps credentials from where a
// redirect leads, and signatures from the Referer.
//
//	client := &http.Client{CheckRedirect: signer.CheckRedirect}
//
// net/http alone sends Authorization and Cookie on to subdomains, to other ports of the host and from https to http, every
// other header (X-Api-Key, X-Amz-Security-Token) to anybody, and the URL that redirected, with its query, as Referer. And
// storage that gets Authorization beside a signature in the URL refuses both: with 400 at S3 and OSS, 401 at Cloud Storage.
//
// Here all headers go on as long as every URL of the chain has the same origin (scheme, host and port, RFC 6454; and the
// same Host header) and none of them is signed. From then on what goes is Accept, Accept-*, Content-*, If-*, Range and
// User-Agent; a name and password in the URL, of which net/http would make an Authorization header, are removed. A chain
// that comes back to its first origin gets nothing back. A URL is signed if it has one of the signatures that RedactURL
// knows, as a parameter or, as Media CDN's, in its path.
//
// A chain that leaves https, leads to what is neither https nor http, to a URL of more than 16 KiB, or to more than 10
// requests (as many as net/http allows) is an error that wraps ErrRequest. The client puts it into a *url.Error with the
// whole URL: RedactError cleans that.
//
// What is added later is not seen here: the cookies of a Client.Jar, which have domains of their own, and what a Transport
// sets. A body goes wherever 307 and 308 send it. req is changed, via is not.
func CheckRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= maxRequests {
		return redirectError(ErrRequest, "Location", "stopped after %d redirects", maxRequests)
	}
	if n := len(req.URL.String()); n > maxURL {
		return redirectError(ErrRequest, "Location", "a URL of %d bytes; at most %d are followed", n, maxURL)
	}
	to := originOf(req)
	keep, secure := !isSigned(req.URL), false
	for _, r := range via {
		from := originOf(r)
		keep = keep && from == to && !isSigned(r.URL)
		secure = secure || from.scheme == "https"
	}
	switch {
	case to.scheme != "https" && to.scheme != "http":
		return redirectError(ErrRequest, "Location", "it leads neither to https nor to http")
	case secure && to.scheme != "https":
		return redirectError(ErrRequest, "Location", "it leads from https to http, where everybody on the way can read it; "+
			"if that is meant, ask there in the first place")
	case !keep:
		u := *req.URL
		u.User = nil
		req.URL = &u
		maps.DeleteFunc(req.Header, func(name string, _ []string) bool { return !followsAnywhere(name) })
	}
	return nil
}

// followsAnywhere reports whether a header says what is asked for, and nothing about who asks. Referer does not stay even
// between signed URLs of one origin: a storage service logs it for the owner of the next bucket.
func followsAnywhere(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "accept", "range", "user-agent":
		return true
	}
	return strings.HasPrefix(name, "accept-") || strings.HasPrefix(name, "content-") || strings.HasPrefix(name, "if-")
}

// An origin is who gets a request. virtual is the Host header where it is another than the URL's.
type origin struct{ scheme, host, port, virtual string }

func originOf(r *http.Request) origin {
	o := origin{scheme: strings.ToLower(r.URL.Scheme), host: strings.ToLower(r.URL.Hostname()), port: r.URL.Port()}
	switch {
	case o.port == "" && o.scheme == "https":
		o.port = "443"
	case o.port == "" && o.scheme == "http":
		o.port = "80"
	}
	if !strings.EqualFold(r.Host, r.URL.Host) {
		o.virtual = strings.ToLower(r.Host)
	}
	return o
}

// isSigned reports whether u itself is signed. A signed URL within a parameter of u does not make it so.
func isSigned(u *url.URL) bool {
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if plain, err := url.QueryUnescape(value); err == nil {
			value = plain
		}
		if isSignature(name, value) {
			return true
		}
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		name, value, _ := strings.Cut(segment, "=")
		if redactKindOf(name) == redactContainer && isSignature(name, value) {
			return true
		}
	}
	return false
}

// isSignature reports whether a parameter is a signature, or a token of fields that has one among them. Media CDN lets its
// users name the parameter with the token.
func isSignature(name, value string) bool {
	kind := redactKindOf(name)
	return kind == redactSignature && value != "" ||
		isFieldList([]byte(value)) && (kind == redactContainer || strings.Contains(value, "~")) ||
		strings.Contains(value, "~Signature=") || strings.Contains(value, "~hmac=")
}

// OnAuthorization says what a Redirector does with a request that carries an Authorization header. Many clients send it
// on to where they are redirected, among them Python's urllib to everywhere and Go's net/http to subdomains and other ports.
// The service there refuses it beside the signature, and a CDN only when it has to ask its origin, so that it looks random.
type OnAuthorization int

const (
	// RefuseAuthorization is an error that wraps ErrConflict.
	RefuseAuthorization OnAuthorization = iota
	// JSONOnAuthorization answers 200 with the Presigned as JSON (see Presigned.MarshalJSON), whose URL the client then asks
	// for by itself, without Authorization.
	JSONOnAuthorization
	// RedirectAnyway is for those who know their clients: all drop Authorization, say, or the service ignores it.
	RedirectAnyway
)

// A Redirector answers requests with signed URLs. Its zero value is ready, and it is safe for concurrent use.
type Redirector struct {
	// OnAuthorization says what to do if the request has an Authorization header. The zero value refuses.
	OnAuthorization OnAuthorization

	// Clock tells how long the URL has still to live; nil means clock.System(). Of a clock.Learned the machine's own time is
	// taken, for Presigned.ClockOffset has what was learned.
	Clock clock.Clock
}

// Redirect answers r by sending the client to p.URL, with 302 for GET and HEAD and with 307, which keeps method and body,
// for others. No cache keeps the answer past nine tenths of the life that the URL has left, or for a request with another
// Authorization header, and browsers send no Referer to where it leads. There is no body.
//
// On an error nothing was written, not a header either, and the handler answers as it likes. Its text holds no secret;
// it is for the one who wrote the handler, and tells what to change:
//   - ErrConflict: r has an Authorization header; 400 is a good answer, or the URL in whatever form the client understands;
//   - ErrRequest: p is nil, r.Method is not p.Method (sign for the method that was asked for, and HEAD is not GET), or p.URL is
//     no absolute URL of http or https, or OnAuthorization has a value that is none;
//   - ErrExpired: the URL is dead; sign when asked, not before;
//   - ErrUnsupported: p.Header is not empty, and no redirect makes a client send a header; or the URL was to be handed over
//     as JSON in the answer to HEAD, which has no body.
//
// With JSON (200, no-store) the headers are no hindrance, because the client reads there what to send.
func (d Redirector) Redirect(w http.ResponseWriter, r *http.Request, p *Presigned) error {
	if d.OnAuthorization < RefuseAuthorization || d.OnAuthorization > RedirectAnyway {
		return redirectError(ErrRequest, "OnAuthorization", "%d is none of its values", d.OnAuthorization)
	}
	if p == nil {
		return redirectError(ErrRequest, "Presigned", "there is none; look at the error of Presign first")
	}
	method := cmp.Or(r.Method, http.MethodGet)
	if method != p.Method {
		return redirectError(ErrRequest, "Method", "the URL is signed for another method than the request's; sign it for that one")
	}
	u, err := url.Parse(p.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return redirectError(ErrRequest, "URL", "it has to be an absolute URL of https or http")
	}
	now := d.now(u)
	if !now.Before(p.ExpiresAt.Add(-p.ClockOffset)) {
		return redirectError(ErrExpired, "ExpiresAt", "the URL is dead already; sign it for the request that it answers")
	}

	h := w.Header()
	if len(r.Header.Values("Authorization")) > 0 && d.OnAuthorization != RedirectAnyway {
		if d.OnAuthorization == RefuseAuthorization {
			return redirectError(ErrConflict, "Authorization", "the client may send this header on with the signed URL, which is then "+
				"refused; let it ask with a cookie or a header of your own, or set JSONOnAuthorization")
		}
		if method == http.MethodHead {
			return redirectError(ErrUnsupported, "Method", "the answer to HEAD has no body for the URL; let the client ask with GET")
		}
		body, err := p.MarshalJSON()
		if err != nil {
			return redirectError(ErrRequest, "ExpiresAt", "%w", err)
		}
		h.Set("Content-Type", "application/json")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Add("Vary", "Authorization")
		w.WriteHeader(http.StatusOK)
		w.Write(append(body, '\n')) // if this fails the client is gone, and nobody is left to be told
		return nil
	}
	if len(p.Header) > 0 {
		return redirectError(ErrUnsupported, "Header", "a redirect cannot make the client send %s; hand it the Presigned as JSON, "+
			"or sign without", strings.Join(slices.Sorted(maps.Keys(p.Header)), ", "))
	}
	h.Set("Location", p.URL) // not by http.Redirect, which changes some URLs and writes them into a page, too
	h.Set("Cache-Control", p.CacheControl(now))
	h.Set("Referrer-Policy", "no-referrer")
	h.Add("Vary", "Authorization") // or a cache would answer with it where OnAuthorization has a say
	status := http.StatusTemporaryRedirect
	if method == http.MethodGet || method == http.MethodHead {
		status = http.StatusFound
	}
	w.WriteHeader(status)
	return nil
}

// now is the machine's time.
func (d Redirector) now(u *url.URL) time.Time {
	switch c := d.Clock.(type) {
	case nil:
		return clock.System().Now()
	case clock.Learned:
		now, offset := c.Read(strings.ToLower(u.Host))
		return now.Add(-offset)
	default:
		return c.Now()
	}
}

func redirectError(sentinel error, field, format string, args ...any) error {
	return &Error{Op: "redirect", Field: field, Err: fmt.Errorf("%w: "+format, append([]any{sentinel}, args...)...)}
}
