package signer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

func presigned() *signer.Presigned {
	return &signer.Presigned{
		Method: http.MethodPut,
		URL: "https://photos.s3.eu-west-1.amazonaws.com/cat%20%26%20dog.jpg?X-Amz-Algorithm=AWS4-HMAC-SHA256" +
			"&X-Amz-Credential=" + plantedID + "%2F20261124%2Feu-west-1%2Fs3%2Faws4_request" +
			"&X-Amz-Security-Token=" + url.QueryEscape(plantedToken) + "&X-Amz-Signature=" + plantedSignature,
		Header:    http.Header{"Content-Type": {"image/jpeg"}},
		NotBefore: now,
		ExpiresAt: now.Add(15 * time.Minute),
		LimitedBy: signer.LimitRequest,
	}
}

const plantedSignature = "5167a7c84b3e5f0dd3a4d3a4e5f60718293a4b5c6d7e8f900112233445566778"

// presignedForms are the parts of the URL's query that must not show.
func presignedForms() []string {
	return slices.Concat(spellings([]byte(plantedSignature)), spellings([]byte(plantedToken)), spellings([]byte(plantedID)))
}

// TestPresignedHidesItsQuery tries the places in which fmt asks a value how to print it. In an unexported field it asks
// neither a Presigned nor a pointer to one.
func TestPresignedHidesItsQuery(t *testing.T) {
	type exported struct{ V *signer.Presigned }
	type byValue struct{ V signer.Presigned }
	type embedded struct{ *signer.Presigned }
	type embeddedWithMore struct {
		signer.Presigned
		Note string
	}
	p := presigned()
	forms := presignedForms()
	for place, v := range map[string]any{
		"value":               *p,
		"pointer":             p,
		"pointer to pointer":  &p,
		"exported field":      exported{p},
		"exported, by value":  byValue{*p},
		"pointer to a struct": &byValue{*p},
		"embedded":            embedded{p},
		"embedded, by value":  embeddedWithMore{*p, "note"},
		"slice":               []*signer.Presigned{p},
		"slice of values":     []signer.Presigned{*p},
		"array":               [1]signer.Presigned{*p},
		"map":                 map[string]signer.Presigned{"k": *p},
		"interface":           []any{p, *p},
		"wrapping error":      fmt.Errorf("%v: %w", *p, io.EOF),
	} {
		for _, format := range formats(allFlags...) {
			// %w where it does not belong and %p of something that is no pointer never ask the value how to print
			// it; vet refuses both.
			if strings.HasSuffix(format, "w") || strings.HasSuffix(format, "p") {
				continue
			}
			if form, leaks := shows(fmt.Sprintf(format, v), forms); leaks {
				t.Errorf("%s of %s shows %s", format, place, form)
			}
		}
	}
}

// TestPresignedQueryWouldBeSeen proves that the test above finds what it looks for.
func TestPresignedQueryWouldBeSeen(t *testing.T) {
	type plain signer.Presigned // without the methods
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		if _, seen := shows(fmt.Sprintf(format, plain(*presigned())), presignedForms()); !seen {
			t.Errorf("%s shows the query, and the test does not see it", format)
		}
	}
}

func TestPresignedText(t *testing.T) {
	for _, tt := range []struct {
		name, url, want string
	}{
		{"signed", presigned().URL, "PUT https://photos.s3.eu-west-1.amazonaws.com/cat%20%26%20dog.jpg?REDACTED until 2026-11-24T12:15:00Z"},
		{"unsigned", "https://h/k", "PUT https://h/k until 2026-11-24T12:15:00Z"},
		{"question mark in the key", "https://h/a%3Fb?sig=x", "PUT https://h/a%3Fb?REDACTED until 2026-11-24T12:15:00Z"},
		{"signed in the path", "https://h/edge-cache-token=Expires=1~hmac=" + plantedSignature + "/k", "PUT https://h/edge-cache-token=Expires=1~hmac=" + signer.RedactURL("?hmac=" + plantedSignature)[len("?hmac="):] + "/k until 2026-11-24T12:15:00Z"},
	} {
		p := presigned()
		p.URL, p.ExpiresAt = tt.url, p.ExpiresAt.In(time.FixedZone("", 3600))
		for how, got := range map[string]string{
			"String": p.String(), "GoString": p.GoString(), "%v": fmt.Sprint(p), "%#v": fmt.Sprintf("%#v", *p), "%d": fmt.Sprintf("%d", p),
		} {
			if got != tt.want {
				t.Errorf("%s, %s:\n got %s\nwant %s", tt.name, how, got, tt.want)
			}
		}
		if strings.Contains(p.String(), plantedSignature) {
			t.Errorf("%s: %s", tt.name, p)
		}
	}
}

