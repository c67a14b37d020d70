package s3_test

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

	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/signertest"
)

// TestConformance holds s3 to the contract of signer.Signer and signer.Verifier, at every kind of place. It uses nothing of
// the other test files, so that signertest can run it alone.
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
		{name: "aws", bare: "https://signertest.s3.eu-west-1.amazonaws.com/k"},
		{name: "path", endpoint: "http://127.0.0.1:9000/base", bare: "http://127.0.0.1:9000/base/signertest/k"},
		{name: "virtual host", endpoint: "https://gw.example:8443", addressing: signer.AddressingVirtualHost, bare: "https://signertest.gw.example:8443/k"},
		{name: "bucket host", endpoint: "https://signertest", addressing: signer.AddressingBucketHost, bare: "https://signertest/k"},
		{name: "session token", token: "IQoJb3JpZ2luX2VjEXAMPLE+token/with=signs", bare: "https://signertest.s3.eu-west-1.amazonaws.com/k"},
		{name: "several regions", endpoint: "http://127.0.0.1:9000", regionSet: []string{"eu-west-1", "us-east-1"}},
	}
}

const (
	conformanceKeyID  = "AKIAIOSFODNN7EXAMPLE"
	conformanceFirst  = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	conformanceSecond = "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"
)

// A conformancePlace is where requests go, and with what kind of key.
type conformancePlace struct {
	name, endpoint string
	addressing     signer.Addressing
	token          string
	regionSet      []string
	bare           string // the URL of the object k, for forge; "" where that cannot sign
}

func (p conformancePlace) harness(t testing.TB) signertest.Harness {
	var endpoint *url.URL
	if p.endpoint != "" {
		var err error
		if endpoint, err = url.Parse(p.endpoint); err != nil {
			t.Fatal(err)
		}
	}
	first, second, token := signer.NewSecret([]byte(conformanceFirst)), signer.NewSecret([]byte(conformanceSecond)), signer.NewSecret([]byte(p.token))
	credentials := func(o signertest.Options) s3.Credentials {
		switch {
		case o.NoCredentials:
			return s3.Credentials{AccessKeyID: conformanceKeyID} // and no secret: never an HMAC under the empty key
		case o.Rotated():
			return s3.Credentials{AccessKeyID: conformanceKeyID, SecretKey: second, SessionToken: token, Expires: o.CredentialsExpire}
		}
		return s3.Credentials{AccessKeyID: conformanceKeyID, SecretKey: first, SessionToken: token, Expires: o.CredentialsExpire}
	}
	h := signertest.Harness{
		New: func(o signertest.Options) (signer.Signer, error) {
			return s3.New(s3.Config{Region: "eu-west-1", RegionSet: p.regionSet, Bucket: o.Bucket, Endpoint: endpoint, Addressing: p.addressing,
				Clock: o.Clock, Backdate: o.Backdate, Credentials: conformanceSource(func() s3.Credentials { return credentials(o) })})
		},
		NewVerifier: func(o signertest.Options) (signer.Verifier, error) {
			return s3.NewVerifier(s3.VerifierConfig{Region: "eu-west-1", Endpoint: endpoint, Addressing: p.addressing, Clock: o.Clock, Leeway: o.Leeway,
				Lookup: func(_ context.Context, id string) (s3.Credentials, error) {
					if id != conformanceKeyID {
						return s3.Credentials{}, signer.ErrUnknownKey
					}
					return credentials(o), nil
				}})
		},
		Params:       []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"},
		HeaderPrefix: "X-Amz-",
		MaxExpires:   7 * 24 * time.Hour,
		Unsupported:  []string{"SourceIP"},
		Secrets:      []string{conformanceFirst, conformanceSecond},
		HashBody:     s3.HashBody,
	}
	if p.addressing == signer.AddressingBucketHost {
		h.Unsupported = append(h.Unsupported, "Bucket")
	}
	if p.token != "" {
		h.Params = slices.Insert(h.Params, 0, "X-Amz-Security-Token")
		h.Secrets = append(h.Secrets, p.token)
	}
	if p.regionSet != nil {
		h.Params = slices.Insert(h.Params, 0, "X-Amz-Region-Set")
	}
	if p.bare != "" {
		h.Forge, h.Faults = p.forge, []string{"another region", "another service", "another terminator", "another day", "a scope with six parts",
			"another region, unsigned", "another service, unsigned", "another terminator, unsigned", "another day, unsigned",
			"host not signed", "signed headers not sorted", "a signed header twice", "a parameter twice", "a parameter in lower case",
			"another algorithm", "another scheme's signature too", "no life", "a life of eight days", "a life with a sign", "a token too many or too few", "another token", "from the future", "over"}
	}
	return h
}

