package explain_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/explain"
)

var creds = s3.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretKey: signer.NewSecret([]byte("a secret of the test"))}

func noon() time.Time { return time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC) }

func newSigner(t testing.TB) *s3.Signer {
	t.Helper()
	s, err := s3.New(s3.Config{Region: "eu-west-1", Bucket: "photos", Credentials: creds, Clock: clock.Fixed(noon())})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newVerifier(t testing.TB, c s3.Credentials) *s3.Verifier {
	t.Helper()
	v, err := s3.NewVerifier(s3.VerifierConfig{Region: "eu-west-1", Clock: clock.Fixed(noon()), Lookup: func(_ context.Context, id string) (s3.Credentials, error) {
		if id != c.AccessKeyID {
			return c, signer.ErrUnknownKey
		}
		return c, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func report(t testing.TB, e explain.Evidence) *explain.Report {
	t.Helper()
	r, err := explain.Explain(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSentAndSigned compares a request that is about to be sent with the one that was signed.
func TestSentAndSigned(t *testing.T) {
	p, err := newSigner(t).Presign(t.Context(), signer.Request{Method: "PUT", Key: "a b.txt", Header: http.Header{"Content-Type": {"text/plain"}}, Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		want   explain.ID
	}{
		{"as signed", func(*http.Request) {}, ""},
		{"another method", func(r *http.Request) { r.Method = "POST" }, explain.Method},
		{"another type", func(r *http.Request) { r.Header.Set("Content-Type", "text/html") }, explain.ContentType},
		{"no type", func(r *http.Request) { r.Header.Del("Content-Type") }, explain.HeaderMissing},
		{"an x-amz- header", func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") }, explain.HeaderAdded},
		{"another object", func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/other", "" }, explain.Path},
		{"a plus for a blank", func(r *http.Request) { r.URL.RawPath, r.URL.Path = "/a+b.txt", "/a+b.txt" }, explain.PathEncoding},
		{"a parameter more", func(r *http.Request) { r.URL.RawQuery += "&utm_source=mail" }, explain.QueryAdded},
		{"a longer life", func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "Expires=36", "Expires=96", 1) }, explain.QueryChanged},
		{"another host", func(r *http.Request) { r.Host = "proxy.internal" }, explain.Host},
	} {
		signed, err := p.NewRequest(t.Context(), strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		sent := signed.Clone(t.Context())
		c.change(sent)
		r := report(t, explain.Evidence{Request: sent, Signed: signed, Now: noon()})
		if c.want == "" && len(r.Causes) > 0 || c.want != "" && (len(r.Causes) == 0 || r.Causes[0].ID != c.want || r.Causes[0].Certainty != explain.Proved) {
			t.Errorf("%s: want %q\n%v", c.name, c.want, r)
		}
	}
}

// TestVerifier has the keys look at the request.
func TestVerifier(t *testing.T) {
	p, err := newSigner(t).Presign(t.Context(), signer.Request{Key: "k", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	arrive := func(edit func(*http.Request)) *http.Request {
		r := httptest.NewRequest(http.MethodGet, p.URL, nil)
		edit(r)
		return r
	}
	refused := []byte("<Error><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does not match</Message></Error>")
	other := creds
	other.SecretKey = signer.NewSecret([]byte("another secret"))
	stranger := creds
	stranger.AccessKeyID = "AKIDOTHER"
	for _, c := range []struct {
		name string
		v    signer.Verifier
		edit func(*http.Request)
		want explain.ID
	}{
		{"right under the keys given", newVerifier(t, creds), func(*http.Request) {}, explain.KeyRotated},
		{"another secret", newVerifier(t, other), func(*http.Request) {}, explain.WrongSecret},
		{"another method", newVerifier(t, creds), func(r *http.Request) { r.Method = http.MethodDelete }, explain.Method},
		{"an unknown key", newVerifier(t, stranger), func(*http.Request) {}, explain.UnknownKey},
		{"two signatures", newVerifier(t, creds), func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x") }, explain.TwoSignatures},
	} {
		r := report(t, explain.Evidence{Request: arrive(c.edit), Verifier: c.v, Status: 403, Body: refused})
		if !slices.ContainsFunc(r.Causes, func(cause explain.Cause) bool { return cause.ID == c.want }) {
			t.Errorf("%s: want %s\n%v", c.name, c.want, r)
		}
	}
}

// TestVerifierOfClientsRequest: what a client sent to https:// has arrived with TLS.
func TestVerifierOfClientsRequest(t *testing.T) {
	base := must(url.Parse("https://media.example.com"))
	key := must(cdn.ParseKey("k", "MDEyMzQ1Njc4OWFiY2RlZg=="))
	p := must(must(cdn.New(cdn.Config{BaseURL: base, Key: key})).Presign(t.Context(), signer.Request{Key: "cat.jpg", Expires: time.Hour}))
	v := must(cdn.NewVerifier(cdn.VerifierConfig{BaseURL: base, Keys: []cdn.Key{key}}))
	whole := must(p.NewRequest(t.Context(), nil))
	bare := &http.Request{URL: must(url.Parse(p.URL))}
	for _, req := range []*http.Request{whole, bare} {
		if r := report(t, explain.Evidence{Request: req, Verifier: v}); len(r.Causes) > 0 {
			t.Errorf("%v", r)
		}
	}
	whole.URL.Scheme, bare.URL.Host = "http", "other.example.com"
	for _, req := range []*http.Request{whole, bare} {
		if r := report(t, explain.Evidence{Request: req, Verifier: v}); len(r.Causes) == 0 || r.Causes[0].ID != explain.Scope && r.Causes[0].ID != explain.Host {
			t.Errorf("%v", r)
		}
	}
	if bare.Host != "" || bare.TLS != nil || whole.TLS != nil {
		t.Errorf("the Evidence was changed: %+v, %+v", bare, whole)
	}
}

// TestMethodByKeys: the keys tell for which method a signature is, and that it is for none.
func TestMethodByKeys(t *testing.T) {
	p := must(newSigner(t).Presign(t.Context(), signer.Request{Method: http.MethodPut, Key: "k", Expires: time.Hour}))
	v := newVerifier(t, creds)
	sent := must(p.NewRequest(t.Context(), nil))
	sent.Method = http.MethodPost
	other := sent.Clone(t.Context())
	other.URL.Path = "/l"
	for _, c := range []struct {
		what string
		e    explain.Evidence
		id   explain.ID
		c    explain.Certainty
		why  string
	}{
		{"a request", explain.Evidence{Request: sent, Verifier: v}, explain.Method, explain.Proved, `the signature is for PUT, and not for "POST"`},
		{"a URL", explain.Evidence{URL: p.URL, Verifier: v}, explain.Method, explain.Possible, `the signature is for PUT, and not for "GET", as a GET without headers`},
		{"another key", explain.Evidence{Request: other, Verifier: v}, explain.WrongSecret, explain.Possible, "mismatch"},
	} {
		r := report(t, c.e)
		if len(r.Causes) != 1 || r.Causes[0].ID != c.id || r.Causes[0].Certainty != c.c || !strings.Contains(r.Causes[0].Why, c.why) {
			t.Errorf("%s: %v", c.what, r)
		}
	}
	var trace signer.Trace
	must(newSigner(t).Presign(signer.WithTrace(t.Context(), &trace), signer.Request{Method: http.MethodPut, Key: "k", Expires: time.Hour}))
	r := report(t, explain.Evidence{Request: sent, Trace: &trace, Verifier: v})
	if n := len(slices.DeleteFunc(slices.Clone(r.Causes), func(c explain.Cause) bool { return c.ID != explain.Method })); n != 1 {
		t.Errorf("with a Trace: %v", r)
	}
	if sent.Method != http.MethodPost {
		t.Errorf("the request was changed to %s", sent.Method)
	}
}

// TestRequire reads the answers of our own services, in whatever words signer.Require has for each class of errors.
func TestRequire(t *testing.T) {
	p := must(newSigner(t).Presign(t.Context(), signer.Request{Key: "k", Expires: time.Hour}))
	for class, want := range map[error]explain.ID{
		signer.ErrUnsigned: explain.Truncated, signer.ErrConflict: explain.TwoSignatures, signer.ErrMalformed: explain.Malformed,
		signer.ErrUnsupported: explain.Algorithm, signer.ErrExpired: explain.Expired, signer.ErrNotYetValid: explain.NotYetValid,
		signer.ErrUnknownKey: explain.UnknownKey, signer.ErrScope: explain.Scope, signer.ErrPolicy: explain.PolicyViolated,
		signer.ErrMismatch: explain.WrongSecret,
	} {
		refuse := signer.VerifierFunc(func(context.Context, *http.Request) (*signer.Grant, error) {
			return nil, &signer.Error{Backend: "s3", Op: "verify", Err: class}
		})
		w := httptest.NewRecorder()
		signer.Require(refuse, http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, p.URL, nil))
		e := explain.Evidence{URL: p.URL, Status: w.Code, Header: w.Header(), Body: w.Body.Bytes(), Now: noon()}
		r := report(t, e)
		certain := explain.Proved
		if class == signer.ErrUnsigned || class == signer.ErrMismatch {
			certain = explain.Possible
		}
		if i := slices.IndexFunc(r.Causes, func(c explain.Cause) bool { return c.ID == want }); i < 0 || r.Causes[i].Certainty != certain || certain == explain.Proved && i > 0 {
			t.Errorf("%v: want %s\n%v", class, want, r)
		}
	}
	if r := report(t, explain.Evidence{URL: p.URL, Status: 403, Body: []byte("signature: of another kind"), Now: noon()}); len(r.Causes) < 5 {
		t.Errorf("a stranger's words were taken for ours:\n%v", r)
	}
}

// TestVerifierWithoutRequest: what is given is looked at, or the report says that it was not.
func TestVerifierWithoutRequest(t *testing.T) {
	p := must(newSigner(t).Presign(t.Context(), signer.Request{Key: "k", Expires: time.Hour}))
	verdict := func(r *explain.Report) string {
		for _, f := range r.Facts {
			if f.Name == "verifier" {
				return f.Value
			}
		}
		return ""
	}
	good := report(t, explain.Evidence{URL: p.URL, Verifier: newVerifier(t, creds)})
	if !strings.HasPrefix(verdict(good), "accepts the request, as a GET") || len(good.Causes) > 0 {
		t.Errorf("%v", good)
	}
	bad := report(t, explain.Evidence{URL: strings.Replace(p.URL, "/k?", "/other?", 1), Verifier: newVerifier(t, creds)})
	if !strings.HasPrefix(verdict(bad), "refuses the request, as a GET") || len(bad.Causes) == 0 || bad.Causes[0].ID != explain.WrongSecret {
		t.Errorf("%v", bad)
	}
	if r := report(t, explain.Evidence{Status: 403, Verifier: newVerifier(t, creds)}); !strings.HasPrefix(verdict(r), "not asked") {
		t.Errorf("%v", r)
	}
}

// TestTraceAndURL: with the Trace and the URL that was used, path and parameters are known to be right; what may still be wrong asks for
// the Request and not for the Trace.
func TestTraceAndURL(t *testing.T) {
	var trace signer.Trace
	p := must(newSigner(t).Presign(signer.WithTrace(t.Context(), &trace), signer.Request{Key: "a+b/c d", Expires: time.Hour}))
	silent := explain.Evidence{URL: p.URL, Trace: &trace, Status: 403, Body: []byte("<Error><Code>SignatureDoesNotMatch</Code></Error>"), Now: noon()}
	r := report(t, silent)
	for _, c := range r.Causes {
		switch c.ID {
		case explain.Path, explain.PathEncoding, explain.QueryAdded, explain.QueryChanged, explain.QueryMissing:
			t.Errorf("%s, though the diff shows it equal:\n%v", c.ID, r)
		}
		if strings.Contains(c.Fix, "Evidence.Trace") {
			t.Errorf("%s asks for the Trace that was given", c.ID)
		}
	}
	if !slices.ContainsFunc(r.Causes, func(c explain.Cause) bool { return c.ID == explain.WrongSecret }) || !slices.ContainsFunc(r.Causes, func(c explain.Cause) bool { return strings.Contains(c.Fix, "Evidence.Request") }) {
		t.Errorf("%v", r)
	}
	silent.URL = strings.Replace(p.URL, "/a", "/b", 1)
	if r := report(t, silent); len(r.Causes) == 0 || r.Causes[0].ID != explain.Path || r.Causes[0].Certainty != explain.Proved {
		t.Errorf("%v", r)
	}
}

func TestNoEvidence(t *testing.T) {
	if _, err := explain.Explain(t.Context(), explain.Evidence{}); !errors.Is(err, signer.ErrRequest) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := explain.Explain(ctx, explain.Evidence{URL: "https://h/"}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestTruncatedBody: what stands before the cut is read.
func TestTruncatedBody(t *testing.T) {
	body := []byte("<Error><Code>RequestTimeTooSkewed</Code><Message>The difference</Message><RequestTime>20260101T")
	if r := report(t, explain.Evidence{Status: 403, Body: body}); len(r.Causes) == 0 || r.Causes[0].ID != explain.ClockSkew {
		t.Errorf("%v", r)
	}
}

// TestReportText: a report reads well, is valid JSON and the same every time.
func TestReportText(t *testing.T) {
	for _, r := range loadCorpus(t) {
		a, b := report(t, r.evidence(t)), report(t, r.evidence(t))
		text, err := json.Marshal(a)
		if err != nil || a.String() != b.String() || fmt.Sprintf("%+v", a) != a.String() {
			t.Errorf("%s: %v, or two readings differ", r.Name, err)
		}
		if !json.Valid(text) || strings.Contains(a.String(), "%!") || strings.Contains(a.String(), "0001-01-01") {
			t.Errorf("%s: %s", r.Name, a)
		}
		for _, c := range a.Causes {
			if c.Why == "" || c.Fix == "" || c.Certainty.String() == "unknown" {
				t.Errorf("%s: %+v", r.Name, c)
			}
		}
	}
}

// The secrets that are planted in evidence, and must not come out of it.
const (
	plantedSignature = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2"
	plantedToken     = "PlantedToken+of/credentials=="
	plantedSAS       = "PlantedSASSignature+of/32bytesOfIt123456789A="
	plantedBearer    = "PlantedBearerOfAnAPI"
)

// planted returns evidence that holds every kind of secret, around what a fuzzer makes of the rest.
func planted(path, param, value, header, code, message string, status int) explain.Evidence {
	q := url.Values{"X-Amz-Signature": {plantedSignature}, "X-Amz-Security-Token": {plantedToken}, "sig": {plantedSAS}, "sv": {"2020-12-06"}, param: {value}}
	u := &url.URL{Scheme: "https", Host: "b.s3.eu-west-1.amazonaws.com", Path: "/" + path, RawQuery: q.Encode() +
		"&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20261126%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261126T120000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host%3B" + url.QueryEscape(header)}
	req := &http.Request{Method: "GET", URL: u, Host: u.Host, Header: http.Header{"Authorization": {"Bearer " + plantedBearer}, "X-Amz-Security-Token": {plantedToken}, http.CanonicalHeaderKey(header): {value}}}
	canonical := "GET\n/" + path + "\nX-Amz-Security-Token=" + url.QueryEscape(plantedToken) + "\nhost:a\nx-amz-security-token:" + plantedToken + "\n" + header + ":" + value + "\n\nhost\nUNSIGNED-PAYLOAD"
	var body bytes.Buffer
	body.WriteString("<Error><Code>")
	xmlEscape(&body, code)
	body.WriteString("</Code><Message>")
	xmlEscape(&body, message+" in the HTTP request '"+plantedSAS+"' and")
	body.WriteString("</Message><SignatureProvided>" + plantedSignature + "</SignatureProvided><Token-0>" + plantedToken + "</Token-0><CanonicalRequest>")
	xmlEscape(&body, strings.Replace(canonical, "host:a", "host:b", 1))
	body.WriteString("</CanonicalRequest><StringToSign>")
	xmlEscape(&body, "AWS4-HMAC-SHA256\n20261126T120000Z\n20261126/us-east-1/s3/aws4_request\n"+value)
	body.WriteString("</StringToSign></Error>")
	return explain.Evidence{URL: u.String(), Request: req, Status: status, Header: http.Header{"Date": {"Thu, 26 Nov 2026 13:00:00 GMT"}, "Location": {u.String()}}, Body: body.Bytes(),
		Trace: &signer.Trace{CanonicalRequest: []byte(canonical), StringToSign: []byte("AWS4-HMAC-SHA256\n20261126T120000Z\n20261126/eu-west-1/s3/aws4_request\n00")}, Now: noon()}
}

func xmlEscape(b *bytes.Buffer, s string) {
	s = strings.ToValidUTF8(s, "?")
	for _, r := range s {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '&':
			b.WriteString("&amp;")
		case r < ' ' && r != '\n' && r != '\t' || r == 0xfffe || r == 0xffff:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
}

// leaks returns the first planted secret that a text holds, in any of its spellings.
func leaks(text string) string {
	for _, secret := range []string{plantedSignature, plantedToken, plantedSAS, plantedBearer} {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.ReplaceAll(secret, "+", " ")} {
			if strings.Contains(text, form) {
				return secret
			}
		}
	}
	return ""
}

// A URL that was broken may have its signature in the value of another parameter.
func TestBrokenURLHidesItsSignature(t *testing.T) {
	whole := "https://h/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20261126%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Security-Token=" +
		url.QueryEscape(plantedToken) + "&X-Amz-Signature=" + plantedSignature
	for _, separator := range []string{";", "", " ", "&&amp;", ","} {
		r := report(t, explain.Evidence{URL: strings.ReplaceAll(whole, "&", separator), Now: noon()})
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(r.String()+string(text), plantedSignature) {
			t.Errorf("with %q for the ampersands:\n%v", separator, r)
		}
	}
}

func FuzzExplain(f *testing.F) {
	for _, r := range loadCorpus(f) {
		f.Add("k", "x", "y", "content-type", "SignatureDoesNotMatch", r.Body, r.Status, r.URL)
	}
	f.Add("a b", "X-Amz-Signature", "20260101T000000Z", "host", "AuthenticationFailed", "String to sign used was r\n", 403, "https://h/%zz")
	f.Fuzz(func(t *testing.T, path, param, value, header, code, message string, status int, rawURL string) {
		r := report(t, planted(path, param, value, header, code, message, status))
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		plain := strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(string(text))
		for _, out := range []string{r.String(), string(text), plain} {
			if secret := leaks(out); secret != "" {
				t.Errorf("the report holds %q:\n%s", secret, out)
			}
		}
		if rawURL != "" || message != "" {
			report(t, explain.Evidence{URL: rawURL, Body: []byte(message), Status: status, Header: http.Header{"X-Oss-Err": {value}, "X-Oss-Ec": {code}}, Now: noon()})
		}
	})
}

// BenchmarkExplain has evidence of 100 KB and of 1 MB: the second may cost 12 times as much.
func BenchmarkExplain(b *testing.B) {
	all := sized(b)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, size := range []int{100 << 10, 1 << 20} {
			e := all[name](size)
			b.Run(fmt.Sprintf("%s/%dKB", name, size>>10), func(b *testing.B) {
				for b.Loop() {
					if _, err := explain.Explain(b.Context(), e); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// A URL alone: this one was pasted from a web page, and its end is in the past.
func ExampleExplain() {
	url := "https://photos.s3.eu-west-1.amazonaws.com/cat.jpg?X-Amz-Algorithm=AWS4-HMAC-SHA256" +
		"&X-Amz-Credential=AKIDEXAMPLE%2F20261126%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20261126T120000Z" +
		"&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=" + strings.Repeat("0a", 32)
	report, err := explain.Explain(context.Background(), explain.Evidence{URL: url, Now: time.Date(2026, 11, 26, 13, 0, 0, 0, time.UTC)})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range report.Causes {
		fmt.Printf("%s (%v): %s\n", c.ID, c.Certainty, c.Why)
	}
	// Output: expired (proved): it ended at 2026-11-26T12:15:00Z, and the local clock says 2026-11-26T13:00:00Z
}

// The answer of a service, beside what was signed: a proxy has added a port.
func ExampleExplain_trace() {
	ctx := context.Background()
	var trace signer.Trace
	s, err := s3.New(s3.Config{Region: "eu-west-1", Bucket: "photos", Credentials: creds, Clock: clock.Fixed(noon())})
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := s.Presign(signer.WithTrace(ctx, &trace), signer.Request{Key: "cat.jpg", Expires: 15 * time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := "<Error><Code>SignatureDoesNotMatch</Code><CanonicalRequest>" +
		strings.ReplaceAll(strings.Replace(string(trace.CanonicalRequest), ".com\n", ".com:8443\n", 1), "&", "&amp;") + "</CanonicalRequest></Error>"

	report, err := explain.Explain(ctx, explain.Evidence{URL: p.URL, Trace: &trace, Status: 403, Body: []byte(answer)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Causes[0].ID, report.Causes[0].Certainty)
	fmt.Println(report.Causes[0].Why)
	// Output:
	// host proved
	// the header "host" was signed as "photos.s3.eu-west-1.amazonaws.com" and arrived as "photos.s3.eu-west-1.amazonaws.com:8443"
}
