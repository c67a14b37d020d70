package aliyunsdk

import (
	"errors"
	"fmt"
	"testing"
	"time"

	aliyun "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// keys are credentials and their provider.
type keys struct{ id, secret, token string }

func (k *keys) GetAccessKeyID() string             { return k.id }
func (k *keys) GetAccessKeySecret() string         { return k.secret }
func (k *keys) GetSecurityToken() string           { return k.token }
func (k *keys) GetCredentials() aliyun.Credentials { return k }

// failing is a provider that may fail.
type failing struct {
	keys
	err error
}

func (f *failing) GetCredentialsE() (aliyun.Credentials, error) { return &f.keys, f.err }

// ending are credentials that end.
type ending struct{ keys }

func (e *ending) Expires() time.Time                 { return noon.Add(time.Hour) }
func (e *ending) GetCredentials() aliyun.Credentials { return e }

// none is a provider without anything.
type none struct{}

func (none) GetCredentials() aliyun.Credentials { return nil }

// While the SDK gives the same strings, the source gives the same Secrets, which are not made anew.
func TestSameStringsSameSecret(t *testing.T) {
	k := &keys{"LTAItest", "planted secret", "token"}
	source := Credentials(k).(*source)
	get := func() oss.Credentials {
		c, err := source.Credentials(t.Context(), noon)
		require.NoError(t, err)
		return c
	}
	c := get()
	assert.Equal(t, []string{"LTAItest", "planted secret", "token"}, []string{c.AccessKeyID, string(c.AccessKeySecret.Reveal()), string(c.SecurityToken.Reveal())})
	assert.Zero(t, c.Expires)
	kept := source.last.Load()
	assert.Zero(t, testing.AllocsPerRun(100, func() { source.Credentials(t.Context(), noon) }))
	assert.Same(t, kept, source.last.Load())

	k.secret, k.id = "other", "LTAIother"
	c = get()
	assert.Equal(t, []string{"LTAIother", "other", "token"}, []string{c.AccessKeyID, string(c.AccessKeySecret.Reveal()), string(c.SecurityToken.Reveal())})
	k.token = ""
	c = get()
	assert.True(t, c.SecurityToken.IsZero())
	k.id = "LTAIthird"
	assert.Equal(t, "LTAIthird", get().AccessKeyID)
}

func TestProviderFails(t *testing.T) {
	lost := errors.New("out of order")
	for _, p := range []aliyun.CredentialsProvider{&failing{err: lost}, none{}} {
		s, err := oss.New(oss.Config{Region: "cn-hangzhou", Bucket: "photos", Credentials: Credentials(p)})
		require.NoError(t, err)
		_, err = s.Presign(t.Context(), signer.Request{Key: "k", Expires: time.Minute})
		assert.ErrorIs(t, err, signer.ErrCredentials)
	}
	_, err := Credentials(&failing{err: lost}).Credentials(t.Context(), noon)
	assert.ErrorIs(t, err, lost)
	c, err := Credentials(&failing{keys: keys{id: "LTAItest"}}).Credentials(t.Context(), noon)
	require.NoError(t, err)
	assert.Equal(t, "LTAItest", c.AccessKeyID)
	_, err = oss.New(oss.Config{Region: "cn-hangzhou", Credentials: Credentials(nil)})
	assert.ErrorIs(t, err, signer.ErrCredentials)
}

// Credentials that say when they end end the URL.
func TestExpiring(t *testing.T) {
	s, err := oss.New(oss.Config{Region: "cn-hangzhou", Bucket: "photos", Credentials: Credentials(&ending{keys{"STS.test", "secret", "token"}}), Clock: clock.Fixed(noon)})
	require.NoError(t, err)
	_, err = s.Presign(t.Context(), signer.Request{Key: "k", Expires: 2 * time.Hour})
	assert.ErrorIs(t, err, signer.ErrCredentials)
	p, err := s.Presign(t.Context(), signer.Request{Key: "k", Expires: 2 * time.Hour, AllowShorter: true})
	require.NoError(t, err)
	assert.Equal(t, noon.Add(time.Hour), p.ExpiresAt.UTC())
	assert.Equal(t, signer.LimitCredentials, p.LimitedBy)
}

// The SDK's own provider, read from the environment.
func TestEnvironment(t *testing.T) {
	t.Setenv("OSS_ACCESS_KEY_ID", "LTAIenv")
	t.Setenv("OSS_ACCESS_KEY_SECRET", "secret of the environment")
	t.Setenv("OSS_SESSION_TOKEN", "")
	p, err := aliyun.NewEnvironmentVariableCredentialsProvider()
	require.NoError(t, err)
	c, err := Credentials(&p).Credentials(t.Context(), noon)
	require.NoError(t, err)
	assert.Equal(t, "LTAIenv", c.AccessKeyID)
	assert.Equal(t, "secret of the environment", string(c.AccessKeySecret.Reveal()))
	assert.True(t, c.SecurityToken.IsZero())
}

// bare is a provider that is a value, which fmt prints to the last field.
type bare struct{ keys }

func (b bare) GetCredentials() aliyun.Credentials { return &b.keys }

func TestPrintsNoSecret(t *testing.T) {
	source := Credentials(bare{keys{"LTAItest", "planted secret", "planted token"}})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		assert.NotContains(t, fmt.Sprintf(verb, source), "planted", verb)
	}
}
