package erofs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/fault"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

// padded is an image that continues with zeros after its bytes.
type padded []byte

func (p padded) ReadAt(b []byte, off int64) (int, error) {
	clear(b)
	if off < int64(len(p)) {
		copy(b, p[off:])
	}
	return len(b), nil
}

// small is an image with one of everything.
func small(t testing.TB) ([]byte, *Plan) {
	linked := file(100)
	p := layOut(t, build(t, map[string]*tree.Node{
		"/a/dir/file": linked, "/link": tree.NewLink("", linked), "/symlink": tree.NewSymlink("", plain, "target"), "/big": file(9000),
		"/dev": tree.NewDevice("", at(1, 2), tree.CharDevice, tree.Device{Major: 1, Minor: 3}), "/b": tree.NewDir("", withXattrs("user.x", "yes, as another one"), nil),
		"/c": tree.NewFile("", withXattrs("user.x", "yes, as another one", "trusted.y", "no"), tree.Text("")), "/names": dirOf(5000),
	}), testOptions())
	b := partitiontest.Bytes(t, p)
	return b, p
}

// mended corrects the checksum of the superblock.
func mended(image []byte) []byte {
	le.PutUint32(image[superOffset+4:], superChecksum(image[:blockSize]))
	return image
}

func TestReadRefuses(t *testing.T) {
	whole, p := small(t)
	at := func(path string) int { return int(p.place(int32(p.tree.Find(path).ID()))) }
	tail := func(path string) int {
		n := p.tree.Find(path)
		return at(path) + int(p.entry(n).header)
	}
	for _, c := range []struct {
		want   string
		damage func(b []byte)
	}{
		{"no superblock: magic number 0x00000000", func(b []byte) { clear(b[1024:1028]) }},
		{"blocks of 2^13 bytes", func(b []byte) { b[1024+12] = 13 }},
		{"directory blocks of 2^13", func(b []byte) { b[1024+90] = 1 }},
		{"the region has", func(b []byte) { b[1024+39] = 1 }},
		{"compression with options is not supported", func(b []byte) { b[1024+80] = 3 }},
		{"files in chunks is not supported", func(b []byte) { b[1024+80] = 4 }},
		{"features 0x80000000 are not known", func(b []byte) { b[1024+83] = 0x80 }},
		{"the superblock counts", func(b []byte) { b[1024+16]++ }},
		{"\"/\": inode 65535: is not within the file system's", func(b []byte) { b[1024+14], b[1024+15] = 255, 255 }},
		{"the root is a file", func(b []byte) { le.PutUint16(b[1024+14:], uint16(at("/c")/32)) }},
		{"\"/dev\": mode 0144 has no known type", func(b []byte) { le.PutUint16(b[at("/dev")+4:], 0o144) }},
		{"time with 4278190082 nanoseconds", func(b []byte) { b[at("/dev")+43] = 255 }},
		{"\"/big\": inode", func(b []byte) { b[at("/big")+1] = 1 }},
		{"\"/big\": content is compressed (layout 3)", func(b []byte) { b[at("/big")] = 3 << 1 }},
		{"\"/big\": content is stored in chunks (layout 4)", func(b []byte) { b[at("/big")] = 4 << 1 }},
		{"\"/big\": content of 9000 bytes at 1099511623680 lies outside", func(b []byte) { le.PutUint32(b[at("/big")+16:], 0x0fffffff) }},
		{"\"/a/dir/file\": 4090 bytes of content at", func(b []byte) { le.PutUint16(b[at("/a/dir/file")+8:], 4090) }},
		{"\"/a/dir/file\": content of 4096 bytes has no part", func(b []byte) { le.PutUint16(b[at("/a/dir/file")+8:], 4096) }},
		{"\"/symlink\": symlink target of 4097 bytes, 4095 are allowed", func(b []byte) { b[at("/symlink")] = 0; le.PutUint16(b[at("/symlink")+8:], 4097) }},
		{"\"/symlink\": symlink target \"targ\\x00t\" holds a NUL", func(b []byte) { b[tail("/symlink")+4] = 0 }},
		{"\"/a\": directory block of", func(b []byte) { b[tail("/a")+8]++ }},
		{"\"/a\": directory block of 42 bytes has a name from 36 to 255", func(b []byte) { b[tail("/a")+12+8] = 255 }},
		{"\"/a\": name \"-ir\" comes after \"..\"", func(b []byte) { b[tail("/a")+36+3] = '-' }},
		{"\"/a\": name \"..\" leads to inode", func(b []byte) { b[tail("/a")+12]++ }},
		{"\"/a/dir\": the directory has a second name", func(b []byte) { copy(b[tail("/a")+24:tail("/a")+32], b[tail("/a"):]) }},
		{"\"/a/dir\": the directory says type 1, the inode is a directory", func(b []byte) { b[tail("/a")+24+10] = 1 }},
		{"\"/a\": name \"d/r\"", func(b []byte) { b[tail("/a")+36+4] = '/' }},
		{"\"/b\": has 1 of the names", func(b []byte) {
			b[at("/b")+8], b[tail("/b")+8], b[tail("/b")+direntSize] = direntSize+1, direntSize, '.'
		}},
		{"\"/c\": 255 shared attributes do not fit", func(b []byte) { b[at("/c")+32+4] = 255 }},
		{"\"/c\": extended attribute of", func(b []byte) { b[at("/c")+32+16] = 255 }},
		{"\"/c\": extended attribute \"y\" of kind 7 is not known", func(b []byte) { b[at("/c")+32+16+1] = 7 }},
		{"\"/c\": extended attribute \"user.x\" is there twice", func(b []byte) { b[at("/c")+32+16+1], b[at("/c")+32+16+4] = 1, 'x' }},
		{"\"/b\": 4 bytes at", func(b []byte) { b[at("/b")+32+12+3] = 255 }},
	} {
		b := bytes.Clone(whole)
		c.damage(b)
		if c.want[0] != 'n' {
			mended(b)
		}
		if _, err := Read(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, not %q", err, c.want)
		}
	}
}

