package cdn

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

const (
	mediaSeed   = "DJUcnLguVFKmVCFnWGubG1MZg7fWAnxacMjKDhVZMGI"
	mediaShared = "g_SlMILiIWKqsC6Z2L7gy0sReDOqtSrJrE7CXNr5Nl8"
	mediaHost   = "https://media.example.com"
)

func mediaNoon() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

func mediaTestKey(t testing.TB, a MediaAlgorithm) MediaKey {
	t.Helper()
	k, err := ParseMediaPrivateKey("my-keyset", mediaSeed)
	if a != MediaEd25519 {
		k, err = ParseMediaSharedKey("my-keyset", a, mediaShared)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mediaURL(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func newMediaSigner(t testing.TB, edits ...func(*MediaConfig)) *MediaSigner {
	t.Helper()
	c := MediaConfig{BaseURL: mediaURL(t, mediaHost), Bucket: "films", Key: mediaTestKey(t, MediaEd25519), Clock: clock.Fixed(mediaNoon())}
	for _, edit := range edits {
		edit(&c)
	}
	s, err := NewMedia(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newMediaVerifier accepts the test keys of all algorithms.
func newMediaVerifier(t testing.TB, edits ...func(*MediaVerifierConfig)) *MediaVerifier {
	t.Helper()
	public, err := ParseMediaPublicKey("my-keyset", mediaTestKey(t, MediaEd25519).PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	c := MediaVerifierConfig{BaseURL: mediaURL(t, mediaHost), Bucket: "films", Clock: clock.Fixed(mediaNoon()),
		Keys: []MediaKey{public, mediaTestKey(t, MediaHMACSHA1), mediaTestKey(t, MediaHMACSHA256)}}
	for _, edit := range edits {
		edit(&c)
	}
	v, err := NewMediaVerifier(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mediaHour() signer.Options { return signer.Options{Expires: time.Hour} }

// mediaLearned is a clock that has learned an hour.
type mediaLearned struct{}

func (mediaLearned) Now() time.Time                                   { return mediaNoon() }
func (mediaLearned) Read(authority string) (time.Time, time.Duration) { return mediaNoon(), time.Hour }

// mediaWantError checks that err is of a class and says what is at fault.
func mediaWantError(t *testing.T, err, class error, part string) {
	t.Helper()
	var e *signer.Error
	switch {
	case err == nil:
		t.Errorf("no error, want %v about %s", class, part)
	case !errors.Is(err, class) || !errors.As(err, &e):
		t.Errorf("%v is no *signer.Error of the class %q", err, class)
	case !strings.Contains(err.Error(), part):
		t.Errorf("%q does not say %q", err, part)
	}
}

// Under a point of small order a constant is a signature of many texts, so a keyset's placeholder would let everybody sign.
func TestMediaKeysOfSmallOrder(t *testing.T) {
	for _, y := range []string{strings.Repeat("00", 32), "01" + strings.Repeat("00", 31), "ec" + strings.Repeat("ff", 30) + "7f", "ed" + strings.Repeat("ff", 30) + "7f",
		"ee" + strings.Repeat("ff", 30) + "7f", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"} {
		key, err := hex.DecodeString(y)
		if err != nil {
			t.Fatal(err)
		}
		for _, sign := range []byte{0, 0x80} {
			key[31] = key[31]&0x7f | sign
			if _, err := ParseMediaPublicKey("k", base64.RawURLEncoding.EncodeToString(key)); !errors.Is(err, signer.ErrCredentials) {
				t.Errorf("%x is taken: %v", key, err)
			}
		}
	}
}

func TestMediaKeysRefused(t *testing.T) {
	seed, _ := base64.RawURLEncoding.DecodeString(mediaSeed)
	private := ed25519.NewKeyFromSeed(seed)
	other := ed25519.NewKeyFromSeed(make([]byte, 32))
	encode := base64.URLEncoding.EncodeToString
	const pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAyVHJy4LlRSplQhZ1hrmxtTGYO31gJ8WnDIyg4VWTBi\n-----END PRIVATE KEY-----\n"
	parsers := map[string]func(name, text string) (MediaKey, error){
		"private": ParseMediaPrivateKey,
		"public":  ParseMediaPublicKey,
		"shared":  func(name, text string) (MediaKey, error) { return ParseMediaSharedKey(name, MediaHMACSHA256, text) },
	}
	for _, tt := range []struct{ kind, name, text, want string }{
		{"private", "k", "", "it is empty"},
		{"private", "k", pem, "openssl pkey -in FILE -outform DER | tail -c 32 | base64"},
		{"public", "k", pem, "openssl pkey -in FILE -pubout -outform DER | tail -c 32 | base64"},
		{"private", "k", strings.Replace(base64.StdEncoding.EncodeToString(private), "A", "+", 1), "write - for + and _ for /"},
		{"private", "k", string(private), "if it is the key file itself, encode it"},
		{"private", "k", mediaSeed + "=\n=", "not base64url"},
		{"private", "k", mediaSeed[:20] + "\n" + mediaSeed[20:], "not base64url"},
		{"private", "k", mediaSeed + "==", "not base64url"},
		{"private", "k", mediaSeed[:42], "it has 31 bytes"},
		{"private", "k", encode(append(seed, 1)), "it has 33 bytes"},
		{"private", "k", encode(append(seed[:32:32], other[32:]...)), "its second half is not the public key of the first"},
		{"public", "k", encode(private), "it has 64 bytes; an Ed25519 public key has 32, the last 32"},
		{"shared", "k", encode(seed[:15]), "it has 15 bytes"},
		{"private", "", mediaSeed, "no name of a keyset"},
		{"private", "a b", mediaSeed, "no name of a keyset"},
		{"private", "a&Signature=", mediaSeed, "no name of a keyset"},
		{"public", strings.Repeat("k", 65), mediaSeed, "no name of a keyset"},
		{"shared", "k:", mediaShared, "no name of a keyset"},
	} {
		k, err := parsers[tt.kind](tt.name, tt.text)
		mediaWantError(t, err, signer.ErrCredentials, tt.want)
		if k.Algorithm() != 0 || k.sign != nil || k.verify != nil {
			t.Errorf("%s %q: a key beside the error", tt.kind, tt.name)
		}
		if err != nil && len(tt.text) > 8 && strings.Contains(err.Error(), tt.text[4:8]) {
			t.Errorf("%q repeats the key", err)
		}
	}
	for _, a := range []MediaAlgorithm{0, MediaEd25519, 9} {
		_, err := ParseMediaSharedKey("k", a, mediaShared)
		mediaWantError(t, err, signer.ErrRequest, "choose MediaHMACSHA256 or MediaHMACSHA1")
	}
	if k, err := ParseMediaPrivateKey("k", " "+mediaSeed+"=\r\n"); err != nil || k.Name() != "k" || k.String() != "k (Ed25519)" {
		t.Errorf("white space around a key: %v, %v", k, err)
	}
	if k, err := ParseMediaSharedKey("k", MediaHMACSHA1, encode(seed[:16])); err != nil || k.PublicKey() != "" || k.Algorithm() != MediaHMACSHA1 {
		t.Errorf("16 bytes: %v, %v", k, err)
	}
}

// HMAC-SHA1 panics in FIPS 140-only mode; it must be an error, and the rest must work.
func TestMediaFIPS(t *testing.T) {
	if os.Getenv("CLOUDSIGNER_MEDIA_FIPS") == "" {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		for mode, want := range map[string]string{"only": "refused", "on": "taken"} {
			cmd := exec.Command(exe, "-test.run=^TestMediaFIPS$", "-test.v")
			cmd.Env = append(os.Environ(), "CLOUDSIGNER_MEDIA_FIPS=1", "GODEBUG=fips140="+mode)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "HMAC-SHA1 is "+want) {
				t.Errorf("fips140=%s: %v\n%s", mode, err, out)
			}
		}
		return
	}
	if _, err := ParseMediaSharedKey("k", MediaHMACSHA1, mediaShared); err == nil {
		t.Log("HMAC-SHA1 is taken")
	} else {
		mediaWantError(t, err, signer.ErrUnsupported, "FIPS 140-only")
		t.Log("HMAC-SHA1 is refused")
	}
	for _, a := range []MediaAlgorithm{MediaEd25519, MediaHMACSHA256} {
		k := mediaTestKey(t, a)
		if !k.verify([]byte("text"), k.sign([]byte("text"))) {
			t.Errorf("%v does not work", a)
		}
	}
}

func TestMediaConfigRefused(t *testing.T) {
	public, err := ParseMediaPublicKey("k", mediaTestKey(t, MediaEd25519).PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewMedia(MediaConfig{BaseURL: mediaURL(t, "https://u@media.example.com:8443/?q"), Bucket: "a/b", Key: public, TokenParameter: "Signature"})
	for _, part := range []string{"BaseURL: ", "Bucket: ", "Key: no usable credentials: it is a public key", "TokenParameter: "} {
		mediaWantError(t, err, signer.ErrRequest, part)
	}
	_, err = NewMedia(MediaConfig{BaseURL: mediaURL(t, mediaHost)})
	mediaWantError(t, err, signer.ErrCredentials, "make one with ParseMediaPrivateKey")
	_, err = NewMedia(MediaConfig{Key: mediaTestKey(t, MediaEd25519)})
	mediaWantError(t, err, signer.ErrRequest, "BaseURL")

	_, err = NewMediaVerifier(MediaVerifierConfig{Bucket: "a/b", TokenParameter: "a&b", Clock: mediaLearned{}})
	for _, part := range []string{"BaseURL: ", "Bucket: ", "Keys: ", "TokenParameter: ", "Clock: "} {
		mediaWantError(t, err, signer.ErrRequest, part)
	}
	_, err = NewMediaVerifier(MediaVerifierConfig{BaseURL: mediaURL(t, mediaHost), Keys: []MediaKey{public, {}}})
	mediaWantError(t, err, signer.ErrCredentials, "one is empty")
}

func TestMediaPresignRefused(t *testing.T) {
	s := newMediaSigner(t, func(c *MediaConfig) { c.TokenParameter = "hdnts" })
	for _, tt := range []struct {
		r     signer.Request
		class error
		want  string
	}{
		{signer.Request{Key: "k", Method: "PUT"}, signer.ErrUnsupported, "Method"},
		{signer.Request{Key: "k", Bucket: "other"}, signer.ErrRequest, `Bucket: bad request: the bucket behind BaseURL is "films"`},
		{signer.Request{Key: "k", Header: http.Header{"Foo": {"a"}}}, signer.ErrUnsupported, "Header.Foo: unsupported: a signature of a URL covers no headers; leave it out, demand it with a token (MediaSigner.Token),"},
		{signer.Request{Key: "k", SourceIP: netip.MustParsePrefix("192.0.2.0/24")}, signer.ErrUnsupported, "SourceIP: unsupported: a signature of a URL is for every address; leave it out, demand it with a token"},
		{signer.Request{Key: "k", Response: signer.ResponseHeaders{ContentType: "a/b"}}, signer.ErrUnsupported, "Response.ContentType"},
		{signer.Request{Key: "k", Query: url.Values{"hdnts": {"x"}}}, signer.ErrRequest, "carries a token"},
		{signer.Request{Key: "k", Query: url.Values{"Edge-Cache-Token": {"x"}}}, signer.ErrRequest, "carries a token"},
		{signer.Request{Key: "k", Query: url.Values{"Expires": {"x"}}}, signer.ErrRequest, "Query"},
		{signer.Request{Key: "a/../b"}, signer.ErrRequest, "Key"},
		{signer.Request{Key: "k", Expires: -1}, signer.ErrLifetime, "Expires"},
	} {
		if tt.r.Expires == 0 {
			tt.r.Expires = time.Hour
		}
		p, err := s.Presign(context.Background(), tt.r)
		mediaWantError(t, err, tt.class, tt.want)
		if p != nil {
			t.Errorf("%v: a URL beside the error", err)
		}
	}
	for raw, want := range map[string]string{
		mediaHost + "/a?hdnts=x":                             "token",
		mediaHost + "/a?%68dnts=x":                           "token",
		mediaHost + "/a/edge-cache-token=x/b":                "signed already",
		mediaHost + "/a?Signature=x":                         "URL",
		mediaHost + "/a?x-goog-signature=x":                  "URL",
		"https://other.example.com/a":                        "URL",
		"http://media.example.com/a":                         "URL",
		mediaHost + ":8443/a":                                "port",
		mediaHost:                                            "no path",
		mediaHost + "/a?edge-cache-token=Expires=1~hmac=abc": "token",
	} {
		req, err := http.NewRequest("GET", raw, nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.PresignRequest(context.Background(), req, mediaHour())
		if err == nil || p != nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hmac=abc") {
			t.Errorf("PresignRequest of %s: %v, want an error that says %q", raw, err, want)
		}
	}
	shared := newMediaSigner(t, func(c *MediaConfig) { c.Key = mediaTestKey(t, MediaHMACSHA256) })
	_, err := shared.Presign(context.Background(), signer.Request{Key: "k", Expires: time.Hour})
	mediaWantError(t, err, signer.ErrUnsupported, "HMAC-SHA256 is for tokens alone")
	_, err = shared.PresignPrefix(context.Background(), mediaHost+"/a/", mediaHour())
	mediaWantError(t, err, signer.ErrUnsupported, "HMAC-SHA256 is for tokens alone")
}

func TestMediaPrefixRefused(t *testing.T) {
	s := newMediaSigner(t, func(c *MediaConfig) { c.BaseURL = mediaURL(t, mediaHost+"/tv") })
	for prefix, want := range map[string]string{
		"":                                    "URL",
		"/tv/":                                "absolute",
		mediaHost + "/tv":                     "does not begin with " + mediaHost + "/tv/",
		mediaHost + "/tv/data":                "does not end in a slash",
		mediaHost + "/film/":                  "does not begin with",
		"https://media.example.com.evil/tv/":  "does not begin with",
		"http://media.example.com/tv/":        "does not begin with",
		"https://MEDIA.example.com/tv/":       "does not begin with",
		"https://u:p@media.example.com/tv/":   "user name",
		mediaHost + ":443/tv/":                "port",
		mediaHost + "/tv/?a=/":                "it has a query",
		mediaHost + "/tv/?":                   "it has a query",
		mediaHost + "/tv/#a/":                 "fragment",
		mediaHost + "/tv/../film/":            `".."`,
		mediaHost + "/tv/%2e%2e/film/":        `".."`,
		mediaHost + "/tv/%2E/":                `"."`,
		mediaHost + `/tv/a\b/`:                "URL",
		mediaHost + "/tv/a%5Cb/":              "backslash",
		mediaHost + "/tv/a b/":                "percent-encode",
		mediaHost + "/tv/a<b/":                "another spelling",
		mediaHost + "/tv/a{b}/":               "another spelling",
		mediaHost + "/tv/é/":                  "percent-encode",
		mediaHost + "/tv/\n/":                 "control",
		mediaHost + "/tv/%zz/":                "URL",
		mediaHost + "/tv/edge-cache-token=x/": "signed already",
	} {
		p, err := s.PresignPrefix(context.Background(), prefix, mediaHour())
		class := signer.ErrRequest
		if want == "signed already" {
			class = signer.ErrConflict
		}
		mediaWantError(t, err, class, want)
		_, err2 := s.Token(context.Background(), MediaToken{URLPrefix: prefix}, mediaHour())
		if p != nil || err2 == nil || prefix != "" && !strings.Contains(err2.Error(), "URLPrefix: ") {
			t.Errorf("%q: a pass beside the error, or a token: %v", prefix, err2)
		}
		for line := range strings.SplitSeq(err.Error(), "\n") { // each fault says once where it stands
			if strings.Count(line, "cdn: ") != 1 || !strings.HasPrefix(line, "cdn: presign media prefix: URL: "+class.Error()+": ") {
				t.Errorf("%q: %s", prefix, line)
			}
		}
	}
	_, err := s.PresignPrefix(context.Background(), mediaHost+"/tv/a/", signer.Options{})
	mediaWantError(t, err, signer.ErrLifetime, "Expires")
}

func TestMediaTokenRefused(t *testing.T) {
	s := newMediaSigner(t)
	field := func(name, value string) []signer.Field { return []signer.Field{{Name: name, Value: value}} }
	all := func(edit func(*MediaToken)) MediaToken {
		t := MediaToken{PathGlobs: []string{"/tv/*"}}
		edit(&t)
		return t
	}
	for name, tt := range map[string]struct {
		token       MediaToken
		class       error
		field, want string
	}{
		"nothing":                    {MediaToken{}, signer.ErrRequest, "URLPrefix, PathGlobs, FullPath", "0 of them"},
		"two scopes":                 {MediaToken{FullPath: "/a", PathGlobs: []string{"/*"}}, signer.ErrRequest, "FullPath", "2 of them"},
		"two other scopes":           {MediaToken{URLPrefix: mediaHost + "/", PathGlobs: []string{"/*"}}, signer.ErrRequest, "FullPath", "2 of them"},
		"three scopes":               {MediaToken{URLPrefix: mediaHost + "/", PathGlobs: []string{"/*"}, FullPath: "/a"}, signer.ErrRequest, "FullPath", "3 of them"},
		"no globs":                   {MediaToken{PathGlobs: []string{}}, signer.ErrRequest, "PathGlobs", "there are none"},
		"an empty glob":              {MediaToken{PathGlobs: []string{"/a", ""}}, signer.ErrRequest, "PathGlobs", "does not begin"},
		"a glob without a slash":     {MediaToken{PathGlobs: []string{"*"}}, signer.ErrRequest, "PathGlobs", "does not begin"},
		"a glob with a comma":        {MediaToken{PathGlobs: []string{"/a,/*"}}, signer.ErrRequest, "PathGlobs", "ends a glob"},
		"a glob with a mark":         {MediaToken{PathGlobs: []string{"/a!/*"}}, signer.ErrRequest, "PathGlobs", "ends a glob"},
		"a glob with a tilde":        {MediaToken{PathGlobs: []string{"/a~Expires=9"}}, signer.ErrRequest, "PathGlobs", "ends a glob"},
		"a glob with an ampersand":   {MediaToken{PathGlobs: []string{"/a&b"}}, signer.ErrRequest, "PathGlobs", "ends a glob"},
		"a glob with a semicolon":    {MediaToken{PathGlobs: []string{"/a;b"}}, signer.ErrRequest, "PathGlobs", "ends a glob"},
		"a glob with an escape":      {MediaToken{PathGlobs: []string{"/a%20b"}}, signer.ErrRequest, "PathGlobs", "set URLPrefix"},
		"a glob with a line":         {MediaToken{PathGlobs: []string{"/a\n"}}, signer.ErrRequest, "PathGlobs", "ends a glob"},
		"a glob with dots":           {MediaToken{PathGlobs: []string{"/a/../*"}}, signer.ErrRequest, "PathGlobs", "segment . or .."},
		"a path without a slash":     {MediaToken{FullPath: "a"}, signer.ErrRequest, "FullPath", "begin with a slash"},
		"a path with a query":        {MediaToken{FullPath: "/a?b"}, signer.ErrRequest, "FullPath", "without query"},
		"a path with a blank":        {MediaToken{FullPath: "/a b"}, signer.ErrRequest, "FullPath", "percent-encoded"},
		"a path with a bracket":      {MediaToken{FullPath: "/a<b"}, signer.ErrRequest, "FullPath", "percent-encoded"},
		"a path with a fragment":     {MediaToken{FullPath: "/a#b"}, signer.ErrRequest, "FullPath", "percent-encoded"},
		"data with a quote":          {all(func(t *MediaToken) { t.Data = "a'b" }), signer.ErrRequest, "Data", "base64url"},
		"a glob with a brace":        {MediaToken{PathGlobs: []string{"/a{b}"}}, signer.ErrRequest, "PathGlobs", "ends a glob"},
		"a path with a letter":       {MediaToken{FullPath: "/é"}, signer.ErrRequest, "FullPath", "percent-encoded"},
		"a path with a tilde":        {MediaToken{FullPath: "/~u"}, signer.ErrRequest, "FullPath", "%7E"},
		"a path with dots":           {MediaToken{FullPath: "/a/%2e%2e/b"}, signer.ErrRequest, "FullPath", `".."`},
		"a broken escape":            {MediaToken{FullPath: "/a%2"}, signer.ErrRequest, "FullPath", "percent-encoded"},
		"a session with a tilde":     {all(func(t *MediaToken) { t.SessionID = "a~Data=b" }), signer.ErrRequest, "SessionID", "base64url"},
		"data with a tilde":          {all(func(t *MediaToken) { t.Data = "a~IPRanges=b" }), signer.ErrRequest, "Data", "base64url"},
		"data with a blank":          {all(func(t *MediaToken) { t.Data = "a b" }), signer.ErrRequest, "Data", "base64url"},
		"data with a control":        {all(func(t *MediaToken) { t.Data = "a\x00" }), signer.ErrRequest, "Data", "base64url"},
		"data with an ampersand":     {all(func(t *MediaToken) { t.Data = "a&b" }), signer.ErrRequest, "Data", "base64url"},
		"data with a semicolon":      {all(func(t *MediaToken) { t.Data = "a;b" }), signer.ErrRequest, "Data", "base64url"},
		"data with a comma":          {all(func(t *MediaToken) { t.Data = "a,b" }), signer.ErrRequest, "Data", "base64url"},
		"data with an escape":        {all(func(t *MediaToken) { t.Data = "a%20" }), signer.ErrRequest, "Data", "base64url"},
		"no headers":                 {all(func(t *MediaToken) { t.Headers = []signer.Field{} }), signer.ErrRequest, "Headers", "there are none"},
		"a header without a name":    {all(func(t *MediaToken) { t.Headers = field("", "a") }), signer.ErrRequest, "Headers", "no header name"},
		"a name with an equals sign": {all(func(t *MediaToken) { t.Headers = field("a=b", "c") }), signer.ErrRequest, "Headers", "no header name"},
		"a name with a comma":        {all(func(t *MediaToken) { t.Headers = field("a,b", "c") }), signer.ErrRequest, "Headers", "no header name"},
		"a name with a tilde":        {all(func(t *MediaToken) { t.Headers = field("a~b", "c") }), signer.ErrRequest, "Headers", "no header name"},
		"Host":                       {all(func(t *MediaToken) { t.Headers = field("host", "c") }), signer.ErrRequest, "Headers", "URLPrefix"},
		"Authorization":              {all(func(t *MediaToken) { t.Headers = field("authorization", "c") }), signer.ErrRequest, "Headers", "two authorizations"},
		"a header twice":             {all(func(t *MediaToken) { t.Headers = append(field("Foo", "a"), field("foo", "a")...) }), signer.ErrRequest, "Headers", "twice"},
		"a value with a tilde":       {all(func(t *MediaToken) { t.Headers = field("Foo", "a~Data=b") }), signer.ErrRequest, "Headers", "another field"},
		"a value with a pair":        {all(func(t *MediaToken) { t.Headers = field("Foo", "a,Bar=b") }), signer.ErrRequest, "Headers", "another field"},
		"a value with a line":        {all(func(t *MediaToken) { t.Headers = field("Foo", "a\r\nb") }), signer.ErrRequest, "Headers", "control"},
		"a value with blanks":        {all(func(t *MediaToken) { t.Headers = field("Foo", " a") }), signer.ErrRequest, "Headers", "blanks"},
		"no ranges":                  {all(func(t *MediaToken) { t.IPRanges = []netip.Prefix{} }), signer.ErrRequest, "IPRanges", "there are none"},
		"no range":                   {all(func(t *MediaToken) { t.IPRanges = []netip.Prefix{{}} }), signer.ErrRequest, "IPRanges", "netip.ParsePrefix"},
		"a mapped range":             {all(func(t *MediaToken) { t.IPRanges = []netip.Prefix{netip.MustParsePrefix("::ffff:192.0.2.0/120")} }), signer.ErrRequest, "IPRanges", "IPv4 or IPv6"},
		"a start before 1970":        {all(func(t *MediaToken) { t.Starts = time.Unix(-5, 0) }), signer.ErrRequest, "Starts", "1970"},
		"an end before the start":    {all(func(t *MediaToken) { t.Starts = mediaNoon().Add(2 * time.Hour) }), signer.ErrLifetime, "Starts", "before it works"},
		"an end at the start":        {all(func(t *MediaToken) { t.Starts = mediaNoon().Add(time.Hour) }), signer.ErrLifetime, "Starts", "before it works"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := s.Token(context.Background(), tt.token, mediaHour())
			mediaWantError(t, err, tt.class, tt.want)
			if p != nil || err != nil && !strings.Contains(err.Error(), tt.field+": ") {
				t.Errorf("%v: no word of %s, or a token", err, tt.field)
			}
		})
	}
	// All at once.
	_, err := s.Token(context.Background(), MediaToken{FullPath: "a", Data: "~", Headers: field("", ""), IPRanges: []netip.Prefix{{}}}, mediaHour())
	for _, field := range []string{"FullPath: ", "Data: ", "Headers: ", "IPRanges: "} {
		mediaWantError(t, err, signer.ErrRequest, field)
	}
	_, err = s.Token(context.Background(), MediaToken{FullPath: "/a"}, signer.Options{})
	mediaWantError(t, err, signer.ErrLifetime, "Expires")
}

// mediaPasses are a pass of every kind for https://media.example.com/tv/7/a.ts?x=1, and how a request carries it.
func mediaPasses(t *testing.T) map[string]*MediaPass {
	t.Helper()
	ctx := context.Background()
	passes := map[string]*MediaPass{}
	add := func(name string, p *MediaPass, err error) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		passes[name] = p
	}
	p, err := newMediaSigner(t).PresignPrefix(ctx, mediaHost+"/tv/7/", mediaHour())
	add("prefix", p, err)
	for _, a := range []MediaAlgorithm{MediaEd25519, MediaHMACSHA256, MediaHMACSHA1} {
		s := newMediaSigner(t, func(c *MediaConfig) { c.Key = mediaTestKey(t, a) })
		for name, token := range map[string]MediaToken{
			"prefix token": {URLPrefix: mediaHost + "/tv/7/"},
			"glob token":   {PathGlobs: []string{"/film/*", "/tv/?/*.ts"}, SessionID: "s-1", Data: "eyJ1Ijo3fQ"},
			"path token": {FullPath: "/tv/7/a.ts", Starts: mediaNoon(), Headers: []signer.Field{{Name: "User-Agent", Value: "A (KHTML, like B) C/1"}},
				IPRanges: []netip.Prefix{netip.MustParsePrefix("192.0.2.77/24"), netip.MustParsePrefix("2001:db8::/32")}},
		} {
			p, err := s.Token(ctx, token, mediaHour())
			add(a.String()+" "+name, p, err)
		}
	}
	return passes
}

func TestMediaPasses(t *testing.T) {
	const raw = mediaHost + "/tv/7/a.ts?x=1"
	v := newMediaVerifier(t)
	for name, p := range mediaPasses(t) {
		t.Run(name, func(t *testing.T) {
			if !p.ExpiresAt.Equal(mediaNoon().Add(time.Hour)) || p.LimitedBy != signer.LimitRequest || !p.StableUntil.IsZero() {
				t.Errorf("%v, %v, %v", p.ExpiresAt, p.LimitedBy, p.StableUntil)
			}
			inQuery, err := p.URL(raw)
			if err != nil || inQuery != raw+"&"+p.Query() {
				t.Fatalf("URL: %v, %s", err, inQuery)
			}
			if bare, err := p.URL(mediaHost + "/tv/7/a.ts"); err != nil || bare != mediaHost+"/tv/7/a.ts?"+p.Query() {
				t.Errorf("URL without a query: %v, %s", err, bare)
			}
			if bare, err := p.URL(mediaHost + "/tv/7/a.ts?"); err != nil || bare != mediaHost+"/tv/7/a.ts?"+p.Query() {
				t.Errorf("URL with an empty query: %v, %s", err, bare)
			}
			cookie, err := p.Cookie()
			if err != nil || cookie.Name != "Edge-Cache-Cookie" || cookie.Domain != "media.example.com" || !cookie.Secure || !cookie.HttpOnly || !cookie.Expires.Equal(p.ExpiresAt) {
				t.Fatalf("Cookie: %v, %v", err, cookie)
			}
			if want := map[bool]string{true: "/tv/7/", false: "/"}[strings.Contains(name, "prefix")]; cookie.Path != want || cookie.Valid() != nil {
				t.Errorf("Path %q, %v", cookie.Path, cookie.Valid())
			}
			requests := map[string]*http.Request{"query": mediaRequest(inQuery), "cookie": mediaRequest(raw)}
			requests["cookie"].AddCookie(cookie)
			switch inPath, err := p.PathURL(raw); {
			case name != "prefix":
				mediaWantError(t, err, signer.ErrUnsupported, "PresignPrefix")
			case err != nil || !strings.HasPrefix(inPath, mediaHost+"/tv/7/edge-cache-token=Expires=1795611600&KeyName=my-keyset&Signature=") || !strings.HasSuffix(inPath, "/a.ts?x=1"):
				t.Errorf("PathURL: %v, %s", err, inPath)
			default:
				requests["path"] = mediaRequest(inPath)
			}
			if _, token, ok := strings.Cut(inQuery, "edge-cache-token="); ok { // as clients encode it
				requests["encoded"] = mediaRequest(raw + "&edge-cache-token=" + url.QueryEscape(token))
			}
			for form, req := range requests {
				req.RemoteAddr = "192.0.2.1:1"
				req.Header.Set("User-Agent", "A (KHTML, like B) C/1")
				g, err := v.Verify(context.Background(), req)
				if err != nil {
					t.Fatalf("%s: %v", form, err)
				}
				if g.Backend != "cdn" || g.KeyID != "my-keyset" || g.Bucket != "films" || g.Key != "tv/7/a.ts" || g.Method != "GET" || !g.ExpiresAt.Equal(p.ExpiresAt) ||
					!g.NotBefore.Equal(p.NotBefore) || g.Prefix != p.scope.prefix || g.Query.Has("x") || len(g.Fingerprint) != 32 {
					t.Errorf("%s: %+v", form, g)
				}
				if strings.Contains(name, "glob") && (g.Query.Get("SessionID") != "s-1" || g.Query.Get("Data") != "eyJ1Ijo3fQ") {
					t.Errorf("%s: %v", form, g.Query)
				}
				if strings.Contains(name, "path token") && (fmt.Sprint(g.SignedHeaders) != "[user-agent]" || g.Header.Get("User-Agent") != "A (KHTML, like B) C/1") {
					t.Errorf("%s: %v, %v", form, g.SignedHeaders, g.Header)
				}
				if algorithm, _, ok := strings.Cut(name, " "); ok && g.Scheme != "Media-CDN-"+algorithm {
					t.Errorf("%s: scheme %s", form, g.Scheme)
				}
				for _, method := range []string{"HEAD", "OPTIONS"} {
					req.Method = method
					if g, err := v.Verify(context.Background(), req); err != nil || g.Method != method {
						t.Errorf("%s: %s: %v", form, method, err)
					}
				}
				req.Method = "POST"
				_, err = v.Verify(context.Background(), req)
				mediaWantError(t, err, signer.ErrScope, "Method")
			}
			for other, class := range map[string]error{
				mediaHost + "/tv/8x/a.ts": signer.ErrRequest, mediaHost + "/tv/7/../8/a.ts": signer.ErrRequest, mediaHost + "/tv/7/%2e%2e/a.ts": signer.ErrRequest,
				"http://media.example.com/tv/7/a.ts": signer.ErrRequest, "https://media.example.com.evil/tv/7/a.ts": signer.ErrRequest,
				mediaHost + "/tv/7/a.ts#f": signer.ErrRequest, mediaHost + "/tv/7/a b.ts": signer.ErrRequest, "": signer.ErrRequest, "/tv/7/a.ts": signer.ErrRequest,
				inQuery: signer.ErrConflict, mediaHost + "/tv/7/a.ts?Expires=1": signer.ErrConflict, mediaHost + "/tv/7/edge-cache-token=x/a.ts": signer.ErrConflict,
			} {
				for form, make := range map[string]func(string) (string, error){"URL": p.URL, "PathURL": p.PathURL} {
					got, err := make(other)
					if form == "PathURL" && name != "prefix" {
						continue
					}
					if got != "" || !errors.Is(err, class) {
						t.Errorf("%s of %s: %q, %v", form, other, got, err)
					}
				}
			}
		})
	}
}

func TestMediaToken(t *testing.T) {
	passes := mediaPasses(t)
	p := passes["Ed25519 path token"]
	if !strings.Contains(p.Query(), "~IPRanges="+base64.RawURLEncoding.EncodeToString([]byte("192.0.2.0/24,2001:db8::/32"))+"~") {
		t.Errorf("a range keeps the bits of its host: %s", p.Query())
	}
	_, err := p.URL(mediaHost + "/tv/7/A.ts")
	mediaWantError(t, err, signer.ErrRequest, "it is for /tv/7/a.ts")
	_, err = passes["prefix"].URL(mediaHost + "/tv/7/a^b")
	mediaWantError(t, err, signer.ErrRequest, "another spelling")
	_, err = passes["Ed25519 glob token"].URL(mediaHost + "/tv/7/a.js")
	mediaWantError(t, err, signer.ErrRequest, "it is for /film/* and /tv/?/*.ts")
}

func TestMediaCookie(t *testing.T) {
	s := newMediaSigner(t)
	p, err := s.Token(context.Background(), MediaToken{FullPath: "/a", Headers: []signer.Field{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}}}, mediaHour())
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Cookie()
	mediaWantError(t, err, signer.ErrUnsupported, "comma")
	if p, err = s.PresignPrefix(context.Background(), mediaHost+"/a/b;c/d/", mediaHour()); err != nil {
		t.Fatal(err)
	}
	if c, err := p.Cookie(); err != nil || c.Path != "/a/" || c.Valid() != nil {
		t.Errorf("%v, %+v", err, c)
	}
	s = newMediaSigner(t, func(c *MediaConfig) { c.BaseURL = mediaURL(t, "http://[2001:db8::1]") })
	if p, err = s.PresignPrefix(context.Background(), "http://[2001:db8::1]/", mediaHour()); err != nil {
		t.Fatal(err)
	}
	if c, err := p.Cookie(); err != nil || c.Domain != "" || c.Secure || c.Path != "/" || c.Valid() != nil {
		t.Errorf("%v, %+v", err, c)
	}
}

// A Window gives the same bytes, and a Learned clock its correction.
func TestMediaWindow(t *testing.T) {
	now := mediaNoon().Add(7 * time.Minute)
	s := newMediaSigner(t, func(c *MediaConfig) { c.Clock = clock.Func(func() time.Time { return now }) })
	o := signer.Options{Expires: time.Hour, Window: 10 * time.Minute}
	first, err := s.PresignPrefix(context.Background(), mediaHost+"/a/", o)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Minute)
	second, err := s.PresignPrefix(context.Background(), mediaHost+"/a/", o)
	if err != nil {
		t.Fatal(err)
	}
	if first.Query() != second.Query() || !first.StableUntil.Equal(mediaNoon().Add(10*time.Minute)) || !first.ExpiresAt.Equal(mediaNoon().Add(70*time.Minute)) {
		t.Errorf("stable until %v, dies at %v", first.StableUntil, first.ExpiresAt)
	}
	now = now.Add(time.Minute)
	if third, err := s.PresignPrefix(context.Background(), mediaHost+"/a/", o); err != nil || third.Query() == first.Query() {
		t.Errorf("the next window has the same signature (%v)", err)
	}
	s = newMediaSigner(t, func(c *MediaConfig) { c.Clock = mediaLearned{} })
	p, err := s.Presign(context.Background(), signer.Request{Key: "k", Expires: time.Hour})
	if err != nil || p.ClockOffset != time.Hour || !p.NotBefore.IsZero() {
		t.Errorf("%v, %+v", err, p)
	}
	if pass, err := s.Token(context.Background(), MediaToken{FullPath: "/a"}, mediaHour()); err != nil || pass.ClockOffset != time.Hour {
		t.Errorf("%v, %+v", err, pass)
	}
}

// Nothing prints a key, or a signature of a pass; and what a client logs of them can be redacted.
func TestMediaSecrets(t *testing.T) {
	seed, _ := base64.RawURLEncoding.DecodeString(mediaSeed)
	shared, _ := base64.RawURLEncoding.DecodeString(mediaShared)
	var secrets []string
	for _, raw := range [][]byte{seed, shared} {
		secrets = append(secrets, fmt.Sprintf("%x", raw[:8]), fmt.Sprintf("%X", raw[:8]), strings.Trim(fmt.Sprint(raw[:8]), "[]"), string(raw[:8]),
			base64.StdEncoding.EncodeToString(raw)[:10], base64.URLEncoding.EncodeToString(raw)[:10])
	}
	look := func(what, text string) {
		t.Helper()
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %q: %s", what, secret, text)
			}
		}
	}
	signature := func(text string) string {
		i := max(strings.LastIndex(text, "Signature="), strings.LastIndex(text, "hmac="))
		text, _, _ = strings.Cut(text[i:], "/")
		_, value, _ := strings.Cut(text, "=")
		return value
	}
	type nested struct{ inner any }
	printed := map[string]any{}
	for _, a := range []MediaAlgorithm{MediaEd25519, MediaHMACSHA256, MediaHMACSHA1} {
		k := mediaTestKey(t, a)
		s := newMediaSigner(t, func(c *MediaConfig) { c.Key = k })
		printed[a.String()+" key"], printed[a.String()+" config"], printed[a.String()+" signer"] = k, MediaConfig{Key: k}, s
	}
	printed["verifier"] = newMediaVerifier(t)
	for name, p := range mediaPasses(t) {
		secrets = append(secrets, signature(p.Query())) // before there is anything to print
		if c, err := p.Cookie(); err == nil {
			secrets = append(secrets, signature(c.Value))
		}
		if in, err := p.PathURL(mediaHost + "/tv/7/a.ts"); err == nil {
			secrets = append(secrets, signature(in))
		}
		printed[name], printed[name+" by value"] = p, *p
	}
	if len(secrets) != 12+10*2+1 {
		t.Fatalf("%d secrets", len(secrets))
	}
	for name, x := range printed {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			look(name+" "+verb, fmt.Sprintf(verb, x))
			look(name+" nested "+verb, fmt.Sprintf(verb, nested{x}))
			look(name+" in a slice "+verb, fmt.Sprintf(verb, []any{&nested{x}, x}))
		}
		if text, err := json.Marshal(x); err == nil {
			look(name+" in JSON", string(text))
		}
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "x", x, "n", nested{x})
		look(name+" logged", log.String())
	}
	for name, p := range mediaPasses(t) {
		inQuery, err := p.URL(mediaHost + "/tv/7/a.ts")
		if err != nil {
			t.Fatal(err)
		}
		look(name, signer.RedactURL(inQuery))
		look(name, signer.RedactURL(mediaHost+"/?u="+url.QueryEscape(inQuery)))
		look(name, signer.RedactURL(p.Query()))
		if inPath, err := p.PathURL(mediaHost + "/tv/7/a.ts"); err == nil {
			look(name, signer.RedactURL(inPath))
			look(name, (&signer.Presigned{Method: "GET", URL: inPath}).String())
			if !strings.HasSuffix(signer.RedactURL(inPath), "/a.ts") {
				t.Errorf("redaction took too much: %s", signer.RedactURL(inPath))
			}
		}
		c, err := p.Cookie()
		if err != nil {
			t.Fatal(err)
		}
		look(name, fmt.Sprint(signer.RedactHeader(http.Header{"Set-Cookie": {c.String()}, "Cookie": {c.Name + "=" + c.Value}})))
		if !strings.Contains(p.String(), "until 2026-11-25T13:00:00Z") {
			t.Error(p.String())
		}
	}
	other := newMediaSigner(t, func(c *MediaConfig) { c.TokenParameter = "t" })
	p, err := other.Token(context.Background(), MediaToken{FullPath: "/a"}, mediaHour())
	if err != nil {
		t.Fatal(err)
	}
	secrets = append(secrets, signature(p.Query()))
	look("a token in another parameter", signer.RedactURL(mediaHost+"/a?"+p.Query()))
}

