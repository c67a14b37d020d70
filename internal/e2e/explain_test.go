package e2e

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/explain"
)

// This file breaks requests on purpose, has servers refuse them, and package explain say why.

const explainKey = "a dir/explain me.txt"

// wrongs are what is wrong with a signer.
type wrongs struct {
	shift               time.Duration // of its clock
	secret, key, region bool
}

// A patient is a server where requests are broken.
type patient struct {
	name      string
	scheme    string // "s3", "gcs", "oss", "azure", "cdn"
	ours      bool   // it is our own store
	transport http.RoundTripper
	object    string // address of the object, for requests that are signed in the header
	open      func(*testing.T, wrongs) signer.Signer
}

// An attempt is a request in the making.
type attempt struct {
	patient
	wrongs
	request signer.Request
	sas     *azure.SAS
	header  bool // signed in the Authorization header
	body    string
	edits   []func(*http.Request)
}

// A breakage breaks one thing. Its cause is what Explain must find.
type breakage struct {
	name    string
	cause   explain.ID
	also    []explain.ID // what the same breakage may be called as well
	schemes string       // to which it applies
	not     string       // servers that take such requests
	breaks  func(*attempt)
}

const sigV4 = "s3 gcs oss"

func breakages() []breakage {
	edit := func(f func(*http.Request)) func(*attempt) {
		return func(a *attempt) { a.edits = append(a.edits, f) }
	}
	query := func(f func(string) string) func(*attempt) {
		return edit(func(r *http.Request) { r.URL.RawQuery = f(r.URL.RawQuery) })
	}
	path := func(f func(string) string) func(*attempt) {
		return edit(func(r *http.Request) {
			raw := f(r.URL.EscapedPath())
			r.URL.Path, _ = url.PathUnescape(raw)
			r.URL.RawPath = raw
		})
	}
	put := func(a *attempt) {
		a.request.Method, a.body = http.MethodPut, "body"
		a.request.Header = http.Header{"Content-Type": {"text/plain"}}
	}
	return []breakage{
		{"another secret", explain.WrongSecret, []explain.ID{explain.KeyRotated}, "s3 gcs oss azure cdn", "", func(a *attempt) { a.secret = true }},
		{"an unknown key", explain.UnknownKey, nil, "s3 oss", "", func(a *attempt) { a.key = true }},
		{"another region", explain.WrongRegion, nil, "s3 oss", "", func(a *attempt) { a.region = true }},
		{"used too late", explain.Expired, []explain.ID{explain.ClockSkew}, "s3 gcs oss azure cdn", "", func(a *attempt) { a.shift = -time.Hour }},
		{"used too early", explain.NotYetValid, []explain.ID{explain.ClockSkew}, "s3 gcs oss azure", "versitygw", func(a *attempt) { a.shift = time.Hour }},
		{"another clock, by header", explain.ClockSkew, []explain.ID{explain.Expired}, "s3 gcs oss azure", "Azurite", func(a *attempt) { a.header, a.shift = true, -time.Hour }},
		{"another method", explain.Method, nil, sigV4, "", edit(func(r *http.Request) { r.Method = http.MethodDelete })},
		{"another object", explain.Path, []explain.ID{explain.Scope}, "s3 gcs oss azure cdn", "", path(func(p string) string { return p + "x" })},
		{"a plus for a blank", explain.PathEncoding, []explain.ID{explain.Path}, sigV4, "", path(func(p string) string { return strings.ReplaceAll(p, "%20", "+") })},
		{"encoded twice", explain.PathEncoding, []explain.ID{explain.Path, explain.DoubleEncoded}, sigV4, "", path(func(p string) string { return strings.ReplaceAll(p, "%20", "%2520") })},
		{"a parameter more", explain.QueryAdded, nil, sigV4, "", query(func(q string) string { return q + "&utm_source=mail" })},
		{"a longer life", explain.QueryChanged, []explain.ID{explain.Lifetime}, sigV4, "", query(func(q string) string {
			return strings.NewReplacer("Expires=90", "Expires=9000", "Expires=60", "Expires=6000", "expires=60", "expires=6000").Replace(q)
		})},
		{"a longer life", explain.QueryChanged, nil, "azure cdn", "", query(func(q string) string {
			return strings.NewReplacer("se=20", "se=21", "Expires=1", "Expires=2").Replace(q)
		})},
		{"a parameter less", explain.QueryMissing, nil, "s3 gcs oss", "", func(a *attempt) {
			a.request.Response.ContentType = "text/x-signed"
			query(func(q string) string {
				var kept []string
				for _, p := range strings.Split(q, "&") {
					if !strings.HasPrefix(p, "response-content-type=") {
						kept = append(kept, p)
					}
				}
				return strings.Join(kept, "&")
			})(a)
		}},
		{"a signed header lost", explain.HeaderMissing, []explain.ID{explain.ContentType}, sigV4, "", func(a *attempt) { put(a); edit(func(r *http.Request) { r.Header.Del("Content-Type") })(a) }},
		{"another type", explain.ContentType, []explain.ID{explain.HeaderChanged}, sigV4, "", func(a *attempt) { put(a); edit(func(r *http.Request) { r.Header.Set("Content-Type", "text/html") })(a) }},
		{"a provider's header more", explain.HeaderAdded, nil, "s3", "", edit(func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") })},
		{"a provider's header more", explain.HeaderAdded, nil, "gcs", "", edit(func(r *http.Request) { r.Header.Set("X-Goog-Acl", "public-read") })},
		{"a provider's header more", explain.HeaderAdded, nil, "oss", "", edit(func(r *http.Request) { r.Header.Set("X-Oss-Object-Acl", "public-read") })},
		{"an API's token as well", explain.TwoSignatures, nil, "s3 gcs oss", "versitygw", edit(func(r *http.Request) { r.Header.Set("Authorization", "Bearer YW4tYXBpLXRva2Vu") })},
		{"the signature twice", explain.TwoSignatures, nil, sigV4, "versitygw", query(func(q string) string {
			return q + "&" + q[strings.LastIndex(strings.ToLower(q), "&x-")+1:]
		})},
		{"another host", explain.Host, nil, "s3 gcs", "", edit(func(r *http.Request) { r.Host = "127.0.0.1:1" })},
		{"through HTML", explain.HTMLEscaped, []explain.ID{explain.Truncated, explain.Malformed}, "s3 gcs oss azure cdn", "", query(func(q string) string { return strings.ReplaceAll(q, "&", "&amp;") })},
		{"cut by a shell", explain.Truncated, []explain.ID{explain.Unsigned, explain.Malformed}, "s3 gcs oss azure", "", query(func(q string) string { q, _, _ = strings.Cut(q, "&"); return q })},
		{"without its query", explain.Unsigned, []explain.ID{explain.Truncated}, "s3 gcs oss azure cdn", "", query(func(string) string { return "" })},
		{"half a signature", explain.Truncated, []explain.ID{explain.Malformed}, "s3 oss azure", "", query(func(q string) string { return q[:len(q)-12] })},
		{"eight days", explain.Lifetime, []explain.ID{explain.QueryChanged}, sigV4, "", query(func(q string) string {
			return strings.NewReplacer("Expires=90", "Expires=691200", "Expires=60", "Expires=691200", "expires=60", "expires=691200").Replace(q)
		})},
		{"another body", explain.Payload, nil, "s3", "", func(a *attempt) {
			put(a)
			a.header = true
			a.edits = append(a.edits, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("ydob")) })
		}},
		{"another operation", explain.Permission, nil, "azure", "", edit(func(r *http.Request) { r.Method = http.MethodDelete })},
		{"a list by a blob's SAS", explain.Scope, []explain.ID{explain.Permission, explain.Path, explain.QueryAdded}, "azure", "", edit(func(r *http.Request) {
			r.URL.Path = r.URL.Path[:strings.Index(r.URL.Path, "/a dir")]
			r.URL.RawPath = ""
			r.URL.RawQuery = "restype=container&comp=list&" + r.URL.RawQuery
		})},
		{"the SAS in the header", explain.SASInHeader, nil, "azure", "", edit(func(r *http.Request) {
			r.Header.Set("Authorization", "SharedAccessSignature "+r.URL.RawQuery)
			r.URL.RawQuery = ""
		})},
		{"for https only", explain.Protocol, nil, "azure", "", func(a *attempt) {
			a.sas = &azure.SAS{Blob: explainKey, Permissions: "r", Expires: time.Minute, Protocol: "https"}
		}},
		{"a blank for the plus", explain.PlusMangled, []explain.ID{explain.Malformed}, "azure", "", query(func(q string) string { return strings.Replace(q, "sig=", "sig=%20", 1) })},
	}
}

