package googlesdk

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/storage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/signer"
)

const (
	web     = "web@demo.iam.gserviceaccount.com"
	uploads = "uploads@demo.iam.gserviceaccount.com"
	target  = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/" + uploads + ":generateAccessToken"
)

var private = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// serviceAccount is a file with a private key.
func serviceAccount(t *testing.T) string {
	t.Helper()
	key, err := private()
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	text, err := json.Marshal(map[string]string{"type": "service_account", "client_email": web, "private_key_id": "1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	require.NoError(t, err)
	return string(text)
}

// tokens are a TokenProvider.
type tokens string

func (t tokens) Token(context.Context) (*auth.Token, error) {
	if t == "" {
		return nil, errors.New("no login")
	}
	return &auth.Token{Value: string(t), Expiry: time.Now().Add(time.Hour)}, nil
}

func creds(token, file, universe string) *auth.Credentials {
	o := &auth.CredentialsOptions{TokenProvider: tokens(token), JSON: []byte(file)}
	if universe != "" {
		o.UniverseDomainProvider = auth.CredentialsPropertyFunc(func(context.Context) (string, error) { return universe, nil })
	}
	return auth.NewCredentials(o)
}

// google answers as IAM Service Account Credentials, Google's token endpoint and the metadata server do, and notes what it was asked.
type google struct{ asked []string }

func (g *google) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

func (g *google) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := ""
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
	}
	w.Header().Set("Metadata-Flavor", "Google")
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/default/email"):
		io.WriteString(w, web)
	case strings.HasSuffix(r.URL.Path, "/default/token"):
		io.WriteString(w, `{"access_token":"ya29.metadata","expires_in":3599,"token_type":"Bearer"}`)
	case r.URL.Host == "oauth2.googleapis.com":
		form, _ := url.ParseQuery(body)
		io.WriteString(w, `{"access_token":"ya29.of.`+form.Get("refresh_token")+`","expires_in":3599,"token_type":"Bearer"}`)
	case strings.HasSuffix(r.URL.Path, ":signBlob"):
		var b struct {
			Delegates []string
			Payload   []byte
		}
		json.Unmarshal([]byte(body), &b)
		path, host := strings.TrimPrefix(r.URL.Path, "/v1/projects/-/serviceAccounts/"), r.URL.Host
		g.asked = append(g.asked, strings.Join(append([]string{host, path, r.Header.Get("Authorization")}, b.Delegates...), " "))
		io.WriteString(w, `{"keyId":"1","signedBlob":"`+base64.StdEncoding.EncodeToString(b.Payload)+`"}`)
	default:
		http.NotFound(w, r)
	}
}

