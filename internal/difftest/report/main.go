// Report runs the benchmarks of internal/difftest and writes what they say into its BENCHMARKS.md, with two charts:
//
//	go run ./internal/difftest/report
//
// Everything is measured by turns: a round runs the floor, ours and the peers of one job after another, and a figure is the median
// over all rounds. Ratios are taken within a round, so that a machine that slows down slows both sides. It takes some minutes; run
// it on a machine that does nothing else. Times are reported, and never a reason to fail.
//
// Allocations are exact, and a reason to fail: -allocs compares them with allocs.txt, and -allocs -write writes that file.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 15, "how often everything is measured")
	benchtime := flag.Duration("benchtime", 50*time.Millisecond, "how long one benchmark runs in a round")
	allocs := flag.Bool("allocs", false, "compare allocations with the table, and measure no times")
	write := flag.Bool("write", false, "with -allocs: write the table")
	flag.Parse()
	if err := run(*rounds, *benchtime, *allocs, *write); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(rounds int, benchtime time.Duration, allocs, write bool) error {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("where is the module: %w", err)
	}
	root := strings.TrimSpace(string(out))
	dir := filepath.Join(root, "internal", "difftest")
	tmp, err := os.MkdirTemp("", "report")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	b := binary{path: filepath.Join(tmp, "difftest.test"), dir: dir}
	if out, err := command(root, "go", "test", "-c", "-o", b.path, "./internal/difftest"); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	if allocs {
		return b.allocations(filepath.Join(dir, "allocs.txt"), write)
	}

	results, err := b.measure(rounds, benchtime)
	if err != nil {
		return err
	}
	weights, err := weigh(root, filepath.Join(tmp, "weight"))
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := b.head(&text, rounds, benchtime); err != nil {
		return err
	}
	results.budgets(&text)
	results.peers(&text)
	results.growth(&text)
	writeWeights(&text, weights)
	for name, chart := range map[string][]byte{"bench.svg": results.bars(), "growth.svg": results.lines()} {
		if err := os.WriteFile(filepath.Join(dir, name), chart, 0o644); err != nil {
			return err
		}
	}
	return replace(filepath.Join(dir, "BENCHMARKS.md"), text.Bytes())
}

// replace puts text between the two markers of a file, whose other lines are written by hand.
func replace(path string, text []byte) error {
	const begin, end = "<!-- what follows is written by go run ./internal/difftest/report -->\n", "<!-- what follows is written by hand -->\n"
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok1 := bytes.Cut(old, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok1 || !ok2 {
		return fmt.Errorf("%s lacks the lines\n%s%s", path, begin, end)
	}
	return os.WriteFile(path, bytes.Join([][]byte{before, []byte(begin), text, []byte(end), after}, nil), 0o644)
}

// command runs a program and returns what it prints.
func command(dir, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return out, err
}
