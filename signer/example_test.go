package signer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// The examples fix the clock so that their output is fixed. Leave it out in your code.
var noon = clock.Fixed(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))

func exampleSigner() signer.Signer {
	s, err := s3.New(s3.Config{
		Region: "eu-west-1",
		Bucket: "photos",
		Credentials: s3.Credentials{
			AccessKeyID: "AKIAIOSFODNN7EXAMPLE",
			SecretKey:   signer.NewSecret([]byte("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")),
		},
		Clock: noon,
	})
	if err != nil {
		log.Fatal(err)
	}
	return s
}

// A backend makes a Signer. What uses it need not know which.
func Example() {
	var s signer.Signer = exampleSigner()

	p, err := s.Presign(context.Background(), signer.Request{
		Method:  http.MethodPut,
		Key:     "2026/a cat.jpg",
		Header:  http.Header{"Content-Type": {"image/jpeg"}},
		Expires: 15 * time.Minute,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p) // the URL is a secret, so its query is not printed; p.URL has it
	fmt.Println(p.Header)

	// An option that the scheme cannot enforce is an error, never dropped.
	_, err = s.Presign(context.Background(), signer.Request{Key: "cat.jpg", Expires: 8 * 24 * time.Hour})
	fmt.Println(errors.Is(err, signer.ErrLifetime))
	// Output:
	// PUT https://photos.s3.eu-west-1.amazonaws.com/2026/a%20cat.jpg?REDACTED until 2026-11-24T12:15:00Z
	// map[Content-Type:[image/jpeg]]
	// true
}

// The holder of a Presigned uses it as it stands: NewRequest sets the headers that are signed.
func ExamplePresigned_NewRequest() {
	ctx := context.Background()
	p, err := exampleSigner().Presign(ctx, signer.Request{
		Method:  http.MethodPut,
		Key:     "hello.txt",
		Header:  http.Header{"Content-Type": {"text/plain"}, "Content-Length": {"5"}},
		Expires: time.Minute,
	})
	if err != nil {
		log.Fatal(err)
	}
	req, err := p.NewRequest(ctx, strings.NewReader("hello"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(req.Method, req.URL.Path, req.Header.Get("Content-Type"), req.ContentLength)

	_, err = p.NewRequest(ctx, strings.NewReader("hello, world"))
	fmt.Println(err)
	// Output:
	// PUT /hello.txt text/plain 5
	// new request: Content-Length: bad request: the URL is signed for a body of 5 bytes, this one has 12
}

// A redirect to a presigned URL may be cached, but not longer than the URL works.
func ExamplePresigned_CacheControl() {
	p, err := exampleSigner().Presign(context.Background(), signer.Request{Key: "cat.jpg", Expires: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.CacheControl(noon.Now()))
	fmt.Println(p.CacheControl(noon.Now().Add(time.Hour)))
	// Output:
	// private, max-age=3240
	// no-store
}

// A secret is not printed, however deep it sits.
func ExampleSecret() {
	creds := s3.Credentials{
		AccessKeyID: "AKIAIOSFODNN7EXAMPLE",
		SecretKey:   signer.NewSecret([]byte("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")),
	}
	fmt.Println(creds.SecretKey, creds.SessionToken)
	fmt.Printf("%x\n", creds.SecretKey)
	fmt.Println(len(creds.SecretKey.Reveal())) // only Reveal gives it away
	// Output:
	// [secret] [no secret]
	// [secret]
	// 40
}

// A Signer may do more than presign. As asks, also behind wrappers.
func ExampleAs() {
	var s signer.Signer = exampleSigner()

	req, err := http.NewRequest(http.MethodGet, "https://photos.s3.eu-west-1.amazonaws.com/cat.jpg", nil)
	if err != nil {
		log.Fatal(err)
	}
	if rs, ok := signer.As[signer.RequestSigner](s); ok {
		if err := rs.Sign(context.Background(), req); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(signer.RedactHeader(req.Header).Get("Authorization")[:80])
	// Output:
	// AWS4-HMAC-SHA256 Credential=REDACTED/20261124/eu-west-1/s3/aws4_request,SignedHe
}

// A backend without form uploads says so, and what to do instead.
func ExamplePresignPost() {
	var s signer.Signer = onlyPresigns{} // Cloud CDN and Azure, say

	_, err := signer.PresignPost(context.Background(), s, signer.Policy{
		KeyPrefix: "uploads/",
		Expires:   time.Minute,
		MaxBytes:  1 << 20,
	})
	fmt.Println(err)
	fmt.Println(errors.Is(err, signer.ErrUnsupported))
	// Output:
	// presign post: unsupported: this backend has no form uploads; presign a PUT with the headers it shall have (for Azure a SAS that allows to create, for Cloud CDN a PUT to its bucket)
	// true
}

// A server of one's own that takes presigned URLs.
func ExampleRequire() {
	v, err := s3.NewVerifier(s3.VerifierConfig{
		Region: "eu-west-1",
		Lookup: func(ctx context.Context, accessKeyID string) (s3.Credentials, error) {
			if accessKeyID != "AKIAIOSFODNN7EXAMPLE" {
				return s3.Credentials{}, signer.ErrUnknownKey
			}
			return s3.Credentials{
				AccessKeyID: accessKeyID,
				SecretKey:   signer.NewSecret([]byte("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")),
			}, nil
		},
		Clock: noon,
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := signer.Require(v, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := signer.GrantFrom(r.Context()) // act on the grant, not on r.URL
		fmt.Fprintf(w, "%s %s from %s", g.Method, g.Key, g.Bucket)
	}))

	p, err := exampleSigner().Presign(context.Background(), signer.Request{Key: "cat.jpg", Expires: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	for _, url := range []string{p.URL, strings.Replace(p.URL, "cat", "dog", 1), "https://photos.s3.eu-west-1.amazonaws.com/cat.jpg"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, nil))
		fmt.Println(w.Code, strings.TrimSpace(w.Body.String()))
	}
	// Output:
	// 200 GET cat.jpg from photos
	// 403 signature: mismatch
	// 401 not signed
}

// The answer to a refused request tells a stranger little; the log may tell all. Errors hold no signatures.
func ExampleVerifierFunc() {
	v, err := s3.NewVerifier(s3.VerifierConfig{
		Region: "eu-west-1",
		Lookup: func(ctx context.Context, accessKeyID string) (s3.Credentials, error) {
			return s3.Credentials{}, signer.ErrUnknownKey
		},
		Clock: noon,
	})
	if err != nil {
		log.Fatal(err)
	}
	logged := signer.VerifierFunc(func(ctx context.Context, r *http.Request) (*signer.Grant, error) {
		g, err := v.Verify(ctx, r)
		if err != nil {
			fmt.Println("refused:", err)
		}
		return g, err
	})
	handler := signer.Require(logged, http.NotFoundHandler())

	p, err := exampleSigner().Presign(context.Background(), signer.Request{Key: "cat.jpg", Expires: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, p.URL, nil))
	fmt.Println("answered:", w.Code, strings.TrimSpace(w.Body.String()))
	// Output:
	// refused: s3: verify: Credential: unknown key: no key has the id "AKIAIOSFODNN7EXAMPLE"
	// answered: 403 signature: unknown key
}

// The body of a signed request can be read to its end before it is known whether it is the signed one.
func ExampleGrant_Body() {
	g := &signer.Grant{ // a Verifier's answer
		Backend: "s3",
		Payload: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", // SHA-256 of "hello"
	}
	_, err := io.ReadAll(g.Body(io.NopCloser(strings.NewReader("HELLO"))))
	fmt.Println(err)
	// Output: s3: verify: body: mismatch: the body is not the one whose SHA-256 was signed
}

// When a service answers SignatureDoesNotMatch, it often says what it signed. Compare that with what we signed.
func ExampleWithTrace() {
	var trace signer.Trace
	ctx := signer.WithTrace(context.Background(), &trace)
	if _, err := exampleSigner().Presign(ctx, signer.Request{Key: "a cat.jpg", Expires: time.Minute}); err != nil {
		log.Fatal(err)
	}
	fmt.Print(trace) // tokens and key ids are redacted; the fields have them
	// Output:
	// canonical request:
	// GET
	// /a%20cat.jpg
	// X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=REDACTED%2F20261124%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20261124T115930Z&X-Amz-Expires=90&X-Amz-SignedHeaders=host
	// host:photos.s3.eu-west-1.amazonaws.com
	//
	// host
	// UNSIGNED-PAYLOAD
	// string to sign:
	// AWS4-HMAC-SHA256
	// 20261124T115930Z
	// 20261124/eu-west-1/s3/aws4_request
	// 8e1b77de553caa7f814e5be3c7cd00eaacd0e4f77d0e6e2f07f70cb1a1d03682
}
