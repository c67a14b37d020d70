package storefake_test

import (
	"net/http"
	"strings"
	"testing"
)

// A form is read up to its file, and no further yet.
func TestForm(t *testing.T) {
	f := newFixture(t)
	post := func(contentType, body string) *http.Request {
		req, err := http.NewRequest("POST", f.URL+"/demo", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		return req
	}
	const media = "multipart/form-data; boundary=b"
	field := func(name, value string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	file := "--b\r\nContent-Disposition: form-data; name=\"File\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n" + strings.Repeat("x", 50_000) + "\r\n--b--\r\n"
	f.wantRefusal(501, post(media, field("key", "k")+field("policy", "e30=")+file), map[string]string{"Code": "NotImplemented",
		"Message": "This store does not take form uploads yet; presign a PUT."})
	f.refused(501, "NotImplemented", post(media, field("key", strings.Repeat("k", 20_000))+file))
	f.refused(400, "MaxPostPreDataLengthExceeded", post(media, field("key", strings.Repeat("k", 30_000))+file))
	f.refused(400, "MaxPostPreDataLengthExceeded", post(media, strings.Repeat(field("", ""), 1000)+file))
	f.wantRefusal(400, post(media, field("key", "k")+"--b--\r\n"), map[string]string{"Code": "InvalidArgument", "ArgumentName": "file", "ArgumentValue": "0",
		"Message": "POST requires exactly one file upload per request."})
	f.refused(400, "MalformedPOSTRequest", post(media, "key=k"))
	f.refused(400, "MalformedPOSTRequest", post(media, field("key", "k")[:53]))
	f.refused(400, "MalformedPOSTRequest", post("multipart/form-data", field("key", "k")+file))
	f.refused(403, "AccessDenied", post("application/x-www-form-urlencoded", "key=k"))
	if got := f.Keys(); len(got) != 0 {
		t.Errorf("%q", got)
	}
	forged := f.sign("POST", "", "", "Content-Type", media)
	forged.Header.Set("Content-Type", media+"2")
	f.refused(403, "SignatureDoesNotMatch", forged)
	// With a signature of its own, a request is what that says, whatever its body.
	id := element(func() string {
		_, body := f.want(200, f.sign("POST", "/k?uploads", field("key", "k")+file, "Content-Type", media))
		return body
	}(), "UploadId")
	f.want(204, f.sign("DELETE", "/k?uploadId="+id, ""))
}
