package nar

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"imprint/internal/framed"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

func attrs(kind tree.Kind, mode uint16) *tree.Attr {
	if kind == tree.Dir || mode&0o100 != 0 {
		return program
	}
	return plain
}

// index reads an archive that is all of a text from an offset on.
func index(text string, off int64) (*tree.Node, int64, error) {
	b := tree.Text(text)
	r, err := b.Open()
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	return Index(r, b, off, attrs)
}

func archiveOf(t testing.TB, n *tree.Node) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, n, copyText); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What Write writes Index reads, wherever it is, and it is the same again.
func TestIndex(t *testing.T) {
	for _, n := range []*tree.Node{file("", ""), exe("", "hi"), symlink("", "busybox"), dir(""), awkward()} {
		want := archiveOf(t, n)
		got, size, err := index("before!!"+want+"after", 8)
		if err != nil {
			t.Fatal(err)
		}
		if size != int64(len(want)) || archiveOf(t, got) != want {
			t.Errorf("an archive of %d bytes became one of %d", len(want), size)
		}
	}
	hosttest.Check(t, func(r *rapid.T) {
		n := drawn(r, "")
		for _, below := range tree.Walk("", n) {
			if strings.Contains(below.Target(), "\x00") {
				r.Skip("no symlink has such a target")
			}
		}
		want := archiveOf(t, n)
		got, size, err := index(want, 0)
		if err != nil || size != int64(len(want)) || archiveOf(t, got) != want {
			r.Errorf("%d of %d bytes, %v", size, len(want), err)
		}
	})
}

// Archives of Nix's are read.
func TestIndexOfNix(t *testing.T) {
	hosttest.Need(t, "nix-store")
	path := filepath.Join(t.TempDir(), "top")
	unpack(t, path, awkward())
	out, err := exec.Command("nix-store", "--dump", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	n, size, err := index(string(out), 0)
	if err != nil || size != int64(len(out)) || archiveOf(t, n) != string(out) {
		t.Errorf("%d of %d bytes, %v", size, len(out), err)
	}
}

// Whatever Write would not write is refused, with the offset.
func TestIndexRefuses(t *testing.T) {
	whole := words("nix-archive-1")
	leaf := openFile + number(0) + closeBracket
	entry := func(name, node string) string { return openEntry + words(name) + beforeNode + node + closeBracket }
	in := func(entries ...string) string { return whole + openDir + strings.Join(entries, "") + closeBracket }
	for text, want := range map[string]string{
		"":                                      "at byte 0: it ends 8 bytes too early",
		words("nix-archive-2"):                  `"nix-archive-1" is missing`,
		whole:                                   "ends",
		whole + words("("):                      "ends",
		whole + words("(", "tp"):                `"type" is missing`,
		whole + words("(", "type", "fifo", ")"): `unknown type "fifo"`,
		whole + words("(", "type", "regular", ")"):                            `")" where the contents`,
		whole + words("(", "type", "regular", "executable", "yes"):            `"" is missing`,
		whole + openFile + number(1<<40):                                      "too early",
		whole + openFile + number(1<<63):                                      "too early",
		whole + openFile + number(1<<64-1):                                    "too early",
		whole + openFile + number(1) + "x1234567" + closeBracket:              "padding is not zero",
		whole + openSymlink + words("a\x00b") + closeBracket:                  `a symlink with the target "a\x00b"`,
		whole + openSymlink + words(strings.Repeat("t", 4096)) + closeBracket: "a text of 4096 bytes where at most 4095",
		in(entry("..", leaf)):                                                 `name ".."`,
		in(entry(".", leaf)):                                                  `name "."`,
		in(entry("", leaf)):                                                   "empty name",
		in(entry("a/b", leaf)):                                                "slash",
		in(entry("a\x00", leaf)):                                              "NUL",
		in(entry(strings.Repeat("n", 256), leaf)):                             "a text of 256 bytes",
		in(entry("b", leaf), entry("a", leaf)):                                `the name "a" comes after "b"`,
		in(entry("a", leaf), entry("a", leaf)):                                `the name "a" comes after "a"`,
		in(leaf):                                                              "where an entry of a directory is expected",
		whole + strings.Repeat(openDir+openEntry+words("d")+beforeNode, 3000): "more than 2048 directories",
	} {
		_, _, err := index(text, 0)
		var damaged *framed.FormatError
		if !errors.As(err, &damaged) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100q: %v, want %s", text, err, want)
		}
	}
}

func number(n uint64) string { return string(framed.AppendNumber(nil, n)) }

// An archive that Index accepts is what Write writes of it.
func FuzzIndex(f *testing.F) {
	for _, n := range []*tree.Node{file("", "x"), dir("", exe("b", "hi"), symlink("a", "b"), dir("c", file("d", "12345678")))} {
		f.Add(archiveOf(f, n))
	}
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		n, size, err := index(text, 0)
		if err == nil && archiveOf(t, n) != text[:size] {
			t.Errorf("%q became %q", text[:size], archiveOf(t, n))
		}
	})
}
