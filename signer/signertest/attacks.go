package signertest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// attacks returns the corpus. Names are stable: they select subtests.
func attacks() []attack {
	return []attack{
		// Whose signature it is.
		{"another-key", "a signature that another secret made, under the same key id", anotherKey},
		{"transplant", "the signature of one object on another, of one method on another, of one form of request on the other", transplant},
		{"signature", "a signature cut, extended, respelt, in another alphabet, in capitals, empty, all zeros; or padding that changes none of its bytes, which is the very same", signatures},
		{"algorithm", "another algorithm than was signed with: none, an older one, that of the other kind of key, another provider's; another version of the scheme", algorithms},
		{"key-id", "an empty key id, one of blanks, one in other capitals, one with something behind it", keyIDs},
		{"both-forms", "two authorizations in one request: in URL and header, in two headers, of two schemes", bothForms},
		{"forged", "a signature that fits, made by someone with the key who left something out: the host, the order, the day (Harness.Forge)", forged},

		// When it holds.
		{"expiry", "a life cut or stretched, or written so that one reads it so and another otherwise: a sign, a zero in front, a fraction, too large for 32 or 64 bits", expiries},
		{"dates", "dates a day, an hour or a second off: in the scope alone, in the time alone, in all of them", dates},
		{"impossible-dates", "dates that there are not or that computers cannot count: the 13th month, the 61st second, the years 1, 1969, 9999 and 10000", impossibleDates},
		{"future", "a request signed with the right key for hours, days and years from now (ErrNotYetValid), or long ago (ErrExpired)", futures},

		// What it is for.
		{"method", "another method, the same one in lower case, or one in a header that some servers obey, which leaves the grant the very same", methodsChanged},
		{"host", "another host: in Host, in headers of proxies, in the target, left out of what is signed; or the same one in capitals or with its port, which is the very same", hosts},
		{"path", "the path in another writing, which is refused or is the very same object: escapes, dots, slashes, other forms of a letter, overlong UTF-8, NUL", paths},
		{"query", "the query in another writing, which is refused or has the very same parameters: order, empty parts, semicolons, blanks, broken escapes", queries},
		{"duplicates", "a parameter of the signature, or a field of its header, twice: with the same value, another or none, in front and behind", duplicates},
		{"parameter-case", "a parameter of the signature in other capitals; or in lower case (Google has two names for each) or with an escape in its name, which is refused or the very same", parameterCase},
		{"smuggling", "a field made of a part of another, by a line feed, a NUL or by moving what stands between them; fields that nobody signed", smuggling},

		// What goes with it.
		{"vendor-headers", "a header of a provider's that nobody signed, x-amz-copy-source and its like, in any spelling, in a trailer (a scheme that signs none grants the very same)", vendorHeadersAdded},
		{"signed-headers", "the list of signed headers with other separators, empty names, names in capitals, twice, out of order, left out", headerLists},
		{"header-values", "a signed header that is gone, changed, folded, or on several lines, or with other blanks, which may be the very same", headerValues},
		{"authorization", "an Authorization header in another grammar, which is refused or is the very same", authorizations},
		{"payload", "a signed hash of the body that is replaced, by that of another body or by the word for none", payloads},
		{"flood", "10 MB in one header, 1 MB in many or in a list, 100 KB in any other place: refused, in few words, or the very same. Flood measures the time", floods},
	}
}

func anotherKey(s *siege) {
	for t := range s.targets() {
		in := s.likewise(s.signer(rotated), t, t.in.Method, "a/b c+d.txt")
		s.refused(t, "signed with another key", func(r *http.Request) { *r = *in })
	}
}

// likewise is a request of the same form.
func (s *siege) likewise(by signer.Signer, t *target, m, key string) *http.Request {
	if t.presigned {
		return s.url(by, m, key)
	}
	return s.header(by, key)
}

func transplant(s *siege) {
	for t := range s.targets() {
		path, parts := split(t.in)
		other := s.likewise(s.signer(), t, t.in.Method, "a/another")
		elsewhere, theirs := split(other)
		s.refused(t, "on the path of another object", func(r *http.Request) { retarget(r, strings.TrimSuffix(join(elsewhere, parts), "?")) })
		if !t.presigned {
			s.refused(t, "with the Authorization of another object", func(r *http.Request) { r.Header = other.Header })
			continue
		}
		s.refused(t, "with the query of another object", func(r *http.Request) { retarget(r, join(path, theirs)) })
		if w := s.writing(); w != "" && t.in.Method != w {
			_, theirs := split(s.url(s.signer(), w, "a/b c+d.txt"))
			s.refused(t, "for "+w, func(r *http.Request) { r.Method = w })
			s.refused(t, "with the query of a "+w, func(r *http.Request) { retarget(r, join(path, theirs)) })
		}
		if h := s.header(s.signer(), "a/b c+d.txt"); h != nil {
			own, other := s.signatureOf(t), s.signatureOf(s.target("a signed request", h))
			s.refused(t, "with the signature of a header", own.replaced(other.text))
		}
	}
}

// signatureOf finds the signature itself: the end of the last of Params, or of Authorization.
func (s *siege) signatureOf(t *target) mark {
	if t.presigned {
		last := s.Params[len(s.Params)-1]
		for _, p := range s.slots(t) {
			if p.name == last {
				return mark{p, 0, len(p.value), p.value}
			}
		}
		s.fatalf("the last of Harness.Params, %s, is no parameter of the URL", last)
	}
	for _, m := range s.find(t, `[0-9A-Za-z+/_-]{20,}={0,2}$`) {
		if m.name == "Authorization" {
			return m
		}
	}
	s.fatalf("Authorization does not end in a signature")
	return mark{}
}

