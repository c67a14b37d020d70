package difftest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/encoding/httpbinding"

	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A gen makes requests, the same ones for the same seed.
type gen struct{ *rand.Rand }

func newGen(seed uint64) gen { return gen{rand.New(rand.NewPCG(seed, 0x5eed))} }

func pick[T any](g gen, list []T) T { return list[g.IntN(len(list))] }

// chance is true in one of n cases.
func (g gen) chance(n int) bool { return g.IntN(n) == 0 }

// alphabet is what encoders disagree about. No two letters of it make a parameter of a signature (sp, se, st, ...).
var alphabet = []string{
	"a", "b", "Z", "9", "-", ".", "_", "~", "0x", "photo",
	" ", "  ", "+", "%", "*", "'", "(", ")", "!", "$", "&", ",", ";", "=", ":", "@", "[", "]", "#", "?", `"`, "<", ">", `\`,
	"^", "`", "{", "|", "}", "/", "%2F", "%2f", "%20", "%", "%zz", "&amp;",
	"é", "e\u0301", "Å", "ß", "日本", "🦊", "👩‍🚀", "\u00a0", "\u2028", "\ufeff", "\ufffd", "\u202e", "\U0010ffff",
}

// text strings pieces of the alphabet together.
func (g gen) text(pieces int) string {
	var b strings.Builder
	for range pieces {
		b.WriteString(pick(g, alphabet))
	}
	return b.String()
}

// key is the name of an object. Presign refuses the segments "." and "..", so there is none.
func (g gen) key() string {
	var key string
	switch g.IntN(10) {
	case 0:
		key = "/" + g.text(4)
	case 1:
		key = g.text(3) + "//" + g.text(3) + "/"
	case 2:
		key = g.text(2) + pick(g, []string{"\t", "\n", "\r\n", "\x01", "\x7f"}) + g.text(2) // legal, if unwise
	case 3:
		for key = g.text(100); len(key) < 700; {
			key += g.text(10)
		}
		key = strings.ToValidUTF8(key[:min(len(key), 900)], "")
	default:
		key = g.text(1 + g.IntN(12))
	}
	segments := strings.Split(key, "/")
	for i, s := range segments {
		if s == "." || s == ".." {
			segments[i] = s + "dots"
		}
	}
	return strings.Join(segments, "/")
}

// query holds parameters of all kinds that a caller may add.
func (g gen) query() url.Values {
	names := []string{"versionId", "partNumber", "uploadId", "acl", "tagging", "x-id", "x-amz-checksum-mode", "list-type", "prefix",
		"A", "X", "X-", "X-Am", "X-Amy", "X-Amz", "X-Amzn-Trace", "X-B", "X.Amz-Y", "Y", "é", "a/b", "a-b", "a b", "a+b"}
	q := make(url.Values)
	for range g.IntN(5) {
		name := pick(g, names)
		if g.chance(3) {
			name = g.text(1 + g.IntN(3))
		}
		for range 1 + g.IntN(2)*g.IntN(3) {
			q.Add(name, pick(g, []string{"", "1", "a-b", "a/b", g.text(1 + g.IntN(8))}))
		}
	}
	return q
}

// header holds headers that can be signed, under any spelling of their names.
func (g gen) header() http.Header {
	names := []string{"Content-Type", "Content-Md5", "Content-Disposition", "Cache-Control", "If-None-Match", "If-Modified-Since", "Range",
		"X-Amz-Acl", "X-Amz-Tagging", "X-Amz-Storage-Class", "X-Amz-Server-Side-Encryption", "X-Amz-Meta-A", "X-Amz-Meta-Name", "X-Amz-Meta-A.b_c",
		"X-Amz-Checksum-Crc32c", "X-Amz-Checksum-Sha256", "X-Amz-Copy-Source", "X-Amz-Request-Payer", "X-Amz-Expected-Bucket-Owner", "X-Amz-Whatever",
		"Date", "Origin", "X-B3", "X-!#$%&'*+.^_`|~"}
	h := make(http.Header)
	for range g.IntN(4) {
		name := pick(g, names)
		if len(h[name]) > 0 {
			continue
		}
		for range 1 + g.IntN(2)*g.IntN(3) {
			h[name] = append(h[name], g.headerValue())
		}
	}
	if g.chance(6) {
		h["X-Amz-Content-Sha256"] = []string{pick(g, []string{unsignedPayload, strings.Repeat("0123abcd", 8)})}
	}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if g.chance(5) { // http.Header allows it, and so do HTTP/2's lower-case names
			values := h[name]
			delete(h, name)
			h[pick(g, []string{strings.ToLower(name), strings.ToUpper(name)})] = values
		}
	}
	return h
}

func (g gen) headerValue() string {
	switch g.IntN(4) {
	case 0:
		return pick(g, []string{"", " ", "   ", "bytes=0-99", "text/plain; charset=utf-8", `"a  b"`, "AAAAAA==", "Mon, 02 Jan 2006 15:04:05 GMT"})
	case 1:
		return "  " + g.blanks() + "   x  "
	}
	return g.blanks()
}