func TestPresignedLogged(t *testing.T) {
	forms := presignedForms()
	p := presigned()
	for name, handler := range map[string]func(io.Writer) slog.Handler{
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		"JSON": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	} {
		for place, arg := range map[string]any{
			"pointer": p, "value": *p, "group": slog.GroupValue(slog.Any("p", p)), "LogValuer": slog.AnyValue(p),
		} {
			var b strings.Builder
			log := slog.New(handler(&b))
			log.Info("presigned", "p", arg)
			log.With("p", arg).WithGroup("g").Info("presigned", "p", arg)
			if form, leaks := shows(b.String(), forms); leaks {
				t.Errorf("%s, %s: shows %s in %s", name, place, form, &b)
			}
			for _, want := range []string{"PUT", "cat%20%26%20dog.jpg?REDACTED", "2026-11-24T12:15:00", "request"} {
				if !strings.Contains(b.String(), want) {
					t.Errorf("%s, %s: no %s in %s", name, place, want, &b)
				}
			}
		}
	}
}

func TestPresignedMarshalJSON(t *testing.T) {
	p := &signer.Presigned{
		Method: http.MethodPut,
		URL:    "https://h/k?a=1&b=<é>",
		Header: http.Header{
			"Content-Type":   {"text/html"},
			"X-Amz-Meta-Tag": {"a", "b&c"},
		},
		NotBefore:   now,
		ExpiresAt:   time.Date(2026, 11, 24, 13, 15, 0, 0, time.FixedZone("", 3600)),
		LimitedBy:   signer.LimitCredentials,
		StableUntil: now,
		ClockOffset: time.Second,
		NotEnforced: []string{"SourceIP"},
	}
	const want = `{"method":"PUT","url":"https://h/k?a=1&b=<é>","headers":{"Content-Type":"text/html","X-Amz-Meta-Tag":"a,b&c"},"expiresAt":"2026-11-24T12:15:00Z"}`
	for name, marshal := range map[string]func() ([]byte, error){
		"pointer": p.MarshalJSON,
		"value":   signer.Presigned(*p).MarshalJSON,
	} {
		got, err := marshal()
		if string(got) != want || err != nil {
			t.Errorf("%s:\n got %s, %v\nwant %s", name, got, err, want)
		}
	}

	// As part of a larger answer, with the escapes of the caller's encoder.
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(map[string]any{"upload": p}); err != nil || b.String() != `{"upload":`+want+"}\n" {
		t.Errorf("in a map: %s, %v", &b, err)
	}

	t.Run("no headers", func(t *testing.T) {
		got, err := json.Marshal(signer.Presigned{Method: "GET", URL: "https://h/k", ExpiresAt: now})
		if want := `{"method":"GET","url":"https://h/k","headers":{},"expiresAt":"2026-11-24T12:00:00Z"}`; string(got) != want || err != nil {
			t.Errorf("got %s, %v, want %s: fetch takes an object, not null", got, err, want)
		}
	})
	t.Run("year beyond JSON's", func(t *testing.T) {
		if got, err := (signer.Presigned{ExpiresAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}).MarshalJSON(); err == nil {
			t.Errorf("got %s and no error", got)
		}
	})
}

