package ext4

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// needed returns the smallest size for a tree, in blocks.
func needed(t tb, tr *tree.Tree, o Options) int64 {
	t.Helper()
	o.Size = 0
	p := plan(t, tr, o)
	return p.g.blocks
}

// blobs returns a tree of files, each with an inode, that take the given number of blocks of 4 KiB in all.
func blobs(t tb, blocks int64, files int) *tree.Tree {
	nodes := []*tree.Node{}
	each := blocks / int64(files)
	for i := range files {
		size := each
		if i == 0 {
			size += blocks % int64(files)
		}
		nodes = append(nodes, tree.NewFile(fmt.Sprintf("f%d", i), plain, zeros(size*4096)))
	}
	return build(t, map[string]*tree.Node{"/d": tree.NewDir("", plain, nodes)})
}

// The size found is the smallest: with one block less the same planner refuses and says the size; with it, and with more blocks,
// whatever border they cross, everything fits and the free space that was asked for is there.
func TestSizeIsExact(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		tree     *tree.Tree
		free     int64
		features string
	}{
		{"empty", build(t, nil), 0, ""},
		{"small", everything(t, 4096), 1 << 20, ""},
		{"below the first journal", blobs(t, 1500, 100), 0, ""},
		{"at the first journal", blobs(t, 2030, 3), 0, ""},
		{"at the second journal", blobs(t, 31000, 3), 0, ""},
		{"group border", blobs(t, 27600, 10), 0, ""},
		{"second group", blobs(t, 60000, 10000), 5 << 20, ""},
		{"third journal", blobs(t, 256<<10-4800, 500), 0, ""},
		{"seventeen groups", blobs(t, 17*32768-9000, 50), 0, ""},
		{"without flex groups", blobs(t, 70000, 3000), 0, "^flex_bg"},
		{"more inodes than blocks", build(t, map[string]*tree.Node{"/d": tree.NewDir("", plain, manyFiles(40_000))}), 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := testOptions()
			o.Free, o.FreeInodes, o.Features = c.free, 7, strings.Fields(c.features)
			least := needed(t, c.tree, o)
			o.Size = least*4096 - 1
			var small *TooSmallError
			if _, err := New(c.tree, o); !errors.As(err, &small) || small.Needed != least*4096 || small.Given != o.Size {
				t.Errorf("with a byte less than %d blocks: %v", least, err)
			}
			for _, more := range []int64{0, 1, 2, 3, 49, 50, 51, 100, 500, 3000, 9000, 33000} {
				o.Size = (least + more) * 4096
				p := plan(t, c.tree, o)
				s := p.Summary()
				if s.FreeBlocks*4096 < o.Free || s.FreeInodes < o.FreeInodes || p.Size() > o.Size || p.Size() < least*4096 {
					t.Errorf("%d blocks more: %d blocks, %d of them and %d inodes free", more, s.Blocks, s.FreeBlocks, s.FreeInodes)
				}
				if more <= 1 || more == 3000 || slow() {
					checked(t, p)
				}
			}
		})
	}
}

// One block less does not fit even when it is tried, so the size is the smallest, and not only the one that New finds. With more inodes than
// blocks, up to a tenth more may be needed than would do.
func TestNoSmallerGeometryFits(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		tr := blobs(t, rng.Int64N(1<<rng.Int64N(22)+1), 1+rng.IntN(1000))
		o := testOptions()
		o.BlockSize, o.Free, o.FreeInodes = 4096, rng.Int64N(1<<20), rng.Int64N(1<<rng.Int64N(23)+1)
		p := plan(t, tr, o)
		c, err := newInventory(tr, p.format, o.HashSeed, plain)
		if err != nil {
			t.Fatal(err)
		}
		s, steps := &sizer{c, o}, int64(5)
		dense := p.g.perGroup < p.maxPerGroup()
		if tables := (p.inodes() + o.FreeInodes) / 16; dense {
			steps = 1
			if p.g.blocks > (tables+p.inUse()+o.Free/4096)*11/10+1000 {
				t.Errorf("%d blocks for %d of inodes", p.g.blocks, tables)
			}
		}
		for less := int64(1); less <= steps; less++ {
			blocks := p.g.blocks - less
			if _, short := s.try(s.request(blocks, s.inodesFor(blocks))); short <= 0 {
				t.Errorf("%d blocks were said to be needed, %d are enough", p.g.blocks, blocks)
			}
		}
		if spare := p.freeBlocks()*4096 - o.Free; spare >= 51*4096 && !dense {
			t.Errorf("%d blocks: %d bytes are free, %d were asked for", p.g.blocks, p.freeBlocks()*4096, o.Free)
		}
	}
}

