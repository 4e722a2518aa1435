package erofs

import (
	"fmt"
	"io"
	"strings"

	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

// zeros is a blob of zeros that is not sparse, as long as its value in bytes; tests do not write it.
type zeros = partitiontest.Zeros

// holey is a sparse blob: the first count of every step bytes are data.
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

// file returns a file of size bytes. Files of different sizes have different contents.
func file(size int) *tree.Node {
	pattern := fmt.Sprintf("%d bytes of a file ", size)
	return tree.NewFile("", plain, tree.Text(strings.Repeat(pattern, size/len(pattern)+1)[:size]))
}

func at(sec int64, nsec uint32) *tree.Attr {
	return &tree.Attr{Mode: 0o644, Mtime: tree.Time{Sec: sec, Nsec: nsec}}
}

func withXattrs(pairs ...string) *tree.Attr {
	a := &tree.Attr{Mode: 0o644, Mtime: plain.Mtime}
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

// dirOf returns a directory whose entries and names take size bytes, "." and ".." included.
func dirOf(size int) *tree.Node {
	var files []*tree.Node
	for size -= 2*direntSize + 3; size > 0; {
		n := min(size-direntSize, 200)
		if rest := size - direntSize - n; rest > 0 && rest < direntSize+9 {
			n -= direntSize + 9
		}
		name := fmt.Sprintf("%08d", len(files))
		files = append(files, tree.NewFile(name+strings.Repeat("n", n-len(name)), plain, tree.Text("")))
		size -= direntSize + n
	}
	return tree.NewDir("", plain, files)
}

// everything returns a tree with nodes of all kinds, and of the sizes at which their form changes.
func everything(t tb) *tree.Tree {
	linked := file(5000)
	nodes := map[string]*tree.Node{
		"/a-link": tree.NewLink("", linked), "/dir/linked": linked, "/dir/z-link": tree.NewLink("", linked),
		"/dir/deep/er/and/deeper": file(10), "/dir/empty": tree.NewDir("", plain, nil),
		"/set-uid":  tree.NewFile("", &tree.Attr{Mode: 0o6755, UID: 70000, GID: 1 << 31}, tree.Text("x")),
		"/ids":      tree.NewFile("", &tree.Attr{Mode: 0o600, UID: 65535, GID: 65535, Mtime: plain.Mtime}, tree.Text("x")),
		"/more-ids": tree.NewFile("", &tree.Attr{Mode: 0o600, UID: 5, GID: 65536, Mtime: plain.Mtime}, tree.Text("x")),
		"/tmp":      tree.NewDir("", &tree.Attr{Mode: 0o1777, UID: 65536, GID: 65535}, nil),
		"/null":     tree.NewDevice("", at(5, 6), tree.CharDevice, tree.Device{Major: 1, Minor: 3}),
		"/nvme":     tree.NewDevice("", at(epoch, 0), tree.BlockDevice, tree.Device{Major: 259, Minor: 70000}),
		"/last":     tree.NewDevice("", at(5, 6), tree.BlockDevice, tree.Device{Major: 4095, Minor: 1<<20 - 1}),
		"/fifo":     tree.NewSpecial("", at(5, 6), tree.Fifo), "/socket": tree.NewSpecial("", at(5, 6), tree.Socket),
		"/acl":           tree.NewFile("", withXattrs("system.posix_acl_access", acl), tree.Text("x")),
		"/acl-dir":       tree.NewDir("", withXattrs("system.posix_acl_access", acl, "system.posix_acl_default", acl), nil),
		"/ping":          tree.NewFile("", withXattrs("security.capability", capability), tree.Text("x")),
		"/no-value":      tree.NewFile("", withXattrs("user.empty", ""), tree.Text("x")),
		"/xattr-symlink": tree.NewSymlink("", withXattrs("trusted.x", strings.Repeat("v", 300)), "short"),
		"/holes":         tree.NewFile("", plain, &holey{size: 50_001, step: 8192, count: 100}),
		"/all-hole":      tree.NewFile("", plain, &holey{size: 1<<22 + 5, step: 1 << 23, count: 0}),
		"/large":         file(3_000_000),
		"/beyond-4GiB":   tree.NewFile("", plain, &holey{size: 5<<30 + 7, step: 5<<30 - 3, count: 4}),
		"/dots/!before":  file(1), "/dots/..after": file(2), "/dots/.!between": file(3), "/dots/.a": file(4),
		"/" + strings.Repeat("n", 255): file(1), "/\xff\xfe\n\t invalid UTF-8 \x80": file(1), "/пример": file(1),
	}
	for _, sec := range []int64{-1 << 40, -1 << 31, -1, 0, 1<<31 - 1, 1 << 31, 1 << 32, 1 << 40} {
		nodes[fmt.Sprintf("/time/%d", sec)] = tree.NewFile("", at(sec, 999_999_999), tree.Text(""))
	}
	for _, n := range []int{0, 1, 3071, 3072, 3073, 4063, 4064, 4065, 4095, 4096, 4097, 7168, 7169, 8191, 8192, 8193} {
		nodes[fmt.Sprintf("/file/%d", n)] = file(n)
	}
	for _, n := range []int{1, 59, 4063, 4064, 4065, 4095} {
		nodes[fmt.Sprintf("/symlink/%d", n)] = tree.NewSymlink("", plain, strings.Repeat("a/", n)[:n])
	}
	for _, n := range []int{4063, 4064, 4065, 4095, 4096, 4097, 8160, 8192, 8200, 50_000} {
		nodes[fmt.Sprintf("/names/%d", n)] = dirOf(n)
	}
	for _, n := range []int{1, 2, 3, 4, 1000, 4052, 4096, 65535} {
		value := strings.Repeat("v", n)
		nodes[fmt.Sprintf("/xattr/%d", n)] = tree.NewFile("", withXattrs("user.one", value, "user.two", fmt.Sprint(n)), tree.Text("x"))
		nodes[fmt.Sprintf("/xattr/same-%d", n)] = tree.NewDir("", withXattrs("user.one", value), nil)
		nodes[fmt.Sprintf("/xattr/own-%d", n)] = tree.NewFile("", withXattrs("trusted.own", value[1:]+"w"), tree.Text(value))
	}
	same := tree.Text(strings.Repeat("same", 2500))
	for i := range 3 {
		nodes[fmt.Sprint("/same/", i)] = tree.NewFile("", plain, same)
	}
	nodes["/same/other"] = tree.NewFile("", withXattrs("user.x", strings.Repeat("y", 3000)), same) // no room for the tail
	return build(t, nodes)
}

// contentOf returns the content of a blob, or its first and last MiB.
func contentOf(t tb, b tree.Blob) []byte {
	t.Helper()
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := min(1<<20, b.Size())
	all := make([]byte, 2*n)
	for i, at := range []int64{0, max(0, b.Size()-1<<20)} {
		if k, err := r.ReadAt(all[int64(i)*n:int64(i+1)*n], at); int64(k) < n {
			t.Fatalf("%d bytes at %d of %d: %v", k, at, b.Size(), err)
		}
	}
	return all
}
