package layer

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"imprint/internal/tree"
	"strconv"
	"strings"
)

// A File is what a record says of a content.
type File struct {
	Pin  tree.Pin
	Size int64
	Data []tree.Range // what is no hole; nil if there are none
}

// Parse is the inverse of [Layer.Record]. content returns the blob for what the record says of a file. Time and memory are in proportion to the text.
func Parse(text []byte, content func(path string, f File) (tree.Blob, error)) (*Layer, error) {
	p := &parser{content: content, nodes: map[string]*tree.Node{}, attrs: map[attrKey]*tree.Attr{}}
	rest, ok := bytes.CutPrefix(text, []byte(version))
	if !ok {
		return nil, errors.New("is no record of a layer")
	}
	n := 1
	for line := range bytes.Lines(rest) {
		n++
		if err := p.line(string(line)); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	l, err := New(p.entries)
	if err != nil {
		return nil, err
	}
	if again, err := l.Record(); err != nil || !bytes.Equal(again, text) {
		return nil, errors.Join(errors.New("is not in the canonical form"), err)
	}
	return l, nil
}

type parser struct {
	content func(string, File) (tree.Blob, error)
	entries []Entry
	nodes   map[string]*tree.Node
	attrs   map[attrKey]*tree.Attr // so that nodes share them
}

type attrKey struct {
	mode     uint16
	uid, gid uint32
	mtime    tree.Time
}

var errForm = errors.New("is not of the form of a record")

func (p *parser) line(line string) error {
	word, rest, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	if !ok {
		return errForm
	}
	switch word {
	case "gone":
		path, rest, err := quoted(rest)
		if err != nil || rest != "" {
			return errForm
		}
		p.entries = append(p.entries, Entry{Path: path})
		return nil
	case "link":
		return p.hardLink(rest)
	case "xattr":
		return p.xattr(rest)
	}
	return p.node(word, rest)
}

func (p *parser) hardLink(rest string) error {
	path, rest, err := quoted(rest)
	if err != nil {
		return err
	}
	other, rest, err := quoted(strings.TrimPrefix(rest, " "))
	if err != nil || rest != "" || p.nodes[other] == nil || p.nodes[other].Kind() == tree.Dir {
		return errForm
	}
	p.entries = append(p.entries, Entry{Path: path, Node: tree.NewLink("", p.nodes[other])})
	return nil
}

// xattr adds an extended attribute to the last entry.
func (p *parser) xattr(rest string) error {
	name, rest, err := quoted(rest)
	value, hexErr := hex.DecodeString(strings.TrimPrefix(rest, " "))
	if err != nil || hexErr != nil || len(p.entries) == 0 {
		return errForm
	}
	n := p.entries[len(p.entries)-1].Node
	if n == nil || n.Attr == nil {
		return errForm
	}
	a := *n.Attr
	if last := len(a.Xattrs) - 1; last >= 0 && a.Xattrs[last].Name >= name {
		return errForm
	}
	a.Xattrs = append(a.Xattrs[:len(a.Xattrs):len(a.Xattrs)], tree.Xattr{Name: name, Value: value})
	n.Attr = &a
	return nil
}

// node adds an entry with attributes.
func (p *parser) node(word, rest string) error {
	var a tree.Attr
	f := strings.SplitN(rest, " ", 4)
	if len(f) != 4 {
		return errForm
	}
	mode, err1 := strconv.ParseUint(f[0], 8, 16)
	uid, gid, err2 := pair(f[1], ":")
	sec, nsec, _ := strings.Cut(f[2], ".")
	at, err3 := strconv.ParseInt(sec, 10, 64)
	part, err4 := strconv.ParseUint(nsec, 10, 32)
	path, rest, err5 := quoted(f[3])
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return errForm
	}
	a.Mode, a.UID, a.GID, a.Mtime = uint16(mode), uid, gid, tree.Time{Sec: at, Nsec: uint32(part)}
	rest = strings.TrimPrefix(rest, " ")
	n, err := p.body(word, path, p.shared(&a), rest)
	if err != nil {
		return err
	}
	p.nodes[path] = n
	p.entries = append(p.entries, Entry{Path: path, Node: n, Opaque: word == "opaque"})
	return nil
}

// shared returns the attributes of an earlier node if they are equal.
func (p *parser) shared(a *tree.Attr) *tree.Attr {
	key := attrKey{a.Mode, a.UID, a.GID, a.Mtime}
	if p.attrs[key] == nil {
		p.attrs[key] = a
	}
	return p.attrs[key]
}

// body returns the node of an entry, whose kind is a word of the record.
func (p *parser) body(word, path string, a *tree.Attr, rest string) (*tree.Node, error) {
	switch word {
	case "dir", "opaque":
		return tree.NewDir("", a, nil), nil
	case "fifo":
		return tree.NewSpecial("", a, tree.Fifo), nil
	case "socket":
		return tree.NewSpecial("", a, tree.Socket), nil
	case "file":
		return p.file(path, a, rest)
	case "symlink":
		target, rest, err := quoted(rest)
		if err != nil || rest != "" || target == "" {
			return nil, errForm
		}
		return tree.NewSymlink("", a, target), nil
	case "char", "block":
		kind := tree.CharDevice
		if word == "block" {
			kind = tree.BlockDevice
		}
		major, minor, err := pair(rest, ":")
		return tree.NewDevice("", a, kind, tree.Device{Major: major, Minor: minor}), err
	}
	return nil, errForm
}

func (p *parser) file(path string, a *tree.Attr, rest string) (*tree.Node, error) {
	f := strings.Split(rest, " ")
	if len(f) < 2 || len(f) > 3 {
		return nil, errForm
	}
	size, err := strconv.ParseInt(f[0], 10, 64)
	sum, hexErr := hex.DecodeString(f[1])
	if err != nil || hexErr != nil || size < 0 || len(sum) != len(tree.Pin{}) {
		return nil, errForm
	}
	file := File{Pin: tree.Pin(sum), Size: size}
	if len(f) == 3 {
		if file.Data, err = parseRanges(f[2], size); err != nil {
			return nil, err
		}
	}
	b, err := p.content(path, file)
	return tree.NewFile("", a, b), err
}

// parseRanges is the inverse of ranges. They are in order and apart.
func parseRanges(text string, size int64) ([]tree.Range, error) {
	list, end := []tree.Range{}, int64(-1)
	if text == "" {
		return list, nil
	}
	for one := range strings.SplitSeq(text, ",") {
		off, n, _ := strings.Cut(one, "+")
		from, err1 := strconv.ParseInt(off, 10, 64)
		length, err2 := strconv.ParseInt(n, 10, 64)
		if err1 != nil || err2 != nil || from <= end || length <= 0 || length > size-from {
			return nil, errForm
		}
		list, end = append(list, tree.Range{Off: from, Len: length}), from+length
	}
	return list, nil
}

// pair parses two numbers of 32 bits.
func pair(text, sep string) (a, b uint32, err error) {
	left, right, _ := strings.Cut(text, sep)
	x, err1 := strconv.ParseUint(left, 10, 32)
	y, err2 := strconv.ParseUint(right, 10, 32)
	if err1 != nil || err2 != nil {
		return 0, 0, errForm
	}
	return uint32(x), uint32(y), nil
}

// quoted cuts a quoted text off the front.
func quoted(text string) (value, rest string, err error) {
	prefix, err := strconv.QuotedPrefix(text)
	if err != nil || prefix[0] != '"' {
		return "", "", errForm
	}
	value, err = strconv.Unquote(prefix)
	return value, text[len(prefix):], err
}
