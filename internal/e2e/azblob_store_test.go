package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/cloudsigner/cloudsigner/internal/storefake"
)

// This file is azblob before our store: its clients with an account key, and the SAS of its package sas, with both kinds of keys.

// An azblobHome is a store, and azblob's credentials for it.
type azblobHome struct {
	*storefake.Server
	client     *http.Client
	shared     *azblob.SharedKeyCredential
	delegation *service.UserDelegationCredential
}

func newAzblobHome(t *testing.T) *azblobHome {
	t.Helper()
	store := must(storefake.Start(storefake.Config{Bucket: azuriteContainer, MinPart: 1}))(t)
	t.Cleanup(func() { store.Close() })
	h := &azblobHome{Server: store, client: clientFor(store.Endpoint().Host)}
	h.shared = must(azblob.NewSharedKeyCredential(store.AzureAccount, base64.StdEncoding.EncodeToString(store.AzureKey.Secret().Reveal())))(t)

	// The SDK makes such a credential only of what a service answers.
	k := store.AzureDelegation
	issued := transporter(func(req *http.Request) (*http.Response, error) {
		body := fmt.Sprintf("<UserDelegationKey><SignedOid>%s</SignedOid><SignedTid>%s</SignedTid><SignedStart>%s</SignedStart><SignedExpiry>%s</SignedExpiry>"+
			"<SignedService>%s</SignedService><SignedVersion>%s</SignedVersion><Value>%s</Value></UserDelegationKey>",
			k.SignedOID, k.SignedTID, k.SignedStart, k.SignedExpiry, k.SignedService, k.SignedVersion, base64.StdEncoding.EncodeToString(k.Value.Reveal()))
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/xml"}}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
	})
	svc := must(service.NewClient("https://"+store.AzureAccount+".blob.core.windows.net", fixedToken{}, &service.ClientOptions{ClientOptions: policy.ClientOptions{Transport: issued}}))(t)
	h.delegation = must(svc.GetUserDelegationCredential(t.Context(), service.KeyInfo{Start: &k.SignedStart, Expiry: &k.SignedExpiry}, nil))(t)
	return h
}

type transporter func(*http.Request) (*http.Response, error)

func (f transporter) Do(req *http.Request) (*http.Response, error) { return f(req) }

func (h *azblobHome) options() policy.ClientOptions {
	return policy.ClientOptions{Transport: h.client, Retry: policy.RetryOptions{MaxRetries: -1}}
}

// url is the address of a blob, of the container for "".
func (h *azblobHome) url(blob, query string) string {
	u := url.URL{Scheme: "http", Host: h.Endpoint().Host, Path: "/" + h.AzureAccount + "/" + azuriteContainer, RawQuery: query}
	if blob != "" {
		u.Path += "/" + blob
	}
	return u.String()
}

