package storefake_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/signer"
)

// With a directory, the bytes are in its files and not in memory, and the files go with what they hold.
func TestDir(t *testing.T) {
	const size = 8 << 20
	dir := t.TempDir()
	f := newFixture(t, func(c *storefake.Config) { c.Dir, c.MaxObject, c.MaxBytes = dir, 8*size, 32*size })
	files := func() int {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	f.store("k", "old")
	id := f.initiate("k")
	var whole strings.Builder
	var list strings.Builder
	for n := 1; n <= 4; n++ {
		part := strings.Repeat(fmt.Sprintf("part %d;", n), size/7)
		whole.WriteString(part)
		query := url.Values{"partNumber": {fmt.Sprint(n)}, "uploadId": {id}}
		h, _ := f.want(200, f.request(signer.Request{Method: "PUT", Key: "k", Query: query}, part))
		fmt.Fprintf(&list, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", n, h.Get("ETag"))
	}
	f.want(200, f.request(signer.Request{Method: "POST", Key: "k", Query: url.Values{"uploadId": {id}}},
		"<CompleteMultipartUpload>"+list.String()+"</CompleteMultipartUpload>"))
	if _, body := f.want(200, f.request(signer.Request{Key: "k"}, "")); body != whole.String() {
		t.Errorf("%d bytes, want %d", len(body), whole.Len())
	}
	border := size/7*7 - 3
	for _, r := range [][2]int{{0, 0}, {border, border + 9}, {border - 100, 3*border + 200}, {whole.Len() - 5, whole.Len() - 1}} {
		req := f.request(signer.Request{Key: "k"}, "")
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", r[0], r[1]))
		if _, body := f.want(206, req); body != whole.String()[r[0]:r[1]+1] {
			t.Errorf("bytes %d to %d: %d others", r[0], r[1], len(body))
		}
	}
	if n := files(); n < 4 {
		t.Errorf("%d files", n)
	}
	f.want(http.StatusNoContent, f.request(signer.Request{Method: "DELETE", Key: "k"}, ""))
	for deadline := time.Now().Add(10 * time.Second); files() > 0; time.Sleep(10 * time.Millisecond) {
		runtime.GC()
		if time.Now().After(deadline) {
			t.Fatalf("%d files are left", files())
		}
	}
}
