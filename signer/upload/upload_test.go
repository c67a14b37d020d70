package upload_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/internal/storefake"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/upload"
)

// wrapped is a Signer behind a wrapper, which sees all that is signed.
type wrapped struct {
	signer.Signer
	signed []signer.Request
}

func (w *wrapped) Unwrap() signer.Signer { return w.Signer }

func (w *wrapped) Presign(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
	w.signed = append(w.signed, r)
	return w.Signer.Presign(ctx, r)
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func startStore(t *testing.T) *storefake.Server {
	store := must(storefake.Start(storefake.Config{MaxObject: 32 << 20, MaxBytes: 128 << 20}))(t)
	t.Cleanup(func() { store.Close() })
	return store
}

// signers are those for a store, by protocol.
func signers(t *testing.T, store *storefake.Server) map[upload.Protocol]signer.Signer {
	google := must(gcs.New(gcs.Config{Bucket: store.Bucket, Key: store.GCSKey, Endpoint: store.Endpoint(), Clock: store.Clock}))(t)
	return map[upload.Protocol]signer.Signer{
		upload.S3: must(s3.New(s3.Config{Region: store.Region, Bucket: store.Bucket, Endpoint: store.Endpoint(), Addressing: signer.AddressingPath,
			Credentials: store.Credentials, Clock: store.Clock}))(t),
		upload.OSS: must(oss.New(oss.Config{Region: store.Region, Bucket: store.Bucket, Endpoint: store.Endpoint(), Addressing: signer.AddressingPath,
			Credentials: store.OSS, Clock: store.Clock}))(t),
		upload.GCS:          google,
		upload.GCSMultipart: google,
		upload.Azure: must(azure.New(azure.Config{Account: store.AzureAccount, Container: store.Bucket, Keys: store.AzureKey, Endpoint: store.Endpoint(),
			Clock: store.Clock}))(t),
	}
}

// send sends a part as a browser would: from the JSON of its request.
func send(t *testing.T, p *signer.Presigned, body []byte) int {
	t.Helper()
	var r struct {
		Method, URL string
		Headers     map[string]string
	}
	if err := json.Unmarshal(must(json.Marshal(p))(t), &r); err != nil {
		t.Fatal(err)
	}
	req := must(http.NewRequestWithContext(t.Context(), r.Method, r.URL, bytes.NewReader(body)))(t)
	for name, value := range r.Headers {
		req.Header.Set(name, value)
	}
	resp := must(http.DefaultTransport.RoundTrip(req))(t)
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func numbers(parts []upload.Part) (n []int) {
	for _, p := range parts {
		n = append(n, p.Number)
	}
	return n
}

// TestUpload uploads an object by each protocol to a store that verifies, is interrupted, meets an expired URL, and goes on.
func TestUpload(t *testing.T) {
	store := startStore(t)
	const key = "dir/ü & <film>.bin"
	data := bytes.Repeat([]byte("0123456789abcdef"), 800_000) // 12.8 MB: two parts and something
	for protocol, s := range signers(t, store) {
		t.Run(protocol.String(), func(t *testing.T) {
			ctx := t.Context()
			seen := &wrapped{Signer: s}
			u := must(upload.New(upload.Config{Signer: seen, Protocol: protocol, Key: key, Size: int64(len(data)), PartSize: 5 << 20, Expires: time.Minute,
				Header: http.Header{"Content-Type": {"video/x-test"}}, Origin: "https://app.example.com"}))(t)
			plan := u.Plan()
			if plan.Parts != 3 || plan.Sequential != (protocol == upload.GCS) {
				t.Fatalf("%+v", plan)
			}
			part := func(n int) []byte {
				offset, length := plan.Range(n)
				return data[offset : offset+length]
			}
			session := must(must(u.Start(ctx))(t).Do(ctx, nil))(t)
			stored := func(want ...int) []upload.Part {
				t.Helper()
				parts := must(u.Stored(ctx, nil, session))(t)
				if !slices.Equal(numbers(parts), want) {
					t.Fatalf("parts %v, want %v", numbers(parts), want)
				}
				return parts
			}
			stored()
			put := func(n int, body []byte, want int) {
				t.Helper()
				if status := send(t, must(u.Part(ctx, session, n, nil))(t), body); status != want {
					t.Fatalf("part %d: status %d, want %d", n, status, want)
				}
			}
			status := map[upload.Protocol]int{upload.GCS: 308, upload.Azure: 201}[protocol]
			if status == 0 {
				status = 200
			}
			put(1, part(1), status)
			stored(1)
			if protocol != upload.GCS {
				put(3, part(3), status)
				put(2, part(3), status) // as if it had been cut short
				stored(1, 3)
				old := must(u.Part(ctx, session, 2, nil))(t)
				if !old.ExpiresAt.Before(store.Clock.Now().Add(2 * time.Minute)) {
					t.Errorf("a part's URL lives until %v", old.ExpiresAt)
				}
				store.Clock.Advance(2 * time.Minute)
				expired := 403
				if protocol == upload.GCSMultipart {
					expired = 400 // ExpiredToken
				}
				if got := send(t, old, part(2)); got != expired {
					t.Errorf("an expired URL: status %d", got)
				}
			}
			put(2, part(2), status) // signed anew
			if protocol == upload.GCS {
				// Half of it is sent again, with what follows.
				stored(1, 2)
				put(2, part(2), status)
				if _, err := must(u.Complete(ctx, session, all(plan)))(t).Do(ctx, nil); !errors.Is(err, upload.ErrRefused) || !strings.Contains(err.Error(), "10485760 of 12800000 bytes") {
					t.Errorf("not complete: %v", err)
				}
				put(3, part(3), 200)
			}
			parts := stored(1, 2, 3)
			if etag := must(must(u.Complete(ctx, session, parts))(t).Do(ctx, nil))(t); etag == "" {
				t.Error("no ETag")
			}
			got, header, _ := store.Get(key)
			if !bytes.Equal(got, data) || header.Get("Content-Type") != "video/x-test" {
				t.Errorf("%d bytes, want %d; %v", len(got), len(data), header)
			}
			for _, r := range seen.signed {
				if r.Key != key || r.Expires != time.Minute {
					t.Errorf("signed: %+v", r)
				}
			}
			if protocol == upload.GCS && len(seen.signed) != 1 || protocol != upload.GCS && len(seen.signed) < 6 {
				t.Errorf("%d requests were signed through the wrapper", len(seen.signed))
			}
			store.Delete(key)
		})
	}
}

// all are the parts of a plan, as a page would tell them.
func all(p upload.Plan) (parts []upload.Part) {
	for n := 1; n <= p.Parts; n++ {
		_, length := p.Range(n)
		parts = append(parts, upload.Part{Number: n, Size: length, ETag: `"e"`})
	}
	return parts
}

func TestAbort(t *testing.T) {
	store := startStore(t)
	for protocol, s := range signers(t, store) {
		t.Run(protocol.String(), func(t *testing.T) {
			ctx := t.Context()
			u := must(upload.New(upload.Config{Signer: s, Protocol: protocol, Key: "k", Size: 10, Expires: time.Minute}))(t)
			session := must(must(u.Start(ctx))(t).Do(ctx, nil))(t)
			abort, err := u.Abort(ctx, session)
			if protocol == upload.Azure {
				if !errors.Is(err, signer.ErrUnsupported) {
					t.Errorf("%v", err)
				}
				return
			}
			if _, err := abort.Do(ctx, nil); err != nil {
				t.Fatal(err)
			}
			var e *signer.Error
			if _, err := u.Stored(ctx, nil, session); !errors.Is(err, upload.ErrRefused) || !errors.As(err, &e) || e.Code != "NoSuchUpload" ||
				!strings.Contains(err.Error(), "completed, aborted, or is too old") || strings.Contains(err.Error(), string(session.Reveal())) {
				t.Errorf("%v", err)
			}
			if _, err := must(u.Complete(ctx, session, all(u.Plan())))(t).Do(ctx, nil); !errors.As(err, &e) || e.Code != "NoSuchUpload" {
				t.Errorf("%v", err)
			}
		})
	}
}

// A part that was cut short is refused by its digest, whatever its size.
func TestDigest(t *testing.T) {
	store := startStore(t)
	ctx := t.Context()
	whole, cut := bytes.Repeat([]byte("x"), 1000), append(bytes.Repeat([]byte("x"), 600), make([]byte, 400)...)
	sum := md5.Sum(whole)
	header := http.Header{"Content-Md5": {base64.StdEncoding.EncodeToString(sum[:])}}
	for protocol, s := range signers(t, store) {
		u := must(upload.New(upload.Config{Signer: s, Protocol: protocol, Key: "k", Size: 1000, Expires: time.Minute}))(t)
		session := must(must(u.Start(ctx))(t).Do(ctx, nil))(t)
		p := must(u.Part(ctx, session, 1, header))(t)
		if p.Header.Get("Content-Md5") == "" || len(header) != 1 {
			t.Errorf("%v: %v", protocol, p.Header)
		}
		if status := send(t, p, cut); status != 400 {
			t.Errorf("%v, cut short: status %d", protocol, status)
		}
		if status := send(t, p, whole); status > 201 {
			t.Errorf("%v: status %d", protocol, status)
		}
	}
}

// A page may take all steps itself: what it needs is in their JSON.
func TestStepJSON(t *testing.T) {
	s := exampleSigner()
	u := must(upload.New(upload.Config{Signer: s, Protocol: upload.S3, Key: "k", Size: 10, Expires: time.Minute}))(t)
	session := signer.NewSecret([]byte("id"))
	var got struct {
		Request struct{ Method, URL string }
		Body    string
	}
	step := must(u.Complete(t.Context(), session, []upload.Part{{1, 10, `"a&b"`}}))(t)
	if err := json.Unmarshal(must(json.Marshal(step))(t), &got); err != nil {
		t.Fatal(err)
	}
	if got.Request.Method != "POST" || !strings.Contains(got.Request.URL, "uploadId=id") ||
		got.Body != "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&#34;a&amp;b&#34;</ETag></Part></CompleteMultipartUpload>" {
		t.Errorf("%+v", got)
	}
	if text := fmt.Sprintf("%v %+v", step.Request, session); strings.Contains(text, "uploadId") {
		t.Errorf("printed: %s", text)
	}
	if plan := must(json.Marshal(u.Plan()))(t); string(plan) != `{"size":10,"partSize":8388608,"parts":1,"sequential":false}` {
		t.Errorf("%s", plan)
	}
}

// The session of Cloud Storage is a bearer secret, and prints as one.
func TestSessionIsHidden(t *testing.T) {
	s := exampleSigner()
	u := must(upload.New(upload.Config{Signer: s, Protocol: upload.GCS, Key: "k", Size: 10, Expires: time.Minute}))(t)
	session := signer.NewSecret([]byte("https://storage.googleapis.com/b/k?upload_id=BEARER"))
	p := must(u.Part(t.Context(), session, 1, nil))(t)
	if p.URL != string(session.Reveal()) || p.Header.Get("Content-Range") != "bytes 0-9/10" || !p.ExpiresAt.IsZero() {
		t.Errorf("%s %v", p.URL, p.Header)
	}
	for _, text := range []string{fmt.Sprint(session), fmt.Sprintf("%+v", p), fmt.Sprint(u), signer.RedactURL(p.URL)} {
		if strings.Contains(text, "BEARER") {
			t.Errorf("printed: %s", text)
		}
	}
	step := must(u.List(t.Context(), signer.NewSecret([]byte("http://127.0.0.1:1/b/k?upload_id=BEARER")), 0))(t)
	if _, err := step.Do(t.Context(), nil); err == nil || strings.Contains(err.Error(), "BEARER") {
		t.Errorf("%v", err)
	}
}

func TestNewErrors(t *testing.T) {
	good := upload.Config{Signer: exampleSigner(), Protocol: upload.S3, Key: "k", Size: 100 << 20, Expires: time.Minute}
	const mib = 1 << 20
	for _, tt := range []struct {
		name string
		edit func(*upload.Config)
		want []string
	}{
		{"nothing", func(c *upload.Config) { *c = upload.Config{} }, []string{"Signer: ", "Key: ", "Expires: ", "Protocol: "}},
		{"size 0", func(c *upload.Config) { c.Size = 0 }, []string{"Size: bad request: an empty object has no parts; presign a PUT"}},
		{"a negative size", func(c *upload.Config) { c.Size = -5 }, []string{"Size: bad request: -5 is no size"}},
		{"an unknown size", func(c *upload.Config) { c.Size = -1 }, []string{"must be known before the upload begins"}},
		{"10,001 parts", func(c *upload.Config) { c.PartSize, c.Size = 5*mib, 10_000*5*mib+1 },
			[]string{"PartSize: bad request: 10001 parts of 5242880 bytes are too many; S3 takes 10000, so let them have 5242881 bytes or more"}},
		{"a part under 5 MiB", func(c *upload.Config) { c.PartSize = 5*mib - 1 }, []string{"PartSize: bad request: 5242879 bytes are too few for a part that others follow; S3 takes 5242880"}},
		{"a part over 5 GiB", func(c *upload.Config) { c.PartSize, c.Size = 5<<30+1, 6<<30 }, []string{"too many for a part; S3 takes 5368709120"}},
		{"a negative part", func(c *upload.Config) { c.PartSize = -1 }, []string{"PartSize: bad request: -1 is no size"}},
		{"more than all parts", func(c *upload.Config) { c.Size = 10_000*(5<<30) + 1 }, []string{"Size: bad request: 53687091200001 bytes are more than 10000 parts"}},
		{"the largest number", func(c *upload.Config) { c.Size = 1<<63 - 1 }, []string{"Size: bad request: 9223372036854775807 bytes are more than"}},
		{"OSS, a part under 100 KiB", func(c *upload.Config) { c.Protocol, c.PartSize = upload.OSS, 100<<10-1 }, []string{"OSS takes 102400 or more"}},
		{"GCS, an odd chunk", func(c *upload.Config) { c.Protocol, c.PartSize = upload.GCS, 256<<10+1 }, []string{"no multiple of 262144"}},
		{"GCS, over 5 TiB", func(c *upload.Config) { c.Protocol, c.Size = upload.GCS, 5<<40+1 }, []string{"GCS takes 5497558138880"}},
		{"Azure, 50,001 blocks", func(c *upload.Config) { c.Protocol, c.PartSize, c.Size = upload.Azure, 1, 50_001 }, []string{"50001 parts of 1 bytes are too many; Azure takes 50000"}},
		{"Azure, a block of 100 MiB of old", func(c *upload.Config) { c.Protocol, c.Version, c.PartSize = upload.Azure, "2015-04-05", 5*mib }, []string{"Azure takes 4194304"}},
		{"Azure, a large block of less old", func(c *upload.Config) {
			c.Protocol, c.Version, c.PartSize, c.Size = upload.Azure, "2019-10-10", 101*mib, 200*mib
		}, []string{"Azure takes 104857600"}},
		{"no version", func(c *upload.Config) { c.Protocol, c.Version = upload.Azure, "new" }, []string{`Version: bad request: "new"`}},
		{"a version of S3", func(c *upload.Config) { c.Version = "2020-12-06" }, []string{"Version: "}},
		{"an origin with a path", func(c *upload.Config) { c.Origin = "https://app.example.com/" }, []string{"Origin: "}},
		{"another provider's Signer", func(c *upload.Config) { c.Protocol, c.Signer = upload.Azure, s3Signer() }, []string{"Protocol: bad request: Azure, and the Signer is one of package s3"}},
		{"a header of one request", func(c *upload.Config) {
			c.Header = http.Header{"Content-Length": {"5"}, "content-md5": {"x"}, "Content-Range": {"bytes 0-1/2"}}
		}, []string{"Content-Length is of one request", "content-md5 is of", "Content-Range is of"}},
		{"a header that is none", func(c *upload.Config) { c.Header = http.Header{"Content-Type": {"a\nb"}, "Host": {"h"}} }, []string{"Content-Type holds a control", "Host is the endpoint's"}},
		{"no life", func(c *upload.Config) { c.Expires = 0 }, []string{"Expires: "}},
	} {
		c := good
		tt.edit(&c)
		u, err := upload.New(c)
		if u != nil || !errors.Is(err, signer.ErrRequest) {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if lines := strings.Split(err.Error(), "\n"); len(lines) != len(tt.want) {
			t.Errorf("%s: %d lines, want %d: %v", tt.name, len(lines), len(tt.want), err)
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in %v", tt.name, want, err)
			}
		}
	}
}

// Every byte is in one part, no limit is passed, and the sizes are round.
func TestPlan(t *testing.T) {
	const mib, gib = int64(1) << 20, int64(1) << 30
	for _, tt := range []struct {
		protocol       upload.Protocol
		version        string
		size, partSize int64
		parts          int
		each           int64
	}{
		{upload.S3, "", 1, 0, 1, 8 * mib},
		{upload.S3, "", 8 * mib, 0, 1, 8 * mib},
		{upload.S3, "", 8*mib + 1, 0, 2, 8 * mib},
		{upload.S3, "", 1, 1, 1, 1}, // the last part may be as small as it is
		{upload.S3, "", 5*mib + 1, 5 * mib, 2, 5 * mib},
		{upload.S3, "", 10_000 * 5 * mib, 5 * mib, 10_000, 5 * mib},
		{upload.S3, "", 5 * gib, 0, 640, 8 * mib},
		{upload.S3, "", 10_000*8*mib + 1, 0, 8889, 9 * mib},
		{upload.S3, "", 10_000 * 5 * gib, 0, 10_000, 5 * gib},
		{upload.OSS, "", 200 << 10, 100 << 10, 2, 100 << 10},
		{upload.GCS, "", 256<<10 + 1, 256 << 10, 2, 256 << 10},
		{upload.GCS, "", 5 << 40, 0, 655_360, 8 * mib},
		{upload.GCSMultipart, "", 5 << 40, 0, 9_987, 525 * mib},
		{upload.Azure, "", 50_000, 1, 50_000, 1},
		{upload.Azure, "", 50_000 * 4000 * mib, 0, 50_000, 4000 * mib},
		{upload.Azure, "2015-04-05", 9 * mib, 0, 3, 4 * mib},
	} {
		u, err := upload.New(upload.Config{Signer: exampleSigner(), Protocol: tt.protocol, Version: tt.version, Key: "k", Size: tt.size, PartSize: tt.partSize, Expires: time.Minute})
		if err != nil {
			t.Errorf("%v, %d bytes in %d: %v", tt.protocol, tt.size, tt.partSize, err)
			continue
		}
		p := u.Plan()
		if p.Parts != tt.parts || p.PartSize != tt.each || p.Size != tt.size {
			t.Errorf("%v, %d bytes in %d: %+v, want %d parts of %d", tt.protocol, tt.size, tt.partSize, p, tt.parts, tt.each)
		}
		next := int64(0)
		for n := 1; n <= p.Parts; n++ {
			offset, length := p.Range(n)
			if offset != next || length < 1 || length > p.PartSize || n < p.Parts && length != p.PartSize {
				t.Fatalf("%+v: part %d is %d bytes at %d", p, n, length, offset)
			}
			next += length
		}
		if next != tt.size {
			t.Errorf("%+v: %d bytes in all", p, next)
		}
		for _, n := range []int{-1, 0, p.Parts + 1} {
			if _, length := p.Range(n); length != 0 {
				t.Errorf("%+v: part %d has %d bytes", p, n, length)
			}
		}
	}
}

// What a page says is held to the plan, and a session to what Start can have brought.
func TestStepErrors(t *testing.T) {
	ctx := t.Context()
	const mib = 1 << 20
	config := upload.Config{Signer: exampleSigner(), Protocol: upload.S3, Key: "k", Size: 12 * mib, PartSize: 5 * mib, Expires: time.Minute}
	u := must(upload.New(config))(t)
	session := signer.NewSecret([]byte("id"))
	good := func() []upload.Part { return all(u.Plan()) }
	for _, tt := range []struct {
		name string
		edit func([]upload.Part) []upload.Part
		want string
	}{
		{"none", func([]upload.Part) []upload.Part { return nil }, "part 1 is missing"},
		{"a hole", func(p []upload.Part) []upload.Part { return slices.Delete(p, 1, 2) }, "part 2 is missing"},
		{"no last", func(p []upload.Part) []upload.Part { return p[:2] }, "part 3 is missing"},
		{"twice", func(p []upload.Part) []upload.Part { return append(p, p[2]) }, "part 3 is there twice"},
		{"one too many", func(p []upload.Part) []upload.Part { return append(p, upload.Part{Number: 4, Size: 1, ETag: "e"}) }, "no part 4"},
		{"part 0", func(p []upload.Part) []upload.Part { p[0].Number = 0; return p }, "no part 0"},
		{"another size", func(p []upload.Part) []upload.Part { p[1].Size--; return p }, "part 2 has 5242879 bytes, not 5242880"},
		{"no ETag", func(p []upload.Part) []upload.Part { p[2].ETag = ""; return p }, "part 3 has no ETag"},
		{"an ETag with a line end", func(p []upload.Part) []upload.Part { p[2].ETag = "a\nb"; return p }, "part 3 has no ETag, or one with a control character"},
	} {
		if step, err := u.Complete(ctx, session, tt.edit(good())); step != nil || !errors.Is(err, signer.ErrRequest) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	reversed := good()
	slices.Reverse(reversed)
	if step, err := u.Complete(ctx, session, reversed); err != nil || strings.Index(step.Body, ">1<") > strings.Index(step.Body, ">3<") {
		t.Errorf("in another order: %v", err)
	}
	if reversed[0].Number != 3 {
		t.Error("the caller's parts were sorted")
	}
	for _, n := range []int{-1, 0, 4, 10_001} {
		if p, err := u.Part(ctx, session, n, nil); p != nil || !errors.Is(err, signer.ErrRequest) {
			t.Errorf("part %d: %v", n, err)
		}
	}
	encoded := string(must(session.MarshalText())(t)) // what is left of a session that was stored as JSON
	for _, tt := range []struct {
		protocol upload.Protocol
		session  string
	}{
		{upload.S3, ""}, {upload.S3, "a\nb"}, {upload.S3, "ü"}, {upload.OSS, "a\x7f"}, {upload.GCSMultipart, "\x00"},
		{upload.GCS, "id"}, {upload.GCS, "ftp://h/"}, {upload.GCS, "https://user@h/"}, {upload.GCS, "https://h/ "}, {upload.GCS, "//h/"}, {upload.GCS, "https://h/#f"},
		{upload.Azure, "id"}, {upload.Azure, strings.Repeat("x", 25)},
		{upload.S3, encoded}, {upload.GCS, encoded}, {upload.Azure, encoded},
	} {
		c := config
		c.Protocol = tt.protocol
		if tt.protocol == upload.OSS {
			c.PartSize = 0
		}
		u := must(upload.New(c))(t)
		session := signer.NewSecret([]byte(tt.session))
		_, errPart := u.Part(ctx, session, 1, nil)
		_, errList := u.List(ctx, session, 0)
		_, errComplete := u.Complete(ctx, session, good())
		_, errAbort := u.Abort(ctx, session)
		_, errStored := u.Stored(ctx, nil, session)
		for _, err := range []error{errPart, errList, errComplete, errAbort, errStored} {
			if !errors.Is(err, signer.ErrRequest) || !strings.Contains(err.Error(), "session: ") {
				t.Errorf("%v, session %q: %v", tt.protocol, tt.session, err)
			}
		}
	}
	// A signer's refusal comes through.
	config.Expires = 8 * 24 * time.Hour
	if _, err := must(upload.New(config))(t).Start(ctx); !errors.Is(err, signer.ErrLifetime) {
		t.Errorf("%v", err)
	}
	// A Signer of another backend is asked for.
	key := must(azure.SharedKey("account", "bm90IGEgc2VjcmV0"))(t)
	config.Expires, config.Signer = time.Minute, struct{ signer.Signer }{must(azure.New(azure.Config{Account: "account", Container: "films", Keys: key}))(t)}
	if _, err := must(upload.New(config))(t).Start(ctx); !errors.Is(err, signer.ErrUnsupported) || !strings.Contains(err.Error(), "an upload to S3 needs; is it of that backend?") {
		t.Errorf("%v", err)
	}
}

// Blocks of one upload have names of one length, which no other upload has.
func TestBlockIDs(t *testing.T) {
	store := startStore(t)
	ctx := t.Context()
	u := must(upload.New(upload.Config{Signer: signers(t, store)[upload.Azure], Protocol: upload.Azure, Key: "k", Size: 50_000, PartSize: 1, Expires: time.Minute}))(t)
	start := must(u.Start(ctx))(t)
	if start.Request != nil {
		t.Errorf("a request: %v", start.Request)
	}
	a, b := must(start.Do(ctx, nil))(t), must(start.Do(ctx, nil))(t)
	id := func(session signer.Secret, n int) string {
		p := must(u.Part(ctx, session, n, nil))(t)
		if !slices.Contains(p.NotEnforced, "Query.blockid") {
			t.Errorf("%v", p.NotEnforced)
		}
		return must(url.Parse(p.URL))(t).Query().Get("blockid")
	}
	if len(id(a, 1)) != len(id(a, 50_000)) || id(a, 1) == id(b, 1) || id(a, 1) == id(a, 2) {
		t.Errorf("%s %s %s", id(a, 1), id(a, 2), id(b, 1))
	}
	if status := send(t, must(u.Part(ctx, a, 50_000, nil))(t), []byte("x")); status != 201 {
		t.Errorf("status %d", status)
	}
	if parts := must(u.Stored(ctx, nil, b))(t); len(parts) != 0 {
		t.Errorf("the other upload's blocks: %v", parts)
	}
	if parts := must(u.Stored(ctx, nil, a))(t); !slices.Equal(numbers(parts), []int{50_000}) {
		t.Errorf("%v", parts)
	}
}

// A list of more than a page is read to its end.
func TestStoredPages(t *testing.T) {
	store := must(storefake.Start(storefake.Config{}))(t)
	t.Cleanup(func() { store.Close() })
	const parts = 1005 // a page has 1000
	c := upload.Config{Signer: signers(t, store)[upload.OSS], Protocol: upload.OSS, Key: "k", Size: parts, PartSize: parts, Expires: time.Minute}
	ctx := t.Context()
	session := must(must(must(upload.New(c))(t).Start(ctx))(t).Do(ctx, nil))(t)
	// Small parts, which no plan would have.
	for n := 1; n <= parts; n++ {
		p := must(c.Signer.Presign(ctx, signer.Request{Method: "PUT", Key: "k", Expires: time.Minute,
			Query: url.Values{"partNumber": {fmt.Sprint(n)}, "uploadId": {string(session.Reveal())}}}))(t)
		if status := send(t, p, []byte("x")); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	u := must(upload.New(c))(t)
	page := must(must(u.List(ctx, session, 0))(t).Do(ctx, nil))(t)
	rest := must(must(u.List(ctx, session, page.Next))(t).Do(ctx, nil))(t)
	if len(page.Parts) != 1000 || page.Next != 1000 || len(rest.Parts) != 5 || rest.Next != 0 || rest.Parts[4].Number != parts {
		t.Errorf("%d parts, then %d after %d", len(page.Parts), len(rest.Parts), page.Next)
	}
	if got := must(u.Stored(ctx, nil, session))(t); len(got) != 0 { // none of them is as planned
		t.Errorf("%v", got)
	}
}

// Pages are asked for until the plan's last part, even if the store has more of them without end.
func TestStoredEnds(t *testing.T) {
	u := must(upload.New(upload.Config{Signer: exampleSigner(), Protocol: upload.S3, Key: "k", Size: 15 << 20, PartSize: 5 << 20, Expires: time.Minute}))(t)
	asked := 0
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		after, _ := strconv.Atoi(r.URL.Query().Get("part-number-marker"))
		if asked++; after != asked-1 {
			t.Errorf("page %d begins after %d", asked, after)
		}
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(fmt.Sprintf("<ListPartsResult><IsTruncated>true</IsTruncated>"+
			"<NextPartNumberMarker>%d</NextPartNumberMarker><Part><PartNumber>%d</PartNumber><Size>5242880</Size><ETag>e</ETag></Part></ListPartsResult>", asked, asked)))}, nil
	})}
	parts, err := u.Stored(t.Context(), client, signer.NewSecret([]byte("id")))
	if err != nil || asked != 3 || !slices.Equal(numbers(parts), []int{1, 2, 3}) {
		t.Errorf("%v, %v, asked %d times", parts, err, asked)
	}
}

