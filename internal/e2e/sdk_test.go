package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsv4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/minio/minio-go/v7"
	miniocredentials "github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A doorman is a server that has our Verifier and no objects. It keeps the last request and what it was granted.
type doorman struct {
	server
	verifier *s3.Verifier
	request  *http.Request // without its body
	body     []byte
	grant    *signer.Grant
	err      error
}

func newDoorman(t *testing.T, scheme string, addressing signer.Addressing, token string) *doorman {
	d := new(doorman)
	ts := httptest.NewUnstartedServer(d)
	t.Cleanup(ts.Close)
	client := clientFor(ts.Listener.Addr().String())
	if scheme == "https" {
		ts.StartTLS()
		client.Transport.(*http.Transport).TLSClientConfig = ts.Client().Transport.(*http.Transport).TLSClientConfig
	} else {
		ts.Start()
	}
	addr := ts.Listener.Addr().String()
	d.server = server{
		name: "doorman", addressing: addressing, bucket: bucket, client: client,
		endpoint: &url.URL{Scheme: scheme, Host: addr},
		creds: s3.Credentials{AccessKeyID: accessKey, SecretKey: signer.NewSecret([]byte(secretKey)),
			SessionToken: signer.NewSecret([]byte(token))},
	}
	if addressing == signer.AddressingVirtualHost {
		_, port, _ := net.SplitHostPort(addr)
		d.endpoint.Host = net.JoinHostPort(virtualDomain, port)
	}
	d.verifier = must(s3.NewVerifier(s3.VerifierConfig{
		Region: region, Endpoint: d.endpoint, Addressing: addressing, Lookup: only(&d.creds),
	}))(t)
	return d
}

// only is a lookup that knows one key.
func only(creds *s3.Credentials) func(context.Context, string) (s3.Credentials, error) {
	return func(_ context.Context, id string) (s3.Credentials, error) {
		if id != creds.AccessKeyID {
			return s3.Credentials{}, signer.ErrUnknownKey
		}
		return *creds, nil
	}
}

// ServeHTTP answers what satisfies the SDKs.
func (d *doorman) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.request, d.body = r.Clone(context.Background()), nil
	if d.grant, d.err = d.verifier.Verify(r.Context(), r); d.err == nil {
		d.body, d.err = io.ReadAll(d.grant.Body(r.Body))
	}
	w.Header().Set("ETag", `"9e107d9d372bb6826bd81d3542a419d6"`)
	w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	switch {
	case d.err != nil:
		http.Error(w, d.err.Error(), http.StatusForbidden)
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet && d.grant.Key == "":
		io.WriteString(w, "<ListBucketResult></ListBucketResult>")
	case r.Method == http.MethodGet:
		w.Write(content)
	}
}

// eachDoorman runs a test for both addressings, without and with a session token.
func eachDoorman(t *testing.T, test func(t *testing.T, d *doorman)) {
	for _, addressing := range []signer.Addressing{signer.AddressingPath, signer.AddressingVirtualHost} {
		for name, token := range map[string]string{"permanent": "", "temporary": "a/session+token=="} {
			t.Run(addressing.String()+"/"+name, func(t *testing.T) { test(t, newDoorman(t, "http", addressing, token)) })
		}
	}
}

// The SDKs' clients for a server. They dial nothing else and try once.

func (s *server) aws(edits ...func(*awss3.Options)) *awss3.Client {
	creds := awscredentials.NewStaticCredentialsProvider(s.creds.AccessKeyID, string(s.creds.SecretKey.Reveal()), string(s.creds.SessionToken.Reveal()))
	return awss3.New(awss3.Options{
		Region: region, Credentials: creds, BaseEndpoint: aws.String(s.endpoint.String()), HTTPClient: s.client,
		UsePathStyle: s.addressing == signer.AddressingPath, Retryer: aws.NopRetryer{},
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	}, edits...)
}

