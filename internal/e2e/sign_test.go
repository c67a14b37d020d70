package e2e

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// What Sign writes, ParseAuthorization reads.
func TestParseAuthorization(t *testing.T) {
	eachServer(t, servers, func(t *testing.T, s *server) {
		req := s.request(t, http.MethodPut, "a b+c~é", content)
		req.Header.Set("X-Amz-Meta-B", "2")
		req.Header.Set("Content-Type", "text/plain")
		req.Header.Set("Accept-Encoding", "identity") // changes on the way
		if err := s3.HashBody(req); err != nil {
			t.Fatal(err)
		}
		if err := s.signer(t).Sign(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		a := must(s3.ParseAuthorization(req.Header.Get("Authorization")))(t)
		want := []string{"content-length", "content-type", "host", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-b"}
		if !slices.Equal(a.SignedHeaders, want) {
			t.Errorf("signed headers: got %q, want %q", a.SignedHeaders, want)
		}
		if a.AccessKeyID != accessKey || a.Region != region || a.Service != "s3" || a.Date != req.Header.Get("X-Amz-Date")[:8] {
			t.Errorf("got %+v", a)
		}
		s.send(t, req).want(t, "200")
	})
}

// A request can be signed again, a second later and with its body back.
func TestSignAgain(t *testing.T) {
	eachServer(t, servers, func(t *testing.T, s *server) {
		req := s.signed(t, http.MethodPut, "again", content, off(-time.Hour).config)
		s.send(t, req).want(t, skewed)
		req.Body = must(req.GetBody())(t)
		if err := s.signer(t).Sign(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		s.send(t, req).want(t, "200")
	})
}

// versitygw tells what it computed. To the byte it is what we computed, for every nasty key, in the URL and in the header.
func TestCanonicalRequest(t *testing.T) {
	for _, start := range []func() (*server, error){versitygw, versitygwVirtual} {
		s := must(start())(t)
		sign := s.signer(t, otherSecret().config) // else it would say nothing
		for _, key := range nastyKeys {
			for _, form := range []string{"URL", "header"} {
				t.Run(s.name+"/"+form+"/"+key, func(t *testing.T) {
					var trace signer.Trace
					ctx := signer.WithTrace(t.Context(), &trace)
					var got answer
					switch form {
					case "URL":
						p := must(sign.Presign(ctx, signer.Request{
							Key: key, Expires: time.Minute,
							Query:    map[string][]string{"b": {"2", "1"}, "c": {printable(key)}, "a b": {"+"}, "A": {""}},
							Header:   http.Header{"X-Amz-Meta-A": {"  a  b ", "c"}, "Content-Type": {"text/plain; x=\"a  b\""}},
							Response: signer.ResponseHeaders{ContentDisposition: signer.Attachment("ü & co")},
						}))(t)
						got = s.use(t, p, nil)
					case "header":
						req := s.request(t, http.MethodPut, key, content)
						req.URL.RawQuery = "b=2&b=1&a+b=%2b&A&c=~%7e%c3%a9"
						req.Header["X-Amz-Meta-A"] = []string{"  a  b ", "c"}
						if err := sign.Sign(ctx, req); err != nil {
							t.Fatal(err)
						}
						got = s.send(t, req)
					}
					got.want(t, mismatch)
					var theirs struct{ CanonicalRequest, StringToSign string }
					if err := xml.Unmarshal(got.body, &theirs); err != nil {
						t.Fatal(err)
					}
					if theirs.CanonicalRequest != string(trace.CanonicalRequest) {
						t.Errorf("canonical request:\n%s\nours:\n%s", theirs.CanonicalRequest, trace.CanonicalRequest)
					}
					if theirs.StringToSign != string(trace.StringToSign) {
						t.Errorf("string to sign:\n%s\nours:\n%s", theirs.StringToSign, trace.StringToSign)
					}
				})
			}
		}
	}
}

// printable is a key as far as Presign takes it in a query.
func printable(key string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, key)
}

// A URL lives from NotBefore to ExpiresAt on the server's clock, whatever ours shows.
func TestLife(t *testing.T) {
	s := must(gofakes3Server())(t)
	s.put(t, "life", content)
	defer gofakes3Ahead.Store(0)
	for _, ahead := range []time.Duration{0, 400 * 24 * time.Hour, -400 * 24 * time.Hour} { // other days, other scopes
		p := s.presign(t, signer.Request{Key: "life", Expires: time.Hour}, off(ahead).config)
		for _, c := range []struct {
			when time.Time
			want string
		}{
			{p.NotBefore.Add(-16 * time.Minute), denied}, // it allows 15
			{p.NotBefore, "200"},
			{p.ExpiresAt.Add(-5 * time.Second), "200"},
			{p.ExpiresAt.Add(5 * time.Second), denied},
		} {
			gofakes3Ahead.Store(int64(time.Until(c.when)))
			if got := s.use(t, p, nil); got.String() != c.want {
				t.Errorf("ahead %s: at %s of %s to %s: got %s, want %s", ahead, c.when, p.NotBefore, p.ExpiresAt, got, c.want)
			}
		}
	}
}

// AppendURL and a stable URL are as good as Presign's.
func TestOtherURLs(t *testing.T) {
	eachServer(t, servers, func(t *testing.T, s *server) {
		s.put(t, objectKey, content)
		r := signer.Request{Key: objectKey, Expires: time.Hour, Window: 10 * time.Minute, Spread: true}
		raw, end, err := s.signer(t).AppendURL(t.Context(), nil, r)
		if err != nil {
			t.Fatal(err)
		}
		p := must(s.signer(t).Presign(t.Context(), r))(t)
		if string(raw) != p.URL && end.Equal(p.ExpiresAt) { // else a new window has just begun
			t.Errorf("AppendURL %s\nPresign   %s", raw, p.URL)
		}
		for _, u := range []string{string(raw), p.URL} {
			got := s.send(t, must(http.NewRequest(http.MethodGet, u, nil))(t))
			if got.want(t, "200"); !bytes.Equal(got.body, content) {
				t.Errorf("got %q", got.body)
			}
		}
	})
}
