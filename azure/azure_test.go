package azure_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

var ctx = context.Background()

// now is ten seconds and a half before midnight.
var now = time.Date(2026, 11, 24, 23, 59, 49, 500e6, time.UTC)

const (
	// The key of the Azurite emulator, which is public.
	accountKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
	oid        = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
	tid        = "6ba7b811-9dad-11d1-80b4-00c04fd430c8"
)

func key(t testing.TB) azure.Key {
	t.Helper()
	k, err := azure.SharedKey("myaccount", accountKey)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// delegation is a user delegation key that began an hour ago and lives for a day more.
func delegation() azure.UserDelegationKey {
	return azure.UserDelegationKey{SignedOID: oid, SignedTID: tid, SignedStart: "2026-11-24T22:59:49Z", SignedExpiry: "2026-11-25T23:59:49Z",
		SignedService: "b", SignedVersion: "2022-11-02", Value: signer.NewSecret([]byte("0123456789abcdef0123456789abcdef"))}
}

// config is a Config that works, after edits.
func config(t testing.TB, edits ...func(*azure.Config)) azure.Config {
	c := azure.Config{Account: "myaccount", Container: "photos", Keys: key(t), Clock: clock.Fixed(now)}
	for _, edit := range edits {
		edit(&c)
	}
	return c
}

func newSigner(t testing.TB, edits ...func(*azure.Config)) *azure.Signer {
	t.Helper()
	s, err := azure.New(config(t, edits...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func version(v string) func(*azure.Config) { return func(c *azure.Config) { c.Version = v } }

func delegated(c *azure.Config) { c.Keys = delegation() }

func mustURL(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func params(t testing.TB, rawURL string) url.Values {
	t.Helper()
	return mustURL(t, rawURL).Query()
}

func wantError(t *testing.T, err, class error, field string) {
	t.Helper()
	found := false
	for _, one := range flat(err) {
		var e *signer.Error
		found = found || errors.As(one, &e) && errors.Is(one, class) && e.Field == field && e.Backend == "azure" && e.Op != ""
	}
	if !found {
		t.Errorf("got %v, want %q about %q", err, class, field)
	}
	if err != nil && strings.Contains(err.Error(), "Eby8") {
		t.Errorf("the key is in %v", err)
	}
}

// flat lists the errors that were joined.
func flat(err error) (all []error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		if _, own := err.(*signer.Error); !own {
			for _, e := range joined.Unwrap() {
				all = append(all, flat(e)...)
			}
			return all
		}
	}
	return append(all, err)
}

func TestNewErrors(t *testing.T) {
	endpoint := func(raw string) func(*azure.Config) {
		return func(c *azure.Config) { c.Endpoint = mustURL(t, raw) }
	}
	for _, tt := range []struct {
		name  string
		edit  func(*azure.Config)
		class error
		field string
	}{
		{"no account", func(c *azure.Config) { c.Account = "" }, signer.ErrRequest, "Account"},
		{"account that is a host", func(c *azure.Config) { c.Account = "evil.example/" }, signer.ErrRequest, "Account"},
		{"account in capitals", func(c *azure.Config) { c.Account = "MyAccount" }, signer.ErrRequest, "Account"},
		{"account too short", func(c *azure.Config) { c.Account = "ab" }, signer.ErrRequest, "Account"},
		{"account of the secondary", func(c *azure.Config) { c.Account = "myaccount-secondary" }, signer.ErrRequest, "Account"},
		{"container in capitals", func(c *azure.Config) { c.Container = "Photos" }, signer.ErrRequest, "Container"},
		{"container with a slash", func(c *azure.Config) { c.Container = "a/b" }, signer.ErrRequest, "Container"},
		{"container with two hyphens", func(c *azure.Config) { c.Container = "a--b" }, signer.ErrRequest, "Container"},
		{"container too short", func(c *azure.Config) { c.Container = "ab" }, signer.ErrRequest, "Container"},
		{"no keys", func(c *azure.Config) { c.Keys = nil }, signer.ErrCredentials, "Keys"},
		{"empty key", func(c *azure.Config) { c.Keys = azure.Key{} }, signer.ErrCredentials, "Keys"},
		{"key of another account", func(c *azure.Config) { c.Account = "another" }, signer.ErrCredentials, "Keys"},
		{"delegation key without its value", func(c *azure.Config) { k := delegation(); k.Value = signer.Secret{}; c.Keys = k }, signer.ErrCredentials, "Keys"},
		{"delegation key in base64", func(c *azure.Config) {
			k := delegation()
			k.Value = signer.NewSecret([]byte("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="))
			c.Keys = k
		}, signer.ErrCredentials, "Value"},
		{"delegation key without an owner", func(c *azure.Config) { k := delegation(); k.SignedOID = ""; c.Keys = k }, signer.ErrCredentials, "SignedOID"},
		{"delegation key with a line feed", func(c *azure.Config) { k := delegation(); k.SignedTID += "\n"; c.Keys = k }, signer.ErrCredentials, "SignedTID"},
		{"delegation key that ends before it begins", func(c *azure.Config) { k := delegation(); k.SignedExpiry = k.SignedStart; c.Keys = k }, signer.ErrCredentials, "SignedStart, SignedExpiry"},
		{"delegation key without times", func(c *azure.Config) { k := delegation(); k.SignedStart = ""; c.Keys = k }, signer.ErrCredentials, "SignedStart, SignedExpiry"},
		{"delegation key in an old version", func(c *azure.Config) { c.Keys, c.Version = delegation(), "2017-07-29" }, signer.ErrRequest, "Version"},
		{"version that is none", version("latest"), signer.ErrRequest, "Version"},
		{"version before SAS had versions", version("2011-08-18"), signer.ErrRequest, "Version"},
		{"version that is no date", version("2022-13-02"), signer.ErrRequest, "Version"},
		{"endpoint without a scheme", func(c *azure.Config) { c.Endpoint = &url.URL{Host: "h"} }, signer.ErrRequest, "Endpoint"},
		{"endpoint with a query", endpoint("https://h/?sv=1"), signer.ErrRequest, "Endpoint"},
		{"path addressing at Azure", func(c *azure.Config) { c.Addressing = signer.AddressingPath }, signer.ErrRequest, "Addressing"},
		{"bucket host without a host", func(c *azure.Config) { c.Addressing = signer.AddressingBucketHost }, signer.ErrRequest, "Addressing"},
		{"no addressing", func(c *azure.Config) { c.Addressing = 7 }, signer.ErrRequest, "Addressing"},
		{"account in front of an address", func(c *azure.Config) {
			c.Endpoint, c.Addressing = mustURL(t, "http://127.0.0.1:10000"), signer.AddressingVirtualHost
		}, signer.ErrRequest, "Addressing"},
		{"account in front twice", func(c *azure.Config) {
			c.Endpoint, c.Addressing = mustURL(t, "https://myaccount.blob.core.windows.net"), signer.AddressingVirtualHost
		}, signer.ErrRequest, "Addressing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := azure.New(config(t, tt.edit))
			wantError(t, err, tt.class, tt.field)
		})
	}
	_, err := azure.New(config(t, func(c *azure.Config) { c.Keys = azure.Key{} }))
	if err == nil || !strings.Contains(err.Error(), "did SharedKey return an error") || strings.Contains(err.Error(), `""`) {
		t.Errorf("the zero Key: %v", err)
	}
	_, err = azure.New(azure.Config{Container: "A", Version: "x"})
	for _, field := range []string{"Account", "Container", "Version", "Keys"} {
		if err == nil || !strings.Contains(err.Error(), ": "+field+":") {
			t.Errorf("%s is not reported: %v", field, err)
		}
	}
}

func TestSharedKeyErrors(t *testing.T) {
	for _, tt := range []struct{ name, account, key, field, says string }{
		{"no account", "", accountKey, "Account", "name the storage account"},
		{"no key", "myaccount", "", "Key", "access keys"},
		{"not base64", "myaccount", "my secret key!", "Key", "not base64"},
		{"cut off", "myaccount", accountKey[:len(accountKey)-1], "Key", "not base64"},
		{"with a line feed", "myaccount", accountKey + "\n", "Key", "trim it"},
		{"with a blank", "myaccount", " " + accountKey, "Key", "trim it"},
		{"with a line feed in it", "myaccount", accountKey[:40] + "\n" + accountKey[40:], "Key", "not base64"},
		{"a connection string", "myaccount", "DefaultEndpointsProtocol=https;AccountName=myaccount;AccountKey=" + accountKey + ";EndpointSuffix=core.windows.net\n", "Key", "value of its AccountKey"},
		{"base64 for URLs", "myaccount", strings.ReplaceAll(accountKey, "/", "_"), "Key", "not base64"},
		{"bits too many", "myaccount", "AAB=", "Key", "not base64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := azure.SharedKey(tt.account, tt.key)
			wantError(t, err, signer.ErrCredentials, tt.field)
			if err != nil && (strings.Contains(err.Error(), "secret key!") || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("the key is in it, or %q is not: %v", tt.says, err)
			}
		})
	}
}

// Keys do not print, wherever they stand.
func TestKeysDoNotPrint(t *testing.T) {
	k, d := key(t), delegation()
	whole, err := d.Key(ctx, now)
	if err != nil {
		t.Fatal(err)
	}
	hidden := []string{accountKey[:20], string(k.Secret().Reveal()), string(d.Value.Reveal()), fmt.Sprint(d.Value.Reveal())[1:40], fmt.Sprintf("%x", d.Value.Reveal())}
	for _, x := range []any{k, &k, d, &d, whole, []azure.Key{k, whole}, struct{ k azure.Key }{k}, struct{ d azure.UserDelegationKey }{d}, map[string]azure.UserDelegationKey{"a": d}, newSigner(t, delegated)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			for _, h := range hidden {
				if text := fmt.Sprintf(verb, x); strings.Contains(text, h) {
					t.Errorf("%T with %s prints a key: %s", x, verb, text)
				}
			}
		}
		if text, err := json.Marshal(x); err == nil && slices.ContainsFunc(hidden, func(h string) bool { return strings.Contains(string(text), h) }) {
			t.Errorf("%T in JSON: %s", x, text)
		}
	}
}

// The permission is the least that a method needs.
func TestPresignPermissions(t *testing.T) {
	s := newSigner(t)
	for _, tt := range []struct{ method, key, sp, sr string }{
		{"", "k", "r", "b"}, {"GET", "k", "r", "b"}, {"HEAD", "k", "r", "b"}, {"PUT", "k", "cw", "b"}, {"DELETE", "k", "d", "b"}, {"GET", "", "l", "c"},
	} {
		p, err := s.Presign(ctx, signer.Request{Method: tt.method, Key: tt.key, Expires: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		q := params(t, p.URL)
		if q.Get("sp") != tt.sp || q.Get("sr") != tt.sr || q.Get("sv") != azure.DefaultVersion {
			t.Errorf("%s %q: %v", tt.method, tt.key, q)
		}
		if tt.method == "PUT" && p.Header.Get("X-Ms-Blob-Type") != "BlockBlob" || tt.method != "PUT" && p.Header != nil {
			t.Errorf("%s: Header is %v, want X-Ms-Blob-Type: BlockBlob for PUT only", tt.method, p.Header)
		}
		if list := tt.key == ""; list != (q.Get("restype") == "container" && q.Get("comp") == "list") {
			t.Errorf("%s %q: restype %q, comp %q", tt.method, tt.key, q.Get("restype"), q.Get("comp"))
		}
	}
}

// The URL of a blob is where the endpoint and the addressing say, and the account is never taken from it.
func TestPresignPlaces(t *testing.T) {
	for _, tt := range []struct {
		endpoint   string
		addressing signer.Addressing
		want       string
	}{
		{"", signer.AddressingAuto, "https://myaccount.blob.core.windows.net/photos/a%20b?"},
		{"", signer.AddressingVirtualHost, "https://myaccount.blob.core.windows.net/photos/a%20b?"},
		{"https://blob.core.chinacloudapi.cn", signer.AddressingVirtualHost, "https://myaccount.blob.core.chinacloudapi.cn/photos/a%20b?"},
		{"https://myaccount.blob.core.usgovcloudapi.net", signer.AddressingAuto, "https://myaccount.blob.core.usgovcloudapi.net/photos/a%20b?"},
		{"https://myaccount-secondary.blob.core.windows.net:443/", signer.AddressingAuto, "https://myaccount-secondary.blob.core.windows.net/photos/a%20b?"},
		{"https://myaccount.dfs.core.windows.net", signer.AddressingAuto, "https://myaccount.dfs.core.windows.net/photos/a%20b?"},
		{"https://10.0.0.4:8443", signer.AddressingBucketHost, "https://10.0.0.4:8443/photos/a%20b?"},
		{"https://files.example/base", signer.AddressingAuto, "https://files.example/base/photos/a%20b?"},
		{"http://127.0.0.1:10000", signer.AddressingAuto, "http://127.0.0.1:10000/myaccount/photos/a%20b?"},
		{"http://127.0.0.1:10000/myaccount", signer.AddressingAuto, "http://127.0.0.1:10000/myaccount/photos/a%20b?"},
		{"http://azurite:10000/myaccount/", signer.AddressingAuto, "http://azurite:10000/myaccount/photos/a%20b?"},
		{"http://azurite:10000", signer.AddressingPath, "http://azurite:10000/myaccount/photos/a%20b?"},
		{"http://localhost:10000", signer.AddressingAuto, "http://localhost:10000/myaccount/photos/a%20b?"},
		{"http://[::1]:10000", signer.AddressingAuto, "http://[::1]:10000/myaccount/photos/a%20b?"},
		{"http://blob.localhost:10000", signer.AddressingVirtualHost, "http://myaccount.blob.localhost:10000/photos/a%20b?"},
	} {
		s := newSigner(t, func(c *azure.Config) {
			if c.Addressing = tt.addressing; tt.endpoint != "" {
				c.Endpoint = mustURL(t, tt.endpoint)
			}
		})
		var trace signer.Trace
		p, err := s.Presign(signer.WithTrace(ctx, &trace), signer.Request{Key: "a b", Expires: time.Hour})
		if err != nil {
			t.Errorf("%s, %v: %v", tt.endpoint, tt.addressing, err)
			continue
		}
		if !strings.HasPrefix(p.URL, tt.want) {
			t.Errorf("%s, %v: %s, want %s", tt.endpoint, tt.addressing, p.URL, tt.want)
		}
		if !strings.Contains(string(trace.StringToSign), "\n/blob/myaccount/photos/a b\n") {
			t.Errorf("%s, %v: signed is %q", tt.endpoint, tt.addressing, trace.StringToSign)
		}
	}
	oneLake := newSigner(t, func(c *azure.Config) {
		c.Account, c.Container, c.Keys, c.Endpoint = "onelake", "My Workspace", delegation(), mustURL(t, "https://onelake.blob.fabric.microsoft.com")
		c.Container = "myWorkspace"
	})
	p, err := oneLake.Presign(ctx, signer.Request{Key: "myLakehouse.Lakehouse/Files/sales.csv", Expires: time.Hour})
	if err != nil || !strings.HasPrefix(p.URL, "https://onelake.blob.fabric.microsoft.com/myWorkspace/myLakehouse.Lakehouse/Files/sales.csv?") {
		t.Errorf("OneLake: %v, %v", p, err)
	}
}

func TestPresignErrors(t *testing.T) {
	newest := version("2026-04-06")
	for _, tt := range []struct {
		name  string
		edit  func(*signer.Request)
		conf  []func(*azure.Config)
		class error
		field string
	}{
		{"post", func(r *signer.Request) { r.Method = "POST" }, nil, signer.ErrUnsupported, "Method"},
		{"head of a container", func(r *signer.Request) { r.Method, r.Key = "HEAD", "" }, nil, signer.ErrUnsupported, "Method"},
		{"container in capitals", func(r *signer.Request) { r.Bucket = "Photos" }, nil, signer.ErrRequest, "Bucket"},
		{"no container", func(r *signer.Request) {}, []func(*azure.Config){func(c *azure.Config) { c.Container = "" }}, signer.ErrRequest, "Bucket"},
		{"header in two spellings", func(r *signer.Request) { r.BestEffort, r.Header = true, http.Header{"X-A": {"1"}, "x-a": {"2"}} }, nil, signer.ErrRequest, "Header"},
		{"key with a line feed in an old version", func(r *signer.Request) { r.Key = "a\nb" }, []func(*azure.Config){version("2015-02-21")}, signer.ErrUnsupported, "Key"},
		{"key with a backslash", func(r *signer.Request) { r.Key = `a\b` }, nil, signer.ErrUnsupported, "Key"},
		{"header", func(r *signer.Request) { r.Header = http.Header{"Content-Type": {"text/plain"}} }, nil, signer.ErrUnsupported, "Header"},
		{"header with a delegation key", func(r *signer.Request) { r.Header = http.Header{"Content-Type": {"text/plain"}} }, []func(*azure.Config){delegated}, signer.ErrUnsupported, "Header"},
		{"header with an account key", func(r *signer.Request) { r.Header = http.Header{"Content-Type": {"text/plain"}} }, []func(*azure.Config){newest}, signer.ErrUnsupported, "Header"},
		{"length, even where headers are signed", func(r *signer.Request) { r.Header = http.Header{"Content-Length": {"5"}} }, []func(*azure.Config){newest, delegated}, signer.ErrUnsupported, "Header"},
		{"header with two values", func(r *signer.Request) { r.Header = http.Header{"X-Ms-Meta-A": {"1", "2"}} }, []func(*azure.Config){newest, delegated}, signer.ErrUnsupported, "Header"},
		{"parameter", func(r *signer.Request) { r.Query = url.Values{"timeout": {"5"}} }, nil, signer.ErrUnsupported, "Query"},
		{"parameter with two values", func(r *signer.Request) { r.Query = url.Values{"timeout": {"5", "6"}} }, []func(*azure.Config){newest, delegated}, signer.ErrUnsupported, "Query"},
		{"parameter with a comma", func(r *signer.Request) { r.Query = url.Values{"a,b": {"5"}} }, []func(*azure.Config){newest, delegated}, signer.ErrUnsupported, "Query"},
		{"snapshot and version", func(r *signer.Request) { r.Query = url.Values{"snapshot": {"x"}, "versionid": {"y"}} }, nil, signer.ErrRequest, "Query"},
		{"two snapshots", func(r *signer.Request) { r.Query = url.Values{"snapshot": {"x", "y"}} }, nil, signer.ErrRequest, "Query"},
		{"snapshot in an old version", func(r *signer.Request) { r.Query = url.Values{"snapshot": {"x"}} }, []func(*azure.Config){version("2018-03-28")}, signer.ErrUnsupported, "Query"},
		{"override of Expires", func(r *signer.Request) { r.Response.Expires = "0" }, nil, signer.ErrUnsupported, "Response.Expires"},
		{"override in an old version", func(r *signer.Request) { r.Response.ContentType = "a/b" }, []func(*azure.Config){version("2012-02-12")}, signer.ErrUnsupported, "Response"},
		{"IPv6", func(r *signer.Request) { r.SourceIP = netip.MustParsePrefix("2001:db8::/32") }, nil, signer.ErrUnsupported, "SourceIP"},
		{"IPv4 within IPv6", func(r *signer.Request) { r.SourceIP = netip.MustParsePrefix("::ffff:192.0.2.0/120") }, nil, signer.ErrUnsupported, "SourceIP"},
		{"address in an old version", func(r *signer.Request) { r.SourceIP = netip.MustParsePrefix("192.0.2.0/24") }, []func(*azure.Config){version("2015-02-21")}, signer.ErrUnsupported, "SourceIP"},
		{"end beyond the delegation key", func(r *signer.Request) { r.Expires = 25 * time.Hour }, []func(*azure.Config){delegated}, signer.ErrCredentials, "Keys"},
		{"delegation key of tomorrow", func(r *signer.Request) {}, []func(*azure.Config){func(c *azure.Config) {
			k := delegation()
			k.SignedStart = "2026-11-25T00:00:00Z"
			c.Keys = k
		}}, signer.ErrCredentials, "Keys"},
		{"dead delegation key", func(r *signer.Request) { r.AllowShorter = true }, []func(*azure.Config){func(c *azure.Config) {
			k := delegation()
			k.SignedExpiry = "2026-11-24T23:59:49Z"
			c.Keys = k
		}}, signer.ErrCredentials, "Keys"},
		{"source that fails", func(r *signer.Request) {}, []func(*azure.Config){func(c *azure.Config) {
			c.Keys = source(func() (azure.Key, error) { return azure.Key{}, errors.New("down") })
		}}, signer.ErrCredentials, "Keys"},
		{"source of nothing", func(r *signer.Request) {}, []func(*azure.Config){func(c *azure.Config) {
			c.Keys = source(func() (azure.Key, error) { return azure.Key{}, nil })
		}}, signer.ErrCredentials, "Keys"},
		{"source of another account's key", func(r *signer.Request) {}, []func(*azure.Config){func(c *azure.Config) {
			c.Keys = source(func() (azure.Key, error) { return azure.SharedKey("another", accountKey) })
		}}, signer.ErrCredentials, "Keys"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSigner(t, tt.conf...)
			r := signer.Request{Key: "k", Expires: time.Hour}
			tt.edit(&r)
			p, err := s.Presign(ctx, r)
			wantError(t, err, tt.class, tt.field)
			if p != nil {
				t.Error("a URL beside the error")
			}
			dst, _, err := s.AppendURL(ctx, []byte("before"), r)
			if string(dst) != "before" || err == nil {
				t.Errorf("AppendURL: %s, %v", dst, err)
			}
		})
	}
}

// All that is wrong with a Request is reported, and nothing twice.
func TestPresignReportsAll(t *testing.T) {
	r := signer.Request{Method: "POST", Bucket: "A", Key: `a\b`, Query: url.Values{"timeout": {"5"}, "prefix": {"x"}}, Header: http.Header{"Range": {"x"}, "Content-Length": {"5"}},
		SourceIP: netip.MustParsePrefix("::1/128")}
	for _, tt := range []struct {
		name   string
		edit   func(*signer.Request)
		conf   []func(*azure.Config)
		fields []string
	}{
		{"a service SAS", func(r *signer.Request) {}, nil, []string{"Bucket", "Expires", "Header", "Header", "Key", "Method", "Query", "Query", "SourceIP"}},
		{"with an account key that a source gives", func(r *signer.Request) {}, []func(*azure.Config){func(c *azure.Config) { c.Keys = source(func() (azure.Key, error) { panic("asked for") }) }},
			[]string{"Bucket", "Expires", "Header", "Header", "Key", "Method", "Query", "Query", "SourceIP"}},
		{"overrides", func(r *signer.Request) { *r = signer.Request{Key: "k", Response: signer.ResponseHeaders{Expires: "0"}} }, nil, []string{"Expires", "Response.Expires"}},
		{"signed headers, which only a key tells", func(r *signer.Request) {
			r.Header, r.Query = http.Header{"Content-Length": {"5"}, "A": {"1", "2"}}, url.Values{"a": {"1", "2"}, "b": {"1"}, "B": {"1"}}
		},
			[]func(*azure.Config){delegated, version("2026-04-06")}, []string{"Bucket", "Expires", "Key", "Method", "SourceIP"}},
		{"signed headers", func(r *signer.Request) {
			*r = signer.Request{Key: "k", Expires: time.Hour, Header: http.Header{"Content-Length": {"5"}, "A": {"1", "2"}}, Query: url.Values{"a": {"1", "2"}, "b": {"1"}, "B": {"1"}}}
		}, []func(*azure.Config){delegated, version("2026-04-06")}, []string{"Header", "Header", "Query", "Query"}},
		{"a list by HEAD", func(r *signer.Request) { *r = signer.Request{Method: "HEAD", Expires: time.Hour} }, nil, []string{"Method"}},
		{"a container to be written", func(r *signer.Request) { *r = signer.Request{Method: "PUT", Expires: time.Hour} }, nil, []string{"Key"}},
	} {
		asked := r
		tt.edit(&asked)
		_, err := newSigner(t, tt.conf...).Presign(ctx, asked)
		var fields []string
		for _, one := range flat(err) {
			var e *signer.Error
			if errors.As(one, &e) {
				fields = append(fields, e.Field)
			}
		}
		if slices.Sort(fields); !slices.Equal(fields, tt.fields) {
			t.Errorf("%s: %q, want %q: %v", tt.name, fields, tt.fields, err)
		}
	}
}

// No parameter carries the override of Expires, so BestEffort cannot send it, and the error does not advise it.
func TestPresignExpiresHasNoParameter(t *testing.T) {
	_, err := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Hour, BestEffort: true, Response: signer.ResponseHeaders{Expires: "0"}})
	wantError(t, err, signer.ErrUnsupported, "Response.Expires")
	if err != nil && (!strings.Contains(err.Error(), "has no parameter") || strings.Contains(err.Error(), "BestEffort")) {
		t.Error(err)
	}
}

