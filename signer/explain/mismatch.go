package explain

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/wire"
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
	ours, signed := string(f.Trace.CanonicalRequest), string(f.Trace.StringToSign)
	equal := (f.theirs == "" || ours == "" || same(ours, f.theirs)) && (f.toSign == "" || same(signed, f.toSign))
	if equal {
		if f.mismatched() && f.intact() {
			f.found(WrongSecret, Proved, "the service signed the very same string, and has another signature for it", "check the secret of the key "+f.quote(f.keyID)+": that it was copied whole, without blanks, and belongs to this key")
			f.found(KeyRotated, Possible, "the key was regenerated, or Google's own key changed since", "sign anew with the current key")
		}
		return
	}
	if a, b, ok := both(ours, f.theirs, parseCanonical); ok {
		f.compare(a, b, Proved)
	} else if a, b, ok := both(signed, f.toSign, parseToSign); ok {
		f.compare(a, b, Proved)
	}
	if len(f.diff) == 0 || !slices.ContainsFunc(f.diff, func(l Line) bool { return !l.Equal }) || ours == "" && len(f.diff) == 0 {
		f.compareStrings(signed, f.toSign)
	}
}

// both parses two texts.
func both(ours, theirs string, parse func(string) (canonical, bool)) (a, b canonical, ok bool) {
	a, ok1 := parse(ours)
	b, ok2 := parse(theirs)
	return a, b, ok1 && ok2
}

// parseToSign reads the strings to sign that have no canonical request: Azure's Shared Key and Shared Key Lite, and the second
// versions of S3 and GCS and the first of OSS. A line for the method and for each of some headers, then the provider's headers by
// name, then the resource.
func parseToSign(text string) (c canonical, ok bool) {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	if c.method = lines[0]; c.method == "" || strings.Trim(c.method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return c, false
	}
	resource := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "/") })
	named := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "x-") })
	if named < 0 || named > resource {
		named = resource
	}
	names := []string{"content-md5", "content-type", "date"}
	if named == 12 {
		names = []string{"content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
			"if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"}
	}
	if resource < 0 || named != len(names)+1 {
		return c, false
	}
	for i, name := range names {
		if value := lines[i+1]; name == "date" && !unix(value).IsZero() {
			c.query = "Expires=" + value
		} else if value != "" {
			c.headers = append(c.headers, pair{name, value})
		}
	}
	for _, line := range lines[named:resource] {
		name, value, _ := strings.Cut(line, ":")
		c.headers = append(c.headers, pair{name, value})
	}
	c.path = lines[resource]
	for _, line := range lines[resource+1:] {
		name, value, _ := strings.Cut(line, ":")
		c.query += "&" + url.QueryEscape(name) + "=" + url.QueryEscape(value)
	}
	return c, true
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

// same reports whether two texts are equal, of which the second may have been copied from where newlines are blanks.
func same(ours, theirs string) bool {
	ours, theirs = strings.TrimRight(strings.ReplaceAll(ours, "\r\n", "\n"), "\n"), strings.TrimRight(strings.ReplaceAll(theirs, "\r\n", "\n"), "\n")
	return ours == theirs || !strings.Contains(theirs, "\n") && strings.Join(strings.Fields(ours), " ") == strings.Join(strings.Fields(theirs), " ")
}

// compare finds the parts in which what the service signed (b) differs from what the signer did (a).
func (f *file) compare(a, b canonical, certainty Certainty) {
	f.line("method", a.method, b.method)
	if a.method != b.method {
		f.found(Method, certainty, fmt.Sprintf("%s for %s and arrived as %s", f.verb, f.quote(a.method), f.quote(b.method)), "use the method that was signed: a URL for GET is not one for HEAD")
	}
	f.line("path", a.path, b.path)
	if a.path != b.path {
		da, errA := url.PathUnescape(a.path)
		db, errB := url.PathUnescape(b.path)
		dda, _ := url.PathUnescape(da)
		ddb, _ := url.PathUnescape(db)
		why := fmt.Sprintf("%s was the path %s, and the service saw %s", f.verb, f.quote(a.path), f.quote(b.path))
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
		f.found(Payload, certainty, fmt.Sprintf("signed for the payload %s, and the service has %s", f.quote(a.payload), f.quote(b.payload)), "send the body, and the header x-amz-content-sha256, that were signed")
	}
}