// A redirect is not followed: the URL is signed for one host, and a session is nobody else's business.
func TestNoRedirect(t *testing.T) {
	u := must(upload.New(upload.Config{Signer: exampleSigner(), Protocol: upload.S3, Key: "k", Size: 1, Expires: time.Minute}))(t)
	asked := 0
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if asked++; asked > 1 {
			return nil, errors.New("followed")
		}
		return &http.Response{StatusCode: 307, Header: http.Header{"Location": {"https://elsewhere.example.com/"}}, Body: http.NoBody, Request: r}, nil
	})}
	_, err := must(u.Start(t.Context()))(t).Do(t.Context(), client)
	if asked != 1 || !errors.Is(err, upload.ErrRefused) || !strings.Contains(err.Error(), "region and endpoint") {
		t.Errorf("%d requests, %v", asked, err)
	}
	if client.CheckRedirect != nil {
		t.Error("the caller's client was changed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := must(u.Start(t.Context()))(t).Do(ctx, nil); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "X-Amz-Signature=REDACTED") {
		t.Errorf("%v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// exampleSigner signs for every protocol: it does not tell whose it is.
func exampleSigner() signer.Signer { return struct{ signer.Signer }{s3Signer()} }

func s3Signer() signer.Signer {
	s, err := s3.New(s3.Config{Region: "eu-west-1", Bucket: "films", Credentials: s3.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE",
		SecretKey: signer.NewSecret([]byte("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))},
		Clock: clock.Fixed(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))})
	if err != nil {
		panic(err)
	}
	return s
}
