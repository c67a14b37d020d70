package signertest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// This file has the rules for requests that the caller made: PresignRequest and Sign.

// A badHTTPRequest is one that PresignRequest or Sign refuses; nil for the one that takes it.
type badHTTPRequest struct {
	rule, name    string
	edit          func(*http.Request)
	presign, sign error
}

func (c *trial) badHTTPRequests() (all []badHTTPRequest) {
	add := func(rule, name string, presign, sign error, edit func(*http.Request)) {
		all = append(all, badHTTPRequest{rule, name, edit, presign, sign})
	}
	both := func(rule, name string, err error, edit func(*http.Request)) { add(rule, name, err, err, edit) }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = []string{value} }
	}
	query := func(more string) func(*http.Request) {
		return func(r *http.Request) { r.URL.RawQuery = strings.TrimPrefix(r.URL.RawQuery+"&"+more, "&") }
	}
	for _, ch := range []byte{0, 1, '\n', '\r', 0x7f} {
		name, bad := "a"+string(rune(ch))+"b", "pale"+string(rune(ch))+"blue"
		both("control-characters", fmt.Sprintf("%q in the value of a header", ch), signer.ErrRequest, header(c.metaHeader(), bad))
		both("control-characters", fmt.Sprintf("%q in the name of a header", ch), signer.ErrRequest, header(name, "v"))
		both("control-characters", fmt.Sprintf("%q in a parameter", ch), signer.ErrRequest, query("shade="+url.QueryEscape(bad)))
		both("control-characters", fmt.Sprintf("%q in the name of a parameter", ch), signer.ErrRequest, query(url.QueryEscape(name)+"=1"))
	}
	both("http", "no URL", signer.ErrRequest, func(r *http.Request) { r.URL = nil })
	both("http", "a relative URL", signer.ErrRequest, func(r *http.Request) { r.URL = &url.URL{Path: "/a"} })
	both("http", "a URL without a host", signer.ErrRequest, func(r *http.Request) { r.URL.Host = "" })
	both("http", "a URL of another kind", signer.ErrRequest, func(r *http.Request) { r.URL.Scheme = "ftp" })
	both("http", "a user name", signer.ErrRequest, func(r *http.Request) { r.URL.User = url.User("u") })
	both("http", "a fragment", signer.ErrRequest, func(r *http.Request) { r.URL.Fragment = "f" })
	both("http", "a host with a slash", signer.ErrRequest, func(r *http.Request) { r.URL.Host = "evil.example/" + r.URL.Host })
	both("http", "a Host with a line feed", signer.ErrRequest, func(r *http.Request) { r.Host = r.URL.Host + "\n" })
	both("http", "a NUL in the path", signer.ErrRequest, func(r *http.Request) { r.URL.Path, r.URL.RawPath = r.URL.Path+"\x00", "" })
	both("http", "a broken escape in the query", signer.ErrRequest, query("shade=%zz"))
	both("http", "a method in lower case", signer.ErrRequest, func(r *http.Request) { r.Method = "get" })

	for _, param := range []string{"X-Amz-Signature", "X-Goog-Signature", "x-oss-signature", "sig", "Signature"} {
		if own := slices.ContainsFunc(c.Params, func(p string) bool { return strings.EqualFold(p, param) }); !own {
			both("foreign-conflict", "a URL with "+param, signer.ErrConflict, query(param+"=0123456789abcdef"))
			both("foreign-conflict", "a URL with "+strings.ToUpper(param), signer.ErrConflict, query(strings.ToUpper(param)+"=0123456789abcdef"))
		}
	}
	both("foreign-conflict", "an Authorization of another kind", signer.ErrConflict, header("Authorization", "Bearer 0123456789abcdef"))
	both("foreign-conflict", "an Authorization of another kind, in lower case", signer.ErrConflict, header("authorization", "Bearer 0123456789abcdef"))
	if c.has("Sign") {
		add("foreign-conflict", "a URL that is presigned already", nil, signer.ErrConflict, func(r *http.Request) {
			p := c.presignRequest(c.signer(), c.httpRequest(), signer.Options{Expires: time.Hour})
			r.URL, _ = url.Parse(p.URL)
		})
		add("foreign-conflict", "a request that is signed in its header", signer.ErrConflict, nil, func(r *http.Request) { c.sign(c.signer(), r) })
	}
	return all
}

