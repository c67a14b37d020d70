// Package vector reads golden vectors: text files that hold the inputs of one
// computation, every stage it must pass through, and where those values were
// published. It is for tests, and strict, so that no mistake in a file can
// turn a check off: what a test did not look at fails that test.
//
// # Format
//
//	source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
//	kind: presigned-url
//	region: us-east-1
//	query: max-keys=2
//	query: prefix=J
//
//	-- string to sign --
//	AWS4-HMAC-SHA256
//	20130524T000000Z
//	-- signature --
//	aeeed9bbccd4d02e
//
// First come lines of "key: value", or "key:" where the value is empty. Then
// one empty line, then sections. Keys and sections share one set of names: a
// value that does not fit on a line can move to a section, and its test stays
// as it is. A name that occurs more than once is a list, in the order of the
// file, and only [Vector.All] and [Vector.Pairs] read it.
//
// A section is its content and one newline, always. So the last newline
// before the next marker, or before the end of the file, is not content;
// content that ends in a newline shows as an empty line; and empty content is
// one empty line. Content has one of three forms:
//
//	-- name --          as it stands
//	-- name (crlf) --   as it stands, but each newline within it means CR LF
//	-- name (hex) --    lower-case hex digits, 32 bytes a line
//
// Sections are what the computation must yield. One whose name begins with
// "input " is an input instead, and there must be others.
//
// What a reader cannot see is refused outside hex: control characters (tabs
// and carriage returns too), invisible runes, spaces at the end of a line.
// There is one way to write a file, so a diff of two files is a diff of their
// values.
//
// # Names known here
//
// source and kind are required. title, moved (where the source stands now) and
// provenance are optional; doc-issue (where the source contradicts itself) and
// note may repeat. They are for people, and no test has to read them.
package vector

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// A Vector is one parsed file. It remembers which of its fields were read, so
// it is not safe for concurrent use.
type Vector struct {
	Name   string // the file's name without directory and .txt; set by Load
	Kind   string // which computation this is
	Source string // URL of the page or file that publishes the values

	fields []field
}

// A field is one key line or one section.
type field struct {
	name, value string
	form        form
	read        bool
}

// A form is how a value is written.
type form int

const (
	formLine form = iota + 1
	formText
	formCRLF
	formHex
)

// Run runs test once for each file that matches glob, as a subtest named like
// the file, and fails it for each field that it did not read. No match is a
// failure.
func Run(t *testing.T, glob string, test func(t *testing.T, v *Vector)) {
	t.Helper()
	for _, v := range Load(t, glob) {
		t.Run(v.Name, func(t *testing.T) {
			t.Cleanup(func() {
				// A test that stopped early had no chance to read the rest.
				if !t.Failed() && !t.Skipped() {
					v.Check(t)
				}
			})
			test(t, v)
		})
	}
}

// Load parses the files that match glob and stops the test if one is malformed
// or none matches. It does not ask what becomes of the fields: tests want Run,
// which does. Load alone suits benchmarks and seeds of fuzz tests.
func Load(t testing.TB, glob string) []*Vector {
	t.Helper()
	paths, err := filepath.Glob(glob)
	if err != nil {
		t.Fatalf("vector: %s: %v", glob, err)
	}
	if len(paths) == 0 {
		t.Fatalf("vector: no file matches %s", glob)
	}
	var vs []*Vector
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("vector: %v", err)
		}
		v, err := Parse(data)
		if err != nil {
			t.Fatalf("vector: %s: %v", path, err)
		}
		v.Name = strings.TrimSuffix(filepath.Base(path), ".txt")
		vs = append(vs, v)
	}
	return vs
}

// Get returns the value of name and stops the test unless there is exactly one.
func (v *Vector) Get(t testing.TB, name string) string {
	t.Helper()
	value, ok := v.Lookup(t, name)
	if !ok {
		t.Fatalf("vector %s: no %q", v.Name, name)
	}
	return value
}

// Lookup returns the value of name, and whether there is one. It stops the
// test if there are more.
func (v *Vector) Lookup(t testing.TB, name string) (value string, ok bool) {
	t.Helper()
	switch values := v.All(name); len(values) {
	case 0:
		return "", false
	case 1:
		return values[0], true
	default:
		t.Fatalf("vector %s: %q occurs %d times, want once", v.Name, name, len(values))
		return "", false // unreachable
	}
}

