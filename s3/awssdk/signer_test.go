package awssdk

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

var (
	noon      = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	temporary = aws.Credentials{AccessKeyID: "ASIATEST", SecretAccessKey: "planted secret", SessionToken: "a/token+=="}
)

func request(t *testing.T, method, rawURL string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, rawURL, nil)
	require.NoError(t, err)
	return r
}

// What the SDK signs at an instant is what we sign at it, by our clock: the signature is the same.
func TestSignHTTPIsTheSDKs(t *testing.T) {
	ours := NewSigner(clock.Fixed(noon))
	for _, c := range []aws.Credentials{temporary, {AccessKeyID: "AKIATEST", SecretAccessKey: "other"}} {
		for _, service := range []string{"s3", "s3express", "s3-outposts"} {
			for _, u := range []string{"https://photos.s3.eu-west-1.amazonaws.com/a%20b/%2B?list-type=2&prefix=a%2Fb&x", "http://127.0.0.1:9000/photos/",
				"https://photos.s3.eu-west-1.amazonaws.com:443/k"} {
				make := func() *http.Request {
					r := request(t, "PUT", u)
					r.Header.Set("X-Amz-Content-Sha256", emptyHash)
					r.Header.Set("X-Amz-Meta-A", "b")
					if service == "s3express" {
						r.Header.Set("X-Amz-S3session-Token", "session")
					}
					return r
				}
				theirs, r := make(), make()
				require.NoError(t, v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).
					SignHTTP(t.Context(), c, theirs, emptyHash, service, "eu-west-1", noon))
				require.NoError(t, ours.SignHTTP(t.Context(), c, r, emptyHash, service, "eu-west-1", noon.Add(-time.Hour)))
				assert.Equal(t, authorization(theirs.Header.Get("Authorization")), authorization(r.Header.Get("Authorization")))
				theirs.Header.Del("Authorization")
				r.Header.Del("Authorization")
				assert.Equal(t, theirs.Header, r.Header)
				assert.Equal(t, theirs.Host, r.Host)
			}
		}
	}
}

// authorization is a header without the spaces on which tastes differ.
func authorization(s string) string { return strings.ReplaceAll(s, ", ", ",") }

// Presigned, they differ by what we date back.
func TestPresignHTTPIsTheSDKs(t *testing.T) {
	ours := NewSigner(clock.Fixed(noon.Add(s3.DefaultBackdate)))
	make := func(expires string) *http.Request {
		r := request(t, "PUT", "https://photos.s3.eu-west-1.amazonaws.com/a%20b?x-id=PutObject&X-Amz-Expires="+expires)
		r.Header.Set("Content-Type", "image/jpeg")
		r.Header.Set("X-Amz-Meta-A", "b")
		r.Header.Set("X-Amz-Request-Payer-Like", "a b") // the SDK hoists what it does not know into the URL
		r.Header.Set("X-Amz-Server-Side-Encryption", "AES256")
		r.ContentLength = 7
		return r
	}
	const unsigned = "UNSIGNED-PAYLOAD"
	theirURL, theirHeader, err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).
		PresignHTTP(t.Context(), temporary, make("930"), unsigned, "s3", "eu-west-1", noon)
	require.NoError(t, err)
	ourURL, ourHeader, err := ours.PresignHTTP(t.Context(), temporary, make("900"), unsigned, "s3", "eu-west-1", noon.Add(-time.Hour))
	require.NoError(t, err)
	assert.Equal(t, theirHeader, ourHeader)
	assert.Contains(t, ourURL, "X-Amz-Request-Payer-Like=a%20b")
	assert.NotContains(t, ourHeader, "X-Amz-Request-Payer-Like")
	theirs, err := url.Parse(theirURL)
	require.NoError(t, err)
	u, err := url.Parse(ourURL)
	require.NoError(t, err)
	assert.Equal(t, theirs.Query(), u.Query())
	assert.Equal(t, theirs.Host+theirs.EscapedPath(), u.Host+u.EscapedPath())
}

// A transport that keeps the last request and answers nothing of interest.
type keeper struct{ last *http.Request }

func (k *keeper) Do(r *http.Request) (*http.Response, error) {
	k.last = r
	body := ""
	if r.Method == "GET" {
		body = "<ListBucketResult></ListBucketResult>"
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// The SDK's client works with it, and what it sends is verified, at our time.
func TestClient(t *testing.T) {
	k := new(keeper)
	sign := NewSigner(clock.Fixed(noon))
	client := awss3.New(awss3.Options{Region: "eu-west-1", HTTPClient: k, HTTPSignerV4: sign,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return temporary, nil })})
	v, err := s3.NewVerifier(s3.VerifierConfig{Region: "eu-west-1", Clock: clock.Fixed(noon), Lookup: func(context.Context, string) (s3.Credentials, error) {
		return s3.Credentials{AccessKeyID: "ASIATEST", SecretKey: signer.NewSecret([]byte("planted secret")), SessionToken: signer.NewSecret([]byte("a/token+=="))}, nil
	}})
	require.NoError(t, err)

	_, err = client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String("photos"), Key: aws.String("a b+c/ü"), Body: bytes.NewReader([]byte("data")),
		ContentType: aws.String("text/plain"), Metadata: map[string]string{"a": "b"}})
	require.NoError(t, err)
	g, err := v.Verify(t.Context(), inbound(k.last))
	require.NoError(t, err)
	assert.Equal(t, "a b+c/ü", g.Key)
	assert.Equal(t, noon, g.SignedAt.UTC())
	assert.Contains(t, g.SignedHeaders, "x-amz-meta-a")

	_, err = client.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("photos"), Prefix: aws.String("a/b c")})
	require.NoError(t, err)
	_, err = v.Verify(t.Context(), inbound(k.last))
	require.NoError(t, err)

	p, err := awss3.NewPresignClient(client, func(o *awss3.PresignOptions) { o.Presigner = sign }).
		PresignGetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String("photos"), Key: aws.String("cat.jpg")}, awss3.WithPresignExpires(time.Hour))
	require.NoError(t, err)
	g, err = v.Verify(t.Context(), inbound(request(t, p.Method, p.URL)))
	require.NoError(t, err)
	assert.Equal(t, noon.Add(time.Hour), g.ExpiresAt.UTC())
	assert.Equal(t, noon.Add(-s3.DefaultBackdate), g.NotBefore.UTC())
}

