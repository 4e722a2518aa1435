package iso9660

import (
	"fmt"
	"io"

	"imprint/internal/tree"
)

// A record is a directory record (ECMA-119, 9.1).
type record struct {
	start int64 // block
	size  int64 // bytes
	flags byte
	id    string
	use   []byte // the system use area
}

// File flags of a record.
const (
	isDirectory = 1 << 1
	hasMore     = 1 << 7 // the file goes on in the next record
)

// recordHeader is the length of a record before its identifier.
const recordHeader = 33

// parseRecord reads a record of which p is all.
func parseRecord(p []byte) (record, error) {
	if len(p) < recordHeader+1 || recordHeader+int(p[32]) > len(p) {
		return record{}, fmt.Errorf("directory record of %d bytes", len(p))
	}
	start, err := both(p[2:])
	if err != nil {
		return record{}, err
	}
	size, err := both(p[10:])
	if err != nil {
		return record{}, err
	}
	n := recordHeader + int(p[32])
	r := record{start: start + int64(p[1]), size: size, flags: p[25], id: string(p[recordHeader:n])}
	if n += n & 1; n < len(p) { // the identifier is padded to an odd length, the header being odd
		r.use = p[n:]
	}
	return r, nil
}

// A reader reads the tree of an image once.
type reader struct {
	image io.ReaderAt
	size  int64 // bytes
	skip  int   // bytes before the first entry of a system use area
	spent int64 // bytes of directories and continuation areas read
	seen  map[int64]bool
	attrs map[attrKey]*tree.Attr
}

// read fills p from the image.
func (rd *reader) read(p []byte, off int64) error {
	if off < 0 || off > rd.size-int64(len(p)) {
		return fmt.Errorf("%d bytes at %d of an image of %d", len(p), off, rd.size)
	}
	n, err := rd.image.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	return err
}

// spend counts bytes of structure: together they are no more than the image, unless parts of it are used several times.
func (rd *reader) spend(n int64) error {
	if rd.spent += n; rd.spent > rd.size {
		return fmt.Errorf("directories of more than the image's %d bytes", rd.size)
	}
	return nil
}

// records calls do for every record of a directory, its own and its parent's included.
func (rd *reader) records(dir record, do func(record) error) error {
	if rd.seen[dir.start] {
		return fmt.Errorf("the directory at block %d is there twice", dir.start)
	}
	rd.seen[dir.start] = true
	if err := rd.spend(dir.size); err != nil {
		return err
	}
	var buf [block]byte
	for off := int64(0); off < dir.size; off += block {
		p := buf[:min(block, dir.size-off)]
		if err := rd.read(p, dir.start*block+off); err != nil {
			return err
		}
		if err := eachRecord(p, do); err != nil {
			return err
		}
	}
	return nil
}

// eachRecord goes through the records of one block; zeros fill the rest of it.
func eachRecord(p []byte, do func(record) error) error {
	for len(p) > 0 && p[0] != 0 {
		if int(p[0]) > len(p) {
			return fmt.Errorf("directory record of %d bytes where %d are left", p[0], len(p))
		}
		r, err := parseRecord(p[:p[0]])
		if err != nil {
			return err
		}
		if err := do(r); err != nil {
			return err
		}
		p = p[p[0]:]
	}
	return nil
}
