// Package explain says why a service refused a signed URL or request, and what to do about it. Give it what you have:
//
//	resp, err := http.Get(url)
//	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
//	report, err := explain.Explain(ctx, explain.Evidence{URL: url, Status: resp.StatusCode, Header: resp.Header, Body: body})
//	fmt.Println(report)
//
// A URL alone is enough for what can be seen in it: that it has expired, was cut by a shell, encoded twice, or signed for another
// region than its host's. The answer of the service says more. The most comes from the signer's Trace, which signer.WithTrace
// fills: services repeat what they have signed, and the difference between the two names the part that somebody changed.
//
// Each Cause has a Certainty. Proved means that the evidence leaves no other reading: the service said so itself, or two
// strings that should be equal differ in one place. Services answer some causes with the same words; those are all listed,
// and none of them is Proved.
//
// Nothing is sent anywhere. Signatures, tokens and secrets that the evidence holds do not appear in a Report.
package explain

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// Evidence is what is known about a refused request. A URL, a Request or a Body is required; everything else makes the Report
// better. What is given is only read.
type Evidence struct {
	// URL is the URL as it was used: from a log, from a browser's address line, whatever became of it on the way.
	URL string

	// Request is the request as it was sent; its URL counts if URL is "". Its body is not read.
	Request *http.Request

	// Signed is the request that the signature is for: what Presigned.NewRequest or Sign gave. What the client sent is compared
	// with it.
	Signed *http.Request

	// Trace is what the signer computed; see signer.WithTrace.
	Trace *signer.Trace

	// Status, Header and Body are the service's answer. Up to 64 KiB of the body are looked at. The answer to HEAD has none: send
	// a GET with Range: bytes=0-0 to see the reason.
	Status int
	Header http.Header
	Body   []byte

	// Verifier checks Request with the keys that should have signed it, or a GET of URL if there is no Request. The Report's
	// Facts say what it found.
	Verifier signer.Verifier

	// Now is when the request was sent, by the local clock. Zero means that the times in a URL are not compared with any.
	Now time.Time
}

// A Report says what Explain found.
type Report struct {
	Provider string `json:"provider,omitempty"` // "s3", "gcs", "azure", "oss", "cdn"; "" if it cannot be told
	Scheme   string `json:"scheme,omitempty"`   // "AWS4-HMAC-SHA256", "service SAS" ...
	Form     string `json:"form,omitempty"`     // where the signature stands: "URL", "Authorization header" or "cookie"
	Facts    []Fact `json:"facts,omitempty"`    // what the signature says about itself

	// Causes are the possible ones, the likeliest first. None means that the evidence shows nothing wrong.
	Causes []Cause `json:"causes"`

	// Diff has the lines of what was signed and of what the service made of the request, where both are known.
	Diff []Line `json:"diff,omitempty"`
}

// A Fact is one thing that a signature says about itself.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A Line is a part of the canonical request, or of the string to sign: as it was signed, and as the service had it.
type Line struct {
	Part   string `json:"part"` // "method", "path", "query parameter x", "header host", "payload" ...
	Signed string `json:"signed"`
	Seen   string `json:"seen"`
	Equal  bool   `json:"equal"`
}

// A Certainty says how sure a Cause is.
type Certainty int

const (
	_        Certainty = iota
	Possible           // it would explain the refusal, and so would others
	Likely             // the evidence speaks for it
	Proved             // the evidence leaves no other reading
)

// String returns "possible", "likely" or "proved".
func (c Certainty) String() string {
	switch c {
	case Possible:
		return "possible"
	case Likely:
		return "likely"
	case Proved:
		return "proved"
	}
	return "unknown"
}

// MarshalText is String.
func (c Certainty) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// A Cause is one reason for a refusal.
type Cause struct {
	ID        ID        `json:"id"`
	Certainty Certainty `json:"certainty"`

	// Why is the evidence for it, with the values that were found.
	Why string `json:"why"`

	// Fix is what to do: a sentence, a command, or a line of code.
	Fix string `json:"fix"`
}

// An ID names a cause, for programs.
type ID string

