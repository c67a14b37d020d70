package awssdk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A role gives credentials of an hour, numbered.
type role struct {
	mu    sync.Mutex
	n     int
	fails error
}

func (r *role) Retrieve(context.Context) (aws.Credentials, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	if r.fails != nil {
		return aws.Credentials{}, r.fails
	}
	return aws.Credentials{AccessKeyID: fmt.Sprintf("ASIA%d", r.n), SecretAccessKey: "planted secret", SessionToken: "token",
		CanExpire: true, Expires: time.Now().Add(time.Hour)}, nil
}

// While the SDK gives the same strings, the source gives the same Secrets: at no cost, because nothing is made anew.
func TestSameStringsSameSecret(t *testing.T) {
	source := Credentials(aws.NewCredentialsCache(new(role))).(*source)
	get := func() s3.Credentials {
		c, err := source.Credentials(t.Context(), time.Now())
		require.NoError(t, err)
		return c
	}
	first := get()
	kept := source.last.of.Load()
	assert.Equal(t, "ASIA1", first.AccessKeyID)
	assert.Equal(t, "planted secret", string(first.SecretKey.Reveal()))
	assert.Equal(t, "token", string(first.SessionToken.Reveal()))
	assert.WithinDuration(t, time.Now().Add(time.Hour), first.Expires, time.Minute)
	assert.Zero(t, testing.AllocsPerRun(100, func() { source.Credentials(t.Context(), time.Time{}) }))
	assert.Same(t, kept, source.last.of.Load())

	for name, change := range map[string]func(*aws.Credentials){
		"id":     func(c *aws.Credentials) { c.AccessKeyID = "OTHER" },
		"secret": func(c *aws.Credentials) { c.SecretAccessKey = "other" },
		"token":  func(c *aws.Credentials) { c.SessionToken = "" },
		"end":    func(c *aws.Credentials) { c.CanExpire = false },
	} {
		var l last
		c := kept.from
		before := l.convert(c)
		change(&c)
		after := l.convert(c)
		assert.NotEqual(t, before.AccessKeyID+string(before.SecretKey.Reveal())+string(before.SessionToken.Reveal())+before.Expires.String(),
			after.AccessKeyID+string(after.SecretKey.Reveal())+string(after.SessionToken.Reveal())+after.Expires.String(), name)
		assert.Equal(t, c.SecretAccessKey, string(after.SecretKey.Reveal()), name)
		assert.Equal(t, c.SessionToken, string(after.SessionToken.Reveal()), name)
	}
}

// A URL that outlives the credentials makes the cache ask for new ones: once a minute.
func TestNeededLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r := new(role)
		source := Credentials(aws.NewCredentialsCache(r))
		for _, step := range []struct {
			at, life time.Duration
			want     string
		}{
			{0, time.Minute, "ASIA1"}, {55 * time.Minute, 5 * time.Minute, "ASIA1"}, {55 * time.Minute, 6 * time.Minute, "ASIA2"},
			{55 * time.Minute, 12 * time.Hour, "ASIA2"}, {56*time.Minute - 1, 12 * time.Hour, "ASIA2"}, {56 * time.Minute, 12 * time.Hour, "ASIA3"},
		} {
			time.Sleep(step.at - time.Since(start))
			got, err := source.Credentials(t.Context(), time.Now().Add(step.life))
			require.NoError(t, err)
			assert.Equal(t, step.want, got.AccessKeyID, "at %v for %v", step.at, step.life)
		}
		assert.Equal(t, 3, r.n)
	})
}

