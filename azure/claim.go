package azure

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file reads a SAS from a URL and holds a request to it, but for the signature.

// A claim is what a SAS says about itself.
type claim struct {
	token
	kind                      kind
	sig                       string
	start, end                time.Time // zero where they are not there
	keyStart, keyEnd          time.Time // of a user delegation key
	directory                 string    // of which the SAS is, the beginning of the blob's name
	signedNames, signedParams []string  // srh and srq
}

// readSAS reads the parameters of the SAS, and leaves the others in r.query.
func (r *visit) readSAS() (c claim) {
	r.query = make(url.Values)
	params := c.token.params()
	var there [len(params)]bool
	signed := false
	for name, value := range wire.Pairs(r.rawQuery) {
		n, err1 := wire.UnescapeQuery(name)
		val, err2 := wire.UnescapeQuery(value)
		if err1 != nil || err2 != nil {
			r.Malformed("URL", "its query has a broken escape: %w", wire.ErrEscape)
			return c
		}
		if !isAuthParam(n) {
			r.query[n] = append(r.query[n], val)
			continue
		}
		field, seen := &c.sig, &signed
		if n != "sig" {
			i := slices.IndexFunc(params[:], func(p param) bool { return p.name == n })
			if i < 0 {
				r.Malformed(n, "parameters of a SAS are written in lower case")
				continue
			}
			field, seen = params[i].value, &there[i]
		}
		switch {
		case *seen:
			r.Malformed(n, "it is there twice")
		case val == "":
			r.Malformed(n, "it is there and empty; leave it out, or give it its value")
		case hasControl(val):
			r.Malformed(n, "it holds a control character, so that one field could pass for two")
		}
		*field, *seen = val, true
	}
	for _, name := range [...]string{"restype", "comp", "deletetype", "snapshot", "versionid"} {
		for n, values := range r.query {
			if len(values) > 1 && n == name || n != name && strings.EqualFold(n, name) {
				r.Errs = append(r.Errs, r.Op.Refusal(signer.ErrMalformed, name, codeNoSuchValue, "it is there twice, or not in lower case"))
				break // it has many spellings
			}
		}
	}
	switch {
	case c.skoid != "" || c.sktid != "" || c.ske != "":
		c.kind = delegationSAS
	case c.ss != "" || c.srt != "":
		c.kind = accountSAS
	default:
		c.kind = serviceSAS
	}
	return c
}

// checkFields checks each field by itself.
func (r *visit) checkFields(c *claim) {
	if _, err := time.Parse(time.DateOnly, c.sv); err != nil || c.sv < v2012 {
		r.Malformed("sv", "%s is no service version from %s on", pipeline.Shown(c.sv), v2012)
		return
	}
	for _, p := range c.token.params() {
		switch {
		case *p.value != "" && p.kinds&c.kind == 0:
			r.Malformed(p.name, "a %v has no such field", c.kind)
		case *p.value != "" && c.sv < p.since:
			r.Malformed(p.name, "it is not signed in version %s, but from %s on", c.sv, p.since)
		case *p.value == "" && p.required(c):
			r.Malformed(p.name, "a %v needs it", c.kind)
		}
	}
	switch {
	case strings.Contains(c.sig, " "):
		r.Malformed("sig", "it holds a space: a plus in the URL was not written as %%2B")
	case strings.Contains(c.sig, "%"):
		r.Malformed("sig", "it is percent-encoded twice")
	case !isBase64Sum(c.sig):
		r.Malformed("sig", "it is not the base64 of 32 bytes")
	}
	if c.kind == delegationSAS && c.sks != "" && c.sks != "b" {
		r.Add(signer.ErrScope, "sks", "the key is for the service %s, and this is b", pipeline.Shown(c.sks))
	}
	if c.saoid != "" && c.suoid != "" {
		r.Malformed("suoid", "it does not go with saoid")
	}
	table, order := permissions(), "racwdl"
	if c.kind == accountSAS {
		table, order = accountPermissions(), ""
	}
	last := -1
	for i := range len(c.sp) {
		if !slices.ContainsFunc(table, func(p permission) bool { return p.letter == c.sp[i] }) || strings.IndexByte(c.sp[:i], c.sp[i]) >= 0 {
			r.Malformed("sp", "%s: a letter is no permission, or is there twice", pipeline.Shown(c.sp))
			break
		}
		if at := strings.IndexByte(order, c.sp[i]); at >= 0 {
			if at < last {
				r.Malformed("sp", "%s is not in order, which is r, a, c, w, d, l", pipeline.Shown(c.sp))
				break
			}
			last = at
		}
	}
}

