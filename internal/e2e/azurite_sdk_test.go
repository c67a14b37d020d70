package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is azblob, Microsoft's SDK for Go: what its clients sign and what its package sas makes, before our Verifier; and
// our URLs in its clients.

// options are those of a client that tries once.
func (a *azurite) options() policy.ClientOptions {
	return policy.ClientOptions{Transport: a.client, Retry: policy.RetryOptions{MaxRetries: -1}}
}

// A porter is a server that has our Verifier and no blobs. It answers what satisfies the SDK.
type porter struct {
	azurite
	verifier *azure.Verifier
	grant    *signer.Grant
	err      error
	seen     *http.Request
}

func newPorter(t *testing.T) *porter {
	t.Helper()
	p := new(porter)
	ts := httptest.NewServer(p)
	t.Cleanup(ts.Close)
	key := must(azure.SharedKey(azuriteAccount, azuriteKey))(t)
	p.azurite = azurite{name: "porter", endpoint: must(url.Parse(ts.URL))(t), client: clientFor(ts.Listener.Addr().String()), keys: key}
	p.verifier = must(azure.NewVerifier(azure.VerifierConfig{Account: azuriteAccount, Endpoint: p.endpoint,
		AccountKeys: func(context.Context) ([]signer.Secret, error) { return []signer.Secret{key.Secret()}, nil }}))(t)
	return p
}

func (p *porter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.seen = r.Clone(context.Background())
	if p.grant, p.err = p.verifier.Verify(r.Context(), r); p.err != nil {
		var e *signer.Error
		errors.As(p.err, &e)
		w.Header().Set("X-Ms-Error-Code", e.Code)
		http.Error(w, e.Code, http.StatusForbidden)
		return
	}
	io.Copy(io.Discard, r.Body)
	w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	w.Header().Set("ETag", `"0x8D4BCC2E4835CD0"`)
	comp := r.URL.Query().Get("comp")
	switch {
	case r.Method == http.MethodPut && comp != "metadata" && comp != "properties" && comp != "tier":
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusAccepted)
	case comp == "list":
		w.Header().Set("Content-Type", "application/xml")
		io.WriteString(w, `<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs></Blobs><Containers></Containers><NextMarker/></EnumerationResults>`)
	case r.Method == http.MethodGet:
		w.Write(content)
	}
}

