package s3

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is the server's side of the aws-chunked encoding.

// A chunkedPayload is what the headers announce of a chunked body.
type chunkedPayload struct {
	signed   bool
	trailer  bool
	checksum Checksum
	length   int64 // decoded
}

// chunked reads the headers of a chunked body.
func (f *faults) chunked(c *claim, req *http.Request, word string) {
	p := &chunkedPayload{signed: word != streamingBytes}
	base, trailer := strings.CutSuffix(word, "-TRAILER")
	p.trailer = trailer
	switch {
	case word == streamingBytes:
	case base != streaming+algorithm+payloadKind && base != streaming+algorithm4a+payloadKind:
		f.Add(signer.ErrUnsupported, "X-Amz-Content-Sha256", "%s is no payload that is known here", pipeline.Shown(word))
		return
	case c.Algorithm != "" && base != streaming+c.Algorithm+payloadKind:
		f.Malformed("X-Amz-Content-Sha256", "%s does not go with %s", word, c.Algorithm)
		return
	}
	var err error
	if p.length, err = strconv.ParseInt(strings.Join(pipeline.HeaderValues(req.Header, "X-Amz-Decoded-Content-Length"), ","), 10, 64); err != nil || p.length < 0 {
		f.Malformed("X-Amz-Decoded-Content-Length", "a chunked body needs one, the number of bytes that it decodes to")
	}
	announced := strings.Join(pipeline.HeaderValues(req.Header, "X-Amz-Trailer"), ",")
	switch {
	case p.trailer && announced == "":
		f.Malformed("X-Amz-Trailer", "%s needs one", word)
	case !p.trailer && announced != "":
		f.Malformed("X-Amz-Trailer", "%s has no trailers", word)
	case p.trailer:
		var ok bool
		if p.checksum, ok = checksumOf(announced); !ok {
			f.Add(signer.ErrUnsupported, "X-Amz-Trailer", "%s is no checksum that is known here", pipeline.Shown(announced))
		}
	}
	c.payload, c.chunked = word, p
}

// body decodes and verifies a chunked body. Every chunk is checked before its bytes are handed on; an unsigned body is
// checked by its checksum, at its end.
func (p *chunkedPayload) body(r io.ReadCloser, chunks chunkSigner) io.ReadCloser {
	d := &chunkReader{src: r, buf: bufio.NewReaderSize(r, 4<<10), payload: p, chunks: chunks.begin(), left: p.length, hash: sha256.New()}
	d.checksum = p.checksum.new()
	return d
}

// A chunkReader decodes a chunked body while it is read. Of a signed one it holds a chunk.
type chunkReader struct {
	src      io.ReadCloser
	buf      *bufio.Reader
	payload  *chunkedPayload
	chunks   chunkSigner
	hash     hash.Hash // of a signed chunk
	checksum hash.Hash // of the body; nil for none
	left     int64     // decoded bytes that are still to come

	chunk []byte // signed: memory for one chunk
	out   []byte // signed: verified bytes that are still to be read
	open  int64  // unsigned: bytes of the chunk that are still to come
	small bool   // a chunk below the smallest size was read, so that only the last may follow
	err   error
}

func (d *chunkReader) Close() error { return d.src.Close() }

func (d *chunkReader) Read(p []byte) (int, error) {
	if d.err != nil || len(p) == 0 {
		return 0, d.err
	}
	for len(d.out) == 0 && d.open == 0 {
		if err := d.next(); err != nil {
			return 0, err
		}
	}
	if d.payload.signed {
		n := copy(p, d.out)
		d.out = d.out[n:]
		return n, nil
	}
	n, err := d.buf.Read(p[:min(int64(len(p)), d.open)])
	d.checksum.Write(p[:n])
	d.open -= int64(n)
	if err != nil {
		return n, d.fail(truncated(err))
	}
	if d.open > 0 {
		return n, nil
	}
	if err := d.lineEnd(); err != nil {
		return 0, err
	}
	if d.left == 0 { // the last bytes are handed on once the checksum is known to be right
		if err := d.next(); err != io.EOF {
			return 0, err
		}
	}
	return n, nil
}

// Format keeps the signatures in a body from being printed with it.
func (d *chunkReader) Format(f fmt.State, verb rune) { io.WriteString(f, "[body in chunks]") }

