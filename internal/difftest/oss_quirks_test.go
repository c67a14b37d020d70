package difftest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ossv2 "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	ossv2credentials "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
	ossv2signer "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/signer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Where the SDKs do otherwise, and the generators avoid it. v1 is aliyun-oss-go-sdk, v2 alibabacloud-oss-go-sdk-v2.

// ossExample runs f with pairs of both SDKs at the public endpoint of cn-hangzhou, at instantOfClient.
func ossExample(t *testing.T, token string, list []string, f func(t *testing.T, v1, v2 *ossPair)) {
	inBubble(t, func(t *testing.T) {
		i := ossIdentity{id: "LTAI5tExampleExampleExam", secret: "jtWgeXtExampleExampleExampleFi", token: token}
		i.ours = oss.Credentials{AccessKeyID: i.id, AccessKeySecret: signer.NewSecret([]byte(i.secret)), SecurityToken: signer.NewSecret([]byte(token))}
		f(t, newOSSPair(t, ossSites()[0], i, list, newPeerV1), newOSSPair(t, ossSites()[0], i, list, newPeerV2))
	})
}

// theirURL is what the SDK makes of a case.
func (p *ossPair) theirURL(t *testing.T, c ossCase) string {
	t.Helper()
	if c.method == "" {
		c.method, c.key, c.expires = "GET", "k", time.Minute
	}
	theirs, err := p.theirs.presign(&c)
	require.NoError(t, err)
	return theirs
}

// ourURL is what ours makes of it.
func (p *ossPair) ourURL(t *testing.T, c ossCase) string {
	t.Helper()
	if c.method == "" {
		c.method, c.key, c.expires = "GET", "k", time.Minute
	}
	ours, err := p.ours.Presign(context.Background(), c.request())
	require.NoError(t, err)
	return ours.URL
}

// accepts asks our verifier about a URL with headers.
func (p *ossPair) accepts(rawURL string, header http.Header) error {
	req := httptest.NewRequest("GET", rawURL, nil)
	req.Header = header
	_, err := p.verifier.Verify(context.Background(), req)
	return err
}

// The wire differs and the signature does not: v1 writes the slashes of a key as %2F, v2 an empty parameter with its "=".
func TestOSSQuirkSpelling(t *testing.T) {
	ossExample(t, "", nil, func(t *testing.T, v1, v2 *ossPair) {
		c := ossCase{method: "GET", key: "a/b c", query: map[string]string{"acl": ""}, expires: time.Minute}
		first, second, ours := v1.theirURL(t, c), v2.theirURL(t, c), v1.ourURL(t, c)
		assert.Contains(t, first, ".com/a%2Fb%20c?acl&x-oss-")
		assert.Contains(t, second, ".com/a/b%20c?acl=&x-oss-")
		assert.Contains(t, ours, ".com/a/b%20c?acl&x-oss-")
		assert.Equal(t, param(t, ours, "x-oss-signature"), param(t, first, "x-oss-signature"))
		assert.Equal(t, param(t, ours, "x-oss-signature"), param(t, second, "x-oss-signature"))
		for _, u := range []string{first, second, ours} {
			assert.NoError(t, v1.accepts(u, nil))
		}
	})
}

// v1 sends no x-oss-date with a signature in the header: it signs the text of Date (oss/auth.go, getSignedStrV4). Our verifier
// takes it, as OSS does; we always send x-oss-date.
func TestOSSQuirkV1SDKSignsDate(t *testing.T) {
	ossExample(t, "", nil, func(t *testing.T, v1, v2 *ossPair) {
		c := &ossCase{method: "GET", key: "k"}
		req, err := v1.theirs.send(c)
		require.NoError(t, err)
		assert.Empty(t, req.Header.Get("X-Oss-Date"))
		assert.Equal(t, "Tue, 24 Nov 2026 12:34:56 GMT", req.Header.Get("Date"))
		v1.verify(t, newGen(1), c, req)
		ours, err := http.NewRequest("GET", req.URL.String(), nil)
		require.NoError(t, err)
		require.NoError(t, v1.ours.Sign(context.Background(), ours))
		assert.NotEqual(t, ours.Header.Get("Authorization"), req.Header.Get("Authorization"))
	})
}

