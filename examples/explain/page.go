package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/cloudsigner/cloudsigner/examples/internal/loopback"
	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/explain"
)

//go:embed page.html
var pageText string

// servePage answers until ctx ends.
func servePage(ctx context.Context, address string, stderr io.Writer) error {
	listener, err := loopback.Listen("-serve", address)
	if err != nil {
		return err
	}
	page, err := newPage(listener.Addr().String())
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "explain: http://%s/\n", listener.Addr())
	return loopback.Serve(ctx, listener, page)
}

// A page takes a form and answers with a diagnosis. It keeps nothing, and writes nothing to a log.
type page struct {
	guard    loopback.Guard
	template *template.Template
}

func newPage(address string) (*page, error) {
	t, err := template.New("page").Funcs(template.FuncMap{"upper": strings.ToUpper}).Parse(pageText)
	if err != nil {
		return nil, err
	}
	_, style, _ := strings.Cut(pageText, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	// The one style sheet, by its hash, and the form; no script, no image, no request.
	guard, err := loopback.NewGuard(address, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+
		"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	return &page{guard, t}, err
}

// A view is what the template shows.
type view struct {
	URL, Method, Answer, Signed string
	Error                       string
	Report                      *explain.Report
	Different                   bool
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.guard.Allow(w, r) {
		return
	}
	switch {
	case r.URL.Path != "/":
		http.NotFound(w, r)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost:
		http.Error(w, "GET or POST", http.StatusMethodNotAllowed)
		return
	}
	var v view
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, 3*maxInput)
		if err := r.ParseForm(); err != nil {
			http.Error(w, "the form is too large, or none", http.StatusBadRequest)
			return
		}
		v = diagnose(r.Context(), r.PostForm.Get("url"), r.PostForm.Get("method"), r.PostForm.Get("answer"), r.PostForm.Get("signed"))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := p.template.Execute(w, v); err != nil {
		panic(http.ErrAbortHandler) // half a page is none
	}
}

// diagnose explains what was pasted. What comes back to the form is what was typed, for it is the user's own.
func diagnose(ctx context.Context, rawURL, method, answer, signed string) view {
	v := view{URL: strings.TrimSpace(rawURL), Method: method, Answer: answer, Signed: signed}
	answer = strings.TrimLeft(answer, " \r\n\t\ufeff")
	whole := strings.HasPrefix(answer, "HTTP/")
	status := 0
	if n, rest, _ := strings.Cut(answer, " "); !whole && len(n) == 3 {
		if status, _ = strconv.Atoi(n); status != 0 {
			answer = rest
		}
	}
	e, err := evidence(v.URL, method, status, strings.NewReader(answer), whole)
	if err == nil {
		e.Trace = traceOf(signed)
		v.Report, err = explain.Explain(ctx, e)
	}
	if err != nil {
		v.Error = signer.RedactError(err).Error()
		return v
	}
	for _, l := range v.Report.Diff {
		v.Different = v.Different || !l.Equal
	}
	return v
}