// WriteTo spares the copy that Read makes of a signed chunk.
func (d *chunkReader) WriteTo(w io.Writer) (total int64, err error) {
	if !d.payload.signed {
		return io.Copy(w, struct{ io.Reader }{d})
	}
	for {
		if len(d.out) == 0 {
			if err := d.next(); err == io.EOF {
				return total, nil
			} else if err != nil {
				return total, err
			}
		}
		n, err := w.Write(d.out)
		total += int64(n)
		d.out = d.out[n:]
		if err != nil {
			return total, err
		}
	}
}

func (d *chunkReader) fail(err error) error {
	d.err = err
	return err
}

func refuseBody(sentinel error, code, format string, args ...any) error {
	return pipeline.Op{Backend: "s3", Name: "verify"}.Refusal(sentinel, "body", code, format, args...)
}

// truncated turns an early end into a refusal.
func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return refuseBody(signer.ErrMalformed, "IncompleteBody", "it ends before its last chunk")
	}
	return err
}

// next reads and verifies the next chunk, or the end.
func (d *chunkReader) next() error {
	if d.err != nil {
		return d.err
	}
	size, signature, err := d.line()
	if err != nil {
		return d.fail(err)
	}
	switch {
	case size > d.left:
		return d.fail(refuseBody(signer.ErrMalformed, "IncompleteBody", "its chunks hold more than the decoded length that was announced"))
	case size == 0 && d.left > 0:
		return d.fail(refuseBody(signer.ErrMalformed, "IncompleteBody", "its chunks hold %d bytes less than the decoded length that was announced", d.left))
	case d.payload.signed && size > largestChunk:
		return d.fail(refuseBody(signer.ErrMalformed, "InvalidChunkSizeError", "a chunk of %d bytes is over the %d that are held in memory", size, largestChunk))
	case d.payload.signed && d.small && size > 0:
		return d.fail(refuseBody(signer.ErrMalformed, "InvalidChunkSizeError", "only the last chunk may have less than %d bytes", smallestChunk))
	}
	d.left -= size
	d.small = size < smallestChunk
	if !d.payload.signed {
		if d.open = size; size > 0 {
			return nil
		}
		return d.fail(d.end())
	}
	if err := d.fill(int(size)); err != nil {
		return d.fail(truncated(err))
	}
	var sum [sha256.Size]byte
	d.hash.Sum(sum[:0])
	if !d.chunks.verify(payloadKind, sum, signature) {
		return d.fail(refuseBody(signer.ErrMismatch, "SignatureDoesNotMatch", "a chunk is not the one that was signed"))
	}
	if size == 0 {
		return d.fail(d.end())
	}
	if err := d.lineEnd(); err != nil {
		return err
	}
	d.out = d.chunk
	return nil
}

// fill reads and hashes a chunk. Above a step, the memory grows with the bytes that really come, not with the number that is claimed.
func (d *chunkReader) fill(size int) error {
	const step = 1 << 20
	d.chunk = d.chunk[:0]
	d.hash.Reset()
	for len(d.chunk) < size {
		n := min(size-len(d.chunk), max(step, len(d.chunk), cap(d.chunk)-len(d.chunk)))
		at := len(d.chunk)
		d.chunk = slices.Grow(d.chunk, n)[:at+n]
		if _, err := readFull(d.buf, d.chunk[at:], d.hash, d.checksum); err != nil {
			return err
		}
	}
	return nil
}

// lineEnd reads the end of line behind a chunk.
func (d *chunkReader) lineEnd() error {
	var end [2]byte
	if _, err := io.ReadFull(d.buf, end[:]); err != nil {
		return d.fail(truncated(err))
	}
	if end != [2]byte{'\r', '\n'} {
		return d.fail(refuseBody(signer.ErrMalformed, "InvalidRequest", "a chunk is not followed by the end of its line"))
	}
	return nil
}

