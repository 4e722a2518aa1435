package ext4

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

// zeros is a blob of zeros that is not sparse, as long as its value in bytes; tests do not write it.
type zeros = partitiontest.Zeros

// A holey is a sparse file: the first count bytes of every step are data.
type holey struct{ size, step, count int64 }

func (h *holey) Size() int64                { return h.size }
func (h *holey) Open() (tree.Reader, error) { return h, nil }
func (h *holey) Close() error               { return nil }

func (h *holey) Data() (data []tree.Range) {
	for off := int64(0); off < h.size; off += h.step {
		data = append(data, tree.Range{Off: off, Len: min(h.count, h.size-off)})
	}
	return data
}

func (h *holey) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), max(0, h.size-off)))
	clear(p[:n])
	for i := range p[:n] {
		if at := (off + int64(i)) % h.step; at < h.count {
			p[i] = byte(1 + (off+int64(i))/h.step%255)
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func file(size int) *tree.Node {
	return tree.NewFile("", plain, tree.Text(strings.Repeat("some bytes of a file ", size/21+1)[:size]))
}

// fragments returns a sparse file of n pieces, each of which needs an extent.
func fragments(n, blockSize int64) *tree.Node {
	return tree.NewFile("", plain, &holey{size: n*2*blockSize - blockSize - 3, step: 2 * blockSize, count: blockSize})
}

func at(sec int64, nsec uint32) *tree.Attr {
	return &tree.Attr{Mode: 0o644, Mtime: tree.Time{Sec: sec, Nsec: nsec}}
}

func withXattrs(pairs ...string) *tree.Attr {
	a := &tree.Attr{Mode: 0o644}
	for i := 0; i < len(pairs); i += 2 {
		a.Xattrs = append(a.Xattrs, tree.Xattr{Name: pairs[i], Value: []byte(pairs[i+1])})
	}
	return a
}

// acl is an access control list as getxattr returns it: owner, user 1000, owning group, group 70000, mask, other.
const acl = "\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\xe8\x03\x00\x00" + "\x04\x00\x04\x00\xff\xff\xff\xff" +
	"\x08\x00\x05\x00\x70\x11\x01\x00" + "\x10\x00\x05\x00\xff\xff\xff\xff" + "\x20\x00\x04\x00\xff\xff\xff\xff"

// capability is cap_net_raw+ep of revision 2.
const capability = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// everything returns a tree with nodes of all kinds, and of the sizes at which their form changes.
func everything(t tb, blockSize int64) *tree.Tree {
	linked := file(5000)
	nodes := map[string]*tree.Node{
		"/empty": file(0), "/one": file(1), "/block": file(int(blockSize)), "/block-and-one": file(int(blockSize) + 1), "/some": file(300_000),
		"/a-link": tree.NewLink("", linked), "/dir/linked": linked, "/dir/z-link": tree.NewLink("", linked),
		"/dir/deep/er/and/deeper": file(10),
		"/set-uid":                tree.NewFile("", &tree.Attr{Mode: 0o6755, UID: 70000, GID: 1 << 31}, tree.Text("x")),
		"/tmp":                    tree.NewDir("", &tree.Attr{Mode: 0o1777, UID: 65536, GID: 65535}, nil),
		"/null":                   tree.NewDevice("", at(5, 6), tree.CharDevice, tree.Device{Major: 1, Minor: 3}),
		"/nvme":                   tree.NewDevice("", at(5, 6), tree.BlockDevice, tree.Device{Major: 259, Minor: 70000}),
		"/last":                   tree.NewDevice("", at(5, 6), tree.BlockDevice, tree.Device{Major: 4095, Minor: 1<<20 - 1}),
		"/fifo":                   tree.NewSpecial("", at(5, 6), tree.Fifo),
		"/socket":                 tree.NewSpecial("", at(5, 6), tree.Socket),
		"/acl":                    tree.NewFile("", withXattrs(aclAccess, acl), tree.Text("x")),
		"/acl-dir":                tree.NewDir("", withXattrs(aclAccess, acl, aclDefault, acl), nil),
		"/ping":                   tree.NewFile("", withXattrs("security.capability", capability), tree.Text("x")),
		"/no-value":               tree.NewFile("", withXattrs("user.empty", ""), tree.Text("x")),
		"/xattr-symlink":          tree.NewSymlink("", withXattrs("trusted.x", strings.Repeat("v", 300)), "short"),
		"/holes":                  fragments(3, blockSize), "/more-holes": fragments(90, blockSize),
		"/all-hole":                        tree.NewFile("", plain, &holey{size: 1 << 22, step: 1 << 23, count: 0}),
		"/" + strings.Repeat("n", 255):     file(1),
		"/\xff\xfe\n\t invalid UTF-8 \x80": file(1),
		"/пример":                          file(1),
	}
	for _, sec := range []int64{minTime, -1, 0, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, maxTime} {
		nodes[fmt.Sprintf("/time/%d", sec)] = tree.NewFile("", at(sec, 999_999_999), tree.Text(""))
	}
	for _, n := range []int{1, 59, 60, 61, int(blockSize) - 1} {
		nodes[fmt.Sprintf("/symlink/%d", n)] = tree.NewSymlink("", plain, strings.Repeat("a/", n)[:n])
	}
	for _, n := range []int{1, 60, 64, 65, 68, 69, 500, int(blockSize) - 200} {
		value := strings.Repeat("v", n)
		nodes[fmt.Sprintf("/xattr/%d", n)] = tree.NewFile("", withXattrs("user.one", value), tree.Text("x"))
		nodes[fmt.Sprintf("/xattr/same-%d", n)] = tree.NewFile("", withXattrs("user.one", value), tree.Text("x"))
		nodes[fmt.Sprintf("/xattr/several-%d", n)] = tree.NewDir("", withXattrs(
			"security.x", "short", "trusted.name", "", "user.a", "1", "user.bb", value, "user.c", "some more", "user.xyz", "end"), nil)
	}
	return build(t, nodes)
}

func TestEveryKind(t *testing.T) {
	t.Parallel()
	for _, blockSize := range []int64{1024, 2048, 4096} {
		for _, features := range []string{"", "^metadata_csum", "^64bit", "^64bit ^metadata_csum ^flex_bg", "^resize_inode ^has_journal", "^dir_index",
			"^flex_bg", "^huge_file ^dir_nlink ^extra_isize"} {
			t.Run(fmt.Sprintf("%d%s", blockSize, features), func(t *testing.T) {
				tr := everything(t, blockSize)
				o := testOptions()
				o.BlockSize, o.Features, o.Free = blockSize, strings.Fields(features), 10<<20
				image := checked(t, plan(t, tr, o))
				compareMounted(t, mounted(t, image), tr)
			})
		}
	}
}

// The blocks of equal attributes are shared, by 1024 inodes at most.
func TestSharedXattrBlock(t *testing.T) {
	nodes := map[string]*tree.Node{}
	for i := range 2500 {
		nodes[fmt.Sprint("/f", i)] = tree.NewFile("", withXattrs("user.x", strings.Repeat("y", 1000)), tree.Text(""))
	}
	p := plan(t, build(t, nodes), testOptions())
	if n := len(p.xattrs.blocks); n != 3 {
		t.Errorf("2500 inodes share %d blocks", n)
	}
	checked(t, p)
}

// The tree may have a lost+found of its own.
func TestOwnLostFound(t *testing.T) {
	for name, nodes := range map[string]map[string]*tree.Node{
		"empty": {"/lost+found": tree.NewDir("", &tree.Attr{Mode: 0o755, UID: 3}, nil), "/zz": file(3)},
		"full":  {"/lost+found/file": file(3), "/aa": file(4), "/zz": tree.NewDir("", plain, nil)},
		"large": {"/lost+found": tree.NewDir("", plain, manyFiles(3000)), "/aa": file(4)},
	} {
		t.Run(name, func(t *testing.T) {
			tr := build(t, nodes)
			image := checked(t, plan(t, tr, testOptions()))
			if out := debugfs(t, image, "stat lost+found"); !strings.Contains(out, "Inode: 11 ") {
				t.Errorf("lost+found is\n%s", out)
			}
			compareMounted(t, mounted(t, image), tr)
		})
	}
	tr := build(t, map[string]*tree.Node{"/lost+found": file(1)})
	if _, err := New(tr, testOptions()); err == nil || !strings.Contains(err.Error(), "/lost+found: is a file") {
		t.Errorf("a file lost+found: %v", err)
	}
}

func manyFiles(n int) (files []*tree.Node) {
	for i := range n {
		files = append(files, tree.NewFile(fmt.Sprintf("file-%d", i), plain, tree.Text("")))
	}
	return files
}

// debugfs reads back files and a symlink with blocks, also on machines that cannot mount.
func TestDebugfsReadsBack(t *testing.T) {
	nodes := map[string]*tree.Node{"/dir/file": file(200_000), "/dir/holes": fragments(400, 4096), "/long": tree.NewSymlink("", plain, strings.Repeat("x", 100))}
	image := checked(t, plan(t, build(t, nodes), testOptions()))
	for path, n := range map[string]*tree.Node{"/dir/file": nodes["/dir/file"], "/dir/holes": nodes["/dir/holes"]} {
		r, _ := n.Blob().Open()
		want := make([]byte, n.Size())
		if _, err := r.ReadAt(want, 0); err != nil {
			t.Fatal(err)
		}
		if got := debugfs(t, image, "cat "+path); !bytes.Equal([]byte(got), want) {
			t.Errorf("%s: %d bytes differ from the %d that it has", path, len(got), len(want))
		}
	}
	if out := debugfs(t, image, "stat /long"); !strings.Contains(out, "Size: 100") {
		t.Errorf("symlink:\n%s", out)
	}
}
