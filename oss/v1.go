package oss

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file verifies signature version 1, HMAC-SHA1 with the bare secret, which nothing here makes:
//
//	Authorization: OSS ID:BASE64
//	?OSSAccessKeyId=ID&Expires=UNIX&Signature=BASE64
//
// https://www.alibabacloud.com/help/en/oss/developer-reference/include-signatures-in-the-authorization-header
// https://alibabacloud.com/help/en/oss/developer-reference/guidelines-for-upgrading-v1-signatures-to-v4-signatures

const (
	schemeV1   = "OSS V1"
	phaseOutV1 = "OSS phases out: accounts made since 2025-03-01 do not have it, and neither do buckets made since 2025-09-01"

	paramKeyIDV1     = "OSSAccessKeyId"
	paramExpiresV1   = "Expires"
	paramSignatureV1 = "Signature"
	paramTokenV1     = "security-token"
)

// claimV1 is what a request says about its signature of version 1.
type claimV1 struct {
	id, signature, token string
	date                 string // as it is signed
	at                   time.Time
	presigned            bool
	signed               url.Values // the parameters that are signed, the token among them
}

// verifyV1 checks a signature of version 1.
func (v *Verifier) verifyV1(ctx context.Context, f *faults, r *arrival, found form, errPlace error) (*signer.Grant, error) {
	c := f.claimV1(r, found)
	v.checkTimesV1(f, &c, r.now)
	var names []string
	for name := range r.Header {
		if signedByDefault(name) || name == "Date" && !c.presigned {
			names = append(names, strings.ToLower(name))
		}
	}
	slices.Sort(names)
	f.plainHeaders(r.Header, names)
	f.LooseHeaders(r.Request, names, true, codeNotAccepted)
	if errPlace != nil {
		f.Errs = append(f.Errs, errPlace)
	}
	if strings.Contains(r.key, "?") {
		f.malformed(ecUnknown, "URL", "version 1 cannot tell a question mark in a key from the beginning of the parameters; sign with %s", algorithm)
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	creds, err := v.credentials(ctx, f.Op, c.id, c.token, r.now)
	if err != nil {
		return nil, err
	}
	toSign := stringToSignV1(&c, r)
	if t := signer.TraceFrom(ctx); t != nil {
		t.CanonicalRequest, t.StringToSign = nil, slices.Clone(toSign)
	}
	if !hmac.Equal([]byte(signatureV1(creds.AccessKeySecret, toSign)), []byte(c.signature)) {
		return nil, f.Op.Refusal(signer.ErrMismatch, "Signature", ecMismatchV1,
			"another method, bucket, key, parameter or header than was signed, or another secret; compare the strings to sign (signer.WithTrace)")
	}
	c.signed.Del(paramTokenV1)
	g := &signer.Grant{
		Backend: "oss", Scheme: schemeV1, KeyID: c.id,
		Method: pipeline.MethodOf(r.Method), Bucket: r.bucket, Key: r.key, Query: c.signed,
		ExpiresAt:     c.at,
		SignedHeaders: names,
		Header:        pipeline.SignedHeader(r.Request, names, trimmed),
		Response:      pipeline.SignedResponse(c.signed),
		Fingerprint:   pipeline.Fingerprint(append(toSign, c.signature...)),
	}
	if !c.presigned {
		g.SignedAt, g.NotBefore, g.ExpiresAt = c.at, c.at.Add(-v.leeway), c.at.Add(v.leeway)
	}
	return g, nil
}

// signatureV1 signs.
func signatureV1(secret signer.Secret, stringToSign []byte) string {
	mac := hmac.New(sha1.New, secret.Reveal())
	mac.Write(stringToSign)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// stringToSignV1 is the text that is signed: there is no canonical request.
func stringToSignV1(c *claimV1, r *arrival) []byte {
	line := func(dst []byte, s string) []byte { return append(append(dst, s...), '\n') }
	dst := line(nil, pipeline.MethodOf(r.Method))
	dst = line(dst, headerValue(r.Header["Content-Md5"]))
	dst = line(dst, headerValue(r.Header["Content-Type"]))
	dst = line(dst, c.date)
	var headers []string
	for name, values := range r.Header {
		if hasPrefixFold(name, "x-oss-") {
			headers = append(headers, strings.ToLower(name)+":"+headerValue(values))
		}
	}
	slices.SortFunc(headers, func(a, b string) int { // by name alone: a colon sorts behind a hyphen
		nameA, _, _ := strings.Cut(a, ":")
		nameB, _, _ := strings.Cut(b, ":")
		return strings.Compare(nameA, nameB)
	})
	for _, h := range headers {
		dst = line(dst, h)
	}
	dst = append(dst, '/')
	if r.bucket != "" {
		dst = append(append(append(dst, r.bucket...), '/'), r.key...)
	}
	names := make([]string, 0, len(c.signed))
	for name := range c.signed {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		dst = append(append(dst, "?&"[min(i, 1)]), name...)
		if value := c.signed.Get(name); value != "" {
			dst = append(append(dst, '='), value...)
		}
	}
	return dst
}

// claimV1 reads the signature from where it is.
func (f *faults) claimV1(r *arrival, found form) (c claimV1) {
	c.presigned = found == formV1Query
	f.parametersV1(&c, r.rawQuery)
	if c.presigned {
		return c
	}
	var ok bool
	c.id, c.signature, ok = strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "OSS "), ":")
	switch {
	case !ok || c.id == "":
		f.malformed(ecUnknown, "Authorization", "it must be OSS ID:SIGNATURE")
	case c.signature == "":
		f.malformed(ecEmptyV1, "Authorization", "its signature is empty; it must be OSS ID:SIGNATURE")
	}
	c.token = strings.Join(r.Header["X-Oss-Security-Token"], ",")
	field, values := "X-Oss-Date", r.Header["X-Oss-Date"] // what browsers send, which cannot set Date
	if values == nil {
		field, values = "Date", r.Header["Date"]
	}
	if len(values) != 1 {
		f.malformed(ecNoDate, "Date", "the request needs one, of the form Mon, 02 Jan 2006 15:04:05 GMT")
		return c
	}
	var err error
	if c.at, err = parseHTTPDate(values[0]); err != nil {
		f.malformed(ecDateForm, field, "%w", err)
	}
	c.date = values[0]
	return c
}

