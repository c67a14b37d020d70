package s3

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is the aws-chunked encoding, for bodies whose hash is not known before they are sent: chunks that are signed one
// after another, each together with the signature before it, and a checksum behind them.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html

// A Checksum is an algorithm whose result is sent behind a chunked body.
type Checksum int

const (
	// NoChecksum sends no checksum.
	NoChecksum        Checksum = iota
	ChecksumCRC32              // x-amz-checksum-crc32
	ChecksumCRC32C             // x-amz-checksum-crc32c
	ChecksumCRC64NVME          // x-amz-checksum-crc64nvme
	ChecksumSHA1               // x-amz-checksum-sha1
	ChecksumSHA256             // x-amz-checksum-sha256
)

// header is the name of the trailer that carries the checksum.
func (c Checksum) header() string {
	switch c {
	case ChecksumCRC32:
		return "x-amz-checksum-crc32"
	case ChecksumCRC32C:
		return "x-amz-checksum-crc32c"
	case ChecksumCRC64NVME:
		return "x-amz-checksum-crc64nvme"
	case ChecksumSHA1:
		return "x-amz-checksum-sha1"
	case ChecksumSHA256:
		return "x-amz-checksum-sha256"
	}
	return ""
}

func (c Checksum) new() hash.Hash {
	const nvme = 0x9a6c9329ac4bc9b5 // the polynomial, reversed
	switch c {
	case ChecksumCRC32:
		return crc32.NewIEEE()
	case ChecksumCRC32C:
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case ChecksumCRC64NVME:
		return crc64.New(crc64.MakeTable(nvme))
	case ChecksumSHA1:
		return sha1.New()
	case ChecksumSHA256:
		return sha256.New()
	}
	return nil
}

// checksumOf finds the algorithm that a trailer announces.
func checksumOf(trailer string) (Checksum, bool) {
	for c := ChecksumCRC32; c <= ChecksumSHA256; c++ {
		if strings.EqualFold(strings.TrimSpace(trailer), c.header()) {
			return c, true
		}
	}
	return NoChecksum, false
}

// Chunked says how SignChunked sends a body.
type Chunked struct {
	// Checksum is computed while the body is sent, and sent behind it.
	Checksum Checksum

	// ChunkSize is the number of bytes in each chunk but the last: at least 8 KiB, at most 16 MiB; 0 means 64 KiB. One chunk
	// is held in memory.
	ChunkSize int

	// Unsigned leaves the chunks unsigned. The checksum, which is then required, guards the body against accidents only: against
	// people nothing does over plain http, and that is not checked.
	Unsigned bool
}

