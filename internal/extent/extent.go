// Package extent says what lies where in a region of a disk without any byte of it written: sorted, disjoint pieces, each backed by
// a slice of a blob. What no extent covers is a hole and reads as zero.
package extent

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"sort"

	"imprint/internal/tree"
)

// An Extent is Len bytes at offset Off of a region, backed by the bytes of Blob from At on. All are in bytes.
type Extent struct {
	Off, Len int64
	Blob     tree.Blob
	At       int64
	Meta     bool // the region's own structure, not the content of a file in it
}

// End is the offset behind the extent.
func (e Extent) End() int64 { return e.Off + e.Len }

// A Source is the content of a region as extents.
type Source interface {
	// Extents yields the extents that end behind from, in the order of their offsets.
	Extents(from int64) iter.Seq[Extent]
}

// A List is a Source held in memory: sorted by offset and disjoint.
type List []Extent

// Extents implements Source.
func (l List) Extents(from int64) iter.Seq[Extent] {
	first := sort.Search(len(l), func(i int) bool { return l[i].End() > from })
	return func(yield func(Extent) bool) {
		for _, e := range l[first:] {
			if !yield(e) {
				return
			}
		}
	}
}

// Sort puts the list in order and refuses overlaps and extents outside [0, size).
func (l List) Sort(size int64) error {
	sort.Slice(l, func(i, j int) bool { return l[i].Off < l[j].Off })
	end := int64(0)
	for _, e := range l {
		if e.Off < end || e.Len < 0 || e.End() > size {
			return fmt.Errorf("extent of %d bytes at %d overlaps its neighbour or leaves the region of %d bytes", e.Len, e.Off, size)
		}
		end = e.End()
	}
	return nil
}

// ReadAt fills p with the bytes of the region from off on: those of the extents, and zeros between them.
func ReadAt(s Source, p []byte, off int64) error {
	clear(p)
	end := off + int64(len(p))
	for e := range s.Extents(off) {
		if e.Off >= end {
			break
		}
		from, to := max(e.Off, off), min(e.End(), end)
		if err := readBlob(e.Blob, p[from-off:to-off], e.At+from-e.Off); err != nil {
			return err
		}
	}
	return nil
}

func readBlob(b tree.Blob, p []byte, at int64) error {
	r, err := b.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := r.ReadAt(p, at)
	if n == len(p) || err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Generated is a blob whose bytes are made when asked for. Read fills p with the bytes from off on; it must give the same bytes
// whenever and however often it is called, from several goroutines at once.
func Generated(size int64, read func(p []byte, off int64)) tree.Blob { return &generated{size, read} }

type generated struct {
	size int64
	read func(p []byte, off int64)
}

func (g *generated) Size() int64                { return g.size }
func (g *generated) Open() (tree.Reader, error) { return g, nil }
func (g *generated) Close() error               { return nil }

// ReadAt implements io.ReaderAt.
func (g *generated) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), max(0, g.size-off)))
	g.read(p[:n], off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
