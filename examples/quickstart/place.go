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
	if o.Bucket == "" && o.Endpoint == "" && getenv("AWS_ENDPOINT_URL") == "" {
		return p, p.embedS3()
	}
	if o.Bucket == "" {
		return nil, errors.New("-bucket is missing: name one that exists, or unset AWS_ENDPOINT_URL to use the embedded store")
	}
	c, err := setup.S3(o, getenv)
	if err != nil {
		return nil, err
	}
	where := "Amazon S3"
	if c.Endpoint != nil {
		where = c.Endpoint.Redacted()
	}
	p.about = fmt.Sprintf("bucket %s at %s, region %s", c.Bucket, where, c.Region)
	p.life, p.pass = 2*time.Second, wait
	p.signer, err = s3.New(c)
	return p, err
}

// embedS3 starts the embedded store. Its clock can be moved, so nobody has to wait.
func (p *place) embedS3() error {
	store, err := storefake.Start(storefake.Config{})
	if err != nil {
		return err
	}
	p.about = fmt.Sprintf("bucket %s of the embedded store at %s, region %s", store.Bucket, store.URL, store.Region)
	p.life = time.Minute
	p.pass = func(_ context.Context, d time.Duration) (string, error) {
		store.Clock.Advance(d)
		return fmt.Sprintf("the store's clock is moved %v ahead", d), nil
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
