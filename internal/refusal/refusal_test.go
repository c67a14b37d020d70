package refusal

import (
	"strings"
	"testing"
	"time"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

// The bodies are those that the providers and the servers of e2e were seen to send; ids are cut.
func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		code       string
		kind       Kind
		server     string // "": not told
		precision  time.Duration
	}{
		{"S3, header too old (AWS's documentation of RequestTimeTooSkewed)", `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the current time is too large.</Message><RequestTime>20150604T232559Z</RequestTime><ServerTime>2015-06-04T22:26:16Z</ServerTime><MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds></Error>`,
			"RequestTimeTooSkewed", Time, "2015-06-04T22:26:16Z", time.Second},
		{"versitygw, URL expired", `<Error><Code>AccessDenied</Code><Message>Request has expired.</Message><ServerTime>2026-11-22T06:24:07Z</ServerTime><X-Amz-Expires>60</X-Amz-Expires><Expires>2026-11-22T04:25:07Z</Expires></Error>`,
			"AccessDenied", Time, "2026-11-22T06:24:07Z", time.Second},
		{"S3, URL not yet valid", `<Error><Code>AccessDenied</Code><Message>Request is not yet valid</Message><X-Amz-Date>1479891000000</X-Amz-Date><Expires>2016-11-23T09:05:00Z</Expires><ServerTime>2016-11-23T08:31:14Z</ServerTime></Error>`,
			"AccessDenied", Time, "2016-11-23T08:31:14Z", time.Second},
		{"MinIO, URL ahead", `<Error><Code>AccessDenied</Code><Message>Request is not valid yet</Message></Error>`, "AccessDenied", Time, "", 0},
		{"MinIO, header: no times", `<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the server&#39;s time is too large.</Message></Error>`,
			"RequestTimeTooSkewed", Time, "", 0},
		{"S3, no permission", `<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`, "AccessDenied", Other, "", 0},
		{"S3, session token expired", `<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message><Token-0>x</Token-0></Error>`, "ExpiredToken", Other, "", 0},
		{"S3, mismatch", `<Error><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does not match</Message></Error>`, "SignatureDoesNotMatch", Mismatch, "", 0},
		{"OSS, fractions that are none", `<Error><Code>RequestTimeTooSkewed</Code><Message>m</Message><MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds><RequestTime>2019-03-30T12:00:00.000Z</RequestTime><ServerTime>2019-03-30T13:18:53.000Z</ServerTime></Error>`,
			"RequestTimeTooSkewed", Time, "2019-03-30T13:18:53Z", time.Second},
		{"OSS, milliseconds", `<Error><Code>RequestTimeTooSkewed</Code><ServerTime>2019-03-30T13:18:53.120Z</ServerTime></Error>`,
			"RequestTimeTooSkewed", Time, "2019-03-30T13:18:53.12Z", time.Millisecond},
		{"GCS, old", `<?xml version='1.0' encoding='UTF-8'?><Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message><Details>Request signature expired at: 2019-09-08T10:24:28+00:00</Details></Error>`,
			"ExpiredToken", Time, "", 0},
		{"GCS, 2026", `<Error><Code>ExpiredToken</Code><Message>Invalid argument.</Message><Details>The provided token has expired. Request signature expired at: 2026-09-08T10:24:28+00:00</Details></Error>`,
			"ExpiredToken", Time, "", 0},
		{"GCS, version 2", `<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message><Details>Request has expired: 120</Details></Error>`,
			"ExpiredToken", Time, "", 0},
		{"R2", `<Error><Code>ExpiredRequest</Code><Message>Presigned URL or request signature has expired.</Message></Error>`, "ExpiredRequest", Time, "", 0},
		{"Azure, with a byte order mark", "\ufeff" + `<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.
RequestId:0
Time:2019-06-13T09:22:53.9093129Z</Message><AuthenticationErrorDetail>Signature not valid in the specified time frame: Start [Thu, 13 Jun 2019 10:00:00 GMT] - Expiry [Thu, 13 Jun 2019 11:00:00 GMT] - Current [Thu, 13 Jun 2019 09:22:53 GMT]</AuthenticationErrorDetail></Error>`,
			"AuthenticationFailed", Time, "2019-06-13T09:22:53.9093129Z", time.Millisecond},
		{"Azure, Current alone", `<Error><Code>AuthenticationFailed</Code><Message>m</Message><AuthenticationErrorDetail>Signature not valid in the specified key time frame: Key start [Sun, 22 Nov 2026 06:09:07 GMT] - Key expiry [Sun, 29 Nov 2026 06:09:07 GMT] - Current [Sun, 29 Nov 2026 06:24:07 GMT]</AuthenticationErrorDetail></Error>`,
			"AuthenticationFailed", Time, "2026-11-29T06:24:07Z", time.Second},
		{"Azure, Shared Key too old", `<Error><Code>AuthenticationFailed</Code><Message>m
Time:2026-11-22T06:08:34.095Z</Message><AuthenticationErrorDetail>Request date header too old: 'Sun, 22 Nov 2026 05:00:00 GMT'</AuthenticationErrorDetail></Error>`,
			"AuthenticationFailed", Time, "2026-11-22T06:08:34.095Z", time.Millisecond},
		{"Azure, mismatch", `<Error><Code>AuthenticationFailed</Code><AuthenticationErrorDetail>Signature did not match. String to sign used was r</AuthenticationErrorDetail></Error>`,
			"AuthenticationFailed", Mismatch, "", 0},
		{"a time that is none", `<Error><Code>RequestTimeTooSkewed</Code><ServerTime>yesterday</ServerTime></Error>`, "RequestTimeTooSkewed", Time, "", 0},
		{"cut off", `<Error><Code>RequestTimeTooSkewed</Code><ServerTime>2026-11-22T06:24:0`, "RequestTimeTooSkewed", Time, "", 0},
		{"grandchildren are not children", `<Error><a><Code>RequestTimeTooSkewed</Code></a></Error>`, "", Other, "", 0},
		{"another document", `<Result><Code>RequestTimeTooSkewed</Code></Result>`, "", Other, "", 0},
		{"HTML", `<!doctype html><html><body>403</body></html>`, "", Other, "", 0},
		{"JSON", `{"error":{"code":403}}`, "", Other, "", 0},
		{"nothing", ``, "", Other, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Parse([]byte(tt.body))
			if r.Code != tt.code || r.Kind() != tt.kind || r.Precision != tt.precision {
				t.Errorf("code %q, kind %d, precision %v; want %q, %d, %v", r.Code, r.Kind(), r.Precision, tt.code, tt.kind, tt.precision)
			}
			var want time.Time
			if tt.server != "" {
				want = at(tt.server)
			}
			if !r.ServerTime.Equal(want) {
				t.Errorf("server time %v, want %v", r.ServerTime, want)
			}
		})
	}
}

