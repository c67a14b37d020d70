package oss_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

func presignPost(t testing.TB, s *oss.Signer, p signer.Policy) *signer.Form {
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

func upload() signer.Policy {
	return signer.Policy{KeyPrefix: "up/", Expires: time.Hour, MinBytes: 1, MaxBytes: 10,
		Fields: []signer.Field{{Name: "x-oss-meta-b", Value: "$é"}, {Name: "success_action_status", Value: "201"}},
		Conditions: []signer.Condition{{Field: "content-type", Op: "in", Values: []string{"image/png", "image/jpeg"}},
			{Field: "cache-control", Op: "not-in", Values: []string{"no-cache"}}, {Field: "x-oss-meta-c", Op: "starts-with", Values: []string{"c"}}}}
}

func TestPresignPost(t *testing.T) {
	form := presignPost(t, newSigner(t), upload())
	want := `{"conditions":[["content-length-range",1,10],["in","$content-type",["image/png","image/jpeg"]],["not-in","$cache-control",["no-cache"]],` +
		`["starts-with","$x-oss-meta-c","c"],{"success_action_status":"201"},{"x-oss-meta-b":"\u0024\u00e9"},{"bucket":"photos"},["starts-with","$key","up/"],` +
		`{"x-oss-signature-version":"OSS4-HMAC-SHA256"},{"x-oss-credential":"` + keyID + `/20261124/cn-hangzhou/oss/aliyun_v4_request"},{"x-oss-date":"20261124T235949Z"}],` +
		`"expiration":"2026-11-25T00:59:49.000Z"}`
	if got := policyOf(t, form); got != want {
		t.Errorf("policy\n got %s\nwant %s", got, want)
	}
	if form.URL != "https://photos.oss-cn-hangzhou.aliyuncs.com/" || field(form, "key") != "up/${filename}" || form.LimitedBy != signer.LimitRequest {
		t.Errorf("%s %q", form.URL, field(form, "key"))
	}
	own := presignPost(t, newSigner(t, func(c *oss.Config) {
		c.Endpoint, c.Addressing = mustURL(t, "https://img.example"), signer.AddressingBucketHost
	}), upload())
	path := presignPost(t, newSigner(t, func(c *oss.Config) { c.Endpoint = mustURL(t, "http://127.0.0.1:9000") }), upload())
	if own.URL != "https://img.example/" || path.URL != "http://127.0.0.1:9000/photos/" || policyOf(t, own) != want || policyOf(t, path) != want {
		t.Errorf("%s and %s", own.URL, path.URL)
	}
}

// A form's type holds whatever its holder adds: OSS looks at x-oss-content-type first, then at the file's part, at Content-Type last.
// https://www.alibabacloud.com/help/en/oss/developer-reference/postobject
func TestPresignPostFixesType(t *testing.T) {
	const first = "x-oss-content-type"
	for what, p := range map[string]signer.Policy{
		"ContentType": {ContentType: "image/png"},
		"a field":     {Fields: []signer.Field{{Name: "Content-Type", Value: "image/png"}}},
		"both fields": {Fields: []signer.Field{{Name: "content-type", Value: "image/png"}, {Name: first, Value: "image/png"}}},
	} {
		p.Key, p.MaxBytes, p.Expires = "k", 1, time.Hour
		given := slices.Clone(p.Fields)
		form := presignPost(t, newSigner(t), p)
		if field(form, first) != "image/png" || strings.Count(policyOf(t, form), `{"x-oss-content-type":"image/png"}`) != 1 || !slices.Equal(p.Fields, given) {
			t.Errorf("%s: %s", what, policyOf(t, form))
		}
		if _, err := newVerifier(t).VerifyPost(ctx, posted(form, first, "text/html")); !errors.Is(err, signer.ErrPolicy) {
			t.Errorf("%s: %v", what, err)
		}
		p.Fields = append(slices.DeleteFunc(p.Fields, func(f signer.Field) bool { return f.Name == first }), signer.Field{Name: "X-Oss-Content-Type", Value: "text/html"})
		if _, err := newSigner(t).PresignPost(ctx, p); !errors.Is(err, signer.ErrRequest) {
			t.Errorf("%s, and another type in the field that goes before it: %v", what, err)
		}
	}
	if form := presignPost(t, newSigner(t), signer.Policy{Key: "k", MaxBytes: 1, Expires: time.Hour}); strings.Contains(policyOf(t, form), "type") {
		t.Errorf("no type: %s", policyOf(t, form))
	}
}

func TestVerifyPost(t *testing.T) {
	form := presignPost(t, newSigner(t), upload())
	good := []string{"content-type", "image/png", "x-oss-meta-c", "cc"}
	g, err := newVerifier(t).VerifyPost(ctx, posted(form, good...))
	if err != nil {
		t.Fatal(err)
	}
	if g.Backend != "oss" || g.Scheme != "OSS4-HMAC-SHA256" || g.Key != "up/cat.jpg" || g.KeyID != keyID || g.MinBytes != 1 || g.MaxBytes != 10 || !g.ExpiresAt.Equal(form.ExpiresAt) ||
		g.Header.Get("X-Oss-Meta-B") != "$é" || len(g.Header) != 4 || !g.SignedAt.Equal(now.Truncate(time.Second)) || len(g.Fingerprint) != 32 {
		t.Errorf("%+v", g)
	}
	credential := func(id, day, rest string) []string { return []string{"x-oss-credential", id + "/" + day + "/" + rest} }
	for _, tt := range []struct {
		set         []string
		class       error
		field, code string
	}{
		{[]string{"cache-control", "max-age=1"}, nil, "", ""},
		{[]string{"key", "down/a"}, signer.ErrPolicy, "key", "0006-00000227"},
		{[]string{"content-type", "text/html"}, signer.ErrPolicy, "content-type", "0006-00000227"},
		{[]string{"cache-control", "no-cache"}, signer.ErrPolicy, "cache-control", "0006-00000227"},
		{[]string{"x-oss-meta-c", "b"}, signer.ErrPolicy, "x-oss-meta-c", "0006-00000227"},
		{[]string{"success_action_status", "200"}, signer.ErrPolicy, "success_action_status", "0006-00000227"},
		{[]string{"x-oss-object-acl", "public-read"}, signer.ErrPolicy, "x-oss-object-acl", "0006-00000227"},
		{[]string{"policy", "-", "x-oss-signature", "-"}, signer.ErrUnsigned, "", "AccessDenied"},
		{[]string{"policy", "-"}, signer.ErrMalformed, "policy", "0002-00000702"},
		{[]string{"x-oss-signature", "-"}, signer.ErrMalformed, "x-oss-signature", "0002-00000703"},
		{[]string{"x-oss-signature", ""}, signer.ErrMalformed, "x-oss-signature", "0002-00000704"},
		{[]string{"x-oss-signature", strings.Repeat("0", 64)}, signer.ErrMismatch, "x-oss-signature", "0002-00000705"},
		{[]string{"x-oss-signature-version", "OSS2"}, signer.ErrMalformed, "x-oss-signature-version", "0002-00000701"},
		{[]string{"Signature", "x"}, signer.ErrUnsupported, "Signature", "0002-00000701"},
		{[]string{"x-oss-date", "20261124"}, signer.ErrMalformed, "x-oss-date", ""},
		{[]string{"x-oss-date", "20261123T235949Z"}, signer.ErrScope, "x-oss-credential", "0002-00000709"},
		{credential("a\tb", "20261124", "cn-hangzhou/oss/aliyun_v4_request"), signer.ErrMalformed, "x-oss-credential", "0002-00000708"},
		{credential(keyID, "2026-11-24", "cn-hangzhou/oss/aliyun_v4_request"), signer.ErrMalformed, "x-oss-credential", "0002-00000709"},
		{credential(keyID, "20261124", "cn-hangzhou/oss/aws4_request"), signer.ErrScope, "x-oss-credential", "0002-00000710"},
		{credential(keyID, "20261124", "cn-beijing/oss/aliyun_v4_request"), signer.ErrScope, "x-oss-credential", "0002-00000715"},
		{credential(keyID, "20261124", "cn-hangzhou/oss-cloudbox/aliyun_v4_request"), signer.ErrScope, "x-oss-credential", "0002-00000716"},
		{credential("LTAI5tOther", "20261124", "cn-hangzhou/oss/aliyun_v4_request"), signer.ErrUnknownKey, "Credential", "InvalidAccessKeyId"},
		{[]string{"x-oss-security-token", "t"}, signer.ErrMismatch, "x-oss-security-token", "InvalidAccessKeyId"},
	} {
		_, err := newVerifier(t).VerifyPost(ctx, posted(form, append(slices.Clone(good), tt.set...)...))
		if tt.class == nil {
			if err != nil {
				t.Errorf("%q: %v", tt.set, err)
			}
			continue
		}
		wantError(t, err, tt.class, tt.field)
		var e *signer.Error
		if errors.As(err, &e) && e.Code != tt.code {
			t.Errorf("%q: code %s, want %s", tt.set, e.Code, tt.code)
		}
	}
	for _, at := range []struct {
		offset time.Duration
		class  error
	}{{time.Hour - time.Second, nil}, {time.Hour, signer.ErrExpired}, {-15 * time.Minute, nil}, {-16 * time.Minute, signer.ErrNotYetValid}, {8 * 24 * time.Hour, signer.ErrExpired}} {
		v := newVerifier(t, func(c *oss.VerifierConfig) { c.Clock = clock.Fixed(now.Add(at.offset)) })
		if _, err := v.VerifyPost(ctx, posted(form, good...)); !errors.Is(err, at.class) {
			t.Errorf("%v later: %v", at.offset, err)
		}
	}
	other := posted(form, good...)
	other.Bucket = "secrets"
	_, err = newVerifier(t).VerifyPost(ctx, other)
	wantError(t, err, signer.ErrPolicy, "bucket")
	_, err = newVerifier(t).VerifyPost(ctx, signer.Post{Fields: []signer.Field{{Name: "key"}, {Name: "KEY"}}})
	wantError(t, err, signer.ErrMalformed, "Fields")
}

// A form dies with its security token, which is in it.
func TestPostToken(t *testing.T) {
	end := now.Truncate(time.Second).Add(time.Minute)
	dying := func(c *oss.Config) {
		temporary := tokenCreds()
		temporary.Expires = end
		c.Credentials = temporary
	}
	p := signer.Policy{Key: "k", Expires: time.Hour, MaxBytes: -1}
	_, err := newSigner(t, dying).PresignPost(ctx, p)
	wantError(t, err, signer.ErrCredentials, "Credentials")
	p.AllowShorter = true
	form := presignPost(t, newSigner(t, dying), p)
	if !form.ExpiresAt.Equal(end) || form.LimitedBy != signer.LimitCredentials || !strings.Contains(policyOf(t, form), `{"x-oss-security-token":"CAISa+token/with=signs"}`) {
		t.Errorf("%v by the %v: %s", form.ExpiresAt, form.LimitedBy, policyOf(t, form))
	}
	if _, err := newVerifier(t).VerifyPost(ctx, posted(form)); err != nil {
		t.Error(err)
	}
	for _, token := range []string{"-", "other"} {
		_, err := newVerifier(t).VerifyPost(ctx, posted(form, "x-oss-security-token", token))
		wantError(t, err, signer.ErrMismatch, "x-oss-security-token")
	}
	p.AllowShorter, p.Expires = false, 7*24*time.Hour+1
	_, err = newSigner(t).PresignPost(ctx, p)
	wantError(t, err, signer.ErrLifetime, "Expires")
	_, err = newSigner(t).PresignPost(ctx, signer.Policy{KeyPrefix: "k", Expires: time.Hour, Bucket: "Evil/"})
	wantError(t, err, signer.ErrRequest, "MaxBytes")
	if !strings.Contains(fmt.Sprint(err), "oss: presign post: Bucket: ") {
		t.Errorf("nothing about the bucket in %v", err)
	}
}

// Of a policy that is to live for years, a form makes use for seven days.
func TestVerifyPostEndsAfterAWeek(t *testing.T) {
	form := presignPost(t, newSigner(t), signer.Policy{Key: "k", Expires: time.Hour, MaxBytes: 1})
	long := base64.StdEncoding.EncodeToString([]byte(strings.Replace(policyOf(t, form), "2026-11-25T00:59:49", "2036-11-25T00:59:49", 1)))
	key := sigv4.Chain([]byte("aliyun_v4"+secretText), "20261124", "cn-hangzhou", "oss", "aliyun_v4_request", long)
	post := posted(form, "policy", long, "x-oss-signature", hex.EncodeToString(key))
	g, err := newVerifier(t).VerifyPost(ctx, post)
	if end := time.Date(2026, 12, 1, 23, 59, 49, 0, time.UTC); err != nil || !g.ExpiresAt.Equal(end) {
		t.Errorf("%v %+v, want %v", err, g, end)
	}
	_, err = newVerifier(t, func(c *oss.VerifierConfig) { c.Clock = clock.Fixed(now.Add(7 * 24 * time.Hour)) }).VerifyPost(ctx, post)
	wantError(t, err, signer.ErrExpired, "x-oss-date")
}

// What we sign our verifier takes; one changed byte of policy or signature it does not.
func FuzzPost(f *testing.F) {
	f.Add("cat.jpg", "value", int64(10), uint16(7), uint8(1))
	f.Add("$ü/🐱\\\"", "\\u0024 \\$ <&>", int64(-1), uint16(900), uint8(32))
	f.Fuzz(func(t *testing.T, key, value string, most int64, at uint16, flip uint8) {
		form, err := newSigner(t).PresignPost(ctx, signer.Policy{Key: key, Expires: time.Minute, MaxBytes: most, Fields: []signer.Field{{Name: "x-oss-meta-a", Value: value}}})
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
		if g.Key != key || g.Header.Get("X-Oss-Meta-A") != value || g.MaxBytes != most {
			t.Errorf("asked for %q %q %d, granted %+v", key, value, most, g)
		}
		for _, name := range []string{"policy", "x-oss-signature"} {
			text := []byte(field(form, name))
			text[int(at)%len(text)] ^= max(flip, 1)
			if _, err := newVerifier(t).VerifyPost(ctx, posted(form, name, string(text))); !errors.Is(err, signer.ErrMismatch) && !errors.Is(err, signer.ErrMalformed) {
				t.Errorf("with one byte of %s changed: %v", name, err)
			}
		}
	})
}

// A page that uploads pictures or PDF files; OSS alone knows lists of values.
func ExampleSigner_PresignPost() {
	s, err := oss.New(oss.Config{
		Region:      "cn-hangzhou",
		Bucket:      "photos",
		Credentials: oss.Credentials{AccessKeyID: "LTAI5tExampleExampleExam", AccessKeySecret: signer.NewSecret([]byte("jtWgeXtExampleExampleExampleFi"))},
		Clock:       clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)), // leave it out in your code
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	form, err := s.PresignPost(context.Background(), signer.Policy{
		KeyPrefix:  "uploads/eric/",
		Expires:    15 * time.Minute,
		MaxBytes:   10 << 20,
		Fields:     []signer.Field{{Name: "success_action_status", Value: "201"}},
		Conditions: []signer.Condition{{Field: "content-type", Op: "in", Values: []string{"image/png", "image/jpeg", "application/pdf"}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(form)
	for _, f := range form.Fields[:2] {
		fmt.Printf("%s: %s\n", f.Name, f.Value)
	}
	// Output:
	// POST https://photos.oss-cn-hangzhou.aliyuncs.com/ until 2026-11-25T12:15:00Z
	// key: uploads/eric/${filename}
	// success_action_status: 201
}
