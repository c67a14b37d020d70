package cdn_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Attacks on verifiers of prefixes and URLs, each with what it would gain.

// target makes a request whose path and query go over the wire as they stand.
func target(t testing.TB, wire string) *http.Request {
	t.Helper()
	r := get("https://media.example.com/")
	r.RequestURI = wire
	return r
}

// A server that resolves the path after it was verified would hand out /secret to the holder of /v/.
func TestAttackClimbOutOfPrefix(t *testing.T) {
	p := newPrefix(t, "https://media.example.com/v/")
	for _, path := range []string{
		"/v/../secret", "/v/%2e%2e/secret", "/v/.%2E/secret", "/v/%2E./secret", "/v/x/../../secret", "/v/x%2f..%2f..%2fsecret",
		"/v/..%2fsecret", "/v/%2e%2e%2Fsecret", `/v/..\secret`, "/v/..%5csecret", "/v/x%5C..%5C..%5Csecret", "/v/./x", "/v/%2e/x", "/v/..", "/v/.", "/v/x/..", "/v/%2e%2e",
		"//media.example.com/v/../secret", "/%76/../v/x", "/v%2f1.ts", "/v", "/V/1.ts", "//v/1.ts", "/./v/1.ts", "/secret", "/v;/1.ts", "/%76/1.ts",
	} {
		for name, r := range map[string]*http.Request{"query": target(t, path+"?"+p.Query()), "cookie": target(t, path)} {
			if name == "cookie" {
				r.AddCookie(p.Cookie())
			}
			if g, err := newVerifier(t).Verify(ctx, r); !errors.Is(err, signer.ErrScope) {
				t.Errorf("%s in the %s: granted %+v, %v", path, name, g, err)
			}
		}
	}
	for path, key := range map[string]string{"/v/": "v/", "/v/...": "v/...", "/v/.a/b..": "v/.a/b..", "/v//x": "v//x", "/v/%252e%252e/x": "v/%2e%2e/x", "/v/a%2Fb": "v/a/b"} {
		g, err := newVerifier(t).Verify(ctx, target(t, path+"?"+p.Query()))
		if err != nil || g.Key != key {
			t.Errorf("%s: granted %+v, %v", path, g, err)
		}
	}
}