// refusesHTTP checks that neither PresignRequest nor Sign takes a bad request, and that it stays as it was.
func (c *trial) refusesHTTP(bad badHTTPRequest, s signer.Signer) {
	if rp, ok := signer.As[signer.RequestPresigner](s); ok && bad.presign != nil {
		req := c.httpRequest(bad.edit)
		was := picture(req)
		p, err := rp.PresignRequest(ctx(), req, signer.Options{Expires: time.Hour})
		c.wantError("PresignRequest: "+bad.name, err, bad.presign)
		if err != nil && p != nil {
			c.errorf("PresignRequest: %s: a URL beside the error", bad.name)
		}
		if picture(req) != was {
			c.errorf("PresignRequest: %s: the request was changed", bad.name)
		}
	}
	if rs, ok := signer.As[signer.RequestSigner](s); ok && bad.sign != nil {
		req := c.httpRequest(bad.edit)
		was := picture(req)
		err := rs.Sign(ctx(), req)
		c.wantError("Sign: "+bad.name, err, bad.sign)
		if picture(req) != was {
			c.errorf("Sign: %s: the request was changed beside the error", bad.name)
		}
	}
}

func httpRequestUnchanged(c *trial) {
	s := c.signer()
	for _, bad := range c.badHTTPRequests() {
		if bad.rule == "http" {
			c.refusesHTTP(bad, s)
		}
	}
	req := c.httpRequest()
	was := picture(req)
	c.presignRequest(s, req, signer.Options{Expires: time.Hour})
	if picture(req) != was {
		c.errorf("PresignRequest changed its request")
	}
	if _, err := c.requestPresigner(s).PresignRequest(ctx(), req, signer.Options{}); err == nil || picture(req) != was {
		c.errorf("PresignRequest without Expires: error %v, request unchanged %t", err, picture(req) == was)
	}
	rs := c.requestSigner(s)
	header, values := req.Header, req.Header.Clone()
	if err := rs.Sign(ctx(), req); err != nil {
		c.fatalf("Sign: %v", err)
	}
	signed := req.Clone(ctx())
	signed.Header, signed.Host = values, c.httpRequest().Host
	if picture(signed) != was {
		c.errorf("Sign changed more than Header and Host")
	}
	for name, v := range values {
		if !slices.Equal(header[name], v) {
			c.errorf("Sign changed the header %s, which another request may share", name)
		}
	}
	if !c.has("CredentialsExpire") {
		return
	}
	dead, err := c.New(c.options(credentialsDie(evening().Add(-time.Hour))))
	if err != nil {
		return // refused before there was a request
	}
	req = c.httpRequest()
	if err := c.requestSigner(dead).Sign(ctx(), req); err == nil || picture(req) != was {
		c.errorf("Sign with dead credentials: error %v, request unchanged %t", err, picture(req) == was)
	}
}

// unreadable is a body that must not be read.
type unreadable struct{ reads int }

func (b *unreadable) Read([]byte) (int, error) {
	b.reads++
	return 0, errors.New("this body is not to be read")
}

func (b *unreadable) Close() error { return nil }

func bodyUnread(c *trial) {
	m := c.writing()
	if m == "" {
		c.skip("the scheme has no method with a body")
	}
	s, body := c.signer(), new(unreadable)
	upload := func(r *http.Request) { r.Method, r.Body, r.ContentLength, r.GetBody = m, body, 5, nil }
	c.presignRequest(s, c.httpRequest(upload), signer.Options{Expires: time.Hour})
	if c.has("Sign") {
		c.sign(s, c.httpRequest(upload))
	}
	if body.reads > 0 {
		c.errorf("the body was read %d times", body.reads)
	}
}

