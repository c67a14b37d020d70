package cdn_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/signertest"
)

// TestConformance holds cdn to the contract of signer.Signer and signer.Verifier, at the top of a host and below a path. It uses
// nothing of the other test files, so that signertest can run it alone.
func TestConformance(t *testing.T) {
	for name, base := range map[string]string{"top": "https://media.example.com", "path": "http://media.example.com/b%20a/se"} {
		t.Run(name, func(t *testing.T) { signertest.Run(t, conformanceHarness(t, base)) })
	}
}

// TestAttacks mounts the corpus of attacks on the Verifier.
func TestAttacks(t *testing.T) {
	signertest.Attack(t, conformanceHarness(t, "https://media.example.com"))
}

func BenchmarkFlood(b *testing.B) {
	signertest.Flood(b, conformanceHarness(b, "https://media.example.com"))
}

const (
	conformanceName   = "my-key"
	conformanceFirst  = "the first secret"
	conformanceSecond = "the other secret"
)

func conformanceHarness(t testing.TB, base string) signertest.Harness {
	baseURL, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	first, second := signer.NewSecret([]byte(conformanceFirst)), signer.NewSecret([]byte(conformanceSecond))
	key := func(o signertest.Options) cdn.Key {
		switch {
		case o.NoCredentials:
			return cdn.Key{Name: conformanceName}
		case o.Rotated():
			return cdn.Key{Name: conformanceName, Secret: second, Expires: o.CredentialsExpire}
		}
		return cdn.Key{Name: conformanceName, Secret: first, Expires: o.CredentialsExpire}
	}
	return signertest.Harness{
		New: func(o signertest.Options) (signer.Signer, error) {
			return cdn.New(cdn.Config{BaseURL: baseURL, Bucket: o.Bucket, Clock: o.Clock, Keys: conformanceSource(func() cdn.Key { return key(o) })})
		},
		NewVerifier: func(o signertest.Options) (signer.Verifier, error) {
			return cdn.NewVerifier(cdn.VerifierConfig{BaseURL: baseURL, Bucket: "signertest", Clock: o.Clock,
				Lookup: func(_ context.Context, name string) (cdn.Key, error) {
					if name != conformanceName {
						return cdn.Key{}, signer.ErrUnknownKey
					}
					return key(o), nil
				}})
		},
		Params:  []string{"Expires", "KeyName", "Signature"},
		Methods: []string{"GET HEAD"},
		Unsupported: []string{"Bucket", "Header", "SourceIP", "Backdate", "Sign", "Replace", "Response.ContentType", "Response.ContentDisposition",
			"Response.CacheControl", "Response.ContentEncoding", "Response.ContentLanguage", "Response.Expires"},
		Secrets: []string{conformanceFirst, conformanceSecond},
		Forge: func(o signertest.Options, fault string) (*http.Request, error) {
			return conformanceForge(base, o, fault)
		},
		Faults: []string{"another order", "a parameter between", "a parameter twice", "a parameter in lower case", "an escaped name", "an end with a sign",
			"an end with a zero in front", "no end", "an end after the year 9999", "no padding", "padding escaped", "over", "another host", "another scheme",
			"no key name", "another scheme's signature too", "a parameter behind"},
	}
}

// conformanceSource is a source whose key changes while the program runs.
type conformanceSource func() cdn.Key

func (f conformanceSource) Key(context.Context, time.Time) (cdn.Key, error) { return f(), nil }

// conformanceForge is a second implementation of signing, as the documentation has it and without any of the signer's checks.
//
// https://docs.cloud.google.com/cdn/docs/using-signed-urls#programmatically_creating_signed_urls
func conformanceForge(base string, o signertest.Options, fault string) (*http.Request, error) {
	end := fmt.Sprint(o.Clock.Now().Unix() + 60)
	raw, signed := base+"/k", ""
	expires, name := "&Expires=", "&KeyName="+conformanceName
	switch fault {
	case "", "no padding", "padding escaped", "a parameter behind":
	case "another order":
		expires, name = name+expires, ""
	case "a parameter between":
		name = "&a=b" + name
	case "a parameter twice":
		name += name
	case "a parameter in lower case":
		name += "&expires=" + end
	case "an escaped name":
		expires = "&%45xpires="
	case "an end with a sign":
		end = "%2B" + end
	case "an end with a zero in front":
		end = "0" + end
	case "no end":
		end = ""
	case "an end after the year 9999":
		end = "253402300800"
	case "over":
		end = fmt.Sprint(o.Clock.Now().Unix())
	case "another host":
		signed = strings.Replace(raw, "media", "video", 1)
	case "another scheme":
		if signed = strings.Replace(raw, "https", "http", 1); signed == raw {
			signed = strings.Replace(raw, "http", "https", 1)
		}
	case "no key name":
		name = "&KeyName="
	case "another scheme's signature too":
		name = "&X-Goog-Signature=00" + name
	default:
		return nil, fmt.Errorf("no such fault: %s", fault)
	}
	query := "?a=1" + expires + end + name
	if signed == "" {
		signed = raw
	}
	mac := hmac.New(sha1.New, []byte(conformanceFirst))
	mac.Write([]byte(signed + query))
	signature := base64.URLEncoding.EncodeToString(mac.Sum(nil))
	switch fault {
	case "no padding":
		signature = strings.TrimSuffix(signature, "=")
	case "padding escaped":
		signature = strings.Replace(signature, "=", "%3D", 1)
	case "a parameter behind":
		signature += "&b=2"
	}
	return http.NewRequest(http.MethodGet, raw+query+"&Signature="+signature, nil)
}
