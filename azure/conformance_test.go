package azure_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/signertest"
)

// TestConformance holds azure to the contract of signer.Signer and signer.Verifier, at every kind of place and with both kinds of
// key. It uses nothing of the other test files, so that signertest can run it alone.
func TestConformance(t *testing.T) {
	for _, p := range conformancePlaces() {
		t.Run(p.name, func(t *testing.T) { signertest.Run(t, p.harness(t)) })
	}
}

// TestAttacks mounts the corpus of attacks on the Verifier, at every kind of place.
func TestAttacks(t *testing.T) {
	for _, p := range conformancePlaces() {
		t.Run(p.name, func(t *testing.T) { signertest.Attack(t, p.harness(t)) })
	}
}

func BenchmarkFlood(b *testing.B) { signertest.Flood(b, conformancePlaces()[0].harness(b)) }

func conformancePlaces() []conformancePlace {
	return []conformancePlace{
		{name: "azure", bare: "https://myaccount.blob.core.windows.net/signertest/k"},
		{name: "path", endpoint: "http://127.0.0.1:10000", bare: "http://127.0.0.1:10000/myaccount/signertest/k"},
		{name: "path in the endpoint", endpoint: "http://azurite:10000/base/myaccount", bare: "http://azurite:10000/base/myaccount/signertest/k"},
		{name: "virtual host", endpoint: "https://blob.gw.example:8443", addressing: signer.AddressingVirtualHost, bare: "https://myaccount.blob.gw.example:8443/signertest/k"},
		{name: "own host", endpoint: "https://files.example", addressing: signer.AddressingBucketHost, bare: "https://files.example/signertest/k"},
		{name: "older version", version: "2015-04-05"},
		{name: "user delegation", delegation: true},
		{name: "user delegation, older version", delegation: true, version: "2018-11-09"},
		{name: "newest version", version: "2026-04-06"},
		{name: "user delegation, newest version", delegation: true, version: "2026-04-06"},
	}
}

const (
	conformanceFirst  = "Zmlyc3Qga2V5IG9mIHRoZSBhY2NvdW50LCBmb3IgdGVzdHMgYWxvbmUuLi4="
	conformanceSecond = "c2Vjb25kIGtleSBvZiB0aGUgYWNjb3VudCwgZm9yIHRlc3RzIGFsb25lLi4="
)

// A conformancePlace is where requests go, and with what kind of key.
type conformancePlace struct {
	name, endpoint string
	addressing     signer.Addressing
	version        string
	delegation     bool
	bare           string // the URL of the blob k, for forge; "" where that cannot sign
}

// key is the key that the options ask for.
func (p conformancePlace) key(o signertest.Options) (azure.Key, error) {
	text := conformanceFirst
	if o.Rotated() {
		text = conformanceSecond
	}
	if !p.delegation {
		if o.NoCredentials {
			return azure.Key{}, nil
		}
		return azure.SharedKey("myaccount", text)
	}
	return p.delegationKey(o, text).Key(context.Background(), time.Time{})
}

func (p conformancePlace) delegationKey(o signertest.Options, text string) azure.UserDelegationKey {
	k := azure.UserDelegationKey{SignedOID: "6ba7b810-9dad-11d1-80b4-00c04fd430c8", SignedTID: "6ba7b811-9dad-11d1-80b4-00c04fd430c8",
		SignedStart: "2026-11-01T00:00:00Z", SignedExpiry: "2126-11-01T00:00:00Z", SignedService: "b", SignedVersion: "2022-11-02"}
	if !o.CredentialsExpire.IsZero() {
		k.SignedExpiry = o.CredentialsExpire.UTC().Format(time.RFC3339)
	}
	if !o.NoCredentials {
		k.Value = signer.NewSecret([]byte(text))
	}
	return k
}

