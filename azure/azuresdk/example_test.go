package azuresdk_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/azure/azuresdk"
	"github.com/cloudsigner/cloudsigner/azure/udk"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// myIdentity stands for what azidentity.NewDefaultAzureCredential returns.
type myIdentity struct{}

func (myIdentity) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "eyJ0eXAi.x.y", ExpiresOn: time.Date(2026, 11, 26, 13, 0, 0, 0, time.UTC)}, nil
}

// blobService answers like an account's blob service, with nothing behind it.
type blobService struct{}

func (blobService) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := `<UserDelegationKey><SignedOid>f27c2809-dfd7-4dbc-b5ed-b8b3b9341335</SignedOid><SignedTid>72f988bf-86f1-41af-91ab-2d7cd011db47</SignedTid>
		<SignedStart>2026-11-26T11:40:00Z</SignedStart><SignedExpiry>2026-12-03T11:40:00Z</SignedExpiry><SignedService>b</SignedService>
		<SignedVersion>2020-12-06</SignedVersion><Value>c29tZSBrZXksIG9mIHRoaXJ0eS10d28gYnl0ZXMuLi4=</Value></UserDelegationKey>`
	if r.Method == http.MethodGet {
		answer = "asked at " + r.Header.Get("X-Ms-Date")
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

// Without an account key. In your program leave out the client and the clock.
func ExampleToken() {
	ctx, now := context.Background(), clock.Fixed(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))
	keys, err := udk.New(udk.Config{Account: "myaccount", Token: azuresdk.Token(myIdentity{}), Client: &http.Client{Transport: blobService{}}, Clock: now})
	if err != nil {
		log.Fatal(err)
	}
	s, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: keys, Clock: now})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(ctx, signer.Request{Key: "2026/cat.jpg", Expires: 15 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p)
	// Output: GET https://myaccount.blob.core.windows.net/photos/2026/cat.jpg?REDACTED until 2026-11-26T12:15:00Z
}

// The SDK's client, by our clock: in your program that is a clock.Source, whose Transport is the client's.
func ExamplePolicy() {
	ctx, now := context.Background(), clock.Fixed(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))
	key, err := azure.SharedKey("myaccount", "c29tZSBrZXksIG9mIHRoaXJ0eS10d28gYnl0ZXMuLi4=")
	if err != nil {
		log.Fatal(err)
	}
	s, err := azure.New(azure.Config{Account: "myaccount", Keys: key, Clock: now})
	if err != nil {
		log.Fatal(err)
	}
	client, err := azblob.NewClientWithNoCredential("https://myaccount.blob.core.windows.net", &azblob.ClientOptions{ClientOptions: azcore.ClientOptions{
		PerRetryPolicies: []policy.Policy{azuresdk.Policy(s)},
		Transport:        &http.Client{Transport: blobService{}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	answer, err := client.DownloadStream(ctx, "photos", "cat.jpg", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
	// Output: asked at Thu, 26 Nov 2026 12:00:00 GMT
}
