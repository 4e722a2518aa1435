package squashfs

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"imprint/internal/fault"
	"imprint/internal/recent"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// A Volume is a file system read from an image.
type Volume struct {
	Tree        *tree.Tree // the content of each file is unpacked when it is read
	Compression string     // the name of one of [Compressors]
	BlockSize   int64      // bytes
	Made        int64      // seconds since 1970
	Size        int64      // bytes in use
	Inodes      int64

	image io.ReaderAt
	all   func() *audit // of every structure, made once
}

// Bounds of what is kept of an image, in bytes.
const (
	keptBlocks   = 32 << 20 // unpacked blocks of files, and fragments
	keptMetadata = 16 << 20 // unpacked metadata blocks
)

// Bounds of the metadata when it is unpacked: so many times the bytes of the file system, and a fixed number of bytes. That of empty files with
// consecutive names unpacks to 11 times its size. An image of zeros would unpack to a thousand times its own.
const (
	mostUnpacked  = 32
	alwaysAllowed = 16 * units.MiB
)

// Read reads the file system in an image of size bytes, of version 4.0. It reads all structure but no contents, and no lists of a file's blocks, which
// are read with the content. Damage is an error with the path.
//
// A hostile image costs memory in proportion to its structure: no byte of a table may be used twice, and no directory may have two names.
func Read(image io.ReaderAt, size int64) (*Volume, error) { return ReadPart(image, size) }

// ReadPart is like [Read], but reads nothing of what the directories at the paths omit hold.
func ReadPart(image io.ReaderAt, size int64, omit ...string) (*Volume, error) {
	v, err := readVolume(image, size, omit)
	if err != nil {
		return nil, fmt.Errorf("read squashfs: %w", err)
	}
	return v, nil
}

func readVolume(image io.ReaderAt, size int64, omit []string) (*Volume, error) {
	r, err := newReader(image, size)
	if err != nil {
		return nil, err
	}
	r.omit = tree.Omit(omit...)
	root, err := r.node("", r.super.RootInode, 0)
	if err != nil {
		return nil, fault.Below("", err)
	}
	if root.Kind() != tree.Dir {
		return nil, fmt.Errorf("the root is a %v", root.Kind())
	}
	b := tree.NewBuilder(root.Attr)
	if err := b.Add("/", root, ""); err != nil {
		return nil, err
	}
	t, err := b.Tree()
	if err != nil {
		return nil, err
	}
	return newVolume(r, t), nil
}

func newVolume(r *reader, t *tree.Tree) *Volume {
	s := r.super
	v := &Volume{
		Tree: t, Compression: r.compression.name, BlockSize: r.blockSize, Made: int64(s.MkfsTime), Size: r.size, Inodes: int64(s.Inodes), image: r.image,
	}
	v.all = sync.OnceValue(func() *audit { return v.audit(nil) })
	return v
}

// A reader reads the structure of a file system.
type reader struct {
	image       io.ReaderAt
	size        int64 // bytes of the file system
	super       superblock
	compression compression
	blockSize   int64

	blocks *recent.Cache[int64, metaBlock] // by their offsets
	data   *recent.Cache[packedBlock, []byte]

	inodes, dirs, values table
	ids                  []uint32
	fragments            []fragment
	attributes           []attribute

	used         map[int64]bool // metadata blocks that count already, by their offsets
	room         int64          // bytes to which further metadata may unpack
	nodes        map[uint64]*tree.Node
	attrs        map[plainAttr]*tree.Attr
	shared       map[uint32][]tree.Xattr
	sharedValues map[uint64][]byte
	omit         *tree.Omission
}

// newReader reads the superblock and the tables that the others refer to.
func newReader(image io.ReaderAt, size int64) (*reader, error) {
	r := &reader{
		image: image, size: size, used: map[int64]bool{}, nodes: map[uint64]*tree.Node{}, attrs: map[plainAttr]*tree.Attr{}, shared: map[uint32][]tree.Xattr{}, sharedValues: map[uint64][]byte{},
		blocks: recent.New[int64, metaBlock](keptMetadata), data: recent.New[packedBlock, []byte](keptBlocks),
	}
	if err := r.readSuper(); err != nil {
		return nil, err
	}
	r.room = min(r.size, 1<<50)*mostUnpacked + alwaysAllowed
	return r, r.readTables()
}

