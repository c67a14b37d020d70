package signer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Presigned is a signed URL and everything its holder must know.
//
// URL is a bearer secret: who has it can use it. String, Format and LogValue hide its query, as long as the Presigned
// is printed itself or in an exported field. They are not asked in an unexported field, where %s and %q print the
// URL even through a pointer; nor for %w and, by value, %p, which vet refuses. MarshalJSON is for the client and carries
// the URL: a JSON logger calls it for a Presigned within a slice, map or struct.
type Presigned struct {
	// Method is the only method that the URL allows.
	Method string
	URL    string

	// Header is exactly what the holder must send besides what every HTTP client sends by itself; nil when nothing.
	// Host is in it only where it differs from the URL's.
	Header http.Header

	// NotBefore is when the URL starts to work and ExpiresAt when it dies, on the provider's clock.
	NotBefore time.Time
	ExpiresAt time.Time

	// LimitedBy says what decided ExpiresAt.
	LimitedBy Limit

	// StableUntil is the end of the window, or of the credentials if that is earlier: until then the same request
	// gets the same URL. A credential source that rotates earlier changes it earlier. Zero without a Window.
	StableUntil time.Time

	// ClockOffset is the correction in force: by the local clock the URL dies at ExpiresAt minus ClockOffset.
	ClockOffset time.Duration

	// NotEnforced names what BestEffort let through: sent with the request, but not held to by the provider. An entry is a field
	// of the Request, with the name of what is in it: "Header.Content-Type" (as http.CanonicalHeaderKey writes it),
	// "Query.prefix", "Response.CacheControl", "SourceIP". PresignRequest of oss names headers here without BestEffort.
	NotEnforced []string
}

// NewRequest makes the request that the URL is for, with the headers that its holder must send, and with Host and
// ContentLength set where they are signed. A body of a known other length is ErrRequest, and so is one of unknown
// length where an empty one is signed. Any other body of unknown length is held to the signed one when it is sent.
//
// S3 and Azure refuse an upload that does not say its length: set the request's ContentLength for a body that is no bytes.Buffer,
// bytes.Reader or strings.Reader, an *os.File perhaps.
func (p *Presigned) NewRequest(ctx context.Context, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, p.Method, p.URL, body)
	if err != nil {
		return nil, &Error{Op: "new request", Field: "URL", Err: fmt.Errorf("%w: %w", ErrRequest, RedactError(err))}
	}
	if err := p.dress(req); err != nil {
		return nil, err
	}
	return req, nil
}

// dress gives req what the URL's holder must send.
func (p *Presigned) dress(req *http.Request) error {
	for name, values := range p.Header {
		switch http.CanonicalHeaderKey(name) {
		case "Host":
			if len(values) > 0 {
				req.Host = values[0]
			}
		case "Content-Length":
			n, err := strconv.ParseInt(strings.Join(values, ","), 10, 64)
			if err != nil || n < 0 {
				return &Error{Op: "new request", Field: name, Err: fmt.Errorf("%w: not a number of bytes", ErrRequest)}
			}
			empty := req.Body == nil || req.Body == http.NoBody
			switch known := empty || req.ContentLength > 0; {
			case known && req.ContentLength != n:
				return &Error{Op: "new request", Field: name, Err: fmt.Errorf(
					"%w: the URL is signed for a body of %d bytes, this one has %d", ErrRequest, n, req.ContentLength)}
			case !known && n == 0:
				return &Error{Op: "new request", Field: name, Err: fmt.Errorf(
					"%w: the URL is signed for an empty body; pass nil", ErrRequest)}
			}
			req.ContentLength = n
			req.Header[name] = slices.Clone(values)
		default:
			req.Header[name] = slices.Clone(values)
		}
	}
	return nil
}

// CacheControl returns the Cache-Control value for an answer that carries the URL (a redirect to it, a page that
// links to it), such that no cache keeps it past the URL's life: "private, max-age=..." with nine tenths of what is
// left at now, or "no-store". now is a reading of the local clock.
func (p *Presigned) CacheControl(now time.Time) string {
	left := p.ExpiresAt.Add(-p.ClockOffset).Sub(now)
	age := int64((left - left/10) / time.Second)
	if age < 1 {
		return "no-store"
	}
	return "private, max-age=" + strconv.FormatInt(age, 10)
}

// MarshalJSON returns {"method","url","headers","expiresAt"} as a browser's fetch wants it. It carries the URL, with
// its signature: send it to the one who shall use it, do not log it. A client in Go decodes it into a struct of its own,
// with Headers map[string]string: a Presigned does not read it back.
func (p Presigned) MarshalJSON() ([]byte, error) {
	headers := make(map[string]string, len(p.Header))
	for name, values := range p.Header {
		headers[name] = strings.Join(values, ",") // as the signature joins them, without a space
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // a URL with \u0026 in it is valid JSON, but nobody can paste it
	err := enc.Encode(struct {
		Method    string            `json:"method"`
		URL       string            `json:"url"`
		Headers   map[string]string `json:"headers"`
		ExpiresAt time.Time         `json:"expiresAt"`
	}{p.Method, p.URL, headers, p.ExpiresAt.UTC()})
	return []byte(strings.TrimSuffix(b.String(), "\n")), err
}

// String returns method, URL without its query, and expiry.
func (p Presigned) String() string {
	return p.Method + " " + p.redacted() + " until " + p.ExpiresAt.UTC().Format(time.RFC3339)
}

// Format prints String for every verb.
func (p Presigned) Format(f fmt.State, verb rune) { io.WriteString(f, p.String()) }

// GoString is String.
func (p Presigned) GoString() string { return p.String() }

// LogValue returns what String prints, as a group.
func (p Presigned) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("method", p.Method),
		slog.String("url", p.redacted()),
		slog.Time("expiresAt", p.ExpiresAt),
		slog.String("limitedBy", p.LimitedBy.String()),
	)
}

func (p Presigned) redacted() string {
	head, _, signed := strings.Cut(RedactURL(p.URL), "?") // RedactURL: some schemes sign in the path
	if signed {
		head += "?REDACTED"
	}
	return head
}
