package ext4

import (
	"cmp"
	"maps"
	"slices"

	"imprint/internal/gaps"
	"imprint/internal/units"
)

// settle orders everything by its position.
func (k *keeper) settle() string {
	p, b := k.place, &settling{keeper: k}
	p.used = gaps.Merge(k.taken)
	if k.earlier.tape.blocks()-p.inUse() < units.Blocks(k.options.Free, k.blockSize) {
		return "there is too little free space"
	}
	b.metas()
	b.files()
	b.segments()
	return ""
}

// A settling makes the lists of a placement.
type settling struct {
	*keeper
	ends map[uint32]int64 // of metas of more than one block, by their positions
}

// metas lists what is generated.
func (b *settling) metas() {
	p := b.place
	b.ends = map[uint32]int64{}
	if b.features.has(resizeInode) {
		p.metas = append(p.metas, meta{0, 0, resizeMap})
	}
	for i, d := range b.dirs {
		p.metas = append(p.metas, meta{d.at, int32(i), dirBlocks})
		b.ends[d.at] = b.withTree(int64(d.at), int64(d.blocks)).To
	}
	for i, at := range p.slowAt {
		p.metas = append(p.metas, meta{at, int32(i), linkTarget})
	}
	for i, at := range p.xattrAt {
		p.metas = append(p.metas, meta{at, int32(i), xattrShared})
	}
	slices.SortFunc(p.metas, func(a, b meta) int { return cmp.Compare(a.at, b.at) })
}

// files lists the pieces of files.
func (b *settling) files() {
	p := b.place
	p.order = []spot{}
	for id, n := range b.blocks {
		if n > 0 && p.split[int32(id)] == nil {
			p.order = append(p.order, spot{b.at[id], n, int32(id), wholeFile})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p.split)) {
		own := p.split[id]
		for i, s := range own.pieces {
			p.order = append(p.order, spot{uint32(s.From), uint32(s.Len()), id, int32(i)})
		}
		if n := b.treeOf(id); n > 0 {
			p.order = append(p.order, spot{uint32(own.tree), uint32(n), id, int32(len(own.pieces))})
		}
	}
	slices.SortFunc(p.order, func(a, b spot) int { return cmp.Compare(a.at, b.at) })
}

// segments divides the tape into segments of one kind.
func (b *settling) segments() {
	p := b.place
	journal := b.earlier.geometry.journal > 0
	for i, j := 0, 0; i < len(p.metas) || j < len(p.order) || journal; {
		switch {
		case journal && (i == len(p.metas) || int64(p.metas[i].at) > p.journal) && (j == len(p.order) || int64(p.order[j].at) > p.journal):
			p.segments = append(p.segments, segment{b.withTree(p.journal, b.earlier.geometry.journal), journalSegment, 0, 0})
			journal = false
		case j == len(p.order) || i < len(p.metas) && p.metas[i].at < p.order[j].at:
			b.addMeta(p.metas[i])
			i++
		default:
			s := p.order[j]
			b.addFile(between(int64(s.at), int64(s.at)+int64(s.blocks)), j)
			j++
		}
	}
}

// addMeta adds what is generated to the last segment, if it follows that directly.
func (b *settling) addMeta(m meta) {
	s := between(int64(m.at), int64(m.at)+1)
	if end, has := b.ends[m.at]; has {
		s.To = end
	}
	list := &b.place.segments
	if n := len(*list) - 1; n >= 0 && (*list)[n].kind == generatedSegment && (*list)[n].To == s.From {
		(*list)[n].To = s.To
		return
	}
	*list = append(*list, segment{s, generatedSegment, 0, 0})
}

// addFile adds a piece of a file to the last segment, if that is one of files.
func (b *settling) addFile(s span, index int) {
	list := &b.place.segments
	if n := len(*list) - 1; n >= 0 && (*list)[n].kind == filesSegment {
		(*list)[n].To, (*list)[n].last = s.To, index+1
		return
	}
	*list = append(*list, segment{s, filesSegment, index, index + 1})
}
