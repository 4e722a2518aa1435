package ext4

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"

	backend "github.com/diskfs/go-diskfs/backend/file"
	diskfs "github.com/diskfs/go-diskfs/filesystem/ext4"
	"pgregory.net/rapid"
)

// drawName draws the name of an entry: short ones that meet, long ones, ones that are no UTF-8.
func drawName(t *rapid.T) string {
	switch rapid.IntRange(0, 3).Draw(t, "kind of name") {
	case 0:
		return rapid.StringMatching(`[a-z]{1,2}`).Draw(t, "name")
	case 1:
		return rapid.StringMatching(`[a-z]{200,255}`).Draw(t, "name")
	default:
		b := rapid.SliceOfN(rapid.ByteRange(1, 255), 1, 40).Draw(t, "name")
		name := strings.ReplaceAll(string(b), "/", "|")
		if name == "." || name == ".." {
			return "dots"
		}
		return name
	}
}

func drawAttr(t *rapid.T) *tree.Attr {
	a := &tree.Attr{
		Mode:  rapid.Uint16Range(0, 0o7777).Draw(t, "mode"),
		UID:   rapid.Uint32Max(1<<32-2).Draw(t, "uid"),
		GID:   rapid.Uint32Max(1<<32-2).Draw(t, "gid"),
		Mtime: tree.Time{Sec: rapid.Int64Range(minTime, maxTime).Draw(t, "seconds"), Nsec: rapid.Uint32Range(0, 999_999_999).Draw(t, "nanoseconds")},
	}
	for _, name := range []string{"security.b", "trusted.a", "trusted.longer-name"} {
		if rapid.IntRange(0, 5).Draw(t, "attribute") == 0 {
			value := rapid.SliceOfN(rapid.Byte(), 0, 250).Draw(t, "value")
			a.Xattrs = append(a.Xattrs, tree.Xattr{Name: name, Value: value})
		}
	}
	return a
}

// drawNode draws a node, which may be a further name of one of the earlier files.
func drawNode(t *rapid.T, depth int, files *[]*tree.Node) *tree.Node {
	name, attr := drawName(t), drawAttr(t)
	switch rapid.IntRange(0, 8).Draw(t, "kind") {
	case 0, 1:
		if depth < 4 {
			return tree.NewDir(name, attr, drawNodes(t, depth+1, files))
		}
	case 2:
		return tree.NewSymlink(name, attr, rapid.StringMatching(`[a-z/.]{1,120}`).Draw(t, "target"))
	case 3:
		return tree.NewDevice(name, attr, tree.BlockDevice, tree.Device{Major: rapid.Uint32Range(0, 4095).Draw(t, "major"), Minor: 7})
	case 4:
		if len(*files) > 0 {
			return tree.NewLink(name, rapid.SampledFrom(*files).Draw(t, "linked"))
		}
	case 5:
		step := rapid.Int64Range(1, 30_000).Draw(t, "step")
		h := &holey{size: rapid.Int64Range(1, 300_000).Draw(t, "size"), step: step, count: rapid.Int64Range(0, step).Draw(t, "data")}
		return tree.NewFile(name, attr, h)
	}
	size := rapid.IntRange(0, 20_000).Draw(t, "size")
	f := tree.NewFile(name, attr, tree.Text(strings.Repeat("content", size/7+1)[:size]))
	*files = append(*files, f)
	return f
}

func drawNodes(t *rapid.T, depth int, files *[]*tree.Node) (nodes []*tree.Node) {
	seen := map[string]bool{"lost+found": true}
	for range rapid.IntRange(0, 12).Draw(t, "nodes") {
		if n := drawNode(t, depth, files); !seen[n.Name] {
			seen[n.Name] = true
			nodes = append(nodes, n)
		}
	}
	return nodes
}

func drawOptions(t *rapid.T) Options {
	o := testOptions()
	o.BlockSize = rapid.SampledFrom([]int64{1024, 2048, 4096}).Draw(t, "block size")
	o.Free = rapid.Int64Range(0, 30<<20).Draw(t, "free")
	o.FreeInodes = rapid.Int64Range(0, 5000).Draw(t, "free inodes")
	for _, f := range featureTable {
		if f.optional && rapid.IntRange(0, 3).Draw(t, f.name) == 0 {
			o.Features = append(o.Features, "^"+f.name)
		}
	}
	return o
}

func drawTree(t *rapid.T) *tree.Tree {
	nodes := drawNodes(t, 0, &[]*tree.Node{})
	return build(t, map[string]*tree.Node{"/": tree.NewDir("", plain, partitiontest.Rooted(nodes))})
}

// Any tree, with any features and any free space: clean, and the same through the kernel.
func TestRandomTrees(t *testing.T) {
	t.Parallel()
	hosttest.Need(t, "e2fsck")
	path := filepath.Join(t.TempDir(), "image")
	mount := os.Getuid() == 0
	n := 0
	hosttest.Check(t, func(r *rapid.T) {
		tr, o := drawTree(r), drawOptions(r)
		p := plan(r, tr, o)
		writeTo(r, p, path)
		fsck(r, path)
		s := p.Summary()
		if s.FreeBlocks*s.BlockSize < o.Free || s.FreeInodes < o.FreeInodes {
			r.Fatalf("%+v is less than the %d bytes and %d inodes that should be free", s, o.Free, o.FreeInodes)
		}
		if n++; mount && n%8 == 0 {
			t.Run(fmt.Sprint("mount ", n), func(t *testing.T) { compareMounted(t, mounted(t, path), tr) })
		}
	})
}

// A second implementation reads the files of a tree: one that knows no sparse files and trips over some extended attributes.
func TestDiskfsReads(t *testing.T) {
	nodes := map[string]*tree.Node{"/many": tree.NewDir("", plain, manyFiles(2000)), "/sub/dir/long": tree.NewSymlink("", plain, strings.Repeat("t/", 50))}
	for _, size := range []int{1, 4095, 4096, 4097, 100_000, 5_000_000} {
		nodes[fmt.Sprintf("/sub/dir/%d", size)] = file(size)
	}
	image := write(t, plan(t, build(t, nodes), testOptions()))
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("go-diskfs: panic: %v", p)
		}
	}()
	b, err := backend.OpenFromPath(image, true)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	st, err := b.Stat()
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := diskfs.Read(b, st.Size(), 0, 512)
	if err != nil {
		t.Fatal(err)
	}
	if many, err := fsys.ReadDir("many"); err != nil || len(many) != 2000 {
		t.Errorf("%d entries of 2000: %v", len(many), err)
	}
	if target, err := fsys.ReadLink("sub/dir/long"); err != nil || target != strings.Repeat("t/", 50) {
		t.Errorf("symlink leads to %q: %v", target, err)
	}
	for path, n := range nodes {
		if n.Kind() != tree.File {
			continue
		}
		want := make([]byte, n.Size())
		r, _ := n.Blob().Open()
		if _, err := r.ReadAt(want, 0); err != nil {
			t.Fatal(err)
		}
		if got, err := fs.ReadFile(fsys, strings.TrimPrefix(path, "/")); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: %d bytes, %v; want %d", path, len(got), err, len(want))
		}
	}
}
