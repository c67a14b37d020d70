package cdn

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// mediaSigned signs a text of the attacker's choice, as whoever has the key could.
func mediaSigned(t *testing.T, a MediaAlgorithm, fields string) string {
	t.Helper()
	k := mediaTestKey(t, a)
	return fields + "~" + mediaTokenSignature(&k, fields)
}

func mediaPass(t *testing.T, token MediaToken) string {
	t.Helper()
	p, err := newMediaSigner(t).Token(context.Background(), token, mediaHour())
	if err != nil {
		t.Fatal(err)
	}
	return p.Query()
}

func mediaRefused(t *testing.T, what string, req *http.Request, class error, edits ...func(*MediaVerifierConfig)) {
	t.Helper()
	g, err := newMediaVerifier(t, edits...).Verify(context.Background(), req)
	if g != nil {
		t.Errorf("%s is granted: %+v", what, g)
	}
	mediaWantError(t, err, class, "")
	if err != nil && (strings.Contains(err.Error(), "Signature=") || strings.Contains(err.Error(), "hmac=")) {
		t.Errorf("%s: the error shows the signature: %v", what, err)
	}
}

// raw is a request whose target goes over the wire as it stands.
func mediaRaw(target string) *http.Request {
	req := mediaRequest(mediaHost + "/")
	req.RequestURI = target
	return req
}

// The values of headers do not stand in the token. Whoever may choose one could write into it what the signed value continues
// with, and leave that out of the token: another header, a range of addresses, an end.
func TestMediaHeaderInjection(t *testing.T) {
	ranges := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	full := mediaPass(t, MediaToken{PathGlobs: []string{"/*"}, IPRanges: ranges,
		Headers: []signer.Field{{Name: "Foo", Value: "bar"}, {Name: "Role", Value: "user"}}})
	encoded := "IPRanges=" + base64.RawURLEncoding.EncodeToString([]byte("10.0.0.0/8"))
	req := func(query string, header ...string) *http.Request {
		r := mediaRaw("/a?" + query)
		r.RemoteAddr = "10.1.2.3:4"
		for _, h := range header {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Add(name, value)
		}
		return r
	}
	if _, err := newMediaVerifier(t).Verify(context.Background(), req(full, "Foo: bar", "Role: user")); err != nil {
		t.Fatal(err)
	}
	one := strings.Replace(full, "Headers=Foo,Role", "Headers=Foo", 1)
	noRange := strings.Replace(full, "~"+encoded, "", 1)
	for what, r := range map[string]*http.Request{
		"a header within another":             req(one, "Foo: bar,Role=user", "Role: admin"),
		"a header in a second line":           req(one, "Foo: bar", "Foo: Role=user", "Role: admin"),
		"the other header within the first":   req(strings.Replace(full, "Headers=Foo,Role", "Headers=Foo", 1), "Foo: bar,Role=user"),
		"ranges within a header":              req(noRange, "Foo: bar", "Role: user~"+encoded),
		"another value":                       req(full, "Foo: bar", "Role: admin"),
		"a value more":                        req(full, "Foo: bar", "Role: user", "Role: admin"),
		"a header that is missing":            req(full, "Foo: bar"),
		"headers in another order":            req(strings.Replace(full, "Foo,Role", "Role,Foo", 1), "Foo: bar", "Role: user"),
		"a name in other letters":             req(strings.Replace(full, "Foo,Role", "foo,Role", 1), "Foo: bar", "Role: user"),
		"a header twice":                      req(strings.Replace(full, "Foo,Role", "Foo,foo", 1), "Foo: bar"),
		"a name that is none":                 req(strings.Replace(full, "Foo,Role", "Foo,", 1), "Foo: bar", "Role: user"),
		"a header with a line of its own end": req(full, "Foo: bar", "Role: user~"),
	} {
		g, err := newMediaVerifier(t).Verify(context.Background(), r)
		if g != nil || err == nil {
			t.Errorf("%s is granted", what)
		}
	}
	// A grant is logged, and a cookie is nothing for logs.
	r := req(mediaPass(t, MediaToken{FullPath: "/a", Headers: []signer.Field{{Name: "Cookie", Value: "a"}, {Name: "Foo", Value: "bar"}}}), "Cookie: a", "Foo: bar")
	g, err := newMediaVerifier(t).Verify(context.Background(), r)
	if err != nil || fmt.Sprint(g.SignedHeaders) != "[cookie foo]" || fmt.Sprint(g.Header) != "map[Foo:[bar]]" {
		t.Errorf("%v, %+v", err, g)
	}
	// The signed values that the first four share with the token are equal, so that the signature alone does not help.
	fields := func(query string) []string {
		f := strings.Split(strings.TrimPrefix(query, "edge-cache-token="), "~")
		return f[:len(f)-1]
	}
	header := func(r *http.Request) func(string) string {
		return func(name string) string { return strings.Join(r.Header.Values(name), ",") }
	}
	good := mediaSignedValue(fields(full), "/a", header(req(full, "Foo: bar", "Role: user")))
	for _, bad := range []string{mediaSignedValue(fields(one), "/a", header(req(one, "Foo: bar", "Foo: Role=user"))),
		mediaSignedValue(fields(noRange), "/a", header(req(noRange, "Foo: bar", "Role: user~"+encoded)))} {
		if bad != good {
			t.Errorf("no attack:\n%s\n%s", bad, good)
		}
	}
}

