package difftest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/davecgh/go-spew/spew"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// What must not be seen: random, so that no part of it turns up by chance.
const (
	plantedKey   = "q7VxKp2LdZ9sRw4TnYb8HcJm3FgEa6UoXi5Q1kWz"
	plantedToken = "IQoJb3JpZ2luX2VjEPr7sTqLw0Zx9YvKmN4BcHdGfJ2aRe6UoXi5Q1kWz8Hn3TyVb/+=="
)

func plantedCredentials() s3.Credentials {
	return s3.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretKey: signer.NewSecret([]byte(plantedKey)), SessionToken: signer.NewSecret([]byte(plantedToken))}
}

// TestDumpsShowNoSecret holds what people print while they debug, and what a failing test prints for them, to showing
// neither keys nor tokens nor what is derived from them, of objects whose caches are full.
func TestDumpsShowNoSecret(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	creds := plantedCredentials()
	config := s3.Config{Region: "us-east-1", Bucket: "photos", Credentials: creds, Clock: clock.Fixed(now), Backdate: -1}
	s, err := s3.New(config)
	require.NoError(t, err)
	config4a := config
	config4a.Bucket = "arn:aws:s3::123456789012:accesspoint:mfzwi23gnjvgw.mrap"
	s4a, err := s3.New(config4a)
	require.NoError(t, err)
	verifier := s3.VerifierConfig{Region: "us-east-1", Clock: clock.Fixed(now),
		Lookup: func(context.Context, string) (s3.Credentials, error) { return creds, nil }}
	v, err := s3.NewVerifier(verifier)
	require.NoError(t, err)
	for _, s := range []*s3.Signer{s, s4a} {
		p, err := s.Presign(context.Background(), signer.Request{Key: "k", Expires: time.Minute})
		require.NoError(t, err)
		_, _, err = s.AppendURL(context.Background(), nil, signer.Request{Key: "k", Expires: time.Minute})
		require.NoError(t, err)
		if s != s4a { // whose regions only Presign knows
			req, err := http.NewRequest("GET", "https://photos.s3.us-east-1.amazonaws.com/k", nil)
			require.NoError(t, err)
			require.NoError(t, s.Sign(context.Background(), req))
			_, err = v.Verify(context.Background(), httptest.NewRequest("GET", p.URL, nil))
			require.NoError(t, err)
			_, err = v.Verify(context.Background(), httptest.NewRequest("GET", p.URL, nil)) // from the cache
			require.NoError(t, err)
		}
	}
	needles := needlesOf(t, now)

	type nested struct {
		Exported   any
		unexported any
		list       []any
		table      map[string]any
		function   func() any
	}
	for name, value := range map[string]any{
		"Secret":         creds.SecretKey,
		"Credentials":    creds,
		"typed fields":   struct{ A, b s3.Credentials }{creds, creds},
		"Config":         config,
		"Signer":         s,
		"SigV4a Signer":  s4a,
		"VerifierConfig": verifier,
		"Verifier":       v,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for shape, value := range map[string]any{
				"itself":   value,
				"exported": nested{Exported: value},
				"unexported": nested{unexported: value, list: []any{value}, table: map[string]any{"k": &value},
					function: func() any { return value }},
			} {
				for how, text := range dumps(t, value) {
					text = strings.Join(strings.Fields(text), " ")
					for form, needle := range needles {
						if strings.Contains(text, needle) {
							t.Errorf("%s, by %s, shows %s", shape, how, form)
						}
					}
				}
			}
		})
	}
}

// dumps prints a value in every way.
func dumps(t *testing.T, value any) map[string]string {
	out := make(map[string]string)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		out[verb] = fmt.Sprintf(verb, value)
	}
	for i := range 16 {
		bit := func(n int) bool { return i>>n&1 == 1 }
		c := spew.ConfigState{Indent: " ", DisableMethods: bit(0), DisablePointerMethods: bit(1), ContinueOnMethod: bit(2),
			DisablePointerAddresses: bit(3), DisableCapacities: bit(3), SortKeys: bit(3), SpewKeys: bit(3)}
		out[fmt.Sprintf("spew.Sdump %04b", i)] = c.Sdump(value)
		out[fmt.Sprintf("spew.Sprint %04b", i)] = c.Sprintf("%#+v", value)
	}
	if text, err := json.Marshal(value); err == nil {
		out["json"] = string(text)
	}
	var failed recorder
	assert.Equal(&failed, value, "something else")
	assert.Equal(&failed, struct{ A, b any }{value, value}, struct{ A, b any }{nil, nil})
	assert.Contains(&failed, []any{value}, 1)
	assert.Nil(&failed, value)
	assert.Empty(&failed, value)
	require.NotEmpty(t, failed.text.String())
	out["testify"] = failed.text.String()
	return out
}

