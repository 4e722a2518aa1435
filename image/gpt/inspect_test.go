package gpt

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/fault"
	"imprint/internal/hosttest"
	"imprint/internal/repro"

	"github.com/google/go-cmp/cmp"
)

var inspectSeed = repro.SeedOf("inspect")

// patient returns a table of three partitions and an unused entry, with the bytes of its disk.
func patient(t testing.TB, sector int64) (Table, []byte) {
	t.Helper()
	table := Table{DiskGUID: inspectSeed.UUID("disk"), SectorSize: sector, Sectors: 8192, Partitions: []Partition{
		{Name: "boot", Type: inspectSeed.UUID("type"), UUID: inspectSeed.UUID("boot"), Start: 2048, Sectors: 100, Attributes: 4}, {},
		{Name: "root ☃", Type: inspectSeed.UUID("type"), UUID: inspectSeed.UUID("root"), Start: 4096, Sectors: 2048},
	}}
	list, err := table.Extents()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, table.Sectors*sector)
	if err := extent.ReadAt(list, b, 0); err != nil {
		t.Fatal(err)
	}
	b[510], b[511] = 0x55, 0xaa
	return table, b
}

func inspect(b []byte, sector int64) (Table, []string, error) {
	var list []string
	table, err := Inspect(bytes.NewReader(b), int64(len(b)), sector, func(f fault.Fault) { list = append(list, f.String()) })
	return table, list, err
}

// A table is read back without a fault for each size of a sector, which Inspect finds.
func TestInspectOwn(t *testing.T) {
	for _, sector := range []int64{512, 4096} {
		want, b := patient(t, sector)
		got, list, err := inspect(b, 0)
		if diff := cmp.Diff(want, got); diff != "" || err != nil || len(list) > 0 {
			t.Errorf("sectors of %d bytes: %v, %q\n%s", sector, err, list, diff)
		}
		clear(b[:2*sector]) // the backup is enough, for the size of a sector too
		got, list, err = inspect(b, 0)
		if diff := cmp.Diff(want, got); diff != "" || err != nil || len(list) < 2 {
			t.Errorf("sectors of %d bytes, from the backup: %v, %q\n%s", sector, err, list, diff)
		}
	}
}

func TestInspectFinds(t *testing.T) {
	for _, c := range []struct {
		want   string
		damage func(b []byte) []byte
	}{
		{"primary header: HeaderCRC32 is", func(b []byte) []byte { b[512+40]++; return b }},
		{"primary header: no header: Signature is", func(b []byte) []byte { b[512]++; return b }},
		{"primary header: PartitionEntryArrayCRC32", func(b []byte) []byte { b[1024+40]++; return b }},
		{"backup header: PartitionEntryArrayCRC32", func(b []byte) []byte { b[len(b)-512-arraySize+300]++; return b }},
		{"backup header: HeaderCRC32 is", func(b []byte) []byte { b[len(b)-512+60]++; return b }},
		{"primary header: byte 300, after the header", func(b []byte) []byte { b[512+300]++; return b }},
		{"protective MBR: Signature is 54 aa, 55 aa is expected", func(b []byte) []byte { b[510]--; return b }},
		{"protective MBR: SizeInLBA is", func(b []byte) []byte { b[446+12]++; return b }},
		{"protective MBR: EndingCHS is", func(b []byte) []byte { b[446+5]++; return b }},
		{"hybrid: it has entry 2 of type 0x83 with 7 sectors from 9", func(b []byte) []byte { b[446+16+4], b[446+16+8], b[446+16+12] = 0x83, 9, 7; return b }},
		{"the disk has grown by 1048576 bytes", func(b []byte) []byte { return append(b, make([]byte, 1<<20)...) }},
		{"65536 bytes at its end are missing", func(b []byte) []byte { return b[:len(b)-65536] }},
		{"EndingLBA is 6143, but the disk has 6000 sectors", func(b []byte) []byte { return b[:6000*512] }},
		{"", func(b []byte) []byte { return b }},
	} {
		want, b := patient(t, 512)
		got, list, err := inspect(c.damage(bytes.Clone(b)), 512)
		if all := strings.Join(list, "\n"); !strings.Contains(all, c.want) || err != nil {
			t.Errorf("not %q, %v:\n%s", c.want, err, all)
		}
		got.Sectors = want.Sectors
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", c.want, diff)
		}
	}
	_, b := patient(t, 512)
	b[512+40]++
	b[len(b)-1-511+40]++
	if _, _, err := inspect(b, 512); err == nil || !strings.Contains(err.Error(), "neither copy of the table can be used") {
		t.Errorf("both headers are damaged: %v", err)
	}
	if _, _, err := inspect(make([]byte, 1<<20), 0); err == nil {
		t.Error("zeros were taken for a table")
	}
}

// Partitions that overlap, leave the disk or have one UUID are reported, with the right checksums around them.
func TestInspectEntries(t *testing.T) {
	table, b := patient(t, 512)
	in := newInspection(bytes.NewReader(b), int64(len(b)), 512, nil)
	c, err := in.copy("primary", 1)
	if err != nil {
		t.Fatal(err)
	}
	c.entries[1], c.entries[3] = c.entries[2], c.entries[0]
	c.entries[1].StartingLBA -= 2000
	c.entries[3].StartingLBA, c.entries[3].EndingLBA, c.entries[3].Attributes = 5, 4, 8
	c.entries[4].EndingLBA = 1
	c.entries[0].PartitionName[9], c.entries[0].PartitionName[1] = 'x', 0xd800
	var list []string
	in.report = func(f fault.Fault) { list = append(list, f.String()) }
	in.table(c)
	all := strings.Join(list, "\n")
	for _, want := range []string{"partition 2 (\"root ☃\") has sectors", "also that of partition 2", "EndingLBA is 4, but StartingLBA is 5",
		"bits 3 to 47 are reserved", "as of an unused entry", "after a zero", "unpaired surrogate"} {
		if !strings.Contains(all, want) {
			t.Errorf("not %q:\n%s", want, all)
		}
	}
	table.Partitions[0].Start++
	if notes := table.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "byte 1049088, which is not a multiple") {
		t.Errorf("notes %q", notes)
	}
}

