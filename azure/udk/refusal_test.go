package udk

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

// The shapes of the service's refusals, as people have reported them, with what must not be shown: denied, Azure-Samples/
// cloud-design-patterns issue 116; audience, recordings of azure-sdk-for-js of 2023-10-12; times, azure-sdk-for-net issue 45789;
// signature, azure-sdk-for-js pull request 7600; scheme, Azurite issue 656.
const (
	denied    = "\ufeff" + `<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthorizationPermissionMismatch</Code><Message>This request is not authorized to perform this operation using this permission.` + "\n" + `RequestId:planted</Message></Error>`
	audience  = `<?xml version="1.0" encoding="utf-8"?><Error><Code>InvalidAuthenticationInfo</Code><Message>Server failed to authenticate the request. Please refer to the information in the www-authenticate header.` + "\n" + `RequestId:planted</Message><AuthenticationErrorDetail>Audience validation failed. Audience did not match.</AuthenticationErrorDetail></Error>`
	times     = `<?xml version="1.0" encoding="utf-8"?><Error><Code>InvalidXmlNodeValue</Code><Message>The value for one of the XML nodes is not in the correct format.` + "\n" + `RequestId:planted</Message><XmlNodeName>2024-09-07T21:08:59Z</XmlNodeName><XmlNodeValue>2024-09-07T21:08:59Z</XmlNodeValue></Error>`
	signature = `<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.` + "\n" + `RequestId:planted</Message><AuthenticationErrorDetail>Signature validation failed. Signature key not found.</AuthenticationErrorDetail></Error>`
	scheme    = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request.` + "\n" + `RequestId:planted</Message><AuthenticationErrorDetail>Only authentication scheme Bearer is supported</AuthenticationErrorDetail></Error>`
)

// Every refusal says what is missing, and the command that gives it where there is one.
func TestRefusals(t *testing.T) {
	const grant = `az role assignment create --role "Storage Blob Delegator" --assignee CALLER --scope "$(az storage account show --name myaccount --query id --output tsv)"`
	header := func(code string) http.Header { return http.Header{"X-Ms-Error-Code": {code}} }
	for name, tt := range map[string]struct {
		status int
		body   string
		header http.Header
		code   string
		want   []string
	}{
		"permission":              {403, denied, nil, "AuthorizationPermissionMismatch", []string{"no Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action", grant, "403 AuthorizationPermissionMismatch"}},
		"permission, by header":   {403, "", header("AuthorizationPermissionMismatch"), "AuthorizationPermissionMismatch", []string{grant}},
		"another in the header":   {403, denied, header("AccountIsDisabled"), "AccountIsDisabled", []string{"403 AccountIsDisabled"}},
		"nothing but 403":         {403, "", nil, "", []string{grant, "(the answer is 403)"}},
		"audience":                {401, audience, nil, "InvalidAuthenticationInfo", []string{"key: Token: ", "scope https://storage.azure.com/.default (az account get-access-token --resource https://storage.azure.com/)"}},
		"audience as 403":         {403, strings.ReplaceAll(audience, "InvalidAuthenticationInfo", "AuthenticationFailed"), nil, "AuthenticationFailed", []string{"https://storage.azure.com/.default"}},
		"issuer":                  {401, strings.ReplaceAll(audience, "Audience", "Issuer"), nil, "InvalidAuthenticationInfo", []string{"another tenant's"}},
		"expired":                 {401, strings.ReplaceAll(audience, "Audience validation failed. Audience did not match.", "Lifetime validation failed. The token is expired."), nil, "InvalidAuthenticationInfo", []string{"has expired"}},
		"signature":               {403, signature, nil, "AuthenticationFailed", []string{"the access token is refused", "https://storage.azure.com/"}},
		"nothing but 401":         {401, "", nil, "", []string{"the access token is refused", "https://storage.azure.com/", "(the answer is 401)"}},
		"Azurite without oauth":   {403, scheme, nil, "AuthenticationFailed", []string{"--oauth basic"}},
		"network":                 {403, "", header("AuthorizationFailure"), "AuthorizationFailure", []string{"az storage account show --name myaccount --query networkRuleSet"}},
		"disabled":                {403, "", header("AccountIsDisabled"), "AccountIsDisabled", []string{"the service gives no key (the answer is 403 AccountIsDisabled)"}},
		"times":                   {400, times, nil, "InvalidXmlNodeValue", []string{"168h0m0s from 20m0s ago", "clock"}},
		"version":                 {400, "", header("InvalidHeaderValue"), "InvalidHeaderValue", []string{"version 2020-12-06", "--skipApiVersionCheck"}},
		"elsewhere":               {404, "<html>planted", nil, "", []string{"Endpoint", "no blob service answers there"}},
		"throttled":               {503, "", header("ServerBusy"), "ServerBusy", []string{"asked too often", "503 ServerBusy"}},
		"quota":                   {429, "", nil, "", []string{"asked too often"}},
		"server":                  {500, "planted", nil, "", []string{"the service gives no key (the answer is 500)"}},
		"success without a key":   {204, "", nil, "", []string{"the answer is 204"}},
		"a message as a code":     {400, "<Error><Code>planted text</Code></Error>", nil, "", []string{"the answer is 400"}},
		"a header as a code":      {400, "", header("planted: text"), "", []string{"the answer is 400"}},
		"a long code":             {400, "<Error><Code>" + strings.Repeat("Planted", 10) + "</Code></Error>", nil, "", []string{"the answer is 400"}},
		"a message as a detail":   {401, "<Error><AuthenticationErrorDetail>planted</AuthenticationErrorDetail></Error>", nil, "", []string{"the access token is refused"}},
		"a detail in other words": {400, strings.ReplaceAll(audience, "Audience validation", "planted Audience validation"), nil, "InvalidAuthenticationInfo", []string{"the service gives no key"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.header = tt.header
				f.answer = func(int, string) (int, string) { return tt.status, tt.body }
				_, err := newSource(t, config(f)).Key(t.Context(), time.Now())
				checkError(t, err)
				var e *signer.Error
				if !errors.As(err, &e) || e.Code != tt.code {
					t.Fatalf("got %#v", err)
				}
				for _, want := range tt.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("no %q in\n%v", want, err)
					}
				}
			})
		})
	}
}

// OneLake knows no roles of Azure's.
func TestOneLakeRefuses(t *testing.T) {
	f := newFake()
	f.answer = func(int, string) (int, string) { return 403, denied }
	c := config(f)
	c.Endpoint = parse(t, "https://onelake.blob.fabric.microsoft.com")
	_, err := Fetch(t.Context(), c)
	checkError(t, err)
	if text := err.Error(); !strings.Contains(text, "workspace") || strings.Contains(text, "az role") {
		t.Errorf("got %v", err)
	}
}

// FuzzAnswer feeds the parsers what a service might say.
func FuzzAnswer(f *testing.F) {
	_, good := gives(1, "<Start>2026-11-24T23:40:00Z</Start><Expiry>2026-12-01T23:40:00Z</Expiry>")
	for _, seed := range []string{good, denied, audience, times, signature, scheme, "", "<UserDelegationKey/>", "<Error/>", "<", "\ufeff"} {
		f.Add(403, []byte(seed))
	}
	f.Add(200, []byte(strings.ReplaceAll(good, "<Value>", "<SignedDelegatedUserTid>"+tenant+"</SignedDelegatedUserTid><Value>")))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		s := &service{account: "myaccount"}
		text := s.explain(opFetch(), parseRefusal(rest.Answer{Status: status, Body: body})).Error()
		if len(text) > 1000 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%d: %q", status, text)
		}
		h, err := parseKey(opFetch(), body)
		if err != nil {
			if h != nil || !errors.Is(err, signer.ErrRemote) || len(err.Error()) > 1000 || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("got %v, %q", h, err)
			}
			return
		}
		k := h.fields
		for _, field := range []string{k.SignedOID, k.SignedTID, k.SignedStart, k.SignedExpiry, k.SignedService, k.SignedVersion} {
			if field == "" || strings.ContainsFunc(field, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q", field)
			}
		}
		if k.Value.IsZero() || !h.Start.Before(h.End) || h.Value.Secret().IsZero() {
			t.Errorf("got %+v, %v to %v", k, h.Start, h.End)
		}
	})
}
