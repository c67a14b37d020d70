package signer_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// answers is a Verifier that says always the same and counts how often it is asked.
type answers struct {
	grant *signer.Grant
	err   error
	asked int
}

func (a *answers) Verify(context.Context, *http.Request) (*signer.Grant, error) {
	a.asked++
	return a.grant, a.err
}

func TestAnyOf(t *testing.T) {
	lookup := errors.New("the database is down")
	wrap := func(err error) error { return &signer.Error{Backend: "s3", Op: "verify", Err: err} }
	first, second := &signer.Grant{KeyID: "first"}, &signer.Grant{KeyID: "second"}
	for _, tt := range []struct {
		name  string
		v     []*answers
		grant *signer.Grant
		err   error
		asked []int
	}{
		{"the first", []*answers{{grant: first}, {grant: second}}, first, nil, []int{1, 0}},
		{"the second", []*answers{{err: wrap(signer.ErrUnsigned)}, {grant: second}}, second, nil, []int{1, 1}},
		{"unsigned, joined", []*answers{{err: errors.Join(wrap(signer.ErrUnsigned))}, {grant: second}}, second, nil, []int{1, 1}},
		{"the first refuses", []*answers{{err: wrap(signer.ErrMismatch)}, {grant: second}}, nil, signer.ErrMismatch, []int{1, 0}},
		{"the first does not know the key", []*answers{{err: wrap(signer.ErrUnknownKey)}, {grant: second}}, nil, signer.ErrUnknownKey, []int{1, 0}},
		{"the first cannot tell", []*answers{{err: lookup}, {grant: second}}, nil, lookup, []int{1, 0}},
		{"the second refuses", []*answers{{err: wrap(signer.ErrUnsigned)}, {err: wrap(signer.ErrExpired)}, {grant: first}}, nil, signer.ErrExpired, []int{1, 1, 0}},
		{"none shown", []*answers{{err: wrap(signer.ErrUnsigned)}, {err: wrap(signer.ErrUnsigned)}}, nil, signer.ErrUnsigned, []int{1, 1}},
		{"none there", nil, nil, signer.ErrUnsigned, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var verifiers []signer.Verifier
			for _, v := range tt.v {
				verifiers = append(verifiers, v)
			}
			grant, err := signer.AnyOf(verifiers...).Verify(ctx, httptest.NewRequest(http.MethodGet, "/", nil))
			if grant != tt.grant || !errors.Is(err, tt.err) {
				t.Errorf("got %+v, %v; want %+v, %v", grant, err, tt.grant, tt.err)
			}
			var asked []int
			for _, v := range tt.v {
				asked = append(asked, v.asked)
			}
			if !slices.Equal(asked, tt.asked) {
				t.Errorf("asked %v times, want %v", asked, tt.asked)
			}
		})
	}
}

func TestVerifierFunc(t *testing.T) {
	want, req := new(signer.Grant), httptest.NewRequest(http.MethodGet, "/", nil)
	var v signer.Verifier = signer.VerifierFunc(func(c context.Context, r *http.Request) (*signer.Grant, error) {
		if c != ctx || r != req {
			t.Error("another context or request arrives")
		}
		return want, signer.ErrMismatch
	})
	if g, err := v.Verify(ctx, req); g != want || err != signer.ErrMismatch {
		t.Errorf("%v, %v", g, err)
	}
}

func TestAnyOfKeepsItsOwnList(t *testing.T) {
	list := []signer.Verifier{&answers{err: signer.ErrMismatch}}
	v := signer.AnyOf(list...)
	list[0] = &answers{grant: new(signer.Grant)}
	if _, err := v.Verify(ctx, httptest.NewRequest(http.MethodGet, "/", nil)); !errors.Is(err, signer.ErrMismatch) {
		t.Errorf("the caller's slice replaced a verifier: %v", err)
	}
}

// TestAnyOfError is about the text when no scheme is shown: an *Error that says how many there were.
func TestAnyOfError(t *testing.T) {
	none := &answers{err: signer.ErrUnsigned}
	_, err := signer.AnyOf(none, signer.AnyOf(none, none), none).Verify(ctx, httptest.NewRequest(http.MethodGet, "/", nil))
	var e *signer.Error
	if !errors.As(err, &e) || e.Op != "verify" || err.Error() != "verify: not signed by any of 3 schemes" {
		t.Errorf("got %v", err)
	}
	if none.asked != 4 {
		t.Errorf("asked %d times, want 4", none.asked)
	}
}

func TestRequireRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error // wrapped in details that no stranger should see
		status int
		text   string
	}{
		{"unsigned", signer.ErrUnsigned, 401, "not signed"},
		{"malformed", signer.ErrMalformed, 400, "malformed signature"},
		{"two signatures", signer.ErrConflict, 400, "conflicting signatures"},
		{"unsupported", signer.ErrUnsupported, 400, "unsupported signature"},
		{"mismatch", signer.ErrMismatch, 403, "signature: mismatch"},
		{"expired", signer.ErrExpired, 403, "signature: expired"},
		{"not yet valid", signer.ErrNotYetValid, 403, "signature: not yet valid"},
		{"unknown key", signer.ErrUnknownKey, 403, "signature: unknown key"},
		{"scope", signer.ErrScope, 403, "signature: out of scope"},
		{"policy", signer.ErrPolicy, 403, "signature: policy not met"},
		{"malformed and out of scope", errors.Join(signer.ErrScope, signer.ErrMalformed), 400, "malformed signature"},
		{"expired and out of scope", errors.Join(signer.ErrScope, signer.ErrExpired), 403, "signature: expired"},
		{"lookup failed", io.ErrUnexpectedEOF, 500, "signature could not be checked"},
		{"context ended", context.Canceled, 500, "signature could not be checked"},
		{"key service failed", signer.ErrRemote, 500, "signature could not be checked"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := &answers{
				// A grant beside an error counts for nothing.
				grant: &signer.Grant{KeyID: plantedID},
				err: &signer.Error{Backend: "s3", Op: "verify", Field: "X-Amz-Credential", Code: "AccessDenied",
					Err: fmt.Errorf("%w: the key %s of 10.0.0.1", tt.err, plantedID)},
			}
			w := httptest.NewRecorder()
			signer.Require(v, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				t.Error("the request is let through")
			})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/k?X-Amz-Signature=x", nil))
			if w.Code != tt.status || w.Body.String() != tt.text+"\n" {
				t.Errorf("answered %d %q, want %d %q", w.Code, w.Body, tt.status, tt.text)
			}
			if got := w.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control is %q: a cache could hand the refusal to one who is allowed", got)
			}
			if all := fmt.Sprint(w.Header(), w.Body); strings.Contains(all, plantedID) || strings.Contains(all, "10.0.0.1") || strings.Contains(all, "Amz") {
				t.Errorf("the answer tells more than its class: %s", all)
			}
		})
	}
}

func TestRequireLetsThrough(t *testing.T) {
	type ctxKey struct{}
	grant := &signer.Grant{KeyID: plantedID, Bucket: "photos", Key: "cat.jpg", Payload: sha256Hex("body")}
	req := httptest.NewRequest(http.MethodPut, "/k", strings.NewReader("body")).
		WithContext(context.WithValue(ctx, ctxKey{}, "kept"))
	body := req.Body
	w := httptest.NewRecorder()
	called := 0
	signer.Require(&answers{grant: grant}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called++
		if got := signer.GrantFrom(r.Context()); got != grant {
			t.Errorf("the grant is %+v", got)
		}
		if r.Context().Value(ctxKey{}) != "kept" {
			t.Error("the request's own context is lost")
		}
		if b, err := io.ReadAll(r.Body); string(b) != "body" || err != nil {
			t.Errorf("the body is %q, %v", b, err)
		}
		w.WriteHeader(http.StatusTeapot)
	})).ServeHTTP(w, req)
	if called != 1 || w.Code != http.StatusTeapot {
		t.Errorf("the handler ran %d times, the status is %d", called, w.Code)
	}
	if len(w.Header()) != 0 {
		t.Errorf("headers were added: %v", w.Header())
	}
	if signer.GrantFrom(req.Context()) != nil || req.Body != body {
		t.Error("the caller's request was changed")
	}
}

