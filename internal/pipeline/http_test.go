package pipeline

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

func TestHeaderValues(t *testing.T) {
	h := http.Header{"X-A": {"1", "2"}, "x-b": {"3"}, "X-Empty": {}}
	for name, want := range map[string][]string{
		"X-A": {"1", "2"}, "x-a": {"1", "2"}, "X-B": {"3"}, "X-EMPTY": {}, "X-C": nil, "": nil,
	} {
		if got := HeaderValues(h, name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, want %#v", name, got, want)
		}
	}
	spellings := http.Header{}
	for _, name := range strings.Fields("X-Ab x-ab X-AB x-aB X-aB x-Ab x-AB X-ab") {
		spellings[name[:3]+strings.ToLower(name[3:])] = []string{"another"}
		spellings[name] = []string{name}
	}
	for name := range spellings {
		if got := HeaderValues(spellings, name); !reflect.DeepEqual(got, spellings[name]) {
			t.Errorf("of many spellings, %s gets %q, want its own", name, got)
		}
	}
	if got := HeaderValues(nil, "X-A"); got != nil {
		t.Errorf("of no header: %q", got)
	}
}

func TestDeleteHeader(t *testing.T) {
	full := http.Header{"Authorization": {"1"}, "authorization": {"2"}, "AUTHORIZATION": {"3"}, "X-Amz-Date": {"4"},
		"X-Amz-Date-2": {"5"}, "Proxy-Authorization": {"6"}}
	for names, want := range map[string]string{
		"":                                 "AUTHORIZATION Authorization Proxy-Authorization X-Amz-Date X-Amz-Date-2 authorization",
		"x-amz-date":                       "AUTHORIZATION Authorization Proxy-Authorization X-Amz-Date-2 authorization",
		"authorization X-AMZ-DATE missing": "Proxy-Authorization X-Amz-Date-2",
	} {
		h, left := full.Clone(), http.Header{}
		DeleteHeader(h, strings.Fields(names)...)
		for _, name := range strings.Fields(want) {
			left[name] = full[name]
		}
		if !reflect.DeepEqual(h, left) {
			t.Errorf("without %q there are %v, want %s", names, h, want)
		}
	}
	DeleteHeader(nil, "a") // does not panic
}

func TestSetHeader(t *testing.T) {
	var h http.Header
	values := []string{"1", "2"}
	SetHeader(&h, "x-a", values)
	SetHeader(&h, "X-B", []string{"old"})
	SetHeader(&h, "x-B", []string{"new"})
	values[0] = "changed later"
	if want := (http.Header{"X-A": {"1", "2"}, "X-B": {"new"}}); !reflect.DeepEqual(h, want) {
		t.Errorf("got %v, want %v", h, want)
	}
}