// Every flip of a byte of the table is found, except in boot code and the disk signature of the MBR.
func TestInspectFlips(t *testing.T) {
	free := regexp.MustCompile(`^(protective MBR, (boot code|UniqueMBRDiskSignature|Unknown|record 1, BootIndicator)|partition .*|unused.*)$`)
	for _, sector := range []int64{512, 4096} {
		_, b := patient(t, sector)
		rnd := rand.New(rand.NewPCG(1, uint64(sector)))
		table := int(2*sector + arraySize)
		for range 400 {
			off, bit := rnd.IntN(table), byte(1)<<rnd.IntN(8)
			if rnd.IntN(2) == 0 {
				off = len(b) - 1 - rnd.IntN(int(BackupSize(sector)))
			}
			what := Explain(bytes.NewReader(b), int64(len(b)), 0, int64(off))
			b[off] ^= bit
			if _, list, err := inspect(b, sector); len(list) == 0 && err == nil && !free.MatchString(what) {
				t.Errorf("byte %d, %s: bit 0x%02x is another and nothing is found", off, what, bit)
			}
			b[off] ^= bit
		}
	}
}

// Tables of sgdisk and sfdisk have no faults, also after the disk has grown and the backup was moved; sgdisk's hybrid MBR is reported.
func TestInspectOthers(t *testing.T) {
	hosttest.Need(t, "sgdisk", "sfdisk")
	for _, c := range []struct {
		name string
		make func(t *testing.T, disk string)
		want string
	}{
		{"sgdisk", func(t *testing.T, disk string) {
			hosttest.Run(t, "sgdisk", "-n", "1:0:+1M", "-c", "1:one", "-n", "5:0:0", "-t", "5:ef00", disk)
		}, ""},
		{"sgdisk of 256 entries", func(t *testing.T, disk string) { hosttest.Run(t, "sgdisk", "-S", "256", "-n", "200:0:+1M", disk) }, ""},
		{"sfdisk", func(t *testing.T, disk string) {
			script := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(script, []byte("label: gpt\nsize=1MiB, name=one\nsize=2MiB\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			hosttest.Run(t, "sh", "-c", "sfdisk "+disk+" <"+script)
		}, ""},
		{"grown", func(t *testing.T, disk string) {
			hosttest.Run(t, "sgdisk", "-n", "1:0:+1M", disk)
			if err := os.Truncate(disk, 16<<20); err != nil {
				t.Fatal(err)
			}
			hosttest.Run(t, "sgdisk", "-e", disk)
		}, ""},
		{"hybrid", func(t *testing.T, disk string) {
			hosttest.Run(t, "sgdisk", "-n", "1:0:+1M", disk)
			hosttest.Run(t, "sgdisk", "-h", "1", disk)
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := filepath.Join(t.TempDir(), "disk")
			if err := os.WriteFile(disk, make([]byte, 8<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			c.make(t, disk)
			b, err := os.ReadFile(disk)
			if err != nil {
				t.Fatal(err)
			}
			table, list, err := inspect(b, 0)
			if err != nil || len(table.Partitions) == 0 || (c.want == "") != (len(list) == 0) || !strings.Contains(fmt.Sprint(list), c.want) {
				t.Errorf("%v, %+v\n%s", err, table.Partitions, strings.Join(list, "\n"))
			}
		})
	}
}

func TestExplain(t *testing.T) {
	_, b := patient(t, 512)
	for off, want := range map[int64]string{
		3: "protective MBR, boot code", 446 + 4: "protective MBR, record 1, OSType", 511: "protective MBR, Signature", 512 + 24: "primary header, MyLBA",
		512 + 92: "primary header, reserved", 1024 + 2*128 + 60: "primary entry 3, PartitionName", 1024 + arraySize: "unused, in no partition",
		2048*512 + 7: `partition 1 ("boot"), byte 7`, int64(len(b)) - 512: "backup header, Signature", int64(len(b)) - 512 - arraySize + 128: "backup entry 2, PartitionTypeGUID",
		int64(len(b)): "after the disk",
	} {
		if got := Explain(bytes.NewReader(b), int64(len(b)), 0, off); got != want {
			t.Errorf("byte %d is %q, not %q", off, got, want)
		}
	}
}

// FuzzInspect takes any front and end of a disk.
func FuzzInspect(f *testing.F) {
	_, b := patient(f, 512)
	f.Add(b[:3*512], b[len(b)-512:])
	f.Fuzz(func(t *testing.T, front, back []byte) {
		disk := make([]byte, 80<<10)
		copy(disk, front)
		copy(disk[max(0, len(disk)-len(back)):], back)
		table, list, err := inspect(disk, 0)
		if err == nil && len(list) == 0 && table.Check() != nil {
			t.Fatalf("%v, and no fault", table.Check())
		}
		for off := int64(0); off < int64(len(disk)); off += 4099 {
			if Explain(bytes.NewReader(disk), int64(len(disk)), 0, off) == "" {
				t.Fatalf("byte %d is not explained", off)
			}
		}
	})
}
