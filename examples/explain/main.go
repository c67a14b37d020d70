// Explain says why a service refused a signed URL.
//
//	curl -si "$url" | go run ./examples/explain -url "$url" -response     # what curl -i prints: status, headers, body
//	go run ./examples/explain -url "$url" < error.xml                      # the error's body alone
//	go run ./examples/explain -url "$url" < /dev/null                      # the URL alone
//	go run ./examples/explain -serve 127.0.0.1:8085                        # the same as a page, for pasting
//
// -signed takes what was signed, as signer.Trace prints it to a file of yours: the canonical request, an empty line twice, and the
// string to sign. Nothing is sent anywhere, and signatures, tokens and secrets do not appear in the output.
//
// page.go is the page. It needs no network, answers on loopback only, and keeps nothing.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/explain"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// maxInput is how much is read of anything.
const maxInput = 1 << 20

// run is main without the process around it; it returns the exit status: 0 if a cause is proved, 1 if none is, 2 if the command line
// is not understood.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("explain", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rawURL := flags.String("url", "", "the URL as it was used")
	method := flags.String("method", "", "the method that it was used with, if you know it")
	status := flags.Int("status", 0, "the status of the answer, if standard input has only its body")
	response := flags.Bool("response", false, "standard input has the whole answer: status line, headers, body")
	signedFile := flags.String("signed", "", "a file with the canonical request and the string to sign, two empty lines between them")
	asJSON := flags.Bool("json", false, "print JSON")
	serve := flags.String("serve", "", "serve the page at this loopback address, 127.0.0.1:8085 perhaps")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintln(stderr, "explain: nothing but flags is understood; put the URL in quotes, behind -url")
		return 2
	}
	if *serve != "" {
		if err := servePage(ctx, *serve, stderr); err != nil {
			fmt.Fprintf(stderr, "explain: %v\n", err)
			return 2
		}
		return 0
	}
	e, err := evidence(*rawURL, *method, *status, stdin, *response)
	if err == nil && *signedFile != "" {
		var text []byte
		if text, err = os.ReadFile(*signedFile); err == nil {
			e.Trace = traceOf(string(text))
		}
	}
	var report *explain.Report
	if err == nil {
		report, err = explain.Explain(ctx, e)
	}
	if err != nil {
		fmt.Fprintf(stderr, "explain: %v\n", signer.RedactError(err))
		return 2
	}
	if *asJSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		_, err = io.WriteString(stdout, report.String())
	}
	if err != nil {
		return 2
	}
	if len(report.Causes) > 0 && report.Causes[0].Certainty == explain.Proved {
		return 0
	}
	return 1
}

// evidence reads what there is.
func evidence(rawURL, method string, status int, answer io.Reader, whole bool) (explain.Evidence, error) {
	e := explain.Evidence{URL: rawURL, Status: status, Now: time.Now()}
	text, err := io.ReadAll(io.LimitReader(answer, maxInput))
	if err != nil {
		return e, err
	}
	if e.Body = text; whole {
		if e.Status, e.Header, e.Body, err = parseResponse(text); err != nil {
			return e, err
		}
	}
	if e.Status == 0 && len(bytes.TrimSpace(e.Body)) > 0 {
		e.Status = http.StatusForbidden // which it nearly always is
	}
	if method != "" {
		if req, err := http.NewRequest(strings.ToUpper(method), rawURL, nil); err == nil {
			e.Request = req
		}
	}
	return e, nil
}

// parseResponse reads what curl -i prints; of several answers, as redirects and proxies cause them, the last.
func parseResponse(text []byte) (status int, header http.Header, body []byte, err error) {
	for {
		r := textproto.NewReader(bufio.NewReader(bytes.NewReader(text)))
		line, err := r.ReadLine()
		_, rest, _ := strings.Cut(line, " ")
		code, _, _ := strings.Cut(rest, " ")
		if status, err2 := strconv.Atoi(code); err == nil && err2 == nil && strings.HasPrefix(line, "HTTP/") {
			h, err := r.ReadMIMEHeader()
			if err != nil && !errors.Is(err, io.EOF) {
				return 0, nil, nil, fmt.Errorf("-response: the headers cannot be read: %w", err)
			}
			body, _ = io.ReadAll(r.R)
			if bytes.HasPrefix(body, []byte("HTTP/")) {
				text = body
				continue
			}
			return status, http.Header(h), body, nil
		}
		return 0, nil, nil, errors.New("-response: standard input does not begin with a status line; use curl -si, or leave the flag out")
	}
}

// traceOf reads the canonical request and the string to sign, or one of them.
func traceOf(text string) *signer.Trace {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	if text == "" {
		return nil
	}
	if canonical, toSign, ok := strings.Cut(text, "\n\n\n"); ok {
		return &signer.Trace{CanonicalRequest: []byte(canonical), StringToSign: []byte(toSign)}
	}
	if first, _, _ := strings.Cut(text, "\n"); strings.ToUpper(first) == first && !strings.Contains(first, "-") {
		return &signer.Trace{CanonicalRequest: []byte(text)}
	}
	return &signer.Trace{StringToSign: []byte(text)}
}
