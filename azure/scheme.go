package azure

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/sigv4"
	"github.com/cloudsigner/cloudsigner/internal/wire"
)

// This file is what Azure Storage signs, top to bottom: the strings to sign of the three kinds of SAS, each with what a service
// version (sv) added to it, and those of Shared Key. Versions are compared as text: they are dates.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/create-service-sas
// https://learn.microsoft.com/en-us/rest/api/storageservices/create-account-sas
// https://learn.microsoft.com/en-us/rest/api/storageservices/create-user-delegation-sas
// https://learn.microsoft.com/en-us/rest/api/storageservices/authorize-with-shared-key

// The service versions at which a string to sign changed, or that brought a field.
const (
	v2012 = "2012-02-12" // the first with signed versions
	v2013 = "2013-08-15" // response overrides
	vBlob = "2015-02-21" // "/blob" in front of the resource; no Content-Length of zero
	v2015 = "2015-04-05" // addresses and protocol; account SAS
	v2016 = "2016-05-31" // empty headers are signed
	v2018 = "2018-11-09" // resource and snapshot; user delegation
	vX    = "2019-12-12" // the permission to delete a version
	v2020 = "2020-02-10" // object ids, directories
	vSES  = "2020-12-06" // encryption scopes
	v2025 = "2025-07-05" // a delegated user
	v2026 = "2026-04-06" // headers and parameters
)

// A kind is one of the three kinds of SAS.
type kind uint8

const (
	serviceSAS kind = 1 << iota
	accountSAS
	delegationSAS
)

func (k kind) String() string {
	switch k {
	case serviceSAS:
		return "service SAS"
	case accountSAS:
		return "account SAS"
	}
	return "user delegation SAS"
}

// A token is a SAS: the texts of its parameters, under their names in the URL, "" where one is not there.
type token struct {
	sv, ss, srt, sr, sdd, sp, st, se, si, sip, spr, ses string
	skoid, sktid, skt, ske, sks, skv, skdutid           string // the user delegation key
	saoid, suoid, scid, sduoid                          string
	srh, srq                                            string // names, joined with commas
	rscc, rscd, rsce, rscl, rsct                        string
	spk, srk, epk, erk                                  string // of tables

	moment                     string // the parameter snapshot or versionid of the request
	signedHeaders, signedQuery string // what srh and srq name, as it is signed
}

// A param is a parameter of a SAS but sig.
type param struct {
	name  string
	value *string
	kinds kind
	since string // the service version that brought it; earlier ones do not sign it
}

// params lists the parameters for those who read a SAS.
func (t *token) params() [30]param {
	const blob = serviceSAS | delegationSAS
	const all = blob | accountSAS
	return [...]param{
		{"sv", &t.sv, all, v2012},
		{"ss", &t.ss, accountSAS, v2015},
		{"srt", &t.srt, accountSAS, v2015},
		{"sr", &t.sr, blob, v2012},
		{"sdd", &t.sdd, blob, v2020},
		{"sp", &t.sp, all, v2012},
		{"st", &t.st, all, v2012},
		{"se", &t.se, all, v2012},
		{"si", &t.si, serviceSAS, v2012},
		{"sip", &t.sip, all, v2015},
		{"spr", &t.spr, all, v2015},
		{"ses", &t.ses, all, vSES},
		{"skoid", &t.skoid, delegationSAS, v2018},
		{"sktid", &t.sktid, delegationSAS, v2018},
		{"skt", &t.skt, delegationSAS, v2018},
		{"ske", &t.ske, delegationSAS, v2018},
		{"sks", &t.sks, delegationSAS, v2018},
		{"skv", &t.skv, delegationSAS, v2018},
		{"skdutid", &t.skdutid, delegationSAS, v2025},
		{"saoid", &t.saoid, delegationSAS, v2020},
		{"suoid", &t.suoid, delegationSAS, v2020},
		{"scid", &t.scid, delegationSAS, v2020},
		{"sduoid", &t.sduoid, delegationSAS, v2025},
		{"srh", &t.srh, delegationSAS, v2026},
		{"srq", &t.srq, delegationSAS, v2026},
		{"rscc", &t.rscc, blob, v2013},
		{"rscd", &t.rscd, blob, v2013},
		{"rsce", &t.rsce, blob, v2013},
		{"rscl", &t.rscl, blob, v2013},
		{"rsct", &t.rsct, blob, v2013},
	}
}