func (s *server) minio(t *testing.T, edits ...func(*minio.Options)) *minio.Client {
	t.Helper()
	lookup := minio.BucketLookupPath
	if s.addressing == signer.AddressingVirtualHost {
		lookup = minio.BucketLookupDNS
	}
	options := &minio.Options{
		Creds:  miniocredentials.NewStaticV4(s.creds.AccessKeyID, string(s.creds.SecretKey.Reveal()), string(s.creds.SessionToken.Reveal())),
		Secure: s.endpoint.Scheme == "https",
		Region: region, BucketLookup: lookup, Transport: s.client.Transport, MaxRetries: 1,
	}
	for _, edit := range edits {
		edit(options)
	}
	return must(minio.New(s.endpoint.Host, options))(t)
}

// An sdkURL is a URL presigned by an SDK and what its grant must say.
type sdkURL struct {
	name   string
	make   func(t *testing.T, s *server, key string) *http.Request
	method string
	query  url.Values // of the grant
	signed []string   // headers
}

var sdkURLs = []sdkURL{
	{"aws GET", awsURL(func(c *awss3.PresignClient, ctx context.Context, key string) (*awsv4.PresignedHTTPRequest, error) {
		return c.PresignGetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: &key,
			ResponseContentDisposition: aws.String(signer.Attachment(key))})
	}), "GET", url.Values{"x-id": {"GetObject"}, "response-content-disposition": {"key"}}, []string{"host"}},
	{"aws HEAD", awsURL(func(c *awss3.PresignClient, ctx context.Context, key string) (*awsv4.PresignedHTTPRequest, error) {
		return c.PresignHeadObject(ctx, &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: &key})
	}), "HEAD", nil, []string{"host"}},
	{"aws PUT", awsURL(func(c *awss3.PresignClient, ctx context.Context, key string) (*awsv4.PresignedHTTPRequest, error) {
		return c.PresignPutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: &key,
			ContentType: aws.String("text/x-signed"), ContentLength: aws.Int64(int64(len(content))),
			Metadata: map[string]string{"color": "dark  green"}})
	}), "PUT", url.Values{"x-id": {"PutObject"}}, []string{"content-length", "content-type", "host", "x-amz-meta-color"}},
	{"aws part", awsURL(func(c *awss3.PresignClient, ctx context.Context, key string) (*awsv4.PresignedHTTPRequest, error) {
		return c.PresignUploadPart(ctx, &awss3.UploadPartInput{Bucket: aws.String(bucket), Key: &key,
			PartNumber: aws.Int32(7), UploadId: aws.String("an/id+=")})
	}), "PUT", url.Values{"x-id": {"UploadPart"}, "partNumber": {"7"}, "uploadId": {"an/id+="}}, []string{"host"}},
	{"aws DELETE", awsURL(func(c *awss3.PresignClient, ctx context.Context, key string) (*awsv4.PresignedHTTPRequest, error) {
		return c.PresignDeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key})
	}), "DELETE", url.Values{"x-id": {"DeleteObject"}}, []string{"host"}},
	{"minio GET", minioURL("GET", url.Values{"response-content-disposition": {"a + b/é"}, "versionId": {"1+2/3="}}, nil), "GET",
		url.Values{"response-content-disposition": {"a + b/é"}, "versionId": {"1+2/3="}}, []string{"host"}},
	{"minio HEAD", minioURL("HEAD", nil, nil), "HEAD", nil, []string{"host"}},
	{"minio PUT", minioURL("PUT", nil, nil), "PUT", nil, []string{"host"}},
	{"minio PUT with headers", minioURL("PUT", nil, http.Header{"Content-Type": {"text/x-signed"}, "X-Amz-Meta-Color": {"dark  green"},
		"X-Amz-Content-Sha256": {sha256Hex(content)}}), "PUT", nil, []string{"content-type", "host", "x-amz-content-sha256", "x-amz-meta-color"}},
	{"minio DELETE", minioURL("DELETE", nil, nil), "DELETE", nil, []string{"host"}},
}