// TestAzblobSharedKey has our Verifier judge what azblob's clients send with an account key.
func TestAzblobSharedKey(t *testing.T) {
	p := newPorter(t)
	ctx := t.Context()
	credential := must(azblob.NewSharedKeyCredential(azuriteAccount, azuriteKey))(t)
	home := p.endpoint.String() + "/" + azuriteAccount
	svc := must(service.NewClientWithSharedKeyCredential(home, credential, &service.ClientOptions{ClientOptions: p.options()}))(t)
	photos := svc.NewContainerClient(azuriteContainer)
	one := func(t *testing.T, what, bucket, key string, err error) {
		t.Helper()
		switch {
		case p.err != nil:
			t.Errorf("%s: our verifier: %v", what, p.err)
		case err != nil:
			t.Errorf("%s: %v", what, err)
		case p.grant.Bucket != bucket || p.grant.Key != key || p.grant.Scheme != "SharedKey" || p.grant.KeyID != azuriteAccount:
			t.Errorf("%s is granted as %+v", what, p.grant)
		}
	}
	_, err := photos.Create(ctx, nil)
	one(t, "create a container", azuriteContainer, "", err)
	_, err = svc.NewListContainersPager(&service.ListContainersOptions{Prefix: ptr("a b&c")}).NextPage(ctx)
	one(t, "list containers", "", "", err)
	_, err = photos.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: ptr("a/b +é"), Include: container.ListBlobsInclude{Metadata: true, Snapshots: true}}).NextPage(ctx)
	one(t, "list blobs", azuriteContainer, "", err)
	for _, key := range nastyKeys {
		if strings.Contains(key, `\`) {
			continue // see TestAzblobBackslash
		}
		b := photos.NewBlockBlobClient(key)
		_, err = b.Upload(ctx, streaming.NopCloser(bytes.NewReader(content)), &blockblob.UploadOptions{
			Metadata:    map[string]*string{"a_b": ptr("1"), "a1": ptr("2"), "Ab": ptr("3"), "empty": ptr("")},
			HTTPHeaders: &blob.HTTPHeaders{BlobContentType: ptr("text/plain; charset=utf-8"), BlobContentDisposition: ptr(`attachment; filename="x"`)}, Tags: map[string]string{"a": "b c"}})
		one(t, fmt.Sprintf("upload %q", key), azuriteContainer, key, err)
		_, err = b.DownloadStream(ctx, &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: 1, Count: 2}, AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: ptr(azcore.ETag(`"1"`)), IfUnmodifiedSince: ptr(time.Now())}}})
		one(t, fmt.Sprintf("download %q", key), azuriteContainer, key, err)
		_, err = b.GetProperties(ctx, nil)
		one(t, fmt.Sprintf("properties of %q", key), azuriteContainer, key, err)
	}
	b := photos.NewBlockBlobClient(objectKey)
	_, err = b.StageBlock(ctx, "YmxvY2s=", streaming.NopCloser(bytes.NewReader(content)), nil)
	one(t, "stage a block", azuriteContainer, objectKey, err)
	_, err = b.CommitBlockList(ctx, []string{"YmxvY2s="}, nil)
	one(t, "commit the blocks", azuriteContainer, objectKey, err)
	_, err = b.SetMetadata(ctx, map[string]*string{"x": ptr("y")}, nil)
	one(t, "metadata", azuriteContainer, objectKey, err)
	_, err = b.Delete(ctx, &blob.DeleteOptions{DeleteSnapshots: ptr(blob.DeleteSnapshotsOptionTypeInclude)})
	one(t, "delete", azuriteContainer, objectKey, err)

	other := must(azblob.NewSharedKeyCredential(azuriteAccount, zeroSig))(t)
	b = must(blockblob.NewClientWithSharedKeyCredential(b.URL(), other, &blockblob.ClientOptions{ClientOptions: p.options()}))(t)
	if _, err = b.GetProperties(ctx, nil); err == nil || !errors.Is(p.err, signer.ErrMismatch) {
		t.Errorf("another key: %v, %v", err, p.err)
	}
}

// azblob's clients write a backslash into URLs, and its package sas signs a slash. We refuse both.
func TestAzblobBackslash(t *testing.T) {
	p := newPorter(t)
	credential := must(azblob.NewSharedKeyCredential(azuriteAccount, azuriteKey))(t)
	c := must(container.NewClientWithSharedKeyCredential(p.endpoint.String()+"/"+azuriteAccount+"/"+azuriteContainer, credential, &container.ClientOptions{ClientOptions: p.options()}))(t)
	if _, err := c.NewBlobClient(`back\slash`).GetProperties(t.Context(), nil); err == nil || !errors.Is(p.err, signer.ErrMalformed) {
		t.Errorf("%v, %v", err, p.err)
	}
}

func ptr[T any](v T) *T { return &v }

// azblobSAS are SAS that azblob makes, each with a request that it allows.
var azblobSAS = []struct {
	name               string
	values             sas.BlobSignatureValues
	method, query, key string
	azurite            bool // whether Azurite knows such a SAS
}{
	{"a blob", sas.BlobSignatureValues{BlobName: objectKey, Permissions: "r"}, "GET", "", objectKey, true},
	{"a blob, to write", sas.BlobSignatureValues{BlobName: "upload", Permissions: "wc"}, "PUT", "", "upload", true},
	{"a blob, to delete", sas.BlobSignatureValues{BlobName: "upload", Permissions: "d"}, "DELETE", "", "upload", true},
	{"a container", sas.BlobSignatureValues{Permissions: "rl"}, "GET", "", objectKey, true},
	{"a container, to list", sas.BlobSignatureValues{Permissions: "rl"}, "GET", "restype=container&comp=list", "", true},
	{"overrides", sas.BlobSignatureValues{BlobName: objectKey, Permissions: "r", ContentType: "text/x; a=b", ContentDisposition: `attachment; filename="a+b c"`, CacheControl: "no-store"}, "GET", "", objectKey, true},
	{"an address", sas.BlobSignatureValues{BlobName: objectKey, Permissions: "r", IPRange: sas.IPRange{Start: here.AsSlice()}, Protocol: sas.ProtocolHTTPSandHTTP}, "GET", "", objectKey, true},
	{"a directory", sas.BlobSignatureValues{Directory: "dir", Permissions: "r"}, "GET", "", objectKey, false},
}

// TestAzblobSAS has our Verifier and Azurite judge SAS of azblob's, with both kinds of keys.
func TestAzblobSAS(t *testing.T) {
	shared := must(azblob.NewSharedKeyCredential(azuriteAccount, azuriteKey))(t)
	host := hostAzurite(t) // the SDK takes the account from the host, and asks for keys over TLS only
	answer := &listener{client: host.client}
	options := host.options()
	options.Transport = answer
	svc := must(service.NewClient(host.endpoint.String(), fixedToken{}, &service.ClientOptions{ClientOptions: options}))(t)
	from, to := time.Now().Add(-time.Hour).UTC().Format(sas.TimeFormat), time.Now().Add(time.Hour).UTC().Format(sas.TimeFormat)
	delegation := must(svc.GetUserDelegationCredential(t.Context(), service.KeyInfo{Start: &from, Expiry: &to}, nil))(t)
	host.name += ", delegated"
	host.known = answer.known(t)
	for _, home := range []struct {
		server *azurite
		sign   func(sas.BlobSignatureValues) (sas.QueryParameters, error)
	}{
		{plainAzurite(t), func(v sas.BlobSignatureValues) (sas.QueryParameters, error) { return v.SignWithSharedKey(shared) }},
		{host, func(v sas.BlobSignatureValues) (sas.QueryParameters, error) {
			return v.SignWithUserDelegation(delegation)
		}},
	} {
		a := home.server
		a.put(t, objectKey, content)
		for _, c := range azblobSAS {
			v := c.values
			v.ContainerName, v.StartTime, v.ExpiryTime = azuriteContainer, time.Now().Add(-time.Minute).UTC(), time.Now().Add(10*time.Minute).UTC()
			q := must(home.sign(v))(t)
			u := a.url(c.key)
			u.RawQuery = strings.TrimPrefix(c.query+"&"+q.Encode(), "&")
			request := func() *http.Request {
				var body io.Reader
				if c.method == http.MethodPut {
					body = bytes.NewReader(content)
				}
				req := must(http.NewRequest(c.method, u.String(), body))(t)
				if c.method == http.MethodPut {
					req.Header.Set("X-Ms-Blob-Type", "BlockBlob")
				}
				return req
			}
			if _, err := a.judge(t, request()); err != nil {
				t.Errorf("%s: %s: our verifier: %v", a.name, c.name, err)
			}
			if c.azurite {
				if got := a.send(t, request()); got.StatusCode >= 300 {
					t.Errorf("%s: %s: %s", a.name, c.name, got)
				}
			}
			late := request()
			param("se", "2099-01-01T00:00:00Z").request(late)
			if _, err := a.judge(t, late); !errors.Is(err, signer.ErrMismatch) {
				t.Errorf("%s: %s: se changed: our verifier: %v", a.name, c.name, err)
			}
			if got := a.send(t, late).String(); c.azurite && got != azuriteFailure {
				t.Errorf("%s: %s: se changed: %s", a.name, c.name, got)
			}
		}
	}
}

// A listener keeps the last answer that the SDK got.
type listener struct {
	client *http.Client
	body   []byte
}

func (l *listener) Do(req *http.Request) (*http.Response, error) {
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	l.body, err = io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(l.body))
	return resp, err
}

// known is a lookup for the one user delegation key that was answered.
func (l *listener) known(t *testing.T) func(context.Context, azure.UserDelegationKey) (signer.Secret, error) {
	t.Helper()
	var k struct{ SignedOid, SignedTid, SignedStart, SignedExpiry, SignedService, SignedVersion, Value string }
	if err := xml.Unmarshal(l.body, &k); err != nil {
		t.Fatal(err)
	}
	secret := signer.NewSecret(must(base64.StdEncoding.DecodeString(k.Value))(t))
	return func(_ context.Context, asked azure.UserDelegationKey) (signer.Secret, error) {
		if asked.SignedOID != k.SignedOid || asked.SignedTID != k.SignedTid || asked.SignedStart != k.SignedStart || asked.SignedExpiry != k.SignedExpiry ||
			asked.SignedService != k.SignedService || asked.SignedVersion != k.SignedVersion || asked.SignedDelegatedUserTID != "" {
			return signer.Secret{}, signer.ErrUnknownKey
		}
		return secret, nil
	}
}

// fixedToken is a credential as Azurite takes it.
type fixedToken struct{}

func (fixedToken) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: azuriteToken(), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// TestAzblobUsesOurs has azblob's clients use our SAS, which they are given as a URL.
func TestAzblobUsesOurs(t *testing.T) {
	eachAzurite(t, func(t *testing.T, a *azurite) {
		ctx := t.Context()
		p := must(a.signer(t).SAS(ctx, azure.SAS{Permissions: "rcwdl", Expires: time.Minute, FirstIP: here}))(t)
		c := must(container.NewClientWithNoCredential(p.URL, &container.ClientOptions{ClientOptions: a.options()}))(t)
		for _, key := range nastyKeys {
			if strings.Contains(key, `\`) {
				continue
			}
			b := c.NewBlockBlobClient(key)
			must(b.Upload(ctx, streaming.NopCloser(bytes.NewReader(content)), nil))(t)
			got := must(b.DownloadStream(ctx, nil))(t)
			if text := must(io.ReadAll(got.Body))(t); !bytes.Equal(text, content) {
				t.Errorf("%q: got %q", key, text)
			}
			must(b.Delete(ctx, nil))(t)
		}
		must(c.NewListBlobsFlatPager(nil).NextPage(ctx))(t)

		one := must(blob.NewClientWithNoCredential(a.presign(t, signer.Request{Key: "nothing"}).URL, &blob.ClientOptions{ClientOptions: a.options()}))(t)
		var refused *azcore.ResponseError
		if _, err := one.Delete(ctx, nil); !errors.As(err, &refused) || refused.ErrorCode != "AuthorizationPermissionMismatch" {
			t.Errorf("DELETE with r: %v", signer.RedactError(err))
		}
	})
}
