package s3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
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
	presign := func(at time.Time) *signer.Presigned {
		now = at
		p, err := s.Presign(context.Background(), request)
		if err != nil {
			log.Fatal(err)
		}
		return p
	}
	first, second, third := presign(noon), presign(noon.Add(59*time.Minute)), presign(noon.Add(60*time.Minute))
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
	endpoint, err := url.Parse("http://files.example:8080")
	if err != nil { // it would be nil, which means AWS: url.Parse refuses 127.0.0.1:9000 without http://
		log.Fatal(err)
	}
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

// A refreshing source gets its keys from a service, and keeps each for as long as it serves.
type refreshing struct {
	fetch func(context.Context) (s3.Credentials, error) // asks STS, a metadata service, a vault
	clock clock.Clock

	mu    sync.Mutex
	kept  s3.Credentials
	again time.Time // when to ask next: no key may live as long as a URL shall, and then each call would ask
}

func (r *refreshing) Credentials(ctx context.Context, until time.Time) (s3.Credentials, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	if until.Before(r.kept.Expires) || now.Before(r.again) {
		return r.kept, nil
	}
	fresh, err := r.fetch(ctx)
	if err != nil {
		return s3.Credentials{}, err
	}
	r.again = now.Add(time.Minute)
	if fresh.AccessKeyID != r.kept.AccessKeyID { // else the Secrets stay the same ones, by which the signer knows them
		r.kept = fresh
	}
	return r.kept, nil
}