const (
	defaultChunk  = 64 << 10
	smallestChunk = 8 << 10
	largestChunk  = 16 << 20

	streaming      = "STREAMING-"
	streamingBytes = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// payloadWord is what stands in place of the body's hash.
func (c *Chunked) payloadWord(sc *scope) string {
	switch {
	case c.Unsigned:
		return streamingBytes
	case c.Checksum != NoChecksum:
		return streaming + sc.algorithm() + "-PAYLOAD-TRAILER"
	}
	return streaming + sc.algorithm() + "-PAYLOAD"
}

func (c *Chunked) check(op pipeline.Op) error {
	switch {
	case c.Checksum < NoChecksum || c.Checksum > ChecksumSHA256:
		return op.Errorf(signer.ErrRequest, "Checksum", "%d is no checksum", int(c.Checksum))
	case c.Unsigned && c.Checksum == NoChecksum:
		return op.Errorf(signer.ErrRequest, "Unsigned", "without a Checksum nothing guards the body; set one")
	case c.ChunkSize != 0 && (c.ChunkSize < smallestChunk || c.ChunkSize > largestChunk):
		return op.Errorf(signer.ErrRequest, "ChunkSize", "%d is not within %d and %d bytes; leave it 0 for %d", c.ChunkSize, smallestChunk, largestChunk, defaultChunk)
	}
	return nil
}

// SignChunked signs a request whose body is signed while it is sent, in one pass: it wraps the body, sets Content-Length to
// the encoded length, Content-Encoding, X-Amz-Decoded-Content-Length and the other headers of the encoding, and then does what
// Sign does. req.ContentLength must be the body's length; http.NewRequest sets it for the types that it knows. A body that
// turns out to have another length fails when it is sent. On an error req is unchanged.
//
// Do not sign the request a second time; sign a fresh one.
func (s *Signer) SignChunked(ctx context.Context, req *http.Request, c Chunked) error {
	op := pipeline.Op{Backend: "s3", Name: "sign chunked"}
	if err := c.check(op); err != nil {
		return err
	}
	if err := pipeline.CheckHTTPRequest(op, req); err != nil {
		return err
	}
	empty := req.Body == nil || req.Body == http.NoBody
	switch {
	case !empty && req.ContentLength <= 0:
		return op.Errorf(signer.ErrRequest, "ContentLength", "the length of the body must be known before it is sent; set req.ContentLength")
	case empty && req.ContentLength > 0:
		return op.Errorf(signer.ErrRequest, "Body", "there is none, and ContentLength is %d", req.ContentLength)
	case pipeline.HeaderValues(req.Header, "X-Amz-Decoded-Content-Length") != nil:
		return op.Errorf(signer.ErrRequest, "Body", "it is chunked already; sign a fresh request")
	}
	if c.ChunkSize == 0 {
		c.ChunkSize = defaultChunk
	}
	sc := s.endpoint.scope(sigv4.Stamp{}) // only its algorithm counts here
	h := req.Header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	encoding := "aws-chunked"
	if others := pipeline.HeaderValues(h, "Content-Encoding"); others != nil {
		encoding += "," + strings.Join(others, ",")
	}
	pipeline.DeleteHeader(h, "content-encoding", "x-amz-trailer", contentSHA256)
	h.Set("Content-Encoding", encoding)
	h.Set("X-Amz-Decoded-Content-Length", strconv.FormatInt(req.ContentLength, 10))
	h.Set("X-Amz-Content-Sha256", c.payloadWord(&sc))
	if c.Checksum != NoChecksum {
		h.Set("X-Amz-Trailer", c.Checksum.header())
	}
	length := req.ContentLength
	encoded := c.encodedLength(length, sc.algorithm())
	chunks, err := s.sign(ctx, op, req, h, encoded)
	if err != nil {
		return err
	}
	if empty {
		req.Body = http.NoBody
	}
	body, getBody := req.Body, req.GetBody
	req.Body = newChunkedBody(body, c, length, chunks)
	req.ContentLength = encoded
	req.GetBody = nil
	if getBody != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			body, err := getBody()
			if err != nil {
				return nil, err
			}
			return newChunkedBody(body, c, length, chunks), nil
		}
	}
	return nil
}

// A chunkSigner signs or verifies the chunks of one body.
type chunkSigner struct {
	key      signingKey
	stamp    sigv4.Stamp
	scope    scope
	previous []byte // signature
	toSign   []byte // memory
}

// begin returns a chunkSigner for one more reading of the body.
func (c *chunkSigner) begin() chunkSigner {
	return chunkSigner{key: c.key, stamp: c.stamp, scope: c.scope, previous: bytes.Clone(c.previous)}
}

// emptyHash is the SHA-256 of nothing. It stands in every chunk's string to sign.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// appendToSign appends the text that is signed for a chunk, kind "-PAYLOAD", or for the trailers, kind "-TRAILER".
func (c *chunkSigner) appendToSign(dst []byte, kind string, sum *[sha256.Size]byte) []byte {
	dst = append(dst, c.scope.algorithm()...)
	dst = append(dst, kind...)
	dst = append(dst, '\n')
	dst = append(dst, c.stamp[:]...)
	dst = append(dst, '\n')
	dst = c.scope.Append(dst, "/", terminator)
	dst = append(dst, '\n')
	dst = append(dst, c.previous...)
	dst = append(dst, '\n')
	if kind == payloadKind {
		dst = append(dst, emptyHash+"\n"...)
	}
	return hex.AppendEncode(dst, sum[:])
}