// The deletion of a version has a permission of its own.
func TestPresignDeleteVersion(t *testing.T) {
	r := signer.Request{Method: "DELETE", Key: "k", Expires: time.Hour, Query: url.Values{"versionid": {"2026-11-20T01:02:03.4567890Z"}}}
	p, err := newSigner(t).Presign(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if g, err := newVerifier(t).Verify(ctx, received(t, p, nil)); err != nil || g.Permissions != "x" || g.Query.Get("versionid") != "2026-11-20T01:02:03.4567890Z" {
		t.Errorf("%+v, %v", g, err)
	}
	bare, _, _ := strings.Cut(p.URL, "&sv=")
	bare, _, _ = strings.Cut(bare, "sv=")
	req, err := http.NewRequest("DELETE", strings.TrimSuffix(bare, "&"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if q, err := newSigner(t).PresignRequest(ctx, req, signer.Options{Expires: time.Hour}); err != nil || q.URL != p.URL {
		t.Errorf("Presign has %s, PresignRequest %v, %v", p.URL, q, err)
	}
	_, err = newSigner(t, version("2018-11-09")).Presign(ctx, r)
	wantError(t, err, signer.ErrUnsupported, "Query")
}

// A length that cannot be limited is not called a header of a later version.
func TestPresignLength(t *testing.T) {
	for _, conf := range [][]func(*azure.Config){nil, {version("2026-04-06"), delegated}} {
		_, err := newSigner(t, conf...).Presign(ctx, signer.Request{Method: "PUT", Key: "k", Expires: time.Hour, Header: http.Header{"content-length": {"5"}}})
		if !errors.Is(err, signer.ErrUnsupported) || !strings.Contains(err.Error(), "cannot limit the length") {
			t.Error(err)
		}
	}
}

// source is a KeySource that is a function.
type source func() (azure.Key, error)

func (f source) Key(context.Context, time.Time) (azure.Key, error) { return f() }

// What a SAS cannot enforce goes through with BestEffort, and is named.
func TestPresignBestEffort(t *testing.T) {
	r := signer.Request{Method: "PUT", Key: "k", Expires: time.Hour, BestEffort: true, SourceIP: netip.MustParsePrefix("2001:db8::/32"),
		Query: url.Values{"timeout": {"5"}, "comp": {"block"}}, Header: http.Header{"Content-Type": {"text/plain"}, "Content-Length": {"5"}}}
	p, err := newSigner(t).Presign(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"Header.Content-Length", "Header.Content-Type", "Query.comp", "Query.timeout", "SourceIP"}; !slices.Equal(p.NotEnforced, want) {
		t.Errorf("NotEnforced is %q, want %q", p.NotEnforced, want)
	}
	if q := params(t, p.URL); q.Get("timeout") != "5" || q.Has("sip") || q.Has("srh") || p.Header.Get("Content-Type") != "text/plain" || p.Header.Get("X-Ms-Blob-Type") != "" {
		t.Errorf("%v, %v", q, p.Header)
	}
}

// From 2026-04-06 on a user delegation SAS signs headers and parameters, always in one order.
func TestPresignSignedHeaders(t *testing.T) {
	s := newSigner(t, delegated, version("2026-04-06"))
	r := signer.Request{Method: "PUT", Key: "k", Expires: time.Hour, Query: url.Values{"timeout": {"5"}, "comp": {"tier"}, "Z": {""}},
		Header: http.Header{"Content-Type": {" text/plain "}, "X-Ms-Meta-B": {"2"}, "x-ms-access-tier": {"Cool"}}}
	var trace signer.Trace
	p, err := s.Presign(signer.WithTrace(ctx, &trace), r)
	if err != nil {
		t.Fatal(err)
	}
	q := params(t, p.URL)
	if q.Get("srh") != "content-type,x-ms-access-tier,x-ms-meta-b" || q.Get("srq") != "Z,comp,timeout" || p.NotEnforced != nil {
		t.Errorf("srh %q, srq %q, %q", q.Get("srh"), q.Get("srq"), p.NotEnforced)
	}
	const signed = "\ncontent-type:text/plain\nx-ms-access-tier:Cool\nx-ms-meta-b:2\n\n\nZ:\ncomp:tier\ntimeout:5\n"
	if !strings.Contains(string(trace.StringToSign), signed) {
		t.Errorf("signed is %q", trace.StringToSign)
	}
	for range 50 {
		if again, err := s.Presign(ctx, r); err != nil || again.URL != p.URL {
			t.Fatal("another URL")
		}
	}
	g, err := newVerifier(t).Verify(ctx, received(t, p, nil))
	if err != nil || g.Header.Get("Content-Type") != "text/plain" || g.Query.Get("timeout") != "5" || !slices.Equal(g.SignedHeaders, []string{"content-type", "x-ms-access-tier", "x-ms-meta-b"}) {
		t.Errorf("%+v, %v", g, err)
	}
	for name, edit := range map[string]func(*http.Request){
		"header changed":    func(r *http.Request) { r.Header.Set("X-Ms-Meta-B", "3") },
		"header missing":    func(r *http.Request) { r.Header.Del("X-Ms-Meta-B") },
		"header doubled":    func(r *http.Request) { r.Header.Add("X-Ms-Meta-B", "2") },
		"parameter changed": func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "timeout=5", "timeout=6", 1) },
		"parameter missing": func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "timeout=5", "", 1) },
		"parameter doubled": func(r *http.Request) { r.RequestURI += "&timeout=5" },
		"a list changed":    func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "%2Cx-ms-meta-b", "", 1) },
	} {
		in := received(t, p, nil)
		if edit(in); in.RequestURI == received(t, p, nil).RequestURI && name[0] != 'h' {
			t.Fatalf("%s: nothing changed", name)
		}
		if _, err := newVerifier(t).Verify(ctx, in); !errors.Is(err, signer.ErrMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Snapshot and version are addressed, and signed.
func TestPresignSnapshot(t *testing.T) {
	const moment = "2026-11-20T01:02:03.4567890Z"
	for name, sr := range map[string]string{"snapshot": "bs", "versionid": "bv"} {
		var trace signer.Trace
		p, err := newSigner(t).Presign(signer.WithTrace(ctx, &trace), signer.Request{Key: "k", Expires: time.Hour, Query: url.Values{name: {moment}}})
		if err != nil {
			t.Fatal(err)
		}
		if q := params(t, p.URL); q.Get("sr") != sr || q.Get(name) != moment || p.NotEnforced != nil || !strings.Contains(string(trace.StringToSign), "\n"+sr+"\n"+moment+"\n") {
			t.Errorf("%v, signed is %q", q, trace.StringToSign)
		}
		in := received(t, p, nil)
		if g, err := newVerifier(t).Verify(ctx, in); err != nil || g.Query.Get(name) != moment {
			t.Errorf("%+v, %v", g, err)
		}
		other := map[string]string{"snapshot": "versionid", "versionid": "snapshot"}[name]
		both := in.Clone(ctx)
		both.RequestURI += "&" + other + "=2026-11-19T01%3A02%3A03.4567890Z"
		if _, err := newVerifier(t).Verify(ctx, both); !errors.Is(err, signer.ErrScope) {
			t.Errorf("%s too: %v", other, err)
		}
		in.RequestURI = strings.Replace(in.RequestURI, "2026-11-20", "2026-11-21", 1)
		if _, err := newVerifier(t).Verify(ctx, in); !errors.Is(err, signer.ErrMismatch) {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

func TestPresignSourceIP(t *testing.T) {
	for prefix, want := range map[string]string{
		"192.0.2.7/32": "192.0.2.7", "192.0.2.7/24": "192.0.2.0-192.0.2.255", "10.0.0.0/8": "10.0.0.0-10.255.255.255", "192.0.2.6/31": "192.0.2.6-192.0.2.7",
		"0.0.0.0/0": "0.0.0.0-255.255.255.255", "192.0.2.129/25": "192.0.2.128-192.0.2.255",
	} {
		p, err := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Hour, SourceIP: netip.MustParsePrefix(prefix)})
		if err != nil || params(t, p.URL).Get("sip") != want {
			t.Errorf("%s: %v, %v, want %s", prefix, p.URL, err, want)
		}
	}
}

// A SAS begins before now, but not before the key that signs it, and ends no later than that.
func TestPresignTimes(t *testing.T) {
	second := now.Truncate(time.Second)
	young := func(c *azure.Config) {
		k := delegation()
		k.SignedStart = "2026-11-24T23:50:00Z"
		c.Keys = k
	}
	backdate := func(d time.Duration) func(*azure.Config) { return func(c *azure.Config) { c.Backdate = d } }
	for _, tt := range []struct {
		name     string
		conf     []func(*azure.Config)
		r        signer.Request
		from, to time.Time
		by       signer.Limit
	}{
		{"default", nil, signer.Request{Expires: time.Hour}, second.Add(-15 * time.Minute), second.Add(time.Hour), signer.LimitRequest},
		{"none", []func(*azure.Config){backdate(-1)}, signer.Request{Expires: time.Hour}, second, second.Add(time.Hour), signer.LimitRequest},
		{"a minute", []func(*azure.Config){backdate(time.Minute)}, signer.Request{Expires: time.Hour}, second.Add(-time.Minute), second.Add(time.Hour), signer.LimitRequest},
		{"an old delegation key", []func(*azure.Config){delegated}, signer.Request{Expires: time.Hour}, second.Add(-15 * time.Minute), second.Add(time.Hour), signer.LimitRequest},
		{"a young delegation key", []func(*azure.Config){young}, signer.Request{Expires: time.Hour}, time.Date(2026, 11, 24, 23, 50, 0, 0, time.UTC), second.Add(time.Hour), signer.LimitRequest},
		{"a week with a delegation key of a day", []func(*azure.Config){young}, signer.Request{Expires: 7 * 24 * time.Hour, AllowShorter: true},
			time.Date(2026, 11, 24, 23, 50, 0, 0, time.UTC), second.Add(24 * time.Hour), signer.LimitCredentials},
		{"a century", nil, signer.Request{Expires: 100 * 365 * 24 * time.Hour}, second.Add(-15 * time.Minute), second.Add(100 * 365 * 24 * time.Hour), signer.LimitRequest},
	} {
		tt.r.Key = "k"
		p, err := newSigner(t, tt.conf...).Presign(ctx, tt.r)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		q := params(t, p.URL)
		if !p.NotBefore.Equal(tt.from) || !p.ExpiresAt.Equal(tt.to) || p.LimitedBy != tt.by ||
			q.Get("st") != tt.from.Format(time.RFC3339) || q.Get("se") != tt.to.Format(time.RFC3339) {
			t.Errorf("%s: %v to %v by %v, want %v to %v by %v; %v", tt.name, p.NotBefore, p.ExpiresAt, p.LimitedBy, tt.from, tt.to, tt.by, q)
		}
	}
}

// Three ways, one URL.
func TestPresignRequest(t *testing.T) {
	for _, conf := range [][]func(*azure.Config){nil, {delegated}, {func(c *azure.Config) { c.Endpoint = mustURL(t, "http://127.0.0.1:10000") }}} {
		s := newSigner(t, conf...)
		for _, method := range []string{"GET", "PUT"} {
			p, err := s.Presign(ctx, signer.Request{Method: method, Key: "a b/c+%é", Expires: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			bare, _, _ := strings.Cut(p.URL, "?")
			req, err := http.NewRequest(method, bare, strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			q, err := s.PresignRequest(ctx, req, signer.Options{Expires: time.Hour})
			if err != nil || q.URL != p.URL || q.Header.Get("X-Ms-Blob-Type") != p.Header.Get("X-Ms-Blob-Type") {
				t.Errorf("Presign has %s %v, PresignRequest %v %v", p.URL, p.Header, q, err)
			}
			b, dies, err := s.AppendURL(ctx, []byte("before "), signer.Request{Method: method, Key: "a b/c+%é", Expires: time.Hour})
			if err != nil || !bytes.Equal(b, []byte("before "+p.URL)) || !dies.Equal(p.ExpiresAt) {
				t.Errorf("AppendURL has %s, %v, %v", b, dies, err)
			}
		}
		list, err := s.Presign(ctx, signer.Request{Expires: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		bare, _, _ := strings.Cut(list.URL, "?")
		req, _ := http.NewRequest("GET", bare+"?comp=list&restype=container", nil)
		if q, err := s.PresignRequest(ctx, req, signer.Options{Expires: time.Hour}); err != nil || q.URL != list.URL {
			t.Errorf("Presign has %s, PresignRequest %v %v", list.URL, q, err)
		}
	}
	s := newSigner(t)
	for name, tt := range map[string]struct {
		method, url, header string
		class               error
	}{
		"account":             {"GET", "https://myaccount.blob.core.windows.net/?comp=list", "", signer.ErrRequest},
		"container, no list":  {"GET", "https://myaccount.blob.core.windows.net/photos?restype=container", "", signer.ErrUnsupported},
		"container made":      {"PUT", "https://myaccount.blob.core.windows.net/photos?restype=container", "", signer.ErrUnsupported},
		"post":                {"POST", "https://myaccount.blob.core.windows.net/photos/k", "", signer.ErrUnsupported},
		"parameter":           {"GET", "https://myaccount.blob.core.windows.net/photos/k?timeout=5", "", signer.ErrUnsupported},
		"header":              {"GET", "https://myaccount.blob.core.windows.net/photos/k", "Range", signer.ErrUnsupported},
		"authorization":       {"GET", "https://myaccount.blob.core.windows.net/photos/k", "Authorization", signer.ErrConflict},
		"date":                {"GET", "https://myaccount.blob.core.windows.net/photos/k", "X-Ms-Date", signer.ErrConflict},
		"another's signature": {"GET", "https://myaccount.blob.core.windows.net/photos/k?X-Amz-Signature=0", "", signer.ErrConflict},
		"backslash":           {"GET", "https://myaccount.blob.core.windows.net/photos/a%5Cb", "", signer.ErrRequest},
		"capitals":            {"GET", "https://myaccount.blob.core.windows.net/Photos/k", "", signer.ErrRequest},
	} {
		req, err := http.NewRequest(tt.method, tt.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.header != "" {
			req.Header.Set(tt.header, "x")
		}
		if p, err := s.PresignRequest(ctx, req, signer.Options{Expires: time.Hour}); !errors.Is(err, tt.class) || p != nil {
			t.Errorf("%s: %v, %v, want %v", name, p, err, tt.class)
		}
	}
	root, _ := http.NewRequest("GET", "https://myaccount.blob.core.windows.net/favicon.ico", nil)
	var trace signer.Trace
	if _, err := s.PresignRequest(signer.WithTrace(ctx, &trace), root, signer.Options{Expires: time.Hour}); err != nil || !strings.Contains(string(trace.StringToSign), "\n/blob/myaccount/$root/favicon.ico\n") {
		t.Errorf("the root container: %v, signed is %q", err, trace.StringToSign)
	}
}
