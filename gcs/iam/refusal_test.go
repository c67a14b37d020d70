package iam

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/rest"
	"github.com/cloudsigner/cloudsigner/signer"
)

// The shapes of Google's refusals, as people have reported them: google-api-go-client issue 1881, fog-google issue 599,
// terraform-dynamic-javascript-webapp issue 48, terraform-provider-google issue 9249.
const (
	denied = `{"error":{"code":403,"message":"Permission 'iam.serviceAccounts.signBlob' denied on resource (or it may not exist).","status":"PERMISSION_DENIED",` +
		`"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"IAM_PERMISSION_DENIED","domain":"iam.googleapis.com","metadata":{"permission":"iam.serviceAccounts.signBlob"}}]}}`
	disabled = `{"error":{"code":403,"message":"IAM Service Account Credentials API has not been used in project 658385756964 before or it is disabled.","status":"PERMISSION_DENIED",` +
		`"details":[{"@type":"type.googleapis.com/google.rpc.Help","links":[{"description":"Google developers console API activation","url":"https://console.developers.google.com/"}]},` +
		`{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"googleapis.com","metadata":{"consumer":"projects/658385756964","service":"iamcredentials.googleapis.com"},"reason":"SERVICE_DISABLED"}]}}`
	scope = `{"error":{"code":403,"message":"Request had insufficient authentication scopes.","status":"PERMISSION_DENIED",` +
		`"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"ACCESS_TOKEN_SCOPE_INSUFFICIENT","domain":"googleapis.com",` +
		`"metadata":{"method":"google.iam.credentials.v1.IAMCredentials.SignBlob","service":"iamcredentials.googleapis.com"}}]}}`
	missing = `{"error":{"code":404,"message":"Not found; Gaia id not found for email signer@proj.iam.gserviceaccount.com",` +
		`"errors":[{"message":"Not found; Gaia id not found for email signer@proj.iam.gserviceaccount.com","domain":"global","reason":"notFound"}],"status":"NOT_FOUND"}}`
)

