package s3

import (
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// CopySource returns the value of the header X-Amz-Copy-Source, which makes a PUT copy an object instead of sending one: bucket and
// key, escaped, and a version, "" for the current one. bucket may be the ARN of an access point. A key that is written there as
// it is, or escaped as a query is, is another one as soon as it holds a +, a % or a blank.
//
// Whoever holds a URL with this header copies what it names, with the permissions of whoever signed it. A bucket that is none,
// and a key that is empty or none of S3's, is ErrRequest.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
func CopySource(bucket, key, version string) (string, error) {
	op := pipeline.Op{Backend: "s3", Name: "copy source"}
	where := bucket + "/"
	if strings.HasPrefix(bucket, "arn:") {
		parts := strings.SplitN(bucket, ":", 6)
		if len(parts) < 6 || parts[4] == "" || strings.Contains(bucket, "/object/") {
			return "", op.Errorf(signer.ErrRequest, "bucket", "%q is no ARN of an access point, which has the form arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME; a bucket has its name alone", bucket)
		}
		where = bucket + "/object/"
	} else if err := pipeline.CheckBucket(op, "bucket", bucket); err != nil {
		return "", err
	}
	source, err := pipeline.CopySource(op, where, key)
	if err != nil {
		return "", err
	}
	return pipeline.AppendCopyVersion(source, version), nil
}
