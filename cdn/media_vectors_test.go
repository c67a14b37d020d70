package cdn

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/vector"
	"github.com/cloudsigner/cloudsigner/signer"
)

// mediaVector are the inputs that most vectors have.
type mediaVector struct {
	key     MediaKey
	expires int64
	before  time.Time // a minute before that
}

func readMediaVector(t *testing.T, v *vector.Vector) (m mediaVector) {
	t.Helper()
	text, ok := v.Lookup(t, "key")
	if !ok {
		text = base64.URLEncoding.EncodeToString([]byte(v.Get(t, "input private key")))
	}
	name, ok := v.Lookup(t, "key-name")
	if !ok {
		name = "k" // tokens carry none
	}
	var err error
	switch algorithm := v.Get(t, "algorithm"); algorithm {
	case "Ed25519":
		m.key, err = ParseMediaPrivateKey(name, text)
	case "HMAC-SHA256":
		m.key, err = ParseMediaSharedKey(name, MediaHMACSHA256, text)
	case "HMAC-SHA1":
		m.key, err = ParseMediaSharedKey(name, MediaHMACSHA1, text)
	default:
		t.Fatalf("algorithm %q", algorithm)
	}
	if err != nil {
		t.Fatal(err)
	}
	m.expires = mediaUnix(t, v.Get(t, "expires-unix"))
	m.before = time.Unix(m.expires-60, 0)
	return m
}

