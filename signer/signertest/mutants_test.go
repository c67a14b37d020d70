package signertest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A mutant is package s3 with one mistake in it, or in what it is built on.
type mutant struct {
	name  string
	edits []edit
	rule  string // that must find the mistake
	also  string // rules that may find it too, separated by spaces
}

const anything = "*"

// An edit replaces a text of a file that is there exactly once.
type edit struct{ file, old, new string }

func one(file, old, new string) []edit { return []edit{{file, old, new}} }

const (
	s3File     = "s3/s3.go"
	verifyFile = "s3/verify.go"
	authFile   = "s3/authorization.go"
	placeFile  = "s3/endpoint.go"
	sigv4aFile = "s3/sigv4a.go"
	checkFile  = "internal/pipeline/check.go"
	httpFile   = "internal/pipeline/http.go"
	claimFile  = "internal/pipeline/inbound.go"
	timesFile  = "internal/pipeline/times.go"
	stepsFile  = "internal/pipeline/pipeline.go"
	sigv4File  = "internal/sigv4/sigv4.go"
	cacheFile  = "internal/sigv4/cache.go"
)

func signerMutants() []mutant {
	return []mutant{
		{"the key cache ignores the secret", []edit{
			{cacheFile, "e.scope == scope && e.secret.Equal(secret)", "e.scope == scope"},
			{cacheFile, "fingerprint := secret.Fingerprint()", "var fingerprint [32]byte"},
		}, "rotation", "independent"},
		{"the clock is read twice", one(s3File,
			"stamp := w.Stamp(w.Plan.Start)\n\tsc := t.scope(stamp)",
			"stamp := w.Stamp(w.Plan.Start)\n\tagain, _ := s.clock.Read()\n\t_ = again\n\tsc := t.scope(stamp)"),
			"clock-read-once", ""},
		{"a clock that has learned is asked for the machine's time", one(stepsFile, "learned, _ := c.(clock.Learned)", "var learned clock.Learned"), "clock-learned", ""},
		{"the clock's wall time is taken for UTC", one(timesFile,
			"*p = Plan{Now: now.Unix(),", "_, zone := now.Zone()\n\t*p = Plan{Now: now.Unix() + int64(zone),"),
			"time-zone", ""},
		{"the stamp is in local time", one(sigv4File, "t := time.Unix(unix, 0).UTC()", `t := time.Unix(unix, 0).In(time.FixedZone("", 345*60))`),
			"accepted-in-time", anything},
		{"SigV4a with a random nonce", []edit{
			{sigv4aFile, "k.private().Sign(nil,", "k.private().Sign(rand.Reader,"},
			{sigv4aFile, `"crypto/hmac"`, "\"crypto/hmac\"\n\t\"crypto/rand\""},
		}, "deterministic", "independent clock-learned time-zone concurrent methods resign-replaces window spread rotation"},
		{"what was put together for one life serves the next", one(s3File, "framed{w.Plan.Start, w.Plan.End, method,", "framed{0, w.Plan.End, method,"), "independent", anything},
		{"what was put together for one method serves all", one(s3File, "framed{w.Plan.Start, w.Plan.End, method,", "framed{w.Plan.Start, w.Plan.End, \"\","), "independent", anything},
		{"what was put together serves a request with headers", one(checkFile, "len(r.Query)+len(r.Header) == 0", "len(r.Query) == 0"), "independent", anything},
		{"the hash state is shared by all goroutines", []edit{
			{sigv4File, "return &Key{macs: sync.Pool{New: func() any {\n\t\treturn &mac{Hash: hmac.New(sha256.New, key)}\n\t}}}",
				"one := &mac{Hash: hmac.New(sha256.New, key)}\n\treturn &Key{macs: sync.Pool{New: func() any { return one }}}"},
			{sigv4File, "m.Write(stringToSign)\n", "m.Write(stringToSign)\n\truntime.Gosched() // one processor is enough\n"},
			{sigv4File, "\"hash\"\n", "\"hash\"\n\t\"runtime\"\n"},
		}, "concurrent", ""},
		{"a cancelled context gives neither result nor error", one(s3File, "url, err := s.presign(ctx, w, w.URL[:0], method, &r)\n", "if ctx.Err() != nil {\n\t\treturn nil, nil\n\t}\n\turl, err := s.presign(ctx, w, w.URL[:0], method, &r)\n"),
			"context", ""},
		{"As does not unwrap", one("signer/signer.go", "s = w.Unwrap()", "s = w.Unwrap()\n\t\ts = nil"), "capabilities", ""},

		{"a header is not signed", one(s3File,
			"for name, values := range r.Header {\n\t\tw.AddHeader(name, values...)",
			"for name, values := range r.Header {\n\t\tif name == \"Content-Type\" {\n\t\t\tcontinue\n\t\t}\n\t\tw.AddHeader(name, values...)"),
			"headers", "tampering"},
		{"a signed header is not handed to the holder", one(s3File,
			"p.Header = pipeline.CopyHeader(r.Header)",
			"p.Header = pipeline.CopyHeader(r.Header)\n\tdelete(p.Header, \"Content-Type\")"),
			"headers", "tampering"},
		{"an override is dropped", one(s3File, "w.Params.Add(name, o.Value)", "if o.Field != \"Expires\" {\n\t\t\t\tw.Params.Add(name, o.Value)\n\t\t\t}"),
			"overrides", "every-field"},
		{"Request.Bucket is dropped", one(s3File, "bucket := r.Bucket\n\tif bucket == \"\" {\n\t\tbucket = s.bucket\n\t}", "bucket := s.bucket"), "every-field", "keys buckets-refused spread"},
		{"an unsupported field is dropped", one(s3File, "if r.SourceIP.IsValid() && !r.BestEffort {", "if false {"), "unsupported", "every-field"},
		{"BestEffort does not tell", one(s3File, `p.NotEnforced = append(p.NotEnforced, "SourceIP")`, "p.NotEnforced = nil"), "unsupported", ""},
		{"a parameter that nobody asked for", one(s3File, "w.Params.Sort()\n\tlist := w.Params.List", "w.Params.Add(\"x-id\", \"GetObject\")\n\tw.Params.Sort()\n\tlist := w.Params.List"),
			"parameters-exact", "keys grant"},
		{"the query is not sorted", one(s3File, "w.Params.Sort()\n\tlist := w.Params.List", "list := w.Params.List"), "parameters-exact", "overrides"},
		{"a repeated parameter is cut to its first value", one(s3File, "for _, v := range values {\n\t\t\tw.Params.Add(name, v)", "for _, v := range values[:1] {\n\t\t\tw.Params.Add(name, v)"),
			"parameters-exact", ""},
		{"a scheme's parameter is not known", one(checkFile, `"x-amz-expires", "x-amz-region-set", "x-amz-security-token",`, `"x-amz-expires", "x-amz-region-set",`),
			"scheme-parameters", "resign-replaces"},
		{"a signature's header may be chosen", one(checkFile, `case "x-amz-date", "x-amz-security-token", "x-amz-region-set",`, `case "x-amz-date", "x-amz-region-set",`),
			"scheme-parameters", ""},
		{"HEAD is signed as GET", one(httpFile, `if m == "" {`, `if m == "" || m == "HEAD" {`), "methods", "grant tampering sign-accepted sign-tampering"},
		{"a method is not checked", one(checkFile, "if !upperWord(method) {", "if false {"), "methods", ""},
		{"a key is escaped twice", one(placeFile, "dst = wire.AppendEscapePath(dst, key)", "dst = wire.AppendEscapePath(dst, string(wire.AppendEscapePath(nil, key)))"), "keys", "grant grant-wire-path sign-accepted"},
		{"dot segments are accepted", one(checkFile, `segment == "." || segment == ".."`, `segment == "\x00"`), "keys-refused", ""},
		{"a key is not checked for UTF-8", one(checkFile, "if !utf8.ValidString(key) {", "if false {"), "keys-refused", ""},
		{"a key is not checked for NUL", one(checkFile, "if strings.IndexByte(key, 0) >= 0 {", `if key == "\x00\x00" {`), "keys-refused", ""},
		{"a bucket with a slash is accepted", []edit{
			{checkFile, `"/\\?#@:% "`, `"\\?#@:% "`},
			{placeFile, "if len(bucket) > 255 || !bucketName(bucket) {", "if len(bucket) > 255 {"},
			{placeFile, "case e.addressing == signer.AddressingVirtualHost:\n\t\tif !host {", "case e.addressing == signer.AddressingVirtualHost:\n\t\tif false {"},
		}, "buckets-refused", ""},
		{"a control character in the value of a header", one(checkFile,
			"if hasControl(v) {\n\t\t\t\tbad(\"the value of %s holds", "if v == \"\\x00\" {\n\t\t\t\tbad(\"the value of %s holds"), "control-characters", ""},
		{"a control character in an override", one(checkFile, "if hasControl(o.Value) {", "if false {"), "control-characters", ""},
		{"a control character in a finished URL", one(checkFile, "case hasControl(n) || hasControl(v):", "case hasControl(n + v) && n == v:"), "control-characters", ""},

		{"the caller's header is folded in place", one(s3File,
			"for name, values := range r.Header {\n\t\tw.AddHeader(name, values...)",
			"for name, values := range r.Header {\n\t\tr.Header[name] = []string{string(wire.AppendFolded(nil, values[0]))}\n\t\tw.AddHeader(name, values...)"),
			"request-unchanged", "headers"},
		{"the caller's query is sorted in place", one(s3File,
			"for _, v := range values {\n\t\t\tw.Params.Add(name, v)", "slices.Sort(values)\n\t\tfor _, v := range values {\n\t\t\tw.Params.Add(name, v)"),
			"request-unchanged", ""},
		{"the result shares the header's memory", one(httpFile, "= append([]string(nil), values...)", "= values"), "result-owned", ""},
		{"PresignRequest changes its request", one(s3File, "if err := w.AddRequestHeaders(op, req.Header,", "req.Header.Set(\"X-Amz-Meta-Signed\", \"1\")\n\tif err := w.AddRequestHeaders(op, req.Header,"),
			"http-request-unchanged", "result-owned"},
		{"Sign changes the header before it can fail", one(s3File, "h := req.Header.Clone()", "h := req.Header"), "http-request-unchanged", "foreign-conflict credentials-required"},
		{"Sign reads the body", one(s3File, "plan, err := pipeline.PlanTimes(op, now, &pipeline.Ask{Expires: time.Second}, pipeline.Limits{})",
			"if req.Body != nil {\n\t\treq.Body.Read(make([]byte, 1))\n\t}\n\tplan, err := pipeline.PlanTimes(op, now, &pipeline.Ask{Expires: time.Second}, pipeline.Limits{})"),
			"body-unread", "sign-body"},
		{"PresignRequest encodes the path again", one(s3File, "path := req.URL.EscapedPath()\n", "path := (&url.URL{Path: req.URL.Path}).EscapedPath()\n"), "wire-bytes-kept", ""},
		{"PresignRequest cleans the path", []edit{
			{s3File, "path := req.URL.EscapedPath()\n", "path := stdpath.Clean(req.URL.EscapedPath())\n"},
			{s3File, `"net/url"`, "\"net/url\"\n\tstdpath \"path\""},
		}, "wire-bytes-kept", ""},
		{"PresignRequest encodes the query again", one(s3File, "kept := wire.Without(req.URL.RawQuery, isAuthParam)", `kept := strings.ReplaceAll(wire.Without(req.URL.RawQuery, isAuthParam), "+", "%20")`),
			"wire-bytes-kept", ""},
		{"PresignRequest signs User-Agent", one(checkFile, `case "authorization", "accept-encoding", "user-agent", "expect", "traceparent"`, `case "authorization", "accept-encoding", "expect", "traceparent"`),
			"request-headers-signed", ""},
		{"PresignRequest does not hand out Host", one("internal/sigv4/scratch.go", "if host != req.URL.Host {\n\t\t\t\tpipeline.SetHeader(", "if false {\n\t\t\t\tpipeline.SetHeader("), "request-headers-signed", ""},
		{"PresignRequest keeps the old signature", one(s3File, "kept := wire.Without(req.URL.RawQuery, isAuthParam)", "kept := req.URL.RawQuery"), "resign-replaces", ""},
		{"Sign keeps the old date", []edit{
			{s3File, `pipeline.DeleteHeader(h, "authorization", "x-amz-date",`, `pipeline.DeleteHeader(h, "authorization",`},
			{s3File, `h.Set("X-Amz-Date", string(stamp[:]))`, "if h.Get(\"X-Amz-Date\") == \"\" {\n\t\th.Set(\"X-Amz-Date\", string(stamp[:]))\n\t}"},
		}, "resign-replaces", ""},
		{"a signature of another scheme is signed over", one(s3File, `pipeline.ForeignSignature(req.URL.RawQuery, "AWS4"); scheme != "" {`, `pipeline.ForeignSignature(req.URL.RawQuery, "AWS4"); scheme == "none" {`),
			"foreign-conflict", ""},
		{"a presigned URL gets an Authorization too", one(s3File, "if name, err := wire.UnescapeQuery(name); err == nil && isAuthParam(name) {\n\t\t\t\treturn op", "if name, err := wire.UnescapeQuery(name); err != nil && isAuthParam(name) {\n\t\t\t\treturn op"),
			"foreign-conflict", ""},

		{"an Expires of zero is a second", []edit{
			{timesFile, "if ask.Expires <= 0 {", "if ask.Expires < 0 {"},
			{timesFile, "expires := ceilSeconds(ask.Expires)", "expires := max(1, ceilSeconds(ask.Expires))"},
		}, "expires-positive", "http-request-unchanged"},
		{"a second more than the maximum", one(timesFile, "if limits.Max > 0 && p.End-p.window > limits.Max {", "if limits.Max > 0 && p.End-p.window > limits.Max+1 {"), "expires-maximum", "allow-shorter window-valid"},
		{"a fraction rounds down", one(timesFile, "if d%time.Second > 0 {\n\t\ts++\n\t}", ""), "expires-honest", "expires-maximum allow-shorter"},
		{"ExpiresAt is not what is signed", one(httpFile, "ExpiresAt:   Time(plan.End),", "ExpiresAt:   Time(plan.End + 1),"), "expires-honest", "expires-maximum allow-shorter backdate window spread credentials-die accepted-in-time grant"},
		{"AllowShorter does not cut", one(timesFile, "p.End = p.window + limits.Max\n", ""), "allow-shorter", ""},
		{"AllowShorter cuts and says that the request did it", one(timesFile, "p.LimitedBy = signer.LimitScheme\n", "\n"), "allow-shorter", ""},
		{"PresignRequest drops AllowShorter", one(s3File, "Window: o.Window, AllowShorter: o.AllowShorter}", "Window: o.Window}"), "allow-shorter", "credentials-die"},
		{"Backdate does not shrink at the maximum", one(timesFile, "p.Start = max(p.Start, p.End-p.limits.Max)", "p.Start = max(p.Start, 0)"), "backdate", "allow-shorter"},
		{"Backdate shortens the life", one(s3File, "stamp, &sc, w.Plan.End-w.Plan.Start, w.Headers)\n\tif len(after)", "stamp, &sc, w.Plan.End-w.Plan.Now, w.Headers)\n\tif len(after)"), "expires-honest", "independent allow-shorter backdate window spread credentials-die accepted-in-time grant"},
		{"Backdate is ignored", one(timesFile, "p.Start = max(p.window-p.limits.Backdate, minUnix)", "p.Start = p.window"), "backdate", ""},
		{"Backdate counts from now in a window", one(timesFile, "p.Start = max(p.window-p.limits.Backdate, minUnix)", "p.Start = max(p.Now-p.limits.Backdate, minUnix)"), "window", "backdate spread"},
		{"Sign is backdated", one(s3File, "stamp := sigv4.StampOf(plan.Now)", "stamp := sigv4.StampOf(plan.Now - s.limits.Backdate)"), "sign-date", ""},
		{"windows begin at midnight", one(timesFile, "p.window -= floorMod(p.Now-shift, window)", "p.window -= floorMod(floorMod(p.Now, 86400)-shift, window)"), "window", "allow-shorter backdate spread credentials-die"},
		{"windows are rounded up", one(timesFile, "p.window -= floorMod(p.Now-shift, window)", "p.window += floorMod(shift-p.Now, window)"), "window", "allow-shorter backdate spread accepted-in-time"},
		{"StableUntil is a second late", one(timesFile, "p.StableUntil = p.window + window\n", "p.StableUntil = p.window + window + 1\n"), "window", "spread"},
		{"PresignRequest drops Window", one(s3File, "Window: o.Window, AllowShorter: o.AllowShorter}", "AllowShorter: o.AllowShorter}"), "window", "backdate credentials-die"},
		{"a window may be as long as the life", one(timesFile, " || ask.Window > ask.Expires/2 {", " || ask.Window > ask.Expires {"), "window-valid", ""},
		{"a window may have a fraction", one(timesFile, "ask.Window < time.Second || ask.Window%time.Second != 0 ||", "ask.Window < time.Second ||"), "window-valid", ""},
		{"Spread is ignored", one(timesFile, "if ask.Spread {\n\t\t\tshift", "if false {\n\t\t\tshift"), "spread", "every-field"},
		{"Spread does not hash the bucket", one(timesFile, "for i := range len(bucket) {", "for i := range 0 {"), "spread", ""},
		{"the credentials' end is ignored", one(s3File, `return creds, w.Plan.Cap(op, creds.Expires, ask.AllowShorter, "Credentials", "the credentials")`, "return creds, nil"), "credentials-die", ""},
		{"credentials that die early cut without leave", one(timesFile, "case end < p.promised && !allowShorter:", "case false:"), "credentials-die", ""},
		{"StableUntil outlives the credentials", one(timesFile, "if p.StableUntil > end {", "if false {"), "credentials-die", ""},
		{"Sign takes dead credentials", one(s3File, `if err := plan.Cap(op, creds.Expires, true, "Credentials", "the credentials"); err != nil {`, "if false {"), "credentials-die", "http-request-unchanged"},
		{"no credentials sign with the empty key", one("s3/credentials.go", "case c.SecretKey.IsZero():", "case false:"), "credentials-required", ""},
		{"a Presigned prints its URL", one("signer/presigned.go", "if signed {\n\t\thead += \"?REDACTED\"\n\t}\n\treturn head", "_ = signed\n\treturn head + p.URL"), "secrets", ""},
		{"an error quotes a parameter's value", one(checkFile, `bad("the value of %q holds a control character", name)`, `bad("the value %q of %q holds a control character", query.Encode(), name)`),
			"secrets", ""},
		{"a Signer prints its secret", []edit{
			{s3File, "scratch  sync.Pool                          // of *sigv4.Scratch\n}", "scratch  sync.Pool\n\tlast     string\n}"},
			{s3File, "func (s *Signer) key(creds *Credentials, sc *scope) signingKey {", "func (s *Signer) key(creds *Credentials, sc *scope) signingKey {\n\tif s.last == \"\" {\n\t\ts.last = string(creds.SecretKey.Reveal())\n\t}"},
		}, "secrets", ""},
	}
}

