package gcs

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/rest"
	"github.com/cloudsigner/cloudsigner/signer"
)

// PublicKeysConfig says where PublicKeys fetches from. The zero one is Google, through http.DefaultClient.
type PublicKeysConfig struct {
	// Client sends the requests; nil means http.DefaultClient. Redirects are not followed, whatever it says.
	Client *http.Client

	// Endpoint is what stands before an account's address; nil means
	// https://www.googleapis.com/service_accounts/v1/metadata/jwk/. What .../x509/ answers is read too. http is for loopback only.
	Endpoint *url.URL

	// Clock says when keys are fetched again; nil means clock.System(). A clock.Learned is refused.
	Clock clock.Clock
}

// How long keys are used. Google asks those who keep them to look again every 15 minutes, and publishes the keys that it made itself
// six hours before and after it signs with them.
//
// https://docs.cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts.keys
const (
	leastFresh = time.Minute
	mostFresh  = 15 * time.Minute
	missFresh  = time.Minute     // an account that does not exist
	mostStale  = time.Hour       // longer than fresh, while the service does not answer
	retryKeys  = 5 * time.Second // after the service did not answer
	mostKeyed  = 256             // accounts
)

// PublicKeys makes a function for VerifierConfig.Keys that fetches the public keys of a service account from where Google
// publishes them: those of its own key pairs, with which signBlob signs, and those of keys in files.
//
// Keys are kept for as long as the answer's Cache-Control says, but 1 to 15 minutes: so long a new key of a file is
// unknown and a deleted one good. While the service does not answer they are good for an hour more. That an account does
// not exist is remembered for a minute; it is ErrUnknownKey. Callers who ask at the same time share one request, which is
// tried four times. Other failures are ErrRemote, or ctx's.
//
// https://docs.cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signBlob
func PublicKeys(c PublicKeysConfig) (func(ctx context.Context, account string) ([]crypto.PublicKey, error), error) {
	op := pipeline.Op{Backend: "gcs", Name: "public keys"}
	endpoint := c.Endpoint
	if endpoint == nil {
		endpoint = &url.URL{Scheme: "https", Host: "www.googleapis.com", Path: "/service_accounts/v1/metadata/jwk"}
	}
	clk, errClock := pipeline.VerifierClock(op, c.Clock)
	if err := errors.Join(rest.CheckEndpoint(op, endpoint), errClock); err != nil {
		return nil, err
	}
	scheme, host, base := pipeline.Locate(endpoint)
	f := &keyFetcher{
		op:     op,
		url:    scheme + "://" + host + base + "/",
		client: rest.NewClient(c.Client, 10*time.Second),
		now:    clk.Now,
		cache:  rest.NewCache[string, []crypto.PublicKey](clk.Now, mostKeyed, retryKeys),
	}
	return f.keys, nil
}

type keyFetcher struct {
	op     pipeline.Op
	url    string
	client *rest.Client
	now    func() time.Time
	cache  *rest.Cache[string, []crypto.PublicKey]
}

func (f *keyFetcher) keys(ctx context.Context, account string) ([]crypto.PublicKey, error) {
	if problem := checkEmail(account); problem != "" {
		return nil, f.op.Errorf(signer.ErrUnknownKey, "", "%s", problem)
	}
	return f.cache.Get(ctx, account, func(ctx context.Context) (rest.Entry[[]crypto.PublicKey], error) {
		return f.fetch(ctx, account)
	})
}

func (f *keyFetcher) fetch(ctx context.Context, account string) (e rest.Entry[[]crypto.PublicKey], err error) {
	answer, err := f.client.Do(ctx, rest.Request{Method: http.MethodGet, URL: f.url + url.PathEscape(account)})
	now := f.now()
	switch {
	case err != nil && ctx.Err() != nil:
		return e, ctx.Err()
	case err != nil:
		return e, f.op.Errorf(signer.ErrRemote, "", "they cannot be fetched: %w", err)
	case answer.Status == http.StatusNotFound:
		e.Err = f.op.Errorf(signer.ErrUnknownKey, "", "there is no such service account (404)")
		e.Fresh = now.Add(missFresh)
		return e, nil
	case answer.Status != http.StatusOK:
		return e, f.op.Errorf(signer.ErrRemote, "", "they cannot be fetched: the answer is %d", answer.Status)
	}
	if e.Value, err = parsePublicKeys(answer.Body); err != nil {
		return e, f.op.Errorf(signer.ErrRemote, "", "they cannot be read: %w", err)
	}
	if len(e.Value) == 0 {
		e.Err = f.op.Errorf(signer.ErrUnknownKey, "", "the service account has no RSA key")
	}
	e.Fresh = now.Add(freshFor(answer.Header))
	e.Usable = e.Fresh.Add(mostStale)
	return e, nil
}

// freshFor reads how long an answer may be kept (RFC 9111, 5.2.2.1), within our bounds.
func freshFor(h http.Header) time.Duration {
	fresh := mostFresh
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return leastFresh
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				fresh = min(fresh, time.Duration(seconds)*time.Second)
			}
		}
	}
	if age, err := strconv.ParseUint(h.Get("Age"), 10, 31); err == nil { // a cache on the way had it so long
		fresh -= time.Duration(age) * time.Second
	}
	return max(fresh, leastFresh)
}

// parsePublicKeys reads a set of JWKs (RFC 7517), or an object of certificates in PEM, each by its key's id. What is no RSA key
// is left out: it verifies nothing here.
func parsePublicKeys(body []byte) (keys []crypto.PublicKey, err error) {
	var set map[string]json.RawMessage
	if err := json.Unmarshal(body, &set); err != nil || set == nil {
		return nil, errors.New("they are no JSON object; is this the right endpoint?")
	}
	if jwks, ok := set["keys"]; ok {
		var list []struct{ Kty, N, E string }
		if err := json.Unmarshal(jwks, &list); err != nil {
			return nil, errors.New("they are no JWKs")
		}
		for _, k := range list {
			if k.Kty != "RSA" {
				continue
			}
			n, err1 := base64.RawURLEncoding.DecodeString(k.N)
			e, err2 := base64.RawURLEncoding.DecodeString(k.E)
			key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: exponent(e)}
			if err1 != nil || err2 != nil || !usable(key) {
				return nil, errors.New("a JWK is damaged")
			}
			keys = append(keys, key)
		}
		return keys, nil
	}
	for _, id := range slices.Sorted(maps.Keys(set)) {
		var text string
		if json.Unmarshal(set[id], &text) != nil {
			return nil, errors.New("they are neither JWKs nor certificates")
		}
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			return nil, errors.New("a certificate is no PEM")
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("a certificate is damaged")
		}
		if key, ok := certificate.PublicKey.(*rsa.PublicKey); ok {
			if !usable(key) {
				return nil, errors.New("a certificate's key is too short or too long")
			}
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// exponent reads a big-endian number; 0 for one that no RSA key has.
func exponent(b []byte) int {
	if n := new(big.Int).SetBytes(b); n.BitLen() < 32 {
		return int(n.Int64())
	}
	return 0
}

// usable bounds a key's length: a short one is forged, and a very long one takes the verifier's time.
func usable(k *rsa.PublicKey) bool {
	bits := k.N.BitLen()
	return minRSABits <= bits && bits <= 16384 && k.N.Bit(0) == 1 && k.E >= 3 && k.E%2 == 1
}
