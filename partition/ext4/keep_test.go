package ext4

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"

	"pgregory.net/rapid"
)

// placesOf returns the places of a plan, read from its bytes.
func placesOf(t tb, p *Plan) *Places {
	t.Helper()
	b := partitiontest.Bytes(t, p)
	places, err := ReadPlaces(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return places
}

// changedBlocks counts blocks of 4096 bytes that differ.
func changedBlocks(a, b []byte) (n int) {
	if len(a) != len(b) {
		return max(len(a), len(b)) / 4096
	}
	for at := 0; at < len(a); at += 4096 {
		if !bytes.Equal(a[at:min(at+4096, len(a))], b[at:min(at+4096, len(b))]) {
			n++
		}
	}
	return n
}

// sound reports what the checker and the reader find in a file system that should hold a tree.
func sound(t tb, b []byte, tr *tree.Tree) {
	t.Helper()
	v, err := Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if found := faults(v); found != nil {
		t.Fatalf("%.2000s", strings.Join(found, "\n"))
	}
	got, want := listOf(v.Tree), listOf(tr)
	delete(got, "/lost+found")
	delete(want, "/lost+found")
	for path := range want {
		if got[path] != want[path] {
			t.Fatalf("%q is %q, not %q", path, got[path], want[path])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d nodes, not %d", len(got), len(want))
	}
}

// listOf describes the nodes of a tree by their paths, with a digest of their contents.
func listOf(tr *tree.Tree) map[string]string {
	list := map[string]string{}
	for path, n := range tr.Walk() {
		text := ""
		if n = n.Inode(); n.Kind() == tree.File {
			pin := tree.NewPinner()
			err := tree.Copy(context.Background(), pin, n.Blob(), nil)
			text = fmt.Sprintf("%d bytes %x %v", n.Size(), pin.Pin(), err)
		}
		list[path] = fmt.Sprint(n.Kind(), *n.Attr, text)
	}
	return list
}

// A sketch is a tree that can be changed: sizes of files by path.
type sketch map[string]int

func (s sketch) tree(t tb) *tree.Tree {
	nodes := map[string]*tree.Node{}
	for path, size := range s {
		nodes[path] = tree.NewFile("", plain, tree.Text(strings.Repeat(path+"\n", size/(len(path)+1)+1)[:size]))
	}
	return build(t, nodes)
}

// store returns a sketch of items in a directory.
func store(items, files int) sketch {
	s := sketch{}
	for i := range items {
		for k := range files {
			s[fmt.Sprintf("/store/%032d-item%d/share/dir%d/%d", i*7919, i, k%3, k)] = 100 + (i*k*977)%40000
		}
	}
	return s
}

// replace gives an item another digest, and its files other sizes.
func (s sketch) replace(item int, grow func(size int) int) sketch {
	out := sketch{}
	old := fmt.Sprintf("/store/%032d-item%d/", item*7919, item)
	for path, size := range s {
		if rest, is := strings.CutPrefix(path, old); is {
			out[fmt.Sprintf("/store/x%031d-item%d/", item, item)+rest] = grow(size)
			continue
		}
		out[path] = size
	}
	return out
}

func stableOptions() Options {
	o := testOptions()
	o.Spare, o.SpareInodes = 4<<20, 500
	return o
}

// An earlier file system of the same tree changes nothing, whatever the options.
func TestKeepSame(t *testing.T) {
	for _, spare := range []int64{0, 10 << 20} {
		o, tr := testOptions(), store(40, 12).tree(t)
		o.Spare = spare
		first := plan(t, tr, o)
		o.Earlier = placesOf(t, first)
		again := plan(t, tr, o)
		if k := again.Kept(); k.Anew != "" || k.Moved != 0 || k.Blocks == 0 {
			t.Errorf("with %d bytes to spare: %+v", spare, k)
		}
		if !bytes.Equal(partitiontest.Bytes(t, first), partitiontest.Bytes(t, again)) {
			t.Errorf("with %d bytes to spare: other bytes", spare)
		}
	}
}

// When an item changes, at most its blocks and 2 % of all change, and everything else stays where it was.
func TestKeepOneChanged(t *testing.T) {
	s := store(120, 12)
	tr := s.tree(t)
	first := plan(t, tr, stableOptions())
	before := partitiontest.Bytes(t, first)
	o := stableOptions()
	o.Earlier = placesOf(t, first)
	for what, grow := range map[string]func(int) int{
		"the same sizes": func(n int) int { return n }, "larger": func(n int) int { return n + 9000 }, "smaller": func(n int) int { return n / 2 },
		"one file": func(n int) int { return n * n / 4000 },
	} {
		changed := s.replace(60, grow)
		tr := changed.tree(t)
		p := plan(t, tr, o)
		after := partitiontest.Bytes(t, p)
		sound(t, after, tr)
		item := 0
		for path, size := range changed {
			if strings.HasPrefix(path, "/store/x") {
				item += (size + 4095) / 4096
			}
		}
		n, most := changedBlocks(before, after), item+len(after)/4096/50
		t.Logf("%s: %d of %d blocks differ, the item has %d", what, n, len(after)/4096, item)
		if k := p.Kept(); n > most || k.Anew != "" {
			t.Errorf("%s: %d blocks of %d differ, %+v; the item has %d", what, n, len(after)/4096, k, item)
		}
		stays(t, first, p)
	}
}

// stays checks that nodes of the same size at the same path keep inode and extents.
func stays(t tb, a, b *Plan) {
	t.Helper()
	for path, n := range b.tree.Walk() {
		old := a.tree.Find(path)
		if old == nil || old.Inode().Kind() != n.Inode().Kind() || n.Kind() == tree.Link || old.Kind() == tree.Link {
			continue
		}
		if a.ino[old.ID()] != b.ino[n.ID()] {
			t.Fatalf("%s has inode %d and had %d", path, b.ino[n.ID()], a.ino[old.ID()])
		}
		if n.Kind() != tree.File || !slices.Equal(a.fileRuns(nil, old), b.fileRuns(nil, n)) {
			continue
		}
		if was, is := a.fileMappings(nil, old), b.fileMappings(nil, n); !slices.Equal(was, is) {
			t.Fatalf("%s has extents %v and had %v", path, is, was)
		}
	}
}

// A layout anew says why.
func TestKeepAnew(t *testing.T) {
	s := store(30, 12)
	first := plan(t, s.tree(t), stableOptions())
	places := placesOf(t, first)
	more := maps.Clone(s)
	more["/large"] = 40 << 20
	many := maps.Clone(s)
	for i := range 30000 {
		many[fmt.Sprint("/many/", i)] = 0
	}
	for _, c := range []struct {
		tree sketch
		edit func(*Options)
		want string
	}{
		{more, nil, "no room"}, {many, nil, "inodes too few"}, {store(2, 3), nil, "are enough"},
		{s, func(o *Options) { o.Size = 100 << 20 }, "size has changed"}, {s, func(o *Options) { o.MinSize = 100 << 20 }, "smallest size"},
		{s, func(o *Options) { o.Features = []string{"^metadata_csum"} }, "other features"}, {s, func(o *Options) { o.JournalSize = 8 << 20 }, "journal"},
		{s, func(o *Options) { o.Free, o.Spare = 5<<20, 0 }, "free space"},
	} {
		o := stableOptions()
		if c.edit != nil {
			c.edit(&o)
		}
		tr := c.tree.tree(t)
		fresh := plan(t, tr, o)
		o.Earlier = places
		p := plan(t, tr, o)
		if k := p.Kept(); !strings.Contains(k.Anew, c.want) {
			t.Errorf("%q is not in %+v", c.want, k)
		}
		if !bytes.Equal(partitiontest.Bytes(t, fresh), partitiontest.Bytes(t, p)) {
			t.Errorf("%s: other bytes than without an earlier file system", c.want)
		}
	}
}

// A file that grows is continued elsewhere, one without room in one piece is divided, and both stay so.
func TestKeepGrown(t *testing.T) {
	s := store(30, 12)
	s["/a"], s["/b"], s["/c"] = 3<<20, 3<<20, 30<<20
	s["/a1"] = 5000
	o := stableOptions()
	first := plan(t, s.tree(t), o)
	o.Earlier = placesOf(t, first)
	grown := maps.Clone(s)
	grown["/a"] += 100_000
	delete(grown, "/b")
	grown["/y"] = 6 << 20 // what /b has left, and the rest
	tr := grown.tree(t)
	second := plan(t, tr, o)
	if k := second.Kept(); k.Anew != "" || len(second.split) != 2 {
		t.Fatalf("%d files in pieces, %+v", len(second.split), k)
	}
	was, is := first.fileMappings(nil, first.tree.Find("/a")), second.fileMappings(nil, tr.Find("/a"))
	if len(is) != 1+len(was) || is[0] != was[0] {
		t.Errorf("/a has extents %v and had %v", is, was)
	}
	checked(t, second)
	sound(t, partitiontest.Bytes(t, second), tr)
	o.Earlier = placesOf(t, second)
	if third := plan(t, tr, o); !bytes.Equal(partitiontest.Bytes(t, second), partitiontest.Bytes(t, third)) {
		t.Error("the third one has other bytes")
	}
}

// change changes a tree: some of its nodes are gone, others have another size or name, and there are new ones.
func change(r *rapid.T, n *tree.Node, files *[]*tree.Node) (kids []*tree.Node) {
	seen := map[string]bool{"lost+found": true}
	add := func(n *tree.Node) {
		if !seen[n.Name] {
			seen[n.Name], kids = true, append(kids, n)
		}
	}
	for _, c := range n.Children() {
		switch what := rapid.IntRange(0, 9).Draw(r, "change"); {
		case c.Kind() == tree.Link || c.Name == "lost+found" || what == 0:
		case c.Kind() == tree.Dir:
			add(tree.NewDir(c.Name, c.Attr, change(r, c, files)))
		case what == 1 && c.Kind() == tree.File:
			size := rapid.IntRange(0, 100_000).Draw(r, "new size")
			add(tree.NewFile(c.Name, c.Attr, tree.Text(strings.Repeat("new", size/3+1)[:size])))
		case what == 2:
			add(drawNode(r, 3, files))
		default:
			same := c.Copy()
			same.Name = c.Name
			add(same)
		}
	}
	for range rapid.IntRange(0, 3).Draw(r, "more") {
		add(drawNode(r, 3, files))
	}
	return kids
}

// Any change of any tree is a sound file system in which what is unchanged stays, and which stays as it is itself.
func TestKeepAnyChange(t *testing.T) {
	hosttest.Need(t, "e2fsck")
	path := filepath.Join(t.TempDir(), "image")
	n := 0
	hosttest.Check(t, func(r *rapid.T) {
		tr, o := drawTree(r), drawOptions(r)
		o.Free, o.FreeInodes = o.Free%(1<<20), o.FreeInodes%100
		o.Spare, o.SpareInodes = rapid.Int64Range(0, 1<<20).Draw(r, "spare"), rapid.Int64Range(0, 100).Draw(r, "spare inodes")
		last := plan(r, tr, o)
		for range 2 {
			o.Earlier = placesOf(r, last)
			if again := plan(r, last.tree, o); again.Kept().Anew == "" && !bytes.Equal(partitiontest.Bytes(r, last), partitiontest.Bytes(r, again)) {
				r.Fatal("the same tree has other bytes")
			}
			next := build(r, map[string]*tree.Node{"/": tree.NewDir("", plain, partitiontest.Rooted(change(r, last.tree.Root(), &[]*tree.Node{})))})
			p := plan(r, next, o)
			b := partitiontest.Bytes(r, p)
			sound(r, b, next)
			if n++; n%4 == 0 {
				if err := os.WriteFile(path, b, 0o600); err != nil {
					r.Fatal(err)
				}
				fsck(r, path)
			}
			if p.Kept().Anew == "" {
				stays(r, last, p)
			}
			last = p
		}
	})
}

// FuzzKeep changes an image from which places are read: whatever they are, a file system that keeps to them is sound.
func FuzzKeep(f *testing.F) {
	tr := store(3, 4).tree(f)
	o := testOptions()
	o.Features, o.Spare, o.SpareInodes = []string{"^has_journal", "^resize_inode"}, 64<<10, 16
	image := partitiontest.Bytes(f, plan(f, tr, o))
	next := store(3, 4).replace(1, func(n int) int { return n + 5000 }).tree(f)
	f.Add([]byte{})
	for at := 1024; at < len(image) && at < 1<<24; at += len(image) / 40 {
		f.Add([]byte{byte(at), byte(at >> 8), byte(at >> 16), 1, 2, 3, 255, 1})
	}
	hosttest.Fuzz(f, func(t *testing.T, patches []byte) {
		b := bytes.Clone(image)
		for ; len(patches) >= 8; patches = patches[8:] { // three bytes of offset, five of content
			at := int(patches[0]) | int(patches[1])<<8 | int(patches[2])<<16
			copy(b[at%len(b):], patches[3:8])
		}
		places, err := ReadPlaces(bytes.NewReader(mended(b)), int64(len(b)))
		if err != nil {
			return
		}
		o.Earlier = places
		p := plan(t, next, o)
		sound(t, partitiontest.Bytes(t, p), next)
	})
}
