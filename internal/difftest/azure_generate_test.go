package difftest

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/signer"
)

// An azureSite is a place where an account is: our Config for it and, found by hand, the beginning of its URLs.
type azureSite struct {
	config azure.Config
	base   string // up to where "/" and the container follow
}

func azureSites() []azureSite {
	at := func(endpoint *url.URL, a signer.Addressing) azure.Config {
		return azure.Config{Account: "myaccount", Container: "photos", Endpoint: endpoint, Addressing: a}
	}
	u := func(scheme, host, path string) *url.URL { return &url.URL{Scheme: scheme, Host: host, Path: path} }
	const path, virtual, bucketHost = signer.AddressingPath, signer.AddressingVirtualHost, signer.AddressingBucketHost
	return []azureSite{
		{azure.Config{Account: "myaccount", Container: "photos"}, "https://myaccount.blob.core.windows.net"},
		{azure.Config{Account: "myaccount", Container: "$web"}, "https://myaccount.blob.core.windows.net"},
		{at(u("https", "myaccount-secondary.blob.core.windows.net", ""), 0), "https://myaccount-secondary.blob.core.windows.net"},
		{at(u("https", "myaccount.dfs.core.windows.net", ""), 0), "https://myaccount.dfs.core.windows.net"},
		{at(u("https", "myaccount.blob.core.chinacloudapi.cn", ""), 0), "https://myaccount.blob.core.chinacloudapi.cn"},
		{at(u("http", "127.0.0.1:10000", ""), 0), "http://127.0.0.1:10000/myaccount"},
		{at(u("http", "[::1]:10000", "/myaccount"), 0), "http://[::1]:10000/myaccount"},
		{at(u("http", "localhost:10000", ""), virtual), "http://myaccount.localhost:10000"},
		{at(u("https", "gw.example", "/a b/é+~'/"), path), "https://gw.example/a%20b/%C3%A9%2B~%27/myaccount"},
		{at(u("https", "Files.Example:443", ""), bucketHost), "https://files.example"},
		{azure.Config{Account: "onelake", Container: "0a1b2c3d-my-workspace", Endpoint: u("https", "onelake.blob.fabric.microsoft.com", "")}, "https://onelake.blob.fabric.microsoft.com"},
	}
}

// azureVersions are those in which the SDK signs the string that goes with the version; see TestAzureQuirkIgnoresTheVersion.
func azureVersions(delegated bool) []string {
	newest := []string{"2026-04-06", "2026-06-06", "2026-10-06", "2026-12-06"}
	if delegated {
		return newest
	}
	return append(newest, "2020-12-06", "2021-12-02", "2022-11-02", "2023-11-03", "2024-08-04", "2025-01-05", "2025-07-05", "2025-11-05", "2026-02-06")
}

func (g gen) guid() string {
	a, b := g.Uint64(), g.Uint64()
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&0xffffffffffff)
}

