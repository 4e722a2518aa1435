package gpt

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"strings"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/repro"
	"imprint/internal/units"

	"github.com/google/go-cmp/cmp"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		change func(t *Table)
		want   string // "" is a table that stands
	}{
		{func(t *Table) {}, ""},
		{func(t *Table) { t.Partitions = nil }, ""},
		{func(t *Table) { t.Partitions[3].Name = strings.Repeat("😀", 18) }, ""},
		{func(t *Table) { t.SectorSize = 520 }, "gpt: sectors of 520 bytes, want 512 or 4096"},
		{func(t *Table) { t.Sectors = 67 }, "disk of 67 sectors of 512 bytes is too small: a table and one partition need 68"},
		{func(t *Table) { t.Sectors = math.MaxInt64/512 + 1 }, "is too large: the most is"},
		{func(t *Table) { t.DiskGUID = repro.UUID{} }, "disk GUID is zero"},
		{func(t *Table) { t.Partitions = make([]Partition, 129) }, "129 partitions, the table has 128 entries"},
		{func(t *Table) { t.Partitions[0].Type = repro.UUID{} }, `partition 1 ("EFI System"): type GUID is zero`},
		{func(t *Table) { t.Partitions[0].UUID = repro.UUID{} }, "UUID is zero"},
		{func(t *Table) { t.Partitions[3].UUID = t.Partitions[0].UUID }, `is also that of partition 1 ("EFI System")`},
		{func(t *Table) { t.Partitions[3].UUID = t.DiskGUID }, "is also that of the disk"},
		{func(t *Table) { t.Partitions[0].Start = 33 }, "starts at sector 33, but the first usable sector is 34"},
		{func(t *Table) { t.Partitions[0].Start = -1 }, "starts at sector -1"},
		{func(t *Table) { t.Partitions[0].Sectors = 0 }, "0 sectors"},
		{func(t *Table) { t.Partitions[0].Sectors = -5 }, "-5 sectors"},
		{func(t *Table) { t.Partitions[2].Sectors = 2 }, "2 sectors from sector 2014, but the last usable sector is 2014"},
		{func(t *Table) { t.Partitions[2].Start = 2015 }, "1 sectors from sector 2015"},
		{func(t *Table) { t.Partitions[0].Start = math.MaxInt64 }, "the last usable sector is 2014"},
		{func(t *Table) { t.Partitions[0].Sectors = math.MaxInt64 }, "the last usable sector is 2014"},
		{func(t *Table) { t.Partitions[0].Sectors = 4 }, `starts at sector 37, where partition 1 ("EFI System") has sectors 34 to 37`},
		{func(t *Table) { t.Partitions[0].Name = strings.Repeat("x", 37) }, "name has 37 UTF-16 units, but an entry holds 36"},
		{func(t *Table) { t.Partitions[0].Name = strings.Repeat("😀", 18) + "x" }, "name has 37 UTF-16 units"},
		{func(t *Table) { t.Partitions[0].Name = "a\x00b" }, "contains a NUL"},
		{func(t *Table) { t.Partitions[0].Name = "\xff" }, "is not UTF-8"},
	} {
		table := example(units.MiB, 512)
		c.change(&table)
		err := table.Check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("error %v, want %q", err, c.want)
		}
		if _, got := table.Extents(); (got == nil) != (err == nil) {
			t.Errorf("Check says %v, Extents %v", err, got)
		}
	}
}

const small = 64 * units.KiB

// smallDisk is the content of a small disk with a table.
func smallDisk(t testing.TB) []byte {
	t.Helper()
	list, err := example(small, 512).Extents()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, small)
	if err := extent.ReadAt(list, b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

// repair corrects the checksums of each copy whose entries are at their old place.
func repair(b []byte) {
	for _, header := range []int64{512, small - 512} {
		entries := int64(1024)
		if header != 512 {
			entries = small - BackupSize(512)
		}
		h := b[header : header+92]
		binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(b[entries:entries+arraySize]))
		clear(h[16:20])
		binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h))
	}
}