// Every refusal says what is missing and the command that gives it.
func TestRefusals(t *testing.T) {
	const grant = "gcloud iam service-accounts add-iam-policy-binding " + account + " --member=serviceAccount:CALLER --role=roles/iam.serviceAccountTokenCreator"
	for name, tt := range map[string]struct {
		status   int
		body     string
		asked    int
		code     string
		want     []string
		delegate string
	}{
		"permission denied": {403, denied, 2, "PERMISSION_DENIED", []string{"iam.serviceAccounts.signBlob", grant + " (", account + " itself"}, ""},
		"through a delegate": {403, denied, 2, "PERMISSION_DENIED", []string{
			"binding middle@proj.iam.gserviceaccount.com --member=serviceAccount:CALLER --role=roles/iam.serviceAccountTokenCreator && ",
			"binding " + account + " --member=serviceAccount:middle@proj.iam.gserviceaccount.com --role=", "each needs the role on the next"}, "middle@proj.iam.gserviceaccount.com"},
		"another permission": {403, strings.ReplaceAll(denied, "signBlob", "implicitDelegation"), 2, "PERMISSION_DENIED", []string{"no iam.serviceAccounts.implicitDelegation"}, ""},
		"API not enabled":    {403, disabled, 1, "PERMISSION_DENIED", []string{"API is not enabled", "gcloud services enable iamcredentials.googleapis.com --project=658385756964 "}, ""},
		"of a nameless project": {403, strings.ReplaceAll(disabled, "projects/658385756964", "projects/x;reboot"), 1, "PERMISSION_DENIED",
			[]string{"gcloud services enable iamcredentials.googleapis.com --project=PROJECT "}, ""},
		"scope":                 {403, scope, 1, "PERMISSION_DENIED", []string{"https://www.googleapis.com/auth/cloud-platform", "gcloud compute instances set-service-account"}, ""},
		"no service account":    {404, missing, 1, "NOT_FOUND", []string{account + " is not a service account", "gcloud iam service-accounts describe " + account, "add-iam-policy-binding " + account + " --member='serviceAccount:PROJECT.svc.id.goog[NAMESPACE/NAME]' --role=roles/iam.workloadIdentityUser"}, ""},
		"token":                 {401, `{"error":{"status":"UNAUTHENTICATED"}}`, 2, "UNAUTHENTICATED", []string{"the access token is refused"}, ""},
		"quota":                 {429, `{"error":{"status":"RESOURCE_EXHAUSTED"}}`, 4, "RESOURCE_EXHAUSTED", []string{"60,000 signatures a minute", "Window"}, ""},
		"bad request":           {400, `{"error":{"status":"INVALID_ARGUMENT","message":"planted"}}`, 1, "INVALID_ARGUMENT", []string{"answers 400 INVALID_ARGUMENT"}, ""},
		"no JSON":               {403, "<html>planted", 2, "", []string{grant}, ""},
		"nothing":               {500, "", 4, "", []string{"the service answers 500"}, ""},
		"a message as a status": {400, `{"error":{"status":"planted text with blanks"}}`, 1, "", []string{"the service answers 400"}, ""},
		"a message as a permission": {403, strings.ReplaceAll(denied, `"permission":"iam.serviceAccounts.signBlob"`, `"permission":"planted; reboot"`), 2, "PERMISSION_DENIED",
			[]string{"no iam.serviceAccounts.signBlob"}, ""},
		"a long status":       {400, `{"error":{"status":"` + strings.Repeat("PLANTED", 10) + `"}}`, 1, "", []string{"the service answers 400"}, ""},
		"an option as a name": {403, strings.ReplaceAll(disabled, "projects/658385756964", "projects/-planted"), 1, "PERMISSION_DENIED", []string{"--project=PROJECT "}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.answer = func(int, *http.Request, []byte) (int, string) { return tt.status, tt.body }
				c := config(f)
				if tt.delegate != "" {
					c.Delegates = []string{tt.delegate}
				}
				_, err := newKey(t, c).sign(t.Context(), []byte("text"))
				var e *signer.Error
				if !errors.As(err, &e) || !errors.Is(err, signer.ErrRemote) || e.Code != tt.code {
					t.Fatalf("got %#v", err)
				}
				for _, want := range tt.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("no %q in\n%v", want, err)
					}
				}
				if strings.Contains(strings.ToLower(err.Error()), "planted") || strings.Contains(err.Error(), "reboot") || strings.Contains(err.Error(), "%!") {
					t.Errorf("got %v", err)
				}
				if len(f.requests) != tt.asked {
					t.Errorf("asked %d times, want %d", len(f.requests), tt.asked)
				}
				checkError(t, err)
			})
		})
	}
}

// FuzzAnswers feeds the parsers what a service might say.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{denied, disabled, scope, missing, "", "{}", "null", `{"error":null}`, `{"error":{"details":[null]}}`, `{"keyId":"k","signedBlob":"AA=="}`,
		`{"accessToken":"a","expireTime":"2014-10-02T15:01:23.045123456Z"}`, `{"access_token":"a","expires_in":3599,"token_type":"Bearer"}`, "[", `{"signedBlob":[1,2]}`} {
		f.Add(403, []byte(seed))
	}
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r := parseRefusal(rest.Answer{Status: status, Body: body})
		s := &service{account: account, delegates: []string{resource + account}}
		text := s.explain(opTest(), "signBlob", r).Error()
		if len(text) > 1500 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%d: %q", status, text)
		}
		if s, err := parseSignature(opTest(), body); (err == nil) != (len(s.Bytes) > 0) || err != nil && !errors.Is(err, signer.ErrRemote) {
			t.Errorf("signature %x, %v", s.Bytes, err)
		}
		if token, expires, err := parseAccessToken(opTest(), body); (err == nil) != rest.TokenOK(token) || (err == nil) == expires.IsZero() {
			t.Errorf("token %q until %v, %v", token, expires, err)
		}
		if token, expires, err := parseMetadataToken(opTest(), body, now); (err == nil) != rest.TokenOK(token) || err == nil && (!expires.After(now) || expires.After(now.Add(24*time.Hour))) {
			t.Errorf("token %q until %v, %v", token, expires, err)
		}
	})
}
