package signertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

func clockReadOnce(c *trial) {
	n := 0
	counting := func(o *Options) { o.Clock = clock.Func(func() time.Time { n++; return evening() }) }
	once := func(what string, do func()) {
		n = 0
		if do(); n != 1 {
			c.errorf("%s reads the clock %d times", what, n)
		}
	}
	s := c.signer(counting)
	var p *signer.Presigned
	once("Presign", func() { p = c.presign(s, c.request()) })
	once("Presign with a Window", func() {
		c.presign(s, c.request(func(r *signer.Request) { r.Window = time.Minute }))
	})
	req := c.httpRequest()
	if _, ok := signer.As[signer.RequestPresigner](s); ok {
		once("PresignRequest", func() { c.presignRequest(s, req, signer.Options{Expires: time.Hour}) })
	}
	if c.has("Sign") {
		once("Sign", func() { c.sign(s, req) })
	}
	if c.NewVerifier != nil {
		v, in := c.verifier(counting), c.arrived(p)
		once("Verify", func() { c.accepts("a good URL", v, in) })
	}
}

// learned is a clock whose machine is an hour slow, and which knows.
type learned struct{}

func (learned) Now() time.Time { return evening().Add(-time.Hour) }

func (learned) Read(string) (time.Time, time.Duration) { return evening(), time.Hour }

func clockLearned(c *trial) {
	learn := func(o *Options) { o.Clock = learned{} }
	p, exact := c.presign(c.signer(learn), c.request()), c.presign(c.signer(), c.request())
	if p.URL != exact.URL {
		c.errorf("the URL is not that of the corrected time")
	}
	if p.ClockOffset != time.Hour || exact.ClockOffset != 0 {
		c.errorf("ClockOffset is %v with a correction of an hour, and %v with a clock that has learned nothing", p.ClockOffset, exact.ClockOffset)
	}
	if c.NewVerifier != nil {
		if _, err := c.NewVerifier(c.options(learn)); err == nil {
			c.errorf("a Verifier with a clock.Learned is made without an error")
		}
	}
}

func timeZone(c *trial) {
	for _, instant := range []time.Time{evening(), evening().Add(20 * time.Second)} {
		for _, hours := range []float64{-11, 5.75, 14} {
			there := at(instant.In(time.FixedZone("", int(hours*3600))))
			for _, w := range []time.Duration{0, 7 * time.Minute} {
				r := c.request(func(r *signer.Request) { r.Window = w })
				if a, b := c.presign(c.signer(at(instant)), r), c.presign(c.signer(there), r); a.URL != b.URL || !a.ExpiresAt.Equal(b.ExpiresAt) || !a.NotBefore.Equal(b.NotBefore) {
					c.errorf("%v, %s: another URL than in UTC, %v hours away", instant, describe(r), hours)
				}
			}
			if c.has("Sign") {
				a, b := c.httpRequest(), c.httpRequest()
				c.sign(c.signer(at(instant)), a)
				c.sign(c.signer(there), b)
				if !reflect.DeepEqual(a.Header, b.Header) {
					c.errorf("%v: another signed header than in UTC, %v hours away", instant, hours)
				}
			}
		}
	}
}

func deterministic(c *trial) {
	s := c.signer()
	for _, r := range []signer.Request{c.request(), c.request(func(r *signer.Request) { r.Key, r.Window = "other", time.Minute })} {
		first := c.presign(s, r)
		if again := c.presign(s, r); again.URL != first.URL {
			c.errorf("the second call for %s returns another URL", describe(r))
		}
		if fresh := c.presign(c.signer(), r); fresh.URL != first.URL {
			c.errorf("a fresh Signer returns another URL for %s", describe(r))
		}
	}
	if _, ok := signer.As[signer.RequestPresigner](s); ok {
		o := signer.Options{Expires: time.Hour}
		if c.presignRequest(s, c.httpRequest(), o).URL != c.presignRequest(c.signer(), c.httpRequest(), o).URL {
			c.errorf("PresignRequest of a fresh Signer returns another URL")
		}
	}
}

