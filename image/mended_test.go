package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

const kernelOnly = `
[[closure]]
name = "system"
roots = ["%s"]
[boot]
loader = "systemd-boot"
[[boot.entry]]
title = "test"
kernel = "%s"
initrd = ["${closure.system}/a/initrd", "${closure.system}/b/initrd"]
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
closures = ["system"]
`

// Boot files may be equal to others of their item, which makes them hard links, and may have the same last name.
func TestBootFilesWithTwins(t *testing.T) {
	w := newWorld(t)
	system := w.item("system", nil, map[string]string{
		"bzImage": "MZ kernel", "vmlinuz": "MZ kernel", "a/initrd": "first", "b/initrd": "second",
		"aaa/copy.efi": "EFI", "lib/systemd/boot/efi/systemd-bootx64.efi": "EFI",
	})
	w.file("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "the host's")
	p, err := w.plan(fmt.Sprintf(kernelOnly, system, "${closure.system}/vmlinuz"))
	if err != nil {
		t.Fatal(err)
	}
	disk, _, _ := build(t, p, WriteOptions{})
	if bytes.Contains(disk, []byte("the host's")) {
		t.Error("the loader is the host's, though the closure has one")
	}
	base := filepath.Base(system)
	for _, name := range []string{base + "-vmlinuz", base + "-initrd", base + "-initrd-2"} {
		if p.Partitions[0].Spec.Tree.Find("/EFI/imprint/"+name) == nil {
			t.Errorf("the ESP has no %s", name)
		}
	}
}

// Kernels of the host count with their content, wherever they lie.
func TestIdentityOfHostKernels(t *testing.T) {
	seed := func(path, content string) string {
		w := newWorld(t)
		system := w.item("system", nil, map[string]string{"a/initrd": "first", "b/initrd": "second"})
		w.file("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "EFI")
		w.file(path, "MZ"+content)
		p, err := w.plan(fmt.Sprintf(kernelOnly, system, path))
		if err != nil {
			t.Fatal(err)
		}
		return p.Seed.String()
	}
	if first := seed("k1/bz", "x"); first == seed("k1/bz", "y") || first != seed("k2/bz", "x") {
		t.Error("the seed depends on the path of a kernel and not on its content")
	}
}

// Both engines take files out of an archive, and sparse files of the host.
func TestArchiveWithBothEngines(t *testing.T) {
	for _, engine := range []string{"native", "mke2fs"} {
		if engine == "mke2fs" {
			hosttest.Need(t, "mke2fs", "debugfs", "e2fsck")
		}
		w := newWorld(t)
		var archive bytes.Buffer
		tw := tar.NewWriter(&archive)
		if err := tw.WriteHeader(&tar.Header{Name: "etc/file", Mode: 0o640, Uid: 7, Size: 17}); err != nil {
			t.Fatal(err)
		}
		tw.Write([]byte("out of an archive"))
		tw.Close()
		w.file("tree.tar", archive.String())
		w.file("sparse", "begin")
		if err := os.Truncate(filepath.Join(w.dir, "sparse"), 50<<20); err != nil {
			t.Fatal(err)
		}
		p, err := w.plan(fmt.Sprintf("[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\nengine = %q\n"+
			"[[partition.tree]]\nsource = \"tree.tar\"\n[[partition.file]]\npath = \"/sparse\"\nsource = \"sparse\"\n", engine))
		if err != nil {
			t.Fatal(err)
		}
		disk, _, _ := build(t, p, WriteOptions{})
		if !bytes.Contains(disk, []byte("out of an archive")) || !bytes.Contains(disk, []byte("begin")) {
			t.Errorf("%s: the contents are not on the disk", engine)
		}
		if engine == "native" && len(disk) > 20<<20 {
			t.Errorf("a disk of %d bytes for a file that is a hole", len(disk))
		}
		if label := p.Partitions[0].Spec.Label; label != "test-root" {
			t.Errorf("label %q", label)
		}
	}
}

// A size that is not the registered one is found, whatever the hash says.
func TestNARSizeIsVerified(t *testing.T) {
	w := newWorld(t)
	item := w.item("item", nil, map[string]string{"file": "x"})
	p, err := w.plan(fmt.Sprintf("[[closure]]\nname = \"c\"\nroots = [%q]\n[[partition]]\nname = \"root\"\ntype = \"root\"\n"+
		"filesystem = \"ext4\"\nclosures = [\"c\"]\n", item))
	if err != nil {
		t.Fatal(err)
	}
	p.Items[0].Info.NARSize += 8
	l, err := p.Layout()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err = p.Write(context.Background(), f, l, WriteOptions{}); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), item) {
		t.Errorf("Write gave %v", err)
	}
}

// Items that are registered and not there are told all at once, with who refers to them.
func TestItemsThatAreGone(t *testing.T) {
	w := newWorld(t)
	a, b := w.item("a", nil, map[string]string{"f": "a"}), w.item("b", nil, map[string]string{"f": "b"})
	top := w.item("top", []string{a, b}, map[string]string{"f": "top"})
	for _, path := range []string{a, b} {
		if err := os.RemoveAll(w.dir + "/store" + path); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.plan(fmt.Sprintf("[[closure]]\nname = \"c\"\nroots = [%q]\n[[partition]]\nname = \"root\"\ntype = \"root\"\n"+
		"filesystem = \"ext4\"\nclosures = [\"c\"]\n", top))
	for _, path := range []string{a, b} {
		if err == nil || !strings.Contains(err.Error(), path+" is registered, but") || !strings.Contains(err.Error(), "referred to by "+top) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
