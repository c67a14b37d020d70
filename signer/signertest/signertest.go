// Package signertest holds implementations of signer.Signer and signer.Verifier to their contract.
//
// To hold your own to it, describe in a Harness how signers and verifiers of your scheme are made, and call Run:
//
//	func TestConformance(t *testing.T) {
//		signertest.Run(t, signertest.Harness{
//			New: func(o signertest.Options) (signer.Signer, error) {
//				return mine.New(mine.Config{Bucket: o.Bucket, Clock: o.Clock, Backdate: o.Backdate, Keys: keys(o)})
//			},
//			NewVerifier: func(o signertest.Options) (signer.Verifier, error) {
//				return mine.NewVerifier(mine.VerifierConfig{Clock: o.Clock, Leeway: o.Leeway, Keys: keys(o)})
//			},
//			Params:     []string{"X-Mine-Date", "X-Mine-Expires", "X-Mine-Key", "X-Mine-Signature"},
//			MaxExpires: 7 * 24 * time.Hour,
//			Secrets:    []string{firstSecret, secondSecret},
//		})
//	}
//
// Each rule is a subtest with a stable name, so that go test -run TestConformance/window runs one. A failure says what
// happened and, beneath it, the rule that was broken; nothing else need be read to understand it.
//
// What a scheme demands or adds by itself is named too: Harness.Params are the parameters of every URL, WishParams those that come
// with a wish for headers or parameters, Sends the headers without which the service takes no request.
//
// A scheme that cannot do something says so in Harness.Unsupported. That skips nothing: what is not supported must be
// refused, or named in Presigned.NotEnforced, and the suite sees to it.
//
// Who has only a Signer takes a Verifier that is known to be right, and the other way round: package s3 has both for
// AWS Signature Version 4. Without a Verifier the rules that need one are skipped.
//
// To test code that uses signed URLs, NewStore starts a store that verifies every request, and tells what it refused.
package signertest

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A Harness makes signers and verifiers of one scheme, and tells what the suite must know about it. New and Params are
// required.
type Harness struct {
	// New returns a Signer that is configured as the Options say, with one place (endpoint, region, addressing) for all.
	New func(Options) (signer.Signer, error)

	// NewVerifier returns a Verifier for what New's signers sign, with the same keys. If it is nil, the rules that need one
	// are skipped. It must not take an unknown key id for the known one: some schemes do not sign it.
	NewVerifier func(Options) (signer.Verifier, error)

	// Bucket is the name that signers are configured with and that grants must give; "" means "signertest". The suite
	// appends "-2" for another one.
	Bucket string

	// Params are the names of the parameters that the scheme adds to the URL of a request without further wishes, as
	// they are spelt there, the signature's own last.
	Params []string

	// WishParams are those that it adds, at most once each, for headers and parameters that a request wishes for: the lists
	// of what is signed perhaps. Nil where Params are all.
	WishParams []string

	// Sends are the headers that the scheme itself demands of whoever holds a URL for the method, beside those that were asked
	// for: X-Ms-Blob-Type of a PUT. Nil means none.
	Sends func(method string) http.Header

	// HeaderPrefix is what the provider's own headers begin with, "X-Amz-"; "" if they do not concern the scheme.
	HeaderPrefix string

	// MaxExpires is the longest that a URL can live; 0 for no limit.
	MaxExpires time.Duration

	// Methods are those that the scheme can presign; nil means GET, HEAD, PUT, POST and DELETE. An element that names
	// several ("GET HEAD") means that one URL allows them all.
	Methods []string

	// Unsupported names what the scheme does not have:
	//
	//   - a field of signer.Request ("SourceIP", "Header", "Response.Expires"), which must then be ErrUnsupported, or with
	//     BestEffort be named in NotEnforced;
	//   - "Backdate": its URLs have an end and no beginning;
	//   - "CredentialsExpire": its keys do not die;
	//   - "Rotated": a signer's key is fixed when it is made;
	//   - "Sign": it has no RequestSigner;
	//   - "AddedQuery": it signs the parameters that it lists, so that a URL can be given others, which no Grant may have;
	//   - "Replace": PresignRequest refuses a URL that has parameters of the scheme, because their names are ordinary.
	Unsupported []string

	// Secrets is what must never be printed: both secrets, session tokens, private keys.
	Secrets []string

	// HashBody sets the hash of a request's body, so that Sign covers it; nil if the scheme has none.
	HashBody func(*http.Request) error

	// Forge makes a request of its own that is signed with the first secret and right in all but one respect, which
	// fault names; with fault "" it is right in all. It is for what a Verifier must check although the signature fits,
	// which no change to a good request can show: the region, the day, that the host is signed. Nil if there is nothing.
	Forge func(o Options, fault string) (*http.Request, error)

	// Faults are the names that Forge knows.
	Faults []string
}

