package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A tour goes through the steps and writes down what happens. It prints a Presigned and never its URL: that is how the
// signature stays out of the account.
type tour struct {
	*place
	out     io.Writer
	verbose bool
	name    string // of the object
	steps   int
	details bytes.Buffer // of the step
}

const (
	greeting = "Signed here, stored there: not one byte went through the signer.\n"
	minutes  = 15 * time.Minute
	media    = "text/plain"
)

// A step is one thing that a URL is good for, or not.
type step struct {
	title string
	do    func(t *tour, ctx context.Context) (result string, err error)
}

// steps of a provider whose signature covers headers and whose URLs do everything.
func usualSteps() []step {
	return []step{
		{"upload one object, as text and nothing else", (*tour).upload},
		{"download it, saved under another name", (*tour).download},
		{"list", (*tour).listing},
		{"the download URL for another object's name", (*tour).tamper},
		{"the download URL to delete", (*tour).otherMethod},
		{"the upload URL for a web page instead of text", (*tour).otherHeader},
		{"a form for pictures of up to 1 MiB", (*tour).form},
		{"a URL after its end", (*tour).expire},
		{"delete the object", (*tour).remove},
	}
}

// cdnSteps are those of a CDN. What it serves is uploaded to the bucket behind it.
func cdnSteps() []step {
	return []step{
		{"upload one object, into the bucket", (*tour).upload},
		{"download it by the CDN, under another name", (*tour).download},
		{"the download URL for another object's name", (*tour).tamper},
		{"the download URL to delete", (*tour).otherMethod},
		{"a cookie for all under /, and none", (*tour).cookie},
		{"a URL after its end", (*tour).expire},
		{"delete the object, from the bucket", (*tour).remove},
	}
}

// all takes every step, stops at the first that does not do as it says, and leaves nothing behind.
func (t *tour) all(ctx context.Context) (err error) {
	fmt.Fprintf(t.out, "\n%s: %s\n", t.provider, t.about)
	uploaded := false
	defer func() {
		if err != nil && uploaded {
			if _, errRemove := t.remove(context.WithoutCancel(ctx)); errRemove != nil {
				err = fmt.Errorf("%w (and %s could not be deleted)", err, t.name)
			}
		}
	}()
	for _, step := range t.place.steps {
		t.steps++
		t.details.Reset()
		result, err := step.do(t, ctx)
		if t.verbose {
			fmt.Fprintf(t.out, "\n%2d  %s\n%s", t.steps, step.title, &t.details)
		} else if err == nil {
			fmt.Fprintf(t.out, "%2d  %-46s %s\n", t.steps, step.title, result)
		}
		if err != nil {
			return fmt.Errorf("step %d, %s: %w", t.steps, step.title, signer.RedactError(err))
		}
		uploaded = true
	}
	return nil
}

// note writes down a detail.
func (t *tour) note(what, format string, args ...any) {
	fmt.Fprintf(&t.details, "      %-8s %s\n", what, fmt.Sprintf(format, args...))
}

// presign signs, and writes down what for.
func (t *tour) presign(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
	return t.presignBy(ctx, t.signer, r)
}

func (t *tour) presignBy(ctx context.Context, s signer.Signer, r signer.Request) (*signer.Presigned, error) {
	p, err := s.Presign(ctx, r)
	if err != nil {
		return nil, err
	}
	t.note("signed", "%v", p)
	for _, what := range p.NotEnforced {
		t.note("", "not enforced: %s", what)
	}
	return p, nil
}

// send does what any client would do with the URL, and reads the answer.
func (t *tour) send(ctx context.Context, p *signer.Presigned, body string) (*http.Response, []byte, error) {
	var from io.Reader
	if body != "" {
		from = strings.NewReader(body)
	}
	req, err := p.NewRequest(ctx, from)
	if err != nil {
		return nil, nil, err
	}
	return t.sendRequest(req)
}

func (t *tour) sendRequest(req *http.Request) (*http.Response, []byte, error) {
	resp, err := t.client.RoundTrip(req)
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
	return resp, answer, t.complied(p.Method, resp, answer)
}

func (t *tour) complied(method string, resp *http.Response, answer []byte) error {
	if resp.StatusCode/100 != 2 {
		code, message := t.reason(resp, answer)
		if code == "NoSuchBucket" || code == "ContainerNotFound" {
			return fmt.Errorf("there is no such bucket; create it first, this program does not (%s)", t.about)
		}
		return fmt.Errorf("%s was to work, and the answer is %d %s: %s", method, resp.StatusCode, code, message)
	}
	t.note("answer", "%d, %d bytes", resp.StatusCode, len(answer))
	return nil
}

// refused sends and expects the store to refuse for this reason.
func (t *tour) refused(ctx context.Context, p *signer.Presigned, body, why string) (string, error) {
	resp, answer, err := t.send(ctx, p, body)
	if err != nil {
		return "", err
	}
	return t.refusal(p.Method, resp, answer, why)
}

