package difftest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
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

// instantOfClient is when the client signs, whole seconds after the beginning of a synctest bubble's time.
func instantOfClient() time.Time { return time.Date(2026, 11, 24, 12, 34, 56, 0, time.UTC) }

// inBubble runs f when time.Now, which the client reads by itself, is instantOfClient.
func inBubble(t *testing.T, f func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(instantOfClient()))
		f(t)
	})
}

// newClient returns the SDK's whole client as c describes it.
func newClient(c s3.Config, id identity) *awss3.PresignClient {
	return awss3.NewPresignClient(awss3.New(awss3.Options{
		Region:        c.Region,
		Credentials:   aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return id.theirs, nil }),
		UsePathStyle:  c.Addressing == signer.AddressingPath,
		UseAccelerate: c.Accelerate,
	}, func(o *awss3.Options) {
		if c.Endpoint != nil {
			o.BaseEndpoint = aws.String(c.Endpoint.String())
		}
		if c.DualStack {
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
		}
		if c.FIPS {
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
		}
	}))
}

// An operation is one that the SDK's client presigns, and the same in our terms.
type operation struct {
	name    string
	request signer.Request
	presign func(c *awss3.PresignClient, bucket, key string, opts ...func(*awss3.PresignOptions)) (*v4.PresignedHTTPRequest, error)
}

func operations() []operation {
	ctx := context.Background()
	return []operation{
		{"GetObject", signer.Request{}, func(c *awss3.PresignClient, bucket, key string, o ...func(*awss3.PresignOptions)) (*v4.PresignedHTTPRequest, error) {
			return c.PresignGetObject(ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: &key}, o...)
		}},
		{"GetObject", signer.Request{
			Query:    url.Values{"versionId": {"a b+c"}},
			Header:   http.Header{"Range": {"bytes=0-9"}},
			Response: signer.ResponseHeaders{ContentDisposition: `attachment; filename="a b"`},
		}, func(c *awss3.PresignClient, bucket, key string, o ...func(*awss3.PresignOptions)) (*v4.PresignedHTTPRequest, error) {
			return c.PresignGetObject(ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: &key, VersionId: aws.String("a b+c"),
				Range: aws.String("bytes=0-9"), ResponseContentDisposition: aws.String(`attachment; filename="a b"`)}, o...)
		}},
		{"HeadObject", signer.Request{Method: "HEAD"}, func(c *awss3.PresignClient, bucket, key string, o ...func(*awss3.PresignOptions)) (*v4.PresignedHTTPRequest, error) {
			return c.PresignHeadObject(ctx, &awss3.HeadObjectInput{Bucket: &bucket, Key: &key}, o...)
		}},
		{"PutObject", signer.Request{Method: "PUT", Header: http.Header{"Cache-Control": {"no-store"}, "X-Amz-Meta-Name": {"a b"}}},
			func(c *awss3.PresignClient, bucket, key string, o ...func(*awss3.PresignOptions)) (*v4.PresignedHTTPRequest, error) {
				return c.PresignPutObject(ctx, &awss3.PutObjectInput{Bucket: &bucket, Key: &key, CacheControl: aws.String("no-store"),
					Metadata: map[string]string{"name": "a b"}}, o...)
			}},
		{"PutObject", signer.Request{Method: "PUT", Header: http.Header{"Content-Type": {"image/png"}, "Content-Length": {"77"}}},
			func(c *awss3.PresignClient, bucket, key string, o ...func(*awss3.PresignOptions)) (*v4.PresignedHTTPRequest, error) {
				return c.PresignPutObject(ctx, &awss3.PutObjectInput{Bucket: &bucket, Key: &key, ContentType: aws.String("image/png"),
					ContentLength: aws.Int64(77)}, o...)
			}},
		{"DeleteObject", signer.Request{Method: "DELETE"}, func(c *awss3.PresignClient, bucket, key string, o ...func(*awss3.PresignOptions)) (*v4.PresignedHTTPRequest, error) {
			return c.PresignDeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &bucket, Key: &key}, o...)
		}},
		{"UploadPart", signer.Request{Method: "PUT", Query: url.Values{"partNumber": {"7"}, "uploadId": {"a/b+c="}}},
			func(c *awss3.PresignClient, bucket, key string, o ...func(*awss3.PresignOptions)) (*v4.PresignedHTTPRequest, error) {
				return c.PresignUploadPart(ctx, &awss3.UploadPartInput{Bucket: &bucket, Key: &key, PartNumber: aws.Int32(7), UploadId: aws.String("a/b+c=")}, o...)
			}},
	}
}