func verifierMutants() []mutant {
	return []mutant{
		{"the clock is read twice to verify", one(verifyFile, "v.checkTimes(&f, &c, now)", "v.checkTimes(&f, &c, v.clock.Now())"), "clock-read-once", ""},
		{"a clock that has learned is trusted", one(stepsFile, "if _, ok := c.(clock.Learned); ok {", "if _, ok := c.(clock.Learned); !ok && c == nil {"), "clock-learned", ""},
		{"the header's 15 minutes cut URLs short", one(verifyFile, `code, ends := "AccessDenied", c.date.Add(c.expires)`, `code, ends := "AccessDenied", c.date.Add(min(c.expires, v.leeway))`), "accepted-in-time", "allow-shorter credentials-die"},
		{"the Leeway extends the end", one(verifyFile, `code, ends := "AccessDenied", c.date.Add(c.expires)`, `code, ends := "AccessDenied", c.date.Add(c.expires+v.leeway)`), "accepted-in-time", "allow-shorter credentials-die"},
		{"the end itself is accepted", one(verifyFile, "case !now.Before(ends) &&", "case now.After(ends) &&"), "accepted-in-time", "allow-shorter credentials-die"},
		{"the beginning is ignored", one(verifyFile, "case now.Before(c.date.Add(-v.leeway)):", "case false:"), "accepted-early", "forgeries sign-date"},
		{"the beginning has no leeway", one(verifyFile, "case now.Before(c.date.Add(-v.leeway)):", "case now.Before(c.date):"), "accepted-early", "sign-date"},
		{"the configured Leeway is ignored", one(verifyFile, "clock: clk, leeway: leeway,", "clock: clk, leeway: 0*leeway + 15*time.Minute,"), "accepted-early", "sign-date"},
		{"the grant tells the wrong end", one(verifyFile, "NotBefore: c.date, ExpiresAt: c.date.Add(c.expires),", "NotBefore: c.date, ExpiresAt: c.date.Add(c.expires + v.leeway),"), "grant", "expires-honest allow-shorter backdate credentials-die"},
		{"the grant has no parameters", one(verifyFile, "Key: key, Query: c.others,", "Key: key,"), "grant", "keys sign-accepted"},
		{"the grant's fingerprint is of the key", one(verifyFile, "pipeline.Fingerprint(identity)", "pipeline.Fingerprint(append(identity[:0], c.AccessKeyID...))"), "grant", ""},
		{"the path is URL's, whatever came over the wire", one(claimFile, `if req.RequestURI == "" {`, "if req.URL != nil {"), "grant-wire-path", ""},
		{"the key is decoded twice", one(claimFile, "host = CanonicalHost(l.Scheme, strings.ToLower(host))\n\tbase,", "if twice, err := wire.UnescapePath(path); err == nil {\n\t\tpath = twice\n\t}\n\thost = CanonicalHost(l.Scheme, strings.ToLower(host))\n\tbase,"), "keys", ""},
		{"the key is cleaned", one(claimFile, "rest, ok := strings.CutPrefix(path, base+\"/\")", "path = strings.ReplaceAll(path, \"//\", \"/\")\n\trest, ok := strings.CutPrefix(path, base+\"/\")"), "keys", "sign-accepted"},
		{"Verify reads the body", one(verifyFile, "in, err := v.inbound(req)\n", "io.Copy(io.Discard, req.Body)\n\tin, err := v.inbound(req)\n"), "verify-unchanged", ""},
		{"Verify changes the header", one(verifyFile, "g := v.grant(", "req.Header.Set(\"X-Verified\", \"1\")\n\tg := v.grant("), "verify-unchanged", "sign-tampering"},
		{"no signature is a malformed one", one(verifyFile, `return c, f.Op.Refusal(signer.ErrUnsigned, "",`, `return c, f.Op.Refusal(signer.ErrMalformed, "",`), "unsigned", ""},
		{"the half of a signature is compared", one(sigv4File, "return hmac.Equal(k.AppendSignature(want[:0], stringToSign), []byte(signature))", "return hmac.Equal(k.AppendSignature(want[:0], stringToSign)[:32], []byte(signature)[:32])"), "tampering", "sign-tampering"},
		{"the beginning of a signature will do", []edit{
			{sigv4File, "return hmac.Equal(k.AppendSignature(want[:0], stringToSign), []byte(signature))", "n := len(signature)\n\treturn n <= 64 && hmac.Equal(k.AppendSignature(want[:0], stringToSign)[:n], []byte(signature))"},
			{authFile, "case len(value) != 64 || !pipeline.LowerHex(value):", "case !pipeline.LowerHex(value):"},
		}, "tampering", "sign-tampering"},
		{"the host is what a header says", one(stepsFile, `in := signer.Inbound{Scheme: "http", Host: r.Host}`, "in := signer.Inbound{Scheme: \"http\", Host: r.Host}\n\tif h := r.Header.Get(\"X-Forwarded-Host\"); h != \"\" {\n\t\tin.Host = h\n\t}"), "tampering", "sign-tampering"},
		{"the method is not compared for HEAD", one(verifyFile, "w.Canonical = appendCanonicalRequest(w.Canonical[:0], pipeline.MethodOf(req.Method),", "method := pipeline.MethodOf(req.Method)\n\tif method == \"HEAD\" {\n\t\tmethod = \"GET\"\n\t}\n\tw.Canonical = appendCanonicalRequest(w.Canonical[:0], method,"), "methods", "headers grant tampering vendor-headers sign-accepted sign-tampering"},
		{"a signed header may be missing", one(verifyFile, "missing = name\n", "missing = name[:0]\n\t\t\tw.AddHeader(name)\n"), "headers", ""},
		{"of two spellings of a header one is overlooked", one(claimFile, "if _, twice := h[key]; twice || !token(name) {", "if name != key && req.Header[key] != nil {\n\t\t\tcontinue\n\t\t}\n\t\tif !token(name) {"),
			"tampering", "sign-tampering"},
		{"unsigned x-amz- headers are accepted", one(claimFile, `vendor := strings.HasPrefix(name, "x-amz-") || `, "vendor := "), "vendor-headers", "sign-tampering"},
		{"unsigned x-goog- headers are accepted", one(claimFile, `strings.HasPrefix(name, "x-goog-") || `, ""), "vendor-headers", "sign-tampering"},
		{"vendor headers in lower case are overlooked", []edit{
			{claimFile, "canonical = canonical && http.CanonicalHeaderKey(name) == name && token(name)", "canonical = canonical && token(name)"},
			{claimFile, "name[0]|0x20 != 'x'", "name[0] != 'X'"},
		}, "vendor-headers", "sign-tampering tampering one-signature"},
		{"Authorization beside a signed URL is ignored", one(verifyFile, "if c.presigned && len(auth) > 0 || len(auth) > 1 {", "if len(auth) > 1 {"), "one-signature", ""},
		{"the first of two Authorization headers counts", one(verifyFile, "if c.presigned && len(auth) > 0 || len(auth) > 1 {", "if c.presigned && len(auth) > 0 {"), "one-signature", "sign-tampering"},
		{"a signature of another scheme beside ours is ignored", one(verifyFile, `query.foreign[1]; scheme != "" {`, `query.foreign[1]; scheme == "none" {`), "forgeries", ""},
		{"of two parameters the last counts", one(authFile, "case q.seen[i]:", "case false:"), "forgeries", "tampering"},
		{"the host need not be signed", one(claimFile, `if !slices.Contains(names, "host") {`, "if false {"), "forgeries", ""},
		{"signed headers need not be sorted", one(claimFile, "case i > 0 && names[i-1] >= name:", "case i < 0:"), "forgeries", ""},
		{"the region is not compared", one(verifyFile, `if c.Region != "" && c.Region != v.endpoint.region {`, "if false {"), "forgeries", ""},
		{"the service is not compared", one(verifyFile, `if c.Service != "" && c.Service != v.endpoint.service {`, "if false {"), "forgeries", ""},
		{"the terminator is not compared", one(authFile, "if last != terminator {", "if false {"), "forgeries", "sign-tampering"},
		{"the scope's date is not compared with X-Amz-Date", one(authFile, `if q.Date != "" && !q.date.IsZero() && q.Date != q.stamp[:8] {`, "if false {"), "forgeries", ""},
		{"the token is not compared", one(verifyFile, "creds.SessionToken.Reveal()) != 1:", "creds.SessionToken.Reveal()) > 1:"), "forgeries", ""},
		{"a token may be missing", one(verifyFile, "creds.SessionToken.Reveal()) != 1:", `creds.SessionToken.Reveal()) != 1 && c.token != "":`), "forgeries", ""},
		{"a life of more than the maximum is accepted", one(authFile, "} else if seconds < 1 || seconds > maxExpires {", "} else if seconds < 1 {"), "forgeries", ""},
		{"dead credentials are accepted", one(verifyFile, "case !creds.Expires.IsZero() && !now.Before(creds.Expires):", "case false:"), "dead-credentials", ""},
		{"a header signature is good for a day", one(verifyFile, `code, ends = "RequestTimeTooSkewed", c.date.Add(v.leeway)`, `code, ends = "RequestTimeTooSkewed", c.date.Add(24*time.Hour)`), "sign-date", ""},
		{"the Authorization header is parsed loosely", one(claimFile, "f.Malformed(Word(name), \"the header has no such key; it has Credential, SignedHeaders and Signature\")", ""), "sign-tampering", ""},
		{"the grant of a header signature has no parameters", one(verifyFile, "if c.others = query.others; query.broken {", "if query.broken {"), "sign-accepted", ""},
		{"the body is not compared", one("signer/verifier.go", "if subtle.ConstantTimeCompare([]byte(got), []byte(b.want)) != 1 {", "if subtle.ConstantTimeCompare([]byte(got), []byte(b.want)) > 1 {"), "sign-body", ""},
		{"a refusal prints the signature", one(verifyFile, "pipeline.Shown(c.AccessKeyID)", "c.AccessKeyID+c.Signature"), "secrets", ""},
	}
}

