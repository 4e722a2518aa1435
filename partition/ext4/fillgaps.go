package ext4

import "imprint/internal/gaps"

// Placing what has no place: in the first gap that is long enough. The last gap, which ends with the file system, is for what no other one can
// hold.

// placeAll places what was not kept.
func (k *keeper) placeAll() string {
	k.gaps = gaps.New(gaps.Merge(k.taken), 0, k.earlier.tape.blocks())
	full := false
	need := func(at *uint32, blocks int64) {
		if *at != noPosition || full {
			return
		}
		s, ok := k.placeRun(blocks)
		*at, full = uint32(s.From), !ok
	}
	for i := range k.dirs {
		need(&k.dirs[i].at, int64(k.dirs[i].blocks))
	}
	for i := range k.place.slowAt {
		need(&k.place.slowAt[i], 1)
	}
	for i := range k.place.xattrAt {
		need(&k.place.xattrAt[i], 1)
	}
	for id, blocks := range k.blocks {
		if blocks > 0 && k.at[id] == noPosition {
			full = full || !k.placeFile(int32(id), int64(blocks))
		}
	}
	if full {
		return "there is no room for what is new"
	}
	return k.fragmented()
}

// fragmented says that too many files are in pieces, "" if that is not so.
func (k *keeper) fragmented() string {
	further := 0
	for _, own := range k.place.split {
		further += len(own.pieces) - 1
	}
	if further > 64+len(k.blocks)/10 {
		return "too many files are in pieces"
	}
	return ""
}

// take takes blocks from the front of a gap.
func (k *keeper) take(gap int, blocks int64) span {
	s := k.gaps.Take(gap, blocks)
	k.taken = append(k.taken, s)
	k.report.Moved += blocks
	return s
}

// placeRun places blocks that must be one run, with their extent tree after them.
func (k *keeper) placeRun(blocks int64) (s span, ok bool) {
	for need := blocks; ; {
		gap, ok := k.gaps.First(need)
		if !ok {
			return s, false
		}
		whole := k.withTree(k.gaps.Gap(gap).From, blocks).Len()
		if whole <= k.gaps.Gap(gap).Len() {
			return k.take(gap, whole), true
		}
		need = whole
	}
}

// placeFile places the blocks of a file that were not kept, in as few pieces as possible.
func (k *keeper) placeFile(id int32, blocks int64) bool {
	own := k.place.split[id]
	if own == nil {
		own = &split{tree: -1}
		k.place.split[id] = own
	}
	rest := blocks
	for _, s := range own.pieces {
		rest -= s.Len()
	}
	if n := len(own.pieces); n > 0 && rest > 0 {
		if gap, ok := k.gaps.At(own.pieces[n-1].To); ok {
			s := k.take(gap, min(rest, k.gaps.Gap(gap).Len()))
			own.pieces[n-1].To = s.To
			rest -= s.Len()
		}
	}
	for rest > 0 {
		gap, n := k.gapFor(rest)
		if n == 0 {
			return false
		}
		own.pieces = append(own.pieces, k.take(gap, n))
		rest -= n
	}
	if n := k.treeOf(id); n > 0 && own.tree < 0 {
		gap, ok := k.gaps.First(n)
		if !ok {
			return false
		}
		own.tree = k.take(gap, n).From
	}
	k.ready(id, 0)
	return true
}

// manyBlocks is the number of blocks from which on a file goes into several gaps rather than to the end: what it leaves free would count as changed.
const manyBlocks = 256

// gapFor returns the gap for a number of blocks of a file, and how many of them it takes; none if there is no gap.
func (k *keeper) gapFor(blocks int64) (gap int, n int64) {
	last := k.gaps.Last()
	gap, ok := k.gaps.First(blocks)
	longest, n := k.gaps.Longest()
	switch {
	case ok && (gap < last || blocks < manyBlocks || n < blocks/4):
		return gap, blocks
	case n > 0:
		return longest, n
	}
	return last, k.gaps.Gap(last).Len()
}
