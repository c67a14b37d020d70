package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
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
	name          string
	transport     http.RoundTripper
	object        string                                      // its URL, for requests that are signed in the header; "" where there are none
	open          func(*testing.T, clock.Clock) signer.Signer // a Signer for the bucket, which reads that clock
	plainHTTP     bool                                        // the Source must be told to believe it, because its name is none of this machine's
	headers, urls [4]string                                   // what it answers without a Source, by shifts; headers that it takes say nothing of the time
}

const skewKey = "skew.txt"

// shifts are how far the machine's clock is ahead.
var shifts = [4]time.Duration{-3 * time.Hour, -20 * time.Minute, 20 * time.Minute, 3 * time.Hour}

func always(answer string) [4]string { return [4]string{answer, answer, answer, answer} }

// place is the object at an S3 server.
func (s *server) place(t *testing.T) place {
	t.Helper()
	s.put(t, skewKey, content)
	p := place{s.name + " S3", s.client.Transport, s.url(skewKey).String(), func(t *testing.T, c clock.Clock) signer.Signer {
		return s.signer(t, func(config *s3.Config) { config.Clock = c })
	}, s.addressing == signer.AddressingVirtualHost, always(skewed), always(denied)}
	if s.files {
		p.urls = [4]string{denied, denied, ok, ok} // versitygw takes URLs from any future
	}
	return p
}

func places(t *testing.T) (all []place) {
	for _, start := range []func() (*server, error){versitygw, versitygwVirtual, storefakeServer} {
		all = append(all, must(start())(t).place(t))
	}
	azurite := plainAzurite(t)
	azurite.put(t, skewKey, content)
	all = append(all, place{"Azurite", azurite.client.Transport, azurite.url(skewKey).String(), func(t *testing.T, c clock.Clock) signer.Signer {
		return azurite.signer(t, func(config *azure.Config) { config.Clock = c })
	}, false, always(ok), always("403 AuthorizationFailure")}) // it does not look at the date of Shared Key

	store := must(storefake.Start(storefake.Config{Bucket: bucket, Region: region}))(t)
	t.Cleanup(func() { store.Close() })
	if err := store.Put(skewKey, content, nil); err != nil {
		t.Fatal(err)
	}
	transport := clientFor(store.Endpoint().Host).Transport
	at := func(path string) string { return store.URL + path + "/" + skewKey }
	const gone, failed = "400 ExpiredToken", "403 AuthenticationFailed"
	return append(all,
		place{"storefake GCS", transport, at("/" + bucket), func(t *testing.T, c clock.Clock) signer.Signer {
			return must(gcs.New(gcs.Config{Bucket: bucket, Endpoint: store.Endpoint(), Key: store.GCSKey, Clock: c}))(t)
		}, false, always(skewed), [4]string{gone, gone, skewed, skewed}},
		place{"storefake OSS", transport, at("/" + bucket), func(t *testing.T, c clock.Clock) signer.Signer {
			return must(oss.New(oss.Config{Bucket: bucket, Region: region, Endpoint: store.Endpoint(), Addressing: signer.AddressingPath, Credentials: store.OSS, Clock: c}))(t)
		}, false, always(skewed), always(denied)},
		place{"storefake Azure", transport, at("/" + store.AzureAccount + "/" + bucket), func(t *testing.T, c clock.Clock) signer.Signer {
			return must(azure.New(azure.Config{Account: store.AzureAccount, Container: bucket, Endpoint: store.Endpoint(), Keys: store.AzureKey, Clock: c}))(t)
		}, false, always(failed), [4]string{failed, failed, ok, failed}}, // 20 minutes: it begins 15 back, and our Verifier forgives 15 more
		place{"storefake CDN", transport, "", func(t *testing.T, c clock.Clock) signer.Signer {
			return must(cdn.New(cdn.Config{BaseURL: store.CDNBase(), Bucket: bucket, Key: store.CDNKey, Clock: c}))(t)
		}, true, [4]string{}, [4]string{"403", "403", ok, ok}}, // has an end and no beginning
	)
}

// eachPlace runs a test at each place with a clock that is ahead by each of the shifts.
func eachPlace(t *testing.T, test func(t *testing.T, p place, n int, machine clock.Clock)) {
	for _, p := range places(t) {
		for n, shift := range shifts {
			t.Run(p.name+" "+shift.String(), func(t *testing.T) {
				test(t, p, n, clock.Func(func() time.Time { return time.Now().Add(shift) }))
			})
		}
	}
}