// appendServiceSAS appends what the account key signs for one resource of a service: "blob", "file", "queue" or "table".
// Every line is there, also if its field is empty; the last has no newline.
func appendServiceSAS(dst []byte, service string, t *token, account, container, name string) []byte {
	dst = appendLines(dst, t.sp, t.st, t.se)
	dst = appendResource(dst, t.sv, service, account, container, name)
	dst = appendLines(dst, t.si)
	if t.sv >= v2015 {
		dst = appendLines(dst, t.sip, t.spr)
	}
	dst = appendLines(dst, t.sv)
	if service == "blob" && t.sv >= v2018 {
		dst = appendLines(dst, t.sr, t.moment)
	}
	if service == "blob" && t.sv >= vSES {
		dst = appendLines(dst, t.ses)
	}
	if (service == "blob" || service == "file") && t.sv >= v2013 {
		dst = appendLines(dst, t.rscc, t.rscd, t.rsce, t.rscl, t.rsct)
	}
	if service == "table" {
		dst = appendLines(dst, t.spk, t.srk, t.epk, t.erk)
	}
	return dst[:len(dst)-1]
}

// appendDelegationSAS appends what a user delegation key signs for one resource of the blob service. The documentation's
// string for versions before 2020-02-10 has object ids and no snapshot; services and SDKs have it as it stands here.
func appendDelegationSAS(dst []byte, t *token, account, container, name string) []byte {
	dst = appendLines(dst, t.sp, t.st, t.se)
	dst = appendResource(dst, t.sv, "blob", account, container, name)
	dst = appendLines(dst, t.skoid, t.sktid, t.skt, t.ske, t.sks, t.skv)
	if t.sv >= v2020 {
		dst = appendLines(dst, t.saoid, t.suoid, t.scid)
	}
	if t.sv >= v2025 {
		dst = appendLines(dst, t.skdutid, t.sduoid)
	}
	dst = appendLines(dst, t.sip, t.spr, t.sv, t.sr, t.moment)
	if t.sv >= vSES {
		dst = appendLines(dst, t.ses)
	}
	if t.sv >= v2026 {
		dst = appendLines(dst, t.signedHeaders, t.signedQuery)
	}
	dst = appendLines(dst, t.rscc, t.rscd, t.rsce, t.rscl, t.rsct)
	return dst[:len(dst)-1]
}

// appendAccountSAS appends what the account key signs for whole services. Here the last line has a newline.
func appendAccountSAS(dst []byte, t *token, account string) []byte {
	dst = appendLines(dst, account, t.sp, t.ss, t.srt, t.st, t.se, t.sip, t.spr, t.sv)
	if t.sv >= vSES {
		dst = appendLines(dst, t.ses)
	}
	return dst
}

// appendResource appends the canonicalized resource of a SAS and a newline. Names are decoded; that of a container alone has
// no slash behind it, and that of a table is in lower case. The host has no part in it.
func appendResource(dst []byte, sv, service, account, container, name string) []byte {
	if sv >= vBlob {
		dst = append(append(dst, '/'), service...)
	}
	dst = append(append(dst, '/'), account...)
	dst = append(dst, '/')
	if service == "table" {
		dst = wire.AppendLower(dst, container)
	} else {
		dst = append(dst, container...)
	}
	if name != "" {
		dst = append(append(dst, '/'), name...)
	}
	return append(dst, '\n')
}

func appendLines(dst []byte, lines ...string) []byte {
	for _, line := range lines {
		if line != "" { // most are empty
			dst = append(dst, line...)
		}
		dst = append(dst, '\n')
	}
	return dst
}