// blanks is text with runs of spaces in it. At its ends are no blanks beyond ASCII: see trimsUnicodeBlanks.
func (g gen) blanks() string {
	return strings.TrimSpace(strings.Join([]string{g.text(1), g.text(2), g.text(1)}, pick(g, []string{"", " ", "  ", "     "})))
}

// A site is a place where objects are: our Config for it and, found by hand, the beginning of its URLs.
type site struct {
	config s3.Config
	base   string // up to where "/" and the encoded key follow
}

// sites lists the forms of addresses. Where base has a port that its scheme implies, our URLs have none.
func sites() []site {
	at := func(endpoint *url.URL, a signer.Addressing) s3.Config {
		return s3.Config{Bucket: "photos", Endpoint: endpoint, Addressing: a}
	}
	u := func(scheme, host, path string) *url.URL { return &url.URL{Scheme: scheme, Host: host, Path: path} }
	const path, virtual, bucketHost = signer.AddressingPath, signer.AddressingVirtualHost, signer.AddressingBucketHost
	return []site{
		{s3.Config{Region: "eu-west-1", Bucket: "photos"}, "https://photos.s3.eu-west-1.amazonaws.com"},
		{s3.Config{Region: "us-east-1", Bucket: "photos.example.com"}, "https://s3.us-east-1.amazonaws.com/photos.example.com"},
		{s3.Config{Region: "ap-south-2", Bucket: "Old_Bucket", DualStack: true}, "https://s3.dualstack.ap-south-2.amazonaws.com/Old_Bucket"},
		{s3.Config{Region: "us-gov-west-1", Bucket: "photos", FIPS: true, DualStack: true}, "https://photos.s3-fips.dualstack.us-gov-west-1.amazonaws.com"},
		{s3.Config{Region: "cn-north-1", Bucket: "photos"}, "https://photos.s3.cn-north-1.amazonaws.com.cn"},
		{s3.Config{Region: "eu-central-1", Bucket: "photos", Accelerate: true}, "https://photos.s3-accelerate.amazonaws.com"},
		{s3.Config{Region: "eu-central-1", Bucket: "arn:aws:s3:eu-central-1:123456789012:accesspoint/finance"}, "https://finance-123456789012.s3-accesspoint.eu-central-1.amazonaws.com"},
		{at(u("http", "127.0.0.1:9000", ""), 0), "http://127.0.0.1:9000/photos"},
		{at(u("https", "Store.Example", "/"), path), "https://store.example/photos"},
		{at(u("https", "store.example:443", ""), path), "https://store.example:443/photos"},
		{at(u("http", "store.example:80", ""), virtual), "http://photos.store.example:80"},
		{at(u("http", "store.example:443", ""), path), "http://store.example:443/photos"},
		{at(u("https", "store.example:80", ""), virtual), "https://photos.store.example:80"},
		{at(u("http", "[::1]:9000", ""), path), "http://[::1]:9000/photos"},
		{at(u("https", "[2001:db8::2]", ""), path), "https://[2001:db8::2]/photos"},
		{at(u("https", "gw.example", "/s3/"), path), "https://gw.example/s3/photos"},
		{at(u("https", "gw.example:8443", "/a b/é+~'/"), virtual), "https://photos.gw.example:8443/a%20b/%C3%A9%2B~%27"},
		{at(u("https", "photos.example", "/s3"), bucketHost), "https://photos.example/s3"},
	}
}

// regions are for sites that do not imply one.
var regions = []string{"us-east-1", "auto", "garage", "EU", "my_zone.1", "x"}

// An identity is a key in the terms of both sides.
type identity struct {
	ours   s3.Credentials
	theirs aws.Credentials
}

// identity n of a generator has its own key id: the SDK knows derived keys by id alone (see TestS3QuirkKeepsRotatedKeys).
func (g gen) identity(n int) identity {
	theirs := aws.Credentials{
		AccessKeyID:     fmt.Sprintf("AK%d%s", n, pick(g, []string{"IOSFODNN7EXAMPLE", "", "@tenant+1", "%2F~'(*)", "a:b;c?d&e#f"})),
		SecretAccessKey: fmt.Sprintf("%d%s!", g.Uint64(), g.text(g.IntN(12))), // no white space at its ends: New refuses it
	}
	if g.chance(2) {
		theirs.SessionToken = "IQoJb3JpZ2luX2VjE//////////wEa+" + strings.Repeat("Ab+/9", g.IntN(200)) + pick(g, []string{"=", "==", " &?#%~", ""})
	}
	return identity{
		ours: s3.Credentials{
			AccessKeyID:  theirs.AccessKeyID,
			SecretKey:    signer.NewSecret([]byte(theirs.SecretAccessKey)),
			SessionToken: signer.NewSecret([]byte(theirs.SessionToken)),
		},
		theirs: theirs,
	}
}

