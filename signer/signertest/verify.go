package signertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

func acceptedInTime(c *trial) {
	for _, tt := range []struct{ expires, window time.Duration }{
		{time.Second, 0}, {time.Hour, 0}, {time.Hour, 7 * time.Minute}, {c.atMost(24 * time.Hour), 0}, // longer than the 15 minutes of headers, too
	} {
		r := c.request(func(r *signer.Request) { r.Expires, r.Window = tt.expires, tt.window })
		p := c.presign(c.signer(), r)
		in := c.arrived(p)
		good := []time.Time{evening(), p.ExpiresAt.Add(-time.Second), p.ExpiresAt.Add(-1)}
		if !p.NotBefore.IsZero() {
			good = append(good, p.NotBefore)
		}
		for _, l := range []time.Duration{0, time.Second, 48 * time.Hour} {
			for _, now := range good {
				c.accepts(fmt.Sprintf("a URL for %s, from %v to %v, at %v", describe(r), p.NotBefore, p.ExpiresAt, now), c.verifier(at(now), leeway(l)), in)
			}
			for _, now := range []time.Time{p.ExpiresAt, p.ExpiresAt.Add(time.Second), p.ExpiresAt.Add(time.Hour)} {
				c.rejects(fmt.Sprintf("a URL that ends at %v, at %v with a Leeway of %v", p.ExpiresAt, now, l), c.verifier(at(now), leeway(l)), in, signer.ErrExpired)
			}
		}
	}
}

func acceptedEarly(c *trial) {
	c.need("Backdate")
	p := c.presign(c.signer(), c.request())
	in := c.arrived(p)
	if p.NotBefore.IsZero() {
		c.fatalf("Presigned.NotBefore is not set; a scheme without a beginning has Backdate among Unsupported")
	}
	for l, early := range map[time.Duration]time.Duration{0: 15 * time.Minute, time.Second: time.Second, 3 * time.Hour: 3 * time.Hour} {
		edge := p.NotBefore.Add(-early)
		c.accepts(fmt.Sprintf("a URL from %v on, at %v with a Leeway of %v", p.NotBefore, edge, early), c.verifier(at(edge), leeway(l)), in)
		c.rejects(fmt.Sprintf("a URL from %v on, a nanosecond before %v with a Leeway of %v", p.NotBefore, edge, early), c.verifier(at(edge.Add(-1)), leeway(l)), in, signer.ErrNotYetValid)
	}
}

func grant(c *trial) {
	s, v := c.signer(), c.verifier()
	seen := map[string]bool{}
	for _, m := range c.Methods {
		r := c.request(func(r *signer.Request) { r.Method = method(m) })
		p := c.presign(s, r)
		g := c.accepts("a URL for "+m, v, c.arrived(p))
		if g.Method != p.Method || g.Bucket != c.Bucket || g.Key != r.Key || len(r.Query) > 0 && !reflect.DeepEqual(g.Query, r.Query) || len(r.Query) == 0 && len(g.Query) > 0 {
			c.errorf("asked for %s of %q in %q with %v, granted %s of %q in %q with %v", p.Method, r.Key, c.Bucket, r.Query, g.Method, g.Key, g.Bucket, g.Query)
		}
		if !g.ExpiresAt.Equal(p.ExpiresAt) || !g.NotBefore.Equal(p.NotBefore) {
			c.errorf("signed from %v to %v, granted from %v to %v", p.NotBefore, p.ExpiresAt, g.NotBefore, g.ExpiresAt)
		}
		for name := range r.Header {
			if !slices.Contains(g.SignedHeaders, strings.ToLower(name)) {
				c.errorf("the header %s is signed and not among the grant's %q", name, g.SignedHeaders)
			}
		}
		if !slices.IsSorted(g.SignedHeaders) || slices.ContainsFunc(g.SignedHeaders, func(n string) bool { return n != strings.ToLower(n) }) {
			c.errorf("SignedHeaders %q are not sorted or not in lower case", g.SignedHeaders)
		}
		if g.Backend == "" || g.Scheme == "" || g.KeyID == "" || g.Fingerprint == "" {
			c.errorf("the grant names no Backend %q, Scheme %q, KeyID %q or Fingerprint %q", g.Backend, g.Scheme, g.KeyID, g.Fingerprint)
		}
		if seen[g.Fingerprint] {
			c.errorf("two signatures have one fingerprint")
		}
		seen[g.Fingerprint] = true
		if again := c.accepts("the same URL", c.verifier(), c.arrived(p)); again.Fingerprint != g.Fingerprint {
			c.errorf("one signature has two fingerprints")
		}
		if signature := c.signature(p.URL); strings.Contains(g.Fingerprint, signature) {
			c.errorf("the fingerprint holds the signature")
		}
	}
}

