package tree

import "testing"

// A clone is the same tree of other nodes, with links among them, and what is added to it is not in the first.
func TestClone(t *testing.T) {
	attr := &Attr{Mode: 0o755}
	file := NewFile("file", attr, Text("text"))
	dir := NewDir("dir", attr, []*Node{file, NewSymlink("symlink", attr, "file")})
	elsewhere := NewFile("elsewhere", attr, Text(""))
	list := []*Node{dir, NewLink("link", file), NewLink("out", elsewhere)}
	copied := Clone(list)
	if copied[0] == dir || copied[0].Children()[0] == file || copied[0].Children()[0].Blob() != file.Blob() || copied[0].Children()[1].Target() != "file" {
		t.Error("the directory is not copied, or its content is")
	}
	if copied[1].Inode() != copied[0].Children()[0] || copied[2].Inode() != elsewhere {
		t.Error("links lead elsewhere")
	}
	for i, nodes := range [][]*Node{list[:2], copied[:2]} {
		b := NewBuilder(attr)
		for _, n := range nodes {
			if err := b.Add("/"+n.Name, n, "a"); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Add("/dir/more", NewFile("more", attr, Text("")), "a"); err != nil {
			t.Errorf("tree %d: %v", i, err)
		}
		if tr, err := b.Tree(); err != nil || tr.Len() != 6 {
			t.Errorf("tree %d: %v", i, err)
		}
	}
}