// TestAzblobStore has azblob's clients upload, upload in blocks, download, list and delete.
func TestAzblobStore(t *testing.T) {
	h := newAzblobHome(t)
	ctx := t.Context()
	c := must(container.NewClientWithSharedKeyCredential(h.url("", ""), h.shared, &container.ClientOptions{ClientOptions: h.options()}))(t)
	var names []string
	for _, key := range nastyKeys {
		if strings.Contains(key, `\`) {
			continue // see TestAzblobBackslash
		}
		names = append(names, key)
		b := c.NewBlockBlobClient(key)
		must(b.Upload(ctx, streaming.NopCloser(bytes.NewReader(content)), &blockblob.UploadOptions{Metadata: map[string]*string{"color": ptr("green")}}))(t)
		if data, _, ok := h.Get(key); !ok || !bytes.Equal(data, content) {
			t.Errorf("%q is stored as %q, %v", key, data, ok)
		}
		got := must(b.DownloadStream(ctx, nil))(t)
		if text := must(io.ReadAll(got.Body))(t); !bytes.Equal(text, content) || got.Metadata["Color"] == nil && got.Metadata["color"] == nil {
			t.Errorf("%q: got %q, %v", key, text, got.Metadata)
		}
		must(b.GetProperties(ctx, nil))(t)
	}
	listed := 0
	for pager := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: ptr(int32(3))}); pager.More(); {
		page := must(pager.NextPage(ctx))(t)
		listed += len(page.Segment.BlobItems)
	}
	if listed != len(names) {
		t.Errorf("%d of %d blobs are listed", listed, len(names))
	}
	large := bytes.Repeat([]byte("0123456789abcdef"), 20<<10)
	b := c.NewBlockBlobClient("large")
	must(b.UploadStream(ctx, bytes.NewReader(large), &blockblob.UploadStreamOptions{BlockSize: 100 << 10, Concurrency: 2}))(t)
	if data, _, _ := h.Get("large"); !bytes.Equal(data, large) {
		t.Errorf("in blocks: %d of %d bytes", len(data), len(large))
	}
	must(b.Delete(ctx, nil))(t)
	if _, _, ok := h.Get("large"); ok {
		t.Error("deleted, and still there")
	}
}

// TestAzblobSASStore gives azblob's SAS to a plain client. Each works, and not when something is wrong with it.
func TestAzblobSASStore(t *testing.T) {
	kinds := map[string]func(*azblobHome, sas.BlobSignatureValues) (sas.QueryParameters, error){
		"account key": func(h *azblobHome, v sas.BlobSignatureValues) (sas.QueryParameters, error) {
			return v.SignWithSharedKey(h.shared)
		},
		"delegation key": func(h *azblobHome, v sas.BlobSignatureValues) (sas.QueryParameters, error) {
			return v.SignWithUserDelegation(h.delegation)
		},
	}
	for kind, sign := range kinds {
		h := newAzblobHome(t)
		send := func(method, target string) answer {
			t.Helper()
			var body io.Reader
			if method == http.MethodPut {
				body = bytes.NewReader(content)
			}
			req := must(http.NewRequest(method, target, body))(t)
			if method == http.MethodPut {
				req.Header.Set("X-Ms-Blob-Type", "BlockBlob")
			}
			return (&server{client: h.client}).send(t, req)
		}
		check := func(what string, a answer, want string) {
			t.Helper()
			if got := a.String(); got != want {
				t.Errorf("%s: %s: %s, want %s\n%s", kind, what, got, want, a.body)
			}
		}
		query := func(v sas.BlobSignatureValues) string {
			t.Helper()
			v.ContainerName, v.StartTime, v.ExpiryTime = azuriteContainer, time.Now().Add(-time.Minute).UTC(), time.Now().Add(10*time.Minute).UTC()
			q := must(sign(h, v))(t)
			return q.Encode()
		}
		for _, c := range azblobSAS {
			if err := h.Put(objectKey, content, nil); err != nil {
				t.Fatal(err)
			}
			if c.method == http.MethodDelete {
				if err := h.Put(c.key, content, nil); err != nil {
					t.Fatal(err)
				}
			}
			q := strings.TrimPrefix(c.query+"&"+query(c.values), "&")
			want := map[string]string{"GET": "200", "PUT": "201", "DELETE": "202"}[c.method]
			check(c.name, send(c.method, h.url(c.key, q)), want)
			check(c.name+", longer than signed", send(c.method, h.url(c.key, strings.Replace(q, "se=20", "se=21", 1))), "403 AuthenticationFailed")
		}
		q := query(sas.BlobSignatureValues{BlobName: objectKey, Permissions: "r"})
		check("another blob", send("GET", h.url("another", q)), "403 AuthenticationFailed")
		check("another operation", send("DELETE", h.url(objectKey, q)), "403 AuthorizationPermissionMismatch")
		check("another permission", send("DELETE", h.url(objectKey, strings.Replace(q, "sp=r", "sp=d", 1))), "403 AuthenticationFailed")
		check("twice", send("GET", h.url(objectKey, q+"&sp=r")), "403 AuthenticationFailed")
		stranger := newAzblobHome(t)
		v := sas.BlobSignatureValues{ContainerName: azuriteContainer, BlobName: objectKey, Permissions: "r", ExpiryTime: time.Now().Add(time.Minute).UTC()}
		foreign := must(sign(stranger, v))(t)
		check("another key", send("GET", h.url(objectKey, foreign.Encode())), "403 AuthenticationFailed")
		h.Clock.Advance(11 * time.Minute)
		check("too late", send("GET", h.url(objectKey, q)), "403 AuthenticationFailed")
	}
}

// TestAzblobAccountSASStore is the same for SAS of the whole account.
func TestAzblobAccountSASStore(t *testing.T) {
	h := newAzblobHome(t)
	if err := h.Put(objectKey, content, nil); err != nil {
		t.Fatal(err)
	}
	v := sas.AccountSignatureValues{Permissions: "rl", ResourceTypes: "oc", ExpiryTime: time.Now().Add(10 * time.Minute).UTC()}
	signed := must(v.SignWithSharedKey(h.shared))(t)
	q := signed.Encode()
	for _, c := range []struct{ method, target, want string }{
		{"GET", h.url(objectKey, q), "200"},
		{"GET", h.url("", "restype=container&comp=list&"+q), "200"},
		{"DELETE", h.url(objectKey, q), "403 AuthorizationPermissionMismatch"},
		{"GET", h.url(objectKey, strings.Replace(q, "srt=", "srt=s", 1)), "403 AuthenticationFailed"},
		{"GET", h.url(objectKey, strings.Replace(q, "sp=", "sp=d", 1)), "403 AuthenticationFailed"},
	} {
		req := must(http.NewRequest(c.method, c.target, nil))(t)
		if got := (&server{client: h.client}).send(t, req).String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.method, got, c.want)
		}
	}
}
