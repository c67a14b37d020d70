package signer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/cloudsigner/cloudsigner/signer"
)

const (
	hex64   = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
	hex64FP = "REDACTED-d419368c" // sha256(hex64)
)

func TestRedactURL(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{
			"S3 V4",
			"https://b.s3.eu-west-1.amazonaws.com/a%20b/c.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261122%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20261122T101112Z&X-Amz-Expires=900&X-Amz-SignedHeaders=content-type%3Bhost&X-Amz-Security-Token=FwoGZXIvYXdzEJr%2F%2F%2Bab%3D&versionId=3&X-Amz-Signature=" + hex64,
			"https://b.s3.eu-west-1.amazonaws.com/a%20b/c.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=REDACTED%2F20261122%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20261122T101112Z&X-Amz-Expires=900&X-Amz-SignedHeaders=content-type%3Bhost&X-Amz-Security-Token=REDACTED&versionId=3&X-Amz-Signature=" + hex64FP,
		},
		{
			"S3 V4a, no region, raw slashes",
			"https://h/?X-Amz-Credential=AK/20261122/s3/aws4_request&X-Amz-Region-Set=*&X-Amz-Signature=3045",
			"https://h/?X-Amz-Credential=REDACTED/20261122/s3/aws4_request&X-Amz-Region-Set=*&X-Amz-Signature=REDACTED",
		},
		{
			"S3 Express",
			"https://h/k?X-Amz-S3session-Token=abc&x-amz-s3session-token=def&X-Amz-Expires=300",
			"https://h/k?X-Amz-S3session-Token=REDACTED&x-amz-s3session-token=REDACTED&X-Amz-Expires=300",
		},
		{
			"S3 V2",
			"https://h/k?AWSAccessKeyId=AKIA&Expires=1141889120&Signature=vjbyPxybdZaNmGa%2ByT272YEAiv4%3D",
			"https://h/k?AWSAccessKeyId=REDACTED&Expires=1141889120&Signature=REDACTED",
		},
		{
			"CloudFront",
			"https://d.cloudfront.net/k?Policy=eyJTdGF0~&Signature=" + hex64 + "&Key-Pair-Id=K2JC&Expires=1",
			"https://d.cloudfront.net/k?Policy=REDACTED&Signature=" + hex64FP + "&Key-Pair-Id=REDACTED&Expires=1",
		},
		{
			"GCS V4",
			"https://storage.googleapis.com/b/o?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=me%40p.iam.gserviceaccount.com%2F20261122%2Fauto%2Fstorage%2Fgoog4_request&X-Goog-Date=20261122T000000Z&X-Goog-Expires=60&X-Goog-SignedHeaders=host&X-Goog-Signature=" + hex64,
			"https://storage.googleapis.com/b/o?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=REDACTED%2F20261122%2Fauto%2Fstorage%2Fgoog4_request&X-Goog-Date=20261122T000000Z&X-Goog-Expires=60&X-Goog-SignedHeaders=host&X-Goog-Signature=" + hex64FP,
		},
		{
			"GCS V2",
			"https://h/o?GoogleAccessId=me@p.iam.gserviceaccount.com&Expires=1&Signature=abc",
			"https://h/o?GoogleAccessId=REDACTED&Expires=1&Signature=REDACTED",
		},
		{
			"GCS resumable session",
			"https://h/o?uploadType=resumable&upload_id=ABPtcPq",
			"https://h/o?uploadType=resumable&upload_id=REDACTED",
		},
		{
			"S3 multipart",
			"https://h/o?partNumber=2&uploadId=ibZBv&key-marker=k&KeyName=n",
			"https://h/o?partNumber=2&uploadId=REDACTED&key-marker=k&KeyName=n",
		},
		{
			"Azure user delegation",
			"https://a.blob.core.windows.net/c/b?sv=2022-11-02&st=2026-11-22T00%3A00%3A00Z&se=2026-11-23T00%3A00%3A00Z&skoid=11&sktid=22&skt=2026&ske=2027&sks=b&skv=2022-11-02&saoid=33&suoid=44&scid=55&skdutid=66&sduoid=77&sip=1.2.3.4&spr=https&sr=b&sp=r&rscd=attachment&sig=" + hex64,
			"https://a.blob.core.windows.net/c/b?sv=2022-11-02&st=2026-11-22T00%3A00%3A00Z&se=2026-11-23T00%3A00%3A00Z&skoid=REDACTED&sktid=REDACTED&skt=2026&ske=2027&sks=b&skv=2022-11-02&saoid=REDACTED&suoid=REDACTED&scid=REDACTED&skdutid=REDACTED&sduoid=REDACTED&sip=1.2.3.4&spr=https&sr=b&sp=r&rscd=attachment&sig=" + hex64FP,
		},
		{
			"OSS V4",
			"https://b.oss-cn-hangzhou.aliyuncs.com/k?x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential=AK%2F20261122%2Fcn-hangzhou%2Foss%2Faliyun_v4_request&x-oss-date=20261122T000000Z&x-oss-expires=60&x-oss-additional-headers=host&x-oss-security-token=CAIS&x-oss-signature=" + hex64,
			"https://b.oss-cn-hangzhou.aliyuncs.com/k?x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential=REDACTED%2F20261122%2Fcn-hangzhou%2Foss%2Faliyun_v4_request&x-oss-date=20261122T000000Z&x-oss-expires=60&x-oss-additional-headers=host&x-oss-security-token=REDACTED&x-oss-signature=" + hex64FP,
		},
		{
			"OSS V1 and V2",
			"https://h/k?OSSAccessKeyId=AK&Expires=1&Signature=s&security-token=t&x-oss-access-key-id=AK",
			"https://h/k?OSSAccessKeyId=REDACTED&Expires=1&Signature=REDACTED&security-token=REDACTED&x-oss-access-key-id=REDACTED",
		},
		{
			"Cloud CDN prefix",
			"https://cdn/v/1.ts?URLPrefix=aHR0cHM6Ly9jZG4vdg==&Expires=1566268009&KeyName=k1&Signature=8NBSdQGzvDftrOIa3WHpp646Iis=",
			"https://cdn/v/1.ts?URLPrefix=aHR0cHM6Ly9jZG4vdg==&Expires=1566268009&KeyName=k1&Signature=REDACTED",
		},
		{
			"Media CDN path",
			"https://m/v/edge-cache-token=Expires=1&KeyName=k1&Signature=" + hex64 + "/seg/1.ts?x=1",
			"https://m/v/edge-cache-token=Expires=1&KeyName=k1&Signature=" + hex64FP + "/seg/1.ts?x=1",
		},
		{
			"Media CDN path, nothing after",
			"https://m/edge-cache-token=Expires=1&KeyName=k1&Signature=abc?x=1",
			"https://m/edge-cache-token=Expires=1&KeyName=k1&Signature=REDACTED?x=1",
		},
		{
			"Media CDN path, opaque",
			"https://m/edge-cache-token=abc/seg/1.ts",
			"https://m/edge-cache-token=REDACTED/seg/1.ts",
		},
		{
			"Media CDN tokens",
			"https://m/p?hdnts=URLPrefix=aHR0~Expires=1~hmac=" + hex64 + "&token=Expires=1~Signature=abc~x&y=1",
			"https://m/p?hdnts=URLPrefix=aHR0~Expires=1~hmac=" + hex64FP + "&token=Expires=1~Signature=REDACTED~x&y=1",
		},
		{
			"Media CDN token, opaque", "https://m/p?hdnts=abc&y=1", "https://m/p?hdnts=REDACTED&y=1",
		},
		{
			"cookie value",
			"Cloud-CDN-Cookie=URLPrefix=aHR0:Expires=1:KeyName=k:Signature=abc",
			"Cloud-CDN-Cookie=URLPrefix=aHR0:Expires=1:KeyName=k:Signature=REDACTED",
		},
		{
			"encryption keys",
			"https://h/?x-amz-server-side-encryption-customer-key=a&x-amz-server-side-encryption-customer-key-md5=b&x-ms-encryption-key-sha256=c",
			"https://h/?x-amz-server-side-encryption-customer-key=REDACTED&x-amz-server-side-encryption-customer-key-md5=b&x-ms-encryption-key-sha256=c",
		},
		{
			"generic",
			"/cb?token=a&access_token=b&api-key=c&client_secret=d&password=e&code=f&key=AIza&continuation-token=g&page=2",
			"/cb?token=REDACTED&access_token=REDACTED&api-key=REDACTED&client_secret=REDACTED&password=REDACTED&code=REDACTED&key=REDACTED&continuation-token=g&page=2",
		},
		{"fragment", "https://h/p#access_token=abc&state=1", "https://h/p#access_token=REDACTED&state=1"},
		{"fragment after query", "https://h/p?sig=abc#top", "https://h/p?sig=REDACTED#top"},
		{"case", "https://h/?x-AMZ-sIgNaTuRe=abc&SIG=abc", "https://h/?x-AMZ-sIgNaTuRe=REDACTED&SIG=REDACTED"},
		{"encoded name", "https://h/?%73ig=abc&X%2DAmz%2dSignature=abc", "https://h/?%73ig=REDACTED&X%2DAmz%2dSignature=REDACTED"},
		{"doubly encoded name", "https://h/?%2573ig=abc&%25%37%33ig=abc", "https://h/?%2573ig=REDACTED&%25%37%33ig=REDACTED"},
		{"encoded equals sign", "https://h/?sig%3Dabc%26x=1&y=2", "https://h/?sig%3DREDACTED%26x=1&y=2"},
		{"HTML", "https://h/?a=1&amp;sig=abc&amp;b=2&#38;sig=x", "https://h/?a=1&amp;sig=REDACTED&amp;b=2&#38;sig=REDACTED"},
		{"JSON", `https://h/?a=1\u0026sig\u003dabc\u0026b=2`, `https://h/?a=1\u0026sig\u003dREDACTED\u0026b=2`},
		{"semicolon", "https://h/?a=1;sig=abc", "https://h/?a=1;sig=REDACTED"},
		{"array", "https://h/?token[]=abc&user[password]=x&token+=y", "https://h/?token[]=REDACTED&user[password]=REDACTED&token+=REDACTED"},
		{"ampersand in the value", "https://h/?sig=a%26b%2526c&d=1", "https://h/?sig=REDACTED&d=1"},
		{"slash and plus in the value", "https://h/?sig=a/b+c==&d=1", "https://h/?sig=REDACTED&d=1"},
		{"twice", "https://h/?sig=abc&sig=def", "https://h/?sig=REDACTED&sig=REDACTED"},
		{"empty", "https://h/?sig=&a=1", "https://h/?sig=&a=1"},
		{"no value", "https://h/?sig&a=1", "https://h/?sig&a=1"},
		{
			"nested", "https://h/r?to=https%3A%2F%2Fu%3Apw%40b%2Fk%3Fsig%3Dabc%26e%3D1&x=1",
			"https://h/r?to=https%3A%2F%2Fu%3AREDACTED%40b%2Fk%3Fsig%3DREDACTED%26e%3D1&x=1",
		},
		{"nested twice", "https://h/?to=%253Fsig%253Dabc%2526e&x=1", "https://h/?to=%253Fsig%253DREDACTED%2526e&x=1"},
		{"encoded whole", "https%3A%2F%2Fh%2Fk%3Fsig%3Da%2Fb", "https%3A%2F%2Fh%2Fk%3Fsig%3DREDACTED"},
		{"query only", "X-Amz-Expires=1&X-Amz-Security-Token=a/b?c&d=1", "X-Amz-Expires=1&X-Amz-Security-Token=REDACTED&d=1"},
		{"question mark lost", "https://h/k&sig=a/b", "https://h/k&sig=REDACTED"},
		{"partition", "s3://b/day=2026-11-22/k=1/f", "s3://b/day=2026-11-22/k=1/f"},
		{"password", "https://me:pw@h:9000/k?a=b", "https://me:REDACTED@h:9000/k?a=b"},
		{"password with at", "https://me:p@w@h/k@2", "https://me:REDACTED@h/k@2"},
		{"password with equals", "https://me:pw=@h/", "https://me:REDACTED@h/"},
		{"password of digits with equals", "https://me:12=@h/", "https://me:REDACTED@h/"},
		{"password with slash", "https://me:p/w@h/k", "https://me:REDACTED@h/k"},
		{"password with question mark", "https://me:p?w@h/k", "https://me:REDACTED@h/k"},
		{"token as user", "https://ghp_abc@h/k", "https://REDACTED@h/k"},
		{"token as user, empty password", "https://sk_live:@h/k", "https://REDACTED@h/k"},
		{"password, no scheme", "me:pw@h/k", "me:REDACTED@h/k"},
		{"password, relative", "//me:pw@h/k", "//me:REDACTED@h/k"},
		{"password, one slash", "https:/me:pw@h/k", "https:/me:REDACTED@h/k"},
		{"password, backslashes", `https:\\me:pw@h/k`, `https:\\me:REDACTED@h/k`},
		{"at in the path", "https://h:80/u@x//v@y?a=b@c", "https://h:80/u@x//v@y?a=b@c"},
		{"at in the path, IPv6", "https://[::1]/u@x", "https://[::1]/u@x"},
		{"broken escapes", "https://h/%zz?%=1&sig=%zz%&a=%", "https://h/%zz?%=1&sig=REDACTED&a=%"},
		{"spaces and control characters", "ht tp://h/a b\x00?\x7f=1& sig=a b\nc&d=\t", "ht tp://h/a b\x00?\x7f=1& sig=REDACTED&d=\t"},
		{"not UTF-8", "https://h/\xff?sig=\xfe&a=\xfd", "https://h/\xff?sig=REDACTED&a=\xfd"},
		{"design is not sig", "https://h/?design=1&sigma=2&keyword=3&tokenize=4", "https://h/?design=1&sigma=2&keyword=3&tokenize=4"},
		{"scope that is none", "https://h/?X-Amz-Credential=AK%2F20261122%2FwJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY%2Fs3%2Faws4_request", "https://h/?X-Amz-Credential=REDACTED"},
		{"scope of another kind", "https://h/?X-Amz-Credential=AK/2026/x/s3/aws4_request&x-oss-credential=secret/20261122", "https://h/?X-Amz-Credential=REDACTED&x-oss-credential=REDACTED"},
		{"key id with slash", "https://h/?X-Amz-Credential=A/K/20261122/r/s3/aws4_request", "https://h/?X-Amz-Credential=REDACTED/20261122/r/s3/aws4_request"},
		{"fingerprint is of the decoded value", "https://h/?sig=%61%65" + hex64[2:], "https://h/?sig=" + hex64FP},
		{"value within a value", "https://h/?sig%253Da;x-oss-signature=b%26c&d=1", "https://h/?sig%253DREDACTED&d=1"},
		{"at within a value", "https://a:b/&sig=c@d&e=1", "https://a:REDACTED&e=1"},
		{"delimiter within a value", "x://y%3Dsig%3Da?b%26c@d", "x://REDACTED@d"},
		{"nothing", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := signer.RedactURL(tt.in)
			if got != tt.want {
				t.Errorf("RedactURL(%q)\n got %q\nwant %q", tt.in, got, tt.want)
			}
			if again := signer.RedactURL(got); again != got {
				t.Errorf("redacting %q again gives %q", got, again)
			}
		})
	}
}

