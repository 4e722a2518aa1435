package main

import (
	"archive/tar"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// hostile is a name that clears the screen, and then seems to be a message of ours.
const hostile = "x\x1b[2J\r\u009b31m\u202e\nimprint: all is well"

// Names reach neither the terminal nor a line of their own, whatever reports them: a plan, a list of the largest files, an error.
func TestHostileNames(t *testing.T) {
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(tree, hostile), strings.Repeat("x", 3<<20))
	f, err := os.Create(filepath.Join(dir, "bad.tar"))
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(f)
	for _, h := range []*tar.Header{{Name: hostile, Typeflag: tar.TypeLink, Linkname: hostile + "gone"}} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, hostile), "name = 1")
	writeFile(t, filepath.Join(dir, "registration"), hostile)
	const head = "name = \"data\"\n"
	const part = "[[partition]]\nname = \"data\"\ntype = \"linux-generic\"\nfilesystem = \"ext4\"\n"
	for name, c := range map[string]struct {
		text string
		code int
		says string
	}{
		"plan":        {head + part + "[[partition.tree]]\nsource = \"tree\"\n", exitDone, "largest in data"},
		"too small":   {head + part + "size = \"1MiB\"\n[[partition.tree]]\nsource = \"tree\"\n", exitInvalid, "the largest in it"},
		"archive":     {head + part + "[[partition.tree]]\nsource = \"bad.tar\"\n", exitInvalid, "bad.tar"},
		"description": {"", exitInvalid, "name: "},
		"missing":     {head + part + "[[partition.file]]\npath = \"/x\"\nsource = \"x\\u001b[2J\\nimprint: all is well\"\n", exitInvalid, "source"},
		"registration": {
			head + "[[source]]\npath = \".\"\nregistration = \"registration\"\n[[closure]]\nname = \"x\"\nroots = [\"x\"]\n" + part + "closures = [\"x\"]\n",
			exitInvalid, "registration:",
		},
	} {
		file := filepath.Join(dir, "image.toml")
		if writeFile(t, file, c.text); c.text == "" {
			file = filepath.Join(dir, hostile)
		}
		for _, args := range [][]string{{"plan", file}, {"build", file, "-o", filepath.Join(dir, "out"), "--json"}} {
			var said strings.Builder
			code := Main(t.Context(), world{&said, &said, args, func(string) string { return "" }})
			hidden := strings.IndexFunc(said.String(), func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) })
			if code != c.code || hidden >= 0 || strings.Contains(said.String(), "\nimprint: all") {
				t.Errorf("%s: exit code %d, said %q", name, code, said.String())
			}
			if args[0] == "plan" && !strings.Contains(said.String(), c.says) {
				t.Errorf("%s: said %q", name, said.String())
			}
			for line := range strings.Lines(said.String()) {
				if args[0] == "build" && !json.Valid([]byte(line)) {
					t.Errorf("%s: no line of JSON: %q", name, line)
				}
			}
		}
	}
}
