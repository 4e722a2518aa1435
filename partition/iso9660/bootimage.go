package iso9660

import (
	"encoding/binary"
	"errors"
	"io"

	"imprint/internal/tree"
)

// The boot info table, in bytes of the image.
const (
	infoTable     = 8
	infoTableSize = 56
	infoChecksum  = infoTable + 12
	infoSummed    = infoTable + infoTableSize // the checksum is of the bytes from here on
	pointerSize   = 8
)

// A biosImage is the content of a BIOS image, patched as it is read: the patch holds block numbers, and so is known only when the image
// is laid out.
type biosImage struct {
	tree.Blob
	id int // of its node
	BIOSImage
	start int64 // block
}

// Open opens the image itself.
func (b *biosImage) Open() (tree.Reader, error) {
	r, err := b.Blob.Open()
	if err != nil {
		return nil, err
	}
	return &biosReader{r, b}, nil
}

type biosReader struct {
	tree.Reader
	image *biosImage
}

// ReadAt implements io.ReaderAt. A read of the checksum reads the whole image.
func (r *biosReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Reader.ReadAt(p, off)
	if !r.image.InfoTable {
		r.point(p[:n], off)
		return n, err
	}
	var table [infoTableSize]byte
	le := binary.LittleEndian
	le.PutUint32(table[0:], systemArea)
	le.PutUint32(table[4:], uint32(r.image.start))
	le.PutUint32(table[8:], uint32(r.image.Size()))
	if off < infoChecksum+4 && off+int64(n) > infoChecksum {
		sum, err := r.sum()
		if err != nil {
			return 0, err
		}
		le.PutUint32(table[infoChecksum-infoTable:], sum)
	}
	overlay(p[:n], off, table[:], infoTable)
	r.point(p[:n], off)
	return n, err
}

// point writes the pointers into p, which is at offset off.
func (r *biosReader) point(p []byte, off int64) {
	var b [pointerSize]byte
	for _, to := range r.image.Pointers {
		binary.LittleEndian.PutUint64(b[:], uint64(r.image.start*(block/bootSector)+to.Plus))
		overlay(p, off, b[:], to.At)
	}
}

// overlay copies the part of patch, which is at offset at, that lies in p, which is at offset off.
func overlay(p []byte, off int64, patch []byte, at int64) {
	from, to := max(at, off), min(at+int64(len(patch)), off+int64(len(p)))
	if from < to {
		copy(p[from-off:to-off], patch[from-at:])
	}
}

// sum returns the sum of the 32-bit words after the table, the last one padded with zeros. Pointers count with their final values.
func (r *biosReader) sum() (sum uint32, err error) {
	buf := make([]byte, 64<<10)
	for off, size := int64(infoSummed), r.image.Size(); off < size; off += int64(len(buf)) {
		p := buf[:min(int64(len(buf)), size-off)]
		n, err := r.Reader.ReadAt(p, off)
		if n < len(p) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		r.point(p, off)
		clear(buf[len(p):])
		for i := 0; i < len(p); i += 4 {
			sum += binary.LittleEndian.Uint32(buf[i:])
		}
	}
	return sum, nil
}
