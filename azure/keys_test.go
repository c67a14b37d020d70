package azure_test

import (
	"context"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/signer"
)

type keySourceFunc func() azure.Key

func (f keySourceFunc) Key(context.Context, time.Time) (azure.Key, error) { return f(), nil }

// Whatever key signed before, a Signer signs with the one in force, as a new Signer does.
func TestKeysInTurn(t *testing.T) {
	of := func(edit func(*azure.UserDelegationKey)) azure.Key {
		d := delegation()
		edit(&d)
		k, err := d.Key(ctx, now)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	other, err := azure.SharedKey("myaccount", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==")
	if err != nil {
		t.Fatal(err)
	}
	keys := []azure.Key{
		key(t), other,
		of(func(*azure.UserDelegationKey) {}),
		of(func(d *azure.UserDelegationKey) {
			d.Value = signer.NewSecret([]byte("fedcba9876543210fedcba9876543210"))
		}),
		of(func(d *azure.UserDelegationKey) { d.SignedOID = tid }),
		of(func(d *azure.UserDelegationKey) { d.SignedExpiry = "2026-11-25T22:59:49Z" }),
	}
	var inForce azure.Key
	s := newSigner(t, func(c *azure.Config) { c.Keys = keySourceFunc(func() azure.Key { return inForce }) })
	r := signer.Request{Key: "cat.jpg", Expires: time.Minute}
	for i, before := range keys {
		for j, after := range keys {
			for _, inForce = range []azure.Key{before, after} {
				want, err := newSigner(t, func(c *azure.Config) { c.Keys = inForce }).Presign(ctx, r)
				if err != nil {
					t.Fatal(err)
				}
				if got, _, err := s.AppendURL(ctx, nil, r); err != nil || string(got) != want.URL {
					t.Errorf("%d, then %d: got %s, %v, want %s", i, j, got, err, want.URL)
				}
			}
		}
	}
}
