package iam_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/gcs/iam"
	"github.com/cloudsigner/cloudsigner/signer"
)

// google answers like the metadata server and IAM, with nothing behind it.
type google struct{ deny bool }

func (g google) RoundTrip(r *http.Request) (*http.Response, error) {
	status := http.StatusOK
	var answer string
	switch {
	case strings.HasSuffix(r.URL.Path, "/email"):
		answer = "web@demo.iam.gserviceaccount.com"
	case strings.HasSuffix(r.URL.Path, "/token"):
		answer = `{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}`
	case g.deny:
		status, answer = http.StatusNotFound, `{"error":{"code":404,"status":"NOT_FOUND"}}`
	default:
		text, _ := json.Marshal(map[string]any{"keyId": "1", "signedBlob": bytes.Repeat([]byte{1}, 256)})
		answer = string(text)
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Metadata-Flavor": {"Google"}}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

// On Google Cloud leave the clients nil, and the clock too.
func Example() {
	ctx, client := context.Background(), &http.Client{Transport: google{}}
	now := clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))

	email, err := iam.MetadataEmail(ctx, client, "")
	if err != nil {
		log.Fatal(err)
	}
	key, err := iam.New(iam.Config{Account: email, Token: iam.MetadataToken(client, "", now), Client: client, Clock: now})
	if err != nil {
		log.Fatal(err)
	}
	s, err := gcs.New(gcs.Config{Bucket: "photos", Key: key, Clock: now})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(ctx, signer.Request{Key: "2026/cat.jpg", Expires: 15 * time.Minute, Window: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p)
	// Output: GET https://storage.googleapis.com/photos/2026/cat.jpg?REDACTED until 2026-11-25T12:16:00Z
}

// To sign as another account, name it: the caller's token stays the same, and the caller needs a role on that account.
func ExampleNew_anotherAccount() {
	client := &http.Client{Transport: google{deny: true}}
	key, err := iam.New(iam.Config{Account: "uploads@demo.iam.gserviceaccount.com", Token: iam.MetadataToken(client, "", nil), Client: client})
	if err != nil {
		log.Fatal(err)
	}
	_, err = key.Sign(context.Background(), []byte("..."))
	var e *signer.Error
	if errors.As(err, &e) && errors.Is(err, signer.ErrRemote) {
		fmt.Println(e.Code)
	}
	reason, _, _ := strings.Cut(err.Error(), ";") // it goes on with what to do
	fmt.Println(reason)
	// Output:
	// NOT_FOUND
	// gcs: sign blob: key service failed: uploads@demo.iam.gserviceaccount.com is not a service account, or no longer (gcloud iam service-accounts describe uploads@demo.iam.gserviceaccount.com)
}