func TestMediaMatch(t *testing.T) {
	for _, tt := range []struct {
		glob, path string
		want       bool
	}{
		{"/*", "/", true}, {"/*", "/a/b/c", true}, {"*", "/a", true},
		{"/tv/*", "/tv/", true}, {"/tv/*", "/tv/a/b.ts", true}, {"/tv/*", "/tv", false}, {"/tv/*", "/tvx/a", false}, {"/tv/*", "/x/tv/a", false},
		{"/tv/*/a.ts", "/tv/1/2/a.ts", true}, {"/tv/*/a.ts", "/tv/a.ts", false}, {"/tv/*.ts", "/tv/1/2.ts", true}, {"/tv/*.ts", "/tv/1.ts.js", false},
		{"/tv/?.ts", "/tv/1.ts", true}, {"/tv/?.ts", "/tv/.ts", false}, {"/tv/?.ts", "/tv/12.ts", false}, {"/tv?a", "/tv/a", false},
		{"/a*b*c", "/a1b2b3c", true}, {"/a*b*c", "/acb", false}, {"/a**", "/a", true}, {"/a", "/a", true}, {"/a", "/ab", false}, {"/ab", "/a", false}, {"", "", true},
		{"/a[b]", "/ab", false}, {"/a.b", "/axb", false},
	} {
		if got := mediaMatch(tt.glob, tt.path); got != tt.want {
			t.Errorf("%q and %q: %t, want %t", tt.glob, tt.path, got, tt.want)
		}
	}
}

