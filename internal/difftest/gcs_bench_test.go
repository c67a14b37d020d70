package difftest

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"io"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/signer"
)

// The floor of GCS with an HMAC key, as bench.md's figures for the other schemes: the hash of the canonical request, an HMAC with
// reset state, one allocation for the URL. The floor with an RSA key is the RSA operation.

func gcsFloor() floor { return floor{343, 135, 400} }

func gcsWork() signer.Request { return signer.Request{Key: benchKey, Expires: benchLife} }

func gcsHMACKey(t testing.TB) gcs.Key {
	key, err := gcs.HMACKey("GOOG1EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE", signer.NewSecret([]byte("bGoa+V7g/yqDXvKRqq+JTFn4uQZbPiQJo4pf9RzJ")))
	require.NoError(t, err)
	return key
}

func gcsSigner(t testing.TB, key gcs.Key) *gcs.Signer {
	s, err := gcs.New(gcs.Config{Bucket: benchBucket, Key: key, Clock: clock.Fixed(benchTime())})
	require.NoError(t, err)
	return s
}

func TestGCSFloorHasOurLengths(t *testing.T) {
	var trace signer.Trace
	p, err := gcsSigner(t, gcsHMACKey(t)).Presign(signer.WithTrace(context.Background(), &trace), gcsWork())
	require.NoError(t, err)
	assert.Equal(t, gcsFloor(), floor{len(trace.CanonicalRequest), len(trace.StringToSign), len(p.URL)})
}

func BenchmarkFloorGCS(b *testing.B) {
	l := newLowest(gcsFloor())
	b.ReportAllocs()
	var url string
	for b.Loop() {
		l.sign()
		url = string(l.url)
	}
	_ = url
}

func benchmarkGCS(b *testing.B, key gcs.Key) {
	s := gcsSigner(b, key)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Presign(context.Background(), gcsWork()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOursGCSPresignHMAC(b *testing.B) { benchmarkGCS(b, gcsHMACKey(b)) }

func BenchmarkOursGCSAppendURLHMAC(b *testing.B) {
	s, dst := gcsSigner(b, gcsHMACKey(b)), make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.AppendURL(context.Background(), dst, gcsWork()); err != nil {
			b.Fatal(err)
		}
	}
}

// stubSigner is a crypto.Signer that costs nothing: what remains is our part of an RSA signature.
type stubSigner struct {
	public    *rsa.PublicKey
	signature []byte
}

func (s stubSigner) Public() crypto.PublicKey { return s.public }

func (s stubSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return s.signature, nil
}

func gcsRSA(b *testing.B) *rsa.PrivateKey {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(b, err)
	return private
}

func BenchmarkOursGCSPresignStub(b *testing.B) {
	key, err := gcs.RSAKey(gcsAccount, stubSigner{&gcsRSA(b).PublicKey, make([]byte, 256)})
	require.NoError(b, err)
	benchmarkGCS(b, key)
}

func BenchmarkOursGCSPresignRSA(b *testing.B) {
	key, err := gcs.RSAKey(gcsAccount, gcsRSA(b))
	require.NoError(b, err)
	benchmarkGCS(b, key)
}

func BenchmarkFloorGCSRSA(b *testing.B) {
	private := gcsRSA(b)
	digest := sha256.Sum256([]byte("string to sign"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := private.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			b.Fatal(err)
		}
	}
}

func theirGCS(b *testing.B, o storage.SignedURLOptions) {
	o.Scheme, o.GoogleAccessID, o.Method = storage.SigningSchemeV4, gcsAccount, "GET"
	b.ReportAllocs()
	for b.Loop() {
		opts := o
		opts.Expires = time.Now().Add(benchLife)
		if _, err := storage.SignedURL(benchBucket, benchKey, &opts); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSDKGCSSignedURLStub(b *testing.B) {
	signature := make([]byte, 256)
	theirGCS(b, storage.SignedURLOptions{SignBytes: func([]byte) ([]byte, error) { return signature, nil }})
}

func BenchmarkSDKGCSSignedURLPEM(b *testing.B) {
	der, err := x509.MarshalPKCS8PrivateKey(gcsRSA(b))
	require.NoError(b, err)
	theirGCS(b, storage.SignedURLOptions{PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})})
}

// An RSA key's URL that is asked for again within its window.
func gcsRemembered(b *testing.B) (*gcs.Signer, signer.Request) {
	key, err := gcs.RSAKey(gcsAccount, gcsRSA(b))
	require.NoError(b, err)
	r := gcsWork()
	r.Window = r.Expires / 2
	return gcsSigner(b, key), r
}

func BenchmarkOursGCSRememberedPresign(b *testing.B) {
	s, r := gcsRemembered(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Presign(context.Background(), r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOursGCSRememberedAppendURL(b *testing.B) {
	s, r := gcsRemembered(b)
	dst := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.AppendURL(context.Background(), dst, r); err != nil {
			b.Fatal(err)
		}
	}
}
