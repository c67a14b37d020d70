// Package policy writes the policies of form uploads, reads them back, and holds forms to them. What S3, Cloud Storage and OSS
// have in common is here, and what differs is a Dialect; who signs, and how, is in the backends.
//
// A policy is a JSON document: when it ends, and a list of conditions on the fields of a form. Its base64 is a field of the
// form, and is what is signed.
package policy

import (
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A Dialect is what differs between the providers.
type Dialect struct {
	Signature   string // the field of the signature, in lower case: it and the policy need no condition
	ContentType string // the field Content-Type as the provider's documentation writes it
	Layout      string // of the instant at which a policy ends
	Dollar      bool   // a dollar sign in a value is escaped
	Lists       bool   // there are "in" and "not-in"
	Everywhere  bool   // "${filename}" is replaced in every field, not in key alone
	Types       bool   // a Content-Type with commas is a list, all of which "starts-with" speaks of
	MaxFields   int    // bytes of names and values in front of the file; 0 for no limit that is known

	// What the provider answers to a policy that cannot be read, has ended, or is not met.
	CodeMalformed, CodeExpired, CodeUnmet string
}

// Max is the content-length-range that means no upper limit: the largest number that every reader of JSON keeps.
const Max = 1<<53 - 1

const (
	opEqual  = "eq"
	opPrefix = "starts-with"
	opIn     = "in"
	opNotIn  = "not-in"
	opRange  = "content-length-range"

	fileName = "${filename}"
)

// A condition is one of a policy.
type condition struct {
	op          string
	field       string // as it is written; "" for opRange
	values      []string
	least, most int64 // of opRange
}

// Compose returns the fields of a form but the signature, which is to be made of the last of them, the policy. auth are the
// fields that say who signs. p must have passed Check.
func (d *Dialect) Compose(op pipeline.Op, p *signer.Policy, bucket string, ends time.Time, auth []signer.Field) ([]signer.Field, error) {
	key := p.Key
	if key == "" {
		key = p.KeyPrefix + fileName
	}
	fields := []signer.Field{{Name: "key", Value: key}}
	if p.ContentType != "" {
		fields = append(fields, signer.Field{Name: d.ContentType, Value: p.ContentType})
	}
	fields = append(append(fields, p.Fields...), auth...)

	exact := slices.Clone(p.Fields)
	if p.ContentType != "" {
		exact = append(exact, signer.Field{Name: d.ContentType, Value: p.ContentType})
	}
	slices.SortFunc(exact, func(a, b signer.Field) int { return strings.Compare(a.Name, b.Name) })
	doc := []byte(`{"conditions":[`)
	for _, c := range d.chosen(p) {
		doc = append(d.appendCondition(doc, &c, ","), ',')
	}
	for _, f := range exact {
		doc = append(d.appendExact(doc, f.Name, f.Value), ',')
	}
	doc = append(d.appendExact(doc, "bucket", bucket), ',')
	if p.Key != "" {
		doc = d.appendExact(doc, "key", p.Key)
	} else {
		doc = d.appendCondition(doc, &condition{op: opPrefix, field: "key", values: []string{p.KeyPrefix}}, ",")
	}
	for _, f := range auth {
		doc = d.appendExact(append(doc, ','), f.Name, f.Value)
	}
	doc = append(doc, `],"expiration":"`...)
	doc = ends.UTC().AppendFormat(doc, d.Layout)
	doc = append(doc, `"}`...)
	fields = append(fields, signer.Field{Name: "policy", Value: base64.StdEncoding.EncodeToString(doc)})
	return fields, d.checkSize(op, fields)
}

// chosen are the conditions on what the form may choose, besides the key.
func (d *Dialect) chosen(p *signer.Policy) (list []condition) {
	if p.MinBytes > 0 || p.MaxBytes >= 0 {
		most := p.MaxBytes
		if most < 0 {
			most = Max
		}
		list = append(list, condition{op: opRange, least: p.MinBytes, most: most})
	}
	if p.ContentTypePrefix != "" {
		list = append(list, condition{op: opPrefix, field: d.ContentType, values: []string{p.ContentTypePrefix}})
	}
	for _, c := range p.Conditions {
		list = append(list, condition{op: c.Op, field: c.Field, values: c.Values})
	}
	return list
}

func (d *Dialect) checkSize(op pipeline.Op, fields []signer.Field) error {
	size := 0
	for _, f := range fields {
		size += len(f.Name) + len(f.Value)
	}
	if d.MaxFields > 0 && size > d.MaxFields {
		return op.Errorf(signer.ErrRequest, "Fields", "the form has %d bytes in front of its file, and the service takes %d; have fewer fields, or shorter ones", size, d.MaxFields)
	}
	return nil
}

// appendExact appends {"name":"value"}.
func (d *Dialect) appendExact(dst []byte, name, value string) []byte {
	dst = d.appendString(append(dst, '{'), "", name)
	dst = d.appendString(append(dst, ':'), "", value)
	return append(dst, '}')
}

// appendCondition appends a condition as an array, with comma between its elements.
func (d *Dialect) appendCondition(dst []byte, c *condition, comma string) []byte {
	dst = d.appendString(append(dst, '['), "", c.op)
	dst = append(dst, comma...)
	if c.op == opRange {
		dst = strconv.AppendInt(dst, c.least, 10)
		dst = append(dst, comma...)
		return append(strconv.AppendInt(dst, c.most, 10), ']')
	}
	dst = d.appendString(dst, "$", c.field)
	dst = append(dst, comma...)
	list := c.op == opIn || c.op == opNotIn
	if list {
		dst = append(dst, '[')
	}
	for i, value := range c.values {
		if i > 0 {
			dst = append(dst, comma...)
		}
		dst = d.appendString(dst, "", value)
	}
	if list {
		dst = append(dst, ']')
	}
	return append(dst, ']')
}

// appendString appends a string in quotes, in ASCII. prefix needs no escaping. The documented escape of a dollar sign, \$, is none of
// JSON's, and readers that know only those would refuse it; \u0024 is the same to all.
func (d *Dialect) appendString(dst []byte, prefix, s string) []byte {
	dst = append(append(dst, '"'), prefix...)
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '$' && d.Dollar, r < ' ', r >= 0x7f && r <= 0xffff:
			dst = appendUnit(dst, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			dst = appendUnit(appendUnit(dst, high), low)
		default:
			dst = append(dst, byte(r))
		}
	}
	return append(dst, '"')
}

