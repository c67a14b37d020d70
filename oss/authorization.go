package oss

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
	AccessKeyID       string
	Date              string // of the credential scope, 20060102
	Region, Product   string
	AdditionalHeaders []string // lower case, sorted; nil for none
	Signature         string   // 64 hexadecimal digits in lower case
}

// ParseAuthorization parses the value of an Authorization header:
//
//	OSS4-HMAC-SHA256 Credential=ID/DATE/REGION/PRODUCT/aliyun_v4_request,AdditionalHeaders=a;b,Signature=HEX
//
// The pairs may come in any order, with or without a space after the comma, and AdditionalHeaders may be left out; nothing else
// may. The error joins an *signer.Error for each fault, with the key at fault as its Field and OSS's error code (EC), where one
// is known, as its Code. They wrap ErrMalformed, or ErrScope for a credential that is well formed and not one of OSS4.
//
// https://help.aliyun.com/en/oss/user-guide/0002-00000204
func ParseAuthorization(header string) (Authorization, error) {
	f := faults{pipeline.Faults{Op: pipeline.Op{Backend: "oss", Name: "parse"}}, headerCodes()}
	a := f.authorization(header)
	return a, f.Err()
}

// Error codes (EC) of OSS. Those of the 2xx are described at https://help.aliyun.com/en/oss/user-guide/0002-00000202 and so on.
const (
	ecMismatchV1    = "0002-00000040"
	ecPrefix        = "0002-00000061"
	ecEmptyV1       = "0002-00000065"
	ecVersion       = "0002-00000066"
	ecExpiredV1     = "0002-00000069"
	ecMismatch      = "0002-00000201"
	ecPairs         = "0002-00000202"
	ecPairForm      = "0002-00000203"
	ecKey           = "0002-00000204"
	ecNoCredential  = "0002-00000205"
	ecNoSignature   = "0002-00000207" // by its twin of version 2, 0002-00000108; no page of its own was found
	ecSignature     = "0002-00000208"
	ecHeadersEmpty  = "0002-00000209"
	ecHeaderEmpty   = "0002-00000210"
	ecHeaderAbsent  = "0002-00000211"
	ecPayload       = "0002-00000214"
	ecRegion        = "0002-00000226"
	ecProduct       = "0002-00000227"
	ecExpiresRange  = "0002-00000232"
	ecExpired       = "0002-00000236"
	ecDateForm      = "0002-00000502"
	ecNoDate        = "0002-00000503"
	ecSkew          = "0002-00000504"
	ecUnknown       = ""                // no page describes the fault
	codeConflict    = "InvalidArgument" // no EC is known
	codeUnknownKey  = "InvalidAccessKeyId"
	codeNotAccepted = "AccessDenied"
)

// codes are the error codes that differ between the two forms.
type codes struct{ keyID, date, terminator, emptySignature, emptyHeaders string }

func headerCodes() codes {
	return codes{"0002-00000206", "0002-00000212", "0002-00000213", ecSignature, ecHeadersEmpty}
}

func queryCodes() codes {
	return codes{"0002-00000222", "0002-00000223", "0002-00000224", "0002-00000220", "0002-00000076"}
}

// faults collects everything that is wrong with a signature.
type faults struct {
	pipeline.Faults
	codes codes
}

// malformed adds a fault of form with its error code.
func (f *faults) malformed(code, field, format string, args ...any) {
	f.add(signer.ErrMalformed, code, field, format, args...)
}

func (f *faults) add(sentinel error, code, field, format string, args ...any) {
	f.Code = code
	f.Add(sentinel, field, format, args...)
}

