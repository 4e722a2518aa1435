package image

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"imprint/image/mbr"
	"imprint/internal/hosttest"
)

// onMBR is bootable with another loader, on a disk with an MBR.
func onMBR(system, loader string) string {
	text := fmt.Sprintf(bootable, system)
	text = strings.Replace(text, `loader = "systemd-boot"`, `loader = "`+loader+`"`, 1)
	text = strings.Replace(text, `size = "8MiB"`, `size = "16MiB"`, 1)
	return "table = \"mbr\"\n" + strings.Replace(text, `type = "esp"`, `type = "0x0c"`, 1)
}

// A disk with an MBR is what its layout says, its table can be read back, and partitions are named as Linux names them there.
func TestMBR(t *testing.T) {
	hosttest.Need(t, "grub-mkimage")
	w, system := bootWorld(t)
	w.file("usr/lib/grub/i386-pc/x", "")
	hosttest.Run(t, "cp", "-r", "/usr/lib/grub/i386-pc", w.dir+"/usr/lib/grub")
	p, err := w.plan(onMBR(system, "grub"))
	if err != nil {
		t.Fatal(err)
	}
	disk, l, _ := build(t, p, WriteOptions{})
	whole := make([]byte, l.Size)
	if err := l.ReadAt(whole, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(whole, disk) {
		t.Fatalf("the layout differs from the disk at byte %d", firstDifference(whole, disk))
	}
	table, err := mbr.Read(bytes.NewReader(disk), l.Size, 512)
	if err != nil {
		t.Fatal(err)
	}
	if table.Signature != p.Signature || len(table.Partitions) != 3 || table.Partitions[0].Type != 0x0c || !table.Partitions[2].Active || table.Partitions[2].Type != 0x83 {
		t.Errorf("table %+v", table)
	}
	for i, part := range table.Partitions {
		if r := l.Regions[i]; part.Start*512 != r.Offset || part.Sectors*512 != r.Size {
			t.Errorf("partition %d: %+v", i+1, part)
		}
	}
	for _, text := range []string{fmt.Sprintf("root=PARTUUID=%08x-03 disk=%08x\n", p.Signature, p.Signature), "GRUB "} {
		if !bytes.Contains(disk, []byte(text)) {
			t.Errorf("the disk does not hold %q", text)
		}
	}
	if last := disk[len(disk)-512:]; len(bytes.Trim(last, "\x00")) > 0 && int64(len(disk)) != l.Regions[2].Offset+l.Regions[2].Size {
		t.Error("there is a table at the end of the disk too")
	}
	again, _, _ := build(t, p, WriteOptions{NoDigest: true})
	if !bytes.Equal(again, disk) {
		t.Error("a second build gave other bytes")
	}
}

// The host's syslinux fills its region of the disk: the rest is there before, and the same every time.
func TestSyslinuxRegion(t *testing.T) {
	hosttest.Need(t, "syslinux", "mtools", "fsck.fat", "dd")
	w, system := bootWorld(t)
	w.file("usr/lib/SYSLINUX/mbr.bin", strings.Repeat("m", 440))
	w.file("usr/lib/syslinux/modules/bios/menu.c32", "menu")
	w.file("usr/lib/syslinux/modules/bios/libutil.c32", "library")
	p, err := w.plan(onMBR(system, "syslinux"))
	if err != nil {
		t.Fatal(err)
	}
	disk, l, result := build(t, p, WriteOptions{})
	again, _, other := build(t, p, WriteOptions{})
	if !bytes.Equal(disk, again) || result.Digest != other.Digest {
		t.Errorf("two builds differ first in byte %d", firstDifference(disk, again))
	}
	esp := l.Regions[0]
	if err := l.ReadAt(make([]byte, 512), esp.Offset); err == nil {
		t.Error("the layout claims to know what syslinux writes")
	}
	if string(disk[:440]) != strings.Repeat("m", 440) || disk[446] != 0x80 {
		t.Errorf("first sector % x", disk[:512])
	}
	w.file("volume", string(disk[esp.Offset:esp.Offset+esp.Size]))
	hosttest.Run(t, "fsck.fat", "-n", w.dir+"/volume")
	listing := hosttest.Run(t, "mdir", "-b", "-a", "-/", "-i", w.dir+"/volume", "::")
	for _, name := range []string{"::/ldlinux.sys", "::/ldlinux.c32", "::/syslinux/syslinux.cfg"} {
		if !strings.Contains(listing, name) {
			t.Errorf("no %s in\n%s", name, listing)
		}
	}
}
