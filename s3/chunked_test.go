package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/vector"
	"github.com/cloudsigner/cloudsigner/signer"
)

// vectorRequest is the request of a chunked vector before it is signed, with its body.
func vectorRequest(t *testing.T, v *vector.Vector) (*http.Request, inputs) {
	t.Helper()
	in := readInputs(t, v)
	length, err := strconv.Atoi(v.Get(t, "payload-length"))
	if err != nil {
		t.Fatal(err)
	}
	body := strings.Repeat(v.Get(t, "payload-byte"), length)
	req, err := http.NewRequest(in.method, in.scheme+"://"+in.host+in.path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range in.headers {
		if strings.EqualFold(h[0], "x-amz-storage-class") { // SignChunked sets the others
			req.Header.Set(h[0], h[1])
		}
	}
	return req, in
}

// Both of the documentation's chunked uploads, stage by stage, through the scheme's functions.
func TestChunkVectors(t *testing.T) {
	found := 0
	vector.Run(t, "testdata/vectors/s3-chunked-*.txt", func(t *testing.T, v *vector.Vector) {
		found++
		req, in := vectorRequest(t, v)
		w := new(sigv4.Scratch)
		canonical := in.canonical(t, w, "")
		toSign := appendStringToSign(nil, in.stamp, &in.scope, canonical)
		key := family().NewKey(in.creds.SecretKey, in.scope.Scope)
		seed := string(key.AppendSignature(nil, toSign))
		stages(t, v, map[string]string{
			"canonical request":        string(canonical),
			"canonical request sha256": hexSum(canonical),
			"string to sign":           string(toSign),
			"signature":                seed,
			"authorization":            string(appendAuthorization(nil, in.creds.AccessKeyID, &in.scope, w.Headers, key, toSign)),
		})

		chunks := chunkSigner{key: key, stamp: in.stamp, scope: in.scope, previous: []byte(seed)}
		toSigns, signatures, heads := v.All("chunk string to sign"), v.All("chunk signature"), v.All("chunk header")
		var wire bytes.Buffer
		checksum := ChecksumCRC32C.new()
		for i, size := range v.All("chunk-size") {
			n, _ := strconv.Atoi(size)
			data := make([]byte, n)
			if _, err := io.ReadFull(req.Body, data); err != nil {
				t.Fatal(err)
			}
			checksum.Write(data)
			sum := sha256.Sum256(data)
			if got := string(chunks.appendToSign(nil, payloadKind, &sum)); got != toSigns[i] {
				t.Errorf("chunk %d: string to sign\n got %q\nwant %q", i, got, toSigns[i])
			}
			if got := string(chunks.sign(payloadKind, sum)); got != signatures[i] {
				t.Errorf("chunk %d: signature %s, want %s", i, got, signatures[i])
			}
			fmt.Fprintf(&wire, "%s\r\n", heads[i])
			if n > 0 {
				fmt.Fprintf(&wire, "%s\r\n", data)
			}
		}
		conf := Chunked{}
		if trailers := v.Pairs(t, "trailer", ": "); trailers != nil {
			conf.Checksum = ChecksumCRC32C
			line := trailers[0][0] + ":" + trailers[0][1] + "\n"
			sum := sha256.Sum256([]byte(line))
			stages(t, v, map[string]string{
				"trailer hashed string":  line,
				"trailer hash":           hexSum([]byte(line)),
				"trailer string to sign": string(chunks.appendToSign(nil, trailerKind, &sum)),
				"trailer signature":      string(chunks.sign(trailerKind, sum)),
				"crc32c base64":          trailers[0][1],
			})
			fmt.Fprintf(&wire, "%s:%s\r\nx-amz-trailer-signature:%s\r\n", trailers[0][0], trailers[0][1], chunks.previous)
			misprint, err := ParseAuthorization(v.Get(t, "misprinted authorization"))
			if err != nil || misprint.Signature != seed || slices.Contains(misprint.SignedHeaders, "x-amz-trailer") {
				t.Errorf("the misprint is another one: %+v, %v", misprint, err)
			}
		} else if want := v.Get(t, "encoded body length"); fmt.Sprint(wire.Len()+2) != want {
			t.Errorf("encoded length %d, want %s", wire.Len()+2, want)
		}
		wire.WriteString("\r\n")

		// The same upload through the API. It signs Content-Length, which one of the examples leaves out: then only the bodies can
		// be compared, but for their signatures.
		s, err := New(Config{Region: in.region, Credentials: in.creds, Clock: clock.Fixed(in.time)})
		if err != nil {
			t.Fatal(err)
		}
		req, _ = vectorRequest(t, v)
		if err := s.SignChunked(context.Background(), req, conf); err != nil {
			t.Fatal(err)
		}
		if conf.Checksum == NoChecksum && req.Header.Get("Authorization") != v.Get(t, "authorization") {
			t.Errorf("SignChunked\n got %s\nwant %s", req.Header.Get("Authorization"), v.Get(t, "authorization"))
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(body)) != req.ContentLength || len(body) != wire.Len() {
			t.Errorf("%d bytes, Content-Length %d, by hand %d", len(body), req.ContentLength, wire.Len())
		}
		if conf.Checksum == NoChecksum && !bytes.Equal(body, wire.Bytes()) {
			t.Error("another body than by hand")
		}

		// What is published also decodes.
		p := chunkedPayload{signed: true, trailer: conf.Checksum != NoChecksum, checksum: conf.Checksum, length: 66560}
		first := chunkSigner{key: key, stamp: in.stamp, scope: in.scope, previous: []byte(seed)}
		decoded, err := io.ReadAll(p.body(io.NopCloser(bytes.NewReader(wire.Bytes())), first))
		if err != nil || len(decoded) != 66560 {
			t.Errorf("decoded %d bytes, %v", len(decoded), err)
		}
	})
	if found != 2 {
		t.Errorf("%d vectors, want 2", found)
	}
}

// Several trailers are hashed sorted, a line each (aws-c-auth's value). The API sends one, so this is about the text alone.
func TestTrailerVectors(t *testing.T) {
	vector.Run(t, "testdata/vectors/sigv4a-s3-*.txt", func(t *testing.T, v *vector.Vector) {
		v.Ignore("region", "region-set", "service", "secret-access-key", "access-key-id", "time", "time-unix", "method", "host", "path", "header",
			"payload-hash", "canonical request", "credential scope") // TestCanonical4aVector
		var lines []string
		for _, trailer := range v.Pairs(t, "trailer", ": ") {
			lines = append(lines, trailer[0]+":"+trailer[1]+"\n")
		}
		slices.Sort(lines)
		text := strings.Join(lines, "")
		stages(t, v, map[string]string{"trailer hashed string": text, "trailer hash": hexSum([]byte(text))})
	})
}

// Checksums of nine bytes, as the catalogue of parametrised CRC algorithms and FIPS 180 have them.
func TestChecksums(t *testing.T) {
	for c, want := range map[Checksum]string{
		ChecksumCRC32: "cbf43926", ChecksumCRC32C: "e3069283", ChecksumCRC64NVME: "ae8b14860a799888",
		ChecksumSHA1: "f7c3bc1d808e04732adf679965ccc34ca7ae3441", ChecksumSHA256: "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
	} {
		h := c.new()
		h.Write([]byte("123456789"))
		if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
			t.Errorf("%s is %s, want %s", c.header(), got, want)
		}
		if back, ok := checksumOf(strings.ToUpper(c.header())); !ok || back != c {
			t.Errorf("%s is not recognised", c.header())
		}
	}
	if _, ok := checksumOf("x-amz-checksum-md5"); ok || NoChecksum.new() != nil {
		t.Error("an unknown checksum is known")
	}
}