// finds lists the rules that find a mutant.
func (m *mutant) finds() []string { return append(strings.Fields(m.also), m.rule) }

// A batch is mutants that are made at once, because no rule could take one for another: the rule of each finds none of the
// others. A build for each mutant takes minutes.
type batch struct {
	mutants []*mutant
	splices map[string][]splice // by file
}

// A splice is where an edit goes.
type splice struct {
	from, to int
	text     string
}

// add puts a mutant into the batch if it fits.
func (b *batch) add(m *mutant, splices map[string][]splice) bool {
	for _, other := range b.mutants {
		if m.also == anything || other.also == anything || slices.Contains(m.finds(), other.rule) || slices.Contains(other.finds(), m.rule) {
			return false
		}
	}
	for file, mine := range splices {
		for _, s := range mine {
			if slices.ContainsFunc(b.splices[file], func(o splice) bool { return s.from < o.to && o.from < s.to }) {
				return false
			}
		}
	}
	if b.splices == nil {
		b.splices = map[string][]splice{}
	}
	b.mutants = append(b.mutants, m)
	for file, mine := range splices {
		b.splices[file] = append(b.splices[file], mine...)
	}
	return true
}

// batches distributes the mutants. It fails for an edit whose text is not in its file exactly once: the code has changed, and
// the mutant must follow.
func batches(t *testing.T, tree map[string]string) (all []*batch) {
	mutants := append(signerMutants(), verifierMutants()...)
	for i := range mutants {
		m, splices := &mutants[i], map[string][]splice{}
		for _, e := range m.edits {
			if n := strings.Count(tree[e.file], e.old); n != 1 {
				t.Errorf("%s: %s has this text %d times, want once:\n%s", m.name, e.file, n, e.old)
				continue
			}
			at := strings.Index(tree[e.file], e.old)
			splices[e.file] = append(splices[e.file], splice{at, at + len(e.old), e.new})
		}
		if !*each && slices.ContainsFunc(all, func(b *batch) bool { return b.add(m, splices) }) {
			continue
		}
		b := new(batch)
		b.add(m, splices)
		all = append(all, b)
	}
	return all
}

