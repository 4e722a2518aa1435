// Package disk opens disk images, of imprint or of other tools: reading is the inverse of writing, and ends in the same values. An image is
// opened as regions; the file system of a region is a [tree.Tree] whose contents are parts of the image; a tree with a store's database in
// it is a [closure.Store]. What lists, extracts, compares and verifies images works on those three.
//
// Images come from anywhere: nothing in one is believed, and reading one takes time and memory in proportion to its structure at most.
package disk

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"imprint/closure"
	"imprint/image/gpt"
	"imprint/image/mbr"
	"imprint/internal/fault"
	"imprint/internal/tree"
	"imprint/partition"
)

// A Disk is an image that was opened.
type Disk struct {
	Size       int64  // bytes
	SectorSize int64  // bytes; 512 where there is no table to say another
	Table      string // one of the words of package partition; "" for a file system without a table
	ID         string // GUID of the disk, or signature of one with an MBR
	Regions    []*Region
	Entries    []Region // of the partition table, as it has them

	image   io.ReaderAt
	omit    []string      // directories whose contents are not read
	faults  []fault.Fault // of the partition table
	explain func(off int64) string
}

// A Region is a partition, or an image that is a file of another region.
type Region struct {
	Number     int // in the partition table, from 1 on; 0 for what is no entry of it
	Name       string
	Type       string // a name of the Discoverable Partitions Specification, or the GUID or number
	PartUUID   string
	Attributes uint64 // bits of the GPT entry
	Offset     int64  // bytes of the disk
	Size       int64  // bytes
	In         *Region
	Path       string // of the file that it is, in the region In

	Volume *partition.Volume // nil without a file system that can be read
	Kind   string            // of file system; "" where none is recognised
	Err    error             // why it cannot be read; nil where none is recognised

	content io.ReaderAt
	inner   []*Region // the files of it that are regions
}

// Open opens an image of so many bytes. An image that shows neither a partition table nor a file system is an error; a file system that
// cannot be read is said in its region.
func Open(image io.ReaderAt, size int64) (*Disk, error) { return open(image, size) }

// Outline is Open without store items: store directories appear empty. It takes a small part of the time, and suffices for what a store's
// database says.
func Outline(image io.ReaderAt, size int64) (*Disk, error) {
	var dirs []string
	for _, f := range closure.Flavors() {
		dirs = append(dirs, f.StoreDir)
	}
	return open(image, size, dirs...)
}

func open(image io.ReaderAt, size int64, omit ...string) (*Disk, error) {
	d := &Disk{Size: size, SectorSize: 512, image: image, omit: omit}
	if err := d.readTable(); err != nil {
		return nil, err
	}
	for _, r := range d.Regions {
		r.open(omit)
	}
	d.nested()
	return d, nil
}

// Image is all of the image.
func (d *Disk) Image() io.ReaderAt { return d.image }

// readTable finds the regions: those of a GPT or an MBR, and the file system that the whole disk is.
func (d *Disk) readTable() error {
	whole := &Region{Size: d.Size, content: d.image}
	whole.open(d.omit)
	if whole.Volume != nil && whole.Volume.Filesystem.WholeDisk {
		whole.Name, whole.Size = partition.ISO, min(d.Size, whole.Volume.Size)
		d.Regions = append(d.Regions, whole)
	}
	for _, read := range []func() bool{d.readGPT, d.readMBR} {
		if read() {
			return nil
		}
	}
	if len(d.Regions) > 0 {
		return nil
	}
	if whole.Kind == "" {
		return errors.New("neither a partition table nor a file system is recognised")
	}
	d.Regions = append(d.Regions, whole)
	return nil
}

// open opens what is in the region.
func (r *Region) open(omit []string) {
	if r.Volume != nil || r.Err != nil {
		return
	}
	v, f, err := partition.OpenPart(r.content, r.Size, omit...)
	if f != nil {
		r.Kind = f.Name
	}
	if r.Volume = v; err != nil && !errors.Is(err, partition.ErrUnknown) {
		r.Err = err
	}
}

// Unread returns the regions that may hold a file system for which there is no reader.
func (d *Disk) Unread() (list []*Region) {
	for _, r := range d.Regions {
		if r.Err == nil && r.mayHoldMore() {
			list = append(list, r)
		}
	}
	return list
}

// mayHoldMore reports whether there may be files in the region that were not read. There are none in one for swap or for GRUB's core image.
func (r *Region) mayHoldMore() bool {
	return r.Volume == nil && partition.PurposeOf(r.Type) == nil
}

