package explain

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/wire"
)

// This file compares a request with what was signed, without the service's help. What a scheme leaves out of its signature may change
// on the way, and is no cause.

// A family is what schemes have in common in the parts that they sign.
type family int

const (
	unknown   family = iota
	sigV4            // AWS4 and GOOG4: everything but headers that are not listed
	oss4             // the same, with headers of its own that need no listing, and without the host
	version2         // the old ones of AWS, Google and OSS
	sharedKey        // Azure's header
	sas              // Azure's: neither method nor headers nor host
	cloudCDN         // the URL and nothing else
)

func (f *file) family() family {
	switch {
	case f.form == "":
		return unknown
	case f.provider == "cdn":
		return cloudCDN
	case f.provider == "azure" && f.form == "URL":
		return sas
	case f.provider == "azure":
		return sharedKey
	case strings.Contains(f.scheme, "version"):
		return version2
	case f.provider == "oss":
		return oss4
	}
	return sigV4
}

func (f *file) signsMethod() bool { return f.family() != sas && f.family() != cloudCDN }

func (f *file) signsHost() bool {
	switch f.family() {
	case sigV4, oss4:
		return slices.Contains(f.signedHeaders, "host")
	case unknown, cloudCDN:
		return true
	}
	return false
}

// signsPath is false for a SAS or prefix that is good for many objects.
func (f *file) signsPath() bool {
	switch f.family() {
	case sas:
		return f.get("sr") == "b"
	case cloudCDN:
		return !f.has("URLPrefix") && !f.token
	}
	return true
}

// signsParam reports whether a parameter of the query is signed. The signature itself is not.
func (f *file) signsParam(name string) bool {
	name = strings.ToLower(name)
	if signatureParam(name) {
		return false
	}
	switch f.family() {
	case sas:
		return len(name) <= 3 && (name[0] == 's' || name == "ske" || name == "tn") || slices.Contains([]string{"skoid", "sktid", "saoid", "suoid", "scid", "skdutid", "sduoid"}, name) ||
			strings.HasPrefix(name, "rsc") && len(name) == 4
	case version2:
		return strings.HasPrefix(name, "response-") || strings.HasSuffix(name, "accesskeyid") ||
			slices.Contains([]string{"expires", "googleaccessid", "security-token", "uploads", "uploadid", "partnumber", "versionid", "acl"}, name)
	}
	return true
}

func signatureParam(lower string) bool {
	return lower == "sig" || strings.HasSuffix(lower, "signature")
}

// signsHeader reports whether a header is signed, if it is there.
func (f *file) signsHeader(name string) bool {
	name = strings.ToLower(name)
	switch f.family() {
	case sigV4:
		return slices.Contains(f.signedHeaders, name)
	case oss4, version2:
		return slices.Contains(f.signedHeaders, name) || f.vendorHeader(name) || name == "content-type" || name == "content-md5"
	case sharedKey:
		return strings.HasPrefix(name, "x-ms-") || strings.HasPrefix(name, "content-") || strings.HasPrefix(name, "if-") || name == "range" || name == "date"
	case unknown:
		return true
	}
	return false
}

// vendorHeader reports whether it is a header of the provider, which services refuse unless it is signed.
func (f *file) vendorHeader(name string) bool {
	name = strings.ToLower(name)
	switch f.provider {
	case "s3":
		return strings.HasPrefix(name, "x-amz-")
	case "gcs":
		return strings.HasPrefix(name, "x-goog-") || strings.HasPrefix(name, "x-amz-")
	case "oss":
		return strings.HasPrefix(name, "x-oss-")
	}
	return false
}

// sentAndSigned compares what was sent with what the signature is for: Signed, or what the Trace says of it.
func sentAndSigned(_ context.Context, f *file) {
	sent := f.Request
	if sent == nil && f.url != nil {
		sent = &http.Request{URL: f.url} // of which method and headers are not known
	}
	if sent == nil || sent.URL == nil {
		return
	}
	b := f.canonicalOf(sent, nil)
	var a canonical
	switch {
	case f.Signed != nil && f.Signed.URL != nil:
		a = f.canonicalOf(f.Signed, nil)
		f.compareSignatures(f.Signed.URL, sent.URL)
	case f.Trace == nil || f.theirs != "" || f.toSign != "": // the service's own strings have been compared with the Trace
		return
	case f.family() == cloudCDN:
		u, err := url.Parse(string(f.Trace.StringToSign))
		if err != nil || u.Host == "" { // it is for a prefix
			return
		}
		a = f.canonicalOf(&http.Request{URL: u}, nil)
	case f.family() == sas:
		f.compareFields(string(f.Trace.StringToSign))
		return
	default:
		var ok bool
		if a, ok = parseCanonical(string(f.Trace.CanonicalRequest)); !ok {
			return
		}
		b = f.canonicalOf(sent, a.headers)
		if strings.HasSuffix(a.path, b.path) { // the bucket stands in the host
			a.path = b.path
		}
		a.payload, a.signed = "", ""
	}
	if f.Request == nil {
		a.method, a.headers, b.method, b.headers = "", nil, "", nil
	}
	certainty := Likely
	if !f.answered() || f.mismatched() {
		certainty = Proved // nothing else can be wrong, or something of this kind is
	}
	causes, diff := len(f.causes), f.diff
	f.compare(a, b, certainty)
	if len(diff) > 0 {
		f.diff = diff // the service's own words are better
	}
	same := len(f.causes) == causes && f.intact()
	f.unchanged, f.sameURL = same && f.Request != nil, same && f.Request == nil
}

