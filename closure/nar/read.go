package nar

import (
	"io"
	"strings"

	"imprint/internal/framed"
	"imprint/internal/tree"
)

const (
	// maxDepth is how deep directories may be: no path of 4096 bytes, the longest of Linux, is deeper.
	maxDepth = 2048
	// maxNodes bounds the memory for one archive; the largest items have a tenth.
	maxNodes = 4 << 20
	// maxTarget is the longest target of a symlink in bytes, as in Linux.
	maxTarget = 4095
	maxName   = 255
)

// Index reads the archive in a blob from an offset on, without the contents of files, which become slices of the blob. r reads the blob. attr
// returns the attributes of a node: of a file that is executable for mode 0555, else for 0444. It returns the top, without a name, and the
// length of the archive in bytes.
//
// Only what [Write] would write is accepted, byte for byte: names are sorted and different, padding is zero. So a tree from Index has the hash
// of the archive. Other archives are a [*framed.FormatError]; so are those with more than 4 million nodes or 2048 directories in each other.
func Index(r io.ReaderAt, b tree.Blob, off int64, attr func(tree.Kind, uint16) *tree.Attr) (*tree.Node, int64, error) {
	x := &indexer{Reader: framed.NewReader(r, b, off), blob: b, attr: attr}
	if err := x.Expect("nix-archive-1"); err != nil {
		return nil, 0, err
	}
	n, err := x.node("", 0)
	if err != nil {
		return nil, 0, err
	}
	return n, x.Offset() - off, nil
}

// An indexer reads one archive.
type indexer struct {
	*framed.Reader
	blob  tree.Blob
	attr  func(tree.Kind, uint16) *tree.Attr
	nodes int
}

// longestWord is the number of bytes of the longest word of the format.
const longestWord = 16

func (x *indexer) word() (string, error) {
	b, err := x.String(longestWord)
	return string(b), err
}

// node reads what is between two brackets.
func (x *indexer) node(name string, depth int) (n *tree.Node, err error) {
	if x.nodes++; x.nodes > maxNodes {
		return nil, x.Errorf("more than %d files", maxNodes)
	}
	if err := x.Expect("(", "type"); err != nil {
		return nil, err
	}
	kind, err := x.word()
	if err != nil {
		return nil, err
	}
	switch kind {
	case "regular":
		n, err = x.file(name)
	case "symlink":
		n, err = x.symlink(name)
	case "directory":
		return x.dir(name, depth)
	default:
		return nil, x.Errorf("unknown type %q", kind)
	}
	if err != nil {
		return nil, err
	}
	return n, x.Expect(")")
}

func (x *indexer) file(name string) (*tree.Node, error) {
	word, err := x.word()
	if err != nil {
		return nil, err
	}
	mode := uint16(0o444)
	if word == "executable" {
		mode = 0o555
		if err = x.Expect(""); err == nil {
			word, err = x.word()
		}
		if err != nil {
			return nil, err
		}
	}
	if word != "contents" {
		return nil, x.Errorf("%q where the contents of a file are expected", word)
	}
	content, err := x.Skip()
	if err != nil {
		return nil, err
	}
	return tree.NewFile(name, x.attr(tree.File, mode), tree.Slice(x.blob, content.Off, content.Len)), nil
}

func (x *indexer) symlink(name string) (*tree.Node, error) {
	if err := x.Expect("target"); err != nil {
		return nil, err
	}
	b, err := x.String(maxTarget)
	if err != nil {
		return nil, err
	}
	target := string(b)
	if strings.Contains(target, "\x00") {
		return nil, x.Errorf("a symlink with the target %.80q", target)
	}
	return tree.NewSymlink(name, x.attr(tree.Symlink, 0), target), nil
}

// dir reads the entries of a directory, and the bracket after them.
func (x *indexer) dir(name string, depth int) (*tree.Node, error) {
	if depth == maxDepth {
		return nil, x.Errorf("more than %d directories in each other", maxDepth)
	}
	var nodes []*tree.Node
	last := ""
	for {
		word, err := x.word()
		switch {
		case err != nil:
			return nil, err
		case word == ")":
			return tree.NewDir(name, x.attr(tree.Dir, 0), nodes), nil
		case word != "entry":
			return nil, x.Errorf("%q where an entry of a directory is expected", word)
		}
		if last, err = x.entryName(last); err != nil {
			return nil, err
		}
		n, err := x.node(last, depth+1)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
		if err := x.Expect(")"); err != nil {
			return nil, err
		}
	}
}

// entryName reads the name of an entry, which has to come after the last one.
func (x *indexer) entryName(last string) (string, error) {
	if err := x.Expect("(", "name"); err != nil {
		return "", err
	}
	b, err := x.String(maxName)
	if err != nil {
		return "", err
	}
	name := string(b)
	if err := tree.CheckName(name); err != nil {
		return "", x.Errorf("%v", err)
	}
	if name <= last {
		return "", x.Errorf("the name %q comes after %q: names are sorted, and none is there twice", name, last)
	}
	return name, x.Expect("node")
}
