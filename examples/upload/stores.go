package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/examples/internal/setup"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/upload"
)

// A store is one that the page may choose.
type store struct {
	ID, Name string
	protocol upload.Protocol
	signer   signer.Signer
	origin   string // of its URLs, to which the page must be let
}

// Forms reports whether the store takes forms.
func (s *store) Forms() bool {
	_, ok := signer.As[signer.PostSigner](s.signer)
	return ok
}

// maxFile is the largest file that is taken.
const maxFile = 5 << 30

// openStores returns the stores that there are, for a page of this origin, and what closes those of our own.
func openStores(o options, origin string, getenv func(string) string) (stores []*store, closeAll func(), err error) {
	dir, err := os.MkdirTemp("", "upload-example-")
	if err != nil {
		return nil, nil, err
	}
	own, err := storefake.Start(storefake.Config{Origin: origin, Dir: dir, MaxObject: maxFile, MaxBytes: 8 * maxFile})
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	closeAll = func() { own.Close(); os.RemoveAll(dir) }
	add := func(id, name string, p upload.Protocol, s signer.Signer, failed error) {
		if failed == nil {
			st := &store{ID: id, Name: name, protocol: p, signer: s}
			if st.origin, failed = originOf(s); failed == nil {
				stores = append(stores, st)
			}
		}
		err = errors.Join(err, failed)
	}
	at := own.Endpoint()
	sign, failed := s3.New(s3.Config{Region: own.Region, Bucket: own.Bucket, Endpoint: at, Credentials: own.Credentials})
	add("fake-s3", "Built in, speaking as S3", upload.S3, sign, failed)
	google, failed := gcs.New(gcs.Config{Bucket: own.Bucket, Endpoint: at, Key: own.GCSKey})
	add("fake-gcs", "Built in, speaking as Cloud Storage", upload.GCS, google, failed)
	alibaba, failed := oss.New(oss.Config{Region: own.Region, Bucket: own.Bucket, Endpoint: at, Addressing: signer.AddressingPath, Credentials: own.OSS})
	add("fake-oss", "Built in, speaking as OSS", upload.OSS, alibaba, failed)
	microsoft, failed := azure.New(azure.Config{Account: own.AzureAccount, Container: own.Bucket, Endpoint: at, Keys: own.AzureKey})
	add("fake-azure", "Built in, speaking as Azure", upload.Azure, microsoft, failed)
	for _, other := range []struct {
		id, name string
		protocol upload.Protocol
		options  setup.Options
	}{{"s3", "S3 at ", upload.S3, o.s3}, {"azure", "Azure at ", upload.Azure, o.azure}} {
		if other.options.Endpoint != "" {
			s, _, failed := setup.NewSigner(other.options, getenv)
			add(other.id, other.name+other.options.Endpoint, other.protocol, s, failed)
		}
	}
	if err != nil {
		closeAll()
		return nil, nil, err
	}
	return stores, closeAll, nil
}

// originOf is where a signer's URLs lead.
func originOf(s signer.Signer) (string, error) {
	p, err := s.Presign(context.Background(), signer.Request{Method: http.MethodGet, Key: "k", Expires: time.Minute})
	if err != nil {
		return "", err
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		return "", signer.RedactError(err)
	}
	return u.Scheme + "://" + u.Host, nil
}
