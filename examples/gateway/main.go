// Gateway is a server for signed URLs of all five schemes, in front of a directory: services sign as for their cloud, with the
// gateway's address as endpoint, and clients download and upload with what they were given.
//
//	go run ./examples/gateway -dir /srv/files -url http://127.0.0.1:8080 -keys keys.json
//
// Every directory in -dir is a bucket (a container, at Azure) and the files below it are its objects. -url is the address as
// clients write it, also if a proxy stands in between. keys.json says who may sign; leave out the schemes that you do not want:
//
//	{
//	  "s3":    {"region": "eu-west-1", "keys": {"AKIDEXAMPLE": "its secret"}},
//	  "gcs":   {"hmac": {"GOOG1EXAMPLE": "its secret"}, "accounts": ["signer@project.iam.gserviceaccount.com"]},
//	  "cdn":   {"url": "http://media.example.com", "bucket": "photos", "keys": {"key-1": "what gcloud was given, base64url"}},
//	  "azure": {"account": "myaccount", "keys": ["one of the account's keys, base64"]},
//	  "oss":   {"region": "cn-hangzhou", "keys": {"LTAIEXAMPLE": "its secret"}}
//	}
//
// It answers GET, HEAD, PUT and DELETE of one object, with ranges and conditions, and refuses everything else that can be
// signed. What was refused goes to the log with its cause, which a stranger is not told; signatures and secrets go nowhere.
//
// keys.go makes verifiers of keys.json, files.go serves the directory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stderr))
}

// run is main without the process around it; it returns the exit status.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("dir", "", "the directory to serve; each directory in it is a bucket")
	public := flags.String("url", "http://127.0.0.1:8080", "the address as clients write it")
	listen := flags.String("listen", "127.0.0.1:8080", "where to listen")
	keys := flags.String("keys", "", "the file that says who may sign; go doc ./examples/gateway shows one")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() > 0 || *dir == "" || *keys == "" {
		fmt.Fprintln(stderr, "gateway: -dir and -keys are needed, and nothing but flags is understood")
		flags.Usage()
		return 2
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	if err := serve(ctx, log, *dir, *public, *listen, *keys); err != nil {
		fmt.Fprintf(stderr, "gateway: %v\n", err)
		return 1
	}
	return 0
}

// serve answers until ctx ends.
func serve(ctx context.Context, log *slog.Logger, dir, public, listen, keysFile string) error {
	endpoint, err := url.Parse(public)
	if err != nil || endpoint.Host == "" {
		return errors.New("-url is no URL with a host; http://127.0.0.1:8080 is one")
	}
	text, err := os.ReadFile(keysFile)
	if err != nil {
		return fmt.Errorf("-keys: %w", err)
	}
	verifier, err := newVerifier(text, endpoint)
	if err != nil {
		return fmt.Errorf("-keys: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("-dir: %w", err)
	}
	defer root.Close()
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("-listen: %w", err)
	}
	server := &http.Server{
		Handler:           newHandler(log, verifier, root),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelError),
	}
	log.Info("listening", "address", listener.Addr(), "url", endpoint.Redacted())
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}

// newHandler serves root to those whom the verifier lets through.
func newHandler(log *slog.Logger, v signer.Verifier, root *os.Root) http.Handler {
	return signer.Require(logged{v, log}, files{root, log})
}

// logged is a Verifier that logs why it refuses. The errors of this module hold no secret, and a URL is logged without its
// signature; the path is a stranger's and quoted by the handler.
type logged struct {
	signer.Verifier
	log *slog.Logger
}

func (l logged) Verify(ctx context.Context, req *http.Request) (*signer.Grant, error) {
	g, err := l.Verifier.Verify(ctx, req)
	if err != nil {
		l.log.Warn("refused", "method", req.Method, "url", signer.RedactURL(req.URL.String()), "from", req.RemoteAddr, "cause", signer.RedactError(err))
	}
	return g, err
}
