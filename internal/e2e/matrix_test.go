package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// The answers that most of the matrix expects.
const (
	ok        = "200"
	mismatch  = "403 SignatureDoesNotMatch"
	denied    = "403 AccessDenied"
	noKey     = "403 InvalidAccessKeyId"
	skewed    = "403 RequestTimeTooSkewed"
	badQuery  = "400 AuthorizationQueryParametersError"
	badHeader = "400 AuthorizationHeaderMalformed"
)

// What stands where in the matrix.
var (
	objectKey     = "dir/an object"
	content       = []byte("what the object holds")
	otherContent  = "what another one says" // as long
	contentLength = strconv.Itoa(len(content))

	object = signer.Request{Key: objectKey}
	upload = signer.Request{Method: http.MethodPut, Key: "upload"}
)

// matrix says what each server answers to requests that our signers made, and that someone or a wrong configuration has
// spoilt. The virtual host answers as the path does.
var matrix = []struct {
	name                           string
	make                           maker
	versitygw, gofakes3, storefake string
}{
	// URLs that hold.
	{"URL: GET", presigned(object), ok, ok, ok},
	{"URL: HEAD", presigned(signer.Request{Method: http.MethodHead, Key: objectKey}), ok, ok, ok},
	{"URL: PUT", presigned(upload), ok, ok, ok},
	{"URL: signed for seven days", presigned(lasting(7 * 24 * time.Hour)), ok, ok, ok},
	{"URL: parameters in another order", presigned(object, reversedQuery()), ok, ok, ok},
	// Names and values are sorted as they are encoded, says AWS; both servers sort before they encode. To the store the
	// signature is good and the parameter unknown.
	{"URL: parameter name in UTF-8", presigned(signer.Request{Key: objectKey, Query: url.Values{"é": {"1"}}}), mismatch, mismatch, "501 NotImplemented"},
	{"URL: needless escape in the path", presigned(object, path("object", "%6Fbject")), ok, ok, ok},
	{"URL: unsigned Range", presigned(object, header("Range", "bytes=0-3")), "206", "206", "206"},
	{"URL: unsigned Content-Type", presigned(upload, header("Content-Type", "text/x-other")), ok, ok, ok},

	// Tampered with.
	{"URL: signature changed", presigned(object, param("X-Amz-Signature", strings.Repeat("0", 64))), mismatch, mismatch, mismatch},
	{"URL: signature gone", presigned(object, param("X-Amz-Signature", "")), badQuery, denied, badQuery},
	{"URL: other object", presigned(object, path("an%20object", "other")), mismatch, mismatch, mismatch},
	{"URL: object in other case", presigned(object, path("an%20object", "an%20Object")), mismatch, mismatch, mismatch},
	{"URL: longer life", presigned(object, param("X-Amz-Expires", "3600")), mismatch, mismatch, mismatch},
	{"URL: later date", presigned(object, later()), mismatch, mismatch, mismatch},
	{"URL: HEAD with a GET URL", presigned(object, method(http.MethodHead)), "403", "403", "403"},
	{"URL: DELETE with a GET URL", presigned(object, method(http.MethodDelete)), mismatch, mismatch, mismatch},
	{"URL: PUT with a GET URL", presigned(object, method(http.MethodPut)), mismatch, mismatch, mismatch},
	{"URL: parameter added", presigned(object, addParam("response-content-type", "text/html")), mismatch, mismatch, mismatch},
	{"URL: unknown parameter added", presigned(object, addParam("utm_source", "mail")), mismatch, mismatch, mismatch},
	{"URL: parameter removed", presigned(overriding("text/plain"), param("response-content-type", "")), mismatch, mismatch, mismatch},
	{"URL: parameter changed", presigned(overriding("text/plain"), param("response-content-type", "text/html")), mismatch, mismatch, mismatch},
	{"URL: parameter twice", presigned(object, addParam("X-Amz-Expires", "3600")), mismatch, mismatch, badQuery},
	{"URL: other host", presigned(object, host("127.0.0.1:1")), mismatch, mismatch, "421"},

	// Headers.
	{"URL: unsigned x-amz-acl", presigned(upload, header("X-Amz-Acl", "public-read")), denied, denied, denied},
	{"URL: unsigned x-amz-copy-source", presigned(upload, header("X-Amz-Copy-Source", "/"+bucket+"/dir/an%20object")), denied, denied, denied},
	{"URL: unsigned x-amz-meta-x", presigned(upload, header("X-Amz-Meta-X", "1")), denied, denied, denied},
	{"URL: signed Content-Type sent", presigned(demanding("Content-Type", "text/x-signed")), ok, ok, ok},
	{"URL: signed Content-Type not sent", presigned(demanding("Content-Type", "text/x-signed"), header("Content-Type", "")), mismatch, denied, mismatch},
	{"URL: signed Content-Type other", presigned(demanding("Content-Type", "text/x-signed"), header("Content-Type", "text/html")), mismatch, mismatch, mismatch},
	{"URL: signed Content-Length other", presigned(demanding("Content-Length", contentLength), body("shorter")), mismatch, mismatch, mismatch},
	{"URL: Authorization as well", presigned(object, header("Authorization", "AWS4-HMAC-SHA256 Credential=x")), ok, "400 MissingFields", "400 InvalidRequest"},

	// Bodies. These servers put UNSIGNED-PAYLOAD into the canonical request of every URL, even if a signed header says
	// otherwise. We put the header's value there, as minio-go does when it presigns; what AWS does was not tried.
	{"URL: signed hash, right body", presigned(demanding("X-Amz-Content-Sha256", sha256Hex(content))), mismatch, mismatch, ok},
	{"URL: signed hash, other body", presigned(demanding("X-Amz-Content-Sha256", sha256Hex(content)), body(otherContent)), mismatch, mismatch, "400 XAmzContentSHA256Mismatch"},
	{"URL: signed UNSIGNED-PAYLOAD", presigned(demanding("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")), ok, ok, ok},

	// Times.
	{"URL: expired", presigned(object, off(-2*time.Hour)), denied, denied, denied},
	{"URL: signer 20 min behind, 60 min", presigned(lasting(time.Hour), off(-20*time.Minute)), ok, ok, ok},
	{"URL: signer 20 min behind, 10 min", presigned(lasting(10*time.Minute), off(-20*time.Minute)), denied, denied, denied},
	{"URL: signer 10 min ahead", presigned(object, off(10*time.Minute)), ok, ok, ok},
	{"URL: signer 20 min ahead", presigned(object, off(20*time.Minute)), ok, denied, denied},

	// Keys and scopes.
	{"URL: wrong region", presigned(object, otherRegion()), badQuery, ok, badQuery},
	{"URL: wrong service", presigned(object, otherService()), badQuery, "400 AuthorizationParameterserror", badQuery},
	{"URL: wrong secret", presigned(object, otherSecret()), mismatch, mismatch, mismatch},
	{"URL: unknown key", presigned(object, unknownKey()), noKey, noKey, noKey},
	{"URL: token with a permanent key", presigned(object, token()), "400 InvalidToken", ok, "400 InvalidToken"},
	{"URL: token changed", presigned(object, param("X-Amz-Security-Token", "changed"), token()), "400 InvalidToken", mismatch, "400 InvalidToken"},

	// The Authorization header.
	{"header: GET", headerSigned(http.MethodGet, nil), ok, ok, ok},
	{"header: PUT, unsigned body", headerSigned(http.MethodPut, nil), ok, ok, ok},
	{"header: PUT, unsigned body, other", headerSigned(http.MethodPut, nil, body(otherContent)), ok, ok, ok},
	{"header: PUT, hashed body", headerSigned(http.MethodPut, s3.HashBody), ok, ok, ok},
	{"header: PUT, hashed body, other", headerSigned(http.MethodPut, s3.HashBody, body(otherContent)), "400 XAmzContentSHA256Mismatch", ok, "400 XAmzContentSHA256Mismatch"},
	{"header: other path", headerSigned(http.MethodGet, nil, path("an%20object", "other")), mismatch, mismatch, mismatch},
	{"header: other method", headerSigned(http.MethodGet, nil, method(http.MethodDelete)), mismatch, mismatch, mismatch},
	{"header: parameter added", headerSigned(http.MethodGet, nil, addParam("versionId", "1")), mismatch, mismatch, mismatch},
	{"header: other host", headerSigned(http.MethodGet, nil, host("127.0.0.1:1")), mismatch, mismatch, "421"},
	{"header: date changed", headerSigned(http.MethodGet, nil, later()), mismatch, mismatch, mismatch},
	{"header: unsigned x-amz-acl", headerSigned(http.MethodPut, nil, header("X-Amz-Acl", "public-read")), denied, denied, denied},
	{"header: signed Range changed", headerSigned(http.MethodGet, ranged, header("Range", "bytes=1-5")), mismatch, mismatch, mismatch},
	{"header: signed Range not sent", headerSigned(http.MethodGet, ranged, header("Range", "")), mismatch, denied, mismatch},
	{"header: 14 min behind", headerSigned(http.MethodGet, nil, off(-14*time.Minute)), ok, ok, ok},
	{"header: 14 min ahead", headerSigned(http.MethodGet, nil, off(14*time.Minute)), ok, ok, ok},
	{"header: 20 min behind", headerSigned(http.MethodGet, nil, off(-20*time.Minute)), skewed, skewed, skewed},
	{"header: 20 min ahead", headerSigned(http.MethodGet, nil, off(20*time.Minute)), skewed, skewed, skewed},
	{"header: wrong region", headerSigned(http.MethodGet, nil, otherRegion()), badHeader, ok, badHeader},
	{"header: wrong service", headerSigned(http.MethodGet, nil, otherService()), badHeader, "400 AuthorizationParameterserror", badHeader},
	{"header: wrong secret", headerSigned(http.MethodGet, nil, otherSecret()), mismatch, mismatch, mismatch},
	{"header: unknown key", headerSigned(http.MethodGet, nil, unknownKey()), noKey, noKey, noKey},
	{"header: token with a permanent key", headerSigned(http.MethodGet, nil, token()), "400 InvalidToken", ok, "400 InvalidToken"},
}

