package difftest

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

// An ossSite is a place where objects are, in our terms and in those of the SDKs, which take an endpoint and switches.
type ossSite struct {
	config   oss.Config
	endpoint string
	cname    bool
	path     bool
	cloudBox string
}

func ossSites() []ossSite {
	at := func(region string, endpoint *url.URL, a signer.Addressing) oss.Config {
		return oss.Config{Region: region, Bucket: "photos", Endpoint: endpoint, Addressing: a}
	}
	u := func(scheme, host string) *url.URL { return &url.URL{Scheme: scheme, Host: host} }
	const path, virtual, bucketHost = signer.AddressingPath, signer.AddressingVirtualHost, signer.AddressingBucketHost
	box := at("cb-123", u("https", "cb-123.cn-hangzhou.oss-cloudbox.aliyuncs.com"), 0)
	box.Product = "oss-cloudbox"
	return []ossSite{
		{config: oss.Config{Region: "cn-hangzhou", Bucket: "photos"}, endpoint: "https://oss-cn-hangzhou.aliyuncs.com"},
		{config: oss.Config{Region: "us-east-1", Bucket: "photos-b3d00d2e63d8c3b0e3a4f7c1b2ossalias"}, endpoint: "https://oss-us-east-1.aliyuncs.com"},
		{config: at("cn-beijing", u("https", "oss-cn-beijing-internal.aliyuncs.com"), 0), endpoint: "https://oss-cn-beijing-internal.aliyuncs.com"},
		{config: at("cn-beijing", u("http", "cn-beijing.oss.aliyuncs.com"), 0), endpoint: "http://cn-beijing.oss.aliyuncs.com"},
		{config: at("ap-southeast-1", u("https", "oss-accelerate.aliyuncs.com"), 0), endpoint: "https://oss-accelerate.aliyuncs.com"},
		{config: at("rg-china-mainland", u("https", "oss-rg-china-mainland.aliyuncs.com"), path), endpoint: "https://oss-rg-china-mainland.aliyuncs.com", path: true},
		{config: box, endpoint: "https://cb-123.cn-hangzhou.oss-cloudbox.aliyuncs.com", cloudBox: "cb-123"},
		{config: at("cn-hangzhou", u("https", "img.example"), bucketHost), endpoint: "https://img.example", cname: true},
		{config: at("cn-hangzhou", u("http", "img.example:8080"), bucketHost), endpoint: "http://img.example:8080", cname: true},
		{config: at("cn-hangzhou", u("http", "127.0.0.1:9000"), 0), endpoint: "http://127.0.0.1:9000", path: true},
		{config: at("cn-hangzhou", u("http", "[::1]:9000"), path), endpoint: "http://[::1]:9000", path: true},
		{config: at("cn-hangzhou", u("https", "gw.example:8443"), virtual), endpoint: "https://gw.example:8443"},
	}
}

// An ossCase is a request that both sides can make: parameters and headers have one value each.
type ossCase struct {
	method, bucket, key string
	query, header       map[string]string
	expires             time.Duration
}

// ossAdditional are headers that are signed when they are listed.
var ossAdditional = []string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Expires", "Range", "If-Match", "If-Modified-Since", "X-Custom", "X-B3.a", "A-!#$%&'*+^`|~"}