// Sizes around the borders of groups and journals, 1 to 16 GiB and with small blocks: each is clean.
func TestSizesAroundBorders(t *testing.T) {
	t.Parallel()
	sizes := map[int64][]int64{ // blocks
		4096: {256, 2047, 2048, 32767, 32768, 32769, 32768 + 60, 65536 + 300, 262143, 262144, 16*32768 + 5000, 33 * 32768, 25*32768 + 4000, 128*32768 + 1},
		1024: {1024, 8192, 8193, 8194, 8193 + 400, 2 * 8192, 17*8192 + 3000, 40 * 8192},
		2048: {2048, 16384, 16385, 16384 + 1000},
	}
	for blockSize, all := range sizes {
		for i, blocks := range all {
			for k, features := range []string{"", "^flex_bg", "^metadata_csum ^resize_inode"} {
				if k > 0 && i%3 != k && !slow() {
					continue
				}
				o := testOptions()
				o.BlockSize, o.Size, o.Features = blockSize, blocks*blockSize, strings.Fields(features)
				tr := build(t, map[string]*tree.Node{"/a": file(20000), "/d/e": file(1)})
				p, err := New(tr, o)
				if err != nil {
					t.Errorf("%d blocks of %d, %q: %v", blocks, blockSize, features, err)
					continue
				}
				checked(t, p)
			}
		}
	}
}

// BytesPerInode, FreeInodes, Reserved, MinSize and JournalSize have their effects.
func TestSizeOptions(t *testing.T) {
	tr := build(t, map[string]*tree.Node{"/a": file(20000)})
	for name, set := range map[string]func(o *Options){
		"bytes per inode":            func(o *Options) { o.Free, o.BytesPerInode = 1<<30, 1<<16 },
		"free inodes":                func(o *Options) { o.FreeInodes = 100_000 },
		"many inodes":                func(o *Options) { o.FreeInodes = 700_000 },
		"more inodes":                func(o *Options) { o.FreeInodes, o.Features = 3_000_000, []string{"^flex_bg"} },
		"small blocks":               func(o *Options) { o.FreeInodes, o.BlockSize = 1_000_000, 1024 },
		"smallest size":              func(o *Options) { o.MinSize = 1 << 28 },
		"size of a short last group": func(o *Options) { o.MinSize = 1<<27 + 4097 },
		"reserved":                   func(o *Options) { o.MinSize, o.Reserved = 1<<28, 1<<24 },
		"journal":                    func(o *Options) { o.JournalSize = 6 << 20 },
	} {
		o := testOptions()
		set(&o)
		p := plan(t, tr, o)
		s := p.Summary()
		t.Logf("%s: %d blocks in %d groups of %d, %d blocks and %d inodes are free", name, s.Blocks, s.Groups, p.g.perGroup, s.FreeBlocks, s.FreeInodes)
		if o.BytesPerInode > 0 && p.Size()/s.Inodes > o.BytesPerInode || s.FreeInodes < o.FreeInodes || p.Size() < o.MinSize ||
			o.JournalSize > 0 && s.JournalBlocks*4096 != o.JournalSize {
			t.Errorf("%s: %+v", name, s)
		}
		image := checked(t, p)
		if out := dump(t, image); out["Reserved block count"] != fmt.Sprint(o.Reserved/4096) {
			t.Errorf("%s: %s blocks are reserved", name, out["Reserved block count"])
		}
	}
}