// secretNames are parameters whose whole value must vanish, one scheme after the other.
func secretNames() []string {
	return []string{
		"X-Amz-Signature", "X-Amz-Security-Token", "X-Amz-Credential", "x-amz-s3session-token",
		"AWSAccessKeyId", "Signature", "Policy", "Key-Pair-Id",
		"X-Goog-Signature", "X-Goog-Credential", "GoogleAccessId", "upload_id", "uploadId",
		"sig", "skoid", "sktid", "skdutid", "saoid", "suoid", "sduoid", "scid",
		"x-oss-signature", "x-oss-credential", "x-oss-security-token", "security-token", "OSSAccessKeyId", "x-oss-access-key-id",
		"hmac", "access_token", "refreshToken", "id_token", "api_key", "client_secret", "password", "key",
		"x-amz-server-side-encryption-customer-key", "x-amz-copy-source-server-side-encryption-customer-key",
		"x-goog-encryption-key", "x-ms-encryption-key",
		"edge-cache-token", "hdnts", "token",
	}
}

func FuzzRedactURL(f *testing.F) {
	f.Add("https://h/p?a=b", uint(0), uint(0), uint64(0), "abc", "&c=d")
	f.Add("https://u:p@h/p?a=%", uint(3), uint(5), uint64(0x5555), "a+b/c==", "#x=y")
	f.Add("https://h/edge-cache-token=Expires=1", uint(5), uint(1), uint64(1), "", "/x?y")
	f.Add("https://h:x/p", uint(44), uint(7), uint64(0x8000), "%2F", "&z=a@b")
	f.Add("https://a&sig=x/y&b@c", uint(13), uint(2), uint64(3), "", "\\u0026")
	names := secretNames()
	separators := []string{"&", "?", "#", ";", "&amp;", "%26", "%3F", "%2526", `\u0026`, "/?", "&&"}
	f.Fuzz(func(t *testing.T, before string, name, separator uint, spelling uint64, junk, after string) {
		const core = "tHeSecReTiTseLf"
		// Whatever belongs to a value: but not what ends it.
		junk = strings.Map(func(r rune) rune {
			if strings.ContainsRune("&#~?\\", r) {
				return -1
			}
			return r
		}, junk)
		if spelling>>63 == 1 {
			before = "https://h/p?" + before // within a query, a slash belongs to the value too
		} else {
			junk = strings.ReplaceAll(junk, "/", "")
		}
		plain := names[name%uint(len(names))]
		if plain == "edge-cache-token" || plain == "hdnts" || plain == "token" {
			junk = "" // could make it a list of open fields
		}
		var spelt strings.Builder
		for i := range len(plain) {
			c := plain[i]
			bit := spelling >> (2 * uint(i) % 62)
			switch bit & 3 {
			case 1:
				fmt.Fprintf(&spelt, "%%%02x", c)
			case 2:
				fmt.Fprintf(&spelt, "%%25%02X", c)
			case 3:
				spelt.WriteString(strings.ToUpper(string(c)))
			default:
				spelt.WriteByte(c)
			}
		}
		raw := before + separators[separator%uint(len(separators))] + spelt.String() + "=" + junk + core + after
		if strings.Contains(before+after+junk, core) {
			return
		}

		got := signer.RedactURL(raw)
		if strings.Contains(got, core) {
			t.Errorf("RedactURL(%q) shows the secret: %q", raw, got)
		}
		if again := signer.RedactURL(got); again != got {
			t.Errorf("RedactURL(%q) is %q, and that redacted again %q", raw, got, again)
		}
		err := signer.RedactError(fmt.Errorf("upload: %w, %v", &url.Error{Op: "Get", URL: raw, Err: io.EOF}, raw))
		if strings.Contains(err.Error(), core) {
			t.Errorf("RedactError shows the secret of %q: %q", raw, err)
		}
		if !strings.ContainsAny(before, `=@%\`) && signer.RedactURL(before) != before {
			t.Errorf("RedactURL(%q) = %q, but nothing in it is secret", before, signer.RedactURL(before))
		}
	})
}

func TestRedactHeader(t *testing.T) {
	const signed = "https://h/k?e=1&sig=abc"
	const clean = "https://h/k?e=1&sig=REDACTED"
	for _, tt := range []struct{ name, in, want string }{
		{"Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20261122/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + hex64, "AWS4-HMAC-SHA256 Credential=REDACTED/20261122/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + hex64FP},
		{"Authorization", "OSS4-HMAC-SHA256 Credential=AK/20261122/cn-hangzhou/oss/aliyun_v4_request,AdditionalHeaders=host,Signature=" + hex64, "OSS4-HMAC-SHA256 Credential=REDACTED/20261122/cn-hangzhou/oss/aliyun_v4_request,AdditionalHeaders=host,Signature=" + hex64FP},
		{"authorization", "GOOG4-RSA-SHA256 Credential=a@b/20261122/auto/storage/goog4_request,SignedHeaders=host,Signature=abc", "GOOG4-RSA-SHA256 Credential=REDACTED/20261122/auto/storage/goog4_request,SignedHeaders=host,Signature=REDACTED"},
		{"Authorization", "AWS4-HMAC-SHA256 Credential=AK/x, SignedHeaders=host Signature=abc, abc, Foo=abc", "AWS4-HMAC-SHA256 Credential=REDACTED, SignedHeaders=REDACTED, REDACTED, REDACTED"},
		{"Authorization", "AWS AKIA:abc=", "AWS REDACTED"},
		{"Authorization", "SharedKey account:abc=", "SharedKey REDACTED"},
		{"Authorization", "Bearer abc", "Bearer REDACTED"},
		{"Authorization", "bearer abc def", "bearer REDACTED"},
		{"Authorization", "abc", "REDACTED"},
		{"Authorization", "abc def", "REDACTED"},
		{"Authorization", "", ""},
		{"PROXY-AUTHORIZATION", "Basic abc", "Basic REDACTED"},
		{"X-Ms-Copy-Source-Authorization", "Bearer abc", "Bearer REDACTED"},
		{"Cookie", "a=abc; Cloud-CDN-Cookie=URLPrefix=x:Signature=abc;abc", "a=REDACTED; Cloud-CDN-Cookie=REDACTED; REDACTED"},
		{"set-cookie", "Edge-Cache-Cookie=URLPrefix=x:Signature=abc; Path=/v; Expires=Thu, 01 Jan 2026 00:00:00 GMT; Secure; abc", "Edge-Cache-Cookie=REDACTED; Path=/v; Expires=Thu, 01 Jan 2026 00:00:00 GMT; Secure; REDACTED"},
		{"x-amz-security-token", "abc", "REDACTED"},
		{"X-Amz-S3session-Token", "abc", "REDACTED"},
		{"X-Oss-Security-Token", "abc", "REDACTED"},
		{"X-Goog-Iam-Authorization-Token", "abc", "REDACTED"},
		{"X-Amz-Server-Side-Encryption-Customer-Key", "abc", "REDACTED"},
		{"X-Amz-Server-Side-Encryption-Customer-Key-Md5", "digest", "digest"},
		{"X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key", "abc", "REDACTED"},
		{"X-Goog-Encryption-Key", "abc", "REDACTED"},
		{"X-Goog-Copy-Source-Encryption-Key", "abc", "REDACTED"},
		{"X-Ms-Encryption-Key", "abc", "REDACTED"},
		{"X-Ms-Source-Encryption-Key", "abc", "REDACTED"},
		{"X-Oss-Server-Side-Encryption-Customer-Key", "abc", "REDACTED"},
		{"X-Api-Key", "abc", "REDACTED"},
		{"X-Auth-Token", "abc", "REDACTED"},
		{"Ocp-Apim-Subscription-Key", "abc", "REDACTED"},
		{"X-Guploader-Uploadid", "abc", "REDACTED"},
		{"Token", "Expires=1~hmac=abc", "REDACTED"},
		{"Referer", signed, clean},
		{"Location", "/k?sig=abc", "/k?sig=REDACTED"},
		{"Content-Location", signed, clean},
		{"X-Amz-Copy-Source", "/b/k?versionId=1&sig=abc", "/b/k?versionId=1&sig=REDACTED"},
		{"x-ms-copy-source", signed, clean},
		{"X-Client-Request-Url", signed, clean},
		{"Link", "<" + signed + `>; rel="next", <` + signed + `>; rel="prev"`, "<" + clean + `>; rel="next", <` + clean + `>; rel="prev"`},
		{"Link", "<" + signed, "<" + clean},
		{"Refresh", "5; url=" + signed, "5; url=" + clean},
		{"X-Amz-Meta-From", signed, clean},
		{"Content-Type", "text/plain; charset=utf-8", "text/plain; charset=utf-8"},
		{"X-Amz-Date", "20261122T000000Z", "20261122T000000Z"},
		{"X-Amz-Content-Sha256", hex64, hex64},
		{"Content-Security-Policy", "default-src 'self'", "default-src 'self'"},
		{"Idempotency-Key", "k", "k"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := http.Header{tt.name: {tt.in, tt.in}}
			got := signer.RedactHeader(in)
			if want := (http.Header{tt.name: {tt.want, tt.want}}); !reflect.DeepEqual(got, want) {
				t.Errorf("RedactHeader(%q)\n got %q\nwant %q", in, got, want)
			}
			if unchanged := (http.Header{tt.name: {tt.in, tt.in}}); !reflect.DeepEqual(in, unchanged) {
				t.Errorf("RedactHeader changed its argument to %q", in)
			}
			if again := signer.RedactHeader(got); !reflect.DeepEqual(again, got) {
				t.Errorf("redacting %q again gives %q", got, again)
			}
		})
	}
	if got := signer.RedactHeader(nil); got != nil {
		t.Errorf("RedactHeader(nil) = %v, want nil", got)
	}
	if got := signer.RedactHeader(http.Header{}); got == nil || len(got) != 0 {
		t.Errorf("RedactHeader of an empty header = %#v", got)
	}
}

// errWithURL is another library's error that prints a whole URL but wraps no *url.Error.
type errWithURL struct{ code int }

func (e *errWithURL) Error() string {
	return fmt.Sprintf("status %d (GET https://h/k?x-oss-expires=60&x-oss-signature=%s), code=404", e.code, hex64)
}

// wrapper repeats in its text what it wraps, and answers as a net.Error.
type wrapper struct{ error }

func (w wrapper) Unwrap() error { return w.error }
func (w wrapper) Timeout() bool { return true }

func (w wrapper) Temporary() bool { return false }

// opaque only answers As.
type opaque struct{ u *url.Error }

func (o opaque) Error() string { return "opaque" }
func (o opaque) As(target any) bool {
	if p, ok := target.(**url.Error); ok {
		*p = o.u
		return true
	}
	return false
}

func TestRedactError(t *testing.T) {
	const secret = "S3cr3tSignatureValue"
	signed := "https://h/a b?X-Amz-Expires=60&X-Amz-Signature=" + secret + "&t=\x7f\"é"
	failed := func(inner error) *url.Error { return &url.Error{Op: "Get", URL: signed, Err: inner} }
	sentinel := errors.New("sentinel")
	coded := &errWithURL{404}
	_, parse := url.Parse(signed)

	for _, tt := range []struct {
		name string
		err  error
		is   error
		text string // must be in the result
	}{
		{"alone", failed(sentinel), sentinel, `Get "https://h/a b?X-Amz-Expires=60&X-Amz-Signature=REDACTED&t=\x7f\"é": sentinel`},
		{"wrapped", fmt.Errorf("get: %w", failed(sentinel)), sentinel, `get: Get "https://h/a b?X-Amz-Expires=60&X-Amz-Signature=REDACTED&t=\x7f\"é": sentinel`},
		{"wrapper prints the URL plainly", fmt.Errorf("get %s: %w", signed, failed(sentinel)), sentinel, "get https://h/a b?X-Amz-Expires=60&X-Amz-Signature=REDACTED&t=\x7f\"é: Get"},
		{"wrapper prints the query", fmt.Errorf("X-Amz-Signature=%s: %w", secret, failed(sentinel)), sentinel, "X-Amz-Signature=REDACTED: Get"},
		{"joined", errors.Join(io.EOF, failed(sentinel)), sentinel, "EOF\nGet"},
		{"two wrapped", fmt.Errorf("%w and %w", failed(io.EOF), failed(sentinel)), sentinel, `REDACTED&t=\x7f\"é": EOF and Get`},
		{"joined under a text that hides it", opaqueJoin{io.EOF, failed(sentinel)}, sentinel, "failed"},
		{"deep", wrapper{fmt.Errorf("a: %w", errors.Join(wrapper{failed(sentinel)}))}, sentinel, "a: Get"},
		{"nested", failed(failed(sentinel)), sentinel, "sentinel"},
		{"inner text repeats the URL", failed(fmt.Errorf("bad %q: %w", signed, sentinel)), sentinel, `: bad "https://h/a b?X-Amz-Expires=60&X-Amz-Signature=REDACTED`},
		{"parse", parse, nil, "invalid control character in URL"},
		{"other library", fmt.Errorf("x: %w", coded), coded, "x: status 404 (GET https://h/k?x-oss-expires=60&x-oss-signature=" + hex64FP + "), code=404"},
		{"wrapper hides its text", opaqueWrap{failed(sentinel)}, sentinel, "failed"},
		{"only As", opaque{failed(sentinel)}, nil, "opaque"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := signer.RedactError(tt.err)
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
				if text := fmt.Sprintf(verb, got); strings.Contains(text, secret) || strings.Contains(text, hex64) {
					t.Errorf("%s shows the secret: %s", verb, text)
				}
			}
			if !strings.Contains(got.Error(), tt.text) {
				t.Errorf("text is %q, want %q in it", got, tt.text)
			}
			if tt.is != nil && !errors.Is(got, tt.is) {
				t.Errorf("errors.Is(%v, %v) is false", got, tt.is)
			}
			for e := got; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(e.Error(), secret) {
					t.Errorf("the chain shows the secret: %v", e)
				}
			}
			var before, after *url.Error
			if errors.As(tt.err, &before) != errors.As(got, &after) {
				t.Fatalf("errors.As to *url.Error changed: %v, %v", before, after)
			}
			if before != nil {
				if after == before || strings.Contains(after.URL, secret) || strings.Contains(after.Error(), secret) || after.Op != before.Op {
					t.Errorf("errors.As gives %v", after)
				}
				if !strings.Contains(before.Error(), secret) {
					t.Errorf("the original was changed to %v", before)
				}
			}
			if again := signer.RedactError(got); again.Error() != got.Error() {
				t.Errorf("redacting %q again gives %q", got, again)
			}
		})
	}
}

