package mbr

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func bytesOf(t interface{ Fatal(...any) }, table Table) []byte {
	list, err := table.Extents()
	if err != nil {
		t.Fatal(err)
	}
	record := make([]byte, Size)
	if err := extent.ReadAt(list, record, 0); err != nil {
		t.Fatal(err)
	}
	return record
}

var full = Table{Signature: 0x12ab34cd, SectorSize: 512, Sectors: 1 << 20, Partitions: []Partition{
	{Type: 0x83, Start: 2048, Sectors: 100}, {Type: 0xef, Active: true, Start: 4096, Sectors: 1 << 18}, {}, {Type: 0x0c, Start: 1 << 19, Sectors: 1 << 19},
}}

// sfdisk reads the same table.
func TestSfdisk(t *testing.T) {
	image := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(image, bytesOf(t, full), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, full.Sectors*512); err != nil {
		t.Fatal(err)
	}
	var got struct {
		PartitionTable struct {
			ID         string
			Partitions []struct {
				Node, Type  string
				Start, Size int64
				Bootable    bool
			}
		}
	}
	if err := json.Unmarshal([]byte(hosttest.Run(t, "sfdisk", "--json", image)), &got); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for _, p := range got.PartitionTable.Partitions {
		fmt.Fprintln(&said, strings.TrimPrefix(p.Node, image), p.Type, p.Start, p.Size, p.Bootable)
	}
	want := "1 83 2048 100 false\n2 ef 4096 262144 true\n4 c 524288 524288 false\n"
	if said.String() != want || got.PartitionTable.ID != "0x12ab34cd" {
		t.Errorf("sfdisk reads %s of %s", said.String(), got.PartitionTable.ID)
	}
	if id := UUID(full.Signature, 2); id != "12ab34cd-02" {
		t.Errorf("partition UUID %s", id)
	}
}

// A table is read back as it was written.
func TestRoundTrip(t *testing.T) {
	hosttest.Check(t, func(r *rapid.T) {
		table := Table{Signature: rapid.Uint32Min(1).Draw(r, "signature"), SectorSize: 512, Sectors: 1 << 33}
		start := int64(1)
		for range rapid.IntRange(1, MaxPartitions).Draw(r, "partitions") {
			start += rapid.Int64Range(0, 1<<28).Draw(r, "gap")
			p := Partition{Type: rapid.SampledFrom([]byte{0x0c, 0x82, 0x83, 0xea, 0xef}).Draw(r, "type"), Start: start}
			p.Sectors = rapid.Int64Range(1, 1<<29).Draw(r, "sectors")
			start += p.Sectors
			table.Partitions = append(table.Partitions, p)
		}
		got, err := Read(bytes.NewReader(bytesOf(r, table)), table.Sectors*512, 512)
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(table.Partitions, got.Partitions); diff != "" || got.Signature != table.Signature {
			r.Fatalf("-written +read:\n%s", diff)
		}
	})
}

func TestCheckRefuses(t *testing.T) {
	p := Partition{Type: 0x83, Start: 2048, Sectors: 100}
	for want, change := range map[string]func(*Table){
		"signature is zero":                    func(t *Table) { t.Signature = 0 },
		"5 partitions":                         func(t *Table) { t.Partitions = make([]Partition, 5) },
		"type 0x05":                            func(t *Table) { t.Partitions[0].Type = 5 },
		"0 sectors from sector 2048":           func(t *Table) { t.Partitions[0].Sectors = 0 },
		"100 sectors from sector 0":            func(t *Table) { t.Partitions[0].Start = 0 },
		"the disk has 1048576":                 func(t *Table) { t.Partitions[0].Sectors = 1 << 40 },
		"an MBR counts up to 4294967295":       func(t *Table) { t.Sectors = 1 << 40; t.Partitions[0].Start = 1 << 32 },
		"partition 1 has sectors 2048 to 2147": func(t *Table) { t.Partitions[1].Start = 2147 },
		"2 partitions are active":              func(t *Table) { t.Partitions[0].Active, t.Partitions[1].Active = true, true },
	} {
		second := p
		second.Start = 2148
		table := Table{Signature: 1, SectorSize: 512, Sectors: 1 << 20, Partitions: []Partition{p, second}}
		if err := table.Check(); err != nil {
			t.Fatal(err)
		}
		change(&table)
		if _, err := table.Extents(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(bytesOf(f, full))
	hosttest.Fuzz(f, func(t *testing.T, p []byte) {
		table, err := Read(bytes.NewReader(p), 1<<30, 512)
		if err == nil {
			bytesOf(t, table)
		}
	})
}