// The path does not stand in a token for one path.
func TestMediaPathInjection(t *testing.T) {
	token := mediaPass(t, MediaToken{FullPath: "/a", Starts: mediaNoon().Add(time.Minute)})
	short := strings.Replace(token, fmt.Sprintf("~Starts=%d", mediaNoon().Add(time.Minute).Unix()), "", 1)
	if short == token {
		t.Fatal("no attack")
	}
	mediaRefused(t, "a path that goes on as a field", mediaRaw(fmt.Sprintf("/a~Starts=%d?%s", mediaNoon().Add(time.Minute).Unix(), short)), signer.ErrMismatch)
	mediaRefused(t, "too early", mediaRaw("/a?"+token), signer.ErrNotYetValid)
	token = mediaPass(t, MediaToken{FullPath: "/a"})
	for _, path := range []string{"/b", "/a/", "/%61", "//a", "/a/../a", "/A", "/"} {
		mediaRefused(t, path, mediaRaw(path+"?"+token), signer.ErrMismatch)
	}
}

// What a token says may be changed nowhere, nor anything be said twice or behind the signature.
func TestMediaTokenTampering(t *testing.T) {
	ranges := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	query := mediaPass(t, MediaToken{PathGlobs: []string{"/tv/*"}, SessionID: "s", IPRanges: ranges})
	good := mediaRaw("/tv/a?" + query)
	good.RemoteAddr = "10.0.0.1:1"
	v := newMediaVerifier(t)
	if _, err := v.Verify(context.Background(), good); err != nil {
		t.Fatal(err)
	}
	from := func(query string) *http.Request {
		r := mediaRaw("/tv/a?" + query)
		r.RemoteAddr = "10.0.0.1:1"
		return r
	}
	for i := len("edge-cache-token="); i < len(query); i++ {
		for _, c := range []byte("0aZ~=,!*-_&") {
			if changed := query[:i] + string(c) + query[i+1:]; changed != query {
				if g, err := v.Verify(context.Background(), from(changed)); err == nil {
					t.Fatalf("%s is granted: %+v", changed, g)
				}
			}
		}
		if g, err := v.Verify(context.Background(), from(query[:i])); err == nil {
			t.Fatalf("%s is granted: %+v", query[:i], g)
		}
	}
	for what, q := range map[string]string{
		"a field behind the signature":  query + "~Starts=1",
		"a field twice":                 strings.Replace(query, "~SessionID=s", "~SessionID=s~SessionID=s", 1),
		"a field that nobody knows":     strings.Replace(query, "~SessionID=s", "~acl=/*", 1),
		"two signatures":                query + query[strings.LastIndex(query, "~"):],
		"the token twice":               query + "&" + query,
		"the token in other capitals":   strings.Replace(query, "edge", "Edge", 1),
		"the token twice, in capitals":  query + "&" + strings.Replace(query, "edge", "Edge", 1),
		"the token twice, escaped":      query + "&%65" + query[1:],
		"a scope too many":              strings.Replace(query, "PathGlobs", "FullPath~PathGlobs", 1),
		"no scope":                      strings.Replace(query, "PathGlobs=/tv/*~", "", 1),
		"FullPath with a value":         strings.Replace(query, "PathGlobs=/tv/*", "FullPath=/tv/a", 1),
		"a glob list that is empty":     strings.Replace(query, "PathGlobs=/tv/*", "PathGlobs=", 1),
		"a broken escape":               "edge-cache-token=%zz",
		"nothing":                       "edge-cache-token=",
		"more fields than there can be": "edge-cache-token=" + strings.Repeat("~", 100000),
	} {
		g, err := v.Verify(context.Background(), from(q))
		if g != nil || err == nil {
			t.Errorf("%s is granted", what)
		}
	}
	for what, fields := range map[string]string{ // well signed
		"no end":                    "PathGlobs=/*",
		"an end of zero":            "PathGlobs=/*~Expires=0",
		"an end with a sign":        "PathGlobs=/*~Expires=+1795611600",
		"an end with a zero":        "PathGlobs=/*~Expires=01795611600",
		"an end that is too far":    "PathGlobs=/*~Expires=253402300800",
		"a start behind the end":    "PathGlobs=/*~Starts=1795611601~Expires=1795611600",
		"two scopes":                "PathGlobs=/*~URLPrefix=" + base64.RawURLEncoding.EncodeToString([]byte(mediaHost+"/")) + "~Expires=1795611600",
		"no scope":                  "Expires=1795611600",
		"a field of other CDNs":     "acl=/*~Expires=1795611600",
		"a range that is none":      "PathGlobs=/*~Expires=1795611600~IPRanges=" + base64.RawURLEncoding.EncodeToString([]byte("10.0.0.0/8,x")),
		"a range without bits":      "PathGlobs=/*~Expires=1795611600~IPRanges=" + base64.RawURLEncoding.EncodeToString([]byte("10.0.0.1")),
		"ranges that are no base64": "PathGlobs=/*~Expires=1795611600~IPRanges=10.0.0.0",
		"an end twice":              "PathGlobs=/*~Expires=1795611600~Expires=1795611600",
		"data twice":                "PathGlobs=/*~Data=a~Expires=1795611600~Data=b",
		"the path twice":            "FullPath~FullPath~Expires=1795611600",
		"a header twice":            "PathGlobs=/*~Expires=1795611600~Headers=Foo,foo",
		"a field too many":          "PathGlobs=/*~Expires=1795611600~acl=x",
		"no data":                   "PathGlobs=/*~Expires=1795611600~Data=",
		"a field without a value":   "PathGlobs=/*~Expires=1795611600~Data",
	} {
		r := from("edge-cache-token=" + mediaSigned(t, MediaEd25519, fields))
		mediaRefused(t, what, r, signer.ErrMalformed)
	}
	_, err := v.Verify(context.Background(), from("edge-cache-token="+strings.Repeat("~a", 100000))) // no work is done on them
	mediaWantError(t, err, signer.ErrMalformed, "more fields than there are names")
	// The order is free, and both lists of globs are known.
	for _, fields := range []string{"Expires=1795611600~PathGlobs=/film/*,/tv/*~Starts=1795600000", "Data=a%20b~PathGlobs=/film/*!/tv/*~Expires=1795611600"} {
		if _, err := v.Verify(context.Background(), from("a=1&edge-cache-token="+mediaSigned(t, MediaHMACSHA256, fields)+"&b=2")); err != nil {
			t.Errorf("%s: %v", fields, err)
		}
	}
}

