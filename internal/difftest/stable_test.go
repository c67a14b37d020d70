package difftest

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file holds all backends to what Request.Window promises: instances of a service that share nothing but the time, and
// that not to the second, hand out the same bytes.

const stableAt = "DIFFTEST_STABLE_AT" // tells a child process what time it is

// stableSigners are one signer for each scheme and kind of key, at one instant. Credentials that can die do at dies.
func stableSigners(t *testing.T, now, dies time.Time) map[string]signer.Signer {
	t.Helper()
	c := clock.Fixed(now)
	secret := signer.NewSecret([]byte("a secret that all instances have"))
	made := map[string]signer.Signer{}
	add := func(name string, s signer.Signer, err error) {
		if err != nil {
			t.Fatal(name, err)
		}
		made[name] = s
	}
	a, err := s3.New(s3.Config{Region: "eu-west-1", Bucket: "photos", Clock: c, Credentials: s3.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretKey: secret, Expires: dies}})
	add("s3", a, err)
	o, err := oss.New(oss.Config{Region: "cn-hangzhou", Bucket: "photos", Clock: c, Credentials: oss.Credentials{AccessKeyID: "LTAIEXAMPLE", AccessKeySecret: secret, Expires: dies}})
	add("oss", o, err)
	hmacKey, err := gcs.HMACKey("GOOG1EXAMPLE", secret)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := gcs.ServiceAccountKey(conformanceFile(t, "service-account"))
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]gcs.Key{"gcs HMAC": hmacKey, "gcs RSA": rsaKey} {
		g, err := gcs.New(gcs.Config{Bucket: "photos", Key: key, Clock: c})
		add(name, g, err)
	}
	shared, err := azure.SharedKey("myaccount", "YSBzZWNyZXQgdGhhdCBhbGwgaW5zdGFuY2VzIGhhdmU=")
	if err != nil {
		t.Fatal(err)
	}
	z, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: shared, Clock: c})
	add("azure", z, err)
	key, err := cdn.ParseKey("key-1", "YSBrZXkgb2YgMTYgYnl0ZQ==")
	if err != nil {
		t.Fatal(err)
	}
	d, err := cdn.New(cdn.Config{BaseURL: &url.URL{Scheme: "https", Host: "media.example.com"}, Key: key, Clock: c})
	add("cdn", d, err)
	return made
}

var stableNames = []string{"s3", "oss", "gcs HMAC", "gcs RSA", "azure", "cdn"}

// stableURLs presigns two objects with each signer, in the window's plain place and shifted.
func stableURLs(t *testing.T, now time.Time) (lines []string) {
	t.Helper()
	made := stableSigners(t, now, time.Time{})
	for _, name := range stableNames {
		for _, spread := range []bool{false, true} {
			p, err := made[name].Presign(context.Background(), signer.Request{Key: "2026/cat.jpg", Expires: time.Hour, Window: 15 * time.Minute, Spread: spread})
			if err != nil {
				t.Fatal(name, err)
			}
			lines = append(lines, fmt.Sprintf("%s %v %d %s", name, spread, p.StableUntil.Unix(), p.URL))
		}
	}
	return lines
}

// TestStableChild is the other process.
func TestStableChild(t *testing.T) {
	at := os.Getenv(stableAt)
	if at == "" {
		return // this is not it
	}
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range stableURLs(t, time.Unix(n, 0)) {
		fmt.Println("URL " + line)
	}
}

