package storefake

import (
	"crypto/sha1"
	"crypto/sha256"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"iter"
	"net/http"
	"strconv"
	"strings"
)

// This file is S3's checksums.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html

// checkDigests holds a body to Content-MD5 and to the checksums that the request names.
func checkDigests(h http.Header, body content) error {
	if err := checkMD5(h, body); err != nil {
		return err
	}
	for algorithm, value := range checksums(h) {
		sum := checksum(algorithm)
		if sum == nil {
			return notImplemented{header: http.CanonicalHeaderKey(checksumPrefix + algorithm)}
		}
		add(sum, body)
		if encodeSum(sum) != value {
			return otherChecksum{strings.ToUpper(algorithm)}
		}
	}
	return nil
}

const checksumPrefix = "X-Amz-Checksum-"

// checksums are those that headers name, by their algorithms. Two headers of the kind only say what S3 shall keep and
// answer with, and the store keeps none.
func checksums(h http.Header) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for name, values := range h {
			algorithm, ok := strings.CutPrefix(http.CanonicalHeaderKey(name), checksumPrefix)
			algorithm = strings.ToLower(algorithm)
			if ok && algorithm != "algorithm" && algorithm != "type" && !yield(algorithm, strings.Join(values, ",")) {
				return
			}
		}
	}
}

// checksum returns the algorithm of a name, as a header ends in, or nil.
func checksum(algorithm string) hash.Hash {
	switch algorithm {
	case "crc32":
		return crc32.NewIEEE()
	case "crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "crc64nvme":
		return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5))
	case "sha1":
		return sha1.New()
	case "sha256":
		return sha256.New()
	}
	return nil
}

// echoChecksums repeats the checksums that were found right; clients name those of the parts when they complete an upload.
func echoChecksums(h http.Header, r *http.Request, _ content) {
	for algorithm, value := range checksums(r.Header) {
		h.Set(checksumPrefix+algorithm, value)
	}
}

// checkPart holds a part to the checksums that are named with it.
func checkPart(p *part, named []element) error {
	for _, e := range named {
		algorithm, ok := strings.CutPrefix(e.XMLName.Local, "Checksum")
		sum := checksum(strings.ToLower(algorithm))
		if !ok || sum == nil {
			return notImplemented{param: e.XMLName.Local}
		}
		add(sum, p.data)
		if encodeSum(sum) != e.Value {
			return badPart{number: p.number, etag: p.etag()}
		}
	}
	return nil
}

// checkWhole holds an object to the checksums that are named in the request to complete it: of its bytes, or of the checksums of
// its parts, which S3 writes with the number of parts behind it and minio-go without. The request's own body has no checksums.
func checkWhole(h http.Header, obj *object, parts []*part) error {
	for algorithm, value := range checksums(h) {
		sum := checksum(algorithm)
		if sum == nil {
			return notImplemented{header: http.CanonicalHeaderKey(checksumPrefix + algorithm)}
		}
		value, number, counted := strings.Cut(value, "-")
		composite := counted || h.Get(checksumPrefix+"Type") == "COMPOSITE"
		if composite {
			for _, p := range parts {
				ofPart := checksum(algorithm)
				add(ofPart, p.data)
				sum.Write(ofPart.Sum(nil))
			}
		} else {
			add(sum, obj.data)
		}
		if encodeSum(sum) != value || counted && number != strconv.Itoa(len(parts)) {
			return otherChecksum{strings.ToUpper(algorithm)}
		}
	}
	return nil
}