// blob is the name of a blob. It has no backslash: see TestAzureQuirkTurnsBackslashes.
func (g gen) blob() string {
	if name := strings.ReplaceAll(g.key(), `\`, "x"); name != "" {
		return name
	}
	return "k"
}

// directory is a name without slashes that say nothing: see TestAzureQuirkCountsTheLastSlash.
func (g gen) directory() string {
	segments := strings.FieldsFunc(g.blob(), func(c rune) bool { return c == '/' })
	for i, s := range segments {
		if s == "." || s == ".." {
			segments[i] = s + "dots"
		}
	}
	if len(segments) == 0 {
		return "d"
	}
	return strings.Join(segments, "/")
}

// moment is a snapshot or a version as the service writes it.
func (g gen) moment() string {
	return time.Unix(g.Int64N(4102444800), 100*g.Int64N(1e7)).UTC().Format("2006-01-02T15:04:05.0000000Z")
}

// letters picks one permission of some and any of all, in any order.
func (g gen) letters(some, all string) string {
	chosen := []byte{some[g.IntN(len(some))]}
	for i := range len(all) {
		if all[i] != chosen[0] && g.chance(3) {
			chosen = append(chosen, all[i])
		}
	}
	g.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	return string(chosen)
}

// response holds overrides, but Expires, which a SAS has not.
func (g gen) response() (r signer.ResponseHeaders) {
	for _, field := range []*string{&r.CacheControl, &r.ContentDisposition, &r.ContentEncoding, &r.ContentLanguage, &r.ContentType} {
		if g.chance(2) {
			*field = pick(g, []string{"", "no-store", "gzip", "de, en", "image/png; x=y", `attachment; filename="` + g.text(3) + `"`, g.text(1 + g.IntN(6))})
		}
	}
	return r
}

// addresses are none, one, or a range of two. A range of one is a quirk: see TestAzureQuirkWritesRangesOfOne.
func (g gen) addresses() (first, last netip.Addr) {
	if !g.chance(3) {
		return
	}
	number := func(n uint32) netip.Addr {
		return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	}
	n := g.Uint32N(1<<31) + 1
	if first = number(n); g.chance(2) {
		last = number(n + 1 + g.Uint32N(1<<16))
	}
	return first, last
}

// signedHeader holds headers that a user delegation SAS can sign. The SDK signs names and values as it gets them, so values have no
// blanks at their ends: see TestAzureQuirkSignsNamesAsTheyAre.
func (g gen) signedHeader() http.Header {
	h := make(http.Header)
	for range g.IntN(4) {
		name := pick(g, []string{"Content-Type", "X-Ms-Blob-Type", "X-Ms-Meta-A", "X-Ms-Meta-A_b", "X-Ms-Tags", "If-None-Match", "Range", "Cache-Control", "X-Custom", "X-!#$%&'*+.^_`|~"})
		h[name] = []string{pick(g, []string{"", "BlockBlob", "bytes=0-99", "text/plain; charset=utf-8", `"a  b"`, g.blanks()})}
	}
	return h
}

// signedQuery holds parameters that a user delegation SAS can sign.
func (g gen) signedQuery() url.Values {
	q := make(url.Values)
	for range g.IntN(4) {
		name := pick(g, []string{"timeout", "blockid", "prefix", "marker", "delimiter", "include", "a/b", "a-b", "a b", "a+b", "é", "0"})
		if g.chance(4) {
			name = strings.NewReplacer(",", "", ":", "").Replace(g.text(1 + g.IntN(3)))
		}
		if name != "" {
			q[name] = []string{pick(g, []string{"", "30", "a-b", "a/b", "a,b", g.text(1 + g.IntN(8))})}
		}
	}
	return q
}

// azureSAS is what a caller of SAS asks, without what the SDK gets wrong: see azure_quirks_test.go.
func (g gen) azureSAS(p *azurePair) azure.SAS {
	a := azure.SAS{
		Expires: g.expires(), Protocol: pick(g, []string{"", "", "https", "https,http"}),
		EncryptionScope: pick(g, []string{"", "", "scope-1", "a+b&c=d e%2F"}),
		Response:        g.response(),
	}
	a.FirstIP, a.LastIP = g.addresses()
	if g.chance(3) {
		a.Container = pick(g, []string{"photos", "$root", "$web", "a-1", "2026"})
	}
	switch g.IntN(6) {
	case 0:
		a.Permissions = g.letters("rcwdl", "racwdxltfmeopi")
	case 1:
		a.Directory, a.Permissions = g.directory(), g.letters("rcwd", "racwdlmeop")
	case 2:
		a.Blob, a.Snapshot, a.Permissions = g.blob(), g.moment(), g.letters("rd", "racwdxytmeopi")
	case 3:
		a.Blob, a.Permissions = g.blob(), g.letters("rcw", "racwdxytmeopi")
		if p.signsVersions {
			a.VersionID, a.Permissions = g.moment(), g.letters("rx", "racwdxytmeopi")
		}
	default:
		a.Blob, a.Permissions = g.blob(), g.letters("rcwd", "racwdxytmeopi")
	}
	if g.chance(4) {
		a.Start = p.now.Add(-time.Duration(g.Int64N(int64(10 * time.Hour)))).Truncate(time.Second)
		if a.Start.Before(p.keyStart) {
			a.Start = p.keyStart
		}
	}
	switch {
	case !p.delegated && g.chance(5):
		a.Permissions, a.Policy = "", pick(g, []string{"policy-1", "Lesen für alle", "+/=&%20", "x" + g.text(2)})
		if g.chance(2) {
			a.Expires = 0
		}
	case p.delegated:
		for _, field := range []*string{pick(g, []*string{&a.AuthorizedOID, &a.UnauthorizedOID}), &a.CorrelationID, &a.DelegatedUserOID} {
			if g.chance(4) {
				*field = g.guid()
			}
		}
		if g.chance(2) {
			a.Header, a.Query = g.signedHeader(), g.signedQuery()
		}
	}
	return a
}

