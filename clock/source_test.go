package clock_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

const (
	awsURL   = "https://s3.eu-west-1.amazonaws.com/b/k"
	gcsURL   = "https://storage.googleapis.com/b/k"
	azureURL = "https://account.blob.core.windows.net/c/b"
	minioURL = "https://minio.example.com/b/k"
)

// A world has a machine, whose clock a test moves, and servers that are ahead of it.
type world struct{ now time.Time }

func newWorld() *world { return &world{time.Date(2026, 11, 26, 12, 0, 0, 300_000_000, time.UTC)} }

func (w *world) Now() time.Time { return w.now }

// answer is what a server at rawURL, ahead by skew, says to a request that takes 80 ms; edits change it.
func (w *world) answer(rawURL string, skew time.Duration, edits ...func(*clock.Observation)) clock.Observation {
	u, err := url.Parse(rawURL)
	if err != nil {
		panic(err)
	}
	sent := w.now
	date := w.now.Add(40*time.Millisecond + skew)
	w.now = w.now.Add(80 * time.Millisecond)
	o := clock.Observation{URL: u, Sent: sent, Received: w.now, Status: http.StatusOK, Header: http.Header{"Date": {date.UTC().Format(http.TimeFormat)}}}
	for _, edit := range edits {
		edit(&o)
	}
	return o
}

// refused makes an answer a refusal with this body.
func refused(body string) func(*clock.Observation) {
	return func(o *clock.Observation) { o.Status, o.Body = http.StatusForbidden, []byte(body) }
}

