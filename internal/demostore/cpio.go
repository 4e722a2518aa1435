package demostore

import (
	"bytes"
	"fmt"
)

// A cpioArchive is a cpio archive in the "newc" format, which the kernel unpacks as its initial root file system
// (Documentation/driver-api/early-userspace/buffer-format.rst). Every entry belongs to root and has time 0.
type cpioArchive struct {
	buf   bytes.Buffer
	inode int
}

// File types in the mode field.
const (
	cpioChar    = 0o020000
	cpioDir     = 0o040000
	cpioFile    = 0o100000
	cpioSymlink = 0o120000
)

// A cpioEntry is one file: its path without a leading slash, its type and permissions, and its content or link target.
type cpioEntry struct {
	path    string
	mode    int
	content []byte
	rdev    [2]int // major and minor device number
}

func (a *cpioArchive) add(e cpioEntry) {
	a.inode++
	fields := []int{a.inode, e.mode, 0, 0, 1, 0, len(e.content), 0, 0, e.rdev[0], e.rdev[1], len(e.path) + 1, 0}
	a.buf.WriteString("070701")
	for _, f := range fields {
		fmt.Fprintf(&a.buf, "%08X", f)
	}
	a.buf.WriteString(e.path + "\x00")
	a.pad(4)
	a.buf.Write(e.content)
	a.pad(4)
}

func (a *cpioArchive) pad(grain int) {
	for a.buf.Len()%grain != 0 {
		a.buf.WriteByte(0)
	}
}

// bytes finishes the archive and returns it.
func (a *cpioArchive) bytes() []byte {
	a.inode = -1
	a.add(cpioEntry{path: "TRAILER!!!"})
	a.pad(512)
	return a.buf.Bytes()
}
