package cdn_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// get is a request as it arrives.
func get(raw string) *http.Request { return httptest.NewRequest("GET", raw, nil) }

func fixed(t time.Time) clock.Clock { return clock.Fixed(t) }

// learned is a clock that would believe servers.
type learned struct{ clock.Clock }

func (l learned) Read(string) (time.Time, time.Duration) { return l.Now(), 0 }

// signed returns the URL of the object cat.jpg with one parameter, for an hour.
func signed(t testing.TB) string {
	t.Helper()
	p, err := newSigner(t).Presign(ctx, signer.Request{Key: "v/cat.jpg", Query: url.Values{"size": {"2"}}, Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return p.URL
}

// hand signs a text by hand, as a key's holder could.
func hand(t testing.TB, text, sep string) string {
	t.Helper()
	return text + sep + "Signature=" + sum(key("a"), text)
}

func withCookie(raw, value string) *http.Request {
	r := get(raw)
	r.Header.Add("Cookie", "Cloud-CDN-Cookie="+value)
	return r
}

func b64(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) }

func TestNewVerifierErrors(t *testing.T) {
	lookup := func(context.Context, string) (cdn.Key, error) { return key("a"), nil }
	for _, tt := range []struct {
		name   string
		edit   func(*cdn.VerifierConfig)
		class  error
		reason string
	}{
		{"no base", func(c *cdn.VerifierConfig) { c.BaseURL = nil }, signer.ErrRequest, "BaseURL"},
		{"a port", func(c *cdn.VerifierConfig) { c.BaseURL = mustURL(t, "https://h:1") }, signer.ErrRequest, "port"},
		{"no keys", func(c *cdn.VerifierConfig) { c.Keys = nil }, signer.ErrCredentials, "set one of Keys and Lookup"},
		{"keys and Lookup", func(c *cdn.VerifierConfig) { c.Lookup = lookup }, signer.ErrCredentials, "set one of Keys and Lookup"},
		{"a name twice", func(c *cdn.VerifierConfig) { c.Keys = []cdn.Key{key("a"), key("b"), key("a")} }, signer.ErrCredentials, `two keys have the name "a"`},
		{"a key that is none", func(c *cdn.VerifierConfig) { c.Keys = []cdn.Key{key("a"), {Name: "b"}} }, signer.ErrCredentials, "ParseKey"},
		{"a bucket that is a path", func(c *cdn.VerifierConfig) { c.Bucket = "a/b" }, signer.ErrRequest, "Bucket"},
		{"a learned clock", func(c *cdn.VerifierConfig) { c.Clock = learned{fixed(now)} }, signer.ErrRequest, "must not trust"},
	} {
		c := cdn.VerifierConfig{BaseURL: mustURL(t, "https://media.example.com"), Keys: []cdn.Key{key("a")}}
		tt.edit(&c)
		v, err := cdn.NewVerifier(c)
		wantError(t, tt.name, err, tt.class, tt.reason)
		if v != nil {
			t.Errorf("%s: a Verifier beside the error", tt.name)
		}
	}
}

func TestGrant(t *testing.T) {
	end := now.Truncate(time.Second).Add(time.Hour)
	s := newSigner(t, func(c *cdn.Config) { c.BaseURL, c.Key = mustURL(t, "https://media.example.com/a%20b"), key("b") })
	v := newVerifier(t, func(c *cdn.VerifierConfig) { c.BaseURL = mustURL(t, "https://media.example.com/a%20b") })
	p, err := s.Presign(ctx, signer.Request{Key: "c d/é+.jpg", Query: url.Values{"x": {"1 2", ""}}, Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	prefix, err := s.PresignPrefix(ctx, "https://media.example.com/a%20b/c%20d/", signer.Options{Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	want := signer.Grant{Backend: "cdn", Scheme: "Cloud-CDN-HMAC-SHA1", KeyID: "b", Method: "GET", Bucket: "media", Key: "c d/é+.jpg",
		Query: url.Values{"x": {"", "1 2"}}, ExpiresAt: end}
	check := func(name string, r *http.Request) string {
		t.Helper()
		g, err := v.Verify(ctx, r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return ""
		}
		fingerprint := g.Fingerprint
		if g.Fingerprint = ""; !reflect.DeepEqual(*g, want) || len(fingerprint) != 32 {
			t.Errorf("%s:\ngranted %+v\nwant    %+v", name, *g, want)
		}
		return fingerprint
	}
	exact := check("URL", get(p.URL))
	want.Method = "HEAD"
	if head := check("HEAD", httptest.NewRequest("HEAD", p.URL, nil)); head != exact {
		t.Error("HEAD of the same URL has another fingerprint")
	}
	want.Method, want.Query, want.Prefix = "GET", nil, "https://media.example.com/a%20b/c%20d/"
	bare := "https://media.example.com/a%20b/c%20d/%C3%A9%2B.jpg"
	inQuery := check("prefix", get(bare+"?x=1&"+prefix.Query()+"&y=2"))
	inCookie := check("cookie", withCookie(bare+"?Expires=soon", prefix.Cookie().Value))
	if exact == inQuery || inQuery == inCookie {
		t.Error("two signatures have one fingerprint")
	}
	// Another secret under the same name makes another signature of the same text.
	other := cdn.Key{Name: "b", Secret: key("c").Secret}
	if p, err = newSigner(t, func(c *cdn.Config) { c.Key = other }).Presign(ctx, signer.Request{Key: "k", Expires: time.Hour}); err != nil {
		t.Fatal(err)
	}
	fresh, err := newVerifier(t, func(c *cdn.VerifierConfig) { c.Keys = []cdn.Key{other} }).Verify(ctx, get(p.URL))
	if err != nil {
		t.Fatal(err)
	}
	if p, err = newSigner(t, func(c *cdn.Config) { c.Key = key("b") }).Presign(ctx, signer.Request{Key: "k", Expires: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if g, err := newVerifier(t).Verify(ctx, get(p.URL)); err != nil || g.Fingerprint == fresh.Fingerprint {
		t.Errorf("two signatures of one URL have one fingerprint, %v", err)
	}
}

// Where both are there, the URL decides alone.
func TestURLAndCookie(t *testing.T) {
	cookie := newPrefix(t, "https://media.example.com/").Cookie().Value
	for _, value := range []string{cookie, "nonsense", cookie + "; Cloud-CDN-Cookie=" + cookie} {
		g, err := newVerifier(t).Verify(ctx, withCookie(signed(t), value))
		if err != nil || g.Prefix != "" || g.Query.Get("size") != "2" {
			t.Errorf("%s: granted %+v, %v", value, g, err)
		}
	}
}

// A signature in the URL is the only one that counts, right or wrong.
func TestURLBeforeCookie(t *testing.T) {
	good := newPrefix(t, "https://media.example.com/").Cookie().Value
	bare, query, _ := strings.Cut(signed(t), "?")
	for name, raw := range map[string]string{
		"wrong":                  bare + "?" + strings.Replace(query, "size=2", "size=3", 1),
		"empty":                  bare + "?Signature=",
		"without a value":        bare + "?Signature",
		"in lower case":          bare + "?signature=x",
		"a key name alone":       bare + "?KeyName=a",
		"a prefix alone":         bare + "?URLPrefix=" + b64("https://media.example.com/"),
		"escaped":                bare + "?%53ignature=x",
		"of an unknown key":      bare + "?" + strings.Replace(query, "KeyName=a", "KeyName=zz", 1),
		"of another prefix":      bare + "?" + newPrefix(t, "https://media.example.com/w/").Query(),
		"that is over":           bare + "?" + strings.Replace(query, "Expires=179", "Expires=178", 1),
		"with a parameter after": bare + "?" + query + "&a=b",
	} {
		if g, err := newVerifier(t).Verify(ctx, withCookie(raw, good)); err == nil || errors.Is(err, signer.ErrUnsigned) {
			t.Errorf("%s: granted %+v, %v", name, g, err)
		}
	}
	if _, err := newVerifier(t).Verify(ctx, withCookie(bare+"?a=b&Expires=1", good)); err != nil {
		t.Errorf("the cookie alone: %v", err)
	}
}

func TestVerifyErrors(t *testing.T) {
	const top, base = "https://media.example.com/", "https://media.example.com/v/cat.jpg"
	const tail = "Expires=1795568389&KeyName=a" // an hour from now
	prefixed := func(prefix string) string { return "URLPrefix=" + b64(prefix) + "&" + tail }
	url := signed(t)
	_, sig, _ := strings.Cut(url, "&Signature=")
	cookie := newPrefix(t, "https://media.example.com/v/").Cookie().Value
	head := func(r *http.Request, name, value string) *http.Request {
		r.Header.Add(name, value)
		return r
	}
	method := func(r *http.Request, m string) *http.Request {
		r.Method = m
		return r
	}
	for _, tt := range []struct {
		name   string
		r      *http.Request
		class  error
		reason string
	}{
		// Where it stands.
		{"nothing", get(base), signer.ErrUnsigned, "neither"},
		{"only Expires", get(base + "?Expires=1795568389"), signer.ErrUnsigned, "neither"},
		{"another cookie", head(get(base), "Cookie", "cloud-cdn-cookie="+cookie), signer.ErrUnsigned, "neither"},
		{"a signature of AWS", get(base + "?X-Amz-Signature=1"), signer.ErrUnsigned, "neither"},
		{"and one of AWS", get(url + "&X-Amz-Signature=1"), signer.ErrConflict, "AWS4"},
		{"a cookie and a signature of AWS", withCookie(base+"?X-Amz-Signature=1", cookie), signer.ErrConflict, "AWS4"},
		{"and Authorization", head(get(url), "Authorization", "Bearer x"), signer.ErrConflict, "Authorization"},
		{"a cookie and Authorization", head(withCookie(base, cookie), "Authorization", ""), signer.ErrConflict, "Authorization"},
		{"two cookies", head(withCookie(base, cookie), "Cookie", "Cloud-CDN-Cookie="+cookie), signer.ErrConflict, "twice"},
		{"two cookies in one line", withCookie(base, cookie+"; Cloud-CDN-Cookie="+cookie), signer.ErrConflict, "twice"},
		// Its grammar.
		{"no signature", get(base + "?" + tail), signer.ErrMalformed, "it needs Expires, KeyName, Signature"},
		{"no key name", get(base + "?Expires=1795568389&Signature=" + sig), signer.ErrMalformed, "it needs"},
		{"another order", get(hand(t, base+"?KeyName=a&Expires=1795568389", "&")), signer.ErrMalformed, "in this order"},
		{"a parameter between", get(hand(t, base+"?Expires=1795568389&a=b&KeyName=a", "&")), signer.ErrMalformed, "nothing between"},
		{"an empty part between", get(hand(t, base+"?Expires=1795568389&&KeyName=a", "&")), signer.ErrMalformed, "nothing between"},
		{"a parameter behind", get(url + "&a=b"), signer.ErrMalformed, "behind Signature"},
		{"an ampersand behind", get(url + "&"), signer.ErrMalformed, "behind Signature"},
		{"Expires twice", get(hand(t, base+"?Expires=1&"+tail, "&")), signer.ErrMalformed, "once each"},
		{"expires too", get(hand(t, base+"?expires=1&"+tail, "&")), signer.ErrMalformed, "once each"},
		{"a name escaped", get(hand(t, base+"?%45xpires=1795568389&KeyName=a", "&")), signer.ErrMalformed, "once each"},
		{"Expires in lower case", get(hand(t, base+"?expires=1795568389&KeyName=a", "&")), signer.ErrMalformed, "it needs"},
		{"KeyName in capitals", get(hand(t, base+"?Expires=1795568389&KEYNAME=a", "&")), signer.ErrMalformed, "it needs"},
		{"a NUL in the path", get(hand(t, base+"%00?"+tail, "&")), signer.ErrMalformed, "a NUL"},
		{"invalid UTF-8 in the path", get(hand(t, base+"%ff?"+tail, "&")), signer.ErrMalformed, "invalid UTF-8"},
		{"Expires without a value", get(hand(t, base+"?Expires&KeyName=a", "&")), signer.ErrMalformed, "it needs"},
		{"Expires empty", get(hand(t, base+"?Expires=&KeyName=a", "&")), signer.ErrMalformed, "seconds"},
		{"Expires signed", get(hand(t, base+"?Expires=+1795568389&KeyName=a", "&")), signer.ErrMalformed, "seconds"},
		{"Expires negative", get(hand(t, base+"?Expires=-1&KeyName=a", "&")), signer.ErrMalformed, "seconds"},
		{"Expires in hex", get(hand(t, base+"?Expires=0x6B06&KeyName=a", "&")), signer.ErrMalformed, "seconds"},
		{"Expires with a zero in front", get(hand(t, base+"?Expires=01795568389&KeyName=a", "&")), signer.ErrMalformed, "seconds"},
		{"Expires 0", get(hand(t, base+"?Expires=0&KeyName=a", "&")), signer.ErrMalformed, "seconds"},
		{"Expires escaped", get(hand(t, base+"?Expires=%31795568389&KeyName=a", "&")), signer.ErrMalformed, "seconds"},
		{"Expires in the year 10000", get(hand(t, base+"?Expires=253402300800&KeyName=a", "&")), signer.ErrMalformed, "seconds"},
		{"Expires beyond 64 bits", get(hand(t, base+"?Expires=9999999999999999999999&KeyName=a", "&")), signer.ErrMalformed, "seconds"},
		{"no name", get(hand(t, base+"?Expires=1795568389&KeyName=", "&")), signer.ErrMalformed, "KeyName"},
		{"a name with a slash", get(hand(t, base+"?Expires=1795568389&KeyName=a/b", "&")), signer.ErrMalformed, "KeyName"},
		{"the signature without padding", get(strings.TrimSuffix(url, "=")), signer.ErrMalformed, "28 characters"},
		{"the padding escaped", get(strings.TrimSuffix(url, "=") + "%3D"), signer.ErrMalformed, "28 characters"},
		{"a signature too long", get(url + "AAAA"), signer.ErrMalformed, "28 characters"},
		{"a broken escape", get(strings.Replace(url, "size=2", "size=%2", 1)), signer.ErrMalformed, "broken escape"},
		{"a broken escape in a name", get(strings.Replace(url, "size=2", "s%ize=2", 1)), signer.ErrMalformed, "broken escape"},
		{"a prefix behind", get(hand(t, base+"?"+tail, "&") + "&URLPrefix=" + b64(top)), signer.ErrMalformed, "once each"},
		{"a prefix that is not base64", get(base + "?" + hand(t, "URLPrefix=***&"+tail, "&")), signer.ErrMalformed, "base64url"},
		{"an empty prefix", get(base + "?" + hand(t, "URLPrefix=&"+tail, "&")), signer.ErrMalformed, "base64url"},
		{"a prefix with a query", get(base + "?" + hand(t, prefixed(base+"?a"), "&")), signer.ErrMalformed, "no query"},
		{"a prefix with a fragment", get(base + "?" + hand(t, prefixed(top+"#"), "&")), signer.ErrMalformed, "no query and no fragment"},
		{"a cookie of three fields", withCookie(base, hand(t, strings.ReplaceAll(tail, "&", ":"), ":")), signer.ErrMalformed, "it needs URLPrefix"},
		{"a cookie of five fields", withCookie(base, cookie+":a=b"), signer.ErrMalformed, "it needs URLPrefix"},
		{"a cookie in another order", withCookie(base, hand(t, strings.ReplaceAll(tail, "&", ":")+":URLPrefix="+b64(top), ":")), signer.ErrMalformed, "it needs URLPrefix"},
		{"a cookie with a query's signature", withCookie(base, newPrefix(t, top).Query()), signer.ErrMalformed, "it needs URLPrefix"},
		{"an empty cookie", withCookie(base, ""), signer.ErrMalformed, "it needs URLPrefix"},
		// What it is for.
		{"POST", method(get(url), "POST"), signer.ErrMismatch, "GET and HEAD"},
		{"OPTIONS", method(get(url), "OPTIONS"), signer.ErrMismatch, "GET and HEAD"},
		{"POST with a cookie", method(withCookie(base, cookie), "POST"), signer.ErrMismatch, "GET and HEAD"},
		{"another host", get(strings.Replace(url, "media", "video", 1)), signer.ErrScope, "Host"},
		{"another scheme", get(strings.Replace(url, "https", "http", 1)), signer.ErrScope, "http"},
		{"a port", get(strings.Replace(url, ".com/", ".com:8443/", 1)), signer.ErrScope, "Host"},
		{"a cookie at another host", withCookie("https://video.example.com/v/1", cookie), signer.ErrScope, "Host"},
		{"a cookie elsewhere", withCookie("https://media.example.com/w/1", cookie), signer.ErrScope, "not under the prefix"},
		{"a prefix of another scheme", get(base + "?" + hand(t, prefixed("http://media.example.com/"), "&")), signer.ErrScope, "not under the prefix"},
		{"a prefix of half a host", get(base + "?" + hand(t, prefixed("https://media.exam"), "&")), signer.ErrScope, "not under the prefix"},
		{"a prefix of a scheme", get(base + "?" + hand(t, prefixed("https://"), "&")), signer.ErrScope, "not under the prefix"},
		// When.
		{"over", get(hand(t, base+"?Expires=1795564789&KeyName=a", "&")), signer.ErrExpired, "2026-11-24T23:59:49Z"},
		{"long over", get(hand(t, base+"?Expires=1&KeyName=a", "&")), signer.ErrExpired, "1970-01-01T00:00:01Z"},
		{"a cookie that is over", withCookie(base, hand(t, "URLPrefix="+b64(top)+":Expires=1795564789:KeyName=a", ":")), signer.ErrExpired, "good until"},
		// By whom.
		{"an unknown key", get(strings.Replace(url, "KeyName=a", "KeyName=nobody", 1)), signer.ErrUnknownKey, `"nobody"`},
		{"a key in another spelling", get(strings.Replace(url, "KeyName=a", "KeyName=A", 1)), signer.ErrUnknownKey, `"A"`},
		{"another key", get(strings.Replace(url, "KeyName=a", "KeyName=b", 1)), signer.ErrMismatch, "another key"},
		{"another path", get(strings.Replace(url, "cat", "dog", 1)), signer.ErrMismatch, "another URL"},
		{"another spelling of the path", get(strings.Replace(url, "cat", "c%61t", 1)), signer.ErrMismatch, "another URL"},
		{"another parameter", get(strings.Replace(url, "size=2", "size=3", 1)), signer.ErrMismatch, "another URL"},
		{"a longer life", get(strings.Replace(url, "Expires=1795568389", "Expires=1795568399", 1)), signer.ErrMismatch, "another URL"},
		{"another cookie's life", withCookie(base, strings.Replace(cookie, "Expires=179", "Expires=189", 1)), signer.ErrMismatch, "another URL"},
		{"another cookie's prefix", withCookie(base, strings.Replace(cookie, b64("https://media.example.com/v/"), b64(top), 1)), signer.ErrMismatch, "another URL"},
	} {
		g, err := newVerifier(t).Verify(ctx, tt.r)
		wantError(t, tt.name, err, tt.class, tt.reason)
		if g != nil {
			t.Errorf("%s: a grant beside the error", tt.name)
		}
		if err != nil && (strings.Contains(err.Error(), sig) || strings.Contains(err.Error(), "Signature=")) {
			t.Errorf("%s: the signature is in %v", tt.name, err)
		}
	}
	// What these are to be refused for is all that is wrong with them: right, they are taken.
	for name, r := range map[string]*http.Request{
		"by hand":                 get(hand(t, base+"?"+tail, "&")),
		"an ampersand in front":   get(hand(t, base+"?&"+tail, "&")),
		"a prefix by hand":        get(base + "?" + hand(t, prefixed(top), "&")),
		"a prefix without a path": get(base + "?" + hand(t, prefixed("https://media.example.com"), "&")),
		"a prefix of half a name": get(base + "?" + hand(t, prefixed("https://media.example.com/v/ca"), "&")),
		"a prefix, not padded":    get(base + "?" + hand(t, strings.ReplaceAll("URLPrefix="+b64(top)+"&", "=&", "&")+tail, "&")),
		"a cookie by hand":        withCookie(base, hand(t, "URLPrefix="+b64(top)+":Expires=1795568389:KeyName=a", ":")),
		"a cookie among others":   head(withCookie(base, cookie), "Cookie", "a=b; c=d"),
		"the scheme's port":       get(strings.Replace(url, ".com/", ".com:443/", 1)),
		"the host in capitals":    get(strings.Replace(url, "media", "MEDIA", 1)),
	} {
		if _, err := newVerifier(t).Verify(ctx, r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// All faults are reported, before anybody is asked for a key.
func TestVerifyReportsAll(t *testing.T) {
	v := newVerifier(t, func(c *cdn.VerifierConfig) {
		c.Keys, c.Lookup = nil, func(context.Context, string) (cdn.Key, error) {
			t.Error("the key was looked up")
			return cdn.Key{}, signer.ErrUnknownKey
		}
	})
	r := get("https://video.example.com/%ff?Expires=soon&KeyName=a/b&Signature=x")
	r.Method = "DELETE"
	_, err := v.Verify(ctx, r)
	for _, part := range []string{"Expires", "KeyName", "Signature", "Method", "Host", "URL"} {
		if err == nil || !strings.Contains(err.Error(), "verify: "+part+": ") {
			t.Errorf("%v is silent on %s", err, part)
		}
	}
}

func TestLookup(t *testing.T) {
	down := errors.New("the vault is closed")
	for name, tt := range map[string]struct {
		key  cdn.Key
		err  error
		want error
	}{
		"found":             {key("a"), nil, nil},
		"unknown":           {cdn.Key{}, signer.ErrUnknownKey, signer.ErrUnknownKey},
		"no key, no error":  {cdn.Key{}, nil, signer.ErrUnknownKey},
		"no secret":         {cdn.Key{Name: "a"}, nil, signer.ErrUnknownKey},
		"of another name":   {cdn.Key{Name: "b", Secret: key("a").Secret}, nil, signer.ErrUnknownKey},
		"retired":           {cdn.Key{Name: "a", Secret: key("a").Secret, Expires: now}, nil, signer.ErrExpired},
		"about to retire":   {cdn.Key{Name: "a", Secret: key("a").Secret, Expires: now.Add(1)}, nil, nil},
		"the lookup failed": {key("a"), down, down},
	} {
		v := newVerifier(t, func(c *cdn.VerifierConfig) {
			c.Keys, c.Lookup = nil, func(_ context.Context, name string) (cdn.Key, error) {
				if name != "a" {
					t.Errorf("looked up %q", name)
				}
				return tt.key, tt.err
			}
		})
		if _, err := v.Verify(ctx, get(signed(t))); !errors.Is(err, tt.want) || err != nil && tt.want == nil {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestVerifyTrace(t *testing.T) {
	var mine, theirs signer.Trace
	p, err := newSigner(t).Presign(signer.WithTrace(ctx, &mine), signer.Request{Key: "k", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newVerifier(t).Verify(signer.WithTrace(ctx, &theirs), get(p.URL)); err != nil {
		t.Fatal(err)
	}
	want := "https://media.example.com/k?Expires=1795568389&KeyName=a"
	if string(mine.StringToSign) != want || string(theirs.StringToSign) != want || mine.CanonicalRequest != nil {
		t.Errorf("signed %q, verified %q", mine.StringToSign, theirs.StringToSign)
	}
}

func TestFromLoadBalancer(t *testing.T) {
	url := signed(t)
	cookie := newPrefix(t, "https://media.example.com/v/").Cookie().Value
	// arrived is a request as the load balancer hands it on: over http, without the signature.
	arrived := func(raw string, header ...string) *http.Request {
		r := get(raw)
		r.Header["X-Client-Request-Url"] = header
		return r
	}
	const bare = "http://media.example.com/v/cat.jpg?size=2"
	for _, tt := range []struct {
		name string
		r    *http.Request
		off  error // with FromLoadBalancer false
		on   error
	}{
		{"the URL in the header", arrived(bare, url), signer.ErrUnsigned, nil},
		{"for another path", arrived("http://media.example.com/v/dog.jpg?size=2", url), signer.ErrUnsigned, signer.ErrMismatch},
		{"for another spelling of the path", arrived("http://media.example.com/v/c%61t.jpg", url), signer.ErrUnsigned, signer.ErrMismatch},
		{"for another host", arrived("http://origin.example.com/v/cat.jpg?size=2", url), signer.ErrUnsigned, signer.ErrMismatch},
		{"twice", arrived(bare, url, url), signer.ErrUnsigned, signer.ErrMalformed},
		{"not a URL", arrived(bare, "/v/cat.jpg?size=2"), signer.ErrUnsigned, signer.ErrMalformed},
		{"without a path", arrived(bare, "https://media.example.com?size=2"), signer.ErrUnsigned, signer.ErrMalformed},
		{"empty", arrived(bare, ""), signer.ErrUnsigned, signer.ErrMalformed},
		{"changed", arrived(bare, strings.Replace(url, "size=2", "size=3", 1)), signer.ErrUnsigned, signer.ErrMismatch},
		{"over http", arrived(bare, strings.Replace(url, "https", "http", 1)), signer.ErrUnsigned, signer.ErrScope},
		{"without a signature", arrived(bare, "https"+strings.TrimPrefix(bare, "http")), signer.ErrUnsigned, signer.ErrUnsigned},
		{"a header of no lines", arrived(bare), signer.ErrUnsigned, signer.ErrUnsigned},
		{"none, and the signature still in the URL", get(url), nil, nil},
		// The URL of the header decides, and the cookie only where it says nothing.
		{"a signed URL that does not carry its own", arrived(url, strings.Replace(url, "size=2", "size=3", 1)), nil, signer.ErrMismatch},
	} {
		for _, on := range []bool{false, true} {
			want := tt.off
			if on {
				want = tt.on
			}
			v := newVerifier(t, func(c *cdn.VerifierConfig) { c.FromLoadBalancer = on })
			g, err := v.Verify(ctx, tt.r)
			if !errors.Is(err, want) || err != nil && want == nil {
				t.Errorf("%s, FromLoadBalancer %t: %+v, %v, want %v", tt.name, on, g, err, want)
			}
			if want == nil && err == nil && (g.Key != "v/cat.jpg" || g.Query.Get("size") != "2") {
				t.Errorf("%s, FromLoadBalancer %t: granted %+v", tt.name, on, g)
			}
		}
	}
	r := arrived("http://media.example.com/v/1.ts", "https://media.example.com/v/1.ts")
	r.Header.Set("Cookie", "Cloud-CDN-Cookie="+cookie)
	v := newVerifier(t, func(c *cdn.VerifierConfig) { c.FromLoadBalancer = true })
	if g, err := v.Verify(ctx, r); err != nil || g.Prefix != "https://media.example.com/v/" {
		t.Errorf("a cookie: %+v, %v", g, err)
	}
}

func TestInbound(t *testing.T) {
	r := get(signed(t))
	r.Host, r.TLS = "10.0.0.7:8080", nil
	if _, err := newVerifier(t).Verify(ctx, r); !errors.Is(err, signer.ErrScope) {
		t.Errorf("behind a proxy that nobody told of: %v", err)
	}
	v := newVerifier(t, func(c *cdn.VerifierConfig) {
		c.Inbound = func(*http.Request) (signer.Inbound, error) {
			return signer.Inbound{Scheme: "https", Host: "media.example.com"}, nil
		}
	})
	if _, err := v.Verify(ctx, r); err != nil {
		t.Errorf("behind a proxy: %v", err)
	}
	broken := errors.New("not from our proxy")
	v = newVerifier(t, func(c *cdn.VerifierConfig) {
		c.Inbound = func(*http.Request) (signer.Inbound, error) { return signer.Inbound{}, broken }
	})
	if _, err := v.Verify(ctx, r); !errors.Is(err, broken) {
		t.Errorf("Inbound fails: %v", err)
	}
}

// A URL signs the overrides of the answer with the rest of its query; a prefix signs no query, and so anybody can add some.
func TestVerifyGrantsOverrides(t *testing.T) {
	want := signer.ResponseHeaders{ContentType: "text/plain", ContentDisposition: signer.Attachment("Zoë & co.jpg"), CacheControl: "no-store"}
	p, err := newSigner(t).Presign(ctx, signer.Request{Key: "cat.jpg", Expires: time.Minute, Response: want, BestEffort: true})
	if err != nil {
		t.Fatal(err)
	}
	g, err := newVerifier(t).Verify(ctx, get(p.URL))
	if err != nil || g.Response != want {
		t.Errorf("granted %+v, %v, want %+v", g, err, want)
	}
	u, err := newPrefix(t, "https://media.example.com/v/").URL("https://media.example.com/v/cat.jpg?response-content-type=text%2Fhtml")
	if err != nil {
		t.Fatal(err)
	}
	if g, err := newVerifier(t).Verify(ctx, get(u)); err != nil || g.Response != (signer.ResponseHeaders{}) {
		t.Errorf("a prefix grants %+v, %v", g, err)
	}
}
