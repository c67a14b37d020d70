// Package iam signs for a Google service account without its private key: the key stays with Google, and the service IAM
// Service Account Credentials signs with it over REST (signBlob). It imports no SDK.
//
// On Cloud Run, Compute Engine, Functions and GKE, a program signs as the account that it runs as:
//
//	email, err := iam.MetadataEmail(ctx, nil, "")
//	if err != nil {
//		return err
//	}
//	key, err := iam.New(iam.Config{Account: email, Token: iam.MetadataToken(nil, "", nil)})
//	if err != nil {
//		return err
//	}
//	s, err := gcs.New(gcs.Config{Bucket: "photos", Key: key})
//
// As another account it signs by naming that one as the Account (and those between in Delegates). Elsewhere, Token is
// a function around whatever gives OAuth access tokens with the scope cloud-platform or iam. On a laptop, after gcloud auth
// application-default login, that is golang.org/x/oauth2/google:
//
//	source, err := google.DefaultTokenSource(ctx, "https://www.googleapis.com/auth/cloud-platform")
//	if err != nil {
//		return err
//	}
//	token := func(ctx context.Context) (string, time.Time, error) {
//		t, err := source.Token()
//		if err != nil {
//			return "", time.Time{}, err
//		}
//		return t.AccessToken, t.Expiry, nil
//	}
//	key, err := iam.New(iam.Config{Account: "signer@my-project.iam.gserviceaccount.com", Token: token})
//
// The CALLER below is then a person, --member=user:ADDRESS.
//
// # What must be set up
//
// The API must be enabled in the caller's project, and the caller must hold the role Service Account Token Creator on
// the account that signs, also where that is the caller itself:
//
//	gcloud services enable iamcredentials.googleapis.com
//	gcloud iam service-accounts add-iam-policy-binding ACCOUNT \
//		--member=serviceAccount:CALLER --role=roles/iam.serviceAccountTokenCreator
//
// An error says which of these is missing. What a URL can do is what ACCOUNT may do when the URL is used: it also needs
// a role on the bucket.
//
// # What it costs
//
// Signing takes a call, of 50 ms or more, and Google allows 60,000 a minute in a project. Calls for the same string to
// sign share one, and its result is kept for an hour, so signer.Request.Window makes many presigns one call. Google
// promises to know the key for 12 hours after it signed: a URL that should live longer is signer.ErrCredentials, or dies
// by then with AllowShorter.
//
// https://docs.cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signBlob
package iam

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/rest"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Config says who signs, and on whose behalf the service is asked. Account and Token are required.
type Config struct {
	// Account is the e-mail address of the service account that signs.
	Account string

	// Delegates are the accounts between the caller and Account, from the caller outward: each needs the role
	// roles/iam.serviceAccountTokenCreator on the next, the last on Account. E-mail addresses or unique ids. Empty, as mostly:
	// the caller has the role on Account itself.
	Delegates []string

	// Token returns an OAuth access token of the caller, and when it expires. It is kept until shortly before that, and one call
	// is made for all who wait for it; with a zero time it is asked for each signature, because it keeps the token itself then.
	// MetadataToken and ImpersonatedToken make such functions. Errors reach the caller, wrapped in signer.ErrRemote.
	Token func(ctx context.Context) (token string, expires time.Time, err error)

	// Client sends the requests; nil means http.DefaultClient. Redirects are not followed, whatever it says: the token would go
	// with them.
	Client *http.Client

	// Endpoint is the service's address; nil means https://iamcredentials.googleapis.com. Another universe's is
	// https://iamcredentials.DOMAIN. http is for loopback only.
	Endpoint *url.URL

	// Clock says when tokens expire; nil means clock.System().
	Clock clock.Clock
}

// life is how long Google is sure to know the key after it signed.
//
// https://docs.cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signBlob
const life = 12 * time.Hour

// New makes a Key of c.Account. It sends nothing yet, and reports all that is wrong with c, joined.
//
// Sign waits up to 10 s for an answer, tries four times where the service is out of order or over its quota (408, 429, 500,
// 502, 503, 504, no connection), and twice where it denies the permission, which it does at times under load, or refuses the
// token. Its errors are signer.ErrRemote, or ctx's. Each waits with its own ctx; the call goes on while anyone waits.
func New(c Config) (gcs.Key, error) {
	s, err := newService(pipeline.Op{Backend: "gcs", Name: "new iam key"}, c)
	if err != nil {
		return nil, err
	}
	k := &key{service: s}
	return gcs.RemoteKey(c.Account, life, k.sign)
}