// required reports whether a SAS must have the parameter.
func (p *param) required(c *claim) bool {
	switch p.name {
	case "sv", "skoid", "sktid", "ske", "sks", "skv", "sr", "ss", "srt":
		return p.kinds&c.kind != 0
	case "sp", "se":
		return c.si == ""
	case "sdd":
		return c.sr == "d"
	}
	return false
}

func isBase64Sum(s string) bool {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == 32 && len(s) == base64.StdEncoding.EncodedLen(32)
}

// checkScope holds the request to the resource that the SAS is for.
func (r *visit) checkScope(c *claim) {
	out := func(field, code, format string, args ...any) {
		r.Errs = append(r.Errs, r.Op.Refusal(signer.ErrScope, field, code, format, args...))
	}
	if c.kind == accountSAS {
		if c.ss != "" && !strings.Contains(c.ss, "b") {
			out("ss", codeService, "the SAS is not for the blob service")
		}
		if level := string(r.level()); c.srt != "" && !strings.Contains(c.srt, level) {
			out("srt", codeResource, "the SAS is for resources of the types %s, and the request is for one of type %s", pipeline.Shown(c.srt), level)
		}
		if strings.Trim(c.ss, "bqtf") != "" || strings.Trim(c.srt, "sco") != "" {
			r.Malformed("ss, srt", "a letter is no service, or no type of resource")
		}
		return
	}
	if r.container == "" {
		out("sr", codeFailure, "the request is for the account, and a %v is not", c.kind)
	}
	if c.sr != "d" && c.sdd != "" {
		r.Malformed("sdd", "it goes with sr=d")
	}
	snapshot, version := r.query.Get("snapshot"), r.query.Get("versionid")
	switch c.sr {
	case "": // said already
	case "c":
		return
	case "d":
		n, err := strconv.Atoi(c.sdd)
		if err != nil || strconv.Itoa(n) != c.sdd || n < 1 {
			r.Malformed("sdd", "it is no number of directories")
			return
		}
		if c.directory = directoryOf(r.blob, n); c.directory == "" {
			out("sdd", codeResource, "the request is not for anything %d directories deep", n)
		}
		return
	case "bs":
		if c.moment = snapshot; snapshot == "" || version != "" {
			out("sr", codeResource, "the SAS is for a snapshot, and the request is for none")
		}
	case "bv":
		if c.moment = version; version == "" || snapshot != "" {
			out("sr", codeResource, "the SAS is for a version, and the request is for none")
		}
	case "b":
		if snapshot != "" || version != "" {
			out("sr", codeResource, "the SAS is for a blob as it is, and the request is for a snapshot or version; sign one with sr=bs or sr=bv")
		}
	default:
		r.Malformed("sr", "%s is no resource of the blob service; there are b, bs, bv, c and d", pipeline.Shown(c.sr))
	}
	if c.sv < v2018 && c.moment != "" {
		r.Malformed("sr", "version %s does not sign a snapshot or version", c.sv)
	}
	if r.blob == "" && r.container != "" {
		out("sr", codeResource, "the SAS is for a blob, and the request is for a container")
	}
}

// directoryOf is the beginning of a name that has n directories, without a slash at its end; "" if the name has not so many, or
// has segments with which it could lead out of one.
func directoryOf(name string, n int) string {
	segments := strings.Split(strings.TrimSuffix(name, "/"), "/")
	if len(segments) < n || slices.ContainsFunc(segments, func(s string) bool { return s == "" || s == "." || s == ".." }) {
		return ""
	}
	return strings.Join(segments[:n], "/")
}

// names are those that the SAS may have been signed for: of a directory with a slash at the end too, as some write it.
func (c *claim) names(blob string) []string {
	switch c.sr {
	case "c":
		return []string{""}
	case "d":
		return []string{c.directory, c.directory + "/"}
	}
	return []string{blob}
}

// level is the type of resource that the request is for: service, container or object.
func (r *visit) level() byte {
	switch {
	case r.container == "":
		return 's'
	case r.blob == "":
		return 'c'
	}
	return 'o'
}

// checkSigned gathers the headers and parameters that srh and srq name.
func (r *visit) checkSigned(c *claim) {
	var headers, params strings.Builder
	c.signedNames = r.listed("srh", c.srh, func(name string) bool {
		values := r.req.Header[http.CanonicalHeaderKey(name)]
		if strings.EqualFold(name, "host") {
			values = []string{r.in.Host}
		}
		if len(values) != 1 || hasControl(values[0]) {
			return false
		}
		headers.WriteString(name + ":" + trimmed(values[0]) + "\n")
		return true
	})
	c.signedParams = r.listed("srq", c.srq, func(name string) bool {
		values := r.query[name]
		if len(values) != 1 || hasControl(values[0]) {
			return false
		}
		params.WriteString("\n" + name + ":" + values[0])
		return true
	})
	c.signedHeaders, c.signedQuery = headers.String(), params.String()
	for i, name := range c.signedNames {
		c.signedNames[i] = strings.ToLower(name)
	}
	slices.Sort(c.signedNames)
}