func patients(t *testing.T) (all []patient) {
	other := signer.NewSecret([]byte("another secret of the same account"))
	defer func() { // so that what is refused is refused for its signature
		for _, p := range all {
			if p.object != "" {
				put := signer.Request{Method: http.MethodPut, Key: explainKey, Expires: time.Minute}
				u := must(p.open(t, wrongs{}).Presign(t.Context(), put))(t)
				(&server{client: &http.Client{Transport: p.transport}}).send(t, must(u.NewRequest(t.Context(), strings.NewReader("body")))(t))
			}
		}
	}()
	at := func(w wrongs) clock.Clock { return clock.Func(func() time.Time { return time.Now().Add(w.shift) }) }
	forS3 := func(c s3.Config, w wrongs) (*s3.Signer, error) {
		c.Clock = at(w)
		creds := c.Credentials.(s3.Credentials)
		if w.secret {
			creds.SecretKey = other
		}
		if w.key {
			creds.AccessKeyID = "UNKNOWNKEY"
		}
		if w.region {
			c.Region = "eu-central-1"
		}
		c.Credentials = creds
		return s3.New(c)
	}
	for _, start := range []func() (*server, error){versitygw, storefakeServer} {
		s := must(start())(t)
		all = append(all, patient{s.name, "s3", s.name == "storefake", s.client.Transport, s.url(explainKey).String(),
			func(t *testing.T, w wrongs) signer.Signer { return must(forS3(s.config(), w))(t) }})
	}
	forAzure := func(c azure.Config, w wrongs) (*azure.Signer, error) {
		c.Clock = at(w)
		if w.secret {
			key, err := azure.SharedKey(c.Account, zeroSig)
			if err != nil {
				return nil, err
			}
			c.Keys = key
		}
		return azure.New(c)
	}
	a := plainAzurite(t)
	all = append(all, patient{a.name, "azure", false, a.client.Transport, a.url(explainKey).String(),
		func(t *testing.T, w wrongs) signer.Signer { return must(forAzure(a.config(), w))(t) }})
	store := must(storefake.Start(storefake.Config{Bucket: bucket, Region: region}))(t)
	t.Cleanup(func() { store.Close() })
	transport := clientFor(store.Endpoint().Host).Transport
	object := func(base string) string {
		u := must(url.Parse(store.URL))(t)
		u.Path = base + "/" + explainKey
		return u.String()
	}
	return append(all,
		patient{"storefake", "gcs", true, transport, object("/" + bucket), func(t *testing.T, w wrongs) signer.Signer {
			key := store.GCSKey
			if w.secret {
				key = must(gcs.HMACKey(key.ID(), other))(t)
			}
			return must(gcs.New(gcs.Config{Bucket: bucket, Endpoint: store.Endpoint(), Key: key, Clock: at(w)}))(t)
		}},
		patient{"storefake", "oss", true, transport, object("/" + bucket), func(t *testing.T, w wrongs) signer.Signer {
			c := oss.Config{Bucket: bucket, Region: region, Endpoint: store.Endpoint(), Addressing: signer.AddressingPath, Clock: at(w)}
			creds := store.OSS
			if w.secret {
				creds.AccessKeySecret = other
			}
			if w.key {
				creds.AccessKeyID = "LTAIUNKNOWN"
			}
			if w.region {
				c.Region = "cn-beijing"
			}
			c.Credentials = creds
			return must(oss.New(c))(t)
		}},
		patient{"storefake", "azure", true, transport, object("/" + store.AzureAccount + "/" + bucket), func(t *testing.T, w wrongs) signer.Signer {
			return must(forAzure(azure.Config{Account: store.AzureAccount, Container: bucket, Endpoint: store.Endpoint(), Keys: store.AzureKey}, w))(t)
		}},
		patient{"storefake", "cdn", true, transport, "", func(t *testing.T, w wrongs) signer.Signer {
			key := store.CDNKey
			if w.secret {
				key.Secret = signer.NewSecret([]byte("another key's 16"))
			}
			return must(cdn.New(cdn.Config{BaseURL: store.CDNBase(), Bucket: bucket, Key: key, Clock: at(w)}))(t)
		}},
	)
}