// azureRequest is what a caller of Presign asks.
func (g gen) azureRequest(p *azurePair) signer.Request {
	r := signer.Request{Method: pick(g, []string{"GET", "HEAD", "PUT", "DELETE"}), Key: g.blob(), Expires: g.expires(), Query: make(url.Values), Header: make(http.Header)}
	if r.Method == "GET" && g.chance(8) {
		r.Key = ""
	}
	if p.delegated && g.chance(2) {
		r.Header, r.Query = g.signedHeader(), g.signedQuery()
	}
	if r.Key != "" && g.chance(5) {
		r.Query["snapshot"] = []string{g.moment()}
		if p.signsVersions && g.chance(2) {
			r.Query["versionid"] = r.Query["snapshot"]
			delete(r.Query, "snapshot")
		}
	}
	if r.Method == "GET" || r.Method == "HEAD" {
		r.Response = g.response()
	}
	if g.chance(4) {
		first, _ := g.addresses()
		if bits := 1 + g.IntN(32); first.IsValid() {
			r.SourceIP = netip.PrefixFrom(first, bits)
		}
	}
	return r
}

// messageHeader holds headers as Shared Key signs them, with the names that a service takes, whose order is not that of bytes.
// Values have no blanks at their ends, and headers of HTTP's own one value: see TestAzureQuirkHeaderValues.
func (g gen) messageHeader() http.Header {
	h := make(http.Header)
	for range g.IntN(6) {
		name := pick(g, []string{"Content-Encoding", "Content-Language", "Content-Md5", "Content-Type", "If-Modified-Since", "If-Match", "If-None-Match",
			"If-Unmodified-Since", "Range", "Cache-Control", "Origin", "X-Custom", "Date"})
		h[name] = []string{g.blanks()}
	}
	for range g.IntN(8) {
		name := pick(g, []string{"X-Ms-Blob-Type", "X-Ms-Tags", "X-Ms-Range", "X-Ms-Copy-Source", "X-Ms-Lease-Id", "X-Ms-Blob-Content-Type", "X-Ms-Access-Tier"})
		if g.chance(2) {
			name = "X-Ms-Meta-"
			for range 1 + g.IntN(5) {
				name += pick(g, []string{"a", "b", "ab", "1", "2", "_", "-", "z9", "--", "x"})
			}
			name = http.CanonicalHeaderKey(name)
		}
		h[name] = []string{g.blanks()}
		for range g.IntN(2) * g.IntN(3) {
			h[name] = append(h[name], g.blanks()+"x")
		}
	}
	return h
}

// messageQuery is a raw query. Names are in lower case, and without colons: see TestAzureQuirkSortsCapitals.
func (g gen) messageQuery() string {
	q := make(url.Values)
	for range g.IntN(5) {
		name := pick(g, []string{"restype", "comp", "timeout", "blockid", "prefix", "marker", "snapshot", "versionid", "include", "a-b", "a b", "a_b", "é", "0"})
		for range 1 + g.IntN(2)*g.IntN(3) {
			q.Add(name, pick(g, []string{"", "container", "list", "a-b", "a/b", "A,b", g.text(1 + g.IntN(8))}))
		}
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(q)) {
		for _, value := range q[name] {
			parts = append(parts, g.spell(name)+"="+g.spell(value))
		}
	}
	g.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return strings.Join(parts, "&")
}
