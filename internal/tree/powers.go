package tree

import "io"

// A SparseBlob knows its holes.
type SparseBlob interface {
	Blob
	// Data returns the parts that may hold other bytes than zeros, in order and apart from one another.
	Data() []Range
}

// A PlacedBlob lies in an image of a file system.
type PlacedBlob interface {
	Blob
	// Parts returns the ranges of the image that hold the content, in its order, without holes. Of a damaged file they are those up to the
	// damage.
	Parts() []Range
}

// A HostBlob is read from a file of the host.
type HostBlob interface {
	Blob
	// HostPath returns the path of that file, which may hold other content as well.
	HostPath() string
}

// A PartBlob has the bytes of another blob, from an offset on. It can do what the other can: see [Origin].
type PartBlob interface {
	Blob
	// Within returns the other blob, and the offset in it of this one's first byte.
	Within() (whole Blob, off int64)
}

// A DescriptorReader may read an open file of the host, which the kernel can then share with another one.
type DescriptorReader interface {
	Reader
	// Descriptor returns the descriptor of the file in which the blob's bytes lie in one run, and the offset of the first. It is valid until
	// Close. ok is false if there is no such file.
	Descriptor() (fd int, off int64, ok bool)
}

// A DataReader knows holes of its blob without reading them.
type DataReader interface {
	Reader
	// NextData returns the offset of the first byte from off on that may be other than zero; an offset at or after the end of the blob if
	// there is none.
	NextData(off int64) int64
}

// A ZeroWriter takes any number of zeros at once.
type ZeroWriter interface {
	io.Writer
	WriteZeros(n int64) error
}

// Tee returns a writer that duplicates its writes to several others, as [io.MultiWriter] does, and is a [ZeroWriter].
func Tee(all ...ZeroWriter) ZeroWriter { return tee(all) }

type tee []ZeroWriter

// Write implements io.Writer.
func (t tee) Write(p []byte) (int, error) {
	for _, w := range t {
		if n, err := w.Write(p); err != nil {
			return n, err
		}
	}
	return len(p), nil
}

// WriteZeros implements ZeroWriter.
func (t tee) WriteZeros(n int64) error {
	for _, w := range t {
		if err := w.WriteZeros(n); err != nil {
			return err
		}
	}
	return nil
}

// NextData returns the result of NextData of a [DataReader], and off for other readers.
func NextData(r Reader, off int64) int64 {
	if d, is := r.(DataReader); is {
		return d.NextData(off)
	}
	return off
}

// DataOf returns the parts of a blob that must be stored: all of it unless it is sparse.
func DataOf(b Blob) []Range {
	if s, ok := b.(SparseBlob); ok {
		return s.Data()
	}
	if b.Size() == 0 {
		return nil
	}
	return []Range{{0, b.Size()}}
}

// Origin returns the blob that b is a part of and the offset of b in it, through any number of [PartBlob]s; or b itself and 0.
func Origin(b Blob) (whole Blob, off int64) {
	for {
		p, ok := b.(PartBlob)
		if !ok {
			return b, off
		}
		outer, at := p.Within()
		b, off = outer, off+at
	}
}

// HostPath returns the name of a blob in messages: the path of the host's file that it is read from, or "content".
func HostPath(b Blob) string {
	whole, _ := Origin(b)
	if h, ok := whole.(HostBlob); ok {
		return h.HostPath()
	}
	return "content"
}

// Descriptor returns the result of Descriptor of a [DescriptorReader]; ok is false for other readers.
func Descriptor(r Reader) (fd int, off int64, ok bool) {
	if d, is := r.(DescriptorReader); is {
		return d.Descriptor()
	}
	return 0, 0, false
}
