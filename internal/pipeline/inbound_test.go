package pipeline

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

func checkRefusal(t *testing.T, err, sentinel error, field, code string) {
	t.Helper()
	var e *signer.Error
	if !errors.As(err, &e) || !errors.Is(err, sentinel) || e.Field != field || e.Code != code || e.Backend != op.Backend || e.Op != op.Name {
		t.Errorf("got %#v, %v, want %v about %q with the code %q", e, err, sentinel, field, code)
	}
}

func TestFaults(t *testing.T) {
	f := Faults{Op: op, Code: "BadForm"}
	if err := f.Err(); err != nil {
		t.Errorf("without a fault: %v", err)
	}
	f.Malformed("Date", "it is %d: %w", 7, wire.ErrEscape)
	checkRefusal(t, f.Err(), signer.ErrMalformed, "Date", "BadForm")
	f.Code = "BadScope"
	f.Add(signer.ErrScope, "Region", "it is wrong")
	checkRefusal(t, f.Errs[1], signer.ErrScope, "Region", "BadScope")
	for _, want := range []error{signer.ErrMalformed, signer.ErrScope, wire.ErrEscape} {
		if !errors.Is(f.Err(), want) {
			t.Errorf("%v is not joined in %v", want, f.Err())
		}
	}
	for i := range 100 {
		f.Malformed(fmt.Sprint(i), "it is wrong")
	}
	checkRefusal(t, f.Errs[len(f.Errs)-1], signer.ErrMalformed, "29", "BadScope")
	if len(f.Errs) != 32 {
		t.Errorf("102 faults make %d errors", len(f.Errs))
	}
}

func TestCanonicalNames(t *testing.T) {
	if _, err := CanonicalNames(op, nil, "Bad"); !errors.Is(err, signer.ErrMalformed) {
		t.Errorf("no request: %v", err)
	}
	for _, h := range []http.Header{nil, {}, {"X-Amz-Date": {"1"}, "Etag": {"2"}}} {
		req := &http.Request{Header: h}
		if got, err := CanonicalNames(op, req, "Bad"); got != req || err != nil {
			t.Errorf("%v: %p instead of %p, %v", h, got, req, err)
		}
	}

	req := request("PUT", "https://h/a")()
	req.Host, req.RequestURI, req.ContentLength = "front", "/b", 5
	req.Header = http.Header{"x-amz-date": {"1"}, "ETAG": {"2", "3"}, "Date": {"4"}}
	before := req.Header.Clone()
	got, err := CanonicalNames(op, req, "Bad")
	if err != nil {
		t.Fatal(err)
	}
	if want := (http.Header{"X-Amz-Date": {"1"}, "Etag": {"2", "3"}, "Date": {"4"}}); !reflect.DeepEqual(got.Header, want) {
		t.Errorf("the header is %v, want %v", got.Header, want)
	}
	if !reflect.DeepEqual(req.Header, before) {
		t.Errorf("the caller's header is %v now", req.Header)
	}
	if got.Header = req.Header; !reflect.DeepEqual(got, req) {
		t.Errorf("the rest is %+v, want %+v", got, req)
	}

	for _, h := range []http.Header{
		{"X-A": {"1"}, "x-a": {"1"}}, {"x-A": {"1"}, "x-a": {"2"}}, {"a b": {"1"}}, {"": {"1"}}, {"Date:": {"1"}},
		{"X-\u212a": {"1"}}, // the sign for kelvin folds to k
	} {
		got, err := CanonicalNames(op, &http.Request{Header: h}, "Bad")
		checkRefusal(t, err, signer.ErrMalformed, "Header", "Bad")
		if got != nil {
			t.Errorf("%v gets a request, too", h)
		}
	}
}

