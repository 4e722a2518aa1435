// Package tree is a file tree as a value: nodes with names, attributes and contents, built by appending and sorted once.
// It knows nothing of the host's file system; package hosttree reads that into nodes.
//
// A tree of a million files stays small: a node is 48 bytes, and nodes share their attributes.
package tree

// A Kind says what a node is.
type Kind uint8

// The kinds of node. A Link is a further name of a file (or symlink, device…) elsewhere in the same tree.
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

// String is the kind in words.
func (k Kind) String() string { return kindNames[k] }

// A Time is a point in time as inodes keep it: seconds since 1970 (negative before) and nanoseconds below 1e9.
type Time struct {
	Sec  int64
	Nsec uint32
}

// An Xattr is an extended attribute with its full name, such as "security.capability".
type Xattr struct {
	Name  string
	Value []byte
}

// Attr is what a node has besides name and content. Nodes share it, so it is never changed once a node points to it.
type Attr struct {
	Mode   uint16 // permission bits, set-uid, set-gid and sticky: 07777 at most
	UID    uint32
	GID    uint32
	Mtime  Time
	Xattrs []Xattr // sorted by name
}

// A Node is one name in a directory, with what it names. It belongs to one tree.
type Node struct {
	Name string // one path element of 1 to 255 bytes without "/" and NUL; the root's is ""
	Attr *Attr  // nil for a Link, which has the attributes of its target
	body any    // Blob, *children, string, Device, *Node or nil, by kind
	id   int32
	kind Kind
}

// A Device is the number of a device node.
type Device struct{ Major, Minor uint32 }

type children struct{ nodes []*Node }

// NewFile is a regular file.
func NewFile(name string, attr *Attr, content Blob) *Node {
	return &Node{Name: name, Attr: attr, body: content, kind: File}
}

// NewDir is a directory over nodes in any order; duplicate names are found when the tree is built.
func NewDir(name string, attr *Attr, nodes []*Node) *Node {
	return &Node{Name: name, Attr: attr, body: &children{nodes}, kind: Dir}
}

// NewSymlink is a symbolic link.
func NewSymlink(name string, attr *Attr, target string) *Node {
	return &Node{Name: name, Attr: attr, body: target, kind: Symlink}
}

// NewDevice is a character or block device.
func NewDevice(name string, attr *Attr, kind Kind, number Device) *Node {
	return &Node{Name: name, Attr: attr, body: number, kind: kind}
}

// NewSpecial is a fifo or a socket.
func NewSpecial(name string, attr *Attr, kind Kind) *Node {
	return &Node{Name: name, Attr: attr, kind: kind}
}

// NewLink is a further name of target, which is no directory and no link itself.
func NewLink(name string, target *Node) *Node {
	return &Node{Name: name, body: target, kind: Link}
}

// Kind says what the node is.
func (n *Node) Kind() Kind { return n.kind }

// ID is the node's place in its tree in the order of Walk, from 0 (the root) on.
func (n *Node) ID() int { return int(n.id) }

// Blob is the content of a File, nil for other kinds.
func (n *Node) Blob() Blob {
	b, _ := n.body.(Blob)
	return b
}

// SetBlob returns a File another blob with the same content, before it is in a finished tree.
func (n *Node) SetBlob(b Blob) { n.body = b }

// Children are the nodes in a Dir, sorted by the bytes of their names once the tree is built. They must not be changed.
func (n *Node) Children() []*Node {
	if c, ok := n.body.(*children); ok {
		return c.nodes
	}
	return nil
}

// Target is where a Symlink points.
func (n *Node) Target() string {
	s, _ := n.body.(string)
	return s
}

// Device is the number of a CharDevice or BlockDevice.
func (n *Node) Device() Device {
	d, _ := n.body.(Device)
	return d
}

// Inode is the node itself, or what a Link leads to: the one that has attributes and content.
func (n *Node) Inode() *Node {
	if n.kind == Link {
		return n.body.(*Node)
	}
	return n
}

// Size is the content's length in bytes of a File, the target's of a Symlink, else 0.
func (n *Node) Size() int64 {
	switch n.kind {
	case File:
		return n.Blob().Size()
	case Symlink:
		return int64(len(n.Target()))
	}
	return 0
}