// v1 writes a space in the name of a parameter as "+" and signs that (oss/conn.go, getSubResource); in a value it writes %20.
// OSS reads a space and signs %20, so the URL is refused. We write and sign %20.
func TestOSSQuirkV1SDKSpaces(t *testing.T) {
	ossExample(t, "", nil, func(t *testing.T, v1, v2 *ossPair) {
		c := ossCase{method: "GET", key: "k", query: map[string]string{"a b": "c d"}, expires: time.Minute}
		first, second, ours := v1.theirURL(t, c), v2.theirURL(t, c), v2.ourURL(t, c)
		assert.Contains(t, first, "?a+b=c%20d&")
		assert.Contains(t, ours, "?a%20b=c%20d&")
		assert.NotEqual(t, param(t, ours, "x-oss-signature"), param(t, first, "x-oss-signature"))
		assert.Equal(t, param(t, ours, "x-oss-signature"), param(t, second, "x-oss-signature"))
		assert.ErrorIs(t, v1.accepts(first, nil), signer.ErrMismatch)
		assert.NoError(t, v1.accepts(second, nil))
	})
}

// v2's signer signs the last value of a repeated parameter twice (oss/signer/v4.go, calcCanonicalRequest). OSS's documentation
// does not say which are signed, so we refuse to sign and to accept them.
func TestOSSQuirkRepeatedParameters(t *testing.T) {
	ossExample(t, "", nil, func(t *testing.T, v1, v2 *ossPair) {
		sign := func(query string) string {
			req, err := http.NewRequest("GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/k?"+query, nil)
			require.NoError(t, err)
			require.NoError(t, new(ossv2signer.SignerV4).Sign(context.Background(), &ossv2signer.SigningContext{
				Product: ossv2.Ptr("oss"), Region: ossv2.Ptr("cn-hangzhou"), Bucket: ossv2.Ptr("photos"), Key: ossv2.Ptr("k"), Request: req,
				Credentials: &ossv2credentials.Credentials{AccessKeyID: v2.id, AccessKeySecret: v2.secret}}))
			return req.Header.Get("Authorization")
		}
		assert.Equal(t, sign("a=2&a=2"), sign("a=1&a=2"))
		req, err := http.NewRequest("GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/k?a=1&a=2", nil)
		require.NoError(t, err)
		assert.ErrorIs(t, v2.ours.Sign(context.Background(), req), signer.ErrRequest)
		req.Header = http.Header{"Authorization": {sign("a=1&a=2")}, "X-Oss-Date": {"20261124T123456Z"}, "X-Oss-Content-Sha256": {unsignedPayload}}
		assert.ErrorIs(t, v2.accepts(req.URL.String(), req.Header), signer.ErrMalformed)
	})
}

// Host is asked for in AdditionalHeaders and dropped without a word when v2 signs, and when v1 presigns: net/http keeps it
// outside the header's map, where they look. Ours is signed. Told Host as a header, they sign it too, as the generator does.
func TestOSSQuirkHostIsDropped(t *testing.T) {
	ossExample(t, "", []string{"Host"}, func(t *testing.T, v1, v2 *ossPair) {
		ours := v1.ourURL(t, ossCase{})
		assert.Equal(t, "host", param(t, ours, "x-oss-additional-headers"))
		for _, p := range []*ossPair{v1, v2} {
			assert.NotContains(t, p.theirURL(t, ossCase{}), "additional-headers")
			told := p.theirURL(t, *p.told(&ossCase{method: "GET", key: "k", header: map[string]string{}, expires: time.Minute}))
			assert.True(t, sameOSSURL(t, ours, told), told)
		}
		first, err := v1.theirs.send(&ossCase{method: "GET", key: "k"})
		require.NoError(t, err)
		assert.Contains(t, first.Header.Get("Authorization"), "AdditionalHeaders=host,")
		second, err := v2.theirs.send(&ossCase{method: "GET", key: "k"})
		require.NoError(t, err)
		assert.NotContains(t, second.Header.Get("Authorization"), "AdditionalHeaders")
	})
}

