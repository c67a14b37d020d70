package sigv4

import "strings"

// PartitionSuffix is the domain of the partition of AWS that a region belongs to.
func PartitionSuffix(region string) string {
	for _, p := range [...]struct{ prefix, suffix string }{
		{"cn-", "amazonaws.com.cn"},
		{"eusc-", "amazonaws.eu"},
		{"us-iso-", "c2s.ic.gov"},
		{"us-isob-", "sc2s.sgov.gov"},
	} {
		if strings.HasPrefix(region, p.prefix) {
			return p.suffix
		}
	}
	return "amazonaws.com"
}
