package s3_test

import (
	"testing"

	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

func TestCopySource(t *testing.T) {
	for _, tt := range []struct{ bucket, key, version, want string }{
		// The first and the third are those of the documentation, the third before its escapes.
		{"awsexamplebucket", "reports/january.pdf", "", "awsexamplebucket/reports/january.pdf"},
		{"awsexamplebucket", "reports/january.pdf", "QUpfdndhfd8438MNFDN93jdnJFkdmqnh893", "awsexamplebucket/reports/january.pdf?versionId=QUpfdndhfd8438MNFDN93jdnJFkdmqnh893"},
		{"arn:aws:s3:us-west-2:123456789012:accesspoint/my-access-point", "reports/january.pdf", "",
			"arn%3Aaws%3As3%3Aus-west-2%3A123456789012%3Aaccesspoint/my-access-point/object/reports/january.pdf"},
		{"photos", "a+b c%2F?ü", "v/1&2", "photos/a%2Bb%20c%252F%3F%C3%BC?versionId=v%2F1%262"},
		{"photos", "/a//../b", "", "photos//a//../b"}, // no client reads paths in a header
	} {
		if got, err := s3.CopySource(tt.bucket, tt.key, tt.version); err != nil || got != tt.want {
			t.Errorf("%q %q %q: %q, %v", tt.bucket, tt.key, tt.version, got, err)
		}
	}
	for _, tt := range []struct{ bucket, key, field string }{
		{"", "k", "bucket"}, {"a/b", "k", "bucket"}, {"arn:aws:s3", "k", "bucket"}, {"arn:aws:s3:::photos", "k", "bucket"}, {"photos", "", "key"}, {"photos", "a\x00", "key"}, {"photos", "\xff", "key"},
		{"arn:aws:s3:us-west-2:123456789012:accesspoint/a/object/secret", "k", "bucket"},
	} {
		_, err := s3.CopySource(tt.bucket, tt.key, "")
		wantError(t, err, signer.ErrRequest, tt.field)
	}
}
