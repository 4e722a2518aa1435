package tree

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// MarshalJSON encodes the tree as one line of text for each node, in the order of Walk: kind, mode, owner, time, then content, target or device,
// and the path. Two trees with equal lines are equal, except for contents without a [Pin].
func (t *Tree) MarshalJSON() ([]byte, error) {
	lines := make([]string, 0, t.Len())
	for path, n := range t.Walk() {
		lines = append(lines, line(path, n))
	}
	return json.Marshal(lines)
}

func line(path string, n *Node) string {
	if n.kind == Link {
		return fmt.Sprintf("%v to node %d %q", n.kind, n.Inode().id, path)
	}
	a := n.Attr
	s := fmt.Sprintf("%v %04o %d:%d %d.%09d", n.kind, a.Mode, a.UID, a.GID, a.Mtime.Sec, a.Mtime.Nsec)
	switch n.kind {
	case File:
		s += " " + describe(n.Blob())
	case Symlink:
		s += fmt.Sprintf(" to %q", n.Target())
	case CharDevice, BlockDevice:
		s += fmt.Sprintf(" %d:%d", n.Device().Major, n.Device().Minor)
	}
	for _, x := range a.Xattrs {
		s += fmt.Sprintf(" %s=%x", x.Name, x.Value)
	}
	return fmt.Sprintf("%s %q", s, path)
}

// describe returns what is known about a content without reading it.
func describe(b Blob) string {
	if sum, ok := PinOf(b); ok {
		kind := "sha256"
		if _, sparse := b.(SparseBlob); sparse {
			kind = "pin"
		}
		return fmt.Sprintf("%d bytes %s:%s", b.Size(), kind, hex.EncodeToString(sum[:]))
	}
	if t, ok := b.(text); ok && len(t) <= 80 {
		return fmt.Sprintf("%q", string(t))
	}
	return fmt.Sprintf("%d bytes", b.Size())
}

// MarshalJSON writes what is known of the content.
func (p *pinned) MarshalJSON() ([]byte, error) { return json.Marshal(describe(p)) }

// MarshalJSON writes what is known of the content.
func (t text) MarshalJSON() ([]byte, error) { return json.Marshal(describe(t)) }