const sdkExpires = 7 * time.Minute

func awsURL(presign func(*awss3.PresignClient, context.Context, string) (*awsv4.PresignedHTTPRequest, error)) func(*testing.T, *server, string) *http.Request {
	return func(t *testing.T, s *server, key string) *http.Request {
		t.Helper()
		p := must(presign(awss3.NewPresignClient(s.aws(), awss3.WithPresignExpires(sdkExpires)), t.Context(), key))(t)
		return sdkRequest(t, p.Method, p.URL, p.SignedHeader)
	}
}

func minioURL(method string, query url.Values, header http.Header) func(*testing.T, *server, string) *http.Request {
	return func(t *testing.T, s *server, key string) *http.Request {
		t.Helper()
		u := must(s.minio(t).PresignHeader(t.Context(), method, s.bucket, key, sdkExpires, query, header))(t)
		return sdkRequest(t, method, u.String(), header)
	}
}

// sdkRequest is the request that an SDK's URL is for.
func sdkRequest(t *testing.T, method, url string, header http.Header) *http.Request {
	t.Helper()
	var body io.Reader
	if method == http.MethodPut {
		body = bytes.NewReader(content)
	}
	req := must(http.NewRequest(method, url, body))(t)
	maps.Copy(req.Header, header)
	return req
}

// URLs of the SDKs are granted, and what is granted is what was asked for.
func TestSDKURLs(t *testing.T) {
	eachDoorman(t, func(t *testing.T, d *doorman) {
		for _, c := range sdkURLs {
			for _, key := range nastyKeys {
				t.Run(c.name+"/"+key, func(t *testing.T) {
					req := c.make(t, &d.server, key)
					d.send(t, req).want(t, success(c.method))
					want := maps.Clone(c.query)
					if want.Get("response-content-disposition") == "key" {
						want.Set("response-content-disposition", signer.Attachment(key))
					}
					d.check(t, c.method, key, want, c.signed)
					if life := d.grant.ExpiresAt.Sub(d.grant.SignedAt); life != sdkExpires {
						t.Errorf("it lives %s, want %s", life, sdkExpires)
					}
					if want := req.Header.Get("X-Amz-Content-Sha256"); d.grant.Payload != want {
						t.Errorf("payload: got %q, want %q", d.grant.Payload, want)
					}
					if key == "plain.txt" || key == "日本語/キー" {
						d.spoil(t)
					}
				})
			}
		}
	})
}

// success is what the doorman answers to a method.
func success(method string) string {
	if method == http.MethodDelete {
		return "204"
	}
	return "200"
}

// check compares the grant.
func (d *doorman) check(t *testing.T, method, key string, query url.Values, signed []string) {
	t.Helper()
	g := d.grant
	if g == nil {
		t.Fatalf("not granted: %v", d.err)
	}
	if g.Backend != "s3" || g.Scheme != "AWS4-HMAC-SHA256" || g.KeyID != accessKey || g.Method != method || g.Bucket != bucket || g.Key != key {
		t.Errorf("got %+v", g)
	}
	if !maps.EqualFunc(g.Query, query, slices.Equal) {
		t.Errorf("query: got %q, want %q", g.Query, query)
	}
	if signed != nil && !slices.Equal(g.SignedHeaders, signed) {
		t.Errorf("signed headers: got %q, want %q", g.SignedHeaders, signed)
	}
	if off := time.Since(g.SignedAt); off < -time.Second || off > time.Minute {
		t.Errorf("signed at %s", g.SignedAt)
	}
	if g.Fingerprint == "" {
		t.Error("no fingerprint")
	}
	if method == http.MethodPut && !bytes.Equal(d.body, content) {
		t.Errorf("body: got %q", d.body)
	}
}

