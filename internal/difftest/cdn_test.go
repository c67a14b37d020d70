package difftest

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// There is no library for Cloud CDN to compare with, only samples. So this is the documented rule once more, written from the page
// and not from package cdn, with strings and the standard library alone.
//
// https://docs.cloud.google.com/cdn/docs/using-signed-urls
// https://docs.cloud.google.com/cdn/docs/using-signed-cookies

// A cdnPeer signs as the page says.
type cdnPeer struct {
	name string
	key  []byte
}

func (p cdnPeer) hmac(text string) string {
	mac := hmac.New(sha1.New, p.key)
	fmt.Fprint(mac, text)
	return base64.URLEncoding.EncodeToString(mac.Sum(nil))
}

// signURL signs a URL as it stands.
func (p cdnPeer) signURL(raw string, expires int64) string {
	if strings.Contains(raw, "?") {
		raw += "&"
	} else {
		raw += "?"
	}
	raw += fmt.Sprintf("Expires=%d&KeyName=%s", expires, p.name)
	return raw + "&Signature=" + p.hmac(raw)
}

// signPrefix signs a prefix, for a query with "&" and for a cookie with ":".
func (p cdnPeer) signPrefix(prefix, separator string, expires int64) string {
	policy := strings.Join([]string{"URLPrefix=" + base64.URLEncoding.EncodeToString([]byte(prefix)), fmt.Sprint("Expires=", expires), "KeyName=" + p.name}, separator)
	return policy + separator + "Signature=" + p.hmac(policy)
}

