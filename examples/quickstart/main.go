// Quickstart uploads, downloads and lists by presigned URLs, with plain net/http, and shows what they do not allow: a
// changed URL, another method, another header, a use after their end.
//
//	go run ./examples/quickstart
//
// It brings its own store, which listens on loopback and verifies every request. To see a real one do the same:
//
//	AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... go run ./examples/quickstart \
//		-endpoint http://127.0.0.1:9000 -region us-east-1 -bucket demo
//
// The bucket must exist; one object is written to it and deleted again. The exit status is 0 if every step did as it says.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/cloudsigner/cloudsigner/examples/internal/setup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is main without the process around it; it returns the exit status.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	var o setup.Options
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(stderr)
	o.AddFlags(flags)
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "quickstart: it takes flags only, not %q\n", flags.Arg(0))
		return 2
	}
	p, err := open(o, getenv)
	if err != nil {
		fmt.Fprintf(stderr, "quickstart: %v\n", err)
		return 1
	}
	defer p.close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	t := &tour{place: p, out: stdout, via: http.DefaultTransport,
		name: "quickstart-" + time.Now().UTC().Format("20060102T150405.000000") + ".txt"}
	if err := t.all(ctx); err != nil {
		fmt.Fprintf(stdout, "\nFAILED: %v\n", err)
		return 1
	}
	fmt.Fprintf(stdout, "\nOK: all %d steps did as they say.\n", t.steps)
	return 0
}
