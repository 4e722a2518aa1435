package iso9660

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/demostore/demotest"
	"imprint/internal/hosttest"
	"imprint/internal/qemutest"
	"imprint/internal/tree"

	"pgregory.net/rapid"
)

// guestInit lists two file systems on a third disk: the root, and the partition of a second disk with the same image.
const guestInit = `#!/bin/busybox sh
export LC_ALL=C
b=/bin/busybox
list() {
	cd "$1" || exit 1
	$b find . -print0 | $b sort -z | $b xargs -0 $b stat -c '%f %u %g %Y %s %h %t:%T %N'
	$b find . -type f ! -name large -print0 | $b sort -z | $b xargs -0 $b sha256sum
	$b dd if=large bs=2048 skip=2097150 count=3 2> /dev/null | $b sha256sum
	cd /
}
$b mount -t iso9660 -o ro /dev/vdb1 /mnt || exit 1
{ list /test; list /mnt/test; echo end; } | $b dd of=/dev/vdc bs=1M 2> /dev/null
$b sync
echo "imprint: ready"
$b poweroff -f
`

// A Linux kernel reads the image as it was laid out: every name, kind, attribute, link count, size, target and content.
func TestKernelReads(t *testing.T) {
	t.Parallel()
	hosttest.Need(t, "qemu-system-x86_64")
	parts := demotest.Need(t)
	dir := t.TempDir()
	if err := parts.Write(filepath.Join(dir, "system")); err != nil {
		t.Fatal(err)
	}
	busybox, err := os.ReadFile(parts.Busybox)
	if err != nil {
		t.Fatal(err)
	}
	tr := guestTree(t, string(busybox))
	p := plan(t, tr, testOptions())
	image, listed := write(t, p), filepath.Join(dir, "listed")
	putPartition(t, image, p)
	if err := os.WriteFile(listed, make([]byte, 64<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	qemutest.Boot(t, qemutest.Options{
		Image: image, Mode: "bios", Marker: "^imprint: ready$", Bad: "imprint: FAIL", PowerOff: true,
		Args: []string{
			"-kernel", filepath.Join(dir, "system/linux/bzImage"), "-initrd", filepath.Join(dir, "system/initrd/initrd"),
			"-append", "console=ttyS0 panic=-1 quiet root=/dev/vda ro init=/init", "-drive", "if=virtio,format=raw,readonly=on,file=" + image, "-drive", "if=virtio,format=raw,file=" + listed,
		},
	})
	got, err := os.ReadFile(listed)
	if err != nil {
		t.Fatal(err)
	}
	once := guestList(t, p, tr.Find("/test"))
	compareText(t, string(bytes.TrimRight(got, "\x00")), once+once+"end\n")
}

func guestTree(t testing.TB, busybox string) *tree.Tree {
	marks := []int64{4<<30 - 4096, 4<<30 - 2056, 4 << 30}
	nodes := map[string]*tree.Node{
		"/init": tree.NewFile("", plain, tree.Text(guestInit)), "/bin/busybox": tree.NewFile("", plain, tree.Text(busybox)),
		// Kernels before 6.16 keep times in 32 bits (fs/isofs/util.c, iso_date).
		"/test":       tree.NewDir("", plain, all(t, math.MinInt32, math.MaxInt32).Root().Children()),
		"/test/large": tree.NewFile("", plain, tree.Sparse(vastBlob{4<<30 + 5000, &marks}, []tree.Range{{Off: 4<<30 - 4096, Len: 8192}})),
		// Linux reads the number in two halves.
		"/test/far": tree.NewDevice("", plain, tree.BlockDevice, tree.Device{Major: 259, Minor: maxMinor}),
	}
	trees := rapid.Custom(func(t *rapid.T) *tree.Tree { return (&drawer{t: t, first: math.MinInt32, last: math.MaxInt32}).tree() })
	for i := range 20 {
		nodes[fmt.Sprint("/test/random ", i)] = trees.Example(i).Root()
	}
	for _, dir := range []string{"dev", "proc", "sys", "mnt"} {
		nodes["/"+dir] = tree.NewDir("", plain, nil)
	}
	return build(t, nodes)
}

// putPartition writes an MBR with the ISO's own partition.
func putPartition(t testing.TB, image string, p *Plan) {
	f, err := os.OpenFile(image, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	entry := make([]byte, 66)
	entry[4], entry[64], entry[65] = 0x83, 0x55, 0xaa
	start := p.options.PartitionOffset * (block / bootSector)
	binary.LittleEndian.PutUint32(entry[8:], uint32(start))
	binary.LittleEndian.PutUint32(entry[12:], uint32(p.Size()/bootSector-start))
	if _, err := f.WriteAt(entry, 446); err != nil {
		t.Fatal(err)
	}
}

// guestList returns the lines that the guest should list for a directory.
func guestList(t testing.TB, p *Plan, top *tree.Node) string {
	var paths []string
	nodes := map[string]*tree.Node{}
	for path, n := range tree.Walk(".", top) {
		paths, nodes[path] = append(paths, path), n
	}
	slices.Sort(paths)
	var b strings.Builder
	for _, path := range paths {
		n := nodes[path].Inode()
		a, size, name := n.Attr, n.Size(), path
		if n.Kind() == tree.Dir {
			size = p.dir(int32(n.ID())).size()
		}
		if n.Kind() == tree.Symlink {
			name = fmt.Sprintf("'%s' -> '%s'", path, n.Target())
		}
		fmt.Fprintf(&b, "%x %d %d %d %d %d %x:%x %s\n", typeOf[n.Kind()]|uint32(a.Mode), a.UID, a.GID, a.Mtime.Sec, size, p.hardLinks(n), n.Device().Major, n.Device().Minor, name)
	}
	for _, path := range paths {
		if n := nodes[path].Inode(); n.Kind() == tree.File && path != "./large" {
			fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(contentUpTo(t, n, n.Size())), path)
		}
	}
	r, _ := nodes["./large"].Blob().Open()
	part := make([]byte, 3*2048)
	if _, err := r.ReadAt(part, 2097150*2048); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "%x  -\n", sha256.Sum256(part))
	return b.String()
}

// compareText fails the test at the first line in which two texts differ.
func compareText(t testing.TB, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	if len(g) != len(w) {
		t.Errorf("%d lines, not %d", len(g), len(w))
	}
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("line %d is\n%.600q\nnot\n%.600q", i+1, g[i], w[i])
		}
	}
}
