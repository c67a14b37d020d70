package cdn

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/vector"
	"github.com/cloudsigner/cloudsigner/signer"
)

// An official is what Google's samples say of one signature.
type official struct {
	key     Key
	expires int64
	url     string // "" for a prefix alone
	prefix  string // "" for a signed URL
}

func readOfficial(t *testing.T, v *vector.Vector) official {
	t.Helper()
	var o official
	o.key.Name = v.Get(t, "key-name")
	if raw, ok := v.Lookup(t, "input key"); ok { // not of 16 bytes
		o.key.Secret = signer.NewSecret([]byte(raw))
	} else {
		var err error
		if o.key, err = ParseKey(o.key.Name, v.Get(t, "key")); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if o.expires, err = strconv.ParseInt(v.Get(t, "expires-unix"), 10, 64); err != nil {
		t.Fatal(err)
	}
	o.url, _ = v.Lookup(t, "url")
	o.prefix, _ = v.Lookup(t, "url-prefix")
	if a := v.Get(t, "algorithm"); a != "HMAC-SHA1" {
		t.Errorf("the algorithm is %s", a)
	}
	return o
}

func (o *official) mac() *mac { return newMAC(o.key.Secret, struct{}{}) }

// toSign and signed are the scheme's functions, without the rules of our own.
func (o *official) toSign(sep byte) string {
	if o.prefix != "" {
		return string(appendPrefix(nil, sep, o.prefix, o.expires, o.key.Name))
	}
	and := "?"
	if strings.Contains(o.url, "?") {
		and = "&"
	}
	return string(appendExpiry([]byte(o.url+and), sep, o.expires, o.key.Name))
}

func (o *official) signed(sep byte) string {
	text := o.toSign(sep)
	return string(o.mac().appendSignature([]byte(text), sep, []byte(text)))
}

// at is the time a minute before the signature dies.
func (o *official) at() clock.Clock { return clock.Fixed(time.Unix(o.expires-60, 0)) }

// base is the top of the host.
func (o *official) base(t *testing.T) *url.URL {
	t.Helper()
	raw := o.url
	if raw == "" {
		raw = o.prefix
	}
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}
}