func TestNewRequest(t *testing.T) {
	length := func(n string) http.Header { return http.Header{"Content-Length": {n}} }
	for _, tt := range []struct {
		name   string
		header http.Header
		body   io.Reader
		want   int64 // Content-Length, or -1 for an error
		field  string
	}{
		{"nothing signed, no body", nil, nil, 0, ""},
		{"nothing signed, a body", nil, strings.NewReader("hello"), 5, ""},
		{"signed", length("5"), strings.NewReader("hello"), 5, ""},
		{"signed, bytes", length("5"), bytes.NewReader([]byte("hello")), 5, ""},
		{"signed, length not known", length("5"), io.MultiReader(strings.NewReader("hello")), 5, ""},
		{"signed, another length", length("5"), strings.NewReader("hell"), -1, "Content-Length"},
		{"signed, longer", length("5"), strings.NewReader("hello!"), -1, "Content-Length"},
		{"signed, no body", length("5"), nil, -1, "Content-Length"},
		{"signed, an empty body", length("5"), bytes.NewReader(nil), -1, "Content-Length"},
		{"signed, NoBody", length("5"), http.NoBody, -1, "Content-Length"},
		{"empty, length not known", length("0"), io.MultiReader(strings.NewReader("hello")), -1, "Content-Length"},
		{"empty, no body", length("0"), nil, 0, ""},
		{"empty, an empty body", length("0"), strings.NewReader(""), 0, ""},
		{"empty, NoBody", length("0"), http.NoBody, 0, ""},
		{"empty, a body", length("0"), strings.NewReader("hello"), -1, "Content-Length"},
		{"name in lower case", http.Header{"content-length": {"5"}}, strings.NewReader("hell"), -1, "content-length"},
		{"no number", length("five"), strings.NewReader("hello"), -1, "Content-Length"},
		{"negative", length("-1"), io.MultiReader(strings.NewReader("hello")), -1, "Content-Length"},
		{"two numbers", http.Header{"Content-Length": {"5", "5"}}, strings.NewReader("hello"), -1, "Content-Length"},
		{"no value", http.Header{"Content-Length": nil}, strings.NewReader("hello"), -1, "Content-Length"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := presigned()
			p.Header = tt.header
			req, err := p.NewRequest(ctx, tt.body)
			if tt.want < 0 {
				var e *signer.Error
				if !errors.Is(err, signer.ErrRequest) || !errors.As(err, &e) || e.Field != tt.field || req != nil {
					t.Errorf("got %v, want ErrRequest about %q", err, tt.field)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if req.ContentLength != tt.want || req.Method != p.Method || req.URL.String() != p.URL {
				t.Errorf("request is %s %s of %d bytes, want %d", req.Method, req.URL, req.ContentLength, tt.want)
			}
			if tt.header != nil && tt.want == 0 && req.Body != nil && req.Body != http.NoBody {
				t.Errorf("the body is %v; net/http takes 0 with a body for an unknown length", req.Body)
			}
		})
	}
}

func TestNewRequestHeaders(t *testing.T) {
	p := presigned()
	p.Header = http.Header{
		"Host":              {"public.example"},
		"Content-Type":      {"image/jpeg"},
		"X-Amz-Meta-Tag":    {"a", "b"},
		"x-amz-meta-author": {"me"}, // sent as it is spelt
	}
	before := p.Header.Clone()
	type ctxKey struct{}
	req, err := p.NewRequest(context.WithValue(ctx, ctxKey{}, "value"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if req.Host != "public.example" || req.URL.Host != "photos.s3.eu-west-1.amazonaws.com" {
		t.Errorf("Host is %q, at %q", req.Host, req.URL.Host)
	}
	if req.Context().Value(ctxKey{}) != "value" {
		t.Error("the context is lost")
	}
	for name, values := range before {
		if name != "Host" && !slices.Equal(req.Header[name], values) {
			t.Errorf("%s is %q, want %q", name, req.Header[name], values)
		}
	}
	for name := range req.Header {
		req.Header[name][0] = "changed"
		req.Header[name] = append(req.Header[name], "more")
	}
	req.Header.Set("X-New", "x")
	if fmt.Sprint(p.Header) != fmt.Sprint(before) {
		t.Errorf("the request shares its headers with the Presigned: %v", p.Header)
	}
	if again, err := p.NewRequest(ctx, nil); err != nil || again.Header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("the second request has %v, %v", again.Header, err)
	}
}

func TestNewRequestErrors(t *testing.T) {
	for name, edit := range map[string]func(*signer.Presigned){
		"broken escape":     func(p *signer.Presigned) { p.URL = strings.Replace(p.URL, "%20", "%2", 1) },
		"control character": func(p *signer.Presigned) { p.URL += "\n" },
		"no host":           func(p *signer.Presigned) { p.URL = ":" + p.URL },
		"method":            func(p *signer.Presigned) { p.Method = "P T" },
	} {
		p := presigned()
		edit(p)
		_, err := p.NewRequest(ctx, nil)
		var e *signer.Error
		if !errors.Is(err, signer.ErrRequest) || !errors.As(err, &e) || e.Op != "new request" {
			t.Errorf("%s: got %v, want ErrRequest", name, err)
		}
		if form, leaks := shows(fmt.Sprintf("%v %+v %#v", err, err, err), presignedForms()); leaks {
			t.Errorf("%s: the error shows %s: %v", name, form, err)
		}
	}
}

// nastyKeys are names that a client or server on the way might rewrite.
var nastyKeys = []string{
	"plain.txt", "with space", "plus+plus", "a%20b", "a%2Fb", "100%", "?", "#", "a?b=c&d", "a;b", "a:b", "a=b", "~tilde",
	"a//b", "/leading", "trailing/", "//", "(1) 'quoted' \"twice\"!*", "ü/ß/€", "日本語", "👩‍🚀", "e\u0301", "[x]{y}|\\^`<>",
	"tab\tand\nnewline", "\x7f", "@", ",", "$", "index.html", "..a/b..", "...",
}

// TestWireBytes proves that what is signed is what is sent: net/http keeps the URL of NewRequest byte for byte, and a
// verifier on the server takes it.
func TestWireBytes(t *testing.T) {
	var (
		target string // as it came over the wire
		grant  *signer.Grant
		verify http.Handler
	)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target, grant = r.RequestURI, nil
		verify.ServeHTTP(w, r)
	}))
	defer server.Close()
	endpoint, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	config := s3Config()
	config.Endpoint = endpoint
	s, err := s3.New(config)
	if err != nil {
		t.Fatal(err)
	}
	v, err := s3.NewVerifier(s3.VerifierConfig{
		Region: config.Region, Endpoint: endpoint, Clock: clock.Fixed(now),
		Lookup: func(context.Context, string) (s3.Credentials, error) { return s3Credentials(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	verify = signer.Require(v, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		grant = signer.GrantFrom(r.Context())
	}))

	for _, key := range nastyKeys {
		p, err := s.Presign(ctx, signer.Request{
			Method: http.MethodPut, Key: key, Expires: time.Minute, Query: url.Values{"versionId": {"a+b c/d=&ü", ""}},
		})
		if err != nil {
			t.Errorf("%q: %v", key, err)
			continue
		}
		req, err := p.NewRequest(ctx, strings.NewReader("body"))
		if err != nil {
			t.Errorf("%q: %v", key, err)
			continue
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if want := strings.TrimPrefix(p.URL, server.URL); target != want {
			t.Errorf("%q: the wire has\n%s, the signature\n%s", key, target, want)
		}
		if resp.StatusCode != http.StatusOK || grant == nil || grant.Key != key || grant.Bucket != "photos" {
			t.Errorf("%q: status %s, grant %+v", key, resp.Status, grant)
		}
	}
}

// TestWireHeaders is for the two headers that net/http sends from elsewhere than the header map.
func TestWireHeaders(t *testing.T) {
	var host string
	var length int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, length = r.Host, r.ContentLength
	}))
	defer server.Close()
	p := &signer.Presigned{
		Method: http.MethodPut, URL: server.URL,
		Header: http.Header{"Host": {"public.example"}, "Content-Length": {"4"}},
	}
	req, err := p.NewRequest(ctx, io.MultiReader(strings.NewReader("body")))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if host != "public.example" || length != 4 {
		t.Errorf("the wire has Host %s and a length of %d", host, length)
	}
}

