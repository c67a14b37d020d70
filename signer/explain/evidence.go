package explain

import (
	"html"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/refusal"
	"github.com/cloudsigner/cloudsigner/internal/wire"
)

// A file is the evidence, read: what the signature says, and what the service said.
type file struct {
	*Evidence
	provider, scheme, form string

	url     *url.URL // nil if there is none, or if it cannot be read
	raw     string   // the URL as it was given
	query   []pair   // decoded once, in the order of the URL
	auth    string   // the Authorization header
	method  string   // as sent; "" if it is not known
	host    string   // as sent
	headers http.Header

	scope         []string // of a credential: date, region, service
	region        string
	service       string
	keyID         string
	signedHeaders []string
	signedAt      time.Time
	start, end    time.Time // zero where the signature does not say it

	refusal *refusal.Refusal
	server  time.Time // the service's clock when it answered
	theirs  string    // the canonical request that the service made
	toSign  string    // and its string to sign

	token     bool   // the signature's fields stand together, not as parameters of their own
	verb      string // what was done to that with which the service's is compared: "signed" or "sent"
	unchanged bool   // what was sent is known to be what was signed
	sameURL   bool   // of what was sent only the URL is known, and it is what was signed
	required  string // what signer.Require said, without "signature: "
	verdict   string // what the Verifier said
	scrub     *strings.Replacer

	causes []Cause
	diff   []Line
}

type pair struct{ name, value string }

// What of the evidence is looked at. Servers take 8 KiB of a URL and 100 headers.
const (
	maxURL     = 64 << 10
	maxParams  = 1000
	maxHeaders = 1000
	maxLines   = 1000
)

// read reads the evidence, and fails at nothing: what cannot be read is not known.
func read(e *Evidence) *file {
	f := &file{Evidence: e, raw: e.URL, verb: "signed", headers: http.Header{}, refusal: &refusal.Refusal{}}
	if e.Request != nil {
		f.method, f.host, f.headers = e.Request.Method, e.Request.Host, e.Request.Header
		if f.method == "" {
			f.method = http.MethodGet
		}
		if f.raw == "" && e.Request.URL != nil {
			f.raw = e.Request.URL.String()
		}
	}
	f.raw = strings.TrimSpace(f.raw[:min(len(f.raw), maxURL)])
	clean := f.raw
	if strings.Contains(clean, "&amp;") || strings.Contains(clean, "&#38;") || strings.Contains(clean, `\u0026`) {
		clean = html.UnescapeString(strings.ReplaceAll(clean, `\u0026`, "&"))
	}
	if u, err := url.Parse(clean); err == nil && clean != "" {
		f.url = u
		for name, value := range wire.Pairs(u.RawQuery) {
			n, err1 := url.QueryUnescape(name)
			v, err2 := url.QueryUnescape(value)
			if err1 == nil && err2 == nil && len(f.query) < maxParams {
				f.query = append(f.query, pair{n, v})
			}
		}
		if f.host == "" {
			f.host = u.Host
		}
	}
	f.auth = f.headers.Get("Authorization")
	f.recognise()

	if e.Status != 0 || len(e.Body) > 0 || len(e.Header) > 0 {
		status := e.Status
		if status == 0 {
			status = http.StatusForbidden
		}
		if r, _ := refusal.Of(status, e.Header, e.Body); r.Code != "" {
			f.refusal = r
		} else {
			f.refusal = readAnswer(e.Body)
		}
		if code := e.Header.Get("X-Ms-Error-Code"); f.refusal.Code == "" && code != "" {
			f.refusal.Code = code
		}
		if f.refusal.Code == "" {
			f.required = readRequired(e.Body)
		}
		f.server = f.refusal.ServerTime
		if date, err := http.ParseTime(e.Header.Get("Date")); err == nil && f.server.IsZero() && e.Header.Get("Age") == "" {
			f.server = date
		}
		f.theirs, f.toSign = f.refusal.Text("CanonicalRequest"), f.refusal.Text("StringToSign")
		if s := between(f.detail(), "String to sign used was ", ""); s != "" { // Azure
			f.toSign = s
		}
		if s := between(f.refusal.Message+f.detail(), "following string to sign: '", "'"); s != "" {
			f.toSign = s
		}
	}
	if f.provider == "" {
		f.provider = f.providerOfAnswer()
	}
	f.scrub = strings.NewReplacer(f.secrets()...)
	return f
}

