package storefake_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A form that is none, or lacks what every form has, is refused before anything is looked at.
func TestForm(t *testing.T) {
	f := newFixture(t)
	post := func(contentType, body string) *http.Request {
		req, err := http.NewRequest("POST", f.URL+"/demo", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		return req
	}
	const media = "multipart/form-data; boundary=b"
	field := func(name, value string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	file := "--b\r\nContent-Disposition: form-data; name=\"File\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n" + strings.Repeat("x", 50_000) + "\r\n--b--\r\n"
	f.wantRefusal(400, post(media, field("key", "k")+field("policy", "e30=")+file), map[string]string{"Code": "InvalidArgument", "ArgumentName": "x-amz-algorithm",
		"Message": "Bucket POST must contain a field named 'x-amz-algorithm'.  If it is specified, please check the order of the fields."})
	f.refused(403, "AccessDenied", post(media, field("key", strings.Repeat("k", 20_000))+file))
	f.refused(400, "MaxPostPreDataLengthExceeded", post(media, field("key", strings.Repeat("k", 30_000))+file))
	f.refused(400, "MaxPostPreDataLengthExceeded", post(media, strings.Repeat(field("", ""), 1000)+file))
	f.wantRefusal(400, post(media, field("key", "k")+"--b--\r\n"), map[string]string{"Code": "InvalidArgument", "ArgumentName": "file", "ArgumentValue": "0",
		"Message": "POST requires exactly one file upload per request."})
	f.refused(400, "MalformedPOSTRequest", post(media, "key=k"))
	f.refused(400, "MalformedPOSTRequest", post(media, field("key", "k")[:53]))
	f.refused(400, "MalformedPOSTRequest", post("multipart/form-data", field("key", "k")+file))
	f.refused(403, "AccessDenied", post("application/x-www-form-urlencoded", "key=k"))
	if got := f.Keys(); len(got) != 0 {
		t.Errorf("%q", got)
	}
	forged := f.sign("POST", "", "", "Content-Type", media)
	forged.Header.Set("Content-Type", media+"2")
	f.refused(403, "SignatureDoesNotMatch", forged)
	// With a signature of its own, a request is what that says, whatever its body.
	id := element(func() string {
		_, body := f.want(200, f.sign("POST", "/k?uploads", field("key", "k")+file, "Content-Type", media))
		return body
	}(), "UploadId")
	f.want(204, f.sign("DELETE", "/k?uploadId="+id, ""))
	azure := post(media, field("key", "k")+file)
	azure.Header.Set("X-Ms-Version", "2026-04-06")
	if _, body := f.want(501, azure); !strings.Contains(body, "NotImplemented") {
		t.Errorf("%s", body)
	}
}

// vendor is what the names of the provider's fields begin with.
func (f *fixture) vendor() string {
	switch f.other.(type) {
	case *gcs.Signer:
		return "x-goog-"
	case *oss.Signer:
		return "x-oss-"
	}
	return "x-amz-"
}

// policy is one with a condition of every kind.
func (f *fixture) policy() signer.Policy {
	p := signer.Policy{KeyPrefix: "up/", Expires: time.Minute, MinBytes: 2, MaxBytes: 10, ContentTypePrefix: "image/",
		Fields:     []signer.Field{{Name: f.vendor() + "meta-a", Value: "ü $"}},
		Conditions: []signer.Condition{{Field: f.vendor() + "meta-b", Op: "starts-with", Values: []string{"b"}}}}
	if f.vendor() == "x-oss-" {
		p.Conditions = append(p.Conditions, signer.Condition{Field: "content-language", Op: "in", Values: []string{"de", "en"}},
			signer.Condition{Field: "cache-control", Op: "not-in", Values: []string{"no-cache"}})
	}
	return p
}

// chosen are the fields that the form adds to policy's.
func (f *fixture) chosen(set ...string) []string {
	chosen := []string{"Content-Type", "image/png", f.vendor() + "meta-b", "bb"}
	if f.vendor() == "x-oss-" {
		chosen = append(chosen, "content-language", "de")
	}
	return append(chosen, set...)
}

func (f *fixture) form(p signer.Policy) *signer.Form {
	f.Helper()
	form, err := signer.PresignPost(f.Context(), f.presigner(), p)
	if err != nil {
		f.Fatal(err)
	}
	return form
}

// formRequest posts a form and a file, with fields set in order ("-" takes one out).
func (f *fixture) formRequest(form *signer.Form, file string, set ...string) *http.Request {
	f.Helper()
	fields := slices.Clone(form.Fields)
	for i := 0; i < len(set); i += 2 {
		fields = slices.DeleteFunc(fields, func(f signer.Field) bool { return f.Name == set[i] })
		if set[i+1] != "-" {
			fields = append(fields, signer.Field{Name: set[i], Value: set[i+1]})
		}
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, field := range fields {
		w.WriteField(field.Name, field.Value)
	}
	part, _ := w.CreateFormFile("file", `C:\pictures\cat é.png`)
	part.Write([]byte(file))
	w.WriteField("submit", "Upload") // what stands behind the file does not count
	w.Close()
	req, err := http.NewRequest("POST", form.URL, &body)
	if err != nil {
		f.Fatal(err)
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	return req
}

// An exact type is what the object has; OSS takes it from a field of its own first.
func TestPostType(t *testing.T) {
	eachXML(t, func(t *testing.T, f *fixture) {
		f.want(204, f.formRequest(f.form(signer.Policy{Key: "k", Expires: time.Minute, MaxBytes: 10, ContentType: "image/png"}), "x"))
		h, _ := f.want(200, f.request(signer.Request{Key: "k"}, ""))
		if h.Get("Content-Type") != "image/png" {
			t.Errorf("%v", h)
		}
		if f.vendor() != "x-oss-" {
			return
		}
		first := signer.Condition{Field: "x-oss-content-type", Op: "starts-with", Values: []string{"image/"}}
		form := f.form(signer.Policy{Key: "k", Expires: time.Minute, MaxBytes: 10, ContentTypePrefix: "text/", Conditions: []signer.Condition{first}})
		f.want(204, f.formRequest(form, "x", "Content-Type", "text/html", "x-oss-content-type", "image/gif"))
		h, _ = f.want(200, f.request(signer.Request{Key: "k"}, ""))
		if h.Get("Content-Type") != "image/gif" || h.Get("X-Oss-Content-Type") != "" {
			t.Errorf("%v", h)
		}
	})
}

func TestPostRoundTrip(t *testing.T) {
	eachXML(t, func(t *testing.T, f *fixture) {
		h, body := f.want(204, f.formRequest(f.form(f.policy()), "0123456789", f.chosen()...))
		if body != "" || h.Get("ETag") != `"781e5e245d69b566979b86e28d23f2c7"` || !strings.HasSuffix(h.Get("Location"), "/demo/up/cat%20%C3%A9.png") {
			t.Errorf("%q with %v", body, h)
		}
		h, body = f.want(200, f.request(signer.Request{Key: "up/cat é.png"}, ""))
		if body != "0123456789" || h.Get("Content-Type") != "image/png" || h.Get(f.vendor()+"meta-a") != "ü $" || h.Get(f.vendor()+"meta-b") != "bb" {
			t.Errorf("%q with %v", body, h)
		}
		for _, tt := range []struct {
			status   string
			answered int
		}{{"200", 200}, {"201", 201}, {"204", 204}, {"500", 204}} {
			p := signer.Policy{Key: "exact", Expires: time.Minute, MaxBytes: -1, Fields: []signer.Field{{Name: "success_action_status", Value: tt.status}}}
			_, body := f.want(tt.answered, f.formRequest(f.form(p), ""))
			if tt.answered == 201 && (element(body, "Key") != "exact" || element(body, "Bucket") != "demo" || !strings.HasPrefix(body, "<?xml") || !strings.Contains(body, "<PostResponse>")) {
				t.Errorf("%s", body)
			}
		}
		p := signer.Policy{Key: "a b", Expires: time.Minute, MaxBytes: -1, Fields: []signer.Field{{Name: "success_action_redirect", Value: "https://app.example/done?x=1"}}}
		h, _ = f.want(303, f.formRequest(f.form(p), "12"))
		if want := "https://app.example/done?bucket=demo&etag=%22c20ad4d76fe97759aa27a0c99bff6710%22&key=a+b&x=1"; h.Get("Location") != want {
			t.Errorf("Location %s, want %s", h.Get("Location"), want)
		}
		p.Fields[0].Value = "javascript:alert(1)"
		f.want(204, f.formRequest(f.form(p), "12"))
		if got := f.Keys(); !slices.Equal(got, []string{"a b", "exact", "up/cat é.png"}) {
			t.Errorf("%q", got)
		}
	})
}

// Every kind of condition, broken once, is refused with its name, by each provider with its own error.
func TestPostConditions(t *testing.T) {
	eachXML(t, func(t *testing.T, f *fixture) {
		v := f.vendor()
		key := "key"
		for _, tt := range []struct {
			name string
			set  []string
			says string
		}{
			{"prefix of the key", []string{"key", "down/a"}, `Policy Condition failed: ["starts-with", "$key", "up/"]`},
			{"key out of its prefix", []string{key, "up/../a"}, `Policy Condition failed: ["starts-with", "$key", ...]`},
			{"prefix of the type", []string{"Content-Type", "text/html"}, `Policy Condition failed: ["starts-with", "$content-type", "image/"]`},
			{"no type", []string{"Content-Type", "-"}, `Policy Condition failed: ["starts-with", "$content-type", "image/"]`},
			{"exact", []string{v + "meta-a", "ue"}, `Policy Condition failed: ["eq", "$` + v + `meta-a", "`},
			{"condition of the caller's", []string{v + "meta-b", "c"}, `Policy Condition failed: ["starts-with", "$` + v + `meta-b", "b"]`},
			{"field of no condition", []string{v + "meta-c", "c"}, `Extra input fields: ` + v + `meta-c`},
			{"in", []string{"content-language", "fr"}, `Policy Condition failed: ["in", "$content-language", ["de", "en"]]`},
			{"not-in", []string{"cache-control", "no-cache"}, `Policy Condition failed: ["not-in", "$cache-control", ["no-cache"]]`},
		} {
			if (tt.name == "in" || tt.name == "not-in") && v != "x-oss-" {
				continue
			}
			t.Run(tt.name, func(t *testing.T) {
				f := &fixture{T: t, Server: f.Server, signer: f.signer, other: f.other}
				req := f.formRequest(f.form(f.policy()), "0123456789", f.chosen(tt.set...)...)
				switch v {
				case "x-amz-":
					if got := f.refused(403, "AccessDenied", req); !strings.HasPrefix(got["Message"], "Invalid according to Policy: "+tt.says) {
						t.Errorf("%q", got)
					}
				case "x-goog-":
					got := f.refused(400, "InvalidPolicyDocument", req)
					if !strings.HasPrefix(got["Details"], tt.says) || got["Message"] != "The content of the form does not meet the conditions specified in the policy document." {
						t.Errorf("%q", got)
					}
				case "x-oss-":
					if got := f.refused(403, "AccessDenied", req); !strings.HasPrefix(got["Message"], "Invalid according to Policy: "+tt.says) || got["EC"] != "0006-00000227" {
						t.Errorf("%q", got)
					}
				}
			})
		}
		other := f.formRequest(f.form(f.policy()), "0123456789", f.chosen()...)
		other.URL.Path = "/secrets/"
		if v == "x-goog-" {
			f.refused(400, "InvalidPolicyDocument", other)
		} else if got := f.refused(403, "AccessDenied", other); !strings.Contains(got["Message"], `["eq", "$bucket", "demo"]`) {
			t.Errorf("%q", got)
		}
		if got := f.Keys(); len(got) != 0 {
			t.Errorf("%q was stored", got)
		}
	})
}

// So is a file of another size.
func TestPostSizes(t *testing.T) {
	eachXML(t, func(t *testing.T, f *fixture) {
		form := f.form(f.policy())
		f.want(204, f.formRequest(form, "12", f.chosen("key", "up/a")...))
		large := f.refused(400, "EntityTooLarge", f.formRequest(form, strings.Repeat("x", 5000), f.chosen()...))
		small := f.refused(400, "EntityTooSmall", f.formRequest(form, "1", f.chosen()...))
		switch f.vendor() {
		case "x-amz-":
			if large["ProposedSize"] != "5000" || large["MaxSizeAllowed"] != "10" || small["ProposedSize"] != "1" || small["MinSizeAllowed"] != "2" {
				t.Errorf("%q %q", large, small)
			}
		case "x-oss-":
			if large["EC"] != "0006-00000003" || small["EC"] != "0006-00000004" {
				t.Errorf("%q %q", large, small)
			}
		}
		if got := f.Keys(); !slices.Equal(got, []string{"up/a"}) {
			t.Errorf("%q", got)
		}
	})
}

// A form whose signature does not hold is refused as the provider does it, and what no store does is not passed over.
func TestPostRefusals(t *testing.T) {
	eachXML(t, func(t *testing.T, f *fixture) {
		v := f.vendor()
		p := f.policy()
		form := f.form(p)
		request := func(set ...string) *http.Request { return f.formRequest(form, "12", f.chosen(set...)...) }
		forged := f.refused(403, "SignatureDoesNotMatch", request(v+"signature", strings.Repeat("00", 32)))
		i := slices.IndexFunc(form.Fields, func(f signer.Field) bool { return f.Name == "policy" })
		if forged["StringToSign"] != form.Fields[i].Value {
			t.Errorf("%q", forged)
		}
		f.refused(403, "SignatureDoesNotMatch", request("policy", base64.StdEncoding.EncodeToString([]byte(`{"expiration":"2099-01-01T00:00:00Z","conditions":[]}`))))
		f.refused(400, "InvalidArgument", request(v+"date", "-"))
		f.refused(400, "InvalidArgument", request("KEY", "up/b"))
		unknown := request(v+"credential", "NOBODY/20261122/us-east-1/"+map[string]string{"x-amz-": "s3/aws4_request", "x-goog-": "storage/goog4_request", "x-oss-": "oss/aliyun_v4_request"}[v])
		f.refused(403, map[string]string{"x-amz-": "InvalidAccessKeyId", "x-goog-": "AccessDenied", "x-oss-": "InvalidAccessKeyId"}[v], unknown)

		atKey := request()
		atKey.URL.Path = "/demo/up/b"
		f.refused(405, "MethodNotAllowed", atKey)
		query := request()
		query.URL.RawQuery = "x=y"
		f.refused(501, "NotImplemented", query)
		acl := p
		acl.Fields = []signer.Field{{Name: "acl", Value: "public-read"}, {Name: v + "meta-a", Value: "ü $"}}
		f.refused(501, "NotImplemented", f.formRequest(f.form(acl), "12", f.chosen()...))
		length := request()
		length.ContentLength = -1
		f.refused(411, "MissingContentLength", length)

		f.Clock.Advance(59 * time.Second)
		f.want(204, request())
		f.Clock.Advance(time.Second)
		switch v {
		case "x-goog-":
			f.refused(400, "ExpiredToken", request())
		default:
			if got := f.refused(403, "AccessDenied", request()); got["Message"] != "Invalid according to Policy: Policy expired." || v == "x-oss-" && got["EC"] != "0006-00000213" {
				t.Errorf("%q", got)
			}
		}
		if got := f.Keys(); !slices.Equal(got, []string{"up/cat é.png"}) {
			t.Errorf("%q", got)
		}
	})
}

// Forms carry the token of temporary credentials, and a store has no more room than it says.
func TestPostWithToken(t *testing.T) {
	f := newFixture(t, func(c *storefake.Config) { c.Temporary = time.Hour; c.MaxObject = 1000; c.MaxBytes = 3000 })
	f.want(204, f.formRequest(f.form(f.policy()), "12", f.chosen()...))
	if got := f.refused(400, "InvalidToken", f.formRequest(f.form(f.policy()), "12", f.chosen("x-amz-security-token", "-")...)); strings.Contains(got["Message"], "STORE") {
		t.Errorf("%q", got)
	}
	open := signer.Policy{KeyPrefix: "up/", Expires: 2 * time.Hour, MaxBytes: -1}
	_, err := signer.PresignPost(t.Context(), f.signer, open)
	if !errors.Is(err, signer.ErrCredentials) {
		t.Errorf("a form that outlives its credentials: %v", err)
	}
	open.AllowShorter = true
	form := f.form(open)
	if form.LimitedBy != signer.LimitCredentials || !form.ExpiresAt.Equal(f.Credentials.Expires.Truncate(time.Second)) {
		t.Errorf("%v by the %v", form.ExpiresAt, form.LimitedBy)
	}
	f.refused(400, "EntityTooLarge", f.formRequest(form, strings.Repeat("x", 1001)))
	f.refused(400, "EntityTooLarge", f.formRequest(form, strings.Repeat("x", 100_000)))
	full := newFixture(t, func(c *storefake.Config) { c.MaxBytes = 3000 })
	full.refused(403, "QuotaExceeded", full.formRequest(full.form(open), strings.Repeat("x", 3001)))
	full.want(204, full.formRequest(full.form(open), "x"))
	full.want(204, full.formRequest(full.form(open), "y", "key", "up/y")) // nothing is held of what was refused

	o := newOSSFixture(t, func(c *storefake.Config) { c.Temporary = time.Hour })
	o.want(204, o.formRequest(o.form(o.policy()), "12", o.chosen()...))
}

// RSA keys sign forms too; what has no forms says so.
func TestPostWithOtherSigners(t *testing.T) {
	f := newGCSFixture(t)
	file, err := f.GCSKeyFile()
	if err != nil {
		t.Fatal(err)
	}
	key, err := gcs.ServiceAccountKey(file)
	if err != nil {
		t.Fatal(err)
	}
	f.other = f.newGCS(func(c *gcs.Config) { c.Key = key })
	f.want(204, f.formRequest(f.form(f.policy()), "12", f.chosen()...))
	for name, s := range map[string]signer.Signer{"azure": newAzureFixture(t).other, "cdn": newCDNFixture(t).other} {
		_, err := signer.PresignPost(t.Context(), s, f.policy())
		if !errors.Is(err, signer.ErrUnsupported) || !strings.Contains(err.Error(), "presign a PUT") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := s3.New(s3.Config{Region: f.Region, Bucket: f.Bucket, Endpoint: &url.URL{Scheme: "http", Host: f.Endpoint().Host}, Credentials: f.Credentials, Clock: clock.Fixed(start)})
	if err != nil {
		t.Fatal(err)
	}
	f.other = s // with S3's usual 30 seconds before now
	f.want(204, f.formRequest(f.form(f.policy()), "12", f.chosen()...))
}