func wireBytesKept(c *trial) {
	base := strings.TrimSuffix(c.bare("k"), "k")
	s := c.signer()
	for _, path := range []string{"k", "a%2fb", "a%2Fb", "c%7E+d", "%6b", "a//b///", "a/./b/../c", "é", "%C3%A9", "%c3%a9", "(a)!*'", "a;b=c", "a%20b", "%2e%2e/x"} {
		for _, query := range []string{"", "b=2&a=%41+", "a&b=", "z=%2f&&y=1&", "é=1&%C3%A9a=%c3", "x=a/b?c"} {
			if query != "" && !c.has("Query") {
				continue
			}
			raw := base + path
			if query != "" {
				raw += "?" + query
			}
			req, err := http.NewRequest(method(c.Methods[0]), raw, nil)
			if err != nil {
				c.fatalf("%v", signer.RedactError(err))
			}
			p, err := c.requestPresigner(s).PresignRequest(ctx(), req, signer.Options{Expires: time.Hour})
			if err != nil {
				c.errorf("PresignRequest of %s: %v", raw, err)
				continue
			}
			gotURL, gotQuery, _ := strings.Cut(p.URL, "?")
			kept := slices.DeleteFunc(strings.Split(gotQuery, "&"), func(part string) bool {
				name, _, _ := strings.Cut(part, "=")
				return c.isParam(name)
			})
			wantURL := req.URL.Scheme + "://" + req.URL.Host + req.URL.EscapedPath()
			if gotURL != wantURL || strings.Join(kept, "&") != query {
				c.errorf("PresignRequest of %s returns %s?%s and the signature", raw, gotURL, strings.Join(kept, "&"))
			}
			if c.NewVerifier != nil {
				if _, err := c.verifier().Verify(ctx(), c.arrived(p)); err != nil {
					c.errorf("the URL that PresignRequest makes of %s is refused: %v", raw, err)
				}
			}
		}
	}
}

// changing are headers that clients, proxies and tracers set or change on the way.
func changing() []string {
	return []string{"Accept-Encoding", "User-Agent", "Expect", "Traceparent", "Tracestate", "Baggage", "Connection", "Keep-Alive", "Proxy-Authorization", "Te", "Upgrade"}
}

func requestHeadersSigned(c *trial) {
	s := c.signer()
	load := func(r *http.Request) {
		for _, name := range changing() {
			r.Header.Set(name, "x")
		}
	}
	var v signer.Verifier
	if c.NewVerifier != nil {
		v = c.verifier()
	}
	check := func(what string, in *http.Request) {
		if v == nil {
			return
		}
		g := c.accepts(what, v, in)
		if c.has("Header") && !slices.Contains(g.SignedHeaders, strings.ToLower(c.metaHeader())) {
			c.errorf("%s: the request's %s is not signed; signed are %q", what, c.metaHeader(), g.SignedHeaders)
		}
		for _, name := range changing() {
			if slices.Contains(g.SignedHeaders, strings.ToLower(name)) {
				c.errorf("%s: %s is signed, and changes on the way", what, name)
			}
			in.Header.Set(name, "changed")
		}
		for _, name := range []string{"Connection", "Upgrade", "Te"} { // they say something to the suite's own reader
			in.Header.Del(name)
		}
		c.accepts(what+" whose hop-by-hop headers have changed", v, in)
	}
	p := c.presignRequest(s, c.httpRequest(load), signer.Options{Expires: time.Hour})
	for _, name := range changing() {
		if _, ok := p.Header[name]; ok {
			c.errorf("Presigned.Header of PresignRequest demands %s", name)
		}
	}
	if c.has("Header") && p.Header.Get(c.metaHeader()) != "blue" {
		c.errorf("Presigned.Header of PresignRequest is %v, without the request's %s", p.Header, c.metaHeader())
	}
	check("a URL of PresignRequest", c.arrived(p))

	// A private address in front of the public name: the Host that is signed is the one that must be sent.
	moved := c.httpRequest(func(r *http.Request) { r.Host, r.URL.Host = r.URL.Host, "10.0.0.1:9000" })
	if p, err := c.requestPresigner(s).PresignRequest(ctx(), moved, signer.Options{Expires: time.Hour}); err != nil {
		c.wantError("PresignRequest with a Host of its own", err, signer.ErrRequest, signer.ErrUnsupported)
	} else if v != nil {
		c.accepts("a URL of PresignRequest with a Host of its own", v, c.arrived(p))
	}
	if c.has("Sign") {
		check("a request of Sign", c.signed(s, load))
	}
}

