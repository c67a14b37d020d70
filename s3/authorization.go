package s3

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// Authorization is what an Authorization header, or the query of a presigned URL, says about its signature.
type Authorization struct {
	Algorithm       string // AWS4-HMAC-SHA256, or for several regions AWS4-ECDSA-P256-SHA256
	AccessKeyID     string
	Date            string   // of the credential scope, 20060102
	Region, Service string   // Region is "" for several regions
	SignedHeaders   []string // lower case, sorted
	Signature       string   // hexadecimal digits in lower case
}

// ParseAuthorization parses the value of an Authorization header:
//
//	AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/SERVICE/aws4_request,SignedHeaders=a;b,Signature=HEX
//	AWS4-ECDSA-P256-SHA256 Credential=ID/DATE/SERVICE/aws4_request,SignedHeaders=a;b,Signature=HEX
//
// The three pairs may come in any order, with or without a space after the comma; nothing else may. The error joins an
// *signer.Error wrapping ErrMalformed for each fault, with the key at fault as its Field.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
func ParseAuthorization(header string) (Authorization, error) {
	f := faults{pipeline.Faults{Op: pipeline.Op{Backend: "s3", Name: "parse"}, Code: "AuthorizationHeaderMalformed"}}
	a := f.authorization(header)
	return a, f.Err()
}

// faults collects everything that is wrong with a signature.
type faults struct{ pipeline.Faults }

// authorization reads the header form.
func (f *faults) authorization(header string) (a Authorization) {
	const field = "Authorization"
	name, rest, _ := strings.Cut(header, " ")
	if name != algorithm && name != algorithm4a {
		f.Malformed(field, "it does not begin with %s and a space", algorithm)
		return a
	}
	a.Algorithm = name
	seen := make(map[string]bool, 3)
	for pair := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimPrefix(pair, " "), "=")
		switch {
		case !ok:
			f.Malformed(field, "%q is no pair; write key=value", pipeline.Word(name))
			continue
		case seen[name]:
			f.Malformed(pipeline.Word(name), "it is there twice")
			continue
		}
		seen[name] = true
		switch name {
		case "Credential":
			f.credential(&a, name, value)
		case "SignedHeaders":
			a.SignedHeaders = f.SignedHeaders(name, value)
		case "Signature":
			f.signature(&a, name, value)
		default:
			f.Malformed(pipeline.Word(name), "the header has no such key; it has Credential, SignedHeaders and Signature")
		}
	}
	for _, name := range [...]string{"Credential", "SignedHeaders", "Signature"} {
		if !seen[name] {
			f.Malformed(name, "it is missing")
		}
	}
	return a
}

// authParams returns the parameters of a presigned URL's signature, those first that none can do without.
func authParams() [10]string {
	return [...]string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature",
		"X-Amz-Region-Set", "X-Amz-Security-Token", "X-Amz-Content-Sha256", "X-Amz-S3session-Token"}
}

const (
	credentialParam = 1
	signatureParam  = 5
	requiredParams  = 6
	regionSetParam  = 6
)

// presignedQuery is what a presigned URL says about its signature.
type presignedQuery struct {
	Authorization
	stamp     string
	date      time.Time
	expires   time.Duration
	token     string
	regionSet string     // SigV4a
	others    url.Values // the parameters that are not the signature's, decoded
}

