package azure_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Every field is in the URL and in the string to sign, in the order of the documentation.
func TestSASFields(t *testing.T) {
	const moment = "2026-11-20T01:02:03.4567890Z"
	response := signer.ResponseHeaders{CacheControl: "no-store", ContentDisposition: "attachment", ContentEncoding: "gzip", ContentLanguage: "de", ContentType: "text/plain"}
	full := azure.SAS{Blob: "a b", Permissions: "wr", Start: now.Add(-time.Minute), Expires: time.Hour, FirstIP: netip.MustParseAddr("192.0.2.1"), LastIP: netip.MustParseAddr("192.0.2.9"),
		Protocol: "https", EncryptionScope: "scope", Response: response}
	more := full
	more.AuthorizedOID, more.CorrelationID, more.DelegatedUserOID = oid, tid, oid
	more.Header, more.Query = http.Header{"Content-Type": {"text/plain"}}, url.Values{"comp": {"tier"}}
	tenant := delegation()
	tenant.SignedDelegatedUserTID = tid
	for _, tt := range []struct {
		name   string
		conf   []func(*azure.Config)
		a      azure.SAS
		url    string
		toSign string
	}{
		{"blob", nil, full,
			"/photos/a%20b?sv=2020-12-06&sr=b&sp=rw&st=2026-11-24T23%3A58%3A49Z&se=2026-11-25T00%3A59%3A49Z&sip=192.0.2.1-192.0.2.9&spr=https&ses=scope&rscc=no-store&rscd=attachment&rsce=gzip&rscl=de&rsct=text%2Fplain&sig=",
			"rw|2026-11-24T23:58:49Z|2026-11-25T00:59:49Z|/blob/myaccount/photos/a b||192.0.2.1-192.0.2.9|https|2020-12-06|b||scope|no-store|attachment|gzip|de|text/plain"},
		{"snapshot", nil, azure.SAS{Blob: "k", Snapshot: moment, Permissions: "r", Expires: time.Hour},
			"/photos/k?snapshot=2026-11-20T01%3A02%3A03.4567890Z&sv=2020-12-06&sr=bs&sp=r&st=2026-11-24T23%3A44%3A49Z&se=2026-11-25T00%3A59%3A49Z&sig=",
			"r|2026-11-24T23:44:49Z|2026-11-25T00:59:49Z|/blob/myaccount/photos/k||||2020-12-06|bs|" + moment + "||||||"},
		{"version", nil, azure.SAS{Blob: "k", VersionID: moment, Permissions: "xr", Expires: time.Hour},
			"/photos/k?versionid=2026-11-20T01%3A02%3A03.4567890Z&sv=2020-12-06&sr=bv&sp=rx&st=2026-11-24T23%3A44%3A49Z&se=2026-11-25T00%3A59%3A49Z&sig=",
			"rx|2026-11-24T23:44:49Z|2026-11-25T00:59:49Z|/blob/myaccount/photos/k||||2020-12-06|bv|" + moment + "||||||"},
		{"container", []func(*azure.Config){version("2018-11-09")}, azure.SAS{Container: "videos", Permissions: "ldwcar", Expires: time.Hour},
			"/videos?sv=2018-11-09&sr=c&sp=racwdl&st=2026-11-24T23%3A44%3A49Z&se=2026-11-25T00%3A59%3A49Z&sig=",
			"racwdl|2026-11-24T23:44:49Z|2026-11-25T00:59:49Z|/blob/myaccount/videos||||2018-11-09|c||||||"},
		{"directory", nil, azure.SAS{Directory: "a/b c", Permissions: "r", Expires: time.Hour},
			"/photos/a/b%20c?sv=2020-12-06&sr=d&sdd=2&sp=r&st=2026-11-24T23%3A44%3A49Z&se=2026-11-25T00%3A59%3A49Z&sig=",
			"r|2026-11-24T23:44:49Z|2026-11-25T00:59:49Z|/blob/myaccount/photos/a/b c||||2020-12-06|d|||||||"},
		{"policy", nil, azure.SAS{Blob: "k", Policy: "p 1"}, "/photos/k?sv=2020-12-06&sr=b&si=p%201&sig=", "|||/blob/myaccount/photos/k|p 1|||2020-12-06|b|||||||"},
		{"policy with times", nil, azure.SAS{Blob: "k", Policy: "p", Expires: time.Hour},
			"/photos/k?sv=2020-12-06&sr=b&st=2026-11-24T23%3A44%3A49Z&se=2026-11-25T00%3A59%3A49Z&si=p&sig=", "|2026-11-24T23:44:49Z|2026-11-25T00:59:49Z|/blob/myaccount/photos/k|p|||2020-12-06|b|||||||"},
		{"policy with a start", nil, azure.SAS{Blob: "k", Policy: "p", Start: now}, "/photos/k?sv=2020-12-06&sr=b&st=2026-11-24T23%3A59%3A49Z&si=p&sig=",
			"|2026-11-24T23:59:49Z||/blob/myaccount/photos/k|p|||2020-12-06|b|||||||"},
		{"2012", []func(*azure.Config){version("2012-02-12")}, azure.SAS{Blob: "k", Permissions: "r", Expires: time.Hour},
			"/photos/k?sv=2012-02-12&sr=b&sp=r&st=2026-11-24T23%3A44%3A49Z&se=2026-11-25T00%3A59%3A49Z&sig=", "r|2026-11-24T23:44:49Z|2026-11-25T00:59:49Z|/myaccount/photos/k||2012-02-12"},
		{"user delegation", []func(*azure.Config){version("2026-04-06"), func(c *azure.Config) { c.Keys = tenant }}, more,
			"/photos/a%20b?comp=tier&sv=2026-04-06&sr=b&sp=rw&st=2026-11-24T23%3A58%3A49Z&se=2026-11-25T00%3A59%3A49Z&sip=192.0.2.1-192.0.2.9&spr=https&ses=scope" +
				"&skoid=" + oid + "&sktid=" + tid + "&skt=2026-11-24T22%3A59%3A49Z&ske=2026-11-25T23%3A59%3A49Z&sks=b&skv=2022-11-02&skdutid=" + tid + "&saoid=" + oid + "&scid=" + tid + "&sduoid=" + oid +
				"&srh=content-type&srq=comp&rscc=no-store&rscd=attachment&rsce=gzip&rscl=de&rsct=text%2Fplain&sig=",
			"rw|2026-11-24T23:58:49Z|2026-11-25T00:59:49Z|/blob/myaccount/photos/a b|" + oid + "|" + tid + "|2026-11-24T22:59:49Z|2026-11-25T23:59:49Z|b|2022-11-02|" + oid + "||" + tid + "|" + tid + "|" + oid +
				"|192.0.2.1-192.0.2.9|https|2026-04-06|b||scope|content-type:text/plain|||comp:tier|no-store|attachment|gzip|de|text/plain"},
	} {
		var trace signer.Trace
		p, err := newSigner(t, tt.conf...).SAS(signer.WithTrace(ctx, &trace), tt.a)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := strings.ReplaceAll(string(trace.StringToSign), "\n", "|"); got != tt.toSign {
			t.Errorf("%s: signed is\n %s, want\n %s", tt.name, got, tt.toSign)
		}
		if got, _, _ := strings.Cut(p.URL, "&sig="); got+"&sig=" != "https://myaccount.blob.core.windows.net"+tt.url || p.Method != "" {
			t.Errorf("%s: %q\n%s, want\n%s", tt.name, p.Method, got, tt.url)
		}
		if expires := tt.a.Expires; p.ExpiresAt.IsZero() != (expires == 0) || expires != 0 && !p.ExpiresAt.Equal(now.Truncate(time.Second).Add(expires)) {
			t.Errorf("%s: it dies at %v", tt.name, p.ExpiresAt)
		}
	}
}

