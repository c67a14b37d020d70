package awscreds

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

const roleARN = "arn:aws:iam::123456789012:role/photos"

func fixedToken(context.Context) (string, error) { return "eyJ.planted.token", nil }

// session is the documented answer.
func session(expires time.Time) string {
	return fmt.Sprintf(`<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <SubjectFromWebIdentityToken>system:serviceaccount:default:photos</SubjectFromWebIdentityToken>
    <Audience>sts.amazonaws.com</Audience>
    <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/photos/cloudsigner</Arn></AssumedRoleUser>
    <Credentials>
      <SessionToken>planted session token</SessionToken>
      <SecretAccessKey>planted secret</SecretAccessKey>
      <Expiration>%s</Expiration>
      <AccessKeyId>ASIASTS</AccessKeyId>
    </Credentials>
  </AssumeRoleWithWebIdentityResult>
  <ResponseMetadata><RequestId>ad4156e9-bce1-11e2-82e6-6b6efEXAMPLE</RequestId></ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>`, expires.UTC().Format(time.RFC3339))
}

func refusal(code string) string {
	return `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>` + code + `</Code><Message>planted</Message></Error></ErrorResponse>`
}

// The request is the documented one, and is not signed.
func TestWebIdentity(t *testing.T) {
	for name, tt := range map[string]struct {
		c    WebIdentityConfig
		want string
	}{
		"EKS": {WebIdentityConfig{Region: "eu-west-1"},
			"POST https://sts.eu-west-1.amazonaws.com/ Accept=text/xml Content-Type=application/x-www-form-urlencoded Action=AssumeRoleWithWebIdentity&DurationSeconds=3600" +
				"&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fphotos&RoleSessionName=cloudsigner&Version=2011-06-15&WebIdentityToken=eyJ.planted.token"},
		"all of it": {WebIdentityConfig{Region: "cn-north-1", SessionName: "a+b@c", Life: 12 * time.Hour},
			"POST https://sts.cn-north-1.amazonaws.com.cn/ Accept=text/xml Content-Type=application/x-www-form-urlencoded Action=AssumeRoleWithWebIdentity&DurationSeconds=43200" +
				"&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fphotos&RoleSessionName=a%2Bb%40c&Version=2011-06-15&WebIdentityToken=eyJ.planted.token"},
		"endpoint": {WebIdentityConfig{Endpoint: &url.URL{Scheme: "https", Host: "sts.example.com"}},
			"POST https://sts.example.com/ Accept=text/xml Content-Type=application/x-www-form-urlencoded Action=AssumeRoleWithWebIdentity&DurationSeconds=3600" +
				"&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fphotos&RoleSessionName=cloudsigner&Version=2011-06-15&WebIdentityToken=eyJ.planted.token"},
	} {
		s := &standIn{answer: func(int, *http.Request, string) (int, string) { return 200, session(time.Now().Add(time.Hour)) }}
		tt.c.RoleARN, tt.c.Token, tt.c.Options = roleARN, fixedToken, s.options()
		source := mustSource(t)(WebIdentity(tt.c))
		for range 2 {
			got, err := source.Credentials(t.Context(), time.Now().Add(time.Minute))
			checkKeys(t, got, err, "ASIASTS", "planted secret", "planted session token")
		}
		if want := []string{tt.want}; !slices.Equal(s.asked, want) {
			t.Errorf("%s: asked %q, want %q", name, s.asked, want)
		}
	}
}

func TestWebIdentityConfig(t *testing.T) {
	good := WebIdentityConfig{RoleARN: roleARN, Token: fixedToken, Region: "eu-west-1"}
	if _, err := WebIdentity(good); err != nil {
		t.Fatal(err)
	}
	for field, edit := range map[string]func(*WebIdentityConfig){
		"RoleARN":     func(c *WebIdentityConfig) { c.RoleARN = "photos" },
		"SessionName": func(c *WebIdentityConfig) { c.SessionName = "a b" },
		"Token":       func(c *WebIdentityConfig) { c.Token = nil },
		"Life":        func(c *WebIdentityConfig) { c.Life = time.Minute },
		"Region":      func(c *WebIdentityConfig) { c.Region = "evil.example/" },
		"Endpoint":    func(c *WebIdentityConfig) { c.Endpoint = &url.URL{Scheme: "http", Host: "169.254.169.254"} },
	} {
		c := good
		edit(&c)
		_, err := WebIdentity(c)
		var e *signer.Error
		if !errors.Is(err, signer.ErrRequest) || !errors.As(err, &e) || e.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	_, err := WebIdentity(WebIdentityConfig{Life: time.Second})
	for _, field := range []string{"RoleARN", "Token", "Life", "Region"} {
		if !strings.Contains(err.Error(), ": "+field+": ") {
			t.Errorf("%v does not name %s", err, field)
		}
	}
}

// Refusals say what is missing; one that passes is tried again.
func TestWebIdentityFails(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		text   string
		code   string
		want   string
		asked  int
	}{
		"no trust":       {403, refusal("AccessDenied"), "AccessDenied", "aws iam get-role --role-name photos", 1},
		"expired":        {400, refusal("ExpiredTokenException"), "ExpiredTokenException", "Token: key service failed: the token has expired", 1},
		"unknown issuer": {400, refusal("InvalidIdentityToken"), "InvalidIdentityToken", "aws iam list-open-id-connect-providers", 1},
		"too long":       {400, refusal("ValidationError"), "ValidationError", "longer than the role's maximum", 1},
		"region":         {403, refusal("RegionDisabledException"), "RegionDisabledException", "Region", 1},
		"issuer is down": {400, refusal("IDPCommunicationError"), "IDPCommunicationError", "does not reach", 2},
		"another":        {400, refusal("PackedPolicyTooLarge"), "PackedPolicyTooLarge", "(the answer is 400 PackedPolicyTooLarge)", 1},
		"no code":        {400, "planted", "", "(the answer is 400)", 1},
		"a text as code": {400, refusal("planted text"), "", "(the answer is 400)", 1},
		"out of order":   {503, "planted", "", "(the answer is 503)", 4},
		"redirect":       {307, "", "", "redirect", 1},
		"no answer":      {200, "<html>planted</html>", "", "holds no Credentials", 1},
		"no keys":        {200, `<AssumeRoleWithWebIdentityResponse></AssumeRoleWithWebIdentityResponse>`, "", "holds no Credentials", 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &standIn{answer: func(int, *http.Request, string) (int, string) { return tt.status, tt.text }}
			source := mustSource(t)(WebIdentity(WebIdentityConfig{RoleARN: roleARN, Token: fixedToken, Region: "eu-west-1", Options: s.options()}))
			_, err := source.Credentials(t.Context(), time.Now())
			var e *signer.Error
			if !errors.Is(err, signer.ErrRemote) || !errors.As(err, &e) || e.Code != tt.code || !strings.Contains(err.Error(), tt.want) ||
				strings.Contains(err.Error(), "planted") || len(s.asked) != tt.asked {
				t.Errorf("%s: got %v after %d requests", name, err, len(s.asked))
			}
		})
	}
}