type chunkedCase struct {
	name string
	s    *Signer
	v    *Verifier
	conf Chunked
}

func chunkedCases(t testing.TB) (cases []chunkedCase) {
	endpoint, err := url.Parse("http://127.0.0.1:9000")
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range [][]string{nil, {"us-east-1"}} {
		s, err := New(Config{Region: "us-east-1", RegionSet: set, Endpoint: endpoint, Credentials: multi.creds, Clock: clock.Fixed(multi.now)})
		if err != nil {
			t.Fatal(err)
		}
		v, err := NewVerifier(VerifierConfig{Region: "us-east-1", Endpoint: endpoint, Clock: clock.Fixed(multi.now),
			Lookup: func(context.Context, string) (Credentials, error) { return multi.creds, nil }})
		if err != nil {
			t.Fatal(err)
		}
		for sum := NoChecksum; sum <= ChecksumSHA256; sum++ {
			for _, unsigned := range []bool{false, true} {
				if unsigned && sum == NoChecksum {
					continue
				}
				cases = append(cases, chunkedCase{fmt.Sprintf("%v/%s/unsigned=%v", set, sum.header(), unsigned), s, v,
					Chunked{Checksum: sum, Unsigned: unsigned, ChunkSize: smallestChunk}})
			}
		}
	}
	return cases
}

