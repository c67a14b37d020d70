// Package upload hands a browser, or any other holder of URLs, all that it needs to upload a large object in parts: the multipart
// uploads of S3, OSS and Cloud Storage, Cloud Storage's resumable uploads, and the blocks of Azure, as one thing.
//
//	u, err := upload.New(upload.Config{Signer: s, Protocol: upload.S3, Key: "film.mp4", Size: size, Expires: 15 * time.Minute})
//	start, err := u.Start(ctx)
//	session, err := start.Do(ctx, nil)      // keep it: with it an upload goes on after a crash, or a reload of the page
//	plan := u.Plan()                        // for the page, as JSON: how to cut the file
//	p, err := u.Part(ctx, session, n, nil)  // for the page, as JSON: the request that takes part n
//	parts, err := u.Stored(ctx, nil, session)
//	complete, err := u.Complete(ctx, session, parts)
//	etag, err := complete.Do(ctx, nil)
//
// The page sends parts, and nothing of them passes through the server. A part's URL is signed when it is asked for, so that it
// need not live as long as the upload does: a page that is refused with 403 (400 by Cloud Storage) asks for the part again. The
// other requests are small. A Step is one of them, which the server can Do, or hand on as it stands.
//
// # What is held to what
//
// A part's URL does not limit how many bytes its holder sends. Complete does: it wants every part of the plan, in its size, and
// Stored tells the sizes that the store has, so that what a page says of them need not be believed. What is not completed costs
// money at S3, OSS and GCSMultipart until it is aborted: have a lifecycle rule that does so.
//
// # Within limits
//
// Around the Signer of an upload, the Limits of signer.Restrict must have room for its requests, and no Headers, which parts and
// Complete do not send. For S3 these are GET, PUT, POST and DELETE, with uploads, partNumber, uploadId and part-number-marker in
// Params; for Azure GET and PUT, with comp, blockid and blocklisttype.
//
// # Pages of another origin
//
// The store must allow the page's origin, with PUT and the headers of the Part. It need not expose ETag: Stored has them. Cloud
// Storage lets that origin use a session which the session's start named: set Config.Origin.
package upload

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Config is one object that is to be uploaded. Signer, Protocol, Key, Size and Expires are required.
type Config struct {
	Signer   signer.Signer // of the backend that goes with Protocol, or a wrapper of it
	Protocol Protocol

	Bucket, Key string // as in signer.Request
	Size        int64  // bytes, at least 1

	// PartSize is the size of each part but the last, in bytes, within what Protocol takes; 0 means 8 MiB, or more where there would be
	// too many parts.
	PartSize int64

	// Header is kept with the object: Content-Type, Cache-Control, Content-Disposition, Content-Encoding, Content-Language, and the
	// provider's own, x-amz-meta-name perhaps. Azure's x-ms-blob-content-type and the like are made of the standard ones.
	Header http.Header

	// Origin is that of the page which will send the parts, "https://app.example.com", if it is another than the store's. GCS needs it.
	Origin string

	// Expires is the least time that each URL works, as in signer.Request. AllowShorter lets it die with its credentials.
	Expires      time.Duration
	AllowShorter bool

	// Version is the service version that Azure's Signer signs for, sv in its URLs, which decides how large a block may be: 4000 MiB
	// from 2019-12-12 on, 100 MiB from 2016-05-31 on, 4 MiB before. "" means a version of the first kind.
	Version string
}

// An Upload signs the requests of one upload. It holds no state of it, and is safe for concurrent use.
//
// What all requests but the first need is the session that Start's answer brought: the upload id, the resumable session's URL, or what
// our blocks' names begin with. It is a signer.Secret, because Cloud Storage's lets everybody upload who has it. To keep it, store what
// its Reveal returns, and make it again with signer.NewSecret: as JSON or text it is "[secret]". Keep it where nobody else
// writes: the steps of an upload to Cloud Storage go wherever its URL says.
type Upload struct {
	c    Config
	plan Plan
}

