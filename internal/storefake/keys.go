package storefake

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file makes the credentials of a run.

// makeKeys makes those of all providers. Where there are temporary ones, they live for life if that is not 0.
func (s *Store) makeKeys(life time.Duration) (err error) {
	now := s.Clock.Now()
	s.Credentials = s3.Credentials{AccessKeyID: keyID(), SecretKey: secretText()}
	s.OSS = oss.Credentials{AccessKeyID: keyID(), AccessKeySecret: secretText()}
	if life > 0 {
		s.Credentials.SessionToken, s.Credentials.Expires = secretText(), now.Add(life)
		s.OSS.SecurityToken, s.OSS.Expires = secretText(), now.Add(life)
	}
	s.account, s.GCSSecret = newServiceAccount(), secretText()
	if s.GCSKey, err = gcs.HMACKey("GOOG"+rand.Text(), s.GCSSecret); err != nil {
		return err
	}
	s.CDNKey = cdn.Key{Name: "store-" + strings.ToLower(rand.Text()[:8]), Secret: signer.NewSecret(random(16))}
	s.AzureAccount = "store" + strings.ToLower(rand.Text()[:10])
	s.AzureDelegation = newDelegation(now)
	s.AzureKey, err = azure.SharedKey(s.AzureAccount, base64.StdEncoding.EncodeToString(random(64)))
	return err
}

// keyID is a random id of a key.
func keyID() string { return "STORE" + rand.Text()[:15] }

// secretText is a random secret that can be typed.
func secretText() signer.Secret { return signer.NewSecret([]byte(rand.Text() + rand.Text())) }

func random(size int) []byte {
	b := make([]byte, size)
	rand.Read(b)
	return b
}

// newDelegation makes a user delegation key that works for seven days, as long as one can, and has for a quarter of an hour.
func newDelegation(now time.Time) azure.UserDelegationKey {
	const instant = "2006-01-02T15:04:05Z"
	start := now.UTC().Add(-azure.DefaultBackdate)
	return azure.UserDelegationKey{
		SignedOID:     "11111111-1111-4111-8111-111111111111",
		SignedTID:     "22222222-2222-4222-8222-222222222222",
		SignedStart:   start.Format(instant),
		SignedExpiry:  start.Add(7 * 24 * time.Hour).Format(instant),
		SignedService: "b",
		SignedVersion: "2026-04-06",
		Value:         signer.NewSecret(random(32)),
	}
}

// A serviceAccount is one of Google's, with a key that is made when it is first asked for: that takes a moment.
type serviceAccount struct {
	email string
	file  func() ([]byte, error)
	known atomic.Pointer[rsa.PublicKey] // nil until then
}

func newServiceAccount() *serviceAccount {
	a := &serviceAccount{email: "store@" + strings.ToLower(rand.Text()[:12]) + ".iam.gserviceaccount.com"}
	a.file = sync.OnceValues(a.makeFile)
	return a
}

// makeFile makes the key, and the JSON file that Google would hand out.
func (a *serviceAccount) makeFile() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("storefake: service account: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("storefake: service account: %w", err)
	}
	a.known.Store(&key.PublicKey)
	return json.Marshal(map[string]string{
		"type":           "service_account",
		"client_email":   a.email,
		"private_key_id": strings.ToLower(rand.Text()),
		"private_key":    string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
}

// publicKeys are those of the account, for the Verifier.
func (a *serviceAccount) publicKeys(context.Context, string) ([]crypto.PublicKey, error) {
	if key := a.known.Load(); key != nil {
		return []crypto.PublicKey{key}, nil
	}
	return nil, signer.ErrUnknownKey
}
