package tree

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"imprint/internal/hosttest"

	"pgregory.net/rapid"
)

var plain = &Attr{Mode: 0o755}

func paths(t *Tree) []string {
	var got []string
	for p, n := range t.Walk() {
		got = append(got, p+" "+n.Kind().String())
	}
	return got
}

func TestBuilder(t *testing.T) {
	b := NewBuilder(plain)
	secret := &Attr{Mode: 0o700}
	sub := NewDir("x", plain, []*Node{NewFile("z", plain, Text("1")), NewFile("a", plain, Text(""))})
	for _, e := range []struct {
		path string
		node *Node
	}{
		{"/b/c/file", NewFile("", plain, Text("hello"))},
		{"/b/sub", sub},
		{"b//sub/./more", NewSymlink("", plain, "target")},
		{"/b", NewDir("", secret, nil)},
	} {
		if err := b.Add(e.path, e.node, "here"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/ directory", "/b directory", "/b/c directory", "/b/c/file file", "/b/sub directory", "/b/sub/a file", "/b/sub/more symlink", "/b/sub/z file"}
	if !slices.Equal(paths(got), want) {
		t.Errorf("got %q", paths(got))
	}
	if got.Find("/b").Attr != secret || got.Find("/b/c").Attr != plain {
		t.Error("an explicit directory gives its attributes to itself alone")
	}
	for i := range got.Len() {
		if got.Node(i).ID() != i {
			t.Fatalf("node %d has ID %d", i, got.Node(i).ID())
		}
	}
}

func TestBuilderRefuses(t *testing.T) {
	for _, c := range []struct{ first, second, want string }{
		{"/a", "/a", "/a: a file is there already (first)"},
		{"/a", "/a/b", "/a/b: /a is a file, not a directory (first)"},
		{"/a/b", "/a", "/a: a directory is there already"},
		{"/a", "/x/../y", `name ".."`},
		{"/a", "/" + strings.Repeat("n", 256), "name of 256 bytes"},
		{"/a", "/b\x00c", "NUL"},
	} {
		b := NewBuilder(plain)
		if err := b.Add(c.first, NewFile("", plain, Text("")), "first"); err != nil {
			t.Fatal(err)
		}
		err := b.Add(c.second, NewFile("", plain, Text("")), "second")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s then %s: %v; want %q", c.first, c.second, err, c.want)
		}
	}
}

// A directory that was read elsewhere may hold a name twice or a hostile one: it is found at the end.
func TestTreeRefusesBadDirectories(t *testing.T) {
	for _, names := range [][]string{{"a", "a"}, {"..", "b"}, {"x/y"}, {""}} {
		b := NewBuilder(plain)
		var kids []*Node
		for _, n := range names {
			kids = append(kids, NewFile(n, plain, Text("")))
		}
		if err := b.Add("/d", NewDir("d", plain, kids), ""); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Tree(); err == nil {
			t.Errorf("a directory of %q was taken", names)
		}
	}
}

// The tree does not depend on the order in which nodes are added.
func TestOrderDoesNotMatter(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-c]{1,3}(/[a-c]{1,2}){0,3}`), 1, 20, rapid.ID).Draw(t, "names")
		build := func(order []string) []string {
			b := NewBuilder(plain)
			for _, n := range order {
				if err := b.Add(n, NewDir("", plain, nil), ""); err != nil {
					t.Fatal(err)
				}
			}
			tr, err := b.Tree()
			if err != nil {
				t.Fatal(err)
			}
			return paths(tr)
		}
		first := build(names)
		second := build(rapid.Permutation(names).Draw(t, "order"))
		if !slices.Equal(first, second) {
			t.Fatalf("%q and %q", first, second)
		}
	})
}

func TestText(t *testing.T) {
	r, err := Text("hello").Open()
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 10)
	if n, err := r.ReadAt(p, 2); n != 3 || !errors.Is(err, io.EOF) || string(p[:n]) != "llo" {
		t.Errorf("ReadAt gave %d, %v", n, err)
	}
	if n, err := r.ReadAt(p, 7); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("ReadAt after the end returned %d, %v", n, err)
	}
}

// A million nodes must fit in memory many times over.
func TestNodeIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Node{}); size > 48 {
		t.Errorf("a node takes %d bytes, 48 are the aim", size)
	}
}

// A hard link leads to a file, or something like one, that is in the same tree.
func TestTreeRefusesBadLinks(t *testing.T) {
	dir, file := NewDir("d", plain, nil), NewFile("f", plain, Text(""))
	for want, nodes := range map[string][]*Node{
		"a hard link to a directory":                    {dir, NewLink("x", dir)},
		"a hard link to a hard link":                    {file, NewLink("l", file), NewLink("x", NewLink("l", file))},
		"a hard link to a file that is not in the tree": {NewLink("x", NewFile("g", plain, Text("")))},
	} {
		if _, err := seal(NewDir("", plain, nodes)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want %q", err, want)
		}
	}
}
