package explain_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/explain"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// five has a signer of each scheme.
func five(t testing.TB) map[string]signer.Signer {
	secret, at := signer.NewSecret([]byte("sixteen bytes of")), clock.Fixed(noon())
	return map[string]signer.Signer{
		"s3":  newSigner(t),
		"gcs": must(gcs.New(gcs.Config{Bucket: "photos", Key: must(gcs.HMACKey("GOOG1EXAMPLE", secret)), Clock: at})),
		"oss": must(oss.New(oss.Config{Bucket: "photos", Region: "cn-hangzhou", Clock: at, Credentials: oss.Credentials{AccessKeyID: "LTAI5tEXAMPLE", AccessKeySecret: secret}})),
		"azure": must(azure.New(azure.Config{Account: "account", Container: "photos", Clock: at,
			Keys: must(azure.SharedKey("account", base64.StdEncoding.EncodeToString(make([]byte, 64))))})),
		"cdn": must(cdn.New(cdn.Config{BaseURL: must(url.Parse("https://cdn.example.com")), Key: cdn.Key{Name: "k1", Secret: secret}, Clock: at})),
	}
}

// TestRight: there is nothing to say about what is right, whatever is known of it.
func TestRight(t *testing.T) {
	for name, s := range five(t) {
		for _, key := range []string{"cat.jpg", "a b/ü+(1)~100% &=;.txt"} {
			var trace signer.Trace
			p := must(s.Presign(signer.WithTrace(t.Context(), &trace), signer.Request{Key: key, Expires: time.Hour}))
			sent := must(p.NewRequest(t.Context(), nil))
			for what, e := range map[string]explain.Evidence{
				"the URL":                 {URL: p.URL, Now: noon()},
				"the request":             {Request: sent, Now: noon()},
				"the URL and its trace":   {URL: p.URL, Trace: &trace, Now: noon()},
				"the request, its trace":  {Request: sent, Trace: &trace, Now: noon()},
				"the request, as signed":  {Request: sent.Clone(t.Context()), Signed: sent, Now: noon()},
				"a URL, as it was signed": {URL: p.URL, Signed: sent, Now: noon()},
			} {
				r := report(t, e)
				if len(r.Causes) > 0 || r.Provider != name || r.Scheme == "" || r.Form != "URL" {
					t.Errorf("%s, %q, %s\n%v", name, key, what, r)
				}
			}
		}
	}
}

// TestHarmless has differences that no service minds.
func TestHarmless(t *testing.T) {
	all := five(t)
	for _, c := range []struct {
		name, scheme string
		change       func(*http.Request)
	}{
		{"slashes of the credential", "s3", func(r *http.Request) { r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "%2F", "/") }},
		{"the order of parameters", "s3", func(r *http.Request) { r.URL.RawQuery = r.URL.Query().Encode() }},
		{"brackets encoded", "s3", func(r *http.Request) { r.URL.RawPath = strings.ReplaceAll(r.URL.EscapedPath(), "(", "%28") }},
		{"a header that is not signed", "s3", func(r *http.Request) { r.Header.Set("Accept", "*/*") }},
		{"another host", "oss", func(r *http.Request) { r.Host = "cdn.example.com" }},
		{"HEAD", "azure", func(r *http.Request) { r.Method = http.MethodHead }},
		{"another host", "azure", func(r *http.Request) { r.Host = "files.example.com" }},
		{"a parameter more", "azure", func(r *http.Request) { r.URL.RawQuery += "&timeout=30" }},
		{"a header more", "azure", func(r *http.Request) { r.Header.Set("X-Ms-Client-Request-Id", "1") }},
		{"HEAD", "cdn", func(r *http.Request) { r.Method = http.MethodHead }},
		{"a header more", "cdn", func(r *http.Request) { r.Header.Set("Range", "bytes=0-0") }},
	} {
		signed := must(must(all[c.scheme].Presign(t.Context(), signer.Request{Key: "a(1).txt", Expires: time.Hour})).NewRequest(t.Context(), nil))
		signed.Header.Set("Accept-Language", "en")
		sent := signed.Clone(t.Context())
		sent.Header.Del("Accept-Language")
		c.change(sent)
		if r := report(t, explain.Evidence{Request: sent, Signed: signed, Now: noon()}); len(r.Causes) > 0 {
			t.Errorf("%s: %s\n%v", c.scheme, c.name, r)
		}
	}
	base := must(all["s3"].Presign(t.Context(), signer.Request{Key: "k", Expires: time.Hour})).URL
	for _, more := range []string{"&x-amz-meta-name=caf%25C3%25A9", "&X-Amz-Copy-Source=photos%2Fa%2520b", "&st=1&st=2", "&sig=a", "&tag=a&tag=b"} {
		if r := report(t, explain.Evidence{URL: base + more, Now: noon()}); slices.ContainsFunc(r.Causes, func(c explain.Cause) bool { return c.Certainty == explain.Proved }) {
			t.Errorf("%s\n%v", more, r)
		}
	}
}

