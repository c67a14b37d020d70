package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
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
)

// This file shifts the machine's clock, as our signers see it, while the servers keep true time.

// A place is an object at a server, and how to sign for it.
type place struct {
	name      string
	transport http.RoundTripper
	object    string                                      // its URL, for requests that are signed in the header; "" where there are none
	open      func(*testing.T, clock.Clock) signer.Signer // a Signer for the bucket, which reads that clock
	options   func(*clock.Options)                        // what the Source needs to believe the server
}

const skewKey = "skew.txt"

func places(t *testing.T) (all []place) {
	for _, start := range []func() (*server, error){versitygw, storefakeServer} {
		s := must(start())(t)
		s.put(t, skewKey, content)
		all = append(all, place{s.name + " S3", s.client.Transport, s.url(skewKey).String(), func(t *testing.T, c clock.Clock) signer.Signer {
			return s.signer(t, func(config *s3.Config) { config.Clock = c })
		}, nil})
	}
	azurite := plainAzurite(t)
	azurite.put(t, skewKey, content)
	all = append(all, place{"Azurite", azurite.client.Transport, azurite.url(skewKey).String(), func(t *testing.T, c clock.Clock) signer.Signer {
		return azurite.signer(t, func(config *azure.Config) { config.Clock = c })
	}, nil})

	store := must(storefake.Start(storefake.Config{Bucket: bucket, Region: region}))(t)
	t.Cleanup(func() { store.Close() })
	if err := store.Put(skewKey, content, nil); err != nil {
		t.Fatal(err)
	}
	transport := clientFor(store.Endpoint().Host).Transport
	at := func(path string) string { return store.URL + path + "/" + skewKey }
	return append(all,
		place{"storefake GCS", transport, at("/" + bucket), func(t *testing.T, c clock.Clock) signer.Signer {
			return must(gcs.New(gcs.Config{Bucket: bucket, Endpoint: store.Endpoint(), Key: store.GCSKey, Clock: c}))(t)
		}, nil},
		place{"storefake OSS", transport, at("/" + bucket), func(t *testing.T, c clock.Clock) signer.Signer {
			return must(oss.New(oss.Config{Bucket: bucket, Region: region, Endpoint: store.Endpoint(), Addressing: signer.AddressingPath, Credentials: store.OSS, Clock: c}))(t)
		}, nil},
		place{"storefake Azure", transport, at("/" + store.AzureAccount + "/" + bucket), func(t *testing.T, c clock.Clock) signer.Signer {
			return must(azure.New(azure.Config{Account: store.AzureAccount, Container: bucket, Endpoint: store.Endpoint(), Keys: store.AzureKey, Clock: c}))(t)
		}, nil},
		place{"storefake CDN", transport, "", func(t *testing.T, c clock.Clock) signer.Signer {
			return must(cdn.New(cdn.Config{BaseURL: store.CDNBase(), Bucket: bucket, Key: store.CDNKey, Clock: c}))(t)
		}, func(o *clock.Options) { o.PlainHTTP = true }}, // its name is none of this machine's
	)
}

// counted counts the requests that really go out.
type counted struct {
	base http.RoundTripper
	n    int
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n++
	return c.base.RoundTrip(r)
}

// byHeader gets the object with a request that client signs.
func (p place) byHeader(t *testing.T, transport http.RoundTripper) answer {
	t.Helper()
	req := must(http.NewRequest(http.MethodGet, p.object, nil))(t)
	return (&server{client: &http.Client{Transport: transport, Timeout: time.Minute}}).send(t, req)
}

// byURL gets it with a URL that lives for a minute.
func (p place) byURL(t *testing.T, s signer.Signer, transport http.RoundTripper) answer {
	t.Helper()
	u := must(s.Presign(t.Context(), signer.Request{Key: skewKey, Expires: time.Minute}))(t)
	return (&server{client: &http.Client{Transport: transport, Timeout: time.Minute}}).send(t, must(u.NewRequest(t.Context(), nil))(t))
}

