package erofs

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"imprint/internal/fault"
	"imprint/internal/repro"
	"imprint/internal/tree"
)

// A Volume is a file system read from an image.
type Volume struct {
	Tree   *tree.Tree // the content of each file is a slice of the image
	Label  string
	UUID   repro.UUID
	Epoch  int64 // seconds since 1970: when it was made
	Size   int64 // bytes in use
	Inodes int64

	image io.ReaderAt
	super superblock
	all   func() *audit // of every structure, made once
}

// Read reads the file system in an image of size bytes. It reads all structure but no contents, which blobs read from image. Damage is an
// error with the path, and so are compressed files and files in chunks, which are not supported.
//
// A hostile image costs memory in proportion to its structure: no byte of structure may be used twice, no directory may have two names,
// and nothing outside of the file system is read.
func Read(image io.ReaderAt, size int64) (*Volume, error) { return ReadPart(image, size) }

// ReadPart is like [Read], but reads nothing of what the directories at the paths omit hold.
func ReadPart(image io.ReaderAt, size int64, omit ...string) (*Volume, error) {
	r := newReader(image, size)
	r.omit = tree.Omit(omit...)
	root, err := r.root()
	if err != nil {
		return nil, fmt.Errorf("read EROFS: %w", err)
	}
	b := tree.NewBuilder(root.Attr)
	if err := b.Add("/", root, ""); err != nil {
		return nil, fmt.Errorf("read EROFS: %v", err)
	}
	t, err := b.Tree()
	if err != nil {
		return nil, fmt.Errorf("read EROFS: %v", err)
	}
	return newVolume(r, t), nil
}

func newVolume(r *reader, t *tree.Tree) *Volume {
	s := r.super
	v := &Volume{Tree: t, Label: s.label, UUID: s.uuid, Epoch: s.made.Sec, Size: r.size, Inodes: int64(s.inodes), image: r.image, super: s}
	v.all = sync.OnceValue(func() *audit { return v.audit(nil) })
	return v
}

func newReader(image io.ReaderAt, size int64) *reader {
	return &reader{image: image, size: size, inodes: map[uint64]*tree.Node{}, shared: map[uint32]tree.Xattr{}, attrs: map[plainAttr]*tree.Attr{}}
}

// A reader reads the structure of a file system.
type reader struct {
	image  io.ReaderAt
	size   int64 // bytes of the file system
	super  superblock
	budget int64 // bytes of structure that may still be read
	count  uint64
	inodes map[uint64]*tree.Node // by nid; nil while a directory is read
	shared map[uint32]tree.Xattr // by ID
	attrs  map[plainAttr]*tree.Attr
	omit   *tree.Omission
}

// root reads the superblock, and the tree from its root on.
func (r *reader) root() (*tree.Node, error) {
	if err := r.readSuper(); err != nil {
		return nil, err
	}
	r.budget = r.size // enough, as no structure overlaps another
	root, err := r.node("", uint64(r.super.root), uint64(r.super.root), 0)
	if err != nil {
		return nil, fault.Below("", err)
	}
	if root.Kind() != tree.Dir {
		return nil, fmt.Errorf("the root is a %v", root.Kind())
	}
	if r.omit == nil && r.count != r.super.inodes {
		return nil, fmt.Errorf("the superblock counts %d inodes, there are %d", r.super.inodes, r.count)
	}
	return root, nil
}

// incompatible are the features that a reader must know, by their bits. Bit 0, zeros before compressed data, concerns no file that is not
// compressed, and is ignored.
var incompatible = []struct {
	bits uint32
	name string
}{
	{1 << 1, "compression with options"}, {1 << 2, "files in chunks"}, {1 << 3, "several devices"}, {1 << 4, "compressed tails"},
	{1 << 5, "compressed fragments"}, {1 << 6, "attribute prefixes"}, {1 << 7, "48-bit blocks"}, {1 << 8, "a metadata inode"},
}

const zeroPadding = 1 << 0

// readSuper reads the superblock, and refuses damage and features that are not supported.
func (r *reader) readSuper() error {
	block, err := r.superBlock()
	if err != nil {
		return err
	}
	if s, sum := r.super, superChecksum(block); s.compat&compatChecksum != 0 && sum != s.checksum {
		return fmt.Errorf("checksum 0x%08x of the superblock does not match its bytes, which have 0x%08x", s.checksum, sum)
	}
	return r.super.supported()
}

// superBlock reads the first block, which it returns, and decodes the superblock in it.
func (r *reader) superBlock() ([]byte, error) {
	block := make([]byte, blockSize)
	n, err := r.image.ReadAt(block[:min(blockSize, max(0, r.size))], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if n < superOffset+superSize {
		return nil, fmt.Errorf("%d bytes are too few for a superblock", n)
	}
	s, ok := parseSuper(block[superOffset:])
	r.super = s
	switch bytes := int64(s.blocks) * blockSize; {
	case !ok:
		return nil, fmt.Errorf("no superblock: magic number 0x%08x, not 0x%08x", le.Uint32(block[superOffset:]), uint32(superMagic))
	case s.blockBits != blockBits || s.dirBits != 0:
		return nil, fmt.Errorf("blocks of 2^%d bytes, directory blocks of 2^%d, only 2^%d are read", s.blockBits, s.blockBits+s.dirBits, blockBits)
	case bytes > r.size || s.blocks == 0:
		return nil, fmt.Errorf("%d blocks are %d bytes, the region has %d", s.blocks, bytes, r.size)
	default:
		r.size = bytes
	}
	return block, nil
}

// supported returns an error that names the first feature that cannot be read.
func (s superblock) supported() error {
	for _, f := range incompatible {
		if s.incompat&f.bits != 0 {
			return fmt.Errorf("features 0x%x: %s is not supported", s.incompat, f.name)
		}
	}
	if unknown := s.incompat &^ zeroPadding; unknown != 0 {
		return fmt.Errorf("features 0x%x are not known", unknown)
	}
	return nil
}

// bytes reads n bytes of structure.
func (r *reader) bytes(at, n int64) ([]byte, error) {
	if at < 0 || n < 0 || at > r.size-n {
		return nil, fmt.Errorf("%d bytes at %d lie outside of the file system's %d", n, at, r.size)
	}
	if r.budget -= n; r.budget < 0 {
		return nil, fault.ErrOverlap
	}
	b := make([]byte, n)
	return b, readFull(r.image, b, at)
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