// Credentials that were there before a failure serve to their end, and the failure is told then.
func TestProviderFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(role)
		source := Credentials(aws.NewCredentialsCache(r))
		_, err := source.Credentials(t.Context(), time.Now())
		require.NoError(t, err)
		down := errors.New("out of order")
		r.fails = down
		for range 3 {
			got, err := source.Credentials(t.Context(), time.Now().Add(2*time.Hour))
			require.NoError(t, err)
			assert.Equal(t, "ASIA1", got.AccessKeyID)
			time.Sleep(19 * time.Minute)
		}
		time.Sleep(3 * time.Minute)
		_, err = source.Credentials(t.Context(), time.Now())
		assert.ErrorIs(t, err, down)

		s, err := s3.New(s3.Config{Region: "eu-west-1", Bucket: "photos", Credentials: source})
		require.NoError(t, err)
		_, err = s.Presign(t.Context(), signer.Request{Key: "k", Expires: time.Minute})
		assert.ErrorIs(t, err, down)
		assert.ErrorIs(t, err, signer.ErrCredentials)

		r.fails = nil
		got, err := source.Credentials(t.Context(), time.Now())
		require.NoError(t, err)
		assert.NotEqual(t, "ASIA1", got.AccessKeyID)
		assert.True(t, got.Expires.After(time.Now()))
	})
}

// The end of a caller's own context is not taken for the provider's failure.
func TestProviderContext(t *testing.T) {
	r := new(role)
	source := Credentials(r)
	_, err := source.Credentials(t.Context(), time.Now())
	require.NoError(t, err)
	r.fails = errors.New("cut short")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = source.Credentials(ctx, time.Now())
	assert.ErrorIs(t, err, r.fails)
}

// A provider without a cache is asked each time, and not twice for one signature.
func TestProviderWithoutCache(t *testing.T) {
	r := new(role)
	source := Credentials(r)
	for i := range 3 {
		got, err := source.Credentials(t.Context(), time.Now().Add(24*time.Hour))
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprintf("ASIA%d", i+1), got.AccessKeyID)
	}
	assert.Nil(t, Credentials(nil))
}

type sources struct{ dual aws.DualStackEndpointState }

func (s sources) GetUseDualStackEndpoint(context.Context) (aws.DualStackEndpointState, bool, error) {
	return s.dual, true, nil
}

func (s sources) GetServiceBaseEndpoint(_ context.Context, service string) (string, bool, error) {
	return "https://minio.example.com", service == "S3" && s.dual == aws.DualStackEndpointStateUnset, nil
}

// What a client would do with the configuration is what our signer does: the URLs have the same place.
func TestConfig(t *testing.T) {
	type config struct {
		aws.Config
		options func(*awss3.Options)
	}
	endpoint := func(u string) func(*config) { return func(c *config) { c.BaseEndpoint = aws.String(u) } }
	option := func(f func(*awss3.Options)) func(*config) { return func(c *config) { c.options = f } }
	pathStyle := func(o *awss3.Options) { o.UsePathStyle = true }
	for name, tt := range map[string]struct {
		edit func(*config)
		want string
	}{
		"AWS":            {func(*config) {}, "https://photos.s3.eu-west-1.amazonaws.com/cat.jpg"},
		"China":          {func(c *config) { c.Region = "cn-north-1" }, "https://photos.s3.cn-north-1.amazonaws.com.cn/cat.jpg"},
		"path":           {option(pathStyle), "https://s3.eu-west-1.amazonaws.com/photos/cat.jpg"},
		"accelerate":     {option(func(o *awss3.Options) { o.UseAccelerate = true }), "https://photos.s3-accelerate.amazonaws.com/cat.jpg"},
		"FIPS":           {option(func(o *awss3.Options) { o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled }), "https://photos.s3-fips.eu-west-1.amazonaws.com/cat.jpg"},
		"dual stack":     {func(c *config) { c.ConfigSources = []any{sources{aws.DualStackEndpointStateEnabled}} }, "https://photos.s3.dualstack.eu-west-1.amazonaws.com/cat.jpg"},
		"for S3 alone":   {func(c *config) { c.ConfigSources = []any{sources{}} }, "https://photos.minio.example.com/cat.jpg"},
		"endpoint":       {endpoint("https://minio.example.com:9000/base"), "https://photos.minio.example.com:9000/base/cat.jpg"},
		"endpoint, path": {func(c *config) { endpoint("http://localhost:9000")(c); c.options = pathStyle }, "http://localhost:9000/photos/cat.jpg"},
		"address":        {endpoint("http://127.0.0.1:9000"), "http://127.0.0.1:9000/photos/cat.jpg"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config{Config: aws.Config{Region: "eu-west-1", Credentials: new(role)}}
			tt.edit(&c)
			var options []func(*awss3.Options)
			if c.options != nil {
				options = append(options, c.options)
			}
			client := awss3.NewFromConfig(c.Config, options...)
			theirs, err := awss3.NewPresignClient(client).PresignGetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String("photos"), Key: aws.String("cat.jpg")})
			require.NoError(t, err)
			require.Equal(t, tt.want, place(theirs.URL))

			ours, err := ClientConfig(client)
			require.NoError(t, err)
			assert.Equal(t, tt.want, placeOf(t, ours))
			if c.options == nil {
				ours, err := Config(c.Config)
				require.NoError(t, err)
				assert.Equal(t, tt.want, placeOf(t, ours))
			}
		})
	}
}