// A header of the list that the request does not have is dropped too. Ours is an error.
func TestOSSQuirkAbsentHeaders(t *testing.T) {
	ossExample(t, "", []string{"Range"}, func(t *testing.T, v1, v2 *ossPair) {
		for _, p := range []*ossPair{v1, v2} {
			assert.NotContains(t, p.theirURL(t, ossCase{}), "additional-headers")
			_, err := p.ours.Presign(context.Background(), signer.Request{Key: "k", Expires: time.Minute})
			assert.ErrorIs(t, err, signer.ErrRequest)
		}
	})
}

// v1 lists Content-Type among the additional headers of a URL if it is told to (oss/conn.go, signURL), though it is not to be
// listed, and leaves it out of the list that it signs. v2 leaves it out. Ours is an error when the signer is made.
func TestOSSQuirkDefaultHeadersListed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		i := newGen(1).ossIdentity(1)
		list, c := []string{"Content-Type"}, &ossCase{method: "PUT", key: "k", header: map[string]string{"Content-Type": "text/plain"}, expires: time.Minute}
		for name, peer := range map[string]newPeer{"v1": newPeerV1, "v2": newPeerV2} {
			p, err := peer(ossSites()[0], i, list)
			require.NoError(t, err)
			theirs, err := p.presign(c)
			require.NoError(t, err)
			assert.Equal(t, name == "v1", strings.Contains(theirs, "x-oss-additional-headers=content-type"), name)
		}
		_, err := oss.New(oss.Config{Region: "cn-hangzhou", Credentials: i.ours, AdditionalHeaders: list})
		assert.ErrorIs(t, err, signer.ErrRequest)
	})
}

// An empty header: v1 signs it, v2's client does not send it. Several values of one: v2's signer joins them with commas, v1
// signs the first. OSS's documentation does not say, and ours are errors.
func TestOSSQuirkHeaderValues(t *testing.T) {
	ossExample(t, "", nil, func(t *testing.T, v1, v2 *ossPair) {
		empty := ossCase{method: "GET", key: "k", header: map[string]string{"Content-Type": ""}, expires: time.Minute}
		bare := ossCase{method: "GET", key: "k", expires: time.Minute}
		assert.NotEqual(t, v1.theirURL(t, bare), v1.theirURL(t, empty))
		assert.Equal(t, v2.theirURL(t, bare), v2.theirURL(t, empty))
		for _, values := range [][]string{{""}, {" "}, {"1", "2"}, {}} {
			_, err := v1.ours.Presign(context.Background(), signer.Request{Key: "k", Header: http.Header{"X-Oss-Meta-A": values}, Expires: time.Minute})
			assert.ErrorIs(t, err, signer.ErrRequest, "%q", values)
		}
		sign := func(values ...string) string {
			req, err := http.NewRequest("GET", "https://photos.oss-cn-hangzhou.aliyuncs.com/k", nil)
			require.NoError(t, err)
			req.Header["X-Oss-Meta-A"] = values
			require.NoError(t, new(ossv2signer.SignerV4).Sign(context.Background(), &ossv2signer.SigningContext{
				Product: ossv2.Ptr("oss"), Region: ossv2.Ptr("cn-hangzhou"), Bucket: ossv2.Ptr("photos"), Key: ossv2.Ptr("k"), Request: req,
				Credentials: &ossv2credentials.Credentials{AccessKeyID: v2.id, AccessKeySecret: v2.secret}}))
			return req.Header.Get("Authorization")
		}
		assert.Equal(t, sign("1,2"), sign("1", "2"))
	})
}

