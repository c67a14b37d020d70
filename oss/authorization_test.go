package oss_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/signer"
)

const (
	credential = "Credential=LTAI5tExampleExampleExam/20231203/cn-hangzhou/oss/aliyun_v4_request"
	additional = "AdditionalHeaders=host;range"
	signature  = "Signature=4b663e424d2db9967401ff6ce1c86f8c83cabd77d9908475239d9110642c63fa"
)

// The documents and most SDKs write the pairs in this order and without spaces; aliyun-oss-python-sdk has the list at the end,
// and a space after the comma.
func TestParseAuthorization(t *testing.T) {
	for header, list := range map[string][]string{
		"OSS4-HMAC-SHA256 " + credential + "," + signature:                           nil,
		"OSS4-HMAC-SHA256 " + credential + ", " + signature:                          nil,
		"OSS4-HMAC-SHA256 " + credential + "," + additional + "," + signature:        {"host", "range"},
		"OSS4-HMAC-SHA256 " + credential + ", " + signature + ", " + additional:      {"host", "range"},
		"OSS4-HMAC-SHA256 " + signature + "," + additional + ", " + credential:       {"host", "range"},
		"OSS4-HMAC-SHA256 " + credential + ",AdditionalHeaders=host," + signature:    {"host"},
		"OSS4-HMAC-SHA256 " + credential + ",AdditionalHeaders=a-b;a.b," + signature: {"a-b", "a.b"},
	} {
		a, err := oss.ParseAuthorization(header)
		if err != nil || a.AccessKeyID != keyID || a.Date != "20231203" || a.Region != "cn-hangzhou" || a.Product != "oss" ||
			!slices.Equal(a.AdditionalHeaders, list) || a.Signature != strings.TrimPrefix(signature, "Signature=") {
			t.Errorf("%s\n%+v, %v", header, a, err)
		}
	}
	a, err := oss.ParseAuthorization("OSS4-HMAC-SHA256 Credential=a/20231203/cb-123/oss-cloudbox/aliyun_v4_request," + signature)
	if err != nil || a.Region != "cb-123" || a.Product != "oss-cloudbox" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestParseAuthorizationErrors(t *testing.T) {
	const oss4 = "OSS4-HMAC-SHA256 "
	scope := func(s string) string { return oss4 + "Credential=" + s + "," + signature }
	list := func(s string) string {
		return oss4 + credential + ",AdditionalHeaders=" + s + "," + signature
	}
	for _, tt := range []struct {
		header string
		faults []string // field and the last three digits of the code, one for each fault
	}{
		{"", []string{"Authorization 061"}},
		{"Bearer x", []string{"Authorization 061"}},
		{"OSS a:b", []string{"Authorization 061"}},
		{"oss4-hmac-sha256 " + credential, []string{"Authorization 061"}},
		{"OSS4-HMAC-SHA256", []string{"Authorization 202", "Authorization 203", "Credential 205", "Signature 207"}},
		{oss4 + credential, []string{"Authorization 202", "Signature 207"}},
		{oss4 + signature, []string{"Authorization 202", "Credential 205"}},
		{oss4 + credential + "," + additional, []string{"Signature 207"}},
		{oss4 + additional + "," + signature, []string{"Credential 205"}},
		{oss4 + credential + "," + additional + "," + signature + ",", []string{"Authorization 202", "Authorization 203"}},
		{oss4 + credential + "," + signature + "," + signature, []string{"Signature "}},
		{oss4 + "CredentialAK," + signature + ",UnknownKey=1", []string{"Authorization 203", "UnknownKey 204"}},
		{oss4 + credential + ",SignedHeaders=host," + signature, []string{"SignedHeaders 204"}},
		{oss4 + "credential=a," + signature, []string{"credential 204", "Credential 205"}},
		{oss4 + credential + ",  " + signature, []string{" 204", "Signature 207"}},
		{oss4 + credential + ";" + signature, []string{"Authorization 202", "Credential 213", "Signature 207"}},
		{oss4 + credential + ",Signature", []string{"Authorization 203"}},
		{oss4 + credential + "," + strings.Replace(signature, "=", ":", 1), []string{"Authorization 203"}},
		{oss4 + credential + ",Signature=", []string{"Signature 208"}},
		{oss4 + credential + "," + signature + "0", []string{"Signature "}},
		{oss4 + credential + "," + strings.ToUpper(signature[:11]) + signature[11:], []string{"SIGNATURE 204", "Signature 207"}},
		{oss4 + credential + ",Signature=" + strings.Repeat("A", 64), []string{"Signature "}},
		{scope("a/b"), []string{"Credential "}},
		{scope(""), []string{"Credential "}},
		{scope("a/20231203//oss/aliyun_v4_request"), []string{"Credential "}},
		{scope("a/20231203/cn-hangzhou/oss/aliyun_v4_request/x"), []string{"Credential "}},
		{scope(`\ra/20231203/cn-hangzhou/oss/aliyun_v4_request`), []string{"Credential 206"}},
		{scope("a/2023-12-03/cn-hangzhou/oss/aliyun_v4_request"), []string{"Credential 212"}},
		{scope("a/20231233/cn-hangzhou/oss/aliyun_v4_request"), []string{"Credential 212"}},
		{scope("a/20231203/oss-cn-hangzhou/oss/aliyun_v4_request"), []string{"Credential 226"}},
		{scope("a/20231203/InvalidRegion/oss/aliyun_v4_request"), []string{"Credential 226"}},
		{scope("a/20231203/cn-hangzhou/s3/aliyun_v4_request"), []string{"Credential 227"}},
		{scope("a/20231203/cn-hangzhou/oss/aws4_request"), []string{"Credential 213"}},
		{scope("a/1/oss-x/s3/y"), []string{"Credential 212", "Credential 226", "Credential 227", "Credential 213"}},
		{list(""), []string{"AdditionalHeaders 209"}},
		{list("host;"), []string{"AdditionalHeaders 210"}},
		{list(";host"), []string{"AdditionalHeaders 210"}},
		{list("a_b;host"), []string{"AdditionalHeaders 211"}},
		{list("Host"), []string{"AdditionalHeaders "}},
		{list("range;host"), []string{"AdditionalHeaders "}},
		{list("host;host"), []string{"AdditionalHeaders "}},
		{list("content-type"), []string{"AdditionalHeaders "}},
		{list("x-oss-date"), []string{"AdditionalHeaders "}},
	} {
		_, err := oss.ParseAuthorization(tt.header)
		joined, _ := err.(interface{ Unwrap() []error })
		if joined == nil {
			t.Errorf("%s\nerror %v", tt.header, err)
			continue
		}
		var faults []string
		for _, err := range joined.Unwrap() {
			var e *signer.Error
			if !errors.As(err, &e) || !errors.Is(e, signer.ErrMalformed) && !errors.Is(e, signer.ErrScope) || e.Code != "" && !strings.HasPrefix(e.Code, "0002-00000") {
				t.Errorf("%s\nundocumented error %v", tt.header, err)
				continue
			}
			faults = append(faults, e.Field+" "+strings.TrimPrefix(e.Code, "0002-00000"))
		}
		if !slices.Equal(faults, tt.faults) {
			t.Errorf("%s\nfaults %q, want %q:\n%v", tt.header, faults, tt.faults, err)
		}
	}
}

// Whatever comes in, errors are the documented ones and hold no signature; what parses can be written again.
func FuzzParseAuthorization(f *testing.F) {
	for _, s := range []string{"", "OSS4-HMAC-SHA256 " + credential + ", " + signature + "," + additional, "OSS4-HMAC-SHA256 a=b,c", "OSS4-HMAC-SHA256 " + signature, "OSS4-HMAC-SHA256 " + credential + "," + signature} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		a, err := oss.ParseAuthorization(header)
		if err != nil {
			if !errors.Is(err, signer.ErrMalformed) && !errors.Is(err, signer.ErrScope) {
				t.Errorf("undocumented error %v", err)
			}
			if strings.Contains(err.Error(), strings.TrimPrefix(signature, "Signature=")) {
				t.Errorf("a signature in %v", err)
			}
			return
		}
		again := "OSS4-HMAC-SHA256 Credential=" + strings.Join([]string{a.AccessKeyID, a.Date, a.Region, a.Product, "aliyun_v4_request"}, "/")
		if a.AdditionalHeaders != nil {
			again += ",AdditionalHeaders=" + strings.Join(a.AdditionalHeaders, ";")
		}
		again += ",Signature=" + a.Signature
		if len(again) != len(strings.ReplaceAll(header, ", ", ",")) {
			t.Errorf("%q was read as %q", header, again)
		}
		b, err := oss.ParseAuthorization(again)
		if err != nil || b.AccessKeyID != a.AccessKeyID || !slices.Equal(a.AdditionalHeaders, b.AdditionalHeaders) || b.Signature != a.Signature {
			t.Errorf("%q was read as %+v, written as %q, read as %+v, %v", header, a, again, b, err)
		}
	})
}
