package description

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"imprint/bootloader"
	"imprint/image/description/language"
	"imprint/partition"
)

// No word for a file system, an engine or a boot loader is in a string of this package, but those of prose.
func TestNoWordOfRowsIsWrittenHere(t *testing.T) {
	words := slices.Concat(partition.Names(), partition.Later(), partition.Engines(), partition.LaterEngines(), bootloader.Names(), bootloader.Later())
	files, _ := filepath.Glob("*.go")
	texts := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, text := range literals(t, name) {
			texts++
			for _, word := range words {
				if text == word || strings.Contains(text, strconv.Quote(word)) {
					t.Errorf("%s: %q has the word %q in it, which belongs in the row of that", name, text, word)
				}
			}
		}
	}
	if texts < 300 {
		t.Errorf("only %d texts were looked at", texts)
	}
}

// literals are the texts in a source file, without tags.
func literals(t *testing.T, name string) (texts []string) {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING || strings.HasPrefix(literal.Value, "`toml:") {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
		return true
	})
	return texts
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
		if got := language.Alternatives(words); got != want {
			t.Errorf("%s; want %s", got, want)
		}
	}
}
