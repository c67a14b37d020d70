package storefake_test

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/signer"
)

// newAzureFixture is a store whose requests are signed for Azure, with the account's key.
func newAzureFixture(t *testing.T, edits ...func(*storefake.Config)) *fixture {
	t.Helper()
	f := newFixture(t, edits...)
	f.other = f.newAzure()
	return f
}

func (f *fixture) newAzure(edits ...func(*azure.Config)) *azure.Signer {
	f.Helper()
	c := azure.Config{Account: f.AzureAccount, Container: f.Bucket, Keys: f.AzureKey, Endpoint: f.Endpoint(), Clock: clock.Fixed(start), Backdate: -1}
	for _, edit := range edits {
		edit(&c)
	}
	s, err := azure.New(c)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// wantAzure sends a request that must be answered with this error of Azure's.
func (f *fixture) wantAzure(status int, req *http.Request, want map[string]string) {
	f.Helper()
	h, body := f.want(status, req)
	if req.Method == http.MethodHead {
		if h.Get("X-Ms-Error-Code") != want["Code"] || body != "" {
			f.Errorf("%v %q, want %v", h, body, want)
		}
		return
	}
	document, marked := strings.CutPrefix(body, "\uFEFF")
	got := elements(f.T, document)
	if !marked || h.Get("X-Ms-Error-Code") != got["Code"] || h.Get("Content-Type") != "application/xml" {
		f.Errorf("%q with %v", body, h)
	}
	end := fmt.Sprintf("\nRequestId:%s\nTime:2026-11-22T", h.Get("X-Ms-Request-Id"))
	message, _, ended := strings.Cut(got["Message"], end)
	if got["Message"] = message; !ended || h.Get("X-Ms-Request-Id") == "" {
		f.Errorf("the message %q does not end in %q", message, end)
	}
	f.sameElements(got, want)
}

// shared makes a request that is signed with Shared Key. target is path and query behind the container.
func (f *fixture) shared(method, target, body string, header ...string) *http.Request {
	f.Helper()
	req, err := http.NewRequest(method, f.URL+"/"+f.AzureAccount+"/demo"+target, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if err := f.newAzure().Sign(f.Context(), req); err != nil {
		f.Fatal(err)
	}
	return req
}

func TestAzureRoundTrip(t *testing.T) {
	f := newAzureFixture(t)
	delegated := f.newAzure(func(c *azure.Config) { c.Keys, c.Version = f.AzureDelegation, "2026-04-06" })
	for name, s := range map[string]*azure.Signer{"account key": f.newAzure(), "user delegation key": delegated} {
		f.other = s
		for _, key := range []string{"k", "a/b c+d%2Fe~.jpg", "a//b", "é😀", "trailing/", "%", "!$&'()*,;=:@[]?#"} {
			put := f.request(signer.Request{Method: "PUT", Key: key}, "hello")
			put.Header.Set("Content-Type", "text/plain")
			put.Header.Set("X-Ms-Blob-Cache-Control", "no-cache")
			put.Header.Set("Content-Disposition", "attachment") // which counts as x-ms-blob-content-disposition alone
			put.Header.Set("X-Ms-Meta-Color", "red")
			put.Header.Set("X-Ms-Version", "2021-08-06")
			put.Header.Set("X-Ms-Client-Request-Id", "mine")
			h, _ := f.want(201, put)
			if h.Get("Content-Md5") != "XUFAKrxLKna5cZ2REBfFkg==" || h.Get("ETag") == "" || h.Get("X-Ms-Request-Id") == "" ||
				h.Get("X-Ms-Version") != "2021-08-06" || h.Get("X-Ms-Client-Request-Id") != "mine" || h.Get("Last-Modified") != start.Format(http.TimeFormat) {
				t.Errorf("%s, %q: PUT answers with %v", name, key, h)
			}
			for _, method := range []string{"GET", "HEAD"} {
				h, got := f.want(200, f.request(signer.Request{Method: method, Key: key}, ""))
				if method == "GET" && got != "hello" || method == "HEAD" && got != "" {
					t.Errorf("%s, %q: %s gives %q", name, key, method, got)
				}
				for header, want := range map[string]string{"Content-Type": "text/plain", "Cache-Control": "no-cache", "X-Ms-Meta-Color": "red",
					"Content-Disposition": "", "X-Ms-Blob-Type": "BlockBlob", "Content-Md5": "XUFAKrxLKna5cZ2REBfFkg==", "Content-Length": "5"} {
					if h.Get(header) != want {
						t.Errorf("%s, %q: %s has %s %q, want %q", name, key, method, header, h.Get(header), want)
					}
				}
				if h.Get("X-Ms-Version") == "" {
					t.Errorf("%v", h) // that of the SAS
				}
			}
			f.want(202, f.request(signer.Request{Method: "DELETE", Key: key}, ""))
			f.wantAzure(404, f.request(signer.Request{Method: "DELETE", Key: key}, ""),
				map[string]string{"Code": "BlobNotFound", "Message": "The specified blob does not exist."})
		}
	}
	f.want(201, f.shared("PUT", "/k", "hello", "X-Ms-Blob-Type", "BlockBlob", "X-Ms-Blob-Content-Type", "text/x", "Content-Type", "text/y"))
	if h, body := f.want(200, f.shared("GET", "/k", "")); body != "hello" || h.Get("Content-Type") != "text/x" {
		t.Errorf("%q %v", body, h)
	}
	f.want(200, f.shared("GET", "?restype=container", ""))
	// A header that is signed must come as it was signed.
	f.other = delegated
	bound := f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"Content-Type": {"text/plain"}}}, "x")
	f.want(201, bound.Clone(t.Context()))
	bound = f.request(signer.Request{Method: "PUT", Key: "k", Header: http.Header{"Content-Type": {"text/plain"}}}, "x")
	bound.Header.Set("Content-Type", "text/html")
	f.want(403, bound)
}

