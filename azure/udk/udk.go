// Package udk fetches user delegation keys for package azure: a SAS that is signed with one needs no account key, and can do what
// the user or service may do in whose name the key was asked for. The key comes over REST (Get User Delegation Key), for an access
// token of Microsoft Entra ID. It imports no SDK.
//
//	keys, err := udk.New(udk.Config{Account: "myaccount", Token: token})
//	s, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: keys})
//
// Token is whatever gives an access token for https://storage.azure.com/. With package azidentity:
//
//	func(ctx context.Context) (string, time.Time, error) {
//		t, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
//		return t.Token, t.ExpiresOn, err
//	}
//
// # What must be set up
//
// The caller must hold the role Storage Blob Delegator on the account, or one that contains it, such as Storage Blob Data
// Contributor; on a container alone that is not enough. What a SAS can do is what the caller may do when it is used: it also
// needs a role on the data. An error says what is missing.
//
//	az role assignment create --role "Storage Blob Delegator" --assignee CALLER \
//		--scope "$(az storage account show --name ACCOUNT --query id --output tsv)"
//
// # How long a key lives
//
// Seven days at most, and a SAS dies with its key: one that should live longer is signer.ErrCredentials, or dies by then with
// AllowShorter. Keys are asked from 20 minutes back, so that they work where clocks differ, which leaves 6 days, 23 hours and 40
// minutes for a SAS.
//
// One key signs any number of SAS, and the service throttles who asks for one each time. So make one source for an account and keep
// it. It renews its key when half of its time is over, while the old one goes on being used; a service that is out of order
// is not noticed before that one has died. "az storage account revoke-delegation-keys" kills it earlier, and the source does not learn
// of that: make a new one then.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/get-user-delegation-key
package udk

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/rest"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Config says for which account keys are fetched, and in whose name. Account and Token are required.
type Config struct {
	// Account is the storage account, "onelake" for OneLake.
	Account string

	// Token returns an access token for https://storage.azure.com/, and when it expires, which is looked at for OneLake alone:
	// its keys do not outlive the token. It is called once for each key. Errors reach the caller, wrapped in signer.ErrRemote.
	Token func(ctx context.Context) (token string, expires time.Time, err error)

	// Life is how long the keys live, from 30 minutes to 7 days, of which 20 minutes have passed when they come. 0 means 7 days,
	// or for OneLake one hour, which is its maximum.
	Life time.Duration

	// DelegatedUserTID is the tenant, a GUID, of the one user who may use what is signed, if it is not the account's own; "" for
	// all others. The account must allow it (allowCrossTenantDelegationSas).
	DelegatedUserTID string

	// Version is the service version that is asked, and that the key carries; "" means azure.DefaultVersion, or 2025-07-05 with
	// DelegatedUserTID, because that needs it.
	Version string

	// Client sends the requests; nil means http.DefaultClient. Redirects are not followed, whatever it says: the token would go
	// with them.
	Client *http.Client

	// Endpoint is the blob service's address; nil means https://ACCOUNT.blob.core.windows.net. The account is put into the path
	// where the host is an IP address or localhost, as azure.Config does. http is for loopback only.
	Endpoint *url.URL

	// Clock says when keys begin and die; nil means clock.System(). One that has learned is asked for the time at the endpoint's
	// host.
	Clock clock.Clock
}

const (
	// backdate is how far before now a key begins: further than a SAS, and as far as clocks may differ. The end moves with it,
	// because the service refuses one that is over seven days away by its own clock.
	backdate = 20 * time.Minute

	maxLife     = 7 * 24 * time.Hour
	minLife     = 30 * time.Minute
	oneLakeLife = time.Hour
)

// New makes a source of keys. It sends nothing yet, and reports all that is wrong with c, joined.
//
// The source's first Key waits for the service: up to 10 s for an answer, four times where it is out of order or throttles (408,
// 429, 500, 502, 503, 504, no connection). After that nobody waits, but for who needs a key that dies later than the one there is:
// once a minute at most a new one is asked for then. While the service fails, the old key is given out to its end. Errors are
// signer.ErrRemote, or ctx's. All who wait share one request; each waits with its own ctx, and it goes on while anyone does.
func New(c Config) (azure.KeySource, error) {
	s, err := newService(pipeline.Op{Backend: "azure", Name: "new key source"}, c)
	if err != nil {
		return nil, err
	}
	return &source{s, rest.NewRenewer(s.now, s.lease)}, nil
}

// Fetch asks the service for a key and keeps nothing. It is for processes that share keys in a cache of their own; see
// azure.UserDelegationKey for how to keep one. The errors are those of New and of the source that it makes.
func Fetch(ctx context.Context, c Config) (azure.UserDelegationKey, error) {
	s, err := newService(opFetch(), c)
	if err != nil {
		return azure.UserDelegationKey{}, err
	}
	h, err := s.fetch(ctx)
	if err != nil {
		return azure.UserDelegationKey{}, err
	}
	return h.fields, nil
}