// detail is where Azure, GCS and OSS say more.
func (f *file) detail() string {
	return f.refusal.Text("AuthenticationErrorDetail") + f.refusal.Text("Details")
}

// get returns a parameter of the query, in whatever case its name is.
func (f *file) get(name string) string {
	v, _ := f.lookup(name)
	return v
}

func (f *file) lookup(name string) (value string, ok bool) {
	for _, p := range f.query {
		if strings.EqualFold(p.name, name) {
			return p.value, true
		}
	}
	return "", false
}

func (f *file) has(name string) bool {
	_, ok := f.lookup(name)
	return ok
}

// recognise finds the scheme, and reads what it says.
func (f *file) recognise() {
	for _, family := range []struct{ provider, prefix, algorithm, word string }{
		{"s3", "X-Amz-", "AWS4-", "AWS4"}, {"gcs", "X-Goog-", "GOOG4-", "GOOG4"}, {"oss", "x-oss-", "OSS4-", "OSS4"},
	} {
		sep := family.prefix
		if f.signedBy(sep) {
			f.provider, f.form = family.provider, "URL"
			f.scheme = f.get(sep + "Algorithm")
			if family.provider == "oss" {
				f.scheme = f.get("x-oss-signature-version")
			}
			f.credential(f.get(sep + "Credential"))
			if list := f.get(sep + "SignedHeaders"); list != "" {
				f.signedHeaders = strings.SplitN(list, ";", maxHeaders)
			}
			f.signedAt = stamp(f.get(sep + "Date"))
			f.start = f.signedAt
			if n, err := strconv.Atoi(f.get(sep + "Expires")); err == nil && !f.start.IsZero() && n > 0 && n < 1<<31 {
				f.end = f.start.Add(time.Duration(n) * time.Second)
			}
			return
		}
		if strings.HasPrefix(f.auth, family.algorithm) {
			f.provider, f.form = family.provider, "Authorization header"
			var pairs string
			f.scheme, pairs, _ = strings.Cut(f.auth, " ")
			for _, p := range strings.Split(pairs, ",") {
				name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
				switch name {
				case "Credential":
					f.credential(value)
				case "SignedHeaders", "AdditionalHeaders":
					f.signedHeaders = strings.SplitN(value, ";", maxHeaders)
				}
			}
			f.signedAt = stamp(f.headers.Get(family.prefix + "Date"))
			return
		}
	}
	switch {
	case f.has("sig") && (f.has("sv") || f.has("sr") || f.has("se")), f.has("sv") && providerOfHost(f.host) == "azure", f.has("sv") && len(f.get("sv")) == 10 && strings.Count(f.get("sv"), "-") == 2:
		f.provider, f.form, f.scheme = "azure", "URL", "service SAS"
		switch {
		case f.has("skoid"):
			f.scheme = "user delegation SAS"
		case f.has("ss"):
			f.scheme = "account SAS"
		}
		f.start, f.end = isoTime(f.get("st")), isoTime(f.get("se"))
		if start := isoTime(f.get("skt")); start.After(f.start) { // it works while its key does
			f.start = start
		}
		if end := isoTime(f.get("ske")); !end.IsZero() && (f.end.IsZero() || end.Before(f.end)) {
			f.end = end
		}
	case f.has("KeyName") && (f.has("Signature") || f.has("Expires") || f.has("URLPrefix")):
		f.provider, f.form, f.scheme = "cdn", "URL", "Cloud CDN"
		if len(f.get("Signature")) > 40 { // Ed25519, where Cloud CDN has SHA-1
			f.scheme = "Media CDN"
		}
		f.end = unix(f.get("Expires"))
		f.keyID = f.get("KeyName")
	case strings.Contains(f.pathOf(), "/edge-cache-token="), f.has("edge-cache-token"):
		f.form = "URL"
		f.readToken("Media CDN", f.get("edge-cache-token")+between(f.pathOf(), "/edge-cache-token=", "/"))
	case f.cookie("Cloud-CDN-Cookie") != "":
		f.form = "cookie"
		f.readToken("Cloud CDN", f.cookie("Cloud-CDN-Cookie"))
	case f.cookie("Edge-Cache-Cookie") != "":
		f.form = "cookie"
		f.readToken("Media CDN", f.cookie("Edge-Cache-Cookie"))
	case f.has("Signature") && f.has("OSSAccessKeyId"):
		f.provider, f.form, f.scheme = "oss", "URL", "OSS version 1"
		f.keyID, f.end = f.get("OSSAccessKeyId"), unix(f.get("Expires"))
	case f.has("Signature") && f.has("AWSAccessKeyId"):
		f.provider, f.form, f.scheme = "s3", "URL", "AWS version 2"
		f.keyID, f.end = f.get("AWSAccessKeyId"), unix(f.get("Expires"))
	case f.has("Signature") && f.has("GoogleAccessId"):
		f.provider, f.form, f.scheme = "gcs", "URL", "GOOG version 2"
		f.keyID, f.end = f.get("GoogleAccessId"), unix(f.get("Expires"))
	case strings.HasPrefix(f.auth, "SharedKey"):
		f.provider, f.form = "azure", "Authorization header"
		f.scheme, _, _ = strings.Cut(f.auth, " ")
		f.signedAt, _ = http.ParseTime(f.headers.Get("X-Ms-Date"))
	case strings.HasPrefix(f.auth, "AWS "):
		f.provider, f.form, f.scheme = "s3", "Authorization header", "AWS version 2"
	case strings.HasPrefix(f.auth, "OSS "):
		f.provider, f.form, f.scheme = "oss", "Authorization header", "OSS version 1"
	default:
		f.provider = providerOfHost(f.host)
	}
}

