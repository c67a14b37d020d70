// Package azure makes and verifies shared access signatures (SAS) for Azure Blob Storage and Data Lake Storage, and signs requests
// with Shared Key.
//
//	key, err := azure.SharedKey("myaccount", accessKey)
//	if err != nil {
//		return err
//	}
//	s, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: key})
//	if err != nil {
//		return err
//	}
//	p, err := s.Presign(ctx, signer.Request{Key: "2026/cat.jpg", Expires: 15 * time.Minute})
//
// Keys takes a UserDelegationKey as well, or a source of them: package azure/udk fetches them from Microsoft Entra ID.
//
// # What a SAS grants
//
// A SAS grants permissions on a resource, not one request. Presign asks for the least that the method needs: r for GET and HEAD,
// cw for PUT, d for DELETE, and l to list a container. Headers and parameters are not signed, with two exceptions: the
// parameters snapshot and versionid, and everything where Version is 2026-04-06 or later and the key is a user delegation key.
// What is not signed is refused, or with BestEffort named in Presigned.NotEnforced. The length of an upload cannot be limited.
//
// A PUT needs the header x-ms-blob-type; Presigned.Header has it. SAS and AccountSAS make signatures with every field there
// is, Sign and SignLite authorize a request in its header, and a Verifier checks all of them on the server's side.
//
// # The beginning of a SAS
//
// A SAS begins Backdate before now, because the services' clocks differ from ours and from one another. Its beginning is always
// written: an account with a SAS expiration policy refuses one without, and counts the policy's limit from the beginning, so
// that Backdate counts against it.
//
// The specification is https://learn.microsoft.com/en-us/rest/api/storageservices/delegate-access-with-shared-access-signature.
package azure

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/netip"
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

// Config says for whom and where a Signer signs. Account and Keys are required.
type Config struct {
	// Account is the storage account. It is signed, and never guessed from a host. For OneLake it is "onelake".
	Account string

	// Container is used where a Request names none.
	Container string

	// Keys gives the key: SharedKey, UserDelegationKey{...}, or a source of them.
	Keys KeySource

	// Version is the service version of what is signed, sv in a SAS and x-ms-version in a request; "" means DefaultVersion. It
	// decides which fields there are and how they are signed.
	Version string

	// Endpoint is the blob service's address, with a base path if it has one; nil means https://ACCOUNT.blob.core.windows.net.
	// Set it for other clouds, for the secondary (https://ACCOUNT-secondary.blob.core.windows.net), for Data Lake Storage
	// (.dfs.), OneLake, private endpoints, own domains and emulators. It is what the client will connect to. Check the error of
	// url.Parse: it returns nil for 127.0.0.1:10000 without http://.
	Endpoint *url.URL

	// Addressing says where the account stands. AddressingAuto takes the Endpoint's host as the account's own, and puts the
	// account into the path if that host is an IP address or localhost, or if the Endpoint's path ends in the account.
	// AddressingVirtualHost puts it in front of the Endpoint's host, AddressingPath into the path, and with
	// AddressingBucketHost the host is the account's own whatever it looks like.
	Addressing signer.Addressing

	// Clock is the signer's clock; nil means clock.System(). One that has learned is asked for the time at the endpoint's
	// host.
	Clock clock.Clock

	// Backdate is how far before now a SAS starts: 0 means 15 minutes, as Microsoft advises, negative none. It does not
	// start before a user delegation key does. Sign does not backdate: a request 15 minutes old is refused.
	Backdate time.Duration
}

const (
	// DefaultVersion is Config.Version where that is "". It is the first version with the strings to sign that service and account
	// SAS have to this day, so services, gateways and emulators that are years old take it too. What came later needs a later
	// one: delegated users 2025-07-05, signed headers and parameters 2026-04-06.
	DefaultVersion = "2020-12-06"

	// DefaultBackdate is Config.Backdate where that is 0.
	DefaultBackdate = 15 * time.Minute
)

// A Signer makes SAS and signs requests for one account. It is safe for concurrent use. Make it once.
type Signer struct {
	config    Config
	endpoint  endpoint
	container string
	version   string
	fixed     Key       // checked, if source is nil
	source    KeySource // of others
	clock     pipeline.Clock
	limits    pipeline.Limits
	scratch   sync.Pool // of *sigv4.Scratch
}