// Blanks at the ends of a value: v1 trims spaces, v2 whatever Unicode calls white space, net/http spaces and tabs. Ours are
// spaces: tabs are refused.
func TestOSSQuirkBlanks(t *testing.T) {
	ossExample(t, "", nil, func(t *testing.T, v1, v2 *ossPair) {
		c := ossCase{method: "GET", key: "k", header: map[string]string{"X-Oss-Meta-A": "\u00a0a "}, expires: time.Minute}
		ours := v1.ourURL(t, c)
		assert.Equal(t, param(t, ours, "x-oss-signature"), param(t, v1.theirURL(t, c), "x-oss-signature"))
		assert.NotEqual(t, param(t, ours, "x-oss-signature"), param(t, v2.theirURL(t, c), "x-oss-signature"))
		assert.NoError(t, v1.accepts(ours, http.Header{"X-Oss-Meta-A": {"\u00a0a"}}))
		_, err := v1.ours.Presign(context.Background(), signer.Request{Key: "k", Header: http.Header{"X-Oss-Meta-A": {"a\t"}}, Expires: time.Minute})
		assert.ErrorIs(t, err, signer.ErrRequest)
	})
}

// OSS takes URLs of temporary keys for twelve hours and others for seven days. v1 signs whatever it is asked for, v2 knows the
// seven days.
func TestOSSQuirkLifetimes(t *testing.T) {
	ossExample(t, "token", nil, func(t *testing.T, v1, v2 *ossPair) {
		c := ossCase{method: "GET", key: "k", expires: 13 * time.Hour}
		for _, p := range []*ossPair{v1, v2} {
			assert.Equal(t, "46800", param(t, p.theirURL(t, c), "x-oss-expires"))
			assert.ErrorIs(t, p.accepts(p.theirURL(t, c), nil), signer.ErrMalformed)
			_, err := p.ours.Presign(context.Background(), c.request())
			assert.ErrorIs(t, err, signer.ErrLifetime)
		}
		c.expires = 8 * 24 * time.Hour
		assert.Equal(t, "691200", param(t, v1.theirURL(t, c), "x-oss-expires"))
		_, err := v2.theirs.(*peerV2).client.Presign(context.Background(), &ossv2.GetObjectRequest{Bucket: ossv2.Ptr("photos"), Key: ossv2.Ptr("k")}, ossv2.PresignExpires(c.expires))
		assert.ErrorContains(t, err, "604800")
	})
}

// Both sign a hash of the body in place of UNSIGNED-PAYLOAD if they are given one, which OSS refuses (EC 0002-00000214). Ours is
// an error.
func TestOSSQuirkPayloadHash(t *testing.T) {
	ossExample(t, "", nil, func(t *testing.T, v1, v2 *ossPair) {
		c := ossCase{method: "GET", key: "k", header: map[string]string{"X-Oss-Content-Sha256": strings.Repeat("0", 64)}, expires: time.Minute}
		for _, p := range []*ossPair{v1, v2} {
			assert.NotEqual(t, p.theirURL(t, ossCase{}), p.theirURL(t, c))
			_, err := p.ours.Presign(context.Background(), c.request())
			assert.ErrorIs(t, err, signer.ErrRequest)
		}
	})
}

