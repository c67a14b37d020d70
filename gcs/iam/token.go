package iam

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/rest"
	"github.com/cloudsigner/cloudsigner/signer"
)

// fetchToken asks for a token, and says how long it is kept: until less than four minutes are left, because the metadata
// server gives out the old one until then, or of a short life three quarters.
func (s *service) fetchToken(ctx context.Context) (rest.Entry[string], error) {
	token, expires, err := s.token(ctx)
	if err != nil {
		return rest.Entry[string]{}, err
	}
	if !rest.TokenOK(token) {
		return rest.Entry[string]{}, errors.New("it is empty, or holds a character that no token has")
	}
	if expires.IsZero() {
		return rest.Entry[string]{Value: token}, nil
	}
	early := min(225*time.Second, expires.Sub(s.now())/4)
	return rest.Entry[string]{Value: token, Fresh: expires.Add(-early), Usable: expires.Add(-10 * time.Second)}, nil
}

// ImpersonatedToken makes a function for Config.Token that returns tokens of c.Account, for whom c's caller needs the role
// roles/iam.serviceAccountTokenCreator. They live an hour and have the scope iam, which is enough to sign.
//
// To sign as another account it is not needed: New does so directly. It is for an account that signs as itself, or is the
// only one with a role on others.
//
// https://docs.cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
func ImpersonatedToken(c Config) (func(ctx context.Context) (token string, expires time.Time, err error), error) {
	s, err := newService(pipeline.Op{Backend: "gcs", Name: "new impersonated token"}, c)
	if err != nil {
		return nil, err
	}
	return s.generateAccessToken, nil
}

func (s *service) generateAccessToken(ctx context.Context) (string, time.Time, error) {
	op := pipeline.Op{Backend: "gcs", Name: "generate access token"}
	body, err := json.Marshal(struct {
		Delegates []string `json:"delegates,omitempty"`
		Scope     []string `json:"scope"`
	}{s.delegates, []string{"https://www.googleapis.com/auth/iam"}})
	if err != nil {
		return "", time.Time{}, err // unreachable
	}
	answer, err := s.call(ctx, op, "generateAccessToken", body)
	if err != nil {
		return "", time.Time{}, err
	}
	return parseAccessToken(op, answer)
}

func parseAccessToken(op pipeline.Op, answer []byte) (string, time.Time, error) {
	var a struct {
		AccessToken string    `json:"accessToken"`
		ExpireTime  time.Time `json:"expireTime"`
	}
	if err := json.Unmarshal(answer, &a); err != nil || !rest.TokenOK(a.AccessToken) || a.ExpireTime.IsZero() {
		return "", time.Time{}, op.Errorf(signer.ErrRemote, "",
			"the answer holds no accessToken with its expireTime; is this the right endpoint?")
	}
	return a.AccessToken, a.ExpireTime, nil
}

// MetadataToken makes a function for Config.Token that asks the metadata server for a token of the account that the program
// runs as.
//
// host is the server's, with or without a port and without http://; "" means 169.254.169.254, and $GCE_METADATA_HOST is what
// Google's own clients take instead. It must be link-local, loopback, or metadata.google.internal, because the server speaks http
// only. A nil client means one without a proxy; c says when the token expires, nil for clock.System().
//
// https://docs.cloud.google.com/compute/docs/access/authenticate-workloads#applications
func MetadataToken(client *http.Client, host string, c clock.Clock) func(ctx context.Context) (token string, expires time.Time, err error) {
	op := pipeline.Op{Backend: "gcs", Name: "metadata token"}
	m, problem := newMetadata(op, client, host)
	clk := pipeline.NewClock(c, "")
	return func(ctx context.Context) (string, time.Time, error) {
		if problem != nil {
			return "", time.Time{}, problem
		}
		answer, err := m.get(ctx, op, "token")
		if err != nil {
			return "", time.Time{}, err
		}
		now, _ := clk.Read()
		return parseMetadataToken(op, answer, now)
	}
}

func parseMetadataToken(op pipeline.Op, answer []byte, now time.Time) (string, time.Time, error) {
	var a struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"` // seconds
	}
	const day = 24 * 60 * 60
	if err := json.Unmarshal(answer, &a); err != nil || !rest.TokenOK(a.AccessToken) || a.ExpiresIn <= 0 || a.ExpiresIn > day {
		return "", time.Time{}, op.Errorf(signer.ErrRemote, "", "the answer holds no access_token with its expires_in")
	}
	return a.AccessToken, now.Add(time.Duration(a.ExpiresIn) * time.Second), nil
}

// MetadataEmail asks the metadata server for the e-mail address of the account that the program runs as. client and host
// are those of MetadataToken.
//
// On GKE with Workload Identity and no service account of Google's behind the Kubernetes one there is no such address;
// the error says so.
func MetadataEmail(ctx context.Context, client *http.Client, host string) (string, error) {
	op := pipeline.Op{Backend: "gcs", Name: "metadata email"}
	m, err := newMetadata(op, client, host)
	if err != nil {
		return "", err
	}
	answer, err := m.get(ctx, op, "email")
	if err != nil {
		return "", err
	}
	email := string(bytes.TrimSpace(answer))
	if problem := accountProblem(email); problem != "" {
		return "", op.Errorf(signer.ErrRemote, "", "the answer is no account: %s", problem)
	}
	return email, nil
}

// metadata is the server that tells an instance about itself.
type metadata struct {
	url    string
	client *rest.Client
}

func newMetadata(op pipeline.Op, client *http.Client, host string) (*metadata, error) {
	if host == "" {
		host = "169.254.169.254"
	}
	if strings.Contains(host, "/") {
		return nil, op.Errorf(signer.ErrRequest, "host", "it is a URL or a path; write the host alone, with a port perhaps: metadata.google.internal")
	}
	u := &url.URL{Scheme: "http", Host: host}
	if err := pipeline.CheckEndpoint(op, u); err != nil {
		return nil, err
	}
	if !rest.Near(u.Hostname()) && !strings.EqualFold(u.Hostname(), "metadata.google.internal") {
		return nil, op.Errorf(signer.ErrRequest, "host",
			"it is neither link-local nor loopback nor metadata.google.internal, and http must not leave the machine")
	}
	return &metadata{
		url:    u.String() + "/computeMetadata/v1/instance/service-accounts/default/",
		client: rest.NewClient(rest.Direct(client), 3*time.Second),
	}, nil
}

func (m *metadata) get(ctx context.Context, op pipeline.Op, what string) ([]byte, error) {
	const flavor = "Metadata-Flavor" // in the request: no browser was tricked into it; in the answer: it is that server's
	answer, err := m.client.Do(ctx, rest.Request{Method: http.MethodGet, URL: m.url + what, Header: http.Header{flavor: {"Google"}}})
	switch {
	case err != nil:
		return nil, rest.Remote(ctx, op, "", "no metadata server answers; is this Google Cloud?", err)
	case answer.Header.Get(flavor) != "Google":
		return nil, op.Errorf(signer.ErrRemote, "",
			"what answers (%d) is no metadata server: it lacks the header Metadata-Flavor: Google", answer.Status)
	case answer.Status == http.StatusNotFound:
		return nil, op.Errorf(signer.ErrRemote, "", "the metadata server knows no account (404); the instance must run as a service account")
	case answer.Status != http.StatusOK:
		return nil, op.Errorf(signer.ErrRemote, "", "the metadata server answers %d", answer.Status)
	}
	return answer.Body, nil
}
