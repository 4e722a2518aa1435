package ext4

import (
	"errors"
	"fmt"
	"io"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// A content is the content of a file as a [tree.Blob]: the image and the root of the block map in the inode. The rest of an extent tree is
// read when the blob is opened, so that a file of many extents takes no more memory than one of few.
type content struct {
	fs      *reader
	size    int64
	root    [rootNodeSize]byte // i_block
	extents bool
	refused string // why it cannot be read, "" if it can
}

// A sparseContent may have holes.
type sparseContent struct{ content }

// Size implements tree.Blob.
func (c content) Size() int64 { return c.size }

// Open implements tree.Blob.
func (c content) Open() (tree.Reader, error) {
	if c.refused != "" {
		return nil, fmt.Errorf("read ext4: the content is %s", c.refused)
	}
	return &contentReader{c, c.fs.fileMap(c.root, c.extents)}, nil
}

// fileMap returns the map of a file, which reads blocks from the image.
func (r *reader) fileMap(root [rootNodeSize]byte, extents bool) *fileMap {
	return &fileMap{fs: &r.frame, root: root, extents: extents, read: func(block int64) ([]byte, error) {
		b := make([]byte, r.blockSize)
		return b, readFull(r.image, b, block*r.blockSize)
	}}
}

// Data implements tree.SparseBlob. Where the map cannot be read the rest of the file counts as data, so that reading it reports the error. So
// does the rest of a file with more pieces than the file system has room for, which only a hostile image has.
func (c sparseContent) Data() (data []tree.Range) {
	m := c.fs.fileMap(c.root, c.extents)
	for at, steps := int64(0), int64(0); at < c.size; steps++ {
		run, err := m.locate(at / c.fs.blockSize)
		if err != nil || c.refused != "" || steps > 4*c.fs.blocks {
			return addRange(data, at, c.size)
		}
		end := min(c.size, at+run.blocks*c.fs.blockSize)
		if run.physical != hole {
			data = addRange(data, at, end)
		}
		at = end
	}
	return data
}

// Parts implements tree.PlacedBlob.
func (c content) Parts() (parts []tree.Range) {
	if c.refused != "" {
		return nil
	}
	m := c.fs.fileMap(c.root, c.extents)
	bs := c.fs.blockSize
	for at, steps := int64(0), int64(0); at < c.size && steps <= 4*c.fs.blocks; steps++ {
		run, err := m.locate(at / bs)
		if err != nil {
			return parts
		}
		end := min(c.size, at+run.blocks*bs)
		if run.physical != hole {
			parts = addRange(parts, run.physical*bs, run.physical*bs+end-at)
		}
		at = end
	}
	return parts
}

// addRange appends the bytes [from, to).
func addRange(data []tree.Range, from, to int64) []tree.Range {
	if k := len(data) - 1; k >= 0 && data[k].End() == from {
		data[k].Len += to - from
		return data
	}
	return append(data, tree.Range{Off: from, Len: to - from})
}

type contentReader struct {
	content
	blocks *fileMap
}

// ReadAt implements io.ReaderAt.
func (c *contentReader) ReadAt(p []byte, off int64) (done int, err error) {
	for done < len(p) && off < c.size {
		n, err := c.readRun(p[done:][:min(int64(len(p)-done), c.size-off)], off)
		done, off = done+n, off+int64(n)
		if err != nil {
			return done, err
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// readRun reads as much of p as lies in one run of blocks.
func (c *contentReader) readRun(p []byte, off int64) (int, error) {
	bs := c.fs.blockSize
	m, err := c.blocks.locate(off / bs)
	if err != nil {
		return 0, fmt.Errorf("read ext4: block %d of the content: %w", off/bs, err)
	}
	p = p[:min(int64(len(p)), m.blocks*bs-off%bs)]
	if m.physical == hole {
		clear(p)
		return len(p), nil
	}
	n, err := c.fs.image.ReadAt(p, m.physical*bs+off%bs)
	switch {
	case n == len(p):
		return n, nil
	case err == nil || errors.Is(err, io.EOF):
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

// Close implements io.Closer.
func (c *contentReader) Close() error { return nil }

// blob returns the content of a file whose inode maps blocks: a [tree.SparseBlob] if it may have holes.
func (r *reader) blob(n *inode, refused string) tree.Blob {
	c := content{r, n.size(), n.Block, n.Flags&extentsFlag != 0, refused}
	if !c.whole() {
		return sparseContent{c}
	}
	return c
}

// whole reports whether a file has no holes, as far as its inode shows that.
func (c content) whole() bool {
	if c.size == 0 || c.extents && le.Uint16(c.root[6:]) > 0 {
		return c.size == 0
	}
	m := fileMap{fs: &c.fs.frame, root: c.root, extents: c.extents}
	for at, end := int64(0), units.Blocks(c.size, c.fs.blockSize); at < end; {
		if !c.extents && at >= directBlocks {
			return false
		}
		run, err := m.locate(at)
		if err != nil || run.physical == hole {
			return false
		}
		at += run.blocks
	}
	return true
}