// The causes that Explain tells apart.
const (
	ClockSkew      ID = "clock-skew"      // signer's and service's clocks disagree
	Expired        ID = "expired"         // the signature is past its end
	NotYetValid    ID = "not-yet-valid"   // it is before its beginning
	Lifetime       ID = "lifetime"        // it asks for a longer life than the scheme allows
	WrongRegion    ID = "wrong-region"    // of the credential scope
	WrongService   ID = "wrong-service"   // of the credential scope
	WrongSecret    ID = "wrong-secret"    // both sides signed the same string
	KeyRotated     ID = "key-rotated"     // the key that signed is no longer good
	UnknownKey     ID = "unknown-key"     // no such access key
	KeyDisabled    ID = "key-disabled"    // it exists, and is switched off
	TokenMissing   ID = "token-missing"   // temporary credentials without their token
	TokenInvalid   ID = "token-invalid"   // a token that the service does not know
	TokenExpired   ID = "token-expired"   // the temporary credentials have died
	HeaderAdded    ID = "header-added"    // a header of the provider that is not signed
	HeaderMissing  ID = "header-missing"  // a signed header did not arrive
	HeaderChanged  ID = "header-changed"  // it arrived with another value
	ContentType    ID = "content-type"    // the same of Content-Type, which clients set by themselves
	ContentLength  ID = "content-length"  // the same of Content-Length
	Payload        ID = "payload"         // another body than was signed
	Method         ID = "method"          // another method than was signed
	PathEncoding   ID = "path-encoding"   // the same path, encoded otherwise
	Path           ID = "path"            // another path than was signed
	QueryAdded     ID = "query-added"     // a parameter more
	QueryMissing   ID = "query-missing"   // a parameter less
	QueryChanged   ID = "query-changed"   // a parameter with another value
	Host           ID = "host"            // another host or port than was signed
	TwoSignatures  ID = "two-signatures"  // in URL and header, or of two schemes
	Malformed      ID = "malformed"       // the signature does not follow its form
	HTMLEscaped    ID = "html-escaped"    // &amp; for &
	Truncated      ID = "truncated"       // cut, by a shell at & perhaps
	PlusMangled    ID = "plus-mangled"    // a plus became a space
	DoubleEncoded  ID = "double-encoded"  // percent-encoded twice
	SASInHeader    ID = "sas-in-header"   // a SAS in the Authorization header
	Scope          ID = "scope"           // signed for another kind of resource (sr, ss, srt, sdd)
	Permission     ID = "permission"      // the signature does not allow the operation (sp)
	Address        ID = "address"         // for other client addresses (sip)
	Protocol       ID = "protocol"        // for https only (spr)
	Algorithm      ID = "algorithm"       // of another provider, or withdrawn
	Redirect       ID = "redirect"        // the bucket is elsewhere
	Account        ID = "account"         // the signature is right, and its account may not
	SharedKeyOff   ID = "shared-key-off"  // the storage account takes no account keys
	PolicyViolated ID = "policy-violated" // of an upload form, or a stored access policy
	PolicyUnknown  ID = "policy-unknown"  // no such stored access policy
	DotSegments    ID = "dot-segments"    // clients resolve . and .. in a path
	DateMismatch   ID = "date-mismatch"   // scope and timestamp name different days
	Unsigned       ID = "unsigned"        // no signature arrived
)

// Explain looks for the causes of a refusal. The error is one that wraps signer.ErrRequest if there is nothing to look at, or
// ctx's.
func Explain(ctx context.Context, e Evidence) (*Report, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if e.URL == "" && e.Request == nil && len(e.Body) == 0 && e.Status == 0 && len(e.Header) == 0 {
		return nil, &signer.Error{Op: "explain", Field: "URL", Err: fmt.Errorf("%w: there is neither a URL nor a request nor an answer; give one of them", signer.ErrRequest)}
	}
	c := read(&e)
	for _, rule := range rules() {
		rule(ctx, c)
	}
	r := &Report{Provider: c.provider, Scheme: c.scheme, Form: c.form, Facts: c.facts(), Causes: rank(c.causes), Diff: c.diff}
	c.redact(r)
	return r, nil
}

// rank sorts by certainty, keeps the order of the rules otherwise, and of one cause keeps the surest.
func rank(found []Cause) []Cause {
	slices.SortStableFunc(found, func(a, b Cause) int { return int(b.Certainty) - int(a.Certainty) })
	ranked := make([]Cause, 0, len(found))
	for _, c := range found {
		if !slices.ContainsFunc(ranked, func(r Cause) bool { return r.ID == c.ID }) {
			ranked = append(ranked, c)
		}
	}
	return ranked
}
