package upload_test

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/upload"
)

// The answers here are those that the providers' documentation shows; where they say so, cut by what nobody reads.
const (
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
	initiated = `<?xml version="1.0" encoding="UTF-8"?>
<InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Bucket>example-bucket</Bucket>
  <Key>example-object</Key>
  <UploadId>VXBsb2FkIElEIGZvciA2aWWpbmcncyBteS1tb3ZpZS5tMnRzIHVwbG9hZA</UploadId>
</InitiateMultipartUploadResult>`

	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
	listed = `<?xml version="1.0" encoding="UTF-8"?>
<ListPartsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <PartNumberMarker>1</PartNumberMarker>
  <NextPartNumberMarker>3</NextPartNumberMarker>
  <MaxParts>2</MaxParts>
  <IsTruncated>true</IsTruncated>
  <Part>
    <PartNumber>2</PartNumber>
    <LastModified>2010-11-10T20:48:34.000Z</LastModified>
    <ETag>"7778aef83f66abc1fa1e8477f296d394"</ETag>
    <Size>10485760</Size>
  </Part>
  <Part>
    <PartNumber>3</PartNumber>
    <LastModified>2010-11-10T20:48:33.000Z</LastModified>
    <ETag>"aaaa18db4cc2f85cedef654fccc4a4x8"</ETag>
    <Size>10485760</Size>
  </Part>
</ListPartsResult>`

	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
	completed = `<?xml version="1.0" encoding="UTF-8"?>
<CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
 <Location>http://Example-Bucket.s3.<Region>.amazonaws.com/Example-Object</Location>
 <Bucket>Example-Bucket</Bucket>
 <Key>Example-Object</Key>
 <ETag>"3858f62230ac3c915f300c664312c11f-9"</ETag>
</CompleteMultipartUploadResult>`
	failedLate = `<?xml version="1.0" encoding="UTF-8"?>

<Error>
 <Code>InternalError</Code>
 <Message>We encountered an internal error. Please try again.</Message>
 <RequestId>656c76696e6727732072657175657374</RequestId>
 <HostId>Uuag1LuByRx9e6j5Onimru9pO4ZVKnJ2Qz7/C1NPcfTWAtRPfTaOFg==</HostId>
</Error>`
)

// A said is an answer of a store.
type said struct {
	status int
	header http.Header
	body   string
}

func (s said) response() *http.Response {
	return &http.Response{StatusCode: s.status, Header: s.header, Body: io.NopCloser(strings.NewReader(s.body))}
}

