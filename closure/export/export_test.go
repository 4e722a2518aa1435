package export

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/framed"
	"imprint/internal/hosttest"
	"imprint/internal/hosttree"
	"imprint/internal/tree"
)

var plain, program = &tree.Attr{Mode: 0o444}, &tree.Attr{Mode: 0o555}

func attrs(kind tree.Kind, mode uint16) *tree.Attr {
	if kind == tree.Dir || mode&0o100 != 0 {
		return program
	}
	return plain
}

func content(w io.Writer, n *tree.Node) error {
	return tree.Copy(context.Background(), w, n.Inode().Blob(), nil)
}

func write(t testing.TB, items ...Item) string {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, i := range items {
		if err := w.Add(i, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sample() []Item {
	return []Item{
		{Path: "/s/a", Node: tree.NewFile("", plain, tree.Text("hello"))},
		{Path: "/s/b", References: []string{"/s/a", "/s/b"}, Deriver: "/s/b.drv", Node: tree.NewDir("", program, []*tree.Node{
			tree.NewFile("f", program, tree.Text("12345678")), tree.NewSymlink("l", plain, "/s/a")})},
	}
}

func TestRoundTrip(t *testing.T) {
	want := write(t, sample()...)
	items, err := Read(tree.Text(want), attrs)
	if err != nil {
		t.Fatal(err)
	}
	if got := write(t, items...); got != want || len(items) != 2 || len(items[1].References) != 2 || items[1].Deriver != "/s/b.drv" {
		t.Errorf("%+v", items)
	}
	if a := items[1].Archive; !strings.Contains(want, string(must(tree.ReadAll(a, 1<<20)))) {
		t.Error("the archive is not a part of the stream")
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// A stream of Nix's is read, and what is written of it is the same, byte for byte. Nix imports it.
func TestAsNix(t *testing.T) {
	hosttest.Need(t, "nix-store")
	dir := t.TempDir()
	nix := func(root, stdin string, args ...string) string {
		c := exec.Command(args[0], args[1:]...)
		c.Env = append(os.Environ(), "NIX_REMOTE=local?root="+filepath.Join(dir, root), "HOME="+dir, "NIX_CONF_DIR="+dir)
		c.Stdin = strings.NewReader(stdin)
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		return string(out)
	}
	top := filepath.Join(dir, "top")
	os.MkdirAll(filepath.Join(top, "empty"), 0o755)
	os.WriteFile(filepath.Join(top, "file"), []byte("some text"), 0o755)
	os.Symlink("nowhere", filepath.Join(top, "link"))
	os.WriteFile(filepath.Join(dir, "other"), nil, 0o644)
	first := strings.TrimSpace(nix("a", "", "nix-store", "--add", top))
	second := strings.TrimSpace(nix("a", "", "nix-store", "--add", filepath.Join(dir, "other")))
	want := nix("a", "", "nix-store", "--export", first, second)
	name := filepath.Join(dir, "stream")
	if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := hosttree.File(name)
	if err != nil {
		t.Fatal(err)
	}
	items, err := Read(b, attrs)
	if err != nil {
		t.Fatal(err)
	}
	if got := write(t, items...); got != want {
		t.Errorf("%d bytes differ from the %d of Nix", len(got), len(want))
	}
	if got := nix("b", write(t, items...), "nix-store", "--import"); !strings.Contains(got, first) || !strings.Contains(got, second) {
		t.Errorf("imported %s", got)
	}
}

func TestReadRefuses(t *testing.T) {
	good := write(t, sample()...)
	one := write(t, sample()[0])
	signed := one[:len(one)-16] + "\x01" + one[len(one)-15:] // before the end of the stream
	two := one[:len(one)-16] + "\x02" + one[len(one)-15:]
	for text, want := range map[string]string{
		"":                                       "too early",
		good[:len(good)-8]:                       "too early",
		good + "x":                               "1 bytes follow the end",
		"Export: 1\n":                            "this is not a stream of nix-store --export",
		good[:8] + good[16:]:                     "damaged",
		signed:                                   "too early",
		two:                                      "2 where a signature or the end",
		strings.Replace(good, "NIXE", "NIXF", 1): "magic number",
	} {
		_, err := Read(tree.Text(text), attrs)
		var damaged *framed.FormatError
		if !errors.As(err, &damaged) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
}

// A stream that Read accepts is what a Writer writes of it.
func FuzzRead(f *testing.F) {
	f.Add(write(f, sample()...))
	f.Add(write(f))
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		items, err := Read(tree.Text(text), attrs)
		if slices.ContainsFunc(items, func(i Item) bool { return i.Signature != "" }) {
			return // a Writer does not sign
		}
		if err == nil && write(t, items...) != text {
			t.Errorf("%q became another stream", text)
		}
	})
}
