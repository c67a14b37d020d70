package vector

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

const good = `source: https://example.com/page#part
moved: https://example.com/elsewhere
kind: example
doc-issue: the page says 1
doc-issue: and then 2
region: us-east-1
body:
query: prefix=J
query: marker=a=b
query: acl=
header: Range: bytes=0-9
header: X-Empty:

-- input policy (crlf) --
{

}
-- canonical request --
GET
/

host
-- ends in newline --
first:1st

-- empty --

-- binary (hex) --
000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
20ff
-- chunk signature --
aa
-- chunk signature --
bb
`

func TestRead(t *testing.T) {
	v, err := Parse([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if v.Kind != "example" || v.Source != "https://example.com/page#part" {
		t.Errorf("Kind %q, Source %q", v.Kind, v.Source)
	}

	binary := make([]byte, 33, 34)
	for i := range binary {
		binary[i] = byte(i)
	}
	for name, want := range map[string]string{
		"region":            "us-east-1",
		"body":              "",
		"input policy":      "{\r\n\r\n}",
		"canonical request": "GET\n/\n\nhost",
		"ends in newline":   "first:1st\n",
		"empty":             "",
		"binary":            string(append(binary, 0xff)),
	} {
		if got := v.Get(t, name); got != want {
			t.Errorf("Get(%q) = %q, want %q", name, got, want)
		}
	}
	if got, ok := v.Lookup(t, "region"); got != "us-east-1" || !ok {
		t.Errorf("Lookup of a field = %q, %v", got, ok)
	}
	if got, ok := v.Lookup(t, "absent"); got != "" || ok {
		t.Errorf("Lookup of no field = %q, %v", got, ok)
	}
	if got, want := v.All("chunk signature"), []string{"aa", "bb"}; !reflect.DeepEqual(got, want) {
		t.Errorf("All = %q, want %q", got, want)
	}
	if got := v.All("absent"); got != nil {
		t.Errorf("All of no field = %q", got)
	}
	if got, want := v.Pairs(t, "query", "="), [][2]string{{"prefix", "J"}, {"marker", "a=b"}, {"acl", ""}}; !reflect.DeepEqual(got, want) {
		t.Errorf("Pairs = %q, want %q", got, want)
	}
	if got, want := v.Pairs(t, "header", ": "), [][2]string{{"Range", "bytes=0-9"}, {"X-Empty", ""}}; !reflect.DeepEqual(got, want) {
		t.Errorf("Pairs = %q, want %q", got, want)
	}
	v.Check(t) // everything was read; what is for people need not be
}

func TestParseRefuses(t *testing.T) {
	const head = "source: https://example.com/\nkind: k\n"
	const tail = "\n-- signature --\naa\n"
	if _, err := Parse([]byte(head + tail)); err != nil {
		t.Fatal(err) // else the cases below could fail for another reason
	}
	for _, tt := range []struct{ name, text, want string }{
		{"empty file", "", "no newline"},
		{"no source", "kind: k\n" + tail, "no source"},
		{"empty source", "source:\nkind: k\n" + tail, "https URL"},
		{"source is no URL", "source: the manual\nkind: k\n" + tail, "https URL"},
		{"moved is no URL", head + "moved: gone\n" + tail, "https URL"},
		{"no kind", "source: https://example.com/\n" + tail, "no kind"},
		{"empty kind", "source: https://example.com/\nkind:\n" + tail, "must be a key with a value"},
		{"second source", head + "source: https://example.org/\n" + tail, "more than once"},
		{"second kind", head + "kind: l\n" + tail, "more than once"},
		{"second title", head + "title: a\ntitle: b\n" + tail, "more than once"},
		{"second provenance", head + "provenance: a\nprovenance: b\n" + tail, "more than once"},
		{"empty doc-issue", head + "doc-issue:\n" + tail, "must be a key with a value"},
		{"doc-issue as a section", head + tail + "-- doc-issue --\nwrong\n", "must be a key with a value"},
		{"key and section", head + "signature: bb\n" + tail, "both a key and a section"},

		{"line without colon", head + "region\n" + tail, "line 3"},
		{"no space after colon", head + "region:x\n" + tail, "line 3"},
		{"no key", head + ": x\n" + tail, "line 3"},
		{"upper-case key", head + "Region: x\n" + tail, "line 3"},
		{"key with space", head + "the region: x\n" + tail, "line 3"},
		{"key with double hyphen", head + "the--region: x\n" + tail, "line 3"},
		{"key ends in hyphen", head + "region-: x\n" + tail, "line 3"},
		{"comment", "# about\n" + head + tail, "line 1"},
		{"value begins with a space", head + "region:  x\n" + tail, "begins with a space"},
		{"value ends in a space", head + "region: x \n" + tail, "ends in a space"},

		{"no section", head, "no empty line"},
		{"no section, empty line", head + "\n", "no empty line"},
		{"no empty line", head + tail[1:], "no empty line"},
		{"only an input", head + "\n-- input policy --\n{}\n", "no section says what to expect"},
		{"two empty lines", head + "\n" + tail, "line 4"},
		{"text before the first section", head + "\naa" + tail, "line 4"},
		{"section without a line", head + tail + "-- a --\n-- b --\nb\n", `line 6: section "a" has no line`},
		{"last section without a line", head + tail + "-- a --\n", "has no line"},
		{"marker without name", head + tail + "-- --\na\n", "line 6"},
		{"marker without start", head + tail + "a --\na\n", "line 6"},
		{"marker without end", head + tail + "-- a\na\n", "line 6"},
		{"marker with upper case", head + tail + "-- A --\na\n", "line 6"},
		{"marker with double space", head + tail + "-- a  b --\na\n", "line 6"},
		{"unknown form", head + tail + "-- a (base64) --\na\n", "line 6"},
		{"form without name", head + tail + "-- (hex) --\naa\n", "line 6"},
		{"no last newline", strings.TrimSuffix(head+tail, "\n"), "no newline"},

		{"hex of odd length", head + tail + "-- a (hex) --\nabc\n", "odd length"},
		{"hex with other digits", head + tail + "-- a (hex) --\nxy\n", "invalid byte"},
		{"hex in upper case", head + tail + "-- a (hex) --\nAB\n", "lower-case"},
		{"hex in short lines", head + tail + "-- a (hex) --\nab\ncd\n", "32 bytes a line"},
		{"hex in a long line", head + tail + "-- a (hex) --\n" + strings.Repeat("ab", 33) + "\n", "32 bytes a line"},
		{"hex and an empty line", head + tail + "-- a (hex) --\nab\n\n", "32 bytes a line"},

		{"carriage returns", strings.ReplaceAll(head+tail, "\n", "\r\n"), "carriage return"},
		{"carriage return within a line", head + tail + "a\rb\n", "U+000D"},
		{"tab", head + tail + "a\tb\n", "U+0009"},
		{"zero-width space", head + tail + "a\u200bb\n", "U+200B"},
		{"no-break space", head + tail + "a\u00a0b\n", "U+00A0"},
		{"byte order mark", "\ufeff" + head + tail, "U+FEFF"},
		{"content ends in a space", head + tail + "a \n", "ends in a space"},
		{"not UTF-8", head + tail + "\xff\n", "UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse([]byte(tt.text)); err == nil {
				t.Error("parsed")
			} else if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not contain %q", err, tt.want)
			}
		})
	}
}

