package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A binary is the compiled tests.
type binary struct{ path, dir string }

// A sample is one line of a benchmark's output.
type sample struct {
	ns     float64
	allocs int
	held   float64 // bytes, for those that report them
}

// results are the samples of each benchmark, one for each round.
type results map[string][]sample

// groups are the benchmarks whose figures are compared, and so run next to each other.
func groups() []string {
	return []string{"(S3|AWS)", "OSS", "(GCS)", "Azure", "CDN", "Growth"}
}

// measure runs all benchmarks by turns.
func (b binary) measure(rounds int, benchtime time.Duration) (results, error) {
	all := make(results)
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
		for _, group := range groups() {
			if err := b.bench(all, `^Benchmark(Floor|Ours|Peer|SDK|Sample|)`+group, benchtime.String()); err != nil {
				return nil, err
			}
		}
	}
	for name, samples := range all {
		if len(samples) != rounds {
			return nil, fmt.Errorf("%s ran %d times in %d rounds", name, len(samples), rounds)
		}
	}
	return all, nil
}

// bench runs some benchmarks once and adds what they say.
func (b binary) bench(all results, pattern, benchtime string) error {
	out, err := command(b.dir, b.path, "-test.run", "^$", "-test.bench", pattern, "-test.benchtime", benchtime)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return all.parse(bytes.NewReader(out))
}

// parse reads the output of benchmarks.
func (all results) parse(r io.Reader) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i > 0 { // GOMAXPROCS
			name = name[:i]
		}
		var s sample
		for i := 2; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return fmt.Errorf("%q: %w", lines.Text(), err)
			}
			switch fields[i+1] {
			case "ns/op":
				s.ns = v
			case "allocs/op":
				s.allocs = int(v)
			case "held-B":
				s.held = v
			}
		}
		all[name] = append(all[name], s)
	}
	return lines.Err()
}

// ns is the median time of a benchmark.
func (all results) ns(name string) float64 {
	return median(all.each(name, func(s sample) float64 { return s.ns }))
}

// allocs is the median, which is the same in all rounds but where pools were emptied.
func (all results) allocs(name string) int {
	return int(median(all.each(name, func(s sample) float64 { return float64(s.allocs) })))
}

func (all results) each(name string, get func(sample) float64) []float64 {
	values := make([]float64, len(all[name]))
	for i, s := range all[name] {
		values[i] = get(s)
	}
	return values
}

// ratio is the median over the rounds of a over b in that round, with the quartiles.
func (all results) ratio(a, b string) (low, mid, high float64) {
	ratios := make([]float64, min(len(all[a]), len(all[b])))
	for i := range ratios {
		ratios[i] = all[a][i].ns / all[b][i].ns
	}
	slices.Sort(ratios)
	if len(ratios) == 0 {
		return 0, 0, 0
	}
	return ratios[len(ratios)/4], median(ratios), ratios[len(ratios)*3/4]
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}

// exact are the benchmarks whose allocations are counted. Those of the others depend on how many share a cache.
const exact = `^Benchmark(Ours|Growth(Key|Headers|Params))`

// allocations compares with a table, or writes it.
func (b binary) allocations(path string, write bool) error {
	now := make(results)
	if err := b.bench(now, exact, "200x"); err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(now))
	if write {
		var text bytes.Buffer
		fmt.Fprintf(&text, "# Allocations for one operation; go run ./internal/difftest/report -allocs compares, and with -write writes this.\n")
		for _, name := range names {
			fmt.Fprintf(&text, "%s %d\n", name, now.allocs(name))
		}
		return os.WriteFile(path, text.Bytes(), 0o644)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	table := make(map[string]int)
	for line := range strings.Lines(string(text)) {
		name, count, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "#" {
			continue
		}
		if table[name], err = strconv.Atoi(count); err != nil {
			return fmt.Errorf("%s: %q: %w", path, line, err)
		}
	}
	wrong := 0
	for _, name := range names {
		want, known := table[name]
		delete(table, name)
		if got := now.allocs(name); !known || got != want {
			fmt.Printf("%s: %d allocations, the table has %d\n", name, got, want)
			wrong++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		fmt.Printf("%s: in the table, and no benchmark\n", name)
		wrong++
	}
	if wrong > 0 {
		return fmt.Errorf("%d differences; if they are meant, write the table with -write", wrong)
	}
	fmt.Printf("%d benchmarks allocate as the table has it\n", len(names))
	return nil
}

// head says when, where and of what the figures are.
func (b binary) head(w io.Writer, rounds int, benchtime time.Duration) error {
	version, err := command(b.dir, "go", "env", "GOVERSION")
	if err != nil {
		return err
	}
	peers, err := command(b.dir, "go", "list", "-m", "-f", "{{.Path}} {{.Version}}", "github.com/aws/aws-sdk-go-v2", "github.com/aws/aws-sdk-go-v2/service/s3",
		"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob", "cloud.google.com/go/storage", "github.com/aliyun/aliyun-oss-go-sdk", "github.com/aliyun/alibabacloud-oss-go-sdk-v2")
	if err != nil {
		return fmt.Errorf("%w\n%s", err, peers)
	}
	fmt.Fprintf(w, "\n%s, %s, %s. %d rounds of %v for each benchmark; medians, and in brackets the middle half. %s.\n",
		time.Now().UTC().Format(time.DateOnly), bytes.TrimSpace(version), machine(), rounds, benchtime, strings.ReplaceAll(string(bytes.TrimSpace(peers)), "\n", ", "))
	return nil
}

// machine is what Linux says of it.
func machine() string {
	model := "an unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	load := "unknown"
	if text, err := os.ReadFile(filepath.FromSlash("/proc/loadavg")); err == nil {
		load = strings.Fields(string(text))[1]
	}
	return fmt.Sprintf("%s, load %s over the last five minutes, the measurement included", model, load)
}
