package cdn

import (
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is what Media CDN signs, top to bottom: the texts of its signatures, the fields of a token and the text that
// stands for them, and what either of them opens.
//
// https://docs.cloud.google.com/media-cdn/docs/generate-signatures
// https://docs.cloud.google.com/media-cdn/docs/generate-tokens

const (
	mediaComponent = "edge-cache-token" // of a path; and the query parameter of a token where a route has no other
	mediaCookie    = "Edge-Cache-Cookie"
)

// mediaSignature appends the fields of a signature to what it is for, and the signature of it all. text begins with
//
//	https://host/path?       or ...&, a URL
//	https://host/path/edge-cache-token=
//	URLPrefix=...&           base64url of the beginning of URLs, in a query
//	URLPrefix=...:           the same in a cookie
func mediaSignature(k *MediaKey, text string, sep byte, expires int64) (signed, whole string) {
	b := append([]byte(text), "Expires="...)
	b = strconv.AppendInt(b, expires, 10)
	b = append(append(b, sep), "KeyName="...)
	b = append(b, k.name...)
	signed = string(b)
	b = append(append(b, sep), "Signature="...)
	return signed, string(base64.RawURLEncoding.AppendEncode(b, k.sign([]byte(signed))))
}

func mediaURLPrefix(prefix string) string {
	return "URLPrefix=" + base64.RawURLEncoding.EncodeToString([]byte(prefix))
}

// A MediaToken is what a token grants. One of URLPrefix, PathGlobs and FullPath says on what; the rest narrows it.
type MediaToken struct {
	// URLPrefix is the beginning of URLs, https://host/path/, with a slash at its end and without a query.
	URLPrefix string

	// PathGlobs are patterns of paths on any host, "/tv/*": * stands for anything, slashes too, and ? for one byte. They are
	// compared with the path as it is sent.
	PathGlobs []string

	// FullPath is one path on any host, exactly as it is sent, percent-encoded and without a query.
	FullPath string

	// Starts is when the token begins to work, to the second; the zero time means at once.
	Starts time.Time

	// SessionID and Data are for whoever reads the token: the CDN logs one and hands on the other. Anybody can read them.
	SessionID, Data string

	// Headers must come with every request, with these values. Values are signed but do not stand in the token.
	Headers []signer.Field

	// IPRanges are the addresses from which the token works. Clients change theirs: from Wi-Fi to mobile, from IPv4 to IPv6.
	IPRanges []netip.Prefix
}

// fields are those of the token, without its signature.
func (t *MediaToken) fields(expires int64) []string {
	var f []string
	switch {
	case t.URLPrefix != "":
		f = append(f, mediaURLPrefix(t.URLPrefix))
	case t.PathGlobs != nil:
		f = append(f, "PathGlobs="+strings.Join(t.PathGlobs, "!")) // a comma would be taken for the end of a cookie's value
	default:
		f = append(f, "FullPath")
	}
	if !t.Starts.IsZero() {
		f = append(f, "Starts="+strconv.FormatInt(t.Starts.Unix(), 10))
	}
	f = append(f, "Expires="+strconv.FormatInt(expires, 10))
	if t.SessionID != "" {
		f = append(f, "SessionID="+t.SessionID)
	}
	if t.Data != "" {
		f = append(f, "Data="+t.Data)
	}
	if t.Headers != nil {
		names := make([]string, len(t.Headers))
		for i, h := range t.Headers {
			names[i] = h.Name
		}
		f = append(f, "Headers="+strings.Join(names, ","))
	}
	if t.IPRanges != nil {
		ranges := make([]string, len(t.IPRanges))
		for i, r := range t.IPRanges {
			ranges[i] = r.Masked().String()
		}
		f = append(f, "IPRanges="+base64.RawURLEncoding.EncodeToString([]byte(strings.Join(ranges, ","))))
	}
	return f
}

// mediaSignedValue is what is signed of a token: its fields, with the path that FullPath stands for and the values of the
// headers that it names.
func mediaSignedValue(fields []string, path string, header func(name string) string) string {
	signed := slices.Clone(fields)
	for i, field := range signed {
		if field == "FullPath" {
			signed[i] += "=" + path
		} else if names, ok := strings.CutPrefix(field, "Headers="); ok {
			pairs := strings.Split(names, ",")
			for j, name := range pairs {
				pairs[j] = name + "=" + header(name)
			}
			signed[i] = "Headers=" + strings.Join(pairs, ",")
		}
	}
	return strings.Join(signed, "~")
}

// mediaTokenSignature is the last field of a token.
func mediaTokenSignature(k *MediaKey, signedValue string) string {
	signature := k.sign([]byte(signedValue))
	if k.algorithm == MediaEd25519 {
		return "Signature=" + base64.RawURLEncoding.EncodeToString(signature)
	}
	return "hmac=" + hex.EncodeToString(signature)
}

// A mediaScope is what a signature or token opens. One of its fields is set.
type mediaScope struct {
	prefix string   // the beginning of URLs
	globs  []string // patterns of paths
	path   string   // one path
}

// covers reports whether the scope has a URL, without the parameters that carry the signature. path is its path.
func (s *mediaScope) covers(url, path string) bool {
	switch {
	case s.prefix != "":
		return strings.HasPrefix(url, s.prefix)
	case s.globs != nil:
		return slices.ContainsFunc(s.globs, func(glob string) bool { return mediaMatch(glob, path) })
	}
	return s.path == path
}

// mediaGlobs splits the value of PathGlobs, whose parts commas or exclamation marks separate.
func mediaGlobs(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == '!' })
}

