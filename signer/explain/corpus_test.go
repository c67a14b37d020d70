package explain_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/explain"
)

// A recorded is a refusal of testdata/corpus.json: what services answered, live or in their documentation and its readers'
// reports, or a URL that cannot work, and the cause that it must yield. Also has the causes that the same evidence allows.
type recorded struct {
	Name, Source string
	Want         explain.ID
	Also         []explain.ID

	Status int
	Header map[string]string
	Body   string

	URL, Method string
	Send        map[string]string
	Now         time.Time
	Trace       *struct{ CanonicalRequest, StringToSign string }
}

func (r *recorded) evidence(t testing.TB) explain.Evidence {
	t.Helper()
	e := explain.Evidence{URL: r.URL, Status: r.Status, Header: http.Header{}, Body: []byte(r.Body), Now: r.Now}
	for name, value := range r.Header {
		e.Header.Set(name, value)
	}
	if r.Method != "" || r.Send != nil {
		u, err := url.Parse(cmp.Or(r.URL, "https://example.com/"))
		if err != nil {
			t.Fatal(err)
		}
		e.Request = &http.Request{Method: r.Method, URL: u, Host: u.Host, Header: http.Header{}}
		for name, value := range r.Send {
			e.Request.Header.Set(name, value)
		}
	}
	if r.Trace != nil {
		e.Trace = &signer.Trace{CanonicalRequest: []byte(r.Trace.CanonicalRequest), StringToSign: []byte(r.Trace.StringToSign)}
		if r.Trace.CanonicalRequest == "" {
			e.Trace.CanonicalRequest = nil
		}
	}
	return e
}

func loadCorpus(t testing.TB) (all []recorded) {
	t.Helper()
	text, err := os.ReadFile("testdata/corpus.json")
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// A tally counts how often a cause was found.
type tally struct{ all, first, found, missed, wrong int }

// TestCorpus holds Explain to the corpus: the cause that is wanted must stand first in 95 of 100, and nothing else may be Proved.
func TestCorpus(t *testing.T) {
	corpus := loadCorpus(t)
	if len(corpus) < 120 {
		t.Errorf("%d refusals", len(corpus))
	}
	by := map[explain.ID]*tally{}
	var sum tally
	for _, r := range corpus {
		report, err := explain.Explain(t.Context(), r.evidence(t))
		if err != nil {
			t.Errorf("%s: %v", r.Name, err)
			continue
		}
		n := by[r.Want]
		if n == nil {
			n = new(tally)
			by[r.Want] = n
		}
		at := slices.IndexFunc(report.Causes, func(c explain.Cause) bool { return c.ID == r.Want })
		for _, n := range []*tally{n, &sum} {
			n.all++
			switch {
			case at == 0:
				n.first++
			case at > 0:
				n.found++
			default:
				n.missed++
			}
		}
		if at != 0 {
			t.Logf("%s: %s is at %d of\n%v", r.Name, r.Want, at, report)
		}
		for _, c := range report.Causes {
			if c.Certainty == explain.Proved && c.ID != r.Want && !slices.Contains(r.Also, c.ID) {
				n.wrong++
				sum.wrong++
				t.Errorf("%s: %s is proved, and the cause is %s\n%v", r.Name, c.ID, r.Want, report)
			}
		}
	}
	if testing.Verbose() {
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "cause\trefusals\tfirst\tfound\tmissed\twrongly proved\t")
		for _, id := range slices.Sorted(maps.Keys(by)) {
			n := by[id]
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t\n", id, n.all, n.first, n.found, n.missed, n.wrong)
		}
		fmt.Fprintf(w, "all\t%d\t%d\t%d\t%d\t%d\t\n", sum.all, sum.first, sum.found, sum.missed, sum.wrong)
		w.Flush()
	}
	if sum.first*100 < sum.all*95 {
		t.Errorf("%d of %d first", sum.first, sum.all)
	}
}
