package ext4

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/tree"

	"pgregory.net/rapid"
)

// Trees of each depth, with a node that is just full and one more extent.
func TestExtentTreeDepth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		blockSize, extents int64
		depth              int
	}{
		{4096, 1, 0}, {4096, 4, 0}, {4096, 5, 1}, {4096, 340, 1}, {4096, 341, 1}, {4096, 4 * 340, 1}, {4096, 4*340 + 1, 2},
		{1024, 84, 1}, {1024, 4 * 84, 1}, {1024, 4*84 + 1, 2}, {1024, 4 * 84 * 84, 2}, {1024, 4*84*84 + 1, 3},
	} {
		t.Run(fmt.Sprint(c.blockSize, " ", c.extents), func(t *testing.T) {
			if c.extents == 4*84*84 && !slow() {
				t.Skip("slow")
			}
			tr := build(t, map[string]*tree.Node{"/before": file(5), "/f": fragments(c.extents, c.blockSize), "/g": file(5)})
			o := testOptions()
			o.BlockSize = c.blockSize
			p := plan(t, tr, o)
			image := checked(t, p)
			if out := debugfs(t, image, "ex -l /f"); !strings.Contains(out, fmt.Sprintf(" %d/%2d ", c.depth, c.depth)) {
				t.Errorf("no leaf of depth %d:\n%.500s", c.depth, out)
			}
			if got := len(p.Place(nil, tr.Find("/f"))); got != int(c.extents) {
				t.Errorf("%d extents; want %d", got, c.extents)
			}
			compareMounted(t, mounted(t, image), tr)
		})
	}
}

// A large file goes around the superblocks of the groups that it spans, in as few extents as that allows, and its neighbours keep their
// places at its ends.
func TestLargeFiles(t *testing.T) {
	for _, features := range []string{"", "^flex_bg", "^64bit ^metadata_csum"} {
		tr := build(t, map[string]*tree.Node{
			"/a": file(9), "/big": tree.NewFile("", plain, zeros(5<<30+17)), "/c": file(9), "/more": tree.NewFile("", plain, zeros(700<<20)),
		})
		o := testOptions()
		o.Features = strings.Fields(features)
		p := plan(t, tr, o)
		end := int64(0)
		for _, e := range p.Place(nil, tr.Find("/big")) {
			if e.At != end || e.Off%4096 != 0 {
				t.Errorf("extent at %d of byte %d, want %d", e.Off, e.At, end)
			}
			end += e.Len
		}
		if end != 5<<30+17 {
			t.Errorf("%d bytes are placed", end)
		}
		checked(t, p)
	}
}

// Files of more than 4 GiB and up to the largest one, all holes but for their ends.
func TestLargestSparseFile(t *testing.T) {
	for _, size := range []int64{1<<32 + 1, 1<<42 - 1, maxFileBlocks * 4096} {
		tr := build(t, map[string]*tree.Node{"/f": tree.NewFile("", plain, &holey{size: size, step: size - 4000, count: 10})})
		image := checked(t, plan(t, tr, testOptions()))
		if out := debugfs(t, image, "stat /f"); !strings.Contains(out, fmt.Sprintf("Size: %d\n", size)) {
			t.Errorf("%d bytes:\n%s", size, out)
		}
	}
	tr := build(t, map[string]*tree.Node{"/f": tree.NewFile("", plain, &holey{size: maxFileBlocks*4096 + 1, step: 1 << 60})})
	if _, err := New(tr, testOptions()); err == nil || !strings.Contains(err.Error(), "/f: 17592186040321 bytes, a file can have 17592186040320") {
		t.Errorf("a file that is too large: %v", err)
	}
}