// A grant for many paths does not open what a path leads to when somebody cleans it, nor what is outside of it.
func TestMediaClimbing(t *testing.T) {
	ctx := context.Background()
	p, err := newMediaSigner(t).PresignPrefix(ctx, mediaHost+"/tv/7/", mediaHour())
	if err != nil {
		t.Fatal(err)
	}
	cookie, err := p.Cookie()
	if err != nil {
		t.Fatal(err)
	}
	inPath, err := p.PathURL(mediaHost + "/tv/7/a")
	if err != nil {
		t.Fatal(err)
	}
	component := strings.TrimSuffix(strings.TrimPrefix(inPath, mediaHost+"/tv/7/"), "a")
	glob := mediaPass(t, MediaToken{PathGlobs: []string{"/tv/7/*"}})
	with := func(form, rest string) *http.Request {
		switch form {
		case "query":
			return mediaRaw("/tv/7/" + rest + "?" + p.Query())
		case "glob":
			return mediaRaw("/tv/7/" + rest + "?" + glob)
		case "path":
			return mediaRaw("/tv/7/" + component + rest)
		}
		r := mediaRaw("/tv/7/" + rest)
		r.AddCookie(cookie)
		return r
	}
	v := newMediaVerifier(t)
	for _, form := range []string{"query", "glob", "path", "cookie"} {
		for rest, key := range map[string]string{"a": "tv/7/a", "": "tv/7/", "a/b%2Fc": "tv/7/a/b/c", "a..b/...": "tv/7/a..b/...", "%252e%252e/a": "tv/7/%2e%2e/a"} {
			if g, err := v.Verify(ctx, with(form, rest)); err != nil || g.Key != key {
				t.Errorf("%s, %q: %v, %+v", form, rest, err, g)
			}
		}
		for _, rest := range []string{"../8/a", "..", ".", "a/../../8", "a/./b", "%2e%2e/8/a", "%2E./8", ".%2e/8", "a%2f..%2f..%2f8", `..\8`, `a\b`, "%5c..%5C8", "..%5c8"} {
			mediaRefused(t, form+" "+rest, with(form, rest), signer.ErrScope)
		}
		for _, rest := range []string{"a%zz", "a%00", "a%ff"} {
			mediaRefused(t, form+" "+rest, with(form, rest), signer.ErrMalformed)
		}
	}
	for what, r := range map[string]*http.Request{
		"another directory":       mediaRaw("/tv/8/a?" + p.Query()),
		"a longer name":           mediaRaw("/tv/7x/a?" + p.Query()),
		"the directory's name":    mediaRaw("/tv/7?" + p.Query()),
		"the same, escaped":       mediaRaw("/tv/%37/a?" + p.Query()),
		"a glob elsewhere":        mediaRaw("/tv/8/a?" + glob),
		"a glob's prefix in it":   mediaRaw("/x/tv/7/a?" + glob),
		"a glob with the escaped": mediaRaw("/tv/%37/a?" + glob),
	} {
		mediaRefused(t, what, r, signer.ErrScope)
	}
	for what, target := range map[string]string{
		"the segment moved":            "/tv/8/" + component + "a",
		"the segment moved up":         "/tv/" + component + "a",
		"the segment without a slash":  "/tv/7/" + strings.TrimSuffix(component, "/"),
		"the segment twice":            "/tv/7/" + component + component + "a",
		"a second segment":             "/tv/7/" + component + "edge-cache-token=Expires=1/a",
		"a field in the segment":       "/tv/7/" + strings.Replace(component, "&Signature", "&a=b&Signature", 1) + "a",
		"the segment, longer":          "/tv/7/" + strings.TrimSuffix(component, "/") + "&a=b/a",
		"the segment with an escape":   "/tv/7/" + strings.Replace(component, "&", "%26", 1) + "a",
		"the segment's fields shifted": "/tv/7/" + strings.Replace(component, "=Expires", "=KeyName=x&Expires", 1) + "a",
	} {
		g, err := v.Verify(ctx, mediaRaw(target))
		if g != nil || err == nil {
			t.Errorf("%s is granted", what)
		}
	}
	// Prefixes that end within the host's name, well signed: they are no prefix of ours.
	k := mediaTestKey(t, MediaEd25519)
	for _, prefix := range []string{"https://media.example.co", "https://", "h", "https://media.example.com.evil/", "http://media.example.com/", "https://media.example.com:8443/"} {
		_, query := mediaSignature(&k, mediaURLPrefix(prefix)+"&", '&', mediaNoon().Unix()+60)
		mediaRefused(t, prefix, mediaRaw("/a?"+query), signer.ErrScope)
		mediaRefused(t, prefix, mediaRaw("/a?edge-cache-token="+mediaSigned(t, MediaEd25519, mediaURLPrefix(prefix)+"~Expires=1795611600")), signer.ErrScope)
	}
	_, query := mediaSignature(&k, mediaURLPrefix(mediaHost)+"&", '&', mediaNoon().Unix()+60)
	if _, err := v.Verify(ctx, mediaRaw("/a?"+query)); err != nil {
		t.Errorf("a whole host: %v", err)
	}
}

