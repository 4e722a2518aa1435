package layer

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"imprint/internal/tree"
)

// The record of a layer is a text: a line with the version, then one for each entry, in their order.
//
//	gone PATH
//	dir MODE UID:GID TIME PATH
//	opaque MODE UID:GID TIME PATH           an opaque directory
//	file MODE UID:GID TIME PATH SIZE PIN [OFFSET+LENGTH,…]
//	link PATH OTHER                         a further name of the file OTHER, which comes before
//	symlink MODE UID:GID TIME PATH TARGET
//	char MODE UID:GID TIME PATH MAJOR:MINOR
//	block MODE UID:GID TIME PATH MAJOR:MINOR
//	fifo MODE UID:GID TIME PATH
//	socket MODE UID:GID TIME PATH
//	xattr NAME VALUE                        of the entry before, the value in hexadecimal digits
//
// Modes are octal, a time is seconds and nanoseconds; paths, targets and names are quoted as in Go. A file with holes lists its data. Each layer has exactly
// one record.
const version = "imprint layer 1\n"

var kindWords = map[tree.Kind]string{
	tree.Dir: "dir", tree.File: "file", tree.Symlink: "symlink", tree.CharDevice: "char", tree.BlockDevice: "block", tree.Fifo: "fifo", tree.Socket: "socket",
}

// Digest returns the digest of the record.
func (l *Layer) Digest() (tree.Pin, error) {
	text, err := l.Record()
	return sha256.Sum256(text), err
}

// Record returns the canonical text of the layer. All its files must have pins.
func (l *Layer) Record() ([]byte, error) {
	b := []byte(version)
	paths := map[*tree.Node]string{}
	for _, e := range l.entries {
		switch {
		case e.Node == nil:
			b = fmt.Appendf(b, "gone %q\n", e.Path)
			continue
		case e.Node.Kind() == tree.Link:
			b = fmt.Appendf(b, "link %q %q\n", e.Path, paths[e.Node.Inode()])
			continue
		}
		paths[e.Node] = e.Path
		a, word := e.Node.Attr, kindWords[e.Node.Kind()]
		if e.Opaque {
			word = "opaque"
		}
		b = fmt.Appendf(b, "%s %04o %d:%d %d.%09d %q", word, a.Mode, a.UID, a.GID, a.Mtime.Sec, a.Mtime.Nsec, e.Path)
		switch e.Node.Kind() {
		case tree.File:
			sum, ok := tree.PinOf(e.Node.Blob())
			if !ok {
				return nil, fmt.Errorf("%s has no pin", tree.Shown(e.Path))
			}
			b = fmt.Appendf(b, " %d %x%s", e.Node.Size(), sum, ranges(e.Node.Blob()))
		case tree.Symlink:
			b = fmt.Appendf(b, " %q", e.Node.Target())
		case tree.CharDevice, tree.BlockDevice:
			b = fmt.Appendf(b, " %d:%d", e.Node.Device().Major, e.Node.Device().Minor)
		}
		b = append(b, '\n')
		for _, x := range a.Xattrs {
			b = fmt.Appendf(b, "xattr %q %x\n", x.Name, x.Value)
		}
	}
	return b, nil
}

// ranges lists the data of a content with holes.
func ranges(b tree.Blob) string {
	sparse, ok := b.(tree.SparseBlob)
	if !ok {
		return ""
	}
	list := make([]string, 0, len(sparse.Data()))
	for _, r := range sparse.Data() {
		list = append(list, fmt.Sprintf("%d+%d", r.Off, r.Len))
	}
	return " " + strings.Join(list, ",")
}
