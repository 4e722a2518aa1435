// Package restore makes a disk again from its extents, all of it or the parts that differ from another disk, and computes its digest on the way. It
// knows blobs and offsets alone.
package restore

import (
	"context"

	"imprint/internal/extent"
	"imprint/internal/processors"
	"imprint/internal/tree"
	"imprint/internal/verity"

	"golang.org/x/sync/errgroup"
)

// Piece is the length in bytes of the pieces in which a whole disk is made.
const Piece = 4 << 20

// A Disk is a disk that can be read at any offset.
type Disk struct {
	Size   int64
	Source extent.Source
}

// Sums are the digests of all spans of a disk (see [verity.Span]), also of those that are zeros.
type Sums []verity.Hash

// NewSums returns the sums of a disk of zeros.
func NewSums(size int64) Sums {
	list := make(Sums, (size+verity.Span-1)/verity.Span)
	zero := make([]byte, verity.Span)
	full := verity.Digests(size, zero[:min(size, verity.Span)])
	for i := range list {
		list[i] = full[0]
	}
	if rest := size % verity.Span; rest > 0 {
		list[len(list)-1] = verity.Digests(size, zero[:rest])[0]
	}
	return list
}

// set computes the sums of a part of the disk that begins with a span.
func (s Sums) set(size, off int64, part []byte) {
	copy(s[off/verity.Span:], verity.Digests(size, part))
}

// Measure returns the digest of the disk of size bytes.
func (s Sums) Measure(size int64) string {
	var root verity.Root
	root.Add(size, s)
	return verity.Measure(size, root.Sum()).String()
}

// MeasurePart returns the digest of the n bytes at off, as of a file of them. It reads from the disk what is no whole span.
func (s Sums) MeasurePart(d Disk, off, n int64) (string, error) {
	var root verity.Root
	buf := make([]byte, verity.Span)
	for at := off; at < off+n; at += verity.Span {
		part := buf[:min(verity.Span, off+n-at)]
		if at%verity.Span == 0 && len(part) == verity.Span && n > verity.BlockSize {
			root.Add(verity.Span, s[at/verity.Span:][:1])
			continue
		}
		if err := extent.ReadAt(d.Source, part, at); err != nil {
			return "", err
		}
		root.Add(int64(len(part)), verity.Digests(n, part))
	}
	return verity.Measure(n, root.Sum()).String(), nil
}

// Units returns the numbers of the units of unit bytes that have a byte of ranges, which are sorted.
func Units(ranges []tree.Range, unit int64) (list []int64) {
	next := int64(0)
	for _, r := range ranges {
		for n := max(next, r.Off/unit); n*unit < r.End(); n++ {
			list = append(list, n)
			next = n + 1
		}
	}
	return list
}

// each reads units of the disk, several at a time, and passes each on, with its offset.
func (d Disk) each(ctx context.Context, units []int64, unit int64, do func(off int64, part []byte) error) error {
	group, ctx := errgroup.WithContext(ctx)
	next := make(chan int64)
	for range processors.Count() {
		group.Go(func() error {
			r := &reader{open: map[tree.Blob]tree.Reader{}}
			defer r.close()
			buf := make([]byte, unit)
			for n := range next {
				part := buf[:min(unit, d.Size-n*unit)]
				if err := r.read(d.Source, part, n*unit); err != nil {
					return err
				}
				if err := do(n*unit, part); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(next)
		for _, n := range units {
			select {
			case next <- n:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	return group.Wait()
}

// Take gets each piece of a disk that is not a hole. It is called from several goroutines, and does not keep the content.
type Take func(piece int64, content []byte) error

// Whole passes all pieces with data on, in about their order, and returns the sums of the disk.
func (d Disk) Whole(ctx context.Context, data []tree.Range, take Take) (Sums, error) {
	sums := NewSums(d.Size)
	return sums, d.each(ctx, Units(data, Piece), Piece, func(off int64, part []byte) error {
		sums.set(d.Size, off, part)
		return take(off/Piece, part)
	})
}