func (o *official) signer(t *testing.T) *Signer {
	t.Helper()
	s, err := New(Config{BaseURL: o.base(t), Key: o.key, Clock: o.at()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// accepts checks that our verifier takes what the samples sign.
func (o *official) accepts(t *testing.T, req *http.Request) {
	t.Helper()
	v, err := NewVerifier(VerifierConfig{BaseURL: o.base(t), Keys: []Key{o.key}, Clock: o.at()})
	if err != nil {
		t.Fatal(err)
	}
	g, err := v.Verify(context.Background(), req)
	if err != nil {
		t.Errorf("%s: %v", req.URL, err)
	} else if g.Prefix != o.prefix || g.ExpiresAt.Unix() != o.expires || g.KeyID != o.key.Name {
		t.Errorf("%s: granted %+v", req.URL, g)
	}
}

func (o *official) checkURL(t *testing.T, want string) {
	t.Helper()
	if got := o.signed('&'); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	req, err := http.NewRequest("GET", o.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	var stages signer.Trace
	p, err := o.signer(t).PresignRequest(signer.WithTrace(context.Background(), &stages), req, signer.Options{Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if p.URL != want || string(stages.StringToSign) != o.toSign('&') || p.ExpiresAt.Unix() != o.expires {
		t.Errorf("PresignRequest: got  %s\nwant %s", p.URL, want)
	}
	o.accepts(t, httptest.NewRequest("GET", want, nil))
}

// checkPrefix checks the query and the cookie of a prefix. One that does not end in a slash is for the scheme's functions alone.
func (o *official) checkPrefix(t *testing.T, query, cookie, signedURL string) {
	t.Helper()
	p, err := o.signer(t).PresignPrefix(context.Background(), o.prefix, signer.Options{Expires: time.Minute})
	if !strings.HasSuffix(o.prefix, "/") {
		if !errors.Is(err, signer.ErrRequest) {
			t.Errorf("PresignPrefix(%q): %v", o.prefix, err)
		}
		p = &Prefix{query: signer.NewSecret([]byte(o.signed('&'))), cookie: signer.NewSecret([]byte(o.signed(':')))}
	} else if err != nil {
		t.Fatal(err)
	}
	for sep, want := range map[byte]string{'&': query, ':': cookie} {
		if want != "" && o.signed(sep) != want {
			t.Errorf("got  %s\nwant %s", o.signed(sep), want)
		}
	}
	if query != "" {
		if p.Query() != query {
			t.Errorf("Query: got  %s\nwant %s", p.Query(), query)
		}
		o.accepts(t, httptest.NewRequest("GET", o.prefix+"?a=b&"+query+"&c=d", nil))
	}
	if cookie != "" {
		if got := string(p.cookie.Reveal()); got != cookie {
			t.Errorf("Cookie: got  %s\nwant %s", got, cookie)
		}
		req := httptest.NewRequest("GET", o.prefix+"?a=b", nil)
		req.AddCookie(&http.Cookie{Name: "Cloud-CDN-Cookie", Value: cookie})
		o.accepts(t, req)
	}
	if signedURL == "" {
		return
	}
	if got, err := p.URL(o.url); err != nil || got != signedURL {
		t.Errorf("URL: got  %s, %v\nwant %s", got, err, signedURL)
	}
	o.accepts(t, httptest.NewRequest("GET", signedURL, nil))
}

func TestVectors(t *testing.T) {
	vector.Run(t, "testdata/cloud/*.txt", func(t *testing.T, v *vector.Vector) {
		if v.Kind == "key" {
			k, err := ParseKey("my-key", v.Get(t, "key"))
			if err != nil || string(k.Secret.Reveal()) != v.Get(t, "decoded key") {
				t.Errorf("the key is %x, %v", k.Secret.Reveal(), err)
			}
			return
		}
		o := readOfficial(t, v)
		sep := byte('&')
		if name, ok := v.Lookup(t, "cookie-name"); ok {
			if sep = ':'; name != cookieName {
				t.Errorf("the cookie is called %s", name)
			}
		}
		if v.Kind == "signed-cookie-mismatch" {
			if got, not := o.signed(sep), v.Get(t, "mismatched cookie value"); got == not {
				t.Errorf("got %s, which must not come out", got)
			}
			return
		}
		toSign := o.toSign(sep)
		if want := v.Get(t, "string to sign"); toSign != want {
			t.Errorf("string to sign\ngot  %s\nwant %s", toSign, want)
		}
		signature := v.Get(t, "signature")
		if got := string(o.mac().appendSum(nil, []byte(toSign))); got != signature || !o.mac().verify([]byte(toSign), signature) {
			t.Errorf("signature %s, want %s", got, signature)
		}
		if o.prefix != "" {
			if want := v.Get(t, "encoded prefix"); base64.URLEncoding.EncodeToString([]byte(o.prefix)) != want {
				t.Errorf("want the prefix as %s", want)
			}
		}
		switch v.Kind {
		case "signed-url":
			o.checkURL(t, v.Get(t, "signed url"))
		case "url-prefix":
			signedURL, _ := v.Lookup(t, "signed url")
			o.checkPrefix(t, v.Get(t, "signed query"), "", signedURL)
		case "signed-cookie":
			value := v.Get(t, "cookie value")
			o.checkPrefix(t, "", value, "")
			if whole, ok := v.Lookup(t, "cookie"); ok && whole != cookieName+"="+value {
				t.Errorf("cookie %s", whole)
			}
		default:
			t.Fatalf("no test for the kind %q", v.Kind)
		}
	})
}

// The official Java test has a key whose last character is not that of any encoder.
//
// https://github.com/GoogleCloudPlatform/java-docs-samples/blob/32ad1176f180610bfcee1d7edf30d91a300cfc1e/cdn/signed-urls/src/test/java/com/google/cdn/SignedUrlsTest.java
// https://github.com/GoogleCloudPlatform/java-docs-samples/blob/1f3bf74b062b953b35f2786f5a39b261b0c5983e/cdn/signed-urls/src/test/java/com/google/cdn/SignedCookiesTest.java
func TestOfficialJava(t *testing.T) {
	for _, text := range []string{"aaaaaaaaaaaaaaaaaaaaaa==", "aaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaa==\n"} {
		key, err := ParseKey("my-key", text)
		if err != nil {
			t.Fatal(err)
		}
		for bare, want := range map[string]string{
			"https://www.example.com/foo":         "https://www.example.com/foo?Expires=1518135754&KeyName=my-key&Signature=vUfG4yv47dyns1j9e_OI6_5meuA=",
			"https://www.example.com/?param=true": "https://www.example.com/?param=true&Expires=1518135754&KeyName=my-key&Signature=6TijW8OMX3gcMI5Kqs8ESiPY97c=",
			"https://www.example.com/":            "https://www.example.com/?Expires=1518135754&KeyName=my-key&Signature=4D0AbT4y0O7ZCzCUcAtPOJDkl2g=",
		} {
			o := official{key: key, expires: 1518135754, url: bare}
			o.checkURL(t, want)
		}
		o := official{key: key, expires: 1518135754, prefix: "https://media.example.com/videos/",
			url: "https://media.example.com/videos/id/master.m3u8?userID=abc123&starting_profile=1"}
		const query = "URLPrefix=aHR0cHM6Ly9tZWRpYS5leGFtcGxlLmNvbS92aWRlb3Mv&Expires=1518135754&KeyName=my-key&Signature=SPov5sp5XKefUpuJaqUckinUO_4="
		o.checkPrefix(t, query, "URLPrefix=aHR0cHM6Ly9tZWRpYS5leGFtcGxlLmNvbS92aWRlb3Mv:Expires=1518135754:KeyName=my-key:Signature=c2oZduDcTH36_bCbO-hEoaLc_5o=", o.url+"&"+query)
		for _, bad := range []string{"www.media.example.com/videos/", "https://media.example.com/videos/?foo"} {
			if _, err := o.signer(t).PresignPrefix(context.Background(), bad, signer.Options{Expires: time.Minute}); !errors.Is(err, signer.ErrRequest) {
				t.Errorf("the prefix %s, which the Java sample refuses: %v", bad, err)
			}
		}
	}
}