// New plans an upload. It reports all that is wrong with c, joined; errors wrap signer.ErrRequest.
func New(c Config) (*Upload, error) {
	op := opOf("new")
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, op.Errorf(signer.ErrRequest, field, format, args...))
	}
	if c.Signer == nil {
		bad("Signer", "it is nil")
	}
	if c.Key == "" {
		bad("Key", "it is empty; name the object")
	}
	if c.Expires <= 0 {
		bad("Expires", "%v is no life for a URL; let each part have enough time to be sent", c.Expires)
	}
	if o, err := url.Parse(c.Origin); c.Origin != "" && (err != nil || o.Host == "" || o.Scheme+"://"+o.Host != c.Origin) {
		bad("Origin", "it is no origin; https://app.example.com is one")
	}
	errs = append(errs, checkHeader(op, c.Header))
	var err error
	u := &Upload{c: c}
	if c.Protocol < S3 || c.Protocol > Azure {
		bad("Protocol", "%d is no protocol; take S3, OSS, GCS, GCSMultipart or Azure", int(c.Protocol))
	} else if u.plan, err = newPlan(op, c.Protocol, c.Version, c.Size, c.PartSize); err != nil {
		errs = append(errs, err)
	} else if capable, ok := signer.As[signer.Capable](c.Signer); ok {
		if backend := capable.Capabilities().Backend; backend != "" && !c.Protocol.signedBy(backend) {
			bad("Protocol", "%v, and the Signer is one of package %s; give the protocol of its provider", c.Protocol, backend)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	u.c.Header = c.Header.Clone()
	return u, nil
}

// checkHeader refuses what cannot be kept with an object, or belongs to one request of the upload.
func checkHeader(op pipeline.Op, h http.Header) error {
	errs := []error{pipeline.CheckRequest(op, &signer.Request{Key: "-", Header: h}, http.MethodPut)}
	for name := range h {
		switch strings.ToLower(name) {
		case "content-length", "content-md5", "content-range", "transfer-encoding":
			errs = append(errs, op.Errorf(signer.ErrRequest, "Header", "%s is of one request, and this is kept with the object; leave it out (Part takes a Content-MD5)", name))
		}
	}
	return errors.Join(errs...)
}

func opOf(name string) pipeline.Op { return pipeline.Op{Backend: "upload", Name: name} }

// Plan says how the object is cut.
func (u *Upload) Plan() Plan { return u.plan }

// A Part is a part that the store has.
type Part struct {
	Number int    `json:"number"`
	Size   int64  `json:"size"`
	ETag   string `json:"etag,omitempty"` // as the store writes it; S3, OSS and GCSMultipart want it back
}

// Start returns the request that begins the upload; its answer is the session. Azure needs none: the step's Request is nil, and Do
// makes a session without one.
func (u *Upload) Start(ctx context.Context) (*Step[signer.Secret], error) {
	s := &Step[signer.Secret]{op: opOf("start")}
	r := signer.Request{Method: http.MethodPost, Header: u.c.Header.Clone()}
	switch {
	case u.c.Protocol.multipart():
		r.Query = url.Values{"uploads": {""}}
		s.read = readUploadID
	case u.c.Protocol == GCS:
		if r.Header == nil {
			r.Header = make(http.Header)
		}
		r.Header.Set("X-Goog-Resumable", "start")
		if u.c.Origin != "" {
			r.Header.Set("Origin", u.c.Origin)
		}
		s.read = func(op pipeline.Op, a *answer) (signer.Secret, error) { return readSessionURL(op, a, s.Request.URL) }
	default:
		// A name that is unique keeps the blocks of two uploads of one blob apart; all blocks' names must have one length.
		s.read = func(pipeline.Op, *answer) (signer.Secret, error) {
			return signer.NewSecret([]byte(rand.Text()[:blockPrefix])), nil
		}
		return s, nil
	}
	var err error
	s.Request, err = u.presign(ctx, r)
	return s, err
}

// presign signs a request for the object.
func (u *Upload) presign(ctx context.Context, r signer.Request) (*signer.Presigned, error) {
	r.Bucket, r.Key, r.Expires, r.AllowShorter = u.c.Bucket, u.c.Key, u.c.Expires, u.c.AllowShorter
	r.BestEffort = u.c.Protocol == Azure // a SAS of most versions signs no parameters, and says so in NotEnforced
	p, err := u.c.Signer.Presign(ctx, r)
	if errors.Is(err, signer.ErrUnsupported) {
		err = opOf("presign").Errorf(signer.ErrUnsupported, "Signer", "it cannot sign what an upload to %v needs; is it of that backend? %w", u.c.Protocol, err)
	}
	return p, err
}

// sessionURL is the request that a session of Cloud Storage takes without a signature. It has no ExpiresAt: the session
// lives for a week, and nobody but the store knows since when.
func sessionURL(method string, session signer.Secret, header http.Header, contentRange string) *signer.Presigned {
	p := &signer.Presigned{Method: method, URL: string(session.Reveal()), Header: header.Clone()}
	if contentRange != "" {
		pipeline.SetHeader(&p.Header, "Content-Range", []string{contentRange})
	}
	return p
}

// ready checks the session.
func (u *Upload) ready(op pipeline.Op, session signer.Secret) error {
	switch {
	case session.IsZero():
		return op.Errorf(signer.ErrRequest, "session", "there is none; it is what Start's answer brings")
	case strings.HasPrefix(string(session.Reveal()), "["): // "[secret]", what a Secret prints and encodes
		return op.Errorf(signer.ErrRequest, "session", "it is what a Secret prints instead of itself; store what session.Reveal returns, and make it a Secret again with signer.NewSecret")
	case !session.IsPrintable():
		return op.Errorf(signer.ErrRequest, "session", "it holds a control character or one outside of ASCII; it is not what Start's answer brought")
	case u.c.Protocol == GCS && checkSessionURL(string(session.Reveal())) != "":
		return op.Errorf(signer.ErrRequest, "session", "%s", checkSessionURL(string(session.Reveal())))
	case u.c.Protocol == Azure && session.Len() != blockPrefix:
		return op.Errorf(signer.ErrRequest, "session", "it has %d characters, not %d; it is not what Start brought", session.Len(), blockPrefix)
	}
	return nil
}

// Part presigns the request that takes part n; its body is the part's bytes. It is signed now: ask again when it was refused
// with 403 or 400, or dies before the part can be sent. The answer to a good one has a status of 2xx, or 308 for a part of
// Cloud Storage that others follow. For GCS it is the session's URL, with Content-Range and without ExpiresAt.
//
// header is sent with the part, and signed where the scheme can; nil is none. A Content-MD5 (RFC 1864) makes the store refuse a part that
// was cut short or altered on its way. Give one to stores that you do not know: not all of them see that a connection broke
// off, and a part with zeros for its end has the right size.
func (u *Upload) Part(ctx context.Context, session signer.Secret, n int, header http.Header) (*signer.Presigned, error) {
	op := opOf("part")
	if err := u.ready(op, session); err != nil {
		return nil, err
	}
	offset, length := u.plan.Range(n)
	if length == 0 {
		return nil, op.Errorf(signer.ErrRequest, "n", "there is no part %d; they are numbered from 1 to %d", n, u.plan.Parts)
	}
	switch u.c.Protocol {
	case GCS:
		return sessionURL(http.MethodPut, session, header, fmt.Sprintf("bytes %d-%d/%d", offset, offset+length-1, u.plan.Size)), nil
	case Azure:
		return u.presign(ctx, signer.Request{Method: http.MethodPut, Header: header, Query: url.Values{"comp": {"block"}, "blockid": {blockID(session, n)}}})
	}
	return u.presign(ctx, signer.Request{Method: http.MethodPut, Header: header,
		Query: url.Values{"partNumber": {strconv.Itoa(n)}, "uploadId": {string(session.Reveal())}}})
}

// Block ids are the base64 of names of one length: the session's 24 characters, a hyphen, and the number in five digits.
const blockPrefix = 24

func blockID(session signer.Secret, n int) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(session.Reveal(), "-%05d", n))
}