// ossCase draws a case. Headers of the list are there; with others, the request has headers that are not to be signed too.
func (g gen) ossCase(list []string, others, token bool) ossCase {
	c := ossCase{method: pick(g, []string{"GET", "HEAD", "PUT", "POST", "DELETE"}), key: g.key(), query: make(map[string]string), header: make(map[string]string)}
	if c.method == "GET" && g.chance(20) {
		c.key = ""
	} else if c.key == "" {
		c.key = "k"
	}
	names := []string{"versionId", "partNumber", "uploadId", "acl", "Acl", "tagging", "list-type", "prefix", "x-oss-process", "x-oss-traffic-limit", "x-oss-a", "x-osr", "X-OSS-Z",
		"response-content-type", "response-expires", "0", "é", "a/b", "a-b", "a+b", "a|b", "~", "zone"}
	for range g.IntN(5) {
		name := pick(g, names)
		if g.chance(3) {
			name = strings.ReplaceAll(g.text(1+g.IntN(3)), " ", "") // see TestOSSQuirkV1SDKSpaces
		}
		if name != "" {
			c.query[name] = pick(g, []string{"", "0", "1", "a-b", "a/b", "image/resize,w_100", g.text(1 + g.IntN(8))})
		}
	}
	headers := []string{"Content-Type", "Content-Md5", "X-Oss-Acl", "X-Oss-Object-Acl", "X-Oss-Meta-A", "X-Oss-Meta-Name", "X-Oss-Meta-A.b_c", "X-Oss-Storage-Class",
		"X-Oss-Server-Side-Encryption-Key-Id", "X-Oss-Callback", "X-Oss-Copy-Source", "X-Oss-Forbid-Overwrite", "X-Oss-Meta-"}
	if others {
		headers = append(headers, ossAdditional...)
	}
	for range g.IntN(4) {
		c.header[pick(g, headers)] = g.ossValue()
	}
	for _, name := range list {
		if name != "Host" {
			c.header[name] = g.ossValue()
		}
		if name == "Content-Length" {
			c.header[name] = strconv.Itoa(1 + g.IntN(1e9))
		}
	}
	longest := int64(7 * 24 * time.Hour / time.Second)
	if token {
		longest = int64(12 * time.Hour / time.Second)
	}
	c.expires = time.Duration(1+g.Int64N(longest)) * time.Second
	if g.chance(8) {
		c.expires = time.Duration(longest) * time.Second
	}
	return c
}

// ossValue is a header's value that is not empty and has at its ends no blanks but spaces: see TestOSSQuirkBlanks.
func (g gen) ossValue() string {
	for {
		if v := g.blanks(); v != "" {
			return pick(g, []string{"", " ", "   "}) + v + pick(g, []string{"", "  "})
		}
	}
}

// request is the case for Presign.
func (c *ossCase) request() signer.Request {
	r := signer.Request{Method: c.method, Bucket: c.bucket, Key: c.key, Expires: c.expires, Query: make(url.Values), Header: make(http.Header)}
	for name, value := range c.query {
		r.Query[name] = []string{value}
	}
	for name, value := range c.header {
		r.Header[name] = []string{value}
	}
	return r
}

// httpRequest is the case for PresignRequest and Sign, with the object at a place.
func (c *ossCase) httpRequest(g gen, place string) (*http.Request, error) {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(c.query)) {
		part := g.spell(name) + "=" + g.spell(c.query[name])
		if c.query[name] == "" && g.chance(2) {
			part = strings.TrimSuffix(part, "=")
		}
		parts = append(parts, part)
	}
	g.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	if len(parts) > 0 {
		place += "?" + strings.Join(parts, "&")
	}
	req, err := http.NewRequest(c.method, place, nil)
	if err != nil {
		return nil, err
	}
	for name, value := range c.header {
		req.Header[name] = []string{value}
	}
	if length := c.header["Content-Length"]; length != "" {
		req.ContentLength, err = strconv.ParseInt(length, 10, 64)
	}
	return req, err
}

// An ossIdentity is a key in our terms and in words.
type ossIdentity struct {
	ours              oss.Credentials
	id, secret, token string
}

func (g gen) ossIdentity(n int) ossIdentity {
	i := ossIdentity{id: fmt.Sprintf("LTAI%d%s", n, pick(g, []string{"5tExampleExample", "", "@tenant+1", "%2F~'(*)", ";c?d&e#f"})), secret: fmt.Sprintf("%d%s!", g.Uint64(), g.text(g.IntN(12)))}
	if g.chance(2) {
		i.token = "CAIS/////////wEa+" + strings.Repeat("Ab+/9", g.IntN(200)) + pick(g, []string{"=", "==", "&?#%~", ""})
	}
	i.ours = oss.Credentials{AccessKeyID: i.id, AccessKeySecret: signer.NewSecret([]byte(i.secret)), SecurityToken: signer.NewSecret([]byte(i.token))}
	return i
}
