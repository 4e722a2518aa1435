package ext4

import (
	"encoding/binary"

	"imprint/internal/tree"
)

// A journalSuper is the superblock of the journal (kernel: "Journal (jbd2)", "Super Block"), the only block of it that is not zero: an
// empty journal of version 2 without features. The kernel adds checksums when it first mounts the file system.
// Unlike everything else it is big-endian.
type journalSuper struct {
	Magic, BlockType, HeaderSequence           uint32
	BlockSize, Blocks, First                   uint32
	Sequence, Start, Error                     uint32
	Compat, Incompat, ROCompat                 uint32
	UUID                                       [16]byte
	Users, DynamicSuper, MaxTransaction, MaxIO uint32
}

const (
	journalMagic   = 0xc03b3998
	journalSuperV2 = 4
)

// putJournalSuper writes the journal's first block.
func (p *Plan) putJournalSuper(b []byte) {
	s := journalSuper{
		Magic: journalMagic, BlockType: journalSuperV2,
		BlockSize: uint32(p.blockSize), Blocks: uint32(p.g.journal), First: 1,
		Sequence: 1, UUID: p.options.UUID, Users: 1,
	}
	if _, err := binary.Encode(b, binary.BigEndian, &s); err != nil {
		panic(err) // only a struct without a fixed size fails
	}
}

// journalFile returns the inode of the journal.
func (p *Plan) journalFile() inode {
	n := newInode(modeTypes[tree.File]|0o600, tree.Time{Sec: p.options.Epoch})
	n.setSize(p.g.journal * p.blockSize)
	p.mapInode(&n, []run{{0, p.g.journal}}, p.journal)
	return n
}

// journalBackup returns the superblock's copy of the journal's inode: the 15 words of its block map and its size, high word first.
func (p *Plan) journalBackup() (words [17]uint32) {
	n := p.journalFile()
	for i := range words[:15] {
		words[i] = le.Uint32(n.Block[4*i:])
	}
	words[15], words[16] = n.SizeHigh, n.SizeLo
	return words
}