func TestText(t *testing.T) {
	r := Parse([]byte("<Error><Code>SignatureDoesNotMatch</Code><StringToSign>a\n&lt;b&gt;</StringToSign><Code>second</Code></Error>"))
	if r.Text("StringToSign") != "a\n<b>" || r.Text("Code") != "SignatureDoesNotMatch" || r.Text("absent") != "" {
		t.Errorf("%+v", r)
	}
}

func TestParseIsBounded(t *testing.T) {
	late := "<Error><Message>" + strings.Repeat("x", MaxBody) + "</Message><Code>c</Code></Error>"
	if r := Parse([]byte(late)); r.Code != "" {
		t.Errorf("read beyond MaxBody: %q", r.Code)
	}
	many := "<Error>" + strings.Repeat("<a>b</a>", 1000) + "</Error>"
	if r := Parse([]byte(many)); len(r.elements) != maxElements {
		t.Errorf("%d elements", len(r.elements))
	}
	if r := Parse([]byte(strings.Repeat("<Error>", MaxBody))); r.Code != "" {
		t.Errorf("%+v", r)
	}
}

// Whatever comes, what is found stands in the body's bounds, a time has a precision, and the same body reads the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`<Error><Code>AccessDenied</Code><Message>Request has expired</Message><ServerTime>2026-11-22T06:24:07.5Z</ServerTime></Error>`))
	f.Add([]byte("\ufeff<Error><Code>AuthenticationFailed</Code><Message>a\nTime:2019-06-13T09:22:53.9093129Z</Message></Error>"))
	f.Add([]byte(`<Error><AuthenticationErrorDetail>Current [Sun, 22 Nov 2026 06:24:07 GMT]</AuthenticationErrorDetail></Error>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := Parse(body)
		total := 0
		for _, e := range r.elements {
			total += len(e.text)
		}
		if total > min(len(body), MaxBody) || len(r.elements) > maxElements { // an escape is longer than what it stands for
			t.Errorf("%d elements with %d bytes out of %d", len(r.elements), total, len(body))
		}
		if !r.ServerTime.IsZero() && r.Precision == 0 {
			t.Errorf("%v has no precision", r.ServerTime)
		}
		again := Parse(body)
		if r.Code != again.Code || r.Kind() != again.Kind() || !r.ServerTime.Equal(again.ServerTime) {
			t.Errorf("%+v, then %+v", r, again)
		}
	})
}
