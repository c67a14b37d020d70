package upload

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/refusal"
	"github.com/cloudsigner/cloudsigner/signer"
)

// ErrRefused means that the store answered a step with an error. The *signer.Error has the store's code: NoSuchUpload, say, for an
// upload that was completed or aborted.
var ErrRefused = errors.New("refused by the store")

// A Step is a small request of an upload, and how its answer is read. A server can Do it. It can also hand Request and Body on and
// Read the answer that it gets back; they carry a signature, or a session, which does not belong in a log.
type Step[T any] struct {
	Request *signer.Presigned `json:"request"`        // nil if nothing is to be sent
	Body    string            `json:"body,omitempty"` // to send with it, without a Content-Type

	op   pipeline.Op
	read func(pipeline.Op, *answer) (T, error)
}

// Do sends the request and reads its answer. A nil client is http.DefaultClient. Redirects are not followed: what was signed is for one
// host. Errors are *signer.Error values; they wrap ErrRefused, signer.ErrMalformed for an answer that is none, or what the client
// says, with the secrets of the URL redacted.
func (s *Step[T]) Do(ctx context.Context, client *http.Client) (result T, err error) {
	if s.Request == nil {
		return s.read(s.op, nil)
	}
	req, err := s.Request.NewRequest(ctx, strings.NewReader(s.Body))
	if err != nil {
		return result, err
	}
	if client == nil {
		client = http.DefaultClient
	}
	once := *client
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := once.Do(req)
	if err != nil {
		return result, &signer.Error{Backend: s.op.Backend, Op: s.op.Name, Err: signer.RedactError(err)}
	}
	defer resp.Body.Close()
	return s.Read(resp)
}

// maxAnswer is how much of an answer is read: the longest is a list of 50,000 blocks.
const maxAnswer = 16 << 20

// Read reads an answer to the request. It does not close the body.
func (s *Step[T]) Read(resp *http.Response) (result T, err error) {
	if s.Request == nil {
		return s.read(s.op, nil)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return result, &signer.Error{Backend: s.op.Backend, Op: s.op.Name, Err: fmt.Errorf("the answer broke off: %w", signer.RedactError(err))}
	}
	if len(body) > maxAnswer {
		return result, s.op.Errorf(signer.ErrMalformed, "", "the answer has more than %d bytes", maxAnswer)
	}
	// Azure sends a byte order mark, and S3 blanks while it is at work.
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	return s.read(s.op, &answer{resp.StatusCode, resp.Header, body})
}

// An answer is what a store said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) ok() bool { return a.status >= 200 && a.status < 300 }

// refused is the error of an answer that is none of those that were hoped for.
func (a *answer) refused(op pipeline.Op) error {
	r := refusal.Parse(a.body)
	code := r.Code
	if code == "" {
		code = a.header.Get("X-Ms-Error-Code")
	}
	code = pipeline.Word(code)
	what := strconv.Itoa(a.status)
	if code != "" {
		what += " " + code
	}
	why := ""
	switch {
	case code == "InvalidBlockList":
		why = "; a block of the list is not there, or not any more: it was not sent in this session, or the upload is complete already"
	case code == "NoSuchUpload" || a.status == http.StatusGone || a.status == http.StatusNotFound && code == "":
		why = "; there is no such upload, or not any more: it was completed, aborted, or is too old"
	case a.status >= 500 || code == "InternalError" || code == "SlowDown":
		why = "; try again"
	case a.status >= 300 && a.status < 400:
		why = "; it sends us elsewhere: check the signer's region and endpoint"
	}
	return op.Refusal(ErrRefused, "", code, "%s%s", what, why)
}