const payloadKind, trailerKind = "-PAYLOAD", "-TRAILER"

// sign signs a chunk or the trailers. The result is good until the next call, which signs it too.
func (c *chunkSigner) sign(kind string, sum [sha256.Size]byte) []byte {
	c.toSign = c.appendToSign(c.toSign[:0], kind, &sum)
	c.previous = c.key.AppendSignature(c.previous[:0], c.toSign)
	return c.previous
}

// verify checks a signature and remembers it for the next.
func (c *chunkSigner) verify(kind string, sum [sha256.Size]byte, signature string) bool {
	c.toSign = c.appendToSign(c.toSign[:0], kind, &sum)
	c.previous = append(c.previous[:0], signature...)
	return c.key.Verify(c.toSign, signature)
}

// signatureWidth is the length of a signature on the wire. Those of ECDSA vary and are filled up with stars.
func signatureWidth(algo string) int {
	if algo == algorithm4a {
		return 144
	}
	return 64
}

func appendPadded(dst, signature []byte, algo string) []byte {
	dst = append(dst, signature...)
	for range signatureWidth(algo) - len(signature) {
		dst = append(dst, '*')
	}
	return dst
}

const (
	chunkSignature   = ";chunk-signature="
	trailerSignature = "x-amz-trailer-signature"
)

// encodedLength is the length of a body of n bytes on the wire.
func (c *Chunked) encodedLength(n int64, algo string) int64 {
	chunk := func(size int64) int64 { // its line and, unless it is the last, its bytes
		line := int64(len(strconv.FormatInt(size, 16))) + 2
		if !c.Unsigned {
			line += int64(len(chunkSignature) + signatureWidth(algo))
		}
		if size > 0 {
			line += size + 2
		}
		return line
	}
	size := int64(c.ChunkSize)
	total := n / size * chunk(size)
	if rest := n % size; rest > 0 {
		total += chunk(rest)
	}
	total += chunk(0)
	if c.Checksum != NoChecksum {
		total += int64(len(c.Checksum.header()) + 1 + base64.StdEncoding.EncodedLen(c.Checksum.new().Size()) + 2)
		if !c.Unsigned {
			total += int64(len(trailerSignature) + 1 + signatureWidth(algo) + 2)
		}
	}
	return total + 2
}

// A chunkedBody encodes a body while it is read. It holds one chunk, or of an unsigned one a piece.
type chunkedBody struct {
	body     io.ReadCloser
	conf     Chunked
	left     int64 // of the body
	open     int64 // of the chunk
	chunks   chunkSigner
	hash     hash.Hash // of the chunk; nil for unsigned ones
	checksum hash.Hash // of the body; nil for none

	buf  []byte // room for a chunk's line, the piece, and the line end
	out  []byte // the part of buf that is still to be read
	last bool   // the end was encoded
	err  error
}

const (
	lineRoom = 256      // more than the line in front of a chunk ever takes
	piece    = 64 << 10 // what is read and hashed at once, while it is in the processor's cache
)

// readFull is io.ReadFull that hashes what it reads.
func readFull(r io.Reader, data []byte, hashes ...hash.Hash) (total int, err error) {
	for total < len(data) {
		part := data[total:min(total+piece, len(data))]
		n, err := io.ReadFull(r, part)
		total += n
		if err != nil {
			return total, err
		}
		for _, h := range hashes {
			if h != nil {
				h.Write(part)
			}
		}
	}
	return total, nil
}

func newChunkedBody(body io.ReadCloser, c Chunked, length int64, chunks chunkSigner) *chunkedBody {
	b := &chunkedBody{body: body, conf: c, left: length, chunks: chunks.begin(), checksum: c.Checksum.new()}
	if !c.Unsigned {
		b.hash = sha256.New()
	}
	return b
}

