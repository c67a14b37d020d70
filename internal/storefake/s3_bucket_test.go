package storefake_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"net/http"
	"strings"
	"testing"

	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/s3"
)

func TestLocation(t *testing.T) {
	for region, want := range map[string]string{"us-east-1": "", "eu-west-3": "eu-west-3"} {
		f := newFixture(t, func(c *storefake.Config) { c.Region = region })
		_, body := f.want(200, f.sign("GET", "?location", ""))
		if !strings.Contains(body, `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`+want+"</LocationConstraint>") {
			t.Errorf("%s", body)
		}
		if h, _ := f.want(200, f.sign("HEAD", "", "")); h.Get("X-Amz-Bucket-Region") != region {
			t.Errorf("%v", h)
		}
	}
}

func TestDeleteMany(t *testing.T) {
	f := newFixture(t, func(c *storefake.Config) { c.MaxBytes = 3 })
	request := func(body string, header ...string) *http.Request {
		if header == nil {
			sum := md5.Sum([]byte(body))
			header = []string{"Content-Md5", base64.StdEncoding.EncodeToString(sum[:])}
		}
		return f.sign("POST", "?delete", body, header...)
	}
	object := func(key string) string { return "<Object><Key>" + key + "</Key></Object>" }
	for _, key := range []string{"a", "b&", "c"} {
		f.put(key, "x")
	}
	for _, tt := range []struct {
		name   string
		req    *http.Request
		status int
		code   string
	}{
		{"no digest", f.sign("POST", "?delete", "<Delete>"+object("a")+"</Delete>"), 400, "InvalidRequest"},
		{"another's digest", request("<Delete>"+object("a")+"</Delete>", "Content-Md5", "XUFAKrxLKna5cZ2REBfFkg=="), 400, "BadDigest"},
		{"another's checksum", request("<Delete>"+object("a")+"</Delete>", "X-Amz-Checksum-Crc32", "NhCmhg=="), 400, "BadDigest"},
		{"no document", request("a"), 400, "MalformedXML"},
		{"another document", request("<Remove>" + object("a") + "</Remove>"), 400, "MalformedXML"},
		{"nothing", request("<Delete></Delete>"), 400, "MalformedXML"},
		{"no key", request("<Delete>" + object("a") + "<Object></Object></Delete>"), 400, "MalformedXML"},
		{"long key", request("<Delete>" + object("a") + object(strings.Repeat("k", 1025)) + "</Delete>"), 400, "KeyTooLongError"},
		{"too many", request("<Delete>" + strings.Repeat(object("a"), 1001) + "</Delete>"), 400, "MalformedXML"},
		{"a version", request("<Delete>" + object("a") + "<Object><Key>b</Key><VersionId>1</VersionId></Object></Delete>"), 501, "NotImplemented"},
		{"too large", request("<Delete>" + strings.Repeat(" ", 5<<20) + object("a") + "</Delete>"), 400, "EntityTooLarge"},
		{"header", request("<Delete>"+object("a")+"</Delete>", "X-Amz-Mfa", "1"), 501, "NotImplemented"},
	} {
		t.Run(tt.name, func(t *testing.T) { (&fixture{T: t, Server: f.Server}).refused(tt.status, tt.code, tt.req) })
	}
	changed := request("<Delete>" + object("a") + "</Delete>")
	changed.Body = upper{changed.Body}
	f.refused(400, "XAmzContentSHA256Mismatch", changed)
	if got := f.Keys(); len(got) != 3 {
		t.Fatalf("%q", got)
	}

	// It works on a full store.
	_, body := f.want(200, request(`<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`+object("a")+object("b&amp;")+object("none")+"</Delete>"))
	if n := strings.Count(body, "<Deleted>"); n != 3 || !strings.Contains(body, "<Key>b&amp;</Key>") {
		t.Errorf("%s", body)
	}
	if got := f.Keys(); len(got) != 1 || got[0] != "c" {
		t.Errorf("%q", got)
	}
	quiet := "<Delete><Quiet>true</Quiet>" + object("c") + "</Delete>"
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(quiet)))
	_, body = f.want(200, request(quiet, "X-Amz-Checksum-Crc32", base64.StdEncoding.EncodeToString(sum)))
	if strings.Contains(body, "<Deleted>") || len(f.Keys()) != 0 {
		t.Errorf("%s", body)
	}
	f.put("all", "xxx")

	// A checksum behind the body will do.
	list := "<Delete>" + object("all") + "</Delete>"
	req, err := http.NewRequest("POST", f.URL+"/demo?delete", strings.NewReader(list))
	if err == nil {
		err = f.signer.SignChunked(t.Context(), req, s3.Chunked{Checksum: s3.ChecksumCRC32C})
	}
	if err != nil {
		t.Fatal(err)
	}
	f.want(200, req)
	if got := f.Keys(); len(got) != 0 {
		t.Errorf("%q", got)
	}
	f.refused(405, "MethodNotAllowed", f.sign("POST", "", ""))
}