// document reads a good answer that must be an XML document of this name. S3 has said 200 before it knows whether it can do what
// it was asked for, so that the document may be an Error.
func (a *answer) document(op pipeline.Op, name string, v any) error {
	if !a.ok() {
		return a.refused(op)
	}
	d := xml.NewDecoder(bytes.NewReader(a.body))
	for {
		token, err := d.Token()
		if err != nil {
			return op.Errorf(signer.ErrMalformed, "", "status %d, and no document %s", a.status, name)
		}
		root, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if root.Name.Local == "Error" {
			return a.refused(op)
		}
		if root.Name.Local != name {
			return op.Errorf(signer.ErrMalformed, "", "status %d, and a document %s, not %s", a.status, pipeline.Shown(root.Name.Local), name)
		}
		if err := d.DecodeElement(v, &root); err != nil {
			return op.Errorf(signer.ErrMalformed, "", "the document %s cannot be read", name)
		}
		return nil
	}
}

// readUploadID reads the answer to ?uploads.
func readUploadID(op pipeline.Op, a *answer) (none signer.Secret, err error) {
	var doc struct{ UploadId string }
	if err := a.document(op, "InitiateMultipartUploadResult", &doc); err != nil {
		return none, err
	}
	if !printable(doc.UploadId) {
		return none, op.Errorf(signer.ErrMalformed, "UploadId", "it is empty, or holds a character that is not printable ASCII")
	}
	return signer.NewSecret([]byte(doc.UploadId)), nil
}

// readSessionURL reads where Cloud Storage wants the chunks: who asks there what has arrived, asks what the answer says. One that a page
// or another store made must not lead into the network behind us, nor a secret onto http.
func readSessionURL(op pipeline.Op, a *answer, asked string) (none signer.Secret, err error) {
	if !a.ok() {
		return none, a.refused(op)
	}
	session := a.header.Get("Location")
	if problem := checkSessionURL(session); problem != "" {
		return none, op.Errorf(signer.ErrMalformed, "Location", "%s", problem)
	}
	if !sameStore(asked, session) {
		return none, op.Errorf(signer.ErrMalformed, "Location", "it is elsewhere: neither at the host that was asked nor at Google's, or http after https")
	}
	return signer.NewSecret([]byte(session)), nil
}

// sameStore reports whether a session is of the store that was asked: at its host, with the bucket in front of it or without, or at
// a host of Google's.
func sameStore(asked, session string) bool {
	from, err1 := url.Parse(asked)
	to, err2 := url.Parse(session)
	if err1 != nil || err2 != nil || to.Scheme != "https" && from.Scheme == "https" {
		return false
	}
	was, is := "."+strings.ToLower(from.Host), "."+strings.ToLower(to.Host)
	return strings.HasSuffix(was, is) || strings.HasSuffix(is, was) || to.Scheme == "https" && strings.HasSuffix(is, ".googleapis.com")
}

// checkSessionURL says what is wrong with a session's URL.
func checkSessionURL(session string) string {
	u, err := url.Parse(session)
	switch {
	case !printable(session) || strings.Contains(session, " "):
		return "it is empty, or holds a character that no URL holds"
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Fragment != "":
		return "it is no URL of a session"
	}
	return ""
}

// A Listing is one page of the parts that a store has.
type Listing struct {
	Parts []Part // in ascending order
	Next  int    // where the next page begins: what List takes for after; 0 at the end
}

// readPartList reads ListParts.
func readPartList(op pipeline.Op, a *answer, after int) (Listing, error) {
	var doc struct {
		IsTruncated          bool
		NextPartNumberMarker int
		Part                 []struct {
			PartNumber int
			Size       int64
			ETag       string
		}
	}
	if err := a.document(op, "ListPartsResult", &doc); err != nil {
		return Listing{}, err
	}
	var l Listing
	last := after
	for _, p := range doc.Part {
		if p.PartNumber <= last || p.Size < 0 || !printable(p.ETag) {
			return Listing{}, op.Errorf(signer.ErrMalformed, "Part", "the list does not ascend, or a part has no size or ETag")
		}
		last = p.PartNumber
		l.Parts = append(l.Parts, Part{p.PartNumber, p.Size, p.ETag})
	}
	if doc.IsTruncated {
		if len(doc.Part) == 0 || doc.NextPartNumberMarker < last {
			return Listing{}, op.Errorf(signer.ErrMalformed, "NextPartNumberMarker", "the list goes on where it has been")
		}
		l.Next = doc.NextPartNumberMarker
	}
	return l, nil
}

