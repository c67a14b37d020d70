package azure

import (
	"net"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// An endpoint is where the blob service of one account answers.
//
// https://learn.microsoft.com/en-us/azure/storage/common/storage-account-overview#storage-account-endpoints
type endpoint struct {
	scheme  string // "https"
	host    string // lower case, without the scheme's default port
	base    string // encoded path in front of every container, the account with it where it stands there: "" or "/devstoreaccount1"
	account string
	inPath  bool   // the account stands in the path
	root    string // scheme, host and base, as a URL begins
	oneLake bool   // containers are workspaces, which have other names
}

// newEndpoint reads the part of a Config that says where the account is.
func newEndpoint(op pipeline.Op, account string, u *url.URL, addressing signer.Addressing) (endpoint, error) {
	e := endpoint{scheme: "https", account: account}
	switch {
	case account == "":
		return e, op.Errorf(signer.ErrRequest, "Account", "it is empty and part of every signature; it is never guessed from a host, set it")
	case strings.HasSuffix(account, "-secondary"):
		return e, op.Errorf(signer.ErrRequest, "Account", "%q: the account has one name, the primary's; for the secondary set Endpoint to its address", account)
	case !pipeline.HostLabel(account) || u == nil && (len(account) < 3 || len(account) > 24 || strings.Contains(account, "-")):
		return e, op.Errorf(signer.ErrRequest, "Account", "%q is no storage account: 3 to 24 lower-case letters and digits make one", account)
	case addressing < signer.AddressingAuto || addressing > signer.AddressingBucketHost:
		return e, op.Errorf(signer.ErrRequest, "Addressing", "%d is no addressing", addressing)
	}
	if u == nil {
		if addressing == signer.AddressingPath || addressing == signer.AddressingBucketHost {
			return e, op.Errorf(signer.ErrRequest, "Addressing", "Azure has the account in front of the host name; %v goes with an Endpoint", addressing)
		}
		e.host = account + ".blob.core.windows.net"
		e.root = "https://" + e.host + "/"
		return e, nil
	}
	if err := pipeline.CheckEndpoint(op, u); err != nil {
		return e, err
	}
	e.scheme, e.host, e.base = pipeline.Locate(u)
	name := pipeline.Hostname(e.host)
	e.oneLake = strings.HasSuffix(name, ".fabric.microsoft.com")
	address := net.ParseIP(name) != nil
	switch {
	case addressing == signer.AddressingVirtualHost && address:
		return e, op.Errorf(signer.ErrRequest, "Addressing", "%s is an address, which takes no account in front; use AddressingPath", e.host)
	case addressing == signer.AddressingVirtualHost && strings.HasPrefix(name, account+"."):
		return e, op.Errorf(signer.ErrRequest, "Addressing", "%s has the account in front already; leave it out, or use AddressingAuto", e.host)
	case addressing == signer.AddressingVirtualHost:
		e.host = account + "." + e.host
	case addressing == signer.AddressingPath,
		addressing == signer.AddressingAuto && (address || name == "localhost" || strings.HasSuffix(e.base, "/"+account)):
		e.inPath = true
		e.base = strings.TrimSuffix(e.base, "/"+account) + "/" + account
	}
	e.root = e.scheme + "://" + e.host + e.base + "/"
	return e, nil
}

// hosts are the names under which the account answers: with those of the secondary and of Data Lake Storage, if the endpoint's
// own is made like them.
func (e *endpoint) hosts() []string {
	hosts := []string{e.host}
	if rest, ok := strings.CutPrefix(e.host, e.account+"."); ok && !e.inPath {
		hosts = append(hosts, e.account+"-secondary."+rest)
	}
	for _, host := range hosts {
		switch {
		case strings.Contains(host, ".blob."):
			hosts = append(hosts, strings.Replace(host, ".blob.", ".dfs.", 1))
		case strings.Contains(host, ".dfs."):
			hosts = append(hosts, strings.Replace(host, ".dfs.", ".blob.", 1))
		}
	}
	return hosts
}

// checkContainer refuses what is no container.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
func (e *endpoint) checkContainer(op pipeline.Op, field, name string) error {
	if name == "" {
		return op.Errorf(signer.ErrRequest, field, "no container; name it in the request or the Config")
	}
	if err := pipeline.CheckBucket(op, field, name); err != nil {
		return err
	}
	label, special := strings.CutPrefix(name, "$") // $root, $web, $logs
	if !e.oneLake && !(special && pipeline.HostLabel(label)) &&
		(len(name) < 3 || !pipeline.HostLabel(name) || strings.Contains(name, "--")) {
		return op.Errorf(signer.ErrRequest, field, "%q is no container: 3 to 63 lower-case letters, digits and single inner hyphens make one", name)
	}
	return nil
}

// checkBlob refuses names that can be read in two ways. In the strings to sign of old a name with line feeds could pass for another
// name and the fields behind it, in the longer string of a later version; from 2015-04-05 on none can.
func checkBlob(op pipeline.Op, field, name, version string) error {
	switch {
	case strings.IndexByte(name, '\\') >= 0:
		return op.Errorf(signer.ErrUnsupported, field, `it holds a \, which SDKs sign as a slash and servers may not; rename the object`)
	case version < v2015 && strings.IndexByte(name, '\n') >= 0:
		return op.Errorf(signer.ErrUnsupported, field, "it holds a line feed, which could forge other fields before Version %s; set that, or rename the object", v2015)
	}
	return nil
}

// appendURL appends the URL of a blob, of a container if blob is "", or of the account if both are.
func (e *endpoint) appendURL(dst []byte, container, blob string) []byte {
	dst = append(dst, e.root...)
	if label, special := strings.CutPrefix(container, "$"); special {
		dst = wire.AppendEscape(append(dst, '$'), label)
	} else {
		dst = wire.AppendEscape(dst, container)
	}
	if blob != "" {
		dst = wire.AppendEscapePath(append(dst, '/'), blob)
	}
	return dst
}

// split finds container and blob in an encoded path, decoded. It is the inverse of appendURL. One name alone is a blob of the
// container $root, unless the query says restype=container. secondary takes the account's other name in the path too.
func (e *endpoint) split(op pipeline.Op, path, restype string, secondary bool) (container, blob string, err error) {
	path, err = wire.UnescapePath(path)
	if err != nil {
		return "", "", op.Refusal(signer.ErrMalformed, "URL", "InvalidUri", "its path: %w", err)
	}
	rest, ok := e.below(path, secondary)
	if !ok {
		return "", "", op.Refusal(signer.ErrScope, "URL", "InvalidUri", "its path is not under %q", e.base)
	}
	rest = strings.TrimPrefix(rest, "/")
	container, blob, object := strings.Cut(rest, "/")
	if container != "" && !object && restype != "container" {
		container, blob = "$root", container
	}
	switch {
	case container == "" && blob != "":
		return "", "", op.Refusal(signer.ErrMalformed, "URL", "InvalidUri", "its path has no container")
	case !utf8.ValidString(blob) || strings.IndexByte(blob, 0) >= 0 || strings.IndexByte(blob, '\\') >= 0:
		return "", "", op.Refusal(signer.ErrMalformed, "URL", "InvalidUri", `its blob's name holds a NUL, a \ or invalid UTF-8`)
	}
	return container, blob, nil
}

// below is what a decoded path has behind that of the account.
func (e *endpoint) below(path string, secondary bool) (rest string, ok bool) {
	base, err := wire.UnescapePath(e.base)
	if err != nil {
		return "", false // unreachable: we encoded it
	}
	rest, ok = strings.CutPrefix(path, base)
	if secondary && e.inPath {
		rest = strings.TrimPrefix(rest, "-secondary")
	}
	return rest, ok && (rest == "" || rest[0] == '/')
}
