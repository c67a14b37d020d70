package awscreds_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/s3/awscreds"
	"github.com/cloudsigner/cloudsigner/signer"
)

// instance answers like an EC2 instance's metadata service, with nothing behind it.
type instance struct{}

func (instance) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := `{"Code":"Success","AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"the secret","Token":"the token","Expiration":"2026-11-26T18:00:00Z"}`
	switch {
	case r.Method == http.MethodPut:
		answer = "AQAEA=="
	case strings.HasSuffix(r.URL.Path, "/"):
		answer = "photos"
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

// In your program getenv is os.Getenv, and there are neither client nor clock.
func ExampleFromEnvironment() {
	ctx, now := context.Background(), clock.Fixed(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))
	getenv := func(string) string { return "" }
	creds, err := awscreds.FromEnvironment(getenv, awscreds.Options{Client: &http.Client{Transport: instance{}}, Clock: now})
	if err != nil {
		log.Fatal(err)
	}
	s, err := s3.New(s3.Config{Region: "eu-west-1", Bucket: "photos", Credentials: creds, Clock: now})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(ctx, signer.Request{Key: "2026/cat.jpg", Expires: 15 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p)

	// A URL dies with its credentials.
	p, err = s.Presign(ctx, signer.Request{Key: "2026/cat.jpg", Expires: 24 * time.Hour, AllowShorter: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p, "by its", p.LimitedBy)
	// Output:
	// GET https://photos.s3.eu-west-1.amazonaws.com/2026/cat.jpg?REDACTED until 2026-11-26T12:15:00Z
	// GET https://photos.s3.eu-west-1.amazonaws.com/2026/cat.jpg?REDACTED until 2026-11-26T18:00:00Z by its credentials
}

// On EKS with a role for the service account (IRSA), said in the program and not by its environment.
func ExampleWebIdentity() {
	creds, err := awscreds.WebIdentity(awscreds.WebIdentityConfig{
		RoleARN: "arn:aws:iam::123456789012:role/photos",
		Token:   awscreds.TokenFile("/var/run/secrets/eks.amazonaws.com/serviceaccount/token"),
		Region:  "eu-west-1",
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = s3.New(s3.Config{Region: "eu-west-1", Bucket: "photos", Credentials: creds})
	fmt.Println(err)
	// Output: <nil>
}