// readBlockList reads Get Block List. As long as there is no block, there is no blob.
func readBlockList(op pipeline.Op, a *answer, session signer.Secret) (Listing, error) {
	if a.status == http.StatusNotFound && refusal.Parse(a.body).Code == "BlobNotFound" {
		return Listing{}, nil
	}
	var doc struct {
		UncommittedBlocks struct {
			Block []struct {
				Name string
				Size int64
			}
		}
	}
	if err := a.document(op, "BlockList", &doc); err != nil {
		return Listing{}, err
	}
	sizes := make(map[int]int64)
	most := 0
	for _, b := range doc.UncommittedBlocks.Block {
		if n := blockNumber(session, strings.TrimSpace(b.Name)); n > 0 {
			sizes[n] = b.Size
			most = max(most, n)
		}
	}
	var l Listing
	for n := 1; n <= most; n++ {
		if size, ok := sizes[n]; ok {
			l.Parts = append(l.Parts, Part{Number: n, Size: size})
		}
	}
	return l, nil
}

// received reads how many bytes a session of Cloud Storage has.
func (u *Upload) received(op pipeline.Op, a *answer) (int64, error) {
	switch {
	case a.ok():
		return u.plan.Size, nil
	case a.status != http.StatusPermanentRedirect: // "Resume Incomplete"
		return 0, a.refused(op)
	case a.header.Get("Range") == "":
		return 0, nil
	}
	last, ok := strings.CutPrefix(a.header.Get("Range"), "bytes=0-")
	n, err := strconv.ParseUint(last, 10, 63)
	if !ok || err != nil || int64(n) >= u.plan.Size {
		return 0, op.Errorf(signer.ErrMalformed, "Range", "it does not say how many of %d bytes are there", u.plan.Size)
	}
	return int64(n) + 1, nil
}

// readReceived reads which chunks are there. Of one that is there in part, Cloud Storage passes over the bytes that it has when it
// is sent again.
func (u *Upload) readReceived(op pipeline.Op, a *answer) (l Listing, err error) {
	have, err := u.received(op, a)
	for n := 1; n <= u.plan.Parts; n++ {
		offset, length := u.plan.Range(n)
		if offset+length > have {
			break
		}
		l.Parts = append(l.Parts, Part{Number: n, Size: length})
	}
	return l, err
}

// readReceivedAll is the answer of a session that is at its end.
func (u *Upload) readReceivedAll(op pipeline.Op, a *answer) (etag string, err error) {
	have, err := u.received(op, a)
	if err == nil && !a.ok() {
		err = op.Errorf(ErrRefused, "", "%d of %d bytes are there; send the others", have, u.plan.Size)
	}
	return a.header.Get("ETag"), err
}

// readCompleted reads the answer to the list of parts.
func readCompleted(op pipeline.Op, a *answer) (etag string, err error) {
	var doc struct{ ETag string }
	if err := a.document(op, "CompleteMultipartUploadResult", &doc); err != nil {
		return "", err
	}
	return doc.ETag, nil
}

// readCommitted reads the answer to the list of blocks.
func readCommitted(op pipeline.Op, a *answer) (etag string, err error) {
	if !a.ok() {
		return "", a.refused(op)
	}
	return a.header.Get("ETag"), nil
}

// readAborted reads the answer to DELETE. 499 is what Cloud Storage says of a session that was cancelled.
func readAborted(op pipeline.Op, a *answer) (none struct{}, err error) {
	if !a.ok() && a.status != 499 {
		err = a.refused(op)
	}
	return none, err
}