// A signature holds in the form for which it was made, and nowhere else.
func TestMediaForms(t *testing.T) {
	ctx := context.Background()
	s, v := newMediaSigner(t), newMediaVerifier(t)
	p, err := s.PresignPrefix(ctx, mediaHost+"/tv/", mediaHour())
	if err != nil {
		t.Fatal(err)
	}
	one, err := s.Presign(ctx, signer.Request{Key: "tv/a", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	cookie, err := p.Cookie()
	if err != nil {
		t.Fatal(err)
	}
	inPath, err := p.PathURL(mediaHost + "/tv/a")
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimPrefix(mediaPass(t, MediaToken{URLPrefix: mediaHost + "/tv/"}), "edge-cache-token=")
	last := func(s string) string { return s[strings.LastIndex(s, "Signature=")+len("Signature="):] }
	signatures := map[string]string{"URL": last(one.URL), "query": last(p.Query()), "cookie": last(cookie.Value), "token": last(token)}
	signatures["path"], _, _ = strings.Cut(last(inPath), "/")
	carriers := map[string]func(signature string) *http.Request{
		"URL": func(sig string) *http.Request {
			return mediaRaw(strings.TrimPrefix(one.URL[:len(one.URL)-len(last(one.URL))], mediaHost) + sig)
		},
		"query": func(sig string) *http.Request {
			return mediaRaw("/tv/a?" + strings.TrimSuffix(p.Query(), last(p.Query())) + sig)
		},
		"cookie": func(sig string) *http.Request {
			r := mediaRaw("/tv/a")
			r.AddCookie(&http.Cookie{Name: mediaCookie, Value: strings.TrimSuffix(cookie.Value, last(cookie.Value)) + sig})
			return r
		},
		"token": func(sig string) *http.Request {
			return mediaRaw("/tv/a?edge-cache-token=" + strings.TrimSuffix(token, last(token)) + sig)
		},
		"path": func(sig string) *http.Request {
			return mediaRaw(strings.Replace(strings.TrimPrefix(inPath, mediaHost), signatures["path"], sig, 1))
		},
	}
	for carrier, request := range carriers {
		for form, signature := range signatures {
			switch _, err := v.Verify(ctx, request(signature)); {
			case carrier == form && err != nil:
				t.Errorf("%s: %v", form, err)
			case carrier != form:
				mediaWantError(t, err, signer.ErrMismatch, "another URL, field or header")
			}
		}
	}

	// What is in the URL decides; a right cookie does not make it good.
	good := func(target string) *http.Request {
		r := mediaRaw(target)
		r.AddCookie(cookie)
		return r
	}
	if _, err := v.Verify(ctx, good("/tv/a?Expires=1")); err != nil {
		t.Errorf("a parameter of the application's: %v", err)
	}
	for what, tt := range map[string]struct {
		r     *http.Request
		class error
	}{
		"a wrong signature and a right cookie":    {good("/tv/a?" + strings.Replace(p.Query(), "Signature=", "Signature=A", 1)), signer.ErrMalformed},
		"an old signature and a right cookie":     {good("/tv/a?" + strings.Replace(p.Query(), "Expires=1", "Expires=2", 1)), signer.ErrMismatch},
		"an empty signature and a right cookie":   {good("/tv/a?Signature="), signer.ErrMalformed},
		"a signature in lower case and a cookie":  {good("/tv/a?signature=x"), signer.ErrMalformed},
		"a wrong token and a right cookie":        {good("/tv/a?edge-cache-token=x"), signer.ErrMalformed},
		"a wrong segment and a right cookie":      {good("/tv/edge-cache-token=x/a"), signer.ErrMalformed},
		"a signature and a token":                 {mediaRaw("/tv/a?" + p.Query() + "&edge-cache-token=" + token), signer.ErrConflict},
		"a signature and a segment":               {mediaRaw(strings.TrimPrefix(inPath, mediaHost) + "?" + p.Query()), signer.ErrConflict},
		"a token and a segment":                   {mediaRaw(strings.TrimPrefix(inPath, mediaHost) + "?edge-cache-token=" + token), signer.ErrConflict},
		"another provider's signature":            {mediaRaw("/tv/a?" + p.Query() + "&X-Amz-Signature=00"), signer.ErrConflict},
		"another provider's signature and cookie": {good("/tv/a?sig=00"), signer.ErrConflict},
		"nothing":        {mediaRaw("/tv/a"), signer.ErrUnsigned},
		"another cookie": {mediaRaw("/tv/a"), signer.ErrUnsigned},
	} {
		if what == "another cookie" {
			tt.r.AddCookie(&http.Cookie{Name: "Cloud-CDN-Cookie", Value: cookie.Value})
		}
		mediaRefused(t, what, tt.r, tt.class)
	}
	twice := good("/tv/a")
	twice.AddCookie(cookie)
	mediaRefused(t, "the cookie twice", twice, signer.ErrMalformed)
	authorized := good("/tv/a")
	authorized.Header.Set("Authorization", "Bearer x")
	mediaRefused(t, "an Authorization beside", authorized, signer.ErrConflict)
}

// Signatures have one spelling, but for the padding; and a key makes those of its name and algorithm only.
func TestMediaSignatureSpelling(t *testing.T) {
	ctx := context.Background()
	s := newMediaSigner(t)
	p, err := s.PresignPrefix(ctx, mediaHost+"/", mediaHour())
	if err != nil {
		t.Fatal(err)
	}
	v := newMediaVerifier(t)
	granted, err := v.Verify(ctx, mediaRaw("/a?"+p.Query()))
	if err != nil {
		t.Fatal(err)
	}
	if padded, err := v.Verify(ctx, mediaRaw("/a?"+p.Query()+"==")); err != nil || padded.Fingerprint != granted.Fingerprint {
		t.Errorf("padded: %v, %+v", err, padded)
	}
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	end := p.Query()[len(p.Query())-1]
	for i := 1; i < 16; i++ { // four spare bits in the last digit
		other := digits[strings.IndexByte(digits, end)+i]
		mediaRefused(t, "spare bits", mediaRaw("/a?"+p.Query()[:len(p.Query())-1]+string(other)), signer.ErrMalformed)
	}
	for _, tail := range []string{"=", "===", "====", "%3D%3D", "\n", "%0A", "A", "AA", " "} {
		mediaRefused(t, tail, mediaRaw("/a?"+p.Query()+tail), signer.ErrMalformed)
	}
	for _, change := range [][2]string{{"KeyName=my-keyset", "KeyName=other"}, {"KeyName=my-keyset", "KeyName=My-keyset"}} {
		mediaRefused(t, change[1], mediaRaw("/a?"+strings.Replace(p.Query(), change[0], change[1], 1)), signer.ErrUnknownKey)
	}
	for _, more := range []string{"Expires=1", "expires=1", "KeyName=k", "%4BeyName=k", "URLPrefix=aA", "Signature=", "SIGNATURE=x", "x=1&Expires=1&y=2"} {
		mediaRefused(t, more+" behind", mediaRaw("/a?"+p.Query()+"&"+more), signer.ErrMalformed)
		mediaRefused(t, more+" in front", mediaRaw("/a?"+more+"&"+p.Query()), signer.ErrMalformed)
	}
	mediaRefused(t, "no name", mediaRaw("/a?"+strings.Replace(p.Query(), "my-keyset", "", 1)), signer.ErrMalformed)

	// Another key, and the same under another name.
	for name, seed := range map[string]string{"my-keyset": mediaShared, "other": mediaSeed} {
		k, err := ParseMediaPrivateKey(name, seed)
		if err != nil {
			t.Fatal(err)
		}
		class := map[bool]error{true: signer.ErrMismatch, false: signer.ErrUnknownKey}[name == "my-keyset"]
		mediaRefused(t, name, mediaRaw("/a?"+p.Query()), class, func(c *MediaVerifierConfig) { c.Keys = []MediaKey{k} })
		// In a keyset of several keys each of them will do.
		if _, err := newMediaVerifier(t, func(c *MediaVerifierConfig) { c.Keys = append([]MediaKey{k}, c.Keys...) }).Verify(ctx, mediaRaw("/a?"+p.Query())); err != nil {
			t.Error(err)
		}
	}

	// A part of a signature is none.
	for _, a := range []MediaAlgorithm{MediaEd25519, MediaHMACSHA1, MediaHMACSHA256} {
		k := mediaTestKey(t, a)
		whole := k.sign([]byte("text"))
		for n := range whole {
			if k.verify([]byte("text"), whole[:n]) {
				t.Errorf("%v: %d bytes of %d will do", a, n, len(whole))
			}
		}
		if !k.verify([]byte("text"), whole) || k.verify([]byte("text"), append(whole, 0)) {
			t.Errorf("%v: the whole is refused, or more than it is not", a)
		}
	}

	// The public key is known to all: it must not be taken for a shared one, nor one hash's key for another's.
	fields := fmt.Sprintf("PathGlobs=/*~Expires=%d", mediaNoon().Unix()+60)
	public := mediaTestKey(t, MediaEd25519).PublicKey()
	for _, a := range []MediaAlgorithm{MediaHMACSHA1, MediaHMACSHA256} {
		k, err := ParseMediaSharedKey("my-keyset", a, public)
		if err != nil {
			t.Fatal(err)
		}
		token := mediaRaw("/a?edge-cache-token=" + fields + "~" + mediaTokenSignature(&k, fields))
		mediaRefused(t, "the public key as a secret", token, signer.ErrMismatch)
		onlyPublic := func(c *MediaVerifierConfig) { c.Keys = c.Keys[:1] }
		mediaRefused(t, "the public key as a secret, without shared keys", token, signer.ErrUnknownKey, onlyPublic)
		good := mediaTestKey(t, a)
		signed := mediaTokenSignature(&good, fields)
		mediaRefused(t, "a shared key of another hash", mediaRaw("/a?edge-cache-token="+fields+"~"+signed), signer.ErrUnknownKey,
			func(c *MediaVerifierConfig) {
				c.Keys = []MediaKey{c.Keys[0], c.Keys[map[bool]int{true: 2, false: 1}[a == MediaHMACSHA1]]}
			})
		for what, mac := range map[string]string{"cut": signed[:len(signed)-2], "in capitals": "hmac=" + strings.ToUpper(signed[5:]), "empty": "hmac=",
			"no hex": "hmac=" + strings.Repeat("g", len(signed)-5), "called Signature": "Signature=" + signed[5:], "called acl": "acl=" + signed[5:]} {
			g, err := newMediaVerifier(t).Verify(ctx, mediaRaw("/a?edge-cache-token="+fields+"~"+mac))
			if g != nil || err == nil {
				t.Errorf("%v, %s: granted", a, what)
			}
		}
	}
}

func TestMediaPlaceAndTime(t *testing.T) {
	ctx := context.Background()
	one, err := newMediaSigner(t).Presign(ctx, signer.Request{Key: "tv/a", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	target := strings.TrimPrefix(one.URL, mediaHost)
	at := func(now time.Time) func(*MediaVerifierConfig) {
		return func(c *MediaVerifierConfig) { c.Clock = clock.Fixed(now) }
	}
	end := mediaNoon().Add(time.Hour)
	if _, err := newMediaVerifier(t, at(end.Add(-1))).Verify(ctx, mediaRaw(target)); err != nil {
		t.Error(err)
	}
	mediaRefused(t, "at the end", mediaRaw(target), signer.ErrExpired, at(end))
	started := mediaPass(t, MediaToken{FullPath: "/tv/a", Starts: mediaNoon().Add(time.Minute)})
	mediaRefused(t, "before the start", mediaRaw("/tv/a?"+started), signer.ErrNotYetValid, at(mediaNoon().Add(time.Minute-1)))
	if g, err := newMediaVerifier(t, at(mediaNoon().Add(time.Minute))).Verify(ctx, mediaRaw("/tv/a?"+started)); err != nil || !g.NotBefore.Equal(mediaNoon().Add(time.Minute)) {
		t.Errorf("%v, %+v", err, g)
	}

	// Scheme and host are what Inbound says, and are ours.
	for _, in := range []signer.Inbound{{Scheme: "http", Host: "media.example.com"}, {Scheme: "https", Host: "other.example.com"}, {Scheme: "https", Host: ""},
		{Scheme: "https", Host: "media.example.com:8443"}, {Scheme: "https", Host: "media.example.com.evil"}, {Scheme: "https", Host: "media.example.com:80"}} {
		mediaRefused(t, in.Scheme+" "+in.Host, mediaRaw(target), signer.ErrScope, func(c *MediaVerifierConfig) {
			c.Inbound = func(*http.Request) (signer.Inbound, error) { return in, nil }
		})
	}
	for _, host := range []string{"media.example.com", "media.example.com:443", "MEDIA.example.com"} {
		r := mediaRaw(target)
		r.Host = host
		if _, err := newMediaVerifier(t).Verify(ctx, r); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	failed := fmt.Errorf("no such header")
	_, err = newMediaVerifier(t, func(c *MediaVerifierConfig) {
		c.Inbound = func(*http.Request) (signer.Inbound, error) { return signer.Inbound{}, failed }
	}).Verify(ctx, mediaRaw(target))
	if err != failed {
		t.Errorf("%v, want Inbound's error as it is", err)
	}

	// Below a path.
	below := func(c *MediaVerifierConfig) { c.BaseURL = mediaURL(t, mediaHost+"/tv") }
	if g, err := newMediaVerifier(t, below).Verify(ctx, mediaRaw(target)); err != nil || g.Key != "a" {
		t.Errorf("%v, %+v", err, g)
	}
	mediaRefused(t, "another path", mediaRaw(target), signer.ErrScope, func(c *MediaVerifierConfig) { c.BaseURL = mediaURL(t, mediaHost+"/t") })
	mediaRefused(t, "a relative path", mediaRaw("tv/a"), signer.ErrMalformed)

	// Addresses.
	token := mediaPass(t, MediaToken{FullPath: "/tv/a", IPRanges: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25"), netip.MustParsePrefix("2001:db8::/32")}})
	for address, ok := range map[string]bool{"192.0.2.0": true, "192.0.2.127": true, "192.0.2.128": false, "192.0.1.255": false, "::ffff:192.0.2.9": true,
		"2001:db8:ffff::1": true, "2001:db9::1": false, "::1": false, "": false} {
		g, err := newMediaVerifier(t, func(c *MediaVerifierConfig) {
			c.Inbound = func(*http.Request) (signer.Inbound, error) {
				in := signer.Inbound{Scheme: "https", Host: "media.example.com"}
				in.ClientIP, _ = netip.ParseAddr(address)
				return in, nil
			}
		}).Verify(ctx, mediaRaw("/tv/a?"+token))
		if ok != (err == nil) || ok != (g != nil) {
			t.Errorf("from %q: %v", address, err)
		}
		if !ok {
			mediaWantError(t, err, signer.ErrScope, map[bool]string{true: "not known; set Inbound", false: "is in none of them"}[address == ""])
		}
	}

	// All faults at once.
	r := mediaRaw("/tv/a%zz?" + strings.TrimPrefix(target, "/tv/a?"))
	r.Method, r.Host = "PUT", "evil.example"
	_, err = newMediaVerifier(t, at(end)).Verify(ctx, r)
	for _, part := range []string{"Host: ", "Method: ", "Expires: ", "URL: "} {
		mediaWantError(t, err, signer.ErrScope, part)
	}
}
