package difftest

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudsigner/cloudsigner/signer"
)

// The quirks of the AWS SDK's signer. File names are below github.com/aws/aws-sdk-go-v2/aws/signer; the rules are AWS's:
//
//	https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html       (canonical request)
//	https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html        (presigned URL)
//	https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

var noPrefix = netip.Prefix{}

// example is a pair for one request at a time.
func example(t *testing.T) *pair {
	p := newPair(t, newGen(1), v4.NewSigner(), new(int))
	p.now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	return p
}

// presignBoth signs one GET as it stands, with both.
func (p *pair) presignBoth(t *testing.T, wire string, edit func(*http.Request)) (ours *signer.Presigned, trace signer.Trace, theirs string, header http.Header) {
	t.Helper()
	req, err := http.NewRequest("GET", wire, nil)
	require.NoError(t, err)
	if edit != nil {
		edit(req)
	}
	ours, err = p.ours.PresignRequest(signer.WithTrace(context.Background(), &trace), req, signer.Options{Expires: time.Minute})
	require.NoError(t, err)
	theirs, header = p.presign(t, req, time.Minute)
	return ours, trace, theirs, header
}

func line(t *testing.T, trace signer.Trace, n int) string {
	lines := strings.Split(string(trace.CanonicalRequest), "\n")
	require.Greater(t, len(lines), n)
	return lines[n]
}

func param(t *testing.T, rawURL, name string) string {
	u, err := url.Parse(rawURL)
	require.NoError(t, err)
	return u.Query().Get(name)
}

func signature(t *testing.T, rawURL string) string { return param(t, rawURL, "X-Amz-Signature") }

// sortsBeforeEncoding reports whether this SDK has a bug that newer ones have not: it sorts parameters by their decoded
// text (v4/v4.go, Build, up to 1.47.6), so that a signature over k=a-b and k=a/b is refused. AWS: "The sorting occurs
// after encoding."
func sortsBeforeEncoding() bool {
	req, _ := http.NewRequest("GET", "https://h.example/?k=a/b&k=a-b", nil)
	signed, _, _ := v4.NewSigner().PresignHTTP(context.Background(), aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, req, unsignedPayload, "s3", "r", time.Unix(0, 0))
	return strings.Contains(signed, "k=a-b&k=a%2Fb")
}

// sortTrap reports whether a query, signed, would have another order before than after encoding.
func sortTrap(q url.Values) bool {
	type pair struct{ name, value string }
	var list []pair
	for name, values := range q {
		for _, v := range values {
			list = append(list, pair{name, v})
		}
	}
	list = append(list, pair{name: "X-Amz-Algorithm"}, pair{name: "X-Amz-SignedHeaders"})
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	compare := func(a, b pair) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	}
	slices.SortFunc(list, compare)
	return !slices.IsSortedFunc(list, func(a, b pair) int {
		return compare(pair{escape(a.name), escape(a.value)}, pair{escape(b.name), escape(b.value)})
	})
}

func TestS3QuirkSortsBeforeEncoding(t *testing.T) {
	for _, q := range []struct {
		values  url.Values
		trap    bool
		encoded string // in the right order
	}{
		{url.Values{"k": {"a-b", "a/b"}}, true, "k=a%2Fb&k=a-b"},
		{url.Values{"a": {"1"}, "é": {"2"}}, true, "%C3%A9=2&a=1"},
		{url.Values{"a!": {"1"}, "a": {"2"}, "a-": {"3"}, "a/": {"4"}}, true, "a=2&a%21=1&a%2F=4&a-=3"},
		{url.Values{"A": {"b", "a"}, "a": {"2"}}, false, "A=a&A=b&a=2"},
	} {
		assert.Equal(t, q.trap, sortTrap(q.values), q.encoded)
		p := example(t)
		wire := "https://h.example/?" + q.values.Encode()
		ours, trace, theirs, _ := p.presignBoth(t, wire, nil)
		assert.Contains(t, line(t, trace, 2), q.encoded[:strings.LastIndex(q.encoded, "&")]) // X-Amz-... stand in the middle
		fixed := !q.trap || !sortsBeforeEncoding()
		assert.Equal(t, fixed, signature(t, ours.URL) == signature(t, theirs), q.encoded)

		// Presign writes what it signs.
		u, err := p.ours.Presign(context.Background(), signer.Request{Key: "k", Query: q.values, Expires: time.Minute})
		require.NoError(t, err)
		_, query, _ := strings.Cut(u.URL, "?")
		query, _, _ = strings.Cut(query, "&X-Amz-Signature=")
		var rest []string
		for part := range strings.SplitSeq(query, "&") {
			if !strings.HasPrefix(part, "X-Amz-") {
				rest = append(rest, part)
			}
		}
		assert.Equal(t, q.encoded, strings.Join(rest, "&"))
	}
}