func appendUnit(dst []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', digits[r>>12], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

// Check refuses what no policy can say. It reports all that is wrong.
func (d *Dialect) Check(op pipeline.Op, p *signer.Policy) error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, op.Errorf(signer.ErrRequest, field, format, args...))
	}
	text := func(field, name, value string) {
		if problem := problemOf(value); problem != "" {
			bad(field, "%s%s", name, problem)
		}
	}
	switch {
	case p.Key == "" && p.KeyPrefix == "":
		bad("Key", "it is empty, and so is KeyPrefix; set the one to the name of the object, or the other to what names must begin with")
	case p.Key != "" && p.KeyPrefix != "":
		bad("KeyPrefix", "Key is set too, and is the whole name already; set one of them")
	}
	for _, f := range [...]signer.Field{{Name: "Key", Value: p.Key}, {Name: "KeyPrefix", Value: p.KeyPrefix}} {
		text(f.Name, "it ", f.Value)
		if Dotted(f.Value) {
			bad(f.Name, `it has a segment "." or "..", which no URL can name; rename the object`)
		}
	}
	switch {
	case p.MaxBytes == 0:
		bad("MaxBytes", "it is 0; set it to the size of the largest file in bytes, or to -1 for no limit")
	case p.MaxBytes < -1:
		bad("MaxBytes", "%d is negative; -1 is for no limit", p.MaxBytes)
	case p.MaxBytes > Max || p.MinBytes > Max:
		bad("MaxBytes", "it or MinBytes is over %d, the largest number that all readers of policies keep", int64(Max))
	case p.MaxBytes > 0 && p.MinBytes > p.MaxBytes:
		bad("MinBytes", "%d is over MaxBytes, %d: no file could be uploaded", p.MinBytes, p.MaxBytes)
	}
	if p.MinBytes < 0 {
		bad("MinBytes", "%d is negative", p.MinBytes)
	}
	text("ContentType", "it ", p.ContentType)
	text("ContentTypePrefix", "it ", p.ContentTypePrefix)
	if p.ContentType != "" && p.ContentTypePrefix != "" {
		bad("ContentTypePrefix", "ContentType is set too, and is the whole type already; set one of them")
	}

	seen := map[string]bool{"content-type": p.ContentType != "" || p.ContentTypePrefix != ""}
	for _, f := range p.Fields {
		if problem := nameProblem(f.Name); problem != "" {
			bad("Fields", "%q %s", pipeline.Clip(f.Name), problem)
			continue
		}
		low := strings.ToLower(f.Name)
		if seen[low] {
			bad("Fields", "%s is there twice, or is said by ContentType or ContentTypePrefix; say it once", f.Name)
		}
		seen[low] = true
		text("Fields", f.Name+": the value ", f.Value)
	}
	for _, c := range p.Conditions {
		if problem := d.conditionProblem(&c); problem != "" {
			bad("Conditions", "%q %s", pipeline.Clip(c.Field), problem)
			continue
		}
		for _, value := range c.Values {
			text("Conditions", c.Field+": the value ", value)
		}
	}
	if errs == nil {
		d.contradictions(p, bad)
	}
	return errors.Join(errs...)
}

