package gpt

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/repro"
	"imprint/internal/units"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

var (
	seed  = repro.SeedOf("gpt")
	esp   = uuid.MustParse("C12A7328-F81F-11D2-BA4B-00A0C93EC93B")
	linux = uuid.MustParse("0FC63DAF-8483-4772-8E79-3D69D8477DE4")
)

// example is a table of three partitions and an entry that is not used, for a disk of that size in bytes.
func example(size, sectorSize int64) Table {
	t := Table{DiskGUID: seed.UUID("disk"), SectorSize: sectorSize, Sectors: size / sectorSize}
	first, last := FirstUsable(sectorSize), t.lastUsable()
	t.Partitions = []Partition{
		{Name: "EFI System", Type: esp, UUID: seed.UUID("esp"), Start: first, Sectors: 2, Attributes: 1 | 1<<2 | 1<<63},
		{},
		{Name: "root ☃😀", Type: linux, UUID: seed.UUID("root"), Start: last, Sectors: 1},
		{Name: strings.Repeat("x", 36), Type: linux, UUID: seed.UUID("x"), Start: first + 3, Sectors: last - first - 3},
	}
	return t
}

// diskFile writes the table into a sparse file.
func diskFile(t testing.TB, table Table) *os.File {
	t.Helper()
	list, err := table.Extents()
	if err != nil {
		t.Fatal(err)
	}
	f := hole(t, table.Sectors*table.SectorSize)
	for e := range list.Extents(0) {
		b := make([]byte, e.Len)
		if err := extent.ReadAt(list, b, e.Off); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(b, e.Off); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// hole returns an empty file of size bytes, in memory if the file system of the temporary directory cannot hold it.
func hole(t testing.TB, size int64) *os.File {
	t.Helper()
	for _, dir := range []string{t.TempDir(), "/dev/shm"} {
		f, err := os.CreateTemp(dir, "gpt-*.img")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			f.Close()
			os.Remove(f.Name())
		})
		if f.Truncate(size) == nil {
			return f
		}
	}
	t.Skipf("no file system here has files of %s", units.FormatBytes(size))
	return nil
}

var complaint = regexp.MustCompile(`(?i)creating new gpt|invalid|caution|corrupt|damaged|problem: |mismatch|not equal|warning|error:|found valid mbr|overlap|beyond`)

// unaligned matches a warning of sgdisk about a partition that may be slow; this package does not check alignment.
var unaligned = regexp.MustCompile(`Caution: Partition \d+ doesn't (begin|end) on`)

// check fails the test unless every tool finds the table sound, and reads the same partitions.
func check(t testing.TB, table Table, f *os.File) {
	t.Helper()
	name := f.Name()
	got, err := Read(f, table.Sectors*table.SectorSize, table.SectorSize)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(table, got); diff != "" {
		t.Fatalf("read back (- asked, + read):\n%s", diff)
	}
	checkPartx(t, table, name)
	if table.SectorSize != 512 {
		out := hosttest.Run(t, "fdisk", "-b", fmt.Sprint(table.SectorSize), "-l", name)
		if bad := complaint.FindString(out); bad != "" || !strings.Contains(out, strings.ToUpper(table.DiskGUID.String())) {
			t.Fatalf("fdisk: %q\n%s", bad, out)
		}
		return // the other tools take a file for a disk with sectors of 512 bytes
	}
	out := hosttest.Run(t, "sgdisk", "-v", name) + hosttest.Run(t, "sgdisk", "-p", name)
	if bad := complaint.FindString(unaligned.ReplaceAllString(out, "")); bad != "" || !strings.Contains(out, "No problems found") {
		t.Fatalf("sgdisk: %q\n%s", bad, out)
	}
	out = hosttest.Run(t, "sfdisk", "--verify", name)
	if bad := complaint.FindString(out); bad != "" || !strings.Contains(out, "No errors detected") {
		t.Fatalf("sfdisk: %q\n%s", bad, out)
	}
	checkJSON(t, table, name)
}

// checkPartx compares with what partx lists, in units of 512 bytes whatever the sectors.
func checkPartx(t testing.TB, table Table, name string) {
	t.Helper()
	out := hosttest.Run(t, "partx", "--sector-size", fmt.Sprint(table.SectorSize), "--pairs", "--output", "NR,START,SECTORS,UUID,TYPE", name)
	want, unit := "", table.SectorSize/512
	for i, p := range table.Partitions {
		if p != (Partition{}) {
			want += fmt.Sprintf("NR=\"%d\" START=\"%d\" SECTORS=\"%d\" UUID=\"%v\" TYPE=\"%v\"\n", i+1, p.Start*unit, p.Sectors*unit, p.UUID, p.Type)
		}
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Fatalf("partx (- asked, + listed):\n%s", diff)
	}
}