// A source keeps the newest key. A hit takes no lock.
type source struct {
	*service
	keys *rest.Renewer[azure.Key]
}

// Key implements azure.KeySource.
func (s *source) Key(ctx context.Context, until time.Time) (azure.Key, error) {
	return s.keys.Get(ctx, until)
}

// lease is fetch for the Renewer.
func (s *service) lease(ctx context.Context) (rest.Lease[azure.Key], error) {
	h, err := s.fetch(ctx)
	if err != nil {
		return rest.Lease[azure.Key]{}, err
	}
	return h.Lease, nil
}

// fetched is a key with its fields.
type fetched struct {
	rest.Lease[azure.Key]
	fields azure.UserDelegationKey
}

// A service is the blob service of one account.
type service struct {
	account string
	url     string
	version string
	tenant  string // of the delegated user
	life    time.Duration
	oneLake bool // where a key must not outlive the token
	token   func(context.Context) (string, time.Time, error)
	client  *rest.Client
	now     func() time.Time
}

func opFetch() pipeline.Op { return pipeline.Op{Backend: "azure", Name: "get user delegation key"} }

func newService(op pipeline.Op, c Config) (*service, error) {
	var errs []error
	bad := func(sentinel error, field, format string, args ...any) {
		errs = append(errs, op.Errorf(sentinel, field, format, args...))
	}
	switch {
	case c.Account == "":
		bad(signer.ErrRequest, "Account", "it is empty; name the storage account")
	case strings.HasSuffix(c.Account, "-secondary"):
		bad(signer.ErrRequest, "Account", "%q: the account has one name, the primary's", c.Account)
	case !pipeline.HostLabel(c.Account),
		c.Endpoint == nil && (len(c.Account) < 3 || len(c.Account) > 24 || strings.Contains(c.Account, "-")):
		bad(signer.ErrRequest, "Account", "%q is no storage account: 3 to 24 lower-case letters and digits make one", c.Account)
	}
	if c.Token == nil {
		bad(signer.ErrCredentials, "Token", "there is none; it gives an access token of Microsoft Entra ID for https://storage.azure.com/")
	}
	if c.DelegatedUserTID != "" && !guid(c.DelegatedUserTID) {
		bad(signer.ErrRequest, "DelegatedUserTID", "it is no tenant, which is a GUID like 72f988bf-86f1-41af-91ab-2d7cd011db47")
	}
	endpoint := c.Endpoint
	if endpoint == nil {
		endpoint = &url.URL{Scheme: "https", Host: c.Account + ".blob.core.windows.net"}
	}
	if err := rest.CheckEndpoint(op, endpoint); c.Endpoint != nil && err != nil {
		errs = append(errs, err)
	}
	scheme, host, base := pipeline.Locate(endpoint)
	name := pipeline.Hostname(host)
	if strings.Contains(name, ".dfs.") {
		bad(signer.ErrRequest, "Endpoint", "%s is of Data Lake Storage; keys come from the blob service, with .blob. in the place of .dfs.", host)
	}
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" {
		base = strings.TrimSuffix(base, "/"+c.Account) + "/" + c.Account
	}
	oneLake := strings.HasSuffix(name, ".fabric.microsoft.com")
	life, most := c.Life, maxLife
	if oneLake {
		most = oneLakeLife
	}
	switch {
	case life == 0:
		life = most
	case life < minLife || life > most:
		bad(signer.ErrRequest, "Life", "%v is not from %v to %v; leave it 0 for the longest", life, minLife, most)
	}
	version, least := c.Version, "2018-11-09"
	if c.DelegatedUserTID != "" {
		least = "2025-07-05"
	}
	if version == "" {
		version = max(azure.DefaultVersion, least)
	}
	if _, err := time.Parse(time.DateOnly, version); err != nil || version < least {
		bad(signer.ErrRequest, "Version", "%q is no service version from %s on, which has what is asked for; leave it empty", version, least)
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	clk := pipeline.NewClock(c.Clock, host)
	return &service{
		account: c.Account,
		url:     scheme + "://" + host + base + "/?restype=service&comp=userdelegationkey",
		version: version,
		tenant:  c.DelegatedUserTID,
		life:    life,
		oneLake: oneLake,
		token:   c.Token,
		client:  rest.NewClient(c.Client, 10*time.Second),
		now:     func() time.Time { t, _ := clk.Read(); return t },
	}, nil
}

