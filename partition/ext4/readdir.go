package ext4

import (
	"fmt"
	"slices"
	"strings"

	"imprint/internal/fault"
	"imprint/internal/tree"
)

// A dirent is a record of a directory: a name, or unused space if ino is 0.
type dirent struct {
	ino  uint32
	name []byte
	rest []byte // the bytes after the name
	kind uint8
	at   int // offset of the record in the block
	size int // length of the record
}

// eachDirent calls do for the records of a block of a directory, or of another space with records.
func (f *frame) eachDirent(b []byte, do func(dirent) error) error {
	for at := 0; at < len(b); {
		e := b[at:]
		if len(e) < entryHeader {
			return fmt.Errorf("record at byte %d of %d has no room", at, len(b))
		}
		d := dirent{ino: le.Uint32(e), kind: e[7], at: at, size: f.recordLength(le.Uint16(e[4:]))}
		if d.size < entryHeader || d.size%4 != 0 || d.size > len(e) || entryHeader+int(e[6]) > d.size {
			return fmt.Errorf("record at byte %d of %d has length %d and a name of %d bytes", at, len(b), d.size, e[6])
		}
		d.name, d.rest = e[entryHeader:][:e[6]:e[6]], e[entryHeader+int(e[6]):d.size]
		if err := do(d); err != nil {
			return err
		}
		at += d.size
	}
	return nil
}

// recordLength decodes the length of a record. In blocks of 64 KiB two values mean a whole block, whose length 16 bits cannot hold.
func (f *frame) recordLength(n uint16) int {
	if f.blockSize == 1<<16 && (n == 1<<16-1 || n == 0) {
		return 1 << 16
	}
	return int(n)
}

// maxDepth is how deep directories may be nested. A path of that depth has at least 8192 bytes, twice PATH_MAX.
const maxDepth = 4096

// dir reads a directory and everything below it.
func (r *treeReader) dir(name string, n *inode, b []byte, depth int) ([]*tree.Node, error) {
	if r.omit.Enter(name) {
		return nil, nil
	}
	defer r.omit.Leave()
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d directories are nested", maxDepth)
	}
	entries, err := r.dirEntries(n, b)
	if err != nil {
		return nil, err
	}
	// The order of the tree decides which name of a file is the first one.
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	kids := make([]*tree.Node, len(entries))
	for i, e := range entries {
		if err := tree.CheckName(e.name); err != nil {
			return nil, err
		}
		if i > 0 && entries[i-1].name == e.name {
			return nil, fmt.Errorf("name %q is there twice", e.name)
		}
		if kids[i], err = r.node(e.name, e.ino, depth+1); err != nil {
			return nil, fault.Below(e.name, err)
		}
	}
	return kids, nil
}

// dirEntries returns the names in a directory, without "." and "..", which only Check checks.
func (r *treeReader) dirEntries(n *inode, b []byte) (entries []entry, err error) {
	add := func(d dirent) error {
		if name := string(d.name); d.ino != 0 && name != "." && name != ".." {
			entries = append(entries, entry{name, d.ino, d.kind})
		}
		return nil
	}
	if n.Flags&inlineFlag != 0 {
		err = r.inlineDir(n, b, add)
	} else {
		err = r.eachBlock(n, func(block []byte) error { return r.eachDirent(block, add) })
	}
	return entries, err
}

// inlineDir reads the records in an inode (kernel: "Inline Directories"): after the number of the directory above, they go up to the end of
// i_block, and on in the attribute "system.data".
func (r *treeReader) inlineDir(n *inode, b []byte, add func(dirent) error) error {
	if err := r.eachDirent(n.Block[4:], add); err != nil {
		return err
	}
	rest, err := r.inlineRest(b)
	if err != nil {
		return err
	}
	return r.eachDirent(rest, add)
}

// inlineRest returns the part of an inode's inline content after the first 60 bytes, which is stored as an attribute.
func (f *frame) inlineRest(b []byte) ([]byte, error) {
	body := f.bodyXattrs(b)
	if body == nil {
		return nil, nil
	}
	all, err := parseXattrs(body, 0)
	for _, x := range all {
		if x.index == systemIndex && x.name == inlineName {
			return x.value, nil
		}
	}
	return nil, err
}

// eachBlock calls do for the blocks of a directory.
func (r *treeReader) eachBlock(n *inode, do func(b []byte) error) error {
	size := int64(n.SizeLo)
	if r.features.has(largeDir) {
		size = n.size()
	}
	if size < 0 || size%r.blockSize != 0 || size == 0 {
		return fmt.Errorf("directory of %d bytes is not a multiple of the block size %d", size, r.blockSize)
	}
	m := r.structureMap(n)
	for at, end := int64(0), size/r.blockSize; at < end; {
		run, err := m.locate(at)
		if err != nil {
			return err
		}
		if run.physical == hole {
			return fmt.Errorf("directory has no block %d", at)
		}
		for i := int64(0); i < run.blocks && at < end; i, at = i+1, at+1 {
			b, err := r.block(run.physical + i)
			if err != nil {
				return err
			}
			if err := do(b); err != nil {
				return fmt.Errorf("directory block %d: %w", at, err)
			}
		}
	}
	return nil
}