func resignReplaces(c *trial) {
	later := c.signer(at(evening().Add(36*time.Hour)), rotated)
	o := signer.Options{Expires: 2 * time.Hour}
	first := c.presignRequest(c.signer(), c.httpRequest(), signer.Options{Expires: time.Hour})
	again := c.httpRequest()
	var err error
	if again.URL, err = url.Parse(first.URL); err != nil {
		c.fatalf("the URL does not parse")
	}
	if !c.has("Replace") {
		_, err := c.requestPresigner(later).PresignRequest(ctx(), again, o)
		c.wantError("PresignRequest of a presigned URL", err, signer.ErrConflict, signer.ErrRequest)
	} else {
		want := c.presignRequest(later, c.httpRequest(), o)
		got, err := c.requestPresigner(later).PresignRequest(ctx(), again, o)
		if err != nil {
			c.errorf("PresignRequest of a presigned URL: %v", err)
		} else if got.URL != want.URL {
			c.errorf("PresignRequest of a presigned URL differs from that of the bare URL; something of the first signature is left")
		}
		if c.NewVerifier != nil && err == nil {
			c.accepts("a URL signed twice", c.verifier(at(evening().Add(36*time.Hour)), rotated), c.arrived(got))
		}
		// Leftovers in any spelling are leftovers.
		for _, name := range slices.Concat(c.Params, c.WishParams) {
			req := c.httpRequest()
			req.URL.RawQuery = strings.TrimPrefix(req.URL.RawQuery+"&"+strings.ToLower(name)+"=old", "&")
			if got, err := c.requestPresigner(later).PresignRequest(ctx(), req, o); err != nil || got.URL != want.URL {
				c.errorf("PresignRequest of a URL with an old %s: %v", strings.ToLower(name), err)
			}
		}
	}
	if !c.has("Sign") {
		return
	}
	bare, twice := c.httpRequest(), c.httpRequest()
	c.sign(later, bare)
	c.sign(c.signer(), twice)
	c.sign(later, twice)
	if fmt.Sprint(bare.Header) != fmt.Sprint(twice.Header) {
		c.errorf("a request signed twice has another header than one signed once")
	}
}

func foreignConflict(c *trial) {
	s := c.signer()
	for _, bad := range c.badHTTPRequests() {
		if bad.rule == "foreign-conflict" {
			c.refusesHTTP(bad, s)
		}
	}
}

func signAccepted(c *trial) {
	s, v := c.signer(), c.verifier()
	c.requestSigner(s)
	for _, m := range c.Methods {
		in := c.signed(s, func(r *http.Request) { r.Method = method(m) })
		g := c.accepts("a signed "+m, v, in)
		if g.Method != method(m) || g.Bucket != c.Bucket || g.Key != "a/b c+d.txt" || c.has("Query") && g.Query.Get("shade") != "pale blue+" || len(g.Query) > 1 {
			c.errorf("a signed %s grants %s of %q in %q with %v", m, g.Method, g.Key, g.Bucket, g.Query)
		}
		if g.Fingerprint == "" || g.KeyID == "" || g.Scheme == "" || g.Backend == "" {
			c.errorf("a signed %s: the grant names no Fingerprint %q, KeyID %q, Scheme %q or Backend %q", m, g.Fingerprint, g.KeyID, g.Scheme, g.Backend)
		}
	}
	base := strings.TrimSuffix(c.bare("k"), "k")
	for _, path := range []string{"k", "a%2fb", "c%7E+d", "a//b", "é", "%c3%a9", "(a)!*'"} {
		in := c.signed(s, func(r *http.Request) {
			query := r.URL.RawQuery
			r.URL, _ = url.Parse(base + path)
			r.URL.RawQuery = query
		})
		want, _ := url.PathUnescape(path)
		if g := c.accepts("a signed request for "+path, v, in); g.Key != want {
			c.errorf("a signed request for %s grants %q", path, g.Key)
		}
	}
}

func signDate(c *trial) {
	now := second(evening())
	in := c.signed(c.signer(backdate(c.someBackdate())))
	g := c.accepts("a signed request", c.verifier(), in)
	if !g.SignedAt.Equal(now) {
		c.errorf("a request signed at %v with a Backdate is dated %v", evening(), g.SignedAt)
	}
	for _, tt := range []struct {
		leeway, off time.Duration
		want        error
	}{
		{0, 14 * time.Minute, nil}, {0, -14 * time.Minute, nil}, {0, 16 * time.Minute, signer.ErrExpired}, {0, -16 * time.Minute, signer.ErrNotYetValid},
		{time.Minute, 59 * time.Second, nil}, {time.Minute, -59 * time.Second, nil},
		{time.Minute, 61 * time.Second, signer.ErrExpired}, {time.Minute, -61 * time.Second, signer.ErrNotYetValid},
	} {
		what := fmt.Sprintf("a signed request, read %v after its date with a Leeway of %v", tt.off, tt.leeway)
		v := c.verifier(at(now.Add(tt.off)), leeway(tt.leeway))
		if tt.want == nil {
			c.accepts(what, v, in)
		} else {
			c.rejects(what, v, in, tt.want)
		}
	}
}