func signatures(s *siege) {
	for t := range s.targets() {
		m := s.signatureOf(t)
		sig := m.text
		n := len(sig)
		cut := strings.TrimRight(sig, "=")
		for what, text := range map[string]string{
			"empty": "", "one character of it": sig[:1], "the half of it": sig[:n/2], "all but one character": sig[:n-1], "all but two": sig[:n-2], "without its beginning": sig[1:],
			"twice": sig + sig, "with a zero behind": sig + "0", "with two zeros behind": sig + "00", "with a letter behind": sig + "A", "with zeros in front": "00" + sig,
			"all zeros": strings.Repeat("0", n), "all the same letter": strings.Repeat("A", n), "all blanks": strings.Repeat(" ", n), "a wildcard": "*", "null": "null",
			"with a blank in front": " " + sig, "with a blank behind": sig + " ", "with a line feed behind": sig + "\n", "with a NUL behind": sig + "\x00", "with a NUL in it": sig[:n/2] + "\x00" + sig[n/2:],
			"in quotes": `"` + sig + `"`, "with 0x in front": "0x" + sig, "in full-width digits": widened(sig), "with a comma behind": sig + ",", "with another behind a comma": sig + "," + strings.Repeat("0", n),
			"backwards": reversed(sig), "percent-encoded once more": strings.ReplaceAll(sig, sig[:1], fmt.Sprintf("%%%02X", sig[0])),
		} {
			s.refused(t, "the signature "+what, m.replaced(text))
		}
		for what, text := range map[string]string{
			"in capitals": strings.ToUpper(sig), "in lower case": strings.ToLower(sig), "in the other alphabet of base64": strings.NewReplacer("+", "-", "/", "_", "-", "+", "_", "/").Replace(sig),
			"with other bits behind its last byte": cut[:len(cut)-1] + string(nextDigit(cut[len(cut)-1])) + sig[len(cut):],
		} {
			if text != sig {
				s.refused(t, "the signature "+what, m.replaced(text))
			}
		}
		if raw, err := hex.DecodeString(sig); err == nil {
			s.refused(t, "the signature in base64", m.replaced(base64.StdEncoding.EncodeToString(raw)))
			s.refused(t, "the signature as bytes", m.replaced(string(raw)))
		} else if raw, err := base64.RawStdEncoding.DecodeString(strings.NewReplacer("-", "+", "_", "/").Replace(cut)); err == nil {
			s.refused(t, "the signature in hexadecimal digits", m.replaced(hex.EncodeToString(raw)))
			for _, pad := range []string{"", "=", "==", "==="} {
				if cut+pad != sig {
					s.refusedOrSame(t, fmt.Sprintf("the signature with %d characters of padding", len(pad)), m.replaced(cut+pad))
				}
			}
		}
	}
}

// nextDigit changes the last bit of a digit of base64, or of a hexadecimal one.
func nextDigit(c byte) byte {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	i := strings.IndexByte(digits, c)
	if i < 0 {
		i = 62 + strings.IndexByte("-_", c)
	}
	return digits[i^1]
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// widened writes ASCII in the full-width forms of it, which many a library folds back.
func widened(s string) string {
	return strings.Map(func(r rune) rune {
		if '!' <= r && r <= '~' {
			return r - '!' + '！'
		}
		return r
	}, s)
}

func algorithms(s *siege) {
	names := []string{"", "none", "NONE", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", "AWS4-HMAC-SHA512", "AWS4-HMAC-SHA256-PAYLOAD", "AWS4-ECDSA-P256-SHA256", "AWS4-HMAC", "AWS3-HMAC-SHA256",
		"GOOG4-RSA-SHA256", "GOOG4-HMAC-SHA256", "GOOG4-RSA-SHA1", "GOOG1", "OSS4-HMAC-SHA256", "OSS4-HMAC-SHA1", "OSS2", "SharedKey", "SharedKeyLite", "Bearer", "AWS", "OSS", "*"}
	for t := range s.targets() {
		for _, m := range s.find(t, `\b(AWS4|GOOG4|OSS4)-[A-Z0-9-]+\b|^SharedKey(Lite)?\b`) {
			for _, name := range append(names, strings.ToLower(m.text), m.text+" ", m.text+"\x00", m.text+","+m.text, m.text[:len(m.text)-1], widened(m.text)) {
				if name != m.text && !(m.name == "Authorization" && strings.HasSuffix(name, " ")) {
					s.refused(t, fmt.Sprintf("%s with the algorithm %q", m.name, name), m.replaced(name))
				}
			}
		}
		for _, m := range s.find(t, `^\d{4}-\d\d-\d\d$`) {
			for _, version := range []string{"", "0", "2009-09-19", "2011-08-18", "2012-02-12", "2013-08-15", "2015-04-05", "2018-11-09", "2020-02-10", "2020-12-06", "2025-07-05", "2026-04-06", "2099-01-01",
				"9999-12-31", m.text + " ", m.text + "\n", strings.ReplaceAll(m.text, "-", ""), widened(m.text)} {
				if version != m.text {
					s.refused(t, fmt.Sprintf("%s with the version %q", m.name, version), m.replaced(version))
				}
			}
		}
	}
}

func keyIDs(s *siege) {
	for t := range s.targets() {
		id := t.grant.KeyID
		for _, p := range s.slots(t) {
			at := strings.Index(p.value, id)
			if at < 0 {
				continue
			}
			for _, other := range []string{"", " ", "\t", "\x00", "*", "%", "%00", "null", "0", id + " ", " " + id, id + "\n", id + "\x00", id + "/", id + "%00", id + id, id + "," + id, id[:len(id)-1], widened(id),
				strings.ToLower(id), strings.ToUpper(id), swapCase(id), strings.Repeat("A", 5000), "../" + id} {
				if other != id {
					s.refused(t, fmt.Sprintf("%s with the key id %q", p.name, other), p.replacing(at, at+len(id), other))
				}
			}
		}
	}
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ToLower(string(r)) == string(r) {
			return []rune(strings.ToUpper(string(r)))[0]
		}
		return []rune(strings.ToLower(string(r)))[0]
	}, s)
}

// foreignQueries are signatures of five schemes, none of them right.
func foreignQueries() map[string]string {
	return map[string]string{
		"AWS4":      "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20261124%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20261124T235900Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00",
		"GOOG4":     "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=a%2F20261124%2Fauto%2Fstorage%2Fgoog4_request&X-Goog-Date=20261124T235900Z&X-Goog-Expires=60&X-Goog-SignedHeaders=host&X-Goog-Signature=00",
		"OSS4":      "x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential=a%2F20261124%2Fcn-hangzhou%2Foss%2Faliyun_v4_request&x-oss-date=20261124T235900Z&x-oss-expires=60&x-oss-signature=00",
		"Azure SAS": "sv=2022-11-02&sr=b&sp=r&se=2026-11-25T00%3A00%3A00Z&sig=AA%3D%3D",
		"Cloud CDN": "Expires=1795564800&KeyName=k&Signature=AA%3D%3D",
	}
}

func bothForms(s *siege) {
	auths := []string{"Bearer abc", "Basic YTpi", "", "AWS4-HMAC-SHA256 Credential=a", "SharedKey a:b", "OSS4-HMAC-SHA256 Credential=a", "AWS a:b"}
	var own string
	if h := s.header(s.signer(), "k"); h != nil {
		own = h.Header.Get("Authorization")
		auths = append(auths, own)
	}
	for t := range s.targets() {
		path, parts := split(t.in)
		for _, auth := range auths {
			word, _, _ := strings.Cut(auth, " ")
			what := fmt.Sprintf("an Authorization header (%q)", word)
			if t.presigned {
				for _, name := range []string{"Authorization", "authorization", "AUTHORIZATION"} {
					s.refused(t, "beside "+what+" as "+name, func(r *http.Request) { r.Header[name] = []string{auth} })
				}
				continue
			}
			s.refused(t, "with "+what+" behind", func(r *http.Request) { r.Header["Authorization"] = append(r.Header["Authorization"], auth) })
			s.refused(t, "with "+what+" in front", func(r *http.Request) {
				r.Header["Authorization"] = append([]string{auth}, r.Header["Authorization"]...)
			})
			s.refused(t, "with "+what+" in a second spelling", func(r *http.Request) { r.Header["authorization"] = []string{auth} })
		}
		if !t.presigned {
			_, signed := split(s.url(s.signer(), method(s.Methods[0]), "k"))
			s.refused(t, "with the signature of a URL too", func(r *http.Request) { retarget(r, join(path, slices.Concat(parts, signed))) })
		}
		for scheme, query := range foreignQueries() {
			foreign := strings.Split(query, "&")
			if name, _, _ := strings.Cut(foreign[len(foreign)-1], "="); s.isParam(name) {
				continue // that would be the attack duplicates
			}
			s.refused(t, "with a signature of "+scheme+" behind", func(r *http.Request) { retarget(r, join(path, slices.Concat(parts, foreign))) })
			s.refused(t, "with a signature of "+scheme+" in front", func(r *http.Request) { retarget(r, join(path, slices.Concat(foreign, parts))) })
		}
	}
}

