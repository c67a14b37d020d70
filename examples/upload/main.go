// Upload serves a page that uploads files of up to 5 GiB, by drag and drop or with the keyboard alone, straight to a store: the
// page gets presigned requests, and no byte of a file passes through this program.
//
//	go run ./examples/upload                                     # http://127.0.0.1:8086/, with stores of its own
//	go run ./examples/upload -s3-endpoint http://127.0.0.1:7070 -s3-bucket films -azure-endpoint http://127.0.0.1:10000 \
//	    -azure-account devstoreaccount1 -azure-container films   # and with these
//
// Large files go in parts, several at once: a part that fails is sent again with a URL that is signed anew, and an upload goes on
// after a pause, a lost connection or a reload of the page. Each part's MD5 is signed with its URL, so that no store takes half
// of one. Small ones may go by a form whose policy limits their size.
//
// The stores of its own are one on loopback that speaks as S3, Cloud Storage, OSS and Azure, with credentials for the run, and its
// objects in a directory for the run. Those of others need credentials from the environment (AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY; AZURE_STORAGE_KEY), and a CORS rule that allows the page's origin the methods PUT and POST, and the headers
// content-type, content-md5 and x-ms-*.
//
// server.go is what the page talks to, stores.go the stores, page.js and md5.js the page.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/cloudsigner/cloudsigner/examples/internal/loopback"
	"github.com/cloudsigner/cloudsigner/examples/internal/setup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stderr))
}

// options are what the command line says.
type options struct {
	listen    string
	life      time.Duration
	partSize  int64
	formLimit int64
	s3, azure setup.Options
}

// run is main without the process around it; it returns the exit status.
func run(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) int {
	o := options{s3: setup.Options{Provider: "s3"}, azure: setup.Options{Provider: "azure"}}
	flags := flag.NewFlagSet("upload", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8086", "the loopback address to serve the page at")
	flags.DurationVar(&o.life, "url-life", 15*time.Minute, "how long a part's URL works; the page asks for another one when it has to")
	flags.Int64Var(&o.partSize, "part-size", 8<<20, "`bytes` of a part; for Cloud Storage a multiple of 256 KiB")
	flags.Int64Var(&o.formLimit, "form-limit", 10<<20, "`bytes` that a form's policy allows")
	flags.StringVar(&o.s3.Endpoint, "s3-endpoint", "", "the `URL` of an S3 server to offer, too")
	flags.StringVar(&o.s3.Bucket, "s3-bucket", "uploads", "its bucket")
	flags.StringVar(&o.s3.Region, "s3-region", "us-east-1", "its region")
	flags.StringVar(&o.azure.Endpoint, "azure-endpoint", "", "the `URL` of an Azure blob service to offer, too")
	flags.StringVar(&o.azure.Bucket, "azure-container", "uploads", "its container")
	flags.StringVar(&o.azure.Account, "azure-account", "devstoreaccount1", "its account")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() > 0 || o.life < time.Second || o.partSize < 1 || o.formLimit < 1 {
		fmt.Fprintln(stderr, "upload: nothing but flags is understood; a URL lives a second or longer, and sizes are positive")
		return 2
	}
	if err := serve(ctx, o, getenv, stderr); err != nil {
		setup.Complain(stderr, "upload", err)
		return 1
	}
	return 0
}

// serve answers until ctx ends.
func serve(ctx context.Context, o options, getenv func(string) string, stderr io.Writer) error {
	listener, err := loopback.Listen("-listen", o.listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	origin := "http://" + listener.Addr().String()
	stores, closeStores, err := openStores(o, origin, getenv)
	if err != nil {
		return err
	}
	defer closeStores()
	s, err := newServer(listener.Addr().String(), o, stores)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "upload: %s/\n", origin)
	return loopback.Serve(ctx, listener, s)
}
