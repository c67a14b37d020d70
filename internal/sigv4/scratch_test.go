package sigv4

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

var op = pipeline.Op{Backend: "test", Name: "presign"}

// lines writes headers as they stand in a canonical request.
func lines(w *Scratch) string {
	var b strings.Builder
	for _, h := range w.Headers {
		fmt.Fprintf(&b, "%s:%s\n", h.Name, h.Value)
	}
	return b.String()
}

func checkRequestError(t *testing.T, err error, field string) {
	t.Helper()
	var e *signer.Error
	if !errors.As(err, &e) || !errors.Is(err, signer.ErrRequest) || e.Field != field || e.Backend != "test" {
		t.Errorf("got %v, want ErrRequest about %s", err, field)
	}
}

func TestScratchHeaders(t *testing.T) {
	var w Scratch
	w.AddHeader("X-Amz-Meta-B", "  two   words ", `"a  b"`, "")
	w.AddHost([]byte("Photos.Example:9000"))
	w.AddHeader("CONTENT-type", "Text/Plain")
	w.AddHeader("x-Amz-Meta-A", "")
	if err := w.SortHeaders(op); err != nil {
		t.Fatal(err)
	}
	want := "content-type:Text/Plain\nhost:Photos.Example:9000\nx-amz-meta-a:\nx-amz-meta-b:two words,\"a b\",\n"
	if got := lines(&w); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for _, h := range w.Headers { // what is appended to one must not run into the next
		_, _ = append(h.Name, "overrun"...), append(h.Value, "overrun"...)
	}
	if got := lines(&w); got != want {
		t.Errorf("after an append:\n%s", got)
	}
}

// A header stays as it is when more are added than the memory had room for.
func TestScratchGrows(t *testing.T) {
	var w Scratch
	var want []string
	for i := range 300 {
		name, value := fmt.Sprintf("x-%03d", 299-i), strings.Repeat("v", i%17)
		w.AddHeader(name, value)
		want = append(want, name+":"+value+"\n")
	}
	if err := w.SortHeaders(op); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(want)
	if got, want := lines(&w), strings.Join(want, ""); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestSortHeadersRefusesTwoSpellings(t *testing.T) {
	for _, names := range []string{"X-A x-a", "X-B X-A x-b", "a Host b host"} {
		var w Scratch
		for _, name := range strings.Fields(names) {
			w.AddHeader(name, "1")
		}
		checkRequestError(t, w.SortHeaders(op), "Header")
	}
	var w Scratch
	for _, name := range strings.Fields("x-a x-ab x x-a-b xa") {
		w.AddHeader(name, "the same")
	}
	if err := w.SortHeaders(op); err != nil {
		t.Errorf("refused: %v", err)
	}
}

func TestAppendSignedHeaders(t *testing.T) {
	for _, tt := range []struct{ names, list, query string }{
		{"", "", ""},
		{"host", "host", "host"},
		{"content-type host x-amz-date", "content-type;host;x-amz-date", "content-type%3Bhost%3Bx-amz-date"},
		{"host x/y!z", "host;x/y!z", "host%3Bx%2Fy%21z"},
	} {
		var w Scratch
		for _, name := range strings.Fields(tt.names) {
			w.AddHeader(name, "1")
		}
		if got := string(AppendSignedHeaders([]byte("="), w.Headers, ";")); got != "="+tt.list {
			t.Errorf("got %s, want %s", got, tt.list)
		}
		if got := string(AppendSignedHeaders([]byte("="), w.Headers, "%3B")); got != "="+tt.query {
			t.Errorf("got %s in a query, want %s", got, tt.query)
		}
	}
}

func TestAddRequestHeaders(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header http.Header
		length int64
		want   string // "" for an error
	}{
		{"none", nil, 0, "host:h\n"},
		{"a body", http.Header{}, 12, "content-length:12\nhost:h\n"},
		{"a body of unknown length", http.Header{}, -1, "host:h\n"},
		{"what net/http does not take from the map", http.Header{"Host": {"map"}, "host": {"map"}, "Content-Length": {"7"},
			"content-length": {"8"}}, 12, "content-length:12\nhost:h\n"},
		{"a length in the map without a body", http.Header{"Content-Length": {"7"}}, 0, "host:h\n"},
		{"what changes on the way", http.Header{"Authorization": {"1"}, "User-Agent": {"1"}, "x-amzn-trace-id": {"1"},
			"CONNECTION": {"close"}, "Date": {"1"}}, 0, "date:1\nhost:h\n"},
		{"what is not sent", http.Header{"X-Nil": nil, "X-None": {}, "X-Empty": {""}}, 0, "host:h\nx-empty:\n"},
		{"all else, sorted", http.Header{"X-Amz-Date": {"d"}, "X-A": {" 1  2", "3"}, "Content-Type": {"t"}, "if-match": {"e"}}, 5,
			"content-length:5\ncontent-type:t\nhost:h\nif-match:e\nx-a:1 2,3\nx-amz-date:d\n"},
		{"two spellings", http.Header{"X-A": {"1"}, "x-a": {"2"}}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var w Scratch
			err := w.AddRequestHeaders(op, tt.header, tt.length, "h")
			if tt.want == "" {
				checkRequestError(t, err, "Header")
			} else if got := lines(&w); got != tt.want || err != nil {
				t.Errorf("got\n%s%v, want\n%s", got, err, tt.want)
			}
		})
	}
}

