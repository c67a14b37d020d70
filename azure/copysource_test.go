package azure_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/signer"
)

func TestCopySource(t *testing.T) {
	const source = "https://a.blob.core.windows.net/c/a%20b?sig=x"
	if got, err := azure.CopySource(&signer.Presigned{Method: "GET", URL: source}); err != nil || got != source {
		t.Errorf("%q, %v", got, err)
	}
	_, err := azure.CopySource(nil)
	wantError(t, err, signer.ErrRequest, "source")
	for _, p := range []signer.Presigned{
		{Method: "HEAD", URL: source},
		{Method: "GET", URL: source, Header: http.Header{"X-Ms-Range": {"bytes=0-1"}}},
		{Method: "GET", URL: source + strings.Repeat("x", 2048-len(source)+1)},
	} {
		_, err := azure.CopySource(&p)
		wantError(t, err, signer.ErrRequest, "source")
		if strings.Contains(err.Error(), "sig=") {
			t.Error("the error shows the URL")
		}
	}
}

// A PUT that copies is not given the type of the blob, which would make it another operation, unless who asks for it does.
func TestCopyKeepsItsOperation(t *testing.T) {
	s := newSigner(t)
	for _, tt := range []struct {
		header http.Header
		want   []string
	}{
		{http.Header{"X-Ms-Meta-A": {"b"}}, []string{"BlockBlob"}},
		{http.Header{"X-Ms-Copy-Source": {"https://a.example/b"}}, nil},
		{http.Header{"x-ms-copy-source": {"https://a.example/b"}}, nil},
		{http.Header{"X-Ms-Copy-Source": {"https://a.example/b"}, "X-Ms-Blob-Type": {"BlockBlob"}}, []string{"BlockBlob"}},
	} {
		p, err := s.Presign(t.Context(), signer.Request{Method: "PUT", Key: "k", Header: tt.header, Expires: time.Minute, BestEffort: true})
		if err != nil || !slices.Equal(p.Header["X-Ms-Blob-Type"], tt.want) {
			t.Errorf("%v: %v, %v", tt.header, p, err)
		}
	}
}