// A URL signs the overrides of the answer with the rest of its query; a prefix signs no query, and so anybody can add some.
func TestMediaGrantsOverrides(t *testing.T) {
	want := signer.ResponseHeaders{ContentType: "text/plain", ContentDisposition: signer.Attachment("Zoë & co.jpg"), CacheControl: "no-store"}
	p, err := newMediaSigner(t).Presign(t.Context(), signer.Request{Key: "cat.jpg", Expires: time.Minute, Response: want, BestEffort: true})
	if err != nil {
		t.Fatal(err)
	}
	g, err := newMediaVerifier(t).Verify(t.Context(), httptest.NewRequest("GET", p.URL, nil))
	if err != nil || g.Response != want {
		t.Errorf("granted %+v, %v, want %+v", g, err, want)
	}
	pass, err := newMediaSigner(t).PresignPrefix(t.Context(), mediaHost+"/v/", mediaHour())
	if err != nil {
		t.Fatal(err)
	}
	u, err := pass.URL(mediaHost + "/v/cat.jpg?response-content-type=text%2Fhtml")
	if err != nil {
		t.Fatal(err)
	}
	if g, err := newMediaVerifier(t).Verify(t.Context(), httptest.NewRequest("GET", u, nil)); err != nil || g.Response != (signer.ResponseHeaders{}) {
		t.Errorf("a prefix grants %+v, %v", g, err)
	}
}