func TestCopyHeader(t *testing.T) {
	h := http.Header{"x-a": {"1", "2"}, "X-B": {"3"}, "X-C": {"4", "5", "6"}}
	got := CopyHeader(h)
	if want := (http.Header{"X-A": {"1", "2"}, "X-B": {"3"}, "X-C": {"4", "5", "6"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, expecting %v", got, want)
	}
	for name := range got { // what is done to one does nothing to another
		got.Add(name, "more")
		got[name][0] = "changed"
	}
	if want := (http.Header{"X-A": {"changed", "2", "more"}, "X-B": {"changed", "more"}, "X-C": {"changed", "5", "6", "more"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, expecting %v", got, want)
	}
	if original := (http.Header{"x-a": {"1", "2"}, "X-B": {"3"}, "X-C": {"4", "5", "6"}}); !reflect.DeepEqual(h, original) || CopyHeader(http.Header{}) != nil || CopyHeader(nil) != nil {
		t.Error("the original has changed, or nothing is copied as something")
	}
}

func TestCanonicalHost(t *testing.T) {
	for _, tt := range []struct{ scheme, host, want string }{
		{"https", "h", "h"}, {"https", "h:443", "h"}, {"https", "h:80", "h:80"}, {"https", "h:8443", "h:8443"},
		{"https", "[::1]:443", "[::1]"},
		{"http", "h", "h"}, {"http", "h:80", "h"}, {"http", "h:443", "h:443"}, {"http", "h:8080", "h:8080"}, {"http", "[::80]", "[::80]"},
	} {
		if got := CanonicalHost(tt.scheme, tt.host); got != tt.want {
			t.Errorf("%s://%s: got %s, want %s", tt.scheme, tt.host, got, tt.want)
		}
	}
}

func TestHostOf(t *testing.T) {
	for _, tt := range []struct{ rawURL, host, want string }{
		{"https://h:443/a", "", "h"}, {"http://h:443/a", "", "h:443"},
		{"https://h/a", "front.example", "front.example"}, {"https://h:9000/a", "front.example:443", "front.example"},
		{"http://h/a", "Front.example:80", "Front.example"}, // spelt as it is sent
	} {
		req := request("GET", tt.rawURL)()
		req.Host = tt.host
		if got := HostOf(req); got != tt.want {
			t.Errorf("%s with the Host %q: got %s, want %s", tt.rawURL, tt.host, got, tt.want)
		}
	}
}

func TestHostname(t *testing.T) {
	for host, want := range map[string]string{"h": "h", "h:9000": "h", "[::1]:9000": "::1", "[::1]": "::1", "127.0.0.1:80": "127.0.0.1", "": ""} {
		if got := Hostname(host); got != want {
			t.Errorf("%s: got %s, want %s", host, got, want)
		}
	}
}

func TestLocate(t *testing.T) {
	for rawURL, want := range map[string][3]string{
		"https://h":                   {"https", "h", ""},
		"https://H.Example:443/":      {"https", "h.example", ""},
		"http://H:443/Base/":          {"http", "h:443", "/Base"},
		"http://h:80/a/b//":           {"http", "h", "/a/b"},
		"https://[2001:DB8::1]/s3":    {"https", "[2001:db8::1]", "/s3"},
		"https://h/a%20b+%2Fc%7E/%25": {"https", "h", "/a%20b%2B/c~/%25"},
	} {
		u, err := url.Parse(rawURL)
		if err != nil {
			t.Fatal(err)
		}
		scheme, host, base := Locate(u)
		if got := [3]string{scheme, host, base}; got != want {
			t.Errorf("%s: got %q, want %q", rawURL, got, want)
		}
	}
}

func TestMethodOf(t *testing.T) {
	for m, want := range map[string]string{"": "GET", "GET": "GET", "HEAD": "HEAD", "PUT": "PUT", "get": "get"} {
		if got := MethodOf(m); got != want {
			t.Errorf("%q: got %s, want %s", m, got, want)
		}
	}
}

func TestPresigned(t *testing.T) {
	memory := []byte("https://h/a?sig=1")
	start := time.Date(2026, 11, 24, 23, 59, 50, 0, time.UTC)
	plan := Plan{Now: start.Unix() + 30, Start: start.Unix(), End: start.Unix() + 900,
		StableUntil: start.Unix() + 60, LimitedBy: signer.LimitCredentials}
	got := Presigned("PUT", memory, &plan, -time.Minute)
	memory[0] = 'x' // the pool's, for the next signature
	want := &signer.Presigned{Method: "PUT", URL: "https://h/a?sig=1", NotBefore: start, ExpiresAt: start.Add(15 * time.Minute),
		LimitedBy: signer.LimitCredentials, StableUntil: start.Add(time.Minute), ClockOffset: -time.Minute}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v of %s, want %+v of %s", got, got.URL, want, want.URL)
	}
	if got := Presigned("GET", nil, &Plan{Start: 1, End: 2}, 0); !got.StableUntil.IsZero() {
		t.Errorf("without a window it is stable until %v", got.StableUntil)
	}
}

// Every byte, in front of and behind others, so that no place is overlooked.
func TestAlphabets(t *testing.T) {
	for _, tt := range []struct {
		name string
		is   func(string) bool
		all  string
	}{
		{"LowerHex", LowerHex, "0123456789abcdef"},
		{"LowerToken", LowerToken, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"}, // RFC 9110, 5.6.2, without capitals
		{"HostLabel", func(s string) bool { return HostLabel("0" + s + "0") }, "-0123456789abcdefghijklmnopqrstuvwxyz"},
	} {
		for c := range 256 {
			b := string([]byte{byte(c)})
			want := strings.Contains(tt.all, b)
			for _, s := range []string{b, b + "a0", "a" + b + "0", "a0" + b} {
				if tt.is(s) != want {
					t.Errorf("%s(%q) = %v", tt.name, s, !want)
				}
			}
		}
	}
	if !LowerHex("") || LowerToken("") {
		t.Errorf("empty: LowerHex %v, LowerToken %v, want true, false", LowerHex(""), LowerToken(""))
	}
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func TestHostLabels(t *testing.T) {
	for s, want := range map[string]bool{
		"": false, "ab": false, "abc": true, "my-bucket": true, "my.bucket.1": true, "0.1": true, "1.2.3": true, "123456": true,
		strings.Repeat("a", 63): true, strings.Repeat("a", 64): false,
		strings.Repeat("a.b.", 15) + "abc": true, strings.Repeat("a.b.", 15) + "abcd": false,
		"My-bucket": false, "my_bucket": false, "my bucket": false, "my/bucket": false, "bücher": false,
		"-my": false, "my-": false, "a.-b": false, "a-.b": false, ".ab": false, "ab.": false, "a..b": false, "...": false,
		"192.168.5.4": false, "192.168.5.4a": true, "a192.168.5.4": true, "192.168.5.4.5": true, "192.168.5.256": true,
	} {
		if got := HostLabels(s); got != want {
			t.Errorf("HostLabels(%q) = %v", s, got)
		}
	}
	for s, want := range map[string]bool{
		"": false, "a": true, "-": false, "-a": false, "a-": false, "a--b": true, "a.b": false,
		strings.Repeat("a", 63): true, strings.Repeat("a", 64): false,
	} {
		if got := HostLabel(s); got != want {
			t.Errorf("HostLabel(%q) = %v", s, got)
		}
	}
}

// Header is Field as it is spelt in HTTP.
func TestOverridesNamesHeaders(t *testing.T) {
	before := ""
	for _, o := range Overrides(&signer.ResponseHeaders{}) {
		if strings.ReplaceAll(o.Header, "-", "") != o.Field || http.CanonicalHeaderKey(o.Header) != o.Header {
			t.Errorf("%s names the header %s", o.Field, o.Header)
		}
		if o.Header <= before {
			t.Errorf("%s comes after %s", o.Header, before)
		}
		before = o.Header
	}
}
