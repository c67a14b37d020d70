package azure

import (
	"strings"
	"testing"
)

// named is a token whose every field holds its own name.
func named(sv string) *token {
	t := &token{spk: "spk", srk: "srk", epk: "epk", erk: "erk", moment: "snap", signedHeaders: "SRH", signedQuery: "SRQ"}
	for _, p := range t.params() {
		*p.value = p.name
	}
	t.sv = sv
	return t
}

// Every string to sign, at the first and at the last version that has it, as documentation and SDKs list its fields. The vectors
// have values for some of them; this has the order of all.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/create-service-sas
// https://learn.microsoft.com/en-us/rest/api/storageservices/create-user-delegation-sas
func TestLayouts(t *testing.T) {
	for _, tt := range []struct {
		kind, first, last, fields string
	}{
		{"blob", "2012-02-12", "2013-08-14", "sp st se CR si sv"},
		{"blob", "2013-08-15", "2015-04-04", "sp st se CR si sv rscc rscd rsce rscl rsct"},
		{"blob", "2015-04-05", "2018-11-08", "sp st se CR si sip spr sv rscc rscd rsce rscl rsct"},
		{"blob", "2018-11-09", "2020-12-05", "sp st se CR si sip spr sv sr snap rscc rscd rsce rscl rsct"},
		{"blob", "2020-12-06", "2026-12-06", "sp st se CR si sip spr sv sr snap ses rscc rscd rsce rscl rsct"},
		{"file", "2015-02-21", "2015-04-04", "sp st se CR si sv rscc rscd rsce rscl rsct"},
		{"file", "2015-04-05", "2026-12-06", "sp st se CR si sip spr sv rscc rscd rsce rscl rsct"},
		{"queue", "2012-02-12", "2015-04-04", "sp st se CR si sv"},
		{"queue", "2015-04-05", "2026-12-06", "sp st se CR si sip spr sv"},
		{"table", "2012-02-12", "2015-04-04", "sp st se CR si sv spk srk epk erk"},
		{"table", "2015-04-05", "2026-12-06", "sp st se CR si sip spr sv spk srk epk erk"},
		{"account", "2015-04-05", "2020-12-05", "account sp ss srt st se sip spr sv"},
		{"account", "2020-12-06", "2026-12-06", "account sp ss srt st se sip spr sv ses"},
		{"delegation", "2018-11-09", "2020-02-09", "sp st se CR skoid sktid skt ske sks skv sip spr sv sr snap rscc rscd rsce rscl rsct"},
		{"delegation", "2020-02-10", "2020-12-05", "sp st se CR skoid sktid skt ske sks skv saoid suoid scid sip spr sv sr snap rscc rscd rsce rscl rsct"},
		{"delegation", "2020-12-06", "2025-07-04", "sp st se CR skoid sktid skt ske sks skv saoid suoid scid sip spr sv sr snap ses rscc rscd rsce rscl rsct"},
		{"delegation", "2025-07-05", "2026-04-05", "sp st se CR skoid sktid skt ske sks skv saoid suoid scid skdutid sduoid sip spr sv sr snap ses rscc rscd rsce rscl rsct"},
		{"delegation", "2026-04-06", "2026-12-06", "sp st se CR skoid sktid skt ske sks skv saoid suoid scid skdutid sduoid sip spr sv sr snap ses SRH SRQ rscc rscd rsce rscl rsct"},
	} {
		for _, sv := range []string{tt.first, tt.last} {
			var got []byte
			switch tok := named(sv); tt.kind {
			case "account":
				got = appendAccountSAS(nil, tok, "account")
			case "delegation":
				got = appendDelegationSAS(nil, tok, "account", "container", "name")
			default:
				got = appendServiceSAS(nil, tt.kind, tok, "account", "container", "name")
			}
			resource := "/" + tt.kind + "/account/container/name"
			if tt.kind == "delegation" {
				resource = "/blob/account/container/name"
			}
			if sv < "2015-02-21" {
				resource = "/account/container/name"
			}
			want := strings.NewReplacer(" ", "\n", "CR", resource, "sv", sv).Replace(tt.fields)
			if tt.kind == "account" {
				want += "\n"
			}
			if string(got) != want {
				t.Errorf("%s, %s: signed is\n%q, want\n%q", tt.kind, sv, got, want)
			}
		}
	}
}

// What is written is what is read: the fields that go into a URL are those that params lists, but st and se in a fixed form.
func TestParamsAreWritten(t *testing.T) {
	for _, ss := range []string{"", "ss"} { // an account SAS has ss and srt, the others sr and sdd
		tok := named("sv")
		tok.st, tok.se = "2026-11-24T23:59:49Z", "2026-11-25T23:59:49Z"
		if tok.ss = ss; ss == "" {
			tok.srt = ""
		} else {
			tok.sr, tok.sdd = "", ""
		}
		var want []string
		for _, p := range tok.params() {
			if *p.value != "" {
				want = append(want, p.name+"="+strings.ReplaceAll(*p.value, ":", "%3A"))
			}
		}
		got := strings.Split(string(tok.appendParams(nil)), "&")
		if strings.Join(got, "&") != strings.Join(want, "&") {
			t.Errorf("written is %q, want %q", got, want)
		}
	}
}