func TestReadDamaged(t *testing.T) {
	const back = small - 512
	for _, c := range []struct {
		off    int64
		bytes  string
		repair bool
		want   string
	}{
		{510, "\x00", false, "protective MBR: signature 00 aa"},
		{450, "\x83", false, "protective MBR: partitions"},
		{446 + 16, "\x80", false, "protective MBR: partitions"},
		{446 + 12, "\x7e", false, "126 sectors from 1, want 127 from 1"},
		{512, "X", false, "read table: sector 1: no header"},
		{512 + 60, "X", false, "read table: sector 1: header has the checksum"},
		{1024 + 130, "X", false, "read table: entries have the checksum"},
		{back, "X", false, "read backup: sector 127: no header"},
		{back + 60, "X", false, "read backup: sector 127: header has the checksum"},
		{back - 16384 + 3, "X", false, "read backup: entries have the checksum"},
		{512 + 8, "\x01", true, "revision 0x10001 with 92 bytes"},
		{512 + 12, "\x60", true, "revision 0x10000 with 96 bytes"},
		{512 + 24, "\x02", true, "header in sector 1 says that it is in sector 2, and the other in 127"},
		{back + 32, "\x02", true, "header in sector 127 says that it is in sector 127, and the other in 2"},
		{512 + 32, "\x70", true, "the other in 112"},
		{512 + 40, "\x21", true, "usable sectors 33 to 94, want within 34 to 94"},
		{512 + 48, "\x5f", true, "usable sectors 34 to 95"},
		{512 + 40, "\x5f", true, "usable sectors 95 to 94"},
		{512 + 72, "\x03", true, "entries from sector 3, want 2 to 2"},
		{512 + 72, "\xff\xff\xff\xff\xff\xff\xff\x7f", true, "entries from sector 9223372036854775807"},
		{512 + 80, "\xff\xff\xff\xff", true, "4294967295 entries of 128 bytes"},
		{512 + 84, "\x00", true, "128 entries of 0 bytes"},
		{512 + 56, "X", true, "the table and its backup differ"},
		{1024 + 56, "X", true, "the table and its backup differ"},
		{back - 16384 + 50, "X", true, "the table and its backup differ"},
	} {
		b := smallDisk(t)
		copy(b[c.off:], c.bytes)
		if c.repair {
			repair(b)
		}
		if _, err := Read(bytes.NewReader(b), small, 512); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q at %d: error %v, want %q", c.bytes, c.off, err, c.want)
		}
	}
}

// TestReadUnsound changes both copies alike, so that neither checksums nor a comparison find the change.
func TestReadUnsound(t *testing.T) {
	const entries, usable = 1024, 512 + 40
	for _, c := range []struct {
		off   int64 // in the first copy
		bytes string
		want  string // "" is a table that stands
	}{
		{entries + 32, "\x01", "starts at sector 1"},
		{entries + 40, "\x20", "-1 sectors"},
		{entries + 40, "\xff\xff\xff\xff\xff\xff\xff\xff", "-34 sectors"},
		{entries + 40, "\x30", "where partition 1"},
		{entries + 16, string(make([]byte, 16)), "UUID is zero"},
		{entries + 2*128, string(make([]byte, 16)), ""}, // one entry fewer in use
		{usable, "\x24", "sectors 34 to 35, but the header allows 36 to 94"},
		{usable + 8, "\x5d", "sectors 94 to 94, but the header allows 34 to 93"},
	} {
		b := smallDisk(t)
		copy(b[c.off:], c.bytes)
		if c.off < entries {
			copy(b[small-1024+c.off:], c.bytes)
		} else {
			copy(b[small-BackupSize(512)+c.off-entries:], c.bytes)
		}
		repair(b)
		_, err := Read(bytes.NewReader(b), small, 512)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("% x at %d: error %v, want %q", c.bytes, c.off, err, c.want)
		}
	}
}

func TestReadShort(t *testing.T) {
	for n := range small / 512 {
		if _, err := Read(bytes.NewReader(smallDisk(t)[:n*512]), small, 512); err == nil {
			t.Errorf("%d sectors of %d are enough", n, small/512)
		}
		if _, err := Read(bytes.NewReader(smallDisk(t)), n*512, 512); err == nil {
			t.Errorf("a table for another size of disk is taken for %d sectors", n)
		}
	}
}

// FuzzRead changes bytes of a good disk and repairs the checksums: a table that is then read must be valid, and be read again from a disk to
// which it is written.
func FuzzRead(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x02, 80, 0xff, 0x02, 81, 0xff, 0x04, 0, 7, 0xbe, 0, 7})
	hosttest.Fuzz(f, func(t *testing.T, changes []byte) {
		b := smallDisk(t)
		for ; len(changes) >= 3; changes = changes[3:] {
			b[int64(binary.BigEndian.Uint16(changes))%small] = changes[2]
		}
		repair(b)
		got, err := Read(bytes.NewReader(b), small, 512)
		if err != nil {
			return
		}
		list, err := got.Extents()
		if err != nil {
			t.Fatalf("read %+v, which is refused: %v", got, err)
		}
		again := make([]byte, small)
		if err := extent.ReadAt(list, again, 0); err != nil {
			t.Fatal(err)
		}
		reread, err := Read(bytes.NewReader(again), small, 512)
		if diff := cmp.Diff(got, reread); err != nil || diff != "" {
			t.Fatalf("written and read again: %v\n%s", err, diff)
		}
	})
}
