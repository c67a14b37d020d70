package e2e

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	googlecredentials "cloud.google.com/go/auth/credentials"
	kms "cloud.google.com/go/kms/apiv1"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	ossv2credentials "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
	ossv1 "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/azure/azuresdk"
	"github.com/cloudsigner/cloudsigner/azure/udk"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/gcs/googlesdk"
	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/oss/aliyunsdk"
	"github.com/cloudsigner/cloudsigner/oss/ramrole"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/s3/awscreds"
	"github.com/cloudsigner/cloudsigner/s3/awssdk"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is the adapters, with the newest of each SDK: its credentials in our signers, and our signers in its clients.

// awsEnvironment sets the environment that the SDK's default chain sees, and nothing else of this machine's.
func awsEnvironment(t *testing.T, set map[string]string) {
	t.Helper()
	for _, name := range os.Environ() {
		if name, _, _ := strings.Cut(name, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	dir := t.TempDir()
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "credentials"))
	t.Setenv("AWS_REGION", region)
	for name, value := range set {
		t.Setenv(name, value)
	}
}

// roundTrip uploads and downloads with URLs of ours.
func roundTrip(t *testing.T, s signer.Signer, client *http.Client, key string, body []byte) {
	t.Helper()
	for _, method := range []string{http.MethodPut, http.MethodGet} {
		p := must(s.Presign(t.Context(), signer.Request{Method: method, Key: key, Expires: time.Minute}))(t)
		var up io.Reader
		if method == http.MethodPut {
			up = bytes.NewReader(body)
		}
		resp := must(client.Do(must(p.NewRequest(t.Context(), up))(t)))(t)
		got := must(io.ReadAll(resp.Body))(t)
		resp.Body.Close()
		if resp.StatusCode/100 != 2 || method == http.MethodGet && !bytes.Equal(got, body) {
			t.Errorf("%s %s: %s %q", method, key, resp.Status, got)
		}
	}
}

// TestAWSConfig signs with what the SDK's default chain finds in the environment.
func TestAWSConfig(t *testing.T) {
	eachServer(t, append(servers[:len(servers):len(servers)], storefakeServer), func(t *testing.T, s *server) {
		awsEnvironment(t, map[string]string{"AWS_ACCESS_KEY_ID": s.creds.AccessKeyID, "AWS_SECRET_ACCESS_KEY": string(s.creds.SecretKey.Reveal()),
			"AWS_ENDPOINT_URL_S3": s.endpoint.String()})
		cfg := must(awsconfig.LoadDefaultConfig(t.Context()))(t)
		c := must(awssdk.Config(cfg))(t)
		c.Bucket = bucket
		if s.addressing == signer.AddressingPath {
			c.Addressing = signer.AddressingPath
		}
		roundTrip(t, must(s3.New(c))(t), s.client, "adapters/config", content)

		client := awss3.NewFromConfig(cfg, func(o *awss3.Options) { o.UsePathStyle = s.addressing == signer.AddressingPath })
		c = must(awssdk.ClientConfig(client))(t)
		c.Bucket = bucket
		roundTrip(t, must(s3.New(c))(t), s.client, "adapters/client", content)
	})
}

