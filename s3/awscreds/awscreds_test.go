package awscreds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A standIn is a service that answers as its documentation says. It keeps what it was asked: method, URL, headers of interest, body.
type standIn struct {
	mu     sync.Mutex
	asked  []string
	answer func(n int, r *http.Request, body string) (status int, text string)
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	line := r.Method + " " + r.URL.String()
	var names []string
	for name := range r.Header {
		if name != "User-Agent" && name != "Accept-Encoding" && name != "Content-Length" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		line += fmt.Sprintf(" %s=%s", name, strings.Join(r.Header[name], ","))
	}
	s.mu.Lock()
	n := len(s.asked)
	s.asked = append(s.asked, strings.TrimSpace(line+" "+string(body)))
	s.mu.Unlock()
	status, text := s.answer(n, r, string(body))
	if status/100 == 3 {
		w.Header().Set("Location", "http://127.0.0.1:1/planted")
	}
	w.WriteHeader(status)
	io.WriteString(w, text)
}

// RoundTrip answers for every host.
func (s *standIn) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

func (s *standIn) options() Options { return Options{Client: &http.Client{Transport: s}} }

const (
	rolePath  = "/latest/meta-data/iam/security-credentials/"
	askToken  = "PUT http://169.254.169.254/latest/api/token X-Aws-Ec2-Metadata-Token-Ttl-Seconds=60"
	withToken = " X-Aws-Ec2-Metadata-Token=AQAEA=="
)

// credentials is the documented answer, of keys that are numbered and live for six hours.
func credentials(n int, expires time.Time) string {
	return fmt.Sprintf(`{"Code":"Success","LastUpdated":"2026-11-26T12:00:00Z","Type":"AWS-HMAC","AccessKeyId":"ASIA%d","SecretAccessKey":"planted secret %d","Token":"planted token","Expiration":%q}`,
		n, n, expires.UTC().Format(time.RFC3339))
}

// ec2 is an instance metadata service of version 2.
func ec2(keys func() string) *standIn {
	s := new(standIn)
	s.answer = func(_ int, r *http.Request, _ string) (int, string) {
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" && r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds") != "":
			return 200, "AQAEA=="
		case r.Header.Get("X-aws-ec2-metadata-token") != "AQAEA==":
			return 401, ""
		case r.URL.Path == rolePath:
			return 200, "photos\n"
		case r.URL.Path == rolePath+"photos":
			return 200, keys()
		}
		return 404, ""
	}
	return s
}

