package difftest

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ossv2 "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	ossv1 "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

// The floor, ours and both SDKs, on the same input.
//
//	go test ./internal/difftest -run '^$' -bench 'OSS' -count 10

// ossWorks are the jobs of works, for OSS.
func ossWorks() []work {
	get := signer.Request{Key: benchKey, Expires: benchLife}
	put := get
	put.Method = http.MethodPut
	put.Query = url.Values{"partNumber": {"7"}, "uploadId": {"0004B9894A22E5B1888A1E29F8236E2D"}}
	put.Header = http.Header{"Content-Type": {"image/jpeg"}}
	token := strings.Repeat("CAISzgJ1q6Ft5B2yfSjIr5eExample+a/Zx9Yv", 19) + "GdHfJ2aRe6UoXi=="
	return []work{
		{"get", "", get, floor{254, 141, 348}},
		{"token", token, get, floor{1094, 141, 1188}},
		{"put", "", put, floor{333, 141, 403}},
	}
}

func (w work) ossIdentity() ossIdentity {
	i := ossIdentity{id: "LTAI5tExampleExample", secret: "jtWgeXtExampleExampleExampleFi", token: w.token}
	i.ours = oss.Credentials{AccessKeyID: i.id, AccessKeySecret: signer.NewSecret([]byte(i.secret)), SecurityToken: signer.NewSecret([]byte(w.token))}
	return i
}

// benchOSSSite is where the jobs are done: https://examplebucket.oss-cn-hangzhou.aliyuncs.com.
func benchOSSSite() ossSite {
	s := ossSites()[0]
	s.config.Bucket = benchBucket
	return s
}

func (w work) ossSigner(t testing.TB) *oss.Signer {
	c := benchOSSSite().config
	c.Credentials, c.Clock = w.ossIdentity().ours, clock.Fixed(benchTime())
	s, err := oss.New(c)
	require.NoError(t, err)
	return s
}

// ossCase is the job for an SDK.
func (w work) ossCase() *ossCase {
	c := &ossCase{method: w.request.Method, key: w.request.Key, query: map[string]string{}, header: map[string]string{}, expires: w.request.Expires}
	if c.method == "" {
		c.method = http.MethodGet
	}
	for name, values := range w.request.Query {
		c.query[name] = values[0]
	}
	for name, values := range w.request.Header {
		c.header[name] = values[0]
	}
	return c
}

// TestOSSFloorsHaveOurLengths keeps the floors from rising by accident, and the peers at the same work.
func TestOSSFloorsHaveOurLengths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(benchTime()))
		for _, w := range ossWorks() {
			var trace signer.Trace
			p, err := w.ossSigner(t).Presign(signer.WithTrace(context.Background(), &trace), w.request)
			require.NoError(t, err)
			assert.Equal(t, w.floor, floor{len(trace.CanonicalRequest), len(trace.StringToSign), len(p.URL)}, w.name)
			for _, peer := range []newPeer{newPeerV1, newPeerV2} {
				theirs, err := peer(benchOSSSite(), w.ossIdentity(), nil)
				require.NoError(t, err)
				theirURL, err := theirs.presign(w.ossCase())
				require.NoError(t, err)
				assert.True(t, sameOSSURL(t, p.URL, theirURL), w.name)
			}
		}
	})
}

// BenchmarkFloorOSS is the floor: see BenchmarkFloorS3.
func BenchmarkFloorOSS(b *testing.B) {
	for _, w := range ossWorks() {
		l := newLowest(w.floor)
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

func BenchmarkOursOSSPresign(b *testing.B) {
	for _, w := range ossWorks() {
		s := w.ossSigner(b)
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Presign(context.Background(), w.request); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	w := ossWorks()[0]
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.ossSigner(b).Presign(context.Background(), w.request); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOursOSSAppendURL(b *testing.B) {
	for _, w := range ossWorks() {
		s, dst := w.ossSigner(b), make([]byte, 0, 2048)
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

func BenchmarkOursOSSSign(b *testing.B) {
	for _, w := range ossWorks()[:2] {
		s := w.ossSigner(b)
		req, err := http.NewRequest("GET", "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/photos/2026/11/holiday%20picture%2B1.jpg", nil)
		require.NoError(b, err)
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Sign(context.Background(), req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOursOSSVerify(b *testing.B) {
	for _, w := range ossWorks() {
		i := w.ossIdentity()
		v, err := oss.NewVerifier(oss.VerifierConfig{Region: "cn-hangzhou", Clock: clock.Fixed(benchTime()),
			Lookup: func(context.Context, string) (oss.Credentials, error) { return i.ours, nil }})
		require.NoError(b, err)
		p, err := w.ossSigner(b).Presign(context.Background(), w.request)
		require.NoError(b, err)
		req := httptest.NewRequest(p.Method, p.URL, nil)
		maps.Copy(req.Header, p.Header)
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

// BenchmarkPeerOSSV1SDK is aliyun-oss-go-sdk's Bucket.SignURL. It reads the machine's clock.
func BenchmarkPeerOSSV1SDK(b *testing.B) {
	for _, w := range ossWorks() {
		peer, err := newPeerV1(benchOSSSite(), w.ossIdentity(), nil)
		require.NoError(b, err)
		bucket, err := peer.(*peerV1).client.Bucket(benchBucket)
		require.NoError(b, err)
		c := w.ossCase()
		var options []ossv1.Option
		for name, value := range c.header {
			options = append(options, ossv1.SetHeader(name, value))
		}
		for name, value := range c.query {
			options = append(options, ossv1.AddParam(name, value))
		}
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bucket.SignURL(c.key, ossv1.HTTPMethod(c.method), int64(c.expires/time.Second), options...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPeerOSSV2SDK is alibabacloud-oss-go-sdk-v2's Client.Presign. It reads the machine's clock.
func BenchmarkPeerOSSV2SDK(b *testing.B) {
	for _, w := range ossWorks() {
		peer, err := newPeerV2(benchOSSSite(), w.ossIdentity(), nil)
		require.NoError(b, err)
		var request any = &ossv2.GetObjectRequest{Bucket: ossv2.Ptr(benchBucket), Key: ossv2.Ptr(benchKey)}
		if w.name == "put" {
			request = &ossv2.UploadPartRequest{Bucket: ossv2.Ptr(benchBucket), Key: ossv2.Ptr(benchKey), PartNumber: 7, UploadId: ossv2.Ptr(w.request.Query.Get("uploadId")),
				RequestCommon: ossv2.RequestCommon{Headers: w.ossCase().header}}
		}
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := peer.(*peerV2).client.Presign(context.Background(), request, ossv2.PresignExpires(benchLife)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
