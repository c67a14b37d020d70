package azure_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Attacks that work on other signers and verifiers, or would on these if a check were missing.

// A line feed in a field makes two fields of one under the same signature. Here what was signed as rscd "attachment" is sent as rscd
// and rsce.
func TestAttackFieldsMadeOfOne(t *testing.T) {
	for _, tt := range []struct{ signed, sent url.Values }{
		{url.Values{"rscd": {"a\nb"}}, url.Values{"rscd": {"a"}, "rsce": {"b"}, "rscl": {""}}},
		{url.Values{"ses": {"a\nno-store"}}, url.Values{"ses": {"a"}, "rscc": {"no-store"}}},
	} {
		query := goodQuery()
		for name, values := range tt.signed {
			query[name] = values
		}
		in := handmade(t, query, "/blob/myaccount/photos/k")
		if g, err := newVerifier(t).Verify(ctx, in); err == nil {
			t.Errorf("as it was signed: %+v", g)
		}
		for name := range tt.signed {
			query.Del(name)
		}
		for name, values := range tt.sent {
			query[name] = values
		}
		in.RequestURI = "/photos/k?" + query.Encode()
		if g, err := newVerifier(t).Verify(ctx, in); err == nil {
			t.Errorf("as two fields: %+v", g)
		}
	}
}

// The name of a blob can hold line feeds. None may pass for another name and fields behind it, in the layout of another version:
// whatever a signer signs has one reading.
func TestAttackNameThatHoldsFields(t *testing.T) {
	layouts := map[string][]string{ // what stands behind the resource
		"2012-02-12": {"si", "sv"},
		"2013-08-15": {"si", "sv", "rscc", "rscd", "rsce", "rscl", "rsct"},
		"2015-04-05": {"si", "sip", "spr", "sv", "rscc", "rscd", "rsce", "rscl", "rsct"},
		"2018-11-09": {"si", "sip", "spr", "sv", "sr", "", "rscc", "rscd", "rsce", "rscl", "rsct"},
		"2020-12-06": {"si", "sip", "spr", "sv", "sr", "", "ses", "rscc", "rscd", "rsce", "rscl", "rsct"},
	}
	v := newVerifier(t)
	readings := 0
	for own := range layouts {
		s := newSigner(t, version(own))
		for forged, fields := range layouts {
			// As many lines in the name as the forged layout needs, each what it wants to see there.
			for lines := range len(fields) + 2 {
				name := "secret"
				for i := range lines {
					line := ""
					if i < len(fields) && fields[i] == "sv" {
						line = forged
					}
					if i < len(fields) && fields[i] == "sr" {
						line = "b"
					}
					name += "\n" + line
				}
				var trace signer.Trace
				p, err := s.Presign(signer.WithTrace(ctx, &trace), signer.Request{Key: name, Expires: time.Hour})
				if err != nil {
					if !errors.Is(err, signer.ErrUnsupported) {
						t.Fatal(err)
					}
					continue
				}
				signed := strings.Split(string(trace.StringToSign), "\n")
				tail := len(signed) - len(fields)
				if tail < 4 {
					continue
				}
				query := url.Values{"sp": {signed[0]}, "st": {signed[1]}, "se": {signed[2]}, "sr": {"b"}, "sig": {params(t, p.URL).Get("sig")}}
				for i, field := range fields {
					if field != "" && signed[tail+i] != "" {
						query.Set(field, signed[tail+i])
					}
				}
				blob := strings.Join(signed[3:tail], "\n")
				blob = strings.TrimPrefix(strings.TrimPrefix(blob, "/blob"), "/myaccount/photos/")
				if blob == name && forged == own {
					continue // as it was meant
				}
				readings++
				in := httptest.NewRequest("GET", "https://myaccount.blob.core.windows.net/", nil)
				in.RequestURI = "/photos/" + url.PathEscape(blob) + "?" + query.Encode()
				if g, err := v.Verify(ctx, in); err == nil {
					t.Errorf("a URL for %q in version %s opens %q in version %s", name, own, g.Key, query.Get("sv"))
				}
			}
		}
	}
	if readings < 50 {
		t.Errorf("only %d readings were tried", readings)
	}
}