func TestCanonicalPathAndQuery(t *testing.T) {
	var w Scratch
	for _, tt := range []struct{ path, rawQuery, wantPath, wantQuery string }{
		{"/a%2fb//c/../d+e%7E", "b=2&a=%2b&&acl&a=%20+", "/a/b//c/../d%2Be~", "a=%20%20&a=%2B&acl=&b=2"},
		{"/", "", "/", ""}, // nothing is left of the request before
		{"/%C3%A9", "x=~%2A", "/%C3%A9", "x=~%2A"},
	} {
		w.Reset()
		if err := w.CanonicalPathAndQuery(op, tt.path, tt.rawQuery); err != nil {
			t.Errorf("%s?%s: %v", tt.path, tt.rawQuery, err)
		}
		if string(w.Path) != tt.wantPath || string(w.Query) != tt.wantQuery {
			t.Errorf("%s?%s: got %s and %s, want %s and %s", tt.path, tt.rawQuery, w.Path, w.Query, tt.wantPath, tt.wantQuery)
		}
	}
	for _, tt := range [][2]string{{"/%zz", "a=1"}, {"/a", "a=%4"}} {
		w.Reset()
		err := w.CanonicalPathAndQuery(op, tt[0], tt[1])
		checkRequestError(t, err, "URL")
		if !errors.Is(err, wire.ErrEscape) {
			t.Errorf("%v does not wrap %v", err, wire.ErrEscape)
		}
	}
}

// fill uses every part of a Scratch.
func fill(w *Scratch) {
	w.AddHost([]byte("h"))
	w.AddHeader("X-A", "value")
	w.Params.Add("a", "1")
	w.URL, w.Path, w.Query = append(w.URL, "u"...), append(w.Path, "p"...), append(w.Query, "q"...)
	w.Canonical, w.ToSign = append(w.Canonical, "c"...), append(w.ToSign, "s"...)
}

func TestReset(t *testing.T) {
	var w Scratch
	fill(&w)
	headers, params := w.Headers, w.Params.List
	w.Reset()
	if len(w.Headers) != 0 || len(w.Params.List) != 0 {
		t.Errorf("%q and %q are left", w.Headers, w.Params.List)
	}
	for _, h := range headers {
		if h.Name != nil || h.Value != nil {
			t.Errorf("the memory still points at %s:%s", h.Name, h.Value)
		}
	}
	for _, p := range params {
		if p.Name != nil || p.Value != nil {
			t.Errorf("the memory still points at %s=%s", p.Name, p.Value)
		}
	}
	arena := &w.arena[:1][0]
	if w.AddHost([]byte("h2")); &w.arena[0] != arena || lines(&w) != "host:h2\n" {
		t.Errorf("used again, it has\n%s", lines(&w))
	}
}

