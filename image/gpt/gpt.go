// Package gpt lays out and reads the GUID partition table of a disk: the protective MBR, the table at the front and its backup
// at the end (UEFI specification 2.10, chapter 5; "UEFI, N" below is a section of it).
//
//	LBA 0          protective MBR, for tools that do not know GPT: one partition over the whole disk
//	LBA 1          header
//	LBA 2          128 entries of 128 bytes, up to LBA 33 with sectors of 512 bytes, LBA 5 with 4096; they may be further on
//	…              partitions
//	last sectors   the same entries, then the header in the very last one
//
// go-diskfs encodes and decodes the bytes, but validates nothing; so this package checks a table before it is written and after
// it was read.
//
// [Read] is strict, for programs: it takes a table only if both copies agree. [Inspect] is lenient, for people: it reports
// every fault and returns what can be used.
package gpt

import (
	"cmp"

	"imprint/internal/repro"
)

const (
	// MaxPartitions is the number of entries in every table here, which is also the minimum (UEFI, 5.3.1).
	MaxPartitions = 128
	entrySize     = 128 // bytes
	arraySize     = MaxPartitions * entrySize
	maxNameUnits  = 36 // UTF-16 units of a partition's name (UEFI, 5.3.3)
)

// A Table is the partition table of a disk.
type Table struct {
	DiskGUID   repro.UUID
	SectorSize int64       // logical sector of the disk in bytes: 512 or 4096
	Sectors    int64       // of the whole disk
	EntriesAt  int64       // first sector of the entries at the front; 0 for the one after the header
	Active     bool        // the protective partition is marked active; of a hybrid MBR, its first partition
	Partitions []Partition // partition number 1 first
}

// A Partition is an entry of the table. The zero Partition is an unused entry.
type Partition struct {
	Name       string     // up to 36 UTF-16 units; what Linux calls the PARTLABEL
	Type       repro.UUID // type: what the partition is for
	UUID       repro.UUID // unique
	Start      int64      // first sector
	Sectors    int64      // number of sectors
	Attributes uint64     // bits of UEFI, 5.3.3: 0 required, 1 no block I/O protocol, 2 bootable by a BIOS, 48 to 63 by partition type
	MBRType    byte       // of the record that a hybrid MBR has for it; 0 for none
}

// FirstUsable returns the first sector that a partition may use if the entries are after the header.
func FirstUsable(sectorSize int64) int64 { return Table{SectorSize: sectorSize}.FirstUsable() }

// FirstUsable returns the first sector that a partition may use.
func (t Table) FirstUsable() int64 { return t.EntriesSector() + arraySize/t.SectorSize }

// EntriesSector returns the first sector of the entries at the front.
func (t Table) EntriesSector() int64 { return cmp.Or(t.EntriesAt, afterHeader) }

// afterHeader is the sector after the header at the front.
const afterHeader = 2

// BackupSize returns the size in bytes of the backup at the end of the disk.
func BackupSize(sectorSize int64) int64 { return arraySize + sectorSize }

// lastUsable returns the last sector that a partition may use.
func (t Table) lastUsable() int64 { return t.Sectors - 1 - BackupSize(t.SectorSize)/t.SectorSize }