// authorization reads the header form.
func (f *faults) authorization(header string) (a Authorization) {
	const field = "Authorization"
	name, rest, _ := strings.Cut(header, " ")
	if name != algorithm {
		f.malformed(ecPrefix, field, "it does not begin with %s and a space", algorithm)
		return a
	}
	pairs := strings.Split(rest, ",")
	if len(pairs) < 2 || len(pairs) > 3 {
		f.malformed(ecPairs, field, "it has %d pairs; write Credential=..., AdditionalHeaders=... if there are any, and Signature=..., with commas between them", len(pairs))
	}
	seen := make(map[string]bool, 3)
	for _, pair := range pairs {
		name, value, ok := strings.Cut(strings.TrimPrefix(pair, " "), "=")
		if !ok {
			word := pipeline.Word(name)
			for _, key := range [...]string{"Credential", "AdditionalHeaders", "Signature"} {
				if strings.HasPrefix(name, key) {
					word, seen[key] = key, true // there, if not well
				}
			}
			f.malformed(ecPairForm, field, "%q is no pair; write %s=value", word, word)
			continue
		}
		switch {
		case seen[name]:
			f.malformed(ecUnknown, pipeline.Word(name), "it is there twice")
		case name == "Credential":
			f.credential(&a, name, value)
		case name == "AdditionalHeaders":
			a.AdditionalHeaders = f.additionalHeaders(name, value)
		case name == "Signature":
			f.signature(&a, name, value)
		case name == "SignedHeaders":
			f.malformed(ecKey, name, "that is a key of AWS4; OSS4 has AdditionalHeaders, for headers that it does not sign by default")
		default:
			f.malformed(ecKey, pipeline.Word(name), "the header has no such key; it has Credential, AdditionalHeaders and Signature")
		}
		seen[name] = true
	}
	if !seen["Credential"] {
		f.malformed(ecNoCredential, "Credential", "it is missing; write Credential=ID/DATE/REGION/PRODUCT/%s", terminator)
	}
	if !seen["Signature"] {
		f.malformed(ecNoSignature, "Signature", "it is missing; write Signature= and 64 hexadecimal digits")
	}
	return a
}

// presignedQuery is what a presigned URL says about its signature.
type presignedQuery struct {
	Authorization
	stamp   string
	date    time.Time
	expires time.Duration
	token   string
	others  url.Values // the parameters that are not the signature's, decoded
}

// query reads the query form.
func (f *faults) query(rawQuery string) (q presignedQuery) {
	seen := make(map[string]bool, 8)
	for rawName, rawValue := range wire.Pairs(rawQuery) {
		name, err1 := wire.UnescapeQuery(rawName)
		value, err2 := wire.UnescapeQuery(rawValue)
		if err1 != nil || err2 != nil {
			f.malformed(ecUnknown, "URL", "its query has a broken escape: %w", wire.ErrEscape)
			continue
		}
		if !f.oneParam(seen, name) {
			continue
		}
		switch name {
		case paramVersion:
			if value != algorithm {
				f.malformed(ecVersion, name, "it is not %s", algorithm)
			}
		case paramCredential:
			if value == "" {
				f.malformed("0002-00000218", name, "it is empty; write ID/DATE/REGION/PRODUCT/%s", terminator)
				break
			}
			f.credential(&q.Authorization, name, value)
		case paramDate:
			q.stamp = value
			var err error
			if q.date, err = sigv4.ParseStamp(value); err != nil {
				f.malformed(ecUnknown, name, "%w", err)
			}
		case paramExpires:
			q.expires = f.expires(name, value)
		case paramToken:
			q.token = value
		case paramAdditional:
			q.AdditionalHeaders = f.additionalHeaders(name, value)
		case paramSignature:
			f.signature(&q.Authorization, name, value)
		default:
			if isAuthParam(name) {
				f.malformed(ecUnknown, name, "no parameter of a presigned URL is spelt like this; write it in lower case")
				continue
			}
			if q.others == nil {
				q.others = make(url.Values)
			}
			q.others[name] = []string{value}
		}
	}
	hint := "a presigned URL needs it; was the URL cut, or is it not quoted in a shell?"
	for name := range q.others {
		switch {
		case strings.HasPrefix(name, "amp;"):
			hint = `the URL was copied out of HTML: write & for "&amp;"`
		case name == "x-oss-signature-verion" && !seen[paramVersion]:
			seen[paramVersion] = true
			f.malformed(ecVersion, paramVersion, "it is misspelt x-oss-signature-verion")
		}
	}
	for _, p := range [...]struct{ name, code string }{{paramVersion, ecVersion}, {paramCredential, "0002-00000217"}, {paramDate, ecUnknown},
		{paramExpires, "0002-00000215"}, {paramSignature, "0002-00000219"}} {
		if !seen[p.name] {
			f.malformed(p.code, p.name, "it is missing; %s", hint)
		}
	}
	if q.token != "" && q.expires > maxExpiresSTS*time.Second && q.expires <= maxExpires*time.Second {
		f.malformed(ecExpiresRange, paramExpires, "with a security token a URL lives for %d seconds at most", maxExpiresSTS)
	}
	if q.Date != "" && !q.date.IsZero() && q.Date != q.stamp[:8] {
		f.add(signer.ErrScope, ecUnknown, paramCredential, "its date is %s, the day of %s %s", q.Date, paramDate, q.stamp[:8])
	}
	return q
}