var each = flag.Bool("each", false, "make each mutant alone, and have it attacked too, which takes minutes")

// TestMutants breaks package s3 in one way after the other and sees that the conformance test of s3 tells, by the rule that is
// meant for it. A mistake that no rule finds is a rule that is missing.
//
//	go test -run TestMutants -v ./signer/signertest         # prints the table
//	go test -run TestMutants -v ./signer/signertest -each   # one mutant at a time, with the attacks that find it as well
func TestMutants(t *testing.T) {
	root := moduleRoot(t)
	tree := readTree(t, root)
	all := batches(t, tree)
	if testing.Short() || t.Failed() {
		t.Skip("the mutants fit the code; they are not built")
	}
	var table strings.Builder
	t.Run("batch", func(t *testing.T) {
		for i, b := range all {
			for _, m := range b.mutants {
				fmt.Fprintf(&table, "\n%-60s %s", m.name, m.rule)
			}
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				failed, attacks := b.failedRules(t, root, tree)
				if *each {
					t.Logf("%s: the rules %q and the attacks %q find it", b, failed, attacks)
				}
				expected := map[string]bool{}
				for _, m := range b.mutants {
					for _, rule := range m.finds() {
						expected[rule] = true
					}
					if !slices.Contains(failed, m.rule) {
						t.Errorf("%s: the rule %s does not find it", m.name, m.rule)
					}
				}
				for _, rule := range failed {
					if !expected[rule] && b.mutants[0].also != anything {
						t.Errorf("%s: the rule %s finds something too, which is not expected", b, rule)
					}
				}
			})
		}
	})
	t.Logf("in %d builds, the mutants and the rules that find them:%s", len(all), table.String())
}

