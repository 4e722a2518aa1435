package host_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/image/imagetest"
)

const fromTar = `
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
[[partition.tree]]
source = "%SOURCE%"
exclude = ["/proc/*"]
`

// An archive makes the same image whether it is compressed or not, and no file of it stays beside the image.
func TestCompressedArchive(t *testing.T) {
	w := imagetest.New(t)
	text := imagetest.Tar(t, tar.Header{Typeflag: tar.TypeDir, Name: "proc", Mode: 0o555}, tar.Header{Typeflag: tar.TypeReg, Name: "proc/cpuinfo", Mode: 0o444},
		tar.Header{Typeflag: tar.TypeReg, Name: "etc/motd", Mode: 0o640, Uid: 7})
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte(text))
	z.Close()
	w.File("a.tar", text)
	w.File("a.tgz", packed.String())
	w.File("cut.tgz", packed.String()[:packed.Len()-9])
	plain, err := w.Plan(strings.Replace(fromTar, "%SOURCE%", "a.tar", 1))
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := w.Plan(strings.Replace(fromTar, "%SOURCE%", "a.tgz", 1))
	if err != nil {
		t.Fatal(err)
	}
	if plain.Seed != unpacked.Seed {
		t.Error("a compressed archive gives another image")
	}
	if root := unpacked.Partitions[0].Spec.Tree; root.Find("/etc/motd") == nil || root.Find("/proc") == nil || root.Find("/proc/cpuinfo") != nil {
		t.Errorf("the tree is %v", root)
	}
	_, err = w.Plan(strings.Replace(fromTar, "%SOURCE%", "cut.tgz", 1))
	if err == nil || !strings.Contains(err.Error(), "damaged: gzip: unexpected EOF") {
		t.Errorf("an archive that is cut off: %v", err)
	}
	left, err := filepath.Glob(w.Dir + "/.*")
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// Images of virtual machines are refused as the content of a partition.
func TestDiskImage(t *testing.T) {
	w := imagetest.New(t)
	w.File("disk.qcow2", "QFI\xfb"+strings.Repeat("\x00", 508))
	w.File("disk.vhd", strings.Repeat("\x00", 512)+"conectix"+strings.Repeat("\x00", 504))
	const text = `
[[partition]]
name = "data"
type = "linux-generic"
filesystem = "none"
content = "disk.qcow2"
[[raw]]
offset = 17408
source = "disk.vhd"
`
	_, err := w.Plan(text)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"partition[0].content: disk.qcow2 is a qcow2 disk image", "hint: convert it first (qemu-img convert -f qcow2 -O raw FILE FILE.raw)",
		"raw[0].source: disk.vhd is a VHD disk image", "-f vpc",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
}

// A file without a fixed size is a mistake in the description.
func TestNoFixedSize(t *testing.T) {
	w := imagetest.New(t)
	if _, err := os.Stat("/proc/self/maps"); err != nil {
		t.Skip(err)
	}
	_, err := w.Plan(strings.Replace(fromTar, "%SOURCE%", "/proc/self", 1) + "[[partition.file]]\npath = \"/maps\"\nsource = \"/proc/self/maps\"\n")
	if err == nil || strings.Count(err.Error(), "nothing there has a fixed size") != 2 {
		t.Error(err)
	}
}