// What a MediaSigner says that it can do is signed and held to by the verifier, and the rest is refused.
func TestMediaCapabilities(t *testing.T) {
	s := newMediaSigner(t)
	c := s.Capabilities()
	if want := (signer.Capabilities{Backend: "cdn", Methods: []string{"GET", "HEAD"}, Query: true, Prefix: true}); !reflect.DeepEqual(c, want) {
		t.Fatalf("%+v", c)
	}
	r := signer.Request{Key: "cat.jpg", Expires: time.Hour}
	for name, edit := range map[string]func(*signer.Request){
		"PUT":      func(r *signer.Request) { r.Method = "PUT" },
		"Header":   func(r *signer.Request) { r.Header = http.Header{"Content-Type": {"image/png"}} },
		"Response": func(r *signer.Request) { r.Response.ContentType = "image/png" },
		"SourceIP": func(r *signer.Request) { r.SourceIP = netip.MustParsePrefix("192.0.2.1/32") },
	} {
		asked := r
		edit(&asked)
		if _, err := s.Presign(t.Context(), asked); !errors.Is(err, signer.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.Query = url.Values{"width": {"100"}}
	p, err := s.Presign(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	v := newMediaVerifier(t)
	if _, err := v.Verify(t.Context(), httptest.NewRequest("GET", p.URL, nil)); err != nil {
		t.Error(err)
	}
	if _, err := v.Verify(t.Context(), httptest.NewRequest("GET", strings.Replace(p.URL, "width=100", "width=101", 1), nil)); !errors.Is(err, signer.ErrMismatch) {
		t.Errorf("another parameter: %v", err)
	}
}
