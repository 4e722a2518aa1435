package ext4

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// Places is where everything lies in a file system that this package has laid out earlier: see [Options.Earlier]. They are no more than hints:
// whatever they say, a file system that keeps to them as far as it can is a valid one.
type Places struct {
	*geometry
	tree            *tree.Tree
	nodes           []place          // by node ID
	pieces          map[int32][]span // of nodes that have several, or an extent tree
	trees           map[int32]int64  // position of the first block of each extent tree
	journalPosition int64
}

// A place is where one node is.
type place struct {
	ino, at, blocks uint32 // at and blocks: of the first piece
	xattr           uint32 // position of the block of extended attributes; noPosition without one
}

const noPosition = 1<<32 - 1

// errOtherLayout is why a file system has no places.
var errOtherLayout = errors.New("the earlier file system has another geometry than those that are laid out here")

// ReadPlaces reads the places of a file system in an image of size bytes. Time and memory are as for [Read].
func ReadPlaces(image io.ReaderAt, size int64) (*Places, error) {
	v, err := Read(image, size)
	if err != nil {
		return nil, err
	}
	g, err := v.geometry()
	if err != nil {
		return nil, err
	}
	p := &Places{geometry: g, tree: v.Tree, nodes: make([]place, v.Tree.Len()), pieces: map[int32][]span{}, trees: map[int32]int64{}}
	s := &surveyor{Places: p, v: v, w: v.newWindows(), budget: 4 * v.blocks}
	if g.journal > 0 {
		at, err := s.journalAt()
		if err != nil {
			return nil, err
		}
		p.journalPosition = at
	}
	for id := range p.nodes {
		p.nodes[id] = place{xattr: noPosition}
	}
	for _, number := range slices.Sorted(maps.Keys(v.inodes)) { // in the order in which they lie in the tables
		s.node(number, v.inodes[number])
	}
	return p, nil
}

// maxGroups bounds the memory for the geometry of an earlier file system.
const maxGroups = 1 << 20

// geometry returns the geometry of a file system that is read, if it is one that [newGeometry] makes.
func (v *Volume) geometry() (*geometry, error) {
	f := &format{blockSize: v.blockSize, features: v.features}
	if v.groups > maxGroups || v.blocks > f.maxBlocks() || v.blockSize > 4096 || v.inodeBytes != inodeSize || v.unknown != [3]uint32{} {
		return nil, errOtherLayout
	}
	descs, reserved := v.oldDescs()
	g := newGeometry(f, request{
		blocks: v.blocks, inodes: v.reader.inodes(), journal: v.JournalBlocks, growth: (descs+reserved)*v.descsPerBlock()*v.perGroup + v.first,
	})
	same := g.missing() <= 0 && g.perGroup == v.perGroup && g.groups == v.groups && g.inodesPerGroup == v.reader.inodesPerGroup &&
		g.descBlocks == descs && g.reservedDesc == reserved && g.format.descSize() == v.descBytes
	if !same {
		return nil, errOtherLayout
	}
	w := v.newWindows()
	for i, at := range g.group {
		d, _, err := v.descriptor(w, int64(i))
		if err != nil {
			return nil, err
		}
		if (groupLocations{d.blockBitmap(), d.inodeBitmap(), d.inodeTable()}) != at {
			return nil, errOtherLayout
		}
	}
	return g, nil
}

// A surveyor finds the places of nodes.
type surveyor struct {
	*Places
	v      *Volume
	w      *windows
	budget int64 // mappings that may still be read
}

// node finds the places of a node. What is not where this package would put it has none.
func (s *surveyor) node(number uint32, n *tree.Node) {
	id := int32(n.ID())
	at := &s.nodes[id]
	at.ino = number
	ino, _, err := s.v.inode(s.w, number)
	if err != nil {
		return
	}
	if block := ino.xattrBlock(); block != 0 {
		if pos, ok := s.position(block, 1); ok {
			at.xattr = uint32(pos)
		}
	}
	pieces, tree, err := s.locate(&ino, n.Kind())
	if err != nil || len(pieces) == 0 {
		return
	}
	at.at, at.blocks = uint32(pieces[0].From), uint32(pieces[0].Len())
	if len(pieces) > 1 || tree >= 0 {
		s.pieces[id], s.trees[id] = pieces, tree
	}
}

// position returns the position of blocks that lie together on the tape.
func (s *surveyor) position(block, blocks int64) (at int64, ok bool) {
	at = s.tape.position(block)
	if at < 0 || at+blocks > s.tape.blocks() {
		return 0, false
	}
	found, run := s.tape.physical(at)
	return at, found == block && run >= blocks
}

// locate returns the positions of the blocks of an inode, and of its extent tree, -1 if it has none.
func (s *surveyor) locate(n *inode, kind tree.Kind) (pieces []span, treeAt int64, err error) {
	mapped := kind == tree.File || kind == tree.Dir || kind == tree.Symlink && !s.v.fast(n)
	if !mapped || n.Flags&extentsFlag == 0 {
		return nil, -1, nil
	}
	m := s.v.fileMap(n.Block, true)
	for at, end := int64(0), units.Blocks(n.size(), s.blockSize); at < end; s.budget-- {
		run, err := m.locate(at)
		if err != nil || s.budget < 0 {
			return nil, -1, cmp.Or(err, errOtherLayout)
		}
		run.blocks = min(run.blocks, end-at)
		at += run.blocks
		if run.physical == hole {
			continue
		}
		from, ok := s.position(run.physical, run.blocks)
		switch k := len(pieces) - 1; {
		case !ok:
			return nil, -1, errOtherLayout
		case k >= 0 && pieces[k].To == from:
			pieces[k].To += run.blocks
		default:
			pieces = append(pieces, between(from, from+run.blocks))
		}
	}
	treeAt, err = s.firstLeaf(m)
	return pieces, treeAt, err
}

// firstLeaf returns the position of the first leaf of an extent tree, -1 if all of it is in the inode. The rest of the tree follows it.
func (s *surveyor) firstLeaf(m *fileMap) (at int64, err error) {
	b, depth, block := m.root[:], -1, int64(0)
	for {
		n, err := parseExtentNode(b, depth)
		if err != nil {
			return -1, err
		}
		if n.depth == 0 {
			break
		}
		block, depth = n.child(0), n.depth-1
		if b, err = m.block(block, n.depth); err != nil {
			return -1, err
		}
	}
	if block == 0 {
		return -1, nil
	}
	at, ok := s.position(block, 1)
	if !ok {
		return -1, errOtherLayout
	}
	return at, nil
}

// journalAt returns the position of the journal.
func (s *surveyor) journalAt() (int64, error) {
	n, _, err := s.v.inode(s.w, journalInode)
	if err != nil {
		return 0, err
	}
	pieces, _, err := s.locate(&n, tree.File)
	if err == nil && (len(pieces) != 1 || pieces[0].Len() != s.geometry.journal) {
		err = errOtherLayout
	}
	if err != nil {
		return 0, fmt.Errorf("journal: %w", err)
	}
	return pieces[0].From, nil
}
