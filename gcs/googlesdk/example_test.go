package googlesdk_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/storage"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/gcs/googlesdk"
	"github.com/cloudsigner/cloudsigner/signer"
)

// login stands for a person's, from gcloud auth application-default login.
type login struct{}

func (login) Token(context.Context) (*auth.Token, error) { return &auth.Token{Value: "ya29.x"}, nil }

// iamService answers like IAM's signBlob, with nothing behind it.
type iamService struct{}

func (iamService) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := `{"keyId":"1","signedBlob":"` + strings.Repeat("AAAA", 85) + `AA=="}`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

// A developer signs as a service account. In a program it is Default, without client and clock; where a service account's key or an
// instance is found, without Account.
func ExampleKey() {
	ctx, now := context.Background(), clock.Fixed(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))
	creds := auth.NewCredentials(&auth.CredentialsOptions{TokenProvider: login{}, JSON: []byte(`{"type":"authorized_user"}`)})
	key, why, err := googlesdk.Key(ctx, creds, googlesdk.Config{Account: "uploads@demo.iam.gserviceaccount.com", Client: &http.Client{Transport: iamService{}}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(why)
	s, err := gcs.New(gcs.Config{Bucket: "photos", Key: key, Clock: now})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(ctx, signer.Request{Key: "2026/cat.jpg", Expires: 15 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p)
	// Output:
	// IAM's signBlob as uploads@demo.iam.gserviceaccount.com (Account), asked with the credentials at hand (authorized_user)
	// GET https://storage.googleapis.com/photos/2026/cat.jpg?REDACTED until 2026-11-26T12:15:00Z
}

// The storage client's own SignedURL, with a key of ours.
func ExampleSignBytes() {
	ctx := context.Background()
	key, err := gcs.RemoteKey("uploads@demo.iam.gserviceaccount.com", 0, func(context.Context, []byte) (gcs.Signature, error) {
		return gcs.Signature{Bytes: []byte{0xca, 0xfe}}, nil // an HSM, say
	})
	if err != nil {
		log.Fatal(err)
	}
	u, err := storage.SignedURL("photos", "cat.jpg", &storage.SignedURLOptions{
		Scheme: storage.SigningSchemeV4, Method: "GET", Expires: time.Now().Add(time.Hour),
		GoogleAccessID: key.ID(), SignBytes: googlesdk.SignBytes(ctx, key),
	})
	if err != nil {
		log.Fatal(err)
	}
	_, signature, _ := strings.Cut(u, "X-Goog-Signature=")
	fmt.Println(signature[:4])
	// Output: cafe
}