// checkJSON compares the table with the output of sfdisk.
func checkJSON(t testing.TB, table Table, name string) {
	t.Helper()
	var said struct {
		Table struct {
			Label, ID         string
			FirstLBA, LastLBA int64
			Partitions        []struct {
				Node, Type, UUID, Name, Attrs string
				Start, Size                   int64
			}
		} `json:"partitiontable"`
	}
	out := hosttest.Run(t, "sfdisk", "--json", name)
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	if said.Table.Label != "gpt" || !strings.EqualFold(said.Table.ID, table.DiskGUID.String()) ||
		said.Table.FirstLBA != FirstUsable(512) || said.Table.LastLBA != table.lastUsable() {
		t.Fatalf("sfdisk reads another disk:\n%s", out)
	}
	rest := said.Table.Partitions
	for i, p := range table.Partitions {
		if p == (Partition{}) {
			continue
		}
		got := rest[0]
		rest = rest[1:]
		same := strings.HasSuffix(got.Node, fmt.Sprint(i+1)) && strings.EqualFold(got.UUID, p.UUID.String()) &&
			strings.EqualFold(got.Type, p.Type.String()) && got.Start == p.Start && got.Size == p.Sectors && got.Attrs == attributes(p.Attributes)
		if !same || strings.IndexFunc(p.Name, func(r rune) bool { return r > '~' }) < 0 && got.Name != p.Name {
			t.Fatalf("sfdisk has %+v for %+v", got, p)
		}
	}
}

// attributes are the bits as sfdisk writes them.
func attributes(bits uint64) string {
	var words, numbers []string
	for i, name := range []string{"RequiredPartition", "NoBlockIOProtocol", "LegacyBIOSBootable"} {
		if bits>>i&1 != 0 {
			words = append(words, name)
		}
	}
	for i := 48; i < 64; i++ {
		if bits>>i&1 != 0 {
			numbers = append(numbers, fmt.Sprint(i))
		}
	}
	if numbers != nil {
		words = append(words, "GUID:"+strings.Join(numbers, ","))
	}
	return strings.Join(words, " ")
}

func TestDisks(t *testing.T) {
	for _, sectorSize := range []int64{512, 4096} {
		for _, size := range []int64{
			64 * units.KiB, 100 * units.KiB, 100 * units.MiB, 2*units.TiB - 4096, 2 * units.TiB, 2*units.TiB + 4096, 3 * units.TiB,
			16*units.TiB - 4096, 16 * units.TiB, 16*units.TiB + 4096,
		} {
			t.Run(fmt.Sprintf("%d of %d", size, sectorSize), func(t *testing.T) {
				table := example(size, sectorSize)
				check(t, table, diskFile(t, table))
			})
		}
	}
}

func TestManyPartitions(t *testing.T) {
	table := Table{DiskGUID: seed.UUID("disk"), SectorSize: 512, Sectors: 4096}
	for i := range MaxPartitions {
		name := fmt.Sprint("p", i)
		table.Partitions = append(table.Partitions, Partition{Name: name, Type: linux, UUID: seed.UUID(name), Start: int64(4000 - 31*i), Sectors: 31})
	}
	check(t, table, diskFile(t, table))
	check(t, Table{DiskGUID: seed.UUID("x"), SectorSize: 512, Sectors: 68}, diskFile(t, Table{DiskGUID: seed.UUID("x"), SectorSize: 512, Sectors: 68}))
}

// TestProtectiveMBR compares the bytes with those of sgdisk, which sets all fields.
func TestProtectiveMBR(t *testing.T) {
	hosttest.Need(t, "sgdisk")
	for _, size := range []int64{units.MiB, 5 * units.GiB, 16450560 * 512, 16450561 * 512, 3 * units.TiB} {
		t.Run(units.FormatBytes(size), func(t *testing.T) {
			t.Parallel() // sgdisk waits a second after writing
			theirs := hole(t, size)
			hosttest.Run(t, "sgdisk", "-o", theirs.Name())
			ours := diskFile(t, Table{DiskGUID: seed.UUID("disk"), SectorSize: 512, Sectors: size / 512})
			var a, b [512]byte
			for f, p := range map[*os.File][]byte{theirs: a[:], ours: b[:]} {
				if _, err := f.ReadAt(p, 0); err != nil {
					t.Fatal(err)
				}
			}
			if a != b {
				t.Errorf("we have % x, sgdisk % x", b[mbrEntries:], a[mbrEntries:])
			}
		})
	}
}

