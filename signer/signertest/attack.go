package signertest

import (
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// Attack mounts a corpus of attacks on the verifiers of h, which needs a NewVerifier. Each attack takes requests that a signer of
// h has signed, in the URL and where the scheme has it in the header, makes of them requests that nobody signed, and sees that
// every one is refused with a sentinel of package signer and without a panic:
//
//	func TestAttack(t *testing.T) { signertest.Attack(t, harness) }
//
// Run holds a Verifier to the sentences of the contract; Attack has what strangers do to signed requests, systematically, and a
// list of it. Each attack is a subtest with a stable name; go test -v prints the table of them, with the number of requests.
//
// Some attacks write a request in another way, and may end in one that means what was signed: an escape in lower case, a blank
// more in a header. Their texts say so ("or is the very same request"). Such a request may be granted, if the Grant is that of
// the request that was signed in all but the Fingerprint.
func Attack(t *testing.T, h Harness) {
	t.Helper()
	if err := h.check(); err != nil {
		t.Fatal(err)
	}
	if h.NewVerifier == nil {
		t.Fatal("signertest: Harness.NewVerifier is nil; it makes the verifiers to attack")
	}
	size := 10 << 20
	if testing.Short() {
		size = 1 << 20
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "attack\trequests\tthe very same\twhat it tries")
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			s := a.mountOn(h, size)
			fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", a.name, s.tried, s.same, a.text)
			if len(s.problems) > 0 {
				t.Errorf("%s\nThe attack: %s", strings.Join(s.problems, "\n"), a.text)
			}
			if s.tried == 0 {
				t.Skip("the scheme has nothing to attack so")
			}
		})
	}
	w.Flush()
	t.Logf("the attacks:\n%s", table.String())
}

