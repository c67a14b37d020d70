package azure_test

import (
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

func request(t testing.TB, method, url, body string, headers ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	return req
}

func TestSign(t *testing.T) {
	const blob = "https://myaccount.blob.core.windows.net/photos/a%20b"
	for _, tt := range []struct {
		name   string
		req    *http.Request
		lite   bool
		conf   func(*azure.Config)
		toSign string
	}{
		{"get", request(t, "GET", blob, ""), false, nil, "GET||||||||||||x-ms-date:Tue, 24 Nov 2026 23:59:49 GMT|x-ms-version:2020-12-06|/myaccount/photos/a%20b"},
		{"lite", request(t, "GET", blob+"?comp=metadata&timeout=5", ""), true, nil, "GET||||x-ms-date:Tue, 24 Nov 2026 23:59:49 GMT|x-ms-version:2020-12-06|/myaccount/photos/a%20b?comp=metadata"},
		{"everything", request(t, "PUT", blob+"?timeout=5&comp=a%2Cb&Comp=A", "12345", "Content-Encoding", "gzip", "Content-Language", "de", "Content-Md5", "bWQ1", "Content-Type", "text/plain", "Date", "ignored",
			"If-Modified-Since", "ims", "If-Match", "im", "If-None-Match", "inm", "If-Unmodified-Since", "ius", "Range", "bytes=0-4",
			"X-Ms-Meta-A_b", " two  words ", "X-Ms-Meta-A1", "1", "X-Ms-Meta-A1", "2", "X-Ms-Meta-Empty", "", "X-Ms-Version", "2026-04-06"), false, nil,
			"PUT|gzip|de|5|bWQ1|text/plain||ims|im|inm|ius|bytes=0-4|x-ms-date:Tue, 24 Nov 2026 23:59:49 GMT|x-ms-meta-a_b:two  words|x-ms-meta-a1:1,2|x-ms-meta-empty:|x-ms-version:2026-04-06|/myaccount/photos/a%20b|comp:A,a,b|timeout:5"},
		{"empty headers of old", request(t, "GET", blob, "", "X-Ms-Meta-Empty", "", "X-Ms-Version", "2015-12-11"), false, nil,
			"GET||||||||||||x-ms-date:Tue, 24 Nov 2026 23:59:49 GMT|x-ms-version:2015-12-11|/myaccount/photos/a%20b"},
		{"no body of old", request(t, "PUT", blob, "", "X-Ms-Version", "2014-02-14"), false, nil,
			"PUT|||0|||||||||x-ms-date:Tue, 24 Nov 2026 23:59:49 GMT|x-ms-version:2014-02-14|/myaccount/photos/a%20b"},
		{"get of old", request(t, "GET", blob, "", "X-Ms-Version", "2014-02-14"), false, nil,
			"GET||||||||||||x-ms-date:Tue, 24 Nov 2026 23:59:49 GMT|x-ms-version:2014-02-14|/myaccount/photos/a%20b"},
		{"account in the path", request(t, "GET", "http://127.0.0.1:10000/myaccount/photos/k", ""), false, func(c *azure.Config) { c.Endpoint = mustURL(t, "http://127.0.0.1:10000") },
			"GET||||||||||||x-ms-date:Tue, 24 Nov 2026 23:59:49 GMT|x-ms-version:2020-12-06|/myaccount/myaccount/photos/k"},
		{"no path", request(t, "GET", "https://myaccount.blob.core.windows.net?comp=list", ""), false, nil,
			"GET||||||||||||x-ms-date:Tue, 24 Nov 2026 23:59:49 GMT|x-ms-version:2020-12-06|/myaccount/|comp:list"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var conf []func(*azure.Config)
			v := newVerifier(t)
			if tt.conf != nil {
				conf = append(conf, tt.conf)
				v = newVerifier(t, func(c *azure.VerifierConfig) { c.Endpoint = mustURL(t, "http://127.0.0.1:10000") })
			}
			s := newSigner(t, conf...)
			sign, scheme := s.Sign, "SharedKey"
			if tt.lite {
				sign, scheme = s.SignLite, "SharedKeyLite"
			}
			var trace signer.Trace
			if err := sign(signer.WithTrace(ctx, &trace), tt.req); err != nil {
				t.Fatal(err)
			}
			if got := strings.ReplaceAll(string(trace.StringToSign), "\n", "|"); got != tt.toSign {
				t.Errorf("signed is\n %s, want\n %s", got, tt.toSign)
			}
			if got := tt.req.Header.Get("Authorization"); got != scheme+" myaccount:"+mac(key(t).Secret().Reveal(), string(trace.StringToSign)) {
				t.Error(got)
			}
			g, err := v.Verify(ctx, arrive(tt.req))
			if err != nil || g.Scheme != scheme || g.KeyID != "myaccount" || g.Method != tt.req.Method || !g.SignedAt.Equal(now.Truncate(time.Second)) {
				t.Errorf("%+v, %v", g, err)
			}
		})
	}
}