func (t *tour) refusal(method string, resp *http.Response, answer []byte, why string) (string, error) {
	code, message := t.reason(resp, answer)
	short := strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, code))
	reason := short + ": " + message
	if resp.StatusCode/100 != 4 || !strings.Contains(strings.ToLower(reason), strings.ToLower(why)) {
		return "", fmt.Errorf("%s was to be refused (%s), and the answer is %s", method, why, reason)
	}
	t.note("refused", "%s", reason)
	return "refused, " + short, nil
}

// signedGet and signedPut sign for the object as the steps before did.
func (t *tour) signedGet(ctx context.Context, life time.Duration) (*signer.Presigned, error) {
	return t.presign(ctx, signer.Request{Key: t.name, Expires: life})
}

func (t *tour) signedPut(ctx context.Context) (*signer.Presigned, error) {
	return t.presignBy(ctx, t.bucket, signer.Request{Method: http.MethodPut, Key: t.name, Expires: minutes,
		Header: http.Header{"Content-Type": {media}}, BestEffort: t.headersLoose})
}

func (t *tour) upload(ctx context.Context) (string, error) {
	p, err := t.signedPut(ctx)
	if err != nil {
		return "", err
	}
	resp, _, err := t.accepted(ctx, p, greeting)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("PUT %d", resp.StatusCode), nil
}

func (t *tour) download(ctx context.Context) (string, error) {
	disposition := signer.Attachment("Grüße.txt")
	p, err := t.presign(ctx, signer.Request{Key: t.name, Expires: minutes, BestEffort: t.headersLoose,
		Response: signer.ResponseHeaders{ContentDisposition: disposition}})
	if err != nil {
		return "", err
	}
	resp, got, err := t.accepted(ctx, p, "")
	if err != nil {
		return "", err
	}
	if string(got) != greeting || resp.Header.Get("Content-Type") != media {
		return "", fmt.Errorf("other bytes came back, or of another type (%s)", resp.Header.Get("Content-Type"))
	}
	if got := resp.Header.Get("Content-Disposition"); got != disposition {
		return "", fmt.Errorf("the answer has Content-Disposition %q", got)
	}
	t.note("bytes", "%s", strings.TrimSpace(string(got)))
	t.note("as", "%s", disposition)
	return fmt.Sprintf("GET %d, %d bytes as Grüße.txt", resp.StatusCode, len(got)), nil
}

func (t *tour) listing(ctx context.Context) (string, error) {
	r := t.list(t.name)
	r.Expires, r.BestEffort = minutes, t.headersLoose
	p, err := t.presign(ctx, r)
	if err != nil {
		return "", err
	}
	resp, body, err := t.accepted(ctx, p, "")
	if err != nil {
		return "", err
	}
	names, err := t.names(body)
	if err != nil {
		return "", fmt.Errorf("the list cannot be read: %w", err)
	}
	if !slices.Contains(names, t.name) {
		return "", fmt.Errorf("%s is not among the %d names", t.name, len(names))
	}
	t.note("names", "%s", strings.Join(names, ", "))
	return fmt.Sprintf("GET %d, names it", resp.StatusCode), nil
}

func (t *tour) tamper(ctx context.Context) (string, error) {
	p, err := t.signedGet(ctx, minutes)
	if err != nil {
		return "", err
	}
	changed := *p
	changed.URL = strings.Replace(p.URL, "quickstart-", "quickstart-0", 1)
	t.note("changed", "%v", changed)
	return t.refused(ctx, &changed, "", t.mismatch)
}

func (t *tour) otherMethod(ctx context.Context) (string, error) {
	p, err := t.signedGet(ctx, minutes)
	if err != nil {
		return "", err
	}
	changed := *p
	changed.Method = http.MethodDelete
	result, err := t.refused(ctx, &changed, "", t.notAllowed)
	if err != nil {
		return "", err
	}
	_, _, err = t.accepted(ctx, p, "") // it is still there
	return result, err
}

func (t *tour) otherHeader(ctx context.Context) (string, error) {
	p, err := t.signedPut(ctx)
	if err != nil {
		return "", err
	}
	changed := *p
	changed.Header = http.Header{"Content-Type": {"text/html"}}
	return t.refused(ctx, &changed, "<script>alert('mine')</script>", t.mismatch)
}

// form signs an HTML form for pictures, and posts one, a web page, and a picture that is too large.
func (t *tour) form(ctx context.Context) (string, error) {
	form, err := signer.PresignPost(ctx, t.bucket, signer.Policy{KeyPrefix: "uploads/", MaxBytes: 1 << 20, ContentTypePrefix: "image/", Expires: minutes})
	if err != nil {
		return "", err
	}
	t.note("signed", "%v", form)
	picture, name := []byte("\x89PNG\r\n\x1a\n"), strings.TrimSuffix(t.name, ".txt")+".png"
	resp, answer, err := t.post(ctx, form, "image/png", name, picture)
	if err == nil {
		err = t.complied(http.MethodPost, resp, answer)
	}
	if err != nil {
		return "", err
	}
	if err := t.discard(ctx, "uploads/"+name); err != nil {
		return "", err
	}
	result := fmt.Sprintf("POST %d", resp.StatusCode)
	for _, wrong := range []struct {
		what, media, why string
		file             []byte
	}{
		{"a web page", "text/html", "policy", []byte("<script>alert('mine')</script>")},
		{"too large", "image/png", "EntityTooLarge", make([]byte, 1<<20+1)},
	} {
		resp, answer, err := t.post(ctx, form, wrong.media, name, wrong.file)
		if err != nil {
			return "", err
		}
		refused, err := t.refusal(http.MethodPost, resp, answer, wrong.why)
		if err != nil {
			return "", fmt.Errorf("%s: %w", wrong.what, err)
		}
		result += fmt.Sprintf("; %s %s", wrong.what, refused)
	}
	return result, nil
}

