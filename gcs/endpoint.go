package gcs

import (
	"bytes"
	"errors"
	"net"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

const defaultHost = "storage.googleapis.com"

// An endpoint is where the service answers, and how a bucket stands in its URLs.
//
// https://docs.cloud.google.com/storage/docs/request-endpoints
type endpoint struct {
	scheme     string // "https"
	host       string // lower case, with its port
	base       string // encoded path in front of every key, "" or "/base"
	addressing signer.Addressing
	location   string // for the credential scope
}

// newEndpoint reads the part of a Config that says where the service is.
func newEndpoint(op pipeline.Op, c *Config) (endpoint, error) {
	e := endpoint{scheme: "https", host: defaultHost, addressing: c.Addressing, location: c.Location}
	if e.location == "" {
		e.location = "auto"
	}
	var errs []error
	if e.addressing < signer.AddressingAuto || e.addressing > signer.AddressingBucketHost {
		errs = append(errs, op.Errorf(signer.ErrRequest, "Addressing", "%d is no addressing", e.addressing))
	}
	if !pipeline.HostLabel(e.location) {
		errs = append(errs, op.Errorf(signer.ErrRequest, "Location", `%q is no location; leave it empty for "auto", which Google takes everywhere`, e.location))
	}
	switch u := c.Endpoint; {
	case u == nil && e.addressing == signer.AddressingBucketHost:
		errs = append(errs, op.Errorf(signer.ErrRequest, "Addressing", "with the bucket as the host, Endpoint must name that host"))
	case u == nil:
	case strings.HasSuffix(u.Host, ":"): // what url.Parse makes of https://https://host
		errs = append(errs, op.Errorf(signer.ErrRequest, "Endpoint", "its host, %q, ends in a colon; is there a second https:// in the URL?", u.Host))
	default:
		errs = append(errs, pipeline.CheckEndpoint(op, u))
		e.scheme, e.host = u.Scheme, strings.ToLower(u.Host)
		e.base = string(wire.AppendEscapePath(nil, strings.TrimRight(u.Path, "/")))
	}
	return e, errors.Join(errs...)
}

// scope is the credential scope of the endpoint.
func (e *endpoint) scope(stamp sigv4.Stamp) sigv4.Scope {
	return sigv4.Scope{Date: stamp.Date(), Region: e.location, Service: service}
}

// A target is an endpoint for one bucket.
type target struct {
	endpoint
	bucket  string
	virtual bool // the bucket is the first label of the host
	inPath  bool // the bucket is the first segment of the path
}

// target finds where a bucket stands.
//
// https://docs.cloud.google.com/storage/docs/buckets#naming
func (e *endpoint) target(op pipeline.Op, bucket string) (target, error) {
	t := target{endpoint: *e, bucket: bucket}
	if e.addressing == signer.AddressingBucketHost {
		if bucket != "" {
			return t, pipeline.CheckBucket(op, "Bucket", bucket)
		}
		return t, nil
	}
	if err := pipeline.CheckBucket(op, "Bucket", bucket); err != nil {
		return t, err
	}
	if len(bucket) > 222 || !bucketName(bucket) {
		return t, op.Errorf(signer.ErrRequest, "Bucket", "%q is no bucket name; lower-case letters, digits, '-', '_' and '.' make one", bucket)
	}
	if t.virtual = e.addressing == signer.AddressingVirtualHost; t.virtual {
		if net.ParseIP(pipeline.Hostname(e.host)) != nil {
			return t, op.Errorf(signer.ErrRequest, "Addressing", "%s is an address, which takes no bucket in front; use AddressingPath", e.host)
		}
		if !pipeline.HostLabels(bucket) {
			return t, op.Errorf(signer.ErrRequest, "Bucket", "%q cannot be part of a host name; use AddressingPath", bucket)
		}
	}
	t.inPath = !t.virtual
	return t, nil
}

// appendURL appends the URL of an object, or of the bucket if key is "", and says where its host and path begin.
func (t *target) appendURL(dst []byte, key string) (url []byte, host, path int) {
	dst = append(dst, t.scheme...)
	dst = append(dst, "://"...)
	host = len(dst)
	if t.virtual {
		dst = append(dst, t.bucket...)
		dst = append(dst, '.')
	}
	dst = append(dst, t.endpoint.host...)
	path = len(dst)
	dst = append(dst, t.base...)
	if t.inPath {
		dst = append(dst, '/')
		dst = append(dst, t.bucket...)
	}
	if key != "" || len(dst) == path {
		dst = append(dst, '/')
		dst = wire.AppendEscapePath(dst, key)
	}
	return dst, host, path
}

// withoutPort is a host as it is signed.
func withoutPort(host []byte) []byte {
	if bytes.IndexByte(host, ':') < 0 {
		return host
	}
	return []byte(pipeline.Hostname(string(host)))
}

func bucketName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_') {
			return false
		}
	}
	return true
}