// examine makes a request, breaks it, sends it, and returns what is known about it. ok is false if the server took it.
func (p patient) examine(t *testing.T, broken ...breakage) (e explain.Evidence, ok bool) {
	t.Helper()
	a := attempt{patient: p, request: signer.Request{Key: explainKey, Expires: time.Minute}}
	for _, b := range broken {
		b.breaks(&a)
	}
	if p.scheme == "azure" && a.request.Header != nil {
		a.request.Header = nil // a SAS signs none
	}
	if a.request.Method == http.MethodPut {
		a.request.Response = signer.ResponseHeaders{} // an upload has none to override
	}
	var trace signer.Trace
	ctx := signer.WithTrace(t.Context(), &trace)
	s := p.open(t, a.wrongs)
	var req *http.Request
	body := func() io.Reader {
		if a.body == "" {
			return nil
		}
		return strings.NewReader(a.body)
	}
	switch {
	case a.header:
		req = must(http.NewRequest(cmp.Or(a.request.Method, "GET"), p.object, body()))(t)
		for name, values := range a.request.Header {
			req.Header[name] = values
		}
		if p.scheme == "s3" && a.body != "" {
			if err := s3.HashBody(req); err != nil {
				t.Fatal(err)
			}
		}
		sign, _ := signer.As[signer.RequestSigner](s)
		if err := sign.Sign(ctx, req); err != nil {
			t.Fatal(err)
		}
	default:
		var u *signer.Presigned
		var err error
		if a.sas != nil {
			u, err = s.(*azure.Signer).SAS(ctx, *a.sas)
			if err == nil {
				u.Method = "GET"
			}
		} else {
			u, err = s.Presign(ctx, a.request)
		}
		req = must(must(u, err)(t).NewRequest(t.Context(), body()))(t)
	}
	signed := req.Clone(context.Background())
	for _, edit := range a.edits {
		edit(req)
	}
	sent := req.Clone(context.Background())
	got := (&server{client: &http.Client{Transport: p.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}).send(t, req)
	return explain.Evidence{Request: sent, Signed: signed, Trace: &trace, Status: got.StatusCode, Header: got.Header, Body: got.body, Now: time.Now()}, got.StatusCode >= 300 && got.StatusCode != http.StatusNotFound
}

// A score counts how often causes were found.
type score struct{ all, first, found, missed, wrong int }

func (s *score) add(t *testing.T, r *explain.Report, wanted, allowed []explain.ID, what string) {
	t.Helper()
	s.all++
	at := slices.IndexFunc(r.Causes, func(c explain.Cause) bool { return slices.Contains(wanted, c.ID) })
	switch {
	case at == 0:
		s.first++
	case at > 0:
		s.found++
	default:
		s.missed++
	}
	if at != 0 {
		t.Logf("%s: %v is at %d of\n%v", what, wanted, at, r)
	}
	for _, c := range r.Causes {
		if c.Certainty == explain.Proved && !slices.Contains(allowed, c.ID) {
			s.wrong++
			t.Errorf("%s: %s is proved, and the cause is %v\n%v", what, c.ID, wanted, r)
		}
	}
}

// alone is the evidence without what only the signer knows.
func alone(e explain.Evidence) explain.Evidence {
	e.Trace, e.Signed = nil, nil
	return e
}

func matches(b breakage, p patient) bool {
	return slices.Contains(strings.Fields(b.schemes), p.scheme) && (b.not == "" || !strings.HasPrefix(p.name, b.not))
}

// TestExplainLive breaks one thing at a time.
func TestExplainLive(t *testing.T) {
	by := map[string]*[2]score{}
	ways := map[string]bool{}
	for _, p := range patients(t) {
		for _, b := range breakages() {
			if !matches(b, p) {
				continue
			}
			what := p.name + ", " + p.scheme + ": " + b.name
			e, refused := p.examine(t, b)
			if !refused {
				t.Errorf("%s: the server takes it: %d", what, e.Status)
				continue
			}
			ways[b.name] = true
			name := p.name + " " + p.scheme
			if by[name] == nil {
				by[name] = new([2]score)
			}
			allowed := append([]explain.ID{b.cause}, b.also...)
			for i, e := range []explain.Evidence{alone(e), e} {
				r := must(explain.Explain(t.Context(), e))(t)
				by[name][i].add(t, r, allowed, allowed, what+[]string{", from the answer", ", with the trace"}[i])
			}
		}
	}
	if len(ways) < 25 {
		t.Errorf("%d ways to break a request", len(ways))
	}
	tell(t, "one thing broken", by)
}

// tell prints the scores, and holds their sum to the goals.
func tell(t *testing.T, title string, by map[string]*[2]score) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, title+"\t\trefusals\tfirst\tfound\tmissed\twrongly proved\t")
	var sum [2]score
	for _, name := range slices.Sorted(maps.Keys(by)) {
		for i, s := range by[name] {
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t\n", name, []string{"answer", "trace"}[i], s.all, s.first, s.found, s.missed, s.wrong)
			sum[i].all, sum[i].first, sum[i].found = sum[i].all+s.all, sum[i].first+s.first, sum[i].found+s.found
		}
	}
	for i, s := range sum {
		fmt.Fprintf(w, "all\t%s\t%d\t%d\t%d\t%d\t\t\n", []string{"answer", "trace"}[i], s.all, s.first, s.found, s.all-s.first-s.found)
	}
	if testing.Verbose() {
		w.Flush()
	}
	if s := sum[1]; s.first*100 < s.all*95 {
		t.Errorf("with the trace: %d of %d first", s.first, s.all)
	}
	if s := sum[0]; (s.first+s.found)*100 < s.all*95 {
		t.Errorf("from the answer alone: %d of %d found", s.first+s.found, s.all)
	}
}