// place is a URL without its query.
func place(u string) string {
	u, _, _ = strings.Cut(u, "?")
	return u
}

// placeOf is where c signs for.
func placeOf(t *testing.T, c s3.Config) string {
	t.Helper()
	c.Bucket = "photos"
	s, err := s3.New(c)
	require.NoError(t, err)
	p, err := s.Presign(t.Context(), signer.Request{Key: "cat.jpg", Expires: time.Minute})
	require.NoError(t, err)
	return place(p.URL)
}

func TestConfigRefuses(t *testing.T) {
	good := aws.Config{Region: "eu-west-1", Credentials: new(role)}
	//lint:ignore SA1019 it is refused because it is deprecated
	resolves := func(c *aws.Config) { c.EndpointResolverWithOptions = aws.EndpointResolverWithOptionsFunc(nil) }
	for name, tt := range map[string]struct {
		edit func(*aws.Config)
		want error
		say  string
	}{
		"no credentials": {func(c *aws.Config) { c.Credentials = nil }, signer.ErrCredentials, "Credentials"},
		"anonymous":      {func(c *aws.Config) { c.Credentials = aws.AnonymousCredentials{} }, signer.ErrCredentials, "anonymous"},
		"a resolver":     {resolves, signer.ErrUnsupported, "BaseEndpoint"},
		"no URL":         {func(c *aws.Config) { c.BaseEndpoint = aws.String("minio:9000") }, signer.ErrRequest, "BaseEndpoint"},
	} {
		c := good
		tt.edit(&c)
		got, err := Config(c)
		assert.ErrorIs(t, err, tt.want, name)
		assert.ErrorContains(t, err, tt.say, name)
		assert.Zero(t, got, name)
	}
	// Without a region there may still be one elsewhere: the Config has none, and New says so.
	regionless := good
	regionless.Region = ""
	c, err := Config(regionless)
	require.NoError(t, err)
	_, err = s3.New(c)
	assert.ErrorIs(t, err, signer.ErrRequest)
	assert.ErrorContains(t, err, "Region")
	_, err = ClientConfig(awss3.NewFromConfig(good, func(o *awss3.Options) { o.EndpointResolverV2 = resolver{o.EndpointResolverV2} }))
	assert.ErrorIs(t, err, signer.ErrUnsupported)
}

type resolver struct{ awss3.EndpointResolverV2 }

// bare is a provider that is a value, as the SDK's static one is; fmt prints it to the last field.
type bare struct{ value aws.Credentials }

func (b bare) Retrieve(context.Context) (aws.Credentials, error) { return b.value, nil }

func TestPrintsNoSecret(t *testing.T) {
	source := Credentials(bare{aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "planted secret", SessionToken: "planted token"}})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		assert.NotContains(t, fmt.Sprintf(verb, source), "planted", verb)
	}
}