func forged(s *siege) {
	if s.Forge == nil {
		return
	}
	forge := func(fault string) *http.Request {
		req, err := s.Forge(s.options(), fault)
		if err != nil {
			s.fatalf("Harness.Forge(%q): %v", fault, err)
		}
		return s.received(req)
	}
	t := s.target("a forged URL", forge(""))
	for _, fault := range s.Faults {
		in := forge(fault)
		s.refused(t, "signed with a fault: "+fault, func(r *http.Request) { *r = *in })
	}
}

// endings are slots that say when a request ends: numbers and times by themselves.
func (s *siege) endings(t *target) (all []mark) {
	return append(s.find(t, `^\d+$`), s.find(t, `^\d{4}-\d\d-\d\dT\S*$`)...)
}

func expiries(s *siege) {
	for t := range s.targets() {
		for _, m := range s.endings(t) {
			var others []string
			if n := int64(0); strings.IndexByte(m.text, 'T') < 0 {
				fmt.Sscan(m.text, &n)
				for _, other := range []int64{n - 1, n + 1, n / 2, n * 2, n + 24*60*60, 0, 1, -1, -n, 604800, 604801, n + 1<<32, 1<<31 - 1, 1 << 31, 1 << 32, 1<<63 - 1} {
					others = append(others, fmt.Sprint(other))
				}
				others = append(others, "9223372036854775808", "18446744073709551616", fmt.Sprintf("%d", uint64(n)+1<<63), "99999999999999999999999999", "+"+m.text, "0"+m.text, "-"+m.text, m.text+".0", m.text+".5",
					m.text+"e1", m.text+"s", "0x"+fmt.Sprintf("%x", n), m.text[:1]+"_"+m.text[1:], m.text[:1]+","+m.text[1:], "1e9", "Inf", "NaN", "null")
			} else {
				at, err := time.Parse(time.RFC3339, m.text)
				if err != nil {
					continue
				}
				for _, d := range []time.Duration{-time.Minute, -time.Second, time.Second, time.Hour, 100 * 365 * 24 * time.Hour} {
					others = append(others, at.Add(d).Format(time.RFC3339))
				}
				others = append(others, at.Format("2006-01-02"), at.Format("2006-01-02T15:04Z"), at.Format("2006-01-02T15:04:05.0000000Z"), at.Format("2006-01-02T15:04:05+00:00"), at.Format("2006-01-02T15:04:05"),
					at.Add(14*time.Hour).Format("2006-01-02T15:04:05+14:00"), strings.ToLower(m.text), at.Format("20060102T150405Z"), fmt.Sprint(at.Unix()), "9999-12-31T23:59:59Z", "+"+m.text)
			}
			for _, other := range append(others, "", " "+m.text, m.text+" ", m.text+"\n", m.text+"\x00", widened(m.text), m.text+m.text) {
				if other != m.text {
					s.refused(t, fmt.Sprintf("%s is %q", m.name, other), m.replaced(other))
				}
			}
		}
	}
}

func dates(s *siege) {
	for t := range s.targets() {
		all := s.instants(t)
		for _, d := range []time.Duration{-24 * time.Hour, 24 * time.Hour, -time.Hour, time.Hour, -time.Second, time.Second, 365 * 24 * time.Hour} {
			for _, m := range all {
				if m.format(m.time.Add(d)) != m.text {
					s.refused(t, fmt.Sprintf("a time of %s %v off", m.name, d), shifted([]instant{m}, d))
				}
			}
			if len(all) > 1 {
				s.refused(t, fmt.Sprintf("all times %v off", d), shifted(all, d))
			}
		}
	}
}

// shifted moves times by as much.
func shifted(all []instant, d time.Duration) func(*http.Request) {
	return func(r *http.Request) {
		values := map[string]string{} // of slots with several times
		for _, m := range slices.Backward(all) {
			value, found := values[m.name]
			if !found {
				value = m.value
			}
			values[m.name] = value[:m.from] + m.format(m.time.Add(d)) + value[m.to:]
			m.set(r, values[m.name])
		}
	}
}

func impossibleDates(s *siege) {
	digits := []string{"00000000", "00010101", "19691231", "19700101", "20260230", "20261301", "20261124", "20261100", "20270229", "99991231", "2026112", "202611240", "+2026112", "2026 1124", widened("20261124"), ""}
	clocks := []string{"235949", "240000", "235960", "006000", "999999", "23595", "2359499", "235949.5", ""}
	for t := range s.targets() {
		for _, m := range s.instants(t) {
			var others []string
			switch day := m.time.UTC().Format("20060102"); {
			case m.text == day:
				others = digits
			case strings.HasPrefix(m.text, day):
				for _, d := range digits {
					others = append(others, d+m.text[len(day):], d)
				}
				for _, c := range clocks {
					others = append(others, day+"T"+c+"Z")
				}
				others = append(others, m.text[:len(m.text)-1], m.text[:len(m.text)-1]+"z", m.text[:len(m.text)-1]+"+00", strings.Replace(m.text, "T", "t", 1), m.text+"Z")
			case strings.Contains(m.text, "-"):
				for _, d := range digits {
					if len(d) == 8 {
						others = append(others, d[:4]+"-"+d[4:6]+"-"+d[6:]+m.text[10:])
					}
				}
				for _, c := range clocks {
					if len(c) == 6 {
						others = append(others, m.text[:11]+c[:2]+":"+c[2:4]+":"+c[4:]+"Z")
					}
				}
				others = append(others, "10000-01-01T00:00:00Z", "-001-01-01T00:00:00Z")
			case strings.HasSuffix(m.text, " GMT"):
				others = []string{"Mon, 01 Jan 0001 00:00:00 GMT", "Thu, 31 Dec 2026 24:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Tue, 31 Nov 2026 23:59:49 GMT", strings.Replace(m.text, "GMT", "PST", 1),
					strings.Replace(m.text, "GMT", "+0000", 1), strings.ToLower(m.text), m.time.Format(time.RFC850), m.time.Format(time.ANSIC), m.time.Format(time.RFC3339), m.text[5:], ""}
			default: // seconds since 1970
				others = []string{"0", "-1", "-62135596800", "253402300799", "253402300800", "9223372036854775807", "9223372036854775808", ""}
			}
			for _, other := range others {
				if other != m.text {
					s.refused(t, fmt.Sprintf("a time of %s is %q", m.name, other), m.replaced(other))
				}
			}
		}
	}
}