// TestAWSSigner has the SDK's clients sign with our signer, on a machine whose clock is an hour ahead: with that clock they are
// refused, and with one that has learned they are not.
func TestAWSSigner(t *testing.T) {
	eachServer(t, append(servers[:len(servers):len(servers)], storefakeServer), func(t *testing.T, s *server) {
		ahead := clock.Func(func() time.Time { return time.Now().Add(time.Hour) })
		ctx := t.Context()
		with := func(c clock.Clock) func(*awss3.Options) {
			return func(o *awss3.Options) {
				o.HTTPSignerV4 = awssdk.NewSigner(c)
				o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported
			}
		}
		if _, err := s.aws(with(ahead)).ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: aws.String(bucket)}); err == nil {
			t.Error("the clock that is an hour ahead is not the one that signs")
		}

		source := clock.NewSource(ahead, clock.Options{PlainHTTP: true})
		must(source.Sync(ctx, s.client, s.url("").String()))(t) // what the bucket's host says, the other hosts need not
		client := s.aws(with(source))
		for _, key := range []string{"adapters/k", "adapters/a b/ü+~*'()!.txt", "adapters/日本/🦊"} {
			must(client.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: bytes.NewReader(content),
				ContentType: aws.String("text/plain"), Metadata: map[string]string{"color": "green"}}))(t)
			got := must(client.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)}))(t)
			if text := must(io.ReadAll(got.Body))(t); !bytes.Equal(text, content) || got.Metadata["color"] != "green" {
				t.Errorf("%q: got %q, %v", key, text, got.Metadata)
			}
			presign := awss3.NewPresignClient(client, func(o *awss3.PresignOptions) { o.Presigner = awssdk.NewSigner(source) })
			p := must(presign.PresignGetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)}, awss3.WithPresignExpires(time.Minute)))(t)
			if a := s.send(t, call{method: p.Method, url: p.URL}.request(t)); a.String() != "200" || !bytes.Equal(a.body, content) {
				t.Errorf("%q presigned: %s %q", key, a, a.body)
			}
			put := must(presign.PresignPutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), ContentType: aws.String("text/x-later"),
				ContentLength: aws.Int64(5)}, awss3.WithPresignExpires(time.Minute)))(t)
			header := put.SignedHeader.Clone()
			for _, name := range []string{"Host", "Content-Length"} {
				header.Del(name)
			}
			if a := s.send(t, call{method: put.Method, url: put.URL, header: header, body: []byte("later")}.request(t)); a.String() != "200" {
				t.Errorf("%q presigned PUT: %s %q", key, a, a.body)
			}
			must(client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)}))(t)
		}
	})
}

// TestAWSSignerLearns is the package comment's client, on a machine whose clock is an hour ahead: it learns from its own refusals.
func TestAWSSignerLearns(t *testing.T) {
	s := must(versitygw())(t)
	source := clock.NewSource(clock.Func(func() time.Time { return time.Now().Add(time.Hour) }), clock.Options{})
	client := s.aws(func(o *awss3.Options) {
		o.HTTPSignerV4 = awssdk.NewSigner(source)
		o.HTTPClient = &http.Client{Transport: source.Transport(s.client.Transport)}
	})
	refused := 0
	for ; refused < 5; refused++ {
		_, err := client.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket)})
		if err == nil {
			break
		}
		if !strings.Contains(err.Error(), "RequestTimeTooSkewed") {
			t.Fatal(err)
		}
	}
	if refused == 0 || refused == 5 {
		t.Errorf("%d requests were refused", refused)
	}
	t.Log(refused, "requests were refused")
}

// TestAWSSignerTrailer is the SDK's default upload over https: chunks without signatures, and a checksum behind them.
func TestAWSSignerTrailer(t *testing.T) {
	for _, token := range []string{"", "a/session+token=="} {
		d := newDoorman(t, "https", signer.AddressingPath, token)
		client := d.aws(func(o *awss3.Options) {
			o.HTTPSignerV4 = awssdk.NewSigner(nil)
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported
		})
		_, err := client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: bytes.NewReader(content)})
		if d.err != nil || !bytes.Equal(d.body, content) || err != nil && !strings.Contains(err.Error(), "ETag") {
			t.Errorf("%v, %v; got %q", d.err, err, d.body)
		}
		if payload := d.request.Header.Get("X-Amz-Content-Sha256"); payload != "STREAMING-UNSIGNED-PAYLOAD-TRAILER" {
			t.Errorf("the SDK sent %s", payload)
		}
	}
}

