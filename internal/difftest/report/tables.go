package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// A job is one row against the floor. The names are those of benchmarks, the limits those that were set before the code was written;
// 0 is none.
type job struct {
	name, floor   string
	presign       string
	presignLimit  float64
	presignAllocs int
	appended      string
	appendLimit   float64
	peers         []peer
}

// A peer does the same work with a vendor's code. atLeast is how many times as long it must take as Presign.
type peer struct {
	name, bench string
	atLeast     float64
}

func jobs() []job {
	return []job{
		{name: "S3 URL", floor: "FloorS3/get", presign: "OursS3Presign/get", presignLimit: 2, presignAllocs: 2, appended: "OursS3AppendURL/get", appendLimit: 1.5,
			peers: []peer{{"v4.Signer, from bucket and key", "PeerAWSPresignKey/get", 8}, {"v4.Signer, request at hand", "PeerAWSPresignHTTP/get", 0}, {"s3.PresignClient", "PeerAWSClient/get", 30}}},
		{name: "S3 URL, one of very many (PresignAll)", floor: "FloorS3/get", presign: "OursS3PresignAll", presignLimit: 2.2, presignAllocs: 2},
		{name: "S3 URL, session token", floor: "FloorS3/token", presign: "OursS3Presign/token", presignLimit: 1.5, presignAllocs: 2, appended: "OursS3AppendURL/token", appendLimit: 1.2,
			peers: []peer{{"v4.Signer, from bucket and key", "PeerAWSPresignKey/token", 0}, {"s3.PresignClient", "PeerAWSClient/token", 0}}},
		{name: "S3 PUT, a header and two parameters", floor: "FloorS3/put", presign: "OursS3Presign/put", presignLimit: 3.6, presignAllocs: 5, appended: "OursS3AppendURL/put", appendLimit: 2.4,
			peers: []peer{{"v4.Signer, from bucket and key", "PeerAWSPresignKey/put", 0}}},
		{name: "OSS4 URL", floor: "FloorOSS/get", presign: "OursOSSPresign/get", presignLimit: 2, presignAllocs: 2, appended: "OursOSSAppendURL/get", appendLimit: 1.5,
			peers: []peer{{"OSS SDK, first", "PeerOSSV1SDK/get", 0}, {"OSS SDK, second", "PeerOSSV2SDK/get", 0}}},
		{name: "OSS4 URL, session token", floor: "FloorOSS/token", presign: "OursOSSPresign/token", presignLimit: 1.5, presignAllocs: 2, appended: "OursOSSAppendURL/token", appendLimit: 1.2},
		{name: "OSS4 PUT, a header and two parameters", floor: "FloorOSS/put", presign: "OursOSSPresign/put", presignLimit: 3.6, presignAllocs: 5, appended: "OursOSSAppendURL/put", appendLimit: 2.4},
		{name: "GCS URL, HMAC key", floor: "FloorGCS", presign: "OursGCSPresignHMAC", presignLimit: 2, presignAllocs: 2, appended: "OursGCSAppendURLHMAC", appendLimit: 1.5},
		{name: "GCS URL, RSA-2048", floor: "FloorGCSRSA", presign: "OursGCSPresignRSA", presignLimit: 1.03, presignAllocs: 8,
			peers: []peer{{"storage.SignedURL, a key in PEM", "SDKGCSSignedURLPEM", 0}}},
		{name: "Azure service SAS", floor: "FloorAzure/get", presign: "OursAzurePresign/get", presignLimit: 2.5, presignAllocs: 2, appended: "OursAzureAppendURL/get", appendLimit: 2,
			peers: []peer{{"azblob sas", "PeerAzureSAS/get", 5}}},
		{name: "Azure user delegation SAS", floor: "FloorAzure/delegation", presign: "OursAzurePresign/delegation", appended: "OursAzureAppendURL/delegation",
			peers: []peer{{"azblob sas", "PeerAzureSAS/delegation", 0}}},
		{name: "Cloud CDN URL", floor: "FloorCDN", presign: "OursCDNPresign", presignLimit: 2, presignAllocs: 2, appended: "OursCDNAppendURL", appendLimit: 1.5,
			peers: []peer{{"the way of Google's samples", "SampleCDN", 2.5}}},
		{name: "`Verify`, S3 URL", floor: "FloorS3/get", presign: "OursS3Verify/get", presignLimit: 3, presignAllocs: 6},
		{name: "`Verify`, OSS4 URL", floor: "FloorOSS/get", presign: "OursOSSVerify/get"},
		{name: "`Verify`, Azure service SAS", floor: "FloorAzure/get", presign: "OursAzureVerify/get"},
		{name: "`Verify`, Cloud CDN URL", floor: "FloorCDN", presign: "OursCDNVerify"},
	}
}

// others are the budgets that are no ratio to the floor: what is measured, against what, and the most it may be of it.
func others() []struct {
	name, ours, against string
	limit               float64
} {
	return []struct {
		name, ours, against string
		limit               float64
	}{
		{"GCS URL, RSA key, repeated in a window: `AppendURL`, against 1 us", "OursGCSRememberedAppendURL", "", 1000},
		{"the same: `Presign`, against the row with an HMAC key", "OursGCSRememberedPresign", "OursGCSPresignHMAC", 2},
		{"S3, new signer and first URL, against `v4.Signer`", "OursS3Presign/cold", "PeerAWSPresignKey/cold", 1},
		{"S3, 100 credentials in turn, against one", "GrowthCredentials/s3/100", "GrowthCredentials/s3/1", 1.3},
	}
}

