package fat

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/internal/units"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var example = files{
	"/EFI/BOOT/BOOTX64.EFI":                     strings.Repeat("MZ", 50_000),
	"/EFI/systemd/systemd-bootx64.efi":          "stub",
	"/loader/loader.conf":                       "timeout 3\n",
	"/loader/entries/imprint-generation-1.conf": "title one\n",
	"/loader/entries/imprint-generation-2.conf": "title two\n",
	"/empty":                                 "",
	"/empty directory/":                      "",
	"/.hidden":                               "h",
	"/archive.tar.gz":                        "g",
	"/żółć ☃.txt":                            "snow",
	"/exactly13char":                         "12",
	"/UPPER.TXT":                             "u",
	"/UPPER~1.TXT":                           "v",
	"/" + strings.Repeat("long", 63) + "xyz": "255 units",
}

// check compares an image with the tree as several readers see it.
func check(t testing.TB, p *Plan, want files) []byte {
	t.Helper()
	name, b := image(t, p)
	if diff := cmp.Diff(want, read(t, b).files()); diff != "" {
		t.Fatalf("our reader (- tree, + image):\n%s", diff)
	}
	sameReads(t, p, b)
	fsck(t, p, name)
	for path := range want {
		for _, r := range path {
			if r > 0xffff {
				return b // the other readers know UCS-2 only
			}
		}
	}
	if diff := cmp.Diff(want, mtools(t, name)); diff != "" {
		t.Fatalf("mtools (- tree, + image):\n%s", diff)
	}
	if p.vol.sector == 512 { // go-diskfs knows no others
		if diff := cmp.Diff(want, diskfs(t, p, name)); diff != "" {
			t.Fatalf("go-diskfs (- tree, + image):\n%s", diff)
		}
	}
	return b
}

