package plan_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"imprint/image/imagetest"
	"imprint/image/write"
	"imprint/internal/hosttest"
)

const rawRows = `
[[raw]]
offset = "%s"
source = "blob.bin"
[[partition]]
name = "root"
type = "linux-generic"
filesystem = "ext4"
`

// Raw content lies where it should, outside of everything else, and a layout without a disk knows it too.
func TestRawContent(t *testing.T) {
	w, _ := imagetest.Boot(t)
	p, err := w.Plan(fmt.Sprintf(rawRows, "64KiB"))
	if err != nil {
		t.Fatal(err)
	}
	disk, l, _ := imagetest.Build(t, p, write.Options{})
	whole := make([]byte, l.Size)
	if err := l.ReadAt(whole, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(whole, disk) {
		t.Errorf("the layout differs from the disk at byte %d", imagetest.FirstDifference(whole, disk))
	}
	blob := make([]byte, 100_000)
	r, err := p.Raw[0].Content.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.ReadAt(blob, 0); err != nil || !bytes.Equal(disk[64<<10:][:len(blob)], blob) {
		t.Errorf("the disk has other bytes at 64 KiB, %v", err)
	}
	other, _ := imagetest.Boot(t)
	other.File("blob.bin", strings.Repeat("z", 100_000))
	q, err := other.Plan(fmt.Sprintf(rawRows, "64KiB"))
	if err != nil || q.Seed == p.Seed {
		t.Errorf("other bytes give the same identifiers, %v", err)
	}
}

// What overlaps is told, with both ranges and where there is room.
func TestRawOverlap(t *testing.T) {
	for offset, want := range map[string]string{
		"8KiB":    "raw[0] takes bytes 8192 to 108191 of the disk, and the partition table bytes 0 to 17407\nhint: there is room from byte 17408 on; with entries-offset = 110592 from byte 1024 on, with table = \"mbr\" from byte 512 on",
		"1MiB":    `raw[0] takes bytes 1048576 to 1148575 of the disk, and partition "root" bytes 1048576 to`,
		"1000KiB": "let partition \"root\" begin after it, at 2097152",
	} {
		w, _ := imagetest.Boot(t)
		p, err := w.Plan(fmt.Sprintf(rawRows, offset))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = p.Layout(nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", offset, err, want)
		}
	}
}

// What a loader brings stays where it is; what the description brings has to go.
func TestRawOverLoader(t *testing.T) {
	hosttest.Need(t, "grub-mkimage")
	w, system := imagetest.Boot(t)
	w.File("usr/lib/grub/x", "")
	hosttest.Run(t, "cp", "-r", "/usr/lib/grub/i386-pc", w.Dir+"/usr/lib/grub")
	p, err := w.Plan(imagetest.OnMBR(system, "grub") + "[[raw]]\noffset = \"8KiB\"\nsource = \"blob.bin\"\n")
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Layout(nil)
	if err == nil || !strings.Contains(err.Error(), ": raw[0]: raw[0] takes bytes 8192 to 108191 of the disk, and the boot loader bytes 512 to ") {
		t.Errorf("error %v", err)
	}
}
