package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/gcs/iam"
	"github.com/cloudsigner/cloudsigner/signer"
)

const (
	ambient = "web@demo-project.iam.gserviceaccount.com"
	other   = "uploads@demo-project.iam.gserviceaccount.com"
	bucket  = "photos"
)

// A tour is a caller of the service: it goes through the steps and writes down what happens. It prints no URL's query.
type tour struct {
	google   *standIn
	service  *http.Server
	base     string // of the service
	verifier *gcs.Verifier
	now      time.Time // of the service, whose clock stands still so that the calls can be counted
	log      lockedBuffer
	out      io.Writer
	steps    int
}

// newTour starts the stand-in, and the service against it.
func newTour(ctx context.Context, out io.Writer) (*tour, error) {
	google, err := startStandIn(ambient, other)
	if err != nil {
		return nil, err
	}
	t := &tour{google: google, out: out, now: time.Now()}
	if err := t.start(ctx); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *tour) start(ctx context.Context) error {
	email, err := iam.MetadataEmail(ctx, nil, t.google.host)
	if err != nil {
		return err
	}
	s, err := newService(serviceConfig{bucket: bucket, ambient: email, as: []string{other}, metadata: t.google.host, iam: t.google.url(""),
		clock: clock.Fixed(t.now), log: &t.log})
	if err != nil {
		return err
	}
	keys, err := gcs.PublicKeys(gcs.PublicKeysConfig{Endpoint: t.google.url("/service_accounts/v1/metadata/jwk/")})
	if err != nil {
		return err
	}
	if t.verifier, err = gcs.NewVerifier(gcs.VerifierConfig{Accounts: []string{ambient, other}, Keys: keys}); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	t.base = "http://" + l.Addr().String()
	t.service = newServer(only(l.Addr().String(), s))
	go t.service.Serve(l)
	return nil
}

func (t *tour) close() {
	if t.service != nil {
		t.service.Close()
	}
	t.google.server.Close()
}

// all takes every step and stops at the first that does not do as it says.
func (t *tour) all(ctx context.Context) error {
	fmt.Fprintf(t.out, "cloudsigner keyless: bucket %s, the service at %s, the stand-in for Google at http://%s\n", bucket, t.base, t.google.host)
	for _, step := range [...]func(context.Context) error{
		t.whoAmI, t.signed, t.tamper, t.crowd, t.roleMissing, t.roleGranted, t.stranger, t.quota, t.passingDenial, t.slow, t.thirteenHours,
	} {
		t.steps++
		t.google.plays()
		err := step(ctx)
		if err == nil {
			err = t.google.wrong()
		}
		if err != nil {
			return fmt.Errorf("step %d: %w", t.steps, signer.RedactError(err))
		}
	}
	return nil
}

func (t *tour) say(title string) { fmt.Fprintf(t.out, "\n%d. %s\n", t.steps, title) }

func (t *tour) note(name, format string, args ...any) {
	fmt.Fprintf(t.out, "   %-9s %s\n", name, fmt.Sprintf(format, args...))
}

// calls expects that signBlob was called n times in this step.
func (t *tour) calls(n int) error {
	if got := t.google.counted(); got != n {
		return fmt.Errorf("signBlob was called %d times, and %d were to be", got, n)
	}
	t.note("calls", "%d of signBlob", n)
	return nil
}

// A link is what the service answers.
type link struct {
	Method, URL string
	Headers     map[string]string
	ExpiresAt   time.Time
}

// ask posts a form to the service, of pairs of a name and a value. refused is the text of an answer other than 200.
func (t *tour) ask(ctx context.Context, pairs ...string) (l link, status int, refused string, err error) {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.base+"/sign", strings.NewReader(form.Encode()))
	if err != nil {
		return l, 0, "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return l, 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(body, &l)
	} else {
		refused = strings.TrimSpace(string(body))
	}
	return l, resp.StatusCode, refused, err
}

// granted asks, and expects a URL.
func (t *tour) granted(ctx context.Context, pairs ...string) (link, error) {
	l, status, refused, err := t.ask(ctx, pairs...)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the service was to sign, and answers %d: %s (its log: %s)", status, refused, t.log.String())
	}
	return l, err
}