// withoutDefaultPort drops from a URL the port that its scheme implies. The SDK keeps it in the URL, though not in the
// signed host; Presign writes neither. Both are right: clients drop it from Host.
func withoutDefaultPort(rawURL string) string {
	scheme, rest, _ := strings.Cut(rawURL, "://")
	host, rest, _ := strings.Cut(rest, "/")
	if scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	return scheme + "://" + host + "/" + rest
}

func TestS3QuirkKeepsDefaultPort(t *testing.T) {
	p := example(t)
	ours, trace, theirs, header := p.presignBoth(t, "https://h.example:443/k", nil)
	assert.Equal(t, "host:h.example", line(t, trace, 3))
	assert.Equal(t, "h.example", header.Get("Host"))
	assert.Equal(t, ours.URL, theirs, "PresignRequest keeps it too")
	assert.Equal(t, strings.Replace(theirs, ":443", "", 1), withoutDefaultPort(theirs))
	assert.Equal(t, "http://h:443/k:80", withoutDefaultPort("http://h:443/k:80"))
	assert.Equal(t, "http://[::1]/", withoutDefaultPort("http://[::1]:80/"))
}

// The SDK takes the brackets from an IPv6 address when it drops a default port (internal/v4/host.go, stripPort). The
// client sends them (RFC 9110, section 7.2; RFC 3986, section 3.2.2), so the SDK's signature does not fit. The generator has
// no IPv6 address with a default port.
func TestS3QuirkUnbracketsIPv6(t *testing.T) {
	p := example(t)
	for wire, sent := range map[string]string{"http://[::1]:80/k": "[::1]", "https://[2001:db8::2]:443/k": "[2001:db8::2]"} {
		ours, trace, theirs, header := p.presignBoth(t, wire, nil)
		assert.Equal(t, "host:"+sent, line(t, trace, 3))
		assert.Equal(t, strings.Trim(sent, "[]"), header.Get("Host"))
		assert.NotEqual(t, signature(t, ours.URL), signature(t, theirs))
	}
}

// signsThePathAsItIs: the SDK's signer takes the path for canonical (internal/v4/util.go, GetURIPath), where AWS says to
// decode and encode it, and services do. Its own clients give it canonical paths, and so does the generator.
func TestS3QuirkSignsThePathAsItIs(t *testing.T) {
	p := example(t)
	for _, path := range []string{"/a+b", "/a%2bb", "/%7Eme", "/a$b=c", "/a%2Fb", "/x%2Ey"} {
		canonical := map[string]string{"/a+b": "/a%2Bb", "/a%2bb": "/a%2Bb", "/%7Eme": "/~me", "/a$b=c": "/a%24b%3Dc", "/a%2Fb": "/a/b", "/x%2Ey": "/x.y"}[path]
		ours, trace, theirs, _ := p.presignBoth(t, "https://h.example"+path, nil)
		assert.Contains(t, ours.URL, path+"?", "the wire's bytes are kept")
		assert.Equal(t, canonical, line(t, trace, 1))
		assert.NotEqual(t, signature(t, ours.URL), signature(t, theirs), path)
		_, _, theirs, _ = p.presignBoth(t, "https://h.example"+canonical, nil)
		assert.Equal(t, signature(t, ours.URL), signature(t, theirs), "the SDK agrees when the path is canonical")
	}
}

// A URL without a path gets none from the SDK, and a slash from us. Clients send the slash, and both sign it.
func TestS3QuirkLeavesNoPath(t *testing.T) {
	ours, _, theirs, _ := example(t).presignBoth(t, "https://h.example", nil)
	assert.True(t, strings.HasPrefix(ours.URL, "https://h.example/?"))
	assert.True(t, strings.HasPrefix(theirs, "https://h.example?"))
	assert.Equal(t, signature(t, ours.URL), signature(t, theirs))
}

