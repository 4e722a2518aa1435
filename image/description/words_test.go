package description

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"

	"imprint/bootloader"
	"imprint/partition"
)

// No word for a file system, an engine or a boot loader is in a string of this package, but those of prose.
func TestNoWordOfRowsIsWrittenHere(t *testing.T) {
	words := slices.Concat(partition.Names(), partition.Later(), partition.Engines(), partition.LaterEngines(), bootloader.Names(), bootloader.Later())
	isGo := func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }
	packages, err := parser.ParseDir(token.NewFileSet(), ".", isGo, 0)
	if err != nil {
		t.Fatal(err)
	}
	literals := 0
	ast.Inspect(packages["description"], func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING || strings.HasPrefix(literal.Value, "`toml:") {
			return true
		}
		literals++
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range words {
			if text == word || strings.Contains(text, strconv.Quote(word)) {
				t.Errorf("%q has the word %q in it, which belongs into the row of that", text, word)
			}
		}
		return true
	})
	if literals < 300 {
		t.Errorf("only %d texts were looked at", literals)
	}
}

// The keys that a row of a file system refuses are keys of a partition.
func TestRowsRefuseKeysOfPartitions(t *testing.T) {
	for _, row := range partition.Filesystems {
		for name := range row.Refuses {
			new(Partition).keyNamed(name) // or it panics
		}
	}
}

func TestAlternatives(t *testing.T) {
	for want, words := range map[string][]string{"": nil, `"a"`: {"a"}, `"a" or "b"`: {"a", "b"}, `"a", "b" or "c"`: {"a", "b", "c"}} {
		if got := alternatives(words); got != want {
			t.Errorf("%s; want %s", got, want)
		}
	}
}
