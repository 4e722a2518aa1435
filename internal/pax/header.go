package pax

import (
	"fmt"
	"strings"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// blockSize is the unit of an archive in bytes.
const blockSize = 512

// Fields of a header (POSIX, pax, "ustar Interchange Format"): offset and length in bytes.
type field struct{ off, len int }

var (
	nameField     = field{0, 100}
	modeField     = field{100, 8}
	uidField      = field{108, 8}
	gidField      = field{116, 8}
	sizeField     = field{124, 12}
	mtimeField    = field{136, 12}
	checksumField = field{148, 8}
	linkField     = field{157, 100}
	majorField    = field{329, 8}
	minorField    = field{337, 8}
	prefixField   = field{345, 155}
)

const (
	typeOffset = 156
	magic      = "ustar\x0000" // with the version
	magicOff   = 257
)

// Types of entries.
const (
	typeLink     = '1'
	typeExtended = 'x'
)

// types maps kinds of nodes to types of entries. An archive cannot hold others.
var types = map[tree.Kind]byte{
	tree.File: '0', tree.Symlink: '2', tree.CharDevice: '3', tree.BlockDevice: '4', tree.Dir: '5', tree.Fifo: '6',
}

// An entry is what is written about one name before its content.
type entry struct {
	name   string
	inode  *tree.Node
	link   string // the earlier name of the same file, "" for the first one
	stored stored // the content of a file, if it follows
}

// appendTo appends the headers of the entry, and the map of a sparse file, in whole blocks.
func (e *entry) appendTo(b []byte) []byte {
	r := e.records()
	if len(r) > 0 {
		h := newHeader(typeExtended)
		h.text(nameField, "PaxHeaders/"+e.name[strings.LastIndexByte(strings.TrimSuffix(e.name, "/"), '/')+1:])
		h.number(modeField, 0o644)
		h.number(sizeField, int64(len(r)))
		b = padded(append(h.appendTo(b), r...))
	}
	b = e.header().appendTo(b)
	return padded(append(b, e.stored.table...))
}

// header returns the header after the records. What does not fit is in them.
func (e *entry) header() *header {
	a := e.inode.Attr
	h := newHeader(types[e.inode.Kind()])
	h.path(e.stored.name(e.name))
	h.number(modeField, int64(a.Mode))
	h.number(uidField, int64(a.UID))
	h.number(gidField, int64(a.GID))
	h.number(mtimeField, a.Mtime.Sec)
	h.number(sizeField, e.stored.size)
	switch {
	case e.link != "":
		h[typeOffset] = typeLink
		h.text(linkField, e.link)
	case e.inode.Kind() == tree.Symlink:
		h.text(linkField, e.inode.Target())
	case e.inode.Kind() == tree.CharDevice, e.inode.Kind() == tree.BlockDevice:
		d := e.inode.Device()
		h.number(majorField, int64(d.Major))
		h.number(minorField, int64(d.Minor))
	}
	return h
}

// A header is one block.
type header [blockSize]byte

func newHeader(kind byte) *header {
	h := &header{}
	h[typeOffset] = kind
	copy(h[magicOff:], magic)
	for _, f := range []field{modeField, uidField, gidField, sizeField, mtimeField, majorField, minorField} {
		h.number(f, 0)
	}
	return h
}

// appendTo appends the block with its checksum, which counts its own bytes as spaces.
func (h *header) appendTo(b []byte) []byte {
	copy(h[checksumField.off:], strings.Repeat(" ", checksumField.len))
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[checksumField.off:], fmt.Sprintf("%06o\x00 ", sum))
	return append(b, h[:]...)
}

// text fills a field, as far as the text fits.
func (h *header) text(f field, text string) { copy(h[f.off:f.off+f.len], text) }

// path fills the fields for a path.
func (h *header) path(path string) {
	prefix, name, _ := split(path)
	h.text(prefixField, prefix)
	h.text(nameField, name)
}

// number fills a field with octal digits and a NUL, unless the number does not fit.
func (h *header) number(f field, n int64) {
	if fits(f, n) {
		copy(h[f.off:], fmt.Sprintf("%0*o\x00", f.len-1, n))
	}
}

// fits reports whether a field can hold a number.
func fits(f field, n int64) bool { return n >= 0 && n < 1<<(3*(f.len-1)) }

// split divides a path at a slash, so that both parts fit into their fields. ok is false if that is impossible.
func split(path string) (prefix, name string, ok bool) {
	if len(path) <= nameField.len {
		return "", path, true
	}
	least := len(path) - nameField.len - 1 // of the prefix, in bytes
	if at := strings.IndexByte(path[least:], '/'); at >= 0 && least+at > 0 && least+at <= prefixField.len && least+at < len(path)-1 {
		return path[:least+at], path[least+at+1:], true
	}
	return "", path[:nameField.len], false
}

// padded appends zeros up to a whole block.
func padded(b []byte) []byte {
	return append(b, make([]byte, units.Align(int64(len(b)), blockSize)-int64(len(b)))...)
}
