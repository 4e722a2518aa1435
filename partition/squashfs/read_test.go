package squashfs

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"imprint/internal/fault"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"

	"github.com/google/go-cmp/cmp"
)

// describe lists a tree: a line for each path, with all that a squashfs keeps.
func describe(t testing.TB, tr *tree.Tree) (lines []string) {
	first := map[*tree.Node]string{}
	for path, n := range tr.Walk() {
		n = n.Inode()
		if first[n] == "" {
			first[n] = path
		}
		a, content := n.Attr, ""
		if n.Kind() == tree.File {
			sum := sha256.New()
			if err := tree.Copy(t.Context(), sum, n.Blob(), nil); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			content = fmt.Sprintf("%x", sum.Sum(nil))
		}
		lines = append(lines, fmt.Sprintf("%q is %q, a %v: %o %d:%d %v %d %q %v %q %s",
			path, first[n], n.Kind(), a.Mode, a.UID, a.GID, a.Mtime, n.Size(), n.Target(), n.Device(), a.Xattrs, content))
	}
	return lines
}

// varied has what readers have to tell apart: contents of all sizes around that of a block, holes, equal contents, many entries, attributes.
func varied(t testing.TB, block int64) *tree.Tree {
	b := tree.NewBuilder(&tree.Attr{Mode: 0o755, UID: 7, GID: 8, Mtime: tree.Time{Sec: 1}})
	add := func(path string, n *tree.Node) *tree.Node {
		t.Helper()
		if err := b.Add(path, n, "test"); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, size := range []int64{0, 1, block - 1, block, block + 1, 3 * block, 3*block + 100} {
		for _, name := range []string{"size", "same"} {
			content := sparse(size, tree.Range{Off: 0, Len: size})
			add(fmt.Sprintf("/%s/%d", name, size), tree.NewFile("", attr(0o644, size%1000), content))
		}
	}
	for i, r := range []tree.Range{{}, {Off: 5, Len: 1}, {Off: 3 * block, Len: block}, {Off: 9*block + 10, Len: 10}} {
		add(fmt.Sprint("/holes/", i), tree.NewFile("", attr(0o600, 9), sparse(10*block, r)))
		add(fmt.Sprint("/holes/tail", i), tree.NewFile("", attr(0o600, 9), sparse(10*block+40, r)))
	}
	noise := make([]byte, 2*block+7)
	for i, state := 0, uint32(1); i < len(noise); i++ {
		state = state*1664525 + 1013904223
		noise[i] = byte(state >> 24)
	}
	add("/noise", tree.NewFile("", attr(0o400, 1), tree.Text(string(noise))))
	linked := add("/linked", tree.NewFile("", attr(0o4711, 70_000), tree.Text("linked")))
	for i := range 3000 {
		add(fmt.Sprintf("/many/%d/%s%04d", i/2500, strings.Repeat("name", i%30), i), tree.NewLink("", linked))
	}
	add("/fifo", tree.NewSpecial("", attr(0o600, 1), tree.Fifo))
	add("/null", tree.NewDevice("", attr(0o666, 1), tree.CharDevice, tree.Device{Major: 1, Minor: 3}))
	add("/disk", tree.NewDevice("", attr(0o660, 1), tree.BlockDevice, tree.Device{Major: 4095, Minor: 1<<20 - 1}))
	for i, kind := range []*tree.Node{tree.NewFile("", nil, tree.Text("x")), tree.NewDir("", nil, nil), tree.NewFile("", nil, tree.Text(""))} {
		kind.Attr = &tree.Attr{Mode: 0o755, Mtime: tree.Time{Sec: maxTime}, Xattrs: []tree.Xattr{
			{Name: "security.capability", Value: []byte{1, 0, 0, 2, byte(i)}}, {Name: "user.long", Value: bytes.Repeat([]byte("long"), 1000)},
		}}
		add(fmt.Sprint("/xattr", i), kind)
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// readBack opens an image that must have no faults.
func readBack(t testing.TB, image string) *Volume {
	t.Helper()
	r, size := partitiontest.Opened(t, image)
	v, err := Read(r, size)
	if err != nil {
		t.Fatal(err)
	}
	v.Check(func(f fault.Fault) { t.Errorf("%v", f) })
	return v
}

// What was written is read, with every compressor and with blocks of every size.
func TestRead(t *testing.T) {
	for _, c := range Compressors {
		for _, block := range []int64{MinBlock, DefaultBlock, MaxBlock} {
			if block != MinBlock && c != Compressors[0] && !partitiontest.Slow() {
				continue
			}
			t.Run(fmt.Sprint(c.Name, block), func(t *testing.T) {
				t.Parallel()
				for _, tr := range []*tree.Tree{varied(t, block), sample(t)} {
					v := readBack(t, writeAs(t, tr, Options{Made: 12, Compression: c.Name, BlockSize: block}))
					if diff := cmp.Diff(describe(t, tr), describe(t, v.Tree)); diff != "" {
						t.Errorf("-written +read:\n%.4000s", diff)
					}
					if v.Compression != c.Name || v.BlockSize != block || v.Made != 12 {
						t.Errorf("%s, blocks of %d bytes, made at %d", v.Compression, v.BlockSize, v.Made)
					}
				}
			})
		}
	}
}

// So is what mksquashfs makes of a directory with its other options.
func TestReadMksquashfs(t *testing.T) {
	hosttest.Need(t, "mksquashfs")
	tr := varied(t, MinBlock)
	tarball := filepath.Join(t.TempDir(), "tar")
	f, err := os.Create(tarball)
	if err != nil {
		t.Fatal(err)
	}
	w := newWriter(f)
	for path, n := range tr.Walk() {
		if err := w.Add(path, n, content(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.archive.tar.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"", "-noI", "-noD", "-noF", "-noX", "-noI -noD -noF -noX -noId", "-no-fragments", "-always-use-fragments", "-no-exports", "-no-duplicates", "-no-sparse",
		"-comp xz -Xbcj x86,arm", "-comp lz4 -Xhc", "-comp lzo -Xalgorithm lzo1x_1", "-comp gzip -Xstrategy fixed",
	} {
		t.Run(args, func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "image")
			run := append([]string{"-c", `exec mksquashfs - "$1" -tar -b 4096 -quiet -no-progress -root-uid 7 -root-gid 8 -root-mode 755 -root-time 1 ` + args + ` < "$2"`, "sh"}, image, tarball)
			hosttest.Run(t, "sh", run...)
			if diff := cmp.Diff(describe(t, tr)[1:], describe(t, readBack(t, image).Tree)[1:]); diff != "" { // without the root
				t.Errorf("-written +read:\n%.4000s", diff)
			}
		})
	}
}

// A content is the same wherever reading begins, and for several readers at once. Its holes are known.
func TestReadAt(t *testing.T) {
	tr := varied(t, MinBlock)
	v := readBack(t, writeAs(t, tr, Options{BlockSize: MinBlock}))
	for _, path := range []string{"/noise", "/holes/tail3", "/size/12388"} {
		want, err := tree.ReadAll(tr.Find(path).Blob(), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		r, err := v.Tree.Find(path).Blob().Open()
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for from := 0; from <= len(want); from += 611 {
			group.Go(func() {
				p := make([]byte, 5000)
				n, err := r.ReadAt(p, int64(from))
				if !bytes.Equal(p[:n], want[from:min(len(want), from+5000)]) || (n < len(p)) != (err == io.EOF) {
					t.Errorf("%s from %d: %d bytes, %v", path, from, n, err)
				}
			})
		}
		group.Wait()
	}
	for path, want := range map[string][]tree.Range{
		"/holes/0": nil, "/holes/2": {{Off: 3 * MinBlock, Len: MinBlock}}, "/size/4096": {{Off: 0, Len: MinBlock}},
		"/holes/tail1": {{Off: 0, Len: MinBlock}},
	} {
		if diff := cmp.Diff(want, tree.DataOf(v.Tree.Find(path).Blob())); diff != "" {
			t.Errorf("%s has the data (-want +got):\n%s", path, diff)
		}
	}
}

// A file whose list of blocks is longer than what is in memory of it is read from its end.
func TestReadLarge(t *testing.T) {
	const size = (listStep + 100) * MinBlock
	tr := treeOf(t, tree.NewFile("large", attr(0o644, 1), sparse(size, tree.Range{Off: size - 10, Len: 10})))
	v := readBack(t, writeAs(t, tr, Options{BlockSize: MinBlock}))
	b := v.Tree.Find("/000large").Blob()
	if got := tree.DataOf(b); len(got) != 1 || got[0].End() != size || got[0].Len > MinBlock {
		t.Errorf("the data is %v", got)
	}
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 20)
	if n, err := r.ReadAt(p, size-20); n != 20 || err != nil || bytes.Count(p[10:], []byte{0}) > 0 || bytes.Count(p[:10], []byte{0}) < 10 {
		t.Errorf("%d bytes at the end: %x, %v", n, p, err)
	}
}

// plain and packed are images with one of everything: nothing is compressed in the first.
func testImage(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".squashfs"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// inodeAt returns the offset of an inode in an image without compression.
func inodeAt(t testing.TB, image []byte, path string) int {
	t.Helper()
	v, err := Read(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range v.all().found {
		if v.all().path(n) == path {
			p := v.all().inodes.place(n.ref)
			return int(p.at) + 2 + p.off
		}
	}
	t.Fatalf("no %s", path)
	return 0
}

// listingAt returns the offset of the header of a directory in an image without compression.
func listingAt(t testing.TB, image []byte, path string) int {
	t.Helper()
	at := inodeAt(t, image, path)
	s := parseSuper(image)
	if le.Uint16(image[at:]) == typeDir {
		return int(s.DirTable) + int(le.Uint32(image[at+16:])) + 2 + int(le.Uint16(image[at+26:]))
	}
	return int(s.DirTable) + int(le.Uint32(image[at+24:])) + 2 + int(le.Uint16(image[at+34:]))
}

func TestReadRefuses(t *testing.T) {
	whole := testImage(t, "plain")
	at := func(path string) int { return inodeAt(t, whole, path) }
	root := listingAt(t, whole, "/")
	s := parseSuper(whole)
	for _, c := range []struct {
		want   string
		damage func(b []byte)
	}{
		{"no superblock: magic number", func(b []byte) { b[0] = 'x' }},
		{"version 4.1 is not supported", func(b []byte) { b[30] = 1 }},
		{"version 3.0 is not supported", func(b []byte) { b[28] = 3 }},
		{"compression 2 is not supported", func(b []byte) { b[20] = 2 }},
		{"blocks of 4096 bytes, or 2^13", func(b []byte) { b[22] = 13 }},
		{"blocks of 2048 bytes", func(b []byte) { b[13], b[22] = 8, 11 }},
		{"the region has", func(b []byte) { b[43] = 1 }},
		{"the table of inodes begins at 10", func(b []byte) { le.PutUint64(b[superNode:], 10) }},
		{"the table of directories begins at", func(b []byte) { le.PutUint64(b[72:], 1<<40) }},
		{"table of IDs: ends at", func(b []byte) { le.PutUint64(b[superID:], 1<<50) }},
		{"table of IDs: metadata block at", func(b []byte) { le.PutUint64(b[s.IDTable:], 1<<50) }},
		{"table of fragments: ", func(b []byte) { b[16+2] = 255 }},
		{"the table of extended attributes begins at", func(b []byte) { le.PutUint64(b[superAttr:], 1<<60) }},
		{"extended attributes begin at", func(b []byte) { le.PutUint64(b[s.XattrTable:], 1<<40) }},
		{"\"/\": inode at", func(b []byte) { le.PutUint64(b[superRoot:], 1<<40) }},
		{"the root is a file", func(b []byte) {
			le.PutUint64(b[superRoot:], uint64(at("/whole"))-s.InodeTable-2)
		}},
		{"\"/big\": inode at", func(b []byte) { b[at("/big")] = 15 }},
		{"type 0 is not known", func(b []byte) { b[at("/big")] = 0 }},
		{"\"/dev\": the directory says type 5, the inode is a block device", func(b []byte) { b[at("/dev")] = typeBlock }},
		{"\"/big\": owner 9 of 3", func(b []byte) { b[at("/big")+inodeUID] = 9 }},
		{"\"/big\": extended attributes 9 of 4", func(b []byte) { b[at("/big")+52] = 9 }},
		{"\"/big\": size of", func(b []byte) { b[at("/big")+31] = 255 }},
		{"\"/big\": content at", func(b []byte) { b[at("/big")+23] = 255 }},
		{"\"/owned\": fragment 9 of 1", func(b []byte) { b[at("/owned")+44] = 9 }},
		{"of a fragment are not within a block", func(b []byte) { le.PutUint32(b[at("/owned")+48:], 4096) }},
		{"symlink target of 65542 bytes", func(b []byte) { b[at("/symlink")+22] = 1 }},
		{"symlink target \"tar\\x00et\" holds a NUL", func(b []byte) { b[at("/symlink")+24+3] = 0 }},
		{"symlink target is empty", func(b []byte) { b[at("/symlink")+20] = 0 }},
		{"directory of 2 bytes", func(b []byte) { le.PutUint16(b[at("/a/dir")+24:], 2) }},
		{"header with 4294967296 entries", func(b []byte) { le.PutUint32(b[root:], 1<<32-1) }},
		{"name of 257 bytes", func(b []byte) { b[root+dirHeader+7] = 1 }},
		{"has the type 9", func(b []byte) { b[root+dirHeader+4] = 9 }},
		{"name \"b/g\"", func(b []byte) { b[bytes.Index(b[root:], []byte("big"))+root+1] = '/' }},
		{"name \"aig\" comes after \"b\"", func(b []byte) {
			b[root+dirHeader+dirEntry] = 'b'
			b[bytes.Index(b[root:], []byte("big"))+root] = 'a'
		}},
		{"the directory has a second name", func(b []byte) {
			dir := listingAt(t, whole, "/a")
			copy(b[dir+4:], b[root+4:root+8]) // the block of the inodes
			le.PutUint16(b[dir+dirHeader:], le.Uint16(whole[superRoot:]))
		}},
	} {
		b := bytes.Clone(whole)
		c.damage(b)
		if _, err := Read(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, not %q", err, c.want)
		}
	}
	for _, size := range []int64{0, 95, 96, 4096} {
		if _, err := Read(bytes.NewReader(whole), size); err == nil {
			t.Errorf("%d bytes of the image were taken", size)
		}
	}
	if _, err := Read(bytes.NewReader(whole[:20_000]), int64(len(whole))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an image that ends early: %v", err)
	}
}

// Blocks that are damaged are errors when they are read.
func TestContentRefuses(t *testing.T) {
	for _, c := range []struct {
		image, path, want string
		damage            func(b []byte, inode int)
	}{
		{"plain", "/big", "block of 8192 bytes, 4096 are allowed", func(b []byte, at int) { le.PutUint32(b[at+56:], plainBlock|8192) }},
		{"plain", "/big", "has 4095 bytes when unpacked, not 4096", func(b []byte, at int) { le.PutUint32(b[at+56:], plainBlock|4095) }},
		{"plain", "/big", "zlib", func(b []byte, at int) { le.PutUint32(b[at+56:], 4096) }},
		{"plain", "/big", "not within the file system", func(b []byte, at int) { le.PutUint64(b[at+16:], parseSuper(b).BytesUsed-100) }},
		{"plain", "/owned", "when unpacked, not", func(b []byte, at int) { le.PutUint32(b[at+48:], 4000) }},
	} {
		b := testImage(t, c.image)
		c.damage(b, inodeAt(t, b, c.path))
		v, err := Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Errorf("%s: %v", c.want, err)
			continue
		}
		if _, err := tree.ReadAll(v.Tree.Find(c.path).Inode().Blob(), 1<<20); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, not %q", c.path, err, c.want)
		}
	}
}

// Directories that share one list of entries have more bytes together than their table.
func TestReadOverlap(t *testing.T) {
	whole := testImage(t, "plain")
	many, a := inodeAt(t, whole, "/many"), inodeAt(t, whole, "/a/dir")
	// /a/dir gets the entries of /many, whose inodes are one file.
	le.PutUint32(whole[a+16:], le.Uint32(whole[many+24:]))
	le.PutUint16(whole[a+26:], le.Uint16(whole[many+34:]))
	le.PutUint16(whole[a+24:], uint16(le.Uint32(whole[many+20:])))
	if _, err := Read(bytes.NewReader(whole), int64(len(whole))); !errors.Is(err, fault.ErrOverlap) {
		t.Errorf("got %v", err)
	}
}

// Metadata that unpacks to more than it may is not read further.
func TestReadTooMuch(t *testing.T) {
	b := testImage(t, "packed")
	r, err := newReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	r.room = metadataSize
	if _, err := r.node("", r.super.RootInode, 0); !errors.Is(err, errTooMuch) {
		t.Errorf("got %v", err)
	}
}

// FuzzRead changes some bytes of an image. Whatever is read has contents of the size that they say, or an error; what Read refuses has a fault; every byte
// is explained.
func FuzzRead(f *testing.F) {
	images := [][]byte{testImage(f, "plain"), testImage(f, "packed")}
	for i, b := range images {
		s := parseSuper(b)
		for _, at := range []uint64{0, s.InodeTable, s.DirTable, s.FragTable, s.IDTable, s.XattrTable, 96} {
			f.Add(i == 0, []byte{byte(at), byte(at >> 8), 1, 2, 255, 1})
		}
	}
	hosttest.Fuzz(f, func(t *testing.T, first bool, patches []byte) {
		b := bytes.Clone(images[0])
		if !first {
			b = bytes.Clone(images[1])
		}
		for ; len(patches) >= 6; patches = patches[6:] { // two bytes of offset, four of content
			copy(b[(int(patches[0])|int(patches[1])<<8)%len(b):], patches[2:6])
		}
		faults := 0
		v, err := Inspect(bytes.NewReader(b), int64(len(b)), func(fault.Fault) { faults++ })
		if err != nil {
			if faults == 0 {
				t.Fatalf("%v, and no fault", err)
			}
			return
		}
		for off := int64(0); off < v.Size; off += 3001 {
			if v.Explain(off) == "" {
				t.Fatalf("byte %d is not explained", off)
			}
		}
		for path, n := range v.Tree.Walk() {
			if n.Kind() != tree.File || n.Size() > 1<<16 {
				continue
			}
			if p, err := tree.ReadAll(n.Blob(), 1<<16); err == nil && int64(len(p)) != n.Size() {
				t.Fatalf("%s has %d bytes, not %d", path, len(p), n.Size())
			}
		}
	})
}
