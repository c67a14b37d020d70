package explain

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cloudsigner/cloudsigner/signer"
)

// A canonical is a canonical request in its parts.
type canonical struct {
	method, path, query string
	headers             []pair // in their order
	signed, payload     string
}

// parseCanonical reads a canonical request of S3, GCS or OSS: method, path, query, a line for each header, an empty line, the
// names of the signed headers (OSS: the additional ones) and the payload.
func parseCanonical(text string) (c canonical, ok bool) {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
	if len(lines) < 5 {
		return c, false
	}
	c.method, c.path, c.query = lines[0], lines[1], lines[2]
	c.payload = lines[len(lines)-1]
	c.signed = lines[len(lines)-2]
	for _, line := range lines[3 : len(lines)-2] {
		if name, value, ok := strings.Cut(line, ":"); ok {
			c.headers = append(c.headers, pair{name, value})
		}
	}
	return c, strings.ToUpper(c.method) == c.method && c.method != ""
}

// differences compares what the service signed with what the signer did.
func differences(_ context.Context, f *file) {
	if f.Trace == nil || f.theirs == "" && f.toSign == "" {
		f.withinTheirs()
		return
	}
	ours, theirs := string(f.Trace.CanonicalRequest), f.theirs
	if theirs != "" && ours != "" {
		a, ok1 := parseCanonical(ours)
		b, ok2 := parseCanonical(theirs)
		if ok1 && ok2 {
			f.compare(a, b, Proved)
		}
	}
	equal := (theirs == "" || ours == "" || same(ours, theirs)) && (f.toSign == "" || same(string(f.Trace.StringToSign), f.toSign))
	if len(f.diff) == 0 || ours == "" {
		f.compareStrings(string(f.Trace.StringToSign), f.toSign)
	}
	if equal && (f.toSign != "" || theirs != "") && f.mismatched() && f.intact() {
		f.found(WrongSecret, Proved, "the service signed the very same string, and has another signature for it", "check the secret of the key "+quote(f.keyID)+": that it was copied whole, without blanks, and belongs to this key")
		f.found(KeyRotated, Possible, "the key was regenerated, or Google's own key changed since", "sign anew with the current key")
	}
}

// intact reports whether the signature arrived as it was made, as far as that is known.
func (f *file) intact() bool {
	for _, name := range []string{"X-Amz-Signature", "X-Goog-Signature", "x-oss-signature", "sig"} {
		value, ok := f.lookup(name)
		if !ok {
			continue
		}
		if f.Signed != nil && f.Signed.URL != nil && f.Signed.URL.Query().Get(name) != value {
			return false
		}
		switch name {
		case "sig":
			return len(value) == 44
		case "X-Goog-Signature":
			return len(value) >= 64
		}
		return len(value) >= 64 && len(value)%2 == 0
	}
	return true
}