// independent signs one request, another that is unlike it in one respect, and the first again, for each respect: a Signer that
// remembers too much takes one for the other.
func independent(c *trial) {
	var now time.Time
	second := false
	moving := func(o *Options) {
		o.Clock = clock.Func(func() time.Time { return now })
		o.Rotated = func() bool { return second }
	}
	s := c.signer(moving)
	same := func(what string, r signer.Request) {
		if got, want := c.outcome(s, r), c.outcome(c.signer(moving), r); got != want {
			c.errorf("%s, %s: another result than a fresh Signer's", describe(r), what)
		}
	}
	samples := c.samples()
	samples["no key"] = sample{set: func(r *signer.Request) { r.Key = "" }}
	samples["a minute later"] = sample{set: func(*signer.Request) { now = now.Add(time.Minute) }}
	samples["a minute later, to the same end"] = sample{set: func(r *signer.Request) { now, r.Expires = now.Add(time.Minute), r.Expires-time.Minute }}
	if c.has("Rotated") {
		samples["another secret"] = sample{set: func(r *signer.Request) { second = r.Window == 0 }} // what is stable may be remembered
	}
	for _, window := range []time.Duration{0, 7 * time.Minute} {
		for respect, sm := range samples {
			if sm.set == nil {
				continue
			}
			first := signer.Request{Method: method(c.Methods[0]), Key: "key", Expires: time.Hour, Window: window}
			if sm.prepare != nil {
				sm.prepare(&first)
			}
			r := first
			now, second = evening(), false
			same("before "+respect, first)
			sm.set(&r)
			same("changed in "+respect, r)
			now, second = evening(), false
			same("after "+respect, first)
		}
	}
}

func concurrent(c *trial) {
	const goroutines, keys, rounds = 8, 6, 24
	request := func(i int) signer.Request {
		return c.request(func(r *signer.Request) { r.Key = fmt.Sprint("key ", i) })
	}
	var want [keys]string
	for i := range want {
		want[i] = c.presign(c.signer(), request(i)).URL
	}
	s := c.signer()
	var v signer.Verifier
	var in *http.Request
	if c.NewVerifier != nil {
		v, in = c.verifier(), c.arrived(c.presign(c.signer(), request(0)))
	}
	problems := make(chan string, goroutines*rounds*2)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					problems <- fmt.Sprintf("panic: %v", p)
				}
			}()
			<-start
			for i := range rounds {
				i = (i + g) % keys
				if p, err := s.Presign(ctx(), request(i)); err != nil || p.URL != want[i] {
					problems <- fmt.Sprintf("several goroutines: another result than alone, %v", err)
				}
				if v == nil {
					continue
				}
				if _, err := v.Verify(ctx(), in.Clone(ctx())); err != nil {
					problems <- fmt.Sprintf("several goroutines: a good URL is refused: %v", err)
				}
			}
		})
	}
	close(start)
	wg.Wait()
	close(problems)
	for p := range problems {
		c.errorf("%s", p)
	}
}

func contextCancelled(c *trial) {
	dead, cancel := context.WithCancel(ctx())
	cancel()
	one := func(what string, result bool, err error) {
		if result == (err != nil) {
			c.errorf("%s: result %t, error %v; want one of the two", what, result, err)
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			c.errorf("%s: the error %q does not wrap context.Canceled", what, err)
		}
	}
	s := c.signer()
	p, err := s.Presign(dead, c.request())
	one("Presign", p != nil, err)
	if rp, ok := signer.As[signer.RequestPresigner](s); ok {
		p, err := rp.PresignRequest(dead, c.httpRequest(), signer.Options{Expires: time.Hour})
		one("PresignRequest", p != nil, err)
	}
	if rs, ok := signer.As[signer.RequestSigner](s); ok {
		err := rs.Sign(dead, c.httpRequest())
		one("Sign", err == nil, err)
	}
	if c.NewVerifier != nil {
		g, err := c.verifier().Verify(dead, c.arrived(c.presign(s, c.request())))
		one("Verify", g != nil, err)
	}
}

// wrapper hides the capabilities of a Signer, as a wrapper that adds logging would.
type wrapper struct{ signer.Signer }

func (w wrapper) Unwrap() signer.Signer { return w.Signer }

func capabilities(c *trial) {
	s := c.signer()
	_, found := signer.As[signer.RequestPresigner](s)
	_, behind := signer.As[signer.RequestPresigner](wrapper{s})
	if !found || !behind {
		c.errorf("RequestPresigner: found %t, behind a wrapper %t", found, behind)
	}
	_, found = signer.As[signer.RequestSigner](s)
	_, behind = signer.As[signer.RequestSigner](wrapper{s})
	if want := c.has("Sign"); found != want || behind != want {
		c.errorf("RequestSigner: found %t, behind a wrapper %t, want %t", found, behind, want)
	}
}

// A sample is how a field of a Request is tried: set changes only that field, on a request that prepare made fit for it. Without
// set there is nothing to see of the field with this scheme.
type sample struct {
	prepare, set func(*signer.Request)
	options      []option
}

