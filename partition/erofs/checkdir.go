package erofs

import (
	"fmt"

	"imprint/internal/fault"
	"imprint/internal/tree"
)

// directory checks the entries of a directory, and what follows them in its last block.
func (a *audit) directory(n *audited) {
	if a.spent() {
		return
	}
	d := dirAudit{audit: a, n: n}
	for d.at = 0; d.at < n.content.size; d.at += blockSize {
		b, err := a.part(n.content, d.at)
		if err != nil {
			if !a.spent() {
				a.fault(n.content.place(d.at), n, d.block(), err.Error())
			}
			return
		}
		if err := eachDirent(b, d.entry); err != nil {
			a.fault(n.content.place(d.at), n, d.block(), err.Error())
		}
	}
	if d.dots != 2 {
		a.fault(n.content.place(0), n, "directory", fmt.Sprintf("has %d of the names \".\" and \"..\"", d.dots))
	}
	if at := nonZero(a.rest(n)); at >= 0 {
		a.fault(n.content.place(n.content.size-1)+1+int64(at), n, "directory", "is followed by bytes that are not zero")
	}
}

// A dirAudit checks one directory.
type dirAudit struct {
	*audit
	n    *audited
	at   int64 // offset in the directory of the block
	last string
	dots int
}

func (d *dirAudit) block() string { return fmt.Sprintf("directory block %d", d.at/blockSize) }

// wrong reports a fault of an entry.
func (d *dirAudit) wrong(e dirent, format string, args ...any) {
	d.fault(d.n.content.place(d.at+int64(e.at)), d.n, fmt.Sprintf("directory entry %q", e.name), fmt.Sprintf(format, args...))
}

// entry checks an entry and visits the inode that it names.
func (d *dirAudit) entry(e dirent) error {
	if e.name <= d.last {
		d.wrong(e, "comes after %q", d.last)
	}
	d.last = e.name
	if e.reserved != 0 {
		d.wrong(e, "reserved is %d, 0 is expected", e.reserved)
	}
	d.padding(e)
	switch e.name {
	case ".":
		d.dot(e, d.n.nid)
	case "..":
		d.dot(e, d.n.parent)
	default:
		d.child(e)
	}
	if d.spent() {
		return fault.ErrOverlap
	}
	return nil
}

// padding checks what follows a name: zeros up to the end of the block, and nothing before another name.
func (d *dirAudit) padding(e dirent) {
	size := e.to - e.from - len(e.name)
	if size == 0 {
		return
	}
	end := d.at + int64(e.to)
	if end%blockSize != 0 && end != d.n.content.size {
		d.wrong(e, "its name ends with a zero before the next one")
		return
	}
	b := make([]byte, size)
	if readFull(d.image, b, d.n.content.place(end-int64(size))) == nil && nonZero(b) >= 0 {
		d.wrong(e, "is followed by bytes that are not zero")
	}
}

// dot checks one of the two names that every directory has.
func (d *dirAudit) dot(e dirent, want uint64) {
	d.dots++
	if e.nid != want {
		d.wrong(e, "%s", fault.Mismatch("nid", e.nid, want))
	}
	d.code(e, tree.Dir)
}

func (d *dirAudit) code(e dirent, kind tree.Kind) {
	if want := kindCodes[kind].entry; e.code != want {
		d.wrong(e, "file_type is %d, %d is expected of a %v", e.code, want, kind)
	}
}

// child visits the inode that an entry names, unless it is a directory that was found before.
func (d *dirAudit) child(e dirent) {
	if err := tree.CheckName(e.name); err != nil {
		d.wrong(e, "%v", err)
		return
	}
	if d.n.depth == maxDepth {
		d.wrong(e, "more than %d directories are nested", maxDepth)
		return
	}
	c := d.visit(e.name, e.nid, d.n.nid, d.n.depth+1)
	if c == nil {
		return
	}
	d.code(e, c.kind)
	if c.names++; c.kind == tree.Dir {
		d.n.subdirs++
		if c.names > 1 || c.nid == c.parent {
			d.wrong(e, "%v", errTwice)
		}
	}
}
