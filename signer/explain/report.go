package explain

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
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

const mark = "REDACTED"

// redact removes every secret of the evidence from the report. The rules show as little of it as they can; this does not rely
// on them.
func (f *file) redact(r *Report) {
	scrub := strings.NewReplacer(f.secrets()...)
	clean := func(s *string) { *s = scrub.Replace(*s) }
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

// secrets lists what must not be shown, each with what stands in its place, the longest first.
func (f *file) secrets() (replace []string) {
	var all []string
	add := func(secret string) {
		if len(secret) < 4 || len(all) > 500 {
			return
		}
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.ReplaceAll(secret, " ", "+")} {
			if !slices.Contains(all, form) {
				all = append(all, form)
			}
		}
	}
	query := func(query []pair) {
		for _, p := range query {
			if secretParam(p.name) {
				add(p.value)
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
					add(rest)
					add(between(rest, "sig=", "&"))
					decoded, _ := url.QueryUnescape(between(rest, "sig=", "&"))
					add(decoded)
				case lower == "cookie", lower == "set-cookie", secretParam(name):
					add(v)
				}
			}
		}
	}
	query(f.query)
	header(f.headers)
	header(f.Header)
	if f.Signed != nil {
		header(f.Signed.Header)
		if f.Signed.URL != nil {
			for name, values := range f.Signed.URL.Query() {
				for _, v := range values {
					query([]pair{{name, v}})
				}
			}
		}
	}
	for _, text := range []string{f.theirs, f.toSign, f.trace()} {
		for _, line := range strings.Split(text, "\n") {
			if name, value, ok := strings.Cut(line, ":"); ok && secretParam(name) {
				add(strings.TrimSpace(value))
			}
			for _, p := range params(line) {
				if secretParam(p.name) {
					add(p.value)
					decoded, _ := url.QueryUnescape(p.value)
					add(decoded)
				}
			}
		}
	}
	add(f.refusal.Text("SignatureProvided"))
	add(f.refusal.Text("Token-0"))
	add(between(f.refusal.Message+f.detail(), "in the HTTP request '", "'"))
	if f.url != nil && f.url.User != nil {
		password, _ := f.url.User.Password()
		add(password)
	}
	slices.SortStableFunc(all, func(a, b string) int { return len(b) - len(a) })
	for _, s := range all {
		replace = append(replace, s, mark)
	}
	return replace
}

func (f *file) trace() string {
	if f.Trace == nil {
		return ""
	}
	return string(f.Trace.CanonicalRequest) + "\n" + string(f.Trace.StringToSign)
}

// secretParam reports whether a parameter or header holds what gives access.
func secretParam(name string) bool {
	name = strings.ToLower(name)
	if name == "sig" || name == "key" || strings.HasSuffix(name, "keyname") {
		return name == "sig"
	}
	for _, part := range []string{"signature", "token", "secret", "password", "customer-key", "encryption-key", "x-amz-copy-source-server-side-encryption-customer-key", "cookie"} {
		if strings.Contains(name, part) && !strings.Contains(name, "signature-version") && !strings.HasSuffix(name, "md5") && !strings.HasSuffix(name, "sha256") && !strings.HasSuffix(name, "algorithm") {
			return true
		}
	}
	return false
}
