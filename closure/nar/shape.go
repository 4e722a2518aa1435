package nar

import (
	"fmt"
	"strings"

	"imprint/internal/tree"
)

// A Shape is a node of an archive without the contents of files.
type Shape struct {
	Name       string // "" for the top
	Kind       tree.Kind
	Executable bool    // of a file
	Size       int64   // of a file, in bytes
	Target     string  // of a symlink
	Entries    []Shape // of a directory, by the bytes of their names
}

// Tree returns the tree of an archive, as [Index] does, from its shape alone. Contents of files are slices of the blob, at the offsets where the
// archive has them. It also returns the length of the archive in bytes, which may differ from the size of the blob. Shapes that no archive can
// have are errors.
func (s *Shape) Tree(b tree.Blob, attr func(tree.Kind, uint16) *tree.Attr) (*tree.Node, int64, error) {
	p := &placer{blob: b, attr: attr, at: int64(len(magic))}
	n, err := p.node(s, 0)
	return n, p.at, err
}

// A placer follows an archive from its start.
type placer struct {
	blob  tree.Blob
	attr  func(tree.Kind, uint16) *tree.Attr
	at    int64
	nodes int
}

// mostBytes bounds offsets: no archive of a store is as large.
const mostBytes = 1 << 56

func (p *placer) node(s *Shape, depth int) (n *tree.Node, err error) {
	if p.nodes++; p.nodes > maxNodes {
		return nil, fmt.Errorf("more than %d files", maxNodes)
	}
	switch s.Kind {
	case tree.File:
		n, err = p.file(s)
	case tree.Symlink:
		if len(s.Target) > maxTarget || strings.Contains(s.Target, "\x00") {
			return nil, fmt.Errorf("a symlink with the target %.80q", s.Target)
		}
		p.at += int64(len(openSymlink)) + framedLen(int64(len(s.Target)))
		n = tree.NewSymlink(s.Name, p.attr(tree.Symlink, 0), s.Target)
	case tree.Dir:
		n, err = p.dir(s, depth)
	default:
		return nil, fmt.Errorf("a %v", s.Kind)
	}
	p.at += int64(len(closeBracket))
	return n, err
}

func (p *placer) file(s *Shape) (*tree.Node, error) {
	mode, opening := uint16(0o444), openFile
	if s.Executable {
		mode, opening = 0o555, openProgram
	}
	if s.Size < 0 || s.Size > mostBytes || p.at > mostBytes {
		return nil, fmt.Errorf("a file of %d bytes", s.Size)
	}
	from := p.at + int64(len(opening)) + framedLen(0)
	p.at += int64(len(opening)) + framedLen(s.Size)
	return tree.NewFile(s.Name, p.attr(tree.File, mode), tree.Slice(p.blob, from, s.Size)), nil
}

func (p *placer) dir(s *Shape, depth int) (*tree.Node, error) {
	if depth == maxDepth {
		return nil, fmt.Errorf("more than %d directories in each other", maxDepth)
	}
	p.at += int64(len(openDir))
	var nodes []*tree.Node
	for i := range s.Entries {
		e := &s.Entries[i]
		if err := tree.CheckName(e.Name); err != nil {
			return nil, err
		}
		if len(e.Name) > maxName || i > 0 && e.Name <= s.Entries[i-1].Name {
			return nil, fmt.Errorf("the name %.300q is too long, or not in order", e.Name)
		}
		p.at += int64(len(openEntry)) + framedLen(int64(len(e.Name))) + int64(len(beforeNode))
		n, err := p.node(e, depth+1)
		if err != nil {
			return nil, err
		}
		p.at += int64(len(closeBracket))
		nodes = append(nodes, n)
	}
	return tree.NewDir(s.Name, p.attr(tree.Dir, 0), nodes), nil
}
