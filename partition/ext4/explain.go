package ext4

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"
	"sync"

	"imprint/internal/fault"
)

// Explain says what the byte at an offset of the region belongs to, such as "superblock, s_mtime", "inode 12 (/etc/passwd), i_size_lo",
// "file /etc/passwd, byte 5", "file tail after /etc/passwd" or "free". The first call reads all structure. Paths are those of Tree; after
// [Open], inodes have numbers only.
func (v *Volume) Explain(off int64) string {
	switch {
	case off < 0 || off >= v.Size:
		return "outside of the file system"
	case off < superOffset:
		return "boot code, unused by the file system"
	}
	a := v.explain()
	m, ok := a.find(off / v.blockSize)
	if !ok {
		return "free"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	e := explainer{v, a.w, m, off}
	if m.kind < ownedByInode {
		return e.group()
	}
	return e.inode()
}

// An atlas is an index of the uses of blocks.
type atlas struct {
	claims []claim // by their start
	ends   []int64 // the greatest end of the claims up to each one: damaged file systems use blocks twice

	mu sync.Mutex
	w  *windows
}

func (v *Volume) newAtlas() *atlas {
	a := &atlas{w: v.newWindows()}
	newChecker(v, func(fault.Fault) {}, func(m claim) { a.claims = append(a.claims, m) }).survey()
	slices.SortStableFunc(a.claims, func(x, y claim) int { return cmp.Compare(x.start, y.start) })
	end := int64(0)
	for _, m := range a.claims {
		end = max(end, m.start+m.blocks)
		a.ends = append(a.ends, end)
	}
	return a
}

// find returns the use of a block; if there are several, the one that begins last.
func (a *atlas) find(block int64) (m claim, ok bool) {
	i := sort.Search(len(a.claims), func(i int) bool { return a.claims[i].start > block }) - 1
	for ; i >= 0 && a.ends[i] > block; i-- {
		if m := a.claims[i]; m.start+m.blocks > block {
			return m, true
		}
	}
	return claim{}, false
}

// fieldAt names the field of a packed structure that byte off is in, "" after its end.
func fieldAt(structure any, names, prefix string, off int64) string {
	t := reflect.TypeOf(structure)
	for i, name := range strings.Fields(names) {
		if off -= int64(t.Field(i).Type.Size()); off < 0 {
			return prefix + name
		}
	}
	return ""
}

// An explainer explains one byte.
type explainer struct {
	*Volume
	w     *windows
	claim claim
	off   int64
}

// within returns the offset of the byte in the claim that it belongs to.
func (e *explainer) within() int64 { return e.off - e.claim.start*e.blockSize }

// group explains a byte of a group's own structures.
func (e *explainer) group() string {
	group, at := e.claim.owner, e.within()
	copyOf := ""
	if group > 0 {
		copyOf = fmt.Sprintf(" copy in group %d", group)
	}
	switch e.claim.kind {
	case bootClaim:
		return "boot code, unused by the file system"
	case superClaim:
		if name := fieldAt(e.super, superNames, "s_", e.off-e.superAt(group)); name != "" && e.off >= e.superAt(group) {
			return "superblock" + copyOf + ", " + name
		}
		return "unused after the superblock" + copyOf
	case descClaim:
		return e.descriptorByte(group, at)
	case reservedDescClaim:
		return fmt.Sprintf("reserved group descriptors%s, block %d", copyOf, at/e.blockSize)
	case inodeTableClaim:
		return e.tableByte(group, at)
	case mmpClaim:
		return "MMP block"
	}
	return e.bitmapByte(group, at)
}

// descriptorByte explains a byte of the descriptors that a group holds.
func (e *explainer) descriptorByte(holder, at int64) string {
	group := at / e.descBytes
	if e.metaGroup(holder) {
		group += holder / e.descsPerBlock() * e.descsPerBlock()
	}
	if group >= e.groups {
		return "unused after the group descriptors"
	}
	name := fieldAt(groupDescriptor{}, groupNames, "bg_", at%e.descBytes)
	if name == "" {
		name = "unused"
	}
	if e.off-at%e.descBytes != e.descriptorAt(group) {
		return fmt.Sprintf("group descriptor %d copy in group %d, %s", group, holder, name)
	}
	return fmt.Sprintf("group descriptor %d, %s", group, name)
}

// bitmapByte explains a byte of a bitmap.
func (e *explainer) bitmapByte(group, at int64) string {
	d, _, err := e.descriptor(e.w, group)
	flag, what, bits, first, unit := uint16(blockUninit), "block", (e.groupBlocks(group)+e.ratio-1)/e.ratio, e.groupStart(group), e.ratio
	if e.claim.kind == inodeBitmapClaim {
		flag, what, bits, first, unit = inodeUninit, "inode", e.inodesPerGroup, group*e.inodesPerGroup+1, 1
	}
	object := fmt.Sprintf("%s bitmap of group %d", what, group)
	switch {
	case err == nil && e.groupChecksums() && d.Flags&flag != 0:
		return object + ", unused"
	case at*8 >= bits:
		return object + ", padding"
	}
	return fmt.Sprintf("%s, %ss %d to %d", object, what, first+at*8*unit, first+min(at*8+8, bits)*unit-1)
}

// name returns the number of an inode with its path, if it has one.
func (e *explainer) name(number int64) string {
	if path := e.paths()[uint32(number)]; path != "" {
		return fmt.Sprintf("inode %d (%s)", number, path)
	}
	return fmt.Sprintf("inode %d", number)
}

// tableByte explains a byte of an inode table.
func (e *explainer) tableByte(group, at int64) string {
	i, at := at/e.inodeBytes, at%e.inodeBytes
	number := group*e.inodesPerGroup + i + 1
	if i >= e.inodesPerGroup {
		return fmt.Sprintf("unused after the inode table of group %d", group)
	}
	b, err := e.w.read(e.off-at, e.inodeBytes)
	if err != nil || zeroBytes(b) {
		return fmt.Sprintf("inode %d, unused", number)
	}
	n, name := e.decodeInode(b), e.name(number)
	if n.LinksCount == 0 && number >= e.firstFree {
		name += " (deleted)"
	}
	if end := oldInode + e.extra(b); at >= end && at >= oldInode+2 {
		if e.bodyXattrs(b) != nil {
			return name + ", extended attributes"
		}
		return name + ", unused space for extended attributes"
	}
	if field := fieldAt(inode{}, inodeNames, "", at); field != "" {
		return name + ", " + field
	}
	return name + ", unknown fields"
}
