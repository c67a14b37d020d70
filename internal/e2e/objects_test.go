package e2e

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/cloudsigner/cloudsigner/signer"
)

// nastyKeys are names whose encoding signers get wrong.
var nastyKeys = []string{
	"plain.txt",
	"one space, two  spaces",
	" space at both ends ",
	"plus+plus",
	"a literal %2F, %2f and %25",
	"100%",
	"%zz",
	"~!$&'()*,;=:@[]",
	`"<>{}|^` + "`",
	"question?versionId=1&X-Amz-Signature=0",
	"hash#fragment",
	`back\slash`,
	"é composed",
	"e\u0301 decomposed",
	"日本語/キー",
	"👩‍👩‍👧 🚀",
	"tab\tand\nnewline",
	"dots/.hidden/..x/y..",
	"...",
	"double//slash",
	"/leading slash",
	"//two leading slashes",
	"trailing slash/",
	"http://example.com/x",
	"long/" + strings.Repeat(strings.Repeat("x", 178)+"/", 4) + strings.Repeat("y", 179), // 900 bytes; a file system takes 255 per name
	"long/" + strings.Repeat("é/", 298) + "z",                                            // 900 bytes, 2094 encoded
}

// Every nasty key goes up, comes back byte for byte by each way to sign, and is listed and deleted under its own name.
func TestNastyKeys(t *testing.T) {
	eachServer(t, append(servers, storefakeServer), func(t *testing.T, s *server) {
		sign := s.signer(t)
		content := func(key string) []byte {
			if strings.HasSuffix(key, "/") {
				return nil // a directory for those who keep objects in files
			}
			return []byte("the content of " + strconv.Quote(key))
		}
		for _, key := range nastyKeys {
			t.Run(key, func(t *testing.T) {
				s.put(t, key, content(key))
				head := s.use(t, s.presign(t, signer.Request{Method: http.MethodHead, Key: key}), nil)
				head.want(t, "200")
				if int(head.ContentLength) != len(content(key)) {
					t.Errorf("HEAD: %d bytes, want %d", head.ContentLength, len(content(key)))
				}
				// net/url's spelling of the path, which escapes less, is as good.
				raw := must(sign.PresignRequest(t.Context(), s.request(t, http.MethodGet, key, nil), signer.Options{Expires: time.Minute}))(t)
				for way, got := range map[string]answer{
					"Presign":        s.use(t, s.presign(t, signer.Request{Key: key}), nil),
					"PresignRequest": s.use(t, raw, nil),
					"Sign":           s.send(t, s.signed(t, http.MethodGet, key, nil)),
				} {
					if got.String() != "200" || !bytes.Equal(got.body, content(key)) {
						t.Errorf("%s: GET: %s: %q", way, got, got.body)
					}
				}
				listed := key
				if s.files {
					listed = strings.TrimLeft(manySlashes.ReplaceAllString(key, "/"), "/")
				}
				prefix := listed
				if i := strings.IndexFunc(prefix, unicode.IsControl); i >= 0 {
					prefix = prefix[:i] // Presign lets none into a query
				}
				if got := s.list(t, prefix, 1000); !slices.Contains(got, listed) {
					t.Errorf("%q is not among those listed: %q", listed, got)
				}
				s.use(t, s.presign(t, signer.Request{Method: http.MethodDelete, Key: key}), nil).want(t, "204")
				s.use(t, s.presign(t, signer.Request{Key: key}), nil).want(t, "404 NoSuchKey")
			})
		}
	})
}

var manySlashes = regexp.MustCompile("/+")