func futures(s *siege) {
	for t := range s.targets() {
		for _, d := range []time.Duration{2 * time.Hour, 25 * time.Hour, 400 * 24 * time.Hour, 70 * 365 * 24 * time.Hour} {
			if in := s.signedAt(t, evening().Add(d)); in != nil && (!t.presigned || s.has("Backdate")) {
				s.refused(t, fmt.Sprintf("signed %v from now", d), func(r *http.Request) { *r = *in }, signer.ErrNotYetValid)
			}
			if in := s.signedAt(t, evening().Add(-d)); in != nil {
				s.refused(t, fmt.Sprintf("signed %v ago", d), func(r *http.Request) { *r = *in }, signer.ErrExpired)
			}
		}
	}
}

// signedAt is a request like t that is signed at another time; nil if there is none, before 1970 or the credentials' beginning.
func (s *siege) signedAt(t *target, when time.Time) *http.Request {
	by := s.signer(at(when))
	if _, err := by.Presign(ctx(), s.request()); err != nil {
		return nil
	}
	return s.likewise(by, t, t.in.Method, "a/b c+d.txt")
}

func methodsChanged(s *siege) {
	for t := range s.targets() {
		var group []string // that one URL allows
		for _, g := range s.Methods {
			if names := strings.Fields(g); t.presigned && slices.Contains(names, t.in.Method) {
				group = names
			}
		}
		for _, m := range []string{"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "COPY", "X"} {
			preflight := m == "OPTIONS" && len(group) > 1 // may go with what reads
			if m != t.in.Method && !slices.Contains(group, m) && !preflight {
				s.refused(t, "as "+m, func(r *http.Request) { r.Method = m })
			}
		}
		own := t.in.Method
		for _, m := range []string{strings.ToLower(own), own[:1] + strings.ToLower(own[1:]), own + " ", " " + own, own + "\x00", own + "\n", widened(own), own + own, own + "," + own} {
			s.refused(t, fmt.Sprintf("as %q", m), func(r *http.Request) { r.Method = m })
		}
		for _, name := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
			s.refusedOrSame(t, "with "+name, func(r *http.Request) { r.Header.Set(name, "DELETE") })
		}
		for _, param := range []string{"_method=DELETE", "_HttpMethod=DELETE"} {
			s.refusedOrSame(t, "with the parameter "+param, func(r *http.Request) {
				path, parts := split(r)
				retarget(r, join(path, append([]string{param}, parts...)))
			})
		}
	}
}

func hosts(s *siege) {
	for t := range s.targets() {
		own := t.in.Host
		name, port, _ := strings.Cut(own, ":")
		for _, host := range []string{"evil.example", "x" + own, "x." + own, own[1:], name + ".evil.example", "evil.example#" + own, "evil.example@" + own, own + "@evil.example", "evil.example/" + own, own + "/", own + ":444",
			name + ":65536", name + ":-1", own + "\x00.evil.example", own + "\n", " " + own, own + " ", own + ",evil.example", "", ":", "[::1]", "xn--" + own, widened(own), "*", strings.Replace(own, ".", "x", 1)} {
			if host != own && !(strings.HasPrefix(host, own) && port != "" && strings.HasSuffix(host, ":444")) {
				s.refused(t, fmt.Sprintf("for the host %q", host), func(r *http.Request) { r.Host = host })
			}
		}
		for _, host := range []string{strings.ToUpper(own), name + ":80", name + ":443", name + ":", own + ".", name + ".:" + port} {
			s.refusedOrSame(t, fmt.Sprintf("for the host %q", host), func(r *http.Request) { r.Host = host })
		}
		for _, header := range []string{"X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-Host", "Host", "X-Forwarded-Server"} { // everybody can send them
			value := own
			if header == "Forwarded" {
				value = "host=" + own
			}
			s.refused(t, "for another host, with the own in "+header, func(r *http.Request) {
				r.Host = "evil.example"
				r.Header.Set(header, value)
			})
			s.refusedOrSame(t, "with another host in "+header, func(r *http.Request) { r.Header.Set(header, "evil.example") })
		}
		s.refused(t, "for another host, with the own in the target", func(r *http.Request) { r.Host, r.RequestURI = "evil.example", "http://"+own+r.RequestURI })
		s.refusedOrSame(t, "with another host in the target", func(r *http.Request) { r.RequestURI = "http://evil.example" + r.RequestURI }) // net/http puts it into Host
		for _, m := range s.headerList(t) {
			rest := slices.DeleteFunc(listed(m.text), func(n string) bool { return n == "host" })
			if len(rest) < len(listed(m.text)) {
				for _, host := range []string{own, "evil.example"} {
					s.refused(t, fmt.Sprintf("without the host in %s, for %s", m.name, host), func(r *http.Request) {
						r.Host = host
						m.replaced(strings.Join(rest, ";"))(r)
					})
				}
			}
		}
	}
}

// headerList finds lists of signed headers.
func (s *siege) headerList(t *target) (all []mark) {
	for _, m := range s.find(t, `[a-z0-9-]+([;,][a-z0-9-]+)*`) {
		names := listed(m.text)
		if slices.Contains(names, "host") && m.name != "Host" || slices.Contains(names, "cache-control") {
			all = append(all, m)
		}
	}
	return all
}

func listed(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ';' || r == ',' })
}

