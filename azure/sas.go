package azure

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A SAS says what a shared access signature for the blob service or for Data Lake Storage shall allow: the resource, what may be
// done to it, by whom and how long. With an account key it becomes a service SAS, with a user delegation key a user
// delegation SAS. Queues, tables and file shares have other fields and are not here; AccountSAS covers them as a whole.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/create-service-sas
// https://learn.microsoft.com/en-us/rest/api/storageservices/create-user-delegation-sas
type SAS struct {
	// Container is the container; "" means the one in the Config. With neither Blob nor Directory, the SAS is for it and all that
	// is in it.
	Container string

	// Blob is the name of one blob, raw UTF-8 and never percent-encoded. Snapshot or VersionID, as the service returned them,
	// make it one snapshot or version of the blob; 2018-11-09 and later.
	Blob, Snapshot, VersionID string

	// Directory is the name of a directory, like "instruments/guitar", with all that is beneath it, in an account with a
	// hierarchical namespace; 2020-02-10 and later.
	Directory string

	// Permissions are the letters of what is allowed, in any order: r read, a add, c create, w write, d delete, x delete a version,
	// y delete for good, l list, t tags, f find by tags, m move, e execute, o ownership, p permissions, i immutability policy. Not
	// every resource has every permission, and not every version.
	Permissions string

	// Policy is the id of a stored access policy of the container, at most 64 characters, which has the permissions, and the start
	// and the end too unless they are given here: leave Permissions empty, and Expires where the policy has the end. Only with
	// an account key.
	Policy string

	// Start is when the SAS begins to work; zero means Backdate before now, or the beginning of the Window.
	Start time.Time

	// Expires, Window and AllowShorter are what they are in a signer.Request. Expires is required without a Policy.
	Expires, Window time.Duration
	AllowShorter    bool

	// FirstIP and LastIP are the IPv4 addresses from which the SAS may be used, both included; without LastIP only FirstIP may.
	// 2015-04-05 and later.
	FirstIP, LastIP netip.Addr

	// Protocol is "https", or "https,http", which is what "" means. 2015-04-05 and later.
	Protocol string

	// EncryptionScope is what encrypts blobs that are written; 2020-12-06 and later.
	EncryptionScope string

	// Response overrides headers of the answer, but Expires; 2013-08-15 and later.
	Response signer.ResponseHeaders

	// AuthorizedOID (saoid) is the user for whom the key's owner vouches, UnauthorizedOID (suoid) one whose own rights the service
	// checks too; at most one of them. CorrelationID (scid) is a GUID for the logs. User delegation, 2020-02-10 and later.
	AuthorizedOID, UnauthorizedOID, CorrelationID string

	// DelegatedUserOID (sduoid) is the only user who may use the SAS, with a bearer token beside it. User delegation, 2025-07-05
	// and later.
	DelegatedUserOID string

	// Header and Query are what the holder must send. User delegation, 2026-04-06 and later.
	Header http.Header
	Query  url.Values
}