// query reads the query form.
func (f *faults) query(rawQuery string) (q presignedQuery) {
	params := authParams()
	var seen [len(params)]bool
	var credential, signature string // their form follows from the algorithm, which may come after them
	for rawName, rawValue := range wire.Pairs(rawQuery) {
		name, err1 := wire.UnescapeQuery(rawName)
		value, err2 := wire.UnescapeQuery(rawValue)
		if err1 != nil || err2 != nil {
			f.Malformed("URL", "its query has a broken escape: %w", wire.ErrEscape)
			continue
		}
		i := slices.IndexFunc(params[:], func(p string) bool { return strings.EqualFold(p, name) })
		switch {
		case i < 0:
			if q.others == nil {
				q.others = make(url.Values)
			}
			q.others[name] = append(q.others[name], value)
			slices.Sort(q.others[name]) // in the order that is signed, whatever the order on the wire
			continue
		case seen[i]:
			f.Malformed(name, "it is there twice")
			continue
		}
		seen[i] = true
		switch name {
		case "X-Amz-Algorithm":
			if q.Algorithm = value; value != algorithm && value != algorithm4a {
				f.Malformed(name, "it is not %s", algorithm)
			}
		case "X-Amz-Credential":
			credential = value
		case "X-Amz-Date":
			q.stamp = value
			var err error
			if q.date, err = sigv4.ParseStamp(value); err != nil {
				f.Malformed(name, "%w", err)
			}
		case "X-Amz-Expires":
			seconds, err := strconv.Atoi(value)
			if err != nil || value[0] == '+' || value[0] == '0' && value != "0" {
				f.Malformed(name, "it is no number of seconds")
			} else if seconds < 1 || seconds > maxExpires {
				f.Malformed(name, "%d is not within 1 and %d seconds", seconds, maxExpires)
			}
			q.expires = time.Duration(seconds) * time.Second
		case "X-Amz-Security-Token":
			q.token = value
		case "X-Amz-SignedHeaders":
			q.SignedHeaders = f.SignedHeaders(name, value)
		case "X-Amz-Signature":
			signature = value
		case "X-Amz-Region-Set":
			q.regionSet = value
		case "X-Amz-Content-Sha256": // the JavaScript SDK sends it here; it says nothing new
			if value != unsignedPayload {
				f.Malformed(name, "in a URL it can only be %s", unsignedPayload)
			}
		default:
			f.Malformed(name, "no parameter of a presigned URL is spelt like this")
		}
	}
	hint := "query-string authentication needs it; was the URL cut, or is it not quoted in a shell?"
	for name := range q.others {
		if strings.HasPrefix(name, "amp;") {
			hint = `the URL was copied out of HTML: write & for "&amp;"`
		}
	}
	for i, name := range params[:requiredParams] {
		if !seen[i] {
			f.Malformed(name, "it is missing; %s", hint)
		}
	}
	if seen[credentialParam] {
		f.credential(&q.Authorization, params[credentialParam], credential)
	}
	if seen[signatureParam] {
		f.signature(&q.Authorization, params[signatureParam], signature)
	}
	f.regionSet(q.Algorithm, seen[regionSetParam], q.regionSet)
	if q.Date != "" && !q.date.IsZero() && q.Date != q.stamp[:8] {
		f.Add(signer.ErrScope, "X-Amz-Credential", "its date is %s, the day of X-Amz-Date %s", q.Date, q.stamp[:8])
	}
	return q
}

// regionSet demands a region set exactly if the algorithm has one.
func (f *faults) regionSet(algo string, there bool, set string) {
	switch {
	case algo == algorithm4a && set == "":
		f.Malformed("X-Amz-Region-Set", "it is missing or empty; %s needs it", algorithm4a)
	case algo == algorithm && there:
		f.Malformed("X-Amz-Region-Set", "it does not go with %s", algorithm)
	}
}

// credential reads ID/DATE/REGION/SERVICE/aws4_request; SigV4a has no region.
func (f *faults) credential(a *Authorization, field, value string) {
	const form, form4a = "ID/DATE/REGION/SERVICE/" + terminator, "ID/DATE/SERVICE/" + terminator
	id, rest, _ := strings.Cut(value, "/")
	date, rest, _ := strings.Cut(rest, "/")
	region := ""
	if a.Algorithm != algorithm4a {
		if region, rest, _ = strings.Cut(rest, "/"); region == "" {
			f.Malformed(field, "it must be %s", form)
			return
		}
	}
	service, last, ok := strings.Cut(rest, "/")
	if !ok || id == "" || date == "" || service == "" || last == "" || strings.Contains(last, "/") {
		if a.Algorithm == algorithm4a {
			f.Malformed(field, "it must be %s", form4a)
		} else {
			f.Malformed(field, "it must be %s", form)
		}
		return
	}
	a.AccessKeyID, a.Date, a.Region, a.Service = id, date, region, service
	if !sigv4.ValidDate(a.Date) {
		f.Malformed(field, "its date %s is not of the form 20060102", pipeline.Shown(a.Date))
		a.Date = ""
	}
	if last != terminator {
		f.Add(signer.ErrScope, field, "it ends in %s; it must end in %s", pipeline.Shown(last), terminator)
	}
}

func (f *faults) signature(a *Authorization, field, value string) {
	a.Signature = value
	switch {
	case a.Algorithm == algorithm4a:
		const longest = 144 // two numbers of 32 bytes in DER
		if len(value) > longest || len(value)%2 == 1 || value == "" || !pipeline.LowerHex(value) {
			f.Malformed(field, "it is not a DER-encoded signature in hexadecimal digits in lower case")
		}
	case len(value) != 64 || !pipeline.LowerHex(value):
		f.Malformed(field, "it is not 64 hexadecimal digits in lower case")
	}
}