func (f *file) compareQueries(a, b string, certainty Certainty) {
	ours, theirs := grouped(params(a)), grouped(params(b))
	for _, p := range theirs.list {
		was, signed := ours.values[p.name]
		if signatureParam(strings.ToLower(p.name)) {
			continue // as some services repeat it
		}
		f.line("query parameter "+p.name, f.param(p.name, was), f.param(p.name, p.value))
		switch {
		case !signed:
			f.found(QueryAdded, certainty, "the parameter "+f.quote(p.name)+" was added after signing", "put it into Request.Query when presigning, or leave it out; analytics and caches add such")
		case was != p.value && !strings.HasSuffix(strings.ToLower(p.name), "-signedheaders"): // some services write what they found there
			f.found(QueryChanged, certainty, fmt.Sprintf("the parameter %s was %s as %s and arrived as %s", f.quote(p.name), f.verb, f.quote(f.param(p.name, was)), f.quote(f.param(p.name, p.value))), "use the URL byte for byte as it was made")
		}
	}
	for _, p := range ours.list {
		if _, arrived := theirs.values[p.name]; !arrived && !signatureParam(strings.ToLower(p.name)) {
			f.line("query parameter "+p.name, f.param(p.name, p.value), "")
			f.found(QueryMissing, certainty, "the parameter "+f.quote(p.name)+" was "+f.verb+" and did not arrive", "use the whole URL, in quotes")
		}
	}
}

// params are the parameters of a canonical query, as they are written.
func params(query string) (all []pair) {
	for name, value := range wire.Pairs(query) {
		all = append(all, pair{name, value})
	}
	return all
}

// A group is a list of pairs in which each name is there once, with all of its values.
type group struct {
	list   []pair
	values map[string]string
}

func grouped(all []pair) group {
	g := group{values: make(map[string]string, len(all))}
	at := make(map[string]int, len(all))
	for _, p := range all {
		i, twice := at[p.name]
		if !twice {
			at[p.name] = len(g.list)
			g.list = append(g.list, p)
		} else if len(g.list[i].value) < maxURL {
			g.list[i].value += "," + p.value
		}
	}
	for _, p := range g.list {
		g.values[p.name] = p.value
	}
	return g
}

// param is a parameter's value, without its secrets.
func (f *file) param(name, value string) string {
	if secretName(name) && value != "" {
		return redacted(name, value)
	}
	return value
}

func (f *file) compareHeaders(a, b []pair, certainty Certainty) {
	ours, theirs := grouped(a), grouped(b)
	for _, h := range ours.list {
		value, arrived := theirs.values[h.name]
		value = strings.TrimSpace(value)
		f.line("header "+h.name, f.header(h), f.header(pair{h.name, value}))
		switch {
		case !arrived || value == "" && h.value != "":
			f.found(HeaderMissing, certainty, "the header "+f.quote(h.name)+" was "+f.verb+" as "+f.quote(f.header(h))+" and did not arrive", "send every header of Presigned.Header; a proxy may have dropped it")
		case value != strings.TrimSpace(h.value):
			f.changedHeader(h.name, h.value, value, certainty)
		case strings.TrimSpace(h.value) != h.value && theirs.values[h.name] == value:
			f.found(HeaderChanged, certainty, "the header "+f.quote(h.name)+" was signed with blanks about its value, which the service takes away", "sign it without them: strings.TrimSpace")
		}
	}
	for _, h := range theirs.list {
		if _, signed := ours.values[h.name]; !signed {
			f.line("header "+h.name, "", f.header(h))
			id := HeaderAdded
			if h.name == "content-type" {
				id = ContentType
			}
			f.found(id, certainty, "the header "+f.quote(h.name)+" arrived as "+f.quote(f.header(h))+" and was not "+f.verb, "put it into Request.Header when presigning, or do not send it: libraries and browsers set some by themselves")
		}
	}
}

func (f *file) changedHeader(name, signed, seen string, certainty Certainty) {
	why := fmt.Sprintf("the header %s was %s as %s and arrived as %s", f.quote(name), f.verb, f.quote(f.header(pair{name, signed})), f.quote(f.header(pair{name, seen})))
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
	return signer.RedactHeader(http.Header{http.CanonicalHeaderKey(h.name): {h.value}}).Get(h.name)
}

// line adds a line to the diff.
func (f *file) line(part, signed, seen string) {
	if (signed != "" || seen != "") && len(f.diff) < maxLines {
		f.diff = append(f.diff, Line{part, f.show(signed), f.show(seen), signed == seen})
	}
}