// blockNumber is the number in a block's id, 0 if the block is not of this session.
func blockNumber(session signer.Secret, id string) int {
	name, err := base64.StdEncoding.DecodeString(id)
	if err != nil || len(name) != blockPrefix+6 {
		return 0
	}
	n, err := strconv.Atoi(string(name[blockPrefix+1:]))
	if err != nil || blockID(session, n) != id {
		return 0
	}
	return n
}

// List returns the request that asks which parts the store has, numbered above after: a page of a listing, whose next one begins
// after Listing.Next. Stored reads all of them.
func (u *Upload) List(ctx context.Context, session signer.Secret, after int) (*Step[Listing], error) {
	s := &Step[Listing]{op: opOf("list")}
	if err := u.ready(s.op, session); err != nil {
		return nil, err
	}
	r := signer.Request{Method: http.MethodGet}
	switch u.c.Protocol {
	case GCS:
		s.Request = sessionURL(http.MethodPut, session, nil, fmt.Sprintf("bytes */%d", u.plan.Size))
		s.read = u.readReceived
		return s, nil
	case Azure:
		r.Query = url.Values{"comp": {"blocklist"}, "blocklisttype": {"uncommitted"}}
		s.read = func(op pipeline.Op, a *answer) (Listing, error) { return readBlockList(op, a, session) }
	default:
		r.Query = url.Values{"uploadId": {string(session.Reveal())}}
		if after > 0 {
			r.Query.Set("part-number-marker", strconv.Itoa(after))
		}
		s.read = func(op pipeline.Op, a *answer) (Listing, error) { return readPartList(op, a, after) }
	}
	var err error
	s.Request, err = u.presign(ctx, r)
	return s, err
}

