package difftest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/encoding/httpbinding"
	"github.com/aws/smithy-go/logging"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

const unsignedPayload = "UNSIGNED-PAYLOAD"

// TestS3Presign compares URLs from bucket and key with what the SDK's signer makes of the same URL, byte for byte.
func TestS3Presign(t *testing.T) {
	forSeeds(t, 12_000, func(t *testing.T, g gen, p *pair) {
		r := g.request()
		req := p.request(t, r)
		for p.trapped && sortTrap(req.URL.Query()) {
			*p.redrawn++
			r.Query = g.query()
			req = p.request(t, r)
		}
		if g.chance(2) {
			r.Bucket = p.config.Bucket
		}
		ctx := context.Background()
		got, err := p.ours.Presign(ctx, r)
		if err != nil {
			t.Fatalf("request %d: %+v: %v", p.round, r, err)
		}
		want, header := p.presign(t, req, r.Expires)
		want = withoutDefaultPort(want)
		header.Del("Host")
		start, seconds := p.life(r.Expires)
		switch {
		case got.URL != want:
			p.explain(t, "URL", got.URL, want, func(ctx context.Context) { p.ours.Presign(ctx, r) }, func(log option) { p.presign(t, req, r.Expires, log) })
		case !sameHeader(got.Header, header):
			t.Fatalf("request %d: headers to send\nours   %v\ntheirs %v", p.round, got.Header, header)
		case got.Method != req.Method || !got.ExpiresAt.Equal(start.Truncate(time.Second).Add(time.Duration(seconds)*time.Second)):
			t.Fatalf("request %d: %s until %v, want %s from %v for %d s", p.round, got.Method, got.ExpiresAt, req.Method, start, seconds)
		}

		r.BestEffort, r.SourceIP = false, noPrefix // AppendURL could not tell
		p.buffer, _, err = p.ours.AppendURL(ctx, append(p.buffer[:0], "before "...), r)
		if rest, ok := bytes.CutPrefix(p.buffer, []byte("before ")); err != nil || !ok || string(rest) != got.URL {
			t.Fatalf("request %d: AppendURL: %v\n%s\nPresign\n%s", p.round, err, p.buffer, got.URL)
		}
	})
}

// TestS3PresignRequest compares finished URLs. The SDK writes the query anew, we keep its bytes, so here the order of the
// parameters is free; the signature tells that both sign the same order.
func TestS3PresignRequest(t *testing.T) {
	forSeeds(t, 6_000, func(t *testing.T, g gen, p *pair) {
		req := p.httpRequest(t, g)
		o := signer.Options{Expires: g.expires()}
		before := req.URL.String()
		got, err := p.ours.PresignRequest(context.Background(), req, o)
		if err != nil {
			t.Fatalf("request %d: %s %v: %v", p.round, before, req.Header, err)
		}
		want, header := p.presign(t, req, o.Expires)
		if header.Get("Host") == req.URL.Host {
			header.Del("Host")
		}
		ourPath, ourQuery, _ := strings.Cut(got.URL, "?")
		theirPath, theirQuery, _ := strings.Cut(want, "?")
		switch {
		case !strings.HasPrefix(got.URL, before):
			t.Fatalf("request %d: the URL's bytes changed\nbefore %s\nafter  %s", p.round, before, got.URL)
		case ourPath != theirPath || !slices.Equal(parameters(t, ourQuery), parameters(t, theirQuery)):
			p.explain(t, "URL", got.URL, want, func(ctx context.Context) { p.ours.PresignRequest(ctx, req, o) }, func(log option) { p.presign(t, req, o.Expires, log) })
		case !sameHeader(got.Header, header):
			t.Fatalf("request %d: headers to send\nours   %v\ntheirs %v", p.round, got.Header, header)
		}
	})
}