// spoil changes the last request in every way that a signature must notice.
func (d *doorman) spoil(t *testing.T) {
	t.Helper()
	if _, err := d.verifier.Verify(t.Context(), d.request); err != nil {
		t.Fatalf("as it was: %v", err)
	}
	n := 0
	refused := func(name string, change func(req *http.Request)) {
		t.Helper()
		n++
		req := d.request.Clone(t.Context())
		change(req)
		g, err := d.verifier.Verify(t.Context(), req)
		if err == nil || g != nil {
			t.Errorf("%s: granted", name)
			return
		}
		for _, reason := range []error{signer.ErrMismatch, signer.ErrMalformed, signer.ErrScope, signer.ErrUnknownKey, signer.ErrExpired,
			signer.ErrNotYetValid, signer.ErrConflict, signer.ErrUnsigned, signer.ErrUnsupported} {
			if errors.Is(err, reason) {
				return
			}
		}
		t.Errorf("%s: refused for no known reason: %v", name, err)
	}

	path, query, _ := strings.Cut(d.request.RequestURI, "?")
	target := func(path, query string) func(*http.Request) {
		return func(req *http.Request) { req.RequestURI = strings.TrimSuffix(path+"?"+query, "?") }
	}
	for i := range path {
		if i > 0 {
			refused("path", target(path[:i]+string(otherByte(path[i]))+path[i+1:], query))
			refused("path, shorter", target(path[:i]+path[i+1:], query))
		}
	}
	refused("path, longer", target(path+"x", query))
	refused("path, a slash more", target(path+"/", query))
	params := strings.Split(query, "&")
	for i, param := range params {
		if query == "" {
			break
		}
		with := func(middle ...string) string {
			return strings.Join(slices.Concat(params[:i], middle, params[i+1:]), "&")
		}
		name, value, _ := strings.Cut(param, "=")
		refused(name+" gone", target(path, with()))
		refused(name+" twice", target(path, with(param, param)))
		refused(name+" longer", target(path, with(param+"0")))
		refused(name+" empty", target(path, with(name+"=")))
		refused(name+" renamed", target(path, with(name+"x="+value)))
		refused(name+" in lower case", target(path, with(strings.ToLower(name)+"x="+value)))
		for j := range value {
			refused(name+" changed", target(path, with(name+"="+value[:j]+string(otherByte(value[j]))+value[j+1:])))
		}
	}
	refused("parameter added", target(path, strings.TrimPrefix(query+"&versionId=1", "&")))

	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "POST"} {
		if method != d.request.Method {
			refused("method "+method, func(req *http.Request) { req.Method = method })
		}
	}
	refused("host", func(req *http.Request) { req.Host = "x" + req.Host })
	refused("port", func(req *http.Request) { req.Host += "0" })
	for _, name := range d.grant.SignedHeaders {
		switch name {
		case "host":
		case "content-length":
			refused(name, func(req *http.Request) { req.ContentLength++ })
		default:
			refused(name+" gone", func(req *http.Request) { req.Header.Del(name) })
			refused(name+" twice", func(req *http.Request) { req.Header.Add(name, "x") })
			value := d.request.Header.Get(name)
			for i := range value {
				if value[i] != ' ' { // one more or less is the same
					refused(name+" changed", func(req *http.Request) { req.Header.Set(name, value[:i]+string(otherByte(value[i]))+value[i+1:]) })
				}
			}
		}
	}
	for _, name := range []string{"X-Amz-Acl", "X-Amz-Copy-Source", "X-Amz-Meta-Other", "X-Goog-Acl", "X-Oss-Acl"} {
		refused(name+" added", func(req *http.Request) { req.Header.Set(name, "x") })
	}
	if auth := d.request.Header.Get("Authorization"); auth != "" {
		refused("Authorization gone", func(req *http.Request) { req.Header.Del("Authorization") })
		refused("Authorization twice", func(req *http.Request) { req.Header.Add("Authorization", auth) })
		for i := range auth {
			if auth[i] != ' ' {
				refused("Authorization changed", func(req *http.Request) {
					req.Header.Set("Authorization", auth[:i]+string(otherByte(auth[i]))+auth[i+1:])
				})
			}
		}
	} else {
		refused("Authorization added", func(req *http.Request) {
			req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x,SignedHeaders=host,Signature=x")
		})
	}
	if n < 50 {
		t.Errorf("only %d changes tried", n)
	}
}

