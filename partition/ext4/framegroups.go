package ext4

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

// descBlocks returns the number of blocks of the descriptors of all groups.
func (f *frame) descBlocks() int64 {
	return (f.groups + f.descsPerBlock() - 1) / f.descsPerBlock()
}

func (f *frame) descsPerBlock() int64 { return f.blockSize / f.descBytes }

// hasSuper reports whether a group begins with a copy of the superblock (kernel: "Super Block", on sparse_super and sparse_super2).
func (f *frame) hasSuper(group int64) bool {
	switch {
	case group == 0:
		return true
	case f.features.has(sparseSuper2):
		return group == int64(f.super.BackupGroups[0]) || group == int64(f.super.BackupGroups[1])
	case f.features.has(sparseSuper):
		return hasSuper(group)
	}
	return true
}

// superBlock returns the block that holds the superblock of a group. That of the first group is always at byte 1024.
func (f *frame) superBlock(group int64) int64 {
	if group == 0 {
		return superOffset / f.blockSize
	}
	return f.groupStart(group)
}

// superAt returns the offset in bytes of the superblock of a group.
func (f *frame) superAt(group int64) int64 {
	return max(superOffset, f.superBlock(group)*f.blockSize)
}

// oldDescs returns the number of blocks of descriptors, and of reserved ones, after each superblock: all of them, or with meta_bg those before
// the first meta block group (kernel: "Meta Block Groups").
func (f *frame) oldDescs() (descs, reserved int64) {
	if f.features.has(metaBG) {
		return int64(f.super.FirstMetaGroup), 0
	}
	return f.descBlocks(), int64(f.super.ReservedDescBlocks)
}

// metaGroup reports whether the descriptors of a group lie in its meta block group: as many groups as a block has descriptors for.
func (f *frame) metaGroup(group int64) bool {
	return f.features.has(metaBG) && group/f.descsPerBlock() >= int64(f.super.FirstMetaGroup)
}

// metaDescBlock returns the block of descriptors in a group that is the first, second or last one of its meta block group, else 0.
func (f *frame) metaDescBlock(group int64) int64 {
	if n := group % f.descsPerBlock(); !f.metaGroup(group) || n > 1 && n != f.descsPerBlock()-1 {
		return 0
	}
	if f.hasSuper(group) {
		return f.superBlock(group) + 1
	}
	return f.groupStart(group)
}

// descriptorAt returns the offset in bytes of a group's descriptor.
func (f *frame) descriptorAt(group int64) int64 {
	within := group % f.descsPerBlock()
	block := 1 + f.superBlock(0) + group/f.descsPerBlock()
	if f.metaGroup(group) {
		block = f.metaDescBlock(group - within)
	}
	return block*f.blockSize + within*f.descBytes
}

// descriptorCopies yields the offsets of the other copies of a group's descriptor.
func (f *frame) descriptorCopies(group int64, yield func(at int64)) {
	n := f.descsPerBlock()
	within := group % n
	if f.metaGroup(group) {
		for _, host := range []int64{group - within + 1, group - within + n - 1} {
			if host < f.groups && host > group-within {
				yield(f.metaDescBlock(host)*f.blockSize + within*f.descBytes)
			}
		}
		return
	}
	for copy := range f.copies() {
		if !f.metaGroup(copy) {
			yield((f.superBlock(copy)+1+group/n)*f.blockSize + within*f.descBytes)
		}
	}
}

// copies yields the groups after the first that begin with a copy of the superblock, in ascending order. Few of many groups do, so it does not
// try them all.
func (f *frame) copies() iter.Seq[int64] {
	var few []int64
	switch {
	case f.features.has(sparseSuper2):
		few = []int64{int64(f.super.BackupGroups[0]), int64(f.super.BackupGroups[1])}
	case f.features.has(sparseSuper):
		few = []int64{1}
		for _, base := range []int64{3, 5, 7} {
			for group := base; group < f.groups; group *= base {
				few = append(few, group)
			}
		}
	default:
		return func(yield func(int64) bool) {
			for group := int64(1); group < f.groups && yield(group); group++ {
			}
		}
	}
	few = slices.DeleteFunc(few, func(group int64) bool { return group == 0 || group >= f.groups })
	slices.Sort(few)
	return slices.Values(slices.Compact(few))
}

// goodCopies lists the offsets of good copies of the superblock, for the error about a bad first one. Without that the geometry is not known,
// so it tries the places of the usual ones.
func goodCopies(read func(off, n int64) ([]byte, error), size int64) string {
	var found []string
	for log := range 7 {
		blockSize := int64(1024) << log
		for _, group := range []int64{1, 3, 5, 7, 9, 25, 27, 49, 81, 125} {
			at := group * 8 * blockSize * blockSize
			if blockSize == 1024 {
				at += blockSize
			}
			b, err := read(at, superSize)
			if err != nil {
				break
			}
			if f, err := newFrame(b, size); err == nil && f.blockSize == blockSize && int64(f.super.BlockGroup) == group {
				found = append(found, fmt.Sprint(at))
			}
		}
	}
	if found == nil {
		return "no copy of it is good at the usual places"
	}
	return "copies of it are good at byte " + strings.Join(found, ", ")
}