func mustSource(t testing.TB) func(s3.CredentialSource, error) s3.CredentialSource {
	return func(s s3.CredentialSource, err error) s3.CredentialSource {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func checkKeys(t *testing.T, got s3.Credentials, err error, id, secret, token string) {
	t.Helper()
	if err != nil || got.AccessKeyID != id || string(got.SecretKey.Reveal()) != secret || string(got.SessionToken.Reveal()) != token {
		t.Errorf("got %v, %v; want %s", got, err, id)
	}
}

// The documented questions, in their order, and nothing without a token.
func TestInstance(t *testing.T) {
	end := time.Now().Add(6 * time.Hour).Truncate(time.Second)
	s := ec2(func() string { return credentials(1, end) })
	for role, want := range map[string][]string{
		"":       {askToken, "GET http://169.254.169.254" + rolePath + withToken, "GET http://169.254.169.254" + rolePath + "photos" + withToken},
		"photos": {askToken, "GET http://169.254.169.254" + rolePath + "photos" + withToken},
	} {
		s.asked = nil
		source := mustSource(t)(Instance(InstanceConfig{Role: role, Options: s.options()}))
		if len(s.asked) != 0 {
			t.Errorf("asked before a signature: %q", s.asked)
		}
		for range 3 {
			got, err := source.Credentials(t.Context(), time.Now().Add(time.Hour))
			checkKeys(t, got, err, "ASIA1", "planted secret 1", "planted token")
			if !got.Expires.Equal(end) {
				t.Errorf("ends at %v, want %v", got.Expires, end)
			}
		}
		if !slices.Equal(s.asked, want) {
			t.Errorf("asked %q, want %q", s.asked, want)
		}
	}
}

// Over a socket, at another endpoint, with a base path.
func TestInstanceEndpoint(t *testing.T) {
	s := ec2(func() string { return credentials(1, time.Now().Add(time.Hour)) })
	server := httptest.NewServer(http.StripPrefix("/base", s))
	defer server.Close()
	u, _ := url.Parse(server.URL + "/base/")
	got, err := mustSource(t)(Instance(InstanceConfig{Endpoint: u})).Credentials(t.Context(), time.Now())
	checkKeys(t, got, err, "ASIA1", "planted secret 1", "planted token")
}

// The old ones serve while new ones are fetched, from half time on; a longer life is asked for at once.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, n := time.Now(), 1
		s := ec2(func() string { return credentials(n, start.Add(time.Duration(n)*6*time.Hour)) })
		source := mustSource(t)(Instance(InstanceConfig{Role: "photos", Options: s.options()}))
		get := func(at, life time.Duration) s3.Credentials {
			t.Helper()
			time.Sleep(at - time.Since(start))
			c, err := source.Credentials(t.Context(), time.Now().Add(life))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return c
		}
		get(0, time.Hour)
		get(3*time.Hour-time.Second, time.Hour)
		if len(s.asked) != 2 {
			t.Errorf("%d requests before half time", len(s.asked))
		}
		get(3*time.Hour, time.Hour) // asks in the background, and the service has no others yet
		if c := get(3*time.Hour+time.Second, time.Hour); len(s.asked) != 4 || c.AccessKeyID != "ASIA1" {
			t.Errorf("got %s after %d requests", c.AccessKeyID, len(s.asked))
		}
		n = 2
		if c := get(4*time.Hour, 2*time.Hour); c.AccessKeyID != "ASIA1" {
			t.Errorf("got %s", c.AccessKeyID)
		}
		for range 3 { // a longer life is asked for at once, and not again within a minute
			if c := get(4*time.Hour+time.Second, 24*time.Hour); c.AccessKeyID != "ASIA2" || len(s.asked) != 6 {
				t.Errorf("got %s after %d requests", c.AccessKeyID, len(s.asked))
			}
		}
	})
}

// A failure is told only when there is nothing left, and says what may be wrong.
func TestInstanceFails(t *testing.T) {
	end := time.Now().Add(time.Hour)
	answers := func(token, list, keys string, statuses ...int) *standIn {
		s := ec2(nil)
		s.answer = func(_ int, r *http.Request, _ string) (int, string) {
			i, text := 0, token
			switch {
			case r.URL.Path == rolePath:
				i, text = 1, list
			case strings.HasPrefix(r.URL.Path, rolePath):
				i, text = 2, keys
			}
			if statuses[i] == -1 {
				panic(http.ErrAbortHandler)
			}
			return statuses[i], text
		}
		return s
	}
	good := credentials(1, end)
	for name, tt := range map[string]struct {
		s     *standIn
		want  string
		asked int
	}{
		"version 1 only":       {answers("", "photos", good, 404, 200, 200), "gives no token (404), and is not asked without; is this an EC2 instance?", 1},
		"forbidden":            {answers("", "photos", good, 403, 200, 200), "gives no token (403)", 1},
		"an empty token":       {answers("", "photos", good, 200, 200, 200), "gives no token (200)", 1},
		"a page for a token":   {answers("<html> planted", "photos", good, 200, 200, 200), "gives no token (200)", 1},
		"out of order":         {answers("", "photos", good, 503, 200, 200), "gives no token (503)", 4},
		"a redirect":           {answers("", "photos", good, 302, 200, 200), "redirect", 1},
		"no role":              {answers("t", "", good, 200, 200, 200), "names no role", 2},
		"no role, 404":         {answers("t", "", good, 200, 404, 200), "knows no such role (404)", 2},
		"a path for a role":    {answers("t", "../planted", good, 200, 200, 200), "names no role", 2},
		"a page for a role":    {answers("t", "<html>", good, 200, 200, 200), "names no role", 2},
		"not authorized":       {answers("t", "photos", good, 200, 200, 401), "answers 401", 3},
		"failed":               {answers("t", "photos", `{"Code":"AssumeRoleUnauthorizedAccess","Message":"planted"}`, 200, 200, 200), "(28 characters); can the instance assume its role?", 3},
		"no keys":              {answers("t", "photos", `{"Code":"Success"}`, 200, 200, 200), "holds no AccessKeyId", 3},
		"no end":               {answers("t", "photos", `{"AccessKeyId":"a","SecretAccessKey":"planted","Token":"planted"}`, 200, 200, 200), "holds no AccessKeyId", 3},
		"no JSON":              {answers("t", "photos", "planted", 200, 200, 200), "holds no AccessKeyId", 3},
		"a soon that is text":  {answers("t", "photos", `{"AccessKeyId":"a","SecretAccessKey":"planted","Token":"planted","Expiration":"soon"}`, 200, 200, 200), "holds no AccessKeyId", 3},
		"over":                 {answers("t", "photos", credentials(1, end.Add(-2*time.Hour)), 200, 200, 200), "is the machine's clock right?", 3},
		"a megabyte and a bit": {answers("t", "photos", strings.Repeat(" ", 1<<20)+good, 200, 200, 200), "1048576 bytes", 3 + 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clk := clock.Fixed(end.Add(-time.Hour))
				source := mustSource(t)(Instance(InstanceConfig{Options: Options{Client: &http.Client{Transport: tt.s}, Clock: clk}}))
				_, err := source.Credentials(t.Context(), end)
				var e *signer.Error
				if !errors.Is(err, signer.ErrRemote) || !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "planted") {
					t.Errorf("got %v, want %q", err, tt.want)
				}
				if len(tt.s.asked) != tt.asked {
					t.Errorf("asked %q", tt.s.asked)
				}
				s, err := s3.New(s3.Config{Region: "eu-west-1", Bucket: "photos", Credentials: source, Clock: clk})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.Presign(t.Context(), signer.Request{Key: "k", Expires: time.Minute}); !errors.Is(err, signer.ErrCredentials) || !errors.Is(err, signer.ErrRemote) {
					t.Errorf("presign: %v", err)
				}
			})
		})
	}
}

