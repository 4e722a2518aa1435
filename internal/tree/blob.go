package tree

import "io"

// A Blob is content of a known size: a host file, a slice of an archive, bytes in memory, or bytes generated when they are read.
// Blobs are comparable: two nodes with the same Blob have the same content, which is then read once.
//
// Some blobs can do more: they are a [SparseBlob], [HostBlob] or [PartBlob]. Callers should not assert these interfaces but
// call [DataOf], [HostPath] and [Origin], which look through wrappers such as [Slice] and [Sparse].
type Blob interface {
	// Open returns a reader of exactly Size bytes. Reading past the end returns io.EOF, unless the content has grown since:
	// then the reader may return more, and the caller reports it.
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

// End returns the offset after the range.
func (r Range) End() int64 { return r.Off + r.Len }

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
