package stream

import (
	"iter"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// ErrChanged is [tree.ErrChanged]: the length of a source has changed since the layout was made.
var ErrChanged = tree.ErrChanged

// A copying is the copy of one blob in progress.
type copying struct {
	To
	w      *Worker
	blob   tree.Blob
	reader tree.Reader
	at     int64 // bytes of the blob that were copied
	ended  bool  // the content ends at its expected size
}

// all copies the whole blob: parts with a place in the region through the window, the rest only to the hash.
func (c *copying) all() error {
	for _, e := range c.Places {
		if err := c.pass(e.At); err != nil {
			return err
		}
		for part := range pieces(e) {
			if err := c.put(part); err != nil {
				return err
			}
		}
	}
	if err := c.pass(c.blob.Size()); err != nil || c.ended {
		return err
	}
	return tree.CheckEnd(c.reader, c.blob)
}

// pieces yields the parts of an extent that lie in one piece of the disk each.
func pieces(e extent.Extent) iter.Seq[extent.Extent] {
	return func(yield func(extent.Extent) bool) {
		for e.Len > 0 {
			part := e.Cut(e.Off, (e.Off/PieceSize+1)*PieceSize)
			if !yield(part) {
				return
			}
			e = e.Cut(part.End(), e.End())
		}
	}
}

// put copies a part of the blob that lies in one piece of the disk. Blocks that the host's file system can share are not written, and are read,
// into the window, only if somebody wants their bytes.
func (c *copying) put(part extent.Extent) error {
	if n := c.share(part); n > 0 {
		if err := c.window(part.Cut(part.Off, part.Off+n), true); err != nil {
			return err
		}
		part = part.Cut(part.Off+n, part.End())
	}
	if part.Len == 0 {
		return nil
	}
	return c.window(part, false)
}

// window copies a part through the window.
func (c *copying) window(part extent.Extent, shared bool) error {
	p, err := c.w.window.claim(part.Off, part.Len, c.Grain, shared)
	if err != nil {
		return err
	}
	if shared && c.Hash == nil && len(c.Further) == 0 && !c.w.window.on.Digest.wants() {
		c.at += part.Len
		return nil
	}
	return c.take(p, func() error {
		if d := c.w.window.on.Digest; d == nil || d.NoSums {
			_, err := c.Hash.Write(p)
			return err
		}
		return c.w.window.tree.write(c.Hash, p, part.Off%PieceSize)
	})
}

// take reads the next part of the blob into p, calls hash if there is a hash, and writes the part to the further places. If p has room after
// it, the last part of the blob is read with one byte more, so that noticing a source that has grown costs no further system call.
func (c *copying) take(p []byte, hash func() error) (err error) {
	from := c.at
	if c.ended, err = tree.ReadNext(c.reader, c.blob, p, from); err != nil {
		return err
	}
	c.at += int64(len(p))
	if c.Hash != nil {
		if err := hash(); err != nil {
			return err
		}
	}
	return c.further(from, c.at, func(lo, hi, off int64) error { return c.w.disk.write(p[lo-from:hi-from], off) })
}

// further calls do for the parts of [from, to) of the blob that have a further place, with their offsets in the disk.
func (c *copying) further(from, to int64, do func(from, to, off int64) error) error {
	for _, e := range c.Further {
		if lo, hi := max(from, e.At), min(to, e.At+e.Len); lo < hi {
			if err := do(lo, hi, e.Off+lo-e.At); err != nil {
				return err
			}
		}
	}
	return nil
}

// passBuffer is the number of bytes read at once of content that is only hashed: few enough to stay in the processor's cache.
const passBuffer = 256 << 10

// pass reads the part before to, which has no place in the region: it is a hole, or the blob is stored elsewhere or nowhere.
func (c *copying) pass(to int64) error {
	if c.Hash == nil && len(c.Further) == 0 {
		c.at = to
		return nil
	}
	holes := dataAfter(c.blob, c.at)
	for c.at < to {
		data, n := holes(c.at, to)
		if !data {
			if err := c.zeros(n); err != nil {
				return err
			}
			continue
		}
		if c.w.scratch == nil {
			c.w.scratch = make([]byte, passBuffer)
		}
		p := c.w.scratch[:min(n, passBuffer)]
		if err := c.take(p, func() error { _, err := c.Hash.Write(p); return err }); err != nil {
			return err
		}
	}
	return nil
}

// zeros passes a hole of n bytes to the hash. Where it has a further place, the disk is zero already.
func (c *copying) zeros(n int64) error {
	err := c.further(c.at, c.at+n, func(from, to, off int64) error { return c.w.disk.written(off, to-from) })
	if err != nil {
		return err
	}
	c.at += n
	if zeros, ok := c.Hash.(tree.ZeroWriter); ok {
		return zeros.WriteZeros(n)
	}
	for n > 0 && c.Hash != nil {
		k := min(n, int64(len(zeroes)))
		if _, err := c.Hash.Write(zeroes[:k]); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

var zeroes [64 << 10]byte

// dataAfter returns a function that reports, for ascending offsets, whether data or a hole lies there, and how many bytes up to limit are of
// that kind.
func dataAfter(b tree.Blob, from int64) func(at, limit int64) (data bool, n int64) {
	ranges := tree.DataOf(b)
	return func(at, limit int64) (bool, int64) {
		for len(ranges) > 0 && ranges[0].End() <= at {
			ranges = ranges[1:]
		}
		switch {
		case len(ranges) == 0 || ranges[0].Off >= limit:
			return false, limit - at
		case ranges[0].Off > at:
			return false, ranges[0].Off - at
		}
		return true, min(limit, ranges[0].End()) - at
	}
}
