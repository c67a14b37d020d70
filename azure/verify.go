package azure

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// VerifierConfig says what a Verifier accepts. Account is required, and AccountKeys or DelegationKey.
type VerifierConfig struct {
	// Account is the storage account that requests are for.
	Account string

	// AccountKeys returns the account's keys, decoded (Key.Secret): all that are good now, so that they can be rotated. They check
	// service SAS, account SAS and Shared Key. Verify returns its error as it is, unless it wraps signer.ErrUnknownKey. The keys of
	// a signer.KeyRing are ring.Keys(), each by its method Secret; see the example.
	AccountKeys func(ctx context.Context) ([]signer.Secret, error)

	// DelegationKey returns the Value of a user delegation key. It must compare every field with those that the key was issued
	// with: who has the key could otherwise write a later end into a SAS. For a key that it does not know it returns an
	// error wrapping signer.ErrUnknownKey; Verify returns any other as it is.
	DelegationKey func(ctx context.Context, k UserDelegationKey) (signer.Secret, error)

	// AccessPolicy returns a stored access policy of a container, for a SAS that names one. It is asked after the signature was
	// found good. Errors are as with DelegationKey. Without it such SAS are ErrUnsupported.
	AccessPolicy func(ctx context.Context, container, id string) (AccessPolicy, error)

	// Endpoint and Addressing are the address under which clients reach the account, as in Config. Of Azure's own, the secondary
	// and the one of Data Lake Storage are taken too. A request for another host is ErrScope.
	Endpoint   *url.URL
	Addressing signer.Addressing

	// Inbound tells scheme, host and client of a request as the client sent it; nil takes r.TLS, r.Host and
	// r.RemoteAddr. Set it behind a proxy: a SAS can be for HTTPS and for some addresses only.
	Inbound func(*http.Request) (signer.Inbound, error)

	// Clock is the verifier's clock; nil means clock.System(). A clock.Learned is refused.
	Clock clock.Clock

	// Leeway is how early a SAS may be used, and how far the date of a Shared Key request may be off, either way; 0 means
	// 15 minutes. The end of a SAS has none.
	Leeway time.Duration
}

// An AccessPolicy is a stored access policy: what it has, a SAS that names it must not have. Zero fields are those that it does
// not have.
type AccessPolicy struct {
	Permissions   string
	Start, Expiry time.Time
}

// A Verifier checks SAS of the blob service, and requests that were signed with Shared Key or Shared Key Lite. It is safe for
// concurrent use.
//
// It holds a request to the permission that its operation needs, by method and the parameters restype and comp. What it does not
// know is refused; of operations on containers and on the account, a service or user delegation SAS grants only the list of
// blobs, as with Azure. A SAS for a blob is for the blob as it is, not for its snapshots and versions. Whether a blob exists is
// not known here: c alone must not overwrite, so who serves a PUT looks at Grant.Permissions.
//
// A SAS signs no other parameters and no headers, but those in srh and srq. Grant.Query has what names operation and object
// (restype, comp, deletetype, snapshot, versionid), which was checked against the SAS, the parameters in srq, and the overrides of
// the answer (rscc to rsct, in Grant.Response too) and the encryption scope (ses), which are signed. Everything else in the URL is
// anybody's, and so are the headers that Grant.Header does not have. Do not act on those that make another operation of a PUT:
// x-ms-copy-source, x-ms-rename-source and x-ms-tags are not held to the permissions.
//
// Versions before 2013-08-15 do not sign for which service a SAS is: with the same account key, one for a queue is one for the
// container of that name.
type Verifier struct {
	endpoint      endpoint
	hosts         []string // under which the endpoint answers
	accountKeys   func(context.Context) ([]signer.Secret, error)
	delegationKey func(context.Context, UserDelegationKey) (signer.Secret, error)
	accessPolicy  func(context.Context, string, string) (AccessPolicy, error)
	inbound       func(*http.Request) (signer.Inbound, error)
	clock         clock.Clock
	leeway        time.Duration
	keys          *sigv4.Cache[struct{}, *macKey]
	scratch       sync.Pool // of *sigv4.Scratch
}

var _ signer.Verifier = (*Verifier)(nil)