// The places of TestS3Client, as a Config and, from the SDK's documentation, the host that both must find.
func clientSites(t *testing.T) []struct {
	config s3.Config
	host   string
} {
	u := func(raw string) *url.URL {
		u, err := url.Parse(raw)
		require.NoError(t, err)
		return u
	}
	const path = signer.AddressingPath
	type c = s3.Config
	return []struct {
		config s3.Config
		host   string
	}{
		{c{Region: "eu-west-1", Bucket: "photos"}, "photos.s3.eu-west-1.amazonaws.com"},
		{c{Region: "us-east-1", Bucket: "photos"}, "photos.s3.us-east-1.amazonaws.com"},
		{c{Region: "eu-west-1", Bucket: "photos", Addressing: path}, "s3.eu-west-1.amazonaws.com"},
		{c{Region: "eu-west-1", Bucket: "photos.example.com"}, "s3.eu-west-1.amazonaws.com"},
		{c{Region: "eu-west-1", Bucket: "Old_Bucket"}, "s3.eu-west-1.amazonaws.com"},
		{c{Region: "eu-west-1", Bucket: "photos", DualStack: true}, "photos.s3.dualstack.eu-west-1.amazonaws.com"},
		{c{Region: "eu-west-1", Bucket: "photos", DualStack: true, Addressing: path}, "s3.dualstack.eu-west-1.amazonaws.com"},
		{c{Region: "us-east-2", Bucket: "photos", FIPS: true}, "photos.s3-fips.us-east-2.amazonaws.com"},
		{c{Region: "us-east-2", Bucket: "photos", FIPS: true, DualStack: true}, "photos.s3-fips.dualstack.us-east-2.amazonaws.com"},
		{c{Region: "eu-west-1", Bucket: "photos", Accelerate: true}, "photos.s3-accelerate.amazonaws.com"},
		{c{Region: "eu-west-1", Bucket: "photos", Accelerate: true, DualStack: true}, "photos.s3-accelerate.dualstack.amazonaws.com"},
		{c{Region: "eu-west-1", Bucket: "arn:aws:s3:eu-west-1:123456789012:accesspoint/finance"}, "finance-123456789012.s3-accesspoint.eu-west-1.amazonaws.com"},
		{c{Region: "eu-west-1", Bucket: "arn:aws:s3:eu-west-1:123456789012:accesspoint:finance", DualStack: true}, "finance-123456789012.s3-accesspoint.dualstack.eu-west-1.amazonaws.com"},
		{c{Region: "us-west-2", Bucket: "arn:aws:s3:us-west-2:123456789012:accesspoint/finance", FIPS: true}, "finance-123456789012.s3-accesspoint-fips.us-west-2.amazonaws.com"},
		{c{Region: "us-west-2", Bucket: "finance-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias"}, "finance-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias.s3.us-west-2.amazonaws.com"},
		{c{Region: "us-west-2", Bucket: "arn:aws:s3-object-lambda:us-west-2:123456789012:accesspoint/resize"}, "resize-123456789012.s3-object-lambda.us-west-2.amazonaws.com"},
		{c{Region: "cn-north-1", Bucket: "photos"}, "photos.s3.cn-north-1.amazonaws.com.cn"},
		{c{Region: "cn-northwest-1", Bucket: "photos", DualStack: true}, "photos.s3.dualstack.cn-northwest-1.amazonaws.com.cn"},
		{c{Region: "us-gov-west-1", Bucket: "photos"}, "photos.s3.us-gov-west-1.amazonaws.com"},
		{c{Region: "us-gov-east-1", Bucket: "photos", FIPS: true}, "photos.s3-fips.us-gov-east-1.amazonaws.com"},
		{c{Region: "us-iso-east-1", Bucket: "photos"}, "photos.s3.us-iso-east-1.c2s.ic.gov"},
		{c{Region: "us-isob-east-1", Bucket: "photos"}, "photos.s3.us-isob-east-1.sc2s.sgov.gov"},
		{c{Region: "aws-global", Bucket: "photos"}, "photos.s3.amazonaws.com"},
		{c{Region: "us-east-1", Bucket: "photos", Endpoint: u("http://127.0.0.1:9000")}, "127.0.0.1:9000"},
		{c{Region: "us-east-1", Bucket: "photos", Endpoint: u("https://gw.example/s3"), Addressing: path}, "gw.example"},
		{c{Region: "us-east-1", Bucket: "photos", Endpoint: u("https://gw.example:8443/a/b-c~d"), Addressing: path}, "gw.example:8443"},
		{c{Region: "us-east-1", Bucket: "photos", Endpoint: u("https://gw.example/s3"), Addressing: signer.AddressingVirtualHost}, "photos.gw.example"},
		{c{Region: "auto", Bucket: "photos", Endpoint: u("https://0123456789abcdef.r2.cloudflarestorage.com"), Addressing: path}, "0123456789abcdef.r2.cloudflarestorage.com"},
	}
}