// send signs an upload and returns what arrives at the server: the headers, and the bytes of the body.
func (c *chunkedCase) send(t testing.TB, body []byte) (*http.Request, []byte) {
	t.Helper()
	req, err := http.NewRequest("PUT", "http://127.0.0.1:9000/photos/k", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Encoding", "gzip")
	if err := c.s.SignChunked(context.Background(), req, c.conf); err != nil {
		t.Fatal(err)
	}
	wire, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(wire)) != req.ContentLength {
		t.Errorf("%d bytes on the wire, Content-Length says %d", len(wire), req.ContentLength)
	}
	if again, err := req.GetBody(); err != nil {
		t.Error(err)
	} else if second, _ := io.ReadAll(again); !bytes.Equal(second, wire) {
		t.Error("the body is another one when it is read again")
	}
	in := httptest.NewRequest("PUT", req.URL.String(), nil)
	in.Header, in.ContentLength = req.Header, req.ContentLength
	return in, wire
}

// receive verifies headers and body as a server does.
func (c *chunkedCase) receive(t testing.TB, in *http.Request, wire []byte) ([]byte, error) {
	t.Helper()
	g, err := c.v.Verify(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(g.Payload, "STREAMING-") || g.Chunks == nil {
		t.Fatalf("grant %+v", g)
	}
	return io.ReadAll(iotestOneByte{g.Body(io.NopCloser(bytes.NewReader(wire)))})
}

// iotestOneByte reads in odd portions.
type iotestOneByte struct{ io.Reader }

func (r iotestOneByte) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(len(p), 1000)]) }

func TestChunkedRoundTrip(t *testing.T) {
	for _, c := range chunkedCases(t) {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range []int{0, 1, smallestChunk - 1, smallestChunk, smallestChunk + 1, 3*smallestChunk + 17} {
				body := bytes.Repeat([]byte("abcdefg"), n/7+1)[:n]
				in, wire := c.send(t, body)
				if in.Header.Get("Content-Encoding") != "aws-chunked,gzip" || in.Header.Get("X-Amz-Decoded-Content-Length") != fmt.Sprint(n) {
					t.Errorf("header %v", in.Header)
				}
				got, err := c.receive(t, in, wire)
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("%d bytes: got %d, %v", n, len(got), err)
				}
				var copied bytes.Buffer // io.Copy takes WriteTo
				g, _ := c.v.Verify(context.Background(), in)
				if _, err := io.Copy(&copied, g.Body(io.NopCloser(bytes.NewReader(wire)))); err != nil || !bytes.Equal(copied.Bytes(), body) {
					t.Errorf("%d bytes: copied %d, %v", n, copied.Len(), err)
				}
			}
		})
	}
}

