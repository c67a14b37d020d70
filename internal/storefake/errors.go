package storefake

import (
	"encoding/xml"
	"errors"
	"net/http"

	"github.com/cloudsigner/cloudsigner/signer"
)

// What is wrong with a request that was signed well, with what errors say of it.
type (
	notImplemented struct{ header, param, message string }
	badArgument    struct{ name, value, message string }
	badPartNumber  struct{ asked, count int }
	badRequest     string
	otherChecksum  struct{ algorithm string }
	otherBody      struct {
		error
		signed string
		got    []byte
	}
)

var errXML = errors.New("the document is not what it should be")

func (e notImplemented) Error() string { return "not implemented" }
func (e badArgument) Error() string    { return e.message }
func (e badPartNumber) Error() string  { return "the object has no such part" }
func (e badRequest) Error() string     { return string(e) }
func (e otherBody) Unwrap() error      { return e.error }
func (e otherChecksum) Error() string  { return "the checksum is not that of the body" }

// A fault is an error as the providers write it: a document Error with a code, words, and elements that differ.
type fault struct {
	XMLName  xml.Name `xml:"Error"`
	Code     string
	Message  string
	Elements []element
	status   int
}

type element struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
}

// with adds an element; one that is not known is left out.
func (f *fault) with(name, value string) *fault {
	if value != "" {
		f.Elements = append(f.Elements, element{xml.Name{Local: name}, value})
	}
	return f
}

// A knownFault is what a provider says to an error that tells all by itself.
type knownFault struct {
	err     error
	status  int
	code    string
	message string
}

// find returns what the list says to err, or nil.
func find(list []knownFault, err error) *fault {
	for _, known := range list {
		if errors.Is(err, known.err) {
			return &fault{status: known.status, Code: known.code, Message: known.message}
		}
	}
	return nil
}

// refusal is the first fault of a signature, which is the one that providers report, or nil if err is something else.
func refusal(err error) *signer.Error {
	var e *signer.Error
	if !errors.As(err, &e) {
		return nil
	}
	return e
}

// allow names the methods of a resource, for the one that does not go with it.
func allow(w http.ResponseWriter, f *fault) {
	if f.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", "GET, HEAD, PUT, POST, DELETE")
	}
}
