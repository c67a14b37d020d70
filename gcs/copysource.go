package gcs

import "github.com/cloudsigner/cloudsigner/internal/pipeline"

// CopySource returns the value of the header X-Goog-Copy-Source, which makes a PUT copy an object instead of sending one: bucket
// and key, escaped. A generation of the source goes into a header of its own, X-Goog-Copy-Source-Generation.
//
// Whoever holds a URL with this header copies what it names, with the permissions of whoever signed it. A bucket that is none,
// and a key that is empty or none of Cloud Storage's, is ErrRequest.
//
// https://docs.cloud.google.com/storage/docs/xml-api/reference-headers
func CopySource(bucket, key string) (string, error) {
	op := pipeline.Op{Backend: "gcs", Name: "copy source"}
	if err := pipeline.CheckBucket(op, "bucket", bucket); err != nil {
		return "", err
	}
	source, err := pipeline.CopySource(op, bucket+"/", key)
	return string(source), err
}
