package s3

import (
	"net"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// An endpoint is where a service answers, and how a bucket stands in its URLs.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
type endpoint struct {
	scheme     string // "https"
	host       string // lower case, without the scheme's default port
	base       string // encoded path in front of every key, "" or "/base"
	addressing signer.Addressing
	region     string // for the credential scope
	service    string // for the credential scope
	regionSet  string // for SigV4a, else ""
	custom     bool   // not AWS's own: buckets stand in the path unless told otherwise
	accelerate bool
}

// newEndpoint reads the part of a Config that says where the service is.
func newEndpoint(op pipeline.Op, c *Config) (endpoint, error) {
	e := endpoint{scheme: "https", addressing: c.Addressing, region: c.Region, service: c.Service, accelerate: c.Accelerate}
	if e.service == "" {
		e.service = "s3"
	}
	var err error
	if e.regionSet, err = joinRegionSet(op, c.RegionSet); err != nil {
		return e, err
	}
	severalRegions := e.regionSet != "" || strings.HasPrefix(c.Bucket, "arn:") && strings.HasSuffix(c.Bucket, ".mrap")
	if c.Region != "" || !severalRegions {
		if err := checkRegion(op, c.Region, c.Endpoint != nil); err != nil {
			return e, err
		}
	}
	if !bucketName(e.service) {
		return e, op.Errorf(signer.ErrRequest, "Service", "%q is no service; leave it empty for s3", e.service)
	}
	if e.addressing < signer.AddressingAuto || e.addressing > signer.AddressingBucketHost {
		return e, op.Errorf(signer.ErrRequest, "Addressing", "%d is no addressing", e.addressing)
	}
	if c.Endpoint != nil {
		if err := pipeline.CheckEndpoint(op, c.Endpoint); err != nil {
			return e, err
		}
		if c.DualStack || c.FIPS || c.Accelerate {
			return e, op.Errorf(signer.ErrRequest, "Endpoint", "DualStack, FIPS and Accelerate choose among AWS's own endpoints; drop them or Endpoint")
		}
		e.custom = true
		e.scheme, e.host, e.base = pipeline.Locate(c.Endpoint)
		return e, nil
	}
	if e.addressing == signer.AddressingBucketHost {
		return e, op.Errorf(signer.ErrRequest, "Addressing", "with the bucket as the host, Endpoint must name that host")
	}
	if c.Accelerate && (c.FIPS || e.addressing == signer.AddressingPath) {
		return e, op.Errorf(signer.ErrRequest, "Accelerate", "transfer acceleration has neither FIPS endpoints nor path addressing")
	}
	if c.Region == "aws-global" { // the endpoint of old: no region in its name, us-east-1 in the scope
		e.region = "us-east-1"
	}
	switch {
	case c.Region == "" && (c.DualStack || c.FIPS || c.Accelerate):
		return e, op.Errorf(signer.ErrRequest, "RegionSet", "DualStack, FIPS and Accelerate are for endpoints of one region")
	case c.Region == "":
		e.host = multiRegionDomain
	case c.Accelerate && c.DualStack:
		e.host = "s3-accelerate.dualstack.amazonaws.com"
	case c.Accelerate:
		e.host = "s3-accelerate.amazonaws.com"
	case c.Region == "aws-global" && !c.FIPS && !c.DualStack:
		e.host = "s3.amazonaws.com"
	default:
		e.host = awsHost("s3", e.region, c.FIPS, c.DualStack)
	}
	return e, nil
}

// multiRegionDomain is where multi-region access points live.
const multiRegionDomain = "accesspoint.s3-global.amazonaws.com"

// checkRegionSet refuses hosts of AWS's that do not go with the algorithm: a multi-region access point takes no signature for
// one region, and an endpoint of one region none for several.
func (e *endpoint) checkRegionSet(op pipeline.Op, host string) error {
	host = strings.ToLower(host)
	several := strings.HasSuffix(host, "."+multiRegionDomain) || strings.Contains(host, ".s3-outposts.")
	switch {
	case several && e.regionSet == "":
		return op.Errorf(signer.ErrRequest, "RegionSet", `%s takes signatures for several regions; set RegionSet to {"*"}`, host)
	case !several && e.regionSet != "" && !e.custom && strings.Contains(host, ".amazonaws."):
		return op.Errorf(signer.ErrRequest, "RegionSet", "%s is an endpoint of one region; leave RegionSet out", host)
	}
	return nil
}

// scope is the credential scope of the endpoint.
func (e *endpoint) scope(stamp sigv4.Stamp) scope {
	sc := scope{Scope: sigv4.Scope{Date: stamp.Date(), Region: e.region, Service: e.service}, regionSet: e.regionSet}
	if sc.regionSet != "" {
		sc.Region = "" // it is in the set
	}
	return sc
}

// scopeAt is the scope for a finished URL: some of AWS's hosts are those of another service.
func (e *endpoint) scopeAt(stamp sigv4.Stamp, host string) scope {
	sc := e.scope(stamp)
	for _, service := range [...]string{"s3-object-lambda", "s3-outposts"} {
		if !e.custom && e.service == "s3" && strings.Contains(strings.ToLower(host), "."+service+".") {
			sc.Service = service
		}
	}
	return sc
}

// awsHost is the host of a regional service: s3[-fips][.dualstack].REGION.amazonaws.com.
func awsHost(service, region string, fips, dualStack bool) string {
	if fips {
		service += "-fips"
	}
	if dualStack {
		service += ".dualstack"
	}
	return service + "." + region + "." + sigv4.PartitionSuffix(region)
}

// checkRegion refuses what could not stand in a host name and in a scope. "auto" (Cloudflare R2) can.
func checkRegion(op pipeline.Op, region string, custom bool) error {
	if region == "" {
		return op.Errorf(signer.ErrRequest, "Region", `it is empty and part of every signature; set it, to "us-east-1" for MinIO, "auto" for Cloudflare R2`)
	}
	if !pipeline.HostLabel(region) && !(custom && bucketName(region)) {
		return op.Errorf(signer.ErrRequest, "Region", `%q is no region; write it like "eu-west-1"`, region)
	}
	if region == "auto" && !custom {
		return op.Errorf(signer.ErrRequest, "Region", `"auto" is no region of AWS's; for Cloudflare R2 set Endpoint to https://ACCOUNT.r2.cloudflarestorage.com`)
	}
	return nil
}

// A target is an endpoint for one bucket.
type target struct {
	endpoint
	bucket  string
	virtual bool // the bucket is the first label of the host
	inPath  bool // the bucket is the first segment of the path
}

// target finds where a bucket stands: a name, an access point's alias or ARN.
func (e *endpoint) target(op pipeline.Op, bucket string) (target, error) {
	t := target{endpoint: *e, bucket: bucket}
	if e.addressing == signer.AddressingBucketHost {
		if bucket != "" {
			return t, pipeline.CheckBucket(op, "Bucket", bucket)
		}
		return t, nil
	}
	if strings.HasPrefix(bucket, "arn:") {
		return t, t.accessPoint(op)
	}
	if err := pipeline.CheckBucket(op, "Bucket", bucket); err != nil {
		return t, err
	}
	if strings.HasSuffix(bucket, "--x-s3") {
		return t, op.Errorf(signer.ErrUnsupported, "Bucket", "%s is a directory bucket (S3 Express), which takes only session keys from CreateSession", bucket)
	}
	if e.regionSet != "" && !e.custom {
		return t, op.Errorf(signer.ErrRequest, "RegionSet", "%q is a bucket of one region; several regions go with the ARN of a multi-region access point, or an Endpoint of your own", bucket)
	}
	if len(bucket) > 255 || !bucketName(bucket) {
		return t, op.Errorf(signer.ErrRequest, "Bucket", "%q is no bucket name; letters, digits, '.', '-' and '_' make one", bucket)
	}
	host := pipeline.HostLabels(bucket)
	dotted := strings.Contains(bucket, ".")
	switch {
	case e.accelerate:
		if !host || dotted {
			return t, op.Errorf(signer.ErrRequest, "Bucket", "%q cannot be accelerated: the name must be one lower-case host label without dots", bucket)
		}
		t.virtual = true
	case e.addressing == signer.AddressingVirtualHost:
		if !host {
			return t, op.Errorf(signer.ErrRequest, "Bucket", "%q cannot be part of a host name; use AddressingPath", bucket)
		}
		if net.ParseIP(pipeline.Hostname(e.host)) != nil {
			return t, op.Errorf(signer.ErrRequest, "Addressing", "%s is an address, which takes no bucket in front; use AddressingPath", e.host)
		}
		t.virtual = true
	case e.addressing == signer.AddressingAuto:
		t.virtual = !e.custom && host && !dotted // a wildcard certificate covers one label
	}
	t.inPath = !t.virtual
	return t, nil
}

// accessPoint reads arn:PARTITION:SERVICE:REGION:ACCOUNT:accesspoint/NAME (or with a colon before NAME).
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-naming.html
func (t *target) accessPoint(op pipeline.Op) error {
	bad := func(sentinel error, format string, args ...any) error {
		return op.Errorf(sentinel, "Bucket", format, args...)
	}
	arn := strings.SplitN(t.bucket, ":", 6)
	if len(arn) != 6 {
		return bad(signer.ErrRequest, "%q is no ARN; it has the form arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME", t.bucket)
	}
	service, region, account, resource := arn[2], arn[3], arn[4], arn[5]
	resource = strings.ReplaceAll(resource, ":", "/")
	kind, name, _ := strings.Cut(resource, "/")
	ownHost := !t.custom && !t.accelerate && t.addressing != signer.AddressingPath
	// Of the hosts that could follow, take the one with the flags of the endpoint.
	fips, dualStack := strings.HasPrefix(t.host, "s3-fips."), strings.Contains(t.host, ".dualstack.")
	switch {
	case !ownHost:
		return bad(signer.ErrRequest, "an access point's ARN has a host name of its own, which goes with neither Endpoint nor Accelerate nor AddressingPath")
	case service == "s3" && region == "" && kind == "accesspoint":
		alias, ok := strings.CutSuffix(name, ".mrap")
		switch {
		case !ok || !pipeline.HostLabel(alias):
			return bad(signer.ErrRequest, "%q is not the ARN of a multi-region access point, which ends in ALIAS.mrap", t.bucket)
		case fips || dualStack:
			return bad(signer.ErrUnsupported, "multi-region access points have neither FIPS nor dual-stack endpoints")
		}
		return t.severalRegions(name + "." + multiRegionDomain)
	case service == "s3-outposts":
		part := strings.Split(resource, "/")
		switch {
		case len(part) != 4 || part[0] != "outpost" || part[2] != "accesspoint" || !pipeline.HostLabel(part[1]) || !pipeline.HostLabel(part[3]) || !pipeline.HostLabel(account) || !pipeline.HostLabel(region):
			return bad(signer.ErrRequest, "%q is not the ARN of an access point on an outpost, outpost/ID/accesspoint/NAME", t.bucket)
		case t.region != "" && t.region != region:
			return bad(signer.ErrRequest, "the outpost is in %q, the signer in %q; make a signer for the outpost's region", region, t.region)
		case fips || dualStack:
			return bad(signer.ErrUnsupported, "outposts have neither FIPS nor dual-stack endpoints here")
		}
		t.service = service
		return t.severalRegions(part[3] + "-" + account + "." + part[1] + ".s3-outposts." + region + "." + sigv4.PartitionSuffix(region))
	case t.regionSet != "":
		return bad(signer.ErrRequest, "the access point is one of one region; leave RegionSet out")
	case service != "s3" && service != "s3-object-lambda" || kind != "accesspoint":
		return bad(signer.ErrRequest, "%q is not the ARN of an access point; a bucket is named by its name alone", t.bucket)
	case region != t.region:
		return bad(signer.ErrRequest, "the access point is in %q, the signer in %q; make a signer for the access point's region", region, t.region)
	case !pipeline.HostLabel(account) || !pipeline.HostLabel(name) || len(name)+len(account) > 62:
		return bad(signer.ErrRequest, "%q has no account or no name that can be part of a host name", t.bucket)
	}
	prefix := "s3-accesspoint"
	if service == "s3-object-lambda" {
		prefix, t.service = service, service
	}
	t.host = name + "-" + account + "." + awsHost(prefix, region, fips, dualStack)
	return nil
}

// severalRegions points a target at a host that takes SigV4a.
func (t *target) severalRegions(host string) error {
	t.host = host
	if t.regionSet == "" {
		t.regionSet = "*"
	}
	return nil
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

// bucketName reports whether s is made of the bytes that bucket names have had since the beginning of S3.
func bucketName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_') {
			return false
		}
	}
	return true
}