// TestSkew is what happens with a wrong clock, without and with a Source: by header, and by the URL presigned next. The first
// request by header is sent twice where the server refused it for its time; the URL works at once.
func TestSkew(t *testing.T) {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	if testing.Verbose() {
		defer table.Flush()
	}
	fmt.Fprintln(table, "server\tmachine\theader\tURL\theader, Source\tattempts\tURL, Source\tcorrection")
	// What servers take that they should not, or that is right: everything else is refused without a Source.
	passes := map[string]bool{
		"versitygw S3 20m0s URL":    true, // takes URLs from any future
		"versitygw S3 3h0m0s URL":   true,
		"Azurite -3h0m0s header":    true, // does not look at the date of Shared Key
		"Azurite -20m0s header":     true,
		"Azurite 20m0s header":      true,
		"Azurite 3h0m0s header":     true,
		"storefake Azure 20m0s URL": true, // begins 15 minutes back, and our Verifier forgives 15 more
		"storefake CDN 20m0s URL":   true, // has an end and no beginning
		"storefake CDN 3h0m0s URL":  true,
	}
	for _, p := range places(t) {
		for _, shift := range []time.Duration{-3 * time.Hour, -20 * time.Minute, 20 * time.Minute, 3 * time.Hour} {
			name := p.name + " " + shift.String()
			t.Run(name, func(t *testing.T) {
				machine := clock.Func(func() time.Time { return time.Now().Add(shift) })
				row := []string{p.name, shift.String()}
				check := func(what string, a answer, want bool) {
					t.Helper()
					if got := a.StatusCode == http.StatusOK && bytes.Equal(a.body, content); got != want {
						t.Errorf("%s: %v", what, a)
					}
					row = append(row, a.String())
				}
				wrong := p.open(t, machine)
				if p.object == "" {
					row = append(row, "-")
				} else {
					s, _ := signer.As[signer.RequestSigner](wrong)
					check("by header", p.byHeader(t, signer.Transport{Signer: s, Base: p.transport}), passes[name+" header"])
				}
				check("by URL", p.byURL(t, wrong, p.transport), passes[name+" URL"])

				options := clock.Options{}
				if p.options != nil {
					p.options(&options)
				}
				source := clock.NewSource(machine, options)
				right := p.open(t, source)
				out := &counted{base: p.transport}
				if p.object == "" { // it learns otherwise
					row = append(row, "-")
					u := must(right.Presign(t.Context(), signer.Request{Key: skewKey, Expires: time.Minute}))(t)
					if _, err := source.Sync(t.Context(), &http.Client{Transport: out}, strings.SplitN(u.URL, "?", 2)[0]); err != nil {
						t.Fatal(err)
					}
				} else {
					s, _ := signer.As[signer.RequestSigner](right)
					transport := signer.Transport{Signer: s, Clock: source, Base: out}
					want := 2
					if passes[name+" header"] {
						want = 1
					}
					check("by header, with a Source", p.byHeader(t, transport), true)
					if out.n != want {
						t.Errorf("%d attempts, want %d", out.n, want)
					}
					if want == 1 { // nothing was refused: two answers must agree
						p.byHeader(t, transport)
					}
				}
				row = append(row, fmt.Sprint(out.n))
				check("by URL, with a Source", p.byURL(t, right, p.transport), true)
				u := must(right.Presign(t.Context(), signer.Request{Key: skewKey, Expires: time.Minute}))(t)
				if (u.ClockOffset + shift).Abs() > 2*time.Second {
					t.Errorf("corrected by %v", u.ClockOffset)
				}
				fmt.Fprintln(table, strings.Join(append(row, u.ClockOffset.Round(10*time.Millisecond).String()), "\t"))
			})
		}
	}
}

