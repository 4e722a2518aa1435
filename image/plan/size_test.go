package plan_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"imprint/image/gpt"
	"imprint/image/imagetest"
	"imprint/image/write"
	"imprint/internal/units"
)

const growing = `
[[partition]]
name = "boot"
type = "esp"
filesystem = "fat"
number = 4
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
grow = true
[[partition]]
name = "last"
partlabel = "_empty"
type = "linux-generic"
filesystem = "none"
size = "5MiB"
`

// layoutOf lays out a description.
func layoutOf(t *testing.T, text string) string {
	t.Helper()
	p, err := imagetest.New(t).Plan(text)
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.Layout(nil)
	if err != nil {
		return err.Error()
	}
	said := fmt.Sprintf("%d", l.Size/units.MiB)
	for _, r := range l.Regions {
		said += fmt.Sprintf(" %d:%d+%d", r.Partition.Number, r.Offset/units.MiB, r.Size/units.MiB)
	}
	return said
}

// The disk has the size that the description says, and one partition takes what the others leave.
func TestDiskSize(t *testing.T) {
	for _, c := range [][2]string{
		{strings.Replace(growing, "grow = true\n", "", 1), "25 4:1+17 1:18+1 2:19+5"},
		{"size = \"100MiB\"\n" + growing, "100 4:1+17 1:18+76 2:94+5"},
		{"size-multiple = \"64MiB\"\n" + growing, "64 4:1+17 1:18+40 2:58+5"},
		{"size-multiple = \"3MiB\"\n" + strings.Replace(growing, "grow = true\n", "", 1), "27 4:1+17 1:18+1 2:19+5"},
		{"size = \"100MiB\"\n" + growing + "align = \"10MiB\"\n", "100 4:1+17 1:18+72 2:90+5"},
		{"size = \"100MiB\"\n" + growing + "offset = \"50MiB\"\n", "100 4:1+17 1:18+32 2:50+5"},
		{"size = \"100MiB\"\n" + strings.Replace(growing, "number = 4", "grow = true", 1), "100 1:1+17 2:18+76 3:94+5"},
		{"size = \"30MiB\"\n" + growing, "30 4:1+17 1:18+6 2:24+5"},
		{"entries-offset = \"1MiB\"\n" + strings.Replace(growing, "grow = true\n", "", 1), "26 4:2+17 1:19+1 2:20+5"},
		{"table = \"mbr\"\nsize = \"100MiB\"\n" + strings.Replace(growing, "partlabel = \"_empty\"\n", "", 1), "100 4:1+17 1:18+77 2:95+5"},
		{"size = \"300MiB\"\n[[partition]]\nname = \"a\"\ntype = \"root\"\nfilesystem = \"ext4\"\ngrow = true\nverity = \"b\"\n" +
			"[[partition]]\nname = \"b\"\ntype = \"root-verity\"\nfilesystem = \"none\"\n", "300 1:1+295 2:296+3"},
		{"size = \"20MiB\"\n" + growing, "test.toml:3:1: size: 20 MiB (20971520 bytes) is smaller than the partitions and the table, " +
			"which need 24.0 MiB (25182720 bytes)\nhint: use at least 26214400"},
	} {
		if got := layoutOf(t, c[0]); got != c[1] {
			t.Errorf("%s\nis %s\nwant %s", c[0], got, c[1])
		}
	}
}

// What the plan says of the partition table is in the bytes of the disk, and its partitions are full of their file systems.
func TestTableOfBoard(t *testing.T) {
	w := imagetest.New(t)
	w.File("spl.bin", strings.Repeat("s", 300<<10))
	text := "table = \"hybrid\"\nsize = \"80MiB\"\nentries-offset = \"512KiB\"\nmbr-active = true\n[[raw]]\noffset = \"8KiB\"\nsource = \"spl.bin\"\n" +
		strings.Replace(growing, "number = 4", "number = 4\nmbr-type = \"0x0c\"", 1)
	p, err := w.Plan(text)
	if err != nil {
		t.Fatal(err)
	}
	disk, l, _ := imagetest.Build(t, p, write.Options{})
	table, err := gpt.Read(bytes.NewReader(disk), int64(len(disk)), 512)
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Partitions) != 4 || table.Partitions[3].MBRType != 0x0c || table.Partitions[1].Name != "_empty" || !table.Active || table.EntriesAt != 1024 {
		t.Errorf("the table is %+v", table)
	}
	if !bytes.Equal(disk[8<<10:308<<10], bytes.Repeat([]byte("s"), 300<<10)) {
		t.Error("the firmware is not where it should be")
	}
	if got := l.Regions[1].Maker.Size(); got != l.Regions[1].Size {
		t.Errorf("the file system has %d bytes of %d", got, l.Regions[1].Size)
	}
	if stats := disk[units.MiB+82 : units.MiB+90]; string(stats) != "FAT32   " { // implied by the type in the MBR
		t.Errorf("the boot partition is %q", stats)
	}
	p, err = w.Plan(strings.Replace(text, "512KiB", "128KiB", 1))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Layout(nil)
	const want = "the entries of the partition table bytes 131072 to 147455\nhint: there is room from byte 147456 on; or write entries-offset = 315392"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}