func TestMatrix(t *testing.T) {
	var columns []string
	answers := make([][]string, len(matrix))
	eachServer(t, append(servers, storefakeServer), func(t *testing.T, s *server) {
		columns = append(columns, s.name)
		s.put(t, objectKey, content)
		s.put(t, "dir/other", content)
		for i, c := range matrix {
			got := s.send(t, c.make(t, s)).String()
			want := c.versitygw
			switch s.name {
			case "gofakes3":
				want = c.gofakes3
			case "storefake":
				want = c.storefake
			}
			if got != want {
				t.Errorf("%s: got %s, want %s", c.name, got, want)
			}
			answers[i] = append(answers[i], got)
		}
	})
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(append([]string{"case"}, columns...), "\t"))
	for i, c := range matrix {
		fmt.Fprintln(w, strings.Join(append([]string{c.name}, answers[i]...), "\t"))
	}
	w.Flush()
	t.Log("\n" + table.String())
}

// A maker makes the request of a case.
type maker func(t *testing.T, s *server) *http.Request

// A change is what is wrong, or only other, in a case: with the signer, or with the request once it is signed.
type change struct {
	config  func(*s3.Config)
	request func(*http.Request)
}

// presigned makes a request by a URL for r.
func presigned(r signer.Request, changes ...change) maker {
	return func(t *testing.T, s *server) *http.Request {
		t.Helper()
		var body io.Reader
		if r.Method == http.MethodPut {
			body = bytes.NewReader(content)
		}
		req := must(s.presign(t, r, configs(changes)...).NewRequest(t.Context(), body))(t)
		apply(changes, req)
		return req
	}
}

