package difftest

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/storage"

	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file holds where cloud.google.com/go/storage v1.50.0 (storage.go) and we differ on purpose, a test for each: what it does,
// what we do, and who decides. The tests fail when the SDK changes.

// bothGCS signs one request with both sides, in a bubble at the same instant plus a fraction of a second.
func bothGCS(t *testing.T, r signer.Request, adjust func(*gcs.Config, *storage.SignedURLOptions)) (ours *signer.Presigned, theirs string, toSign []byte) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		key, err := gcs.RemoteKey(gcsAccount, 0, func(_ context.Context, toSign []byte) (gcs.Signature, error) {
			return gcs.Signature{Bytes: gcsStandIn(toSign)}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		config := gcs.Config{Bucket: "photos", Key: key}
		opts := &storage.SignedURLOptions{Scheme: storage.SigningSchemeV4, GoogleAccessID: gcsAccount, Method: "GET",
			Expires: time.Now().Add(r.Expires), QueryParameters: maps.Clone(r.Query),
			SignBytes: func(b []byte) ([]byte, error) { toSign = slices.Clone(b); return gcsStandIn(b), nil }}
		for name, values := range r.Header {
			for _, value := range values {
				opts.Headers = append(opts.Headers, name+":"+value)
			}
		}
		if adjust != nil {
			adjust(&config, opts)
		}
		s, err := gcs.New(config)
		if err != nil {
			t.Fatal(err)
		}
		if ours, err = s.Presign(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if theirs, err = storage.SignedURL("photos", r.Key, opts); err != nil {
			t.Fatal(err)
		}
	})
	return ours, theirs, toSign
}

// The SDK sorts query names before it encodes them, we as they are encoded. The documentation says neither (it sorts "by name
// using a lexicographical sort by code point value"); Google's Node SDK and Apache's object_store sort encoded names, and the latter
// says that this is the service's order. The conformance suite has no case.
// https://docs.cloud.google.com/storage/docs/authentication/canonical-requests#about-query-strings
func TestGCSQuirkSortsRawNames(t *testing.T) {
	r := signer.Request{Key: "k", Expires: time.Hour, Query: url.Values{"é": {"1"}, "z": {"2"}}}
	ours, theirs, _ := bothGCS(t, r, nil)
	if !gcsSortTrap(r.Query) || ours.URL == ordered(t, theirs) {
		t.Error("the SDK sorts as we do; drop gcsSortTrap")
	}
	if at := strings.Index(ours.URL, "%C3%A9=1"); at < 0 || at > strings.Index(ours.URL, "&z=2") || at > strings.Index(ours.URL, "X-Goog-Algorithm") {
		t.Errorf("ours is not in the order of encoded names: %s", ours.URL)
	}
	delete(r.Query, "z")
	delete(r.Query, "é")
	r.Query.Set("z", "2")
	if ours, theirs, _ = bothGCS(t, r, nil); ours.URL != ordered(t, theirs) {
		t.Error("they differ in something else too")
	}
}

// gcsSortTrap reports whether the two orders of names differ.
func gcsSortTrap(q url.Values) bool {
	names := slices.Collect(maps.Keys(q))
	names = append(names, "X-Goog-Algorithm", "X-Goog-Credential", "X-Goog-Date", "X-Goog-Expires", "X-Goog-SignedHeaders")
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	raw, encoded := slices.Sorted(slices.Values(names)), slices.Clone(names)
	slices.SortFunc(encoded, func(a, b string) int { return strings.Compare(escape(a), escape(b)) })
	return !slices.Equal(raw, encoded)
}

// The SDK takes the difference between Expires and a second look at the clock, cut to seconds: 15 minutes become 899. We count from
// the same instant, and the promise is at least as long as was asked. The service takes both.
func TestGCSQuirkLosesASecond(t *testing.T) {
	r := signer.Request{Key: "k", Expires: 15 * time.Minute}
	ours, theirs, _ := bothGCS(t, r, func(_ *gcs.Config, _ *storage.SignedURLOptions) { time.Sleep(time.Nanosecond) })
	if got := param(t, theirs, "X-Goog-Expires"); got != "899" {
		t.Errorf("theirs lives %s s; drop the quirk", got)
	}
	if got := param(t, ours.URL, "X-Goog-Expires"); got != "900" {
		t.Errorf("ours lives %s s", got)
	}
}

