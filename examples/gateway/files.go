package main

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/cloudsigner/cloudsigner/signer"
)

// files serves what a grant allows from a directory. It acts on the grant, which was decoded once from the bytes that were
// verified, and on nothing else that the request says of the object.
type files struct {
	root *os.Root // of the buckets
	log  *slog.Logger
}

func (f files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g := signer.GrantFrom(r.Context())
	status, err := f.serve(w, r, g)
	if err != nil {
		http.Error(w, http.StatusText(status), status)
	}
	f.log.Info("served", "status", status, "method", r.Method, "bucket", g.Bucket, "key", g.Key,
		"scheme", g.Scheme, "keyID", g.KeyID, "signature", g.Fingerprint, "until", g.ExpiresAt, "error", err)
}

// errNotHere is for what can be signed, and is no file's business: lists, copies, multipart uploads.
var errNotHere = errors.New("this gateway gets, puts and deletes one object")

// serve does what is allowed. With an error nothing was written to w.
func (f files) serve(w http.ResponseWriter, r *http.Request, g *signer.Grant) (status int, err error) {
	if err := f.plain(w, r, g); err != nil {
		return http.StatusNotImplemented, err
	}
	// A key is a name and may be anything; a file's name is not. This keeps ".." from leading out of a bucket, and the root
	// keeps links from leading out of the directory.
	if !fs.ValidPath(g.Bucket) || strings.Contains(g.Bucket, "/") || !fs.ValidPath(g.Key) || strings.Contains(g.Key, `\`) {
		return http.StatusNotFound, errors.New("no file can have this name")
	}
	name := g.Bucket + "/" + g.Key
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		err = f.get(w, r, name)
		status = http.StatusOK
	case http.MethodPut:
		err = f.put(r.Body, name)
		if status = http.StatusOK; g.Backend == "azure" {
			status = http.StatusCreated
		}
	case http.MethodDelete:
		err = f.remove(name)
		status = http.StatusNoContent
	default:
		return http.StatusMethodNotAllowed, errNotHere
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return http.StatusNotFound, err
	case errors.Is(err, signer.ErrMismatch), errors.Is(err, signer.ErrMalformed):
		return http.StatusBadRequest, err
	case err != nil:
		return http.StatusInternalServerError, err
	}
	if r.Method == http.MethodPut || r.Method == http.MethodDelete {
		w.WriteHeader(status)
	}
	return status, nil
}

// plain refuses requests that mean more than their method, and does what a signed URL says about the answer's headers.
func (f files) plain(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	for name := range r.Header {
		if strings.Contains(name, "-Copy-Source") || strings.Contains(name, "-Rename-Source") {
			return errNotHere
		}
	}
	for name := range g.Query {
		switch name {
		case "response-content-type", "response-content-disposition", "response-cache-control", "response-content-encoding",
			"response-content-language", "response-expires", "rscc", "rscd", "rsce", "rscl", "rsct": // they are in g.Response
		case "x-id": // AWS's SDKs repeat the operation's name in it
		default:
			return errNotHere
		}
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	g.Response.Apply(w.Header())
	return nil
}

func (f files) get(w http.ResponseWriter, r *http.Request, name string) error {
	info, err := f.root.Stat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // a directory, or a pipe that nobody writes to
		return fs.ErrNotExist
	}
	file, err := f.root.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	http.ServeContent(w, r, name, info.ModTime(), file)
	return nil
}

// put replaces a file once the whole body has come, and is the one that was signed.
func (f files) put(body io.Reader, name string) (err error) {
	bucket, _, _ := strings.Cut(name, "/")
	if _, err := f.root.Stat(bucket); err != nil {
		return err // buckets are not made by uploading
	}
	incoming := ".incoming-" + rand.Text() // beside the buckets, where no request reaches
	file, err := f.root.OpenFile(incoming, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, body)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = f.root.MkdirAll(path.Dir(name), 0o700)
	}
	if err == nil {
		err = f.root.Rename(incoming, name)
	}
	if err != nil {
		err = errors.Join(err, f.root.Remove(incoming))
	}
	return err
}

func (f files) remove(name string) error {
	info, err := f.root.Lstat(name)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fs.ErrNotExist
	}
	return f.root.Remove(name)
}