func TestRequestTarget(t *testing.T) {
	for _, tt := range []struct {
		name, uri, rawURL string // no rawURL: URL is nil
		path, query       string // no path: refused
	}{
		{"path and query of the URL", "", "https://h/a%2Fb//c?x=%20+&y", "/a%2Fb//c", "x=%20+&y"},
		{"no path", "", "https://h?x=1", "/", "x=1"},
		{"a path without a slash", "", "a?x=1", "", ""},
		{"an opaque URL", "", "mailto:a", "/", ""},
		{"neither URL nor RequestURI", "", "", "", ""},

		{"RequestURI rules", "/a%2fb//c/../d?x=%7e&&y", "https://h/d?x=~", "/a%2fb//c/../d", "x=%7e&&y"},
		{"RequestURI alone", "/a", "", "/a", ""},
		{"two question marks", "/a?b?c", "", "/a", "b?c"},
		{"two slashes", "//h/a", "", "//h/a", ""},
		{"an address in the path", "/https://h/a", "", "/https://h/a", ""},
		{"an address in the query", "/a?u=http://h/b", "", "/a", "u=http://h/b"},
		{"to a proxy", "http://h:9000/a?b", "https://other/c", "/a", "b"},
		{"to a proxy, secured", "https://h/a//?b=/", "", "/a//", "b=/"},
		{"to a proxy, no path", "https://h", "https://h/a", "", ""},
		{"to a proxy, a query and no path", "http://h?b=/c", "https://h/a", "", ""},
		{"to a proxy of another kind", "ftp://h/a", "https://h/a", "", ""},
		{"OPTIONS *", "*", "https://h/a", "", ""},
		{"CONNECT", "h:443", "https://h/a", "", ""},
		{"only a query", "?a", "https://h/a", "", ""},
		{"as many parameters as there may be", "/a?" + strings.Repeat("&", 999), "", "/a", strings.Repeat("&", 999)},
		{"one more", "/a?" + strings.Repeat("&", 1000), "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := &http.Request{RequestURI: tt.uri}
			if tt.rawURL != "" {
				req.URL = request("GET", tt.rawURL)().URL
			}
			path, query, err := RequestTarget(Op{"b", "verify"}, req, "InvalidURI")
			switch {
			case tt.path == "":
				if e := (*signer.Error)(nil); !errors.Is(err, signer.ErrMalformed) || !errors.As(err, &e) || e.Code != "InvalidURI" || e.Field != "URL" {
					t.Errorf("got %q, %q, %v", path, query, err)
				}
			case err != nil || (path != tt.path || query != tt.query):
				t.Errorf("got %q and %q, %v, want %q and %q", path, query, err, tt.path, tt.query)
			}
		})
	}
}

func TestWord(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "Signature=5a": "Signature", "X-Amz-Date": "X-Amz-Date", "az-AZ": "az-AZ", "ab0cd": "ab", "0ab": "", "a b": "a",
		"\x1b[31m": "", "é": "", "@a": "", "[a": "",
		strings.Repeat("a", 24): strings.Repeat("a", 24), strings.Repeat("a", 25): strings.Repeat("a", 24),
	} {
		if got := Word(s); got != want {
			t.Errorf("of %q: %q, want %q", s, got, want)
		}
	}
}

func TestShown(t *testing.T) {
	const all = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:*"
	for c := range 256 {
		s, want := "a"+string([]byte{byte(c)}), "(2 characters)"
		if strings.Contains(all, s[1:]) {
			want = `"` + s + `"`
		}
		if got := Shown(s); got != want {
			t.Errorf("%q is shown as %s, want %s", s, got, want)
		}
	}
	for s, want := range map[string]string{
		"": `""`, "us-east-1": `"us-east-1"`, strings.Repeat("a", 24): `"` + strings.Repeat("a", 24) + `"`,
		strings.Repeat("a", 25): "(25 characters)",
		"/":                     "(1 characters)", "é": "(2 characters)",
	} {
		if got := Shown(s); got != want {
			t.Errorf("%q is shown as %s, want %s", s, got, want)
		}
	}
}

