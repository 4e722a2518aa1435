package fat

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func nodes(names ...string) []*tree.Node {
	var list []*tree.Node
	for _, n := range names {
		list = append(list, tree.NewFile(n, attr, tree.Text("")))
	}
	return list
}

func TestAliases(t *testing.T) {
	for _, c := range []struct{ names, want []string }{
		{[]string{"BOOTX64.EFI", "EFI", "A-B_C.1"}, []string{"BOOTX64.EFI", "EFI", "A-B_C.1"}},
		{[]string{"efi", "Grub.Cfg", "loader.conf"}, []string{"EFI", "GRUB.CFG", "LOADER~1.CON"}},
		{[]string{"foo.conf", "foo.cons", "foo.con"}, []string{"FOO~1.CON", "FOO~2.CON", "FOO.CON"}},
		{[]string{"loader.conf", "loader~1.con"}, []string{"LOADER~2.CON", "LOADER~1.CON"}},
		{[]string{".hidden", "...x y", "a b", "a.b.c", "a+b", "noext.long"}, []string{"HIDDEN~1", "XY~1", "AB~1", "AB~1.C", "A_B~1", "NOEXT~1.LON"}},
		{[]string{"日本語.txt", "😀", "ſ.\u212a", "k.\u212a"}, []string{"___~1.TXT", "_~1", "_~1._", "K~1._"}},
		{[]string{"ſet", "set"}, []string{"_ET~1", "SET"}},
		{[]string{"verylongname1", "verylongname2", "VERYLO~1"}, []string{"VERYLO~2", "VERYLO~3", "VERYLO~1"}},
	} {
		var got []string
		for _, a := range aliases(nodes(c.names...)) {
			got = append(got, dotted(a[:]))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q have %q, not %q", c.names, got, c.want)
		}
	}
}

// TestManyAliases has names enough for tails of several digits, which must take little time.
func TestManyAliases(t *testing.T) {
	var names []string
	for i := range 30_000 {
		names = append(names, fmt.Sprintf("%05d-generation.conf", i))
	}
	list := aliases(nodes(names...))
	seen := map[short]bool{}
	for _, a := range list {
		seen[a] = true
	}
	if len(seen) != len(names) {
		t.Errorf("%d aliases for %d names", len(seen), len(names))
	}
	if got := dotted(list[9][:]); got != "00009-~1.CON" {
		t.Errorf("alias of %s is %s", names[9], got)
	}
}

func TestRefusedNodes(t *testing.T) {
	file := func(name string) *tree.Node { return tree.NewFile(name, attr, tree.Text("x")) }
	for _, c := range []struct {
		name string
		node *tree.Node
		want string
	}{
		{"a:b", file(""), `/dir/a:b: name "a:b" holds ':', which FAT does not allow`},
		{`a\b`, file(""), `holds '\\'`},
		{"tab\tbed", file(""), `holds '\t'`},
		{"fill\uffff", file(""), `holds '\uffff'`},
		{"dot.", file(""), `ends with '.'`},
		{"space ", file(""), `ends with ' '`},
		{"\xff", file(""), `is not UTF-8`},
		{strings.Repeat("😀", 60), tree.NewSymlink("", attr, "x"), `FAT cannot store a symlink`},
		{"fifo", tree.NewSpecial("", attr, tree.Fifo), `/dir/fifo: FAT cannot store a fifo`},
		{"tty", tree.NewDevice("", attr, tree.CharDevice, tree.Device{}), `FAT cannot store a character device`},
		{"big", tree.NewFile("", attr, sized(1<<32)), `/dir/big: file of 4294967296 bytes, FAT can store 4294967295`},
		{"OTHER", file(""), `FAT does not distinguish /dir/OTHER and /dir/Other`},
		{"ŻÓŁW", file(""), `FAT does not distinguish /dir/ŻÓŁW and /dir/żółw`},
	} {
		b := tree.NewBuilder(attr)
		for path, n := range map[string]*tree.Node{"/dir/Other": file(""), "/dir/żółw": file(""), "/dir/" + c.name: c.node} {
			if err := b.Add(path, n, ""); err != nil {
				t.Fatal(err)
			}
		}
		tr, err := b.Tree()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(tr, Options{SectorSize: 512}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.name, err, c.want)
		}
	}
}

