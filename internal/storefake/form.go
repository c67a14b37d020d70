package storefake

import (
	"errors"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/cloudsigner/cloudsigner/signer"
)

// What can go wrong with a form before its policy is looked at.
var (
	errForm       = errors.New("the body is no multipart/form-data")
	errFormFields = errors.New("the fields in front of the file are too large")
	errFormFile   = errors.New("the form has no file")
)

const maxFields = 20 << 10 // bytes of a form in front of its file

// A form is an upload from a page: fields, which hold the signed policy, and behind them the file.
type form struct {
	fields   []signer.Field // as they came
	file     io.Reader
	filename string
}

// isForm reports whether the body is a form, whatever it holds.
func isForm(r *http.Request) bool {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return r.Method == http.MethodPost && media == "multipart/form-data"
}

// readForm reads a form up to the bytes of its file. What stands behind the file is not read: nothing there counts.
func readForm(r *http.Request) (*form, error) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		return nil, errForm
	}
	const ahead = 4 << 10 // what package multipart reads before it is needed
	body := &io.LimitedReader{R: r.Body, N: maxFields + ahead}
	parts := multipart.NewReader(body, params["boundary"])
	wrong := func(err error) error {
		switch {
		case body.N <= 0:
			return errFormFields
		case err == io.EOF:
			return errFormFile
		}
		return errForm
	}
	f := new(form)
	for {
		part, err := parts.NextRawPart()
		if err != nil {
			return nil, wrong(err)
		}
		if strings.EqualFold(part.FormName(), "file") {
			body.N = math.MaxInt64
			f.file, f.filename = part, part.FileName()
			return f, nil
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, wrong(err)
		}
		f.fields = append(f.fields, signer.Field{Name: part.FormName(), Value: string(value)})
	}
}

// formOr reads a form, whose policy the store cannot judge yet; what is none is err.
func formOr(r *http.Request, err error) error {
	if !isForm(r) {
		return err
	}
	if _, err := readForm(r); err != nil {
		return err
	}
	return notImplemented{message: "This store does not take form uploads yet; presign a PUT."}
}