// TestSkewHead is the same for a HEAD, whose refusal has no words.
func TestSkewHead(t *testing.T) {
	for _, p := range places(t) {
		if p.object == "" || p.name == "Azurite" {
			continue
		}
		source := clock.NewSource(clock.Func(func() time.Time { return time.Now().Add(-time.Hour) }), clock.Options{})
		s, _ := signer.As[signer.RequestSigner](p.open(t, source))
		out := &counted{base: p.transport}
		resp, err := (&http.Client{Transport: signer.Transport{Signer: s, Clock: source, Base: out}}).Head(p.object)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || out.n != 2 {
			t.Errorf("%s: %s after %d attempts", p.name, resp.Status, out.n)
		}
	}
}

// TestSkewUpload sends a body again.
func TestSkewUpload(t *testing.T) {
	for _, p := range places(t) {
		if p.object == "" || p.name == "Azurite" {
			continue
		}
		source := clock.NewSource(clock.Func(func() time.Time { return time.Now().Add(20 * time.Minute) }), clock.Options{})
		s, _ := signer.As[signer.RequestSigner](p.open(t, source))
		out := &counted{base: p.transport}
		client := &http.Client{Transport: signer.Transport{Signer: s, Clock: source, Base: out}}
		send := func(body io.Reader) int {
			t.Helper()
			req := must(http.NewRequest(http.MethodPut, p.object, body))(t)
			req.ContentLength = int64(len(content))
			if strings.HasSuffix(p.name, "Azure") {
				req.Header.Set("X-Ms-Blob-Type", "BlockBlob")
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return resp.StatusCode
		}
		if got := send(io.MultiReader(bytes.NewReader(content))); got != http.StatusForbidden || out.n != 1 {
			t.Errorf("%s: a body that cannot be had again: %d after %d attempts", p.name, got, out.n)
		}
		source = clock.NewSource(clock.Func(func() time.Time { return time.Now().Add(20 * time.Minute) }), clock.Options{})
		s, _ = signer.As[signer.RequestSigner](p.open(t, source))
		client.Transport, out.n = signer.Transport{Signer: s, Clock: source, Base: out}, 0
		if got := send(bytes.NewReader(content)); got/100 != 2 || out.n != 2 {
			t.Errorf("%s: %d after %d attempts", p.name, got, out.n)
		}
		if a := p.byHeader(t, client.Transport); !bytes.Equal(a.body, content) {
			t.Errorf("%s: the object is %v", p.name, a)
		}
	}
}

// TestRefresh uses URLs that have died: with their end in them, and with a machine that does not know it.
func TestRefresh(t *testing.T) {
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			out := &counted{base: p.transport}
			now := p.open(t, clock.System())
			then := p.open(t, clock.Func(func() time.Time { return time.Now().Add(-time.Hour) }))
			methods := []string{http.MethodGet, http.MethodPut}
			if p.object == "" {
				methods = methods[:1]
			}
			for _, method := range methods {
				for _, machine := range []clock.Clock{nil, clock.Func(func() time.Time { return time.Now().Add(-time.Hour) })} {
					resigned := 0
					client := &http.Client{Transport: signer.RefreshTransport{Base: out, Clock: machine, Resign: func(ctx context.Context, req *http.Request) (*signer.Presigned, error) {
						resigned++
						return now.Presign(ctx, signer.Request{Method: req.Method, Key: skewKey, Expires: time.Minute})
					}}}
					dead := must(then.Presign(t.Context(), signer.Request{Method: method, Key: skewKey, Expires: time.Minute}))(t)
					var body io.Reader
					if method == http.MethodPut {
						body = bytes.NewReader(content)
					}
					out.n = 0
					resp := must(client.Do(must(dead.NewRequest(t.Context(), body))(t)))(t)
					resp.Body.Close()
					attempts, ok := 1, true
					if machine != nil {
						// Who does not know the time learns it from the refusal, if that says so. Cloud CDN and Azurite do not.
						if ok = p.object != "" && p.name != "Azurite"; ok {
							attempts = 2
						}
					}
					if (resp.StatusCode/100 == 2) != ok || out.n != attempts || (resigned == 1) != ok {
						t.Errorf("%s, a machine that knows: %v: %s after %d attempts, signed again %d times", method, machine == nil, resp.Status, out.n, resigned)
					}
				}
			}
		})
	}
}