func TestReadBack(t *testing.T) {
	for _, o := range []Options{
		{},
		{Label: "ESP", Serial: 0xdeadbeef},
		{Bits: 12, Size: 30 * units.MiB},
		{Bits: 16, Label: "A B-C", HiddenSectors: 2048},
		{Bits: 32, Label: "ELEVENBYTES", Serial: 1},
		{Bits: 32, Size: 64 * units.MiB},
		{Size: 16*units.MiB + 512},
		{Size: 32*units.MiB - 512}, // the last one with a count of sectors in 16 bits
		{Size: 32 * units.MiB},
		{SectorSize: 4096},
		{SectorSize: 4096, Size: 40 * units.MiB},
		{Free: units.MiB},
	} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			p := plan(t, example.tree(t), o)
			b := check(t, p, example.whole(t))
			if _, again := image(t, plan(t, example.tree(t), o)); string(again) != string(b) {
				t.Error("the same tree gives another image")
			}
			if p.FreeClusters()*p.ClusterSize() < o.Free {
				t.Errorf("%d clusters of %d bytes free, %d bytes were asked for", p.FreeClusters(), p.ClusterSize(), o.Free)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	hosttest.Need(t, "minfo")
	p := plan(t, files{}.tree(t), Options{Bits: 32, Label: "MY LABEL", Serial: 0x1234abcd, HiddenSectors: 2048, Epoch: 1_600_000_001})
	name, b := image(t, p)
	out := hosttest.Run(t, "minfo", "-i", name)
	for _, want := range []string{`disk label="MY LABEL   "`, "serial number: 1234ABCD", `disk type="FAT32   "`, "hidden sectors: 2048",
		fmt.Sprintf("big size: %d sectors", p.Size()/512), "media descriptor byte: 0xf8", "backup boot sector=6", "infoSector location=1"} {
		if !strings.Contains(out, want) {
			t.Errorf("minfo does not say %q:\n%s", want, out)
		}
	}
	r := read(t, b)
	if r.label != "MY LABEL   " {
		t.Errorf("label in the root directory is %q", r.label)
	}
	if got := stamp(b[r.data+22:]); !got.Equal(time.Unix(1_600_000_000, 0)) {
		t.Errorf("date of the label is %v", got)
	}
}

// TestEmptyRoot lays out an empty tree without a label, whose root directory has no entry.
func TestEmptyRoot(t *testing.T) {
	for _, bits := range []int{12, 16, 32} {
		p := plan(t, files{}.tree(t), Options{Bits: bits})
		check(t, p, files{})
		if got := p.Place(nil, p.tree.Root()); len(got) != 0 {
			t.Errorf("FAT%d: root directory lies at %v", bits, got)
		}
	}
}

func TestTimes(t *testing.T) {
	for _, c := range []struct {
		sec  int64
		want string
	}{
		{-1, "1980-01-01 00:00:00"},
		{1, "1980-01-01 00:00:00"},
		{315532803, "1980-01-01 00:00:02"},
		{951825599, "2000-02-29 11:59:58"},
		{4354819199, "2107-12-31 23:59:58"},
		{1 << 40, "2107-12-31 23:59:58"},
	} {
		n := tree.NewFile("F", &tree.Attr{Mtime: tree.Time{Sec: c.sec}}, tree.Text("x"))
		b := tree.NewBuilder(attr)
		if err := b.Add("/F", n, ""); err != nil {
			t.Fatal(err)
		}
		tr, _ := b.Tree()
		_, img := image(t, plan(t, tr, Options{}))
		if got := read(t, img).got["/F"].mtime.Format(time.DateTime); got != c.want {
			t.Errorf("%d seconds became %s, not %s", c.sec, got, c.want)
		}
	}
}

func TestLinksAndSparseFiles(t *testing.T) {
	b := tree.NewBuilder(attr)
	file := tree.NewFile("", attr, holey{})
	for path, n := range map[string]*tree.Node{"/b": file, "/a": tree.NewLink("", file)} {
		if err := b.Add(path, n, ""); err != nil {
			t.Fatal(err)
		}
	}
	tr, _ := b.Tree()
	p := plan(t, tr, Options{})
	check(t, p, files{"/a": holey{}.text(), "/b": holey{}.text()})
	places := p.Place(nil, tr.Find("/b"))
	if len(places) != 2 || places[0].Len != 3 || places[1].At != 9000 || places[1].Off-places[0].Off != 9000 || places[0].Blob != (holey{}) {
		t.Errorf("sparse file lies at %v", places)
	}
}

// holey is a file of 10,000 bytes with data in two places.
type holey struct{}

func (holey) text() string {
	return "abc" + strings.Repeat("\x00", 8997) + "def" + strings.Repeat("\x00", 997)
}
func (h holey) Size() int64                { return int64(len(h.text())) }
func (h holey) Open() (tree.Reader, error) { return tree.Text(h.text()).Open() }
func (holey) Data() []tree.Range           { return []tree.Range{{Off: 0, Len: 3}, {Off: 9000, Len: 3}} }

func TestRefusedOptions(t *testing.T) {
	tr := example.tree(t)
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{SectorSize: 1024}, "sectors of 1024 bytes"},
		{Options{SectorSize: 512, Bits: 8}, "FAT8, not FAT12"},
		{Options{SectorSize: 512, Size: 1000}, "size of 1000 bytes is not a multiple"},
		{Options{SectorSize: 4096, Grain: 512}, "grain of 512 bytes"},
		{Options{SectorSize: 512, Free: -1}, "-1 bytes of free space"},
		{Options{SectorSize: 512, Label: "twelve bytes"}, "has 12 bytes, 11 are allowed"},
		{Options{SectorSize: 512, Label: "esp"}, `'e' is not allowed`},
		{Options{SectorSize: 512, Label: " ESP"}, "begins or ends with a space"},
		{Options{SectorSize: 512, Label: "A.B"}, `'.' is not allowed`},
		{Options{SectorSize: 512, Bits: 12, Size: 200 * units.MiB}, "the limit of FAT12 with sectors of 512 bytes is 13"},
		{Options{SectorSize: 512, Bits: 16, Free: 3 * units.GiB}, "the limit of FAT16 with sectors of 512 bytes is 2147"},
	} {
		_, err := New(tr, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.o, err, c.want)
		}
	}
}