func otherByte(b byte) byte {
	if b == 'x' {
		return 'y'
	}
	return 'x'
}

// Requests that the SDKs sign in the header are granted too.
func TestSDKRequests(t *testing.T) {
	unsigned := func(o *awss3.Options) {
		o.APIOptions = append(o.APIOptions, awsv4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
	}
	checksums := func(o *awss3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported }
	awsPut := func(edits ...func(*awss3.Options)) func(*testing.T, *doorman, string) error {
		return func(t *testing.T, d *doorman, key string) error {
			_, err := d.aws(edits...).PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: &key,
				Body: bytes.NewReader(content), ContentType: aws.String("text/x-signed"), Metadata: map[string]string{"color": "dark  green"}})
			return err
		}
	}
	empty := sha256Hex(nil)
	cases := []struct {
		name    string
		do      func(t *testing.T, d *doorman, key string) error
		method  string
		bucket  bool // is for the bucket
		query   url.Values
		payload string
	}{
		{"aws PUT", awsPut(), "PUT", false, url.Values{"x-id": {"PutObject"}}, sha256Hex(content)},
		{"aws PUT, checksum", awsPut(checksums), "PUT", false, url.Values{"x-id": {"PutObject"}}, sha256Hex(content)},
		{"aws PUT, unsigned body", awsPut(unsigned), "PUT", false, url.Values{"x-id": {"PutObject"}}, ""},
		{"aws GET", func(t *testing.T, d *doorman, key string) error {
			_, err := d.aws().GetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: &key, Range: aws.String("bytes=0-3")})
			return err
		}, "GET", false, url.Values{"x-id": {"GetObject"}}, empty},
		{"aws HEAD", func(t *testing.T, d *doorman, key string) error {
			_, err := d.aws().HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: &key})
			return err
		}, "HEAD", false, nil, empty},
		{"aws DELETE", func(t *testing.T, d *doorman, key string) error {
			_, err := d.aws().DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key})
			return err
		}, "DELETE", false, url.Values{"x-id": {"DeleteObject"}}, empty},
		{"aws list", func(t *testing.T, d *doorman, key string) error {
			_, err := d.aws().ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: aws.String("a + b/é")})
			return err
		}, "GET", true, url.Values{"list-type": {"2"}, "prefix": {"a + b/é"}}, empty},
		{"minio PUT, unsigned body", func(t *testing.T, d *doorman, key string) error {
			_, err := d.minio(t).PutObject(t.Context(), bucket, key, bytes.NewReader(content), int64(len(content)), minio.PutObjectOptions{
				DisableContentSha256: true, ContentType: "text/x-signed", UserMetadata: map[string]string{"color": "dark  green"}})
			return err
		}, "PUT", false, nil, ""},
		{"minio GET", func(t *testing.T, d *doorman, key string) error {
			o, err := d.minio(t).GetObject(t.Context(), bucket, key, minio.GetObjectOptions{})
			if err == nil {
				_, err = io.ReadAll(o)
			}
			return err
		}, "GET", false, nil, empty},
		{"minio HEAD", func(t *testing.T, d *doorman, key string) error {
			_, err := d.minio(t).StatObject(t.Context(), bucket, key, minio.StatObjectOptions{})
			return err
		}, "HEAD", false, nil, empty},
		{"minio DELETE", func(t *testing.T, d *doorman, key string) error {
			return d.minio(t).RemoveObject(t.Context(), bucket, key, minio.RemoveObjectOptions{})
		}, "DELETE", false, nil, empty},
	}
	eachDoorman(t, func(t *testing.T, d *doorman) {
		for _, c := range cases {
			for _, key := range nastyKeys {
				t.Run(c.name+"/"+key, func(t *testing.T) {
					if err := c.do(t, d, key); err != nil {
						t.Fatalf("%v; the doorman: %v", err, d.err)
					}
					if c.bucket {
						key = ""
					}
					d.check(t, c.method, key, c.query, nil)
					if d.grant.Payload != c.payload {
						t.Errorf("payload: got %q, want %q", d.grant.Payload, c.payload)
					}
					if d.grant.Payload != "" {
						other := d.grant.Body(io.NopCloser(strings.NewReader(otherContent)))
						if _, err := io.ReadAll(other); !errors.Is(err, signer.ErrMismatch) {
							t.Errorf("another body: %v", err)
						}
					}
					if key == "plain.txt" || key == "日本語/キー" || key == "" {
						d.spoil(t)
					}
				})
			}
		}
	})
}