// samples has one for each field of a Request.
func (c *trial) samples() map[string]sample {
	response := func(field string) sample {
		return sample{set: func(r *signer.Request) { reflect.ValueOf(&r.Response).Elem().FieldByName(field).SetString("en") }}
	}
	all := map[string]sample{
		"Method":       {set: func(r *signer.Request) { r.Method = method(c.Methods[len(c.Methods)-1]) }},
		"Bucket":       {set: func(r *signer.Request) { r.Bucket = c.Bucket + "-2" }},
		"Key":          {set: func(r *signer.Request) { r.Key = "another" }},
		"Query":        {set: func(r *signer.Request) { r.Query = url.Values{"hue": {"1"}} }},
		"Header":       {set: func(r *signer.Request) { r.Header = http.Header{"Content-Type": {"text/plain"}} }},
		"Expires":      {set: func(r *signer.Request) { r.Expires += time.Minute }},
		"Window":       {set: func(r *signer.Request) { r.Window = 7 * time.Minute }},
		"Spread":       {prepare: func(r *signer.Request) { r.Window = 7 * time.Minute }, set: func(r *signer.Request) { r.Spread = true }},
		"AllowShorter": {set: func(r *signer.Request) { r.AllowShorter = true }},
		"BestEffort":   {set: func(r *signer.Request) { r.BestEffort = true }},
		"SourceIP":     {set: func(r *signer.Request) { r.SourceIP = netip.MustParsePrefix("192.0.2.0/24") }},
	}
	for _, field := range fieldNames(reflect.TypeFor[signer.ResponseHeaders](), "") {
		all["Response."+field] = response(field)
	}
	if len(c.Methods) == 1 { // nothing to tell apart
		all["Method"] = sample{set: func(r *signer.Request) { r.Method = "PATCH" }}
	}
	// The two permissions show only where something would be refused.
	shorter, effort := all["AllowShorter"], all["BestEffort"]
	switch {
	case c.MaxExpires > 0:
		shorter.prepare = func(r *signer.Request) { r.Expires = c.MaxExpires + time.Hour }
	case c.has("CredentialsExpire"):
		shorter.options = []option{credentialsDie(evening().Add(30 * time.Minute))}
	default:
		shorter.set = nil
	}
	for _, field := range sendable() {
		if !c.has(field) {
			effort.prepare = all[field].set
		}
	}
	if effort.prepare == nil {
		effort.set = nil
	}
	all["AllowShorter"], all["BestEffort"] = shorter, effort
	return all
}

// sendable are the fields that BestEffort lets through where the scheme cannot sign them. Others, an override perhaps, have no
// place in the request without the scheme.
func sendable() []string { return []string{"Query", "Header", "SourceIP"} }

func everyField(c *trial) {
	samples := c.samples()
	for _, field := range fieldNames(reflect.TypeFor[signer.Request](), "") {
		sm, ok := samples[field]
		switch {
		case !ok:
			c.errorf("the suite does not know the field %s of signer.Request; add a sample of it", field)
			continue
		case sm.set == nil:
			continue
		}
		s := c.signer(sm.options...)
		same := true
		for i := range 8 { // a shift may happen to be 0 for one key
			plain := signer.Request{Method: method(c.Methods[0]), Key: fmt.Sprint("key ", i), Expires: time.Hour}
			if sm.prepare != nil {
				sm.prepare(&plain)
			}
			set := plain
			sm.set(&set)
			if c.outcome(s, plain) != c.outcome(s, set) {
				same = false
			}
		}
		if same {
			c.errorf("%s changes nothing: it is neither signed nor refused", field)
		}
	}
}

// outcome is what Presign makes of a request, as text to compare.
func (c *trial) outcome(s signer.Signer, r signer.Request) string {
	p, err := s.Presign(ctx(), r)
	if err != nil {
		return "error: " + err.Error()
	}
	return fmt.Sprint(p.Method, p.URL, p.Header, p.ExpiresAt, p.LimitedBy)
}

func unsupported(c *trial) {
	s := c.signer()
	for field, sm := range c.samples() {
		if sm.set == nil || field == "AllowShorter" || field == "BestEffort" || field == "Method" {
			continue
		}
		r := signer.Request{Method: method(c.Methods[0]), Key: "k", Expires: time.Hour}
		if sm.prepare != nil {
			sm.prepare(&r)
		}
		sm.set(&r)
		if c.has(field) {
			r.BestEffort = true
			if p := c.presign(s, r); len(p.NotEnforced) > 0 {
				c.errorf("%s is supported, and NotEnforced names %q", field, p.NotEnforced)
			}
			continue
		}
		c.refuses(field, s, r, signer.ErrUnsupported, signer.ErrRequest)
		r.BestEffort = true
		p, err := s.Presign(ctx(), r)
		switch {
		case err != nil:
			c.wantError("Presign with BestEffort: "+field, err, signer.ErrUnsupported, signer.ErrRequest)
			if slices.Contains(sendable(), field) {
				c.errorf("with BestEffort %s is still refused: %v", field, err)
			}
		case !mentions(p.NotEnforced, field, r):
			c.errorf("with BestEffort %s is let through, and NotEnforced is %q", field, p.NotEnforced)
		}
	}
}

