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
	bare    []*plan.Item // without a byte of content, which are compared with their hashes at once
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

// checkEarly compares with their hashes what is not read later.
func (l *layoutDisk) checkEarly(ctx context.Context, pinned []tree.Blob) error {
	for _, b := range pinned {
		if err := write.CheckPinned(ctx, b); err != nil {
			return err
		}
	}
	for _, item := range l.bare {
		if err := write.CheckItem(ctx, item); err != nil {
			return err
		}
	}
	return nil
}

// regionOf returns where a region lies. One that a host tool has put into another is nowhere.
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

// dataIn returns what is no hole in a file.
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

// A seeker is a file whose holes the host's file system knows.
type seeker interface {
	io.Seeker
	Name() string
}

// mostRuns is how many runs of data a file may have for its holes to be looked for.
const mostRuns = 1 << 20

// lookAtExtents gathers the sources and the data of the disk.
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

// findChecks makes a check of every store item, and of every content with a pin. Those contents are checked early that the disk does not hold
// as they are: a boot program that was made of them, or one that the file system changes.
func (l *layoutDisk) findChecks() (list []*check, early []tree.Blob) {
	for _, item := range l.Plan.Items {
		if c := l.itemCheck(item); c != nil {
			list = append(list, c)
		}
	}
	known := map[tree.Blob]bool{}
	pinned := func(b tree.Blob) {
		if _, ok := tree.PinOf(b); !ok || known[b] {
			return
		}
		known[b] = true
		if pieces := tree.Pieces(b); len(pieces) == 0 || l.sources[pieces[0].Blob] == nil {
			early = append(early, b)
			return
		}
		c := &check{name: tree.HostPath(b)}
		c.run = func(ctx context.Context) error { return l.checkPinned(ctx, b) }
		list = append(list, c)
		l.sources.belong(b, []*check{c})
	}
	for _, b := range l.Plan.BootInputs {
		pinned(b)
	}
	for _, raw := range l.Plan.Raw {
		pinned(raw.Content)
	}
	for _, r := range l.Layout.Regions {
		if r.ByHostTool() {
			continue
		}
		if r.Tree == nil {
			for e := range r.Maker.Extents(0) {
				pinned(e.Blob)
			}
			continue
		}
		for n := range r.Tree.Nodes() {
			if n.Kind() == tree.File {
				pinned(n.Blob())
			}
		}
	}
	return list, early
}

// itemCheck makes the check of an item, nil where it has no files, or none that are read: host tools have had them.
func (l *layoutDisk) itemCheck(item *plan.Item) *check {
	c := &check{name: item.Info.Path.String()}
	c.run = func(ctx context.Context) error { return l.checkItem(ctx, item) }
	to, files, found := []*check{c}, 0, 0
	for _, n := range tree.Walk("", item.Node) {
		if n.Kind() == tree.File && n.Size() > 0 {
			files++
			found += l.sources.belong(n.Blob(), to)
		}
	}
	if files == 0 {
		l.bare = append(l.bare, item)
	}
	if found == 0 {
		return nil
	}
	return c
}

// checkItem compares an item with its hash. That it is what was served follows from its files being those that were recorded.
func (l *layoutDisk) checkItem(ctx context.Context, item *plan.Item) error {
	if err := write.CheckItem(ctx, item); err != nil {
		return err
	}
	for _, n := range tree.Walk("", item.Node) {
		if n.Kind() != tree.File {
			continue
		}
		if err := l.sources.same(n.Blob()); err != nil {
			return err
		}
	}
	return nil
}

func (l *layoutDisk) checkPinned(ctx context.Context, b tree.Blob) error {
	if err := write.CheckPinned(ctx, b); err != nil {
		return err
	}
	return l.sources.same(b)
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

// readFilled fills p with what host tools have made, and zeros.
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

// readPiece reads a part of a source, which must look as recorded before and afterwards, or bytes that come from no file.
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
