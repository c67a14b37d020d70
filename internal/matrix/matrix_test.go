package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The README has the table that the code writes. What the table says is held to verifiers by signer.TestCapabilities.
func TestReadmeIsCurrent(t *testing.T) {
	want, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(name, want, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := rewrite(name); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("README.md has another table: go generate ./internal/matrix")
	}
}

func TestRewriteNeedsItsPlace(t *testing.T) {
	name := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(name, []byte("no table\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := rewrite(name); err == nil {
		t.Error("a file without the lines was rewritten")
	}
}