// TestS3Sign compares signatures in headers.
func TestS3Sign(t *testing.T) {
	forSeeds(t, 9_000, func(t *testing.T, g gen, p *pair) {
		req := p.httpRequest(t, g)
		ours, theirs := req.Clone(context.Background()), req.Clone(context.Background())
		if err := p.ours.Sign(context.Background(), ours); err != nil {
			t.Fatalf("request %d: %s %v: %v", p.round, req.URL, req.Header, err)
		}
		if payloadOf(theirs.Header) == "" {
			theirs.Header.Set("X-Amz-Content-Sha256", unsignedPayload) // ours sets it by itself
		}
		sign := func(req *http.Request, log option) {
			if err := p.theirs.SignHTTP(context.Background(), p.identity.theirs, req, payloadOf(req.Header), "s3", p.config.Region, p.now, asIs, log); err != nil {
				t.Fatal(err)
			}
		}
		sign(theirs, func(*v4.SignerOptions) {})
		auth := theirs.Header["Authorization"]
		auth[0] = strings.ReplaceAll(auth[0], ", ", ",") // AWS's documentation has both
		if !reflect.DeepEqual(ours.Header, theirs.Header) || hostOf(ours) != hostOf(theirs) {
			p.explain(t, "headers", fmt.Sprint(hostOf(ours), ours.Header), fmt.Sprint(hostOf(theirs), theirs.Header),
				func(ctx context.Context) { p.ours.Sign(ctx, req.Clone(ctx)) },
				func(log option) { theirs.Header.Del("Authorization"); sign(theirs, log) })
		}
	})
}

// forSeeds runs test for n requests of each of six seeds, for a few with -short. A pair of signers serves for many of them, and
// for many identities, as in a service with tenants.
func forSeeds(t *testing.T, n int, test func(t *testing.T, g gen, p *pair)) {
	if testing.Short() {
		n /= 20
	}
	for _, seed := range []uint64{1, 2, 3, 1117, 20130524, 1 << 63} {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			g, theirs, redrawn := newGen(seed), v4.NewSigner(), 0
			var p *pair
			for i := range n {
				if i%200 == 0 {
					p = newPair(t, g, theirs, &redrawn)
				}
				if i%3 == 0 {
					p.identity = g.identity(i)
				}
				p.round = i
				if p.now = g.instant(); g.chance(2) {
					p.now = p.day.Add(time.Duration(g.Int64N(int64(24 * time.Hour))))
				}
				test(t, g, p)
			}
			t.Logf("%d requests; %d drawn again because this SDK sorts before it encodes", n, redrawn)
		})
	}
}

// A pair is both signers, with one clock and one identity at a time.
type pair struct {
	site
	identity
	ours   *s3.Signer
	theirs *v4.Signer
	now    time.Time
	day    time.Time // on which many requests are signed, so that keys come from caches
	buffer []byte

	round   int
	trapped bool // the SDK sortsBeforeEncoding
	redrawn *int
}

func newPair(t *testing.T, g gen, theirs *v4.Signer, redrawn *int) *pair {
	p := &pair{site: pick(g, sites()), identity: g.identity(0), theirs: theirs, day: g.instant().UTC().Truncate(24 * time.Hour),
		trapped: sortsBeforeEncoding(), redrawn: redrawn}
	if p.config.Region == "" {
		p.config.Region = pick(g, regions)
	}
	p.config.Backdate = pick(g, []time.Duration{-1, 0})
	p.config.Credentials = current{p}
	p.config.Clock = clock.Func(func() time.Time { return p.now })
	var err error
	if p.ours, err = s3.New(p.config); err != nil {
		t.Fatal(err)
	}
	return p
}

// current gives the credentials that the pair has now.
type current struct{ *pair }

func (c current) Credentials(context.Context, time.Time) (s3.Credentials, error) {
	return c.identity.ours, nil
}

// life says when a URL starts and how many seconds it lives: Expires rounded up, and the backdate as far as seven days
// leave room for it.
func (p *pair) life(expires time.Duration) (start time.Time, seconds int64) {
	seconds = int64((expires + time.Second - 1) / time.Second)
	var backdate int64
	if p.config.Backdate == 0 {
		backdate = min(30, 7*24*60*60-seconds)
	}
	return p.now.Add(-time.Duration(backdate) * time.Second), seconds + backdate
}