func xml(code, message, more string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>` + "\n<Error><Code>" + code + "</Code><Message>" + message + "</Message>" + more + "</Error>"
}

// learn has a Source see n ordinary answers of a server, some two seconds apart.
func (w *world) learn(t *testing.T, s *clock.Source, rawURL string, skew time.Duration, n int) {
	t.Helper()
	for range n {
		if v := s.Observe(w.answer(rawURL, skew)); v != clock.Accepted {
			t.Fatalf("an ordinary answer of %s: %v", rawURL, v)
		}
		w.now = w.now.Add(1730 * time.Millisecond)
	}
}

func offsetAt(s *clock.Source, authority string) time.Duration {
	_, offset := s.Read(authority)
	return offset
}

// near reports whether a correction is what it should be, to the second of a Date.
func near(got, want time.Duration) bool { return (got - want).Abs() < time.Second }

func TestTwoAnswersMustAgree(t *testing.T) {
	w := newWorld()
	s := clock.NewSource(w, clock.Options{})
	w.learn(t, s, awsURL, time.Hour, 1)
	if got := offsetAt(s, "s3.eu-west-1.amazonaws.com"); got != 0 {
		t.Errorf("one answer corrects by %v", got)
	}
	w.learn(t, s, awsURL, time.Hour, 1)
	got := offsetAt(s, "s3.eu-west-1.amazonaws.com")
	if !near(got, time.Hour) {
		t.Errorf("two answers correct by %v", got)
	}
	now, _ := s.Read("s3.eu-west-1.amazonaws.com")
	if at := s.At("S3.eu-west-1.amazonaws.com").Now(); !at.Equal(now) || !now.Equal(w.now.Add(got)) {
		t.Errorf("Read tells %v and At %v; the machine's is %v, the correction %v", now, at, w.now, got)
	}
	e := s.Estimate("s3.eu-west-1.amazonaws.com")
	if e.Samples != 2 || e.Low > time.Hour || e.High < time.Hour || e.Offset != got {
		t.Errorf("estimate %+v", e)
	}
}

// The estimate gets narrower with every answer whose second begins elsewhere, and wider with time: 100 ppm of it.
func TestEstimateNarrowsAndAges(t *testing.T) {
	w := newWorld()
	s := clock.NewSource(w, clock.Options{})
	width := func() time.Duration {
		e := s.Estimate("minio.example.com")
		return e.High - e.Low
	}
	w.learn(t, s, minioURL, 7*time.Minute, 2)
	two := width()
	for range 6 {
		w.learn(t, s, minioURL, 7*time.Minute, 1)
		w.now = w.now.Add(130 * time.Millisecond)
	}
	eight := width()
	if eight >= two || two > 1700*time.Millisecond {
		t.Errorf("the bounds are %v apart after 2 answers, and %v after 8", two, eight)
	}
	w.now = w.now.Add(50 * time.Minute)
	if got := width() - eight; got != 2*50*time.Minute/10_000 {
		t.Errorf("50 minutes widen the bounds by %v", got)
	}
}

// A machine that may be right is not corrected, and a correction ends when the machine may be right again.
func TestHysteresis(t *testing.T) {
	w := newWorld()
	changes := 0
	s := clock.NewSource(w, clock.Options{OnChange: func(clock.Change) { changes++ }})
	at := func() time.Duration { return offsetAt(s, "minio.example.com") }
	w.learn(t, s, minioURL, 1900*time.Millisecond, 20)
	if at() != 0 {
		t.Errorf("1.9 s, which is below the threshold, is corrected by %v", at())
	}
	w.learn(t, s, minioURL, 4*time.Second, 20)
	on := at()
	if !near(on, 4*time.Second) {
		t.Errorf("4 s are corrected by %v", on)
	}
	before := changes
	w.learn(t, s, minioURL, 4*time.Second-200*time.Millisecond, 20)
	if at() != on || changes != before {
		t.Errorf("200 ms less, within the dead band, move the correction from %v to %v", on, at())
	}
	w.learn(t, s, minioURL, 1900*time.Millisecond, 20)
	if !near(at(), 1900*time.Millisecond) {
		t.Errorf("1.9 s, while a correction is in force, are corrected by %v", at())
	}
	w.learn(t, s, minioURL, 0, 20)
	if at() != 0 {
		t.Errorf("the machine is right again, and still corrected by %v", at())
	}
}

// A refusal for the time counts alone, with what the body says, and what contradicts it is forgotten.
func TestRefusalCountsAlone(t *testing.T) {
	iso := func(skew time.Duration, w *world) string {
		return w.now.Add(skew).UTC().Format("2006-01-02T15:04:05.000Z")
	}
	date := func(skew time.Duration, w *world) string { return w.now.Add(skew).UTC().Format(http.TimeFormat) }
	for _, c := range []struct {
		name, url string
		body      func(skew time.Duration, w *world) string
	}{
		// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
		{"S3, header", awsURL, func(d time.Duration, w *world) string {
			return xml("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", "<ServerTime>"+iso(d, w)+"</ServerTime>")
		}},
		{"S3, expired URL", awsURL, func(d time.Duration, w *world) string {
			return xml("AccessDenied", "Request has expired", "<ServerTime>"+iso(d, w)+"</ServerTime>")
		}},
		{"S3, URL from the future", awsURL, func(d time.Duration, w *world) string {
			return xml("AccessDenied", "Request is not yet valid", "<ServerTime>"+iso(d, w)+"</ServerTime>")
		}},
		// https://www.alibabacloud.com/help/en/oss/user-guide/0002-00000504
		{"OSS", "https://b.oss-cn-hangzhou.aliyuncs.com/k", func(d time.Duration, w *world) string {
			return xml("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", "<ServerTime>"+iso(d, w)+"</ServerTime>")
		}},
		// https://learn.microsoft.com/en-us/rest/api/storageservices/create-service-sas
		{"Azure, SAS", azureURL, func(d time.Duration, w *world) string {
			return "\ufeff" + xml("AuthenticationFailed", "Server failed to authenticate the request.",
				"<AuthenticationErrorDetail>Signature not valid in the specified time frame: Start [x] - Expiry [y] - Current ["+date(d, w)+"]</AuthenticationErrorDetail>")
		}},
		// https://cloud.google.com/storage/docs/xml-api/reference-status
		{"GCS, no time in the body", gcsURL, func(time.Duration, *world) string {
			return xml("RequestTimeTooSkewed", "The difference between the request time and the server's time is too large.", "")
		}},
	} {
		for _, skew := range []time.Duration{3 * time.Hour, -3 * time.Hour, 20 * time.Minute} {
			w := newWorld()
			s := clock.NewSource(w, clock.Options{})
			w.learn(t, s, c.url, 0, 8) // from before the machine's clock was set
			body := c.body(skew, w)
			if v := s.Observe(w.answer(c.url, skew, refused(body))); v != clock.Accepted {
				t.Errorf("%s: %v", c.name, v)
			}
			u, _ := url.Parse(c.url)
			if got := offsetAt(s, clock.Authority(u)); !near(got, skew) {
				t.Errorf("%s: a machine that is off by %v is corrected by %v", c.name, skew, got)
			}
		}
	}
}

// What the body says goes before Date, which has been seen at 1970 beside a right ServerTime.
//
// https://github.com/aliyun/aliyun-oss-android-sdk/issues/167
func TestBodyBeforeDate(t *testing.T) {
	w := newWorld()
	s := clock.NewSource(w, clock.Options{})
	body := xml("RequestTimeTooSkewed", "", "<ServerTime>"+w.now.Add(time.Hour).UTC().Format("2006-01-02T15:04:05.123Z")+"</ServerTime>")
	epoch := func(o *clock.Observation) { o.Header.Set("Date", "Thu, 01 Jan 1970 00:00:00 GMT") }
	if v := s.Observe(w.answer(minioURL, 0, epoch)); v != clock.Implausible {
		t.Errorf("1970 is %v", v)
	}
	if v := s.Observe(w.answer(minioURL, 0, epoch, refused(body))); v != clock.Accepted || !near(offsetAt(s, "minio.example.com"), time.Hour) {
		t.Errorf("%v, corrected by %v", v, offsetAt(s, "minio.example.com"))
	}
	if e := s.Estimate("minio.example.com"); e.High-e.Low > 600*time.Millisecond {
		t.Errorf("milliseconds in the body, and the bounds are %v apart", e.High-e.Low)
	}
}

// A wrong signature, or a refusal without words, is blamed on the time only beyond 4 minutes.
func TestMismatchCountsBeyondFourMinutes(t *testing.T) {
	head := func(o *clock.Observation) { o.Status = http.StatusForbidden }
	ossHead := func(o *clock.Observation) {
		o.Status = http.StatusForbidden
		o.Header.Set("X-Oss-Err", base64.StdEncoding.EncodeToString([]byte(xml("RequestTimeTooSkewed", "", ""))))
	}
	wrong := refused(xml("SignatureDoesNotMatch", "", ""))
	for _, c := range []struct {
		name string
		edit func(*clock.Observation)
		skew time.Duration
		want bool
	}{
		{"a wrong signature", wrong, 3 * time.Minute, false},
		{"a wrong signature", wrong, -3 * time.Minute, false},
		{"a wrong signature", wrong, 5 * time.Minute, true},
		{"a wrong signature", wrong, -5 * time.Minute, true},
		{"no words", head, 3 * time.Minute, false},
		{"no words", head, 5 * time.Minute, true},
		{"OSS to HEAD", ossHead, 3 * time.Minute, true},
		{"another refusal", refused(xml("AccessDenied", "Access Denied", "")), time.Hour, false},
		{"not found", func(o *clock.Observation) { o.Status = http.StatusNotFound }, time.Hour, false},
		{"a session token that expired", refused(xml("ExpiredToken", "The provided token has expired.", "")), time.Hour, false},
	} {
		w := newWorld()
		s := clock.NewSource(w, clock.Options{})
		s.Observe(w.answer(minioURL, c.skew, c.edit))
		if got := offsetAt(s, "minio.example.com"); (got != 0) != c.want || c.want && !near(got, c.skew) {
			t.Errorf("%s with %v: corrected by %v", c.name, c.skew, got)
		}
	}
}

func TestVerdicts(t *testing.T) {
	w := newWorld()
	var told []clock.Change
	s := clock.NewSource(w, clock.Options{OnChange: func(c clock.Change) { told = append(told, c) }})
	set := func(name, value string) func(*clock.Observation) {
		return func(o *clock.Observation) { o.Header.Set(name, value) }
	}
	for _, c := range []struct {
		o    clock.Observation
		want clock.Verdict
	}{
		{w.answer(minioURL, 0), clock.Accepted},
		{w.answer("http://127.0.0.1:9000/b", 0), clock.Accepted},
		{w.answer("http://[::1]:9000/b", 0), clock.Accepted},
		{w.answer("http://LocalHost/b", 0), clock.Accepted},
		{w.answer("http://minio.example.com/b", 0), clock.Insecure},
		{w.answer("http://127.0.0.1.example.com/b", 0), clock.Insecure},
		{clock.Observation{Header: http.Header{"Date": {w.now.Format(http.TimeFormat)}}}, clock.Insecure},
		{w.answer(minioURL, 0, func(o *clock.Observation) { o.Header = nil }), clock.NoTime},
		{w.answer(minioURL, 0, set("Date", "yesterday")), clock.NoTime},
		{w.answer(minioURL, 0, set("Age", "0")), clock.Cached},
		{w.answer(minioURL, 0, set("Warning", `110 - "Response is Stale"`)), clock.Cached},
		{w.answer(minioURL, 0, func(o *clock.Observation) { o.Status = http.StatusBadGateway }), clock.Gateway},
		{w.answer(minioURL, 0, func(o *clock.Observation) { o.Status = http.StatusGatewayTimeout }), clock.Gateway},
		{w.answer(minioURL, 0, func(o *clock.Observation) { o.Redirected = true }), clock.Redirected},
		{w.answer(minioURL, 0, set("Date", "Wed, 31 Dec 2025 23:59:59 GMT")), clock.Implausible},
		{w.answer(minioURL, 0, func(o *clock.Observation) { o.Sent = o.Received.Add(time.Second) }), clock.Implausible},
		{w.answer(minioURL, 0, func(o *clock.Observation) { o.Sent = o.Received.Add(-8600 * time.Millisecond) }), clock.TooWide},
		{w.answer(minioURL, 0, func(o *clock.Observation) {
			o.Sent, o.Received = o.Sent.Add(-time.Hour), o.Received.Add(-time.Hour)
		}), clock.TooOld},
		{w.answer(minioURL, 23*time.Hour), clock.Accepted},
		{w.answer(minioURL, 24*time.Hour), clock.OutOfBounds},
		{w.answer(minioURL, 20*365*24*time.Hour), clock.OutOfBounds},
		{w.answer(minioURL, -29*24*time.Hour), clock.Accepted},
		{w.answer(minioURL, -30*24*time.Hour), clock.OutOfBounds},
	} {
		if got := s.Observe(c.o); got != c.want {
			t.Errorf("%v of %v: %v, want %v", c.o.Header, c.o.URL, got, c.want)
		}
	}
	if len(told) != 3 || told[0].Why != clock.OutOfBounds || told[1].Authority != "minio.example.com" || told[1].Old != 0 || !near(told[1].New, 20*365*24*time.Hour) {
		t.Errorf("OnChange was told %+v", told)
	}
	off := clock.NewSource(w, clock.Options{Off: true})
	if got := off.Observe(w.answer(minioURL, time.Hour)); got != clock.Off {
		t.Errorf("switched off: %v", got)
	}
}

func TestEveryVerdictHasAText(t *testing.T) {
	seen := map[string]bool{}
	for v := clock.Accepted; v <= clock.Stepped; v++ {
		if text := v.String(); text == "" || text == "no verdict" || seen[text] {
			t.Errorf("verdict %d is %q", int(v), text)
		} else {
			seen[text] = true
		}
	}
	for _, v := range []clock.Verdict{0, -1, clock.Stepped + 1} {
		if v.String() != "no verdict" {
			t.Errorf("verdict %d is %q", int(v), v)
		}
	}
}

// Buckets are subdomains: what one says is known at the endpoint, but not at another bucket, another endpoint or another
// port, and an address has no domains.
func TestAuthorities(t *testing.T) {
	for _, c := range []struct {
		url, authority string
		want           bool
	}{
		{"https://photos.s3.eu-west-1.amazonaws.com/k", "s3.eu-west-1.amazonaws.com", true},
		{"https://photos.s3.eu-west-1.amazonaws.com:443/k", "photos.s3.eu-west-1.amazonaws.com", true},
		{"https://Photos.S3.eu-west-1.amazonaws.com/k", "photos.s3.eu-west-1.amazonaws.com", true},
		{"https://photos.s3.eu-west-1.amazonaws.com/k", "docs.s3.eu-west-1.amazonaws.com", false},
		{"https://s3.eu-west-1.amazonaws.com/k", "photos.s3.eu-west-1.amazonaws.com", false},
		{"https://photos.s3.eu-west-1.amazonaws.com/k", "s3.us-east-1.amazonaws.com", false},
		{"https://photos.s3.eu-west-1.amazonaws.com/k", "3.eu-west-1.amazonaws.com", false},
		{"https://minio.example.com:9000/b", "minio.example.com:9000", true},
		{"https://b.minio.example.com:9000/k", "minio.example.com:9000", true},
		{"https://minio.example.com:9000/b", "minio.example.com", false},
		{"http://127.0.0.1:9000/b", "127.0.0.1:9000", true},
		{"http://127.0.0.1:9000/b", "0.0.1:9000", false},
		{"http://[::1]:9000/b", "[::1]:9000", true},
		{"http://localhost:80/b", "localhost", true},
		{"http://b.localhost:9000/k", "localhost:9000", false}, // no loopback name: http from another machine
	} {
		w := newWorld()
		s := clock.NewSource(w, clock.Options{})
		for range 2 {
			s.Observe(w.answer(c.url, time.Hour))
		}
		if got := offsetAt(s, c.authority) != 0; got != c.want {
			t.Errorf("%s knows of %s: %v", c.authority, c.url, got)
		}
	}
}

// The shared time takes two providers, each with one vote, by https.
func TestVoters(t *testing.T) {
	const (
		aws2  = "https://photos.s3.us-east-1.amazonaws.com/k"
		oss   = "https://b.oss-cn-hangzhou.aliyuncs.com/k"
		plain = "http://127.0.0.1:9000/b"
	)
	type vote struct {
		url  string
		skew time.Duration
	}
	for _, c := range []struct {
		name    string
		options clock.Options
		votes   []vote
		want    time.Duration
	}{
		{"one provider", clock.Options{}, []vote{{awsURL, time.Hour}}, 0},
		{"one provider twice", clock.Options{}, []vote{{awsURL, time.Hour}, {aws2, time.Hour}}, 0},
		{"two providers", clock.Options{}, []vote{{awsURL, time.Hour}, {gcsURL, time.Hour}}, time.Hour},
		{"two that disagree", clock.Options{}, []vote{{awsURL, time.Hour}, {gcsURL, 2 * time.Hour}}, 0},
		{"a majority", clock.Options{}, []vote{{awsURL, time.Hour}, {gcsURL, 2 * time.Hour}, {azureURL, time.Hour}}, time.Hour},
		{"two of four", clock.Options{}, []vote{{awsURL, time.Hour}, {gcsURL, 2 * time.Hour}, {azureURL, 3 * time.Hour}, {oss, time.Hour}}, 0},
		{"a provider and a stranger", clock.Options{}, []vote{{awsURL, time.Hour}, {minioURL, time.Hour}}, 0},
		{"strangers", clock.Options{}, []vote{{minioURL, time.Hour}, {"https://minio.example.org/b", time.Hour}}, 0},
		{"strangers who were named", clock.Options{Voters: []string{"minio.example.com", "Example.org"}}, []vote{{minioURL, time.Hour}, {"https://minio.example.org/b", time.Hour}}, time.Hour},
		{"two hosts of one name", clock.Options{Voters: []string{"a.example.com", "b.example.com"}}, []vote{{"https://a.example.com/b", time.Hour}, {"https://b.example.com/b", time.Hour}}, 0},
		{"two names below co.uk", clock.Options{Voters: []string{"a.co.uk", "b.co.uk"}}, []vote{{"https://s3.a.co.uk/b", time.Hour}, {"https://s3.b.co.uk/b", time.Hour}}, time.Hour},
		{"a name that only ends alike", clock.Options{}, []vote{{awsURL, time.Hour}, {"https://evilgoogleapis.com/b", time.Hour}}, 0},
		{"addresses that were named", clock.Options{Voters: []string{"192.0.2.1", "198.51.2.1"}}, []vote{{"https://192.0.2.1/b", time.Hour}, {"https://198.51.2.1/b", time.Hour}}, time.Hour},
		{"http, though it is believed", clock.Options{PlainHTTP: true, Voters: []string{"127.0.0.1:9000", "amazonaws.com"}}, []vote{{awsURL, time.Hour}, {plain, time.Hour}}, 0},
		{"nobody votes", clock.Options{Voters: []string{}}, []vote{{awsURL, time.Hour}, {gcsURL, time.Hour}}, 0},
	} {
		w := newWorld()
		s := clock.NewSource(w, c.options)
		for _, v := range c.votes {
			for range 2 {
				s.Observe(w.answer(v.url, v.skew))
			}
		}
		_, shared := s.Read("never.heard.of.example")
		if !near(shared, c.want) || !s.Now().Equal(w.now.Add(shared)) || s.Estimate("").Offset != shared {
			t.Errorf("%s: the shared time is corrected by %v, want %v", c.name, shared, c.want)
		}
		if _, own := s.Read("minio.example.com"); c.votes[len(c.votes)-1].url == minioURL && !near(own, time.Hour) {
			t.Errorf("%s: a stranger's own time is corrected by %v", c.name, own)
		}
	}
}

// What is known about an authority goes before the shared time, and lasts as long as its answers count.
func TestAge(t *testing.T) {
	w := newWorld()
	s := clock.NewSource(w, clock.Options{MaxAge: 10 * time.Minute})
	at := func() time.Duration { return offsetAt(s, "minio.example.com").Round(time.Hour) }
	w.learn(t, s, minioURL, 2*time.Hour, 2)
	w.now = w.now.Add(5 * time.Minute)
	w.learn(t, s, awsURL, time.Hour, 2)
	w.now = w.now.Add(time.Minute)
	w.learn(t, s, gcsURL, time.Hour, 2)
	if at() != 2*time.Hour {
		t.Errorf("its own time: corrected by %v", at())
	}
	w.now = w.now.Add(4 * time.Minute)
	if at() != time.Hour {
		t.Errorf("its own answers are too old: corrected by %v", at())
	}
	if e := s.Estimate("minio.example.com"); e.Samples != 2 || e.Offset.Round(time.Hour) != time.Hour {
		t.Errorf("its own answers are too old: %+v", e)
	}
	w.now = w.now.Add(4*time.Minute + 55*time.Second)
	if at() != 0 || s.Estimate("") != (clock.Estimate{}) {
		t.Errorf("the second vote is too old: corrected by %v, %+v", at(), s.Estimate(""))
	}
}

// One wrong server of three behind a name is outvoted. Of two, none is believed more than the other, and a mean of both by
// no means.
func TestMajorityOfAnswers(t *testing.T) {
	w := newWorld()
	s := clock.NewSource(w, clock.Options{})
	for n := range 30 {
		skew := time.Duration(0)
		if n%3 == 1 {
			skew = time.Hour
		}
		w.learn(t, s, minioURL, skew, 1)
		if got := offsetAt(s, "minio.example.com"); got != 0 {
			t.Fatalf("after %d answers: corrected by %v", n+1, got)
		}
	}
	changes := 0
	s = clock.NewSource(w, clock.Options{OnChange: func(clock.Change) { changes++ }})
	for n := range 100 {
		w.learn(t, s, minioURL, time.Hour*time.Duration(1+n%2), 1)
		if got := offsetAt(s, "minio.example.com"); got != 0 && !near(got, time.Hour) && !near(got, 2*time.Hour) {
			t.Fatalf("after %d answers: corrected by %v", n+1, got)
		}
	}
	if changes > 1 {
		t.Errorf("%d changes", changes)
	}
}

// Where two regions have as many answers, the truth may be in either.
func TestEqualRegions(t *testing.T) {
	w := newWorld()
	w.now = w.now.Truncate(time.Second)
	s := clock.NewSource(w, clock.Options{})
	for _, skew := range []time.Duration{time.Minute, 61 * time.Second, 62 * time.Second} {
		s.Observe(clock.Observation{URL: &url.URL{Scheme: "https", Host: "minio.example.com"}, Sent: w.now, Received: w.now, Status: 200,
			Header: http.Header{"Date": {w.now.Add(skew).Format(http.TimeFormat)}}})
	}
	e := s.Estimate("minio.example.com")
	if e.Samples != 2 || e.Low != 60750*time.Millisecond || e.High != 62250*time.Millisecond {
		t.Errorf("%+v", e)
	}
}

// A program that talks to everybody remembers the last 256.
func TestAuthoritiesAreBounded(t *testing.T) {
	w := newWorld()
	s := clock.NewSource(w, clock.Options{MaxAge: 24 * time.Hour})
	w.learn(t, s, "https://first.example/b", time.Hour, 2)
	for n := range 400 {
		w.learn(t, s, fmt.Sprintf("https://10.0.%d.%d/b", n/200, n%200), time.Hour, 2)
		if n%100 == 0 {
			s.Observe(w.answer(minioURL, time.Hour))
		}
	}
	if e := s.Estimate("first.example"); e.Samples != 0 {
		t.Errorf("the first of 400 is still known: %+v", e)
	}
	for _, known := range []string{"10.0.1.199", "minio.example.com"} {
		if e := s.Estimate(known); e.Samples < 2 {
			t.Errorf("%s was heard of lately, and is forgotten", known)
		}
	}
}

// A step of the machine's clock is seen by the monotonic one, and everything that was measured before is forgotten.
func TestStep(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, time.Hour, 1100 * time.Millisecond} {
		var shift time.Duration
		base := clock.Func(func() time.Time { return time.Now().Add(shift) })
		var told []clock.Change
		s := clock.NewSource(base, clock.Options{OnChange: func(c clock.Change) { told = append(told, c) }})
		observe := func() clock.Verdict {
			now := base.Now()
			return s.Observe(clock.Observation{URL: &url.URL{Scheme: "https", Host: "minio.example.com"}, Sent: now, Received: now, Status: 200,
				Header: http.Header{"Date": {time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat)}}})
		}
		observe()
		observe()
		if !near(offsetAt(s, "minio.example.com"), 10*time.Minute) {
			t.Fatalf("corrected by %v", offsetAt(s, "minio.example.com"))
		}
		shift += 900 * time.Millisecond // as slewing may do it
		if got := offsetAt(s, "minio.example.com"); !near(got, 10*time.Minute) {
			t.Errorf("0.9 s count as a step: corrected by %v", got)
		}
		shift += step - 900*time.Millisecond
		if got := offsetAt(s, "minio.example.com"); got != 0 {
			t.Errorf("a step of %v, and still corrected by %v", step, got)
		}
		if last := told[len(told)-1]; len(told) != 2 || last.Why != clock.Stepped {
			t.Errorf("OnChange was told %+v", told)
		}
		observe()
		if v := observe(); v != clock.Accepted || !near(offsetAt(s, "minio.example.com"), 10*time.Minute-step) {
			t.Errorf("after a step of %v: %v, corrected by %v", step, v, offsetAt(s, "minio.example.com"))
		}
	}
}

// Observe itself notices the step that nobody has read the clock since.
func TestStepSeenByAnAnswer(t *testing.T) {
	var shift time.Duration
	s := clock.NewSource(clock.Func(func() time.Time { return time.Now().Add(shift) }), clock.Options{})
	u := &url.URL{Scheme: "https", Host: "minio.example.com"}
	now := time.Now()
	o := clock.Observation{URL: u, Sent: now, Received: now, Status: 200, Header: http.Header{"Date": {now.Add(time.Hour).UTC().Format(http.TimeFormat)}}}
	if a, b := s.Observe(o), s.Observe(o); a != clock.Accepted || b != clock.Accepted {
		t.Fatal(a, b)
	}
	shift = time.Hour
	if v := s.Observe(o); v != clock.Stepped {
		t.Errorf("an answer from before the step: %v", v)
	}
	if got := offsetAt(s, "minio.example.com"); got != 0 {
		t.Errorf("corrected by %v", got)
	}
}

func TestOptions(t *testing.T) {
	w := newWorld()
	s := clock.NewSource(w, clock.Options{Threshold: time.Hour, MaxForward: 2 * time.Hour, MaxBackward: -1, MaxWidth: 2 * time.Second})
	w.learn(t, s, minioURL, 50*time.Minute, 3)
	if got := offsetAt(s, "minio.example.com"); got != 0 {
		t.Errorf("50 minutes, with a threshold of an hour, are corrected by %v", got)
	}
	for _, c := range []struct {
		skew, width time.Duration
		want        clock.Verdict
	}{
		{90 * time.Minute, 0, clock.Accepted},
		{2 * time.Hour, 0, clock.OutOfBounds},
		{-time.Minute, 0, clock.OutOfBounds},
		{time.Hour, time.Second, clock.TooWide},
	} {
		if v := s.Observe(w.answer(minioURL, c.skew, func(o *clock.Observation) { o.Sent = o.Sent.Add(-c.width) })); v != c.want {
			t.Errorf("%v, %v wide: %v, want %v", c.skew, c.width, v, c.want)
		}
	}
	if v := clock.NewSource(w, clock.Options{PlainHTTP: true}).Observe(w.answer("http://minio.example.com/b", 0)); v != clock.Accepted {
		t.Errorf("http, which was allowed: %v", v)
	}
}

// The newest answer decides alone, by its arrival, as in AWS's SDKs.
func TestNewest(t *testing.T) {
	w := newWorld()
	s := clock.NewSource(w, clock.Options{Newest: true, Threshold: -1})
	for _, skew := range []time.Duration{time.Hour, 3 * time.Second, -time.Hour, 0, time.Minute} {
		o := w.answer(minioURL, skew)
		s.Observe(o)
		date, _ := http.ParseTime(o.Header.Get("Date"))
		if got := offsetAt(s, "minio.example.com"); got != date.Sub(o.Received) {
			t.Errorf("%v: corrected by %v", skew, got)
		}
	}
}

func TestReadIsFree(t *testing.T) {
	s := learnedSource()
	if offsetAt(s, "minio.example.com") == 0 {
		t.Fatal("nothing was learned")
	}
	if n := testing.AllocsPerRun(100, func() { s.Now(); s.Read("minio.example.com") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Many observe while many read: each reading is the machine's time, or one of the two that were told.
func TestConcurrentUse(t *testing.T) {
	s := clock.NewSource(nil, clock.Options{OnChange: func(clock.Change) {}})
	var group sync.WaitGroup
	for n := range 8 {
		host := fmt.Sprintf("b%d.minio.example.com", n%3)
		group.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(n)))
			for range 300 {
				now := time.Now()
				skew := time.Duration(rnd.IntN(2)) * time.Hour
				s.Observe(clock.Observation{URL: &url.URL{Scheme: "https", Host: host}, Sent: now, Received: now, Status: 200,
					Header: http.Header{"Date": {now.Add(skew).UTC().Format(http.TimeFormat)}}})
			}
		})
		group.Go(func() {
			for range 3000 {
				if got := offsetAt(s, host); got != 0 && !near(got, time.Hour) {
					t.Errorf("corrected by %v", got)
					return
				}
				s.Estimate(strings.TrimPrefix(host, "b0."))
			}
		})
	}
	group.Wait()
}

// learnedSource has learned that minio.example.com is an hour ahead.
func learnedSource() *clock.Source {
	s := clock.NewSource(nil, clock.Options{})
	u := &url.URL{Scheme: "https", Host: "minio.example.com"}
	now := time.Now()
	for range 2 {
		s.Observe(clock.Observation{URL: u, Sent: now, Received: now, Status: 200, Header: http.Header{"Date": {now.Add(time.Hour).UTC().Format(http.TimeFormat)}}})
	}
	return s
}

// BenchmarkNow has what a Source adds to reading the machine's clock, by itself and within a presigned URL.
//
//	go test ./clock -run '^$' -bench Now -count 10
func BenchmarkNow(b *testing.B) {
	var sink time.Time
	source := learnedSource()
	b.Run("machine", func(b *testing.B) {
		for b.Loop() {
			sink = time.Now()
		}
	})
	b.Run("source", func(b *testing.B) {
		for b.Loop() {
			sink = source.Now()
		}
	})
	b.Run("authority", func(b *testing.B) {
		for b.Loop() {
			sink, _ = source.Read("minio.example.com")
		}
	})
	_ = sink
	for _, c := range []struct {
		name  string
		clock clock.Clock
	}{{"presign, machine", nil}, {"presign, source", source}} {
		s, err := s3.New(s3.Config{Region: "eu-west-1", Bucket: "b", Endpoint: &url.URL{Scheme: "https", Host: "minio.example.com"}, Clock: c.clock,
			Credentials: s3.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretKey: signer.NewSecret([]byte("secret"))}})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			var dst []byte
			for b.Loop() {
				if dst, _, err = s.AppendURL(context.Background(), dst[:0], signer.Request{Key: "k", Expires: time.Minute}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func ExampleSource() {
	machine := clock.Fixed(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)) // nil in a program: the machine's clock
	source := clock.NewSource(machine, clock.Options{})

	// source.Transport does this with every answer. These two came from a server that is an hour ahead.
	for range 2 {
		source.Observe(clock.Observation{
			URL:  &url.URL{Scheme: "https", Host: "photos.s3.eu-west-1.amazonaws.com"},
			Sent: machine.Now(), Received: machine.Now(), Status: http.StatusOK,
			Header: http.Header{"Date": {"Thu, 26 Nov 2026 13:00:00 GMT"}},
		})
	}

	now, offset := source.Read("s3.eu-west-1.amazonaws.com") // as a Signer does
	fmt.Println(now.Format(time.TimeOnly), offset.Round(time.Second))
	// Output: 13:00:00 1h0m1s
}
