package fat

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/units"

	"pgregory.net/rapid"
)

// TestThresholds tries every size, sector by sector, around the numbers of clusters where a type ends and the next one begins.
func TestThresholds(t *testing.T) {
	hosttest.Need(t, "fsck.fat", "mdir")
	tr := files{"/file": strings.Repeat("x", 5000), "/dir/file": "y"}.tree(t)
	for _, c := range []struct {
		o        Options
		cluster  int64
		clusters int64 // where to look
		reach    int64 // sectors before and after
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

// typeOf returns the type of a volume by "FAT Type Determination".
func typeOf(clusters int64) int {
	switch {
	case clusters < 4085:
		return 12
	case clusters < 65525:
		return 16
	}
	return 32
}

// TestEverySize checks the arithmetic alone: any size in sectors makes a sound volume, and a larger one has no fewer clusters of the same
// kind.
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

// TestAsMkfs compares type and cluster size with the defaults of mkfs.fat.
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

// TestLarge plans the largest volume, for which memory depends on the files only.
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
	if _, err := New(tr, Options{Size: 2 * units.TiB, SectorSize: 512}); err == nil {
		t.Error("2^32 sectors are taken, the boot sector counts one less")
	}
	name := sparse(t, p)
	if out := hosttest.Run(t, "mdir", "-i", name, "-b", "-/", "::"); !strings.Contains(out, "::/EFI/BOOT/BOOTX64.EFI") {
		t.Errorf("mdir lists\n%s", out)
	}
	if os.Getenv("IMPRINT_SLOW") == "1" {
		fsck(t, p, name)
	}
}

func TestDirectoryLimit(t *testing.T) {
	many := files{}
	for i := range maxSlots/2 + 1 {
		many[fmt.Sprintf("/file%05d", i)] = ""
	}
	if _, err := New(many.tree(t), Options{SectorSize: 512}); err == nil || !strings.Contains(err.Error(), "65410 directory entries, a directory can have 65408") {
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

// A fixed root directory never grows, so it has room for more names than it holds; only one at its limit is full.
func TestRootDirectoryHasRoom(t *testing.T) {
	for _, c := range []struct{ names, slots int64 }{{0, 512}, {400, 512}, {401, 528}, {512, 624}, {maxSlots, maxSlots}} {
		f := files{}
		for i := range c.names {
			f[fmt.Sprintf("/F%d", i)] = ""
		}
		for _, sector := range []int64{512, 4096} {
			p := plan(t, f.tree(t), Options{Bits: 16, SectorSize: sector})
			if got := p.vol.root * sector / slotSize; got < c.slots || got >= c.slots+sector/slotSize {
				t.Errorf("%d names: room for %d with sectors of %d bytes, want %d", c.names, got, sector, c.slots)
			}
		}
	}
}

// TestSmallest checks for any tree and options that the size found is the least one: a grain less is refused, with that size as the need.
func TestSmallest(t *testing.T) {
	hosttest.Check(t, func(r *rapid.T) {
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

// TestSmallestOfAll finds the smallest size by trial around the end of FAT12, where volumes of one size or the other have the cluster
// size doubled.
func TestSmallestOfAll(t *testing.T) {
	tr := files{"/f": "x"}.tree(t)
	for free := int64(4070); free < 4100; free++ {
		for _, cluster := range []int64{2048, 4096} {
			o := Options{SectorSize: 512, Free: free * cluster}
			p := plan(t, tr, o)
			for o.Size = p.Size() - 100*512; o.Size < p.Size(); o.Size += 512 {
				if _, err := New(tr, o); err == nil {
					t.Fatalf("%d clusters free: %d bytes were found, %d suffice", free, p.Size(), o.Size)
				}
			}
		}
	}
}