// Each rule that holds for a test rather than for a file.
func TestRefusesTest(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"good.txt": good, "bad.text": "bad\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	vector := func() *Vector { return Load(t, filepath.Join(dir, "*.txt"))[0] }
	readAllBut := func(v *Vector, name string) {
		for _, f := range v.fields {
			if f.name != name {
				v.All(f.name)
			}
		}
	}

	for _, tt := range []struct {
		name string
		test func(t testing.TB)
		want string // "" where the test must pass
	}{
		{"all read", func(t testing.TB) { v := vector(); readAllBut(v, ""); v.Check(t) }, ""},
		{"nothing read", func(t testing.TB) { vector().Check(t) }, `"body" was never read`},
		{"key not read", func(t testing.TB) { v := vector(); readAllBut(v, "region"); v.Check(t) }, `vector good: "region" was never read`},
		{"section not read", func(t testing.TB) { v := vector(); readAllBut(v, "empty"); v.Check(t) }, `vector good: "empty" was never read`},
		{"key ignored", func(t testing.TB) {
			v := vector()
			readAllBut(v, "region")
			v.Ignore("region", "absent")
			v.Check(t)
		}, ""},
		{"Get of no field", func(t testing.TB) { vector().Get(t, "regoin") }, `vector good: no "regoin"`},
		{"Get of two keys", func(t testing.TB) { vector().Get(t, "query") }, `"query" occurs 3 times`},
		{"Get of two sections", func(t testing.TB) { vector().Get(t, "chunk signature") }, `"chunk signature" occurs 2 times`},
		{"Lookup of two keys", func(t testing.TB) { vector().Lookup(t, "query") }, `"query" occurs 3 times`},
		{"Pairs without separator", func(t testing.TB) { vector().Pairs(t, "region", "=") }, `region: no "=" in "us-east-1"`},
		{"glob without match", func(t testing.TB) { Load(t, filepath.Join(dir, "*.json")) }, "no file matches"},
		{"malformed glob", func(t testing.TB) { Load(t, filepath.Join(dir, "[")) }, "syntax error in pattern"},
		{"malformed file", func(t testing.TB) { Load(t, filepath.Join(dir, "*.text")) }, "bad.text: no empty line"},
		{"directory", func(t testing.TB) { Load(t, dir) }, "vector: read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := report(tt.test)
			switch {
			case tt.want == "" && got != "":
				t.Errorf("failed: %s", got)
			case tt.want != "" && !strings.Contains(got, tt.want):
				t.Errorf("reported %q, want %q", got, tt.want)
			}
		})
	}
}

