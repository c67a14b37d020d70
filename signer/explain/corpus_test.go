package explain_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
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

// A recorded is a refusal and the cause that it must yield; Also has the causes that the same evidence allows. There are three
// files of them. In corpus.json stands what services answered, live or by their documentation, and URLs that cannot work: the rules
// were written with it. In reports.json stands what users reported, in the form in which they had it and with names replaced; the
// rules got 26 of the 51 right before they were mended. In later.json stand reports that were looked for after that, for a figure
// that nothing was fitted to.
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

func loadCorpus(t testing.TB, files ...string) (all []recorded) {
	t.Helper()
	if len(files) == 0 {
		files = corpusFiles()
	}
	for _, file := range files {
		text, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.DisallowUnknownFields()
		var some []recorded
		if err := d.Decode(&some); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, some...)
	}
	return all
}

func corpusFiles() []string { return []string{"corpus.json", "reports.json"} }

// A tally counts how often a cause was found.
type tally struct{ all, first, found, missed, wrong int }

// TestCorpus holds Explain to the corpus: the cause that is wanted must stand first in 95 of 100, and nothing else may be Proved.
func TestCorpus(t *testing.T) {
	by := map[explain.ID]*tally{}
	sums := map[string]*tally{}
	all := new(tally)
	for _, file := range corpusFiles() {
		sums[file] = new(tally)
		for _, r := range loadCorpus(t, file) {
			if r.Source == "" {
				t.Errorf("%s: no source", r.Name)
			}
			report, err := explain.Explain(t.Context(), r.evidence(t))
			if err != nil {
				t.Errorf("%s: %v", r.Name, err)
				continue
			}
			if by[r.Want] == nil {
				by[r.Want] = new(tally)
			}
			for _, n := range []*tally{by[r.Want], sums[file], all} {
				n.add(&r, report)
			}
			if len(report.Causes) == 0 || report.Causes[0].ID != r.Want {
				t.Logf("%s: want %s first\n%v", r.Name, r.Want, report)
			}
			for _, c := range report.Causes {
				if c.Certainty == explain.Proved && c.ID != r.Want && !slices.Contains(r.Also, c.ID) {
					t.Errorf("%s: %s is proved, and the cause is %s\n%v", r.Name, c.ID, r.Want, report)
				}
			}
		}
	}
	if all.all < 120 {
		t.Errorf("%d refusals", all.all)
	}
	for file, n := range sums {
		if n.first*100 < n.all*95 {
			t.Errorf("%s: %d of %d first", file, n.first, n.all)
		}
	}
	if testing.Verbose() {
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "cause\trefusals\tfirst\tfound\tmissed\twrongly proved\t")
		for _, id := range slices.Sorted(maps.Keys(by)) {
			by[id].print(w, string(id))
		}
		for _, file := range corpusFiles() {
			sums[file].print(w, file)
		}
		all.print(w, "all")
		w.Flush()
	}
}

func (n *tally) add(r *recorded, report *explain.Report) {
	n.all++
	switch at := slices.IndexFunc(report.Causes, func(c explain.Cause) bool { return c.ID == r.Want }); {
	case at == 0:
		n.first++
	case at > 0:
		n.found++
	default:
		n.missed++
	}
	for _, c := range report.Causes {
		if c.Certainty == explain.Proved && c.ID != r.Want && !slices.Contains(r.Also, c.ID) {
			n.wrong++
		}
	}
}

func (n *tally) print(w io.Writer, name string) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t\n", name, n.all, n.first, n.found, n.missed, n.wrong)
}
