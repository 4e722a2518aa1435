package gpt

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/units"

	"github.com/google/go-cmp/cmp"
)

// board is a table with entries after firmware, and two partitions in the MBR too.
func board(sectorSize int64) Table {
	t := Table{DiskGUID: seed.UUID("disk"), SectorSize: sectorSize, Sectors: 64 * units.MiB / sectorSize, EntriesAt: units.MiB / 2 / sectorSize, Active: true}
	mib := units.MiB / sectorSize
	t.Partitions = []Partition{
		{Name: "root", Type: linux, UUID: seed.UUID("root"), Start: 20 * mib, Sectors: 30 * mib},
		{},
		{Name: "boot", Type: esp, UUID: seed.UUID("boot"), Start: 4 * mib, Sectors: 8 * mib, MBRType: 0x0c},
		{Name: "data", Type: linux, UUID: seed.UUID("data"), Start: 2 * mib, Sectors: mib, MBRType: 0x83},
	}
	return t
}

// Other programs find nothing wrong with entries elsewhere and a hybrid MBR, and read both tables of it.
func TestBoard(t *testing.T) {
	hosttest.Need(t, "sgdisk", "sfdisk")
	for _, sector := range []int64{512, 4096} {
		table := board(sector)
		f := diskFile(t, table)
		got, err := Read(f, table.Sectors*sector, sector)
		if diff := cmp.Diff(table, got); diff != "" || err != nil {
			t.Errorf("%v, read back:\n%s", err, diff)
		}
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		got, list, err := inspect(b, 0)
		if diff := cmp.Diff(table, got); diff != "" || err != nil || len(list) > 0 {
			t.Errorf("%v, inspected: %q\n%s", err, list, diff)
		}
		if notes := strings.Join(got.Notes(), "\n"); !strings.Contains(notes, `("boot") is in the MBR too, with the type 0x0c`) || !strings.Contains(notes, "is marked active") {
			t.Errorf("notes %s", notes)
		}
		checkPartx(t, Table{SectorSize: sector, Partitions: withoutMBR(table)}, f.Name())
	}
	f := diskFile(t, board(512))
	if out := hosttest.Run(t, "sgdisk", "-v", f.Name()); !strings.Contains(out, "No problems found") {
		t.Errorf("sgdisk: %s", out)
	}
	out := hosttest.Run(t, "sgdisk", "-p", f.Name())
	if !strings.Contains(out, "Main partition table begins at sector 1024 and ends at sector 1055") || !strings.Contains(out, "First usable sector is 1056") {
		t.Errorf("sgdisk: %s", out)
	}
	out = hosttest.Run(t, "sfdisk", "--label-nested", "dos", "--dump", f.Name())
	for _, want := range []string{`start= *8192, size= *16384, type=c, bootable`, `start= *4096, size= *2048, type=83`, `start= *1, size= *4095, type=ee`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("sfdisk has no %s:\n%s", want, out)
		}
	}
}

func withoutMBR(t Table) (list []Partition) {
	for _, p := range t.Partitions {
		p.MBRType = 0
		list = append(list, p)
	}
	return list
}

// A hybrid MBR of sgdisk, which puts the protective partition first, is read without a fault, and a record that strays is one.
func TestForeignHybrid(t *testing.T) {
	hosttest.Need(t, "sgdisk")
	f := hole(t, 10*units.MiB)
	hosttest.Run(t, "sgdisk", "-n", "1:2048:4095", "-t", "1:0700", "-n", "2:6144:0", "-h", "1", f.Name())
	got, err := Read(f, 10*units.MiB, 512)
	if err != nil || got.Partitions[0].MBRType != 0x07 || got.Partitions[1].MBRType != 0 {
		t.Errorf("of sgdisk: %+v, %v", got, err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if _, list, err := inspect(b, 512); err != nil || len(list) > 0 {
		t.Errorf("%v, faults %q", err, list)
	}
	b[mbrEntries+mbrEntrySize+12]++
	if _, list, _ := inspect(b, 512); len(list) == 0 || !strings.Contains(strings.Join(list, "\n"), "which is no partition of the GPT") {
		t.Errorf("faults %q", list)
	}
}

func TestHybridRefuses(t *testing.T) {
	for want, change := range map[string]func(t *Table){
		"4 partitions in the MBR, which has room for 3": func(t *Table) {
			for i := range t.Partitions {
				t.Partitions[i].MBRType = 0x83
			}
			t.Partitions[1] = Partition{Type: linux, UUID: seed.UUID("y"), Start: 60000, Sectors: 9, MBRType: 1}
		},
		"is that of the protective partition":           func(t *Table) { t.Partitions[2].MBRType = 0xee },
		"but an MBR counts up to 4294967295":            func(t *Table) { t.Sectors = 1 << 34; t.Partitions[2].Start = 1 << 33 },
		"the first usable sector is 4128":               func(t *Table) { t.EntriesAt = 4096 },
		"entries from sector 1 on, the first possible":  func(t *Table) { t.EntriesAt = 1 },
		"entries from sector -1 on, the first possible": func(t *Table) { t.EntriesAt = -1 },
	} {
		table := board(512)
		change(&table)
		if _, err := table.Extents(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
