package policy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A Document is a policy that was read.
type Document struct {
	Expiration time.Time
	conditions []condition // their fields in lower case
}

// Fields are those of a form by their names in lower case.
type Fields map[string]string

// FieldsOf refuses a form that has a field twice, in any spelling: one could be held to the policy and the other be acted on.
func FieldsOf(list []signer.Field) (Fields, error) {
	fields := make(Fields, len(list))
	for _, f := range list {
		low := strings.ToLower(f.Name)
		if _, twice := fields[low]; twice {
			return nil, errors.New("the form has a field twice")
		}
		fields[low] = f.Value
	}
	return fields, nil
}

// Read parses the field policy. It takes exactly what the providers' documentation has: standard base64, one expiration in UTC,
// one list of conditions.
func Read(encoded string) (*Document, error) {
	text, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") { // which decoders pass over
		return nil, errors.New("it is not base64")
	}
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(withoutDollarEscapes(text)))
	dec.UseNumber()
	var doc Document
	seen := make(map[string]bool, 2)
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, errors.New("it is not JSON")
		}
		member, _ := name.(string)
		if seen[member] {
			return nil, fmt.Errorf("it has %s twice", pipeline.Shown(member))
		}
		seen[member] = true
		switch member {
		case "expiration":
			var s string
			if err := dec.Decode(&s); err != nil {
				return nil, errors.New("its expiration is no string")
			}
			if doc.Expiration, err = time.Parse("2006-01-02T15:04:05Z", s); err != nil { // a fraction may follow the seconds
				return nil, errors.New("its expiration is not of the form 2006-01-02T15:04:05Z")
			}
		case "conditions":
			var list []json.RawMessage
			if err := dec.Decode(&list); err != nil || list == nil {
				return nil, errors.New("its conditions are no list")
			}
			for _, raw := range list {
				c, err := readCondition(raw)
				if err != nil {
					return nil, err
				}
				doc.conditions = append(doc.conditions, c)
			}
		default:
			return nil, fmt.Errorf("it has %s, and can have expiration and conditions only", pipeline.Shown(member))
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("it is not JSON")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("something follows its end")
	}
	if !seen["expiration"] || !seen["conditions"] {
		return nil, errors.New("it lacks expiration or conditions")
	}
	return &doc, nil
}

// withoutDollarEscapes makes JSON of the documented escape of a dollar sign.
func withoutDollarEscapes(text []byte) []byte {
	if !bytes.Contains(text, []byte(`\$`)) {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			if i++; text[i] != '$' {
				out = append(out, '\\')
			}
		}
		out = append(out, text[i])
	}
	return out
}

// readCondition reads {"field":"value"}, ["eq","$field","value"] and the like.
func readCondition(raw json.RawMessage) (c condition, err error) {
	bad := func(format string, args ...any) error { return fmt.Errorf("a condition "+format, args...) }
	if raw[0] == '{' {
		dec := json.NewDecoder(bytes.NewReader(raw))
		_, _ = dec.Token() // the brace
		name, _ := dec.Token()
		value, _ := dec.Token()
		field, ok1 := name.(string)
		text, ok2 := value.(string)
		if end, _ := dec.Token(); !ok1 || !ok2 || end != json.Delim('}') {
			return condition{}, bad("is not one field with one text")
		}
		return condition{op: opEqual, field: strings.ToLower(field), values: []string{text}}, nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) != 3 || json.Unmarshal(list[0], &c.op) != nil {
		return condition{}, bad("is no list of an operation and two more elements")
	}
	if c.op == opRange {
		least, ok1 := readSize(list[1])
		most, ok2 := readSize(list[2])
		if !ok1 || !ok2 || least > most {
			return condition{}, bad("%s is not of two sizes, the smaller one first", opRange)
		}
		c.least, c.most = least, most
		return c, nil
	}
	field, ok := readString(list[1])
	name, dollar := strings.CutPrefix(field, "$")
	if !ok || !dollar || name == "" {
		return condition{}, bad("names no field with a dollar sign")
	}
	c.field = strings.ToLower(name)
	switch c.op {
	case opEqual, opPrefix:
		value, ok := readString(list[2])
		if !ok {
			return condition{}, bad("%s has no text", c.op)
		}
		c.values = []string{value}
	case opIn, opNotIn:
		var values []json.RawMessage
		if json.Unmarshal(list[2], &values) != nil || len(values) == 0 {
			return condition{}, bad("%s has no list", c.op)
		}
		for _, raw := range values {
			value, ok := readString(raw)
			if !ok {
				return condition{}, bad("%s has no list of texts", c.op)
			}
			c.values = append(c.values, value)
		}
	default:
		return condition{}, bad("has the operation %s, which is none", pipeline.Shown(c.op))
	}
	return c, nil
}

// readString reads a string; null, which Unmarshal lets pass, is none.
func readString(raw json.RawMessage) (s string, ok bool) {
	return s, raw[0] == '"' && json.Unmarshal(raw, &s) == nil
}

// readSize reads a number of bytes, which may stand in quotes.
func readSize(raw json.RawMessage) (int64, bool) {
	text := string(raw)
	if s, ok := readString(raw); ok {
		text = s
	}
	n, err := strconv.ParseUint(text, 10, 63)
	return int64(n), err == nil
}

// An Unmet error names the condition that a form does not meet.
type Unmet struct {
	Field     string // in lower case
	Condition string // as in ["eq", "$acl", "private"]; "" where none covers the field
}

func (e *Unmet) Error() string {
	if e.Condition == "" {
		return "the policy has no condition on this field; a form may have only fields that the policy names"
	}
	return "the condition " + e.Condition + " does not hold"
}