// TestTable reads the FATs from every offset, in pieces of many lengths.
func TestTable(t *testing.T) {
	for _, bits := range []int{12, 16, 32} {
		p := plan(t, example.tree(t), Options{Bits: bits})
		whole := make([]byte, p.tableSize())
		p.readTable(whole, 0)
		for off := range whole {
			for n := 1; off+n <= len(whole); n += 1 + n/3 {
				b := make([]byte, n)
				if p.readTable(b, int64(off)); !bytes.Equal(b, whole[off:off+n]) {
					t.Fatalf("FAT%d: %d bytes at %d are % x, not % x", bits, n, off, b, whole[off:off+n])
				}
			}
		}
	}
}

// TestHighClusters has a directory and a file after cluster 65535, whose number takes more than 16 bits.
func TestHighClusters(t *testing.T) {
	b := tree.NewBuilder(attr)
	for path, n := range map[string]*tree.Node{
		"/a":   tree.NewFile("", attr, zeros(40*units.MiB)),
		"/b/c": tree.NewFile("", attr, tree.Text("high")),
	} {
		if err := b.Add(path, n, ""); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	p := plan(t, tr, Options{Bits: 32})
	name, img := image(t, p)
	fsck(t, p, name)
	if got := read(t, img).got; got["/b/c"].text != "high" || len(got["/a"].text) != 40<<20 {
		t.Errorf("read %d bytes and %q", len(got["/a"].text), got["/b/c"].text)
	}
}

// zeros is a blob that is one hole.
type zeros int64

func (z zeros) Size() int64              { return int64(z) }
func (zeros) Open() (tree.Reader, error) { panic("nothing in it to read") }
func (zeros) Data() []tree.Range         { return nil }

// TestAny plans random trees in random volumes and reads them back.
func TestAny(t *testing.T) {
	hosttest.Need(t, "fsck.fat", "mcopy")
	hosttest.Check(t, func(r *rapid.T) {
		f := files{}
		seen := map[string]bool{}
		dirs := []string{"/"}
		for range rapid.IntRange(0, 40).Draw(r, "nodes") {
			path := rapid.SampledFrom(dirs).Draw(r, "dir") + drawName(r)
			if seen[fold(path)] {
				continue
			}
			seen[fold(path)] = true
			if rapid.IntRange(0, 4).Draw(r, "kind") == 0 {
				dirs = append(dirs, path+"/")
				f[path+"/"] = ""
				continue
			}
			f[path] = strings.Repeat(path, rapid.IntRange(0, 300).Draw(r, "size"))
		}
		o := Options{
			SectorSize: rapid.SampledFrom([]int64{512, 512, 4096}).Draw(r, "sector"),
			Bits:       rapid.SampledFrom([]int{0, 0, 0, 0, 12, 16}).Draw(r, "bits"),
			Free:       rapid.Int64Range(0, 1<<22).Draw(r, "free"),
			Label:      rapid.SampledFrom([]string{"", "ESP"}).Draw(r, "label"),
		}
		check(t, plan(t, f.tree(t), o), f.whole(t))
	})
}

func drawName(r *rapid.T) string {
	return rapid.OneOf(
		rapid.StringMatching(`[A-Za-z0-9_~. +,-]{0,20}[a-z0-9~]`),
		rapid.StringMatching(`[A-Z]{1,8}(\.[A-Z0-9]{1,3})?`),
		rapid.StringMatching(`(same|SAME|samebegin)[a-z+ ]{1,4}\.(conf|c)`),
		rapid.StringMatching(`[a-zżółć☃あ]{1,80}`),
	).Filter(func(s string) bool { return s != "." && s != ".." }).Draw(r, "name")
}
