package azure

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/signer"
)

const (
	sharedKey     = "SharedKey"
	sharedKeyLite = "SharedKeyLite"
)

// Sign signs req in its headers, in place, with Shared Key, which needs an account key; for whatever host its URL names, but where
// the Endpoint has the account in its path, or another base path, only for a URL under that (ErrRequest). Set the
// headers and the body first: what is added later is not covered. It sets Authorization and x-ms-date, and x-ms-version unless
// the caller did. See signer.RequestSigner for its contract.
//
// Signed are method, path, query, the x-ms- headers, Content-Length and ten more headers of HTTP's (Content-Type, Range, If-Match
// and their like); other headers are not, nor is the host, nor the body but through Content-MD5. The body's length must be
// known, as services want it. The service takes the request for 15 minutes after its date.
//
// An earlier Shared Key signature is replaced. A SAS in the URL, or an Authorization of another kind, is ErrConflict.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/authorize-with-shared-key
func (s *Signer) Sign(ctx context.Context, req *http.Request) error {
	return s.signHeader(ctx, req, sharedKey)
}

// SignLite is Sign with Shared Key Lite, for services that know nothing better: of the query it signs only comp, and of the
// headers the x-ms- ones, Content-MD5, Content-Type and Date.
func (s *Signer) SignLite(ctx context.Context, req *http.Request) error {
	return s.signHeader(ctx, req, sharedKeyLite)
}

func (s *Signer) signHeader(ctx context.Context, req *http.Request, scheme string) error {
	op := pipeline.Op{Backend: "azure", Name: "sign"}
	if err := pipeline.CheckHTTPRequest(op, req); err != nil {
		return err
	}
	if err := checkConflict(op, req, true); err != nil {
		return err
	}
	if _, ok := s.endpoint.below(req.URL.Path, true); !ok {
		return op.Errorf(signer.ErrRequest, "URL", "its path is not under %q, which is the account's; sign for the account that the request is for", s.endpoint.base)
	}
	w := sigv4.TakeScratch(&s.scratch)
	defer w.Release(&s.scratch)
	now, _ := s.clock.Read()
	plan, err := pipeline.PlanTimes(op, now, &pipeline.Ask{Expires: time.Second}, pipeline.Limits{})
	if err != nil {
		return err
	}
	key, err := s.key(ctx, op, plan.End)
	if err != nil {
		return err
	}
	if key.delegation != nil {
		return op.Errorf(signer.ErrCredentials, "Keys", "Shared Key needs the account's key, and this is a user delegation key, which signs only SAS; send the request with a bearer token instead")
	}

	h := make(http.Header, len(req.Header)+3)
	for name, values := range req.Header {
		if canonical := http.CanonicalHeaderKey(name); h[canonical] == nil {
			h[canonical] = values
		} else {
			return op.Errorf(signer.ErrRequest, "Header", "%s is there twice, in two spellings; use http.Header.Set", canonical)
		}
	}
	h.Del("Authorization")
	h.Set("X-Ms-Date", pipeline.Time(plan.Now).Format(http.TimeFormat))
	version := strings.Join(h["X-Ms-Version"], ",")
	if version == "" {
		version = s.version
		h.Set("X-Ms-Version", version)
	}
	if err := checkVersion(op, version); err != nil {
		return err
	}
	m, err := newMessage(op, req, h, s.endpoint.account, req.URL.EscapedPath(), req.URL.RawQuery)
	if err != nil {
		return op.Errorf(signer.ErrRequest, "URL", "%w", err)
	}
	w.ToSign = m.appendToSign(w.ToSign[:0], scheme)
	w.Trace(ctx)
	auth := append(w.URL[:0], scheme+" "+s.endpoint.account+":"...)
	w.URL = key.macs.appendSignature(auth, w.ToSign)
	h.Set("Authorization", string(w.URL))
	req.Header = h
	return nil
}

func (m *message) appendToSign(dst []byte, scheme string) []byte {
	if scheme == sharedKeyLite {
		return appendSharedKeyLite(dst, "blob", m)
	}
	return appendSharedKey(dst, m)
}

