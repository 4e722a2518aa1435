package squashfs

import (
	"bytes"
	"encoding/binary"

	"imprint/internal/inflate"
	"imprint/internal/tree"
)

var le = binary.LittleEndian

// A superblock is the beginning of a file system (Linux, fs/squashfs/squashfs_fs.h: struct squashfs_super_block), with its field names. Tables are
// offsets of the image.
type superblock struct {
	Magic       uint32
	Inodes      uint32
	MkfsTime    uint32 // seconds since 1970
	BlockSize   uint32
	Fragments   uint32
	Compression uint16
	BlockLog    uint16
	Flags       uint16
	NoIDs       uint16
	Major       uint16
	Minor       uint16
	RootInode   uint64 // a reference: see place
	BytesUsed   uint64
	IDTable     uint64
	XattrTable  uint64
	InodeTable  uint64
	DirTable    uint64
	FragTable   uint64
	ExportTable uint64
}

func parseSuper(b []byte) (s superblock) {
	if err := binary.Read(bytes.NewReader(b), le, &s); err != nil {
		panic(err) // callers give superSize bytes
	}
	return s
}

// noTable is the offset of a table that is not there.
const noTable = 1<<64 - 1

// Flags of the superblock that matter to a reader. The others say how blocks were packed, as the blocks do themselves.
const (
	flagExport  = 1 << 7
	flagOptions = 1 << 10 // of the compressor, in a metadata block after the superblock
)

// A compression is what packs blocks.
type compression struct {
	name   string // as in descriptions
	unpack inflate.Func
}

// compressions are by their number in the superblock. The second, LZMA, is read by no Linux.
var compressions = map[uint16]compression{
	1: {"gzip", inflate.Zlib}, 3: {"lzo", inflate.LZO}, 4: {"xz", inflate.XZ}, 5: {"lz4", inflate.LZ4}, 6: {"zstd", inflate.Zstd},
}

// Types of inodes. The extended form of each has the number of the basic one and seven more.
const (
	typeDir      = 1
	typeFile     = 2
	typeSymlink  = 3
	typeBlock    = 4
	typeChar     = 5
	typeFifo     = 6
	typeSocket   = 7
	typeExtended = 7
)

var kinds = map[uint16]tree.Kind{
	typeDir: tree.Dir, typeFile: tree.File, typeSymlink: tree.Symlink, typeBlock: tree.BlockDevice, typeChar: tree.CharDevice,
	typeFifo: tree.Fifo, typeSocket: tree.Socket,
}

const (
	noFragment = 1<<32 - 1
	noXattrs   = 1<<32 - 1
	plainBlock = 1 << 24 // in the stored size of a block: it is not compressed
)

// An inode is one of either form. Fields of other types are zero.
type inode struct {
	kind     tree.Kind
	code     uint16 // type of the basic form
	mode     uint16
	uid, gid uint16 // indices in the table of IDs
	mtime    uint32 // seconds since 1970
	number   uint32
	links    uint32
	xattrs   uint32 // index, or noXattrs
	extended bool

	listing dirRange // of a directory
	parent  uint32   // likewise: the number of its directory
	index   int      // likewise: entries of the index that follows the inode

	size     int64 // bytes of content
	at       int64 // offset of the first block in the image
	sparse   uint64
	fragment uint32 // index, or noFragment
	tailAt   uint32 // offset in the unpacked fragment
	blocks   place  // of the list of blocks

	target string
	device tree.Device
}

// A dirRange is where a directory is in the table of directories.
type dirRange struct {
	block uint32 // from the beginning of the table
	off   uint16
	size  int64
}

// blockCount returns the number of blocks in the list of a file: a tail in a fragment is not among them.
func (n inode) blockCount(blockSize int64) int64 {
	if n.fragment != noFragment {
		return n.size / blockSize
	}
	return n.size/blockSize + min(1, n.size%blockSize)
}

// deviceOf splits a device number (Linux, new_encode_dev).
func deviceOf(n uint32) tree.Device {
	return tree.Device{Major: n >> 8 & 0xfff, Minor: n&0xff | n>>12&0xfff00}
}