// awsHost stands for what AWS runs next to programs: the instance metadata service, the endpoint of containers, and STS.
func awsHost(creds s3.Credentials) http.Handler {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter) {
		json.NewEncoder(w).Encode(map[string]any{"Code": "Success", "AccessKeyId": creds.AccessKeyID, "SecretAccessKey": string(creds.SecretKey.Reveal()),
			"Token": string(creds.SessionToken.Reveal()), "Expiration": creds.Expires})
	}
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds"))
		io.WriteString(w, "AQAEA==")
	})
	mux.HandleFunc("GET /latest/meta-data/iam/security-credentials/{role...}", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "AQAEA==":
			http.Error(w, "", http.StatusUnauthorized)
		case r.PathValue("role") == "":
			io.WriteString(w, "photos")
		default:
			answer(w)
		}
	})
	mux.HandleFunc("GET /v1/credentials", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "the-token" {
			http.Error(w, "", http.StatusUnauthorized)
			return
		}
		answer(w)
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("Action") != "AssumeRoleWithWebIdentity" || r.FormValue("WebIdentityToken") != "the-token" || r.FormValue("RoleArn") == "" ||
			r.FormValue("RoleSessionName") == "" || r.FormValue("Version") != "2011-06-15" {
			http.Error(w, "", http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>`+
			`<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration>`+
			`</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
			creds.AccessKeyID, creds.SecretKey.Reveal(), creds.SessionToken.Reveal(), creds.Expires.UTC().Format(time.RFC3339))
	})
	return mux
}

// TestAWSCredentials asks the same stand-ins with the SDK and with awscreds, and signs with what they give.
func TestAWSCredentials(t *testing.T) {
	store := must(storefake.Start(storefake.Config{Bucket: bucket, Region: region, Temporary: time.Hour}))(t)
	defer store.Close()
	host := httptest.NewServer(awsHost(store.Credentials))
	defer host.Close()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("the-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	const role = "arn:aws:iam::123456789012:role/photos"
	for name, env := range map[string]map[string]string{
		"instance":     {"AWS_EC2_METADATA_SERVICE_ENDPOINT": host.URL},
		"container":    {"AWS_CONTAINER_CREDENTIALS_FULL_URI": host.URL + "/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": file},
		"web identity": {"AWS_WEB_IDENTITY_TOKEN_FILE": file, "AWS_ROLE_ARN": role, "AWS_ENDPOINT_URL_STS": host.URL},
	} {
		t.Run(name, func(t *testing.T) {
			awsEnvironment(t, env)
			sdk := must(awssdk.Config(must(awsconfig.LoadDefaultConfig(t.Context()))(t)))(t)
			var light s3.CredentialSource
			if name == "web identity" { // which goes to AWS's own STS unless it is told otherwise
				light = must(awscreds.WebIdentity(awscreds.WebIdentityConfig{RoleARN: role, Token: awscreds.TokenFile(file), Endpoint: must(url.Parse(host.URL))(t)}))(t)
			} else {
				light = must(awscreds.FromEnvironment(os.Getenv, awscreds.Options{}))(t)
			}
			for what, source := range map[string]s3.CredentialSource{"SDK": sdk.Credentials, "light": light} {
				s := must(s3.New(s3.Config{Region: region, Bucket: bucket, Endpoint: store.Endpoint(), Credentials: source}))(t)
				roundTrip(t, s, goClient(), "adapters/"+what, content)
				p, err := s.Presign(t.Context(), signer.Request{Key: "k", Expires: 2 * time.Hour, AllowShorter: true})
				if err != nil || p.LimitedBy != signer.LimitCredentials || p.ExpiresAt.After(store.Credentials.Expires) {
					t.Errorf("%s: %v, %v", what, p, err)
				}
			}
		})
	}
}

// TestAzblobPolicy has azblob's clients sign with our signer, by a clock that has learned.
func TestAzblobPolicy(t *testing.T) {
	ahead := clock.Func(func() time.Time { return time.Now().Add(time.Hour) })
	use := func(t *testing.T, account string, key azure.Key, endpoint *url.URL, client *http.Client, refused bool) {
		ctx := t.Context()
		open := func(c clock.Clock) *container.Client {
			s := must(azure.New(azure.Config{Account: account, Keys: key, Endpoint: endpoint, Clock: c}))(t)
			return must(container.NewClientWithNoCredential(endpoint.String()+"/"+account+"/"+azuriteContainer, &container.ClientOptions{ClientOptions: policy.ClientOptions{
				Transport: client, Retry: policy.RetryOptions{MaxRetries: -1}, PerRetryPolicies: []policy.Policy{azuresdk.Policy(s)}}}))(t)
		}
		source := clock.NewSource(ahead, clock.Options{})
		must(source.Sync(ctx, client, endpoint.String()))(t)
		c := open(source)
		for _, key := range []string{"adapters/k", "a b/ü+~*'()!.txt", "日本/🦊"} {
			b := c.NewBlockBlobClient(key)
			must(b.Upload(ctx, streaming.NopCloser(bytes.NewReader(content)), &blockblob.UploadOptions{Metadata: map[string]*string{"color": ptr("green")}}))(t)
			got := must(b.DownloadStream(ctx, nil))(t)
			if text := must(io.ReadAll(got.Body))(t); !bytes.Equal(text, content) {
				t.Errorf("%q: got %q", key, text)
			}
			must(b.Delete(ctx, nil))(t)
		}
		must(c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: ptr("a b&c")}).NextPage(ctx))(t)
		if _, err := open(ahead).NewBlobClient("k").GetProperties(ctx, nil); err == nil || strings.Contains(err.Error(), "403") != refused {
			t.Errorf("by a clock that is an hour ahead: %v", err)
		}
	}
	t.Run("Azurite", func(t *testing.T) {
		a := plainAzurite(t)
		use(t, azuriteAccount, must(azure.SharedKey(azuriteAccount, azuriteKey))(t), a.endpoint, a.client, false) // Azurite takes any date
	})
	t.Run("storefake", func(t *testing.T) {
		store := must(storefake.Start(storefake.Config{Bucket: azuriteContainer}))(t)
		defer store.Close()
		use(t, store.AzureAccount, store.AzureKey, store.Endpoint(), clientFor(store.Endpoint().Host), true)
	})
}