// newMessage makes a message of a request whose headers are h, in canonical spelling.
func newMessage(op pipeline.Op, req *http.Request, h http.Header, account, path, rawQuery string) (*message, error) {
	m := &message{method: pipeline.MethodOf(req.Method), header: h, length: req.ContentLength, account: account, path: path,
		version: strings.Join(h["X-Ms-Version"], ",")}
	if path == "" {
		m.path = "/"
	}
	if m.length == 0 && m.method != http.MethodPut && m.method != http.MethodPost && m.method != http.MethodPatch {
		m.length = -1 // net/http sends a zero with these three only
	}
	var err error
	if m.params, err = queryParams(rawQuery); err != nil {
		return nil, op.Refusal(signer.ErrMalformed, "URL", "InvalidUri", "its query: %w", err)
	}
	for _, p := range m.params {
		if p[0] == "" || strings.Contains(p[0], ":") || hasControl(p[0]) || hasControl(p[1]) {
			return nil, op.Refusal(signer.ErrMalformed, "URL", "InvalidUri", "a parameter has no name, a colon in it, or a control character, so that it could pass for another one")
		}
	}
	m.headers = msHeaders(h)
	return m, nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// verifySharedKey checks a request that was signed in its header.
func (v *Verifier) verifySharedKey(ctx context.Context, w *sigv4.Scratch, r *visit, auth string) (*signer.Grant, error) {
	r.Code = codeHeader
	scheme, rest, _ := strings.Cut(auth, " ")
	account, signature, ok := strings.Cut(rest, ":")
	switch {
	case scheme != sharedKey && scheme != sharedKeyLite:
		r.Malformed("Authorization", "the scheme %s is neither SharedKey nor SharedKeyLite", pipeline.Shown(pipeline.Word(scheme)))
	case !ok || !isBase64Sum(signature):
		r.Malformed("Authorization", "it is not of the form SharedKey ACCOUNT:SIGNATURE, the signature being the base64 of 32 bytes")
	case account != v.endpoint.account:
		r.Add(signer.ErrScope, "Authorization", "the account %s is wrong; expecting %q", pipeline.Shown(account), v.endpoint.account)
	}
	if v.accountKeys == nil {
		r.Add(signer.ErrUnsupported, "Authorization", "this verifier knows no account keys; set VerifierConfig.AccountKeys")
	}
	date := r.date(v.leeway)
	if versions := r.req.Header["X-Ms-Version"]; len(versions) != 1 || checkVersion(r.Op, versions[0]) != nil {
		r.Malformed("x-ms-version", "the request needs one service version")
	}
	if scheme == sharedKey && r.req.ContentLength < 0 { // to the signature, a body in chunks would be none
		r.Errs = append(r.Errs, r.Op.Refusal(signer.ErrMalformed, "Content-Length", "MissingContentLengthHeader", "the request needs one: the body's length is signed"))
	}
	m, err := newMessage(r.Op, r.req, r.req.Header, v.endpoint.account, r.path, r.rawQuery)
	if err != nil {
		r.Errs = append(r.Errs, err)
		return nil, r.Err()
	}
	r.query = make(url.Values)
	for _, p := range m.params {
		r.query[p[0]] = []string{p[1]}
	}
	v.locate(r)
	signed := m.signedHeaders(scheme)
	for _, name := range signed {
		if slices.ContainsFunc(r.req.Header[http.CanonicalHeaderKey(name)], func(v string) bool { return hasControl(trimmed(v)) }) {
			r.Malformed(name, "the header holds a control character, so that one could pass for two")
		}
	}
	r.LooseHeaders(r.req, signed, true, codeAuth)
	if err := r.Err(); err != nil {
		return nil, err
	}
	secrets, err := v.accountSecrets(ctx, r)
	if err != nil {
		return nil, err
	}
	w.ToSign = m.appendToSign(w.ToSign[:0], scheme)
	w.Trace(ctx)
	if !v.matches(secrets, w.ToSign, signature) {
		return nil, r.Op.Refusal(signer.ErrMismatch, "Authorization", codeAuth,
			"another method, path, query or header than was signed, or another key; compare the strings to sign (signer.WithTrace)")
	}
	if scheme == sharedKeyLite { // it signs nothing else of the query
		maps.DeleteFunc(r.query, func(name string, _ []string) bool { return name != "comp" })
	}
	return &signer.Grant{
		Backend: "azure", Scheme: scheme, KeyID: account,
		Method: m.method, Bucket: r.container, Key: r.blob, Query: r.query,
		SignedAt: date, NotBefore: date.Add(-v.leeway), ExpiresAt: date.Add(v.leeway),
		SignedHeaders: signed,
		Header:        pipeline.SignedHeader(r.req, signed, trimmed),
		Fingerprint:   pipeline.Fingerprint(append(w.ToSign, signature...)),
	}, nil
}

// date reads the date of a request that was signed in its header, and holds it to the leeway.
func (r *visit) date(leeway time.Duration) time.Time {
	field, values := "x-ms-date", r.req.Header["X-Ms-Date"]
	if values == nil {
		field, values = "Date", r.req.Header["Date"]
	}
	var date time.Time
	err := errors.New("several")
	if len(values) == 1 {
		date, err = http.ParseTime(values[0])
	}
	switch {
	case err != nil || date.Unix() < 0:
		r.Malformed(field, "the request needs one, like Tue, 24 Nov 2026 23:59:49 GMT")
		return time.Time{}
	case r.now.Before(date.Add(-leeway)):
		r.Add(signer.ErrNotYetValid, field, "the request was signed at %s, and it is %s; correct the signer's clock", date.UTC().Format(time.RFC3339), r.now.UTC().Format(time.RFC3339))
	case !r.now.Before(date.Add(leeway)):
		r.Add(signer.ErrExpired, field, "request date header too old: it is %s, and now %s", date.UTC().Format(time.RFC3339), r.now.UTC().Format(time.RFC3339))
	}
	return date.UTC()
}

// signedHeaders lists the headers that the message covers, in lower case and sorted.
func (m *message) signedHeaders(scheme string) []string {
	standard := []string{"Content-Encoding", "Content-Language", "Content-Length", "Content-Md5", "Content-Type", "Date",
		"If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range"}
	if scheme == sharedKeyLite {
		standard = []string{"Content-Md5", "Content-Type", "Date"}
	}
	var names []string
	for _, name := range standard {
		if m.header[name] != nil && !(name == "Date" && m.date() == "") {
			names = append(names, strings.ToLower(name))
		}
	}
	for _, h := range m.headers {
		if len(h.Value) > 0 || signsEmpty(m.version) {
			names = append(names, string(h.Name))
		}
	}
	slices.Sort(names)
	return names
}