// TestOSSClient compares v2's own operations: the URL, and the headers that its holder must send.
func TestOSSClient(t *testing.T) {
	bucket, key := ossv2.Ptr("photos"), ossv2.Ptr("photos/2026/11/holiday picture+1.jpg")
	for _, op := range []struct {
		theirs any
		ours   signer.Request
	}{
		{&ossv2.GetObjectRequest{Bucket: bucket, Key: key}, signer.Request{}},
		{&ossv2.GetObjectRequest{Bucket: bucket, Key: key, VersionId: ossv2.Ptr("a b+c"), Process: ossv2.Ptr("image/resize,w_100"), ResponseContentDisposition: ossv2.Ptr(`attachment; filename="a b"`)},
			signer.Request{Query: url.Values{"versionId": {"a b+c"}, "x-oss-process": {"image/resize,w_100"}}, Response: signer.ResponseHeaders{ContentDisposition: `attachment; filename="a b"`}}},
		{&ossv2.HeadObjectRequest{Bucket: bucket, Key: key}, signer.Request{Method: "HEAD"}},
		{&ossv2.PutObjectRequest{Bucket: bucket, Key: key, ContentType: ossv2.Ptr("image/png"), Acl: ossv2.ObjectACLPrivate, Metadata: map[string]string{"name": "a b"}},
			signer.Request{Method: "PUT", Header: http.Header{"Content-Type": {"image/png"}, "X-Oss-Object-Acl": {"private"}, "X-Oss-Meta-Name": {"a b"}}}},
		{&ossv2.InitiateMultipartUploadRequest{Bucket: bucket, Key: key, DisableAutoDetectMimeType: true}, signer.Request{Method: "POST", Query: url.Values{"uploads": {""}}}},
		{&ossv2.UploadPartRequest{Bucket: bucket, Key: key, PartNumber: 7, UploadId: ossv2.Ptr("a/b+c=")}, signer.Request{Method: "PUT", Query: url.Values{"partNumber": {"7"}, "uploadId": {"a/b+c="}}}},
		{&ossv2.CompleteMultipartUploadRequest{Bucket: bucket, Key: key, UploadId: ossv2.Ptr("a/b+c=")}, signer.Request{Method: "POST", Query: url.Values{"uploadId": {"a/b+c="}}}},
		{&ossv2.AbortMultipartUploadRequest{Bucket: bucket, Key: key, UploadId: ossv2.Ptr("a/b+c=")}, signer.Request{Method: "DELETE", Query: url.Values{"uploadId": {"a/b+c="}}}},
	} {
		for _, token := range []string{"", "token/+="} {
			ossExample(t, token, nil, func(t *testing.T, _, v2 *ossPair) {
				theirs, err := v2.theirs.(*peerV2).client.Presign(context.Background(), op.theirs, ossv2.PresignExpires(time.Hour))
				require.NoError(t, err)
				op.ours.Key, op.ours.Expires = *key, time.Hour
				ours, err := v2.ours.Presign(context.Background(), op.ours)
				require.NoError(t, err)
				assert.True(t, sameOSSURL(t, ours.URL, theirs.URL), "%T\nours   %s\ntheirs %s", op.theirs, ours.URL, theirs.URL)
				assert.Equal(t, theirs.Method, ours.Method)
				assert.True(t, theirs.Expiration.Equal(ours.ExpiresAt))
				header := make(http.Header)
				for name, value := range theirs.SignedHeaders {
					header.Set(name, value)
				}
				assert.True(t, sameHeader(header, ours.Header), "%T: %v, theirs %v", op.theirs, ours.Header, header)
			})
		}
	}
}

// TestOSSBubble: all of these tests compare what two sides read from the clock of one bubble, so that clock must be the one that
// both read.
func TestOSSBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newGen(1).ossIdentity(2)
		p := newOSSPair(t, ossSites()[0], i, nil, newPeerV2)
		dates := []string{}
		for range 3 {
			ours, theirs := p.ourURL(t, ossCase{}), p.theirURL(t, ossCase{})
			assert.Equal(t, param(t, ours, "x-oss-date"), param(t, theirs, "x-oss-date"))
			dates = append(dates, param(t, ours, "x-oss-date"))
			time.Sleep(24 * time.Hour)
		}
		assert.Equal(t, []string{"20000101T000000Z", "20000102T000000Z", "20000103T000000Z"}, slices.Sorted(slices.Values(dates)))
	})
}