func TestSignedHeaders(t *testing.T) {
	for value, fault := range map[string]string{ // no fault: it is good
		"host": "", "content-type;host;x-amz-date": "", "!#$;host": "",
		"": "empty", "host;": "empty", ";host": "empty", "a;;host": "empty",
		"Host": "lower case", "a b;host": "lower case", "a;host;x-Amz-Date": "lower case", "h\u00f6st;host": "lower case",
		"x-a;host": "not sorted", "host;host": "not sorted", "a;host;b": "not sorted",
		"content-type": "host is not among them", "hosts": "host is not among them", "content-type;x-host": "host is not among them",
	} {
		f := Faults{Op: op, Code: "BadForm"}
		names := f.SignedHeaders("X-Names", value)
		if got := strings.Join(names, ";"); got != value {
			t.Errorf("%q is read as %q", value, names)
		}
		if fault == "" {
			if f.Err() != nil {
				t.Errorf("%q is refused: %v", value, f.Err())
			}
			continue
		}
		checkRefusal(t, f.Err(), signer.ErrMalformed, "X-Names", "BadForm")
		if len(f.Errs) != 1 || !strings.Contains(f.Err().Error(), fault) {
			t.Errorf("%q: got %v, want one fault with %q", value, f.Err(), fault)
		}
	}
}

func TestLooseHeaders(t *testing.T) {
	type names = []string
	for _, tt := range []struct {
		name            string
		header, trailer names
		signed          names
		trailers        bool
		want            string // the field; "" for no fault
	}{
		{"none", nil, nil, names{"host"}, true, ""},
		{"signed", names{"X-Amz-Acl", "X-Goog-Acl", "X-Oss-Acl"}, nil, names{"host", "x-amz-acl", "x-goog-acl", "x-oss-acl"}, true, ""},
		{"nobody's", names{"Content-Type", "X-Forwarded-For", "X-Amz", "X-Amzn-Trace-Id", "X", "X-", "", "Y-Amz-Acl",
			"X_amz-Acl", "X-Ms-Date", "Amz-Acl"}, nil, names{"host"}, true, ""},
		{"Amazon's", names{"X-Amz-Copy-Source"}, nil, names{"host", "x-amz-copy", "x-amz-copy-source-range"}, false, "x-amz-copy-source"},
		{"Google's", names{"X-Goog-Acl"}, nil, names{"host", "x-amz-acl"}, false, "x-goog-acl"},
		{"Alibaba's", names{"X-Oss-Acl"}, nil, names{"host", "x-amz-acl"}, false, "x-oss-acl"},
		{"the shortest", names{"X-Amz-"}, nil, names{"host"}, false, "x-amz-"},
		{"in lower case and in capitals", names{"x-amz-b", "X-AMZ-A", "x-OSS-c"}, nil, names{"host"}, false, "x-amz-a,x-amz-b,x-oss-c"},
		{"one of three is signed", names{"X-Amz-C", "X-Amz-B", "X-Amz-A"}, nil, names{"host", "x-amz-b"}, false, "x-amz-a,x-amz-c"},
		{"nothing is signed", names{"X-Amz-A"}, nil, nil, false, "x-amz-a"},
		{"in a trailer", names{"X-Amz-B"}, names{"X-Amz-A", "Expires"}, names{"host"}, true, "x-amz-a,x-amz-b"},
		{"signed, in a trailer", nil, names{"X-Amz-A"}, names{"host", "x-amz-a"}, true, ""},
		{"in a trailer that is checked elsewhere", names{"X-Amz-B"}, names{"X-Amz-A"}, names{"host"}, false, "x-amz-b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := &http.Request{Header: http.Header{}, Trailer: http.Header{}}
			for _, name := range tt.header {
				req.Header[name] = []string{"1"}
			}
			for _, name := range tt.trailer {
				req.Trailer[name] = nil // announced, as they are before the body is read
			}
			f := Faults{Op: op, Code: "BadForm"}
			f.LooseHeaders(req, tt.signed, tt.trailers, "AccessDenied")
			if tt.want != "" {
				checkRefusal(t, f.Err(), signer.ErrMismatch, tt.want, "AccessDenied")
			} else if f.Err() != nil {
				t.Errorf("refused: %v", f.Err())
			}
		})
	}

	many := &http.Request{Header: http.Header{}}
	var want []string
	for i := range 100 {
		name := fmt.Sprintf("x-amz-%02d", i)
		many.Header[name], want = nil, append(want, name)
	}
	f := Faults{Op: op}
	f.LooseHeaders(many, nil, false, "AccessDenied")
	checkRefusal(t, f.Err(), signer.ErrMismatch, strings.Join(want[:32], ","), "AccessDenied")
}