// opaqueWrap does not repeat the text of what it wraps.
type opaqueWrap struct{ error }

func (o opaqueWrap) Error() string { return "failed" }
func (o opaqueWrap) Unwrap() error { return o.error }

type opaqueJoin []error

func (o opaqueJoin) Error() string   { return "failed" }
func (o opaqueJoin) Unwrap() []error { return o }

func TestRedactErrorAs(t *testing.T) {
	signed := "https://h/?sig=S3cr3tSignatureValue"
	coded := &errWithURL{404}
	got := signer.RedactError(errors.Join(fmt.Errorf("a: %w", wrapper{&url.Error{Op: "Put", URL: signed, Err: context.DeadlineExceeded}}), coded))
	if e := (*errWithURL)(nil); !errors.As(got, &e) || e != coded {
		t.Errorf("errors.As to a concrete type gives %v", e)
	}
	if !errors.Is(got, context.DeadlineExceeded) || !errors.Is(got, coded) {
		t.Error("errors.Is finds less than before")
	}
	var n net.Error
	if !errors.As(got, &n) || !n.Timeout() || strings.Contains(n.Error(), "S3cr3t") {
		t.Errorf("errors.As to net.Error gives %v", n)
	}

	// The error of http.Client is asserted to net.Error without As, and asks its inner error for Timeout.
	alone := signer.RedactError(&url.Error{Op: "Put", URL: signed, Err: wrapper{errors.New(signed)}})
	n, ok := alone.(net.Error)
	if !ok || !n.Timeout() || !os.IsTimeout(alone) || strings.Contains(alone.Error(), "S3cr3t") {
		t.Errorf("%T %v has lost its timeout", alone, alone)
	}
	if n := net.Error(nil); errors.As(signer.RedactError(coded), &n) {
		t.Error("errors.As finds a net.Error where there was none")
	}
}

