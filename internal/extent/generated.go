package extent

import (
	"io"

	"imprint/internal/tree"
)

// Generated returns a blob of size bytes that are generated when they are read. read fills p with the bytes from off on. It must always
// produce the same bytes, and be safe for concurrent use.
func Generated(size int64, read func(p []byte, off int64)) tree.Blob { return &generated{size, read} }

type generated struct {
	size int64
	read func(p []byte, off int64)
}

func (g *generated) Size() int64                { return g.size }
func (g *generated) Open() (tree.Reader, error) { return g, nil }
func (g *generated) Close() error               { return nil }

// ReadAt implements io.ReaderAt.
func (g *generated) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), max(0, g.size-off)))
	g.read(p[:n], off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