// TestStableAcrossProcesses asks processes of their own, at instants of one window, before and after it, over midnight.
func TestStableAcrossProcesses(t *testing.T) {
	start := time.Date(2026, 11, 26, 23, 45, 0, 0, time.UTC) // ends at midnight
	ask := func(at time.Time) []string {
		t.Helper()
		cmd := exec.Command(os.Args[0], "-test.run", "^TestStableChild$", "-test.v")
		cmd.Env = append(os.Environ(), stableAt+"="+strconv.FormatInt(at.Unix(), 10))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var lines []string
		for line := range bytes.Lines(out) {
			if url, ok := strings.CutPrefix(string(line), "URL "); ok {
				lines = append(lines, strings.TrimSpace(url))
			}
		}
		if len(lines) != 2*len(stableNames) {
			t.Fatalf("%d lines\n%s", len(lines), out)
		}
		return lines
	}
	first := ask(start)
	for _, at := range []time.Duration{0, 7 * time.Minute, 15*time.Minute - time.Second} {
		for i, line := range ask(start.Add(at)) {
			spread := i%2 == 1
			until, _ := strconv.ParseInt(strings.Fields(strings.TrimPrefix(line, stableNames[i/2]+" "))[1], 10, 64)
			before, _ := strconv.ParseInt(strings.Fields(strings.TrimPrefix(first[i], stableNames[i/2]+" "))[1], 10, 64)
			switch {
			case !spread && line != first[i]:
				t.Errorf("%v later: %s, was %s", at, signer.RedactURL(line), signer.RedactURL(first[i]))
			case !spread && until != start.Add(15*time.Minute).Unix():
				t.Errorf("stable until %v", time.Unix(until, 0))
			case spread && (line == first[i]) != (start.Add(at).Unix() < before): // its window ends at a time of its own
				t.Errorf("%v later, shifted, stable until %v: %s, was %s", at, time.Unix(before, 0), signer.RedactURL(line), signer.RedactURL(first[i]))
			}
		}
	}
	for _, at := range []time.Duration{-time.Second, 15 * time.Minute} {
		for i, line := range ask(start.Add(at)) {
			if i%2 == 0 && line == first[i] {
				t.Errorf("%v later, in another window, the same: %s", at, signer.RedactURL(line))
			}
		}
	}
}

// TestSpread: a page of a thousand images must not roll over at one instant. No more than 1 % of them may do so in any of the
// 900 seconds of a window.
func TestSpread(t *testing.T) {
	start := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	made := stableSigners(t, start, time.Time{})
	for _, name := range stableNames {
		if name == "gcs RSA" {
			continue // a thousand of them take seconds, and the times are those of HMAC
		}
		seconds := map[int64]int{}
		for n := range 1000 {
			p, err := made[name].Presign(context.Background(), signer.Request{Key: fmt.Sprintf("2026/%d.jpg", n), Expires: time.Hour, Window: 15 * time.Minute, Spread: true})
			if err != nil {
				t.Fatal(err)
			}
			if left := p.StableUntil.Sub(start); left <= 0 || left > 15*time.Minute {
				t.Fatalf("%s: stable for %v", name, left)
			}
			seconds[p.StableUntil.Unix()]++
		}
		for at, n := range seconds {
			if n > 10 {
				t.Errorf("%s: %d of 1000 roll over at %v", name, n, time.Unix(at, 0).UTC())
			}
		}
		if len(seconds) < 500 {
			t.Errorf("%s: 1000 URLs roll over at %d instants", name, len(seconds))
		}
	}
}

// TestStableUntilCredentialsEnd: who dies within the window ends the URL's stability, and says so.
func TestStableUntilCredentialsEnd(t *testing.T) {
	start := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	dies := start.Add(5 * time.Minute)
	made := stableSigners(t, start, dies)
	for _, name := range []string{"s3", "oss"} {
		p, err := made[name].Presign(context.Background(), signer.Request{Key: "k", Expires: time.Hour, Window: 15 * time.Minute, AllowShorter: true})
		if err != nil {
			t.Fatal(err)
		}
		if !p.StableUntil.Equal(dies) || !p.ExpiresAt.Equal(dies) || p.LimitedBy != signer.LimitCredentials {
			t.Errorf("%s: stable until %v, ends at %v, by %v", name, p.StableUntil, p.ExpiresAt, p.LimitedBy)
		}
	}
}
