package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is Microsoft's azblob before our store, whose Verifier believes nobody: each kind of SAS that its package sas makes and
// the Shared Key of its clients, as they are. The files azurite*_test.go have Azurite in the store's place.

// An azureHome is a store, and what clients of it are made with.
type azureHome struct {
	*storefake.Server
	shared     *azblob.SharedKeyCredential
	delegation *service.UserDelegationCredential
	via        http.RoundTripper
	refusal    atomic.Pointer[error] // why the store refused last
}

func startAzure(t *testing.T) *azureHome {
	h := &azureHome{via: new(http.Transport)}
	h.Server = must(storefake.Start(storefake.Config{Bucket: bucket, Refused: func(_ *http.Request, err error) { h.refusal.Store(&err) }}))(t)
	t.Cleanup(func() { h.Close() })
	h.shared = must(azblob.NewSharedKeyCredential(h.AzureAccount, base64.StdEncoding.EncodeToString(h.AzureKey.Secret().Reveal())))(t)
	h.delegation = delegationCredential(t, h.AzureAccount, h.AzureDelegation)
	return h
}

// delegationCredential makes azblob's credential of a key. The SDK has no other way than to fetch it, so it is given an answer.
func delegationCredential(t *testing.T, account string, k azure.UserDelegationKey) *service.UserDelegationCredential {
	answer := must(xml.Marshal(struct {
		XMLName                                                                              xml.Name `xml:"UserDelegationKey"`
		SignedOid, SignedTid, SignedStart, SignedExpiry, SignedService, SignedVersion, Value string
	}{SignedOid: k.SignedOID, SignedTid: k.SignedTID, SignedStart: k.SignedStart, SignedExpiry: k.SignedExpiry, SignedService: k.SignedService,
		SignedVersion: k.SignedVersion, Value: base64.StdEncoding.EncodeToString(k.Value.Reveal())}))(t)
	one := fixedAnswer{http.StatusOK, http.Header{"Content-Type": {"application/xml"}}, answer}
	svc := must(service.NewClient("https://"+account+".blob.example/", fixedToken{}, &service.ClientOptions{ClientOptions: policy.ClientOptions{Transport: one}}))(t)
	return must(svc.GetUserDelegationCredential(t.Context(), service.KeyInfo{Start: &k.SignedStart, Expiry: &k.SignedExpiry}, nil))(t)
}

// A fixedAnswer is a server that always says the same.
type fixedAnswer struct {
	status int
	header http.Header
	body   []byte
}

func (a fixedAnswer) Do(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: a.header.Clone(), Body: io.NopCloser(bytes.NewReader(a.body)), Request: req}, nil
}

// options are those of a client that tries once.
func (h *azureHome) options() policy.ClientOptions {
	return policy.ClientOptions{Transport: &http.Client{Transport: h.via}, Retry: policy.RetryOptions{MaxRetries: -1}}
}

// at is the URL of the container, or of a blob, with a query.
func (h *azureHome) at(key, query string) string {
	u := h.Endpoint().JoinPath(h.AzureAccount, bucket)
	if key != "" {
		u.Path += "/" + key
	}
	u.RawQuery = query
	return u.String()
}

// An azureUser reaches the store with one kind of authorization.
type azureUser struct {
	name        string
	permissions string // all that TestAzureFlows needs, in any order that azblob puts right
	open        func(t *testing.T, h *azureHome, g azureGrant) azureClient
}

// An azureGrant is what is asked of a SAS. Shared Key grants all there is.
type azureGrant struct {
	key, permissions string
	types            string // of an account SAS
	start, end       time.Time
	protocol         sas.Protocol
	from             sas.IPRange
	edit             func(url.Values)
}

// life is a minute, if nothing else was asked for.
func (g *azureGrant) life() (start, end time.Time) {
	if g.end.IsZero() {
		return time.Now().Add(-time.Minute).UTC(), time.Now().Add(time.Minute).UTC()
	}
	return g.start.UTC(), g.end.UTC()
}