// TestS3Client compares with the SDK's whole client: where the object is, and, given what the client adds on its own, every
// byte of the URL.
func TestS3Client(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newGen(1)
		for n, site := range clientSites(t) {
			id := g.identity(n)
			client := newClient(site.config, id)
			ours := site.config
			ours.Credentials, ours.Clock, ours.Backdate = id.ours, clock.Fixed(instantOfClient()), -1
			s, err := s3.New(ours)
			require.NoError(t, err, site.host)
			for _, op := range operations() {
				for _, key := range []string{"photos/2026/11/holiday picture+1.jpg", "/a//b/", "~ü€'()*!$&,;=:@[]%2F\"<>\\^`{|}#?", g.key() + "x"} {
					compareWithClient(t, s, client, op, site.config.Bucket, key, site.host)
				}
			}
		}
	})
}

// compareWithClient compares one URL. s signs from bucket and key, finished signs finished URLs.
func compareWithClient(t *testing.T, s *s3.Signer, client *awss3.PresignClient, op operation, bucket, key, host string) {
	t.Helper()
	name := fmt.Sprintf("%s of %q at %s", op.name, key, host)
	theirs, err := op.presign(client, bucket, key, awss3.WithPresignExpires(15*time.Minute))
	require.NoError(t, err, name)
	u, err := url.Parse(theirs.URL)
	require.NoError(t, err, name)
	assert.Equal(t, host, u.Host, name)

	// With what the client adds, the same bytes.
	r := op.request
	r.Key, r.Expires = key, 15*time.Minute
	r.Query = clientAdds(op, u.Query())
	ours, err := s.Presign(context.Background(), r)
	require.NoError(t, err, name)
	assert.Equal(t, theirs.URL, ours.URL, name)
	theirs.SignedHeader.Del("Host")
	assert.True(t, sameHeader(ours.Header, theirs.SignedHeader), "%s: %v, theirs %v", name, ours.Header, theirs.SignedHeader)
	assert.Equal(t, theirs.Method, ours.Method, name)
	assert.Equal(t, instantOfClient().Add(15*time.Minute), ours.ExpiresAt, name)

	// PresignRequest replaces the client's signature by the same one.
	req, err := http.NewRequest(theirs.Method, theirs.URL, nil)
	require.NoError(t, err, name)
	req.Header = r.Header.Clone()
	if length := req.Header.Get("Content-Length"); length != "" {
		req.ContentLength, err = strconv.ParseInt(length, 10, 64)
		require.NoError(t, err)
	}
	again, err := s.PresignRequest(context.Background(), req, signer.Options{Expires: 15 * time.Minute})
	require.NoError(t, err, name)
	assert.Equal(t, signature(t, theirs.URL), signature(t, again.URL), name)

	// Without, the same place.
	r.Query = op.request.Query
	ours, err = s.Presign(context.Background(), r)
	require.NoError(t, err, name)
	theirPlace, _, _ := strings.Cut(theirs.URL, "?")
	ourPlace, _, _ := strings.Cut(ours.URL, "?")
	assert.Equal(t, theirPlace, ourPlace, name)
}