// mentions reports whether a list names a field, or the header or parameter that it holds.
func mentions(list []string, field string, r signer.Request) bool {
	names := []string{field}
	if field == "Header" {
		for name := range r.Header {
			names = append(names, name)
		}
	}
	if field == "Query" {
		for name := range r.Query {
			names = append(names, name)
		}
	}
	return slices.ContainsFunc(list, func(entry string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			return strings.Contains(strings.ToLower(entry), strings.ToLower(name))
		})
	})
}

func parametersExact(c *trial) {
	caller := url.Values{}
	if c.has("Query") {
		caller = url.Values{"shade": {"pale blue+"}, "Hue": {""}, "é & co": {"a/b=c&d"}, "tone~": {"%2F"}}
	}
	p := c.presign(c.signer(), c.request(func(r *signer.Request) { r.Query = caller }))
	c.exactly("Presign", p.URL, caller)
	if c.NewVerifier != nil { // in an order in which the signature holds
		c.accepts("a URL with many parameters", c.verifier(), c.arrived(p))
	}
	if repeated := (url.Values{"shade": {"b", "a", ""}}); c.has("Query") {
		p, err := c.signer().Presign(ctx(), c.request(func(r *signer.Request) { r.Query = repeated }))
		if err != nil {
			c.wantError("Presign: a repeated parameter", err, signer.ErrUnsupported, signer.ErrRequest)
		} else {
			c.exactly("Presign", p.URL, repeated)
			if c.NewVerifier != nil {
				c.accepts("a URL with a repeated parameter", c.verifier(), c.arrived(p))
			}
		}
	}
	bare := func(req *http.Request) { req.URL.RawQuery, req.Header = "", http.Header{} }
	p = c.presignRequest(c.signer(), c.httpRequest(bare), signer.Options{Expires: time.Hour})
	c.exactly("PresignRequest", p.URL, nil)
	for _, name := range c.WishParams {
		if u, _ := url.Parse(p.URL); u.Query().Has(name) {
			c.errorf("nothing was wished for, and the parameter %s is there", name)
		}
	}
}

// exactly checks the parameters of a URL.
func (c *trial) exactly(what, rawURL string, caller url.Values) {
	_, query, _ := strings.Cut(rawURL, "?")
	if strings.Contains(query, "+") {
		c.errorf("%s: a plus in the query", what)
	}
	got, err := url.ParseQuery(query)
	if err != nil {
		c.fatalf("%s: the query does not parse", what)
	}
	for _, name := range c.Params {
		if n := len(got[name]); n != 1 {
			c.errorf("%s: the parameter %s is there %d times", what, name, n)
		}
		got.Del(name)
	}
	for _, name := range c.WishParams {
		if n := len(got[name]); n > 1 {
			c.errorf("%s: the parameter %s is there %d times", what, name, n)
		}
		got.Del(name)
	}
	for name, values := range caller {
		have := slices.Sorted(slices.Values(got[name]))
		if !slices.Equal(have, slices.Sorted(slices.Values(values))) {
			c.errorf("%s: the caller's parameter %q is %q, want %q", what, name, have, values)
		}
		got.Del(name)
	}
	for name := range got {
		c.errorf("%s: nobody asked for the parameter %q", what, name)
	}
}