// TestAzureIdentity asks Azurite for a user delegation key with tokens of azidentity and of our managed identity, both from one
// stand-in of App Service, and signs with it.
func TestAzureIdentity(t *testing.T) {
	a := tlsAzurite(t)
	var asked []string
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Identity-Header")+" "+r.URL.Query().Get("api-version")+" "+
			r.URL.Query().Get("client_id")+" "+strings.TrimSuffix(r.URL.Query().Get("resource"), "/"))
		json.NewEncoder(w).Encode(map[string]string{"access_token": azuriteToken(), "expires_on": fmt.Sprint(time.Now().Add(time.Hour).Unix()), "token_type": "Bearer",
			"resource": "https://storage.azure.com/", "client_id": "c-1"})
	}))
	defer host.Close()
	t.Setenv("IDENTITY_ENDPOINT", host.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "the-header")
	t.Setenv("AZURE_CLIENT_ID", "c-1")
	credential := must(azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ID: azidentity.ClientID("c-1")}))(t)
	light := must(udk.ManagedIdentityToken(must(udk.ManagedIdentityFromEnvironment(os.Getenv))(t)))(t)
	for name, token := range map[string]func(context.Context) (string, time.Time, error){"azidentity": azuresdk.Token(credential), "light": light} {
		asked = nil
		keys := must(udk.New(udk.Config{Account: azuriteAccount, Token: token, Endpoint: a.endpoint, Client: a.client, Life: time.Hour}))(t)
		s := must(azure.New(azure.Config{Account: azuriteAccount, Container: azuriteContainer, Keys: keys, Endpoint: a.endpoint}))(t)
		roundTrip(t, s, a.client, "adapters/"+name, content)
		if want := "GET /msi/token the-header 2019-08-01 c-1 https://storage.azure.com"; len(asked) != 1 || asked[0] != want {
			t.Errorf("%s asked %q, want %q", name, asked, want)
		}
	}
}

// ossKeys are credentials of the SDK's, and their provider.
type ossKeys struct{ oss.Credentials }

