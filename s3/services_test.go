package s3_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Services that speak S3's protocol, held to what they publish: where the bucket may stand, the region in the scope, the methods of
// presigned URLs, their longest life.
func TestOtherServices(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for _, service := range []struct {
		docs, endpoint, region string
		paths, virtual         bool // where the bucket may stand
		methods                string
	}{
		// "auto" or us-east-1; the account in the host, the bucket in the path; 1 second to 7 days.
		{"https://developers.cloudflare.com/r2/api/s3/presigned-urls", "https://0123456789.r2.cloudflarestorage.com", "auto", true, false, "GET HEAD PUT DELETE"},
		// The region is the second label of the endpoint, and SigV4 the only signature.
		{"https://www.backblaze.com/docs/cloud-storage-call-the-s3-compatible-api", "https://s3.us-west-004.backblazeb2.com", "us-west-004", true, true, "GET HEAD PUT DELETE"},
		// The scope has the region's slug, which is the first label of the endpoint.
		{"https://docs.digitalocean.com/reference/api/spaces/", "https://nyc3.digitaloceanspaces.com", "nyc3", true, true, "GET HEAD PUT DELETE"},
		// Up to 7 days; each region has its service URL.
		{"https://docs.wasabi.com/docs/how-do-i-generate-pre-signed-urls-for-temporary-access-with-wasabi", "https://s3.eu-central-1.wasabisys.com", "eu-central-1", true, true, "GET HEAD PUT DELETE"},
	} {
		t.Run(service.endpoint, func(t *testing.T) {
			endpoint, err := url.Parse(service.endpoint)
			if err != nil {
				t.Fatal(err)
			}
			for addressing, want := range map[signer.Addressing]string{
				signer.AddressingAuto: service.endpoint + "/photos/a%20b.jpg", signer.AddressingPath: service.endpoint + "/photos/a%20b.jpg",
				signer.AddressingVirtualHost: strings.Replace(service.endpoint, "://", "://photos.", 1) + "/a%20b.jpg",
			} {
				if virtual := addressing == signer.AddressingVirtualHost; virtual && !service.virtual || !virtual && !service.paths {
					continue
				}
				s, err := s3.New(s3.Config{Endpoint: endpoint, Region: service.region, Bucket: "photos", Addressing: addressing,
					Credentials: s3.Credentials{AccessKeyID: "id", SecretKey: signer.NewSecret([]byte("a secret key"))}, Clock: clock.Fixed(now), Backdate: -1})
				if err != nil {
					t.Fatal(err)
				}
				for method := range strings.FieldsSeq(service.methods) {
					p, err := s.Presign(t.Context(), signer.Request{Method: method, Key: "a b.jpg", Expires: 7 * 24 * time.Hour})
					if err != nil {
						t.Fatal(err)
					}
					at, query, _ := strings.Cut(p.URL, "?")
					q, err := url.ParseQuery(query)
					if err != nil || at != want {
						t.Errorf("%s, expecting %s (%v)", at, want, err)
					}
					if got, want := q.Get("X-Amz-Credential"), "id/20261125/"+service.region+"/s3/aws4_request"; got != want {
						t.Errorf("credential %s, expecting %s", got, want)
					}
					if q.Get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256" || q.Get("X-Amz-Expires") != "604800" || q.Get("X-Amz-SignedHeaders") != "host" || len(q) != 6 {
						t.Errorf("parameters %v", signer.RedactURL(p.URL))
					}
				}
				if _, err := s.Presign(t.Context(), signer.Request{Method: http.MethodGet, Key: "k", Expires: 7*24*time.Hour + time.Second}); !errors.Is(err, signer.ErrLifetime) {
					t.Errorf("longer than the service takes: %v", err)
				}
			}
		})
	}
}
