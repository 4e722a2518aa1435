package fat

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"imprint/internal/extent"
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

// check holds an image against everything that reads one.
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

// TestEmptyRoot is for a tree without a name and a volume without a label: there is nothing to write in the root directory.
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

// TestThresholds takes every size, sector by sector, around the numbers of clusters where a type ends and the next one begins.
func TestThresholds(t *testing.T) {
	hosttest.Need(t, "fsck.fat", "mdir")
	tr := files{"/file": strings.Repeat("x", 5000), "/dir/file": "y"}.tree(t)
	for _, c := range []struct {
		o        Options
		cluster  int64
		clusters int64 // where to look
		reach    int64 // sectors before and behind
	}{
		{Options{}, 2048, 4085, 12},
		{Options{Bits: 12}, 2048, 4084, 6},
		{Options{Bits: 16}, 2048, 4087, 6},
		{Options{Bits: 16}, 512, 4087, 2},
		{Options{}, 2048, 65525, 6},
		{Options{Bits: 16}, 2048, 65525, 6},
		{Options{Bits: 32}, 512, 65525, 3},
	} {
		bits := max(c.o.Bits, 12)
		if c.clusters > 60_000 {
			bits = max(c.o.Bits, 16)
		}
		middle := shapeOf(bits, c.cluster).sectors(c.clusters)
		for s := middle - c.reach; s <= middle+c.reach; s++ {
			c.o.Size, c.o.SectorSize = s*512, 512
			p, err := New(tr, c.o)
			if err != nil {
				if want := shapeOf(32, 512).sectors(65525); c.o.Bits == 32 && s < want || c.o.Bits == 16 && c.cluster == 512 && s < middle {
					continue // too small for the type
				}
				t.Fatalf("%d sectors: %v", s, err)
			}
			if got := typeOf(p.Clusters()); got != p.Bits() || c.o.Bits != 0 && got != c.o.Bits {
				t.Fatalf("%d sectors: FAT%d with %d clusters", s, p.Bits(), p.Clusters())
			}
			name := sparse(t, p)
			fsck(t, p, name)
			hosttest.Run(t, "mdir", "-i", name, "::dir")
			os.Remove(name)
		}
	}
}

func shapeOf(bits int, cluster int64) shape {
	s := shape{bits: bits, sector: 512, cluster: cluster, root: 32}
	if bits == 32 {
		s.root = 0
	}
	return s
}

// typeOf is "FAT Type Determination".
func typeOf(clusters int64) int {
	switch {
	case clusters < 4085:
		return 12
	case clusters < 65525:
		return 16
	}
	return 32
}

// TestEverySize looks at the arithmetic alone: any size in sectors gives a sound volume, and each sector more gives no fewer clusters of
// the same kind.
func TestEverySize(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	for _, sector := range []int64{512, 4096} {
		all := shapes(Options{SectorSize: sector}, 0)
		for range 20_000 {
			n := all[0].lo + rnd.Int64N(1<<(1+rnd.IntN(32)))
			s, ok := choose(all, n)
			if !ok {
				if n <= largest(all).hi {
					t.Fatalf("no volume of %d sectors of %d bytes", n, sector)
				}
				continue
			}
			v := s.volume(n)
			switch data := v.total - v.reserved - fats*v.fat - v.root; {
			case v.clusters != data/(v.cluster/sector) || data%(v.cluster/sector) != 0:
				t.Fatalf("%+v: a driver finds %d clusters", v, data/(v.cluster/sector))
			case typeOf(v.clusters) != v.bits || v.fat*sector*8 < (v.clusters+2)*int64(v.bits):
				t.Fatalf("%+v: type or FAT is wrong", v)
			case v.reserved < s.minReserved() || v.reserved > s.minReserved()+v.cluster/sector+2 || v.cluster > 32<<10:
				t.Fatalf("%+v: reserved sectors or cluster size", v)
			}
		}
	}
}

// TestAsMkfs compares type and cluster size with what mkfs.fat takes by itself.
func TestAsMkfs(t *testing.T) {
	hosttest.Need(t, "mkfs.fat")
	tr := files{}.tree(t)
	reported := regexp.MustCompile(`(\d+)-bit FATs and (\d+) sectors? per cluster`)
	for _, c := range []struct {
		size int64
		bits int
	}{
		{64 * units.KiB, 0}, {units.MiB, 0}, {7 * units.MiB, 0}, {10 * units.MiB, 0}, {100 * units.MiB, 0}, {130 * units.MiB, 0},
		{300 * units.MiB, 0}, {511 * units.MiB, 0}, {512 * units.MiB, 0}, {units.GiB, 0}, {8 * units.GiB, 0}, {9 * units.GiB, 0},
		{17 * units.GiB, 0}, {33 * units.GiB, 0}, {30 * units.MiB, 12}, {300 * units.MiB, 16}, {34 * units.MiB, 32}, {260 * units.MiB, 32},
		{261 * units.MiB, 32},
	} {
		p := plan(t, tr, Options{Size: c.size, Bits: c.bits})
		name := t.TempDir() + "/mkfs"
		args := []string{"-v", "-C", "-n", "X", name, strconv.FormatInt(c.size/1024, 10)}
		if c.bits != 0 {
			args = append([]string{"-F", strconv.Itoa(c.bits)}, args...)
		}
		out := hosttest.Run(t, "mkfs.fat", args...)
		want := fmt.Sprint(p.Bits(), p.ClusterSize()/512)
		got := reported.FindStringSubmatch(out)
		if got == nil || got[1]+" "+got[2] != want {
			t.Errorf("%s, FAT%d: we have %s, mkfs.fat %q\n%s", units.FormatBytes(c.size), c.bits, want, got, out)
		}
		os.Remove(name)
	}
}