// Each error names the field, the rule, and the version that would allow it.
func TestSASErrors(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	old := func(v string) []func(*azure.Config) { return []func(*azure.Config){version(v)} }
	user := func(v string) []func(*azure.Config) { return []func(*azure.Config){version(v), delegated} }
	for _, tt := range []struct {
		name  string
		edit  func(*azure.SAS)
		conf  []func(*azure.Config)
		class error
		field string
		says  string
	}{
		{"no permissions", func(a *azure.SAS) { a.Permissions = "" }, nil, signer.ErrRequest, "Permissions", "letters"},
		{"a letter that does not exist", func(a *azure.SAS) { a.Permissions = "rz" }, nil, signer.ErrRequest, "Permissions", "racwdxyltfmeopi"},
		{"a letter twice", func(a *azure.SAS) { a.Permissions = "rr" }, nil, signer.ErrRequest, "Permissions", "each once"},
		{"a letter of containers for a blob", func(a *azure.SAS) { a.Permissions = "rl" }, nil, signer.ErrRequest, "Permissions", "none of a blob"},
		{"a letter of containers for a directory", func(a *azure.SAS) { a.Blob, a.Directory, a.Permissions = "", "d", "f" }, nil, signer.ErrRequest, "Permissions", "none of a directory"},
		{"a letter in an old version", func(a *azure.SAS) { a.Permissions = "x" }, old("2018-11-09"), signer.ErrRequest, "Permissions", "2019-12-12"},
		{"immutability in an old version", func(a *azure.SAS) { a.Permissions = "i" }, old("2020-02-10"), signer.ErrRequest, "Permissions", "2020-06-12"},
		{"no end", func(a *azure.SAS) { a.Expires = 0 }, nil, signer.ErrLifetime, "Expires", "how long"},
		{"start after the end", func(a *azure.SAS) { a.Start = now.Add(2 * time.Hour) }, nil, signer.ErrLifetime, "Start", "not before the end"},
		{"start at the end", func(a *azure.SAS) { a.Start = now.Add(time.Hour) }, nil, signer.ErrLifetime, "Start", "not before the end"},
		{"start before 1970", func(a *azure.SAS) { a.Start = time.Unix(-1, 0) }, nil, signer.ErrLifetime, "Start", "1969"},
		{"a policy and a start in the year 10000", func(a *azure.SAS) {
			a.Permissions, a.Policy, a.Expires, a.Start = "", "p", 0, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
		}, nil, signer.ErrLifetime, "Start", "10000"},
		{"a policy and a start in 1970", func(a *azure.SAS) { a.Permissions, a.Policy, a.Expires, a.Start = "", "p", 0, time.Unix(0, 0) }, nil, signer.ErrLifetime, "Start", "1970"},
		{"start in 1970", func(a *azure.SAS) { a.Start = time.Unix(0, 0) }, nil, signer.ErrLifetime, "Start", "1970"},
		{"start before the key's", func(a *azure.SAS) { a.Start = now.Add(-2 * time.Hour) }, user("2020-12-06"), signer.ErrLifetime, "Start", "2026-11-24T22:59:49Z"},
		{"end beyond the key's", func(a *azure.SAS) { a.Expires = 25 * time.Hour }, user("2020-12-06"), signer.ErrCredentials, "Keys", "2026-11-25T23:59:49Z"},
		{"a policy and permissions", func(a *azure.SAS) { a.Policy = "p" }, nil, signer.ErrRequest, "Policy", "leave Permissions out"},
		{"a policy of 65 characters", func(a *azure.SAS) { a.Permissions, a.Policy = "", strings.Repeat("é", 65) }, nil, signer.ErrRequest, "Policy", "64"},
		{"a policy with a line feed", func(a *azure.SAS) { a.Permissions, a.Policy = "", "a\nb" }, nil, signer.ErrRequest, "Policy", "control"},
		{"a policy with a window and no end", func(a *azure.SAS) { a.Permissions, a.Policy, a.Expires, a.Window = "", "p", 0, time.Minute }, nil, signer.ErrLifetime, "Window", "leave Window out"},
		{"a policy with a delegation key", func(a *azure.SAS) { a.Permissions, a.Policy = "", "p" }, user("2020-12-06"), signer.ErrRequest, "Policy", "account key"},
		{"IPv6", func(a *azure.SAS) { a.FirstIP = v6 }, nil, signer.ErrUnsupported, "FirstIP", "IPv4"},
		{"a range to IPv6", func(a *azure.SAS) { a.FirstIP, a.LastIP = v4, v6 }, nil, signer.ErrUnsupported, "LastIP", "IPv4"},
		{"a range backwards", func(a *azure.SAS) { a.FirstIP, a.LastIP = v4.Next(), v4 }, nil, signer.ErrRequest, "LastIP", "exchange"},
		{"a range without a beginning", func(a *azure.SAS) { a.LastIP = v4 }, nil, signer.ErrRequest, "FirstIP", "FirstIP alone"},
		{"an address in an old version", func(a *azure.SAS) { a.FirstIP = v4 }, old("2015-02-21"), signer.ErrRequest, "FirstIP", "2015-04-05"},
		{"http alone", func(a *azure.SAS) { a.Protocol = "http" }, nil, signer.ErrRequest, "Protocol", "never for http alone"},
		{"a protocol in an old version", func(a *azure.SAS) { a.Protocol = "https" }, old("2013-08-15"), signer.ErrRequest, "Protocol", "2015-04-05"},
		{"a scope in an old version", func(a *azure.SAS) { a.EncryptionScope = "s" }, old("2020-10-02"), signer.ErrRequest, "EncryptionScope", "2020-12-06"},
		{"a scope with a line feed", func(a *azure.SAS) { a.EncryptionScope = "s\n" }, nil, signer.ErrRequest, "EncryptionScope", "control"},
		{"an override with a line feed", func(a *azure.SAS) { a.Response.ContentDisposition = "a\nb" }, nil, signer.ErrRequest, "Response.ContentDisposition", "control"},
		{"an override of Expires", func(a *azure.SAS) { a.Response.Expires = "0" }, nil, signer.ErrUnsupported, "Response.Expires", "leave it out"},
		{"an override in an old version", func(a *azure.SAS) { a.Response.ContentType = "a/b" }, old("2012-02-12"), signer.ErrUnsupported, "Response", "2013-08-15"},
		{"a blob and a directory", func(a *azure.SAS) { a.Directory = "d" }, nil, signer.ErrRequest, "Directory", "leave one"},
		{"a directory in an old version", func(a *azure.SAS) { a.Blob, a.Directory = "", "d" }, old("2019-12-12"), signer.ErrRequest, "Directory", "2020-02-10"},
		{"a directory with a slash in front", func(a *azure.SAS) { a.Blob, a.Directory = "", "/d" }, nil, signer.ErrRequest, "Directory", "without a slash"},
		{"a directory that is none", func(a *azure.SAS) { a.Blob, a.Directory = "", "//" }, nil, signer.ErrRequest, "Directory", "without a slash"},
		{"a directory with an empty name in it", func(a *azure.SAS) { a.Blob, a.Directory = "", "a//b" }, nil, signer.ErrRequest, "Directory", "single ones"},
		{"a directory that leads out", func(a *azure.SAS) { a.Blob, a.Directory = "", "a/../b" }, nil, signer.ErrRequest, "Directory", ".."},
		{"a snapshot of a container", func(a *azure.SAS) { a.Blob, a.Snapshot = "", "x" }, nil, signer.ErrRequest, "Snapshot", "set Blob"},
		{"a snapshot and a version", func(a *azure.SAS) { a.Snapshot, a.VersionID = "x", "y" }, nil, signer.ErrRequest, "VersionID", "or Snapshot"},
		{"a snapshot with a line feed", func(a *azure.SAS) { a.Snapshot = "x\n" }, nil, signer.ErrRequest, "Snapshot", "no time has"},
		{"a snapshot in an old version", func(a *azure.SAS) { a.Snapshot = "x" }, old("2018-03-28"), signer.ErrRequest, "Snapshot", "2018-11-09"},
		{"a snapshot as a parameter", func(a *azure.SAS) { a.Query = url.Values{"snapshot": {"x"}} }, user("2026-04-06"), signer.ErrRequest, "Query", "set Snapshot"},
		{"a container in capitals", func(a *azure.SAS) { a.Container = "Photos" }, nil, signer.ErrRequest, "Container", "lower-case"},
		{"an object id with an account key", func(a *azure.SAS) { a.AuthorizedOID = oid }, nil, signer.ErrRequest, "AuthorizedOID", "user delegation key"},
		{"an object id in an old version", func(a *azure.SAS) { a.UnauthorizedOID = oid }, user("2018-11-09"), signer.ErrRequest, "UnauthorizedOID", "2020-02-10"},
		{"two object ids", func(a *azure.SAS) { a.AuthorizedOID, a.UnauthorizedOID = oid, tid }, user("2020-12-06"), signer.ErrRequest, "UnauthorizedOID", "exclude"},
		{"a correlation id in capitals", func(a *azure.SAS) { a.CorrelationID = strings.ToUpper(oid) }, user("2020-12-06"), signer.ErrRequest, "CorrelationID", "lower case"},
		{"a correlation id that is none", func(a *azure.SAS) { a.CorrelationID = "id\n" }, user("2020-12-06"), signer.ErrRequest, "CorrelationID", "GUID"},
		{"a delegated user in an old version", func(a *azure.SAS) { a.DelegatedUserOID = oid }, user("2020-12-06"), signer.ErrRequest, "DelegatedUserOID", "2025-07-05"},
		{"a header in an old version", func(a *azure.SAS) { a.Header = http.Header{"A": {"1"}} }, user("2026-02-06"), signer.ErrUnsupported, "Header", "2026-04-06"},
		{"a parameter with an account key", func(a *azure.SAS) { a.Query = url.Values{"a": {"1"}} }, old("2026-04-06"), signer.ErrUnsupported, "Query", "user delegation key"},
		{"a blob with a backslash", func(a *azure.SAS) { a.Blob = `a\b` }, nil, signer.ErrUnsupported, "Blob", "slash"},
		{"a directory with a backslash", func(a *azure.SAS) { a.Blob, a.Directory = "", `a\b` }, nil, signer.ErrUnsupported, "Directory", "slash"},
		{"a blob with a NUL", func(a *azure.SAS) { a.Blob = "a\x00" }, nil, signer.ErrRequest, "Blob", "NUL"},
		{"a version of a container", func(a *azure.SAS) { a.Blob, a.VersionID = "", "x" }, nil, signer.ErrRequest, "VersionID", "set Blob"},
		{"a version with a line feed", func(a *azure.SAS) { a.VersionID = "x\n" }, nil, signer.ErrRequest, "VersionID", "no time has"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := azure.SAS{Blob: "k", Permissions: "r", Expires: time.Hour}
			tt.edit(&a)
			p, err := newSigner(t, tt.conf...).SAS(ctx, a)
			wantError(t, err, tt.class, tt.field)
			if p != nil || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, %v does not say %q", p, err, tt.says)
			}
			if n := len(flat(err)); n != 1 || strings.Contains(err.Error(), "BestEffort") { // which is no field of a SAS
				t.Errorf("%d errors for one fault, or advice that fits another call: %v", n, err)
			}
		})
	}
	_, err := newSigner(t, version("2012-02-12")).SAS(ctx, azure.SAS{Container: "A", Blob: "k", Permissions: "z", FirstIP: v4, AuthorizedOID: oid, Response: signer.ResponseHeaders{Expires: "0"}})
	for _, field := range []string{"Container", "Permissions", "FirstIP", "Expires", "Response.Expires"} {
		if err == nil || !strings.Contains(err.Error(), ": "+field+":") {
			t.Errorf("%s is not reported: %v", field, err)
		}
	}
}