// SAS returns a SAS, on the URL of the container, directory or blob. Presigned.Method is empty: the permissions say what may be
// done. ExpiresAt is zero where the policy has the end. Errors are as in signer.Signer, and name every field that is wrong.
func (s *Signer) SAS(ctx context.Context, a SAS) (*signer.Presigned, error) {
	op := pipeline.Op{Backend: "azure", Name: "sas"}
	w := sigv4.TakeScratch(&s.scratch)
	defer w.Release(&s.scratch)
	container := a.Container
	if container == "" {
		container = s.container
	}
	t := token{sv: s.version, si: a.Policy, saoid: a.AuthorizedOID, suoid: a.UnauthorizedOID, scid: a.CorrelationID, sduoid: a.DelegatedUserOID}
	name, field := a.Blob, "Blob"
	if name == "" {
		name, field = a.Directory, "Directory"
	}
	errPlace := t.place(op, &a)
	errs := []error{
		checkRequest(op, &a, field, name),
		s.endpoint.checkContainer(op, "Container", container),
		checkBlob(op, field, name, s.version),
		errPlace,
		t.override(op, &a.Response),
		t.limit(op, a.FirstIP, a.LastIP, a.Protocol, a.EncryptionScope),
		t.authorize(op, &a),
	}
	key, err := s.planSAS(ctx, op, w, &a, container, name)
	errs = append(errs, err)
	if err == nil {
		errs = append(errs, t.checkFields(op, key.delegation != nil))
		if len(a.Header)+len(a.Query) > 0 && errPlace == nil {
			_, err := t.cover(op, w, key.delegation != nil, &signer.Request{Key: "-", Header: a.Header, Query: a.Query})
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if w.Plan.Start != 0 {
		start := instantOf(w.Stamp(w.Plan.Start))
		t.st = string(start[:])
	}
	if w.Plan.End != 0 {
		end := instantOf(w.Stamp(w.Plan.End))
		t.se = string(end[:])
	}

	for param, value := range map[string]string{"snapshot": a.Snapshot, "versionid": a.VersionID} {
		if value != "" {
			w.Params.Add(param, value)
		}
	}
	w.URL = append(s.endpoint.appendURL(w.URL[:0], container, name), '?')
	if len(w.Params.List) > 0 {
		w.Params.Sort()
		w.URL = append(wire.AppendParams(w.URL, w.Params.List), '&')
	}
	w.URL = s.finish(ctx, w, w.URL, &t, &key, container, name)
	p := pipeline.Presigned("", w.URL, &w.Plan, w.Offset)
	for name, values := range a.Header {
		pipeline.SetHeader(&p.Header, name, values)
	}
	return p, nil
}

// checkRequest is pipeline.CheckRequest for a SAS, whose Key has another name.
func checkRequest(op pipeline.Op, a *SAS, field, name string) error {
	errKey := pipeline.CheckRequest(op, &signer.Request{Key: name}, http.MethodGet)
	if e := (*signer.Error)(nil); errors.As(errKey, &e) {
		e.Field = field
	}
	return errors.Join(errKey, pipeline.CheckRequest(op, &signer.Request{Query: a.Query, Header: a.Header, Response: a.Response}, http.MethodGet))
}

// planSAS is plan for a SAS, which can have a start of its own, or times that are in its policy.
func (s *Signer) planSAS(ctx context.Context, op pipeline.Op, w *sigv4.Scratch, a *SAS, container, name string) (key Key, err error) {
	if a.Policy != "" && a.Expires == 0 {
		if a.Window != 0 {
			return key, op.Errorf(signer.ErrLifetime, "Window", "%v without Expires; the policy has the end, leave Window out", a.Window)
		}
		now, offset := s.clock.Read()
		w.Plan, w.Offset = pipeline.Plan{}, offset
		key, err = s.key(ctx, op, now.Unix())
		if err == nil && !a.Start.IsZero() {
			err = startAt(op, &w.Plan, &key, a.Start)
		}
	} else {
		key, err = s.plan(ctx, op, w, &pipeline.Ask{Expires: a.Expires, Window: a.Window, Bucket: container, Key: name, AllowShorter: a.AllowShorter})
		if err == nil && !a.Start.IsZero() {
			err = startAt(op, &w.Plan, &key, a.Start)
		}
	}
	if err == nil && key.delegation != nil && a.Policy != "" {
		err = op.Errorf(signer.ErrRequest, "Policy", "a user delegation SAS has no stored access policy; leave it out, or use an account key")
	}
	return key, err
}

// startAt moves the beginning of a SAS to where the caller wants it. The end of plan is 0 if the policy has it.
func startAt(op pipeline.Op, plan *pipeline.Plan, key *Key, start time.Time) error {
	if start.Unix() <= 0 || start.UTC().Year() > 9999 {
		return op.Errorf(signer.ErrLifetime, "Start", "the year %d is none in which a SAS can start; leave it out for now", start.UTC().Year())
	}
	if plan.End != 0 && start.Unix() >= plan.End {
		return op.Errorf(signer.ErrLifetime, "Start", "%s is not before the end, %s; start earlier or make Expires longer",
			start.UTC().Format(time.RFC3339), pipeline.Time(plan.End).Format(time.RFC3339))
	}
	if d := key.delegation; d != nil && start.Before(d.start) {
		return op.Errorf(signer.ErrLifetime, "Start", "%s is before the user delegation key begins to work, %s; leave Start out, or ask for a key that begins earlier",
			start.UTC().Format(time.RFC3339), d.start.UTC().Format(time.RFC3339))
	}
	plan.Start = start.Unix()
	return nil
}

// place sets the kind of resource, sr and what goes with it.
func (t *token) place(op pipeline.Op, a *SAS) error {
	moment := "Snapshot"
	if a.Snapshot == "" || !printable(a.VersionID) {
		moment = "VersionID"
	}
	switch {
	case a.Blob != "" && a.Directory != "":
		return op.Errorf(signer.ErrRequest, "Directory", "a SAS is for a blob or for a directory; leave one of the two out")
	case a.Blob == "" && (a.Snapshot != "" || a.VersionID != ""):
		return op.Errorf(signer.ErrRequest, moment, "it is that of a blob; set Blob")
	case a.Snapshot != "" && a.VersionID != "":
		return op.Errorf(signer.ErrRequest, "VersionID", "a SAS is for one snapshot or for one version; leave it out, or Snapshot")
	case a.Query.Has("snapshot") || a.Query.Has("versionid"):
		return op.Errorf(signer.ErrRequest, "Query", "snapshot and versionid have fields of their own; set Snapshot or VersionID")
	case !printable(a.Snapshot) || !printable(a.VersionID):
		return op.Errorf(signer.ErrRequest, moment, "it holds a character that no time has; write it as the service returned it")
	case a.Directory != "":
		t.sr, t.sdd = "d", strconv.Itoa(1+strings.Count(strings.TrimSuffix(a.Directory, "/"), "/"))
		if a.Directory[0] == '/' || strings.Contains(a.Directory, "//") {
			return op.Errorf(signer.ErrRequest, "Directory", "%q: write it without a slash in front and with single ones; for everything in the container leave Directory out", a.Directory)
		}
		if t.sv < v2020 {
			return op.Errorf(signer.ErrRequest, "Directory", "a SAS for a directory needs Version %s or later", v2020)
		}
	case a.Blob == "":
		t.sr = "c"
	default:
		t.sr = "b"
		if t.moment = a.Snapshot; t.moment != "" {
			t.sr = "bs"
		}
		if a.VersionID != "" {
			t.sr, t.moment = "bv", a.VersionID
		}
		if t.moment != "" && t.sv < v2018 {
			return op.Errorf(signer.ErrRequest, moment, "a SAS for a snapshot or version needs Version %s or later", v2018)
		}
	}
	return nil
}

// authorize sets the permissions, or leaves them to the policy.
func (t *token) authorize(op pipeline.Op, a *SAS) (err error) {
	if a.Policy != "" {
		switch {
		case a.Permissions != "":
			return op.Errorf(signer.ErrRequest, "Policy", "the policy has the permissions, and services refuse a SAS that has them too; leave Permissions out, or Policy")
		case utf8.RuneCountInString(a.Policy) > 64 || !utf8.ValidString(a.Policy) || hasControl(a.Policy):
			return op.Errorf(signer.ErrRequest, "Policy", "it is no id of a policy: up to 64 characters make one, without control characters")
		}
		return nil
	}
	t.sp, err = arrange(op, a.Permissions, permissions(), t.sr, t.sv)
	return err
}

// limit sets who may use a SAS, and how.
func (t *token) limit(op pipeline.Op, first, last netip.Addr, protocol, scope string) error {
	switch {
	case last.IsValid() && !first.IsValid():
		return op.Errorf(signer.ErrRequest, "FirstIP", "LastIP without FirstIP; a single address is FirstIP alone")
	case first.IsValid() && !first.Is4():
		return op.Errorf(signer.ErrUnsupported, "FirstIP", "%v: a SAS can be limited to IPv4 addresses, in every version; leave IPv6 out", first)
	case last.IsValid() && !last.Is4():
		return op.Errorf(signer.ErrUnsupported, "LastIP", "%v: a SAS can be limited to IPv4 addresses, in every version; leave IPv6 out", last)
	case last.IsValid() && last.Less(first):
		return op.Errorf(signer.ErrRequest, "LastIP", "%v is before FirstIP %v; exchange them", last, first)
	case protocol != "" && protocol != "https" && protocol != "https,http":
		return op.Errorf(signer.ErrRequest, "Protocol", `%q: a SAS is for "https" or for "https,http", and never for http alone`, protocol)
	case !printable(scope):
		return op.Errorf(signer.ErrRequest, "EncryptionScope", "it holds a control or non-ASCII character; write its name")
	case first.IsValid() && t.sv < v2015:
		return op.Errorf(signer.ErrRequest, "FirstIP", "a SAS for some addresses needs Version %s or later", v2015)
	case protocol != "" && t.sv < v2015:
		return op.Errorf(signer.ErrRequest, "Protocol", "a SAS for a protocol needs Version %s or later", v2015)
	case scope != "" && t.sv < vSES:
		return op.Errorf(signer.ErrRequest, "EncryptionScope", "a SAS with an encryption scope needs Version %s or later", vSES)
	}
	if first.IsValid() {
		t.sip = first.String()
		if last.IsValid() && last != first {
			t.sip += "-" + last.String()
		}
	}
	t.spr, t.ses = protocol, scope
	return nil
}

// checkFields checks the fields that only a user delegation SAS has.
func (t *token) checkFields(op pipeline.Op, delegation bool) error {
	for _, f := range [...]struct{ name, value, since string }{
		{"AuthorizedOID", t.saoid, v2020}, {"UnauthorizedOID", t.suoid, v2020}, {"CorrelationID", t.scid, v2020}, {"DelegatedUserOID", t.sduoid, v2025},
	} {
		switch {
		case f.value == "":
		case !delegation:
			return op.Errorf(signer.ErrRequest, f.name, "a service SAS has none; leave it out, or use a user delegation key")
		case t.sv < f.since:
			return op.Errorf(signer.ErrRequest, f.name, "it needs Version %s or later", f.since)
		case !guid(f.value):
			return op.Errorf(signer.ErrRequest, f.name, "%q is no GUID in lower case, like 6ba7b810-9dad-11d1-80b4-00c04fd430c8", f.value)
		}
	}
	if t.saoid != "" && t.suoid != "" {
		return op.Errorf(signer.ErrRequest, "UnauthorizedOID", "it excludes AuthorizedOID; leave one of the two out")
	}
	return nil
}

// guid reports whether s is a GUID in lower case.
func guid(s string) bool {
	parts := strings.Split(s, "-")
	if len(parts) != 5 {
		return false
	}
	for i, size := range [...]int{8, 4, 4, 4, 12} {
		if len(parts[i]) != size || !pipeline.LowerHex(parts[i]) {
			return false
		}
	}
	return true
}

// An AccountSAS says what a shared access signature for whole services of the account shall allow. It needs an account key and
// Version 2015-04-05 or later.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/create-account-sas
type AccountSAS struct {
	// Services are those that the SAS is for, in any order: b blobs, q queues, t tables, f files.
	Services string

	// ResourceTypes say at which level, in any order: s the service itself, c containers (queues, tables, shares), o objects.
	ResourceTypes string

	// Permissions are the letters of what is allowed, in any order: r read, w write, d delete, x delete a version, y delete for
	// good, l list, a add, c create, u update, p process, f find by tags, t tags, i immutability policy.
	Permissions string

	// The other fields are those of a SAS.
	Start                     time.Time
	Expires, Window           time.Duration
	FirstIP, LastIP           netip.Addr
	Protocol, EncryptionScope string
}

// AccountSAS returns a SAS for the account, on the URL of its blob service; the query is good for the other services too.
// Presigned.Method is empty: the permissions say what may be done.
func (s *Signer) AccountSAS(ctx context.Context, a AccountSAS) (*signer.Presigned, error) {
	op := pipeline.Op{Backend: "azure", Name: "account sas"}
	w := sigv4.TakeScratch(&s.scratch)
	defer w.Release(&s.scratch)
	t := token{sv: s.version}
	var errPermissions, errServices, errTypes, errVersion error
	t.sp, errPermissions = arrange(op, a.Permissions, accountPermissions(), "", t.sv)
	t.ss, errServices = choose(op, "Services", a.Services, "bqtf")
	t.srt, errTypes = choose(op, "ResourceTypes", a.ResourceTypes, "sco")
	if t.sv < v2015 {
		errVersion = op.Errorf(signer.ErrRequest, "Version", "an account SAS needs %s or later", v2015)
	}
	key, err := s.plan(ctx, op, w, &pipeline.Ask{Expires: a.Expires, Window: a.Window})
	if err == nil && key.delegation != nil {
		err = op.Errorf(signer.ErrCredentials, "Keys", "an account SAS needs the account's key, and this is a user delegation key")
	} else if err == nil && !a.Start.IsZero() {
		err = startAt(op, &w.Plan, &key, a.Start)
	}
	if err := errors.Join(errPermissions, errServices, errTypes, errVersion, err,
		t.limit(op, a.FirstIP, a.LastIP, a.Protocol, a.EncryptionScope)); err != nil {
		return nil, err
	}
	start, end := instantOf(w.Stamp(w.Plan.Start)), instantOf(w.Stamp(w.Plan.End))
	t.st, t.se = string(start[:]), string(end[:])
	w.URL = append(s.endpoint.appendURL(w.URL[:0], "", ""), '?')
	w.URL = s.finish(ctx, w, w.URL, &t, &key, "", "")
	return pipeline.Presigned("", w.URL, &w.Plan, w.Offset), nil
}

// choose returns the letters of all that are in s, in the order of all.
func choose(op pipeline.Op, field, s, all string) (string, error) {
	var chosen strings.Builder
	for i := range len(all) {
		if strings.IndexByte(s, all[i]) >= 0 {
			chosen.WriteByte(all[i])
		}
	}
	if chosen.Len() != len(s) || s == "" {
		return "", op.Errorf(signer.ErrRequest, field, "%q: it takes one or more of the letters %s, each once", s, all)
	}
	return chosen.String(), nil
}
