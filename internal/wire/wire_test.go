package wire

import (
	"bytes"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestAppendEscape(t *testing.T) {
	for in, want := range map[string]string{
		"":                 "",
		"AZaz09-._~":       "AZaz09-._~",
		"a b+c%2F/d":       "a%20b%2Bc%252F%2Fd",
		"é😀":               "%C3%A9%F0%9F%98%80",
		"\x00\xff":         "%00%FF",
		"!$&'()*,;=:@[]":   "%21%24%26%27%28%29%2A%2C%3B%3D%3A%40%5B%5D",
		`?#"<>\^` + "`{|}": "%3F%23%22%3C%3E%5C%5E%60%7B%7C%7D",
	} {
		if got := string(AppendEscape([]byte("x"), in)); got != "x"+want {
			t.Errorf("%q becomes %q, want %q", in, got, "x"+want)
		}
		if got, want := string(AppendEscapePath(nil, in)), strings.ReplaceAll(want, "%2F", "/"); got != want {
			t.Errorf("path %q becomes %q, want %q", in, got, want)
		}
	}
}

// Every byte on its own, against the list in the documentation:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html (UriEncode).
func TestEveryByte(t *testing.T) {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	for c := range 256 {
		b := string([]byte{byte(c)})
		escaped := string(AppendEscape(nil, b))
		if keep := strings.Contains(unreserved, b); keep != (escaped == b) {
			t.Errorf("byte %#x becomes %q", c, escaped)
		}
		if back, err := UnescapePath(escaped); back != b || err != nil {
			t.Errorf("byte %#x comes back as %q, %v", c, back, err)
		}
		if path := string(AppendEscapePath(nil, b)); path != escaped && !(c == '/' && path == "/") {
			t.Errorf("byte %#x becomes %q in a path", c, path)
		}
	}
}

func TestAppendCanonicalPath(t *testing.T) {
	for in, want := range map[string]string{
		"/a%2bb+c%7Ed$=": "/a%2Bb%2Bc~d%24%3D",
		"/a%2Fb//./..":   "/a/b//./..",
		"/%41":           "/A",
	} {
		if got, err := AppendCanonicalPath(nil, in); string(got) != want || err != nil {
			t.Errorf("%q becomes %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"%", "%4", "%4g", "%G0", "a%"} {
		if _, err := AppendCanonicalPath(nil, in); err != ErrEscape {
			t.Errorf("%q: %v", in, err)
		}
		if _, err := UnescapePath(in); err != ErrEscape {
			t.Errorf("unescape %q: %v", in, err)
		}
	}
}

func TestParams(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"&&":                       "",
		"acl":                      "acl=",
		"b=2&a=1":                  "a=1&b=2",
		"a=2&a=1&a":                "a=&a=1&a=2",
		"a=1&A=1":                  "A=1&a=1",
		"x=a+b%20c%2Bd":            "x=a%20b%20c%2Bd",
		"x=%7e%2a;/":               "x=~%2A%3B%2F",
		"a=b=c":                    "a=b%3Dc",
		"=v":                       "=v",
		"%C3%A9=2&a=1":             "%C3%A9=2&a=1",                     // sorted after encoding
		"k-=1&k%2F=2&k=3":          "k=3&k%2F=2&k-=1",                  // by name alone, not by name=value
		"%7Cp=1&%2Bp=2&p=3":        "%2Bp=2&%7Cp=1&p=3",                // '%' before letters
		"prefix=J&max-keys=2":      "max-keys=2&prefix=J",              // the documentation's own
		"k=a-b&k=a%2Fb":            "k=a%2Fb&k=a-b",                    // values too
		strings.Repeat("a=1&", 40): strings.Repeat("a=1&", 39) + "a=1", // the arena moves
	} {
		var p Params
		p.Add("left", "over")
		p.Reset()
		if err := p.Parse(in); err != nil {
			t.Errorf("%q: %v", in, err)
		}
		p.Sort()
		if got := string(AppendParams(nil, p.List)); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
	for _, in := range []string{"a=%", "%zz=1", "a=1&b=%1"} {
		var p Params
		if err := p.Parse(in); err != ErrEscape {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestSortNames(t *testing.T) {
	var long, sorted []string
	for i := range 200 { // long enough for a sort that is not stable to show it
		long = append(long, "k"+strconv.Itoa(i%3)+"="+strconv.Itoa(999-i))
	}
	for k := range 3 {
		for i := k; i < 200; i += 3 {
			sorted = append(sorted, long[i])
		}
	}
	for in, want := range map[string]string{
		"": "", "a=1": "a=1", "b=1&a=2": "a=2&b=1",
		"b&a=2&a=1&a&a=2":  "a=2&a=1&a=&a=2&b=",
		"k-=1&k%2F=2&k=3":  "k=3&k%2F=2&k-=1", // by the encoded name alone
		"a=9&A=1&%C3%A9=0": "%C3%A9=0&A=1&a=9",

		strings.Join(long, "&"): strings.Join(sorted, "&"),
	} {
		var p Params
		if err := p.Parse(in); err != nil {
			t.Fatal(err)
		}
		p.SortNames()
		if got := string(AppendParams(nil, p.List)); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// Added decoded or parsed encoded, parameters are the same.
func TestAddIsParse(t *testing.T) {
	var added, parsed Params
	for name, values := range map[string][]string{"a b": {"+", "", "%"}, "é": {"/"}} {
		for _, v := range values {
			added.Add(name, v)
			if err := parsed.Parse(url.QueryEscape(name) + "=" + url.QueryEscape(v)); err != nil {
				t.Fatal(err)
			}
		}
	}
	added.Sort()
	parsed.Sort()
	if a, p := AppendParams(nil, added.List), AppendParams(nil, parsed.List); !bytes.Equal(a, p) {
		t.Errorf("added %q, parsed %q", a, p)
	}
}

func TestPairsStops(t *testing.T) {
	var names []string
	for name := range Pairs("a=1&b&c=3") {
		if names = append(names, name); name == "b" {
			break
		}
	}
	if !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("names %q", names)
	}
}

func TestWithout(t *testing.T) {
	drop := func(name string) bool { return name == "x y" }
	for in, want := range map[string]string{
		"": "", "a=1": "a=1", "a&&b=%zz": "a&&b=%zz", "x+y=1": "", "a=1&x%20y=2&b": "a=1&b", "x+y&x+y=2&a+b": "a+b", "%zz=1&x+y": "%zz=1",
	} {
		if got := Without(in, drop); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestAppendFolded(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "   ": "", " a ": "a", "a   b \t c": "a b c", `" quoted   text "`: `" quoted text "`, "é": "é",
	} {
		if got := string(AppendFolded([]byte("n:"), in)); got != "n:"+want {
			t.Errorf("%q becomes %q, want %q", in, got, "n:"+want)
		}
	}
}

func TestAppendLower(t *testing.T) {
	if got := string(AppendLower(nil, "X-Amz-DATE É")); got != "x-amz-date É" {
		t.Errorf("got %q", got)
	}
}

// What is escaped comes back, is canonical already, and holds nothing but the alphabet of encodings.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "a b+c%2F/é", "\x00\xff", "~", "%", "a//./../b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		escaped := string(AppendEscape(nil, s))
		path := string(AppendEscapePath(nil, s))
		if strings.Trim(escaped, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%") != "" {
			t.Errorf("%q escaped is %q", s, escaped)
		}
		for _, e := range []string{escaped, path} {
			if back, err := UnescapePath(e); back != s || err != nil {
				t.Errorf("%q comes back from %q as %q, %v", s, e, back, err)
			}
		}
		if back, err := UnescapeQuery(escaped); back != s || err != nil {
			t.Errorf("%q comes back from the query %q as %q, %v", s, escaped, back, err)
		}
		if back, err := url.PathUnescape(path); back != s || err != nil {
			t.Errorf("net/url reads %q as %q, %v", path, back, err)
		}
		if again, err := AppendCanonicalPath(nil, path); string(again) != path || err != nil {
			t.Errorf("the canonical path %q becomes %q, %v", path, again, err)
		}
	})
}

// A canonical query is canonical: parsing it again changes nothing, and net/url reads the same out of both.
func FuzzParams(f *testing.F) {
	for _, s := range []string{"", "a=1&a&b=%20+", "%C3%A9=2&a=1", "=&=", "a=%zz", "a;b=c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var p, q Params
		if err := p.Parse(raw); err != nil {
			if err != ErrEscape {
				t.Errorf("%q: undocumented error %v", raw, err)
			}
			return
		}
		p.Sort()
		canonical := string(AppendParams(nil, p.List))
		if err := q.Parse(canonical); err != nil {
			t.Fatalf("%q is canonical and does not parse: %v", canonical, err)
		}
		q.Sort()
		// A parameter with neither name nor value is "=" canonically and parses as itself.
		if again := string(AppendParams(nil, q.List)); again != canonical {
			t.Errorf("%q becomes %q", canonical, again)
		}
		if strings.Contains(raw, ";") {
			return // net/url refuses semicolons, S3 takes them as data
		}
		want, err1 := url.ParseQuery(raw)
		got, err2 := url.ParseQuery(canonical)
		if err1 != nil || err2 != nil || len(got) != len(want) {
			t.Errorf("net/url reads %q as %v, %v and %q as %v, %v", raw, want, err1, canonical, got, err2)
		}
		for name := range want {
			slices.Sort(want[name])
			slices.Sort(got[name])
			if !slices.Equal(got[name], want[name]) {
				t.Errorf("%q: %q in %q, %q in %q", name, want[name], raw, got[name], canonical)
			}
		}
	})
}
