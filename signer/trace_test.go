package signer_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// traced runs one operation after the other, each under a Trace of its own.
func traced(t *testing.T) map[string]*signer.Trace {
	t.Helper()
	s, v := newS3Signer(t), newS3Verifier(t)
	traces := make(map[string]*signer.Trace)
	run := func(name string, op func(ctx context.Context) error) {
		t.Helper()
		traces[name] = new(signer.Trace)
		if err := op(signer.WithTrace(ctx, traces[name])); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	newRequest := func() *http.Request {
		req, err := http.NewRequest(http.MethodGet, "https://photos.s3.eu-west-1.amazonaws.com/cat.jpg?versionId=7", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Server-Side-Encryption-Customer-Key", plantedToken)
		return req
	}
	var p *signer.Presigned
	run("Presign", func(ctx context.Context) (err error) {
		p, err = s.Presign(ctx, signer.Request{Key: "cat.jpg", Query: url.Values{"versionId": {"7"}}, Expires: time.Minute})
		return err
	})
	run("AppendURL", func(ctx context.Context) error {
		_, _, err := s.AppendURL(ctx, nil, signer.Request{Key: "cat.jpg", Query: url.Values{"versionId": {"7"}}, Expires: time.Minute})
		return err
	})
	run("PresignRequest", func(ctx context.Context) error {
		_, err := s.PresignRequest(ctx, newRequest(), signer.Options{Expires: time.Minute})
		return err
	})
	signed := newRequest()
	run("Sign", func(ctx context.Context) error { return s.Sign(ctx, signed) })
	run("Verify", func(ctx context.Context) error {
		req, err := p.NewRequest(ctx, nil)
		if err == nil {
			_, err = v.Verify(ctx, req)
		}
		return err
	})
	run("Verify, header", func(ctx context.Context) error {
		_, err := v.Verify(ctx, signed)
		return err
	})
	run("Verify, mismatch", func(ctx context.Context) error {
		other := signed.Clone(ctx)
		other.Method = http.MethodDelete
		if _, err := v.Verify(ctx, other); !errors.Is(err, signer.ErrMismatch) {
			return fmt.Errorf("got %v, want ErrMismatch", err)
		}
		return nil
	})

	// What is traced is what was signed: the signing key of the day makes the URL's signature of it.
	mac := hmac.New(sha256.New, signingKey())
	mac.Write(traces["Presign"].StringToSign)
	if _, got, _ := strings.Cut(p.URL, "X-Amz-Signature="); got != hex.EncodeToString(mac.Sum(nil)) {
		t.Errorf("the URL has the signature %s, the traced string %x", got, mac.Sum(nil))
	}
	return traces
}

func TestTraceIsFilled(t *testing.T) {
	traces := traced(t)
	for name, trace := range traces {
		method := "GET"
		if name == "Verify, mismatch" {
			method = "DELETE"
		}
		if !strings.HasPrefix(string(trace.CanonicalRequest), method+"\n/cat.jpg\n") {
			t.Errorf("%s: canonical request is %q", name, trace.CanonicalRequest)
		}
		want := "\n20261124/eu-west-1/s3/aws4_request\n" + sha256Hex(string(trace.CanonicalRequest))
		if !strings.HasPrefix(string(trace.StringToSign), "AWS4-HMAC-SHA256\n20261124T") || !strings.HasSuffix(string(trace.StringToSign), want) {
			t.Errorf("%s: string to sign is %q", name, trace.StringToSign)
		}
	}
	for name, same := range map[string]string{"Verify": "Presign", "Verify, header": "Sign", "AppendURL": "Presign"} {
		if string(traces[name].CanonicalRequest) != string(traces[same].CanonicalRequest) || string(traces[name].StringToSign) != string(traces[same].StringToSign) {
			t.Errorf("%s traces another text than %s", name, same)
		}
	}
	if string(traces["Verify, mismatch"].StringToSign) == string(traces["Sign"].StringToSign) {
		t.Error("a mismatch does not show in the trace")
	}
}

// TestTraceIsOverwritten: the bytes of an earlier call stay as they are for who kept them.
func TestTraceIsOverwritten(t *testing.T) {
	s := newS3Signer(t)
	var trace signer.Trace
	presign := func(key string) {
		t.Helper()
		if _, err := s.Presign(signer.WithTrace(ctx, &trace), signer.Request{Key: key, Expires: time.Minute}); err != nil {
			t.Fatal(err)
		}
	}
	presign("first")
	kept := trace
	text := string(kept.CanonicalRequest)
	presign("other")
	if !strings.HasPrefix(string(trace.CanonicalRequest), "GET\n/other\n") {
		t.Errorf("after the second call: %q", trace.CanonicalRequest)
	}
	if string(kept.CanonicalRequest) != text || !strings.HasPrefix(text, "GET\n/first\n") {
		t.Errorf("the second call wrote into the bytes of the first: %q", kept.CanonicalRequest)
	}
}

func TestTraceFrom(t *testing.T) {
	outer, inner := new(signer.Trace), new(signer.Trace)
	with := signer.WithTrace(ctx, outer)
	for _, tt := range []struct {
		name string
		ctx  context.Context
		want *signer.Trace
	}{
		{"none", ctx, nil},
		{"one", with, outer},
		{"the nearest", signer.WithTrace(with, inner), inner},
		{"switched off", signer.WithTrace(with, nil), nil},
	} {
		if got := signer.TraceFrom(tt.ctx); got != tt.want {
			t.Errorf("%s: got %p, want %p", tt.name, got, tt.want)
		}
	}
}

func TestTraceHidesSecrets(t *testing.T) {
	forms := slices.Concat(spellings([]byte(plantedToken)), spellings([]byte(plantedID)))
	for name, trace := range traced(t) {
		// The test can bite only if the secrets are there.
		if _, there := shows(string(trace.CanonicalRequest), forms); !there {
			t.Fatalf("%s: nothing to hide in %q", name, trace.CanonicalRequest)
		}
		texts := map[string]string{
			"String":         trace.String(),
			"pointer":        fmt.Sprint(trace),
			"slice":          fmt.Sprintf("%+v", []*signer.Trace{trace}),
			"field":          fmt.Sprintf("%#v", struct{ T signer.Trace }{*trace}),
			"context":        fmt.Sprintf("%v %+v %#v", signer.WithTrace(ctx, trace), signer.WithTrace(ctx, trace), signer.WithTrace(ctx, trace)),
			"slog text":      logged(trace, func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }),
			"slog JSON":      logged(*trace, func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }),
			"json":           marshalJSON(t, trace),
			"json, by value": marshalJSON(t, map[string]any{"trace": *trace}),
		}
		for _, format := range formats(allFlags...) {
			// As for a Presigned: %w and %p do not ask the value, and vet refuses them.
			if !strings.HasSuffix(format, "w") && !strings.HasSuffix(format, "p") {
				texts[format] = fmt.Sprintf(format, *trace)
				texts[format+" of a pointer"] = fmt.Sprintf(format, trace)
			}
		}
		for how, text := range texts {
			if form, leaks := shows(text, forms); leaks {
				t.Errorf("%s, %s: shows %s in %s", name, how, form, text)
			}
		}
	}
}

func marshalJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// TestTraceText keeps what a reader compares with a service's answer: all lines but their secrets.
func TestTraceText(t *testing.T) {
	text := func(lines ...string) []byte { return []byte(strings.Join(lines, "\n")) }
	for _, tt := range []struct {
		name  string
		trace signer.Trace
		want  string
	}{
		{"empty", signer.Trace{}, ""},
		{"string to sign only", signer.Trace{StringToSign: text("r", "2026-11-24T12:00:00Z", "/blob/account/container/cat.jpg")},
			"string to sign:\nr\n2026-11-24T12:00:00Z\n/blob/account/container/cat.jpg\n"},
		{"both", signer.Trace{
			CanonicalRequest: text("PUT", "/a=b:c/cat.jpg",
				"X-Amz-Credential="+plantedID+"%2F20261124%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Expires=60&X-Amz-Security-Token=t0ken&X-Amz-SignedHeaders=host",
				"host:photos.example:9000", "x-amz-copy-source:/other/a:b?versionId=1", "x-amz-security-token:t0ken", "",
				"host;x-amz-copy-source;x-amz-security-token", "UNSIGNED-PAYLOAD"),
			StringToSign: text("AWS4-HMAC-SHA256", "20261124T120000Z", "20261124/eu-west-1/s3/aws4_request", sha256Hex("")),
		}, `canonical request:
PUT
/a=b:c/cat.jpg
X-Amz-Credential=REDACTED%2F20261124%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Expires=60&X-Amz-Security-Token=REDACTED&X-Amz-SignedHeaders=host
host:photos.example:9000
x-amz-copy-source:/other/a:b?versionId=1
x-amz-security-token:REDACTED

host;x-amz-copy-source;x-amz-security-token
UNSIGNED-PAYLOAD
string to sign:
AWS4-HMAC-SHA256
20261124T120000Z
20261124/eu-west-1/s3/aws4_request
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
`},
		{"path that looks like a header", signer.Trace{CanonicalRequest: text("GET", "/bus-token:7/cat.jpg", "")},
			"canonical request:\nGET\n/bus-token:7/cat.jpg\n\n"},
		{"secret in the last line", signer.Trace{CanonicalRequest: text("GET", "x-amz-security-token:t0ken")},
			"canonical request:\nGET\nx-amz-security-token:REDACTED\n"},
		{"empty header", signer.Trace{CanonicalRequest: text("x-amz-security-token:", "content-type:", "")},
			"canonical request:\nx-amz-security-token:\ncontent-type:\n\n"},
		{"signed URL in a header", signer.Trace{CanonicalRequest: text("x-ms-copy-source:https://a.blob.core.windows.net/c/b?sv=1&sig=s3cr3t", "")},
			"canonical request:\nx-ms-copy-source:https://a.blob.core.windows.net/c/b?sv=1&sig=REDACTED\n\n"},
	} {
		if got := tt.trace.String(); got != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.want)
		}
		if got, err := tt.trace.MarshalText(); string(got) != tt.want || err != nil {
			t.Errorf("%s: MarshalText returns %q, %v", tt.name, got, err)
		}
	}
}