// Thirty symlinks whose inodes all point to the target of one long one: together they have more bytes than the file system.
func TestReadOverlap(t *testing.T) {
	nodes := map[string]*tree.Node{"/long": tree.NewSymlink("", plain, strings.Repeat("t", 4095))}
	for i := range 30 {
		nodes[fmt.Sprint("/", i)] = tree.NewSymlink("", plain, "short")
	}
	tr := build(t, nodes)
	p := layOut(t, tr, testOptions())
	b := partitiontest.Bytes(t, p)
	long := inode{mode: 0o120777, links: 1, size: 4095, u: uint32(p.slowAt())}
	for i := range 30 {
		copy(b[p.place(int32(tr.Find(fmt.Sprint("/", i)).ID())):], long.append(nil))
	}
	if _, err := Read(bytes.NewReader(mended(b)), p.Size()); !errors.Is(err, fault.ErrOverlap) {
		t.Errorf("got %v", err)
	}
}

func TestReadChecksum(t *testing.T) {
	whole, p := small(t)
	for _, at := range []int{1024 + 48, int(p.place(0)) + 5, blockSize - 1} {
		b := bytes.Clone(whole)
		b[at] ^= 1
		if _, err := Read(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), "does not match") {
			t.Errorf("byte %d changed: %v", at, err)
		}
	}
	for _, size := range []int64{0, 1000, 1100, 4096} {
		if _, err := Read(bytes.NewReader(whole), size); err == nil {
			t.Errorf("%d bytes of the image were taken", size)
		}
	}
	if _, err := Read(bytes.NewReader(whole[:5000]), int64(len(whole))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an image that ends early: %v", err)
	}
}

