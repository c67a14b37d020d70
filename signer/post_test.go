package signer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/iotest"
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

// JSON is for the page that posts the form.
func TestFormJSON(t *testing.T) {
	f := signer.Form{URL: "https://h/b?", Fields: []signer.Field{{Name: "key", Value: "a\"ü"}}, ExpiresAt: time.Date(2026, 11, 25, 14, 0, 0, 0, time.FixedZone("", 7200))}
	text, err := json.Marshal(&f)
	if want := `{"method":"POST","url":"https://h/b?","fields":[{"name":"key","value":"a\"ü"}],"expiresAt":"2026-11-25T12:00:00Z"}`; err != nil || string(text) != want {
		t.Errorf("got %s %v, want %s", text, err, want)
	}
	if text, err := json.Marshal(signer.Form{}); err != nil || !strings.Contains(string(text), `"fields":[]`) {
		t.Errorf("got %s %v", text, err)
	}
}

// The file of a form is as long as its policy says, to the byte, however it comes in.
func TestPostGrantBody(t *testing.T) {
	for _, tt := range []struct {
		size        int
		least, most int64
		code        string
	}{
		{0, 0, -1, ""}, {5, 0, -1, ""}, {5, 5, 5, ""}, {0, 0, 0, ""},
		{1, 0, 0, "EntityTooLarge"}, {6, 0, 5, "EntityTooLarge"}, {100_000, 0, 99_999, "EntityTooLarge"}, {100_000, 0, 3, "EntityTooLarge"},
		{4, 5, 10, "EntityTooSmall"}, {0, 1, -1, "EntityTooSmall"},
	} {
		for name, read := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "end with data": iotest.DataErrReader} {
			file := strings.Repeat("x", tt.size)
			g := &signer.PostGrant{Grant: signer.Grant{Backend: "s3"}, MinBytes: tt.least, MaxBytes: tt.most}
			body := g.Body(io.NopCloser(read(strings.NewReader(file))))
			got, err := io.ReadAll(body)
			var e *signer.Error
			switch {
			case tt.code == "" && (err != nil || string(got) != file):
				t.Errorf("%s: %d bytes of %d to %d: %v", name, tt.size, tt.least, tt.most, err)
			case tt.code != "" && (!errors.Is(err, signer.ErrPolicy) || !errors.As(err, &e) || e.Code != tt.code || e.Field != "file"):
				t.Errorf("%s: %d bytes of %d to %d: %v, want %s", name, tt.size, tt.least, tt.most, err, tt.code)
			case tt.code == "EntityTooLarge" && int64(len(got)) != tt.most:
				t.Errorf("%s: %d bytes came through, %d are allowed", name, len(got), tt.most)
			}
			if n, again := body.Read(make([]byte, 1)); tt.code != "" && (n != 0 || again != err) {
				t.Errorf("%s: after the refusal %d %v", name, n, again)
			}
		}
	}
	broken := (&signer.PostGrant{MaxBytes: 10, MinBytes: 10}).Body(io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF)))
	if _, err := io.ReadAll(broken); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v", err)
	}
	if broken.Close() != nil {
		t.Error("not closed")
	}
}
