package upload

import (
	"math"
	"strconv"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A Protocol is how a provider takes an object in parts. The zero value is none.
type Protocol int

const (
	// S3 is the multipart upload of Amazon S3 and of services that speak like it: up to 10,000 parts of 5 MiB to 5 GiB, of which the
	// last may be smaller, in any order and at once.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	S3 Protocol = iota + 1

	// OSS is that of Alibaba Cloud OSS: the same with parts from 100 KiB on.
	// https://help.aliyun.com/en/oss/user-guide/multipart-upload
	OSS

	// GCS is the resumable upload of Cloud Storage: one chunk after another, each but the last a multiple of 256 KiB, up to 5 TiB
	// in all, within a week. Its session is a URL that needs no signature and takes any bytes: a bearer secret.
	// https://docs.cloud.google.com/storage/docs/performing-resumable-uploads
	GCS

	// GCSMultipart is the multipart upload of Cloud Storage's XML API: as at S3, up to 5 TiB in all.
	// https://docs.cloud.google.com/storage/docs/multipart-uploads
	GCSMultipart

	// Azure is the upload of a block blob: up to 50,000 blocks, in any order and at once. How large they may be depends on the
	// service version. Blocks that nobody commits vanish after a week.
	// https://learn.microsoft.com/en-us/rest/api/storageservices/put-block
	Azure
)

// String names the protocol.
func (p Protocol) String() string {
	switch p {
	case S3:
		return "S3"
	case OSS:
		return "OSS"
	case GCS:
		return "GCS"
	case GCSMultipart:
		return "GCS multipart"
	case Azure:
		return "Azure"
	}
	return "unknown protocol"
}

// signedBy reports whether a backend's Signer signs the protocol's requests. Other providers take some that an S3 Signer signs.
func (p Protocol) signedBy(backend string) bool {
	switch p {
	case S3:
		return backend == "s3"
	case OSS:
		return backend == "oss" || backend == "s3"
	case GCS:
		return backend == "gcs"
	case GCSMultipart:
		return backend == "gcs" || backend == "s3"
	}
	return backend == "azure"
}

// multipart reports whether p is spoken as S3 does: ?uploads, uploadId, partNumber.
func (p Protocol) multipart() bool { return p == S3 || p == OSS || p == GCSMultipart }

const (
	kib = int64(1) << 10
	mib = int64(1) << 20
	gib = int64(1) << 30
	tib = int64(1) << 40
)

// limits are what a provider takes.
type limits struct {
	least, most int64 // bytes of a part; the least does not hold for the last
	unit        int64 // a part that another follows is a multiple of it
	parts       int64
	total       int64 // bytes of an object
}

// limitsOf returns the limits of a known protocol. version is Azure's.
func limitsOf(p Protocol, version string) limits {
	const any = math.MaxInt64
	switch p {
	case OSS:
		return limits{100 * kib, 5 * gib, 1, 10_000, any}
	case GCS:
		return limits{256 * kib, 5 * tib, 256 * kib, any, 5 * tib}
	case GCSMultipart:
		return limits{5 * mib, 5 * gib, 1, 10_000, 5 * tib}
	case Azure:
		l := limits{1, 4000 * mib, 1, 50_000, any}
		switch {
		case version == "" || version >= "2019-12-12":
		case version >= "2016-05-31":
			l.most = 100 * mib
		default:
			l.most = 4 * mib
		}
		return l
	}
	return limits{5 * mib, 5 * gib, 1, 10_000, any}
}

// A Plan is how an object is cut. Its JSON is what a page needs to cut a file: {"size","partSize","parts","sequential"}.
type Plan struct {
	Size     int64 `json:"size"`     // of the object, in bytes
	PartSize int64 `json:"partSize"` // of every part but the last, which has the rest
	Parts    int   `json:"parts"`    // they are numbered from 1

	// Sequential means that a part may be sent only when those before it are there. Otherwise several can be under way at once.
	Sequential bool `json:"sequential"`
}

// Range returns where part n begins and how many bytes it has. There are none outside of 1 to Parts.
func (p Plan) Range(n int) (offset, length int64) {
	if n < 1 || n > p.Parts {
		return 0, 0
	}
	offset = int64(n-1) * p.PartSize
	return offset, min(p.PartSize, p.Size-offset)
}

// defaultPart is the size of a part where nobody says: small enough to be sent again without regret.
const defaultPart = 8 * mib

// newPlan cuts an object of so many bytes into parts of partSize, or of a size of its own choice if that is 0.
func newPlan(op pipeline.Op, p Protocol, version string, size, partSize int64) (Plan, error) {
	if _, err := time.Parse(time.DateOnly, version); version != "" && (err != nil || p != Azure) {
		return Plan{}, op.Errorf(signer.ErrRequest, "Version", "%q is no version of Azure Storage, which only Azure has; 2020-12-06 is one", version)
	}
	l := limitsOf(p, version)
	fits := func(partSize int64) bool { return partSize > 0 && (size-1)/partSize < l.parts }
	least := (size-1)/l.parts + 1 // of parts that are few enough
	if partSize == 0 {
		partSize = min(max(defaultPart, (least+mib-1)/mib*mib), l.most)
		if size > 0 && !fits(partSize) && size <= l.total {
			return Plan{}, op.Errorf(signer.ErrRequest, "Size", "%d bytes are more than %d parts of %d bytes, which is all that %v takes", size, l.parts, l.most, p)
		}
	}
	bad := func(field, format string, args ...any) (Plan, error) {
		return Plan{}, op.Errorf(signer.ErrRequest, field, format, args...)
	}
	several := size > partSize
	switch {
	case size == 0:
		return bad("Size", "an empty object has no parts; presign a PUT for it")
	case size < 0:
		return bad("Size", "%d is no size; it must be known before the upload begins", size)
	case size > l.total:
		return bad("Size", "%d bytes are too many; %v takes %d", size, p, l.total)
	case partSize < 0:
		return bad("PartSize", "%d is no size; leave it 0 for one that fits", partSize)
	case several && partSize < l.least:
		return bad("PartSize", "%d bytes are too few for a part that others follow; %v takes %d or more", partSize, p, l.least)
	case several && partSize%l.unit != 0:
		return bad("PartSize", "%d is no multiple of %d, as %v wants a part to be that others follow", partSize, l.unit, p)
	case min(partSize, size) > l.most:
		return bad("PartSize", "%d bytes are too many for a part; %v takes %d", min(partSize, size), p, l.most)
	case !fits(partSize):
		return bad("PartSize", "%s parts of %d bytes are too many; %v takes %d, so let them have %d bytes or more",
			strconv.FormatInt((size-1)/partSize+1, 10), partSize, p, l.parts, least)
	}
	return Plan{Size: size, PartSize: partSize, Parts: int((size-1)/partSize + 1), Sequential: p == GCS}, nil
}
