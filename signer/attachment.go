package signer

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Attachment returns a Content-Disposition value that makes a browser save the response under filename (RFC 6266),
// fit for ResponseHeaders.ContentDisposition:
//
//	attachment; filename="ascii fallback"; filename*=UTF-8''percent-encoded
//
// filename* (RFC 8187) is there only if the fallback could not say all; clients prefer it, and those that do not
// know it take the fallback. The fallback holds no quote, backslash or percent sign: RFC 6266, appendix D, warns of the
// first two because some clients do not unescape, and of the third because some decode it. The result is always ASCII.
//
// filename may come from a user. Directories before the name are dropped, with / and \ alike; so are control
// characters, line separators, the bidirectional controls that make gpj.exe read as exe.jpg, and white space around the
// name. A byte that is not UTF-8 becomes an underscore. A name of more than 255 bytes, the limit of most file systems,
// is cut at a character and keeps its extension. If nothing is left, or only dots, the result is a plain "attachment".
func Attachment(filename string) string {
	name := attachmentName(filename)
	if name == "" {
		return "attachment"
	}
	fallback := strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII || r == '"' || r == '%' {
			return '_'
		}
		return r
	}, name)
	value := `attachment; filename="` + fallback + `"`
	if fallback != name {
		value += "; filename*=UTF-8''" + escapeExtValue(name)
	}
	return value
}

// attachmentName reduces filename to what is safe to save under.
func attachmentName(filename string) string {
	name := strings.ToValidUTF8(filename, "_")
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return -1
		}
		return r
	}, name)
	name = strings.TrimSpace(cutName(strings.TrimSpace(name), 255))
	if strings.Trim(name, ".") == "" {
		return ""
	}
	return name
}

// cutName shortens name to at most size bytes, keeping its extension and whole characters.
func cutName(name string, size int) string {
	if len(name) <= size {
		return name
	}
	extension := path.Ext(name)
	if len(extension) > 32 { // a dot in a sentence
		extension = ""
	}
	end := size - len(extension)
	for !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end] + extension
}

// escapeExtValue percent-encodes all but the attr-char of RFC 8187, section 3.2.1.
func escapeExtValue(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("!#$&+-.^_`|~", c) >= 0:
			out.WriteByte(c)
		default:
			out.WriteByte('%')
			out.WriteByte(hexDigits[c>>4])
			out.WriteByte(hexDigits[c&15])
		}
	}
	return out.String()
}