// readGPT adds the partitions of a GPT, if there is one.
func (d *Disk) readGPT() bool {
	t, err := gpt.Inspect(d.image, d.Size, 0, d.fault)
	if err != nil {
		d.faults = nil // there is none
		return false
	}
	d.Table, d.SectorSize, d.ID = partition.GPT, t.SectorSize, t.DiskGUID.String()
	d.explain = func(off int64) string { return gpt.Explain(d.image, d.Size, d.SectorSize, off) }
	for i, p := range t.Partitions {
		if p == (gpt.Partition{}) {
			continue
		}
		if p.MBRType != 0 {
			d.Table = partition.HybridMBR
		}
		d.add(&Region{
			Number: i + 1, Name: p.Name, Type: partition.TypeOf(p.Type), PartUUID: p.UUID.String(), Attributes: p.Attributes,
			Offset: p.Start * t.SectorSize, Size: p.Sectors * t.SectorSize,
		})
	}
	return true
}

func (d *Disk) fault(f fault.Fault) { d.faults = append(d.faults, f) }

// readMBR adds the partitions of an MBR, if there is one.
func (d *Disk) readMBR() bool {
	t, err := mbr.Inspect(d.image, d.Size, 0, d.fault)
	if err != nil || len(t.Partitions) == 0 {
		d.faults = nil
		return false
	}
	d.Table, d.SectorSize, d.ID = partition.MBR, t.SectorSize, fmt.Sprintf("%08x", t.Signature)
	d.explain = func(off int64) string { return mbr.Explain(d.image, d.Size, d.SectorSize, off) }
	for i, p := range t.Partitions {
		if p != (mbr.Partition{}) {
			d.add(&Region{
				Number: i + 1, Type: fmt.Sprintf("0x%02x", p.Type), PartUUID: mbr.UUID(t.Signature, i+1),
				Offset: p.Start * t.SectorSize, Size: p.Sectors * t.SectorSize,
			})
		}
	}
	return true
}

// add adds a partition of the table. One that is the tree of an ISO is the region that is there already, by which it is read: its own
// volume begins later, and holds the same.
func (d *Disk) add(r *Region) {
	d.Entries = append(d.Entries, *r)
	if r.Offset < 0 || r.Size < 0 || r.Offset > d.Size || r.Size > d.Size-r.Offset {
		r.Err = fmt.Errorf("bytes %d to %d are not in the image of %d bytes", r.Offset, r.Offset+r.Size-1, d.Size)
		r.Size = 0
	}
	if len(d.Regions) > 0 && d.Regions[0].Number == 0 && r.Offset < d.Regions[0].Size {
		whole := d.Regions[0]
		whole.Number, whole.Name, whole.Type, whole.PartUUID, whole.Attributes = r.Number, r.Name, r.Type, r.PartUUID, r.Attributes
		return
	}
	r.content = io.NewSectionReader(d.image, r.Offset, r.Size)
	d.Regions = append(d.Regions, r)
}

// Find returns the region of that number or name, or the one that is a file at that path.
func (d *Disk) Find(name string) (*Region, error) {
	number, err := strconv.Atoi(name)
	var names []string
	for _, r := range d.Regions {
		if err == nil && r.Number == number || r.Name == name || r.In != nil && r.Path == name {
			return r, nil
		}
		names = append(names, r.String())
	}
	return nil, fmt.Errorf("there is no partition %q; there are %s", name, strings.Join(names, ", "))
}

// String names the region in messages.
func (r *Region) String() string {
	switch {
	case r.In != nil:
		return fmt.Sprintf("%v:%s", r.In, r.Path)
	case r.Name != "":
		return fmt.Sprintf("%q", r.Name)
	}
	if r.Number == 0 {
		return "whole disk"
	}
	return fmt.Sprintf("partition %d", r.Number)
}

// Blob is the region as content.
func (r *Region) Blob() tree.Blob { return tree.Slice(&whole{r.content, r.Size}, 0, r.Size) }

// whole is what a region reads as content.
type whole struct {
	content io.ReaderAt
	size    int64
}

// Size implements tree.Blob.
func (w *whole) Size() int64 { return w.size }

// Open implements tree.Blob.
func (w *whole) Open() (tree.Reader, error) {
	return wholeReader{io.NewSectionReader(w.content, 0, w.size)}, nil
}

type wholeReader struct{ *io.SectionReader }

// Close implements io.Closer.
func (wholeReader) Close() error { return nil }
