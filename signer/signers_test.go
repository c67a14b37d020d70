package signer_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"net/url"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// fiveSigners are one of each backend.
func fiveSigners(t *testing.T) map[string]signer.Signer {
	t.Helper()
	noon := clock.Fixed(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	must := func(s signer.Signer, err error) signer.Signer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	secret := signer.NewSecret([]byte("a secret of sixteen bytes and more"))
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	account, err := gcs.RSAKey("signer@my-project.iam.gserviceaccount.com", private)
	if err != nil {
		t.Fatal(err)
	}
	shared, err := azure.SharedKey("myaccount", base64.StdEncoding.EncodeToString(secret.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	key, err := cdn.ParseKey("my-key", "nZtRohdNF9m3cKM24IcK4w==")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]signer.Signer{
		"s3":    must(s3.New(s3.Config{Region: "eu-west-1", Bucket: "photos", Credentials: s3.Credentials{AccessKeyID: "A", SecretKey: secret}, Clock: noon})),
		"gcs":   must(gcs.New(gcs.Config{Bucket: "photos", Key: account, Clock: noon})),
		"oss":   must(oss.New(oss.Config{Region: "cn-hangzhou", Bucket: "photos", Credentials: oss.Credentials{AccessKeyID: "A", AccessKeySecret: secret}, Clock: noon})),
		"azure": must(azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: shared, Clock: noon})),
		"cdn":   must(cdn.New(cdn.Config{BaseURL: &url.URL{Scheme: "https", Host: "media.example.com"}, Key: key, Clock: noon})),
	}
}
