package azure

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A permission is a letter of sp, the resources (values of sr, in one letter each) that have it, and the version that brought it.
type permission struct {
	letter    byte
	resources string
	since     string
}

// permissions lists those of a service or user delegation SAS in the order in which services want them. SDKs agree about the
// order of r, a, c, w, d and l, and not about the rest.
func permissions() []permission {
	return []permission{
		{'r', "bcd", v2012}, {'a', "bcd", v2012}, {'c', "bcd", v2012}, {'w', "bcd", v2012}, {'d', "bcd", v2012},
		{'x', "bc", vX}, {'y', "bc", v2020}, {'l', "cd", v2012}, {'t', "bc", "2019-12-12"}, {'f', "c", "2019-12-12"},
		{'m', "bcd", v2020}, {'e', "bcd", v2020}, {'o', "bcd", v2020}, {'p', "bcd", v2020}, {'i', "bc", "2020-06-12"},
	}
}

// accountPermissions lists those of an account SAS in their order.
func accountPermissions() []permission {
	return []permission{
		{'r', "", v2015}, {'w', "", v2015}, {'d', "", v2015}, {'x', "", vX}, {'y', "", v2020}, {'l', "", v2015}, {'a', "", v2015},
		{'c', "", v2015}, {'u', "", v2015}, {'p', "", v2015}, {'f', "", "2019-12-12"}, {'t', "", "2019-12-12"}, {'i', "", "2020-06-12"},
	}
}

// arrange puts permissions into their order, and refuses those that the resource or the version does not have.
func arrange(op pipeline.Op, letters string, table []permission, sr, version string) (string, error) {
	var arranged strings.Builder
	all := ""
	for _, p := range table {
		all += string(p.letter)
		switch {
		case strings.IndexByte(letters, p.letter) < 0:
		case p.resources != "" && sr != "" && strings.IndexByte(p.resources, sr[0]) < 0:
			return "", op.Errorf(signer.ErrRequest, "Permissions", "%c is none of a %s; leave it out", p.letter, map[byte]string{'b': "blob", 'c': "container", 'd': "directory"}[sr[0]])
		case version < p.since:
			return "", op.Errorf(signer.ErrRequest, "Permissions", "%c needs Version %s or later", p.letter, p.since)
		default:
			arranged.WriteByte(p.letter)
		}
	}
	if arranged.Len() != len(letters) || letters == "" {
		return "", op.Errorf(signer.ErrRequest, "Permissions", "%q: it takes one or more of the letters %s, each once", letters, all)
	}
	return arranged.String(), nil
}

// operation returns the permissions of which one suffices for an operation, "" if none does.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/create-account-sas#account-sas-permissions-by-operation
func operation(method string, level byte, account bool, query url.Values) string {
	comp, container := query.Get("comp"), query.Get("restype") == "container"
	reading := method == http.MethodGet || method == http.MethodHead
	switch op := method + " " + comp; {
	case level == 'o' && query.Has("restype"), query.Has("deletetype") && query.Get("deletetype") != "permanent":
		return "" // in another spelling perhaps, which somebody may take for the one that needs y
	case level == 'o':
		switch {
		case reading && (comp == "" || comp == "metadata" || comp == "blocklist" || comp == "pagelist"), op == "POST query":
			return "r"
		case op == "GET tags", op == "PUT tags":
			return "t"
		case op == "PUT ", op == "PUT blocklist", op == "PUT snapshot":
			return "cw"
		case op == "PUT appendblock":
			return "aw"
		case op == "PUT lease":
			return "wd"
		case op == "PUT immutabilityPolicies", op == "PUT legalhold", op == "DELETE immutabilityPolicies":
			return "i"
		case method == http.MethodPut && slices.Contains([]string{"block", "page", "metadata", "properties", "tier", "copy", "incrementalcopy", "seal", "undelete", "expiry"}, comp):
			return "w"
		case op == "DELETE " && query.Get("deletetype") == "permanent":
			return "y"
		case op == "DELETE " && query.Has("versionid"):
			return "x"
		case op == "DELETE ":
			return "d"
		}
	case level == 'c' && container && op == "GET list":
		return "l"
	case (level == 'c' && container || level == 's' && account) && op == "GET blobs":
		return "f"
	case !account:
		return ""
	case level == 'c' && container:
		switch {
		case reading && (comp == "" || comp == "metadata"):
			return "r"
		case op == "PUT ":
			return "cw"
		case op == "PUT metadata", op == "PUT undelete":
			return "w"
		case op == "PUT lease":
			return "wd"
		case op == "DELETE ":
			return "d"
		}
	case level == 's' && op == "GET list":
		return "l"
	case level == 's' && query.Get("restype") == "service" && (op == "GET properties" || op == "GET stats"),
		level == 's' && query.Get("restype") == "account" && reading && comp == "properties":
		return "r"
	case level == 's' && query.Get("restype") == "service" && op == "PUT properties":
		return "w"
	}
	return ""
}