// TestTrace compares what was sent with the trace, where nothing of the request that was signed is left and no service has answered.
func TestTrace(t *testing.T) {
	all := five(t)
	query := func(old, new string) func(*http.Request) {
		return func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, old, new, 1) }
	}
	path := func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/other.txt", "" }
	for _, c := range []struct {
		name, scheme string
		change       func(*http.Request)
		want         explain.ID
	}{
		{"method", "s3", func(r *http.Request) { r.Method = http.MethodHead }, explain.Method},
		{"path", "s3", path, explain.Path},
		{"a plus for a blank", "s3", func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/a+b.txt", "" }, explain.PathEncoding},
		{"another one", "s3", query("", "a=1&"), explain.QueryAdded},
		{"the same twice", "s3", query("response-content-type=text%2Fx", "response-content-type=text%2Fx&response-content-type=text%2Fx"), explain.QueryChanged},
		{"one less", "s3", query("response-content-type=text%2Fx&", ""), explain.QueryMissing},
		{"host", "s3", func(r *http.Request) { r.Host = "proxy.internal:8080" }, explain.Host},
		{"a header of AWS", "s3", func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") }, explain.HeaderAdded},
		{"path", "gcs", path, explain.Path},
		{"a longer life", "gcs", query("Expires=3600", "Expires=7200"), explain.QueryChanged},
		{"path", "oss", path, explain.Path},
		{"a type", "oss", func(r *http.Request) { r.Header.Set("Content-Type", "text/html") }, explain.ContentType},
		{"a longer life", "azure", query("se=2026-11-26T13", "se=2026-11-27T13"), explain.QueryChanged},
		{"another permission", "azure", query("sp=r", "sp=rw"), explain.QueryChanged},
		{"path", "cdn", path, explain.Path},
		{"a longer life", "cdn", query("Expires=1", "Expires=2"), explain.QueryChanged},
	} {
		var trace signer.Trace
		request := signer.Request{Key: "a b.txt", Expires: time.Hour}
		if c.scheme == "s3" {
			request.Response.ContentType = "text/x"
		}
		p := must(all[c.scheme].Presign(signer.WithTrace(t.Context(), &trace), request))
		sent := must(p.NewRequest(t.Context(), nil))
		before := sent.URL.String() + fmt.Sprint(sent.Header, sent.Host, sent.Method)
		c.change(sent)
		if before == sent.URL.String()+fmt.Sprint(sent.Header, sent.Host, sent.Method) {
			t.Errorf("%s: %s: nothing was changed", c.scheme, c.name)
		}
		r := report(t, explain.Evidence{Request: sent, Trace: &trace, Now: noon()})
		if len(r.Causes) == 0 || r.Causes[0].ID != c.want || r.Causes[0].Certainty != explain.Proved {
			t.Errorf("%s: %s: want %s\n%v", c.scheme, c.name, c.want, r)
		}
	}
}

// TestOnTheWay: the service's canonical request is not what the client says that it has sent.
func TestOnTheWay(t *testing.T) {
	var trace signer.Trace
	p := must(newSigner(t).Presign(signer.WithTrace(t.Context(), &trace), signer.Request{Method: "PUT", Key: "a b.txt", Header: http.Header{"Content-Type": {"text/plain"}}, Expires: time.Hour}))
	canonical := string(trace.CanonicalRequest)
	for _, c := range []struct {
		name, old, new string
		want           explain.ID
	}{
		{"nothing", "", "", explain.WrongSecret},
		{"method", "PUT", "POST", explain.Method},
		{"host", "host:photos.s3.eu-west-1.amazonaws.com", "host:backend:8080", explain.Host},
		{"path", "/a%20b.txt", "/a%2520b.txt", explain.PathEncoding},
		{"type", "text/plain", "text/plain; charset=utf-8", explain.ContentType},
	} {
		body := []byte("<Error><Code>SignatureDoesNotMatch</Code><CanonicalRequest>" + strings.ReplaceAll(strings.Replace(canonical, c.old, c.new, 1), "&", "&amp;") + "</CanonicalRequest></Error>")
		r := report(t, explain.Evidence{Request: must(p.NewRequest(t.Context(), strings.NewReader("x"))), Status: 403, Body: body})
		first := explain.Cause{}
		for _, cause := range r.Causes {
			if cause.Certainty == explain.Likely {
				first = cause
				break
			}
		}
		if c.old == "" && first.ID != "" || c.old != "" && first.ID != c.want || len(r.Diff) > 0 {
			t.Errorf("%s: want %s to be likely\n%v", c.name, c.want, r)
		}
	}
}

// TestForms has one answer in the forms in which people have it.
func TestForms(t *testing.T) {
	document := `<?xml version="1.0" encoding="UTF-8"?>` + "\n<Error><Code>RequestTimeTooSkewed</Code><Message>a &amp; b</Message><RequestTime>20261126T110000Z</RequestTime><ServerTime>2026-11-26T12:00:00Z</ServerTime></Error>"
	for name, e := range map[string]explain.Evidence{
		"the body":                    {Body: []byte(document)},
		"with a byte order mark":      {Body: []byte("\ufeff" + document)},
		"escaped for HTML":            {Body: []byte(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;").Replace(document))},
		"in a log's JSON":             {Body: must(json.Marshal(map[string]string{"body": document}))},
		"behind the answer's header":  {Body: []byte("HTTP/1.1 403 Forbidden\r\nServer: AmazonS3\r\n\r\n" + document)},
		"in curl's words":             {Body: []byte("< HTTP/1.1 403 Forbidden\n< Server: AmazonS3\n<\n" + document + "\n* Connection #0 left intact")},
		"in base64":                   {Body: []byte(base64.StdEncoding.EncodeToString([]byte(document)))},
		"in OSS's header":             {Status: 403, Header: http.Header{"X-Oss-Err": {base64.StdEncoding.EncodeToString([]byte(document))}}},
		"cut":                         {Body: []byte(document[:len(document)-8])},
		"in the words of AWS for Go":  {Body: []byte("operation error S3: GetObject, https response error StatusCode: 403, RequestID: 0, HostID: 0, api error RequestTimeTooSkewed: a & b")},
		"in those of the earlier one": {Body: []byte("RequestTimeTooSkewed: a & b\n\tstatus code: 403, request id: 0, host id: 0")},
		"without the code":            {Body: []byte("error: The difference between the request time and the current time is too large.")},
	} {
		r := report(t, e)
		if len(r.Causes) != 1 || r.Causes[0].ID != explain.ClockSkew || r.Causes[0].Certainty != explain.Proved {
			t.Errorf("%s\n%v", name, r)
		}
		if strings.Contains(string(e.Body), "ServerTime") && name != "cut" && !strings.Contains(r.Causes[0].Why, "1h0m0s behind") {
			t.Errorf("%s: %s", name, r.Causes[0].Why)
		}
	}
	for _, nothing := range []string{"", "403 Forbidden", "<html><body>403</body></html>", `{"code": "nope"}`, "the AccessDenied of it", "PD94bWw="} {
		if r := report(t, explain.Evidence{Body: []byte(nothing), Status: 500}); len(r.Causes) > 0 {
			t.Errorf("%q\n%v", nothing, r)
		}
	}
}

// TestMediaCDN reads the signatures that do not stand in parameters of their own.
func TestMediaCDN(t *testing.T) {
	const token = "Expires=1764158400&KeyName=k&Signature=" + "PlantedPlantedPlantedPlantedPlantedPlantedPlantedPlantedPlantedPlantedPlantedPlantedPla"
	cookie := http.Header{"Cookie": {"a=b; Edge-Cache-Cookie=URLPrefix=aHR0:" + strings.ReplaceAll(token, "&", ":")}}
	for name, e := range map[string]explain.Evidence{
		"path":      {URL: "https://media.example.com/tv/edge-cache-token=" + token + "/seg.ts"},
		"parameter": {URL: "https://media.example.com/tv/seg.ts?edge-cache-token=" + strings.ReplaceAll(token, "&", "~")},
		"query":     {URL: "https://media.example.com/tv/seg.ts?" + token},
		"cookie":    {Request: &http.Request{URL: must(url.Parse("https://media.example.com/tv/seg.ts")), Header: cookie}},
	} {
		e.Now = noon()
		r := report(t, e)
		text := r.String() + string(must(json.Marshal(r)))
		if len(r.Causes) != 1 || r.Causes[0].ID != explain.Expired || r.Scheme != "Media CDN" || strings.Contains(text, "PlantedPlanted") {
			t.Errorf("%s\n%v", name, r)
		}
	}
}

// TestKeyOfGoogle: keys that Google keeps are changed.
func TestKeyOfGoogle(t *testing.T) {
	body := []byte("<Error><Code>SignatureDoesNotMatch</Code><Message>m</Message></Error>")
	for hours, want := range map[int]bool{11: false, 13: true} {
		u := "https://storage.googleapis.com/photos/cat.jpg?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=a%40p.iam.gserviceaccount.com%2F20261126%2Fauto%2Fstorage%2Fgoog4_request" +
			"&X-Goog-Date=20261126T120000Z&X-Goog-Expires=604800&X-Goog-SignedHeaders=host&X-Goog-Signature=" + strings.Repeat("0a", 256)
		r := report(t, explain.Evidence{URL: u, Status: 403, Body: body, Now: noon().Add(time.Duration(hours) * time.Hour)})
		if first := r.Causes[0]; (first.ID == explain.KeyRotated) != want || first.Certainty == explain.Proved {
			t.Errorf("after %d hours\n%v", hours, r)
		}
	}
}

// TestSecrets has secrets where they do not belong.
func TestSecrets(t *testing.T) {
	signature := strings.Repeat("5ec2e7", 11)[:64]
	base := must(newSigner(t).Presign(t.Context(), signer.Request{Key: "k", Expires: time.Hour})).URL
	at := strings.LastIndex(base, "=") + 1
	whole := base[:at] + signature
	refused := []byte("<Error><Code>SignatureDoesNotMatch</Code><Message>" + strings.Repeat("x", 350) + " " + signature + "</Message><SignatureProvided>" + signature + "</SignatureProvided></Error>")
	many := "https://account.blob.core.windows.net/c/b?sv=2020-12-06&sr=b" + strings.Repeat("&sig=aaaaaaaaaaaaaaaaaaaaaaaa", 0)
	for i := range 900 {
		many += fmt.Sprintf("&sig%d.sig=a%03dbcdefghijklmnop", i, i)
	}
	for name, e := range map[string]explain.Evidence{
		"a question mark encoded":    {URL: strings.Replace(whole, "?", "%3F", 1)},
		"no ampersands":              {URL: strings.ReplaceAll(whole, "&", "")},
		"semicolons":                 {URL: strings.ReplaceAll(whole, "&", ";")},
		"encoded as a whole":         {URL: "https://b.s3.amazonaws.com/" + url.QueryEscape(whole)},
		"encoded twice as a whole":   {URL: "https://b.s3.amazonaws.com/?u=" + url.QueryEscape(url.QueryEscape(whole))},
		"in the host":                {URL: "https://X-Amz-Signature=" + signature + "/"},
		"in the fragment":            {URL: strings.Replace(whole, "?", "#", 1)},
		"in the answer":              {URL: whole, Status: 403, Body: refused},
		"in the answer, no URL":      {Status: 400, Body: bytes.Replace(refused, []byte("SignatureDoesNotMatch"), []byte("InvalidToken"), 1)},
		"in an SDK's text":           {Body: []byte("RequestTimeTooSkewed: GET " + whole)},
		"in where it is redirected":  {Status: 307, Header: http.Header{"Location": {whole}}},
		"as a region":                {URL: strings.Replace(whole, "eu-west-1%2F", "X-Amz-Signature%3D"+signature+"%2F", 1)},
		"changed":                    {URL: whole, Signed: must(http.NewRequest("GET", base, nil)), Request: must(http.NewRequest("GET", whole, nil))},
		"a token that was changed":   {Request: must(http.NewRequest("GET", base+"&X-Amz-Security-Token="+signature, nil)), Signed: must(http.NewRequest("GET", base+"&X-Amz-Security-Token=b"+signature, nil))},
		"in a header that is signed": {Request: &http.Request{URL: must(url.Parse(base)), Header: http.Header{"X-Amz-Security-Token": {signature}, "X-Amz-Meta-Secret": {signature}}}},
	} {
		r := report(t, e)
		if text := r.String() + string(must(json.Marshal(r))); strings.Contains(text, signature) || strings.Contains(text, signature[:40]) {
			t.Errorf("%s:\n%s", name, text)
		}
	}
	signed := strings.ReplaceAll(many, ".sig=a", ".sig=b")
	r := report(t, explain.Evidence{Request: must(http.NewRequest("GET", many, nil)), Signed: must(http.NewRequest("GET", signed, nil))})
	if text := r.String() + string(must(json.Marshal(r))); strings.Contains(text, "bcdefghijklmnop") {
		t.Errorf("one of many:\n%.2000s", text)
	}
}

// TestSame: the order of a map is not that of a report.
func TestSame(t *testing.T) {
	e := explain.Evidence{Status: 403, Request: &http.Request{URL: must(url.Parse(must(newSigner(t).Presign(t.Context(), signer.Request{Key: "k", Expires: time.Hour})).URL)), Header: http.Header{}}}
	for c := 'a'; c <= 'z'; c++ {
		e.Request.Header.Set("X-Amz-Meta-"+string(c), "v")
	}
	want := report(t, e).String()
	for range 20 {
		if got := report(t, e).String(); got != want {
			t.Fatalf("%s\n\n%s", want, got)
		}
	}
}

// TestBounded counts what Explain allocates: of ten times the evidence it may be 12 times as much.
func TestBounded(t *testing.T) {
	const small, large = 100 << 10, 1 << 20
	for name, make := range sized(t) {
		count := func(size int) float64 {
			e := make(size)
			return testing.AllocsPerRun(1, func() { report(t, e) })
		}
		if a, b := count(small), count(large); b > 12*a {
			t.Errorf("%s: %.0f allocations for 100 KB, %.0f for 1 MB", name, a, b)
		}
	}
}

// sized makes evidence of a size, in every field that can be large.
func sized(t testing.TB) map[string]func(size int) explain.Evidence {
	base := must(newSigner(t).Presign(t.Context(), signer.Request{Key: "k", Expires: time.Hour})).URL
	lines := func(size int, format string) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	canonical := func(size int) string {
		return "GET\n/k\n\nhost:h\n" + lines(size, "x-amz-meta-%d:v\n") + "\nhost\nUNSIGNED-PAYLOAD"
	}
	request := func(rawURL string) *http.Request { return must(http.NewRequest("GET", rawURL, nil)) }
	header := func(size int) http.Header {
		h := http.Header{}
		for line := range strings.Lines(lines(size, "X-Amz-Meta-%d\n")) {
			h[strings.TrimSpace(line)] = []string{"v"}
		}
		return h
	}
	refused := func(element, text string) []byte {
		return []byte("<Error><Code>SignatureDoesNotMatch</Code><" + element + ">" + text + "</" + element + "></Error>")
	}
	return map[string]func(int) explain.Evidence{
		"body": func(size int) explain.Evidence {
			return explain.Evidence{Status: 403, Body: refused("CanonicalRequest", canonical(size))}
		},
		"text": func(size int) explain.Evidence {
			return explain.Evidence{Status: 403, Body: []byte(lines(size, "api error %d "))}
		},
		"parameters": func(size int) explain.Evidence {
			return explain.Evidence{Status: 403, URL: base + lines(size, "&p%d=%%41")}
		},
		"signed headers": func(size int) explain.Evidence {
			return explain.Evidence{Status: 403, Request: request(strings.Replace(base, "SignedHeaders=host", "SignedHeaders=host"+lines(size, "%%3Bx%d"), 1))}
		},
		"path": func(size int) explain.Evidence {
			return explain.Evidence{Status: 403, URL: strings.Replace(base, "/k", "/"+lines(size, "a%d/%%25"), 1)}
		},
		"two URLs": func(size int) explain.Evidence {
			return explain.Evidence{Request: request(base + lines(size, "&p%d=a")), Signed: request(base + lines(size, "&p%d=b"))}
		},
		"headers": func(size int) explain.Evidence {
			r := request(base)
			r.Header = header(size)
			return explain.Evidence{Request: r, Signed: request(base), Status: 403, Body: refused("CanonicalRequest", canonical(60<<10))}
		},
		"trace": func(size int) explain.Evidence {
			trace := &signer.Trace{CanonicalRequest: []byte(canonical(size)), StringToSign: []byte(lines(size, "line %d\n"))}
			return explain.Evidence{URL: base, Trace: trace, Status: 403, Body: refused("CanonicalRequest", "GET\n/k\n\nhost:h\n\nhost\nUNSIGNED-PAYLOAD")}
		},
		"strings to sign": func(size int) explain.Evidence {
			return explain.Evidence{Trace: &signer.Trace{StringToSign: []byte(lines(size, "line %d\n"))}, Status: 403, Body: refused("StringToSign", lines(60<<10, "other %d\n"))}
		},
		"answer's header": func(size int) explain.Evidence { return explain.Evidence{URL: base, Status: 403, Header: header(size)} },
	}
}