// learning returns a Source for the place, and a Signer that reads it.
func (p place) learning(t *testing.T, machine clock.Clock) (*clock.Source, signer.Signer) {
	t.Helper()
	source := clock.NewSource(machine, clock.Options{PlainHTTP: p.plainHTTP})
	return source, p.open(t, source)
}

// signing is a transport that signs in the header.
func signing(s signer.Signer, source *clock.Source, base http.RoundTripper) signer.Transport {
	by, _ := signer.As[signer.RequestSigner](s)
	return signer.Transport{Signer: by, Clock: source, Base: base}
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

// send sends a request through a transport.
func send(t *testing.T, transport http.RoundTripper, req *http.Request) answer {
	t.Helper()
	return (&server{client: &http.Client{Transport: transport, Timeout: time.Minute}}).send(t, req)
}

// byHeader gets the object with a request that the transport signs.
func (p place) byHeader(t *testing.T, transport http.RoundTripper) answer {
	t.Helper()
	return send(t, transport, must(http.NewRequest(http.MethodGet, p.object, nil))(t))
}

// presign makes a URL that lives for a minute.
func (p place) presign(t *testing.T, s signer.Signer, method string) *signer.Presigned {
	t.Helper()
	return must(s.Presign(t.Context(), signer.Request{Method: method, Key: skewKey, Expires: time.Minute}))(t)
}

// byURL gets the object with such a URL.
func (p place) byURL(t *testing.T, s signer.Signer, transport http.RoundTripper) answer {
	t.Helper()
	return send(t, transport, must(p.presign(t, s, http.MethodGet).NewRequest(t.Context(), nil))(t))
}

// A skewTable is what a test prints of what it saw.
type skewTable struct {
	text strings.Builder
	w    *tabwriter.Writer
}

func newSkewTable(t *testing.T, columns ...string) *skewTable {
	table := new(skewTable)
	table.w = tabwriter.NewWriter(&table.text, 0, 0, 2, ' ', 0)
	table.row(columns...)
	t.Cleanup(func() {
		table.w.Flush()
		t.Log("\n" + table.text.String())
	})
	return table
}

func (table *skewTable) row(cells ...string) { fmt.Fprintln(table.w, strings.Join(cells, "\t")) }

// TestSkew is what happens with a wrong clock, without and with a Source: by header, and by the URL presigned next. The first
// request by header is sent twice where the server refused it for its time; the URL works at once.
func TestSkew(t *testing.T) {
	table := newSkewTable(t, "server", "machine", "header", "URL", "header, Source", "attempts", "URL, Source", "correction")
	eachPlace(t, func(t *testing.T, p place, n int, machine clock.Clock) {
		row := []string{p.name, shifts[n].String()}
		check := func(what string, a answer, want string) {
			t.Helper()
			if a.String() != want || want == ok && !bytes.Equal(a.body, content) {
				t.Errorf("%s: %v, want %s", what, a, want)
			}
			row = append(row, a.String())
		}
		wrong := p.open(t, machine)
		if p.object == "" {
			row = append(row, "-")
		} else {
			check("by header", p.byHeader(t, signing(wrong, nil, p.transport)), p.headers[n])
		}
		check("by URL", p.byURL(t, wrong, p.transport), p.urls[n])

		source, right := p.learning(t, machine)
		out := &counted{base: p.transport}
		if p.object == "" { // it learns otherwise
			row = append(row, "-", "Sync")
			u := must(url.Parse(p.presign(t, right, http.MethodGet).URL))(t)
			u.RawQuery = ""
			must(source.Sync(t.Context(), &http.Client{Transport: out}, u.String()))(t)
		} else {
			want := 2
			if p.headers[n] == ok {
				want = 1
			}
			transport := signing(right, source, out)
			check("by header, with a Source", p.byHeader(t, transport), ok)
			if out.n != want {
				t.Errorf("%d attempts, want %d", out.n, want)
			}
			row = append(row, fmt.Sprint(out.n))
			if want == 1 { // nothing was refused: two answers must agree
				p.byHeader(t, transport)
			}
		}
		check("by URL, with a Source", p.byURL(t, right, p.transport), ok)
		u := p.presign(t, right, http.MethodGet)
		if (u.ClockOffset + shifts[n]).Abs() > 2*time.Second {
			t.Errorf("corrected by %v", u.ClockOffset)
		}
		unsigned, _, _ := strings.Cut(u.URL, "?")
		by, _ := signer.As[signer.RequestPresigner](right)
		finished := must(by.PresignRequest(t.Context(), must(http.NewRequest(http.MethodGet, unsigned, nil))(t), signer.Options{Expires: time.Minute}))(t)
		send(t, p.transport, must(finished.NewRequest(t.Context(), nil))(t)).want(t, ok)
		table.row(append(row, u.ClockOffset.Round(10*time.Millisecond).String())...)
	})
}

// TestSkewByURL is for programs that send nothing but by URLs, as to Cloud CDN: a Source that watches an ordinary client knows the
// time after one answer if that refuses the URL for its time or its signature, and after two whatever they are.
func TestSkewByURL(t *testing.T) {
	table := newSkewTable(t, "server", "machine", "first", "second", "third")
	eachPlace(t, func(t *testing.T, p place, n int, machine clock.Clock) {
		source, right := p.learning(t, machine)
		second := ok
		if p.name == "storefake CDN" { // says 403 in words of its own
			second = p.urls[n]
		}
		row := []string{p.name, shifts[n].String()}
		for i, want := range []string{p.urls[n], second, ok} {
			got := p.byURL(t, right, source.Transport(p.transport)).String()
			if row = append(row, got); got != want {
				t.Errorf("answer %d: %s, want %s", i+1, got, want)
			}
		}
		if u := p.presign(t, right, http.MethodGet); (u.ClockOffset + shifts[n]).Abs() > 2*time.Second {
			t.Errorf("corrected by %v", u.ClockOffset)
		}
		table.row(row...)
	})
}

// TestSkewNeighbour is a bucket that nobody has asked yet, at a service of which another bucket under its own host is known.
func TestSkewNeighbour(t *testing.T) {
	s := must(versitygwVirtual())(t)
	p := s.place(t)
	source, first := p.learning(t, clock.Func(func() time.Time { return time.Now().Add(-time.Hour) }))
	neighbour := s.signer(t, func(c *s3.Config) { c.Bucket, c.Clock = "neighbour", source })
	p.byURL(t, neighbour, p.transport).want(t, denied)
	p.byHeader(t, signing(first, source, p.transport)).want(t, ok)
	p.byURL(t, neighbour, p.transport).want(t, "404 NoSuchBucket")
}

// TestSkewAtOnce sends many requests before the first is answered: each is sent twice at most, and none fails.
func TestSkewAtOnce(t *testing.T) {
	for _, p := range places(t) {
		if p.object == "" || p.headers == always(ok) {
			continue
		}
		source, s := p.learning(t, clock.Func(func() time.Time { return time.Now().Add(-3 * time.Hour) }))
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				out := &counted{base: p.transport}
				resp, err := (&http.Client{Transport: signing(s, source, out), Timeout: time.Minute}).Get(p.object)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK || out.n > 2 {
					t.Errorf("%s: %s after %d attempts", p.name, resp.Status, out.n)
				}
			})
		}
		wg.Wait()

		// One whose signature takes its time, as those of key services do, while others learn.
		source, s = p.learning(t, clock.Func(func() time.Time { return time.Now().Add(-3 * time.Hour) }))
		out := &counted{base: p.transport}
		slow := signing(s, source, out)
		slow.Signer = afterwards{slow.Signer, func() { p.byHeader(t, signing(s, source, p.transport)).want(t, ok) }}
		if a := p.byHeader(t, slow); a.String() != ok || out.n != 2 {
			t.Errorf("%s, signed slowly: %v after %d attempts", p.name, a, out.n)
		}
	}
}