func methods(c *trial) {
	s := c.signer()
	standard := []string{"GET", "HEAD", "PUT", "POST", "DELETE"}
	for _, group := range c.Methods {
		for _, m := range strings.Fields(group) {
			p := c.presign(s, c.request(func(r *signer.Request) { r.Method = m }))
			if p.Method != m {
				c.errorf("asked for %s, Presigned.Method is %q", m, p.Method)
			}
			if c.NewVerifier == nil {
				continue
			}
			v, in := c.verifier(), c.arrived(p)
			if g := c.accepts("a URL for "+m, v, in); g.Method != m {
				c.errorf("a URL for %s grants %q", m, g.Method)
			}
			for _, other := range standard {
				if !slices.Contains(strings.Fields(group), other) {
					c.rejects(fmt.Sprintf("a URL for %s used with %s", m, other), v, edited(in, func(r *http.Request) { r.Method = other }))
				}
			}
		}
	}
	for _, m := range standard {
		if !slices.ContainsFunc(c.Methods, func(group string) bool { return slices.Contains(strings.Fields(group), m) }) {
			c.refuses(m+", which the scheme does not have", s, c.request(func(r *signer.Request) { r.Method = m }), signer.ErrUnsupported, signer.ErrRequest)
		}
	}
	for _, m := range []string{"get", "GET ", "G ET", "GET\n", "GET\r\nX-A: b", "GÉT", "*"} {
		c.refuses(fmt.Sprintf("method %q", m), s, c.request(func(r *signer.Request) { r.Method = m }), signer.ErrRequest)
	}
	if method(c.Methods[0]) == http.MethodGet {
		p := c.presign(s, c.request(func(r *signer.Request) { r.Method = "" }))
		if p.Method != http.MethodGet || p.URL != c.presign(s, c.request()).URL {
			c.errorf(`method "" is %q, and not the URL for GET`, p.Method)
		}
	}
}

// adversarialKeys have broken some signer or other.
func adversarialKeys() []string {
	return []string{"k", "a/b", "/leading", "//", "a//b", "trailing/", " ", " a ", "a b", "a+b", "+", "a%2Fb", "%", "%zz", "100%", "%25", "~-._", "!$&'()*,;=:@[]",
		"?", "#", "?x=y&X-Amz-Date=1#z", `"<>^{|}` + "`", "é", "e\u0301", "日本/語", "😀", "\u2028", "a\nb\tc\x01\x7f", "...", ".a", "a..", "..a/b..", "a/.../b", "con", "*",
		"a;b=c", "a&b", "http://evil.example/x", "@evil.example", strings.Repeat("0123456789abcdé/", 60)}
}

func keys(c *trial) {
	s, v := c.signer(), c.verifier()
	for _, key := range adversarialKeys() {
		r := c.request(func(r *signer.Request) { r.Key = key })
		p, err := s.Presign(ctx(), r)
		if err != nil {
			c.errorf("the key %q is refused: %v", key, err)
			continue
		}
		g, err := v.Verify(ctx(), c.arrived(p))
		if err != nil {
			c.errorf("the URL for the key %q is refused: %v", key, err)
			continue
		}
		if g.Key != key || g.Bucket != c.Bucket || !reflect.DeepEqual(g.Query, r.Query) && len(g.Query)+len(r.Query) > 0 {
			c.errorf("asked for %q in %q with %v, granted %q in %q with %v", key, c.Bucket, r.Query, g.Key, g.Bucket, g.Query)
		}
	}
	if other := c.Bucket + "-2"; c.has("Bucket") {
		p := c.presign(s, c.request(func(r *signer.Request) { r.Bucket = other }))
		if g := c.accepts("a URL for the bucket "+other, v, c.arrived(p)); g.Bucket != other || g.Key != c.request().Key {
			c.errorf("asked for bucket %q, granted %q in %q", other, g.Key, g.Bucket)
		}
	}
}

// A bad request is one that Presign refuses.
type badRequest struct {
	rule, name string
	edit       func(*signer.Request)
	want       []error
}