// Grant holds a form to its policy, whose signature was verified. What it returns lacks what only the backend knows: who signed,
// and when.
func (d *Dialect) Grant(op pipeline.Op, now time.Time, p *signer.Post, fields Fields) (*signer.PostGrant, error) {
	doc, err := Read(fields["policy"])
	if err != nil {
		return nil, op.Refusal(signer.ErrMalformed, "policy", d.CodeMalformed, "%w", err)
	}
	if !now.Before(doc.Expiration) {
		return nil, op.Refusal(signer.ErrExpired, "policy", d.CodeExpired, "it was good until %s, and it is %s",
			doc.Expiration.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	fields = d.expand(fields, p.FileName)
	if err := d.evaluate(doc, fields, p.Bucket); err != nil {
		return nil, op.Refusal(signer.ErrPolicy, pipeline.Clip(err.Field), d.CodeUnmet, "%w", err)
	}
	key := fields["key"]
	if !utf8.ValidString(key) || strings.IndexByte(key, 0) >= 0 {
		return nil, op.Refusal(signer.ErrMalformed, "key", d.CodeMalformed, "it holds a NUL or invalid UTF-8")
	}
	g := &signer.PostGrant{
		Grant:    signer.Grant{Backend: op.Backend, Method: http.MethodPost, Bucket: p.Bucket, Key: key, ExpiresAt: doc.Expiration},
		MaxBytes: -1,
	}
	for name, value := range fields {
		hidden := strings.HasSuffix(name, "-customer-key") || strings.HasSuffix(name, "-encryption-key") // a Grant is logged
		if name != "key" && name != "bucket" && !d.exempt(name) && !Scheme(name) && !hidden {
			pipeline.SetHeader(&g.Header, name, []string{value})
		}
	}
	for _, c := range doc.conditions {
		if c.op != opRange {
			continue
		}
		g.MinBytes = max(g.MinBytes, c.least)
		if g.MaxBytes < 0 || c.most < g.MaxBytes {
			g.MaxBytes = c.most
		}
	}
	return g, nil
}

// exempt reports whether a field needs no condition.
func (d *Dialect) exempt(name string) bool {
	return name == "policy" || name == "file" || name == d.Signature || strings.HasPrefix(name, "x-ignore-")
}

// expand puts the name of the file, without directories, in its place.
func (d *Dialect) expand(fields Fields, name string) Fields {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	expanded := make(Fields, len(fields))
	for field, value := range fields {
		if field == "key" || d.Everywhere && !d.exempt(field) {
			value = strings.ReplaceAll(value, fileName, name)
		}
		expanded[field] = value
	}
	return expanded
}

// evaluate finds the first condition that does not hold, or else the first field that none covers.
func (d *Dialect) evaluate(doc *Document, fields Fields, bucket string) *Unmet {
	covered := make(map[string]bool, len(doc.conditions))
	fixed := false // the key is one of a list
	for i := range doc.conditions {
		c := &doc.conditions[i]
		if c.op == opRange {
			continue // the file comes later
		}
		value, there := fields[c.field]
		if c.field == "bucket" && (!there || value == bucket) { // some forms have it as a field, too
			value, there = bucket, true
		} else if c.field == "bucket" {
			there = false
		}
		if c.op == opNotIn && !there {
			continue // a field that is missing has none of the values
		}
		if !there || !d.holds(c, value) {
			return &Unmet{c.field, d.show(c)}
		}
		covered[c.field] = true
		fixed = fixed || c.field == "key" && (c.op == opEqual || c.op == opIn)
	}
	if key := fields["key"]; !fixed && covered["key"] && (Dotted(key) || strings.Contains(key, `\`)) {
		return &Unmet{"key", `["starts-with", "$key", ...] with no segment "." or ".." and no backslash, which lead out of a prefix,`}
	}
	var loose []string
	for name := range fields {
		if !covered[name] && !d.exempt(name) {
			loose = append(loose, name)
		}
	}
	for _, name := range [...]string{"bucket", "key"} {
		if !covered[name] && !slices.Contains(loose, name) {
			loose = append(loose, name)
		}
	}
	if loose != nil {
		return &Unmet{slices.Min(loose), ""}
	}
	return nil
}

// holds reports whether a value meets a condition.
func (d *Dialect) holds(c *condition, value string) bool {
	switch c.op {
	case opEqual:
		return value == c.values[0]
	case opPrefix:
		if d.Types && strings.EqualFold(c.field, "content-type") && strings.Contains(value, ",") {
			for part := range strings.SplitSeq(value, ",") {
				if !strings.HasPrefix(strings.TrimSpace(part), c.values[0]) {
					return false
				}
			}
			return true
		}
		return strings.HasPrefix(value, c.values[0])
	case opIn:
		return slices.Contains(c.values, value)
	case opNotIn:
		return !slices.Contains(c.values, value)
	}
	return false // unreachable: Read and Check know no other
}

// show writes a condition for an error. Values that may be more than a name, a redirect with a query perhaps, or that belong to the
// signature, are left out.
func (d *Dialect) show(c *condition) string {
	shown := *c
	shown.field = pipeline.Clip(c.field)
	shown.values = nil
	for _, value := range c.values {
		if Scheme(c.field) || len(value) > 64 || strings.ContainsAny(value, "?&=#@") {
			value = "..."
		}
		shown.values = append(shown.values, value)
		if len(shown.values) == 8 {
			break
		}
	}
	return string(d.appendCondition(nil, &shown, ", "))
}
