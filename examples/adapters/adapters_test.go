package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

func TestTour(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]int{"GeneratePresignedUrl: GET": 5, "RedirectURL: HEAD, then GET": 5, "GET, saved as 报告 2026 🐈.txt": 4,
		"the forge sends the file itself": 1, "to read, until": 5, "to write, until": 4, "none to write": 1} {
		if got := strings.Count(out.String(), line); got != want {
			t.Errorf("%q is there %d times, want %d:\n%s", line, got, want, &out)
		}
	}
	if strings.Contains(strings.ToLower(out.String()), "signature") {
		t.Errorf("a URL is shown:\n%s", &out)
	}
}

// Every link leads to the public endpoint, and the service's own Signer to the internal one.
func TestEndpoints(t *testing.T) {
	store, err := storefake.Start(storefake.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, c := range configs(store) {
		s, internal, err := open(c)
		if err != nil {
			t.Fatal(err)
		}
		link, err := s.GeneratePresignedUrl("a", time.Minute)
		if u, failed := url.Parse(link); err != nil || failed != nil || u.Host != c.Public.Host {
			t.Errorf("%s: %v, %v", c.Provider, failed, err)
		}
		if internal == nil {
			continue
		}
		p, err := internal.Presign(t.Context(), signer.Request{Key: "a", Expires: time.Minute})
		if err != nil || !strings.HasPrefix(p.URL, c.Internal.String()) {
			t.Errorf("%s: %v, %v", c.Provider, p, err)
		}
		// Without a public one they are the same.
		c.Public = nil
		if s, internal, err := open(c); err != nil || s.public != internal {
			t.Errorf("%s: %v, %v", c.Provider, s, err)
		}
	}
	if _, _, err := open(config{Provider: "floppy"}); err == nil {
		t.Error("a provider that there is not")
	}
}

// asked keeps what it is asked for, and answers with an end.
type asked struct {
	signer.Request
	err error
}

func (a *asked) Presign(_ context.Context, r signer.Request) (*signer.Presigned, error) {
	a.Request = r
	return &signer.Presigned{URL: "http://x/y", Method: r.Method, ExpiresAt: time.Unix(1, 0)}, a.err
}

func TestTranslations(t *testing.T) {
	a := new(asked)
	s := &storage{public: a, bucket: "films", life: time.Minute}
	for _, tt := range []struct {
		name string
		call func() error
		want string // method, key
	}{
		{"media server", func() error { _, err := s.GeneratePresignedUrl("/a//b", 1); return err }, "GET a//b"},
		{"registry", func() error { _, err := s.RedirectURL(httptest.NewRequest("HEAD", "/", nil), "/v2/x"); return err }, "HEAD v2/x"},
		{"git forge", func() error { _, err := s.URL("x/y", "", "", nil); return err }, "GET x/y"},
		{"git forge, HEAD", func() error { _, err := s.URL("x/y", "", "HEAD", nil); return err }, "HEAD x/y"},
		{"lake", func() error {
			_, _, err := s.GetPreSignedURL(t.Context(), objectPointer{"s3://films/a/", "b//c"}, modeRead, "")
			return err
		}, "GET a/b//c"},
		{"lake, no prefix", func() error {
			_, _, err := s.GetPreSignedURL(t.Context(), objectPointer{"s3://films", "b"}, modeWrite, "ignored")
			return err
		}, "PUT b"},
	} {
		if err := tt.call(); err != nil || a.Method+" "+a.Key != tt.want {
			t.Errorf("%s: asked for %s %s, want %s, %v", tt.name, a.Method, a.Key, tt.want, err)
		}
	}
	if _, err := s.URL("k", "naïve.txt", "GET", url.Values{"Response-Content-Type": {"text/plain"}, "versionId": {"1"}}); err != nil ||
		a.Response != (signer.ResponseHeaders{ContentDisposition: signer.Attachment("naïve.txt"), ContentType: "text/plain"}) || a.Query.Encode() != "versionId=1" {
		t.Errorf("%+v, %v", a.Request, err)
	}
	if _, err := s.URL("k", "", "GET", url.Values{"response-content-type": {"a", "b"}}); err == nil {
		t.Error("two types")
	}
	for _, namespace := range []string{"", "films", "s3://other/a", "s3://%zz"} {
		if _, _, err := s.GetPreSignedURL(t.Context(), objectPointer{namespace, "k"}, modeRead, ""); err == nil {
			t.Errorf("the namespace %q is taken", namespace)
		}
	}
	if link, err := s.RedirectURL(httptest.NewRequest("PUT", "/", nil), "k"); link != "" || err != nil {
		t.Errorf("a redirect for PUT: %v", err)
	}
	// What a provider cannot do is each interface's own way to say so; other errors are errors.
	for _, err := range []error{signer.ErrUnsupported, signer.ErrCredentials} {
		a.err = err
		unsupported := errors.Is(err, signer.ErrUnsupported)
		if _, err := s.RedirectURL(httptest.NewRequest("GET", "/", nil), "k"); (err == nil) != unsupported {
			t.Errorf("registry: %v", err)
		}
		if _, err := s.URL("k", "", "GET", nil); errors.Is(err, errNoURL) != unsupported || err == nil {
			t.Errorf("git forge: %v", err)
		}
		if _, _, err := s.GetPreSignedURL(t.Context(), objectPointer{"s3://films", "k"}, modeRead, ""); errors.Is(err, errNoURL) != unsupported || err == nil {
			t.Errorf("lake: %v", err)
		}
	}
}

// A link that dies with its credentials says when.
func TestTrueExpiry(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	dies := now.Add(5 * time.Minute)
	public, err := s3.New(s3.Config{Region: "eu-west-1", Bucket: "films", Clock: clock.Fixed(now), Credentials: s3.Credentials{
		AccessKeyID: "ASIA", SecretKey: signer.NewSecret([]byte("secret")), SessionToken: signer.NewSecret([]byte("token")), Expires: dies}})
	if err != nil {
		t.Fatal(err)
	}
	s := &storage{public: public, bucket: "films", life: time.Hour}
	if _, until, err := s.GetPreSignedURL(t.Context(), objectPointer{"s3://films", "k"}, modeRead, ""); err != nil || !until.Equal(dies) {
		t.Errorf("until %v, %v, want %v", until, err, dies)
	}
	// The interfaces that tell no end do not give out links that are shorter than they look.
	if _, err := s.GeneratePresignedUrl("k", time.Hour); !errors.Is(err, signer.ErrCredentials) {
		t.Errorf("%v", err)
	}
	if _, err := s.RedirectURL(httptest.NewRequest(http.MethodGet, "/", nil), "k"); !errors.Is(err, signer.ErrCredentials) {
		t.Errorf("%v", err)
	}
}
