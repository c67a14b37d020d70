package depcheck

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var rules = []struct {
	name  string
	check rule
}{
	{"places", places},
	{"imports", imports},
	{"one clock", oneClock},
	{"no init", noInit},
	{"no environment", noEnvironment},
	{"no globals", noGlobals},
	{"no output", noOutput},
	{"no dot imports", noDotImports},
}

func TestTree(t *testing.T) {
	root := moduleRoot(t)
	fset := token.NewFileSet()
	var files []file
	for _, name := range moduleFiles(t, root) {
		if !strings.HasSuffix(name, ".go") || ignored(name) {
			continue
		}
		src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, parse(t, fset, name, string(src)))
	}
	// A walk that goes astray would find nothing wrong.
	for _, want := range []string{"clock/clock.go", "internal/depcheck/doc.go"} {
		if !slices.ContainsFunc(files, func(f file) bool { return f.name == want }) {
			t.Fatalf("%s not found below %s", want, root)
		}
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, problem := range r.check(fset, files) {
				t.Error(problem)
			}
		})
	}
	t.Run("go.mod", func(t *testing.T) {
		mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range goMod(mod) {
			t.Error(problem)
		}
	})
}

// TestRulesBite proves that each rule finds what it is there for, and nothing else.
func TestRulesBite(t *testing.T) {
	const clockSource = `package clock; import "time"; func f() { time.Now() }`
	for _, c := range []struct {
		rule   string
		name   string // of the file
		source string
		want   string // part of the only finding; empty: none
	}{
		{"places", "signer/explain/x.go", `package p`, ""},
		{"places", "examples/quickstart/main.go", `package main`, ""},
		{"places", "s3/awssdk/x.go", `package p`, ""},
		{"places", "x.go", `package p`, `"."`},
		{"places", "pkg/x.go", `package p`, `"pkg"`},
		{"places", "s3x/x.go", `package p`, `"s3x"`},

		{"imports", "s3/x.go", `package p; import ("net/http"; "` + module + `/signer")`, ""},
		{"imports", "s3/awscreds/x.go", `package p; import "os"`, ""},
		{"imports", "s3/x_test.go", `package p; import "` + module + `/internal/storefake"`, ""},
		{"imports", "s3/awssdk/x.go", `package p; import "github.com/aws/aws-sdk-go-v2/aws"`, ""},
		{"imports", "examples/x/main.go", `package main; import "github.com/aws/aws-sdk-go-v2/aws"`, ""},
		{"imports", "internal/difftest/x_test.go", `package p; import "github.com/stretchr/testify/assert"`, ""},
		{"imports", "s3/x.go", `package p; import "golang.org/x/time/rate"`, "s3/x.go:1:19: a light package imports golang.org/x/time/rate"},
		{"imports", "s3/x_test.go", `package p; import "github.com/stretchr/testify/assert"`, "testify"},
		{"imports", "s3/x.go", `package p; import "` + module + `/s3/awssdk"`, "/s3/awssdk"},
		{"imports", "s3/x_test.go", `package p; import "` + module + `/s3/awssdk"`, "/s3/awssdk"},
		{"imports", "clock/x_test.go", `package p; import "` + module + `/internal/difftest"`, "/internal/difftest"},
		{"imports", "clock/x_test.go", `package p; import "` + module + `/examples/quickstart"`, "/examples/quickstart"},
		{"imports", "internal/wire/x.go", `package p; import "` + module + `x/signer"`, "x/signer"},
		{"imports", "clock/x.go", `package p; import "../signer"`, "../signer"},
		{"imports", "internal/wire/x.go", `package p; import "unsafe"`, "unsafe"},
		{"imports", "internal/wire/x_test.go", `package p; import "C"`, "imports C"},

		{"one clock", "clock/clock.go", clockSource, ""},
		{"one clock", "clock/clock.go", `package clock`, "0 times"},
		{"one clock", "clock/clock.go", clockSource + `; var now = time.Now`, "2 times"},
		{"one clock", "clock/clock.go", clockSource + `; var d = time.Since(t)`, "time.Since"},
		{"one clock", "s3/x.go", `package p; import "time"; var t = time.Unix(0, 0)`, "0 times"},

		{"no init", "clock/x.go", `package p; type t int; func (t) init() {}`, ""},
		{"no init", "examples/x/main.go", `package main; func init() {}`, ""},
		{"no init", "clock/x.go", `package p; func init() {}`, "clock/x.go:1:12: func init"},

		{"no environment", "clock/x.go", `package p; import "os"; var f = os.Open`, ""},
		{"no environment", "clock/x_test.go", `package p; import "os"; var v = os.Getenv("X")`, ""},
		{"no environment", "examples/x/main.go", `package main; import "os"; var v = os.Getenv("X")`, ""},
		{"no environment", "clock/x.go", `package p; import "os"; var v = os.Getenv("X")`, "Getenv"},
		{"no environment", "clock/x.go", `package p; import sys "os"; var v, ok = sys.LookupEnv("X")`, "LookupEnv"},
		{"no environment", "clock/x.go", `package p; import "os"; func f() { g(os.Environ) }`, "Environ"},
		{"no environment", "clock/x.go", `package p; import "syscall"; var v, ok = syscall.Getenv("X")`, "Getenv"},

		{"no globals", "clock/x.go", `package p; var ErrX, ErrY error; var now int; func f() { var X int }`, ""},
		{"no globals", "clock/export_test.go", `package p; var Now = now`, ""},
		{"no globals", "s3/awssdk/x.go", `package p; var X int`, ""},
		{"no globals", "clock/x.go", `package p; var X int`, "variable X"},
		{"no globals", "clock/x.go", `package p; var (a, B = 1, 2)`, "variable B"},
		{"no globals", "clock/x.go", `package p; var Errors []error`, "variable Errors"},

		{"no output", "clock/x.go", `package p; import ("fmt"; "log/slog"); var s = fmt.Sprint(slog.String("a", "b"))`, ""},
		{"no output", "clock/example_test.go", `package p; import "fmt"; func Example() { fmt.Println() }`, ""},
		{"no output", "clock/x.go", `package p; import "fmt"; func f() { fmt.Println() }`, "Println"},
		{"no output", "clock/x.go", `package p; import ("fmt"; "os"); func f() { fmt.Fprint(os.Stdout) }`, "Stdout"},
		{"no output", "clock/x.go", `package p; import "log"; func f() { log.Printf("") }`, "Printf"},
		{"no output", "clock/x.go", `package p; import "log/slog"; func f() { slog.Info("") }`, "Info"},
		{"no output", "clock/x.go", `package p; func f() { println() }`, "println"},

		{"no dot imports", "clock/x.go", `package p; import t "time"`, ""},
		{"no dot imports", "clock/x.go", `package p; import . "time"`, "time"},
	} {
		i := slices.IndexFunc(rules, func(r struct {
			name  string
			check rule
		}) bool {
			return r.name == c.rule
		})
		fset := token.NewFileSet()
		found := rules[i].check(fset, []file{parse(t, fset, c.name, c.source)})
		if c.want == "" && len(found) == 0 || c.want != "" && len(found) == 1 && strings.Contains(found[0], c.want) {
			continue
		}
		t.Errorf("%s: %s: %s\nfound %q, want %q", c.rule, c.name, c.source, found, c.want)
	}

	// time.Now beside the good one.
	for name, want := range map[string]int{"s3/x.go": 1, "s3/awssdk/x.go": 1, "s3/x_test.go": 0, "examples/x/main.go": 0} {
		fset := token.NewFileSet()
		found := oneClock(fset, []file{
			parse(t, fset, "clock/clock.go", clockSource),
			parse(t, fset, name, `package p; import "time"; var now = time.Now`),
		})
		if len(found) != want {
			t.Errorf("one clock: %s: found %q, want %d", name, found, want)
		}
	}

	for mod, want := range map[string]int{
		"module " + module + "\n\ngo 1.25.0\n":     0,
		"module " + module + "\r\n\r\ngo 1.25.0\r": 1,
		"module " + module + "\n\ngo 1.26.0\n":     1,
		"module " + module + "/v2\n\ngo 1.25.0\n":  1,
		"": 2,
	} {
		if found := goMod([]byte(mod)); len(found) != want {
			t.Errorf("go.mod %q: found %q, want %d", mod, found, want)
		}
	}
}

func parse(t *testing.T, fset *token.FileSet, name, src string) file {
	t.Helper()
	f, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file{name, f}
}

// moduleRoot walks up from the directory of the test to the one that has go.mod.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = up
	}
}

// moduleFiles lists the files of the module at root, with slashes. Other modules below it and .git are not part of it.
func moduleFiles(t *testing.T, root string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != root {
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil || d.Name() == ".git" {
				return filepath.SkipDir
			}
		}
		if d.Type().IsRegular() {
			rel, err := filepath.Rel(root, p)
			if err != nil {
				return err
			}
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// ignored reports whether the go command does not see a file: it stands in testdata, or a name on its way starts with
// a dot or an underscore.
func ignored(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool {
		return part == "testdata" || part == "vendor" || strings.HasPrefix(part, ".") || strings.HasPrefix(part, "_")
	})
}