func (b *chunkedBody) Read(p []byte) (int, error) {
	if len(b.out) == 0 {
		if err := b.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.out)
	b.out = b.out[n:]
	return n, nil
}

// WriteTo spares the copy that Read makes.
func (b *chunkedBody) WriteTo(w io.Writer) (total int64, err error) {
	for {
		if len(b.out) == 0 {
			if err := b.next(); err == io.EOF {
				return total, nil
			} else if err != nil {
				return total, err
			}
		}
		n, err := w.Write(b.out)
		total += int64(n)
		b.out = b.out[n:]
		if err != nil {
			return total, err
		}
	}
}

func (b *chunkedBody) Close() error { return b.body.Close() }

// Format keeps the signatures in a body from being printed with it.
func (b *chunkedBody) Format(f fmt.State, verb rune) { io.WriteString(f, "[body in chunks]") }

// next encodes the next chunk into out.
func (b *chunkedBody) next() error {
	if b.err != nil {
		return b.err
	}
	if b.last {
		b.err = io.EOF
		return b.err
	}
	begins := b.open == 0
	if begins {
		b.open = min(b.left, int64(b.conf.ChunkSize))
	}
	size, n := b.open, int(b.open)
	if b.conf.Unsigned {
		n = min(n, piece)
	}
	if b.buf == nil {
		b.buf = make([]byte, lineRoom+n+lineRoom)
	}
	data := b.buf[lineRoom : lineRoom+n]
	if b.hash != nil {
		b.hash.Reset()
	}
	if got, err := readFull(b.body, data, b.hash, b.checksum); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = bodyError("it ends %d bytes before the length that was announced", b.left-int64(got))
		}
		b.err = err
		return err
	}
	b.left -= int64(n)
	b.open -= int64(n)
	start, end := lineRoom, lineRoom+n
	if begins {
		var line [lineRoom]byte
		head := b.appendLine(line[:0], size)
		start -= len(head)
		copy(b.buf[start:], head)
	}
	if size > 0 {
		if b.open == 0 {
			end += copy(b.buf[end:], "\r\n")
		}
		b.out = b.buf[start:end]
		return nil
	}

	// The last chunk has no bytes, and the trailers follow it. The body must end here too.
	if n, err := b.body.Read(make([]byte, 1)); n > 0 || err != nil && err != io.EOF {
		if n > 0 {
			err = bodyError("it is longer than the length that was announced")
		}
		b.err = err
		return err
	}
	b.last = true
	b.out = append(b.buf[start:lineRoom], b.trailers()...)
	return nil
}

// appendLine appends the line in front of a chunk of size bytes.
func (b *chunkedBody) appendLine(dst []byte, size int64) []byte {
	dst = strconv.AppendInt(dst, size, 16)
	if b.hash != nil {
		var sum [sha256.Size]byte
		b.hash.Sum(sum[:0])
		dst = append(dst, chunkSignature...)
		dst = appendPadded(dst, b.chunks.sign(payloadKind, sum), b.chunks.scope.algorithm())
	}
	return append(dst, '\r', '\n')
}

// trailers encodes what follows the last chunk.
func (b *chunkedBody) trailers() []byte {
	var dst []byte
	if b.checksum != nil {
		line := b.conf.Checksum.header() + ":" + base64.StdEncoding.EncodeToString(b.checksum.Sum(nil))
		dst = append(dst, line+"\r\n"...)
		if !b.conf.Unsigned {
			signature := b.chunks.sign(trailerKind, sha256.Sum256([]byte(line+"\n")))
			dst = append(dst, trailerSignature+":"...)
			dst = appendPadded(dst, signature, b.chunks.scope.algorithm())
			dst = append(dst, '\r', '\n')
		}
	}
	return append(dst, '\r', '\n')
}

func bodyError(format string, args ...any) error {
	return &signer.Error{Backend: "s3", Op: "sign chunked", Field: "Body", Err: fmt.Errorf("%w: "+format, append([]any{signer.ErrRequest}, args...)...)}
}