// guid reports whether s is a GUID as it is commonly written.
func guid(s string) bool {
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (s[i] == '-') || !dash && strings.IndexByte("0123456789abcdefABCDEF", s[i]) < 0 {
			return false
		}
	}
	return len(s) == 36
}

// fetch asks for a key that begins backdate ago.
func (s *service) fetch(ctx context.Context) (*fetched, error) {
	op := opFetch()
	token, expires, err := s.token(ctx)
	if err != nil {
		return nil, rest.Remote(ctx, op, "Token", "there is no access token", err)
	}
	if !rest.TokenOK(token) {
		return nil, op.Errorf(signer.ErrRemote, "Token", "it is empty, or holds a character that no token has; give it without Bearer in front")
	}
	start := s.now().Add(-backdate)
	end := start.Add(s.life)
	if s.oneLake && !expires.IsZero() && expires.Before(end) {
		end = expires
	}
	answer, err := s.client.Do(ctx, rest.Request{
		Method: http.MethodPost,
		URL:    s.url,
		Header: http.Header{"Authorization": {"Bearer " + token}, "X-Ms-Version": {s.version}, "Content-Type": {"application/xml"}},
		Body:   keyInfo(start, end, s.tenant),
	})
	if err != nil {
		return nil, rest.Remote(ctx, op, "", "the service gave no answer", err)
	}
	if answer.Status != http.StatusOK {
		return nil, s.explain(op, parseRefusal(answer))
	}
	h, err := parseKey(op, answer.Body)
	if err != nil {
		return nil, err
	}
	now := s.now()
	switch {
	case !h.Lives(now):
		return nil, op.Errorf(signer.ErrRemote, "", "the service gave a key that works from %s to %s, and it is %s; set the machine's clock",
			instant(h.Start), instant(h.End), instant(now))
	case h.End.Sub(h.Start) > maxLife+backdate: // or it would not be renewed, and sign what dies before it says
		return nil, op.Errorf(signer.ErrRemote, "", "the service gave a key that works from %s to %s, which is longer than any does; is this the blob service?",
			instant(h.Start), instant(h.End))
	case !strings.EqualFold(h.fields.SignedDelegatedUserTID, s.tenant):
		return nil, op.Errorf(signer.ErrRemote, "DelegatedUserTID",
			"the service gave a key for another tenant, or for none; does it know version %s?", s.version)
	}
	return h, nil
}

// keyInfo is the request's body. Its times are whole seconds, as SDKs send them.
func keyInfo(start, end time.Time, tenant string) []byte {
	body := `<?xml version="1.0" encoding="utf-8"?><KeyInfo><Start>` + instant(start) + `</Start><Expiry>` + instant(end) + `</Expiry>`
	if tenant != "" {
		body += `<DelegatedUserTid>` + tenant + `</DelegatedUserTid>`
	}
	return []byte(body + `</KeyInfo>`)
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// parseKey reads an answer. Its fields are kept to the letter, because they are signed.
func parseKey(op pipeline.Op, answer []byte) (*fetched, error) {
	var a struct {
		XMLName                xml.Name `xml:"UserDelegationKey"`
		SignedOid              string
		SignedTid              string
		SignedStart            string
		SignedExpiry           string
		SignedService          string
		SignedVersion          string
		SignedDelegatedUserTid string
		Value                  string
	}
	if err := xml.Unmarshal(answer, &a); err != nil {
		return nil, op.Errorf(signer.ErrRemote, "", "the answer is no UserDelegationKey; is this the blob service?")
	}
	value, err := base64.StdEncoding.Strict().DecodeString(a.Value)
	if err != nil {
		return nil, op.Errorf(signer.ErrRemote, "", "the answer's Value is not base64")
	}
	h := &fetched{fields: azure.UserDelegationKey{
		SignedOID:              a.SignedOid,
		SignedTID:              a.SignedTid,
		SignedStart:            a.SignedStart,
		SignedExpiry:           a.SignedExpiry,
		SignedService:          a.SignedService,
		SignedVersion:          a.SignedVersion,
		SignedDelegatedUserTID: a.SignedDelegatedUserTid,
		Value:                  signer.NewSecret(value),
	}}
	if h.Value, err = h.fields.Key(context.Background(), time.Time{}); err != nil {
		return nil, op.Errorf(signer.ErrRemote, "", "the answer is no whole key: %w", err)
	}
	var err1, err2 error
	h.Start, err1 = time.Parse(time.RFC3339, a.SignedStart)
	h.End, err2 = time.Parse(time.RFC3339, a.SignedExpiry)
	if err1 != nil || err2 != nil {
		return nil, op.Errorf(signer.ErrRemote, "", "the answer's SignedStart and SignedExpiry are not times like 2026-11-24T23:39:49Z")
	}
	return h, nil
}
