package s3_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A link for a browser to download an object. The clock is fixed here so that the output is; leave it out in your code.
func ExampleSigner_Presign() {
	s, err := s3.New(s3.Config{
		Region: "eu-west-1",
		Bucket: "photos",
		Credentials: s3.Credentials{
			AccessKeyID: "AKIAIOSFODNN7EXAMPLE",
			SecretKey:   signer.NewSecret([]byte("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")),
		},
		Clock: clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)),
	})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(context.Background(), signer.Request{Key: "2026/cat.jpg", Expires: 15 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p) // without its query: the URL is a secret
	fmt.Println(len(p.URL), "bytes, dies at", p.ExpiresAt)
	// Output:
	// GET https://photos.s3.eu-west-1.amazonaws.com/2026/cat.jpg?REDACTED until 2026-11-25T12:15:00Z
	// 320 bytes, dies at 2026-11-25 12:15:00 +0000 UTC
}

// A link that stays the same for an hour, so that browsers and CDNs find it in their caches.
func ExampleSigner_Presign_window() {
	noon := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	now := noon
	s, err := s3.New(s3.Config{
		Region: "eu-west-1", Bucket: "photos",
		Credentials: s3.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretKey: signer.NewSecret([]byte("secret"))},
		Clock:       clock.Func(func() time.Time { return now }),
	})
	if err != nil {
		log.Fatal(err)
	}
	request := signer.Request{Key: "cat.jpg", Expires: 4 * time.Hour, Window: time.Hour}
	first, _ := s.Presign(context.Background(), request)
	now = noon.Add(59 * time.Minute)
	second, _ := s.Presign(context.Background(), request)
	now = noon.Add(60 * time.Minute)
	third, _ := s.Presign(context.Background(), request)
	fmt.Println(first.URL == second.URL, second.URL == third.URL, first.StableUntil.Format(time.TimeOnly))
	// Output: true false 13:00:00
}

// A hot loop that makes many URLs appends them to one buffer.
func ExampleSigner_AppendURL() {
	s, err := s3.New(s3.Config{
		Region: "eu-west-1", Bucket: "photos",
		Credentials: s3.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretKey: signer.NewSecret([]byte("secret"))},
	})
	if err != nil {
		log.Fatal(err)
	}
	var buf []byte
	for _, key := range []string{"1.jpg", "2.jpg"} {
		buf, _, err = s.AppendURL(context.Background(), buf[:0], signer.Request{Key: key, Expires: time.Hour})
		if err != nil {
			log.Fatal(err)
		}
		path, _, _ := strings.Cut(string(buf), "?")
		fmt.Println(path)
	}
	// Output:
	// https://photos.s3.eu-west-1.amazonaws.com/1.jpg
	// https://photos.s3.eu-west-1.amazonaws.com/2.jpg
}

// A URL that some other code has built is presigned as it stands.
func ExampleSigner_PresignRequest() {
	s, err := s3.New(s3.Config{
		Region:      "us-east-1",
		Credentials: s3.Credentials{AccessKeyID: "minio", SecretKey: signer.NewSecret([]byte("minio-secret"))},
		Clock:       clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)),
	})
	if err != nil {
		log.Fatal(err)
	}
	req, _ := http.NewRequest("HEAD", "http://127.0.0.1:9000/photos/cat.jpg?versionId=7", nil)
	p, err := s.PresignRequest(context.Background(), req, signer.Options{Expires: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Method, strings.HasPrefix(p.URL, "http://127.0.0.1:9000/photos/cat.jpg?versionId=7&"))
	// Output: HEAD true
}

// A request with a body whose hash is signed: the service refuses any other body.
func ExampleSigner_Sign() {
	s, err := s3.New(s3.Config{
		Region:      "eu-west-1",
		Credentials: s3.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretKey: signer.NewSecret([]byte("secret"))},
		Clock:       clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)),
	})
	if err != nil {
		log.Fatal(err)
	}
	req, _ := http.NewRequest("PUT", "https://photos.s3.eu-west-1.amazonaws.com/cat.txt", strings.NewReader("meow"))
	if err := s3.HashBody(req); err != nil {
		log.Fatal(err)
	}
	if err := s.Sign(context.Background(), req); err != nil {
		log.Fatal(err)
	}
	a, err := s3.ParseAuthorization(req.Header.Get("Authorization"))
	fmt.Println(a.Region, a.SignedHeaders, err)
	// Output: eu-west-1 [content-length host x-amz-content-sha256 x-amz-date] <nil>
}

// A header with faults: all are told.
func ExampleParseAuthorization() {
	_, err := s3.ParseAuthorization("AWS4-HMAC-SHA256 Credential=AKID/20261125/eu-west-1/aws4_request, SignedHeaders=range;host, UnknownKey=1")
	fmt.Println(err)
	// Output:
	// s3: parse: Credential: malformed: it must be ID/DATE/REGION/SERVICE/aws4_request
	// s3: parse: SignedHeaders: malformed: it is not sorted, or has "host" twice
	// s3: parse: UnknownKey: malformed: the header has no such key; it has Credential, SignedHeaders and Signature
	// s3: parse: Signature: malformed: it is missing
}

// A server that lets only signed requests through.
func ExampleNewVerifier() {
	endpoint, _ := url.Parse("http://files.example:8080")
	keys := map[string]s3.Credentials{
		"alice": {AccessKeyID: "alice", SecretKey: signer.NewSecret([]byte("alice's secret"))},
	}
	v, err := s3.NewVerifier(s3.VerifierConfig{
		Region:   "eu-west-1",
		Endpoint: endpoint,
		Lookup: func(ctx context.Context, accessKeyID string) (s3.Credentials, error) {
			c, ok := keys[accessKeyID]
			if !ok {
				return c, signer.ErrUnknownKey
			}
			return c, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := signer.Require(v, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := signer.GrantFrom(r.Context())
		fmt.Println(g.KeyID, "may", g.Method, g.Bucket, g.Key)
	}))

	s, err := s3.New(s3.Config{Region: "eu-west-1", Endpoint: endpoint, Credentials: keys["alice"]})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(context.Background(), signer.Request{Bucket: "photos", Key: "cat.jpg", Expires: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	for _, url := range []string{p.URL, strings.Replace(p.URL, "cat", "dog", 1)} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest("GET", url, nil))
		fmt.Println(answer.Code)
	}
	// Output:
	// alice may GET photos cat.jpg
	// 200
	// 403
}

func ExampleHashBody() {
	req, _ := http.NewRequest("PUT", "https://photos.s3.eu-west-1.amazonaws.com/cat.txt", struct{ *strings.Reader }{strings.NewReader("meow")})
	err := s3.HashBody(req) // the body is no type that http.NewRequest can rewind
	fmt.Println(errors.Is(err, signer.ErrRequest), err)
	// Output: true s3: hash body: GetBody: bad request: the body can be read only once; set req.GetBody, or sign without a hash
}
