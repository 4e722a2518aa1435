package partitiontest

import (
	"io"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// TB is [testing.TB] without its unexported method, so that a *rapid.T is one too.
type TB interface {
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Helper()
}

// Build returns a tree of nodes, by their paths. Directories that are not among them have the attributes attr.
func Build(t TB, attr *tree.Attr, nodes map[string]*tree.Node) *tree.Tree {
	t.Helper()
	b := tree.NewBuilder(attr)
	for path, n := range nodes {
		if err := b.Add(path, n, path); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// Rooted returns a copy of nodes, the children of a root, without the links to files that are not below it.
func Rooted(nodes []*tree.Node) []*tree.Node {
	kept := map[*tree.Node]bool{}
	for _, top := range nodes {
		for _, n := range tree.Walk("", top) {
			kept[n] = true
		}
	}
	return rooted(nodes, kept)
}

func rooted(nodes []*tree.Node, kept map[*tree.Node]bool) (left []*tree.Node) {
	for _, n := range nodes {
		if n.Kind() == tree.Link && !kept[n.Inode()] {
			continue
		}
		if n.Kind() == tree.Dir {
			n = tree.NewDir(n.Name, n.Attr, rooted(n.Children(), kept))
		}
		left = append(left, n)
	}
	return left
}

// Image returns the bytes of a plan as an image, which is read from its extents without being written.
func Image(s Source) io.ReaderAt { return imageOf{s} }

type imageOf struct{ Source }

// ReadAt implements io.ReaderAt.
func (i imageOf) ReadAt(p []byte, off int64) (int, error) {
	n := int(max(0, min(int64(len(p)), i.Size()-off)))
	if err := extent.ReadAt(i.Source, p[:n], off); err != nil {
		return 0, err
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Bytes returns the bytes of a plan.
func Bytes(t TB, s Source) []byte {
	t.Helper()
	b := make([]byte, s.Size())
	if err := extent.ReadAt(s, b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}