// badRequests lists them for all rules that need some.
func (c *trial) badRequests() (all []badRequest) {
	add := func(rule, name string, edit func(*signer.Request), want ...error) {
		all = append(all, badRequest{rule, name, edit, want})
	}
	// refused is ErrRequest, or ErrUnsupported where the field is refused anyway.
	refused := func(field string) []error {
		if c.has(field) {
			return []error{signer.ErrRequest}
		}
		return []error{signer.ErrRequest, signer.ErrUnsupported}
	}
	for _, key := range []string{"\x00", "a\x00b", "\xff", "a/\xc3\x28", "\xed\xa0\x80", ".", "..", "./a", "../a", "a/.", "a/..", "a/./b", "a/../b", "/..", "a//../b"} {
		add("keys-refused", fmt.Sprintf("key %q", key), func(r *signer.Request) { r.Key = key }, signer.ErrRequest)
	}
	if m := c.writing(); m != "" {
		add("keys-refused", "no key with "+m, func(r *signer.Request) { r.Method, r.Key = m, "" }, signer.ErrRequest)
	}
	for _, bucket := range badBuckets() {
		add("buckets-refused", fmt.Sprintf("bucket %q", bucket), func(r *signer.Request) { r.Bucket = bucket }, refused("Bucket")...)
	}
	for _, ch := range []byte{0, 1, '\t', '\n', '\r', 0x1f, 0x7f} {
		name, bad := "a"+string(rune(ch))+"b", "pale"+string(rune(ch))+"blue"
		add("control-characters", fmt.Sprintf("%q in the name of a header", ch), func(r *signer.Request) { r.Header = http.Header{name: {"v"}} }, refused("Header")...)
		add("control-characters", fmt.Sprintf("%q in the value of a header", ch), func(r *signer.Request) { r.Header = http.Header{c.metaHeader(): {"v", bad}} }, refused("Header")...)
		add("control-characters", fmt.Sprintf("%q in the name of a parameter", ch), func(r *signer.Request) { r.Query = url.Values{name: {"v"}} }, refused("Query")...)
		add("control-characters", fmt.Sprintf("%q in the value of a parameter", ch), func(r *signer.Request) { r.Query = url.Values{"shade": {"v", bad}} }, refused("Query")...)
		for _, field := range fieldNames(reflect.TypeFor[signer.ResponseHeaders](), "") {
			add("control-characters", fmt.Sprintf("%q in the override %s", ch, field), func(r *signer.Request) {
				reflect.ValueOf(&r.Response).Elem().FieldByName(field).SetString(bad)
			}, refused("Response."+field)...)
		}
	}
	for _, name := range []string{"", "a b", "a:b", "é", "a(b)"} {
		add("control-characters", fmt.Sprintf("header name %q", name), func(r *signer.Request) { r.Header = http.Header{name: {"v"}} }, refused("Header")...)
	}
	for _, param := range schemeParams() {
		for _, name := range []string{param, strings.ToLower(param), strings.ToUpper(param)} {
			add("scheme-parameters", "the parameter "+name, func(r *signer.Request) { r.Query = url.Values{name: {"1"}} }, refused("Query")...)
		}
	}
	for _, name := range []string{"Host", "host", "Authorization", "X-Amz-Date", "x-amz-security-token", "X-Goog-Date", "X-Oss-Date", "X-Oss-Security-Token", "X-Ms-Date",
		"Connection", "Transfer-Encoding"} {
		add("scheme-parameters", "the header "+name, func(r *signer.Request) { r.Header = http.Header{name: {"1"}} }, refused("Header")...)
	}
	for _, d := range []time.Duration{0, -1, -time.Hour} {
		add("expires-positive", fmt.Sprintf("Expires %v", d), expires(d), signer.ErrLifetime)
	}
	if c.MaxExpires > 0 {
		for _, more := range []time.Duration{1, time.Second, 365 * 24 * time.Hour} {
			add("expires-maximum", fmt.Sprintf("Expires %v above the maximum", more), expires(c.MaxExpires+more), signer.ErrLifetime)
		}
	}
	return all
}

// schemeParams are parameters of the five schemes' signatures.
func schemeParams() []string {
	return []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Security-Token", "X-Amz-Region-Set",
		"X-Goog-Algorithm", "X-Goog-Credential", "X-Goog-Date", "X-Goog-Expires", "X-Goog-SignedHeaders", "X-Goog-Signature",
		"x-oss-signature-version", "x-oss-credential", "x-oss-date", "x-oss-expires", "x-oss-signature", "x-oss-additional-headers", "x-oss-security-token",
		"sv", "st", "se", "sr", "sp", "sig", "sip", "spr", "si", "skoid", "sktid", "rscd", "rsct",
		"Expires", "KeyName", "Signature", "AWSAccessKeyId", "GoogleAccessId", "OSSAccessKeyId"}
}

func badBuckets() []string {
	return []string{"evil.example/", "a/b", "/", "a@b", "evil.example@", "a:80", "a%2e", "a%2fb", "a?b", "a#b", `a\b`, ".", "..", "a\nb", "a\x00", "a\x7fb", "a b"}
}

// refusesAll checks the bad requests of one rule.
func (c *trial) refusesAll(rule string) {
	s := c.signer()
	for _, bad := range c.badRequests() {
		if bad.rule != rule {
			continue
		}
		r := c.request(bad.edit)
		c.refuses(bad.name, s, r, bad.want...)
		r.BestEffort = true // no effort makes it right
		if _, err := s.Presign(ctx(), r); err == nil && rule != "expires-maximum" {
			c.errorf("Presign with BestEffort: %s: no error", bad.name)
		}
	}
}

func keysRefused(c *trial)      { c.refusesAll("keys-refused") }
func schemeParameters(c *trial) { c.refusesAll("scheme-parameters") }
func expiresPositive(c *trial) {
	c.refusesAll("expires-positive")
	for _, d := range []time.Duration{0, -1, -time.Hour} {
		_, err := c.requestPresigner(c.signer()).PresignRequest(ctx(), c.httpRequest(), signer.Options{Expires: d})
		c.wantError(fmt.Sprintf("PresignRequest: Expires %v", d), err, signer.ErrLifetime)
	}
}

