package storefake

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/wire"
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

// A formDialect is a dialect that takes forms.
type formDialect interface {
	dialect

	// signatureField reports whether a field, its name in lower case, is one of the provider's signature.
	signatureField(name string) bool

	// post does what a form may. If it returns an error, it has written nothing.
	post(w http.ResponseWriter, r *http.Request, f *form) error
}

// post does what a form may: it has its signature in its fields, whose names tell whose it is. Without such a name it is for the
// dialect that the request is addressed to.
func (s *Store) post(w http.ResponseWriter, r *http.Request, addressed dialect) (dialect, error) {
	f, err := readForm(r)
	if err != nil {
		return addressed, err
	}
	for _, d := range s.dialects {
		signs := func(field signer.Field) bool { return d.(formDialect).signatureField(strings.ToLower(field.Name)) }
		if _, ok := d.(formDialect); ok && slices.ContainsFunc(f.fields, signs) {
			addressed = d
			break
		}
	}
	d, ok := addressed.(formDialect)
	if !ok {
		return addressed, notImplemented{message: "There are no form uploads here; presign a PUT."}
	}
	if err = d.post(w, r, f); refusal(err) != nil && !errors.As(err, new(otherSize)) {
		err = refusedForm{err, f}
	}
	return d, err
}

// A refusedForm is why a form was refused for its signature or its policy.
type refusedForm struct {
	error
	form *form
}

func (e refusedForm) Unwrap() error { return e.error }

// field is a field of the form, for the elements of errors. It decides nothing.
func (f *form) field(name string) string {
	for _, field := range f.fields {
		if strings.EqualFold(field.Name, name) {
			return field.Value
		}
	}
	return ""
}

// postObject stores the file of a form that v lets pass.
func (a *xmlAPI) postObject(w http.ResponseWriter, r *http.Request, v signer.PostVerifier, f *form) error {
	bucket, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case rest != "":
		return errNoMethod
	case r.URL.RawQuery != "":
		return notImplemented{param: "a query"}
	case r.ContentLength < 0:
		return errLength
	case r.ContentLength > a.store.maxObject+maxFields:
		return tooLarge{r.ContentLength, a.store.maxObject}
	}
	g, err := v.VerifyPost(r.Context(), signer.Post{Bucket: bucket, Fields: f.fields, FileName: f.filename})
	if err != nil {
		return err
	}
	if err := a.store.place(&g.Grant); err != nil {
		return err
	}
	for _, field := range f.fields {
		if !a.knows(strings.ToLower(field.Name)) {
			return notImplemented{header: field.Name}
		}
	}
	if first := g.Header.Get(ossType); first != "" && a.knows(ossType) {
		g.Header.Set("Content-Type", first)
		g.Header.Del(ossType)
	}
	header, err := a.storedHeader(g.Header)
	if err != nil {
		return err
	}
	release, err := a.store.objects.reserve(r.ContentLength) // the file is smaller
	if err != nil {
		return err
	}
	data, err := a.readFile(g, f.file)
	release()
	if err != nil {
		return err
	}
	if release, err = a.store.objects.reserve(data.Size()); err != nil {
		return err
	}
	obj := newObject(g.Key, data, header, a.store.Clock.Now())
	if err := a.store.save(obj, condition{}, release); err != nil {
		return err
	}
	a.receipt(w.Header(), r, data)
	a.posted(w, r, g, obj)
	return nil
}

// ossType is the field that goes before Content-Type at OSS.
const ossType = "x-oss-content-type"

// knows reports whether a field of a form is one that the store does something about, as it says.
func (a *xmlAPI) knows(name string) bool {
	switch name {
	case "key", "bucket", "policy", "success_action_redirect", "success_action_status",
		"content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires":
		return true
	case ossType:
		return a.vendor == "x-oss-"
	}
	return a.signatureField(name) || strings.HasPrefix(name, a.vendor+"meta-") || strings.HasPrefix(name, "x-ignore-")
}

// signatureField reports whether a field is one of the signature.
func (a *xmlAPI) signatureField(name string) bool {
	what, ok := strings.CutPrefix(name, a.vendor)
	return ok && slices.Contains([]string{"algorithm", "credential", "date", "security-token", "signature", "signature-version"}, what)
}

// readFile reads the file of a form, as far as its policy and the store allow.
func (a *xmlAPI) readFile(g *signer.PostGrant, file io.Reader) (content, error) {
	read := &counted{Reader: io.LimitReader(file, 2*a.store.maxObject)}
	data, err := a.store.keep(g.Body(io.NopCloser(io.LimitReader(read, a.store.maxObject+1))))
	switch {
	case errors.Is(err, signer.ErrPolicy):
		io.Copy(io.Discard, read) // for its size
		return nil, otherSize{err, read.size, g.MinBytes, g.MaxBytes}
	case err != nil:
		return nil, errForm
	case data.Size() > a.store.maxObject:
		return nil, tooLarge{read.size, a.store.maxObject}
	}
	return data, nil
}

// counted counts what is read.
type counted struct {
	io.Reader
	size int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.size += int64(n)
	return n, err
}

// otherSize refuses a file whose size the policy does not allow.
type otherSize struct {
	error
	size, least, most int64
}

func (e otherSize) Unwrap() error { return e.error }

func (e otherSize) code() string { return refusal(e).Code }

// over says whether there was too much of it.
func (e otherSize) over() bool { return e.size >= e.least }

// A postAnswer is what a form is answered that asks for 201.
type postAnswer struct {
	XMLName  xml.Name `xml:"PostResponse"`
	Location string
	Bucket   string
	Key      string
	ETag     string
}

// posted answers a form as it asked: with a redirect to a page, or with a status. What cannot be done is passed over.
func (a *xmlAPI) posted(w http.ResponseWriter, r *http.Request, g *signer.PostGrant, obj *object) {
	w.Header().Set("ETag", obj.etag)
	if page, err := url.Parse(g.Header.Get("success_action_redirect")); err == nil && page.Host != "" && (page.Scheme == "http" || page.Scheme == "https") {
		q := page.Query()
		q.Set("bucket", g.Bucket)
		q.Set("key", g.Key)
		q.Set("etag", obj.etag)
		page.RawQuery = q.Encode()
		w.Header().Set("Location", page.String())
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	at := "http://" + r.Host + "/" + g.Bucket + "/" + string(wire.AppendEscapePath(nil, g.Key))
	w.Header().Set("Location", at)
	switch g.Header.Get("success_action_status") {
	case "200":
		w.WriteHeader(http.StatusOK)
	case "201":
		writeXML(w, http.StatusCreated, postAnswer{Location: at, Bucket: g.Bucket, Key: g.Key, ETag: obj.etag})
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