// NewVerifier returns a Verifier. It reports all that is wrong with c, joined.
func NewVerifier(c VerifierConfig) (*Verifier, error) {
	op := pipeline.Op{Backend: "azure", Name: "new verifier"}
	e, errEndpoint := newEndpoint(op, c.Account, c.Endpoint, c.Addressing)
	clk, errClock := pipeline.VerifierClock(op, c.Clock)
	leeway, errLeeway := pipeline.Leeway(op, c.Leeway)
	var errKeys error
	if c.AccountKeys == nil && c.DelegationKey == nil {
		errKeys = op.Errorf(signer.ErrRequest, "AccountKeys", "there are none, and no DelegationKey; signatures are checked with them")
	}
	if err := errors.Join(errEndpoint, errKeys, errClock, errLeeway); err != nil {
		return nil, err
	}
	inbound := c.Inbound
	if inbound == nil {
		inbound = pipeline.DirectInbound
	}
	return &Verifier{endpoint: e, hosts: e.hosts(), accountKeys: c.AccountKeys, delegationKey: c.DelegationKey, accessPolicy: c.AccessPolicy,
		inbound: inbound, clock: clk, leeway: leeway, keys: sigv4.NewCache(newMACKey)}, nil
}

// A visit is one request under verification: what it is for, and what is wrong with it.
type visit struct {
	pipeline.Faults
	req             *http.Request
	in              signer.Inbound
	now             time.Time
	path, rawQuery  string // as they came over the wire
	query           url.Values
	container, blob string
}

// Codes of Azure's, with which it answers.
const (
	codeAuth        = "AuthenticationFailed"
	codeHeader      = "InvalidAuthenticationInfo"
	codePermission  = "AuthorizationPermissionMismatch"
	codeProtocol    = "AuthorizationProtocolMismatch"
	codeSourceIP    = "AuthorizationSourceIPMismatch"
	codeService     = "AuthorizationServiceMismatch"
	codeResource    = "AuthorizationResourceTypeMismatch"
	codeFailure     = "AuthorizationFailure"
	codeUnsigned    = "NoAuthenticationInformation"
	codeNoSuchValue = "InvalidQueryParameterValue"
)

// Verify checks the signature of req. See signer.Verifier for its contract, and Verifier for what is granted.
//
// Path and query are taken from req.RequestURI if it is set. All faults of form, scope, permission, time, address and protocol are
// reported, joined, before a key is looked up. A SAS that is bound to a user or leaves a check of his rights to the service
// (sduoid, suoid) is ErrUnsupported.
func (v *Verifier) Verify(ctx context.Context, req *http.Request) (*signer.Grant, error) {
	r := visit{Faults: pipeline.Faults{Op: pipeline.Op{Backend: "azure", Name: "verify"}, Code: codeAuth}, now: v.clock.Now()}
	var err error
	if r.req, err = pipeline.CanonicalNames(r.Op, req, "InvalidHeaderValue"); err != nil {
		return nil, err
	}
	if r.in, err = v.inbound(r.req); err != nil {
		return nil, err
	}
	if r.path, r.rawQuery, err = pipeline.RequestTarget(r.Op, r.req, "InvalidUri"); err != nil {
		return nil, err
	}
	sas := false
	for name := range wire.Pairs(r.rawQuery) {
		name, err := wire.UnescapeQuery(name)
		sas = sas || err == nil && strings.EqualFold(name, "sig")
	}
	auth := r.req.Header["Authorization"]
	header := len(auth) > 0 && strings.HasPrefix(auth[0], sharedKey)
	switch {
	case !sas && !header && len(auth) > 0 && (strings.Contains(auth[0], "sig=") || strings.HasPrefix(auth[0], "SharedAccessSignature")):
		return nil, r.Op.Refusal(signer.ErrMalformed, "Authorization", codeHeader, "it holds a SAS, which goes into the URL's query")
	case !sas && !header:
		return nil, r.Op.Refusal(signer.ErrUnsigned, "", codeUnsigned, "the request has neither sig in its query nor SharedKey in Authorization")
	}
	if scheme, param := pipeline.ForeignSignature(r.rawQuery, "Azure SAS"); scheme != "" {
		return nil, r.Op.Refusal(signer.ErrConflict, "URL", codeAuth, "beside the SAS or Shared Key it carries a signature of %s (%s)", scheme, param)
	}
	if sas && len(auth) > 0 || len(auth) > 1 {
		return nil, r.Op.Refusal(signer.ErrConflict, "Authorization", codeHeader, "a SAS stands alone, and a request has one Authorization; leave the others out, a bearer token too")
	}

	host := pipeline.CanonicalHost(v.endpoint.scheme, strings.ToLower(r.in.Host))
	if !slices.Contains(v.hosts, host) {
		r.Add(signer.ErrScope, "Host", "%s is not the host of this account, %s; if clients use another address, set VerifierConfig.Endpoint to it, if a proxy rewrites Host, set Inbound", pipeline.Shown(host), v.endpoint.host)
	}
	w := sigv4.TakeScratch(&v.scratch)
	defer w.Release(&v.scratch)
	if sas {
		return v.verifySAS(ctx, w, &r)
	}
	return v.verifySharedKey(ctx, w, &r, auth[0])
}