// parametersV1 reads the query.
func (f *faults) parametersV1(c *claimV1, rawQuery string) {
	seen := make(map[string]bool)
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
		switch {
		case c.presigned && name == paramKeyIDV1:
			c.id = value
		case c.presigned && name == paramSignatureV1:
			if c.signature = value; value == "" {
				f.malformed(ecUnknown, name, "it is empty")
			}
		case c.presigned && name == paramExpiresV1:
			f.expiresV1(c, value)
		case c.presigned && slices.Contains([]string{"ossaccesskeyid", "signature", "expires"}, strings.ToLower(name)):
			f.malformed(ecUnknown, "URL", "a parameter of the signature is not spelt like this")
		case signedParamV1(name):
			if strings.ContainsAny(name, "&=") || strings.Contains(value, "&") {
				f.malformed(ecUnknown, "URL", "version 1 cannot tell an ampersand in a parameter from the next one; sign with %s", algorithm)
			}
			if c.signed == nil {
				c.signed = make(url.Values)
			}
			c.signed[name] = []string{value}
			if name == paramTokenV1 {
				c.token = value
			}
		}
	}
	if !c.presigned {
		return
	}
	for _, p := range [...]struct{ name, code string }{{paramKeyIDV1, ecUnknown}, {paramExpiresV1, "0002-00000067"}, {paramSignatureV1, "0002-00000074"}} {
		if !seen[p.name] {
			f.malformed(p.code, p.name, "it is missing; was the URL cut, or is it not quoted in a shell?")
		}
	}
}

func (f *faults) expiresV1(c *claimV1, value string) {
	c.date = value
	seconds, err := strconv.ParseInt(value, 10, 64)
	switch {
	case value == "":
		f.malformed("0002-00000068", paramExpiresV1, "it is empty")
	case err != nil || seconds < 1 || strconv.FormatInt(seconds, 10) != value || seconds > maxUnix:
		f.malformed("0002-00000070", paramExpiresV1, "it is no number of seconds since 1970")
	default:
		c.at = time.Unix(seconds, 0).UTC()
	}
}

const maxUnix = 253402300799 // 9999-12-31T23:59:59Z

func (v *Verifier) checkTimesV1(f *faults, c *claimV1, now time.Time) {
	const field = "Date"
	switch {
	case c.at.IsZero(): // said already
	case c.presigned && !now.Before(c.at):
		f.add(signer.ErrExpired, ecExpiredV1, paramExpiresV1, "the URL was good until %s, and it is %s", c.at.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case c.presigned:
	case now.Before(c.at.Add(-v.leeway)):
		f.add(signer.ErrNotYetValid, ecSkew, field, "the request was signed for %s, and it is %s; correct the signer's clock", c.at.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case !now.Before(c.at.Add(v.leeway)):
		f.add(signer.ErrExpired, ecSkew, field, "the request was signed for %s, and it is %s", c.at.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
}

// signedParamV1 reports whether version 1 signs a parameter: sub-resources, overrides of the answer's headers, and OSS's own. The
// list is that of both Go SDKs together.
func signedParamV1(name string) bool {
	switch name {
	case "acl", "append", "asyncFetch", "bucketInfo", "callback", "callback-var", "cloudboxes", "cname", "comp", "continuation-token",
		"cors", "delete", "encryption", "endTime", "img", "inventory", "inventoryId", "lifecycle", "live", "location", "logging",
		"metaQuery", "objectMeta", "partNumber", "policy", "position", "qos", "qosInfo", "referer", "regionList", "replication",
		"replicationLocation", "replicationProgress", "requestPayment", "resourceGroup", "response-cache-control",
		"response-content-disposition", "response-content-encoding", "response-content-language", "response-content-type",
		"response-expires", "responseHeader", "restore", "rtc", paramTokenV1, "sequential", "startTime", "stat", "status", "style",
		"styleName", "symlink", "tagging", "transferAcceleration", "udf", "udfApplication", "udfApplicationLog", "udfId", "udfImage",
		"udfImageDesc", "udfName", "uploadId", "uploads", "versionId", "versioning", "versions", "vod", "website", "withHashContext",
		"worm", "wormExtend", "wormId":
		return true
	}
	return strings.HasPrefix(name, "x-oss-")
}
