package oss_test

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
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A link for a browser to download an object. The clock is fixed here so that the output is; leave it out in your code.
func ExampleSigner_Presign() {
	s, err := oss.New(oss.Config{
		Region: "cn-hangzhou",
		Bucket: "photos",
		Credentials: oss.Credentials{
			AccessKeyID:     "LTAI5tExampleExampleExam",
			AccessKeySecret: signer.NewSecret([]byte("secret")),
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
	// GET https://photos.oss-cn-hangzhou.aliyuncs.com/2026/cat.jpg?REDACTED until 2026-11-25T12:15:00Z
	// 317 bytes, dies at 2026-11-25 12:15:00 +0000 UTC
}

// An upload with a type that its holder must keep to, into a bucket behind a name of one's own. Content-Type and OSS's own
// headers are signed without more ado, Cache-Control by being listed in the URL.
func ExampleSigner_Presign_upload() {
	endpoint, err := url.Parse("https://img.example.com")
	if err != nil {
		log.Fatal(err)
	}
	s, err := oss.New(oss.Config{
		Region: "cn-hangzhou", Bucket: "photos", Endpoint: endpoint, Addressing: signer.AddressingBucketHost,
		Credentials: oss.Credentials{AccessKeyID: "LTAI5tExampleExampleExam", AccessKeySecret: signer.NewSecret([]byte("secret"))},
	})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(context.Background(), signer.Request{
		Method: "PUT", Key: "cat.jpg", Expires: time.Hour,
		Header: http.Header{"Content-Type": {"image/jpeg"}, "X-Oss-Object-Acl": {"private"}, "Cache-Control": {"no-store"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	u, _ := url.Parse(p.URL)
	fmt.Println(p.Method, u.Host, u.Path, u.Query().Get("x-oss-additional-headers"))
	for _, name := range []string{"Content-Type", "X-Oss-Object-Acl", "Cache-Control"} {
		fmt.Println(name, p.Header[name])
	}
	// Output:
	// PUT img.example.com /cat.jpg cache-control
	// Content-Type [image/jpeg]
	// X-Oss-Object-Acl [private]
	// Cache-Control [no-store]
}

// A part of a multipart upload is a URL with two parameters.
func ExampleSigner_Presign_multipart() {
	s, err := oss.New(oss.Config{
		Region: "cn-hangzhou", Bucket: "photos",
		Credentials: oss.Credentials{AccessKeyID: "LTAI5tExampleExampleExam", AccessKeySecret: signer.NewSecret([]byte("secret"))},
	})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(context.Background(), signer.Request{
		Method: "PUT", Key: "film.mp4", Expires: time.Hour,
		Query: url.Values{"partNumber": {"1"}, "uploadId": {"0004B9894A22E5B1888A1E29F823****"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Contains(p.URL, "?partNumber=1&uploadId=0004B9894A22E5B1888A1E29F823%2A%2A%2A%2A&x-oss-credential="))
	// Output: true
}

// A hot loop that makes many URLs appends them to one buffer.
func ExampleSigner_AppendURL() {
	s, err := oss.New(oss.Config{
		Region: "cn-hangzhou", Bucket: "photos",
		Credentials: oss.Credentials{AccessKeyID: "LTAI5tExampleExampleExam", AccessKeySecret: signer.NewSecret([]byte("secret"))},
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
	// https://photos.oss-cn-hangzhou.aliyuncs.com/1.jpg
	// https://photos.oss-cn-hangzhou.aliyuncs.com/2.jpg
}

// A URL that some other code has built is presigned as it stands, if its host tells the bucket.
func ExampleSigner_PresignRequest() {
	s, err := oss.New(oss.Config{
		Region:      "cn-hangzhou",
		Credentials: oss.Credentials{AccessKeyID: "LTAI5tExampleExampleExam", AccessKeySecret: signer.NewSecret([]byte("secret"))},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, host := range []string{"photos.oss-cn-hangzhou.aliyuncs.com", "img.example.com"} {
		req, _ := http.NewRequest("HEAD", "https://"+host+"/cat.jpg?versionId=7", nil)
		p, err := s.PresignRequest(context.Background(), req, signer.Options{Expires: time.Minute})
		if err != nil {
			fmt.Println(errors.Is(err, signer.ErrRequest))
			continue
		}
		fmt.Println(p.Method, strings.HasPrefix(p.URL, "https://"+host+"/cat.jpg?versionId=7&"))
	}
	// Output:
	// HEAD true
	// true
}

// A request that is signed in its header, as an SDK does it.
func ExampleSigner_Sign() {
	s, err := oss.New(oss.Config{
		Region:            "cn-hangzhou",
		AdditionalHeaders: []string{"Host"},
		Credentials:       oss.Credentials{AccessKeyID: "LTAI5tExampleExampleExam", AccessKeySecret: signer.NewSecret([]byte("secret"))},
		Clock:             clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)),
	})
	if err != nil {
		log.Fatal(err)
	}
	req, _ := http.NewRequest("PUT", "https://photos.oss-cn-hangzhou.aliyuncs.com/cat.txt", strings.NewReader("meow"))
	req.Header.Set("Content-MD5", "SkvkDJasYxTpHZPzgEOmNA==")
	if err := s.Sign(context.Background(), req); err != nil {
		log.Fatal(err)
	}
	a, err := oss.ParseAuthorization(req.Header.Get("Authorization"))
	fmt.Println(a.Date, a.Region, a.Product, a.AdditionalHeaders, err)
	// Output: 20261125 cn-hangzhou oss [host] <nil>
}

// The header that OSS's documentation shows for EC 0002-00000204 has a second fault, which comes to light too.
func ExampleParseAuthorization() {
	_, err := oss.ParseAuthorization("OSS4-HMAC-SHA256 CredentialAK**ID/20221220/us-east-1/oss/aliyun_v4_request,Signature=4b663e424d2db9967401ff6ce1c86f8c83cabd77d9908475239d9110642c63fa,UnknownKey=1")
	fmt.Println(err)
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		var fault *signer.Error
		if errors.As(err, &fault) {
			fmt.Println(fault.Field, fault.Code)
		}
	}
	// Output:
	// oss: parse: Authorization: malformed: "Credential" is no pair; write Credential=value
	// oss: parse: UnknownKey: malformed: the header has no such key; it has Credential, AdditionalHeaders and Signature
	// Authorization 0002-00000203
	// UnknownKey 0002-00000204
}

// A gateway that lets only signed requests through, and notes who still signs as of old.
func ExampleNewVerifier() {
	endpoint, err := url.Parse("http://files.example:8080")
	if err != nil { // it would be nil, which means OSS: url.Parse refuses 127.0.0.1:9000 without http://
		log.Fatal(err)
	}
	keys := map[string]oss.Credentials{
		"alice": {AccessKeyID: "alice", AccessKeySecret: signer.NewSecret([]byte("alice's secret"))},
	}
	v, err := oss.NewVerifier(oss.VerifierConfig{
		Region:   "cn-hangzhou",
		Endpoint: endpoint,
		AcceptV1: true,
		Lookup: func(ctx context.Context, accessKeyID string) (oss.Credentials, error) {
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
		fmt.Println(g.KeyID, "may", g.Method, g.Bucket, g.Key, "by", g.Scheme)
	}))

	s, err := oss.New(oss.Config{Region: "cn-hangzhou", Endpoint: endpoint, Credentials: keys["alice"]})
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
	// alice may GET photos cat.jpg by OSS4-HMAC-SHA256
	// 200
	// 403
}
