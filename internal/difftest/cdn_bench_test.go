package difftest

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"hash"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// The floor, ours and a stand-in for Google's sample, on the same input. BENCHMARKS.md says how to run and read them. There is
// no peer: a sample shows what users write today, and its speed is shown and not counted.

const (
	cdnBenchBase = "https://media.example.com"
	cdnBenchName = "media-signing-key-26"
	cdnToSign    = 114 // bytes
	cdnURL       = 153
)

func cdnBenchKey() cdn.Key {
	return cdn.Key{Name: cdnBenchName, Secret: signer.NewSecret([]byte("sixteen bytes ok"))}
}

func cdnBenchSigner(t testing.TB) *cdn.Signer {
	base, err := url.Parse(cdnBenchBase)
	require.NoError(t, err)
	s, err := cdn.New(cdn.Config{BaseURL: base, Key: cdnBenchKey(), Clock: clock.Fixed(benchTime())})
	require.NoError(t, err)
	return s
}

func cdnBenchRequest() signer.Request { return signer.Request{Key: benchKey, Expires: benchLife} }

// cdnSample does what the samples do, step by step, with the packages that one reaches for.
func cdnSample(base, key, keyName string, secret []byte, end time.Time) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	u.Path = "/" + key
	separator := "?"
	if strings.Contains(u.String(), "?") {
		separator = "&"
	}
	toSign := fmt.Sprintf("%s%sExpires=%d&KeyName=%s", u.String(), separator, end.Unix(), keyName)
	mac := hmac.New(sha1.New, secret)
	if _, err := mac.Write([]byte(toSign)); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s&Signature=%s", toSign, base64.URLEncoding.EncodeToString(mac.Sum(nil))), nil
}

// TestCDNFloorHasOurLengths keeps the floor from rising by accident, and the sample at the same work.
func TestCDNFloorHasOurLengths(t *testing.T) {
	var trace signer.Trace
	p, err := cdnBenchSigner(t).Presign(signer.WithTrace(context.Background(), &trace), cdnBenchRequest())
	require.NoError(t, err)
	assert.Equal(t, [2]int{cdnToSign, cdnURL}, [2]int{len(trace.StringToSign), len(p.URL)})

	// net/url leaves the plus as it is, which is another spelling of the same path and two bytes less.
	sample, err := cdnSample(cdnBenchBase, benchKey, cdnBenchName, cdnBenchKey().Secret.Reveal(), p.ExpiresAt)
	require.NoError(t, err)
	assert.Len(t, sample, cdnURL-2)
	assert.Equal(t, cdnPeer{cdnBenchName, cdnBenchKey().Secret.Reveal()}.signURL(strings.Split(sample, "?")[0], p.ExpiresAt.Unix()), sample)
}

// A cdnLowest does the work that no signer can leave out: an HMAC with reset state. Nothing is encoded
// or put together.
type cdnLowest struct {
	toSign, url []byte
	mac         hash.Hash
	sum         [sha1.Size]byte
}

func newCDNLowest() *cdnLowest {
	return &cdnLowest{toSign: make([]byte, cdnToSign), url: make([]byte, cdnURL), mac: hmac.New(sha1.New, make([]byte, 16))}
}

func (l *cdnLowest) sign() {
	l.mac.Reset()
	l.mac.Write(l.toSign)
	copy(l.url[len(l.url)-len(l.sum):], l.mac.Sum(l.sum[:0]))
}

// BenchmarkFloorCDN is the floor for all that sign or verify: the work of cdnLowest, and one allocation, for the URL.
func BenchmarkFloorCDN(b *testing.B) {
	l := newCDNLowest()
	b.ReportAllocs()
	var url string
	for b.Loop() {
		l.sign()
		url = string(l.url)
	}
	_ = url
}

func BenchmarkOursCDNPresign(b *testing.B) {
	s, r := cdnBenchSigner(b), cdnBenchRequest()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Presign(context.Background(), r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOursCDNAppendURL(b *testing.B) {
	s, r, dst := cdnBenchSigner(b), cdnBenchRequest(), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.AppendURL(context.Background(), dst, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOursCDNVerify(b *testing.B) {
	base, err := url.Parse(cdnBenchBase)
	require.NoError(b, err)
	v, err := cdn.NewVerifier(cdn.VerifierConfig{BaseURL: base, Keys: []cdn.Key{cdnBenchKey()}, Clock: clock.Fixed(benchTime())})
	require.NoError(b, err)
	p, err := cdnBenchSigner(b).Presign(context.Background(), cdnBenchRequest())
	require.NoError(b, err)
	req := httptest.NewRequest(p.Method, p.URL, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(context.Background(), req); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSampleCDN is not a peer: see cdnSample.
func BenchmarkSampleCDN(b *testing.B) {
	secret := cdnBenchKey().Secret.Reveal()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cdnSample(cdnBenchBase, benchKey, cdnBenchName, secret, benchTime().Add(benchLife)); err != nil {
			b.Fatal(err)
		}
	}
}