// TestLarge plans the largest volume: what it takes depends on the files only.
func TestLarge(t *testing.T) {
	tr := example.tree(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p := plan(t, tr, Options{Size: 2*units.TiB - 512, Label: "LARGE"})
	sum := int64(0)
	for e := range p.Extents(0) {
		sum += e.Len
	}
	b := make([]byte, 64<<10)
	for _, off := range []int64{0, 32 << 9, 200 * units.MiB, units.TiB, p.Size() - int64(len(b))} {
		if err := extent.ReadAt(p, b, off); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 || sum > 1<<20 {
		t.Errorf("took %d bytes of memory and %d of the volume", took, sum)
	}
	if p.Bits() != 32 || p.ClusterSize() != 32<<10 || p.Size() != 2*units.TiB-512 {
		t.Errorf("FAT%d with clusters of %d bytes", p.Bits(), p.ClusterSize())
	}
	name := sparse(t, p)
	if out, err := exec.Command("mdir", "-i", name, "-b", "-/", "::").CombinedOutput(); err != nil && hasTool("mdir") {
		t.Errorf("mdir: %v\n%s", err, out)
	}
	if os.Getenv("IMPRINT_SLOW") == "1" {
		fsck(t, p, name)
	}
	if _, err := New(tr, Options{Size: 2 * units.TiB, SectorSize: 512}); err == nil {
		t.Error("2^32 sectors are taken, the boot sector counts one less")
	}
}

func hasTool(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}

func TestRefusedOptions(t *testing.T) {
	tr := example.tree(t)
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{SectorSize: 1024}, "sectors of 1024 bytes"},
		{Options{SectorSize: 512, Bits: 8}, "8 bits an entry"},
		{Options{SectorSize: 512, Size: 1000}, "size of 1000 bytes is no multiple"},
		{Options{SectorSize: 4096, Grain: 512}, "grain of 512 bytes"},
		{Options{SectorSize: 512, Free: -1}, "-1 bytes of free space"},
		{Options{SectorSize: 512, Label: "twelve bytes"}, "of 12 bytes, 11 are possible"},
		{Options{SectorSize: 512, Label: "esp"}, `'e' is not allowed`},
		{Options{SectorSize: 512, Label: " ESP"}, "a space at its beginning or end"},
		{Options{SectorSize: 512, Label: "A.B"}, `'.' is not allowed`},
		{Options{SectorSize: 512, Bits: 12, Size: 200 * units.MiB}, "FAT12 with sectors of 512 bytes ends at 13"},
		{Options{SectorSize: 512, Bits: 16, Free: 3 * units.GiB}, "FAT16 with sectors of 512 bytes ends at 2147"},
	} {
		_, err := New(tr, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.o, err, c.want)
		}
	}
}

func TestDirectoryLimit(t *testing.T) {
	many := files{}
	for i := range maxSlots/2 + 1 {
		many[fmt.Sprintf("/file%05d", i)] = ""
	}
	if _, err := New(many.tree(t), Options{SectorSize: 512}); err == nil || !strings.Contains(err.Error(), "65410 directory entries, 65408") {
		t.Errorf("error %v", err)
	}
	delete(many, "/file00000")
	for _, bits := range []int{16, 32} {
		p := plan(t, many.tree(t), Options{Bits: bits})
		name, b := image(t, p)
		if os.Getenv("IMPRINT_SLOW") == "1" { // it compares every name with every other one
			fsck(t, p, name)
		}
		if got := len(read(t, b).got); got != len(many) {
			t.Errorf("FAT%d: %d names of %d", bits, got, len(many))
		}
	}
}

// TestSmallest checks for any tree and options that the size found is the least one: a grain less is refused, with that size as the need.
func TestSmallest(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := files{}
		for i := range rapid.IntRange(0, 30).Draw(r, "files") {
			f[fmt.Sprintf("/some directory %d/file%d", i%3, i)] = strings.Repeat("x", rapid.IntRange(0, 9000).Draw(r, "size"))
		}
		o := Options{
			SectorSize: rapid.SampledFrom([]int64{512, 4096}).Draw(r, "sector"),
			Bits:       rapid.SampledFrom([]int{0, 0, 0, 12, 16, 32}).Draw(r, "bits"),
			Grain:      rapid.SampledFrom([]int64{0, 0, 4096, units.MiB}).Draw(r, "grain"),
			Free:       rapid.Int64Range(0, 1<<rapid.IntRange(0, 40).Draw(r, "free")).Draw(r, "free"),
		}
		tr := f.tree(t)
		p, err := New(tr, o)
		if err != nil {
			if o.Free < 120*units.MiB {
				r.Fatal(err)
			}
			return
		}
		grain := max(o.Grain, o.SectorSize)
		if p.Size()%grain != 0 || p.FreeClusters()*p.ClusterSize() < o.Free {
			r.Fatalf("%d bytes, %d clusters free", p.Size(), p.FreeClusters())
		}
		for _, less := range []int64{grain, grain * rapid.Int64Range(1, max(1, p.Size()/grain-1)).Draw(r, "less")} {
			small := o
			small.Size = p.Size() - less
			if small.Size <= 0 {
				continue
			}
			var e *SizeError
			if _, err := New(tr, small); !errors.As(err, &e) || e.Given != small.Size || less == grain && e.Need != p.Size() {
				r.Fatalf("%d bytes were found, %d give %v", p.Size(), small.Size, err)
			}
		}
		o.Size = p.Size()
		if _, err := New(tr, o); err != nil {
			r.Fatalf("the size found is refused: %v", err)
		}
	})
}

// TestAny plans random trees in random volumes and reads them back.
func TestAny(t *testing.T) {
	hosttest.Need(t, "fsck.fat", "mcopy")
	rapid.Check(t, func(r *rapid.T) {
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
