package cdn

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// mediaDocumented reports whether a verifier may return err.
func mediaDocumented(err error) bool {
	var e *signer.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, class := range []error{signer.ErrUnsigned, signer.ErrMalformed, signer.ErrMismatch, signer.ErrExpired, signer.ErrNotYetValid,
		signer.ErrConflict, signer.ErrUnknownKey, signer.ErrScope} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

// What a stranger sends is refused, with a documented error, unless it holds one of our signatures. And if it does, it is
// granted only what that is for.
func FuzzMediaVerify(f *testing.F) {
	s, v := newMediaSigner(f), newMediaVerifier(f)
	p, err := s.PresignPrefix(context.Background(), mediaHost+"/tv/7/", mediaHour())
	if err != nil {
		f.Fatal(err)
	}
	cookie, _ := p.Cookie()
	inPath, _ := p.PathURL(mediaHost + "/tv/7/a")
	token, err := s.Token(context.Background(), MediaToken{PathGlobs: []string{"/tv/7/*"}}, mediaHour())
	if err != nil {
		f.Fatal(err)
	}
	f.Add("/tv/7/a?"+p.Query(), "", "")
	f.Add("/tv/7/a", "Edge-Cache-Cookie="+cookie.Value, "")
	f.Add(strings.TrimPrefix(inPath, mediaHost), "", "")
	f.Add("/tv/7/a?"+token.Query(), "", "a~b,c=d")
	f.Add("/tv/7/../a?"+token.Query(), "a=b; Edge-Cache-Cookie=Expires=1~hmac=00", "")
	f.Add("/edge-cache-token=Expires=1&KeyName=k&Signature=/a?Signature=&edge-cache-token=%zz", "Edge-Cache-Cookie=URLPrefix=:Expires=:KeyName=:Signature=", "")
	f.Add("/a?edge-cache-token=FullPath~Headers=X~IPRanges=MTA~Expires=9~hmac=0000000000000000000000000000000000000000", "", "x")
	signed := func(text string) bool {
		for _, carrier := range []string{p.Query(), cookie.Value, inPath, token.Query()} {
			signature := carrier[strings.LastIndex(carrier, "Signature=")+len("Signature="):]
			if signature, _, _ = strings.Cut(signature, "/"); strings.Contains(text, signature) {
				return true
			}
		}
		return false
	}
	f.Fuzz(func(t *testing.T, target, cookies, header string) {
		r := mediaRequest(mediaHost + "/")
		r.RequestURI = target
		r.Header.Set("Cookie", cookies)
		r.Header.Set("X", header)
		g, err := v.Verify(context.Background(), r)
		switch {
		case err != nil && (g != nil || !mediaDocumented(err)):
			t.Errorf("%q: %+v, %v", target, g, err)
		case err == nil && (!signed(target) && !signed(cookies) || !strings.HasPrefix(g.Key, "tv/7/") || !g.ExpiresAt.Equal(mediaNoon().Add(time.Hour))):
			t.Errorf("%q with %q is granted %+v", target, cookies, g)
		}
	})
}

// What Token signs is accepted and granted as it was asked for, and it refuses the rest with a documented error. One byte
// changed on the way, it is refused or grants the same.
func FuzzMediaToken(f *testing.F) {
	f.Add("/tv/*", "/tv/7/a.ts", "s", "d", "Foo", "bar", "Baz", "qux,quux", "10.0.0.0/8", uint8(0), uint16(20), uint8(1))
	f.Add("/a?b", "/a%20b", "~", "a&b", "User-Agent", "A (B, like C) D/1", "", "", "2001:db8::/32", uint8(1), uint16(90), uint8(32))
	f.Add("*", "/", "", "", "A", "1,B=2", "B", "2", "", uint8(2), uint16(150), uint8(128))
	f.Fuzz(func(t *testing.T, glob, path, session, data, name1, value1, name2, value2, ip string, kind uint8, at uint16, flip uint8) {
		s := newMediaSigner(t, func(c *MediaConfig) { c.Key = mediaTestKey(t, MediaAlgorithm(kind%3+1)) })
		token := MediaToken{SessionID: session, Data: data}
		switch kind / 3 % 3 {
		case 0:
			token.PathGlobs = []string{"/none", glob}
		case 1:
			token.FullPath = path
		default:
			token.URLPrefix = mediaHost + path[:strings.LastIndexByte(path, '/')+1]
		}
		for _, h := range []signer.Field{{Name: name1, Value: value1}, {Name: name2, Value: value2}} {
			if h.Name != "" {
				token.Headers = append(token.Headers, h)
			}
		}
		if r, err := netip.ParsePrefix(ip); err == nil {
			token.IPRanges = []netip.Prefix{r}
		}
		p, err := s.Token(context.Background(), token, mediaHour())
		if err != nil {
			if !errors.Is(err, signer.ErrRequest) {
				t.Errorf("undocumented error %v", err)
			}
			return
		}
		raw := mediaHost + path
		signed, err := p.URL(raw)
		if err != nil {
			if !errors.Is(err, signer.ErrRequest) && !errors.Is(err, signer.ErrConflict) {
				t.Errorf("undocumented error %v", err)
			}
			return
		}
		request := func(target string) *http.Request {
			r := mediaRequest(mediaHost + "/")
			r.RequestURI = target
			if token.IPRanges != nil {
				r.RemoteAddr = netip.AddrPortFrom(token.IPRanges[0].Addr(), 1).String()
			}
			for _, h := range token.Headers {
				r.Header.Set(h.Name, h.Value)
			}
			return r
		}
		v := newMediaVerifier(t)
		target := strings.TrimPrefix(signed, mediaHost)
		g, err := v.Verify(context.Background(), request(target))
		if err != nil {
			if strings.Contains(err.Error(), "NUL or invalid UTF-8") {
				return // a path that is no key
			}
			t.Fatalf("%s is refused: %v", target, err)
		}
		if g.Query.Get("SessionID") != session || g.Query.Get("Data") != data || len(g.SignedHeaders) != len(token.Headers) || g.Prefix != token.URLPrefix {
			t.Errorf("%+v is granted as %+v", token, g)
		}
		query := strings.Index(target, "edge-cache-token=")
		changed := []byte(target)
		if i := query + int(at)%(len(target)-query); flip != 0 {
			changed[i] ^= flip
			if other, err := v.Verify(context.Background(), request(string(changed))); err == nil && (other.Fingerprint != g.Fingerprint || other.Key != g.Key) {
				t.Errorf("%q instead of %q is granted as %+v", changed, target, other)
			}
		}
	})
}

// No two lists of headers have one signed value, so that none can pass for another.
func FuzzMediaHeaders(f *testing.F) {
	f.Add("Foo", "bar", "Baz", "qux", "Foo", "bar,Baz=qux", "", "")
	f.Add("Foo", "a", "Bar", "b", "Foo", "a", "Bar", "b~IPRanges=MTA")
	f.Add("A", "x,y", "B", "", "A", "x", "y,B", "")
	f.Add("A", ",", "B", "=", "A", ",,B", "C", "")
	f.Fuzz(func(t *testing.T, a1, v1, a2, v2, b1, w1, b2, w2 string) {
		type list struct {
			fields []string
			signed string
		}
		read := func(n1, v1, n2, v2 string) (l list, ok bool) {
			names, values := []string{n1}, map[string]string{n1: v1}
			if n2 != "" && n2 != n1 {
				names, values[n2] = append(names, n2), v2
			}
			for n, v := range values {
				if !mediaHeaderName(n) || !mediaHeaderValue(v) {
					return l, false
				}
			}
			l.fields = []string{"FullPath", "Headers=" + strings.Join(names, ","), "Data=x"}
			l.signed = mediaSignedValue(l.fields, "/a", func(n string) string { return values[n] })
			return l, true
		}
		a, ok1 := read(a1, v1, a2, v2)
		b, ok2 := read(b1, w1, b2, w2)
		if ok1 && ok2 && a.signed == b.signed && a.fields[1] != b.fields[1] {
			t.Errorf("%q and %q are both signed as %q", a.fields, b.fields, a.signed)
		}
	})
}

// mediaMatch is what a regular expression says.
func FuzzMediaMatch(f *testing.F) {
	f.Add("/tv/*/a?.ts", "/tv/7/8/ab.ts")
	f.Add("*a*b", "/aab")
	f.Add("/?", "//")
	f.Fuzz(func(t *testing.T, glob, path string) {
		if len(glob) > 40 || strings.ContainsFunc(glob+path, func(r rune) bool { return r > 126 || r < 32 }) {
			return
		}
		expr := strings.NewReplacer(`\*`, `.*`, `\?`, `[^/]`).Replace(regexp.QuoteMeta(glob))
		want := regexp.MustCompile(`^` + expr + `$`).MatchString(path)
		if got := mediaMatch(glob, path); got != want {
			t.Errorf("%q and %q: %t, want %t", glob, path, got, want)
		}
	})
}
