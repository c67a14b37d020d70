package signertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// s3Harness is package s3, described.
func s3Harness() Harness {
	creds := func(o Options) s3.Credentials {
		c := s3.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretKey: signer.NewSecret([]byte("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))}
		if o.Rotated() {
			c.SecretKey = signer.NewSecret([]byte("je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"))
		}
		return c
	}
	return Harness{
		New: func(o Options) (signer.Signer, error) {
			return s3.New(s3.Config{Region: "eu-west-1", Bucket: o.Bucket, Clock: o.Clock, Credentials: creds(o)})
		},
		NewVerifier: func(o Options) (signer.Verifier, error) {
			return s3.NewVerifier(s3.VerifierConfig{Region: "eu-west-1", Clock: o.Clock, Leeway: o.Leeway,
				Lookup: func(_ context.Context, id string) (s3.Credentials, error) {
					c := creds(o)
					if id != c.AccessKeyID {
						return c, signer.ErrUnknownKey
					}
					return c, nil
				}})
		},
		Params:       []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"},
		HeaderPrefix: "X-Amz-",
		MaxExpires:   7 * 24 * time.Hour,
		Unsupported:  []string{"SourceIP"},
		HashBody:     s3.HashBody,
		Forge: func(o Options, fault string) (*http.Request, error) { // the list without the host, which does not fit, but a flaw forgives it
			s, err := s3.New(s3.Config{Region: "eu-west-1", Bucket: "signertest", Clock: o.Clock, Credentials: creds(o)})
			if err != nil {
				return nil, err
			}
			p, err := s.Presign(context.Background(), signer.Request{Key: "k", Expires: time.Minute, Header: http.Header{"X-Amz-Meta-A": {"1"}}})
			if err != nil {
				return nil, err
			}
			if fault != "" {
				p.URL = strings.Replace(p.URL, "host%3B", "", 1)
			}
			return p.NewRequest(context.Background(), nil)
		},
		Faults: []string{"host not signed"},
	}
}

// azureHarness is package azure, described, for SAS alone, with an account key.
func azureHarness() Harness {
	key := func(o Options) (azure.Key, error) {
		if o.Rotated() {
			return azure.SharedKey("myaccount", "c2Vjb25kIGtleSBvZiB0aGUgYWNjb3VudCwgZm9yIHRlc3RzIGFsb25lLi4=")
		}
		return azure.SharedKey("myaccount", "Zmlyc3Qga2V5IG9mIHRoZSBhY2NvdW50LCBmb3IgdGVzdHMgYWxvbmUuLi4=")
	}
	return Harness{
		New: func(o Options) (signer.Signer, error) {
			k, err := key(o)
			if err != nil {
				return nil, err
			}
			return azure.New(azure.Config{Account: "myaccount", Container: o.Bucket, Clock: o.Clock, Keys: k})
		},
		NewVerifier: func(o Options) (signer.Verifier, error) {
			return azure.NewVerifier(azure.VerifierConfig{Account: "myaccount", Clock: o.Clock, Leeway: o.Leeway, AccountKeys: func(context.Context) ([]signer.Secret, error) {
				k, err := key(o)
				return []signer.Secret{k.Secret()}, err
			}})
		},
		Params:      []string{"sv", "sr", "sp", "st", "se", "sig"},
		Methods:     []string{"GET HEAD", "PUT", "DELETE"},
		Unsupported: []string{"Query", "Header", "Response.Expires", "CredentialsExpire", "Sign"},
	}
}

// A flaw is a mistake that verifiers make. Each is built of a right Verifier: what that refuses is tried again as the flawed one
// would understand it.
type flaw struct {
	attack, name string
	harness      func() Harness // nil means that of s3

	// understand changes a request to what is understood; good is the last that was accepted.
	understand func(good, in *http.Request)
	// grant changes what is granted for a request, nil for nothing.
	grant func(in *http.Request, g *signer.Grant)
	// options change the Verifier itself.
	options option
	// refuse changes an error.
	refuse func(in *http.Request, err error) error
}

type flawed struct {
	signer.Verifier
	flaw
	good *http.Request
}

func (f *flawed) Verify(ctx context.Context, in *http.Request) (*signer.Grant, error) {
	g, err := f.Verifier.Verify(ctx, in)
	if err == nil {
		f.good = cmp.Or(f.good, in.Clone(ctx))
		if f.good.Method != in.Method || f.good.Header.Get("Authorization") == "" != (in.Header.Get("Authorization") == "") {
			f.good = in.Clone(ctx)
		}
	}
	if err != nil && f.good != nil && f.understand != nil {
		r := in.Clone(ctx)
		f.understand(f.good, r)
		g, err = f.Verifier.Verify(ctx, r)
	}
	if err == nil && f.flaw.grant != nil {
		f.flaw.grant(in, g)
	}
	if err != nil && f.refuse != nil {
		err = f.refuse(in, err)
	}
	return g, err
}

// applied returns h with flawed verifiers.
func (f flaw) applied(h Harness) Harness {
	right := h.NewVerifier
	h.NewVerifier = func(o Options) (signer.Verifier, error) {
		if f.options != nil {
			f.options(&o)
		}
		v, err := right(o)
		return &flawed{Verifier: v, flaw: f}, err
	}
	return h
}

// setParam sets a parameter of a URL, and removes it if it is there again.
func setParam(r *http.Request, name string, value func(string) string) {
	path, parts := split(r)
	kept, seen := []string{}, false
	for _, part := range parts {
		n, v, _ := strings.Cut(part, "=")
		if n == name && seen {
			continue
		}
		if n == name {
			seen = true
			part = n + "=" + value(v)
		}
		kept = append(kept, part)
	}
	retarget(r, strings.TrimSuffix(join(path, kept), "?"))
}

// as sets a parameter to that of the good request, if the condition holds for what is there, unescaped.
func as(name string, when func(good, is string) bool) func(good, in *http.Request) {
	return func(good, in *http.Request) {
		g := param(good.RequestURI, name)
		setParam(in, name, func(v string) string {
			clearGood, _ := url.QueryUnescape(g)
			clear, err := url.QueryUnescape(v)
			if err == nil && when(clearGood, clear) {
				return g
			}
			return v
		})
	}
}

func always(_, _ string) bool { return true }

func header(name string) func(good, in *http.Request) {
	return func(good, in *http.Request) { in.Header[name] = good.Header[name] }
}

func flaws() []flaw {
	samePath := func(good, in *http.Request) {
		path, _ := split(good)
		_, parts := split(in)
		retarget(in, strings.TrimSuffix(join(path, parts), "?"))
	}
	return []flaw{
		{attack: "another-key", name: "only the form of the signature is checked", understand: as("X-Amz-Signature", func(good, is string) bool { return len(is) == len(good) })},
		{attack: "another-key", name: "only the form of the signature is checked, at Azure", harness: azureHarness, understand: as("sig", func(good, is string) bool { return len(is) == len(good) })},
		{attack: "transplant", name: "the path is not signed", understand: samePath},
		{attack: "transplant", name: "the method is not signed", understand: func(good, in *http.Request) { in.Method = good.Method }},
		{attack: "signature", name: "as much of a signature is compared as there is", understand: as("X-Amz-Signature", func(good, is string) bool { return is != "" && strings.HasPrefix(good, is) })},
		{attack: "signature", name: "an empty signature is not compared", understand: as("X-Amz-Signature", func(_, is string) bool { return is == "" })},
		{attack: "signature", name: "what stands behind a signature is not read", understand: as("X-Amz-Signature", func(good, is string) bool { return strings.HasPrefix(is, good) })},
		{attack: "signature", name: "a signature is compared in lower case", understand: as("X-Amz-Signature", strings.EqualFold)},
		{attack: "signature", name: "base64 is decoded loosely", harness: azureHarness, understand: as("sig", func(good, is string) bool { return len(is) >= 42 && strings.HasPrefix(is, good[:42]) })},
		{attack: "algorithm", name: "the own algorithm is used, whatever is named", understand: as("X-Amz-Algorithm", always)},
		{attack: "algorithm", name: "an algorithm of none needs no signature", understand: as("X-Amz-Algorithm", func(_, is string) bool { return strings.EqualFold(is, "none") })},
		{attack: "algorithm", name: "the newest version is used, whatever is named", harness: azureHarness, understand: as("sv", always)},
		{attack: "key-id", name: "an empty key id is that of the only key", understand: as("X-Amz-Credential", func(_, is string) bool { return is[0] == '/' })},
		{attack: "key-id", name: "key ids are looked up in any capitals", understand: as("X-Amz-Credential", strings.EqualFold)},
		{attack: "key-id", name: "blanks around key ids are cut", understand: as("X-Amz-Credential", func(good, is string) bool { return strings.ReplaceAll(is, " ", "") == good })},
		{attack: "both-forms", name: "where a URL is signed, Authorization is not read", understand: func(_, in *http.Request) { in.Header.Del("Authorization") }},
		{attack: "both-forms", name: "only the first Authorization is read", understand: func(_, in *http.Request) { in.Header["Authorization"] = in.Header["Authorization"][:1] }},
		{attack: "both-forms", name: "signatures of others are passed over", understand: func(good, in *http.Request) { in.RequestURI = good.RequestURI }},
		{attack: "forged", name: "the host need not be signed", understand: as("X-Amz-SignedHeaders", func(good, is string) bool { return "host;"+is == good })},
		{attack: "expiry", name: "the life is not signed", understand: as("X-Amz-Expires", always)},
		{attack: "expiry", name: "a life may have a sign, zeros in front and a unit", understand: as("X-Amz-Expires", func(good, is string) bool { return strings.Trim(strings.TrimLeft(is, "+0"), "s") == good })},
		{attack: "expiry", name: "a life is counted in 32 bits", understand: as("X-Amz-Expires", func(good, is string) bool {
			var g, i int64
			fmt.Sscan(good, &g)
			fmt.Sscan(is, &i)
			return int32(g) == int32(i)
		})},
		{attack: "expiry", name: "the end is not signed", harness: azureHarness, understand: as("se", always)},
		{attack: "dates", name: "the day in the scope is not compared", understand: as("X-Amz-Credential", always)},
		{attack: "dates", name: "the time is not signed, only its day", understand: as("X-Amz-Date", func(good, is string) bool { return is[:8] == good[:8] })},
		{attack: "impossible-dates", name: "a short date is cut beyond its end", understand: func(_, in *http.Request) { _ = param(in.RequestURI, "X-Amz-Date")[:16] }},
		{attack: "impossible-dates", name: "midnight may be twenty-four hours late", understand: as("X-Amz-Date", func(_, is string) bool { return strings.HasSuffix(is, "T240000Z") })},
		{attack: "future", name: "the beginning is not checked", options: leeway(100 * 365 * 24 * time.Hour)},
		{attack: "future", name: "what has expired is not yet valid", refuse: func(_ *http.Request, err error) error {
			return &signer.Error{Op: "verify", Err: signer.ErrNotYetValid}
		}},
		{attack: "method", name: "methods are read in any case", understand: func(_, in *http.Request) { in.Method = strings.ToUpper(strings.TrimSpace(in.Method)) }},
		{attack: "method", name: "a header may name another method", grant: func(in *http.Request, g *signer.Grant) {
			g.Method = cmp.Or(in.Header.Get("X-Http-Method-Override"), g.Method)
		}},
		{attack: "host", name: "the host is what a proxy's header says", understand: func(_, in *http.Request) { in.Host = in.Header.Get("X-Forwarded-Host") }},
		{attack: "host", name: "the host is in the target", understand: func(_, in *http.Request) {
			if u, err := url.Parse(in.RequestURI); err == nil && u.IsAbs() {
				in.Host = u.Host
			}
		}},
		{attack: "host", name: "the host is not signed", understand: func(good, in *http.Request) {
			in.Host = good.Host
			as("X-Amz-SignedHeaders", func(good, is string) bool { return "host;"+is == good || is+";host" == good })(good, in)
		}},
		{attack: "path", name: "the path is decoded twice", understand: samePath, grant: func(in *http.Request, g *signer.Grant) { g.Key, _ = url.PathUnescape(g.Key) }},
		{attack: "path", name: "the path is not signed, and granted as it came", understand: samePath, grant: func(in *http.Request, g *signer.Grant) { g.Key = in.URL.Path }},
		{attack: "path", name: "what is granted is what handlers in front have made of the path", grant: func(in *http.Request, g *signer.Grant) { g.Key = in.URL.Path }},
		{attack: "query", name: "the parameters are those of another parser", understand: func(good, in *http.Request) { in.RequestURI = good.RequestURI }, grant: func(in *http.Request, g *signer.Grant) { g.Query = in.URL.Query() }},
		{attack: "duplicates", name: "the first of two parameters counts", understand: func(good, in *http.Request) {
			for _, name := range s3Harness().Params {
				setParam(in, name, func(v string) string { return v })
			}
		}},
		{attack: "duplicates", name: "the last of two parameters counts", understand: func(good, in *http.Request) {
			path, parts := split(in)
			slices.Reverse(parts)
			retarget(in, join(path, parts))
			for _, name := range s3Harness().Params {
				setParam(in, name, func(v string) string { return v })
			}
		}},
		{attack: "duplicates", name: "the first of two lines of a header counts", understand: func(_, in *http.Request) {
			for name, values := range in.Header {
				in.Header[name] = values[:1]
			}
		}},
		{attack: "parameter-case", name: "parameters are found in any capitals", understand: func(_, in *http.Request) {
			for _, name := range s3Harness().Params {
				in.RequestURI = regexp.MustCompile(`(?i)\b`+name+`=`).ReplaceAllString(in.RequestURI, name+"=")
			}
		}},
		{attack: "smuggling", name: "what stands behind a line feed is not read", understand: func(_, in *http.Request) {
			for _, name := range s3Harness().Params {
				setParam(in, name, func(v string) string { head, _, _ := strings.Cut(v, "%0A"); return head })
			}
		}},
		{attack: "smuggling", name: "fields are told apart by line feeds", harness: azureHarness, understand: func(_, in *http.Request) {
			in.RequestURI = regexp.MustCompile(`sp=([a-z]+)%0A([^&]*)&st=(&|$)`).ReplaceAllString(in.RequestURI, "sp=$1&st=$2$3")
		}},
		{attack: "smuggling", name: "fields that nobody signed are granted", understand: func(good, in *http.Request) { in.RequestURI = good.RequestURI }, grant: func(in *http.Request, g *signer.Grant) {
			g.Response.ContentType = in.URL.Query().Get("response-content-type")
		}},
		{attack: "vendor-headers", name: "headers that are not signed are not read", understand: func(good, in *http.Request) { in.Header = good.Header.Clone() }},
		{attack: "vendor-headers", name: "only copy-source is looked for", understand: func(good, in *http.Request) {
			for name := range in.Header {
				if good.Header[name] == nil && !strings.Contains(strings.ToLower(name), "copy-source") {
					delete(in.Header, name)
				}
			}
		}},
		{attack: "vendor-headers", name: "trailers are not looked at", understand: func(_, in *http.Request) { in.Trailer = nil }},
		{attack: "signed-headers", name: "the list is put in order and freed of what is twice", understand: as("X-Amz-SignedHeaders", func(good, is string) bool {
			names := listed(strings.ToLower(is))
			slices.Sort(names)
			return strings.Join(slices.Compact(names), ";") == good
		})},
		{attack: "signed-headers", name: "commas divide the list too", understand: as("X-Amz-SignedHeaders", func(good, is string) bool { return strings.ReplaceAll(is, ",", ";") == good })},
		{attack: "header-values", name: "a signed header may be missing", understand: func(good, in *http.Request) {
			for name, values := range good.Header {
				if !hasHeader(in.Header, name) {
					in.Header[name] = values
				}
			}
		}},
		{attack: "header-values", name: "only the first line of a header is signed", understand: func(_, in *http.Request) {
			for name, values := range in.Header {
				in.Header[name] = values[:min(1, len(values))]
			}
		}},
		{attack: "header-values", name: "values are granted as they came, with blanks that were not signed", grant: func(in *http.Request, g *signer.Grant) {
			for name := range g.Header {
				g.Header[name] = []string{strings.Join(in.Header[name], ",")}
			}
		}},
		{attack: "authorization", name: "a field of Authorization may be missing", understand: header("Authorization")},
		{attack: "payload", name: "the word for no hash needs no signature", understand: func(good, in *http.Request) {
			if in.Header.Get("X-Amz-Content-Sha256") == "UNSIGNED-PAYLOAD" {
				in.Header["X-Amz-Content-Sha256"] = good.Header["X-Amz-Content-Sha256"]
			}
		}},
		{attack: "flood", name: "a refusal quotes the header", refuse: func(in *http.Request, err error) error {
			return errors.Join(&signer.Error{Op: "verify", Err: signer.ErrMalformed}, errors.New(in.Header.Get("Authorization")))
		}},
	}
}

// TestAttacksBite breaks verifiers in the ways that verifiers are broken, and sees that the attack that is meant for it tells.
//
//	go test -run TestAttacksBite -v ./signer/signertest
func TestAttacksBite(t *testing.T) {
	bites := map[string]int{}
	for _, f := range flaws() {
		t.Run(f.attack+"/"+f.name, func(t *testing.T) {
			harness := f.harness
			if harness == nil {
				harness = s3Harness
			}
			all := attacks()
			i := slices.IndexFunc(all, func(a attack) bool { return a.name == f.attack })
			if i < 0 {
				t.Fatalf("there is no attack %s", f.attack)
			}
			if s := all[i].mountOn(harness(), 1<<20); len(s.problems) > 0 {
				t.Fatalf("the right verifier: %s", strings.Join(s.problems, "\n"))
			}
			s := all[i].mountOn(f.applied(harness()), 1<<20)
			if len(s.problems) == 0 {
				t.Errorf("the attack %s does not find it, in %d requests", f.attack, s.tried)
			}
			t.Log(strings.Join(s.problems, "\n"))
		})
		bites[f.attack]++
	}
	for _, a := range attacks() {
		if bites[a.name] == 0 {
			t.Errorf("no flaw is there for the attack %s", a.name)
		}
	}
}

// Names select subtests and stay; texts are lines of the table.
func TestAttackNames(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range attacks() {
		if !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(a.name) || seen[a.name] || len(a.text) < 30 || strings.Contains(a.text, "\n") || a.mount == nil {
			t.Errorf("attack %q: %q", a.name, a.text)
		}
		seen[a.name] = true
	}
}

// A scheme that has little is attacked where it has something.
func TestAttackToy(t *testing.T) { Attack(t, toyHarness()) }

func TestDifference(t *testing.T) {
	a := &signer.Grant{Key: "k", Query: url.Values{}, ExpiresAt: evening(), Fingerprint: "a"}
	b := &signer.Grant{Key: "k", ExpiresAt: evening().In(time.FixedZone("", 3600)), Fingerprint: "b"}
	if field, _, _ := difference(a, b); field != "" {
		t.Errorf("%s differs", field)
	}
	b.Header = http.Header{"A": {"1"}}
	if field, _, _ := difference(a, b); field != "Header" {
		t.Errorf("%q differs, want Header", field)
	}
}
