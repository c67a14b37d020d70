package s3

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/wire"
)

// The facts of AWS's own tests of SigV4a: what goes in, and the canonical request, the hash in the string to sign, or the hash
// of the string to sign that must come out. Signatures there are random, so the tests verify them against these strings.
// They are about other services than S3, so they run through the scheme's functions, with an encoded path given.

const emptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

type fact4a struct {
	name              string
	line              int // in the source
	method, host      string
	path, query       string
	header            http.Header
	payload, service  string
	regionSet, stamp  string
	canonicalSum      string // hash of the canonical request
	stringToSignSum   string // hash of the string to sign
	signedHeaders     string
	canonicalSuffixed string // the canonical request but its last line
}

// github.com/aws/smithy-go/aws-http-auth v1.2.2, sigv4a/sigv4a_test.go
func smithyFacts() []fact4a {
	const braces = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" // SHA-256 of "{}"
	fact := func(name string, line int, sum, signedHeaders, payload, service, regionSet string, header ...string) fact4a {
		h := http.Header{"X-Amz-Date": {"19700101T000000Z"}, "X-Amz-Region-Set": {regionSet}}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return fact4a{name: name, line: line, method: "POST", host: "service.region.amazonaws.com", header: h,
			payload: payload, service: service, regionSet: regionSet, stamp: "19700101T000000Z", canonicalSum: sum, signedHeaders: signedHeaders}
	}
	const token, session = "X-Amz-Security-Token", "SESSION"
	const unsigned = unsignedPayload
	return []fact4a{
		fact("minimal case, nonseekable", 130, "968265b4e87c6b10c8ec6bcfd63e8002814cb3256d74c6c381f0c31268c80b53",
			"host;x-amz-date;x-amz-region-set;x-amz-security-token", unsigned, "dynamodb", "us-east-1,us-west-1", token, session),
		fact("minimal case, seekable", 148, "6fbe2f6247e506a47694e695d825477af6c604184f775050ce3b83e04674d9aa",
			"host;x-amz-date;x-amz-region-set;x-amz-security-token", braces, "dynamodb", "us-east-1", token, session),
		fact("minimal case, no session", 166, "825ea1f5e80bdb91ac8802e832504d1ff1c3b05b7619ffc273a1565a7600ff5a",
			"host;x-amz-date;x-amz-region-set", unsigned, "dynamodb", "us-east-1"),
		fact("explicit unsigned payload", 184, "69e5041f5ff858ee8f53a30e5f98cdb4c6bcbfe0f8e61b8aba537d2713bf41a4",
			"host;x-amz-date;x-amz-region-set;x-amz-security-token", unsigned, "dynamodb", "us-east-1", token, session),
		fact("sign all headers", 222, "b28cca9faeaa86f4dbfcc3113b05b38f53cd41f41448a41e08e0171cea8ec363",
			"bar;content-type;foo;host;x-amz-date;x-amz-region-set;x-amz-security-token", braces, "dynamodb", "us-east-1", token, session,
			"Content-Type", "application/json", "Foo", "bar", "Bar", "baz"),
		fact("s3 settings", 269, "3cf4ba7f150421e93dbc22112484147af6e355676d08a75799cfd32424458d7f",
			"host;x-amz-content-sha256;x-amz-date;x-amz-region-set;x-amz-security-token", braces, "s3", "us-east-1", token, session,
			"X-Amz-Content-Sha256", braces),
	}
}

