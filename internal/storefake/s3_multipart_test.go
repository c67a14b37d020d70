package storefake_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// sign makes a request that is signed in its header, with the hash of its body. target is path and query behind the bucket.
func (f *fixture) sign(method, target, body string, header ...string) *http.Request {
	f.Helper()
	req, err := http.NewRequest(method, f.URL+"/demo"+target, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if f.other == nil {
		if err := s3.HashBody(req); err != nil {
			f.Fatal(err)
		}
	}
	by, ok := signer.As[signer.RequestSigner](f.presigner())
	if !ok {
		f.Fatal("no header can be signed")
	}
	if err := by.Sign(f.Context(), req); err != nil {
		f.Fatal(err)
	}
	return req
}

// element is the text of the first element of that name.
func element(body, name string) string {
	_, text, _ := strings.Cut(body, "<"+name+">")
	text, _, _ = strings.Cut(text, "</"+name+">")
	return text
}

// refused sends a request that must be answered with this status and code, and returns the error's elements.
func (f *fixture) refused(status int, code string, req *http.Request) map[string]string {
	f.Helper()
	_, body := f.want(status, req)
	got := elements(f.T, body)
	if got["Code"] != code {
		f.Errorf("%s %s: %s, want %s", req.Method, req.URL.Path, got["Code"], code)
	}
	return got
}

// initiate starts an upload and returns its id.
func (f *fixture) initiate(key string, header ...string) string {
	f.Helper()
	_, body := f.want(200, f.sign("POST", "/"+key+"?uploads", "", header...))
	if element(body, "Bucket") != "demo" || element(body, "Key") != key || element(body, "UploadId") == "" {
		f.Fatal(body)
	}
	return element(body, "UploadId")
}

// part uploads a part by a presigned URL and returns its ETag.
func (f *fixture) part(key, id string, number int, body string) string {
	f.Helper()
	h, _ := f.want(200, f.partRequest(key, id, fmt.Sprint(number), body, nil))
	return h.Get("ETag")
}

func (f *fixture) partRequest(key, id, number, body string, header http.Header) *http.Request {
	f.Helper()
	return f.request(signer.Request{Method: "PUT", Key: key, Query: url.Values{"uploadId": {id}, "partNumber": {number}}, Header: header}, body)
}

// complete is the request to complete an upload of these parts: number, ETag, and further elements.
func (f *fixture) complete(key, id string, parts [][3]string, header ...string) *http.Request {
	f.Helper()
	var b strings.Builder
	b.WriteString(`<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
	for _, p := range parts {
		fmt.Fprintf(&b, "<Part><PartNumber>%s</PartNumber><ETag>", p[0])
		xml.EscapeText(&b, []byte(p[1]))
		fmt.Fprintf(&b, "</ETag>%s</Part>", p[2])
	}
	b.WriteString("</CompleteMultipartUpload>")
	return f.sign("POST", "/"+key+"?uploadId="+id, b.String(), header...)
}

func small(c *storefake.Config) { c.MinPart = 4 }

func TestMultipart(t *testing.T) {
	f := newFixture(t, small)
	f.put("dir/k", "old")
	id := f.initiate("dir/k", "Content-Type", "text/x", "X-Amz-Meta-Color", "red")
	f.part("dir/k", id, 3, "wrong")
	two := f.part("dir/k", id, 3, "tail") // the later one counts
	one := f.part("dir/k", id, 1, "begin")
	f.part("dir/k", id, 7, "unused")
	if sum := md5.Sum([]byte("begin")); one != fmt.Sprintf(`"%x"`, sum) {
		t.Errorf("ETag of the part: %s", one)
	}
	if _, body := f.want(200, f.request(signer.Request{Key: "dir/k"}, "")); body != "old" {
		t.Errorf("before it is complete: %q", body)
	}
	_, body := f.want(200, f.complete("dir/k", id, [][3]string{{"1", one, ""}, {"3", strings.Trim(two, `"`), ""}}))
	a, b := md5.Sum([]byte("begin")), md5.Sum([]byte("tail"))
	etag := fmt.Sprintf(`"%x-2"`, md5.Sum(append(a[:], b[:]...)))
	if got := strings.ReplaceAll(element(body, "ETag"), "&#34;", `"`); got != etag || element(body, "Location") != f.URL+"/demo/dir/k" ||
		element(body, "Bucket") != "demo" || element(body, "Key") != "dir/k" {
		t.Errorf("want ETag %s: %s", etag, body)
	}
	h, body := f.want(200, f.request(signer.Request{Key: "dir/k"}, ""))
	if body != "begintail" || h.Get("ETag") != etag || h.Get("Content-Type") != "text/x" || h.Get("X-Amz-Meta-Color") != "red" {
		t.Errorf("%q %v", body, h)
	}
	if l := f.list(); l.Contents[0].ETag != etag || l.Contents[0].Size != 9 {
		t.Errorf("%+v", l)
	}
	// It can be done once.
	f.refused(404, "NoSuchUpload", f.complete("dir/k", id, [][3]string{{"1", one, ""}}))
	f.refused(404, "NoSuchUpload", f.partRequest("dir/k", id, "1", "x", nil))

	// The parts can be read as they came.
	for number, want := range map[string]string{"1": "begin", "2": "tail"} {
		for _, method := range []string{"GET", "HEAD"} {
			h, body := f.want(206, f.request(signer.Request{Method: method, Key: "dir/k", Query: url.Values{"partNumber": {number}}}, ""))
			if method == "GET" && body != want || h.Get("X-Amz-Mp-Parts-Count") != "2" || h.Get("Content-Length") != fmt.Sprint(len(want)) {
				t.Errorf("%s of part %s: %q %v", method, number, body, h)
			}
		}
	}
	got := f.refused(416, "InvalidPartNumber", f.request(signer.Request{Key: "dir/k", Query: url.Values{"partNumber": {"3"}}}, ""))
	if got["ActualPartCount"] != "2" || got["PartNumberRequested"] != "3" {
		t.Errorf("%v", got)
	}
	f.refused(400, "InvalidArgument", f.request(signer.Request{Key: "dir/k", Query: url.Values{"partNumber": {"0"}}}, ""))
	f.refused(400, "InvalidRequest", f.request(signer.Request{Key: "dir/k", Query: url.Values{"partNumber": {"1"}}, Header: http.Header{"Range": {"bytes=0-1"}}}, ""))
	f.put("plain", "x")
	if h, body := f.want(206, f.request(signer.Request{Key: "plain", Query: url.Values{"partNumber": {"1"}}}, "")); body != "x" || h.Get("X-Amz-Mp-Parts-Count") != "" {
		t.Errorf("%q %v", body, h)
	}
}

// An empty part is a part.
func TestEmptyPart(t *testing.T) {
	f := newFixture(t, small)
	id := f.initiate("k")
	one, two := f.part("k", id, 1, "12345"), f.part("k", id, 2, "")
	f.want(200, f.complete("k", id, [][3]string{{"1", one, ""}, {"2", two, ""}}))
	if _, body := f.want(200, f.request(signer.Request{Key: "k", Query: url.Values{"partNumber": {"2"}}}, "")); body != "" {
		t.Errorf("%q", body)
	}
	if _, body := f.want(200, f.request(signer.Request{Key: "k"}, "")); body != "12345" {
		t.Errorf("%q", body)
	}
}

func TestMultipartRefusals(t *testing.T) {
	f := newFixture(t, small, func(c *storefake.Config) { c.MaxObject = 12 })
	id := f.initiate("k")
	one, two, three := f.part("k", id, 1, "123"), f.part("k", id, 2, "45678"), f.part("k", id, 3, "90123")
	none := strings.Repeat("0", 32)
	other := f.initiate("k")
	for _, tt := range []struct {
		name   string
		req    *http.Request
		status int
		want   map[string]string
	}{
		{"part that is not there", f.complete("k", id, [][3]string{{"2", two, ""}, {"9", none, ""}}), 400,
			map[string]string{"Code": "InvalidPart", "PartNumber": "9", "ETag": none, "UploadId": id}},
		{"part of another ETag", f.complete("k", id, [][3]string{{"2", none, ""}}), 400, map[string]string{"Code": "InvalidPart", "PartNumber": "2"}},
		{"ETag of another part", f.complete("k", id, [][3]string{{"2", three, ""}}), 400, map[string]string{"Code": "InvalidPart", "PartNumber": "2"}},
		{"no ETag", f.complete("k", id, [][3]string{{"2", "", ""}}), 400, map[string]string{"Code": "InvalidPart"}},
		{"part of another upload", f.complete("k", other, [][3]string{{"2", two, ""}}), 400, map[string]string{"Code": "InvalidPart"}},
		{"order", f.complete("k", id, [][3]string{{"3", three, ""}, {"2", two, ""}}), 400, map[string]string{"Code": "InvalidPartOrder", "UploadId": id}},
		{"twice", f.complete("k", id, [][3]string{{"2", two, ""}, {"2", two, ""}}), 400, map[string]string{"Code": "InvalidPartOrder"}},
		{"small", f.complete("k", id, [][3]string{{"1", one, ""}, {"2", two, ""}}), 400,
			map[string]string{"Code": "EntityTooSmall", "ProposedSize": "3", "MinSizeAllowed": "4", "PartNumber": "1", "ETag": strings.Trim(one, `"`)}},
		{"large", f.complete("k", id, [][3]string{{"2", two, ""}, {"3", three, ""}, {"4", f.part("k", id, 4, "45678"), ""}}), 400,
			map[string]string{"Code": "EntityTooLarge", "ProposedSize": "15", "MaxSizeAllowed": "12"}},
		{"size", f.complete("k", id, [][3]string{{"2", two, ""}}, "X-Amz-Mp-Object-Size", "6"), 400, map[string]string{"Code": "InvalidRequest"}},
		{"no parts", f.complete("k", id, nil), 400, map[string]string{"Code": "MalformedXML"}},
		{"no number", f.complete("k", id, [][3]string{{"two", two, ""}}), 400, map[string]string{"Code": "MalformedXML"}},
		{"no document", f.sign("POST", "/k?uploadId="+id, "<Complete"), 400, map[string]string{"Code": "MalformedXML"}},
		{"another document", f.sign("POST", "/k?uploadId="+id, "<Delete></Delete>"), 400, map[string]string{"Code": "MalformedXML"}},
		{"unknown element", f.complete("k", id, [][3]string{{"2", two, "<Size>5</Size>"}}), 501, map[string]string{"Code": "NotImplemented", "Parameter": "Size"}},
		{"unknown checksum of a part", f.complete("k", id, [][3]string{{"2", two, "<ChecksumMD6>x</ChecksumMD6>"}}), 501, map[string]string{"Code": "NotImplemented"}},
		{"unknown checksum", f.complete("k", id, [][3]string{{"2", two, ""}}, "X-Amz-Checksum-Md6", "x"), 501, map[string]string{"Code": "NotImplemented", "Header": "X-Amz-Checksum-Md6"}},
		{"unknown header", f.complete("k", id, [][3]string{{"2", two, ""}}, "X-Amz-Acl", "private"), 501, map[string]string{"Code": "NotImplemented", "Header": "X-Amz-Acl"}},
		{"digest of the list", f.complete("k", id, [][3]string{{"2", two, ""}}, "Content-Md5", "XUFAKrxLKna5cZ2REBfFkg=="), 400, map[string]string{"Code": "BadDigest"}},
		{"unknown upload", f.complete("k", "none", [][3]string{{"2", two, ""}}), 404, map[string]string{"Code": "NoSuchUpload", "UploadId": "none"}},
		{"upload of another key", f.complete("l", id, [][3]string{{"2", two, ""}}), 404, map[string]string{"Code": "NoSuchUpload"}},
		{"exists not", f.complete("k", id, [][3]string{{"2", two, ""}}, "If-Match", `"x"`), 404, map[string]string{"Code": "NoSuchKey"}},

		{"part 0", f.partRequest("k", id, "0", "x", nil), 400, map[string]string{"Code": "InvalidArgument", "ArgumentName": "partNumber", "ArgumentValue": "0"}},
		{"part 10001", f.partRequest("k", id, "10001", "x", nil), 400, map[string]string{"Code": "InvalidArgument"}},
		{"part x", f.partRequest("k", id, "x", "x", nil), 400, map[string]string{"Code": "InvalidArgument"}},
		{"part, no upload", f.partRequest("k", "none", "1", "x", nil), 404, map[string]string{"Code": "NoSuchUpload"}},
		{"part of another key", f.partRequest("l", id, "1", "x", nil), 404, map[string]string{"Code": "NoSuchUpload"}},
		{"part, too large", f.partRequest("k", id, "1", "0123456789012", nil), 400, map[string]string{"Code": "EntityTooLarge"}},
		{"part, digest", f.partRequest("k", id, "1", "x", http.Header{"Content-Md5": {"XUFAKrxLKna5cZ2REBfFkg=="}}), 400, map[string]string{"Code": "BadDigest"}},
		{"part, metadata", f.partRequest("k", id, "1", "x", http.Header{"X-Amz-Meta-A": {"b"}}), 501, map[string]string{"Code": "NotImplemented"}},
		{"part, condition", f.partRequest("k", id, "1", "x", http.Header{"If-None-Match": {"*"}}), 501, map[string]string{"Code": "NotImplemented"}},
		{"part, copied", f.partRequest("k", id, "1", "", http.Header{"X-Amz-Copy-Source": {"/demo/k"}}), 501, map[string]string{"Code": "NotImplemented", "Header": "X-Amz-Copy-Source"}},
		{"half a name for a part", f.request(signer.Request{Method: "PUT", Key: "k", Query: url.Values{"uploadId": {id}}}, "x"), 501, map[string]string{"Code": "NotImplemented", "Parameter": "uploadId"}},
		{"parts of no upload", f.sign("GET", "/k?uploadId=none", ""), 404, map[string]string{"Code": "NoSuchUpload"}},
		{"parts, how many", f.sign("GET", "/k?max-parts=x&uploadId="+id, ""), 400, map[string]string{"Code": "InvalidArgument", "ArgumentName": "max-parts"}},
		{"parts, from where", f.sign("GET", "/k?part-number-marker=-1&uploadId="+id, ""), 400, map[string]string{"Code": "InvalidArgument", "ArgumentName": "part-number-marker"}},
		{"abort of no upload", f.sign("DELETE", "/k?uploadId=none", ""), 404, map[string]string{"Code": "NoSuchUpload"}},
		{"abort of another key's", f.sign("DELETE", "/l?uploadId="+id, ""), 404, map[string]string{"Code": "NoSuchUpload"}},
		{"abort under a condition", f.sign("DELETE", "/k?uploadId="+id, "", "If-Match", `"x"`), 501, map[string]string{"Code": "NotImplemented"}},
		{"start, header", f.sign("POST", "/k?uploads", "", "X-Amz-Acl", "private"), 501, map[string]string{"Code": "NotImplemented", "Header": "X-Amz-Acl"}},
		{"start, metadata", f.sign("POST", "/k?uploads", "", "X-Amz-Meta-A", strings.Repeat("m", 2048)), 400, map[string]string{"Code": "MetadataTooLarge"}},
		{"uploads, in folders", f.sign("GET", "?delimiter=/&uploads", ""), 501, map[string]string{"Code": "NotImplemented", "Parameter": "delimiter"}},
		{"uploads, encoding", f.sign("GET", "?encoding-type=x&uploads", ""), 400, map[string]string{"Code": "InvalidArgument"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, body := (&fixture{T: t, Server: f.Server}).want(tt.status, tt.req)
			got := elements(t, body)
			for name, want := range tt.want {
				if got[name] != want {
					t.Errorf("%s is %q, want %q", name, got[name], want)
				}
			}
		})
	}
	f.want(404, f.request(signer.Request{Key: "k"}, "")) // nothing came of it
	f.want(200, f.complete("k", id, [][3]string{{"2", two, ""}, {"3", three, ""}}))
	// Another list than the signed one completes nothing.
	req := f.complete("k", other, [][3]string{{"1", f.part("k", other, 1, "a"), ""}})
	req.Body = upper{req.Body}
	f.refused(400, "XAmzContentSHA256Mismatch", req)
	if _, body := f.want(200, f.request(signer.Request{Key: "k"}, "")); body != "4567890123" {
		t.Errorf("%q", body)
	}
}

func TestListParts(t *testing.T) { eachXML(t, testListParts) }

func testListParts(t *testing.T, f *fixture) {
	id := f.initiate("k")
	for _, n := range []int{5, 1, 30, 2} {
		f.part("k", id, n, strings.Repeat("x", n))
	}
	type parts struct {
		Key, UploadId, StorageClass                      string
		PartNumberMarker, NextPartNumberMarker, MaxParts int
		IsTruncated                                      bool
		Part                                             []struct {
			PartNumber, Size   int
			ETag, LastModified string
		}
	}
	list := func(query string) (l parts) {
		t.Helper()
		_, body := f.want(200, f.sign("GET", "/k?"+query+"uploadId="+id, ""))
		if err := xml.Unmarshal([]byte(body), &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := list("")
	if l.Key != "k" || l.UploadId != id || l.MaxParts != 1000 || l.IsTruncated || len(l.Part) != 4 {
		t.Fatalf("%+v", l)
	}
	for i, n := range []int{1, 2, 5, 30} {
		p := l.Part[i]
		if sum := md5.Sum(bytes.Repeat([]byte("x"), n)); p.PartNumber != n || p.Size != n || p.ETag != fmt.Sprintf(`"%x"`, sum) || p.LastModified != "2026-11-22T06:24:07.000Z" {
			t.Errorf("%+v", p)
		}
	}
	var numbers []int
	for marker, pages := 0, 0; ; pages++ {
		l := list(fmt.Sprintf("max-parts=3&part-number-marker=%d&", marker))
		for _, p := range l.Part {
			numbers = append(numbers, p.PartNumber)
		}
		if marker = l.NextPartNumberMarker; !l.IsTruncated || pages > 4 {
			break
		}
	}
	if !slices.Equal(numbers, []int{1, 2, 5, 30}) {
		t.Errorf("%v", numbers)
	}
	if l := list("max-parts=0&"); len(l.Part) != 0 || l.MaxParts != 0 {
		t.Errorf("%+v", l)
	}
	if l := list("max-parts=5000&"); l.MaxParts != 1000 {
		t.Errorf("%+v", l)
	}
}

func TestListUploads(t *testing.T) { eachXML(t, testListUploads) }

func testListUploads(t *testing.T, f *fixture) {
	b, a1 := f.initiate("b"), f.initiate("a")
	f.Clock.Advance(time.Second)
	a2 := f.initiate("a")
	f.want(200, f.sign("POST", "/z%20?uploads", ""))
	list := func(query string) (ids []string) {
		t.Helper()
		var l struct {
			Upload []struct{ Key, UploadId, Initiated string }
		}
		_, body := f.want(200, f.sign("GET", "?"+query+"uploads", ""))
		if err := xml.Unmarshal([]byte(body), &l); err != nil {
			t.Fatal(err)
		}
		for _, u := range l.Upload {
			ids = append(ids, u.UploadId)
			if u.Initiated == "" || strings.Contains(query, "url") && u.Key == "z " {
				t.Errorf("%+v", u)
			}
		}
		return ids
	}
	if got := list(""); len(got) != 4 || !slices.Equal(got[:3], []string{a1, a2, b}) {
		t.Errorf("%q", got)
	}
	f.want(204, f.sign("DELETE", "/a?uploadId="+a1, ""))
	if got := list("encoding-type=url&"); len(got) != 3 {
		t.Errorf("%q", got)
	}
	if got := list("delimiter=&encoding-type=url&prefix=a&"); !slices.Equal(got, []string{a2}) {
		t.Errorf("%q", got)
	}
}

// Checksums are of the parts, of the whole, or of the parts' own.
func TestMultipartChecksums(t *testing.T) {
	f := newFixture(t, small)
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := func(b string) string {
		return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum([]byte(b), table)))
	}
	raw := func(b string) string {
		return string(binary.BigEndian.AppendUint32(nil, crc32.Checksum([]byte(b), table)))
	}
	composite := sum(raw("begin") + raw("end"))
	sha := func(b string) string {
		s := sha256.Sum256([]byte(b))
		return base64.StdEncoding.EncodeToString(s[:])
	}
	for _, tt := range []struct {
		name   string
		inList string // of the first part
		header []string
		code   string
	}{
		{"none", "", nil, ""},
		{"part's", "<ChecksumCRC32C>" + sum("begin") + "</ChecksumCRC32C>", nil, ""},
		{"part's, another algorithm", "<ChecksumSHA256>" + sha("begin") + "</ChecksumSHA256>", nil, ""},
		{"another part's", "<ChecksumCRC32C>" + sum("end") + "</ChecksumCRC32C>", nil, "InvalidPart"},
		{"whole", "", []string{"X-Amz-Checksum-Crc32c", sum("beginend"), "X-Amz-Checksum-Type", "FULL_OBJECT", "X-Amz-Mp-Object-Size", "8"}, ""},
		{"not the whole", "", []string{"X-Amz-Checksum-Crc32c", sum("begin")}, "BadDigest"},
		{"composite", "", []string{"X-Amz-Checksum-Crc32c", composite + "-2", "X-Amz-Checksum-Type", "COMPOSITE"}, ""},
		{"composite of another number", "", []string{"X-Amz-Checksum-Crc32c", composite + "-3"}, "BadDigest"},
		{"composite, said by the type", "", []string{"X-Amz-Checksum-Crc32c", composite, "X-Amz-Checksum-Type", "COMPOSITE"}, ""},
		{"composite, not said", "", []string{"X-Amz-Checksum-Crc32c", composite}, "BadDigest"},
	} {
		id := f.initiate("k", "X-Amz-Checksum-Algorithm", "CRC32C")
		h, _ := f.want(200, f.partRequest("k", id, "1", "begin", http.Header{"X-Amz-Checksum-Crc32c": {sum("begin")}, "X-Amz-Checksum-Algorithm": {"CRC32C"}}))
		if h.Get("X-Amz-Checksum-Crc32c") != sum("begin") || h.Get("X-Amz-Checksum-Algorithm") != "" {
			t.Errorf("%s: %v", tt.name, h)
		}
		parts := [][3]string{{"1", h.Get("ETag"), tt.inList}, {"2", f.part("k", id, 2, "end"), ""}}
		req := f.complete("k", id, parts, tt.header...)
		if tt.code != "" {
			f.refused(400, tt.code, req)
			req = f.complete("k", id, parts[1:]) // it goes on
		}
		f.want(200, req)
	}
}

// Parts count against the caps until they are gone, and so do uploads and parts that hold no bytes.
func TestMultipartCaps(t *testing.T) {
	f := newFixture(t, small, func(c *storefake.Config) { c.MaxBytes, c.MaxUploads, c.MaxObjects = 20, 2, 2 })
	full := func(req *http.Request) {
		t.Helper()
		f.refused(403, "QuotaExceeded", req)
	}
	id, other := f.initiate("k"), f.initiate("l")
	full(f.sign("POST", "/m?uploads", ""))
	f.part("k", id, 1, "0123456789")
	f.part("l", other, 1, "01234")
	full(f.partRequest("k", id, "2", "012345", nil))
	full(f.request(signer.Request{Method: "PUT", Key: "o"}, "012345"))
	one := f.part("k", id, 1, "01234") // gives 5 back
	f.want(204, f.sign("DELETE", "/l?uploadId="+other, ""))
	two := f.part("k", id, 2, "012345")
	full(f.complete("k", id, [][3]string{{"1", one, ""}, {"2", two, ""}})) // 11, and 11 for a moment
	f.part("k", id, 2, "01234")
	two = f.part("k", id, 2, "43210")
	f.want(200, f.complete("k", id, [][3]string{{"1", one, ""}, {"2", two, ""}}))
	f.put("o", "0123456789") // all of the rest
	full(f.request(signer.Request{Method: "PUT", Key: "o"}, "x"))

	// A full store takes no object that is complete, and loses nothing of it.
	f.want(204, f.request(signer.Request{Method: "DELETE", Key: "o"}, ""))
	f.put("p", "")
	id = f.initiate("q")
	one = f.part("q", id, 1, "012")
	full(f.complete("q", id, [][3]string{{"1", one, ""}}))
	f.want(204, f.request(signer.Request{Method: "DELETE", Key: "p"}, ""))
	f.want(200, f.complete("q", id, [][3]string{{"1", one, ""}}))
	f.put("k", "0123456") // 10 of k, 3 of q: 7 are left
	if _, body := f.want(200, f.request(signer.Request{Key: "q"}, "")); body != "012" {
		t.Errorf("%q", body)
	}
}

// One of many completes an upload; parts that come too late leave nothing behind.
func TestConcurrentMultipart(t *testing.T) {
	const workers, size = 8, 100
	f := newFixture(t, func(c *storefake.Config) { c.MaxBytes = 4 * size })
	for range 20 {
		id := f.initiate("k")
		etag := f.part("k", id, 1, strings.Repeat("x", size))
		var wg sync.WaitGroup
		var mu sync.Mutex
		completed := 0
		for i := range workers {
			wg.Go(func() {
				if i%2 == 0 {
					resp, body := f.do(f.partRequest("k", id, "2", strings.Repeat("y", size), nil))
					if code := element(body, "Code"); resp.StatusCode != 200 && code != "NoSuchUpload" && code != "QuotaExceeded" {
						t.Errorf("part: %d %s", resp.StatusCode, body)
					}
					return
				}
				resp, body := f.do(f.complete("k", id, [][3]string{{"1", etag, ""}}))
				switch code := element(body, "Code"); {
				case resp.StatusCode == 200:
					mu.Lock()
					completed++
					mu.Unlock()
				case code != "NoSuchUpload" && code != "QuotaExceeded":
					t.Errorf("complete: %d %s", resp.StatusCode, body)
				}
			})
		}
		wg.Wait()
		if completed > 1 {
			t.Errorf("%d completed it", completed)
		}
		f.do(f.sign("DELETE", "/k?uploadId="+id, "")) // if all were refused for want of space
		f.want(204, f.request(signer.Request{Method: "DELETE", Key: "k"}, ""))
	}
	f.put("all", strings.Repeat("x", 4*size)) // all was given back
}

// A part that is still coming in when its upload is aborted is lost, and its bytes are given back.
func TestLatePart(t *testing.T) {
	f := newFixture(t, func(c *storefake.Config) { c.MaxBytes = 10 })
	id := f.initiate("k")
	req := f.partRequest("k", id, "1", "0123456789", nil)
	r, w := io.Pipe()
	req.Body, req.GetBody = r, nil
	go func() {
		io.WriteString(w, "01234")
		for f.hasRoom() { // until the store has begun to read it
			time.Sleep(time.Millisecond)
		}
		f.do(f.sign("DELETE", "/k?uploadId="+id, ""))
		io.WriteString(w, "56789")
		w.Close()
	}()
	f.refused(404, "NoSuchUpload", req)
	f.put("k", "0123456789")
}

// hasRoom reports whether the store still has room for a byte.
func (f *fixture) hasRoom() bool {
	resp, _ := f.do(f.request(signer.Request{Method: "PUT", Key: "probe"}, "x"))
	f.do(f.request(signer.Request{Method: "DELETE", Key: "probe"}, ""))
	return resp.StatusCode == 200
}

// A part whose body is not what was signed leaves nothing.
func TestHalfAPart(t *testing.T) {
	f := newFixture(t, func(c *storefake.Config) { c.MaxBytes = 5 })
	id := f.initiate("k")
	req := f.sign("PUT", "/k?partNumber=1&uploadId="+id, "hello")
	req.Body = upper{req.Body}
	f.refused(400, "XAmzContentSHA256Mismatch", req)
	if _, body := f.want(200, f.sign("GET", "/k?uploadId="+id, "")); strings.Contains(body, "<Part>") {
		t.Errorf("%s", body)
	}
	f.put("k", "hello")
}
