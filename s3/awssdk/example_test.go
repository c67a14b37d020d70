package awssdk_test

import (
	"context"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/s3/awssdk"
	"github.com/cloudsigner/cloudsigner/signer"
)

// loadDefaultConfig stands for LoadDefaultConfig of github.com/aws/aws-sdk-go-v2/config.
func loadDefaultConfig(context.Context) (aws.Config, error) {
	return aws.Config{Region: "eu-west-1", Credentials: aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, nil
	}))}, nil
}

// The SDK finds region and credentials, and this module signs.
func Example() {
	ctx := context.Background()
	cfg, err := loadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	c, err := awssdk.Config(cfg)
	if err != nil {
		log.Fatal(err)
	}
	c.Bucket = "photos"
	c.Clock = clock.Fixed(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)) // in a program leave it out
	s, err := s3.New(c)
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(ctx, signer.Request{Key: "2026/cat.jpg", Expires: 15 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p)
	// Output: GET https://photos.s3.eu-west-1.amazonaws.com/2026/cat.jpg?REDACTED until 2026-11-26T12:15:00Z
}

// The SDK's own presign client, by our clock.
func ExampleSigner() {
	ctx := context.Background()
	cfg, err := loadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	sign := awssdk.NewSigner(clock.Fixed(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))) // in a program, a clock.Source
	client := awss3.NewFromConfig(cfg, func(o *awss3.Options) { o.HTTPSignerV4 = sign })
	presign := awss3.NewPresignClient(client, func(o *awss3.PresignOptions) { o.Presigner = sign })

	p, err := presign.PresignGetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String("photos"), Key: aws.String("cat.jpg")}, awss3.WithPresignExpires(time.Hour))
	if err != nil {
		log.Fatal(err)
	}
	_, date, _ := strings.Cut(p.URL, "X-Amz-Date=")
	fmt.Println(p.Method, date[:16])
	// Output: GET 20261126T115930Z
}