func paths(s *siege) {
	for t := range s.targets("a/b c+d.txt", "é~/日本%2F;x=1,y/.z") {
		path, parts := split(t.in)
		slash := strings.LastIndexByte(path, '/')
		dir, name := path[:slash], path[slash+1:]
		first := strings.IndexByte(path[1:], '/') + 1
		for what, other := range map[string]string{
			"a slash behind": path + "/", "two slashes behind": path + "//", "a slash more in front": "/" + path, "a slash more inside": dir + "//" + name, "a backslash for a slash": dir + `\` + name, "a backslash for a slash, escaped": dir + "%5C" + name,
			"a slash escaped": dir + "%2F" + name, "a slash escaped in lower case": dir + "%2f" + name, "a slash escaped twice": dir + "%252F" + name, "slashes all escaped": "/" + strings.ReplaceAll(path[1:], "/", "%2F"),
			"a dot segment": dir + "/./" + name, "a dot segment in front": "/." + path, "a dot segment behind": path + "/.", "up and down again": dir + "/x/../" + name, "up, escaped": dir + "/x/%2e%2e/" + name, "up, half escaped": dir + "/x/.%2E/" + name,
			"up, with a backslash": dir + `/x/..\` + name, "up, over the top": "/../.." + path, "up from the end": path + "/..", "up to another": path + "/../x", "up, with a parameter": dir + "/x/..;/" + name, "up, escaped twice": dir + "/x/%252e%252e/" + name,
			"a parameter of the path": path + ";x=1", "a parameter of a segment": dir + ";x=1/" + name, "a dot behind": path + ".", "a blank behind": path + "%20", "a plus behind": path + "+", "a NUL behind": path + "%00", "a NUL and an ending behind": path + "%00.png",
			"a line feed behind": path + "%0A", "a query escaped": path + "%3Fx=1", "a fragment": path + "#x", "a fragment escaped": path + "%23x", "a broken escape": path + "%", "a broken escape of two": path + "%2", "a broken escape with letters": path + "%zz",
			"a wide escape": path + "%u0041", "escapes in lower case": lowerEscapes(path), "escapes escaped again": strings.ReplaceAll(path, "%", "%25"), "letters escaped": escapeAll(path), "letters escaped, in lower case": lowerEscapes(escapeAll(path)),
			"blanks as plus": strings.ReplaceAll(path, "%20", "+"), "plus as a blank": strings.ReplaceAll(strings.ReplaceAll(path, "+", "%20"), "%2B", "%20"), "plus bare": strings.ReplaceAll(path, "%2B", "+"), "escapes undone": unescaped(path), "in capitals": dir + "/" + strings.ToUpper(name),
			"a letter and its accent apart": strings.NewReplacer("%C3%A9", "e%CC%81", "é", "e\u0301").Replace(path), "a full-width letter": strings.Replace(path, "a", "%EF%BD%81", 1), "full-width dots": dir + "/x/%EF%BC%8E%EF%BC%8E/" + name, "a full-width slash": dir + "%EF%BC%8F" + name,
			"a mark of byte order": dir + "/%EF%BB%BF" + name, "a soft hyphen": dir + "/%C2%AD" + name, "a blank of no width": path + "%E2%80%8B", "an overlong slash": dir + "%C0%AF" + name, "overlong dots": dir + "/x/%C0%AE%C0%AE/" + name, "half a letter": path + "%C3", "a surrogate": path + "%ED%A0%80",
			"another object": path + "x", "its directory": dir + "/", "without its first segment": path[first:], "nothing": "/", "no slash": path[1:], "an asterisk": "*", "a host": "//evil.example" + path, "a scheme": "ftp://" + t.in.Host + path, "a URL without a path": "http://" + t.in.Host,
			"the target as a proxy gets it": "http://" + t.in.Host + path, "with a user": "http://u@" + t.in.Host + path, "a blank in front": " " + path, "a tab inside": dir + "/\t" + name, "bytes above ASCII": unescapedAbove(path), "cut by a byte": path[:len(path)-1],
		} {
			if other != path {
				s.refusedOrSame(t, fmt.Sprintf("the path with %s", what), func(r *http.Request) { retarget(r, strings.TrimSuffix(join(other, parts), "?")) })
			}
		}
		for i := 1; i < len(path); i++ {
			if path[i] != '%' {
				s.refusedOrSame(t, fmt.Sprintf("byte %d of the path changed", i), func(r *http.Request) { retarget(r, strings.TrimSuffix(join(flipped(path, i), parts), "?")) })
			}
		}
		s.refusedOrSame(t, "URL changed behind the target", func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/evil", "" })
	}
}

// lowerEscapes writes the digits of escapes in lower case.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] == '%' && i+2 < len(b) {
			copy(b[i+1:], strings.ToLower(string(b[i+1:i+3])))
		}
	}
	return string(b)
}

// escapeAll escapes letters and digits, which need none.
func escapeAll(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%' && i+2 < len(s):
			b.WriteString(s[i : i+3])
			i += 2
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '~', c == '-', c == '.', c == '_':
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// unescaped undoes the escapes of visible characters but the one that begins escapes, and of what begins a query.
func unescaped(s string) string {
	return unescapedIf(s, func(c byte) bool { return ' ' < c && c < 0x7f && c != '%' && c != '?' && c != '#' })
}

// unescapedAbove undoes those of bytes above ASCII.
func unescapedAbove(s string) string { return unescapedIf(s, func(c byte) bool { return c >= 0x80 }) }

func unescapedIf(s string, bare func(byte) bool) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if raw, err := hex.DecodeString(s[i+1 : i+3]); err == nil && bare(raw[0]) {
				b.WriteByte(raw[0])
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func queries(s *siege) {
	for t := range s.targets() {
		path, parts := split(t.in)
		if parts == nil {
			continue
		}
		query := strings.Join(parts, "&")
		backwards := slices.Clone(parts)
		slices.Reverse(backwards)
		for what, other := range map[string]string{
			"backwards": strings.Join(backwards, "&"), "rotated": strings.Join(append(slices.Clone(parts[1:]), parts[0]), "&"), "an empty part in front": "&" + query, "an empty part behind": query + "&", "an empty part inside": strings.Join(parts, "&&"),
			"a question mark in front": "?" + query, "a question mark behind": query + "?", "semicolons for ampersands": strings.Join(parts, ";"), "a semicolon behind": query + ";", "ampersands escaped": strings.Join(parts, "%26"), "ampersands of HTML": strings.Join(parts, "&amp;"),
			"equal signs escaped": strings.ReplaceAll(query, "=", "%3D"), "two equal signs": strings.ReplaceAll(query, "=", "=="), "blanks around": strings.ReplaceAll(query, "&", " & "), "blanks as plus": strings.ReplaceAll(query, "%20", "+"), "plus bare": strings.ReplaceAll(query, "%2B", "+"),
			"escapes in lower case": lowerEscapes(query), "escapes escaped again": strings.ReplaceAll(query, "%", "%25"), "letters escaped": escapeAll(query), "escapes undone": unescapedIf(query, func(c byte) bool { return strings.IndexByte("/:@,;!*'()$", c) >= 0 }),
			"no name and no value": query + "&=", "no name": query + "&=x", "a broken escape": query + "&%", "a broken escape in a value": query + "&x=%zz", "a parameter without a value": query + "&acl", "a fragment": query + "#x", "a line feed": query + "\n", "a NUL": query + "%00",
			"cut at its first ampersand": parts[0], "cut by a byte": query[:len(query)-1], "none": "", "twice": query + "&" + query, "twice, with a question mark": query + "?" + query, "in capitals": strings.ToUpper(query), "a tab for an ampersand": strings.Join(parts, "\t"),
		} {
			if other == query || !s.has("AddedQuery") && strings.HasPrefix(other, query+"&") && t.presigned && what != "twice" {
				continue // others may be added
			}
			s.refusedOrSame(t, "the query with "+what, func(r *http.Request) { retarget(r, strings.TrimSuffix(path+"?"+other, "?")) })
		}
	}
}

func duplicates(s *siege) {
	for t := range s.targets() {
		path, parts := split(t.in)
		for i, part := range parts {
			name, value, _ := strings.Cut(part, "=")
			if !t.presigned || !s.isParam(name) || value == "" {
				continue
			}
			other := flipped(value, len(value)-1)
			for what, list := range map[string][]string{
				"the same behind": slices.Concat(parts, []string{part}), "the same in front": slices.Concat([]string{part}, parts), "the same beside": slices.Insert(slices.Clone(parts), i, part),
				"another behind": slices.Concat(parts, []string{name + "=" + other}), "another in front": slices.Concat([]string{name + "=" + other}, parts),
				"an empty one behind": slices.Concat(parts, []string{name + "="}), "an empty one in front": slices.Concat([]string{name + "="}, parts), "one without a value behind": slices.Concat(parts, []string{name}),
				"the same with an escape in its name": slices.Concat(parts, []string{fmt.Sprintf("%%%02X", name[0]) + part[1:]}), "another with an escape in its name, in front": slices.Concat([]string{fmt.Sprintf("%%%02X", name[0]) + name[1:] + "=" + other}, parts),
				"the same in lower case behind": slices.Concat(parts, []string{strings.ToLower(name) + "=" + value}), "another in capitals in front": slices.Concat([]string{strings.ToUpper(name) + "=" + other}, parts),
			} {
				s.refused(t, name+" twice, "+what, func(r *http.Request) { retarget(r, join(path, list)) })
			}
			s.refusedOrSame(t, name+" as an array too", func(r *http.Request) { retarget(r, join(path, append(slices.Clone(parts), name+"[]="+other))) })
		}
		if t.presigned {
			continue
		}
		for _, m := range s.find(t, `[A-Za-z]+=[^, ]+`) {
			if m.name != "Authorization" {
				continue
			}
			name, value, _ := strings.Cut(m.text, "=")
			other := name + "=" + flipped(value, len(value)-1)
			for what, text := range map[string]string{"the same behind": m.text + "," + m.text, "another behind": m.text + ", " + other, "another in front": other + ", " + m.text, "an empty one in front": name + "=, " + m.text, "an empty one behind": m.text + ", " + name + "=",
				"another in lower case in front": strings.ToLower(name) + strings.TrimPrefix(other, name) + ", " + m.text} {
				s.refused(t, name+" twice, "+what, m.replaced(text))
			}
		}
		for _, p := range s.slots(t) {
			for what, values := range map[string][]string{"the same": {p.value, p.value}, "another behind": {p.value, flipped(p.value, len(p.value)-1)}, "another in front": {flipped(p.value, len(p.value)-1), p.value}, "an empty one in front": {"", p.value}} {
				s.refused(t, "the header "+p.name+" twice, "+what, func(r *http.Request) { r.Header[p.name] = values })
			}
			s.refused(t, "the header "+p.name+" in a second spelling", func(r *http.Request) { r.Header[strings.ToLower(p.name)] = []string{"x"} })
		}
	}
}

func parameterCase(s *siege) {
	for t := range s.targets() {
		path, parts := split(t.in)
		for i, part := range parts {
			name, value, _ := strings.Cut(part, "=")
			if !t.presigned || !s.isParam(name) {
				continue
			}
			spelt := func(name string) func(*http.Request) {
				changed := slices.Clone(parts)
				changed[i] = name + "=" + value
				return func(r *http.Request) { retarget(r, join(path, changed)) }
			}
			s.refusedOrSame(t, name+" in lower case", spelt(strings.ToLower(name)))
			for _, other := range []string{strings.ToUpper(name), swapCase(name), http.CanonicalHeaderKey(name), name + "%20", "+" + name, name + "%00", name + "[]", widened(name), strings.ReplaceAll(name, "-", "_")} {
				if other != name && other != strings.ToLower(name) {
					s.refused(t, fmt.Sprintf("%s as %q", name, other), spelt(other))
				}
			}
			s.refusedOrSame(t, name+" with an escape in its name", spelt(fmt.Sprintf("%%%02X", name[0])+name[1:]))
			s.refusedOrSame(t, name+" with its name escaped", spelt(escapeAll(name)))
		}
	}
}

func smuggling(s *siege) {
	for t := range s.targets() {
		slots := s.slots(t)
		for _, p := range slots {
			for _, value := range []string{p.value + "\n", "\n" + p.value, p.value + "\r\n", p.value + "\x00", p.value + "\n" + p.value, p.value + "\nx:y", p.value + "\x0b", p.value + "\u2028", p.value + "\x7f", p.value + "\tx", p.value + "&" + p.name + "=" + p.value, p.value + "&x=y", p.value + "%0A"} {
				s.refused(t, fmt.Sprintf("%s with %q behind it", p.name, strings.TrimPrefix(value, p.value)), func(r *http.Request) { p.set(r, value) })
			}
		}
		path, parts := split(t.in)
		if !t.presigned {
			continue
		}
		for i, p := range slots[:len(slots)-1] {
			next := slots[i+1]
			for _, feed := range []string{"\n", "\r\n", "\x00", ""} {
				s.refused(t, fmt.Sprintf("%s with %s within it, behind %q", p.name, next.name, feed), func(r *http.Request) {
					p.set(r, p.value+feed+next.value)
					next.set(r, "")
				})
				s.refused(t, fmt.Sprintf("%s with %s within it, in front of %q", next.name, p.name, feed), func(r *http.Request) {
					p.set(r, "")
					next.set(r, p.value+feed+next.value)
				})
			}
			if n := len(p.value); n > 0 {
				s.refused(t, fmt.Sprintf("the last of %s moved to %s", p.name, next.name), func(r *http.Request) {
					p.set(r, p.value[:n-1])
					next.set(r, p.value[n-1:]+next.value)
				})
			}
		}
		for _, name := range append(schemeParams(), "response-content-type", "response-content-disposition", "rscc", "ss", "srt", "sdd", "ses", "srh", "srq", "suoid", "saoid", "sduoid", "skdutid", "URLPrefix", "edge-cache-token", "x-oss-security-token") {
			if s.isParam(name) {
				continue // that is the attack duplicates
			}
			for _, value := range []string{"1", "", "host", "text%2Fhtml"} {
				s.refusedOrSame(t, "with the parameter "+name+"="+value+" behind", func(r *http.Request) { retarget(r, join(path, append(slices.Clone(parts), name+"="+value))) })
				s.refusedOrSame(t, "with the parameter "+name+"="+value+" in front", func(r *http.Request) { retarget(r, join(path, append([]string{name + "=" + value}, parts...))) })
			}
		}
	}
}

func vendorHeadersAdded(s *siege) {
	for t := range s.targets() {
		for _, name := range append(s.loose(), "X-Ms-Copy-Source", "x-ms-copy-source", "X-Ms-Meta-Other", "X-Ms-Blob-Public-Access") {
			if hasHeader(t.in.Header, name) {
				name += "-2"
			}
			try, microsoft := s.refused, strings.HasPrefix(strings.ToLower(name), "x-ms-")
			if t.presigned && s.HeaderPrefix == "" || microsoft && s.HeaderPrefix != "" { // none of theirs
				try = s.maybe
			}
			for _, value := range []string{"x", "", "/" + s.Bucket + "/secret"} {
				try := try
				if microsoft && value == "" {
					try = s.maybe // old versions do not sign an empty one
				}
				try(t, fmt.Sprintf("with %s: %s", name, value), func(r *http.Request) { r.Header[name] = []string{value} })
			}
			try(t, "with "+strings.ToUpper(name), func(r *http.Request) { r.Header[strings.ToUpper(name)] = []string{"x"} })
			s.refusedOrSame(t, "with "+name+" without a value", func(r *http.Request) { r.Header[name] = []string{} })
			if microsoft {
				try = s.maybe
			}
			try(t, "with "+name+" in a trailer", func(r *http.Request) { r.Trailer = http.Header{name: nil} })
		}
		for _, name := range []string{"X-Amz-Copy-Source ", " X-Amz-Copy-Source", "X-Amz-Copy-Source\t", "X-Amz-Copy-Source:", "X_Amz_Copy_Source", "X-Amz-Copy-Source\x00", "X-Amz-C\u00f6py"} {
			s.refusedOrSame(t, fmt.Sprintf("with the header %q", name), func(r *http.Request) { r.Header[name] = []string{"x"} }) // no name, or none of theirs
		}
	}
}

// maybe is refusedOrSame in the place of refused.
func (s *siege) maybe(t *target, what string, edit func(*http.Request), _ ...error) {
	s.refusedOrSame(t, what, edit)
}

func headerLists(s *siege) {
	for t := range s.targets() {
		for _, m := range s.headerList(t) {
			names := listed(m.text)
			sep := ";"
			if strings.Contains(m.text, ",") {
				sep = ","
			}
			others := []string{"", "*", strings.Join(names, ""), strings.Join(names, " "), strings.Join(names, sep+sep), strings.Join(names, sep+" "), strings.Join(names, " "+sep), strings.Join(names, "\n"), strings.Join(names, "|"), strings.Join(names, ";,"), sep + m.text, m.text + sep,
				m.text + sep + sep, strings.ToUpper(m.text), http.CanonicalHeaderKey(m.text), m.text + sep + m.text, m.text + sep + names[0], names[0] + sep + m.text, m.text + sep + "x-evil", "x-evil" + sep + m.text, m.text + sep + "zz", m.text + sep + "host", m.text + sep + "content-length",
				m.text + "\x00", m.text + sep + "\u00e9", m.text + sep + "a:b", m.text + sep + "authorization", widened(m.text), strings.ReplaceAll(m.text, sep, map[string]string{";": ",", ",": ";"}[sep]), strings.ReplaceAll(m.text, sep, "%3B")}
			for i := range names {
				others = append(others, strings.Join(slices.Concat(names[:i], names[i+1:]), sep), strings.Join(slices.Concat(names[:i], []string{"X" + names[i]}, names[i+1:]), sep))
			}
			backwards := slices.Clone(names)
			slices.Reverse(backwards)
			for _, other := range append(others, strings.Join(backwards, sep)) {
				if other != m.text {
					s.refused(t, fmt.Sprintf("the list in %s is %q", m.name, other), m.replaced(other))
				}
			}
		}
	}
}

func headerValues(s *siege) {
	for t := range s.targets() {
		for name, values := range s.covered(t.presigned) {
			value := values[0]
			first, rest := value[:len(value)/2], value[len(value)/2:]
			set := func(values ...string) func(*http.Request) { return func(r *http.Request) { r.Header[name] = values } }
			if len(t.in.Header[name]) == 0 || !slices.Contains(t.grant.SignedHeaders, strings.ToLower(name)) {
				continue
			}
			s.refused(t, name+" removed", func(r *http.Request) { delete(r.Header, name) })
			s.refused(t, name+" without a value", set())
			s.refused(t, name+" moved to the trailer", func(r *http.Request) {
				delete(r.Header, name)
				r.Trailer = http.Header{name: {value}}
			})
			s.refused(t, name+" in a second spelling too", func(r *http.Request) { r.Header[strings.ToLower(name)] = []string{"x"} })
			s.refusedOrSame(t, name+" in another spelling", func(r *http.Request) {
				delete(r.Header, name)
				r.Header[strings.ToLower(name)] = []string{value}
			})
			for _, other := range []string{"", flipped(value, len(value)-1), strings.ToUpper(value), value + ",", "," + value, value + ",x", value + "x", value + "\x00", value + "\u00a0", value + "\u200b", first + "\x00" + rest, `"` + value + `"`, widened(value), value + ";x",
				value + "\nx-evil:1", value + "\r\nX-Evil: 1", strings.ReplaceAll(value, " ", "%20"), strings.ReplaceAll(value, "e", "е")} { // a Cyrillic letter
				if other != value {
					s.refused(t, fmt.Sprintf("%s is %q", name, other), set(other))
				}
			}
			for _, other := range []string{" " + value, value + " ", value + "\t", "  " + value + "  ", strings.ReplaceAll(value, " ", "  "), strings.ReplaceAll(value, " ", "\t"), strings.ReplaceAll(value, " ", "\r\n "), strings.ReplaceAll(value, " ", "\n\t"),
				strings.ReplaceAll(value, ",", ", "), strings.ReplaceAll(value, ",", " ,"), value + "\r\n", value + "\n"} {
				if other != value {
					s.refusedOrSame(t, fmt.Sprintf("%s is %q", name, other), set(other))
				}
			}
			s.refused(t, name+" on a line more", set(value, "x"))
			s.refused(t, name+" behind another", set("x", value))
			s.refused(t, name+" twice", set(value, value))
			s.refused(t, name+" with an empty line", set(value, ""))
			if one, other, ok := strings.Cut(value, ","); ok {
				s.refusedOrSame(t, name+" on two lines", set(one, other))
				s.refused(t, name+" on two lines, backwards", set(other, one))
			}
		}
	}
}

func authorizations(s *siege) {
	for t := range s.targets() {
		auth := t.in.Header.Get("Authorization")
		word, fields, ok := strings.Cut(auth, " ")
		if !ok {
			continue
		}
		parts := strings.Split(fields, ",")
		backwards := slices.Clone(parts)
		slices.Reverse(backwards)
		for what, other := range map[string]string{
			"its word alone": word, "its word in lower case": strings.ToLower(word) + " " + fields, "its word twice": word + " " + auth, "no word": fields, "two blanks": word + "  " + fields, "a tab": word + "\t" + fields, "a line feed": word + "\n" + fields, "a comma behind its word": word + ", " + fields,
			"blanks behind commas": word + " " + strings.Join(parts, ", "), "blanks before commas": word + " " + strings.Join(parts, " ,"), "no commas": word + " " + strings.Join(parts, " "), "semicolons": word + " " + strings.Join(parts, ";"), "two commas": word + " " + strings.Join(parts, ",,"),
			"a comma behind": auth + ",", "a comma in front": word + " ," + fields, "a blank in front": " " + auth, "a blank behind": auth + " ", "a NUL behind": auth + "\x00", "backwards": word + " " + strings.Join(backwards, ","), "a field more": auth + ",Key=1", "an empty field": auth + ",=",
			"values in quotes": word + " " + strings.ReplaceAll(strings.ReplaceAll(fields, "=", `="`), ",", `",`) + `"`, "blanks around equal signs": word + " " + strings.ReplaceAll(fields, "=", " = "), "names in lower case": word + " " + strings.ToLower(fields), "names in capitals": word + " " + strings.ToUpper(fields),
			"percent-encoded": word + " " + strings.ReplaceAll(fields, "/", "%2F"), "Bearer in front": "Bearer " + auth, "itself behind a comma": auth + "," + auth, "cut by a byte": auth[:len(auth)-1], "longer by a byte": auth + "0", "another behind a comma": auth + ", Basic YTpi",
		} {
			if other != auth {
				s.refusedOrSame(t, "Authorization with "+what, func(r *http.Request) { r.Header["Authorization"] = []string{other} })
			}
		}
		for i := range parts {
			s.refused(t, fmt.Sprintf("Authorization without its part %d", i), func(r *http.Request) {
				r.Header["Authorization"] = []string{word + " " + strings.Join(slices.Concat(parts[:i], parts[i+1:]), ",")}
			})
		}
		for i := range len(auth) {
			s.refusedOrSame(t, fmt.Sprintf("Authorization with byte %d changed", i), func(r *http.Request) { r.Header["Authorization"] = []string{flipped(auth, i)} })
		}
	}
}