// appendParams appends the parameters of a SAS but sig, to a URL that ends in '?' or '&'. Those that params lists, but without the
// detour over pointers: every URL comes by here.
func (t *token) appendParams(dst []byte) []byte {
	dst = appendWord(dst, "sv=", t.sv)
	if t.ss != "" {
		dst = appendParam(dst, "&ss=", t.ss)
		dst = appendParam(dst, "&srt=", t.srt)
	} else {
		dst = appendWord(dst, "&sr=", t.sr)
		dst = appendWord(dst, "&sdd=", t.sdd)
	}
	dst = appendWord(dst, "&sp=", t.sp)
	dst = appendTime(dst, "&st=", t.st)
	dst = appendTime(dst, "&se=", t.se)
	dst = appendParam(dst, "&si=", t.si)
	dst = appendParam(dst, "&sip=", t.sip)
	dst = appendParam(dst, "&spr=", t.spr)
	dst = appendParam(dst, "&ses=", t.ses)
	if t.skoid != "" {
		dst = appendParam(dst, "&skoid=", t.skoid)
		dst = appendParam(dst, "&sktid=", t.sktid)
		dst = appendParam(dst, "&skt=", t.skt)
		dst = appendParam(dst, "&ske=", t.ske)
		dst = appendParam(dst, "&sks=", t.sks)
		dst = appendParam(dst, "&skv=", t.skv)
		dst = appendParam(dst, "&skdutid=", t.skdutid)
		dst = appendParam(dst, "&saoid=", t.saoid)
		dst = appendParam(dst, "&suoid=", t.suoid)
		dst = appendParam(dst, "&scid=", t.scid)
		dst = appendParam(dst, "&sduoid=", t.sduoid)
		dst = appendParam(dst, "&srh=", t.srh)
		dst = appendParam(dst, "&srq=", t.srq)
	}
	dst = appendParam(dst, "&rscc=", t.rscc)
	dst = appendParam(dst, "&rscd=", t.rscd)
	dst = appendParam(dst, "&rsce=", t.rsce)
	dst = appendParam(dst, "&rscl=", t.rscl)
	return appendParam(dst, "&rsct=", t.rsct)
}

// appendWord is appendParam for values of letters, digits and hyphens.
func appendWord(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return append(append(dst, name...), value...)
}

func appendParam(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return wire.AppendEscape(append(dst, name...), value)
}

// appendTime is appendParam for 2006-01-02T15:04:05Z.
func appendTime(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(append(append(dst, name...), value[:13]...), "%3A"...)
	dst = append(append(dst, value[14:16]...), "%3A"...)
	return append(dst, value[17:]...)
}

// A message is what Shared Key signs of a request.
type message struct {
	method  string
	header  http.Header
	length  int64          // what Content-Length says; -1 if it is not sent
	version string         // x-ms-version
	headers []sigv4.Header // the x-ms- ones, as msHeaders makes them
	account string
	path    string      // encoded, as it is sent
	params  [][2]string // decoded, as queryParams makes them
}

// appendSharedKey appends what Shared Key signs of a request to the blob, queue or file service.
func appendSharedKey(dst []byte, m *message) []byte {
	length := ""
	if m.length > 0 || m.length == 0 && m.version < vBlob {
		length = strconv.FormatInt(m.length, 10)
	}
	dst = appendLines(dst, m.method,
		m.value("Content-Encoding"), m.value("Content-Language"), length, m.value("Content-Md5"), m.value("Content-Type"), m.date(),
		m.value("If-Modified-Since"), m.value("If-Match"), m.value("If-None-Match"), m.value("If-Unmodified-Since"), m.value("Range"))
	dst = appendHeaders(dst, m.headers, m.version)
	return appendMessageResource(dst, m.account, m.path, m.params)
}

// appendMessageResource appends the canonicalized resource of Shared Key: account, path as it is sent, and the whole query. Where
// the account is in the path, it is there twice.
func appendMessageResource(dst []byte, account, path string, params [][2]string) []byte {
	dst = append(append(append(dst, '/'), account...), path...)
	for _, p := range params {
		dst = append(append(append(append(dst, '\n'), p[0]...), ':'), p[1]...)
	}
	return dst
}