// percentEncode encodes what RFC 3986 does not call unreserved, and keeps the bytes of keep.
func percentEncode(s, keep string) string {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	var b strings.Builder
	for _, c := range []byte(s) {
		if strings.Contains(unreserved+keep, string(rune(c))) && c < 0x80 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// objectURL is the URL of an object with parameters, sorted.
func objectURL(base, key string, query url.Values) string {
	raw := base + "/" + percentEncode(key, "/")
	var names, parts []string
	for name := range query {
		names = append(names, percentEncode(name, ""))
	}
	sort.Strings(names)
	for _, name := range names {
		plain, _ := url.PathUnescape(name)
		values := make([]string, 0, len(query[plain]))
		for _, v := range query[plain] {
			values = append(values, percentEncode(v, ""))
		}
		sort.Strings(values)
		for _, v := range values {
			parts = append(parts, name+"="+v)
		}
	}
	if parts != nil {
		raw += "?" + strings.Join(parts, "&")
	}
	return raw
}

// rawQuery is a query as clients write them, good style or bad.
func (g gen) rawQuery() string {
	return pick(g, []string{"", "a=b", "b=2&a=1", "a=%41+", "a&b=", "z=%2f&&y=1&", "é=1&%C3%A9a=%c3", "x=a/b?c", "=", "&", "a=1&a=1", "q=" + url.QueryEscape(g.text(4)),
		url.QueryEscape("n"+g.text(2)) + "=" + percentEncode(g.text(3), "/:@!$'()*,;")})
}

// cdnTry is everything that one case compares: a key's URL, a finished URL, a prefix, its cookie, and a URL under it.
type cdnTry struct {
	base, folder  string
	request       signer.Request
	finished      string
	now           time.Time
	key           cdn.Key
	peer          cdnPeer
	end           int64
	expires, wide time.Duration
}

func (g gen) cdnTry() cdnTry {
	try := cdnTry{
		base:    pick(g, []string{"https://media.example.com", "http://35.186.234.33", "https://cdn.example.com/videos", "http://a.example/b%20c/d"}),
		now:     time.Unix(1_500_000_000+g.Int64N(1_000_000_000), g.Int64N(1_000_000_000)),
		expires: time.Duration(1+g.IntN(100_000)) * time.Second,
	}
	try.peer = cdnPeer{name: pick(g, []string{"my-key", "k", "Key_2", strings.Repeat("x", 63)})}
	for range 16 {
		try.peer.key = append(try.peer.key, byte(g.IntN(256)))
	}
	try.key = cdn.Key{Name: try.peer.name, Secret: signer.NewSecret(try.peer.key)}
	try.end = try.now.Unix() + int64(try.expires/time.Second)
	if g.chance(4) {
		try.wide = time.Duration(1+g.IntN(int(try.expires/time.Second))) * time.Second / 2 / time.Second * time.Second
		if s := int64(try.wide / time.Second); s > 0 { // from the start of the window, of which s seconds and the life remain
			try.end = try.now.Unix() - try.now.Unix()%s + s + int64(try.expires/time.Second)
		}
	}
	try.request = signer.Request{Method: pick(g, []string{"", "GET", "HEAD"}), Key: g.key(), Query: g.query(), Expires: try.expires, Window: try.wide}
	folder := strings.NewReplacer(".", "-", `\`, "-").Replace(g.text(3)) // no segment "..", which no prefix may have
	try.folder = try.base + "/" + percentEncode(folder, "/!$'()*,:@")
	if !strings.HasSuffix(try.folder, "/") {
		try.folder += "/"
	}
	try.finished = try.folder + pick(g, []string{"", "x", "a%2fb", "a%2Fb", "c%7E+d", "%6b", "a//b///", "(a)!*'", "%C3%A9", "a;b=c", "a%20b"})
	if query := g.rawQuery(); query != "" {
		try.finished += "?" + query
	}
	return try
}

func TestCDNEqualsTheDocumentedRule(t *testing.T) {
	const tries = 8000 // of five signatures, four of them URLs
	ctx := context.Background()
	g := newGen(5)
	urls := 0
	for range tries {
		try := g.cdnTry()
		base, err := url.Parse(try.base)
		require.NoError(t, err)
		s, err := cdn.New(cdn.Config{BaseURL: base, Key: try.key, Clock: clock.Fixed(try.now)})
		require.NoError(t, err)
		v, err := cdn.NewVerifier(cdn.VerifierConfig{BaseURL: base, Keys: []cdn.Key{try.key}, Clock: clock.Fixed(try.now)})
		require.NoError(t, err)
		same := func(want, got string) {
			t.Helper()
			urls++
			if got != want {
				t.Fatalf("%+v\nwant %s\ngot  %s", try.request, want, got)
			}
		}
		accepted := func(raw string, cookie *http.Cookie) *signer.Grant {
			t.Helper()
			in := httptest.NewRequest("GET", try.base, nil)
			at := strings.Index(raw[len("https://"):], "/") + len("https://")
			in.RequestURI = raw[at:]
			if cookie != nil {
				in.AddCookie(cookie)
			}
			grant, err := v.Verify(ctx, in)
			require.NoError(t, err, raw)
			return grant
		}

		p, err := s.Presign(ctx, try.request)
		require.NoError(t, err, "%q", try.request.Key)
		same(try.peer.signURL(objectURL(try.base, try.request.Key, try.request.Query), try.end), p.URL)
		if grant := accepted(p.URL, nil); grant.Key != try.request.Key {
			t.Fatalf("asked for %q, granted %q", try.request.Key, grant.Key)
		}
		appended, _, err := s.AppendURL(ctx, nil, try.request)
		require.NoError(t, err)
		require.Equal(t, p.URL, string(appended))

		req, err := http.NewRequest("GET", try.finished, nil)
		require.NoError(t, err)
		o := signer.Options{Expires: try.expires, Window: try.wide}
		p, err = s.PresignRequest(ctx, req, o)
		require.NoError(t, err, try.finished)
		same(try.peer.signURL(try.finished, try.end), p.URL)
		accepted(p.URL, nil)

		prefix, err := s.PresignPrefix(ctx, try.folder, o)
		require.NoError(t, err, try.folder)
		query := try.peer.signPrefix(try.folder, "&", try.end)
		same(query, prefix.Query())
		got, err := prefix.URL(try.finished)
		require.NoError(t, err)
		and := "?"
		if strings.Contains(try.finished, "?") {
			and = "&"
		}
		same(try.finished+and+query, got)
		accepted(got, nil)

		require.Equal(t, try.peer.signPrefix(try.folder, ":", try.end), prefix.Cookie().Value)
		accepted(try.finished, prefix.Cookie())
	}
	assert.GreaterOrEqual(t, urls, 20_000)
	t.Logf("%d URLs equal those of the documented rule", urls)
}
