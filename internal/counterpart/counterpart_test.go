package counterpart

import (
	"testing"

	"imprint/internal/tree"
)

func build(t *testing.T, files ...string) *tree.Tree {
	t.Helper()
	b := tree.NewBuilder(&tree.Attr{})
	for _, path := range files {
		if err := b.Add(path, tree.NewFile("", &tree.Attr{}, tree.Text(path)), ""); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestOf(t *testing.T) {
	earlier := build(t, "/same", "/gone", "/store/a-tool/bin/x", "/store/b-tool/bin/y", "/store/c-other/z", "/kind")
	next := build(t, "/same", "/new", "/store/a-tool/bin/x", "/store/d-tool/bin/y", "/store/d-tool/bin/new", "/store/e-tool/bin/y", "/store/f/z", "/kind/file")
	like := Of(next, earlier)
	for path, want := range map[string]string{
		"/": "/", "/same": "/same", "/new": "", "/store": "/store", "/store/a-tool/bin/x": "/store/a-tool/bin/x", "/store/d-tool": "/store/b-tool",
		"/store/d-tool/bin/y": "/store/b-tool/bin/y", "/store/d-tool/bin/new": "", "/store/e-tool": "", "/store/e-tool/bin/y": "", "/store/f": "", "/kind": "/kind", "/kind/file": "",
	} {
		id := like[next.Find(path).ID()]
		if want == "" && id != -1 || want != "" && int(id) != earlier.Find(want).ID() {
			t.Errorf("%s comes in place of node %d, not of %q", path, id, want)
		}
	}
}

// Names of one file have its counterpart, and one counterpart can be that of several nodes.
func TestLinks(t *testing.T) {
	b := tree.NewBuilder(&tree.Attr{})
	file := tree.NewFile("", &tree.Attr{}, tree.Text("x"))
	for path, n := range map[string]*tree.Node{"/a": file, "/b": tree.NewLink("", file)} {
		if err := b.Add(path, n, ""); err != nil {
			t.Fatal(err)
		}
	}
	earlier, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	next := build(t, "/a", "/b")
	if like := Of(next, earlier); like[1] != 1 || like[2] != 1 {
		t.Errorf("got %v", like)
	}
}
