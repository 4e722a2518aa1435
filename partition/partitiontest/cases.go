package partitiontest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// A testCase is a tree that must be read back as it was made.
type testCase struct {
	name        string
	needs, also Feature // "" for none
	slow        bool
	fill        func(g *grove)
}

// A grove builds a test's tree.
type grove struct {
	testing.TB
	*tree.Builder
	path string // of the first node that needs the feature, in the order of Walk
}

// plain are the attributes of most nodes: those of a store item.
var plain = &tree.Attr{Mode: 0o555, Mtime: tree.Time{Sec: 1}}

func newGrove(t testing.TB) *grove { return &grove{TB: t, Builder: tree.NewBuilder(plain)} }

func (g *grove) add(path string, n *tree.Node) *tree.Node {
	if err := g.Add(path, n, "test"); err != nil {
		g.Fatal(err)
	}
	return n
}

func (g *grove) file(path, content string) *tree.Node {
	return g.add(path, tree.NewFile("", plain, tree.Text(content)))
}

func (g *grove) dir(path string) { g.add(path, tree.NewDir("", plain, nil)) }

func (g *grove) tree() *tree.Tree {
	tr, err := g.Tree()
	if err != nil {
		g.Fatal(err)
	}
	return tr
}

func (c testCase) tree(t testing.TB) (*tree.Tree, string) {
	g := newGrove(t)
	c.fill(g)
	return g.tree(), g.path
}

// random returns a blob of incompressible bytes, the same for the same seed, which are generated when they are read.
func random(seed byte, size int64) tree.Blob {
	block := make([]byte, 1<<16)
	rand.NewChaCha8([32]byte{seed}).Read(block)
	return extent.Generated(size, func(p []byte, off int64) {
		for done := 0; done < len(p); {
			at := (off + int64(done)) % int64(len(block))
			done += copy(p[done:], block[at:])
		}
		if off < 8 && off+int64(len(p)) > 8 { // so that not all pieces of 64 KiB are equal
			p[8-off] ^= seed
		}
	})
}

// sparse is a blob with holes between its data.
type sparse struct {
	tree.Blob
	data []tree.Range
}

func (s *sparse) Data() []tree.Range { return s.data }

// newSparse returns a blob with a byte that is not zero at the beginning and the end of each part.
func newSparse(size int64, data ...tree.Range) tree.Blob {
	return &sparse{data: data, Blob: extent.Generated(size, func(p []byte, off int64) {
		clear(p)
		for _, d := range data {
			for _, at := range []int64{d.Off, d.Off + d.Len - 1} {
				if at >= off && at < off+int64(len(p)) {
					p[at-off] = 'x'
				}
			}
		}
	})}
}

// every returns count parts of length bytes, one every step bytes.
func every(step, length int64, count int) []tree.Range {
	parts := make([]tree.Range, count)
	for i := range parts {
		parts[i] = tree.Range{Off: int64(i) * step, Len: length}
	}
	return parts
}

var cases = []testCase{
	{name: "empty", fill: func(g *grove) {}},
	{name: "one file", fill: func(g *grove) { g.file("/file", "hello\n") }},
	{name: "empty file", fill: func(g *grove) { g.file("/empty", "") }},
	{name: "empty directories", fill: func(g *grove) { g.dir("/a"); g.dir("/b/c") }},
	{name: "file sizes", fill: func(g *grove) {
		for _, n := range []int{1, 511, 512, 513, 4095, 4096, 4097, 8192, 65535, 65536, 65537, 5 * 4096, 1 << 20} {
			g.add(fmt.Sprintf("/of-%d", n), tree.NewFile("", plain, random(7, int64(n))))
		}
	}},
	{name: "same content twice", fill: func(g *grove) {
		b := random(3, 10000)
		g.add("/a/x", tree.NewFile("", plain, b))
		g.add("/b/y", tree.NewFile("", plain, b))
	}},
	{name: "deep path", fill: func(g *grove) { g.file(strings.Repeat("/d", 64)+"/file", "deep") }},
	{name: "longest name", needs: LongNames, fill: func(g *grove) {
		g.path = "/" + strings.Repeat("d", 255)
		g.file("/"+strings.Repeat("n", 255), "1")
		g.file("/"+strings.Repeat("d", 255)+"/"+strings.Repeat("f", 255), "2")
	}},
	{name: "large file", fill: func(g *grove) { g.add("/large", tree.NewFile("", plain, random(9, 130<<20+17))) }},
	{name: "zeros", fill: func(g *grove) {
		g.file("/zeros", strings.Repeat("\x00", 100_000))
		g.file("/holes", strings.Repeat(strings.Repeat("\x00", 4096)+strings.Repeat("x", 4096), 30)+strings.Repeat("\x00", 9000))
	}},
	{name: "sparse file", fill: func(g *grove) {
		g.add("/holes", tree.NewFile("", plain, newSparse(3<<20+5, every(64<<10, 100, 40)...)))
		g.add("/nothing", tree.NewFile("", plain, newSparse(1<<20)))
		g.add("/end", tree.NewFile("", plain, newSparse(1<<20, tree.Range{Off: 1<<20 - 1, Len: 1})))
		g.add("/many", tree.NewFile("", plain, newSparse(8<<20, every(8192, 4096, 1000)...)))
	}},
	{name: "many files", fill: func(g *grove) { manyFiles(g, 2000) }},
	{name: "50,000 files", slow: true, fill: func(g *grove) { manyFiles(g, 50_000) }},
	{name: "long directory", fill: func(g *grove) { longDirectory(g, 1500, 20) }},
	{name: "longer directory", slow: true, needs: LongDirs, fill: func(g *grove) {
		g.path = "/long"
		longDirectory(g, 8_500, 255) // ext4's index of it has two levels
	}},
	{name: "70,000 directories in one", slow: true, needs: Subdirs, fill: func(g *grove) {
		g.path = "/store"
		for i := range 70_000 {
			g.dir(fmt.Sprintf("/store/%05d", i))
		}
	}},
	{name: "lost+found", fill: func(g *grove) {
		g.add("/lost+found", tree.NewDir("", &tree.Attr{Mode: 0o711, UID: 3, GID: 4, Mtime: tree.Time{Sec: 5}}, nil))
		g.file("/lost+found/file", "found")
	}},
}

func manyFiles(g *grove, count int) {
	for i := range count {
		g.file(fmt.Sprintf("/dir-%03d/sub-%d/file-%05d", i/250, i%5, i), strings.Repeat(fmt.Sprintf("content of %d\n", i), i%400))
	}
}

func longDirectory(g *grove, count, length int) {
	for i := range count {
		name := fmt.Sprintf("%06d-", i)
		g.file("/long/"+name+strings.Repeat("x", length-len(name)), name)
	}
}
