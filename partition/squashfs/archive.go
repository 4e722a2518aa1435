package squashfs

import (
	"archive/tar"
	"fmt"
	"io"
	"strconv"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// An archive is the tar stream that sqfstar reads. What package tar does not write goes to the stream beside it: extended attributes, as
// the pax records of star, and files with holes, in the format of old GNU tar.
type archive struct {
	out io.Writer
	tar *tar.Writer
}

func newArchive(out io.Writer) archive { return archive{out, tar.NewWriter(out)} }

// Types of members that package tar does not write.
const (
	typeLongName = 'L' // of the next member, in GNU tar
	typeSparse   = 'S'
)

const tarBlock = 512

// member adds the header of a node.
func (a archive) member(h *tar.Header, xattrs []tree.Xattr) error {
	if err := a.xattrs(xattrs); err != nil {
		return err
	}
	return a.tar.WriteHeader(h)
}

// file adds a file. One with holes has only its data in the archive.
func (a archive) file(h *tar.Header, n *tree.Node, content func(io.Writer) error) error {
	data := sparseMap(n.Blob())
	if data == nil {
		if err := a.member(h, n.Attr.Xattrs); err != nil {
			return err
		}
		return content(a.tar)
	}
	if err := a.xattrs(n.Attr.Xattrs); err != nil {
		return err
	}
	if err := a.raw(typeLongName, append([]byte(h.Name), 0)); err != nil {
		return err
	}
	if err := a.write(sparseHeader(h, data)); err != nil {
		return err
	}
	w := &dataWriter{out: a.out, data: data}
	if err := content(w); err != nil {
		return err
	}
	return w.pad(h.Size)
}

// xattrs adds the pax header that gives the next member its extended attributes. Values may hold any bytes.
func (a archive) xattrs(list []tree.Xattr) error {
	if len(list) == 0 {
		return nil
	}
	var records []byte
	for _, x := range list {
		records = append(records, paxRecord("SCHILY.xattr."+x.Name, string(x.Value))...)
	}
	return a.raw(tar.TypeXHeader, records)
}

// paxRecord returns a record of a pax header: its own length in decimal digits, a space, and the text (POSIX, pax, "Extended Header").
func paxRecord(key, value string) string {
	text := " " + key + "=" + value + "\n"
	n := len(text)
	for n != len(text)+len(strconv.Itoa(n)) {
		n = len(text) + len(strconv.Itoa(n))
	}
	return strconv.Itoa(n) + text
}

// raw adds a member that says something of the next one.
func (a archive) raw(kind byte, content []byte) error {
	header := make([]byte, tarBlock)
	copy(header, "././@LongLink")
	fields(header, &tar.Header{Typeflag: kind, Size: int64(len(content))})
	padding := units.Align(int64(len(content)), tarBlock) - int64(len(content))
	return a.write(append(append(header, content...), make([]byte, padding)...))
}

// write writes to the stream, after what package tar still has to write of the last member.
func (a archive) write(p []byte) error {
	if err := a.tar.Flush(); err != nil {
		return err
	}
	_, err := a.out.Write(p)
	return err
}

// fields fills in a header of the GNU format, apart from its name (GNU tar manual, "Basic Tar Format").
func fields(header []byte, h *tar.Header) {
	number(header[100:108], h.Mode)
	number(header[108:116], int64(h.Uid))
	number(header[116:124], int64(h.Gid))
	number(header[124:136], h.Size)
	mtime := int64(0)
	if !h.ModTime.IsZero() {
		mtime = h.ModTime.Unix()
	}
	number(header[136:148], mtime)
	header[156] = h.Typeflag
	copy(header[257:], "ustar  \x00")
	copy(header[148:156], "        ") // which the sum counts as spaces
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
}

// number writes a number that is not negative: octal digits and a NUL if they suffice, else a marker and bytes, the highest first.
func number(field []byte, n int64) {
	if text := strconv.FormatInt(n, 8); len(text) < len(field) {
		copy(field, fmt.Sprintf("%0*s\x00", len(field)-1, text))
		return
	}
	field[0] = 0x80
	for i := len(field) - 1; i > 0 && n > 0; i, n = i-1, n>>8 {
		field[i] = byte(n)
	}
}
