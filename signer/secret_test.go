package signer_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// What is planted, and looked for in everything that is printed.
const (
	plantedKey   = "s3cr3tKeyThatNobodyMaySee/0123456789+abc"
	plantedToken = "t0kenThatNobodyMaySee/IQoJb3JpZ2luX2VjEJr//+ab=="
	plantedID    = "AKIAIOSFODNN7EXAMPLE"
)

var (
	ctx = context.Background()
	now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
)

func s3Credentials() s3.Credentials {
	return s3.Credentials{
		AccessKeyID:  plantedID,
		SecretKey:    signer.NewSecret([]byte(plantedKey)),
		SessionToken: signer.NewSecret([]byte(plantedToken)),
	}
}

func s3Config() s3.Config {
	return s3.Config{Region: "eu-west-1", Bucket: "photos", Credentials: s3Credentials(), Clock: clock.Fixed(now)}
}

func newS3Signer(t testing.TB) *s3.Signer {
	t.Helper()
	s, err := s3.New(s3Config())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newS3Verifier(t testing.TB) *s3.Verifier {
	t.Helper()
	v, err := s3.NewVerifier(s3.VerifierConfig{
		Region: "eu-west-1",
		Clock:  clock.Fixed(now),
		Lookup: func(context.Context, string) (s3.Credentials, error) { return s3Credentials(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// used is a signer for one region and one for several, a verifier, and what they leave in the hands of their callers:
// all have done their work, so that what they cache is there.
type used struct {
	signer, several *s3.Signer
	verifier        *s3.Verifier

	sent, sentToSeveral io.ReadCloser // bodies that are being signed in chunks
	grant               *signer.Grant // for the first of them
	received            io.ReadCloser // the same body, being verified
}

func warm(t testing.TB) (u used) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	newRequest := func(method, url, body string) *http.Request {
		t.Helper()
		req, err := http.NewRequest(method, url, strings.NewReader(body))
		must(err)
		return req
	}
	const object = "https://photos.s3.eu-west-1.amazonaws.com/cat.jpg"
	u.signer, u.verifier = newS3Signer(t), newS3Verifier(t)

	p, err := u.signer.Presign(ctx, signer.Request{Key: "cat.jpg", Expires: time.Minute})
	must(err)
	_, _, err = u.signer.AppendURL(ctx, nil, signer.Request{Key: "cat.jpg", Expires: time.Minute})
	must(err)
	_, err = u.signer.PresignRequest(ctx, newRequest("GET", object, ""), signer.Options{Expires: time.Minute})
	must(err)
	signed := newRequest("GET", object, "")
	must(u.signer.Sign(ctx, signed))

	config := s3Config()
	config.Region, config.RegionSet, config.Bucket = "", []string{"*"}, "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap"
	u.several, err = s3.New(config)
	must(err)
	several, err := u.several.Presign(ctx, signer.Request{Key: "cat.jpg", Expires: time.Minute})
	must(err)

	for _, p := range []*signer.Presigned{p, several} {
		req, err := p.NewRequest(ctx, nil)
		must(err)
		_, err = u.verifier.Verify(ctx, req)
		must(err)
	}
	_, err = u.verifier.Verify(ctx, signed)
	must(err)

	upload := newRequest("PUT", object, "body")
	must(u.signer.SignChunked(ctx, upload, s3.Chunked{}))
	u.grant, err = u.verifier.Verify(ctx, upload)
	must(err)
	u.sent, err = upload.GetBody()
	must(err)
	u.received = u.grant.Body(upload.Body)
	upload = newRequest("PUT", several.URL[:strings.Index(several.URL, "?")], "body")
	must(u.several.SignChunked(ctx, upload, s3.Chunked{}))
	u.sentToSeveral = upload.Body
	for _, r := range []io.Reader{u.sent, u.sentToSeveral, u.received} {
		_, err = r.Read(make([]byte, 1))
		must(err)
	}
	return u
}

// planted returns what no dump of a used signer may show: the key, the token, and all keys that are derived on the way
// to the signing key of the day, which is the last.
func planted() [][]byte {
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	// The private key for several regions.
	private := mac([]byte("AWS4A"+plantedKey), "\x00\x00\x00\x01AWS4-ECDSA-P256-SHA256\x00"+plantedID+"\x01\x00\x00\x01\x00")
	private[len(private)-1]++

	all := [][]byte{[]byte(plantedKey), []byte(plantedToken), private}
	key := []byte("AWS4" + plantedKey)
	for _, part := range []string{"20261124", "eu-west-1", "s3", "aws4_request"} {
		key = mac(key, part)
		all = append(all, key)
	}
	return all
}

// signingKey is the one of the day.
func signingKey() []byte {
	all := planted()
	return all[len(all)-1]
}

// spellings returns the forms in which an encoder, a dump or a formatted byte slice shows b.
func spellings(b []byte) []string {
	var decimal, hexadecimal, spaced []string
	for _, c := range b {
		decimal = append(decimal, fmt.Sprint(c))
		hexadecimal = append(hexadecimal, fmt.Sprintf("%#x", c))
		spaced = append(spaced, fmt.Sprintf("%02x", c))
	}
	all := []string{
		string(b),
		url.QueryEscape(string(b)),
		url.PathEscape(string(b)),
		hex.EncodeToString(b),
		strings.ToUpper(hex.EncodeToString(b)),
		strings.Join(spaced, " "),
		strings.Join(decimal, " "),
		strings.Join(decimal, ","),
		strings.Join(decimal, ", "),
		strings.Join(hexadecimal, ", "),
		new(big.Int).SetBytes(b).String(),
		strings.Trim(fmt.Sprint(new(big.Int).SetBytes(b).Bits()), "[]"),
	}
	// In base64 the same bytes look different at each of three places. The outer characters also hold bits of what
	// stands before and after.
	for before := range 3 {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(append(make([]byte, before), b...))
			all = append(all, text[before+1:len(text)-1])
		}
	}
	return all
}

// shows reports which of the forms are in text.
func shows(text string, forms []string) (string, bool) {
	i := slices.IndexFunc(forms, func(form string) bool { return strings.Contains(text, form) })
	if i < 0 {
		return "", false
	}
	return forms[i], true
}

// plantedForms returns all spellings of everything that is planted.
func plantedForms() (forms []string) {
	for _, b := range planted() {
		forms = append(forms, spellings(b)...)
	}
	return forms
}

// formats returns every verb of fmt with every flag that changes how it prints.
func formats(flags ...string) (all []string) {
	for _, flag := range flags {
		for _, verb := range "vsqxXdboOcUeEfFgGtTpwz" {
			all = append(all, "%"+flag+string(verb))
		}
	}
	return all
}

var allFlags = []string{"", "+", "#", "-", " ", "0", "# ", "+#", "70", "-70", ".50", "060"}

// nest returns v in the places where a value can sit.
func nest[T any](v T) map[string]any {
	type exported struct{ V T }
	type unexported struct{ v T }
	return map[string]any{
		"bare":                           v,
		"pointer":                        &v,
		"pointer to pointer":             func() **T { p := &v; return &p }(),
		"exported field":                 exported{v},
		"unexported field":               unexported{v},
		"pointer to unexported field":    &unexported{v},
		"unexported field, two deep":     struct{ inner unexported }{unexported{v}},
		"slice":                          []T{v},
		"slice of pointers":              []*T{&v},
		"array":                          [2]T{v, v},
		"array in unexported field":      struct{ a [1]T }{[1]T{v}},
		"map value":                      map[string]T{"k": v},
		"map in unexported field":        struct{ m map[string]T }{map[string]T{"k": v}},
		"interface":                      []any{v},
		"interface in unexported field":  struct{ i any }{v},
		"pointer in an unexported field": struct{ p *T }{&v},
		"captured by a function":         func() T { return v },
		"reflect.Value":                  reflect.ValueOf(v),
		"error":                          fmt.Errorf("cannot sign with %v, %+v, %#v: %w", v, v, v, io.EOF),
		"joined errors":                  errors.Join(io.EOF, failure[T]{v}),
		"signer.Error":                   &signer.Error{Op: "sign", Err: failure[T]{v}},
	}
}

// failure is an error that prints what it holds.
type failure[T any] struct{ v T }

func (f failure[T]) Error() string { return fmt.Sprintf("failed: %+v", f.v) }

// holders are the types of this module that keep secrets, each in every place.
func holders(t testing.TB) map[string]map[string]any {
	u := warm(t)
	secret := signer.NewSecret([]byte(plantedKey))
	type (
		withSecret      struct{ signer.Secret } // encoding/xml panics at types without a name
		withCredentials struct{ s3.Credentials }
		withConfig      struct{ s3.Config }
		withSigner      struct{ *s3.Signer }
		withVerifier    struct{ *s3.Verifier }
	)
	all := map[string]map[string]any{
		"Secret":      nest(secret),
		"Credentials": nest(s3Credentials()),
		"Config":      nest(s3Config()),
		"Signer":      nest(u.signer),
		"Verifier":    nest(u.verifier),

		"Signer of several regions": nest(u.several),
		"Grant":                     nest(u.grant),
		"body signed in chunks":     nest(u.sent),
		"the same for several":      nest(u.sentToSeveral),
		"body verified in chunks":   nest(u.received),
	}
	all["Secret"]["embedded"] = withSecret{secret}
	all["Credentials"]["embedded"] = withCredentials{s3Credentials()}
	all["Config"]["embedded"] = withConfig{s3Config()}
	all["Signer"]["embedded"] = withSigner{u.signer}
	all["Signer"]["by value"] = reflect.ValueOf(u.signer).Elem()
	all["Verifier"]["embedded"] = withVerifier{u.verifier}
	all["Verifier"]["by value"] = reflect.ValueOf(u.verifier).Elem()
	return all
}

func TestSecretIsNotFormatted(t *testing.T) {
	forms := plantedForms()
	for holder, nested := range holders(t) {
		all := append(formats(""), "%+v", "%#v")
		if holder == "Secret" || holder == "Credentials" || holder == "Config" {
			all = formats(allFlags...) // the others have thousands of places for keys, and buffers
		}
		for place, v := range nested {
			for _, format := range all {
				text := fmt.Sprintf(format, v)
				form, leaks := shows(text, forms)
				if !leaks { // or as this very format would show the bytes
					form, leaks = shows(text, formatted(format))
				}
				if leaks {
					t.Errorf("%s of %s, %s, shows %s", format, holder, place, form)
				}
			}
		}
	}
}

// formatted returns what a format makes of the key itself, as a string and as the elements of a byte slice; and what %v
// makes of them with the same flags, since that is how fmt prints an operand that its verb is not for.
func formatted(format string) (forms []string) {
	flags, verb := format[:len(format)-1], format[len(format)-1:]
	if verb == "T" || verb == "p" {
		return nil // a type, an address
	}
	for _, verb := range []string{verb, "v"} {
		list := fmt.Sprintf(flags+verb, []byte(plantedKey))
		list = list[strings.LastIndexAny(list, "[{")+1:]
		list, _, _ = strings.Cut(list, "]")
		list, _, _ = strings.Cut(list, "}")
		forms = append(forms, list, fmt.Sprintf(flags+verb, plantedKey))
	}
	return forms
}

// TestFormattedSecretWouldBeSeen proves that the test above finds what it looks for: in a type without our care.
func TestFormattedSecretWouldBeSeen(t *testing.T) {
	type plain struct{ b []byte }
	type text struct{ s string }
	forms := plantedForms()
	for _, v := range []any{
		plain{[]byte(plantedKey)}, &plain{[]byte(plantedKey)}, []plain{{[]byte(plantedKey)}},
		text{plantedKey}, map[string]text{"k": {plantedKey}}, struct{ a [len(plantedKey)]byte }{[len(plantedKey)]byte([]byte(plantedKey))},
	} {
		for _, format := range formats(allFlags...) {
			if strings.HasSuffix(format, "T") || strings.HasSuffix(format, "p") {
				continue
			}
			text := fmt.Sprintf(format, v)
			_, seen := shows(text, forms)
			if !seen {
				_, seen = shows(text, formatted(format))
			}
			if !seen {
				t.Errorf("%s of a %T shows the key as %.200s, and the test does not see it", format, v, text)
			}
		}
	}
}

// encoders are the other ways out of a program. Each returns what was written, also when it failed, and the error.
var encoders = map[string]func(v any) (string, error){
	"slog text": func(v any) (string, error) {
		return logged(v, func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }), nil
	},
	"slog JSON": func(v any) (string, error) {
		return logged(v, func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }), nil
	},
	"json": func(v any) (string, error) {
		var b strings.Builder
		err := json.NewEncoder(&b).Encode(v)
		return b.String(), err
	},
	"xml": func(v any) (string, error) {
		var b strings.Builder
		enc := xml.NewEncoder(&b)
		err := enc.Encode(v)
		enc.Flush()
		return b.String(), err
	},
	"gob": func(v any) (string, error) {
		var b strings.Builder
		err := gob.NewEncoder(&b).Encode(v)
		return b.String(), err
	},
	"template": func(v any) (string, error) {
		var b strings.Builder
		err := template.Must(template.New("").Parse("{{.}} {{printf `%#v` .}}")).Execute(&b, v)
		return b.String(), err
	},
}

// logged logs v as a value, in a group, in a struct and as an attribute of the logger.
func logged(v any, handler func(io.Writer) slog.Handler) string {
	var b strings.Builder
	log := slog.New(handler(&b))
	log.Info("value", "v", v)
	log.Info("in a group", slog.Group("g", "v", v))
	log.Info("in a struct", "v", struct{ V any }{v})
	log.Info("through a pointer", "v", &v)
	log.With("v", v).WithGroup("g").Error("of the logger", "err", failure[any]{v})
	return b.String()
}

func TestSecretIsNotEncoded(t *testing.T) {
	forms := plantedForms()
	for holder, nested := range holders(t) {
		for place, v := range nested {
			for name, encode := range encoders {
				text, err := encode(v)
				if form, leaks := shows(fmt.Sprint(text, err), forms); leaks {
					t.Errorf("%s of %s, %s, shows %s", name, holder, place, form)
				}
			}
		}
	}
}

func TestEncodedSecretWouldBeSeen(t *testing.T) {
	type plain struct{ B []byte }
	forms := plantedForms()
	for name, encode := range encoders {
		text, err := encode(plain{[]byte(plantedKey)})
		if _, seen := shows(text, forms); !seen || err != nil {
			t.Errorf("%s shows the key as %q (%v), and the test does not see it", name, text, err)
		}
	}
}

func TestSecretText(t *testing.T) {
	full, empty := signer.NewSecret([]byte(plantedKey)), signer.Secret{}
	for _, tt := range []struct {
		name, full, empty string
	}{
		{"String", full.String(), empty.String()},
		{"%v", fmt.Sprintf("%v", full), fmt.Sprintf("%v", empty)},
		{"%x", fmt.Sprintf("%x", full), fmt.Sprintf("%x", empty)},
		{"%#v", fmt.Sprintf("%#v", full), fmt.Sprintf("%#v", empty)},
		{"LogValue", full.LogValue().String(), empty.LogValue().String()},
		{"MarshalText", marshalText(t, full), marshalText(t, empty)},
	} {
		if tt.full != "[secret]" || tt.empty != "[no secret]" {
			t.Errorf("%s gives %q and %q", tt.name, tt.full, tt.empty)
		}
	}
	const want = `{"AccessKeyID":"AKIAIOSFODNN7EXAMPLE","SecretKey":"[secret]","SessionToken":"[secret]","Expires":"0001-01-01T00:00:00Z"}`
	if got, err := json.Marshal(s3Credentials()); string(got) != want || err != nil {
		t.Errorf("json: %s, %v", got, err)
	}
}

func marshalText(t *testing.T, s signer.Secret) string {
	t.Helper()
	text, err := s.MarshalText()
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// walk calls found with every string and every run of bytes or words (a big.Int's, in decimal) that reflection can reach
// from v, through unexported fields too. It is what a dumper or a test's diff can see.
func walk(v reflect.Value, found func(path string, b []byte)) {
	type place struct {
		at uintptr
		t  reflect.Type
	}
	seen := make(map[place]bool)
	var visit func(path string, v reflect.Value)
	visit = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			found(path, []byte(v.String()))
		case reflect.Slice, reflect.Array:
			switch v.Type().Elem().Kind() {
			case reflect.Uint8:
				b := make([]byte, v.Len())
				for i := range b {
					b[i] = byte(v.Index(i).Uint())
				}
				found(path, b)
				return
			case reflect.Uint, reflect.Uint64:
				words := make([]uint64, v.Len())
				for i := range words {
					words[i] = v.Index(i).Uint()
				}
				found(path, []byte(fmt.Sprint(words)))
				return
			}
			for i := range v.Len() {
				visit(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
		case reflect.Pointer:
			if at := (place{v.Pointer(), v.Type()}); !v.IsNil() && !seen[at] {
				seen[at] = true
				visit("*"+path, v.Elem())
			}
		case reflect.Interface:
			if !v.IsNil() {
				visit(path+".("+v.Elem().Type().String()+")", v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				visit(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Map:
			for iter := v.MapRange(); iter.Next(); {
				visit(path+"(key)", iter.Key())
				visit(path+"[]", iter.Value())
			}
		}
	}
	visit(v.Type().String(), v)
}

// reached returns the paths at which reflection reaches one of the forms.
func reached(v any, forms []string) (paths []string) {
	walk(reflect.ValueOf(v), func(path string, b []byte) {
		if _, ok := shows(string(b), forms); ok {
			paths = append(paths, path)
		}
	})
	return paths
}

func TestSecretIsOutOfReflectionsReach(t *testing.T) {
	forms := plantedForms()
	for holder, nested := range holders(t) {
		for place, v := range nested {
			for _, path := range reached(v, forms) {
				t.Errorf("%s, %s: found at %s", holder, place, path)
			}
		}
	}
}

// TestWalkReaches proves that the walk does not go past: it finds plain bytes everywhere, and in a used signer the key
// id that stands beside the secret.
func TestWalkReaches(t *testing.T) {
	type plain struct{ b []byte }
	forms := plantedForms()
	for place, v := range nest(plain{[]byte(plantedKey)}) {
		hidden := place == "captured by a function"
		if place == "reflect.Value" {
			continue // its bytes are behind an unsafe.Pointer
		}
		if got := reached(v, forms); (len(got) == 0) != hidden {
			t.Errorf("%s: found at %q", place, got)
		}
	}
	type knot struct {
		self *knot
		s    string
	}
	k := &knot{s: plantedToken}
	k.self = k
	for name, v := range map[string]any{
		"array":           struct{ a [len(plantedKey)]byte }{[len(plantedKey)]byte([]byte(plantedKey))},
		"named bytes":     struct{ r json.RawMessage }{json.RawMessage(plantedToken)},
		"map key":         map[string]int{"AWS4" + plantedKey: 1},
		"derived key":     struct{ b []byte }{signingKey()},
		"slice of uint8":  struct{ b []uint8 }{[]uint8(plantedKey)},
		"hexadecimal":     struct{ s string }{hex.EncodeToString([]byte(plantedKey))},
		"base64":          struct{ s string }{base64.URLEncoding.EncodeToString([]byte("x" + plantedKey))},
		"percent-encoded": struct{ b []byte }{[]byte("&X-Amz-Security-Token=" + url.QueryEscape(plantedToken))},
		"big.Int":         struct{ n *big.Int }{new(big.Int).SetBytes(signingKey())},
		"cycle":           k,
	} {
		if got := reached(v, forms); len(got) != 1 {
			t.Errorf("%s: found at %q", name, got)
		}
	}

	u := warm(t)
	if got := reached(u.signer, []string{plantedID}); len(got) != 2 { // as configured, and as checked
		t.Errorf("the key id of a signer is found at %q; does the walk still reach its credentials?", got)
	}
}

func TestNewSecretCopies(t *testing.T) {
	b := []byte(plantedKey)
	s := signer.NewSecret(b)
	fingerprint := s.Fingerprint()
	clear(b)
	if got := s.Reveal(); string(got) != plantedKey {
		t.Errorf("after the caller cleared its bytes the secret is %q", got)
	}
	clear(s.Reveal())
	if got := s.Reveal(); string(got) != plantedKey {
		t.Errorf("after the caller cleared what Reveal returned the secret is %q", got)
	}
	if s.Fingerprint() != fingerprint || !s.Equal(signer.NewSecret([]byte(plantedKey))) {
		t.Error("fingerprint or equality changed with the caller's bytes")
	}
}

func TestSecret(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []byte
		zero bool
	}{
		{"nil", nil, true},
		{"empty", []byte{}, true},
		{"a zero byte", []byte{0}, false},
		{"text", []byte(plantedKey), false},
		{"all bytes", slices.Collect(func(yield func(byte) bool) {
			for i := range 256 {
				if !yield(byte(i)) {
					return
				}
			}
		}), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := signer.NewSecret(tt.in)
			if s.IsZero() != tt.zero || s.Len() != len(tt.in) {
				t.Errorf("IsZero is %v and Len %d", s.IsZero(), s.Len())
			}
			if got := s.Reveal(); !bytes.Equal(got, tt.in) || (got == nil) != tt.zero {
				t.Errorf("Reveal returns %v", got)
			}
			want := sha256.Sum256(tt.in)
			if tt.zero {
				want = [sha256.Size]byte{}
			}
			if got := s.Fingerprint(); got != want {
				t.Errorf("Fingerprint is %x, want %x", got, want)
			}
		})
	}
}

func TestSecretEqual(t *testing.T) {
	secret := func(s string) signer.Secret { return signer.NewSecret([]byte(s)) }
	a := secret("a")
	for _, tt := range []struct {
		name string
		s, t signer.Secret
		want bool
	}{
		{"itself", a, a, true},
		{"a copy", a, secret("a"), true},
		{"another", a, secret("b"), false},
		{"one longer", a, secret("aa"), false},
		{"one that begins with a zero byte", a, secret("\x00a"), false},
		{"zero and zero", signer.Secret{}, signer.NewSecret(nil), true},
		{"zero and a zero byte", signer.Secret{}, secret("\x00"), false},
	} {
		if tt.s.Equal(tt.t) != tt.want || tt.t.Equal(tt.s) != tt.want {
			t.Errorf("%s: Equal is %v and %v, want %v", tt.name, tt.s.Equal(tt.t), tt.t.Equal(tt.s), tt.want)
		}
	}
}

// TestRefusalsShowNoSecret holds a verifier's errors and answers to the same rule.
func TestRefusalsShowNoSecret(t *testing.T) {
	forms := plantedForms()
	s, v := newS3Signer(t), newS3Verifier(t)
	p, err := s.Presign(ctx, signer.Request{Key: "cat.jpg", Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	_, signature, _ := strings.Cut(p.URL, "X-Amz-Signature=")
	forms = append(forms, signature)
	for name, edit := range map[string]func(*http.Request){
		"method":    func(r *http.Request) { r.Method = http.MethodPut },
		"path":      func(r *http.Request) { r.URL.Path = "/dog.jpg" },
		"host":      func(r *http.Request) { r.Host = "elsewhere.example" },
		"signature": func(r *http.Request) { r.URL.RawQuery += "0" },
		"token": func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "X-Amz-Security-Token=", "X-Amz-Security-Token=x", 1)
		},
		"twice":     func(r *http.Request) { r.URL.RawQuery += "&" + r.URL.RawQuery },
		"two forms": func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x") },
		"region": func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "eu-west-1", "eu-west-2", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := p.NewRequest(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			edit(req)
			_, err = v.Verify(ctx, req)
			if err == nil {
				t.Fatal("the edited request is let through")
			}
			answer := httptest.NewRecorder()
			signer.Require(v, http.NotFoundHandler()).ServeHTTP(answer, req)
			for _, text := range []string{fmt.Sprintf("%v %+v %#v", err, err, err), answer.Body.String(), fmt.Sprint(slices.Collect(maps.Values(answer.Header())))} {
				if form, leaks := shows(text, forms); leaks {
					t.Errorf("%q shows %s", text, form)
				}
			}
		})
	}
}
