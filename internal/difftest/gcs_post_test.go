package difftest

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/storage"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A postCase is one of Google's test cases for POST policies, in the same file as those for signed URLs.
type postCase struct {
	Description string
	PolicyInput struct {
		Scheme, URLStyle, BucketBoundHostname, Bucket, Object string
		Expiration                                            int64
		Timestamp                                             time.Time
		Fields                                                map[string]string
		Conditions                                            struct {
			StartsWith         []string
			ContentLengthRange []int64
		}
	}
	PolicyOutput struct {
		URL                   string
		Fields                map[string]string
		ExpectedDecodedPolicy string
	}
}

// conformanceFile reads a file of the suite.
func conformanceFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(moduleDir(t, "cloud.google.com/go/storage"), "internal/test/conformance", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func postCases(t *testing.T) []postCase {
	t.Helper()
	var suite struct{ PostPolicyV4Tests []postCase }
	if err := json.Unmarshal(conformanceFile(t, "v4_signatures.json"), &suite); err != nil {
		t.Fatal(err)
	}
	if len(suite.PostPolicyV4Tests) != 11 {
		t.Fatalf("%d cases, want 11", len(suite.PostPolicyV4Tests))
	}
	return suite.PostPolicyV4Tests
}

func (c *postCase) signer(t *testing.T, key gcs.Key) *gcs.Signer {
	t.Helper()
	in := &c.PolicyInput
	place := conformanceCase{Bucket: in.Bucket, Scheme: in.Scheme, URLStyle: in.URLStyle, BucketBoundHostname: in.BucketBoundHostname, Timestamp: in.Timestamp}
	config := place.config(t, key)
	config.Bucket = in.Bucket // which the policy names, also where the host is the bucket
	s, err := gcs.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (c *postCase) policy() signer.Policy {
	in := &c.PolicyInput
	p := signer.Policy{Key: in.Object, Expires: time.Duration(in.Expiration) * time.Second, MaxBytes: -1}
	for name, value := range in.Fields {
		if name == "content-type" {
			p.ContentType = value
			continue
		}
		p.Fields = append(p.Fields, signer.Field{Name: name, Value: value})
	}
	if sw := in.Conditions.StartsWith; sw != nil {
		p.Conditions = []signer.Condition{{Field: strings.TrimPrefix(sw[0], "$"), Op: "starts-with", Values: sw[1:]}}
	}
	if r := in.Conditions.ContentLengthRange; r != nil {
		p.MinBytes, p.MaxBytes = r[0], r[1]
	}
	return p
}

// TestGCSPostConformance: URL, fields, policy and signature of the official cases, byte for byte. expectedDecodedPolicy has been
// unescaped in the suite, so what is compared is the policy itself.
func TestGCSPostConformance(t *testing.T) {
	key, err := gcs.ServiceAccountKey(conformanceFile(t, "service-account"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range postCases(t) {
		t.Run(c.Description, func(t *testing.T) {
			form, err := c.signer(t, key).PresignPost(context.Background(), c.policy())
			if err != nil {
				t.Fatal(err)
			}
			if form.URL != c.PolicyOutput.URL {
				t.Errorf("URL %s, want %s", form.URL, c.PolicyOutput.URL)
			}
			if len(form.Fields) != len(c.PolicyOutput.Fields) {
				t.Errorf("%d fields, want %d", len(form.Fields), len(c.PolicyOutput.Fields))
			}
			for _, f := range form.Fields {
				if want := c.PolicyOutput.Fields[f.Name]; f.Value != want {
					t.Errorf("%s\n got %s\nwant %s", f.Name, f.Value, want)
				}
				if f.Name == "policy" && f.Value != c.PolicyOutput.Fields["policy"] {
					doc, _ := base64.StdEncoding.DecodeString(f.Value)
					t.Errorf("%s", doc)
				}
			}
			if want := c.PolicyInput.Timestamp.Add(time.Duration(c.PolicyInput.Expiration) * time.Second); !form.ExpiresAt.Equal(want) {
				t.Errorf("expires at %v, want %v", form.ExpiresAt, want)
			}
		})
	}
}

// officialAccount is the service account of the suite.
func officialAccount(t *testing.T) (email string, private *rsa.PrivateKey, text string) {
	t.Helper()
	var file struct {
		Email string `json:"client_email"`
		Key   string `json:"private_key"`
	}
	if err := json.Unmarshal(conformanceFile(t, "service-account"), &file); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(file.Key))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return file.Email, key.(*rsa.PrivateKey), file.Key
}

func gcsPostVerifier(t *testing.T, now time.Time) *gcs.Verifier {
	t.Helper()
	email, private, _ := officialAccount(t)
	v, err := gcs.NewVerifier(gcs.VerifierConfig{
		Accounts: []string{email},
		Keys: func(context.Context, string) ([]crypto.PublicKey, error) {
			return []crypto.PublicKey{&private.PublicKey}, nil
		},
		Clock: clock.Fixed(now),
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The published forms pass our Verifier, and not with another key, nor a second after their end.
func TestGCSPostConformanceVerified(t *testing.T) {
	for _, c := range postCases(t) {
		t.Run(c.Description, func(t *testing.T) {
			post := signer.Post{Bucket: c.PolicyInput.Bucket}
			for name, value := range c.PolicyOutput.Fields {
				post.Fields = append(post.Fields, signer.Field{Name: name, Value: value})
			}
			if sw := c.PolicyInput.Conditions.StartsWith; sw != nil {
				post.Fields = append(post.Fields, signer.Field{Name: "ACL", Value: "public-read"})
			}
			end := c.PolicyInput.Timestamp.Add(time.Duration(c.PolicyInput.Expiration) * time.Second)
			g, err := gcsPostVerifier(t, end.Add(-time.Second)).VerifyPost(context.Background(), post)
			if err != nil {
				t.Fatal(err)
			}
			if g.Key != c.PolicyInput.Object || !g.ExpiresAt.Equal(end) || !g.SignedAt.Equal(c.PolicyInput.Timestamp) {
				t.Errorf("%+v", g.Grant)
			}
			if r := c.PolicyInput.Conditions.ContentLengthRange; r != nil && (g.MinBytes != r[0] || g.MaxBytes != r[1]) || r == nil && g.MaxBytes != -1 {
				t.Errorf("%d to %d bytes", g.MinBytes, g.MaxBytes)
			}
			if _, err := gcsPostVerifier(t, end).VerifyPost(context.Background(), post); !errors.Is(err, signer.ErrExpired) {
				t.Errorf("at its end: %v", err)
			}
			for i, f := range post.Fields {
				if f.Name == "key" {
					post.Fields[i].Value += "2"
				}
			}
			if _, err := gcsPostVerifier(t, end.Add(-time.Second)).VerifyPost(context.Background(), post); !errors.Is(err, signer.ErrPolicy) {
				t.Errorf("another key: %v", err)
			}
		})
	}
}

// Forms that Google's library for Go signs, with what its options have, pass our Verifier.
func TestGCSPostOfficialClient(t *testing.T) {
	const bucket = "photos"
	email, _, text := officialAccount(t)
	now := time.Now() // the library has no other clock
	v := gcsPostVerifier(t, now)
	for name, o := range map[string]*storage.PostPolicyV4Options{
		"plain": {},
		"fields": {Fields: &storage.PolicyV4Fields{ACL: "private", CacheControl: "no-store", ContentType: "text/plain", StatusCodeOnSuccess: 201,
			Metadata: map[string]string{"x-goog-meta-a": "\u00fc <&>"}}},
		"conditions": {Conditions: []storage.PostPolicyV4Condition{
			storage.ConditionContentLengthRange(1, 10), storage.ConditionStartsWith("$acl", "public")}},
	} {
		t.Run(name, func(t *testing.T) {
			o.GoogleAccessID, o.PrivateKey, o.Expires = email, []byte(text), now.Add(10*time.Minute).UTC()
			p, err := storage.GenerateSignedPostPolicyV4(bucket, "a \u00fc.txt", o)
			if err != nil {
				t.Fatal(err)
			}
			post := signer.Post{Bucket: bucket}
			for name, value := range p.Fields {
				post.Fields = append(post.Fields, signer.Field{Name: name, Value: value})
			}
			if name == "conditions" {
				post.Fields = append(post.Fields, signer.Field{Name: "acl", Value: "public-read"})
			}
			g, err := v.VerifyPost(context.Background(), post)
			if err != nil {
				t.Fatal(err)
			}
			if g.Key != "a \u00fc.txt" || g.Bucket != bucket || g.KeyID != email {
				t.Errorf("%+v", g.Grant)
			}
			if name == "conditions" && (g.MinBytes != 1 || g.MaxBytes != 10) {
				t.Errorf("from %d to %d bytes", g.MinBytes, g.MaxBytes)
			}
			if name == "fields" && g.Header.Get("X-Goog-Meta-A") != "\u00fc <&>" {
				t.Errorf("%q", g.Header)
			}
			i := slices.IndexFunc(post.Fields, func(f signer.Field) bool { return f.Name == "key" })
			post.Fields[i].Value = "b"
			if _, err := v.VerifyPost(context.Background(), post); !errors.Is(err, signer.ErrPolicy) {
				t.Errorf("another key: %v", err)
			}
		})
	}
}