func (p conformancePlace) harness(t testing.TB) signertest.Harness {
	var endpoint *url.URL
	if p.endpoint != "" {
		var err error
		if endpoint, err = url.Parse(p.endpoint); err != nil {
			t.Fatal(err)
		}
	}
	h := signertest.Harness{
		New: func(o signertest.Options) (signer.Signer, error) {
			// As sources do, this one returns the same Key until it changes.
			key := func(rotated bool) func() (azure.Key, error) {
				o := o
				o.Rotated = func() bool { return rotated }
				return sync.OnceValues(func() (azure.Key, error) { return p.key(o) })
			}
			first, second := key(false), key(true)
			s, err := azure.New(azure.Config{Account: "myaccount", Container: o.Bucket, Version: p.version, Endpoint: endpoint, Addressing: p.addressing,
				Clock: o.Clock, Backdate: o.Backdate, Keys: conformanceSource(func() (azure.Key, error) {
					if o.Rotated() {
						return second()
					}
					return first()
				})})
			if err != nil {
				return nil, err
			}
			if p.delegation {
				return withoutSign{s, s}, nil
			}
			return s, nil
		},
		NewVerifier: func(o signertest.Options) (signer.Verifier, error) {
			return azure.NewVerifier(azure.VerifierConfig{Account: "myaccount", Endpoint: endpoint, Addressing: p.addressing, Clock: o.Clock, Leeway: o.Leeway,
				AccountKeys: func(context.Context) ([]signer.Secret, error) {
					k, err := p.key(o)
					return []signer.Secret{k.Secret()}, err
				},
				DelegationKey: func(context.Context, azure.UserDelegationKey) (signer.Secret, error) {
					k, err := p.key(o)
					if !o.CredentialsExpire.IsZero() && !o.Clock.Now().Before(o.CredentialsExpire) {
						err = signer.ErrUnknownKey
					}
					return k.Secret(), err
				}})
		},
		Params:      []string{"sv", "sr", "sp", "st", "se", "sig"},
		Methods:     []string{"GET HEAD", "PUT", "DELETE"},
		Sends:       conformanceSends,
		Unsupported: []string{"Query", "Header", "Response.Expires", "CredentialsExpire"},
		Secrets:     []string{conformanceFirst, conformanceSecond},
	}
	if p.delegation {
		h.Params = []string{"sv", "sr", "sp", "st", "se", "skoid", "sktid", "skt", "ske", "sks", "skv", "sig"}
		h.Unsupported = []string{"Query", "Header", "Response.Expires", "Sign"}
	}
	if p.delegation && p.version >= "2026-04-06" { // signs all, and names it in two lists
		h.WishParams, h.Unsupported = []string{"srh", "srq"}, []string{"Response.Expires", "Sign", "AddedQuery"}
	}
	if p.bare != "" {
		h.Forge, h.Faults = p.forge, []string{"another account", "another container", "another blob", "another service", "permissions out of order", "another permission", "no version",
			"fifteen lines", "a final newline", "the resource encoded", "a parameter twice", "a parameter in capitals", "an end before the start", "from the future", "over", "from elsewhere",
			"over http alone", "a field of a later version", "another scheme's signature too", "a line feed in a field", "no end", "a container's"}
	}
	return h
}

// conformanceSends is what Azure needs beside a SAS: it does not sign the type of a blob, and makes none without.
func conformanceSends(method string) http.Header {
	if method == http.MethodPut {
		return http.Header{"X-Ms-Blob-Type": {"BlockBlob"}}
	}
	return nil
}

// conformanceSource is a source whose keys change while the program runs.
type conformanceSource func() (azure.Key, error)

func (f conformanceSource) Key(context.Context, time.Time) (azure.Key, error) { return f() }

// withoutSign is a Signer with user delegation keys, which sign no requests.
type withoutSign struct {
	signer.Signer
	signer.RequestPresigner
}

// forge is a second implementation of the service SAS of 2020-12-06, as the specification has it and without any of the signer's
// checks.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/create-service-sas
func (p conformancePlace) forge(o signertest.Options, fault string) (*http.Request, error) {
	now := o.Clock.Now().UTC()
	q := map[string]string{"sv": "2020-12-06", "sr": "b", "sp": "r", "st": now.Add(-time.Minute).Format(time.RFC3339), "se": now.Add(time.Minute).Format(time.RFC3339)}
	resource, end, more := "/blob/myaccount/signertest/k", "", ""
	names := []string{"sp", "st", "se", "", "si", "sip", "spr", "sv", "sr", "snapshot", "ses", "rscc", "rscd", "rsce", "rscl", "rsct"}
	switch fault {
	case "":
	case "another account":
		resource = "/blob/another/signertest/k"
	case "another container":
		resource = "/blob/myaccount/another/k"
	case "another blob":
		resource = "/blob/myaccount/signertest/k2"
	case "another service":
		resource = "/file/myaccount/signertest/k"
	case "the resource encoded":
		resource = "/blob/myaccount/signertest/%6B"
	case "a container's":
		resource = "/blob/myaccount/signertest"
	case "permissions out of order":
		q["sp"] = "wr"
	case "another permission":
		q["sp"] = "w"
	case "no version":
		delete(q, "sv")
	case "fifteen lines":
		names = names[:15]
	case "a final newline":
		end = "\n"
	case "a parameter twice":
		more = "&sr=b"
	case "a parameter in capitals":
		more = "&SR=b"
	case "an end before the start":
		q["st"] = now.Add(2 * time.Minute).Format(time.RFC3339)
	case "from the future":
		q["st"], q["se"] = now.Add(time.Hour).Format(time.RFC3339), now.Add(2*time.Hour).Format(time.RFC3339)
	case "over":
		q["st"], q["se"] = now.Add(-time.Hour).Format(time.RFC3339), now.Add(-time.Minute).Format(time.RFC3339)
	case "from elsewhere":
		q["sip"] = "203.0.113.1"
	case "over http alone":
		q["spr"] = "http"
	case "a field of a later version":
		q["srh"] = "x-a"
	case "another scheme's signature too":
		more = "&X-Amz-Signature=00"
	case "a line feed in a field":
		q["rscd"] = "a\nb"
	case "no end":
		delete(q, "se")
	default:
		return nil, fmt.Errorf("no such fault: %s", fault)
	}
	var lines []string
	for _, name := range names {
		if name == "" {
			lines = append(lines, resource)
		} else {
			lines = append(lines, q[name])
		}
	}
	key, err := base64.StdEncoding.DecodeString(conformanceFirst)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(strings.Join(lines, "\n") + end))
	values := url.Values{"sig": {base64.StdEncoding.EncodeToString(mac.Sum(nil))}}
	for name, value := range q {
		values.Set(name, value)
	}
	return http.NewRequest(http.MethodGet, p.bare+"?"+strings.ReplaceAll(values.Encode(), "+", "%20")+more, nil)
}
