package tree

import (
	"fmt"
	"strings"
	"testing"
)

// What is removed is gone with all below it, and hard links elsewhere keep its content.
func TestRemove(t *testing.T) {
	attr := &Attr{Mode: 0o755}
	b := NewBuilder(attr)
	file := NewFile("", attr, Text("content"))
	add := func(path string, n *Node) {
		t.Helper()
		if err := b.Add(path, n, "test"); err != nil {
			t.Fatal(err)
		}
	}
	add("/a/deep/file", file)
	add("/a/deep/link", NewLink("", file))
	add("/b/link", NewLink("", file))
	add("/b/second", NewLink("", file))
	add("/c", NewSymlink("", attr, "a"))
	add("/kept", NewFile("", attr, Text("kept")))
	b.Remove([]string{"/a/deep", "/c/deep", "/none", "/none/x", "/kept/x", "/", "/c"})
	add("/a/deep", NewFile("", attr, Text("new")))
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for path, n := range tr.Walk() {
		list = append(list, fmt.Sprintf("%s %v", path, n.Kind()))
	}
	const want = "/ directory,/a directory,/a/deep file,/b directory,/b/link file,/b/second hard link,/kept file"
	if got := strings.Join(list, ","); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if n := tr.Find("/b/second").Inode(); n != tr.Find("/b/link") || n.Blob() != Text("content") {
		t.Error("a hard link has lost its content")
	}
}
