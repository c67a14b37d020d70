package udk

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/rest"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A refusal is what an answer other than 200 says. Its texts are a stranger's and not shown; the detail tells cases apart.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/status-and-error-codes2
type refusal struct {
	http   int
	code   string // AuthorizationPermissionMismatch
	detail string // why a token was refused
}

func parseRefusal(a rest.Answer) refusal {
	var body struct {
		XMLName                   xml.Name `xml:"Error"`
		Code                      string
		AuthenticationErrorDetail string
	}
	r := refusal{http: a.Status, code: name(a.Header.Get("X-Ms-Error-Code"))}
	if xml.Unmarshal(a.Body, &body) == nil {
		r.detail = body.AuthenticationErrorDetail
		if r.code == "" {
			r.code = name(body.Code)
		}
	}
	return r
}

// name is a stranger's text if it is an error code, which has letters only.
func name(s string) string {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return ""
		}
	}
	if len(s) > 64 {
		return ""
	}
	return s
}

// explain says what is missing and how to get it.
func (s *service) explain(op pipeline.Op, r refusal) error {
	refuse := func(field, format string, args ...any) error {
		answer := strings.TrimSpace(fmt.Sprintf("%d %s", r.http, r.code))
		return op.Refusal(signer.ErrRemote, field, r.code, "%s (the answer is %s)", fmt.Sprintf(format, args...), answer)
	}
	about := func(check string) bool { return strings.HasPrefix(r.detail, check) }
	const resource = "https://storage.azure.com/"
	switch {
	case about("Audience validation failed"):
		return refuse("Token", "the access token is for another service; ask for one with the scope %s.default "+
			"(az account get-access-token --resource %[1]s)", resource)
	case about("Issuer validation failed"):
		return refuse("Token", "the access token is another tenant's; ask the tenant of the account's subscription "+
			"(az account show --query tenantId)")
	case about("Lifetime validation failed"):
		return refuse("Token", "the access token has expired; Token must return one that lives")
	case about("Only authentication scheme Bearer"):
		return refuse("", "the emulator takes no access tokens; start Azurite with --oauth basic and --cert, and use https")
	case r.code == "AuthorizationFailure":
		return refuse("", "the account's network rules keep the caller out, or it may not do this "+
			"(az storage account show --name %s --query networkRuleSet)", s.account)
	case r.code == "AuthenticationFailed" || r.http == http.StatusUnauthorized:
		return refuse("Token", "the access token is refused; it must be of the account's tenant, for %s, and not expired", resource)
	case r.http == http.StatusForbidden && s.oneLake:
		return refuse("", "the caller must be able to read at least one workspace of the Fabric tenant, "+
			"and the tenant's settings must allow SAS for OneLake")
	case r.code == "AuthorizationPermissionMismatch" || r.http == http.StatusForbidden && r.code == "":
		return refuse("", `the caller has no Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action on the `+
			`account, which is in the role Storage Blob Delegator; a few minutes after az role assignment create --role `+
			`"Storage Blob Delegator" --assignee CALLER --scope "$(az storage account show --name %s --query id --output tsv)" it has. `+
			`CALLER is the object id of whose the token is; a role on a container is not enough`, s.account)
	case r.code == "InvalidXmlNodeValue":
		return refuse("", "the service does not take the key's times, %v from %v ago; is the machine's clock right?", s.life, backdate)
	case r.code == "InvalidHeaderValue":
		return refuse("Version", "the service may not know version %s; set an older one, "+
			"or start Azurite with --skipApiVersionCheck", s.version)
	case r.http == http.StatusNotFound:
		return refuse("Endpoint", "no blob service answers there")
	case r.http == http.StatusTooManyRequests || r.http == http.StatusServiceUnavailable:
		return refuse("", "the service is out of order, or asked too often; one source is enough for an account")
	}
	return refuse("", "the service gives no key")
}