// mediaMatch matches a path with a glob. * spans any number of segments. That ? does not match a slash is our stricter
// reading; the documentation calls it a wildcard and no more.
func mediaMatch(glob, path string) bool {
	star, from := -1, 0 // where the last * stands, and where in path it ended so far
	g, p := 0, 0
	for p < len(path) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, from = g, p
			g++
		case g < len(glob) && (glob[g] == path[p] || glob[g] == '?' && path[p] != '/'):
			g++
			p++
		case star >= 0:
			from++
			g, p = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(glob[g:], "*") == ""
}

// check reports all that is wrong with a token that is to be made, but for its URLPrefix.
func (t *MediaToken) check(op pipeline.Op) (errs []error) {
	bad := func(field, format string, args ...any) {
		errs = append(errs, op.Errorf(signer.ErrRequest, field, format, args...))
	}
	scopes := 0
	if t.URLPrefix != "" {
		scopes++
	}
	if t.PathGlobs != nil {
		scopes++
		if len(t.PathGlobs) == 0 {
			bad("PathGlobs", "there are none; name one, /tv/* perhaps, or leave the field nil")
		}
		for _, glob := range t.PathGlobs {
			switch {
			case !strings.HasPrefix(glob, "/"):
				bad("PathGlobs", "%q does not begin with a slash, as every path does", glob)
			case strings.ContainsAny(glob, ",!;") || !mediaPlain(glob):
				bad("PathGlobs",
					"%q holds what ends a glob or a token (%s); write * in its place, or set URLPrefix", glob, mediaMarks+" or !")
			case climbs(glob):
				bad("PathGlobs", "%q has a segment . or .., which clients resolve before they send a path", glob)
			}
		}
	}
	if t.FullPath != "" {
		scopes++
		switch {
		case !strings.HasPrefix(t.FullPath, "/"):
			bad("FullPath", "it must begin with a slash")
		case !mediaAsSent(t.FullPath):
			bad("FullPath", "it must stand as it is sent: percent-encoded, without query and fragment")
		case strings.Contains(t.FullPath, "~"):
			bad("FullPath", "it holds a ~, which ends a field; write %%7E, and send it so")
		case climbs(t.FullPath):
			bad("FullPath", `it has a backslash, or a segment "." or "..", which clients resolve before they send a path`)
		}
	}
	if scopes != 1 {
		bad("URLPrefix, PathGlobs, FullPath", "%d of them are set; a token is for exactly one", scopes)
	}
	for _, f := range [...]signer.Field{{Name: "SessionID", Value: t.SessionID}, {Name: "Data", Value: t.Data}} {
		if strings.ContainsAny(f.Value, ",;") || !mediaPlain(f.Value) {
			bad(f.Name, "it holds what ends a URL, a cookie or the token (%s); encode it in base64url", mediaMarks)
		}
	}
	if t.Headers != nil && len(t.Headers) == 0 {
		bad("Headers", "there are none; leave the field nil")
	}
	for i, h := range t.Headers {
		again := slices.ContainsFunc(t.Headers[:i], func(o signer.Field) bool { return strings.EqualFold(o.Name, h.Name) })
		switch {
		case !mediaHeaderName(h.Name):
			bad("Headers", "%q is no header name that a token can hold", h.Name)
		case strings.EqualFold(h.Name, "Host"):
			bad("Headers", "Host is no header here; set URLPrefix, which names the host")
		case strings.EqualFold(h.Name, "Authorization"):
			bad("Headers", "Authorization cannot be one: the token authorizes, and origins refuse two authorizations")
		case again:
			bad("Headers", "%s is there twice", h.Name)
		case !mediaHeaderValue(h.Value):
			bad("Headers",
				"the value of %s would read as another field or header: it holds a control character, a ~, blanks at an end, or a comma with an equals sign behind it", h.Name)
		}
	}
	if t.IPRanges != nil && len(t.IPRanges) == 0 {
		bad("IPRanges", "there are none; leave the field nil for all addresses")
	}
	for _, r := range t.IPRanges {
		if !r.IsValid() || r.Addr().Is4In6() {
			bad("IPRanges",
				"%v is no range of IPv4 or IPv6 addresses; netip.ParsePrefix makes them: 203.0.113.0/24, 2001:db8::/32", r)
		}
	}
	if !t.Starts.IsZero() && (t.Starts.Unix() <= 0 || t.Starts.Year() > 9999) {
		bad("Starts", "it is not between the years 1970 and 9999")
	}
	return errs
}

const mediaMarks = "one of ~ & # % + ' , ; \" \\ < > ^ ` { | }, a blank, a control or a non-ASCII character"

// mediaPlain reports whether s can stand in a token, and the token in a query or a cookie, and no client encodes it.
func mediaPlain(s string) bool {
	return mediaURLBytes(s) && !strings.ContainsAny(s, "~&#%+'\"\\<>^`{|}")
}

// mediaAsSent reports whether a path is in the spelling in which clients send it.
func mediaAsSent(path string) bool {
	u, err := url.ParseRequestURI(path)
	return err == nil && u.EscapedPath() == path
}

// mediaURLBytes reports whether s is ASCII without blanks and control characters.
func mediaURLBytes(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// mediaHeaderName reports whether s is the name of a header (RFC 9110, section 5.6.2), without the marks that tokens use.
func mediaHeaderName(s string) bool { return pipeline.LowerToken(strings.ToLower(s)) && mediaPlain(s) }

// mediaHeaderValue reports whether a header's value can be told from what stands around it in a signed value: with a ~ it could
// continue with other fields, with a comma and an equals sign with other headers.
func mediaHeaderValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	_, more, comma := strings.Cut(s, ",")
	return strings.Trim(s, " ") == s && !strings.Contains(s, "~") && !(comma && strings.Contains(more, "="))
}
