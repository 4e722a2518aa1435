package hosttree

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// An entry is a name in a directory: a part of a string with all of them, which saves an allocation for each.
type entry struct {
	off int
	n   uint16
	typ uint8 // unix.DT_REG…, or unix.DT_UNKNOWN from a file system that does not record types
}

func (e entry) in(names string) string { return names[e.off : e.off+int(e.n)] }

// list reads the names in an open directory into w.names and w.entries.
func (w *worker) list(fd int) error {
	w.names, w.entries = w.names[:0], w.entries[:0]
	for {
		n, err := unix.ReadDirent(fd, w.dirents)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case n == 0:
			return nil
		}
		w.parse(w.dirents[:n])
	}
}

// parse reads the records of getdents64(2): inode (8 bytes), offset (8), length of the record (2), type (1), name with a NUL.
func (w *worker) parse(records []byte) {
	const nameAt = 19
	for len(records) > nameAt {
		size := int(binary.NativeEndian.Uint16(records[16:]))
		if size <= nameAt || size > len(records) {
			return
		}
		name := records[nameAt:size]
		if end := bytes.IndexByte(name, 0); end >= 0 {
			name = name[:end]
		}
		if !(len(name) == 1 && name[0] == '.' || len(name) == 2 && name[0] == '.' && name[1] == '.') {
			w.entries = append(w.entries, entry{off: len(w.names), n: uint16(len(name)), typ: records[18]})
			w.names = append(w.names, name...)
		}
		records = records[size:]
	}
}

// sortEntries sorts by the bytes of the names.
func sortEntries(entries []entry, names string) {
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.in(names), b.in(names)) })
}
