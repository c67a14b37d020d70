package difftest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/encoding/httpbinding"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// The floor, ours and the peers, on the same input. BENCHMARKS.md says how to run and read them.

const (
	benchBucket = "examplebucket"
	benchRegion = "us-east-1"
	benchKey    = "photos/2026/11/holiday picture+1.jpg"
	benchLife   = 15 * time.Minute
)

func benchTime() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

// A work is one of the jobs that are measured.
type work struct {
	name    string
	token   string
	request signer.Request
	floor   floor
}

// A floor is the lengths of what must be hashed, keyed and returned.
type floor struct{ canonical, toSign, url int }

func works() []work {
	get := signer.Request{Key: benchKey, Expires: benchLife}
	put := get
	put.Method = http.MethodPut
	put.Query = url.Values{"partNumber": {"7"}, "uploadId": {"VXBsb2FkIElEIGZvciA2aWWpbmcncyBteS1tb3ZpZS5tMnRzIHVwbG9hZA"}}
	put.Header = http.Header{"Content-Type": {"image/jpeg"}}
	// As long as the tokens of AWS STS, 818 bytes when escaped.
	token := strings.Repeat("IQoJb3JpZ2luX2VjEPr7sTqLw0Zx9YvKmN4B/+", 19) + "GdHfJ2aRe6UoXi=="
	return []work{
		{"get", "", get, floor{299, 133, 355}},
		{"token", token, get, floor{1139, 133, 1195}},
		{"put", "", put, floor{432, 133, 451}},
	}
}

func (w work) identity() identity {
	theirs := aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", SessionToken: w.token}
	return identity{
		ours: s3.Credentials{AccessKeyID: theirs.AccessKeyID, SecretKey: signer.NewSecret([]byte(theirs.SecretAccessKey)),
			SessionToken: signer.NewSecret([]byte(w.token))},
		theirs: theirs,
	}
}

func (w work) signer(t testing.TB) *s3.Signer {
	s, err := s3.New(s3.Config{Region: benchRegion, Bucket: benchBucket, Credentials: w.identity().ours, Clock: clock.Fixed(benchTime()), Backdate: -1})
	require.NoError(t, err)
	return s
}