var (
	_ signer.Signer           = (*Signer)(nil)
	_ signer.RequestPresigner = (*Signer)(nil)
	_ signer.Capable          = (*Signer)(nil)
	_ signer.RequestSigner    = (*Signer)(nil)
)

// New returns a Signer. It reports all that is wrong with c, joined.
func New(c Config) (*Signer, error) {
	op := pipeline.Op{Backend: "azure", Name: "new"}
	e, err := newEndpoint(op, c.Account, c.Endpoint, c.Addressing)
	errs := []error{err}
	if c.Container != "" {
		errs = append(errs, e.checkContainer(op, "Container", c.Container))
	}
	version := c.Version
	if version == "" {
		version = DefaultVersion
	}
	errs = append(errs, checkVersion(op, version))
	var fixed Key
	source := c.Keys
	switch k := c.Keys.(type) {
	case nil:
		errs = append(errs, op.Errorf(signer.ErrCredentials, "Keys", "there are none; use SharedKey, a UserDelegationKey, or a source of them"))
	case Key:
		fixed, source = k, nil
		errs = append(errs, fixed.checkUse(op, c.Account, version))
	case UserDelegationKey:
		key, err := k.Key(context.Background(), time.Time{})
		if fixed, source = key, nil; err == nil {
			err = fixed.checkUse(op, c.Account, version)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Signer{
		config:    c,
		endpoint:  e,
		container: c.Container,
		version:   version,
		fixed:     fixed,
		source:    source,
		clock:     pipeline.NewClock(c.Clock, e.host),
		limits:    pipeline.Limits{Backdate: pipeline.Backdate(c.Backdate, DefaultBackdate)},
	}, nil
}

// checkVersion refuses what is no service version. Versions that are not known yet are taken: the newest layout is used.
func checkVersion(op pipeline.Op, version string) error {
	if _, err := time.Parse(time.DateOnly, version); err != nil || version < v2012 {
		return op.Errorf(signer.ErrRequest, "Version", "%q is no service version from %s on; leave it empty for %s", version, v2012, DefaultVersion)
	}
	return nil
}

// At returns a Signer that signs as s does for another endpoint: the public name, say, in front of a store which the service itself
// reaches by an internal one. Both mean what they mean in Config, a nil endpoint Azure's own. The error is that of New.
func (s *Signer) At(endpoint *url.URL, addressing signer.Addressing) (*Signer, error) {
	c := s.config
	c.Endpoint, c.Addressing = endpoint, addressing
	return New(c)
}

// Capabilities implements signer.Capable. What only a user delegation key can do counts if Config.Keys is one, and not a source of
// whatever keys.
func (s *Signer) Capabilities() signer.Capabilities {
	c := signer.Capabilities{Backend: "azure", Methods: []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete},
		SourceIP: s.version >= v2015, NotBefore: true, Prefix: true}
	if s.version >= v2013 {
		c.Response = []string{"CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType"}
	}
	if s.source == nil && s.fixed.delegation != nil {
		c.MaxExpires = 7 * 24 * time.Hour // the longest life of such a key
		if s.version >= v2026 {
			c.ContentType, c.Checksum, c.Query = true, true, true
		}
	}
	return c
}

// Presign returns a URL for one method on one blob, or to list a container. See signer.Signer for its contract, and the
// package's comment for what a SAS grants: it allows the permissions that the method needs, which other operations share.
//
// An empty Key lists the container: GET only, and the parameters that make it a list are added. The parameters snapshot and
// versionid in Query address a snapshot or version, and are signed. SourceIP takes IPv4. Response.Expires cannot be overridden: no
// parameter carries it, so that BestEffort has nothing to send either.
//
// The SAS lives as long as it is asked to, with a user delegation key at most as long as that. A URL signed with an account key
// cannot be revoked but by changing the key.
func (s *Signer) Presign(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
	w := sigv4.TakeScratch(&s.scratch)
	defer w.Release(&s.scratch)
	method := pipeline.MethodOf(r.Method)
	url, notEnforced, err := s.presign(ctx, w, w.URL[:0], method, &r)
	if err != nil {
		return nil, err
	}
	w.URL = url
	p := pipeline.Presigned(method, url, &w.Plan, w.Offset)
	p.NotEnforced = notEnforced
	p.Header = pipeline.CopyHeader(r.Header)
	setBlobType(p, r.Query)
	return p, nil
}

// setBlobType adds the header without which a new blob is refused. A copy does not need it, and is another operation with it: Put
// Blob From URL, which is done when it is answered, and not Copy Blob, which takes a blob of any size.
func setBlobType(p *signer.Presigned, query url.Values) {
	const name = "X-Ms-Blob-Type"
	if p.Method == http.MethodPut && !query.Has("comp") && p.Header[name] == nil && p.Header["X-Ms-Copy-Source"] == nil {
		pipeline.SetHeader(&p.Header, name, []string{"BlockBlob"})
	}
}

// AppendURL is Presign for hot loops: it appends the URL to dst and returns it with the instant at which it dies. It
// does not allocate if dst has room. A Request with AllowShorter or BestEffort is ErrRequest, because the
// result could not say what was given up. Who uses the URL of a PUT must send x-ms-blob-type, which Presign would have
// returned. On an error dst is returned as it was.
func (s *Signer) AppendURL(ctx context.Context, dst []byte, r signer.Request) ([]byte, time.Time, error) {
	if err := pipeline.CheckAppend(opPresign(), &r); err != nil {
		return dst, time.Time{}, err
	}
	w := sigv4.TakeScratch(&s.scratch)
	defer w.Release(&s.scratch)
	url, _, err := s.presign(ctx, w, dst, pipeline.MethodOf(r.Method), &r)
	if err != nil {
		return dst, time.Time{}, err
	}
	return url, pipeline.Time(w.Plan.End), nil
}

// presign appends the presigned URL to dst.
func (s *Signer) presign(ctx context.Context, w *sigv4.Scratch, dst []byte, method string, r *signer.Request) (u []byte, notEnforced []string, err error) {
	op := opPresign()
	container := r.Bucket
	if container == "" {
		container = s.container
	}
	var errContainer, errAddress error
	if container == "" || container != s.container {
		errContainer = s.endpoint.checkContainer(op, "Bucket", container)
	}
	t := token{sv: s.version, sr: "b"}
	if r.Key == "" {
		t.sr = "c"
	}
	if r.SourceIP.IsValid() {
		switch {
		case r.SourceIP.Addr().Is4() && t.sv >= v2015:
			t.sip = addressRange(r.SourceIP)
		case !r.BestEffort:
			errAddress = op.Errorf(signer.ErrUnsupported, "SourceIP", "%v: a SAS can be limited to IPv4 addresses, from %s on; leave it out, or set BestEffort to sign without it", r.SourceIP, v2015)
		}
	}
	errRequest := pipeline.CheckRequest(op, r, method)
	ask := pipeline.Ask{Expires: r.Expires, Window: r.Window, Spread: r.Spread, Bucket: container, Key: r.Key, AllowShorter: r.AllowShorter}
	if err := errors.Join(errRequest, errContainer, checkBlob(op, "Key", r.Key, s.version), t.permit(op, method, r.Key, r.Query), errAddress,
		t.override(op, &r.Response), s.lay(op, w, &ask)); err != nil {
		if errRequest == nil && t.sv < v2026 { // then it is known without a key what cannot be signed
			_, errCover := t.cover(op, w, false, r)
			err = errors.Join(err, errCover)
		}
		return nil, nil, err
	}
	key, err := s.keyFor(ctx, op, w, &ask)
	if err != nil {
		return nil, nil, err
	}
	u = s.endpoint.appendURL(dst, container, r.Key)
	plain, frame, id := pipeline.Plain(r), sigv4.Kept[sigv4.Frame[framed]](w), framed{w.Plan.Start, w.Plan.End, t.sp, container, key.macs}
	if plain && frame.Fits(id) {
		w.ToSign = sigv4.AppendSigned(w.ToSign[:0], frame, r.Key)
		w.Trace(ctx)
		return key.macs.appendEscaped(frame.AppendQuery(u), w.ToSign), nil, nil
	}
	start, end := instantOf(w.Stamp(w.Plan.Start)), instantOf(w.Stamp(w.Plan.End))
	t.st, t.se = string(start[:]), string(end[:])
	if len(r.Query) > 0 || len(r.Header) > 0 || r.Key == "" {
		if notEnforced, err = t.cover(op, w, key.delegation != nil, r); err != nil {
			return nil, nil, err
		}
	}
	if r.SourceIP.IsValid() && t.sip == "" {
		notEnforced = append(notEnforced, "SourceIP")
	}
	query := len(u)
	u = append(u, '?')
	if len(w.Params.List) > 0 {
		w.Params.Sort()
		u = append(wire.AppendParams(u, w.Params.List), '&')
	}
	u = s.complete(w, u, &t, &key, container, r.Key)
	if plain {
		w.Path = appendResource(appendLines(w.Path[:0], t.sp, t.st, t.se), t.sv, "blob", s.endpoint.account, container, "")
		name := len(w.Path) // its line feed is where the name's slash is
		frame.Keep(id, w.ToSign, name, name+len(r.Key), u[query:])
	}
	w.Trace(ctx)
	return key.macs.appendEscaped(u, w.ToSign), notEnforced, nil
}

// permit sets the least permission that a method on a blob needs, or on a container if there is no key.
func (t *token) permit(op pipeline.Op, method, key string, query url.Values) error {
	switch {
	case key == "" && method == http.MethodHead:
		return op.Errorf(signer.ErrUnsupported, "Method", "HEAD on a container: a SAS for a container can only list it, with GET; an account SAS can do more")
	case key == "": // CheckRequest has refused all methods but GET
		t.sp = "l"
	case method == http.MethodGet || method == http.MethodHead:
		t.sp = "r"
	case method == http.MethodPut:
		t.sp = "cw"
	case method == http.MethodDelete && query.Has("versionid"):
		if t.sp = "x"; t.sv < vX {
			return op.Errorf(signer.ErrUnsupported, "Query", "versionid: a SAS can allow the deletion of a version from service version %s on; set Version", vX)
		}
	case method == http.MethodDelete:
		t.sp = "d"
	default:
		return op.Errorf(signer.ErrUnsupported, "Method", "%s: a SAS presigns GET, HEAD, PUT and DELETE; for another operation make a SAS with the permission that it needs", method)
	}
	return nil
}

// plan is lay and keyFor.
func (s *Signer) plan(ctx context.Context, op pipeline.Op, w *sigv4.Scratch, ask *pipeline.Ask) (Key, error) {
	if err := s.lay(op, w, ask); err != nil {
		return Key{}, err
	}
	return s.keyFor(ctx, op, w, ask)
}

// lay lays out the life of a SAS in w.Plan.
func (s *Signer) lay(op pipeline.Op, w *sigv4.Scratch, ask *pipeline.Ask) error {
	now, offset := s.clock.Read()
	w.Offset = offset
	return w.Plan.Lay(op, now, ask, s.limits)
}

// keyFor gets the key for a SAS that lives as w.Plan says, and ends it with the key.
func (s *Signer) keyFor(ctx context.Context, op pipeline.Op, w *sigv4.Scratch, ask *pipeline.Ask) (key Key, err error) {
	key, err = s.key(ctx, op, w.Plan.End)
	d := key.delegation
	if err != nil || d == nil {
		return key, err
	}
	if d.start.Unix() > w.Plan.Now {
		return key, op.Errorf(signer.ErrCredentials, "Keys", "the user delegation key works from %s on, and it is %s; ask for keys that begin some minutes ago",
			d.start.UTC().Format(time.RFC3339), pipeline.Time(w.Plan.Now).Format(time.RFC3339))
	}
	err = w.Plan.Cap(op, d.end, ask.AllowShorter, "Keys", "the user delegation key")
	w.Plan.Start = max(w.Plan.Start, d.start.Unix())
	return key, err
}

// key asks the source for a key that lives until then.
func (s *Signer) key(ctx context.Context, op pipeline.Op, until int64) (Key, error) {
	if s.source == nil {
		return s.fixed, nil
	}
	key, err := s.source.Key(ctx, pipeline.Time(until))
	if err != nil {
		return key, op.Errorf(signer.ErrCredentials, "Keys", "their source failed: %w", signer.RedactError(err))
	}
	return key, key.checkUse(op, s.endpoint.account, s.version)
}

// cover puts parameters and headers under the signature where the scheme can, and collects the parameters in w. It names those
// that it cannot cover, if BestEffort lets them through.
func (t *token) cover(op pipeline.Op, w *sigv4.Scratch, delegated bool, r *signer.Request) (notEnforced []string, err error) {
	signsAll := delegated && t.sv >= v2026
	var errs []error
	refuse := func(field, name, why string) {
		if r.BestEffort {
			notEnforced = append(notEnforced, field+"."+name)
			return
		}
		otherwise := ""
		if op == opPresign() {
			otherwise = ", or set BestEffort to send it unsigned"
		}
		errs = append(errs, op.Errorf(signer.ErrUnsupported, field, "%s: %s; leave it out%s", name, why, otherwise))
	}
	const why = "a SAS signs headers and parameters from version " + v2026 + " on, with a user delegation key"

	var headers, params []string
	names := slices.SortedFunc(maps.Keys(r.Header), func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	for i, name := range names {
		switch {
		case i > 0 && strings.EqualFold(names[i-1], name):
			errs = append(errs, op.Errorf(signer.ErrRequest, "Header", "%s is there twice, in two spellings; use http.Header.Set", name))
		case strings.EqualFold(name, "Content-Length"):
			refuse("Header", "Content-Length", "a SAS cannot limit the length of an upload")
		case signsAll:
			headers = append(headers, name)
		default:
			refuse("Header", http.CanonicalHeaderKey(name), why)
		}
	}
	if r.Key == "" {
		w.Params.Add("restype", "container")
		w.Params.Add("comp", "list")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Query)) {
		values := r.Query[name]
		switch {
		case r.Key == "" && (name == "restype" && slices.Equal(values, []string{"container"}) || name == "comp" && slices.Equal(values, []string{"list"})):
			continue // that is what it is
		case r.Key != "" && (name == "snapshot" || name == "versionid"):
			errs = append(errs, t.address(op, name, values))
		case signsAll:
			params = append(params, name)
		default:
			refuse("Query", name, why)
		}
		for _, v := range values {
			w.Params.Add(name, v)
		}
	}
	return notEnforced, errors.Join(append(errs, t.bind(op, headers, r.Header, params, r.Query))...)
}

// address makes the SAS one for a snapshot or version of the blob.
func (t *token) address(op pipeline.Op, name string, values []string) error {
	if len(values) != 1 || values[0] == "" || t.moment != "" {
		return op.Errorf(signer.ErrRequest, "Query", "%s: a blob has one snapshot or one version at a time; give it one value, the time that the service returned", name)
	}
	t.moment = values[0]
	if t.sr = "bs"; name == "versionid" {
		t.sr = "bv"
	}
	if t.sv < v2018 {
		return op.Errorf(signer.ErrUnsupported, "Query", "%s: a SAS for a snapshot or version needs service version %s", name, v2018)
	}
	return nil
}

// bind signs headers and parameters by their names, which are sorted.
func (t *token) bind(op pipeline.Op, headers []string, h http.Header, params []string, q url.Values) error {
	var errs []error
	var lines []byte
	for i, name := range headers {
		if len(h[name]) != 1 {
			errs = append(errs, op.Errorf(signer.ErrUnsupported, "Header", "%s has several values, which services join in different ways; give it one", name))
			continue
		}
		headers[i] = strings.ToLower(name)
		lines = append(append(append(append(lines, headers[i]...), ':'), trimmed(h[name][0])...), '\n')
	}
	t.srh, t.signedHeaders = strings.Join(headers, ","), string(lines)

	lines = lines[:0]
	seen := make(map[string]bool, len(params))
	for _, name := range params {
		folded := strings.ToLower(name)
		if len(q[name]) != 1 || strings.ContainsAny(name, ",:") || seen[folded] {
			errs = append(errs, op.Errorf(signer.ErrUnsupported, "Query", "%q has several values, a comma or colon in its name, or another spelling too, none of which a SAS can sign; give it one", name))
			continue
		}
		seen[folded] = true
		lines = append(append(append(append(lines, '\n'), name...), ':'), q[name][0]...)
	}
	t.srq, t.signedQuery = strings.Join(params, ","), string(lines)
	return errors.Join(errs...)
}

// override sets the answer's headers.
func (t *token) override(op pipeline.Op, h *signer.ResponseHeaders) error {
	if h.Expires != "" {
		return op.Errorf(signer.ErrUnsupported, "Response.Expires", "a SAS overrides Content-Type, Content-Disposition, Cache-Control, Content-Encoding and Content-Language, and has no parameter for this; leave it out")
	}
	if t.sv < v2013 && pipeline.Overriding(h) {
		return op.Errorf(signer.ErrUnsupported, "Response", "a SAS overrides headers of the answer from version %s on; set Version", v2013)
	}
	t.rscc, t.rscd, t.rsce, t.rscl, t.rsct = h.CacheControl, h.ContentDisposition, h.ContentEncoding, h.ContentLanguage, h.ContentType
	return nil
}

// addressRange writes a prefix as sip has it: the first and the last address, or the only one.
func addressRange(p netip.Prefix) string {
	first := p.Masked().Addr()
	last := first.As4()
	for bit := p.Bits(); bit < 32; bit++ {
		last[bit/8] |= 1 << (7 - bit%8)
	}
	if to := netip.AddrFrom4(last); to != first {
		return first.String() + "-" + to.String()
	}
	return first.String()
}

// framed is what the frame of a SAS follows from, if the SAS is for a blob and has no options.
type framed struct {
	start, end            int64
	permission, container string
	key                   *macKey
}

// finish appends the parameters of the SAS and the signature to dst.
func (s *Signer) finish(ctx context.Context, w *sigv4.Scratch, dst []byte, t *token, key *Key, container, name string) []byte {
	dst = s.complete(w, dst, t, key, container, name)
	w.Trace(ctx)
	return key.macs.appendEscaped(dst, w.ToSign)
}

// complete appends all parameters of the SAS but the signature, as far as its "=", and leaves the string to sign in w.
func (s *Signer) complete(w *sigv4.Scratch, dst []byte, t *token, key *Key, container, name string) []byte {
	if d := key.delegation; d != nil {
		t.skoid, t.sktid, t.skt, t.ske, t.sks, t.skv, t.skdutid = d.SignedOID, d.SignedTID, d.SignedStart, d.SignedExpiry, d.SignedService, d.SignedVersion, d.SignedDelegatedUserTID
	}
	switch {
	case key.delegation != nil:
		w.ToSign = appendDelegationSAS(w.ToSign[:0], t, s.endpoint.account, container, name)
	case t.ss != "":
		w.ToSign = appendAccountSAS(w.ToSign[:0], t, s.endpoint.account)
	default:
		w.ToSign = appendServiceSAS(w.ToSign[:0], "blob", t, s.endpoint.account, container, name)
	}
	return append(t.appendParams(dst), "&sig="...)
}

// An instant is a time in the form that is written into a SAS, 2006-01-02T15:04:05Z.
type instant [len("2006-01-02T15:04:05Z")]byte

// instantOf is a stamp with the hyphens and colons that it leaves out.
func instantOf(s sigv4.Stamp) (t instant) {
	copy(t[:], "0000-00-00T00:00:00Z")
	copy(t[:4], s[:4])
	copy(t[5:7], s[4:6])
	copy(t[8:10], s[6:8])
	copy(t[11:13], s[9:11])
	copy(t[14:16], s[11:13])
	copy(t[17:19], s[13:15])
	return t
}

// PresignRequest presigns a finished URL, whose bytes are kept. See signer.RequestPresigner for its contract. Whatever host the
// URL names, container and blob are read from its path as Endpoint and Addressing have it.
//
// It covers what Presign covers: headers and parameters are ErrUnsupported unless they can be signed, or BestEffort is set. The
// body is the holder's, and so is its length.
func (s *Signer) PresignRequest(ctx context.Context, req *http.Request, o signer.Options) (*signer.Presigned, error) {
	op := opPresign()
	w := sigv4.TakeScratch(&s.scratch)
	defer w.Release(&s.scratch)
	if err := pipeline.CheckHTTPRequest(op, req); err != nil {
		return nil, err
	}
	if err := checkConflict(op, req, false); err != nil {
		return nil, err
	}
	method := pipeline.MethodOf(req.Method)
	kept := wire.Without(req.URL.RawQuery, isAuthParam)
	r := signer.Request{BestEffort: o.BestEffort, Query: make(url.Values), Header: make(http.Header)}
	for name, value := range wire.Pairs(kept) {
		n, err1 := wire.UnescapeQuery(name)
		v, err2 := wire.UnescapeQuery(value)
		if err := errors.Join(err1, err2); err != nil {
			return nil, op.Errorf(signer.ErrRequest, "URL", "its query: %w", err)
		}
		r.Query.Add(n, v)
	}
	for name, values := range req.Header {
		if !pipeline.Unsignable(name) && len(values) > 0 && !strings.EqualFold(name, "Content-Length") && !strings.EqualFold(name, "Host") {
			r.Header[name] = values
		}
	}
	path := req.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	container, blob, err := s.endpoint.split(op, path, r.Query.Get("restype"), false)
	if err == nil {
		err = errors.Join(s.endpoint.checkContainer(op, "URL", container), checkBlob(op, "URL", blob, s.version))
	}
	if err != nil {
		return nil, op.Errorf(signer.ErrRequest, "URL", "it is none of a container or blob of this account's: %w", err)
	}
	r.Key = blob
	t := token{sv: s.version, sr: "b"}
	if blob == "" {
		if t.sr = "c"; method != http.MethodGet || r.Query.Get("comp") != "list" {
			return nil, op.Errorf(signer.ErrUnsupported, "URL", "it is for the container, which a SAS for a container can only list: GET with restype=container and comp=list; an account SAS can do more")
		}
	}
	ask := pipeline.Ask{Expires: o.Expires, Window: o.Window, AllowShorter: o.AllowShorter}
	if err := errors.Join(t.permit(op, method, blob, r.Query), s.lay(op, w, &ask)); err != nil {
		return nil, err
	}
	key, err := s.keyFor(ctx, op, w, &ask)
	if err != nil {
		return nil, err
	}
	notEnforced, err := t.cover(op, w, key.delegation != nil, &r)
	if err != nil {
		return nil, err
	}
	start, end := instantOf(w.Stamp(w.Plan.Start)), instantOf(w.Stamp(w.Plan.End))
	t.st, t.se = string(start[:]), string(end[:])

	w.URL = append(w.URL[:0], req.URL.Scheme+"://"+req.URL.Host+path+"?"...)
	if kept != "" {
		w.URL = append(append(w.URL, kept...), '&')
	}
	w.URL = s.finish(ctx, w, w.URL, &t, &key, container, blob)

	p := pipeline.Presigned(method, w.URL, &w.Plan, w.Offset)
	p.NotEnforced = notEnforced
	p.Header = pipeline.CopyHeader(r.Header)
	if host := pipeline.HostOf(req); host != req.URL.Host {
		pipeline.SetHeader(&p.Header, "Host", []string{host})
	}
	setBlobType(p, r.Query)
	return p, nil
}

// checkConflict refuses to add a second signature: one of another scheme, or ours in the other form.
func checkConflict(op pipeline.Op, req *http.Request, inHeader bool) error {
	if scheme, param := pipeline.ForeignSignature(req.URL.RawQuery, "Azure SAS"); scheme != "" {
		return op.Errorf(signer.ErrConflict, "URL", "it carries a signature of %s (%s); sign the bare URL", scheme, param)
	}
	auth := strings.Join(pipeline.HeaderValues(req.Header, "Authorization"), "")
	if !inHeader {
		if auth != "" || pipeline.HeaderValues(req.Header, "X-Ms-Date") != nil {
			return op.Errorf(signer.ErrConflict, "Authorization", "the request has an Authorization or x-ms-date header, and services refuse a SAS beside it; remove it first")
		}
		return nil
	}
	if auth != "" && !strings.HasPrefix(auth, "SharedKey") {
		return op.Errorf(signer.ErrConflict, "Authorization", "the request has one of another kind; remove it first")
	}
	for name := range wire.Pairs(req.URL.RawQuery) {
		if name, err := wire.UnescapeQuery(name); err == nil && strings.EqualFold(name, "sig") {
			return op.Errorf(signer.ErrConflict, "URL", "it has a SAS, and services refuse two authorizations; sign the bare URL")
		}
	}
	return nil
}

func isAuthParam(name string) bool { return pipeline.SchemeOf(name) == "Azure SAS" }

func opPresign() pipeline.Op { return pipeline.Op{Backend: "azure", Name: "presign"} }
