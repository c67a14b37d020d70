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
	f.Pairs(rest, func(name, value string) {
		switch name {
		case "Credential":
			f.credential(&a, name, value)
		case "SignedHeaders":
			a.SignedHeaders = f.SignedHeaders(name, value)
		case "Signature":
			f.signature(&a, name, value)
		}
	})
	return a
}

// The parameters of a presigned URL's signature, those first that none can do without.
const (
	paramAlgorithm = iota
	paramCredential
	paramDate
	paramExpires
	paramSignedHeaders
	paramSignature
	paramRegionSet
	paramToken
	paramSession // of a directory bucket
	authParams

	requiredParams = paramRegionSet
)

// authParamNames are their names.
func authParamNames() [authParams]string {
	return [...]string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature",
		"X-Amz-Region-Set", "X-Amz-Security-Token", "X-Amz-S3session-Token"}
}

// authParam finds a parameter of ours by its name; odd is another spelling. It is -1 for other parameters.
func authParam(name string) (i int, odd bool) {
	switch name {
	case "X-Amz-Algorithm":
		return paramAlgorithm, false
	case "X-Amz-Credential":
		return paramCredential, false
	case "X-Amz-Date":
		return paramDate, false
	case "X-Amz-Expires":
		return paramExpires, false
	case "X-Amz-SignedHeaders":
		return paramSignedHeaders, false
	case "X-Amz-Signature":
		return paramSignature, false
	case "X-Amz-Region-Set":
		return paramRegionSet, false
	case "X-Amz-Security-Token":
		return paramToken, false
	}
	if isAuthParam(name) {
		names := authParamNames()
		return slices.IndexFunc(names[:], func(p string) bool { return strings.EqualFold(p, name) }), true
	}
	return -1, false
}

// A rawQuery is the query of a request with its parameters told apart.
type rawQuery struct {
	auth       [authParams]string // those of our signature, decoded
	seen       [authParams]bool
	twice, odd []string   // names of ours that are repeated, or in a spelling that is not ours
	foreign    [2]string  // another scheme and its signature's name
	others     url.Values // all else, decoded, each in the order that is signed, whatever the order on the wire
	broken     bool       // an escape is
}

// presigned reports whether there is anything of a signature of ours.
func (q *rawQuery) presigned() bool { return q.seen != [authParams]bool{} }

// readQuery reads a query once. It adds all parameters but the signature to params.
func readQuery(params *wire.Params, raw string) (q rawQuery) {
	for rawName, rawValue := range wire.Pairs(raw) {
		name := rawName
		i, odd := authParam(name)
		if i < 0 { // ours are seldom escaped
			var err error
			if name, err = wire.UnescapeQuery(rawName); err != nil {
				q.broken = true
				continue
			}
			i, odd = authParam(name)
		}
		if i < 0 && q.foreign[0] == "" {
			q.foreign = [2]string{pipeline.SignatureOf(name), name}
		}
		value, err := wire.UnescapeQuery(rawValue)
		if err == nil && i != paramSignature {
			err = params.AddRaw(rawName, rawValue)
		}
		switch {
		case err != nil:
			q.broken = true
		case i < 0:
			if q.others == nil {
				q.others = make(url.Values)
			}
			q.others[name] = append(q.others[name], value)
		case q.seen[i]:
			q.twice = append(q.twice, name)
		case odd:
			q.odd = append(q.odd, name)
		default:
			q.auth[i] = value
		}
		if i >= 0 {
			q.seen[i] = true
		}
	}
	return q
}

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

// sortValues puts the values of each parameter into the order that is signed, whatever the order on the wire.
func sortValues(q url.Values) {
	for _, values := range q {
		slices.Sort(values)
	}
}

// query reads the query form.
func (f *faults) query(raw *rawQuery) (q presignedQuery) {
	names := authParamNames()
	hint := "query-string authentication needs it; was the URL cut, or is it not quoted in a shell?"
	q.others = f.withoutHash(raw.others)
	sortValues(q.others)
	for name := range q.others {
		if strings.HasPrefix(name, "amp;") {
			hint = `the URL was copied out of HTML: write & for "&amp;"`
		}
	}
	if raw.broken {
		f.Malformed("URL", "its query has a broken escape: %w", wire.ErrEscape)
	}
	for _, name := range raw.twice {
		f.Malformed(name, "it is there twice")
	}
	for _, name := range raw.odd {
		f.Malformed(name, "no parameter of a presigned URL is spelt like this")
	}
	for i, name := range names[:requiredParams] {
		if !raw.seen[i] {
			f.Malformed(name, "it is missing; %s", hint)
		}
	}
	for i, value := range &raw.auth {
		if !raw.seen[i] {
			continue
		}
		switch name := names[i]; i {
		case paramAlgorithm:
			if q.Algorithm = value; value != algorithm && value != algorithm4a {
				f.Malformed(name, "it is not %s", algorithm)
			}
		case paramCredential:
			f.credential(&q.Authorization, name, value)
		case paramDate:
			q.stamp = value
			var err error
			if q.date, err = sigv4.ParseStamp(value); err != nil {
				f.Malformed(name, "%w", err)
			}
		case paramExpires:
			seconds, err := strconv.Atoi(value)
			if err != nil || value[0] == '+' || value[0] == '0' && value != "0" {
				f.Malformed(name, "it is no number of seconds")
			} else if seconds < 1 || seconds > maxExpires {
				f.Malformed(name, "%d is not within 1 and %d seconds", seconds, maxExpires)
			}
			q.expires = time.Duration(seconds) * time.Second
		case paramSignedHeaders:
			q.SignedHeaders = f.SignedHeaders(name, value)
		case paramSignature:
			f.signature(&q.Authorization, name, value)
		case paramRegionSet:
			q.regionSet = value
		case paramToken:
			q.token = value
		}
	}
	f.regionSet(q.Algorithm, raw.seen[paramRegionSet], q.regionSet)
	if q.Date != "" && !q.date.IsZero() && q.Date != q.stamp[:8] {
		f.Add(signer.ErrScope, "X-Amz-Credential", "its date is %s, the day of X-Amz-Date %s", q.Date, q.stamp[:8])
	}
	return q
}

// withoutHash is params without X-Amz-Content-Sha256: the JavaScript SDK sends it in a URL, where it says nothing new.
func (f *faults) withoutHash(params url.Values) url.Values {
	const hash = "X-Amz-Content-Sha256"
	for name, values := range params {
		switch {
		case !strings.EqualFold(name, hash):
			continue
		case name != hash:
			f.Malformed(name, "no parameter of a presigned URL is spelt like this")
		case len(values) > 1:
			f.Malformed(name, "it is there twice")
		case values[0] != unsignedPayload:
			f.Malformed(name, "in a URL it can only be %s", unsignedPayload)
		}
		delete(params, name)
	}
	if len(params) == 0 {
		return nil
	}
	return params
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
