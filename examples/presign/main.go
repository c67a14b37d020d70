// Presign prints a presigned URL.
//
//	go run ./examples/presign -bucket photos -region eu-west-1 get 2026/11/cat.jpg
//	go run ./examples/presign -bucket photos -region eu-west-1 -attachment 'Zoë.jpg' -json get 2026/11/cat.jpg
//	go run ./examples/presign -bucket photos -region eu-west-1 -header 'Content-Type: image/jpeg' -curl put 2026/11/cat.jpg
//	go run ./examples/presign -bucket photos -region eu-west-1 list 2026/11/
//	go run ./examples/presign -provider gcs -bucket photos get 2026/11/cat.jpg
//	go run ./examples/presign -provider azure -account myaccount -bucket photos -best-effort list 2026/11/
//	go run ./examples/presign -provider cdn -endpoint https://media.example.com -key-name my-key -key-file my-key.txt get cat.jpg
//
// The URL goes to standard output, alone on its line, so that it can be piped; when it ends, what must be sent with it and what is
// not enforced go to standard error. Credentials come from the variables that the provider's own tools read; -h lists them.
//
// list makes a URL that answers with the names of the bucket's objects in XML: of those that begin with PREFIX, or all, the first
// thousand (five thousand at Azure); -query adds what the provider's list takes besides, max-keys=10 perhaps. Azure signs no
// prefix, so there it takes -best-effort, and who holds the URL can list the whole container. A CDN lists nothing.
//
// What it prints is a secret for as long as the URL lives.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/examples/internal/setup"
	"github.com/cloudsigner/cloudsigner/signer"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is main without the process around it; it returns the exit status: 1 if nothing could be signed, 2 if the command
// line is not understood.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	c, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2 // parse has said why
	}
	s, _, err := setup.NewSigner(c.Options, getenv)
	var p *signer.Presigned
	if err == nil {
		p, err = s.Presign(ctx, c.request)
	}
	var text []byte
	if err == nil {
		text, err = c.format(p)
	}
	if err != nil {
		setup.Complain(stderr, "presign", c.inFlags(err))
		if errors.As(err, new(setup.ErrProvider)) {
			return 2
		}
		return 1
	}
	fmt.Fprintf(stdout, "%s\n", text)
	fmt.Fprintf(stderr, "%s until %s\n", p.Method, p.ExpiresAt.Format(time.RFC3339))
	if p.LimitedBy != signer.LimitRequest {
		fmt.Fprintf(stderr, "its end is that of the %s\n", p.LimitedBy)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Header)) {
		for _, value := range p.Header[name] {
			fmt.Fprintf(stderr, "send %s: %s\n", name, value)
		}
	}
	for _, what := range p.NotEnforced {
		fmt.Fprintf(stderr, "not enforced: %s\n", what)
	}
	return 0
}

const usage = `Presign prints a presigned URL.

usage: presign [flags] get|put|head|delete KEY
       presign [flags] list [PREFIX]

list makes a URL that answers with the names that begin with PREFIX, in XML. Azure does not sign the PREFIX: give -best-effort,
and know that the URL lists the whole container.

Examples:
  presign -bucket photos -region eu-west-1 -expires 1h get 2026/11/cat.jpg
  presign -bucket photos -region us-east-1 -endpoint http://127.0.0.1:9000 -curl put cat.jpg
  presign -provider gcs -bucket photos -attachment cat.jpg get 2026/11/cat.jpg
  presign -provider azure -account myaccount -bucket photos put cat.jpg
  presign -provider azure -account myaccount -bucket photos -best-effort list 2026/11/
  presign -provider oss -bucket photos -region cn-hangzhou list 2026/11/
  presign -provider cdn -endpoint https://media.example.com -key-name my-key -key-file my-key.txt get cat.jpg

Environment:
`

// A command is a parsed command line.
type command struct {
	setup.Options
	what       string // get, put, ...
	request    signer.Request
	json, curl bool
}