// Every byte of a body on the wire changed alone, and every place to cut it: what comes out is right or an error, and never a
// byte of a signed chunk that was not verified.
func TestChunkedTampering(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), smallestChunk/16+3)
	for _, c := range chunkedCases(t) {
		if c.conf.Checksum > ChecksumCRC32 {
			continue // the checksums differ in their names only
		}
		t.Run(c.name, func(t *testing.T) {
			in, wire := c.send(t, body)
			interesting := func(i int) bool {
				return i < 300 || i > len(wire)-600 || i%997 == 0 || i > smallestChunk && i < smallestChunk+600
			}
			for i := range wire {
				if !interesting(i) {
					continue
				}
				bad := bytes.Clone(wire)
				bad[i] ^= 1
				got, err := c.receive(t, in, bad)
				if err == nil && !bytes.Equal(got, body) {
					t.Fatalf("byte %d changed: a wrong body without an error", i)
				}
				if err == nil {
					t.Errorf("byte %d (%q) changed to %q: accepted", i, wire[i], bad[i])
				}
				if err != nil && !errors.Is(err, signer.ErrMalformed) && !errors.Is(err, signer.ErrMismatch) {
					t.Errorf("byte %d changed: undocumented error %v", i, err)
				}
				if !c.conf.Unsigned && !bytes.HasPrefix(body, got) {
					t.Fatalf("byte %d changed: bytes that were not signed were handed on", i)
				}
				if _, err := c.receive(t, in, wire[:i]); err == nil {
					t.Errorf("cut at byte %d: accepted", i)
				}
			}
			if _, err := c.receive(t, in, append(bytes.Clone(wire), 'x')); err == nil {
				t.Error("a byte more: accepted")
			}
		})
	}
}