// compareStrings compares strings to sign line by line, for a SAS, and where the service tells only that.
func (f *file) compareStrings(ours, theirs string) {
	if ours == "" || theirs == "" || same(ours, theirs) {
		return
	}
	a, b := strings.Split(ours, "\n"), strings.Split(theirs, "\n")
	if len(b) == 1 && len(a) > 1 { // copied from where newlines are blanks
		f.compareWords(strings.Fields(ours), strings.Fields(theirs))
		return
	}
	names := lineNames(ours, f.get("sv"))
	for i := range max(len(a), len(b)) {
		x, y := at(a, i), at(b, i)
		name := first(at(names, i), fmt.Sprintf("line %d of the string to sign", i+1))
		f.line(name, x, y)
		if x == y {
			continue
		}
		why := fmt.Sprintf("%s: signed was %s, and the service has %s", name, f.quote(x), f.quote(y))
		switch {
		case name == "timestamp" || name == "scope":
			f.scopeDiffers(x, y, why)
		case name == "canonical request":
			f.found(HeaderChanged, Possible, "the canonical requests differ, and the service tells only their hash", "compare method, path, query and headers with what was signed")
		case name == "resource":
			f.found(Path, Proved, why, "sign for the container and blob that are asked for, of this account")
		case fieldParam(name) != "":
			f.found(QueryChanged, Proved, why, "use the SAS as it was made")
		default:
			f.found(QueryChanged, Likely, why, "use what was signed as it was made, and for what it was made")
		}
	}
}

