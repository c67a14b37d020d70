// Package googlesdk joins package gcs to Google Cloud's libraries for Go, in both directions.
//
// Wherever Google's libraries find credentials (a file, gcloud's login, the metadata server, another cloud's identity), Default
// chooses the key that signs for them, and says why:
//
//	key, why, err := googlesdk.Default(ctx, googlesdk.Config{})
//	if err != nil {
//		return err
//	}
//	log.Print("URLs are signed with ", why)
//	s, err := gcs.New(gcs.Config{Bucket: "photos", Key: key})
//
// And a program that keeps signing with the storage client lets a Key of ours do so:
//
//	u, err := client.Bucket("photos").SignedURL("cat.jpg", &storage.SignedURLOptions{
//		Scheme: storage.SigningSchemeV4, Method: "GET", Expires: time.Now().Add(time.Hour),
//		GoogleAccessID: key.ID(), SignBytes: googlesdk.SignBytes(ctx, key),
//	})
//
// Its time is the machine's then. A gcs.Signer goes by a clock.Source, if it is given one.
//
// # Cloud KMS
//
// A service account can have a key that never leaves Cloud KMS: of the purpose asymmetric signing, with the algorithm
// RSA_SIGN_PKCS1_2048_SHA256, its certificate uploaded with gcloud iam service-accounts keys upload. cloud.google.com/go/kms makes it
// a crypto.Signer, for gcs.RSAKey:
//
//	type kmsKey struct {
//		client *kms.KeyManagementClient
//		name   string // projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/1
//		public crypto.PublicKey
//	}
//
//	func (k kmsKey) Public() crypto.PublicKey { return k.public }
//
//	func (k kmsKey) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
//		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
//		defer cancel()
//		r, err := k.client.AsymmetricSign(ctx, &kmspb.AsymmetricSignRequest{Name: k.name,
//			Digest: &kmspb.Digest{Digest: &kmspb.Digest_Sha256{Sha256: digest}}})
//		return r.GetSignature(), err
//	}
//
//	p, err := client.GetPublicKey(ctx, &kmspb.GetPublicKeyRequest{Name: name})
//	if err != nil {
//		return err
//	}
//	block, _ := pem.Decode([]byte(p.Pem))
//	public, err := x509.ParsePKIXPublicKey(block.Bytes)
//	if err != nil {
//		return err
//	}
//	key, err := gcs.RSAKey("signer@my-project.iam.gserviceaccount.com", kmsKey{client, name, public})
package googlesdk

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/gcs/iam"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Config says more than the credentials do. The zero Config is what most programs want.
type Config struct {
	// Account is the e-mail address of the service account that shall sign; "" for the one of the credentials. Credentials without
	// an account, as those of a person or of a federated identity, need it. The caller needs roles/iam.serviceAccountTokenCreator on it.
	Account string

	// Client sends the requests to IAM Service Account Credentials, and those for tokens that this package asks for; nil means
	// http.DefaultClient, and for tokens the library's own.
	Client *http.Client

	// Endpoint is the address of IAM Service Account Credentials; nil means that of the credentials' universe.
	Endpoint *url.URL

	// Clock says when tokens expire; nil means clock.System().
	Clock clock.Clock
}

// cloudPlatform is the scope that signBlob needs, or iam.
const cloudPlatform = "https://www.googleapis.com/auth/cloud-platform"

// Default is Key for the application default credentials, which are searched as Google's libraries do: the file that
// GOOGLE_APPLICATION_CREDENTIALS names, gcloud's login, the metadata server.
//
// https://docs.cloud.google.com/docs/authentication/application-default-credentials
func Default(ctx context.Context, c Config) (key gcs.Key, why string, err error) {
	creds, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{cloudPlatform}, Client: c.Client})
	if err != nil {
		return nil, "", opKey().Errorf(signer.ErrCredentials, "", "no application default credentials are found: %w", err)
	}
	return Key(ctx, creds, c)
}

// A file is what the JSON of credentials says about who they are.
type file struct {
	Type         string          `json:"type"`
	Email        string          `json:"client_email"`
	Impersonates string          `json:"service_account_impersonation_url"`
	Delegates    []string        `json:"delegates"`
	Source       json.RawMessage `json:"source_credentials"`
}

