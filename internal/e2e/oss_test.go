package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strings"
	"testing"
	"time"

	ossv2 "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	ossv2credentials "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
	ossv1 "github.com/aliyun/aliyun-oss-go-sdk/oss"

	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is OSS. No server of others verifies OSS4-HMAC-SHA256, so the server is ours: storefake, with our Verifier. Foreign are
// those who sign: Alibaba's three SDKs, two for Go and one for Node (ali-oss), as they are, all with V4.

// An ossClient does with an SDK what programs do. A refusal is an *ossRefusal.
type ossClient interface {
	put(ctx context.Context, key string, data []byte, header map[string]string) error
	get(ctx context.Context, key string) ([]byte, error)
	list(ctx context.Context, prefix string) ([]string, error)
	remove(ctx context.Context, key string) error
	multipart(ctx context.Context, key string, data []byte) error
	presign(ctx context.Context, method, key string, expires time.Duration, header map[string]string) (string, error)
}

// An ossRefusal is what the service answered.
type ossRefusal struct{ code, ec, message string }

func (e *ossRefusal) Error() string { return e.code + " (" + e.ec + "): " + e.message }

// An ossHome is a store and the credentials to use there.
type ossHome struct {
	*storefake.Server
	creds oss.Credentials
	via   http.RoundTripper // for the SDKs that take one
}

func (h *ossHome) secret() (secret, token string) {
	return string(h.creds.AccessKeySecret.Reveal()), string(h.creds.SecurityToken.Reveal())
}

var ossSDKs = []struct {
	name string
	open func(t *testing.T, home *ossHome) ossClient
	via  bool // it takes a RoundTripper
}{
	{"Go SDK v1", openOSSv1, true},
	{"Go SDK v2", openOSSv2, true},
	{"Node SDK", openOSSNode, false},
}

type clientV1 struct{ *ossv1.Bucket }

func openOSSv1(t *testing.T, home *ossHome) ossClient {
	secret, token := home.secret()
	c := must(ossv1.New(home.URL, home.creds.AccessKeyID, secret, ossv1.AuthVersion(ossv1.AuthV4), ossv1.Region(home.Region),
		ossv1.SecurityToken(token), ossv1.HTTPClient(&http.Client{Transport: home.via})))(t)
	return &clientV1{must(c.Bucket(bucket))(t)}
}

func refusalV1(err error) error {
	var e ossv1.ServiceError
	if errors.As(err, &e) {
		return &ossRefusal{e.Code, e.Ec, e.Message}
	}
	return err
}

func optionsV1(header map[string]string) (o []ossv1.Option) {
	for name, value := range header {
		o = append(o, ossv1.SetHeader(name, value))
	}
	return o
}

func (c *clientV1) put(_ context.Context, key string, data []byte, header map[string]string) error {
	return refusalV1(c.PutObject(key, bytes.NewReader(data), optionsV1(header)...))
}

func (c *clientV1) get(_ context.Context, key string) ([]byte, error) {
	body, err := c.GetObject(key)
	if err != nil {
		return nil, refusalV1(err)
	}
	defer body.Close()
	return io.ReadAll(body)
}

func (c *clientV1) list(_ context.Context, prefix string) (names []string, err error) {
	page, err := c.ListObjectsV2(ossv1.Prefix(prefix))
	for _, o := range page.Objects {
		names = append(names, o.Key)
	}
	return names, refusalV1(err)
}

func (c *clientV1) remove(_ context.Context, key string) error { return refusalV1(c.DeleteObject(key)) }

func (c *clientV1) multipart(_ context.Context, key string, data []byte) error {
	up, err := c.InitiateMultipartUpload(key)
	if err != nil {
		return refusalV1(err)
	}
	var parts []ossv1.UploadPart
	for chunk := range slices.Chunk(data, 100<<10) {
		part, err := c.UploadPart(up, bytes.NewReader(chunk), int64(len(chunk)), len(parts)+1)
		if err != nil {
			return refusalV1(err)
		}
		parts = append(parts, part)
	}
	_, err = c.CompleteMultipartUpload(up, parts)
	return refusalV1(err)
}

func (c *clientV1) presign(_ context.Context, method, key string, expires time.Duration, header map[string]string) (string, error) {
	return c.SignURL(key, ossv1.HTTPMethod(method), int64(expires/time.Second), optionsV1(header)...)
}

type clientV2 struct{ *ossv2.Client }