// conformanceSource is a source whose credentials change while the program runs.
type conformanceSource func() s3.Credentials

func (f conformanceSource) Credentials(context.Context, time.Time) (s3.Credentials, error) {
	return f(), nil
}

// forge is a second implementation of presigning, as the specification has it and without any of the signer's checks.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
func (p conformancePlace) forge(o signertest.Options, fault string) (*http.Request, error) {
	req, err := http.NewRequest(http.MethodGet, p.bare, nil)
	if err != nil {
		return nil, err
	}
	now := o.Clock.Now().UTC()
	algorithm, token := "AWS4-HMAC-SHA256", p.token
	life, signed, more := "60", []string{"host", "x-amz-meta-a"}, ""
	req.Header.Set("X-Amz-Meta-A", "1")
	stated, unsigned := strings.CutSuffix(fault, ", unsigned") // a scope that stands in X-Amz-Credential and was not signed
	switch stated {
	case "", "another region", "another service", "another terminator", "another day", "a scope with six parts":
	case "host not signed":
		signed = signed[1:]
	case "signed headers not sorted":
		slices.Reverse(signed)
	case "a signed header twice":
		signed = append(signed, "x-amz-meta-a")
	case "a parameter twice":
		more = "&X-Amz-Expires=60"
	case "a parameter in lower case":
		more = "&x-amz-expires=60"
	case "another algorithm":
		algorithm = "AWS4-HMAC-SHA1"
	case "another scheme's signature too":
		more = "&X-Goog-Signature=00"
	case "no life":
		life = "0"
	case "a life of eight days":
		life = "691200"
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
	right := []string{day, "eu-west-1", "s3", "aws4_request"}
	wrong := slices.Clone(right)
	switch stated {
	case "another region":
		wrong[1] = "eu-west-2"
	case "another service":
		wrong[2] = "sqs"
	case "another terminator":
		wrong[3] = "aws5_request"
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
	params := strings.Split("X-Amz-Algorithm="+algorithm+"&X-Amz-Credential="+escape(conformanceKeyID+"/"+strings.Join(wrong, "/"))+"&X-Amz-Date="+stamp+
		"&X-Amz-Expires="+escape(life)+"&X-Amz-SignedHeaders="+escape(strings.Join(signed, ";"))+more, "&")
	if token != "" {
		params = append(params, "X-Amz-Security-Token="+escape(token))
	}
	slices.Sort(params)
	query := strings.Join(params, "&")

	var canonical strings.Builder
	canonical.WriteString(req.Method + "\n" + req.URL.EscapedPath() + "\n" + query + "\n")
	for _, name := range signed {
		value := req.Header.Get(name)
		if name == "host" {
			value = req.URL.Host
		}
		canonical.WriteString(name + ":" + value + "\n")
	}
	canonical.WriteString("\n" + strings.Join(signed, ";") + "\nUNSIGNED-PAYLOAD")
	hash := sha256.Sum256([]byte(canonical.String()))
	key := []byte("AWS4" + conformanceFirst)
	toSign := strings.Join([]string{algorithm, stamp, strings.Join(scope, "/"), hex.EncodeToString(hash[:])}, "\n")
	for _, part := range slices.Concat(scope[:4], []string{toSign}) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	req.URL.RawQuery = query + "&X-Amz-Signature=" + hex.EncodeToString(key)
	return req, nil
}
