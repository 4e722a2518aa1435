package verity

import (
	"encoding/binary"
	"slices"

	"imprint/internal/repro"
)

// A Tree is the hash tree of a block device, as dm-verity reads it.
type Tree struct {
	Root Hash

	levels [][]Hash // from that of the data's blocks up to that of one block
}

// NewTree returns the tree over the digests of all blocks of a device. There must be at least one. The tree keeps leaves.
func NewTree(leaves []Hash) Tree {
	t := Tree{}
	for len(leaves) > 1 {
		t.levels = append(t.levels, leaves)
		leaves = Fold(int64(len(leaves))*BlockSize, leaves)
	}
	t.Root = leaves[0]
	return t
}

const (
	signature = "verity\x00\x00"
	hashSize  = int64(len(Hash{}))
)

// Device returns the content of a hash device: a superblock with the UUID, then the levels of the tree from the top, each in whole blocks, like
// `veritysetup format --salt=-` (cryptsetup, "DMVerity", and the kernel's admin-guide/device-mapper/verity.rst).
func (t Tree) Device(id repro.UUID) []byte {
	b := make([]byte, DeviceSize(int64(t.blocks())*BlockSize))
	t.ReadDevice(id, b, 0)
	return b
}

// DeviceSize returns the size in bytes of the hash device of size bytes of data.
func DeviceSize(size int64) int64 {
	sum := int64(BlockSize)
	for n := (size + BlockSize - 1) / BlockSize; n > 1; {
		n = (n + Fanout - 1) / Fanout
		sum += n * BlockSize
	}
	return sum
}

// ReadDevice fills p with the content of [Tree.Device] from byte off on, without making all of it. p must lie in it.
func (t Tree) ReadDevice(id repro.UUID, p []byte, off int64) {
	for len(p) > 0 {
		var block [BlockSize]byte
		t.block(id, int(off/BlockSize), block[:])
		n := copy(p, block[off%BlockSize:])
		p, off = p[n:], off+int64(n)
	}
}

// block fills b, which is zero, with a block of the hash device.
func (t Tree) block(id repro.UUID, n int, b []byte) {
	if n == 0 {
		t.superblock(id, b)
		return
	}
	n--
	for _, level := range slices.Backward(t.levels) {
		blocks := (len(level) + Fanout - 1) / Fanout
		if n >= blocks {
			n -= blocks
			continue
		}
		for i, h := range level[n*Fanout : min((n+1)*Fanout, len(level))] {
			copy(b[i*len(h):], h[:])
		}
		return
	}
}

func (t Tree) superblock(id repro.UUID, b []byte) {
	le := binary.LittleEndian
	copy(b, signature)
	le.PutUint32(b[8:], 1)  // version
	le.PutUint32(b[12:], 1) // hash type: the salt comes first
	copy(b[16:], id[:])
	copy(b[32:], "sha256")
	le.PutUint32(b[64:], BlockSize) // of the data
	le.PutUint32(b[68:], BlockSize) // of the tree
	le.PutUint64(b[72:], uint64(t.blocks()))
}

// blocks returns the number of blocks of data.
func (t Tree) blocks() int {
	if len(t.levels) == 0 {
		return 1
	}
	return len(t.levels[0])
}
