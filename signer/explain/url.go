package explain

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// leeway is how far services let a request's date be off.
const leeway = 15 * time.Minute

// inURL looks at the URL and the headers alone.
func inURL(_ context.Context, f *file) {
	f.mangled()
	f.doubled()
	f.parameters()
	f.placed()
	if f.provider == "azure" {
		f.sas()
	}
}

// mangled finds what browsers, shells, mails and templates do to URLs.
func (f *file) mangled() {
	if f.escapedHTML() {
		f.found(HTMLEscaped, Proved, "the URL has &amp; or \\u0026 where & should be, so that all parameters but the first have other names", "write it into HTML by a template that escapes, and take it out of the page by the DOM; encode JSON with SetEscapeHTML(false)")
	}
	if f.raw != "" && f.url == nil {
		f.found(Malformed, Proved, "this is no URL: it cannot be parsed", "use the URL byte for byte as it was made")
		return
	}
	for _, p := range f.query {
		name := strings.ToLower(p.name)
		secret := signatureParam(name) || strings.HasSuffix(name, "security-token")
		switch {
		case secret && strings.Contains(p.value, " "):
			f.found(PlusMangled, Proved, "the value of "+f.quote(p.name)+" holds a space: a plus that was not written as %2B", "percent-encode the value once (url.QueryEscape), or better use the URL as it was made")
		case f.authParam(name) && hasEscape(p.value):
			f.found(DoubleEncoded, Proved, "the value of "+f.quote(p.name)+" is percent-encoded twice", "encode a URL never again as a whole")
		}
	}
	if f.url != nil && f.refusal.Code != "" && strings.Contains(f.url.EscapedPath(), "%25") && hasEscape(f.url.Path) { // names may have such parts
		f.found(DoubleEncoded, Possible, "the path holds %25, as if it had been percent-encoded twice", "pass object names as they are: Request.Key is never percent-encoded")
	}
	if lower := strings.ToLower(f.pathOf()); f.form == "" && strings.Contains(lower, "%3f") && (strings.Contains(lower, "signature=") || strings.Contains(lower, "sig=") || strings.Contains(lower, "signature%3d")) {
		f.found(DoubleEncoded, Proved, "the question mark is percent-encoded, so that the signature is a part of the path", "encode a URL never again as a whole")
	}
	if f.url != nil && !clean(f.url.Path) {
		f.found(DotSegments, Likely, "the path has . or .. segments, which clients and proxies resolve before they send it", "use other names; this module signs them as they are")
	}
}

func (f *file) escapedHTML() bool {
	return strings.Contains(f.raw, "&amp;") || strings.Contains(f.raw, "&#38;") || strings.Contains(f.raw, `\u0026`)
}

// hasEscape reports whether s holds a percent-encoded byte.
func hasEscape(s string) bool {
	for i := strings.IndexByte(s, '%'); i >= 0 && i+2 < len(s); {
		if _, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
			return true
		}
		next := strings.IndexByte(s[i+1:], '%')
		if next < 0 {
			return false
		}
		i += 1 + next
	}
	return false
}

// authParam reports whether a parameter is one of the signature, and no metadata or header that stands in the URL.
func (f *file) authParam(lower string) bool {
	switch f.provider {
	case "s3", "gcs", "oss":
		_, name, ok := strings.Cut(strings.TrimPrefix(lower, "x-"), "-")
		return ok && strings.HasPrefix(lower, "x-") && slices.Contains([]string{"algorithm", "credential", "date", "expires", "signedheaders", "signature", "signature-version",
			"additional-headers", "security-token"}, name) || f.family() == version2 && slices.Contains([]string{"signature", "expires", "awsaccesskeyid", "googleaccessid", "ossaccesskeyid"}, lower)
	case "azure":
		return slices.Contains([]string{"sig", "se", "st", "sp", "sv", "sr", "ss", "srt", "spr", "sip", "skoid", "ske", "skt"}, lower)
	case "cdn":
		return slices.Contains([]string{"expires", "keyname", "signature", "urlprefix"}, lower)
	}
	return false
}