// denied asks, and expects no URL but this status, and why.
func (t *tour) denied(ctx context.Context, want int, why string, pairs ...string) error {
	_, status, refused, err := t.ask(ctx, pairs...)
	switch {
	case err != nil:
		return err
	case status != want || !strings.Contains(refused, why):
		return fmt.Errorf("the service was to answer %d (%s), and answers %d: %s", want, why, status, refused)
	}
	t.note("refused", "%d: %s", status, refused)
	return nil
}

// verified holds a URL to the public keys of the account that was to sign it, as Google would.
func (t *tour) verified(ctx context.Context, l link, account, object string) error {
	req, err := http.NewRequestWithContext(ctx, l.Method, l.URL, nil)
	if err != nil {
		return err
	}
	g, err := t.verifier.Verify(ctx, req)
	if err != nil {
		return fmt.Errorf("the URL does not verify: %w", err)
	}
	if g.KeyID != account || g.Bucket != bucket || g.Key != object || g.Method != l.Method || !g.ExpiresAt.Equal(l.ExpiresAt) {
		return fmt.Errorf("the URL grants something else: %s %s/%s by %s until %v", g.Method, g.Bucket, g.Key, g.KeyID, g.ExpiresAt)
	}
	place, _, _ := strings.Cut(l.URL, "?")
	t.note("signed", "%s %s?REDACTED until %s", l.Method, place, l.ExpiresAt.UTC().Format(time.RFC3339))
	t.note("verified", "%s %s/%s, signed by %s", g.Method, g.Bucket, g.Key, g.KeyID)
	return nil
}

func (t *tour) whoAmI(ctx context.Context) error {
	t.say("The account that the service runs as, from the metadata server")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.base+"/", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(string(body)); got != ambient {
		return fmt.Errorf("it says %q", got)
	}
	t.note("account", "%s", ambient)
	return nil
}

func (t *tour) signed(ctx context.Context) error {
	t.say("A URL signed as that account, whose key stays with IAM")
	l, err := t.granted(ctx, "object", "2026/cat.jpg", "for", "15m")
	if err != nil {
		return err
	}
	return errors.Join(t.verified(ctx, l, ambient, "2026/cat.jpg"), t.calls(1))
}

func (t *tour) tamper(ctx context.Context) error {
	t.say("The same URL, changed to another object's name")
	l, err := t.granted(ctx, "object", "2026/cat.jpg", "for", "15m")
	if err != nil {
		return err
	}
	l.URL = strings.Replace(l.URL, "cat.jpg", "dog.jpg", 1)
	req, err := http.NewRequestWithContext(ctx, l.Method, l.URL, nil)
	if err != nil {
		return err
	}
	if _, err := t.verifier.Verify(ctx, req); !errors.Is(err, signer.ErrMismatch) {
		return fmt.Errorf("it was to be refused, and the verifier says %v", err)
	}
	t.note("refused", "it is not what was signed")
	return t.calls(0) // the URL is kept
}

func (t *tour) crowd(ctx context.Context) error {
	const many = 50
	t.say(fmt.Sprintf("%d callers who want one URL at the same time", many))
	first := play{hold: make(chan struct{}), begun: make(chan struct{}), left: make(chan struct{})}
	t.google.plays(first)
	links, errs := make([]link, many), make([]error, many)
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() { links[i], errs[i] = t.granted(ctx, "object", "crowd.jpg", "for", "15m") })
	}
	select {
	case <-first.begun:
	case <-ctx.Done():
	}
	close(first.hold)
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, l := range links {
		if l.URL != links[0].URL {
			return errors.New("two of them got different URLs")
		}
	}
	return errors.Join(t.verified(ctx, links[0], ambient, "crowd.jpg"), t.calls(1))
}