func mediaUnix(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (m *mediaVector) signer(t *testing.T, rawURL string) *MediaSigner {
	t.Helper()
	s, err := NewMedia(MediaConfig{BaseURL: mediaOrigin(t, rawURL), Key: m.key, Clock: clock.Fixed(m.before)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// verifier has the public half of the key only, if there is one.
func (m *mediaVector) verifier(t *testing.T, rawURL string) *MediaVerifier {
	t.Helper()
	key := m.key
	if key.Algorithm() == MediaEd25519 {
		var err error
		if key, err = ParseMediaPublicKey(key.Name(), key.PublicKey()); err != nil {
			t.Fatal(err)
		}
	}
	v, err := NewMediaVerifier(MediaVerifierConfig{BaseURL: mediaOrigin(t, rawURL), Keys: []MediaKey{key}, Clock: clock.Fixed(m.before)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mediaOrigin(t *testing.T, rawURL string) *url.URL {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}
}

// mediaRequest is a request as its receiver sees it.
func mediaRequest(rawURL string) *http.Request { return httptest.NewRequest("GET", rawURL, nil) }

// Every vector is signed and verified; a vector of a kind that is not known here fails.
func TestMediaVectors(t *testing.T) {
	kinds := map[string]int{}
	test := func(t *testing.T, v *vector.Vector) {
		kinds[v.Kind]++
		switch v.Kind {
		case "signed-url":
			mediaURLVector(t, v)
		case "url-prefix":
			mediaPrefixVector(t, v)
		case "signed-cookie":
			mediaCookieVector(t, v)
		case "path-component":
			mediaComponentVector(t, v)
		case "token":
			mediaTokenVector(t, v)
		case "key-pair":
			mediaKeyVector(t, v)
		default:
			t.Fatalf("kind %q", v.Kind)
		}
	}
	vector.Run(t, "testdata/media/*.txt", test)
	vector.Run(t, "testdata/media-tokens/*.txt", test)
	for kind, least := range map[string]int{"signed-url": 3, "url-prefix": 3, "signed-cookie": 2, "path-component": 1, "token": 12, "key-pair": 1} {
		if kinds[kind] < least {
			t.Errorf("%d vectors of kind %s, want %d", kinds[kind], kind, least)
		}
	}
}

func mediaURLVector(t *testing.T, v *vector.Vector) {
	m := readMediaVector(t, v)
	raw, want := v.Get(t, "url"), v.Get(t, "signed url")
	req, err := http.NewRequest("GET", raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	var trace signer.Trace
	ctx := signer.WithTrace(context.Background(), &trace)
	p, err := m.signer(t, raw).PresignRequest(ctx, req, signer.Options{Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if p.URL != want || string(trace.StringToSign) != v.Get(t, "string to sign") || !strings.HasSuffix(p.URL, "&Signature="+v.Get(t, "signature")) {
		t.Errorf("signed %q\n got %s\nwant %s", trace.StringToSign, p.URL, want)
	}
	mediaAccepted(t, m.verifier(t, raw), mediaRequest(want), raw)
	mediaAccepted(t, m.verifier(t, raw), mediaRequest(want+"=="), raw) // padded
}

// mediaAccepted checks that a request is granted, for the object of rawURL.
func mediaAccepted(t *testing.T, v signer.Verifier, req *http.Request, rawURL string) *signer.Grant {
	t.Helper()
	g, err := v.Verify(context.Background(), req)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	if g.Key != strings.TrimPrefix(u.Path, "/") {
		t.Errorf("the grant is for %q, want that of %s", g.Key, rawURL)
	}
	return g
}

// The samples sign prefixes that PresignPrefix refuses, so they run at the level of the scheme's function.
func mediaPrefixVector(t *testing.T, v *vector.Vector) {
	m := readMediaVector(t, v)
	prefix, raw := v.Get(t, "url-prefix"), v.Get(t, "url")
	if got := mediaURLPrefix(prefix); got != "URLPrefix="+v.Get(t, "encoded prefix") {
		t.Errorf("encoded prefix %s", got)
	}
	signed, query := mediaSignature(&m.key, mediaURLPrefix(prefix)+"&", '&', m.expires)
	if signed != v.Get(t, "string to sign") || query != v.Get(t, "signed query") || !strings.HasSuffix(query, "&Signature="+v.Get(t, "signature")) {
		t.Errorf("signed %q, query %q", signed, query)
	}
	want := v.Get(t, "signed url")
	sep := "?"
	if strings.Contains(raw, "?") {
		sep = "&"
	}
	if got := raw + sep + query; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	g := mediaAccepted(t, m.verifier(t, raw), mediaRequest(want), raw)
	if g.Prefix != prefix || g.Query != nil {
		t.Errorf("Prefix %q, Query %v", g.Prefix, g.Query)
	}
	if strings.HasSuffix(prefix, "/") {
		p, err := m.signer(t, raw).PresignPrefix(context.Background(), prefix, signer.Options{Expires: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.URL(raw); err != nil || got != want {
			t.Errorf("URL: %v\n got %s\nwant %s", err, got, want)
		}
	}
}

func mediaCookieVector(t *testing.T, v *vector.Vector) {
	m := readMediaVector(t, v)
	prefix, want := v.Get(t, "url-prefix"), v.Get(t, "cookie value")
	if got := mediaURLPrefix(prefix); got != "URLPrefix="+v.Get(t, "encoded prefix") {
		t.Errorf("encoded prefix %s", got)
	}
	signed, value := mediaSignature(&m.key, mediaURLPrefix(prefix)+":", ':', m.expires)
	if signed != v.Get(t, "string to sign") || value != want || !strings.HasSuffix(value, ":Signature="+v.Get(t, "signature")) {
		t.Errorf("signed %q, cookie %q", signed, value)
	}
	if mediaCookie != v.Get(t, "cookie-name") || mediaCookie+"="+value != v.Get(t, "cookie") {
		t.Errorf("cookie %s=%s", mediaCookie, value)
	}
	req := mediaRequest(prefix + "x/y")
	req.Header.Set("Cookie", v.Get(t, "cookie"))
	mediaAccepted(t, m.verifier(t, prefix), req, prefix+"x/y")
	if strings.HasSuffix(prefix, "/") {
		p, err := m.signer(t, prefix).PresignPrefix(context.Background(), prefix, signer.Options{Expires: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if c, err := p.Cookie(); err != nil || c.Name+"="+c.Value != v.Get(t, "cookie") {
			t.Errorf("Cookie: %v\n got %s=%s\nwant %s", err, c.Name, c.Value, v.Get(t, "cookie"))
		}
	}
}

// The sample is padded; its text is not, so that only the end of the signature differs.
func mediaComponentVector(t *testing.T, v *vector.Vector) {
	m := readMediaVector(t, v)
	prefix, want := v.Get(t, "url-prefix"), v.Get(t, "signed url")
	raw := prefix + v.Get(t, "filename")
	p, err := m.signer(t, raw).PresignPrefix(context.Background(), prefix, signer.Options{Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.PathURL(raw); err != nil || got != strings.Replace(want, "==/", "/", 1) {
		t.Errorf("PathURL: %v\n got %s\nwant %s without padding", err, got, want)
	}
	mediaAccepted(t, m.verifier(t, raw), mediaRequest(want), raw)
	mediaAccepted(t, m.verifier(t, raw), mediaRequest(strings.Replace(want, "==/", "/", 1)), raw)
}

func mediaTokenVector(t *testing.T, v *vector.Vector) {
	m := readMediaVector(t, v)
	want := v.Get(t, "token")
	token := MediaToken{}
	token.URLPrefix, _ = v.Lookup(t, "url-prefix")
	token.FullPath, _ = v.Lookup(t, "full-path")
	token.PathGlobs = v.All("path-globs")
	token.SessionID, _ = v.Lookup(t, "session-id")
	token.Data, _ = v.Lookup(t, "data")
	if starts, ok := v.Lookup(t, "starts-unix"); ok {
		token.Starts = time.Unix(mediaUnix(t, starts), 0)
	}
	req := mediaRequest("http://10.20.30.40/example.m3u8")
	req.RemoteAddr = "203.0.113.9:1234"
	for _, h := range v.Pairs(t, "header", "=") {
		token.Headers = append(token.Headers, signer.Field{Name: h[0], Value: h[1]})
		req.Header.Set(h[0], h[1])
	}

	// The samples' second range is none, so a MediaToken cannot have it: it takes the place of what the first one makes.
	ranges, ranged := v.Lookup(t, "ip-ranges")
	var published, typed string
	if ranged {
		first, _, _ := strings.Cut(ranges, ",")
		token.IPRanges = []netip.Prefix{netip.MustParsePrefix(first)}
		published, typed = base64.RawURLEncoding.EncodeToString([]byte(ranges)), base64.RawURLEncoding.EncodeToString([]byte(first))
	}
	fields := token.fields(m.expires)
	for i, field := range fields {
		if field == "IPRanges="+typed {
			fields[i] = "IPRanges=" + published
		}
	}
	headers := func(name string) string { return req.Header.Get(name) }
	signed := mediaSignedValue(fields, "/example.m3u8", headers)
	if got := strings.Join(append(fields, mediaTokenSignature(&m.key, signed)), "~"); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}

	s, verifier := m.signer(t, "http://10.20.30.40"), m.verifier(t, "http://10.20.30.40")
	made, err := s.Token(context.Background(), token, signer.Options{Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	given := req.Clone(context.Background())
	given.RequestURI = "/example.m3u8?edge-cache-token=" + want
	if ranged { // the signature is right, the range is not
		_, err := verifier.Verify(context.Background(), given)
		mediaWantError(t, err, signer.ErrMalformed, "IPRanges")
		if strings.Contains(err.Error(), signer.ErrMismatch.Error()) {
			t.Error(err)
		}
	} else {
		if made.Query() != "edge-cache-token="+want {
			t.Errorf("Token\n got %s\nwant %s", made.Query(), want)
		}
		mediaAccepted(t, verifier, given, "http://10.20.30.40/example.m3u8")
	}
	given.RequestURI = "/example.m3u8?" + made.Query()
	g := mediaAccepted(t, verifier, given, "http://10.20.30.40/example.m3u8")
	if g.Query.Get("SessionID") != token.SessionID || g.Query.Get("Data") != token.Data || g.Prefix != token.URLPrefix ||
		!g.ExpiresAt.Equal(time.Unix(m.expires, 0)) || !g.NotBefore.Equal(token.Starts) || len(g.SignedHeaders) != len(token.Headers) || !slices.IsSorted(g.SignedHeaders) {
		t.Errorf("grant %+v", g)
	}
}

func mediaKeyVector(t *testing.T, v *vector.Vector) {
	seed, err := base64.URLEncoding.DecodeString(v.Get(t, "key"))
	if err != nil {
		t.Fatal(err)
	}
	private, public := v.Get(t, "private key"), v.Get(t, "public key")
	for _, raw := range []string{string(seed), private} {
		for _, enc := range []*base64.Encoding{base64.URLEncoding, base64.RawURLEncoding} {
			k, err := ParseMediaPrivateKey("k", enc.EncodeToString([]byte(raw)))
			if err != nil || k.PublicKey() != base64.RawURLEncoding.EncodeToString([]byte(public)) {
				t.Fatalf("%v: public key %s, want %s", err, k.PublicKey(), hex.EncodeToString([]byte(public)))
			}
			pub, err := ParseMediaPublicKey("k", enc.EncodeToString([]byte(public)))
			if err != nil || !pub.verify([]byte("text"), k.sign([]byte("text"))) || pub.PublicKey() != k.PublicKey() {
				t.Errorf("the public key does not verify: %v", err)
			}
		}
	}
}
