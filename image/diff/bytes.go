package diff

import (
	"bytes"
	"context"
	"io"
	"slices"
	"sort"

	"imprint/image/disk"
	"imprint/internal/processors"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
)

const (
	chunkSize = 4 << 20 // bytes that a worker compares at a time
	grain     = 4 << 10 // bytes: what differs is found in blocks of that size
)

// spans are ranges of bytes in order and apart.
type spans = tree.Range

// A holed reader knows holes: NextData returns the offset of the first byte from off on that may not be zero.
type holed interface {
	NextData(off int64) int64
}

// differing compares n bytes of two images, several chunks at a time, and returns the blocks that differ. What is a hole in both is
// not read.
func differing(ctx context.Context, a, b io.ReaderAt, n int64) ([]spans, error) {
	chunks := make([][]spans, (n+chunkSize-1)/chunkSize)
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(processors.Count())
	for i := int64(0); i < int64(len(chunks)) && within.Err() == nil; i++ {
		from, to := i*chunkSize, min(n, (i+1)*chunkSize)
		if data := min(nextData(a, from), nextData(b, from)); data >= to {
			i = max(i, min(data, n)/chunkSize-1)
			continue
		}
		group.Go(func() (err error) {
			if within.Err() != nil {
				return context.Cause(within)
			}
			chunks[i], err = compareChunk(a, b, from, to)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var all []spans
	for _, list := range chunks {
		for _, s := range list {
			all = extend(all, s)
		}
	}
	return all, nil
}

func nextData(r io.ReaderAt, off int64) int64 {
	if h, ok := r.(holed); ok {
		return h.NextData(off)
	}
	return off
}

// extend adds a span after the others, as a part of the last one where it follows that.
func extend(list []spans, s spans) []spans {
	if last := len(list) - 1; last >= 0 && list[last].End() == s.Off {
		list[last].Len += s.Len
		return list
	}
	return append(list, s)
}

func compareChunk(a, b io.ReaderAt, from, to int64) (list []spans, err error) {
	p, q := make([]byte, to-from), make([]byte, to-from)
	if err := readFull(a, p, from); err != nil {
		return nil, err
	}
	if err := readFull(b, q, from); err != nil {
		return nil, err
	}
	if bytes.Equal(p, q) {
		return nil, nil
	}
	for at := int64(0); at < int64(len(p)); at += grain {
		end := min(at+grain, int64(len(p)))
		if !bytes.Equal(p[at:end], q[at:end]) {
			list = extend(list, spans{Off: from + at, Len: end - at})
		}
	}
	return list, nil
}

// readFull reads all of p. An early end is an error.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}

// cut returns the parts of the spans that lie in [from, to), with offsets from there on.
func cut(list []spans, from, to int64) (parts []spans) {
	first := sort.Search(len(list), func(i int) bool { return list[i].End() > from })
	for _, s := range list[first:] {
		if s.Off >= to {
			break
		}
		off := max(s.Off, from)
		parts = append(parts, spans{Off: off - from, Len: min(s.End(), to) - off})
	}
	return parts
}

// littleSize is how many bytes of a disk may differ for the reason to be damage rather than another layout.
const littleSize = 64 << 10

// bytes compares the disks byte by byte, where that says something: their partitions have the same places, or little differs.
func (c *comparison) bytes() (err error) {
	a, b := c.a, c.b
	if c.Values || a.Size != b.Size {
		return nil
	}
	if c.differ, err = differing(c.ctx, a.Image(), b.Image(), a.Size); err != nil {
		return err
	}
	size := int64(0)
	for _, s := range c.differ {
		size += s.Len
	}
	c.little = size <= littleSize
	c.same = c.little || samePlaces(outer(a), outer(b))
	return nil
}

// samePlaces reports whether regions have the same places.
func samePlaces(x, y []*disk.Region) bool {
	return slices.EqualFunc(x, y, func(r, s *disk.Region) bool { return r.Offset == s.Offset && r.Size == s.Size })
}

// A tally is how two contents of the same size differ.
type tally struct {
	first, bytes int64 // the offset of the first byte that differs, and how many do
}

// contents compares two contents of equal size.
func contents(ctx context.Context, a, b tree.Blob) (t tally, err error) {
	if a == b {
		return t, nil
	}
	r, err := a.Open()
	if err != nil {
		return t, err
	}
	defer r.Close()
	s, err := b.Open()
	if err != nil {
		return t, err
	}
	defer s.Close()
	const size = 256 << 10
	p, q := make([]byte, min(size, a.Size())), make([]byte, min(size, a.Size()))
	for off := int64(0); off < a.Size(); {
		if ctx.Err() != nil {
			return t, context.Cause(ctx)
		}
		if off = min(tree.NextData(r, off), tree.NextData(s, off)); off >= a.Size() {
			break
		}
		n := min(size, a.Size()-off)
		if err := readFull(r, p[:n], off); err != nil {
			return t, err
		}
		if err := readFull(s, q[:n], off); err != nil {
			return t, err
		}
		t.count(p[:n], q[:n], off)
		off += n
	}
	return t, nil
}

// count adds the bytes that differ in a part at an offset.
func (t *tally) count(p, q []byte, off int64) {
	if bytes.Equal(p, q) {
		return
	}
	for i := range p {
		if p[i] == q[i] {
			continue
		}
		if t.bytes == 0 {
			t.first = off + int64(i)
		}
		t.bytes++
	}
}