func openOSSv2(t *testing.T, home *ossHome) ossClient {
	secret, token := home.secret()
	return &clientV2{ossv2.NewClient(ossv2.LoadDefaultConfig().WithRegion(home.Region).WithEndpoint(home.URL).WithUsePathStyle(true).
		WithRetryMaxAttempts(1).WithHttpClient(&http.Client{Transport: home.via}).
		WithCredentialsProvider(ossv2credentials.NewStaticCredentialsProvider(home.creds.AccessKeyID, secret, token)))}
}

func refusalV2(err error) error {
	var e *ossv2.ServiceError
	if errors.As(err, &e) {
		return &ossRefusal{e.Code, e.EC, e.Message}
	}
	return err
}

func (c *clientV2) put(ctx context.Context, key string, data []byte, header map[string]string) error {
	r := &ossv2.PutObjectRequest{Bucket: ossv2.Ptr(bucket), Key: &key, Body: bytes.NewReader(data)}
	r.Headers = header
	_, err := c.PutObject(ctx, r)
	return refusalV2(err)
}

func (c *clientV2) get(ctx context.Context, key string) ([]byte, error) {
	r, err := c.GetObject(ctx, &ossv2.GetObjectRequest{Bucket: ossv2.Ptr(bucket), Key: &key})
	if err != nil {
		return nil, refusalV2(err)
	}
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}

func (c *clientV2) list(ctx context.Context, prefix string) (names []string, err error) {
	r, err := c.ListObjectsV2(ctx, &ossv2.ListObjectsV2Request{Bucket: ossv2.Ptr(bucket), Prefix: &prefix})
	if err != nil {
		return nil, refusalV2(err)
	}
	for _, o := range r.Contents {
		names = append(names, *o.Key)
	}
	return names, nil
}

func (c *clientV2) remove(ctx context.Context, key string) error {
	_, err := c.DeleteObject(ctx, &ossv2.DeleteObjectRequest{Bucket: ossv2.Ptr(bucket), Key: &key})
	return refusalV2(err)
}

func (c *clientV2) multipart(ctx context.Context, key string, data []byte) error {
	u := c.NewUploader(func(o *ossv2.UploaderOptions) { o.PartSize, o.ParallelNum = 100<<10, 2 })
	_, err := u.UploadFrom(ctx, &ossv2.PutObjectRequest{Bucket: ossv2.Ptr(bucket), Key: &key}, bytes.NewReader(data))
	return refusalV2(err)
}

func (c *clientV2) presign(ctx context.Context, method, key string, expires time.Duration, header map[string]string) (string, error) {
	var r any
	switch method {
	case http.MethodGet:
		r = &ossv2.GetObjectRequest{Bucket: ossv2.Ptr(bucket), Key: &key}
	case http.MethodPut:
		put := &ossv2.PutObjectRequest{Bucket: ossv2.Ptr(bucket), Key: &key}
		put.Headers = header
		r = put
	}
	p, err := c.Presign(ctx, r, ossv2.PresignExpires(expires))
	if err != nil {
		return "", err
	}
	return p.URL, nil
}

// ossNode is ali-oss. It says Host: BUCKET.oss-REGION.aliyuncs.com wherever it sends to, which OSS4 does not sign and the store does
// not answer to, so it talks to the store through a server of ours that says the store's name.
type ossNode struct {
	t     *testing.T
	home  *ossHome
	front string
}

func openOSSNode(t *testing.T, home *ossHome) ossClient {
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", home.Endpoint().Host, home.Endpoint().Host
	}})
	t.Cleanup(front.Close)
	return &ossNode{t, home, front.URL}
}

func (n *ossNode) do(op, key string, more map[string]any) (said struct {
	Body              []byte
	Names             []string
	URL               string
	Code, EC, Message string
}, err error) {
	secret, token := n.home.secret()
	options := map[string]any{"region": "oss-" + n.home.Region, "endpoint": n.front, "bucket": bucket, "sldEnable": true, // the bucket in the path
		"accessKeyId": n.home.creds.AccessKeyID, "accessKeySecret": secret}
	if token != "" {
		options["stsToken"] = token
	}
	task := map[string]any{"options": options, "op": op, "key": key}
	for name, value := range more {
		task[name] = value
	}
	nodeProcess(n.t).do(n.t, map[string]any{"oss": task}, &said)
	if said.Code != "" || said.Message != "" {
		err = &ossRefusal{said.Code, said.EC, said.Message}
	}
	return said, err
}

func (n *ossNode) put(_ context.Context, key string, data []byte, header map[string]string) error {
	_, err := n.do("put", key, map[string]any{"body": data, "header": header})
	return err
}

