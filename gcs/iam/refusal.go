package iam

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/rest"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A refusal is what an answer other than 200 says. Its message is left out: it is a stranger's, and the other parts say more.
//
// https://docs.cloud.google.com/apis/design/errors
type refusal struct {
	http       int
	status     string // PERMISSION_DENIED
	reason     string // IAM_PERMISSION_DENIED, SERVICE_DISABLED, ...
	permission string // that is missing
	project    string // in which the API is disabled
}

func parseRefusal(a rest.Answer) refusal {
	var body struct {
		Error struct {
			Status  string
			Details []struct {
				Type     string `json:"@type"`
				Reason   string
				Metadata struct{ Permission, Consumer string }
			}
		}
	}
	r := refusal{http: a.Status}
	if a.Status == http.StatusOK || json.Unmarshal(a.Body, &body) != nil {
		return r
	}
	r.status = name(body.Error.Status)
	for _, d := range body.Error.Details {
		if d.Type == "type.googleapis.com/google.rpc.ErrorInfo" {
			r.reason, r.permission = name(d.Reason), name(d.Metadata.Permission)
			r.project = name(strings.TrimPrefix(d.Metadata.Consumer, "projects/"))
		}
	}
	return r
}

// name is a stranger's text if it is the name of something, safe in a log and in a command.
func name(s string) string {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || i > 0 && strings.IndexByte("-._", c) >= 0) {
			return ""
		}
	}
	if len(s) > 64 {
		return ""
	}
	return s
}

// mayPass reports whether a permission is denied, which happens under load to callers who have it.
func (r refusal) mayPass() bool {
	return r.http == http.StatusForbidden && (r.reason == "" || r.reason == "IAM_PERMISSION_DENIED")
}

// explain says what is missing and how to get it.
func (s *service) explain(op pipeline.Op, verb string, r refusal) error {
	refuse := func(format string, args ...any) error {
		return op.Refusal(signer.ErrRemote, "", r.status, "%s", fmt.Sprintf(format, args...))
	}
	switch {
	case r.reason == "SERVICE_DISABLED":
		return refuse("the IAM Service Account Credentials API is not enabled in the caller's project; a minute or so after "+
			"gcloud services enable iamcredentials.googleapis.com --project=%s it is", cmp.Or(r.project, "PROJECT"))
	case r.reason == "ACCESS_TOKEN_SCOPE_INSUFFICIENT":
		return refuse("the access token is not for IAM; it needs the scope https://www.googleapis.com/auth/cloud-platform or .../auth/iam " +
			"(on Compute Engine: gcloud compute instances set-service-account INSTANCE --scopes=cloud-platform, while it is stopped)")
	case r.http == http.StatusForbidden:
		permission := cmp.Or(r.permission, permissionOf(verb))
		return refuse("the caller has no %s, which is in roles/iam.serviceAccountTokenCreator; %s", permission, s.grants())
	case r.http == http.StatusNotFound:
		return refuse("%s is not a service account, or no longer (gcloud iam service-accounts describe %[1]s); on GKE a Kubernetes account acts for one "+
			"that exists after gcloud iam service-accounts add-iam-policy-binding %[1]s "+
			"--member='serviceAccount:PROJECT.svc.id.goog[NAMESPACE/NAME]' --role=roles/iam.workloadIdentityUser", s.account)
	case r.http == http.StatusUnauthorized:
		return refuse("the access token is refused; it has expired or was revoked, or is none of Google's")
	case r.http == http.StatusTooManyRequests:
		return refuse("too many requests; Google allows 60,000 signatures a minute in a project. Request.Window makes many presigns one signature")
	case r.status != "":
		return refuse("the service answers %d %s", r.http, r.status)
	}
	return refuse("the service answers %d", r.http)
}

func permissionOf(verb string) string {
	if verb == "generateAccessToken" {
		return "iam.serviceAccounts.getAccessToken"
	}
	return "iam.serviceAccounts." + verb
}

// grants are the commands that give everyone on the way from the caller to the account the role on the next.
func (s *service) grants() string {
	var commands []string
	from := "CALLER"
	for _, to := range append(slices.Clone(s.delegates), s.account) {
		to = strings.TrimPrefix(to, resource)
		commands = append(commands, fmt.Sprintf(
			"gcloud iam service-accounts add-iam-policy-binding %s --member=serviceAccount:%s --role=roles/iam.serviceAccountTokenCreator", to, from))
		from = to
	}
	who := fmt.Sprintf("CALLER is whose the token is, %s itself where the program runs as that", s.account)
	if len(commands) > 1 {
		who = "CALLER is whose the token is, and each needs the role on the next"
	}
	return fmt.Sprintf("%s (%s)", strings.Join(commands, " && "), who)
}
