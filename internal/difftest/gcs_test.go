package difftest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/storage"

	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/signer"
)

const gcsAccount = "signer@project-1.iam.gserviceaccount.com"

// gcsStandIn is a key that costs nothing: what both sides sign is compared, and this is a function of it.
func gcsStandIn(stringToSign []byte) []byte {
	sum := sha256.Sum256(stringToSign)
	return bytes.Repeat(sum[:], 8)
}

// TestGCSPresign compares URLs with those of the unmodified SDK. Its clock is that of a synctest bubble, which sleeps until
// each request's time; ours is left as it is, and so is in the bubble too.
func TestGCSPresign(t *testing.T) {
	key, err := gcs.RemoteKey(gcsAccount, 0, func(_ context.Context, toSign []byte) (gcs.Signature, error) {
		return gcs.Signature{Bytes: gcsStandIn(toSign)}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 4_000
	if testing.Short() {
		n /= 20
	}
	for _, seed := range []uint64{1, 2, 3, 1117, 20130524, 1 << 63} {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				compareGCS(t, newGen(seed), n, key, func(o *storage.SignedURLOptions) {
					o.SignBytes = func(b []byte) ([]byte, error) { return gcsStandIn(b), nil }
				})
			})
		})
	}
}

// TestGCSPresignRSA is TestGCSPresign with an RSA key on both sides.
func TestGCSPresignRSA(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	key, err := gcs.PEMKey(gcsAccount, text)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		compareGCS(t, newGen(4096), 200, key, func(o *storage.SignedURLOptions) { o.PrivateKey = text })
	})
}

func compareGCS(t *testing.T, g gen, n int, key gcs.Key, theirKey func(*storage.SignedURLOptions)) {
	for i := range n {
		time.Sleep(time.Duration(g.Int64N(int64(48 * time.Hour)))) // to a time with a fraction of a second
		place := pick(g, gcsPlaces())
		config := place.config
		config.Key = key
		ours, err := gcs.New(config)
		if err != nil {
			t.Fatal(err)
		}
		r := g.gcsRequest(place)
		opts := &storage.SignedURLOptions{
			Scheme: storage.SigningSchemeV4, GoogleAccessID: gcsAccount, Style: place.style, Hostname: place.hostname, Insecure: place.insecure,
			Method: r.Method, Expires: time.Now().Add(r.Expires), QueryParameters: maps.Clone(r.Query),
		}
		for _, name := range slices.Sorted(maps.Keys(r.Header)) {
			for _, value := range r.Header[name] {
				opts.Headers = append(opts.Headers, name+":"+value)
			}
		}
		theirKey(opts)
		var trace signer.Trace
		got, err := ours.Presign(signer.WithTrace(context.Background(), &trace), r)
		if err != nil {
			t.Fatalf("request %d: %+v: %v", i, r, err)
		}
		theirs, err := storage.SignedURL("photos.example", r.Key, opts)
		if err != nil {
			t.Fatalf("request %d: %+v: %v", i, r, err)
		}
		want := ordered(t, theirs)
		if place.style != nil && r.Key == "" { // the SDK leaves the slash to the client
			want = strings.Replace(want, "?", "/?", 1)
		}
		if got.URL != want {
			t.Fatalf("request %d: %+v\nours   %s\ntheirs %s\ncanonical request\n%s", i, r, got.URL, want, trace.CanonicalRequest)
		}
		if !got.ExpiresAt.Equal(time.Now().Truncate(time.Second).Add(r.Expires)) {
			t.Fatalf("request %d: until %v", i, got.ExpiresAt)
		}
	}
	t.Logf("%d requests", n)
}

// ordered writes the SDK's URL as canonical requests have it: blanks as %20, and the signature last.
func ordered(t *testing.T, signed string) string {
	path, query, _ := strings.Cut(signed, "?")
	var rest, signature []string
	for part := range strings.SplitSeq(strings.ReplaceAll(query, "+", "%20"), "&") {
		if strings.HasPrefix(part, "X-Goog-Signature=") {
			signature = append(signature, part)
		} else {
			rest = append(rest, part)
		}
	}
	if len(signature) != 1 {
		t.Fatalf("%d signatures in %s", len(signature), signed)
	}
	return path + "?" + strings.Join(append(rest, signature...), "&")
}

// A gcsPlace is a place in the terms of both sides.
type gcsPlace struct {
	config   gcs.Config
	style    storage.URLStyle
	hostname string
	insecure bool
}

func gcsPlaces() []gcsPlace {
	const bucket = "photos.example"
	u := func(scheme, host string) *url.URL { return &url.URL{Scheme: scheme, Host: host} }
	return []gcsPlace{
		{gcs.Config{Bucket: bucket}, nil, "", false},
		{gcs.Config{Bucket: bucket, Addressing: signer.AddressingVirtualHost}, storage.VirtualHostedStyle(), "", false},
		{gcs.Config{Endpoint: u("http", "media.example"), Addressing: signer.AddressingBucketHost}, storage.BucketBoundHostname("media.example"), "", true},
		{gcs.Config{Endpoint: u("https", "media.example"), Addressing: signer.AddressingBucketHost}, storage.BucketBoundHostname("media.example"), "", false},
		{gcs.Config{Bucket: bucket, Endpoint: u("http", "localhost:4443")}, nil, "localhost:4443", true},
		{gcs.Config{Bucket: bucket, Endpoint: u("https", "storage.googleapis.com:443"), Addressing: signer.AddressingPath}, nil, "storage.googleapis.com:443", false},
		{gcs.Config{Bucket: bucket, Endpoint: u("https", "storage.universe.example"), Addressing: signer.AddressingVirtualHost}, storage.VirtualHostedStyle(), "storage.universe.example", false},
		{gcs.Config{Bucket: bucket, Endpoint: u("http", "[::1]:4443"), Addressing: signer.AddressingPath}, nil, "[::1]:4443", true},
	}
}

// gcsRequest is what a caller of Presign asks, without what the SDK gets wrong: see gcs_quirks_test.go.
func (g gen) gcsRequest(place gcsPlace) signer.Request {
	r := g.request()
	r.Method = pick(g, []string{"GET", "HEAD", "PUT", "POST", "DELETE"})
	r.Response, r.BestEffort = signer.ResponseHeaders{}, false
	r.SourceIP = noPrefix
	r.Expires = (r.Expires + time.Second - 1).Truncate(time.Second)
	r.Key = strings.Map(func(c rune) rune {
		if c == '\x7f' || c < ' ' {
			return 'x'
		}
		return c
	}, r.Key)
	if place.style != nil {
		r.Key = strings.TrimLeft(r.Key, "/") // losesLeadingSlash
	}
	if r.Key == "" && r.Method != "GET" && r.Method != "HEAD" {
		r.Key = "k"
	}
	if gcsSortTrap(r.Query) {
		maps.DeleteFunc(r.Query, func(name string, _ []string) bool { return url.QueryEscape(name) != name })
	}
	header := make(http.Header)
	for name, values := range r.Header {
		if strings.EqualFold(name, "X-Amz-Content-Sha256") {
			name = "X-Goog-Content-Sha256"
		}
		values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return strings.Trim(v, " ") == "" }) // dropsEmptyHeaders
		for i, v := range values {                                                                                  // foldsUnicodeBlanks
			values[i] = strings.Join(strings.Fields(v), " ")
			if !strings.EqualFold(name, "Content-Length") && g.chance(2) {
				values[i] = "  " + strings.ReplaceAll(values[i], " ", "   ") + " "
			}
		}
		if len(values) > 0 {
			header[name] = values
		}
	}
	r.Header = header
	return r
}
