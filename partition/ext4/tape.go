package ext4

import (
	"iter"
	"sort"
)

// A tape is the sequence of all blocks that belong to no fixed structure. Everything else is written on it without gaps. Where fixed
// structures interrupt the tape does not change positions on it, so positions of contents are known before the geometry is. The last area
// is an empty one at the end of the file system.
type tape []area

// An area is a run of blocks [start, end) that is not part of the tape.
type area struct {
	start, end int64
	before     int64 // tape blocks before it
}

// newTape returns the blocks that fixed structures, sorted and disjoint, leave free in a file system of the given size. The boot block before
// the first structure (with blocks of 1024 bytes) is not part of the tape.
func newTape(fixed []structure, blocks int64) tape {
	t := tape{{start: 0, end: fixed[0].end()}}
	for _, p := range fixed[1:] {
		last := &t[len(t)-1]
		if p.start == last.end {
			last.end = p.end()
			continue
		}
		t = append(t, area{p.start, p.end(), last.before + p.start - last.end})
	}
	last := t[len(t)-1]
	return append(t, area{blocks, blocks, last.before + blocks - last.end})
}

// blocks returns the length of the tape, negative if the fixed structures reach beyond the end of the file system.
func (t tape) blocks() int64 { return t[len(t)-1].before }

// physical returns the block at a tape position, and how many blocks from there on are contiguous on the disk.
func (t tape) physical(at int64) (block, run int64) {
	i := sort.Search(len(t)-1, func(i int) bool { return t[i+1].before > at })
	i = min(i, len(t)-2)
	return t[i].end + at - t[i].before, t[i+1].before - at
}

// position returns the tape position of a block; if that is in a fixed structure, of the first tape block after it.
func (t tape) position(block int64) int64 {
	i := sort.Search(len(t)-1, func(i int) bool { return t[i+1].start > block })
	i = min(i, len(t)-2)
	return t[i].before + max(0, block-t[i].end)
}

// areas yields the areas that have blocks in [from, to).
func (t tape) areas(from, to int64) iter.Seq[area] {
	return func(yield func(area) bool) {
		i := sort.Search(len(t), func(i int) bool { return t[i].end > from })
		for ; i < len(t) && t[i].start < to; i++ {
			if !yield(t[i]) {
				return
			}
		}
	}
}

// A run is consecutive blocks of a file.
type run struct{ logical, blocks int64 }

// A mapping is a run that is contiguous on the disk: one extent.
type mapping struct{ logical, physical, blocks int64 }

// maxExtent is the largest number of blocks of an extent (kernel: "Extent Tree", ee_len).
const maxExtent = 32768

// mappings appends the extents of runs that follow one another on the tape from position at on.
func (t tape) mappings(dst []mapping, runs []run, at int64) []mapping {
	for _, r := range runs {
		for r.blocks > 0 {
			block, n := t.physical(at)
			n = min(n, r.blocks, maxExtent)
			dst = append(dst, mapping{r.logical, block, n})
			at, r = at+n, run{r.logical + n, r.blocks - n}
		}
	}
	return dst
}

// A cursor moves along the tape and counts the extents of the contents that it passes.
type cursor struct {
	tape tape
	at   int64
	next int // the first area after the cursor
}

// pass moves over a number of blocks and returns how many extents they need.
func (c *cursor) pass(blocks int64) (count int64) {
	for blocks > 0 {
		for c.next < len(c.tape) && c.tape[c.next].before <= c.at {
			c.next++
		}
		n := min(blocks, maxExtent)
		if c.next < len(c.tape) {
			n = min(n, c.tape[c.next].before-c.at)
		}
		c.at += n
		blocks -= n
		count++
	}
	return count
}
