package cdn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// exampleMedia is a signer for the examples. Their clock is fixed so that the output is; leave it out in your code.
func exampleMedia() *cdn.MediaSigner {
	key, err := cdn.ParseMediaPrivateKey("my-keyset", "DJUcnLguVFKmVCFnWGubG1MZg7fWAnxacMjKDhVZMGI")
	if err != nil {
		log.Fatal(err)
	}
	s, err := cdn.NewMedia(cdn.MediaConfig{
		BaseURL: &url.URL{Scheme: "https", Host: "media.example.com"},
		Key:     key,
		Clock:   clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)),
	})
	if err != nil {
		log.Fatal(err)
	}
	return s
}

// A link to one file.
func ExampleMediaSigner_Presign() {
	p, err := exampleMedia().Presign(context.Background(), signer.Request{Key: "2026/cat.mp4", Expires: 15 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p) // without its query: the URL is a secret
	fmt.Println(signer.RedactURL(p.URL))
	// Output:
	// GET https://media.example.com/2026/cat.mp4?REDACTED until 2026-11-25T12:15:00Z
	// https://media.example.com/2026/cat.mp4?Expires=1795608900&KeyName=my-keyset&Signature=REDACTED-1cb1bc82
}

// A stream is many files, which one signature opens: in a query, in the path, where relative references inherit it, or in a
// cookie.
func ExampleMediaSigner_PresignPrefix() {
	p, err := exampleMedia().PresignPrefix(context.Background(), "https://media.example.com/tv/7/", signer.Options{Expires: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	inQuery, err := p.URL("https://media.example.com/tv/7/main.m3u8")
	if err != nil {
		log.Fatal(err)
	}
	inPath, err := p.PathURL("https://media.example.com/tv/7/main.m3u8")
	if err != nil {
		log.Fatal(err)
	}
	cookie, err := p.Cookie()
	if err != nil {
		log.Fatal(err)
	}
	_, err = p.URL("https://media.example.com/tv/8/main.m3u8")

	fmt.Println(signer.RedactURL(inQuery))
	fmt.Println(signer.RedactURL(inPath))
	fmt.Println(cookie.Name, cookie.Domain, cookie.Path, cookie.Secure)
	fmt.Println(err)
	// Output:
	// https://media.example.com/tv/7/main.m3u8?URLPrefix=aHR0cHM6Ly9tZWRpYS5leGFtcGxlLmNvbS90di83Lw&Expires=1795611600&KeyName=my-keyset&Signature=REDACTED-be7407b9
	// https://media.example.com/tv/7/edge-cache-token=Expires=1795611600&KeyName=my-keyset&Signature=REDACTED-fcb73914/main.m3u8
	// Edge-Cache-Cookie media.example.com /tv/7/ true
	// cdn: media URL: URL: bad request: the pass does not open it; it is for https://media.example.com/tv/7/
}

// A token says more than a signature: patterns of paths, a session, where the client is.
func ExampleMediaSigner_Token() {
	p, err := exampleMedia().Token(context.Background(), cdn.MediaToken{
		PathGlobs: []string{"/tv/7/*", "/ads/*"},
		SessionID: "s-4711",
		IPRanges:  []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	}, signer.Options{Expires: 5 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	link, err := p.URL("https://media.example.com/tv/7/main.m3u8")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p)
	fmt.Println(signer.RedactURL(link))
	// Output:
	// [pass] for /tv/7/* and /ads/* until 2026-11-25T12:05:00Z
	// https://media.example.com/tv/7/main.m3u8?edge-cache-token=PathGlobs=/tv/7/*!/ads/*~Expires=1795608300~SessionID=REDACTED~IPRanges=MTkyLjAuMi4wLzI0~Signature=REDACTED-cc1af098
}

// A stand-in for Media CDN, or an origin that checks for itself. It has the public key only.
func ExampleMediaVerifier_Verify() {
	key, err := cdn.ParseMediaPublicKey("my-keyset", "n7nwvhza11C0SuU9ay1uWjDSfzH-CpIBgXxqIz-Yd9Q")
	if err != nil {
		log.Fatal(err)
	}
	v, err := cdn.NewMediaVerifier(cdn.MediaVerifierConfig{
		BaseURL: &url.URL{Scheme: "https", Host: "media.example.com"},
		Keys:    []cdn.MediaKey{key},
		Inbound: func(r *http.Request) (signer.Inbound, error) { // as the proxy in front of the origin tells it
			return signer.Inbound{Scheme: "https", Host: "media.example.com"}, nil
		},
		Clock: clock.Fixed(time.Date(2026, 11, 25, 12, 30, 0, 0, time.UTC)),
	})
	if err != nil {
		log.Fatal(err)
	}
	origin := httptest.NewServer(signer.Require(v, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, signer.GrantFrom(r.Context()).Key)
	})))
	defer origin.Close()

	p, err := exampleMedia().PresignPrefix(context.Background(), "https://media.example.com/tv/7/", signer.Options{Expires: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	signed, err := p.PathURL("https://media.example.com/tv/7/main.m3u8")
	if err != nil {
		log.Fatal(err)
	}
	toOrigin := strings.NewReplacer("https://media.example.com", origin.URL)
	for _, link := range []string{signed, strings.Replace(signed, "main.m3u8", "8/seg1.ts", 1), strings.Replace(signed, "/tv/7/", "/tv/", 1), "https://media.example.com/tv/7/main.m3u8"} {
		res, err := http.Get(toOrigin.Replace(link))
		if err != nil {
			log.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			log.Fatal(err)
		}
		fmt.Println(res.StatusCode, strings.TrimSpace(string(body)))
	}
	// Output:
	// 200 tv/7/main.m3u8
	// 200 tv/7/8/seg1.ts
	// 403 signature: mismatch
	// 401 not signed
}
