package signer_test

import (
	"fmt"
	"mime"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/cloudsigner/cloudsigner/signer"
)

func TestAttachment(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "report.pdf", `attachment; filename="report.pdf"`},
		{"spaces", "annual report (1); v=2.pdf", `attachment; filename="annual report (1); v=2.pdf"`},
		{"accents", "résumé.pdf", `attachment; filename="r_sum_.pdf"; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf`},
		{"Chinese", "报告.pdf", `attachment; filename="__.pdf"; filename*=UTF-8''%E6%8A%A5%E5%91%8A.pdf`},
		{"emoji of several characters", "👩‍🚀.png", `attachment; filename="___.png"; filename*=UTF-8''%F0%9F%91%A9%E2%80%8D%F0%9F%9A%80.png`},
		{"quotes", `a"b'c.txt`, `attachment; filename="a_b'c.txt"; filename*=UTF-8''a%22b%27c.txt`},
		{"percent", "100%25.txt", `attachment; filename="100_25.txt"; filename*=UTF-8''100%2525.txt`},
		{"path", "/etc/../a/b.txt", `attachment; filename="b.txt"`},
		{"Windows path", `C:\dir\b.txt`, `attachment; filename="b.txt"`},
		{"mixed path", `a/b\c/d\e.txt`, `attachment; filename="e.txt"`},
		{"folder", "a/b/", "attachment"},
		{"header injection", "a\r\nSet-Cookie: x=y\x00.txt", `attachment; filename="aSet-Cookie: x=y.txt"`},
		{"control characters", "a\t\x7f\u0085\u2028b.txt", `attachment; filename="ab.txt"`},
		{"spoofed extension", "photo\u202egpj.exe", `attachment; filename="photogpj.exe"`},
		{"bidirectional controls", "\u200ea\u200f\u202a\u202b\u202c\u202d\u2066\u2067\u2068\u2069\u061c.txt", `attachment; filename="a.txt"`},
		{"white space around", " \u00a0 a.txt ", `attachment; filename="a.txt"`},
		{"not UTF-8", "a\xffb.txt", `attachment; filename="a_b.txt"`},
		{"empty", "", "attachment"},
		{"dot", ".", "attachment"},
		{"dots", "../..", "attachment"},
		{"dots with spaces", " ... ", "attachment"},
		{"only controls", "\r\n\x00", "attachment"},
		{"hidden file", ".htaccess", `attachment; filename=".htaccess"`},
		{"long", strings.Repeat("a", 300) + ".txt", `attachment; filename="` + strings.Repeat("a", 251) + `.txt"`},
		{"long extension", "a." + strings.Repeat("b", 300), `attachment; filename="a.` + strings.Repeat("b", 253) + `"`},
		{"long, without extension", strings.Repeat("é", 200), `attachment; filename="` + strings.Repeat("_", 127) + `"; filename*=UTF-8''` + strings.Repeat("%C3%A9", 127)},
		{"long, cut within a character", strings.Repeat("é", 200) + ".md", `attachment; filename="` + strings.Repeat("_", 126) + `.md"; filename*=UTF-8''` + strings.Repeat("%C3%A9", 126) + ".md"},
		{"cut leaves a space", strings.Repeat("a", 254) + " bc", `attachment; filename="` + strings.Repeat("a", 254) + `"`},
		{"cut leaves dots", strings.Repeat(".", 255) + strings.Repeat("a", 40), "attachment"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := signer.Attachment(tt.in); got != tt.want {
				t.Errorf("Attachment(%q)\n got %s\nwant %s", tt.in, got, tt.want)
			}
			checkAttachment(t, tt.in)
		})
	}
}

// checkAttachment holds Attachment to what its comment promises for any name.
func checkAttachment(t *testing.T, filename string) {
	t.Helper()
	value := signer.Attachment(filename)
	if i := strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' || r == '\\' }); i >= 0 {
		t.Errorf("Attachment(%q) = %q has %q", filename, value, value[i])
	}
	disposition, params, err := mime.ParseMediaType(value)
	if err != nil || disposition != "attachment" {
		t.Fatalf("Attachment(%q) = %q is %q, %v", filename, value, disposition, err)
	}
	name, ok := params["filename"]
	if !ok {
		if value != "attachment" {
			t.Errorf("Attachment(%q) = %q lost its name", filename, value)
		}
		return
	}
	if len(params) != 1 {
		t.Errorf("Attachment(%q) = %q has parameters %q", filename, value, params)
	}
	if strings.Count(value, `"`) != 2 {
		t.Errorf("Attachment(%q) = %q has a bare quote", filename, value)
	}
	fallback := strings.Split(value, `"`)[1]
	if strings.Contains(fallback, "%") {
		t.Errorf("Attachment(%q) = %q has a percent sign in the fallback", filename, value)
	}
	if extended := strings.Contains(value, "filename*="); extended != (fallback != name) {
		t.Errorf("Attachment(%q) = %q: filename* is there: %v", filename, value, extended)
	}
	if name == "" || len(name) > 255 || !utf8.ValidString(name) || strings.ContainsAny(name, `/\`) || strings.Trim(name, ".") == "" {
		t.Errorf("Attachment(%q) names the file %q", filename, name)
	}
	if strings.ContainsFunc(name, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
	}) {
		t.Errorf("Attachment(%q) leaves a control character in %q", filename, name)
	}
	// A clean name comes back as it is, so nothing more than needed was taken away.
	if again := signer.Attachment(name); again != value {
		t.Errorf("Attachment(%q) = %q, and of its own name %q", filename, value, again)
	}
}

// TestAttachmentRoundTrip gives back every name that needs no cleaning.
func TestAttachmentRoundTrip(t *testing.T) {
	for _, name := range []string{
		"a.txt", "a b.txt", "résumé.pdf", "报告 2026.pdf", `say "hi".txt`, "100%.txt", "%41.txt", "a;b=c,d.txt", "it's.txt",
		"a*b?.txt", "<a>&|.txt", "~!@#$^()_+`-={}[]:;,.txt", "no extension", ".env", "a..b", "मराठी.txt", "👩‍🚀.png", "'", "UTF-8''a",
	} {
		_, params, err := mime.ParseMediaType(signer.Attachment(name))
		if err != nil || params["filename"] != name {
			t.Errorf("%q came back as %q, %v", name, params["filename"], err)
		}
	}
}

func FuzzAttachment(f *testing.F) {
	for _, seed := range []string{
		"", "a.txt", "résumé.pdf", `a"b\c/d%20.txt`, "a\r\nb\x00", "\u202egpj.exe", "\xff\xfe", "...", "utf-8''x",
		strings.Repeat("é", 200) + ".md", strings.Repeat(".", 255) + strings.Repeat("a", 40), strings.Repeat("a ", 200),
	} {
		f.Add(seed)
	}
	f.Fuzz(checkAttachment)
}

func ExampleAttachment() {
	fmt.Println(signer.Attachment("report.pdf"))
	fmt.Println(signer.Attachment("Übersicht 100%.pdf"))
	fmt.Println(signer.Attachment("../../etc/passwd"))
	// Output:
	// attachment; filename="report.pdf"
	// attachment; filename="_bersicht 100_.pdf"; filename*=UTF-8''%C3%9Cbersicht%20100%25.pdf
	// attachment; filename="passwd"
}