// afterwards does something between signing and sending.
type afterwards struct {
	signer.RequestSigner
	do func()
}

func (a afterwards) Sign(ctx context.Context, req *http.Request) error {
	defer a.do()
	return a.RequestSigner.Sign(ctx, req)
}

// TestSkewHead is the same for a HEAD, whose refusal has no words.
func TestSkewHead(t *testing.T) {
	for _, p := range places(t) {
		if p.object == "" || p.headers == always(ok) {
			continue
		}
		source, s := p.learning(t, clock.Func(func() time.Time { return time.Now().Add(-time.Hour) }))
		out := &counted{base: p.transport}
		a := send(t, signing(s, source, out), must(http.NewRequest(http.MethodHead, p.object, nil))(t))
		if a.StatusCode != http.StatusOK || out.n != 2 {
			t.Errorf("%s: %v after %d attempts", p.name, a, out.n)
		}
	}
}

// TestSkewUpload sends a body again.
func TestSkewUpload(t *testing.T) {
	for _, p := range places(t) {
		if p.object == "" || p.headers == always(ok) {
			continue
		}
		upload := func(transport http.RoundTripper, body io.Reader, size int) answer {
			t.Helper()
			req := must(http.NewRequest(http.MethodPut, p.object, body))(t)
			req.ContentLength = int64(size)
			if strings.HasSuffix(p.name, "Azure") {
				req.Header.Set("X-Ms-Blob-Type", "BlockBlob")
			}
			return send(t, transport, req)
		}
		ahead := clock.Func(func() time.Time { return time.Now().Add(20 * time.Minute) })
		body := []byte("uploaded to " + p.name + " by the second attempt")

		source, s := p.learning(t, ahead)
		out := &counted{base: p.transport}
		transport := signing(s, source, out)
		if a := upload(transport, io.MultiReader(bytes.NewReader(body)), len(body)); a.String() != p.headers[2] || out.n != 1 {
			t.Errorf("%s: a body that cannot be had again: %v after %d attempts", p.name, a, out.n)
		}

		source, s = p.learning(t, ahead)
		out.n = 0
		transport = signing(s, source, out)
		if a := upload(transport, bytes.NewReader(body), len(body)); a.StatusCode/100 != 2 || out.n != 2 {
			t.Errorf("%s: %v after %d attempts", p.name, a, out.n)
		}
		if a := p.byHeader(t, transport); !bytes.Equal(a.body, body) {
			t.Errorf("%s: the object is %q", p.name, a.body)
		}
	}
}

