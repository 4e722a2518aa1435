package ext4

import (
	"sort"

	"imprint/internal/gaps"
	"imprint/internal/tree"
)

// A placement is where everything lies on the tape. Files have their positions in the inventory, and their order here.
type placement struct {
	metas    []meta           // what is generated, in the order of positions
	journal  int64            // position
	slowAt   []uint32         // positions of the blocks of symlinks
	xattrAt  []uint32         // positions of the blocks of extended attributes
	order    []spot           // pieces of files, in the order of positions; nil: whole files in the order of the tree
	split    map[int32]*split // files that are not one run with what maps it after it, by node ID
	used     []span           // positions in use, sorted, with gaps between them
	segments []segment
}

// A span is positions of a tape.
type span = gaps.Span

func between(from, to int64) span { return span{From: from, To: to} }

// A meta is blocks that are generated, from a position up to that of the next one or to a gap.
type meta struct {
	at    uint32
	index int32
	kind  metaKind
}

type metaKind uint8

const (
	resizeMap   metaKind = iota
	dirBlocks            // of the directory with that index, and of its extent tree
	linkTarget           // of the slow symlink with that index
	xattrShared          // the block of extended attributes with that index
)

// A spot is a piece of a file. The piece after the last one is the file's extent tree.
type spot struct {
	at, blocks uint32
	id         int32
	piece      int32 // wholeFile if the file is not split
}

const wholeFile = -1

// A split is a file in several pieces, or with its extent tree in another place than after it.
type split struct {
	pieces []span // of the blocks that have data, in their order
	tree   int64  // position of the first block of the extent tree, if it has any
}

// A segment is positions with contents of one kind: of what is generated, the journal, or files from an index in their order up to another one.
type segment struct {
	span
	kind        segmentKind
	first, last int
}

type segmentKind uint8

const (
	generatedSegment segmentKind = iota
	journalSegment
	filesSegment
)

// inOrder is the placement of an allocation without gaps.
func (c *inventory) inOrder(s sections, hasJournal bool) *placement {
	p := &placement{journal: s.journal, used: []span{between(0, s.end)}}
	if s.dirs > 0 {
		p.metas = append(p.metas, meta{0, 0, resizeMap})
	}
	for i, d := range c.dirs {
		p.metas = append(p.metas, meta{d.at, int32(i), dirBlocks})
	}
	for i := range c.slow {
		at := uint32(s.symlinks) + uint32(i)
		p.slowAt = append(p.slowAt, at)
		p.metas = append(p.metas, meta{at, int32(i), linkTarget})
	}
	for i := range c.xattrs.blocks {
		at := uint32(s.xattrs) + uint32(i)
		p.xattrAt = append(p.xattrAt, at)
		p.metas = append(p.metas, meta{at, int32(i), xattrShared})
	}
	p.segments = append(p.segments, segment{between(0, s.journal), generatedSegment, 0, 0})
	if hasJournal {
		p.segments = append(p.segments, segment{between(s.journal, s.files), journalSegment, 0, 0})
	}
	p.segments = append(p.segments, segment{between(s.files, s.end), filesSegment, 0, c.tree.Len()})
	return p
}

// usedIn returns the number of blocks in use among the positions [from, to).
func (p *placement) usedIn(from, to int64) (blocks int64) {
	for _, s := range p.usedFrom(from) {
		if s.From >= to {
			break
		}
		blocks += min(s.To, to) - max(s.From, from)
	}
	return blocks
}

// usedFrom returns the spans in use that end after a position.
func (p *placement) usedFrom(at int64) []span {
	return p.used[sort.Search(len(p.used), func(i int) bool { return p.used[i].To > at }):]
}

// inUse returns the number of blocks in use.
func (p *placement) inUse() (blocks int64) {
	for _, s := range p.used {
		blocks += s.Len()
	}
	return blocks
}

// segmentsFrom returns the segments that end after a position.
func (p *placement) segmentsFrom(at int64) []segment {
	return p.segments[sort.Search(len(p.segments), func(i int) bool { return p.segments[i].To > at }):]
}

// metaAt returns what is generated at a position.
func (p *placement) metaAt(at int64) meta {
	return p.metas[sort.Search(len(p.metas), func(i int) bool { return int64(p.metas[i].at) > at })-1]
}

// fileMappings appends the extents of a file.
func (p *Plan) fileMappings(dst []mapping, n *tree.Node) []mapping {
	var buf [1]run
	runs := p.fileRuns(buf[:0], n)
	s := p.split[int32(n.ID())]
	if s == nil {
		return p.g.tape.mappings(dst, runs, int64(p.at[n.ID()]))
	}
	for i := range s.pieces {
		dst = p.pieceMappings(dst, runs, s, i)
	}
	return dst
}

// pieceMappings appends the extents of a piece of a file with these runs.
func (p *Plan) pieceMappings(dst []mapping, runs []run, s *split, piece int) []mapping {
	skip := int64(0)
	for _, before := range s.pieces[:piece] {
		skip += before.Len()
	}
	return p.g.tape.mappings(dst, cutRuns(runs, skip, s.pieces[piece].Len()), s.pieces[piece].From)
}

// cutRuns returns the n blocks of runs after the first skip ones.
func cutRuns(runs []run, skip, n int64) (list []run) {
	for _, r := range runs {
		from, to := max(0, skip), min(r.blocks, skip+n)
		if from < to {
			list = append(list, run{r.logical + from, to - from})
		}
		skip -= r.blocks
	}
	return list
}

// fileTree returns the extent tree of a file, and the number of its blocks that have data. The extents are appended to dst, which saves allocations.
func (p *Plan) fileTree(dst []mapping, n *tree.Node) (t extentTree, blocks int64) {
	t = extentTree{format: p.format, tape: p.g.tape, extents: p.fileMappings(dst, n)}
	for _, m := range t.extents {
		blocks += m.blocks
	}
	if t.at = int64(p.at[n.ID()]) + blocks; p.split[int32(n.ID())] != nil {
		t.at = p.split[int32(n.ID())].tree
	}
	return t, blocks
}
