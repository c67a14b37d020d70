package ramrole

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

const (
	rolePath  = "/latest/meta-data/ram/security-credentials/"
	askToken  = "PUT http://100.100.100.200/latest/api/token X-Aliyun-Ecs-Metadata-Token-Ttl-Seconds=60"
	withToken = " X-Aliyun-Ecs-Metadata-Token=AAAA=="
)

// An ecs is an instance metadata service in security hardening mode. It keeps what it was asked.
type ecs struct {
	mu                sync.Mutex
	asked             []string
	status            [3]int // of the token, the role's name, and its keys
	token, role, keys string
}

func newECS(expires time.Time) *ecs {
	return &ecs{status: [3]int{200, 200, 200}, token: "AAAA==", role: "photos", keys: fmt.Sprintf(`{"AccessKeyId":"STS.1","AccessKeySecret":"planted secret",
		"Expiration":%q,"SecurityToken":"planted token","LastUpdated":"2026-11-26T12:00:00Z","Code":"Success"}`, expires.UTC().Format(time.RFC3339))}
}

func (e *ecs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	line := r.Method + " " + r.URL.String()
	for _, name := range []string{"Authorization", "X-Aliyun-Ecs-Metadata-Token", "X-Aliyun-Ecs-Metadata-Token-Ttl-Seconds"} {
		if v := r.Header.Get(name); v != "" {
			line += " " + name + "=" + v
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = append(e.asked, line)
	i, text := 0, e.token
	switch {
	case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
	case r.Header.Get("X-aliyun-ecs-metadata-token") != e.token:
		w.WriteHeader(403)
		return
	case r.URL.Path == rolePath:
		i, text = 1, e.role
	case r.URL.Path == rolePath+"photos":
		i, text = 2, e.keys
	default:
		w.WriteHeader(404)
		return
	}
	w.WriteHeader(e.status[i])
	io.WriteString(w, text)
}

func (e *ecs) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

func (e *ecs) source(t *testing.T, role string) oss.CredentialSource {
	t.Helper()
	s, err := New(Config{Role: role, Client: &http.Client{Transport: e}, Clock: clock.Func(time.Now)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The documented questions, in their order; a URL dies with its credentials.
func TestRole(t *testing.T) {
	end := time.Now().Add(6 * time.Hour).Truncate(time.Second)
	for role, want := range map[string][]string{
		"":       {askToken, "GET http://100.100.100.200" + rolePath + withToken, "GET http://100.100.100.200" + rolePath + "photos" + withToken},
		"photos": {askToken, "GET http://100.100.100.200" + rolePath + "photos" + withToken},
	} {
		e := newECS(end)
		source := e.source(t, role)
		for range 3 {
			c, err := source.Credentials(t.Context(), time.Now())
			if err != nil || c.AccessKeyID != "STS.1" || string(c.AccessKeySecret.Reveal()) != "planted secret" || string(c.SecurityToken.Reveal()) != "planted token" || !c.Expires.Equal(end) {
				t.Errorf("got %v, %v", c, err)
			}
		}
		if !slices.Equal(e.asked, want) {
			t.Errorf("asked %q, want %q", e.asked, want)
		}
		s, err := oss.New(oss.Config{Region: "cn-hangzhou", Bucket: "photos", Credentials: source})
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.Presign(t.Context(), signer.Request{Key: "k", Expires: 11 * time.Hour, AllowShorter: true})
		if err != nil || !p.ExpiresAt.Equal(end) || p.LimitedBy != signer.LimitCredentials {
			t.Errorf("got %v, %v", p, err)
		}
	}
}

// Over a socket.
func TestEndpoint(t *testing.T) {
	server := httptest.NewServer(newECS(time.Now().Add(time.Hour)))
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Endpoint: u})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := s.Credentials(t.Context(), time.Now()); err != nil || c.AccessKeyID != "STS.1" {
		t.Errorf("got %v, %v", c, err)
	}
	for raw, ok := range map[string]bool{"http://100.100.100.200": true, "http://169.254.1.1": true, "https://meta.example.com": true,
		"http://100.100.100.201": false, "http://meta.example.com": false} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{Endpoint: u}); (err == nil) != ok || err != nil && !errors.Is(err, signer.ErrRequest) {
			t.Errorf("%s: %v", raw, err)
		}
	}
	if _, err := New(Config{Role: "a/b"}); !errors.Is(err, signer.ErrRequest) {
		t.Errorf("got %v", err)
	}
}

// Renewed from half time on, in the background.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newECS(time.Now().Add(6 * time.Hour))
		source := e.source(t, "photos")
		get := func() oss.Credentials {
			c, err := source.Credentials(t.Context(), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return c
		}
		get()
		time.Sleep(3*time.Hour - 1)
		if get(); len(e.asked) != 2 {
			t.Errorf("asked %q", e.asked)
		}
		time.Sleep(time.Nanosecond)
		get()
		if get(); len(e.asked) != 4 {
			t.Errorf("asked %q", e.asked)
		}
		e.keys = strings.ReplaceAll(newECS(time.Now().Add(6*time.Hour)).keys, "STS.1", "STS.2")
		time.Sleep(time.Hour + 30*time.Minute)
		get()
		if c := get(); c.AccessKeyID != "STS.2" || len(e.asked) != 6 {
			t.Errorf("got %s, asked %q", c.AccessKeyID, e.asked)
		}
	})
}

func TestFails(t *testing.T) {
	for name, tt := range map[string]struct {
		edit  func(*ecs)
		want  string
		asked int
	}{
		"normal mode only": {func(e *ecs) { e.status[0] = 404 }, "gives no token (404), and is not asked without", 1},
		"no role":          {func(e *ecs) { e.status[1] = 404 }, "knows no such role (404)", 2},
		"an odd role":      {func(e *ecs) { e.role = "<html>planted" }, "names no role", 2},
		"another's role":   {func(e *ecs) { e.role = "other" }, "knows no such role (404)", 3},
		"failed":           {func(e *ecs) { e.keys = `{"Code":"NotFound","Message":"planted"}` }, `has no credentials: "NotFound"`, 3},
		"no keys":          {func(e *ecs) { e.keys = `{"Code":"Success","SecurityToken":"planted"}` }, "holds no AccessKeyId", 3},
		"no JSON":          {func(e *ecs) { e.keys = `planted` }, "holds no AccessKeyId", 3},
		"over":             {func(e *ecs) { e.keys = newECS(time.Now().Add(-time.Hour)).keys }, "is the machine's clock right?", 3},
		"out of order":     {func(e *ecs) { e.status[2] = 500 }, "answers 500", 6},
		"a redirect":       {func(e *ecs) { e.status[0] = 302 }, "redirect", 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := newECS(time.Now().Add(time.Hour))
			tt.edit(e)
			_, err := e.source(t, "").Credentials(t.Context(), time.Now())
			var s *signer.Error
			if !errors.Is(err, signer.ErrRemote) || !errors.As(err, &s) || s.Backend != "oss" || !strings.Contains(err.Error(), tt.want) ||
				strings.Contains(err.Error(), "planted") || len(e.asked) != tt.asked {
				t.Errorf("%s: got %v after %q", name, err, e.asked)
			}
		})
	}
}