// A recorder is a test that fails silently.
type recorder struct{ text bytes.Buffer }

func (r *recorder) Errorf(format string, args ...any) { fmt.Fprintf(&r.text, format, args...) }

// needlesOf lists, in every form in which bytes are printed, eight bytes from several places of each secret, of the keys
// that are derived from it, and of HMAC's pads. Eight: dumps break lines after sixteen.
func needlesOf(t *testing.T, now time.Time) map[string]string {
	stamp := sigv4.StampOf(now.Unix())
	derived := sigv4.Family{Prefix: "AWS4", Terminator: "aws4_request"}.DeriveKey([]byte(plantedKey),
		sigv4.Scope{Date: stamp.Date(), Region: "us-east-1", Service: "s3"})
	needles := make(map[string]string)
	for name, secret := range map[string][]byte{
		"secret":      []byte(plantedKey),
		"token":       []byte(plantedToken),
		"signing key": derived,
		"inner pad":   xor(derived, 0x36),
		"outer pad":   xor(derived, 0x5c),
		"SigV4a key":  key4a([]byte(plantedKey), plantedCredentials().AccessKeyID),
		"day key":     sigv4.Chain([]byte("AWS4"+plantedKey), "20261124"),
	} {
		for _, at := range []int{0, 8, 16} {
			for form, text := range forms(secret[at : at+8]) {
				needles[fmt.Sprintf("%s from %d in %s", name, at, form)] = text
			}
		}
		needles[name+" in base64"] = strings.TrimRight(base64.StdEncoding.EncodeToString(secret), "=")[:24]
		needles[name+" in base64url"] = strings.TrimRight(base64.URLEncoding.EncodeToString(secret), "=")[:24]
	}
	escaped := strings.ReplaceAll(plantedToken, "/", "%2F")
	needles["escaped token"] = escaped[:strings.Index(escaped, "+")]
	return needles
}

func forms(b []byte) map[string]string {
	list := func(format string, sep string) string {
		var parts []string
		for _, c := range b {
			parts = append(parts, fmt.Sprintf(format, c))
		}
		return strings.Join(parts, sep)
	}
	forms := map[string]string{
		"hex": hex.EncodeToString(b), "HEX": strings.ToUpper(hex.EncodeToString(b)),
		"decimals": list("%d", " "), "decimals with commas": list("%d", ", "), "decimals with commas only": list("%d", ","),
		"a hex dump": list("%02x", " "), "Go": list("0x%x", ", "), "spew": list("(uint8) %d", " "), "spew with commas": list("(uint8) %d,", " "),
	}
	if printable := strings.IndexFunc(string(b), func(r rune) bool { return r < ' ' || r > '~' }) < 0; printable {
		forms["text"] = string(b)
	} else {
		forms["a word"] = strconv.FormatUint(binary.BigEndian.Uint64(b), 10) // of a big.Int
		forms["quotes"] = strings.Trim(strconv.QuoteToASCII(string(b)), `"`)
	}
	return forms
}

func xor(b []byte, pad byte) []byte {
	b = slices.Clone(b)
	for i := range b {
		b[i] ^= pad
	}
	return b
}

// key4a derives the private key of SigV4a, from the first round that gives one: 254 in 2^32 do not.
func key4a(secret []byte, id string) []byte {
	mac := hmac.New(sha256.New, append([]byte("AWS4A"), secret...))
	mac.Write([]byte("\x00\x00\x00\x01AWS4-ECDSA-P256-SHA256\x00" + id + "\x01\x00\x00\x01\x00"))
	return new(big.Int).Add(new(big.Int).SetBytes(mac.Sum(nil)), big.NewInt(1)).FillBytes(make([]byte, 32))
}

// TestDumpsWouldShow proves that the needles are found where nothing hides them.
func TestDumpsWouldShow(t *testing.T) {
	needles := needlesOf(t, time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	type open struct {
		text  string
		bytes []byte
	}
	found := make(map[string]bool)
	for how, text := range dumps(t, open{plantedKey, []byte(plantedKey)}) {
		text = strings.Join(strings.Fields(text), " ")
		for form, needle := range needles {
			if strings.HasPrefix(form, "secret") && strings.Contains(text, needle) {
				found[how] = true

			}
		}
	}
	for _, how := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "spew.Sdump 0000", "spew.Sdump 1111", "testify"} {
		assert.True(t, found[how], how)
	}
}