// A key asks the service once for each string to sign, and keeps what it got.
type key struct {
	*service
	flight rest.Flight[[sha256.Size]byte, gcs.Signature]
	recent [1024]atomic.Pointer[signed] // by the first bits of the hash
}

// signed is kept by a hash of the string to sign, which holds the date and the expiry: the same string means the same URL.
type signed struct {
	hash      [sha256.Size]byte
	signature gcs.Signature
	at        time.Time
}

// keep is how long a signature is given out again: as long as a token, which also outlives the permission it was made
// with. Only a URL that ends within life of the first signature has the same string at the last, so none outlives its key.
const keep = time.Hour

func (k *key) sign(ctx context.Context, stringToSign []byte) (gcs.Signature, error) {
	if err := ctx.Err(); err != nil {
		return gcs.Signature{}, err
	}
	hash := sha256.Sum256(stringToSign)
	if signature, ok := k.kept(hash); ok {
		return signature, nil
	}
	return k.ask(ctx, hash, stringToSign)
}

// ask makes one call for all who wait for it. It stands apart because its variables go to the heap.
func (k *key) ask(ctx context.Context, hash [sha256.Size]byte, stringToSign []byte) (gcs.Signature, error) {
	signature, err := k.flight.Do(ctx, hash, func(ctx context.Context) (gcs.Signature, error) {
		if signature, ok := k.kept(hash); ok { // since the look above
			return signature, nil
		}
		signature, err := k.signBlob(ctx, stringToSign)
		if err == nil {
			k.place(hash).Store(&signed{hash, signature, k.now()})
		}
		return signature, err
	})
	return clone(signature), err
}

func (k *key) place(hash [sha256.Size]byte) *atomic.Pointer[signed] {
	return &k.recent[binary.LittleEndian.Uint16(hash[:])%uint16(len(k.recent))]
}

func (k *key) kept(hash [sha256.Size]byte) (gcs.Signature, bool) {
	s := k.place(hash).Load()
	if s == nil || s.hash != hash {
		return gcs.Signature{}, false
	}
	age := k.now().Sub(s.at)
	return clone(s.signature), 0 <= age && age < keep
}

func clone(s gcs.Signature) gcs.Signature {
	s.Bytes = slices.Clone(s.Bytes)
	return s
}

// signBlob sends the string to sign as it is; the service hashes it.
func (k *key) signBlob(ctx context.Context, stringToSign []byte) (gcs.Signature, error) {
	op := pipeline.Op{Backend: "gcs", Name: "sign blob"}
	body, err := json.Marshal(struct {
		Delegates []string `json:"delegates,omitempty"`
		Payload   []byte   `json:"payload"`
	}{k.delegates, stringToSign})
	if err != nil {
		return gcs.Signature{}, err // unreachable
	}
	answer, err := k.call(ctx, op, "signBlob", body)
	if err != nil {
		return gcs.Signature{}, err
	}
	return parseSignature(op, answer)
}

func parseSignature(op pipeline.Op, answer []byte) (gcs.Signature, error) {
	var a struct {
		KeyID      string `json:"keyId"`
		SignedBlob string `json:"signedBlob"`
	}
	err1 := json.Unmarshal(answer, &a)
	signature, err2 := base64.StdEncoding.DecodeString(a.SignedBlob)
	const most = 2048 // bytes of a signature: an RSA key of 16,384 bits
	if err1 != nil || err2 != nil || len(signature) == 0 || len(signature) > most {
		return gcs.Signature{}, op.Errorf(signer.ErrRemote, "", "the answer holds no signedBlob; is this the right endpoint?")
	}
	return gcs.Signature{Bytes: signature, KeyID: a.KeyID}, nil
}

// A service is IAM Service Account Credentials, asked for one account.
type service struct {
	account   string
	delegates []string // as the service wants them
	url       string   // up to the verb
	client    *rest.Client
	token     func(context.Context) (string, time.Time, error)
	tokens    *rest.Cache[struct{}, string]
	now       func() time.Time
}

