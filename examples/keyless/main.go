// Keyless is an HTTP service, as it would run on Cloud Run, that hands out signed URLs of Google Cloud Storage and holds no
// private key: IAM signs for it.
//
//	go run ./examples/keyless
//
// shows what it does, step by step, against a stand-in for Google's metadata server and IAM, which listens on loopback and checks
// what it is asked to the byte. Nothing leaves the machine. The exit status is 0 if every step did as it says. On Google Cloud,
//
//	keyless -serve -bucket NAME [-as EMAIL]...
//
// signs as the account that it runs as, or as one of the others where the request says so:
//
//	curl -d object=2026/cat.jpg -d for=15m [-d method=PUT] [-d as=EMAIL] http://127.0.0.1:8080/sign
//
// Whoever reaches the service gets URLs: let Cloud Run ask for authentication, or put your own in front.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cloudsigner/cloudsigner/examples/internal/setup"
	"github.com/cloudsigner/cloudsigner/gcs/iam"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

const usage = `Keyless hands out signed URLs of Google Cloud Storage without holding a private key.

usage: keyless                              shows what it does, offline, with a stand-in for Google
       keyless -serve -bucket NAME ...      serves, on Google Cloud

Environment, with -serve:
  K_SERVICE, PORT     set by Cloud Run: listen on that port, where there is no -listen
  GCE_METADATA_HOST   the metadata server, where it is not 169.254.169.254

Flags:
`

type options struct {
	serve               bool
	bucket, listen, iam string
	as                  []string
}

// run is main without the process around it; it returns the exit status.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("keyless", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // an error is one line, without the usage
	flags.BoolVar(&o.serve, "serve", false, "serve, until interrupted")
	flags.StringVar(&o.bucket, "bucket", "", "the bucket")
	flags.StringVar(&o.listen, "listen", "", "the `address` to listen on, else 127.0.0.1:8080")
	flags.StringVar(&o.iam, "iam", "", "IAM's `URL` where it is not https://iamcredentials.googleapis.com, as in another universe")
	flags.Func("as", "another account that callers may have sign, an `email`; may repeat", func(email string) error {
		o.as = append(o.as, email)
		return nil
	})
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stderr, usage)
		flags.SetOutput(stderr)
		flags.PrintDefaults()
		return 0
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("it takes flags only, not %q", flags.Arg(0))
	}
	if err == nil && !o.serve && flags.NFlag() > 0 {
		err = errors.New("flags go with -serve")
	}
	if err == nil && o.serve && o.bucket == "" {
		err = errors.New("-bucket is missing; name one")
	}
	if err != nil {
		fmt.Fprintf(stderr, "keyless: %v (-h lists the flags)\n", err)
		return 2
	}
	if o.serve {
		if err := serve(ctx, o, getenv, stderr); err != nil {
			setup.Complain(stderr, "keyless", err)
			return 1
		}
		return 0
	}
	return demonstrate(ctx, stdout, stderr, nil)
}

// demonstrate goes through the steps with a stand-in, which a test may spoil first.
func demonstrate(ctx context.Context, stdout, stderr io.Writer, spoil func(*standIn)) int {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	t, err := newTour(ctx, stdout)
	if err != nil {
		setup.Complain(stderr, "keyless", err)
		return 1
	}
	defer t.close()
	if spoil != nil {
		spoil(t.google)
	}
	if err := t.all(ctx); err != nil {
		fmt.Fprintf(stdout, "\nFAILED: %v\n", err)
		return 1
	}
	fmt.Fprintf(stdout, "\nOK: all %d steps did as they say.\n", t.steps)
	return 0
}

// serve is the service on Google Cloud.
func serve(ctx context.Context, o options, getenv func(string) string, stderr io.Writer) error {
	c := serviceConfig{bucket: o.bucket, as: o.as, metadata: getenv("GCE_METADATA_HOST"), log: stderr}
	if o.iam != "" {
		u, err := url.Parse(o.iam)
		if err != nil {
			return errors.New("-iam is no URL")
		}
		c.iam = u
	}
	var err error
	if c.ambient, err = iam.MetadataEmail(ctx, nil, c.metadata); err != nil {
		return err
	}
	s, err := newService(c)
	if err != nil {
		return err
	}
	address := cmp.Or(o.listen, "127.0.0.1:8080")
	if port := getenv("PORT"); o.listen == "" && getenv("K_SERVICE") != "" && port != "" {
		address = ":" + port
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "keyless: signing as %s, on %s\n", c.ambient, l.Addr())
	var handler http.Handler = s
	if l.Addr().(*net.TCPAddr).IP.IsLoopback() {
		handler = only(l.Addr().String(), s)
	}
	server := newServer(handler)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	// What is being signed may end, within the ten seconds that Cloud Run gives.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 8*time.Second)
	defer cancel()
	return server.Shutdown(end)
}