// A signed URL is signed to the letter, and so may have what a prefix may not.
func TestExactURLMayHaveDots(t *testing.T) {
	req, _ := http.NewRequest("GET", "https://media.example.com/v/../x", nil)
	p, err := newSigner(t).PresignRequest(ctx, req, signer.Options{Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if g, err := newVerifier(t).Verify(ctx, target(t, strings.TrimPrefix(p.URL, "https://media.example.com"))); err != nil || g.Key != "v/../x" {
		t.Errorf("granted %+v, %v", g, err)
	}
}

// A prefix signs no query. If Grant held one, the holder of a thumbnail's prefix could ask for what the owner never meant.
func TestAttackQueryUnderPrefix(t *testing.T) {
	p := newPrefix(t, "https://media.example.com/v/")
	for _, query := range []string{"size=huge&" + p.Query(), p.Query() + "&size=huge", "a=1&" + p.Query() + "&size=huge"} {
		g, err := newVerifier(t).Verify(ctx, target(t, "/v/1?"+query))
		if err != nil || g.Query != nil {
			t.Errorf("granted %+v, %v", g, err)
		}
	}
}

// A parameter of ours whose value has a broken escape is still one of ours.
func TestAttackBrokenEscapes(t *testing.T) {
	for _, query := range []string{"Signature=%zz", "KeyName=%", "URLPrefix=%1", "Expires=%&Signature=%", "a=%&KeyName=%2"} {
		if g, err := newVerifier(t).Verify(ctx, target(t, "/k?"+query)); !errors.Is(err, signer.ErrMalformed) {
			t.Errorf("%s: granted %+v, %v", query, g, err)
		}
	}
}

// A lookup that gives a key of another length is a fault of its owner's, not a key.
func TestAttackShortKey(t *testing.T) {
	v := newVerifier(t, func(c *cdn.VerifierConfig) {
		c.Keys, c.Lookup = nil, func(_ context.Context, name string) (cdn.Key, error) {
			return cdn.Key{Name: name, Secret: signer.NewSecret([]byte("x"))}, nil
		}
	})
	p, err := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if g, err := v.Verify(ctx, target(t, strings.TrimPrefix(p.URL, "https://media.example.com"))); !errors.Is(err, signer.ErrCredentials) {
		t.Errorf("granted %+v, %v", g, err)
	}
}

// The two forms of a prefix are signed with different separators. Neither is good in the other's place, and no field of one can
// be smuggled into another.
func TestAttackCrossForms(t *testing.T) {
	p := newPrefix(t, "https://media.example.com/v/")
	cookie := p.Cookie().Value
	for name, r := range map[string]*http.Request{
		"a query in a cookie":           withCookie("https://media.example.com/v/1", p.Query()),
		"with the cookie's separators":  withCookie("https://media.example.com/v/1", strings.ReplaceAll(p.Query(), "&", ":")),
		"a cookie in a query":           get("https://media.example.com/v/1?" + strings.ReplaceAll(cookie, ":", "&")),
		"a cookie as it is, in a query": get("https://media.example.com/v/1?" + cookie),
		"a prefix as a URL":             get("https://media.example.com/v/1?" + strings.Replace(p.Query(), "URLPrefix", "urlPrefix", 1)),
		"a prefix without its prefix":   get("https://media.example.com/v/1?" + p.Query()[strings.Index(p.Query(), "Expires="):]),
		"a cookie with an ampersand":    withCookie("https://media.example.com/v/1", strings.Replace(cookie, ":Expires", "&Expires", 1)),
	} {
		if g, err := newVerifier(t).Verify(ctx, r); err == nil {
			t.Errorf("%s: granted %+v", name, g)
		}
	}
}

// An HMAC under the empty key is one that everybody can make.
func TestAttackEmptyKey(t *testing.T) {
	text := "https://media.example.com/k?Expires=1795568389&KeyName=a"
	r := get(text + "&Signature=" + sum(cdn.Key{}, text))
	for name, k := range map[string]cdn.Key{"nothing": {}, "a name": {Name: "a"}} {
		v := newVerifier(t, func(c *cdn.VerifierConfig) {
			c.Keys, c.Lookup = nil, func(context.Context, string) (cdn.Key, error) { return k, nil }
		})
		if g, err := v.Verify(ctx, r); !errors.Is(err, signer.ErrUnknownKey) {
			t.Errorf("%s: granted %+v, %v", name, g, err)
		}
	}
}

// A header that everybody can send must not decide anything, unless the operator said who alone sends it.
func TestAttackClientURLHeader(t *testing.T) {
	url := signed(t)
	for _, name := range []string{"X-Client-Request-Url", "x-client-request-url", "X-Original-Url", "X-Rewrite-Url", "X-Forwarded-Uri"} {
		r := get("https://media.example.com/v/cat.jpg?size=2")
		r.Header[name] = []string{url}
		if g, err := newVerifier(t).Verify(ctx, r); !errors.Is(err, signer.ErrUnsigned) {
			t.Errorf("%s: granted %+v, %v", name, g, err)
		}
	}
	// In two spellings, one could be checked and the other be acted on.
	r := get("http://media.example.com/v/cat.jpg?size=2")
	r.Header = http.Header{"x-client-request-url": {url}, "X-Client-Request-Url": {url}}
	v := newVerifier(t, func(c *cdn.VerifierConfig) { c.FromLoadBalancer = true })
	if g, err := v.Verify(ctx, r); !errors.Is(err, signer.ErrMalformed) {
		t.Errorf("in two spellings: granted %+v, %v", g, err)
	}
	r.Header = http.Header{"x-client-request-url": {url}}
	if _, err := v.Verify(ctx, r); err != nil {
		t.Errorf("in lower case: %v", err)
	}
}

// The path that counts is the one on the wire, not what a router made of it.
func TestAttackRewrittenPath(t *testing.T) {
	r := target(t, "/v/secret?"+strings.SplitN(signed(t), "?", 2)[1])
	r.URL = mustURL(t, signed(t))
	if g, err := newVerifier(t).Verify(ctx, r); !errors.Is(err, signer.ErrMismatch) {
		t.Errorf("granted %+v, %v", g, err)
	}
	proxied := target(t, signed(t)) // as a request to a proxy
	if g, err := newVerifier(t).Verify(ctx, proxied); err != nil || g.Key != "v/cat.jpg" {
		t.Errorf("a request to a proxy: granted %+v, %v", g, err)
	}
	for _, wire := range []string{"*", "media.example.com:443", "", "https://media.example.com", "https://media.example.com?Signature=x"} {
		r := target(t, wire)
		r.URL.Path = "*"
		if g, err := newVerifier(t).Verify(ctx, r); err == nil {
			t.Errorf("%q: granted %+v", wire, g)
		}
	}
	if _, err := newVerifier(t).Verify(ctx, nil); !errors.Is(err, signer.ErrMalformed) {
		t.Errorf("no request: %v", err)
	}
}

// Behind Require a stranger learns no more than the class of the refusal.
func TestRequire(t *testing.T) {
	h := signer.Require(newVerifier(t), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(signer.GrantFrom(r.Context()).Key))
	}))
	for name, tt := range map[string]struct {
		r    *http.Request
		code int
		body string
	}{
		"good":     {get(signed(t)), 200, "v/cat.jpg"},
		"unsigned": {get("https://media.example.com/v/cat.jpg"), 401, "not signed\n"},
		"wrong":    {get(strings.Replace(signed(t), "cat", "dog", 1)), 403, "signature: mismatch\n"},
		"half":     {get("https://media.example.com/v/cat.jpg?Signature=x"), 400, "malformed signature\n"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, tt.r)
		if w.Code != tt.code || w.Body.String() != tt.body {
			t.Errorf("%s: %d %q", name, w.Code, w.Body)
		}
	}
}
