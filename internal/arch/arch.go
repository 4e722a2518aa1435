// Package arch enforces the architecture: which package may import which, and which may use the clock, the environment and
// other things that must not influence the bytes of an image. Its test parses the source of the whole module.
package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

const module = "imprint"

// A breach is a violation of a rule in the source: "file:line: what".
type breach struct {
	pos  token.Position
	text string
}

func (b breach) String() string {
	return fmt.Sprintf("%s:%d: %s", b.pos.Filename, b.pos.Line, b.text)
}

// check parses all Go files of a module except tests, and returns every breach.
func check(fsys fs.FS) ([]breach, error) {
	var found []breach
	files := map[string]int{} // by package
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "vendor" || strings.HasPrefix(d.Name(), ".") && name != ".") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		files[path.Dir(name)]++
		breaches, err := checkFile(name, src)
		found = append(found, breaches...)
		return err
	})
	for pkg, n := range files {
		if n > mostFiles && !matchesOne(large, pkg) && !matchesOne(testSupport, pkg) {
			found = append(found, breach{token.Position{Filename: pkg}, fmt.Sprintf("%d files, more than %d: split the package", n, mostFiles)})
		}
	}
	return found, err
}

// checkFile returns the breaches of one file; name is its path in the module.
func checkFile(name string, src []byte) ([]breach, error) {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, name, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	c := &checker{pkg: path.Dir(name), files: files, imports: map[string]string{}}
	if c.isOneOf(testSupport) {
		return nil, nil
	}
	i := slices.IndexFunc(rooms, func(r room) bool { return matches(r.path, c.pkg) })
	if i < 0 {
		c.breach(f, "%s is in no room of the house: add it to the rules", c.pkg)
		return c.found, nil
	}
	c.room = rooms[i]
	for _, spec := range f.Imports {
		c.importSpec(spec)
	}
	ast.Inspect(f, c.node)
	return c.found, nil
}

// A checker checks one file.
type checker struct {
	pkg     string // path of the package in the module
	room    room
	files   *token.FileSet
	imports map[string]string // path of each import by its name in the file
	found   []breach
}

func (c *checker) breach(n ast.Node, format string, args ...any) {
	c.found = append(c.found, breach{c.files.Position(n.Pos()), fmt.Sprintf(format, args...)})
}

func (c *checker) importSpec(spec *ast.ImportSpec) {
	imported, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return // a compile error
	}
	name := path.Base(imported)
	if name == "v2" { // a major version is not the package's name
		name = path.Base(path.Dir(imported))
	}
	if spec.Name != nil {
		name = spec.Name.Name
	}
	if name == "." {
		c.breach(spec, "%s is imported with a dot: its names could not be told from others", imported)
	}
	c.imports[name] = imported
	c.floor(spec, imported)
	for _, b := range bans {
		if b.pkg == imported && b.names == nil && !c.isOneOf(b.where) {
			c.breach(spec, "%s imports %s: %s", c.pkg, imported, b.why)
		}
	}
}

// floor checks that an import leads to a lower floor, and not to a neighbour.
func (c *checker) floor(spec *ast.ImportSpec, imported string) {
	inside, ours := strings.CutPrefix(imported, module+"/")
	domain, _, _ := strings.Cut(imported, "/") // of another module; the standard library has none
	switch {
	case ours && matchesOne(testSupport, inside):
		c.breach(spec, "%s may not import %s, which is for tests", c.pkg, inside)
	case ours && !matchesOne(c.room.may, inside):
		c.breach(spec, "%s may not import %s, only %q", c.pkg, inside, c.room.may)
	case !ours && strings.Contains(domain, ".") && !matchesOne(c.room.modules, imported):
		c.breach(spec, "%s may not import %s, of other modules only %q", c.pkg, imported, c.room.modules)
	}
}

// node checks uses of banned names, and TOML tags.
func (c *checker) node(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.SelectorExpr:
		if of, ok := n.X.(*ast.Ident); ok && c.imports[of.Name] != "" {
			c.use(n, c.imports[of.Name], n.Sel.Name)
		}
	case *ast.Field:
		if n.Tag != nil && strings.Contains(n.Tag.Value, `toml:"`) && !slices.Contains(tomlKeys, c.files.Position(n.Pos()).Filename) {
			c.breach(n, "a TOML key outside %s, which alone name them", strings.Join(tomlKeys, " and "))
		}
	case *ast.BasicLit:
		c.literal(n)
	}
	return true
}

// tomlKeys are the files that may have TOML tags, the keys of the description language.
var tomlKeys = []string{"image/description/description.go", "image/description/partition.go"}

// literal checks a string literal.
func (c *checker) literal(n *ast.BasicLit) {
	text, err := strconv.Unquote(n.Value)
	if n.Kind != token.STRING || err != nil || c.pkg == "internal/arch" { // its rules contain the words
		return
	}
	for _, w := range words {
		if slices.Contains(w.texts, text) && !c.isOneOf(w.where) {
			c.breach(n, "%s says %q: %s", c.pkg, text, w.why)
		}
	}
}

func (c *checker) use(n ast.Node, pkg, name string) {
	for _, b := range bans {
		if b.pkg == pkg && slices.Contains(b.names, name) && !c.isOneOf(b.where) {
			c.breach(n, "%s uses %s.%s: %s", c.pkg, pkg, name, b.why)
		}
	}
}

// isOneOf reports whether the package of the file matches one of the patterns.
func (c *checker) isOneOf(patterns []string) bool { return matchesOne(patterns, c.pkg) }

func matchesOne(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, path) })
}

// matches reports whether a path matches a pattern: it is equal, or it is at or below the parent of "parent/...".
func matches(pattern, path string) bool {
	if pattern == "..." {
		return true
	}
	parent, below := strings.CutSuffix(pattern, "/...")
	return path == parent || below && strings.HasPrefix(path, parent+"/")
}