// hoists reports whether the SDK moves one of the headers to the query (internal/v4/headers.go, AllowedQueryHoisting: X-Amz-
// except those known to be needed as headers; the list grows). We leave them where the caller put them: AWS takes some in
// the query only in lower case, and some not at all (aws-sdk-go-v2#2508, #2764). For such requests the comparison turns
// hoisting off, by the SDK's own option.
func hoists(h http.Header) bool {
	for name := range h {
		kept := name == "X-Amz-Content-Sha256" || strings.HasPrefix(name, "X-Amz-Meta-") // in no other spelling
		if !kept && strings.HasPrefix(strings.ToLower(name), "x-amz-") {
			return true
		}
	}
	return false
}

func TestS3QuirkHoists(t *testing.T) {
	p := example(t)
	ours, _, theirs, header := p.presignBoth(t, "https://h.example/k", func(r *http.Request) { r.Header.Set("X-Amz-Whatever", "v") })
	assert.Equal(t, signature(t, ours.URL), signature(t, theirs), "with hoisting off")
	assert.Equal(t, http.Header{"X-Amz-Whatever": {"v"}}, ours.Header)
	assert.Equal(t, "v", header.Get("X-Amz-Whatever"))

	req, err := http.NewRequest("GET", "https://h.example/k", nil)
	require.NoError(t, err)
	req.Header.Set("X-Amz-Whatever", "v")
	theirs, header, err = p.theirs.PresignHTTP(context.Background(), p.identity.theirs, req, unsignedPayload, "s3", "us-east-1", p.now)
	require.NoError(t, err)
	assert.Equal(t, "v", param(t, theirs, "X-Amz-Whatever"))
	assert.Empty(t, header.Values("X-Amz-Whatever"))
}

// The SDK signs Accept-Encoding and what tracing adds (internal/v4/headers.go, IgnoredHeaders), which proxies rewrite:
// Google's interoperable endpoint and CDNs then refuse the request. PresignRequest and Sign leave them out.
func TestS3QuirkSignsWhatProxiesChange(t *testing.T) {
	p := example(t)
	for _, name := range []string{"Accept-Encoding", "Connection", "Te", "Traceparent", "Tracestate", "Baggage"} {
		ours, _, theirs, _ := p.presignBoth(t, "https://h.example/k", func(r *http.Request) { r.Header.Set(name, "v") })
		assert.Equal(t, "host", param(t, ours.URL, "X-Amz-SignedHeaders"), name)
		assert.Contains(t, param(t, theirs, "X-Amz-SignedHeaders"), strings.ToLower(name))
	}
}

// The SDK passes over User-Agent and Expect (internal/v4/headers.go, IgnoredHeaders). So do PresignRequest and Sign, but
// Request.Header promises that all of it is signed, so Presign signs them.
func TestS3QuirkIgnoresUserAgent(t *testing.T) {
	p := example(t)
	for _, name := range []string{"User-Agent", "Expect"} {
		ours, _, theirs, _ := p.presignBoth(t, "https://h.example/k", func(r *http.Request) { r.Header.Set(name, "v") })
		assert.Equal(t, signature(t, ours.URL), signature(t, theirs), name)
		chosen, err := p.ours.Presign(context.Background(), signer.Request{Key: "k", Header: http.Header{name: {"v"}}, Expires: time.Minute})
		require.NoError(t, err)
		assert.Contains(t, param(t, chosen.URL, "X-Amz-SignedHeaders"), strings.ToLower(name))
	}
}