// request is what the SDK's signer is to sign for r: a URL with its path encoded by the SDK's own encoder.
func (p *pair) request(t *testing.T, r signer.Request) *http.Request {
	u, err := url.Parse(p.base)
	if err != nil {
		t.Fatal(err)
	}
	if r.Key != "" || u.Path == "" {
		if u, err = url.Parse(p.base + "/" + httpbinding.EscapePath(r.Key, false)); err != nil {
			t.Fatal(err)
		}
	}
	q := maps.Clone(r.Query)
	for name, value := range map[string]string{
		"response-content-type": r.Response.ContentType, "response-content-disposition": r.Response.ContentDisposition,
		"response-cache-control": r.Response.CacheControl, "response-content-encoding": r.Response.ContentEncoding,
		"response-content-language": r.Response.ContentLanguage, "response-expires": r.Response.Expires,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	req := &http.Request{Method: r.Method, URL: u, Header: r.Header.Clone()}
	if req.Method == "" { // the SDK would sign it so
		req.Method = http.MethodGet
	}
	if length := req.Header.Get("Content-Length"); length != "" {
		req.ContentLength, _ = strconv.ParseInt(length, 10, 64)
		req.Header.Del("Content-Length")
	}
	return req
}

// httpRequest draws a request that has no sortTrap for this SDK.
func (p *pair) httpRequest(t *testing.T, g gen) *http.Request {
	for {
		req, q, err := g.httpRequest()
		if err != nil {
			t.Fatalf("request %d: %v", p.round, err)
		}
		if !p.trapped || !sortTrap(q) {
			return req
		}
		*p.redrawn++
	}
}

type option = func(*v4.SignerOptions)

// asIs is what S3 needs: the path is encoded once, not twice.
func asIs(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }

// presign has the SDK presign req.
func (p *pair) presign(t *testing.T, req *http.Request, expires time.Duration, log ...option) (string, http.Header) {
	start, seconds := p.life(expires)
	req = req.Clone(context.Background())
	if req.URL.RawQuery != "" {
		req.URL.RawQuery += "&"
	}
	req.URL.RawQuery += "X-Amz-Expires=" + strconv.FormatInt(seconds, 10)
	payload := payloadOf(req.Header)
	if payload == "" {
		payload = unsignedPayload
	}
	keep := func(o *v4.SignerOptions) { o.DisableHeaderHoisting = hoists(req.Header) }
	signed, header, err := p.theirs.PresignHTTP(context.Background(), p.identity.theirs, req, payload, "s3", p.config.Region, start, append(log, asIs, keep)...)
	if err != nil {
		t.Fatal(err)
	}
	return signed, header
}

// explain fails with both results and both canonical requests.
func (p *pair) explain(t *testing.T, what, ours, theirs string, again func(context.Context), theirsAgain func(log option)) {
	t.Helper()
	var trace signer.Trace
	again(signer.WithTrace(context.Background(), &trace))
	var log string
	theirsAgain(func(o *v4.SignerOptions) {
		o.LogSigning = true
		o.Logger = logging.LoggerFunc(func(_ logging.Classification, format string, args ...any) { log = fmt.Sprintf(format, args...) })
	})
	t.Fatalf("request %d: %s\nours   %q\ntheirs %q\n\nours\n%s\n\ntheirs\n%s", p.round, what, ours, theirs, trace.CanonicalRequest, log)
}

// payloadOf finds X-Amz-Content-Sha256 in any spelling.
func payloadOf(h http.Header) string {
	for name, values := range h {
		if strings.EqualFold(name, "X-Amz-Content-Sha256") {
			return values[0]
		}
	}
	return ""
}

func hostOf(req *http.Request) string {
	if req.Host != "" {
		return req.Host
	}
	return req.URL.Host
}

// parameters lists a query's names and values, decoded and sorted.
func parameters(t *testing.T, rawQuery string) (list []string) {
	for part := range strings.SplitSeq(rawQuery, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		for _, s := range []*string{&name, &value} {
			var err error
			if *s, err = url.QueryUnescape(*s); err != nil {
				t.Fatal(err)
			}
		}
		list = append(list, name+"\x00"+value)
	}
	slices.Sort(list)
	return list
}

// sameHeader compares headers to send; nil is empty.
func sameHeader(a, b http.Header) bool { return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b) }
