package serve

import (
	"context"
	"fmt"
	"io"

	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/extent"
	"imprint/internal/tree"

	"golang.org/x/sys/unix"
)

// layoutDisk is the disk of a layout.
type layoutDisk struct {
	*write.Prepared
	disk    *Disk
	sources sources
	readers readers
	filled  []tree.Range // what host tools have filled
	bare    []*plan.Item // items without content, which nothing reads: compared with their hashes at once
}

// Layout opens the disk of a layout. It looks at every source, and reads none. The caller closes the disk, and then discards p.
func Layout(ctx context.Context, p *write.Prepared) (*Disk, error) {
	l := &layoutDisk{Prepared: p, disk: newDisk(p.Plan.Name, p.Layout.Size), sources: sources{}}
	l.disk.read, l.disk.tag, l.disk.close = l.read, l.identity, l.readers.close
	if err := l.lookAtFilled(); err != nil {
		return nil, err
	}
	l.lookAtExtents()
	for _, r := range p.Layout.Regions {
		l.disk.regions = append(l.disk.regions, regionOf(r))
	}
	list, early := l.findChecks()
	if err := l.sources.record(ctx); err != nil {
		return nil, err
	}
	if err := l.checkEarly(ctx, early); err != nil {
		return nil, err
	}
	l.disk.checks.start(list, l.disk.end)
	return l.disk, nil
}

// regionOf returns the ranges of a region on the disk. A region that a host tool has put into another has none.
func regionOf(r *plan.Region) region {
	name := r.Partition.Spec.Name
	if r.In == nil {
		return region{name, []tree.Range{{Off: r.Offset, Len: r.Size}}}
	}
	var parts []tree.Range
	for _, e := range r.OnDisk([]extent.Extent{{Len: r.Size}}) {
		parts = append(parts, tree.Range{Off: e.Off, Len: e.Len})
	}
	return region{name, parts}
}

// lookAtFilled finds the data in the regions that host tools have filled.
func (l *layoutDisk) lookAtFilled() (err error) {
	if l.Filled != nil {
		l.filled, err = dataIn(l.Filled, l.Layout.Size)
	}
	return err
}

// dataIn returns the ranges of a file that are not holes.
func dataIn(f seeker, size int64) (list []tree.Range, err error) {
	for off := int64(0); off < size; {
		from, err := f.Seek(off, unix.SEEK_DATA)
		if isErrno(err, unix.ENXIO) {
			break
		}
		if err != nil || len(list) > mostRuns {
			return []tree.Range{{Off: 0, Len: size}}, nil // as if it had no holes
		}
		to, err := f.Seek(from, unix.SEEK_HOLE)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Name(), err)
		}
		list = merge(list, from, min(to, size)-from, size)
		off = to
	}
	return list, nil
}

// A seeker is a file whose holes can be found with SEEK_DATA and SEEK_HOLE.
type seeker interface {
	io.Seeker
	Name() string
}

// mostRuns is the number of runs of data beyond which the holes of a file are ignored, to bound memory.
const mostRuns = 1 << 20

// lookAtExtents collects the sources and the data of the disk.
func (l *layoutDisk) lookAtExtents() {
	filled, size := l.filled, l.Layout.Size
	before := func(off int64) {
		for ; len(filled) > 0 && filled[0].Off < off; filled = filled[1:] {
			l.disk.data = merge(l.disk.data, filled[0].Off, filled[0].Len, size)
		}
	}
	for e := range l.Layout.Extents(0) {
		before(e.Off)
		l.disk.data = merge(l.disk.data, e.Off, e.Len, size)
		l.sources.add(e.Blob)
	}
	before(size)
}

// read fills p with the bytes of the disk.
func (l *layoutDisk) read(p []byte, off int64) error {
	end := off + int64(len(p))
	if err := l.readFilled(p, off); err != nil {
		return err
	}
	for e := range l.Layout.Extents(off) {
		if e.Off >= end {
			break
		}
		e = e.Cut(off, end)
		part := p[e.Off-off : e.End()-off]
		for _, piece := range tree.Pieces(tree.Slice(e.Blob, e.At, e.Len)) {
			if err := l.readPiece(piece, part[:piece.Len]); err != nil {
				return err
			}
			part = part[piece.Len:]
		}
	}
	return nil
}

// readFilled fills p with the output of host tools, and zeros elsewhere.
func (l *layoutDisk) readFilled(p []byte, off int64) error {
	if l.Filled == nil {
		clear(p)
		return nil
	}
	if _, err := l.Filled.ReadAt(p, off); err != nil && err != io.EOF {
		return err
	}
	return nil
}

// readPiece reads a part of a source, whose fingerprint must match before and after, or of bytes that are not in a file.
func (l *layoutDisk) readPiece(piece tree.Piece, p []byte) error {
	src := l.sources[piece.Blob]
	if src == nil {
		return l.readBlob(piece, p)
	}
	path := tree.HostPath(piece.Blob)
	if err := src.same(path); err != nil {
		return err
	}
	if err := l.readBlob(piece, p); err != nil {
		if same := src.same(path); same != nil {
			return same // which names the item
		}
		return err
	}
	for _, c := range src.checks {
		l.disk.checks.touch(c)
	}
	return src.same(path)
}

func (l *layoutDisk) readBlob(piece tree.Piece, p []byte) error {
	r, err := l.readers.take(piece.Blob)
	if err != nil {
		return err
	}
	if err := tree.ReadFull(r, piece.Blob, p, piece.Off); err != nil {
		r.Close()
		return err
	}
	l.readers.put(piece.Blob, r)
	return nil
}
