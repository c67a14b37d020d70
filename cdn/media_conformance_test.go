package cdn_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/signertest"
)

// TestMediaConformance holds Media CDN to the contract of signer.Signer and signer.Verifier, at the top of a host and below a
// path. It uses nothing of the other test files, so that signertest can run it alone.
func TestMediaConformance(t *testing.T) {
	for name, base := range map[string]string{"top": "https://media.example.com", "path": "http://media.example.com/b%20a/se"} {
		t.Run(name, func(t *testing.T) { signertest.Run(t, mediaHarness(t, base)) })
	}
}

// TestMediaAttacks mounts the corpus of attacks on the MediaVerifier.
func TestMediaAttacks(t *testing.T) {
	signertest.Attack(t, mediaHarness(t, "https://media.example.com"))
}

func BenchmarkMediaFlood(b *testing.B) {
	signertest.Flood(b, mediaHarness(b, "https://media.example.com"))
}

const (
	mediaConformanceName   = "my-keyset"
	mediaConformanceSeed   = "DJUcnLguVFKmVCFnWGubG1MZg7fWAnxacMjKDhVZMGI="
	mediaConformanceSecond = "g_SlMILiIWKqsC6Z2L7gy0sReDOqtSrJrE7CXNr5Nl8="
)

func mediaHarness(t testing.TB, base string) signertest.Harness {
	baseURL, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[bool]cdn.MediaKey{}
	for rotated, seed := range map[bool]string{false: mediaConformanceSeed, true: mediaConformanceSecond} {
		if keys[rotated], err = cdn.ParseMediaPrivateKey(mediaConformanceName, seed); err != nil {
			t.Fatal(err)
		}
	}
	return signertest.Harness{
		New: func(o signertest.Options) (signer.Signer, error) {
			c := cdn.MediaConfig{BaseURL: baseURL, Bucket: o.Bucket, Clock: o.Clock, Key: keys[o.Rotated()]}
			if o.NoCredentials {
				c.Key = cdn.MediaKey{}
			}
			return cdn.NewMedia(c)
		},
		NewVerifier: func(o signertest.Options) (signer.Verifier, error) {
			public, err := cdn.ParseMediaPublicKey(mediaConformanceName, keys[o.Rotated()].PublicKey())
			if err != nil {
				return nil, err
			}
			return cdn.NewMediaVerifier(cdn.MediaVerifierConfig{BaseURL: baseURL, Bucket: "signertest", Clock: o.Clock, Keys: []cdn.MediaKey{public}})
		},
		Params:  []string{"Expires", "KeyName", "Signature"},
		Methods: []string{"GET HEAD"},
		Unsupported: []string{"Bucket", "Header", "SourceIP", "Backdate", "Sign", "Replace", "Rotated", "CredentialsExpire", "Response.ContentType",
			"Response.ContentDisposition", "Response.CacheControl", "Response.ContentEncoding", "Response.ContentLanguage", "Response.Expires"},
		Secrets: []string{strings.TrimSuffix(mediaConformanceSeed, "="), strings.TrimSuffix(mediaConformanceSecond, "=")},
		Forge:   func(o signertest.Options, fault string) (*http.Request, error) { return mediaForge(base, o, fault) },
		Faults: []string{"another order", "a parameter between", "a parameter twice", "a parameter in lower case", "an escaped name", "an end with a sign",
			"an end with a zero in front", "no end", "an end after the year 9999", "half a padding", "padding escaped", "over", "another host", "another scheme",
			"no key name", "another key name", "another scheme's signature too", "a parameter behind", "a token too"},
	}
}

// mediaForge is a second implementation of signing, as the documentation has it and without any of the signer's checks.
//
// https://docs.cloud.google.com/media-cdn/docs/generate-signatures
func mediaForge(base string, o signertest.Options, fault string) (*http.Request, error) {
	seed, err := base64.URLEncoding.DecodeString(mediaConformanceSeed)
	if err != nil {
		return nil, err
	}
	end := fmt.Sprint(o.Clock.Now().Unix() + 60)
	raw, signed := base+"/k", base+"/k"
	expires, name, more := "&Expires=", "&KeyName="+mediaConformanceName, ""
	switch fault {
	case "":
		more = "==" // the padding, which is allowed
	case "half a padding":
		more = "="
	case "padding escaped":
		more = "%3D%3D"
	case "a parameter behind":
		more = "&b=2"
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
		end = "+" + end
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
	case "another key name":
		name = "&KeyName=x" + mediaConformanceName
	case "another scheme's signature too":
		name = "&X-Goog-Signature=00" + name
	case "a token too":
		expires = "&edge-cache-token=x&Expires="
	default:
		return nil, fmt.Errorf("no such fault: %s", fault)
	}
	query := "?a=1" + expires + end + name
	signature := ed25519.Sign(ed25519.NewKeyFromSeed(seed), []byte(signed+query))
	return http.NewRequest(http.MethodGet, raw+query+"&Signature="+base64.RawURLEncoding.EncodeToString(signature)+more, nil)
}
