package azure_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// emulatorKey is the key of the account devstoreaccount1 in the Azurite emulator, which everybody knows.
const emulatorKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

// A link for a browser to download a blob. The clock is fixed here so that the output is; leave it out in your code.
func ExampleSigner_Presign() {
	key, err := azure.SharedKey("myaccount", emulatorKey)
	if err != nil {
		log.Fatal(err)
	}
	s, err := azure.New(azure.Config{
		Account:   "myaccount",
		Container: "photos",
		Keys:      key,
		Clock:     clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)),
	})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(context.Background(), signer.Request{Key: "2026/cat.jpg", Expires: 15 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p) // without its query: the URL is a secret
	fmt.Println("works from", p.NotBefore)
	// Output:
	// GET https://myaccount.blob.core.windows.net/photos/2026/cat.jpg?REDACTED until 2026-11-25T12:15:00Z
	// works from 2026-11-25 11:45:00 +0000 UTC
}

// An upload. The holder needs more than the URL: a blob is made only by a PUT that says what kind of blob.
func ExampleSigner_Presign_upload() {
	key, err := azure.SharedKey("myaccount", emulatorKey)
	if err != nil {
		log.Fatal(err)
	}
	s, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: key})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(context.Background(), signer.Request{Method: "PUT", Key: "cat.jpg", Expires: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	req, err := p.NewRequest(context.Background(), strings.NewReader("meow")) // with all that must be sent
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(req.Method, req.URL.Path, req.Header)
	// Output: PUT /photos/cat.jpg map[X-Ms-Blob-Type:[BlockBlob]]
}

// What a SAS cannot enforce is an error, unless it is not needed so much.
func ExampleSigner_Presign_bestEffort() {
	key, err := azure.SharedKey("myaccount", emulatorKey)
	if err != nil {
		log.Fatal(err)
	}
	s, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: key})
	if err != nil {
		log.Fatal(err)
	}
	r := signer.Request{Method: "PUT", Key: "cat.jpg", Expires: time.Hour, Header: http.Header{"Content-Type": {"image/jpeg"}}}
	_, err = s.Presign(context.Background(), r)
	fmt.Println(err)
	r.BestEffort = true
	p, err := s.Presign(context.Background(), r)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.NotEnforced)
	// Output:
	// azure: presign: Header: unsupported: Content-Type: a SAS signs headers and parameters from version 2026-04-06 on, with a user delegation key; leave it out, or set BestEffort to send it unsigned
	// [Header.Content-Type]
}