// String names the mutants.
func (b *batch) String() string {
	var names []string
	for _, m := range b.mutants {
		names = append(names, m.name)
	}
	return strings.Join(names, " + ")
}

// Every rule finds a mistake that was made on purpose.
func TestRulesBite(t *testing.T) {
	bites := map[string]bool{}
	for _, m := range append(signerMutants(), verifierMutants()...) {
		bites[m.rule] = true
	}
	for _, r := range rules() {
		if !bites[r.name] {
			t.Errorf("no mutant is there for the rule %s", r.name)
		}
		delete(bites, r.name)
	}
	for name := range bites {
		t.Errorf("a mutant is there for %q, which is no rule", name)
	}
}

// failedRules runs the conformance test of s3 with the mutants in it and returns the rules that failed, and of a mutant alone the
// attacks that found it.
func (b *batch) failedRules(t *testing.T, root string, tree map[string]string) (failed, attacks []string) {
	dir := t.TempDir()
	replace := map[string]string{}
	for file, splices := range b.splices {
		slices.SortFunc(splices, func(a, b splice) int { return b.from - a.from }) // from the end, so that places stay
		text := tree[file]
		for _, s := range splices {
			text = text[:s.from] + s.text + text[s.to:]
		}
		patched := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(patched, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(root, filepath.FromSlash(file))] = patched
	}
	for file := range tree { // the other tests of s3 are not built
		if strings.HasPrefix(file, "s3/") && strings.HasSuffix(file, "_test.go") && file != "s3/conformance_test.go" {
			replace[filepath.Join(root, filepath.FromSlash(file))] = ""
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := "^TestConformance$"
	if *each {
		tests = "^(TestConformance|TestAttacks)$"
	}
	cmd := exec.Command("go", "test", "-json", "-vet=off", "-short", "-count=1", "-timeout=2m", "-run="+tests+"/^(aws|session_token|several_regions)$",
		"-overlay="+overlayFile, "./s3")
	cmd.Dir = root
	out, _ := cmd.CombinedOutput() // it is meant to fail
	ran := false
	for scan := bufio.NewScanner(bytes.NewReader(out)); scan.Scan(); {
		var event struct{ Action, Test string }
		if json.Unmarshal(scan.Bytes(), &event) != nil {
			continue
		}
		path := strings.Split(event.Test, "/") // TestConformance/place/rule or TestAttacks/place/attack
		if len(path) != 3 {
			continue
		}
		ran = true
		found := &failed
		if path[0] == "TestAttacks" {
			found = &attacks
		}
		if event.Action == "fail" && !slices.Contains(*found, path[2]) {
			*found = append(*found, path[2])
		}
	}
	if !ran {
		t.Fatalf("%s: no rule was tried:\n%s", b, out)
	}
	return failed, attacks
}

// readTree reads the packages that the conformance test of s3 is built of. It reads all of them, edited or not: the test cache
// knows what this test reads, and not what its children do.
func readTree(t *testing.T, root string) map[string]string {
	tree := map[string]string{}
	for _, dir := range []string{"azure", "cdn", "clock", "gcs", "oss", "s3", "signer", "signer/signertest", "internal/pipeline", "internal/refusal", "internal/rest", "internal/sigv4",
		"internal/storefake", "internal/wire"} {
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir), "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			tree[dir+"/"+filepath.Base(file)] = string(text)
		}
	}
	return tree
}

// moduleRoot walks up to the directory that has go.mod.
func moduleRoot(t *testing.T) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = up
	}
}
