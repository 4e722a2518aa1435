package listing

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"

	"imprint/closure/nar"
	"imprint/internal/tree"
)

// entry is a node of a text that is written, with its fields in Nix's order.
type entry struct {
	Type       string             `json:"type"`
	Size       *int64             `json:"size,omitempty"`
	Executable bool               `json:"executable,omitempty"`
	Offset     int64              `json:"narOffset,omitempty"` // of the content in the archive
	Target     *string            `json:"target,omitempty"`
	Entries    *map[string]*entry `json:"entries,omitempty"` // written in the order of their names
}

// ErrNoText is the error of Text for names and targets that JSON cannot have.
var ErrNoText = errors.New("a name or a target is not valid UTF-8")

// Text returns the listing of an item, byte for byte as Nix writes it.
func Text(n *tree.Node) ([]byte, error) {
	shape := shapeOf("", n)
	placed, _, err := shape.Tree(tree.Text(""), func(_ tree.Kind, mode uint16) *tree.Attr { return &tree.Attr{Mode: mode} })
	if err != nil {
		return nil, err
	}
	root, err := entryOf(placed)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err = e.Encode(struct {
		Version int    `json:"version"`
		Root    *entry `json:"root"`
	}{1, root})
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// shapeOf returns the shape of an item, in which a link is the file that it leads to.
func shapeOf(name string, n *tree.Node) nar.Shape {
	inode := n.Inode()
	s := nar.Shape{Name: name, Kind: inode.Kind()}
	switch s.Kind {
	case tree.File:
		s.Size, s.Executable = inode.Size(), inode.Attr.Mode&0o100 != 0
	case tree.Symlink:
		s.Target = inode.Target()
	}
	for _, c := range inode.Children() {
		s.Entries = append(s.Entries, shapeOf(c.Name, c))
	}
	slices.SortFunc(s.Entries, func(a, b nar.Shape) int { return cmp.Compare(a.Name, b.Name) })
	return s
}

// entryOf converts a node whose contents are where the archive has them.
func entryOf(n *tree.Node) (*entry, error) {
	switch n.Kind() {
	case tree.File:
		size := n.Size()
		_, off := tree.Origin(n.Blob())
		return &entry{Type: "regular", Size: &size, Executable: n.Attr.Mode&0o100 != 0, Offset: off}, nil
	case tree.Symlink:
		target := n.Target()
		if !utf8.ValidString(target) {
			return nil, ErrNoText
		}
		return &entry{Type: "symlink", Target: &target}, nil
	}
	entries := map[string]*entry{}
	for _, c := range n.Children() {
		e, err := entryOf(c)
		if err != nil {
			return nil, err
		}
		if !utf8.ValidString(c.Name) {
			return nil, ErrNoText
		}
		entries[c.Name] = e
	}
	return &entry{Type: "directory", Entries: &entries}, nil
}