// signature is the value of the signature's own parameter, as it stands in a URL.
func (c *trial) signature(rawURL string) string { return param(rawURL, c.Params[len(c.Params)-1]) }

func grantWirePath(c *trial) {
	v := c.verifier()
	p := c.presign(c.signer(), c.request())
	in := c.arrived(p)
	// A handler in front has changed URL, as http.StripPrefix does.
	stripped := edited(in, func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/elsewhere", "" })
	if g := c.accepts("a request whose URL.Path was changed after it arrived", v, stripped); g.Key != c.request().Key {
		c.errorf("a request whose URL.Path was changed after it arrived grants %q, want %q as it came over the wire", g.Key, c.request().Key)
	}
	bare := edited(in, func(r *http.Request) { r.RequestURI = "" })
	if g := c.accepts("a request without RequestURI", v, bare); g.Key != c.request().Key {
		c.errorf("a request without RequestURI grants %q", g.Key)
	}
	path, query, _ := strings.Cut(in.RequestURI, "?")
	c.rejects("a request for another path, whose URL was changed to the signed one", v, edited(in, func(r *http.Request) { r.RequestURI = path + "x?" + query }))
}

func verifyUnchanged(c *trial) {
	v := c.verifier()
	check := func(what string, in *http.Request) {
		body := new(unreadable)
		in.Body = body
		was := picture(in)
		g := c.accepts(what, v, in)
		if picture(in) != was {
			c.errorf("Verify changed %s", what)
		}
		if body.reads > 0 {
			c.errorf("Verify read the body of %s", what)
		}
		for name := range g.Query {
			g.Query[name][0] = "changed"
		}
		for i := range g.SignedHeaders {
			g.SignedHeaders[i] = "changed"
		}
		if picture(in) != was {
			c.errorf("the grant of %s shares memory with the request", what)
		}
	}
	check("a URL", c.arrived(c.presign(c.signer(), c.request())))
	if c.has("Sign") {
		check("a signed request", c.signed(c.signer()))
	}
}

func unsigned(c *trial) {
	v := c.verifier()
	bare := c.received(c.httpRequest())
	c.rejects("a request without a signature", v, bare, signer.ErrUnsigned)
	for scheme, query := range map[string]string{
		"GOOG4":     "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=a%2F20261124%2Fauto%2Fstorage%2Fgoog4_request&X-Goog-Date=20261124T235900Z&X-Goog-Expires=60&X-Goog-SignedHeaders=host&X-Goog-Signature=00",
		"AWS4":      "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20261124%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20261124T235900Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00",
		"OSS4":      "x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential=a%2F20261124%2Fcn-hangzhou%2Foss%2Faliyun_v4_request&x-oss-date=20261124T235900Z&x-oss-expires=60&x-oss-signature=00",
		"Azure SAS": "sv=2022-11-02&sr=b&sp=r&se=2026-11-25T00%3A00%3A00Z&sig=AA%3D%3D",
		"Cloud CDN": "Expires=1795564800&KeyName=k&Signature=AA%3D%3D",
	} {
		last := query[strings.LastIndexByte(query, '&')+1:]
		name, _, _ := strings.Cut(last, "=")
		if c.isParam(name) {
			continue
		}
		c.rejects("a request signed with "+scheme, v, edited(bare, func(r *http.Request) {
			path, _, _ := strings.Cut(r.RequestURI, "?")
			retarget(r, path+"?"+query)
		}), signer.ErrUnsigned)
	}
	for _, auth := range []string{"Bearer abc", "Basic YTpi", ""} {
		c.rejects(fmt.Sprintf("a request with the Authorization %q", auth), v, edited(bare, func(r *http.Request) { r.Header["Authorization"] = []string{auth} }), signer.ErrUnsigned)
	}
}

// A tamper is one change to a good request.
type tamper struct {
	name string
	edit func(*http.Request)
}

// flipped changes one byte to another of its kind, so that what was a digit stays one and an escape stays an escape.
func flipped(s string, i int) string {
	b := []byte(s)
	switch c := b[i]; {
	case '0' <= c && c <= '9':
		b[i] = c ^ 1
	case c == 'a' || c == 'A':
		b[i]++
	case 'a' < c && c <= 'z':
		b[i] = 'a'
	case 'A' < c && c <= 'Z':
		b[i] = 'A'
	default:
		b[i] = 'x'
	}
	return string(b)
}

func (c *trial) pathTampers(in *http.Request) (all []tamper) {
	path, query, _ := strings.Cut(in.RequestURI, "?")
	set := func(name, path string) {
		all = append(all, tamper{name, func(r *http.Request) { retarget(r, strings.TrimSuffix(path+"?"+query, "?")) }})
	}
	for i := 1; i < len(path); i++ {
		if path[i] != '%' { // what follows would be a broken escape, or would not: both change the path, one is hard to send
			set(fmt.Sprintf("byte %d of the path changed", i), flipped(path, i))
		}
	}
	set("a slash added to the path", path+"/")
	set("a slash doubled in the path", "/"+path)
	set("the path cut by a byte", path[:len(path)-1])
	set("a segment .. added to the path", path+"/../x")
	set("an escape escaped again", strings.ReplaceAll(path, "%", "%25"))
	return all
}

// methodTampers changes the method to those that group, which one URL allows, does not name.
func (c *trial) methodTampers(in *http.Request, group []string) (all []tamper) {
	for _, m := range []string{"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"} {
		if m != in.Method && !slices.Contains(group, m) {
			all = append(all, tamper{"the method changed to " + m, func(r *http.Request) { r.Method = m }})
		}
	}
	return all
}

func (c *trial) hostTampers(in *http.Request) (all []tamper) {
	for _, host := range []string{"evil.example", "x" + in.Host, flipped(in.Host, 0), in.Host + ".evil.example", in.Host + ":444", ""} {
		if strings.Contains(in.Host, ":") && strings.HasSuffix(host, ":444") {
			continue
		}
		all = append(all, tamper{fmt.Sprintf("the host changed to %q", host), func(r *http.Request) { r.Host = host }})
	}
	for _, name := range []string{"X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-Host"} { // everybody can send them
		value := in.Host
		if name == "Forwarded" {
			value = "host=" + value
		}
		all = append(all, tamper{"the host changed and named in " + name, func(r *http.Request) {
			r.Host = "evil.example"
			r.Header.Set(name, value)
		}})
	}
	return all
}

// tampers lists what can be changed in a request for a presigned URL.
func (c *trial) tampers(p *signer.Presigned, in *http.Request) (all []tamper) {
	all = append(c.pathTampers(in), c.hostTampers(in)...)
	for _, group := range c.Methods {
		if names := strings.Fields(group); slices.Contains(names, p.Method) {
			all = append(all, c.methodTampers(in, names)...)
		}
	}
	path, query, _ := strings.Cut(in.RequestURI, "?")
	parts := strings.Split(query, "&")
	set := func(name string, parts ...string) {
		all = append(all, tamper{name, func(r *http.Request) { retarget(r, path+"?"+strings.Join(parts, "&")) }})
	}
	for i, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		with := func(what, value string) {
			set("the parameter "+name+" "+what, slices.Concat(parts[:i], []string{name + "=" + value}, parts[i+1:])...)
		}
		set("the parameter "+name+" removed", slices.Concat(parts[:i], parts[i+1:])...)
		set("the parameter "+name+" doubled", slices.Concat(parts, []string{part})...)
		set("the parameter "+name+" doubled in front", slices.Concat([]string{part}, parts)...)
		with("emptied", "")
		for j := range value {
			if value[j] != '%' && (c.isParam(name) || j == 0) {
				with(fmt.Sprintf("changed at byte %d", j), flipped(value, j))
			}
		}
		if value != "" {
			other := name + "=" + flipped(value, len(value)-1)
			set("another "+name+" behind it", slices.Concat(parts, []string{other})...)
			set("another "+name+" in front", slices.Concat([]string{other}, parts)...)
			with("cut by a byte", value[:len(value)-1])
			with("longer by a byte", value+value[len(value)-1:])
		}
		for _, spelling := range []string{strings.ToLower(name), strings.ToUpper(name), fmt.Sprintf("%%%02X", name[0]) + name[1:]} {
			if spelling != name && c.isParam(name) {
				set("the parameter "+name+" doubled as "+spelling, slices.Concat(parts, []string{spelling + "=" + value})...)
			}
		}
	}
	set("the query removed")
	if c.has("Query") && c.has("AddedQuery") {
		set("a parameter added", slices.Concat(parts, []string{"acl"})...)
		set("a parameter added in front", slices.Concat([]string{"versionId=1"}, parts)...)
	}
	for name := range p.Header {
		if name == "Host" || name == "Content-Length" {
			continue
		}
		value := in.Header.Get(name)
		all = append(all,
			tamper{"the header " + name + " removed", func(r *http.Request) { r.Header.Del(name) }},
			tamper{"the header " + name + " emptied", func(r *http.Request) { r.Header.Set(name, "") }},
			tamper{"the header " + name + " changed", func(r *http.Request) { r.Header.Set(name, flipped(value, len(value)-1)) }},
			tamper{"the header " + name + " doubled", func(r *http.Request) { r.Header.Add(name, value) }},
			tamper{"the header " + name + " in a second spelling", func(r *http.Request) { r.Header[strings.ToLower(name)] = []string{"x"} }})
	}
	return all
}