func planned(t testing.TB, protocol upload.Protocol) *upload.Upload {
	u, err := upload.New(upload.Config{Signer: exampleSigner(), Protocol: protocol, Key: "k", Size: 100 << 20, PartSize: 10 << 20, Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// outcome is what an answer was read as: a value or an error.
type outcome struct {
	value any
	err   error
	text  string // of the error
	code  string
}

func read[T any](t testing.TB, step *upload.Step[T], err error, s said) outcome {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	v, err := step.Read(s.response())
	if err == nil {
		return outcome{value: v}
	}
	var e *signer.Error
	if !errors.As(err, &e) || e.Backend != "upload" {
		t.Errorf("no *signer.Error of ours: %v", err)
		e = new(signer.Error)
	}
	return outcome{err: err, text: err.Error(), code: e.Code}
}

func TestStartAnswers(t *testing.T) {
	body := func(s string) said { return said{200, nil, s} }
	location := func(s string) said { return said{201, http.Header{"Location": {s}}, ""} }
	const session = "https://example.storage.googleapis.com/music.mp3?upload_id=tvA0ExBntDa...gAAEnB2Uowrot"
	for _, tt := range []struct {
		name     string
		protocol upload.Protocol
		said     said
		want     string // the session, or
		err      error
		text     string
	}{
		{"S3's", upload.S3, body(initiated), "VXBsb2FkIElEIGZvciA2aWWpbmcncyBteS1tb3ZpZS5tMnRzIHVwbG9hZA", nil, ""},
		{"no id", upload.S3, body("<InitiateMultipartUploadResult><UploadId/></InitiateMultipartUploadResult>"), "", signer.ErrMalformed, "UploadId"},
		{"an id with a line end", upload.S3, body("<InitiateMultipartUploadResult><UploadId>a&#10;b</UploadId></InitiateMultipartUploadResult>"), "", signer.ErrMalformed, "UploadId"},
		{"an id of letters from afar", upload.OSS, body("<InitiateMultipartUploadResult><UploadId>ä</UploadId></InitiateMultipartUploadResult>"), "", signer.ErrMalformed, "UploadId"},
		{"another document", upload.S3, body("<ListPartsResult/>"), "", signer.ErrMalformed, `"ListPartsResult", not Init`},
		{"a page", upload.S3, body("<!doctype html><html><body>sign in</body></html>"), "", signer.ErrMalformed, `"html", not Init`},
		{"nothing", upload.S3, body(""), "", signer.ErrMalformed, "no document"},
		{"half of it", upload.S3, body(initiated[:250]), "", signer.ErrMalformed, "cannot be read"},
		{"a refusal", upload.GCSMultipart, said{403, nil, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>"}, "", upload.ErrRefused, "403 AccessDenied"},
		{"a refusal of nobody's", upload.S3, said{502, nil, "<html>bad gateway</html>"}, "", upload.ErrRefused, "502; try again"},
		{"another region", upload.S3, said{301, nil, "<Error><Code>PermanentRedirect</Code></Error>"}, "", upload.ErrRefused, "301 PermanentRedirect; it sends us elsewhere"},
		{"GCS's", upload.GCS, location(session), session, nil, ""},
		{"GCS's with 200", upload.GCS, said{200, http.Header{"Location": {session}}, ""}, session, nil, ""},
		{"no session", upload.GCS, said{201, nil, ""}, "", signer.ErrMalformed, "Location"},
		{"a relative session", upload.GCS, location("/b/k?upload_id=x"), "", signer.ErrMalformed, "Location"},
		{"a session with a name", upload.GCS, location("https://a@h/"), "", signer.ErrMalformed, "Location"},
		{"a session that is a script", upload.GCS, location("javascript:alert(1)"), "", signer.ErrMalformed, "Location"},
		{"a session within the host that was asked", upload.GCS, location("https://s3.eu-west-1.amazonaws.com/films/k?upload_id=x"), "https://s3.eu-west-1.amazonaws.com/films/k?upload_id=x", nil, ""},
		{"a session at a metadata service", upload.GCS, location("http://169.254.169.254/latest/api/token"), "", signer.ErrMalformed, "elsewhere"},
		{"a session in the clear", upload.GCS, location("http://films.s3.eu-west-1.amazonaws.com/k?upload_id=x"), "", signer.ErrMalformed, "elsewhere"},
		{"a session elsewhere", upload.GCS, location("https://googleapis.com.example.net/k?upload_id=x"), "", signer.ErrMalformed, "elsewhere"},
		{"a session at another port", upload.GCS, location("https://films.s3.eu-west-1.amazonaws.com:8443/k?upload_id=x"), "", signer.ErrMalformed, "elsewhere"},
		{"GCS refuses", upload.GCS, said{403, nil, "<?xml version='1.0' encoding='UTF-8'?><Error><Code>SignatureDoesNotMatch</Code></Error>"}, "", upload.ErrRefused, "403 SignatureDoesNotMatch"},
	} {
		step, err := planned(t, tt.protocol).Start(t.Context())
		got := read(t, step, err, tt.said)
		secret, _ := got.value.(signer.Secret)
		if !errors.Is(got.err, tt.err) || string(secret.Reveal()) != tt.want || !strings.Contains(got.text, tt.text) {
			t.Errorf("%s: %q, %v; want %q, %v", tt.name, secret.Reveal(), got.err, tt.want, tt.err)
		}
	}
}

func TestListAnswers(t *testing.T) {
	const ten = int64(10 << 20)
	ok := func(s string) said { return said{200, nil, s} }
	at308 := func(r string) said { return said{308, http.Header{"Range": {r}}, ""} }
	part := func(number, size, etag string) string {
		return "<Part><PartNumber>" + number + "</PartNumber><Size>" + size + "</Size><ETag>" + etag + "</ETag></Part>"
	}
	list := func(s string) said { return ok("<ListPartsResult>" + s + "</ListPartsResult>") }
	const azureSession = "ABCDEFGHIJKLMNOPQRSTUVWX"
	block := func(id, size string) string { return "<Block><Name>" + id + "</Name><Size>" + size + "</Size></Block>" }
	// base64 of the session, a hyphen and 00002 and 00001
	const second, first = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYLTAwMDAy", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYLTAwMDAx"
	for _, tt := range []struct {
		name     string
		protocol upload.Protocol
		after    int
		said     said
		want     upload.Listing
		err      error
		text     string
	}{
		{"S3's", upload.S3, 1, ok(listed), upload.Listing{Parts: []upload.Part{{2, ten, `"7778aef83f66abc1fa1e8477f296d394"`}, {3, ten, `"aaaa18db4cc2f85cedef654fccc4a4x8"`}}, Next: 3}, nil, ""},
		{"S3's from where it has been", upload.S3, 2, ok(listed), upload.Listing{}, signer.ErrMalformed, "does not ascend"},
		{"none", upload.S3, 0, list(""), upload.Listing{}, nil, ""},
		{"descending", upload.S3, 0, list(part("2", "1", "a") + part("1", "1", "b")), upload.Listing{}, signer.ErrMalformed, "does not ascend"},
		{"twice", upload.S3, 0, list(part("2", "1", "a") + part("2", "1", "b")), upload.Listing{}, signer.ErrMalformed, "does not ascend"},
		{"a negative size", upload.S3, 0, list(part("1", "-1", "a")), upload.Listing{}, signer.ErrMalformed, "no size"},
		{"no ETag", upload.S3, 0, list(part("1", "1", "")), upload.Listing{}, signer.ErrMalformed, "no size or ETag"},
		{"a size too large", upload.S3, 0, list(part("1", "99999999999999999999", "a")), upload.Listing{}, signer.ErrMalformed, "cannot be read"},
		{"an endless list", upload.S3, 5, list("<IsTruncated>true</IsTruncated><NextPartNumberMarker>5</NextPartNumberMarker>"), upload.Listing{}, signer.ErrMalformed, "where it has been"},
		{"a list that repeats", upload.S3, 0, list("<IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>" + part("1", "1", "a") + part("2", "1", "b")), upload.Listing{}, signer.ErrMalformed, "where it has been"},
		{"a list of nothing that goes on", upload.S3, 0, list("<IsTruncated>true</IsTruncated><NextPartNumberMarker>7</NextPartNumberMarker>"), upload.Listing{}, signer.ErrMalformed, "where it has been"},
		{"gone", upload.S3, 0, said{404, nil, "<Error><Code>NoSuchUpload</Code></Error>"}, upload.Listing{}, upload.ErrRefused, "404 NoSuchUpload; there is no such upload"},

		{"GCS has nothing", upload.GCS, 0, said{308, nil, ""}, upload.Listing{}, nil, ""},
		{"GCS has some", upload.GCS, 0, at308("bytes=0-42"), upload.Listing{}, nil, ""},
		{"GCS has a chunk", upload.GCS, 0, at308("bytes=0-10485759"), upload.Listing{Parts: []upload.Part{{1, ten, ""}}}, nil, ""},
		{"GCS has one and a half", upload.GCS, 0, at308("bytes=0-15728639"), upload.Listing{Parts: []upload.Part{{1, ten, ""}}}, nil, ""},
		{"GCS has another range", upload.GCS, 0, at308("bytes=1-42"), upload.Listing{}, signer.ErrMalformed, "Range"},
		{"GCS has more than all", upload.GCS, 0, at308("bytes=0-104857600"), upload.Listing{}, signer.ErrMalformed, "Range"},
		{"GCS has no number", upload.GCS, 0, at308("bytes=0--1"), upload.Listing{}, signer.ErrMalformed, "Range"},
		{"GCS has forgotten", upload.GCS, 0, said{410, nil, ""}, upload.Listing{}, upload.ErrRefused, "410; there is no such upload"},
		{"GCS has trouble", upload.GCS, 0, said{503, nil, ""}, upload.Listing{}, upload.ErrRefused, "503; try again"},

		{"Azure's", upload.Azure, 0, ok("\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><CommittedBlocks>" + block(first, "1") + "</CommittedBlocks><UncommittedBlocks>" +
			block(second, "10485760") + block("BlockId003", "1024000") + block(first, "10485760") + block("QUJD", "1") + "</UncommittedBlocks></BlockList>"),
			upload.Listing{Parts: []upload.Part{{1, ten, ""}, {2, ten, ""}}}, nil, ""},
		{"no blob", upload.Azure, 0, said{404, nil, "\ufeff<Error><Code>BlobNotFound</Code></Error>"}, upload.Listing{}, nil, ""},
		{"no container", upload.Azure, 0, said{404, nil, "\ufeff<Error><Code>ContainerNotFound</Code></Error>"}, upload.Listing{}, upload.ErrRefused, "404 ContainerNotFound"},
		{"a code in the header", upload.Azure, 0, said{403, http.Header{"X-Ms-Error-Code": {"AuthenticationFailed"}}, ""}, upload.Listing{}, upload.ErrRefused, "403 AuthenticationFailed"},
	} {
		session := map[upload.Protocol]string{upload.GCS: "https://h/?upload_id=x", upload.Azure: azureSession}[tt.protocol]
		if session == "" {
			session = "id"
		}
		step, err := planned(t, tt.protocol).List(t.Context(), signer.NewSecret([]byte(session)), tt.after)
		got := read(t, step, err, tt.said)
		listing, _ := got.value.(upload.Listing)
		if !errors.Is(got.err, tt.err) || !reflect.DeepEqual(listing, tt.want) || !strings.Contains(got.text, tt.text) {
			t.Errorf("%s: %+v, %v; want %+v, %v", tt.name, listing, got.err, tt.want, tt.err)
		}
	}
}

// S3 may say 200 and then fail.
func TestCompleteAnswers(t *testing.T) {
	etag := func(s string) http.Header { return http.Header{"Etag": {s}} }
	for _, tt := range []struct {
		name     string
		protocol upload.Protocol
		said     said
		want     string
		err      error
		text     string
	}{
		{"S3's", upload.S3, said{200, nil, strings.ReplaceAll(completed, "<Region>", "eu-west-1")}, `"3858f62230ac3c915f300c664312c11f-9"`, nil, ""},
		{"late failure", upload.S3, said{200, nil, failedLate}, "", upload.ErrRefused, "200 InternalError; try again"},
		{"late failure behind blanks", upload.S3, said{200, nil, "  \n \n" + failedLate}, "", upload.ErrRefused, "200 InternalError; try again"},
		{"nothing but blanks", upload.S3, said{200, nil, "   \n"}, "", signer.ErrMalformed, "no document"},
		{"a part is missing", upload.OSS, said{400, nil, "<Error><Code>InvalidPart</Code></Error>"}, "", upload.ErrRefused, "400 InvalidPart"},
		{"Azure's", upload.Azure, said{201, etag(`"0x8D"`), ""}, `"0x8D"`, nil, ""},
		{"Azure refuses", upload.Azure, said{400, nil, "\ufeff<Error><Code>InvalidBlockList</Code></Error>"}, "", upload.ErrRefused, "400 InvalidBlockList; a block of the list is not there"},
		{"GCS's", upload.GCS, said{200, etag(`"7351"`), ""}, `"7351"`, nil, ""},
		{"GCS waits", upload.GCS, said{308, http.Header{"Range": {"bytes=0-99"}}, ""}, "", upload.ErrRefused, "100 of 104857600 bytes are there"},
	} {
		session := map[upload.Protocol]string{upload.GCS: "https://h/?upload_id=x", upload.Azure: "ABCDEFGHIJKLMNOPQRSTUVWX"}[tt.protocol]
		if session == "" {
			session = "id"
		}
		u := planned(t, tt.protocol)
		step, err := u.Complete(t.Context(), signer.NewSecret([]byte(session)), all(u.Plan()))
		got := read(t, step, err, tt.said)
		if tag, _ := got.value.(string); !errors.Is(got.err, tt.err) || tag != tt.want || !strings.Contains(got.text, tt.text) {
			t.Errorf("%s: %q, %v; want %q, %v", tt.name, tag, got.err, tt.want, tt.err)
		}
	}
}

// The body is the one of the documentation, as a reader of XML sees it.
func TestCompleteBody(t *testing.T) {
	const documented = `<CompleteMultipartUpload>
<Part><PartNumber>1</PartNumber><ETag>"a54357aff0632cce46d942af68356b38"</ETag></Part>
<Part><PartNumber>2</PartNumber><ETag>"0c78aef83f66abc1fa1e8477f296d394"</ETag></Part>
<Part><PartNumber>3</PartNumber><ETag>"acbd18db4cc2f85cedef654fccc4a4d8"</ETag></Part>
</CompleteMultipartUpload>`
	u, err := upload.New(upload.Config{Signer: exampleSigner(), Protocol: upload.S3, Key: "k", Size: 12 << 20, PartSize: 5 << 20, Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	parts := all(u.Plan())
	parts[0].ETag, parts[1].ETag, parts[2].ETag = `"a54357aff0632cce46d942af68356b38"`, `"0c78aef83f66abc1fa1e8477f296d394"`, `"acbd18db4cc2f85cedef654fccc4a4d8"`
	step, err := u.Complete(t.Context(), signer.NewSecret([]byte("AAAsb2FkIElEIGZvciBlbHZpbmcncyWeeS1tb3ZpZS5tMnRzIRRwbG9hZA")), parts)
	if err != nil {
		t.Fatal(err)
	}
	tree := func(text string) any {
		var doc struct {
			XMLName xml.Name `xml:"CompleteMultipartUpload"`
			Part    []struct {
				PartNumber int
				ETag       string
			}
		}
		if err := xml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		return doc
	}
	if !reflect.DeepEqual(tree(step.Body), tree(documented)) {
		t.Errorf("%s", step.Body)
	}
	if !strings.Contains(step.Request.URL, "uploadId=AAAsb2FkIElEIGZvciBlbHZpbmcncyWeeS1tb3ZpZS5tMnRzIRRwbG9hZA") || step.Request.Method != http.MethodPost {
		t.Errorf("%s", step.Request)
	}
}

// An answer that does not end is not read to its end.
func TestEndlessAnswer(t *testing.T) {
	step, err := planned(t, upload.S3).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	endless := &http.Response{StatusCode: 200, Body: io.NopCloser(blanks{})}
	if _, err := step.Read(endless); !errors.Is(err, signer.ErrMalformed) {
		t.Errorf("%v", err)
	}
	broken := &http.Response{StatusCode: 200, Body: io.NopCloser(io.MultiReader(strings.NewReader("<Init"), failing{}))}
	if _, err := step.Read(broken); err == nil || !strings.Contains(err.Error(), "broke off") || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
}

type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// FuzzAnswers reads what is none: nothing panics, an error is ours and holds nothing of the answer but names, and what is read is
// whole.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{initiated, listed, completed, failedLate, "", "<BlockList/>", "\ufeff<Error><Code>BlobNotFound</Code></Error>",
		"<BlockList><UncommittedBlocks><Block><Name>QUJD</Name><Size>1</Size></Block></UncommittedBlocks></BlockList>"} {
		f.Add(200, "bytes=0-42", "https://h/?upload_id=x", body)
		f.Add(308, "bytes=0-42", "", body)
		f.Add(404, "", "//", body)
	}
	f.Fuzz(func(t *testing.T, status int, ranges, location, body string) {
		answer := said{status, http.Header{"Range": {ranges}, "Location": {location}}, body}
		for _, protocol := range []upload.Protocol{upload.S3, upload.GCS, upload.Azure} {
			session := map[upload.Protocol]string{upload.S3: "id", upload.GCS: "https://h/?upload_id=x", upload.Azure: "ABCDEFGHIJKLMNOPQRSTUVWX"}[protocol]
			u, id := planned(t, protocol), signer.NewSecret([]byte(session))
			start, err := u.Start(t.Context())
			if got := read(t, start, err, answer); got.err == nil {
				secret := got.value.(signer.Secret)
				if _, err := u.Part(t.Context(), secret, 1, nil); err != nil {
					t.Errorf("a session that does not work: %v", err)
				}
			} else if len(got.text) > 300 {
				t.Errorf("a long error: %s", got.text)
			}
			list, err := u.List(t.Context(), id, 0)
			if got := read(t, list, err, answer); got.err == nil {
				l := got.value.(upload.Listing)
				for i, p := range l.Parts {
					if p.Number < 1 || p.Size < 0 && protocol != upload.Azure || i > 0 && p.Number <= l.Parts[i-1].Number {
						t.Errorf("%+v", l)
					}
				}
				if l.Next < 0 {
					t.Errorf("%+v", l)
				}
			}
			complete, err := u.Complete(t.Context(), id, all(u.Plan()))
			read(t, complete, err, answer)
		}
	})
}
