package cdn_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/signer"
)

func TestPresignPrefixErrors(t *testing.T) {
	for prefix, reason := range map[string]string{
		"":                                  "it must be absolute",
		"media.example.com/v/":              "it must be absolute",
		"/v/":                               "it must be absolute",
		"https://media.example.com":         "it has no path",
		"https://media.example.com/data":    "write https://media.example.com/data/",
		"https://media.example.com/v/?":     "it has a query",
		"https://media.example.com/v/?a=b/": "it has a query",
		"https://media.example.com/v/#":     "it has a fragment",
		"https://media.example.com/v/#/":    "it has a fragment",
		"https://media.example.com:443/v/":  "it has a port",
		"https://media.example.com:/v/":     "ends in a colon",
		"https://other.example.com/v/":      "it does not begin with https://media.example.com/",
		"http://media.example.com/v/":       "it does not begin with",
		"https://media.example.com/a/../":   `a segment "." or ".."`,
		"https://media.example.com/a/./":    `a segment "." or ".."`,
		"https://media.example.com/%2e%2E/": `a segment "." or ".."`,
		"https://media.example.com/a%2f../": `a segment "." or ".."`,
		`https://media.example.com/a\b/`:    "a backslash",
		"https://media.example.com/a%5Cb/":  "a backslash",
		"https://media.example.com/%zz/":    "it does not parse",
		"https://u@media.example.com/v/":    "a user name",
		"https://media.example.com/a\nb/":   "it does not parse",
		"https://media.example.com/%00/":    "a NUL",
	} {
		p, err := newSigner(t).PresignPrefix(ctx, prefix, signer.Options{Expires: time.Minute})
		wantError(t, prefix, err, signer.ErrRequest, reason)
		if p != nil {
			t.Errorf("%q: a Prefix beside the error", prefix)
		}
	}
	s := newSigner(t, func(c *cdn.Config) { c.BaseURL = mustURL(t, "https://media.example.com/v") })
	for _, prefix := range []string{"https://media.example.com/", "https://media.example.com/video/"} {
		_, err := s.PresignPrefix(ctx, prefix, signer.Options{Expires: time.Minute})
		wantError(t, prefix, err, signer.ErrRequest, "it does not begin with https://media.example.com/v/")
	}
	if _, err := s.PresignPrefix(ctx, "https://media.example.com/v/", signer.Options{Expires: time.Minute}); err != nil {
		t.Errorf("the base itself: %v", err)
	}
	for _, o := range []signer.Options{{}, {Expires: -1}, {Expires: time.Minute, Window: time.Minute}} {
		_, err := s.PresignPrefix(ctx, "https://media.example.com/v/", o)
		wantError(t, "times", err, signer.ErrLifetime, "")
	}
}

func TestPrefixURL(t *testing.T) {
	p := newPrefix(t, "https://media.example.com/a%20b/")
	for raw, want := range map[string]string{
		"https://media.example.com/a%20b/":               "https://media.example.com/a%20b/?",
		"https://media.example.com/a b/c":                "https://media.example.com/a%20b/c?",
		"https://media.example.com/a%20b/1.ts?b=2&a=%41": "https://media.example.com/a%20b/1.ts?b=2&a=%41&",
		"https://media.example.com/a%20b/c?":             "https://media.example.com/a%20b/c?",
		"https://media.example.com/a%20b//...":           "https://media.example.com/a%20b//...?",
	} {
		got, err := p.URL(raw)
		if err != nil || got != want+p.Query() {
			t.Errorf("%s: got %s, %v, want %s", raw, got, err, want)
			continue
		}
		if g, err := newVerifier(t).Verify(ctx, get(got)); err != nil || g.Prefix != "https://media.example.com/a%20b/" || g.Query != nil {
			t.Errorf("%s: granted %+v, %v", got, g, err)
		}
	}
	for raw, want := range map[string]struct {
		class  error
		reason string
	}{
		"https://media.example.com/a%20b":                     {signer.ErrRequest, "it does not begin with https://media.example.com/a%20b/"},
		"https://media.example.com/A%20b/c":                   {signer.ErrRequest, "it does not begin with"},
		"https://media.example.com/a%20bc":                    {signer.ErrRequest, "it does not begin with"},
		"https://media.example.com/":                          {signer.ErrRequest, "it does not begin with"},
		"http://media.example.com/a%20b/c":                    {signer.ErrRequest, "it does not begin with"},
		"https://other.example.com/a%20b/c":                   {signer.ErrRequest, "it does not begin with"},
		"https://media.example.com:443/a%20b/c":               {signer.ErrRequest, "it has a port"},
		"https://media.example.com/a%20b/c#f":                 {signer.ErrRequest, "it has a fragment"},
		"https://media.example.com/a%20b/c#":                  {signer.ErrRequest, "it has a fragment"},
		"https://media.example.com/a%20b/../c":                {signer.ErrRequest, `a segment "." or ".."`},
		"https://media.example.com/a%20b/%2e%2e/c":            {signer.ErrRequest, `a segment "." or ".."`},
		"https://media.example.com/a%20b/x%2f..%2Fc":          {signer.ErrRequest, `a segment "." or ".."`},
		`https://media.example.com/a%20b/..\c`:                {signer.ErrRequest, "a backslash"},
		"https://media.example.com/a%20b/c?Expires=1":         {signer.ErrConflict, "a parameter Expires"},
		"https://media.example.com/a%20b/c?a=1&Signature=1":   {signer.ErrConflict, "a parameter Signature"},
		"https://media.example.com/a%20b/c?urlPrefix":         {signer.ErrConflict, "a parameter urlPrefix"},
		"https://media.example.com/a%20b/c?X-Goog-Signature=": {signer.ErrConflict, "a signature of GOOG4"},
		"a%20b/c": {signer.ErrRequest, "it must be absolute"},
		"":        {signer.ErrRequest, "it must be absolute"},
	} {
		got, err := p.URL(raw)
		wantError(t, raw, err, want.class, want.reason)
		if got != "" {
			t.Errorf("%s: a URL beside the error", raw)
		}
	}
	if again, err := p.URL("https://media.example.com/a%20b/c?" + p.Query()); err == nil {
		t.Errorf("signed twice: %s", again)
	}
}