func TestSignedHeader(t *testing.T) {
	req := &http.Request{Header: http.Header{"Content-Type": {"text/plain"}, "X-Amz-Meta-A": {"1", "2"}, "X-Empty": {""}, "X-Unsigned": {"1"},
		"X-Amz-Security-Token": {"s"}, "X-Oss-Security-Token": {"s"}, "X-Goog-Encryption-Key": {"s"},
		"X-Amz-Server-Side-Encryption-Customer-Key":             {"s"},
		"X-Amz-Server-Side-Encryption-Customer-Key-Md5":         {"hash"},
		"X-Goog-Encryption-Key-Sha256":                          {"hash"},
		"X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key": {"s"}}}
	signed := []string{"content-type", "host", "x-amz-copy-source-server-side-encryption-customer-key", "x-amz-meta-a", "x-amz-missing",
		"x-amz-security-token", "x-amz-server-side-encryption-customer-key", "x-amz-server-side-encryption-customer-key-md5", "x-empty",
		"x-goog-encryption-key", "x-goog-encryption-key-sha256", "x-oss-security-token"}
	want := http.Header{"Content-Type": {"text/plain"}, "X-Amz-Meta-A": {"1,2"}, "X-Empty": {""},
		"X-Amz-Server-Side-Encryption-Customer-Key-Md5": {"hash"}, "X-Goog-Encryption-Key-Sha256": {"hash"}}
	got := SignedHeader(req, signed, nil)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// What the scheme does not tell apart is granted as it was signed, and a length as net/http counted it.
	folded := &http.Request{ContentLength: 5, Header: http.Header{"Content-Length": {"7"}, "Cookie": {"a=b"}, "Host": {"evil.example"},
		"X-Goog-Copy-Source": {" a  b\t", "c"}, "X-Goog-Copy-Source-Encryption-Key": {"s"}}}
	names := []string{"content-length", "cookie", "host", "x-goog-copy-source", "x-goog-copy-source-encryption-key"}
	if got, want := SignedHeader(folded, names, Folded), (http.Header{"Content-Length": {"5"}, "X-Goog-Copy-Source": {"a b,c"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got["Content-Type"][0] = "changed"
	if req.Header["Content-Type"][0] != "text/plain" {
		t.Error("the grant shares the request's memory")
	}
	for _, none := range [][]string{nil, {"host"}, {"host", "x-amz-security-token"}} {
		if got := SignedHeader(req, none, nil); got != nil {
			t.Errorf("of %q: %#v, want nil", none, got)
		}
	}
}

// The digests are NIST's:
// https://csrc.nist.gov/CSRC/media/Projects/Cryptographic-Standards-and-Guidelines/documents/examples/SHA256.pdf
func TestFingerprint(t *testing.T) {
	for identity, want := range map[string]string{
		"abc": "ba7816bf8f01cfea414140de5dae2223",
		"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": "248d6a61d20638b8e5c026930c3e6039",
	} {
		if got := Fingerprint([]byte(identity)); got != want {
			t.Errorf("of %q: %s, want %s", identity, got, want)
		}
	}
}

func TestLocations(t *testing.T) {
	own := []string{"s3.eu-west-1.example", "s3.example"}
	auto := Locations{Scheme: "https", Hosts: own, Addressing: signer.AddressingAuto}
	inPath := Locations{Scheme: "https", Hosts: own, Addressing: signer.AddressingPath}
	inHost := Locations{Scheme: "https", Hosts: own, Addressing: signer.AddressingVirtualHost}
	isHost := Locations{Scheme: "http", Hosts: []string{"photos.example", "[2001:db8::1]:9000"}, Addressing: signer.AddressingBucketHost}
	based := Locations{Scheme: "http", Hosts: []string{"gw:9000"}, Base: "/s3%20x", Addressing: signer.AddressingAuto}
	anywhere := Locations{Scheme: "https", Hosts: own, AnyHost: true, Base: "/s3", Addressing: signer.AddressingPath}
	for _, tt := range []struct {
		name        string
		at          Locations
		host, path  string
		bucket, key string
	}{
		{"in the path", auto, "s3.eu-west-1.example", "/photos/2026/cat.jpg", "photos", "2026/cat.jpg"},
		{"in the path, and nowhere else", inPath, "s3.eu-west-1.example", "/photos/2026/cat.jpg", "photos", "2026/cat.jpg"},
		{"in the host", auto, "photos.s3.eu-west-1.example", "/2026/cat.jpg", "photos", "2026/cat.jpg"},
		{"in the host, and nowhere else", inHost, "photos.s3.eu-west-1.example", "/2026/cat.jpg", "photos", "2026/cat.jpg"},
		{"in the second host", auto, "photos.s3.example", "/a", "photos", "a"},
		{"under the second host", auto, "s3.example", "/photos/a", "photos", "a"},
		{"of several labels", auto, "my.photos.s3.example", "/a", "my.photos", "a"},
		{"in capitals, with a port that is none", auto, "Photos.S3.Example:443", "/A", "photos", "A"},
		{"of the bucket", auto, "s3.example", "/photos", "photos", ""},
		{"of the bucket, with a slash", auto, "s3.example", "/photos/", "photos", ""},
		{"of the bucket in the host", auto, "photos.s3.example", "/", "photos", ""},
		{"of the service", auto, "s3.example", "/", "", ""},
		{"a key that begins with a slash", auto, "s3.example", "/photos//a//", "photos", "/a//"},
		{"encoded", auto, "s3.example", "/photos/a%20b+c%2Fd%C3%A9%0A%25", "photos", "a b+c/dé\n%"},
		{"a slash that is encoded", auto, "s3.example", "/photos%2Fa", "photos", "a"},
		{"dots in a key", auto, "s3.example", "/photos/../a/.", "photos", "../a/."},

		{"the host is the bucket", isHost, "Photos.example:80", "/a/b", "photos.example", "a/b"},
		{"the address is the bucket", isHost, "[2001:db8::1]:9000", "/a/b", "2001.db8..1", "a/b"},
		{"under a base", based, "gw:9000", "/s3%20x/photos/a", "photos", "a"},
		{"under a base in another spelling", based, "gw:9000", "/%73%33%20x/photos/a", "photos", "a"},
		{"under a base, in the host", based, "photos.gw:9000", "/s3%20x/a", "photos", "a"},
		{"the base itself", based, "gw:9000", "/s3%20x", "", ""},
		{"the base itself, in the host", based, "photos.gw:9000", "/s3%20x", "photos", ""},
		{"any host", anywhere, "photos.example", "/s3/files/a/b", "files", "a/b"},
		{"no host", anywhere, "", "/s3/files", "files", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bucket, key, err := tt.at.Object(op, tt.host, tt.path)
			if bucket != tt.bucket || key != tt.key || err != nil {
				t.Errorf("got %q and %q, %v, want %q and %q", bucket, key, err, tt.bucket, tt.key)
			}
		})
	}

	for _, tt := range []struct {
		name        string
		at          Locations
		host, path  string
		sentinel    error
		field, code string
	}{
		{"a bucket in the path, where it goes into the host", inHost, "s3.example", "/photos/a", signer.ErrScope, "Host", "InvalidRequest"},
		{"a bucket in the host, where it goes into the path", inPath, "photos.s3.example", "/a", signer.ErrScope, "Host", "InvalidRequest"},
		{"a bucket before the host that is one", isHost, "my.photos.example", "/a", signer.ErrScope, "Host", "InvalidRequest"},
		{"another host", auto, "evil.example", "/photos/a", signer.ErrScope, "Host", "InvalidRequest"},
		{"a host that begins like ours", auto, "s3.example.evil.example", "/photos/a", signer.ErrScope, "Host", "InvalidRequest"},
		{"a host that ends like ours", auto, "evils3.example", "/a", signer.ErrScope, "Host", "InvalidRequest"},
		{"no host", auto, "", "/photos/a", signer.ErrScope, "Host", "InvalidRequest"},
		{"another port", auto, "s3.example:8443", "/photos/a", signer.ErrScope, "Host", "InvalidRequest"},
		{"the port of another scheme", auto, "s3.example:80", "/photos/a", signer.ErrScope, "Host", "InvalidRequest"},
		{"no bucket in the path", auto, "s3.example", "//a", signer.ErrScope, "URL", "InvalidBucketName"},
		{"no bucket in the host", auto, ".s3.example", "/a", signer.ErrScope, "URL", "InvalidBucketName"},
		{"a bucket of two dots", auto, "s3.example", "/%2e%2E/a", signer.ErrScope, "URL", "InvalidBucketName"},
		{"a bucket with a user", auto, "photos@x.s3.example", "/a", signer.ErrScope, "URL", "InvalidBucketName"},
		{"a bucket with a NUL", anywhere, "", "/s3/a%00/b", signer.ErrScope, "URL", "InvalidBucketName"},
		{"a key with a NUL", auto, "s3.example", "/photos/a%00b", signer.ErrMalformed, "URL", "InvalidURI"},
		{"a key that is not UTF-8", auto, "photos.s3.example", "/a%ff", signer.ErrMalformed, "URL", "InvalidURI"},
		{"a broken escape", auto, "s3.example", "/photos/%zz", wire.ErrEscape, "URL", "InvalidURI"},
		{"a broken escape is a fault of form", anywhere, "", "/s3/photos/%4", signer.ErrMalformed, "URL", "InvalidURI"},
		{"outside the base", based, "gw:9000", "/photos/a", signer.ErrScope, "URL", "InvalidURI"},
		{"the base is a beginning only", based, "gw:9000", "/s3%20xy/a", signer.ErrScope, "URL", "InvalidURI"},
		{"outside the base, any host", anywhere, "", "/a/s3/b", signer.ErrScope, "URL", "InvalidURI"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bucket, key, err := tt.at.Object(op, tt.host, tt.path)
			checkRefusal(t, err, tt.sentinel, tt.field, tt.code)
			if bucket != "" || key != "" {
				t.Errorf("with %q and %q", bucket, key)
			}
		})
	}

	_, _, err := auto.Object(op, "other.example", "/photos/a")
	for _, part := range []string{`"other.example"`, own[0], "VerifierConfig.Endpoint", "Inbound"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("no word of %s in %v", part, err)
		}
	}
	if _, _, err := auto.Object(op, "AKIA secret.example", "/a"); strings.Contains(strings.ToLower(err.Error()), "secret.example") {
		t.Errorf("what is no host is shown: %v", err)
	}
}

