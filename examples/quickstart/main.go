// Quickstart uploads, downloads and lists by presigned URLs, with plain net/http, and shows what they do not allow: a
// changed URL, another method, another header, a use after their end. It does so with every provider.
//
//	go run ./examples/quickstart
//
// It brings its own store, which listens on loopback, speaks to each provider's clients as that provider does, and verifies every
// request. -provider chooses one, -v shows what is signed and answered; with -keep the store stays until it is interrupted, for
// examples/presign to be tried against it. To see a real service do the same:
//
//	GS_ACCESS_KEY_ID=... GS_SECRET_ACCESS_KEY=... go run ./examples/quickstart -provider gcs -bucket photos
//	AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... go run ./examples/quickstart \
//		-provider s3 -endpoint http://127.0.0.1:9000 -region us-east-1 -bucket demo
//
// The bucket must exist; one object is written to it and deleted again. The exit status is 0 if every step did as it says.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/examples/internal/setup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

const usage = `Quickstart uploads, downloads and lists by presigned URLs, and shows what they do not allow.

usage: quickstart [-v]                                         every provider, with its own store, on loopback
       quickstart -provider NAME                               one of them
       quickstart -provider s3 -bucket NAME -region NAME       a real service (and -endpoint URL, if it is not the provider's own)
       quickstart -provider gcs|oss|azure -bucket NAME ...
       quickstart -provider cdn -bucket NAME -endpoint URL -key-name NAME -key-file FILE
                                                               Cloud CDN, before a bucket of Cloud Storage

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
	verbose := flags.Bool("v", false, "show what is signed, and the answers")
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
	if o.Provider == "" && (o.Bucket != "" || o.Endpoint != "") {
		o.Provider = "s3"
	}
	if err := o.Misplaced(); err != nil {
		setup.Complain(stderr, "quickstart", err)
		return 2
	}
	w, err := open(o, getenv)
	if err != nil {
		setup.Complain(stderr, "quickstart", err)
		return 1
	}
	defer w.close()
	if *keep && w.store == nil {
		fmt.Fprintln(stderr, "quickstart: -keep is for the embedded store;", embedded(o, getenv))
		return 2
	}
	fmt.Fprintln(stdout, "cloudsigner quickstart: what presigned URLs allow, and what is refused")
	steps, failed := 0, []string(nil)
	for _, p := range w.places {
		t := &tour{place: p, out: stdout, verbose: *verbose,
			name: "quickstart-" + time.Now().UTC().Format("20060102T150405.000000") + ".txt"}
		tourCtx, cancel := context.WithTimeout(ctx, time.Minute)
		if err := t.all(tourCtx); err != nil {
			fmt.Fprintf(stdout, "FAILED: %v\n", err)
			failed = append(failed, p.provider)
		}
		cancel()
		steps += t.steps
	}
	if len(failed) > 0 {
		fmt.Fprintf(stdout, "\nFAILED with %s.\n", strings.Join(failed, ", "))
		return 1
	}
	fmt.Fprintf(stdout, "\nOK: all %d steps did as they say.\n", steps)
	if *keep {
		w.keep(stdout)
		<-ctx.Done()
	}
	return 0
}
