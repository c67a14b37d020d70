package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/examples/internal/setup"
	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A place is where the tour goes: a store, and all that differs from one provider to the next.
type place struct {
	about  string
	signer signer.Signer

	list     func(prefix string) signer.Request          // what lists the names that begin with prefix
	names    func(body io.Reader) ([]string, error)      // reads the answer
	reason   func(body io.Reader) (code, message string) // reads a refusal
	mismatch string                                      // the code of the refusal of a changed request

	life  time.Duration                                              // of the URL that is to expire
	pass  func(ctx context.Context, d time.Duration) (string, error) // lets d pass on the store's clock, and says how
	keep  func(out io.Writer)                                        // readies an embedded store for others, and says how to use it; else nil
	close func() error
}

// open finds the place that the flags and the environment name, or starts the embedded store if they name none.
func open(o setup.Options, getenv func(string) string) (*place, error) {
	switch o.Provider {
	case "s3":
		return openS3(o, getenv)
	}
	return nil, setup.ErrProvider(o.Provider)
}

func openS3(o setup.Options, getenv func(string) string) (*place, error) {
	p := &place{
		list: func(prefix string) signer.Request {
			return signer.Request{Query: url.Values{"list-type": {"2"}, "prefix": {prefix}}}
		},
		names:    namesS3,
		reason:   reasonS3,
		mismatch: "SignatureDoesNotMatch",
		close:    func() error { return nil },
	}
	endpoint, from := o.EndpointFrom(getenv)
	if o.Bucket == "" && endpoint == "" {
		return p, p.embedS3(o.Region)
	}
	where := "Amazon S3, for want of an -endpoint"
	if endpoint != "" {
		where = "the service that " + from + " names"
	}
	s, c, err := setup.S3(o, getenv)
	if err != nil {
		return nil, errors.Join(err, fmt.Errorf("this was to be %s; %s", where, embedded(o, getenv)))
	}
	if c.Endpoint != nil {
		where = c.Endpoint.Redacted()
	}
	p.about = fmt.Sprintf("bucket %s, region %s, at %s", c.Bucket, c.Region, where)
	p.life, p.pass = 2*time.Second, wait
	p.signer = s
	return p, nil
}

// embedded says how to come to the embedded store from here.
func embedded(o setup.Options, getenv func(string) string) string {
	var undo []string
	if o.Bucket != "" {
		undo = append(undo, "leave out -bucket")
	}
	if o.Endpoint != "" {
		undo = append(undo, "leave out -endpoint")
	}
	if getenv("AWS_ENDPOINT_URL") != "" {
		undo = append(undo, "unset AWS_ENDPOINT_URL")
	}
	return "to use the embedded store, " + strings.Join(undo, " and ")
}

// embedS3 starts the embedded store. Its clock can be moved, so nobody has to wait.
func (p *place) embedS3(region string) error {
	store, err := storefake.Start(storefake.Config{Region: region})
	if err != nil {
		return err
	}
	p.about = fmt.Sprintf("bucket %s of the embedded store at %s, region %s", store.Bucket, store.URL, store.Region)
	p.life = time.Minute
	p.pass = func(_ context.Context, d time.Duration) (string, error) {
		store.Clock.Advance(d)
		return fmt.Sprintf("the store's clock is moved %v ahead", d), nil
	}
	p.keep = func(out io.Writer) {
		store.Clock.Advance(-p.life) // as the clock of others
		fmt.Fprintf(out, `
The store runs until it is interrupted. In another shell:

export AWS_ENDPOINT_URL=%s AWS_REGION=%s
export AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s
unset AWS_SESSION_TOKEN
go run ./examples/presign -bucket %s -curl put FILE

The credentials are random, made for this run, and good for this store alone, which no other machine can reach.
Never print those of a real one.
`, store.URL, store.Region, store.Credentials.AccessKeyID, store.Credentials.SecretKey.Reveal(), store.Bucket)
	}
	p.close = store.Close
	p.signer, err = s3.New(s3.Config{Region: store.Region, Bucket: store.Bucket, Endpoint: store.Endpoint(), Credentials: store.Credentials})
	if err != nil {
		store.Close()
	}
	return err
}

// wait lets real time pass, and a second more for the servers that round.
func wait(ctx context.Context, d time.Duration) (string, error) {
	d += time.Second
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return fmt.Sprintf("%v later", d), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func namesS3(body io.Reader) (names []string, err error) {
	var list struct {
		XMLName  xml.Name `xml:"ListBucketResult"`
		Contents []struct{ Key string }
	}
	err = xml.NewDecoder(body).Decode(&list)
	for _, c := range list.Contents {
		names = append(names, c.Key)
	}
	return names, err
}

func reasonS3(body io.Reader) (code, message string) {
	var e struct {
		XMLName       xml.Name `xml:"Error"`
		Code, Message string
	}
	if xml.NewDecoder(body).Decode(&e) != nil {
		return "", "it gives no reason"
	}
	return e.Code, strings.TrimSuffix(e.Message, ".")
}
