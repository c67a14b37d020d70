package cdn_test

import (
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/signer"
)

// documented reports whether Verify may return err.
func documented(err error) bool {
	var e *signer.Error
	return errors.As(err, &e) && slices.ContainsFunc([]error{signer.ErrUnsigned, signer.ErrMalformed, signer.ErrMismatch, signer.ErrExpired,
		signer.ErrConflict, signer.ErrUnknownKey, signer.ErrScope}, func(class error) bool { return errors.Is(err, class) })
}

// Nothing that a stranger sends makes the verifier panic, accept, or answer with an undocumented error.
func FuzzVerify(f *testing.F) {
	p := newPrefix(f, "https://media.example.com/v/")
	zeros := strings.Repeat("0", 27) + "="
	good := []string{p.Query()[len(p.Query())-len(zeros):], p.Cookie().Value[len(p.Cookie().Value)-len(zeros):]}
	f.Add("/v/1?"+strings.Replace(p.Query(), good[0], zeros, 1), strings.Replace(p.Cookie().Value, good[1], zeros, 1), "")
	f.Add("/?Signature=&KeyName&Expires=-1&URLPrefix=%zz", "URLPrefix=:Expires=:KeyName=:Signature=", "https://media.example.com/?x")
	f.Add("/k?Expires=1795568389&KeyName=a&Signature="+zeros, `"`, "https:///")
	v := newVerifier(f, func(c *cdn.VerifierConfig) { c.FromLoadBalancer = true })
	f.Fuzz(func(t *testing.T, wire, cookie, client string) {
		r := get("https://media.example.com/")
		r.RequestURI = wire
		r.Header["Cookie"] = []string{"Cloud-CDN-Cookie=" + cookie}
		if client != "" {
			r.Header["X-Client-Request-Url"] = []string{client}
		}
		g, err := v.Verify(ctx, r)
		if err == nil && !slices.ContainsFunc(good, func(s string) bool { return strings.Contains(wire+cookie+client, s) }) {
			t.Errorf("%q, %q, %q: granted %+v", wire, cookie, client, g)
		}
		if err != nil && !documented(err) {
			t.Errorf("%q, %q, %q: undocumented error %v", wire, cookie, client, err)
		}
	})
}

// What is signed is accepted and granted as it was asked for; with one byte changed it is refused.
func FuzzSignVerify(f *testing.F) {
	f.Add("a b/c+%2F.jpg", "size", "a+b", uint16(60), uint8(1))
	f.Add("é//😀", "", "", uint16(40), uint8(32))
	f.Add("~!$&'()*", "x y", "%", uint16(200), uint8(255))
	f.Fuzz(func(t *testing.T, key, name, value string, at uint16, flip uint8) {
		r := signer.Request{Key: key, Expires: time.Hour}
		if name != "" {
			r.Query = url.Values{name: {value, "2nd"}}
		}
		p, err := newSigner(t).Presign(ctx, r)
		if err != nil {
			if !errors.Is(err, signer.ErrRequest) {
				t.Errorf("undocumented error %v", err)
			}
			return
		}
		v := newVerifier(t)
		wire := strings.TrimPrefix(p.URL, "https://media.example.com")
		g, err := v.Verify(ctx, target(t, wire))
		if err != nil {
			t.Fatalf("%s is refused: %v", wire, err)
		}
		want := url.Values{}
		for name, values := range r.Query {
			want[name] = slices.Sorted(slices.Values(values))
		}
		for _, values := range g.Query {
			slices.Sort(values)
		}
		if g.Key != key || g.Bucket != "media" || !reflect.DeepEqual(g.Query, want) {
			t.Errorf("asked for %q %v, granted %q %v", key, r.Query, g.Key, g.Query)
		}
		// A finished URL is the same one.
		bare, _, _ := strings.Cut(p.URL, "Expires=")
		req, err := http.NewRequest("GET", strings.TrimRight(bare, "?&"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := newSigner(t).PresignRequest(ctx, req, signer.Options{Expires: time.Hour}); err != nil || again.URL != p.URL {
			t.Errorf("PresignRequest of %s: %v, another URL", req.URL, err)
		}
		if flip == 0 {
			return
		}
		changed := []byte(wire)
		changed[int(at)%len(changed)] ^= flip
		if g, err := v.Verify(ctx, target(t, string(changed))); err == nil || !documented(err) {
			t.Errorf("with one byte changed, %s: granted %+v, %v", changed, g, err)
		}
	})
}

// Prefix.URL and the verifier agree about what is under a prefix, and whatever is granted is under it.
func FuzzPrefix(f *testing.F) {
	f.Add("v/1.ts", "v/")
	f.Add("v/%2e%2e/x?a=b", "v/")
	f.Add(`a%20b/c\..`, "a%20b/")
	f.Add("//x;y", "/")
	f.Fuzz(func(t *testing.T, rest, folder string) {
		const base = "https://media.example.com/"
		p, err := newSigner(t).PresignPrefix(ctx, base+folder, signer.Options{Expires: time.Hour})
		if err != nil {
			if !errors.Is(err, signer.ErrRequest) {
				t.Errorf("%q: undocumented error %v", folder, err)
			}
			return
		}
		if err := p.Cookie().Valid(); err != nil {
			t.Errorf("%q: a cookie that is none: %v", folder, err)
		}
		raw, err := p.URL(base + rest)
		if err != nil {
			if !errors.Is(err, signer.ErrRequest) && !errors.Is(err, signer.ErrConflict) {
				t.Errorf("%q: undocumented error %v", rest, err)
			}
		} else if g, err := newVerifier(t).Verify(ctx, target(t, strings.TrimPrefix(raw, "https://media.example.com"))); err != nil {
			t.Errorf("%s is refused: %v", raw, err)
		} else if plain, _ := url.PathUnescape(strings.TrimPrefix(g.Prefix, base)); !strings.HasPrefix(g.Key, plain) {
			t.Errorf("%s: granted the key %q", raw, g.Key)
		}
		// As a stranger would use it.
		in := target(t, "/"+rest)
		in.AddCookie(p.Cookie())
		g, err := newVerifier(t).Verify(ctx, in)
		if err == nil && (!strings.HasPrefix(base+rest, g.Prefix) || slices.Contains(strings.Split(g.Key, "/"), "..")) {
			t.Errorf("%q under %s: granted %+v", rest, g.Prefix, g)
		}
		if err != nil && !documented(err) {
			t.Errorf("%q: undocumented error %v", rest, err)
		}
	})
}

// ParseKey takes 16 bytes in either spelling, and nothing else.
func FuzzParseKey(f *testing.F) {
	f.Add("nZtRohdNF9m3cKM24IcK4w==")
	f.Add("aaaaaaaaaaaaaaaaaaaaaa")
	f.Add("=\n")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := cdn.ParseKey("a", text)
		if err != nil {
			if !errors.Is(err, signer.ErrCredentials) || len(text) > 4 && strings.Contains(err.Error(), text) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		bare := strings.TrimRight(text, "=\r\n")
		if k.Secret.Len() != 16 || len(bare) != 22 || b64(string(k.Secret.Reveal()))[:21] != bare[:21] {
			t.Errorf("%q is the key %x", text, k.Secret.Reveal())
		}
	})
}
