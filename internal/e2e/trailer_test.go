package e2e

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
)

// minio-go's chunk-signed uploads with a signed trailer are refused by versitygw 1.8.0 with "The CRC32C you specified did not
// match the calculated checksum". This test finds the byte at fault. It sends minio-go's own body to each server, as it is and
// with the trailer's line end changed: minio-go ends the line "name:value" with LF CR LF, where every other writer has CR LF.
// The text that is signed is the same for both, "name:value\n".
//
// AWS's page about trailers shows that LF in its grammar, so minio-go follows the letter of it. HTTP has CR LF there, AWS's
// SDKs write it, and versitygw takes the LF for a part of the value. Both can be defended, so our writer sends CR LF, which
// everybody reads, and our reader takes both.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
func TestWhoEndsTrailersRight(t *testing.T) {
	body := bytes.Repeat([]byte("chunk "), 20_000)
	eachServer(t, append(servers, storefakeServer), func(t *testing.T, s *server) {
		if s.name == "gofakes3" {
			t.Skip("it knows no trailers of minio-go's")
		}
		for _, c := range []struct {
			name   string
			end    string // of the trailer's line
			accept bool
		}{
			{"as minio-go writes it", "\n\r\n", s.name == "storefake"},
			{"with CR LF", "\r\n", true},
		} {
			sent := false
			client := s.minio(t, func(o *minio.Options) {
				o.TrailingHeaders = true
				next := o.Transport
				o.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
					if strings.HasSuffix(req.Header.Get("X-Amz-Content-Sha256"), "-PAYLOAD-TRAILER") {
						wire, err := io.ReadAll(req.Body)
						if err != nil {
							return nil, err
						}
						changed := bytes.Replace(wire, []byte("==\n\r\nx-amz-trailer-signature:"), []byte("=="+c.end+"x-amz-trailer-signature:"), 1)
						if c.end != "\n\r\n" && bytes.Equal(changed, wire) {
							t.Error("the trailer has another form than when this test was written")
						}
						setBody(req, changed)
						sent = true
					}
					return next.RoundTrip(req)
				})
			})
			_, err := client.PutObject(t.Context(), s.bucket, "trailer", bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{Checksum: minio.ChecksumCRC32C})
			if !sent {
				t.Fatal("no body with a signed trailer was sent")
			}
			t.Logf("%s, %s: %v", s.name, c.name, err)
			if accepted := err == nil; accepted != c.accept {
				t.Errorf("%s: accepted is %v", c.name, accepted)
			}
		}
	})
}
