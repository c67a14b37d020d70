package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// A tour goes through the steps and writes down what happens. It prints a Presigned and never its URL: that is how the
// signature stays out of the account.
type tour struct {
	*place
	out   io.Writer
	via   http.RoundTripper // follows no redirect: a signature is for one host
	name  string            // of the object
	steps int
}

const (
	greeting = "Signed here, stored there: not one byte went through the signer.\n"
	minutes  = 15 * time.Minute
)

// all takes every step, stops at the first that does not do as it says, and leaves nothing behind.
func (t *tour) all(ctx context.Context) (err error) {
	fmt.Fprintf(t.out, "cloudsigner quickstart: %s\n", t.about)
	uploaded := false
	defer func() {
		if err != nil && uploaded {
			if t.remove(context.WithoutCancel(ctx)) != nil {
				err = fmt.Errorf("%w (and %s could not be deleted)", err, t.name)
			}
		}
	}()
	for _, step := range [...]func(context.Context) error{
		t.upload, t.download, t.listing, t.tamper, t.otherMethod, t.otherHeader, t.expire, t.remove,
	} {
		t.steps++
		if err := step(ctx); err != nil {
			return fmt.Errorf("step %d: %w", t.steps, signer.RedactError(err))
		}
		uploaded = true
	}
	return nil
}

func (t *tour) say(title string) { fmt.Fprintf(t.out, "\n%d. %s\n", t.steps, title) }

// presign signs, and writes down what for.
func (t *tour) presign(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
	p, err := t.signer.Presign(ctx, r)
	if err == nil {
		fmt.Fprintf(t.out, "   signed  %v\n", p)
	}
	return p, err
}

