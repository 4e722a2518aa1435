package tree

import "io"

// A Blob is content of a known size: a host file, a slice of an archive, bytes in memory, or bytes made when asked for.
// Blobs are comparable: two nodes with the same Blob have the same content, which is then read once.
type Blob interface {
	// Open gives a reader of exactly Size bytes. Reading past the end gives io.EOF, unless the content has grown since:
	// then the reader may give more, and the caller reports it.
	Open() (Reader, error)
	Size() int64
}

// A Reader reads a blob at any offset.
type Reader interface {
	io.ReaderAt
	io.Closer
}

// A Range is a part of a blob: bytes [Off, Off+Len).
type Range struct{ Off, Len int64 }

// A SparseBlob knows which parts of it may hold other bytes than zeros.
type SparseBlob interface {
	Blob
	// Data gives those parts, in order and apart from one another.
	Data() []Range
}

// DataOf gives the parts of a blob that must be stored: all of it unless it is sparse.
func DataOf(b Blob) []Range {
	if s, ok := b.(SparseBlob); ok {
		return s.Data()
	}
	if b.Size() == 0 {
		return nil
	}
	return []Range{{0, b.Size()}}
}

// Text is content in memory.
func Text(s string) Blob { return text(s) }

type text string

func (t text) Size() int64           { return int64(len(t)) }
func (t text) Open() (Reader, error) { return textReader{t}, nil }

type textReader struct{ text }

func (r textReader) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(r.text)) {
		return 0, io.EOF
	}
	n := copy(p, r.text[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (textReader) Close() error { return nil }

// Sparse is a blob of which only the given ranges, in order and apart, hold other bytes than zeros.
func Sparse(b Blob, data []Range) Blob { return &sparse{b, data} }

type sparse struct {
	Blob
	data []Range
}

// Data implements SparseBlob.
func (s *sparse) Data() []Range { return s.data }

// Unwrap is the same content as a blob that does not know its holes.
func (s *sparse) Unwrap() Blob { return s.Blob }

// HostPath is the path of the file that the blob is, or "content".
func (s *sparse) HostPath() string {
	if h, ok := s.Blob.(interface{ HostPath() string }); ok {
		return h.HostPath()
	}
	return "content"
}