// So are bodies that the SDKs send in chunks, signed or with a checksum behind them.
func TestSDKChunks(t *testing.T) {
	const (
		signed        = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
		signedTrailer = signed + "-TRAILER"
		trailer       = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	)
	large := bytes.Repeat([]byte("more than one chunk "), 20_000)
	trailing := func(o *minio.Options) { o.TrailingHeaders = true }
	minioPut := func(checksum minio.ChecksumType, edits ...func(*minio.Options)) func(t *testing.T, d *doorman) error {
		return func(t *testing.T, d *doorman) error {
			_, err := d.minio(t, edits...).PutObject(t.Context(), bucket, "chunks", bytes.NewReader(large), int64(len(large)), minio.PutObjectOptions{Checksum: checksum})
			return err
		}
	}
	awsPut := func(t *testing.T, d *doorman) error {
		_, err := d.aws(func(o *awss3.Options) {
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported
		}).PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("chunks"),
			Body: bytes.NewReader(large)})
		return err
	}
	for _, c := range []struct {
		name, scheme, payload string
		put                   func(t *testing.T, d *doorman) error
	}{
		{"minio", "http", signed, minioPut(minio.ChecksumNone)},
		{"minio, CRC32C behind", "http", signedTrailer, minioPut(minio.ChecksumCRC32C, trailing)},
		{"minio, SHA256 behind", "http", signedTrailer, minioPut(minio.ChecksumSHA256, trailing)},
		{"minio, TLS", "https", trailer, minioPut(minio.ChecksumCRC32C, trailing)},
		{"aws, TLS", "https", trailer, awsPut},
	} {
		for name, token := range map[string]string{"permanent": "", "temporary": "a/session+token=="} {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				d := newDoorman(t, c.scheme, signer.AddressingPath, token)
				if err := c.put(t, d); err != nil {
					t.Fatalf("%v; the doorman: %v", err, d.err)
				}
				if d.grant.Payload != c.payload {
					t.Errorf("payload: got %q, want %q", d.grant.Payload, c.payload)
				}
				if !bytes.Equal(d.body, large) {
					t.Errorf("got %d bytes", len(d.body))
				}
				d.spoil(t)
			})
		}
	}
}