// listed splits srh or srq, and adds a fault for a name that take does not find in the request, with one value.
func (r *visit) listed(field, list string, take func(name string) bool) (names []string) {
	if list == "" {
		return nil
	}
	names = strings.Split(list, ",")
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		switch folded := strings.ToLower(name); {
		case name == "" || strings.Contains(name, ":") || seen[folded]:
			r.Malformed(field, "a name is empty, has a colon, or is there twice")
			return nil
		case !take(name):
			r.Add(signer.ErrMismatch, field, "%s was signed and is not in the request, or not with one value; send it as it was signed", pipeline.Shown(name))
			return nil
		default:
			seen[folded] = true
		}
	}
	return names
}

// checkOrigin holds the request to the SAS's addresses and protocol.
func (r *visit) checkOrigin(c *claim) {
	if c.spr != "" && c.spr != "https" && c.spr != "https,http" {
		r.Malformed("spr", `%s is neither "https" nor "https,http"`, pipeline.Shown(c.spr))
	} else if c.spr == "https" && r.in.Scheme != "https" {
		r.Errs = append(r.Errs, r.Op.Refusal(signer.ErrScope, "spr", codeProtocol, "the SAS is for HTTPS, and the request came over %s", pipeline.Shown(r.in.Scheme)))
	}
	if c.sip == "" {
		return
	}
	from, to, ranged := strings.Cut(c.sip, "-")
	if !ranged {
		to = from
	}
	first, err1 := netip.ParseAddr(from)
	last, err2 := netip.ParseAddr(to)
	if err1 != nil || err2 != nil || !first.Is4() || !last.Is4() {
		r.Malformed("sip", "it is neither an IPv4 address nor two with a hyphen between them")
		return
	}
	if client := r.in.ClientIP.Unmap(); client.Less(first) || last.Less(client) {
		r.Errs = append(r.Errs, r.Op.Refusal(signer.ErrScope, "sip", codeSourceIP, "the SAS is for other addresses than the client's; behind a proxy, set VerifierConfig.Inbound"))
	}
}

// checkLife reads the times and holds the request to them.
func (r *visit) checkLife(c *claim, leeway time.Duration) {
	read := func(field, text string) (t time.Time) {
		if text != "" {
			var ok bool
			if t, ok = parseTime(text); !ok {
				r.Malformed(field, "it is no time like 2026-11-24T23:59:49Z")
			}
		}
		return t
	}
	c.start, c.end = read("st", c.st), read("se", c.se)
	if c.kind == delegationSAS {
		c.keyStart, c.keyEnd = read("skt", c.skt), read("ske", c.ske)
		r.between("skt", "ske", c.keyStart, c.keyEnd, leeway)
	}
	r.between("st", "se", c.start, c.end, leeway)
}

// between refuses a request before a beginning or after an end.
func (r *visit) between(from, to string, start, end time.Time, leeway time.Duration) {
	switch {
	case !start.IsZero() && !end.IsZero() && !start.Before(end):
		r.Malformed(to, "it is not after %s", from)
	case !start.IsZero() && r.now.Before(start.Add(-leeway)):
		r.Add(signer.ErrNotYetValid, from, "it works from %s on, and it is %s; correct the signer's clock", start.UTC().Format(time.RFC3339), r.now.UTC().Format(time.RFC3339))
	case !end.IsZero() && !r.now.Before(end):
		r.Add(signer.ErrExpired, to, "it was good until %s, and it is %s", end.UTC().Format(time.RFC3339), r.now.UTC().Format(time.RFC3339))
	}
}

// checkPermissions holds the operation to the permissions.
func (r *visit) checkPermissions(c *claim) {
	need := operation(pipeline.MethodOf(r.req.Method), r.level(), c.kind == accountSAS, r.query)
	switch {
	case r.container == "" && c.kind != accountSAS: // said already
	case need == "":
		r.Errs = append(r.Errs, r.Op.Refusal(signer.ErrScope, "sp", codeFailure, "no %v allows this operation", c.kind))
	case !strings.ContainsAny(c.sp, need):
		r.Errs = append(r.Errs, r.Op.Refusal(signer.ErrScope, "sp", codePermission, "the operation needs one of the permissions %s, and the SAS has %s", need, pipeline.Shown(c.sp)))
	}
}
