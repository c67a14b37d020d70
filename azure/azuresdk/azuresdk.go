// Package azuresdk joins package azure to the Azure SDK for Go, in both directions.
//
// Who has a credential of package azidentity signs with user delegation keys, without the account's key:
//
//	credential, err := azidentity.NewDefaultAzureCredential(nil)
//	if err != nil {
//		return err
//	}
//	keys, err := udk.New(udk.Config{Account: "myaccount", Token: azuresdk.Token(credential)})
//	if err != nil {
//		return err
//	}
//	s, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: keys})
//
// And a program that keeps its azblob client lets it sign with this module, by a clock that learns from the answers how far the
// machine is off:
//
//	source := clock.NewSource(nil, clock.Options{})
//	s, err := azure.New(azure.Config{Account: "myaccount", Keys: key, Clock: source})
//	if err != nil {
//		return err
//	}
//	client, err := azblob.NewClientWithNoCredential("https://myaccount.blob.core.windows.net", &azblob.ClientOptions{
//		ClientOptions: azcore.ClientOptions{
//			PerRetryPolicies: []policy.Policy{azuresdk.Policy(s)},
//			Transport:        &http.Client{Transport: source.Transport(nil)},
//		},
//	})
//
// # The account key
//
// An azblob.SharedKeyCredential tells its AccountName, but nothing gets the key out of it again. Give azure.SharedKey what the
// credential was made of: the account's name, and the key in base64.
//
//	key, err := azure.SharedKey("myaccount", os.Getenv("AZURE_STORAGE_KEY"))
package azuresdk

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/cloudsigner/cloudsigner/signer"
)

// scope is that of Azure Storage, in all clouds.
const scope = "https://storage.azure.com/.default"

// Token makes a function for udk.Config.Token of a credential of the SDK's: of package azidentity, or another. nil of nil, which
// udk.New reports. Credentials keep their tokens until shortly before their end.
func Token(c azcore.TokenCredential) func(ctx context.Context) (token string, expires time.Time, err error) {
	if c == nil {
		return nil
	}
	return func(ctx context.Context) (string, time.Time, error) {
		t, err := c.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
		return t.Token, t.ExpiresOn, err
	}
}

// Policy makes a policy for azcore.ClientOptions.PerRetryPolicies, which signs each attempt of a client that was made without a
// credential; an azure.Signer with an account key does so with Shared Key. What cannot be signed is not tried again, but for
// signer.ErrRemote: a key service may be back.
func Policy(s signer.RequestSigner) policy.Policy { return signing{s} }

type signing struct{ signer.RequestSigner }

// Do implements policy.Policy.
func (p signing) Do(req *policy.Request) (*http.Response, error) {
	r := req.Raw()
	switch err := p.Sign(r.Context(), r); {
	case errors.Is(err, signer.ErrRemote):
		return nil, err
	case err != nil:
		return nil, final{err}
	}
	return req.Next()
}

// final is an error that the SDK's retry policy takes for the last word.
type final struct{ error }

func (f final) Unwrap() error { return f.error }
func (final) NonRetriable()   {}