// Stored asks the store which parts it has, and returns those that are as the plan has them, in ascending order: what is not
// among them is still to be sent. A nil client is http.DefaultClient.
func (u *Upload) Stored(ctx context.Context, client *http.Client, session signer.Secret) ([]Part, error) {
	var parts []Part
	for after := 0; ; {
		step, err := u.List(ctx, session, after)
		if err != nil {
			return nil, err
		}
		page, err := step.Do(ctx, client)
		if err != nil {
			return nil, err
		}
		for _, p := range page.Parts {
			if _, length := u.plan.Range(p.Number); length != 0 && p.Size == length {
				parts = append(parts, p)
			}
		}
		if page.Next == 0 || page.Next >= u.plan.Parts { // what comes behind them is none of ours, however much the store has of it
			return parts, nil
		}
		after = page.Next
	}
}

// Complete returns the request that makes the object of its parts; the answer is the object's ETag. parts must be those of the
// plan, each once and in its size: Stored's, or what a page tells whom you believe. Where the answer is lost, a second request
// may be refused although the object is there: NoSuchUpload at S3, InvalidBlockList at Azure.
func (u *Upload) Complete(ctx context.Context, session signer.Secret, parts []Part) (*Step[string], error) {
	s := &Step[string]{op: opOf("complete"), read: readCompleted}
	if err := u.ready(s.op, session); err != nil {
		return nil, err
	}
	parts = slices.SortedFunc(slices.Values(parts), func(a, b Part) int { return a.Number - b.Number })
	if err := u.check(s.op, parts); err != nil {
		return nil, err
	}
	r := signer.Request{Method: http.MethodPost}
	switch u.c.Protocol {
	case GCS: // which completes with its last chunk; this asks for it
		s.Request = sessionURL(http.MethodPut, session, nil, fmt.Sprintf("bytes */%d", u.plan.Size))
		s.read = u.readReceivedAll
		return s, nil
	case Azure:
		r.Method, r.Query, r.Header = http.MethodPut, url.Values{"comp": {"blocklist"}}, blobHeader(u.c.Header)
		s.Body = blockListBody(session, len(parts))
		s.read = readCommitted
	default:
		r.Query = url.Values{"uploadId": {string(session.Reveal())}}
		s.Body = completeBody(parts)
	}
	var err error
	s.Request, err = u.presign(ctx, r)
	return s, err
}

