package aliyunsdk_test

import (
	"context"
	"fmt"
	"log"
	"time"

	aliyun "github.com/aliyun/aliyun-oss-go-sdk/oss"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/oss/aliyunsdk"
	"github.com/cloudsigner/cloudsigner/signer"
)

// provider stands for one of the SDK's.
type provider struct{}

func (provider) GetCredentials() aliyun.Credentials { return provider{} }
func (provider) GetAccessKeyID() string             { return "LTAI5tExample" }
func (provider) GetAccessKeySecret() string         { return "the secret" }
func (provider) GetSecurityToken() string           { return "" }

// The SDK has the credentials, and this module signs. In your program leave out the clock.
func Example() {
	s, err := oss.New(oss.Config{Region: "cn-hangzhou", Bucket: "photos", Credentials: aliyunsdk.Credentials(provider{}),
		Clock: clock.Fixed(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))})
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