func (t *tour) roleMissing(ctx context.Context) error {
	t.say("As another account, on which the service has no role yet")
	before := t.log.String()
	if err := t.denied(ctx, http.StatusBadGateway, "the service's log says why", "object", "in/new.jpg", "method", "PUT", "for", "15m", "as", other); err != nil {
		return err
	}
	logged := strings.TrimSpace(strings.TrimPrefix(t.log.String(), before))
	if want := "gcloud iam service-accounts add-iam-policy-binding " + other; !strings.Contains(logged, want) || !strings.Contains(logged, "roles/iam.serviceAccountTokenCreator") {
		return fmt.Errorf("the log does not say what to do: %s", logged)
	}
	t.note("log", "%s", logged)
	return t.calls(2) // a denial may pass: it is asked once more
}

func (t *tour) roleGranted(ctx context.Context) error {
	t.say("The same, when the role is granted")
	t.google.grant(other)
	l, err := t.granted(ctx, "object", "in/new.jpg", "method", "PUT", "for", "15m", "as", other)
	if err != nil {
		return err
	}
	return errors.Join(t.verified(ctx, l, other, "in/new.jpg"), t.calls(1))
}

func (t *tour) stranger(ctx context.Context) error {
	t.say("As an account that the service was not told to offer")
	return errors.Join(
		t.denied(ctx, http.StatusForbidden, "not an account", "object", "x", "for", "15m", "as", "admin@demo-project.iam.gserviceaccount.com"),
		t.calls(0))
}

func (t *tour) quota(ctx context.Context) error {
	t.say("IAM has had too many requests, and says when to come back")
	t.google.plays(play{status: http.StatusTooManyRequests, retryAfter: "1"})
	start := time.Now()
	l, err := t.granted(ctx, "object", "quota.jpg", "for", "15m")
	if err != nil {
		return err
	}
	if took := time.Since(start); took < time.Second {
		return fmt.Errorf("it came back after %v, and not after a second", took)
	}
	return errors.Join(t.verified(ctx, l, ambient, "quota.jpg"), t.calls(2))
}

func (t *tour) passingDenial(ctx context.Context) error {
	t.say("IAM denies the permission once, as it happens under load")
	t.google.plays(play{status: http.StatusForbidden})
	l, err := t.granted(ctx, "object", "denial.jpg", "for", "15m")
	if err != nil {
		return err
	}
	return errors.Join(t.verified(ctx, l, ambient, "denial.jpg"), t.calls(2))
}

func (t *tour) slow(ctx context.Context) error {
	t.say("IAM is slow, and the caller does not wait")
	held := play{hold: make(chan struct{}), begun: make(chan struct{}), left: make(chan struct{})}
	t.google.plays(held)
	impatient, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-held.begun:
			cancel()
		case <-impatient.Done():
		}
	}()
	if _, _, _, err := t.ask(impatient, "object", "slow.jpg", "for", "15m"); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("it was to be given up, and ended with %v", err)
	}
	select {
	case <-held.left:
		t.note("given up", "by the caller, and so by the service")
	case <-ctx.Done():
		return errors.New("the service goes on to wait for a signature that nobody wants")
	}
	l, err := t.granted(ctx, "object", "slow.jpg", "for", "15m")
	if err != nil {
		return err
	}
	return errors.Join(t.verified(ctx, l, ambient, "slow.jpg"), t.calls(2))
}

func (t *tour) thirteenHours(ctx context.Context) error {
	t.say("A URL for 13 hours, one more than Google promises to know the key")
	if err := t.denied(ctx, http.StatusBadRequest, signer.ErrCredentials.Error(), "object", "film.mp4", "for", "13h"); err != nil {
		return err
	}
	l, err := t.granted(ctx, "object", "film.mp4", "for", "13h", "shorter", "yes")
	if err != nil {
		return err
	}
	if life := l.ExpiresAt.Sub(t.now); life < 12*time.Hour-2*time.Minute || life > 12*time.Hour { // a URL is the same for a minute
		return fmt.Errorf("where a shorter one will do it lives %v, and not 12 hours", life)
	}
	return errors.Join(t.verified(ctx, l, ambient, "film.mp4"), t.calls(1))
}

// A lockedBuffer is a log that is written and read at the same time.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
