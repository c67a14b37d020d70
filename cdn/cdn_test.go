package cdn_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

var ctx = context.Background()

// now is ten seconds and a half before midnight.
var now = time.Date(2026, 11, 24, 23, 59, 49, 500e6, time.UTC)

// key returns a key whose secret follows from its name.
func key(name string) cdn.Key {
	return cdn.Key{Name: name, Secret: signer.NewSecret([]byte((name + " secret of sixteen bytes")[:16]))}
}

func newSigner(t testing.TB, edits ...func(*cdn.Config)) *cdn.Signer {
	t.Helper()
	c := cdn.Config{BaseURL: mustURL(t, "https://media.example.com"), Bucket: "media", Key: key("a"), Clock: clock.Fixed(now)}
	for _, edit := range edits {
		edit(&c)
	}
	s, err := cdn.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newVerifier(t testing.TB, edits ...func(*cdn.VerifierConfig)) *cdn.Verifier {
	t.Helper()
	c := cdn.VerifierConfig{BaseURL: mustURL(t, "https://media.example.com"), Bucket: "media", Keys: []cdn.Key{key("a"), key("b"), key("c")},
		Clock: clock.Fixed(now)}
	for _, edit := range edits {
		edit(&c)
	}
	v, err := cdn.NewVerifier(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func newRing(t testing.TB, inForce cdn.Key, accepted ...cdn.Key) *signer.KeyRing[cdn.Key] {
	t.Helper()
	r, err := signer.NewKeyRing(inForce, accepted...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// newPrefix signs a prefix for an hour.
func newPrefix(t testing.TB, prefix string) *cdn.Prefix {
	t.Helper()
	p, err := newSigner(t).PresignPrefix(ctx, prefix, signer.Options{Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sum is the scheme's HMAC, by hand.
func sum(k cdn.Key, text string) string {
	mac := hmac.New(sha1.New, k.Secret.Reveal())
	mac.Write([]byte(text))
	return base64.URLEncoding.EncodeToString(mac.Sum(nil))
}

func mustURL(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// wantError checks an error's class, and that its text gives a reason.
func wantError(t *testing.T, what string, err, class error, reason string) {
	t.Helper()
	var e *signer.Error
	if !errors.Is(err, class) || !errors.As(err, &e) || e.Backend != "cdn" || e.Op == "" {
		t.Errorf("%s: got %v, want %q", what, err, class)
		return
	}
	if !strings.Contains(err.Error(), reason) {
		t.Errorf("%s: %q does not say %q", what, err, reason)
	}
	if strings.Contains(err.Error(), "secret of") {
		t.Errorf("%s: the secret is in %v", what, err)
	}
}

func TestNewErrors(t *testing.T) {
	set := func(raw string) func(*cdn.Config) {
		return func(c *cdn.Config) { c.BaseURL, _ = url.Parse(raw) }
	}
	bare := func(c *cdn.Config) { c.Key = cdn.Key{} }
	for _, tt := range []struct {
		name   string
		edit   func(*cdn.Config)
		class  error
		reason string
	}{
		{"no base", func(c *cdn.Config) { c.BaseURL = nil }, signer.ErrRequest, "BaseURL: bad request: there is none"},
		{"no scheme", set("media.example.com"), signer.ErrRequest, "BaseURL: bad request: \"media.example.com\" does not begin with https://HOST"},
		{"another scheme", set("ftp://media.example.com"), signer.ErrRequest, "BaseURL"},
		{"a port", set("https://media.example.com:8443"), signer.ErrRequest, "BaseURL: bad request: it has a port"},
		{"the scheme's port", set("https://media.example.com:443"), signer.ErrRequest, "it has a port"},
		{"an empty port", set("https://media.example.com:"), signer.ErrRequest, "ends in a colon"},
		{"a query", set("https://media.example.com/?a=b"), signer.ErrRequest, "BaseURL: bad request: it has a query"},
		{"a fragment", set("https://media.example.com/#f"), signer.ErrRequest, "BaseURL: bad request: it has a fragment"},
		{"a user", set("https://u@media.example.com/"), signer.ErrRequest, "BaseURL: bad request: it holds a user name"},
		{"dots", set("https://media.example.com/a/../b"), signer.ErrRequest, "BaseURL"},
		{"dots, encoded", set("https://media.example.com/a/%2e%2e/b"), signer.ErrRequest, "BaseURL"},
		{"a bucket that is a path", func(c *cdn.Config) { c.Bucket = "a/b" }, signer.ErrRequest, "Bucket"},
		{"no key", bare, signer.ErrCredentials, "ParseKey"},
		{"a key without a name", func(c *cdn.Config) { c.Key.Name = "" }, signer.ErrCredentials, "its name must be"},
		{"a name with a space", func(c *cdn.Config) { c.Key.Name = "my key" }, signer.ErrCredentials, "its name must be"},
		{"a name with an ampersand", func(c *cdn.Config) { c.Key.Name = "k&Expires=9" }, signer.ErrCredentials, "its name must be"},
		{"a name of 64", func(c *cdn.Config) { c.Key.Name = strings.Repeat("k", 64) }, signer.ErrCredentials, "its name must be"},
		{"15 bytes", func(c *cdn.Config) { c.Key.Secret = signer.NewSecret([]byte("fifteen bytes..")) }, signer.ErrCredentials, "15 bytes, expecting 16"},
		{"the text of a key", func(c *cdn.Config) { c.Key.Secret = signer.NewSecret([]byte("nZtRohdNF9m3cKM24IcK4w==")) }, signer.ErrCredentials, "give ParseKey the text"},
		{"a key and a source", func(c *cdn.Config) { c.Keys = key("b") }, signer.ErrCredentials, "set one of the two"},
	} {
		c := cdn.Config{BaseURL: mustURL(t, "https://media.example.com"), Key: key("a")}
		tt.edit(&c)
		s, err := cdn.New(c)
		if s != nil && err != nil {
			t.Errorf("%s: a Signer beside the error", tt.name)
		}
		wantError(t, tt.name, err, tt.class, tt.reason)
	}
	_, err := cdn.New(cdn.Config{Bucket: "a/b"})
	for _, field := range []string{"BaseURL", "Bucket", "Key"} {
		if err == nil || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("all that is wrong: %v is silent on %s", err, field)
		}
	}
}

func TestParseKey(t *testing.T) {
	for _, good := range []string{"nZtRohdNF9m3cKM24IcK4w==", "nZtRohdNF9m3cKM24IcK4w", "nZtRohdNF9m3cKM24IcK4w==\n", "nZtRohdNF9m3cKM24IcK4w\r\n",
		"nZtRohdNF9m3cKM24IcK4x", "nZtRohdNF9m3cKM24IcK4_=="} { // the last two end in bits that no byte holds
		k, err := cdn.ParseKey("my-key", good)
		if want := "9d9b51a2174d17d9b770a336e0870ae3"; err != nil || k.Name != "my-key" || fmt.Sprintf("%x", k.Secret.Reveal()) != want {
			t.Errorf("%q: %v %v", good, k.Name, err)
		}
	}
	for bad, reason := range map[string]string{
		"":                                 "there is none",
		"nZtRohdNF9m3cKM24IcK4":            "not base64url", // what is left over makes no byte
		"nZtRohdNF9m3cKM24IcK":             "15 bytes, expecting 16",
		"nZtRohdNF9m3cKM24IcK4w=":          "not base64url",
		"nZtRohdNF9m3cKM24IcK4w===":        "not base64url",
		"nZtRohdNF9m3cKM24IcK4wAA":         "18 bytes, expecting 16",
		"nZtRohdNF9m3cKM24IcK+w==":         "not + and /",
		"nZtRohdNF9m3cKM24IcK/w":           "not + and /",
		" nZtRohdNF9m3cKM24IcK4w==":        "not base64url",
		"9d9b51a2174d17d9b770a336e0870ae3": "24 bytes, expecting 16",
	} {
		k, err := cdn.ParseKey("my-key", bad)
		wantError(t, bad, err, signer.ErrCredentials, reason)
		if !k.Secret.IsZero() {
			t.Errorf("%q: a key beside the error", bad)
		}
		if bad != "" && err != nil && strings.Contains(err.Error(), strings.TrimSpace(bad)) {
			t.Errorf("%q is in the error %v", bad, err)
		}
	}
	_, err := cdn.ParseKey("my key", "nZtRohdNF9m3cKM24IcK4w==")
	wantError(t, "a name with a space", err, signer.ErrCredentials, "name")
}

// What stands before the signature is written out here; the signature itself is held to Google's samples in TestVectors.
func TestPresignURLs(t *testing.T) {
	for _, tt := range []struct {
		base string
		r    signer.Request
		want string
	}{
		{"https://media.example.com", signer.Request{Key: "cat.jpg"}, "https://media.example.com/cat.jpg?Expires=1795564849&KeyName=a"},
		{"https://Media.Example.com/", signer.Request{Key: ""}, "https://media.example.com/?Expires=1795564849&KeyName=a"},
		{"https://media.example.com/v/", signer.Request{Key: "", Method: "HEAD"}, "https://media.example.com/v/?Expires=1795564849&KeyName=a"},
		{"http://media.example.com/a%20b", signer.Request{Key: "/c d+e?.jpg"}, "http://media.example.com/a%20b//c%20d%2Be%3F.jpg?Expires=1795564849&KeyName=a"},
		{"https://media.example.com", signer.Request{Key: "k", Query: url.Values{"b": {"2", "1"}, "a b": {"+"}, "a": {""}}},
			"https://media.example.com/k?a=&a%20b=%2B&b=1&b=2&Expires=1795564849&KeyName=a"},
		{"https://media.example.com", signer.Request{Key: "k", Bucket: "media"}, "https://media.example.com/k?Expires=1795564849&KeyName=a"},
	} {
		s := newSigner(t, func(c *cdn.Config) { c.BaseURL = mustURL(t, tt.base) })
		tt.r.Expires = time.Minute
		p, err := s.Presign(ctx, tt.r)
		if err != nil {
			t.Errorf("%s: %v", tt.want, err)
			continue
		}
		bare, signature, _ := strings.Cut(p.URL, "&Signature=")
		if bare != tt.want || len(signature) != 28 || signature[27] != '=' {
			t.Errorf("got  %s\nwant %s", p.URL, tt.want)
		}
		if !p.NotBefore.IsZero() || p.Header != nil || p.NotEnforced != nil || !p.ExpiresAt.Equal(time.Unix(1795564849, 0)) {
			t.Errorf("%+v", *p)
		}
	}
}

func TestPresignErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		r      signer.Request
		class  error
		reason string
	}{
		{"PUT", signer.Request{Method: "PUT", Key: "k"}, signer.ErrUnsupported, "allows GET and HEAD, not PUT"},
		{"OPTIONS", signer.Request{Method: "OPTIONS", Key: "k"}, signer.ErrUnsupported, "Method"},
		{"another bucket", signer.Request{Key: "k", Bucket: "other"}, signer.ErrRequest, `the bucket behind BaseURL is "media"`},
		{"a header", signer.Request{Key: "k", Header: http.Header{"Range": {"bytes=0-9"}, "Accept": {"*"}}}, signer.ErrUnsupported,
			"Header.Accept, Header.Range: unsupported: a signature of a URL covers no headers; leave it out, or set BestEffort"},
		{"an override", signer.Request{Key: "k", Response: signer.ResponseHeaders{ContentType: "text/plain"}}, signer.ErrUnsupported,
			"Response.ContentType: unsupported: the CDN overrides nothing; set it on the object, or set BestEffort to send it to the origin"},
		{"an address", signer.Request{Key: "k", SourceIP: netip.MustParsePrefix("192.0.2.0/24")}, signer.ErrUnsupported, "SourceIP: unsupported"},
		{"Expires", signer.Request{Key: "k", Query: url.Values{"Expires": {"1"}}}, signer.ErrRequest, `"Expires" belongs to a signature`},
		{"keyname", signer.Request{Key: "k", Query: url.Values{"keyname": {"1"}}}, signer.ErrRequest, `"keyname" belongs to a signature`},
		{"Signature", signer.Request{Key: "k", Query: url.Values{"Signature": {"1"}}}, signer.ErrRequest, "Query"},
		{"URLPrefix", signer.Request{Key: "k", Query: url.Values{"URLPrefix": {"1"}}}, signer.ErrRequest, "Query"},
		{"dots", signer.Request{Key: "a/../b"}, signer.ErrRequest, "Key"},
	} {
		tt.r.Expires = time.Minute
		s := newSigner(t)
		p, err := s.Presign(ctx, tt.r)
		wantError(t, tt.name, err, tt.class, tt.reason)
		if p != nil {
			t.Errorf("%s: a URL beside the error", tt.name)
		}
		dst := []byte("before")
		got, end, err := s.AppendURL(ctx, dst, tt.r)
		wantError(t, tt.name, err, tt.class, tt.reason)
		if string(got) != "before" || !end.IsZero() {
			t.Errorf("%s: AppendURL returns %q, %v beside the error", tt.name, got, end)
		}
	}
	for _, r := range []signer.Request{{Key: "k", Expires: time.Minute, AllowShorter: true}, {Key: "k", Expires: time.Minute, BestEffort: true}} {
		_, _, err := newSigner(t).AppendURL(ctx, nil, r)
		wantError(t, "AppendURL", err, signer.ErrRequest, "AppendURL has no way")
	}
	for _, d := range []time.Duration{0, -time.Second} {
		_, err := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: d})
		wantError(t, "Expires", err, signer.ErrLifetime, "Expires")
	}
}

// A bucket that the Config does not know is refused with a text that says where it would have to stand.
func TestBucketOfNoConfig(t *testing.T) {
	s := newSigner(t, func(c *cdn.Config) { c.Bucket = "" })
	_, err := s.Presign(ctx, signer.Request{Key: "k", Bucket: "media", Expires: time.Minute})
	wantError(t, "no bucket in the Config", err, signer.ErrRequest, "Bucket: bad request: the Config names no bucket behind BaseURL")
	if strings.Contains(err.Error(), `""`) {
		t.Errorf("%v", err)
	}
}

// Each thing that cannot be enforced has its own advice.
func TestUnenforcedAll(t *testing.T) {
	_, err := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute, Header: http.Header{"A": {"b"}},
		Response: signer.ResponseHeaders{ContentType: "c"}, SourceIP: netip.MustParsePrefix("192.0.2.0/24")})
	for _, field := range []string{"Header.A", "Response.ContentType", "SourceIP"} {
		wantError(t, field, err, signer.ErrUnsupported, "cdn: presign: "+field+": unsupported: ")
	}
	if n := len(strings.Split(err.Error(), "\n")); n != 3 {
		t.Errorf("%d lines: %v", n, err)
	}
}

func TestBestEffort(t *testing.T) {
	r := signer.Request{Key: "k", Expires: time.Minute, BestEffort: true, Header: http.Header{"x-color": {"blue"}, "Accept": {"*"}},
		Query: url.Values{"z": {"1"}}, Response: signer.ResponseHeaders{ContentDisposition: signer.Attachment("a b.txt"), Expires: "0"},
		SourceIP: netip.MustParsePrefix("192.0.2.0/24")}
	p, err := newSigner(t).Presign(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"Header.Accept", "Header.X-Color", "Response.ContentDisposition", "Response.Expires", "SourceIP"}; !slices.Equal(p.NotEnforced, want) {
		t.Errorf("NotEnforced %q, want %q", p.NotEnforced, want)
	}
	if !reflect.DeepEqual(p.Header, http.Header{"X-Color": {"blue"}, "Accept": {"*"}}) {
		t.Errorf("Header %v", p.Header)
	}
	const want = "https://media.example.com/k?response-content-disposition=attachment%3B%20filename%3D%22a%20b.txt%22&response-expires=0&z=1&Expires=1795564849&KeyName=a&Signature="
	if !strings.HasPrefix(p.URL, want) {
		t.Errorf("got  %s\nwant %s", p.URL, want)
	}
	r.Query.Set("response-expires", "1")
	_, err = newSigner(t).Presign(ctx, r)
	wantError(t, "an override twice", err, signer.ErrRequest, "say it once")
}

func TestPresignRequestErrors(t *testing.T) {
	for _, tt := range []struct {
		raw    string
		edit   func(*http.Request)
		class  error
		reason string
	}{
		{"https://media.example.com/k?Expires=1", nil, signer.ErrConflict, "a parameter Expires"},
		{"https://media.example.com/k?a=1&KeyName=1&b=1", nil, signer.ErrConflict, "a parameter KeyName"},
		{"https://media.example.com/k?Signature", nil, signer.ErrConflict, "a parameter Signature"},
		{"https://media.example.com/k?URLPrefix=1", nil, signer.ErrConflict, "a parameter URLPrefix"},
		{"https://media.example.com/k?urlprefix=1", nil, signer.ErrConflict, "a parameter urlprefix"},
		{"https://media.example.com/k?%45xpires=1", nil, signer.ErrConflict, "a parameter Expires"},
		{"https://media.example.com/k?X-Amz-Signature=1", nil, signer.ErrConflict, "a signature of AWS4"},
		{"https://media.example.com:443/k", nil, signer.ErrRequest, "it has a port"},
		{"https://media.example.com:8443/k", nil, signer.ErrRequest, "it has a port"},
		{"https://media.example.com", nil, signer.ErrRequest, "it has no path"},
		{"https://media.example.com?a=b", nil, signer.ErrRequest, "it has no path"},
		{"https://media.example.com/k#f", nil, signer.ErrRequest, "it has a fragment"},
		{"https://other.example.com/k", nil, signer.ErrRequest, "it does not begin with https://media.example.com/"},
		{"https://media.example.com.evil.example/k", nil, signer.ErrRequest, "it does not begin with"},
		{"https://MEDIA.example.com/k", nil, signer.ErrRequest, "it does not begin with"},
		{"http://media.example.com/k", nil, signer.ErrRequest, "it does not begin with"},
		{"https://u:p@media.example.com/k", nil, signer.ErrRequest, "user name"},
		{"https://media.example.com/k?a=%zz", nil, signer.ErrRequest, "broken escape"},
		{"https://media.example.com/k", func(r *http.Request) { r.Method = "POST" }, signer.ErrUnsupported, "GET and HEAD, not POST"},
		{"https://media.example.com/k", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, signer.ErrConflict, "remove the header"},
		{"https://media.example.com/k", func(r *http.Request) { r.Header["authorization"] = []string{""} }, signer.ErrConflict, "remove the header"},
		{"https://media.example.com/k", func(r *http.Request) { r.Header.Set("Range", "bytes=0-1") }, signer.ErrUnsupported, "(Range)"},
		{"https://media.example.com/k", func(r *http.Request) { r.Host = "other.example.com" }, signer.ErrRequest, "not the URL's"},
		{"https://media.example.com/k", func(r *http.Request) { r.ContentLength = 1 }, signer.ErrRequest, "no body"},
	} {
		req, err := http.NewRequest("GET", tt.raw, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.edit != nil {
			tt.edit(req)
		}
		p, err := newSigner(t).PresignRequest(ctx, req, signer.Options{Expires: time.Minute})
		wantError(t, tt.raw, err, tt.class, tt.reason)
		if p != nil {
			t.Errorf("%s: a URL beside the error", tt.raw)
		}
	}
	s := newSigner(t, func(c *cdn.Config) { c.BaseURL = mustURL(t, "https://media.example.com/v") })
	for _, raw := range []string{"https://media.example.com/", "https://media.example.com/v", "https://media.example.com/video/k", "https://media.example.com/V/k"} {
		req, _ := http.NewRequest("GET", raw, nil)
		_, err := s.PresignRequest(ctx, req, signer.Options{Expires: time.Minute})
		wantError(t, raw, err, signer.ErrRequest, "it does not begin with https://media.example.com/v/")
	}
}

func TestPresignRequest(t *testing.T) {
	for raw, want := range map[string]string{
		"https://media.example.com/?":                   "https://media.example.com/?Expires=1795564849&KeyName=a",
		"https://media.example.com/k?":                  "https://media.example.com/k?Expires=1795564849&KeyName=a",
		"https://media.example.com/a%2fb/./%7E?b=2&a=+": "https://media.example.com/a%2fb/./%7E?b=2&a=+&Expires=1795564849&KeyName=a",
		"https://media.example.com/k?expire=1&signed":   "https://media.example.com/k?expire=1&signed&Expires=1795564849&KeyName=a",
	} {
		req, _ := http.NewRequest("GET", raw, nil)
		req.Header.Set("User-Agent", "it changes on the way")
		p, err := newSigner(t).PresignRequest(ctx, req, signer.Options{Expires: time.Minute})
		if err != nil || !strings.HasPrefix(p.URL, want+"&Signature=") || p.Header != nil || !p.NotBefore.IsZero() {
			t.Errorf("%s: %v\nwant %s", raw, err, want)
		}
	}
	req, _ := http.NewRequest("GET", "https://media.example.com/k", nil)
	req.Header = http.Header{"range": {"bytes=0-1"}, "Accept": {"a", "b"}, "User-Agent": {"x"}}
	p, err := newSigner(t).PresignRequest(ctx, req, signer.Options{Expires: time.Minute, BestEffort: true})
	if err != nil || !slices.Equal(p.NotEnforced, []string{"Header.Accept", "Header.Range"}) || !reflect.DeepEqual(p.Header, http.Header{"Range": {"bytes=0-1"}, "Accept": {"a", "b"}}) {
		t.Errorf("with BestEffort: %v, %v", p, err)
	}
}

// A key that retires bounds what it signs, alone and in a ring.
func TestRetirement(t *testing.T) {
	cut := now.Truncate(time.Second)
	retiring := func(in time.Duration) cdn.Key {
		k := key("a")
		k.Expires = cut.Add(in)
		return k
	}
	sources := map[string]func(cdn.Key) func(*cdn.Config){
		"key": func(k cdn.Key) func(*cdn.Config) { return func(c *cdn.Config) { c.Key = k } },
		"ring": func(k cdn.Key) func(*cdn.Config) {
			return func(c *cdn.Config) { c.Key, c.Keys = cdn.Key{}, newRing(t, k, key("b")) }
		},
	}
	for name, with := range sources {
		s := newSigner(t, with(retiring(time.Hour)))
		p, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Hour})
		if err != nil || !p.ExpiresAt.Equal(cut.Add(time.Hour)) || p.LimitedBy != signer.LimitRequest {
			t.Errorf("%s: until its retirement: %v, %v", name, p, err)
		}
		_, err = s.Presign(ctx, signer.Request{Key: "k", Expires: time.Hour + time.Second})
		wantError(t, name, err, signer.ErrCredentials, "die at")
		p, err = s.Presign(ctx, signer.Request{Key: "k", Expires: 3 * time.Hour, AllowShorter: true})
		if err != nil || !p.ExpiresAt.Equal(cut.Add(time.Hour)) || p.LimitedBy != signer.LimitCredentials {
			t.Errorf("%s: AllowShorter: %v, %v", name, p, err)
		}
		prefix, err := s.PresignPrefix(ctx, "https://media.example.com/v/", signer.Options{Expires: 3 * time.Hour, AllowShorter: true})
		if err != nil || !prefix.ExpiresAt.Equal(cut.Add(time.Hour)) || prefix.LimitedBy != signer.LimitCredentials || !prefix.Cookie().Expires.Equal(cut.Add(time.Hour)) {
			t.Errorf("%s: a prefix: %v, %v", name, prefix, err)
		}
		_, err = s.PresignPrefix(ctx, "https://media.example.com/v/", signer.Options{Expires: 3 * time.Hour})
		wantError(t, name, err, signer.ErrCredentials, "die at")
		// With the window the URL would live eleven seconds more than was asked for, until 0:50.
		p, err = newSigner(t, with(retiring(50*time.Minute+5*time.Second))).Presign(ctx, signer.Request{Key: "k", Expires: 50 * time.Minute, Window: 20 * time.Minute})
		if err != nil || !p.ExpiresAt.Equal(cut.Add(50*time.Minute+5*time.Second)) || p.LimitedBy != signer.LimitCredentials {
			t.Errorf("%s: a window: %v, %v", name, p, err)
		}
		_, err = newSigner(t, with(retiring(0))).Presign(ctx, signer.Request{Key: "k", Expires: time.Second, AllowShorter: true})
		wantError(t, name, err, signer.ErrCredentials, "died at")
	}
}

// What a retiring key signed in a ring is known to end with it.
func TestIssuedEndsWithTheKey(t *testing.T) {
	k := key("a")
	k.Expires = now.Truncate(time.Second).Add(time.Hour)
	ring := newRing(t, k)
	s := newSigner(t, func(c *cdn.Config) { c.Key, c.Keys = cdn.Key{}, ring })
	p, err := s.Presign(ctx, signer.Request{Key: "k", Expires: 3 * time.Hour, AllowShorter: true})
	if until, known := ring.Issued("a"); err != nil || !known || !until.Equal(p.ExpiresAt) {
		t.Errorf("a URL until %v, Issued says %v, %v, %v", p.ExpiresAt, until, known, err)
	}
}

// A ring holds no key that cannot sign.
func TestRingWantsSecrets(t *testing.T) {
	for _, keys := range [][]cdn.Key{{{Name: "a"}}, {key("a"), {Name: "b"}}} {
		if r, err := signer.NewKeyRing(keys[0], keys[1:]...); r != nil || !errors.Is(err, signer.ErrCredentials) {
			t.Errorf("%+v: %v", keys, err)
		}
	}
}

// The ring tells how long a key is needed, and verifiers that have it accept what the old key signed until it is taken out.
func TestRotation(t *testing.T) {
	old, next := key("a"), key("b")
	ring := newRing(t, old)
	s := newSigner(t, func(c *cdn.Config) { c.Key, c.Keys = cdn.Key{}, ring })
	v := newVerifier(t, func(c *cdn.VerifierConfig) { c.Keys, c.Lookup = nil, ring.Lookup })
	if until, known := ring.Issued("a"); !until.IsZero() || !known {
		t.Errorf("before the first URL: %v, %v", until, known)
	}
	var last *signer.Presigned
	for _, d := range []time.Duration{time.Minute, 3 * time.Hour, time.Hour} {
		p, err := s.Presign(ctx, signer.Request{Key: "k", Expires: d})
		if err != nil {
			t.Fatal(err)
		}
		if d == 3*time.Hour {
			last = p
		}
	}
	if err := ring.Set(next, old); err != nil {
		t.Fatal(err)
	}
	fresh, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	if err != nil || !strings.Contains(fresh.URL, "&KeyName=b&") {
		t.Fatalf("after the rotation: %v, %v", fresh, err)
	}
	if got, _ := ring.Issued("a"); !got.Equal(last.ExpiresAt) {
		t.Errorf("the last URL of the old key dies at %v, Issued says %v", last.ExpiresAt, got)
	}
	if got, _ := ring.Issued("b"); !got.Equal(fresh.ExpiresAt) {
		t.Errorf("the last URL of the new key dies at %v, Issued says %v", fresh.ExpiresAt, got)
	}
	for _, p := range []*signer.Presigned{last, fresh} {
		if _, err := v.Verify(ctx, get(p.URL)); err != nil {
			t.Errorf("%v: %v", p, err)
		}
	}
	if err := ring.Set(next); err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(ctx, get(last.URL))
	wantError(t, "the old key is gone", err, signer.ErrUnknownKey, `"a"`)
	if got, _ := ring.Issued("a"); !got.Equal(last.ExpiresAt) {
		t.Errorf("the old key is gone, and Issued says %v", got)
	}
}

// A source of keys may fail, or give what is no key.
func TestKeySource(t *testing.T) {
	cause := errors.New("the vault is closed")
	with := func(k cdn.Key, err error) *cdn.Signer {
		return newSigner(t, func(c *cdn.Config) {
			c.Key, c.Keys = cdn.Key{}, sourceFunc(func(context.Context, time.Time) (cdn.Key, error) { return k, err })
		})
	}
	_, err := with(cdn.Key{}, cause).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
	if wantError(t, "it fails", err, signer.ErrCredentials, "its source failed"); !errors.Is(err, cause) {
		t.Errorf("%v does not wrap the cause", err)
	}
	for _, k := range []cdn.Key{{}, {Name: "a"}, {Name: "a&b", Secret: key("a").Secret}, {Name: "a", Secret: signer.NewSecret([]byte("short"))}} {
		_, err := with(k, nil).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute})
		wantError(t, "no key", err, signer.ErrCredentials, "")
	}
	var asked time.Time
	s := newSigner(t, func(c *cdn.Config) {
		c.Key, c.Keys = cdn.Key{}, sourceFunc(func(_ context.Context, until time.Time) (cdn.Key, error) {
			asked = until
			return key("a"), nil
		})
	})
	p, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Minute, Window: 10 * time.Second})
	if err != nil || !asked.Equal(p.ExpiresAt) {
		t.Errorf("asked for a key until %v for a URL until %v, %v", asked, p.ExpiresAt, err)
	}
}

