package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/minio/minio-go/v7"

	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is uploads by forms. versitygw judges ours, storefake those that the SDKs of Amazon, MinIO, Google and Alibaba sign.
// versitygw 1.8.0 differs in what follows. It leaves "${filename}" in a key as it is. By its source it takes no form an hour after its
// x-amz-date, however long the policy lives, and does not look whether the day of the credential is that of x-amz-date.

// posting makes the request that posts a form and a file, with fields set ("-" takes one out).
func posting(t *testing.T, form *signer.Form, file string, set ...string) *http.Request {
	t.Helper()
	fields := slices.Clone(form.Fields)
	for i := 0; i < len(set); i += 2 {
		fields = slices.DeleteFunc(fields, func(f signer.Field) bool { return f.Name == set[i] })
		if set[i+1] != "-" {
			fields = append(fields, signer.Field{Name: set[i], Value: set[i+1]})
		}
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, f := range fields {
		w.WriteField(f.Name, f.Value)
	}
	part := must(w.CreateFormFile("file", "cat é.png"))(t)
	part.Write([]byte(file))
	w.Close()
	req := must(http.NewRequest(http.MethodPost, form.URL, &body))(t)
	req.Header.Set("Content-Type", w.FormDataContentType())
	return req
}

// message is that of an error, without blanks: versitygw quotes a condition as it was written.
func (a answer) message() string {
	var e struct{ Message string }
	xml.Unmarshal(a.body, &e)
	return strings.ToLower(strings.ReplaceAll(e.Message, " ", ""))
}

// TestPostForms posts good and bad forms to versitygw and to storefake. Both must say the same, code and condition.
func TestPostForms(t *testing.T) {
	policy := signer.Policy{KeyPrefix: "up/ü/", Expires: time.Minute, MinBytes: 2, MaxBytes: 10, ContentTypePrefix: "image/",
		Fields:     []signer.Field{{Name: "x-amz-meta-a", Value: `ascii "$" \`}, {Name: "Cache-Control", Value: "no-store"}},
		Conditions: []signer.Condition{{Field: "x-amz-meta-b", Op: "starts-with", Values: []string{"b"}}}}
	exact := signer.Policy{Key: "up/exact $é 🐱", Expires: time.Minute, MaxBytes: -1, ContentType: "text/plain",
		Fields: []signer.Field{{Name: "success_action_status", Value: "201"}}}
	redirect := signer.Policy{Key: "up/r", Expires: time.Minute, MaxBytes: -1, Fields: []signer.Field{{Name: "success_action_redirect", Value: "http://127.0.0.1:1/done?a=b"}}}
	const chosen, twelve = "up/ü/cat é.png", "012345678901"
	with := func(set ...string) []string {
		return append([]string{"key", chosen, "Content-Type", "image/png", "x-amz-meta-b", "bb"}, set...)
	}
	for _, tt := range []struct {
		name   string
		policy *signer.Policy
		file   string
		set    []string
		want   string
		says   string // of the condition, in lower case and without blanks
	}{
		{"good", &policy, "0123456789", with(), "204", ""},
		{"a list of types", &policy, "01", with("Content-Type", "image/png,image/jpeg"), "204", ""},
		{"ignored", &policy, "01", with("x-ignore-me", "1"), "204", ""},
		{"exact", &exact, "", nil, "201", ""},
		{"redirect", &redirect, "x", nil, "303", ""},

		{"key", &policy, "01", with("key", "down/a"), "403 AccessDenied", `policyconditionfailed:["starts-with","$key","up/`},
		{"exact key", &exact, "01", []string{"key", "up/other"}, "403 AccessDenied", `policyconditionfailed:["eq","$key","up/exact`},
		{"type", &policy, "01", with("Content-Type", "text/html"), "403 AccessDenied", `policyconditionfailed:["starts-with","$content-type","image/"]`},
		{"a type among others", &policy, "01", with("Content-Type", "image/png,text/html"), "403 AccessDenied", `policyconditionfailed:["starts-with","$content-type","image/"]`},
		{"no type", &policy, "01", with("Content-Type", "-"), "403 AccessDenied", `policyconditionfailed:["starts-with","$content-type","image/"]`},
		{"exact type", &exact, "01", []string{"Content-Type", "text/html"}, "403 AccessDenied", `policyconditionfailed:["eq","$content-type","text/plain"]`},
		{"exact field", &policy, "01", with("Cache-Control", "public"), "403 AccessDenied", `policyconditionfailed:["eq","$cache-control","no-store"]`},
		{"no exact field", &policy, "01", with("x-amz-meta-a", "-"), "403 AccessDenied", `policyconditionfailed:["eq","$x-amz-meta-a","`},
		{"condition", &policy, "01", with("x-amz-meta-b", "c"), "403 AccessDenied", `policyconditionfailed:["starts-with","$x-amz-meta-b","b"]`},
		{"field of no condition", &policy, "01", with("x-amz-meta-c", "c"), "403 AccessDenied", "extrainputfields:x-amz-meta-c"},
		{"too large", &policy, twelve, with(), "400 EntityTooLarge", ""},
		{"too small", &policy, "0", with(), "400 EntityTooSmall", ""},
		{"forged signature", &policy, "01", with("x-amz-signature", strings.Repeat("0", 64)), "403 SignatureDoesNotMatch", ""},
		{"another policy", &policy, "01", with("policy", base64.StdEncoding.EncodeToString([]byte(`{"expiration":"2099-01-01T00:00:00Z","conditions":[]}`))), "403 SignatureDoesNotMatch", ""},
		{"no date", &policy, "01", with("x-amz-date", "-"), "400 InvalidArgument", "x-amz-date"},
		{"another key", &policy, "01", with("x-amz-credential", "NOBODY/"+time.Now().UTC().Add(-30*time.Second).Format("20060102")+"/us-east-1/s3/aws4_request"), "403 InvalidAccessKeyId", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, start := range []func() (*server, error){versitygw, versitygwVirtual, storefakeServer} {
				s := must(start())(t)
				form := must(s.signer(t).PresignPost(t.Context(), *tt.policy))(t)
				a := s.send(t, posting(t, form, tt.file, tt.set...))
				a.want(t, tt.want)
				if !strings.Contains(a.message(), tt.says) {
					t.Errorf("%s says %q, want %q", s.name, a.message(), tt.says)
				}
				if a.StatusCode >= 300 && a.StatusCode != 303 {
					continue
				}
				key := tt.policy.Key
				if key == "" {
					key = chosen
				}
				got := s.use(t, s.presign(t, signer.Request{Key: key}), nil)
				got.want(t, "200")
				if string(got.body) != tt.file || tt.policy == &policy && got.Header.Get("X-Amz-Meta-A") != `ascii "$" \` {
					t.Errorf("%s stored %q with %v", s.name, got.body, got.Header)
				}
				if at := a.Header.Get("Location"); a.StatusCode == 303 && !strings.HasPrefix(at, "http://127.0.0.1:1/done?a=b&bucket="+bucket+"&etag=") {
					t.Errorf("%s sends on to %s", s.name, at)
				}
				s.use(t, s.presign(t, signer.Request{Method: http.MethodDelete, Key: key}), nil).want(t, "204")
			}
		})
	}
}

// storefake puts the name of the file into the key, as S3 does; versitygw stores it under the name that the field has.
func TestPostFormFileName(t *testing.T) {
	for _, tt := range []struct {
		start func() (*server, error)
		key   string
	}{{versitygw, "up/${filename}"}, {storefakeServer, "up/cat é.png"}} {
		s := must(tt.start())(t)
		form := must(s.signer(t).PresignPost(t.Context(), signer.Policy{KeyPrefix: "up/", Expires: time.Minute, MaxBytes: 10}))(t)
		s.send(t, posting(t, form, "x")).want(t, "204")
		s.use(t, s.presign(t, signer.Request{Key: tt.key}), nil).want(t, "200")
		s.use(t, s.presign(t, signer.Request{Method: http.MethodDelete, Key: tt.key}), nil).want(t, "204")
	}
}

// A policy that has ended is refused by both.
func TestPostFormExpires(t *testing.T) {
	for _, start := range []func() (*server, error){versitygw, storefakeServer} {
		s := must(start())(t)
		form := must(s.signer(t).PresignPost(t.Context(), signer.Policy{Key: "up/late", Expires: time.Second, MaxBytes: 10}))(t)
		time.Sleep(time.Until(form.ExpiresAt) + 100*time.Millisecond)
		a := s.send(t, posting(t, form, "x"))
		a.want(t, "403 AccessDenied")
		if !strings.Contains(a.message(), "policyexpired") {
			t.Errorf("%s says %q", s.name, a.message())
		}
	}
}

// What the SDKs of Amazon and MinIO sign passes our Verifier, and their own conditions hold there.
func TestPostFormsOfS3SDKs(t *testing.T) {
	s := must(storefakeServer())(t)
	forms := map[string]func(t *testing.T) *signer.Form{
		"aws": func(t *testing.T) *signer.Form {
			c := awss3.NewPresignClient(s.aws())
			p := must(c.PresignPostObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("up/é $a.txt")}, func(o *awss3.PresignPostOptions) {
				o.Expires = time.Minute
				o.Conditions = []any{[]any{"content-length-range", 2, 10}, []any{"starts-with", "$Content-Type", "text/"}, map[string]string{"x-amz-meta-a": "<&>"}}
			}))(t)
			form := &signer.Form{URL: p.URL}
			for name, value := range p.Values {
				form.Fields = append(form.Fields, signer.Field{Name: name, Value: value})
			}
			form.Fields = append(form.Fields, signer.Field{Name: "x-amz-meta-a", Value: "<&>"}, signer.Field{Name: "Content-Type", Value: "text/x"})
			return form
		},
		"minio": func(t *testing.T) *signer.Form {
			p := minio.NewPostPolicy()
			for _, err := range []error{p.SetBucket(bucket), p.SetKey("up/é $a.txt"), p.SetExpires(time.Now().UTC().Add(time.Minute)), p.SetContentLengthRange(2, 10),
				p.SetContentTypeStartsWith("text/"), p.SetUserMetadata("a", "<&>")} {
				if err != nil {
					t.Fatal(err)
				}
			}
			u, fields, err := s.minio(t).PresignedPostPolicy(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			form := &signer.Form{URL: u.String()}
			for name, value := range fields {
				form.Fields = append(form.Fields, signer.Field{Name: name, Value: value})
			}
			form.Fields = slices.DeleteFunc(form.Fields, func(f signer.Field) bool { return f.Name == "Content-Type" })
			form.Fields = append(form.Fields, signer.Field{Name: "Content-Type", Value: "text/x"})
			return form
		},
	}
	for name, make := range forms {
		t.Run(name, func(t *testing.T) {
			form := make(t)
			a := s.send(t, posting(t, form, "0123456789"))
			if a.StatusCode != 204 {
				t.Fatalf("%s: %s", a, a.body)
			}
			got := s.use(t, s.presign(t, signer.Request{Key: "up/é $a.txt"}), nil)
			got.want(t, "200")
			if string(got.body) != "0123456789" || got.Header.Get("X-Amz-Meta-A") != "<&>" || got.Header.Get("Content-Type") != "text/x" {
				t.Errorf("%q with %v", got.body, got.Header)
			}
			s.send(t, posting(t, form, "0123456789", "key", "up/b")).want(t, "403 AccessDenied")
			s.send(t, posting(t, form, "0123456789", "Content-Type", "image/png")).want(t, "403 AccessDenied")
			s.send(t, posting(t, form, "0")).want(t, "400 EntityTooSmall")
			s.send(t, posting(t, form, "01", "x-amz-signature", strings.Repeat("0", 64), "X-Amz-Signature", "-")).want(t, "403 SignatureDoesNotMatch")
		})
	}
}

// So do those of Google's libraries for Go and for Node, in the places that they know.
func TestPostFormsOfGoogleSDKs(t *testing.T) {
	home := must(gcsStore())(t)
	s := &server{name: "storefake", client: clientFor(home.Endpoint().Host)}
	expires := time.Now().Add(time.Minute)
	for name, form := range map[string]func(t *testing.T) *signer.Form{
		"go": func(t *testing.T) *signer.Form {
			p := must(storage.GenerateSignedPostPolicyV4(bucket, "up/é $a.txt", &storage.PostPolicyV4Options{GoogleAccessID: home.Email, PrivateKey: []byte(home.Key), Expires: expires,
				Hostname: home.Endpoint().Host, Insecure: true,
				Fields:     &storage.PolicyV4Fields{ContentType: "text/x", Metadata: map[string]string{"x-goog-meta-a": "<&é>"}},
				Conditions: []storage.PostPolicyV4Condition{storage.ConditionContentLengthRange(2, 10)}}))(t)
			form := &signer.Form{URL: p.URL}
			for name, value := range p.Fields {
				form.Fields = append(form.Fields, signer.Field{Name: name, Value: value})
			}
			return form
		},
		"node": func(t *testing.T) *signer.Form {
			var made struct{ Fields map[string]string }
			nodeProcess(t).do(t, map[string]any{"form": map[string]any{"account": json.RawMessage(home.file), "storage": map[string]any{"apiEndpoint": home.URL}, "bucket": bucket, "key": "up/é $a.txt",
				"options": map[string]any{"expires": expires.UnixMilli(), "conditions": []any{[]any{"content-length-range", 2, 10}},
					"fields": map[string]string{"content-type": "text/x", "x-goog-meta-a": "<&é>"}}}}, &made)
			form := &signer.Form{URL: home.URL + "/" + bucket} // at an endpoint of one's own, its URL lacks the bucket
			for name, value := range made.Fields {
				form.Fields = append(form.Fields, signer.Field{Name: name, Value: value})
			}
			return form
		},
	} {
		t.Run(name, func(t *testing.T) {
			form := form(t)
			a := s.send(t, posting(t, form, "0123456789"))
			if a.StatusCode != 204 {
				t.Fatalf("%s at %s: %s", a, form.URL, a.body)
			}
			data, header, ok := home.Get("up/é $a.txt")
			if !ok || string(data) != "0123456789" || header.Get("Content-Type") != "text/x" || header.Get("X-Amz-Meta-A") != "<&é>" {
				t.Errorf("%q with %v", data, header)
			}
			home.Delete("up/é $a.txt")
			s.send(t, posting(t, form, "0123456789", "key", "up/b")).want(t, "400 InvalidPolicyDocument")
			s.send(t, posting(t, form, "0123456789", "content-type", "image/png")).want(t, "400 InvalidPolicyDocument")
			s.send(t, posting(t, form, "0")).want(t, "400 EntityTooSmall")
			s.send(t, posting(t, form, "01", "x-goog-signature", strings.Repeat("0", 512))).want(t, "403 SignatureDoesNotMatch")
		})
	}
}

// ali-oss signs our policies as we do, and ours takes those that it signs.
func TestPostFormsOfOSSSDK(t *testing.T) {
	for _, temporary := range []time.Duration{0, time.Hour} {
		home := startOSS(t, temporary)
		s := &server{name: "storefake", client: clientFor(home.Endpoint().Host)}
		sign := func(policy string, at time.Time) string {
			var said struct{ Signature string }
			secret, _ := home.secret()
			nodeProcess(t).do(t, map[string]any{"oss": map[string]any{"op": "form", "policy": policy, "date": at.Format(time.RFC3339),
				"options": map[string]any{"region": "oss-" + home.Region, "bucket": bucket, "accessKeyId": home.creds.AccessKeyID, "accessKeySecret": secret}}}, &said)
			return said.Signature
		}
		ours := must(oss.New(oss.Config{Region: home.Region, Bucket: bucket, Endpoint: home.Endpoint(), Credentials: home.creds}))(t)
		form := must(ours.PresignPost(t.Context(), signer.Policy{KeyPrefix: "up/", Expires: time.Minute, MinBytes: 2, MaxBytes: 10,
			Fields:     []signer.Field{{Name: "x-oss-meta-a", Value: `</&> "quoted" \`}},
			Conditions: []signer.Condition{{Field: "content-type", Op: "in", Values: []string{"image/png", "image/jpeg"}}}}))(t)
		value := func(name string) string {
			return form.Fields[slices.IndexFunc(form.Fields, func(f signer.Field) bool { return f.Name == name })].Value
		}
		policy := must(base64.StdEncoding.DecodeString(value("policy")))(t)
		date := must(time.Parse("20060102T150405Z", value("x-oss-date")))(t)
		// The SDK reads the policy and writes it again, which changes nothing of ours: there is no blank and no escape in it that
		// JSON can do without.
		if got := sign(string(policy), date); got != value("x-oss-signature") {
			t.Errorf("ali-oss signs %s\nwith %s, we with %s", policy, got, value("x-oss-signature"))
		}
		s.send(t, posting(t, form, "01", "content-type", "image/png")).want(t, "204")
		if data, header, ok := home.Get("up/cat é.png"); !ok || string(data) != "01" || header.Get("X-Amz-Meta-A") != `</&> "quoted" \` {
			t.Errorf("%q %v", data, header)
		}

		// A form as the SDK's documentation makes one, with characters that it does not escape.
		now := time.Now().UTC().Truncate(time.Second)
		credential := home.creds.AccessKeyID + "/" + now.Format("20060102") + "/" + home.Region + "/oss/aliyun_v4_request"
		conditions := []any{map[string]string{"bucket": bucket}, map[string]string{"x-oss-credential": credential}, map[string]string{"x-oss-date": now.Format("20060102T150405Z")},
			map[string]string{"x-oss-signature-version": "OSS4-HMAC-SHA256"}, []any{"content-length-range", 1, 10}, []any{"eq", "$success_action_status", "200"},
			[]any{"starts-with", "$key", "up/é$"}, []any{"in", "$content-type", []string{"image/jpg", "image/png"}}, []any{"not-in", "$cache-control", []string{"no-cache"}}}
		fields := []signer.Field{{Name: "x-oss-credential", Value: credential}, {Name: "x-oss-date", Value: now.Format("20060102T150405Z")},
			{Name: "x-oss-signature-version", Value: "OSS4-HMAC-SHA256"}, {Name: "success_action_status", Value: "200"}, {Name: "content-type", Value: "image/jpg"}, {Name: "key", Value: "up/é$/a"}}
		if _, token := home.secret(); token != "" {
			conditions = append(conditions, map[string]string{"x-oss-security-token": token})
			fields = append(fields, signer.Field{Name: "x-oss-security-token", Value: token})
		}
		text := must(json.Marshal(map[string]any{"expiration": now.Add(time.Minute).Format("2006-01-02T15:04:05.000Z"), "conditions": conditions}))(t)
		fields = append(fields, signer.Field{Name: "policy", Value: base64.StdEncoding.EncodeToString(text)}, signer.Field{Name: "x-oss-signature", Value: sign(string(text), now)})
		theirs := &signer.Form{URL: home.URL + "/" + bucket, Fields: fields}
		s.send(t, posting(t, theirs, "012")).want(t, "200")
		s.send(t, posting(t, theirs, "012", "key", "up/a")).want(t, "403 AccessDenied")
		s.send(t, posting(t, theirs, "012", "content-type", "text/html")).want(t, "403 AccessDenied")
		s.send(t, posting(t, theirs, "012", "cache-control", "no-cache")).want(t, "403 AccessDenied")
		s.send(t, posting(t, theirs, "")).want(t, "400 EntityTooSmall")
	}
}
