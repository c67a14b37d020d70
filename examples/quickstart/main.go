// Quickstart uploads, downloads and lists by presigned URLs, with plain net/http, and shows what they do not allow: a
// changed URL, another method, another header, a use after their end.
//
//	go run ./examples/quickstart
//
// It brings its own store, which listens on loopback and verifies every request; with -keep the store stays until it is
// interrupted, for examples/presign to be tried against it. To see a real one do the same:
//
//	AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... go run ./examples/quickstart \
//		-endpoint http://127.0.0.1:9000 -region us-east-1 -bucket demo
//
// Without -endpoint that is Amazon S3. The bucket must exist; one object is written to it and deleted again. The exit status
// is 0 if every step did as it says.
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

const usage = `Quickstart uploads, downloads and lists by presigned URLs, and shows what they do not allow.

usage: quickstart                                       with its own store, on loopback, for the time of the run
       quickstart -bucket NAME -region NAME             with Amazon S3
       quickstart -bucket NAME ... -endpoint URL        with another service

In a real service it writes one object, named quickstart- and the time, and deletes it again. The bucket must exist.

Environment, for a real service:
`

// run is main without the process around it; it returns the exit status.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	var o setup.Options
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // an error is one line, without the usage
	o.AddFlags(flags)
	keep := flags.Bool("keep", false, "keep the embedded store running, until interrupted, and print how to use it")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(stderr, "%s%s\nFlags:\n", usage, setup.Environment)
		flags.SetOutput(stderr)
		flags.PrintDefaults()
		return 0
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("it takes flags only, not %q", flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(stderr, "quickstart: %v (-h lists the flags)\n", err)
		return 2
	}
	p, err := open(o, getenv)
	if err != nil {
		setup.Complain(stderr, "quickstart", err)
		return 1
	}
	defer p.close()
	if *keep && p.keep == nil {
		fmt.Fprintln(stderr, "quickstart: -keep is for the embedded store;", embedded(o, getenv))
		return 2
	}
	tourCtx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	t := &tour{place: p, out: stdout, via: http.DefaultTransport,
		name: "quickstart-" + time.Now().UTC().Format("20060102T150405.000000") + ".txt"}
	if err := t.all(tourCtx); err != nil {
		fmt.Fprintf(stdout, "\nFAILED: %v\n", err)
		return 1
	}
	fmt.Fprintf(stdout, "\nOK: all %d steps did as they say.\n", t.steps)
	if *keep {
		p.keep(stdout)
		<-ctx.Done()
	}
	return 0
}