// line reads the line in front of a chunk: its size in hexadecimal digits and, if it is signed, its signature.
func (d *chunkReader) line() (size int64, signature string, err error) {
	text, err := d.text()
	if err != nil {
		return 0, "", err
	}
	bad := func(why string) error { return refuseBody(signer.ErrMalformed, "InvalidRequest", "%s", why) }
	text, ok := strings.CutSuffix(text, "\r")
	if !ok {
		return 0, "", bad("the line of a chunk does not end in CR LF")
	}
	digits, rest, extended := strings.Cut(text, ";")
	size, err = strconv.ParseInt(digits, 16, 64)
	if err != nil || strconv.FormatInt(size, 16) != digits {
		return 0, "", bad("the size of a chunk is no hexadecimal number in lower case without zeros in front")
	}
	if !d.payload.signed {
		if extended {
			return 0, "", bad("a chunk has an extension, and the payload is announced as unsigned")
		}
		return size, "", nil
	}
	signature, ok = strings.CutPrefix(rest, chunkSignature[1:])
	if !ok {
		return 0, "", bad("a chunk has no chunk-signature")
	}
	signature, err = d.signature(signature)
	return size, signature, err
}

// signature checks the form of a signature on the wire and takes the stars off.
func (d *chunkReader) signature(s string) (string, error) {
	algo := d.chunks.scope.algorithm()
	bare := s
	if algo == algorithm4a {
		bare = strings.TrimRight(s, "*")
	}
	if len(s) != signatureWidth(algo) || bare == "" || !pipeline.LowerHex(bare) {
		return "", refuseBody(signer.ErrMalformed, "InvalidRequest", "the signature of a chunk is not %d hexadecimal digits in lower case", signatureWidth(algo))
	}
	return bare, nil
}

// text reads a line, of a length that every line of the encoding has, without its LF.
func (d *chunkReader) text() (string, error) {
	line, err := d.buf.ReadSlice('\n')
	switch {
	case err == bufio.ErrBufferFull:
		return "", refuseBody(signer.ErrMalformed, "InvalidRequest", "a line between the chunks is too long")
	case err != nil:
		return "", truncated(err)
	}
	return string(line[:len(line)-1]), nil
}

// end reads and verifies what follows the last chunk. It returns io.EOF if all is well.
func (d *chunkReader) end() error {
	bad := func(sentinel error, code, format string, args ...any) error {
		return refuseBody(sentinel, code, format, args...)
	}
	var sum, signature string
	extra := false
	for {
		line, err := d.text()
		if err != nil {
			return err
		}
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			// The documentation's grammar lets an empty line stand between a trailer and its signature; minio-go writes one.
			if d.payload.trailer && d.payload.signed && sum != "" && signature == "" && !extra {
				extra = true
				continue
			}
			break
		}
		name, value, _ := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.Trim(name, " \t")), strings.Trim(value, " \t")
		switch {
		case !d.payload.trailer:
			return bad(signer.ErrMalformed, "MalformedTrailerError", "a trailer follows, and none was announced")
		case name == d.payload.checksum.header() && sum == "":
			sum = value
		case name == trailerSignature && d.payload.signed && signature == "":
			if signature, err = d.signature(value); err != nil {
				return err
			}
		default:
			return bad(signer.ErrMalformed, "MalformedTrailerError", "%s follows, and was not announced or is there twice", pipeline.Shown(name))
		}
	}
	if d.payload.trailer {
		line := d.payload.checksum.header() + ":" + sum + "\n"
		switch {
		case sum == "":
			return bad(signer.ErrMalformed, "MalformedTrailerError", "the trailer %s was announced and does not follow", d.payload.checksum.header())
		case d.payload.signed && signature == "":
			return bad(signer.ErrMalformed, "MalformedTrailerError", "the trailer is not signed")
		case d.payload.signed && !d.chunks.verify(trailerKind, sha256.Sum256([]byte(line)), signature):
			return bad(signer.ErrMismatch, "SignatureDoesNotMatch", "the trailer is not the one that was signed")
		}
		got, err := base64.StdEncoding.Strict().DecodeString(sum)
		if err != nil || !bytes.Equal(got, d.checksum.Sum(nil)) {
			return bad(signer.ErrMismatch, "BadDigest", "the body does not have the checksum that its trailer says")
		}
	}
	if d.payload.trailer && !d.payload.signed { // minio-go ends an unsigned trailer with one empty line more
		if extra, err := d.buf.Peek(2); err == nil && string(extra) == "\r\n" {
			_, _ = d.buf.Discard(2) // they are there
		}
	}
	if _, err := d.buf.ReadByte(); err != io.EOF {
		if err == nil {
			err = bad(signer.ErrMalformed, "InvalidRequest", "something follows the last chunk")
		}
		return err
	}
	return io.EOF
}
