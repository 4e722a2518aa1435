package erofs

import (
	"fmt"

	"imprint/internal/units"
)

// space reports bytes that two structures use, and blocks that none uses. Files that share all of their blocks are one piece.
func (a *audit) space() {
	if a.full {
		return // parts were not read, and would be reported as unused
	}
	for one, two := range a.spans.Overlaps() {
		a.fault(two.Off, two.What.of, a.name(two.What), fmt.Sprintf("bytes %d to %d are those of %s too, which has %d to %d",
			two.Off, two.End()-1, a.name(one.What)+a.ofPath(one.What), one.Off, one.End()-1))
	}
	end := int64(0)
	for _, s := range a.spans {
		a.unused(end, s.Off/blockSize)
		end = max(end, units.Blocks(s.End(), blockSize))
	}
	a.unused(end, a.size/blockSize)
}

// unused reports a range of blocks that no structure and no content uses.
func (a *audit) unused(from, to int64) {
	if from < to {
		a.fault(from*blockSize, nil, "blocks", fmt.Sprintf("blocks %d to %d are used by nothing", from, to-1))
	}
}

var useNames = [...]string{superUse: "superblock", inodeUse: "inode", xattrUse: "extended attributes", sharedUse: "shared extended attribute",
	tailUse: "content after the inode", blockUse: "content"}

func (a *audit) name(p piece) string {
	if p.use == inodeUse {
		return p.of.String()
	}
	return useNames[p.use]
}

func (a *audit) ofPath(p piece) string {
	if p.of == nil {
		return ""
	}
	return " of " + a.path(p.of)
}
