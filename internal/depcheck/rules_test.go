package depcheck

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const module = "github.com/cloudsigner/cloudsigner"

// The light trees, and the parts of them that are not light: adapters to the vendors' SDKs, and comparisons with them.
var (
	lightTrees = []string{"signer", "clock", "s3", "gcs", "azure", "cdn", "oss", "internal"}
	heavyTrees = []string{"s3/awssdk", "gcs/googlesdk", "azure/azuresdk", "oss/aliyunsdk", "internal/difftest", "internal/e2e"}
)

// A file is one parsed .go file of the module.
type file struct {
	name string // from the root of the module, with slashes
	*ast.File
}

func (f file) dir() string { return path.Dir(f.name) }

func (f file) test() bool { return strings.HasSuffix(f.name, "_test.go") }

func (f file) light() bool { return light(f.dir()) }

func light(dir string) bool { return under(dir, lightTrees) && !under(dir, heavyTrees) }

func under(dir string, trees []string) bool {
	return slices.ContainsFunc(trees, func(t string) bool { return dir == t || strings.HasPrefix(dir, t+"/") })
}

// A rule returns what it finds wrong, one line for each place.
type rule func(fset *token.FileSet, files []file) []string

// places: a package stands in a light tree, in one of the named heavy ones or in examples, so that every other rule
// knows it.
func places(_ *token.FileSet, files []file) (found []string) {
	for _, f := range files {
		if !f.light() && !under(f.dir(), heavyTrees) && !under(f.dir(), []string{"examples"}) {
			found = append(found, fmt.Sprintf("%s: depcheck knows no directory %q", f.name, f.dir()))
		}
	}
	return found
}

// imports: light packages and their tests import the standard library and light packages, and neither unsafe nor C.
func imports(fset *token.FileSet, files []file) (found []string) {
	for _, f := range files {
		if !f.light() {
			continue
		}
		for _, spec := range f.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			first, _, _ := strings.Cut(p, "/")
			dir, ours := strings.CutPrefix(p, module+"/")
			switch {
			case p == "unsafe" || p == "C":
			case ours && light(dir):
				continue
			case !strings.Contains(first, ".") && !strings.HasPrefix(p, "."): // the standard library
				continue
			}
			found = append(found, fmt.Sprintf("%s: a light package imports %s", fset.Position(spec.Pos()), p))
		}
	}
	return found
}

// oneClock: the time is read in one place, and that is in package clock. time.Since and time.Until read it too.
// Tests, examples and what measures are free to.
func oneClock(fset *token.FileSet, files []file) (found []string) {
	n := 0
	for _, f := range files {
		if f.test() || under(f.dir(), []string{"examples", "internal/difftest/report"}) {
			continue
		}
		for _, use := range uses(f, "time", "Now", "Since", "Until") {
			if f.dir() == "clock" && use.Sel.Name == "Now" {
				n++
				continue
			}
			found = append(found, fmt.Sprintf("%s: time.%s outside package clock", fset.Position(use.Pos()), use.Sel.Name))
		}
	}
	if n != 1 {
		found = append(found, fmt.Sprintf("clock: time.Now stands there %d times, want once", n))
	}
	return found
}

// noInit: importing a light package runs nothing.
func noInit(fset *token.FileSet, files []file) (found []string) {
	for _, f := range files {
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && f.light() && fn.Recv == nil && fn.Name.Name == "init" {
				found = append(found, fmt.Sprintf("%s: func init", fset.Position(fn.Pos())))
			}
		}
	}
	return found
}

// noEnvironment: what a light package does is decided by what it is given. Its tests are free to look.
func noEnvironment(fset *token.FileSet, files []file) (found []string) {
	for _, f := range files {
		if !f.light() || f.test() {
			continue
		}
		for _, use := range slices.Concat(
			uses(f, "os", "Getenv", "LookupEnv", "Environ", "ExpandEnv", "UserHomeDir", "UserCacheDir", "UserConfigDir"),
			uses(f, "syscall", "Getenv", "Environ"),
		) {
			found = append(found, fmt.Sprintf("%s: %s reads the environment", fset.Position(use.Pos()), use.Sel.Name))
		}
	}
	return found
}

// noGlobals: the only exported variables of a light package are its sentinel errors.
func noGlobals(fset *token.FileSet, files []file) (found []string) {
	for _, f := range files {
		if !f.light() || f.test() {
			continue
		}
		for _, decl := range f.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if name.IsExported() && !sentinel(name.Name) {
						found = append(found, fmt.Sprintf("%s: exported variable %s", fset.Position(name.Pos()), name.Name))
					}
				}
			}
		}
	}
	return found
}

func sentinel(name string) bool {
	rest, ok := strings.CutPrefix(name, "Err")
	return ok && rest != "" && unicode.IsUpper([]rune(rest)[0])
}

// noOutput: a light package prints nothing, neither to the standard streams nor to the global logger. Its tests may, and so may
// a program.
func noOutput(fset *token.FileSet, files []file) (found []string) {
	for _, f := range files {
		if !f.light() || f.test() || f.Name.Name == "main" {
			continue
		}
		for _, use := range slices.Concat(
			uses(f, "fmt", "Print", "Printf", "Println"),
			uses(f, "os", "Stdout", "Stderr"),
			uses(f, "log", "Print", "Printf", "Println", "Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln", "Default"),
			uses(f, "log/slog", "Debug", "Info", "Warn", "Error", "Default"),
		) {
			found = append(found, fmt.Sprintf("%s: %s writes where nobody asked", fset.Position(use.Pos()), use.Sel.Name))
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if id, ok := call.Fun.(*ast.Ident); ok && (id.Name == "println" || id.Name == "print") {
					found = append(found, fmt.Sprintf("%s: %s writes to standard error", fset.Position(id.Pos()), id.Name))
				}
			}
			return true
		})
	}
	return found
}

// noDotImports: the rules above find a use by the name of its package.
func noDotImports(fset *token.FileSet, files []file) (found []string) {
	for _, f := range files {
		for _, spec := range f.Imports {
			if spec.Name != nil && spec.Name.Name == "." {
				found = append(found, fmt.Sprintf("%s: dot import of %s", fset.Position(spec.Pos()), spec.Path.Value))
			}
		}
	}
	return found
}

// uses returns where f names one of the things of the package at path, under whatever name f imports it.
func uses(f file, pkg string, things ...string) (found []*ast.SelectorExpr) {
	var names []string
	for _, spec := range f.Imports {
		if spec.Path.Value != strconv.Quote(pkg) {
			continue
		}
		if spec.Name != nil {
			names = append(names, spec.Name.Name)
		} else {
			names = append(names, path.Base(pkg))
		}
	}
	ast.Inspect(f.File, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains(things, sel.Sel.Name) {
			if id, ok := sel.X.(*ast.Ident); ok && slices.Contains(names, id.Name) {
				found = append(found, sel)
			}
		}
		return true
	})
	return found
}

// goMod: the module has its name, and the go line is the floor for every consumer: raising it is a decision.
func goMod(mod []byte) (found []string) {
	lines := strings.Split(string(bytes.ReplaceAll(mod, []byte("\r\n"), []byte("\n"))), "\n")
	for _, want := range []string{"module " + module, "go 1.25.0"} {
		if !slices.Contains(lines, want) {
			found = append(found, fmt.Sprintf("go.mod: no line %q", want))
		}
	}
	return found
}
