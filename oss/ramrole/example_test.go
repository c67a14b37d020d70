package ramrole_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/oss/ramrole"
	"github.com/cloudsigner/cloudsigner/signer"
)

// instance answers like an ECS instance's metadata service, with nothing behind it.
type instance struct{}

func (instance) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := `{"Code":"Success","AccessKeyId":"STS.Example","AccessKeySecret":"the secret","SecurityToken":"the token","Expiration":"2026-11-26T18:00:00Z"}`
	switch {
	case r.Method == http.MethodPut:
		answer = "AAAA=="
	case strings.HasSuffix(r.URL.Path, "/"):
		answer = "photos"
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

// In your program leave out the client and the clock.
func Example() {
	now := clock.Fixed(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))
	creds, err := ramrole.New(ramrole.Config{Client: &http.Client{Transport: instance{}}, Clock: now})
	if err != nil {
		log.Fatal(err)
	}
	s, err := oss.New(oss.Config{Region: "cn-hangzhou", Bucket: "photos", Credentials: creds, Clock: now})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(context.Background(), signer.Request{Key: "2026/cat.jpg", Expires: 15 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p)
	// Output: GET https://photos.oss-cn-hangzhou.aliyuncs.com/2026/cat.jpg?REDACTED until 2026-11-26T12:15:00Z
}