// What mkfs.erofs makes of a directory is read too, unless it is compressed.
func TestReadMkfs(t *testing.T) {
	hosttest.Need(t, "mkfs.erofs")
	dir := t.TempDir()
	nodes := map[string]*tree.Node{}
	for name, size := range map[string]int{"empty": 0, "small": 100, "tail": 4500, "blocks": 8192, "large": 100_000} {
		nodes["/"+name] = file(size)
		if err := os.WriteFile(filepath.Join(dir, name), contentOf(t, nodes["/"+name].Blob())[:size], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("target", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "tail"), filepath.Join(dir, "second")); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), "image")
	hosttest.Run(t, "mkfs.erofs", "--quiet", image, dir)
	v, err := Read(partitiontest.Opened(t, image))
	if err != nil {
		t.Fatal(err)
	}
	for path, n := range nodes {
		if got := v.Tree.Find(path); got == nil || !bytes.Equal(contentOf(t, got.Inode().Blob()), contentOf(t, n.Blob())) {
			t.Errorf("%s is not what it was", path)
		}
	}
	if n := v.Tree.Find("/link"); n == nil || n.Target() != "target" {
		t.Errorf("the symlink is %v", n)
	}
	if v.Tree.Find("/second").Inode() != v.Tree.Find("/tail").Inode() {
		t.Error("two names of a file are two files")
	}
	hosttest.Run(t, "mkfs.erofs", "--quiet", "-zlz4", image, dir)
	if _, err := Read(partitiontest.Opened(t, image)); err == nil || !strings.Contains(err.Error(), "compress") {
		t.Errorf("a compressed image: %v", err)
	}
}

// FuzzRead changes some bytes of an image. Whatever is read is a tree that can be laid out again, unless it holds times or names that are
// refused, and whose contents can be read.
func FuzzRead(f *testing.F) {
	whole, p := small(f)
	f.Add([]byte{})
	for _, n := range []int{1024, int(p.place(0)), int(p.tailsAt()) * blockSize, int(p.dirsAt()) * blockSize, int(p.xattrsAt()) * blockSize} {
		f.Add([]byte{byte(n), byte(n >> 8), byte(n >> 16), 1, 2, 3, 255, 1})
	}
	hosttest.Fuzz(f, func(t *testing.T, patches []byte) {
		b := bytes.Clone(whole)
		for ; len(patches) >= 8; patches = patches[8:] { // three bytes of offset, five of content
			at := int(patches[0]) | int(patches[1])<<8 | int(patches[2])<<16
			copy(b[at%len(b):], patches[3:8])
		}
		v, err := Read(bytes.NewReader(mended(b)), int64(len(b)))
		if err != nil {
			return
		}
		if Check(v.Tree) != nil {
			return
		}
		p, err := New(v.Tree, Options{Epoch: max(0, v.Epoch)})
		if err != nil {
			t.Fatal(err)
		}
		image := partitiontest.Bytes(t, p)
		again, err := Read(bytes.NewReader(image), p.Size())
		if err != nil {
			t.Fatal(err)
		}
		if a, b := describe(t, v.Tree), describe(t, again.Tree); !slices.Equal(a, b) {
			t.Fatalf("%q\n%q", a, b)
		}
	})
}

// FuzzNew lays out any tree: it is refused, or all of it is read back.
func FuzzNew(f *testing.F) {
	for i, p := range partitiontest.Seeds() {
		f.Add(p, int64(i)<<31, "label"[:i%6])
	}
	hosttest.Fuzz(f, func(t *testing.T, p []byte, epoch int64, label string) {
		tr := partitiontest.TreeOf(p, tree.Link, tree.Symlink, tree.CharDevice, tree.BlockDevice)
		refused := Check(tr)
		plan, err := New(tr, Options{Epoch: epoch, Label: label})
		if err != nil {
			return
		}
		if refused != nil {
			t.Errorf("Check says %v, and New takes it", refused)
		}
		if v := readBackSame(t, tr, plan); v.Label != label || v.Epoch != epoch {
			t.Errorf("label %q and epoch %d are read as %q and %d", label, epoch, v.Label, v.Epoch)
		}
	})
}