// doubled finds more than one signature.
func (f *file) doubled() {
	if f.auth != "" && f.form == "URL" && !f.sasInHeader() {
		f.found(TwoSignatures, Likely, "the URL is signed, and the request has an Authorization header as well", "send none with a signed URL: clients carry it along in redirects; signer.CheckRedirect keeps them from it, signer.Redirector answers so that it cannot happen")
	}
	schemes := map[string]bool{}
	seen := map[string]bool{}
	for _, p := range f.query {
		name := strings.ToLower(p.name)
		if signatureParam(name) && p.value != "" && (name != "sig" || f.has("sv")) { // elsewhere sig may be anything
			schemes[name] = true
		}
		if seen[name] && f.authParam(name) {
			f.found(TwoSignatures, Proved, "the parameter "+f.quote(p.name)+" is there twice", "sign a URL once, and never one that is signed already")
		}
		seen[name] = true
	}
	if len(schemes) > 1 {
		f.found(TwoSignatures, Proved, "the URL has signatures of two schemes", "sign a URL once")
	}
	if f.sasInHeader() {
		f.found(SASInHeader, Proved, "the Authorization header holds a SAS", "append the SAS to the URL, behind a question mark")
	}
}

// parameters checks those of the SigV4 family.
func (f *file) parameters() {
	prefix := map[string]string{"s3": "X-Amz-", "gcs": "X-Goog-", "oss": "x-oss-"}[f.provider]
	if f.family() == version2 {
		if at := providerOfHost(f.host); at != "" && at != f.provider {
			f.found(Algorithm, Likely, "it is signed with "+f.scheme+", and the host is another provider's, which knows other names of parameters", "sign with the provider's own package, in version 4")
		}
		f.found(Algorithm, Possible, "it is signed with "+f.scheme+", which services withdraw", "sign with version 4; this module does")
		return
	}
	if f.provider == "cdn" && f.form == "URL" && !f.token {
		for _, name := range []string{"Expires", "KeyName", "Signature"} {
			if f.get(name) == "" {
				f.found(Truncated, Proved, "the URL has no "+name, "use the whole URL, in quotes: a shell cuts it at the first &")
			}
		}
	}
	if f.form != "URL" || prefix == "" {
		return
	}
	want := []string{"Credential", "Date", "Expires", "SignedHeaders", "Signature"}
	if f.provider == "oss" {
		want = []string{"credential", "date", "expires", "signature"}
	}
	missing := ""
	for _, name := range want {
		if f.get(prefix+name) == "" {
			missing = first(missing, prefix+name)
		}
	}
	if missing != "" && !f.escapedHTML() {
		f.found(Truncated, Proved, "the URL has no "+missing, "use the whole URL, in quotes: a shell cuts it at the first &")
	}
	if sig := f.get(prefix + "Signature"); sig != "" && f.scheme != "GOOG4-RSA-SHA256" && !strings.Contains(f.scheme, "ECDSA") && !hexadecimal(sig, 64) {
		f.found(Truncated, Likely, fmt.Sprintf("the signature has %d characters, and should have 64 hexadecimal digits in lower case", len(sig)), "use the URL byte for byte as it was made")
	}
	if n, err := strconv.Atoi(f.get(prefix + "Expires")); f.has(prefix+"Expires") && (err != nil || n < 1 || n > 604800) {
		f.found(Lifetime, Proved, prefix+"Expires is "+f.quote(f.get(prefix+"Expires"))+", and may be 1 to 604800", "presign for 1 second to 7 days")
	}
	if len(f.scope) == 4 && !f.signedAt.IsZero() && f.scope[0] != f.signedAt.Format("20060102") {
		f.found(DateMismatch, Proved, fmt.Sprintf("the scope is of the day %s, and the signature of %s", f.quote(f.scope[0]), instant(f.signedAt)), "take both from one reading of the clock")
	}
	if f.provider != "oss" && f.has(prefix+"SignedHeaders") && !slices.Contains(f.signedHeaders, "host") {
		f.found(Malformed, Proved, "host is not among the signed headers", "sign host; every signer must")
	}
	for _, name := range f.signedHeaders {
		_, sent := f.headers[http.CanonicalHeaderKey(name)]
		if f.Request != nil && !sent && name != "" && !slices.Contains([]string{"host", "content-length", "user-agent", "accept-encoding", "transfer-encoding", "expect"}, name) {
			f.found(HeaderMissing, Proved, "the header "+f.quote(name)+" is signed, and the request has none", "send every header of Presigned.Header")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.headers)) {
		if f.vendorHeader(name) && !f.signsHeader(name) {
			f.found(HeaderAdded, Likely, "the request has the header "+f.quote(name)+", which is not signed", "put it into Request.Header when presigning, or do not send it")
		}
	}
}

