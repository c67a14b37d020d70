package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A weight is what a user pays for a program that presigns one URL.
type weight struct {
	what         string
	modules      int
	files, bytes int // vendored
	binary       int // stripped
	start        float64
}

// programs are the folders in weight, the lightest first. The others are held against it.
func programs() []struct{ dir, what string } {
	return []struct{ dir, what string }{
		{"empty", "a program that imports net/http"}, {"fiveclouds", "**ours, five clouds**"}, {"awsv4", "aws v4.Signer"}, {"awss3", "aws service/s3"},
		{"azblobsas", "azblob/sas"}, {"storage", "cloud.google.com/go/storage"}, {"foursdks", "four SDKs"},
	}
}

// weigh makes each program a module of its own, which requires what this one does, and measures it.
func weigh(root, tmp string) ([]weight, error) {
	all := make([]weight, len(programs()))
	binaries := make([]string, len(all))
	for i, p := range programs() {
		fmt.Fprintln(os.Stderr, "weighing", p.dir)
		dir := filepath.Join(tmp, p.dir)
		binaries[i] = filepath.Join(dir, "program")
		if err := build(root, dir, p.dir, binaries[i]); err != nil {
			return nil, err
		}
		w := &all[i]
		w.what = p.what
		info, err := exec.Command("go", "version", "-m", binaries[i]).Output()
		if err != nil {
			return nil, err
		}
		w.modules = bytes.Count(info, []byte("\tdep\t"))
		if w.files, w.bytes, err = size(filepath.Join(dir, "vendor")); err != nil {
			return nil, err
		}
		stat, err := os.Stat(binaries[i])
		if err != nil {
			return nil, err
		}
		w.binary = int(stat.Size())
	}
	const runs = 41
	times := make([][]float64, len(all))
	for range runs { // by turns
		for i, path := range binaries {
			begin := time.Now()
			if out, err := command("", path); err != nil {
				return nil, fmt.Errorf("%w\n%s", err, out)
			}
			times[i] = append(times[i], float64(time.Since(begin)))
		}
	}
	for i := range all {
		all[i].start = median(times[i])
	}
	return all, nil
}

// build compiles and vendors one program in a new module.
func build(root, dir, name, binary string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	source, err := os.ReadFile(filepath.Join(root, "internal", "difftest", "report", "weight", name, "main.go"))
	if err != nil {
		return err
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return err
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		return err
	}
	const ours = "github.com/cloudsigner/cloudsigner"
	mod = bytes.Replace(mod, []byte("module "+ours), []byte("module weight"), 1)
	mod = fmt.Appendf(mod, "\nrequire %s v0.0.0\nreplace %s => %s\n", ours, ours, root)
	for name, text := range map[string][]byte{"main.go": source, "go.mod": mod, "go.sum": sum} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"build", "-mod=mod", "-trimpath", "-ldflags=-s -w", "-o", binary, "."},
		{"mod", "vendor"},
	} {
		if out, err := command(dir, "go", args...); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
	}
	return nil
}

// size counts the files below a folder, which need not be there.
func size(dir string) (files, bytes int, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "modules.txt" {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files, bytes = files+1, bytes+int(info.Size())
		return nil
	})
	if os.IsNotExist(err) {
		err = nil
	}
	return files, bytes, err
}

func writeWeights(w io.Writer, all []weight) {
	fmt.Fprint(w, "\n## Weight\n\nA program that presigns one URL, for ours one of each cloud: what it links and vendors, stripped, and the time from its start to its end, medians.\n"+
		"The goals for ours: 1 module, < 5 MB, < 0.5 MiB vendored, at most twice the time of the empty program.\n\n"+
		"| program | modules linked | vendored | stripped | start to end | / empty |\n|---|---|---|---|---|---|\n")
	for _, p := range all {
		vendored := "0"
		if p.files > 0 {
			vendored = fmt.Sprintf("%.2f MiB, %d files", float64(p.bytes)/(1<<20), p.files)
		}
		fmt.Fprintf(w, "| %s | %d | %s | %.1f MB | %s | %.2f |\n", strings.TrimSpace(p.what), p.modules, vendored, float64(p.binary)/1e6, duration(p.start), p.start/all[0].start)
	}
	fmt.Fprintln(w)
}