func TestChunkedReorderingAndReplay(t *testing.T) {
	c := chunkedCases(t)[0]
	body := slices.Concat(bytes.Repeat([]byte("a"), smallestChunk), bytes.Repeat([]byte("b"), smallestChunk), bytes.Repeat([]byte("c"), smallestChunk))
	in, wire := c.send(t, body)
	n := (len(wire) - len("0"+chunkSignature) - 64 - 4) / 3
	first, second, third, end := wire[:n], wire[n:2*n], wire[2*n:3*n], wire[3*n:]
	for name, order := range map[string][][]byte{
		"two swapped":       {second, first, third, end},
		"one twice":         {first, first, third, end},
		"one left out":      {first, third, end},
		"the last left out": {first, second, third},
		"only the last":     {end},
	} {
		if _, err := c.receive(t, in, slices.Concat(order...)); !errors.Is(err, signer.ErrMismatch) && !errors.Is(err, signer.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A chunk of another upload, at the same second with the same key.
	other, otherWire := c.send(t, bytes.ToUpper(body))
	if _, err := c.receive(t, other, slices.Concat(otherWire[:n], second, otherWire[2*n:])); !errors.Is(err, signer.ErrMismatch) {
		t.Errorf("a chunk of another upload: %v", err)
	}
}

// Bodies that no writer of ours makes.
func TestUnchunkErrors(t *testing.T) {
	sig := strings.Repeat("a", 64)
	signed := chunkedPayload{signed: true, length: 5}
	withTrailer := chunkedPayload{signed: true, trailer: true, checksum: ChecksumCRC32, length: 0}
	unsigned := chunkedPayload{trailer: true, checksum: ChecksumCRC32, length: 5}
	const crc = "x-amz-checksum-crc32:NhCmhg==" // of "hello"
	if got, err := decode(unsigned, "5\r\nhello\r\n0\r\n"+crc+"\r\n\r\n"); err != nil || got != "hello" {
		t.Fatalf("the good one: %q, %v", got, err)
	}
	if got, err := decode(unsigned, "5\r\nhello\r\n0\r\n"+crc+"\n\r\n\r\n"); err != nil || got != "hello" {
		t.Fatalf("as minio-go 7.4.1 writes it: %q, %v", got, err)
	}
	for _, tt := range []struct {
		name    string
		payload chunkedPayload
		wire    string
		class   error
		code    string
	}{
		{"nothing", signed, "", signer.ErrMalformed, "IncompleteBody"},
		{"size in capitals", chunkedPayload{signed: true, length: 10}, "A;chunk-signature=" + sig + "\r\n0123456789\r\n", signer.ErrMalformed, "InvalidRequest"},
		{"zeros in front", signed, "05;chunk-signature=" + sig + "\r\nhello\r\n", signer.ErrMalformed, "InvalidRequest"},
		{"0x in front", signed, "0x5;chunk-signature=" + sig + "\r\nhello\r\n", signer.ErrMalformed, "InvalidRequest"},
		{"a sign in front", signed, "+5;chunk-signature=" + sig + "\r\nhello\r\n", signer.ErrMalformed, "InvalidRequest"},
		{"no size", signed, ";chunk-signature=" + sig + "\r\n", signer.ErrMalformed, "InvalidRequest"},
		{"size of 2^63", signed, "8000000000000000;chunk-signature=" + sig + "\r\n", signer.ErrMalformed, "InvalidRequest"},
		{"size of 2^62", chunkedPayload{signed: true, length: math.MaxInt64}, "4000000000000000;chunk-signature=" + sig + "\r\n", signer.ErrMalformed, "InvalidChunkSizeError"},
		{"size of 2^62 over the length", signed, "4000000000000000;chunk-signature=" + sig + "\r\n", signer.ErrMalformed, "IncompleteBody"},
		{"signature too short", signed, "5;chunk-signature=" + sig[1:] + "\r\nhello\r\n", signer.ErrMalformed, "InvalidRequest"},
		{"signature too long", signed, "5;chunk-signature=" + sig + "a\r\nhello\r\n", signer.ErrMalformed, "InvalidRequest"},
		{"signature in capitals", signed, "5;chunk-signature=" + strings.ToUpper(sig) + "\r\nhello\r\n", signer.ErrMalformed, "InvalidRequest"},
		{"stars", signed, "5;chunk-signature=" + sig[2:] + "**\r\nhello\r\n", signer.ErrMalformed, "InvalidRequest"},
		{"no signature", signed, "5\r\nhello\r\n", signer.ErrMalformed, "InvalidRequest"},
		{"another extension", signed, "5;chunk-digest=" + sig + "\r\nhello\r\n", signer.ErrMalformed, "InvalidRequest"},
		{"wrong signature", signed, "5;chunk-signature=" + sig + "\r\nhello\r\n", signer.ErrMismatch, "SignatureDoesNotMatch"},
		{"more than announced", signed, "6;chunk-signature=" + sig + "\r\nhello!\r\n", signer.ErrMalformed, "IncompleteBody"},
		{"less than announced", signed, "0;chunk-signature=" + sig + "\r\n\r\n", signer.ErrMalformed, "IncompleteBody"},
		{"LF alone", unsigned, "5\nhello\r\n0\r\n" + crc + "\r\n\r\n", signer.ErrMalformed, "InvalidRequest"},
		{"a line without end", unsigned, strings.Repeat("5", 5000), signer.ErrMalformed, "InvalidRequest"},
		{"extension on an unsigned chunk", unsigned, "5;chunk-signature=" + sig + "\r\nhello\r\n", signer.ErrMalformed, "InvalidRequest"},
		{"bytes behind a chunk", unsigned, "5\r\nhello!\r\n", signer.ErrMalformed, "InvalidRequest"},
		{"cut in a chunk", unsigned, "5\r\nhel", signer.ErrMalformed, "IncompleteBody"},
		{"cut behind a chunk", unsigned, "5\r\nhello", signer.ErrMalformed, "IncompleteBody"},
		{"no last chunk", unsigned, "5\r\nhello\r\n", signer.ErrMalformed, "IncompleteBody"},
		{"no trailer", unsigned, "5\r\nhello\r\n0\r\n\r\n", signer.ErrMalformed, "MalformedTrailerError"},
		{"no end of the trailer", unsigned, "5\r\nhello\r\n0\r\n" + crc + "\r\n", signer.ErrMalformed, "IncompleteBody"},
		{"trailer not announced", unsigned, "5\r\nhello\r\n0\r\nx-amz-checksum-sha1:a\r\n\r\n", signer.ErrMalformed, "MalformedTrailerError"},
		{"trailer twice", unsigned, "5\r\nhello\r\n0\r\n" + crc + "\r\n" + crc + "\r\n\r\n", signer.ErrMalformed, "MalformedTrailerError"},
		{"trailer of a body without", chunkedPayload{length: 0}, "0\r\n" + crc + "\r\n\r\n", signer.ErrMalformed, "MalformedTrailerError"},
		{"wrong checksum", unsigned, "5\r\nhellO\r\n0\r\n" + crc + "\r\n\r\n", signer.ErrMismatch, "BadDigest"},
		{"checksum that is no base64", unsigned, "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:!\r\n\r\n", signer.ErrMismatch, "BadDigest"},
		{"checksum of another length", unsigned, "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhgA=\r\n\r\n", signer.ErrMismatch, "BadDigest"},
		{"signature on an unsigned trailer", unsigned, "5\r\nhello\r\n0\r\n" + crc + "\r\nx-amz-trailer-signature:" + sig + "\r\n\r\n", signer.ErrMalformed, "MalformedTrailerError"},
		{"two empty lines more", unsigned, "5\r\nhello\r\n0\r\n" + crc + "\r\n\r\n\r\n\r\n", signer.ErrMalformed, "InvalidRequest"},
		{"something behind it all", unsigned, "5\r\nhello\r\n0\r\n" + crc + "\r\n\r\nGET", signer.ErrMalformed, "InvalidRequest"},
		{"wrong signature of the last chunk", withTrailer, "0;chunk-signature=" + sig + "\r\n", signer.ErrMismatch, "SignatureDoesNotMatch"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decode(tt.payload, tt.wire)
			var e *signer.Error
			if !errors.Is(err, tt.class) || !errors.As(err, &e) || e.Code != tt.code {
				t.Errorf("got %v, want %v with %s", err, tt.class, tt.code)
			}
		})
	}
}

func decode(p chunkedPayload, wire string) (string, error) {
	key := family().NewKey(multi.creds.SecretKey, scope{}.Scope)
	r := p.body(io.NopCloser(strings.NewReader(wire)), chunkSigner{key: key, previous: []byte(strings.Repeat("0", 64))})
	got, err := io.ReadAll(r)
	if _, again := r.Read(make([]byte, 1)); err != nil && again != err {
		return "", fmt.Errorf("the error %v is followed by %v", err, again)
	}
	return string(got), err
}

// Small chunks are for the end only.
func TestChunkSizeRule(t *testing.T) {
	c := chunkedCases(t)[0]
	in, wire := c.send(t, []byte("hello"))
	in.Header.Set("X-Amz-Decoded-Content-Length", "10")
	p := chunkedPayload{signed: true, length: 10}
	g := chunkSigner{key: c.s.key(&multi.creds, new(scope)), previous: []byte(strings.Repeat("0", 64))}
	sum := sha256.Sum256([]byte("hello"))
	signature := string(g.sign(payloadKind, sum))
	body := "5;chunk-signature=" + signature + "\r\nhello\r\n" + string(wire)
	g.previous = []byte(strings.Repeat("0", 64))
	_, err := io.ReadAll(p.body(io.NopCloser(strings.NewReader(body)), g))
	var e *signer.Error
	if !errors.As(err, &e) || e.Code != "InvalidChunkSizeError" {
		t.Errorf("%v", err)
	}
}

func TestSignChunkedErrors(t *testing.T) {
	s := chunkedCases(t)[0].s
	request := func(body io.Reader, length int64) *http.Request {
		req, err := http.NewRequest("PUT", "http://127.0.0.1:9000/photos/k", body)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = length
		return req
	}
	hello := func() io.Reader { return strings.NewReader("hello") }
	twice := request(hello(), 5)
	if err := s.SignChunked(context.Background(), twice, Chunked{}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		req   *http.Request
		conf  Chunked
		field string
	}{
		{"unknown length", request(hello(), -1), Chunked{}, "ContentLength"},
		{"length of no body", request(nil, 5), Chunked{}, "Body"},
		{"unsigned without checksum", request(hello(), 5), Chunked{Unsigned: true}, "Unsigned"},
		{"unknown checksum", request(hello(), 5), Chunked{Checksum: 9}, "Checksum"},
		{"tiny chunks", request(hello(), 5), Chunked{ChunkSize: 100}, "ChunkSize"},
		{"huge chunks", request(hello(), 5), Chunked{ChunkSize: 1 << 30}, "ChunkSize"},
		{"a second time", twice, Chunked{}, "Body"},
		{"relative URL", &http.Request{URL: &url.URL{Path: "/k"}}, Chunked{}, "URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := fmt.Sprintf("%+v", tt.req)
			err := s.SignChunked(context.Background(), tt.req, tt.conf)
			var e *signer.Error
			if !errors.Is(err, signer.ErrRequest) || !errors.As(err, &e) || e.Field != tt.field {
				t.Errorf("got %v, want ErrRequest about %s", err, tt.field)
			}
			if fmt.Sprintf("%+v", tt.req) != before {
				t.Error("the request was changed")
			}
		})
	}
	if err := s.Sign(context.Background(), twice); !errors.Is(err, signer.ErrRequest) {
		t.Errorf("Sign of a chunked request: %v", err)
	}

	// A body that is not as long as it was said to be fails when it is sent.
	for name, length := range map[string]int64{"too short": 6, "too long": 4} {
		req := request(struct{ io.Reader }{hello()}, length)
		if err := s.SignChunked(context.Background(), req, Chunked{}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, req.Body); !errors.Is(err, signer.ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The headers must announce the encoding right.
func TestChunkedHeaderErrors(t *testing.T) {
	for _, tt := range []struct {
		name, header, value string
		class               error
	}{
		{"no decoded length", "X-Amz-Decoded-Content-Length", "", signer.ErrMalformed},
		{"negative decoded length", "X-Amz-Decoded-Content-Length", "-1", signer.ErrMalformed},
		{"no trailer announced", "X-Amz-Trailer", "", signer.ErrMalformed},
		{"another trailer announced", "X-Amz-Trailer", "x-amz-checksum-md5", signer.ErrUnsupported},
		{"another algorithm", "X-Amz-Content-Sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER", signer.ErrMalformed},
		{"no trailer in the word", "X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", signer.ErrMalformed},
		{"decoded length changed", "X-Amz-Decoded-Content-Length", "6", signer.ErrMismatch},
	} {
		c := chunkedCases(t)[1]
		in, _ := c.send(t, []byte("hello"))
		if in.Header.Set(tt.header, tt.value); tt.value == "" {
			in.Header.Del(tt.header)
		}
		if _, err := c.v.Verify(context.Background(), in); !errors.Is(err, tt.class) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.class)
		}
	}
	// A word for chunks in a presigned URL has no chunks to go with it.
	c := chunkedCases(t)[0]
	p, err := c.s.Presign(context.Background(), signer.Request{Method: "PUT", Bucket: "photos", Key: "k", Expires: time.Minute,
		Header: http.Header{"X-Amz-Content-Sha256": {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}}})
	if err != nil {
		t.Fatal(err)
	}
	req, _ := p.NewRequest(context.Background(), nil)
	if _, err := c.v.Verify(context.Background(), req); !errors.Is(err, signer.ErrUnsupported) {
		t.Errorf("presigned: %v", err)
	}
}

// Through net/http, from client to server, behind Require.
func TestChunkedOverHTTP(t *testing.T) {
	c := chunkedCases(t)[1]
	body := bytes.Repeat([]byte("0123456789"), 20000)
	var got []byte
	var gotErr error
	v, err := NewVerifier(VerifierConfig{Region: "us-east-1", Addressing: signer.AddressingPath, Clock: clock.Fixed(multi.now),
		Lookup: func(context.Context, string) (Credentials, error) { return multi.creds, nil }})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(signer.Require(v, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, gotErr = io.ReadAll(r.Body)
	})))
	defer server.Close()
	req, _ := http.NewRequest("PUT", server.URL+"/photos/k", bytes.NewReader(body))
	if err := c.s.SignChunked(context.Background(), req, Chunked{Checksum: ChecksumCRC64NVME}); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != 200 || gotErr != nil || !bytes.Equal(got, body) {
		t.Errorf("%v, %v, got %d bytes, %v", resp, err, len(got), gotErr)
	}
}

