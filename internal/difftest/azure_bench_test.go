package difftest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// The floor, ours and the SDK, on the same input. BENCHMARKS.md says how to run and read them.
//
//	go test ./internal/difftest -run '^$' -bench 'Azure' -count 10

const (
	azureBenchAccount   = "myacct"
	azureBenchContainer = "photos"
)

func azureBenchKey() string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat("0123456789abcdef", 4)))
}

func azureBenchDelegation() azure.UserDelegationKey {
	return azure.UserDelegationKey{SignedOID: "11111111-2222-3333-4444-555555555555", SignedTID: "66666666-7777-8888-9999-000000000000",
		SignedStart: "2026-11-24T00:00:00Z", SignedExpiry: "2026-11-30T00:00:00Z", SignedService: "b", SignedVersion: "2026-04-06",
		Value: signer.NewSecret([]byte("0123456789abcdef0123456789abcdef"))}
}

// An azureWork is one of the jobs that are measured: a GET with an account key, with a user delegation key, and a PUT. All are
// in the SDK's version, so that it signs the same.
type azureWork struct {
	name      string
	delegated bool
	request   signer.Request
	toSign    int // the length of the floor's string to sign
	url       int // and of its URL
}

func azureWorks() []azureWork {
	get := signer.Request{Key: benchKey, Expires: benchLife}
	put := get
	put.Method = http.MethodPut
	return []azureWork{{"get", false, get, 123, 217}, {"delegation", true, get, 258, 380}, {"put", false, put, 124, 222}}
}

func (w azureWork) signer(t testing.TB) *azure.Signer {
	c := azure.Config{Account: azureBenchAccount, Container: azureBenchContainer, Version: "2026-04-06", Clock: clock.Fixed(benchTime())}
	if c.Keys = azureBenchDelegation(); !w.delegated {
		key, err := azure.SharedKey(azureBenchAccount, azureBenchKey())
		require.NoError(t, err)
		c.Keys = key
	}
	s, err := azure.New(c)
	require.NoError(t, err)
	return s
}

// theirs is the job for the SDK's package sas, which makes the parameters; who uses it puts the URL together.
func (w azureWork) theirs(t testing.TB) func() (string, error) {
	shared, err := azblob.NewSharedKeyCredential(azureBenchAccount, azureBenchKey())
	require.NoError(t, err)
	k := azureBenchDelegation()
	delegation := theirDelegation(t, azureBenchAccount, k, base64.StdEncoding.EncodeToString(k.Value.Reveal()))
	permissions := sas.BlobPermissions{Read: true}
	if w.request.Method == http.MethodPut {
		permissions = sas.BlobPermissions{Create: true, Write: true}
	}
	place := &url.URL{Scheme: "https", Host: azureBenchAccount + ".blob.core.windows.net", Path: "/" + azureBenchContainer + "/" + benchKey}
	return func() (string, error) {
		v := sas.BlobSignatureValues{Version: "2026-04-06", ContainerName: azureBenchContainer, BlobName: benchKey, Permissions: permissions.String(),
			StartTime: benchTime().Add(-azure.DefaultBackdate), ExpiryTime: benchTime().Add(benchLife)}
		var q sas.QueryParameters
		var err error
		if w.delegated {
			q, err = v.SignWithUserDelegation(delegation)
		} else {
			q, err = v.SignWithSharedKey(shared)
		}
		return place.String() + "?" + q.Encode(), err
	}
}

// TestAzureFloorsHaveOurLengths keeps the floors from rising by accident, and the peer at the same work.
func TestAzureFloorsHaveOurLengths(t *testing.T) {
	for _, w := range azureWorks() {
		var trace signer.Trace
		p, err := w.signer(t).Presign(signer.WithTrace(context.Background(), &trace), w.request)
		require.NoError(t, err)
		assert.Equal(t, [2]int{w.toSign, w.url}, [2]int{len(trace.StringToSign), len(p.URL)}, w.name)
		theirs, err := w.theirs(t)()
		require.NoError(t, err)
		a, err := url.Parse(p.URL)
		require.NoError(t, err)
		b, err := url.Parse(theirs)
		require.NoError(t, err)
		assert.Equal(t, a.Path, b.Path, w.name)
		assert.Equal(t, a.Query(), b.Query(), w.name)
	}
}