// oneParam refuses parameters that are there twice, and those without a name, which leave no trace in the canonical query.
func (f *faults) oneParam(seen map[string]bool, name string) bool {
	field := "URL"
	if isAuthParam(name) {
		field = name
	}
	switch {
	case name == "":
		f.malformed(ecUnknown, field, "a parameter has no name")
		return false
	case seen[name]:
		f.malformed(ecUnknown, field, "a parameter is there twice, and OSS does not say which of them it signs")
		return false
	}
	seen[name] = true
	return true
}

func (f *faults) expires(field, value string) time.Duration {
	seconds, err := strconv.Atoi(value)
	switch {
	case value == "":
		f.malformed("0002-00000216", field, "it is empty; write a number of seconds")
		return 0
	case err != nil || value[0] == '+' || value[0] == '0' && value != "0":
		f.malformed(ecExpiresRange, field, "it is no number of seconds")
		return 0
	case seconds > 1_000_000_000:
		f.malformed(ecExpiresRange, field, "it is a time, and has to be a number of seconds from %s on, 1 to %d", paramDate, maxExpires)
		return 0
	case seconds < 1 || seconds > maxExpires:
		f.malformed(ecExpiresRange, field, "%d is not within 1 and %d seconds", seconds, maxExpires)
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// credential reads ID/DATE/REGION/PRODUCT/aliyun_v4_request.
func (f *faults) credential(a *Authorization, field, value string) {
	part := strings.Split(value, "/")
	if len(part) != 5 || slices.Contains(part, "") {
		f.malformed(ecUnknown, field, "it must be ID/DATE/REGION/PRODUCT/%s", terminator)
		return
	}
	a.AccessKeyID, a.Date, a.Region, a.Product = part[0], part[1], part[2], part[3]
	if !plainID(a.AccessKeyID) {
		f.malformed(f.codes.keyID, field, "its access key id holds a character that none has; check that it was copied whole and alone")
	}
	if !sigv4.ValidDate(a.Date) {
		f.malformed(f.codes.date, field, "its date %s is not of the form 20060102", pipeline.Shown(a.Date))
		a.Date = ""
	}
	if bare, ok := strings.CutPrefix(a.Region, "oss-"); ok {
		f.add(signer.ErrScope, ecRegion, field, "its region %s is the name of an endpoint; write %s", pipeline.Shown(a.Region), pipeline.Shown(bare))
		a.Region = ""
	} else if !pipeline.HostLabel(a.Region) {
		f.malformed(ecRegion, field, "its region %s is none; write it like cn-hangzhou", pipeline.Shown(a.Region))
		a.Region = ""
	}
	if a.Product != productOSS && a.Product != productCloudBox {
		f.add(signer.ErrScope, ecProduct, field, "its product %s is none; write %s, or %s for a CloudBox", pipeline.Shown(a.Product), productOSS, productCloudBox)
		a.Product = ""
	}
	if part[4] != terminator {
		f.add(signer.ErrScope, f.codes.terminator, field, "it ends in %s; it must end in %s", pipeline.Shown(part[4]), terminator)
	}
}

// additionalHeaders reads a list of header names in lower case, sorted, joined with semicolons.
func (f *faults) additionalHeaders(field, value string) []string {
	if value == "" {
		f.malformed(f.codes.emptyHeaders, field, "it is empty; leave it out if no further header is signed")
		return nil
	}
	names := strings.Split(value, ";")
	for i, name := range names {
		switch {
		case name == "":
			f.malformed(ecHeaderEmpty, field, "it has an empty name; write one semicolon between two names, and none at the end")
			return names
		case !pipeline.LowerToken(name):
			f.malformed(ecUnknown, field, "%s is no header name in lower case", pipeline.Shown(name))
		case strings.Contains(name, "_"):
			f.malformed(ecHeaderAbsent, field, "%s holds an underscore, which OSS refuses there", pipeline.Shown(name))
		case signedByDefault(name):
			f.malformed(ecUnknown, field, "%s is signed wherever it is there; leave it out of the list", pipeline.Shown(name))
		case i > 0 && names[i-1] >= name:
			f.malformed(ecUnknown, field, "it is not sorted, or has %s twice", pipeline.Shown(name))
		}
	}
	return names
}

func (f *faults) signature(a *Authorization, field, value string) {
	switch a.Signature = value; {
	case value == "":
		f.malformed(f.codes.emptySignature, field, "it is empty; write 64 hexadecimal digits")
	case len(value) != 64 || !pipeline.LowerHex(value):
		f.malformed(ecUnknown, field, "it is not 64 hexadecimal digits in lower case")
	}
}