// A SAS can have a Window, end with its key, and keep its own start.
func TestSASTimes(t *testing.T) {
	at := func(d time.Duration) func(*azure.Config) {
		return func(c *azure.Config) { c.Clock = clock.Fixed(now.Add(d)) }
	}
	a := azure.SAS{Blob: "k", Permissions: "r", Expires: time.Hour, Window: 10 * time.Minute}
	first, err := newSigner(t).SAS(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	again, err := newSigner(t, at(5*time.Second)).SAS(ctx, a)
	if err != nil || again.URL != first.URL || !first.StableUntil.Equal(now.Truncate(10*time.Minute).Add(10*time.Minute)) {
		t.Errorf("stable until %v, %v", first.StableUntil, err)
	}
	later, err := newSigner(t, delegated).SAS(ctx, azure.SAS{Blob: "k", Permissions: "r", Start: now.Add(time.Hour), Expires: 48 * time.Hour, AllowShorter: true})
	if err != nil || !later.NotBefore.Equal(now.Truncate(time.Second).Add(time.Hour)) || later.LimitedBy != signer.LimitCredentials {
		t.Errorf("%v, %v", later, err)
	}
}

func TestAccountSAS(t *testing.T) {
	var trace signer.Trace
	p, err := newSigner(t).AccountSAS(signer.WithTrace(ctx, &trace), azure.AccountSAS{Services: "fb", ResourceTypes: "os", Permissions: "itfpucalyxdwr", Expires: time.Hour,
		FirstIP: netip.MustParseAddr("192.0.2.1"), Protocol: "https,http", EncryptionScope: "s"})
	if err != nil {
		t.Fatal(err)
	}
	const want = "myaccount\nrwdxylacupfti\nbf\nso\n2026-11-24T23:44:49Z\n2026-11-25T00:59:49Z\n192.0.2.1\nhttps,http\n2020-12-06\ns\n"
	if string(trace.StringToSign) != want {
		t.Errorf("signed is %q, want %q", trace.StringToSign, want)
	}
	if got, _, _ := strings.Cut(p.URL, "&sig="); got != "https://myaccount.blob.core.windows.net/?sv=2020-12-06&ss=bf&srt=so&sp=rwdxylacupfti&st=2026-11-24T23%3A44%3A49Z&se=2026-11-25T00%3A59%3A49Z&sip=192.0.2.1&spr=https%2Chttp&ses=s" {
		t.Error(got)
	}
	for _, tt := range []struct {
		name  string
		edit  func(*azure.AccountSAS)
		conf  func(*azure.Config)
		class error
		field string
	}{
		{"no service", func(a *azure.AccountSAS) { a.Services = "" }, nil, signer.ErrRequest, "Services"},
		{"a service that is none", func(a *azure.AccountSAS) { a.Services = "bz" }, nil, signer.ErrRequest, "Services"},
		{"a service twice", func(a *azure.AccountSAS) { a.Services = "bb" }, nil, signer.ErrRequest, "Services"},
		{"no resource type", func(a *azure.AccountSAS) { a.ResourceTypes = "" }, nil, signer.ErrRequest, "ResourceTypes"},
		{"a resource type that is none", func(a *azure.AccountSAS) { a.ResourceTypes = "b" }, nil, signer.ErrRequest, "ResourceTypes"},
		{"a permission that is none", func(a *azure.AccountSAS) { a.Permissions = "rm" }, nil, signer.ErrRequest, "Permissions"},
		{"a permission in an old version", func(a *azure.AccountSAS) { a.Permissions = "y" }, version("2019-12-12"), signer.ErrRequest, "Permissions"},
		{"an old version", func(a *azure.AccountSAS) {}, version("2015-02-21"), signer.ErrRequest, "Version"},
		{"a delegation key", func(a *azure.AccountSAS) {}, delegated, signer.ErrCredentials, "Keys"},
		{"start after the end", func(a *azure.AccountSAS) { a.Start = now.Add(time.Hour) }, nil, signer.ErrLifetime, "Start"},
		{"no end", func(a *azure.AccountSAS) { a.Expires = 0 }, nil, signer.ErrLifetime, "Expires"},
		{"http alone", func(a *azure.AccountSAS) { a.Protocol = "http" }, nil, signer.ErrRequest, "Protocol"},
		{"IPv6", func(a *azure.AccountSAS) { a.FirstIP = netip.IPv6Loopback() }, nil, signer.ErrUnsupported, "FirstIP"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := azure.AccountSAS{Services: "b", ResourceTypes: "o", Permissions: "r", Expires: time.Hour}
			tt.edit(&a)
			var conf []func(*azure.Config)
			if tt.conf != nil {
				conf = append(conf, tt.conf)
			}
			p, err := newSigner(t, conf...).AccountSAS(ctx, a)
			wantError(t, err, tt.class, tt.field)
			if p != nil {
				t.Error("a URL beside the error")
			}
		})
	}
}
