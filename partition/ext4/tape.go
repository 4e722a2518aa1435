package ext4

import (
	"iter"
	"sort"
)

// A tape is the row of all blocks that no structure of fixed place takes: everything else is written on it from its start, one thing
// after the other. Where the fixed structures cut it does not change what lies where on the tape, so sizes and positions
// of contents are known before the geometry is. Its last area is an empty one at the end of the file system.
type tape []area

// An area is a run of blocks [start, end) that the tape goes around.
type area struct {
	start, end int64
	before     int64 // tape blocks in front of it
}

// newTape returns what fixed pieces, sorted and disjoint, leave of a file system of so many blocks. The blocks before the first
// piece (the boot block of small block sizes) are no part of the tape.
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

// blocks is the length of the tape; negative when the fixed pieces reach after the end of the file system.
func (t tape) blocks() int64 { return t[len(t)-1].before }

// physical returns the block at tape position at, and how many more follow it on the disk and on the tape alike, itself included.
func (t tape) physical(at int64) (block, run int64) {
	i := sort.Search(len(t)-1, func(i int) bool { return t[i+1].before > at })
	i = min(i, len(t)-2)
	return t[i].end + at - t[i].before, t[i+1].before - at
}

// position returns the tape position of a block, or for a fixed one that of the first tape block after it.
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

// A run is blocks of a file that follow one another in it.
type run struct{ logical, blocks int64 }

// A mapping is a run and where on the disk it lies.
type mapping struct{ logical, physical, blocks int64 }

// maxExtent is how many blocks one extent of ext4 can have.
const maxExtent = 32768

// mappings appends where runs lie that are on the tape one after the other from position at on: a mapping for each extent.
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

// A cursor moves along the tape and counts the extents of what it passes.
type cursor struct {
	tape tape
	at   int64
	next int // the first area that is not after the cursor
}

// pass moves over so many blocks and gives the number of extents they need.
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
