package main

import (
	"fmt"
	"net/url"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A config is the part of a service's configuration that says where its objects are. It is the same for every provider.
type config struct {
	Provider string // s3, gcs, cdn, azure, oss
	Bucket   string // or container
	Region   string // s3, oss
	Account  string // azure

	ID     string        // of the access key; the name of a CDN's key
	Secret signer.Secret // as the provider shows it: Azure's and the CDN's in base64

	Internal *url.URL // where the service reaches the provider; nil for the provider's own address
	Public   *url.URL // where its clients do, if that is another
	Life     time.Duration

	Clock clock.Clock
}

// open makes the storage for a config, and the signer that the service itself uses. A CDN has none: its objects are put into the bucket
// behind it.
func open(c config) (*storage, signer.Signer, error) {
	internal, public, err := signers(c)
	if err != nil {
		return nil, nil, err
	}
	return &storage{public: public, bucket: c.Bucket, life: c.Life}, internal, nil
}

func signers(c config) (internal, public signer.Signer, err error) {
	switch c.Provider {
	case "s3":
		s, err := s3.New(s3.Config{Region: c.Region, Bucket: c.Bucket, Endpoint: c.Internal, Clock: c.Clock,
			Credentials: s3.Credentials{AccessKeyID: c.ID, SecretKey: c.Secret}})
		return ends(c, s, err)
	case "gcs":
		key, err := gcs.HMACKey(c.ID, c.Secret)
		if err != nil {
			return nil, nil, err
		}
		s, err := gcs.New(gcs.Config{Bucket: c.Bucket, Endpoint: c.Internal, Key: key, Clock: c.Clock})
		return ends(c, s, err)
	case "azure":
		key, err := azure.SharedKey(c.Account, string(c.Secret.Reveal()))
		if err != nil {
			return nil, nil, err
		}
		s, err := azure.New(azure.Config{Account: c.Account, Container: c.Bucket, Endpoint: c.Internal, Keys: key, Clock: c.Clock})
		return ends(c, s, err)
	case "oss":
		s, err := oss.New(oss.Config{Region: c.Region, Bucket: c.Bucket, Endpoint: c.Internal, Clock: c.Clock,
			Credentials: oss.Credentials{AccessKeyID: c.ID, AccessKeySecret: c.Secret}})
		return ends(c, s, err)
	case "cdn":
		key, err := cdn.ParseKey(c.ID, string(c.Secret.Reveal()))
		if err != nil {
			return nil, nil, err
		}
		public, err = cdn.New(cdn.Config{BaseURL: c.Public, Bucket: c.Bucket, Key: key, Clock: c.Clock})
		return nil, public, err
	}
	return nil, nil, fmt.Errorf("provider %q is not known; there are s3, gcs, cdn, azure and oss", c.Provider)
}

// A movable Signer signs for other endpoints too.
type movable[S any] interface {
	signer.Signer
	At(endpoint *url.URL, addressing signer.Addressing) (S, error)
}

// ends returns a Signer for the internal endpoint, and one for the public endpoint if that is another.
func ends[S movable[S]](c config, s S, err error) (internal, public signer.Signer, _ error) {
	if err != nil {
		return nil, nil, err
	}
	if c.Public == nil {
		return s, s, nil
	}
	at, err := s.At(c.Public, signer.AddressingAuto)
	return s, at, err
}