// A gibibyte goes through writer and reader in constant memory.
func TestChunkedMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("1 GiB takes seconds; .ci/run does not pass -short")
	}
	const size = 1 << 30
	c := chunkedCases(t)[1]
	req, _ := http.NewRequest("PUT", "http://127.0.0.1:9000/photos/k", io.LimitReader(zeros{}, size))
	req.ContentLength = size
	if err := c.s.SignChunked(context.Background(), req, Chunked{Checksum: ChecksumCRC32, ChunkSize: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	in := httptest.NewRequest("PUT", "http://127.0.0.1:9000/photos/k", nil)
	in.Header, in.ContentLength = req.Header, req.ContentLength
	g, err := c.v.Verify(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n, err := io.Copy(io.Discard, g.Body(req.Body))
	runtime.ReadMemStats(&after)
	if n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 { // all that was ever allocated; 1,024 chunks make garbage of a few kB each
		t.Errorf("%d bytes were allocated on the way", used)
	}
	if held := int64(after.HeapInuse) - int64(before.HeapInuse); held > 4<<20 {
		t.Errorf("%d bytes more of heap are in use", held)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// No body on the wire makes the reader panic, hand on unsigned bytes, or answer with an undocumented error.
func FuzzUnchunk(f *testing.F) {
	cases := chunkedCases(f)
	for i, c := range cases {
		_, wire := c.send(f, []byte("hello"))
		f.Add(uint8(i), wire)
	}
	f.Fuzz(func(t *testing.T, n uint8, wire []byte) {
		c := cases[int(n)%len(cases)]
		in, good := c.send(t, []byte("hello"))
		got, err := c.receive(t, in, wire)
		if err == nil && string(got) != "hello" || err == nil && !c.conf.Unsigned && len(got) > 0 && !bytes.Contains(wire, good[:64]) {
			t.Errorf("%q decodes to %q", wire, got)
		}
		if err != nil && !errors.Is(err, signer.ErrMalformed) && !errors.Is(err, signer.ErrMismatch) {
			t.Errorf("undocumented error %v", err)
		}
		if !c.conf.Unsigned && !strings.HasPrefix("hello", string(got)) {
			t.Errorf("%q was not signed and was handed on", got)
		}
	})
}

// Chunks without signatures say nothing of the signature in front of them, so who encoded a body, an SDK perhaps, can have it
// signed, and signed again. Signed ones belong to the first signature.
func TestSignEncodedBody(t *testing.T) {
	for _, c := range chunkedCases(t) {
		req, err := http.NewRequest("PUT", "http://127.0.0.1:9000/photos/k", strings.NewReader("content"))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.s.SignChunked(t.Context(), req, c.conf); err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Meta-Later", "1")
		before := req.Header.Clone()
		err = c.s.Sign(t.Context(), req)
		if !c.conf.Unsigned {
			if !errors.Is(err, signer.ErrRequest) || !reflect.DeepEqual(req.Header, before) {
				t.Errorf("%s: got %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		in := req.Clone(t.Context())
		in.RequestURI, in.RemoteAddr = "/photos/k", "127.0.0.1:1"
		g, err := c.v.Verify(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(g.Body(in.Body)); string(body) != "content" || err != nil {
			t.Errorf("%s: got %q, %v", c.name, body, err)
		}
	}
}