// send does what any client would do with the URL, and reads the answer.
func (t *tour) send(ctx context.Context, p *signer.Presigned, body string) (*http.Response, []byte, error) {
	req, err := p.NewRequest(ctx, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	resp, err := t.via.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	const most = 1 << 20
	answer, err := io.ReadAll(io.LimitReader(resp.Body, most))
	return resp, answer, err
}

// accepted sends and expects the store to comply.
func (t *tour) accepted(ctx context.Context, p *signer.Presigned, body string) (*http.Response, []byte, error) {
	resp, answer, err := t.send(ctx, p, body)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode/100 != 2 {
		code, message := t.reason(bytes.NewReader(answer))
		if code == "NoSuchBucket" {
			return nil, nil, fmt.Errorf("there is no such bucket; create it first, this program does not (%s)", t.about)
		}
		return nil, nil, fmt.Errorf("%s was to work, and the answer is %d %s: %s", p.Method, resp.StatusCode, code, message)
	}
	fmt.Fprintf(t.out, "   answer  %d, %d bytes\n", resp.StatusCode, len(answer))
	return resp, answer, nil
}

// refused sends and expects the store to refuse for this reason.
func (t *tour) refused(ctx context.Context, p *signer.Presigned, body, why string) error {
	resp, answer, err := t.send(ctx, p, body)
	if err != nil {
		return err
	}
	code, message := t.reason(bytes.NewReader(answer))
	reason := fmt.Sprintf("%d %s: %s", resp.StatusCode, code, message)
	if resp.StatusCode/100 != 4 || !strings.Contains(strings.ToLower(reason), strings.ToLower(why)) {
		return fmt.Errorf("%s was to be refused (%s), and the answer is %s", p.Method, why, reason)
	}
	fmt.Fprintf(t.out, "   refused %s\n", reason)
	return nil
}

// signedGet and signedPut sign for the object as the steps before did.
func (t *tour) signedGet(ctx context.Context, life time.Duration) (*signer.Presigned, error) {
	return t.presign(ctx, signer.Request{Key: t.name, Expires: life})
}

func (t *tour) signedPut(ctx context.Context) (*signer.Presigned, error) {
	return t.presign(ctx, signer.Request{Method: http.MethodPut, Key: t.name, Expires: minutes,
		Header: http.Header{"Content-Type": {"text/plain"}}})
}

func (t *tour) upload(ctx context.Context) error {
	t.say("A URL to upload one object, as text and nothing else")
	p, err := t.signedPut(ctx)
	if err != nil {
		return err
	}
	_, _, err = t.accepted(ctx, p, greeting)
	return err
}

func (t *tour) download(ctx context.Context) error {
	t.say("A URL to download it, saved under another name")
	p, err := t.presign(ctx, signer.Request{Key: t.name, Expires: minutes,
		Response: signer.ResponseHeaders{ContentDisposition: signer.Attachment("Grüße.txt")}})
	if err != nil {
		return err
	}
	resp, got, err := t.accepted(ctx, p, "")
	if err != nil {
		return err
	}
	if string(got) != greeting || resp.Header.Get("Content-Type") != "text/plain" {
		return fmt.Errorf("other bytes came back, or of another type (%s)", resp.Header.Get("Content-Type"))
	}
	disposition := resp.Header.Get("Content-Disposition")
	if disposition != signer.Attachment("Grüße.txt") {
		return fmt.Errorf("the answer has Content-Disposition %q", disposition)
	}
	fmt.Fprintf(t.out, "   bytes   %s   as      %s\n", got, disposition)
	return nil
}

func (t *tour) listing(ctx context.Context) error {
	t.say("A URL that lists")
	r := t.list(t.name)
	r.Expires = minutes
	p, err := t.presign(ctx, r)
	if err != nil {
		return err
	}
	_, body, err := t.accepted(ctx, p, "")
	if err != nil {
		return err
	}
	names, err := t.names(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("the list cannot be read: %w", err)
	}
	if !slices.Contains(names, t.name) {
		return fmt.Errorf("%s is not among the %d names", t.name, len(names))
	}
	fmt.Fprintf(t.out, "   names   %s\n", strings.Join(names, ", "))
	return nil
}

func (t *tour) tamper(ctx context.Context) error {
	t.say("The download URL, changed to another object's name")
	p, err := t.signedGet(ctx, minutes)
	if err != nil {
		return err
	}
	changed := *p
	changed.URL = strings.Replace(p.URL, "quickstart-", "quickstart-0", 1)
	fmt.Fprintf(t.out, "   changed %v\n", changed)
	return t.refused(ctx, &changed, "", t.mismatch)
}

func (t *tour) otherMethod(ctx context.Context) error {
	t.say("The download URL, used to delete")
	p, err := t.signedGet(ctx, minutes)
	if err != nil {
		return err
	}
	changed := *p
	changed.Method = http.MethodDelete
	if err := t.refused(ctx, &changed, "", t.mismatch); err != nil {
		return err
	}
	_, _, err = t.accepted(ctx, p, "") // it is still there
	return err
}

func (t *tour) otherHeader(ctx context.Context) error {
	t.say("The upload URL, used for a web page instead of text")
	p, err := t.signedPut(ctx)
	if err != nil {
		return err
	}
	changed := *p
	changed.Header = http.Header{"Content-Type": {"text/html"}}
	return t.refused(ctx, &changed, "<script>alert('mine')</script>", t.mismatch)
}

func (t *tour) expire(ctx context.Context) error {
	t.say(fmt.Sprintf("A URL for %v, used in time and too late", t.life))
	p, err := t.signedGet(ctx, t.life)
	if err != nil {
		return err
	}
	if _, _, err := t.accepted(ctx, p, ""); err != nil {
		return fmt.Errorf("%w (if it has expired, the store's clock is ahead or the way to it slow)", err)
	}
	how, err := t.pass(ctx, t.life)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "   time    %s\n", how)
	if err := t.refused(ctx, p, "", "expired"); err != nil {
		return fmt.Errorf("%w (if it still works, the store's clock is behind)", err)
	}
	return nil
}

func (t *tour) remove(ctx context.Context) error {
	t.say("A URL to delete the object")
	p, err := t.presign(ctx, signer.Request{Method: http.MethodDelete, Key: t.name, Expires: minutes})
	if err != nil {
		return err
	}
	if _, _, err := t.accepted(ctx, p, ""); err != nil {
		return err
	}
	gone, err := t.signedGet(ctx, minutes)
	if err != nil {
		return err
	}
	resp, _, err := t.send(ctx, gone, "")
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusNotFound {
		return fmt.Errorf("the object is still there: %d", resp.StatusCode)
	}
	fmt.Fprintln(t.out, "   answer  404, it is gone")
	return nil
}