// github.com/aws/aws-sdk-go-v2/internal/v4a v1.5.12, v4a_test.go. The path is encoded twice, as for every service but S3; a
// presigned URL has X-Amz-Target, which is no header that must stay one, in its query.
func sdkFacts() []fact4a {
	const path = "/bucket/key-._~%2C%21%40%2523%24%2525%5E%26%2A%28%29"
	const meta = "some-value=!@#$%^&* (+)"
	headers := func(more ...string) http.Header {
		h := http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "Content-Length": {"1024"},
			"X-Amz-Meta-Other-Header": {meta}, "X-Amz-Meta-Other-Header_with_underscore": {meta, meta}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	fact := func(name string, line int, sum, signedHeaders, query string, h http.Header) fact4a {
		return fact4a{name: name, line: line, method: "POST", host: "dynamodb.us-east-1.amazonaws.com", path: path, query: query, header: h,
			payload: emptyPayload, service: "dynamodb", regionSet: "us-east-1", stamp: "19700101T000000Z", stringToSignSum: sum, signedHeaders: signedHeaders}
	}
	const presigned = "content-length;content-type;host;x-amz-meta-other-header;x-amz-meta-other-header_with_underscore"
	params := func(expires, token string) string {
		return "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&X-Amz-Credential=AKISORANDOMAASORANDOM%2F19700101%2Fdynamodb%2Faws4_request" +
			"&X-Amz-Date=19700101T000000Z&X-Amz-Expires=" + expires + "&X-Amz-Region-Set=us-east-1" + token +
			"&X-Amz-SignedHeaders=" + strings.ReplaceAll(presigned, ";", "%3B") + "&X-Amz-Target=prefix.Operation"
	}
	signed := []string{"X-Amz-Date", "19700101T000000Z", "X-Amz-Region-Set", "us-east-1", "X-Amz-Target", "prefix.Operation"}
	return []fact4a{
		fact("SignHTTP", 57, "4ba7d0482cf4d5450cefdc067a00de1a4a715e444856fa3e1d85c35fb34d9730",
			"content-length;content-type;host;x-amz-date;x-amz-meta-other-header;x-amz-meta-other-header_with_underscore;x-amz-region-set;x-amz-security-token;x-amz-target",
			"", headers(append(signed, "X-Amz-Security-Token", "TOKEN")...)),
		fact("SignHTTP_NoSessionToken", 92, "1aeefb422ae6aa0de7aec829da813e55cff35553cac212dffd5f9474c71e47ee",
			"content-length;content-type;host;x-amz-date;x-amz-meta-other-header;x-amz-meta-other-header_with_underscore;x-amz-region-set;x-amz-target",
			"", headers(signed...)),
		fact("PresignHTTP", 117, "d7ffbd2fab644384c056957e6ac38de4ae68246764b5f5df171b3824153b6397", presigned, params("18000", ""), headers()),
		fact("PresignHTTP_BodyWithArrayRequest", 175, "acff64fd3689be96259d4112c3742ff79f4da0d813bc58a285dc1c4449760bec", presigned,
			"Foo=z&Foo=o&Foo=m&Foo=a&"+params("300", "&X-Amz-Security-Token=TOKEN"), headers()),
		{name: "buildCanonicalHeaders", line: 233, method: "POST", host: "mockAPI.mock-region.amazonaws.com", service: "mockAPI", regionSet: "mock-region",
			stamp: "20211020T124200Z", header: http.Header{"Fooinnerspace": {"   inner      space    "}, "Fooleadingspace": {"    leading-space"},
				"Foomultiplespace": {"no-space", "\ttab-space", "trailing-space    "}, "Foonospace": {"no-space"}, "Footabspace": {"\ttab-space\t"},
				"Footrailingspace": {"trailing-space    "}, "Foowrappedspace": {"   wrapped-space    "}, "X-Amz-Date": {"20211020T124200Z"}, "X-Amz-Region-Set": {"mock-region"}},
			canonicalSuffixed: "POST\n/\n\nfooinnerspace:inner space\nfooleadingspace:leading-space\nfoomultiplespace:no-space,tab-space,trailing-space\n" +
				"foonospace:no-space\nfootabspace:tab-space\nfootrailingspace:trailing-space\nfoowrappedspace:wrapped-space\n" +
				"host:mockAPI.mock-region.amazonaws.com\nx-amz-date:20211020T124200Z\nx-amz-region-set:mock-region\n\n" +
				"fooinnerspace;fooleadingspace;foomultiplespace;foonospace;footabspace;footrailingspace;foowrappedspace;host;x-amz-date;x-amz-region-set\n"},
	}
}

func TestFactsOfAWSTests4a(t *testing.T) {
	for _, f := range append(smithyFacts(), sdkFacts()...) {
		t.Run(f.name, func(t *testing.T) {
			w := new(sigv4.Scratch)
			w.AddHost([]byte(f.host))
			for name, values := range f.header {
				w.AddHeader(name, values...)
			}
			if err := w.SortHeaders(opPresign()); err != nil {
				t.Fatal(err)
			}
			if err := w.Params.Parse(f.query); err != nil {
				t.Fatal(err)
			}
			w.Params.Sort()
			canonical := appendCanonicalRequest(nil, f.method, []byte(f.path), wire.AppendParams(nil, w.Params.List), w.Headers, f.payload)
			if f.canonicalSuffixed != "" && string(canonical) != f.canonicalSuffixed {
				t.Errorf("line %d: canonical request\n got %q\nwant %q", f.line, canonical, f.canonicalSuffixed)
			}
			if got := string(sigv4.AppendSignedHeaders(nil, w.Headers, ";")); f.signedHeaders != "" && got != f.signedHeaders {
				t.Errorf("line %d: signed headers %s, want %s", f.line, got, f.signedHeaders)
			}
			if got := hexSum(canonical); f.canonicalSum != "" && got != f.canonicalSum {
				t.Errorf("line %d: canonical request has the hash %s, want %s\n%s", f.line, got, f.canonicalSum, canonical)
			}
			stamp := sigv4.Stamp([]byte(f.stamp))
			sc := scope{Scope: sigv4.Scope{Date: stamp.Date(), Service: f.service}, regionSet: f.regionSet}
			toSign := appendStringToSign(nil, stamp, &sc, canonical)
			if got := hexSum(toSign); f.stringToSignSum != "" && got != f.stringToSignSum {
				t.Errorf("line %d: string to sign has the hash %s, want %s\n%s\n%s", f.line, got, f.stringToSignSum, toSign, canonical)
			}
		})
	}
}