// All returns the values of name in the order of the file. To read a name with
// All is to declare that it may repeat, or be absent.
func (v *Vector) All(name string) []string {
	var values []string
	for i := range v.fields {
		if f := &v.fields[i]; f.name == name {
			f.read = true
			values = append(values, f.value)
		}
	}
	return values
}

// Pairs is All for values that are pairs, such as "prefix=J" with the separator
// "=" or "Range: bytes=0-9" with ": ". It splits at the first separator, and
// stops the test where there is none. As in the file's own lines, a space at
// the end of the separator is left out before an empty second half.
func (v *Vector) Pairs(t testing.TB, name, sep string) [][2]string {
	t.Helper()
	var pairs [][2]string
	for _, s := range v.All(name) {
		first, second, ok := cut(s, sep)
		if !ok {
			t.Fatalf("vector %s: %s: no %q in %q", v.Name, name, sep, s)
		}
		pairs = append(pairs, [2]string{first, second})
	}
	return pairs
}

// Ignore marks names as read, for a test that checks part of a vector which
// another test checks in full.
func (v *Vector) Ignore(names ...string) {
	for _, name := range names {
		v.All(name)
	}
}

// Check fails the test for each field that was not read, other than those for
// people. Run calls it.
func (v *Vector) Check(t testing.TB) {
	t.Helper()
	for _, f := range v.fields {
		if !f.read && !forPeople(f.name) {
			t.Errorf("vector %s: %q was never read: a misspelt name, or a check that is missing", v.Name, f.name)
		}
	}
}

// Parse parses one file.
func Parse(data []byte) (*Vector, error) {
	text := string(data)
	if err := checkText(text); err != nil {
		return nil, err
	}
	text, ok := strings.CutSuffix(text, "\n")
	if !ok {
		return nil, errors.New("the last line has no newline")
	}
	head, body, ok := strings.Cut(text, "\n\n")
	if !ok {
		return nil, errors.New("no empty line after the keys")
	}

	v := new(Vector)
	if err := v.parseKeys(strings.Split(head, "\n")); err != nil {
		return nil, err
	}
	lineNo := strings.Count(head, "\n") + 3
	if err := v.parseSections(strings.Split(body, "\n"), lineNo); err != nil {
		return nil, err
	}
	if err := v.checkFields(); err != nil {
		return nil, err
	}
	return v, nil
}

func (v *Vector) parseKeys(lines []string) error {
	for i, line := range lines {
		key, value, ok := cut(line, ": ")
		if !ok || !validName(key, "-") {
			return fmt.Errorf(`line %d: want "key: value", got %q`, i+1, line)
		}
		if strings.HasPrefix(value, " ") {
			return fmt.Errorf("line %d: the value begins with a space", i+1)
		}
		v.fields = append(v.fields, field{name: key, value: value, form: formLine})
	}
	return nil
}

// parseSections parses lines, the first of which is line number lineNo.
func (v *Vector) parseSections(lines []string, lineNo int) error {
	for len(lines) > 0 {
		name, form, ok := parseMarker(lines[0])
		if !ok {
			return fmt.Errorf(`line %d: want "-- section --", got %q`, lineNo, lines[0])
		}
		content := lines[1:]
		if n := slices.IndexFunc(content, likeMarker); n >= 0 {
			content = content[:n]
		}
		if len(content) == 0 {
			return fmt.Errorf("line %d: section %q has no line; empty content is one empty line", lineNo, name)
		}
		value, err := form.decode(content)
		if err != nil {
			return fmt.Errorf("line %d: section %q: %w", lineNo, name, err)
		}
		v.fields = append(v.fields, field{name: name, value: value, form: form})
		lines = lines[1+len(content):]
		lineNo += 1 + len(content)
	}
	return nil
}