// headerSigned makes a request that is signed in its header, after prepare.
func headerSigned(method string, prepare func(*http.Request) error, changes ...change) maker {
	return func(t *testing.T, s *server) *http.Request {
		t.Helper()
		key, body := objectKey, []byte(nil)
		if method == http.MethodPut {
			key, body = "upload", content
		}
		req := s.request(t, method, key, body)
		if prepare != nil {
			if err := prepare(req); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.signer(t, configs(changes)...).Sign(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		apply(changes, req)
		return req
	}
}

func configs(changes []change) (configs []func(*s3.Config)) {
	for _, c := range changes {
		if c.config != nil {
			configs = append(configs, c.config)
		}
	}
	return configs
}

func apply(changes []change, req *http.Request) {
	for _, c := range changes {
		if c.request != nil {
			c.request(req)
		}
	}
}

// Requests that the matrix signs.

// lasting is object for so long.
func lasting(d time.Duration) signer.Request {
	r := object
	r.Expires = d
	return r
}

// overriding is object with another type in the answer.
func overriding(contentType string) signer.Request {
	r := object
	r.Response.ContentType = contentType
	return r
}

// demanding is upload with a header that the holder must send.
func demanding(name, value string) signer.Request {
	r := upload
	r.Header = http.Header{name: {value}}
	return r
}

func ranged(req *http.Request) error {
	req.Header.Set("Range", "bytes=0-3")
	return nil
}

// Changes to the signer.

// off sets its clock off by d.
func off(d time.Duration) change {
	return change{config: func(c *s3.Config) { c.Clock = clock.Fixed(time.Now().Add(d)) }}
}

func otherRegion() change  { return change{config: func(c *s3.Config) { c.Region = "eu-west-3" }} }
func otherService() change { return change{config: func(c *s3.Config) { c.Service = "sts" }} }

// credentials edits its credentials.
func credentials(edit func(*s3.Credentials)) change {
	return change{config: func(c *s3.Config) {
		creds := c.Credentials.(s3.Credentials)
		edit(&creds)
		c.Credentials = creds
	}}
}

func otherSecret() change {
	return credentials(func(c *s3.Credentials) { c.SecretKey = signer.NewSecret([]byte("another secret key")) })
}

func unknownKey() change {
	return credentials(func(c *s3.Credentials) { c.AccessKeyID = "NOBODYSKEY123" })
}

func token() change {
	return credentials(func(c *s3.Credentials) { c.SessionToken = signer.NewSecret([]byte("a+token/of==")) })
}

func noToken() change {
	return credentials(func(c *s3.Credentials) { c.SessionToken = signer.Secret{} })
}

// Changes to the signed request.

func method(m string) change {
	return change{request: func(req *http.Request) { req.Method = m }}
}

// path replaces text in the path as it goes over the wire.
func path(old, new string) change {
	return change{request: func(req *http.Request) {
		escaped := strings.Replace(req.URL.EscapedPath(), old, new, 1)
		unescaped, err := url.PathUnescape(escaped)
		if err != nil || escaped == req.URL.EscapedPath() {
			panic("no change of path: " + escaped)
		}
		req.URL.Path, req.URL.RawPath = unescaped, escaped
	}}
}

// param sets a parameter of the URL, or takes it away if value is "".
func param(name, value string) change {
	return change{request: func(req *http.Request) {
		parts := strings.Split(req.URL.RawQuery, "&")
		i := slices.IndexFunc(parts, func(p string) bool { return strings.HasPrefix(p, name+"=") })
		if value == "" {
			parts = slices.Delete(parts, i, i+1)
		} else {
			parts[i] = name + "=" + url.QueryEscape(value)
		}
		req.URL.RawQuery = strings.Join(parts, "&")
	}}
}

// addParam adds a parameter at the end of the URL.
func addParam(name, value string) change {
	return change{request: func(req *http.Request) {
		q := req.URL.RawQuery + "&" + name + "=" + url.QueryEscape(value)
		req.URL.RawQuery = strings.TrimPrefix(q, "&")
	}}
}

func reversedQuery() change {
	return change{request: func(req *http.Request) {
		parts := strings.Split(req.URL.RawQuery, "&")
		slices.Reverse(parts)
		req.URL.RawQuery = strings.Join(parts, "&")
	}}
}

// header sets a header, or takes it away if value is "".
func header(name, value string) change {
	return change{request: func(req *http.Request) {
		if value == "" {
			req.Header.Del(name)
		} else {
			req.Header.Set(name, value)
		}
	}}
}

// host sends the request with another Host to the same server.
func host(h string) change {
	return change{request: func(req *http.Request) { req.Host = h }}
}

func body(b string) change {
	return change{request: func(req *http.Request) { setBody(req, []byte(b)) }}
}

// later moves a date of the form 20060102T150405Z on by a second.
func later() change {
	const form = "20060102T150405Z"
	next := func(stamp string) string {
		date, err := time.Parse(form, stamp)
		if err != nil {
			panic(err)
		}
		return date.Add(time.Second).Format(form)
	}
	return change{request: func(req *http.Request) {
		if stamp := req.Header.Get("X-Amz-Date"); stamp != "" {
			req.Header.Set("X-Amz-Date", next(stamp))
			return
		}
		param("X-Amz-Date", next(req.URL.Query().Get("X-Amz-Date"))).request(req)
	}}
}

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
