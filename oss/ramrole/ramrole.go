// Package ramrole gets the credentials of the RAM role that an ECS instance runs as, for package oss, with the standard library
// only.
//
//	creds, err := ramrole.New(ramrole.Config{})
//	if err != nil {
//		return err
//	}
//	s, err := oss.New(oss.Config{Region: "cn-hangzhou", Bucket: "photos", Credentials: creds})
//
// The role is attached to the instance, and OSS must allow it to do what URLs shall do.
//
// # Renewal
//
// A source keeps credentials, which live for six hours, and asks for the next when half of their life is over, in the background; the
// old ones serve to their end, whatever happens to the service. A URL that would outlive them makes the source ask at once, though
// not more than once a minute; what it cannot get is not insisted on, and the signer reports signer.ErrCredentials, or shortens the
// URL with AllowShorter. All who wait share one request.
//
// Nothing is sent before the first signature. Failures are signer.ErrRemote, within the signer's signer.ErrCredentials.
//
// https://www.alibabacloud.com/help/en/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance
package ramrole

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/rest"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Config says how the credentials are asked for. The zero Config is what most programs want.
type Config struct {
	// Role is the name of the instance's role; "" asks for it.
	Role string

	// Endpoint is the instance metadata service's; nil means http://100.100.100.200.
	Endpoint *url.URL

	// Client sends the requests, without a proxy unless it has a Transport; nil is fine. Redirects are not followed, whatever it says.
	Client *http.Client

	// Clock says when credentials end; nil means clock.System().
	Clock clock.Clock
}

// host is where Alibaba Cloud's metadata service is, in a range that no router of the internet passes on.
const host = "100.100.100.200"

// New makes a source of the credentials of the instance's role. It asks in security hardening mode only: a token comes first, and
// without one nothing is asked, as normal mode would.
//
// https://www.alibabacloud.com/help/en/ecs/user-guide/access-instance-metadata-using-hardened-only-mode
func New(c Config) (oss.CredentialSource, error) {
	op := pipeline.Op{Backend: "oss", Name: "instance credentials"}
	endpoint := c.Endpoint
	if endpoint == nil {
		endpoint = &url.URL{Scheme: "http", Host: host}
	}
	if err := rest.CheckMetadata(op, endpoint, host); err != nil {
		return nil, err
	}
	if c.Role != "" && !rest.RoleName(c.Role) {
		return nil, op.Errorf(signer.ErrRequest, "Role", "%q is no role's name", c.Role)
	}
	scheme, authority, base := pipeline.Locate(endpoint)
	service := &rest.Instance{
		Base:      scheme + "://" + authority + base,
		TTLHeader: "X-Aliyun-Ecs-Metadata-Token-Ttl-Seconds",
		Header:    "X-Aliyun-Ecs-Metadata-Token",
		Hint:      "is this an ECS instance, and is its metadata service enabled?",
		Client:    rest.NewClient(rest.Direct(c.Client), rest.MetadataTimeout),
	}
	clk := pipeline.NewClock(c.Clock, "")
	now := func() time.Time { t, _ := clk.Read(); return t }
	return &source{rest.NewRenewer(now, func(ctx context.Context) (rest.Lease[oss.Credentials], error) {
		answer, err := service.Role(ctx, op, "/latest/meta-data/ram/security-credentials/", c.Role)
		if err != nil {
			return rest.Lease[oss.Credentials]{}, err
		}
		made, err := parse(op, answer)
		if err != nil {
			return rest.Lease[oss.Credentials]{}, err
		}
		if now := now(); !now.Before(made.Expires) {
			return rest.Lease[oss.Credentials]{}, op.Errorf(signer.ErrRemote, "", "the credentials ended at %s, and it is %s; is the machine's clock right?",
				made.Expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
		}
		return rest.Lease[oss.Credentials]{Value: made, End: made.Expires}, nil
	})}, nil
}

// A source keeps credentials, and renews them.
type source struct {
	keys *rest.Renewer[oss.Credentials]
}

// Credentials implements oss.CredentialSource.
func (s *source) Credentials(ctx context.Context, until time.Time) (oss.Credentials, error) {
	return s.keys.Get(ctx, until)
}

func parse(op pipeline.Op, answer []byte) (oss.Credentials, error) {
	var a struct {
		Code            string // "Success"
		AccessKeyID     string
		AccessKeySecret string
		SecurityToken   string
		Expiration      time.Time
	}
	err := json.Unmarshal(answer, &a)
	switch {
	case err == nil && a.Code != "" && a.Code != "Success":
		return oss.Credentials{}, op.Refusal(signer.ErrRemote, "", pipeline.Word(a.Code), "the metadata service has no credentials: %s; may ECS assume the role?", pipeline.Shown(a.Code))
	case err != nil || a.AccessKeyID == "" || a.AccessKeySecret == "" || a.SecurityToken == "" || a.Expiration.IsZero(): // err may quote them
		return oss.Credentials{}, op.Errorf(signer.ErrRemote, "", "the answer holds no AccessKeyId with its AccessKeySecret, SecurityToken and Expiration; is this the right endpoint?")
	}
	return oss.Credentials{
		AccessKeyID:     a.AccessKeyID,
		AccessKeySecret: signer.NewSecret([]byte(a.AccessKeySecret)),
		SecurityToken:   signer.NewSecret([]byte(a.SecurityToken)),
		Expires:         a.Expiration,
	}, nil
}
