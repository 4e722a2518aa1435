package partition

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/internal/units"
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
	hosttest.Run(t, "fsck.fat", "-n", volume)
	if !bytes.Contains(disk[offset:offset+512], []byte("SYSLINUX")) {
		t.Error("the boot sector is not SYSLINUX's")
	}

	spec.Size = 64 * units.KiB
	var small *DoesNotFit
	if _, err := New(spec); !errors.As(err, &small) {
		t.Errorf("a volume without room for SYSLINUX: %v", err)
	}
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
