package sigv4

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

func aws() Family { return Family{"AWS4", "aws4_request"} }

func secret(s string) signer.Secret { return signer.NewSecret([]byte(s)) }

func TestStamp(t *testing.T) {
	for _, tt := range []time.Time{
		time.Unix(0, 0),
		time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC),
		time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC),
		time.Date(2026, 12, 31, 20, 0, 0, 0, time.FixedZone("west", -5*3600)), // next year in UTC
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	} {
		s := StampOf(tt.Unix())
		if got, want := string(s[:]), tt.UTC().Format("20060102T150405Z"); got != want {
			t.Errorf("%v: %s, want %s", tt, got, want)
		}
		if date := s.Date(); string(date[:]) != string(s[:8]) {
			t.Errorf("date %s of %s", date, s)
		}
		if back, err := ParseStamp(string(s[:])); err != nil || !back.Equal(tt) {
			t.Errorf("%s comes back as %v, %v", s, back, err)
		}
	}
	for _, bad := range []string{"", "20130524", "20130524T000000", "2013-05-24T00:00:00Z", "20130524T000000z", "20130524T000000+00", "20130524T240000Z",
		"20130230T000000Z", "00010101T000000Z", "19691231T235959Z", " 20130524T000000Z", "20130524T000000.5Z", "20130524T000000Z "} {
		if _, err := ParseStamp(bad); err == nil {
			t.Errorf("%q parses", bad)
		}
	}
}

// The documentation's example of a signing key:
// https://docs.aws.amazon.com/general/latest/gr/signature-v4-examples.html
func TestDeriveKey(t *testing.T) {
	scope := Scope{Date: Date([]byte("20120215")), Region: "us-east-1", Service: "iam"}
	got := hex.EncodeToString(aws().DeriveKey([]byte("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), scope))
	if want := "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestKeyVerify(t *testing.T) {
	k := aws().NewKey(secret("s"), Scope{Date: Date([]byte("20120215")), Region: "r", Service: "s"})
	text := []byte("text")
	signature := string(k.AppendSignature(nil, text))
	if !k.Verify(text, signature) {
		t.Error("its own signature does not verify")
	}
	for _, bad := range []string{"", signature[:63], signature + "0", strings.ToUpper(signature), signature[:63] + "g"} {
		if bad != signature && k.Verify(text, bad) {
			t.Errorf("%q verifies", bad)
		}
	}
	if k.Verify([]byte("texT"), signature) {
		t.Error("verifies for another text")
	}
}

// Secrets, not ids, find a key: every part of the scope and every other secret has its own.
func TestCacheTellsKeysApart(t *testing.T) {
	c := NewCache(aws().NewKey)
	signatures := make(map[string]string)
	for _, s := range []string{"one", "two"} {
		for _, date := range []string{"20261124", "20261125"} {
			for _, region := range []string{"us-east-1", "us-east-1s3", ""} {
				for _, service := range []string{"s3", "", "us-east-1s3"} {
					scope := Scope{Date([]byte(date)), region, service}
					name := strings.Join([]string{s, date, region, service}, "/")
					signature := string(c.Key(secret(s), scope).AppendSignature(nil, []byte("text")))
					if other, ok := signatures[signature]; ok {
						t.Errorf("%s signs like %s", name, other)
					}
					signatures[signature] = name
					fresh := aws().NewKey(secret(s), scope)
					if want := string(fresh.AppendSignature(nil, []byte("text"))); signature != want {
						t.Errorf("%s from the cache signs %s, derived %s", name, signature, want)
					}
				}
			}
		}
	}
}

func TestCacheHits(t *testing.T) {
	c := NewCache(aws().NewKey)
	scope := Scope{Date([]byte("20261124")), "us-east-1", "s3"}
	s := secret("one")
	if _, ok := c.Find(s, scope); ok {
		t.Fatal("found before it was made")
	}
	k := c.Key(s, scope)
	if found, ok := c.Find(s, scope); c.Key(s, scope) != k || found != k || !ok {
		t.Error("not found a second time")
	}
	if c.Key(secret("one"), scope) != k {
		t.Error("not found by an equal secret")
	}
	if n := testing.AllocsPerRun(100, func() { c.Key(s, scope) }); n != 0 {
		t.Errorf("a hit allocates %v times", n)
	}
	for _, matched := range []bool{false, true} {
		got := c.Verify(secret("two"), scope, func(k *Key) bool { return matched })
		if _, kept := c.Find(secret("two"), scope); got != matched || kept != matched {
			t.Errorf("a check that says %v: Verify says %v, kept %v", matched, got, kept)
		}
	}
}

// Thousands of tenants stay within the bound, and most of a few hundred stay at all.
func TestCacheIsBounded(t *testing.T) {
	c := NewCache(aws().NewKey)
	scope := Scope{Date([]byte("20261124")), "us-east-1", "s3"}
	fill := func(n int) (secrets []signer.Secret) {
		for i := range n {
			secrets = append(secrets, secret(fmt.Sprint("tenant ", i)))
			c.Key(secrets[i], scope)
		}
		return
	}
	kept := func(secrets []signer.Secret) (n int) {
		for _, s := range secrets {
			if _, ok := c.Find(s, scope); ok {
				n++
			}
		}
		return
	}
	if n := kept(fill(200)); n < 195 {
		t.Errorf("of 200 keys %d are kept", n)
	}
	if n := kept(fill(10 * cacheSets * cacheWays)); n > cacheSets*cacheWays || n < cacheSets*cacheWays/2 {
		t.Errorf("%d keys are kept, the bound is %d", n, cacheSets*cacheWays)
	}
}

// A full set gives up its oldest key: while two days' keys are used in turn, both stay.
func TestCacheForgetsTheOldest(t *testing.T) {
	c := NewCache(aws().NewKey)
	s := secret("one")
	scope := func(day int) Scope { return Scope{Date([]byte(fmt.Sprintf("202611%02d", day))), "us-east-1", "s3"} }
	for day := 1; day <= 3*cacheWays; day++ {
		c.Key(s, scope(day))
		for back := range min(day, cacheWays) {
			if _, ok := c.Find(s, scope(day-back)); !ok {
				t.Errorf("on day %d the key of %d days ago is gone", day, back)
			}
		}
		if _, ok := c.Find(s, scope(day-cacheWays)); ok {
			t.Errorf("on day %d the key of %d days ago is still there", day, cacheWays)
		}
	}
}

func TestAppendToken(t *testing.T) {
	k := aws().NewKey(secret("s"), Scope{})
	for _, token := range []string{"a+b/c=", "another", "a+b/c="} {
		want := strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(token)
		tok := secret(token)
		for range 2 {
			if got := string(k.AppendToken([]byte("x"), tok)); got != "x"+want {
				t.Errorf("token %q is appended as %q", token, got)
			}
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	c := NewCache(aws().NewKey)
	text := []byte("text")
	want := make([][]byte, 50)
	scope := Scope{Date([]byte("20261124")), "us-east-1", "s3"}
	for i := range want {
		want[i] = aws().NewKey(secret(fmt.Sprint(i)), scope).AppendSignature(nil, text)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				n := (i*7 + g) % len(want)
				k := c.Key(secret(fmt.Sprint(n)), scope)
				if !bytes.Equal(k.AppendSignature(nil, text), want[n]) {
					t.Errorf("secret %d signed with another's key", n)
				}
				k.AppendToken(nil, secret(fmt.Sprint(i)))
			}
		})
	}
	wg.Wait()
}