// theirRequest makes what the SDK's signer signs from bucket and key.
func (w work) theirRequest() (*http.Request, error) {
	u := &url.URL{Scheme: "https", Host: benchBucket + ".s3." + benchRegion + ".amazonaws.com",
		Path: "/" + benchKey, RawPath: "/" + httpbinding.EscapePath(benchKey, false)}
	q := url.Values{"X-Amz-Expires": {strconv.Itoa(int(benchLife / time.Second))}}
	for name, values := range w.request.Query {
		q[name] = values
	}
	u.RawQuery = q.Encode()
	method := w.request.Method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequest(method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for name, values := range w.request.Header {
		req.Header[name] = values
	}
	return req, nil
}

func (w work) theirURL(signer *v4.Signer, id identity, req *http.Request) (string, http.Header, error) {
	return signer.PresignHTTP(context.Background(), id.theirs, req, unsignedPayload, "s3", benchRegion, benchTime(), asIs)
}

// TestFloorsHaveOurLengths keeps the floors from rising by accident, and the peers at the same work.
func TestFloorsHaveOurLengths(t *testing.T) {
	for _, w := range works() {
		var trace signer.Trace
		p, err := w.signer(t).Presign(signer.WithTrace(context.Background(), &trace), w.request)
		require.NoError(t, err)
		assert.Equal(t, w.floor, floor{len(trace.CanonicalRequest), len(trace.StringToSign), len(p.URL)}, w.name)

		req, err := w.theirRequest()
		require.NoError(t, err)
		theirs, _, err := w.theirURL(v4.NewSigner(), w.identity(), req)
		require.NoError(t, err)
		assert.Equal(t, theirs, p.URL, w.name)
	}
}

// A lowest does the work that no signer can leave out, with everything prepared that does not change in a day: the hash
// of the canonical request and an HMAC with reset state. Nothing is encoded or put together.
type lowest struct {
	canonical, toSign, url []byte
	mac                    hash.Hash
	sum                    [sha256.Size]byte
}

func newLowest(f floor) *lowest {
	return &lowest{make([]byte, f.canonical), make([]byte, f.toSign), make([]byte, f.url), hmac.New(sha256.New, make([]byte, sha256.Size)), [sha256.Size]byte{}}
}

func (l *lowest) sign() {
	hash := sha256.Sum256(l.canonical)
	copy(l.toSign[len(l.toSign)-len(hash):], hash[:])
	l.mac.Reset()
	l.mac.Write(l.toSign)
	copy(l.url[len(l.url)-len(l.sum):], l.mac.Sum(l.sum[:0]))
}

// BenchmarkFloorS3 is the floor for all that sign or verify: the work of lowest, and one allocation, for the URL.
func BenchmarkFloorS3(b *testing.B) {
	for _, w := range works() {
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

func BenchmarkOursS3Presign(b *testing.B) {
	for _, w := range works() {
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
	w := works()[0]
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.signer(b).Presign(context.Background(), w.request); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOursS3AppendURL(b *testing.B) {
	for _, w := range works() {
		s, dst := w.signer(b), make([]byte, 0, 2048)
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

func BenchmarkOursS3Sign(b *testing.B) {
	for _, w := range works()[:2] {
		s := w.signer(b)
		req, err := http.NewRequest("GET", "https://examplebucket.s3.us-east-1.amazonaws.com/"+httpbinding.EscapePath(benchKey, false), nil)
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

func BenchmarkOursS3Verify(b *testing.B) {
	for _, w := range works() {
		id := w.identity()
		v, err := s3.NewVerifier(s3.VerifierConfig{Region: benchRegion, Clock: clock.Fixed(benchTime()),
			Lookup: func(context.Context, string) (s3.Credentials, error) { return id.ours, nil }})
		require.NoError(b, err)
		p, err := w.signer(b).Presign(context.Background(), w.request)
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

// BenchmarkPeerAWSPresignHTTP is the SDK's signer alone, on a request that is there already.
func BenchmarkPeerAWSPresignHTTP(b *testing.B) {
	for _, w := range works() {
		theirs, id := v4.NewSigner(), w.identity()
		req, err := w.theirRequest()
		require.NoError(b, err)
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := w.theirURL(theirs, id, req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPeerAWSPresignKey is the SDK's signer from bucket and key, which is what ours does.
func BenchmarkPeerAWSPresignKey(b *testing.B) {
	presign := func(b *testing.B, w work, theirs *v4.Signer, id identity) {
		req, err := w.theirRequest()
		if err == nil {
			_, _, err = w.theirURL(theirs, id, req)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, w := range works() {
		theirs, id := v4.NewSigner(), w.identity()
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				presign(b, w, theirs, id)
			}
		})
	}
	w := works()[0]
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			presign(b, w, v4.NewSigner(), w.identity())
		}
	})
}

// BenchmarkPeerAWSClient is the SDK's whole client. It reads the machine's clock.
func BenchmarkPeerAWSClient(b *testing.B) {
	for _, w := range works()[:2] {
		client := newClient(s3.Config{Region: benchRegion}, w.identity())
		input := &awss3.GetObjectInput{Bucket: aws.String(benchBucket), Key: aws.String(benchKey)}
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.PresignGetObject(context.Background(), input); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPeerAWSSignHTTP is the SDK's signer for headers.
func BenchmarkPeerAWSSignHTTP(b *testing.B) {
	for _, w := range works()[:2] {
		theirs, id := v4.NewSigner(), w.identity()
		req, err := http.NewRequest("GET", "https://examplebucket.s3.us-east-1.amazonaws.com/"+httpbinding.EscapePath(benchKey, false), nil)
		require.NoError(b, err)
		req.Header.Set("X-Amz-Content-Sha256", unsignedPayload)
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				req.Header.Del("Authorization") // or it would reuse the memory
				if err := theirs.SignHTTP(context.Background(), id.theirs, req, unsignedPayload, "s3", benchRegion, benchTime(), asIs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
