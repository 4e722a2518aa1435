package listing

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"imprint/closure/nar"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

func attr(k tree.Kind, mode uint16) *tree.Attr { return &tree.Attr{Mode: mode} }

// sample is what Nix writes, of an archive of 1,248 bytes.
const sample = `{"root":{"entries":{"a":{"narOffset":392,"size":5,"type":"regular"},"bin":{"entries":{"run":{"executable":true,"narOffset":896,"size":9,"type":"regular"}},"type":"directory"},` +
	`"link":{"target":"bin/run","type":"symlink"}},"type":"directory"},"version":1}`

// The tree of a listing is that of the archive, with contents at the same offsets.
func TestTree(t *testing.T) {
	shape, err := Parse([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	want := tree.NewDir("", attr(tree.Dir, 0), []*tree.Node{
		tree.NewFile("a", attr(tree.File, 0o444), tree.Text("hello")),
		tree.NewDir("bin", attr(tree.Dir, 0), []*tree.Node{tree.NewFile("run", attr(tree.File, 0o555), tree.Text("#!/bin/sh"))}),
		tree.NewSymlink("link", attr(tree.Symlink, 0), "bin/run"),
	})
	var archive bytes.Buffer
	if err := nar.Write(&archive, want, func(w io.Writer, n *tree.Node) error { return tree.Copy(t.Context(), w, n.Blob(), nil) }); err != nil {
		t.Fatal(err)
	}
	n, size, err := shape.Tree(tree.Text(archive.String()), attr)
	if err != nil || size != int64(archive.Len()) || size != nar.Size(n) {
		t.Fatalf("%d bytes, %v", size, err)
	}
	if got, _, err := nar.Hash(n); err != nil || got != nar.Digest(sha256.Sum256(archive.Bytes())) {
		t.Errorf("another archive, %v", err)
	}
}

func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		``: "not a listing",
		"{\"version\":1,\"root\":{\"type\":\"symlink\",\"target\":\"\xff\"}}": "not valid UTF-8",
		`{"version":2}`:                                                  "version 2 is not supported",
		`{"version":1}`:                                                  "is null",
		`{"version":1,"root":{"type":"x"}} `:                             `unknown type "x"`,
		`{"version":1,"root":{}} {}`:                                     "after top-level value",
		`{"version":1,"root":{"size":1e30}}`:                             "not a listing",
		`{"version":1,"root":{"entries":[1]}}`:                           "not a listing",
		`{"version":1,"root":{"type":"directory","entries":{"a":null}}}`: `"a" is null`,
		strings.Repeat(`{"root":`, 20_000):                               "not a listing",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		`{"type":"regular","size":-1}`:                                      "a file of -1 bytes",
		`{"type":"regular","size":9000000000000000000}`:                     "a file of 9000000000000000000 bytes",
		`{"type":"symlink","target":"a\u0000"}`:                             `with the target "a\x00"`,
		`{"type":"directory","entries":{"..":{"type":"regular","size":1}}}`: `".."`,
		`{"type":"directory","entries":{"a/b":{"type":"regular"}}}`:         `"a/b"`,
		`{"type":"directory","entries":{"":{"type":"regular"}}}`:            "empty name",
	} {
		shape, err := Parse([]byte(`{"version":1,"root":` + text + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := shape.Tree(tree.Text(""), attr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// The lengths of archives are those that package nar writes.
func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(`{"version":1,"root":{"type":"regular","size":7}}`))
	hosttest.Fuzz(f, func(t *testing.T, text []byte) {
		shape, err := Parse(text)
		if err != nil {
			return
		}
		n, size, err := shape.Tree(tree.Text(""), attr)
		if err != nil {
			return
		}
		if size != nar.Size(n) {
			t.Errorf("%d bytes, not %d", size, nar.Size(n))
		}
		written, err := Text(n)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(written)
		if err != nil || !reflect.DeepEqual(again, shape) {
			t.Errorf("%s: %+v, not %+v, %v", written, again, shape, err)
		}
	})
}

// nix-store sees the files where the listing has them.
func TestNix(t *testing.T) {
	hosttest.Need(t, "nix-store", "nix")
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "d"), 0o755)
	os.WriteFile(filepath.Join(dir, "d/a"), []byte("hello"), 0o644)
	os.WriteFile(filepath.Join(dir, "d/b"), []byte("#!/bin/sh"), 0o755)
	os.Symlink("a", filepath.Join(dir, "d/c"))
	archive, err := exec.Command("nix-store", "--dump", filepath.Join(dir, "d")).Output()
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(dir, "x.nar"), archive, 0o644)
	text, err := exec.Command("nix", "--extra-experimental-features", "nix-command", "nar", "ls", "--json", "-R", filepath.Join(dir, "x.nar"), "/").Output()
	if err != nil {
		t.Skip("this nix lists no archives")
	}
	whole := `{"version":1,"root":` + strings.TrimSpace(string(text)) + `}`
	shape, err := Parse([]byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	n, size, err := shape.Tree(tree.Text(string(archive)), attr)
	if got, _, hashed := nar.Hash(n); err != nil || hashed != nil || size != int64(len(archive)) || got != nar.Digest(sha256.Sum256(archive)) {
		t.Errorf("%d bytes, %v, %v", size, err, hashed)
	}
}

// What is written is read as the same tree. Names that are not UTF-8 have no listing.
func TestText(t *testing.T) {
	dir := func(kids ...*tree.Node) *tree.Node { return tree.NewDir("", attr(tree.Dir, 0), kids) }
	file := func(name string, mode uint16, text string) *tree.Node {
		return tree.NewFile(name, attr(tree.File, mode), tree.Text(text))
	}
	first := file("b", 0o444, "content")
	for want, n := range map[string]*tree.Node{
		`{"version":1,"root":{"type":"regular","size":7,"narOffset":96}}`: first,
		`{"version":1,"root":{"type":"symlink","target":"<ü>"}}`:          tree.NewSymlink("", attr(tree.Symlink, 0), "<ü>"),
		`{"version":1,"root":{"type":"directory","entries":{}}}`:          dir(),
		`{"version":1,"root":{"type":"directory","entries":{"a":{"type":"regular","size":0,"executable":true,"narOffset":264},` +
			`"b":{"type":"regular","size":7,"narOffset":448},"c":{"type":"regular","size":7,"narOffset":640}}}}`: dir(file("a", 0o555, ""), first, tree.NewLink("c", first)),
	} {
		text, err := Text(n)
		if err != nil || string(text) != want {
			t.Errorf("%s, %v, want %s", text, err, want)
			continue
		}
		shape, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		again, size, err := shape.Tree(tree.Text(""), attr)
		if err != nil || size != nar.Size(n) || nar.Size(again) != size {
			t.Errorf("%s: %d bytes, %v", text, size, err)
		}
	}
	for _, n := range []*tree.Node{dir(file("\xff", 0o444, "")), tree.NewSymlink("", attr(tree.Symlink, 0), "\xff")} {
		if _, err := Text(n); !errors.Is(err, ErrNoText) {
			t.Error(err)
		}
	}
}