func tampering(c *trial) {
	s, v := c.signer(), c.verifier()
	r := c.request()
	if c.has("Header") {
		r.Header.Set("Content-Type", "text/plain")
	}
	p := c.presign(s, r)
	in := c.arrived(p)
	c.accepts("a URL", v, in)
	for _, t := range c.tampers(p, in) {
		c.rejects("a URL with "+t.name, v, edited(in, t.edit))
	}
	if !c.has("AddedQuery") {
		g := c.accepts("a URL with a parameter added", v, edited(in, func(r *http.Request) { retarget(r, r.RequestURI+"&acl=x") }))
		if g.Query.Has("acl") {
			c.errorf("a parameter was added to a URL, and the grant has it")
		}
	}
}

// loose are headers that nobody signed and that change what a request does.
func (c *trial) loose() (names []string) {
	prefixes := []string{"X-Amz-", "X-Goog-", "X-Oss-"}
	if c.HeaderPrefix != "" && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.EqualFold(p, c.HeaderPrefix) }) {
		prefixes = append(prefixes, c.HeaderPrefix)
	}
	for _, prefix := range prefixes {
		for _, name := range []string{"copy-source", "acl", "object-acl", "meta-other", "security-token", "content-sha256", "tagging", "x"} {
			names = append(names, http.CanonicalHeaderKey(prefix+name), strings.ToLower(prefix+name))
		}
	}
	return names
}

