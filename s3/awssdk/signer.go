package awssdk

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A Signer signs for the SDK's S3 client and for its PresignClient, with package s3. Credentials, region and service are those
// that the SDK hands over; the time is the Signer's, whatever the SDK says. It is safe for concurrent use. Make it once for all
// clients: it caches signing keys. Multi-region access points have signatures of another kind, which the SDK goes on making itself.
type Signer struct {
	clock   clock.Clock
	sdk     *v4.Signer
	last    last
	mu      sync.Mutex // of who changes signers
	signers atomic.Pointer[map[site]*s3.Signer]
}

var (
	_ awss3.HTTPSignerV4    = (*Signer)(nil)
	_ awss3.HTTPPresignerV4 = (*Signer)(nil)
)

// A site is where requests go that one s3.Signer signs.
type site struct{ service, region, scheme, host string }

// NewSigner returns a Signer that goes by c; nil means clock.System(). One that has learned is asked for the time at the host of
// each request.
func NewSigner(c clock.Clock) *Signer {
	s := &Signer{clock: c, sdk: v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })}
	s.signers.Store(&map[site]*s3.Signer{})
	return s
}

// SignHTTP implements awss3.HTTPSignerV4. payloadHash is signed where the request has no X-Amz-Content-Sha256, which an S3
// client always sets; signingTime and the options have no effect. On an error r is unchanged.
func (s *Signer) SignHTTP(ctx context.Context, credentials aws.Credentials, r *http.Request, payloadHash, service, region string,
	signingTime time.Time, options ...func(*v4.SignerOptions)) error {
	own, err := s.at(r, service, region)
	if err != nil {
		return err
	}
	signed := *r
	signed.Header = withHash(r.Header, payloadHash)
	if err := own.Sign(s.with(ctx, credentials), &signed); err != nil {
		return err
	}
	r.Header, r.Host = signed.Header, signed.Host
	return nil
}

// PresignHTTP implements awss3.HTTPPresignerV4: which headers are signed, and which become parameters, is for the SDK to say, and
// so is the life of the URL, which PresignOptions.Expires sets. A life of more than seven days is signer.ErrLifetime, and one beyond
// the end of the credentials is signer.ErrCredentials, where the SDK signs URLs that do not work, or not for so long. A URL for a
// directory bucket (S3 Express) holds the token of a session, which only the SDK adds: it is signer.ErrUnsupported.
func (s *Signer) PresignHTTP(ctx context.Context, credentials aws.Credentials, r *http.Request, payloadHash, service, region string,
	signingTime time.Time, options ...func(*v4.SignerOptions)) (string, http.Header, error) {
	if service == "s3express" {
		return "", nil, opPresign().Errorf(signer.ErrUnsupported, "Bucket", "it is a directory bucket, whose URLs hold the token of a session; let the SDK presign them")
	}
	own, err := s.at(r, service, region)
	if err != nil {
		return "", nil, err
	}
	seconds, err := strconv.ParseInt(r.URL.Query().Get("X-Amz-Expires"), 10, 32)
	if err != nil {
		return "", nil, opPresign().Errorf(signer.ErrLifetime, "X-Amz-Expires", "the request has none; the SDK's PresignClient sets it")
	}
	rawURL, header, err := s.sdk.PresignHTTP(ctx, credentials, r, payloadHash, service, region, signingTime, options...)
	if err != nil {
		return "", nil, opPresign().Errorf(signer.ErrRequest, "", "the SDK cannot presign it: %w", signer.RedactError(err))
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", nil, opPresign().Errorf(signer.ErrRequest, "URL", "the SDK made none that can be read")
	}
	// The SDK's signature, with all that belongs to it, is replaced by ours.
	req := &http.Request{Method: r.Method, URL: u, Host: r.Host, Header: maps.Clone(header), ContentLength: r.ContentLength}
	for _, name := range [...]string{"Host", "Content-Length"} { // these stand in the request
		req.Header.Del(name)
	}
	if header.Get("Content-Length") == "" {
		req.ContentLength = 0
	}
	p, err := own.PresignRequest(s.with(ctx, credentials), req, signer.Options{Expires: time.Duration(seconds) * time.Second})
	if err != nil {
		return "", nil, err
	}
	return p.URL, header, nil
}

// at returns the signer for where r goes.
func (s *Signer) at(r *http.Request, service, region string) (*s3.Signer, error) {
	p := site{service, region, r.URL.Scheme, r.URL.Host}
	if own, ok := (*s.signers.Load())[p]; ok {
		return own, nil
	}
	own, err := s3.New(s3.Config{Service: service, Region: region, Endpoint: &url.URL{Scheme: p.scheme, Host: p.host},
		Credentials: handed{}, Clock: s.clock})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	signers := *s.signers.Load()
	if other, ok := signers[p]; ok {
		return other, nil
	}
	const most = 256
	if len(signers) >= most { // so many buckets' hosts are seldom; keys are soon made again
		signers = nil
	}
	next := maps.Clone(signers)
	if next == nil {
		next = make(map[site]*s3.Signer)
	}
	next[p] = own
	s.signers.Store(&next)
	return own, nil
}

// handed is a source of the credentials that the SDK handed over, which come in the context.
type handed struct{}

type handedKey struct{}

func (s *Signer) with(ctx context.Context, c aws.Credentials) context.Context {
	return context.WithValue(ctx, handedKey{}, s.last.convert(c))
}

func (handed) Credentials(ctx context.Context, until time.Time) (s3.Credentials, error) {
	c, _ := ctx.Value(handedKey{}).(s3.Credentials)
	return c, nil
}

// withHash returns h with a hash of the payload in it.
func withHash(h http.Header, payloadHash string) http.Header {
	const name = "X-Amz-Content-Sha256"
	if payloadHash == "" || pipeline.HeaderValues(h, name) != nil {
		return h
	}
	h = maps.Clone(h)
	pipeline.SetHeader(&h, name, []string{payloadHash})
	return h
}

func opPresign() pipeline.Op { return pipeline.Op{Backend: "s3", Name: "presign"} }
