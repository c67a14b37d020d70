package rest

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Instance is the metadata service of a virtual machine as AWS (IMDSv2) and Alibaba Cloud (security hardening mode) have it: a token
// is fetched with PUT, and shown with each question. Without one nothing is asked, because that is what tricked requests do.
type Instance struct {
	Base      string // http://169.254.169.254, without a slash at its end
	TTLHeader string // of the token's life in seconds
	Header    string // of the token
	Hint      string // what may be wrong where there is no token
	Client    *Client
}

// MetadataTimeout is how long a metadata service may take for an answer: it is next door, and where it is not, callers wait.
const MetadataTimeout = time.Second

// tokenSeconds is how long a token lives. It is fetched for each set of questions, which are few.
const tokenSeconds = "60"

// Role asks for the credentials of the instance's role, which stand under path, by the role's name. role is "" for the name that
// the service tells.
func (i *Instance) Role(ctx context.Context, op pipeline.Op, path, role string) ([]byte, error) {
	token, err := i.token(ctx, op)
	if err != nil {
		return nil, err
	}
	if role == "" {
		list, err := i.get(ctx, op, path, token)
		if err != nil {
			return nil, err
		}
		role, _, _ = strings.Cut(string(list), "\n")
		role = strings.TrimSpace(role)
		if !RoleName(role) {
			return nil, op.Errorf(signer.ErrRemote, "", "the metadata service names no role; attach one to the instance")
		}
	}
	return i.get(ctx, op, path+role, token)
}

// RoleName reports whether a name can be a role's.
func RoleName(name string) bool {
	return name != "" && len(name) <= 64 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-") == "" &&
		strings.Trim(name, ".") != ""
}

func (i *Instance) token(ctx context.Context, op pipeline.Op) (string, error) {
	answer, err := i.Client.Do(ctx, Request{Method: http.MethodPut, URL: i.Base + "/latest/api/token", Header: http.Header{i.TTLHeader: {tokenSeconds}}})
	if err != nil {
		return "", Remote(ctx, op, "", "the metadata service gives no token; "+i.Hint, err)
	}
	token := string(answer.Body)
	if answer.Status != http.StatusOK || !TokenOK(token) {
		return "", op.Errorf(signer.ErrRemote, "", "the metadata service gives no token (%d), and is not asked without; %s", answer.Status, i.Hint)
	}
	return token, nil
}

func (i *Instance) get(ctx context.Context, op pipeline.Op, path, token string) ([]byte, error) {
	answer, err := i.Client.Do(ctx, Request{Method: http.MethodGet, URL: i.Base + path, Header: http.Header{i.Header: {token}}})
	switch {
	case err != nil:
		return nil, Remote(ctx, op, "", "the metadata service gives no answer", err)
	case answer.Status == http.StatusNotFound:
		return nil, op.Errorf(signer.ErrRemote, "Role", "the metadata service knows no such role (404); attach one to the instance")
	case answer.Status != http.StatusOK:
		return nil, op.Errorf(signer.ErrRemote, "", "the metadata service answers %d", answer.Status)
	}
	return answer.Body, nil
}
