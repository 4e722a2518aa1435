package stream

import (
	"io"

	"imprint/internal/tree"
)

// ErrChanged is [tree.ErrChanged]: a source has another length than when the layout was made.
var ErrChanged = tree.ErrChanged

// copying is one blob on its way.
type copying struct {
	w      *Worker
	blob   tree.Blob
	reader tree.Reader
	hash   io.Writer
	more   []Place
	grain  int64
	at     int64 // bytes of the blob that have passed
	ended  bool  // the blob's end was seen where it should be
}

// all moves the whole blob: parts with a place through the window, others past the hash alone.
func (c *copying) all(first []Place) error {
	for _, e := range first {
		if err := c.pass(e.At); err != nil {
			return err
		}
		err := c.w.window.put(e.Off, e.Len, c.grain, c)
		if err != nil {
			return err
		}
	}
	if err := c.pass(c.blob.Size()); err != nil || c.ended {
		return err
	}
	return tree.CheckEnd(c.reader, c.blob)
}

// fetch fills p. Where p has room after it, the last part of the blob is read with one byte more, so that a source that has grown costs
// no further system call to notice.
func (c *copying) fetch(p []byte, at int64) (err error) {
	c.ended, err = tree.ReadNext(c.reader, c.blob, p, at)
	return err
}

// read implements feed.
func (c *copying) read(p []byte, _ int64) error { return c.take(p, c.at) }

// wanted implements feed.
func (c *copying) wanted() bool { return c.hash != nil || len(c.more) > 0 }

// skip implements feed.
func (c *copying) skip(n int64) { c.at += n }

// share implements feed, for blobs that lie in one run in a file of the host.
func (c *copying) share(off, n, _ int64) bool {
	fd, at, ok := tree.Descriptor(c.reader)
	return ok && c.w.disk.share(fd, at+c.at, n, off)
}

// take reads the next part of the blob into p, hashes it, and writes it to the further places.
func (c *copying) take(p []byte, at int64) error {
	if err := c.fetch(p, at); err != nil {
		return err
	}
	c.at = at + int64(len(p))
	if c.hash != nil {
		if _, err := c.hash.Write(p); err != nil {
			return err
		}
	}
	return c.further(at, c.at, func(from, to, off int64) error { return c.w.disk.write(p[from-at:to-at], off) })
}

// further calls do for the parts of [from, to) of the blob that have a further place, with their offsets in the disk.
func (c *copying) further(from, to int64, do func(from, to, off int64) error) error {
	for _, e := range c.more {
		if lo, hi := max(from, e.At), min(to, e.At+e.Len); lo < hi {
			if err := do(lo, hi, e.Off+lo-e.At); err != nil {
				return err
			}
		}
	}
	return nil
}

// pass moves the part before to, which has no first place: it is a hole, or the blob is stored elsewhere or nowhere.
func (c *copying) pass(to int64) error {
	if c.hash == nil && len(c.more) == 0 {
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
			c.w.scratch = make([]byte, 256<<10)
		}
		if err := c.take(c.w.scratch[:min(n, int64(len(c.w.scratch)))], c.at); err != nil {
			return err
		}
	}
	return nil
}

// zeros feeds a hole of n bytes to the hash. Where it has a further place, the disk is zero already.
func (c *copying) zeros(n int64) error {
	err := c.further(c.at, c.at+n, func(from, to, off int64) error { return c.w.disk.written(off, to-from) })
	if err != nil {
		return err
	}
	c.at += n
	for n > 0 && c.hash != nil {
		k := min(n, int64(len(zeroes)))
		if _, err := c.hash.Write(zeroes[:k]); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

var zeroes [64 << 10]byte

// dataAfter gives a function that tells, for an offset that only grows, whether data or a hole lies there, and how many bytes up to
// limit are of that kind.
func dataAfter(b tree.Blob, from int64) func(at, limit int64) (data bool, n int64) {
	ranges := tree.DataOf(b)
	return func(at, limit int64) (bool, int64) {
		for len(ranges) > 0 && ranges[0].Off+ranges[0].Len <= at {
			ranges = ranges[1:]
		}
		switch {
		case len(ranges) == 0 || ranges[0].Off >= limit:
			return false, limit - at
		case ranges[0].Off > at:
			return false, ranges[0].Off - at
		}
		return true, min(limit, ranges[0].Off+ranges[0].Len) - at
	}
}