// compareWords compares strings to sign of which one has lost its newlines, and empty lines with them.
func (f *file) compareWords(ours, theirs []string) {
	for i := range max(len(ours), len(theirs)) {
		if x, y := at(ours, i), at(theirs, i); x != y {
			f.line("string to sign", strings.Join(ours, " "), strings.Join(theirs, " "))
			f.found(QueryChanged, Likely, fmt.Sprintf("the strings to sign differ where %s was signed and the service has %s", f.quote(x), f.quote(y)), "use what was signed as it was made, and for what it was made")
			return
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

// lineNames names the lines of a string to sign: of the SigV4 family, and of the three kinds of SAS. Fields of a SAS stand behind
// the name that they have in the URL.
func lineNames(text, sv string) []string {
	lines := strings.Split(text, "\n")
	if len(lines) == 4 && (strings.HasPrefix(text, "AWS4-") || strings.HasPrefix(text, "GOOG4-") || strings.HasPrefix(text, "OSS4-")) {
		return []string{"algorithm", "timestamp", "scope", "canonical request"}
	}
	if sv == "" {
		for _, line := range lines { // the latest of its dates is the version, or later than what matters
			if _, err := time.Parse(time.DateOnly, line); err == nil && line > sv {
				sv = line
			}
		}
	}
	since := func(version string, names ...string) []string {
		if sv < version {
			return nil
		}
		return names
	}
	overrides := []string{"rscc", "rscd", "rsce", "rscl", "rsct"}
	var all []string
	switch resource := at(lines, 3); {
	case strings.HasPrefix(resource, "/") && strings.Count(at(lines, 4), "-") == 4: // a user's id
		all = slices.Concat([]string{"sp", "st", "se", "resource", "skoid", "sktid", "skt", "ske", "sks", "skv"}, since("2020-02-10", "saoid", "suoid", "scid"),
			since("2025-07-05", "skdutid", "sduoid"), []string{"sip", "spr", "sv", "sr", "snapshot"}, since("2020-12-06", "ses"), since("2026-04-06", "headers", "parameters"), overrides)
	case strings.HasPrefix(resource, "/"):
		all = slices.Concat([]string{"sp", "st", "se", "resource", "si"}, since("2015-04-05", "sip", "spr"), []string{"sv"}, since("2018-11-09", "sr", "snapshot"),
			since("2020-12-06", "ses"), overrides)
	case len(lines) >= 10 && !strings.Contains(text, ":/"):
		all = slices.Concat([]string{"account", "sp", "ss", "srt", "st", "se", "sip", "spr", "sv"}, since("2020-12-06", "ses"), []string{""})
	}
	if len(all) != len(lines) {
		return nil
	}
	return all
}

// fieldParam returns the parameter of a SAS that a line of its string to sign is, "" if it is none.
func fieldParam(line string) string {
	switch line {
	case "resource", "account", "snapshot", "headers", "parameters", "algorithm", "timestamp", "scope", "canonical request":
		return ""
	}
	if strings.HasPrefix(line, "line ") {
		return ""
	}
	return line
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
	list := strings.SplitN(names, ";", maxHeaders)
	if arrived := grouped(b.headers).values; slices.Contains(list, "host") {
		for _, name := range list {
			if name != "" && strings.TrimSpace(arrived[name]) == "" {
				f.found(HeaderMissing, Proved, "the header "+f.quote(name)+" is signed, and the service found none", "send every header of Presigned.Header; a proxy may have dropped it")
			}
		}
	}
	switch {
	case f.Signed != nil && f.Signed.URL != nil:
		f.compare(f.beside(f.Signed, b), b, Proved)
	case f.form != "" && f.url != nil:
		sent := f.Request
		if sent == nil || sent.URL == nil {
			sent = &http.Request{URL: f.url}
		}
		a := f.beside(sent, b)
		if f.Request == nil {
			a.method = b.method
		}
		diff := f.diff
		f.verb = "sent"
		f.compare(a, b, Likely) // something between has changed it, if what was sent was right
		f.verb = "signed"
		f.diff = diff
	}
}

// beside makes of a request what can be compared with a service's canonical request: the headers that it has, and a path without the
// bucket where that stands in the host.
func (f *file) beside(r *http.Request, theirs canonical) canonical {
	c := f.canonicalOf(r, theirs.headers)
	c.payload, c.signed = theirs.payload, theirs.signed
	if strings.HasSuffix(theirs.path, c.path) {
		c.path = theirs.path
	}
	ours := grouped(c.headers)
	c.headers = nil
	for _, h := range theirs.headers {
		value, ok := ours.values[h.name]
		host, _, _ := strings.Cut(value, ":")
		switch {
		case h.name != "host" && r != f.Signed && r != f.Request: // of which only the URL is known
			c.headers = append(c.headers, h)
		case h.name == "host" && f.provider == "gcs" && h.value == host: // Google takes it with and without a port, and shows one of them
			c.headers = append(c.headers, h)
		case ok:
			c.headers = append(c.headers, pair{h.name, value})
		}
	}
	return c
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
	return f.refusal.Code == "" && (f.toSign != "" || f.required == signer.ErrMismatch.Error())
}

// byKeys has a Verifier look at the request.
func byKeys(ctx context.Context, f *file) {
	if f.Verifier == nil {
		return
	}
	req, as := f.Request, ""
	if req == nil {
		if f.url == nil || f.url.Host == "" {
			f.verdict = "not asked: there is neither a Request nor a whole URL"
			return
		}
		req, as = &http.Request{Method: http.MethodGet, URL: f.url, Header: http.Header{}}, ", as a GET without headers (Evidence.Request would tell)"
	}
	if req.URL != nil && req.RequestURI == "" { // a client's: its URL says how it arrives
		arrived := *req
		arrived.Host = cmp.Or(req.Host, req.URL.Host)
		if req.TLS == nil && req.URL.Scheme == "https" {
			arrived.TLS = &tls.ConnectionState{}
		}
		req = &arrived
	}
	var seen signer.Trace
	_, err := f.Verifier.Verify(signer.WithTrace(ctx, &seen), req)
	f.verdict = "accepts the request" + as
	why := ""
	if err != nil {
		f.verdict = "refuses the request" + as
		why = "checked with the keys that were given" + as + ": " + f.quote(signer.RedactError(err).Error())
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
		if f.Trace != nil && len(f.diff) == 0 {
			if a, b, ok := both(string(f.Trace.CanonicalRequest), string(seen.CanonicalRequest), parseCanonical); ok {
				f.compare(a, b, Likely)
			}
		}
		if signed := methodOf(ctx, f.Verifier, req); signed != "" {
			certainty := Proved
			if f.Request == nil {
				certainty = Possible
			}
			f.found(Method, certainty, "with the keys that were given the signature is for "+signed+", and not for "+f.quote(cmp.Or(req.Method, http.MethodGet))+as, "send "+signed+", or sign for the method that is used")
			return
		}
		f.found(WrongSecret, Possible, why, "either the secret is another one, or the request is: compare with Evidence.Trace or Evidence.Signed")
	}
}

// methodOf is the method with which v takes a request, "" if there is none.
func methodOf(ctx context.Context, v signer.Verifier, req *http.Request) string {
	other := *req
	for _, other.Method = range [...]string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodPatch} {
		if _, err := v.Verify(ctx, &other); err == nil {
			return other.Method
		}
	}
	return ""
}
