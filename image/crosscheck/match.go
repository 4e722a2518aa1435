package crosscheck

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"imprint/image/crosscheck/opinion"
	"imprint/internal/processors"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
)

var kinds = map[tree.Kind]string{tree.File: opinion.File, tree.Dir: opinion.Dir, tree.Symlink: opinion.Link}

// view returns a tree as a library would see it, and the sorted paths of files with holes, to skip: libraries that do not know holes read
// the wrong content, in time proportional to the size of the file.
func view(ctx context.Context, t *tree.Tree) (root *opinion.Node, skip [][]byte, err error) {
	digests, err := digestsOf(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	nodes := make([]*opinion.Node, 0, t.Len())
	index := map[*tree.Node]*opinion.Node{}
	for path, n := range t.Walk() {
		inode := n.Inode()
		v := &opinion.Node{Name: []byte(n.Name), Kind: cmp.Or(kinds[inode.Kind()], opinion.Other)}
		switch v.Kind {
		case opinion.File:
			v.Size = inode.Size()
			if isSparse(inode) {
				skip = append(skip, []byte(path))
				break
			}
			d := digests[inode]
			v.Digest, v.Err = d.sum, d.err
		case opinion.Link:
			sum := sha256.Sum256([]byte(inode.Target()))
			v.Digest = sum[:]
		}
		index[n] = v
		nodes = append(nodes, v)
	}
	for n := range t.Nodes() {
		for _, c := range n.Children() {
			index[n].Kids = append(index[n].Kids, index[c])
		}
	}
	slices.SortFunc(skip, bytes.Compare)
	return nodes[0], skip, nil
}

func isSparse(n *tree.Node) bool {
	data := tree.DataOf(n.Blob())
	return n.Size() > 0 && (len(data) != 1 || data[0].Len != n.Size())
}

type digest struct {
	sum []byte
	err string
}

// digestsOf hashes the contents of all files without holes, several at a time.
func digestsOf(ctx context.Context, t *tree.Tree) (map[*tree.Node]digest, error) {
	var files []*tree.Node
	for n := range t.Nodes() {
		if n.Kind() == tree.File && !isSparse(n) {
			files = append(files, n)
		}
	}
	sums := make([]digest, len(files))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * processors.Count())
	for i, n := range files {
		group.Go(func() error {
			h := sha256.New()
			if err := tree.Copy(ctx, h, n.Blob(), nil); err != nil {
				sums[i].err = err.Error()
			} else {
				sums[i].sum = h.Sum(nil)
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	all := make(map[*tree.Node]digest, len(files))
	for i, n := range files {
		all[n] = sums[i]
	}
	return all, nil
}

// A match compares two views of a file system.
type match struct {
	library string
	loose   bool // names may differ where contents agree
	folds   bool // names in upper and lower case are the same
	report  func(path, text string)
	none    func(path, text string) // called where the library has no opinion
	seen    int
}

func (m *match) key(n *opinion.Node) string {
	if m.folds {
		return strings.ToLower(string(n.Name))
	}
	return string(n.Name)
}

// dir compares two directories, and all below them.
func (m *match) dir(path string, ours, theirs *opinion.Node) {
	byName := map[string]*opinion.Node{}
	var twice []*opinion.Node
	for _, n := range theirs.Kids {
		if byName[m.key(n)] != nil {
			twice = append(twice, n)
			continue
		}
		byName[m.key(n)] = n
	}
	var left []*opinion.Node
	for _, n := range ours.Kids {
		other := byName[m.key(n)]
		if other == nil || m.loose && other.Kind != n.Kind {
			left = append(left, n)
			continue
		}
		delete(byName, m.key(n))
		m.node(tree.Join(path, string(n.Name)), n, other)
	}
	for _, n := range byName {
		twice = append(twice, n)
	}
	slices.SortFunc(twice, func(a, b *opinion.Node) int { return bytes.Compare(a.Name, b.Name) })
	switch {
	case theirs.Gave:
		m.none(path, theirs.Err)
		return
	case theirs.Err != "":
		m.report(path, fmt.Sprintf("%s cannot read the directory, in which imprint sees %d names: %q", m.library, len(ours.Kids), theirs.Err))
		return
	}
	m.leftover(path, left, twice)
}

// leftover compares the nodes whose names only one side has.
func (m *match) leftover(path string, ours, theirs []*opinion.Node) {
	if m.loose {
		ours, theirs = m.pair(ours, theirs)
	}
	for _, n := range ours {
		m.report(tree.Join(path, string(n.Name)), fmt.Sprintf("imprint sees a %s, %s nothing", m.describe(n), m.library))
	}
	for _, n := range theirs {
		m.report(tree.Join(path, string(n.Name)), fmt.Sprintf("%s sees a %s, imprint nothing", m.library, m.describe(n)))
	}
}

// pair removes the nodes that agree in all but their names.
func (m *match) pair(ours, theirs []*opinion.Node) (a, b []*opinion.Node) {
	byShape := map[[32]byte][]*opinion.Node{}
	for _, n := range theirs {
		s := shape(n)
		byShape[s] = append(byShape[s], n)
	}
	for _, n := range ours {
		s := shape(n)
		if list := byShape[s]; len(list) > 0 {
			byShape[s] = list[1:]
			m.seen++
			continue
		}
		a = append(a, n)
	}
	for _, n := range theirs {
		if list := byShape[shape(n)]; slices.Contains(list, n) {
			b = append(b, n)
		}
	}
	return a, b
}

// shape returns a digest of a node and everything below it, without names. A library that does not understand a name takes a symlink for an
// empty file, so both have the same shape.
func shape(n *opinion.Node) [32]byte {
	h := sha256.New()
	if n.Kind == opinion.Link {
		empty := sha256.Sum256(nil)
		n = &opinion.Node{Kind: opinion.File, Digest: empty[:]}
	}
	fmt.Fprintf(h, "%s %d ", n.Kind, n.Size)
	if n.Kind == opinion.File {
		h.Write(n.Digest)
	}
	var below [][]byte
	for _, k := range n.Kids {
		s := shape(k)
		below = append(below, s[:])
	}
	slices.SortFunc(below, bytes.Compare)
	binary.Write(h, binary.LittleEndian, int64(len(below))) //nolint:errcheck // a hash never fails
	for _, s := range below {
		h.Write(s)
	}
	return [32]byte(h.Sum(nil))
}

// node compares two nodes of the same name.
func (m *match) node(path string, ours, theirs *opinion.Node) {
	if theirs.Gave && theirs.Kind != opinion.Dir {
		m.none(path, theirs.Err)
		return
	}
	m.seen++
	switch {
	case ours.Kind != theirs.Kind || ours.Size != theirs.Size:
		m.report(path, fmt.Sprintf("imprint sees a %s, %s a %s", m.describe(ours), m.library, m.describe(theirs)))
	case ours.Kind == opinion.Dir:
		m.dir(path, ours, theirs)
	case ours.Err != "" || theirs.Err != "":
		if ours.Err == "" {
			m.report(path, fmt.Sprintf("imprint reads its content, %s does not: %q", m.library, theirs.Err))
		}
	case ours.Digest != nil && theirs.Digest != nil && !bytes.Equal(ours.Digest, theirs.Digest):
		m.report(path, fmt.Sprintf("imprint reads content with the SHA-256 %x, %s with %x", ours.Digest, m.library, theirs.Digest))
	}
}

func (m *match) describe(n *opinion.Node) string {
	if n.Kind == opinion.File {
		return fmt.Sprintf("file of %d bytes", n.Size)
	}
	return n.Kind
}
