package gcs_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/signer"
)

func presignPost(t testing.TB, s *gcs.Signer, p signer.Policy) *signer.Form {
	t.Helper()
	form, err := s.PresignPost(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	return form
}

// posted is a form as it comes in, with fields set ("-" takes one out).
func posted(form *signer.Form, set ...string) signer.Post {
	p := signer.Post{Bucket: "photos", Fields: slices.Clone(form.Fields), FileName: "cat.jpg"}
	for i := 0; i < len(set); i += 2 {
		p.Fields = slices.DeleteFunc(p.Fields, func(f signer.Field) bool { return f.Name == set[i] })
		if set[i+1] != "-" {
			p.Fields = append(p.Fields, signer.Field{Name: set[i], Value: set[i+1]})
		}
	}
	return p
}

func field(form *signer.Form, name string) string {
	i := slices.IndexFunc(form.Fields, func(f signer.Field) bool { return f.Name == name })
	if i < 0 {
		return ""
	}
	return form.Fields[i].Value
}

func policyOf(t testing.TB, form *signer.Form) string {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(field(form, "policy"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// postKeys are the two kinds of keys, and one that Google keeps.
func postKeys(t testing.TB) map[string]gcs.Key {
	remote, err := gcs.RemoteKey(account, 12*time.Hour, rsaKey(t).Sign)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]gcs.Key{"HMAC": hmacKey(t), "RSA": rsaKey(t), "remote": remote, "a wrapped HMAC key": wrappedKey{hmacKey(t)}}
}

// wrappedKey hides what kind of key it holds.
type wrappedKey struct{ gcs.Key }

func upload() signer.Policy {
	return signer.Policy{KeyPrefix: "up/", Expires: time.Hour, MinBytes: 1, MaxBytes: 10, ContentTypePrefix: "image/",
		Fields:     []signer.Field{{Name: "x-goog-meta-b", Value: "$é"}, {Name: "acl", Value: "private"}},
		Conditions: []signer.Condition{{Field: "cache-control", Op: "starts-with", Values: []string{"no"}}}}
}

// What each kind of key signs our verifier takes, and not what it did not sign. The bytes of the policy are Google's own cases' in
// internal/difftest.
func TestPostRoundTrip(t *testing.T) {
	for name, key := range postKeys(t) {
		t.Run(name, func(t *testing.T) {
			form := presignPost(t, newSigner(t, func(c *gcs.Config) { c.Key = key }), upload())
			want := `{"conditions":[["content-length-range",1,10],["starts-with","$content-type","image/"],["starts-with","$cache-control","no"],` +
				`{"acl":"private"},{"x-goog-meta-b":"$\u00e9"},{"bucket":"photos"},["starts-with","$key","up/"],{"x-goog-date":"20261124T235949Z"},` +
				`{"x-goog-credential":"` + key.ID() + `/20261124/auto/storage/goog4_request"},{"x-goog-algorithm":"` + string(key.Algorithm()) + `"}],"expiration":"2026-11-25T00:59:49Z"}`
			if got := policyOf(t, form); got != want {
				t.Errorf("policy\n got %s\nwant %s", got, want)
			}
			if form.URL != "https://storage.googleapis.com/photos/" || field(form, "key") != "up/${filename}" {
				t.Errorf("%s %q", form.URL, field(form, "key"))
			}
			good := []string{"content-type", "image/png", "cache-control", "no-store"}
			g, err := newVerifier(t).VerifyPost(ctx, posted(form, good...))
			if err != nil {
				t.Fatal(err)
			}
			if g.Backend != "gcs" || g.Key != "up/cat.jpg" || g.KeyID != key.ID() || g.Scheme != string(key.Algorithm()) || g.MinBytes != 1 || g.MaxBytes != 10 ||
				g.Header.Get("X-Goog-Meta-B") != "$é" || !g.ExpiresAt.Equal(form.ExpiresAt) || !g.SignedAt.Equal(now.Truncate(time.Second)) || len(g.Fingerprint) != 32 {
				t.Errorf("%+v", g)
			}
			for _, tt := range []struct {
				set   []string
				class error
				field string
			}{
				{[]string{"key", "down/a"}, signer.ErrPolicy, "key"},
				{[]string{"key", "up/../a"}, signer.ErrPolicy, "key"},
				{[]string{"content-type", "text/html"}, signer.ErrPolicy, "content-type"},
				{[]string{"content-type", "image/png,text/html"}, nil, ""}, // a list is S3's alone
				{[]string{"cache-control", "-"}, signer.ErrPolicy, "cache-control"},
				{[]string{"acl", "public-read"}, signer.ErrPolicy, "acl"},
				{[]string{"x-goog-meta-c", "c"}, signer.ErrPolicy, "x-goog-meta-c"},
				{[]string{"x-goog-signature", strings.Repeat("00", 32)}, signer.ErrMismatch, "x-goog-signature"},
				{[]string{"x-goog-signature", "-"}, signer.ErrMalformed, "x-goog-signature"},
				{[]string{"x-goog-signature", "-", "policy", "-"}, signer.ErrUnsigned, ""},
				{[]string{"policy", field(form, "policy") + "A"}, signer.ErrMismatch, "x-goog-signature"},
				{[]string{"x-goog-date", "20261124"}, signer.ErrMalformed, "x-goog-date"},
				{[]string{"x-goog-date", "20261123T235949Z"}, signer.ErrScope, "x-goog-credential"},
				{[]string{"x-goog-algorithm", "AWS4-HMAC-SHA256"}, signer.ErrMalformed, "x-goog-algorithm"},
				{[]string{"x-goog-credential", "nobody@x.example/20261124/auto/storage/goog4_request"}, signer.ErrUnknownKey, "Credential"},
				{[]string{"x-goog-credential", key.ID() + "/20261124/auto/s3/goog4_request"}, signer.ErrMalformed, "x-goog-credential"},
			} {
				_, err := newVerifier(t).VerifyPost(ctx, posted(form, append(slices.Clone(good), tt.set...)...))
				if tt.class == nil {
					if err != nil {
						t.Errorf("%q: %v", tt.set, err)
					}
					continue
				}
				wantError(t, err, tt.class, tt.field)
			}
			for _, at := range []struct {
				offset time.Duration
				class  error
			}{{time.Hour - time.Second, nil}, {time.Hour, signer.ErrExpired}, {-15 * time.Minute, nil}, {-16 * time.Minute, signer.ErrNotYetValid}} {
				v := newVerifier(t, func(c *gcs.VerifierConfig) { c.Clock = clock.Fixed(now.Add(at.offset)) })
				if _, err := v.VerifyPost(ctx, posted(form, good...)); !errors.Is(err, at.class) {
					t.Errorf("%v later: %v", at.offset, err)
				}
			}
			v := newVerifier(t, func(c *gcs.VerifierConfig) { c.Location = "eu" })
			_, err = v.VerifyPost(ctx, posted(form, good...))
			wantError(t, err, signer.ErrScope, "x-goog-credential")
		})
	}
}

// A form lives as long as the key is known.
func TestPostLifetime(t *testing.T) {
	p := signer.Policy{Key: "k", Expires: 24 * time.Hour, MaxBytes: -1}
	remote := newSigner(t, func(c *gcs.Config) { c.Key = postKeys(t)["remote"] })
	_, err := remote.PresignPost(ctx, p)
	wantError(t, err, signer.ErrCredentials, "Key")
	p.AllowShorter = true
	form := presignPost(t, remote, p)
	if want := now.Truncate(time.Second).Add(12 * time.Hour); !form.ExpiresAt.Equal(want) || form.LimitedBy != signer.LimitCredentials || !strings.Contains(policyOf(t, form), `"expiration":"2026-11-25T11:59:49Z"`) {
		t.Errorf("%v by the %v", form.ExpiresAt, form.LimitedBy)
	}
	p.AllowShorter, p.Expires = false, 7*24*time.Hour+1
	_, err = newSigner(t).PresignPost(ctx, p)
	wantError(t, err, signer.ErrLifetime, "Expires")
	p.Expires = 0
	_, err = newSigner(t).PresignPost(ctx, p)
	wantError(t, err, signer.ErrLifetime, "Expires")
}

func TestPostRefusals(t *testing.T) {
	own := func(c *gcs.Config) {
		c.Endpoint, c.Addressing = mustURL(t, "https://img.example"), signer.AddressingBucketHost
	}
	bucketless := func(c *gcs.Config) { c.Bucket = "" }
	silent, err := gcs.RemoteKey(account, 0, func(context.Context, []byte) (gcs.Signature, error) { return gcs.Signature{}, errors.New("no answer") })
	if err != nil {
		t.Fatal(err)
	}
	good := signer.Policy{Key: "k", Expires: time.Minute, MaxBytes: 1}
	with := func(edit func(*signer.Policy)) signer.Policy { p := good; edit(&p); return p }
	for _, tt := range []struct {
		name  string
		edits []func(*gcs.Config)
		p     signer.Policy
		class error
		field string
	}{
		{"no bucket", []func(*gcs.Config){bucketless}, good, signer.ErrRequest, "Bucket"},
		{"no name for the host's bucket", []func(*gcs.Config){own, bucketless}, good, signer.ErrRequest, "Bucket"},
		{"another bucket than the host's", []func(*gcs.Config){own}, with(func(p *signer.Policy) { p.Bucket = "pics" }), signer.ErrRequest, "Bucket"},
		{"bad bucket", nil, with(func(p *signer.Policy) { p.Bucket = "Evil/" }), signer.ErrRequest, "Bucket"},
		{"no size", nil, with(func(p *signer.Policy) { p.MaxBytes = 0 }), signer.ErrRequest, "MaxBytes"},
		{"a condition of OSS's", nil, with(func(p *signer.Policy) {
			p.Conditions = []signer.Condition{{Field: "acl", Op: "in", Values: []string{"a"}}}
		}), signer.ErrRequest, "Conditions"},
		{"a key that does not sign", []func(*gcs.Config){func(c *gcs.Config) { c.Key = silent }}, good, signer.ErrRemote, "Key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newSigner(t, tt.edits...).PresignPost(ctx, tt.p)
			wantError(t, err, tt.class, tt.field)
		})
	}
	form := presignPost(t, newSigner(t, own, bucketless), with(func(p *signer.Policy) { p.Bucket = "pics" }))
	if form.URL != "https://img.example/" || !strings.Contains(policyOf(t, form), `{"bucket":"pics"}`) {
		t.Errorf("%s %s", form.URL, policyOf(t, form))
	}
	_, err = newVerifier(t).VerifyPost(ctx, signer.Post{Fields: []signer.Field{{Name: "key"}, {Name: "KEY"}}})
	wantError(t, err, signer.ErrMalformed, "Fields")
}

// An HMAC key signs a policy only for the day and location that the policy names.
func TestHMACKeySignsPolicies(t *testing.T) {
	for _, text := range []string{"", "e30=", base64.StdEncoding.EncodeToString([]byte(`{"conditions":[{"x-goog-credential":"id/20261124/auto/s3/goog4_request"}]}`)),
		base64.StdEncoding.EncodeToString([]byte(`{"conditions":[["eq","$x-goog-credential","id/20261124/auto/storage/goog4_request"]]}`))} {
		_, err := hmacKey(t).Sign(ctx, []byte(text))
		wantError(t, err, signer.ErrRequest, "")
	}
}

// What we sign our verifier takes; one changed byte of policy or signature it does not.
func FuzzPost(f *testing.F) {
	f.Add("cat.jpg", "value", int64(10), uint16(7), uint8(1))
	f.Add("$ü/🐱\\\"", "\\u0024 \\$ <&>", int64(-1), uint16(900), uint8(32))
	f.Fuzz(func(t *testing.T, key, value string, most int64, at uint16, flip uint8) {
		form, err := newSigner(t).PresignPost(ctx, signer.Policy{Key: key, Expires: time.Minute, MaxBytes: most, Fields: []signer.Field{{Name: "x-goog-meta-a", Value: value}}})
		if err != nil {
			if !errors.Is(err, signer.ErrRequest) {
				t.Errorf("undocumented error %v", err)
			}
			return
		}
		if !json.Valid([]byte(policyOf(t, form))) {
			t.Errorf("no JSON: %s", policyOf(t, form))
		}
		post := posted(form)
		g, err := newVerifier(t).VerifyPost(ctx, post)
		if err != nil {
			t.Fatalf("%s is refused: %v", policyOf(t, form), err)
		}
		if g.Key != key || g.Header.Get("X-Goog-Meta-A") != value || g.MaxBytes != most {
			t.Errorf("asked for %q %q %d, granted %+v", key, value, most, g)
		}
		for _, name := range []string{"policy", "x-goog-signature"} {
			text := []byte(field(form, name))
			text[int(at)%len(text)] ^= max(flip, 1)
			if _, err := newVerifier(t).VerifyPost(ctx, posted(form, name, string(text))); !errors.Is(err, signer.ErrMismatch) && !errors.Is(err, signer.ErrMalformed) {
				t.Errorf("with one byte of %s changed: %v", name, err)
			}
		}
	})
}

// A page that uploads films of at most a gigabyte. With gcs/iam or RemoteKey no key file is needed.
func ExampleSigner_PresignPost() {
	key, err := gcs.HMACKey("GOOG1EXAMPLEACCESSID", signer.NewSecret([]byte("bGoa+V7g/yqDXvKRqq+JTFn4uQZbPiQJo4pf9RzJ")))
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := gcs.New(gcs.Config{
		Bucket: "films",
		Key:    key,
		Clock:  clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)), // leave it out in your code
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	form, err := s.PresignPost(context.Background(), signer.Policy{
		Key:         "2026/holidays.mp4",
		Expires:     time.Hour,
		MaxBytes:    1 << 30,
		ContentType: "video/mp4",
		Fields:      []signer.Field{{Name: "x-goog-meta-owner", Value: "eric"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(form)
	for _, f := range form.Fields[:3] {
		fmt.Printf("%s: %s\n", f.Name, f.Value)
	}
	// Output:
	// POST https://storage.googleapis.com/films/ until 2026-11-25T13:00:00Z
	// key: 2026/holidays.mp4
	// content-type: video/mp4
	// x-goog-meta-owner: eric
}