// TestS3ClientRegionSet compares where the client signs for several regions (SigV4a). These signatures have a random part.
// With newer SDKs it signs Expect, which it means to send with uploads, but only here: SigV4 leaves it out.
func TestS3ClientRegionSet(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		id := newGen(2).identity(1)
		for _, bucket := range []string{"arn:aws:s3::123456789012:accesspoint:mfzwi23gnjvgw.mrap",
			"arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/accesspoint/reports"} {
			s, err := s3.New(s3.Config{Region: "us-west-2", Bucket: bucket, Credentials: id.ours, Clock: clock.Fixed(instantOfClient()), Backdate: -1})
			require.NoError(t, err)
			for _, op := range operations() {
				theirs, err := op.presign(newClient(s3.Config{Region: "us-west-2"}, id), bucket, "a b+c")
				require.NoError(t, err)
				u, err := url.Parse(theirs.URL)
				require.NoError(t, err)
				r := op.request
				r.Key, r.Expires, r.Query = "a b+c", 15*time.Minute, clientAdds(op, u.Query())
				if theirs.SignedHeader.Get("Expect") != "" {
					r.Header = http.Header{"Expect": theirs.SignedHeader["Expect"]}
					maps.Copy(r.Header, op.request.Header)
				}
				ours, err := s.Presign(context.Background(), r)
				require.NoError(t, err)
				theirURL, _, _ := strings.Cut(theirs.URL, "&X-Amz-Signature=")
				ourURL, _, _ := strings.Cut(ours.URL, "&X-Amz-Signature=")
				assert.Equal(t, theirURL, ourURL)
			}
		}
	})
}

// clientAdds returns the operation's parameters with those that the client adds and nobody asked for: x-id, the name of the
// operation (service/s3/serializers.go), and checksums, should a version add them. We add nothing: Google's interoperable
// endpoint does not take x-id, and a checksum made without the body is that of an empty one.
func clientAdds(op operation, theirs url.Values) url.Values {
	q := make(url.Values)
	for name, values := range op.request.Query {
		q[name] = values
	}
	for name, values := range theirs {
		if name == "x-id" || strings.HasPrefix(name, "x-amz-checksum-") || strings.HasPrefix(name, "x-amz-sdk-") {
			q[name] = values
		}
	}
	return q
}

func TestS3QuirkClientAdds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		id := newGen(1).identity(1)
		for _, op := range operations() {
			theirs, err := op.presign(newClient(s3.Config{Region: "us-east-1"}, id), "photos", "k")
			require.NoError(t, err)
			if op.name != "HeadObject" { // the method tells
				assert.Equal(t, op.name, param(t, theirs.URL, "x-id"))
			}
			s, err := s3.New(s3.Config{Region: "us-east-1", Bucket: "photos", Credentials: id.ours})
			require.NoError(t, err)
			r := op.request
			r.Key, r.Expires = "k", time.Minute
			ours, err := s.Presign(context.Background(), r)
			require.NoError(t, err)
			assert.NotContains(t, ours.URL, "x-id")
			assert.NotContains(t, ours.URL, "checksum")
		}
	})
}

// The client drops the Content-Type of a PutObject that has neither body nor ContentLength, though the caller gave it
// (smithy-go/transport/http/middleware_headers.go, removeDefaultContentType takes it for a default; newer SDKs do not). The
// holder may then upload under any type. We sign what was given.
func TestS3QuirkClientDropsContentType(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		id := newGen(1).identity(1)
		bucket, key := "photos", "k"
		theirs, err := newClient(s3.Config{Region: "us-east-1"}, id).PresignPutObject(context.Background(),
			&awss3.PutObjectInput{Bucket: &bucket, Key: &key, ContentType: aws.String("image/png")})
		require.NoError(t, err)
		s, err := s3.New(s3.Config{Region: "us-east-1", Bucket: bucket, Credentials: id.ours})
		require.NoError(t, err)
		ours, err := s.Presign(context.Background(), signer.Request{Method: "PUT", Key: key, Header: http.Header{"Content-Type": {"image/png"}}, Expires: time.Minute})
		require.NoError(t, err)
		if !strings.Contains(param(t, theirs.URL, "X-Amz-SignedHeaders"), "content-type") {
			t.Log("this SDK drops it")
		}
		assert.Contains(t, param(t, ours.URL, "X-Amz-SignedHeaders"), "content-type")
	})
}