// locate finds container and blob, once the query is known, and reports whether the path is one of the account's.
func (v *Verifier) locate(r *visit) bool {
	var err error
	r.container, r.blob, err = v.endpoint.split(r.Op, r.path, r.query.Get("restype"), true)
	if err == nil && r.container != "" && v.endpoint.checkContainer(r.Op, "URL", r.container) != nil {
		err = r.Op.Refusal(signer.ErrScope, "URL", "InvalidResourceName", "it names no container")
	}
	if err != nil {
		r.Errs = append(r.Errs, err)
	}
	return err == nil
}

func (v *Verifier) verifySAS(ctx context.Context, w *sigv4.Scratch, r *visit) (*signer.Grant, error) {
	c := r.readSAS()
	located := v.locate(r)
	r.checkFields(&c)
	if located { // or all that follows from it would be at fault too
		r.checkScope(&c)
	}
	r.checkSigned(&c)
	r.checkOrigin(&c)
	r.checkLife(&c, v.leeway)
	if located && c.si == "" {
		r.checkPermissions(&c)
	}
	v.checkAbility(r, &c)
	if err := r.Err(); err != nil {
		return nil, err
	}

	secrets, err := v.secrets(ctx, r, &c)
	if err != nil {
		return nil, err
	}
	matched := false
	for _, name := range c.names(r.blob) {
		switch c.kind {
		case accountSAS:
			w.ToSign = appendAccountSAS(w.ToSign[:0], &c.token, v.endpoint.account)
		case delegationSAS:
			w.ToSign = appendDelegationSAS(w.ToSign[:0], &c.token, v.endpoint.account, r.container, name)
		default:
			w.ToSign = appendServiceSAS(w.ToSign[:0], "blob", &c.token, v.endpoint.account, r.container, name)
		}
		w.Trace(ctx)
		if matched = v.matches(secrets, w.ToSign, c.sig); matched {
			break
		}
	}
	if !matched {
		return nil, r.Op.Refusal(signer.ErrMismatch, "sig", codeAuth, "another resource, permission, time or field than was signed, or another key; compare the strings to sign (signer.WithTrace)")
	}
	if c.si != "" {
		if err := v.applyPolicy(ctx, r, &c); err != nil {
			return nil, err
		}
	}
	return r.grant(&c, v.endpoint.account, w.ToSign), nil
}

// checkAbility refuses what this verifier is not made or configured to check.
func (v *Verifier) checkAbility(r *visit, c *claim) {
	switch {
	case c.sduoid != "" || c.suoid != "":
		r.Add(signer.ErrUnsupported, "sduoid, suoid", "the SAS leaves a check to the service, of a bearer token or of a user's own rights, that this verifier does not make")
	case c.kind == delegationSAS && v.delegationKey == nil:
		r.Add(signer.ErrUnsupported, "skoid", "this verifier knows no user delegation keys; set VerifierConfig.DelegationKey")
	case c.kind != delegationSAS && v.accountKeys == nil:
		r.Add(signer.ErrUnsupported, "sig", "this verifier knows no account keys; set VerifierConfig.AccountKeys")
	case c.si != "" && v.accessPolicy == nil:
		r.Add(signer.ErrUnsupported, "si", "this verifier knows no stored access policies; set VerifierConfig.AccessPolicy")
	}
}

// secrets looks up the keys that can have made the SAS.
func (v *Verifier) secrets(ctx context.Context, r *visit, c *claim) ([]signer.Secret, error) {
	if c.kind != delegationSAS {
		return v.accountSecrets(ctx, r)
	}
	secret, err := v.delegationKey(ctx, UserDelegationKey{SignedOID: c.skoid, SignedTID: c.sktid, SignedStart: c.skt, SignedExpiry: c.ske,
		SignedService: c.sks, SignedVersion: c.skv, SignedDelegatedUserTID: c.skdutid})
	if err == nil && secret.IsZero() {
		err = signer.ErrUnknownKey // never an HMAC under the empty key
	}
	if errors.Is(err, signer.ErrUnknownKey) {
		return nil, r.Op.Refusal(signer.ErrUnknownKey, "skoid", codeAuth, "there is no such user delegation key")
	}
	return []signer.Secret{secret}, err
}