// Each kind of credentials gets the key that can sign, and the service is asked with the right token.
func TestKey(t *testing.T) {
	const person = `{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"me"}`
	for name, tt := range map[string]struct {
		creds *auth.Credentials
		c     Config
		id    string
		asked string // "" for a key that signs here
		why   string
	}{
		"service account": {creds("x", serviceAccount(t), ""), Config{}, web, "", "private key of " + web},
		"itself by name":  {creds("x", serviceAccount(t), ""), Config{Account: web}, web, "", "private key of " + web},
		"another by name": {creds("ya29.x", serviceAccount(t), ""), Config{Account: uploads}, uploads,
			"iamcredentials.googleapis.com " + uploads + ":signBlob Bearer ya29.x", "as " + uploads + " (Account), asked with the credentials at hand (service_account)"},
		"a person": {creds("ya29.me", person, ""), Config{Account: uploads}, uploads,
			"iamcredentials.googleapis.com " + uploads + ":signBlob Bearer ya29.me", "(authorized_user)"},
		"impersonated": {creds("ya29.target", `{"type":"impersonated_service_account","service_account_impersonation_url":"`+target+`","delegates":["`+web+`"],"source_credentials":`+person+`}`, ""),
			Config{}, uploads, "iamcredentials.googleapis.com " + uploads + ":signBlob Bearer ya29.of.me projects/-/serviceAccounts/" + web, "asked with the credentials behind them"},
		"impersonated, by name": {creds("ya29.target", `{"type":"impersonated_service_account","service_account_impersonation_url":"`+target+`","source_credentials":`+person+`}`, ""),
			Config{Account: uploads}, uploads, "iamcredentials.googleapis.com " + uploads + ":signBlob Bearer ya29.of.me", "asked with the credentials behind them"},
		"federated": {creds("ya29.target", `{"type":"external_account","service_account_impersonation_url":"`+target+`"}`, ""),
			Config{}, uploads, "iamcredentials.googleapis.com " + uploads + ":signBlob Bearer ya29.target", "asked by the account itself"},
		"federated alone": {creds("ya29.fed", `{"type":"external_account"}`, ""),
			Config{Account: uploads}, uploads, "iamcredentials.googleapis.com " + uploads + ":signBlob Bearer ya29.fed", "(external_account)"},
		"another universe": {creds("ya29.x", `{"type":"external_account"}`, "example.goog"),
			Config{Account: "a@b.example.goog"}, "a@b.example.goog", "iamcredentials.example.goog a@b.example.goog:signBlob Bearer ya29.x", ""},
		"an endpoint": {creds("ya29.x", "", "example.goog"), Config{Account: uploads, Endpoint: &url.URL{Scheme: "https", Host: "iam.example.com"}}, uploads,
			"iam.example.com " + uploads + ":signBlob Bearer ya29.x", "(metadata server)"},
	} {
		t.Run(name, func(t *testing.T) {
			g := new(google)
			tt.c.Client = &http.Client{Transport: g}
			key, why, err := Key(t.Context(), tt.creds, tt.c)
			require.NoError(t, err)
			assert.Equal(t, tt.id, key.ID())
			assert.Contains(t, why, tt.why)
			s, err := key.Sign(t.Context(), []byte("text"))
			require.NoError(t, err)
			if tt.asked == "" {
				assert.Empty(t, g.asked)
				assert.Len(t, s.Bytes, 256)
				return
			}
			assert.Equal(t, []string{tt.asked}, g.asked)
			assert.Equal(t, "text", string(s.Bytes))
		})
	}
}

func TestKeyRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		creds *auth.Credentials
		c     Config
		want  error
		say   string
	}{
		"none":              {nil, Config{}, signer.ErrCredentials, "no credentials"},
		"a person":          {creds("x", `{"type":"authorized_user","refresh_token":"planted"}`, ""), Config{}, signer.ErrCredentials, "Account: "},
		"federated alone":   {creds("x", `{"type":"external_account"}`, ""), Config{}, signer.ErrCredentials, `"external_account" stand for no service account`},
		"on premises":       {creds("x", `{"type":"gdch_service_account","private_key":"planted"}`, ""), Config{}, signer.ErrCredentials, "gdch_service_account"},
		"no JSON":           {creds("x", `planted`, ""), Config{}, signer.ErrCredentials, "not JSON"},
		"a damaged key":     {creds("x", `{"type":"service_account","client_email":"a@b","private_key":"planted"}`, ""), Config{}, signer.ErrCredentials, "private_key"},
		"no source":         {creds("x", `{"type":"impersonated_service_account","service_account_impersonation_url":"`+target+`"}`, ""), Config{}, signer.ErrCredentials, "source_credentials"},
		"no account in URL": {creds("x", `{"type":"external_account","service_account_impersonation_url":"https://x/y:z"}`, ""), Config{}, signer.ErrCredentials, "Account"},
		"bad account":       {creds("x", `{"type":"authorized_user"}`, ""), Config{Account: "me"}, signer.ErrCredentials, "Account"},
		"plain http":        {creds("x", `{"type":"authorized_user"}`, ""), Config{Account: web, Endpoint: &url.URL{Scheme: "http", Host: "iam.example.com"}}, signer.ErrRequest, "Endpoint"},
	} {
		key, why, err := Key(t.Context(), tt.creds, tt.c)
		assert.Nil(t, key, name)
		assert.Empty(t, why, name)
		require.ErrorIs(t, err, tt.want, name)
		assert.Contains(t, err.Error(), tt.say, name)
		assert.NotContains(t, err.Error(), "planted", name)
	}
	key, _, err := Key(t.Context(), creds("", `{"type":"authorized_user"}`, ""), Config{Account: web})
	require.NoError(t, err)
	_, err = key.Sign(t.Context(), []byte("text"))
	assert.ErrorIs(t, err, signer.ErrRemote)
	assert.ErrorContains(t, err, "no login")
}