// hangs is a service that drops the answers, as a hop limit of one does.
type hangs struct{ n int }

func (h *hangs) RoundTrip(r *http.Request) (*http.Response, error) {
	h.n++
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestInstanceHopLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, start := new(hangs), time.Now()
		source := mustSource(t)(Instance(InstanceConfig{Options: Options{Client: &http.Client{Transport: h}}}))
		_, err := source.Credentials(t.Context(), time.Now())
		if !errors.Is(err, signer.ErrRemote) || !strings.Contains(err.Error(), "--http-put-response-hop-limit 2") || h.n != 4 || time.Since(start) > 5*time.Second {
			t.Errorf("got %v after %v and %d requests", err, time.Since(start), h.n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := source.Credentials(ctx, time.Now()); err != context.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
	})
}

// A credential is not sent over http to where it can be read.
func TestEndpoints(t *testing.T) {
	for _, u := range []string{"http://169.254.169.254", "http://[fd00:ec2::254]", "http://127.0.0.1:1338", "http://localhost", "https://imds.example.com/x"} {
		if _, err := Instance(InstanceConfig{Endpoint: parse2(t, u)}); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range []string{"http://10.0.0.1", "http://imds.example.com", "http://[fd00:ec2::255]", "http://[fd00:ec2::23]", "ftp://127.0.0.1", "http://127.0.0.1?x=y"} {
		if _, err := Instance(InstanceConfig{Endpoint: parse2(t, u)}); !errors.Is(err, signer.ErrRequest) {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range []string{"http://169.254.170.2/v2/credentials/1", "http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1/credentials", "http://localhost:1/x?y=z", "https://creds.example.com/x"} {
		if _, err := Container(ContainerConfig{URL: parse2(t, u)}); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range []string{"http://10.0.0.1/x", "http://creds.example.com/x", "http://user@127.0.0.1/x", "http://[fd00:ec2::254]/x"} {
		if _, err := Container(ContainerConfig{URL: parse2(t, u)}); !errors.Is(err, signer.ErrRequest) {
			t.Errorf("%s: %v", u, err)
		}
	}
	if _, err := Container(ContainerConfig{}); !errors.Is(err, signer.ErrRequest) {
		t.Error(err)
	}
	if _, err := Instance(InstanceConfig{Role: "../x"}); !errors.Is(err, signer.ErrRequest) {
		t.Error(err)
	}
}

func parse2(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// The documented question, with the token as it is in its file at that time.
func TestContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		s := &standIn{answer: func(int, *http.Request, string) (int, string) {
			n++
			return 200, fmt.Sprintf(`{"RoleArn":"arn:aws:iam::123456789012:role/photos","AccessKeyId":"ASIA%d","SecretAccessKey":"planted secret","Token":"planted token","Expiration":%q}`,
				n, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		}}
		file := filepath.Join(t.TempDir(), "token")
		source := mustSource(t)(Container(ContainerConfig{URL: parse2(t, "http://169.254.170.23/v1/credentials?a=b"), Token: TokenFile(file), Options: s.options()}))
		for i, token := range []string{"first\n", "second"} {
			if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := source.Credentials(t.Context(), time.Now())
			checkKeys(t, got, err, fmt.Sprintf("ASIA%d", i+1), "planted secret", "planted token")
			time.Sleep(time.Hour)
		}
		const line = "GET http://169.254.170.23/v1/credentials?a=b Accept=application/json Authorization="
		if want := []string{line + "first", line + "second"}; !slices.Equal(s.asked, want) {
			t.Errorf("asked %q", s.asked)
		}
		bare := mustSource(t)(Container(ContainerConfig{URL: parse2(t, "http://169.254.170.2/v2/credentials/1"), Options: s.options()}))
		if _, err := bare.Credentials(t.Context(), time.Now()); err != nil || s.asked[2] != "GET http://169.254.170.2/v2/credentials/1 Accept=application/json" {
			t.Errorf("asked %q, %v", s.asked, err)
		}
	})
}

func TestContainerFails(t *testing.T) {
	token := func(text string, err error) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return text, err }
	}
	for name, tt := range map[string]struct {
		status int
		text   string
		token  func(context.Context) (string, error)
		want   string
		asked  int
	}{
		"refused":            {403, `{"code":"planted"}`, nil, "answers 403; does the task, or the pod, have a role?", 1},
		"redirect":           {307, "", token("planted", nil), "redirect", 1},
		"no keys":            {200, `{"Token":"planted"}`, nil, "holds no AccessKeyId", 1},
		"no file":            {200, "", TokenFile(filepath.Join(t.TempDir(), "none")), "Token: key service failed: there is no token", 0},
		"an empty token":     {200, "", token("", nil), "Token", 0},
		"two lines":          {200, "", token("planted\nX-Evil: 1", nil), "Token", 0},
		"a token that fails": {200, "", token("planted", errors.New("lost")), "lost", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &standIn{answer: func(int, *http.Request, string) (int, string) { return tt.status, tt.text }}
			source := mustSource(t)(Container(ContainerConfig{URL: parse2(t, "http://127.0.0.1/creds"), Token: tt.token, Options: s.options()}))
			_, err := source.Credentials(t.Context(), time.Now())
			if !errors.Is(err, signer.ErrRemote) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "planted") || len(s.asked) != tt.asked {
				t.Errorf("%s: got %v after %q", name, err, s.asked)
			}
		})
	}
}

// Nobody's secrets are printed with the source that keeps them.
func TestSourcePrintsNothing(t *testing.T) {
	s := ec2(func() string { return credentials(1, time.Now().Add(time.Hour)) })
	source := mustSource(t)(Instance(InstanceConfig{Options: s.options()}))
	c, err := source.Credentials(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if text := fmt.Sprintf(verb, source) + fmt.Sprintf(verb, c); strings.Contains(text, "planted") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

func TestConcurrent(t *testing.T) {
	s := ec2(func() string { return credentials(1, time.Now().Add(time.Hour)) })
	source := mustSource(t)(Instance(InstanceConfig{Role: "photos", Options: s.options()}))
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := source.Credentials(t.Context(), time.Now()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(s.asked) != 2 {
		t.Errorf("asked %q", s.asked)
	}
	if n := testing.AllocsPerRun(100, func() { source.Credentials(t.Context(), time.Time{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