// query is the SAS, changed.
func (g *azureGrant) query(q sas.QueryParameters) string {
	if g.edit == nil {
		return q.Encode()
	}
	values, err := url.ParseQuery(q.Encode())
	if err != nil {
		panic(err)
	}
	g.edit(values)
	return values.Encode()
}

// An azureClient is a client for the container; nil where a SAS is for one blob.
type azureClient struct {
	*container.Client
	blob func(key string) *blockblob.Client
}

func azureUsers() []azureUser {
	withSAS := func(sign func(t *testing.T, h *azureHome, g azureGrant) string, whole bool) func(t *testing.T, h *azureHome, g azureGrant) azureClient {
		return func(t *testing.T, h *azureHome, g azureGrant) (c azureClient) {
			if whole {
				query := sign(t, h, g)
				c.Client = must(container.NewClientWithNoCredential(h.at("", query), &container.ClientOptions{ClientOptions: h.options()}))(t)
				c.blob = c.NewBlockBlobClient
				return c
			}
			c.blob = func(key string) *blockblob.Client {
				if g.key == "" {
					g.key = key
				}
				return must(blockblob.NewClientWithNoCredential(h.at(key, sign(t, h, g)), &blockblob.ClientOptions{ClientOptions: h.options()}))(t)
			}
			return c
		}
	}
	signed := func(g *azureGrant, key string) sas.BlobSignatureValues {
		start, end := g.life()
		return sas.BlobSignatureValues{ContainerName: bucket, BlobName: key, Permissions: g.permissions, StartTime: start, ExpiryTime: end, Protocol: g.protocol, IPRange: g.from}
	}
	service := func(key func(g *azureGrant) string) func(*testing.T, *azureHome, azureGrant) string {
		return func(t *testing.T, h *azureHome, g azureGrant) string {
			return g.query(must(signed(&g, key(&g)).SignWithSharedKey(h.shared))(t))
		}
	}
	delegated := func(key func(g *azureGrant) string) func(*testing.T, *azureHome, azureGrant) string {
		return func(t *testing.T, h *azureHome, g azureGrant) string {
			return g.query(must(signed(&g, key(&g)).SignWithUserDelegation(h.delegation))(t))
		}
	}
	account := func(t *testing.T, h *azureHome, g azureGrant) string {
		start, end := g.life()
		if g.types == "" {
			g.types = "co"
		}
		return g.query(must(sas.AccountSignatureValues{Permissions: g.permissions, ResourceTypes: g.types, StartTime: start, ExpiryTime: end,
			Protocol: g.protocol, IPRange: g.from}.SignWithSharedKey(h.shared))(t))
	}
	one := func(g *azureGrant) string { return g.key }
	whole := func(*azureGrant) string { return "" }
	return []azureUser{
		{azureShared, "", func(t *testing.T, h *azureHome, _ azureGrant) (c azureClient) {
			c.Client = must(container.NewClientWithSharedKeyCredential(h.at("", ""), h.shared, &container.ClientOptions{ClientOptions: h.options()}))(t)
			c.blob = c.NewBlockBlobClient
			return c
		}},
		{"service SAS of a blob", "dwcr", withSAS(service(one), false)},
		{"service SAS of the container", "ldwcr", withSAS(service(whole), true)},
		{"account SAS", "rwdlc", withSAS(account, true)},
		{"user delegation SAS of a blob", "rcwd", withSAS(delegated(one), false)},
		{"user delegation SAS of the container", "rcwdl", withSAS(delegated(whole), true)},
	}
}

const azureShared = "Shared Key"

