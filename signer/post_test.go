package signer_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// A Form's policy and signature are for the browser, not for logs.
func TestFormHidesItsFields(t *testing.T) {
	f := signer.Form{URL: "https://photos.s3.eu-west-1.amazonaws.com/", ExpiresAt: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC),
		Fields: []signer.Field{{Name: "policy", Value: "cG9saWN5"}, {Name: "x-amz-signature", Value: "5167a7c8"}}}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("made", "form", f, "pointer", &f)
	for _, text := range []string{fmt.Sprint(f), fmt.Sprintf("%+v %#v %s %q %x", f, f, f, f, f), fmt.Sprintf("%+v", &f), log.String()} {
		if strings.Contains(text, "5167a7c8") || strings.Contains(text, "cG9saWN5") {
			t.Errorf("printed: %s", text)
		}
	}
	if want := "POST https://photos.s3.eu-west-1.amazonaws.com/ until 2026-11-25T12:00:00Z"; f.String() != want {
		t.Errorf("got %s", f.String())
	}
}