// TestRequireChunks: a body in chunks is decoded for the handler, and so has another length than the header says.
func TestRequireChunks(t *testing.T) {
	grant := &signer.Grant{Payload: "STREAMING", Chunks: func(r io.ReadCloser) io.ReadCloser {
		b, _ := io.ReadAll(r)
		return io.NopCloser(strings.NewReader("decoded " + string(b)))
	}}
	req := httptest.NewRequest(http.MethodPut, "/k", strings.NewReader("body"))
	signer.Require(&answers{grant: grant}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != -1 {
			t.Errorf("the length is %d", r.ContentLength)
		}
		if b, err := io.ReadAll(r.Body); string(b) != "decoded body" || err != nil {
			t.Errorf("the body is %q, %v", b, err)
		}
	})).ServeHTTP(httptest.NewRecorder(), req)
	if req.ContentLength != 4 {
		t.Errorf("the caller's request has the length %d", req.ContentLength)
	}
	if r := grant.Body(nil); r != nil {
		t.Errorf("no body became %v", r)
	}
	if _, err := json.Marshal(grant); err != nil {
		t.Errorf("a grant cannot be encoded, for a log: %v", err)
	}
}

// What is overridden is set, whatever was there, and nothing else is touched.
func TestResponseHeadersApply(t *testing.T) {
	h := http.Header{"Content-Type": {"text/plain", "text/html"}, "Content-Language": {"de"}, "Etag": {"1"}}
	signer.ResponseHeaders{ContentType: "a/b", ContentDisposition: "attachment"}.Apply(h)
	if want := (http.Header{"Content-Type": {"a/b"}, "Content-Disposition": {"attachment"}, "Content-Language": {"de"}, "Etag": {"1"}}); !reflect.DeepEqual(h, want) {
		t.Errorf("%v, want %v", h, want)
	}
	all := make(http.Header)
	signer.ResponseHeaders{"type", "disposition", "control", "encoding", "language", "expires"}.Apply(all)
	if want := (http.Header{"Content-Type": {"type"}, "Content-Disposition": {"disposition"}, "Cache-Control": {"control"}, "Content-Encoding": {"encoding"},
		"Content-Language": {"language"}, "Expires": {"expires"}}); !reflect.DeepEqual(all, want) {
		t.Errorf("%v, want %v", all, want)
	}
}

func TestGrantFrom(t *testing.T) {
	if g := signer.GrantFrom(ctx); g != nil {
		t.Errorf("a request that Require has not seen has the grant %+v", g)
	}
}

// TestRequireS3 sends real requests through a server: only the body that was signed is read without an error.
func TestRequireS3(t *testing.T) {
	const body = "the body that was signed"
	s, v := newS3Signer(t), newS3Verifier(t)
	type result struct {
		body  string
		err   error
		grant *signer.Grant
	}
	var got *result
	server := httptest.NewServer(signer.Require(v, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		got = &result{string(b), err, signer.GrantFrom(r.Context())}
		if err != nil {
			http.Error(w, "bad body", http.StatusBadRequest)
		}
	})))
	defer server.Close()

	for _, tt := range []struct {
		name   string
		edit   func(*http.Request)
		send   string
		hash   bool
		status int
		err    error // when reading the body
	}{
		{"as signed", nil, body, true, 200, nil},
		{"another body", nil, strings.ToUpper(body), true, 400, signer.ErrMismatch},
		{"a longer body", nil, body + "!", true, 400, signer.ErrMismatch},
		{"no body", nil, "", true, 400, signer.ErrMismatch},
		{"another body, none signed", nil, "anything", false, 200, nil},
		{"another hash", func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("0", 64)) }, body, true, 403, nil},
		{"another path", func(r *http.Request) { r.URL.Path = "/dog.jpg" }, body, true, 403, nil},
		{"no signature", func(r *http.Request) { r.Header.Del("Authorization") }, body, true, 401, nil},
		{"broken signature", func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x") }, body, true, 400, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequest(http.MethodPut, "http://photos.s3.eu-west-1.amazonaws.com/cat.jpg", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.hash {
				if err := s3.HashBody(req); err != nil {
					t.Fatal(err)
				}
			}
			req.ContentLength = -1 // not signed, so that the body's length can be tampered with too
			if err := s.Sign(ctx, req); err != nil {
				t.Fatal(err)
			}
			if tt.edit != nil {
				tt.edit(req)
			}
			req.Host, req.URL.Host = req.URL.Host, strings.TrimPrefix(server.URL, "http://")
			req.Body = io.NopCloser(strings.NewReader(tt.send))
			got = nil
			resp, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
			}
			refused := tt.status != 200 && tt.err == nil
			if refused != (got == nil) {
				t.Fatalf("the handler saw %+v", got)
			}
			if refused {
				return
			}
			want := tt.send
			if tt.err != nil {
				want = "" // the last bytes of a wrong body are not handed on, and these are all
			}
			if got.body != want || !errors.Is(got.err, tt.err) {
				t.Errorf("the handler read %q, %v; want %q, %v", got.body, got.err, want, tt.err)
			}
			if g := got.grant; g == nil || g.Bucket != "photos" || g.Key != "cat.jpg" || g.Method != http.MethodPut || g.KeyID != plantedID {
				t.Errorf("the grant is %+v", g)
			}
		})
	}
}

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// closes counts Close.
type closes struct {
	io.Reader
	n   int
	err error
}