// Flood measures what requests of 1 and of 10 MB cost a Verifier of h before it refuses them, in nanoseconds for each byte. The
// two of one kind are to be alike: where the larger costs more for each byte, strangers can keep the Verifier busy.
//
//	func BenchmarkFlood(b *testing.B) { signertest.Flood(b, harness) }
func Flood(b *testing.B, h Harness) {
	s := &siege{trial: newTrial(h)}
	s.attacked = s.verifier()
	for t := range s.targets() {
		for _, f := range s.floodings(t) {
			for _, size := range []int{1 << 20, 10 << 20} {
				in := edited(t.in, f.edit(size))
				b.Run(fmt.Sprintf("%s/%s/%dMB", t.name, f.name, size>>20), func(b *testing.B) {
					for b.Loop() {
						s.attacked.Verify(ctx(), in)
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/byte")
				})
			}
		}
	}
	if len(s.problems) > 0 {
		b.Fatal(strings.Join(s.problems, "\n"))
	}
}

// An attack is one kind of change to good requests.
type attack struct {
	name, text string
	mount      func(*siege)
}

// mountOn attacks the verifiers of h.
func (a *attack) mountOn(h Harness, size int) *siege {
	s := &siege{trial: newTrial(h), size: size}
	s.run(func() {
		s.attacked = s.verifier()
		a.mount(s)
	})
	return s
}

// A siege is one attack on the verifiers of one Harness.
type siege struct {
	*trial
	attacked    signer.Verifier
	size        int // of floods, in bytes
	tried, same int
}

// A target is a good request, as it arrives.
type target struct {
	name      string // "a URL"
	presigned bool
	in        *http.Request
	grant     *signer.Grant
}

// targets are a URL that reads, one that writes and a request that is signed in its header, as far as the scheme has them. Each
// has a signed header with a blank and a comma in its value.
func (s *siege) targets(keys ...string) iter.Seq[*target] {
	if len(keys) == 0 {
		keys = []string{"a/b c+d.txt"}
	}
	return func(yield func(*target) bool) {
		for _, key := range keys {
			for _, t := range []func() *target{
				func() *target { return s.target("a URL", s.url(s.signer(), method(s.Methods[0]), key)) },
				func() *target { return s.target("a URL that writes", s.url(s.signer(), s.writing(), key)) },
				func() *target { return s.target("a signed request", s.header(s.signer(), key)) },
			} {
				t := t()
				if t == nil {
					continue
				}
				if t.grant.Key != key || t.grant.Bucket != s.Bucket {
					s.errorf("%s for %q in %q grants %q in %q", t.name, key, s.Bucket, t.grant.Key, t.grant.Bucket)
				}
				if !yield(t) {
					return
				}
			}
		}
	}
}

// target sees that a request is good.
func (s *siege) target(name string, in *http.Request) *target {
	if in == nil {
		return nil
	}
	return &target{name, in.Header.Get("Authorization") == "", in, s.accepts(name, s.attacked, in)}
}

// url is a request for a URL, nil if the scheme has no such method.
func (s *siege) url(by signer.Signer, m, key string) *http.Request {
	if m == "" {
		return nil
	}
	return s.arrived(s.presign(by, s.request(func(r *signer.Request) { r.Method, r.Key, r.Header = m, key, s.covered(true) })))
}

// header is a request that is signed in its header, nil if the scheme has none.
func (s *siege) header(by signer.Signer, key string) *http.Request {
	if !s.has("Sign") {
		return nil
	}
	bare := s.bare(key)
	return s.signed(by, func(r *http.Request) {
		query := r.URL.RawQuery
		u, err := url.Parse(bare)
		if err != nil {
			s.fatalf("the URL that Presign returns does not parse: %v", signer.RedactError(err))
		}
		r.URL, r.URL.RawQuery = u, query
		r.Header = s.covered(false)
	})
}

// covered are headers to sign, as far as the scheme does: the provider's, of Azure too, and some of HTTP's.
func (s *siege) covered(presigned bool) http.Header {
	h := http.Header{s.metaHeader(): {"pale blue,green"}, "Cache-Control": {"no-store"}, "Content-Type": {"text/plain"}}
	switch {
	case presigned && !s.has("Header"):
		return nil
	case s.HeaderPrefix == "" && !presigned:
		h["X-Ms-Meta-Color"] = []string{"pale blue,green"}
	}
	return h
}

// refused mounts a change, after which a request must be refused; with sentinels, by one of them.
func (s *siege) refused(t *target, what string, edit func(*http.Request), sentinels ...error) {
	s.try(t, what, edit, false, sentinels)
}

// refusedOrSame mounts a change, after which a request must be refused, or be granted just as it was.
func (s *siege) refusedOrSame(t *target, what string, edit func(*http.Request)) {
	s.try(t, what, edit, true, nil)
}

func (s *siege) try(t *target, what string, edit func(*http.Request), maybeSame bool, sentinels []error) {
	s.tried++
	what = t.name + ", " + what
	if len(what) > 200 {
		what = what[:200] + "..."
	}
	defer func() {
		if p := recover(); p != nil {
			if p == any(stop{}) {
				panic(p)
			}
			s.errorf("%s: panic: %v\n%s", what, p, debug.Stack())
		}
	}()
	g, err := s.attacked.Verify(ctx(), edited(t.in, edit))
	switch {
	case err != nil && g != nil:
		s.errorf("%s: a grant beside the error", what)
	case err != nil && len(err.Error()) > 16<<10:
		s.errorf("%s: an error of %d bytes, which a log would keep", what, len(err.Error()))
	case err != nil:
		if len(sentinels) == 0 {
			sentinels = refusal()
		}
		s.wantError(what, err, sentinels...)
	case g == nil:
		s.errorf("%s: Verify returns neither a grant nor an error", what)
	case !maybeSame:
		s.errorf("%s: it is accepted", what)
	default:
		s.same++
		if field, got, want := difference(g, t.grant); field != "" {
			s.errorf("%s: it is accepted, and the grant is not that of what was signed: %s is %v, signed was %v", what, field, got, want)
		}
	}
}

// difference names a field in which two grants differ, other than the fingerprint; "" if there is none.
func difference(a, b *signer.Grant) (field string, got, want any) {
	va, vb := reflect.ValueOf(*a), reflect.ValueOf(*b)
	for _, f := range reflect.VisibleFields(va.Type()) {
		x, y := va.FieldByIndex(f.Index).Interface(), vb.FieldByIndex(f.Index).Interface()
		if t, ok := x.(time.Time); ok && t.Equal(y.(time.Time)) || f.Name == "Fingerprint" || f.Name == "Chunks" || fmt.Sprint(x) == fmt.Sprint(y) {
			continue // as text, so that no parameters are as good as an empty map
		}
		return f.Name, x, y
	}
	return "", nil, nil
}

// A slot is a place of the signature in a request: the value of a parameter, or of a header.
type slot struct {
	name, value string
	set         func(r *http.Request, value string)
}

// slots are the parameters of the scheme in a URL, and of a request that is signed in its header that and the signed ones.
func (s *siege) slots(t *target) (all []slot) {
	if !t.presigned {
		for name := range t.in.Header {
			if name == "Authorization" || slices.Contains(t.grant.SignedHeaders, strings.ToLower(name)) && name != "Content-Length" {
				all = append(all, slot{name, t.in.Header.Get(name), func(r *http.Request, value string) { r.Header[name] = []string{value} }})
			}
		}
		slices.SortFunc(all, func(a, b slot) int { return strings.Compare(a.name, b.name) })
		return all
	}
	_, parts := split(t.in)
	for i, part := range parts {
		name, raw, _ := strings.Cut(part, "=")
		value, err := url.QueryUnescape(raw)
		if !s.isParam(name) || err != nil {
			continue
		}
		all = append(all, slot{name, value, func(r *http.Request, value string) {
			path, now := split(r)
			now[i] = name + "=" + escapeLike(value, raw)
			retarget(r, join(path, now))
		}})
	}
	return all
}

// split cuts the target of a request into its path and the parts of its query.
func split(r *http.Request) (path string, parts []string) {
	path, query, found := strings.Cut(r.RequestURI, "?")
	if !found {
		return path, nil
	}
	return path, strings.Split(query, "&")
}

func join(path string, parts []string) string { return path + "?" + strings.Join(parts, "&") }

// escapeLike escapes a value for a query, and leaves those characters that another one has bare.
func escapeLike(value, like string) string {
	escaped := strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
	for _, c := range "=/:,;~!*'()@$" {
		if strings.ContainsRune(like, c) {
			escaped = strings.ReplaceAll(escaped, fmt.Sprintf("%%%02X", c), string(c))
		}
	}
	return escaped
}

// replacing sets a slot to its value with the text between two places replaced.
func (p *slot) replacing(from, to int, text string) func(*http.Request) {
	return func(r *http.Request) { p.set(r, p.value[:from]+text+p.value[to:]) }
}

// A mark is a text that is found in a slot.
type mark struct {
	slot
	from, to int
	text     string
}

func (m *mark) replaced(text string) func(*http.Request) { return m.replacing(m.from, m.to, text) }

// find lists what matches in the slots of a request.
func (s *siege) find(t *target, pattern string) (all []mark) {
	re := regexp.MustCompile(pattern)
	for _, p := range s.slots(t) {
		for _, at := range re.FindAllStringIndex(p.value, -1) {
			all = append(all, mark{p, at[0], at[1], p.value[at[0]:at[1]]})
		}
	}
	return all
}

// An instant is a time in a slot.
type instant struct {
	mark
	time   time.Time
	format func(time.Time) string
}

// instants finds the times in a request: dates and stamps as AWS, Google and Alibaba have them, those of Azure, of HTTP, and
// seconds since 1970.
func (s *siege) instants(t *target) (all []instant) {
	for pattern, layout := range map[string]string{
		`\b\d{8}\b`:                 "20060102",
		`\b\d{8}T\d{6}Z\b`:          "20060102T150405Z",
		`\b\d{4}-\d\d-\d\dT\S*Z\b`:  time.RFC3339,
		`\b[A-Z][a-z]{2}, .* GMT\b`: http.TimeFormat,
	} {
		for _, m := range s.find(t, pattern) {
			if at, err := time.Parse(layout, m.text); err == nil {
				all = append(all, instant{m, at, func(t time.Time) string { return t.UTC().Format(layout) }})
			}
		}
	}
	for _, m := range s.find(t, `^\d{10}$`) {
		if at, err := time.Parse("2006", "1970"); err == nil {
			var seconds int64
			fmt.Sscan(m.text, &seconds)
			all = append(all, instant{m, at.Add(time.Duration(seconds) * time.Second), func(t time.Time) string { return fmt.Sprint(t.Unix()) }})
		}
	}
	slices.SortFunc(all, func(a, b instant) int { return strings.Compare(a.name, b.name)*1000 + a.from - b.from })
	return all
}