func TestRedactErrorUnchanged(t *testing.T) {
	if err := signer.RedactError(nil); err != nil {
		t.Errorf("RedactError(nil) = %v", err)
	}
	var none *url.Error
	for _, err := range []error{
		io.EOF,
		fmt.Errorf("object key=a/b: code=404: %w", io.EOF),
		&url.Error{Op: "Get", URL: "https://h/k?a=b", Err: io.EOF},
		fmt.Errorf("get: %w", &url.Error{Op: "Get", URL: "https://h/k?a=b", Err: io.EOF}),
		none,
	} {
		if got := signer.RedactError(err); got != err {
			t.Errorf("RedactError(%v) = %v, want the very same", err, got)
		}
	}
}

// A URL that begins with another one, and one that is no single word, are replaced whole.
func TestRedactErrorWholeURL(t *testing.T) {
	failed := func(u string) error { return &url.Error{Op: "Get", URL: u, Err: io.EOF} }
	long := "https://h/?sig=" + hex64 + "ff"
	for _, tt := range []struct {
		err  error
		want string
	}{
		{
			fmt.Errorf("%w; %w", failed(long[:len(long)-2]), failed(long)),
			`Get "` + signer.RedactURL(long[:len(long)-2]) + `": EOF; Get "` + signer.RedactURL(long) + `": EOF`,
		},
		{fmt.Errorf("x: %w", failed("https://h/?sig=\x7fa b")), `x: Get "https://h/?sig=REDACTED": EOF`},
	} {
		if got := signer.RedactError(tt.err).Error(); got != tt.want {
			t.Errorf("RedactError(%q)\n got %s\nwant %s", tt.err, got, tt.want)
		}
	}
}