func TestAzureOverridesAndRange(t *testing.T) {
	f := newAzureFixture(t)
	f.store("k", "0123456789")
	r := signer.Request{Key: "k", Response: signer.ResponseHeaders{ContentType: "text/x", ContentDisposition: signer.Attachment("ü.txt"),
		CacheControl: "no-store", ContentLanguage: "de", ContentEncoding: "br"}}
	req := f.request(r, "")
	req.Header.Set("X-Ms-Range", "bytes=2-4")
	req.Header.Set("Range", "bytes=5-6") // the other counts
	h, body := f.want(206, req)
	if body != "234" || h.Get("Content-Md5") != "" {
		t.Errorf("%q %v", body, h)
	}
	for name, want := range map[string]string{"Content-Type": "text/x", "Content-Disposition": signer.Attachment("ü.txt"),
		"Cache-Control": "no-store", "Content-Language": "de", "Content-Encoding": "br"} {
		if h.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, h.Get(name), want)
		}
	}
	req = f.request(signer.Request{Key: "k"}, "")
	req.Header.Set("Range", "bytes=10-")
	f.wantAzure(416, req, map[string]string{"Code": "InvalidRange", "Message": "The range specified is invalid for the current size of the resource."})
	added := f.request(signer.Request{Key: "k"}, "")
	added.URL.RawQuery += "&rscd=attachment"
	if got := f.azureDetail(403, added); !strings.HasPrefix(got, "Signature did not match.") {
		t.Errorf("%s", got)
	}
}

// azureDetail sends a request that must be answered with AuthenticationFailed, and returns the detail.
func (f *fixture) azureDetail(status int, req *http.Request) string {
	f.Helper()
	_, body := f.want(status, req)
	got := elements(f.T, strings.TrimPrefix(body, "\uFEFF"))
	if got["Code"] != "AuthenticationFailed" || !strings.HasPrefix(got["Message"], "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.\n") {
		f.Errorf("%v", got)
	}
	return got["AuthenticationErrorDetail"]
}

// sas is the URL of a SAS with these permissions.
func (f *fixture) sas(a azure.SAS) string {
	f.Helper()
	if a.Expires == 0 {
		a.Expires = time.Minute
	}
	p, err := f.newAzure().SAS(f.Context(), a)
	if err != nil {
		f.Fatal(err)
	}
	return p.URL
}

