package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// awsSkewCases are AWS's own cases for SDKs that correct the time, in aws/middleware/testdata of aws-sdk-go-v2.
type awsSkewCases struct{ Tests []awsSkewCase }

type awsSkewCase struct {
	Description string
	Operations  []awsSkewOperation
}

type awsSkewOperation struct {
	InitialClientSkew  seconds
	MaxAttempts        int
	Attempts           []awsSkewAttempt
	ExpectedClientSkew seconds
	ExpectedOutcome    string
}

type awsSkewAttempt struct {
	ClientTimeAtSend, ClientTimeAtReceive, ExpectedSigningTime time.Time
	Response                                                   struct {
		StatusCode int
		Headers    map[string]string
		ErrorCode  string
	}
}

type seconds int64

func (s seconds) duration() time.Duration { return time.Duration(s) * time.Second }

func loadAWSSkewCases(t *testing.T) []awsSkewCase {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	file := must(os.Open(filepath.Join(strings.TrimSpace(string(dir)), "aws", "middleware", "testdata", "clock-skew-test-cases.json")))(t)
	defer file.Close()
	var cases awsSkewCases
	if err := json.NewDecoder(file).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	if len(cases.Tests) != 10 {
		t.Fatalf("%d cases, want AWS's 10", len(cases.Tests))
	}
	return cases.Tests
}

// An awsReplay is AWS's client and AWS's service: it signs and answers as an operation has it, and its clock is the client's.
type awsReplay struct {
	source *clock.Source
	now    time.Time

	attempts []awsSkewAttempt
	signed   []time.Time
	answered int
}

var awsSkewURL = &url.URL{Scheme: "https", Host: "service.us-east-1.amazonaws.com"}

// newAWSReplay starts with what so many answers have said.
func newAWSReplay(t *testing.T, o clock.Options, first awsSkewOperation, answers int) *awsReplay {
	t.Helper()
	r := &awsReplay{now: first.Attempts[0].ClientTimeAtSend}
	r.source = clock.NewSource(clock.Func(func() time.Time { return r.now }), o)
	for range answers {
		date := r.now.Add(first.InitialClientSkew.duration()).Format(http.TimeFormat)
		if v := r.source.Observe(clock.Observation{URL: awsSkewURL, Sent: r.now, Received: r.now, Status: 200, Header: http.Header{"Date": {date}}}); v != clock.Accepted {
			t.Fatal(v)
		}
	}
	return r
}

func (r *awsReplay) offset() time.Duration {
	_, d := r.source.Read(awsSkewURL.Host)
	return d
}