func (n *ossNode) get(_ context.Context, key string) ([]byte, error) {
	said, err := n.do("get", key, nil)
	return said.Body, err
}

func (n *ossNode) list(_ context.Context, prefix string) ([]string, error) {
	said, err := n.do("list", "", map[string]any{"prefix": prefix})
	return said.Names, err
}

func (n *ossNode) remove(_ context.Context, key string) error {
	_, err := n.do("delete", key, nil)
	return err
}

func (n *ossNode) multipart(_ context.Context, key string, data []byte) error {
	_, err := n.do("multipart", key, map[string]any{"body": data})
	return err
}

func (n *ossNode) presign(_ context.Context, method, key string, expires time.Duration, header map[string]string) (string, error) {
	said, err := n.do("presign", key, map[string]any{"method": method, "expires": int(expires / time.Second), "header": header})
	return said.URL, err
}

func startOSS(t *testing.T, temporary time.Duration) *ossHome {
	store := must(storefake.Start(storefake.Config{Bucket: bucket, Temporary: temporary}))(t)
	t.Cleanup(func() { store.Close() })
	return &ossHome{Server: store, creds: store.OSS, via: new(http.Transport)}
}

// TestOSSFlows lets each SDK upload, download, list, upload in parts, presign and delete, with lasting and with temporary keys.
func TestOSSFlows(t *testing.T) {
	for _, temporary := range []time.Duration{0, time.Hour} {
		for _, sdk := range ossSDKs {
			t.Run(fmt.Sprintf("%s/temporary=%v", sdk.name, temporary), func(t *testing.T) {
				home := startOSS(t, temporary)
				c, ctx := sdk.open(t, home), t.Context()
				large := bytes.Repeat([]byte("0123456789abcdef"), 20<<10) // 320 KiB, four parts
				for i, key := range []string{"k", "a b/ü+~*'()!.txt", "x%2Fy?z&w=1#f", "日本/🦊", "a//b/", "=;:@,$[]"} {
					header := map[string]string{"x-oss-meta-color": "green", "Content-Type": "text/x-signed"}
					if err := c.put(ctx, key, content, header); err != nil {
						t.Fatalf("put %q: %v", key, err)
					}
					data, stored, ok := home.Get(key)
					if !ok || !bytes.Equal(data, content) || stored.Get("X-Amz-Meta-Color") != "green" || stored.Get("Content-Type") != "text/x-signed" {
						t.Fatalf("%q is stored as %q, %v, %v; the store has %q", key, data, stored, ok, home.Keys())
					}
					if got, err := c.get(ctx, key); err != nil || !bytes.Equal(got, content) {
						t.Errorf("get %q: %q, %v", key, got, err)
					}
					presigned, err := c.presign(ctx, http.MethodGet, key, time.Minute, nil)
					if err != nil {
						t.Fatalf("presign %q: %v", key, err)
					}
					for _, s := range senders {
						a := s.send(t, call{method: "GET", url: presigned})
						if a.want(t, "200"); !bytes.Equal(a.body, content) {
							t.Errorf("%s gets %q: %q", s.name, key, a.body)
						}
					}
					if i == 0 {
						if err := c.multipart(ctx, "large", large); err != nil {
							t.Fatalf("upload in parts: %v", err)
						}
						if data, _, _ := home.Get("large"); !bytes.Equal(data, large) {
							t.Errorf("%d bytes arrived, want %d", len(data), len(large))
						}
					}
				}
				names, err := c.list(ctx, "a")
				if want := []string{"a b/ü+~*'()!.txt", "a//b/"}; err != nil || !slices.Equal(names, want) {
					t.Errorf("listed %q, %v; want %q", names, err, want)
				}
				put, err := c.presign(ctx, http.MethodPut, "by URL", time.Minute, map[string]string{"Content-Type": "text/x-signed"})
				if err != nil {
					t.Fatal(err)
				}
				upload := call{method: "PUT", url: put, header: http.Header{"Content-Type": {"text/x-signed"}}, body: content}
				sendGo(t, upload).want(t, "200")
				if data, _, _ := home.Get("by URL"); !bytes.Equal(data, content) {
					t.Errorf("%q was uploaded by URL", data)
				}
				upload.header = http.Header{"Content-Type": {"text/html"}}
				if a := sendGo(t, upload); a.StatusCode != http.StatusForbidden || a.code != "SignatureDoesNotMatch" {
					t.Errorf("another type: %d %s", a.StatusCode, a.code)
				}
				if err := c.remove(ctx, "k"); err != nil {
					t.Error(err)
				}
				var e *ossRefusal
				if _, err := c.get(ctx, "k"); !errors.As(err, &e) || e.code != "NoSuchKey" {
					t.Errorf("get of what is gone: %v", err)
				}
			})
		}
	}
}