// placed compares the credential with the host.
func (f *file) placed() {
	host := f.hostRegion()
	switch {
	case f.provider == "oss" && strings.HasPrefix(f.region, "oss-"):
		f.found(WrongRegion, Proved, "the region of the signature is "+f.quote(f.region)+", and regions have no oss- in front", "set Region to "+f.quote(strings.TrimPrefix(f.region, "oss-")))
	case f.region != "" && host != "" && host != f.region:
		f.found(WrongRegion, Likely, "the signature is for the region "+f.quote(f.region)+", and the host is in "+f.quote(host), "set Region to "+f.quote(host))
	}
	if f.service != "" && (f.provider == "s3" && providerOfHost(f.host) == "s3" && !strings.HasPrefix(f.service, "s3") || f.provider == "oss" && !strings.HasPrefix(f.service, "oss")) {
		f.found(WrongService, Likely, "the signature is for the service "+f.quote(f.service), `sign for "s3", or for OSS "oss"`)
	}
	if (strings.HasPrefix(f.keyID, "ASIA") || strings.HasPrefix(f.keyID, "STS.")) && f.form != "" && !f.hasToken() {
		f.found(TokenMissing, Proved, "the access key id is one of temporary credentials, and there is no token of theirs", "give the signer the session token as well")
	}
	if at := providerOfHost(f.host); at == "oss" && f.provider == "s3" && !strings.HasPrefix(f.host, "s3.") {
		f.found(Algorithm, Likely, "the signature is one of AWS's, and the host is OSS's", "sign with OSS4: package oss")
	}
}

// sas checks what a SAS says of itself and of the request.
func (f *file) sas() {
	if f.form != "URL" {
		return
	}
	for _, name := range []string{"sv", "sig"} {
		if f.get(name) == "" {
			f.found(Truncated, Proved, "the SAS has no "+name, "use the whole SAS, in quotes: a shell cuts a URL at &")
		}
	}
	if sig := f.get("sig"); sig != "" && !strings.ContainsAny(sig, " %") && len(sig) != 44 {
		f.found(Truncated, Likely, fmt.Sprintf("sig has %d characters, and should have 44", len(sig)), "use the SAS byte for byte as it was made")
	}
	if f.get("spr") == "https" && f.url != nil && f.url.Scheme == "http" {
		f.found(Protocol, Proved, "the SAS is for https, and the URL begins with http:", "use https")
	}
	if !f.start.IsZero() && !f.end.IsZero() && !f.start.Before(f.end) {
		f.found(Malformed, Proved, "it ends ("+instant(f.end)+") before it starts ("+instant(f.start)+")", "sign anew")
	}
	list := f.get("comp") == "list"
	if sr := f.get("sr"); list && (sr == "b" || sr == "bs" || sr == "bv") {
		f.found(Scope, Likely, "the SAS is for a blob (sr="+sr+"), and the request lists a container", "sign for the container")
	}
	need := map[string]string{http.MethodGet: "r", http.MethodHead: "r", http.MethodPut: "cwatixop", http.MethodDelete: "dxy"}[f.method]
	if list {
		need = "lf"
	}
	if sp := f.get("sp"); sp != "" && need != "" && !strings.ContainsAny(sp, need) {
		f.found(Permission, Likely, "the SAS allows "+f.quote(sp)+", and "+f.method+" needs one of "+f.quote(need), "sign for the method that is used, or give SAS.Permissions its letter")
	}
}

