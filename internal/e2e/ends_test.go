package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// hardKey holds what escapes are for.
const hardKey = "copies/a+b c%2Fd?e&ü=1.txt"

// TestCopySource copies an object with a hard name by a presigned URL.
func TestCopySource(t *testing.T) {
	const text = "to be copied"
	copied := func(t *testing.T, got answer) {
		t.Helper()
		if got.StatusCode != http.StatusOK || string(got.body) != text {
			t.Errorf("the copy: %d, %s", got.StatusCode, got.body)
		}
	}
	for _, start := range []func() (*server, error){versitygw, storefakeServer} {
		s := must(start())(t)
		t.Run(s.name, func(t *testing.T) {
			s.put(t, hardKey, []byte(text))
			source := must(s3.CopySource(s.bucket, hardKey, ""))(t)
			p := s.presign(t, signer.Request{Method: "PUT", Key: "copies/s3", Header: http.Header{"X-Amz-Copy-Source": {source}}, Expires: time.Minute})
			if a := s.use(t, p, nil); a.StatusCode != http.StatusOK || !strings.Contains(string(a.body), "<ETag>") {
				t.Fatalf("%d, %s", a.StatusCode, a.body)
			}
			copied(t, s.use(t, s.presign(t, signer.Request{Key: "copies/s3", Expires: time.Minute}), nil))
		})
	}
	t.Run("azurite", func(t *testing.T) {
		a := plainAzurite(t)
		a.put(t, hardKey, []byte(text))
		source := must(azure.CopySource(a.presign(t, signer.Request{Key: hardKey, Expires: time.Minute})))(t)
		p := a.presign(t, signer.Request{Method: "PUT", Key: "copies/azure", Header: http.Header{"X-Ms-Copy-Source": {source}}, Expires: time.Minute, BestEffort: true})
		if got := a.use(t, p, nil); got.StatusCode != http.StatusAccepted {
			t.Fatalf("%d, %s", got.StatusCode, got.body)
		}
		copied(t, a.use(t, a.presign(t, signer.Request{Key: "copies/azure", Expires: time.Minute}), nil))
	})
}

// TestTwoEndpoints has one Signer for versitygw's address and, by At, one for its name: each is accepted there and refused at
// the other, because both sign the host. A pair reads by GET and HEAD.
func TestTwoEndpoints(t *testing.T) {
	s := must(versitygw())(t)
	s.put(t, "ends.txt", []byte("text"))
	internal := s.signer(t)
	name := *s.endpoint
	name.Host = "localhost:" + s.endpoint.Port()
	public := must(internal.At(&name, s.addressing))(t)
	for _, ends := range []struct {
		signer signer.Signer
		host   string
	}{{internal, s.endpoint.Host}, {public, name.Host}} {
		get, head, err := signer.PresignPair(t.Context(), ends.signer, signer.Request{Key: "ends.txt", Expires: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []*signer.Presigned{get, head} {
			if u := must(url.Parse(p.URL))(t); u.Host != ends.host {
				t.Errorf("host %q, want %q", u.Host, ends.host)
			}
			if a := s.use(t, p, nil); a.StatusCode != http.StatusOK || (p.Method == "GET") != (string(a.body) == "text") {
				t.Errorf("%v: %d, %q", p, a.StatusCode, a.body)
			}
		}
		if a := s.use(t, &signer.Presigned{Method: "HEAD", URL: get.URL}, nil); a.StatusCode != http.StatusForbidden {
			t.Errorf("HEAD with GET's URL: %d", a.StatusCode)
		}
		other := strings.Replace(get.URL, ends.host, map[string]string{s.endpoint.Host: name.Host, name.Host: s.endpoint.Host}[ends.host], 1)
		if a := s.use(t, &signer.Presigned{Method: "GET", URL: other}, nil); a.StatusCode != http.StatusForbidden {
			t.Errorf("at the other endpoint: %d", a.StatusCode)
		}
	}
}
