package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// The four interfaces are those of services that many run. What they share is storage; each of them is a few lines.

// A mediaStore is what a media server asks for a link.
type mediaStore interface {
	GeneratePresignedUrl(path string, duration time.Duration) (string, error)
}

// A redirecter is what a container registry asks where to send a client. "" means that the registry answers itself.
type redirecter interface {
	RedirectURL(r *http.Request, path string) (string, error)
}

// A linker is what a git forge asks for a link under which a file is saved by its name.
type linker interface {
	URL(path, name, method string, params url.Values) (*url.URL, error)
}

// A lakeStore is what a data lake asks for a link, and for its end.
type lakeStore interface {
	GetPreSignedURL(ctx context.Context, obj objectPointer, mode preSignMode, filename string) (string, time.Time, error)
}

// An objectPointer names an object of the lake: s3://bucket/prefix, and what follows it.
type objectPointer struct{ StorageNamespace, Identifier string }

type preSignMode int

const (
	modeRead preSignMode = iota
	modeWrite
)

// errNoURL is the answer of a linker and of a lakeStore that has no link for what is asked.
var errNoURL = errors.New("there is no presigned URL for this")

var (
	_ mediaStore = (*storage)(nil)
	_ redirecter = (*storage)(nil)
	_ linker     = (*storage)(nil)
	_ lakeStore  = (*storage)(nil)
)

// storage implements all four, for every provider.
type storage struct {
	public signer.Signer // signs for the name by which clients reach the provider
	bucket string
	life   time.Duration // of links where nobody says
}

// GeneratePresignedUrl implements mediaStore.
func (s *storage) GeneratePresignedUrl(path string, duration time.Duration) (string, error) {
	p, err := s.presign(context.Background(), signer.Request{Key: key(path), Expires: duration})
	if err != nil {
		return "", err
	}
	return p.URL, nil
}

// RedirectURL implements redirecter. Registries ask for blobs by HEAD before they fetch them: most schemes sign the method.
func (s *storage) RedirectURL(r *http.Request, path string) (string, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return "", nil
	}
	p, err := s.presign(r.Context(), signer.Request{Method: r.Method, Key: key(path), Expires: s.life})
	if errors.Is(err, signer.ErrUnsupported) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return p.URL, nil
}

// URL implements linker. name may be in any script, and hold emoji.
func (s *storage) URL(path, name, method string, params url.Values) (*url.URL, error) {
	r := signer.Request{Method: method, Key: key(path), Expires: s.life}
	if name != "" {
		r.Response.ContentDisposition = signer.Attachment(name)
	}
	for param, values := range params {
		if err := setParam(&r, param, values); err != nil {
			return nil, err
		}
	}
	p, err := s.presign(context.Background(), r)
	if errors.Is(err, signer.ErrUnsupported) {
		return nil, errors.Join(errNoURL, err)
	}
	if err != nil {
		return nil, err
	}
	return url.Parse(p.URL)
}

// setParam translates a parameter as S3 spells it: each provider has other names for the headers of the answer.
func setParam(r *signer.Request, param string, values []string) error {
	target := map[string]*string{
		"response-content-type":        &r.Response.ContentType,
		"response-content-disposition": &r.Response.ContentDisposition,
		"response-cache-control":       &r.Response.CacheControl,
		"response-content-encoding":    &r.Response.ContentEncoding,
		"response-content-language":    &r.Response.ContentLanguage,
	}[strings.ToLower(param)]
	switch {
	case target == nil && r.Query == nil:
		r.Query = url.Values{param: values}
	case target == nil:
		r.Query[param] = values
	case len(values) != 1:
		return fmt.Errorf("%s is there %d times", param, len(values))
	default:
		*target = values[0]
	}
	return nil
}

// GetPreSignedURL implements lakeStore. The end is the true one: credentials that die earlier than asked for cut it short
// (AllowShorter), and then the lake's clients know. They send X-Ms-Blob-Type to Azure of themselves, as any client of theirs must.
func (s *storage) GetPreSignedURL(ctx context.Context, obj objectPointer, mode preSignMode, filename string) (string, time.Time, error) {
	namespace, err := url.Parse(obj.StorageNamespace)
	if err != nil || namespace.Host == "" {
		return "", time.Time{}, fmt.Errorf("the storage namespace %q is not SCHEME://BUCKET/PREFIX", obj.StorageNamespace)
	}
	if namespace.Host != s.bucket {
		return "", time.Time{}, fmt.Errorf("the bucket %q is not the one that links are signed for, %q", namespace.Host, s.bucket)
	}
	r := signer.Request{Key: key(strings.TrimSuffix(namespace.Path, "/") + "/" + obj.Identifier), Expires: s.life, AllowShorter: true}
	switch mode {
	case modeRead:
		if filename != "" {
			r.Response.ContentDisposition = signer.Attachment(filename)
		}
	case modeWrite:
		r.Method = http.MethodPut
	}
	p, err := s.presign(ctx, r)
	if errors.Is(err, signer.ErrUnsupported) {
		return "", time.Time{}, errors.Join(errNoURL, err)
	}
	if err != nil {
		return "", time.Time{}, err
	}
	return p.URL, p.ExpiresAt, nil
}

// presign is where a service would count, log, or restrict.
func (s *storage) presign(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
	r.Method = cmp.Or(r.Method, http.MethodGet)
	return s.public.Presign(ctx, r)
}

// key is the name of an object for a path, which may begin with a slash as paths do.
func key(path string) string { return strings.TrimPrefix(path, "/") }