// TestForeign reads tables that other tools made.
func TestForeign(t *testing.T) {
	hosttest.Need(t, "sgdisk", "sfdisk")
	a := hole(t, 10*units.MiB)
	hosttest.Run(t, "sgdisk", "-n", "1:2048:4095", "-c", "1:one", "-t", "1:ef00", "-n", "3:6144:0", "-u", "3:"+seed.UUID("u").String(), a.Name())
	got, err := Read(a, 10*units.MiB, 512)
	if err != nil || len(got.Partitions) != 3 || got.Partitions[0].Name != "one" || got.Partitions[0].Type != esp ||
		got.Partitions[1] != (Partition{}) || got.Partitions[2].UUID != seed.UUID("u") || got.Partitions[2].Start != 6144 {
		t.Errorf("of sgdisk: %+v, %v", got, err)
	}
	b := hole(t, 10*units.MiB)
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("label: gpt\n2048,2048,L\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "sh", "-c", "sfdisk --quiet "+b.Name()+" <"+script)
	if got, err := Read(b, 10*units.MiB, 512); err != nil || len(got.Partitions) != 1 || got.Partitions[0].Sectors != 2048 {
		t.Errorf("of sfdisk: %+v, %v", got, err)
	}
}

// TestExtents checks that extents cover only the table's own bytes, are the same each time, and leave room for boot code.
func TestExtents(t *testing.T) {
	for _, sectorSize := range []int64{512, 4096} {
		table := example(units.MiB, sectorSize)
		list, err := table.Extents()
		if err != nil {
			t.Fatal(err)
		}
		var got [][2]int64
		for _, e := range list {
			if !e.Meta {
				t.Errorf("extent at %d is no structure", e.Off)
			}
			got = append(got, [2]int64{e.Off, e.Len})
		}
		want := [][2]int64{{446, 66}, {sectorSize, sectorSize}, {2 * sectorSize, 16384},
			{units.MiB - BackupSize(sectorSize), 16384}, {units.MiB - sectorSize, sectorSize}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("extents (- wanted, + got):\n%s", diff)
		}
		again, _ := table.Extents()
		if diff := cmp.Diff(fmt.Sprint(list), fmt.Sprint(again)); diff != "" {
			t.Errorf("another time:\n%s", diff)
		}
	}
}

// TestAny draws tables, sound or not: each is refused, or clean to every tool.
func TestAny(t *testing.T) {
	hosttest.Need(t, "sgdisk", "sfdisk", "partx", "fdisk")
	kept := 0
	hosttest.Check(t, func(r *rapid.T) {
		table := Table{
			DiskGUID: seed.UUID("disk"), SectorSize: rapid.SampledFrom([]int64{512, 512, 4096}).Draw(r, "sector"),
			Sectors: rapid.Int64Range(68, 3000).Draw(r, "sectors"),
		}
		at := FirstUsable(table.SectorSize)
		for i := range rapid.IntRange(0, 6).Draw(r, "partitions") {
			at += rapid.SampledFrom([]int64{0, 0, 1, 100, 100, -1}).Draw(r, "gap")
			p := Partition{
				Name:  rapid.StringOfN(rapid.RuneFrom([]rune("abż☃😀 -_")), 0, 37, -1).Draw(r, "name"),
				Type:  linux,
				UUID:  seed.UUID(fmt.Sprint(i)),
				Start: at, Sectors: rapid.Int64Range(1, 300).Draw(r, "size"),
				Attributes: rapid.Uint64().Draw(r, "attributes") & 0xffff000000000007,
			}
			at += p.Sectors
			table.Partitions = append(table.Partitions, p)
		}
		if table.Check() != nil {
			if _, err := table.Extents(); err == nil {
				r.Fatal("Extents accepts a table that Check refuses")
			}
			return
		}
		kept++
		f := diskFile(t, table)
		check(t, table, f)
		os.Remove(f.Name())
	})
	if kept == 0 {
		t.Error("every table was refused")
	}
}
