package s3_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

const (
	credential = "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
	signed     = "SignedHeaders=host;range;x-amz-date"
	signature  = "Signature=fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024"
)

func TestParseAuthorization(t *testing.T) {
	for _, header := range []string{
		"AWS4-HMAC-SHA256 " + credential + "," + signed + "," + signature,
		"AWS4-HMAC-SHA256 " + credential + ", " + signed + ", " + signature,
		"AWS4-HMAC-SHA256 " + signature + "," + credential + ", " + signed,
	} {
		a, err := s3.ParseAuthorization(header)
		if err != nil || a.AccessKeyID != "AKIAIOSFODNN7EXAMPLE" || a.Date != "20130524" || a.Region != "us-east-1" || a.Service != "s3" ||
			!slices.Equal(a.SignedHeaders, []string{"host", "range", "x-amz-date"}) || a.Signature != strings.TrimPrefix(signature, "Signature=") {
			t.Errorf("%s\n%+v, %v", header, a, err)
		}
	}
}

func TestParseAuthorizationErrors(t *testing.T) {
	const aws = "AWS4-HMAC-SHA256 "
	for _, tt := range []struct {
		header string
		fields []string // one for each fault
	}{
		{"", []string{"Authorization"}},
		{"Bearer x", []string{"Authorization"}},
		{"aws4-hmac-sha256 " + credential, []string{"Authorization"}},
		{"AWS4-HMAC-SHA256", []string{"Authorization", "Credential", "SignedHeaders", "Signature"}},
		{aws + credential + "," + signed, []string{"Signature"}},
		{aws + credential + "," + signed + "," + signature + ",", []string{"Authorization"}},
		{aws + credential + "," + signed + "," + signature + "," + signature, []string{"Signature"}},
		{aws + credential + "," + signed + "," + signature + ",UnknownKey=1,CredentialAK", []string{"UnknownKey", "Authorization"}},
		{aws + "credential=a," + signed + "," + signature, []string{"credential", "Credential"}},
		{aws + "Credential=a/b," + signed + "," + signature, []string{"Credential"}},
		{aws + "Credential=AK/20130532/us-east-1/s3/aws4_request," + signed + "," + signature, []string{"Credential"}},
		{aws + "Credential=AK/20130524//s3/aws4_request," + signed + "," + signature, []string{"Credential"}},
		{aws + "Credential=AK/20130524/us-east-1/s3/aws4," + signed + "," + signature, []string{"Credential"}},
		{aws + credential + ",SignedHeaders=," + signature, []string{"SignedHeaders"}},
		{aws + credential + ",SignedHeaders=range;x-amz-date," + signature, []string{"SignedHeaders"}},
		{aws + credential + ",SignedHeaders=x-amz-date;host," + signature, []string{"SignedHeaders"}},
		{aws + credential + ",SignedHeaders=host;host," + signature, []string{"SignedHeaders"}},
		{aws + credential + ",SignedHeaders=Host," + signature, []string{"SignedHeaders"}},
		{aws + credential + "," + signed + ",Signature=", []string{"Signature"}},
		{aws + credential + "," + signed + ",Signature=" + strings.Repeat("g", 64), []string{"Signature"}},
		{aws + credential + "," + signed + "," + signature + "0", []string{"Signature"}},
		{aws + credential + ",  " + signed + "," + signature, []string{"", "SignedHeaders"}},
		{aws + credential + "," + signed + "," + strings.Replace(signature, "=", ":", 1), []string{"Authorization", "Signature"}},
	} {
		_, err := s3.ParseAuthorization(tt.header)
		joined, _ := err.(interface{ Unwrap() []error })
		if joined == nil {
			t.Errorf("%s\nerror %v", tt.header, err)
			continue
		}
		var fields []string
		for _, err := range joined.Unwrap() {
			var e *signer.Error
			if !errors.As(err, &e) || e.Code != "AuthorizationHeaderMalformed" || !errors.Is(e, signer.ErrMalformed) && !errors.Is(e, signer.ErrScope) {
				t.Errorf("%s\nundocumented error %v", tt.header, err)
				continue
			}
			fields = append(fields, e.Field)
		}
		if !slices.Equal(fields, tt.fields) {
			t.Errorf("%s\nfaults in %q, want %q:\n%v", tt.header, fields, tt.fields, err)
		}
	}
}

// Whatever comes in, errors are the documented ones and hold no signature; what parses can be written again.
func FuzzParseAuthorization(f *testing.F) {
	for _, s := range []string{"", "AWS4-HMAC-SHA256 " + credential + ", " + signed + "," + signature, "AWS4-HMAC-SHA256 a=b,c", "AWS4-HMAC-SHA256 " + signature} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		a, err := s3.ParseAuthorization(header)
		if err != nil {
			if !errors.Is(err, signer.ErrMalformed) && !errors.Is(err, signer.ErrScope) && !errors.Is(err, signer.ErrUnsupported) {
				t.Errorf("undocumented error %v", err)
			}
			if strings.Contains(err.Error(), strings.TrimPrefix(signature, "Signature=")) {
				t.Errorf("a signature in %v", err)
			}
			return
		}
		again := "AWS4-HMAC-SHA256 Credential=" + strings.Join([]string{a.AccessKeyID, a.Date, a.Region, a.Service, "aws4_request"}, "/") +
			",SignedHeaders=" + strings.Join(a.SignedHeaders, ";") + ",Signature=" + a.Signature
		b, err := s3.ParseAuthorization(again)
		if err != nil || b.AccessKeyID != a.AccessKeyID || !slices.Equal(a.SignedHeaders, b.SignedHeaders) || b.Signature != a.Signature {
			t.Errorf("%q was read as %+v, written as %q, read as %+v, %v", header, a, again, b, err)
		}
	})
}