func payloads(s *siege) {
	if s.HashBody == nil || s.writing() == "" || !s.has("Sign") {
		return
	}
	const body = "hello, world"
	bare, hashed := s.httpRequest(s.withBody(body)), s.httpRequest(s.withBody(body))
	if err := s.HashBody(hashed); err != nil {
		s.fatalf("Harness.HashBody: %v", err)
	}
	names := slices.DeleteFunc(slices.Collect(maps.Keys(hashed.Header)), func(name string) bool { return bare.Header[name] != nil })
	s.sign(s.signer(), hashed)
	t := s.target("a request with a hashed body", s.received(hashed))
	empty, other := sha256.Sum256(nil), sha256.Sum256([]byte("jello, world"))
	for _, name := range names {
		own := t.in.Header.Get(name)
		for _, value := range []string{"UNSIGNED-PAYLOAD", "unsigned-payload", "", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", hex.EncodeToString(empty[:]), hex.EncodeToString(other[:]), strings.ToUpper(own), own + " ", own[:63], own + "0",
			own + "," + own, base64.StdEncoding.EncodeToString(empty[:]), "required", widened(own)} {
			if strings.TrimSpace(value) != own {
				s.refused(t, fmt.Sprintf("%s is %q", name, value), func(r *http.Request) { r.Header[name] = []string{value} })
			}
		}
		s.refused(t, name+" removed", func(r *http.Request) { delete(r.Header, name) })
		s.refused(t, name+" twice", func(r *http.Request) { r.Header[name] = []string{own, own} })
		s.refused(t, name+" beside another", func(r *http.Request) { r.Header[name] = []string{own, "UNSIGNED-PAYLOAD"} })
	}
}

