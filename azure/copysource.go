package azure

import (
	"net/http"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// maxCopySource is how long the service lets the URL of a source be, in bytes.
const maxCopySource = 2048

// CopySource returns the value of the header X-Ms-Copy-Source, which makes a PUT copy a blob instead of sending one. Azure wants a
// whole URL there that the service can read from: source is a presigned GET, escaped already. It must live until the copy is
// done, which x-ms-copy-status in the answer says. With X-Ms-Blob-Type: BlockBlob beside it, the operation is Put Blob From URL, which
// is done when it is answered.
//
// The header is a secret as the URL is. A SAS does not bind it: whoever holds a URL that writes a blob can copy whatever else
// there is a URL for. A source for another method, one that needs headers, and one of more than 2 KiB is ErrRequest.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/copy-blob and put-blob-from-url
func CopySource(source *signer.Presigned) (string, error) {
	op := pipeline.Op{Backend: "azure", Name: "copy source"}
	switch {
	case source == nil:
		return "", op.Errorf(signer.ErrRequest, "source", "it is nil; presign a GET of the source")
	case source.Method != http.MethodGet:
		return "", op.Errorf(signer.ErrRequest, "source", "it is for %s; presign a GET of the source", source.Method)
	case len(source.Header) > 0:
		return "", op.Errorf(signer.ErrRequest, "source", "it wants headers, and the service that reads it sends none")
	case len(source.URL) > maxCopySource:
		return "", op.Errorf(signer.ErrRequest, "source", "its URL has %d bytes, and the service takes %d", len(source.URL), maxCopySource)
	}
	return source.URL, nil
}