// inTimes compares the times that the signature has with the clocks that are known.
func inTimes(_ context.Context, f *file) {
	now, whose := f.server, "the service's clock"
	if now.IsZero() {
		now, whose = f.Now, "the local clock"
	}
	alone := f.Status == 0 && len(f.Body) == 0
	if !f.server.IsZero() && !f.Now.IsZero() && f.server.Sub(f.Now).Abs() > 4*time.Minute {
		f.found(ClockSkew, Likely, fmt.Sprintf("the service's clock says %s and the local one %s: it is %s", instant(f.server), instant(f.Now), offset(f.Now.Sub(f.server))),
			"correct the machine's clock (NTP), or give the signer a clock.Source")
	}
	if now.IsZero() {
		return
	}
	certainty := Likely
	switch {
	case alone && whose == "the local clock":
		certainty = Proved // there is nothing else to know
	case f.mismatched():
		certainty = Possible // most services look at the times first, and would have said so
	}
	if !f.end.IsZero() && !now.Before(f.end) {
		f.found(Expired, certainty, fmt.Sprintf("it ended at %s, and %s says %s", instant(f.end), whose, instant(now)), "presign again when it is used; signer.RefreshTransport does")
	}
	early := leeway
	if f.provider == "azure" || f.provider == "cdn" {
		early = 0
	}
	if !f.start.IsZero() && f.start.After(now.Add(early)) {
		f.found(NotYetValid, certainty, fmt.Sprintf("it starts at %s, and %s says %s", instant(f.start), whose, instant(now)), "correct the signer's clock, or wait")
	}
	if f.form == "Authorization header" && !f.signedAt.IsZero() && f.signedAt.Sub(now).Abs() > leeway {
		f.found(ClockSkew, certainty, fmt.Sprintf("the request is dated %s, and %s says %s: the signer's is %s", instant(f.signedAt), whose, instant(now), offset(f.signedAt.Sub(now))),
			"correct the machine's clock (NTP), or give the signer a clock.Source")
	}
}