// checkFields enforces the rules about which fields a file has.
func (v *Vector) checkFields() error {
	first := make(map[string]field)
	expected := false
	for _, f := range v.fields {
		prev, again := first[f.name]
		switch {
		case !again:
			first[f.name] = f
		case (prev.form == formLine) != (f.form == formLine):
			return fmt.Errorf("%q is both a key and a section", f.name)
		case forPeople(f.name) && f.name != "doc-issue" && f.name != "note":
			return fmt.Errorf("%q occurs more than once", f.name)
		}
		switch f.name {
		case "source", "moved":
			if u, err := url.Parse(f.value); err != nil || u.Scheme != "https" || u.Host == "" {
				return fmt.Errorf("%s: want an https URL, got %q", f.name, f.value)
			}
		}
		if forPeople(f.name) && (f.form != formLine || f.value == "") {
			return fmt.Errorf("%q must be a key with a value", f.name)
		}
		if f.form != formLine && !strings.HasPrefix(f.name, "input ") {
			expected = true
		}
	}
	v.Source, v.Kind = first["source"].value, first["kind"].value
	switch {
	case v.Source == "":
		return errors.New("no source")
	case v.Kind == "":
		return errors.New("no kind")
	case !expected:
		return errors.New("no section says what to expect")
	}
	return nil
}

// forPeople reports whether name says what a vector is and where it came from,
// rather than being part of the computation.
func forPeople(name string) bool {
	switch name {
	case "source", "title", "moved", "kind", "provenance", "doc-issue", "note":
		return true
	}
	return false
}

// cut is strings.Cut, except that a separator that ends in a space loses it
// when nothing follows: no line ends in a space.
func cut(s, sep string) (before, after string, ok bool) {
	if before, after, ok = strings.Cut(s, sep); ok {
		return before, after, true
	}
	before, ok = strings.CutSuffix(s, strings.TrimSuffix(sep, " "))
	return before, "", ok
}

// likeMarker also holds for a slip such as "-- signature--", so that it does
// not quietly become content of the section before.
func likeMarker(line string) bool {
	return strings.HasPrefix(line, "-- ") || strings.HasSuffix(line, " --")
}

func parseMarker(line string) (name string, f form, ok bool) {
	line, prefix := strings.CutPrefix(line, "-- ")
	line, suffix := strings.CutSuffix(line, " --")
	name, f = line, formText
	if s, found := strings.CutSuffix(line, " (crlf)"); found {
		name, f = s, formCRLF
	} else if s, found := strings.CutSuffix(line, " (hex)"); found {
		name, f = s, formHex
	}
	return name, f, prefix && suffix && validName(name, "- ")
}

// decode returns the content that lines stand for.
func (f form) decode(lines []string) (string, error) {
	switch f {
	case formCRLF:
		return strings.Join(lines, "\r\n"), nil
	case formHex:
		content, err := hex.DecodeString(strings.Join(lines, ""))
		if err == nil && !slices.Equal(lines, hexLines(content)) {
			err = errors.New("want lower-case hex digits, 32 bytes a line")
		}
		return string(content), err
	default:
		return strings.Join(lines, "\n"), nil
	}
}

// hexLines writes content in hex, 32 bytes a line. Empty content is one empty
// line.
func hexLines(content []byte) []string {
	lines := []string{}
	for len(content) > 32 {
		lines = append(lines, hex.EncodeToString(content[:32]))
		content = content[32:]
	}
	return append(lines, hex.EncodeToString(content))
}

// validName reports whether s is words of lower-case letters and digits with
// one of separators between each two.
func validName(s, separators string) bool {
	separated := true // so that s cannot begin with a separator
	for _, c := range s {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			separated = false
		case strings.ContainsRune(separators, c) && !separated:
			separated = true
		default:
			return false
		}
	}
	return !separated
}

// checkText refuses what a reader cannot see.
func checkText(text string) error {
	if !utf8.ValidString(text) {
		return errors.New("not UTF-8")
	}
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasSuffix(line, "\r"):
			return fmt.Errorf("line %d: ends in a carriage return; did git convert the file?", i+1)
		case strings.HasSuffix(line, " "):
			return fmt.Errorf("line %d: ends in a space", i+1)
		}
		for _, c := range line {
			if !unicode.IsPrint(c) {
				return fmt.Errorf("line %d: holds %U, which cannot be seen", i+1, c)
			}
		}
	}
	return nil
}