func TestCacheControl(t *testing.T) {
	for _, tt := range []struct {
		name   string
		left   time.Duration
		offset time.Duration
		want   string
	}{
		{"nine tenths", 1000 * time.Second, 0, "private, max-age=900"},
		{"fractions are cut", 1009 * time.Second, 0, "private, max-age=908"},
		{"a week", 7 * 24 * time.Hour, 0, "private, max-age=544320"},
		{"two seconds", 2 * time.Second, 0, "private, max-age=1"},
		{"just a second", 1111111112 * time.Nanosecond, 0, "private, max-age=1"},
		{"just no second", 1111111110 * time.Nanosecond, 0, "no-store"},
		{"at the end", 0, 0, "no-store"},
		{"expired", -time.Nanosecond, 0, "no-store"},
		{"long expired", -1000 * time.Hour, 0, "no-store"},
		{"the local clock is behind", 1000 * time.Second, 500 * time.Second, "private, max-age=450"},
		{"the local clock is ahead", 1000 * time.Second, -500 * time.Second, "private, max-age=1350"},
		{"expired by the provider's clock", 1000 * time.Second, 1000 * time.Second, "no-store"},
		{"alive by the provider's clock", -100 * time.Second, -300 * time.Second, "private, max-age=180"},
	} {
		p := signer.Presigned{ExpiresAt: now.Add(tt.left), ClockOffset: tt.offset}
		if got := p.CacheControl(now); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := (&signer.Presigned{}).CacheControl(now); got != "no-store" {
		t.Errorf("a Presigned without an end: %q", got)
	}
}

// TestCacheControlNeverOutlives sweeps the first minutes: what is cached is gone before the URL is, and is worth keeping.
func TestCacheControlNeverOutlives(t *testing.T) {
	for left := -2 * time.Second; left < 5*time.Minute; left += 37 * time.Millisecond {
		p := signer.Presigned{ExpiresAt: now.Add(left + 7*time.Second), ClockOffset: 7 * time.Second}
		got := p.CacheControl(now)
		if got == "no-store" {
			if left >= 2*time.Second {
				t.Fatalf("%v left: %s", left, got)
			}
			continue
		}
		var age int64
		if _, err := fmt.Sscanf(got, "private, max-age=%d", &age); err != nil {
			t.Fatalf("%v left: %q: %v", left, got, err)
		}
		if life := time.Duration(age) * time.Second; life <= 0 || life > left*9/10 || life < left*9/10-time.Second {
			t.Fatalf("%v left: %s", left, got)
		}
	}
}
