package gcs_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/signer"
)

// exampleKeyFile is a key file as the Cloud console hands it out, of a key that was made just now.
func exampleKeyFile() []byte {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		log.Fatal(err)
	}
	file, err := json.Marshal(map[string]string{
		"type":         "service_account",
		"client_email": "signer@my-project.iam.gserviceaccount.com",
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		log.Fatal(err)
	}
	return file
}

// A link for a browser to download an object, signed with the key file of a service account. The clock is fixed here so that the
// output is; leave it out in your code.
func ExampleSigner_Presign() {
	key, err := gcs.ServiceAccountKey(exampleKeyFile()) // os.ReadFile
	if err != nil {
		log.Fatal(err)
	}
	s, err := gcs.New(gcs.Config{Bucket: "photos", Key: key, Clock: clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(context.Background(), signer.Request{
		Key:      "2026/cat.jpg",
		Expires:  15 * time.Minute,
		Response: signer.ResponseHeaders{ContentDisposition: signer.Attachment("cat.jpg")},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p) // without its query: the URL is a secret
	fmt.Println("dies at", p.ExpiresAt)
	// Output:
	// GET https://storage.googleapis.com/photos/2026/cat.jpg?REDACTED until 2026-11-25T12:15:00Z
	// dies at 2026-11-25 12:15:00 +0000 UTC
}

// An HMAC key signs a thousand times faster than RSA, and does for a hot loop that appends its URLs to one buffer.
func ExampleHMACKey() {
	key, err := gcs.HMACKey("GOOG1EXAMPLEACCESSID", signer.NewSecret([]byte("the secret that Google showed once")))
	if err != nil {
		log.Fatal(err)
	}
	s, err := gcs.New(gcs.Config{Bucket: "photos", Key: key})
	if err != nil {
		log.Fatal(err)
	}
	var buf []byte
	for _, name := range []string{"1.jpg", "2.jpg"} {
		buf, _, err = s.AppendURL(context.Background(), buf[:0], signer.Request{Key: name, Expires: time.Hour})
		if err != nil {
			log.Fatal(err)
		}
		path, query, _ := strings.Cut(string(buf), "?")
		algorithm, _, _ := strings.Cut(query, "&")
		fmt.Println(path, algorithm)
	}
	// Output:
	// https://storage.googleapis.com/photos/1.jpg X-Goog-Algorithm=GOOG4-HMAC-SHA256
	// https://storage.googleapis.com/photos/2.jpg X-Goog-Algorithm=GOOG4-HMAC-SHA256
}

// A key in a KMS, an HSM or a TPM is a crypto.Signer; here one in memory stands in for it.
func ExampleRSAKey() {
	var hardware crypto.Signer
	hardware, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	key, err := gcs.RSAKey("signer@my-project.iam.gserviceaccount.com", hardware)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(key.ID(), key.Algorithm())
	// Output: signer@my-project.iam.gserviceaccount.com GOOG4-RSA-SHA256
}

// Signatures of IAM's signBlob are good for twelve hours at least. A URL that shall live longer is an error, or with AllowShorter
// ends there.
func ExampleRemoteKey() {
	signBlob := func(ctx context.Context, stringToSign []byte) (gcs.Signature, error) {
		return gcs.Signature{Bytes: []byte("a signature"), KeyID: "0123456789abcdef"}, nil // the package gcs/iam has a real one
	}
	key, err := gcs.RemoteKey("signer@my-project.iam.gserviceaccount.com", 12*time.Hour, signBlob)
	if err != nil {
		log.Fatal(err)
	}
	s, err := gcs.New(gcs.Config{Bucket: "photos", Key: key, Clock: clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))})
	if err != nil {
		log.Fatal(err)
	}
	_, err = s.Presign(context.Background(), signer.Request{Key: "cat.jpg", Expires: 13 * time.Hour})
	fmt.Println(errors.Is(err, signer.ErrCredentials))
	p, err := s.Presign(context.Background(), signer.Request{Key: "cat.jpg", Expires: 13 * time.Hour, AllowShorter: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.ExpiresAt, "limited by", p.LimitedBy)
	// Output:
	// true
	// 2026-11-26 00:00:00 +0000 UTC limited by credentials
}

// A resumable upload begins with a POST that must carry the header it was signed with. The answer's Location is the address of the
// upload, and is used without a signature.
func ExampleSigner_Presign_resumable() {
	key, err := gcs.HMACKey("GOOG1EXAMPLEACCESSID", signer.NewSecret([]byte("secret")))
	if err != nil {
		log.Fatal(err)
	}
	s, err := gcs.New(gcs.Config{Bucket: "films", Key: key})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(context.Background(), signer.Request{
		Method: "POST", Key: "film.mp4", Expires: time.Hour,
		Header: http.Header{"X-Goog-Resumable": {"start"}, "X-Goog-Content-Length-Range": {"0,1048576"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	req, err := p.NewRequest(context.Background(), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(req.Method, req.URL.Path, req.Header)
	fmt.Println(req.URL.Query().Get("X-Goog-SignedHeaders"))
	// Output:
	// POST /films/film.mp4 map[X-Goog-Content-Length-Range:[0,1048576] X-Goog-Resumable:[start]]
	// host;x-goog-content-length-range;x-goog-resumable
}

// An emulator is an Endpoint. Its port stands in the URL and is not signed.
func ExampleConfig_emulator() {
	key, err := gcs.HMACKey("GOOG1EXAMPLEACCESSID", signer.NewSecret([]byte("secret")))
	if err != nil {
		log.Fatal(err)
	}
	s, err := gcs.New(gcs.Config{Bucket: "photos", Key: key, Endpoint: &url.URL{Scheme: "http", Host: "localhost:4443"}})
	if err != nil {
		log.Fatal(err)
	}
	var trace signer.Trace
	p, err := s.Presign(signer.WithTrace(context.Background(), &trace), signer.Request{Key: "cat.jpg", Expires: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	bare, _, _ := strings.Cut(p.URL, "?")
	fmt.Println(bare)
	for line := range strings.Lines(string(trace.CanonicalRequest)) {
		if strings.HasPrefix(line, "host:") {
			fmt.Print(line)
		}
	}
	// Output:
	// http://localhost:4443/photos/cat.jpg
	// host:localhost
}

// A request that is signed in its header, for a server's own calls to the XML API.
func ExampleSigner_Sign() {
	key, err := gcs.HMACKey("GOOG1EXAMPLEACCESSID", signer.NewSecret([]byte("secret")))
	if err != nil {
		log.Fatal(err)
	}
	s, err := gcs.New(gcs.Config{Key: key, Clock: clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))})
	if err != nil {
		log.Fatal(err)
	}
	req, err := http.NewRequest("DELETE", "https://storage.googleapis.com/photos/cat.jpg", nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := s.Sign(context.Background(), req); err != nil {
		log.Fatal(err)
	}
	auth, _, _ := strings.Cut(req.Header.Get("Authorization"), ",Signature=")
	fmt.Println(auth)
	fmt.Println(req.Header.Get("X-Goog-Date"), req.Header.Get("X-Goog-Content-Sha256"))
	// Output:
	// GOOG4-HMAC-SHA256 Credential=GOOG1EXAMPLEACCESSID/20261125/auto/storage/goog4_request,SignedHeaders=host;x-goog-content-sha256;x-goog-date
	// 20261125T120000Z UNSIGNED-PAYLOAD
}

// A server of one's own accepts what two service accounts signed, and acts on the Grant. PublicKeys would fetch the keys from Google.
func ExampleVerifier() {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	v, err := gcs.NewVerifier(gcs.VerifierConfig{
		Accounts: []string{"signer@my-project.iam.gserviceaccount.com", "backup@my-project.iam.gserviceaccount.com"},
		Keys: func(ctx context.Context, account string) ([]crypto.PublicKey, error) {
			return []crypto.PublicKey{private.Public()}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := signer.Require(v, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := signer.GrantFrom(r.Context())
		fmt.Fprintf(w, "%s of %s in %s, by %s", g.Method, g.Key, g.Bucket, g.KeyID)
	}))

	for _, email := range []string{"signer@my-project.iam.gserviceaccount.com", "stranger@elsewhere.iam.gserviceaccount.com"} {
		key, err := gcs.RSAKey(email, private)
		if err != nil {
			log.Fatal(err)
		}
		s, err := gcs.New(gcs.Config{Bucket: "photos", Key: key})
		if err != nil {
			log.Fatal(err)
		}
		p, err := s.Presign(context.Background(), signer.Request{Key: "cat.jpg", Expires: time.Minute})
		if err != nil {
			log.Fatal(err)
		}
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, httptest.NewRequest("GET", p.URL, nil))
		text := answer.Body.String()
		if answer.Code != http.StatusOK {
			text = "refused"
		}
		fmt.Println(answer.Code, text)
	}
	// Output:
	// 200 GET of cat.jpg in photos, by signer@my-project.iam.gserviceaccount.com
	// 403 refused
}

// What Google does not hold to is an error, or with BestEffort is named.
func ExampleSigner_Presign_bestEffort() {
	key, err := gcs.HMACKey("GOOG1EXAMPLEACCESSID", signer.NewSecret([]byte("secret")))
	if err != nil {
		log.Fatal(err)
	}
	s, err := gcs.New(gcs.Config{Bucket: "photos", Key: key})
	if err != nil {
		log.Fatal(err)
	}
	r := signer.Request{Key: "cat.jpg", Expires: time.Minute, Response: signer.ResponseHeaders{CacheControl: "no-store"}}
	_, err = s.Presign(context.Background(), r)
	fmt.Println(errors.Is(err, signer.ErrUnsupported))
	r.BestEffort = true
	p, err := s.Presign(context.Background(), r)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(slices.Contains(p.NotEnforced, "Response.CacheControl"))
	// Output:
	// true
	// true
}