// someBackdate is one that would show, for schemes that can be configured with one.
func (c *trial) someBackdate() time.Duration {
	if c.has("Backdate") {
		return 5 * time.Minute
	}
	return 0
}

// signTampers lists what can be changed in a request that is signed in its header.
func (c *trial) signTampers(in *http.Request) (all []tamper) {
	all = append(c.pathTampers(in), c.methodTampers(in, nil)...)
	all = append(all, c.hostTampers(in)...)
	add := func(name string, edit func(*http.Request)) { all = append(all, tamper{name, edit}) }
	auth := in.Header.Get("Authorization")
	add("Authorization removed", func(r *http.Request) { r.Header.Del("Authorization") })
	add("Authorization emptied", func(r *http.Request) { r.Header.Set("Authorization", "") })
	for i := range len(auth) {
		add(fmt.Sprintf("byte %d of Authorization changed", i), func(r *http.Request) { r.Header.Set("Authorization", flipped(auth, i)) })
	}
	add("Authorization cut by a byte", func(r *http.Request) { r.Header.Set("Authorization", auth[:len(auth)-1]) })
	add("Authorization longer by a byte", func(r *http.Request) { r.Header.Set("Authorization", auth+auth[len(auth)-1:]) })
	add("a key added to Authorization", func(r *http.Request) { r.Header.Set("Authorization", auth+",Key=1") })
	add("Authorization doubled", func(r *http.Request) { r.Header.Add("Authorization", auth) })
	path, query, _ := strings.Cut(in.RequestURI, "?")
	if c.has("Query") {
		for i := range len(query) {
			add(fmt.Sprintf("byte %d of the query changed", i), func(r *http.Request) { retarget(r, path+"?"+flipped(query, i)) })
		}
		add("the query removed", func(r *http.Request) { retarget(r, path) })
		add("a parameter added", func(r *http.Request) { retarget(r, path+"?"+query+"&acl") })
	}
	for name := range in.Header {
		if name == "Authorization" || slices.Contains(changing(), name) || name == "Content-Length" {
			continue
		}
		value := in.Header.Get(name)
		add("the header "+name+" removed", func(r *http.Request) { r.Header.Del(name) })
		add("the header "+name+" changed", func(r *http.Request) { r.Header.Set(name, flipped(value, len(value)-1)) })
		add("the header "+name+" doubled", func(r *http.Request) { r.Header.Add(name, value) })
		add("the header "+name+" in a second spelling", func(r *http.Request) { r.Header[strings.ToLower(name)] = []string{"x"} })
	}
	return all
}

func signTampering(c *trial) {
	s, v := c.signer(), c.verifier()
	in := c.signed(s)
	c.accepts("a signed request", v, in)
	for _, t := range c.signTampers(in) {
		c.rejects("a signed request with "+t.name, v, edited(in, t.edit))
	}
	for _, name := range c.loose() {
		c.rejects("a signed request with the header "+name+" added", v, edited(in, func(r *http.Request) { r.Header[name] = []string{"x"} }))
	}
}

func signBody(c *trial) {
	s, v := c.signer(), c.verifier()
	c.requestSigner(s)
	if c.HashBody == nil || c.writing() == "" {
		c.skip("the scheme signs no body")
	}
	const body = "hello, world"
	for _, tt := range []struct {
		name, sent string
		want       error
	}{
		{"the signed body", body, nil},
		{"another body", "jello, world", signer.ErrMismatch},
		{"a shorter body", body[:5], signer.ErrMismatch},
		{"an empty body", "", signer.ErrMismatch},
		{"a longer body", body + "!", signer.ErrMismatch},
	} {
		req := c.httpRequest(c.withBody(body))
		if err := c.HashBody(req); err != nil {
			c.fatalf("Harness.HashBody: %v", err)
		}
		c.sign(s, req)
		in := c.received(req)
		g := c.accepts("a request with a hashed body", v, in)
		if g.Payload == "" {
			c.fatalf("the body's hash is signed, and Grant.Payload is empty")
		}
		got, err := io.ReadAll(g.Body(io.NopCloser(strings.NewReader(tt.sent))))
		if !errors.Is(err, tt.want) || tt.want == nil && string(got) != body {
			c.errorf("Grant.Body of %s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if g := c.accepts("a signed request", v, c.signed(s)); g.Payload != "" {
		c.errorf("no hash of the body was signed, and Grant.Payload is %q", g.Payload)
	}
}
