package oss

import "github.com/cloudsigner/cloudsigner/internal/pipeline"

// CopySource returns the value of the header X-Oss-Copy-Source, which makes a PUT copy an object instead of sending one: bucket
// and key, escaped, and a version, "" for the current one. Both buckets must be in one region.
//
// Whoever holds a URL with this header copies what it names, with the permissions of whoever signed it. A bucket that is none,
// and a key that is empty or none of OSS's, is ErrRequest.
//
// https://www.alibabacloud.com/help/en/oss/developer-reference/copyobject
func CopySource(bucket, key, version string) (string, error) {
	op := pipeline.Op{Backend: "oss", Name: "copy source"}
	if err := pipeline.CheckBucket(op, "bucket", bucket); err != nil {
		return "", err
	}
	source, err := pipeline.CopySource(op, "/"+bucket+"/", key)
	if err != nil {
		return "", err
	}
	return pipeline.AppendCopyVersion(source, version), nil
}