// readToken reads the fields of a signature that stands in a cookie, a part of the path or one parameter.
func (f *file) readToken(scheme, token string) {
	f.provider, f.scheme, f.token = "cdn", scheme, true
	for field := range strings.FieldsFuncSeq(token, func(r rune) bool { return r == ':' || r == '~' || r == '&' }) {
		switch name, value, _ := strings.Cut(field, "="); name {
		case "Starts":
			f.start = unix(value)
		case "Expires":
			f.end = unix(value)
		case "KeyName":
			f.keyID = value
		}
	}
}

func (f *file) cookie(name string) string {
	for _, line := range f.headers["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			if n, value, _ := strings.Cut(strings.TrimSpace(pair), "="); n == name {
				return value
			}
		}
	}
	return ""
}

// signedBy reports whether the URL has a parameter of a signature of the SigV4 family with that prefix.
func (f *file) signedBy(prefix string) bool {
	for _, name := range []string{"Signature", "Algorithm", "Credential", "Date", "Expires", "signature-version"} {
		if f.has(prefix + name) {
			return true
		}
	}
	return false
}

// credential reads ID/DATE/REGION/SERVICE/terminator. An id may hold slashes.
func (f *file) credential(text string) {
	parts := strings.Split(text, "/")
	f.keyID = parts[0]
	if n := len(parts); n >= 5 {
		f.keyID = strings.Join(parts[:n-4], "/")
		f.scope = parts[n-4:]
		f.region, f.service = f.scope[1], f.scope[2]
	}
}

func providerOfHost(host string) string {
	name, _, _ := strings.Cut(strings.ToLower(host), ":")
	for _, p := range []struct{ suffix, provider string }{
		{".amazonaws.com", "s3"}, {".amazonaws.com.cn", "s3"}, {"storage.googleapis.com", "gcs"}, {"storage.cloud.google.com", "gcs"},
		{".core.windows.net", "azure"}, {".core.usgovcloudapi.net", "azure"}, {".core.chinacloudapi.cn", "azure"}, {".aliyuncs.com", "oss"},
	} {
		if strings.HasSuffix(name, p.suffix) {
			return p.provider
		}
	}
	return ""
}