func (f *fixture) with(method, rawURL, body string, header ...string) *http.Request {
	f.Helper()
	req, err := http.NewRequestWithContext(f.Context(), method, rawURL, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

// A SAS grants permissions. Each does what its letter says, and nothing else.
func TestAzurePermissions(t *testing.T) {
	f := newAzureFixture(t)
	f.store("k", "x")
	const denied = "This request is not authorized to perform this operation using this permission."
	blob := []string{"X-Ms-Blob-Type", "BlockBlob"}
	mismatch := map[string]string{"Code": "AuthorizationPermissionMismatch", "Message": denied}
	read := f.sas(azure.SAS{Blob: "k", Permissions: "r"})
	f.want(200, f.with("GET", read, ""))
	f.wantAzure(403, f.with("PUT", read, "y", blob...), mismatch)
	f.wantAzure(403, f.with("DELETE", read, ""), mismatch)
	create := f.sas(azure.SAS{Blob: "k", Permissions: "c"})
	f.wantAzure(403, f.with("GET", create, ""), mismatch)
	f.wantAzure(403, f.with("PUT", create, "y", blob...), map[string]string{"Code": "UnauthorizedBlobOverwrite", "Message": "This request is not authorized to perform blob overwrites."})
	f.want(201, f.with("PUT", f.sas(azure.SAS{Blob: "new", Permissions: "c"}), "y", blob...))
	write := f.sas(azure.SAS{Blob: "k", Permissions: "w"})
	f.want(201, f.with("PUT", write, "y", blob...))
	f.wantAzure(409, f.with("PUT", write, "z", append(blob, "If-None-Match", "*")...), map[string]string{"Code": "BlobAlreadyExists", "Message": "The specified blob already exists."})
	f.wantAzure(412, f.with("PUT", write, "z", append(blob, "If-Match", `"other"`)...), map[string]string{"Code": "ConditionNotMet", "Message": "The condition specified using HTTP conditional header(s) is not met."})
	f.want(202, f.with("DELETE", f.sas(azure.SAS{Blob: "k", Permissions: "d"}), "", "X-Ms-Delete-Snapshots", "include"))

	// A container's SAS is for all that is in it, and lists if it has the letter.
	all := f.sas(azure.SAS{Permissions: "r"})
	f.want(200, f.with("GET", strings.Replace(all, "/demo?", "/demo/new?", 1), ""))
	f.wantAzure(403, f.with("GET", all+"&restype=container&comp=list", ""), mismatch)
	f.want(200, f.with("GET", f.sas(azure.SAS{Permissions: "l"})+"&restype=container&comp=list", ""))
	one := strings.Replace(f.sas(azure.SAS{Blob: "new", Permissions: "r"}), "/demo/new?", "/demo?restype=container&comp=list&", 1)
	if got := f.azureDetail(403, f.with("GET", one, "")); got != "The specified signed resource is not allowed for the this resource level" {
		t.Errorf("%q", got)
	}

	https := f.sas(azure.SAS{Blob: "new", Permissions: "r", Protocol: "https"})
	f.wantAzure(403, f.with("GET", https, ""), map[string]string{"Code": "AuthorizationProtocolMismatch", "Message": "This request is not authorized to perform this operation using this protocol."})
	far := f.sas(azure.SAS{Blob: "new", Permissions: "r", FirstIP: netip.MustParseAddr("192.0.2.1")})
	f.wantAzure(403, f.with("GET", far, ""), map[string]string{"Code": "AuthorizationSourceIPMismatch", "Message": "This request is not authorized to perform this operation using this source IP 127.0.0.1."})
	f.want(200, f.with("GET", f.sas(azure.SAS{Blob: "new", Permissions: "r", FirstIP: netip.MustParseAddr("127.0.0.1")}), ""))
}

func TestAzureTampering(t *testing.T) {
	f := newAzureFixture(t)
	f.store("k", "x")
	var trace signer.Trace
	p, err := f.other.Presign(signer.WithTrace(t.Context(), &trace), signer.Request{Key: "k", Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	signature := u.Query().Get("sig")
	for _, tt := range []struct{ part, old, new, from, to string }{
		{"nothing but the signature", url.QueryEscape(signature), url.QueryEscape(base64.StdEncoding.EncodeToString(make([]byte, 32))), "", ""},
		{"key", "/demo/k", "/demo/l", "/demo/k", "/demo/l"},
		{"container", "/demo/k", "/other/k", "/demo/k", "/other/k"},
		{"permissions", "sp=r&", "sp=rw&", "r\n", "rw\n"},
		{"end", "se=2026-11-22T06%3A25%3A07Z", "se=2026-11-22T07%3A25%3A07Z", "06:25:07", "07:25:07"},
		{"start", "st=2026-11-22T06%3A24%3A07Z", "st=2026-11-22T05%3A24%3A07Z", "06:24:07", "05:24:07"},
		{"resource", "sr=b", "sr=c", "", ""},
		{"version", "sv=2020-12-06", "sv=2022-11-02", "2020-12-06", "2022-11-02"},
	} {
		q := *p
		if q.URL = strings.Replace(p.URL, tt.old, tt.new, 1); q.URL == p.URL {
			t.Fatalf("%s: %s is not in the URL", tt.part, tt.old)
		}
		detail := f.azureDetail(403, f.requestOf(&q, ""))
		toSign, ok := strings.CutPrefix(detail, "Signature did not match. String to sign used was ")
		if want := strings.Replace(string(trace.StringToSign), tt.from, tt.to, 1); !ok || tt.part != "resource" && toSign != want {
			t.Errorf("%s: string to sign\n%q\nwant\n%q", tt.part, toSign, want)
		}
		if strings.Contains(detail, signature) {
			t.Errorf("%s: the answer holds the right signature", tt.part)
		}
	}
	f.want(200, f.requestOf(p, ""))

	// The same for a header that is signed.
	for part, edit := range map[string]func(*http.Request){
		"path":         func(r *http.Request) { r.URL.Path += "l" },
		"query":        func(r *http.Request) { r.URL.RawQuery = "timeout=5" },
		"method":       func(r *http.Request) { r.Method = "DELETE" },
		"header":       func(r *http.Request) { r.Header.Set("X-Ms-Version", "2021-08-06") },
		"header added": func(r *http.Request) { r.Header.Set("X-Ms-Meta-A", "b") },
	} {
		req := f.shared("GET", "/k", "")
		_, signature, _ := strings.Cut(req.Header.Get("Authorization"), ":")
		edit(req)
		want := "The MAC signature found in the HTTP request '" + signature + "' is not the same as any computed signature. Server used following string to sign: '"
		if got := f.azureDetail(403, req); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", part, got)
		}
	}
	if got, _, _ := f.Get("k"); string(got) != "x" {
		t.Errorf("%q", got)
	}
}

func TestAzureAuthenticationDetails(t *testing.T) {
	f := newAzureFixture(t)
	f.store("k", "x")
	p := f.presign(signer.Request{Key: "k"})
	by := func(edit func(*azure.Config)) *http.Request {
		p, err := f.newAzure(edit).Presign(t.Context(), signer.Request{Key: "k", Expires: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		return f.requestOf(p, "")
	}
	at := func(d time.Duration) func(*azure.Config) {
		return func(c *azure.Config) { c.Clock = clock.Fixed(start.Add(d)) }
	}
	query := func(old, new string) *http.Request {
		q := *p
		if q.URL = strings.Replace(p.URL, old, new, 1); q.URL == p.URL {
			t.Fatalf("%s is not in %s", old, signer.RedactURL(p.URL))
		}
		return f.requestOf(&q, "")
	}
	shared := func(d time.Duration) *http.Request {
		req, err := http.NewRequest("GET", f.URL+"/"+f.AzureAccount+"/demo/k", nil)
		if err == nil {
			err = f.newAzure(at(d)).Sign(t.Context(), req)
		}
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	other, err := azure.SharedKey(f.AzureAccount, base64.StdEncoding.EncodeToString([]byte("another key of this account")))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		req    *http.Request
		detail string
	}{
		{"expired", by(at(-2 * time.Hour)), "Signature not valid in the specified time frame: Start [Sun, 22 Nov 2026 04:24:07 GMT] - Expiry [Sun, 22 Nov 2026 04:25:07 GMT] - Current [Sun, 22 Nov 2026 06:24:07 GMT]"},
		{"early", by(at(20 * time.Minute)), "Signature not valid in the specified time frame: Start [Sun, 22 Nov 2026 06:44:07 GMT] - Expiry [Sun, 22 Nov 2026 06:45:07 GMT] - Current [Sun, 22 Nov 2026 06:24:07 GMT]"},
		{"expired, and no start", query("st=2026-11-22T06%3A24%3A07Z&se=2026-11-22T06%3A25%3A07Z", "se=2026-11-22T05%3A25%3A07Z"), "Signed expiry time [Sun, 22 Nov 2026 05:25:07 GMT] has to be after signed start time [Sun, 22 Nov 2026 06:24:07 GMT]"},
		{"end before start", query("se=2026-11-22T06%3A25%3A07Z", "se=2026-11-22T06%3A24%3A07Z"), "Signed expiry time [Sun, 22 Nov 2026 06:24:07 GMT] has to be after signed start time [Sun, 22 Nov 2026 06:24:07 GMT]"},
		{"another key", by(func(c *azure.Config) { c.Keys = other }), "Signature did not match. String to sign used was r\n…"},
		{"no end", query("se=2026-11-22T06%3A25%3A07Z&", ""), "se is mandatory. Cannot be empty"},
		{"no permissions", query("sp=r&", ""), "sp is mandatory. Cannot be empty"},
		{"empty field", query("sp=r&", "sp=r&sip=&"), "sip is optional but cannot be empty"},
		{"broken signature", query("&sig=", "&sig=%20"), "Signature fields not well formed."},
		{"order", query("sp=r&", "sp=wr&"), "Signature fields not well formed."},
		{"version", query("sv=2020-12-06", "sv=x"), "SAS field 'sv' is not well formed."},
		{"Shared Key, late", shared(-16 * time.Minute), "Request date header too old: 'Sun, 22 Nov 2026 06:08:07 GMT'"},
		{"unknown delegation key", by(func(c *azure.Config) {
			k := f.AzureDelegation
			k.SignedExpiry = "2026-11-23T06:24:07Z"
			c.Keys = k
		}), "azure: verify: skoid: …"},
	} {
		got := f.azureDetail(403, tt.req)
		if begin, open := strings.CutSuffix(tt.detail, "…"); got != tt.detail && (!open || !strings.HasPrefix(got, begin)) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.detail)
		}
	}
	// A user delegation key outlives no SAS, and dies by the store's clock.
	req := by(func(c *azure.Config) { c.Keys = f.AzureDelegation })
	f.want(200, req.Clone(t.Context()))
	long, err := f.newAzure(func(c *azure.Config) { c.Keys = f.AzureDelegation }).Presign(t.Context(), signer.Request{Key: "k", Expires: 6 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	f.Clock.Advance(7 * 24 * time.Hour)
	_, body := f.want(403, f.requestOf(long, ""))
	if !strings.Contains(body, "Signature not valid in the specified key time frame: Key start [Sun, 22 Nov 2026 06:09:07 GMT] - Key expiry [Sun, 29 Nov 2026 06:09:07 GMT] - Current [Sun, 29 Nov 2026 06:24:07 GMT]") {
		t.Errorf("%s", body)
	}
}

func TestAzureRefusals(t *testing.T) {
	f := newAzureFixture(t, func(c *storefake.Config) { c.MaxObject = 10 })
	f.store("k", "x")
	put := func(body string, header ...string) *http.Request {
		return f.with("PUT", f.sas(azure.SAS{Blob: "k", Permissions: "cw"}), body, append([]string{"X-Ms-Blob-Type", "BlockBlob"}, header...)...)
	}
	bare := f.URL + "/" + f.AzureAccount + "/demo/k"
	const notDone = "The requested operation is not implemented on the specified resource."
	account := func(a azure.AccountSAS) string {
		a.Expires = time.Minute
		p, err := f.newAzure().AccountSAS(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		_, query, _ := strings.Cut(p.URL, "?")
		return query
	}
	for _, tt := range []struct {
		name   string
		req    *http.Request
		status int
		want   map[string]string
	}{
		{"no signature", f.with("GET", bare, ""), 401, map[string]string{"Code": "NoAuthenticationInformation",
			"Message": "Server failed to authenticate the request. Please refer to the information in the www-authenticate header."}},
		{"a bearer token", f.with("GET", bare, "", "Authorization", "Bearer x"), 401, map[string]string{"Code": "NoAuthenticationInformation",
			"Message": "Server failed to authenticate the request. Please refer to the information in the www-authenticate header."}},
		{"a SAS in the header", f.with("GET", bare, "", "Authorization", "SharedAccessSignature sig=x"), 400, map[string]string{"Code": "InvalidAuthenticationInfo",
			"Message": "Authentication information is not given in the correct format. Check the value of Authorization header."}},
		{"a SAS and a header", f.with("GET", f.sas(azure.SAS{Blob: "k", Permissions: "r"}), "", "Authorization", "Bearer x"), 400, map[string]string{"Code": "InvalidAuthenticationInfo",
			"Message": "Authentication information is not given in the correct format. Check the value of Authorization header."}},
		{"account SAS for queues", f.with("GET", bare+"?"+account(azure.AccountSAS{Services: "q", ResourceTypes: "o", Permissions: "r"}), ""), 403,
			map[string]string{"Code": "AuthorizationServiceMismatch", "Message": "This request is not authorized to perform this operation using this service."}},
		{"account SAS for containers", f.with("GET", bare+"?"+account(azure.AccountSAS{Services: "b", ResourceTypes: "c", Permissions: "r"}), ""), 403,
			map[string]string{"Code": "AuthorizationResourceTypeMismatch", "Message": "This request is not authorized to perform this operation using this resource type."}},
		{"the list of containers", f.with("GET", f.URL+"/"+f.AzureAccount+"/?comp=list&"+account(azure.AccountSAS{Services: "b", ResourceTypes: "s", Permissions: "l"}), ""), 501,
			map[string]string{"Code": "NotImplemented", "Message": notDone}},

		{"no blob", f.request(signer.Request{Key: "none"}, ""), 404, map[string]string{"Code": "BlobNotFound", "Message": "The specified blob does not exist."}},
		{"no blob, HEAD", f.request(signer.Request{Method: "HEAD", Key: "none"}, ""), 404, map[string]string{"Code": "BlobNotFound"}},
		{"no container", f.request(signer.Request{Bucket: "other", Key: "k"}, ""), 404, map[string]string{"Code": "ContainerNotFound", "Message": "The specified container does not exist."}},
		{"no type", f.with("PUT", f.sas(azure.SAS{Blob: "k", Permissions: "cw"}), "x"), 400, map[string]string{"Code": "MissingRequiredHeader", "HeaderName": "x-ms-blob-type",
			"Message": "An HTTP header that's mandatory for this request is not specified."}},
		{"a page blob", put("", "X-Ms-Blob-Type", "PageBlob"), 501, map[string]string{"Code": "NotImplemented", "Message": notDone, "HeaderName": "x-ms-blob-type"}},
		{"no such type", put("", "X-Ms-Blob-Type", "Blob"), 400, map[string]string{"Code": "InvalidHeaderValue", "Message": "The value for one of the HTTP headers is not in the correct format.",
			"HeaderName": "x-ms-blob-type", "HeaderValue": "Blob"}},
		{"a copy", put("", "X-Ms-Copy-Source", "http://x"), 501, map[string]string{"Code": "NotImplemented", "Message": notDone, "HeaderName": "x-ms-copy-source"}},
		{"tags", put("", "X-Ms-Tags", "a=b"), 501, map[string]string{"Code": "NotImplemented", "Message": notDone, "HeaderName": "x-ms-tags"}},
		{"a lease", f.shared("PUT", "/k?comp=lease", ""), 501, map[string]string{"Code": "NotImplemented", "Message": notDone, "QueryParameterName": "comp"}},
		{"the head of a list of blocks", f.shared("HEAD", "/k?comp=blocklist", ""), 501, map[string]string{"Code": "NotImplemented", "Message": notDone, "QueryParameterName": "comp"}},
		{"blocks of a kind", f.shared("GET", "/k?comp=blocklist&blocklisttype=some", ""), 400, map[string]string{"Code": "InvalidQueryParameterValue", "QueryParameterName": "blocklisttype",
			"QueryParameterValue": "some", "Reason": "It is none of committed, uncommitted and all.", "Message": "Value for one of the query parameters specified in the request URI is invalid."}},
		{"a snapshot", f.shared("GET", "/k?snapshot=2026-11-22T06:24:07.0000000Z", ""), 501, map[string]string{"Code": "NotImplemented", "Message": notDone, "QueryParameterName": "snapshot"}},
		{"a scope of encryption", f.with("PUT", f.sas(azure.SAS{Blob: "k", Permissions: "cw", EncryptionScope: "scope"}), "x", "X-Ms-Blob-Type", "BlockBlob"), 501,
			map[string]string{"Code": "NotImplemented", "Message": notDone, "QueryParameterName": "ses"}},
		{"anything unsigned", f.with("GET", f.sas(azure.SAS{Blob: "k", Permissions: "r"})+"&a=b", ""), 501, map[string]string{"Code": "NotImplemented", "Message": notDone, "QueryParameterName": "a"}},
		{"time of a copy", put("x", "If-Modified-Since", start.Format(http.TimeFormat)), 501, map[string]string{"Code": "NotImplemented", "Message": notDone, "HeaderName": "if-modified-since"}},
		{"method", f.shared("POST", "/k", ""), 405, map[string]string{"Code": "UnsupportedHttpVerb", "Message": "The resource doesn't support specified Http Verb."}},
		{"large", put("01234567890"), 413, map[string]string{"Code": "RequestBodyTooLarge", "MaxLimit": "10", "Message": "The request body is too large and exceeds the maximum permissible limit."}},
		{"digest", put("hullo", "Content-Md5", "XUFAKrxLKna5cZ2REBfFkg=="), 400, map[string]string{"Code": "Md5Mismatch",
			"Message": "The MD5 value specified in the request did not match with the MD5 value calculated by the server."}},
		{"digest of the blob", put("hullo", "X-Ms-Blob-Content-Md5", "XUFAKrxLKna5cZ2REBfFkg=="), 400, map[string]string{"Code": "Md5Mismatch",
			"Message": "The MD5 value specified in the request did not match with the MD5 value calculated by the server."}},
		{"no digest", put("hullo", "Content-Md5", "x"), 400, map[string]string{"Code": "InvalidMd5",
			"Message": "The MD5 value specified in the request is invalid. MD5 value must be 128 bits and base64 encoded."}},
		{"metadata", put("x", "X-Ms-Meta-A", strings.Repeat("m", 8<<10)), 400, map[string]string{"Code": "MetadataTooLarge", "Message": "The metadata specified exceeds the maximum permissible limit."}},
		{"page", f.shared("GET", "?restype=container&comp=list&maxresults=0", ""), 400, map[string]string{"Code": "InvalidQueryParameterValue",
			"Message":            "Value for one of the query parameters specified in the request URI is invalid.",
			"QueryParameterName": "maxresults", "QueryParameterValue": "0", "Reason": "It must be a number from 1 on."}},
		{"what is in a list", f.shared("GET", "?restype=container&comp=list&include=snapshots", ""), 501, map[string]string{"Code": "NotImplemented", "Message": notDone, "QueryParameterName": "include"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			(&fixture{T: t, Server: f.Server}).wantAzure(tt.status, tt.req, tt.want)
		})
	}
	if got, _, _ := f.Get("k"); string(got) != "x" {
		t.Errorf("%q", got)
	}
}

func TestAzureList(t *testing.T) {
	f := newAzureFixture(t)
	all := []string{"B", "a", "a-", "a/1", "a/2", "a/b/3", "b", "z//y", "é/ü +%", "😀"}
	for _, key := range append(all, "\x01") {
		f.store(key, key)
	}
	type names struct {
		Names []struct {
			Name struct {
				Encoded bool   `xml:",attr"`
				Text    string `xml:",chardata"`
			}
			Size int `xml:"Properties>Content-Length"`
		} `xml:"Blobs>Blob"`
		Prefixes   []string `xml:"Blobs>BlobPrefix>Name"`
		NextMarker string
	}
	list := func(query string) (keys, prefixes []string, next string) {
		t.Helper()
		_, body := f.want(200, f.with("GET", f.sas(azure.SAS{Permissions: "l"})+"&restype=container&comp=list&"+query, ""))
		var l names
		if err := xml.Unmarshal([]byte(body), &l); err != nil || !strings.Contains(body, `ContainerName="demo"`) {
			t.Fatalf("%v: %s", err, body)
		}
		for _, n := range l.Names {
			if n.Name.Encoded {
				if n.Name.Text != "%01" {
					t.Errorf("%+v", n)
				}
				continue
			}
			keys = append(keys, n.Name.Text)
			if n.Size != len(n.Name.Text) {
				t.Errorf("%+v", n)
			}
		}
		return keys, l.Prefixes, l.NextMarker
	}
	for _, tt := range []struct {
		query          string
		keys, prefixes []string
	}{
		{"", all, nil},
		{"prefix=a%2F", []string{"a/1", "a/2", "a/b/3"}, nil},
		{"delimiter=/", []string{"B", "a", "a-", "b", "😀"}, []string{"a/", "z/", "é/"}},
		{"delimiter=/&prefix=a/&timeout=30", []string{"a/1", "a/2"}, []string{"a/b/"}},
		{"maxresults=9999", all, nil},
	} {
		if keys, prefixes, next := list(tt.query); !slices.Equal(keys, tt.keys) || !slices.Equal(prefixes, tt.prefixes) || next != "" {
			t.Errorf("%s: %q %q %q", tt.query, keys, prefixes, next)
		}
	}
	for _, delimiter := range []string{"", "/"} {
		wholeKeys, wholePrefixes, _ := list("delimiter=" + delimiter)
		var keys, prefixes []string
		for marker, pages := "", 0; ; pages++ {
			k, p, next := list("maxresults=2&delimiter=" + delimiter + "&marker=" + marker)
			keys, prefixes = append(keys, k...), append(prefixes, p...)
			if marker = next; next == "" || pages > len(all) {
				break
			}
		}
		if !slices.Equal(keys, wholeKeys) || !slices.Equal(prefixes, wholePrefixes) {
			t.Errorf("page by page: %q %q", keys, prefixes)
		}
	}
	// As Presign does it, and with the prefix under no signature.
	p, err := f.other.Presign(t.Context(), signer.Request{Query: url.Values{"prefix": {"b"}}, Expires: time.Minute, BestEffort: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, body := f.want(200, f.requestOf(p, "")); strings.Count(body, "<Blob>") != 1 {
		t.Errorf("%s", body)
	}
}

func TestAzureBlocks(t *testing.T) {
	f := newAzureFixture(t, func(c *storefake.Config) { c.MaxObject, c.MaxBytes, c.MaxUploads = 20, 42, 1 })
	id := func(n int) string { return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "block-%02d", n)) }
	put := func(key, id, body string, header ...string) *http.Request {
		return f.with("PUT", f.sas(azure.SAS{Blob: key, Permissions: "w"})+"&comp=block&blockid="+url.QueryEscape(id), body, header...)
	}
	commit := func(permissions, list string, header ...string) *http.Request {
		return f.with("PUT", f.sas(azure.SAS{Blob: "k", Permissions: permissions})+"&comp=blocklist", "<BlockList>"+list+"</BlockList>", header...)
	}
	latest := func(n int) string { return "<Latest>" + id(n) + "</Latest>" }
	get := func(want string) http.Header {
		t.Helper()
		h, body := f.want(200, f.request(signer.Request{Key: "k"}, ""))
		if body != want {
			t.Errorf("%q, want %q", body, want)
		}
		return h
	}
	blocks := func(key, kind, want string) {
		t.Helper()
		_, body := f.want(200, f.with("GET", f.sas(azure.SAS{Blob: key, Permissions: "r"})+"&comp=blocklist&blocklisttype="+kind, ""))
		if _, list, _ := strings.Cut(body, "\n"); list != "<BlockList>"+want+"</BlockList>" {
			t.Errorf("%s, want %s", list, want)
		}
	}
	listed := func(n, size int) string {
		return fmt.Sprintf("<Block><Name>%s</Name><Size>%d</Size></Block>", id(n), size)
	}
	f.wantAzure(404, f.with("GET", f.sas(azure.SAS{Blob: "k", Permissions: "r"})+"&comp=blocklist&blocklisttype=all", ""),
		map[string]string{"Code": "BlobNotFound", "Message": "The specified blob does not exist."})
	f.store("k", "old")
	f.want(201, put("k", id(2), "wrong"))
	h, _ := f.want(201, put("k", id(2), "hello", "Content-Md5", "XUFAKrxLKna5cZ2REBfFkg=="))
	if h.Get("Content-Md5") != "XUFAKrxLKna5cZ2REBfFkg==" {
		t.Errorf("%v", h)
	}
	f.want(201, put("k", id(1), "one "))
	f.want(201, put("k", id(3), "unused"))
	get("old")
	blocks("k", "all", "<CommittedBlocks></CommittedBlocks><UncommittedBlocks>"+listed(1, 4)+listed(2, 5)+listed(3, 6)+"</UncommittedBlocks>")
	f.want(201, commit("w", latest(1)+"<Uncommitted>"+id(2)+"</Uncommitted>", "X-Ms-Blob-Content-Type", "text/x", "X-Ms-Meta-A", "b", "Content-Type", "application/xml"))
	if h := get("one hello"); h.Get("Content-Type") != "text/x" || h.Get("X-Ms-Meta-A") != "b" || h.Get("Content-Md5") != "" {
		t.Errorf("%v", h)
	}
	blocks("k", "uncommitted", "<UncommittedBlocks></UncommittedBlocks>")
	blocks("k", "", "<CommittedBlocks>"+listed(1, 4)+listed(2, 5)+"</CommittedBlocks>")
	invalid := map[string]string{"Code": "InvalidBlockList", "Message": "The specified block list is invalid."}
	f.wantAzure(400, commit("w", latest(3)), invalid) // it went with the others
	// What is committed can be named again.
	f.want(201, put("k", id(4), " again"))
	f.want(201, commit("w", "<Committed>"+id(2)+"</Committed>"+latest(4)+latest(2)))
	get("hello againhello")
	f.wantAzure(400, commit("w", "<Uncommitted>"+id(2)+"</Uncommitted>"), invalid)
	f.wantAzure(400, commit("w", "<Committed>"+id(1)+"</Committed>"), invalid)
	f.wantAzure(400, commit("w", "<Last>"+id(2)+"</Last>"), map[string]string{"Code": "InvalidXmlDocument", "Message": "XML specified is not syntactically valid."})
	f.wantAzure(413, commit("w", strings.Repeat(latest(2), 5)), map[string]string{"Code": "RequestBodyTooLarge", "MaxLimit": "20",
		"Message": "The request body is too large and exceeds the maximum permissible limit."})
	f.wantAzure(403, commit("c", latest(2)), map[string]string{"Code": "UnauthorizedBlobOverwrite", "Message": "This request is not authorized to perform blob overwrites."})
	f.wantAzure(409, commit("w", latest(2), "If-None-Match", "*"), map[string]string{"Code": "BlobAlreadyExists", "Message": "The specified blob already exists."})
	get("hello againhello")

	f.wantAzure(400, put("k", "!", "x"), map[string]string{"Code": "InvalidQueryParameterValue", "QueryParameterName": "blockid", "QueryParameterValue": "!",
		"Reason": "It must be the base64 of 1 to 64 bytes.", "Message": "Value for one of the query parameters specified in the request URI is invalid."})
	f.want(201, put("k", id(1), "x"))
	f.wantAzure(400, put("k", "YQ==", "x"), map[string]string{"Code": "InvalidBlobOrBlock", "Message": "The specified blob or block content is invalid."})
	f.wantAzure(403, put("l", id(1), "x"), map[string]string{"Code": "QuotaExceeded", "Message": "The store is full: delete something, or start it with higher limits."})
	f.wantAzure(501, put("k", id(1), "x", "X-Ms-Meta-A", "b"), map[string]string{"Code": "NotImplemented", "HeaderName": "x-ms-meta-a",
		"Message": "The requested operation is not implemented on the specified resource."})
	// A blob in one piece takes the blocks of its name away, and all was given back.
	f.want(201, f.request(signer.Request{Method: "PUT", Key: "k"}, strings.Repeat("x", 20)))
	f.wantAzure(400, commit("w", latest(1)), invalid)
	f.want(201, f.request(signer.Request{Method: "PUT", Key: "l"}, strings.Repeat("x", 20)))
	f.want(201, f.request(signer.Request{Method: "PUT", Key: "m"}, "xx"))
	f.want(202, f.request(signer.Request{Method: "DELETE", Key: "l"}, ""))
	// A blob of no blocks.
	f.want(201, commit("w", ""))
	get("")
}
