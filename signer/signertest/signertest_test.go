package signertest

import (
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cloudsigner/cloudsigner/signer"
)

// A right scheme passes, however little it has.
func TestToy(t *testing.T) { Run(t, toyHarness()) }

// Without a Verifier the rules for signers are left.
func TestSignerAlone(t *testing.T) {
	h := toyHarness()
	h.NewVerifier = nil
	tried := 0
	for _, r := range rules() {
		problems, skipped := r.hold(h)
		for _, p := range problems {
			t.Errorf("%s: %s", r.name, p)
		}
		if skipped == "" {
			tried++
		}
	}
	if tried < 25 {
		t.Errorf("only %d rules were tried", tried)
	}
}

func TestWrongSigners(t *testing.T) {
	for name, tt := range wrongSigners() {
		t.Run(name, func(t *testing.T) {
			h := toyHarness()
			right := h.New
			h.New = func(o Options) (signer.Signer, error) {
				s, err := right(o)
				if err != nil {
					return nil, err
				}
				return wrong{s.(*toy), tt.presign}, nil
			}
			problems, _ := named(tt.rule).hold(h)
			if len(problems) == 0 {
				t.Errorf("the rule %s does not find it", tt.rule)
			}
			t.Log(strings.Join(problems, "\n"))
		})
	}
}

func named(name string) *rule {
	all := rules()
	return &all[slices.IndexFunc(all, func(r rule) bool { return r.name == name })]
}

// A feature that the harness does not admit to is missed.
func TestUnsupportedIsNotSkipped(t *testing.T) {
	for feature, name := range map[string]string{"Header": "headers", "Sign": "capabilities", "Bucket": "keys", "Backdate": "accepted-early",
		"Replace": "resign-replaces", "SourceIP": "unsupported", "CredentialsExpire": "credentials-die", "Response.Expires": "overrides"} {
		h := toyHarness()
		h.Unsupported = slices.DeleteFunc(h.Unsupported, func(f string) bool { return f == feature })
		if problems, _ := named(name).hold(h); len(problems) == 0 {
			t.Errorf("the toy scheme has no %s, and the rule %s does not tell", feature, name)
		}
	}
}

// What a harness says that the scheme demands or adds by itself is held against it.
func TestWhatTheSchemeAdds(t *testing.T) {
	for what, tt := range map[string]struct {
		rule string
		edit func(*Harness)
	}{
		"a header that is demanded": {"headers", func(h *Harness) { h.Sends = func(string) http.Header { return http.Header{"X-Toy": {"1"}} } }},
		"a parameter of wishes alone": {"parameters-exact", func(h *Harness) {
			h.Params, h.WishParams = []string{"Expires", "Signature"}, []string{"KeyName"} // which is always there
		}},
		"parameters that can be added": {"tampering", func(h *Harness) { h.Unsupported = append(h.Unsupported, "AddedQuery") }},
	} {
		h := toyHarness()
		tt.edit(&h)
		if problems, _ := named(tt.rule).hold(h); len(problems) == 0 {
			t.Errorf("the toy scheme has not %s, and the rule %s does not tell", what, tt.rule)
		}
	}
}

func TestHarnessMistakes(t *testing.T) {
	for want, edit := range map[string]func(*Harness){
		"New is nil":                  func(h *Harness) { h.New = nil },
		"Params is empty":             func(h *Harness) { h.Params = nil },
		"Forge and Faults":            func(h *Harness) { h.Faults = []string{"x"} },
		`"Headers" is no feature`:     func(h *Harness) { h.Unsupported = []string{"Headers"} },
		`"Response.X" is no feature`:  func(h *Harness) { h.Unsupported = []string{"Response.X"} },
		`"response" is no feature; t`: func(h *Harness) { h.Unsupported = []string{"response"} },
	} {
		h := toyHarness()
		edit(&h)
		if err := h.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	h := toyHarness()
	if err := h.check(); err != nil {
		t.Error(err)
	}
}

// A field that is added to Request later has no sample, and says so.
func TestSamplesCoverTheRequest(t *testing.T) {
	fields := fieldNames(reflect.TypeFor[signer.Request](), "")
	if !slices.Contains(fields, "SourceIP") || !slices.Contains(fields, "Response.Expires") || slices.Contains(fields, "Response") {
		t.Errorf("fields %q", fields)
	}
	c := &trial{Harness: Harness{Methods: []string{"GET", "PUT"}}}
	samples := c.samples()
	for _, field := range fields {
		if _, ok := samples[field]; !ok {
			t.Errorf("no sample of %s", field)
		}
	}
	if len(samples) != len(fields) {
		t.Errorf("%d samples of %d fields", len(samples), len(fields))
	}
}

// Names select subtests and stay; texts stand for themselves.
func TestRuleNames(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rules() {
		if !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(r.name) || seen[r.name] {
			t.Errorf("name %q", r.name)
		}
		seen[r.name] = true
		if len(r.text) < 30 || !strings.HasSuffix(r.text, ".") || r.check == nil {
			t.Errorf("%s: text %q", r.name, r.text)
		}
	}
}

func TestFlipped(t *testing.T) {
	for _, s := range []string{"a", "b", "z", "A", "B", "Z", "0", "9", "/", "-", "é"} {
		got := flipped(s, 0)
		if got == s || strings.EqualFold(got, s) || len(got) != len(s) {
			t.Errorf("%q becomes %q", s, got)
		}
	}
}
