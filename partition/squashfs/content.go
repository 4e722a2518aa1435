package squashfs

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"imprint/internal/tree"
)

// A fragment is a block with the tails of several files (struct squashfs_fragment_entry).
type fragment struct {
	at     int64
	stored uint32 // its size, as in a list of blocks
}

const fragmentSize = 16

func parseFragment(b []byte) fragment { return fragment{int64(le.Uint64(b)), le.Uint32(b[8:])} }

// A packedBlock is a block of a file, or a fragment.
type packedBlock struct {
	at     int64
	stored uint32 // size, with plainBlock for one that is not compressed
	size   int64  // bytes when it is unpacked; less are an error, unless it is a fragment
}

// unpacked returns the bytes of a block.
func (r *reader) unpacked(b packedBlock) ([]byte, error) {
	return r.data.Get(b, b.size, func() ([]byte, error) {
		p, err := r.unpackBlock(b)
		if err != nil {
			return nil, fmt.Errorf("block at %d: %w", b.at, err)
		}
		return p, nil
	})
}

func (r *reader) unpackBlock(b packedBlock) ([]byte, error) {
	size := int64(b.stored &^ plainBlock)
	if size > r.blockSize || b.at < superSize || b.at > r.size-size {
		return nil, fmt.Errorf("its %d bytes are more than %d, or not within the file system", size, r.blockSize)
	}
	stored := make([]byte, size)
	if err := readFull(r.image, stored, b.at); err != nil {
		return nil, err
	}
	if b.stored&plainBlock != 0 {
		return stored, nil
	}
	p := make([]byte, b.size)
	n, err := r.compression.unpack(p, stored)
	return p[:n], err
}

// stored is the content of a file, a [tree.SparseBlob].
type stored struct {
	*reader
	n    inode
	data func() []tree.Range
}

// content returns the content of a file.
func (r *reader) content(n inode) tree.Blob {
	if n.size == 0 {
		return tree.Text("")
	}
	s := &stored{reader: r, n: n}
	s.data = sync.OnceValue(s.ranges)
	return s
}

// Size implements tree.Blob.
func (s *stored) Size() int64 { return s.n.size }

// Open implements tree.Blob.
func (s *stored) Open() (tree.Reader, error) { return &fileReader{stored: s, list: s.list()}, nil }

// Data implements tree.SparseBlob.
func (s *stored) Data() []tree.Range { return s.data() }

// mostRanges is how many parts of a file are told apart. What follows them counts as data.
const mostRanges = 1 << 16

// ranges finds the blocks that are not holes. Whether there are holes is in the inode.
func (s *stored) ranges() []tree.Range {
	whole := []tree.Range{{Off: 0, Len: s.n.size}}
	if s.n.sparse == 0 {
		return whole
	}
	var data []tree.Range
	list := s.list()
	blocks := s.n.blockCount(s.blockSize)
	for i := range blocks {
		b, err := list.block(i)
		if err != nil {
			return whole
		}
		off := i * s.blockSize
		switch last := len(data) - 1; {
		case b.stored == 0:
		case last >= 0 && data[last].End() == off:
			data[last].Len += b.size
		case len(data) == mostRanges:
			return append(data, tree.Range{Off: off, Len: s.n.size - off})
		default:
			data = append(data, tree.Range{Off: off, Len: b.size})
		}
	}
	if tail := blocks * s.blockSize; tail < s.n.size {
		data = append(data, tree.Range{Off: tail, Len: s.n.size - tail})
	}
	return data
}

// A fileReader reads the content of a file.
type fileReader struct {
	*stored
	mu   sync.Mutex
	list *blockList
}

// Close implements io.Closer.
func (*fileReader) Close() error { return nil }

// ReadAt implements io.ReaderAt.
func (f *fileReader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("read at a negative offset")
	}
	for n < len(p) && off < f.n.size {
		k, err := f.part(p[n:], off)
		if err != nil {
			return n, fmt.Errorf("byte %d of the content: %w", off, err)
		}
		n, off = n+k, off+int64(k)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// part reads what one block holds of the content from off on.
func (f *fileReader) part(p []byte, off int64) (int, error) {
	i := off / f.blockSize
	size := min(f.blockSize, f.n.size-i*f.blockSize)
	off -= i * f.blockSize
	p = p[:min(int64(len(p)), size-off)]
	if i >= f.n.blockCount(f.blockSize) {
		return len(p), f.tail(p, off)
	}
	f.mu.Lock()
	b, err := f.list.block(i)
	f.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if b.stored == 0 {
		clear(p)
		return len(p), nil
	}
	data, err := f.unpacked(b)
	if err != nil {
		return 0, err
	}
	if int64(len(data)) != size {
		return 0, fmt.Errorf("block at %d has %d bytes when unpacked, not %d", b.at, len(data), size)
	}
	copy(p, data[off:])
	return len(p), nil
}

// tail reads what a fragment holds.
func (f *fileReader) tail(p []byte, off int64) error {
	t := f.fragments[f.n.fragment]
	data, err := f.unpacked(packedBlock{t.at, t.stored, f.blockSize})
	if err != nil {
		return err
	}
	if off += int64(f.n.tailAt); off+int64(len(p)) > int64(len(data)) {
		return fmt.Errorf("fragment at %d has %d bytes when unpacked, not %d", t.at, len(data), off+int64(len(p)))
	}
	copy(p, data[off:])
	return nil
}
