package oss_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/signertest"
)

// TestConformance holds oss to the contract of signer.Signer and signer.Verifier, at every kind of place.
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
		{name: "aliyun", bare: "https://signertest.oss-cn-hangzhou.aliyuncs.com/k"},
		{name: "path", endpoint: "http://127.0.0.1:9000/base", bare: "http://127.0.0.1:9000/base/signertest/k"},
		{name: "virtual host", endpoint: "https://gw.example:8443", addressing: signer.AddressingVirtualHost, bare: "https://signertest.gw.example:8443/k"},
		{name: "bucket host", endpoint: "https://img.example", addressing: signer.AddressingBucketHost, bare: "https://img.example/k"},
		{name: "acceleration", endpoint: "https://oss-accelerate.aliyuncs.com", bare: "https://signertest.oss-accelerate.aliyuncs.com/k"},
		{name: "cloudbox", endpoint: "https://cb-123.cn-hangzhou.oss-cloudbox.aliyuncs.com", region: "cb-123", product: "oss-cloudbox",
			bare: "https://signertest.cb-123.cn-hangzhou.oss-cloudbox.aliyuncs.com/k"},
		{name: "host signed", additional: []string{"Host"}, bare: "https://signertest.oss-cn-hangzhou.aliyuncs.com/k"},
		{name: "security token", token: "CAISzgJ1q6Ft5B2yfSjIr5eEXAMPLE+token/with=signs", bare: "https://signertest.oss-cn-hangzhou.aliyuncs.com/k"},
	}
}

const (
	conformanceKeyID  = "LTAI5tExampleExampleExam"
	conformanceFirst  = "jtWgeXtExampleExampleExampleFi"
	conformanceSecond = "pLq8ZsTExampleExampleExampleSe"
)

// A conformancePlace is where requests go, and with what kind of key.
type conformancePlace struct {
	name, endpoint  string
	addressing      signer.Addressing
	region, product string // "" for cn-hangzhou and oss
	additional      []string
	token           string
	bare            string // the URL of the object k, for forge
}

func (p conformancePlace) harness(t testing.TB) signertest.Harness {
	var endpoint *url.URL
	if p.endpoint != "" {
		var err error
		if endpoint, err = url.Parse(p.endpoint); err != nil {
			t.Fatal(err)
		}
	}
	if p.region == "" {
		p.region = "cn-hangzhou"
	}
	first, second, token := signer.NewSecret([]byte(conformanceFirst)), signer.NewSecret([]byte(conformanceSecond)), signer.NewSecret([]byte(p.token))
	credentials := func(o signertest.Options) oss.Credentials {
		switch {
		case o.NoCredentials:
			return oss.Credentials{AccessKeyID: conformanceKeyID} // and no secret: never an HMAC under the empty key
		case o.Rotated():
			return oss.Credentials{AccessKeyID: conformanceKeyID, AccessKeySecret: second, SecurityToken: token, Expires: o.CredentialsExpire}
		}
		return oss.Credentials{AccessKeyID: conformanceKeyID, AccessKeySecret: first, SecurityToken: token, Expires: o.CredentialsExpire}
	}
	h := signertest.Harness{
		New: func(o signertest.Options) (signer.Signer, error) {
			return oss.New(oss.Config{Region: p.region, Product: p.product, Bucket: o.Bucket, Endpoint: endpoint, Addressing: p.addressing,
				AdditionalHeaders: p.additional, Clock: o.Clock, Backdate: o.Backdate, Credentials: conformanceSource(func() oss.Credentials { return credentials(o) })})
		},
		NewVerifier: func(o signertest.Options) (signer.Verifier, error) {
			c := oss.VerifierConfig{Region: p.region, Product: p.product, Endpoint: endpoint, Addressing: p.addressing, Clock: o.Clock, Leeway: o.Leeway,
				Lookup: func(_ context.Context, id string) (oss.Credentials, error) {
					if id != conformanceKeyID {
						return oss.Credentials{}, signer.ErrUnknownKey
					}
					return credentials(o), nil
				}}
			if p.addressing == signer.AddressingBucketHost {
				c.Bucket = "signertest"
			}
			return oss.NewVerifier(c)
		},
		Params:       []string{"x-oss-credential", "x-oss-date", "x-oss-expires", "x-oss-signature-version", "x-oss-signature"},
		HeaderPrefix: "X-Oss-",
		MaxExpires:   7 * 24 * time.Hour,
		Unsupported:  []string{"SourceIP"},
		Secrets:      []string{conformanceFirst, conformanceSecond},
		Forge:        p.forge,
		Faults: []string{"another region", "another product", "another terminator", "another day", "a scope with six parts",
			"another region, unsigned", "another product, unsigned", "another terminator, unsigned", "another day, unsigned",
			"additional headers not sorted", "an additional header twice", "an additional header that is missing", "an additional header in capitals",
			"an empty list of additional headers", "a default header in the list", "a parameter twice", "a parameter in upper case", "another parameter twice",
			"another version", "another scheme's signature too", "no life", "a life of eight days", "a life with a sign", "a token too many or too few",
			"another token", "from the future", "over",
			"a date in a header too", "a token in a header too", "a parameter that contradicts a header"},
	}
	if p.addressing == signer.AddressingBucketHost {
		h.Unsupported = append(h.Unsupported, "Bucket")
	}
	if p.token != "" {
		h.Params = slices.Insert(h.Params, 0, "x-oss-security-token")
		h.Secrets = append(h.Secrets, p.token)
		h.MaxExpires = 12 * time.Hour
		h.Faults = append(h.Faults, "a life of thirteen hours")
	}
	if p.additional != nil {
		h.Params = slices.Insert(h.Params, 0, "x-oss-additional-headers")
	}
	return h
}

