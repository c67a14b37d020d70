package e2e

import (
	"context"
	"encoding/json"
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
type awsSkewCases struct {
	Tests []struct {
		Description string
		Operations  []struct {
			InitialClientSkew  int64
			MaxAttempts        int
			Attempts           []awsSkewAttempt
			ExpectedClientSkew int64
			ExpectedOutcome    string
		}
	}
}

type awsSkewAttempt struct {
	ClientTimeAtSend, ClientTimeAtReceive, ExpectedSigningTime time.Time
	Response                                                   struct {
		StatusCode int
		Headers    map[string]string
		ErrorCode  string
	}
}

func loadAWSSkewCases(t *testing.T) (cases awsSkewCases) {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	text := must(os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "aws", "middleware", "testdata", "clock-skew-test-cases.json")))(t)
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases.Tests) != 10 {
		t.Fatalf("%d cases, want AWS's 10", len(cases.Tests))
	}
	return cases
}

// awsService replays the attempts of an operation: it moves the client's clock, and answers.
type awsService struct {
	now      time.Time // the client's clock
	attempts []awsSkewAttempt
	done     int
}

func (s *awsService) Now() time.Time { return s.now }

func (s *awsService) RoundTrip(req *http.Request) (*http.Response, error) {
	if s.done == len(s.attempts) {
		return nil, fmt.Errorf("an attempt more than the case has")
	}
	a := s.attempts[s.done]
	s.done++
	s.now = a.ClientTimeAtReceive
	if s.done < len(s.attempts) { // the next one is sent at once
		s.now = s.attempts[s.done].ClientTimeAtSend
	}
	resp := &http.Response{StatusCode: a.Response.StatusCode, Header: make(http.Header), Body: http.NoBody, Request: req}
	for name, value := range a.Response.Headers {
		resp.Header.Set(name, value)
	}
	if a.Response.ErrorCode != "" {
		resp.Body = io.NopCloser(strings.NewReader("<Error><Code>" + a.Response.ErrorCode + "</Code></Error>"))
	}
	return resp, nil
}

// signingTimes records when requests were signed.
type signingTimes struct {
	source *clock.Source
	signed []time.Time
}

func (s *signingTimes) Sign(_ context.Context, req *http.Request) error {
	now, _ := s.source.Read(clock.Authority(req.URL))
	s.signed = append(s.signed, now)
	return nil
}

// TestAWSSkewCases replays AWS's cases as AWS means them, with Options.Newest, where all must come out exactly. A Source with
// the default Options listens, and the table says what differs: one answer alone changes nothing, and the second is whole.
func TestAWSSkewCases(t *testing.T) {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	if testing.Verbose() {
		defer table.Flush()
	}
	fmt.Fprintln(table, "AWS's case\toperation\tskew wanted\tas AWS's SDKs\tby default")
	for _, c := range loadAWSSkewCases(t).Tests {
		t.Run(c.Description, func(t *testing.T) {
			service := &awsService{now: c.Operations[0].Attempts[0].ClientTimeAtSend}
			like := clock.NewSource(service, clock.Options{Newest: true, Threshold: -1, MaxWidth: 15 * time.Minute})
			ours := clock.NewSource(service, clock.Options{})
			u := &url.URL{Scheme: "https", Host: "service.us-east-1.amazonaws.com"}
			offset := func(s *clock.Source) time.Duration {
				_, d := s.Read(u.Host)
				return d
			}
			for n, op := range c.Operations {
				service.now, service.attempts, service.done = op.Attempts[0].ClientTimeAtSend, op.Attempts, 0
				if n == 0 && op.InitialClientSkew != 0 {
					told := service.now.Add(time.Duration(op.InitialClientSkew) * time.Second)
					like.Observe(clock.Observation{URL: u, Sent: service.now, Received: service.now, Status: 200, Header: http.Header{"Date": {told.Format(http.TimeFormat)}}})
				}
				if got := offset(like); got != time.Duration(op.InitialClientSkew)*time.Second {
					t.Fatalf("operation %d begins with %v, want %d s", n, got, op.InitialClientSkew)
				}
				times := &signingTimes{source: like}
				req := must(http.NewRequest(http.MethodPost, u.String(), strings.NewReader("body")))(t)
				if op.MaxAttempts == 1 {
					req.GetBody = nil
				}
				resp := must(signer.Transport{Signer: times, Clock: like, Base: ours.Transport(service)}.RoundTrip(req))(t)
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if got, want := resp.StatusCode == 200, op.ExpectedOutcome == "success"; got != want || service.done != len(op.Attempts) {
					t.Errorf("operation %d: %d after %d attempts, want %s after %d", n, resp.StatusCode, service.done, op.ExpectedOutcome, len(op.Attempts))
				}
				for i, a := range op.Attempts[:min(len(op.Attempts), len(times.signed))] {
					if !times.signed[i].Equal(a.ExpectedSigningTime) {
						t.Errorf("operation %d, attempt %d: signed at %v, want %v", n, i, times.signed[i], a.ExpectedSigningTime)
					}
				}
				want := time.Duration(op.ExpectedClientSkew) * time.Second
				if got := offset(like); got != want {
					t.Errorf("operation %d ends with %v, want %v", n, got, want)
				}
				fmt.Fprintf(table, "%.70s\t%d\t%v\t%v\t%v\n", c.Description, n+1, want, offset(like), offset(ours))
			}
		})
	}
}
