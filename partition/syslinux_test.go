package partition

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/fault"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/partition/fat"
)

// SYSLINUX goes to the volume that is its own, wherever that lies in the file, and leaves what is around it alone; the same twice.
func TestSyslinux(t *testing.T) {
	hosttest.Need(t, "syslinux", "mcopy", "fsck.fat")
	b := tree.NewBuilder(&tree.Attr{Mode: 0o755})
	if err := b.Add("/syslinux/syslinux.cfg", tree.NewFile("", &tree.Attr{Mode: 0o644}, tree.Text("DEFAULT x\n")), ""); err != nil {
		t.Fatal(err)
	}
	root, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	const offset = 3 * units.MiB
	spec := Spec{Filesystem: "fat", Syslinux: true, SectorSize: 512, Serial: 1, Offset: offset, Tree: root, Epoch: 1}
	m, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	install := func(name string) []byte {
		path := filepath.Join(t.TempDir(), name)
		around := bytes.Repeat([]byte{0xaa}, int(offset+m.Size()+units.MiB))
		clear(around[offset : offset+m.Size()])
		if err := os.WriteFile(path, around, 0o600); err != nil {
			t.Fatal(err)
		}
		fill(t, m.(HostMade), root, path, offset)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	disk := install("one")
	if !bytes.Equal(disk, install("two")) {
		t.Error("two installations differ")
	}
	for i, c := range disk {
		if (int64(i) < offset || int64(i) >= offset+m.Size()) && c != 0xaa {
			t.Fatalf("byte %d, outside of the region, was written", i)
		}
	}
	volume := filepath.Join(t.TempDir(), "volume")
	if err := os.WriteFile(volume, disk[offset:offset+m.Size()], 0o600); err != nil {
		t.Fatal(err)
	}
	sound(t, volume)
	if !bytes.Contains(disk[offset:offset+512], []byte("SYSLINUX")) {
		t.Error("the boot sector is not SYSLINUX's")
	}

	spec.Size = 64 * units.KiB
	var small *DoesNotFit
	if _, err := New(spec); !errors.As(err, &small) {
		t.Errorf("a volume without room for SYSLINUX: %v", err)
	}
}

// The backup of the boot sector, which only FAT32 has, is SYSLINUX's too.
func TestSyslinuxBackup(t *testing.T) {
	hosttest.Need(t, "syslinux", "mcopy", "fsck.fat")
	root, err := tree.NewBuilder(&tree.Attr{Mode: 0o755}).Tree()
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(Spec{Filesystem: "fat", FATBits: 32, Syslinux: true, SectorSize: 512, Tree: root})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "volume")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, m.Size()); err != nil {
		t.Fatal(err)
	}
	fill(t, m.(HostMade), root, path, 0)
	sound(t, path)
}

// sound fails the test if fsck.fat or the reader finds a fault in a volume.
func sound(t *testing.T, path string) {
	t.Helper()
	if out := hosttest.Run(t, "fsck.fat", "-n", path); strings.Contains(string(out), "differences") {
		t.Errorf("%s", out)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	v, err := fat.Read(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	v.Check(func(found fault.Fault) { t.Error(found) })
}

// fill fills a region with a tree.
func fill(t *testing.T, m HostMade, root *tree.Tree, file string, offset int64) {
	t.Helper()
	w, err := m.Fill(t.Context(), file, offset)
	if err != nil {
		t.Fatal(err)
	}
	for path, n := range root.Walk() {
		if err := w.Add(path, n, func(to io.Writer) error { return tree.Copy(t.Context(), to, n.Inode().Blob(), nil) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