// answered reports whether there is an answer of the service.
func (f *file) answered() bool { return f.Status != 0 || len(f.Body) > 0 || len(f.Header) > 0 }

// canonicalOf makes of a request the parts that are signed, in the one form to which services bring them. With wanted, those headers
// are looked for, and those that may not be there unsigned.
func (f *file) canonicalOf(r *http.Request, wanted []pair) (c canonical) {
	if f.signsMethod() {
		c.method = first(r.Method, http.MethodGet)
	}
	if f.signsPath() {
		c.path = r.URL.EscapedPath()
		if f.family() != version2 && f.family() != sharedKey && f.family() != cloudCDN { // those sign it as it is written
			if path, err := wire.AppendCanonicalPath(nil, c.path); err == nil {
				c.path = string(path)
			}
		}
	}
	c.query = f.canonicalQuery(r.URL.RawQuery)
	host := first(r.Host, r.URL.Host)
	names := map[string]bool{}
	for name := range r.Header {
		names[strings.ToLower(name)] = true
	}
	for _, h := range wanted {
		names[h.name] = true
	}
	delete(names, "host")
	if f.signsHost() {
		c.headers = append(c.headers, pair{"host", strings.ToLower(host)})
	}
	for name := range names {
		values, ok := r.Header[http.CanonicalHeaderKey(name)]
		if name == "content-length" && !ok && r.ContentLength > 0 {
			values, ok = []string{strconv.FormatInt(r.ContentLength, 10)}, true
		}
		if ok && (f.signsHeader(name) || f.vendorHeader(name) || name == "authorization") {
			c.headers = append(c.headers, pair{name, string(wire.AppendFolded(nil, strings.Join(values, ",")))})
		}
	}
	slices.SortFunc(c.headers, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	return c
}

// canonicalQuery keeps the parameters that are signed, each in its one encoding.
func (f *file) canonicalQuery(rawQuery string) string {
	var kept []string
	for rawName, rawValue := range wire.Pairs(rawQuery[:min(len(rawQuery), maxURL)]) {
		name, err1 := wire.UnescapeQuery(rawName)
		value, err2 := wire.UnescapeQuery(rawValue)
		if err1 != nil || err2 != nil {
			kept = append(kept, rawName+"="+rawValue)
		} else if name != "" && f.signsParam(name) {
			kept = append(kept, string(wire.AppendEscape(append(wire.AppendEscape(nil, name), '='), value)))
		}
	}
	return strings.Join(kept, "&")
}

// compareSignatures finds a signature that was cut or changed.
func (f *file) compareSignatures(signed, sent *url.URL) {
	of := func(u *url.URL) (name, value string) {
		for name, value := range wire.Pairs(u.RawQuery[:min(len(u.RawQuery), maxURL)]) {
			if signatureParam(strings.ToLower(name)) {
				if cut := strings.LastIndexByte(value, '%'); cut > len(value)-3 && cut >= 0 {
					value = value[:cut] // an escape that was cut
				}
				if plain, err := wire.UnescapeQuery(value); err == nil {
					value = plain
				}
				return name, value
			}
		}
		return "", ""
	}
	name, was := of(signed)
	_, is := of(sent)
	switch {
	case was == "" || is == was:
	case is == "" && f.form == "" && f.auth == "":
		f.found(Unsigned, Proved, "the URL was signed, and was sent without its signature", "use the whole URL, in quotes: a shell cuts it at the first &, and a redirect or proxy may drop the query")
	case is == "" && f.form == "":
	case strings.HasPrefix(was, is):
		f.found(Truncated, Proved, "the signature has "+strconv.Itoa(len(is))+" of its "+strconv.Itoa(len(was))+" characters left", "use the whole URL, byte for byte, in quotes")
	case strings.Contains(is, " "):
		f.found(PlusMangled, Proved, "there is a blank in "+f.quote(name)+": a plus that was not written as %2B", "percent-encode the value once (url.QueryEscape), or better use the URL as it was made")
	default:
		f.found(QueryChanged, Proved, "the signature itself, "+f.quote(name)+", is another one than was made", "use the URL byte for byte as it was made")
	}
}

// compareFields compares the fields of a SAS in the URL with those in its string to sign.
func (f *file) compareFields(stringToSign string) {
	lines := strings.Split(stringToSign, "\n")
	for i, name := range lineNames(stringToSign, f.get("sv")) {
		if param := fieldParam(name); param != "" && i < len(lines) && lines[i] != f.get(param) {
			f.line(name, lines[i], f.get(param))
			f.found(QueryChanged, Proved, "the field "+param+" was signed as "+f.quote(lines[i])+" and is "+f.quote(f.get(param)), "use the SAS as it was made")
		}
	}
}
