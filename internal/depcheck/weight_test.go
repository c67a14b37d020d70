package depcheck

import (
	"archive/zip"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a program may pay that imports package s3 and nothing else of ours.
const (
	maxModules = 1  // linked into it besides its own: this one
	maxSums    = 2  // lines in its go.sum: this module's zip and this module's go.mod
	maxFiles   = 45 // .go files in its vendor directory
)

// TestWeight is that program. It gets this module as users do, from a module proxy, by way of go mod tidy and go mod
// vendor. The proxy is a directory with this module alone and the module cache is empty: should anything else be
// needed, be it only the go.mod file of an SDK, the go command fails for want of it.
//
// A replace directive would be shorter but hides the figure: a replaced module has no lines in go.sum.
//
// The go command's reads are unknown to the test cache, but the test itself reads every file that goes into the zip.
func TestWeight(t *testing.T) {
	root := moduleRoot(t)
	const version = "v0.0.1"
	proxy, consumer, cache := t.TempDir(), t.TempDir(), t.TempDir()

	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	served := filepath.Join(proxy, filepath.FromSlash(module), "@v", version)
	write(t, served+".info", fmt.Sprintf(`{"Version":%q}`, version))
	write(t, served+".mod", string(mod))
	zipModule(t, served+".zip", root, module+"@"+version+"/")

	write(t, filepath.Join(consumer, "go.mod"), fmt.Sprintf("module example.com/consumer\n\ngo 1.25.0\n\nrequire %s %s\n", module, version))
	write(t, filepath.Join(consumer, "main.go"), fmt.Sprintf("package main\n\nimport _ %q\n\nfunc main() {}\n", module+"/s3"))
	for _, args := range [][]string{{"mod", "tidy"}, {"mod", "vendor"}, {"build", "-mod=vendor", "-o", os.DevNull, "."}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = consumer
		cmd.Env = append(os.Environ(), "GOFLAGS=-modcacherw", "GOMODCACHE="+cache, "GOPROXY="+fileURL(proxy),
			"GONOPROXY=none", "GOSUMDB=off", "GOWORK=off", "GOTOOLCHAIN=local")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}

	files := 0
	err = filepath.WalkDir(filepath.Join(consumer, "vendor"), func(p string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(p, ".go") {
			files++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	modules := linked(read(t, filepath.Join(consumer, "vendor", "modules.txt")))
	sums := strings.Split(strings.TrimSpace(read(t, filepath.Join(consumer, "go.sum"))), "\n")
	t.Logf("%d modules, %d lines in go.sum, %d vendored files", len(modules), len(sums), files)
	if len(modules) > maxModules || !slices.Contains(modules, module) {
		t.Errorf("linked modules: %q, want %d", modules, maxModules)
	}
	if len(sums) > maxSums {
		t.Errorf("go.sum: want %d lines, got\n%s", maxSums, strings.Join(sums, "\n"))
	}
	if files == 0 || files > maxFiles {
		t.Errorf("%d vendored .go files, want 1 to %d", files, maxFiles)
	}
}

// linked lists the modules of a vendor/modules.txt that have packages there: "# module version", then
// "## explicit; go 1.25.0", then a line for each package.
func linked(modulesTxt string) (modules []string) {
	current := ""
	for line := range strings.Lines(modulesTxt) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "##":
		case words[0] == "#":
			current = words[1]
		case !slices.Contains(modules, current):
			modules = append(modules, current)
		}
	}
	return modules
}

func TestLinked(t *testing.T) {
	got := linked("# a.b/c v1.0.0\n## explicit; go 1.25.0\na.b/c/x\na.b/c/y\n# d.e/f v1.0.0\n## explicit\n# g.h/i v1.0.0\ng.h/i\n")
	if want := []string{"a.b/c", "g.h/i"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// zipModule writes what a proxy serves of the module at root: its files, each below prefix.
func zipModule(t *testing.T, name, root, prefix string) {
	t.Helper()
	out, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	z := zip.NewWriter(out)
	for _, file := range moduleFiles(t, root) {
		w, err := z.Create(prefix + file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(read(t, filepath.Join(root, filepath.FromSlash(file))))); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// fileURL is the form in which GOPROXY takes a directory; on Windows that has a slash before the drive.
func fileURL(dir string) string {
	dir = filepath.ToSlash(dir)
	if !strings.HasPrefix(dir, "/") {
		dir = "/" + dir
	}
	return "file://" + dir
}
