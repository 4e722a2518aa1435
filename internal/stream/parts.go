package stream

import "imprint/internal/verity"

// mostParts bounds the number of pieces with leaves that are noted, of 33 KiB each. Of most disks few pieces are incomplete at a time.
const mostParts = 1024

// notes reports whether the leaves of a piece are enough, so that its content need not be read again when its last bytes are written.
func (p *Pieces) notes() bool { return !p.NoSums && p.Take == nil }

// forgets reports whether nothing of a piece will be read again but blocks that are in no window as a whole.
func (p *Pieces) forgets(piece int64) bool {
	return p.Take == nil && (p.NoSums || p.part(piece) != nil)
}

// note takes the leaves of a piece that a window has a part of: those of the blocks that lie in its runs.
func (p *Pieces) note(piece int64, w *window) {
	content, to := w.buf[:p.size(piece)], p.part(piece)
	if to == nil {
		return
	}
	for _, r := range w.runs {
		first, end := verity.Count(r.lo), int(r.hi/verity.BlockSize)
		if r.hi == int64(len(content)) {
			end = verity.Count(r.hi)
		}
		if first < end {
			to.set(first, w.tree.hash(content, first, end))
		}
	}
}

// part returns the leaves that are noted of a piece; nil if those of too many are already. Windows write to them at the same time, each to its own.
func (p *Pieces) part(piece int64) *leaves {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parts[piece] == nil && len(p.parts) < p.most {
		p.parts[piece] = new(leaves)
	}
	return p.parts[piece]
}

// noted returns what was noted of a piece, for the last time.
func (p *Pieces) noted(piece int64) *leaves {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.parts[piece]
	if l == nil {
		l = new(leaves)
	}
	delete(p.parts, piece)
	return l
}