// A meddler changes a request after it was signed.
type meddler struct{ change func(*http.Request) }

func (m meddler) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	m.change(r)
	return http.DefaultTransport.RoundTrip(r)
}

// TestOSSRefusals has requests of the SDKs refused, in the words that OSS documents.
//
// https://help.aliyun.com/en/oss/support/0002 (the EC codes)
func TestOSSRefusals(t *testing.T) {
	for _, sdk := range ossSDKs {
		refused := func(name string, edit func(home *ossHome), wants ...ossRefusal) {
			t.Run(sdk.name+"/"+name, func(t *testing.T) {
				home := startOSS(t, time.Hour)
				if err := home.Put("k", content, nil); err != nil {
					t.Fatal(err)
				}
				edit(home)
				_, err := sdk.open(t, home).get(t.Context(), "k")
				var e *ossRefusal
				if !errors.As(err, &e) || !slices.ContainsFunc(wants, func(w ossRefusal) bool { return w.code == e.code && (w.ec == e.ec || e.ec == "" && !sdk.via) }) {
					t.Errorf("%v; want %v", err, wants)
				}
			})
		}
		refused("another secret", func(h *ossHome) { h.creds.AccessKeySecret = signer.NewSecret([]byte("another secret of theirs")) }, ossRefusal{code: "SignatureDoesNotMatch", ec: "0002-00000201"})
		refused("an unknown key", func(h *ossHome) { h.creds.AccessKeyID = "LTAIUnknown" }, ossRefusal{code: "InvalidAccessKeyId"}) // no EC is documented
		refused("without the token", func(h *ossHome) { h.creds.SecurityToken = signer.Secret{} }, ossRefusal{code: "InvalidAccessKeyId"})
		refused("twenty minutes later", func(h *ossHome) { h.Clock.Advance(20 * time.Minute) }, ossRefusal{code: "RequestTimeTooSkewed", ec: "0002-00000504"})
		if !sdk.via {
			continue
		}
		meddle := func(change func(*http.Request)) func(*ossHome) {
			return func(h *ossHome) { h.via = meddler{change} }
		}
		mismatch := ossRefusal{code: "SignatureDoesNotMatch", ec: "0002-00000201"}
		refused("another object", meddle(func(r *http.Request) { r.URL.Path, r.URL.RawPath = r.URL.Path+"2", "" }), mismatch)
		refused("another method", meddle(func(r *http.Request) { r.Method = http.MethodDelete }), mismatch)
		refused("a parameter more", meddle(func(r *http.Request) { r.URL.RawQuery += "&acl" }), mismatch)
		refused("a header more", meddle(func(r *http.Request) { r.Header.Set("X-Oss-Object-Acl", "public-read") }), mismatch)
		refused("a signature's letter", meddle(func(r *http.Request) {
			auth, last := r.Header.Get("Authorization"), "0"
			if strings.HasSuffix(auth, last) {
				last = "1"
			}
			r.Header.Set("Authorization", auth[:len(auth)-1]+last)
		}), mismatch)
		refused("an unknown key of the header", meddle(func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), ",Signature=", ",UnknownKey=1,Signature=", 1))
		}), ossRefusal{code: "InvalidArgument", ec: "0002-00000204"})
	}
}

// TestOSSPresignedExpires holds the SDKs' URLs to their end.
func TestOSSPresignedExpires(t *testing.T) {
	for _, sdk := range ossSDKs {
		t.Run(sdk.name, func(t *testing.T) {
			home := startOSS(t, 0)
			if err := home.Put("k", content, nil); err != nil {
				t.Fatal(err)
			}
			presigned, err := sdk.open(t, home).presign(t.Context(), http.MethodGet, "k", time.Minute, nil)
			if err != nil {
				t.Fatal(err)
			}
			sendGo(t, call{method: "GET", url: presigned}).want(t, "200")
			if a := sendGo(t, call{method: "DELETE", url: presigned}); a.StatusCode != http.StatusForbidden || a.code != "SignatureDoesNotMatch" {
				t.Errorf("DELETE: %d %s", a.StatusCode, a.code)
			}
			home.Clock.Advance(2 * time.Minute)
			if a := sendGo(t, call{method: "GET", url: presigned}); a.StatusCode != http.StatusForbidden || a.code != "AccessDenied" {
				t.Errorf("after its end: %d %s", a.StatusCode, a.code)
			}
		})
	}
}
