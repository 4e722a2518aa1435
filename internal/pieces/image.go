package pieces

import (
	"errors"
	"fmt"
	"io"

	"imprint/internal/recent"
)

// Limits of disks that are read. Only hostile or very unusual files exceed them.
const (
	MaxSize  = 64 << 40 // bytes of a disk
	MaxSpan  = 64 << 20 // bytes of a span that is compressed as a whole
	maxCache = 32 << 20 // bytes of unpacked spans that are kept
)

// A Kind is a way to store the bytes of a span.
type Kind byte

// Kinds of spans.
const (
	Hole   Kind = iota // zeros, not stored
	Plain              // as they are
	Packed             // compressed
)

// A Span is a range of a disk whose bytes are stored in the same way.
type Span struct {
	Off, Len int64 // of the disk
	Kind     Kind
	At       int64 // offset in the file
	Stored   int64 // bytes in the file of a packed span
}

// A Map locates the bytes of a disk in a file. Its methods are called from several goroutines.
type Map interface {
	// Span returns a span that contains the byte at off of the disk.
	Span(off int64) (Span, error)
	// Unpack fills dst, which has the length of the packed span s, from its stored bytes.
	Unpack(s Span, dst, stored []byte) error
}

// An Image is a disk in a file of some format.
type Image struct {
	file io.ReaderAt
	size int64
	m    Map

	cache *recent.Cache[int64, []byte] // packed spans by their offsets
}

// NewImage returns the disk of size bytes that m locates in a file.
func NewImage(file io.ReaderAt, size int64, m Map) (*Image, error) {
	if size < 0 || size > MaxSize {
		return nil, fmt.Errorf("the disk has %d bytes; at most %d are read", uint64(size), int64(MaxSize))
	}
	return &Image{file, size, m, recent.New[int64, []byte](maxCache)}, nil
}

// Size returns the size of the disk in bytes.
func (i *Image) Size() int64 { return i.size }

// NextData returns the offset of the first byte at or after off that is stored, so may not be zero, or the size of the disk if there is none. It
// returns off if the map cannot be read there, so that reading returns the error.
func (i *Image) NextData(off int64) int64 {
	for off < i.size {
		s, err := i.span(off)
		if err != nil || s.Kind != Hole {
			return off
		}
		off = s.Off + s.Len
	}
	return i.size
}

// span returns the checked result of Map.Span, cut to the disk.
func (i *Image) span(off int64) (Span, error) {
	s, err := i.m.Span(off)
	if err != nil {
		return s, err
	}
	if s.Off > off || s.Len <= off-s.Off || s.At < 0 || s.Stored < 0 || s.Kind == Packed && (s.Len > MaxSpan || s.Stored > 2*MaxSpan) {
		return s, fmt.Errorf("the map of the disk is wrong at byte %d", off)
	}
	if s.Kind != Packed {
		s.Len = min(s.Len, i.size-s.Off)
	}
	return s, nil
}

// ReadAt implements io.ReaderAt.
func (i *Image) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	want := min(int64(len(p)), max(0, i.size-off))
	for done := int64(0); done < want; {
		n, err := i.read(p[done:want], off+done)
		if err != nil {
			return int(done), fmt.Errorf("byte %d of the disk: %w", off+done, err)
		}
		done += n
	}
	if want < int64(len(p)) {
		return int(want), io.EOF
	}
	return int(want), nil
}

// read reads the part of p that is in one span, and returns its length.
func (i *Image) read(p []byte, off int64) (int64, error) {
	s, err := i.span(off)
	if err != nil {
		return 0, err
	}
	skip := off - s.Off
	n := min(int64(len(p)), s.Len-skip)
	switch s.Kind {
	case Hole:
		clear(p[:n])
	case Plain:
		return n, ReadFull(i.file, p[:n], s.At+skip)
	case Packed:
		data, err := i.cache.Get(s.Off, s.Len, func() ([]byte, error) { return i.unpack(s) })
		if err != nil {
			return 0, err
		}
		copy(p[:n], data[skip:])
	}
	return n, nil
}

// unpack reads and unpacks a span. It reads the last stored byte first, so that a short file that claims a long span allocates nothing.
func (i *Image) unpack(s Span) ([]byte, error) {
	if err := ReadFull(i.file, make([]byte, 1), s.At+max(0, s.Stored-1)); err != nil {
		return nil, err
	}
	stored := make([]byte, s.Stored)
	if err := ReadFull(i.file, stored, s.At); err != nil {
		return nil, err
	}
	data := make([]byte, s.Len)
	return data, i.m.Unpack(s, data, stored)
}

// ReadFull fills p from a file. The error matches [io.ErrUnexpectedEOF] if the file is too short.
func ReadFull(file io.ReaderAt, p []byte, off int64) error {
	n, err := file.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == io.EOF {
		return fmt.Errorf("the file ends before byte %d: %w", off+int64(len(p)), io.ErrUnexpectedEOF)
	}
	return err
}
