package explain

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cloudsigner/cloudsigner/signer"
)

// String is the Report for a terminal: the causes, the differences, the facts.
func (r *Report) String() string {
	var b strings.Builder
	if r.Scheme != "" {
		fmt.Fprintf(&b, "%s, %s, in the %s\n", r.Provider, r.Scheme, r.Form)
	}
	if len(r.Causes) == 0 {
		b.WriteString("The evidence shows nothing wrong.\n")
	}
	for i, c := range r.Causes {
		fmt.Fprintf(&b, "\n%d. %s (%s)\n   %s\n   -> %s\n", i+1, c.ID, c.Certainty, c.Why, c.Fix)
	}
	if slices.ContainsFunc(r.Diff, func(l Line) bool { return !l.Equal }) {
		b.WriteString("\nwhat was signed, and what the service saw:\n")
		for _, l := range r.Diff {
			if l.Equal {
				continue
			}
			fmt.Fprintf(&b, "  %s\n  - %s\n  + %s\n", l.Part, l.Signed, l.Seen)
		}
	}
	if len(r.Facts) > 0 {
		b.WriteString("\n")
		for _, fact := range r.Facts {
			fmt.Fprintf(&b, "  %-16s %s\n", fact.Name, fact.Value)
		}
	}
	return b.String()
}

// Format prints String for every verb.
func (r *Report) Format(f fmt.State, verb rune) { io.WriteString(f, r.String()) }

// redact removes every secret of the evidence from the report. Rules show strangers' texts through quote and line, which hide them;
// this does not rely on it.
func (f *file) redact(r *Report) {
	clean := func(s *string) { *s = f.scrub.Replace(*s) }
	for i := range r.Facts {
		clean(&r.Facts[i].Value)
	}
	for i := range r.Causes {
		clean(&r.Causes[i].Why)
		clean(&r.Causes[i].Fix)
	}
	for i := range r.Diff {
		clean(&r.Diff[i].Part)
		clean(&r.Diff[i].Signed)
		clean(&r.Diff[i].Seen)
	}
	clean(&r.Scheme)
}

// maxSecrets bounds how many values are looked for in the report.
const maxSecrets = 2000

// secrets lists what must not be shown, each with what stands in its place, the longest first.
func (f *file) secrets() (replace []string) {
	found := map[string]string{}
	add := func(name, secret string) {
		if len(secret) < 4 || len(found) > maxSecrets {
			return
		}
		plain, err := url.QueryUnescape(secret)
		if err != nil {
			plain = secret
		}
		for _, form := range []string{secret, plain, url.QueryEscape(secret), url.PathEscape(secret), strings.ReplaceAll(secret, " ", "+")} {
			found[form] = redacted(name, secret)
		}
	}
	query := func(all []pair) {
		for _, p := range all {
			if secretName(p.name) {
				add(p.name, p.value)
			}
		}
	}
	header := func(h http.Header) {
		for name, values := range h {
			for _, v := range values {
				switch lower := strings.ToLower(name); {
				case lower == "authorization", lower == "proxy-authorization":
					scheme, rest, ok := strings.Cut(v, " ")
					if !ok {
						rest = scheme
					}
					if strings.Contains(scheme, "-") { // of the SigV4 family: only the signature is secret
						rest = between(rest, "Signature=", ",")
					}
					if _, mac, ok := strings.Cut(rest, ":"); ok && strings.HasPrefix(scheme, "SharedKey") {
						rest = mac
					}
					add("signature", rest)
					add("sig", between(rest, "sig=", "&"))
				case lower == "cookie", lower == "set-cookie":
					for _, c := range strings.FieldsFunc(v, func(r rune) bool { return r == ';' || r == '=' || r == ':' }) {
						if len(c) >= 16 {
							add("signature", strings.TrimSpace(c))
						}
					}
				case secretName(name):
					add(name, v)
				}
			}
		}
	}
	for _, text := range []string{f.raw, f.auth} { // also where a URL was broken, so that its parameters are none
		lower := strings.ToLower(text)
		for _, name := range []string{"signature=", "sig=", "token="} {
			for at := 0; ; {
				next := strings.Index(lower[at:], name)
				if next < 0 || len(lower) != len(text) {
					break
				}
				at += next + len(name)
				value := text[at:]
				if end := strings.IndexAny(value, "&;, \t\r\n\"'<>"); end >= 0 {
					value = value[:end]
				}
				add("", value)
				decoded, _ := url.QueryUnescape(value)
				add("", decoded)
			}
		}
	}
	query(f.query)
	header(f.headers)
	header(f.Header)
	if f.Signed != nil {
		header(f.Signed.Header)
		if f.Signed.URL != nil {
			query(params(f.Signed.URL.RawQuery[:min(len(f.Signed.URL.RawQuery), maxURL)]))
		}
	}
	for _, text := range []string{f.theirs, f.toSign, f.trace()} {
		for line := range strings.SplitSeq(text[:min(len(text), maxURL)], "\n") {
			if name, value, ok := strings.Cut(line, ":"); ok && secretName(name) {
				add(name, strings.TrimSpace(value))
			}
			query(params(line))
		}
	}
	add("signature", f.refusal.Text("SignatureProvided"))
	add("token", f.refusal.Text("Token-0"))
	add("signature", between(f.refusal.Message+f.detail(), "in the HTTP request '", "'"))
	if f.url != nil && f.url.User != nil {
		password, _ := f.url.User.Password()
		add("password", password)
	}
	for _, secret := range slices.SortedFunc(maps.Keys(found), func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) }) {
		replace = append(replace, secret, found[secret])
	}
	return replace
}

func (f *file) trace() string {
	if f.Trace == nil {
		return ""
	}
	return string(f.Trace.CanonicalRequest) + "\n" + string(f.Trace.StringToSign)
}

// redacted is what stands in the place of a secret: signer.RedactURL keeps a short hash of signatures, by which two are told apart.
func redacted(name, value string) string {
	_, shown, _ := strings.Cut(signer.RedactURL("?"+url.QueryEscape(name)+"="+url.QueryEscape(value)), "=")
	if !strings.HasPrefix(shown, mark) {
		return mark
	}
	return shown
}

const mark = "REDACTED"

// secretName reports whether a parameter or header of that name holds what gives access. Package signer knows them; the ids of keys,
// which it hides in logs as well, are what a reader of a Report looks for.
func secretName(name string) bool {
	lower := strings.ToLower(name)
	if strings.HasSuffix(lower, "credential") || strings.HasSuffix(lower, "accesskeyid") || strings.HasSuffix(lower, "accessid") {
		return false
	}
	if lower == "authorization" || strings.HasSuffix(lower, "cookie") {
		return true
	}
	return strings.Contains(signer.RedactURL("?"+url.QueryEscape(name)+"=value"), mark)
}

// quote shows a stranger's text: short, without control characters and secrets, in quotes.
func (f *file) quote(s string) string {
	return strconv.Quote(f.show(strings.Join(strings.Fields(s), " ")))
}

// show hides what is a secret or reads like one, and then shortens the text: a secret that was cut would not be found any more.
func (f *file) show(s string) string {
	s = f.scrub.Replace(s)
	if strings.ContainsAny(s, "=:%") {
		s = signer.RedactURL(s)
	}
	if len(s) <= maxShown {
		return s
	}
	end := maxShown
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// maxShown is how many bytes of a stranger's text are shown.
const maxShown = 400
