package partitiontest

import (
	"slices"
	"strings"

	"imprint/internal/tree"
)

// TreeOf returns a small tree of directories, files and the given kinds of nodes that is determined by p, for fuzz tests. Names and targets of
// links have any bytes.
func TreeOf(p []byte, kinds ...tree.Kind) *tree.Tree {
	g := sprout{rest: p, attr: plain, b: tree.NewBuilder(plain), kinds: kinds}
	for len(g.rest) > 0 {
		g.node()
	}
	t, err := g.b.Tree()
	if err != nil {
		panic(err)
	}
	return t
}

// A sprout is a tree that grows.
type sprout struct {
	rest []byte
	b    *tree.Builder
	dir  string
	attr *tree.Attr
	last *tree.Node // the last file

	kinds []tree.Kind // besides directories and files
}

func (g *sprout) byte() byte {
	if len(g.rest) == 0 {
		return 0
	}
	c := g.rest[0]
	g.rest = g.rest[1:]
	return c
}

// word takes a byte n and up to 16 more bytes, and returns these, repeated up to 16 times, so that short inputs have long words.
func (g *sprout) word() string {
	n := int(g.byte())
	k := min(n%16+1, len(g.rest))
	w := string(g.rest[:k])
	g.rest = g.rest[k:]
	return strings.Repeat(w, n/16+1)
}

// node adds a node, or changes the directory or the attributes of the next ones. A node that cannot be added is left out.
func (g *sprout) node() {
	switch op := g.byte(); op % 10 {
	case 0, 1, 2:
		n := tree.NewFile("", g.attr, tree.Text(g.word()))
		if g.add(n) {
			g.last = n
		}
	case 3:
		size := int64(g.byte()) << (op / 10 % 7)
		g.add(tree.NewFile("", g.attr, newSparse(size, tree.Range{Off: size / 2, Len: size - size/2})))
	case 4:
		if name := g.word(); g.b.Add(tree.Join(g.dir, name), tree.NewDir("", g.attr, nil), "") == nil {
			g.dir = tree.Join(g.dir, name)
		}
	case 5:
		g.dir = ""
	case 6:
		g.add(tree.NewSymlink("", g.attr, g.word()))
	case 7:
		kind := []tree.Kind{tree.CharDevice, tree.BlockDevice}[op/10%2]
		g.add(tree.NewDevice("", g.attr, kind, tree.Device{Major: uint32(g.byte()), Minor: uint32(g.byte()) << (op / 10)}))
	case 8:
		if g.last != nil {
			g.add(tree.NewLink("", g.last))
		}
	case 9:
		g.attr = &tree.Attr{Mode: uint16(g.byte())<<4 | 0o400, UID: uint32(g.byte()) << (op / 10), Mtime: tree.Time{Sec: int64(int8(g.byte())) << (op / 10)}}
		if op > 128 {
			g.attr.Xattrs = []tree.Xattr{{Name: "user." + g.word(), Value: []byte(g.word())}}
		}
	}
}

func (g *sprout) add(n *tree.Node) bool {
	return (n.Kind() == tree.File || slices.Contains(g.kinds, n.Kind())) && g.b.Add(tree.Join(g.dir, g.word()), n, "") == nil
}

// Seeds returns inputs for [TreeOf] that have every kind of node.
func Seeds() [][]byte {
	all := []byte("\x09\x1f\x00\x01\x00\x05hello\x04file\x04\x02dir\x03\x80\x06sparse\x06\x06target\x04link\x07\x01\x03\x04null\x08\x04hard\x05\x00\x04more\x04last" +
		"\x8b\x41\x07\x05\x03key\x05value\x02\x10many times\x20long")
	return [][]byte{nil, {0}, all, all[5:30], []byte(strings.Repeat("\x04\x01d", 30)), []byte(strings.Repeat("\x00\x07content\xffname", 5))}
}
