// Matrix writes the README's table of what each scheme can hold the holder of a URL to, from what the Signers say of themselves:
//
//	go generate ./internal/matrix
package main

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

//go:generate go run . ../../README.md

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: matrix README.md")
		os.Exit(2)
	}
	if err := rewrite(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
}

// The lines between which the table stands.
const (
	begin = "<!-- go generate ./internal/matrix writes this table -->\n"
	end   = "<!-- to here -->\n"
)

func rewrite(name string) error {
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, ok1 := bytes.Cut(old, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok1 || !ok2 {
		return fmt.Errorf("%s lacks the lines %s%s", name, begin, end)
	}
	columns, err := columns()
	if err != nil {
		return err
	}
	return os.WriteFile(name, bytes.Join([][]byte{before, []byte(begin), table(columns), []byte(end), after}, nil), 0o644)
}

// A column is a Signer in one configuration.
type column struct {
	name string
	signer.Capabilities
}

func columns() ([]column, error) {
	secret := signer.NewSecret([]byte("a secret of sixteen bytes and more"))
	hmacKey, err := gcs.HMACKey("GOOG1EXAMPLE", secret)
	if err != nil {
		return nil, err
	}
	shared, err := azure.SharedKey("myaccount", "bm90IGEgc2VjcmV0")
	if err != nil {
		return nil, err
	}
	delegated := azure.UserDelegationKey{SignedOID: "11111111-2222-3333-4444-555555555555", SignedTID: "66666666-7777-8888-9999-000000000000",
		SignedStart: "2026-11-24T00:00:00Z", SignedExpiry: "2026-11-30T00:00:00Z", SignedService: "b", SignedVersion: "2026-04-06", Value: secret}
	var list []column
	add := func(name string, s signer.Capable, err error) error {
		if err == nil {
			list = append(list, column{name, s.Capabilities()})
		}
		return err
	}
	s, err := s3.New(s3.Config{Region: "eu-west-1", Credentials: s3.Credentials{AccessKeyID: "A", SecretKey: secret}})
	if err := add("`s3`", s, err); err != nil {
		return nil, err
	}
	g, err := gcs.New(gcs.Config{Key: hmacKey})
	if err := add("`gcs`", g, err); err != nil {
		return nil, err
	}
	o, err := oss.New(oss.Config{Region: "cn-hangzhou", Credentials: oss.Credentials{AccessKeyID: "A", AccessKeySecret: secret}})
	if err := add("`oss`", o, err); err != nil {
		return nil, err
	}
	a, err := azure.New(azure.Config{Account: "myaccount", Keys: shared})
	if err := add("`azure`", a, err); err != nil {
		return nil, err
	}
	d, err := azure.New(azure.Config{Account: "myaccount", Keys: delegated, Version: "2026-04-06"})
	if err := add("`azure` [1]", d, err); err != nil {
		return nil, err
	}
	c, err := cdn.New(cdn.Config{BaseURL: &url.URL{Scheme: "https", Host: "media.example.com"}, Key: cdn.Key{Name: "k", Secret: signer.NewSecret(make([]byte, 16))}})
	return list, add("`cdn`", c, err)
}

// table writes one row for each capability.
func table(columns []column) []byte {
	var out bytes.Buffer
	row := func(name string, cell func(c *column) string) {
		fmt.Fprintf(&out, "| %s |", name)
		for i := range columns {
			fmt.Fprintf(&out, " %s |", cell(&columns[i]))
		}
		out.WriteByte('\n')
	}
	row("a URL can be held to", func(c *column) string { return c.name })
	row("---", func(*column) string { return "---" })
	row("`Method`", func(c *column) string {
		if c.Methods == nil {
			return "every"
		}
		return strings.Join(c.Methods, ", ")
	})
	row("`Header`: type of an upload", func(c *column) string { return word(c.ContentType) })
	row("`Header`: its length", func(c *column) string { return word(c.ContentLength) })
	row("`Header`: its checksum", func(c *column) string { return word(c.Checksum) })
	row("`Query`: any parameter", func(c *column) string { return word(c.Query) })
	row("`Response`: headers of the answer", func(c *column) string {
		switch len(c.Response) {
		case 0:
			return "no"
		case 5, 6:
			return fmt.Sprintf("%d of 6", len(c.Response))
		}
		return strings.Join(c.Response, ", ")
	})
	row("`SourceIP`", func(c *column) string {
		if c.SourceIP {
			return "IPv4"
		}
		return "no"
	})
	row("a start", func(c *column) string { return word(c.NotBefore) })
	row("longest `Expires`", func(c *column) string {
		if c.MaxExpires == 0 {
			return "no limit"
		}
		return fmt.Sprintf("%d days", c.MaxExpires/(24*time.Hour))
	})
	row("all names with one beginning", func(c *column) string { return word(c.Prefix) })
	row("forms (`PresignPost`)", func(c *column) string { return word(c.Post) })
	return out.Bytes()
}

func word(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
