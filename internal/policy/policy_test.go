package policy

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

var (
	op  = pipeline.Op{Backend: "toy", Name: "presign post"}
	now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
)

// toy is a dialect with all that others have in part.
func toy() *Dialect {
	return &Dialect{Signature: "x-amz-signature", ContentType: "Content-Type", Layout: "2006-01-02T15:04:05Z", Dollar: true, Lists: true, Everywhere: true, Types: true,
		CodeMalformed: "Malformed", CodeExpired: "Expired", CodeUnmet: "Unmet"}
}

func eq(field, value string) signer.Condition {
	return signer.Condition{Field: field, Op: "eq", Values: []string{value}}
}
func begins(field, value string) signer.Condition {
	return signer.Condition{Field: field, Op: "starts-with", Values: []string{value}}
}
func among(field string, values ...string) signer.Condition {
	return signer.Condition{Field: field, Op: "in", Values: values}
}
func none(field string, values ...string) signer.Condition {
	return signer.Condition{Field: field, Op: "not-in", Values: values}
}

// Every mistake is found, under the name of its field, and with words that say what to do.
func TestCheck(t *testing.T) {
	with := func(edits ...func(*signer.Policy)) *signer.Policy {
		p := &signer.Policy{Key: "k", MaxBytes: 10}
		for _, edit := range edits {
			edit(p)
		}
		return p
	}
	conditions := func(c ...signer.Condition) *signer.Policy {
		return with(func(p *signer.Policy) { p.Conditions = c })
	}
	fields := func(f ...signer.Field) *signer.Policy { return with(func(p *signer.Policy) { p.Fields = f }) }
	prefix := func(prefix string) *signer.Policy {
		return with(func(p *signer.Policy) { p.Key, p.KeyPrefix = "", prefix })
	}
	for _, tt := range []struct {
		name, field, says string
		p                 *signer.Policy
	}{
		{"neither key nor prefix", "Key", "KeyPrefix", prefix("")},
		{"key and prefix", "KeyPrefix", "set one of them", with(func(p *signer.Policy) { p.KeyPrefix = "k" })},
		{"file name in a key", "Key", "KeyPrefix brings it along", with(func(p *signer.Policy) { p.Key = "a/${filename}" })},
		{"file name in a prefix", "KeyPrefix", "brings it along", prefix("a/${filename}")},
		{"control in a key", "Key", "control character", with(func(p *signer.Policy) { p.Key = "a\nb" })},
		{"NUL in a prefix", "KeyPrefix", "control character", prefix("a\x00")},
		{"key that is no UTF-8", "Key", "UTF-8", with(func(p *signer.Policy) { p.Key = "a\xff" })},
		{"dots in a key", "Key", "segment", with(func(p *signer.Policy) { p.Key = "a/../b" })},
		{"dots in a prefix", "KeyPrefix", "segment", prefix("./a")},
		{"no size", "MaxBytes", "-1 for no limit", with(func(p *signer.Policy) { p.MaxBytes = 0 })},
		{"negative size", "MaxBytes", "-1", with(func(p *signer.Policy) { p.MaxBytes = -2 })},
		{"sizes exchanged", "MinBytes", "no file", with(func(p *signer.Policy) { p.MinBytes = 11 })},
		{"negative least size", "MinBytes", "negative", with(func(p *signer.Policy) { p.MinBytes = -1 })},
		{"size over all bounds", "MaxBytes", "9007199254740991", with(func(p *signer.Policy) { p.MaxBytes = Max + 1 })},
		{"least size over all bounds", "MaxBytes", "9007199254740991", with(func(p *signer.Policy) { p.MinBytes, p.MaxBytes = Max+1, -1 })},
		{"type and prefix of it", "ContentTypePrefix", "set one of them", with(func(p *signer.Policy) { p.ContentType, p.ContentTypePrefix = "image/png", "image/" })},
		{"control in a type", "ContentType", "control", with(func(p *signer.Policy) { p.ContentType = "a\r" })},
		{"file name in a type", "ContentTypePrefix", "${filename}", with(func(p *signer.Policy) { p.ContentTypePrefix = "${filename}" })},

		{"field without a name", "Fields", "no name", fields(signer.Field{Value: "v"})},
		{"field with another K", "Fields", "no name", fields(signer.Field{Name: "x-amz-meta-\u212a", Value: "v"})},
		{"field with a quote", "Fields", "no name", fields(signer.Field{Name: `a"`, Value: "v"})},
		{"field with a dollar", "Fields", "dollar sign", fields(signer.Field{Name: "$acl", Value: "v"})},
		{"field key", "Fields", "KeyPrefix", fields(signer.Field{Name: "Key", Value: "v"})},
		{"field file", "Fields", "signer or the page", fields(signer.Field{Name: "file", Value: "v"})},
		{"field policy", "Fields", "signer or the page", fields(signer.Field{Name: "Policy", Value: "v"})},
		{"field bucket", "Fields", "signer or the page", fields(signer.Field{Name: "bucket", Value: "v"})},
		{"field of a signature", "Fields", "signer or the page", fields(signer.Field{Name: "X-Amz-Signature", Value: "v"})},
		{"field of another's signature", "Fields", "signer or the page", fields(signer.Field{Name: "x-goog-date", Value: "v"})},
		{"field of a third's signature", "Fields", "signer or the page", fields(signer.Field{Name: "x-oss-security-token", Value: "v"})},
		{"field of an old signature", "Fields", "signer or the page", fields(signer.Field{Name: "AWSAccessKeyId", Value: "v"})},
		{"field signature", "Fields", "signer or the page", fields(signer.Field{Name: "Signature", Value: "v"})},
		{"field twice", "Fields", "twice", fields(signer.Field{Name: "acl", Value: "v"}, signer.Field{Name: "ACL", Value: "v"})},
		{"type twice", "Fields", "twice", with(func(p *signer.Policy) {
			p.ContentType, p.Fields = "a/b", []signer.Field{{Name: "content-type", Value: "a/b"}}
		})},
		{"field with control", "Fields", "control", fields(signer.Field{Name: "acl", Value: "v\x7f"})},
		{"field with a file name", "Fields", "${filename}", fields(signer.Field{Name: "x-amz-meta-name", Value: "my ${filename}"})},

		{"condition of no kind", "Conditions", "use eq or starts-with", conditions(signer.Condition{Field: "acl", Op: "ends-with", Values: []string{"a"}})},
		{"range", "Conditions", "MinBytes and MaxBytes", conditions(signer.Condition{Op: "content-length-range", Values: []string{"1", "2"}})},
		{"range as a field", "Conditions", "MinBytes and MaxBytes", conditions(eq("content-length-range", "1"))},
		{"no value", "Conditions", "0 values", conditions(signer.Condition{Field: "acl", Op: "eq"})},
		{"two values", "Conditions", "2 values", conditions(signer.Condition{Field: "acl", Op: "starts-with", Values: []string{"a", "b"}})},
		{"empty list", "Conditions", "give it a list", conditions(among("acl"))},
		{"condition on the key", "Conditions", "KeyPrefix", conditions(begins("key", "a"))},
		{"condition with a dollar", "Conditions", "dollar sign", conditions(eq("$acl", "a"))},
		{"condition on a signature", "Conditions", "signer or the page", conditions(begins("x-amz-date", ""))},
		{"condition with control", "Conditions", "control", conditions(eq("acl", "a\n"))},
		{"condition with a file name", "Conditions", "${filename}", conditions(begins("x-amz-meta-a", "${filename}"))},

		{"two values of one field", "Conditions", "exclude each other", conditions(eq("acl", "a"), eq("ACL", "b"))},
		{"value and prefix", "Conditions", "exclude each other", with(func(p *signer.Policy) {
			p.Fields, p.Conditions = []signer.Field{{Name: "acl", Value: "private"}}, []signer.Condition{begins("Acl", "public")}
		})},
		{"two prefixes", "Conditions", "exclude each other", conditions(begins("acl", "ab"), begins("acl", "b"))},
		{"type and prefix", "Conditions", "content-type exclude", with(func(p *signer.Policy) {
			p.ContentType, p.Conditions = "image/png", []signer.Condition{begins("Content-Type", "video/")}
		})},
		{"two prefixes of the type", "Conditions", "exclude each other", with(func(p *signer.Policy) {
			p.ContentTypePrefix, p.Conditions = "image/", []signer.Condition{begins("Content-Type", "video/")}
		})},
		{"lists without a common value", "Conditions", "exclude each other", conditions(among("acl", "a", "b"), among("acl", "c"))},
		{"list that is forbidden", "Conditions", "exclude each other", conditions(among("acl", "a", "b"), none("acl", "b", "a"))},
		{"list and prefix", "Conditions", "exclude each other", conditions(begins("acl", "x"), among("acl", "a", "b"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := toy().Check(op, tt.p)
			var e *signer.Error
			if !errors.Is(err, signer.ErrRequest) || !errors.As(err, &e) || e.Field != tt.field || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want something about %s that says %q", err, tt.field, tt.says)
			}
		})
	}
	for name, p := range map[string]*signer.Policy{
		"key": with(), "prefix": prefix("a/"), "no limit": with(func(p *signer.Policy) { p.MaxBytes = -1 }),
		"least, no limit":   with(func(p *signer.Policy) { p.MinBytes, p.MaxBytes = 5, -1 }),
		"one size":          with(func(p *signer.Policy) { p.MinBytes = 10 }),
		"two prefixes":      conditions(begins("acl", "a"), begins("acl", "ab")),
		"prefix, forbidden": conditions(begins("acl", "a"), none("acl", "a")),
		"forbidden alone":   conditions(none("acl", "a", "b")),
		"list and prefix":   conditions(among("acl", "a", "b"), begins("acl", "b")),
		"value and list":    conditions(among("acl", "a", "b"), eq("acl", "a")),
		"expires": fields(signer.Field{Name: "Expires", Value: "Wed, 25 Nov 2026 12:00:00 GMT"}, signer.Field{Name: "se", Value: "Azure's parameter is nobody's field"},
			signer.Field{Name: "success_action_status", Value: "201"}, signer.Field{Name: "x-ignore-me", Value: ""}),
		"type by a field": fields(signer.Field{Name: "content-type", Value: "a/b"}),
		"type and list": with(func(p *signer.Policy) {
			p.ContentType, p.Conditions = "a/b", []signer.Condition{among("content-type", "a/b")}
		}),
	} {
		if err := toy().Check(op, p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain := toy()
	plain.Lists = false
	if err := plain.Check(op, conditions(none("acl", "a"))); err == nil || !strings.Contains(err.Error(), "OSS alone") {
		t.Errorf("got %v", err)
	}
	all := &signer.Policy{Key: "a", KeyPrefix: "b", Fields: []signer.Field{{Name: "file"}, {Name: "key"}}}
	if err := toy().Check(op, all); strings.Count(fmt.Sprint(err), "toy: presign post") != 4 {
		t.Errorf("not all is said: %v", err)
	}
}

// What is written is JSON, in ASCII, with the providers' escapes, and reads back as it was.
func TestComposeAndRead(t *testing.T) {
	p := &signer.Policy{KeyPrefix: `a"\$`, MinBytes: 3, MaxBytes: -1,
		Fields:     []signer.Field{{Name: "z", Value: "é </&>"}, {Name: "Acl", Value: "\U0001F431 \u2028"}},
		Conditions: []signer.Condition{none("cache-control", "no-cache", "$x"), among("tagging", "a")}}
	fields, err := toy().Compose(op, p, "photos", now, []signer.Field{{Name: "x-amz-date", Value: "d"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []signer.Field{{Name: "key", Value: `a"\$${filename}`}, p.Fields[0], p.Fields[1], {Name: "x-amz-date", Value: "d"}}; !reflect.DeepEqual(fields[:4], want) {
		t.Errorf("fields %q", fields)
	}
	text, err := base64.StdEncoding.DecodeString(fields[4].Value)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"conditions":[["content-length-range",3,9007199254740991],["not-in","$cache-control",["no-cache","\u0024x"]],["in","$tagging",["a"]],` +
		`{"Acl":"\ud83d\udc31 \u2028"},{"z":"\u00e9 </&>"},{"bucket":"photos"},["starts-with","$key","a\"\\\u0024"],{"x-amz-date":"d"}],"expiration":"2026-11-25T12:00:00Z"}`
	if string(text) != want || !json.Valid(text) {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	doc, err := Read(fields[4].Value)
	if err != nil {
		t.Fatal(err)
	}
	if !doc.Expiration.Equal(now) || !reflect.DeepEqual(doc.conditions, []condition{
		{op: opRange, least: 3, most: Max},
		{op: opNotIn, field: "cache-control", values: []string{"no-cache", "$x"}},
		{op: opIn, field: "tagging", values: []string{"a"}},
		{op: opEqual, field: "acl", values: []string{"\U0001F431 \u2028"}},
		{op: opEqual, field: "z", values: []string{"é </&>"}},
		{op: opEqual, field: "bucket", values: []string{"photos"}},
		{op: opPrefix, field: "key", values: []string{`a"\$`}},
		{op: opEqual, field: "x-amz-date", values: []string{"d"}},
	}) {
		t.Errorf("%+v", doc)
	}
	tight := toy()
	tight.MaxFields = 100
	if _, err := tight.Compose(op, p, "photos", now, nil); !errors.Is(err, signer.ErrRequest) {
		t.Errorf("got %v", err)
	}
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// The escapes of the documentation are read, also the one that is none of JSON's.
func TestReadDocumentedEscapes(t *testing.T) {
	doc, err := Read(encode(`{"expiration": "2013-08-01T12:00:00.000Z", "conditions": [["eq", "\$x-amz-meta-a", "\$ \\$ \u0024 \" \/ \t"], ["content-length-range", "1", 20]]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []condition{{op: opEqual, field: "x-amz-meta-a", values: []string{"$ \\$ $ \" / \t"}}, {op: opRange, least: 1, most: 20}}
	if !reflect.DeepEqual(doc.conditions, want) || !doc.Expiration.Equal(time.Date(2013, 8, 1, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", doc)
	}
}

func TestReadRefuses(t *testing.T) {
	good := func(conditions string) string {
		return encode(`{"expiration":"2026-11-25T12:00:00Z","conditions":[` + conditions + `]}`)
	}
	if _, err := Read(good(`{"acl":"a"},["eq","$acl","a"]`)); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"", "e30", "e30=\n", "e30=e30=", "!", encode(""), encode("{}"), encode("[]"), encode("null"), encode(`"a"`), encode("\xff"),
		encode(`{"expiration":"2026-11-25T12:00:00Z"}`), encode(`{"conditions":[]}`),
		encode(`{"expiration":"2026-11-25T12:00:00Z","conditions":[]} x`), encode(`{"expiration":"2026-11-25T12:00:00Z","conditions":[]`),
		encode(`{"expiration":"2026-11-25T12:00:00Z","conditions":[],"more":1}`),
		encode(`{"expiration":"2026-11-25T12:00:00Z","expiration":"2027-11-25T12:00:00Z","conditions":[]}`),
		encode(`{"expiration":"2026-11-25T12:00:00Z","conditions":[{"a":"b"}],"conditions":[]}`),
		encode(`{"expiration":"2026-11-25T12:00:00+02:00","conditions":[]}`), encode(`{"expiration":"2026-11-25","conditions":[]}`),
		encode(`{"expiration":null,"conditions":[]}`), encode(`{"expiration":1,"conditions":[]}`),
		encode(`{"expiration":"2026-11-25T12:00:00Z","conditions":null}`), encode(`{"expiration":"2026-11-25T12:00:00Z","conditions":{}}`),
		encode(`{"expiration":"2026-11-25T12:00:00Z","conditions":[],}`),
		good(`1`), good(`null`), good(`"a"`), good(`{}`), good(`{"a":1}`), good(`{"a":null}`), good(`{"a":"b","c":"d"}`), good(`{"a":["b"]}`), good(`{"a":{"b":"c"}}`),
		good(`[]`), good(`["eq"]`), good(`["eq","$a"]`), good(`["eq","$a","b","c"]`), good(`["eq","a","b"]`), good(`["eq","$","b"]`), good(`["eq",1,"b"]`),
		good(`["eq","$a",1]`), good(`["eq","$a",null]`), good(`["starts-with","$a",["b"]]`), good(`[1,"$a","b"]`), good(`[null,"$a","b"]`), good(`["ends-with","$a","b"]`),
		good(`["in","$a","b"]`), good(`["in","$a",[]]`), good(`["not-in","$a",[1]]`), good(`["not-in","$a",null]`),
		good(`["content-length-range",1]`), good(`["content-length-range",2,1]`), good(`["content-length-range",-1,1]`), good(`["content-length-range",1,1.5]`),
		good(`["content-length-range",1,1e3]`), good(`["content-length-range",1,"x"]`), good(`["content-length-range",[1],2]`), good(`["content-length-range",1,9223372036854775808]`),
		good(`{"a":"b"},`), good(`{"a":"\x"}`), strings.TrimRight(good(""), "=") + "!",
	} {
		doc, err := Read(text)
		if err == nil {
			raw, _ := base64.StdEncoding.DecodeString(text)
			t.Errorf("%q (%s) is read as %+v", text, raw, doc)
		}
	}
}

// One policy has one encoding: bits that decode to nothing are not passed over.
func TestReadStrictBase64(t *testing.T) {
	for blanks := range 3 {
		encoded := encode(`{"expiration":"2026-11-25T12:00:00Z","conditions":[]}` + strings.Repeat(" ", blanks))
		if _, err := Read(encoded); err != nil {
			t.Errorf("%d blanks: %v", blanks, err)
		}
		bare := strings.TrimRight(encoded, "=")
		if bare == encoded {
			continue
		}
		if _, err := Read(bare); err == nil {
			t.Errorf("%d blanks: without its padding it is read", blanks)
		}
		if _, err := Read(bare[:len(bare)-1] + string(bare[len(bare)-1]+1) + encoded[len(bare):]); err == nil {
			t.Errorf("%d blanks: with spare bits set it is read", blanks)
		}
	}
}

// Every kind of condition, met and broken, and what an error says of it.
func TestGrant(t *testing.T) {
	const all = `["content-length-range",2,10],["content-length-range",1,8],["eq","$Acl","private"],["starts-with","$Content-Type","image/"],` +
		`["in","$tagging",["a","b"]],["not-in","$cache-control",["no-cache"]],{"x-amz-meta-q":"?token=1"},` +
		`{"bucket":"photos"},["starts-with","$key","up/"],{"x-amz-credential":"CRED"},["starts-with","$x-amz-server-side-encryption-customer-key",""]`
	good := func() Fields {
		return Fields{"policy": encode(`{"expiration":"2026-11-25T12:00:00Z","conditions":[` + all + `]}`), "x-amz-signature": "SIG", "acl": "private", "content-type": "image/png",
			"tagging": "a", "x-amz-meta-q": "?token=1", "key": "up/${filename}", "x-amz-credential": "CRED", "x-ignore-1": "",
			"x-amz-server-side-encryption-customer-key": "SECRET"}
	}
	post := &signer.Post{Bucket: "photos", FileName: "/home/me/cat.png"}
	g, err := toy().Grant(op, now.Add(-time.Second), post, good())
	if err != nil {
		t.Fatal(err)
	}
	if g.Key != "up/cat.png" || g.MinBytes != 2 || g.MaxBytes != 8 || !g.ExpiresAt.Equal(now) || len(g.Header) != 4 || g.Header.Get("Content-Type") != "image/png" {
		t.Errorf("%+v", g)
	}
	for _, tt := range []struct{ field, value, says string }{
		{"acl", "public", `["eq", "$acl", "private"]`},
		{"acl", "-", `["eq", "$acl", "private"]`},
		{"content-type", "text/html", `["starts-with", "$content-type", "image/"]`},
		{"content-type", "image/png,text/html", `["starts-with", "$content-type", "image/"]`},
		{"tagging", "c", `["in", "$tagging", ["a", "b"]]`},
		{"cache-control", "no-cache", `["not-in", "$cache-control", ["no-cache"]]`},
		{"key", "down/a", `["starts-with", "$key", "up/"]`},
		{"key", "up/../a", "lead out of a prefix"},
		{"key", `up/a\b`, "lead out of a prefix"},
		{"x-amz-meta-q", "?token=2", `["eq", "$x-amz-meta-q", "..."]`},
		{"x-amz-credential", "OTHER", `["eq", "$x-amz-credential", "..."]`},
		{"expires", "never", "no condition on this field"},
	} {
		fields := good()
		if fields[tt.field] = tt.value; tt.value == "-" {
			delete(fields, tt.field)
		}
		_, err := toy().Grant(op, now.Add(-time.Second), post, fields)
		var e *signer.Error
		var unmet *Unmet
		if !errors.Is(err, signer.ErrPolicy) || !errors.As(err, &e) || e.Field != tt.field || e.Code != "Unmet" || !errors.As(err, &unmet) || unmet.Field != tt.field || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s = %s: got %v, want %s", tt.field, tt.value, err, tt.says)
		}
	}
	allowed := good()
	allowed["cache-control"] = "" // which a condition covers, if one is there
	if _, err := toy().Grant(op, now.Add(-time.Second), post, allowed); err != nil {
		t.Error(err)
	}
	if _, err := toy().Grant(op, now, post, good()); !errors.Is(err, signer.ErrExpired) {
		t.Errorf("at its end: %v", err)
	}
	if _, err := toy().Grant(op, now.Add(-time.Second), &signer.Post{Bucket: "other"}, good()); !errors.Is(err, signer.ErrPolicy) {
		t.Errorf("another bucket: %v", err)
	}
	if _, err := toy().Grant(op, now.Add(-time.Second), &signer.Post{Bucket: "photos", FileName: "a\x00"}, good()); !errors.Is(err, signer.ErrMalformed) {
		t.Errorf("a NUL: %v", err)
	}
	named := good()
	named["bucket"] = "photos"
	if g, err := toy().Grant(op, now.Add(-time.Second), post, named); err != nil || g.Header.Get("bucket") != "" {
		t.Errorf("the bucket as a field: %v", err)
	}
	if _, err := toy().Grant(op, now.Add(-time.Second), &signer.Post{Bucket: "other"}, named); !errors.Is(err, signer.ErrPolicy) {
		t.Errorf("the right bucket as a field, posted to another: %v", err)
	}
	named["bucket"] = "other"
	if _, err := toy().Grant(op, now.Add(-time.Second), post, named); !errors.Is(err, signer.ErrPolicy) {
		t.Errorf("another bucket as a field: %v", err)
	}
	if _, err := toy().Grant(op, now.Add(-time.Second), &signer.Post{Bucket: "other"}, named); !errors.Is(err, signer.ErrPolicy) {
		t.Errorf("another bucket twice: %v", err)
	}
	open := Fields{"policy": encode(`{"expiration":"2026-11-25T12:00:00Z","conditions":[{"key":"a"}]}`), "key": "a"}
	if _, err := toy().Grant(op, now.Add(-time.Second), post, open); !errors.Is(err, signer.ErrPolicy) || !strings.Contains(err.Error(), "bucket: ") {
		t.Errorf("no condition on the bucket: %v", err)
	}
	open["policy"] = encode(`{"expiration":"2026-11-25T12:00:00Z","conditions":[{"bucket":"photos"}]}`)
	if _, err := toy().Grant(op, now.Add(-time.Second), post, open); !errors.Is(err, signer.ErrPolicy) || !strings.Contains(err.Error(), "key: ") {
		t.Errorf("no condition on the key: %v", err)
	}
	// An exact key may hold what a prefix may not.
	exact := Fields{"policy": encode(`{"expiration":"2026-11-25T12:00:00Z","conditions":[{"bucket":"photos"},{"key":"a/../b"}]}`), "key": "a/../b"}
	if g, err := toy().Grant(op, now.Add(-time.Second), post, exact); err != nil || g.Key != "a/../b" || g.MaxBytes != -1 {
		t.Errorf("%v %+v", err, g)
	}
	plain := &Dialect{Signature: "s"}
	if f := plain.expand(Fields{"key": "${filename}", "acl": "${filename}"}, "n"); f["key"] != "n" || f["acl"] != "${filename}" {
		t.Errorf("%q", f)
	}
	if plain.holds(&condition{op: opPrefix, field: "content-type", values: []string{"a"}}, "a,b") != true {
		t.Error("a list of types where there is none")
	}
}

// No policy makes Read panic, and one that it takes evaluates.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte(`{"expiration":"2026-11-25T12:00:00Z","conditions":[{"bucket":"b"},["starts-with","$key",""],["content-length-range",0,"9"],["in","$a",["b"]]]}`))
	f.Add([]byte(`{"conditions":[["eq","$key","\$\\\$\ud800"]],"expiration":"2026-11-25T12:00:00.999999999Z"}`))
	f.Add([]byte(`[[[[`))
	f.Add([]byte(`\$`))
	f.Fuzz(func(t *testing.T, text []byte) {
		encoded := base64.StdEncoding.EncodeToString(text)
		doc, err := Read(encoded)
		g, granted := toy().Grant(op, time.Unix(0, 0), &signer.Post{Bucket: "b", FileName: "f"}, Fields{"policy": encoded, "key": "k", "a": "b"})
		switch {
		case err != nil && !errors.Is(granted, signer.ErrMalformed):
			t.Errorf("%s is no policy (%v), and allows %+v", text, err, g)
		case err == nil && granted == nil && (g.Key != "k" || !g.ExpiresAt.Equal(doc.Expiration)):
			t.Errorf("%s allows %+v", text, g)
		case err == nil && granted != nil && !errors.Is(granted, signer.ErrPolicy) && !errors.Is(granted, signer.ErrExpired):
			t.Errorf("%s: undocumented error %v", text, granted)
		}
	})
}
