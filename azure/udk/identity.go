package udk

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/rest"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A ManagedIdentity is an identity that Azure gives to what runs on it: to a virtual machine, a scale set or a node of AKS, whose
// instance metadata service has the tokens, or to an App Service, a Function or a Container App, where an address in the environment
// has them. The zero value is the identity of a machine that has one.
type ManagedIdentity struct {
	// ClientID, ObjectID or ResourceID, one of them, names a user-assigned identity. None is the system-assigned one, or the only
	// one there is.
	ClientID, ObjectID, ResourceID string

	// Endpoint and Header are $IDENTITY_ENDPOINT and $IDENTITY_HEADER of an App Service, a Function or a Container App. nil is the
	// instance metadata service, at http://169.254.169.254; without Header, Endpoint is another address of that service.
	Endpoint *url.URL
	Header   signer.Secret

	// Client sends the requests, without a proxy unless it has a Transport; nil is fine. Redirects are not followed, whatever it says.
	Client *http.Client

	// Clock tells when a token whose life is told in seconds expires; nil means clock.System().
	Clock clock.Clock
}

// ManagedIdentityFromEnvironment returns the identity that the environment names with IDENTITY_ENDPOINT and IDENTITY_HEADER, and
// AZURE_CLIENT_ID for a user-assigned one; without them, that of the machine. getenv is os.Getenv, or another look-up.
func ManagedIdentityFromEnvironment(getenv func(string) string) (ManagedIdentity, error) {
	if getenv == nil {
		return ManagedIdentity{}, opIdentity().Errorf(signer.ErrRequest, "getenv", "it is nil; give it os.Getenv")
	}
	m := ManagedIdentity{ClientID: getenv("AZURE_CLIENT_ID"), Header: signer.NewSecret([]byte(getenv("IDENTITY_HEADER")))}
	address := getenv("IDENTITY_ENDPOINT")
	switch {
	case address == "":
		m.Header = signer.Secret{}
		return m, nil
	case m.Header.IsZero():
		return ManagedIdentity{}, opIdentity().Errorf(signer.ErrCredentials, "IDENTITY_HEADER", "it is not set, and IDENTITY_ENDPOINT is, as on Azure Arc; use package azidentity with azure/azuresdk")
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" { // err would quote it
		return ManagedIdentity{}, opIdentity().Errorf(signer.ErrCredentials, "IDENTITY_ENDPOINT", "it is no URL with a scheme and a host")
	}
	m.Endpoint = u
	return m, nil
}

// ManagedIdentityToken makes a function for Config.Token that asks for tokens of a managed identity:
//
//	token, err := udk.ManagedIdentityToken(udk.ManagedIdentity{})
//	if err != nil {
//		return err
//	}
//	keys, err := udk.New(udk.Config{Account: "myaccount", Token: token})
//
// It sends nothing yet, and reports all that is wrong with m, joined. The function's errors are signer.ErrRemote, or ctx's.
//
// https://learn.microsoft.com/en-us/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
// https://learn.microsoft.com/en-us/azure/app-service/overview-managed-identity#rest-endpoint-reference
func ManagedIdentityToken(m ManagedIdentity) (func(ctx context.Context) (token string, expires time.Time, err error), error) {
	op := opIdentity()
	var errs []error
	app := !m.Header.IsZero()
	query := url.Values{"resource": {"https://storage.azure.com/"}, "api-version": {"2018-02-01"}}
	objectID, resourceID := "object_id", "msi_res_id"
	header := http.Header{"Metadata": {"true"}} // no browser was tricked into the request
	if app {
		query.Set("api-version", "2019-08-01")
		objectID, resourceID = "principal_id", "mi_res_id"
		header = http.Header{"X-Identity-Header": {string(m.Header.Reveal())}}
	}
	named := 0
	for _, id := range [...]struct{ name, value string }{{"client_id", m.ClientID}, {objectID, m.ObjectID}, {resourceID, m.ResourceID}} {
		if id.value != "" {
			named++
			query.Set(id.name, id.value)
		}
	}
	if named > 1 {
		errs = append(errs, op.Errorf(signer.ErrRequest, "ClientID, ObjectID, ResourceID", "more than one is set; one names the identity"))
	}
	endpoint := m.Endpoint
	switch {
	case endpoint == nil && app:
		errs = append(errs, op.Errorf(signer.ErrRequest, "Endpoint", "there is a Header and none; it is in IDENTITY_ENDPOINT"))
	case endpoint == nil:
		endpoint = &url.URL{Scheme: "http", Host: "169.254.169.254"}
	}
	if endpoint != nil {
		if err := rest.CheckMetadata(op, endpoint); err != nil {
			errs = append(errs, err)
		}
	}
	if !m.Header.IsPrintable() {
		errs = append(errs, op.Errorf(signer.ErrRequest, "Header", "it holds a character that no header has"))
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	scheme, host, base := pipeline.Locate(endpoint)
	address := scheme + "://" + host + base
	if !app {
		address += "/metadata/identity/oauth2/token"
	}
	address += "?" + query.Encode()
	client := rest.NewClient(rest.Direct(m.Client), 10*time.Second)
	clk := pipeline.NewClock(m.Clock, "")
	return func(ctx context.Context) (string, time.Time, error) {
		answer, err := client.Do(ctx, rest.Request{Method: http.MethodGet, URL: address, Header: header})
		switch {
		case err != nil:
			return "", time.Time{}, rest.Remote(ctx, op, "", "no managed identity service answers; is this Azure, and has it an identity?", err)
		case (answer.Status == http.StatusBadRequest || answer.Status == http.StatusNotFound) && named == 0:
			return "", time.Time{}, op.Errorf(signer.ErrRemote, "ClientID, ObjectID, ResourceID",
				"the managed identity service finds none (%d): assign one to this machine, or name which if it has several", answer.Status)
		case answer.Status == http.StatusBadRequest || answer.Status == http.StatusNotFound:
			return "", time.Time{}, op.Errorf(signer.ErrRemote, "ClientID, ObjectID, ResourceID",
				"the managed identity service knows no such identity (%d): assign it to this machine, or check its id", answer.Status)
		case answer.Status != http.StatusOK:
			return "", time.Time{}, op.Errorf(signer.ErrRemote, "", "the managed identity service answers %d", answer.Status)
		}
		now, _ := clk.Read()
		return parseIdentityToken(op, answer.Body, now)
	}, nil
}

// parseIdentityToken reads an answer. Its numbers are texts, on some hosts numbers.
func parseIdentityToken(op pipeline.Op, answer []byte, now time.Time) (string, time.Time, error) {
	var a struct {
		AccessToken string      `json:"access_token"`
		ExpiresOn   json.Number `json:"expires_on"` // seconds since 1970
		ExpiresIn   json.Number `json:"expires_in"` // seconds
	}
	if err := json.Unmarshal(answer, &a); err == nil && rest.TokenOK(a.AccessToken) {
		if on, err := strconv.ParseInt(a.ExpiresOn.String(), 10, 40); err == nil && on > 0 {
			return a.AccessToken, time.Unix(on, 0), nil
		}
		const week = 7 * 24 * 60 * 60
		if in, err := strconv.ParseInt(a.ExpiresIn.String(), 10, 40); err == nil && in > 0 && in <= week {
			return a.AccessToken, now.Add(time.Duration(in) * time.Second), nil
		}
	}
	return "", time.Time{}, op.Errorf(signer.ErrRemote, "", "the answer holds no access_token with its expires_on")
}

func opIdentity() pipeline.Op { return pipeline.Op{Backend: "azure", Name: "managed identity"} }