func TestRelease(t *testing.T) {
	var pool sync.Pool
	if w := TakeScratch(&pool); w == nil || w.Headers != nil {
		t.Fatalf("an empty pool gives %+v", w)
	}
	again := false
	for range 1000 { // a pool may drop what it is given, and does under the race detector
		w := TakeScratch(&pool)
		if len(w.Headers) != 0 || len(w.Params.List) != 0 {
			t.Fatalf("memory comes with %q and %q", w.Headers, w.Params.List)
		}
		again = again || cap(w.URL) > 0
		fill(w)
		w.Release(&pool)
	}
	if !again {
		t.Error("no memory comes back")
	}

	const most = 64 << 10
	for name, grow := range map[string]func(w *Scratch, n int){
		"URL":       func(w *Scratch, n int) { w.URL = make([]byte, n) },
		"Canonical": func(w *Scratch, n int) { w.Canonical = make([]byte, n) },
		"arena":     func(w *Scratch, n int) { w.arena = make([]byte, n) },
	} {
		var pool sync.Pool
		kept := func(n int) bool {
			w := new(Scratch)
			grow(w, n)
			w.Release(&pool)
			return pool.Get() != nil
		}
		for range 100 {
			if kept(most + 1) {
				t.Fatalf("%s of %d bytes is kept", name, most+1)
			}
		}
		ever := false
		for range 100 {
			ever = ever || kept(most)
		}
		if !ever {
			t.Errorf("%s of %d bytes is not kept", name, most)
		}
	}
}

// The example of a presigned GET: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
func TestAppendStringToSign(t *testing.T) {
	const canonical = "GET\n/test.txt\n" +
		"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
		"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\n" +
		"host:examplebucket.s3.amazonaws.com\n\nhost\nUNSIGNED-PAYLOAD"
	const want = "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n" +
		"3bfa292879f6447bbcda7001decf97f4a54dc650c8942174ae0a9121cf58ad04"
	stamp := Stamp([]byte("20130524T000000Z"))
	scope := Scope{Date: stamp.Date(), Region: "us-east-1", Service: "s3"}
	if got := string(AppendStringToSign([]byte("x"), "AWS4-HMAC-SHA256", stamp, &scope, "aws4_request", []byte(canonical))); got != "x"+want {
		t.Errorf("got\n%s\nwant\n%s", got[1:], want)
	}
	if got := string(scope.Append([]byte("="), "%2F", "aws4_request")); got != "=20130524%2Fus-east-1%2Fs3%2Faws4_request" {
		t.Errorf("in a query the scope is %s", got)
	}
	scope.Region = "" // of a signature for several regions
	if got := string(scope.Append(nil, "/", "aws4_request")); got != "20130524/s3/aws4_request" {
		t.Errorf("without a region the scope is %s", got)
	}
}

func TestScratchTrace(t *testing.T) {
	var trace signer.Trace
	w := Scratch{Canonical: []byte("GET\n/"), ToSign: []byte("AWS4-HMAC-SHA256\n")}
	w.Trace(context.Background()) // nobody asks
	w.Trace(signer.WithTrace(context.Background(), &trace))
	w.Canonical[0], w.ToSign[0] = 'x', 'x' // the next signature has the memory
	if !bytes.Equal(trace.CanonicalRequest, []byte("GET\n/")) || !bytes.Equal(trace.StringToSign, []byte("AWS4-HMAC-SHA256\n")) {
		t.Errorf("got %q and %q", trace.CanonicalRequest, trace.StringToSign)
	}
}