// instant is a time that a timestamp can write, to the nanosecond and in any zone.
func (g gen) instant() time.Time {
	unix := g.Int64N(4102444800) // 1970 to 2099
	if g.chance(50) {
		unix = g.Int64N(253402300800)
	}
	unix = min(max(unix, 86400), 253402300799-8*86400) // room for a backdate and a life
	return time.Unix(unix, g.Int64N(1e9)).In(time.FixedZone("", g.IntN(86400)-43200))
}

func (g gen) expires() time.Duration {
	const week = 7 * 24 * time.Hour
	switch g.IntN(8) {
	case 0:
		return week
	case 1:
		return time.Duration(1+g.Int64N(3)) * time.Second
	case 2:
		return time.Duration(1 + g.Int64N(int64(time.Minute))) // a fraction rounds up
	case 3:
		return week - time.Duration(g.Int64N(90))*time.Second // where a backdate has no room
	}
	return time.Duration(1+g.Int64N(int64(week/time.Second))) * time.Second
}

// request is what a caller of Presign asks.
func (g gen) request() signer.Request {
	r := signer.Request{
		Method:  pick(g, []string{"", "GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"}),
		Key:     g.key(),
		Query:   g.query(),
		Expires: g.expires(),
	}
	reading := r.Method == "" || r.Method == "GET" || r.Method == "HEAD"
	if reading && g.chance(40) {
		r.Key = ""
	}
	if r.Key == "" && !reading {
		r.Key = "k"
	}
	if g.chance(2) {
		r.Header = g.header()
		if g.chance(6) {
			r.Header["Content-Length"] = []string{strconv.Itoa(1 + g.IntN(1e9))}
		}
	}
	if reading && g.chance(6) {
		r.Response = signer.ResponseHeaders{
			ContentType:        pick(g, []string{"", "image/png; x=y"}),
			ContentDisposition: pick(g, []string{"", `attachment; filename="` + g.text(3) + `"`}),
			CacheControl:       pick(g, []string{"", "no-store"}),
			ContentEncoding:    pick(g, []string{"", "gzip"}),
			ContentLanguage:    pick(g, []string{"", "de, en"}),
			Expires:            pick(g, []string{"", "Mon, 02 Jan 2006 15:04:05 GMT"}),
		}
	}
	if g.chance(20) {
		r.SourceIP, r.BestEffort = netip.MustParsePrefix("192.0.2.0/24"), true
	}
	return r
}

// wireURL is a URL as it stands on the wire, with its path in canonical encoding (see signsThePathAsItIs) and its query in
// any spelling. It returns the query's meaning too.
func (g gen) wireURL() (string, url.Values) {
	base := pick(g, []string{"https://photos.s3.eu-west-1.amazonaws.com", "http://127.0.0.1:9000", "https://store.example:443", "http://Store.Example:80",
		"http://[::1]:9000", "https://[2001:db8::2]", "https://store.example:80"})
	path := "/" + g.text(g.IntN(8)) // dots too: PresignRequest keeps them
	q := g.query()
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(q)) {
		for _, value := range q[name] {
			part := g.spell(name) + "=" + g.spell(value)
			if value == "" && g.chance(2) {
				part = strings.TrimSuffix(part, "=")
			}
			parts = append(parts, part)
		}
	}
	g.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	if len(parts) > 0 && g.chance(10) {
		parts = append(parts, "") // a trailing &
	}
	wire := base + httpbinding.EscapePath(path, false)
	if len(parts) > 0 {
		wire += "?" + strings.Join(parts, "&")
	}
	return wire, q
}

// spell writes a name or value of a query as some client might.
func (g gen) spell(s string) string {
	style := g.IntN(4)
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c == ' ' && style == 1:
			b.WriteByte('+')
		case style >= 1 && strings.IndexByte("!$'()*,/:?@[]|^`{}<>\"\\", c) >= 0:
			b.WriteByte(c) // ';' not: see dropsSemicolons
		case style == 2:
			fmt.Fprintf(&b, "%%%02x", c) // unreserved letters too
		default:
			b.WriteString(httpbinding.EscapePath(s[i:i+1], true))
		}
	}
	return b.String()
}

// httpRequest is what a caller of PresignRequest and Sign has.
func (g gen) httpRequest() (*http.Request, url.Values, error) {
	wire, q := g.wireURL()
	req, err := http.NewRequest(pick(g, []string{"GET", "HEAD", "PUT", "POST", "DELETE"}), wire, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header = g.header()
	if g.chance(4) {
		req.ContentLength = 1 + g.Int64N(1e12)
	}
	if g.chance(8) {
		req.Host = pick(g, []string{"public.example", "public.example:443", "public.example:80", "public.example:9000", "[::1]:9000", "[::1]"})
	}
	return req, q, nil
}
