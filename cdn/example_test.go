package cdn_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// The keys and times of the examples are those of Google's samples, and so is what comes out.

func at(unix int64) clock.Clock { return clock.Fixed(time.Unix(unix, 0)) }

func exampleSigner(base string) *cdn.Signer {
	u, err := url.Parse(base)
	if err != nil {
		log.Fatal(err)
	}
	key, err := cdn.ParseKey("my-key", "nZtRohdNF9m3cKM24IcK4w==")
	if err != nil {
		log.Fatal(err)
	}
	s, err := cdn.New(cdn.Config{BaseURL: u, Key: key, Clock: at(1558127750)})
	if err != nil {
		log.Fatal(err)
	}
	return s
}

func ExampleNew() {
	base, err := url.Parse("http://35.186.234.33") // the load balancer's address; https://media.example.com rather
	if err != nil {
		log.Fatal(err)
	}
	key, err := cdn.ParseKey("my-key", "nZtRohdNF9m3cKM24IcK4w==") // the key file that was given to gcloud
	if err != nil {
		log.Fatal(err)
	}
	s, err := cdn.New(cdn.Config{
		BaseURL: base,
		Key:     key,
		Clock:   at(1558127750), // leave it out for the machine's clock
	})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(context.Background(), signer.Request{Key: "index.html", Expires: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.URL)
	fmt.Println("until", p.ExpiresAt)
	// Output:
	// http://35.186.234.33/index.html?Expires=1558131350&KeyName=my-key&Signature=fm6JZSmKNsB5sys8VGr-JE4LiiE=
	// until 2019-05-17 22:15:50 +0000 UTC
}

// A player asks for a playlist and hundreds of segments. One signature opens them all.
func ExampleSigner_PresignPrefix() {
	s := exampleSigner("https://media.example.com")
	p, err := s.PresignPrefix(context.Background(), "https://media.example.com/segments/", signer.Options{Expires: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	u, err := p.URL("https://media.example.com/segments/7.ts?track=2")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(u)
	_, err = p.URL("https://media.example.com/masters/7.mov")
	fmt.Println(err)
	// Output:
	// https://media.example.com/segments/7.ts?track=2&URLPrefix=aHR0cHM6Ly9tZWRpYS5leGFtcGxlLmNvbS9zZWdtZW50cy8=&Expires=1558131350&KeyName=my-key&Signature=HWE5tBTZgnYVoZzVLG7BtRnOsgk=
	// cdn: prefix URL: URL: bad request: it does not begin with https://media.example.com/segments/, to the letter
}

// The same as a cookie, so that the URLs of the segments need no change.
func ExamplePrefix_Cookie() {
	s := exampleSigner("https://media.example.com")
	p, err := s.PresignPrefix(context.Background(), "https://media.example.com/segments/", signer.Options{Expires: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	login := func(w http.ResponseWriter, r *http.Request) {
		cookie := p.Cookie()
		cookie.Domain = "example.com" // the login is at www.example.com
		http.SetCookie(w, cookie)
	}
	w := httptest.NewRecorder()
	login(w, httptest.NewRequest("POST", "https://www.example.com/login", nil))
	fmt.Println(w.Header().Get("Set-Cookie"))
	// Output:
	// Cloud-CDN-Cookie=URLPrefix=aHR0cHM6Ly9tZWRpYS5leGFtcGxlLmNvbS9zZWdtZW50cy8=:Expires=1558131350:KeyName=my-key:Signature=_qwhz38bxCKdiDqENLIx4ujrw-U=; Path=/segments/; Domain=example.com; Expires=Fri, 17 May 2019 22:15:50 GMT; HttpOnly; Secure
}

// A key is rotated without killing the URLs that are out.
func Example_rotation() {
	base, err := url.Parse("https://media.example.com")
	if err != nil {
		log.Fatal(err)
	}
	old, err := cdn.ParseKey("key-2025", "nZtRohdNF9m3cKM24IcK4w==")
	if err != nil {
		log.Fatal(err)
	}
	next, err := cdn.ParseKey("key-2026", "aaaaaaaaaaaaaaaaaaaaaa")
	if err != nil {
		log.Fatal(err)
	}
	ring, err := signer.NewKeyRing(old)
	if err != nil {
		log.Fatal(err)
	}
	s, err := cdn.New(cdn.Config{BaseURL: base, Keys: ring, Clock: at(1558127750)})
	if err != nil {
		log.Fatal(err)
	}
	request := signer.Request{Key: "cat.jpg", Expires: time.Hour}
	if _, err := s.Presign(context.Background(), request); err != nil {
		log.Fatal(err)
	}

	// The backend has both keys now.
	if err := ring.Set(next, old); err != nil {
		log.Fatal(err)
	}
	if _, err := s.Presign(context.Background(), request); err != nil {
		log.Fatal(err)
	}
	fmt.Println("signing with", ring.Keys()[0].Name)
	until, known := ring.Issued("key-2025") // false if the ring never had such a key
	fmt.Println("key-2025 may be deleted at", until, known)
	// Output:
	// signing with key-2026
	// key-2025 may be deleted at 2019-05-17 22:15:50 +0000 UTC true
}

// An origin behind the load balancer lets nothing through that the CDN's key did not sign.
func ExampleVerifier_Verify() {
	base, err := url.Parse("https://media.example.com")
	if err != nil {
		log.Fatal(err)
	}
	key, err := cdn.ParseKey("my-key", "nZtRohdNF9m3cKM24IcK4w==")
	if err != nil {
		log.Fatal(err)
	}
	v, err := cdn.NewVerifier(cdn.VerifierConfig{
		BaseURL:          base,
		Keys:             []cdn.Key{key},
		FromLoadBalancer: true,
		Clock:            at(1558127750),
	})
	if err != nil {
		log.Fatal(err)
	}
	origin := signer.Require(v, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := signer.GrantFrom(r.Context())
		fmt.Fprintf(w, "%s for who holds %s", g.Key, g.Prefix)
	}))

	r := httptest.NewRequest("GET", "http://media.example.com/segments/7.ts", nil)
	r.Header.Set("X-Client-Request-Url", "https://media.example.com/segments/7.ts?URLPrefix=aHR0cHM6Ly9tZWRpYS5leGFtcGxlLmNvbS9zZWdtZW50cy8=&Expires=1558131350&KeyName=my-key&Signature=HWE5tBTZgnYVoZzVLG7BtRnOsgk=")
	w := httptest.NewRecorder()
	origin.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)

	r.Header.Del("X-Client-Request-Url")
	w = httptest.NewRecorder()
	origin.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)
	// Output:
	// 200 segments/7.ts for who holds https://media.example.com/segments/
	// 401 not signed
}

// On a laptop there is no CDN. A server on loopback verifies what was signed for the real address if it is told that requests
// came to that, and if they are sent to it with another origin. In production leave Inbound out, or set it for your proxy.
func ExampleVerifierConfig_inbound() {
	base, err := url.Parse("https://media.example.com")
	if err != nil {
		log.Fatal(err)
	}
	key, err := cdn.ParseKey("my-key", "nZtRohdNF9m3cKM24IcK4w==")
	if err != nil {
		log.Fatal(err)
	}
	v, err := cdn.NewVerifier(cdn.VerifierConfig{
		BaseURL: base,
		Keys:    []cdn.Key{key},
		Inbound: func(*http.Request) (signer.Inbound, error) {
			return signer.Inbound{Scheme: base.Scheme, Host: base.Host}, nil
		},
		Clock: at(1558127750),
	})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(signer.Require(v, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, signer.GrantFrom(r.Context()).Key)
	})))
	defer server.Close()

	p, err := exampleSigner("https://media.example.com").Presign(context.Background(), signer.Request{Key: "cat.jpg", Expires: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	resp, err := http.Get(server.URL + strings.TrimPrefix(p.URL, "https://media.example.com"))
	if err != nil {
		log.Fatal(signer.RedactError(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.StatusCode, string(body))
	// Output: 200 cat.jpg
}