// A SAS for a container named like the beginning of another, for a blob named like a directory, for the root container.
func TestAttackNeighbours(t *testing.T) {
	s, v := newSigner(t), newVerifier(t)
	get := func(path, query string) error {
		in := arrive(httptest.NewRequest("GET", "https://myaccount.blob.core.windows.net/x?"+query, nil))
		in.RequestURI = path + query
		_, err := v.Verify(ctx, in)
		return err
	}
	container := sign(t, s, azure.SAS{Permissions: "rl", Expires: time.Hour})
	blob := sign(t, s, azure.SAS{Blob: "a/b", Permissions: "r", Expires: time.Hour})
	root := sign(t, s, azure.SAS{Container: "$root", Blob: "photos", Permissions: "r", Expires: time.Hour})
	for path, query := range map[string]string{
		"/photos2/k?": container, "/photos-2/k?": container, "/photos?": container, "/$root/photos?": container, "/?comp=list&": container, "/photos%2F..%2Fvideos/k?": blob,
		"/photos/a?": blob, "/photos/a/b/c?": blob, "/photos/a/b/?": blob, "/photos/a//b?": blob, "/photos/A/b?": blob, "//photos/a/b?": blob, "/photos/a%252Fb?": blob,
		"/photos/k?": root, "/photos?restype=container&": root, "/photos?restype=container&comp=list&": root,
	} {
		if err := get(path, query); err == nil {
			t.Errorf("%s is granted", path)
		}
	}
	azurite := func(c *azure.VerifierConfig) { c.Endpoint = mustURL(t, "http://127.0.0.1:10000") }
	for target, ok := range map[string]bool{"/myaccount/photos/k?": true, "/myaccount-secondary/photos/k?": true, "/myaccountphotos/k?": false, "/myaccount-secondaryphotos/k?": false,
		"/photos/k?": false, "/another/photos/k?": false, "/?": false, "/myaccount?": false, "/myaccount/another/photos/k?": false} {
		in := httptest.NewRequest("GET", "http://127.0.0.1:10000/", nil)
		in.RequestURI = target + container
		if _, err := newVerifier(t, azurite).Verify(ctx, in); ok != (err == nil) {
			t.Errorf("%s: %v", target, err)
		}
	}
	for path, query := range map[string]string{"/photos/k?": container, "/photos%2Fk?": container, "/photos/a%2fb?": blob, "/photos?": root, "/$root/photos?": root, "/%24root/photos?": root} {
		if err := get(path, query); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Before 2018-11-09 the kind of resource was not signed, nor a snapshot. A URL for a blob must not open one.
func TestAttackUnsignedResource(t *testing.T) {
	p, err := newSigner(t, version("2015-04-05")).Presign(ctx, signer.Request{Key: "k", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{
		"sr=b&": "sr=bs&snapshot=2026-11-20T01%3A02%3A03.4567890Z&", "&sr=b&": "&sr=bv&versionid=2026-11-20T01%3A02%3A03.4567890Z&", "&sr=b": "&sr=c", "sr=b": "sr=d&sdd=1", "?": "?snapshot=2026-11-20T01%3A02%3A03.4567890Z&",
	} {
		in := received(t, p, nil)
		in.RequestURI = strings.Replace(in.RequestURI, from, to, 1)
		if g, err := newVerifier(t).Verify(ctx, in); err == nil {
			t.Errorf("%s: %+v", in.RequestURI, g)
		}
	}
}

// Lists in a URL are a stranger's: a megabyte of names must cost no more than reading it. Parameters are at most a thousand.
func TestAttackLongLists(t *testing.T) {
	var srh, srq, query strings.Builder
	h := make(http.Header)
	for i := range 50_000 {
		name := "X-" + strconv.Itoa(i)
		h[name] = []string{""}
		fmt.Fprintf(&srh, ",%s", name)
		if i < 900 {
			fmt.Fprintf(&srq, ",%s", name)
			fmt.Fprintf(&query, "&%s=", name)
		}
	}
	for list, names := range map[string]string{"srh": srh.String(), "srq": srq.String()} {
		in := httptest.NewRequest("GET", "https://myaccount.blob.core.windows.net/photos/k", nil)
		in.RequestURI = "/photos/k?sv=2026-04-06&sr=b&sp=r&se=2027-01-01&skoid=a&sktid=b&skt=2026-11-24&ske=2026-12-01&sks=b&skv=2026-04-06&sig=" + strings.Repeat("A", 43) + "%3D" + query.String() +
			"&" + list + "=" + names[1:]
		in.Header = h
		if _, err := newVerifier(t).Verify(ctx, in); !errors.Is(err, signer.ErrUnknownKey) {
			t.Errorf("%s: %v", list, err)
		}
	}
}

// In the canonicalized resource of Shared Key one parameter could pass for two, and a name with a colon for another name.
func TestAttackParametersMadeOfOne(t *testing.T) {
	toSign := "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Tue, 24 Nov 2026 23:59:49 GMT\nx-ms-version:2020-12-06\n/myaccount/photos/k\ncomp:metadata\nsnapshot:x"
	for query, ok := range map[string]bool{"comp=metadata&snapshot=x": true, "snapshot=x&comp=metadata": true, "SNAPSHOT=x&Comp=metadata": true,
		"comp=metadata%0Asnapshot:x": false, "comp:metadata%0Asnapshot=x": false, "comp%3Ametadata%0Asnapshot=x": false} {
		in := httptest.NewRequest("GET", "https://myaccount.blob.core.windows.net/photos/k", nil)
		in.RequestURI = "/photos/k?" + query
		in.Header = http.Header{"X-Ms-Date": {"Tue, 24 Nov 2026 23:59:49 GMT"}, "X-Ms-Version": {"2020-12-06"}, "Authorization": {"SharedKey myaccount:" + mac(key(t).Secret().Reveal(), toSign)}}
		g, err := newVerifier(t).Verify(ctx, in)
		if ok != (err == nil) || ok && (g.Query.Get("comp") != "metadata" || g.Query.Get("snapshot") != "x") {
			t.Errorf("%s: %+v, %v", query, g, err)
		}
	}
	toSign = strings.Replace(toSign, "comp:metadata\nsnapshot:x", "a:b:c", 1)
	for _, query := range []string{"a=b:c", "a:b=c"} {
		in := httptest.NewRequest("GET", "https://myaccount.blob.core.windows.net/photos/k", nil)
		in.RequestURI = "/photos/k?" + query
		in.Header = http.Header{"X-Ms-Date": {"Tue, 24 Nov 2026 23:59:49 GMT"}, "X-Ms-Version": {"2020-12-06"}, "Authorization": {"SharedKey myaccount:" + mac(key(t).Secret().Reveal(), toSign)}}
		g, err := newVerifier(t).Verify(ctx, in)
		if query == "a=b:c" && err != nil || query != "a=b:c" && err == nil {
			t.Errorf("%s: %+v, %v", query, g, err)
		}
	}
}

// The lists srh and srq are not signed themselves. A name with a colon would take a part of the value with it.
func TestAttackNamesWithValues(t *testing.T) {
	s := newSigner(t, delegated, version("2026-04-06"))
	p, err := s.Presign(ctx, signer.Request{Key: "k", Expires: time.Hour, Query: url.Values{"a": {"b:c"}}})
	if err != nil {
		t.Fatal(err)
	}
	in := received(t, p, nil)
	if _, err := newVerifier(t).Verify(ctx, in); err != nil {
		t.Fatal(err)
	}
	in.RequestURI = strings.NewReplacer("a=b%3Ac", "a%3Ab=c", "srq=a", "srq=a%3Ab").Replace(in.RequestURI)
	g, err := newVerifier(t).Verify(ctx, in)
	wantRefusal(t, g, err, signer.ErrMalformed, "srq", "AuthenticationFailed")
	in = received(t, p, nil)
	in.RequestURI = strings.Replace(in.RequestURI, "srq=a", "srq=a%2Ca", 1)
	g, err = newVerifier(t).Verify(ctx, in)
	wantRefusal(t, g, err, signer.ErrMalformed, "srq", "AuthenticationFailed")
}

// Lite signs no parameter but comp, so the grant has no other.
func TestAttackLiteQuery(t *testing.T) {
	req := request(t, "GET", "https://myaccount.blob.core.windows.net/photos/k?comp=metadata&snapshot=x", "")
	if err := newSigner(t).SignLite(ctx, req); err != nil {
		t.Fatal(err)
	}
	in := arrive(req)
	in.RequestURI = "/photos/k?comp=metadata&snapshot=y"
	g, err := newVerifier(t).Verify(ctx, in)
	if err != nil || len(g.Query) != 1 || g.Query.Get("comp") != "metadata" {
		t.Errorf("%+v, %v", g, err)
	}
	in.RequestURI = "/photos/k?comp=lease&snapshot=x"
	if g, err := newVerifier(t).Verify(ctx, in); err == nil {
		t.Errorf("another comp: %+v", g)
	}
}

// A user delegation SAS must not pass for one of the account's, nor a service SAS for an account SAS, whatever fields are added.
func TestAttackAnotherKind(t *testing.T) {
	service := sign(t, newSigner(t), azure.SAS{Blob: "k", Permissions: "r", Expires: time.Hour})
	user := sign(t, newSigner(t, delegated), azure.SAS{Blob: "k", Permissions: "r", Expires: time.Hour})
	whole, err := newSigner(t).AccountSAS(ctx, azure.AccountSAS{Services: "b", ResourceTypes: "o", Permissions: "r", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	_, account, _ := strings.Cut(whole.URL, "?")
	drop := func(query string, names ...string) string {
		q, _ := url.ParseQuery(query)
		for _, name := range names {
			q.Del(name)
		}
		return q.Encode()
	}
	for name, query := range map[string]string{
		"a service SAS with ss":              service + "&ss=b&srt=sco",
		"a service SAS as an account's":      drop(service, "sr") + "&ss=b&srt=sco",
		"an account SAS with sr":             account + "&sr=c",
		"an account SAS as a service's":      drop(account, "ss", "srt") + "&sr=c",
		"a delegation SAS without its key":   drop(user, "skoid", "sktid", "skt", "ske", "sks", "skv"),
		"a delegation SAS without an owner":  drop(user, "skoid"),
		"a delegation SAS for another user":  strings.Replace(user, oid, tid, 1),
		"a service SAS with a key's owner":   service + "&skoid=" + oid,
		"a delegation SAS with ss":           user + "&ss=b&srt=sco",
		"a delegation SAS of another life":   strings.Replace(user, "ske=2026-11-25", "ske=2026-12-25", 1),
		"a delegation SAS of another tenant": strings.Replace(user, tid, oid, 1),
	} {
		in := arrive(httptest.NewRequest("GET", "https://myaccount.blob.core.windows.net/photos/k?"+query, nil))
		if g, err := newVerifier(t).Verify(ctx, in); err == nil {
			t.Errorf("%s: %+v", name, g)
		}
	}
}

// Shared Key signs a missing Content-Length as it signs one of zero. A request that was signed for an empty body must not carry
// another one in chunks.
func TestAttackBodyInChunks(t *testing.T) {
	req, err := http.NewRequest(http.MethodPut, "https://myaccount.blob.core.windows.net/photos/k", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Ms-Blob-Type", "BlockBlob")
	if err := newSigner(t).Sign(ctx, req); err != nil {
		t.Fatal(err)
	}
	in := httptest.NewRequest(http.MethodPut, req.URL.String(), http.NoBody)
	in.Header = req.Header
	if _, err := newVerifier(t).Verify(ctx, in); err != nil {
		t.Fatal(err)
	}
	in.Body, in.ContentLength, in.TransferEncoding = io.NopCloser(strings.NewReader("another body")), -1, []string{"chunked"}
	_, err = newVerifier(t).Verify(ctx, in)
	if e := (*signer.Error)(nil); !errors.Is(err, signer.ErrMalformed) || !errors.As(err, &e) || e.Code != "MissingContentLengthHeader" {
		t.Errorf("error %v", err)
	}
}

// d deletes, and y deletes for good. A spelling that some servers take for "permanent" must not pass for none.
func TestAttackDeleteTypes(t *testing.T) {
	for _, tt := range []struct {
		sp, deletetype string
		ok             bool
	}{{"d", "", true}, {"y", "&deletetype=permanent", true}, {"d", "&deletetype=permanent", false}, {"d", "&deletetype=Permanent", false}, {"d", "&deletetype=permanent%20", false}, {"d", "&deletetype=", false},
		{"d", "&DeleteType=permanent", false}, {"dy", "&deletetype=PERMANENT", false}} {
		query := sign(t, newSigner(t), azure.SAS{Permissions: tt.sp, Expires: time.Hour}) + "&snapshot=2026-11-20T01%3A02%3A03.4567890Z" + tt.deletetype
		in := arrive(httptest.NewRequest("DELETE", "https://myaccount.blob.core.windows.net/photos/k?"+query, nil))
		if g, err := newVerifier(t).Verify(ctx, in); tt.ok != (err == nil) {
			t.Errorf("sp=%s%s: %+v, %v", tt.sp, tt.deletetype, g, err)
		}
	}
}

// A parameter has thousands of spellings, of which none is worth an error of its own.
func TestAttackSpellings(t *testing.T) {
	const name = "deletetype"
	var query strings.Builder
	for n := range 1 << len(name) {
		query.WriteByte('&')
		for i := range len(name) {
			query.WriteByte(name[i] - byte(n>>i&1)*32)
		}
	}
	in := arrive(httptest.NewRequest("GET", "https://myaccount.blob.core.windows.net/photos/k?"+sign(t, newSigner(t), azure.SAS{Blob: "k", Permissions: "r", Expires: time.Hour})+query.String(), nil))
	if _, err := newVerifier(t).Verify(ctx, in); !errors.Is(err, signer.ErrMalformed) || len(flat(err)) > 2 {
		t.Errorf("%d errors", len(flat(err)))
	}
}

// Headers are signed as lines, without a list of their names: one with a line feed in it would pass for two, and the other could be
// left out. net/http delivers none, but another server may.
func TestAttackHeaderMadeOfTwo(t *testing.T) {
	req := request(t, "PUT", "https://myaccount.blob.core.windows.net/photos/k", "", "X-Ms-Blob-Type", "BlockBlob", "X-Ms-Lease-Id", "1", "If-None-Match", "*")
	if err := newSigner(t).Sign(ctx, req); err != nil {
		t.Fatal(err)
	}
	p, err := newSigner(t, delegated, version("2026-04-06")).Presign(ctx, signer.Request{Method: "PUT", Key: "k", Expires: time.Hour,
		Header: http.Header{"X-Ms-Blob-Type": {"BlockBlob"}, "X-Ms-Lease-Id": {"1"}}})
	if err != nil {
		t.Fatal(err)
	}
	short := received(t, p, nil)
	short.RequestURI = strings.Replace(short.RequestURI, "srh=x-ms-blob-type%2Cx-ms-lease-id", "srh=x-ms-blob-type", 1)
	for name, in := range map[string]*http.Request{"a header": arrive(req), "a URL": short} {
		in.Header["X-Ms-Blob-Type"] = []string{"BlockBlob\nx-ms-lease-id:1"}
		delete(in.Header, "X-Ms-Lease-Id")
		if g, err := newVerifier(t).Verify(ctx, in); !errors.Is(err, signer.ErrMalformed) && !errors.Is(err, signer.ErrMismatch) {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
}