// Key chooses the key that signs for credentials, and says why that one, in words for a log:
//
//   - a service account's file has a private key, which signs here;
//   - impersonated_service_account: the account signs through package gcs/iam, asked by the credentials behind it;
//   - external_account with impersonation: the same, asked by the account itself, because a federated identity is mostly not
//     allowed to;
//   - without a file, the account that the metadata server names, through gcs/iam;
//   - a person's login, and an external_account without impersonation, have no account that could sign: Config.Account names one.
//
// creds need the scope cloud-platform or iam. ctx is for the questions to the metadata server. What has no key is
// signer.ErrCredentials, and says what to do; a metadata server that does not answer is signer.ErrRemote. Whether IAM allows it
// turns out at the first signature.
func Key(ctx context.Context, creds *auth.Credentials, c Config) (key gcs.Key, why string, err error) {
	op := opKey()
	if creds == nil {
		return nil, "", op.Errorf(signer.ErrCredentials, "", "there are no credentials")
	}
	var f file
	text := creds.JSON()
	if len(text) > 0 && json.Unmarshal(text, &f) != nil { // the error may quote the file
		return nil, "", op.Errorf(signer.ErrCredentials, "", "the credentials' file is not JSON")
	}
	caller := iam.Config{Account: c.Account, Token: token(creds), Client: c.Client, Endpoint: c.Endpoint, Clock: c.Clock}
	target := impersonated(f.Impersonates)
	switch {
	case f.Type == "service_account" && (c.Account == "" || c.Account == f.Email):
		if key, err = gcs.ServiceAccountKey(text); err != nil {
			return nil, "", err
		}
		return key, "the private key of " + f.Email + ", which is in its file", nil
	case c.Account != "" && c.Account != target:
		who := f.Type
		if who == "" {
			who = "metadata server"
		}
		why = "IAM's signBlob as " + c.Account + " (Account), asked with the credentials at hand (" + who + ")"
	case len(text) == 0:
		email, err := iam.MetadataEmail(ctx, nil, os.Getenv("GCE_METADATA_HOST")) // as the libraries do
		if err != nil {
			return nil, "", err
		}
		caller.Account = email
		why = "IAM's signBlob as " + email + ", which the metadata server says the program runs as"
	case f.Type == "impersonated_service_account" && target != "":
		if len(f.Source) == 0 { // without them the library would look for others
			return nil, "", op.Errorf(signer.ErrCredentials, "source_credentials", "the credentials' file has none")
		}
		source, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{cloudPlatform}, CredentialsJSON: f.Source, Client: c.Client})
		if err != nil {
			return nil, "", op.Errorf(signer.ErrCredentials, "source_credentials", "they cannot be used: %w", err)
		}
		caller.Account, caller.Delegates, caller.Token = target, f.Delegates, token(source)
		why = "IAM's signBlob as " + target + ", which the credentials impersonate, asked with the credentials behind them"
	case f.Type == "external_account" && target != "":
		caller.Account = target
		why = "IAM's signBlob as " + target + ", which the federated credentials impersonate, asked by the account itself"
	default:
		return nil, "", op.Errorf(signer.ErrCredentials, "Account",
			"credentials of the type %s stand for no service account, and only those sign; name one in Account, on which their owner has roles/iam.serviceAccountTokenCreator",
			pipeline.Shown(f.Type))
	}
	if caller.Endpoint == nil {
		domain, err := creds.UniverseDomain(ctx)
		if err != nil {
			return nil, "", op.Errorf(signer.ErrRemote, "", "the universe is not known: %w", err)
		}
		caller.Endpoint = &url.URL{Scheme: "https", Host: "iamcredentials." + domain}
	}
	key, err = iam.New(caller)
	if err != nil {
		return nil, "", err
	}
	return key, why, nil
}

// token is the credentials as iam.Config wants them.
func token(p auth.TokenProvider) func(ctx context.Context) (string, time.Time, error) {
	return func(ctx context.Context) (string, time.Time, error) {
		t, err := p.Token(ctx)
		if err != nil {
			return "", time.Time{}, err
		}
		return t.Value, t.Expiry, nil
	}
}

// impersonated is the account at the end of .../serviceAccounts/EMAIL:generateAccessToken.
func impersonated(u string) string {
	email, _, _ := strings.Cut(u[strings.LastIndexByte(u, '/')+1:], ":")
	return email
}

// SignBytes makes a function for storage.SignedURLOptions.SignBytes and for storage.PostPolicyV4Options.SignRawBytes, where
// GoogleAccessID is the Key's ID. ctx is that of the signatures, because the SDK's function has none. The SDK signs V4 with RSA
// keys only: for an HMAC key the function returns signer.ErrUnsupported.
func SignBytes(ctx context.Context, k gcs.Key) func([]byte) ([]byte, error) {
	return func(text []byte) ([]byte, error) {
		if k.Algorithm() != gcs.RSASHA256 {
			return nil, pipeline.Op{Backend: "gcs", Name: "sign bytes"}.Errorf(signer.ErrUnsupported, "Key",
				"the SDK writes %s into the URL, and this key makes %s; presign with gcs.Signer", gcs.RSASHA256, k.Algorithm())
		}
		s, err := k.Sign(ctx, text)
		return s.Bytes, err
	}
}

func opKey() pipeline.Op { return pipeline.Op{Backend: "gcs", Name: "choose a key"} }
