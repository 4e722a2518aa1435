// Package tree is a file tree as a value: nodes with names, attributes and contents, built by appending and sorted once. It does not use
// the host's file system; package hosttree reads that into nodes.
//
// A tree of a million files stays small: a node is 48 bytes, and nodes share their attributes.
package tree

import (
	"errors"
	"fmt"
	"math"
)

// A Kind is the type of a node.
type Kind uint8

// The kinds of nodes. A Link is another name of a file (or symlink, device…) elsewhere in the same tree.
const (
	File Kind = iota
	Dir
	Symlink
	CharDevice
	BlockDevice
	Fifo
	Socket
	Link
)

var kindNames = [...]string{"file", "directory", "symlink", "character device", "block device", "fifo", "socket", "hard link"}

// String returns the kind in words, such as "symlink".
func (k Kind) String() string { return kindNames[k] }

// A Time is a point in time as inodes store it: seconds since 1970 (negative before) and nanoseconds below 1e9.
type Time struct {
	Sec  int64
	Nsec uint32
}

// An Xattr is an extended attribute with its full name, such as "security.capability".
type Xattr struct {
	Name  string
	Value []byte
}

// Attr has the attributes of a node. Nodes share their Attr, so it must not be changed once a node points to it.
type Attr struct {
	Mode   uint16 // permission bits, set-uid, set-gid and sticky: 07777 at most
	UID    uint32
	GID    uint32
	Mtime  Time
	Xattrs []Xattr // sorted by name
}

// Check returns an error if an inode of Linux cannot have the attributes.
func (a *Attr) Check() error {
	switch {
	case a == nil:
		return errors.New("has no attributes")
	case a.UID == math.MaxUint32 || a.GID == math.MaxUint32: // -1, "unchanged" for chown(2)
		return fmt.Errorf("owner %d:%d: %d is not a valid ID", a.UID, a.GID, uint32(math.MaxUint32))
	case a.Mode > 0o7777:
		return fmt.Errorf("mode %#o is above 07777", a.Mode)
	case a.Mtime.Nsec >= 1e9:
		return fmt.Errorf("time %d has %d nanoseconds, a second has 1000000000", a.Mtime.Sec, a.Mtime.Nsec)
	}
	return nil
}

// A Node is one name in a directory and the file that it names. It belongs to one tree.
type Node struct {
	Name string // one path element: 1 to 255 bytes without "/" and NUL; "" for the root
	Attr *Attr  // nil for a Link, which has the attributes of its target
	body any    // Blob, *children, string, Device, *Node or nil, by kind
	id   int32
	kind Kind
}

// A Device is the number of a device node.
type Device struct{ Major, Minor uint32 }

// Check returns an error if Linux has no such number: it has 12 bits for the major and 20 for the minor one.
func (d Device) Check() error {
	if d.Major >= 1<<12 || d.Minor >= 1<<20 {
		return fmt.Errorf("device number %d:%d is over 4095:1048575", d.Major, d.Minor)
	}
	return nil
}

type children struct{ nodes []*Node }

// NewFile returns a regular file.
func NewFile(name string, attr *Attr, content Blob) *Node {
	return &Node{Name: name, Attr: attr, body: content, kind: File}
}

// NewDir returns a directory with nodes in any order; duplicate names are reported when the tree is built.
func NewDir(name string, attr *Attr, nodes []*Node) *Node {
	return &Node{Name: name, Attr: attr, body: &children{nodes}, kind: Dir}
}

// NewSymlink returns a symbolic link.
func NewSymlink(name string, attr *Attr, target string) *Node {
	return &Node{Name: name, Attr: attr, body: target, kind: Symlink}
}

// NewDevice returns a character or block device.
func NewDevice(name string, attr *Attr, kind Kind, number Device) *Node {
	return &Node{Name: name, Attr: attr, body: number, kind: kind}
}

// NewSpecial returns a fifo or a socket.
func NewSpecial(name string, attr *Attr, kind Kind) *Node {
	return &Node{Name: name, Attr: attr, kind: kind}
}

// NewLink returns another name of target, which must not be a directory or a link itself.
func NewLink(name string, target *Node) *Node {
	return &Node{Name: name, body: target, kind: Link}
}

// Copy returns a node without a name that belongs to no tree yet: with the same attributes, content, target or number, and without what is in a directory. A
// copy of a Link leads to the same node.
func (n *Node) Copy() *Node {
	c := &Node{Attr: n.Attr, body: n.body, kind: n.kind}
	if n.kind == Dir {
		c.body = &children{}
	}
	return c
}

// Kind returns the type of the node.
func (n *Node) Kind() Kind { return n.kind }

// ID returns the index of the node in its finished tree, in the order of [Tree.Nodes]; the root has 0.
func (n *Node) ID() int { return int(n.id) }

// Blob returns the content of a File; nil for other kinds.
func (n *Node) Blob() Blob {
	b, _ := n.body.(Blob)
	return b
}

// SetBlob replaces the blob of a File. The node must not be in a finished tree yet.
func (n *Node) SetBlob(b Blob) { n.body = b }

// SetTarget replaces the target of a Symlink. The node must not be in a finished tree yet.
func (n *Node) SetTarget(target string) { n.body = target }

// Children returns the nodes in a Dir, sorted by the bytes of their names once the tree is built. The slice must not be changed.
func (n *Node) Children() []*Node {
	if c, ok := n.body.(*children); ok {
		return c.nodes
	}
	return nil
}

// Target returns the target of a Symlink; "" for other kinds.
func (n *Node) Target() string {
	s, _ := n.body.(string)
	return s
}

// Device returns the number of a CharDevice or BlockDevice.
func (n *Node) Device() Device {
	d, _ := n.body.(Device)
	return d
}

// Inode returns the node itself, or for a Link its target: the node that has attributes and content.
func (n *Node) Inode() *Node {
	if n.kind == Link {
		return n.body.(*Node)
	}
	return n
}

// Size returns the length in bytes of a File's content or of a Symlink's target, and 0 for other kinds.
func (n *Node) Size() int64 {
	switch n.kind {
	case File:
		return n.Blob().Size()
	case Symlink:
		return int64(len(n.Target()))
	}
	return 0
}
