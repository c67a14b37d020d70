// Redirect is an API that checks who asks by an Authorization header and redirects to signed URLs of Cloud CDN. The first
// steps show how that fails with 401, and only at times; the others show each cure. The last one is about redirects that
// stand in a cache.
//
//	go run ./examples/redirect
//
// API, CDN and bucket run inside, on loopback and for the time of the run, under names that only the client here knows.
// cloud.go is CDN and bucket, api.go the API, tour.go the clients. The exit status is 0 if every step did as it says.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const usage = `Redirect shows how an API's redirect to a signed URL fails at times, and what helps.

usage: redirect

It takes no flags. All that it needs runs inside, on loopback.
`

// run is main without the process around it; it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		fmt.Fprint(stderr, usage)
		if args[0] == "-h" || args[0] == "-help" || args[0] == "--help" {
			return 0
		}
		return 2
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c, err := open()
	if err != nil {
		fmt.Fprintf(stderr, "redirect: %v\n", err)
		return 1
	}
	defer c.close()
	t := &tour{cloud: c, out: stdout, via: c.transport()}
	if err := t.all(ctx); err != nil {
		fmt.Fprintf(stdout, "\nFAILED: step %d: %v\n", t.steps, signer.RedactError(err))
		return 1
	}
	fmt.Fprintf(stdout, "\nOK: all %d steps did as they say.\n", t.steps)
	return 0
}
