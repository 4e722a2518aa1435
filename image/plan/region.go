package plan

import (
	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/partition"
)

// A Region is where a partition lies and what is in it. It is a range of the disk, or a file of another region: then its bytes
// are where that file's are, possibly in several parts.
type Region struct {
	Partition *Partition
	Offset    int64 // on the disk, bytes; 0 for a file of another region, see Range
	Size      int64 // bytes
	Maker     partition.Maker
	Tree      *tree.Tree // with nested file systems in place; nil without a file system
	In        *Region    // the region that it is a file of; nil for a range of the disk

	lead    int64     // bytes at the front that the table's entry excludes: the system area of an ISO
	content tree.Blob // of the file, for a region inside another
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

// ByHostTool reports whether a host tool fills the region, has packed its content, or gets it as a file.
func (r *Region) ByHostTool() bool {
	_, packed := r.Maker.(partition.Made)
	return packed || r.MadeByHost() || r.Apart()
}

// OnDisk moves extents of the region to their offsets on the disk. It may split them: a file that is a region can lie in
// several parts, as on ext4, where block group metadata interrupts it.
func (r *Region) OnDisk(list []extent.Extent) []extent.Extent {
	if r.In != nil {
		return extent.Through(r.file(), list)
	}
	for i := range list {
		list[i].Off += r.Offset
	}
	return list
}

// Place appends the extents of a file's content on the disk to list. In a region that a host tool makes, files have no known
// place, and it appends none.
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

// file returns, and keeps, the extents on the disk of the file that the region is.
func (r *Region) file() []extent.Extent {
	if r.outer == nil {
		r.outer = r.In.Place(nil, r.In.Tree.Find(r.Partition.Path))
	}
	return r.outer
}

// Range returns the offset of the region on the disk and its size in bytes, and whether it lies there in one part. A file of
// another region may lie in several, of which off is the first, or nowhere: a host tool puts it where it likes.
func (r *Region) Range() (off, size int64, whole bool) {
	if r.In == nil {
		return r.Offset, r.Size, true
	}
	if file := r.file(); len(file) > 0 {
		return file[0].Off, r.Size, len(file) == 1
	}
	return 0, r.Size, false
}

// start returns the offset of the region on the disk, nil if it is not known, or if the region has no bytes.
func (r *Region) start() *int64 {
	off, _, _ := r.Range()
	if r.In != nil && len(r.file()) == 0 {
		return nil
	}
	return &off
}

// Apart reports whether the region is a file, at any depth, of one that a host tool makes, and so has no extents on the disk.
func (r *Region) Apart() bool {
	if r.In == nil {
		return false
	}
	_, placer := r.In.Maker.(partition.Placer)
	return !placer || r.In.Apart()
}

// Alone returns the layout of a region that is a file of another one, and of those inside it, as if it were a disk.
func (l *Layout) Alone(whole *Region) *Layout {
	alone := &Layout{Size: whole.Size}
	copies := map[*Region]*Region{}
	var with func(r *Region)
	with = func(r *Region) {
		c := *r
		c.In, c.outer = copies[r.In], nil
		copies[r] = &c
		alone.Regions = append(alone.Regions, &c)
		for _, inner := range l.Regions {
			if inner.In == r {
				with(inner)
			}
		}
	}
	with(whole)
	return alone
}

// Covers reports whether a hash tree covers a region: that of its partition, or of one around it.
func (l *Layout) Covers(r *Region) bool {
	for r.In != nil {
		r = r.In
	}
	return r.Partition.Verity != ""
}