type sourceFunc func(context.Context, time.Time) (cdn.Key, error)

func (f sourceFunc) Key(ctx context.Context, until time.Time) (cdn.Key, error) { return f(ctx, until) }

// Whatever key signed before, a Signer signs with the one in force, as a new Signer does.
func TestKeysInTurn(t *testing.T) {
	renamed := cdn.Key{Name: "b", Secret: key("a").Secret}
	var inForce cdn.Key
	s := newSigner(t, func(c *cdn.Config) {
		c.Key, c.Keys = cdn.Key{}, sourceFunc(func(context.Context, time.Time) (cdn.Key, error) { return inForce, nil })
	})
	r := signer.Request{Key: "cat.jpg", Expires: time.Minute}
	for _, inForce = range []cdn.Key{key("a"), renamed, key("b"), key("a")} {
		want, err := newSigner(t, func(c *cdn.Config) { c.Key = inForce }).Presign(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := s.AppendURL(ctx, nil, r); err != nil || string(got) != want.URL {
			t.Errorf("%s: got %s, %v, want %s", inForce.Name, got, err, want.URL)
		}
	}
}

// With GODEBUG=fips140=only the standard library panics when HMAC is given SHA-1, which must not be the caller's surprise.
func TestFIPS(t *testing.T) {
	if os.Getenv("CDN_TEST_FIPS") != "" {
		_, errSigner := cdn.New(cdn.Config{BaseURL: mustURL(t, "https://media.example.com"), Key: key("a")})
		_, errVerifier := cdn.NewVerifier(cdn.VerifierConfig{BaseURL: mustURL(t, "https://media.example.com"), Keys: []cdn.Key{key("a")}})
		fmt.Printf("refused: %t %t\n", errors.Is(errSigner, signer.ErrUnsupported), errors.Is(errVerifier, signer.ErrUnsupported))
		return
	}
	for mode, want := range map[string]string{"only": "refused: true true", "on": "refused: false false"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFIPS$")
		cmd.Env = append(os.Environ(), "GODEBUG=fips140="+mode, "CDN_TEST_FIPS=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("fips140=%s: %v, want %q\n%s", mode, err, want, out)
		}
	}
}

// Nothing that is printed holds a signature.
func TestPrefixIsNotPrinted(t *testing.T) {
	p := newPrefix(t, "https://media.example.com/v/")
	_, inQuery, _ := strings.Cut(p.Query(), "Signature=")
	_, inCookie, _ := strings.Cut(p.Cookie().Value, "Signature=")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		for _, x := range []any{p, *p, struct{ p *cdn.Prefix }{p}} {
			if text := fmt.Sprintf(verb, x); strings.Contains(text, inQuery) || strings.Contains(text, inCookie) {
				t.Errorf("%s prints %s", verb, text)
			}
		}
	}
	const want = "[prefix] for https://media.example.com/v/ until 2026-11-25T00:59:49Z"
	encoded, err := json.Marshal(map[string]any{"prefix": p})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("made", "prefix", p)
	for _, text := range []string{fmt.Sprint(p), fmt.Sprintf("%+v", *p), fmt.Sprintf("%d", p), fmt.Sprintf("%#v", p), string(encoded), log.String()} {
		if !strings.Contains(text, want) {
			t.Errorf("%s does not tell what it is for", text)
		}
	}
}
