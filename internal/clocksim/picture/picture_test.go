package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"testing"
)

// The picture in the tree is the one that the program draws.
func TestPicture(t *testing.T) {
	want, err := os.ReadFile("../../../clock/estimate.svg")
	if err != nil {
		t.Fatal(err)
	}
	got := draw()
	if !bytes.Equal(got, want) {
		t.Error("clock/estimate.svg is another: go run ./internal/clocksim/picture > clock/estimate.svg")
	}
	if len(got) > 20<<10 {
		t.Errorf("%d bytes", len(got))
	}
	d := xml.NewDecoder(bytes.NewReader(got))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
