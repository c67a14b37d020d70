// Foursdks signs one URL with the SDKs of four clouds.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func main() {
	fixed := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "secret"}, nil
	})
	p, err := s3.NewPresignClient(s3.New(s3.Options{Region: "us-east-1", Credentials: fixed})).
		PresignGetObject(context.Background(), &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: aws.String("key")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(p.URL))

	url, err := storage.SignedURL("bucket", "key", &storage.SignedURLOptions{Scheme: storage.SigningSchemeV4, Method: "GET", GoogleAccessID: "a@example.com",
		Expires: time.Now().Add(time.Hour), SignBytes: func([]byte) ([]byte, error) { return make([]byte, 256), nil }})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(url))

	key, err := azblob.NewSharedKeyCredential("account", "a2V5")
	if err != nil {
		log.Fatal(err)
	}
	q, err := sas.BlobSignatureValues{ContainerName: "container", BlobName: "blob", Permissions: "r", ExpiryTime: time.Now().Add(time.Hour)}.SignWithSharedKey(key)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(q.Encode()))

	client, err := oss.New("https://oss-cn-hangzhou.aliyuncs.com", "LTAIEXAMPLE", "secret", oss.AuthVersion(oss.AuthV4), oss.Region("cn-hangzhou"))
	if err != nil {
		log.Fatal(err)
	}
	bucket, err := client.Bucket("bucket")
	if err != nil {
		log.Fatal(err)
	}
	if url, err = bucket.SignURL("key", oss.HTTPGet, 900); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(url))
}