func (k ossKeys) GetCredentials() ossv1.Credentials { return k }
func (k ossKeys) GetAccessKeyID() string            { return k.AccessKeyID }
func (k ossKeys) GetAccessKeySecret() string        { return string(k.AccessKeySecret.Reveal()) }
func (k ossKeys) GetSecurityToken() string          { return string(k.SecurityToken.Reveal()) }
func (k ossKeys) Expires() time.Time                { return k.Credentials.Expires }

// sourceV2 stands in the comment of package aliyunsdk.
type sourceV2 struct {
	ossv2credentials.CredentialsProvider
}

func (s sourceV2) Credentials(ctx context.Context, until time.Time) (oss.Credentials, error) {
	c, err := s.GetCredentials(ctx)
	if err != nil {
		return oss.Credentials{}, err
	}
	made := oss.Credentials{
		AccessKeyID:     c.AccessKeyID,
		AccessKeySecret: signer.NewSecret([]byte(c.AccessKeySecret)),
		SecurityToken:   signer.NewSecret([]byte(c.SecurityToken)),
	}
	if c.Expires != nil {
		made.Expires = *c.Expires
	}
	return made, nil
}

// TestOSSAdapters signs with the provider of an SDK's client that works, and with the role of an instance.
func TestOSSAdapters(t *testing.T) {
	home := startOSS(t, time.Hour)
	keys := ossKeys{home.creds}
	client := must(ossv1.New(home.URL, "", "", ossv1.SetCredentialsProvider(keys), ossv1.AuthVersion(ossv1.AuthV4), ossv1.Region(home.Region)))(t)
	if err := must(client.Bucket(bucket))(t).PutObject("adapters/theirs", bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "AAAA==") })
	mux.HandleFunc("GET /latest/meta-data/ram/security-credentials/photos", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Aliyun-Ecs-Metadata-Token") != "AAAA==" {
			http.Error(w, "", http.StatusForbidden)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"Code": "Success", "AccessKeyId": keys.GetAccessKeyID(), "AccessKeySecret": keys.GetAccessKeySecret(),
			"SecurityToken": keys.GetSecurityToken(), "Expiration": home.creds.Expires})
	})
	host := httptest.NewServer(mux)
	defer host.Close()
	for name, source := range map[string]oss.CredentialSource{
		"SDK": aliyunsdk.Credentials(client.Config.CredentialsProvider),
		"v2": sourceV2{ossv2credentials.CredentialsProviderFunc(func(context.Context) (ossv2credentials.Credentials, error) {
			return ossv2credentials.Credentials{AccessKeyID: keys.GetAccessKeyID(), AccessKeySecret: keys.GetAccessKeySecret(),
				SecurityToken: keys.GetSecurityToken(), Expires: &home.creds.Expires}, nil
		})},
		"role": must(ramrole.New(ramrole.Config{Role: "photos", Endpoint: must(url.Parse(host.URL))(t)}))(t),
	} {
		s := must(oss.New(oss.Config{Region: home.Region, Bucket: bucket, Endpoint: home.Endpoint(), Credentials: source}))(t)
		roundTrip(t, s, goClient(), "adapters/"+name, content)
		p, err := s.Presign(t.Context(), signer.Request{Key: "k", Expires: 2 * time.Hour, AllowShorter: true})
		if err != nil || p.LimitedBy != signer.LimitCredentials {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
}

// TestGoogleAdapters signs with the key of the application default credentials, in our signer and in the SDK's client.
func TestGoogleAdapters(t *testing.T) {
	home := must(gcsStore())(t)
	file := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(file, home.file, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	key, why, err := googlesdk.Default(t.Context(), googlesdk.Config{})
	if err != nil || !strings.Contains(why, home.Email) {
		t.Fatalf("%q, %v", why, err)
	}
	roundTrip(t, must(gcs.New(gcs.Config{Bucket: bucket, Key: key, Endpoint: home.Endpoint()}))(t), goClient(), "adapters/default", content)

	creds := must(googlecredentials.DetectDefault(&googlecredentials.DetectOptions{Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"}}))(t)
	if _, _, err := googlesdk.Key(t.Context(), creds, googlesdk.Config{}); err != nil {
		t.Error(err)
	}
	client := must(storage.NewClient(t.Context(), option.WithoutAuthentication()))(t)
	defer client.Close()
	u := must(client.Bucket(bucket).SignedURL("adapters/default", &storage.SignedURLOptions{Scheme: storage.SigningSchemeV4, Method: http.MethodGet,
		Expires: time.Now().Add(time.Minute), GoogleAccessID: key.ID(), SignBytes: googlesdk.SignBytes(t.Context(), key), Hostname: home.Endpoint().Host, Insecure: true}))(t)
	if a := sendGo(t, call{method: http.MethodGet, url: u}); a.String() != "200" || !bytes.Equal(a.body, content) {
		t.Errorf("%s %q", a, a.body)
	}
}

// A kmsService is Cloud KMS with one key.
type kmsService struct {
	kmspb.UnimplementedKeyManagementServiceServer
	name string
	key  *rsa.PrivateKey
}

func (s *kmsService) GetPublicKey(_ context.Context, r *kmspb.GetPublicKeyRequest) (*kmspb.PublicKey, error) {
	if r.Name != s.name {
		return nil, errors.New("no such key")
	}
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	return &kmspb.PublicKey{Pem: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), Algorithm: kmspb.CryptoKeyVersion_RSA_SIGN_PKCS1_2048_SHA256}, err
}

func (s *kmsService) AsymmetricSign(_ context.Context, r *kmspb.AsymmetricSignRequest) (*kmspb.AsymmetricSignResponse, error) {
	if r.Name != s.name || len(r.GetDigest().GetSha256()) != sha256.Size {
		return nil, errors.New("no such key, or no digest")
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, r.Digest.GetSha256())
	return &kmspb.AsymmetricSignResponse{Signature: signature}, err
}

// kmsKey stands in the comment of package googlesdk.
type kmsKey struct {
	client *kms.KeyManagementClient
	name   string
	public crypto.PublicKey
}

func (k kmsKey) Public() crypto.PublicKey { return k.public }

func (k kmsKey) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := k.client.AsymmetricSign(ctx, &kmspb.AsymmetricSignRequest{Name: k.name,
		Digest: &kmspb.Digest{Digest: &kmspb.Digest_Sha256{Sha256: digest}}})
	return r.GetSignature(), err
}

// TestCloudKMS signs with a key that the SDK's client finds in Cloud KMS, here a stand-in with the key of the store's account.
func TestCloudKMS(t *testing.T) {
	home, ctx := must(gcsStore())(t), t.Context()
	const name = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
	listener := must(net.Listen("tcp4", "127.0.0.1:0"))(t)
	server := grpc.NewServer()
	kmspb.RegisterKeyManagementServiceServer(server, &kmsService{name: name, key: home.private(t)})
	go server.Serve(listener)
	defer server.Stop()

	client := must(kms.NewKeyManagementClient(ctx, option.WithEndpoint(listener.Addr().String()), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials()))))(t)
	defer client.Close()
	p := must(client.GetPublicKey(ctx, &kmspb.GetPublicKeyRequest{Name: name}))(t)
	block, _ := pem.Decode([]byte(p.Pem))
	public := must(x509.ParsePKIXPublicKey(block.Bytes))(t)
	key := must(gcs.RSAKey(home.Email, kmsKey{client, name, public}))(t)
	roundTrip(t, must(gcs.New(gcs.Config{Bucket: bucket, Key: key, Endpoint: home.Endpoint()}))(t), goClient(), "adapters/kms", content)

	gone := must(gcs.RSAKey(home.Email, kmsKey{client, "another", public}))(t)
	if _, err := must(gcs.New(gcs.Config{Bucket: bucket, Key: gone}))(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Minute}); !errors.Is(err, signer.ErrRemote) {
		t.Errorf("a key that is not there: %v", err)
	}
}
