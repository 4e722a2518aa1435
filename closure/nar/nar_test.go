package nar

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

var (
	plain   = &tree.Attr{Mode: 0o444}
	program = &tree.Attr{Mode: 0o555}
)

func file(name, text string) *tree.Node { return tree.NewFile(name, plain, tree.Text(text)) }

func exe(name, text string) *tree.Node { return tree.NewFile(name, program, tree.Text(text)) }

func dir(name string, kids ...*tree.Node) *tree.Node { return tree.NewDir(name, program, kids) }

func symlink(name, target string) *tree.Node { return tree.NewSymlink(name, plain, target) }

func copyText(w io.Writer, f *tree.Node) error {
	_, err := io.WriteString(w, textOf(f))
	return err
}

func textOf(f *tree.Node) string {
	f = f.Inode()
	r, _ := f.Blob().Open()
	b := make([]byte, f.Size())
	r.ReadAt(b, 0)
	return string(b)
}

// Hashes and lengths of archives made by nix-store --dump.
func TestHashKnown(t *testing.T) {
	for _, c := range []struct {
		node *tree.Node
		hash string
		size int64
	}{
		{file("", ""), "0ip26j2h11n1kgkz36rl4akv694yz65hr72q4kv4b3lxcbi65b3p", 112},
		{dir("", exe("b", "hi"), symlink("a", "b")), "0qfkj5vlmh8bap49y7sxcgz85wr1vlhf2a0miibz2hx9isx0x4w9", 512},
		{symlink("", "busybox"), "0ig1630aakwfd1g9xr8wrd3kg60iagpv7yfxb0in96klg19nlnrx", 120},
	} {
		d, size, err := Hash(c.node)
		if err != nil {
			t.Fatal(err)
		}
		if got := EncodeBase32(d[:]); got != c.hash || size != c.size {
			t.Errorf("%s of %d bytes, want %s of %d", got, size, c.hash, c.size)
		}
	}
}

// awkward returns a tree with the worst of real outputs: names of any bytes, links, empty files and directories, sizes around the padding, depth.
func awkward() *tree.Node {
	kids := []*tree.Node{
		dir("empty"), symlink("dangling", "no/where/"), file("a\nb", "newline"), file("\xff\xfe", "no UTF-8"),
		file("..data", "two dots"), file("A", "1"), file("a", "2"), file("a.b", "3"), dir("a-b", file("x", "")),
		file(strings.Repeat("n", 255), "long"), symlink("deep", strings.Repeat("t", 4000)), file("big", strings.Repeat("b", 300_000)),
	}
	for n := range 18 {
		kids = append(kids, exe(fmt.Sprintf("size%d", n), strings.Repeat("s", n)))
	}
	chain := file("end", "x")
	for range 60 {
		chain = dir("d", chain)
	}
	first := file("first", "shared")
	return dir("", append(kids, dir("chain", chain), first, tree.NewLink("second", first))...)
}

func TestHashAsNix(t *testing.T) {
	hosttest.Need(t, "nix-store")
	for name, node := range map[string]*tree.Node{"tree": awkward(), "file": file("", "hello"), "program": exe("", "x"), "link": symlink("", "x")} {
		path := filepath.Join(t.TempDir(), "item")
		unpack(t, path, node)
		want, err := exec.Command("nix-store", "--dump", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := Write(&got, node, copyText); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: %d bytes of archive differ from nix-store's %d", name, got.Len(), len(want))
		}
		if d, size, err := Hash(node); err != nil || d != sha256.Sum256(want) || size != int64(len(want)) {
			t.Errorf("%s: hash %x, size %d, %v", name, d, size, err)
		}
	}
}

