package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// Writer and reader of chunked bodies beside the hashes alone: SHA-256 of each chunk and the trailer's checksum. The
// ratio of the throughputs in one run counts:
//
//	go test ./s3 -run '^$' -bench Chunked -count 10
func BenchmarkChunked(b *testing.B) {
	const size = 16 << 20
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(i * 7)
	}
	cases := chunkedCases(b)
	for _, chunk := range []int{64 << 10, 1 << 20} {
		for _, c := range []chunkedCase{cases[0], cases[3], cases[4]} { // signed; signed and unsigned with CRC32C
			c.conf.ChunkSize = chunk
			name := fmt.Sprintf("%dKiB/%s/unsigned=%v", chunk>>10, c.conf.Checksum.header(), c.conf.Unsigned)
			b.Run("hashes/"+name, func(b *testing.B) {
				b.SetBytes(size)
				for b.Loop() {
					checksum := c.conf.Checksum.new()
					for at := 0; at < size; at += chunk {
						if !c.conf.Unsigned {
							sha256.Sum256(body[at : at+chunk])
						}
						if checksum != nil {
							checksum.Write(body[at : at+chunk])
						}
					}
				}
			})
			b.Run("writer/"+name, func(b *testing.B) {
				b.SetBytes(size)
				for b.Loop() {
					req, _ := http.NewRequest("PUT", "http://127.0.0.1:9000/photos/k", bytes.NewReader(body))
					if err := c.s.SignChunked(context.Background(), req, c.conf); err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, req.Body); err != nil {
						b.Fatal(err)
					}
				}
			})
			in, wire := c.send(b, body)
			b.Run("reader/"+name, func(b *testing.B) {
				b.SetBytes(size)
				for b.Loop() {
					g, err := c.v.Verify(context.Background(), in)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, g.Body(io.NopCloser(bytes.NewReader(wire)))); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
