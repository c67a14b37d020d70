package storefake

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/signer"
)

// cdnDialect is Google's Cloud CDN before the bucket: it lets GET and HEAD of an object through to Cloud Storage if the URL or a cookie
// is signed. A signature that is not accepted is a plain 403 of its own; all else is what Cloud Storage says.
//
// https://docs.cloud.google.com/cdn/docs/using-signed-urls
type cdnDialect struct {
	signer.Verifier
	bucket *gcsDialect
}

// cdnHost is the name under which the CDN stands, because it signs URLs without a port. Nobody can own a name that ends so (RFC
// 6761), and no name server knows one.
const cdnHost = "cdn.store.test"

// CDNBase is the address of the CDN, for the BaseURL of a cdn.Config. Its name is for Server.Transport alone to find.
func (s *Store) CDNBase() *url.URL { return &url.URL{Scheme: "http", Host: cdnHost} }

func newCDN(store *Store, bucket *gcsDialect) (*cdnDialect, error) {
	v, err := cdn.NewVerifier(cdn.VerifierConfig{BaseURL: store.CDNBase(), Bucket: store.Bucket, Keys: []cdn.Key{store.CDNKey}, Clock: store.Clock})
	return &cdnDialect{v, bucket}, err
}

func (d *cdnDialect) addressed(r *http.Request) bool { return strings.EqualFold(r.Host, cdnHost) }

// unsigned: the CDN lets such a request through, and the bucket refuses it.
func (d *cdnDialect) unsigned(w http.ResponseWriter, r *http.Request, err error) error {
	return err
}

func (d *cdnDialect) serve(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	requestID(w, d.bucket.requestID)
	if err := d.bucket.store.place(g); err != nil {
		return err
	}
	// A prefix or a cookie signs no parameters, and allows any. None is known here.
	for name := range r.URL.Query() {
		if g.Prefix != "" && !slices.Contains([]string{"URLPrefix", "Expires", "KeyName", "Signature"}, name) {
			return notImplemented{param: name}
		}
	}
	w.Header().Set("Via", "1.1 google")
	overrides := []string{"response-content-disposition", "response-content-type"}
	return perform([]operation{
		{do: d.bucket.get, method: "GET", params: overrides},
		{do: d.bucket.get, method: "HEAD", params: overrides},
	}, nil, w, r, g)
}

func (d *cdnDialect) refuse(w http.ResponseWriter, r *http.Request, err error, trace *signer.Trace) {
	if e := refusal(err); e == nil || errors.Is(err, signer.ErrUnsigned) {
		d.bucket.refuse(w, r, err, trace)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusForbidden)
	io.WriteString(w, "Forbidden\n")
}
