package udk

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

const identityAnswer = `{"access_token":"eyJ.planted.token","client_id":"f27c2809","expires_in":"3599","expires_on":"1795000000","ext_expires_in":"3599","not_before":"1794990000","resource":"https://storage.azure.com/","token_type":"Bearer"}`

// Each kind of host is asked as it is documented.
func TestManagedIdentity(t *testing.T) {
	app := ManagedIdentity{Endpoint: parse(t, "http://127.0.0.1:41741/msi/token"), Header: signer.NewSecret([]byte("planted-header"))}
	with := func(m ManagedIdentity, edit func(*ManagedIdentity)) ManagedIdentity { edit(&m); return m }
	const imds = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&"
	for name, tt := range map[string]struct {
		m             ManagedIdentity
		url           string
		header, value string
	}{
		"machine":            {ManagedIdentity{}, imds + "resource=https%3A%2F%2Fstorage.azure.com%2F", "Metadata", "true"},
		"machine, client":    {ManagedIdentity{ClientID: "c-1"}, imds + "client_id=c-1&resource=https%3A%2F%2Fstorage.azure.com%2F", "Metadata", "true"},
		"machine, object":    {ManagedIdentity{ObjectID: "o-1"}, imds + "object_id=o-1&resource=https%3A%2F%2Fstorage.azure.com%2F", "Metadata", "true"},
		"machine, resource":  {ManagedIdentity{ResourceID: "/subscriptions/1"}, imds + "msi_res_id=%2Fsubscriptions%2F1&resource=https%3A%2F%2Fstorage.azure.com%2F", "Metadata", "true"},
		"machine, elsewhere": {ManagedIdentity{Endpoint: parse(t, "http://127.0.0.1:1")}, "http://127.0.0.1:1/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F", "Metadata", "true"},
		"app":                {app, "http://127.0.0.1:41741/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fstorage.azure.com%2F", "X-Identity-Header", "planted-header"},
		"app, client":        {with(app, func(m *ManagedIdentity) { m.ClientID = "c-1" }), "http://127.0.0.1:41741/msi/token?api-version=2019-08-01&client_id=c-1&resource=https%3A%2F%2Fstorage.azure.com%2F", "X-Identity-Header", "planted-header"},
		"app, object":        {with(app, func(m *ManagedIdentity) { m.ObjectID = "o-1" }), "http://127.0.0.1:41741/msi/token?api-version=2019-08-01&principal_id=o-1&resource=https%3A%2F%2Fstorage.azure.com%2F", "X-Identity-Header", "planted-header"},
		"app, resource":      {with(app, func(m *ManagedIdentity) { m.ResourceID = "/x" }), "http://127.0.0.1:41741/msi/token?api-version=2019-08-01&mi_res_id=%2Fx&resource=https%3A%2F%2Fstorage.azure.com%2F", "X-Identity-Header", "planted-header"},
	} {
		var asked []*http.Request
		tt.m.Client = &http.Client{Transport: handler(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r)
			w.Write([]byte(identityAnswer))
		})}
		get, err := ManagedIdentityToken(tt.m)
		if err != nil {
			t.Fatal(err)
		}
		got, expires, err := get(t.Context())
		if got != "eyJ.planted.token" || expires.Unix() != 1795000000 || err != nil {
			t.Errorf("%s: got %q, %v, %v", name, got, expires, err)
		}
		if len(asked) != 1 || asked[0].Method != "GET" || asked[0].URL.String() != tt.url || asked[0].Header.Get(tt.header) != tt.value || len(asked[0].Header) != 1 {
			t.Errorf("%s: asked %s %s %v", name, asked[0].Method, asked[0].URL, asked[0].Header)
		}
	}
}

// handler answers for every host.
type handler func(w http.ResponseWriter, r *http.Request)

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// Over a socket, to the key.
func TestManagedIdentityKey(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata") != "true" {
			http.Error(w, "", http.StatusBadRequest)
			return
		}
		w.Write([]byte(identityAnswer))
	}))
	defer server.Close()
	get, err := ManagedIdentityToken(ManagedIdentity{Endpoint: parse(t, server.URL)})
	if err != nil {
		t.Fatal(err)
	}
	f := newFake()
	c := config(f)
	c.Token = get
	if _, err := newSource(t, c).Key(t.Context(), time.Now()); err != nil {
		t.Error(err)
	}
}

