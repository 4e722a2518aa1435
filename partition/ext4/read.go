package ext4

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"imprint/internal/repro"
	"imprint/internal/tree"
)

// A Volume is an ext2, ext3 or ext4 file system that was opened. It may be used by several goroutines at once.
type Volume struct {
	Tree     *tree.Tree // nil after Open; the content of each file is a slice of the image
	Label    string
	UUID     repro.UUID
	HashSeed repro.UUID // of directory indexes
	Epoch    int64      // seconds since 1970: when it was made
	Size     int64      // bytes; the region may have more
	Summary
	NeedsRecovery bool // the journal holds changes that the file system lacks; it is read without them

	*reader
	paths   func() map[uint32]string // of the inodes in Tree
	explain func() *atlas
	inodes  map[uint32]*tree.Node
}

// A reader is an open file system: its frame and its bytes.
type reader struct {
	frame
	image io.ReaderAt
}

// Open reads only the superblock of the file system in an image of size bytes, so that [Volume.Check] and [Volume.Explain] work for a file
// system whose tree cannot be read. If the first superblock is bad, the error has the offsets of good copies.
func Open(image io.ReaderAt, size int64) (*Volume, error) {
	v, err := open(image, size)
	if err != nil {
		return nil, fmt.Errorf("read ext4: %w", err)
	}
	return v, nil
}

func open(image io.ReaderAt, size int64) (*Volume, error) {
	w := &windows{image: image, size: size}
	b, err := w.read(superOffset, superSize)
	if err != nil {
		return nil, fmt.Errorf("superblock: %w", err)
	}
	f, err := newFrame(b, size)
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, goodCopies(w.read, size))
	}
	v := &Volume{reader: &reader{*f, image}, NeedsRecovery: f.features.has(needsRecovery)}
	v.describe()
	v.paths = sync.OnceValue(v.walkPaths)
	v.explain = sync.OnceValue(v.newAtlas)
	return v, nil
}

// describe sets the figures that the superblock holds.
func (v *Volume) describe() {
	s := &v.super
	v.Label, v.UUID, v.HashSeed, v.Size = cString(s.Label[:]), s.UUID, s.HashSeed, v.size()
	v.Epoch = int64(s.MakeTime) + int64(s.MakeTimeHi)<<32
	v.Summary = Summary{
		BlockSize: v.blockSize, Blocks: v.blocks, FreeBlocks: v.freeBlocksSaid(), Inodes: v.reader.inodes(), FreeInodes: int64(s.FreeInodes),
		Groups: v.groups, Features: v.features.names(),
	}
	for word, bits := range v.unknown {
		if bits != 0 {
			v.Features = append(v.Features, fmt.Sprintf("unknown-%s-0x%x", [...]string{"compat", "incompat", "ro_compat"}[word], bits))
		}
	}
	if s.JournalBackupType == backupInodeBlock && v.features.has(hasJournal) {
		v.JournalBlocks = (int64(s.JournalBackup[15])<<32 + int64(s.JournalBackup[16])) / v.blockSize
	}
}

// freeBlocksSaid returns the number of free blocks in the superblock.
func (f *frame) freeBlocksSaid() int64 {
	n := int64(f.super.FreeBlocksLo)
	if f.features.has(bit64) {
		n += int64(f.super.FreeBlocksHi) << 32
	}
	return n
}

// cString returns a text up to its first NUL.
func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// Read reads the file system in an image of size bytes with its tree: all names and attributes, but no contents, which blobs read from image.
// The blob of an encrypted or compressed file cannot be opened. Anything else that cannot be read is an error with the path. Of the checksums,
// Read checks only that of the superblock, and [Volume.Check] all.
//
// A hostile image costs memory in proportion to its structure: together, directories, their extent trees, symlinks and blocks of extended
// attributes may not have more bytes than the file system; no directory may have two names; and nothing outside of the file system is read.
func Read(image io.ReaderAt, size int64) (*Volume, error) { return ReadPart(image, size) }

// ReadPart is like [Read], but reads nothing of what the directories at the paths omit hold.
func ReadPart(image io.ReaderAt, size int64, omit ...string) (*Volume, error) {
	v, err := Open(image, size)
	if err != nil {
		return nil, err
	}
	if err := v.readTree(tree.Omit(omit...)); err != nil {
		return nil, fmt.Errorf("read ext4: %w", err)
	}
	return v, nil
}

// windowSize is the number of bytes that are read at a time. It is more than the block that is needed, since the blocks of directories and of
// inode tables lie together.
const windowSize = 64 << 10

// windows reads structure through a small cache. The bytes that it returns stay valid and must not be changed. It is not safe for concurrent
// use.
type windows struct {
	image io.ReaderAt
	size  int64         // bytes that may be read
	sets  [32][2]window // by the number of the window; the one used last comes first
}

type window struct {
	at int64
	b  []byte
}

// read returns n bytes at an offset, which lie in one block.
func (w *windows) read(off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || off > w.size-n {
		return nil, fmt.Errorf("%d bytes at byte %d are outside of the file system's %d", n, off, w.size)
	}
	at := off / windowSize * windowSize
	set := &w.sets[off/windowSize%int64(len(w.sets))]
	if set[0].at != at || set[0].b == nil {
		set[0], set[1] = set[1], set[0]
	}
	if set[0].at != at || set[0].b == nil {
		b := make([]byte, min(windowSize, w.size-at))
		if err := readFull(w.image, b, at); err != nil {
			return nil, fmt.Errorf("%d bytes at byte %d: %w", len(b), at, err)
		}
		set[0] = window{at, b}
	}
	return set[0].b[off-at:][:n:n], nil
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