// conformanceSource is a source whose credentials change while the program runs.
type conformanceSource func() oss.Credentials

func (f conformanceSource) Credentials(context.Context, time.Time) (oss.Credentials, error) {
	return f(), nil
}

// forge is a second implementation of presigning, as the specification has it and without any of the signer's checks.
//
// https://help.aliyun.com/en/oss/developer-reference/add-signatures-to-urls
func (p conformancePlace) forge(o signertest.Options, fault string) (*http.Request, error) {
	req, err := http.NewRequest(http.MethodGet, p.bare, nil)
	if err != nil {
		return nil, err
	}
	now := o.Clock.Now().UTC()
	version, token := "OSS4-HMAC-SHA256", p.token
	life, additional, more := "60", []string{"cache-control", "host"}, []string{}
	req.Header.Set("X-Oss-Meta-A", "1")
	req.Header.Set("Cache-Control", "no-store")
	stated, unsigned := strings.CutSuffix(fault, ", unsigned") // a scope that stands in x-oss-credential and was not signed
	switch stated {
	case "", "another region", "another product", "another terminator", "another day", "a scope with six parts":
	case "additional headers not sorted":
		slices.Reverse(additional)
	case "an additional header twice":
		additional = append(additional, "host")
	case "an additional header that is missing":
		additional = append(additional, "range")
	case "an additional header in capitals":
		additional[1] = "Host"
	case "an empty list of additional headers":
		additional = nil
		more = append(more, "x-oss-additional-headers=")
	case "a default header in the list":
		additional = append(additional, "x-oss-meta-a")
	case "a parameter twice":
		more = append(more, "x-oss-expires=60")
	case "a parameter in upper case":
		more = append(more, "X-Oss-Expires=60")
	case "another parameter twice":
		more = append(more, "versionId=1", "versionId=1")
	case "a date in a header too":
		req.Header.Set("X-Oss-Date", now.Format("20060102T150405Z"))
	case "a token in a header too":
		req.Header.Set("X-Oss-Security-Token", token+"x")
	case "a parameter that contradicts a header":
		more = append(more, "x-oss-meta-a=2")
	case "another version":
		version = "OSS4-HMAC-SHA1"
	case "another scheme's signature too":
		more = append(more, "X-Goog-Signature=00")
	case "no life":
		life = "0"
	case "a life of eight days":
		life = "691200"
	case "a life of thirteen hours":
		life = "46800"
	case "a life with a sign":
		life = "+60"
	case "a token too many or too few":
		if token = "superfluous"; p.token != "" {
			token = ""
		}
	case "another token":
		token += "x"
	case "from the future":
		now = now.Add(time.Hour)
	case "over":
		now = now.Add(-time.Hour)
	default:
		return nil, fmt.Errorf("no such fault: %s", fault)
	}
	stamp, day := now.Format("20060102T150405Z"), now.Format("20060102")
	product := p.product
	if product == "" {
		product = "oss"
	}
	right := []string{day, p.region, product, "aliyun_v4_request"}
	wrong := slices.Clone(right)
	switch stated {
	case "another region":
		wrong[1] = "cn-shenzhen"
	case "another product":
		wrong[2] = map[string]string{"oss": "oss-cloudbox", "oss-cloudbox": "oss"}[product]
	case "another terminator":
		wrong[3] = "aws4_request"
	case "another day":
		wrong[0] = now.AddDate(0, 0, -1).Format("20060102")
	case "a scope with six parts":
		wrong = append(wrong, "x")
	}
	scope := wrong
	if unsigned {
		scope = right
	}
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	params := append(more, "x-oss-signature-version="+version, "x-oss-credential="+escape(conformanceKeyID+"/"+strings.Join(wrong, "/")),
		"x-oss-date="+stamp, "x-oss-expires="+escape(life))
	if additional != nil {
		params = append(params, "x-oss-additional-headers="+escape(strings.Join(additional, ";")))
	}
	if token != "" {
		params = append(params, "x-oss-security-token="+escape(token))
	}
	slices.Sort(params)
	query := strings.Join(params, "&")

	headers := []string{}
	for _, name := range append(additional, "x-oss-date", "x-oss-meta-a", "x-oss-security-token") {
		value := req.Header.Get(name)
		if strings.HasPrefix(name, "x-oss-") && value == "" {
			continue
		}
		if strings.EqualFold(name, "host") {
			value = req.URL.Host
		}
		headers = append(headers, name+":"+value+"\n")
	}
	slices.Sort(headers)
	canonical := req.Method + "\n/signertest/k\n" + strings.ReplaceAll(query, "additional-headers=&", "additional-headers&") + "\n" +
		strings.Join(slices.Compact(headers), "") + "\n" + strings.Join(additional, ";") + "\nUNSIGNED-PAYLOAD"
	hash := sha256.Sum256([]byte(canonical))
	key := []byte("aliyun_v4" + conformanceFirst)
	toSign := strings.Join([]string{version, stamp, strings.Join(scope, "/"), hex.EncodeToString(hash[:])}, "\n")
	for _, part := range slices.Concat(scope[:4], []string{toSign}) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	req.URL.RawQuery = query + "&x-oss-signature=" + hex.EncodeToString(key)
	return req, nil
}
