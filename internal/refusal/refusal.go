// Package refusal reads the error bodies of the providers: S3, OSS, GCS and Azure all answer with an XML document named
// Error whose children say what was wrong. A body comes from a stranger: reading is bounded and never fails, it only finds
// less.
package refusal

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"strings"
	"time"
)

// MaxBody is how much of a body is read. The largest that providers send repeat a canonical request, which headers bound.
const MaxBody = 64 << 10

// maxElements is several times what the most talkative provider sends.
const maxElements = 64

// A Kind says what a refusal means for a clock.
type Kind int

const (
	Other    Kind = iota // says nothing about clocks
	Time                 // the request was refused for its time
	Mismatch             // the signature is wrong, for which the time may be the cause
)

// A Refusal is what an error body says.
type Refusal struct {
	Code, Message string

	// ServerTime is the server's clock when it refused, and Precision how finely it was written; the zero time if it is
	// not told.
	ServerTime time.Time
	Precision  time.Duration

	elements []element
}

type element struct{ name, text string }

// Text returns the text of a child of Error, "" if there is none: StringToSign, CanonicalRequest, EC, Region ...
func (r *Refusal) Text(name string) string {
	for _, e := range r.elements {
		if e.name == name {
			return e.text
		}
	}
	return ""
}

// MismatchSkew is how far the clocks must be apart before a wrong signature is blamed on the time.
const MismatchSkew = 4 * time.Minute

// Possible says with which status a service refuses a request for its time.
func Possible(status int) bool {
	return status == http.StatusBadRequest || status == http.StatusUnauthorized || status == http.StatusForbidden
}

// Of reads an answer: the body, or the header in which OSS sends it in answer to HEAD. A refusal without either, which is
// all that the others say to HEAD, may be anything, and is a Mismatch to a clock.
func Of(status int, h http.Header, body []byte) (*Refusal, Kind) {
	if !Possible(status) {
		return &Refusal{}, Other
	}
	if sent := h.Get("X-Oss-Err"); len(body) == 0 && len(sent) <= base64.StdEncoding.EncodedLen(MaxBody) {
		body, _ = base64.StdEncoding.DecodeString(sent)
	}
	if len(body) == 0 {
		return &Refusal{}, Mismatch
	}
	r := Parse(body)
	return r, r.Kind()
}

// Parse reads an error body, as far as it is whole, well-formed and no longer than MaxBody. Of what is none it makes a
// Refusal that says nothing.
func Parse(body []byte) *Refusal {
	r := &Refusal{elements: children(body)}
	r.Code, r.Message = r.Text("Code"), r.Text("Message")
	r.serverTime()
	return r
}

// children returns the texts of the children of the root element Error.
func children(body []byte) (found []element) {
	body = bytes.TrimPrefix(body[:min(len(body), MaxBody)], []byte("\ufeff")) // Azure sends a byte order mark
	d := xml.NewDecoder(bytes.NewReader(body))
	var text strings.Builder
	for depth := 0; len(found) < maxElements; {
		token, err := d.Token()
		if err != nil {
			return found
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth == 0 && t.Name.Local != "Error" {
				return nil
			}
			depth++
			text.Reset()
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			if depth == 2 {
				found = append(found, element{t.Name.Local, strings.TrimSpace(text.String())})
			}
			depth--
			text.Reset()
		}
	}
	return found
}

// serverTime looks for the server's clock where each provider puts it, the finest first.
func (r *Refusal) serverTime() {
	for _, told := range []string{
		r.Text("ServerTime"), // S3, OSS
		after(r.Message, "\nTime:", "\n"),
		after(r.Text("AuthenticationErrorDetail"), "Current [", "]"),
		after(r.Message, "Current [", "]"),
	} {
		if t, ok := parseTime(told); ok {
			r.ServerTime, r.Precision = t, time.Second
			// .000 is what those write who have no fractions.
			if t.Nanosecond() != 0 {
				r.Precision = time.Millisecond
			}
			return
		}
	}
}

// after returns what stands between two marks; the end of the text is a mark, too.
func after(text, from, to string) string {
	_, rest, _ := strings.Cut(text, from)
	told, _, _ := strings.Cut(rest, to)
	return strings.TrimSpace(told)
}

// parseTime reads ISO 8601 (S3, OSS, Azure's Time:) and the date of HTTP (Azure's Current).
func parseTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, http.TimeFormat} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// Kind tells refusals for the time from others. Messages are matched only under the codes that stand for many causes,
// because their wording changes.
func (r *Refusal) Kind() Kind {
	switch r.Code {
	case "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture", "ExpiredRequest": // the last is R2's
		return Time
	case "AccessDenied": // S3, OSS; MinIO says "not valid yet"
		return r.about(Other, "has expired", "not yet valid", "not valid yet", "Policy expired")
	case "ExpiredToken": // GCS; of S3 it means session tokens
		return r.about(Other, "signature expired", "Request has expired")
	case "AuthenticationFailed", "InvalidAuthenticationInfo": // Azure
		return r.about(Mismatch, "specified time frame", "specified key time frame", "date header too old")
	case "SignatureDoesNotMatch", "InvalidSignatureException", "AuthorizationFailure": // the last is Azurite's
		return Mismatch
	}
	return Other
}

// about is Time if one of the phrases stands in the message or its details, and otherwise what is given.
func (r *Refusal) about(otherwise Kind, phrases ...string) Kind {
	text := r.Message + "\n" + r.Text("Details") + "\n" + r.Text("AuthenticationErrorDetail")
	for _, p := range phrases {
		if strings.Contains(text, p) {
			return Time
		}
	}
	return otherwise
}
