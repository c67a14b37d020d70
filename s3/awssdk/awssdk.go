// Package awssdk joins package s3 to the AWS SDK for Go v2, in both directions.
//
// A program that has the SDK's configuration signs with the same credentials, region and endpoint:
//
//	cfg, err := config.LoadDefaultConfig(ctx) // github.com/aws/aws-sdk-go-v2/config: environment, files, SSO, roles, ...
//	if err != nil {
//		return err
//	}
//	c, err := awssdk.Config(cfg)
//	if err != nil {
//		return err
//	}
//	c.Bucket = "photos"
//	s, err := s3.New(c)
//
// ClientConfig reads the same from a client that was made already, with all that was set on it, and Credentials takes a
// provider alone. Package s3/awscreds finds the credentials of machines and containers without any SDK.
//
// And a program that keeps the SDK's clients lets them sign with this module, by its clock, which learns from the answers how far
// the machine is off:
//
//	source := clock.NewSource(nil, clock.Options{})
//	sign := awssdk.NewSigner(source)
//	client := awss3.NewFromConfig(cfg, func(o *awss3.Options) {
//		o.HTTPSignerV4 = sign
//		o.HTTPClient = &http.Client{Transport: source.Transport(nil)}
//	})
//	presign := awss3.NewPresignClient(client, func(o *awss3.PresignOptions) { o.Presigner = sign })
package awssdk

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Config returns what cfg says about S3: Region, Credentials, and where they are set Endpoint, DualStack and FIPS, also those that
// were found in the environment and in the shared files (AWS_ENDPOINT_URL_S3, use_dualstack_endpoint, ...). The caller sets
// Bucket, and Clock if there is one.
//
// With an endpoint of one's own the bucket stands in the host's name, as in the SDK; set Addressing to signer.AddressingPath
// for servers that want it in the path, where a client has UsePathStyle. An endpoint that a function resolves cannot be read and
// is signer.ErrUnsupported. No credentials, or anonymous ones, are signer.ErrCredentials. A cfg without a Region gives a Config without
// one, which s3.New refuses.
func Config(cfg aws.Config) (s3.Config, error) {
	return ClientConfig(awss3.NewFromConfig(cfg))
}

// ClientConfig is Config for a client: it also reads UsePathStyle and UseAccelerate.
func ClientConfig(client *awss3.Client) (s3.Config, error) {
	o := client.Options()
	c := s3.Config{
		Region:     o.Region,
		Accelerate: o.UseAccelerate,
		DualStack:  o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled,
		FIPS:       o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled,
	}
	//lint:ignore SA1019 who still has such a resolver must hear of it
	resolves := o.EndpointResolver != nil || reflect.TypeOf(o.EndpointResolverV2) != reflect.TypeOf(awss3.NewDefaultEndpointResolverV2())
	switch {
	case resolves:
		return s3.Config{}, opConfig().Errorf(signer.ErrUnsupported, "EndpointResolver", "what a function resolves cannot be read; set BaseEndpoint")
	case o.Credentials == nil: // a client takes anonymous ones out
		return s3.Config{}, opConfig().Errorf(signer.ErrCredentials, "Credentials", "there are none, or they are anonymous, and nothing can be signed")
	}
	c.Credentials = Credentials(o.Credentials)
	if o.UsePathStyle {
		c.Addressing = signer.AddressingPath
	}
	if o.BaseEndpoint == nil {
		return c, nil
	}
	endpoint, err := url.Parse(*o.BaseEndpoint)
	if err != nil || endpoint.Host == "" {
		return s3.Config{}, opConfig().Errorf(signer.ErrRequest, "BaseEndpoint", "it is no URL with a scheme and a host")
	}
	c.Endpoint = endpoint
	if _, err := netip.ParseAddr(endpoint.Hostname()); err != nil && !o.UsePathStyle {
		c.Addressing = signer.AddressingVirtualHost // an address has no subdomains
	}
	return c, nil
}