func (c *closes) Close() error { c.n++; return c.err }

func TestGrantBody(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 10000)
	broken := errors.New("connection reset")
	for _, tt := range []struct {
		name    string
		payload string
		body    io.Reader
		want    string
		err     error
	}{
		{"right", sha256Hex("body"), strings.NewReader("body"), "body", nil},
		{"wrong", sha256Hex("body"), strings.NewReader("bodY"), "", signer.ErrMismatch},
		{"too short", sha256Hex("body"), strings.NewReader("bod"), "", signer.ErrMismatch},
		{"too long", sha256Hex("body"), strings.NewReader("body."), "", signer.ErrMismatch},
		{"empty, right", sha256Hex(""), strings.NewReader(""), "", nil},
		{"empty, wrong", sha256Hex("body"), http.NoBody, "", signer.ErrMismatch},
		{"long", sha256Hex(long), strings.NewReader(long), long, nil},
		{"long, wrong", sha256Hex(long + "x"), strings.NewReader(long), long, signer.ErrMismatch},
		{"byte by byte", sha256Hex("body"), iotest.OneByteReader(strings.NewReader("body")), "body", nil},
		{"the end with the last bytes", sha256Hex("body"), iotest.DataErrReader(strings.NewReader("body")), "body", nil},
		{"the end with the last bytes, wrong", sha256Hex("body"), iotest.DataErrReader(strings.NewReader("bodY")), "", signer.ErrMismatch},
		{"broken off", sha256Hex("body"), io.MultiReader(strings.NewReader("bo"), iotest.ErrReader(broken)), "bo", broken},
		{"no hash in the signature", "", strings.NewReader("anything"), "anything", nil},
		{"hash that is none", "UNSIGNED", strings.NewReader("body"), "", signer.ErrMismatch},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &signer.Grant{Backend: "s3", Payload: tt.payload}
			r := g.Body(io.NopCloser(tt.body))
			got, err := io.ReadAll(r)
			if tt.err == signer.ErrMismatch && len(got) < len(tt.want) && strings.HasPrefix(tt.want, string(got)) {
				got = []byte(tt.want) // all but the last bytes
			}
			if string(got) != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("read %.20q, %v; want %.20q, %v", got, err, tt.want, tt.err)
			}
			if tt.err != signer.ErrMismatch {
				return
			}
			var e *signer.Error
			if !errors.As(err, &e) || e.Backend != "s3" || e.Op != "verify" || e.Field != "body" || e.Code != "XAmzContentSHA256Mismatch" {
				t.Errorf("the error is %+v", err)
			}
			if n, again := r.Read(make([]byte, 10)); n != 0 || !errors.Is(again, signer.ErrMismatch) {
				t.Errorf("the next Read returns %d, %v: one more try must not help", n, again)
			}
		})
	}
}

func TestGrantBodyCloses(t *testing.T) {
	for _, payload := range []string{"", sha256Hex("body")} {
		body := &closes{Reader: strings.NewReader("body"), err: io.ErrClosedPipe}
		r := (&signer.Grant{Payload: payload}).Body(body)
		if err := r.Close(); err != io.ErrClosedPipe || body.n != 1 {
			t.Errorf("payload %q: closed %d times, %v", payload, body.n, err)
		}
	}
	if r := (&signer.Grant{Payload: sha256Hex("body")}).Body(nil); r != nil {
		t.Errorf("no body became %v", r)
	}
	body := io.NopCloser(strings.NewReader("body"))
	if r := (&signer.Grant{}).Body(body); r != body {
		t.Error("where no hash is signed, the body itself should be returned")
	}
}
