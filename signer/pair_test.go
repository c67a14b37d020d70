package signer_test

import (
	"context"
	"errors"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// failing is a Signer that cannot sign for one method.
type failing struct{ method string }

func (f failing) Presign(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
	if r.Method == f.method {
		return nil, signer.ErrCredentials
	}
	return &signer.Presigned{}, nil
}

func TestPresignPair(t *testing.T) {
	for name, s := range fiveSigners(t) {
		get, head, err := signer.PresignPair(t.Context(), s, signer.Request{Key: "cat.jpg", Expires: time.Hour})
		if err != nil || get.Method != "GET" || head.Method != "HEAD" || !get.ExpiresAt.Equal(head.ExpiresAt) {
			t.Errorf("%s: %v, %v, %v", name, get, head, err)
			continue
		}
		// Azure's permission to read and Cloud CDN's signatures are for both methods.
		if both := name == "azure" || name == "cdn"; both != (get.URL == head.URL) {
			t.Errorf("%s: the URLs are the same: %v", name, get.URL == head.URL)
		}
	}
	for _, method := range []string{"HEAD", "PUT", "get"} {
		if _, _, err := signer.PresignPair(t.Context(), failing{}, signer.Request{Method: method}); !errors.Is(err, signer.ErrRequest) {
			t.Errorf("%s: %v", method, err)
		}
	}
	for _, f := range []failing{{""}, {"HEAD"}} {
		if get, head, err := signer.PresignPair(t.Context(), f, signer.Request{}); !errors.Is(err, signer.ErrCredentials) || get != nil || head != nil {
			t.Errorf("%q fails: %v, %v, %v", f.method, get, head, err)
		}
	}
}

func parse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// A Signer at another endpoint signs for it, with all else that the first one has.
func TestAt(t *testing.T) {
	public := parse(t, "https://files.example.com")
	for name, s := range fiveSigners(t) {
		var at signer.Signer
		var err error
		switch s := s.(type) {
		case *s3.Signer:
			at, err = s.At(public, signer.AddressingBucketHost)
		case *gcs.Signer:
			at, err = s.At(public, signer.AddressingBucketHost)
		case *oss.Signer:
			at, err = s.At(public, signer.AddressingBucketHost)
		case *azure.Signer:
			at, err = s.At(public, signer.AddressingPath)
		default:
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r := signer.Request{Key: "cat.jpg", Expires: time.Hour}
		here, err := s.Presign(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		there, err := at.Presign(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		a, b := parse(t, here.URL), parse(t, there.URL)
		if b.Host != "files.example.com" || a.Host == b.Host || !here.ExpiresAt.Equal(there.ExpiresAt) {
			t.Errorf("%s: %v, %v", name, here, there)
		}
		// What does not depend on the host is the same: keys, region, times. Azure's SAS does not sign the host.
		a1, b1 := a.Query(), b.Query()
		for _, q := range []url.Values{a1, b1} {
			for _, signature := range []string{"X-Amz-Signature", "X-Goog-Signature", "x-oss-signature"} {
				q.Del(signature)
			}
		}
		if !reflect.DeepEqual(a1, b1) {
			t.Errorf("%s: %v, %v", name, here, there)
		}
	}
}
