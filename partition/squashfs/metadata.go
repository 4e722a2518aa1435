package squashfs

import (
	"errors"
	"fmt"
	"io"

	"imprint/internal/fault"
)

// A place is a byte of a table that is stored in metadata blocks.
type place struct {
	at  int64 // offset of the block in the image
	off int   // in the unpacked block
}

// A table is a run of metadata blocks.
type table struct {
	name     string
	from, to int64 // offsets in the image
	unused   int64 // bytes that were unpacked and not used
}

// place returns what a reference leads to: the offset of the block from the beginning of the table, and 16 bits for the offset in it.
func (t *table) place(ref uint64) place {
	return place{t.from + int64(ref>>16&(1<<47-1)), int(ref & 0xffff)}
}

// A metaBlock is an unpacked metadata block.
type metaBlock struct {
	data []byte
	next int64 // offset of what follows it in the image
}

// metadata reads the metadata block at an offset of the image, which must be in the table.
func (r *reader) metadata(t *table, at int64) (b metaBlock, err error) {
	if at < t.from || at >= t.to {
		return b, fmt.Errorf("metadata block at %d is not within the table of %s, bytes %d to %d", at, t.name, t.from, t.to-1)
	}
	b, err = r.blocks.Get(at, metadataSize, func() (metaBlock, error) { return r.readMetadata(at) })
	if err == nil && b.next > t.to {
		err = fmt.Errorf("ends at %d, after the table of %s at %d", b.next, t.name, t.to)
	}
	if err != nil {
		return b, fmt.Errorf("metadata block at %d: %w", at, err)
	}
	return b, nil
}

// readMetadata reads and unpacks a metadata block.
func (r *reader) readMetadata(at int64) (b metaBlock, err error) {
	var head [2]byte
	if err := readFull(r.image, head[:], at); err != nil {
		return b, err
	}
	size := int64(le.Uint16(head[:]) &^ uncompressed)
	if at += 2; size == 0 || size > metadataSize {
		return b, fmt.Errorf("has %d bytes, 1 to %d are allowed", size, metadataSize)
	}
	stored := make([]byte, size)
	if err := readFull(r.image, stored, at); err != nil {
		return b, err
	}
	if b.next = at + size; le.Uint16(head[:])&uncompressed != 0 {
		b.data = stored
		return b, nil
	}
	b.data = make([]byte, metadataSize)
	n, err := r.compression.unpack(b.data, stored)
	b.data = b.data[:n:n]
	if err == nil && n == 0 {
		err = errors.New("is empty when unpacked")
	}
	return b, err
}

// A cursor reads a table from a place on.
type cursor struct {
	*reader
	table   *table
	at      place
	counted bool // what it reads is part of the structure that no other may use

	held   metaBlock // the last one, at heldAt
	heldAt int64
}

// cursor returns one that counts what it reads.
func (r *reader) cursor(t *table, at place) *cursor {
	return &cursor{reader: r, table: t, at: at, counted: true}
}

// bytes reads n bytes.
func (c *cursor) bytes(n int) ([]byte, error) {
	p := make([]byte, n)
	return p, c.read(p)
}

// read fills p.
func (c *cursor) read(p []byte) error {
	want := int64(len(p))
	for len(p) > 0 {
		b, err := c.block()
		if err != nil {
			return err
		}
		if c.at.off > len(b.data) {
			return fmt.Errorf("metadata block at %d has %d bytes, and none at %d", c.at.at, len(b.data), c.at.off)
		}
		n := copy(p, b.data[c.at.off:])
		p, c.at.off = p[n:], c.at.off+n
		if len(p) > 0 {
			c.at = place{b.next, 0}
		}
	}
	if !c.counted {
		return nil
	}
	if c.table.unused -= want; c.table.unused < 0 {
		return fault.ErrOverlap
	}
	return nil
}

// errTooMuch is the error for metadata that unpacks to more than it may: see mostUnpacked.
var errTooMuch = fmt.Errorf("metadata unpacks to more than %d times the bytes of the file system", mostUnpacked)

// block returns the current block. When a block is first used, its bytes count as those that structure may use.
func (c *cursor) block() (b metaBlock, err error) {
	if c.heldAt == c.at.at {
		return c.held, nil
	}
	if b, err = c.metadata(c.table, c.at.at); err != nil {
		return b, err
	}
	c.held, c.heldAt = b, c.at.at
	if !c.counted || c.used[c.at.at] {
		return b, nil
	}
	c.used[c.at.at] = true
	c.table.unused += int64(len(b.data))
	if c.room -= int64(len(b.data)); c.room < 0 {
		return b, errTooMuch
	}
	return b, nil
}

// readFull fills b from offset at; an image that ends before is [io.ErrUnexpectedEOF].
func readFull(image io.ReaderAt, b []byte, at int64) error {
	n, err := image.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}