// TestAzureFlows lets azblob upload, upload in blocks, download, list and delete, with each kind of authorization.
func TestAzureFlows(t *testing.T) {
	for _, u := range azureUsers() {
		t.Run(u.name, func(t *testing.T) {
			h, ctx := startAzure(t), t.Context()
			large := bytes.Repeat([]byte("0123456789abcdef"), 20<<10) // 320 KiB, four blocks
			for _, key := range append(slices.Clone(nastyKeys), objectKey) {
				if strings.Contains(key, `\`) {
					continue // see TestAzblobBackslash
				}
				c := u.open(t, h, azureGrant{permissions: u.permissions})
				b := c.blob(key)
				if _, err := b.UploadBuffer(ctx, content, &blockblob.UploadBufferOptions{HTTPHeaders: &blob.HTTPHeaders{BlobContentType: ptr("text/x-signed")}, Metadata: map[string]*string{"color": ptr("green")}}); err != nil {
					t.Fatalf("upload %q: %v", key, h.why(err))
				}
				data, stored, ok := h.Get(key)
				if !ok || !bytes.Equal(data, content) || stored.Get("X-Amz-Meta-Color") != "green" || stored.Get("Content-Type") != "text/x-signed" {
					t.Fatalf("%q is stored as %q, %v, %v; the store has %q", key, data, stored, ok, h.Keys())
				}
				got, err := b.DownloadStream(ctx, nil)
				if err != nil {
					t.Fatalf("download %q: %v", key, h.why(err))
				}
				if text := must(io.ReadAll(got.Body))(t); !bytes.Equal(text, content) {
					t.Errorf("%q downloaded as %q", key, text)
				}
				if p, err := b.GetProperties(ctx, nil); err != nil || *p.ContentLength != int64(len(content)) {
					t.Errorf("properties of %q: %v", key, h.why(err))
				}
				if c.Client != nil && u.name == azureShared && strings.ContainsFunc(key, unicode.IsControl) {
					// In Shared Key's string to sign a line feed would pass for another parameter. The Verifier takes none.
					if _, err := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &key}).NextPage(ctx); err == nil || !errors.Is(*h.refusal.Load(), signer.ErrMalformed) {
						t.Errorf("listing %q: %v", key, h.why(err))
					}
				} else if c.Client != nil {
					page, err := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &key}).NextPage(ctx)
					if err != nil || len(page.Segment.BlobItems) != 1 || *page.Segment.BlobItems[0].Name != key {
						t.Errorf("listing %q: %+v, %v", key, page.Segment, h.why(err))
					}
				}
				if _, err := b.Delete(ctx, nil); err != nil {
					t.Errorf("delete %q: %v", key, h.why(err))
				}
				var e *azcore.ResponseError
				if _, err := b.DownloadStream(ctx, nil); !errors.As(err, &e) || e.ErrorCode != "BlobNotFound" {
					t.Errorf("download of what is gone: %v", err)
				}
			}
			b := u.open(t, h, azureGrant{permissions: u.permissions}).blob("large")
			if _, err := b.UploadBuffer(ctx, large, &blockblob.UploadBufferOptions{BlockSize: 100 << 10, Concurrency: 2}); err != nil {
				t.Fatalf("upload in blocks: %v", h.why(err))
			}
			if _, err := b.UploadStream(ctx, bytes.NewReader(large), &blockblob.UploadStreamOptions{BlockSize: 100 << 10}); err != nil {
				t.Fatalf("upload of a stream: %v", h.why(err))
			}
			if data, _, _ := h.Get("large"); !bytes.Equal(data, large) {
				t.Errorf("%d bytes arrived, want %d", len(data), len(large))
			}
		})
	}
}

// why is an error of the SDK with that of the Verifier.
func (h *azureHome) why(err error) error {
	if refusal := h.refusal.Load(); err != nil && refusal != nil {
		return fmt.Errorf("%w\nour verifier: %w", signer.RedactError(err), *refusal)
	}
	return err
}

// TestAzureRefusals has requests of azblob's refused, with the code that Azure documents and the class that our Verifier has.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/sas-error-codes
// https://learn.microsoft.com/en-us/rest/api/storageservices/common-rest-api-error-codes
func TestAzureRefusals(t *testing.T) {
	const authentication, permission = "AuthenticationFailed", "AuthorizationPermissionMismatch"
	late := func(h *azureHome) { h.Clock.Advance(20 * time.Minute) }
	meddle := func(change func(*http.Request)) func(*azureHome) {
		return func(h *azureHome) { h.via = meddler{change} }
	}
	elsewhere := meddle(func(r *http.Request) { r.URL.Path = strings.Replace(r.URL.Path, bucket, "other", 1) })
	changed := func(name, value string) func(url.Values) {
		return func(q url.Values) { q.Set(name, value) }
	}
	flip := func(s string) string {
		if s[0] == 'A' {
			return "B" + s[1:]
		}
		return "A" + s[1:]
	}
	read := func(c azureClient) error {
		_, err := c.blob("k").DownloadStream(t.Context(), nil)
		return err
	}
	remove := func(c azureClient) error {
		_, err := c.blob("k").Delete(t.Context(), nil)
		return err
	}
	list := func(c azureClient) error {
		if c.Client == nil {
			return errors.ErrUnsupported
		}
		_, err := c.NewListBlobsFlatPager(nil).NextPage(t.Context())
		return err
	}
	all := azureGrant{permissions: "rd"}
	cases := []struct {
		name  string
		users string // what the name of a user must contain, a SAS perhaps
		grant azureGrant
		home  func(*azureHome)
		do    func(azureClient) error
		code  string
		class error
	}{
		{"another blob", "of a blob", azureGrant{key: "k2", permissions: "r"}, nil, read, authentication, signer.ErrMismatch},
		{"another blob, on the way", "Shared Key", all, meddle(func(r *http.Request) { r.URL.Path += "2" }), read, authentication, signer.ErrMismatch},
		{"another container, on the way", "SAS of", all, elsewhere, read, authentication, signer.ErrMismatch},
		{"another container, on the way", "Shared Key", all, elsewhere, read, authentication, signer.ErrMismatch},
		{"another account, on the way", "", all, meddle(func(r *http.Request) { r.URL.Path = "/x" + r.URL.Path[1:] }), read, "InvalidUri", signer.ErrScope},
		{"a method that was not granted", "SAS", azureGrant{permissions: "r"}, nil, remove, permission, signer.ErrScope},
		{"a list that was not granted", "SAS of the container", azureGrant{permissions: "r"}, nil, list, permission, signer.ErrScope},
		{"a list that was not granted", "account SAS", azureGrant{permissions: "r"}, nil, list, permission, signer.ErrScope},
		{"another method, on the way", "Shared Key", all, meddle(func(r *http.Request) { r.Method = http.MethodDelete }), read, authentication, signer.ErrMismatch},
		{"a permission added", "SAS", azureGrant{permissions: "r", edit: changed("sp", "rd")}, nil, remove, authentication, signer.ErrMismatch},
		{"a permission of another order", "SAS of", azureGrant{permissions: "rd", edit: changed("sp", "dr")}, nil, remove, authentication, signer.ErrMalformed},
		{"a life stretched", "SAS", azureGrant{permissions: "r", edit: changed("se", "2099-01-01T00:00:00Z")}, nil, read, authentication, signer.ErrMismatch},
		{"twenty minutes later", "", all, late, read, authentication, signer.ErrExpired},
		{"an hour early", "SAS", azureGrant{permissions: "r", start: time.Now().Add(time.Hour), end: time.Now().Add(2 * time.Hour)}, nil, read, authentication, signer.ErrNotYetValid},
		{"another resource", "SAS of a blob", azureGrant{permissions: "r", edit: changed("sr", "c")}, nil, read, authentication, signer.ErrMismatch},
		{"another version", "SAS", azureGrant{permissions: "r", edit: changed("sv", "2019-12-12")}, nil, read, authentication, signer.ErrMismatch},
		{"no signature", "SAS", azureGrant{permissions: "r", edit: func(q url.Values) { q.Del("sig") }}, nil, read, "NoAuthenticationInformation", signer.ErrUnsigned},
		{"a signature's letter", "SAS", azureGrant{permissions: "r", edit: func(q url.Values) { q.Set("sig", flip(q.Get("sig"))) }}, nil, read, authentication, signer.ErrMismatch},
		{"a signature's letter", "Shared Key", all, meddle(func(r *http.Request) {
			head, signature, _ := strings.Cut(r.Header.Get("Authorization"), ":")
			r.Header.Set("Authorization", head+":"+flip(signature))
		}), read, authentication, signer.ErrMismatch},
		{"another key", "", all, func(h *azureHome) {
			h.shared = must(azblob.NewSharedKeyCredential(h.AzureAccount, zeroSig))(t)
			other := h.AzureDelegation
			other.Value = signer.NewSecret(make([]byte, 32))
			h.delegation = delegationCredential(t, h.AzureAccount, other)
		}, read, authentication, signer.ErrMismatch},
		{"a key that nobody gave out", "user delegation", all, func(h *azureHome) {
			other := h.AzureDelegation
			other.SignedOID = "33333333-3333-3333-3333-333333333333"
			h.delegation = delegationCredential(t, h.AzureAccount, other)
		}, read, authentication, signer.ErrUnknownKey},
		{"over HTTP where HTTPS was signed", "SAS", azureGrant{permissions: "r", protocol: sas.ProtocolHTTPS}, nil, read, "AuthorizationProtocolMismatch", signer.ErrScope},
		{"from another address", "SAS", azureGrant{permissions: "r", from: sas.IPRange{Start: net.IPv4(203, 0, 113, 1), End: net.IPv4(203, 0, 113, 9)}}, nil, read, "AuthorizationSourceIPMismatch", signer.ErrScope},
		{"another type of resource", "account", azureGrant{permissions: "rl", types: "o"}, nil, list, "AuthorizationResourceTypeMismatch", signer.ErrScope},
		{"a bearer token too", "SAS", all, meddle(func(r *http.Request) { r.Header.Set("Authorization", "Bearer abc") }), read, "InvalidAuthenticationInfo", signer.ErrConflict},
		{"a SAS in Authorization", "SAS", all, meddle(func(r *http.Request) {
			r.Header.Set("Authorization", "SharedAccessSignature "+r.URL.RawQuery)
			r.URL.RawQuery = ""
		}), read, "InvalidAuthenticationInfo", signer.ErrMalformed},
		{"a header more", "Shared Key", all, meddle(func(r *http.Request) { r.Header.Set("X-Ms-Copy-Source", "x") }), read, authentication, signer.ErrMismatch},
		{"a parameter more", "Shared Key", all, meddle(func(r *http.Request) { r.URL.RawQuery = "timeout=1" }), read, authentication, signer.ErrMismatch},
	}
	for _, u := range azureUsers() {
		for _, c := range cases {
			if !strings.Contains(u.name, c.users) {
				continue
			}
			t.Run(u.name+"/"+c.name, func(t *testing.T) {
				h := startAzure(t)
				if err := h.Put("k", content, nil); err != nil {
					t.Fatal(err)
				}
				if c.home != nil {
					c.home(h)
				}
				err := c.do(u.open(t, h, c.grant))
				var e *azcore.ResponseError
				if !errors.As(err, &e) || e.ErrorCode != c.code {
					t.Errorf("%v; want %s", h.why(err), c.code)
				}
				if refusal := h.refusal.Load(); refusal == nil || !errors.Is(*refusal, c.class) {
					t.Errorf("%v; want %v", h.why(err), c.class)
				}
				if _, _, there := h.Get("k"); !there {
					t.Error("it was done all the same")
				}
			})
		}
	}
}
