package diff

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"slices"
	"sort"
	"sync"

	"imprint/image/disk"
	"imprint/internal/processors"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
)

const (
	chunkSize = 1 << 20 // bytes a worker compares at a time
	grain     = 4 << 10 // bytes; differences are located in blocks of this size
)

// spans is one range of a sorted list without overlaps, in bytes.
type spans = tree.Range

// A holed reader knows its holes. NextData returns the offset of the first byte at or after off that may not be zero.
type holed interface {
	NextData(off int64) int64
}

// differing compares parts of two images, several chunks at a time, and returns the blocks that differ. Holes of both are not read.
func differing(ctx context.Context, a, b io.ReaderAt, parts []tree.Range) (all []spans, err error) {
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(processors.Count())
	var mu sync.Mutex
	for _, part := range parts {
		for from := part.Off; from < part.End() && within.Err() == nil; {
			to := min(part.End(), (from/chunkSize+1)*chunkSize)
			if data := min(nextData(a, from), nextData(b, from)); data >= to {
				from = min(data, part.End())
				continue
			}
			start := from
			group.Go(func() error {
				list, err := compareChunk(a, b, start, to)
				mu.Lock()
				defer mu.Unlock()
				all = append(all, list...)
				return err
			})
			from = to
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	slices.SortFunc(all, func(x, y spans) int { return cmp.Compare(x.Off, y.Off) })
	return joined(all), nil
}

// joined returns sorted spans with adjacent ones merged.
func joined(list []spans) (all []spans) {
	for _, s := range list {
		all = extend(all, s)
	}
	return all
}

// dataOf returns the parts of two contents of equal size that are not holes in both.
func dataOf(a, b tree.Blob) (all []tree.Range) {
	list := slices.Concat(tree.DataOf(a), tree.DataOf(b))
	slices.SortFunc(list, func(x, y tree.Range) int { return cmp.Compare(x.Off, y.Off) })
	for _, r := range list {
		if last := len(all) - 1; last >= 0 && r.Off <= all[last].End() {
			all[last].Len = max(all[last].End(), r.End()) - all[last].Off
			continue
		}
		all = append(all, r)
	}
	return all
}

func nextData(r io.ReaderAt, off int64) int64 {
	if h, ok := r.(holed); ok {
		return h.NextData(off)
	}
	return off
}

// extend appends a span, or lengthens the last one if the two are adjacent.
func extend(list []spans, s spans) []spans {
	if last := len(list) - 1; last >= 0 && list[last].End() == s.Off {
		list[last].Len += s.Len
		return list
	}
	return append(list, s)
}

// buffers holds pairs of chunks, one for each image.
var buffers = sync.Pool{New: func() any { return new([2][chunkSize]byte) }}

func compareChunk(a, b io.ReaderAt, from, to int64) (list []spans, err error) {
	both := buffers.Get().(*[2][chunkSize]byte)
	defer buffers.Put(both)
	p, q := both[0][:to-from], both[1][:to-from]
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

// readFull fills p. It returns io.ErrUnexpectedEOF if r ends before that.
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

// cut returns the parts of the spans in [from, to), with offsets relative to from.
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

// littleSize is the number of differing bytes of a disk up to which damage is assumed, rather than another layout.
const littleSize = 64 << 10

// bytes compares the disks byte by byte. The result is used if their partitions have the same places, or little differs.
func (c *comparison) bytes() (err error) {
	a, b := c.a, c.b
	if c.Values || a.Size != b.Size {
		return nil
	}
	if c.differ, err = differing(c.ctx, a.Image(), b.Image(), []tree.Range{{Len: a.Size}}); err != nil {
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
	first, bytes int64 // offset of the first byte that differs, and their number
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
	const most = 256 << 10
	both := buffers.Get().(*[2][chunkSize]byte)
	defer buffers.Put(both)
	p, q := both[0][:most], both[1][:most]
	for _, part := range dataOf(a, b) {
		for off := part.Off; off < part.End(); off += most {
			if ctx.Err() != nil {
				return t, context.Cause(ctx)
			}
			n := min(most, part.End()-off)
			if err := readFull(r, p[:n], off); err != nil {
				return t, err
			}
			if err := readFull(s, q[:n], off); err != nil {
				return t, err
			}
			t.count(p[:n], q[:n], off)
		}
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