func newService(op pipeline.Op, c Config) (*service, error) {
	var errs []error
	if problem := accountProblem(c.Account); problem != "" {
		errs = append(errs, op.Errorf(signer.ErrCredentials, "Account", "%s", problem))
	}
	delegates := make([]string, 0, len(c.Delegates))
	for _, d := range c.Delegates {
		name, problem := delegate(d)
		if problem != "" {
			errs = append(errs, op.Errorf(signer.ErrCredentials, "Delegates", "%s", problem))
		}
		delegates = append(delegates, resource+name)
	}
	if c.Token == nil {
		errs = append(errs, op.Errorf(signer.ErrCredentials, "Token", "there is none; on Google Cloud it is MetadataToken"))
	}
	endpoint := c.Endpoint
	if endpoint == nil {
		endpoint = &url.URL{Scheme: "https", Host: "iamcredentials.googleapis.com"}
	}
	if err := rest.CheckEndpoint(op, endpoint); err != nil {
		errs = append(errs, err)
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	scheme, host, base := pipeline.Locate(endpoint)
	clk := pipeline.NewClock(c.Clock, host)
	now := func() time.Time { t, _ := clk.Read(); return t }
	return &service{
		account:   c.Account,
		delegates: delegates,
		url:       scheme + "://" + host + base + "/v1/" + resource + c.Account,
		client:    rest.NewClient(c.Client, 10*time.Second),
		token:     c.Token,
		tokens:    rest.NewCache[struct{}, string](now, 1, time.Second),
		now:       now,
	}, nil
}

// call sends a request with the caller's token, and returns the answer's body.
func (s *service) call(ctx context.Context, op pipeline.Op, verb string, body []byte) ([]byte, error) {
	renewed, waited := false, false
	for {
		token, err := s.tokens.Get(ctx, struct{}{}, s.fetchToken)
		if err != nil {
			return nil, rest.Remote(ctx, op, "Token", "there is no access token", err)
		}
		answer, err := s.client.Do(ctx, rest.Request{
			Method: http.MethodPost,
			URL:    s.url + ":" + verb + "?alt=json&prettyPrint=false",
			Header: http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}},
			Body:   body,
		})
		if err != nil {
			return nil, rest.Remote(ctx, op, "", "the service gave no answer", err)
		}
		refusal := parseRefusal(answer)
		switch {
		case answer.Status == http.StatusOK:
			return answer.Body, nil
		case answer.Status == http.StatusUnauthorized && !renewed: // revoked, or by our clock not yet over
			renewed = true
			s.tokens.Drop(struct{}{}, func(t string) bool { return t == token })
		case refusal.mayPass() && !waited:
			waited = true
			if err := s.client.Pause(ctx, 1, 0); err != nil {
				return nil, err
			}
		default:
			return nil, s.explain(op, verb, refusal)
		}
	}
}

const resource = "projects/-/serviceAccounts/"

// delegate returns the e-mail address or unique id of a delegate, which may stand behind the resource's prefix already.
func delegate(d string) (name, problem string) {
	name = strings.TrimPrefix(d, resource)
	if id := strings.TrimLeft(name, "0123456789"); name != "" && id == "" {
		return name, ""
	}
	return name, accountProblem(name)
}

// accountProblem says what is wrong with an account's address, "" for nothing. It goes into a path and into commands that
// errors propose, so it holds nothing that either could read in another way.
func accountProblem(email string) string {
	const (
		form    = "NAME@PROJECT.iam.gserviceaccount.com"
		letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_+"
	)
	name, domain, _ := strings.Cut(email, "@")
	switch {
	case email == "":
		return "it is empty; it is the address of a service account, " + form
	case strings.HasSuffix(email, ".svc.id.goog"):
		return "it is a workload identity pool of GKE and no service account; link one to the Kubernetes account, " +
			"or name one on which that has roles/iam.serviceAccountTokenCreator"
	case name == "" || domain == "" || name[0] == '-' || len(email) > 254 || strings.Trim(name+domain, letters) != "":
		return "it is not the address of a service account, " + form
	}
	return ""
}
