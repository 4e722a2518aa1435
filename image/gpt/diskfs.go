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

// This file is all that go-diskfs is used for: the bytes of headers and entries with their checksums, and reading them back. What is done
// around its calls, and why:
//
//   - It validates nothing: [Table.Check] does so before a write, and headers are checked before it follows their numbers.
//   - It makes identifiers up where there are none: none are left empty.
//   - It panics on names that are too long, and on short reads: a panic is an error here.
//   - It writes to a file of its own kind: what it writes is kept in memory, as pieces.
//   - Of the protective MBR it leaves out cylinders, heads and sectors, and on disks over 2 TiB it writes a wrong size: see protect.

// bytesOf returns what go-diskfs writes for a table, piece by piece.
func (t Table) bytesOf() ([]piece, error) {
	var w writes
	err := guard(func() error { return t.diskfs().Write(&w, t.Sectors*t.SectorSize) })
	return w.pieces, err
}

// diskfs is the table in the terms of go-diskfs, with nothing left for it to make up.
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

// writes keeps what is written to it.
type writes struct {
	backend.WritableFile // nil: a table is written with WriteAt alone
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

// readEntries takes what go-diskfs reads. It believes the header's numbers, for which reason that was checked before.
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
		Start: int64(p.Start), Sectors: int64(p.End - p.Start + 1), // what is past the disk is negative or too large, and refused by Check
	}, nil
}

// A disk is what go-diskfs reads a table from.
type disk struct {
	backend.File // nil: it calls no other methods than those below
	r            io.ReaderAt
	size         int64
}

// ReadAt implements io.ReaderAt.
func (d *disk) ReadAt(p []byte, off int64) (int, error) { return d.r.ReadAt(p, off) }

// Seek implements io.Seeker for the one thing it is called for, to learn the size.
func (d *disk) Seek(int64, int) (int64, error) { return d.size, nil }