// accountSecrets looks up the account's keys.
func (v *Verifier) accountSecrets(ctx context.Context, r *visit) ([]signer.Secret, error) {
	secrets, err := v.accountKeys(ctx)
	if err == nil && (len(secrets) == 0 || slices.ContainsFunc(secrets, signer.Secret.IsZero)) {
		err = signer.ErrUnknownKey
	}
	if errors.Is(err, signer.ErrUnknownKey) {
		return nil, r.Op.Refusal(signer.ErrUnknownKey, "Account", codeAuth, "the account has no key, or an empty one")
	}
	return secrets, err
}

// matches reports whether one of the secrets made a signature.
func (v *Verifier) matches(secrets []signer.Secret, toSign []byte, signature string) bool {
	for _, secret := range secrets {
		if v.keys.Verify(secret, struct{}{}, func(k *macKey) bool { return k.verify(toSign, signature) }) {
			return true
		}
	}
	return false
}

// applyPolicy fills in what the stored access policy has, and holds the request to it.
func (v *Verifier) applyPolicy(ctx context.Context, r *visit, c *claim) error {
	policy, err := v.accessPolicy(ctx, r.container, c.si)
	if errors.Is(err, signer.ErrUnknownKey) {
		return r.Op.Refusal(signer.ErrUnknownKey, "si", codeAuth, "the container has no such access policy")
	}
	if err != nil {
		return err
	}
	if policy.Permissions != "" && c.sp != "" || !policy.Start.IsZero() && c.st != "" || !policy.Expiry.IsZero() && c.se != "" {
		r.Malformed("si", "a field is in the SAS and in the access policy that it names; leave it out of the SAS")
	}
	if c.sp == "" {
		c.sp = policy.Permissions
	}
	if c.st == "" {
		c.start = policy.Start
	}
	if c.se == "" {
		c.end = policy.Expiry
	}
	if c.sp == "" || c.end.IsZero() {
		r.Malformed("si", "neither the SAS nor the policy has permissions, or an end")
	}
	r.between("st", "se", c.start, c.end, v.leeway)
	r.checkPermissions(c)
	return r.Err()
}

func (r *visit) grant(c *claim, account string, toSign []byte) *signer.Grant {
	g := &signer.Grant{
		Backend: "azure", Scheme: c.kind.String(), KeyID: account,
		Method: pipeline.MethodOf(r.req.Method), Bucket: r.container, Key: r.blob,
		NotBefore: c.start, ExpiresAt: c.end, Permissions: c.sp,
		SignedHeaders: c.signedNames,
		Header:        pipeline.SignedHeader(r.req, c.signedNames, trimmed),
		Fingerprint:   pipeline.Fingerprint(append(toSign, c.sig...)),
		Response: signer.ResponseHeaders{CacheControl: c.rscc, ContentDisposition: c.rscd, ContentEncoding: c.rsce,
			ContentLanguage: c.rscl, ContentType: c.rsct},
	}
	if c.kind == delegationSAS {
		g.KeyID = c.skoid
		if c.keyEnd.Before(c.end) {
			g.ExpiresAt = c.keyEnd
		}
		if c.keyStart.After(c.start) {
			g.NotBefore = c.keyStart
		}
	}
	if c.sr == "d" {
		g.Prefix = c.directory + "/"
	}
	query := make(url.Values)
	for _, name := range append(c.signedParams, "restype", "comp", "deletetype", "snapshot", "versionid") {
		if values := r.query[name]; values != nil {
			query[name] = values
		}
	}
	for _, p := range [...]param{{name: "rscc", value: &c.rscc}, {name: "rscd", value: &c.rscd}, {name: "rsce", value: &c.rsce},
		{name: "rscl", value: &c.rscl}, {name: "rsct", value: &c.rsct}, {name: "ses", value: &c.ses}} {
		if *p.value != "" {
			query.Set(p.name, *p.value)
		}
	}
	if len(query) > 0 {
		g.Query = query
	}
	return g
}
