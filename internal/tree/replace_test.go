package tree

import "testing"

// A replaced file has new content at its path, and everything else is what it was, in the old tree too.
func TestReplace(t *testing.T) {
	attr := &Attr{Mode: 0o755}
	b := NewBuilder(attr)
	for _, path := range []string{"/a/b/c", "/a/b/d", "/a/e", "/f"} {
		if err := b.Add(path, NewFile("", attr, Text(path)), ""); err != nil {
			t.Fatal(err)
		}
	}
	old, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	for path, n := range old.Walk() {
		if n.Kind() != File {
			continue
		}
		replaced := old.Replace(n, Text("other"))
		if got := replaced.Find(path).Blob(); got != Text("other") {
			t.Errorf("%s holds %v", path, got)
		}
		if n.Blob() != Text(path) || replaced.Len() != old.Len() {
			t.Errorf("the old %s holds %v", path, n.Blob())
		}
		for below, m := range replaced.Walk() {
			if replaced.Node(m.ID()) != m || old.Find(below).ID() != m.ID() {
				t.Errorf("replacing %s: %s has ID %d", path, below, m.ID())
			}
			if m.Kind() == File && below != path && m != old.Find(below) {
				t.Errorf("replacing %s made %s anew", path, below)
			}
		}
	}
}

func TestPinned(t *testing.T) {
	sum := Pin{1}
	for _, b := range []Blob{Text("abc"), Sparse(Text("abc"), []Range{{0, 1}})} {
		p := Pinned(b, sum)
		if got, ok := PinOf(p); !ok || got != sum || p.Size() != 3 || len(DataOf(p)) != 1 || DataOf(p)[0] != DataOf(b)[0] {
			t.Errorf("%v, %v, %v", got, ok, DataOf(p))
		}
		if _, ok := PinOf(b); ok {
			t.Error("an unpinned blob has a pin")
		}
	}
}
