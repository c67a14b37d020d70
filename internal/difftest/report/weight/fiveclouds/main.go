// Fiveclouds presigns one URL for each cloud.
package main

import (
	"context"
	"fmt"
	"log"
	"net/url"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

func main() {
	secret := signer.NewSecret([]byte("a secret of thirty-two bytes ok"))
	toS3, err := s3.New(s3.Config{Region: "us-east-1", Bucket: "bucket", Credentials: s3.Credentials{AccessKeyID: "AKIAEXAMPLE", SecretKey: secret}})
	presign(toS3, err)
	key, err := gcs.HMACKey("GOOG1EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE", secret)
	if err != nil {
		log.Fatal(err)
	}
	toGCS, err := gcs.New(gcs.Config{Bucket: "bucket", Key: key})
	presign(toGCS, err)
	toOSS, err := oss.New(oss.Config{Region: "cn-hangzhou", Bucket: "bucket", Credentials: oss.Credentials{AccessKeyID: "LTAIEXAMPLE", AccessKeySecret: secret}})
	presign(toOSS, err)
	shared, err := azure.SharedKey("account", "a2V5")
	if err != nil {
		log.Fatal(err)
	}
	toAzure, err := azure.New(azure.Config{Account: "account", Container: "container", Keys: shared})
	presign(toAzure, err)
	toCDN, err := cdn.New(cdn.Config{BaseURL: &url.URL{Scheme: "https", Host: "media.example.com"}, Key: cdn.Key{Name: "key", Secret: signer.NewSecret(make([]byte, 16))}})
	presign(toCDN, err)
}

func presign(s signer.Signer, err error) {
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(context.Background(), signer.Request{Key: "key", Expires: 15 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(p.URL))
}
