package s3

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// HashBody sets X-Amz-Content-Sha256 to the SHA-256 of the body, so that Sign covers it and the service refuses another
// one. It reads a copy that req.GetBody gives (http.NewRequest sets it for bytes.Buffer, bytes.Reader and strings.Reader);
// a body without GetBody is ErrRequest. On an error req is unchanged.
func HashBody(req *http.Request) error {
	op := pipeline.Op{Backend: "s3", Name: "hash body"}
	if req == nil {
		return op.Errorf(signer.ErrRequest, "Body", "there is no request")
	}
	hash := sha256.New()
	if req.Body != nil && req.Body != http.NoBody {
		if req.GetBody == nil {
			return op.Errorf(signer.ErrRequest, "GetBody", "the body can be read only once; set req.GetBody, or sign without a hash")
		}
		body, err := req.GetBody()
		if err != nil {
			return op.Errorf(signer.ErrRequest, "GetBody", "%w", err)
		}
		_, err = io.Copy(hash, body)
		body.Close()
		if err != nil {
			return op.Errorf(signer.ErrRequest, "Body", "%w", err)
		}
	}
	deleteHeader(req.Header, contentSHA256)
	setHeader(&req.Header, contentSHA256, []string{hex.EncodeToString(hash.Sum(nil))})
	return nil
}
