package azure_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/signer"
)

// TestKeyRing rotates the two keys of an account while a Signer uses them.
func TestKeyRing(t *testing.T) {
	key := func(letter string) azure.Key {
		k, err := azure.SharedKey("acct", base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, 64))))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	one, two := key("1"), key("2")
	ring, err := signer.NewKeyRing(one, two)
	if err != nil {
		t.Fatal(err)
	}
	s, err := azure.New(azure.Config{Account: "acct", Container: "photos", Keys: ring})
	if err != nil {
		t.Fatal(err)
	}
	r := signer.Request{Key: "k", Expires: time.Hour}
	first, err := s.Presign(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.Set(two, one); err != nil {
		t.Fatal(err)
	}
	r.Expires = 2 * time.Hour
	second, err := s.Presign(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key  azure.Key
		want time.Time
	}{{one, first.ExpiresAt}, {two, second.ExpiresAt}} {
		id, _ := c.key.Retirement()
		if got, _ := ring.Issued(id); !got.Equal(c.want) {
			t.Errorf("%s is needed until %v, want %v", id, got, c.want)
		}
	}
	if _, err := signer.NewKeyRing(one, key("1")); err == nil {
		t.Error("one key is in the ring twice")
	}
	if _, err := signer.NewKeyRing(azure.Key{}); !errors.Is(err, signer.ErrCredentials) {
		t.Errorf("the zero Key is in a ring: %v", err)
	}
	if _, err := signer.NewKeyRing(one, azure.Key{}); !errors.Is(err, signer.ErrCredentials) {
		t.Errorf("the zero Key is in a ring: %v", err)
	}
}

// A key for users of another tenant has a parameter that versions before 2025-07-05 do not sign.
func TestDelegatedTenantNeedsAVersion(t *testing.T) {
	key := delegation()
	key.SignedDelegatedUserTID = tid
	for version, good := range map[string]bool{"": false, "2025-05-05": false, "2025-07-05": true} {
		_, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: key, Version: version})
		if good != (err == nil) || !good && !errors.Is(err, signer.ErrRequest) {
			t.Errorf("%q: %v", version, err)
		}
	}
}