// inbound is a request as a server sees it.
func inbound(r *http.Request) *http.Request {
	in := r.Clone(context.Background())
	if in.Host == "" {
		in.Host = in.URL.Host
	}
	in.RequestURI = in.URL.RequestURI()
	in.RemoteAddr = "192.0.2.1:1"
	if in.ContentLength > 0 {
		in.Header.Set("Content-Length", "4")
	}
	return in
}

func TestSignerRefuses(t *testing.T) {
	sign := NewSigner(clock.Fixed(noon))
	get := func(query string) *http.Request {
		return request(t, "GET", "https://photos.s3.eu-west-1.amazonaws.com/k"+query)
	}
	dying := temporary
	dying.CanExpire, dying.Expires = true, noon.Add(time.Minute)
	for name, tt := range map[string]struct {
		credentials aws.Credentials
		query       string
		want        error
	}{
		"no life":        {temporary, "", signer.ErrLifetime},
		"no number":      {temporary, "?X-Amz-Expires=soon", signer.ErrLifetime},
		"eight days":     {temporary, "?X-Amz-Expires=691200", signer.ErrLifetime},
		"nothing":        {temporary, "?X-Amz-Expires=0", signer.ErrLifetime},
		"they die first": {dying, "?X-Amz-Expires=61", signer.ErrCredentials},
	} {
		_, _, err := sign.PresignHTTP(t.Context(), tt.credentials, get(tt.query), "UNSIGNED-PAYLOAD", "s3", "eu-west-1", noon)
		assert.ErrorIs(t, err, tt.want, name)
		assert.NotContains(t, err.Error(), "planted", name)
	}
	_, _, err := sign.PresignHTTP(t.Context(), dying, get("?X-Amz-Expires=60"), "UNSIGNED-PAYLOAD", "s3", "eu-west-1", noon)
	assert.NoError(t, err)

	_, _, err = sign.PresignHTTP(t.Context(), temporary, get("?X-Amz-Expires=60"), "UNSIGNED-PAYLOAD", "s3express", "eu-west-1", noon)
	assert.ErrorIs(t, err, signer.ErrUnsupported)

	r := get("")
	r.Header.Set("X-Amz-Content-Sha256", "no hash")
	before := r.Header.Clone()
	assert.ErrorIs(t, sign.SignHTTP(t.Context(), temporary, r, emptyHash, "s3", "eu-west-1", noon), signer.ErrRequest)
	assert.Equal(t, before, r.Header)
	assert.ErrorIs(t, sign.SignHTTP(t.Context(), aws.Credentials{}, get(""), emptyHash, "s3", "eu-west-1", noon), signer.ErrCredentials)
	assert.Error(t, sign.SignHTTP(t.Context(), temporary, get(""), emptyHash, "s3", "", noon))

	r = get("") // without the header that an S3 client sets
	require.NoError(t, sign.SignHTTP(t.Context(), temporary, r, emptyHash, "s3", "eu-west-1", noon))
	assert.Equal(t, emptyHash, r.Header.Get("X-Amz-Content-Sha256"))
}

// A learned clock is asked for the time at each request's host.
func TestSignerAsksByHost(t *testing.T) {
	c := learned{"a.example": noon, "b.example": noon.Add(time.Hour)}
	sign := NewSigner(c)
	for range 2 {
		for host, at := range c {
			r := request(t, "GET", "https://"+host+"/")
			require.NoError(t, sign.SignHTTP(t.Context(), temporary, r, emptyHash, "s3", "eu-west-1", time.Time{}))
			assert.Equal(t, at.Format("20060102T150405Z"), r.Header.Get("X-Amz-Date"))
		}
	}
}

type learned map[string]time.Time

func (l learned) Now() time.Time                                         { panic("asked for no authority") }
func (l learned) Read(authority string) (now time.Time, o time.Duration) { return l[authority], 0 }

// Many hosts do not fill the memory, and many goroutines get along, each with its own credentials.
func TestSignerConcurrent(t *testing.T) {
	sign := NewSigner(clock.Fixed(noon))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			c := temporary
			c.AccessKeyID += string(rune('A' + i))
			for n := range 100 {
				r, err := http.NewRequest("GET", "https://b"+strings.Repeat("x", n%60)+string(rune('a'+i))+".example.com/", nil)
				if err != nil || sign.SignHTTP(t.Context(), c, r, emptyHash, "s3", "eu-west-1", noon) != nil ||
					!strings.Contains(r.Header.Get("Authorization"), "Credential="+c.AccessKeyID+"/") {
					t.Errorf("%v: %v", err, r.Header)
				}
			}
		})
	}
	all.Wait()
	assert.LessOrEqual(t, len(*sign.signers.Load()), 256)
}