func vendorHeaders(c *trial) {
	if c.HeaderPrefix == "" {
		c.skip("the provider has no headers of its own")
	}
	v := c.verifier()
	for _, m := range c.Methods {
		p := c.presign(c.signer(), c.request(func(r *signer.Request) { r.Method = method(m) }))
		in := c.arrived(p)
		c.accepts("a URL for "+m, v, in)
		for _, name := range c.loose() {
			c.rejects("a URL for "+m+" with the header "+name+" added", v, edited(in, func(r *http.Request) {
				if hasHeader(r.Header, name) {
					name += "-2"
				}
				r.Header[name] = []string{"x"}
			}))
		}
	}
}

func oneSignature(c *trial) {
	v := c.verifier()
	p := c.presign(c.signer(), c.request())
	in := c.arrived(p)
	auths := []string{"Bearer abc", "Basic YTpi", ""}
	if c.has("Sign") {
		auths = append(auths, c.signed(c.signer()).Header.Get("Authorization"))
	}
	for i, auth := range auths {
		for _, name := range []string{"Authorization", "authorization"} {
			c.rejects(fmt.Sprintf("a URL beside an Authorization header (%d, %s)", i, name), v, edited(in, func(r *http.Request) { r.Header[name] = []string{auth} }))
		}
	}
	for _, name := range []string{"X-Amz-Signature", "X-Goog-Signature", "x-oss-signature", "sig", "Signature"} {
		if !c.isParam(name) && c.has("Query") {
			c.rejects("a URL with "+name+" too", v, edited(in, func(r *http.Request) { retarget(r, r.RequestURI+"&"+name+"=00") }))
		}
	}
	if !c.has("Sign") {
		return
	}
	signed := c.signed(c.signer())
	_, query, _ := strings.Cut(p.URL, "?")
	target, _, _ := strings.Cut(signed.RequestURI, "?")
	c.rejects("a request signed in header and URL", v, edited(signed, func(r *http.Request) { retarget(r, target+"?"+query) }))
	c.rejects("a request with two Authorization headers", v, edited(signed, func(r *http.Request) {
		r.Header["Authorization"] = append(r.Header["Authorization"], "Bearer abc")
	}))
}

func forgeries(c *trial) {
	v := c.verifier()
	if c.Forge == nil {
		c.skip("the harness has no Forge")
	}
	forge := func(fault string) *http.Request {
		req, err := c.Forge(c.options(), fault)
		if err != nil {
			c.fatalf("Harness.Forge(%q): %v", fault, err)
		}
		return c.received(req)
	}
	c.accepts("Forge's request without a fault", v, forge(""))
	for _, fault := range c.Faults {
		c.rejects("a request that was signed with a fault: "+fault, v, forge(fault))
	}
}