func TestSignErrors(t *testing.T) {
	const blob = "https://myaccount.blob.core.windows.net/photos/k"
	for _, tt := range []struct {
		name  string
		req   *http.Request
		conf  func(*azure.Config)
		class error
		field string
	}{
		{"a delegation key", request(t, "GET", blob, ""), delegated, signer.ErrCredentials, "Keys"},
		{"a SAS in the URL", request(t, "GET", blob+"?sv=1&sig=x", ""), nil, signer.ErrConflict, "URL"},
		{"a signature of another's", request(t, "GET", blob+"?X-Amz-Signature=x", ""), nil, signer.ErrConflict, "URL"},
		{"a bearer token", request(t, "GET", blob, "", "Authorization", "Bearer x"), nil, signer.ErrConflict, "Authorization"},
		{"a version that is none", request(t, "GET", blob, "", "X-Ms-Version", "new"), nil, signer.ErrRequest, "Version"},
		{"a parameter without a name", request(t, "GET", blob+"?=x", ""), nil, signer.ErrRequest, "URL"},
		{"a parameter with a colon", request(t, "GET", blob+"?a%3Ab=x", ""), nil, signer.ErrRequest, "URL"},
		{"a header with a line feed", request(t, "GET", blob, "", "X-Ms-Meta-A", "a\nb"), nil, signer.ErrRequest, "Header"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var conf []func(*azure.Config)
			if tt.conf != nil {
				conf = append(conf, tt.conf)
			}
			before := tt.req.Header.Clone()
			wantError(t, newSigner(t, conf...).Sign(ctx, tt.req), tt.class, tt.field)
			if !reflect.DeepEqual(before, tt.req.Header) {
				t.Errorf("the request was changed: %v", tt.req.Header)
			}
		})
	}
	// Where the account is in the path, a request for another one is refused.
	for target, ok := range map[string]bool{"http://127.0.0.1:10000/myaccount/photos/k": true, "http://127.0.0.1:10000/myaccount-secondary/photos/k": true, "http://127.0.0.1:10001/myaccount?comp=list": true,
		"http://127.0.0.1:10000/another/photos/k": false, "http://127.0.0.1:10000/myaccount2/photos/k": false, "http://127.0.0.1:10000/": false, "http://127.0.0.1:10000": false, blob: false} {
		req := request(t, "GET", target, "")
		for _, sign := range []func(*azure.Signer) error{func(s *azure.Signer) error { return s.Sign(ctx, req) }, func(s *azure.Signer) error { return s.SignLite(ctx, req) }} {
			err := sign(newSigner(t, func(c *azure.Config) { c.Endpoint = mustURL(t, "http://127.0.0.1:10000") }))
			if ok && err != nil {
				t.Errorf("%s: %v", target, err)
			} else if !ok {
				wantError(t, err, signer.ErrRequest, "URL")
			}
		}
	}
	twice := request(t, "GET", blob, "")
	twice.Header["x-ms-meta-a"], twice.Header["X-Ms-Meta-A"] = []string{"1"}, []string{"2"}
	wantError(t, newSigner(t).Sign(ctx, twice), signer.ErrRequest, "Header")
}

