package signer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// A Trace receives the intermediate values of a signature, to compare them with what a service says it signed. It is
// filled by the first Presign, Sign or Verify that runs under its context to the point where the values exist, and
// overwritten by the next; do not share one between concurrent calls.
//
// The bytes can hold a session token. String, Format and the other ways to print a Trace redact it.
type Trace struct {
	CanonicalRequest []byte // nil for schemes that have none (Azure SAS, Cloud CDN)
	StringToSign     []byte
}

type traceKey struct{}

// WithTrace returns a context under which signing and verifying fill t.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceFrom returns the Trace that the context carries, or nil. It is for implementations of Signer.
func TraceFrom(ctx context.Context) *Trace {
	t, _ := ctx.Value(traceKey{}).(*Trace)
	return t
}

// String returns both values with tokens and credentials redacted.
func (t Trace) String() string {
	var b strings.Builder
	for _, stage := range [...]struct {
		title string
		bytes []byte
	}{{"canonical request", t.CanonicalRequest}, {"string to sign", t.StringToSign}} {
		if stage.bytes == nil {
			continue
		}
		fmt.Fprintf(&b, "%s:\n", stage.title)
		for line := range strings.Lines(string(stage.bytes)) {
			b.WriteString(redactLine(line))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Format prints String for every verb.
func (t Trace) Format(f fmt.State, verb rune) { io.WriteString(f, t.String()) }

// MarshalText is String.
func (t Trace) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// redactLine cleans one line of a canonical request: a header, a query, or something without secrets.
func redactLine(line string) string {
	if name, value, ok := strings.Cut(line, ":"); ok && !strings.ContainsAny(name, "/=&") {
		text, end := strings.CutSuffix(value, "\n")
		value = strings.Join(RedactHeader(http.Header{name: {text}})[name], "")
		if end {
			value += "\n"
		}
		return name + ":" + value
	}
	if strings.Contains(line, "=") {
		return strings.TrimPrefix(RedactURL("?"+line), "?")
	}
	return line
}