// leftover has what remains possible when nothing is proved: services answer these with the same words.
func leftover(_ context.Context, f *file) {
	if slices.ContainsFunc(f.causes, func(c Cause) bool { return c.Certainty == Proved }) {
		return
	}
	azurite := f.refusal.Code == "AuthorizationFailure" && strings.Contains(f.refusal.Message, "failed to authenticate")
	silent := f.refusal.Code == "" && f.required == "" && (f.Status == http.StatusForbidden || f.Status == http.StatusUnauthorized || f.Status == http.StatusBadRequest)
	if !f.mismatched() && !azurite && !silent {
		return
	}
	possible := func(id ID, why, fix string) { f.found(id, Possible, why, fix) }
	compare := "compare with what was signed: give Evidence.Trace (signer.WithTrace)"
	if f.Trace != nil || f.Signed != nil {
		compare = "compare with what was sent: give Evidence.Request, with its method and headers"
	}
	if f.form == "" && f.auth == "" && f.raw != "" {
		f.unsigned()
		if !f.mismatched() {
			return
		}
	}
	if f.unchanged {
		f.found(WrongSecret, Likely, "what was sent is what was signed", "check the secret of the key "+f.quote(f.keyID))
	}
	if f.provider == "oss" {
		for _, name := range slices.Sorted(maps.Keys(f.headers)) {
			if f.vendorHeader(name) {
				possible(HeaderAdded, "the request has the header "+f.quote(name)+", which OSS counts as signed", "sign it (Request.Header), or do not send it")
			}
		}
		if kind := f.headers.Get("Content-Type"); kind != "" {
			possible(ContentType, "the request has a Content-Type, which OSS counts as signed: "+f.quote(kind), "sign it (Request.Header), or send none")
		}
	}
	if !f.unchanged && !f.sameURL && strings.ContainsAny(f.pathOf(), "%+ ") {
		possible(PathEncoding, "the path has characters that clients and proxies encode in different ways: "+f.quote(f.pathOf()), "use the URL byte for byte; "+compare)
	}
	f.appended()
	f.rotated(now(f))
	possible(WrongSecret, "the secret may be another one, or have blanks about it", "check the secret of the key "+f.quote(f.keyID))
	if azurite || silent {
		possible(Expired, "this service does not say whether the signature has expired", "look at its end, and at both clocks")
		possible(NotYetValid, "this service does not say whether the signature has begun", "look at its beginning, and at both clocks")
		if f.provider == "azure" || azurite {
			possible(Scope, "this service does not say whether the SAS is for this resource", "look at sr, ss and srt")
			possible(Malformed, "this service does not say whether a field is missing or of another form", compare)
			possible(KeyRotated, "this service does not say whether the key is still one of the account's", "sign anew with a current key")
		}
		if silent && f.provider != "azure" {
			possible(Account, "this service does not say whether who signed may do this", "give the account that signs the permission")
		}
	}
	if f.unchanged {
		return
	}
	if f.signsMethod() {
		possible(Method, "the method may be another one than was signed: a URL for GET is not one for HEAD", compare)
	}
	if f.form != "" && f.provider != "azure" {
		possible(Host, "a proxy may have changed the host", compare)
	}
	if !f.sameURL {
		possible(Path, "the path may be another one than was signed", compare)
		possible(QueryChanged, "a parameter may have been changed", compare)
	}
	if !f.sameURL && f.form != "" && f.provider != "azure" {
		possible(QueryAdded, "a parameter may have been added", compare)
		possible(QueryMissing, "a parameter may have been lost", compare)
	}
	if f.form != "" && f.family() != sas && f.family() != cloudCDN {
		possible(ContentType, "the client may have set another Content-Type than was signed", compare)
		possible(HeaderChanged, "a signed header may have been changed on the way", compare)
		possible(HeaderMissing, "a signed header may have been dropped on the way", compare)
		possible(Payload, "the body may be another one than was signed", compare)
	}
}

// appended finds parameters behind the signature, which signers write last, or sort with the others.
func (f *file) appended() {
	sorted := slices.IsSortedFunc(f.query, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	behind := false
	for _, p := range f.query {
		name := strings.ToLower(p.name)
		if behind && !sorted && !strings.HasPrefix(name, "x-") && !f.authParam(name) && f.signsParam(name) {
			f.found(QueryAdded, Likely, "the parameter "+f.quote(p.name)+" stands behind the signature, as if it had been added later", "put it into Request.Query when presigning, or leave it out; analytics and caches add such")
		}
		behind = behind || strings.HasPrefix(name, "x-") && signatureParam(name)
	}
}

// now is the best clock that the evidence has.
func now(f *file) time.Time {
	if !f.server.IsZero() {
		return f.server
	}
	return f.Now
}

// rotated finds signatures by keys that Google keeps and changes: they are sure to work for 12 hours, and seldom do for a fortnight.
//
// https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signBlob
func (f *file) rotated(now time.Time) {
	if f.provider != "gcs" || f.form != "URL" || f.scheme == "GOOG4-HMAC-SHA256" || now.IsZero() || !strings.Contains(f.keyID, "@") {
		return
	}
	fix := "sign for 12 hours at most where Google keeps the key (signBlob), or with a key of your own"
	switch age := now.Sub(f.signedAt); {
	case !f.signedAt.IsZero() && age > 12*time.Hour:
		f.found(KeyRotated, Likely, fmt.Sprintf("it was signed %s ago, and a key that Google keeps for an account is sure to work for 12 hours only", age.Round(time.Hour)), fix)
	case f.signedAt.IsZero() && f.end.Sub(now) > 14*24*time.Hour:
		f.found(KeyRotated, Likely, "it is to work until "+instant(f.end)+", and a key that Google keeps for an account does not last as long", fix)
	}
}

func (f *file) pathOf() string {
	if f.url == nil {
		return ""
	}
	return f.url.EscapedPath()
}

func hexadecimal(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}