// Keys that live for an hour. A URL that is to live longer is an error, or shorter where that will do.
func ExampleCredentialSource() {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	clk := clock.Func(func() time.Time { return now })
	fetched := 0
	s, err := s3.New(s3.Config{
		Region: "eu-west-1", Bucket: "photos", Clock: clk,
		Credentials: &refreshing{clock: clk, fetch: func(context.Context) (s3.Credentials, error) {
			fetched++
			return s3.Credentials{
				AccessKeyID:  fmt.Sprintf("ASIAIOSFODNN7EXAMPL%d", fetched),
				SecretKey:    signer.NewSecret([]byte("secret")),
				SessionToken: signer.NewSecret([]byte("token")),
				Expires:      now.Add(time.Hour),
			}, nil
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	presign := func(r signer.Request) {
		r.Key = "cat.jpg"
		p, err := s.Presign(context.Background(), r)
		if err != nil {
			fmt.Println("none: ErrCredentials", errors.Is(err, signer.ErrCredentials), "with key", fetched)
			return
		}
		fmt.Println("until", p.ExpiresAt.Format(time.TimeOnly), "by its", p.LimitedBy, "with key", fetched)
	}
	presign(signer.Request{Expires: 15 * time.Minute})
	presign(signer.Request{Expires: 15 * time.Minute})
	now = now.Add(50 * time.Minute) // the first key has ten minutes left
	presign(signer.Request{Expires: 15 * time.Minute})
	presign(signer.Request{Expires: 2 * time.Hour})
	presign(signer.Request{Expires: 2 * time.Hour, AllowShorter: true})
	// Output:
	// until 12:15:00 by its request with key 1
	// until 12:15:00 by its request with key 1
	// until 13:05:00 by its request with key 2
	// none: ErrCredentials true with key 2
	// until 13:50:00 by its credentials with key 2
}

// A body that is signed while it is sent, with its checksum behind it, and verified while it is read.
func ExampleSigner_SignChunked() {
	alice := s3.Credentials{AccessKeyID: "alice", SecretKey: signer.NewSecret([]byte("alice's secret"))}
	v, err := s3.NewVerifier(s3.VerifierConfig{
		Region:     "eu-west-1",
		Addressing: signer.AddressingPath, // without an Endpoint: under any host
		Lookup: func(ctx context.Context, accessKeyID string) (s3.Credentials, error) {
			if accessKeyID != alice.AccessKeyID {
				return s3.Credentials{}, signer.ErrUnknownKey
			}
			return alice, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(signer.Require(v, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body) // Require has wrapped it in Grant.Body: decoded, and wrong bytes are an error
		if err != nil {
			http.Error(w, "the body is not the signed one", http.StatusBadRequest)
			return
		}
		g := signer.GrantFrom(r.Context())
		fmt.Printf("%s may %s %s: %s\n", g.KeyID, g.Method, g.Key, body)
		fmt.Println(g.Payload, r.Header.Get("X-Amz-Trailer"))
	})))
	defer server.Close()

	s, err := s3.New(s3.Config{Region: "eu-west-1", Credentials: alice})
	if err != nil {
		log.Fatal(err)
	}
	req, err := http.NewRequest("PUT", server.URL+"/photos/cat.txt", strings.NewReader("meow"))
	if err != nil {
		log.Fatal(err)
	}
	if err := s.SignChunked(context.Background(), req, s3.Chunked{Checksum: s3.ChecksumCRC32C}); err != nil {
		log.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode)
	// Output:
	// alice may PUT cat.txt: meow
	// STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER x-amz-checksum-crc32c
	// 200
}

// Other services than AWS: the Endpoint is their address, without the bucket.
func ExampleConfig_endpoint() {
	for _, service := range []struct{ endpoint, region string }{
		{"http://127.0.0.1:9000", "us-east-1"},                    // MinIO, if it was not told another region
		{"https://0123456789.r2.cloudflarestorage.com", "auto"},   // Cloudflare R2, with the account in front
		{"https://s3.us-west-004.backblazeb2.com", "us-west-004"}, // Backblaze B2
		{"https://nyc3.digitaloceanspaces.com", "nyc3"},           // DigitalOcean Spaces
		{"https://s3.eu-central-1.wasabisys.com", "eu-central-1"}, // Wasabi
		{"https://storage.googleapis.com", "auto"},                // Cloud Storage, with an HMAC key; package gcs does more
	} {
		endpoint, err := url.Parse(service.endpoint)
		if err != nil {
			log.Fatal(err)
		}
		s, err := s3.New(s3.Config{
			Endpoint: endpoint, Region: service.region, Bucket: "photos",
			Credentials: s3.Credentials{AccessKeyID: "id", SecretKey: signer.NewSecret([]byte("secret"))},
			Clock:       clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)),
		})
		if err != nil {
			log.Fatal(err)
		}
		p, err := s.Presign(context.Background(), signer.Request{Key: "cat.jpg", Expires: time.Hour})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(p)
	}
	// Output:
	// GET http://127.0.0.1:9000/photos/cat.jpg?REDACTED until 2026-11-25T13:00:00Z
	// GET https://0123456789.r2.cloudflarestorage.com/photos/cat.jpg?REDACTED until 2026-11-25T13:00:00Z
	// GET https://s3.us-west-004.backblazeb2.com/photos/cat.jpg?REDACTED until 2026-11-25T13:00:00Z
	// GET https://nyc3.digitaloceanspaces.com/photos/cat.jpg?REDACTED until 2026-11-25T13:00:00Z
	// GET https://s3.eu-central-1.wasabisys.com/photos/cat.jpg?REDACTED until 2026-11-25T13:00:00Z
	// GET https://storage.googleapis.com/photos/cat.jpg?REDACTED until 2026-11-25T13:00:00Z
}

// An access point stands in place of the bucket, by its ARN. That of a multi-region one makes a signature for all regions.
func ExampleConfig_accessPoint() {
	for _, bucket := range []string{
		"arn:aws:s3:eu-west-1:123456789012:accesspoint/reports",
		"arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap",
	} {
		s, err := s3.New(s3.Config{
			Region: "eu-west-1", Bucket: bucket,
			Credentials: s3.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretKey: signer.NewSecret([]byte("secret"))},
		})
		if err != nil {
			log.Fatal(err)
		}
		p, err := s.Presign(context.Background(), signer.Request{Key: "cat.jpg", Expires: time.Hour})
		if err != nil {
			log.Fatal(err)
		}
		u, err := url.Parse(p.URL)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s %s %q\n", u.Host, u.Query().Get("X-Amz-Algorithm"), u.Query().Get("X-Amz-Region-Set"))
	}
	// Output:
	// reports-123456789012.s3-accesspoint.eu-west-1.amazonaws.com AWS4-HMAC-SHA256 ""
	// mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com AWS4-ECDSA-P256-SHA256 "*"
}

// Behind a proxy that rewrites Host, the host that was signed is in a header. Anyone could send that header: it is believed
// because this proxy is ours, sets it on every request, and is the only one who can reach the server.
func ExampleVerifierConfig_inbound() {
	endpoint, err := url.Parse("https://files.example")
	if err != nil {
		log.Fatal(err)
	}
	alice := s3.Credentials{AccessKeyID: "alice", SecretKey: signer.NewSecret([]byte("alice's secret"))}
	v, err := s3.NewVerifier(s3.VerifierConfig{
		Region:   "eu-west-1",
		Endpoint: endpoint, // as clients see it
		Lookup: func(ctx context.Context, accessKeyID string) (s3.Credentials, error) {
			if accessKeyID != alice.AccessKeyID {
				return s3.Credentials{}, signer.ErrUnknownKey
			}
			return alice, nil
		},
		Inbound: func(r *http.Request) (signer.Inbound, error) {
			host := r.Header.Values("X-Forwarded-Host")
			if len(host) != 1 {
				return signer.Inbound{}, errors.New("this request did not come through the proxy")
			}
			return signer.Inbound{Scheme: "https", Host: host[0]}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(signer.Require(v, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := signer.GrantFrom(r.Context())
		fmt.Println(g.KeyID, "may", g.Method, g.Bucket, g.Key)
	})))
	defer server.Close()
	backend, err := url.Parse(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(backend)
		r.SetXForwarded() // Rewrite has dropped the client's own
	}}

	s, err := s3.New(s3.Config{Region: "eu-west-1", Endpoint: endpoint, Credentials: alice})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(context.Background(), signer.Request{Bucket: "photos", Key: "cat.jpg", Expires: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	answer := httptest.NewRecorder()
	proxy.ServeHTTP(answer, httptest.NewRequest("GET", p.URL, nil))
	fmt.Println(answer.Code)
	// Output:
	// alice may GET photos cat.jpg
	// 200
}