// The SDK trims the blanks of Unicode from header values (v4/v4.go, buildCanonicalHeaders, strings.TrimSpace). net/http
// sends them, and AWS speaks of spaces: no-break space stays.
func TestS3QuirkTrimsUnicodeBlanks(t *testing.T) {
	for value, canonical := range map[string]string{"\u00a0v": "\u00a0v", " v\u2003 ": "v\u2003"} {
		ours, trace, theirs, _ := example(t).presignBoth(t, "https://h.example/k", func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", value) })
		assert.Equal(t, "x-amz-meta-a:"+canonical, line(t, trace, 4))
		assert.NotEqual(t, signature(t, ours.URL), signature(t, theirs))
	}
}

// The SDK signs Content-Length only when it is positive (v4/v4.go, buildCanonicalHeaders): for it, 0 means unknown, as in
// http.Request. Whoever puts 0 into Request.Header means an empty body, and Presign signs it.
func TestS3QuirkSignsNoEmptyLength(t *testing.T) {
	p := example(t)
	r := signer.Request{Method: "PUT", Key: "k", Header: http.Header{"Content-Length": {"0"}}, Expires: time.Minute}
	ours, err := p.ours.Presign(context.Background(), r)
	require.NoError(t, err)
	theirs, _ := p.presign(t, p.request(t, r), time.Minute)
	assert.Equal(t, "content-length;host", param(t, ours.URL, "X-Amz-SignedHeaders"))
	assert.Equal(t, "host", param(t, theirs, "X-Amz-SignedHeaders"))
}

// Two spellings of one header's name are joined by the SDK in the order of the map, so at random (v4/v4.go,
// buildCanonicalHeaders). We refuse them.
func TestS3QuirkJoinsSpellings(t *testing.T) {
	p := example(t)
	req, err := http.NewRequest("GET", "https://h.example/k", nil)
	require.NoError(t, err)
	req.Header = http.Header{"X-Amz-Meta-A": {"1"}, "x-amz-meta-a": {"2"}}
	_, err = p.ours.PresignRequest(context.Background(), req, signer.Options{Expires: time.Minute})
	assert.ErrorIs(t, err, signer.ErrRequest)
	seen := make(map[string]bool)
	for range 200 {
		theirs, _ := p.presign(t, req, time.Minute)
		seen[signature(t, theirs)] = true
	}
	assert.Len(t, seen, 2)
}

// The SDK loses parameters with a raw semicolon (net/url drops them, and v4/v4.go, Build, writes the query anew). For AWS,
// only & separates; PresignRequest keeps the byte and signs %3B. The generator writes %3B.
func TestS3QuirkDropsSemicolons(t *testing.T) {
	ours, trace, theirs, _ := example(t).presignBoth(t, "https://h.example/k?tags=a;b&x=1", nil)
	assert.Contains(t, ours.URL, "?tags=a;b&x=1&")
	assert.Contains(t, line(t, trace, 2), "&tags=a%3Bb&x=1")
	assert.NotContains(t, theirs, "tags")
}

// Presigning a presigned URL, the SDK signs the old signature, and an old token if the new key has none (v4/v4.go, Build).
// We replace them.
func TestS3QuirkSignsOldSignatures(t *testing.T) {
	p := example(t)
	p.identity.theirs.SessionToken, p.identity.ours.SessionToken = "", signer.Secret{}
	ours, _, theirs, _ := p.presignBoth(t, "https://h.example/k?X-Amz-Security-Token=old&X-Amz-Signature=old", nil)
	fresh, _, theirFresh, _ := p.presignBoth(t, "https://h.example/k", nil)
	assert.Equal(t, fresh.URL, ours.URL)
	assert.Equal(t, signature(t, fresh.URL), signature(t, theirFresh))
	assert.Contains(t, theirs, "X-Amz-Security-Token=old")
	assert.Equal(t, 2, strings.Count(theirs, "X-Amz-Signature="))
}

// The SDK knows a derived key by id and day, not by its secret (internal/v4/cache.go), and goes on signing with a secret
// that was rotated (aws-sdk-go-v2#3350). The generator gives each secret an id of its own.
func TestS3QuirkKeepsRotatedKeys(t *testing.T) {
	p := example(t)
	first, _, theirFirst, _ := p.presignBoth(t, "https://h.example/k", nil)
	assert.Equal(t, signature(t, first.URL), signature(t, theirFirst))

	p.identity.theirs.SecretAccessKey = "rotated secret key"
	p.identity.ours.SecretKey = signer.NewSecret([]byte("rotated secret key"))
	second, _, theirSecond, _ := p.presignBoth(t, "https://h.example/k", nil)
	if signature(t, theirSecond) != signature(t, theirFirst) {
		t.Log("this SDK has the bug no more")
	}
	p.theirs = v4.NewSigner()
	_, _, theirSecond, _ = p.presignBoth(t, "https://h.example/k", nil)
	assert.Equal(t, signature(t, second.URL), signature(t, theirSecond), "a new signer has no old key")
	assert.NotEqual(t, signature(t, first.URL), signature(t, second.URL))
}

// The SDK signs an empty method as it is, though net/http sends GET for it. We sign GET.
func TestS3QuirkSignsNoMethod(t *testing.T) {
	ours, trace, theirs, _ := example(t).presignBoth(t, "https://h.example/k", func(r *http.Request) { r.Method = "" })
	assert.Equal(t, "GET", line(t, trace, 0))
	assert.NotEqual(t, signature(t, ours.URL), signature(t, theirs))
}