// check holds sorted parts to the plan.
func (u *Upload) check(op pipeline.Op, parts []Part) error {
	for i, p := range parts {
		_, length := u.plan.Range(p.Number)
		switch {
		case length == 0:
			return op.Errorf(signer.ErrRequest, "parts", "there is no part %d; they are numbered from 1 to %d", p.Number, u.plan.Parts)
		case i > 0 && p.Number == parts[i-1].Number:
			return op.Errorf(signer.ErrRequest, "parts", "part %d is there twice", p.Number)
		case p.Number != i+1:
			return op.Errorf(signer.ErrRequest, "parts", "part %d is missing, or is stored in another size; send it, or abort the upload", i+1)
		case p.Size != length:
			return op.Errorf(signer.ErrRequest, "parts", "part %d has %d bytes, not %d; send it again", p.Number, p.Size, length)
		case u.c.Protocol.multipart() && !printable(p.ETag):
			return op.Errorf(signer.ErrRequest, "parts", "part %d has no ETag, or one with a control character; Stored has them, and so has the header ETag "+
				"of the answer to a part, which a page can read if the store exposes it", p.Number)
		}
	}
	if len(parts) < u.plan.Parts {
		return op.Errorf(signer.ErrRequest, "parts", "part %d is missing, or is stored in another size; send it, or abort the upload", len(parts)+1)
	}
	return nil
}

// printable reports whether s is something, and only of printable ASCII.
func printable(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// completeBody is CompleteMultipartUpload.
func completeBody(parts []Part) string {
	var b strings.Builder
	b.WriteString("<CompleteMultipartUpload>")
	for _, p := range parts {
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>", p.Number)
		xml.EscapeText(&b, []byte(p.ETag))
		b.WriteString("</ETag></Part>")
	}
	b.WriteString("</CompleteMultipartUpload>")
	return b.String()
}

// blockListBody is Put Block List for the blocks of a session.
func blockListBody(session signer.Secret, n int) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="utf-8"?><BlockList>`)
	for i := range n {
		b.WriteString("<Uncommitted>" + blockID(session, i+1) + "</Uncommitted>") // base64 needs no escape
	}
	b.WriteString("</BlockList>")
	return b.String()
}

// blobHeader renames what describes the blob: in Put Block List the standard headers describe the list.
func blobHeader(h http.Header) http.Header {
	out := maps.Clone(h)
	for name, values := range h {
		switch lower := strings.ToLower(name); lower {
		case "content-type", "content-encoding", "content-language", "content-disposition", "cache-control":
			delete(out, name)
			out[http.CanonicalHeaderKey("x-ms-blob-"+lower)] = values
		}
	}
	return out
}

// Abort returns the request that gives the upload up, and its parts. Parts that are under way may still arrive: abort again after
// them. Azure has none, which is ErrUnsupported: its blocks vanish after a week, or when the blob is written.
func (u *Upload) Abort(ctx context.Context, session signer.Secret) (*Step[struct{}], error) {
	s := &Step[struct{}]{op: opOf("abort"), read: readAborted}
	if err := u.ready(s.op, session); err != nil {
		return nil, err
	}
	var err error
	switch u.c.Protocol {
	case GCS:
		s.Request = sessionURL(http.MethodDelete, session, nil, "")
	case Azure:
		return nil, s.op.Errorf(signer.ErrUnsupported, "", "blocks that are not committed cannot be deleted; they vanish after a week")
	default:
		s.Request, err = u.presign(ctx, signer.Request{Method: http.MethodDelete, Query: url.Values{"uploadId": {string(session.Reveal())}}})
	}
	return s, err
}