func TestVerifySharedKey(t *testing.T) {
	const blob = "https://myaccount.blob.core.windows.net/photos/a%20b?timeout=5"
	fresh := func() *http.Request {
		req := request(t, "PUT", blob, "12345", "Content-Type", "text/plain", "X-Ms-Blob-Type", "BlockBlob", "Accept", "x")
		if err := newSigner(t).Sign(ctx, req); err != nil {
			t.Fatal(err)
		}
		return arrive(req)
	}
	g, err := newVerifier(t).Verify(ctx, fresh())
	if err != nil || g.Bucket != "photos" || g.Key != "a b" || g.Query.Get("timeout") != "5" || g.Header.Get("X-Ms-Blob-Type") != "BlockBlob" ||
		!slices.Equal(g.SignedHeaders, []string{"content-type", "x-ms-blob-type", "x-ms-date", "x-ms-version"}) ||
		!g.NotBefore.Equal(now.Truncate(time.Second).Add(-15*time.Minute)) || !g.ExpiresAt.Equal(now.Truncate(time.Second).Add(15*time.Minute)) {
		t.Errorf("%+v, %v", g, err)
	}
	sig := strings.TrimPrefix(fresh().Header.Get("Authorization"), "SharedKey myaccount:")
	for _, tt := range []struct {
		name        string
		edit        func(*http.Request)
		class       error
		field, code string
	}{
		{"another method", func(r *http.Request) { r.Method = "DELETE" }, signer.ErrMismatch, "Authorization", "AuthenticationFailed"},
		{"another path", func(r *http.Request) { r.RequestURI = "/photos/a%20c?timeout=5" }, signer.ErrMismatch, "Authorization", "AuthenticationFailed"},
		{"another spelling of the path", func(r *http.Request) { r.RequestURI = "/photos/%61%20b?timeout=5" }, signer.ErrMismatch, "Authorization", "AuthenticationFailed"},
		{"another query", func(r *http.Request) { r.RequestURI += "&comp=block" }, signer.ErrMismatch, "Authorization", "AuthenticationFailed"},
		{"another length", func(r *http.Request) { r.ContentLength = 6 }, signer.ErrMismatch, "Authorization", "AuthenticationFailed"},
		{"another type", func(r *http.Request) { r.Header.Set("Content-Type", "text/html") }, signer.ErrMismatch, "Authorization", "AuthenticationFailed"},
		{"a range", func(r *http.Request) { r.Header.Set("Range", "bytes=0-1") }, signer.ErrMismatch, "Authorization", "AuthenticationFailed"},
		{"another header", func(r *http.Request) { r.Header.Set("X-Ms-Copy-Source", "x") }, signer.ErrMismatch, "Authorization", "AuthenticationFailed"},
		{"an empty header", func(r *http.Request) { r.Header.Set("X-Ms-Meta-A", "") }, signer.ErrMismatch, "Authorization", "AuthenticationFailed"},
		{"a header of another vendor", func(r *http.Request) { r.Header.Set("X-Amz-Acl", "x") }, signer.ErrMismatch, "x-amz-acl", "AuthenticationFailed"},
		{"as Lite", func(r *http.Request) { r.Header.Set("Authorization", "SharedKeyLite myaccount:"+sig) }, signer.ErrMismatch, "Authorization", "AuthenticationFailed"},
		{"another account", func(r *http.Request) { r.Header.Set("Authorization", "SharedKey another:"+sig) }, signer.ErrScope, "Authorization", "InvalidAuthenticationInfo"},
		{"no account", func(r *http.Request) { r.Header.Set("Authorization", "SharedKey "+sig) }, signer.ErrMalformed, "Authorization", "InvalidAuthenticationInfo"},
		{"a scheme that is none", func(r *http.Request) { r.Header.Set("Authorization", "SharedKeyHeavy myaccount:"+sig) }, signer.ErrMalformed, "Authorization", "InvalidAuthenticationInfo"},
		{"a signature cut", func(r *http.Request) { r.Header.Set("Authorization", "SharedKey myaccount:"+sig[:43]) }, signer.ErrMalformed, "Authorization", "InvalidAuthenticationInfo"},
		{"base64 written otherwise", func(r *http.Request) { r.Header.Set("Authorization", "SharedKey myaccount:"+otherBase64(sig)) }, signer.ErrMalformed, "Authorization", "InvalidAuthenticationInfo"},
		{"two authorizations", func(r *http.Request) { r.Header.Add("Authorization", "Bearer x") }, signer.ErrConflict, "Authorization", "InvalidAuthenticationInfo"},
		{"a SAS too", func(r *http.Request) { r.RequestURI += "&sig=x" }, signer.ErrConflict, "Authorization", "InvalidAuthenticationInfo"},
		{"no date", func(r *http.Request) { r.Header.Del("X-Ms-Date") }, signer.ErrMalformed, "Date", "InvalidAuthenticationInfo"},
		{"two dates", func(r *http.Request) { r.Header.Add("X-Ms-Date", r.Header.Get("X-Ms-Date")) }, signer.ErrMalformed, "x-ms-date", "InvalidAuthenticationInfo"},
		{"a date that is none", func(r *http.Request) { r.Header.Set("X-Ms-Date", "now") }, signer.ErrMalformed, "x-ms-date", "InvalidAuthenticationInfo"},
		{"a date before 1970", func(r *http.Request) { r.Header.Set("X-Ms-Date", "Mon, 01 Jan 0001 00:00:00 GMT") }, signer.ErrMalformed, "x-ms-date", "InvalidAuthenticationInfo"},
		{"no version", func(r *http.Request) { r.Header.Del("X-Ms-Version") }, signer.ErrMalformed, "x-ms-version", "InvalidAuthenticationInfo"},
		{"a control character in the query", func(r *http.Request) { r.RequestURI += "%0Acomp%3Ablock" }, signer.ErrMalformed, "URL", "InvalidUri"},
		{"another host", func(r *http.Request) { r.Host = "evil.example" }, signer.ErrScope, "Host", "AuthenticationFailed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := fresh()
			tt.edit(in)
			g, err := newVerifier(t).Verify(ctx, in)
			wantRefusal(t, g, err, tt.class, tt.field, tt.code)
			if err != nil && strings.Contains(err.Error(), sig[:20]) {
				t.Errorf("the signature is in %v", err)
			}
		})
	}
	at := func(d time.Duration) error {
		_, err := newVerifier(t, func(c *azure.VerifierConfig) { c.Clock = clock.Fixed(now.Truncate(time.Second).Add(d)) }).Verify(ctx, fresh())
		return err
	}
	if err := errors.Join(at(15*time.Minute-1), at(-15*time.Minute)); err != nil {
		t.Error(err)
	}
	wantRefusal(t, nil, at(15*time.Minute), signer.ErrExpired, "x-ms-date", "InvalidAuthenticationInfo")
	wantRefusal(t, nil, at(-15*time.Minute-1), signer.ErrNotYetValid, "x-ms-date", "InvalidAuthenticationInfo")
	_, err = newVerifier(t, func(c *azure.VerifierConfig) { c.AccountKeys = nil }).Verify(ctx, fresh())
	wantRefusal(t, nil, err, signer.ErrUnsupported, "Authorization", "InvalidAuthenticationInfo")
}
