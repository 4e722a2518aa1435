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
	b := make([]byte, BlockSize)
	le := binary.LittleEndian
	copy(b, signature)
	le.PutUint32(b[8:], 1)  // version
	le.PutUint32(b[12:], 1) // hash type: the salt comes first
	copy(b[16:], id[:])
	copy(b[32:], "sha256")
	le.PutUint32(b[64:], BlockSize) // of the data
	le.PutUint32(b[68:], BlockSize) // of the tree
	le.PutUint64(b[72:], uint64(t.blocks()))
	for _, level := range slices.Backward(t.levels) {
		for block := range slices.Chunk(level, Fanout) {
			at := len(b)
			b = append(b, zeroBlock[:]...)
			for i, h := range block {
				copy(b[at+i*len(h):], h[:])
			}
		}
	}
	return b
}

// blocks returns the number of blocks of data.
func (t Tree) blocks() int {
	if len(t.levels) == 0 {
		return 1
	}
	return len(t.levels[0])
}
