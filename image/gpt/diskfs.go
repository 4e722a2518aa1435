package gpt

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/partition/gpt"
	"github.com/google/uuid"
)

// This file is the only user of go-diskfs, which encodes headers and entries with their checksums and reads them back. What is
// done around its calls, and why:
//
//   - It validates nothing: [Table.Check] does so before a write, and headers are checked before it follows their numbers.
//   - It makes up missing identifiers: none are left empty.
//   - It panics on names that are too long and on short reads: guard turns a panic into an error.
//   - It writes to its own interface for files: writes keeps what it writes in memory, piece by piece.
//   - In the protective MBR it omits cylinders, heads and sectors, and on disks over 2 TiB it writes a wrong size: see protect.

// bytesOf returns the pieces that go-diskfs writes for a table.
func (t Table) bytesOf() ([]piece, error) {
	var w writes
	err := guard(func() error { return t.diskfs().Write(&w, t.Sectors*t.SectorSize) })
	return w.pieces, err
}

// diskfs converts the table for go-diskfs. Unused entries between partitions are kept: the index of an entry is the
// partition's number.
func (t Table) diskfs() *gpt.Table {
	d := &gpt.Table{
		LogicalSectorSize:  int(t.SectorSize),
		PhysicalSectorSize: int(t.SectorSize),
		GUID:               t.DiskGUID.String(),
		ProtectiveMBR:      true,
	}
	for i, p := range t.Partitions {
		if p == (Partition{}) {
			continue
		}
		d.Partitions = append(d.Partitions, &gpt.Partition{
			Index: i + 1,
			Start: uint64(p.Start),
			End:   uint64(p.Start + p.Sectors - 1),
			Size:  uint64(p.Sectors * t.SectorSize),
			Type:  gpt.Type(strings.ToUpper(p.Type.String())),
			Name:  p.Name,
			GUID:  p.UUID.String(), Attributes: p.Attributes,
		})
	}
	return d
}

// writes is a file that keeps the pieces written to it.
type writes struct {
	backend.WritableFile // nil: go-diskfs only calls WriteAt
	pieces               []piece
}

type piece struct {
	off   int64
	bytes []byte
}

// WriteAt implements io.WriterAt.
func (w *writes) WriteAt(p []byte, off int64) (int, error) {
	w.pieces = append(w.pieces, piece{off, bytes.Clone(p)})
	return len(p), nil
}

// guard turns a panic of the library into an error.
func guard(call func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("go-diskfs: %v", r)
		}
	}()
	return call()
}

// readEntries has go-diskfs read the entries. It trusts the numbers in the header, which is why the header was checked before.
func (t *Table) readEntries(r io.ReaderAt) error {
	var d *gpt.Table
	err := guard(func() (err error) {
		d, err = gpt.Read(&disk{r: r, size: t.Sectors * t.SectorSize}, int(t.SectorSize), int(t.SectorSize))
		return err
	})
	if err != nil {
		return err
	}
	if t.DiskGUID, err = uuid.Parse(d.GUID); err != nil {
		return err
	}
	for _, p := range d.Partitions {
		for len(t.Partitions) < p.Index {
			t.Partitions = append(t.Partitions, Partition{})
		}
		if t.Partitions[p.Index-1], err = fromDiskfs(p); err != nil {
			return err
		}
	}
	return nil
}

func fromDiskfs(p *gpt.Partition) (Partition, error) {
	kind, err := uuid.Parse(string(p.Type))
	if err != nil {
		return Partition{}, err
	}
	id, err := uuid.Parse(p.GUID)
	if err != nil {
		return Partition{}, err
	}
	return Partition{
		Name: p.Name, Type: kind, UUID: id, Attributes: p.Attributes,
		Start: int64(p.Start), Sectors: int64(p.End - p.Start + 1), // may be negative or past the disk; Check reports that
	}, nil
}

// A disk is a read-only file for go-diskfs.
type disk struct {
	backend.File // nil: go-diskfs calls only the methods below
	r            io.ReaderAt
	size         int64
}

// ReadAt implements io.ReaderAt.
func (d *disk) ReadAt(p []byte, off int64) (int, error) { return d.r.ReadAt(p, off) }

// Seek implements io.Seeker. go-diskfs only calls it to find the size.
func (d *disk) Seek(int64, int) (int64, error) { return d.size, nil }