// With a base path that needs escapes, the client loses its own encoding of the key: URL.RawPath no longer fits URL.Path, so
// net/url's encoding goes out and is signed, which leaves + and $ as they are (signsThePathAsItIs). AWS signs %2B and %24.
func TestS3QuirkClientLosesItsEncoding(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		id := newGen(1).identity(1)
		c := s3.Config{Region: "us-east-1", Bucket: "photos", Endpoint: &url.URL{Scheme: "https", Host: "gw.example", Path: "/a b"}, Addressing: signer.AddressingPath}
		theirs, err := operations()[0].presign(newClient(c, id), "photos", "1+1=$2")
		require.NoError(t, err)
		c.Credentials = id.ours
		s, err := s3.New(c)
		require.NoError(t, err)
		ours, err := s.Presign(context.Background(), signer.Request{Key: "1+1=$2", Expires: time.Minute})
		require.NoError(t, err)
		assert.Contains(t, theirs.URL, "/a%20b/photos/1+1=$2?")
		assert.Contains(t, ours.URL, "/a%20b/photos/1%2B1%3D%242?")
	})
}

// Keys with segments "." and ".." are presigned by the client, and change on the way: clients and proxies resolve them. Presign
// refuses them; PresignRequest signs such a path as it stands, and then agrees.
func TestS3QuirkClientPresignsDots(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		id := newGen(1).identity(1)
		s, err := s3.New(s3.Config{Region: "us-east-1", Bucket: "photos", Credentials: id.ours, Clock: clock.Fixed(instantOfClient()), Backdate: -1})
		require.NoError(t, err)
		for _, key := range []string{"a/../b", "./a", "a/."} {
			theirs, err := operations()[0].presign(newClient(s3.Config{Region: "us-east-1"}, id), "photos", key)
			require.NoError(t, err)
			_, err = s.Presign(context.Background(), signer.Request{Key: key, Expires: 15 * time.Minute})
			assert.ErrorIs(t, err, signer.ErrRequest)
			req, err := http.NewRequest("GET", theirs.URL, nil)
			require.NoError(t, err)
			ours, err := s.PresignRequest(context.Background(), req, signer.Options{Expires: 15 * time.Minute})
			require.NoError(t, err)
			assert.Equal(t, signature(t, theirs.URL), signature(t, ours.URL))
			assert.Contains(t, ours.URL, "amazonaws.com/"+key+"?")
		}
	})
}

// The client writes the seconds of a life without a look at it (service/s3/internal/customizations/presigned_expires.go): half a second
// becomes X-Amz-Expires=0, which services call expired, and eight days go out, which AWS refuses: "X-Amz-Expires must be
// less than a week". We round up, and refuse.
func TestS3QuirkClientTakesAnyLife(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		id := newGen(1).identity(1)
		client := newClient(s3.Config{Region: "us-east-1"}, id)
		s, err := s3.New(s3.Config{Region: "us-east-1", Bucket: "photos", Credentials: id.ours, Backdate: -1})
		require.NoError(t, err)
		for _, tt := range []struct {
			life         time.Duration
			theirs, ours string
		}{
			{500 * time.Millisecond, "0", "1"},
			{1500 * time.Millisecond, "1", "2"},
			{7 * 24 * time.Hour, "604800", "604800"},
			{8 * 24 * time.Hour, "691200", ""},
		} {
			theirs, err := operations()[0].presign(client, "photos", "k", awss3.WithPresignExpires(tt.life))
			require.NoError(t, err)
			assert.Equal(t, tt.theirs, param(t, theirs.URL, "X-Amz-Expires"))
			ours, err := s.Presign(context.Background(), signer.Request{Key: "k", Expires: tt.life})
			if tt.ours == "" {
				assert.ErrorIs(t, err, signer.ErrLifetime)
				continue
			}
			require.NoError(t, err)
			assert.Equal(t, tt.ours, param(t, ours.URL, "X-Amz-Expires"))
		}
	})
}
