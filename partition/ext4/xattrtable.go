package ext4

import (
	"crypto/sha256"
	"slices"

	"imprint/internal/tree"
)

// An xattrTable holds the blocks with extended attributes. Nodes with equal attributes share one.
type xattrTable struct {
	of     map[*tree.Attr]xattrSplit
	uses   []xattrUse // of blocks, by node ID
	blocks []xattrBlock
	last   map[[sha256.Size]byte]int32 // the block that the next node with that content can share
}

// An xattrUse is a node that has attributes in a block.
type xattrUse struct{ id, block int32 }

// An xattrBlock is a block of attributes that refs inodes share.
type xattrBlock struct {
	xattrs []xattr
	refs   uint32
}

// add adds the attributes of the next node.
func (t *xattrTable) add(id int32, a *tree.Attr, blockSize int64) error {
	split, ok := t.of[a]
	if !ok {
		var err error
		if split, err = splitXattrs(a, blockSize); err != nil {
			return err
		}
		if t.of == nil {
			t.of, t.last = map[*tree.Attr]xattrSplit{}, map[[sha256.Size]byte]int32{}
		}
		t.of[a] = split
	}
	if len(split.block) > 0 {
		t.uses = append(t.uses, xattrUse{id, t.share(split.block)})
	}
	return nil
}

// share returns the block for these attributes: an existing one that is not shared by too many inodes yet, or a new one.
func (t *xattrTable) share(all []xattr) int32 {
	var b []byte
	for _, x := range all {
		b = append(b, x.index, uint8(len(x.name)))
		b = append(le.AppendUint32(append(b, x.name...), uint32(len(x.value))), x.value...)
	}
	key := sha256.Sum256(b)
	i, ok := t.last[key]
	if !ok || t.blocks[i].refs == xattrPerBlock {
		i = int32(len(t.blocks))
		t.blocks = append(t.blocks, xattrBlock{xattrs: all})
		t.last[key] = i
	}
	t.blocks[i].refs++
	return i
}

// block returns the block that a node's attributes are in, if any.
func (t *xattrTable) block(id int32) (int32, bool) {
	i, ok := slices.BinarySearchFunc(t.uses, id, func(u xattrUse, id int32) int { return int(u.id) - int(id) })
	if !ok {
		return 0, false
	}
	return t.uses[i].block, true
}