// do replays an operation, and returns the status of its last answer.
func (r *awsReplay) do(t *testing.T, op awsSkewOperation) int {
	t.Helper()
	r.attempts, r.signed, r.answered = op.Attempts, nil, 0
	r.now = op.Attempts[0].ClientTimeAtSend
	req := must(http.NewRequest(http.MethodPost, awsSkewURL.String(), strings.NewReader("body")))(t)
	if op.MaxAttempts == 1 {
		req.GetBody = nil
	}
	resp := must(signer.Transport{Signer: r, Clock: r.source, Base: r}.RoundTrip(req))(t)
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// Sign is a signer's, which signs nothing and notes the time.
func (r *awsReplay) Sign(_ context.Context, req *http.Request) error {
	if len(r.signed) == len(r.attempts) {
		return errors.New("signs once more than the case does")
	}
	r.now = r.attempts[len(r.signed)].ClientTimeAtSend
	now, _ := r.source.Read(clock.Authority(req.URL))
	r.signed = append(r.signed, now)
	return nil
}

func (r *awsReplay) RoundTrip(req *http.Request) (*http.Response, error) {
	a := r.attempts[r.answered]
	r.answered++
	r.now = a.ClientTimeAtReceive
	resp := &http.Response{StatusCode: a.Response.StatusCode, Header: make(http.Header), Body: http.NoBody, Request: req}
	for name, value := range a.Response.Headers {
		resp.Header.Set(name, value)
	}
	if a.Response.ErrorCode != "" {
		resp.Body = io.NopCloser(strings.NewReader("<Error><Code>" + a.Response.ErrorCode + "</Code></Error>"))
	}
	return resp, nil
}

// awsByDefault is where a Source with the default Options ends elsewhere than AWS's SDKs: by case and operation, its
// correction, and how many more of the same answers it takes to come to theirs.
var awsByDefault = map[string]struct {
	offset time.Duration
	more   int
	why    string
}{
	"2.1": {301500 * time.Millisecond, 0, middleOfAnswer},
	"2.2": {301500 * time.Millisecond, 0, middleOfAnswer},
	"3.1": {301500 * time.Millisecond, 0, middleOfAnswer},
	"4.2": {0, 1, "one answer alone, which refuses nothing for its time"},
	"5.1": {300500 * time.Millisecond, 2, "two answers said 5 min: one that contradicts is outvoted"},
	"6.1": {0, 1, "one answer alone: a mismatch is blamed on the time from 4 min on"},
	"7.1": {301500 * time.Millisecond, 0, middleOfAnswer},
	"9.2": {0, 1, "one answer alone, which refuses nothing for its time"},
}

const middleOfAnswer = "half of the 2 s that it took, and half of Date's second"

// TestAWSSkewCases replays AWS's cases. A Source made to do as AWS's SDKs do must sign as they, retry as they and end as they.
// The same cases with the default Options show the difference, which is none in what succeeds and in how often it is tried.
func TestAWSSkewCases(t *testing.T) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "operation\tAWS's case\tattempts\tAWS's skew\tas AWS\tby default\tmore answers\twhy")
	differ := 0
	for i, c := range loadAWSSkewCases(t) {
		t.Run(c.Description, func(t *testing.T) {
			answers := 0
			if c.Operations[0].InitialClientSkew != 0 {
				answers = 1
			}
			likeAWS := newAWSReplay(t, clock.Options{Newest: true, Threshold: -1, MaxWidth: 15*time.Minute + 1500*time.Millisecond}, c.Operations[0], answers)
			byDefault := newAWSReplay(t, clock.Options{}, c.Operations[0], 2*answers)
			for n, op := range c.Operations {
				name, want := fmt.Sprint(i+1, ".", n+1), op.ExpectedClientSkew.duration()
				if got := likeAWS.offset(); got != op.InitialClientSkew.duration() {
					t.Fatalf("operation %s begins with %v, want %v", name, got, op.InitialClientSkew.duration())
				}
				status := likeAWS.do(t, op)
				for i, got := range likeAWS.signed {
					if want := op.Attempts[i].ExpectedSigningTime; !got.Equal(want) {
						t.Errorf("operation %s, attempt %d: signed at %v, want %v", name, i+1, got, want)
					}
				}
				e := likeAWS.source.Estimate(awsSkewURL.Host)
				if now, d := likeAWS.source.Read(awsSkewURL.Host); d != want || e.Offset != want || !now.Equal(likeAWS.now.Add(want)) {
					t.Errorf("operation %s ends with %v, %v and %+v, want %v", name, now, d, e, want)
				}
				replays := []*awsReplay{likeAWS, byDefault}
				for j, got := range []int{status, byDefault.do(t, op)} {
					if (got == http.StatusOK) != (op.ExpectedOutcome == "success") || replays[j].answered != len(op.Attempts) || len(replays[j].signed) != len(op.Attempts) {
						t.Errorf("operation %s, by default %v: %d after %d attempts, want %s after %d", name, j == 1, got, replays[j].answered, op.ExpectedOutcome, len(op.Attempts))
					}
				}

				d, other := awsByDefault[name]
				if other {
					differ++
				} else {
					d.offset = want
				}
				got, more := byDefault.offset(), 0
				if got != d.offset {
					t.Errorf("operation %s, by default: %v, want %v", name, got, d.offset)
				}
				again := newAWSReplay(t, clock.Options{}, c.Operations[0], 2*answers)
				for _, op := range c.Operations[:n+1] {
					again.do(t, op)
				}
				for last := op.Attempts[len(op.Attempts)-1:]; more < 8 && (again.offset()-want).Abs() > 2*time.Second; more++ {
					again.do(t, awsSkewOperation{Attempts: last})
				}
				if more != d.more {
					t.Errorf("operation %s, by default: takes %d more answers, want %d", name, more, d.more)
				}
				fmt.Fprintf(w, "%s\t%.50s\t%d\t%v\t%v\t%v\t%d\t%s\n", name, c.Description, len(op.Attempts), want, likeAWS.offset(), got, more, cmp.Or(d.why, "the same"))
			}
		})
	}
	w.Flush()
	t.Log("\n" + table.String())
	if differ != len(awsByDefault) {
		t.Errorf("%d operations differ by default, of %d that should", differ, len(awsByDefault))
	}
}