func (all results) budgets(w io.Writer) {
	fmt.Fprint(w, "\n## Against the floor\n\nOurs / floor. A budget that is missed is **bold**.\n\n![Floor, ours and peers](bench.svg)\n\n"+
		"| work | floor | `Presign` / floor | budget | allocations | `AppendURL` / floor | budget |\n|---|---|---|---|---|---|---|\n")
	for _, j := range jobs() {
		presign, allocs := all.against(j.presign, j.floor, j.presignLimit), strconv.Itoa(all.allocs(j.presign))
		if j.presignAllocs > 0 && all.allocs(j.presign) > j.presignAllocs {
			allocs = "**" + allocs + "**"
		}
		appended := ""
		if j.appended != "" {
			appended = all.against(j.appended, j.floor, j.appendLimit)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s |\n", j.name, duration(all.ns(j.floor)), presign, limit(j.presignLimit), allocs, appended, limit(j.appendLimit))
	}
	fmt.Fprint(w, "\n| and | ours | ratio | budget |\n|---|---|---|---|\n")
	for _, o := range others() {
		if o.against == "" {
			ratio := bold(fmt.Sprintf("%.2f", all.ns(o.ours)/o.limit), all.ns(o.ours) > o.limit)
			fmt.Fprintf(w, "| %s | %s | %s | 1 |\n", o.name, duration(all.ns(o.ours)), ratio)
			continue
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", o.name, duration(all.ns(o.ours)), all.against(o.ours, o.against, o.limit), limit(o.limit))
	}
}

func (all results) peers(w io.Writer) {
	fmt.Fprint(w, "\n## Against the peers\n\n| work | ours | peer | it takes | allocations | peer / ours | budget |\n|---|---|---|---|---|---|---|\n")
	for _, j := range jobs() {
		for _, p := range j.peers {
			low, mid, high := all.ratio(p.bench, j.presign)
			budget := ""
			if p.atLeast > 0 {
				budget = fmt.Sprintf("%g", p.atLeast)
			}
			fmt.Fprintf(w, "| %s | %s | %s | %s | %d | %s | %s |\n", j.name, duration(all.ns(j.presign)), p.name, duration(all.ns(p.bench)), all.allocs(p.bench),
				bold(fmt.Sprintf("%.1f", mid), mid < p.atLeast)+fmt.Sprintf(" (%.1f to %.1f)", low, high), budget)
		}
	}
}

// against is the ratio of two benchmarks as a cell of a table.
func (all results) against(ours, floor string, limit float64) string {
	low, mid, high := all.ratio(ours, floor)
	return bold(fmt.Sprintf("%.2f", mid), limit > 0 && mid > limit) + fmt.Sprintf(" (%.2f to %.2f)", low, high)
}

func limit(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%g", v)
}

func bold(text string, yes bool) string {
	if yes {
		return "**" + text + "**"
	}
	return text
}

func duration(ns float64) string {
	switch {
	case ns < 10_000:
		return fmt.Sprintf("%.0f ns", ns)
	case ns < 1_000_000:
		return fmt.Sprintf("%.1f us", ns/1000)
	}
	return fmt.Sprintf("%.2f ms", ns/1_000_000)
}

// A curve is how one scheme's cost grows.
type curve struct {
	scheme string
	points []point
}

type point struct {
	n      int
	ns     float64
	allocs int
	held   float64
}

// curves finds those of one benchmark.
func (all results) curves(benchmark string) (curves []curve) {
	for _, scheme := range schemes() {
		c := curve{scheme: scheme}
		for name := range all {
			if tail, ok := strings.CutPrefix(name, benchmark+"/"+scheme+"/"); ok {
				if n, err := strconv.Atoi(tail); err == nil {
					c.points = append(c.points, point{n, all.ns(name), all.allocs(name), median(all.each(name, func(s sample) float64 { return s.held }))})
				}
			}
		}
		slices.SortFunc(c.points, func(a, b point) int { return a.n - b.n })
		if len(c.points) > 0 {
			curves = append(curves, c)
		}
	}
	return curves
}

func schemes() []string { return []string{"s3", "gcs", "oss", "azure", "cdn"} }

func growths() []struct{ bench, what string } {
	return []struct{ bench, what string }{
		{"GrowthKey", "bytes of the key"}, {"GrowthHeaders", "signed headers"}, {"GrowthParams", "parameters"},
		{"GrowthCredentials", "live credentials, in turn"}, {"GrowthGoroutines", "goroutines (time of all / URLs)"},
	}
}

func (all results) growth(w io.Writer) {
	fmt.Fprint(w, "\n## Growth\n\n`Presign`, time and allocations for one URL.\n\n![Growth](growth.svg)\n")
	for _, g := range growths() {
		curves := all.curves(g.bench)
		fmt.Fprintf(w, "\n| %s |", g.what)
		for _, p := range curves[0].points {
			fmt.Fprintf(w, " %d |", p.n)
		}
		fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("---|", len(curves[0].points)))
		for _, c := range curves {
			fmt.Fprintf(w, "| %s |", c.scheme)
			for _, p := range c.points {
				fmt.Fprintf(w, " %s, %d |", duration(p.ns), p.allocs)
			}
			fmt.Fprintln(w)
		}
		if curves[0].points[0].held > 0 {
			fmt.Fprint(w, "| held by the Signer |")
			for _, p := range curves[0].points {
				fmt.Fprintf(w, " %.0f KiB |", p.held/1024)
			}
			fmt.Fprintln(w)
		}
	}
}
