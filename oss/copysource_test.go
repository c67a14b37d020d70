package oss_test

import (
	"testing"

	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

func TestCopySource(t *testing.T) {
	for key, want := range map[string]string{
		"2026/cat.jpg": "/photos/2026/cat.jpg",
		"a+b c%2F?ü":   "/photos/a%2Bb%20c%252F%3F%C3%BC",
	} {
		if got, err := oss.CopySource("photos", key, ""); err != nil || got != want {
			t.Errorf("%q: %q, %v", key, got, err)
		}
	}
	if got, err := oss.CopySource("photos", "a b", "CAEQ/&"); err != nil || got != "/photos/a%20b?versionId=CAEQ%2F%26" {
		t.Errorf("with a version: %q, %v", got, err)
	}
	for _, tt := range []struct{ bucket, key, field string }{
		{"", "k", "bucket"}, {"a/b", "k", "bucket"}, {"photos", "", "key"}, {"photos", "a\x00", "key"}, {"photos", "\xff", "key"},
	} {
		_, err := oss.CopySource(tt.bucket, tt.key, "")
		wantError(t, err, signer.ErrRequest, tt.field)
	}
}
