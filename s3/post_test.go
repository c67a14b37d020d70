package s3_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/vector"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// upload is a policy that uses all there is.
func upload() signer.Policy {
	return signer.Policy{
		KeyPrefix: "user/eric/", Expires: time.Hour, MinBytes: 1, MaxBytes: 1 << 20, ContentTypePrefix: "image/",
		Fields: []signer.Field{
			{Name: "success_action_redirect", Value: "https://app.example/done?a=b"},
			{Name: "acl", Value: "private"},
			{Name: "x-amz-meta-uuid", Value: `5 $ "é" 🐱`},
		},
		Conditions: []signer.Condition{{Field: "x-amz-meta-tag", Op: "starts-with", Values: []string{"t"}}},
	}
}

func presignPost(t testing.TB, s *s3.Signer, p signer.Policy) *signer.Form {
	t.Helper()
	form, err := s.PresignPost(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	return form
}

// posted is a form as it comes in, with fields set ("-" takes one out).
func posted(form *signer.Form, set ...string) signer.Post {
	p := signer.Post{Bucket: "photos", Fields: slices.Clone(form.Fields), FileName: `C:\pictures\cat.jpg`}
	for i := 0; i < len(set); i += 2 {
		name, value := set[i], set[i+1]
		p.Fields = slices.DeleteFunc(p.Fields, func(f signer.Field) bool { return f.Name == name })
		if value != "-" {
			p.Fields = append(p.Fields, signer.Field{Name: name, Value: value})
		}
	}
	return p
}

func field(form *signer.Form, name string) string {
	for _, f := range form.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func policyOf(t testing.TB, form *signer.Form) string {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(field(form, "policy"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The form of the documentation passes, with the signature that is printed there, and another file or field does not.
func TestPostDocumentedForm(t *testing.T) {
	vector.Run(t, "testdata/vectors/s3-post-policy.txt", func(t *testing.T, v *vector.Vector) {
		policy := v.Get(t, "policy base64")
		if got := base64.StdEncoding.EncodeToString([]byte(v.Get(t, "input policy"))); got != policy || got != v.Get(t, "string to sign") {
			t.Errorf("the policy encodes to %s", got)
		}
		at, err := time.Parse("20060102T150405Z", v.Get(t, "time"))
		if err != nil {
			t.Fatal(err)
		}
		v.Ignore("time-unix")
		verifier, err := s3.NewVerifier(s3.VerifierConfig{
			Region: v.Get(t, "region"), Service: v.Get(t, "service"), Clock: clock.Fixed(at.Add(time.Hour)),
			Lookup: lookup(s3.Credentials{AccessKeyID: v.Get(t, "access-key-id"), SecretKey: signer.NewSecret([]byte(v.Get(t, "secret-access-key")))}),
		})
		if err != nil {
			t.Fatal(err)
		}
		form := &signer.Form{}
		for _, pair := range v.Pairs(t, "form-field", "=") {
			form.Fields = append(form.Fields, signer.Field{Name: pair[0], Value: pair[1]})
		}
		form.Fields = append(form.Fields, signer.Field{Name: "Policy", Value: policy}, signer.Field{Name: "X-Amz-Signature", Value: v.Get(t, "signature")})
		good := posted(form)
		good.Bucket = "sigv4examplebucket"
		g, err := verifier.VerifyPost(ctx, good)
		if err != nil {
			t.Fatal(err)
		}
		if g.Key != "user/user1/cat.jpg" || g.Bucket != "sigv4examplebucket" || g.Scheme != "AWS4-HMAC-SHA256" || g.Method != "POST" || g.MaxBytes != -1 ||
			!g.ExpiresAt.Equal(time.Date(2015, 12, 30, 12, 0, 0, 0, time.UTC)) || !g.SignedAt.Equal(at) || g.Header.Get("X-Amz-Meta-Uuid") != "14365123651274" {
			t.Errorf("%+v", g)
		}
		for _, set := range [][]string{{"key", "user/user2/a"}, {"Content-Type", "text/html"}, {"acl", "-"}, {"x-amz-meta-tag", "-"}, {"tagging", "x"}} {
			bad := posted(form, set...)
			bad.Bucket = "sigv4examplebucket"
			if _, err := verifier.VerifyPost(ctx, bad); !errors.Is(err, signer.ErrPolicy) {
				t.Errorf("%q: %v", set, err)
			}
		}
		if _, err := verifier.VerifyPost(ctx, posted(form)); !errors.Is(err, signer.ErrPolicy) {
			t.Errorf("another bucket: %v", err)
		}
	})
}

func TestPresignPost(t *testing.T) {
	form := presignPost(t, newSigner(t), upload())
	if want := "https://photos.s3.eu-west-1.amazonaws.com/"; form.URL != want {
		t.Errorf("URL %s, want %s", form.URL, want)
	}
	var names []string
	for _, f := range form.Fields {
		names = append(names, f.Name)
	}
	if got, want := strings.Join(names, " "), "key success_action_redirect acl x-amz-meta-uuid x-amz-algorithm x-amz-credential x-amz-date policy x-amz-signature"; got != want {
		t.Errorf("fields %s\n  want %s", got, want)
	}
	want := `{"conditions":[["content-length-range",1,1048576],["starts-with","$Content-Type","image/"],["starts-with","$x-amz-meta-tag","t"],` +
		`{"acl":"private"},{"success_action_redirect":"https://app.example/done?a=b"},{"x-amz-meta-uuid":"5 \u0024 \"\u00e9\" \ud83d\udc31"},` +
		`{"bucket":"photos"},["starts-with","$key","user/eric/"],{"x-amz-algorithm":"AWS4-HMAC-SHA256"},` +
		`{"x-amz-credential":"AKIAIOSFODNN7EXAMPLE/20261124/eu-west-1/s3/aws4_request"},{"x-amz-date":"20261124T235919Z"}],` +
		`"expiration":"2026-11-25T00:59:49.000Z"}`
	if got := policyOf(t, form); got != want {
		t.Errorf("policy\n got %s\nwant %s", got, want)
	}
	if got := field(form, "key"); got != "user/eric/${filename}" {
		t.Errorf("key %q", got)
	}
	if !form.ExpiresAt.Equal(time.Date(2026, 11, 25, 0, 59, 49, 0, time.UTC)) || form.LimitedBy != signer.LimitRequest {
		t.Errorf("%v, by the %v", form.ExpiresAt, form.LimitedBy)
	}

	exact := presignPost(t, newSigner(t, func(c *s3.Config) { c.Endpoint = mustURL(t, "http://127.0.0.1:9000/base") }),
		signer.Policy{Bucket: "Other_1", Key: "a/b c.txt", ContentType: "text/plain", Expires: time.Minute, MaxBytes: -1})
	if exact.URL != "http://127.0.0.1:9000/base/Other_1" {
		t.Errorf("URL %s", exact.URL)
	}
	if got := policyOf(t, exact); !strings.HasPrefix(got, `{"conditions":[{"Content-Type":"text/plain"},{"bucket":"Other_1"},{"key":"a/b c.txt"},`) {
		t.Errorf("policy %s", got)
	}
	if field(exact, "key") != "a/b c.txt" || field(exact, "Content-Type") != "text/plain" {
		t.Errorf("fields %+q", exact.Fields[:2])
	}
}

func TestPostTargets(t *testing.T) {
	p := signer.Policy{Key: "k", Expires: time.Minute, MaxBytes: 1}
	own := func(c *s3.Config) {
		c.Endpoint, c.Addressing = mustURL(t, "https://img.example"), signer.AddressingBucketHost
	}
	bucketless := func(c *s3.Config) { c.Bucket = "" }
	for _, tt := range []struct {
		name        string
		edit        func(*s3.Config)
		bucket      string
		url, policy string
	}{
		{"dual stack", func(c *s3.Config) { c.DualStack = true }, "", "https://photos.s3.dualstack.eu-west-1.amazonaws.com/", `{"bucket":"photos"}`},
		{"path", func(c *s3.Config) { c.Addressing = signer.AddressingPath }, "", "https://s3.eu-west-1.amazonaws.com/photos", `{"bucket":"photos"}`},
		{"bucket host", func(c *s3.Config) { own(c); bucketless(c) }, "", "https://img.example/", `{"bucket":"img.example"}`},
		{"bucket host with a name", own, "", "https://img.example/", `{"bucket":"photos"}`},
		{"bucket host, named in the policy", func(c *s3.Config) { own(c); bucketless(c) }, "pics", "https://img.example/", `{"bucket":"pics"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := p
			p.Bucket = tt.bucket
			form := presignPost(t, newSigner(t, tt.edit), p)
			if form.URL != tt.url || !strings.Contains(policyOf(t, form), tt.policy) {
				t.Errorf("%s with %s", form.URL, policyOf(t, form))
			}
		})
	}
	for _, tt := range []struct {
		name   string
		edit   func(*s3.Config)
		bucket string
		class  error
		field  string
	}{
		{"no bucket", bucketless, "", signer.ErrRequest, "Bucket"},
		{"bad bucket", bucketless, "evil.example/", signer.ErrRequest, "Bucket"},
		{"another bucket than the host", own, "pics", signer.ErrRequest, "Bucket"},
		{"access point", bucketless, "arn:aws:s3:eu-west-1:123456789012:accesspoint/ap", signer.ErrUnsupported, "Bucket"},
		{"several regions", func(c *s3.Config) { c.Endpoint, c.RegionSet = mustURL(t, "http://h"), []string{"*"} }, "", signer.ErrUnsupported, "RegionSet"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := p
			p.Bucket = tt.bucket
			_, err := newSigner(t, tt.edit).PresignPost(ctx, p)
			wantError(t, err, tt.class, tt.field)
		})
	}
}

// A form dies with its credentials, or is not made.
func TestPostLifetime(t *testing.T) {
	p := signer.Policy{Key: "k", Expires: time.Hour, MaxBytes: 1}
	end := now.Truncate(time.Second).Add(20 * time.Minute)
	dying := func(c *s3.Config) {
		temporary := creds()
		temporary.SessionToken, temporary.Expires = signer.NewSecret([]byte("TOKEN+/=")), end
		c.Credentials = temporary
	}
	_, err := newSigner(t, dying).PresignPost(ctx, p)
	wantError(t, err, signer.ErrCredentials, "Credentials")
	p.AllowShorter = true
	form := presignPost(t, newSigner(t, dying), p)
	if !form.ExpiresAt.Equal(end) || form.LimitedBy != signer.LimitCredentials {
		t.Errorf("%v by the %v", form.ExpiresAt, form.LimitedBy)
	}
	if text := policyOf(t, form); !strings.Contains(text, `{"x-amz-security-token":"TOKEN+/="}`) || !strings.Contains(text, `"expiration":"2026-11-25T00:19:49.000Z"`) {
		t.Errorf("policy %s", text)
	}
	if field(form, "x-amz-security-token") != "TOKEN+/=" {
		t.Error("the form lacks its token")
	}
	week := signer.Policy{Key: "k", Expires: 7*24*time.Hour + time.Second, MaxBytes: 1}
	_, err = newSigner(t).PresignPost(ctx, week)
	wantError(t, err, signer.ErrLifetime, "Expires")
	week.AllowShorter = true
	if form := presignPost(t, newSigner(t), week); form.LimitedBy != signer.LimitScheme || field(form, "x-amz-date") != "20261124T235949Z" {
		t.Errorf("%v by the %v", form.ExpiresAt, form.LimitedBy)
	}
	_, err = newSigner(t).PresignPost(ctx, signer.Policy{Key: "k", MaxBytes: 1})
	wantError(t, err, signer.ErrLifetime, "Expires")
	_, err = newSigner(t, func(c *s3.Config) { c.Credentials = failing{} }).PresignPost(ctx, p)
	wantError(t, err, signer.ErrCredentials, "Credentials")
}

type failing struct{}

func (failing) Credentials(context.Context, time.Time) (s3.Credentials, error) {
	return s3.Credentials{}, errors.New("no answer")
}

// S3 takes 20 KB in front of the file.
func TestPostTooManyFields(t *testing.T) {
	p := signer.Policy{Key: "k", Expires: time.Minute, MaxBytes: 1, Fields: []signer.Field{{Name: "x-amz-meta-a", Value: strings.Repeat("x", 8_000)}}}
	presignPost(t, newSigner(t), p)
	p.Fields[0].Value = strings.Repeat("x", 9_000) // twice, once of them in base64
	_, err := newSigner(t).PresignPost(ctx, p)
	wantError(t, err, signer.ErrRequest, "Fields")
}

// What is wrong with a policy is found by internal/policy; that it is asked, and first, is seen here.
func TestPostBadPolicy(t *testing.T) {
	bad := upload()
	bad.MaxBytes, bad.Bucket = 0, "evil.example/"
	bad.Conditions = append(bad.Conditions, signer.Condition{Field: "acl", Op: "in", Values: []string{"a"}})
	_, err := newSigner(t, func(c *s3.Config) { c.Credentials = failing{} }).PresignPost(ctx, bad)
	wantError(t, err, signer.ErrRequest, "MaxBytes")
	for _, want := range []string{"MaxBytes", "Conditions", "Bucket"} {
		if !strings.Contains(fmt.Sprint(err), "s3: presign post: "+want+": ") {
			t.Errorf("nothing about %s in %v", want, err)
		}
	}
}

func TestVerifyPost(t *testing.T) {
	form := presignPost(t, newSigner(t), upload())
	good := []string{"Content-Type", "image/jpeg", "x-amz-meta-tag", "tea"}
	g, err := newVerifier(t).VerifyPost(ctx, posted(form, good...))
	if err != nil {
		t.Fatal(err)
	}
	want := signer.PostGrant{MinBytes: 1, MaxBytes: 1 << 20, Grant: signer.Grant{
		Backend: "s3", Scheme: "AWS4-HMAC-SHA256", KeyID: "AKIAIOSFODNN7EXAMPLE", Method: "POST", Bucket: "photos", Key: "user/eric/cat.jpg",
		SignedAt: time.Date(2026, 11, 24, 23, 59, 19, 0, time.UTC), NotBefore: time.Date(2026, 11, 24, 23, 59, 19, 0, time.UTC),
		ExpiresAt: form.ExpiresAt, Fingerprint: g.Fingerprint,
		Header: map[string][]string{"Content-Type": {"image/jpeg"}, "Acl": {"private"}, "Success_action_redirect": {"https://app.example/done?a=b"},
			"X-Amz-Meta-Uuid": {`5 $ "é" 🐱`}, "X-Amz-Meta-Tag": {"tea"}},
	}}
	if !reflect.DeepEqual(*g, want) || len(g.Fingerprint) != 32 {
		t.Errorf("got %+v\nwant %+v", *g, want)
	}

	with := func(set ...string) signer.Post { return posted(form, append(slices.Clone(good), set...)...) }
	later := func(d time.Duration) func(*s3.VerifierConfig) {
		return func(c *s3.VerifierConfig) { c.Clock = clock.Fixed(now.Add(d)) }
	}
	for _, tt := range []struct {
		name  string
		post  signer.Post
		edit  func(*s3.VerifierConfig)
		class error // nil for a form that passes
		field string
		says  string
	}{
		{"other names", with("key", "user/eric/${filename}/${filename}", "x-ignore-me", "1", "CONTENT-TYPE", "-"), nil, nil, "", ""},
		{"a list of types", with("Content-Type", "image/png, image/jpeg"), nil, nil, "", ""},
		{"last second", with(), later(time.Hour - time.Second), nil, "", ""},
		{"early", with(), later(-15 * time.Minute), nil, "", ""},

		{"key", with("key", "user/erica"), nil, signer.ErrPolicy, "key", `the condition ["starts-with", "$key", "user/eric/"] does not hold`},
		{"key that leaves its prefix", with("key", "user/eric/../root"), nil, signer.ErrPolicy, "key", `segment "." or ".."`},
		{"key with a backslash", with("key", `user/eric/..\root`), nil, signer.ErrPolicy, "key", "backslash"},
		{"no key", with("key", "-"), nil, signer.ErrMalformed, "key", "needs such a field"},
		{"type", with("Content-Type", "text/html"), nil, signer.ErrPolicy, "content-type", `["starts-with", "$content-type", "image/"]`},
		{"a type among others", with("Content-Type", "image/png,text/html"), nil, signer.ErrPolicy, "content-type", "image/"},
		{"no type", with("Content-Type", "-"), nil, signer.ErrPolicy, "content-type", "image/"},
		{"acl", with("acl", "public-read"), nil, signer.ErrPolicy, "acl", `["eq", "$acl", "private"]`},
		{"no acl", with("acl", "-"), nil, signer.ErrPolicy, "acl", `["eq", "$acl", "private"]`},
		{"redirect", with("success_action_redirect", "https://evil.example/"), nil, signer.ErrPolicy, "success_action_redirect", `"..."`},
		{"tag", with("x-amz-meta-tag", "coffee"), nil, signer.ErrPolicy, "x-amz-meta-tag", `["starts-with", "$x-amz-meta-tag", "t"]`},
		{"a field of which the policy knows nothing", with("x-amz-storage-class", "GLACIER"), nil, signer.ErrPolicy, "x-amz-storage-class", "no condition"},
		{"another bucket", signer.Post{Bucket: "secrets", Fields: with().Fields}, nil, signer.ErrPolicy, "bucket", `["eq", "$bucket", "photos"]`},
		{"a field twice", signer.Post{Bucket: "photos", Fields: append(with().Fields, signer.Field{Name: "Key", Value: "user/eric/b"})}, nil, signer.ErrMalformed, "Fields", "twice"},

		{"no policy and no signature", with("policy", "-", "x-amz-signature", "-"), nil, signer.ErrUnsigned, "", ""},
		{"no policy", with("policy", "-"), nil, signer.ErrMalformed, "policy", ""},
		{"no signature", with("x-amz-signature", "-"), nil, signer.ErrMalformed, "x-amz-signature", ""},
		{"no credential", with("x-amz-credential", "-"), nil, signer.ErrMalformed, "x-amz-credential", ""},
		{"no date", with("x-amz-date", "-"), nil, signer.ErrMalformed, "x-amz-date", ""},
		{"a date that is none", with("x-amz-date", "2026-11-24"), nil, signer.ErrMalformed, "x-amz-date", ""},
		{"another day", with("x-amz-date", "20261123T235919Z"), nil, signer.ErrScope, "x-amz-credential", ""},
		{"algorithm", with("x-amz-algorithm", "AWS4-ECDSA-P256-SHA256"), nil, signer.ErrMalformed, "x-amz-algorithm", ""},
		{"signature", with("x-amz-signature", strings.Repeat("0", 64)), nil, signer.ErrMismatch, "x-amz-signature", "another secret"},
		{"another policy", with("policy", base64.StdEncoding.EncodeToString([]byte(`{"conditions":[]}`))), nil, signer.ErrMismatch, "x-amz-signature", ""},
		{"region", with("x-amz-credential", "AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request"), nil, signer.ErrScope, "X-Amz-Credential", "us-east-1"},
		{"unknown key", with("x-amz-credential", "AKIAI44QH8DHBEXAMPLE/20261124/eu-west-1/s3/aws4_request"), nil, signer.ErrUnknownKey, "x-amz-credential", ""},
		{"a token too many", with("x-amz-security-token", "t"), nil, signer.ErrMismatch, "X-Amz-Security-Token", ""},
		{"expired", with(), later(time.Hour), signer.ErrExpired, "policy", "2026-11-25T00:59:49Z"},
		{"from the future", with(), later(-16 * time.Minute), signer.ErrNotYetValid, "X-Amz-Date", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			edits := []func(*s3.VerifierConfig){tt.edit}
			if tt.edit == nil {
				edits = nil
			}
			_, err := newVerifier(t, edits...).VerifyPost(ctx, tt.post)
			if tt.class == nil {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			wantError(t, err, tt.class, tt.field)
			var e *signer.Error
			if errors.As(err, &e) && e.Code == "" || !strings.Contains(fmt.Sprint(err), tt.says) {
				t.Errorf("%v does not say %q, or has no code", err, tt.says)
			}
			if strings.Contains(fmt.Sprint(err), "a=b") || strings.Contains(fmt.Sprint(err), field(form, "x-amz-signature")) {
				t.Errorf("%v holds what should not be shown", err)
			}
		})
	}
}

// The token of temporary credentials is in the policy, and must be in the form.
func TestVerifyPostToken(t *testing.T) {
	temporary := creds()
	temporary.SessionToken = signer.NewSecret([]byte("TOKEN+/="))
	form := presignPost(t, newSigner(t, func(c *s3.Config) { c.Credentials = temporary }), signer.Policy{Key: "k", Expires: time.Hour, MaxBytes: 1})
	v := newVerifier(t, func(c *s3.VerifierConfig) { c.Lookup = lookup(temporary) })
	if _, err := v.VerifyPost(ctx, posted(form)); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"-", "OTHER"} {
		_, err := v.VerifyPost(ctx, posted(form, "x-amz-security-token", token))
		wantError(t, err, signer.ErrMismatch, "X-Amz-Security-Token")
	}
	dead := temporary
	dead.Expires = now
	_, err := newVerifier(t, func(c *s3.VerifierConfig) { c.Lookup = lookup(dead) }).VerifyPost(ctx, posted(form))
	wantError(t, err, signer.ErrExpired, "Credential")
	broken := errors.New("database down")
	_, err = newVerifier(t, func(c *s3.VerifierConfig) {
		c.Lookup = func(context.Context, string) (s3.Credentials, error) { return s3.Credentials{}, broken }
	}).VerifyPost(ctx, posted(form))
	if err != broken {
		t.Errorf("got %v", err)
	}
	_, err = newVerifier(t, func(c *s3.VerifierConfig) {
		c.Lookup = func(context.Context, string) (s3.Credentials, error) { return s3.Credentials{}, nil }
	}).VerifyPost(ctx, posted(form))
	wantError(t, err, signer.ErrUnknownKey, "x-amz-credential")
}

// "${filename}" is replaced in every field, before its condition is looked at.
func TestVerifyPostFileName(t *testing.T) {
	form := presignPost(t, newSigner(t), signer.Policy{Key: "k", Expires: time.Hour, MaxBytes: 1,
		Conditions: []signer.Condition{{Field: "x-amz-meta-name", Op: "starts-with", Values: []string{"my cat"}}}})
	g, err := newVerifier(t).VerifyPost(ctx, posted(form, "x-amz-meta-name", "my ${filename}"))
	if err != nil || g.Header.Get("X-Amz-Meta-Name") != "my cat.jpg" {
		t.Errorf("%v %+v", err, g)
	}
}

// Of a policy that is to live for years, a form makes use for as long as its key lives.
func TestVerifyPostEndsWithTheKey(t *testing.T) {
	form := presignPost(t, newSigner(t), signer.Policy{Key: "k", Expires: time.Hour, MaxBytes: 1})
	long := base64.StdEncoding.EncodeToString([]byte(strings.Replace(policyOf(t, form), "2026-11-25T00:59:49", "2036-11-25T00:59:49", 1)))
	key := sigv4.Chain([]byte("AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), "20261124", "eu-west-1", "s3", "aws4_request", long)
	post := posted(form, "policy", long, "x-amz-signature", hex.EncodeToString(key))
	g, err := newVerifier(t).VerifyPost(ctx, post)
	if end := time.Date(2026, 12, 1, 23, 59, 19, 0, time.UTC); err != nil || !g.ExpiresAt.Equal(end) {
		t.Errorf("%v %+v, want %v", err, g, end)
	}
	_, err = newVerifier(t, func(c *s3.VerifierConfig) { c.Clock = clock.Fixed(now.Add(7 * 24 * time.Hour)) }).VerifyPost(ctx, post)
	wantError(t, err, signer.ErrExpired, "X-Amz-Date")
}

// What we sign our verifier takes, whatever the key, the value and the size; one changed byte of policy or signature it does not.
func FuzzPost(f *testing.F) {
	f.Add("cat.jpg", "value", int64(10), uint16(7), uint8(1))
	f.Add("ü/🐱 $\\\"", "\\u0024 \\$ <&>", int64(0), uint16(900), uint8(32))
	f.Fuzz(func(t *testing.T, key, value string, most int64, at uint16, flip uint8) {
		form, err := newSigner(t).PresignPost(ctx, signer.Policy{Key: key, Expires: time.Minute, MaxBytes: most, Fields: []signer.Field{{Name: "x-amz-meta-a", Value: value}}})
		if err != nil {
			if !errors.Is(err, signer.ErrRequest) {
				t.Errorf("undocumented error %v", err)
			}
			return
		}
		v := newVerifier(t)
		post := posted(form)
		g, err := v.VerifyPost(ctx, post)
		if err != nil {
			t.Fatalf("%s is refused: %v", policyOf(t, form), err)
		}
		if g.Key != key || g.Header.Get("X-Amz-Meta-A") != value || g.MaxBytes != most {
			t.Errorf("asked for %q %q %d, granted %+v", key, value, most, g)
		}
		for _, name := range []string{"policy", "x-amz-signature"} {
			i := slices.IndexFunc(post.Fields, func(f signer.Field) bool { return f.Name == name })
			changed := signer.Post{Bucket: "photos", Fields: slices.Clone(post.Fields)}
			text := []byte(changed.Fields[i].Value)
			text[int(at)%len(text)] ^= max(flip, 1)
			changed.Fields[i].Value = string(text)
			if _, err := v.VerifyPost(ctx, changed); !errors.Is(err, signer.ErrMismatch) && !errors.Is(err, signer.ErrMalformed) {
				t.Errorf("with one byte of %s changed: %v", name, err)
			}
		}
	})
}

// No form of a stranger's makes the verifier panic or pass.
func FuzzPostFields(f *testing.F) {
	form := presignPost(f, newSigner(f), signer.Policy{Key: "k", Expires: time.Minute, MaxBytes: 1})
	f.Add("x-amz-credential", "a/b/c/d/e", "cat")
	f.Add("x-amz-date", "99991231T235959Z", "..")
	f.Add("policy", "e30=", "${filename}")
	v := newVerifier(f)
	f.Fuzz(func(t *testing.T, name, value, file string) {
		post := posted(form, name, value)
		post.FileName = file
		if _, err := v.VerifyPost(ctx, post); err == nil {
			if value != field(form, name) && !strings.HasPrefix(strings.ToLower(name), "x-ignore-") && !strings.EqualFold(name, "file") && (value != "-" || field(form, name) != "") &&
				!(name == "key" && strings.ReplaceAll(value, "${filename}", file[strings.LastIndexAny(file, `/\`)+1:]) == "k") {
				t.Errorf("%q = %q passes", name, value)
			}
		} else if !documented(err) && !errors.Is(err, signer.ErrPolicy) {
			t.Errorf("undocumented error %v", err)
		}
	})
}

func BenchmarkPresignPost(b *testing.B) {
	s, p := newSigner(b), upload()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.PresignPost(ctx, p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyPost(b *testing.B) {
	v := newVerifier(b)
	post := posted(presignPost(b, newSigner(b), upload()), "Content-Type", "image/jpeg", "x-amz-meta-tag", "tea")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.VerifyPost(ctx, post); err != nil {
			b.Fatal(err)
		}
	}
}

// A page that uploads pictures of at most a megabyte, under names that its users choose.
func ExampleSigner_PresignPost() {
	s, err := s3.New(s3.Config{
		Region: "eu-west-1",
		Bucket: "photos",
		Credentials: s3.Credentials{
			AccessKeyID: "AKIAIOSFODNN7EXAMPLE",
			SecretKey:   signer.NewSecret([]byte("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")),
		},
		Clock: clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)), // leave it out in your code
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	form, err := s.PresignPost(context.Background(), signer.Policy{
		KeyPrefix:         "uploads/eric/",
		Expires:           15 * time.Minute,
		MinBytes:          1,
		MaxBytes:          1 << 20,
		ContentTypePrefix: "image/", // the page adds the field Content-Type
		Fields:            []signer.Field{{Name: "success_action_status", Value: "201"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(form) // without its fields: they are a secret
	for _, f := range form.Fields[:2] {
		fmt.Printf("%s: %s\n", f.Name, f.Value)
	}
	fmt.Println("and", len(form.Fields)-2, "more, then Content-Type, then the file")
	// Output:
	// POST https://photos.s3.eu-west-1.amazonaws.com/ until 2026-11-25T12:15:00Z
	// key: uploads/eric/${filename}
	// success_action_status: 201
	// and 5 more, then Content-Type, then the file
}

// A server of one's own takes the form: first its fields, then the file.
func ExampleVerifier_VerifyPost() {
	creds := s3.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretKey: signer.NewSecret([]byte("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))}
	s, _ := s3.New(s3.Config{Region: "eu-west-1", Bucket: "photos", Credentials: creds})
	v, err := s3.NewVerifier(s3.VerifierConfig{
		Region: "eu-west-1",
		Lookup: func(ctx context.Context, id string) (s3.Credentials, error) {
			if id != creds.AccessKeyID {
				return s3.Credentials{}, signer.ErrUnknownKey
			}
			return creds, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	form, _ := s.PresignPost(context.Background(), signer.Policy{KeyPrefix: "uploads/", Expires: time.Minute, MaxBytes: 5})

	// What a mime/multipart.Reader finds in front of the part named "file".
	g, err := v.VerifyPost(context.Background(), signer.Post{Bucket: "photos", Fields: form.Fields, FileName: "cat.txt"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(g.Bucket, g.Key)
	_, err = io.ReadAll(g.Body(io.NopCloser(strings.NewReader("meow!!"))))
	fmt.Println(err)
	// Output:
	// photos uploads/cat.txt
	// s3: verify post: file: policy not met: the file is longer than the 5 bytes that are allowed
}