func TestLargestFile(t *testing.T) {
	b := tree.NewBuilder(attr)
	if err := b.Add("/F", tree.NewFile("F", attr, sized(1<<32-1)), ""); err != nil {
		t.Fatal(err)
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	if p := plan(t, tr, Options{}); p.Size() < 1<<32 || p.Bits() != 32 {
		t.Errorf("a file of 4 GiB - 1 in FAT%d of %d bytes", p.Bits(), p.Size())
	}
}

// sized is a blob that must not be opened.
type sized int64

func (s sized) Size() int64              { return int64(s) }
func (sized) Open() (tree.Reader, error) { panic("opened by a planner") }

// FuzzNames puts names into a directory: each is refused, or read back as it was, with a short name of its own.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"a\nA\n", "loader.conf\nloader.cons\nLOADER~1.CON", "😀\n\xf0\x9f\n.x", strings.Repeat("é", 127) + "\n~1\n a", "K\n\u212a"} {
		f.Add(s)
	}
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		b := tree.NewBuilder(attr)
		want := files{}
		for name := range strings.SplitSeq(text, "\n") {
			if tree.CheckName(name) == nil && want["/"+name] == "" && b.Add("/"+name, tree.NewFile("", attr, tree.Text("x")), "") == nil {
				want["/"+name] = "x"
			}
		}
		tr, err := b.Tree()
		if err != nil {
			t.Fatal(err)
		}
		p, err := New(tr, Options{SectorSize: 512})
		if err != nil {
			return
		}
		got := read(t, volumeOf(t, p)).files()
		for name := range want {
			if got[name] != "x" {
				t.Errorf("%q is not in the image", name)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d names of %d", len(got), len(want))
		}
	})
}

// FuzzNew lays out any tree: it is refused, or another reader of FAT finds all of it and nothing unusual.
func FuzzNew(f *testing.F) {
	for i, p := range partitiontest.Seeds() {
		f.Add(p, uint16(i), uint8(i), uint8(0))
		f.Add(p, uint16(4000), uint8(i), uint8(2))
	}
	hosttest.Fuzz(f, func(t *testing.T, p []byte, free uint16, label, shift uint8) {
		tr := partitiontest.TreeOf(p, tree.Link)
		o := Options{SectorSize: 512 << (shift % 4), Free: int64(free) << 3, Label: "LABEL"[:label%6], Grain: 512 << (shift / 4 % 4)}
		v, err := New(tr, o)
		if err != nil {
			return
		}
		want := files{}
		for path, n := range tr.Walk() {
			switch {
			case n == tr.Root():
			case n.Kind() == tree.Dir:
				want[path+"/"] = ""
			default:
				text, err := tree.ReadAll(n.Inode().Blob(), 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				want[path] = string(text)
			}
		}
		if got := read(t, volumeOf(t, v)).files(); !maps.Equal(got, want) {
			t.Errorf("-want +got:\n%s", cmp.Diff(want, got))
		}
		if v.FreeClusters()*v.ClusterSize() < o.Free {
			t.Errorf("%d clusters of %d bytes are free, for %d bytes", v.FreeClusters(), v.ClusterSize(), o.Free)
		}
	})
}

// TestShortNames checks the aliases of any directory: their characters are legal, they differ, and none is another file's long name.
func TestShortNames(t *testing.T) {
	hosttest.Check(t, func(r *rapid.T) {
		byFold := map[string]string{}
		for _, n := range rapid.SliceOfN(rapid.OneOf(rapid.Custom(drawName), rapid.StringMatching(`[A-Za-z]{1,2}~[0-9]{1,3}(\.[ab])?`)), 1, 60).Draw(r, "names") {
			byFold[fold(n)] = n
		}
		var names []string
		for _, n := range byFold {
			names = append(names, n)
		}
		slices.Sort(names)
		seen := map[string]bool{}
		for i, a := range aliases(nodes(names...)) {
			s := dotted(a[:])
			if !isShort(s) || seen[s] {
				r.Fatalf("%q has the alias %q", names[i], s)
			}
			seen[s] = true
			if owner, ok := byFold[s]; ok && owner != names[i] {
				r.Fatalf("alias %q of %q is the name %q", s, names[i], owner)
			}
		}
	})
}
