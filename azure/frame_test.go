package azure_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

type keysFunc func() azure.Key

func (f keysFunc) Key(context.Context, time.Time) (azure.Key, error) { return f(), nil }

// What a Signer keeps from one SAS for the next must not show: whatever it signed before, it signs as a new one does.
func TestSignedBefore(t *testing.T) {
	const seed = 1
	random := rand.New(rand.NewPCG(seed, seed))
	second, err := azure.SharedKey("myaccount", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==")
	if err != nil {
		t.Fatal(err)
	}
	delegated := delegation()
	delegated.Value = signer.NewSecret([]byte("fedcba9876543210fedcba9876543210"))
	first, err := delegation().Key(ctx, now)
	if err != nil {
		t.Fatal(err)
	}
	other, err := delegated.Key(ctx, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"2012-02-12", "2018-11-09", azure.DefaultVersion, "2026-04-06"} {
		keys := []azure.Key{key(t), second, first, other}
		if version == "2012-02-12" {
			keys = keys[:2]
		}
		at, key := now, keys[0]
		one := func(s *azure.Config) {
			s.Version, s.Keys = version, keysFunc(func() azure.Key { return key })
			s.Clock = clock.Func(func() time.Time { return at })
		}
		s := newSigner(t, one)
		for range 4000 {
			at = now.Add(time.Duration(random.IntN(2)) * time.Second)
			key = keys[random.IntN(len(keys))]
			pick := func(of ...string) string { return of[random.IntN(len(of))] }
			r := signer.Request{Method: pick("", http.MethodHead, http.MethodPut), Bucket: pick("", "photos", "films"), Key: pick("a", "cat.jpg", "photos/cat.jpg", "films/é +"),
				Expires: time.Minute + time.Duration(random.IntN(2))*time.Second} // one end can have two starts
			switch random.IntN(16) { // mostly nothing, so that two plain ones meet
			case 0:
				r.SourceIP = netip.MustParsePrefix("192.0.2.0/24")
			case 1:
				r.Response.ContentType = "text/plain"
			case 2:
				r.Query = url.Values{"snapshot": {"2026-11-24T00:00:00.0000000Z"}}
			case 3:
				r.Header = http.Header{"X-Ms-Meta-A": {"b"}}
			case 4:
				r.Window, r.Spread = 30*time.Second, true
			case 5:
				r.Method, r.Key = "", ""
			}
			want, wantErr := newSigner(t, one).Presign(ctx, r)
			got, _, err := s.AppendURL(ctx, nil, r)
			if (err == nil) != (wantErr == nil) || err == nil && string(got) != want.URL {
				t.Fatalf("%s, %+v: got %s, %v, a new Signer %+v, %v", version, r, got, err, want, wantErr)
			}
			if p, err := s.Presign(ctx, r); (err == nil) != (wantErr == nil) || err == nil && p.URL != want.URL {
				t.Fatalf("%s, %+v: got %+v, %v, a new Signer %+v, %v", version, r, p, err, want, wantErr)
			}
		}
	}
}