// An azureLowest does the work that no signer can leave out: an HMAC with reset state. Nothing is encoded or put together.
type azureLowest struct {
	toSign, url []byte
	mac         hash.Hash
	sum         [sha256.Size]byte
}

func newAzureLowest(w azureWork) *azureLowest {
	return &azureLowest{toSign: make([]byte, w.toSign), url: make([]byte, w.url), mac: hmac.New(sha256.New, make([]byte, 64))}
}

func (l *azureLowest) sign() {
	l.mac.Reset()
	l.mac.Write(l.toSign)
	copy(l.url[len(l.url)-len(l.sum):], l.mac.Sum(l.sum[:0]))
}

// BenchmarkFloorAzure is the floor for all that sign or verify: the work of azureLowest, and one allocation, for the URL.
func BenchmarkFloorAzure(b *testing.B) {
	for _, w := range azureWorks() {
		l := newAzureLowest(w)
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			var url string
			for b.Loop() {
				l.sign()
				url = string(l.url)
			}
			_ = url
		})
	}
}

func BenchmarkOursAzurePresign(b *testing.B) {
	for _, w := range azureWorks() {
		s := w.signer(b)
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Presign(context.Background(), w.request); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	w := azureWorks()[0]
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.signer(b).Presign(context.Background(), w.request); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOursAzureAppendURL(b *testing.B) {
	for _, w := range azureWorks() {
		s, dst := w.signer(b), make([]byte, 0, 1024)
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := s.AppendURL(context.Background(), dst, w.request); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOursAzureSAS(b *testing.B) {
	s := azureWorks()[0].signer(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.SAS(context.Background(), azure.SAS{Blob: benchKey, Permissions: "r", Expires: benchLife}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOursAzureVerify(b *testing.B) {
	for _, w := range azureWorks() {
		key, err := azure.SharedKey(azureBenchAccount, azureBenchKey())
		require.NoError(b, err)
		delegation, secrets := azureBenchDelegation().Value, []signer.Secret{key.Secret()}
		v, err := azure.NewVerifier(azure.VerifierConfig{Account: azureBenchAccount, Clock: clock.Fixed(benchTime()),
			AccountKeys:   func(context.Context) ([]signer.Secret, error) { return secrets, nil },
			DelegationKey: func(context.Context, azure.UserDelegationKey) (signer.Secret, error) { return delegation, nil }})
		require.NoError(b, err)
		p, err := w.signer(b).Presign(context.Background(), w.request)
		require.NoError(b, err)
		req := httptest.NewRequest(p.Method, p.URL, nil)
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(context.Background(), req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOursAzureSign(b *testing.B) {
	s := azureWorks()[0].signer(b)
	req, err := http.NewRequest("GET", "https://myacct.blob.core.windows.net/photos/2026/11/holiday%20picture%2B1.jpg", nil)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Sign(context.Background(), req); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPeerAzureSAS is azblob's package sas, with the URL put together as its examples do.
func BenchmarkPeerAzureSAS(b *testing.B) {
	for _, w := range azureWorks() {
		sign := w.theirs(b)
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sign(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPeerAzureGetSASURL is azblob's blob.Client.GetSASURL, of a client that is at hand.
func BenchmarkPeerAzureGetSASURL(b *testing.B) {
	credential, err := azblob.NewSharedKeyCredential(azureBenchAccount, azureBenchKey())
	require.NoError(b, err)
	c, err := blob.NewClientWithSharedKeyCredential("https://myacct.blob.core.windows.net/photos/photos/2026/11/holiday%20picture%2B1.jpg", credential, nil)
	require.NoError(b, err)
	start := benchTime().Add(-azure.DefaultBackdate)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.GetSASURL(sas.BlobPermissions{Read: true}, benchTime().Add(benchLife), &blob.GetSASURLOptions{StartTime: &start}); err != nil {
			b.Fatal(err)
		}
	}
}
