package ext4

import (
	"fmt"

	"imprint/internal/tree"
)

// inode explains a byte of a block that belongs to an inode.
func (e *explainer) inode() string {
	number, at := e.claim.owner, e.within()
	n, _, err := e.reader.inode(e.w, uint32(number))
	name := e.name(number)
	switch {
	case err != nil:
		return name
	case e.claim.kind == xattrClaim:
		return fmt.Sprintf("extended attributes of %s, byte %d", name, at)
	case e.claim.kind == mapClaim:
		return e.mapByte(&n, name, at)
	}
	kind, _ := n.kind()
	byteOf := e.claim.logical*e.blockSize + at
	switch {
	case number == journalInode:
		return e.journalByte(byteOf)
	case number < e.firstFree && number != rootInode:
		return fmt.Sprintf("reserved inode %d, byte %d", number, byteOf)
	case kind == tree.Dir:
		return e.dirByte(&n, name, byteOf)
	case uint32(number) == e.super.OrphanFile && e.features.has(orphanFile):
		return fmt.Sprintf("orphan file, byte %d", byteOf)
	case n.Flags&eaInodeFlag != 0:
		name = fmt.Sprintf("attribute value in inode %d", number)
	case e.paths()[uint32(number)] != "":
		name = e.paths()[uint32(number)]
	}
	switch {
	case e.claim.kind == unwrittenClaim:
		return fmt.Sprintf("%v %s, allocated and unused", kind, name)
	case byteOf >= n.size():
		return fmt.Sprintf("%v tail after %s", kind, name)
	}
	return fmt.Sprintf("%v %s, byte %d", kind, name, byteOf)
}

// mapByte explains a byte of a block of an extent tree or of a block map.
func (e *explainer) mapByte(n *inode, name string, at int64) string {
	if n.Flags&extentsFlag == 0 {
		return fmt.Sprintf("block map of %s, pointer %d of an indirect block of level %d", name, at/4, e.claim.logical)
	}
	object := "extent tree of " + name
	b, err := e.w.read(e.off-at, e.blockSize)
	if err != nil {
		return object
	}
	// A header and entries of 12 bytes each; the checksum follows the last entry that there is room for.
	switch i := at/extentSize - 1; {
	case i < 0:
		return object + ", header"
	case i < int64(le.Uint16(b[2:])):
		return fmt.Sprintf("%s, entry %d", object, i)
	case i < int64(le.Uint16(b[4:])):
		return fmt.Sprintf("%s, unused entry %d", object, i)
	case e.features.has(metadataCsum) && at < extentSize*(1+e.nodeEntries())+4:
		return object + ", checksum"
	}
	return object + ", unused"
}

// journalNames are the fields of [journalSuper] in their order.
const journalNames = `h_magic h_blocktype h_sequence s_blocksize s_maxlen s_first s_sequence s_start s_errno s_feature_compat
s_feature_incompat s_feature_ro_compat s_uuid s_nr_users s_dynsuper s_max_transaction s_max_trans_data`

func (e *explainer) journalByte(at int64) string {
	if name := fieldAt(journalSuper{}, journalNames, "", at); name != "" {
		return "journal superblock, " + name
	}
	switch {
	case at < journalSize:
		return fmt.Sprintf("journal superblock, byte %d", at)
	case at < e.blockSize:
		return "unused after the journal superblock"
	}
	return fmt.Sprintf("journal, block %d", at/e.blockSize)
}

// dirByte explains a byte of a directory: the record that it is in, and the part of it.
func (e *explainer) dirByte(n *inode, name string, at int64) string {
	object := fmt.Sprintf("directory %s, byte %d", name, at)
	inBlock := at % e.blockSize
	b, err := e.w.read(e.off-inBlock, e.blockSize)
	if err != nil || at >= n.size() {
		return object + ": unused"
	}
	part := ""
	err = e.eachDirent(b, func(d dirent) error {
		if skip := inBlock - int64(d.at); skip >= 0 && skip < int64(d.size) {
			part = direntPart(d, skip)
		}
		return nil
	})
	switch {
	case part == "" || err != nil:
		return object
	case n.Flags&indexFlag != 0 && at >= 2*dotSize && at < e.blockSize:
		return object + ": index root" + indexPart(b, rootHeader, inBlock)
	case n.Flags&indexFlag != 0 && le.Uint32(b) == 0 && int64(e.recordLength(le.Uint16(b[4:]))) == e.blockSize:
		return object + ": index node" + indexPart(b, nodeHeader, inBlock)
	}
	return object + ": " + part
}

// indexPart names a byte of the entries of an index that follow a header.
func indexPart(b []byte, header, at int64) string {
	limit, count := int64(le.Uint16(b[header:])), int64(le.Uint16(b[header+2:]))
	switch i := (at - header) / indexEntry; {
	case at < header || i == 0:
		return ""
	case i < count:
		return fmt.Sprintf(", entry %d", i)
	case i < limit:
		return fmt.Sprintf(", unused entry %d", i)
	}
	return ", checksum"
}

// direntPart names a byte of a record.
func direntPart(d dirent, at int64) string {
	object := fmt.Sprintf("%q", d.name)
	if d.ino == 0 {
		object = "unused record"
		if d.kind == dirTailType {
			object = "checksum record"
		}
	}
	switch {
	case at < 4:
		return object + ", inode"
	case at < 6:
		return object + ", rec_len"
	case at < 7:
		return object + ", name_len"
	case at < entryHeader:
		return object + ", file_type"
	case d.ino == 0 && d.kind == dirTailType:
		return object
	case at < entryHeader+int64(len(d.name)):
		return object + ", name"
	}
	return object + ", unused after the name"
}
