package storefake

import (
	"errors"
	"testing"
	"time"
)

// Parts without bytes are counted too, over all uploads.
func TestMaxParts(t *testing.T) {
	o := objects{byKey: make(map[string]*object), uploads: make(map[string]*upload), maxBytes: 1, maxCount: 1, maxUploads: 2}
	begin := func(key string) string {
		t.Helper()
		id, err := o.begin(key, nil, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	a, b := begin("a"), begin("b")
	for n := 1; n <= maxParts-1; n++ {
		if err := o.addPart("a", a, newPart(n, new(joined), time.Time{})); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		number int
		want   error
	}{{1, nil}, {2, errFull}, {1, nil}} {
		if err := o.addPart("b", b, newPart(step.number, new(joined), time.Time{})); !errors.Is(err, step.want) {
			t.Errorf("part %d: %v, want %v", step.number, err, step.want)
		}
	}
	if err := o.abort("a", a); err != nil {
		t.Fatal(err)
	}
	if err := o.addPart("b", b, newPart(2, new(joined), time.Time{})); err != nil || o.parts != 2 {
		t.Errorf("%v, %d parts", err, o.parts)
	}

	// Who picks the parts first and is done last finds no upload any more.
	parts, header, err := o.pick("b", b, []partRef{{2, o.uploads[b].parts[2].etag()}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	obj := join("b", parts, header, time.Time{})
	for _, want := range []error{nil, errNoUpload} {
		if err := o.finish(b, obj, condition{}); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if o.parts != 0 || o.bytes != 0 || len(o.uploads) != 0 {
		t.Errorf("%d parts, %d bytes and %d uploads are left", o.parts, o.bytes, len(o.uploads))
	}
}