// What Locate says of an endpoint is where Object finds the objects under it.
func TestLocationsOfAnEndpoint(t *testing.T) {
	const key = "a b/c%2F+é"
	for _, raw := range []string{"https://h", "http://H:80/", "https://h:443/a%20b/", "http://h:9000/c%2Fd/%25//", "http://[2001:DB8::1]:9000/e"} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		scheme, host, base := Locate(u)
		l := Locations{Scheme: scheme, Hosts: []string{host}, Base: base, Addressing: signer.AddressingAuto}
		inPath := wire.AppendEscapePath([]byte(base+"/"), "photos/"+key)
		inHost := wire.AppendEscapePath([]byte(base+"/"), key)
		for _, at := range [][2]string{{u.Host, string(inPath)}, {"photos." + u.Host, string(inHost)}} {
			bucket, got, err := l.Object(op, at[0], at[1])
			if !slices.Equal([]string{bucket, got}, []string{"photos", key}) || err != nil {
				t.Errorf("%s: %q has %q and %q, %v", raw, at, bucket, got, err)
			}
		}
	}
}

// A URL that was signed for the key photos/cat.jpg of the bucket in its host must not open the bucket photos.
func TestLocationsAnyHostButABuckets(t *testing.T) {
	l := Locations{Scheme: "https", Hosts: []string{"s3.example"}, AnyHost: true, Addressing: signer.AddressingPath}
	for host, good := range map[string]bool{"uploads.s3.example": false, "UPLOADS.S3.EXAMPLE:443": false, "s3.example": true, "xs3.example": true, "127.0.0.1:9000": true} {
		if _, _, err := l.Object(op, host, "/photos/cat.jpg"); (err == nil) != good || !good && !errors.Is(err, signer.ErrScope) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestClip(t *testing.T) {
	for name, want := range map[string]string{"": "", "x-amz-acl": "x-amz-acl", strings.Repeat("a", 48): strings.Repeat("a", 48),
		strings.Repeat("a", 49): strings.Repeat("a", 48) + "..."} {
		if got := Clip(name); got != want {
			t.Errorf("%q becomes %q", name, got)
		}
	}
}