// The cookie goes from an answer into a browser's jar and from there to the URLs of the prefix, and to no others.
func TestCookie(t *testing.T) {
	for _, tt := range []struct{ prefix, path, under, beside string }{
		{"https://media.example.com/", "/", "https://media.example.com/x/y", "https://other.example.com/x/y"},
		{"https://media.example.com/v/7/", "/v/7/", "https://media.example.com/v/7/1.ts", "https://media.example.com/v/77/1.ts"},
		{"http://media.example.com/v/a%20b/", "/v/", "http://media.example.com/v/a%20b/1.ts", "http://media.example.com/w/a%20b/1.ts"},
		{"https://media.example.com/v;7/w/", "/", "https://media.example.com/v;7/w/1.ts", "https://other.example.com/v;7/w/1.ts"},
		{"https://media.example.com/v/a;7/", "/v/", "https://media.example.com/v/a;7/1.ts", "https://media.example.com/w/a;7/1.ts"},
		{"http://192.0.2.7/v/", "/v/", "http://192.0.2.7/v/1.ts", "http://192.0.2.77/v/1.ts"},
		{"http://[2001:db8::1]/v/", "/v/", "http://[2001:db8::1]/v/1.ts", "http://[2001:db8::2]/v/1.ts"},
	} {
		base := mustURL(t, tt.prefix)
		base.Path, base.RawPath = "", ""
		s := newSigner(t, func(c *cdn.Config) { c.BaseURL = base })
		p, err := s.PresignPrefix(ctx, tt.prefix, signer.Options{Expires: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		c := p.Cookie()
		if c.Name != "Cloud-CDN-Cookie" || c.Path != tt.path || !c.HttpOnly || c.Secure != strings.HasPrefix(tt.prefix, "https:") || !c.Expires.Equal(p.ExpiresAt) {
			t.Errorf("%s: %+v", tt.prefix, c)
		}
		if err := c.Valid(); err != nil {
			t.Errorf("%s: %v", tt.prefix, err)
		}
		w := httptest.NewRecorder()
		http.SetCookie(w, c)
		sent := w.Result().Cookies()
		if len(sent) != 1 || sent[0].Value != c.Value || sent[0].Path != tt.path || sent[0].Domain != c.Domain {
			t.Fatalf("%s: %q arrives as %+v", tt.prefix, w.Header(), sent)
		}
		sent[0].Expires = time.Now().Add(time.Hour) // the jar has no clock of ours
		jar, _ := cookiejar.New(nil)
		jar.SetCookies(mustURL(t, tt.under), sent)
		if got := jar.Cookies(mustURL(t, tt.beside)); len(got) != 0 {
			t.Errorf("%s: the cookie goes to %s", tt.prefix, tt.beside)
		}
		in := get(tt.under)
		for _, c := range jar.Cookies(mustURL(t, tt.under)) {
			in.AddCookie(c)
		}
		v := newVerifier(t, func(c *cdn.VerifierConfig) { c.BaseURL = base })
		if g, err := v.Verify(ctx, in); err != nil || g.Prefix != tt.prefix || !g.ExpiresAt.Equal(p.ExpiresAt) {
			t.Errorf("%s: granted %+v, %v", tt.prefix, g, err)
		}
	}
}

// A prefix has windows as URLs have.
func TestPrefixWindow(t *testing.T) {
	o := signer.Options{Expires: time.Hour, Window: 10 * time.Minute}
	at := func(now time.Time) *cdn.Prefix {
		p, err := newSigner(t, func(c *cdn.Config) { c.Clock = fixed(now) }).PresignPrefix(ctx, "https://media.example.com/v/", o)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	start := time.Date(2026, 11, 24, 23, 50, 0, 0, time.UTC)
	first, last, next := at(start), at(start.Add(10*time.Minute-1)), at(start.Add(10*time.Minute))
	if first.Query() != last.Query() || first.Query() == next.Query() || first.Cookie().Value != last.Cookie().Value {
		t.Error("the signature is not that of the window")
	}
	if !first.StableUntil.Equal(start.Add(10*time.Minute)) || !first.ExpiresAt.Equal(start.Add(70*time.Minute)) || first.LimitedBy != signer.LimitRequest {
		t.Errorf("%+v", first)
	}
}