// appendSharedKeyLite appends what Shared Key Lite signs. Of the query it signs only comp.
func appendSharedKeyLite(dst []byte, service string, m *message) []byte {
	if service == "table" {
		date := m.value("X-Ms-Date")
		if date == "" {
			date = m.value("Date")
		}
		dst = appendLines(dst, date)
	} else {
		dst = appendLines(dst, m.method, m.value("Content-Md5"), m.value("Content-Type"), m.date())
		dst = appendHeaders(dst, m.headers, m.version)
	}
	dst = append(append(append(dst, '/'), m.account...), m.path...)
	for _, p := range m.params {
		if p[0] == "comp" {
			dst = append(append(dst, "?comp="...), p[1]...)
		}
	}
	return dst
}

// date is the line of the header Date, which is empty if x-ms-date is among the headers.
func (m *message) date() string {
	if m.value("X-Ms-Date") != "" {
		return ""
	}
	return m.value("Date")
}

func (m *message) value(name string) string {
	return trimmed(strings.Join(m.header[name], ","))
}

// appendHeaders appends the canonicalized headers. Services before 2016-05-31 leave out empty ones.
func appendHeaders(dst []byte, headers []sigv4.Header, version string) []byte {
	for _, h := range headers {
		if len(h.Value) == 0 && !signsEmpty(version) {
			continue
		}
		dst = append(append(dst, h.Name...), ':')
		dst = append(append(dst, h.Value...), '\n')
	}
	return dst
}

// msHeaders collects the x-ms- headers, in the order in which the service sorts them. The documentation wants runs of blanks in a
// value folded; SDKs do not, and servers take what SDKs send.
func msHeaders(h http.Header) (headers []sigv4.Header) {
	for name, values := range h {
		if len(values) > 0 && len(name) > len("x-ms-") && strings.EqualFold(name[:len("x-ms-")], "x-ms-") {
			headers = append(headers, sigv4.Header{Name: []byte(strings.ToLower(name)), Value: []byte(trimmed(strings.Join(values, ",")))})
		}
	}
	slices.SortFunc(headers, func(a, b sigv4.Header) int { return compareNames(a.Name, b.Name) })
	return headers
}

// signsEmpty reports whether headers without a value are signed.
func signsEmpty(version string) bool { return version == "" || version >= v2016 }

// trimmed is a header's value as it is signed.
func trimmed(value string) string { return strings.Trim(value, " \t") }

// compareNames orders names as the service does, which is not by bytes: hyphens count only between names that are otherwise
// equal, and punctuation stands before digits, digits before letters. So x-ms-meta-a_b comes before x-ms-meta-a1.
func compareNames(a, b []byte) int {
	i, j := 0, 0
	for {
		for i < len(a) && a[i] == '-' {
			i++
		}
		for j < len(b) && b[j] == '-' {
			j++
		}
		if i == len(a) || j == len(b) {
			break
		}
		if d := rank(a[i]) - rank(b[j]); d != 0 {
			return d
		}
		i, j = i+1, j+1
	}
	if d := (len(a) - i) - (len(b) - j); d != 0 { // one goes on
		return d
	}
	for i := range min(len(a), len(b)) { // the one whose first hyphen is further behind
		if a[i] != b[i] {
			if a[i] == '-' {
				return 1
			}
			return -1
		}
	}
	return len(a) - len(b)
}

func rank(c byte) int {
	switch {
	case 'a' <= c && c <= 'z':
		return 2<<8 + int(c)
	case '0' <= c && c <= '9':
		return 1<<8 + int(c)
	}
	return int(c)
}

// queryParams returns the parameters of a raw query as the canonicalized resource of Shared Key has them: names in lower case
// and sorted, the values of one name sorted and joined with commas.
func queryParams(rawQuery string) ([][2]string, error) {
	values := make(map[string][]string)
	for name, value := range wire.Pairs(rawQuery) {
		n, err := wire.UnescapeQuery(name)
		if err != nil {
			return nil, err
		}
		v, err := wire.UnescapeQuery(value)
		if err != nil {
			return nil, err
		}
		n = strings.ToLower(n)
		values[n] = append(values[n], v)
	}
	params := make([][2]string, 0, len(values))
	for name, list := range values {
		slices.Sort(list)
		params = append(params, [2]string{name, strings.Join(list, ",")})
	}
	slices.SortFunc(params, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return params, nil
}