// providerOfAnswer recognises who answered.
func (f *file) providerOfAnswer() string {
	for _, known := range []pair{{"X-Amz-Request-Id", "s3"}, {"X-Guploader-Uploadid", "gcs"}, {"X-Ms-Request-Id", "azure"}, {"X-Oss-Request-Id", "oss"}} {
		if f.Header.Get(known.name) != "" {
			return known.value
		}
	}
	switch {
	case f.refusal.Text("EC") != "":
		return "oss"
	case f.refusal.Text("AuthenticationErrorDetail") != "" || strings.Contains(f.refusal.Message, "\nTime:"):
		return "azure"
	case strings.HasPrefix(f.toSign, "GOOG"):
		return "gcs"
	case strings.HasPrefix(f.toSign, "AWS4"):
		return "s3"
	}
	return ""
}

// region of a regional host, "" if it names none.
func (f *file) hostRegion() string {
	name, _, _ := strings.Cut(strings.ToLower(f.host), ":")
	for _, suffix := range []string{".amazonaws.com", ".amazonaws.com.cn"} {
		if rest, ok := strings.CutSuffix(name, suffix); ok {
			labels := strings.Split(rest, ".")
			last := labels[len(labels)-1]
			if i := strings.LastIndex(last, "s3-"); i == 0 && strings.Count(last, "-") >= 3 {
				return last[3:] // s3-eu-west-1
			}
			if len(labels) > 1 && strings.Count(last, "-") >= 2 && !strings.HasPrefix(last, "s3") {
				return last
			}
			return ""
		}
	}
	if rest, ok := strings.CutSuffix(name, ".aliyuncs.com"); ok {
		labels := strings.Split(rest, ".")
		if region, ok := strings.CutPrefix(labels[len(labels)-1], "oss-"); ok && !strings.HasPrefix(region, "accelerate") {
			return strings.TrimSuffix(region, "-internal")
		}
	}
	return ""
}

// facts are what the signature says, for a reader.
func (f *file) facts() (all []Fact) {
	add := func(name, value string) {
		if value != "" {
			all = append(all, Fact{name, f.show(value)})
		}
	}
	date := func(name string, t time.Time) {
		if !t.IsZero() {
			add(name, t.UTC().Format(time.RFC3339))
		}
	}
	add("method", f.method)
	add("host", f.host)
	add("path", f.pathOf())
	add("key", f.keyID)
	add("region", f.region)
	add("service", f.service)
	add("permissions", f.get("sp"))
	add("signed headers", strings.Join(f.signedHeaders, ", "))
	date("signed at", f.signedAt)
	if !f.start.Equal(f.signedAt) {
		date("starts", f.start)
	}
	date("ends", f.end)
	if f.Status != 0 {
		add("answer", strings.TrimSpace(strconv.Itoa(f.Status)+" "+f.refusal.Code))
	}
	date("service's clock", f.server)
	add("verifier", f.verdict)
	return all
}

func stamp(s string) time.Time {
	t, _ := time.Parse("20060102T150405Z", s)
	return t
}

func isoTime(s string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	return time.Time{}
}

func unix(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > 253402300799 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// between returns what stands between two marks; "" for the second is the end of the text.
func between(text, from, to string) string {
	_, rest, ok := strings.Cut(text, from)
	if !ok {
		return ""
	}
	if to != "" {
		rest, _, _ = strings.Cut(rest, to)
	}
	return rest
}

// found adds a cause. The first of those that are as certain stands for all of its kind.
func (f *file) found(id ID, c Certainty, why, fix string) {
	if !slices.ContainsFunc(f.causes, func(f Cause) bool { return f.ID == id && f.Certainty >= c }) {
		f.causes = append(f.causes, Cause{id, c, why, fix})
	}
}

// clean reports whether a path means the same to every client.
func clean(p string) bool {
	return !strings.Contains(p+"/", "/./") && !strings.Contains(p+"/", "/../") && (p == "" || path.IsAbs(p))
}