func bucketsRefused(c *trial) {
	c.refusesAll("buckets-refused")
	for _, bucket := range badBuckets() {
		s, err := c.New(c.options(func(o *Options) { o.Bucket = bucket }))
		if err == nil {
			_, err = s.Presign(ctx(), c.request())
		}
		c.wantError(fmt.Sprintf("a Signer configured with the bucket %q", bucket), err, signer.ErrRequest)
	}
}

func controlCharacters(c *trial) {
	c.refusesAll("control-characters")
	s := c.signer()
	for _, bad := range c.badHTTPRequests() {
		if bad.rule == "control-characters" {
			c.refusesHTTP(bad, s)
		}
	}
}

func headers(c *trial) {
	s := c.signer()
	for _, m := range c.Methods {
		r := c.request(func(r *signer.Request) { r.Method = method(m) })
		if c.has("Header") {
			r.Header = http.Header{c.metaHeader(): {"  two   words ", "next"}, "Content-Type": {"text/plain; charset=utf-8"}, "cache-control": {"no-store"}}
		}
		p, err := s.Presign(ctx(), r)
		if err != nil {
			c.wantError("Presign: several values of a header", err, signer.ErrRequest, signer.ErrUnsupported)
			r.Header = http.Header{c.metaHeader(): {"blue"}, "Content-Type": {"text/plain; charset=utf-8"}, "cache-control": {"no-store"}}
			p = c.presign(s, r)
		}
		for name, values := range r.Header {
			if got := p.Header[http.CanonicalHeaderKey(name)]; !slices.Equal(got, values) {
				c.errorf("the header %s was asked for with %q, and Presigned.Header has %q", name, values, got)
			}
		}
		own := c.Sends(method(m))
		for name, values := range own {
			if got := p.Header[http.CanonicalHeaderKey(name)]; !slices.Equal(got, values) {
				c.errorf("a %s needs the header %s with %q, and Presigned.Header has %q", method(m), name, values, got)
			}
		}
		for name := range p.Header {
			asked := hasHeader(r.Header, name)
			if !asked && !hasHeader(own, name) {
				c.errorf("nobody asked for the header %s in Presigned.Header", name)
			}
		}
		if c.NewVerifier == nil {
			continue
		}
		v := c.verifier()
		g := c.accepts("the request that a Presigned for "+m+" makes", v, c.arrived(p))
		for name := range r.Header {
			if !slices.Contains(g.SignedHeaders, strings.ToLower(name)) {
				c.errorf("the header %s was asked for and is not signed; signed are %q", name, g.SignedHeaders)
			}
			c.rejects("a URL without its header "+name, v, edited(c.arrived(p), func(r *http.Request) { r.Header.Del(name) }))
		}
	}
	c.emptyHeader(s)
	for _, m := range c.Methods {
		plain := signer.Request{Method: method(m), Key: "k", Expires: time.Hour}
		if p := c.presign(s, plain); len(p.Header) > len(c.Sends(plain.Method)) || len(p.Header) == 0 && p.Header != nil || p.NotEnforced != nil {
			c.errorf("nothing was asked for but %s: Header is %v, NotEnforced is %q", plain.Method, p.Header, p.NotEnforced)
		}
	}
	c.signedLength(s)
}

// emptyHeader tries a header with an empty value, which is not the same as none.
func (c *trial) emptyHeader(s signer.Signer) {
	if !c.has("Header") || c.NewVerifier == nil {
		return
	}
	p, err := s.Presign(ctx(), c.request(func(r *signer.Request) { r.Header = http.Header{c.metaHeader(): {""}} }))
	if err != nil {
		c.wantError("Presign: a header with an empty value", err, signer.ErrRequest, signer.ErrUnsupported)
		return
	}
	v, in := c.verifier(), c.arrived(p)
	c.accepts("a URL with an empty header", v, in)
	c.rejects("a URL without its empty header", v, edited(in, func(r *http.Request) { r.Header.Del(c.metaHeader()) }))
}

