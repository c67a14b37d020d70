package azure_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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

func accountKeys(secrets ...signer.Secret) func(context.Context) ([]signer.Secret, error) {
	return func(context.Context) ([]signer.Secret, error) { return secrets, nil }
}

// delegationKeys knows the keys it is given, and compares every field as it must.
func delegationKeys(known ...azure.UserDelegationKey) func(context.Context, azure.UserDelegationKey) (signer.Secret, error) {
	return func(_ context.Context, k azure.UserDelegationKey) (signer.Secret, error) {
		for _, one := range known {
			if one.SignedOID == k.SignedOID && one.SignedTID == k.SignedTID && one.SignedStart == k.SignedStart && one.SignedExpiry == k.SignedExpiry &&
				one.SignedService == k.SignedService && one.SignedVersion == k.SignedVersion && one.SignedDelegatedUserTID == k.SignedDelegatedUserTID {
				return one.Value, nil
			}
		}
		return signer.Secret{}, signer.ErrUnknownKey
	}
}

func newVerifier(t testing.TB, edits ...func(*azure.VerifierConfig)) *azure.Verifier {
	t.Helper()
	c := azure.VerifierConfig{Account: "myaccount", AccountKeys: accountKeys(key(t).Secret()), DelegationKey: delegationKeys(delegation()), Clock: clock.Fixed(now)}
	for _, edit := range edits {
		edit(&c)
	}
	v, err := azure.NewVerifier(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// received is a presigned request as a server sees it.
func received(t testing.TB, p *signer.Presigned, body io.Reader) *http.Request {
	t.Helper()
	sent, err := p.NewRequest(ctx, body)
	if err != nil {
		t.Fatal(err)
	}
	return arrive(sent)
}

// arrive turns a client's request into the server's view of it.
func arrive(sent *http.Request) *http.Request {
	r := httptest.NewRequest(sent.Method, sent.URL.String(), sent.Body)
	r.RequestURI = sent.URL.RequestURI()
	r.ContentLength = sent.ContentLength
	r.Header = sent.Header.Clone()
	for _, values := range r.Header { // as net/http does on both sides
		for i := range values {
			values[i] = strings.TrimSpace(values[i])
		}
	}
	if r.Host = sent.Host; r.Host == "" {
		r.Host = sent.URL.Host
	}
	if sent.URL.Scheme == "https" {
		r.TLS = new(tls.ConnectionState)
	}
	return r
}

func TestNewVerifierErrors(t *testing.T) {
	good := azure.VerifierConfig{Account: "myaccount", AccountKeys: accountKeys()}
	for _, tt := range []struct {
		name  string
		edit  func(*azure.VerifierConfig)
		field string
	}{
		{"no account", func(c *azure.VerifierConfig) { c.Account = "" }, "Account"},
		{"no keys", func(c *azure.VerifierConfig) { c.AccountKeys = nil }, "AccountKeys"},
		{"endpoint", func(c *azure.VerifierConfig) { c.Endpoint = &url.URL{Host: "h"} }, "Endpoint"},
		{"addressing", func(c *azure.VerifierConfig) { c.Addressing = signer.AddressingPath }, "Addressing"},
		{"learned clock", func(c *azure.VerifierConfig) { c.Clock = learned{clock.System()} }, "Clock"},
		{"negative leeway", func(c *azure.VerifierConfig) { c.Leeway = -1 }, "Leeway"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.edit(&c)
			_, err := azure.NewVerifier(c)
			wantError(t, err, signer.ErrRequest, tt.field)
		})
	}
}

// learned is a clock that has learned, which a verifier must not take.
type learned struct{ clock.Clock }

func (c learned) Read(string) (time.Time, time.Duration) { return c.Now(), 0 }

// What is signed is granted, in every version and at every place, with names decoded as they were meant.
func TestVerifyGrants(t *testing.T) {
	for _, place := range []struct {
		endpoint   string
		addressing signer.Addressing
	}{
		{"", signer.AddressingAuto},
		{"http://127.0.0.1:10000", signer.AddressingAuto},
		{"http://azurite:10000/myaccount", signer.AddressingAuto},
		{"https://blob.core.chinacloudapi.cn", signer.AddressingVirtualHost},
		{"https://files.example:8443/base/x%20y", signer.AddressingBucketHost},
	} {
		var endpoint *url.URL
		if place.endpoint != "" {
			endpoint = mustURL(t, place.endpoint)
		}
		v := newVerifier(t, func(c *azure.VerifierConfig) { c.Endpoint, c.Addressing = endpoint, place.addressing })
		for _, sv := range []string{"2012-02-12", "2013-08-15", "2015-02-21", "2015-04-05", "2018-11-09", "2019-12-12", "2020-02-10", "", "2022-11-02", "2025-07-05", "2026-04-06", "2026-12-06"} {
			for _, keys := range []azure.KeySource{key(t), delegation()} {
				_, delegated := keys.(azure.UserDelegationKey)
				if delegated && sv != "" && sv < "2018-11-09" {
					continue
				}
				s := newSigner(t, version(sv), func(c *azure.Config) { c.Keys, c.Endpoint, c.Addressing = keys, endpoint, place.addressing })
				for _, r := range []signer.Request{
					{Method: "GET", Key: "a b/c+d%2F.jpg"}, {Method: "HEAD", Key: "é//😀"}, {Method: "PUT", Key: "/~-._"}, {Method: "DELETE", Key: "a\nb?#"}, {Method: "GET"},
				} {
					if sv != "" && sv < "2015-04-05" {
						r.Key = strings.ReplaceAll(r.Key, "\n", "")
					}
					r.Expires = time.Hour
					p, err := s.Presign(ctx, r)
					if err != nil {
						t.Fatal(err)
					}
					g, err := v.Verify(ctx, received(t, p, nil))
					if err != nil {
						t.Errorf("%s, %s, %s %q: %v", place.endpoint, sv, r.Method, r.Key, err)
						continue
					}
					scheme, id := "service SAS", "myaccount"
					if delegated {
						scheme, id = "user delegation SAS", oid
					}
					if g.Backend != "azure" || g.Scheme != scheme || g.KeyID != id || g.Method != r.Method || g.Bucket != "photos" || g.Key != r.Key ||
						!g.NotBefore.Equal(p.NotBefore) || !g.ExpiresAt.Equal(p.ExpiresAt) || g.Permissions != params(t, p.URL).Get("sp") || g.Fingerprint == "" {
						t.Errorf("%s, %s, %s %q: granted %+v", place.endpoint, sv, r.Method, r.Key, g)
					}
				}
			}
		}
	}
}

// The account answers under its secondary's name and that of Data Lake Storage too, and under no other.
func TestVerifyHosts(t *testing.T) {
	p, err := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for host, ok := range map[string]bool{
		"myaccount.blob.core.windows.net": true, "MyAccount.Blob.Core.Windows.Net": true, "myaccount.blob.core.windows.net:443": true,
		"myaccount-secondary.blob.core.windows.net": true, "myaccount.dfs.core.windows.net": true, "myaccount-secondary.dfs.core.windows.net": true,
		"another.blob.core.windows.net": false, "myaccount.queue.core.windows.net": false, "myaccount.blob.core.windows.net.evil.example": false, "evil.example": false, "": false,
	} {
		in := received(t, p, nil)
		in.Host = host
		_, err := newVerifier(t).Verify(ctx, in)
		if ok != (err == nil) || !ok && !errors.Is(err, signer.ErrScope) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// handmade signs a service SAS for GET of /photos/k as it stands, right or wrong, in the layout of 2020-12-06.
func handmade(t testing.TB, query url.Values, resource string) *http.Request {
	t.Helper()
	lines := []string{query.Get("sp"), query.Get("st"), query.Get("se"), resource, query.Get("si"), query.Get("sip"), query.Get("spr"), query.Get("sv"), query.Get("sr"),
		query.Get("snapshot") + query.Get("versionid"), query.Get("ses"), query.Get("rscc"), query.Get("rscd"), query.Get("rsce"), query.Get("rscl"), query.Get("rsct")}
	query.Set("sig", mac(key(t).Secret().Reveal(), strings.Join(lines, "\n")))
	req, err := http.NewRequest("GET", "https://myaccount.blob.core.windows.net/photos/k?"+strings.ReplaceAll(query.Encode(), "+", "%20"), nil)
	if err != nil {
		t.Fatal(err)
	}
	in := arrive(req)
	in.RemoteAddr = "192.0.2.7:1234"
	return in
}

func mac(key []byte, toSign string) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(toSign))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func goodQuery() url.Values {
	return url.Values{"sv": {"2020-12-06"}, "sr": {"b"}, "sp": {"r"}, "st": {"2026-11-24T23:00:00Z"}, "se": {"2026-11-25T23:00:00Z"}}
}

// A signature that fits is not enough.
func TestVerifyRefusesWhatIsSigned(t *testing.T) {
	for _, tt := range []struct {
		name  string
		edit  func(url.Values)
		class error // nil: granted
		field string
		code  string
	}{
		{"as it should be", func(q url.Values) {}, nil, "", ""},
		{"no start", func(q url.Values) { q.Del("st") }, nil, "", ""},
		{"only a day", func(q url.Values) { q.Set("st", "2026-11-24"); q.Set("se", "2026-11-26") }, nil, "", ""},
		{"without seconds", func(q url.Values) { q.Set("st", "2026-11-24T23:00Z"); q.Set("se", "2026-11-25T23:00Z") }, nil, "", ""},
		{"with seven digits and offsets", func(q url.Values) {
			q.Set("st", "2026-11-24T23:00:00.1234567Z")
			q.Set("se", "2026-11-25T01:00:00+01:00")
		}, nil, "", ""},
		{"newer permissions in another order", func(q url.Values) { q.Set("sp", "rtmey") }, nil, "", ""},
		{"from this address", func(q url.Values) { q.Set("sip", "192.0.2.7") }, nil, "", ""},
		{"from this range", func(q url.Values) { q.Set("sip", "192.0.2.0-192.0.2.7") }, nil, "", ""},
		{"over both protocols", func(q url.Values) { q.Set("spr", "https,http") }, nil, "", ""},
		{"a version to come", func(q url.Values) { q.Set("sv", "2031-01-01") }, nil, "", ""},
		{"no version", func(q url.Values) { q.Del("sv") }, signer.ErrMalformed, "sv", "AuthenticationFailed"},
		{"a version that is none", func(q url.Values) { q.Set("sv", "2020-13-06") }, signer.ErrMalformed, "sv", "AuthenticationFailed"},
		{"a version before all", func(q url.Values) { q.Set("sv", "2009-09-19") }, signer.ErrMalformed, "sv", "AuthenticationFailed"},
		{"no end", func(q url.Values) { q.Del("se") }, signer.ErrMalformed, "se", "AuthenticationFailed"},
		{"no permissions", func(q url.Values) { q.Del("sp") }, signer.ErrMalformed, "sp", "AuthenticationFailed"},
		{"an empty start", func(q url.Values) { q.Set("st", "") }, signer.ErrMalformed, "st", "AuthenticationFailed"},
		{"permissions out of order", func(q url.Values) { q.Set("sp", "wr") }, signer.ErrMalformed, "sp", "AuthenticationFailed"},
		{"a permission twice", func(q url.Values) { q.Set("sp", "rr") }, signer.ErrMalformed, "sp", "AuthenticationFailed"},
		{"a letter that is none", func(q url.Values) { q.Set("sp", "rz") }, signer.ErrMalformed, "sp", "AuthenticationFailed"},
		{"another permission", func(q url.Values) { q.Set("sp", "acwd") }, signer.ErrScope, "sp", "AuthorizationPermissionMismatch"},
		{"a resource that is none", func(q url.Values) { q.Set("sr", "f") }, signer.ErrMalformed, "sr", "AuthenticationFailed"},
		{"a container", func(q url.Values) { q.Set("sr", "c") }, signer.ErrMismatch, "sig", "AuthenticationFailed"},
		{"a snapshot without one", func(q url.Values) { q.Set("sr", "bs") }, signer.ErrScope, "sr", "AuthorizationResourceTypeMismatch"},
		{"a version without one", func(q url.Values) { q.Set("sr", "bv") }, signer.ErrScope, "sr", "AuthorizationResourceTypeMismatch"},
		{"a snapshot of a blob as it is", func(q url.Values) { q.Set("snapshot", "2026-11-20T01:02:03.4567890Z") }, signer.ErrScope, "sr", "AuthorizationResourceTypeMismatch"},
		{"a depth without a directory", func(q url.Values) { q.Set("sdd", "1") }, signer.ErrMalformed, "sdd", "AuthenticationFailed"},
		{"a directory without a depth", func(q url.Values) { q.Set("sr", "d") }, signer.ErrMalformed, "sdd", "AuthenticationFailed"},
		{"an end before the start", func(q url.Values) { q.Set("se", "2026-11-24T22:00:00Z") }, signer.ErrMalformed, "se", "AuthenticationFailed"},
		{"an end at the start", func(q url.Values) { q.Set("se", "2026-11-24T23:00:00Z") }, signer.ErrMalformed, "se", "AuthenticationFailed"},
		{"an end that is none", func(q url.Values) { q.Set("se", "tomorrow") }, signer.ErrMalformed, "se", "AuthenticationFailed"},
		{"with eight digits", func(q url.Values) { q.Set("se", "2026-11-25T23:00:00.12345678Z") }, signer.ErrMalformed, "se", "AuthenticationFailed"},
		{"an end in words of Go", func(q url.Values) { q.Set("se", "2026-11-25T23:00:00,5Z") }, signer.ErrMalformed, "se", "AuthenticationFailed"},
		{"an end before 1970", func(q url.Values) { q.Del("st"); q.Set("se", "0001-01-01T00:00:00Z") }, signer.ErrMalformed, "se", "AuthenticationFailed"},
		{"expired", func(q url.Values) { q.Set("se", "2026-11-24T23:59:49Z") }, signer.ErrExpired, "se", "AuthenticationFailed"},
		{"not yet valid", func(q url.Values) { q.Set("st", "2026-11-25T00:14:50Z") }, signer.ErrNotYetValid, "st", "AuthenticationFailed"},
		{"from another address", func(q url.Values) { q.Set("sip", "192.0.2.8") }, signer.ErrScope, "sip", "AuthorizationSourceIPMismatch"},
		{"from another range", func(q url.Values) { q.Set("sip", "192.0.2.0-192.0.2.6") }, signer.ErrScope, "sip", "AuthorizationSourceIPMismatch"},
		{"from IPv6", func(q url.Values) { q.Set("sip", "::1") }, signer.ErrMalformed, "sip", "AuthenticationFailed"},
		{"from three addresses", func(q url.Values) { q.Set("sip", "192.0.2.6-192.0.2.7-192.0.2.8") }, signer.ErrMalformed, "sip", "AuthenticationFailed"},
		{"over http alone", func(q url.Values) { q.Set("spr", "http") }, signer.ErrMalformed, "spr", "AuthenticationFailed"},
		{"a line feed in a field", func(q url.Values) { q.Set("rscd", "a\nb") }, signer.ErrMalformed, "rscd", "AuthenticationFailed"},
		{"a policy", func(q url.Values) { q.Set("si", "p") }, signer.ErrUnsupported, "si", "AuthenticationFailed"},
		{"a field of an account SAS", func(q url.Values) { q.Set("srt", "o") }, signer.ErrMalformed, "sr", "AuthenticationFailed"},
		{"a field of a delegation SAS", func(q url.Values) { q.Set("saoid", oid) }, signer.ErrMalformed, "saoid", "AuthenticationFailed"},
		{"the field of a later version", func(q url.Values) { q.Set("sv", "2020-10-02"); q.Set("ses", "x") }, signer.ErrMalformed, "ses", "AuthenticationFailed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := goodQuery()
			tt.edit(q)
			g, err := newVerifier(t).Verify(ctx, handmade(t, q, "/blob/myaccount/photos/k"))
			if tt.class == nil {
				if err != nil || g.Key != "k" {
					t.Errorf("%+v, %v", g, err)
				}
				return
			}
			wantRefusal(t, g, err, tt.class, tt.field, tt.code)
		})
	}
	q := goodQuery()
	q.Set("spr", "https")
	in := handmade(t, q, "/blob/myaccount/photos/k")
	if _, err := newVerifier(t).Verify(ctx, in); err != nil {
		t.Error(err)
	}
	in.TLS = nil
	g, err := newVerifier(t).Verify(ctx, in)
	wantRefusal(t, g, err, signer.ErrScope, "spr", "AuthorizationProtocolMismatch")
	q.Set("sip", "192.0.2.7")
	in = handmade(t, q, "/blob/myaccount/photos/k")
	in.RemoteAddr = "@"
	g, err = newVerifier(t).Verify(ctx, in)
	wantRefusal(t, g, err, signer.ErrScope, "sip", "AuthorizationSourceIPMismatch")
}

func wantRefusal(t *testing.T, g *signer.Grant, err, class error, field, code string) {
	t.Helper()
	if g != nil {
		t.Errorf("granted %+v", g)
	}
	wantError(t, err, class, field)
	for _, one := range flat(err) {
		var e *signer.Error
		if errors.As(one, &e) && e.Field == field && errors.Is(one, class) && e.Code != code {
			t.Errorf("%v has the code %q, want %q", one, e.Code, code)
		}
	}
}

// Faults of form that need no signature, all reported.
func TestVerifyRefusesForm(t *testing.T) {
	p, err := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	sig := params(t, p.URL).Get("sig")
	for !strings.Contains(sig, "+") { // one with a plus
		p, err = newSigner(t, func(c *azure.Config) { c.Clock = clock.Fixed(now.Add(-time.Duration(len(sig)) * time.Second)) }).Presign(ctx, signer.Request{Key: sig, Expires: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		sig = params(t, p.URL).Get("sig")
	}
	head, _, _ := strings.Cut(p.URL, "&sig=")
	head = strings.TrimPrefix(head, "https://myaccount.blob.core.windows.net")
	path, query, _ := strings.Cut(head, "?")
	escaped := url.QueryEscape(sig)
	for _, tt := range []struct {
		name, target, auth string
		class              error
		field, code        string
	}{
		{"a plus that became a space", head + "&sig=" + strings.ReplaceAll(escaped, "%2B", "+"), "", signer.ErrMalformed, "sig", "AuthenticationFailed"},
		{"encoded twice", head + "&sig=" + url.QueryEscape(escaped), "", signer.ErrMalformed, "sig", "AuthenticationFailed"},
		{"no base64", head + "&sig=abc", "", signer.ErrMalformed, "sig", "AuthenticationFailed"},
		{"base64 written otherwise", head + "&sig=" + url.QueryEscape(otherBase64(sig)), "", signer.ErrMalformed, "sig", "AuthenticationFailed"},
		{"a signature twice", head + "&sig=" + escaped + "&sig=" + escaped, "", signer.ErrMalformed, "sig", "AuthenticationFailed"},
		{"in capitals too", head + "&sig=" + escaped + "&SIG=" + escaped, "", signer.ErrMalformed, "SIG", "AuthenticationFailed"},
		{"in capitals alone", head + "&SIG=" + escaped, "", signer.ErrMalformed, "SIG", "AuthenticationFailed"},
		{"a field twice", head + "&sp=r&sig=" + escaped, "", signer.ErrMalformed, "sp", "AuthenticationFailed"},
		{"an operation twice", head + "&comp=&comp=metadata&sig=" + escaped, "", signer.ErrMalformed, "comp", "InvalidQueryParameterValue"},
		{"an operation in capitals", head + "&Comp=metadata&sig=" + escaped, "", signer.ErrMalformed, "comp", "InvalidQueryParameterValue"},
		{"a broken escape", head + "&a=%zz&sig=" + escaped, "", signer.ErrMalformed, "URL", "AuthenticationFailed"},
		{"an override added", head + "&rscd=attachment&sig=" + escaped, "", signer.ErrMismatch, "sig", "AuthenticationFailed"},
		{"a bearer token", head + "&sig=" + escaped, "Bearer abc", signer.ErrConflict, "Authorization", "InvalidAuthenticationInfo"},
		{"Shared Key too", head + "&sig=" + escaped, "SharedKey myaccount:" + sig, signer.ErrConflict, "Authorization", "InvalidAuthenticationInfo"},
		{"in the header", path, "SharedAccessSignature " + query, signer.ErrMalformed, "Authorization", "InvalidAuthenticationInfo"},
		{"in the header, bare", path, "?" + query + "&sig=" + escaped, signer.ErrMalformed, "Authorization", "InvalidAuthenticationInfo"},
		{"no signature", head, "", signer.ErrUnsigned, "", "NoAuthenticationInformation"},
		{"a signature of another's too", head + "&sig=" + escaped + "&X-Amz-Signature=0", "", signer.ErrConflict, "URL", "AuthenticationFailed"},
		{"a path that is none", "*?" + query + "&sig=" + escaped, "", signer.ErrMalformed, "URL", "InvalidUri"},
		{"a broken path", "/photos/%zz?" + query + "&sig=" + escaped, "", signer.ErrMalformed, "URL", "InvalidUri"},
		{"a path without a container", "//k?" + query + "&sig=" + escaped, "", signer.ErrMalformed, "URL", "InvalidUri"},
		{"a container in capitals", "/Photos/k?" + query + "&sig=" + escaped, "", signer.ErrScope, "URL", "InvalidResourceName"},
		{"a backslash", "/photos/a%5Cb?" + query + "&sig=" + escaped, "", signer.ErrMalformed, "URL", "InvalidUri"},
		{"the account", "/?" + query + "&sig=" + escaped, "", signer.ErrScope, "sr", "AuthorizationFailure"},
		{"the list of a container", "/photos?restype=container&comp=list&" + query + "&sig=" + escaped, "", signer.ErrScope, "sr", "AuthorizationResourceTypeMismatch"},
		{"an operation that no SAS allows", path + "?comp=acl&" + query + "&sig=" + escaped, "", signer.ErrScope, "sp", "AuthorizationFailure"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := received(t, p, nil)
			in.RequestURI = tt.target
			if tt.auth != "" {
				in.Header.Set("Authorization", tt.auth)
			}
			g, err := newVerifier(t).Verify(ctx, in)
			wantRefusal(t, g, err, tt.class, tt.field, tt.code)
			if err != nil && (strings.Contains(err.Error(), sig[:20]) || strings.Contains(err.Error(), escaped[:20])) {
				t.Errorf("the signature is in %v", err)
			}
		})
	}
	in := received(t, p, nil)
	in.Host, in.RequestURI = "evil.example", "/photos/k?sv=2020-12-06&sr=q&sp=zz&se=x&sig=y"
	_, err = newVerifier(t).Verify(ctx, in)
	if got := len(flat(err)); got != 6 {
		t.Errorf("%d faults of 6 are reported: %v", got, err)
	}
}

// otherBase64 writes the 32 bytes of a signature as another text of base64 that lax decoders take.
func otherBase64(sig string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := strings.IndexByte(alphabet, sig[42])
	return sig[:42] + string(alphabet[last^1]) + "="
}

// What a permission is good for.
func TestVerifyOperations(t *testing.T) {
	v := newVerifier(t)
	s := newSigner(t, version("2022-11-02"))
	blob := func(sp string) string { return sign(t, s, azure.SAS{Blob: "k", Permissions: sp, Expires: time.Hour}) }
	container := func(sp string) string { return sign(t, s, azure.SAS{Permissions: sp, Expires: time.Hour}) }
	account := func(srt, sp string) string {
		p, err := s.AccountSAS(ctx, azure.AccountSAS{Services: "b", ResourceTypes: srt, Permissions: sp, Expires: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		_, query, _ := strings.Cut(p.URL, "?")
		return query
	}
	for _, tt := range []struct {
		method, target, sas string
		ok                  bool
	}{
		{"GET", "/photos/k?", blob("r"), true},
		{"HEAD", "/photos/k?comp=metadata&", blob("r"), true},
		{"GET", "/photos/k?comp=blocklist&", blob("r"), true},
		{"POST", "/photos/k?comp=query&", blob("r"), true},
		{"POST", "/photos/k?", blob("racwd"), false},
		{"PATCH", "/photos/k?", blob("racwd"), false},
		{"GET", "/photos/k?comp=tags&", blob("r"), false},
		{"GET", "/photos/k?comp=tags&", blob("t"), true},
		{"PUT", "/photos/k?comp=tags&", blob("t"), true},
		{"PUT", "/photos/k?", blob("r"), false},
		{"PUT", "/photos/k?", blob("c"), true},
		{"PUT", "/photos/k?", blob("w"), true},
		{"PUT", "/photos/k?", blob("a"), false},
		{"PUT", "/photos/k?comp=appendblock&", blob("a"), true},
		{"PUT", "/photos/k?comp=block&blockid=AA%3D%3D&", blob("c"), false},
		{"PUT", "/photos/k?comp=block&blockid=AA%3D%3D&", blob("w"), true},
		{"PUT", "/photos/k?comp=blocklist&", blob("c"), true},
		{"PUT", "/photos/k?comp=metadata&", blob("c"), false},
		{"PUT", "/photos/k?comp=lease&", blob("d"), true},
		{"PUT", "/photos/k?comp=legalhold&", blob("i"), true},
		{"PUT", "/photos/k?comp=tier&", blob("w"), true},
		{"PUT", "/photos/k?comp=unheard&", blob("racwd"), false},
		{"GET", "/photos/k?restype=container&", container("r"), false},
		{"DELETE", "/photos/k?", blob("w"), false},
		{"DELETE", "/photos/k?", blob("d"), true},
		{"DELETE", "/photos/k?versionid=2026-11-20T01%3A02%3A03.4567890Z&", container("d"), false},
		{"DELETE", "/photos/k?versionid=2026-11-20T01%3A02%3A03.4567890Z&", container("x"), true},
		{"DELETE", "/photos/k?deletetype=permanent&", container("d"), false},
		{"DELETE", "/photos/k?deletetype=permanent&", container("y"), true},
		{"GET", "/photos/other?", blob("r"), false},
		{"GET", "/photos/other?", container("r"), true},
		{"GET", "/photos/k?snapshot=2026-11-20T01%3A02%3A03.4567890Z&", container("r"), true},
		{"GET", "/videos/k?", container("r"), false},
		{"GET", "/photos?restype=container&comp=list&prefix=a&", container("r"), false},
		{"GET", "/photos?restype=container&comp=list&prefix=a&", container("l"), true},
		{"GET", "/photos?restype=container&comp=blobs&", container("f"), true},
		{"GET", "/photos?comp=list&", container("rl"), false},
		{"GET", "/photos?restype=container&comp=acl&", container("racwdl"), false},
		{"GET", "/photos?restype=container&", container("racwdl"), false},
		{"DELETE", "/photos?restype=container&", container("racwdl"), false},
		{"PUT", "/photos?restype=container&comp=lease&", container("racwdl"), false},
		{"GET", "/photos/k?", account("o", "r"), true},
		{"GET", "/photos/k?", account("sc", "r"), false},
		{"PUT", "/photos/k?", account("o", "r"), false},
		{"GET", "/photos?restype=container&comp=list&", account("c", "l"), true},
		{"GET", "/photos?restype=container&comp=list&", account("o", "l"), false},
		{"GET", "/photos?restype=container&", account("c", "r"), true},
		{"PUT", "/photos?restype=container&", account("c", "c"), true},
		{"PUT", "/photos?restype=container&comp=metadata&", account("c", "w"), true},
		{"PUT", "/photos?restype=container&comp=lease&", account("c", "w"), true},
		{"PUT", "/photos?restype=container&comp=acl&", account("sco", "rwdlacup"), false},
		{"DELETE", "/photos?restype=container&", account("c", "d"), true},
		{"GET", "/?comp=list&", account("s", "l"), true},
		{"GET", "/?comp=list&", account("co", "l"), false},
		{"GET", "/?comp=blobs&", account("s", "f"), true},
		{"GET", "/?restype=service&comp=properties&", account("s", "r"), true},
		{"PUT", "/?restype=service&comp=properties&", account("s", "r"), false},
		{"PUT", "/?restype=service&comp=properties&", account("s", "w"), true},
		{"HEAD", "/?restype=account&comp=properties&", account("s", "r"), true},
		{"POST", "/?restype=service&comp=userdelegationkey&", account("s", "rwdlacup"), false},
	} {
		in := arrive(httptest.NewRequest(tt.method, "https://myaccount.blob.core.windows.net"+tt.target+tt.sas, nil))
		g, err := v.Verify(ctx, in)
		if tt.ok != (err == nil) || g != nil && g.Method != tt.method {
			t.Errorf("%s %s with %s: %v", tt.method, tt.target, strings.SplitN(tt.sas, "sp=", 2)[1][:2], err)
		}
		if err != nil && !errors.Is(err, signer.ErrScope) && !errors.Is(err, signer.ErrMismatch) {
			t.Errorf("%s %s: %v", tt.method, tt.target, err)
		}
	}
	queues, err := s.AccountSAS(ctx, azure.AccountSAS{Services: "qtf", ResourceTypes: "sco", Permissions: "r", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	_, query, _ := strings.Cut(queues.URL, "?")
	g, err := v.Verify(ctx, arrive(httptest.NewRequest("GET", "https://myaccount.blob.core.windows.net/photos/k?"+query, nil)))
	wantRefusal(t, g, err, signer.ErrScope, "ss", "AuthorizationServiceMismatch")
}

// sign makes a SAS and returns its query.
func sign(t testing.TB, s *azure.Signer, a azure.SAS) string {
	t.Helper()
	p, err := s.SAS(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	_, query, _ := strings.Cut(p.URL, "?")
	return query
}

// A directory holds what is beneath it, and nothing that only looks so.
func TestVerifyDirectory(t *testing.T) {
	v := newVerifier(t)
	for _, keys := range []azure.KeySource{key(t), delegation()} {
		for _, name := range []string{"instruments/guitar", "instruments/guitar/"} {
			query := sign(t, newSigner(t, func(c *azure.Config) { c.Keys = keys }), azure.SAS{Directory: name, Permissions: "r", Expires: time.Hour})
			if !strings.Contains(query, "&sr=d&sdd=2&") {
				t.Fatal(query)
			}
			for path, ok := range map[string]bool{
				"instruments/guitar": true, "instruments/guitar/": true, "instruments/guitar/a": true, "instruments/guitar/a/b": true, "instruments%2Fguitar/a": true,
				"instruments/guitars": false, "instruments/guitars/a": false, "instruments": false, "instruments/": false, "instruments/drums/a": false, "a": false, "": false,
				"instruments/guitar/../drums/a": false, "instruments/guitar/%2e%2e/drums/a": false, "instruments/guitar/./a": false, "instruments/./guitar/a": false,
				"instruments/guitar//a": false, "instruments//guitar/a": false, "/instruments/guitar/a": false, "instruments/guitar/..%5Ca": false, "x/../instruments/guitar/a": false,
			} {
				in := arrive(httptest.NewRequest("GET", "https://myaccount.blob.core.windows.net/photos/k?"+query, nil))
				in.RequestURI = "/photos/" + path + "?" + query
				g, err := v.Verify(ctx, in)
				if ok != (err == nil) {
					t.Errorf("%s for %s: %v", name, path, err)
				}
				if ok && err == nil && g.Prefix != "instruments/guitar/" {
					t.Errorf("the prefix is %q", g.Prefix)
				}
			}
			for _, sdd := range []string{"1", "3", "02", "+2", "0", "-1", "x", "99999999999999999999"} {
				in := arrive(httptest.NewRequest("GET", "https://myaccount.blob.core.windows.net/photos/instruments/guitar/a/b?"+strings.Replace(query, "sdd=2", "sdd="+url.QueryEscape(sdd), 1), nil))
				if g, err := v.Verify(ctx, in); err == nil {
					t.Errorf("sdd=%s: %+v", sdd, g)
				}
			}
		}
	}
}

// A stored access policy has what the SAS has not, and only that.
func TestVerifyPolicy(t *testing.T) {
	policies := func(c *azure.VerifierConfig) {
		c.AccessPolicy = func(_ context.Context, container, id string) (azure.AccessPolicy, error) {
			switch container + "/" + id {
			case "photos/whole":
				return azure.AccessPolicy{Permissions: "r", Start: now.Add(-time.Hour), Expiry: now.Add(time.Hour)}, nil
			case "photos/over":
				return azure.AccessPolicy{Permissions: "r", Expiry: now}, nil
			case "photos/early":
				return azure.AccessPolicy{Permissions: "r", Start: now.Add(time.Hour), Expiry: now.Add(2 * time.Hour)}, nil
			case "photos/ending":
				return azure.AccessPolicy{Permissions: "r", Expiry: now.Add(2 * time.Hour)}, nil
			case "photos/endless":
				return azure.AccessPolicy{Permissions: "r"}, nil
			case "photos/powerless":
				return azure.AccessPolicy{Expiry: now.Add(time.Hour)}, nil
			case "photos/broken":
				return azure.AccessPolicy{}, io.ErrUnexpectedEOF
			}
			return azure.AccessPolicy{}, fmt.Errorf("%w: %s", signer.ErrUnknownKey, id)
		}
	}
	v := newVerifier(t, policies)
	for _, tt := range []struct {
		a     azure.SAS
		class error
		field string
	}{
		{azure.SAS{Blob: "k", Policy: "whole"}, nil, ""},
		{azure.SAS{Policy: "whole"}, nil, ""},
		{azure.SAS{Blob: "k", Policy: "endless", Expires: time.Hour}, nil, ""},
		{azure.SAS{Blob: "k", Policy: "whole", Expires: time.Hour}, signer.ErrMalformed, "si"},
		{azure.SAS{Blob: "k", Policy: "ending", Expires: time.Hour}, signer.ErrMalformed, "si"},
		{azure.SAS{Blob: "k", Policy: "whole", Start: now.Add(-time.Minute)}, signer.ErrMalformed, "si"},
		{azure.SAS{Blob: "k", Policy: "endless"}, signer.ErrMalformed, "si"},
		{azure.SAS{Blob: "k", Policy: "powerless"}, signer.ErrMalformed, "si"},
		{azure.SAS{Blob: "k", Policy: "over"}, signer.ErrExpired, "se"},
		{azure.SAS{Blob: "k", Policy: "early"}, signer.ErrNotYetValid, "st"},
		{azure.SAS{Blob: "k", Policy: "unheard"}, signer.ErrUnknownKey, "si"},
		{azure.SAS{Container: "videos", Blob: "k", Policy: "whole"}, signer.ErrUnknownKey, "si"},
	} {
		container := "photos"
		if tt.a.Container != "" {
			container = tt.a.Container
		}
		query := sign(t, newSigner(t), tt.a)
		get := func(method string) *http.Request {
			return arrive(httptest.NewRequest(method, "https://myaccount.blob.core.windows.net/"+container+"/k?"+query, nil))
		}
		g, err := v.Verify(ctx, get("GET"))
		if tt.class != nil {
			wantRefusal(t, g, err, tt.class, tt.field, "AuthenticationFailed")
			continue
		}
		if err != nil || g.Permissions != "r" || !g.ExpiresAt.Equal(now.Add(time.Hour)) && !g.ExpiresAt.Equal(now.Truncate(time.Second).Add(time.Hour)) {
			t.Errorf("%+v: %+v, %v", tt.a, g, err)
		}
		g, err = v.Verify(ctx, get("PUT"))
		wantRefusal(t, g, err, signer.ErrScope, "sp", "AuthorizationPermissionMismatch")
	}
	// Ours never has permissions beside a policy, others' may, where the policy has none.
	for id, class := range map[string]error{"powerless": nil, "whole": signer.ErrMalformed} {
		q := url.Values{"sv": {"2020-12-06"}, "sr": {"b"}, "sp": {"r"}, "si": {id}}
		if g, err := v.Verify(ctx, handmade(t, q, "/blob/myaccount/photos/k")); !errors.Is(err, class) || class == nil && (err != nil || g.Permissions != "r") {
			t.Errorf("%s and permissions: %+v, %v", id, g, err)
		}
	}
	broken := arrive(httptest.NewRequest("GET", "https://myaccount.blob.core.windows.net/photos/k?"+sign(t, newSigner(t), azure.SAS{Blob: "k", Policy: "broken"}), nil))
	if _, err := v.Verify(ctx, broken); err != io.ErrUnexpectedEOF {
		t.Errorf("an error of the lookup's is returned as %v", err)
	}
}

// Keys that are looked up: two at a rotation, none, an empty one, an error; and user delegation keys of other fields.
func TestVerifyKeys(t *testing.T) {
	p, err := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	d, err := newSigner(t, delegated).Presign(ctx, signer.Request{Key: "k", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	mine, other := key(t).Secret(), signer.NewSecret([]byte("another"))
	younger := delegation()
	younger.SignedExpiry = "2026-11-26T00:00:00Z"
	down := errors.New("down")
	for _, tt := range []struct {
		name  string
		edit  func(*azure.VerifierConfig)
		p     *signer.Presigned
		class error
	}{
		{"the second of two", func(c *azure.VerifierConfig) { c.AccountKeys = accountKeys(other, mine) }, p, nil},
		{"another", func(c *azure.VerifierConfig) { c.AccountKeys = accountKeys(other) }, p, signer.ErrMismatch},
		{"none", func(c *azure.VerifierConfig) { c.AccountKeys = accountKeys() }, p, signer.ErrUnknownKey},
		{"an empty one", func(c *azure.VerifierConfig) { c.AccountKeys = accountKeys(mine, signer.Secret{}) }, p, signer.ErrUnknownKey},
		{"down", func(c *azure.VerifierConfig) {
			c.AccountKeys = func(context.Context) ([]signer.Secret, error) { return nil, down }
		}, p, down},
		{"no account keys", func(c *azure.VerifierConfig) { c.AccountKeys = nil }, p, signer.ErrUnsupported},
		{"delegation", func(c *azure.VerifierConfig) {}, d, nil},
		{"no delegation keys", func(c *azure.VerifierConfig) { c.DelegationKey = nil }, d, signer.ErrUnsupported},
		{"another delegation key", func(c *azure.VerifierConfig) { c.DelegationKey = delegationKeys(younger) }, d, signer.ErrUnknownKey},
		{"an empty delegation key", func(c *azure.VerifierConfig) {
			c.DelegationKey = func(context.Context, azure.UserDelegationKey) (signer.Secret, error) { return signer.Secret{}, nil }
		}, d, signer.ErrUnknownKey},
		{"delegation down", func(c *azure.VerifierConfig) {
			c.DelegationKey = func(context.Context, azure.UserDelegationKey) (signer.Secret, error) { return signer.Secret{}, down }
		}, d, down},
	} {
		_, err := newVerifier(t, tt.edit).Verify(ctx, received(t, tt.p, nil))
		if !errors.Is(err, tt.class) || tt.class == nil && err != nil {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.class)
		}
		var e *signer.Error
		if ours := tt.class != nil && tt.class != down; ours != errors.As(err, &e) {
			t.Errorf("%s: %T", tt.name, err)
		}
	}
}

// handmadeDelegation is handmade for a user delegation key.
func handmadeDelegation(k azure.UserDelegationKey) *http.Request {
	toSign := []string{"r", "2026-11-24T23:00:00Z", "2026-11-25T23:00:00Z", "/blob/myaccount/photos/k", k.SignedOID, k.SignedTID, k.SignedStart, k.SignedExpiry, k.SignedService, k.SignedVersion,
		"", "", "", "", "", "2020-12-06", "b", "", "", "", "", "", "", ""}
	q := goodQuery()
	for name, value := range map[string]string{"skoid": k.SignedOID, "sktid": k.SignedTID, "skt": k.SignedStart, "ske": k.SignedExpiry, "sks": k.SignedService, "skv": k.SignedVersion} {
		q.Set(name, value)
	}
	q.Set("sig", mac(k.Value.Reveal(), strings.Join(toSign, "\n")))
	return arrive(httptest.NewRequest("GET", "https://myaccount.blob.core.windows.net/photos/k?"+q.Encode(), nil))
}

// A key for queues signs no blobs.
func TestVerifyDelegationKeyOfAnotherService(t *testing.T) {
	k := delegation()
	known := func(c *azure.VerifierConfig) { c.DelegationKey = delegationKeys(k) }
	if _, err := newVerifier(t, known).Verify(ctx, handmadeDelegation(k)); err != nil {
		t.Error(err)
	}
	k.SignedService = "q"
	g, err := newVerifier(t, known).Verify(ctx, handmadeDelegation(k))
	wantRefusal(t, g, err, signer.ErrScope, "sks", "AuthenticationFailed")
}

// An account SAS has letters of its own.
func TestVerifyAccountSASLetters(t *testing.T) {
	for _, tt := range []struct{ ss, srt, sp, field string }{
		{"b", "o", "r", ""}, {"btqf", "sco", "tfr", ""}, {"bz", "o", "r", "ss, srt"}, {"b", "ox", "r", "ss, srt"}, {"b", "o", "rm", "sp"}, {"b", "o", "rr", "sp"}, {"", "o", "r", "ss"}, {"b", "", "r", "srt"},
	} {
		q := url.Values{"sv": {"2020-12-06"}, "sp": {tt.sp}, "se": {"2026-11-25T23:00:00Z"}}
		if tt.ss != "" {
			q.Set("ss", tt.ss)
		}
		if tt.srt != "" {
			q.Set("srt", tt.srt)
		}
		q.Set("sig", mac(key(t).Secret().Reveal(), strings.Join([]string{"myaccount", tt.sp, tt.ss, tt.srt, "", "2026-11-25T23:00:00Z", "", "", "2020-12-06", "", ""}, "\n")))
		g, err := newVerifier(t).Verify(ctx, arrive(httptest.NewRequest("GET", "https://myaccount.blob.core.windows.net/photos/k?"+q.Encode(), nil)))
		if tt.field == "" && (err != nil || g.Scheme != "account SAS" || g.Permissions != tt.sp) {
			t.Errorf("%+v: %+v, %v", tt, g, err)
		} else if tt.field != "" {
			wantRefusal(t, g, err, signer.ErrMalformed, tt.field, "AuthenticationFailed")
		}
	}
}

// The life of a user delegation key bounds that of the SAS.
func TestVerifyDelegationKeyLife(t *testing.T) {
	k := delegation()
	k.SignedStart, k.SignedExpiry = "2026-11-24T23:50:00Z", "2026-11-25T00:30:00Z"
	in := handmadeDelegation(k)
	at := func(hour, minute int) (*signer.Grant, error) {
		return newVerifier(t, func(c *azure.VerifierConfig) {
			c.Clock, c.DelegationKey = clock.Fixed(time.Date(2026, 11, 24, hour, minute, 0, 0, time.UTC)), delegationKeys(k)
		}).Verify(ctx, in)
	}
	g, err := at(24, 29)
	if err != nil || !g.NotBefore.Equal(time.Date(2026, 11, 24, 23, 50, 0, 0, time.UTC)) || !g.ExpiresAt.Equal(time.Date(2026, 11, 25, 0, 30, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v", g, err)
	}
	g, err = at(24, 30)
	wantRefusal(t, g, err, signer.ErrExpired, "ske", "AuthenticationFailed")
	g, err = at(23, 34)
	wantRefusal(t, g, err, signer.ErrNotYetValid, "skt", "AuthenticationFailed")
}

// What a verifier of SAS alone cannot check, it refuses.
func TestVerifyUserBound(t *testing.T) {
	s := newSigner(t, delegated, version("2025-07-05"))
	for _, a := range []azure.SAS{{DelegatedUserOID: tid}, {UnauthorizedOID: tid}} {
		a.Blob, a.Permissions, a.Expires = "k", "r", time.Hour
		in := arrive(httptest.NewRequest("GET", "https://myaccount.blob.core.windows.net/photos/k?"+sign(t, s, a), nil))
		g, err := newVerifier(t).Verify(ctx, in)
		wantRefusal(t, g, err, signer.ErrUnsupported, "sduoid, suoid", "AuthenticationFailed")
	}
	in := arrive(httptest.NewRequest("GET", "https://myaccount.blob.core.windows.net/photos/k?"+
		sign(t, s, azure.SAS{Blob: "k", Permissions: "r", Expires: time.Hour, AuthorizedOID: tid, CorrelationID: oid, EncryptionScope: "scope",
			Response: signer.ResponseHeaders{ContentDisposition: `attachment; filename="a b.txt"`}, Protocol: "https", FirstIP: netip.MustParseAddr("192.0.2.1"), LastIP: netip.MustParseAddr("192.0.2.9")}), nil))
	in.RemoteAddr = "192.0.2.7:1"
	g, err := newVerifier(t).Verify(ctx, in)
	if err != nil || g.Query.Get("rscd") != `attachment; filename="a b.txt"` || g.Query.Get("ses") != "scope" || slices.Contains(g.SignedHeaders, "host") {
		t.Errorf("%+v, %v", g, err)
	}
}

// One cause, one error: what follows from a path that is none of the account's is not at fault too.
func TestVerifyOneCauseOneError(t *testing.T) {
	query := sign(t, newSigner(t), azure.SAS{Blob: "k", Permissions: "r", Expires: time.Hour})
	emulator := func(c *azure.VerifierConfig) { c.Endpoint = mustURL(t, "http://127.0.0.1:10000") }
	for target, tt := range map[string]struct {
		class error
		field string
	}{"/another/photos/k?": {signer.ErrScope, "URL"}, "/myaccount/P/k?": {signer.ErrScope, "URL"}, "/myaccount/photos/a%5Cb?": {signer.ErrMalformed, "URL"}, "/%zz?": {signer.ErrMalformed, "URL"}, "/myaccount/?": {signer.ErrScope, "sr"}} {
		in := httptest.NewRequest("GET", "http://127.0.0.1:10000/", nil)
		in.RequestURI = target + query
		_, err := newVerifier(t, emulator).Verify(ctx, in)
		wantError(t, err, tt.class, tt.field)
		if n := len(flat(err)); n != 1 {
			t.Errorf("%s: %d errors: %v", target, n, err)
		}
	}
}

// The overrides are where a server looks for them.
func TestVerifyResponse(t *testing.T) {
	want := signer.ResponseHeaders{ContentType: "text/plain", ContentDisposition: "inline", CacheControl: "no-store", ContentEncoding: "br", ContentLanguage: "de"}
	p, err := newSigner(t).Presign(ctx, signer.Request{Key: "k", Expires: time.Hour, Response: want})
	if err != nil {
		t.Fatal(err)
	}
	if g, err := newVerifier(t).Verify(ctx, received(t, p, nil)); err != nil || g.Response != want {
		t.Errorf("%+v, %v", g, err)
	}
}