// The emulator on this machine has the account in the path.
func ExampleConfig_emulator() {
	endpoint, err := url.Parse("http://127.0.0.1:10000")
	if err != nil {
		log.Fatal(err)
	}
	key, err := azure.SharedKey("devstoreaccount1", emulatorKey)
	if err != nil {
		log.Fatal(err)
	}
	s, err := azure.New(azure.Config{Account: "devstoreaccount1", Container: "photos", Keys: key, Endpoint: endpoint})
	if err != nil {
		log.Fatal(err)
	}
	buf, _, err := s.AppendURL(context.Background(), nil, signer.Request{Key: "cat.jpg", Expires: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	path, _, _ := strings.Cut(string(buf), "?")
	fmt.Println(path)
	// Output: http://127.0.0.1:10000/devstoreaccount1/photos/cat.jpg
}

// A SAS for all of a directory, from some addresses, over HTTPS only.
func ExampleSigner_SAS() {
	key, err := azure.SharedKey("myaccount", emulatorKey)
	if err != nil {
		log.Fatal(err)
	}
	s, err := azure.New(azure.Config{Account: "myaccount", Container: "music", Keys: key, Clock: clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.SAS(context.Background(), azure.SAS{
		Directory:   "instruments/guitar",
		Permissions: "rl",
		Expires:     time.Hour,
		FirstIP:     netip.MustParseAddr("192.0.2.1"),
		LastIP:      netip.MustParseAddr("192.0.2.254"),
		Protocol:    "https",
	})
	if err != nil {
		log.Fatal(err)
	}
	public, _, _ := strings.Cut(p.URL, "&sig=")
	fmt.Println(strings.ReplaceAll(public, "&", "\n&"))
	// Output:
	// https://myaccount.blob.core.windows.net/music/instruments/guitar?sv=2020-12-06
	// &sr=d
	// &sdd=2
	// &sp=rl
	// &st=2026-11-25T11%3A45%3A00Z
	// &se=2026-11-25T13%3A00%3A00Z
	// &sip=192.0.2.1-192.0.2.254
	// &spr=https
}

// A SAS for the blobs and the files of the whole account.
func ExampleSigner_AccountSAS() {
	key, err := azure.SharedKey("myaccount", emulatorKey)
	if err != nil {
		log.Fatal(err)
	}
	s, err := azure.New(azure.Config{Account: "myaccount", Keys: key})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.AccountSAS(context.Background(), azure.AccountSAS{Services: "bf", ResourceTypes: "sco", Permissions: "rl", Expires: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		log.Fatal(err)
	}
	q := u.Query()
	fmt.Println(u.Host, q.Get("ss"), q.Get("srt"), q.Get("sp"))
	// Output: myaccount.blob.core.windows.net bf sco rl
}

// A user delegation key goes through a cache that processes share. Its Value does not encode by itself.
func ExampleUserDelegationKey() {
	fetched := azure.UserDelegationKey{
		SignedOID: "6ba7b810-9dad-11d1-80b4-00c04fd430c8", SignedTID: "6ba7b811-9dad-11d1-80b4-00c04fd430c8",
		SignedStart: "2026-11-25T11:40:00Z", SignedExpiry: "2026-11-26T11:40:00Z", SignedService: "b", SignedVersion: "2022-11-02",
		Value: signer.NewSecret([]byte("0123456789abcdef0123456789abcdef")),
	}
	type stored struct {
		azure.UserDelegationKey
		Value []byte
	}
	entry, err := json.Marshal(stored{fetched, fetched.Value.Reveal()}) // encrypt it, it is a key
	if err != nil {
		log.Fatal(err)
	}

	var read stored
	if err := json.Unmarshal(entry, &read); err != nil {
		log.Fatal(err)
	}
	key := read.UserDelegationKey
	key.Value = signer.NewSecret(read.Value)
	s, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: key, Clock: clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(context.Background(), signer.Request{Key: "cat.jpg", Expires: 7 * 24 * time.Hour, AllowShorter: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("dies", p.ExpiresAt.Format(time.RFC3339), "with its", p.LimitedBy)
	// Output: dies 2026-11-26T11:40:00Z with its credentials
}

// A request of one's own, authorized in its header.
func ExampleSigner_Sign() {
	key, err := azure.SharedKey("myaccount", emulatorKey)
	if err != nil {
		log.Fatal(err)
	}
	s, err := azure.New(azure.Config{Account: "myaccount", Keys: key, Clock: clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))})
	if err != nil {
		log.Fatal(err)
	}
	req, _ := http.NewRequest("PUT", "https://myaccount.blob.core.windows.net/photos?restype=container", nil)
	if err := s.Sign(context.Background(), req); err != nil {
		log.Fatal(err)
	}
	fmt.Println(signer.RedactHeader(req.Header)["Authorization"], req.Header["X-Ms-Date"], req.Header["X-Ms-Version"])
	// Output: [SharedKey REDACTED] [Wed, 25 Nov 2026 12:00:00 GMT] [2020-12-06]
}

// A server that stands where Azure would: it checks every SAS itself.
func ExampleVerifier() {
	key, err := azure.SharedKey("myaccount", emulatorKey)
	if err != nil {
		log.Fatal(err)
	}
	v, err := azure.NewVerifier(azure.VerifierConfig{
		Account:     "myaccount",
		AccountKeys: func(context.Context) ([]signer.Secret, error) { return []signer.Secret{key.Secret()}, nil },
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := signer.Require(v, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := signer.GrantFrom(r.Context())
		fmt.Println(g.Method, g.Bucket, g.Key, g.Permissions)
	}))

	s, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: key})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(context.Background(), signer.Request{Key: "cat.jpg", Expires: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", p.URL, nil))
	refused := httptest.NewRecorder()
	handler.ServeHTTP(refused, httptest.NewRequest("DELETE", p.URL, nil))
	fmt.Print(refused.Code, " ", refused.Body)
	// Output:
	// GET photos cat.jpg r
	// 403 signature: out of scope
}

// A server that accepts both keys of an account while they are rotated.
func ExampleNewVerifier_keyRing() {
	first, err := azure.SharedKey("myaccount", emulatorKey)
	if err != nil {
		log.Fatal(err)
	}
	second, err := azure.SharedKey("myaccount", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	if err != nil {
		log.Fatal(err)
	}
	ring, err := signer.NewKeyRing(second, first)
	if err != nil {
		log.Fatal(err)
	}
	v, err := azure.NewVerifier(azure.VerifierConfig{Account: "myaccount", AccountKeys: func(context.Context) (secrets []signer.Secret, err error) {
		for _, k := range ring.Keys() {
			secrets = append(secrets, k.Secret())
		}
		return secrets, nil
	}})
	if err != nil {
		log.Fatal(err)
	}
	for _, key := range []azure.Key{first, second} { // two clients, one of which has the new key
		s, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: key})
		if err != nil {
			log.Fatal(err)
		}
		p, err := s.Presign(context.Background(), signer.Request{Key: "cat.jpg", Expires: time.Minute})
		if err != nil {
			log.Fatal(err)
		}
		g, err := v.Verify(context.Background(), httptest.NewRequest("GET", p.URL, nil))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(g.Key)
	}
	// Output:
	// cat.jpg
	// cat.jpg
}