func TestManagedIdentityAnswers(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for answer, want := range map[string]time.Time{
		`{"access_token":"t","expires_on":1795000000}`:                         time.Unix(1795000000, 0),
		`{"access_token":"t","expires_in":"60"}`:                               now.Add(time.Minute),
		`{"access_token":"t","expires_in":60}`:                                 now.Add(time.Minute),
		`{"access_token":"planted"}`:                                           {},
		`{"access_token":"planted","expires_on":"11/26/2026 1:00:00 PM"}`:      {},
		`{"access_token":"planted","expires_on":"0"}`:                          {},
		`{"access_token":"planted","expires_in":-1}`:                           {},
		`{"access_token":"planted","expires_in":"99999999"}`:                   {},
		`{"access_token":"","expires_on":1795000000}`:                          {},
		`{"access_token":"planted\nX-Evil: 1","expires_on":1795000000}`:        {},
		`{"expires_on":1795000000}`:                                            {},
		`<html>planted`:                                                        {},
		`{"access_token":"planted","expires_on":"179500000000000000000000"}`:   {},
		`{"error":"planted","error_description":"planted identity not found"}`: {},
	} {
		get, err := ManagedIdentityToken(ManagedIdentity{Clock: clock.Fixed(now),
			Client: &http.Client{Transport: handler(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(answer)) })}})
		if err != nil {
			t.Fatal(err)
		}
		got, expires, err := get(t.Context())
		switch {
		case want.IsZero() && (got != "" || !errors.Is(err, signer.ErrRemote) || strings.Contains(err.Error(), "planted")):
			t.Errorf("%s: got %q, %v", answer, got, err)
		case !want.IsZero() && (got != "t" || !expires.Equal(want) || err != nil):
			t.Errorf("%s: got %q, %v, %v", answer, got, expires, err)
		}
	}
}

func TestManagedIdentityFails(t *testing.T) {
	for _, tt := range []struct {
		status int
		named  string // the ClientID
		want   string
		asked  int
	}{
		{400, "", "finds none (400): assign one", 1}, {404, "", "finds none (404): assign one", 1},
		{400, "c-1", "knows no such identity (400): ", 1}, {404, "c-1", "knows no such identity (404): ", 1},
		{403, "", "answers 403", 1}, {429, "", "answers 429", 4}, {500, "", "answers 500", 4}, {302, "", "redirect", 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			get, err := ManagedIdentityToken(ManagedIdentity{ClientID: tt.named, Client: &http.Client{Transport: handler(func(w http.ResponseWriter, r *http.Request) {
				n++
				w.Header().Set("Location", "http://127.0.0.1:1/planted")
				w.WriteHeader(tt.status)
				w.Write([]byte(`{"error":"invalid_request","error_description":"planted"}`))
			})}})
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = get(t.Context())
			if !errors.Is(err, signer.ErrRemote) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "planted") || n != tt.asked {
				t.Errorf("%d, %q: got %v after %d requests", tt.status, tt.named, err, n)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		get, err := ManagedIdentityToken(ManagedIdentity{Client: &http.Client{Transport: hangs{}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := get(ctx); err != context.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
	})
}

type hangs struct{}

func (hangs) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestManagedIdentityConfig(t *testing.T) {
	header := signer.NewSecret([]byte("planted"))
	for name, tt := range map[string]struct {
		m    ManagedIdentity
		want string
	}{
		"two names":   {ManagedIdentity{ClientID: "a", ObjectID: "b"}, "ClientID, ObjectID, ResourceID"},
		"no endpoint": {ManagedIdentity{Header: header}, "IDENTITY_ENDPOINT"},
		"plain http":  {ManagedIdentity{Header: header, Endpoint: &url.URL{Scheme: "http", Host: "10.0.0.1"}}, "Endpoint"},
		"a newline":   {ManagedIdentity{Header: signer.NewSecret([]byte("planted\n")), Endpoint: &url.URL{Scheme: "http", Host: "127.0.0.1"}}, "Header"},
	} {
		_, err := ManagedIdentityToken(tt.m)
		if !errors.Is(err, signer.ErrRequest) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestManagedIdentityFromEnvironment(t *testing.T) {
	for name, tt := range map[string]struct {
		env      map[string]string
		endpoint string
		want     error
	}{
		"machine":    {nil, "", nil},
		"client":     {map[string]string{"AZURE_CLIENT_ID": "c-1", "IDENTITY_HEADER": "x"}, "", nil},
		"app":        {map[string]string{"AZURE_CLIENT_ID": "c-1", "IDENTITY_ENDPOINT": "http://localhost:42356/msi/token", "IDENTITY_HEADER": "planted"}, "http://localhost:42356/msi/token", nil},
		"Azure Arc":  {map[string]string{"IDENTITY_ENDPOINT": "http://localhost:40342/metadata/identity/oauth2/token"}, "", signer.ErrCredentials},
		"not an URL": {map[string]string{"IDENTITY_ENDPOINT": "planted", "IDENTITY_HEADER": "planted"}, "", signer.ErrCredentials},
	} {
		m, err := ManagedIdentityFromEnvironment(func(name string) string { return tt.env[name] })
		if !errors.Is(err, tt.want) || err != nil && strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err != nil {
			continue
		}
		endpoint := ""
		if m.Endpoint != nil {
			endpoint = m.Endpoint.String()
		}
		if m.ClientID != tt.env["AZURE_CLIENT_ID"] || endpoint != tt.endpoint || m.Header.IsZero() != (endpoint == "") {
			t.Errorf("%s: got %+v", name, m)
		}
		if _, err := ManagedIdentityToken(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := ManagedIdentityFromEnvironment(nil)
	if !errors.Is(err, signer.ErrRequest) || !strings.Contains(err.Error(), "os.Getenv") {
		t.Errorf("without getenv: %v", err)
	}
}