// A recorder is a testing.TB that keeps what was reported.
type recorder struct {
	testing.TB // nil: only what is below may be called
	log        strings.Builder
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) { fmt.Fprintf(&r.log, format+"\n", args...) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// report returns what test reported, "" if it passed.
func report(test func(t testing.TB)) string {
	var r recorder
	done := make(chan struct{})
	go func() { // Fatalf ends its goroutine
		defer close(done)
		test(&r)
	}()
	<-done
	return r.log.String()
}

// Run needs a real *testing.T, and what is to be seen is that it fails, so the
// test binary runs itself: the inner process gets a directory and a test that
// reads only the names it is given.
func TestRun(t *testing.T) {
	const dirVar, readVar = "VECTOR_TEST_DIR", "VECTOR_TEST_READ"
	if dir := os.Getenv(dirVar); dir != "" {
		Run(t, filepath.Join(dir, "*.txt"), func(t *testing.T, v *Vector) {
			v.Ignore(strings.Split(os.Getenv(readVar), ",")...)
		})
		return
	}

	dir := t.TempDir()
	file := "source: https://example.com/\nkind: k\nregion: r\n\n-- signature --\naa\n"
	if err := os.WriteFile(filepath.Join(dir, "one.txt"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, dir, read, want string }{
		{"all read", dir, "region,signature", "--- PASS: TestRun/one"},
		{"key not read", dir, "signature", `vector one: "region" was never read`},
		{"section not read", dir, "region", `vector one: "signature" was never read`},
		{"no file", filepath.Join(dir, "none"), "", "no file matches"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command(exe, "-test.run=^TestRun$", "-test.v")
			cmd.Env = append(os.Environ(), dirVar+"="+tt.dir, readVar+"="+tt.read)
			out, err := cmd.CombinedOutput()
			if passed, want := err == nil, tt.name == "all read"; passed != want {
				t.Errorf("passed: %v, want %v", passed, want)
			}
			if !strings.Contains(string(out), tt.want) {
				t.Errorf("want %q in:\n%s", tt.want, out)
			}
		})
	}
}

// FuzzParse holds Parse to the promise that there is one way to write a file:
// what it accepts it understood to the last byte, so it can be written again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("source: https://example.com/\nkind: k\n\n-- a --\n\n\n"))
	f.Add([]byte("source: https://example.com/\nkind: k\n\n-- a (crlf) --\n\n-- b (hex) --\n\n"))
	f.Add([]byte("source: https://example.com/\r\nkind: k\n\n-- --\na\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Parse(data)
		if err != nil {
			if v != nil {
				t.Errorf("a vector along with the error %v", err)
			}
			return
		}
		if got := encode(v); got != string(data) {
			t.Errorf("parsed and written again:\n%q\nwant\n%q", got, data)
		}
	})
}

// encode writes v as a file, from the description of the format and with
// nothing of Parse but the fields.
func encode(v *Vector) string {
	var b strings.Builder
	inSections := false
	for _, f := range v.fields {
		if f.form == formLine {
			b.WriteString(f.name + ":")
			if f.value != "" {
				b.WriteString(" " + f.value)
			}
			b.WriteString("\n")
			continue
		}
		if !inSections {
			b.WriteString("\n")
			inSections = true
		}
		switch f.form {
		case formText:
			fmt.Fprintf(&b, "-- %s --\n%s\n", f.name, f.value)
		case formCRLF:
			fmt.Fprintf(&b, "-- %s (crlf) --\n%s\n", f.name, strings.ReplaceAll(f.value, "\r\n", "\n"))
		case formHex:
			fmt.Fprintf(&b, "-- %s (hex) --", f.name)
			if f.value == "" {
				b.WriteString("\n")
			}
			for i := range len(f.value) {
				if i%32 == 0 {
					b.WriteString("\n")
				}
				fmt.Fprintf(&b, "%02x", f.value[i])
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}
