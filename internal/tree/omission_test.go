package tree

import (
	"slices"
	"strings"
	"testing"
)

// What is entered is everything but the directory at that very path.
func TestOmission(t *testing.T) {
	dir := func(name string, kids ...*Node) *Node { return NewDir(name, nil, kids) }
	root := dir("", dir("a", dir("b", dir("x")), dir("c", dir("b"))), dir("b", dir("a", dir("b"))), dir("z"))
	for paths, want := range map[string][]string{
		"/a/b":    {"/", "/a", "/a/c", "/a/c/b", "/b", "/b/a", "/b/a/b", "/z"},
		"/b":      {"/", "/a", "/a/b", "/a/b/x", "/a/c", "/a/c/b", "/z"},
		"/b /a/c": {"/", "/a", "/a/b", "/a/b/x", "/z"},
		"/a /a/b": {"/", "/b", "/b/a", "/b/a/b", "/z"},
		"/q":      {"/", "/a", "/a/b", "/a/b/x", "/a/c", "/a/c/b", "/b", "/b/a", "/b/a/b", "/z"},
	} {
		var entered []string
		o := Omit(strings.Fields(paths)...)
		var descend func(at string, n *Node)
		descend = func(at string, n *Node) {
			if o.Enter(n.Name) {
				return
			}
			defer o.Leave()
			entered = append(entered, at)
			for _, c := range n.Children() {
				descend(Join(at, c.Name), c)
			}
		}
		descend("/", root)
		if !slices.Equal(entered, want) {
			t.Errorf("without %s: %q, want %q", paths, entered, want)
		}
	}
	var none *Omission
	if none.Enter("") {
		t.Error("no omission omits the root")
	}
	none.Leave()
}