func unpack(t *testing.T, path string, n *tree.Node) {
	t.Helper()
	var err error
	switch n = n.Inode(); n.Kind() {
	case tree.Dir:
		err = os.Mkdir(path, 0o755)
		for _, c := range n.Children() {
			unpack(t, path+"/"+c.Name, c)
		}
	case tree.Symlink:
		err = os.Symlink(n.Target(), path)
	default:
		err = os.WriteFile(path, []byte(textOf(n)), os.FileMode(n.Attr.Mode|0o200))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWriteRefuses(t *testing.T) {
	nothing := func(io.Writer, *tree.Node) error { return nil }
	for _, c := range []struct {
		node    *tree.Node
		content func(io.Writer, *tree.Node) error
		want    string
	}{
		{dir("", dir("d", tree.NewSpecial("pipe", plain, tree.Fifo))), copyText, "archive /d/pipe: a fifo"},
		{tree.NewDevice("", plain, tree.CharDevice, tree.Device{}), copyText, "archive /: a character device"},
		{dir("", file("f", "abc")), nothing, "archive /f: its content has 0 bytes, its size is 3"},
		{file("", "abc"), func(w io.Writer, n *tree.Node) error { copyText(w, n); return copyText(w, n) }, "has 6 bytes"},
		{file("", "abc"), func(io.Writer, *tree.Node) error { return io.ErrUnexpectedEOF }, "unexpected EOF"},
		{dir("", file("f", ""), file("f", "")), copyText, `duplicate name "f"`},
		{dir("", file("..", "")), copyText, `name ".."`},
	} {
		if err := Write(io.Discard, c.node, c.content); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// resized is a file whose length is not its size any more.
type resized struct {
	tree.Blob
	size int64
}

func (r resized) Size() int64 { return r.size }

func TestHashRefusesChangedFiles(t *testing.T) {
	for size, want := range map[int64]string{3: "it is longer than its 3 bytes", 7: "it ends at byte 5 of 7"} {
		_, _, err := Hash(tree.NewFile("", plain, resized{tree.Text("12345"), size}))
		if !errors.Is(err, tree.ErrChanged) || !strings.Contains(err.Error(), want) {
			t.Errorf("size %d: %v, want %q", size, err, want)
		}
	}
}

type brokenWriter struct{ left int }

func (b *brokenWriter) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

var errBroken = errors.New("disk full")

// A writer's error is never lost, wherever it comes.
func TestWriteReportsTheWritersError(t *testing.T) {
	n := awkward()
	for left := int64(0); left < Size(n); left += 10_000 {
		if err := Write(&brokenWriter{int(left)}, n, copyText); !errors.Is(err, errBroken) {
			t.Errorf("broken after %d bytes: %v", left, err)
		}
	}
	if err := Write(&brokenWriter{int(Size(n))}, n, copyText); err != nil {
		t.Error(err)
	}
}

// The size of the archive of any tree is known before it is written, and the order of the nodes does not matter.
func TestSize(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfDistinct(rapid.StringMatching(`[a-z.\n]{3,20}`), rapid.ID).Draw(t, "names")
		var kids, reversed []*tree.Node
		for _, name := range names {
			kids = append(kids, drawn(t, name))
			reversed = append([]*tree.Node{kids[len(kids)-1]}, reversed...)
		}
		var one, two bytes.Buffer
		if err := errors.Join(Write(&one, dir("", kids...), copyText), Write(&two, dir("", reversed...), copyText)); err != nil {
			t.Fatal(err)
		}
		if int64(one.Len()) != Size(dir("", kids...)) || !bytes.Equal(one.Bytes(), two.Bytes()) {
			t.Fatalf("%d and %d bytes, size said %d", one.Len(), two.Len(), Size(dir("", kids...)))
		}
	})
}

func drawn(t *rapid.T, name string) *tree.Node {
	text := rapid.StringN(0, 40, -1).Draw(t, "text")
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		return symlink(name, text)
	case 1:
		return exe(name, text)
	case 2:
		return dir(name, file("f", text))
	}
	return file(name, text)
}

// The cost of an archive of many small files over hashing the same bytes in one piece.
func BenchmarkHash(b *testing.B) {
	var dirs []*tree.Node
	for d := range 315 {
		var files []*tree.Node
		for f := range 100 {
			files = append(files, file(fmt.Sprintf("file-%02d.nix", f), strings.Repeat("c", 700)))
		}
		dirs = append(dirs, dir(fmt.Sprintf("dir-%03d", d), files...))
	}
	n := dir("", dirs...)
	b.Run("archive", func(b *testing.B) {
		b.SetBytes(Size(n))
		for b.Loop() {
			Hash(n)
		}
	})
	b.Run("bytes alone", func(b *testing.B) {
		one := make([]byte, Size(n))
		b.SetBytes(Size(n))
		for b.Loop() {
			sha256.Sum256(one)
		}
	})
}

// Frame writes an archive without the contents.
func TestFrame(t *testing.T) {
	n := tree.NewDir("", program, []*tree.Node{tree.NewFile("a", plain, tree.Text("content")), tree.NewFile("b", plain, tree.Text("")), tree.NewSymlink("c", plain, "a")})
	var whole, frame strings.Builder
	if err := Write(&whole, n, func(w io.Writer, n *tree.Node) error { return tree.Copy(t.Context(), w, n.Blob(), nil) }); err != nil {
		t.Fatal(err)
	}
	if err := Frame(&frame, n); err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(whole.String(), "content\x00", "\x00", 1); frame.String() != want {
		t.Errorf("%q, want %q", frame.String(), want)
	}
}
