package azuresdk

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/azure/udk"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

const accountKey = "cGxhbnRlZCBzZWNyZXQga2V5IG9mIHRoZSBhY2NvdW50"

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// A credential gives a token, and notes what it is asked for.
type credential struct {
	asked []policy.TokenRequestOptions
	err   error
}

func (c *credential) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.asked = append(c.asked, o)
	return azcore.AccessToken{Token: "eyJ.x.y", ExpiresOn: noon.Add(time.Hour)}, c.err
}

// The token reaches the service, and its key signs.
func TestToken(t *testing.T) {
	var sent *http.Request
	service := transport(func(r *http.Request) (*http.Response, error) {
		sent = r
		return answer(r, 200, `<UserDelegationKey><SignedOid>f27c2809</SignedOid><SignedTid>72f988bf</SignedTid>
			<SignedStart>2026-11-26T11:40:00Z</SignedStart><SignedExpiry>2026-12-03T11:40:00Z</SignedExpiry>
			<SignedService>b</SignedService><SignedVersion>2020-12-06</SignedVersion><Value>c29tZSBrZXksIG9mIHRoaXJ0eS10d28gYnl0ZXMuLi4=</Value></UserDelegationKey>`)
	})
	c := new(credential)
	keys, err := udk.New(udk.Config{Account: "myaccount", Token: Token(c), Client: &http.Client{Transport: service}, Clock: clock.Fixed(noon)})
	require.NoError(t, err)
	s, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: keys, Clock: clock.Fixed(noon)})
	require.NoError(t, err)
	for range 3 {
		p, err := s.Presign(t.Context(), signer.Request{Key: "cat.jpg", Expires: time.Hour})
		require.NoError(t, err)
		assert.Contains(t, p.URL, "skoid=f27c2809")
	}
	assert.Equal(t, []policy.TokenRequestOptions{{Scopes: []string{"https://storage.azure.com/.default"}}}, c.asked)
	assert.Equal(t, "Bearer eyJ.x.y", sent.Header.Get("Authorization"))

	_, expires, err := Token(c)(t.Context())
	require.NoError(t, err)
	assert.Equal(t, noon.Add(time.Hour), expires)
}

func TestTokenFails(t *testing.T) {
	lost := errors.New("no login")
	keys, err := udk.New(udk.Config{Account: "myaccount", Token: Token(&credential{err: lost})})
	require.NoError(t, err)
	_, err = keys.Key(t.Context(), noon)
	assert.ErrorIs(t, err, lost)
	assert.ErrorIs(t, err, signer.ErrRemote)
	_, err = udk.New(udk.Config{Account: "myaccount", Token: Token(nil)})
	assert.ErrorIs(t, err, signer.ErrCredentials)
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
func (f transport) Do(r *http.Request) (*http.Response, error)        { return f(r) }

func answer(r *http.Request, status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/xml"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func newClient(t *testing.T, s signer.RequestSigner, f transport) *azblob.Client {
	t.Helper()
	client, err := azblob.NewClientWithNoCredential("https://myaccount.blob.core.windows.net", &azblob.ClientOptions{ClientOptions: azcore.ClientOptions{
		PerRetryPolicies: []policy.Policy{Policy(s)}, Transport: f,
		Retry: policy.RetryOptions{MaxRetries: 2, RetryDelay: time.Nanosecond},
	}})
	require.NoError(t, err)
	return client
}

// Each attempt of the SDK's client is signed anew, at our time, and verifies.
func TestPolicy(t *testing.T) {
	key, err := azure.SharedKey("myaccount", accountKey)
	require.NoError(t, err)
	now := noon
	s, err := azure.New(azure.Config{Account: "myaccount", Keys: key, Clock: clock.Func(func() time.Time { return now })})
	require.NoError(t, err)
	v, err := azure.NewVerifier(azure.VerifierConfig{Account: "myaccount", Clock: clock.Fixed(noon),
		AccountKeys: func(context.Context) ([]signer.Secret, error) { return []signer.Secret{key.Secret()}, nil }})
	require.NoError(t, err)
	var dates, methods []string
	client := newClient(t, s, func(r *http.Request) (*http.Response, error) {
		in := r.Clone(r.Context())
		in.RequestURI, in.RemoteAddr, in.Host = in.URL.RequestURI(), "192.0.2.1:1", in.URL.Host
		g, err := v.Verify(t.Context(), in)
		if assert.NoError(t, err) {
			methods = append(methods, g.Method+" "+g.Bucket+" "+g.Key)
		}
		dates = append(dates, r.Header.Get("X-Ms-Date"))
		now = now.Add(time.Second)
		if len(dates) == 1 {
			return answer(r, 503, "")
		}
		return answer(r, 201, "<EnumerationResults></EnumerationResults>")
	})
	_, err = client.UploadBuffer(t.Context(), "photos", "a b+ü/cat.jpg", []byte("data"), &azblob.UploadBufferOptions{Metadata: map[string]*string{"a": new(string)}})
	require.NoError(t, err)
	prefix := "a b"
	client.NewListBlobsFlatPager("photos", &azblob.ListBlobsFlatOptions{Prefix: &prefix}).NextPage(t.Context())
	assert.Equal(t, []string{"PUT photos a b+ü/cat.jpg", "PUT photos a b+ü/cat.jpg", "GET photos "}, methods)
	assert.Equal(t, []string{"Thu, 26 Nov 2026 12:00:00 GMT", "Thu, 26 Nov 2026 12:00:01 GMT", "Thu, 26 Nov 2026 12:00:02 GMT"}, dates)
}

type refusing struct {
	err error
	n   int
}

func (r *refusing) Sign(context.Context, *http.Request) error { r.n++; return r.err }

// Only what may pass is tried again.
func TestPolicyRefuses(t *testing.T) {
	for sentinel, want := range map[error]int{signer.ErrRequest: 1, signer.ErrCredentials: 1, signer.ErrRemote: 3} {
		r := &refusing{err: &signer.Error{Backend: "azure", Op: "sign", Err: sentinel}}
		client := newClient(t, r, func(*http.Request) (*http.Response, error) { t.Error("sent"); return nil, io.EOF })
		_, err := client.DownloadStream(t.Context(), "photos", "cat.jpg", nil)
		assert.ErrorIs(t, err, sentinel)
		var e *signer.Error
		assert.ErrorAs(t, err, &e)
		assert.Equal(t, want, r.n, sentinel)
	}
}

// What our comment says about the SDK's credential: its name can be read.
func TestSharedKeyCredential(t *testing.T) {
	c, err := azblob.NewSharedKeyCredential("myaccount", accountKey)
	require.NoError(t, err)
	key, err := azure.SharedKey(c.AccountName(), accountKey)
	require.NoError(t, err)
	_, err = azure.New(azure.Config{Account: c.AccountName(), Keys: key, Endpoint: &url.URL{Scheme: "https", Host: "myaccount.blob.core.windows.net"}})
	assert.NoError(t, err)
}