func same(a, b string) bool {
	flat := func(s string) string { return strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\n") }
	return flat(a) == flat(b) || strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
}

// compare finds the parts in which what the service signed (b) differs from what the signer did (a).
func (f *file) compare(a, b canonical, certainty Certainty) {
	f.line("method", a.method, b.method)
	if a.method != b.method {
		f.found(Method, certainty, fmt.Sprintf("signed for %s and sent as %s", quote(a.method), quote(b.method)), "use the method that was signed: a URL for GET is not one for HEAD")
	}
	f.line("path", a.path, b.path)
	if a.path != b.path {
		da, errA := url.PathUnescape(a.path)
		db, errB := url.PathUnescape(b.path)
		dda, _ := url.PathUnescape(da)
		ddb, _ := url.PathUnescape(db)
		why := fmt.Sprintf("signed was the path %s, and the service saw %s", quote(a.path), quote(b.path))
		switch {
		case errA == nil && errB == nil && (da == db || da == ddb || dda == db || strings.ReplaceAll(da, "+", " ") == strings.ReplaceAll(db, "+", " ")):
			f.found(PathEncoding, certainty, why, "use the URL byte for byte as it was made: no client or proxy may decode and encode it again")
		default:
			f.found(Path, certainty, why, "sign for the key that is asked for; with a name of your own in front of the bucket, set Endpoint and Addressing")
		}
	}
	f.compareQueries(a.query, b.query, certainty)
	f.compareHeaders(a.headers, b.headers, certainty)
	f.line("signed headers", a.signed, b.signed)
	f.line("payload", a.payload, b.payload)
	if a.payload != b.payload {
		f.found(Payload, certainty, fmt.Sprintf("signed for the payload %s, and the service has %s", quote(a.payload), quote(b.payload)), "send the body, and the header x-amz-content-sha256, that were signed")
	}
}

func (f *file) compareQueries(a, b string, certainty Certainty) {
	ours, theirs := params(a), params(b)
	for _, p := range theirs {
		if strings.EqualFold(p.name, "X-Amz-Signature") || strings.EqualFold(p.name, "X-Goog-Signature") {
			continue // as some services repeat it
		}
		i := slices.IndexFunc(ours, func(o pair) bool { return o.name == p.name })
		switch {
		case i < 0:
			f.line("query parameter "+p.name, "", p.value)
			f.found(QueryAdded, certainty, "the parameter "+quote(p.name)+" was added after signing", "put it into Request.Query when presigning, or leave it out; analytics and caches add such")
		case ours[i].value != p.value && strings.HasSuffix(p.name, "-SignedHeaders"): // some services write what they found there
			f.line("query parameter "+p.name, ours[i].value, p.value)
		case ours[i].value != p.value:
			f.line("query parameter "+p.name, ours[i].value, p.value)
			f.found(QueryChanged, certainty, fmt.Sprintf("the parameter %s was signed as %s and arrived as %s", quote(p.name), quote(ours[i].value), quote(p.value)), "use the URL byte for byte as it was made")
		default:
			f.line("query parameter "+p.name, p.value, p.value)
		}
	}
	for _, p := range ours {
		if !slices.ContainsFunc(theirs, func(o pair) bool { return o.name == p.name }) {
			f.line("query parameter "+p.name, p.value, "")
			f.found(QueryMissing, certainty, "the parameter "+quote(p.name)+" was signed and did not arrive", "use the whole URL, in quotes")
		}
	}
}

// params are the parameters of a canonical query, as they are written.
func params(query string) (all []pair) {
	for _, p := range strings.Split(query, "&") {
		if p != "" {
			name, value, _ := strings.Cut(p, "=")
			all = append(all, pair{name, value})
		}
	}
	return all
}

func (f *file) compareHeaders(ours, theirs []pair, certainty Certainty) {
	for _, h := range ours {
		i := slices.IndexFunc(theirs, func(o pair) bool { return o.name == h.name })
		value := ""
		if i >= 0 {
			value = strings.TrimSpace(theirs[i].value)
		}
		f.line("header "+h.name, h.value, value)
		if i < 0 || value == "" && h.value != "" {
			f.found(HeaderMissing, certainty, "the header "+quote(h.name)+" was signed as "+f.header(h)+" and did not arrive", "send every header of Presigned.Header; a proxy may have dropped it")
			continue
		}
		if value != strings.TrimSpace(h.value) {
			f.changedHeader(h.name, h.value, value, certainty)
		}
	}
	for _, h := range theirs {
		if !slices.ContainsFunc(ours, func(o pair) bool { return o.name == h.name }) {
			f.line("header "+h.name, "", h.value)
			f.found(HeaderAdded, certainty, "the header "+quote(h.name)+" arrived as "+f.header(h)+" and was not signed", "put it into Request.Header when presigning, or do not send it")
		}
	}
}

func (f *file) changedHeader(name, signed, seen string, certainty Certainty) {
	why := fmt.Sprintf("the header %s was signed as %s and arrived as %s", quote(name), f.header(pair{name, signed}), f.header(pair{name, seen}))
	switch strings.ToLower(name) {
	case "host":
		f.found(Host, certainty, why, "sign for the host and port that the service sees: a proxy that rewrites Host needs Endpoint to be the name behind it, or must keep it")
	case "content-type":
		f.found(ContentType, certainty, why, "send the type that was signed: fetch, FormData and curl -d set one by themselves")
	case "content-length":
		f.found(ContentLength, certainty, why, "send a body of the length that was signed")
	case "x-amz-content-sha256", "x-goog-content-sha256", "x-oss-content-sha256":
		f.found(Payload, certainty, why, "send the body that was signed")
	default:
		f.found(HeaderChanged, certainty, why, "send it as it was signed; a proxy may have rewritten it")
	}
}

// header is a header's value, without its secrets.
func (f *file) header(h pair) string {
	return quote(signer.RedactHeader(http.Header{http.CanonicalHeaderKey(h.name): {h.value}}).Get(h.name))
}

// line adds a line to the diff.
func (f *file) line(part, signed, seen string) {
	f.diff = append(f.diff, Line{part, signed, seen, signed == seen})
}

// compareStrings compares strings to sign line by line, for schemes that have no canonical request, and where the services tells only
// that.
func (f *file) compareStrings(ours, theirs string) {
	if ours == "" || theirs == "" || same(ours, theirs) {
		return
	}
	a, b := strings.Split(ours, "\n"), strings.Split(theirs, "\n")
	names := lineNames(a[0], len(a))
	for i := range max(len(a), len(b)) {
		x, y := at(a, i), at(b, i)
		name := at(names, i)
		if name == "" {
			name = fmt.Sprintf("line %d of the string to sign", i+1)
		}
		f.line(name, x, y)
		if x == y {
			continue
		}
		why := fmt.Sprintf("%s: signed was %s, and the service has %s", name, quote(x), quote(y))
		switch name {
		case "timestamp", "scope":
			f.scopeDiffers(x, y, why)
		case "canonical request":
			f.found(HeaderChanged, Possible, "the canonical requests differ, and the service tells only their hash", "compare method, path, query and headers with what was signed")
		case "resource":
			f.found(Path, Proved, why, "sign for the container and blob that are asked for, of this account")
		case "permissions", "start", "expiry":
			f.found(QueryChanged, Proved, why, "use the SAS as it was made")
		default:
			f.found(QueryChanged, Likely, why, "use the SAS as it was made, and for what it was made")
		}
	}
}

func (f *file) scopeDiffers(x, y, why string) {
	a, b := strings.Split(x, "/"), strings.Split(y, "/")
	switch {
	case len(a) != 4 || len(b) != 4:
		f.found(DateMismatch, Proved, why, "use the date that was signed")
	case a[1] != b[1]:
		f.found(WrongRegion, Proved, why, "set Region to what the service has")
	case a[2] != b[2]:
		f.found(WrongService, Proved, why, "sign for the service's own name")
	default:
		f.found(DateMismatch, Proved, why, "use the date that was signed")
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// lineNames names the lines of a string to sign: of the SigV4 family, and of a service SAS since 2020-12-06.
func lineNames(begin string, n int) []string {
	switch {
	case n == 4 && (strings.HasPrefix(begin, "AWS4-") || strings.HasPrefix(begin, "GOOG4-") || strings.HasPrefix(begin, "OSS4-")):
		return []string{"algorithm", "timestamp", "scope", "canonical request"}
	case n == 16:
		return []string{"permissions", "start", "expiry", "resource", "identifier", "addresses", "protocol", "version", "resource type", "snapshot", "encryption scope", "rscc", "rscd", "rsce", "rscl", "rsct"}
	}
	return nil
}

// withinTheirs looks for contradictions in what the service signed, where the signer's own is not known.
func (f *file) withinTheirs() {
	b, ok := parseCanonical(f.theirs)
	if !ok || !f.mismatched() {
		return
	}
	names := b.signed
	for _, p := range params(b.query) {
		if strings.HasSuffix(strings.ToLower(p.name), "-signedheaders") {
			names, _ = url.QueryUnescape(p.value)
		}
	}
	for _, name := range strings.Split(names, ";") {
		i := slices.IndexFunc(b.headers, func(h pair) bool { return h.name == name })
		if name != "" && strings.Contains(names, "host") && (i < 0 || strings.TrimSpace(b.headers[i].value) == "") {
			f.found(HeaderMissing, Proved, "the header "+quote(name)+" is signed, and the service found none", "send every header of Presigned.Header; a proxy may have dropped it")
		}
	}
	if f.Signed != nil {
		if f.Signed.Method != "" && f.Signed.Method != b.method {
			f.found(Method, Proved, fmt.Sprintf("signed for %s, and the service saw %s", quote(f.Signed.Method), quote(b.method)), "use the method that was signed")
		}
		for _, h := range b.headers {
			if h.name == "host" && f.Signed.Host != "" && !strings.EqualFold(strings.TrimSpace(h.value), f.Signed.Host) {
				f.changedHeader("host", f.Signed.Host, strings.TrimSpace(h.value), Proved)
			}
		}
	}
	if f.method != "" && f.method != b.method {
		f.found(Method, Likely, fmt.Sprintf("the service saw %s, and the request is %s", quote(b.method), quote(f.method)), "something between changed the method: a CDN makes GET of HEAD")
	}
}

// mismatched reports whether the service says that the signature is wrong.
func (f *file) mismatched() bool {
	switch f.refusal.Code {
	case "SignatureDoesNotMatch":
		return true
	case "AuthenticationFailed":
		d := f.detail()
		return strings.Contains(d, "did not match") || strings.Contains(d, "not the same as any computed signature") || strings.Contains(f.refusal.Message, "not the same as any computed signature")
	}
	return f.refusal.Code == "" && f.toSign != ""
}

// sentAndSigned compares the request as it was sent with the one that the signature is for, without the service's help.
func sentAndSigned(_ context.Context, f *file) {
	if f.Signed == nil || f.Request == nil {
		return
	}
	certainty := Likely
	if f.Status == 0 || f.mismatched() {
		certainty = Proved // nothing else can be wrong, or something of this kind is
	}
	before := len(f.causes)
	a, b := f.Signed, f.Request
	methodOf := func(r *http.Request) string { return first(r.Method, http.MethodGet) }
	if methodOf(a) != methodOf(b) {
		f.found(Method, certainty, fmt.Sprintf("signed for %s and sent as %s", methodOf(a), methodOf(b)), "use the method that was signed: a URL for GET is not one for HEAD")
	}
	if a.URL != nil && b.URL != nil {
		hostA, hostB := first(a.Host, a.URL.Host), first(b.Host, b.URL.Host)
		if !strings.EqualFold(hostA, hostB) {
			f.changedHeader("host", hostA, hostB, certainty)
		}
		if pa, pb := a.URL.EscapedPath(), b.URL.EscapedPath(); pa != pb {
			f.compare(canonical{path: pa}, canonical{path: pb}, certainty)
		}
		if a.URL.RawQuery != b.URL.RawQuery {
			f.compareQueries(a.URL.RawQuery, b.URL.RawQuery, certainty)
		}
	}
	for name, values := range a.Header {
		got := b.Header[name]
		switch {
		case len(got) == 0:
			f.found(HeaderMissing, certainty, "the header "+quote(name)+" was signed and is not sent", "send every header of Presigned.Header")
		case !slices.Equal(got, values):
			f.changedHeader(name, strings.Join(values, ","), strings.Join(got, ","), certainty)
		}
	}
	for name := range b.Header {
		if a.Header[name] == nil && f.vendorHeader(name) {
			f.found(HeaderAdded, certainty, "the header "+quote(name)+" is sent and was not signed", "put it into Request.Header when presigning, or do not send it")
		}
	}
	f.unchanged = len(f.causes) == before
	if a.ContentLength > 0 && b.ContentLength >= 0 && a.ContentLength != b.ContentLength {
		f.found(ContentLength, Likely, fmt.Sprintf("signed for %d bytes, and %d are sent", a.ContentLength, b.ContentLength), "send a body of the length that was signed")
	}
}

func (f *file) vendorHeader(name string) bool {
	name = strings.ToLower(name)
	prefix := map[string]string{"s3": "x-amz-", "gcs": "x-goog-", "oss": "x-oss-"}[f.provider]
	return prefix != "" && strings.HasPrefix(name, prefix)
}

// byKeys has a Verifier look at the request.
func byKeys(ctx context.Context, f *file) {
	if f.Verifier == nil || f.Request == nil {
		return
	}
	_, err := f.Verifier.Verify(ctx, f.Request)
	var e *signer.Error
	errors.As(err, &e)
	why := ""
	if err != nil {
		why = "checked with the keys that were given: " + quote(signer.RedactError(err).Error())
	}
	switch {
	case err == nil && f.mismatched():
		f.found(KeyRotated, Likely, "with the keys that were given the request is right as it stands: the service has other keys, or saw another request", "check that these are the service's current keys; regenerated ones sign nothing that works")
		f.found(WrongSecret, Likely, "the request is right under the secret that was given, and not under the service's", "check the secret")
	case err == nil:
	case errors.Is(err, signer.ErrUnknownKey):
		f.found(UnknownKey, Likely, why, "sign with a key that the service has")
	case errors.Is(err, signer.ErrExpired):
		f.found(Expired, Likely, why, "presign again when it is used")
	case errors.Is(err, signer.ErrNotYetValid):
		f.found(NotYetValid, Likely, why, "correct the signer's clock")
	case errors.Is(err, signer.ErrConflict):
		f.found(TwoSignatures, Proved, why, "send one signature")
	case errors.Is(err, signer.ErrMalformed):
		f.found(Malformed, Likely, why, "presign anew, and use the URL as it is")
	case errors.Is(err, signer.ErrScope):
		f.found(Scope, Likely, why, "sign for what is asked for")
	case errors.Is(err, signer.ErrUnsigned):
		if f.form == "" {
			f.found(Unsigned, Likely, why, "use the whole URL, in quotes")
		}
	case errors.Is(err, signer.ErrMismatch):
		f.found(WrongSecret, Possible, why, "either the secret is another one, or the request is: compare with Evidence.Trace or Evidence.Signed")
	}
}