// TestExplainSeveral breaks one to three things at once, by a seed. The rules of package explain were written before.
func TestExplainSeveral(t *testing.T) {
	const refusals = 150
	rnd := rand.New(rand.NewPCG(20261126, 9))
	all := patients(t)
	by := map[string]*[2]score{}
	for n := 0; n < refusals; {
		p := all[rnd.IntN(len(all))]
		var fitting []breakage
		for _, b := range breakages() {
			if matches(b, p) {
				fitting = append(fitting, b)
			}
		}
		rnd.Shuffle(len(fitting), func(i, j int) { fitting[i], fitting[j] = fitting[j], fitting[i] })
		chosen := fitting[:min(1+rnd.IntN(3), len(fitting))]
		var wanted []explain.ID
		var names []string
		for _, b := range chosen {
			wanted = append(append(wanted, b.cause), b.also...)
			names = append(names, b.name)
		}
		if slices.Contains(names, "without its query") || slices.Contains(names, "another body") || slices.Contains(names, "another clock, by header") || slices.Contains(names, "the SAS in the header") {
			if len(chosen) > 1 { // these leave nothing for the others to break
				continue
			}
		}
		e, refused := p.examine(t, chosen...)
		if !refused {
			continue // one has undone the other
		}
		n++
		name := p.name + " " + p.scheme
		if p.ours {
			name = "(own) " + name
		}
		if by[name] == nil {
			by[name] = new([2]score)
		}
		for i, e := range []explain.Evidence{alone(e), e} {
			r := must(explain.Explain(t.Context(), e))(t)
			by[name][i].add(t, r, wanted, wanted, fmt.Sprint(p.name, ", ", p.scheme, ": ", names, []string{", from the answer", ", with the trace"}[i]))
		}
	}
	tell(t, "one to three things broken", by)
}
