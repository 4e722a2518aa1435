package fat

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"imprint/internal/hosttest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// placesOf returns the places of a volume.
func placesOf(t testing.TB, b []byte) *Places {
	t.Helper()
	p, err := ReadPlaces(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// changed returns the bytes of clusters in which volumes differ.
func changed(p *Plan, a, b []byte) (n int64) {
	for at := p.vol.offset(firstCluster); at < p.Size(); at += p.ClusterSize() {
		if !bytes.Equal(a[at:at+p.ClusterSize()], b[at:at+p.ClusterSize()]) {
			n += p.ClusterSize()
		}
	}
	return n
}

var kernels = files{
	"/EFI/BOOT/BOOTX64.EFI": strings.Repeat("boot", 10_000), "/EFI/nixos/a1-linux-6.1.efi": strings.Repeat("kernel a1 ", 40_000),
	"/EFI/nixos/b2-initrd": strings.Repeat("initrd b2 ", 60_000), "/EFI/nixos/c3-linux-6.1.efi": strings.Repeat("kernel c3 ", 40_000),
	"/loader/loader.conf": "timeout 3\n", "/loader/entries/one.conf": "title one\n", "/loader/entries/empty": "",
}

// The same tree keeps the same bytes, and files that do not change keep their clusters.
func TestKeep(t *testing.T) {
	for _, bits := range []int{12, 16, 32} {
		o := Options{Bits: bits, Free: 2 << 20, SectorSize: 512}
		first := plan(t, kernels.tree(t), o)
		before := check(t, first, kernels.whole(t))
		o.Size, o.Free, o.Earlier = first.Size(), 0, placesOf(t, before)
		if again := plan(t, kernels.tree(t), o); !bytes.Equal(volumeOf(t, again), before) || again.Kept().Moved != 0 {
			t.Errorf("FAT%d: the same tree has other bytes: %+v", bits, again.Kept())
		}
		next := maps.Clone(kernels)
		delete(next, "/EFI/nixos/a1-linux-6.1.efi")
		next["/EFI/nixos/d4-linux-6.1.efi"] = strings.Repeat("kernel a1 ", 39_000) + "!"
		next["/loader/loader.conf"] = "timeout 5\n"
		next["/EFI/nixos/b2-initrd"] += strings.Repeat("longer", 1000)
		p := plan(t, next.tree(t), o)
		after := check(t, p, next.whole(t))
		if k := p.Kept(); k.Anew != "" || k.Moved*p.ClusterSize() < 600_000 || k.Moved*p.ClusterSize() > 700_000 {
			t.Errorf("FAT%d: %+v", bits, k)
		}
		if n := changed(p, before, after); n > 1_300_000 { // the initrd where it was, and where it is
			t.Errorf("FAT%d: %d bytes differ", bits, n)
		}
		for path := range kernels {
			was, is := first.tree.Find(path), p.tree.Find(path)
			if is != nil && path != "/EFI/nixos/b2-initrd" && first.start[was.ID()] != p.start[is.ID()] {
				t.Errorf("FAT%d: %s begins at cluster %d and did at %d", bits, path, p.start[is.ID()], first.start[was.ID()])
			}
		}
	}
}

// A layout anew says why, and is that without an earlier volume.
func TestKeepAnew(t *testing.T) {
	o := Options{Bits: 16, Size: 8 << 20, SectorSize: 512}
	o.Earlier = placesOf(t, volumeOf(t, plan(t, kernels.tree(t), o)))
	large := files{"/EFI/BOOT/BOOTX64.EFI": kernels["/EFI/BOOT/BOOTX64.EFI"], "/loader/entries/large": strings.Repeat("large", 1_400_000), "/loader/loader.conf": kernels["/loader/loader.conf"]}
	for size, want := range map[int64]string{8 << 20: "no room in one piece", 9 << 20: "another size"} {
		o.Size = size
		p := plan(t, large.tree(t), o)
		if k := p.Kept(); !strings.Contains(k.Anew, want) {
			t.Errorf("%d bytes: %+v", size, k)
		}
		b := check(t, p, large.whole(t))
		o := o
		o.Earlier = nil
		if !bytes.Equal(b, volumeOf(t, plan(t, large.tree(t), o))) {
			t.Errorf("%d bytes: not as without an earlier volume", size)
		}
	}
}

// Any change of any tree is a sound volume.
func TestKeepAnyChange(t *testing.T) {
	hosttest.Check(t, func(r *rapid.T) {
		o := Options{Bits: rapid.SampledFrom([]int{12, 12, 16}).Draw(r, "bits"), SectorSize: 512, Free: rapid.Int64Range(0, 300_000).Draw(r, "free")}
		f := files{}
		var before []byte
		for round := range 4 {
			for _, path := range slices.Sorted(maps.Keys(f)) {
				if rapid.IntRange(0, 3).Draw(r, "remove "+path) == 0 {
					delete(f, path)
				}
			}
			for range rapid.IntRange(0, 6).Draw(r, "files") {
				name := fmt.Sprintf("/dir%d/file%d", rapid.IntRange(0, 2).Draw(r, "dir"), rapid.IntRange(0, 8).Draw(r, "file"))
				f[name] = strings.Repeat(fmt.Sprint(name, round), rapid.IntRange(0, 1500).Draw(r, "size"))
			}
			p, err := New(f.tree(t), o)
			if err != nil {
				return // it has become too large
			}
			b := volumeOf(t, p)
			v := sound(t, b)
			if diff := cmp.Diff(f.whole(t), contents(t, v.Tree)); diff != "" {
				r.Fatal(diff)
			}
			if before != nil && p.Kept().Anew == "" {
				o := o
				o.Earlier = placesOf(t, b)
				if again, err := New(f.tree(t), o); err != nil || !bytes.Equal(volumeOf(t, again), b) {
					r.Fatal("the same tree has other bytes", err)
				}
			}
			o.Size, o.Free, o.Earlier, before = p.Size(), 0, placesOf(t, b), b
		}
	})
}

// FuzzKeep changes a volume from which places are read: whatever they are, a volume that keeps to them is sound.
func FuzzKeep(f *testing.F) {
	base := files{"/a/b": strings.Repeat("b", 2000), "/a/c": strings.Repeat("c", 100), "/d": strings.Repeat("d", 1500), "/e/f/g": "g"}
	o := Options{SectorSize: 512, Free: 4000}
	first := plan(f, base.tree(f), o)
	image := volumeOf(f, first)
	next := maps.Clone(base)
	next["/a/c"], next["/new"] = strings.Repeat("c", 1100), strings.Repeat("n", 700)
	tr, want := next.tree(f), next.whole(f)
	f.Add([]byte{})
	for at := range 40 {
		at *= len(image) / 40
		f.Add([]byte{byte(at), byte(at >> 8), 3, 0, 255, 1})
	}
	hosttest.Fuzz(f, func(t *testing.T, patches []byte) {
		b := bytes.Clone(image)
		for ; len(patches) >= 6; patches = patches[6:] { // two bytes of offset, four of content
			at := int(patches[0]) | int(patches[1])<<8
			copy(b[at%len(b):], patches[2:6])
		}
		places, err := ReadPlaces(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		o := Options{SectorSize: 512, Size: first.Size(), Earlier: places}
		if diff := cmp.Diff(want, contents(t, sound(t, volumeOf(t, plan(t, tr, o))).Tree)); diff != "" {
			t.Error(diff)
		}
	})
}
