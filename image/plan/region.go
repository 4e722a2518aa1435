package plan

import (
	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/partition"
)

// A Region is where a partition lies, and what is in it: a range of the disk, or a file of the partition in another region.
type Region struct {
	Partition *Partition
	Offset    int64 // of the disk, bytes; of a file of another region see Range
	Size      int64 // bytes
	Maker     partition.Maker
	Tree      *tree.Tree // as it is laid out; nil without a file system
	In        *Region    // the region that it is a file of; nil for a range of the disk

	lead    int64     // bytes at the front that are not the partition's in the table: the system area of an ISO
	content tree.Blob // of the file that it is
	outer   []extent.Extent
}

// MadeByHost reports whether a host tool makes the region, so that its extents are not known.
func (r *Region) MadeByHost() bool {
	switch r.Maker.(type) {
	case partition.HostMade, partition.Packed:
		return true
	}
	return false
}

// OnDisk moves extents of the region to where they lie on the disk, splitting those that cross the parts of a file.
func (r *Region) OnDisk(list []extent.Extent) []extent.Extent {
	if r.In != nil {
		return extent.Through(r.file(), list)
	}
	for i := range list {
		list[i].Off += r.Offset
	}
	return list
}

// Place appends where on the disk the content of a file lies. Without a Placer, which a host tool's region has not, it is nowhere.
func (r *Region) Place(list []extent.Extent, n *tree.Node) []extent.Extent {
	placer, ok := r.Maker.(partition.Placer)
	if !ok {
		return list
	}
	if r.In == nil {
		first := len(list)
		list = placer.Place(list, n)
		r.OnDisk(list[first:])
		return list
	}
	return append(list, r.OnDisk(placer.Place(nil, n))...)
}

// file is where on the disk the file lies that the region is.
func (r *Region) file() []extent.Extent {
	if r.outer == nil {
		r.outer = r.In.Place(nil, r.In.Tree.Find(r.Partition.Path))
	}
	return r.outer
}

// Range is where the region begins on the disk, and how many bytes it takes.
func (r *Region) Range() (off, size int64) {
	if r.In == nil {
		return r.Offset, r.Size
	}
	if file := r.file(); len(file) > 0 {
		return file[0].Off, r.Size
	}
	return 0, r.Size
}