// dump returns the fields of a superblock that dumpe2fs prints.
func dump(t testing.TB, image string) map[string]string {
	t.Helper()
	hosttest.Need(t, "dumpe2fs")
	fields := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z][^:\n]*):\s*(.*)$`).FindAllStringSubmatch(tool(t, "dumpe2fs", "-h", image), -1) {
		fields[m[1]] = m[2]
	}
	return fields
}

// An empty file system of a given size has the superblock of mke2fs with as many inodes, except for times and the count of writes.
func TestSuperblockIsThatOfMke2fs(t *testing.T) {
	hosttest.Need(t, "mke2fs")
	for _, size := range []int64{4 << 20, 64 << 20, 300 << 20, 3 << 30, 40 << 30, 300 << 30} {
		o := testOptions()
		o.Size = size
		got := dump(t, checked(t, plan(t, build(t, nil), o)))
		path := filepath.Join(t.TempDir(), "oracle")
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		tool(t, "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "0", "-N", got["Inode count"], "-L", "test", "-U", o.UUID.String(),
			"-O", "^metadata_csum_seed,^orphan_file", "-E", "lazy_itable_init=0,hash_seed="+o.HashSeed.String(), path)
		want := dump(t, path)
		for _, time := range []string{"Filesystem created", "Last write time", "Last checked", "Checksum", "Lifetime writes"} {
			delete(want, time)
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%d bytes: %s is %q, mke2fs has %q", size, name, got[name], value)
			}
		}
	}
}

// A file system can grow to twice and to a hundred times its size.
func TestGrows(t *testing.T) {
	t.Parallel()
	hosttest.Need(t, "resize2fs")
	for _, blockSize := range []int64{4096, 1024} {
		for _, features := range []string{"", "^resize_inode", "^flex_bg"} {
			for _, times := range []int64{2, 100} {
				tr := everything(t, blockSize)
				o := testOptions()
				o.BlockSize, o.Free, o.Features = blockSize, 9<<20, strings.Fields(features)
				p := plan(t, tr, o)
				image := checked(t, p)
				if err := os.Truncate(image, p.Size()*times); err != nil {
					t.Fatal(err)
				}
				tool(t, "resize2fs", image)
				fsck(t, image)
				if features == "" && times == 100 {
					t.Run(fmt.Sprint("mount ", blockSize), func(t *testing.T) { compareMounted(t, mounted(t, image), tr) })
				}
			}
		}
	}
}

// The largest file system has block numbers of 32 bits.
func TestSixteenTebibytes(t *testing.T) {
	o := testOptions()
	o.Size = 16 << 40
	tr := everything(t, 4096)
	p := plan(t, tr, o)
	f, err := os.CreateTemp("/dev/shm", "ext4-16tib-")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	path := f.Name()
	t.Cleanup(func() { os.Remove(path) })
	if f.Truncate(o.Size) != nil {
		t.Skip("no file of 16 TiB can be made here")
	}
	writeTo(t, p, path)
	if got := dump(t, path); got["Block count"] != "4294967296" || got["Free blocks"] != fmt.Sprint(p.freeBlocks()) {
		t.Errorf("%q blocks, %q of them free; want %d", got["Block count"], got["Free blocks"], p.freeBlocks())
	}
	if slow() { // e2fsck takes 16 seconds
		fsck(t, path)
	}
	o.Size += 4096
	if _, err := New(tr, o); err == nil || !strings.Contains(err.Error(), "4294967297 blocks of 4096 bytes, 4294967296 are the limit") {
		t.Errorf("a block more: %v", err)
	}
	o.Size, o.Free = 0, 16<<40
	var small *TooSmallError
	if _, err := New(tr, o); !errors.As(err, &small) || small.Given != 16<<40 {
		t.Errorf("16 TiB of free space: %v", err)
	}
}