// TestRefresh uses URLs that died an hour ago. A machine whose clock is right sees it in them. One that is an hour behind
// learns it from a refusal that is for the time, or so far off that it must be; Cloud CDN's says neither.
func TestRefresh(t *testing.T) {
	table := newSkewTable(t, "server", "method", "dead URL", "right clock", "attempts", "1 h behind", "attempts")
	for _, p := range places(t) {
		for _, method := range []string{http.MethodGet, http.MethodPut} {
			if p.object == "" && method == http.MethodPut {
				continue // Cloud CDN takes none
			}
			t.Run(p.name+" "+method, func(t *testing.T) {
				behind := clock.Func(func() time.Time { return time.Now().Add(-time.Hour) })
				dead := p.presign(t, p.open(t, behind), method)
				use := func(transport http.RoundTripper, body []byte) answer {
					t.Helper()
					var r io.Reader
					if method == http.MethodPut {
						r = bytes.NewReader(body)
					}
					return send(t, transport, must(dead.NewRequest(t.Context(), r))(t))
				}
				row := []string{p.name, method}
				a := use(p.transport, content)
				if row = append(row, a.String()); a.String() != p.urls[0] {
					t.Errorf("the dead URL: %v, want %s", a, p.urls[0])
				}

				right := p.open(t, clock.System())
				source, learning := p.learning(t, behind)
				for _, c := range []struct {
					machine  clock.Clock
					signer   signer.Signer
					attempts int
					fails    bool
				}{
					{nil, right, 1, false},
					{source, learning, 2, p.object == ""},
				} {
					resigned, out := 0, &counted{base: p.transport}
					transport := signer.RefreshTransport{Base: out, Clock: c.machine, Resign: func(_ context.Context, req *http.Request) (*signer.Presigned, error) {
						resigned++
						return p.presign(t, c.signer, req.Method), nil
					}}
					body := fmt.Append(nil, "sent by a URL that was signed again, ", c.machine == nil)
					a := use(transport, body)
					row = append(row, a.String(), fmt.Sprint(out.n))
					if c.fails {
						if a.String() != p.urls[0] || out.n != 1 || resigned != 0 {
							t.Errorf("a clock that is right, %v: %v after %d attempts, signed again %d times", c.machine == nil, a, out.n, resigned)
						}
						continue
					}
					if a.StatusCode/100 != 2 || out.n != c.attempts || resigned != 1 {
						t.Errorf("a clock that is right, %v: %v after %d attempts, signed again %d times", c.machine == nil, a, out.n, resigned)
					}
					if method == http.MethodGet {
						body = a.body
					}
					if stored := p.byURL(t, right, p.transport); !bytes.Equal(stored.body, body) {
						t.Errorf("a clock that is right, %v: sent or got %q, the object is %q", c.machine == nil, body, stored.body)
					}
				}
				table.row(row...)
			})
		}
	}
}
