package gcs_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/signer"
)

// The same work as in s3 and internal/difftest: GET of an object for 15 minutes, and PUT with one signed header and two parameters; by
// an HMAC key, by an RSA key, and by a stub of one, so that all but the RSA operation is seen.
//
//	go test ./gcs -run '^$' -bench 'Presign|AppendURL|Sign|Verify'

// stubKey answers at once with a signature of the right length, which is none.
type stubKey struct {
	public    *rsa.PublicKey
	signature []byte
}

func (k *stubKey) Public() crypto.PublicKey { return k.public }

func (k *stubKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return k.signature, nil }

// benchKeys are the kinds of keys, by name.
func benchKeys(t testing.TB) map[string]gcs.Key {
	public := &testKeys()[0].PublicKey
	stub, err := gcs.RSAKey(account, &stubKey{public, bytes.Repeat([]byte{0xa5}, public.Size())})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]gcs.Key{"hmac": hmacKey(t), "stub": stub, "rsa": rsaKey(t)}
}

func benchSigner(t testing.TB, key gcs.Key) *gcs.Signer {
	return newSigner(t, func(c *gcs.Config) { c.Bucket, c.Key = "examplebucket", key })
}

// works are what is signed, by name.
func works() map[string]signer.Request {
	get := signer.Request{Key: "photos/2026/11/holiday picture+1.jpg", Expires: 15 * time.Minute}
	put := get
	put.Method = http.MethodPut
	put.Query = url.Values{"partNumber": {"7"}, "uploadId": {"VXBsb2FkIElEIGZvciA2aWWpbmcncyBteS1tb3ZpZS5tMnRzIHVwbG9hZA"}}
	put.Header = http.Header{"Content-Type": {"image/jpeg"}}
	return map[string]signer.Request{"get": get, "put": put}
}

func BenchmarkPresign(b *testing.B) {
	keys := benchKeys(b)
	for _, key := range []string{"hmac", "stub", "rsa"} {
		s := benchSigner(b, keys[key])
		for _, work := range []string{"get", "put"} {
			r := works()[work]
			b.Run(key+"/"+work, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := s.Presign(ctx, r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	get := works()["get"]
	b.Run("hmac/cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := benchSigner(b, hmacKey(b)).Presign(ctx, get); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("hmac/parallel", func(b *testing.B) {
		s := benchSigner(b, keys["hmac"])
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := s.Presign(ctx, get); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// The RSA operation alone, which no code of ours makes quicker.
func BenchmarkRSA(b *testing.B) {
	digest := make([]byte, 32)
	for b.Loop() {
		if _, err := rsa.SignPKCS1v15(nil, testKeys()[0], crypto.SHA256, digest); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendURL(b *testing.B) {
	for _, key := range []string{"hmac", "stub"} {
		s := benchSigner(b, benchKeys(b)[key])
		for _, work := range []string{"get", "put"} {
			r, dst := works()[work], make([]byte, 0, 2048)
			b.Run(key+"/"+work, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := s.AppendURL(ctx, dst, r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkRemembered is what a URL costs whose signature is known, in a Window: finding it, whatever the key.
func BenchmarkRemembered(b *testing.B) {
	s, r := benchSigner(b, benchKeys(b)["rsa"]), works()["get"]
	r.Window = r.Expires / 2
	b.Run("AppendURL", func(b *testing.B) {
		b.ReportAllocs()
		dst := make([]byte, 0, 2048)
		for b.Loop() {
			if _, _, err := s.AppendURL(ctx, dst, r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Presign", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Presign(ctx, r); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkSign(b *testing.B) {
	for _, key := range []string{"hmac", "stub"} {
		s := benchSigner(b, benchKeys(b)[key])
		req, err := http.NewRequest("GET", "https://storage.googleapis.com/examplebucket/photos/2026/11/holiday%20picture%2B1.jpg", nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(key, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Sign(ctx, req); err != nil { // again and again: the signature is replaced
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	v := newVerifier(b)
	for _, key := range []string{"hmac", "rsa"} {
		s := benchSigner(b, benchKeys(b)[key])
		for _, work := range []string{"get", "put"} {
			r := received(b, presign(b, s, works()[work]), nil)
			b.Run(key+"/"+work, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := v.Verify(ctx, r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// TestAllocations holds the hot paths to their budgets, exactly.
func TestAllocations(t *testing.T) {
	if raceEnabled() {
		t.Skip("the race detector empties pools at random")
	}
	check := func(name string, budget float64, f func()) {
		t.Helper()
		if got := testing.AllocsPerRun(200, f); got > budget {
			t.Errorf("%s: %v allocations, the budget is %v", name, got, budget)
		}
	}
	presigns := map[string]float64{"hmac/get": 2, "hmac/put": 5, "stub/get": 8, "stub/put": 8}
	appends := map[string]float64{"hmac/get": 0, "hmac/put": 0, "stub/get": 2, "stub/put": 2}
	keys := benchKeys(t)
	for name, budget := range presigns {
		s, r, dst := benchSigner(t, keys[name[:4]]), works()[name[5:]], make([]byte, 0, 2048)
		check("Presign "+name, budget, func() {
			if _, err := s.Presign(ctx, r); err != nil {
				t.Fatal(err)
			}
		})
		var last []byte
		check("AppendURL "+name, appends[name], func() {
			var err error
			if last, _, err = s.AppendURL(ctx, dst, r); err != nil {
				t.Fatal(err)
			}
		})
		if p := presign(t, s, r); p.URL != string(last) {
			t.Errorf("%s: the two differ", name)
		}
	}
	s, remembered, dst := benchSigner(t, keys["rsa"]), works()["get"], make([]byte, 0, 2048)
	remembered.Window = remembered.Expires / 2
	check("Presign of a URL that is remembered", 2, func() {
		if _, err := s.Presign(ctx, remembered); err != nil {
			t.Fatal(err)
		}
	})
	check("AppendURL of a URL that is remembered", 0, func() {
		if _, _, err := s.AppendURL(ctx, dst, remembered); err != nil {
			t.Fatal(err)
		}
	})
	v := newVerifier(t)
	r := received(t, presign(t, benchSigner(t, keys["hmac"]), works()["get"]), nil)
	check("Verify hmac/get", 11, func() {
		if _, err := v.Verify(ctx, r); err != nil {
			t.Fatal(err)
		}
	})
}

// raceEnabled reports whether the test was built with -race.
func raceEnabled() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