// The SDK signs a URL that is dead already, with a negative number of seconds; we refuse (ErrLifetime). The documentation wants a
// number up to 604800.
func TestGCSQuirkSignsTheDead(t *testing.T) {
	_, theirs, _ := bothGCS(t, signer.Request{Key: "k", Expires: time.Hour}, func(_ *gcs.Config, o *storage.SignedURLOptions) {
		o.Expires = time.Now().Add(-time.Minute)
	})
	if got := param(t, theirs, "X-Goog-Expires"); got != "-60" {
		t.Errorf("theirs lives %s s; drop the quirk", got)
	}
}

// The SDK drops a header without a value, without a word. We sign it: a header that is asked for is never dropped. The
// documentation has no exception for empty values.
func TestGCSQuirkDropsEmptyHeaders(t *testing.T) {
	r := signer.Request{Key: "k", Expires: time.Hour, Header: http.Header{"X-Goog-Meta-Note": {""}}}
	ours, theirs, _ := bothGCS(t, r, nil)
	if got := param(t, theirs, "X-Goog-SignedHeaders"); got != "host" {
		t.Errorf("theirs signs %s; drop the quirk", got)
	}
	if got := param(t, ours.URL, "X-Goog-SignedHeaders"); got != "host;x-goog-meta-note" {
		t.Errorf("ours signs %s", got)
	}
}

// The SDK takes every blank of Unicode for one (strings.Fields), so that a no-break space in a value becomes another character
// than the client sends. The documentation speaks of folding whitespace (RFC 9110: space and tab), which is what we do.
func TestGCSQuirkFoldsUnicodeBlanks(t *testing.T) {
	r := signer.Request{Key: "k", Expires: time.Hour, Header: http.Header{"X-Goog-Meta-Note": {"a\u00a0b"}}}
	ours, theirs, _ := bothGCS(t, r, nil)
	if param(t, ours.URL, "X-Goog-Signature") == param(t, theirs, "X-Goog-Signature") {
		t.Error("the SDK keeps a no-break space; drop the quirk")
	}
	plain, _, _ := bothGCS(t, signer.Request{Key: "k", Expires: time.Hour, Header: http.Header{"X-Goog-Meta-Note": {"a b"}}}, nil)
	if param(t, plain.URL, "X-Goog-Signature") != param(t, theirs, "X-Goog-Signature") {
		t.Error("they differ in something else too")
	}
}

// Where the bucket is in the host, the SDK signs the two slashes of a key that begins with one and writes one of them. The
// conformance suite ("Forward Slashes should not be stripped") has it right for a bucket in the path.
func TestGCSQuirkLosesLeadingSlash(t *testing.T) {
	r := signer.Request{Key: "/k", Expires: time.Hour}
	ours, theirs, _ := bothGCS(t, r, func(c *gcs.Config, o *storage.SignedURLOptions) {
		c.Addressing, o.Style = signer.AddressingVirtualHost, storage.VirtualHostedStyle()
	})
	if !strings.HasPrefix(theirs, "https://photos.storage.googleapis.com/k?") {
		t.Errorf("theirs is %s; drop the quirk", strings.SplitN(theirs, "?", 2)[0])
	}
	if !strings.HasPrefix(ours.URL, "https://photos.storage.googleapis.com//k?") {
		t.Errorf("ours is %s", strings.SplitN(ours.URL, "?", 2)[0])
	}
	if param(t, ours.URL, "X-Goog-Signature") != param(t, theirs, "X-Goog-Signature") {
		t.Error("they sign different paths")
	}
}

// A host with a scheme, where a host is meant, becomes a host name of nonsense; our Endpoint is a URL.
func TestGCSQuirkKeepsTheSchemeInTheHost(t *testing.T) {
	_, theirs, _ := bothGCS(t, signer.Request{Key: "k", Expires: time.Hour}, func(_ *gcs.Config, o *storage.SignedURLOptions) {
		o.Style = storage.BucketBoundHostname("https://media.example")
	})
	if !strings.HasPrefix(theirs, "https://https:%2F%2Fmedia.example/") {
		t.Errorf("theirs is %s; drop the quirk", strings.SplitN(theirs, "?", 2)[0])
	}
}
