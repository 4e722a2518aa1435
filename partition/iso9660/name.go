package iso9660

import (
	"bytes"
	"slices"
	"strconv"

	"imprint/internal/tree"
)

// An ident is the name of a file for readers without Rock Ridge, without its version: NAME.EXTENSION of at most 30 capital letters, digits
// and underscores (ECMA-119, 7.5.1). That of a directory has no extension, but keeps the dot here, so that idents of both kinds compare
// alike: names first, then extensions, the shorter one padded with spaces (ECMA-119, 9.3). Padding with zeros makes this the order of the
// bytes, since a dot is below all letters.
type ident struct {
	text [maxIdent]byte // filled with zeros
	n    uint8
}

// Lengths in bytes. An extension of more than maxExtension counts as a part of the name, since it would leave the name too little room.
const (
	maxIdent     = 31
	maxExtension = 8
	version      = ";1"
)

// letters maps the bytes of a name to those of its ident.
var letters = func() (l [256]byte) {
	for i := range l {
		switch c := byte(i); {
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			l[i] = c
		case 'a' <= c && c <= 'z':
			l[i] = c - 'a' + 'A'
		default:
			l[i] = '_'
		}
	}
	return l
}()

// identOf returns the ident of a name. Different names may have the same.
func identOf(name string, dir bool) (d ident) {
	stem, extension := name, ""
	if !dir {
		stem, extension = cutExtension(name)
	}
	d.add(stem[:min(len(stem), maxIdent-1-len(extension))])
	d.text[d.n] = '.'
	d.n++
	d.add(extension)
	return d
}

func (d *ident) add(s string) {
	for i := range len(s) {
		d.text[d.n] = letters[s[i]]
		d.n++
	}
}

// cutExtension cuts a name at its last dot if what follows is short.
func cutExtension(name string) (stem, extension string) {
	for i := len(name) - 1; i > 0 && len(name)-i-1 <= maxExtension; i-- {
		if name[i] == '.' {
			return name[:i], name[i+1:]
		}
	}
	return name, ""
}

// numbered returns an ident with a number at the end of its name, in place of its last letters if there is no room.
func (d ident) numbered(number int) (r ident) {
	dot := bytes.IndexByte(d.text[:d.n], '.')
	extension := d.text[dot:d.n]
	suffix := strconv.AppendInt([]byte{'_'}, int64(number), 10)
	r.n = uint8(copy(r.text[:], d.text[:min(dot, maxIdent-len(extension)-len(suffix))]))
	r.n += uint8(copy(r.text[r.n:], suffix))
	r.n += uint8(copy(r.text[r.n:], extension))
	return r
}

func (d ident) compare(other ident) int { return bytes.Compare(d.text[:], other.text[:]) }

// appendIdentifier appends the identifier as a record has it, with the version of a file.
func (d ident) appendIdentifier(b []byte, dir bool) []byte {
	if dir {
		return append(b, d.text[:d.n-1]...)
	}
	return append(append(b, d.text[:d.n]...), version...)
}

// identifierSize returns the length of the identifier as a record has it.
func (d ident) identifierSize(dir bool) int {
	if dir {
		return int(d.n) - 1
	}
	return int(d.n) + len(version)
}

// A named is a node of a directory and its ident.
type named struct {
	ident
	id int32
}

// identify assigns distinct idents to the children of a directory, appends them to dst and sorts them. Of the names with the same ident the
// first keeps it; the others get numbers, which count through the directory and skip idents that other names have.
func (c *content) identify(dst []named, children []*tree.Node) []named {
	for _, n := range children {
		dst = append(dst, named{identOf(n.Name, n.Kind() == tree.Dir), int32(n.ID())})
	}
	byIdent := func(a, b named) int { return a.compare(b.ident) }
	slices.SortStableFunc(dst, byIdent)
	var again []int
	for i := 1; i < len(dst); i++ {
		if dst[i].ident == dst[i-1].ident {
			again = append(again, i)
		}
	}
	if again == nil {
		return dst
	}
	renamed := make([]ident, 0, len(again))
	number := 0
	for _, i := range again {
		for taken := true; taken; {
			number++
			d := dst[i].numbered(number)
			if _, taken = slices.BinarySearchFunc(dst, named{ident: d}, byIdent); !taken {
				renamed = append(renamed, d)
			}
		}
	}
	for k, i := range again {
		dst[i].ident = renamed[k]
		c.renamed[dst[i].id] = renamed[k]
	}
	slices.SortFunc(dst, byIdent)
	return dst
}

// ident returns the ident of a node.
func (c *content) ident(n *tree.Node) ident {
	if len(c.renamed) > 0 {
		if d, ok := c.renamed[int32(n.ID())]; ok {
			return d
		}
	}
	return identOf(n.Name, n.Kind() == tree.Dir)
}