// A flooding is an edit that makes a request large.
type flooding struct {
	name string
	part int // of the size that Attack floods with; Flood takes all of it
	edit func(size int) func(*http.Request)
}

// floodings have one header whole, which is cheap, many headers in tenths and the rest in hundredths.
func (s *siege) floodings(t *target) (all []flooding) {
	add := func(part int, name string, edit func(r *http.Request, size int)) {
		all = append(all, flooding{name, part, func(size int) func(*http.Request) { return func(r *http.Request) { edit(r, size) } }})
	}
	fill := func(text string, size int) string { return strings.Repeat(text, max(1, size/len(text))) }
	add(1, "another header", func(r *http.Request, size int) { r.Header["X-Other"] = []string{fill("a", size)} })
	add(1, "a signed header", func(r *http.Request, size int) { r.Header[s.metaHeader()] = []string{fill("a ", size)} })
	add(1, "Authorization", func(r *http.Request, size int) {
		r.Header["Authorization"] = []string{r.Header.Get("Authorization") + fill("a", size)}
	})
	add(10, "names of headers", func(r *http.Request, size int) {
		for i := range size / 32 {
			r.Header[fmt.Sprintf("X-Amz-Meta-%021d", i)] = []string{""}
		}
	})
	add(10, "a header's name", func(r *http.Request, size int) { r.Header["X-Amz-"+fill("a", size)] = []string{"x"} })
	add(10, "lines of a signed header", func(r *http.Request, size int) {
		r.Header[s.metaHeader()] = slices.Repeat([]string{"0123456789abcdef"}, size/16)
	})
	for _, m := range s.headerList(t) {
		add(10, "the list in "+m.name, func(r *http.Request, size int) {
			var list strings.Builder
			list.Grow(size)
			for i := 0; list.Len() < size; i++ {
				fmt.Fprintf(&list, "a%07d;", i)
			}
			m.replaced(list.String() + m.text)(r)
		})
		for _, text := range []string{";", ",", "a;", "host;", "é;"} {
			add(100, fmt.Sprintf("the list in %s, of %q", m.name, text), func(r *http.Request, size int) { m.replaced(fill(text, size))(r) })
		}
	}
	for _, p := range s.slots(t) {
		if p.value != "" {
			add(100, p.name+" repeated", func(r *http.Request, size int) { p.set(r, fill(p.value, size)) })
			add(100, p.name+" of zeros", func(r *http.Request, size int) { p.set(r, fill("0", size)) })
		}
	}
	for _, text := range []string{"a=b,", "Credential=a, ", " ", ":", "AWS4-HMAC-SHA256 "} {
		add(100, fmt.Sprintf("Authorization of %q", text), func(r *http.Request, size int) {
			r.Header["Authorization"] = []string{r.Header.Get("Authorization") + fill(text, size)}
		})
	}
	add(100, "cookies", func(r *http.Request, size int) { r.Header["Cookie"] = []string{fill("Cloud-CDN-Cookie=a; ", size)} })
	add(100, "the host", func(r *http.Request, size int) { r.Host = fill("a.", size) + r.Host })
	add(100, "the method", func(r *http.Request, size int) { r.Method = fill("A", size) })
	for _, text := range []string{"/a", "a", "%41", "/..", "%", "é"} {
		add(100, fmt.Sprintf("the path, of %q", text), func(r *http.Request, size int) {
			path, parts := split(r)
			retarget(r, strings.TrimSuffix(join(path+fill(text, size), parts), "?"))
		})
	}
	for _, text := range []string{"&", "&a=b", "&a", "%41", "&%", "&X-Amz-Signature=a", "&sig=a", ";", "="} {
		add(100, fmt.Sprintf("the query, of %q", text), func(r *http.Request, size int) {
			path, parts := split(r)
			retarget(r, path+"?"+strings.Join(parts, "&")+fill(text, size))
		})
	}
	return all
}

func floods(s *siege) {
	for t := range s.targets() {
		for _, f := range s.floodings(t) {
			s.refusedOrSame(t, "flooded: "+f.name, f.edit(s.size/f.part))
		}
	}
}
