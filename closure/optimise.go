package closure

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"imprint/closure/nar"
	"imprint/internal/fault"
	"imprint/internal/processors"
	"imprint/internal/tree"
)

// maxLinks is the largest number of names of an inode on ext4 (EXT4_LINK_MAX), where most stores are.
const maxLinks = 65_000

// Optimise hard-links equal files of the items, as "nix-store --optimise" and Guix's daemon do (optimise-store.cc), and returns the nodes of the store's
// directory .links: one more name for every file and symlink, the base32 SHA-256 of the NAR that holds it alone. Files are equal when
// content and executable bit are. The first in the order of paths is the inode, the others become links to it, up to the 65,000 names that
// an inode can have. The items get new nodes. Every file is read once, as many at a time as there are workers.
func Optimise(ctx context.Context, f Flavor, items []TargetItem, workers int) ([]*tree.Node, error) {
	o := &optimiser{flavor: f, maxLinks: maxLinks}
	return o.optimise(ctx, items, workers)
}

type optimiser struct {
	flavor   Flavor
	maxLinks int
	digests  map[fileKey]nar.Digest
	inodes   map[nar.Digest]*linkedFile
	links    []*tree.Node
}

// A fileKey is equal for files that are known to be equal without reading them; files with different keys may still be equal.
type fileKey struct {
	blob    tree.Blob // nil for a symlink
	mode    uint16
	symlink string
}

// A linkedFile is the file to which equal ones become links.
type linkedFile struct {
	node  *tree.Node
	names int
}

// optimise links the files of all items. Items are handled in the order of their paths, so that the choice of the first of equal files, which
// becomes the inode, does not depend on the order of Items.
func (o *optimiser) optimise(ctx context.Context, items []TargetItem, workers int) ([]*tree.Node, error) {
	if err := o.hash(ctx, items, workers); err != nil {
		return nil, err
	}
	o.inodes = make(map[nar.Digest]*linkedFile, len(o.digests))
	order := make([]*TargetItem, len(items))
	for i := range items {
		order[i] = &items[i]
	}
	slices.SortFunc(order, func(a, b *TargetItem) int { return a.Info.Path.Compare(b.Info.Path) })
	for _, item := range order {
		item.Node = o.link(item.Node)
	}
	return o.links, nil
}

// hash computes the digest of every distinct file.
func (o *optimiser) hash(ctx context.Context, items []TargetItem, workers int) error {
	files := o.contents(items)
	digests := make([]nar.Digest, len(files))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, workers))
	for i, f := range files {
		g.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if digests[i], _, err = nar.Hash(f.node); err != nil {
				return Reading(f.item, fmt.Errorf("hash %s: %w", f.path, err))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, f := range files {
		o.digests[keyOf(f.node)] = digests[i]
	}
	return nil
}

// A candidate is a file that may be linked.
type candidate struct {
	item Path
	path string
	node *tree.Node
}

// contents returns one file for every key, and makes room for the digests.
func (o *optimiser) contents(items []TargetItem) (list []candidate) {
	o.digests = map[fileKey]nar.Digest{}
	for _, item := range items {
		for path, n := range tree.Walk(item.Info.Path.String(), item.Node) {
			if !o.linked(n) {
				continue
			}
			if _, seen := o.digests[keyOf(n)]; !seen {
				o.digests[keyOf(n)] = nar.Digest{}
				list = append(list, candidate{item.Info.Path, path, n})
			}
		}
	}
	return list
}

// linked reports whether the flavor's optimiser links nodes like n.
func (o *optimiser) linked(n *tree.Node) bool {
	switch n.Kind() {
	case tree.File:
		return n.Size() >= o.flavor.LinkMinSize
	case tree.Symlink:
		return o.flavor.LinkSymlinks
	}
	return false
}

// keyOf returns the key of a file or symlink. Nodes with the same blob have the same content by definition.
func keyOf(n *tree.Node) fileKey { return fileKey{n.Blob(), n.Attr.Mode, n.Target()} }

// link returns the node that replaces n.
func (o *optimiser) link(n *tree.Node) *tree.Node {
	if n.Kind() == tree.Dir {
		nodes := make([]*tree.Node, len(n.Children()))
		for i, c := range n.Children() {
			nodes[i] = o.link(c)
		}
		return tree.NewDir(n.Name, n.Attr, nodes)
	}
	if !o.linked(n) {
		return n
	}
	digest := o.digests[keyOf(n)]
	first := o.inodes[digest]
	switch {
	case first == nil:
		// Its two names are the one in the item and the one in .links.
		o.inodes[digest] = &linkedFile{n, 2}
		o.links = append(o.links, tree.NewLink(nar.EncodeBase32(digest[:]), n))
	case first.names < o.maxLinks:
		first.names++
		return tree.NewLink(n.Name, first.node)
	}
	return n
}

// LinksDir is the directory in a store directory with a further name of every file that Optimise has linked.
const LinksDir = ".links"

// VerifyLinks compares the contents in the directory of links with their names, several at a time. A file with other contents would take the place of
// others that are yet to be linked.
func (f Flavor) VerifyLinks(ctx context.Context, links *tree.Node, report fault.Report) error {
	v := &itemVerifier{report: report}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * processors.Count())
	for _, n := range links.Children() {
		group.Go(func() error {
			if text := wrongLink(n); text != "" {
				v.fault(f.StoreDir+"/"+LinksDir+"/"+n.Name, "link of equal files", text)
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

// VerifyLinks is that of the flavor, for the store in the tree.
func (s *TreeStore) VerifyLinks(ctx context.Context, report fault.Report) error {
	if links := s.find(s.flavor.StoreDir + "/" + LinksDir); links != nil {
		return s.flavor.VerifyLinks(ctx, links, report)
	}
	return nil
}

// wrongLink says what is wrong with an entry of the directory of links; "" for nothing.
func wrongLink(n *tree.Node) string {
	if n.Kind() == tree.Dir {
		return "is a directory"
	}
	file, err := Canonical(n.Name, n)
	if err != nil {
		return err.Error()
	}
	digest, _, err := nar.Hash(file)
	if err != nil {
		return err.Error()
	}
	if got := nar.EncodeBase32(digest[:]); got != n.Name {
		return fault.Mismatch("hash", got, n.Name)
	}
	return ""
}