func TestRedactErrorPassword(t *testing.T) {
	_, err := url.Parse(strings.Join([]string{"https://user:pa55", "word@h", ""}, "/"))
	if !strings.Contains(err.Error(), `":pa55"`) {
		t.Skipf("url.Parse no longer quotes the begin of the password: %v", err)
	}
	if got := signer.RedactError(err).Error(); strings.Contains(got, "pa55") || strings.Contains(got, "word") {
		t.Error(got)
	}
}

func TestRedactErrorOfClient(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "https://other/?sig=S3cr3tSignatureValue\x7f")
		w.WriteHeader(http.StatusFound)
	}))
	defer server.Close()
	_, err := server.Client().Get(server.URL + "/k?X-Amz-Signature=An0therSecret")
	if err == nil {
		t.Fatal("the client followed a broken redirect")
	}
	got := signer.RedactError(err)
	if text := got.Error(); strings.Contains(text, "S3cr3t") || strings.Contains(text, "An0ther") {
		t.Error(text)
	}
	if _, ok := got.(*url.Error); !ok {
		t.Errorf("the client's error became a %T", got)
	}
}

func ExampleRedactURL() {
	fmt.Println(signer.RedactURL("https://b.s3.amazonaws.com/report.pdf?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261122%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261122T101112Z&X-Amz-Expires=900&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"))
	// Output:
	// https://b.s3.amazonaws.com/report.pdf?X-Amz-Credential=REDACTED%2F20261122%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261122T101112Z&X-Amz-Expires=900&X-Amz-Signature=REDACTED-d419368c
}

func ExampleRedactHeader() {
	h := http.Header{
		"Authorization": {"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261122/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"},
		"X-Amz-Date":    {"20261122T101112Z"},
	}
	clean := signer.RedactHeader(h)
	fmt.Println(clean.Get("Authorization"))
	fmt.Println(clean.Get("X-Amz-Date"))
	// Output:
	// AWS4-HMAC-SHA256 Credential=REDACTED/20261122/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=REDACTED-d419368c
	// 20261122T101112Z
}

func ExampleRedactError() {
	err := error(&url.Error{
		Op:  "Get",
		URL: "https://a.blob.core.windows.net/c/b?se=2026-11-22T11%3A00%3A00Z&sp=r&sig=c2VjcmV0",
		Err: context.DeadlineExceeded,
	})
	err = signer.RedactError(fmt.Errorf("download: %w", err))
	fmt.Println(err)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// download: Get "https://a.blob.core.windows.net/c/b?se=2026-11-22T11%3A00%3A00Z&sp=r&sig=REDACTED": context deadline exceeded
	// true
}