// signedLength tries a signed Content-Length, which net/http keeps outside the header.
func (c *trial) signedLength(s signer.Signer) {
	m := c.writing()
	if !c.has("Header") || m == "" || c.NewVerifier == nil {
		return
	}
	p, err := s.Presign(ctx(), c.request(func(r *signer.Request) { r.Method, r.Header = m, http.Header{"Content-Length": {"5"}} }))
	if err != nil {
		c.wantError("Presign: Content-Length", err, signer.ErrUnsupported)
		return
	}
	req, err := p.NewRequest(ctx(), strings.NewReader("12345"))
	if err != nil {
		c.fatalf("NewRequest with a body of the signed length: %v", err)
	}
	in := c.received(req)
	c.accepts("a body of the signed length", c.verifier(), in)
	c.rejects("a body of another length than the signed one", c.verifier(), edited(in, func(r *http.Request) {
		r.ContentLength = 6
		r.Header.Set("Content-Length", "6")
	}))
}

// hasHeader looks a header up in any spelling.
func hasHeader(h http.Header, name string) bool {
	for n := range h {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

func overrides(c *trial) {
	for _, field := range fieldNames(reflect.TypeFor[signer.ResponseHeaders](), "") {
		if !c.has("Response." + field) {
			continue // the rule unsupported has it
		}
		const value = `a; b="ü,1" &+`
		p := c.presign(c.signer(), c.request(func(r *signer.Request) {
			reflect.ValueOf(&r.Response).Elem().FieldByName(field).SetString(value)
		}))
		u, err := url.Parse(p.URL)
		if err != nil {
			c.fatalf("the URL does not parse")
		}
		name := ""
		for n, values := range u.Query() {
			if slices.Contains(values, value) {
				name = n
			}
		}
		if name == "" {
			c.errorf("Response.%s: its value is in no parameter of the URL", field)
			continue
		}
		if c.NewVerifier == nil {
			continue
		}
		v, in := c.verifier(), c.arrived(p)
		c.accepts("a URL with an override", v, in)
		c.rejects("a URL whose override "+name+" was changed", v, edited(in, func(r *http.Request) {
			old := param(r.RequestURI, name)
			retarget(r, strings.Replace(r.RequestURI, name+"="+old, name+"=x", 1))
		}))
	}
}

func requestUnchanged(c *trial) {
	s := c.signer()
	// Blanks to fold, and slices of larger arrays: who appends to one writes into the caller's memory.
	tones, shades := []string{"  pale   blue ", "untouched"}, []string{"1", "untouched"}
	r := c.request()
	if c.has("Header") {
		r.Header[c.metaHeader()] = tones[:1]
		r.Header["content-type"] = []string{"text/plain"}
	}
	if c.has("Query") {
		r.Query["shade"] = shades[:1]
	}
	before := snap(r)
	c.presign(s, r)
	if !before.same(r) || tones[1] != "untouched" || shades[1] != "untouched" {
		c.errorf("Presign changed the request's Query or Header")
	}
	if c.has("Query") {
		r.Query["shade"] = []string{"b", "a"} // not to be sorted in place
		before = snap(r)
		if s.Presign(ctx(), r); !before.same(r) {
			c.errorf("Presign changed the order of a repeated parameter in the request's Query")
		}
	}
	r = signer.Request{Method: method(c.Methods[0]), Key: "k", Expires: time.Hour}
	c.presign(s, r)
	for _, bad := range c.badRequests() {
		r := c.request(bad.edit)
		before := snap(r)
		p, err := s.Presign(ctx(), r)
		if !before.same(r) {
			c.errorf("Presign refuses %s and has changed the request's Query or Header", bad.name)
		}
		if p != nil && err != nil {
			c.errorf("Presign refuses %s and returns a URL beside the error", bad.name)
		}
	}
}

func resultOwned(c *trial) {
	c.need("Header")
	s := c.signer()
	r := c.request()
	p := c.presign(s, r)
	clean := p.Header.Clone()
	for name := range r.Header {
		r.Header[name][0] = "changed"
	}
	r.Header.Set("Added", "1")
	if !reflect.DeepEqual(p.Header, clean) {
		c.errorf("Presigned.Header changes with Request.Header")
	}
	r = c.request()
	p = c.presign(s, r)
	before := snap(r)
	for name := range p.Header {
		p.Header[name][0] = "changed"
		p.Header[name] = append(p.Header[name], "more")
	}
	p.Header.Set("Added", "1")
	if !before.same(r) {
		c.errorf("Request.Header changes with Presigned.Header")
	}
	if _, ok := signer.As[signer.RequestPresigner](s); !ok {
		return
	}
	req := c.httpRequest()
	was := picture(req)
	p = c.presignRequest(s, req, signer.Options{Expires: time.Hour})
	for name := range p.Header {
		p.Header[name][0] = "changed"
	}
	if picture(req) != was {
		c.errorf("the header of PresignRequest's request changes with Presigned.Header")
	}
}
