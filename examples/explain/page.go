package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/explain"
)

//go:embed page.html
var pageText string

// servePage answers until ctx ends.
func servePage(ctx context.Context, address string, stderr io.Writer) error {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || (ip == nil || !ip.IsLoopback()) && host != "localhost" {
		return errors.New("-serve: the page is for this machine alone; 127.0.0.1:8085 is an address")
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	page, err := newPage(listener.Addr().String())
	if err != nil {
		return err
	}
	server := &http.Server{Handler: page, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second}
	fmt.Fprintf(stderr, "explain: http://%s/\n", listener.Addr())
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}

// A page takes a form and answers with a diagnosis. It keeps nothing, and writes nothing to a log.
type page struct {
	hosts    []string // that it answers for: another name is one that a stranger's page resolves to us (DNS rebinding)
	policy   string   // allows the one style sheet, by its hash, and the form; no script, no image, no request
	template *template.Template
}

func newPage(address string) (*page, error) {
	t, err := template.New("page").Funcs(template.FuncMap{"upper": strings.ToUpper}).Parse(pageText)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	_, style, _ := strings.Cut(pageText, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	return &page{
		hosts: []string{address, "127.0.0.1:" + port, "localhost:" + port, "[::1]:" + port},
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		template: t,
	}, err
}

// A view is what the template shows.
type view struct {
	URL, Method, Answer, Signed string
	Error                       string
	Report                      *explain.Report
	Different                   bool
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	known := false
	for _, host := range p.hosts {
		known = known || r.Host == host
	}
	switch {
	case !known:
		http.Error(w, "this page answers for its own address only", http.StatusMisdirectedRequest)
		return
	case r.URL.Path != "/":
		http.NotFound(w, r)
		return
	case r.Method == http.MethodPost && r.Header.Get("Sec-Fetch-Site") != "" && r.Header.Get("Sec-Fetch-Site") != "same-origin":
		http.Error(w, "send the form from the page itself", http.StatusForbidden)
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
	h.Set("Content-Type", "text/html; charset=utf-8")
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
