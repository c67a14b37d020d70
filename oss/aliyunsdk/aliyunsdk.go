// Package aliyunsdk joins package oss to github.com/aliyun/aliyun-oss-go-sdk.
//
// A program that has the SDK's credentials signs with the same:
//
//	provider, err := aliyun.NewEnvironmentVariableCredentialsProvider() // of github.com/aliyun/aliyun-oss-go-sdk/oss
//	if err != nil {
//		return err
//	}
//	s, err := oss.New(oss.Config{Region: "cn-hangzhou", Bucket: "photos", Credentials: aliyunsdk.Credentials(&provider)})
//
// On an ECS instance, package oss/ramrole gets the role's credentials without any SDK, and knows when they end. The successor
// of the SDK, github.com/aliyun/alibabacloud-oss-go-sdk-v2, says that too, and is joined in a few lines:
//
//	type source struct{ credentials.CredentialsProvider }
//
//	func (s source) Credentials(ctx context.Context, until time.Time) (oss.Credentials, error) {
//		c, err := s.GetCredentials(ctx)
//		if err != nil {
//			return oss.Credentials{}, err
//		}
//		made := oss.Credentials{
//			AccessKeyID:     c.AccessKeyID,
//			AccessKeySecret: signer.NewSecret([]byte(c.AccessKeySecret)),
//			SecurityToken:   signer.NewSecret([]byte(c.SecurityToken)),
//		}
//		if c.Expires != nil {
//			made.Expires = *c.Expires
//		}
//		return made, nil
//	}
package aliyunsdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	aliyun "github.com/aliyun/aliyun-oss-go-sdk/oss"

	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Expiring is what the SDK's Credentials may be in addition, to say when they end. The zero time is never.
type Expiring interface{ Expires() time.Time }

// Credentials makes a source of the SDK's provider, nil of nil. The provider is asked at each signature, so one that asks others should
// cache. If it is a CredentialsProviderE, its errors are told.
//
// The SDK's credentials do not say when they end. With a security token that is not known then, and a URL may die before its
// ExpiresAt: make the provider's credentials Expiring, or sign for no longer than they last.
//
// As long as the strings are the same, the source returns the same Secrets.
func Credentials(p aliyun.CredentialsProvider) oss.CredentialSource {
	if p == nil {
		return nil
	}
	return &source{provider: p}
}

type source struct {
	provider aliyun.CredentialsProvider
	last     atomic.Pointer[conversion]
}

// Format hides the provider, which may be the strings themselves.
func (s *source) Format(f fmt.State, verb rune) { io.WriteString(f, "credentials of the OSS SDK") }

// A conversion is made once of the same strings.
type conversion struct {
	secret, token string
	made          oss.Credentials
}

// Credentials implements oss.CredentialSource.
func (s *source) Credentials(ctx context.Context, until time.Time) (oss.Credentials, error) {
	c, err := s.get()
	if err != nil {
		return oss.Credentials{}, err
	}
	id, secret, token := c.GetAccessKeyID(), c.GetAccessKeySecret(), c.GetSecurityToken()
	var expires time.Time
	if e, ok := c.(Expiring); ok {
		expires = e.Expires()
	}
	old := s.last.Load()
	if old == nil || old.secret != secret || old.token != token {
		old = &conversion{secret, token, oss.Credentials{AccessKeySecret: signer.NewSecret([]byte(secret)), SecurityToken: signer.NewSecret([]byte(token))}}
		s.last.Store(old)
	}
	made := old.made
	made.AccessKeyID, made.Expires = id, expires
	return made, nil
}

func (s *source) get() (c aliyun.Credentials, err error) {
	if p, ok := s.provider.(aliyun.CredentialsProviderE); ok {
		c, err = p.GetCredentialsE()
	} else {
		c = s.provider.GetCredentials()
	}
	if err == nil && c == nil {
		err = errors.New("the provider returned none")
	}
	return c, err
}