// Default finds a file where the libraries do, and otherwise the metadata server.
func TestDefault(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("APPDATA", dir)
	path := filepath.Join(dir, "key.json")
	require.NoError(t, os.WriteFile(path, []byte(serviceAccount(t)), 0o600))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
	key, why, err := Default(t.Context(), Config{})
	require.NoError(t, err)
	assert.Equal(t, web, key.ID())
	assert.Contains(t, why, "private key")

	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(dir, "none.json"))
	_, _, err = Default(t.Context(), Config{})
	assert.ErrorIs(t, err, signer.ErrCredentials)

	g := new(google)
	server := httptest.NewServer(g)
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("GCE_METADATA_HOST", host)
	key, why, err = Default(t.Context(), Config{Endpoint: &url.URL{Scheme: "http", Host: host}})
	require.NoError(t, err)
	assert.Equal(t, web, key.ID())
	assert.Contains(t, why, "metadata server")
	s, err := key.Sign(t.Context(), []byte("text"))
	require.NoError(t, err)
	assert.Equal(t, "text", string(s.Bytes))
	assert.Equal(t, []string{" " + web + ":signBlob Bearer ya29.metadata"}, g.asked)

	server.Close()
	_, _, err = Key(t.Context(), creds("x", "", ""), Config{})
	assert.ErrorIs(t, err, signer.ErrRemote)
}

// The storage client makes with our key what our signer makes at the same instant.
func TestSignBytes(t *testing.T) {
	text := serviceAccount(t)
	synctest.Test(t, func(t *testing.T) {
		key, err := gcs.ServiceAccountKey([]byte(text))
		require.NoError(t, err)
		theirs, err := storage.SignedURL("photos", "a b/ü.jpg", &storage.SignedURLOptions{Scheme: storage.SigningSchemeV4, Method: "GET",
			Expires: time.Now().Add(time.Hour), GoogleAccessID: key.ID(), SignBytes: SignBytes(t.Context(), key)})
		require.NoError(t, err)
		s, err := gcs.New(gcs.Config{Bucket: "photos", Key: key})
		require.NoError(t, err)
		ours, err := s.Presign(t.Context(), signer.Request{Key: "a b/ü.jpg", Expires: time.Hour})
		require.NoError(t, err)
		u1, err := url.Parse(theirs)
		require.NoError(t, err)
		u2, err := url.Parse(ours.URL)
		require.NoError(t, err)
		assert.Equal(t, u1.Query(), u2.Query())

		form, err := storage.GenerateSignedPostPolicyV4("photos", "cat.jpg", &storage.PostPolicyV4Options{GoogleAccessID: key.ID(),
			SignRawBytes: SignBytes(t.Context(), key), Expires: time.Now().Add(time.Hour)})
		require.NoError(t, err)
		public, err := private()
		require.NoError(t, err)
		sum, err := key.Sign(t.Context(), []byte(form.Fields["policy"]))
		require.NoError(t, err)
		assert.Equal(t, 2*public.Size(), len(form.Fields["x-goog-signature"]))
		assert.Equal(t, hex.EncodeToString(sum.Bytes), form.Fields["x-goog-signature"])
	})
}

func TestSignBytesRefuses(t *testing.T) {
	hmac, err := gcs.HMACKey("GOOG1EXAMPLE", signer.NewSecret([]byte("planted secret")))
	require.NoError(t, err)
	_, err = SignBytes(t.Context(), hmac)([]byte("text"))
	assert.ErrorIs(t, err, signer.ErrUnsupported)

	rsaKey, err := gcs.ServiceAccountKey([]byte(serviceAccount(t)))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = SignBytes(ctx, rsaKey)([]byte("text"))
	assert.ErrorIs(t, err, context.Canceled)
}