// A listing goes on over pages, whose tokens are the server's and need every escape.
func TestListPages(t *testing.T) {
	eachServer(t, append(servers, storefakeServer), func(t *testing.T, s *server) {
		want := []string{"pages & more=/%", "pages & more=/+", "pages & more=/a b", "pages & more=/é", "pages & more=/日本"}
		for _, key := range want {
			s.put(t, key, []byte("x"))
		}
		if got := s.list(t, "pages & more=/", 2); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// list lists the bucket, page by page, half of them presigned from a Request and half from net/url's encoding, which has
// "+" for a space.
func (s *server) list(t *testing.T, prefix string, page int) (keys []string) {
	t.Helper()
	token := ""
	for i := range 100 {
		query := url.Values{"list-type": {"2"}, "prefix": {prefix}, "max-keys": {strconv.Itoa(page)}, "encoding-type": {"url"}}
		if token != "" {
			query.Set("continuation-token", token)
		}
		p := s.presign(t, signer.Request{Query: query})
		if i%2 == 1 {
			req := s.request(t, http.MethodGet, "", nil)
			req.URL.RawQuery = query.Encode()
			p = must(s.signer(t).PresignRequest(t.Context(), req, signer.Options{Expires: time.Minute}))(t)
		}
		a := s.use(t, p, nil)
		a.want(t, "200")
		var result struct {
			Contents                            []struct{ Key string }
			EncodingType, NextContinuationToken string
		}
		if err := xml.Unmarshal(a.body, &result); err != nil {
			t.Fatal(err)
		}
		for _, c := range result.Contents {
			if result.EncodingType == "url" { // versitygw does not encode, and says so
				c.Key = must(url.QueryUnescape(c.Key))(t)
			}
			keys = append(keys, c.Key)
		}
		if token = result.NextContinuationToken; token == "" {
			return keys
		}
	}
	t.Fatal("the listing has no end")
	return nil
}

// A multipart upload goes through presigned URLs alone, and can be given up.
func TestMultipart(t *testing.T) {
	eachServer(t, servers, func(t *testing.T, s *server) {
		const key = "many parts/ä+b.bin"
		do := func(method string, query url.Values, body []byte) answer {
			t.Helper()
			return s.use(t, s.presign(t, signer.Request{Method: method, Key: key, Query: query}), body)
		}
		begin := func() (uploadID string) {
			t.Helper()
			a := do(http.MethodPost, url.Values{"uploads": {""}}, nil)
			a.want(t, "200")
			var result struct{ UploadId string }
			if err := xml.Unmarshal(a.body, &result); err != nil || result.UploadId == "" {
				t.Fatalf("no upload id (%v): %s", err, a.body)
			}
			return result.UploadId
		}

		id := begin()
		parts := [][]byte{bytes.Repeat([]byte("0123456789abcdef"), 5<<20/16), []byte("the last part may be small")}
		var complete strings.Builder
		complete.WriteString("<CompleteMultipartUpload>")
		for i, part := range parts {
			number := strconv.Itoa(i + 1)
			a := do(http.MethodPut, url.Values{"partNumber": {number}, "uploadId": {id}}, part)
			a.want(t, "200")
			fmt.Fprintf(&complete, "<Part><PartNumber>%s</PartNumber><ETag>%s</ETag></Part>", number, a.Header.Get("ETag"))
		}
		complete.WriteString("</CompleteMultipartUpload>")
		do(http.MethodPost, url.Values{"uploadId": {id}}, []byte(complete.String())).want(t, "200")
		if got := do(http.MethodGet, nil, nil); got.String() != "200" || !bytes.Equal(got.body, slices.Concat(parts...)) {
			t.Errorf("GET: %s, %d bytes", got, len(got.body))
		}

		id = begin()
		do(http.MethodPut, url.Values{"partNumber": {"1"}, "uploadId": {id}}, []byte("x")).want(t, "200")
		do(http.MethodDelete, url.Values{"uploadId": {id}}, nil).want(t, "204")
		do(http.MethodPut, url.Values{"partNumber": {"2"}, "uploadId": {id}}, []byte("x")).want(t, "404 NoSuchUpload")
	})
}

// What Response overrides is in the answer.
func TestResponseOverrides(t *testing.T) {
	eachServer(t, append(servers, storefakeServer), func(t *testing.T, s *server) {
		const key = "overrides"
		s.put(t, key, []byte("x"))
		want := signer.ResponseHeaders{
			ContentType:        "text/x-nasty; charset=utf-8",
			ContentDisposition: signer.Attachment(`a "quoted" + naïve; 100% name.txt`),
			CacheControl:       "private, max-age=7",
			ContentEncoding:    "identity",
			ContentLanguage:    "de, en",
			Expires:            "Thu, 01 Dec 2033 16:00:00 GMT",
		}
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			a := s.use(t, s.presign(t, signer.Request{Method: method, Key: key, Response: want}), nil)
			a.want(t, "200")
			for name, want := range map[string]string{
				"Content-Type": want.ContentType, "Content-Disposition": want.ContentDisposition, "Cache-Control": want.CacheControl,
				"Content-Encoding": want.ContentEncoding, "Content-Language": want.ContentLanguage, "Expires": want.Expires,
			} {
				if got := a.Header.Get(name); got != want {
					t.Errorf("%s: %s: got %q, want %q", method, name, got, want)
				}
			}
		}
	})
}

// Headers that are signed must come as they were signed, and then they work.
func TestSignedHeaders(t *testing.T) {
	eachServer(t, append(servers, storefakeServer), func(t *testing.T, s *server) {
		body := []byte("ten bytes.")
		header := http.Header{
			"Content-Type":     {"text/x-signed"},
			"Content-Length":   {strconv.Itoa(len(body))},
			"Cache-Control":    {"max-age=60,   private"}, // runs of spaces are one space
			"X-Amz-Meta-Color": {"dark  green "},
			"X-Amz-Meta-Name":  {"~!$&'()*,;=:@[]%2F+"},
		}
		p := s.presign(t, signer.Request{Method: http.MethodPut, Key: "signed headers", Header: header})
		s.use(t, p, body).want(t, "200")

		got := s.use(t, s.presign(t, signer.Request{Key: "signed headers"}), nil)
		got.want(t, "200")
		for _, name := range []string{"Content-Type", "X-Amz-Meta-Name"} {
			if got.Header.Get(name) != header.Get(name) {
				t.Errorf("%s: got %q, want %q", name, got.Header.Get(name), header.Get(name))
			}
		}

		edits := map[string]func(req *http.Request){
			"Content-Length: other": func(req *http.Request) { setBody(req, []byte("eleven byte")) },
		}
		for name := range header {
			if name != "Content-Length" { // net/http always sends one
				edits[name+": missing"] = func(req *http.Request) { req.Header.Del(name) }
				edits[name+": other"] = func(req *http.Request) { req.Header.Set(name, "other") }
				edits[name+": twice"] = func(req *http.Request) { req.Header.Add(name, "other") }
			}
		}
		for name, edit := range edits {
			req := must(p.NewRequest(t.Context(), bytes.NewReader(body)))(t)
			edit(req)
			if a := s.send(t, req); a.StatusCode != http.StatusForbidden {
				t.Errorf("%s: got %s, want a refusal", name, a)
			}
		}
	})
}

// setBody gives a request another body after it was signed.
func setBody(req *http.Request, body []byte) {
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	req.GetBody = nil
}
