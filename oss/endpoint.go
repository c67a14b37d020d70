package oss

import (
	"net"
	"net/url"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// An endpoint is where OSS answers, and how a bucket stands in its URLs.
//
// https://help.aliyun.com/en/oss/user-guide/regions-and-endpoints
type endpoint struct {
	scheme     string // "https"
	host       string // lower case, without the scheme's default port
	base       string // path in front of every key, not encoded, "" or "/base"; OSS itself has none and does not sign it
	addressing signer.Addressing
	region     string   // for the credential scope
	product    string   // for the credential scope
	bucket     string   // behind a host that is the bucket
	own        bool     // one of Alibaba Cloud's, which want the bucket in the host
	hosts      []string // under which it answers
}

const (
	productOSS      = "oss"
	productCloudBox = "oss-cloudbox"
	domain          = ".aliyuncs.com"
)

// newEndpoint reads the part of a Config that says where the service is.
func newEndpoint(op pipeline.Op, c *Config) (endpoint, error) {
	e := endpoint{scheme: "https", addressing: c.Addressing, region: c.Region, product: c.Product, own: true}
	if e.product == "" {
		e.product = productOSS
	}
	if c.Endpoint != nil {
		if err := pipeline.CheckEndpoint(op, c.Endpoint); err != nil {
			return e, err
		}
		e.scheme, e.host, _ = pipeline.Locate(c.Endpoint)
		e.base = strings.TrimRight(c.Endpoint.Path, "/")
	}
	if err := checkRegion(op, c.Region, e.host); err != nil {
		return e, err
	}
	switch {
	case e.product != productOSS && e.product != productCloudBox:
		return e, op.Errorf(signer.ErrRequest, "Product", "%q is no product that is signed for like this; leave it empty for %s, or set %s for a CloudBox", e.product, productOSS, productCloudBox)
	case e.addressing < signer.AddressingAuto || e.addressing > signer.AddressingBucketHost:
		return e, op.Errorf(signer.ErrRequest, "Addressing", "%d is no addressing", e.addressing)
	case e.addressing == signer.AddressingBucketHost && c.Endpoint == nil:
		return e, op.Errorf(signer.ErrRequest, "Addressing", "with a host that is the bucket, Endpoint must name that host")
	case e.addressing == signer.AddressingBucketHost && c.Bucket == "":
		return e, op.Errorf(signer.ErrRequest, "Bucket", "the bucket is in every signature, also where the host does not tell it; name the one behind %s", e.host)
	case e.product == productCloudBox && c.Endpoint == nil:
		return e, op.Errorf(signer.ErrRequest, "Endpoint", "a CloudBox has an address of its own; set it to https://%s.REGION.oss-cloudbox%s", e.region, domain)
	}
	if e.addressing == signer.AddressingBucketHost {
		e.bucket, e.own, e.hosts = c.Bucket, false, []string{e.host}
		return e, nil
	}
	if c.Endpoint == nil {
		e.host = "oss-" + e.region + domain
	}
	name, own := strings.CutSuffix(pipeline.Hostname(e.host), domain)
	if e.own = own; own {
		if err := e.checkOwn(op, name); err != nil {
			return e, err
		}
	}
	e.hosts = e.names()
	return e, nil
}

// checkRegion refuses what is no region id. A CloudBox's id stands in its place, and is of the same form.
func checkRegion(op pipeline.Op, region, host string) error {
	bare := strings.TrimSuffix(strings.TrimPrefix(region, "oss-"), "-internal")
	switch {
	case region == "" && strings.HasPrefix(host, "oss-accelerate"):
		return op.Errorf(signer.ErrRequest, "Region", "it is empty, and the name of an acceleration endpoint does not tell it; set it to the bucket's region, like cn-hangzhou")
	case region == "":
		return op.Errorf(signer.ErrRequest, "Region", "it is empty and part of every signature; set it to the bucket's region, like cn-hangzhou")
	case strings.HasPrefix(region, "oss-"):
		return op.Errorf(signer.ErrRequest, "Region", "%q is the name of an endpoint; the region is %q", region, bare)
	case strings.HasSuffix(region, "-internal"):
		return op.Errorf(signer.ErrRequest, "Region", "%q is the name of an endpoint; the region is %q, and for its internal network Endpoint is https://oss-%s-internal%s", region, bare, bare, domain)
	case pipeline.HostLabel(region) && !strings.Contains(region, "-"):
		return op.Errorf(signer.ErrRequest, "Region", `%q is no region id; write it in full, "cn-%s" perhaps`, region, region)
	case !pipeline.HostLabel(region):
		return op.Errorf(signer.ErrRequest, "Region", "%q is no region id; write it like cn-hangzhou", region)
	}
	return nil
}

// checkOwn holds the name of one of Alibaba Cloud's hosts, without the domain, against region and product.
func (e *endpoint) checkOwn(op pipeline.Op, name string) error {
	labels := strings.Split(name, ".")
	first, last := labels[0], labels[len(labels)-1]
	var region string
	switch {
	case strings.HasPrefix(last, "oss-cloudbox"):
		if e.product != productCloudBox {
			return op.Errorf(signer.ErrRequest, "Product", "%s is a CloudBox; set Product to %s", e.host, productCloudBox)
		}
		if len(labels) != 3 || first != e.region {
			return op.Errorf(signer.ErrRequest, "Region", "for a CloudBox it is the id that its Endpoint begins with (ID.REGION.%s%s)", last, domain)
		}
		return nil
	case e.product == productCloudBox:
		return op.Errorf(signer.ErrRequest, "Endpoint", "%s is no CloudBox, whose host is ID.REGION.oss-cloudbox%s", e.host, domain)
	case last == "oss" && len(labels) == 2: // dual stack
		region = first
	case len(labels) == 1 && strings.HasPrefix(first, "oss-") && first != "oss-internal" && !strings.HasPrefix(first, "oss-accelerate"):
		region = strings.TrimSuffix(strings.TrimPrefix(first, "oss-"), "-internal")
	case len(labels) == 1: // acceleration, and oss.aliyuncs.com of old: no region in the name
		return nil
	case strings.HasPrefix(last, "oss-"), last == "oss":
		return op.Errorf(signer.ErrRequest, "Endpoint", "%s names a bucket too; leave that out, or set AddressingBucketHost", e.host)
	default:
		return nil
	}
	// Regions for finance and government have endpoints with names of their own, so only plain names are compared.
	if region != e.region && plainRegion(e.region) {
		return op.Errorf(signer.ErrRequest, "Region", "it is %q, and %s is an endpoint of %q; OSS takes a signature only for the region of the bucket", e.region, e.host, region)
	}
	return nil
}

// plainRegion reports whether a region id is two words, with a number perhaps: cn-hangzhou, us-east-1.
func plainRegion(id string) bool {
	part := strings.Split(id, "-")
	return len(part) == 2 || len(part) == 3 && len(part[2]) == 1
}

// names are those under which the endpoint answers.
func (e *endpoint) names() []string {
	if !e.own || e.product == productCloudBox {
		return []string{e.host}
	}
	return []string{
		"oss-" + e.region + domain, "oss-" + e.region + "-internal" + domain, e.region + ".oss" + domain,
		"oss-accelerate" + domain, "oss-accelerate-overseas" + domain,
		e.host, // last: oss.aliyuncs.com of old is the end of others
	}
}

// scope is the credential scope of the endpoint.
func (e *endpoint) scope(stamp sigv4.Stamp) sigv4.Scope {
	return sigv4.Scope{Date: stamp.Date(), Region: e.region, Service: e.product}
}

// A target is an endpoint for one bucket.
type target struct {
	*endpoint
	bucket  string
	virtual bool // the bucket is the first label of the host
	inPath  bool // the bucket is the first segment of the path
}

// target finds where a bucket stands. An access point's alias is a name like any other.
func (e *endpoint) target(op pipeline.Op, bucket string) (target, error) {
	t := target{endpoint: e, bucket: bucket}
	if err := pipeline.CheckBucket(op, "Bucket", bucket); err != nil {
		return t, err
	}
	if !bucketName(bucket) {
		return t, op.Errorf(signer.ErrRequest, "Bucket", "%q is no bucket name: it has 3 to 63 lower-case letters, digits and inner hyphens", bucket)
	}
	switch e.addressing {
	case signer.AddressingBucketHost:
		if bucket != e.bucket {
			return t, op.Errorf(signer.ErrRequest, "Bucket", "%s is the bucket %q; make a signer for %q", e.host, e.bucket, bucket)
		}
		return t, nil
	case signer.AddressingVirtualHost:
		if net.ParseIP(pipeline.Hostname(e.host)) != nil {
			return t, op.Errorf(signer.ErrRequest, "Addressing", "%s is an address, which takes no bucket in front; use AddressingPath", e.host)
		}
		t.virtual = true
	case signer.AddressingAuto:
		t.virtual = e.own
	}
	t.inPath = !t.virtual
	return t, nil
}

// appendURL appends the URL of an object, or of the bucket if key is "", and says where its host, path and encoded key begin.
func (t *target) appendURL(dst []byte, key string) (url []byte, host, path, name int) {
	dst = append(dst, t.scheme...)
	dst = append(dst, "://"...)
	host = len(dst)
	if t.virtual {
		dst = append(dst, t.bucket...)
		dst = append(dst, '.')
	}
	dst = append(dst, t.endpoint.host...)
	path = len(dst)
	dst = wire.AppendEscapePath(dst, t.base)
	if t.inPath {
		dst = append(dst, '/')
		dst = append(dst, t.bucket...)
	}
	dst = append(dst, '/')
	return wire.AppendEscapePath(dst, key), host, path, len(dst)
}

// split finds bucket and key in a host and a decoded path, or says what is wrong with the field it names. Both are "" for the
// service itself. It is the inverse of target and appendURL.
func (e *endpoint) split(host, path string) (bucket, key, field, problem string) {
	rest, ok := strings.CutPrefix(path, e.base+"/")
	if !ok && path == e.base {
		rest, ok = "", true
	}
	if !ok {
		return "", "", "URL", "its path is not under that of the endpoint"
	}
	host = pipeline.CanonicalHost(e.scheme, strings.ToLower(host))
	ok = false
	for _, name := range e.hosts {
		front, virtual := strings.CutSuffix(host, "."+name)
		switch {
		case e.addressing == signer.AddressingBucketHost:
			bucket, key, ok = e.bucket, rest, host == name
		case host == name && e.addressing != signer.AddressingVirtualHost:
			bucket, key, _ = strings.Cut(rest, "/")
			ok = true
		case host == name:
			key, ok = rest, true
		case virtual && e.addressing != signer.AddressingPath:
			bucket, key, ok = front, rest, true
		}
		if ok {
			break
		}
	}
	switch {
	case !ok:
		return "", "", "Host", "it is not " + e.host + " nor a bucket of it; if clients use another address, set Endpoint to that, with AddressingBucketHost if it is one bucket's"
	case bucket == "" && key == "":
		return "", "", "", ""
	case !bucketName(bucket):
		return "", "", "URL", "it names no bucket"
	}
	return bucket, key, "", ""
}

// bucketName reports whether s is a name that OSS gives to buckets and access points.
func bucketName(s string) bool { return len(s) >= 3 && pipeline.HostLabel(s) }

// locate is split for a request that is to be signed.
func (e *endpoint) locate(op pipeline.Op, host string, u *url.URL) (bucket, key string, err error) {
	path, err := wire.UnescapePath(u.EscapedPath())
	if err != nil {
		return "", "", op.Errorf(signer.ErrRequest, "URL", "its path: %w", err)
	}
	if path == "" {
		path = "/"
	}
	bucket, key, field, problem := e.split(host, path)
	if problem != "" {
		return "", "", op.Errorf(signer.ErrRequest, field, "%s", problem)
	}
	return bucket, key, nil
}