// The store is good enough for the SDKs, and knows a temporary key's token from another.
func TestSDKsOnStorefake(t *testing.T) {
	for name, life := range map[string]time.Duration{"permanent": 0, "temporary": time.Hour} {
		t.Run(name, func(t *testing.T) {
			store := must(storefake.Start(storefake.Config{Bucket: bucket, Temporary: life}))(t)
			defer store.Close()
			s := &server{endpoint: store.Endpoint(), addressing: signer.AddressingPath, bucket: bucket, creds: store.Credentials,
				client: clientFor(store.Endpoint().Host)}
			for _, key := range nastyKeys {
				for _, c := range sdkURLs {
					if c.name == "aws part" || c.query.Has("versionId") {
						continue // it has neither parts nor versions
					}
					s.put(t, key, content)
					if a := s.send(t, c.make(t, s, key)); a.String() != success(c.method) || c.method == http.MethodGet && !bytes.Equal(a.body, content) {
						t.Errorf("%s %q: %s: %q", c.name, key, a, a.body)
					}
				}
				if _, err := s.aws().PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader(content)}); err != nil {
					t.Errorf("aws %q: %v", key, err)
				}
				o := must(s.minio(t).GetObject(t.Context(), bucket, key, minio.GetObjectOptions{}))(t)
				if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, content) {
					t.Errorf("minio %q: %v: %q", key, err, got)
				}
			}
			if life == 0 {
				return
			}
			p := s.presign(t, signer.Request{Key: nastyKeys[0]})
			s.use(t, s.presign(t, signer.Request{Key: nastyKeys[0]}, token().config), nil).want(t, "400 InvalidToken")
			s.use(t, s.presign(t, signer.Request{Key: nastyKeys[0]}, noToken().config), nil).want(t, "400 InvalidToken")
			s.use(t, p, nil).want(t, "200")
			store.Clock.Advance(2 * time.Minute)
			s.use(t, p, nil).want(t, denied)
		})
	}
}

// Requests for a multi-region access point are signed by another algorithm, for any region. No server here verifies it.
func TestSDKMultiRegion(t *testing.T) {
	const (
		arn  = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap"
		host = "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com"
	)
	for name, token := range map[string]string{"permanent": "", "temporary": "a/session+token=="} {
		t.Run(name, func(t *testing.T) {
			creds := s3.Credentials{AccessKeyID: accessKey, SecretKey: signer.NewSecret([]byte(secretKey)), SessionToken: signer.NewSecret([]byte(token))}
			d := &doorman{verifier: must(s3.NewVerifier(s3.VerifierConfig{
				Region: region, Endpoint: &url.URL{Scheme: "https", Host: host}, Addressing: signer.AddressingBucketHost,
				Inbound: func(r *http.Request) (signer.Inbound, error) {
					return signer.Inbound{Scheme: "https", Host: r.Host}, nil
				},
				Lookup: only(&creds),
			}))(t)}
			verify := func(form, key string, req *http.Request) {
				t.Helper()
				d.request = req.Clone(t.Context()) // as a server sees it
				d.request.RequestURI, d.request.Host = req.URL.RequestURI(), host
				if d.grant, d.err = d.verifier.Verify(t.Context(), d.request); d.err != nil {
					t.Errorf("%s %q: %v", form, key, d.err)
				} else if g := d.grant; g.Scheme != "AWS4-ECDSA-P256-SHA256" || g.Key != key || g.Bucket != host {
					t.Errorf("%s %q: got %+v", form, key, g)
				} else if key == "plain.txt" {
					d.spoil(t)
				}
			}
			client := awss3.New(awss3.Options{
				Region: region, Credentials: awscredentials.NewStaticCredentialsProvider(accessKey, secretKey, token), Retryer: aws.NopRetryer{},
				HTTPClient: &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
					_, key, _ := strings.Cut(req.URL.Path, "/")
					verify("header", key, req)
					return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
				})},
			})
			for _, key := range nastyKeys {
				in := &awss3.GetObjectInput{Bucket: aws.String(arn), Key: &key}
				if _, err := client.GetObject(t.Context(), in); err != nil {
					t.Fatal(err)
				}
				// Where there is anything to escape, the SDK escapes it twice in such a URL, and only there.
				if (&url.URL{Path: key}).EscapedPath() == key && !strings.ContainsAny(key, ":=@$&+!*'(),;[]") {
					p := must(awss3.NewPresignClient(client).PresignGetObject(t.Context(), in))(t)
					verify("URL", key, must(http.NewRequest(p.Method, p.URL, nil))(t))
				}
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