// problemOf says what is wrong with a text, "" for nothing.
func problemOf(s string) string {
	switch {
	case !utf8.ValidString(s):
		return "is not valid UTF-8"
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "holds a control character"
	case strings.Contains(s, fileName):
		return "holds " + fileName + ", a name that nobody knows yet, so that no value can be held to it; KeyPrefix brings it along by itself"
	}
	return ""
}

// nameProblem says why a field cannot be one of the caller's, "" for nothing.
func nameProblem(name string) string {
	low := string(wire.AppendLower(nil, name)) // of ASCII only: nothing else may pass for it
	switch {
	case strings.HasPrefix(name, "$"):
		return "begins with a dollar sign, which only the policy has; leave it out"
	case !pipeline.LowerToken(low):
		return "is no name of a field; letters, digits, hyphens and underscores make one"
	case low == "key":
		return "is what Key and KeyPrefix say"
	case low == "bucket" || low == "file" || low == "policy" || low == "signature" || Scheme(name):
		return "is a field that the signer or the page makes; leave it out"
	case low == opRange:
		return "is what MinBytes and MaxBytes say"
	}
	return ""
}

// Scheme reports whether a field belongs to a signature.
func Scheme(name string) bool {
	switch pipeline.SchemeOf(name) {
	case "AWS4", "GOOG4", "OSS4", "version 1 or 2":
		return true
	}
	return false
}

func (d *Dialect) conditionProblem(c *signer.Condition) string {
	list := c.Op == opIn || c.Op == opNotIn
	switch {
	case c.Op == opRange:
		return "has the condition content-length-range, which MinBytes and MaxBytes say"
	case list && !d.Lists:
		return "has the condition " + c.Op + ", which OSS alone knows; use eq or starts-with"
	case c.Op != opEqual && c.Op != opPrefix && !list:
		return "has a condition of no known kind; use eq or starts-with" // and for OSS in and not-in
	case list && len(c.Values) == 0:
		return "has the condition " + c.Op + " without values; give it a list"
	case !list && len(c.Values) != 1:
		return "has the condition " + c.Op + " with " + strconv.Itoa(len(c.Values)) + " values; give it one"
	}
	return nameProblem(c.Field)
}

// contradictions finds fields of which no value meets all conditions.
func (d *Dialect) contradictions(p *signer.Policy, bad func(field, format string, args ...any)) {
	all := d.chosen(p)
	if p.ContentType != "" {
		all = append(all, condition{op: opEqual, field: d.ContentType, values: []string{p.ContentType}})
	}
	for _, f := range p.Fields {
		all = append(all, condition{op: opEqual, field: f.Name, values: []string{f.Value}})
	}
	byField := make(map[string][]condition)
	for _, c := range all {
		if c.op != opRange {
			low := strings.ToLower(c.field)
			byField[low] = append(byField[low], c)
		}
	}
	for field, conditions := range byField {
		if !d.possible(conditions) {
			bad("Conditions", "those on %s exclude each other: no form could meet them", field)
		}
	}
}

// possible reports whether some value meets all conditions on a field.
func (d *Dialect) possible(conditions []condition) bool {
	candidates, closed := []string(nil), false // closed: there are no others
	for _, c := range conditions {
		switch {
		case c.op == opEqual, c.op == opIn:
			candidates, closed = c.values, true
		case c.op == opPrefix && !closed:
			candidates = append(candidates, c.values[0], c.values[0]+"\x00") // which no list of values has
		}
	}
	if candidates == nil {
		return true // not-in leaves enough
	}
	return slices.ContainsFunc(candidates, func(value string) bool {
		return !slices.ContainsFunc(conditions, func(c condition) bool { return !d.holds(&c, value) })
	})
}

// Dotted reports whether a key has a segment "." or "..".
func Dotted(key string) bool {
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}
