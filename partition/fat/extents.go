package fat

import (
	"bytes"
	"iter"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// Extents implements extent.Source: it yields the extents of the volume that end after from, a byte offset, sorted by their offsets.
// The boot sector, the FATs and the directories have Meta set; a file's extents have its Blob.
func (p *Plan) Extents(from int64) iter.Seq[extent.Extent] {
	return func(yield func(extent.Extent) bool) {
		for e := range p.fixed.Extents(from) {
			if !yield(e) {
				return
			}
		}
		var buf []extent.Extent
		for id := p.firstNode(from); id < p.tree.Len(); id++ {
			buf = p.place(buf[:0], p.tree.Node(id))
			for _, e := range buf {
				if e.End() > from && !yield(e) {
					return
				}
			}
		}
	}
}

// firstNode is the ID of the first node with a cluster that ends after from.
func (p *Plan) firstNode(from int64) int {
	clusters := max(0, from-p.vol.offset(firstCluster)) / p.vol.cluster
	if clusters >= p.vol.clusters {
		return p.tree.Len()
	}
	return p.owner(uint32(clusters) + firstCluster)
}

// Place appends to dst where the content of a file lies, or the entries of a directory. A sparse file may have several extents, an
// empty one has none.
func (p *Plan) Place(dst []extent.Extent, n *tree.Node) []extent.Extent {
	if n == p.tree.Root() && p.vol.bits != 32 {
		return append(dst, p.fixed[3:]...) // after boot sector and FATs
	}
	return p.place(dst, n)
}

// place is Place for what lies in clusters.
func (p *Plan) place(dst []extent.Extent, n *tree.Node) []extent.Extent {
	first := p.start[n.ID()]
	if first == p.start[n.ID()+1] {
		return dst
	}
	at := p.vol.offset(first)
	if n.Kind() == tree.Dir {
		if p.length(n) == 0 {
			return dst // a root directory with nothing in it
		}
		return append(dst, extent.Extent{Off: at, Len: p.length(n), Blob: directoryBlob{p, n}, Meta: true})
	}
	blob := n.Inode().Blob()
	for _, d := range tree.DataOf(blob) {
		dst = append(dst, extent.Extent{Off: at + d.Off, Len: d.Len, Blob: blob, At: d.Off})
	}
	return dst
}

// A directoryBlob is the entries of a directory, made when it is opened.
type directoryBlob struct {
	plan *Plan
	dir  *tree.Node
}

// Size implements tree.Blob.
func (b directoryBlob) Size() int64 { return b.plan.length(b.dir) }

// Open implements tree.Blob.
func (b directoryBlob) Open() (tree.Reader, error) {
	return directoryReader{bytes.NewReader(b.plan.directory(b.dir))}, nil
}

type directoryReader struct{ *bytes.Reader }

// Close implements io.Closer.
func (directoryReader) Close() error { return nil }