// post sends a form as a browser does: its fields in their order, what the page adds, and the file last.
func (t *tour) post(ctx context.Context, form *signer.Form, media, name string, file []byte) (*http.Response, []byte, error) {
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	for _, f := range append(slices.Clone(form.Fields), signer.Field{Name: "Content-Type", Value: media}) {
		if err := parts.WriteField(f.Name, f.Value); err != nil {
			return nil, nil, err
		}
	}
	w, err := parts.CreateFormFile("file", name)
	if err == nil {
		_, err = w.Write(file)
	}
	if err = errors.Join(err, parts.Close()); err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, form.URL, &body)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", parts.FormDataContentType())
	return t.sendRequest(req)
}

// discard deletes an object.
func (t *tour) discard(ctx context.Context, key string) error {
	p, err := t.presignBy(ctx, t.bucket, signer.Request{Method: http.MethodDelete, Key: key, Expires: minutes})
	if err != nil {
		return err
	}
	_, _, err = t.accepted(ctx, p, "")
	return err
}

// unsignable asks for what the scheme cannot enforce. The signer says so, and does not drop it.
func (t *tour) unsignable(ctx context.Context) (string, error) {
	_, err := t.bucket.Presign(ctx, signer.Request{Method: http.MethodPut, Key: t.name, Expires: minutes, Header: http.Header{"Content-Type": {media}}})
	if !errors.Is(err, signer.ErrUnsupported) {
		return "", fmt.Errorf("it was to be unsupported: %w", err)
	}
	t.note("error", "%v", err)
	return "not signed: " + signer.ErrUnsupported.Error(), nil
}

// cookie signs for all that is under one directory, and asks for an object there with the cookie and without.
func (t *tour) cookie(ctx context.Context) (string, error) {
	signs, ok := signer.As[*cdn.Signer](t.signer)
	if !ok {
		return "", fmt.Errorf("%T signs no cookies", t.signer)
	}
	bare, err := t.signedGet(ctx, minutes)
	if err != nil {
		return "", err
	}
	bare.URL, _, _ = strings.Cut(bare.URL, "?")
	prefix, err := signs.PresignPrefix(ctx, bare.URL[:strings.LastIndexByte(bare.URL, '/')+1], signer.Options{Expires: minutes})
	if err != nil {
		return "", err
	}
	req, err := bare.NewRequest(ctx, nil)
	if err != nil {
		return "", err
	}
	req.AddCookie(prefix.Cookie())
	resp, answer, err := t.sendRequest(req)
	if err == nil {
		err = t.complied(req.Method, resp, answer)
	}
	if err != nil {
		return "", err
	}
	result, err := t.refused(ctx, bare, "", "403")
	return fmt.Sprintf("GET %d, and %s", resp.StatusCode, result), err
}

func (t *tour) expire(ctx context.Context) (string, error) {
	p, err := t.signedGet(ctx, t.life)
	if err != nil {
		return "", err
	}
	if _, _, err := t.accepted(ctx, p, ""); err != nil {
		return "", fmt.Errorf("%w (if it has expired, the store's clock is ahead or the way to it slow)", err)
	}
	how, err := t.pass(ctx, t.life)
	if err != nil {
		return "", err
	}
	t.note("time", "%s", how)
	result, err := t.refused(ctx, p, "", t.expired)
	if err != nil {
		return "", fmt.Errorf("%w (if it still works, the store's clock is behind)", err)
	}
	return result, nil
}

func (t *tour) remove(ctx context.Context) (string, error) {
	p, err := t.presignBy(ctx, t.bucket, signer.Request{Method: http.MethodDelete, Key: t.name, Expires: minutes})
	if err != nil {
		return "", err
	}
	resp, _, err := t.accepted(ctx, p, "")
	if err != nil {
		return "", err
	}
	gone, err := t.presignBy(ctx, t.bucket, signer.Request{Key: t.name, Expires: minutes})
	if err != nil {
		return "", err
	}
	after, _, err := t.send(ctx, gone, "")
	if err != nil {
		return "", err
	}
	if after.StatusCode != http.StatusNotFound {
		return "", fmt.Errorf("the object is still there: %d", after.StatusCode)
	}
	t.note("answer", "404, it is gone")
	return fmt.Sprintf("DELETE %d, then GET 404", resp.StatusCode), nil
}