func deadCredentials(c *trial) {
	c.need("CredentialsExpire")
	in := c.arrived(c.presign(c.signer(), c.request()))
	now := evening()
	c.accepts("a URL of credentials that live", c.verifier(credentialsDie(now.Add(time.Second))), in)
	c.rejects("a URL of credentials that died just now", c.verifier(credentialsDie(now)), in)
	c.rejects("a URL of credentials that died an hour ago", c.verifier(credentialsDie(now.Add(-time.Hour)), leeway(2*time.Hour)), in)
	if c.has("Sign") {
		signed := c.signed(c.signer())
		c.accepts("a request signed by credentials that live", c.verifier(credentialsDie(now.Add(time.Second))), signed)
		c.rejects("a request signed by credentials that died", c.verifier(credentialsDie(now.Add(-time.Second))), signed)
	}
}

func secrets(c *trial) {
	s := c.signer()
	p := c.presign(s, c.request())
	_, query, _ := strings.Cut(p.URL, "?")
	signature := c.signature(p.URL)
	clear, err := url.QueryUnescape(signature)
	if err != nil || signature == "" {
		c.fatalf("the last of Harness.Params, %s, is no parameter of the URL", c.Params[len(c.Params)-1])
	}
	hidden := map[string]string{"the signature": signature, "the signature, decoded": clear, "the query": query, "a parameter's value": "pale"}
	for i, secret := range c.Secrets {
		hidden[fmt.Sprintf("secret %d", i+1)] = secret
	}
	check := func(what, text string) {
		for name, h := range hidden {
			if h != "" && strings.Contains(text, h) {
				c.errorf("%s prints %s", what, name)
			}
		}
	}
	checkError := func(what string, err error) {
		if err != nil {
			check("the error of "+what, err.Error())
			check("the error of "+what+", with %+v,", fmt.Sprintf("%+v", err))
		}
	}
	printed := map[string]any{"the Signer": s, "a struct with the Signer": struct{ s signer.Signer }{s}, "the Presigned": p, "the Presigned, by value": *p}
	if c.NewVerifier != nil {
		v := c.verifier()
		c.accepts("a URL", v, c.arrived(p)) // its caches are filled
		printed["the Verifier"] = v
	}
	for what, x := range printed {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			check(what+", with "+verb+",", fmt.Sprintf(verb, x))
		}
		if _, ok := x.(json.Marshaler); !ok {
			text, _ := json.Marshal(x)
			check(what+", in JSON,", string(text))
		}
	}
	for _, bad := range c.badRequests() {
		_, err := s.Presign(ctx(), c.request(bad.edit))
		checkError("Presign, "+bad.name, err)
	}
	for _, bad := range c.badHTTPRequests() {
		if rp, ok := signer.As[signer.RequestPresigner](s); ok {
			_, err := rp.PresignRequest(ctx(), c.httpRequest(bad.edit), signer.Options{Expires: time.Hour})
			checkError("PresignRequest, "+bad.name, err)
		}
		if rs, ok := signer.As[signer.RequestSigner](s); ok {
			checkError("Sign, "+bad.name, rs.Sign(ctx(), c.httpRequest(bad.edit)))
		}
	}
	if c.NewVerifier == nil {
		return
	}
	v, in := c.verifier(), c.arrived(p)
	for _, t := range c.tampers(p, in) {
		_, err := v.Verify(ctx(), edited(in, t.edit))
		checkError("Verify, "+t.name, err)
	}
	_, err = c.verifier(rotated).Verify(ctx(), in)
	checkError("Verify with another secret", err)
	_, err = c.verifier(at(p.ExpiresAt)).Verify(ctx(), in)
	checkError("Verify at the end", err)
	if !c.has("Sign") {
		return
	}
	signed := c.signed(s)
	for part := range strings.FieldsFuncSeq(signed.Header.Get("Authorization"), func(r rune) bool { return strings.ContainsRune(" ,:=/", r) }) {
		if len(part) >= 40 { // no word of the grammar is so long
			hidden["the signature in Authorization"] = part
		}
	}
	for _, t := range c.signTampers(signed) {
		_, err := v.Verify(ctx(), edited(signed, t.edit))
		checkError("Verify of a signed request, "+t.name, err)
	}
}

// atMost is d, or as much of it as the scheme's maximum leaves beside a window.
func (c *trial) atMost(d time.Duration) time.Duration {
	if c.MaxExpires > 0 {
		return min(d, c.MaxExpires/2)
	}
	return d
}