// readSuper reads the superblock, and refuses what is damaged or not supported.
func (r *reader) readSuper() error {
	var b [superSize]byte
	if r.size < superSize {
		return fmt.Errorf("%d bytes are too few for a superblock", r.size)
	}
	if err := readFull(r.image, b[:], 0); err != nil {
		return err
	}
	s := parseSuper(b[:])
	known := false
	r.super, r.blockSize = s, int64(s.BlockSize)
	r.compression, known = compressions[s.Compression]
	switch {
	case s.Magic != magic:
		return fmt.Errorf("no superblock: magic number 0x%08x, not 0x%08x", s.Magic, uint32(magic))
	case s.Major != 4 || s.Minor != 0:
		return fmt.Errorf("version %d.%d is not supported, only 4.0", s.Major, s.Minor)
	case !known:
		return fmt.Errorf("compression %d is not supported", s.Compression)
	case s.BlockLog > 31 || s.BlockSize != 1<<s.BlockLog || r.blockSize < MinBlock || r.blockSize > MaxBlock:
		return fmt.Errorf("blocks of %d bytes, or 2^%d, are not a power of two from %d to %d", s.BlockSize, s.BlockLog, int64(MinBlock), int64(MaxBlock))
	case s.BytesUsed < superSize || s.BytesUsed > uint64(r.size):
		return fmt.Errorf("%d bytes are used, the region has %d", s.BytesUsed, r.size)
	}
	r.size = int64(s.BytesUsed)
	return nil
}

// readTables finds all tables, and reads those of IDs, of fragments and of attributes.
func (r *reader) readTables() error {
	s := r.super
	starts := []int64{r.size} // of tables, or of the blocks of those that have pointers to them
	var err error
	read := func(name string, at uint64, count, each int, take func([]byte)) {
		if err == nil && at != noTable && count > 0 {
			var first int64
			if first, err = r.indexed(name, at, count, each, take); first > 0 {
				starts = append(starts, first)
			}
		}
	}
	read("IDs", s.IDTable, int(s.NoIDs), 4, func(b []byte) { r.ids = append(r.ids, le.Uint32(b)) })
	read("fragments", s.FragTable, int(s.Fragments), fragmentSize, func(b []byte) { r.fragments = append(r.fragments, parseFragment(b)) })
	if s.Flags&flagExport != 0 && s.ExportTable != noTable && s.ExportTable < uint64(r.size) {
		var pointer [8]byte
		if readFull(r.image, pointer[:], int64(s.ExportTable)) == nil {
			starts = append(starts, int64(le.Uint64(pointer[:])))
		}
	}
	if err == nil && s.XattrTable != noTable {
		err = r.readAttributes()
	}
	if err != nil {
		return err
	}
	slices.Sort(starts)
	for _, t := range []struct {
		to   *table
		name string
		from uint64
	}{{&r.dirs, "directories", s.DirTable}, {&r.inodes, "inodes", s.InodeTable}} {
		if t.from < superSize || t.from >= uint64(r.size) {
			return fmt.Errorf("the table of %s begins at %d, and the file system has %d bytes", t.name, t.from, r.size)
		}
		*t.to = table{name: t.name, from: int64(t.from), to: next(starts, int64(t.from))}
		starts = append(starts, int64(t.from))
		slices.Sort(starts)
	}
	return nil
}

// next returns the first of the sorted offsets from one on.
func next(starts []int64, from int64) int64 {
	for _, at := range starts {
		if at >= from {
			return at
		}
	}
	return from
}

// errTables refuses an index that does not lead to one metadata block after the other.
var errTables = errors.New("its metadata blocks are not in order")

// indexed reads a table of count records of a size, whose metadata blocks pointers lead to, and returns the offset of the first block.
func (r *reader) indexed(name string, at uint64, count, each int, take func([]byte)) (first int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("table of %s: %w", name, err)
		}
	}()
	perBlock := metadataSize / each
	t := &table{name: name, from: superSize, to: r.size}
	end := int64(0)
	for k := 0; k < count; k += perBlock {
		var pointer [8]byte
		if at > uint64(r.size-8) {
			return first, fmt.Errorf("ends at %d, and the file system has %d bytes", at+8, r.size)
		}
		if err := readFull(r.image, pointer[:], int64(at)); err != nil {
			return first, err
		}
		c := r.cursor(t, place{at: int64(min(le.Uint64(pointer[:]), 1<<62))})
		if at += 8; c.at.at < end {
			return first, errTables
		}
		b, err := c.bytes(min(count-k, perBlock) * each)
		if err != nil {
			return first, err
		}
		if first == 0 {
			first = c.at.at
		}
		last, err := c.metadata(t, c.at.at)
		if err != nil {
			return first, err
		}
		for end = last.next; len(b) > 0; b = b[each:] {
			take(b[:each])
		}
	}
	return first, nil
}