// Credentials makes a source of the SDK's provider, nil of nil. The provider is asked at each signature, so it should cache, as
// aws.CredentialsCache does and every provider of an aws.Config; static ones need not.
//
// Where credentials end before a URL that is to be signed, new ones are asked for once: the cache is told to forget them, at most
// once a minute. AWS gives an instance and a container new ones long before the old ones end, and STS at every call. A cache subtracts
// its ExpiryWindow from their end, and a URL ends that much earlier. While the provider fails, the credentials that it gave before
// serve to their end; a client that has the same cache does not know them any more, and wants one of its own where that matters.
//
// As long as the strings are the same, the source returns the same Secrets.
func Credentials(p aws.CredentialsProvider) s3.CredentialSource {
	if p == nil {
		return nil
	}
	return &source{provider: p}
}

type source struct {
	provider aws.CredentialsProvider
	last     last
	renewed  atomic.Int64 // in nanoseconds since 1970: when new credentials were asked for before their time
}

// Format hides the provider, which may be the strings themselves.
func (s *source) Format(f fmt.State, verb rune) { io.WriteString(f, "credentials of the AWS SDK") }

// A cache can be told to forget what it has, such as an aws.CredentialsCache.
type cache interface{ Invalidate() }

// Credentials implements s3.CredentialSource.
func (s *source) Credentials(ctx context.Context, until time.Time) (s3.Credentials, error) {
	c, err := s.provider.Retrieve(ctx)
	if err != nil {
		if old := s.last.of.Load(); old != nil && ctx.Err() == nil && clock.System().Now().Before(old.made.Expires) {
			return old.made, nil
		}
		return s3.Credentials{}, err
	}
	if c.CanExpire && c.Expires.Before(until) {
		c = s.renew(ctx, c)
	}
	return s.last.convert(c), nil
}

// renew returns newer credentials than c if there are any, and otherwise c.
func (s *source) renew(ctx context.Context, c aws.Credentials) aws.Credentials {
	cached, ok := s.provider.(cache)
	if !ok {
		return c // it was asked a moment ago
	}
	now, before := clock.System().Now(), s.renewed.Load()
	if age := now.Sub(time.Unix(0, before)); 0 <= age && age < time.Minute || !s.renewed.CompareAndSwap(before, now.UnixNano()) {
		return c
	}
	s.last.convert(c) // what serves while there are no others
	cached.Invalidate()
	newer, err := s.provider.Retrieve(ctx)
	if err != nil || newer.CanExpire && newer.Expires.Before(c.Expires) {
		return c
	}
	return newer
}

// last makes Secrets once of the same strings.
type last struct{ of atomic.Pointer[conversion] }

type conversion struct {
	from aws.Credentials
	made s3.Credentials
}

func (l *last) convert(c aws.Credentials) s3.Credentials {
	if !c.CanExpire {
		c.Expires = time.Time{}
	}
	old := l.of.Load()
	if old != nil && old.from.AccessKeyID == c.AccessKeyID && old.from.SecretAccessKey == c.SecretAccessKey &&
		old.from.SessionToken == c.SessionToken && old.from.Expires.Equal(c.Expires) {
		return old.made
	}
	made := s3.Credentials{AccessKeyID: c.AccessKeyID, Expires: c.Expires}
	if old != nil && old.from.SecretAccessKey == c.SecretAccessKey {
		made.SecretKey = old.made.SecretKey
	} else {
		made.SecretKey = signer.NewSecret([]byte(c.SecretAccessKey))
	}
	if old != nil && old.from.SessionToken == c.SessionToken {
		made.SessionToken = old.made.SessionToken
	} else {
		made.SessionToken = signer.NewSecret([]byte(c.SessionToken))
	}
	l.of.Store(&conversion{c, made})
	return made
}

func opConfig() pipeline.Op { return pipeline.Op{Backend: "s3", Name: "read the SDK's configuration"} }
