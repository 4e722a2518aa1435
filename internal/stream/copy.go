package stream

import (
	"errors"
	"fmt"
	"io"

	"imprint/internal/tree"
)

// ErrChanged is matched by errors about a source that has another length than when the layout was made.
var ErrChanged = errors.New("changed while it was read")

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
	return c.end()
}

// fetch fills p. With the last part of the blob it asks for one byte more than there should be, where p has room behind it, so that a
// source that has grown costs no further system call to notice.
func (c *copying) fetch(p []byte, at int64) error {
	if at+int64(len(p)) < c.blob.Size() || cap(p) == len(p) {
		return readFull(c.reader, c.blob, p, at)
	}
	n, err := c.reader.ReadAt(p[:len(p)+1], at)
	switch c.ended = true; {
	case n > len(p):
		return c.grown()
	case n < len(p):
		return readFull(c.reader, c.blob, p, at)
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// read implements feed.
func (c *copying) read(p []byte, _ int64) error { return c.take(p, c.at) }

// wanted implements feed.
func (c *copying) wanted() bool { return c.hash != nil || len(c.more) > 0 }

// skip implements feed.
func (c *copying) skip(n int64) { c.at += n }

// share implements feed: whole files of the host only, whose blocks start where the blob's do.
func (c *copying) share(off, n, _ int64) bool {
	f, ok := c.reader.(interface{ Fd() int })
	return ok && c.w.disk.share(f.Fd(), c.at, n, off)
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

// end makes sure that the blob is no longer than it was.
func (c *copying) end() error {
	var one [1]byte
	if n, _ := c.reader.ReadAt(one[:], c.blob.Size()); n > 0 {
		return c.grown()
	}
	return nil
}

func (c *copying) grown() error {
	return fmt.Errorf("%s %w: it grew beyond %d bytes", name(c.blob), ErrChanged, c.blob.Size())
}

// readFull reads exactly len(p) bytes; an earlier end means that the source has shrunk.
func readFull(r io.ReaderAt, b tree.Blob, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s %w: it ends at byte %d", name(b), ErrChanged, off+int64(n))
	}
	return err
}

// name is the host path of a blob that has one.
func name(b tree.Blob) string {
	if h, ok := b.(interface{ HostPath() string }); ok {
		return h.HostPath()
	}
	return "content"
}
