package azure

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"

	"github.com/cloudsigner/cloudsigner/internal/vector"
	"github.com/cloudsigner/cloudsigner/signer"
)

// readToken fills a token from the fields of a vector.
func readToken(t *testing.T, v *vector.Vector) *token {
	t.Helper()
	var tok token
	for _, p := range tok.params() {
		*p.value, _ = v.Lookup(t, p.name)
	}
	tok.spk, _ = v.Lookup(t, "spk")
	tok.srk, _ = v.Lookup(t, "srk")
	tok.epk, _ = v.Lookup(t, "epk")
	tok.erk, _ = v.Lookup(t, "erk")
	return &tok
}

// readPlace returns the service and the two names of a resource, which each service calls otherwise.
func readPlace(t *testing.T, v *vector.Vector) (service, container, name string) {
	t.Helper()
	service = v.Get(t, "service")
	names := map[string][2]string{"blob": {"container", "blob"}, "file": {"share", "file"}, "queue": {"queue", ""}, "table": {"table", ""}}[service]
	container = v.Get(t, names[0])
	name, _ = v.Lookup(t, names[1])
	if directory, ok := v.Lookup(t, "directory"); ok {
		name = directory
	}
	return service, container, name
}

// readMessage makes a message of the request in a vector.
func readMessage(t *testing.T, v *vector.Vector) *message {
	t.Helper()
	m := &message{account: v.Get(t, "account"), method: v.Get(t, "method"), header: make(http.Header), length: -1}
	u, err := url.Parse(v.Get(t, "url"))
	if err != nil {
		t.Fatal(err)
	}
	m.path = u.EscapedPath()
	if m.params, err = queryParams(u.RawQuery); err != nil {
		t.Fatal(err)
	}
	for _, h := range v.Pairs(t, "header", ": ") {
		m.header.Set(h[0], h[1])
	}
	m.version = m.header.Get("X-Ms-Version")
	if m.header.Get("Content-Length") == "0" {
		m.length = 0
	}
	m.headers = msHeaders(m.header)
	return m
}

// signature checks the signature of a string to sign, published or computed, if the vector has the key.
func signature(t *testing.T, v *vector.Vector, toSign []byte) {
	t.Helper()
	text, ok := v.Lookup(t, "account-key")
	if !ok {
		text, ok = v.Lookup(t, "user-delegation-key")
	}
	if !ok {
		return
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	want, ok := v.Lookup(t, "signature")
	if !ok {
		want = v.Get(t, "computed signature")
	}
	k := newMACKey(signer.NewSecret(key), struct{}{})
	if got := string(k.appendSignature(nil, toSign)); got != want || !k.verify(toSign, want) {
		t.Errorf("signature\n got %s\nwant %s", got, want)
	}
	if got := string(k.appendEscaped(nil, toSign)); got != url.QueryEscape(want) {
		t.Errorf("signature in a URL: %s", got)
	}
}

// TestVectors holds every layout to the strings that Microsoft's documentation, SDKs and test suites publish.
func TestVectors(t *testing.T) {
	found := 0
	vector.Run(t, "testdata/vectors/*.txt", func(t *testing.T, v *vector.Vector) {
		found++
		check := func(section string, got []byte) {
			t.Helper()
			if want := v.Get(t, section); string(got) != want {
				t.Errorf("%s\n got %q\nwant %q", section, got, want)
			}
		}
		v.Ignore("published signature", "published string to sign", "published request", "published url") // nothing reproduces them
		switch v.Kind {
		case "service-sas":
			tok := readToken(t, v)
			service, container, name := readPlace(t, v)
			got := appendServiceSAS(nil, service, tok, v.Get(t, "account"), container, name)
			check("string to sign", got)
			signature(t, v, got)
		case "user-delegation-sas":
			tok := readToken(t, v)
			_, container, name := readPlace(t, v)
			got := appendDelegationSAS(nil, tok, v.Get(t, "account"), container, name)
			check("string to sign", got)
			signature(t, v, got)
		case "account-sas":
			got := appendAccountSAS(nil, readToken(t, v), v.Get(t, "account"))
			check("string to sign", got)
			signature(t, v, got)
		case "sas-canonicalized-resource":
			service, container, name := readPlace(t, v)
			got := appendResource(nil, v.Get(t, "sv"), service, v.Get(t, "account"), container, name)
			check("canonicalized resource", got[:len(got)-1])
		case "shared-key":
			got := appendSharedKey(nil, readMessage(t, v))
			check("string to sign", got)
			signature(t, v, got)
		case "shared-key-lite":
			got := appendSharedKeyLite(nil, "blob", readMessage(t, v))
			check("string to sign", got)
			signature(t, v, got)
		case "table-shared-key-lite":
			got := appendSharedKeyLite(nil, "table", readMessage(t, v))
			check("string to sign", got)
			signature(t, v, got)
		case "shared-key-canonicalized-headers":
			h := make(http.Header)
			for _, pair := range v.Pairs(t, "header", ": ") {
				h.Set(pair[0], pair[1])
			}
			check("canonicalized headers", appendHeaders(nil, msHeaders(h), h.Get("X-Ms-Version")))
		case "shared-key-canonicalized-resource":
			u, err := url.Parse(v.Get(t, "url"))
			if err != nil {
				t.Fatal(err)
			}
			params, err := queryParams(u.RawQuery)
			if err != nil {
				t.Fatal(err)
			}
			check("canonicalized resource", appendMessageResource(nil, v.Get(t, "account"), u.EscapedPath(), params))
		default:
			t.Fatalf("no test for the kind %q", v.Kind)
		}
	})
	if found != 44 {
		t.Errorf("%d vectors, want 44", found)
	}
}
