package outline

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"

	"pgregory.net/rapid"
)

var (
	program = &tree.Attr{Mode: 0o555}
	plain   = &tree.Attr{Mode: 0o444}
)

func attr(kind tree.Kind, mode uint16) *tree.Attr {
	if kind == tree.File && mode&0o100 == 0 {
		return plain
	}
	return program
}

// drawItem draws an item: nodes of all kinds, with links to files that come before.
func drawItem(t *rapid.T, name string, depth int, files *[]*tree.Node) *tree.Node {
	kinds := []tree.Kind{tree.File, tree.Symlink}
	if depth > 0 {
		kinds = append(kinds, tree.Dir, tree.Dir)
	}
	if len(*files) > 0 {
		kinds = append(kinds, tree.Link)
	}
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
	case tree.Dir:
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z.é]{3,200}`), 0, 5, rapid.ID).Draw(t, "names")
		slices.Sort(names)
		var nodes []*tree.Node
		for _, n := range names {
			nodes = append(nodes, drawItem(t, n, depth-1, files))
		}
		return tree.NewDir(name, program, nodes)
	case tree.Symlink:
		return tree.NewSymlink(name, program, rapid.String().Draw(t, "target"))
	case tree.Link:
		return tree.NewLink(name, rapid.SampledFrom(*files).Draw(t, "file"))
	}
	f := tree.NewFile(name, rapid.SampledFrom([]*tree.Attr{plain, program}).Draw(t, "attr"), sized(rapid.Int64Range(0, mostBytes).Draw(t, "size")))
	*files = append(*files, f)
	return f
}

// A sized blob has only a size.
type sized int64

func (s sized) Size() int64                { return int64(s) }
func (s sized) Open() (tree.Reader, error) { return nil, os.ErrInvalid }

// shown describes a node and everything below it: names, kinds, attributes, sizes, targets, and which files are one.
func shown(n *tree.Node) (list []string) {
	seen := map[*tree.Node]string{}
	for path, n := range tree.Walk(n.Name, n) {
		at := path
		if n.Kind() == tree.Link {
			at = seen[n.Inode()]
		}
		seen[n] = path
		i := n.Inode()
		list = append(list, strings.Join([]string{path, at, n.Kind().String(), i.Target()}, "\x00")+string(rune(i.Attr.Mode))+string(rune(i.Size()%0xd000)))
	}
	return list
}

// What an outline gives is the item again, and its files are those below a path of the host.
func TestRoundTrip(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		item := drawItem(t, "item", 4, &[]*tree.Node{})
		text, err := Append(nil, item)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Tree(string(text), "/some/store/item", attr)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(shown(item), shown(back)) {
			t.Fatalf("%q is now %q", shown(item), shown(back))
		}
		for path, n := range tree.Walk("/some/store/item", back) {
			if n.Kind() == tree.File && tree.HostPath(n.Blob()) != path {
				t.Fatalf("the file %s is read from %s", path, tree.HostPath(n.Blob()))
			}
		}
		set := NewSet()
		set.items[Hash{1}], set.items[Hash{2}] = string(text), "x"
		parsed, err := Parse(set.Text())
		if err != nil || parsed.Len() != 2 || parsed.items[Hash{1}] != string(text) {
			t.Fatalf("%d items, %v", parsed.Len(), err)
		}
	})
}

func TestAppendRefuses(t *testing.T) {
	later := tree.NewFile("z", plain, tree.Text(""))
	for want, n := range map[string]*tree.Node{
		"is a fifo":               tree.NewDir("", program, []*tree.Node{tree.NewSpecial("f", plain, tree.Fifo)}),
		"does not come before it": tree.NewDir("", program, []*tree.Node{tree.NewLink("a", later), later}),
	} {
		if _, err := Append(nil, n); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want %q", err, want)
		}
	}
}

func TestTreeRefuses(t *testing.T) {
	for what, text := range map[string]string{
		"nothing":            "",
		"no number":          "\x01",
		"an endless number":  "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"a large file":       "\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
		"another kind":       "\x05\x00",
		"more":               "\x01\x00\x00",
		"many names":         "\x00\xff\x01",
		"names in disorder":  "\x00\x02\x01b\x01\x00\x01a\x01\x00",
		"a name twice":       "\x00\x02\x01a\x01\x00\x01a\x01\x00",
		"a name with slash":  "\x00\x01\x03a/b\x01\x00",
		"the name ..":        "\x00\x01\x02..\x01\x00",
		"a short name":       "\x00\x01\x05a\x01\x00",
		"a short target":     "\x03\x05a",
		"a link to nothing":  "\x00\x02\x01a\x01\x00\x01b\x04\x01",
		"a link to itself":   "\x04\x00",
		"deep directories":   strings.Repeat("\x00\x01\x01a", mostDeep+1) + "\x01\x00",
		"an unfinished list": "\x00\x02\x01a\x01\x00",
	} {
		if n, err := Tree(text, "/x", attr); err == nil {
			t.Errorf("%s is taken: %q", what, shown(n))
		}
	}
}

// An item is taken only where something of its kind is.
func TestItem(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "item")
	item := tree.NewDir("item", program, []*tree.Node{tree.NewFile("f", plain, tree.Text("content"))})
	set := NewSet()
	if err := set.Add(Hash{1}, item); err != nil {
		t.Fatal(err)
	}
	if set.Item(Hash{1}, path, attr) != nil {
		t.Error("an item that is gone is taken")
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if set.Item(Hash{1}, path, attr) != nil {
		t.Error("a file is taken for a directory")
	}
	os.Remove(path)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "f"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	n := set.Item(Hash{1}, path, attr)
	if n == nil {
		t.Fatal("an item is not taken")
	}
	if text, err := tree.ReadAll(n.Child("f").Blob(), 100); err != nil || string(text) != "content" {
		t.Errorf("a file has %q, %v", text, err)
	}
	if set.Item(Hash{2}, path, attr) != nil || (*Set)(nil).Item(Hash{1}, path, attr) != nil {
		t.Error("an item with another hash is taken")
	}
	set.items[Hash{1}] += "x"
	if set.Item(Hash{1}, path, attr) != nil {
		t.Error("a wrong outline is taken")
	}
}

func TestParseRefuses(t *testing.T) {
	set := NewSet()
	set.items[Hash{1}], set.items[Hash{2}] = "a", "b"
	good := string(set.Text())
	first := good[len(version) : len(version)+34]
	for _, text := range []string{"", "imprint outlines 2\n", good[:len(good)-1], good[:len(good)-2], good + "x", version + first + first, version + good[len(version)+34:] + first} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// Whatever is read as a set, and is one, is written as it was; its outlines give items that have the same outline.
func FuzzSet(f *testing.F) {
	set := NewSet()
	item := tree.NewFile("f", plain, tree.Text("content"))
	for i, n := range []*tree.Node{item, tree.NewSymlink("s", program, "target"), tree.NewDir("d", program, []*tree.Node{item, tree.NewLink("l", item)})} {
		if err := set.Add(Hash{byte(i)}, n); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(set.Text())
	f.Add([]byte(version))
	hosttest.Fuzz(f, func(t *testing.T, text []byte) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Parse(s.Text()); err != nil || again.Len() != s.Len() {
			t.Fatalf("%q is written as %q: %v", text, s.Text(), err)
		}
		for _, outline := range s.items {
			n, err := Tree(outline, "/store/item", attr)
			if err != nil {
				continue
			}
			again, err := Append(nil, n)
			if err != nil {
				t.Fatal(err)
			}
			if same, err := Tree(string(again), "/store/item", attr); err != nil || !slices.Equal(shown(n), shown(same)) {
				t.Fatalf("%q is another item than %q: %v", outline, again, err)
			}
		}
	})
}