// Options say how one Signer or Verifier is to be configured.
type Options struct {
	// Clock is the clock. It is never nil.
	Clock clock.Clock

	// Bucket is the bucket of a Signer. It may be one that must be refused.
	Bucket string

	// Backdate is how far before now the URLs of a Signer start; 0 is the scheme's default, negative none.
	Backdate time.Duration

	// Leeway is how early a Verifier accepts a URL, and how far it lets the date of a header be off; 0 means 15 minutes.
	Leeway time.Duration

	// Rotated tells which of two secrets, both under one key id, is in force: the first, or the second. It is never nil.
	// Ask it for each signature: secrets rotate while programs run.
	Rotated func() bool

	// CredentialsExpire is when the credentials die; zero for never. Signers and verifiers know it.
	CredentialsExpire time.Time

	// NoCredentials is for a Signer that has none, at most a key id without a secret. New may refuse to make it.
	NoCredentials bool
}

// Run holds the signers and verifiers of h to every rule.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if err := h.check(); err != nil {
		t.Fatal(err)
	}
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			problems, skipped := r.hold(h)
			if len(problems) > 0 {
				t.Errorf("%s\nThe rule: %s", strings.Join(problems, "\n"), r.text)
			}
			if skipped != "" {
				t.Skip(skipped)
			}
		})
	}
}

// check finds mistakes in the harness itself, which would otherwise look like broken rules or like none.
func (h *Harness) check() error {
	var errs []error
	if h.New == nil {
		errs = append(errs, errors.New("signertest: Harness.New is nil; it makes the signers to test"))
	}
	if len(h.Params) == 0 {
		errs = append(errs, errors.New("signertest: Harness.Params is empty; name the parameters that signing adds to a URL"))
	}
	if (h.Forge == nil) != (len(h.Faults) == 0) {
		errs = append(errs, errors.New("signertest: Harness.Forge and Faults go together"))
	}
	known := append(fieldNames(reflect.TypeFor[signer.Request](), ""), fieldNames(reflect.TypeFor[Options](), "")...)
	known = append(known, "Sign", "AddedQuery", "Replace")
	for _, name := range h.Unsupported {
		if !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("signertest: Harness.Unsupported: %q is no feature; there are %q", name, known))
		}
	}
	return errors.Join(errs...)
}

// fieldNames lists the fields of a struct type, and those of structs in it as Outer.Inner.
func fieldNames(t reflect.Type, prefix string) (names []string) {
	for _, f := range reflect.VisibleFields(t) {
		if f.Type == reflect.TypeFor[signer.ResponseHeaders]() {
			names = append(names, fieldNames(f.Type, prefix+f.Name+".")...)
			continue
		}
		names = append(names, prefix+f.Name)
	}
	return names
}

// A rule is one sentence of the contract and the check that holds an implementation to it.
type rule struct {
	name, text string
	check      func(*trial)
}

// hold returns what breaks the rule. skipped says why the rule could not be tried.
func (r *rule) hold(h Harness) (problems []string, skipped string) {
	c := newTrial(h)
	c.run(func() { r.check(c) })
	return c.problems, c.skipped
}

// A trial is one rule held against one Harness.
type trial struct {
	Harness
	problems []string
	skipped  string
}

// newTrial fills in what a Harness leaves out.
func newTrial(h Harness) *trial {
	if h.Bucket == "" {
		h.Bucket = "signertest"
	}
	if h.Methods == nil {
		h.Methods = []string{"GET", "HEAD", "PUT", "POST", "DELETE"}
	}
	if h.Sends == nil {
		h.Sends = func(string) http.Header { return nil }
	}
	return &trial{Harness: h}
}

// run makes a check, to its end or to where it stops.
func (c *trial) run(check func()) {
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(stop{}) {
				c.errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		check()
	}()
	const most = 10 // the eleventh byte of a path that may be changed tells nothing new
	if len(c.problems) > most {
		c.problems = append(c.problems[:most], fmt.Sprintf("and %d problems more", len(c.problems)-most))
	}
}

// stop ends a check by panic, as FailNow ends a test.
type stop struct{}

func (c *trial) errorf(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

func (c *trial) fatalf(format string, args ...any) {
	c.errorf(format, args...)
	panic(stop{})
}

// skip ends a check that cannot be made.
func (c *trial) skip(why string) {
	c.skipped = why
	panic(stop{})
}

// has reports whether the scheme has a feature, by its name in Unsupported.
func (c *trial) has(feature string) bool { return !slices.Contains(c.Unsupported, feature) }

// need skips the check if the scheme does not have a feature.
func (c *trial) need(feature string) {
	if !c.has(feature) {
		c.skip("the scheme has no " + feature)
	}
}
