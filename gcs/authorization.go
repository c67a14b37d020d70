package gcs

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

// authorization is what an Authorization header, or the query of a signed URL, says about its signature.
type authorization struct {
	algorithm     Algorithm
	id            string // e-mail address or access ID
	scope         sigv4.Scope
	signedHeaders []string
	signature     string // lower-case hex
	date          time.Time
	stamp         string
}

// faults collects everything that is wrong with a signature.
type faults struct{ pipeline.Faults }

// header reads the header form, ALGORITHM Credential=ID/DATE/LOCATION/storage/goog4_request,SignedHeaders=a;b,Signature=HEX. The
// pairs may come in any order, with or without a space after the comma; nothing else may.
func (f *faults) header(text string) (a authorization) {
	const field = "Authorization"
	name, rest, _ := strings.Cut(text, " ")
	f.algorithm(&a, field, name)
	f.Pairs(rest, func(name, value string) {
		switch name {
		case "Credential":
			f.credential(&a, name, value)
		case "SignedHeaders":
			a.signedHeaders = f.SignedHeaders(name, value)
		case "Signature":
			f.signature(&a, name, value)
		}
	})
	return a
}

// signedQuery is what a signed URL says about its signature.
type signedQuery struct {
	authorization
	expires time.Duration
	others  url.Values // the parameters that are not the signature's, decoded
}

// query reads the query form. A name may be spelt as documented or in lower case, as gsutil has it.
func (f *faults) query(rawQuery string) (q signedQuery) {
	names := [...]string{"X-Goog-Algorithm", "X-Goog-Credential", "X-Goog-Date", "X-Goog-Expires", "X-Goog-SignedHeaders", "X-Goog-Signature"}
	var seen [len(names)]bool
	for rawName, rawValue := range wire.Pairs(rawQuery) {
		name, err1 := wire.UnescapeQuery(rawName)
		value, err2 := wire.UnescapeQuery(rawValue)
		if err1 != nil || err2 != nil {
			f.Malformed("URL", "its query has a broken escape: %w", wire.ErrEscape)
			continue
		}
		i := slices.IndexFunc(names[:], func(n string) bool { return strings.EqualFold(n, name) })
		switch {
		case i < 0:
			if q.others == nil {
				q.others = make(url.Values)
			}
			q.others[name] = append(q.others[name], value)
			continue
		case seen[i]:
			f.Malformed(names[i], "it is there twice")
			continue
		}
		seen[i] = true
		if name != names[i] && name != strings.ToLower(names[i]) {
			f.Malformed(names[i], "it is spelt in a mixture of capitals; write it so, or all in lower case")
		}
		switch name = names[i]; name {
		case "X-Goog-Algorithm":
			f.algorithm(&q.authorization, name, value)
		case "X-Goog-Credential":
			f.credential(&q.authorization, name, value)
		case "X-Goog-Date":
			var err error
			if q.date, err = sigv4.ParseStamp(value); err != nil {
				f.Malformed(name, "%w", err)
			}
			q.stamp = value
		case "X-Goog-Expires":
			seconds, err := strconv.Atoi(value)
			if err != nil || value[0] == '+' || value[0] == '0' && value != "0" {
				f.Malformed(name, "it is no number of seconds")
			} else if seconds < 1 || seconds > maxExpires {
				f.Malformed(name, "%d is not within 1 and %d seconds", seconds, maxExpires)
			}
			q.expires = time.Duration(seconds) * time.Second
		case "X-Goog-SignedHeaders":
			q.signedHeaders = f.SignedHeaders(name, value)
		case "X-Goog-Signature":
			f.signature(&q.authorization, name, value)
		}
	}
	hint := "a signed URL has it; was the URL cut, or is it not quoted in a shell?"
	for name := range q.others {
		if strings.HasPrefix(name, "amp;") {
			hint = `the URL was copied out of HTML: write & for "&amp;"`
		}
	}
	for i, name := range names {
		if !seen[i] {
			f.Errs = append(f.Errs, f.Op.Refusal(signer.ErrMalformed, name, "MissingSecurityHeader", "it is missing; %s", hint))
		}
	}
	f.scopeDate(&q.authorization, "X-Goog-Credential")
	return q
}

func (f *faults) algorithm(a *authorization, field, value string) {
	if a.algorithm = Algorithm(value); a.algorithm != RSASHA256 && a.algorithm != HMACSHA256 {
		f.Malformed(field, "its algorithm is neither %s nor %s", RSASHA256, HMACSHA256)
	}
}

// credential reads ID/DATE/LOCATION/storage/goog4_request.
func (f *faults) credential(a *authorization, field, value string) {
	id, scope, _ := strings.Cut(value, "/")
	var ok bool
	const longest = 254 // an e-mail address
	if a.scope, ok = parseScope(scope); !ok || !plain(id) || id == "" || len(id) > longest {
		f.Malformed(field, "it must be ID/DATE/LOCATION/%s/%s", service, terminator)
		return
	}
	a.id = id
	if !sigv4.ValidDate(string(a.scope.Date[:])) {
		f.Malformed(field, "its date is not of the form 20060102")
		a.scope.Date = sigv4.Date{}
	}
}

// scopeDate holds the date of the scope to that of the signature.
func (f *faults) scopeDate(a *authorization, field string) {
	if stamp := sigv4.StampOf(a.date.Unix()); a.scope.Date != (sigv4.Date{}) && !a.date.IsZero() && a.scope.Date != stamp.Date() {
		f.Add(signer.ErrScope, field, "its date is %s, the day of the signature %s", a.scope.Date[:], a.stamp[:8])
	}
}

func (f *faults) signature(a *authorization, field, value string) {
	a.signature = value
	const longest = 2 * 1024 // an RSA key of 8192 bits
	if value == "" || len(value)%2 == 1 || len(value) > longest || !pipeline.LowerHex(value) {
		f.Malformed(field, "it is not a signature in hexadecimal digits in lower case")
	}
}