// A directory whose blocks other structures divide into many extents has an extent tree too.
func TestFragmentedDirectory(t *testing.T) {
	t.Parallel()
	tr := build(t, map[string]*tree.Node{"/d": tree.NewDir("", plain, named(longNames(150_000, 250)))})
	o := testOptions()
	o.BlockSize, o.Features = 1024, []string{"^flex_bg", "^dir_index"}
	p := plan(t, tr, o)
	d := p.dir(int32(tr.Find("/d").ID()))
	if n := len(p.g.tape.mappings(nil, []run{{0, int64(d.blocks)}}, int64(d.at))); n <= rootEntries {
		t.Fatalf("%d extents are too few for the test", n)
	}
	checked(t, p)
}

// Every file is where Place says, the parts in order, and files lie on the disk in the order of the tree.
func TestPlaceIsWhereTheImageHasIt(t *testing.T) {
	tr := everything(t, 4096)
	p := plan(t, tr, testOptions())
	image, err := os.ReadFile(write(t, p))
	if err != nil {
		t.Fatal(err)
	}
	behind := int64(0)
	for path, n := range tr.Walk() {
		if n.Kind() == tree.Dir && n.ID() > 0 && p.Place(nil, n) != nil {
			t.Errorf("%q has content", path)
		}
		for _, e := range p.Place(nil, n) {
			want := make([]byte, e.Len)
			r, _ := e.Blob.Open()
			if _, err := r.ReadAt(want, e.At); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(image[e.Off:e.End()], want) {
				t.Errorf("%q: other bytes at %d", path, e.Off)
			}
			if n.Kind() == tree.Link {
				continue
			}
			if e.Off < behind {
				t.Errorf("%q lies at %d, before %d", path, e.Off, behind)
			}
			behind = e.End()
		}
	}
}

// Reading any range fills the buffer with the bytes of the image, whatever was in it.
func TestReadAtAnyRange(t *testing.T) {
	for _, blockSize := range []int64{1024, 4096} {
		o := testOptions()
		o.BlockSize, o.Free = blockSize, 20<<20
		p := plan(t, everything(t, blockSize), o)
		image, err := os.ReadFile(write(t, p))
		if err != nil {
			t.Fatal(err)
		}
		check := func(t tb, off, length int64) {
			buf := bytes.Repeat([]byte{0xaa}, int(length))
			if err := extent.ReadAt(p, buf, off); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(buf, image[off:off+length]) {
				t.Fatalf("%d bytes at %d differ", length, off)
			}
		}
		for off := int64(0); off < p.Size(); off += 77_777 {
			check(t, off, min(77_777, p.Size()-off))
		}
		hosttest.Check(t, func(t *rapid.T) {
			off := rapid.Int64Range(0, p.Size()-1).Draw(t, "off")
			check(t, off, rapid.Int64Range(0, min(200_000, p.Size()-off)).Draw(t, "len"))
		})
	}
}

// Extents from any offset are those of the whole that end after it.
func TestExtentsFromAnywhere(t *testing.T) {
	o := testOptions()
	o.BlockSize, o.Features = 1024, []string{"^flex_bg"}
	nodes := map[string]*tree.Node{"/h": fragments(500, 1024), "/big": tree.NewFile("", plain, zeros(40<<20))}
	p := plan(t, build(t, nodes), o)
	type part struct {
		off, len, at int64
		meta         bool
	}
	collect := func(from int64) (parts []part) {
		for e := range p.Extents(from) {
			parts = append(parts, part{e.Off, e.Len, e.At, e.Meta})
		}
		return parts
	}
	all := collect(0)
	hosttest.Check(t, func(t *rapid.T) {
		from := rapid.Int64Range(0, p.Size()).Draw(t, "from")
		got := collect(from)
		skipped := len(all) - len(got)
		if skipped < 0 || fmt.Sprint(got) != fmt.Sprint(all[skipped:]) {
			t.Fatalf("from %d: %d extents are not the last ones of %d", from, len(got), len(all))
		}
		if skipped > 0 && all[skipped-1].off+all[skipped-1].len > from || len(got) > 0 && got[0].off+got[0].len <= from {
			t.Fatalf("from %d: skipped %v, first %v", from, all[max(0, skipped-1)], got[:min(1, len(got))])
		}
	})
}