// parse reads the command line. It writes what is wrong with it, or help, to stderr.
func parse(args []string, stderr io.Writer) (*command, error) {
	c := &command{request: signer.Request{Header: make(http.Header), Query: make(url.Values)}}
	var attachment string
	flags := flag.NewFlagSet("presign", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // an error is one line, without the usage
	c.Provider = "s3"
	c.AddFlags(flags)
	duration := func(d *time.Duration) func(string) error {
		return func(s string) (err error) {
			if *d, err = time.ParseDuration(s); err != nil {
				return errors.New("write it like 15m or 48h")
			}
			return nil
		}
	}
	c.request.Expires = 15 * time.Minute
	flags.Func("expires", "how long the URL must work, a `duration` (default 15m)", duration(&c.request.Expires))
	flags.Func("window", "the same URL for calls within this `duration` (default none)", duration(&c.request.Window))
	flags.Func("header", "a `'Name: value'` that must be sent with the URL; may be repeated", func(s string) error {
		name, value, ok := strings.Cut(s, ":")
		if !ok {
			return errors.New("write it 'Name: value'")
		}
		c.request.Header.Add(name, strings.TrimSpace(value))
		return nil
	})
	flags.Func("query", "a `name=value` to put into the URL; may be repeated", func(s string) error {
		name, value, _ := strings.Cut(s, "=")
		c.request.Query.Add(name, value)
		return nil
	})
	flags.StringVar(&attachment, "attachment", "", "the file `name` to save under")
	flags.BoolVar(&c.request.BestEffort, "best-effort", false, "sign also if the scheme cannot enforce all of it, and say what")
	flags.BoolVar(&c.request.AllowShorter, "allow-shorter", false, "sign also if the URL dies earlier than -expires says, with its credentials perhaps")
	flags.BoolVar(&c.json, "json", false, "print method, URL, headers and end as JSON")
	flags.BoolVar(&c.curl, "curl", false, "print a curl command for the shell")
	wrong := func(text string) (*command, error) {
		fmt.Fprintf(stderr, "presign: %s (-h tells more)\n", text)
		return nil, errors.New(text)
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(stderr, "%s%s\nFlags:\n", usage, setup.Environment)
		flags.SetOutput(stderr)
		flags.PrintDefaults()
		return nil, err
	case err != nil:
		return wrong(err.Error())
	}
	if c.json && c.curl {
		return wrong("-json or -curl, not both")
	}
	if attachment != "" {
		c.request.Response.ContentDisposition = signer.Attachment(attachment)
	}
	what, key := flags.Arg(0), flags.Arg(1)
	c.what = what
	commands := []string{"get", "put", "head", "delete", "list"}
	flagLike := func(arg string) bool { return strings.HasPrefix(arg, "-") }
	switch {
	case what == "":
		return wrong("say what the URL is for: " + strings.Join(commands, ", "))
	case !slices.Contains(commands, what):
		return wrong(fmt.Sprintf("%q is none of %s", what, strings.Join(commands, ", ")))
	case flags.NArg() > 2 && slices.ContainsFunc(flags.Args()[1:], flagLike): // two words may be a key that begins with a hyphen
		return wrong("flags go before " + what)
	case what == "list" && flags.NArg() > 2:
		return wrong("list takes one prefix or none")
	case what != "list" && (flags.NArg() != 2 || key == ""):
		return wrong(what + " takes one key")
	case c.Misplaced() != nil:
		setup.Complain(stderr, "presign", c.Misplaced())
		return nil, c.Misplaced()
	case what == "list":
		list, err := setup.List(c.Provider, key)
		if err != nil {
			return wrong(err.Error())
		}
		c.request.Method = http.MethodGet
		for name, values := range list.Query {
			c.request.Query[name] = values
		}
	default:
		c.request.Method, c.request.Key = strings.ToUpper(what), key
	}
	return c, nil
}

// inFlags is err in the words of the command line, in place of those of the library.
func (c *command) inFlags(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && errors.Join(joined.Unwrap()...).Error() == err.Error() {
		var errs []error
		for _, err := range joined.Unwrap() {
			errs = append(errs, c.inFlags(err))
		}
		return errors.Join(errs...)
	}
	e, ok := err.(*signer.Error)
	if !ok {
		return err
	}
	fields := strings.Split(e.Field, ", ")
	for i, field := range fields {
		fields[i] = c.flagOf(e.Op, field)
	}
	text := strings.NewReplacer("BestEffort", "-best-effort", "AllowShorter", "-allow-shorter",
		"a shorter Expires", "a shorter -expires", "half of Expires", "half of -expires", "with Expires", "with -expires", "a Window of", "a -window of",
		"set SessionToken", "set AWS_SESSION_TOKEN", "set SecurityToken", "set OSS_SESSION_TOKEN").Replace(e.Err.Error())
	return fmt.Errorf("%s: %s: %s", e.Backend, strings.Join(fields, ", "), text)
}

// flagOf names what fills a field, or returns the field.
func (c *command) flagOf(op, field string) string {
	name, in, _ := strings.Cut(field, ".")
	flag := map[string]string{"Expires": "-expires", "Window": "-window", "Header": "-header", "Query": "-query", "Response": "-attachment",
		"Bucket": "-bucket", "Container": "-bucket", "Region": "-region", "Endpoint": "-endpoint", "BaseURL": "-endpoint", "Account": "-account",
		"Method": c.what}[name]
	switch {
	case name == "Key" && op == "presign":
		return "KEY"
	case name == "Secret" && op == "parse key":
		return "-key-file"
	case name == "Query" && c.what == "list":
		return c.what // which adds parameters of its own
	case flag == "":
		return field
	case name == "Header" && in != "":
		return flag + " " + in
	}
	return flag
}

// format writes p as the command line asks.
func (c *command) format(p *signer.Presigned) ([]byte, error) {
	switch {
	case c.json:
		text, err := p.MarshalJSON() // and not json.Marshal, which would write \u0026 for every ampersand
		return []byte(strings.TrimSpace(string(text))), err
	case c.curl:
		return []byte(curl(p)), nil
	}
	return []byte(p.URL), nil
}

// curl returns a shell command that uses p. An upload sends the file that is called like the object, without directories.
func curl(p *signer.Presigned) string {
	args := []string{"curl", "--globoff"} // brackets in a URL are no patterns
	switch p.Method {
	case http.MethodGet:
	case http.MethodHead:
		args = append(args, "--head")
	case http.MethodPut:
		args = append(args, "--upload-file", "./file")
		if u, err := url.Parse(p.URL); err == nil && !strings.HasSuffix(u.Path, "/") {
			args[len(args)-1] = "./" + path.Base(u.Path)
		}
	default:
		args = append(args, "--request", p.Method)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Header)) {
		for _, value := range p.Header[name] {
			header := name + ": " + value
			if value == "" {
				header = name + ";" // with a colon curl would send no such header
			}
			args = append(args, "--header", header)
		}
	}
	args = append(args, p.URL)
	for i, arg := range args {
		args[i] = quote(arg)
	}
	return strings.Join(args, " ")
}

// quote writes s as one word for a POSIX shell.
func quote(s string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_./:", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
