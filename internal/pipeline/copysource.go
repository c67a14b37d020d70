package pipeline

import (
	"strings"
	"unicode/utf8"

	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// CopySource returns the value of a header that names an object to be copied: where, which a slash ends, and the key. Everything
// is escaped but the slashes. Not that a + must be, where a path is decoded; but where a query is, it would be a blank, and not
// all services say which they do.
func CopySource(op Op, where, key string) ([]byte, error) {
	switch {
	case key == "":
		return nil, op.Errorf(signer.ErrRequest, "key", "it is empty; name the object that is to be copied")
	case !utf8.ValidString(key):
		return nil, op.Errorf(signer.ErrRequest, "key", "it is not valid UTF-8")
	case strings.IndexByte(key, 0) >= 0:
		return nil, op.Errorf(signer.ErrRequest, "key", "it holds a NUL")
	}
	return wire.AppendEscapePath(wire.AppendEscapePath(nil, where), key), nil
}

// AppendCopyVersion appends a version of the source as S3 and OSS have it; "" is the current one.
func AppendCopyVersion(source []byte, version string) string {
	if version != "" {
		source = wire.AppendEscape(append(source, "?versionId="...), version)
	}
	return string(source)
}
